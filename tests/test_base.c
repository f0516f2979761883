/* test_base.c - files, memory, status */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/param.h"
#include "base/random.h"
#include "base/text.h"
#include "tests/support.h"

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in '%s'", part, text);
}

/* Files */

static char folder[] = "/tmp/test_base_XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][4096];
    static int at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "%s/%s", folder, name);
    return path[at];
}

static void assert_content(const char *path, const char *want)
{
    struct sqa_err err = {0};
    char *data = NULL;
    size_t size = 0;
    if (sqa_file_read(path, 1 << 20, &data, &size, &err) != SQA_OK)
        fail_msg("%s", err.text);
    assert_int_equal(size, strlen(want));
    assert_string_equal(data, want);
    sqa_free(data);
}

static void writing_is_all_or_nothing(void **state)
{
    const char *path = in_folder("data");
    struct sqa_err err = {0};
    struct rlimit old, small;
    static char big[1 << 16];
    (void)state;
    assert_int_equal(sqa_file_write(path, "old", 3, &err), SQA_OK);
    assert_content(path, "old");
    memset(big, 'b', sizeof big);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = old.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const enum sqa_status status = sqa_file_write(path, big, sizeof big, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, SQA_MACHINE);
    assert_has(err.text, path);
    assert_has(err.text, "; raise the file size limit");
    assert_content(path, "old");
    assert_false(sqa_file_exists(in_folder("data.tmp")));
    assert_int_equal(sqa_file_write(path, "new", 3, &err), SQA_OK);
    assert_content(path, "new");
    assert_int_equal(sqa_file_write(path, NULL, 0, &err), SQA_OK);
    assert_content(path, "");
}

static void bad_places_are_refused(void **state)
{
    struct sqa_err err = {0};
    char *data = NULL, long_name[5000];
    size_t size = 0;
    (void)state;
    assert_int_equal(sqa_make_dirs(in_folder("sub"), &err), SQA_OK);
    assert_int_equal(sqa_file_write(in_folder("ten"), "0123456789", 10, &err), SQA_OK);
    assert_int_equal(sqa_file_read(in_folder("ten"), 10, &data, &size, &err), SQA_OK);
    assert_int_equal(data[10], 0);
    sqa_free(data);
    data = NULL;
    assert_int_equal(sqa_file_read(in_folder("ten"), 9, &data, &size, &err), SQA_INPUT);
    assert_has(err.text, "10 bytes, more than the 9");
    assert_int_equal(sqa_file_read(in_folder("sub"), 9, &data, &size, &err), SQA_INPUT);
    assert_has(err.text, "directory; name a file");
    assert_int_equal(sqa_file_read(in_folder("none"), 9, &data, &size, &err), SQA_INPUT);
    assert_has(err.text, "; check the path");
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_int_equal(sqa_file_read(in_folder("pipe"), 9, &data, &size, &err), SQA_INPUT);
    assert_has(err.text, "not a regular file");
    assert_null(data);
    assert_int_equal(sqa_file_write(in_folder("sub"), "x", 1, &err), SQA_INPUT);
    assert_has(err.text, "directory");
    assert_false(sqa_file_exists(in_folder("sub.tmp")));
    assert_int_equal(sqa_file_write(in_folder("none/file"), "x", 1, &err), SQA_INPUT);
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(sqa_file_write(long_name, "x", 1, &err), SQA_INPUT);
    assert_has(err.text, "too long");
    assert_int_equal(sqa_make_dirs(long_name, &err), SQA_INPUT);
    sqa_alloc_fail_at(1);
    assert_int_equal(sqa_file_read(in_folder("ten"), 10, &data, &size, &err), SQA_NOMEM);
    sqa_alloc_fail_at(0);
}

