/*
 * mamba.c - selective state space (S6) in the block of Mamba
 *
 * Computes  u, z = Wx x, Wz x of E = expand D channels; u = silu(conv(u) + b), depthwise, causal;
 *           (delta, b_t, c_t) = Wp u; dt = softplus(Wdt delta + b_dt); A = -exp(a_log);
 *           h_t = exp(dt_t A) h_(t-1) + dt_t u_t b_t, y_t = c_t . h_t + d u_t for each channel, `state` numbers h;
 *           out = Wo (y silu(z)).
 *           Not causal: a second conv, Wp, Wdt, A and d see the sequence from its end; both y are added before the
 *           gate. bidirectional=0 keeps the one direction of the paper there too
 * Shapes    x (B, L, D) -> (B, L, D); conv.w (conv, E); a_log (state, E); dt.w (rank, E), rank = ceil(D / 16)
 * Cost      B L (6 D E + E) and, for each direction, B L E (2 conv + 2 + 2 (rank + 2 state) + 2 rank + 2 + 7 state +
 *           3)
 * Step      E (state + conv - 1) numbers
 * Source    Gu and Dao 2023, arXiv:2312.00752, algorithm 2 and section 3.4; initial values: state-spaces/mamba:
 *           mamba_ssm/modules/mamba_simple.py
 * Departs   the paper has no form that sees the future; this one is ours. Wx and Wz, there one matrix, Wp and Wo
 *           have Xavier's deviations (Wo over the root of the number of layers)
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "models/probe_known.h"
#include "models/selective_scan.h"
#include "models/short_conv.h"
#include "models/step.h"

struct self {
    int64_t state, expand, conv, rank, chunk, bidirectional;
    double dt_min, dt_max;
};

static const struct sqa_param params[] = {
    {"state", "numbers of state of a channel", SQA_PARAM_INT, "16", 1, 1024, .offset = offsetof(struct self, state)},
    {"expand", "channels inside, in multiples of dim", SQA_PARAM_INT, "2", 1, 16,
     .offset = offsetof(struct self, expand)},
    {"conv", "taps of the convolution", SQA_PARAM_INT, "4", 1, 64, .offset = offsetof(struct self, conv)},
    {"rank", "of the projection to dt; 0: dim / 16, rounded up", SQA_PARAM_INT, "0", 0, 1 << 16,
     .offset = offsetof(struct self, rank)},
    {"chunk", "positions between states that are kept; changes cost, not results", SQA_PARAM_INT, "32", 1, 1 << 16,
     .offset = offsetof(struct self, chunk)},
    {"bidirectional", "when not causal, add a second direction", SQA_PARAM_INT, "1", 0, 1,
     .offset = offsetof(struct self, bidirectional)},
    {"dt_min", "smallest initial step", SQA_PARAM_REAL, "0.001", 1e-9, 10, .offset = offsetof(struct self, dt_min)},
    {"dt_max", "largest initial step", SQA_PARAM_REAL, "0.1", 1e-9, 10, .offset = offsetof(struct self, dt_max)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)frame, (void)task;
    if (s->dt_min > s->dt_max)
        return sqa_fail(err, SQA_USAGE, "mamba: dt_min=%g is above dt_max=%g; exchange them", s->dt_min, s->dt_max);
    return SQA_OK;
}

static int64_t rank_of(const struct self *s, const struct sqa_context *c)
{
    return s->rank > 0 ? s->rank : (c->frame.dim + 15) / 16;
}

static int directions(const struct self *s, const struct sqa_context *c)
{
    return c->frame.causal || !s->bidirectional ? 1 : 2;
}

/* Initial values: A = -(1, 2, ..., state) for each channel, and softplus(b_dt) log-uniform. */

static void fill_log_rows(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    (void)rank, (void)key, (void)arg;
    for (int64_t i = 0; i < dim[0] * dim[1]; i++)
        values[i] = log((double)(1 + i / dim[1]));
}

