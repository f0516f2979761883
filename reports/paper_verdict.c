/*
 * paper_verdict.c - whether a measured figure is the published one (see paper.h)
 *
 * A verdict needs a tolerance and a figure of a published table that was made at the table's published scale. A cell
 * that ran otherwise is of another scale, whatever its figure. Else the 95 % interval decides: within the tolerance of
 * the printed figure, outside, or neither.
 */
#include <math.h>
#include <string.h>

#include "reports/paper_private.h"

static const char *const names[SQA_PAPER_VERDICTS] = {"", "reproduced", "not", "cannot tell", "other scale"};

const char *sqa_paper_verdict_name(enum sqa_paper_verdict v)
{
    return names[v];
}

/* The tolerance of a cell: its own, its row's, its column's, the table's. */
static const struct sqa_paper_tolerance *tolerance_of(const struct sqa_paper *paper, const struct sqa_paper_row *row,
                                                      const struct sqa_paper_column *column)
{
    for (size_t i = 1; i <= row->n_tolerances; i++)
        if (strcmp(row->tolerance[i].column, column->label) == 0)
            return &row->tolerance[i];
    return !isnan(row->tolerance[0].by)   ? &row->tolerance[0]
           : !isnan(column->tolerance.by) ? &column->tolerance
                                          : &paper->tolerance;
}

/* The published figure that a cell is held against; NULL: none is printed. */
static const struct sqa_published_row *target_of(const struct sqa_paper_fill *f, const struct sqa_paper_row *row,
                                                 const struct sqa_paper_column *column, const char *metric)
{
    const struct sqa_paper *paper = f->paper;
    for (size_t v = 0; v < paper->n_verdicts; v++)
        for (size_t i = 0; i < paper->n_published; i++) {
            const struct sqa_published_row *found =
                row->published[i] && strcmp(paper->published[i], paper->verdict[v]) == 0
                    ? sqa_published_find(f->published, paper->published[i], row->published[i], column->published,
                                         metric)
                    : NULL;
            if (found && !found->failed)
                return found;
        }
    return NULL;
}

/* Whether the entry ran as the published figure was made. */
static bool at_setting(const struct sqa_paper_fill *f, const struct sqa_paper_cell *cell,
                       const struct sqa_paper_row *row)
{
    const struct sqa_paper *paper = f->paper;
    if (paper->kind != SQA_PAPER_FORECAST)
        return !*cell->how;
    const char *scale = row->scale ? row->scale : paper->published_scale;
    if (cell->entry->class == SQA_CLASS_FLOOR) /* which is not trained */
        return cell->own;
    return cell->own && strcmp(f->pool->groups[cell->entry->group].scale, scale) == 0 &&
           !sqa_paper_is_altered(f, cell->entry);
}

static enum sqa_paper_verdict decide(const struct sqa_estimate *x, double target, double tolerance)
{
    const double low = target - tolerance, high = target + tolerance;
    if (isnan(x->low) || isnan(x->high))
        return SQA_PAPER_CANNOT_TELL;
    return x->low >= low && x->high <= high ? SQA_PAPER_REPRODUCED
           : x->high < low || x->low > high ? SQA_PAPER_NOT
                                            : SQA_PAPER_CANNOT_TELL;
}

static void judge(const struct sqa_paper_fill *f, struct sqa_paper_cell *cell, const struct sqa_paper_row *row,
                  const struct sqa_paper_column *column, const char *metric)
{
    const struct sqa_paper_tolerance *t = tolerance_of(f->paper, row, column);
    const struct sqa_published_row *target =
        cell->entry && !isnan(cell->x.mean) && !isnan(t->by) ? target_of(f, row, column, metric) : NULL;
    if (!target)
        return;
    cell->target = target;
    cell->tolerance = t->relative ? target->value * t->by / 100 : t->by;
    struct sqa_estimate x = cell->x;
    if (f->paper->kind == SQA_PAPER_FORECAST && cell->entry->class == SQA_CLASS_FLOOR)
        x.low = x.high = x.mean; /* the same windows and nothing random: exact */
    cell->verdict = at_setting(f, cell, row) ? decide(&x, target->value, cell->tolerance) : SQA_PAPER_OTHER_SCALE;
}

static const struct sqa_paper_row *row_called(const struct sqa_paper *paper, const char *label)
{
    for (size_t r = 0; r < paper->n_rows; r++)
        if (strcmp(paper->rows[r].label, label) == 0)
            return &paper->rows[r];
    return NULL;
}

static const struct sqa_paper_column *column_called(const struct sqa_paper *paper, const char *label)
{
    for (size_t c = 0; c < paper->n_columns; c++)
        if (strcmp(paper->columns[c].label, label) == 0)
            return &paper->columns[c];
    return NULL;
}

void sqa_paper_judge(struct sqa_paper_fill *f)
{
    static const char *const gap[] = {"train_accuracy", "test_accuracy"};
    const struct sqa_paper *paper = f->paper;
    const bool forecast = paper->kind == SQA_PAPER_FORECAST;
    if (!forecast && paper->kind != SQA_PAPER_ACCURACY && paper->kind != SQA_PAPER_GAP)
        return;
    for (size_t k = 0; k < f->out->n_panels; k++) {
        struct sqa_paper_panel *p = &f->out->panels[k];
        for (size_t i = 0; i < p->n_lines; i++) {
            struct sqa_paper_line *l = &p->lines[i];
            for (size_t c = 0; l->kind == SQA_LINE_MEASURED && c < p->n_tasks; c++) {
                const struct sqa_paper_row *row = row_called(paper, forecast ? p->columns[c] : l->label);
                const struct sqa_paper_column *column =
                    forecast ? column_called(paper, l->label) : &paper->columns[paper->kind == SQA_PAPER_GAP ? 0 : c];
                const char *metric = forecast                       ? p->metric
                                     : paper->kind == SQA_PAPER_GAP ? gap[c]
                                     : paper->metric                ? paper->metric
                                                                    : "accuracy";
                if (row && column)
                    judge(f, &l->cells[c], row, column, metric);
            }
        }
    }
}
