/*
 * luna.c - nested attention through a short second sequence that passes from block to block
 *
 * Computes  with memory P (p, D), learned in the first block: packed Y = softmax(P Wpq (x Wpc)^T / sqrt(D / H)) x Wpc
 *           over valid positions; out = softmax(x Wq (Y Wc)^T / sqrt(d)) Y Wc, heads merged by Wo. The next luna
 * block gets P + dropout(Y). P is normalised as the blocks are: before it is packed with (prenorm), or as the sum
 *           (postnorm). tie=0: keys and values have matrices of their own. dynamic: of n positions at most n rows of
 *           P are unpacked.
 *           causal: with f(a, b, c)_t = a_t sum_(j <= t) b_j^T c_j / t and A = softplus(ln 2 x Wpc (P Wpq)^T /
 *           sqrt(d)) / ln 2, out = f(softmax(f(x Wq / sqrt(d), k, A)), A, v), k = v = x Wc; P is the same in all
 *           blocks
 * Shapes    x (B, L, D) -> (B, L, D); P (p, D), later (B, p, D); heads of P have D / H numbers
 * Cost      two projections of L rows of D, two of p rows, Wo; L p pairs a head, twice, of 4 d + 5 flops; causal:
 *           three projections and Wo, and 4 p d a position and head beside chunks of CHUNK positions
 * Step      per head two states of d p numbers, sum k^T A and sum A^T v
 * Source    Ma et al. 2021, arXiv:2106.01540, sections 3.1 to 3.3; XuezheMax/fairseq-apollo:
 *           fairseq/modules/luna_attention.py, luna_layer.py; p = 16, tied keys and values
 * Departs   P begins as normal numbers alone (there plus a constant sinusoid); every projection is Xavier-uniform
 *           with gain 1 (there 1 / sqrt(2) but for Wo). Its LRA encoder (fairseq/models/lra/) asks for post-norm and
 *           untied keys and values: +residual=postnorm, tie=0
 */
#include <math.h>
#include <string.h>

#include "engine/ops/support.h"
#include "models/probe_known.h"
#include "models/step.h"

enum { CHUNK = 64 };
#define LN2 0.69314718055994530942

struct self {
    int64_t memory, tie, dynamic;
};

static const struct sqa_param params[] = {
    {"memory", "rows of the second sequence", SQA_PARAM_INT, "16", 1, 1 << 16,
     .offset = offsetof(struct self, memory)},
    {"tie", "values are the keys", SQA_PARAM_BOOL, "1", .offset = offsetof(struct self, tie)},
    {"dynamic", "a sequence of n positions uses at most n rows; not causal", SQA_PARAM_BOOL, "1",
     .offset = offsetof(struct self, dynamic)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self, (void)task;
    if (!frame->causal && frame->dim % frame->heads != 0)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "luna: the heads of its memory are dim / heads wide, and dim=%lld is not a multiple of "
                        "heads=%lld; change one of them",
                        (long long)frame->dim, (long long)frame->heads);
    return SQA_OK;
}

/* f without the division: y_t = x_t S_t, S_t = sum_(j <= t) k_j^T v_j (backwards: j >= t), for x, k (B, L, H, d) and
 * v (B, L, H, dv). In chunks: inside one by the lower triangle of x k^T, between chunks by S. Its gradients are the
 * same op: dx = sums(dy, v, k), dk_j = sum_(t >= j) (v_j . dy_t) x_t, dv_j = sum_(t >= j) (k_j . x_t) dy_t. */

struct sums {
    bool backwards;
};

struct sums_job {
    const struct sqa_node *n;
    unsigned char *workspace;
};

static enum sqa_status sums_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0], *k = n->in[1], *v = n->in[2];
    char one[96], two[96], three[96];

    if (x->rank != 4 || v->rank != 4 || !sqa_same_shape(x, k) || x->dtype != k->dtype || x->dtype != v->dtype ||
        v->dim[0] != x->dim[0] || v->dim[1] != x->dim[1] || v->dim[2] != x->dim[2])
        return sqa_shape_fail(n, err, "x %s, k %s, v %s; give (B, L, H, d) twice and (B, L, H, dv)",
                              sqa_shape_text(x, one), sqa_shape_text(k, two), sqa_shape_text(v, three));
    sqa_set_output(n, 0, x->dtype, 4, v->dim);
    return SQA_OK;
}

