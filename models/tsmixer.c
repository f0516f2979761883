/*
 * tsmixer.c - perceptrons over time and over channels in turn
 *
 * Computes  `layers` times: x += mlp over the L rows of each channel; x += mlp over the C channels of each row, both
 *           relu(x W1 + b1) W2 + b2 of hidden width D; then y = x W + b over time
 * Shapes    x (B, L, C) -> y (B, H, outputs): the last `outputs` channels
 * Cost      layers B (C (4 L D + 2 D + L) + L (4 C D + 2 D + C) + 2 L C) + B outputs (2 L H + H) flops
 * Source    Chen et al. 2023, arXiv:2303.06053; in the form of thuml/Time-Series-Library, models/TSMixer.py, which
 * has no normalisation (the paper has one over time and channels). layers (2 L D + L + 2 C D + C + 2 D) + H (L + 1)
 * parameters Departs   weights begin Xavier-uniform and biases 0
 */
#include <math.h>

#include "models/forecast.h"
#include "models/probe.h"

struct self {
    const char *instance;
};

static const struct sqa_param params[] = {{"norm", "instance normalisation: none, norm, affine (RevIN), last",
                                           SQA_PARAM_CHOICE, "none", 0, 0, offsetof(struct self, instance),
                                           SQA_INSTANCE_CHOICES},
                                          {.name = NULL}};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    if (task->kind != SQA_FORECAST)
        return sqa_fail(err, SQA_UNSUPPORTED, "tsmixer: it forecasts series; take a forecasting task such as etth1");
    if (sqa_instance_find(frame->instance) != SQA_INSTANCE_NONE)
        return sqa_fail(err, SQA_UNSUPPORTED, "tsmixer: instance=%s; its own parameter is norm=", frame->instance);
    return SQA_OK;
}

/* x + mlp(x) over the last axis */
static struct sqa_tensor *mix(struct sqa_context *c, const char *scope, struct sqa_tensor *x)
{
    if (!x)
        return NULL;
    const size_t mark = sqa_scope_push(c->g, "%s", scope);
    struct sqa_tensor *y = sqa_dense_layer_act(c, "in", x, c->frame.dim, true, SQA_UNARY_RELU);
    y = sqa_dropout(c->g, sqa_dense_layer(c, "out", y, x->dim[x->rank - 1], true), c->frame.dropout);
    sqa_scope_pop(c->g, mark);
    return sqa_add(c->g, x, y);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t o = c->task->outputs;
    struct sqa_instance instance;
    if (c->length != c->max_length)
        return sqa_graph_fail(c->g, SQA_UNSUPPORTED,
                              "tsmixer: its weights are for %lld rows, not %lld; give the whole look-back",
                              (long long)c->max_length, (long long)c->length);
    x = sqa_instance_norm(c, x, sqa_instance_find(s->instance), &instance);
    for (c->layer = 0; c->layer < c->frame.layers; c->layer++) {
        const size_t mark = sqa_scope_push(c->g, "blocks.%d", c->layer);
        x = mix(c, "time", sqa_dense(c->g, sqa_transpose(c->g, x, 1, 2)));
        x = mix(c, "channels", sqa_dense(c->g, sqa_transpose(c->g, x, 1, 2)));
        sqa_scope_pop(c->g, mark);
    }
    x = x ? sqa_dense(c->g, sqa_transpose(c->g, sqa_slice(c->g, x, 2, c->task->channels - o, o), 1, 2)) : NULL;
    x = sqa_dense_layer(c, "head", x, c->task->horizon, true);
    return sqa_instance_undo(c, sqa_transpose(c->g, x, 1, 2), &instance);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double b = (double)c->batch, l = (double)c->length, n = (double)c->task->channels, d = (double)c->frame.dim,
                 h = (double)c->task->horizon, o = (double)c->task->outputs;
    const double block = n * (4 * l * d + 2 * d + l) + l * (4 * n * d + 2 * d + n) + 2 * l * n;
    return sqa_instance_flops(c, sqa_instance_find(s->instance)) + (double)c->frame.layers * b * block +
           b * o * (2 * l * h + h);
}

