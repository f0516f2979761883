/*
 * retnet.c - retention: linear attention whose weights fade with the distance, at a rate of each head
 *
 * Computes  q = rot(Wq x), k = rot(Wk x) / sqrt(d), v = Wv x of expand D channels, rot as in rotary.h;
 *           for head h, a = 1 - 2^(-5-h): o_t = sum over s <= t of a^(t-s) (q_t . k_s) v_s;
 *           out = Wo (RMSnorm of each head of o, times silu(Wg x)).
 *           Not causal: over every s, with a^|t-s|; bidirectional=0 keeps s <= t there too
 * Shapes    x (B, L, D) -> (B, L, D); q, k (B, L, H, d), v (B, L, H, expand d)
 * Cost      B L (4 D^2 + 6 expand D^2) for the projections, and 5 d + 9 for each of B L expand D numbers of o; not
 *           causal: decayed_attention.h
 * Step      S of every head, expand D^2 / H numbers
 * Source    Sun et al. 2023, arXiv:2307.08621, equations (5) to (8); initial values and eps: microsoft/torchscale:
 *           torchscale/component/multiscale_retention.py, torchscale/architecture/retnet.py
 * Departs   the normalisers of the paper's equation (7) (rows of decays to unit length, scores to at least 1) are
 * left out: the norm of each head divides them away. The paper has no form that sees the future
 */
#include <math.h>
#include <stdlib.h>

#include "models/decayed_attention.h"
#include "models/probe_known.h"
#include "models/rotary.h"
#include "models/step.h"

#define EPS 1e-6

struct self {
    int64_t expand, chunk, bidirectional;
};

static const struct sqa_param params[] = {
    {"expand", "width of the values, in multiples of dim", SQA_PARAM_INT, "2", 1, 16,
     .offset = offsetof(struct self, expand)},
    {"chunk", "positions done at a time; changes cost, not results", SQA_PARAM_INT, "64", 1, 1 << 16,
     .offset = offsetof(struct self, chunk)},
    {"bidirectional", "when not causal, positions see the future too", SQA_PARAM_INT, "1", 0, 1,
     .offset = offsetof(struct self, bidirectional)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self, (void)task;
    if (frame->dim % (2 * frame->heads) != 0)
        return sqa_fail(err, SQA_USAGE,
                        "retnet: dim=%lld, heads=%lld; heads are rotated by pairs of channels, use a "
                        "dim that 2 heads divides",
                        (long long)frame->dim, (long long)frame->heads);
    return SQA_OK;
}

static double decay_of(int64_t head)
{
    return 1 - pow(2, -5 - (double)head);
}

static void fill_decays(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    (void)rank, (void)key, (void)arg;
    for (int64_t h = 0; h < dim[0]; h++)
        values[h] = decay_of(h);
}

static bool sees_future(const struct self *s, const struct sqa_context *c)
{
    return !c->frame.causal && s->bidirectional;
}

static struct sqa_tensor *heads_of(struct sqa_context *c, struct sqa_tensor *x, int64_t width)
{
    return sqa_reshape(c->g, x, SQA_DIMS(c->batch, c->length, c->frame.heads, width / c->frame.heads));
}

/* o of rotated q and k and v; a (H) */
static struct sqa_tensor *retention(const struct self *s, struct sqa_context *c, struct sqa_tensor *const y[3],
                                    struct sqa_tensor *a)
{
    const struct sqa_decay_spec spec = {.causal = !sees_future(s, c), .chunk = s->chunk};

    if (c->position == NULL)
        return sqa_decayed_attention(c->g, y[0], y[1], y[2], a, NULL, c->lengths, spec);
    return sqa_matrix_step(c, "s", y[0], y[1], y[2], sqa_reshape(c->g, a, SQA_DIMS(1, 1, c->frame.heads, 1)));
}

/* With c->position the step form. */
static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t D = c->frame.dim, E = s->expand * D, H = c->frame.heads;
    const struct sqa_init decays = {.kind = SQA_INIT_CUSTOM, .fill = fill_decays};
    const struct sqa_init in = {.kind = SQA_INIT_XAVIER, .a = pow(2, -2.5)},
                          out = {.kind = SQA_INIT_XAVIER, .a = 0.5};
    struct sqa_tensor *w[] = {sqa_param_tensor(c, "wq.w", SQA_GROUP_REGULAR, in, SQA_DIMS(D, D)),
                              sqa_param_tensor(c, "wk.w", SQA_GROUP_REGULAR, in, SQA_DIMS(D, D)),
                              sqa_param_tensor(c, "wv.w", SQA_GROUP_REGULAR, in, SQA_DIMS(D, E))};
    struct sqa_tensor *wg = sqa_param_tensor(c, "wg.w", SQA_GROUP_REGULAR, in, SQA_DIMS(D, E)), *none[3] = {NULL};
    struct sqa_entry *a = sqa_state_entry(c, "decay", decays, SQA_DIMS(H));
    struct sqa_tensor *y[3], *gate = sqa_linear_act(c->g, x, wg, NULL, SQA_UNARY_SILU);

    sqa_linear_n(c->g, x, 3, w, none, NULL, y);
    if (a == NULL)
        return NULL;
    y[0] = sqa_rotary(c->g, heads_of(c, y[0], D), 1, c->position);
    y[1] = sqa_rotary(c->g, heads_of(c, y[1], D), 1 / sqrt((double)(D / H)), c->position);
    y[2] = heads_of(c, y[2], E);
    y[0] = retention(s, c, y, sqa_value(c->g, a));
    y[0] = sqa_layernorm(c->g, y[0], NULL, NULL, EPS, true);
    y[0] = sqa_mul(c->g, sqa_reshape(c->g, y[0], SQA_DIMS(c->batch, c->length, E)), gate);
    return sqa_linear(c->g, y[0], sqa_param_tensor(c, "wo.w", SQA_GROUP_REGULAR, out, SQA_DIMS(E, D)), NULL);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double rows = (double)(c->batch * c->length), D = (double)c->frame.dim, E = (double)s->expand * D;
    const int64_t d = c->frame.dim / c->frame.heads;
    const struct sqa_decayed_shape shape = {c->batch, c->length, c->frame.heads, d, s->expand * d, false};

    /* silu 1, norm 7, gate 1 */
    return rows * (4 * D * D + 6 * D * E + 9 * E) + 2 * sqa_rotary_flops(c->batch, c->length, c->frame.heads, d) +
           sqa_decayed_attention_flops(shape, !sees_future(s, c));
}

