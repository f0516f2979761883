/* test_claim.c - claims: files that are refused, and the verdict of made-up rows for each kind of test */
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

#include "base/file.h"
#include "base/random.h"
#include "harness/claims.h"
#include "models/model.h"
#include "results/published.h"
#include "results/table.h"
#include "tasks/task.h"

static char top[1024], dir[64];
enum { EXAMPLES = 400 };

/* One cell of a made-up run: timing rows have samples, training rows an accuracy. */
struct made {
    const char *model, *task;
    int length, seed;
    double ns, spread; /* median of its samples, and their half range as a share of it */
    int samples;
    double flops, accuracy;
    const char *status; /* NULL: ok */
    const char *unfit;  /* why its timing is; NULL: it is not */
};

static void set(const char **fields, struct sqa_arena *arena, int column, double x)
{
    char text[32];
    fields[column] = sqa_arena_strdup(arena, sqa_format_real(text, x));
    assert_non_null(fields[column]);
}

/* The examples that a model of some skill gets right: hard ones are hard for all, so pairs differ less. */
static double put_examples(struct sqa_text *out, const struct made *m, const char *key, struct sqa_arena *arena)
{
    double right = 0;
    for (int i = 0; i < EXAMPLES; i++) {
        const char *e[SQA_EXAMPLES_N] = {NULL};
        const double own = sqa_random_uniform(sqa_random_key((uint64_t)m->seed, 0, m->model), (uint64_t)i);
        const bool hit = 0.9 * sqa_random_uniform(1, (uint64_t)i) + 0.1 * own < m->accuracy;
        e[SQA_EXAMPLES_key] = key;
        set(e, arena, SQA_EXAMPLES_index, i);
        set(e, arena, SQA_EXAMPLES_target, 1);
        set(e, arena, SQA_EXAMPLES_output, hit ? 1 : 2);
        set(e, arena, SQA_EXAMPLES_loss, 0.5);
        sqa_table_row(out, SQA_FILE_EXAMPLES, e);
        right += hit ? 1 : 0;
    }
    return right / EXAMPLES;
}

static void put_cell(struct sqa_text *text, const struct made *m)
{
    struct sqa_arena arena = {0};
    const char *c[SQA_CELLS_N] = {NULL};
    char key[200];
    snprintf(key, sizeof key, "%s-%s-%d-%d", m->model, m->task, m->length, m->seed);
    c[SQA_CELLS_key] = key;
    c[SQA_CELLS_phase] = m->accuracy > 0 ? "train" : "infer";
    c[SQA_CELLS_model] = m->model;
    c[SQA_CELLS_task] = m->task;
    c[SQA_CELLS_scale] = "bench";
    c[SQA_CELLS_status] = m->status ? m->status : "ok";
    c[SQA_CELLS_message] = m->status ? "it broke" : NULL;
    c[SQA_CELLS_unfit] = m->unfit;
    c[SQA_CELLS_floor] = strcmp(m->model, "majority") == 0 ? "1" : NULL;
    set(c, &arena, SQA_CELLS_seed, m->seed);
    if (!m->status) {
        set(c, &arena, SQA_CELLS_length, m->length);
        set(c, &arena, SQA_CELLS_batch, 1);
        set(c, &arena, SQA_CELLS_params, 10);
        if (m->flops > 0)
            set(c, &arena, SQA_CELLS_flops, m->flops);
        if (m->ns > 0)
            set(c, &arena, SQA_CELLS_latency_ns_median, m->ns);
        if (m->accuracy > 0)
            set(c, &arena, SQA_CELLS_test_accuracy, put_examples(&text[SQA_FILE_EXAMPLES], m, key, &arena));
    }
    sqa_table_row(&text[SQA_FILE_CELLS], SQA_FILE_CELLS, c);
    for (int i = 0; i < m->samples; i++) {
        const char *s[SQA_SAMPLES_N] = {NULL};
        s[SQA_SAMPLES_key] = key;
        s[SQA_SAMPLES_phase] = c[SQA_CELLS_phase];
        set(s, &arena, SQA_SAMPLES_round, i);
        set(s, &arena, SQA_SAMPLES_index, i);
        set(s, &arena, SQA_SAMPLES_ns, m->ns * (1 + m->spread * (2.0 * i / (m->samples - 1) - 1)));
        sqa_table_row(&text[SQA_FILE_SAMPLES], SQA_FILE_SAMPLES, s);
    }
    sqa_arena_clear(&arena);
}