static void makes_directories(void **state)
{
    struct sqa_err err = {0};
    struct stat st;
    char hex[65];
    (void)state;
    assert_int_equal(sqa_make_dirs(in_folder("a/b//c/"), &err), SQA_OK);
    assert_int_equal(stat(in_folder("a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(sqa_make_dirs(in_folder("a/b"), &err), SQA_OK);
    assert_int_equal(sqa_make_dirs("/", &err), SQA_OK);
    assert_int_equal(sqa_make_dirs("", &err), SQA_INPUT);
    assert_int_equal(sqa_file_write(in_folder("a/file"), "abc", 3, &err), SQA_OK);
    assert_int_equal(sqa_make_dirs(in_folder("a/file"), &err), SQA_INPUT);
    assert_int_equal(sqa_make_dirs(in_folder("a/file/d"), &err), SQA_INPUT);
    assert_int_equal(sqa_file_sha256(in_folder("a/file"), hex, &err), SQA_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sqa_file_sha256(in_folder("a"), hex, &err), SQA_INPUT);
    assert_true(sqa_hash("", 0, 0) == 0xef46db3751d8e999u); /* XXH64 of nothing */
}

/* Memory and status */

static void allocations_are_zero_and_can_fail(void **state)
{
    struct sqa_arena arena = {0};
    (void)state;
    unsigned char *p = sqa_alloc_aligned(100);
    assert_int_equal((uintptr_t)p % 64, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    sqa_free(p);
    assert_null(sqa_alloc_array(SIZE_MAX / 2, 3));
    assert_null(sqa_alloc_aligned(SIZE_MAX - 3));
    assert_null(sqa_arena_alloc(&arena, SIZE_MAX));
    assert_null(sqa_arena_alloc(&arena, SIZE_MAX - 40));
    p = sqa_arena_alloc(&arena, 3);
    assert_int_equal((uintptr_t)p % 16, 0);
    assert_non_null(sqa_arena_alloc(&arena, 1 << 20));
    assert_string_equal(sqa_arena_printf(&arena, "%d-%s", 5, "x"), "5-x");
    sqa_arena_clear(&arena);
    sqa_arena_clear(&arena);
    const long before = sqa_alloc_count();
    sqa_alloc_fail_at(2);
    p = sqa_alloc(1);
    assert_non_null(p);
    assert_null(sqa_alloc(1));
    assert_null(sqa_realloc(p, 100));
    assert_null(sqa_strdup("x"));
    sqa_alloc_fail_at(0);
    assert_int_equal(sqa_alloc_count() - before, 4);
    p = sqa_realloc(p, 100);
    assert_non_null(p);
    sqa_free(p);
    sqa_free(NULL);
}

static void a_limit_counts_all_bytes(void **state)
{
    (void)state;
    void *held = sqa_alloc(1 << 20);
    sqa_alloc_limit(3 << 20);
    void *a = sqa_alloc(1 << 20);
    assert_non_null(a);
    assert_null(sqa_alloc(2 << 20));
    assert_null(sqa_alloc_aligned(2 << 20));
    assert_null(sqa_realloc(a, 3 << 20));
    sqa_free(a);
    a = sqa_alloc_array(15, 1 << 17);
    assert_non_null(a);
    sqa_alloc_limit(0);
    void *b = sqa_alloc(8 << 20);
    assert_non_null(b);
    sqa_free(a);
    sqa_free(b);
    sqa_free(held);
}

static void statuses_have_names_and_exit_codes(void **state)
{
    static const struct {
        enum sqa_status status;
        const char *name;
        int code;
    } rows[] = {{SQA_OK, "OK", 0},           {SQA_NO, "NO", 1},
                {SQA_USAGE, "USAGE", 2},     {SQA_INPUT, "INPUT", 3},
                {SQA_SHAPE, "SHAPE", 3},     {SQA_UNSUPPORTED, "UNSUPPORTED", 3},
                {SQA_MACHINE, "MACHINE", 4}, {SQA_NOMEM, "NOMEM", 4},
                {SQA_PARTIAL, "PARTIAL", 5}, {SQA_INTERRUPTED, "INTERRUPTED", 130}};
    struct sqa_err err = {0};
    char big[3000];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_string_equal(sqa_status_name(rows[i].status), rows[i].name);
        assert_int_equal(sqa_status_exit(rows[i].status), rows[i].code);
    }
    assert_int_equal(sqa_fail(&err, SQA_INPUT, "%s: %d", "place", 3), SQA_INPUT);
    assert_int_equal(err.code, SQA_INPUT);
    assert_string_equal(err.text, "place: 3");
    assert_int_equal(sqa_fail(NULL, SQA_NO, "nobody reads this"), SQA_NO);
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    sqa_fail(&err, SQA_NO, "%s", big);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"data", "ten", "pipe", "sub", "a/file", "a/b/c", "a/b", "a"};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        remove(in_folder(names[i]));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_is_all_or_nothing), cmocka_unit_test(bad_places_are_refused),
        cmocka_unit_test(makes_directories),         cmocka_unit_test(allocations_are_zero_and_can_fail),
        cmocka_unit_test(a_limit_counts_all_bytes),  cmocka_unit_test(statuses_have_names_and_exit_codes),
    };
    return cmocka_run_group_tests_name("base", tests, make_folder, remove_folder);
}
