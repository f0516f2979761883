/*
 * paper_forecast.c - tables of forecasts: a line a data set and horizon, a column a model (see paper.h)
 *
 * A line holds one published table, or what was measured. Places are within a line, so figures of two sources are never
 * compared; the average rank of a source is over its lines that have all models it has anywhere.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/paper_private.h"

enum metric { MSE, MAE, METRICS };
static const struct {
    const char *title, *name, *label;
    int value;
} metrics[METRICS] = {{"MSE of standardised values", "mse", "MSE", SQA_VALUE_test_mse},
                      {"MAE of standardised values", "mae", "MAE", SQA_VALUE_test_mae}};

struct model {                       /* a column of the printed table */
    const struct sqa_paper_row *row; /* NULL: in no row of the file */
    const char *model;               /* NULL: published only */
    bool external;
};
struct table {
    struct sqa_paper_fill *f;
    struct model models[SQA_PAPER_COLUMNS];
    size_t n_models, n_beyond; /* n_beyond: models that found no room */
    struct sqa_paper_panel *panels[METRICS];
    const struct sqa_paper_column **of[METRICS]; /* of each line of the panel */
};

static const char drop[] = "drop_last_batch=", lookback[] = "lookback=";

/* Whether two tasks differ in drop_last_batch at most. A floor reads a season at most, so its look-back may differ. */
static bool same_task(const char *a, const char *b, bool floor)
{
    static const char *const but[] = {drop, lookback};
    return sqa_paper_tasks_agree(a, b, but, floor ? 2 : 1);
}

/* What of the test windows a task leaves out, "" for nothing, as text up to a comma. */
static const char *dropped(const char *task)
{
    const char *at = strstr(task, drop);
    return at ? at : "";
}

static bool same_windows(const char *a, const char *b)
{
    const char *x = dropped(a), *y = dropped(b);
    const size_t n = strcspn(x, ",");
    return n == strcspn(y, ",") && memcmp(x, y, n) == 0;
}

static bool is_of(const struct sqa_paper_column *c, const char *task, bool floor)
{
    bool found = c->task && same_task(c->task, task, floor);
    for (size_t i = 0; i < c->n_variants && !found; i++)
        found = same_task(c->variant_tasks[i], task, floor);
    return found;
}

static bool usable(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e)
{
    const char *only = f->options->scale;
    return !isnan(e->value[SQA_VALUE_test_mse].mean) && (!only || strcmp(only, f->pool->groups[e->group].scale) == 0);
}

static void add_model(struct table *t, const struct sqa_pool_entry *e)
{
    for (size_t i = 0; i < t->n_models; i++)
        if (t->models[i].model && strcmp(t->models[i].model, e->model) == 0 && t->models[i].external == e->external)
            return;
    for (size_t c = 0; c < t->f->paper->n_columns; c++)
        if (is_of(&t->f->paper->columns[c], t->f->pool->groups[e->group].task, e->class == SQA_CLASS_FLOOR)) {
            if (t->n_models < SQA_PAPER_COLUMNS)
                t->models[t->n_models++] = (struct model){NULL, e->model, e->external};
            else
                t->n_beyond++;
            return;
        }
}

/* Rows of the file, then other models of the runs, then those of other programs. */
static void list_models(struct table *t)
{
    for (size_t r = 0; r < t->f->paper->n_rows; r++)
        t->models[t->n_models++] = (struct model){&t->f->paper->rows[r], t->f->paper->rows[r].model, false};
    for (int external = 0; external < 2; external++)
        for (size_t i = 0; i < t->f->pool->n_entries; i++)
            if (t->f->pool->entries[i].external == external && usable(t->f, &t->f->pool->entries[i]))
                add_model(t, &t->f->pool->entries[i]);
}

/* The row's scale counts most, then the windows it is tested on, then its very task, seeds, being later. */
static double worth(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e, const char *task,
                    const char *scale)
{
    const struct sqa_pool_group *g = &f->pool->groups[e->group];
    return (e->class == SQA_CLASS_FLOOR || strcmp(g->scale, scale) == 0 ? 4e6 : 0) +
           (same_windows(g->task, task) ? 2e6 : 0) + (strcmp(g->task, task) == 0 ? 1e6 : 0) +
           fmin((double)e->value[SQA_VALUE_test_mse].n_seeds, 9e5);
}