static size_t sums_thread_workspace(const struct sqa_node *n)
{
    const size_t size = sqa_dtype_size(n->in[0]->dtype);

    return sqa_align64((size_t)(n->in[0]->dim[3] * n->in[2]->dim[3]) * size) + sqa_align64(CHUNK * CHUNK * size);
}

static size_t sums_workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * sums_thread_workspace(n);
}

/* Zeroes the pairs of a chunk of n that come too late (or, backwards, too early). */
static void keep_triangle(void *scores, int64_t n, bool backwards, size_t size)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t from = backwards ? 0 : i + 1, to = backwards ? i : n;

        memset(sqa_at(scores, i * n + from, size), 0, (size_t)(to - from) * size);
    }
}

static void sums_pair(const struct sqa_node *n, int64_t pair, void *state, void *scores)
{
    const struct sqa_tensor *x = n->in[0], *k = n->in[1], *v = n->in[2], *y = n->out[0];
    const struct sqa_kernels *t = sqa_kernels_of(x->dtype);
    const struct sums *a = n->attr;
    const int64_t L = x->dim[1], d = x->dim[3], dv = v->dim[3], chunks = (L + CHUNK - 1) / CHUNK;

    memset(state, 0, (size_t)(d * dv) * t->size);
    for (int64_t i = 0; i < chunks; i++) {
        const int64_t first = (a->backwards ? chunks - 1 - i : i) * CHUNK, rows = sqa_min64(CHUNK, L - first);
        const void *xs = sqa_head_row(x, pair, first, t->size), *ks = sqa_head_row(k, pair, first, t->size);
        const void *vs = sqa_head_row(v, pair, first, t->size);
        void *ys = sqa_head_row(y, pair, first, t->size);

        t->gemm(0, 1, rows, rows, d, 1, xs, x->stride[1], ks, k->stride[1], 0, scores, rows);
        keep_triangle(scores, rows, a->backwards, t->size);
        t->gemm(0, 0, rows, dv, rows, 1, scores, rows, vs, v->stride[1], 0, ys, y->stride[1]);
        t->gemm(0, 0, rows, dv, d, 1, xs, x->stride[1], state, dv, 1, ys, y->stride[1]);
        t->gemm(1, 0, d, dv, rows, 1, ks, k->stride[1], vs, v->stride[1], 1, state, dv);
    }
}

static void sums_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sums_job *j = ctx;
    const size_t size = sqa_dtype_size(j->n->in[0]->dtype);
    unsigned char *state = j->workspace + (size_t)thread * sums_thread_workspace(j->n);
    unsigned char *scores = state + sqa_align64((size_t)(j->n->in[0]->dim[3] * j->n->in[2]->dim[3]) * size);

    for (int64_t i = first; i < first + count; i++)
        sums_pair(j->n, i, state, scores);
}

/* Of one (sequence, head): both products of the chunks, and x S and k^T v of every position */
static double sums_count(int64_t L, int64_t d, int64_t dv)
{
    const double full = (double)(L / CHUNK), rest = (double)(L % CHUNK), w = CHUNK;

    return 2 * (full * w * w + rest * rest) * (double)(d + dv) + 4 * (double)L * (double)d * (double)dv;
}

static double sums_flops(const struct sqa_node *n)
{
    const int64_t *dim = n->in[0]->dim;

    return (double)(dim[0] * dim[2]) * sums_count(dim[1], dim[3], n->in[2]->dim[3]);
}

static void sums_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct sums_job j = {n, r->workspace};

    sqa_chunks(r, n->in[0]->dim[0] * n->in[0]->dim[2], 1, sums_flops(n), sums_pairs, &j);
}

static struct sqa_tensor *sums(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *k, struct sqa_tensor *v,
                               bool backwards);

static void sums_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct sums *a = n->attr;
    struct sqa_tensor *x = n->in[0], *k = n->in[1], *v = n->in[2];

    dx[0] = sums(g, dy[0], v, k, a->backwards);
    dx[1] = sums(g, v, dy[0], x, !a->backwards);
    dx[2] = sums(g, k, x, dy[0], !a->backwards);
}

