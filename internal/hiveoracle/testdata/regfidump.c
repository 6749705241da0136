/* Prints what libregfi, the library of reglookup, reads of a hive, in the form of
 * regfdump.c. The bytes of a descriptor are read from the file at the place that
 * the library gives, because it keeps only the parsed form.
 *
 *   cc -O2 -o regfidump regfidump.c -lregfi
 */
#include <regfi.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static REGFI_FILE *file;
static int fd;

static void hex(const uint8_t *b, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    if (n == 0)
        putchar_unlocked('-');
    for (size_t i = 0; i < n; i++) {
        putchar_unlocked(digits[b[i] >> 4]);
        putchar_unlocked(digits[b[i] & 15]);
    }
}

static void walk(const REGFI_NK *key, int depth)
{
    static uint8_t desc[1 << 16];
    printf("K %d ", depth);
    hex((const uint8_t *)key->name, key->name ? strlen(key->name) : 0);
    printf(" %016" PRIx64 " ", (uint64_t)key->mtime);
    const REGFI_CLASSNAME *c = regfi_fetch_classname(file, key);
    hex(c ? c->raw : NULL, c ? c->size : 0);
    putchar(' ');
    const REGFI_SK *sk = regfi_fetch_sk(file, key);
    if (sk && sk->desc_size <= sizeof desc && pread(fd, desc, sk->desc_size, sk->offset + 4 + 20) == sk->desc_size)
        hex(desc, sk->desc_size);
    else
        putchar('!');
    putchar('\n');
    if (c)
        regfi_free_record(file, c);
    if (sk)
        regfi_free_record(file, sk);

    uint32_t n = regfi_fetch_num_values(key);
    for (uint32_t i = 0; i < n; i++) {
        const REGFI_VK *v = regfi_get_value(file, key, i);
        if (!v) {
            puts("V !");
            continue;
        }
        printf("V ");
        hex((const uint8_t *)v->name, v->name ? strlen(v->name) : 0);
        printf(" %x ", (unsigned)v->type);
        const REGFI_DATA *d = regfi_fetch_data(file, v);
        hex(d ? d->raw : NULL, d ? d->size : 0);
        putchar('\n');
        if (d)
            regfi_free_record(file, d);
        regfi_free_record(file, v);
    }
    n = regfi_fetch_num_subkeys(key);
    for (uint32_t i = 0; i < n; i++) {
        const REGFI_NK *sub = regfi_get_subkey(file, key, i);
        if (!sub) {
            puts("K !");
            continue;
        }
        walk(sub, depth + 1);
        regfi_free_record(file, sub);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    fd = open(argv[1], O_RDONLY);
    if (fd < 0) {
        perror(argv[1]);
        return 1;
    }
    regfi_log_set_mask(0);
    file = regfi_alloc(fd, REGFI_ENCODING_UTF8);
    const REGFI_NK *root = file ? regfi_get_rootkey(file) : NULL;
    if (!root) {
        fprintf(stderr, "%s: no root key\n", argv[1]);
        return 1;
    }
    walk(root, 0);
    return 0;
}
