/*
 * patchtst.c - patches of one channel are the tokens; channels share everything and do not see each other
 *
 * Computes  x by instance norm; each channel's L values and `stride` copies of the last one are cut into N patches of
 *           P values, stride s; token = patch Wp + bp + position; blocks of the frame (any mixer: +mixer=) over the N
 *           tokens of B outputs series; y = flatten(tokens) Wh + bh; instance norm undone
 * Shapes    x (B, L, C) -> tokens (B outputs, N, D), N = floor((L - P) / s) + 2 -> y (B, H, outputs)
 * Cost      instance norm + B outputs (N (2 P D + 2 D) + 2 N D H + H) flops + blocks
 * Source    Nie et al. 2022, arXiv:2211.14730; yuqinie98/PatchTST, PatchTST_supervised/layers/PatchTST_backbone.py:
 *           post-norm blocks with BatchNorm, residual attention (models/realformer.c), two dropouts behind attention,
 *           no final norm
 * Departs   weights begin Xavier-uniform and biases 0; channels that are not forecast are left out; s divides P
 */
#include <math.h>
#include <stdio.h>

#include "models/forecast.h"
#include "models/probe.h"

struct self {
    int64_t patch, stride;
    const char *instance;
    double head_dropout;
};

enum { MOST_PARTS = 12 }; /* of a patch, each `stride` values */

static const struct sqa_param params[] = {
    {"patch", "values of a patch", SQA_PARAM_INT, "16", 1, 4096, offsetof(struct self, patch), NULL},
    {"stride", "from patch to patch; divides patch", SQA_PARAM_INT, "8", 1, 4096, offsetof(struct self, stride),
     NULL},
    SQA_INSTANCE_PARAM(struct self, instance, "norm"),
    {"head_dropout", "share of the forecast's values dropped in training", SQA_PARAM_REAL, "0", 0, 0.99,
     offsetof(struct self, head_dropout), NULL},
    {.name = NULL}};

static int64_t patches(const void *self, const struct sqa_signature *task)
{
    const struct self *s = self;
    return (task->length - s->patch) / s->stride + 2;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;
    const enum sqa_status status = sqa_forecast_check("patchtst", frame, task, err);
    if (status != SQA_OK)
        return status;
    if (s->patch % s->stride != 0 || s->patch / s->stride > MOST_PARTS)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "patchtst: patch=%lld, stride=%lld; give a stride that divides patch, at most %d times",
                        (long long)s->patch, (long long)s->stride, (int)MOST_PARTS);
    if (s->patch > task->length)
        return sqa_fail(
            err, SQA_UNSUPPORTED,
            "patchtst: patch=%lld of a look-back of %lld rows; give a shorter patch or a longer look-back",
            (long long)s->patch, (long long)task->length);
    return SQA_OK;
}

