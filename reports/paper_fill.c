/* paper_fill.c - which row of which run stands in which cell of a table (see paper.h) */
#include <math.h>
#include <string.h>

#include "reports/paper_private.h"

enum { NOTES_MAX = SQA_PAPER_NOTES + 16 };
static const struct sqa_estimate nothing = {(double)NAN, (double)NAN, (double)NAN, 0, 0, ""};

static bool too_large(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e,
                      const struct sqa_pool_entry *base)
{
    const double times = base ? e->value[SQA_VALUE_params].mean / base->value[SQA_VALUE_params].mean : 1,
                 most = f->paper->size_rule / 100;
    return most > 0 && (times > 1 + most || (f->paper->kind == SQA_PAPER_FAIR && times < 1 - most));
}

static bool stands_out(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e)
{
    const struct sqa_pool_group *g = &f->pool->groups[e->group];
    size_t models = 0;
    for (size_t i = 0; i < g->n; i++)
        models +=
            g->entries[i]->class != SQA_CLASS_FLOOR && !isnan(g->entries[i]->value[SQA_VALUE_test_accuracy].mean);
    return models > 1 && e->class != SQA_CLASS_FLOOR && (g->best == e || e->like_best);
}

struct sqa_estimate sqa_paper_scaled(struct sqa_estimate x, double by)
{
    x.mean *= by;
    x.low *= by;
    x.high *= by;
    return x;
}

/* Panels and lines. */

struct sqa_paper_panel *sqa_paper_add_panel(struct sqa_paper_fill *f, const char *title, const char *metric,
                                            enum sqa_paper_unit unit, const char *against, size_t n_columns)
{
    struct sqa_paper_panel *p = &f->out->panels[f->out->n_panels];
    const size_t lines =
        (f->paper->n_rows + f->paper->n_columns + 2) * (f->paper->n_published + 1) + f->pool->n_entries;
    *p = (struct sqa_paper_panel){.title = title, .metric = metric, .unit = unit, .against = against};
    p->columns = sqa_arena_alloc(f->arena, n_columns * sizeof *p->columns);
    p->lines = sqa_arena_alloc(f->arena, lines * sizeof *p->lines);
    if (!p->columns || !p->lines) {
        f->failed = true;
        return NULL;
    }
    p->n_columns = n_columns;
    f->out->n_panels++;
    return p;
}

struct sqa_paper_line *sqa_paper_add_line(struct sqa_paper_fill *f, struct sqa_paper_panel *p,
                                          enum sqa_paper_line_kind kind, const char *label, const char *model,
                                          const char *id)
{
    struct sqa_paper_line *l = &p->lines[p->n_lines];
    *l = (struct sqa_paper_line){.kind = kind, .label = label, .model = model, .id = id};
    l->cells = sqa_arena_alloc(f->arena, p->n_columns * sizeof *l->cells);
    if (!l->cells) {
        f->failed = true;
        return NULL;
    }
    for (size_t c = 0; c < p->n_columns; c++)
        l->cells[c] = (struct sqa_paper_cell){.x = nothing, .how = ""};
    p->n_lines++;
    return l;
}

void sqa_paper_add_note(struct sqa_paper_fill *f, const char *text)
{
    if (!text)
        f->failed = true;
    else if (f->out->n_notes < NOTES_MAX)
        f->out->notes[f->out->n_notes++] = text;
}

void sqa_paper_put_printed(struct sqa_paper_cell *cell, const struct sqa_published_row *row, double by)
{
    cell->printed = row;
    if (!row)
        return;
    cell->x.mean = row->failed ? (double)NAN : row->value * by;
    cell->text = row->failed ? "FAIL" : NULL;
}