/* Identities: L = 12, H = 5, B = 2, C = 3 */

enum { L = 12, H = 5, B = 2, C = 3, D = 8, LAYERS = 2, ROWS = B * L * C, OUT = B * H * C };

#define SIZES "tsmixer:dim=8,layers=2"

static enum sqa_status forecast(const char *spec, const double *x, void (*edit)(struct sqa_store *, void *),
                                double *y, int64_t *parameters, struct sqa_err *err)
{
    const struct sqa_probe_whole p = {
        .model = spec,
        .task = {.kind = SQA_FORECAST, .length = L, .channels = C, .outputs = C, .horizon = H},
        .batch = B,
        .seed = 7,
        .real = SQA_F64,
        .x = x,
        .edit = edit};
    return sqa_probe_whole(&p, y, parameters, err);
}

static void no_channels(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_constant(s, "blocks.0.channels.out.w", 0);
    sqa_probe_set_constant(s, "blocks.1.channels.out.w", 0);
}

/* Nothing mixed; the same weights over time for tsmixer and for linear. */
static void same_weights(struct sqa_store *s, void *user)
{
    double w[L * H], b[H];
    sqa_probe_normal(4, w, L * H);
    sqa_probe_normal(5, b, H);
    no_channels(s, user);
    sqa_probe_set_constant(s, "blocks.0.time.out.w", 0);
    sqa_probe_set_constant(s, "blocks.1.time.out.w", 0);
    if (!sqa_probe_set(s, "head.w", w))
        sqa_probe_set(s, "w", w);
    if (!sqa_probe_set(s, "head.b", b))
        sqa_probe_set(s, "b", b);
}

static enum sqa_status nothing_mixed(struct sqa_err *err)
{
    double x[ROWS], y[OUT], z[OUT];
    sqa_probe_normal(1, x, ROWS);
    enum sqa_status status = forecast(SIZES, x, same_weights, y, NULL, err);
    if (status == SQA_OK)
        status = forecast("linear", x, same_weights, z, NULL, err);
    return status != SQA_OK ? status
                            : sqa_probe_expect("against linear", sqa_probe_difference(y, z, OUT), 1e-13, err);
}

static enum sqa_status channels_alone(struct sqa_err *err)
{
    double x[ROWS], y[OUT], z[OUT];
    sqa_probe_normal(1, x, ROWS);
    enum sqa_status status = forecast(SIZES, x, no_channels, y, NULL, err);
    for (int i = 0; i < ROWS; i += C)
        x[i] *= -2;
    if (status == SQA_OK)
        status = forecast(SIZES, x, no_channels, z, NULL, err);
    for (int i = 0; i < OUT; i += C)
        z[i] = y[i];
    return status != SQA_OK ? status
                            : sqa_probe_expect("forecasts of channels 1 and 2 when channel 0 moves",
                                               sqa_probe_difference(y, z, OUT), 0, err);
}

static enum sqa_status parameter_count(struct sqa_err *err)
{
    double x[ROWS], y[OUT];
    int64_t n = 0;
    sqa_probe_normal(1, x, ROWS);
    const enum sqa_status status = forecast(SIZES, x, NULL, y, &n, err);
    const double want = LAYERS * (2 * L * D + L + D + 2 * C * D + C + D) + H * (L + 1);
    return status != SQA_OK ? status : sqa_probe_expect("parameters", fabs((double)n - want), 0, err);
}

static const struct sqa_identity identities[] = {
    {"nothing mixed: linear", nothing_mixed},
    {"no channel perceptron: a channel's forecast is its own affair", channels_alone},
    {"layers (2 L D + L + 2 C D + C + 2 D) + H (L + 1) parameters", parameter_count},
    {NULL, NULL}};

const struct sqa_variant sqa_variant_tsmixer = {
    .id = "tsmixer",
    .slot = SQA_SLOT_MODEL,
    .title = "TSMixer",
    .source = "Chen et al. 2023, arXiv:2303.06053",
    .complexity = "O(layers L C D + L H C) time",
    .help = "Of the frame it reads layers, dim (the hidden width) and dropout.",
    .traits = SQA_TRAIT_FRAME,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
