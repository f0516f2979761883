/*
 * paper_fair.c - tables of models under one budget: at equal steps, equal flops and equal time (see paper.h)
 *
 * A budget is the least that a matched model or control of the column spent: steps x cost of a step. A dearer model is
 * read at the step where it had spent as much, on its validation curve. Costs of a step are the row's, so every seed of
 * a model is read at one step.
 */
#include <math.h>
#include <string.h>

#include "reports/curve.h"
#include "reports/paper_private.h"
#include "reports/stats.h"

enum axis { STEPS, FLOPS, TIME, AXES };
static const struct {
    const char *title, *apart, *metric;
} axes[AXES] = {
    {"Test accuracy at equal steps, %", "Test accuracy at equal steps, %, parameters not matched", "accuracy"},
    {"Validation accuracy at equal flops, %", "Validation accuracy at equal flops, %, parameters not matched",
     "valid_accuracy_at_equal_flops"},
    {"Validation accuracy at equal time, %", "Validation accuracy at equal time, %, parameters not matched",
     "valid_accuracy_at_equal_time"},
};

struct series { /* a value a seed */
    int64_t *seed;
    double *x;
    size_t n;
};

static bool is_causal(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e)
{
    return strstr(sqa_paper_field(f->pool, e, "model_full"), "causal=1") != NULL;
}

/* A recipe may make all models causal but those that have no such form. */
static void say_causal(struct sqa_paper_fill *f, struct sqa_paper_cell *cell)
{
    if (!cell->base || is_causal(f, cell->base) == is_causal(f, cell->entry))
        return;
    const char *how = sqa_arena_printf(f->arena, "%s%s%s", cell->how, *cell->how ? ", " : "",
                                       is_causal(f, cell->entry) ? "causal" : "not causal");
    f->failed = f->failed || !how;
    cell->how = how ? how : "";
}

static void fair_line(struct sqa_paper_fill *f, struct sqa_paper_panel *p, struct sqa_paper_line *l,
                      const struct sqa_paper_row *row)
{
    (void)row;
    for (size_t c = 0; c < p->n_tasks; c++) {
        const struct sqa_pool_entry *e =
            sqa_paper_put_entry(f, &l->cells[c], l->model, l->kind == SQA_LINE_EXTERNAL, c);
        l->cells[c].large = l->cells[c].large && l->kind != SQA_LINE_FLOOR;
        if (!e)
            continue;
        l->cells[c].x = sqa_paper_scaled(e->value[SQA_VALUE_test_accuracy], 100);
        if (l->kind != SQA_LINE_FLOOR)
            say_causal(f, &l->cells[c]);
    }
}

static bool is_trained(const struct sqa_paper_line *l)
{
    return l->kind == SQA_LINE_MEASURED || l->kind == SQA_LINE_CONTROL;
}

/* A model of which a cell breaks the size rule stands apart with all its cells. */
static bool stands_apart(const struct sqa_paper_panel *p, const struct sqa_paper_line *l)
{
    for (size_t c = 0; c < p->n_tasks; c++)
        if (l->cells[c].large)
            return true;
    return false;
}

/* The first cell that has it: only one seed of a model is measured. */
static double measured(const struct sqa_pool *pool, const struct sqa_pool_entry *e, int column)
{
    for (const struct sqa_pool_cell *cell = e->cells; cell; cell = cell->next) {
        const double v = sqa_pool_number(pool, cell, SQA_PHASE_TRAIN, column);
        if (!isnan(v))
            return v;
    }
    return (double)NAN;
}

static double or_zero(double v)
{
    return isnan(v) ? 0 : v;
}

