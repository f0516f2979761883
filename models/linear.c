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

#include "models/probe.h"

struct self {
    int64_t individual;
};

static const struct sqa_param params[] = {{"individual", "1: weights of its own for each channel", SQA_PARAM_BOOL,
                                           "0", 0, 0, offsetof(struct self, individual), NULL},
                                          {.name = NULL}};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)frame;
    if (task->kind == SQA_FORECAST)
        return SQA_OK;
    return sqa_fail(err, SQA_UNSUPPORTED, "linear: it forecasts series; take a forecasting task such as etth1");
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t l = c->max_length, h = c->task->horizon, o = c->task->outputs;
    const double bound = 1 / sqrt((double)l);
    const struct sqa_init init = {.kind = SQA_INIT_UNIFORM, .a = -bound, .b = bound};
    const int order[3] = {s->individual ? 2 : 0, s->individual ? 0 : 2, 1};
    const int back[3] = {s->individual ? 1 : 0, 2, s->individual ? 0 : 1};
    if (c->length != l)
        return sqa_graph_fail(c->g, SQA_UNSUPPORTED,
                              "linear: its weights are for %lld rows, not %lld; give the whole look-back",
                              (long long)l, (long long)c->length);
    x = sqa_dense(c->g, sqa_permute(c->g, sqa_slice(c->g, x, 2, c->task->channels - o, o), order));
    struct sqa_tensor *y;
    if (s->individual) {
        struct sqa_tensor *w = sqa_param_tensor(c, "w", SQA_GROUP_REGULAR, init, SQA_DIMS(o, l, h));
        struct sqa_tensor *b = sqa_param_tensor(c, "b", SQA_GROUP_NO_DECAY, init, SQA_DIMS(o, 1, h));
        y = sqa_add(c->g, sqa_matmul(c->g, x, w, false, false), b);
    } else {
        struct sqa_tensor *w = sqa_param_tensor(c, "w", SQA_GROUP_REGULAR, init, SQA_DIMS(l, h));
        struct sqa_tensor *b = sqa_param_tensor(c, "b", SQA_GROUP_NO_DECAY, init, SQA_DIMS(h));
        y = sqa_linear(c->g, x, w, b);
    }
    return sqa_permute(c->g, y, back);
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    const double l = (double)c->length, h = (double)c->task->horizon;
    return (double)c->batch * (double)c->task->outputs * (2 * l * h + h);
}

/* Identities: L = 12, H = 5, B = 2, C = 3 */

enum { L = 12, H = 5, B = 2, C = 3, ROWS = B * L * C, OUT = B * H * C };

static enum sqa_status forecast(const char *spec, const double *x, void (*edit)(struct sqa_store *, void *),
                                double y[OUT], int64_t *parameters, struct sqa_err *err)
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
    const enum sqa_status status = forecast("linear", x, mirror, y, NULL, err);
    return status != SQA_OK ? status
                            : sqa_probe_expect("rows read backwards", sqa_probe_difference(y, want, OUT), 1e-15, err);
}

static enum sqa_status channels_alone(struct sqa_err *err)
{
    static const char *const specs[2] = {"linear", "linear:individual=1"};
    for (int k = 0; k < 2; k++) {
        double x[ROWS], y[OUT], z[OUT];
        int64_t n = 0;
        sqa_probe_normal(1, x, ROWS);
        enum sqa_status status = forecast(specs[k], x, NULL, y, &n, err);
        for (int i = 0; i < ROWS; i += C)
            x[i] *= -2;
        if (status == SQA_OK)
            status = forecast(specs[k], x, NULL, z, NULL, err);
        for (int i = 0; i < OUT; i += C)
            z[i] = y[i];
        if (status == SQA_OK)
            status = sqa_probe_expect("forecasts of channels 1 and 2 when channel 0 moves",
                                      sqa_probe_difference(y, z, OUT), 0, err);
        if (status == SQA_OK)
            status = sqa_probe_expect("parameters against H (L + 1), times C when individual",
                                      fabs((double)n - H * (L + 1) * (k ? C : 1)), 0, err);
        if (status != SQA_OK)
            return status;
    }
    return SQA_OK;
}

static const struct sqa_identity identities[] = {{"weights that choose rows choose them", chosen_rows},
                                                 {"a channel's forecast is its own affair", channels_alone},
                                                 {NULL, NULL}};

const struct sqa_variant sqa_variant_linear = {
    .id = "linear",
    .slot = SQA_SLOT_MODEL,
    .title = "Linear",
    .source = "Zeng et al. 2022, arXiv:2205.13504, section 4.2",
    .complexity = "O(L H C) time",
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
