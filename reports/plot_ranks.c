/* plot_ranks.c - the heat map of ranks, models by tasks (see plots.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/rank_table.h"

enum { WIDE = 92, TALL = 38, MODELS = 60, TASKS = 24 };

/* Whether every task has the setting of n characters. */
static bool shared(const struct sqa_rank_table *t, const char *setting, size_t n)
{
    size_t have = 0;
    for (size_t g = 0; g < t->n_groups; g++)
        for (const char *at = strchr(t->groups[g]->task, ':'); at; at = strchr(at + 1, ','))
            if (strcspn(at + 1, ",") == n && strncmp(at + 1, setting, n) == 0) {
                have++;
                break;
            }
    return have == t->n_groups;
}

/* A task without the settings that all tasks have. */
static const char *brief(char buf[SQA_PLOT_SHORT], const struct sqa_rank_table *t, const char *task)
{
    struct sqa_text out = {0};
    sqa_text_add_bytes(&out, task, strcspn(task, ":"));
    const char *separator = ":";
    for (const char *at = strchr(task, ':'); at; at = strchr(at + 1, ',')) {
        const size_t n = strcspn(at + 1, ",");
        if (shared(t, at + 1, n))
            continue;
        sqa_text_printf(&out, "%s%.*s", separator, (int)n, at + 1);
        separator = ",";
    }
    sqa_plot_short(buf, sqa_text_get(&out), 30);
    sqa_text_clear(&out);
    return buf;
}

/* Opaque for rank 1, transparent for the last: alpha of gnuplot is 255 for invisible. */
static void draw_cell(struct sqa_plot *p, const struct sqa_rank_table *t, size_t g, size_t m, size_t models)
{
    const struct sqa_pool_entry *e = t->entries[g * t->n_models + m];
    const double x = (double)g + 1, y = (double)(models - m), rank = t->rank[g * t->n_models + m];
    const int metric = t->groups[g]->metric;
    size_t ranked = 0;
    char text[32], value[32];
    if (!e)
        return;
    for (size_t i = 0; i < t->n_models; i++)
        ranked += t->entries[g * t->n_models + i] != NULL;
    const double part = ranked > 1 ? (rank - 1) / (double)(ranked - 1) : 0;
    const int alpha = (int)lround(20 + 225 * part);
    sqa_plot_say(
        p,
        "set object rect from first %.6f, first %.6f to first %.6f, first %.6f behind fc rgb '#%02X0072B2' fs "
        "solid noborder\n",
        x - 0.48, y - 0.46, x + 0.48, y + 0.46, (unsigned)alpha);
    snprintf(text, sizeof text, "%g%s", rank, e->like_best && t->groups[g]->best != e ? " *" : "");
    const char *dark = alpha < 120 ? "#FFFFFF" : "#000000";
    char how[64];
    snprintf(how, sizeof how, "center front font ',13' tc rgb '%s'", dark);
    sqa_plot_label(p, text, how, "first %.6f, first %.6f offset 0,0.22", x, y);
    snprintf(value, sizeof value, metric == SQA_VALUE_test_accuracy ? "%.1f %%" : "%.3g", sqa_plots_score(e, metric));
    snprintf(how, sizeof how, "center front font ',9' tc rgb '%s'", dark);
    sqa_plot_label(p, value, how, "first %.6f, first %.6f offset 0,-0.62", x, y);
    sqa_plot_tip(p, x, y, 14, "%s on %s: rank %g of %zu, %s %.4g, %zu seeds", e->label, t->groups[g]->task, rank,
                 ranked, sqa_plots_metric(metric), sqa_plots_score(e, metric), e->value[metric].n_seeds);
}

static void picture(struct sqa_plots *plots, const struct sqa_rank_table *t)
{
    const size_t models = t->n_models < MODELS ? t->n_models : MODELS,
                 tasks = t->n_groups < TASKS ? t->n_groups : TASKS;
    size_t longest = 0, highest = 0;
    char buf[SQA_PLOT_SHORT];
    struct sqa_plot *p = sqa_plots_add(plots, "Ranks of models by tasks (1 is the best)");
    for (size_t m = 0; m < models; m++)
        longest = strlen(sqa_plot_short(buf, t->models[m], 40)) > longest ? strlen(buf) : longest;
    for (size_t g = 0; g < tasks; g++)
        highest = strlen(brief(buf, t, t->groups[g]->task)) > highest ? strlen(buf) : highest;
    p->left = 72 + (int)(7.2 * (double)longest);
    p->right = 24 + (int)(4.6 * (double)highest);
    p->top = 44 + (int)(3.2 * (double)highest);
    p->bottom = 14;
    const int wide = p->left + p->right + WIDE * (int)tasks;
    p->width = wide > p->width ? wide : p->width; /* so that text has one size on a page */
    p->right += p->width - wide;
    p->height = p->top + p->bottom + TALL * (int)models;
    sqa_plot_say(p, "unset border\nunset xtics\nunset ytics\nset xrange [0.5:%.1f]\nset yrange [0.5:%.1f]\n",
                 (double)tasks + 0.5, (double)models + 0.5);
    sqa_plot_label(p, "mean", "right font ',10' tc rgb '#40000000'", "graph 0, graph 1 offset -1.2,0.6");
    for (size_t m = 0; m < models; m++) {
        char mean[32];
        snprintf(mean, sizeof mean, "%.2f", t->mean[m]);
        sqa_plot_label(p, sqa_plot_short(buf, t->models[m], 40), "right", "graph 0, first %.1f offset -7,0",
                       (double)(models - m));
        sqa_plot_label(p, mean, "right font ',11' tc rgb '#40000000'", "graph 0, first %.1f offset -1.2,0",
                       (double)(models - m));
    }
    for (size_t g = 0; g < tasks; g++) {
        sqa_plot_label(p, brief(buf, t, t->groups[g]->task), "left rotate by 35 font ',11'",
                       "first %.1f, graph 1 offset -1,0.6", (double)g + 1);
        for (size_t m = 0; m < models; m++)
            draw_cell(p, t, g, m, models);
    }
    sqa_text_printf(&p->caption,
                    "%zu models, %zu tasks; by the mean over seeds of the score beneath. *: cannot be told from the "
                    "best of its task. Left of the map the mean rank. Settings that all tasks have are left out.",
                    t->n_models, t->n_groups);
    if (models < t->n_models || tasks < t->n_groups)
        sqa_text_printf(&p->caption, " Drawn: the first %zu models and %zu tasks.", models, tasks);
    sqa_plot_say(p, "plot NaN\n");
}

enum sqa_status sqa_plots_ranks(struct sqa_plots *plots, const struct sqa_plots_from *from, struct sqa_err *err)
{
    struct sqa_rank_table t;
    const enum sqa_status status = sqa_rank_table(from, &t, err);
    if (status == SQA_OK && t.n_groups > 1) /* of one the table says it all */
        picture(plots, &t);
    if (status == SQA_OK)
        sqa_rank_table_clear(&t);
    return status;
}