/* Of one step: flops, seconds; NaN when unknown. timed: the measured step, else that of the training. */
static double cost(const struct sqa_pool *pool, const struct sqa_pool_entry *e, enum axis axis, bool timed)
{
    if (axis == STEPS)
        return 1;
    if (axis == FLOPS)
        return measured(pool, e, SQA_CELLS_flops) + or_zero(measured(pool, e, SQA_CELLS_flops_recompute)) +
               or_zero(measured(pool, e, SQA_CELLS_flops_optimizer));
    if (timed)
        return e->value[SQA_VALUE_train_latency_ns].mean * 1e-9;
    double sum = 0;
    size_t n = 0;
    for (const struct sqa_pool_cell *cell = e->cells; cell; cell = cell->next, n++)
        sum += (sqa_pool_number(pool, cell, SQA_PHASE_TRAIN, SQA_CELLS_train_seconds) +
                or_zero(sqa_pool_number(pool, cell, SQA_PHASE_TRAIN, SQA_CELLS_data_seconds)) +
                or_zero(sqa_pool_number(pool, cell, SQA_PHASE_TRAIN, SQA_CELLS_harness_seconds))) /
               sqa_pool_number(pool, cell, SQA_PHASE_TRAIN, SQA_CELLS_steps);
    return sum / (double)n;
}

/* Whether every trained model of the column has a measured step. */
static bool all_timed(const struct sqa_paper_panel *p, size_t c)
{
    for (size_t i = 0; i < p->n_lines; i++) {
        const struct sqa_pool_entry *e = p->lines[i].cells[c].entry;
        if (e && is_trained(&p->lines[i]) && isnan(e->value[SQA_VALUE_train_latency_ns].mean))
            return false;
    }
    return true;
}

static double budget(const struct sqa_paper_fill *f, const struct sqa_paper_panel *p, size_t c, enum axis axis,
                     bool timed, const char **least_of)
{
    double least = (double)NAN;
    *least_of = NULL;
    for (size_t i = 0; i < p->n_lines; i++) {
        const struct sqa_paper_line *l = &p->lines[i];
        const struct sqa_pool_entry *e = l->cells[c].entry;
        if (!e || !is_trained(l) || stands_apart(p, l))
            continue;
        const double spent = e->value[SQA_VALUE_steps].mean * cost(f->pool, e, axis, timed);
        if (!isnan(spent) && !(spent >= least)) {
            least = spent;
            *least_of = l->model;
        }
    }
    return least;
}

/* Best validation accuracies of an entry up to a step, by seed; n is 0 when there is no memory. */
static struct series read_series(struct sqa_paper_fill *f, const struct sqa_pool_entry *e, double step)
{
    struct series s = {.seed = sqa_arena_alloc(f->arena, e->n * sizeof *s.seed),
                       .x = sqa_arena_alloc(f->arena, e->n * sizeof *s.x)};
    for (const struct sqa_pool_cell *cell = e->cells; cell && s.seed && s.x; cell = cell->next) {
        const size_t n = sqa_curve_read(f->pool, cell, NULL, 0);
        struct sqa_curve_point *points = sqa_alloc_array(n, sizeof *points);
        f->failed = f->failed || !points;
        if (!points)
            continue;
        sqa_curve_read(f->pool, cell, points, n);
        const double x = sqa_curve_at(points, n, step);
        sqa_free(points);
        if (isnan(x))
            continue;
        s.seed[s.n] = cell->seed;
        s.x[s.n++] = 100 * x;
    }
    f->failed = f->failed || !s.seed || !s.x;
    return s;
}

/* Mean with a t interval; seeds that agree to the last digit show no spread to judge by. */
static struct sqa_estimate over_seeds(const double *x, size_t n)
{
    struct sqa_estimate out = {sqa_stats_mean(x, n), (double)NAN, (double)NAN, n, 0, ""};
    if (n < 2 || !(sqa_deviation(x, n) > 0))
        return out;
    const struct sqa_interval t = sqa_t_interval(x, n, 0.95);
    out.low = t.low;
    out.high = t.high;
    out.method = "t";
    return out;
}