/* The measured cell of (model, column) with what stands beside every figure; x is left to the caller. */
const struct sqa_pool_entry *sqa_paper_put_entry(struct sqa_paper_fill *f, struct sqa_paper_cell *cell,
                                                 const char *model, bool external, size_t column)
{
    const struct sqa_pool_entry *e = sqa_paper_choose(f, model, external, column, &cell->left_out);
    f->left_out += cell->left_out;
    cell->entry = e;
    if (e) {
        cell->how = sqa_paper_how(f, e, column);
        cell->base = sqa_paper_baseline(f, e, 0);
        cell->large = too_large(f, e, cell->base);
        cell->on_floor = e->over_floor == SQA_VERDICT_UNCLEAR || e->over_floor == SQA_VERDICT_NOT_BETTER;
    }
    return e;
}

/* Averages */

static bool in_first(const struct sqa_paper *paper, size_t column)
{
    return isnan(paper->columns[column].unsolved);
}

/* Per cent that a cell gives to an average; NaN when it has none. */
static double share(const struct sqa_paper_column *column, const struct sqa_paper_cell *cell, bool second)
{
    const bool may_fail = second && !isnan(column->unsolved);
    if (cell->text)
        return may_fail ? column->unsolved : (double)NAN;
    const double sure = isnan(cell->x.low) ? cell->x.mean : cell->x.low;
    return may_fail && cell->entry && sure <= column->unsolved ? column->unsolved : cell->x.mean;
}

static void put_average(struct sqa_paper_fill *f, const struct sqa_paper_line *l, size_t at, bool second)
{
    double sum = 0;
    size_t n = 0;
    const char *how = NULL;
    for (size_t c = 0; c < f->paper->n_columns; c++) {
        if (!second && !in_first(f->paper, c))
            continue;
        sum += share(&f->paper->columns[c], &l->cells[c], second);
        how = how && strcmp(how, l->cells[c].how) != 0 ? "cells of several settings" : l->cells[c].how;
        n++;
    }
    l->cells[at].x.mean = n ? sum / (double)n : (double)NAN;
    l->cells[at].how = isnan(l->cells[at].x.mean) || !how ? "" : how;
}

/* Whether a printed average is not that of the printed scores. */
static void check_average(struct sqa_paper_fill *f, const struct sqa_paper_line *l, size_t at, const char *model)
{
    const struct sqa_published_row *row = sqa_published_find(f->published, l->id, model, "Average5", "accuracy");
    const double mine = l->cells[at].x.mean;
    if (row && fabs(row->value - mine) > 0.021)
        sqa_paper_add_note(f, sqa_arena_printf(f->arena,
                                               "%s: the paper prints an average of %s where its scores give %.2f.",
                                               l->label, row->text, mine));
}

/* Lines of a panel in the order of every table: floors, controls, rows of the file, other models, other programs. */

static void measured_line(struct sqa_paper_fill *f, struct sqa_paper_panel *p, enum sqa_paper_line_kind kind,
                          const char *label, const char *model, const struct sqa_paper_row *row,
                          sqa_paper_line_fn *put)
{
    struct sqa_paper_line *l = f->failed ? NULL : sqa_paper_add_line(f, p, kind, label, model, NULL);
    if (l)
        put(f, p, l, row);
}

static bool row_has(const struct sqa_paper *paper, const char *model)
{
    for (size_t r = 0; r < paper->n_rows; r++)
        if ((paper->rows[r].model && strcmp(paper->rows[r].model, model) == 0) ||
            (paper->rows[r].code && strcmp(paper->rows[r].code, model) == 0))
            return true;
    return false;
}

static enum sqa_paper_line_kind kind_of(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e)
{
    if (sqa_paper_is_external(f->pool, e))
        return SQA_LINE_EXTERNAL;
    return e->class == SQA_CLASS_FLOOR     ? SQA_LINE_FLOOR
           : e->class == SQA_CLASS_CONTROL ? SQA_LINE_CONTROL
                                           : SQA_LINE_MEASURED;
}

