/* test_report.c - reports/: small run directories made here, and what the report says of them
 *
 * tests/ref/report_small.md is the whole Markdown report of one of them; SEQARENA_UPDATE_REF=1 writes it anew. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "reports/pool.h"
#include "reports/report.h"
#include "results/table.h"
#include "tests/reports.h"

enum { EXAMPLES = 60, SAMPLES = 12 };
enum { LABEL, SERIES, TAGS }; /* tags: each example has 1 to 4 labels */

struct files {
    struct sqa_text text[SQA_FILES];
};

/* One training cell of a made-up run. */
struct made {
    const char *model, *task, *scale;
    int seed;
    const char *status, *message;
    double skill; /* of 0..1 */
    int kind, examples, samples;
    const char *note;
};

static void set(const char **fields, struct sqa_arena *arena, int column, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void set(const char **fields, struct sqa_arena *arena, int column, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fields[column] = sqa_arena_strdup(arena, text);
    assert_non_null(fields[column]);
}

/* Examples are hard or easy for everyone, and a little different for each seed. */
static double score(const struct made *m, int example)
{
    const uint64_t key = sqa_random_key((uint64_t)m->seed, 0, m->model);
    const double hard = sqa_random_uniform(1, (uint64_t)example), own = sqa_random_uniform(key, (uint64_t)example);
    if (m->kind == SERIES)
        return 0.1 + 0.5 * (1 - m->skill) + 0.1 * hard + 0.02 * own;
    return 0.8 * hard + 0.2 * own < m->skill;
}

/* Right labels of an example that has 1 + example % 4. */
static int right_tags(const struct made *m, int example)
{
    const int labels = 1 + example % 4;
    int right = 0;
    for (int i = 0; i < labels; i++)
        right += sqa_random_uniform(sqa_random_key((uint64_t)m->seed, 1, m->model), (uint64_t)(4 * example + i)) <
                 m->skill;
    return right;
}

static double put_tags(struct files *f, const struct made *m, const char *key, struct sqa_arena *arena)
{
    int right = 0, labels = 0;
    for (int i = 0; i < EXAMPLES; i++) {
        const char *e[SQA_EXAMPLES_N] = {NULL};
        e[SQA_EXAMPLES_key] = key;
        set(e, arena, SQA_EXAMPLES_index, "%d", i);
        set(e, arena, SQA_EXAMPLES_loss, "0.5");
        set(e, arena, SQA_EXAMPLES_labels, "%d", 1 + i % 4);
        set(e, arena, SQA_EXAMPLES_right, "%d", right_tags(m, i));
        sqa_table_row(&f->text[SQA_FILE_EXAMPLES], SQA_FILE_EXAMPLES, e);
        right += right_tags(m, i);
        labels += 1 + i % 4;
    }
    return (double)right / labels;
}

static double put_examples(struct files *f, const struct made *m, const char *key, struct sqa_arena *arena)
{
    double sum = 0;
    for (int i = 0; i < EXAMPLES; i++) {
        const char *e[SQA_EXAMPLES_N] = {NULL};
        const double s = score(m, i);
        sum += s;
        e[SQA_EXAMPLES_key] = key;
        set(e, arena, SQA_EXAMPLES_index, "%d", i);
        if (m->kind != SERIES) {
            set(e, arena, SQA_EXAMPLES_target, "%d", i % 10);
            set(e, arena, SQA_EXAMPLES_output, "%d", s > 0 ? i % 10 : (i + 1) % 10);
        }
        set(e, arena, SQA_EXAMPLES_loss, "%.9g", m->kind == SERIES ? s : 0.5);
        if (m->examples)
            sqa_table_row(&f->text[SQA_FILE_EXAMPLES], SQA_FILE_EXAMPLES, e);
    }
    return sum / EXAMPLES;
}

static void put_costs(struct files *f, const struct made *m, const char **c, const char *key, const char *phase,
                      double work, struct sqa_arena *arena)
{
    const double ns = 1e6 * work * (1 + 0.2 * (double)strlen(m->model));
    set(c, arena, SQA_CELLS_flops, "%.0f", 4e6 * work);
    set(c, arena, SQA_CELLS_bytes, "%.0f", 2e5 * work);
    set(c, arena, SQA_CELLS_mem_planned_bytes, "%.0f", 3e6 * work);
    set(c, arena, SQA_CELLS_mem_own_bytes, "%.0f", 4e6 * work + 1e4 * m->seed);
    set(c, arena, SQA_CELLS_latency_ns_median, "%.0f", ns);
    set(c, arena, SQA_CELLS_latency_samples, "%d", SAMPLES);
    set(c, arena, SQA_CELLS_throughput_tokens_per_s, "%.6g", 64 * 8 / ns * 1e9);
    for (int i = 0; i < SAMPLES && m->samples; i++) {
        const char *s[SQA_SAMPLES_N] = {NULL};
        s[SQA_SAMPLES_key] = key;
        s[SQA_SAMPLES_phase] = phase;
        set(s, arena, SQA_SAMPLES_round, "0");
        set(s, arena, SQA_SAMPLES_index, "%d", i);
        set(s, arena, SQA_SAMPLES_ns, "%.0f", ns * (1 + 0.01 * (i - SAMPLES / 2)));
        sqa_table_row(&f->text[SQA_FILE_SAMPLES], SQA_FILE_SAMPLES, s);
    }
}

static void put_cell(struct files *f, const struct made *m)
{
    struct sqa_arena arena = {0};
    const char *c[SQA_CELLS_N] = {NULL};
    char key[128];
    const int floor = strcmp(m->model, "majority") == 0 || strcmp(m->model, "first_token") == 0 ||
                      strcmp(m->model, "repeat_last") == 0;
    const int ok = strcmp(m->status, "ok") == 0;
    snprintf(key, sizeof key, "%s-%s-%d", m->task, m->model, m->seed);
    c[SQA_CELLS_key] = key;
    c[SQA_CELLS_phase] = "train";
    c[SQA_CELLS_model] = m->model;
    c[SQA_CELLS_task] = m->task;
    c[SQA_CELLS_scale] = m->scale;
    c[SQA_CELLS_status] = m->status;
    c[SQA_CELLS_message] = m->message;
    c[SQA_CELLS_note] = m->note;
    c[SQA_CELLS_floor] = floor ? "1" : NULL;
    c[SQA_CELLS_recipe_source] = floor ? NULL : "smoke.ini, row 3";
    set(c, &arena, SQA_CELLS_seed, "%d", m->seed);
    if (ok) {
        const double x = m->kind == TAGS ? put_tags(f, m, key, &arena) : put_examples(f, m, key, &arena);
        set(c, &arena, SQA_CELLS_length, "64");
        set(c, &arena, SQA_CELLS_batch, "8");
        set(c, &arena, SQA_CELLS_dtype, "f32");
        set(c, &arena, SQA_CELLS_threads, "1");
        set(c, &arena, SQA_CELLS_params, "%d", floor ? 0 : 12345);
        set(c, &arena, SQA_CELLS_test_n, "%d", EXAMPLES);
        set(c, &arena, m->kind == SERIES ? SQA_CELLS_test_mse : SQA_CELLS_test_accuracy, "%.9g", x);
        set(c, &arena, m->kind == SERIES ? SQA_CELLS_valid_mse : SQA_CELLS_valid_accuracy, "%.9g", x * 0.9);
        if (m->kind == SERIES) {
            set(c, &arena, SQA_CELLS_test_mae, "%.9g", 0.8 * x);
            set(c, &arena, SQA_CELLS_horizon, "24");
        }
        if (!floor) {
            set(c, &arena, SQA_CELLS_steps, "200");
            put_costs(f, m, c, key, "train", 3, &arena);
        }
    }
    sqa_table_row(&f->text[SQA_FILE_CELLS], SQA_FILE_CELLS, c);
    if (ok && !floor) {
        c[SQA_CELLS_phase] = "infer";
        c[SQA_CELLS_test_accuracy] = c[SQA_CELLS_valid_accuracy] = c[SQA_CELLS_test_mse] = NULL;
        put_costs(f, m, c, key, "infer", 1, &arena);
        sqa_table_row(&f->text[SQA_FILE_CELLS], SQA_FILE_CELLS, c);
    }
    sqa_arena_clear(&arena);
}

static void make_run(const char *name, const struct made *cells, size_t n, const char *json)
{
    struct files f = {0};
    struct sqa_err err = {0};
    char path[256];
    for (int i = 0; i < SQA_FILES; i++)
        sqa_table_begin(&f.text[i], i);
    for (size_t i = 0; i < n; i++)
        put_cell(&f, &cells[i]);
    assert_int_equal(sqa_make_dirs(name, &err), SQA_OK);
    for (int i = 0; i < SQA_FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", name, sqa_schemas[i].file);
        assert_false(f.text[i].failed);
        assert_int_equal(sqa_file_write(path, f.text[i].text, f.text[i].length, &err), SQA_OK);
        sqa_text_clear(&f.text[i]);
    }
    snprintf(path, sizeof path, "%s/run.json", name);
    if (json)
        assert_int_equal(sqa_file_write(path, json, strlen(json), &err), SQA_OK);
}

#define MODEL(model, seed, skill)                                                \
    {                                                                            \
        model, "listops:max=64", "smoke", seed, "ok", NULL, skill, 0, 1, 1, NULL \
    }
#define FORECAST(model, seed, skill)                                               \
    {                                                                              \
        model, "etth1:horizon=24", "smoke", seed, "ok", NULL, skill, 1, 0, 0, NULL \
    }
static const struct made small[] = {
    MODEL("transformer", 0, 0.62),
    MODEL("transformer", 1, 0.66),
    MODEL("no_mixer", 0, 0.40),
    MODEL("no_mixer", 1, 0.40),
    MODEL("majority", 0, 0.15),
    MODEL("first_token", 0, 0.42),
    {"performer:features=64", "listops:max=64", "smoke", 0, "ok", NULL, 0.38, 0, 1, 1, "features are drawn once"},
    {"performer:features=64", "listops:max=64", "smoke", 1, "diverged", "the loss is NaN | at step 17", 0, 0, 0, 0,
     NULL},
    FORECAST("transformer", 0, 0.60),
    FORECAST("transformer", 1, 0.70),
    FORECAST("dlinear", 0, 0.61),
    FORECAST("dlinear", 1, 0.72),
};
static const char small_json[] =
    "{\"schema\": \"seqarena.run/1\", \"version\": \"0.1\", \"build\": \"gcc-abc\","
    " \"started\": \"2026-01-02T03:04:05Z\", \"command\": [\"seqarena\", \"run\", \"--models\", \"^(a|b)$\", "
    "\"it's\"],"
    " \"plan\": {\"hash\": \"00ff\", \"cells\": [{\"key\": \"listops:max=64-transformer-0\"}, {\"key\": \"later\"}, "
    "3]},"
    " \"titles\": {\"models\": {\"transformer\": \"Transformer (Vaswani et al. 2017)\", \"performer\": "
    "\"Performer\"},"
    "  \"tasks\": {\"listops\": \"ListOps (Long Range Arena)\"}, \"controls\": [\"no_mixer\", \"mean_mixer\"],"
    "  \"floors\": [\"majority\"]},"
    " \"environment\": {\"cpu\": {\"model\": \"Example CPU | 9000\", \"logical\": 2, \"isa\": \"avx2 fma\"},"
    "  \"memory_bytes\": 8000000000, \"os\": \"Linux\", \"kernel\": \"6.1\", \"compiler\": \"gcc 12.2\","
    "  \"libraries\": {\"openblas\": \"0.3.21\"}, \"load_average\": [0.5, 0.25], \"governor\": null,"
    "  \"counters\": {\"available\": [\"instructions\"], \"missing\": [{\"name\": \"cycles\", \"reason\": \"not "
    "offered\"}]}}}";

static void test_small(void **state)
{
    (void)state;
    char path[1200];
    struct sqa_err err = {0};
    make_run("run", small, sizeof small / sizeof small[0], small_json);
    char *text = report("md", 1, (const char *const[]){"run"});
    snprintf(path, sizeof path, "%s/tests/ref/report_small.md", top);
    if (getenv("SEQARENA_UPDATE_REF"))
        assert_int_equal(sqa_file_write(path, text, strlen(text), &err), SQA_OK);
    char *expected = NULL;
    size_t size = 0;
    if (sqa_file_read(path, 1 << 20, &expected, &size, &err) != SQA_OK)
        fail_msg("%s", err.text);
    assert_string_equal(text, expected);
    sqa_free(expected);
    sqa_free(text);
}

static void test_csv(void **state)
{
    (void)state;
    make_run("run", small, sizeof small / sizeof small[0], NULL);
    char *text = report("csv", 1, (const char *const[]){"run"});
    has(text, "task,scale,model,metric,n_seeds,n_examples,mean,low,high,method,reference,origin\n");
    has(text, "\nlistops:max=64,smoke,majority,params,1,,0,0,0,counted,,\n");
    has(text, "\nlistops:max=64,smoke,transformer,steps,2,,200,200,200,counted,,\n");
    has(text, "\nlistops:max=64,smoke,transformer,test_accuracy,2,60,");
    has(text, ",bootstrap,first_token,\n");
    has(text, "\nlistops:max=64,smoke,transformer,infer_latency_ns,2,24,");
    has(text, "\netth1:horizon=24,smoke,dlinear,infer_latency_ns,2,24,2400000,,,,,\n");
    sqa_free(text);
}

static void test_json(void **state)
{
    (void)state;
    make_run("run", small, sizeof small / sizeof small[0], small_json);
    char *text = report("json", 1, (const char *const[]){"run"});
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    assert_non_null(root);
    assert_true(json_array_size(json_object_get(root, "values")) > 50);
    assert_int_equal(json_array_size(json_object_get(root, "failed")), 1);
    const json_t *run = json_array_get(json_object_get(root, "runs"), 0);
    assert_string_equal(json_string_value(json_object_get(run, "version")), "0.1");
    assert_int_equal(json_integer_value(json_object_get(run, "cells_waiting")), 1);
    assert_null(strstr(text, ": NaN"));
    assert_null(strstr(text, ": nan"));
    json_decref(root);
    sqa_free(text);
}

/* What the numbers must be, from counting by hand. */
static void test_figures(void **state)
{
    (void)state;
    struct sqa_pool pool;
    struct sqa_err err = {0};
    make_run("run", small, sizeof small / sizeof small[0], small_json);
    assert_int_equal(sqa_pool_read((const char *const[]){"run"}, 1, &pool, &err), SQA_OK);
    assert_int_equal(sqa_summarise(&pool, &err), SQA_OK);
    assert_int_equal(pool.n_cells, 12);
    assert_int_equal(pool.n_groups, 2);
    const struct sqa_pool_group *g = &pool.groups[0];
    static const char *const order[] = {"majority", "first_token", "no_mixer", "transformer",
                                        "performer:features=64"};
    assert_int_equal(g->n, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(g->entries[i]->label, order[i]);
    assert_string_equal(g->floor->model, "first_token");
    assert_string_equal(g->best->model, "transformer");
    double transformer = 0, floor = 0;
    for (int i = 0; i < EXAMPLES; i++) {
        transformer += score(&small[0], i) + score(&small[1], i);
        floor += score(&small[5], i);
    }
    const struct sqa_pool_entry *e = g->entries[3];
    const double mean = transformer / (2 * EXAMPLES), difference = mean - floor / EXAMPLES;
    assert_true(e->value[SQA_VALUE_test_accuracy].mean > mean - 1e-8);
    assert_true(e->value[SQA_VALUE_test_accuracy].mean < mean + 1e-8);
    assert_true(e->difference[SQA_AGAINST_FLOOR].mean > difference - 1e-8);
    assert_true(e->difference[SQA_AGAINST_FLOOR].mean < difference + 1e-8);
    assert_true(e->difference[SQA_AGAINST_FLOOR].low > 0);
    assert_true(e->difference[SQA_AGAINST_FLOOR].low < difference);
    assert_true(e->difference[SQA_AGAINST_FLOOR].high > difference);
    assert_int_equal(e->difference[SQA_AGAINST_FLOOR].n_seeds, 2);
    assert_int_equal(e->difference[SQA_AGAINST_FLOOR].n_examples, EXAMPLES);
    assert_int_equal(e->over_floor, SQA_VERDICT_BETTER);
    assert_int_equal(g->entries[4]->over_floor, SQA_VERDICT_NOT_BETTER);
    assert_int_equal(g->entries[4]->n, 2); /* the cell that diverged knows no settings, and still counts here */
    assert_string_equal(g->entries[4]->value[SQA_VALUE_test_accuracy].method, "Wilson");
    assert_null(e->against[SQA_AGAINST_MEAN_MIXER]);
    /* Forecasting without examples: t over two seeds, no floor. */
    g = &pool.groups[1];
    assert_int_equal(g->metric, SQA_VALUE_test_mse);
    assert_null(g->floor);
    assert_string_equal(g->best->model, "dlinear");
    assert_string_equal(g->best->value[SQA_VALUE_test_mse].method, "t");
    sqa_pool_clear(&pool);
}

static void test_two_runs(void **state)
{
    (void)state;
    static const struct made older[] = {MODEL("transformer", 0, 0.9), MODEL("transformer", 1, 0.9)};
    static const struct made newer[] = {MODEL("transformer", 0, 0.1), MODEL("no_mixer", 0, 0.2)};
    make_run("old", older, 2, "{\"started\": \"2026-01-01T00:00:00Z\", \"build\": \"a\"}");
    make_run("new", newer, 2, "{\"started\": \"2026-02-01T00:00:00Z\", \"build\": \"b\"}");
    char *one = report("md", 2, (const char *const[]){"new", "old"});
    has(one, "2 rows stood in several of the directories; the newest was taken");
    has(one, "different builds");
    char *csv = report("csv", 2, (const char *const[]){"new", "old"});
    char *turned = report("csv", 2, (const char *const[]){"old", "new"});
    double sum = 0;
    char expected[128];
    for (int i = 0; i < EXAMPLES; i++)
        sum += score(&newer[0], i) + score(&older[1], i);
    snprintf(expected, sizeof expected, "transformer,test_accuracy,2,60,%.6f", sum / (2 * EXAMPLES));
    expected[strlen(expected) - 3] = '\0';
    has(csv, expected);
    has(turned, expected);
    sqa_free(one);
    sqa_free(csv);
    sqa_free(turned);
}

static void refused(const char *format, size_t n, const char *directory, enum sqa_status status, const char *what)
{
    struct sqa_text out = {0};
    struct sqa_err err = {0};
    assert_int_equal(sqa_report(&directory, n, &(struct sqa_report_options){.format = format}, &out, &err), status);
    has(err.text, what);
    sqa_text_clear(&out);
}

static void write_json(const char *json)
{
    struct sqa_err err = {0};
    assert_int_equal(sqa_make_dirs("odd", &err), SQA_OK);
    assert_int_equal(sqa_file_write("odd/run.json", json, strlen(json), &err), SQA_OK);
}

static void test_odd(void **state)
{
    (void)state;
    refused("htlm", 1, "run", SQA_USAGE, "did you mean html?");
    refused("jsno", 1, "run", SQA_USAGE, "did you mean json?");
    refused("md", 0, "run", SQA_USAGE, "no run directory");
    refused("md", 1, "nowhere", SQA_INPUT, "nowhere: no such run directory");
    write_json("{\"version\": ");
    refused("json", 1, "odd", SQA_INPUT, "odd/run.json: line 1");
    write_json("3");
    refused("json", 1, "odd", SQA_INPUT, "odd/run.json: line 1");
    static const char *const lenient[] = {
        "[]",
        "{\"version\": 3, \"started\": [], \"command\": \"x\", \"plan\": 1, \"titles\": [], \"environment\": 7}",
        "{\"command\": [1, null], \"plan\": {\"cells\": {}}, \"titles\": {\"models\": 1, \"floors\": \"x\"}}",
        "{\"environment\": {\"cpu\": 3, \"memory_bytes\": \"big\", \"a\": {\"b\": [{\"c\": [[]]}, 1]}}}",
        "{\"environment\": {\"counters\": {\"available\": [{}], \"missing\": [1, \"x\", {\"name\": 3}]}}}",
    };
    for (size_t i = 0; i < sizeof lenient / sizeof lenient[0]; i++) {
        static const char *const formats[] = {"md", "csv", "json"};
        write_json(lenient[i]);
        for (size_t k = 0; k < 3; k++) {
            char *text = report(formats[k], 1, (const char *const[]){"odd"});
            assert_true(strlen(text) > 10);
            sqa_free(text);
        }
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char *const formats[] = {"md", "csv", "json"};
    static const struct made few[] = {MODEL("transformer", 0, 0.6), MODEL("first_token", 0, 0.3)};
    make_run("run", few, 2, small_json);
    for (size_t k = 0; k < 3; k++) {
        enum sqa_status status = SQA_NOMEM;
        /* The first ones each, then in strides: later ones repeat. */
        for (long n = 1; status != SQA_OK; n += n < 400 ? 1 : 7) {
            struct sqa_text out = {0};
            struct sqa_err err = {0};
            assert_true(n < 20000);
            sqa_alloc_fail_at(n);
            status = sqa_report((const char *const[]){"run"}, 1, &(struct sqa_report_options){.format = formats[k]},
                                &out, &err);
            sqa_alloc_fail_at(0);
            if (status != SQA_OK && status != SQA_NOMEM)
                fail_msg("allocation %ld: %s", n, err.text);
            sqa_text_clear(&out);
        }
    }
}

/* Many labels an example: the figures are over labels, the resamples over examples. */
static void test_tags(void **state)
{
    static const struct made tagged[] = {
        {"transformer", "mqar", "lite", 1, "ok", "", 0.8, TAGS, 1, 0, ""},
        {"local", "mqar", "lite", 1, "ok", "", 0.4, TAGS, 1, 0, ""},
        {"s4d", "mqar", "lite", 1, "ok", "", 1.1, TAGS, 1, 0, ""},
        {"majority", "mqar", "lite", 1, "ok", "", 0.1, TAGS, 1, 0, ""},
    };
    struct sqa_pool pool;
    struct sqa_err err = {0};
    (void)state;
    make_run("run", tagged, sizeof tagged / sizeof tagged[0], NULL);
    assert_int_equal(sqa_pool_read((const char *const[]){"run"}, 1, &pool, &err), SQA_OK);
    assert_int_equal(sqa_summarise(&pool, &err), SQA_OK);
    const struct sqa_pool_group *g = &pool.groups[0];
    assert_int_equal(g->n, 4);
    const struct sqa_pool_entry *const floor = g->entries[0], *const e = g->entries[1], *const best = g->entries[3];
    assert_string_equal(floor->model, "majority");
    const struct sqa_estimate x = e->value[SQA_VALUE_test_accuracy], d = e->difference[SQA_AGAINST_FLOOR];
    const double gap = x.mean - floor->value[SQA_VALUE_test_accuracy].mean;
    assert_string_equal(x.method, "bootstrap");
    assert_true(x.low < x.mean && x.mean < x.high && x.high - x.low < 0.2);
    assert_int_equal(x.n_examples, EXAMPLES);
    assert_true(d.mean > gap - 1e-8 && d.mean < gap + 1e-8 && d.low > 0.5);
    assert_int_equal(d.n_examples, EXAMPLES);
    assert_int_equal(e->over_floor, SQA_VERDICT_BETTER);
    assert_true(best->value[SQA_VALUE_test_accuracy].mean >= 1);
    assert_string_equal(best->value[SQA_VALUE_test_accuracy].method, "Wilson"); /* a bootstrap of ones has no width */
    assert_true(best->value[SQA_VALUE_test_accuracy].low < 0.97);
    sqa_pool_clear(&pool);
}

/* A model from outside with the name of one measured here: two entries; stated cost in no table of measured cost. */
static void test_external(void **state)
{
    (void)state;
    struct sqa_err err = {0};
    const char *cells =
        "schema,key,phase,model,task,scale,length,batch,seed,status,params,flops,latency_ns_median,test_n,"
        "test_accuracy,floor,origin,model_full,recipe\n"
        "1,f,train,majority,t,lite,64,,1,ok,0,,,100,0.2,1,,majority,\n"
        "1,a,train,m,t,lite,64,4,1,ok,10,,,100,0.5,,,m:dim=1,lr=1\n"
        "1,a,infer,m,t,lite,64,4,1,ok,10,100,1000,,,,,m:dim=1,lr=1\n"
        "1,x,train,m,t,lite,64,,1,ok,77,,,100,0.75,,external,m,ours\n"
        "1,x,infer,m,t,lite,64,8,1,ok,77,123,5,,,,external,m,ours\n"
        "1,y,train,m,t,lite,64,,2,ok,77,,,100,0.75,,external,m,another text\n"
        "1,z,train,no_mixer,t,lite,64,,1,ok,77,,,100,0.9,,external,no_mixer,\n";
    assert_int_equal(sqa_make_dirs("run", &err), SQA_OK);
    assert_int_equal(sqa_file_write("run/cells.csv", cells, strlen(cells), &err), SQA_OK);
    char *csv = report("csv", 1, (const char *const[]){"run"});
    has(csv, "t,lite,m,test_accuracy,1,100,0.5,");
    has(csv, "t,lite,m,test_accuracy,2,100,0.75,");
    has(csv, ",external\n");
    char *md = report("md", 1, (const char *const[]){"run"});
    has(md, "| `m` (external) ");
    has(md, "| `no_mixer` (external) "); /* no control of ours */
    has(md, "(external): scored from predictions; cost columns are what the user stated.");
    has(md, "best is `no_mixer` (external)");
    const char *measured = strstr(md, "scale lite: inference"), *stated = strstr(md, "### Stated by users");
    assert_true(measured && stated && measured < stated);
    const char *row = strstr(measured, "`m`");
    assert_true(row && row < stated);
    const char *mark = strstr(measured, "(external)");
    assert_true(mark > stated);
    has(stated, "|    5 ns |");
    assert_null(strstr(md, "minus no_mixer"));
    sqa_free(csv);
    sqa_free(md);
}

/* Errors are alike for everyone but for skill and noise: paired intervals tell 0.9 from 0.5, and not 0.9 from 0.9. */
static void test_ranking(void **state)
{
    (void)state;
#define ROW(id, value)                                                                                            \
    {                                                                                                             \
        .model = id, .task = "etth1", .scale = "lite", .kind = SERIES, .seed = 1, .skill = value, .status = "ok", \
        .examples = 1                                                                                             \
    }
    static const struct made made[] = {ROW("repeat_last", 0.1), ROW("dlinear", 0.5), ROW("nlinear", 0.9),
                                       ROW("linear", 0.9)};
#undef ROW
    make_run("run", made, sizeof made / sizeof made[0], NULL);
    char *md = report("md", 1, (const char *const[]){"run"});
    const char *at = strstr(md, "## Ranking"), *end = at ? strstr(at, "## Cost") : NULL;
    assert_non_null(end);
    const char *both = strstr(at, "|  1-2 | `"), *third = strstr(at, "|    3 | `dlinear`"),
               *last = strstr(at, "|    4 | `repeat_last` (floor)");
    assert_true(both && third && last && both < third && third < last && last < end);
    has(third, " [");
    double mse[2] = {0};
    for (int i = 0; i < EXAMPLES; i++) {
        mse[0] += score(&made[0], i) / EXAMPLES;
        mse[1] += score(&made[1], i) / EXAMPLES;
    }
    char skill[32];
    snprintf(skill, sizeof skill, "%.1f |", 100 * (1 - mse[1] / mse[0]));
    has(third, skill);
    sqa_free(md);
    make_run("run", made, 2, NULL); /* two have no ranking */
    md = report("md", 1, (const char *const[]){"run"});
    assert_null(strstr(md, "## Ranking"));
    sqa_free(md);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_scratch, remove_scratch)
int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_small), IN_DIR(test_csv),       IN_DIR(test_json), IN_DIR(test_figures),  IN_DIR(test_two_runs),
        IN_DIR(test_odd),   IN_DIR(test_no_memory), IN_DIR(test_tags), IN_DIR(test_external), IN_DIR(test_ranking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