/* Identities */

enum { B = 2, L = 41, D = 8, H = 2, W = D / H, E = 2 * D, V = E / H };

static const int32_t ragged[B] = {L, 23};

struct held {
    double wq[D * D], wk[D * D], wv[D * E], wg[D * E], wo[E * D];
};

static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;

    sqa_probe_get(
        s, "mixer",
        (const struct sqa_probe_entry[]){
            {"wq.w", h->wq}, {"wk.w", h->wk}, {"wv.w", h->wv}, {"wg.w", h->wg}, {"wo.w", h->wo}, {NULL, NULL}});
}

static void turn(double *x, double scale)
{
    for (int t = 0; t < L; t++)
        for (int e = 0; e < D; e += 2) {
            const double angle = t * pow(10000, -(double)(e % W / 2) / (W / 2 - 1));
            const double a = x[t * D + e], b = x[t * D + e + 1];

            x[t * D + e] = scale * (a * cos(angle) - b * sin(angle));
            x[t * D + e + 1] = scale * (a * sin(angle) + b * cos(angle));
        }
}

/* One sequence in the parallel form: a matrix of L x L weights */
static void parallel(const struct held *h, const double *x, int valid, bool both, double *out)
{
    double q[L * D], k[L * D], v[L * E], g[L * E], y[L * E] = {0};

    sqa_probe_times(x, h->wq, L, D, D, q);
    sqa_probe_times(x, h->wk, L, D, D, k);
    sqa_probe_times(x, h->wv, L, D, E, v);
    sqa_probe_times(x, h->wg, L, D, E, g);
    turn(q, 1);
    turn(k, 1 / sqrt(W));
    for (int head = 0; head < H; head++)
        for (int t = 0; t < valid; t++) {
            double *o = y + t * E + head * V, square = 0;

            for (int s = 0; s < (both ? valid : t + 1); s++) {
                double weight = 0;

                for (int e = head * W; e < (head + 1) * W; e++)
                    weight += q[t * D + e] * k[s * D + e];
                weight *= pow(decay_of(head), abs(t - s));
                for (int e = 0; e < V; e++)
                    o[e] += weight * v[s * E + head * V + e];
            }
            for (int e = 0; e < V; e++)
                square += o[e] * o[e];
            for (int e = 0; e < V; e++) {
                const double z = g[t * E + head * V + e];

                o[e] *= z / (1 + exp(-z)) / sqrt(square / V + EPS);
            }
        }
    sqa_probe_times(y, h->wo, L, E, D, out);
}

/* Every chunk against the parallel form; so all chunks agree with each other and with the recurrence, chunk=1. */
static enum sqa_status equals_parallel(struct sqa_err *err)
{
    static const char *const items[] = {"retnet:chunk=1", "retnet:chunk=16", "retnet:chunk=64", "retnet:chunk=41",
                                        "retnet:bidirectional=0"};
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (int i = 0; i < 10 && status == SQA_OK; i++) {
        struct held h;
        const struct sqa_probe p = {.item = items[i / 2],
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = i % 2,
                                    .lengths = ragged,
                                    .real = SQA_F64,
                                    .edit = hold,
                                    .user = &h};

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            parallel(&h, x + b * L * D, ragged[b], i % 2 == 0 && i / 2 < 4, expect);
            status = sqa_probe_expect(
                items[i / 2], sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-12, err);
        }
    }
    return status;
}

/* Rotation keeps what depends on distances: zeros in front of a sequence, here of x, move its outputs only. */
static enum sqa_status moves_with_input(struct sqa_err *err)
{
    enum { SHIFT = 9 };
    double x[L * D] = {0}, moved[L * D] = {0}, y[L * D], z[L * D];
    const struct sqa_probe p = {.item = "retnet", .batch = 1, .length = L, .dim = D, .heads = H, .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(2, x, (L - SHIFT) * D);
    for (int i = 0; i < (L - SHIFT) * D; i++)
        moved[SHIFT * D + i] = x[i];
    status = sqa_probe_run(&p, x, y, err);
    if (status == SQA_OK)
        status = sqa_probe_run(&p, moved, z, err);
    return status == SQA_OK ? sqa_probe_expect("outputs of a moved sequence",
                                               sqa_probe_difference(z + SHIFT * D, y, (L - SHIFT) * D), 1e-12, err)
                            : status;
}

static const struct sqa_identity identities[] = {
    {"every chunk equals the parallel form, both directions, padded", equals_parallel},
    {"a moved sequence gives moved outputs", moves_with_input},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_retnet = {
    .id = "retnet",
    .slot = SQA_SLOT_MIXER,
    .title = "RetNet",
    .source = "Sun et al. 2023, arXiv:2307.08621, equations (5) to (8)",
    .complexity = "O(L d D) time, O(L D) memory",
    .help = "Linear attention with rotated queries and keys whose weights fade by a fixed factor for each step of "
            "distance, a slower one in each head; heads are normalised and gated. Not causal: distances in both "
            "directions, unless bidirectional=0. Retention stays f32 with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
