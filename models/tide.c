/*
 * tide.c - a perceptron of one channel's look-back and the times of look-back and horizon
 *
 * Computes  block(x) = norm(relu(x W1 + b1) W2 + b2 + x W3 + b3). For each channel: times of the L + H rows by a block
 *           to 2 numbers each; x and all of them by `layers` blocks to D numbers; by `decoder_layers` blocks to
 *           `decode` numbers for each step; these with the step's own 2 by a last block without norm to the forecast,
 *           plus x W + b over time. x by instance norm before, undone after
 * Shapes    x (B, L, C) and times (B, L + H, F) -> y (B, H, outputs): the last `outputs` channels. Hidden widths: dim of
 *           the frame, ffn in the last block. Tasks without times go without
 * Cost      in closed form; O(outputs (L + H) D) for each row of the batch
 * Source    Das et al. 2023, arXiv:2304.08424; thuml/Time-Series-Library, models/TiDE.py
 * Departs   the last block has no norm: the published codes norm its single number, which leaves 0 and only W and b of
 *           the sum (temporal_norm=1 does so). Layers of encoder and decoder have weights of their own (the library
 *           repeats one). Weights begin Xavier-uniform and biases 0
 */
#include <math.h>
#include <stdio.h>

#include "models/forecast.h"
#include "models/forecast_probe.h"

struct self {
    int64_t decoder_layers, decode, temporal_norm;
    const char *instance;
};

enum { FEATURES = 2 };

static const struct sqa_param params[] = {{"decoder_layers", "blocks of the decoder", SQA_PARAM_INT, "2", 1, 64,
                                           offsetof(struct self, decoder_layers), NULL},
                                          {"decode", "numbers of each step that the decoder makes", SQA_PARAM_INT,
                                           "8", 1, 4096, offsetof(struct self, decode), NULL},
                                          {"temporal_norm",
                                           "1: a norm over the single number of the last block, as published code",
                                           SQA_PARAM_BOOL, "0", 0, 0, offsetof(struct self, temporal_norm), NULL},
                                          SQA_INSTANCE_PARAM(struct self, instance, "norm"),
                                          {.name = NULL}};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    return sqa_forecast_check("tide", frame, task, err);
}

static struct sqa_tensor *block(struct sqa_context *c, const char *scope, struct sqa_tensor *x, int64_t hidden,
                                int64_t out, bool norm)
{
    const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1}, zero = {.kind = SQA_INIT_ZERO};
    const size_t mark = sqa_scope_push(c->g, "%s", scope);
    struct sqa_tensor *y = sqa_dense_layer_act(c, "in", x, hidden, true, SQA_UNARY_RELU);
    y = sqa_dropout(c->g, sqa_dense_layer(c, "out", y, out, true), c->frame.dropout);
    y = sqa_add(c->g, y, sqa_dense_layer(c, "skip", x, out, true));
    if (norm) {
        struct sqa_tensor *gain = sqa_param_tensor(c, "gain", SQA_GROUP_NO_DECAY, one, SQA_DIMS(out));
        y = sqa_layernorm(c->g, y, gain, sqa_param_tensor(c, "bias", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(out)), 1e-5,
                          false);
    }
    sqa_scope_pop(c->g, mark);
    return y;
}

/* `n` blocks to width D, but the last to `out`. */
static struct sqa_tensor *stack(struct sqa_context *c, const char *name, struct sqa_tensor *x, int64_t n, int64_t out)
{
    for (int64_t i = 0; i < n; i++) {
        char scope[64];
        snprintf(scope, sizeof scope, "%s.%d", name, (int)i);
        x = block(c, scope, x, c->frame.dim, i + 1 < n ? c->frame.dim : out, true);
    }
    return x;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t b = c->batch, l = c->length, h = c->task->horizon, o = c->task->outputs, d = c->frame.dim;
    const int64_t width = c->task->marks > 0 ? FEATURES : 0;
    struct sqa_instance instance;
    if (!sqa_whole_lookback(c))
        return NULL;
    x = sqa_instance_norm(c, x, sqa_instance_find(s->instance), &instance);
    x = sqa_dense(c->g, sqa_transpose(c->g, sqa_slice(c->g, x, 2, c->task->channels - o, o), 1, 2));
    struct sqa_tensor *skip = sqa_dense_layer(c, "skip", x, h, true), *both[2] = {x, NULL}, *times = NULL;
    if (width) {
        times = block(c, "features", sqa_marks(c), d, width, true);
        both[1] = sqa_broadcast(c->g, sqa_reshape(c->g, times, SQA_DIMS(b, 1, (l + h) * width)),
                                SQA_DIMS(b, o, (l + h) * width));
        x = sqa_concat(c->g, 2, 2, both);
    }
    x = stack(c, "encoder", x, c->frame.layers, d);
    x = sqa_reshape(c->g, stack(c, "decoder", x, s->decoder_layers, s->decode * h), SQA_DIMS(b, o, h, s->decode));
    if (width) {
        both[0] = x;
        both[1] = sqa_reshape(c->g, sqa_slice(c->g, times, 1, l, h), SQA_DIMS(b, 1, h, width));
        both[1] = sqa_broadcast(c->g, both[1], SQA_DIMS(b, o, h, width));
        x = sqa_concat(c->g, 3, 2, both);
    }
    x = block(c, "temporal", x, c->frame.ffn, 1, s->temporal_norm != 0);
    x = sqa_add(c->g, sqa_reshape(c->g, x, SQA_DIMS(b, o, h)), skip);
    return sqa_instance_undo(c, sqa_transpose(c->g, x, 1, 2), &instance);
}