static const char *scale_of(const struct table *t, const struct model *m)
{
    return t->f->options->scale ? t->f->options->scale : sqa_paper_scale(t->f->paper, m->row);
}

static const struct sqa_pool_entry *choose(const struct table *t, const struct model *m, const char *task,
                                           size_t *others)
{
    const struct sqa_paper_fill *f = t->f;
    const struct sqa_pool_entry *best = NULL;
    const char *scale = scale_of(t, m);
    for (size_t i = 0; i < f->pool->n_entries; i++) {
        const struct sqa_pool_entry *e = &f->pool->entries[i];
        if (strcmp(e->model, m->model) != 0 || e->external != m->external || !usable(f, e) ||
            !same_task(f->pool->groups[e->group].task, task, e->class == SQA_CLASS_FLOOR))
            continue;
        *others += best != NULL;
        if (!best || worth(f, e, task, scale) >= worth(f, best, task, scale))
            best = e;
    }
    return best;
}

/* No forecast has a mean squared error below its squared mean error; figures are rounded to their last digit. */
static bool impossible(const struct sqa_published_row *mse, const struct sqa_published_row *mae)
{
    if (!mse || !mae || mse->failed || mae->failed)
        return false;
    double half[2];
    const struct sqa_published_row *const rows[] = {mse, mae};
    for (int i = 0; i < 2; i++) {
        const char *point = strchr(rows[i]->text, '.');
        half[i] = 0.5 * pow(10, point ? -(double)strspn(point + 1, "0123456789") : 0);
    }
    const double least = fmax(mae->value - half[1], 0);
    return mse->value + half[0] < least * least;
}

static void put_printed(struct table *t, enum metric m, const struct sqa_paper_column *column, const char *id,
                        size_t place)
{
    const struct sqa_paper_fill *f = t->f;
    const struct sqa_published_row *rows[METRICS];
    struct sqa_paper_line *l = NULL;
    for (size_t i = 0; i < f->paper->n_rows && !f->failed; i++) {
        const char *name = f->paper->rows[i].published[place];
        for (int k = 0; k < METRICS; k++)
            rows[k] = name ? sqa_published_find(f->published, id, name, column->published, metrics[k].name) : NULL;
        if (!rows[m])
            continue;
        if (!l) {
            t->of[m][t->panels[m]->n_lines] = column;
            l = sqa_paper_add_line(t->f, t->panels[m], SQA_LINE_PUBLISHED, column->label, NULL, id);
            if (!l)
                return;
        }
        sqa_paper_put_printed(&l->cells[i], rows[m], 1);
        l->cells[i].impossible = impossible(rows[MSE], rows[MAE]);
        l->cells[i].own = !isnan(l->cells[i].x.mean) && !l->cells[i].impossible;
        l->cells[i].second_hand = strstr(rows[m]->notes, "SECONDARY") || strstr(rows[m]->notes, "copied by");
    }
}

static void put_measured(struct table *t, enum metric m, const struct sqa_paper_column *column, size_t i,
                         struct sqa_paper_cell *cell)
{
    struct sqa_paper_fill *f = t->f;
    const struct model *model = &t->models[i];
    const char *task = sqa_paper_task(model->row, column);
    const struct sqa_pool_entry *e = model->model && task ? choose(t, model, task, &cell->left_out) : NULL;
    for (size_t k = 0; k < column->n_variants && model->model && !model->row && !e; k++)
        e = choose(t, model, task = column->variant_tasks[k], &cell->left_out);
    f->left_out += m == MSE ? cell->left_out : 0;
    if (!e)
        return;
    const struct sqa_pool_group *g = &f->pool->groups[e->group];
    const double mse = e->value[SQA_VALUE_test_mse].mean, mae = e->value[SQA_VALUE_test_mae].mean;
    if (mse < mae * mae * (1 - 1e-9)) {
        sqa_paper_add_note(f,
                           sqa_arena_printf(f->arena,
                                            "%s on %s: MSE %.6g is below the square of MAE %.6g, which no forecast "
                                            "has: the row was changed, and is left out.",
                                            e->model, g->task, mse, mae));
        return;
    }
    cell->entry = e;
    cell->x = e->value[metrics[m].value];
    cell->how = sqa_paper_forecast_how(f, e, task);
    cell->own = !isnan(cell->x.mean) && same_windows(g->task, task) &&
                (e->class == SQA_CLASS_FLOOR || strcmp(g->scale, scale_of(t, model)) == 0);
}