static const struct sqa_op op_sums = {
    .name = "luna_sums",
    .help = "y_t = x_t sum_(j <= t) k_j^T v_j",
    .shape = sums_shape,
    .run = sums_run,
    .grad = sums_grad,
    .flops = sums_flops,
    .workspace = sums_workspace,
    .strided = 7,
    .tolerance = 1e-4,
};

static struct sqa_tensor *sums(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *k, struct sqa_tensor *v,
                               bool backwards)
{
    const struct sums a = {backwards};
    struct sqa_tensor *const in[] = {sqa_dense_rows(g, x), sqa_dense_rows(g, k), sqa_dense_rows(g, v)};

    return sqa_ready(g, "luna_sums", 3, in) ? sqa_apply(g, &op_sums, &a, sizeof a, 3, in) : NULL;
}

/* The mixer */

static struct sqa_tensor *heads_of(struct sqa_context *c, struct sqa_tensor *x)
{
    const int64_t H = c->frame.heads;

    return x == NULL ? NULL : sqa_reshape(c->g, x, SQA_DIMS(x->dim[0], x->dim[1], H, x->dim[2] / H));
}

/* What the blocks before left, or the parameter: (B or 1, p, D) */
static struct sqa_tensor *memory_of(const struct self *s, struct sqa_context *c)
{
    const int64_t D = c->frame.dim;
    const struct sqa_init normal = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1 / sqrt((double)D)};
    struct sqa_tensor *p = sqa_stream_get(c, "luna");

    if (p != NULL)
        return p;
    p = sqa_param_tensor(c, "memory", SQA_GROUP_REGULAR, normal, SQA_DIMS(s->memory, D));
    p = sqa_reshape(c->g, p, SQA_DIMS(1, s->memory, D));
    if (s->dynamic && !c->frame.causal && c->length < s->memory)
        p = sqa_slice(c->g, p, 1, 0, c->length);
    return p;
}

static bool is_postnorm(const struct sqa_context *c)
{
    return strcmp(c->model->slot[SQA_SLOT_RESIDUAL].variant->id, "postnorm") == 0;
}

static struct sqa_tensor *norm(struct sqa_context *c, struct sqa_tensor *p)
{
    const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1}, zero = {.kind = SQA_INIT_ZERO};
    struct sqa_tensor *gain = sqa_param_tensor(c, "norm.gain", SQA_GROUP_NO_DECAY, one, SQA_DIMS(c->frame.dim));
    struct sqa_tensor *bias = sqa_param_tensor(c, "norm.bias", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(c->frame.dim));

    return sqa_layernorm(c->g, p, gain, bias, 1e-5, false);
}

/* Keys and values of rows of x, as heads; tied: the same. */
static void keys_and_values(const struct self *s, struct sqa_context *c, const char *const names[3], int64_t width,
                            struct sqa_tensor *x, struct sqa_tensor *kv[2])
{
    const bool bias = c->frame.bias != 0;
    const struct sqa_dense_spec layers[] = {{names[s->tie ? 0 : 1], width, bias, SQA_UNARY_N},
                                            {names[2], width, bias, SQA_UNARY_N}};

    sqa_dense_layers(c, s->tie ? 1 : 2, layers, x, kv);
    kv[0] = heads_of(c, kv[0]);
    kv[1] = s->tie ? kv[0] : heads_of(c, kv[1]);
}

/* The memory of the next block. */
static void pass_on(struct sqa_context *c, struct sqa_tensor *p, struct sqa_tensor *packed)
{
    if (c->layer + 1 == c->frame.layers)
        return;
    if (packed != NULL) {
        p = sqa_add(c->g, sqa_dropout(c->g, packed, c->frame.dropout), p);
        p = is_postnorm(c) ? norm(c, p) : p;
    }
    sqa_stream_put(c, "luna", p);
}

