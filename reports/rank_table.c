/* rank_table.c - see rank_table.h */
#include "reports/rank_table.h"

#include <math.h>
#include <string.h>

#include "reports/friedman.h"

static size_t place_of(const struct sqa_rank_table *t, const char *model)
{
    size_t i = 0;
    while (i < t->n_models && strcmp(t->models[i], model) != 0)
        i++;
    return i;
}

static bool scored(const struct sqa_plots_from *from, const struct sqa_pool_entry *e, int metric)
{
    return e->class != SQA_CLASS_FLOOR && isfinite(e->value[metric].mean) && sqa_plots_wants(from, e->model);
}

/* Ranks within each task, means of them, and the order of models. scratch has room for 2 numbers a model. */
static void rank_all(struct sqa_rank_table *t, double *scratch)
{
    const size_t k = t->n_models;
    for (size_t g = 0; g < t->n_groups; g++) {
        const int metric = t->groups[g]->metric;
        double *x = scratch, *rank = scratch + k;
        size_t n = 0;
        for (size_t m = 0; m < k; m++)
            if (t->entries[g * k + m])
                x[n++] = t->entries[g * k + m]->value[metric].mean;
        sqa_ranks(x, n, sqa_value_direction(metric), rank);
        n = 0;
        for (size_t m = 0; m < k; m++)
            t->rank[g * k + m] = t->entries[g * k + m] ? rank[n++] : (double)NAN;
    }
    for (size_t m = 0; m < k; m++) {
        double sum = 0;
        size_t n = 0;
        for (size_t g = 0; g < t->n_groups; g++)
            if (t->entries[g * k + m]) {
                sum += t->rank[g * k + m];
                n++;
            }
        t->mean[m] = n ? sum / (double)n : (double)NAN;
    }
}

static void swap_models(struct sqa_rank_table *t, size_t a, size_t b)
{
    const size_t k = t->n_models;
    const char *model = t->models[a];
    const double mean = t->mean[a];
    t->models[a] = t->models[b];
    t->models[b] = model;
    t->mean[a] = t->mean[b];
    t->mean[b] = mean;
    for (size_t g = 0; g < t->n_groups; g++) {
        const struct sqa_pool_entry *e = t->entries[g * k + a];
        const double rank = t->rank[g * k + a];
        t->entries[g * k + a] = t->entries[g * k + b];
        t->entries[g * k + b] = e;
        t->rank[g * k + a] = t->rank[g * k + b];
        t->rank[g * k + b] = rank;
    }
}

static void order(struct sqa_rank_table *t)
{
    for (size_t i = 0; i < t->n_models; i++)
        for (size_t k = i; k > 0 && t->mean[k] < t->mean[k - 1]; k--)
            swap_models(t, k, k - 1);
}

enum sqa_status sqa_rank_table(const struct sqa_plots_from *from, struct sqa_rank_table *t, struct sqa_err *err)
{
    const struct sqa_pool *pool = from->pool;
    *t = (struct sqa_rank_table){0};
    t->models = sqa_arena_alloc(&t->arena, (pool->n_entries + 1) * sizeof *t->models);
    t->groups = sqa_arena_alloc(&t->arena, (pool->n_groups + 1) * sizeof *t->groups);
    bool failed = !t->models || !t->groups;
    for (size_t g = 0; g < pool->n_groups && !failed; g++) {
        const struct sqa_pool_group *group = &pool->groups[g];
        size_t n = 0;
        for (size_t i = 0; i < group->n && group->metric >= 0; i++)
            n += scored(from, group->entries[i], group->metric);
        if (n < 2)
            continue;
        t->groups[t->n_groups++] = group;
        for (size_t i = 0; i < group->n; i++)
            if (scored(from, group->entries[i], group->metric) &&
                place_of(t, group->entries[i]->model) == t->n_models)
                t->models[t->n_models++] = group->entries[i]->model;
    }
    const size_t k = t->n_models;
    t->entries = sqa_arena_alloc(&t->arena, (t->n_groups * k + 1) * sizeof *t->entries);
    t->rank = sqa_arena_alloc(&t->arena, (t->n_groups * k + 1) * sizeof *t->rank);
    t->mean = sqa_arena_alloc(&t->arena, (k + 1) * sizeof *t->mean);
    double *scratch = sqa_arena_alloc(&t->arena, (2 * k + 1) * sizeof *scratch);
    failed = failed || !t->entries || !t->rank || !t->mean || !scratch;
    if (failed) {
        sqa_rank_table_clear(t);
        return sqa_fail(err, SQA_NOMEM, "plot: no memory for ranks; free some memory or name fewer runs");
    }
    for (size_t g = 0; g < t->n_groups; g++)
        for (size_t i = t->groups[g]->n; i-- > 0;) /* of equal names the first stays */
            if (scored(from, t->groups[g]->entries[i], t->groups[g]->metric))
                t->entries[g * k + place_of(t, t->groups[g]->entries[i]->model)] = t->groups[g]->entries[i];
    rank_all(t, scratch);
    order(t);
    return SQA_OK;
}

static void drop_model(struct sqa_rank_table *t, size_t which)
{
    const size_t k = t->n_models;
    for (size_t g = 0; g < t->n_groups; g++)
        for (size_t m = 0, to = 0; m < k; m++)
            if (m != which)
                t->entries[g * (k - 1) + to++] = t->entries[g * k + m];
    memmove((void *)(t->models + which), (const void *)(t->models + which + 1), (k - 1 - which) * sizeof *t->models);
    t->n_models--;
}

static bool complete(const struct sqa_rank_table *t, size_t g)
{
    for (size_t m = 0; m < t->n_models; m++)
        if (!t->entries[g * t->n_models + m])
            return false;
    return true;
}

void sqa_rank_table_complete(struct sqa_rank_table *t, size_t least)
{
    double *scratch = sqa_arena_alloc(&t->arena, (2 * t->n_models + 1) * sizeof *scratch);
    for (;;) {
        size_t shared = 0, rarest = 0, fewest = t->n_groups + 1;
        for (size_t g = 0; g < t->n_groups; g++)
            shared += complete(t, g);
        if (shared >= least || t->n_models < 2 || !scratch)
            break;
        for (size_t m = 0; m < t->n_models; m++) {
            size_t n = 0;
            for (size_t g = 0; g < t->n_groups; g++)
                n += t->entries[g * t->n_models + m] != NULL;
            if (n <= fewest) { /* of equals the one that does worse */
                fewest = n;
                rarest = m;
            }
        }
        drop_model(t, rarest);
    }
    const size_t k = t->n_models;
    size_t to = 0;
    for (size_t g = 0; g < t->n_groups; g++)
        if (complete(t, g)) {
            t->groups[to] = t->groups[g];
            memmove((void *)(t->entries + to * k), (const void *)(t->entries + g * k), k * sizeof *t->entries);
            to++;
        }
    t->n_groups = to;
    if (!scratch) {
        t->n_models = 0;
        return;
    }
    rank_all(t, scratch);
    order(t);
}

void sqa_rank_table_clear(struct sqa_rank_table *t)
{
    sqa_arena_clear(&t->arena);
    *t = (struct sqa_rank_table){0};
}
