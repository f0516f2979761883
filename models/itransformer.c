/*
 * itransformer.c - each channel's look-back is one token; blocks mix channels
 *
 * Computes  x by instance norm; token c = x[:, c] We + be, and one more token for each feature of the rows' times;
 *           blocks of the frame over the C + F tokens (any mixer of the registry: +mixer=); layer norm;
 *           y[:, c] = token c Wp + bp; instance norm undone
 * Shapes    x (B, L, C) -> tokens (B, C + F, D) -> y (B, H, outputs): the last `outputs` channels
 * Cost      instance norm + B (C + F) (2 L D + 8 D) + blocks + B outputs (2 D H + H) flops
 * Source    Liu et al. 2023, arXiv:2310.06625; thuml/iTransformer, model/iTransformer.py. D (L + 1) + layers
 *           (4 D (D + 1) + 2 D F + F + 5 D) + 2 D + H (D + 1) parameters: 4,833,888 at L = H = 96, D = F = 512 and 3
 *           layers, printed as 4.83M (Time-Series-Library issue 283)
 * Departs   weights begin Xavier-uniform and biases 0; channels that are not forecast are tokens, but not projected;
 *           statistics of the instance norm are those of x, as there
 */
#include <math.h>
#include <string.h>

#include "models/forecast.h"
#include "models/forecast_probe.h"

struct self {
    const char *instance;
    int64_t marks;
};

static const struct sqa_param params[] = {SQA_INSTANCE_PARAM(struct self, instance, "norm"),
                                          {"marks",
                                           "1: features of the rows' times are tokens too, where the task has times",
                                           SQA_PARAM_BOOL, "1", 0, 0, offsetof(struct self, marks), NULL},
                                          {.name = NULL}};

static int64_t tokens(const void *self, const struct sqa_signature *task)
{
    const struct self *s = self;
    return task->channels + (s->marks ? task->marks : 0);
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    return sqa_forecast_check("itransformer", frame, task, err);
}

/* (B, C, L) of x, and below it (B, F, L) of the times of those rows. */
static struct sqa_tensor *rows_as_columns(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    struct sqa_tensor *both[2] = {sqa_transpose(c->g, x, 1, 2), NULL};
    if (!s->marks || c->task->marks < 1)
        return sqa_dense(c->g, both[0]);
    both[1] = sqa_transpose(c->g, sqa_slice(c->g, sqa_marks(c), 1, 0, c->length), 1, 2);
    return sqa_concat(c->g, 1, 2, both);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t o = c->task->outputs;
    struct sqa_instance instance;
    if (!sqa_whole_lookback(c))
        return NULL;
    x = sqa_instance_norm(c, x, sqa_instance_find(s->instance), &instance);
    x = rows_as_columns(s, c, x);
    x = sqa_dropout(c->g, sqa_dense_layer(c, "embed", x, c->frame.dim, true), c->frame.dropout);
    struct sqa_context in = *c;
    in.length = in.max_length = tokens(self, c->task);
    x = sqa_build_norm(&in, "norm", sqa_build_blocks(&in, x));
    x = x ? sqa_slice(c->g, x, 1, c->task->channels - o, o) : NULL;
    x = sqa_dense_layer(c, "head", sqa_dense(c->g, x), c->task->horizon, true);
    return sqa_instance_undo(c, sqa_transpose(c->g, x, 1, 2), &instance);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double b = (double)c->batch, l = (double)c->length, d = (double)c->frame.dim, h = (double)c->task->horizon,
                 o = (double)c->task->outputs;
    struct sqa_context in = *c;
    in.length = in.max_length = tokens(self, c->task);
    return sqa_instance_flops(c, sqa_instance_find(s->instance)) + b * (double)in.length * (2 * l * d + d) +
           sqa_blocks_flops(&in) + sqa_item_flops(&c->model->slot[SQA_SLOT_NORM], &in) + b * o * (2 * d * h + h);
}

/* Identities: L = 10, H = 4, B = 2, C = 5 */

enum { L = 10, H = 4, B = 2, C = 5, ROWS = B * L * C, OUT = B * H * C };

#define SIZES "dim=8,heads=2,ffn=6,layers=2"