static struct sqa_estimate within_percent(struct sqa_estimate x)
{
    const struct sqa_interval i = sqa_interval_within((struct sqa_interval){x.low, x.high}, 0, 100);
    x.low = i.low;
    x.high = i.high;
    return x;
}

static struct sqa_estimate paired(struct sqa_paper_fill *f, const struct series *a, const struct series *b)
{
    double *d = sqa_alloc_array(a->n + 1, sizeof *d);
    size_t n = 0;
    f->failed = f->failed || !d;
    for (size_t i = 0; d && i < a->n; i++)
        for (size_t k = 0; k < b->n; k++)
            if (a->seed[i] == b->seed[k])
                d[n++] = a->x[i] - b->x[k];
    const struct sqa_estimate out = over_seeds(d, d ? n : 0);
    sqa_free(d);
    return out;
}

static bool is_ranked(const struct sqa_paper_panel *p, const struct sqa_paper_line *l, size_t c)
{
    return l->kind == SQA_LINE_MEASURED && l->cells[c].entry && !isnan(l->cells[c].x.mean) && !stands_apart(p, l);
}

/* From the paired difference of every two models; series NULL: of their tests. */
static void rank(struct sqa_paper_fill *f, struct sqa_paper_panel *p, size_t c, const struct series *series)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_lines; i++)
        n += is_ranked(p, &p->lines[i], c);
    for (size_t i = 0; i < p->n_lines && n > 1; i++) {
        struct sqa_paper_cell *a = &p->lines[i].cells[c];
        if (!is_ranked(p, &p->lines[i], c))
            continue;
        a->rank_low = a->rank_low ? a->rank_low : 1;
        a->rank_high = a->rank_high ? a->rank_high : n;
        for (size_t k = i + 1; k < p->n_lines && !f->failed; k++) {
            struct sqa_paper_cell *b = &p->lines[k].cells[c];
            struct sqa_estimate d = {0};
            if (!is_ranked(p, &p->lines[k], c))
                continue;
            if (series)
                d = paired(f, &series[i], &series[k]);
            else
                f->failed = sqa_accuracy_difference(f->pool, a->entry, b->entry, &d, NULL) != SQA_OK || f->failed;
            b->rank_low = b->rank_low ? b->rank_low : 1;
            b->rank_high = b->rank_high ? b->rank_high : n;
            b->rank_low += d.low > 0;
            a->rank_high -= d.low > 0;
            a->rank_low += d.high < 0;
            b->rank_high -= d.high < 0;
        }
    }
    for (size_t i = 0; i < p->n_lines; i++)
        p->lines[i].cells[c].best = p->lines[i].cells[c].rank_low == 1;
}

/* Puts what every line had when it had spent the budget of the column. */
static void fill_column(struct sqa_paper_fill *f, struct sqa_paper_panel *p, size_t c, enum axis axis, double least,
                        bool timed)
{
    struct series *series = sqa_arena_alloc(f->arena, p->n_lines * sizeof *series);
    f->failed = f->failed || !series;
    for (size_t i = 0; i < p->n_lines && !f->failed; i++) {
        struct sqa_paper_cell *cell = &p->lines[i].cells[c];
        series[i] = (struct series){0};
        cell->on_floor = false; /* said of tests */
        if (!cell->entry)
            continue;
        if (is_trained(&p->lines[i])) {
            series[i] = read_series(f, cell->entry, least / cost(f->pool, cell->entry, axis, timed));
            cell->x = within_percent(over_seeds(series[i].x, series[i].n));
        } else {
            cell->x = sqa_paper_scaled(cell->entry->value[SQA_VALUE_valid_accuracy], 100);
        }
    }
    if (!f->failed)
        rank(f, p, c, series);
}