/* A line a model that is in the runs but not in the file. */
static void other_lines(struct sqa_paper_fill *f, struct sqa_paper_panel *p, enum sqa_paper_line_kind kind,
                        sqa_paper_line_fn *put)
{
    const size_t first = p->n_lines;
    for (size_t i = 0; i < f->pool->n_entries && !f->failed; i++) {
        const struct sqa_pool_entry *e = &f->pool->entries[i];
        bool seen = kind_of(f, e) != kind || (kind == SQA_LINE_MEASURED && row_has(f->paper, e->model)) ||
                    !sqa_paper_usable(f, e);
        for (size_t l = first; l < p->n_lines && !seen; l++)
            seen = strcmp(p->lines[l].model, e->model) == 0;
        if (!seen)
            measured_line(f, p, kind, e->model, e->model, NULL, put);
    }
}

void sqa_paper_add_lines(struct sqa_paper_fill *f, struct sqa_paper_panel *p, sqa_paper_line_fn *printed,
                         sqa_paper_line_fn *measured)
{
    other_lines(f, p, SQA_LINE_FLOOR, measured);
    other_lines(f, p, SQA_LINE_CONTROL, measured);
    for (size_t r = 0; r < f->paper->n_rows && !f->failed; r++) {
        const struct sqa_paper_row *row = &f->paper->rows[r];
        for (size_t i = 0; i < f->paper->n_published && !f->failed && f->paper->kind != SQA_PAPER_AUDIT; i++) {
            const char *id = f->paper->published[i], *name = row->published[i];
            if (!name || !sqa_published_find(f->published, id, name, NULL, NULL))
                continue;
            struct sqa_paper_line *l = sqa_paper_add_line(f, p, SQA_LINE_PUBLISHED, row->label, NULL, id);
            if (l)
                printed(f, p, l, &(struct sqa_paper_row){.label = name});
        }
        if (row->model)
            measured_line(f, p, SQA_LINE_MEASURED, row->label, row->model, row, measured);
    }
    other_lines(f, p, SQA_LINE_MEASURED, measured);
    other_lines(f, p, SQA_LINE_EXTERNAL, measured);
}

/* accuracy */

static void averages(struct sqa_paper_fill *f, const struct sqa_paper_panel *p, const struct sqa_paper_line *l)
{
    for (size_t at = p->n_tasks; at < p->n_columns; at++)
        put_average(f, l, at, at > p->n_tasks);
}

static void printed_accuracy(struct sqa_paper_fill *f, struct sqa_paper_panel *p, struct sqa_paper_line *l,
                             const struct sqa_paper_row *row)
{
    for (size_t c = 0; c < p->n_tasks; c++)
        sqa_paper_put_printed(&l->cells[c],
                              sqa_published_find(f->published, l->id, row->label, f->paper->columns[c].published,
                                                 f->paper->metric ? f->paper->metric : "accuracy"),
                              1);
    averages(f, p, l);
    check_average(f, l, p->n_tasks, row->label);
}

static void measured_accuracy(struct sqa_paper_fill *f, struct sqa_paper_panel *p, struct sqa_paper_line *l,
                              const struct sqa_paper_row *row)
{
    (void)row;
    for (size_t c = 0; c < p->n_tasks; c++) {
        const struct sqa_pool_entry *e =
            sqa_paper_put_entry(f, &l->cells[c], l->model, l->kind == SQA_LINE_EXTERNAL, c);
        if (!e)
            continue;
        l->cells[c].x = sqa_paper_scaled(e->value[SQA_VALUE_test_accuracy], 100);
        l->cells[c].best = stands_out(f, e);
    }
    averages(f, p, l);
}

