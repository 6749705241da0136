/* Prints what libhivex reads of a hive, one line for each key and value:
 *
 *   K depth name time ? ?
 *   V name type data
 *
 * Names (UTF-8) and data are in hexadecimal, an empty one is "-". The question
 * marks stand for class and descriptor, which the library does not tell. With
 * a second argument it only reads, for timing.
 *
 *   cc -O2 -o hivexdump hivexdump.c -lhivex
 */
#include <hivex.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hive_h *h;
static int quiet;
static uint64_t keys, values, bytes, sum;

static void hex(const char *b, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    if (n == 0)
        putchar_unlocked('-');
    for (size_t i = 0; i < n; i++) {
        putchar_unlocked(digits[(unsigned char)b[i] >> 4]);
        putchar_unlocked(digits[(unsigned char)b[i] & 15]);
    }
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void walk(hive_node_h node, int depth)
{
    char *name = hivex_node_name(h, node);
    if (!name)
        fail("node name");
    keys++;
    if (!quiet) {
        printf("K %d ", depth);
        hex(name, strlen(name));
        printf(" %016" PRIx64 " ? ?\n", (uint64_t)hivex_node_timestamp(h, node));
    } else
        sum += name[0] + hivex_node_timestamp(h, node);
    free(name);

    hive_value_h *v = hivex_node_values(h, node);
    if (!v)
        fail("values");
    for (size_t i = 0; v[i]; i++) {
        hive_type type;
        size_t len;
        char *key = hivex_value_key(h, v[i]);
        if (!key)
            fail("value name");
        char *data = hivex_value_value(h, v[i], &type, &len);
        if (!data)
            fail("value data");
        values++;
        bytes += len;
        if (!quiet) {
            printf("V ");
            hex(key, strlen(key));
            printf(" %x ", (unsigned)type);
            hex(data, len);
            putchar('\n');
        } else
            sum += type + (len ? data[0] + data[len - 1] : 0);
        free(key);
        free(data);
    }
    free(v);

    hive_node_h *c = hivex_node_children(h, node);
    if (!c)
        fail("children");
    for (size_t i = 0; c[i]; i++)
        walk(c[i], depth + 1);
    free(c);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    quiet = argc > 2;
    h = hivex_open(argv[1], 0);
    if (!h)
        fail(argv[1]);
    if (!quiet || strcmp(argv[2], "open"))
        walk(hivex_root(h), 0);
    if (quiet)
        printf("%" PRIu64 " keys, %" PRIu64 " values, %" PRIu64 " bytes, sum %" PRIx64 "\n", keys, values, bytes, sum);
    return 0;
}
