/* plot_curves.c - validation over training, and errors over the horizon (see plots.h) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/plots.h"
#include "reports/stats.h"
#include "results/schema.h"

enum { LINES = 48, SEEDS = 64 };

/* Rows of one file that are drawn: x and y of a cell. */
struct source {
    int file, key, x, y, split; /* columns; split -1: every row */
    double scale;
};
struct value {
    double x, y;
};
struct line {
    const struct sqa_pool_entry *e;
    struct value *at; /* of all seeds, ascending in x */
    size_t n, seeds;
};

static int by_x(const void *a, const void *b)
{
    const struct value *p = a, *q = b;
    return p->x != q->x ? (p->x > q->x) - (p->x < q->x) : (p->y > q->y) - (p->y < q->y);
}

/* The values of a cell, behind *n others of out (room for the whole file and them). */
static void read_cell(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, const struct source *s,
                      struct value *out, size_t *n)
{
    const int phase = sqa_pool_first_phase(cell);
    const struct sqa_pool_run *run = &pool->runs[cell->run[phase]];
    const struct sqa_sheet *sheet = &run->files.sheet[s->file];
    const int *column = run->column[s->file];
    if (column[s->x] < 0 || column[s->y] < 0 || column[s->key] < 0 || (s->split >= 0 && column[s->split] < 0))
        return;
    for (size_t i = 0; i < sheet->nrow; i++) {
        const char *const *row = sheet->row[i];
        struct value v;
        if (strcmp(row[column[s->key]], cell->key) != 0 ||
            (s->split >= 0 && strcmp(row[column[s->split]], "valid") != 0) ||
            !sqa_parse_real(row[column[s->x]], &v.x) || !sqa_parse_real(row[column[s->y]], &v.y))
            continue;
        v.y *= s->scale;
        out[(*n)++] = v;
    }
}

static size_t rows_of(const struct sqa_pool *pool, const struct sqa_pool_entry *e, int file)
{
    size_t n = 0;
    for (const struct sqa_pool_cell *c = e->cells; c; c = c->next)
        n += pool->runs[c->run[sqa_pool_first_phase(c)]].files.sheet[file].nrow;
    return n;
}

static bool read_line(struct sqa_arena *arena, const struct sqa_pool *pool, const struct sqa_pool_entry *e,
                      const struct source *s, struct line *out, bool *failed)
{
    const size_t room = rows_of(pool, e, s->file);
    struct value *all = room ? sqa_alloc_array(room, sizeof *all) : NULL;
    *out = (struct line){.e = e};
    *failed = *failed || (room && !all);
    for (const struct sqa_pool_cell *c = e->cells; c && all; c = c->next) {
        const size_t before = out->n;
        read_cell(pool, c, s, all, &out->n);
        out->seeds += out->n > before;
    }
    if (out->n > 0) {
        qsort(all, out->n, sizeof *all, by_x);
        out->at = sqa_arena_alloc(arena, out->n * sizeof *all);
        *failed = *failed || !out->at;
        if (out->at)
            memcpy(out->at, all, out->n * sizeof *all);
    }
    sqa_free(all);
    return out->at && out->at[0].x < out->at[out->n - 1].x;
}

/* x, mean, least and greatest where every seed has a value: an end that some seeds reached says nothing of all. */
static double add_data(struct sqa_plot *p, const struct line *l, size_t which, bool take)
{
    double last = (double)NAN;
    if (!take)
        sqa_plot_say(p, "$d%zu << EOD\n", which);
    for (size_t i = 0; i < l->n;) {
        size_t n = 0;
        double sum = 0;
        while (i + n < l->n && l->at[i + n].x == l->at[i].x)
            sum += l->at[i + n++].y;
        if (n == l->seeds) {
            last = sum / (double)n;
            if (take) {
                sqa_axis_take(&p->x, l->at[i].x);
                sqa_axis_take(&p->y, l->at[i].y);
                sqa_axis_take(&p->y, l->at[i + n - 1].y);
            } else {
                sqa_plot_say(p, "%.10g %.10g %.10g %.10g\n", l->at[i].x, last, l->at[i].y, l->at[i + n - 1].y);
            }
        }
        i += n;
    }
    if (!take)
        sqa_plot_say(p, "EOD\n");
    return last;
}

/* Points that a reader stops at: twelve of a line. */
static void add_tips(struct sqa_plot *p, const struct line *l, const char *x_name)
{
    size_t n = 0, k = 0;
    for (size_t i = 0; i < l->n; i++)
        n += i == 0 || l->at[i].x != l->at[i - 1].x;
    const size_t every = (n + 11) / 12;
    for (size_t i = 0; i < l->n; k++) {
        size_t same = 0;
        double sum = 0;
        while (i + same < l->n && l->at[i + same].x == l->at[i].x)
            sum += l->at[i + same++].y;
        if (same == l->seeds && (k % every == 0 || i + same == l->n)) {
            if (same > 1)
                sqa_plot_tip(p, l->at[i].x, sum / (double)same, 5,
                             "%s: %s %.0f, mean %.4g of %zu seeds, %.4g to %.4g", l->e->label, x_name, l->at[i].x,
                             sum / (double)same, same, l->at[i].y, l->at[i + same - 1].y);
            else
                sqa_plot_tip(p, l->at[i].x, sum, 5, "%s: %s %.0f, %.4g", l->e->label, x_name, l->at[i].x, sum);
        }
        i += same;
    }
}

