/* claim_out.c - a judged claim as Markdown and JSON (see claim.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/claim.h"
#include "reports/grid.h"
#include "reports/json.h"

static const char *const bound_names[SQA_CLAIM_BOUNDS] = {"reproduced", "part", "refuted"};

/* "infer_latency_ns: `transformer` / `s4d` at 4096" */
static void put_question(struct sqa_text *out, const struct sqa_claim_test *t)
{
    static const char *const between[SQA_CLAIM_KINDS] = {" / ", " - ", ""};
    sqa_text_printf(out, "%s%s: %s", t->kind == SQA_CLAIM_EXPONENT ? "exponent of " : "", sqa_value_name(t->value),
                    t->of);
    if (t->task)
        sqa_text_printf(out, " on %s", t->task);
    if (t->over)
        sqa_text_printf(out, "%s%s", between[t->kind], t->over);
    if (t->over_task)
        sqa_text_printf(out, " on %s", t->over_task);
    if (!isnan(t->length))
        sqa_text_printf(out, " at %.0f", t->length);
    if (!isnan(t->over_length))
        sqa_text_printf(out, " and %.0f", t->over_length);
    if (!isnan(t->from))
        sqa_text_printf(out, " from %.0f", t->from);
    if (!isnan(t->to))
        sqa_text_printf(out, " to %.0f", t->to);
}

static void figure_cell(struct sqa_grid *grid, const struct sqa_claim_test *t, const struct sqa_estimate *e)
{
    const int digits = t->kind == SQA_CLAIM_DIFFERENCE ? 4 : 3;
    char low[32], high[32];
    if (isnan(e->mean)) {
        sqa_grid_cell(grid, "");
        return;
    }
    snprintf(low, sizeof low, "%.*g", digits, e->low);
    snprintf(high, sizeof high, "%.*g", digits, e->high);
    if (isnan(e->low) || strcmp(e->method, "counted") == 0)
        sqa_grid_printf(grid, "%.*g%s", digits, e->mean, isnan(e->low) ? "" : " (exact)");
    else
        sqa_grid_printf(grid, "%.*g [%s, %s]", digits, e->mean, low, high);
}

/* What the figure is made of. */
static void n_cell(struct sqa_grid *grid, const struct sqa_claim_test *t, const struct sqa_claim_result *r)
{
    const struct sqa_estimate *e = &r->figure;
    if (isnan(e->mean))
        sqa_grid_cell(grid, "");
    else if (t->kind == SQA_CLAIM_EXPONENT)
        sqa_grid_printf(grid, "%zu lengths", r->points);
    else if (sqa_value_timed(t->value))
        sqa_grid_printf(grid, "%zu sample%s", e->n_examples, e->n_examples == 1 ? "" : "s");
    else if (e->n_examples)
        sqa_grid_printf(grid, "%zu x %zu", e->n_seeds, e->n_examples);
    else
        sqa_grid_printf(grid, "%zu", e->n_seeds);
}

static void table(struct sqa_text *out, const struct sqa_claim *claim, const struct sqa_claim_judged *judged)
{
    static const char *const names[] = {"test",      "figure",        "measured",   "n",          "scale",
                                        "published", "reproduced if", "in part if", "refuted if", "verdict"};
    struct sqa_grid grid;
    sqa_grid_begin(&grid, "llrrlrrrrl");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        sqa_grid_cell(&grid, names[i]);
    for (size_t i = 0; i < claim->n_tests; i++) {
        const struct sqa_claim_test *t = &claim->tests[i];
        const struct sqa_claim_result *r = &judged->tests[i];
        struct sqa_text question = {0};
        put_question(&question, t);
        sqa_grid_cell(&grid, t->label);
        sqa_grid_cell(&grid, sqa_text_get(&question));
        figure_cell(&grid, t, &r->figure);
        n_cell(&grid, t, r);
        sqa_grid_cell(&grid, t->cells->scale);
        sqa_grid_cell(&grid, t->published ? t->published : "not stated");
        for (int b = 0; b < SQA_CLAIM_BOUNDS; b++)
            t->bound[b].text ? sqa_grid_code(&grid, t->bound[b].text, "") : sqa_grid_cell(&grid, "");
        sqa_grid_printf(&grid, "%s%s", sqa_claim_verdicts[r->verdict], r->refuted ? ", refuted" : "");
        out->failed = out->failed || question.failed;
        sqa_text_clear(&question);
    }
    sqa_grid_end(&grid, out);
}

