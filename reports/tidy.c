/* tidy.c - see tidy.h */
#include "reports/tidy.h"

#include <math.h>
#include <stdio.h>

#include "base/csv.h"
#include "reports/json.h"

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

static void json_row(void *user, const struct sqa_pool_group *group, const struct sqa_pool_entry *e,
                     const char *metric, const struct sqa_estimate *x, const char *reference)
{
    sqa_json_append(user,
                    json_pack("{s:o, s:o, s:o, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "task",
                              sqa_json_text(group->task), "scale", sqa_json_text(group->scale), "model",
                              sqa_json_text(e->label), "metric", metric, "n_seeds", (json_int_t)x->n_seeds,
                              "n_examples", x->n_examples ? json_integer((json_int_t)x->n_examples) : json_null(),
                              "mean", sqa_json_real(x->mean), "low", sqa_json_real(x->low), "high",
                              sqa_json_real(x->high), "method", sqa_json_text(x->method), "reference",
                              sqa_json_text(reference), "origin", sqa_json_text(e->external ? "external" : "")));
}

static void add_failed(struct sqa_json_list *list, const struct sqa_pool *pool)
{
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *cell = &pool->cells[i];
        for (int p = 0; p < SQA_PHASE_N; p++)
            if (cell->row[p] && !cell->ok[p])
                sqa_json_append(list,
                                json_pack("{s:o, s:o, s:o, s:o, s:I, s:s, s:o, s:o}", "key", sqa_json_text(cell->key),
                                          "task", sqa_json_text(cell->task), "scale", sqa_json_text(cell->scale),
                                          "model", sqa_json_text(cell->model), "seed", (json_int_t)cell->seed,
                                          "phase", sqa_phase_names[p], "status",
                                          sqa_json_text(sqa_pool_text(pool, cell, p, SQA_CELLS_status)), "message",
                                          sqa_json_text(sqa_pool_text(pool, cell, p, SQA_CELLS_message))));
    }
}

static void add_runs(struct sqa_json_list *list, const struct sqa_pool *pool)
{
    static const char *const kept[] = {"started", "version", "build", "command", "environment"};
    for (size_t r = 0; r < pool->n_runs; r++) {
        json_t *run =
            json_pack("{s:o, s:I, s:I}", "directory", sqa_json_text(pool->runs[r].files.dir), "cells_replaced",
                      (json_int_t)pool->runs[r].replaced, "cells_waiting", (json_int_t)pool->runs[r].waiting);
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
            json_t *value = json_object_get(pool->runs[r].json, kept[i]);
            if (run && value && json_object_set(run, kept[i], value) != 0)
                list->failed = true;
        }
        sqa_json_append(list, run);
    }
}

void sqa_tidy_json(struct sqa_text *out, const struct sqa_pool *pool)
{
    struct sqa_json_list runs = {json_array(), false}, rows = {json_array(), false}, failed = {json_array(), false};
    add_runs(&runs, pool);
    each_value(pool, json_row, &rows);
    add_failed(&failed, pool);
    json_t *root = json_pack("{s:s, s:o, s:o, s:o}", "schema", "seqarena.report/1", "runs", runs.array, "values",
                             rows.array, "failed", failed.array);
    out->failed = out->failed || runs.failed || rows.failed || failed.failed;
    sqa_json_dump(out, root);
}