static void picture(struct sqa_plots *plots, const struct sqa_plots_from *from, const struct sqa_pool_group *g,
                    const struct line *lines, size_t n, bool horizon)
{
    struct sqa_plot_end ends[LINES];
    size_t seeds = 0, all = 0, ended = 0;
    bool bands = false;
    struct sqa_plot *p =
        sqa_plots_add(plots, "%s: %.120s%s%s", horizon ? "Error by row of the horizon" : "Validation over training",
                      g->task, *g->scale ? ", scale " : "", g->scale);
    const char *x_name = horizon ? "row" : "step";
    const char *y_name = horizon                                ? "test MSE (standardised)"
                         : g->metric == SQA_VALUE_test_accuracy ? "validation accuracy, %"
                                                                : "validation MSE (standardised)";
    sqa_axis_begin(&p->x, false);
    sqa_axis_begin(&p->y, false);
    for (size_t i = 0; i < n; i++) {
        const double last = add_data(p, &lines[i], i, true);
        if (isfinite(last))
            ends[ended++] =
                (struct sqa_plot_end){last, lines[i].e->label, sqa_plots_style(from->pool, lines[i].e->model)};
        bands = bands || lines[i].seeds > 1;
        seeds = lines[i].seeds > seeds ? lines[i].seeds : seeds;
        all += lines[i].seeds;
    }
    sqa_axis_end(&p->x, 0);
    sqa_axis_end(&p->y, 0.05);
    sqa_text_printf(&p->caption, "%zu model%s, %zu training%s. ", n, n == 1 ? "" : "s", all, all == 1 ? "" : "s");
    if (bands)
        sqa_text_printf(&p->caption,
                        "A line is the mean of the seeds (at most %zu), its band goes from the least to the "
                        "greatest of them; both end where the first seed does.",
                        seeds);
    else
        sqa_text_add(&p->caption, "One seed each, so there is no band.");
    sqa_plot_ends(p, ends, ended);
    sqa_plot_axis(p, 'x', horizon ? "row of the horizon" : "training steps", horizon ? NULL : sqa_format_count);
    sqa_plot_axis(p, 'y', y_name, NULL);
    for (size_t i = 0; i < n; i++) {
        add_data(p, &lines[i], i, false);
        add_tips(p, &lines[i], x_name);
    }
    const char *between = "plot ";
    for (size_t i = 0; i < n; i++)
        if (lines[i].seeds > 1) {
            sqa_plot_say(p, "%s$d%zu using 1:3:4 with filledcurves lc rgb '%s'", between, i,
                         sqa_plot_style(sqa_plots_style(from->pool, lines[i].e->model)).colour);
            between = ", \\\n ";
        }
    for (size_t i = 0; i < n; i++) {
        const struct sqa_plot_style look = sqa_plot_style(sqa_plots_style(from->pool, lines[i].e->model));
        sqa_plot_say(p, "%s$d%zu using 1:2 with lines lw 1.8 dt %d lc rgb '%s'", between, i, look.dash, look.colour);
        between = ", \\\n ";
    }
    sqa_plot_say(p, "\n");
}

static enum sqa_status draw(struct sqa_plots *plots, const struct sqa_plots_from *from, const struct source *source,
                            bool horizon)
{
    for (size_t i = 0; i < from->pool->n_groups; i++) {
        const struct sqa_pool_group *g = &from->pool->groups[i];
        struct sqa_arena arena = {0};
        struct line lines[LINES];
        struct source s = *source;
        size_t n = 0;
        s.scale = g->metric == SQA_VALUE_test_accuracy && !horizon ? 100 : 1;
        for (size_t k = 0; k < g->n && n < LINES && g->metric >= 0; k++)
            if ((horizon || g->entries[k]->class != SQA_CLASS_FLOOR) && sqa_plots_wants(from, g->entries[k]->model) &&
                read_line(&arena, from->pool, g->entries[k], &s, &lines[n], &plots->failed))
                n++;
        if (n > 0)
            picture(plots, from, g, lines, n, horizon);
        sqa_arena_clear(&arena);
    }
    return SQA_OK;
}

enum sqa_status sqa_plots_curves(struct sqa_plots *plots, const struct sqa_plots_from *from, struct sqa_err *err)
{
    static const struct source curves = {SQA_FILE_CURVES,   SQA_CURVES_key,   SQA_CURVES_step,
                                         SQA_CURVES_metric, SQA_CURVES_split, 1};
    (void)err;
    return draw(plots, from, &curves, false);
}

enum sqa_status sqa_plots_horizon(struct sqa_plots *plots, const struct sqa_plots_from *from, struct sqa_err *err)
{
    static const struct source horizon = {
        SQA_FILE_HORIZON, SQA_HORIZON_key, SQA_HORIZON_step, SQA_HORIZON_mse, -1, 1};
    (void)err;
    return draw(plots, from, &horizon, true);
}
