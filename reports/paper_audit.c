/* paper_audit.c - tables of models as their papers define them and as the published code ran them (see paper.h) */
#include <math.h>
#include <string.h>

#include "reports/paper_private.h"

enum { FORM_PAPER, FORM_CODE, DIFFERENCE, PARTS };

bool sqa_paper_is_difference(const struct sqa_paper *paper, size_t c)
{
    return paper->kind == SQA_PAPER_AUDIT && c > 0 && (c - 1) % PARTS == DIFFERENCE;
}

static const struct sqa_pool_entry *put_form(struct sqa_paper_fill *f, struct sqa_paper_cell *cell, const char *model,
                                             bool external, size_t column)
{
    const struct sqa_pool_entry *e = sqa_paper_put_entry(f, cell, model, external, column);
    if (e)
        cell->x = sqa_paper_scaled(e->value[SQA_VALUE_test_accuracy], 100);
    return e;
}

static void audit_line(struct sqa_paper_fill *f, struct sqa_paper_panel *p, struct sqa_paper_line *l,
                       const struct sqa_paper_row *row)
{
    const struct sqa_paper *paper = f->paper;
    if (row && row->published[0])
        sqa_paper_put_printed(&l->cells[0],
                              sqa_published_find(f->published, paper->published[0], row->published[0],
                                                 paper->columns[0].published, "accuracy"),
                              1);
    for (size_t c = 0; c < p->n_tasks; c++) {
        struct sqa_paper_cell *cells = &l->cells[1 + PARTS * c];
        const struct sqa_pool_entry *e = put_form(f, &cells[FORM_PAPER], l->model, l->kind == SQA_LINE_EXTERNAL, c);
        if (!row)
            continue;
        if (!row->code) {
            cells[DIFFERENCE].text = "none";
            continue;
        }
        const struct sqa_pool_entry *code = put_form(f, &cells[FORM_CODE], row->code, false, c);
        if (!e || !code)
            continue;
        f->failed = sqa_accuracy_difference(f->pool, code, e, &cells[DIFFERENCE].x, NULL) != SQA_OK || f->failed;
        cells[DIFFERENCE].x = sqa_paper_scaled(cells[DIFFERENCE].x, 100);
        cells[DIFFERENCE].entry = code;
        cells[DIFFERENCE].best =
            !isnan(cells[DIFFERENCE].x.low) && (cells[DIFFERENCE].x.low > 0 || cells[DIFFERENCE].x.high < 0);
    }
}

/* Kendall's tau-b of the lines that have both; n counts them. */
static double tau(const struct sqa_paper_panel *p, const double *a, const double *b, size_t *n)
{
    double agree = 0, in_a = 0, in_b = 0;
    *n = 0;
    for (size_t i = 0; i < p->n_lines; i++) {
        if (isnan(a[i]) || isnan(b[i]))
            continue;
        (*n)++;
        for (size_t k = 0; k < i; k++) {
            if (isnan(a[k]) || isnan(b[k]))
                continue;
            const double x = (a[i] > a[k]) - (a[i] < a[k]), y = (b[i] > b[k]) - (b[i] < b[k]);
            agree += x * y;
            in_a += x * x;
            in_b += y * y;
        }
    }
    return agree / sqrt(in_a * in_b);
}

static void note_order(struct sqa_paper_fill *f, const struct sqa_paper_panel *p, const char *what, const double *a,
                       const double *b)
{
    size_t n;
    const double t = tau(p, a, b, &n);
    if (n >= 4 && !isnan(t))
        sqa_paper_add_note(f, sqa_arena_printf(f->arena,
                                               "Order of %zu models, %s: Kendall's tau %.2f (1: the same order).", n,
                                               what, t));
}

/* How far the order of the models is that of the paper, of the code, and how large the code's part is. */
static void note_orders(struct sqa_paper_fill *f, const struct sqa_paper_panel *p, size_t column)
{
    double *const printed = sqa_arena_alloc(f->arena, 3 * p->n_lines * sizeof *printed);
    double *const paper = printed + p->n_lines, *const code = paper + p->n_lines;
    double least = INFINITY, most = -INFINITY, largest = -1; /* -1: no model in both forms */
    if (!printed) {
        f->failed = true;
        return;
    }
    for (size_t i = 0; i < p->n_lines; i++) {
        const struct sqa_paper_line *l = &p->lines[i];
        const struct sqa_paper_cell *cells = &l->cells[1 + PARTS * column];
        const bool counts = l->kind == SQA_LINE_MEASURED;
        printed[i] = counts ? l->cells[0].x.mean : (double)NAN;
        paper[i] = counts ? cells[FORM_PAPER].x.mean : (double)NAN;
        code[i] = !counts ? (double)NAN : cells[DIFFERENCE].text ? paper[i] : cells[FORM_CODE].x.mean;
        if (isnan(paper[i]))
            continue;
        least = fmin(least, paper[i]);
        most = fmax(most, paper[i]);
        if (!isnan(code[i]) && !cells[DIFFERENCE].text)
            largest = fmax(largest, fabs(code[i] - paper[i]));
    }
    const char *label = f->paper->columns[column].label;
    if (!(most > least))
        return;
    const char *code_says =
        largest < 0 ? ""
                    : sqa_arena_printf(f->arena, ", and the largest difference that code makes is %.2f", largest);
    f->failed = f->failed || !code_says;
    sqa_paper_add_note(f, sqa_arena_printf(f->arena, "%s: the papers' forms lie within %.2f points of each other%s.",
                                           label, most - least, code_says ? code_says : ""));
    note_order(f, p, sqa_arena_printf(f->arena, "published against %s as the papers have them", label), printed,
               paper);
    if (largest < 0)
        return;
    note_order(f, p, sqa_arena_printf(f->arena, "published against %s as the code ran them", label), printed, code);
    note_order(f, p, sqa_arena_printf(f->arena, "%s, papers' forms against code's", label), paper, code);
}

void sqa_paper_fill_audit(struct sqa_paper_fill *f)
{
    const struct sqa_paper *paper = f->paper;
    struct sqa_paper_panel *p =
        sqa_paper_add_panel(f, "Test accuracy, %", "accuracy", SQA_UNIT_PERCENT, NULL, 1 + PARTS * paper->n_columns);
    if (!p)
        return;
    p->n_tasks = paper->n_columns;
    p->columns[0] = sqa_arena_printf(f->arena, "published, %s", paper->columns[0].published);
    for (size_t c = 0; c < paper->n_columns; c++) {
        const char *label = paper->columns[c].label, **at = &p->columns[1 + PARTS * c];
        at[FORM_PAPER] = sqa_arena_printf(f->arena, "%s, as the paper", label);
        at[FORM_CODE] = sqa_arena_printf(f->arena, "%s, as the code", label);
        at[DIFFERENCE] = sqa_arena_printf(f->arena, "%s, code - paper", label);
    }
    for (size_t c = 0; c < p->n_columns; c++)
        f->failed = f->failed || !p->columns[c];
    if (f->failed)
        return;
    sqa_paper_add_lines(f, p, audit_line, audit_line);
    for (size_t c = 0; c < paper->n_columns && !f->failed; c++)
        note_orders(f, p, c);
}
