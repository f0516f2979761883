/*
 * ahead.h - a file of numbers continued: fit, backtest beside the naive forecasts, and the rows behind its end
 *
 * The model is fitted on the first 70 % of the rows, its best epoch chosen on the next, its error measured on the
 * last 20 %; that same model makes the forecast from the last rows of the file.
 */
#ifndef SQA_HARNESS_AHEAD_H
#define SQA_HARNESS_AHEAD_H

#include <signal.h>

#include "harness/scoring.h"
#include "tasks/task.h"

struct sqa_ahead_options {
    const char *csv, *model, *mode, *target; /* mode and target: "" or as of task csv */
    const char *reading;                     /* more parameters of task csv: "dates=dmy,gaps=any" */
    const char *scale, *train;               /* recipe file, and overrides of it; "" */
    int64_t horizon, lookback;               /* lookback 0: chosen by the rows there are */
    int64_t seed, threads;
    const volatile sig_atomic_t *interrupted;
    void (*progress)(int64_t step, int64_t steps, double valid_mse);
};

enum { SQA_AHEAD_MODELS = 3 };
struct sqa_ahead { /* freed by sqa_ahead_clear */
    struct sqa_dataset *data;
    struct sqa_arena arena;
    int models; /* the model asked for, then the naive ones that are not it */
    const char *name[SQA_AHEAD_MODELS];
    struct sqa_scores test[SQA_AHEAD_MODELS], valid;
    int64_t parameters, steps, best_step;
    const char *recipe_source;
    int64_t *times;   /* (horizon), NULL when the file has none */
    bool dates;       /* all times of the file are midnight */
    double *forecast; /* (horizon, outputs), in the units of the data */
};
enum sqa_status sqa_ahead_run(const struct sqa_ahead_options *o, struct sqa_ahead *a,
                              struct sqa_err *err) SQA_MUST_CHECK;
void sqa_ahead_clear(struct sqa_ahead *a);
/* date or row, then a column an output. */
void sqa_ahead_csv(const struct sqa_ahead *a, struct sqa_text *out);
/* The figure: the last rows of each output and its forecast. */
enum sqa_status sqa_ahead_svg(const struct sqa_ahead *a, struct sqa_text *out, struct sqa_err *err) SQA_MUST_CHECK;
/* A time of the series, without its clock where that is always midnight. Returns buf. */
char *sqa_ahead_time(const struct sqa_ahead *a, char buf[32], int64_t time);

#endif