static void fill_steps(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    const struct self *s = arg;

    (void)rank;
    for (int64_t i = 0; i < dim[0]; i++) {
        const double low = log(s->dt_min), high = log(s->dt_max);
        const double dt = fmax(exp(low + (high - low) * sqa_random_uniform(key, (uint64_t)i)), 1e-4);

        values[i] = dt + log(-expm1(-dt));
    }
}

static struct sqa_init uniform(double bound)
{
    return (struct sqa_init){.kind = SQA_INIT_UNIFORM, .a = -bound, .b = bound};
}

/* h = exp(dt A) h + dt u b, c . h + d u for one position */
static struct sqa_tensor *scan_step(struct sqa_context *c, struct sqa_selective_inputs in)
{
    const int64_t B = c->batch, N = in.a->dim[0], E = in.a->dim[1];
    struct sqa_tensor *dt = sqa_reshape(c->g, in.dt, SQA_DIMS(B, 1, 1, E)), *h;
    struct sqa_tensor *u = sqa_mul(c->g, dt, sqa_reshape(c->g, in.u, SQA_DIMS(B, 1, 1, E)));
    struct sqa_tensor *decay = sqa_unary(c->g, SQA_UNARY_EXP, sqa_mul(c->g, dt, in.a));

    u = sqa_mul(c->g, u, sqa_reshape(c->g, in.b, SQA_DIMS(B, 1, N, 1)));
    h = sqa_diagonal_step(c, "h", sqa_reshape(c->g, decay, SQA_DIMS(B, 1, N * E)),
                          sqa_reshape(c->g, u, SQA_DIMS(B, 1, N * E)), false);
    h = sqa_mul(c->g, sqa_reshape(c->g, h, SQA_DIMS(B, 1, N, E)), sqa_reshape(c->g, in.c, SQA_DIMS(B, 1, N, 1)));
    return sqa_add(c->g, sqa_sum(c->g, h, 1U << 2, false), sqa_mul(c->g, in.skip, in.u));
}

/* silu(conv(u)) */
static struct sqa_tensor *shortly(const struct self *s, struct sqa_context *c, struct sqa_tensor *u, bool back)
{
    const int64_t E = s->expand * c->frame.dim;
    const double tap = 1 / sqrt((double)s->conv);
    struct sqa_tensor *w = sqa_param_tensor(c, "conv.w", SQA_GROUP_REGULAR, uniform(tap), SQA_DIMS(s->conv, E));
    struct sqa_tensor *b = sqa_param_tensor(c, "conv.b", SQA_GROUP_NO_DECAY, uniform(tap), SQA_DIMS(E));

    u = back ? sqa_conv1d(c->g, u, w, b, c->lengths, 0) : sqa_short_conv(c, "conv", u, w, b);
    return sqa_unary(c->g, SQA_UNARY_SILU, u);
}