static void line(struct sqa_text *out, const char *title, const char *text)
{
    sqa_text_printf(out, "- %s: ", title);
    sqa_markdown_text(out, text);
    sqa_text_add(out, "\n");
}

/* Processor of the first run that names one; NULL when none does. */
static const char *processor(const struct sqa_pool *pool)
{
    const char *name = NULL;
    for (size_t i = 0; i < pool->n_runs && !name; i++)
        name = sqa_pool_processor(&pool->runs[i]);
    return name;
}

/* "3 reproduced, 1 cannot tell" */
static void put_counts(struct sqa_text *out, const struct sqa_claim *claim, const struct sqa_claim_judged *judged)
{
    const char *comma = "";
    for (int v = 0; v <= SQA_CLAIM_NOT_TESTABLE; v++) {
        size_t n = 0;
        for (size_t i = 0; i < claim->n_tests; i++)
            n += (int)judged->tests[i].verdict == v ? 1 : 0;
        if (n)
            sqa_text_printf(out, "%s%zu %s", comma, n, sqa_claim_verdicts[v]);
        comma = n ? ", " : comma;
    }
}

/* "- TEST; TEST: REASON" for tests that share a reason. */
static void put_reasons(struct sqa_text *out, const struct sqa_claim *claim, const struct sqa_claim_judged *judged)
{
    const struct sqa_claim_result *tests = judged->tests;
    for (size_t i = 0; i < claim->n_tests; i++) {
        bool said = !*tests[i].why;
        for (size_t k = 0; k < i && !said; k++)
            said = strcmp(tests[k].why, tests[i].why) == 0;
        if (said)
            continue;
        struct sqa_text labels = {0};
        for (size_t k = i; k < claim->n_tests; k++)
            if (strcmp(tests[k].why, tests[i].why) == 0)
                sqa_text_printf(&labels, "%s%s", k > i ? "; " : "", claim->tests[k].label);
        line(out, sqa_text_get(&labels), tests[i].why);
        out->failed = out->failed || labels.failed;
        sqa_text_clear(&labels);
    }
}

void sqa_claim_markdown(struct sqa_text *out, const struct sqa_claim *claim, const struct sqa_claim_judged *judged,
                        const struct sqa_pool *pool, const struct sqa_claim_context *context)
{
    sqa_text_printf(out, "# Claim %s: %s\n\n", claim->name, sqa_claim_verdicts[judged->verdict]);
    sqa_markdown_text(out, claim->title);
    sqa_text_printf(out, "\n\n- Tests: ");
    put_counts(out, claim, judged);
    sqa_text_add(out, "\n");
    line(out, "Paper", claim->paper);
    line(out, "Published", claim->published);
    line(out, "Source", claim->source);
    line(out, "Refuted by", claim->refutes);
    if (processor(pool))
        line(out, "Measured on", processor(pool));
    if (*context->limits)
        line(out, "Limited", context->limits);
    sqa_text_add(out, "\n");
    table(out, claim, judged);
    sqa_text_add(out, "In brackets 95 %. A verdict is what the whole interval says; n is timing samples of the model "
                      "that has fewer, or seeds x test examples.\n");
    sqa_text_add(out, "\n");
    put_reasons(out, claim, judged);
    for (size_t i = 0; i < claim->n_notes; i++) {
        sqa_text_add(out, "\n");
        sqa_markdown_text(out, claim->notes[i]);
        sqa_text_add(out, "\n");
    }
    sqa_text_add(out, context->n_commands ? "\nThe experiment:\n\n" : "");
    for (size_t i = 0; i < context->n_commands; i++)
        sqa_text_printf(out, "    %s\n", context->commands[i]);
    if (context->n_runs)
        sqa_text_add(out, "\nJudged by the rows of:\n\n");
    for (size_t i = 0; i < context->n_runs; i++) {
        sqa_text_add(out, "- ");
        sqa_markdown_code(out, context->runs[i], false);
        sqa_text_add(out, "\n");
    }
}

