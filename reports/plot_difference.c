/* plot_difference.c - critical differences of mean ranks, and below eight tasks paired differences (see plots.h) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/friedman.h"
#include "reports/rank_table.h"

enum { TASKS = 8, ROW = 22, MODELS = 60, NAME = 36 };

static void line(struct sqa_plot *p, double x0, double y0, double x1, double y1, const char *how)
{
    sqa_plot_say(p, "set arrow from first %.6f, first %.6f to first %.6f, first %.6f nohead lt 1 %s\n", x0, y0, x1,
                 y1, how);
}

/* Bars over models, in the order of their mean ranks, that the critical difference does not tell apart; none within another.
 * Returns how many rows they take. */
static int bars(struct sqa_plot *p, const double *mean, size_t k, double difference, bool draw)
{
    int rows = 0;
    size_t reached = 0;
    for (size_t i = 0; i < k; i++) {
        size_t j = i;
        while (j + 1 < k && mean[j + 1] - mean[i] <= difference)
            j++;
        if (j == i || j <= reached)
            continue;
        reached = j;
        rows++;
        if (draw)
            line(p, mean[i] - 0.04, -0.55 * rows, mean[j] + 0.04, -0.55 * rows, "lw 4 lc rgb '#60000000'");
    }
    return rows;
}

/* Demsar's diagram: the axis above, the better half named on the left, the others on the right. */
static void diagram(struct sqa_plots *plots, const struct sqa_plots_from *from, const struct sqa_rank_table *t)
{
    const size_t k = t->n_models, left = (k + 1) / 2;
    double *mean = sqa_arena_alloc(&plots->arena, k * sizeof *mean);
    char buf[SQA_PLOT_SHORT], text[SQA_PLOT_SHORT + 32];
    if (!mean) {
        plots->failed = true;
        return;
    }
    const struct sqa_friedman f = sqa_friedman(t->rank, t->n_groups, k, mean);
    struct sqa_plot *p = sqa_plots_add(
        plots, "Mean ranks over %zu tasks; bars join what Nemenyi's test does not tell apart", t->n_groups);
    const int below = bars(p, mean, k, f.difference, false), rows = (int)left;
    size_t longest = 0;
    for (size_t m = 0; m < k; m++)
        longest = strlen(sqa_plot_short(buf, t->models[m], NAME)) > longest ? strlen(buf) : longest;
    p->left = p->right = 70 + (int)(6.6 * (double)longest);
    p->top = 74;
    p->bottom = 12;
    p->height = p->top + p->bottom + ROW * rows + (int)(0.55 * ROW * (below + 1));
    const double floor = -0.55 * (below + 1);
    sqa_plot_say(p, "unset border\nunset xtics\nunset ytics\nset xrange [1:%zu]\nset yrange [%.4f:0]\n", k,
                 floor - rows);
    line(p, 1, 0, (double)k, 0, "lw 1.2 lc rgb '#20000000'");
    for (size_t r = 1; r <= k; r++) {
        line(p, (double)r, 0, (double)r, 0.2, "lw 1.2 lc rgb '#20000000'");
        if (k <= 12 || r == 1 || r == k || r % 5 == 0) {
            snprintf(text, sizeof text, "%zu", r);
            sqa_plot_label(p, text, "center font ',11'", "first %.1f, first 0 offset 0,0.9", (double)r);
        }
    }
    const double shown = fmin(f.difference, (double)k - 1);
    line(p, 1, 1.3, 1 + shown, 1.3, "lw 3 lc rgb '#D55E00'");
    snprintf(text, sizeof text, "critical difference %.2f", f.difference);
    sqa_plot_label(p, text, "left font ',11'", "first %.6f, first 1.3 offset 0.8,0", 1 + shown);
    bars(p, mean, k, f.difference, true);
    for (size_t m = 0; m < k; m++) {
        const bool on_left = m < left;
        const double y = floor - (double)(on_left ? m : k - 1 - m) - 0.3, x = mean[m];
        const char *colour = sqa_plot_style(sqa_plots_style(from->pool, t->models[m])).colour;
        char how[80];
        snprintf(how, sizeof how, "lw 1.2 lc rgb '%s'", colour);
        line(p, x, 0, x, y, how);
        line(p, x, y, on_left ? 1 : (double)k, y, how);
        if (on_left)
            snprintf(text, sizeof text, "%s  %.2f", sqa_plot_short(buf, t->models[m], NAME), mean[m]);
        else
            snprintf(text, sizeof text, "%.2f  %s", mean[m], sqa_plot_short(buf, t->models[m], NAME));
        sqa_plot_label(p, text, on_left ? "right font ',11'" : "left font ',11'", "graph %d, first %.6f offset %s,0",
                       on_left ? 0 : 1, y, on_left ? "-0.8" : "0.8");
        sqa_plot_tip(p, x, 0, 5, "%s: mean rank %.2f over %zu tasks", t->models[m], mean[m], t->n_groups);
    }
    sqa_text_printf(
        &p->caption,
        "%zu models on the %zu tasks that all of them have a score on, ranked by means over seeds, 1 is the "
        "best. Friedman's test: F %.2f, p %s%.2g. Level 0.05 over all pairs.",
        k, t->n_groups, f.f, f.p < 1e-6 ? "< " : "", fmax(f.p, 1e-6));
    sqa_plot_say(p, "plot NaN\n");
}

struct row {
    const struct sqa_pool_entry *e;
    struct sqa_estimate d;
};

