/*
 * plot_forecast.h - a forecast as pictures: for each series what was, what is said to come, and what came
 */
#ifndef SQA_REPORTS_PLOT_FORECAST_H
#define SQA_REPORTS_PLOT_FORECAST_H

#include <stdint.h>

#include "reports/plot.h"

struct sqa_forecast_panel {
    const char *name;
    const double *history, *ahead; /* n_history and n_ahead numbers in the units of the data */
    const double *truth;           /* n_ahead of them, NaN where it is not known; NULL: nothing is */
};
struct sqa_forecast_lines {
    const char *title, *caption;    /* plain text, one line each */
    const char *first, *now, *last; /* under the axis: where history begins and ends, and where the forecast does */
    int64_t n_history, n_ahead;     /* n_ahead at least 1 */
    int panels;
    const struct sqa_forecast_panel *panel;
};
void sqa_plots_lines(struct sqa_plots *plots, const struct sqa_forecast_lines *l);

/* The rows of a CSV that `seqarena forecast` wrote, beside those of the table it continues or a longer form of it (truth, or
 * NULL): rows before the first forecast are history, rows of the same date or number are what came. INPUT when a file is no such
 * table, or when they share no column. */
enum sqa_status sqa_plots_forecast(struct sqa_plots *plots, const char *next, const char *truth,
                                   struct sqa_err *err) SQA_MUST_CHECK;

#endif
