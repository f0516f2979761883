/*
 * cosformer.c - attention with the kernel relu(q) . relu(k) times a cosine of the distance
 *
 * Computes  y_t = sum_s a_ts v_s / max(sum_s a_ts, 1e-6), a_ts = (relu(q_t) . relu(k_s)) cos(pi (t - s) / 2 M), over
 *           valid s; causal: s <= t. As cos(x - y) = sin x sin y + cos x cos y, a is a product of features
 *           phi(x_t) = (relu(x_t) sin(pi t / 2 M), relu(x_t) cos(pi t / 2 M)), t from 1 on
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, d); features (B, L, H, 2 d)
 * Cost      projections; turning 4 B L Q, Q = H d; kernel_attention.c with 2 d features
 * Step      sums of phi(k) v^T and phi(k): 2 Q (d + 1) numbers
 * Source    Qin et al. 2022, arXiv:2202.08791, equations (8) to (12); code OpenNLPLab/cosFormer, cosformer.py
 * Departs   M is the longest sequence of the task (horizon=N: N), not the length of the batch at hand, as there: so
 *           answers do not depend on padding, and causal ones not on what comes later. phi(k) is 0 at padding (there
 *           is no mask there)
 */
#include <math.h>
#include <string.h>

#include "engine/ops/support.h"
#include "models/kernel_attention.h"
#include "models/probe.h"

#define DEN_MIN 1e-6

struct self {
    int64_t horizon, chunk;
};

static const struct sqa_param params[] = {
    {"horizon", "positions of a quarter turn, at least the longest sequence; 0: that", SQA_PARAM_INT, "0", 0, 1 << 24,
     .offset = offsetof(struct self, horizon)},
    {"chunk", "positions of a chunk of the causal form; changes cost, not results", SQA_PARAM_INT, "64", 1, 1 << 16,
     .offset = offsetof(struct self, chunk)},
    {.name = NULL},
};

/* cosformer_turn: x (B, L, H, d), position i32 (1) of the first of its rows, NULL: 0 -> (x sin, x cos) (B, L, H, 2 d),
 * and its gradient. A range of positions is the unit
 * of parallel work, so that the angle of a position is made once for all rows of the batch. */

enum { RANGE = 64 };

struct turn {
    int64_t horizon;
};

struct job {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    double step;   /* angle between positions */
    int64_t first; /* number of the first position, from 1 on */
};

static void *head_at(const struct job *j, const struct sqa_tensor *x, int64_t b, int64_t t, int64_t h)
{
    return sqa_at(sqa_data(x), b * x->stride[0] + t * x->stride[1] + h * x->stride[2], j->k->size);
}

static void turn(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_tensor *x = j->n->in[0], *y = j->n->out[0];
    const int64_t d = x->dim[3];

    (void)thread;
    for (int64_t t = first; t < first + count; t++) {
        const double sine = sin(j->step * (double)(t + j->first)), cosine = cos(j->step * (double)(t + j->first));

        for (int64_t i = 0; i < x->dim[0] * x->dim[2]; i++) {
            const void *from = head_at(j, x, i / x->dim[2], t, i % x->dim[2]);
            void *to = head_at(j, y, i / x->dim[2], t, i % x->dim[2]);

            j->k->affine(sine, from, 0, to, (size_t)d);
            j->k->affine(cosine, from, 0, sqa_at(to, d, j->k->size), (size_t)d);
        }
    }
}

static void turn_back(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_tensor *dy = j->n->in[0], *dx = j->n->out[0];
    const int64_t d = dx->dim[3];

    (void)thread;
    for (int64_t t = first; t < first + count; t++) {
        const double sine = sin(j->step * (double)(t + j->first)), cosine = cos(j->step * (double)(t + j->first));

        for (int64_t i = 0; i < dx->dim[0] * dx->dim[2]; i++) {
            const void *from = head_at(j, dy, i / dx->dim[2], t, i % dx->dim[2]);
            void *to = head_at(j, dx, i / dx->dim[2], t, i % dx->dim[2]);

            j->k->affine(sine, from, 0, to, (size_t)d);
            j->k->axpy(cosine, sqa_at_const(from, d, j->k->size), to, (size_t)d);
        }
    }
}

static void run_ranges(const struct sqa_node *n, const struct sqa_run *r, sqa_chunk_fn *f)
{
    const struct turn *a = n->attr;
    const struct sqa_tensor *position = n->in[1];
    struct job j = {n, sqa_kernels_of(n->in[0]->dtype), acos(-1) / (2 * (double)a->horizon),
                    position != NULL ? *(const int32_t *)sqa_data(position) + 1 : 1};

    if (sqa_numel(n->out[0]) != 0)
        sqa_chunks(r, n->in[0]->dim[1], RANGE, 2 * (double)sqa_numel(n->in[0]), f, &j);
}

