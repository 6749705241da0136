/* Prints what libregf reads of a hive, one line for each key and value:
 *
 *   K depth name time class descriptor
 *   V name type data
 *
 * Everything but the numbers is in hexadecimal, names are UTF-8, an empty field
 * is "-".
 *
 *   cc -O2 -o regfdump regfdump.c -lregf
 */
#include <libregf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *buf;
static size_t room;

static uint8_t *need(size_t n)
{
    if (n > room) {
        room = n * 2;
        buf = realloc(buf, room);
        if (!buf)
            exit(1);
    }
    return buf;
}

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

static void fail(const char *what, libregf_error_t *e)
{
    fprintf(stderr, "%s\n", what);
    libregf_error_backtrace_fprint(e, stderr);
    exit(1);
}

static void walk(libregf_key_t *key, int depth)
{
    libregf_error_t *e = NULL;
    size_t n = 0;
    uint64_t time = 0;
    int count = 0;

    if (libregf_key_get_utf8_name_size(key, &n, &e) < 0)
        fail("name size", e);
    if (n && libregf_key_get_utf8_name(key, need(n), n, &e) != 1)
        fail("name", e);
    printf("K %d ", depth);
    hex(buf, n ? n - 1 : 0); /* the size counts a terminator */
    if (libregf_key_get_last_written_time(key, &time, &e) != 1)
        fail("time", e);
    printf(" %016" PRIx64 " ", time);
    n = 0;
    if (libregf_key_get_class_name_size(key, &n, &e) < 0)
        fail("class size", e);
    if (n && libregf_key_get_class_name(key, need(n), n, &e) != 1)
        fail("class", e);
    hex(buf, n);
    putchar(' ');
    n = 0;
    if (libregf_key_get_security_descriptor_size(key, &n, &e) < 0)
        fail("descriptor size", e);
    if (n && libregf_key_get_security_descriptor(key, need(n), n, &e) != 1)
        fail("descriptor", e);
    hex(buf, n);
    putchar('\n');

    if (libregf_key_get_number_of_values(key, &count, &e) != 1)
        fail("number of values", e);
    for (int i = 0; i < count; i++) {
        libregf_value_t *v = NULL;
        uint32_t type = 0;
        if (libregf_key_get_value(key, i, &v, &e) != 1)
            fail("value", e);
        n = 0;
        if (libregf_value_get_utf8_name_size(v, &n, &e) < 0)
            fail("value name size", e);
        if (n && libregf_value_get_utf8_name(v, need(n), n, &e) != 1)
            fail("value name", e);
        printf("V ");
        hex(buf, n ? n - 1 : 0);
        if (libregf_value_get_value_type(v, &type, &e) != 1)
            fail("type", e);
        printf(" %x ", type);
        n = 0;
        if (libregf_value_get_value_data_size(v, &n, &e) < 0)
            fail("data size", e);
        if (n && libregf_value_get_value_data(v, need(n), n, &e) != 1)
            fail("data", e);
        hex(buf, n);
        putchar('\n');
        libregf_value_free(&v, NULL);
    }

    if (libregf_key_get_number_of_sub_keys(key, &count, &e) != 1)
        fail("number of subkeys", e);
    for (int i = 0; i < count; i++) {
        libregf_key_t *sub = NULL;
        if (libregf_key_get_sub_key(key, i, &sub, &e) != 1)
            fail("subkey", e);
        walk(sub, depth + 1);
        libregf_key_free(&sub, NULL);
    }
}

int main(int argc, char **argv)
{
    libregf_error_t *e = NULL;
    libregf_file_t *file = NULL;
    libregf_key_t *root = NULL;
    if (argc != 2)
        return 2;
    if (libregf_file_initialize(&file, &e) != 1)
        fail("initialize", e);
    if (libregf_file_open(file, argv[1], LIBREGF_OPEN_READ, &e) != 1)
        fail("open", e);
    if (libregf_file_get_root_key(file, &root, &e) != 1)
        fail("root", e);
    walk(root, 0);
    return 0;
}
