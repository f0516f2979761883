/* test_report_rows.c - reports of rows written here by hand: settings apart, full forms, exponents, crossovers */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "reports/crossover.h"
#include "tests/reports.h"

static void test_settings(void **state)
{
    (void)state;
    struct sqa_err err = {0};
    const char *cells = "schema,key,phase,model,task,scale,length,batch,dtype,seed,status,latency_ns_median,recipe\n"
                        "1,a,infer,m,random,lite,128,4,f32,0,ok,1000,lr=1;seed=0\n"
                        "1,b,infer,m,random,lite,256,4,f32,0,ok,2000,lr=1;seed=0\n"
                        "1,c,infer,m,random,lite,256,4,bf16,0,ok,1500,lr=1;seed=0\n"
                        "1,d,infer,m,random,lite,256,4,bf16,1,ok,1700,lr=1;seed=1\n"
                        "1,e,infer,n,random,lite,256,4,bf16,1,ok,1700,lr=2\n";
    assert_int_equal(sqa_make_dirs("run", &err), SQA_OK);
    assert_int_equal(sqa_file_write("run/cells.csv", cells, strlen(cells), &err), SQA_OK);
    char *csv = report("csv", 1, (const char *const[]){"run"});
    has(csv, "\"m [length=128, dtype=f32]\",infer_latency_ns,1,,1000,,,,,\n");
    has(csv, "\"m [length=256, dtype=bf16]\",infer_latency_ns,2,,1600,,,,,\n");
    has(csv, ",n,infer_latency_ns,1,,1700,,,,,\n");
    char *md = report("md", 1, (const char *const[]){"run"});
    has(md, "### `random`, scale lite: inference, length 256, batch 4, bf16\n");
    has(md, "No run.json");
    assert_null(strstr(md, "## Results"));
    sqa_free(csv);
    sqa_free(md);
}

/* One short form, two full ones: not one entry. */
static void test_full_forms(void **state)
{
    (void)state;
    struct sqa_err err = {0};
    const char *cells = "schema,key,phase,model,task,scale,length,status,latency_ns_median,model_full\n"
                        "1,a,train,m,random,bench,64,ok,1000,\"m:layers=2,dropout=0+norm=layernorm\"\n"
                        "1,b,train,m,random,bench,64,ok,2000,\"m:layers=2,dropout=0.1+norm=layernorm\"\n";
    assert_int_equal(sqa_make_dirs("run", &err), SQA_OK);
    assert_int_equal(sqa_file_write("run/cells.csv", cells, strlen(cells), &err), SQA_OK);
    char *csv = report("csv", 1, (const char *const[]){"run"});
    has(csv, "m [dropout=0],train_latency_ns,1,,1000");
    has(csv, "m [dropout=0.1],train_latency_ns,1,,2000");
    sqa_free(csv);
}

/* ns = L^2, own = 10 L, planned = L^1.5: the exponents come out, and two lengths are not enough. */
static void test_scaling(void **state)
{
    (void)state;
    struct sqa_err err = {0};
    struct sqa_text t = {0};
    sqa_text_add(&t, "schema,key,phase,model,task,scale,length,batch,dtype,status,latency_ns_median,mem_own_bytes,"
                     "mem_planned_bytes,flops,model_full,task_full\n");
    for (int i = 0; i < 4; i++) {
        const double L = 64 << i;
        sqa_text_printf(&t, "1,a%d,train,m,random:length=%.0f,bench,%.0f,4,f32,ok,%.0f,%.0f,%.3f,,m:layers=2,", i, L,
                        L, L * L, 10 * L, pow(L, 1.5));
        sqa_text_printf(&t, "\"random:length=%.0f,vocab=32\"\n", L);
        if (i < 2)
            sqa_text_printf(&t, "1,b%d,train,n,random,bench,%.0f,4,f32,ok,5,5,5,5,n,random:length=%.0f\n", i, L, L);
    }
    assert_int_equal(sqa_make_dirs("run", &err), SQA_OK);
    assert_int_equal(sqa_file_write("run/cells.csv", sqa_text_get(&t), t.length, &err), SQA_OK);
    sqa_text_clear(&t);
    char *md = report("md", 1, (const char *const[]){"run"});
    has(md, "## Scaling");
    has(md, "| `m`   | 64 to 512 |      4 | 2.00 [2.00, 2.00] | 1.00 [1.00, 1.00] |           1.50 |     - |         "
            "  2.00 |");
    assert_null(strstr(strstr(md, "## Scaling"), "`n`"));
    sqa_free(md);
}