static void read_pool(const struct made *cells, size_t n, struct sqa_pool *pool)
{
    struct sqa_text text[SQA_FILES] = {{0}};
    struct sqa_err err = {0};
    char path[64];
    for (int i = 0; i < SQA_FILES; i++)
        sqa_table_begin(&text[i], i);
    for (size_t i = 0; i < n; i++)
        put_cell(text, &cells[i]);
    assert_int_equal(sqa_make_dirs("run", &err), SQA_OK);
    for (int i = 0; i < SQA_FILES; i++) {
        snprintf(path, sizeof path, "run/%s", sqa_schemas[i].file);
        assert_false(text[i].failed);
        assert_int_equal(sqa_file_write(path, text[i].text, text[i].length, &err), SQA_OK);
        sqa_text_clear(&text[i]);
    }
    if (sqa_pool_read((const char *const[]){"run"}, 1, pool, &err) != SQA_OK || sqa_summarise(pool, &err) != SQA_OK)
        fail_msg("%s", err.text);
}

#define HEAD                                                                                         \
    "[claim]\ntitle = t\npaper = p\nsource = s\npublished = 3\nrefutes = r\nbudget = b\n[cells x]\n" \
    "model = slow\nmodel = fast\nrounds = 10\n"
#define RATIO HEAD "[test a]\nkind = ratio\nvalue = infer_latency_ns\nof = slow\nover = fast\n"
#define BOUNDS "reproduced = >= 3\npart = >= 1.5\nrefuted = < 1\n"

/* What made-up rows say of the first test of a claim. */
static struct sqa_claim_result judge_why(const char *text, const struct made *cells, size_t n, const char *why)
{
    struct sqa_claim *claim = sqa_alloc(sizeof *claim);
    struct sqa_claim_judged *judged = sqa_alloc(sizeof *judged);
    struct sqa_pool pool = {0};
    struct sqa_err err = {0};
    struct sqa_text out = {0};
    const char *reasons[SQA_CLAIM_TESTS] = {why};
    assert_non_null(claim);
    assert_non_null(judged);
    if (sqa_claim_parse("c.ini", text, claim, &err) != SQA_OK)
        fail_msg("%s", err.text);
    claim->name = "c";
    read_pool(cells, n, &pool);
    assert_int_equal(sqa_claim_judge(claim, &pool, reasons, judged, &err), SQA_OK);
    const struct sqa_claim_result r = judged->tests[0];
    assert_int_equal(judged->verdict, sqa_claim_join(judged->tests, claim->n_tests));
    const struct sqa_claim_context context = {"", NULL, NULL, 0, 0};
    sqa_claim_markdown(&out, claim, judged, &pool, &context);
    assert_non_null(strstr(sqa_text_get(&out), sqa_claim_verdicts[r.verdict]));
    sqa_text_clear(&out);
    sqa_claim_json(&out, claim, judged, &pool, &context);
    assert_non_null(strstr(sqa_text_get(&out), sqa_claim_verdicts[r.verdict]));
    assert_false(out.failed);
    sqa_text_clear(&out);
    sqa_pool_clear(&pool);
    sqa_claim_clear(claim);
    sqa_free(claim);
    sqa_free(judged);
    return r;
}

static struct sqa_claim_result judge(const char *text, const struct made *cells, size_t n)
{
    return judge_why(text, cells, n, NULL);
}

static void says(const struct sqa_claim_result *r, enum sqa_claim_verdict verdict, const char *why)
{
    if (r->verdict != verdict || !strstr(r->why, why))
        fail_msg("%s (%s), expected %s (%s)", sqa_claim_verdicts[r->verdict], r->why, sqa_claim_verdicts[verdict],
                 why);
}