static void put(json_t *object, const char *name, json_t *value, bool *failed)
{
    if (json_object_set_new(object, name, value) != 0) /* of NULL too */
        *failed = true;
}

static void put_string(json_t *object, const char *name, const char *text, bool *failed)
{
    put(object, name, text ? sqa_json_text(text) : json_null(), failed);
}

static json_t *json_test(const struct sqa_claim_test *t, const struct sqa_claim_result *r, bool *failed)
{
    json_t *o = json_object(), *bounds = json_object();
    const struct {
        const char *name, *text;
    } texts[] = {{"test", t->label},
                 {"kind", sqa_claim_kind_name(t->kind)},
                 {"value", sqa_value_name(t->value)},
                 {"of", t->of},
                 {"over", t->over},
                 {"task", t->task},
                 {"over_task", t->over_task},
                 {"scale", t->cells->scale},
                 {"published", t->published},
                 {"verdict", sqa_claim_verdicts[r->verdict]},
                 {"method", r->figure.method},
                 {"why", r->why}};
    const struct {
        const char *name;
        double number;
    } numbers[] = {{"length", t->length},  {"over_length", t->over_length}, {"measured", r->figure.mean},
                   {"low", r->figure.low}, {"high", r->figure.high},        {"times_more", r->more}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        put_string(o, texts[i].name, texts[i].text, failed);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        put(o, numbers[i].name, sqa_json_real(numbers[i].number), failed);
    for (int b = 0; b < SQA_CLAIM_BOUNDS; b++)
        put_string(bounds, bound_names[b], t->bound[b].text, failed);
    put(o, "bounds", bounds, failed);
    put(o, "refuted", json_boolean(r->refuted), failed);
    put(o, "n_seeds", json_integer((json_int_t)r->figure.n_seeds), failed);
    put(o, "n_examples", json_integer((json_int_t)r->figure.n_examples), failed);
    put(o, "lengths", json_integer((json_int_t)r->points), failed);
    return o;
}

static json_t *json_texts(const char *const *texts, size_t n)
{
    struct sqa_json_list list = {json_array(), false};
    for (size_t i = 0; i < n; i++)
        sqa_json_append(&list, sqa_json_text(texts[i]));
    if (list.failed)
        json_decref(list.array);
    return list.failed ? NULL : list.array;
}

void sqa_claim_json(struct sqa_text *out, const struct sqa_claim *claim, const struct sqa_claim_judged *judged,
                    const struct sqa_pool *pool, const struct sqa_claim_context *context)
{
    json_t *root = json_object();
    struct sqa_json_list tests = {json_array(), false};
    bool failed = false;
    const struct {
        const char *name, *text;
    } texts[] = {{"schema", "seqarena.claim/1"},
                 {"claim", claim->name},
                 {"verdict", sqa_claim_verdicts[judged->verdict]},
                 {"title", claim->title},
                 {"paper", claim->paper},
                 {"source", claim->source},
                 {"published", claim->published},
                 {"refutes", claim->refutes},
                 {"limits", context->limits},
                 {"processor", processor(pool)}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        put_string(root, texts[i].name, texts[i].text, &failed);
    for (size_t i = 0; i < claim->n_tests; i++)
        sqa_json_append(&tests, json_test(&claim->tests[i], &judged->tests[i], &failed));
    failed = failed || tests.failed;
    put(root, "tests", tests.array, &failed);
    put(root, "commands", json_texts(context->commands, context->n_commands), &failed);
    put(root, "runs", json_texts(context->runs, context->n_runs), &failed);
    if (failed)
        json_decref(root);
    sqa_json_dump(out, failed ? NULL : root);
}