static struct sqa_tensor *both_ways(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    static const char *const pack_names[] = {"wpc", "wpk", "wpv"}, *const names[] = {"wc", "wk", "wv"};
    const int64_t B = c->batch, D = c->frame.dim, H = c->frame.heads, Q = sqa_qkv_width(&c->frame);
    struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)(D / H)), .dropout = c->frame.attention_dropout};
    struct sqa_tensor *p = memory_of(s, c), *kv[2], *packed, *q;

    if (p == NULL)
        return NULL;
    const int64_t rows = p->dim[1];
    q = sqa_dense_layer(c, "wpq", is_postnorm(c) ? p : norm(c, p), D, c->frame.bias != 0);
    q = sqa_broadcast(c->g, heads_of(c, q), SQA_DIMS(B, rows, H, D / H));
    keys_and_values(s, c, pack_names, D, x, kv);
    packed = sqa_attention(c->g, q, kv[0], kv[1], c->lengths, spec);
    packed = sqa_reshape(c->g, packed, SQA_DIMS(B, rows, D));
    pass_on(c, p, packed);
    q = heads_of(c, sqa_dense_layer(c, "wq", x, Q, c->frame.bias != 0));
    keys_and_values(s, c, names, Q, packed, kv);
    spec.scale = 1 / sqrt((double)(Q / H));
    return sqa_merge_heads(c, sqa_attention(c->g, q, kv[0], kv[1], s->dynamic ? c->lengths : NULL, spec));
}

/* f times `by`, a state in steps: x (B, L, H, m), k (B, L, H, m), v (B, L, H, n) */
static struct sqa_tensor *running_mean(struct sqa_context *c, const char *name, struct sqa_tensor *x,
                                       struct sqa_tensor *k, struct sqa_tensor *v, struct sqa_tensor *time, double by)
{
    struct sqa_tensor *y = c->position != NULL ? sqa_matrix_step(c, name, x, k, v, NULL) : sums(c->g, x, k, v, false);

    return sqa_div(c->g, y, sqa_affine(c->g, 1 / by, time, 0));
}

static struct sqa_tensor *causal(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    static const char *const names[] = {"wc", "wk", "wv"};
    static const int heads_first[4] = {0, 2, 1, 3};
    const int64_t Q = sqa_qkv_width(&c->frame);
    const double scale = 1 / sqrt((double)(Q / c->frame.heads));
    const struct sqa_dense_spec layers[] = {{"wq", Q, c->frame.bias != 0, SQA_UNARY_N},
                                            {"wpc", Q, c->frame.bias != 0, SQA_UNARY_N}};
    struct sqa_tensor *p = memory_of(s, c), *time = sqa_position_numbers(c), *y[2], *kv[2], *pq, *a, *weights;

    pass_on(c, p, NULL);
    sqa_dense_layers(c, 2, layers, x, y);
    keys_and_values(s, c, names, Q, x, kv);
    pq = sqa_affine(c->g, LN2 * scale, heads_of(c, sqa_dense_layer(c, "wpq", p, Q, c->frame.bias != 0)), 0);
    a = sqa_matmul(c->g, sqa_permute(c->g, heads_of(c, y[1]), heads_first), sqa_permute(c->g, pq, heads_first), false,
                   true);
    a = sqa_dropout(c->g, sqa_unary(c->g, SQA_UNARY_SOFTPLUS, a), c->frame.attention_dropout);
    a = sqa_permute(c->g, a, heads_first); /* ln 2 times A: (B, L, H, p) */
    weights = running_mean(c, "keys", heads_of(c, y[0]), kv[0], a, time, scale / LN2);
    weights = sqa_dropout(c->g, sqa_softmax(c->g, weights), c->frame.attention_dropout);
    return sqa_merge_heads(c, running_mean(c, "values", weights, a, kv[1], time, 1 / LN2));
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    return c->frame.causal ? causal(self, c, x) : both_ways(self, c, x);
}

/* Of the first block, when it is the last */
static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim, H = (double)c->frame.heads;
    const double Q = (double)sqa_qkv_width(&c->frame), bias = c->frame.bias ? 1 : 0, kinds = s->tie ? 1 : 2;
    const int64_t rows = s->dynamic && !c->frame.causal && c->length < s->memory ? c->length : s->memory;
    const double p = (double)rows, to_q = 2 * D * Q + bias * Q, to_d = 2 * D * D + bias * D;
    const double out = 2 * D * Q + bias * D, d = Q / H;

    if (!c->frame.causal)
        return p * (7 * D + to_d) + B * L * (kinds * to_d + to_q + out) + kinds * B * p * to_q +
               B * L * p * (4 * D + 4 * Q + 10 * H);
    return p * (to_q + 2 * Q) + B * L * ((2 + kinds) * to_q + out) + 2 * B * L * p * Q + 7 * B * L * H * p +
           B * L * Q + 5 * L +
           B * H * (sums_count(c->length, (int64_t)d, rows) + sums_count(c->length, rows, (int64_t)d));
}

