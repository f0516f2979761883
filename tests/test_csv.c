/* test_csv.c - base/csv.c: rows, quoting, lines, limits, allocation failures */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/csv.h"
#include "base/file.h"

/* Rows as one text: "line:field|field;". */
static enum sqa_status collect(void *user, size_t line, size_t n, const char *const *fields, struct sqa_err *err)
{
    (void)err;
    sqa_text_printf(user, "%zu:", line);
    for (size_t i = 0; i < n; i++)
        sqa_text_printf(user, "%s%s", i ? "|" : "", fields[i]);
    sqa_text_add(user, ";");
    return SQA_OK;
}

static void expect(const char *data, size_t size, char delimiter, int quoted, const char *rows)
{
    struct sqa_text text = {0};
    struct sqa_err err = {0};
    assert_int_equal(sqa_csv_read_bytes("mem", data, size, delimiter, quoted, collect, &text, &err), SQA_OK);
    assert_string_equal(sqa_text_get(&text), rows);
    sqa_text_clear(&text);
}

static void expect_refused(const char *data, size_t size, const char *where, const char *what)
{
    struct sqa_text text = {0};
    struct sqa_err err = {0};
    assert_int_equal(sqa_csv_read_bytes("mem", data, size, ',', 1, collect, &text, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, where));
    assert_non_null(strstr(err.text, what));
    sqa_text_clear(&text);
}

#define EXPECT(data, rows) expect(data, sizeof(data) - 1, ',', 1, rows)
#define REFUSED(data, where, what) expect_refused(data, sizeof(data) - 1, where, what)

static void test_rows(void **state)
{
    (void)state;
    EXPECT("", "");
    EXPECT("\n\r\n\n", "");
    EXPECT("a,b\nc,d\n", "1:a|b;2:c|d;");
    EXPECT("a,b\r\nc,d", "1:a|b;2:c|d;");
    EXPECT("a,b\r\n\r\n\nc,", "1:a|b;4:c|;");
    EXPECT(",\n", "1:|;");
    EXPECT("\"\"\nx\n", "1:;2:x;");
    EXPECT("\xef\xbb\xbf\"a\",b\n", "1:a|b;");
    EXPECT("\xef\xbb\xbf", "");
    EXPECT(" a , b\t,c\n", "1: a | b\t|c;");
    EXPECT("\"a\nb\",\"c\r\nd\"\ne,f\n", "1:a\nb|c\r\nd;4:e|f;");
    EXPECT("\"say \"\"hi\"\"\",x\n", "1:say \"hi\"|x;");
    EXPECT("a\rb\rc", "1:a;2:b;3:c;");
    EXPECT("a,\"b\"", "1:a|b;");
    expect("it's \"x\"\ty\n\"\tz\n", 15, '\t', 0, "1:it's \"x\"|y;2:\"|z;");
}

static void test_refused(void **state)
{
    (void)state;
    REFUSED("a\nb,\"c\nd", "mem: line 2:", "quote");
    REFUSED("a\n\nb\"c\n", "mem: line 3:", "quote");
    REFUSED("\"a\"b\n", "mem: line 1:", "quote");
    REFUSED("\"a\" ,b\n", "mem: line 1:", "quote");
    REFUSED("a\n\"b\n\0\"\n", "mem: line 3:", "zero byte");
    REFUSED("\0", "mem: line 1:", "zero byte");
}

static void test_limits(void **state)
{
    (void)state;
    const size_t n = (size_t)8 << 20;
    char *big = sqa_alloc(n + 8);
    assert_non_null(big);
    for (int quoted = 0; quoted < 2; quoted++)
        for (size_t extra = 0; extra < 2; extra++) {
            const size_t size = (size_t)SQA_CSV_FIELD_MAX + extra;
            struct sqa_text text = {0};
            struct sqa_err err = {0};
            size_t i = 0;
            big[i++] = 'k';
            big[i++] = '\n';
            if (quoted)
                big[i++] = '"';
            memset(big + i, 'x', size);
            i += size;
            if (quoted)
                big[i++] = '"';
            big[i++] = '\n';
            const enum sqa_status got = sqa_csv_read_bytes("mem", big, i, ',', 1, collect, &text, &err);
            assert_int_equal(got, extra ? SQA_INPUT : SQA_OK);
            if (extra)
                assert_non_null(strstr(err.text, "mem: line 2: a field of more than 1 MiB"));
            else
                assert_int_equal(text.length, 4 + 2 + size + 1);
            sqa_text_clear(&text);
        }
    memset(big, 'x', n); /* one long field without an end costs 1 MiB and a little */
    expect_refused(big, n, "line 1:", "1 MiB");
    memset(big, ',', n);
    expect_refused(big, n, "line 1:", "65536 fields");
    big[SQA_CSV_COLUMNS_MAX - 1] = '\n';
    struct sqa_text text = {0};
    struct sqa_err err = {0};
    assert_int_equal(sqa_csv_read_bytes("mem", big, SQA_CSV_COLUMNS_MAX, ',', 1, collect, &text, &err), SQA_OK);
    assert_int_equal(text.length, 2 + SQA_CSV_COLUMNS_MAX - 1 + 1);
    sqa_text_clear(&text);
    sqa_free(big);
}

