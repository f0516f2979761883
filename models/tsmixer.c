/*
 * tsmixer.c - perceptrons over time and over channels in turn
 *
 * Computes  `layers` times: x += mlp over the L rows of each channel; x += mlp over the C channels of each row, both
 *           relu(x W1 + b1) W2 + b2 of hidden width D; then y = x W + b over time
 * Shapes    x (B, L, C) -> y (B, H, outputs): the last `outputs` channels
 * Cost      layers B (C (4 L D + 2 D + L) + L (4 C D + 2 D + C) + 2 L C) + B outputs (2 L H + H) flops
 * Source    Chen et al. 2023, arXiv:2303.06053; in the form of thuml/Time-Series-Library, models/TSMixer.py, which has
 *           no normalisation (the paper has one over time and channels). layers (2 L D + L + 2 C D + C + 2 D) +
 *           H (L + 1) parameters
 * Departs   weights begin Xavier-uniform and biases 0
 */
#include <math.h>

#include "models/forecast.h"
#include "models/forecast_probe.h"

struct self {
    const char *instance;
};

static const struct sqa_param params[] = {SQA_INSTANCE_PARAM(struct self, instance, "none"), {.name = NULL}};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    return sqa_forecast_check("tsmixer", frame, task, err);
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
    if (!sqa_whole_lookback(c))
        return NULL;
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

/* Identities */

enum { L = SQA_FORECAST_L, H = SQA_FORECAST_H, C = SQA_FORECAST_C, ROWS = SQA_FORECAST_ROWS, OUT = SQA_FORECAST_OUT };
enum { D = 8, LAYERS = 2 };

#define SIZES "tsmixer:dim=8,layers=2"

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
    enum sqa_status status = sqa_forecast_run(SIZES, x, NULL, same_weights, y, err);
    if (status == SQA_OK)
        status = sqa_forecast_run("linear", x, NULL, same_weights, z, err);
    return status != SQA_OK ? status
                            : sqa_probe_expect("against linear", sqa_probe_difference(y, z, OUT), 1e-13, err);
}

static enum sqa_status channels_alone(struct sqa_err *err)
{
    static const char *const specs[] = {SIZES, NULL};
    struct sqa_probe_whole p = sqa_forecast_probe(NULL, NULL, NULL);
    p.edit = no_channels;
    return sqa_forecast_alone(p, specs, err);
}

static enum sqa_status parameter_count(struct sqa_err *err)
{
    const int64_t want = LAYERS * (2 * L * D + L + D + 2 * C * D + C + D) + H * (L + 1);
    return sqa_forecast_parameters(SIZES, L, C, H, want, err);
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