/* One direction in a scope of its own: y of u (B, L, E) before the convolution */
static struct sqa_tensor *direction(const struct self *s, struct sqa_context *c, struct sqa_tensor *u, bool back)
{
    const int64_t E = s->expand * c->frame.dim, N = s->state, R = rank_of(s, c);
    const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1}, steps = {SQA_INIT_CUSTOM, 0, 0, fill_steps, s};
    const struct sqa_init rows = {.kind = SQA_INIT_CUSTOM, .fill = fill_log_rows};
    const size_t mark = sqa_scope_push(c->g, back ? "back" : "forth");
    struct sqa_selective_inputs in = {.u = shortly(s, c, u, back), .lengths = c->lengths};
    struct sqa_tensor *w, *b, *p = sqa_dense_layer(c, "wp", in.u, R + 2 * N, false), *y;

    w = sqa_param_tensor(c, "dt.w", SQA_GROUP_REGULAR, uniform(1 / sqrt((double)R)), SQA_DIMS(R, E));
    b = sqa_param_tensor(c, "dt.b", SQA_GROUP_NO_DECAY, steps, SQA_DIMS(E));
    in.dt = sqa_linear_act(c->g, sqa_slice(c->g, p, 2, 0, R), w, b, SQA_UNARY_SOFTPLUS);
    in.b = sqa_slice(c->g, p, 2, R, N);
    in.c = sqa_slice(c->g, p, 2, R + N, N);
    in.a = sqa_param_tensor(c, "a_log", SQA_GROUP_NO_DECAY, rows, SQA_DIMS(N, E));
    in.a = sqa_affine(c->g, -1, sqa_unary(c->g, SQA_UNARY_EXP, in.a), 0);
    in.skip = sqa_param_tensor(c, "d", SQA_GROUP_NO_DECAY, one, SQA_DIMS(E));
    if (c->g->status != SQA_OK)
        y = NULL;
    else
        y = c->position == NULL ? sqa_selective_scan(c->g, in, s->chunk, back) : scan_step(c, in);
    sqa_scope_pop(c->g, mark);
    return y;
}

/* With c->position the step form. */
static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t D = c->frame.dim, E = s->expand * D;
    const struct sqa_init out = {.kind = SQA_INIT_XAVIER, .a = 1 / sqrt((double)c->frame.layers)};
    struct sqa_tensor *y, *in[2];

    sqa_dense_layers(c, 2, (struct sqa_dense_spec[]){{"wx", E, false, SQA_UNARY_N}, {"wz", E, false, SQA_UNARY_SILU}},
                     x, in);
    y = direction(s, c, in[0], false);
    if (directions(s, c) == 2)
        y = sqa_add(c->g, y, direction(s, c, in[0], true));
    return sqa_linear(c->g, sqa_mul(c->g, y, in[1]),
                      sqa_param_tensor(c, "wo.w", SQA_GROUP_REGULAR, out, SQA_DIMS(E, D)), NULL);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double D = (double)c->frame.dim, E = (double)s->expand * D, N = (double)s->state, R = (double)rank_of(s, c);
    const double rows = (double)(c->batch * c->length), n = directions(s, c);
    /* the convolution, its bias and silu; Wp; Wdt, its bias and softplus */
    const double each = E * (2 * (double)s->conv + 2 + 2 * (R + 2 * N) + 2 * R + 2);

    /* silu(z) and the gate 2, the sum of directions 1; A 3 */
    return rows * (6 * D * E + (n + 1) * E + n * each) + n * 3 * N * E +
           n * sqa_selective_scan_flops(c->batch, c->length, s->expand * c->frame.dim, s->state);
}

/* Identities: the block step by step, with weights of the probe's store */

enum { L = 37, D = 4, E = 2 * D, N = 3, R = 1, TAPS = 4 };

struct held_direction {
    double conv_w[TAPS * E], conv_b[E], wp[E * (R + 2 * N)], dt_w[R * E], dt_b[E], a_log[N * E], d[E];
};

struct held {
    double wx[D * E], wz[D * E], wo[E * D];
    struct held_direction side[2];
    double a_log; /* set before the run when not 0 */
};

