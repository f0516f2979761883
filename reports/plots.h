/*
 * plots.h - the kinds of pictures that are drawn of results
 *
 * Each appends its pictures to a list (plot.h), none when there are no rows for one. The pool is summarised.
 */
#ifndef SQA_REPORTS_PLOTS_H
#define SQA_REPORTS_PLOTS_H

#include "reports/plot.h"
#include "reports/pool.h"

struct sqa_plots_from {
    const struct sqa_pool *pool;
    bool (*wanted)(void *user, const char *model); /* NULL: all */
    void *user;
    const json_t *machine; /* what `doctor --json` printed, or NULL: the roofs of a roofline */
};

typedef enum sqa_status sqa_plots_fn(struct sqa_plots *plots, const struct sqa_plots_from *from, struct sqa_err *err);

/* Quality against training tokens a second, of a picture a task; areas are the memory of a training step. */
sqa_plots_fn sqa_plots_bubbles;
/* The same without areas and with the front: models that no other beats in both. */
sqa_plots_fn sqa_plots_pareto;
/* Time or memory of a step against the length on logarithmic axes, with exponents and crossovers (scaling.h). */
sqa_plots_fn sqa_plots_scaling_time, sqa_plots_scaling_memory;
/* Validation over training steps: mean of the seeds, and the band from the least to the greatest of them. */
sqa_plots_fn sqa_plots_curves;
/* FLOPs a second against FLOPs a byte of compulsory traffic, of steps, and of ops where they were profiled. */
sqa_plots_fn sqa_plots_roofline;
/* From eight tasks upwards mean ranks with Nemenyi's critical difference (friedman.h); below that, of each task, paired
 * differences from the best with their intervals. */
sqa_plots_fn sqa_plots_critical_difference;
/* Heat map: rank of each model on each task. */
sqa_plots_fn sqa_plots_ranks;
/* Error by row of the horizon. */
sqa_plots_fn sqa_plots_horizon;

struct sqa_plots_kind {
    const char *name, *help;
    sqa_plots_fn *draw; /* NULL: not of a pool (plot_forecast.h) */
    const char *needs;  /* "rows of ...": when there is nothing to draw */
};
extern const struct sqa_plots_kind sqa_plots_kinds[]; /* ends with { .name = NULL } */

/* Whether cell or entry of this model is drawn. */
bool sqa_plots_wants(const struct sqa_plots_from *from, const char *model);
/* The look of a model: one in all pictures of a pool. */
size_t sqa_plots_style(const struct sqa_pool *pool, const char *model);
/* Axis title of what a group is judged by, and its values: accuracy in per cent. */
const char *sqa_plots_metric(int metric);
double sqa_plots_score(const struct sqa_pool_entry *e, int metric);

#endif