static enum sqa_status forecast(const char *spec, int64_t channels, const double *x, double *y, int64_t *parameters,
                                struct sqa_err *err)
{
    const struct sqa_probe_whole p = {
        .model = spec,
        .task = {.kind = SQA_FORECAST, .length = L, .channels = channels, .outputs = channels, .horizon = H},
        .batch = B,
        .seed = 7,
        .real = SQA_F64,
        .x = x};
    return sqa_probe_whole(&p, y, parameters, err);
}

static const char *const any_order[] = {"itransformer:" SIZES, "itransformer:" SIZES "+mixer=linear_transformer",
                                        "itransformer:" SIZES "+mixer=performer", NULL};

static enum sqa_status permuted(struct sqa_err *err)
{
    static const int order[C] = {3, 0, 4, 1, 2};
    enum sqa_status status = SQA_OK;
    for (int k = 0; any_order[k] && status == SQA_OK; k++) {
        double x[ROWS], moved[ROWS], y[OUT], z[OUT], want[OUT];
        sqa_probe_normal(1, x, ROWS);
        for (int i = 0; i < ROWS; i++)
            moved[i] = x[i / C * C + order[i % C]];
        status = forecast(any_order[k], C, x, y, NULL, err);
        if (status == SQA_OK)
            status = forecast(any_order[k], C, moved, z, NULL, err);
        for (int i = 0; i < OUT; i++)
            want[i] = y[i / C * C + order[i % C]];
        if (status == SQA_OK)
            status = sqa_probe_expect(any_order[k], sqa_probe_difference(z, want, OUT), 1e-12, err);
    }
    return status;
}

static enum sqa_status scaled(struct sqa_err *err)
{
    double x[ROWS], y[OUT], z[OUT];
    sqa_probe_normal(1, x, ROWS);
    for (int i = 0; i < ROWS; i++)
        x[i] *= 100; /* the eps of the norm is small beside it */
    enum sqa_status status = forecast(any_order[0], C, x, y, NULL, err);
    for (int i = 0; i < ROWS; i++)
        x[i] = x[i] * (1 + i % C) + 7 * (i % C);
    if (status == SQA_OK)
        status = forecast(any_order[0], C, x, z, NULL, err);
    for (int i = 0; i < OUT; i++)
        y[i] = y[i] * (1 + i % C) + 7 * (i % C);
    return status != SQA_OK
               ? status
               : sqa_probe_expect("f(a x + b) against a f(x) + b", sqa_probe_difference(z, y, OUT), 1e-8, err);
}

static enum sqa_status any_number_of_channels(struct sqa_err *err)
{
    static double x[2 * ROWS], y[2 * OUT];
    int64_t few = 0, many = 0;
    sqa_probe_normal(1, x, 2 * ROWS);
    enum sqa_status status = forecast(any_order[0], C, x, y, &few, err);
    if (status == SQA_OK)
        status = forecast(any_order[0], 2 * C, x, y, &many, err);
    return status != SQA_OK
               ? status
               : sqa_probe_expect("parameters with twice the channels", fabs((double)(many - few)), 0, err);
}

static enum sqa_status parameter_count(struct sqa_err *err)
{
    return sqa_forecast_parameters("itransformer:dim=512,ffn=512,heads=8,layers=3", 96, 7, 96, 4833888, err);
}

static const struct sqa_identity identities[] = {
    {"permuted channels give permuted forecasts", permuted},
    {"scaled and shifted channels give scaled and shifted forecasts", scaled},
    {"no weight depends on the number of channels", any_number_of_channels},
    {"4833888 parameters at the published sizes", parameter_count},
    {NULL, NULL}};

const struct sqa_variant sqa_variant_itransformer = {
    .id = "itransformer",
    .slot = SQA_SLOT_MODEL,
    .title = "iTransformer",
    .source = "Liu et al. 2023, arXiv:2310.06625",
    .complexity = "O(C^2 D + C L D) time with softmax attention",
    .help = "Channels are the positions: attention, or any other mixer (itransformer+mixer=performer), works between "
            "them, and the perceptrons work on whole series. Weights do not depend on the number of channels.",
    .traits = SQA_TRAIT_FRAME,
    .params = params,
    .self_size = sizeof(struct self),
    .slots = {[SQA_SLOT_MIXER] = "transformer",
              [SQA_SLOT_CHANNEL] = "mlp",
              [SQA_SLOT_NORM] = "layernorm",
              [SQA_SLOT_RESIDUAL] = "postnorm"},
    .tokens = tokens,
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