/* slow takes `ratio` times as long as fast; both scatter by `spread`. */
static struct sqa_claim_result timed(double ratio, double spread, int samples)
{
    const struct made cells[] = {{"slow", "random", 1024, 1, 1e6 * ratio, spread, samples + 3, 0, 0, NULL, NULL},
                                 {"fast", "random", 1024, 1, 1e6, spread, samples, 0, 0, NULL, NULL}};
    return judge(RATIO BOUNDS, cells, 2);
}

static void test_ratio(void **state)
{
    (void)state;
    struct sqa_claim_result r = timed(4, 0.02, 20);
    says(&r, SQA_CLAIM_REPRODUCED, "");
    assert_true(r.figure.low < 4 && r.figure.high > 4 && r.figure.low > 3.8);
    assert_int_equal(r.figure.n_examples, 20);
    r = timed(2, 0.02, 20);
    says(&r, SQA_CLAIM_IN_PART, "");
    r = timed(1.2, 0.02, 20);
    says(&r, SQA_CLAIM_NOT, "");
    assert_false(r.refuted);
    r = timed(0.8, 0.02, 20);
    says(&r, SQA_CLAIM_NOT, "");
    assert_true(r.refuted);
    r = timed(3.1, 0.1, 20); /* reaches below 3, but not below 1.5 */
    says(&r, SQA_CLAIM_CANNOT_TELL, "reaches over 3, so at least in part; about ");
    assert_true(r.more > 1 && r.more < 100);
    r = timed(1.52, 0.1, 20);
    says(&r, SQA_CLAIM_CANNOT_TELL, "reaches over 1.5; about ");
    r = timed(3, 0.1, 20);
    says(&r, SQA_CLAIM_CANNOT_TELL, "too near the bound");
    r = timed(4, 0.02, 5);
    says(&r, SQA_CLAIM_CANNOT_TELL, "no interval: it needs samples.csv");
}

/* The width of an interval of a median shrinks with the root of n: four times the rounds halve it. */
static void test_more(void **state)
{
    (void)state;
    const struct sqa_claim_result r = timed(3.2, 0.15, 40);
    says(&r, SQA_CLAIM_CANNOT_TELL, "rounds in place of 10");
    const double half = log(r.figure.mean / r.figure.low), distance = log(r.figure.mean / 3);
    assert_true(fabs(r.more - half * half / distance / distance) < 1e-9);
    const struct sqa_claim_result enough = timed(3.2, 0.15, (int)(40 * r.more * 1.5));
    says(&enough, SQA_CLAIM_REPRODUCED, "");
}

static void test_missing(void **state)
{
    (void)state;
    const struct made one[] = {{"slow", "random", 1024, 1, 4e6, 0.02, 20, 0, 0, NULL, NULL}};
    const struct made broke[] = {{"slow", "random", 1024, 1, 4e6, 0.02, 20, 0, 0, NULL, NULL},
                                 {"fast", "random", 1024, 1, 0, 0, 0, 0, 0, "nomem", NULL}};
    const struct made two[] = {{"slow", "random", 1024, 1, 4e6, 0.02, 20, 0, 0, NULL, NULL},
                               {"fast", "random", 1024, 1, 1e6, 0.02, 20, 0, 0, NULL, NULL},
                               {"slow", "random:length=2048", 2048, 1, 9e6, 0.02, 20, 0, 0, NULL, NULL},
                               {"fast", "random:length=2048", 2048, 1, 2e6, 0.02, 20, 0, 0, NULL, NULL}};
    const struct made unfit[] = {{"slow", "random", 1024, 1, 4e6, 0.02, 20, 0, 0, NULL, NULL},
                                 {"fast", "random", 1024, 1, 1e6, 0.02, 20, 0, 0, NULL, "others worked"}};
    struct sqa_claim_result r = judge(RATIO BOUNDS, one, 1);
    says(&r, SQA_CLAIM_NOT_TESTED, "no rows of slow and fast at scale bench");
    r = judge_why(RATIO BOUNDS, one, 1, "no fast here");
    says(&r, SQA_CLAIM_NOT_TESTABLE, "no fast here");
    r = judge(RATIO BOUNDS, broke, 2);
    says(&r, SQA_CLAIM_NOT_TESTABLE, "the row of fast says nomem: it broke");
    r = judge(RATIO BOUNDS, unfit, 2);
    says(&r, SQA_CLAIM_CANNOT_TELL, "the timing of fast is unfit (others worked)");
    r = judge(RATIO BOUNDS, two, 4);
    says(&r, SQA_CLAIM_CANNOT_TELL, "2 settings fit this test");
    r = judge(RATIO "length = 2K\n" BOUNDS, two, 4);
    says(&r, SQA_CLAIM_REPRODUCED, "");
    assert_true(fabs(r.figure.mean - 4.5) < 1e-9);
    r = judge(RATIO "length = 2K\nover_length = 1K\n" BOUNDS, two, 4);
    assert_true(fabs(r.figure.mean - 9) < 1e-9);
    r = judge(RATIO "task = random:length=2048\nover_task = random\n" BOUNDS, two, 4);
    assert_true(fabs(r.figure.mean - 9) < 1e-9);
    r = judge(HEAD "scale = lite\n[test a]\nkind = ratio\nvalue = infer_latency_ns\nof = slow\nover = fast\n" BOUNDS,
              two, 2);
    says(&r, SQA_CLAIM_NOT_TESTED, "no rows of slow and fast at scale lite");
    r = judge(RATIO "task = random\n" BOUNDS, two, 4);
    assert_true(fabs(r.figure.mean - 4) < 1e-9);
    r = judge(RATIO "length = 3K\n" BOUNDS, two, 4);
    says(&r, SQA_CLAIM_NOT_TESTED, "no rows");
}

