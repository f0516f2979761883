/* md_ranking.c - forecasts in the order of their errors, with ranks and skill (see markdown.h) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/grid.h"
#include "reports/markdown.h"

struct place {
    const struct sqa_pool_entry *e;
    size_t low, high; /* ranks that the paired intervals leave open */
};

static int by_error(const void *a, const void *b)
{
    const struct sqa_pool_entry *x = ((const struct place *)a)->e, *y = ((const struct place *)b)->e;
    const double d = x->value[SQA_VALUE_test_mse].mean - y->value[SQA_VALUE_test_mse].mean;
    return d != 0 ? (d > 0) - (d < 0) : (x->first > y->first) - (x->first < y->first);
}

/* a - b. A floor is not trained and pairs with every seed of the other, so it stands second. */
static enum sqa_status difference(const struct sqa_pool *pool, const struct sqa_pool_entry *a,
                                  const struct sqa_pool_entry *b, struct sqa_estimate *d, struct sqa_err *err)
{
    const bool swap = a->class == SQA_CLASS_FLOOR && b->class != SQA_CLASS_FLOOR;
    const enum sqa_status status = sqa_value_difference(pool, swap ? b : a, swap ? a : b, SQA_VALUE_test_mse, d, err);
    const double low = d->low;
    if (status == SQA_OK && swap) {
        d->mean = -d->mean;
        d->low = -d->high;
        d->high = -low;
    }
    return status;
}

/* Every pair is compared; an interval without 0 takes a place from one of the two. */
static enum sqa_status rank(const struct sqa_pool *pool, struct place *p, size_t n, struct sqa_err *err)
{
    for (size_t i = 0; i < n; i++)
        p[i].low = 1, p[i].high = n;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            struct sqa_estimate d;
            const enum sqa_status status = difference(pool, p[i].e, p[k].e, &d, err);
            if (status != SQA_OK)
                return status;
            p[k].low += d.high < 0;
            p[i].high -= d.high < 0;
            p[i].low += d.low > 0;
            p[k].high -= d.low > 0;
        }
    return SQA_OK;
}

static const struct sqa_pool_entry *last_value(const struct place *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(p[i].e->model, "repeat_last") == 0)
            return p[i].e;
    return NULL;
}

/* 1 - MSE / MSE of the reference, in per cent; the ranks say what is told apart. */
static void skill_cell(struct sqa_grid *grid, const struct sqa_pool_entry *e, const struct sqa_pool_entry *reference)
{
    const double by = reference->value[SQA_VALUE_test_mse].mean;
    if (e == reference || !(by > 0))
        sqa_grid_cell(grid, e == reference ? "0" : "");
    else
        sqa_grid_printf(grid, "%.1f", 100 * (1 - e->value[SQA_VALUE_test_mse].mean / by));
}

static enum sqa_status write_group(struct sqa_text *out, const struct sqa_pool *pool,
                                   const struct sqa_pool_group *group, struct place *p, size_t n, struct sqa_err *err)
{
    const struct sqa_pool_entry *reference = last_value(p, n);
    struct sqa_grid grid;
    char buf[SQA_FIGURE_SIZE];
    enum sqa_status status = rank(pool, p, n, err);
    sqa_text_add(out, "### ");
    sqa_markdown_code(out, group->task, false);
    sqa_text_printf(out, "%s%s\n\n", *group->scale ? ", scale " : "", group->scale);
    sqa_grid_begin(&grid, reference ? "rlrrr" : "rlrr");
    sqa_grid_cell(&grid, "rank");
    sqa_grid_cell(&grid, "model");
    sqa_grid_cell(&grid, "test MSE");
    sqa_grid_cell(&grid, "test MAE");
    if (reference)
        sqa_grid_cell(&grid, "skill against repeat_last, %");
    for (size_t i = 0; i < n && status == SQA_OK; i++) {
        const struct sqa_pool_entry *e = p[i].e;
        if (p[i].low == p[i].high)
            sqa_grid_printf(&grid, "%zu", p[i].low);
        else
            sqa_grid_printf(&grid, "%zu-%zu", p[i].low, p[i].high);
        sqa_grid_code(&grid, e->label,
                      e->external                     ? SQA_EXTERNAL_MARK
                      : e->class == SQA_CLASS_FLOOR   ? " (floor)"
                      : e->class == SQA_CLASS_CONTROL ? " (control)"
                                                      : "");
        sqa_grid_cell(&grid, sqa_figure_metric(buf, &e->value[SQA_VALUE_test_mse], SQA_VALUE_test_mse, false));
        sqa_grid_cell(&grid, sqa_figure_metric(buf, &e->value[SQA_VALUE_test_mae], SQA_VALUE_test_mae, false));
        if (reference)
            skill_cell(&grid, e, reference);
    }
    sqa_grid_end(&grid, out);
    return status;
}

enum sqa_status sqa_markdown_ranking(struct sqa_text *out, const struct sqa_pool *pool, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    bool any = false;
    for (size_t g = 0; g < pool->n_groups && status == SQA_OK; g++) {
        const struct sqa_pool_group *group = &pool->groups[g];
        if (group->metric != SQA_VALUE_test_mse)
            continue;
        struct place *p = sqa_alloc_array(group->n, sizeof *p);
        if (!p)
            return sqa_fail(err, SQA_NOMEM, "report: no memory for a ranking; free some memory or report fewer runs");
        size_t n = 0;
        for (size_t i = 0; i < group->n; i++)
            if (!isnan(group->entries[i]->value[SQA_VALUE_test_mse].mean))
                p[n++].e = group->entries[i];
        if (n >= 3) {
            qsort(p, n, sizeof *p, by_error);
            if (!any)
                sqa_text_add(out, "## Ranking\n\nBy test MSE. A rank is a range of places where the paired 95 % "
                                  "intervals of the differences, pair by pair, do not decide. Skill is 1 - MSE / MSE "
                                  "of the last value repeated; its interval is that of the paired difference over "
                                  "that MSE.\n\n");
            any = true;
            status = write_group(out, pool, group, p, n, err);
        }
        sqa_free(p);
    }
    return status;
}
