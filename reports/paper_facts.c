/*
 * paper_facts.c - tables of facts: what is read into printed figures, and what one setting alone gives (see paper.h)
 *
 * Nothing printed is averaged or compared with what was measured: both stand in a line, and the reader judges.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/paper_private.h"

enum { READS, PRINTED, ALONE, OTHERWISE, DIFFERENCE, PARTS };
static const char *const titles[PARTS] = {"read as", "published", "this alone gives", "without it", "difference"};
static const struct {
    const char *title, *metric, *printed;
    enum sqa_paper_unit unit;
    double by;
    int value;
} panels[] = {
    {"Test accuracy, %", "accuracy", "accuracy", SQA_UNIT_PERCENT, 100, SQA_VALUE_test_accuracy},
    {"MSE of standardised values", "mse", "mse", SQA_UNIT_ERROR, 1, SQA_VALUE_test_mse},
};

static size_t panel_of(const struct sqa_paper_row *row)
{
    return row->on->metric && strcmp(row->on->metric, "mse") == 0;
}

/* The entry of that very task: at the table's scale before others, the latest of those. */
static const struct sqa_pool_entry *choose(const struct sqa_paper_fill *f, const char *model, const char *task,
                                           int value)
{
    const struct sqa_pool_entry *best = NULL;
    bool own = false;
    for (size_t i = 0; i < f->pool->n_entries; i++) {
        const struct sqa_pool_entry *e = &f->pool->entries[i];
        const struct sqa_pool_group *g = &f->pool->groups[e->group];
        const bool here = strcmp(g->scale, f->options->scale ? f->options->scale : f->paper->scale) == 0;
        if (e->external || isnan(e->value[value].mean) || strcmp(e->model, model) != 0 ||
            strcmp(g->task, task) != 0 || (own && !here) ||
            (f->options->scale && !here && e->class != SQA_CLASS_FLOOR))
            continue;
        own = here;
        best = e;
    }
    return best;
}

static void put(struct sqa_paper_fill *f, struct sqa_paper_cell *cell, const char *model,
                const struct sqa_paper_column *column, size_t panel)
{
    const struct sqa_pool_entry *e = choose(f, model, column->task, panels[panel].value);
    cell->entry = e;
    if (!e)
        return;
    cell->x = sqa_paper_scaled(e->value[panels[panel].value], panels[panel].by);
    if (e->class != SQA_CLASS_FLOOR)
        cell->how = sqa_paper_how(f, e, (size_t)(column - f->paper->columns));
}

const char *sqa_paper_next_name(const char *at, char *name, size_t size)
{
    const size_t n = strcspn(at, "|"), left = strspn(at, " ");
    size_t end = n;
    while (end > left && at[end - 1] == ' ')
        end--;
    snprintf(name, size, "%.*s", end > left ? (int)(end - left) : 0, at + left);
    return at + n + (at[n] == '|');
}

/* "lra_t1: Transformer 36.37, Reformer 37.27" of the names "Transformer | Reformer" in each published table. */
static const char *printed(struct sqa_paper_fill *f, const struct sqa_paper_row *row, size_t panel)
{
    struct sqa_text t = {0};
    for (size_t i = 0; i < f->paper->n_published; i++) {
        const char *id = f->paper->published[i];
        size_t said = 0;
        for (const char *at = row->published[i]; at && *at;) {
            char name[128];
            at = sqa_paper_next_name(at, name, sizeof name);
            const struct sqa_published_row *found =
                sqa_published_find(f->published, id, name, row->on->published, panels[panel].printed);
            if (!found)
                continue;
            if (said++)
                sqa_text_printf(&t, ", %s %s", name, found->text);
            else
                sqa_text_printf(&t, "%s%s: %s %s", t.length ? "; " : "", id, name, found->text);
        }
    }
    const char *copy = t.length ? sqa_arena_strdup(f->arena, sqa_text_get(&t)) : "none";
    f->failed = f->failed || t.failed || !copy;
    sqa_text_clear(&t);
    return copy;
}

static void put_difference(struct sqa_paper_fill *f, struct sqa_paper_cell *cells, const struct sqa_paper_row *row,
                           size_t panel)
{
    struct sqa_paper_cell *d = &cells[DIFFERENCE];
    const struct sqa_pool_entry *a = cells[ALONE].entry, *b = cells[OTHERWISE].entry;
    if (!a || !b)
        return;
    if (row->against) /* two sets of examples: nothing to pair */
        d->x.mean = cells[ALONE].x.mean - cells[OTHERWISE].x.mean;
    else
        f->failed = sqa_value_difference(f->pool, a, b, panels[panel].value, &d->x, NULL) != SQA_OK || f->failed;
    if (!row->against)
        d->x = sqa_paper_scaled(d->x, panels[panel].by);
    d->entry = a;
    d->best = !isnan(d->x.low) && (d->x.low > 0 || d->x.high < 0);
}

static void add_fact(struct sqa_paper_fill *f, struct sqa_paper_panel *p, const struct sqa_paper_row *row,
                     size_t panel)
{
    struct sqa_paper_line *l = sqa_paper_add_line(f, p, SQA_LINE_MEASURED, row->label, NULL, NULL);
    if (!l)
        return;
    l->cells[READS].text = row->reads;
    l->cells[PRINTED].text = printed(f, row, panel);
    put(f, &l->cells[ALONE], row->code ? row->code : row->model, row->on, panel);
    if (row->code || row->against)
        put(f, &l->cells[OTHERWISE], row->model, row->code ? row->on : row->against, panel);
    put_difference(f, l->cells, row, panel);
}

void sqa_paper_fill_facts(struct sqa_paper_fill *f)
{
    for (size_t k = 0; k < sizeof panels / sizeof panels[0] && !f->failed; k++) {
        struct sqa_paper_panel *p = NULL;
        for (size_t r = 0; r < f->paper->n_rows && !f->failed; r++) {
            if (panel_of(&f->paper->rows[r]) != k)
                continue;
            if (!p) {
                p = sqa_paper_add_panel(f, panels[k].title, panels[k].metric, panels[k].unit, NULL, PARTS);
                if (!p)
                    return;
                memcpy(p->columns, titles, sizeof titles);
                p->n_tasks = PARTS;
            }
            add_fact(f, p, &f->paper->rows[r], k);
        }
    }
}
