/*
 * forecast_probe.h - small runs of forecasting models for their identities
 */
#ifndef SQA_MODELS_FORECAST_PROBE_H
#define SQA_MODELS_FORECAST_PROBE_H

#include "models/probe.h"

/* Windows, look-back, horizon, channels (all of them outputs), features of times; numbers of x, y and marks. */
enum {
    SQA_FORECAST_B = 2,
    SQA_FORECAST_L = 12,
    SQA_FORECAST_H = 5,
    SQA_FORECAST_C = 3,
    SQA_FORECAST_F = 4,
    SQA_FORECAST_ROWS = SQA_FORECAST_B * SQA_FORECAST_L * SQA_FORECAST_C,
    SQA_FORECAST_OUT = SQA_FORECAST_B * SQA_FORECAST_H * SQA_FORECAST_C,
    SQA_FORECAST_TIMES = SQA_FORECAST_B * (SQA_FORECAST_L + SQA_FORECAST_H) * SQA_FORECAST_F
};

/* A probe of those sizes in float64; without times when marks is NULL. */
struct sqa_probe_whole sqa_forecast_probe(const char *model, const double *x, const double *marks);
/* Runs it; edit may be NULL. */
enum sqa_status sqa_forecast_run(const char *model, const double *x, const double *marks,
                                 void (*edit)(struct sqa_store *store, void *user), double *y,
                                 struct sqa_err *err) SQA_MUST_CHECK;

/* Identity: when channel 0 of x moves, so does its forecast, and those of the other channels keep their bits. p: the
 * sizes (at most 512 numbers of x, of y) and edit; models ends with NULL. */
enum sqa_status sqa_forecast_alone(struct sqa_probe_whole p, const char *const *models,
                                   struct sqa_err *err) SQA_MUST_CHECK;
/* Identity: the number of parameters, of a task with four features of times. */
enum sqa_status sqa_forecast_parameters(const char *model, int64_t lookback, int64_t channels, int64_t horizon,
                                        int64_t want, struct sqa_err *err) SQA_MUST_CHECK;

#endif