static void fill_accuracy(struct sqa_paper_fill *f)
{
    const struct sqa_paper *paper = f->paper;
    size_t first = 0;
    for (size_t c = 0; c < paper->n_columns; c++)
        first += in_first(paper, c);
    const bool second = first < paper->n_columns;
    struct sqa_paper_panel *p =
        sqa_paper_add_panel(f, "Test accuracy, %", "accuracy", SQA_UNIT_PERCENT, NULL, paper->n_columns + 1 + second);
    if (!p)
        return;
    p->n_tasks = paper->n_columns;
    for (size_t c = 0; c < paper->n_columns; c++)
        p->columns[c] = paper->columns[c].label;
    p->columns[p->n_tasks] = sqa_arena_printf(f->arena, "mean of %zu", first);
    f->failed = f->failed || !p->columns[p->n_tasks];
    if (second) {
        p->columns[p->n_tasks + 1] = sqa_arena_printf(f->arena, "mean of %zu", paper->n_columns);
        f->failed = f->failed || !p->columns[p->n_tasks + 1];
        for (size_t c = 0; c < paper->n_columns; c++)
            if (!in_first(paper, c))
                sqa_paper_add_note(
                    f, sqa_arena_printf(f->arena,
                                        "The mean of %zu leaves %s out; the mean of %zu counts it as %g when it is "
                                        "not solved (printed FAIL, or an interval that reaches %g).",
                                        first, paper->columns[c].label, paper->n_columns, paper->columns[c].unsolved,
                                        paper->columns[c].unsolved));
    }
    sqa_paper_add_lines(f, p, printed_accuracy, measured_accuracy);
}

/* gap */

static void put_gap(struct sqa_paper_line *l)
{
    l->cells[2].x.mean = l->cells[0].x.mean - l->cells[1].x.mean;
    l->cells[2].how = isnan(l->cells[2].x.mean) ? "" : l->cells[1].how;
}

static void printed_gap(struct sqa_paper_fill *f, struct sqa_paper_panel *p, struct sqa_paper_line *l,
                        const struct sqa_paper_row *row)
{
    static const char *const metrics[] = {"train_accuracy", "test_accuracy"};
    (void)p;
    for (size_t c = 0; c < 2; c++)
        sqa_paper_put_printed(
            &l->cells[c],
            sqa_published_find(f->published, l->id, row->label, f->paper->columns[0].published, metrics[c]), 1);
    put_gap(l);
}

static void measured_gap(struct sqa_paper_fill *f, struct sqa_paper_panel *p, struct sqa_paper_line *l,
                         const struct sqa_paper_row *row)
{
    (void)p;
    (void)row;
    const struct sqa_pool_entry *e = sqa_paper_put_entry(f, &l->cells[1], l->model, l->kind == SQA_LINE_EXTERNAL, 0);
    if (!e)
        return;
    l->cells[0] = l->cells[1];
    l->cells[0].x = sqa_paper_scaled(e->value[SQA_VALUE_train_accuracy], 100);
    l->cells[1].x = sqa_paper_scaled(e->value[SQA_VALUE_test_accuracy], 100);
    l->cells[1].best = stands_out(f, e);
    put_gap(l);
}

static void fill_gap(struct sqa_paper_fill *f)
{
    static const char *const columns[] = {"train", "test", "train - test"};
    const char *title = sqa_arena_printf(f->arena, "Accuracy on %s, %%", f->paper->columns[0].label);
    struct sqa_paper_panel *p = title ? sqa_paper_add_panel(f, title, "accuracy", SQA_UNIT_PERCENT, NULL, 3) : NULL;
    f->failed = f->failed || !p;
    if (!p)
        return;
    p->n_tasks = 2;
    for (size_t c = 0; c < 3; c++)
        p->columns[c] = columns[c];
    sqa_paper_add_lines(f, p, printed_gap, measured_gap);
}

/* The mode of an entry that a column can take, where padding means something for it; else "". */
static const char *mode_in(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e, size_t column)
{
    return e->class == SQA_CLASS_FLOOR || !sqa_paper_fits(f, e, column) ? "" : sqa_paper_field(f->pool, e, "padding");
}

/* The mode of a column in a group, a task and scale, which has one; "" when none says it. */
static enum sqa_status group_mode(const struct sqa_paper_fill *f, const struct sqa_pool_group *g, size_t column,
                                  const char **mode, struct sqa_err *err)
{
    *mode = "";
    for (size_t i = 0; i < g->n; i++) {
        const char *here = mode_in(f, g->entries[i], column);
        if (*here && **mode && strcmp(here, *mode) != 0)
            return sqa_fail(err, SQA_INPUT,
                            "table %s: rows of %s ran %s and %s, and one task uses one mode; give --padding %s or "
                            "--padding %s",
                            f->paper->name, f->paper->columns[column].label, *mode, here, *mode, here);
        *mode = *here ? here : *mode;
    }
    return SQA_OK;
}

