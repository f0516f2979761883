/* tidy.c - see tidy.h */
#include "reports/tidy.h"

#include <math.h>
#include <stdio.h>

#include "base/csv.h"

static const char *const columns[] = {"task", "scale", "model", "metric", "n_seeds",   "n_examples",
                                      "mean", "low",   "high",  "method", "reference", "origin"};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

typedef void row_fn(void *user, const struct sqa_pool_group *group, const struct sqa_pool_entry *e,
                    const char *metric, const struct sqa_estimate *x, const char *reference);

static void each_value(const struct sqa_pool *pool, row_fn *row, void *user)
{
    for (size_t g = 0; g < pool->n_groups; g++) {
        const struct sqa_pool_group *group = &pool->groups[g];
        for (size_t i = 0; i < group->n; i++) {
            const struct sqa_pool_entry *e = group->entries[i];
            for (int v = 0; v < SQA_VALUE_N; v++)
                if (!isnan(e->value[v].mean))
                    row(user, group, e, sqa_value_name(v), &e->value[v], "");
            for (int k = 0; k < SQA_AGAINST_N && group->metric >= 0; k++) {
                char metric[64];
                snprintf(metric, sizeof metric, "%s_difference", sqa_value_name(group->metric));
                if (e->against[k] && !isnan(e->difference[k].mean))
                    row(user, group, e, metric, &e->difference[k], e->against[k]->label);
            }
        }
    }
}

/* Whole numbers without an exponent. */
static const char *number(char buf[32], double x)
{
    if (fabs(x) < 1e15 && x == floor(x)) {
        snprintf(buf, 32, "%.0f", x == 0 ? 0.0 : x);
        return buf;
    }
    return sqa_format_real(buf, x);
}

static void csv_row(void *user, const struct sqa_pool_group *group, const struct sqa_pool_entry *e,
                    const char *metric, const struct sqa_estimate *x, const char *reference)
{
    char seeds[32], examples[32] = "", mean[32], low[32], high[32];
    snprintf(seeds, sizeof seeds, "%zu", x->n_seeds);
    if (x->n_examples)
        snprintf(examples, sizeof examples, "%zu", x->n_examples);
    const char *fields[COLUMNS] = {group->task,
                                   group->scale,
                                   e->label,
                                   metric,
                                   seeds,
                                   examples,
                                   number(mean, x->mean),
                                   number(low, x->low),
                                   number(high, x->high),
                                   x->method,
                                   reference,
                                   e->external ? "external" : ""};
    sqa_csv_add_row(user, COLUMNS, fields);
}

void sqa_tidy_csv(struct sqa_text *out, const struct sqa_pool *pool)
{
    sqa_csv_add_row(out, COLUMNS, columns);
    each_value(pool, csv_row, out);
}

static json_t *real_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* Bytes that are no UTF-8 become "?"; an empty text becomes null. */
static json_t *text_or_null(const char *s)
{
    struct sqa_text t = {0};
    json_t *text = *s ? json_string(s) : json_null();
    if (text)
        return text;
    for (; *s; s++)
        sqa_text_add_bytes(&t, (unsigned char)*s < 0x80 ? s : "?", 1);
    text = t.failed ? NULL : json_string(sqa_text_get(&t));
    sqa_text_clear(&t);
    return text;
}

/* NULL is taken for a failed allocation and kept as such. */
struct list {
    json_t *array;
    bool failed;
};

static void append(struct list *list, json_t *item)
{
    if (!item || json_array_append_new(list->array, item) != 0)
        list->failed = true;
}

static void json_row(void *user, const struct sqa_pool_group *group, const struct sqa_pool_entry *e,
                     const char *metric, const struct sqa_estimate *x, const char *reference)
{
    append(user, json_pack("{s:o, s:o, s:o, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "task",
                           text_or_null(group->task), "scale", text_or_null(group->scale), "model",
                           text_or_null(e->label), "metric", metric, "n_seeds", (json_int_t)x->n_seeds, "n_examples",
                           x->n_examples ? json_integer((json_int_t)x->n_examples) : json_null(), "mean",
                           real_or_null(x->mean), "low", real_or_null(x->low), "high", real_or_null(x->high),
                           "method", text_or_null(x->method), "reference", text_or_null(reference), "origin",
                           text_or_null(e->external ? "external" : "")));
}

static void add_failed(struct list *list, const struct sqa_pool *pool)
{
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *cell = &pool->cells[i];
        for (int p = 0; p < SQA_PHASE_N; p++)
            if (cell->row[p] && !cell->ok[p])
                append(list, json_pack("{s:o, s:o, s:o, s:o, s:I, s:s, s:o, s:o}", "key", text_or_null(cell->key),
                                       "task", text_or_null(cell->task), "scale", text_or_null(cell->scale), "model",
                                       text_or_null(cell->model), "seed", (json_int_t)cell->seed, "phase",
                                       sqa_phase_names[p], "status",
                                       text_or_null(sqa_pool_text(pool, cell, p, SQA_CELLS_status)), "message",
                                       text_or_null(sqa_pool_text(pool, cell, p, SQA_CELLS_message))));
    }
}

static void add_runs(struct list *list, const struct sqa_pool *pool)
{
    static const char *const kept[] = {"started", "version", "build", "command", "environment"};
    for (size_t r = 0; r < pool->n_runs; r++) {
        json_t *run =
            json_pack("{s:o, s:I, s:I}", "directory", text_or_null(pool->runs[r].files.dir), "cells_replaced",
                      (json_int_t)pool->runs[r].replaced, "cells_waiting", (json_int_t)pool->runs[r].waiting);
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
            json_t *value = json_object_get(pool->runs[r].json, kept[i]);
            if (run && value && json_object_set(run, kept[i], value) != 0)
                list->failed = true;
        }
        append(list, run);
    }
}

static int to_text(const char *bytes, size_t n, void *user)
{
    struct sqa_text *out = user;
    sqa_text_add_bytes(out, bytes, n);
    return out->failed ? -1 : 0;
}

void sqa_tidy_json(struct sqa_text *out, const struct sqa_pool *pool)
{
    struct list runs = {json_array(), false}, rows = {json_array(), false}, failed = {json_array(), false};
    add_runs(&runs, pool);
    each_value(pool, json_row, &rows);
    add_failed(&failed, pool);
    json_t *root = json_pack("{s:s, s:o, s:o, s:o}", "schema", "seqarena.report/1", "runs", runs.array, "values",
                             rows.array, "failed", failed.array);
    if (runs.failed || rows.failed || failed.failed || !root ||
        json_dump_callback(root, to_text, out, JSON_INDENT(1) | JSON_REAL_PRECISION(15)) != 0)
        out->failed = true;
    sqa_text_add(out, "\n");
    json_decref(root);
}