static void test_counted(void **state)
{
    (void)state;
    const struct made cells[] = {{"slow", "random", 1024, 1, 0, 0, 0, 4e6, 0, NULL, NULL},
                                 {"fast", "random", 1024, 1, 0, 0, 0, 1e6, 0, NULL, NULL}};
    struct sqa_claim_result r = judge(
        HEAD "[test a]\nkind = ratio\nvalue = infer_flops\nof = slow\nover = fast\nreproduced = >= 4\n", cells, 2);
    says(&r, SQA_CLAIM_REPRODUCED, "");
    assert_string_equal(r.figure.method, "counted");
    r = judge(HEAD "[test a]\nkind = ratio\nvalue = infer_flops\nof = slow\nover = fast\nreproduced = > 4\n", cells,
              2);
    says(&r, SQA_CLAIM_NOT, "");
}

static struct sqa_claim_result exponent(double power, double noise, size_t n, const char *keys)
{
    struct made cells[8];
    char text[1024];
    for (size_t i = 0; i < n; i++) {
        const int length = 1024 << i;
        const double bump = i % 2 ? 1 + noise : 1 - noise;
        cells[i] =
            (struct made){"slow", "random", length, 1, 1e3 * pow(length, power) * bump, 0.01, 10, 0, 0, NULL, NULL};
    }
    snprintf(text, sizeof text, HEAD "[test a]\nkind = exponent\nvalue = infer_latency_ns\nof = slow\n%s%s", keys,
             "reproduced = <= 1.2\npart = <= 1.5\nrefuted = >= 1.8\n");
    return judge(text, cells, n);
}

static void test_exponent(void **state)
{
    (void)state;
    struct sqa_claim_result r = exponent(1, 0.01, 5, "");
    says(&r, SQA_CLAIM_REPRODUCED, "");
    assert_int_equal(r.points, 5);
    r = exponent(1.35, 0.01, 5, "");
    says(&r, SQA_CLAIM_IN_PART, "");
    r = exponent(2, 0.01, 5, "");
    says(&r, SQA_CLAIM_NOT, "");
    assert_true(r.refuted);
    assert_true(fabs(r.figure.mean - 2) < 0.02);
    r = exponent(1.2, 0.2, 5, "");
    says(&r, SQA_CLAIM_CANNOT_TELL, "more or greater lengths");
    r = exponent(1, 0, 2, "");
    says(&r, SQA_CLAIM_CANNOT_TELL, "2 lengths measured, three are needed");
    r = exponent(1, 0.01, 6, "from = 2K\nto = 8K\n");
    assert_int_equal(r.points, 3);
}