static enum sqa_status check_padding(struct sqa_paper_fill *f, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (size_t c = 0; c < SQA_PAPER_COLUMNS; c++)
        f->out->padding[c] = "";
    if (f->paper->kind == SQA_PAPER_FORECAST) /* windows have one length */
        return SQA_OK;
    for (size_t k = 0; k < f->pool->n_groups * f->paper->n_columns && status == SQA_OK; k++) {
        const char *mode, **had = &f->out->padding[k % f->paper->n_columns];
        status = group_mode(f, &f->pool->groups[k / f->paper->n_columns], k % f->paper->n_columns, &mode, err);
        if (*mode)
            *had = **had && strcmp(*had, mode) != 0 ? "mixed" : mode;
    }
    return status;
}

static enum sqa_status check_published(const struct sqa_paper_fill *f, struct sqa_err *err)
{
    for (size_t i = 0; i < f->paper->n_published; i++)
        if (!sqa_published_find(f->published, f->paper->published[i], NULL, NULL, NULL))
            return sqa_fail(err, SQA_INPUT,
                            "table %s: published table '%.60s' is not among the published numbers; correct the name",
                            f->paper->name, f->paper->published[i]);
    return SQA_OK;
}

enum sqa_status sqa_paper_fill(const struct sqa_paper *paper, const struct sqa_published *published,
                               const struct sqa_pool *pool, const struct sqa_paper_options *options,
                               struct sqa_paper_filled *out, struct sqa_err *err)
{
    *out = (struct sqa_paper_filled){.paper = paper, .pool = pool, .published = published};
    struct sqa_paper_fill f = {paper, published, pool, options, out, &out->arena, 0, false};
    enum sqa_status status = check_published(&f, err);
    if (status == SQA_OK)
        status = check_padding(&f, err);
    out->panels = sqa_arena_alloc(&out->arena, (2 * SQA_PAPER_BASELINES + 2) * sizeof *out->panels);
    out->notes = sqa_arena_alloc(&out->arena, NOTES_MAX * sizeof *out->notes);
    f.failed = !out->panels || !out->notes;
    for (size_t i = 0; i < paper->n_notes && !f.failed; i++)
        sqa_paper_add_note(&f, paper->note[i]);
    if (status == SQA_OK && !f.failed)
        (paper->kind == SQA_PAPER_GAP        ? fill_gap
         : paper->kind == SQA_PAPER_SPEED    ? sqa_paper_fill_speed
         : paper->kind == SQA_PAPER_AUDIT    ? sqa_paper_fill_audit
         : paper->kind == SQA_PAPER_FAIR     ? sqa_paper_fill_fair
         : paper->kind == SQA_PAPER_FORECAST ? sqa_paper_fill_forecast
         : paper->kind == SQA_PAPER_FACTS    ? sqa_paper_fill_facts
                                             : fill_accuracy)(&f);
    if (status == SQA_OK && !f.failed)
        sqa_paper_judge(&f);
    if (status == SQA_OK && f.left_out)
        sqa_paper_add_note(
            &f, sqa_arena_printf(&out->arena,
                                 "%zu other entr%s left out (same models and tasks): another scale, task form or "
                                 "setting; --scale chooses.",
                                 f.left_out, f.left_out == 1 ? "y is" : "ies are"));
    if (status == SQA_OK && f.failed)
        status = sqa_fail(err, SQA_NOMEM, "table %s: no memory; free some memory or name fewer runs", paper->name);
    if (status != SQA_OK)
        sqa_paper_filled_clear(out);
    return status;
}

void sqa_paper_filled_clear(struct sqa_paper_filled *filled)
{
    sqa_arena_clear(&filled->arena);
    *filled = (struct sqa_paper_filled){0};
}
