/* Sets one value of the root of a hive with libhivex and writes the hive to a new
 * file:
 *
 *   hivexedit HIVE OUT
 *
 *   cc -O2 -o hivexedit hivexedit.c -lhivex
 */
#include <hivex.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    hive_h *h = hivex_open(argv[1], HIVEX_OPEN_WRITE);
    if (!h) {
        perror(argv[1]);
        return 1;
    }
    hive_node_h key = hivex_node_add_child(h, hivex_root(h), "MullionBench");
    hive_set_value v = {.key = "Value", .t = hive_t_dword, .len = 4, .value = "\x2a\0\0\0"};
    if (!key || hivex_node_set_value(h, key, &v, 0) == -1 || hivex_commit(h, argv[2], 0) == -1) {
        perror(argv[2]);
        return 1;
    }
    return hivex_close(h) == 0 ? 0 : 1;
}
