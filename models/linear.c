/*
 * linear.c - linear forecast of the series itself
 *
 * Computes  y = x W + b, over time, each channel alone
 * Shapes    x (B, L, C) -> y (B, H, outputs): the last `outputs` channels; W (L, H), b (H), shared by the channels,
 *           or W (outputs, L, H), b (outputs, 1, H) when individual
 * Cost      B outputs (2 L H + H) flops
 * Source    Zeng et al. 2022, arXiv:2205.13504, section 4.2; cure-lab/LTSF-Linear, models/Linear.py
 * Departs   with fewer outputs than channels, models for channels that are not forecast are left out
 */
#include <math.h>

#include "models/forecast_probe.h"
#include "models/over_time.h"

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)frame;
    return sqa_forecast_check("linear", NULL, task, err);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_over_time *s = self;
    const bool each = s->individual != 0;
    return sqa_time_columns(c, sqa_over_time(c, sqa_time_rows(c, x, each), each), each);
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    const double l = (double)c->length, h = (double)c->task->horizon;
    return (double)c->batch * (double)c->task->outputs * (2 * l * h + h);
}

/* Identities */

enum { L = SQA_FORECAST_L, H = SQA_FORECAST_H, C = SQA_FORECAST_C, ROWS = SQA_FORECAST_ROWS, OUT = SQA_FORECAST_OUT };

/* Row L - 1 - k of the look-back is row k of the forecast. */
static void mirror(struct sqa_store *s, void *user)
{
    double w[L * H] = {0};
    (void)user;
    for (int k = 0; k < H; k++)
        w[(L - 1 - k) * H + k] = 1;
    sqa_probe_set(s, "w", w);
    sqa_probe_set_constant(s, "b", 0.5);
}

static enum sqa_status chosen_rows(struct sqa_err *err)
{
    double x[ROWS], y[OUT], want[OUT];
    sqa_probe_normal(1, x, ROWS);
    for (int i = 0; i < OUT; i++)
        want[i] = x[(i / (H * C) * L + L - 1 - i / C % H) * C + i % C] + 0.5;
    const enum sqa_status status = sqa_forecast_run("linear", x, NULL, mirror, y, err);
    return status != SQA_OK ? status
                            : sqa_probe_expect("rows read backwards", sqa_probe_difference(y, want, OUT), 1e-15, err);
}

static const char *const forms[] = {"linear", "linear:individual=1", NULL};

static enum sqa_status channels_alone(struct sqa_err *err)
{
    return sqa_forecast_alone(sqa_forecast_probe(NULL, NULL, NULL), forms, err);
}

static enum sqa_status parameter_count(struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int k = 0; forms[k] && status == SQA_OK; k++)
        status = sqa_forecast_parameters(forms[k], L, C, H, H * (L + 1) * (k ? C : 1), err);
    return status;
}

static const struct sqa_identity identities[] = {{"weights that choose rows choose them", chosen_rows},
                                                 {"a channel's forecast is its own affair", channels_alone},
                                                 {"H (L + 1) parameters, times C when individual", parameter_count},
                                                 {NULL, NULL}};

const struct sqa_variant sqa_variant_linear = {
    .id = "linear",
    .slot = SQA_SLOT_MODEL,
    .title = "Linear",
    .source = "Zeng et al. 2022, arXiv:2205.13504, section 4.2",
    .complexity = "O(L H C) time",
    .params = sqa_over_time_params,
    .self_size = sizeof(struct sqa_over_time),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