static enum sqa_status turn_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (!sqa_is_real(x) || x->rank != 4)
        return sqa_shape_fail(n, err, "x is %s; give real (B, L, H, d)", sqa_shape_text(x, have));
    sqa_set_output(n, 0, x->dtype, 4, (const int64_t[]){x->dim[0], x->dim[1], x->dim[2], 2 * x->dim[3]});
    return n->in[1] == NULL ? SQA_OK : sqa_check_lengths(n, 1, 1, err);
}

static void turn_run(const struct sqa_node *n, const struct sqa_run *r)
{
    run_ranges(n, r, turn);
}

static double turn_flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->out[0]);
}

static enum sqa_status back_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *dy = n->in[0];

    (void)err;
    sqa_set_output(n, 0, dy->dtype, 4, (const int64_t[]){dy->dim[0], dy->dim[1], dy->dim[2], dy->dim[3] / 2});
    return SQA_OK;
}

static void back_run(const struct sqa_node *n, const struct sqa_run *r)
{
    run_ranges(n, r, turn_back);
}

static double back_flops(const struct sqa_node *n)
{
    return 3 * (double)sqa_numel(n->out[0]);
}

static const struct sqa_op op_turn_back = {
    .name = "cosformer_turn_bwd",
    .help = "gradient of x of cosformer_turn",
    .shape = back_shape,
    .run = back_run,
    .flops = back_flops,
    .strided = 1,
};

static void turn_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {sqa_dense_rows(g, dy[0]), n->in[1]};

    dx[0] = sqa_apply(g, &op_turn_back, n->attr, sizeof(struct turn), 2, in);
}

static const struct sqa_op op_turn = {
    .name = "cosformer_turn",
    .help = "(x sin a_t, x cos a_t) with an angle for each position",
    .shape = turn_shape,
    .run = turn_run,
    .grad = turn_grad,
    .flops = turn_flops,
    .strided = 1,
};

/* The mixer */

static struct sqa_tensor *features(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct turn a = {sqa_max64(s->horizon, c->max_length)};
    struct sqa_tensor *const in[] = {sqa_dense_rows(c->g, x), c->position};

    return sqa_ready(c->g, "cosformer_turn", 1, in) ? sqa_apply(c->g, &op_turn, &a, sizeof a, 2, in) : NULL;
}

/* Sines and cosines are not negative here, so that relu may come after them. */
static struct sqa_kernel_attention_spec spec_of(const struct self *s, const struct sqa_context *c)
{
    return (struct sqa_kernel_attention_spec){
        .map = SQA_MAP_RELU, .causal = c->frame.causal != 0, .chunk = s->chunk, .scale = 1, .den_min = DEN_MIN};
}

static struct sqa_heads turned(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_heads h = sqa_project_heads(c, x);

    return (struct sqa_heads){features(self, c, h.q), features(self, c, h.k), h.v};
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_heads h = turned(self, c, x);

    return sqa_merge_heads(c, sqa_kernel_attention(c->g, h.q, h.k, h.v, c->lengths, NULL, spec_of(self, c)));
}

static struct sqa_tensor *step(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    return sqa_merge_heads(c, sqa_kernel_attention_step(c, turned(self, c, x), NULL, spec_of(self, c)));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const int64_t d = sqa_head_dim(&c->frame);
    const struct sqa_kernel_attention_shape shape = {c->batch, c->length, c->frame.heads, 2 * d, 2 * d, d, false};

    return sqa_heads_flops(c) + 4 * (double)(c->batch * c->length * sqa_qkv_width(&c->frame)) +
           sqa_kernel_attention_flops(shape, spec_of(self, c));
}

/* Identities */

enum { B = 2, L = 11, D = 8, H = 2, W = D / H };

static const int32_t ragged[B] = {L, 7};

static void identity_weights(struct sqa_store *s, void *user)
{
    static const char *const names[] = {"mixer.wq.w", "mixer.wk.w", "mixer.wv.w", "mixer.wo.w"};

    (void)user;
    for (int i = 0; i < 4; i++)
        sqa_probe_set_identity(s, names[i]);
}

/* One sequence with q = k = v = x, as an L x L matrix of weights; quarter: positions of a quarter turn, 0: no turn */
static void quadratic(const double *x, int valid, bool causal, double quarter, double *y)
{
    for (int h = 0; h < H; h++)
        for (int t = 0; t < L; t++) {
            const int keys = causal && t + 1 < valid ? t + 1 : valid;
            double sum = 0, o[W] = {0};

            for (int s = 0; s < keys; s++) {
                double weight = 0;

                for (int e = h * W; e < (h + 1) * W; e++)
                    weight += fmax(x[t * D + e], 0) * fmax(x[s * D + e], 0);
                weight *= quarter > 0 ? cos(acos(-1) / 2 * (t - s) / quarter) : 1;
                sum += weight;
                for (int e = 0; e < W; e++)
                    o[e] += weight * x[s * D + h * W + e];
            }
            for (int e = 0; e < W; e++)
                y[t * D + h * W + e] = o[e] / fmax(sum, DEN_MIN);
        }
}