static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;
    static const char *const sides[] = {"mixer.forth", "mixer.back"};

    sqa_probe_get(s, "mixer",
                  (const struct sqa_probe_entry[]){{"wx.w", h->wx}, {"wz.w", h->wz}, {"wo.w", h->wo}, {NULL, NULL}});
    if (h->a_log > 0) {
        sqa_probe_set_constant(s, "mixer.forth.a_log", h->a_log);
        sqa_probe_set_constant(s, "mixer.back.a_log", h->a_log);
    }
    for (int i = 0; i < 2; i++) {
        struct held_direction *side = &h->side[i];

        sqa_probe_get(s, sides[i],
                      (const struct sqa_probe_entry[]){{"conv.w", side->conv_w},
                                                       {"conv.b", side->conv_b},
                                                       {"wp.w", side->wp},
                                                       {"dt.w", side->dt_w},
                                                       {"dt.b", side->dt_b},
                                                       {"a_log", side->a_log},
                                                       {"d", side->d},
                                                       {NULL, NULL}});
    }
}

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* One step of a direction: the row u after silu, states h; adds to y. */
static void step(const struct held_direction *s, const double *u, double h[E][N], double *y)
{
    double p[R + 2 * N], dt[E];

    sqa_probe_times(u, s->wp, 1, E, R + 2 * N, p);
    sqa_probe_times(p, s->dt_w, 1, R, E, dt);
    for (int e = 0; e < E; e++) {
        dt[e] = log1p(exp(dt[e] + s->dt_b[e]));
        y[e] += s->d[e] * u[e];
        for (int i = 0; i < N; i++) {
            h[e][i] = exp(-dt[e] * exp(s->a_log[i * E + e])) * h[e][i] + dt[e] * u[e] * p[R + i];
            y[e] += p[R + N + i] * h[e][i];
        }
    }
}

/* y += a direction over u (L, E), whose positions are visited from the first, or from the last */
static void visit(const struct held_direction *s, const double *u, bool back, double *y)
{
    double h[E][N] = {{0}};

    for (int k = 0; k < L; k++) {
        const int t = back ? L - 1 - k : k;
        double row[E];

        for (int e = 0; e < E; e++) {
            row[e] = s->conv_b[e];
            for (int j = 0; j < TAPS; j++) { /* j steps ago */
                const int from = back ? t + j : t - j;

                if (from >= 0 && from < L)
                    row[e] += s->conv_w[(back ? j : TAPS - 1 - j) * E + e] * u[from * E + e];
            }
            row[e] = silu(row[e]);
        }
        step(s, row, h, y + t * E);
    }
}

static void by_steps(const struct held *h, const double *x, int sides, double *out)
{
    double u[L * E], z[L * E], y[L * E] = {0};

    sqa_probe_times(x, h->wx, L, D, E, u);
    sqa_probe_times(x, h->wz, L, D, E, z);
    for (int i = 0; i < sides; i++)
        visit(&h->side[i], u, i == 1, y);
    for (int i = 0; i < L * E; i++)
        y[i] *= silu(z[i]);
    sqa_probe_times(y, h->wo, L, E, D, out);
}

static enum sqa_status against_steps(const char *item, bool causal, int sides, double a_log, double *x, double *y,
                                     struct sqa_err *err)
{
    double expect[L * D];
    struct held h = {.a_log = a_log};
    const struct sqa_probe p = {.item = item,
                                .batch = 1,
                                .length = L,
                                .dim = D,
                                .heads = 1,
                                .causal = causal,
                                .real = SQA_F64,
                                .edit = hold,
                                .user = &h};
    const enum sqa_status status = sqa_probe_run(&p, x, y, err);

    if (status != SQA_OK)
        return status;
    by_steps(&h, x, sides, expect);
    return sqa_probe_expect(item, sqa_probe_difference(y, expect, L * D), 1e-13, err);
}

static enum sqa_status equals_steps(struct sqa_err *err)
{
    static const char *const items[] = {"mamba:state=3,chunk=1", "mamba:state=3,chunk=16", "mamba:state=3,chunk=64",
                                        "mamba:state=3,chunk=37", "mamba:state=3,bidirectional=0"};
    double x[L * D], y[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, L * D);
    for (int i = 0; i < 10 && status == SQA_OK; i++)
        status = against_steps(items[i / 2], i % 2, i % 2 || i / 2 == 4 ? 1 : 2, 0, x, y, err);
    return status;
}

static enum sqa_status chunk_gradients(struct sqa_err *err)
{
    static const char *const items[] = {"mamba:state=3,chunk=1", "mamba:state=3,chunk=16", "mamba:state=3,chunk=64"};
    enum sqa_status status = SQA_OK;