/* The mean of the measured cells of the columns before whose labels match. */
static void put_mean(struct table *t, enum metric m, const struct sqa_paper_column *column, size_t i,
                     struct sqa_paper_cell *cell)
{
    const struct sqa_paper_panel *p = t->panels[m];
    double sum = 0;
    size_t n = 0;
    cell->own = true;
    for (size_t k = 0; k < p->n_lines; k++) {
        const struct sqa_paper_cell *part = &p->lines[k].cells[i];
        if (p->lines[k].kind == SQA_LINE_PUBLISHED || t->of[m][k]->mean || t->of[m][k] == column ||
            !sqa_paper_matches(column->mean, t->of[m][k]->label))
            continue;
        cell->how = n && strcmp(cell->how, part->how) != 0 ? "cells of several settings" : part->how;
        cell->own = cell->own && part->own;
        sum += part->x.mean;
        n++;
    }
    cell->x.mean = n ? sum / (double)n : (double)NAN;
    cell->own = cell->own && !isnan(cell->x.mean);
    cell->how = isnan(cell->x.mean) ? "" : cell->how;
}

static void add_measured(struct table *t, enum metric m, const struct sqa_paper_column *column)
{
    t->of[m][t->panels[m]->n_lines] = column;
    struct sqa_paper_line *l = sqa_paper_add_line(t->f, t->panels[m], SQA_LINE_MEASURED, column->label, NULL, NULL);
    for (size_t i = 0; l && i < t->n_models && !t->f->failed; i++)
        (column->mean ? put_mean : put_measured)(t, m, column, i, &l->cells[i]);
}

/* Places of a line by its figures alone; the same figure is the same place. */
static void place(struct sqa_paper_panel *p, struct sqa_paper_line *l)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_columns; i++)
        n += l->cells[i].own;
    for (size_t i = 0; i < p->n_columns && n > 1; i++) {
        struct sqa_paper_cell *cell = &l->cells[i];
        if (!cell->own)
            continue;
        cell->rank_low = 1;
        cell->rank_high = 0;
        for (size_t k = 0; k < p->n_columns; k++) {
            cell->rank_low += l->cells[k].own && l->cells[k].x.mean < cell->x.mean;
            cell->rank_high += l->cells[k].own && l->cells[k].x.mean <= cell->x.mean;
        }
        cell->best = cell->rank_low == 1;
    }
}

/* A title of a model that is in no row: the model, and whose it is. */
static const char *title_of(struct table *t, const struct model *m)
{
    if (m->row)
        return m->row->label;
    const char *title = sqa_arena_printf(t->f->arena, "%s%s", m->model, m->external ? " (external)" : "");
    t->f->failed = t->f->failed || !title;
    return title ? title : "";
}

static struct sqa_paper_panel *open_panel(struct table *t, const char *title, const char *metric,
                                          enum sqa_paper_unit unit)
{
    struct sqa_paper_panel *p = sqa_paper_add_panel(t->f, title, metric, unit, NULL, t->n_models);
    for (size_t i = 0; p && i < t->n_models; i++)
        p->columns[i] = title_of(t, &t->models[i]);
    if (p)
        p->n_tasks = t->n_models;
    return p;
}