static enum sqa_status against_quadratic(const char *item, double quarter, double bound, struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (int e = 0; e < W; e++)
        x[3 * D + e] = -fabs(x[3 * D + e]); /* a query that relu sets to 0: the output is 0 */
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        const struct sqa_probe p = {.item = item,
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = causal != 0,
                                    .lengths = ragged,
                                    .real = SQA_F64,
                                    .edit = identity_weights};

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            quadratic(x + b * L * D, ragged[b], causal != 0, quarter, expect);
            status = sqa_probe_expect(item, sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)),
                                      bound, err);
        }
    }
    return status;
}

static enum sqa_status equals_quadratic(struct sqa_err *err)
{
    static const char *const items[] = {"cosformer:chunk=1", "cosformer:chunk=4", "cosformer:horizon=5",
                                        "cosformer:horizon=30,chunk=3"};
    static const double quarter[] = {L, L, L, 30};
    enum sqa_status status = SQA_OK;

    for (int i = 0; i < 4 && status == SQA_OK; i++)
        status = against_quadratic(items[i], quarter[i], 1e-13, err);
    return status;
}

static enum sqa_status no_turn(struct sqa_err *err)
{
    return against_quadratic("cosformer:horizon=16000000", 0, 1e-10, err);
}

/* One causal sequence with q = k = v = x, step by step with a state of 2 d x d a head */
static void recurrent(const double *x, double *y)
{
    for (int h = 0; h < H; h++) {
        double state[2 * W][W] = {{0}}, sums[2 * W] = {0};

        for (int t = 0; t < L; t++) {
            const double angle = acos(-1) / 2 * (t + 1) / L;
            const double *row = x + t * D + h * W;
            double den = 0, o[W] = {0};

            for (int i = 0; i < 2 * W; i++) {
                const double phi = fmax(row[i % W], 0) * (i < W ? sin(angle) : cos(angle));

                sums[i] += phi;
                den += phi * sums[i];
                for (int e = 0; e < W; e++) {
                    state[i][e] += phi * row[e];
                    o[e] += phi * state[i][e];
                }
            }
            for (int e = 0; e < W; e++)
                y[t * D + h * W + e] = o[e] / fmax(den, DEN_MIN);
        }
    }
}

static enum sqa_status equals_recurrence(struct sqa_err *err)
{
    double x[L * D], y[L * D], expect[L * D];
    const struct sqa_probe p = {.item = "cosformer:chunk=3",
                                .batch = 1,
                                .length = L,
                                .dim = D,
                                .heads = H,
                                .causal = true,
                                .real = SQA_F64,
                                .edit = identity_weights};
    enum sqa_status status;

    sqa_probe_normal(2, x, L * D);
    recurrent(x, expect);
    status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK
               ? sqa_probe_expect("cosformer step by step", sqa_probe_difference(y, expect, L * D), 1e-13, err)
               : status;
}

/* Positive inputs, so that no denominator is 0 */
static enum sqa_status constants_stay(struct sqa_err *err)
{
    double x[L * D], y[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(3, x, D);
    for (int i = 0; i < L * D; i++)
        x[i] = fabs(x[i % D]);
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        const struct sqa_probe p = {.item = "cosformer",
                                    .batch = 1,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = causal != 0,
                                    .real = SQA_F64,
                                    .edit = identity_weights};

        status = sqa_probe_run(&p, x, y, err);
        if (status == SQA_OK)
            status = sqa_probe_expect("a constant sequence", sqa_probe_difference(y, x, L * D), 1e-13, err);
    }
    return status;
}

static const struct sqa_identity identities[] = {
    {"equals relu(q) . relu(k) cos(distance) as a matrix, causal and padded, any chunk", equals_quadratic},
    {"equals the recurrence", equals_recurrence},
    {"a quarter turn of many positions: attention with relu features alone", no_turn},
    {"weights of a row sum to 1 where any is positive", constants_stay},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_cosformer = {
    .id = "cosformer",
    .slot = SQA_SLOT_MIXER,
    .title = "cosFormer",
    .source = "Qin et al. 2022, arXiv:2202.08791",
    .complexity = "O(L d D) time, O(L D) memory",
    .help = "Weights are products of relu(q) and relu(k) times the cosine of a quarter turn over the longest "
            "sequence, so "
            "near positions weigh more and sums over keys are taken once. A query that relu sets to 0 gives 0. The "
            "causal form runs in chunks. Features and sums stay f32 with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .step = step,
    .flops = flops,
    .identities = identities,
};