/* floor 0: there is none */
static struct sqa_claim_result compared(double of, double over, int seeds, double floor)
{
    struct made cells[9];
    size_t n = 0;
    for (int s = 1; s <= seeds; s++) {
        cells[n++] = (struct made){"slow", "listops", 64, s, 0, 0, 0, 0, of, NULL, NULL};
        cells[n++] = (struct made){"fast", "listops", 64, s, 0, 0, 0, 0, over, NULL, NULL};
    }
    if (floor > 0)
        cells[n++] = (struct made){"majority", "listops", 64, 1, 0, 0, 0, 0, floor, NULL, NULL};
    return judge(HEAD "[test a]\nkind = difference\nvalue = test_accuracy\nof = slow\nover = fast\n"
                      "reproduced = >= -0.01\npart = >= -0.02\nrefuted = < -0.02\n",
                 cells, n);
}

static void test_difference(void **state)
{
    (void)state;
    struct sqa_claim_result r = compared(0.6, 0.4, 3, 0.1);
    says(&r, SQA_CLAIM_REPRODUCED, "");
    assert_string_equal(r.figure.method, "bootstrap");
    assert_int_equal(r.figure.n_seeds, 3);
    assert_true(fabs(r.figure.mean - 0.2) < 0.08);
    r = compared(0.4, 0.6, 3, 0);
    says(&r, SQA_CLAIM_NOT, "");
    assert_true(r.refuted);
    r = compared(0.5, 0.505, 2, 0);
    says(&r, SQA_CLAIM_CANNOT_TELL, "the interval reaches over");
    r = compared(0.6, 0.6, 3, 0.9);
    says(&r, SQA_CLAIM_CANNOT_TELL, "neither slow nor fast is surely better than the floors");
    r = compared(1.1, 1.1, 3, 0);
    says(&r, SQA_CLAIM_CANNOT_TELL, "the two differ alike on every pair");
}

static enum sqa_claim_verdict join(const char *letters)
{
    struct sqa_claim_result tests[8] = {{0}};
    const size_t n = strlen(letters);
    for (size_t i = 0; i < n; i++)
        tests[i].verdict = (enum sqa_claim_verdict)(strchr("rpncmx", letters[i]) - "rpncmx");
    return sqa_claim_join(tests, n);
}