/* Identities */

enum { B = 2, L = 7, D = 8, H = 2, W = D / H, P = 3, MOST = L };

static const int32_t ragged[B] = {L, 2};

struct weights {
    double memory[P * D], wq[D * D], wpq[D * D], wpc[D * D], wc[D * D], wo[D * D];
};

static void set_weights(struct sqa_store *s, void *user)
{
    const struct weights *w = user;

    sqa_probe_set(s, "mixer.memory", w->memory);
    sqa_probe_set(s, "mixer.wq.w", w->wq);
    sqa_probe_set(s, "mixer.wpq.w", w->wpq);
    sqa_probe_set(s, "mixer.wpc.w", w->wpc);
    sqa_probe_set(s, "mixer.wc.w", w->wc);
    sqa_probe_set(s, "mixer.wo.w", w->wo);
}

/* Softmax attention whose values are the keys, by the definition; rows of q and k at most MOST */
static void attend(const double *q, int queries, const double *k, int keys, double *o)
{
    for (int h = 0; h < H; h++)
        for (int i = 0; i < queries; i++) {
            double p[MOST], sum = 0;

            for (int j = 0; j < keys; j++) {
                double score = 0;

                for (int e = h * W; e < (h + 1) * W; e++)
                    score += q[i * D + e] * k[j * D + e];
                sum += p[j] = exp(score / sqrt(W));
            }
            for (int e = h * W; e < (h + 1) * W; e++) {
                o[i * D + e] = 0;
                for (int j = 0; j < keys; j++)
                    o[i * D + e] += p[j] / sum * k[j * D + e];
            }
        }
}

static void normalise(const double *x, double *y)
{
    for (int t = 0; t < P; t++) {
        double mean = 0, square = 0;

        for (int i = 0; i < D; i++)
            mean += x[t * D + i] / D;
        for (int i = 0; i < D; i++)
            square += (x[t * D + i] - mean) * (x[t * D + i] - mean) / D;
        for (int i = 0; i < D; i++)
            y[t * D + i] = (x[t * D + i] - mean) / sqrt(square + 1e-5);
    }
}

/* One sequence, by the definition */
static void dense(const struct weights *w, const double *x, int valid, double *y)
{
    double normal[P * D], pq[P * D], pc[L * D], packed[P * D], q[L * D], c[P * D], o[L * D];

    normalise(w->memory, normal);
    sqa_probe_times(normal, w->wpq, P, D, D, pq);
    sqa_probe_times(x, w->wpc, L, D, D, pc);
    attend(pq, P, pc, valid, packed);
    sqa_probe_times(x, w->wq, L, D, D, q);
    sqa_probe_times(packed, w->wc, P, D, D, c);
    attend(q, L, c, valid < P ? valid : P, o);
    sqa_probe_times(o, w->wo, L, D, D, y);
}

/* f at all positions of one head; strides are elements between rows */
static void by_recurrence(const double *a, int da, int a_stride, const double *b, int b_stride, const double *v,
                          int dv, int v_stride, double *y)
{
    double state[D * D] = {0};

    for (int t = 0; t < L; t++)
        for (int j = 0; j < dv; j++) {
            y[t * dv + j] = 0;
            for (int i = 0; i < da; i++) {
                state[i * dv + j] += b[t * b_stride + i] * v[t * v_stride + j];
                y[t * dv + j] += a[t * a_stride + i] * state[i * dv + j] / (t + 1);
            }
        }
}

