/* paper_speed.c - tables of training speed and peak memory, against one or two baselines (see paper.h) */
#include <math.h>
#include <string.h>

#include "reports/paper_private.h"

/* The metric of a panel says what it shows. */

static double printed_ratio(const struct sqa_paper_fill *f, const char *id, const char *task,
                            const struct sqa_published_row *row)
{
    size_t i = 0;
    while (i < f->paper->n_published && strcmp(f->paper->published[i], id) != 0)
        i++;
    for (size_t r = 0; i < f->paper->n_published && r < f->paper->n_rows; r++) {
        const struct sqa_paper_row *base = &f->paper->rows[r];
        if (!base->model || strcmp(base->model, f->paper->baseline[0]) != 0 || !base->published[i])
            continue;
        const struct sqa_published_row *o =
            sqa_published_find(f->published, id, base->published[i], task, row->metric);
        return o ? 1 / o->value : (double)NAN;
    }
    return (double)NAN;
}

static void printed_speed(struct sqa_paper_fill *f, struct sqa_paper_panel *p, struct sqa_paper_line *l,
                          const struct sqa_paper_row *row)
{
    const bool memory = strncmp(p->metric, "peak_memory", 11) == 0;
    const char *metric = memory ? "peak_memory_per_device" : p->against ? "speed_vs_transformer" : "steps_per_second";
    for (size_t c = 0; c < p->n_tasks; c++) {
        const char *task = f->paper->columns[c].published;
        const struct sqa_published_row *ms =
            sqa_published_find(f->published, l->id, row->label, task, "train_ms_per_iter");
        if (!memory && ms) { /* printed as times, turned into speeds */
            sqa_paper_put_printed(&l->cells[c], ms, 1);
            l->cells[c].x.mean = p->against ? 1 / (printed_ratio(f, l->id, task, ms) * ms->value) : 1000 / ms->value;
            continue;
        }
        const struct sqa_published_row *r = sqa_published_find(f->published, l->id, row->label, task, metric),
                                       *ratio = memory && p->against
                                                    ? sqa_published_find(f->published, l->id, row->label, task,
                                                                         "memory_vs_transformer")
                                                    : NULL;
        if (ratio) { /* printed as a ratio, not as a size */
            sqa_paper_put_printed(&l->cells[c], ratio, 1);
            continue;
        }
        sqa_paper_put_printed(&l->cells[c], r,
                              !memory       ? 1
                              : !p->against ? 1e9
                              : r           ? printed_ratio(f, l->id, task, r)
                                            : 1);
    }
}

static enum sqa_status speed_ratio(const struct sqa_pool_entry *e, const struct sqa_pool_entry *base,
                                   struct sqa_estimate *x)
{
    const enum sqa_status status = sqa_latency_ratio(base, e, SQA_PHASE_TRAIN, x, NULL);
    x->n_seeds = 1;
    x->n_examples = e->value[SQA_VALUE_train_latency_ns].n_examples;
    return status;
}

static void measured_speed(struct sqa_paper_fill *f, struct sqa_paper_panel *p, struct sqa_paper_line *l,
                           const struct sqa_paper_row *row)
{
    const bool memory = strncmp(p->metric, "peak_memory", 11) == 0;
    const size_t b = p->against && strcmp(p->against, f->paper->baseline[0]) != 0;
    (void)row;
    for (size_t c = 0; c < p->n_tasks; c++) {
        struct sqa_paper_cell *cell = &l->cells[c];
        const struct sqa_pool_entry *e = sqa_paper_put_entry(f, cell, l->model, l->kind == SQA_LINE_EXTERNAL, c);
        const struct sqa_pool_entry *base = e && p->against ? sqa_paper_baseline(f, e, b) : NULL;
        if (!e || (p->against && !base))
            continue;
        const struct sqa_estimate *ns = &e->value[SQA_VALUE_train_latency_ns];
        const struct sqa_estimate *bytes = &e->value[SQA_VALUE_train_mem_own_bytes];
        if (memory)
            cell->x = sqa_paper_scaled(*bytes, base ? 1 / base->value[SQA_VALUE_train_mem_own_bytes].mean : 1);
        else if (base)
            f->failed = speed_ratio(e, base, &cell->x) != SQA_OK || f->failed;
        else
            cell->x = (struct sqa_estimate){1e9 / ns->mean, 1e9 / ns->high, 1e9 / ns->low,
                                            ns->n_seeds,    ns->n_examples, ns->method};
        if (isnan(cell->x.mean))
            cell->entry = NULL;
    }
}

/* The fastest, or smallest, of what ran alike in a column. */
static void mark_best(struct sqa_paper_panel *p, bool higher)
{
    for (size_t c = 0; c < p->n_tasks; c++)
        for (size_t i = 0; i < p->n_lines; i++) {
            struct sqa_paper_cell *x = &p->lines[i].cells[c];
            bool best = x->entry && !isnan(x->x.mean);
            size_t others = 0;
            for (size_t k = 0; k < p->n_lines && best; k++) {
                const struct sqa_paper_cell *y = &p->lines[k].cells[c];
                if (k == i || !y->entry || y->entry->group != x->entry->group || isnan(y->x.mean))
                    continue;
                others++;
                best = higher ? x->x.mean >= y->x.mean : x->x.mean <= y->x.mean;
            }
            x->best = best && others;
        }
}

static void speed_panel(struct sqa_paper_fill *f, const char *title, const char *metric, enum sqa_paper_unit unit,
                        const char *against, bool higher)
{
    struct sqa_paper_panel *p =
        title ? sqa_paper_add_panel(f, title, metric, unit, against, f->paper->n_columns) : NULL;
    const size_t left_out = f->left_out;
    f->failed = f->failed || !p;
    if (!p)
        return;
    p->n_tasks = f->paper->n_columns;
    for (size_t c = 0; c < p->n_columns; c++)
        p->columns[c] = f->paper->columns[c].label;
    sqa_paper_add_lines(f, p, printed_speed, measured_speed);
    mark_best(p, higher);
    if (f->out->n_panels > 1)
        f->left_out = left_out; /* the same entries in every panel */
}

void sqa_paper_fill_speed(struct sqa_paper_fill *f)
{
    for (size_t b = 0; b < f->paper->n_baselines && !f->failed; b++) {
        const char *base = f->paper->baseline[b];
        bool there = false;
        for (size_t i = 0; i < f->pool->n_entries; i++)
            there =
                there || (strcmp(f->pool->entries[i].model, base) == 0 && sqa_paper_usable(f, &f->pool->entries[i]));
        if (!there)
            sqa_paper_add_note(
                f, sqa_arena_printf(f->arena, "%s was not run, so nothing measured is held against it.", base));
        if (!there && b > 0)
            continue;
        speed_panel(f, sqa_arena_printf(f->arena, "Training speed against %s, times", base), "speed_ratio",
                    SQA_UNIT_RATIO, base, true);
        speed_panel(f, sqa_arena_printf(f->arena, "Peak memory of training against %s, times", base),
                    "peak_memory_ratio", SQA_UNIT_RATIO, base, false);
    }
    speed_panel(f, "Training steps a second", "steps_per_second", SQA_UNIT_RATE, NULL, true);
    speed_panel(f, "Peak memory of training", "peak_memory", SQA_UNIT_BYTES, NULL, false);
    sqa_paper_add_note(
        f, "Measured memory is the resident peak of the cell's own process less what it had before the model was "
           "made; published memory ratios are made from the printed sizes.");
}