static void test_join(void **state)
{
    (void)state;
    static const struct {
        const char *tests;
        enum sqa_claim_verdict verdict;
    } known[] = {{"r", SQA_CLAIM_REPRODUCED},    {"rrr", SQA_CLAIM_REPRODUCED}, {"rp", SQA_CLAIM_IN_PART},
                 {"rn", SQA_CLAIM_IN_PART},      {"nn", SQA_CLAIM_NOT},         {"rc", SQA_CLAIM_CANNOT_TELL},
                 {"nc", SQA_CLAIM_CANNOT_TELL},  {"rm", SQA_CLAIM_NOT_TESTED},  {"cm", SQA_CLAIM_NOT_TESTED},
                 {"xx", SQA_CLAIM_NOT_TESTABLE}, {"rx", SQA_CLAIM_IN_PART},     {"nx", SQA_CLAIM_NOT},
                 {"pp", SQA_CLAIM_IN_PART},      {"mx", SQA_CLAIM_NOT_TESTED}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (join(known[i].tests) != known[i].verdict)
            fail_msg("%s: %s", known[i].tests, sqa_claim_verdicts[join(known[i].tests)]);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "c.ini, line 0: [claim] lacks"},
        {"title = t\n", "line 1: a key before the first section"},
        {"[claim]\ntitle = t\ntitle = u\n", "line 3: title is given twice"},
        {"[claim]\nfoo = t\n", "line 2: 'foo' is no key of [claim]"},
        {"[claim]\ntitle =\n", "line 2: title has no value"},
        {"[claim]\n[claim]\n", "line 2: a second [claim]"},
        {"[claim\n", "line 1: a section without ]"},
        {"[clam]\n", "line 1: [clam]; write [claim]"},
        {"[claim]\nnonsense\n", "line 2: neither [SECTION] nor NAME = VALUE"},
        {"[claim]\ntitle = \x01\n", "line 2: control character 1"},
        {"[cells ]\n", "line 1: a label of 0 characters"},
        {"[cells A/B]\n", "line 1: cells A/B: it names a folder"},
        {"[cells a]\n[cells a]\n", "line 2: second cells a"},
        {"[cells a]\nrun = walk\n", "line 2: run = walk; give bench or run"},
        {"[cells a]\nround = 3\n", "line 2: 'round' is no key of cells (did you mean rounds?)"},
        {"[cells a]\nrounds = 3\nrounds = 4\n", "line 3: rounds is given twice"},
        {HEAD, "no [test LABEL]"},
        {HEAD "[test a]\nkind = quotient\n", "line 13: kind = quotient; give ratio, difference or exponent"},
        {HEAD "[test a]\nvalue = infer_latncy_ns\n",
         "line 13: value = infer_latncy_ns (did you mean infer_latency_ns?)"},
        {HEAD "[test a]\nvalue = infer_tokens_per_s\n", "line 13: value = infer_tokens_per_s; give the latency_ns"},
        {HEAD "[test a]\nlength = 0\n", "line 13: length = 0; give a whole number above 0"},
        {HEAD "[test a]\nreproduced = 3\n", "line 13: reproduced = 3; give >= or <="},
        {HEAD "[test a]\nreproduced = >= x\n", "line 13: reproduced = >= x; give"},
        {HEAD "[test a]\n[test a]\n", "line 13: a second test a"},
        {HEAD "[test a]\nkind = ratio\n", "line 12: test a has no kind, value or of"},
        {HEAD "[test a]\nkind = ratio\nvalue = params\nof = slow\n", "line 12: test a has no over"},
        {RATIO "reproduced = >= 3\nfrom = 1K\n", "line 12: test a has from or to"},
        {RATIO "cells = y\n", "line 12: test a: cells y; name one"},
        {RATIO, "line 12: test a has no reproduced"},
        {RATIO "reproduced = >= 3\npart = >= 4\n", "part >= 4 is not weaker than reproduced >= 3"},
        {RATIO "reproduced = >= 3\npart = <= 2\n", "part <= 2 is not weaker"},
        {RATIO "reproduced = >= 3\nrefuted = < 4\n", "refuted < 4 does not exclude >= 3"},
        {RATIO "reproduced = >= 3\nrefuted = > 1\n", "refuted > 1 does not exclude >= 3"},
        {RATIO "reproduced = >= -1\n", "test a: >= -1 of a ratio; give a bound above 0"},
        {HEAD "[test a]\nkind = ratio\nvalue = params\nof = slow\nover = fats\nreproduced = > 1\n",
         "line 12: test a: fats is no model of cells x"},
        {HEAD "[test a]\nkind = exponent\nvalue = params\nof = slow\nlength = 4\n", "which has from and to"},
        {HEAD "[test a]\nkind = difference\nvalue = infer_flops\nof = slow\nover = fast\n", "no paired interval"},
        {"[claim]\ntitle = t\npaper = p\nsource = s\npublished = 3\nrefutes = r\nbudget = b\n[cells x]\nrun = run\n"
         "model = a\n[test a]\nkind = exponent\n",
         "line 8: cells x has no task"},
    };
    struct sqa_claim *claim = sqa_alloc(sizeof *claim);
    assert_non_null(claim);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sqa_err err = {0};
        assert_int_equal(sqa_claim_parse("c.ini", bad[i].text, claim, &err), SQA_INPUT);
        if (!strstr(err.text, bad[i].says))
            fail_msg("\"%s\", expected \"%s\"", err.text, bad[i].says);
    }
    sqa_free(claim);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct sqa_claim *claim = sqa_alloc(sizeof *claim);
    enum sqa_status status = SQA_NOMEM;
    for (long n = 1; status != SQA_OK; n++) {
        struct sqa_err err = {0};
        assert_true(n < 1000);
        sqa_alloc_fail_at(n);
        status = sqa_claim_parse("c.ini", RATIO BOUNDS, claim, &err);
        sqa_alloc_fail_at(0);
        assert_true(status == SQA_OK || status == SQA_NOMEM);
    }
    sqa_claim_clear(claim);
    sqa_free(claim);
}