/* 1000 L against L^2 / 4: even at 4000. b is always dearer, c always cheaper; two samples of four alike. */
static void test_crossover(void **state)
{
    (void)state;
    struct sqa_err err = {0};
    struct sqa_text t = {0}, samples = {0};
    const char *json = "{\"titles\": {\"complexity\": {\"a\": \"O(L) time\"}}}";
    sqa_text_add(&t, "schema,key,phase,model,task,scale,length,batch,dtype,status,latency_ns_median,"
                     "mem_planned_bytes,model_full,task_full\n");
    sqa_text_add(&samples, "schema,key,phase,round,index,ns\n");
    for (int i = 0; i < 4; i++) {
        const double L = 1024 << i, even = L * L / 4;
        const struct {
            const char *model;
            double ns, bytes;
        } rows[] = {{"transformer:layers=1", even, 100 * L},
                    {"a", 1000 * L, 200 * L},
                    {"b", 2 * even, 100 * L},
                    {"c", even / 2, 50 * L}};
        for (int r = 0; r < 4; r++) {
            sqa_text_printf(
                &t, "1,k%d%d,train,%s,random:length=%.0f,bench,%.0f,4,f32,ok,%.0f,%.0f,%s,random:length=%.0f\n", r, i,
                rows[r].model, L, L, rows[r].ns, rows[r].bytes, rows[r].model, L);
            for (int k = -4; k <= 4 && r < 2; k++)
                sqa_text_printf(&samples, "1,k%d%d,train,1,%d,%.0f\n", r, i, k + 4, rows[r].ns * (1 + 0.01 * k));
        }
    }
    assert_int_equal(sqa_make_dirs("run", &err), SQA_OK);
    assert_int_equal(sqa_file_write("run/cells.csv", sqa_text_get(&t), t.length, &err), SQA_OK);
    assert_int_equal(sqa_file_write("run/samples.csv", sqa_text_get(&samples), samples.length, &err), SQA_OK);
    assert_int_equal(sqa_file_write("run/run.json", json, strlen(json), &err), SQA_OK);
    sqa_text_clear(&t);
    sqa_text_clear(&samples);
    char *md = report("md", 1, (const char *const[]){"run"}), *from = strstr(md, "less time from");
    if (!from || !strstr(from, " 4000 [3860, 4158] |           not up to 8192 |") ||
        !strstr(from, "not up to 8192 |") || !strstr(from, "not up to 8192 [> 8192, > 8192]") ||
        !strstr(from, "below 1024 [\\< 1024, \\< 1024]"))
        fail_msg("%s", from ? from : md);
    sqa_free(md);
}

/* Medians of 20,000 samples spread evenly over 10 % scatter by 10 % / sqrt(12) * sqrt(3 / 20000) = 0.035 %: the interval of the
 * crossover at 4000 of costs that grow as L and L^2 is +-1.96 * sqrt(2) * 0.035 % of it. As wide as with draws of each sample. */
static void test_crossover_of_many(void **state)
{
    (void)state;
    enum { N = 20000, POINTS = 4 };
    double *samples = sqa_alloc_array((size_t)(2 * POINTS * N), sizeof *samples), at;
    struct sqa_crossover_point p[POINTS];
    struct sqa_interval interval;
    struct sqa_err err = {0};
    assert_non_null(samples);
    for (int i = 0; i < POINTS; i++) {
        const double L = 1024 << i, y[2] = {1000 * L, L * L / 4};
        p[i] = (struct sqa_crossover_point){L, {y[0], samples + 2 * i * N, N}, {y[1], samples + (2 * i + 1) * N, N}};
        for (int side = 0; side < 2; side++)
            for (int k = 0; k < N; k++)
                samples[(2 * i + side) * N + (k * 7919) % N] = y[side] * (0.95 + 0.1 * (k + 0.5) / N);
    }
    assert_int_equal(sqa_crossover(p, POINTS, 1, &at, &interval, &err), SQA_OK);
    assert_near(at, 4000, 1e-6, "crossover");
    assert_near((interval.high - interval.low) / 4000, 2 * 1.96 * sqrt(2) * 0.00035, 0.0004, "width of its interval");
    sqa_free(samples);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_scratch, remove_scratch)
int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_settings),
        IN_DIR(test_full_forms),
        IN_DIR(test_scaling),
        IN_DIR(test_crossover),
        cmocka_unit_test(test_crossover_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