static void dense_causal(const struct weights *w, const double *x, double *y)
{
    double pq[P * D], pc[L * D], q[L * D], c[L * D], o[L * D];

    sqa_probe_times(w->memory, w->wpq, P, D, D, pq);
    sqa_probe_times(x, w->wpc, L, D, D, pc);
    sqa_probe_times(x, w->wq, L, D, D, q);
    sqa_probe_times(x, w->wc, L, D, D, c);
    for (int h = 0; h < H; h++) {
        double a[L * P], weights[L * P], out[L * W];

        for (int t = 0; t < L; t++)
            for (int r = 0; r < P; r++) {
                double score = 0;

                for (int e = h * W; e < (h + 1) * W; e++)
                    score += pc[t * D + e] * pq[r * D + e] / sqrt(W);
                a[t * P + r] = log2(1 + exp2(score));
            }
        by_recurrence(q + h * W, W, D, c + h * W, D, a, P, P, weights);
        for (int t = 0; t < L; t++) {
            double sum = 0;

            for (int r = 0; r < P; r++)
                sum += weights[t * P + r] = exp(weights[t * P + r] / sqrt(W));
            for (int r = 0; r < P; r++)
                weights[t * P + r] /= sum;
        }
        by_recurrence(weights, P, P, a, P, c + h * W, W, D, out);
        for (int i = 0; i < L * W; i++)
            o[i / W * D + h * W + i % W] = out[i];
    }
    sqa_probe_times(o, w->wo, L, D, D, y);
}

static enum sqa_status equals_dense(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[L * D];
    struct weights w;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    sqa_probe_normal(2, (double *)&w, sizeof w / sizeof(double));
    for (int mode = 0; mode < 3 && status == SQA_OK; mode++) {
        const bool is_causal = mode == 2;
        const struct sqa_probe p = {.item = "luna:memory=3",
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = is_causal,
                                    .lengths = mode == 1 ? ragged : NULL,
                                    .real = SQA_F64,
                                    .edit = set_weights,
                                    .user = &w};

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            const int valid = mode == 1 ? ragged[b] : L;

            if (is_causal)
                dense_causal(&w, x + b * L * D, expect);
            else
                dense(&w, x + b * L * D, valid, expect);
            status = sqa_probe_expect(is_causal ? "causal, against its recurrence" : "against its definition",
                                      sqa_probe_difference(y + b * L * D, expect, (size_t)(valid * D)), 1e-12, err);
        }
    }
    return status;
}

static enum sqa_status one_row(struct sqa_err *err)
{
    double x[L * D], y[L * D], first[L * D];
    const struct sqa_probe p = {
        .item = "luna:memory=1", .batch = 1, .length = L, .dim = D, .heads = H, .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(3, x, L * D);
    status = sqa_probe_run(&p, x, y, err);
    for (int t = 0; t < L; t++)
        memcpy(first + t * D, y, D * sizeof *y);
    return status == SQA_OK ? sqa_probe_expect("every position against the first",
                                               sqa_probe_difference(y, first, L * D), 1e-15, err)
                            : status;
}

/* Keys, which are the values, are 1 in both steps. */
static void unit_values(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_constant(s, "mixer.wpc.w", 0);
    sqa_probe_set_constant(s, "mixer.wpc.b", 1);
    sqa_probe_set_constant(s, "mixer.wc.w", 0);
    sqa_probe_set_constant(s, "mixer.wc.b", 1);
    sqa_probe_set_identity(s, "mixer.wo.w");
}

static enum sqa_status weights_sum_to_one(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], ones[B * L * D];
    const struct sqa_probe p = {.item = "luna",
                                .batch = B,
                                .length = L,
                                .dim = D,
                                .heads = H,
                                .lengths = ragged,
                                .real = SQA_F64,
                                .edit = unit_values};
    enum sqa_status status;

    sqa_probe_normal(4, x, B * L * D);
    for (int i = 0; i < B * L * D; i++)
        ones[i] = 1;
    status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK
               ? sqa_probe_expect("values 1 give 1", sqa_probe_difference(y, ones, B * L * D), 1e-14, err)
               : status;
}

/* The memory is the sequence itself and its scores are so large that row t packs position t alone. */
struct copied {
    double memory[L * D];
};

static void copy_sequence(struct sqa_store *s, void *user)
{
    struct copied *w = user;
    double large[D * D] = {0};

    for (int i = 0; i < D; i++)
        large[i * D + i] = 1e4;
    sqa_probe_set(s, "mixer.memory", w->memory);
    sqa_probe_set(s, "mixer.wpq.w", large);
    sqa_probe_set_identity(s, "mixer.wpc.w");
}

