/* paper_plan.c - cells of a table that no run has (see paper.h) */
#include <math.h>
#include <string.h>

#include "reports/paper_private.h"

/* Whether the directory is one that the plan of this table names. */
static bool is_own(const struct sqa_paper *paper, const char *dir)
{
    size_t end = strlen(dir), n = strlen(paper->name);
    while (end && dir[end - 1] == '/')
        end--;
    size_t at = end;
    while (at && dir[at - 1] != '/')
        at--;
    return end - at > n && strncmp(dir + at, paper->name, n) == 0 && dir[at + n] == '-';
}

enum where { NOWHERE, OWN, ELSEWHERE };

static enum where where_run(const struct sqa_paper *paper, const struct sqa_pool *pool,
                            const struct sqa_paper_want *w, int metric)
{
    enum where found = NOWHERE;
    for (size_t i = 0; i < pool->n_entries; i++) {
        const struct sqa_pool_entry *e = &pool->entries[i];
        const struct sqa_pool_group *g = &pool->groups[e->group];
        if (strcmp(e->model, w->model) != 0 || strcmp(g->task, w->task) != 0 ||
            (strcmp(g->scale, w->scale) != 0 && e->class != SQA_CLASS_FLOOR) || /* a floor is not trained */
            sqa_paper_is_external(pool, e) || isnan(e->value[metric].mean))
            continue;
        const struct sqa_pool_run *run = &pool->runs[e->cells->run[sqa_pool_first_phase(e->cells)]];
        const enum where here = is_own(paper, run->files.dir) ? OWN : ELSEWHERE;
        found = here > found ? here : found;
    }
    return found;
}

/* Seconds of training an example: on the machine asked for before any other, of cells that trained before timed
 * steps. */
static void find_rate(const struct sqa_pool *pool, const char *fingerprint, struct sqa_paper_want *w)
{
    int best = 0;
    w->seconds_per_example = (double)NAN;
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *c = &pool->cells[i];
        if (strcmp(c->model, w->model) != 0 || strcmp(c->task, w->task) != 0 || !c->row[SQA_PHASE_TRAIN])
            continue;
        const double seconds = sqa_pool_number(pool, c, SQA_PHASE_TRAIN, SQA_CELLS_train_seconds),
                     examples = sqa_pool_number(pool, c, SQA_PHASE_TRAIN, SQA_CELLS_train_examples),
                     ns = sqa_pool_number(pool, c, SQA_PHASE_TRAIN, SQA_CELLS_latency_ns_median),
                     batch = sqa_pool_number(pool, c, SQA_PHASE_TRAIN, SQA_CELLS_batch);
        const bool trained = seconds > 0 && examples > 0;
        if (!trained && !(ns > 0 && batch > 0))
            continue;
        const struct sqa_pool_run *run = &pool->runs[c->run[SQA_PHASE_TRAIN]];
        const char *machine = json_string_value(sqa_pool_json(run, "environment", "fingerprint", NULL));
        const bool here = !fingerprint || (machine && strcmp(machine, fingerprint) == 0);
        const int rank = 1 + trained + 2 * here;
        if (rank <= best)
            continue;
        best = rank;
        w->seconds_per_example = trained ? seconds / examples : ns * 1e-9 / batch;
        w->from = run;
        w->here = here;
    }
}

static void add(const struct sqa_paper *paper, const struct sqa_pool *pool, const struct sqa_paper_plan_options *o,
                struct sqa_paper_plan *out, const char *model, const struct sqa_paper_row *row,
                const struct sqa_paper_column *column)
{
    struct sqa_paper_want w = {.model = model,
                               .task = sqa_paper_task(row, column),
                               .scale = o->scale ? o->scale : sqa_paper_scale(paper, row),
                               .column = column};
    if (!model || !w.task)
        return;
    for (size_t i = 0; i < out->n; i++) /* two rows of facts may need the same cell */
        if (strcmp(out->at[i].model, model) == 0 && strcmp(out->at[i].task, w.task) == 0 &&
            strcmp(out->at[i].scale, w.scale) == 0 && out->at[i].column == column)
            return;
    out->n_cells++;
    const enum where where = where_run(paper, pool, &w, sqa_paper_value(paper, column));
    if (where == ELSEWHERE && !o->all)
        return;
    w.done = where == OWN;
    find_rate(pool, o->fingerprint, &w);
    out->n_done += w.done;
    out->at[out->n++] = w;
}

enum sqa_status sqa_paper_missing(const struct sqa_paper *paper, const struct sqa_pool *pool,
                                  const struct sqa_paper_plan_options *options, struct sqa_paper_plan *out,
                                  struct sqa_err *err)
{
    *out = (struct sqa_paper_plan){0};
    out->at = sqa_alloc_array(2 * paper->n_rows * paper->n_columns, sizeof *out->at);
    if (!out->at)
        return sqa_fail(err, SQA_NOMEM, "table %s: no memory; free some memory or name fewer runs", paper->name);
    for (size_t c = 0; c < paper->n_columns; c++)
        for (size_t r = 0; r < paper->n_rows; r++) {
            const struct sqa_paper_row *row = &paper->rows[r];
            const struct sqa_paper_column *column = &paper->columns[c];
            if (paper->kind == SQA_PAPER_FACTS && row->on != column && row->against != column)
                continue;
            add(paper, pool, options, out, row->model, row, column);
            add(paper, pool, options, out, row->on && row->on != column ? NULL : row->code, row, column);
        }
    return SQA_OK;
}

void sqa_paper_plan_clear(struct sqa_paper_plan *plan)
{
    sqa_free(plan->at);
    *plan = (struct sqa_paper_plan){0};
}