/* x (R, L) -> (R, n, patch): patch i is values i stride .. i stride + patch - 1 of x and copies of its last value. */
static struct sqa_tensor *cut(const struct self *s, struct sqa_context *c, struct sqa_tensor *x, int64_t n)
{
    const int64_t parts = s->patch / s->stride, rows = x ? x->dim[0] : 0, l = c->length;
    struct sqa_tensor *last = sqa_slice(c->g, x, 1, l - 1, 1), *part[MOST_PARTS];
    struct sqa_tensor *both[2] = {x, sqa_broadcast(c->g, last, SQA_DIMS(rows, s->stride))};
    x = sqa_slice(c->g, sqa_concat(c->g, 1, 2, both), 1, 0, (n - 1 + parts) * s->stride);
    x = sqa_reshape(c->g, x, SQA_DIMS(rows, n - 1 + parts, s->stride));
    for (int64_t i = 0; i < parts; i++)
        part[i] = sqa_slice(c->g, x, 1, i, n);
    return sqa_concat(c->g, 2, (int)parts, part);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t o = c->task->outputs, h = c->task->horizon, n = patches(self, c->task), d = c->frame.dim;
    const struct sqa_init init = {.kind = SQA_INIT_UNIFORM, .a = -0.02, .b = 0.02};
    struct sqa_instance instance;
    if (!sqa_whole_lookback(c))
        return NULL;
    x = sqa_instance_norm(c, x, sqa_instance_find(s->instance), &instance);
    x = sqa_dense(c->g, sqa_transpose(c->g, sqa_slice(c->g, x, 2, c->task->channels - o, o), 1, 2));
    x = cut(s, c, sqa_reshape(c->g, x, SQA_DIMS(c->batch * o, c->length)), n);
    x = sqa_dense_layer(c, "embed", x, d, true);
    x = sqa_add(c->g, x, sqa_param_tensor(c, "position", SQA_GROUP_REGULAR, init, SQA_DIMS(n, d)));
    x = sqa_dropout(c->g, x, c->frame.dropout);
    struct sqa_context in = *c;
    in.batch = c->batch * o;
    in.length = in.max_length = n;
    x = sqa_reshape(c->g, sqa_build_blocks(&in, x), SQA_DIMS(c->batch, o, n * d));
    x = sqa_dropout(c->g, sqa_dense_layer(c, "head", x, h, true), s->head_dropout);
    return sqa_instance_undo(c, sqa_transpose(c->g, x, 1, 2), &instance);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const int64_t n = patches(self, c->task);
    const double d = (double)c->frame.dim, h = (double)c->task->horizon, p = (double)s->patch;
    struct sqa_context in = *c;
    in.batch = c->batch * c->task->outputs;
    in.length = in.max_length = n;
    return sqa_instance_flops(c, sqa_instance_find(s->instance)) +
           (double)in.batch * ((double)n * (2 * p * d + 2 * d) + 2 * (double)n * d * h + h) + sqa_blocks_flops(&in);
}

/* Identities: L = 12, H = 4, B = 2, C = 3 */

enum { L = 12, H = 4, B = 2, C = 3, ROWS = B * L * C, OUT = B * H * C };

#define SIZES "patchtst:dim=8,heads=2,ffn=6,layers=2,patch=4,stride=2"

static enum sqa_status forecast(const char *spec, int64_t length, int64_t channels, int64_t horizon, const double *x,
                                double *y, int64_t *parameters, struct sqa_err *err)
{
    const struct sqa_probe_whole p = {.model = spec,
                                      .task = {.kind = SQA_FORECAST,
                                               .length = length,
                                               .channels = channels,
                                               .outputs = channels,
                                               .horizon = horizon},
                                      .batch = B,
                                      .seed = 7,
                                      .real = SQA_F64,
                                      .x = x};
    return sqa_probe_whole(&p, y, parameters, err);
}

static enum sqa_status channels_alone(struct sqa_err *err)
{
    double x[ROWS], one[ROWS], y[OUT], z[OUT];
    int64_t many = 0, few = 0;
    sqa_probe_normal(1, x, ROWS);
    enum sqa_status status = forecast(SIZES, L, C, H, x, y, &many, err);
    for (int i = 0; i < B * L; i++)
        one[i] = x[i * C + 1];
    if (status == SQA_OK)
        status = forecast(SIZES, L, 1, H, one, z, &few, err);
    for (int i = 0; i < B * H; i++)
        y[i] = y[i * C + 1];
    if (status == SQA_OK)
        status = sqa_probe_expect("channel 1 of three and alone", sqa_probe_difference(y, z, B * H), 1e-12, err);
    return status != SQA_OK
               ? status
               : sqa_probe_expect("parameters with three channels and one", fabs((double)(many - few)), 0, err);
}

