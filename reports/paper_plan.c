/* paper_plan.c - cells of a table that no run has (see paper.h) */
#include <math.h>
#include <string.h>

#include "reports/paper_private.h"

static bool has_run(const struct sqa_paper *paper, const struct sqa_pool *pool, const char *scale, const char *model,
                    const char *task)
{
    const int metric = sqa_paper_value(paper);
    for (size_t i = 0; i < pool->n_entries; i++) {
        const struct sqa_pool_entry *e = &pool->entries[i];
        const struct sqa_pool_group *g = &pool->groups[e->group];
        if (strcmp(e->model, model) == 0 && strcmp(g->task, task) == 0 &&
            (strcmp(g->scale, scale) == 0 || e->class == SQA_CLASS_FLOOR) && /* a floor is not trained */
            !sqa_paper_is_external(pool, e) && !isnan(e->value[metric].mean))
            return true;
    }
    return false;
}

/* Seconds of training an example: of cells that trained, else of timed steps. */
static double rate_of(const struct sqa_pool *pool, const char *model, const char *task)
{
    double timed = (double)NAN;
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *c = &pool->cells[i];
        if (strcmp(c->model, model) != 0 || strcmp(c->task, task) != 0)
            continue;
        const double seconds = sqa_pool_number(pool, c, SQA_PHASE_TRAIN, SQA_CELLS_train_seconds),
                     examples = sqa_pool_number(pool, c, SQA_PHASE_TRAIN, SQA_CELLS_train_examples),
                     ns = sqa_pool_number(pool, c, SQA_PHASE_TRAIN, SQA_CELLS_latency_ns_median),
                     batch = sqa_pool_number(pool, c, SQA_PHASE_TRAIN, SQA_CELLS_batch);
        if (seconds > 0 && examples > 0)
            return seconds / examples;
        if (ns > 0 && batch > 0)
            timed = ns * 1e-9 / batch;
    }
    return timed;
}

enum sqa_status sqa_paper_missing(const struct sqa_paper *paper, const struct sqa_pool *pool, const char *scale,
                                  struct sqa_paper_plan *out, struct sqa_err *err)
{
    *out = (struct sqa_paper_plan){0};
    out->at = sqa_alloc_array(2 * paper->n_rows * paper->n_columns, sizeof *out->at);
    if (!out->at)
        return sqa_fail(err, SQA_NOMEM, "table %s: no memory; free some memory or name fewer runs", paper->name);
    for (size_t c = 0; c < paper->n_columns; c++)
        for (size_t r = 0; r < paper->n_rows; r++) {
            const struct sqa_paper_row *row = &paper->rows[r];
            const struct sqa_paper_column *column = &paper->columns[c];
            const char *const models[] = {row->model, row->code}, *task = sqa_paper_task(row, column),
                              *at = scale ? scale : sqa_paper_scale(paper, row);
            for (int k = 0; k < 2; k++) {
                if (!models[k] || !task)
                    continue;
                out->n_cells++;
                if (!has_run(paper, pool, at, models[k], task))
                    out->at[out->n++] =
                        (struct sqa_paper_want){models[k], task, at, column, rate_of(pool, models[k], task)};
            }
        }
    return SQA_OK;
}

void sqa_paper_plan_clear(struct sqa_paper_plan *plan)
{
    sqa_free(plan->at);
    *plan = (struct sqa_paper_plan){0};
}
