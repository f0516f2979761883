/* test_results.c - results/: writing rows, joining parts, reading a run directory */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "results/table.h"

static char dir[64];

static void write_text(const char *path, const char *text)
{
    char full[256];
    struct sqa_err err = {0};
    snprintf(full, sizeof full, "%s/%s", dir, path);
    char *slash = strrchr(full, '/');
    *slash = '\0';
    assert_int_equal(sqa_make_dirs(full, &err), SQA_OK);
    *slash = '/';
    assert_int_equal(sqa_file_write(full, text, strlen(text), &err), SQA_OK);
}

static char *read_text(const char *path)
{
    char full[256], *data = NULL;
    size_t size = 0;
    struct sqa_err err = {0};
    snprintf(full, sizeof full, "%s/%s", dir, path);
    assert_int_equal(sqa_file_read(full, 1 << 20, &data, &size, &err), SQA_OK);
    return data;
}

static void test_schema(void **state)
{
    (void)state;
    for (int file = 0; file < SQA_FILES; file++) {
        const struct sqa_schema *s = &sqa_schemas[file];
        assert_string_equal(s->columns[0].name, "schema");
        for (size_t i = 0; i < s->n; i++) {
            assert_true(strlen(s->columns[i].help) > 1);
            for (size_t j = 0; j < i; j++)
                assert_string_not_equal(s->columns[i].name, s->columns[j].name);
        }
    }
    assert_string_equal(sqa_schemas[SQA_FILE_CELLS].columns[SQA_CELLS_test_mae].name, "test_mae");
}

static void test_write(void **state)
{
    (void)state;
    struct sqa_text t = {0};
    const char *fields[SQA_CURVES_N] = {NULL};
    fields[SQA_CURVES_key] = "k1";
    fields[SQA_CURVES_step] = "10";
    fields[SQA_CURVES_split] = "a,b";
    sqa_table_begin(&t, SQA_FILE_CURVES);
    sqa_table_row(&t, SQA_FILE_CURVES, fields);
    fields[SQA_CURVES_schema] = "7";
    sqa_table_row(&t, SQA_FILE_CURVES, fields);
    assert_string_equal(t.text, "schema,key,step,split,loss,metric,rate,seconds,examples\n"
                                "1,k1,10,\"a,b\",,,,,\n7,k1,10,\"a,b\",,,,,\n");
    sqa_text_clear(&t);
}

static const char *const keys[] = {"k2", "gone", "k1"};

static void make_parts(void)
{
    write_text("parts/k1/cells.csv", "schema,key,phase,model,task,status\n1,k1,train,m,t,ok\n1,k1,infer,m,t,ok\n");
    write_text("parts/k2/cells.csv", "schema,status,key,phase,model,task\n1,failed,k2,train,\"m,x\",t\n");
    write_text("parts/k1/curves.csv", "schema,key,step,split,loss\n1,k1,5,train,0.5\n");
}

static void test_join(void **state)
{
    (void)state;
    char path[256];
    struct sqa_err err = {0};
    struct sqa_run_files run;
    make_parts();
    assert_int_equal(sqa_table_join(dir, keys, 3, &err), SQA_OK);
    char *first = read_text("cells.csv");
    assert_int_equal(sqa_table_join(dir, keys, 3, &err), SQA_OK);
    char *second = read_text("cells.csv");
    assert_string_equal(first, second);
    sqa_free(first);
    sqa_free(second);
    snprintf(path, sizeof path, "%s/ops.csv", dir);
    assert_false(sqa_file_exists(path));

    write_text("run.json", "{\"version\": \"1\"}");
    assert_int_equal(sqa_run_files_read(dir, &run, &err), SQA_OK);
    const struct sqa_sheet *cells = &run.sheet[SQA_FILE_CELLS];
    assert_int_equal(cells->ncol, SQA_CELLS_N);
    assert_int_equal(cells->nrow, 3);
    assert_string_equal(cells->row[0][SQA_CELLS_key], "k2");
    assert_string_equal(cells->row[0][SQA_CELLS_model], "m,x");
    assert_string_equal(cells->row[0][SQA_CELLS_status], "failed");
    assert_string_equal(cells->row[2][SQA_CELLS_phase], "infer");
    assert_string_equal(cells->row[2][SQA_CELLS_test_n], "");
    assert_int_equal(run.sheet[SQA_FILE_CURVES].nrow, 1);
    assert_int_equal(run.sheet[SQA_FILE_OPS].nrow, 0);
    assert_string_equal(run.json, "{\"version\": \"1\"}");
    assert_int_equal(run.json_size, 16);
    sqa_run_files_clear(&run);
    sqa_run_files_clear(&run);
}

static void refused(const char *what)
{
    struct sqa_run_files run;
    struct sqa_err err = {0};
    assert_int_equal(sqa_run_files_read(dir, &run, &err), SQA_INPUT);
    assert_null(run.dir);
    assert_non_null(strstr(err.text, what));
}

static void test_refused(void **state)
{
    (void)state;
    struct sqa_run_files run;
    struct sqa_err err = {0};
    refused("neither run.json nor cells.csv");
    write_text("cells.csv", "schema,key,phase,model,task,status\n1,k1,train,m,t,ok\n1,k2,tra");
    refused("line 3: 3 fields where the header has 6");
    write_text("cells.csv", "schema,key,phase,model,task\n");
    refused("no column \"status\"");
    write_text("cells.csv", "schema,key,phase,model,task,status\n2,k1,train,m,t,ok\n");
    refused("version \"2\"");
    write_text("cells.csv", "schema,key,phase,model,task,status\n1,k1,train,m,t,ok\n");
    write_text("samples.csv", "schema,key,phase\n");
    refused("no column \"ns\"");
    write_text("samples.csv", "");
    refused("no header line");
    assert_int_equal(sqa_run_files_read("/no/such/run", &run, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "no such run directory"));
    char path[256];
    snprintf(path, sizeof path, "%s/cells.csv", dir);
    assert_int_equal(sqa_run_files_read(path, &run, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "not a directory"));
}

static void test_no_memory(void **state)
{
    (void)state;
    struct sqa_run_files run;
    struct sqa_err err = {0};
    make_parts();
    for (int what = 0; what < 2; what++) {
        enum sqa_status status = SQA_NOMEM;
        for (long n = 1; status != SQA_OK; n++) {
            assert_true(n < 500);
            sqa_alloc_fail_at(n);
            status = what ? sqa_run_files_read(dir, &run, &err) : sqa_table_join(dir, keys, 3, &err);
            sqa_alloc_fail_at(0);
            assert_true(status == SQA_OK || status == SQA_NOMEM);
        }
    }
    sqa_run_files_clear(&run);
}

static int make_dir(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/sqa_results_XXXXXX", base ? base : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    static const char *const names[] = {
        "parts/k1/cells.csv", "parts/k1/curves.csv",
        "parts/k2/cells.csv", "cells.csv",
        "curves.csv",         "samples.csv",
        "run.json",           "parts/k1",
        "parts/k2",           "parts",
    };
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        remove(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_write),
        cmocka_unit_test_setup_teardown(test_join, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_refused, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_no_memory, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