static double block_flops(double in, double hidden, double out, bool norm)
{
    return 2 * in * hidden + 2 * hidden + 2 * hidden * out + 2 * in * out + (norm ? 10 : 3) * out;
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double l = (double)c->length, h = (double)c->task->horizon, o = (double)c->task->outputs,
                 d = (double)c->frame.dim, f = (double)c->task->marks, width = f > 0 ? FEATURES : 0;
    const double in = l + (l + h) * width, code = (double)s->decode;
    double each = 2 * l * h + h + block_flops(in, d, d, true) + block_flops(d, d, code * h, true) + h;
    each += (double)(c->frame.layers + s->decoder_layers - 2) * block_flops(d, d, d, true);
    each += h * block_flops(code + width, (double)c->frame.ffn, 1, s->temporal_norm != 0);
    const double times = f > 0 ? (l + h) * block_flops(f, d, width, true) : 0;
    return sqa_instance_flops(c, sqa_instance_find(s->instance)) + (double)c->batch * (times + o * each);
}

/* Identities */

enum { L = SQA_FORECAST_L, H = SQA_FORECAST_H, C = SQA_FORECAST_C, ROWS = SQA_FORECAST_ROWS, OUT = SQA_FORECAST_OUT };
enum { F = SQA_FORECAST_F, TIMES = SQA_FORECAST_TIMES };

/* The same weights over time for tide and for linear. */
static void same_skip(struct sqa_store *s, void *user)
{
    double w[L * H], b[H];
    (void)user;
    sqa_probe_normal(4, w, L * H);
    sqa_probe_normal(5, b, H);
    if (!sqa_probe_set(s, "skip.w", w))
        sqa_probe_set(s, "w", w);
    if (!sqa_probe_set(s, "skip.b", b))
        sqa_probe_set(s, "b", b);
}

static void no_last_block(struct sqa_store *s, void *user)
{
    same_skip(s, user);
    sqa_probe_set_constant(s, "temporal.out.w", 0);
    sqa_probe_set_constant(s, "temporal.skip.w", 0);
}

/* A last block of zeros, and one that norms its single number: both leave linear. */
static enum sqa_status linear_is_left(struct sqa_err *err)
{
    double x[ROWS], marks[TIMES], y[OUT], z[OUT], want[OUT];
    sqa_probe_normal(1, x, ROWS);
    sqa_probe_normal(2, marks, TIMES);
    enum sqa_status status = sqa_forecast_run("tide:dim=8,norm=none", x, marks, no_last_block, y, err);
    if (status == SQA_OK)
        status = sqa_forecast_run("tide:dim=8,norm=none,temporal_norm=1", x, marks, same_skip, z, err);
    if (status == SQA_OK)
        status = sqa_forecast_run("linear", x, NULL, same_skip, want, err);
    if (status == SQA_OK)
        status = sqa_probe_expect("a last block of zeros", sqa_probe_difference(y, want, OUT), 1e-13, err);
    return status != SQA_OK ? status
                            : sqa_probe_expect("temporal_norm=1", sqa_probe_difference(z, want, OUT), 1e-13, err);
}

static void no_encoder(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_constant(s, "encoder.0.in.w", 0);
    sqa_probe_set_constant(s, "encoder.0.skip.w", 0);
}

static enum sqa_status one_step(struct sqa_err *err)
{
    enum { STEP = 3 };
    double x[ROWS], marks[TIMES], y[OUT], z[OUT], moved = 0;
    sqa_probe_normal(1, x, ROWS);
    sqa_probe_normal(2, marks, TIMES);
    enum sqa_status status = sqa_forecast_run("tide:dim=8", x, marks, no_encoder, y, err);
    for (int i = 0; i < TIMES; i++)
        marks[i] += i / F % (L + H) == L + STEP ? 0.1 * (double)(i % F * i % F) + 0.3 : 0;
    if (status == SQA_OK)
        status = sqa_forecast_run("tide:dim=8", x, marks, no_encoder, z, err);
    for (int i = 0; i < OUT; i++) {
        moved = fmax(moved, i / C % H == STEP ? fabs(y[i] - z[i]) : 0);
        z[i] = i / C % H == STEP ? y[i] : z[i];
    }
    if (status == SQA_OK)
        status = sqa_probe_expect("other steps", sqa_probe_difference(y, z, OUT), 0, err);
    return status != SQA_OK || moved > 1e-6 ? status : sqa_fail(err, SQA_NO, "the time of a step changes nothing");
}

static enum sqa_status channels_alone(struct sqa_err *err)
{
    static const char *const specs[] = {"tide:dim=8", NULL};
    double marks[TIMES];
    sqa_probe_normal(2, marks, TIMES);
    return sqa_forecast_alone(sqa_forecast_probe(NULL, NULL, marks), specs, err);
}

static const struct sqa_identity identities[] = {
    {"a last block of zeros, or one that norms its single number: linear", linear_is_left},
    {"an encoder of zeros: the time of a step moves that step alone", one_step},
    {"a channel's forecast is its own affair", channels_alone},
    {NULL, NULL}};

const struct sqa_variant sqa_variant_tide = {
    .id = "tide",
    .slot = SQA_SLOT_MODEL,
    .title = "TiDE",
    .source = "Das et al. 2023, arXiv:2304.08424",
    .complexity = "O(C (L + H) D) time",
    .help = "Of the frame it reads layers (blocks of the encoder), dim, ffn (hidden width of the last block) and "
            "dropout.",
    .traits = SQA_TRAIT_FRAME,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