    for (int i = 0; i < 6 && status == SQA_OK; i++) {
        const struct sqa_probe p = {
            .item = items[i / 2], .batch = 2, .length = L, .dim = D, .heads = 1, .causal = i % 2, .real = SQA_F64};
        double worst = 0;

        status = sqa_probe_gradient(&p, &worst, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(items[i / 2], worst, 1e-6, err);
    }
    return status;
}

/* A -> -infinity, and a convolution of one tap: outputs depend on their own position only. */
static enum sqa_status memoryless(struct sqa_err *err)
{
    static const char item[] = "mamba:state=3,conv=1";
    double x[L * D], y[L * D], z[L * D];
    struct held h = {.a_log = 40};
    const struct sqa_probe p = {
        .item = item, .batch = 1, .length = L, .dim = D, .heads = 1, .real = SQA_F64, .edit = hold, .user = &h};
    enum sqa_status status;

    sqa_probe_normal(2, x, L * D);
    status = sqa_probe_run(&p, x, y, err);
    for (int i = 0; i < D && status == SQA_OK; i++)
        x[20 * D + i] += 1;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, z, err);
    if (status == SQA_OK && sqa_probe_difference(y + 20 * D, z + 20 * D, D) < 1e-6)
        return sqa_fail(err, SQA_NO, "mamba: position 20 did not change with its input; it must");
    for (int i = 0; i < D && status == SQA_OK; i++)
        z[20 * D + i] = y[20 * D + i];
    return status == SQA_OK
               ? sqa_probe_expect("positions beside a changed one", sqa_probe_difference(y, z, L * D), 0, err)
               : status;
}

struct initial {
    double a_log[16 * 2 * D], dt_b[2 * D];
};

static void hold_initial(struct sqa_store *s, void *user)
{
    struct initial *h = user;

    sqa_probe_get(s, "mixer.forth",
                  (const struct sqa_probe_entry[]){{"a_log", h->a_log}, {"dt.b", h->dt_b}, {NULL, NULL}});
}

/* A of a channel is -1, ..., -16; softplus(b_dt) lies in 0.001 .. 0.1. */
static enum sqa_status initial_values(struct sqa_err *err)
{
    double x[D] = {1}, y[D], outside = 0;
    struct initial h = {{0}, {0}};
    const struct sqa_probe p = {.item = "mamba",
                                .batch = 1,
                                .length = 1,
                                .dim = D,
                                .heads = 1,
                                .real = SQA_F64,
                                .edit = hold_initial,
                                .user = &h};
    const enum sqa_status status = sqa_probe_run(&p, x, y, err);

    if (status != SQA_OK)
        return status;
    for (int i = 0; i < 16 * E; i++)
        outside = fmax(outside, fabs(exp(h.a_log[i]) - (double)(1 + i / E)));
    for (int e = 0; e < E; e++) {
        const double dt = log1p(exp(h.dt_b[e]));

        outside = fmax(outside, fmax(0.001 - dt, dt - 0.1));
    }
    return sqa_probe_expect("initial A and dt", outside, 1e-12, err);
}

static const struct sqa_identity identities[] = {
    {"equals the recurrence step by step for every chunk, both directions", equals_steps},
    {"gradients hold for every chunk", chunk_gradients},
    {"A -> -infinity and one tap: no memory", memoryless},
    {"initial values of A and dt", initial_values},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_mamba = {
    .id = "mamba",
    .slot = SQA_SLOT_MIXER,
    .title = "Mamba",
    .source = "Gu and Dao 2023, arXiv:2312.00752",
    .complexity = "O(L (D + N) D) time, O(L D) memory",
    .help = "A state space of `state` numbers for each of `expand` x dim channels, whose steps, inputs and outputs "
            "depend on the position, behind a short convolution and beside a gate. Not causal: a second one from the "
            "end, unless bidirectional=0. The scan stays f32 with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