/* What differs between horizons and look-backs is the head, H (N D + 1), and the positions, N D. */
static enum sqa_status patch_count(struct sqa_err *err)
{
    static const struct {
        int64_t length, patch, stride, n;
    } rows[] = {{336, 16, 8, 42}, {512, 16, 8, 64}, {104, 24, 2, 42}, {96, 16, 8, 12}};
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < 4 && status == SQA_OK; i++) {
        int64_t one = 0, two = 0;
        char spec[160];
        snprintf(spec, sizeof spec, "patchtst:dim=16,heads=4,ffn=128,layers=3,patch=%d,stride=%d", (int)rows[i].patch,
                 (int)rows[i].stride);
        status = forecast(spec, rows[i].length, 1, 1, NULL, NULL, &one, err);
        if (status == SQA_OK)
            status = forecast(spec, rows[i].length, 1, 2, NULL, NULL, &two, err);
        if (status == SQA_OK)
            status = sqa_probe_expect("parameters of one more row of the horizon against N D + 1",
                                      fabs((double)(two - one - rows[i].n * 16 - 1)), 0, err);
        /* the rest of the encoder, written out: patches, positions, 3 layers of attention, MLP and two norms */
        const int64_t rest = rows[i].patch * 16 + 16 + rows[i].n * 16 +
                             3 * (4 * (16 * 16 + 16) + 16 * 128 + 128 + 128 * 16 + 16 + 4 * 16);
        if (status == SQA_OK)
            status = sqa_probe_expect("parameters without the head", fabs((double)(2 * one - two - rest)), 0, err);
    }
    return status;
}

/* stride = patch divides L: the last patch is copies of the last value, whatever the rest is. Its token is read by a
 * head of zeros elsewhere. */
static void read_last(struct sqa_store *s, void *user)
{
    enum { N = L / 4 + 1, D = 8 };
    double w[N * D * H] = {0};
    (void)user;
    sqa_probe_normal(4, w + (N - 1) * D * H, D * H);
    sqa_probe_set(s, "head.w", w);
}

static enum sqa_status last_patch(struct sqa_err *err)
{
    double x[ROWS], y[OUT], z[OUT];
    struct sqa_probe_whole p = {
        .model = "patchtst:dim=8,heads=2,ffn=6,patch=4,stride=4,norm=none+mixer=no_mixer",
        .task = {.kind = SQA_FORECAST, .length = L, .channels = C, .outputs = C, .horizon = H},
        .batch = B,
        .seed = 7,
        .real = SQA_F64,
        .x = x,
        .edit = read_last};
    sqa_probe_normal(1, x, ROWS);
    enum sqa_status status = sqa_probe_whole(&p, y, NULL, err);
    for (int i = 0; i < ROWS; i++)
        x[i] *= i / C % L == L - 1 ? 1 : -3;
    if (status == SQA_OK)
        status = sqa_probe_whole(&p, z, NULL, err);
    return status != SQA_OK
               ? status
               : sqa_probe_expect("rows before the last changed", sqa_probe_difference(y, z, OUT), 0, err);
}

static const struct sqa_identity identities[] = {
    {"a channel's forecast is its own affair", channels_alone},
    {"42, 64, 42 and 12 patches at the published sizes, and their parameters", patch_count},
    {"stride = patch: the last patch is the last value", last_patch},
    {NULL, NULL}};

const struct sqa_variant sqa_variant_patchtst = {
    .id = "patchtst",
    .slot = SQA_SLOT_MODEL,
    .title = "PatchTST",
    .source = "Nie et al. 2022, arXiv:2211.14730",
    .complexity = "O(C (N^2 D + N D^2 + N D H)) time, N = L / stride",
    .help =
        "PatchTST/42 is a look-back of 336, PatchTST/64 of 512, both of patches of 16 with stride 8. +mixer= puts "
        "any mixer of the registry on the patches.",
    .traits = SQA_TRAIT_FRAME,
    .params = params,
    .self_size = sizeof(struct self),
    .slots = {[SQA_SLOT_MIXER] = "realformer:projection_dropout=1",
              [SQA_SLOT_CHANNEL] = "mlp",
              [SQA_SLOT_NORM] = "batchnorm",
              [SQA_SLOT_RESIDUAL] = "postnorm"},
    .tokens = patches,
    .small = "patch=4,stride=2",
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
