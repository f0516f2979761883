/* plot_quality.c - quality against speed: bubbles, and the front of Pareto (see plots.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/plots.h"

enum { POINTS = 96, RADIUS = 30 };

struct point {
    const struct sqa_pool_entry *e;
    double speed, score, memory;
    bool front;
};

static size_t gather(const struct sqa_plots_from *from, const struct sqa_pool_group *g, bool with_memory,
                     struct point at[POINTS])
{
    size_t n = 0;
    for (size_t i = 0; i < g->n && g->metric >= 0; i++) {
        const struct sqa_pool_entry *e = g->entries[i];
        const struct point p = {e, e->value[SQA_VALUE_train_tokens_per_s].mean, sqa_plots_score(e, g->metric),
                                e->value[SQA_VALUE_train_mem_planned_bytes].mean, true};
        if (e->class != SQA_CLASS_FLOOR && !e->external && p.speed > 0 && isfinite(p.score) &&
            (p.memory > 0 || !with_memory) && n < POINTS && sqa_plots_wants(from, e->model))
            at[n++] = p;
    }
    return n;
}

static bool beats(const struct point *a, const struct point *b, int direction)
{
    const double more = direction * (a->score - b->score), faster = a->speed - b->speed;
    return more >= 0 && faster >= 0 && (more > 0 || faster > 0);
}

static void tip(struct sqa_plot *p, const struct point *x, int metric, double radius)
{
    char speed[32], memory[32];
    const struct sqa_estimate *e = &x->e->value[metric];
    const double scale = metric == SQA_VALUE_test_accuracy ? 100 : 1;
    char interval[64] = "";
    if (isfinite(e->low))
        snprintf(interval, sizeof interval, " [%.4g, %.4g]", scale * e->low, scale * e->high);
    sqa_plot_tip(p, x->speed, x->score, radius, "%s: %s %.4g%s, %zu seeds, %s tokens/s%s%s", x->e->label,
                 sqa_plots_metric(metric), x->score, interval, e->n_seeds, sqa_format_count(speed, x->speed),
                 x->memory > 0 ? ", " : "", x->memory > 0 ? sqa_format_bytes(memory, x->memory) : "");
}

/* The best floor as a line across. */
static void floor_line(struct sqa_plot *p, const struct sqa_pool_group *g)
{
    char text[160];
    if (!g->floor || !isfinite(sqa_plots_score(g->floor, g->metric)))
        return;
    const double y = sqa_plots_score(g->floor, g->metric);
    snprintf(text, sizeof text, "best floor: %.80s", g->floor->label);
    sqa_plot_say(
        p, "set arrow from graph 0, first %.10g to graph 1, first %.10g nohead dt 2 lw 1 lc rgb '#60000000'\n", y, y);
    sqa_plot_label(p, text, "right font ',11' tc rgb '#40000000'", "graph 0.995, first %.10g offset 0,0.5", y);
}

static void front_line(struct sqa_plot *p, struct point *at, size_t n)
{
    for (size_t i = 0; i < n; i++) /* by speed */
        for (size_t k = i; k > 0 && at[k].speed < at[k - 1].speed; k--) {
            const struct point other = at[k];
            at[k] = at[k - 1];
            at[k - 1] = other;
        }
    sqa_plot_say(p, "$front << EOD\n");
    for (size_t i = 0; i < n; i++)
        if (at[i].front)
            sqa_plot_say(p, "%.10g %.10g\n", at[i].speed, at[i].score);
    sqa_plot_say(p, "EOD\n");
}

