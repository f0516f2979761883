/*
 * nlinear.c - linear forecast of the differences from the last value
 *
 * Computes  y = (x - x[L - 1]) W + b + x[L - 1], over time, each channel alone
 * Shapes    x (B, L, C) -> y (B, H, outputs): the last `outputs` channels; W (L, H), b (H), shared by the channels,
 *           or W (outputs, L, H), b (outputs, 1, H) when individual
 * Cost      B outputs (2 L H + L + 2 H) flops
 * Source    Zeng et al. 2022, arXiv:2205.13504, section 4.2; cure-lab/LTSF-Linear, models/NLinear.py
 * Departs   with fewer outputs than channels, models for channels that are not forecast are left out
 */
#include "models/forecast_probe.h"
#include "models/over_time.h"

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)frame;
    return sqa_forecast_check("nlinear", NULL, task, err);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_over_time *s = self;
    const bool each = s->individual != 0;
    x = sqa_time_rows(c, x, each);
    struct sqa_tensor *last = sqa_slice(c->g, x, 2, c->max_length - 1, 1);
    struct sqa_tensor *y = sqa_over_time(c, sqa_sub(c->g, x, last), each);
    return sqa_time_columns(c, sqa_add(c->g, y, last), each);
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    const double l = (double)c->length, h = (double)c->task->horizon;
    return (double)c->batch * (double)c->task->outputs * (2 * l * h + l + 2 * h);
}

/* Identities */

enum { L = SQA_FORECAST_L, H = SQA_FORECAST_H, C = SQA_FORECAST_C, ROWS = SQA_FORECAST_ROWS, OUT = SQA_FORECAST_OUT };

static void clear(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_constant(s, "w", 0);
    sqa_probe_set_constant(s, "b", 0);
}

static enum sqa_status zero_weights(struct sqa_err *err)
{
    double x[ROWS], y[OUT], want[OUT];
    sqa_probe_normal(1, x, ROWS);
    for (int i = 0; i < OUT; i++)
        want[i] = x[(i / (H * C) * L + L - 1) * C + i % C];
    const enum sqa_status status = sqa_forecast_run("nlinear", x, NULL, clear, y, err);
    return status != SQA_OK
               ? status
               : sqa_probe_expect("zero weights against the last value", sqa_probe_difference(y, want, OUT), 0, err);
}

static enum sqa_status shift(struct sqa_err *err)
{
    double x[ROWS], y[OUT], z[OUT];
    sqa_probe_normal(1, x, ROWS);
    enum sqa_status status = sqa_forecast_run("nlinear", x, NULL, NULL, y, err);
    for (int i = 0; i < ROWS; i++)
        x[i] += 3;
    if (status == SQA_OK)
        status = sqa_forecast_run("nlinear", x, NULL, NULL, z, err);
    for (int i = 0; i < OUT; i++)
        z[i] -= 3;
    return status != SQA_OK
               ? status
               : sqa_probe_expect("f(x + 3) - 3 against f(x)", sqa_probe_difference(y, z, OUT), 1e-12, err);
}

static const char *const forms[] = {"nlinear", "nlinear:individual=1", NULL};

static enum sqa_status channels_alone(struct sqa_err *err)
{
    return sqa_forecast_alone(sqa_forecast_probe(NULL, NULL, NULL), forms, err);
}

static const struct sqa_identity identities[] = {{"zero weights: the last value again", zero_weights},
                                                 {"a shifted series gives a shifted forecast", shift},
                                                 {"a channel's forecast is its own affair", channels_alone},
                                                 {NULL, NULL}};

const struct sqa_variant sqa_variant_nlinear = {
    .id = "nlinear",
    .slot = SQA_SLOT_MODEL,
    .title = "NLinear",
    .source = "Zeng et al. 2022, arXiv:2205.13504, section 4.2",
    .complexity = "O(L H C) time",
    .params = sqa_over_time_params,
    .self_size = sizeof(struct sqa_over_time),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