static struct sqa_paper_panel *copy_panel(struct sqa_paper_fill *f, const struct sqa_paper_panel *from,
                                          const char *title, const char *metric)
{
    struct sqa_paper_panel *p = sqa_paper_add_panel(f, title, metric, SQA_UNIT_PERCENT, NULL, from->n_columns);
    for (size_t i = 0; p && i < from->n_lines; i++) {
        const size_t bytes = from->n_columns * sizeof(struct sqa_paper_cell);
        p->lines[i] = from->lines[i];
        p->lines[i].cells = sqa_arena_alloc(f->arena, bytes);
        if (!p->lines[i].cells) {
            f->failed = true;
            return NULL;
        }
        memcpy(p->lines[i].cells, from->lines[i].cells, bytes);
    }
    if (p) {
        p->n_tasks = from->n_tasks;
        p->n_lines = from->n_lines;
        memcpy(p->columns, from->columns, from->n_columns * sizeof *p->columns);
    }
    return p;
}

/* Moves the lines that are not matched to a panel of their own; none is made when there are none. */
static void split(struct sqa_paper_fill *f, struct sqa_paper_panel *p, enum axis axis)
{
    size_t kept = 0;
    struct sqa_paper_panel *apart = NULL;
    for (size_t i = 0; i < p->n_lines; i++)
        if (stands_apart(p, &p->lines[i]) && !apart) {
            apart = copy_panel(f, p, axes[axis].apart, axes[axis].metric);
            if (!apart)
                return;
            apart->n_lines = 0;
        }
    for (size_t i = 0; i < p->n_lines; i++) {
        const struct sqa_paper_line l = p->lines[i];
        if (stands_apart(p, &l))
            apart->lines[apart->n_lines++] = l;
        else
            p->lines[kept++] = l;
    }
    p->n_lines = kept;
}

static void note_budgets(struct sqa_paper_fill *f, const struct sqa_paper_panel *p, size_t c, const double *least,
                         const char *const *of, bool timed)
{
    char flops[32] = "-";
    if (!of[FLOPS] && !of[TIME])
        return;
    if (!isnan(least[FLOPS]))
        sqa_format_count(flops, least[FLOPS]);
    sqa_paper_add_note(
        f,
        sqa_arena_printf(f->arena, "%s: equal flops are %s FLOPs (all of %s), equal time is %.3g s (all of %s; %s).",
                         p->columns[c], flops, of[FLOPS] ? of[FLOPS] : "-", least[TIME], of[TIME] ? of[TIME] : "-",
                         timed ? "steps times the measured step"
                               : "steps as they took in training, which other "
                                 "work on the machine prolongs"));
}

void sqa_paper_fill_fair(struct sqa_paper_fill *f)
{
    const struct sqa_paper *paper = f->paper;
    struct sqa_paper_panel *p[AXES] = {
        sqa_paper_add_panel(f, axes[STEPS].title, axes[STEPS].metric, SQA_UNIT_PERCENT, NULL, paper->n_columns)};
    if (!p[STEPS])
        return;
    p[STEPS]->n_tasks = paper->n_columns;
    for (size_t c = 0; c < paper->n_columns; c++)
        p[STEPS]->columns[c] = paper->columns[c].label;
    sqa_paper_add_lines(f, p[STEPS], fair_line, fair_line);
    for (int a = FLOPS; a < AXES && !f->failed; a++)
        p[a] = copy_panel(f, p[STEPS], axes[a].title, axes[a].metric);
    for (size_t c = 0; c < paper->n_columns && !f->failed; c++) {
        double least[AXES];
        const char *of[AXES];
        const bool timed = all_timed(p[STEPS], c);
        rank(f, p[STEPS], c, NULL);
        for (int a = FLOPS; a < AXES; a++) {
            least[a] = budget(f, p[STEPS], c, (enum axis)a, timed, &of[a]);
            fill_column(f, p[a], c, (enum axis)a, least[a], timed);
        }
        note_budgets(f, p[STEPS], c, least, of, timed);
    }
    for (int a = STEPS; a < AXES && !f->failed; a++)
        split(f, p[a], (enum axis)a);
}