static void tie(struct sqa_store *s, void *user)
{
    double k[D * D];
    const struct sqa_entry *e = sqa_store_find(s, "mixer.wk.w");

    (void)user;
    if (e == NULL)
        return;
    sqa_entry_get(s, e, k);
    sqa_probe_set(s, "mixer.wv.w", k);
}

struct shared {
    double wq[D * D], wc[D * D], wo[D * D];
    struct copied copied;
    bool luna;
};

static void share_weights(struct sqa_store *s, void *user)
{
    struct shared *w = user;

    sqa_probe_set(s, "mixer.wq.w", w->wq);
    sqa_probe_set(s, "mixer.wc.w", w->wc);
    sqa_probe_set(s, "mixer.wk.w", w->wc);
    sqa_probe_set(s, "mixer.wo.w", w->wo);
    if (w->luna)
        copy_sequence(s, &w->copied);
    else
        tie(s, NULL);
}

/* Positions of mean 0 and variance 1 in each of the two heads, so that none is nearer to another than to itself. */
static enum sqa_status copied_sequence(struct sqa_err *err)
{
    double *x, y[L * D], expect[L * D];
    struct shared w = {.luna = true};
    struct sqa_probe p = {.item = "luna:memory=7",
                          .batch = 1,
                          .length = L,
                          .dim = D,
                          .heads = H,
                          .real = SQA_F64,
                          .edit = share_weights,
                          .user = &w};
    enum sqa_status status;

    sqa_probe_normal(5, (double *)&w, 3 * D * D);
    x = w.copied.memory;
    sqa_probe_normal(6, x, L * D);
    for (int row = 0; row < L * H; row++) {
        double mean = 0, square = 0, *at = x + row * W;

        for (int i = 0; i < W; i++)
            mean += at[i] / W;
        for (int i = 0; i < W; i++)
            square += (at[i] - mean) * (at[i] - mean) / W;
        for (int i = 0; i < W; i++)
            at[i] = (at[i] - mean) / sqrt(square);
    }
    status = sqa_probe_run(&p, x, y, err);
    p.item = "transformer";
    w.luna = false;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, expect, err);
    return status == SQA_OK ? sqa_probe_expect("a memory that is the sequence, against softmax attention",
                                               sqa_probe_difference(y, expect, L * D), 1e-12, err)
                            : status;
}

/* Two blocks: one memory, in the first. */
static void find_memories(struct sqa_store *s, void *user)
{
    bool *found = user;

    found[0] = sqa_store_find(s, "blocks.0.mixer.memory") != NULL;
    found[1] = sqa_store_find(s, "blocks.1.mixer.memory") != NULL;
}

static enum sqa_status one_memory(struct sqa_err *err)
{
    bool found[2] = {false, true};
    double y[3];
    const struct sqa_probe_whole p = {
        .model = "luna:layers=2,dim=8,heads=2,ffn=6",
        .task = {.kind = SQA_CLASSIFY, .vocab = 7, .classes = 3, .length = 9},
        .batch = 1,
        .real = SQA_F64,
        .edit = find_memories,
        .user = found,
    };
    const enum sqa_status status = sqa_probe_whole(&p, y, NULL, err);

    if (status == SQA_OK && (!found[0] || found[1]))
        return sqa_fail(err, SQA_NO, "luna: the second block has a memory of its own; it must take the first's");
    return status;
}

static const struct sqa_identity identities[] = {
    {"equals its definition, padded; causal: its recurrence", equals_dense},
    {"one row of memory: the same output everywhere", one_row},
    {"weights of both steps sum to 1", weights_sum_to_one},
    {"a memory that is the sequence: softmax attention with tied values", copied_sequence},
    {"the memory passes from block to block", one_memory},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_luna = {
    .id = "luna",
    .slot = SQA_SLOT_MIXER,
    .title = "Luna",
    .source = "Ma et al. 2021, arXiv:2106.01540, sections 3.1 to 3.3",
    .complexity = "O(L p D) time, O(L D) memory",
    .help = "A second sequence of `memory` rows attends to the positions, and the positions attend to what it found; "
            "then it passes to the next block. Causal, it is a fixed set of features of a running mean.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_EQUIVARIANT | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