/* A text must be the short form, where this build knows what it names: rows have no other. */
static void canonical(const char *where, const char *model)
{
    struct sqa_model *m;
    struct sqa_err err;
    if (sqa_model_parse(model, &m, &err) != SQA_OK) {
        if (strncmp(model, "sqa:", 4) != 0 && strcmp(model, "ecoformer") != 0)
            fail_msg("%s: %s", where, err.text);
        return;
    }
    if (strcmp(m->short_form, model) != 0)
        fail_msg("%s: %s is not the short form %s", where, model, m->short_form);
    sqa_model_free(m);
}

static void canonical_task(const char *where, const char *text)
{
    struct sqa_arena arena = {0};
    const struct sqa_task *task;
    const char *brief, *full;
    struct sqa_err err;
    if (sqa_task_canonical(text, &arena, &task, &brief, &full, &err) != SQA_OK || strcmp(brief, text) != 0)
        fail_msg("%s: %s is no short form", where, text);
    sqa_arena_clear(&arena);
}

/* Every file of results/claims: read, its models and tasks short forms that cells name. */
static void test_files(void **state)
{
    (void)state;
    struct sqa_arena arena = {0};
    struct sqa_claim *claim = sqa_alloc(sizeof *claim);
    const char *names[SQA_CLAIM_NAMES];
    char path[1200];
    snprintf(path, sizeof path, "%s/results", top);
    setenv("SEQARENA_RESULTS", path, 1);
    const size_t n = sqa_claim_names(&arena, names);
    assert_true(n >= 11);
    for (size_t i = 0; i < n; i++) {
        struct sqa_err err = {0};
        if (sqa_claim_load(names[i], claim, &err) != SQA_OK)
            fail_msg("%s", err.text);
        for (size_t c = 0; c < claim->n_cells; c++) {
            for (size_t k = 0; k < claim->cells[c].n_models; k++)
                canonical(names[i], claim->cells[c].models[k]);
            for (size_t k = 0; k < claim->cells[c].n_tasks; k++)
                canonical_task(names[i], claim->cells[c].tasks[k]);
        }
        for (size_t t = 0; t < claim->n_tests; t++) {
            const struct sqa_claim_test *test = &claim->tests[t];
            if (test->task)
                canonical_task(names[i], test->task);
            if (test->over_task)
                canonical_task(names[i], test->over_task);
        }
        sqa_claim_clear(claim);
    }
    sqa_free(claim);
    sqa_arena_clear(&arena);
    unsetenv("SEQARENA_RESULTS");
}

/* Published figures that tests print beside theirs, from the rows they say they are of: the value, or its share of
 * the value of another row. */
static const struct {
    const char *claim, *test, *id, *model, *task, *metric, *over;
} published[] = {
#define LRA(test, model)                                                                                        \
    {"lra-linear-fast", test ", time", "lra_t2", model, "Text@4K", "speed_vs_transformer", NULL},               \
    {                                                                                                           \
        "lra-linear-fast", test ", memory", "lra_t2", model, "Text@4K", "peak_memory_per_device", "Transformer" \
    }
    LRA("Linformer", "Linformer"),
    LRA("Linear Transformer", "Linear Transformer"),
    LRA("Performer", "Performer"),
    {"wide-attention", "latency", "wide_abstract", NULL, NULL, "cpu_inference_latency_speedup", NULL},
    {"wide-attention", "size", "wide_abstract", NULL, NULL, "model_size_ratio", NULL},
    {"dlinear-ett", "ETTh1, Informer, look-back 96", "ltsf_t2_multivariate", "DLinear", "ETTh1 96", "mse", NULL},
    {"dlinear-ett", "ETTh2, Informer, look-back 96", "ltsf_t2_multivariate", "DLinear", "ETTh2 96", "mse", NULL},
    {"dlinear-ett", "ETTm1, Informer, look-back 336", "ltsf_t2_multivariate", "DLinear", "ETTm1 96", "mse", NULL},
    {"dlinear-ett", "ETTm2, Informer, look-back 336", "ltsf_t2_multivariate", "DLinear", "ETTm2 96", "mse", NULL},
};