static void fill_metric(struct table *t, enum metric m)
{
    struct sqa_paper_fill *f = t->f;
    const struct sqa_paper *paper = f->paper;
    struct sqa_paper_panel *p = open_panel(t, metrics[m].title, metrics[m].name, SQA_UNIT_ERROR);
    t->panels[m] = p;
    t->of[m] = sqa_arena_alloc(f->arena, paper->n_columns * (paper->n_published + 1) * sizeof *t->of[m]);
    f->failed = f->failed || !t->of[m];
    for (size_t c = 0; c < paper->n_columns && !f->failed; c++) {
        const struct sqa_paper_column *column = &paper->columns[c];
        for (size_t i = 0; i < paper->n_published && !f->failed; i++)
            put_printed(t, m, column, paper->published[i], i);
        if (!f->failed && (column->task || column->n_variants || column->mean))
            add_measured(t, m, column);
    }
    for (size_t i = 0; i < (p ? p->n_lines : 0); i++)
        place(p, &p->lines[i]);
}

static bool is_from(const struct table *t, enum metric m, size_t line, const char *id)
{
    const struct sqa_paper_line *l = &t->panels[m]->lines[line];
    return !t->of[m][line]->mean && (id ? l->id && strcmp(l->id, id) == 0 : !l->id);
}

/* A line of average ranks: of a published table, or (id NULL) of what was measured. */
static void add_ranks(struct table *t, struct sqa_paper_panel *ranks, enum metric m, const char *id)
{
    const struct sqa_paper_panel *p = t->panels[m];
    bool there[SQA_PAPER_COLUMNS] = {false};
    double sum[SQA_PAPER_COLUMNS] = {0};
    size_t models = 0, lines = 0, n = 0;
    for (size_t l = 0; l < p->n_lines; l++)
        for (size_t i = 0; i < p->n_columns && is_from(t, m, l, id); i++)
            there[i] = there[i] || p->lines[l].cells[i].own;
    for (size_t i = 0; i < p->n_columns; i++)
        models += there[i];
    for (size_t l = 0; l < p->n_lines && models > 1; l++) {
        size_t have = 0;
        if (!is_from(t, m, l, id))
            continue;
        for (size_t i = 0; i < p->n_columns; i++)
            have += p->lines[l].cells[i].own;
        lines += have > 0;
        n += have == models;
        for (size_t i = 0; i < p->n_columns && have == models; i++)
            sum[i] += 0.5 * (double)(p->lines[l].cells[i].rank_low + p->lines[l].cells[i].rank_high);
    }
    const char *label =
        lines ? sqa_arena_printf(t->f->arena, "%s, %zu of %zu lines", metrics[m].label, n, lines) : NULL;
    t->f->failed = t->f->failed || (lines && !label);
    struct sqa_paper_line *l =
        label ? sqa_paper_add_line(t->f, ranks, id ? SQA_LINE_PUBLISHED : SQA_LINE_MEASURED, label, NULL, id) : NULL;
    for (size_t i = 0; l && n && i < p->n_columns; i++)
        if (there[i]) {
            l->cells[i].x.mean = sum[i] / (double)n;
            l->cells[i].own = true;
        }
    if (l)
        place(ranks, l);
}

void sqa_paper_fill_forecast(struct sqa_paper_fill *f)
{
    struct table t = {.f = f};
    list_models(&t);
    for (int m = 0; m < METRICS && !f->failed; m++)
        fill_metric(&t, (enum metric)m);
    struct sqa_paper_panel *ranks = f->failed ? NULL : open_panel(&t, "Average rank", "average_rank", SQA_UNIT_RANK);
    for (int m = 0; m < METRICS && ranks; m++) {
        for (size_t i = 0; i < f->paper->n_published && !f->failed; i++)
            add_ranks(&t, ranks, (enum metric)m, f->paper->published[i]);
        if (!f->failed)
            add_ranks(&t, ranks, (enum metric)m, NULL);
    }
    if (t.n_beyond)
        sqa_paper_add_note(f, sqa_arena_printf(f->arena, "%zu entries of other models found no room beside the %d.",
                                               t.n_beyond, SQA_PAPER_COLUMNS));
}