static void picture(struct sqa_plots *plots, const struct sqa_plots_from *from, const struct sqa_pool_group *g,
                    struct point *at, size_t n, bool bubbles)
{
    const int direction = sqa_value_direction(g->metric);
    struct sqa_plot_spot spots[POINTS];
    char buf[32], setting[160];
    double most = 0;
    size_t seeds = 0, fronts = 0;
    struct sqa_plot *p = sqa_plots_add(plots, "%s: %.120s%s%s",
                                       bubbles ? "Quality, speed and memory" : "Quality against speed, and its front",
                                       g->task, *g->scale ? ", scale " : "", g->scale);
    sqa_axis_begin(&p->x, true);
    sqa_axis_begin(&p->y, false);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++)
            at[i].front = at[i].front && !beats(&at[k], &at[i], direction);
        sqa_axis_take(&p->x, at[i].speed);
        sqa_axis_take(&p->y, at[i].score);
        most = fmax(most, at[i].memory);
        seeds += at[i].e->value[g->metric].n_seeds;
        fronts += at[i].front;
    }
    if (g->floor)
        sqa_axis_take(&p->y, sqa_plots_score(g->floor, g->metric));
    sqa_axis_end(&p->x, 0.15);
    sqa_axis_end(&p->y, 0.15);
    sqa_plot_axis(p, 'x', "training tokens a second (log; right is faster)", sqa_format_count);
    char title[96];
    snprintf(title, sizeof title, "%s (%s is better)", sqa_plots_metric(g->metric), direction > 0 ? "up" : "down");
    sqa_plot_axis(p, 'y', title, NULL);
    floor_line(p, g);
    sqa_text_printf(&p->caption, "%zu models, %zu trainings%s. ", n, seeds,
                    sqa_pool_setting(setting, from->pool, at[0].e->cells, SQA_PHASE_TRAIN, true));
    if (bubbles)
        sqa_text_printf(&p->caption, "Area: planned memory of a training step, the largest %s.",
                        sqa_format_bytes(buf, most));
    else
        sqa_text_printf(&p->caption, "On the line: the %zu that no other beats in both, by their means.", fronts);
    if (!bubbles)
        front_line(p, at, n);
    sqa_plot_say(p, "$points << EOD\n");
    for (size_t i = 0; i < n; i++) {
        const size_t style = sqa_plots_style(from->pool, at[i].e->model);
        const double radius = bubbles ? fmax(4, RADIUS * sqrt(at[i].memory / most)) : at[i].front ? 6 : 4;
        spots[i] = (struct sqa_plot_spot){at[i].speed, at[i].score, radius, at[i].e->label, style};
        sqa_plot_say(p, "%.10g %.10g %.3f 0x%s\n", at[i].speed, at[i].score, radius / 4.5,
                     sqa_plot_style(style).colour + 1);
        tip(p, &at[i], g->metric, radius);
    }
    sqa_plot_say(p, "EOD\n");
    sqa_plot_spots(p, spots, n);
    if (bubbles) {
        sqa_plot_say(p, "plot $points using 1:2:3:($4+0x60000000) with points pt 7 ps variable lc rgb variable\n");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct sqa_plot_style look = sqa_plot_style(spots[i].style);
        sqa_plot_say(p, "set label '' at first %.10g, first %.10g front point pt %d ps %.2f lc rgb '%s'\n",
                     at[i].speed, at[i].score, look.point, at[i].front ? 1.5 : 0.9, look.colour);
    }
    sqa_plot_say(p, "plot $front with fsteps lw 1.4 lc rgb '#60000000'\n");
}

static enum sqa_status draw(struct sqa_plots *plots, const struct sqa_plots_from *from, bool bubbles)
{
    for (size_t i = 0; i < from->pool->n_groups; i++) {
        struct point at[POINTS];
        const struct sqa_pool_group *g = &from->pool->groups[i];
        const size_t n = gather(from, g, bubbles, at);
        if (n > 1)
            picture(plots, from, g, at, n, bubbles);
    }
    return SQA_OK;
}

enum sqa_status sqa_plots_bubbles(struct sqa_plots *plots, const struct sqa_plots_from *from, struct sqa_err *err)
{
    (void)err;
    return draw(plots, from, true);
}

enum sqa_status sqa_plots_pareto(struct sqa_plots *plots, const struct sqa_plots_from *from, struct sqa_err *err)
{
    (void)err;
    return draw(plots, from, false);
}