static double value_of_row(const struct sqa_published *p, size_t i, const char *model)
{
    const struct sqa_published_row *row =
        sqa_published_find(p, published[i].id, model, published[i].task, published[i].metric);
    if (!row)
        fail_msg("%s: no published row of %s", published[i].claim, published[i].id);
    return row->value;
}

static void test_published(void **state)
{
    (void)state;
    struct sqa_claim *claim = sqa_alloc(sizeof *claim);
    struct sqa_published p = {0};
    char path[1200];
    struct sqa_err err = {0};
    snprintf(path, sizeof path, "%s/results/published/lra.csv", top);
    assert_int_equal(sqa_published_read(path, &p, &err), SQA_OK);
    snprintf(path, sizeof path, "%s/results/published/forecast.csv", top);
    assert_int_equal(sqa_published_read(path, &p, &err), SQA_OK);
    snprintf(path, sizeof path, "%s/results", top);
    setenv("SEQARENA_RESULTS", path, 1);
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        const double whole = published[i].over ? value_of_row(&p, i, published[i].over) : 1,
                     expected = value_of_row(&p, i, published[i].model) / whole;
        double printed = (double)NAN;
        assert_int_equal(sqa_claim_load(published[i].claim, claim, &err), SQA_OK);
        for (size_t t = 0; t < claim->n_tests; t++)
            if (strcmp(claim->tests[t].label, published[i].test) == 0)
                printed = strtod(claim->tests[t].published, NULL);
        if (!(fabs(printed - expected) < 0.0005))
            fail_msg("%s, %s: %g is published, %g stands there", published[i].claim, published[i].test, expected,
                     printed);
        sqa_claim_clear(claim);
    }
    unsetenv("SEQARENA_RESULTS");
    sqa_published_clear(&p);
    sqa_free(claim);
}

/* The command of cells: what a limit changes, and what a shell needs. */
static void test_command(void **state)
{
    (void)state;
    static const char text[] = HEAD "lengths = 1K..4K\nphase = infer\n"
                                    "[test a]\nkind = exponent\nvalue = infer_flops\nof = slow\nreproduced = <= 1\n";
    struct sqa_arena arena = {0};
    struct sqa_claim *claim = sqa_alloc(sizeof *claim);
    struct sqa_claim_command *c = sqa_alloc(sizeof *c);
    struct sqa_claim_limits limits = {0};
    struct sqa_err err = {0};
    assert_int_equal(sqa_claim_parse("c.ini", text, claim, &err), SQA_OK);
    assert_int_equal(sqa_claim_command(&claim->cells[0], &limits, "d", &arena, c, &err), SQA_OK);
    assert_int_equal(c->argc, 0); /* no such models */
    claim->cells[0].models[0] = "transformer";
    limits.rounds = "3";
    limits.data = "my data";
    assert_int_equal(sqa_claim_command(&claim->cells[0], &limits, "d", &arena, c, &err), SQA_OK);
    assert_string_equal(sqa_claim_command_text(c, &arena),
                        "seqarena bench --model transformer --scale bench --rounds 3 --lengths 1K..4K --phase infer "
                        "--data 'my data' -o d/x");
    assert_non_null(strstr(sqa_claim_why_not(&claim->tests[0], NULL, &arena), "this build has no slow"));
    sqa_claim_clear(claim);
    sqa_free(claim);
    sqa_free(c);
    sqa_arena_clear(&arena);
}

static int make_dir(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/sqa_claim_XXXXXX", base ? base : "/tmp");
    return mkdtemp(dir) && getcwd(top, sizeof top) && chdir(dir) == 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char path[64];
    for (int i = 0; i < SQA_FILES; i++) {
        snprintf(path, sizeof path, "run/%s", sqa_schemas[i].file);
        unlink(path);
    }
    rmdir("run");
    return chdir(top) == 0 ? rmdir(dir) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ratio),   cmocka_unit_test(test_more),      cmocka_unit_test(test_missing),
        cmocka_unit_test(test_counted), cmocka_unit_test(test_exponent),  cmocka_unit_test(test_difference),
        cmocka_unit_test(test_join),    cmocka_unit_test(test_refused),   cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_files),   cmocka_unit_test(test_published), cmocka_unit_test(test_command),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