static enum sqa_status stop(void *user, size_t line, size_t n, const char *const *fields, struct sqa_err *err)
{
    (void)fields;
    (void)n;
    ++*(int *)user;
    return line == 2 ? sqa_fail(err, SQA_SHAPE, "stop") : SQA_OK;
}

static void test_stop(void **state)
{
    (void)state;
    int rows = 0;
    struct sqa_err err = {0};
    assert_int_equal(sqa_csv_read_bytes("mem", "a\nb\nc\nd\n", 8, ',', 1, stop, &rows, &err), SQA_SHAPE);
    assert_int_equal(rows, 2);
    assert_string_equal(err.text, "stop");
}

static char dir[64];

static const char *write_file(const char *text, size_t n)
{
    static char path[128];
    struct sqa_err err = {0};
    snprintf(path, sizeof path, "%s/f.csv", dir);
    assert_int_equal(sqa_file_write(path, text, n, &err), SQA_OK);
    return path;
}

static void test_file(void **state)
{
    (void)state;
    struct sqa_text text = {0}, rows = {0}, expected = {0};
    struct sqa_err err = {0};
    for (int i = 0; i < 20000; i++) { /* several chunks; quotes, CR LF and rows across their borders */
        sqa_text_printf(&text, "%d,\"q\"\"%d\r\nx\",\xc3\xa4\r\n", i, i);
        sqa_text_printf(&expected, "%d:%d|q\"%d\r\nx|\xc3\xa4;", 2 * i + 1, i, i);
    }
    const char *path = write_file(text.text, text.length);
    assert_int_equal(sqa_csv_read(path, ',', 1, collect, &rows, &err), SQA_OK);
    assert_string_equal(rows.text, expected.text);
    sqa_text_clear(&text);
    sqa_text_clear(&rows);
    sqa_text_clear(&expected);
    assert_int_equal(sqa_csv_read("/no/such/file.csv", ',', 1, collect, &rows, &err), SQA_INPUT);
    assert_int_equal(sqa_csv_read(dir, ',', 1, collect, &rows, &err), SQA_INPUT);
}

static void test_sheet(void **state)
{
    (void)state;
    struct sqa_text text = {0};
    struct sqa_sheet sheet;
    struct sqa_err err = {0};
    sqa_csv_add_row(&text, 3, (const char *const[]){"id", "say \"a\"", "b,c"});
    for (int i = 0; i < 100; i++)
        sqa_csv_add_row(&text, 3, (const char *const[]){i % 2 ? "1" : "2", NULL, "two\nlines"});
    assert_memory_equal(text.text, "id,\"say \"\"a\"\"\",\"b,c\"\n2,,\"two\nlines\"\n", 36);
    const char *path = write_file(text.text, text.length);
    assert_int_equal(sqa_sheet_read(path, &sheet, &err), SQA_OK);
    assert_int_equal(sheet.ncol, 3);
    assert_int_equal(sheet.nrow, 100);
    assert_int_equal(sqa_sheet_column(&sheet, "b,c"), 2);
    assert_int_equal(sqa_sheet_column(&sheet, "nope"), -1);
    assert_string_equal(sheet.row[99][0], "1");
    assert_string_equal(sheet.row[99][1], "");
    assert_string_equal(sheet.row[99][2], "two\nlines");
    sqa_sheet_clear(&sheet);
    sqa_text_clear(&text);
    sqa_csv_add_row(&text, 1, (const char *const[]){""});
    assert_string_equal(text.text, "\"\"\n");
    sqa_text_clear(&text);

    path = write_file("a,b\n1,2\n3\n", 10);
    assert_int_equal(sqa_sheet_read(path, &sheet, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "line 3: 1 fields where the header has 2"));
    path = write_file("", 0);
    assert_int_equal(sqa_sheet_read(path, &sheet, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "no header line"));
}

static void test_no_memory(void **state)
{
    (void)state;
    struct sqa_sheet sheet;
    struct sqa_err err = {0};
    struct sqa_text text = {0};
    for (int i = 0; i < 300; i++)
        sqa_csv_add_row(&text, 3, (const char *const[]){"some text that is long enough", "x\"y", "z"});
    const char *path = write_file(text.text, text.length);
    sqa_text_clear(&text);
    enum sqa_status status = SQA_NOMEM;
    for (long n = 1; status != SQA_OK; n++) {
        assert_true(n < 1000);
        sqa_alloc_fail_at(n);
        status = sqa_sheet_read(path, &sheet, &err);
        sqa_alloc_fail_at(0);
        if (status != SQA_OK) {
            assert_int_equal(status, SQA_NOMEM);
            assert_non_null(strstr(err.text, "no memory"));
        }
    }
    assert_int_equal(sheet.nrow, 299);
    sqa_sheet_clear(&sheet);
    sqa_alloc_fail_at(1);
    sqa_csv_add_row(&text, 1, (const char *const[]){"a,b"});
    sqa_alloc_fail_at(0);
    assert_true(text.failed);
    sqa_text_clear(&text);
}

static int make_dir(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/sqa_csv_XXXXXX", base ? base : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/f.csv", dir);
    unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_refused), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_stop),      cmocka_unit_test(test_file),    cmocka_unit_test(test_sheet),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
