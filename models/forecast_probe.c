/* forecast_probe.c - see forecast_probe.h */
#include "models/forecast_probe.h"

#include <math.h>
#include <stdio.h>

struct sqa_probe_whole sqa_forecast_probe(const char *model, const double *x, const double *marks)
{
    return (struct sqa_probe_whole){.model = model,
                                    .task = {.kind = SQA_FORECAST,
                                             .length = SQA_FORECAST_L,
                                             .channels = SQA_FORECAST_C,
                                             .outputs = SQA_FORECAST_C,
                                             .horizon = SQA_FORECAST_H,
                                             .marks = marks ? SQA_FORECAST_F : 0},
                                    .batch = SQA_FORECAST_B,
                                    .seed = 7,
                                    .real = SQA_F64,
                                    .x = x,
                                    .marks = marks};
}

enum sqa_status sqa_forecast_run(const char *model, const double *x, const double *marks,
                                 void (*edit)(struct sqa_store *store, void *user), double *y, struct sqa_err *err)
{
    struct sqa_probe_whole p = sqa_forecast_probe(model, x, marks);
    p.edit = edit;
    return sqa_probe_whole(&p, y, NULL, err);
}

enum sqa_status sqa_forecast_alone(struct sqa_probe_whole p, const char *const *models, struct sqa_err *err)
{
    enum { MOST = 512 };
    const int64_t channels = p.task.channels, n = p.batch * p.task.length * channels,
                  out = p.batch * p.task.horizon * channels;
    double x[MOST], y[MOST], z[MOST];
    if (n > MOST || out > MOST || p.task.outputs != channels)
        return sqa_fail(err, SQA_USAGE, "identity: more numbers than fit; take smaller windows");
    p.x = x;
    enum sqa_status status = SQA_OK;
    for (; *models && status == SQA_OK; models++) {
        double moved = 0;
        p.model = *models;
        sqa_probe_normal(1, x, (size_t)n);
        status = sqa_probe_whole(&p, y, NULL, err);
        for (int64_t i = 0; i < n; i += channels)
            x[i] *= -2;
        if (status == SQA_OK)
            status = sqa_probe_whole(&p, z, NULL, err);
        if (status != SQA_OK)
            break;
        for (int64_t i = 0; i < out; i += channels) {
            moved = fmax(moved, fabs(y[i] - z[i]));
            z[i] = y[i];
        }
        status = sqa_probe_expect("forecasts of the other channels when channel 0 moves",
                                  sqa_probe_difference(y, z, (size_t)out), 0, err);
        if (status == SQA_OK && !(moved > 1e-6))
            status = sqa_fail(err, SQA_NO, "channel 0 changes nothing of its own forecast");
    }
    return status;
}

enum sqa_status sqa_forecast_parameters(const char *model, int64_t lookback, int64_t channels, int64_t horizon,
                                        int64_t want, struct sqa_err *err)
{
    char what[160];
    int64_t n = 0;
    const struct sqa_probe_whole p = {.model = model,
                                      .task = {.kind = SQA_FORECAST,
                                               .length = lookback,
                                               .channels = channels,
                                               .outputs = channels,
                                               .horizon = horizon,
                                               .marks = SQA_FORECAST_F},
                                      .batch = 1,
                                      .real = SQA_F32};
    const enum sqa_status status = sqa_probe_whole(&p, NULL, &n, err);
    snprintf(what, sizeof what, "%.80s: %lld parameters against %lld", model, (long long)n, (long long)want);
    return status != SQA_OK ? status : sqa_probe_expect(what, fabs((double)(n - want)), 0, err);
}