static enum sqa_status difference(const struct sqa_pool *pool, const struct sqa_pool_group *g,
                                  const struct sqa_pool_entry *e, struct sqa_estimate *d, struct sqa_err *err)
{
    return g->metric == SQA_VALUE_test_accuracy ? sqa_accuracy_difference(pool, e, g->best, d, err)
                                                : sqa_value_difference(pool, e, g->best, g->metric, d, err);
}

/* Each model less the best of the task, on the same seeds and examples. */
static enum sqa_status paired(struct sqa_plots *plots, const struct sqa_plots_from *from,
                              const struct sqa_pool_group *g, struct sqa_err *err)
{
    struct row rows[MODELS];
    const bool accuracy = g->metric == SQA_VALUE_test_accuracy;
    const double scale = accuracy ? 100 : 1;
    size_t n = 0, intervals = 0, longest = 0;
    char buf[SQA_PLOT_SHORT];
    for (size_t i = 0; i < g->n && g->metric >= 0 && g->best; i++) {
        const struct sqa_pool_entry *e = g->entries[i];
        if (e == g->best || e->class == SQA_CLASS_FLOOR || n == MODELS || !sqa_plots_wants(from, e->model) ||
            !isfinite(e->value[g->metric].mean))
            continue;
        rows[n].e = e;
        const enum sqa_status status = difference(from->pool, g, e, &rows[n].d, err);
        if (status != SQA_OK)
            return status;
        n += isfinite(rows[n].d.mean);
    }
    if (n == 0)
        return SQA_OK;
    for (size_t i = 0; i < n; i++) /* the nearest to the best above */
        for (size_t k = i; k > 0 && fabs(rows[k].d.mean) < fabs(rows[k - 1].d.mean); k--) {
            const struct row other = rows[k];
            rows[k] = rows[k - 1];
            rows[k - 1] = other;
        }
    struct sqa_plot *p =
        sqa_plots_add(plots, "Each model less the best, %s, on the same seeds and examples: %.100s%s%s",
                      g->best->label, g->task, *g->scale ? ", scale " : "", g->scale);
    sqa_axis_begin(&p->x, false);
    sqa_axis_take(&p->x, 0);
    for (size_t i = 0; i < n; i++) {
        sqa_axis_take(&p->x, scale * rows[i].d.mean);
        sqa_axis_take(&p->x, scale * rows[i].d.low);
        sqa_axis_take(&p->x, scale * rows[i].d.high);
        intervals += isfinite(rows[i].d.low);
        longest = strlen(sqa_plot_short(buf, rows[i].e->label, NAME)) > longest ? strlen(buf) : longest;
    }
    sqa_axis_end(&p->x, 0.04);
    p->y = (struct sqa_axis){0.4, (double)n + 0.6, false};
    p->left = 30 + (int)(6.6 * (double)longest);
    p->height = p->top + p->bottom + ROW * (int)n + 12;
    sqa_plot_axis(p, 'x',
                  accuracy                          ? "difference in test accuracy, points (left is worse)"
                  : g->metric == SQA_VALUE_test_mse ? "difference in test MSE, standardised (right is worse)"
                                                    : "difference in test loss (right is worse)",
                  NULL);
    sqa_plot_say(p, "set yrange [%g:%g]\nunset ytics\nset border 1\n", p->y.low, p->y.high);
    line(p, 0, p->y.low, 0, p->y.high, "lw 1 lc rgb '#60000000'");
    for (size_t i = 0; i < n; i++) {
        const double y = (double)(n - i), x = scale * rows[i].d.mean, low = scale * rows[i].d.low,
                     high = scale * rows[i].d.high;
        const struct sqa_plot_style look = sqa_plot_style(sqa_plots_style(from->pool, rows[i].e->model));
        char how[80];
        sqa_plot_label(p, sqa_plot_short(buf, rows[i].e->label, NAME), "right font ',11'",
                       "graph 0, first %.1f offset -1,0", y);
        snprintf(how, sizeof how, "lw 2 lc rgb '%s'", look.colour);
        if (isfinite(low))
            line(p, low, y, high, y, how);
        sqa_plot_say(p, "set label '' at first %.10g, first %.1f point pt %d ps 1.1 lc rgb '%s'\n", x, y, look.point,
                     look.colour);
        if (isfinite(low))
            sqa_plot_tip(p, x, y, 6, "%s: %.4g [%.4g, %.4g], %zu seeds, %zu examples", rows[i].e->label, x, low, high,
                         rows[i].d.n_seeds, rows[i].d.n_examples);
        else
            sqa_plot_tip(p, x, y, 6, "%s: %.4g, %zu seeds, no interval", rows[i].e->label, x, rows[i].d.n_seeds);
    }
    sqa_text_printf(
        &p->caption,
        "%zu models; 95 %% by bootstrap over seeds and examples (windows that overlap: in blocks), or by t "
        "over seeds.%s A line that does not touch 0 tells a model from the best.",
        n, intervals < n ? " Points without a line have one seed and no examples." : "");
    sqa_plot_say(p, "plot NaN\n");
    return SQA_OK;
}

enum sqa_status sqa_plots_critical_difference(struct sqa_plots *plots, const struct sqa_plots_from *from,
                                              struct sqa_err *err)
{
    struct sqa_rank_table t;
    enum sqa_status status = sqa_rank_table(from, &t, err);
    if (status != SQA_OK)
        return status;
    sqa_rank_table_complete(&t, TASKS);
    if (t.n_groups >= TASKS && t.n_models >= 3)
        diagram(plots, from, &t);
    else
        for (size_t i = 0; i < from->pool->n_groups && status == SQA_OK; i++)
            status = paired(plots, from, &from->pool->groups[i], err);
    sqa_rank_table_clear(&t);
    return status;
}
