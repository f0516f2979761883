/*
 * rfa.c - random feature attention
 *
 * Computes  y_t = sum_s (phi(q_t) . phi(k_s)) v_s / max(sum_s phi(q_t) . phi(k_s), least), over valid s, s <= t when
 *           causal, of q and k divided by their norms in each head, with u = W (sigma x), W (m, d) normal numbers:
 *           gaussian: phi(x) = m^-1/2 (sin u, cos u), so that phi(x) . phi(y) is exp(-|sigma (x - y)|^2 / 2) on
 *           average
 *           arccos:   phi(x) = m^-1/2 relu(u)
 *           gate=1, causal: the sums fade, S_t = g_t S_(t-1) + (1 - g_t) phi(k_t) v_t^T, the denominator's alike, with
 *           g_t = sigmoid(w_g . x_t + b_g) of each head
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, d); W (H, m, d) state; sigma (H, d), learned, 1 at first;
 *           features (B, H, L, 2 m) or (B, H, L, m)
 * Cost      projections; norms 8 B L Q, Q = H d; u 4 B L Q m; sines and cosines 4 B L H m; kernel_attention.c with 2
 *           m (m) features; gate: decayed_attention.h of d + 1 values in its place, and 2 B L (H D + Q)
 * Step      sums of phi(k) v^T and phi(k): 2 m (d + 1) numbers a head (m)
 * Source    Peng et al. 2021, arXiv:2103.02143, equations (3) to (5) and section 3.1; code Noahs-ARK/RFA
 * Departs   W is drawn once, there one of 200 in every training step. least = 0.01 in units of the kernel, which is
 *           at most 1; that code's denominator is at least 1 with features of 0.1 in the place of m^-1/2, which is
 *           1.56 at m = 64 and so biases the first positions of a causal sequence. Norms have 1e-6 added in
 *           quadrature (there 1e-3 is added). phi(k) is 0 at padding. The gate is the paper's alone: that code has
 *           none, and the paper does not say where b_g begins (here gate_bias)
 */
#include <math.h>
#include <string.h>

#include "engine/ops/support.h"
#include "models/decayed_attention.h"
#include "models/kernel_attention.h"
#include "models/probe.h"
#include "models/step.h"

#define NORM_EPS 1e-12 /* of the mean square */

struct self {
    int64_t features, chunk, gate;
    const char *kernel;
    double least, gate_bias;
};

static const struct sqa_param params[] = {
    {"features", "rows of W; the gaussian kernel has two features for each", SQA_PARAM_INT, "64", 1, 1 << 16,
     .offset = offsetof(struct self, features)},
    {"kernel", "gaussian or arccos", SQA_PARAM_CHOICE, "gaussian", .offset = offsetof(struct self, kernel),
     .choices = "gaussian|arccos"},
    {"least", "denominators are at least that; the estimate of a kernel may be negative", SQA_PARAM_REAL, "0.01",
     1e-9, 10, .offset = offsetof(struct self, least)},
    {"gate", "1: sums fade by a gate of each position and head; causal only", SQA_PARAM_BOOL, "0",
     .offset = offsetof(struct self, gate)},
    {"gate_bias", "where the gate's bias begins: sigmoid of it is what is kept of the sums", SQA_PARAM_REAL, "2", -20,
     20, .offset = offsetof(struct self, gate_bias)},
    {"chunk", "positions of a chunk of the causal form; changes cost, not results", SQA_PARAM_INT, "64", 1, 1 << 16,
     .offset = offsetof(struct self, chunk)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)task;
    if (s->gate && !frame->causal)
        return sqa_fail(err, SQA_UNSUPPORTED, "rfa: gate=1 lets the past fade; use causal=1 or gate=0");
    return SQA_OK;
}

static bool is_gaussian(const struct self *s)
{
    return strcmp(s->kernel, "gaussian") == 0;
}

/* rfa_waves: rows of m -> rows (sin u, cos u) of 2 m. The gradient is made of the output, so that u is not kept. */

enum { ROWS = 128 };

struct job {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    int64_t m;
    unsigned char *workspace; /* m numbers a thread, of the gradient */
};

static void *row(const struct job *j, const struct sqa_tensor *x, int64_t width, int64_t t)
{
    return sqa_at(sqa_data(x), t * width, j->k->size);
}

static void waves(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    for (int64_t t = first; t < first + count; t++) {
        const void *u = row(j, j->n->in[0], j->m, t);
        void *y = row(j, j->n->out[0], 2 * j->m, t);

        j->k->unary(SQA_UNARY_SIN, u, y, (size_t)j->m);
        j->k->unary(SQA_UNARY_COS, u, sqa_at(y, j->m, j->k->size), (size_t)j->m);
    }
}

/* du = cos u dy_sin - sin u dy_cos */
static void waves_back(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const size_t m = (size_t)j->m, size = j->k->size;
    void *other = sqa_at(j->workspace, thread * j->m, size);

    for (int64_t t = first; t < first + count; t++) {
        const void *y = row(j, j->n->in[0], 2 * j->m, t), *dy = row(j, j->n->in[1], 2 * j->m, t);
        void *du = row(j, j->n->out[0], j->m, t);

        j->k->binary(SQA_BINARY_MUL, sqa_at_const(y, j->m, size), dy, du, m);
        j->k->binary(SQA_BINARY_MUL, y, sqa_at_const(dy, j->m, size), other, m);
        j->k->binary(SQA_BINARY_SUB, du, other, du, m);
    }
}

/* Rows of in[0] times the last dim, doubled or halved */
static enum sqa_status resized(struct sqa_node *n, bool twice, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    int64_t dim[SQA_MAX_RANK];
    char have[96];

    if (!sqa_is_real(x) || x->rank < 1)
        return sqa_shape_fail(n, err, "x is %s; give real rows", sqa_shape_text(x, have));
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = twice ? 2 * dim[x->rank - 1] : dim[x->rank - 1] / 2;
    sqa_set_output(n, 0, x->dtype, x->rank, dim);
    return SQA_OK;
}

static enum sqa_status waves_shape(struct sqa_node *n, struct sqa_err *err)
{
    return resized(n, true, err);
}

static enum sqa_status back_shape(struct sqa_node *n, struct sqa_err *err)
{
    return resized(n, false, err);
}

static void run_rows(const struct sqa_node *n, const struct sqa_run *r, int64_t m, sqa_chunk_fn *f)
{
    struct job j = {n, sqa_kernels_of(n->in[0]->dtype), m, r->workspace};

    if (sqa_numel(n->in[0]) != 0)
        sqa_chunks(r, sqa_numel(n->in[0]) / n->in[0]->dim[n->in[0]->rank - 1], ROWS, 8 * (double)sqa_numel(n->in[0]),
                   f, &j);
}

static void waves_run(const struct sqa_node *n, const struct sqa_run *r)
{
    run_rows(n, r, n->in[0]->dim[n->in[0]->rank - 1], waves);
}

static void back_run(const struct sqa_node *n, const struct sqa_run *r)
{
    run_rows(n, r, n->out[0]->dim[n->out[0]->rank - 1], waves_back);
}

static size_t back_workspace(const struct sqa_node *n, int threads)
{
    const struct sqa_tensor *du = n->out[0];

    return (size_t)(threads * du->dim[du->rank - 1]) * sqa_dtype_size(du->dtype);
}

static double back_flops(const struct sqa_node *n)
{
    return 3 * (double)sqa_numel(n->out[0]);
}

static const struct sqa_op op_waves_back = {
    .name = "rfa_waves_bwd",
    .help = "gradient of rfa_waves from its output",
    .shape = back_shape,
    .run = back_run,
    .flops = back_flops,
    .workspace = back_workspace,
};

static void waves_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->out[0], dy[0]};

    dx[0] = sqa_apply(g, &op_waves_back, NULL, 0, 2, in);
}

static const struct sqa_op op_waves = {
    .name = "rfa_waves",
    .help = "rows (sin u, cos u)",
    .shape = waves_shape,
    .run = waves_run,
    .grad = waves_grad,
    .flops = sqa_flops_out1,
};

/* The mixer */

/* W sigma of each head, as in (H, m, d). sqa_layernorm divides by the root mean square, d^-1/2 of the norm. */
static struct sqa_tensor *projection(const struct self *s, struct sqa_context *c)
{
    const int64_t H = c->frame.heads, d = sqa_head_dim(&c->frame);
    const struct sqa_init normal = {.kind = SQA_INIT_NORMAL, .b = 1}, one = {.kind = SQA_INIT_CONSTANT, .a = 1};
    struct sqa_tensor *w =
        sqa_value(c->g, sqa_state_entry(c, "features", normal, 3, (const int64_t[]){H, s->features, d}));
    struct sqa_tensor *sigma = sqa_param_tensor(c, "sigma", SQA_GROUP_NO_DECAY, one, SQA_DIMS(H, d));

    sigma = sqa_affine(c->g, 1 / sqrt((double)d), sigma, 0);
    return sqa_mul(c->g, w, sqa_reshape(c->g, sigma, SQA_DIMS(H, 1, d)));
}

/* (B, L, H, d) -> features, or what relu makes features of: a view (B, L, H, ...) */
static struct sqa_tensor *features(const struct self *s, struct sqa_context *c, struct sqa_tensor *x,
                                   struct sqa_tensor *w)
{
    struct sqa_tensor *u = sqa_layernorm(c->g, x, NULL, NULL, NORM_EPS, true), *in[1];

    u = sqa_matmul(c->g, sqa_transpose(c->g, u, 1, 2), w, false, true);
    in[0] = u;
    if (is_gaussian(s))
        u = sqa_ready(c->g, "rfa_waves", 1, in) ? sqa_apply(c->g, &op_waves, NULL, 0, 1, in) : NULL;
    return sqa_transpose(c->g, u, 1, 2);
}

static struct sqa_kernel_attention_spec spec_of(const struct self *s, const struct sqa_context *c)
{
    return (struct sqa_kernel_attention_spec){.map = is_gaussian(s) ? SQA_MAP_NONE : SQA_MAP_RELU,
                                              .causal = c->frame.causal != 0,
                                              .chunk = s->chunk,
                                              .scale = 1 / sqrt((double)s->features),
                                              .den_min = s->least};
}

static struct sqa_heads in_features(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_heads h = sqa_project_heads(c, x);
    struct sqa_tensor *w = projection(s, c);

    return (struct sqa_heads){features(s, c, h.q, w), features(s, c, h.k, w), h.v};
}

/* phi of what features() gives */
static struct sqa_tensor *phi_of(const struct self *s, struct sqa_context *c, struct sqa_tensor *u)
{
    u = is_gaussian(s) ? u : sqa_unary(c->g, SQA_UNARY_RELU, u);
    return sqa_dense(c->g, sqa_affine(c->g, 1 / sqrt((double)s->features), u, 0));
}

/* Values and 1, times 1 - g, summed with g: the last of the sums is the denominator. */
static struct sqa_tensor *gated(const struct self *s, struct sqa_context *c, struct sqa_heads h, struct sqa_tensor *x)
{
    const int64_t B = c->batch, L = c->length, H = c->frame.heads, d = sqa_head_dim(&c->frame);
    const struct sqa_init begin = {.kind = SQA_INIT_CONSTANT, .a = s->gate_bias};
    struct sqa_tensor *q = phi_of(s, c, h.q), *k = phi_of(s, c, h.k), *z, *keep, *add, *both[2], *o, *den;

    if (!q || !k)
        return NULL;
    z = sqa_add(c->g, sqa_dense_layer(c, "wg", x, H, false),
                sqa_param_tensor(c, "bg", SQA_GROUP_NO_DECAY, begin, SQA_DIMS(H)));
    z = sqa_reshape(c->g, z, SQA_DIMS(B, L, H, 1));
    add = sqa_unary(c->g, SQA_UNARY_SIGMOID, sqa_unary(c->g, SQA_UNARY_NEG, z));
    both[0] = sqa_mul(c->g, h.v, add);
    both[1] = add;
    both[0] = sqa_concat(c->g, 3, 2, both);
    if (c->position) {
        keep = sqa_unary(c->g, SQA_UNARY_SIGMOID, z);
        o = sqa_matrix_step(c, "s", q, k, both[0], keep);
    } else {
        keep = sqa_affine(c->g, -1, sqa_unary(c->g, SQA_UNARY_SOFTPLUS, sqa_unary(c->g, SQA_UNARY_NEG, z)), 0);
        keep = sqa_dense(c->g, sqa_broadcast(c->g, keep, SQA_DIMS(B, L, H, k->dim[3])));
        o = sqa_decayed_attention(c->g, q, k, both[0], NULL, keep, c->lengths,
                                  (struct sqa_decay_spec){.causal = true, .chunk = s->chunk});
    }
    den = sqa_binary(c->g, SQA_BINARY_MAX, sqa_slice(c->g, o, 3, d, 1), sqa_fill(c->g, s->least, 0, NULL));
    return sqa_div(c->g, sqa_slice(c->g, o, 3, 0, d), den);
}

/* With c->position the step form. */
static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct sqa_heads h = in_features(s, c, x);

    if (s->gate)
        return sqa_merge_heads(c, gated(s, c, h, x));
    if (c->position)
        return sqa_merge_heads(c, sqa_kernel_attention_step(c, h, NULL, spec_of(s, c)));
    return sqa_merge_heads(c, sqa_kernel_attention(c->g, h.q, h.k, h.v, c->lengths, NULL, spec_of(self, c)));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const int64_t H = c->frame.heads, d = sqa_head_dim(&c->frame), m = (is_gaussian(s) ? 2 : 1) * s->features;
    const struct sqa_kernel_attention_shape shape = {c->batch, c->length, H, m, m, d, false};
    const double rows = (double)(c->batch * c->length), Q = (double)(H * d);

    const double before = sqa_heads_flops(c) + (double)s->features * Q + 2 * Q +
                          rows * (14 * Q + 4 * Q * (double)s->features + (is_gaussian(s) ? 2 * (double)(H * m) : 0));

    if (s->gate) {
        const struct sqa_decayed_shape fades = {c->batch, c->length, H, m, d + 1, true};
        const double h = (double)H, scaled = (is_gaussian(s) ? 4 : 6) * (double)(H * m);

        return before + rows * (2 * h * (double)c->frame.dim + scaled + 2 * Q + 8 * h) +
               sqa_decayed_attention_flops(fades, true);
    }
    return before + sqa_kernel_attention_flops(shape, spec_of(s, c));
}

/* Identities */

enum { B = 2, L = 12, D = 8, H = 2, W = D / H, FEATURES = 6 };

static const int32_t ragged[B] = {L, 7};

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

struct drawn {
    double w[H * FEATURES * W], sigma[H * W], wg[D * H], bg[H];
};

/* q = k = v = x, outputs unchanged; other sigmas; W and the gate's weights are read into user, if there is room. */
static void open_projections(struct sqa_store *s, void *user)
{
    static const char *const names[] = {"mixer.wq.w", "mixer.wk.w", "mixer.wv.w", "mixer.wo.w"};
    const struct sqa_entry *e = sqa_store_find(s, "mixer.features");
    struct drawn *to = user;

    for (int i = 0; i < 4; i++)
        sqa_probe_set_identity(s, names[i]);
    if (to == NULL || e == NULL)
        return;
    for (int i = 0; i < H * W; i++)
        to->sigma[i] = 0.5 + 0.1 * i;
    sqa_probe_set(s, "mixer.sigma", to->sigma);
    sqa_entry_get(s, e, to->w);
    if (sqa_store_find(s, "mixer.bg") == NULL)
        return;
    sqa_entry_get(s, sqa_store_find(s, "mixer.wg.w"), to->wg);
    sqa_entry_get(s, sqa_store_find(s, "mixer.bg"), to->bg);
}

/* g of a position and head */
static double gate(const struct drawn *p, const double *x, int h)
{
    double z = p->bg[h];

    for (int i = 0; i < D; i++)
        z += x[i] * p->wg[i * H + h];
    return 1 / (1 + exp(-z));
}

/* One sequence by the L x L matrix of weights; gated: each times what the gates have left of it */
static void quadratic(const double *x, const struct drawn *p, bool gaussian, int valid, bool causal, bool gated,
                      double *y)
{
    double phi[L][2 * FEATURES];

    for (int h = 0; h < H; h++) {
        for (int t = 0; t < L; t++) {
            const double *from = x + t * D + h * W, norm = sqrt(dot(from, from, W));

            for (int f = 0; f < FEATURES; f++) {
                double u = 0;

                for (int e = 0; e < W; e++)
                    u += p->w[(h * FEATURES + f) * W + e] * p->sigma[h * W + e] * from[e] / norm;
                phi[t][f] = (gaussian ? sin(u) : fmax(u, 0)) / sqrt(FEATURES);
                phi[t][FEATURES + f] = gaussian ? cos(u) / sqrt(FEATURES) : 0;
            }
        }
        for (int t = 0; t < L; t++) {
            const int keys = causal && t + 1 < valid ? t + 1 : valid;
            double sum = 0, o[W] = {0}, left = 1;

            for (int s = keys - 1; s >= 0; s--) {
                const double g = gated ? gate(p, x + s * D, h) : 0;
                const double weight = dot(phi[t], phi[s], 2 * FEATURES) * left * (1 - g);

                left *= gated ? g : 1;
                sum += weight;
                for (int e = 0; e < W; e++)
                    o[e] += weight * x[s * D + h * W + e];
            }
            for (int e = 0; e < W; e++)
                y[t * D + h * W + e] = o[e] / fmax(sum, 0.01);
        }
    }
}

static enum sqa_status equals_quadratic(struct sqa_err *err)
{
    static const char *const items[] = {"rfa:features=6,chunk=5",
                                        "rfa:features=6,kernel=arccos,chunk=5",
                                        "rfa:features=6,chunk=1",
                                        "rfa:features=6,kernel=arccos,chunk=12",
                                        "rfa:features=6,gate=1,chunk=5,gate_bias=1",
                                        "rfa:features=6,kernel=arccos,gate=1,gate_bias=-1"};
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;
    struct drawn drawn;

    sqa_probe_normal(1, x, B * L * D);
    for (int mode = 0; mode < 10 && status == SQA_OK; mode++) {
        const bool causal = mode >= 4, gated = mode >= 8;
        const char *item = items[mode < 4 ? mode : mode - 4];
        const struct sqa_probe p = {.item = item,
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = causal,
                                    .lengths = ragged,
                                    .real = SQA_F64,
                                    .edit = open_projections,
                                    .user = &drawn};

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            quadratic(x + b * L * D, &drawn, mode % 2 == 0, ragged[b], causal, gated, expect);
            status = sqa_probe_expect(item, sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)),
                                      1e-9, err);
        }
    }
    return status;
}

/* The mean over draws of phi(x) . phi(y), in standard errors from exp(-|x - y|^2 / 2) */
static enum sqa_status unbiased(struct sqa_err *err)
{
    enum { DRAWS = 4000, M = 8 };
    double x[D], y[D], square = 0, mean = 0, spread = 0, w[M * D];

    sqa_probe_normal(2, x, D);
    sqa_probe_normal(3, y, D);
    for (int e = 0; e < D; e++) {
        x[e] *= 0.3;
        y[e] *= 0.3;
        square += (x[e] - y[e]) * (x[e] - y[e]);
    }
    for (int i = 0; i < DRAWS; i++) {
        double sum = 0;

        sqa_probe_normal(100 + (uint64_t)i, w, M * D);
        for (int f = 0; f < M; f++) {
            const double u = dot(w + f * D, x, D), v = dot(w + f * D, y, D);

            sum += (sin(u) * sin(v) + cos(u) * cos(v)) / M;
        }
        mean += sum / DRAWS;
        spread += sum * sum / DRAWS;
    }
    spread = sqrt((spread - mean * mean) / DRAWS);
    return sqa_probe_expect("mean of estimates against the kernel, in standard errors",
                            fabs(mean - exp(-square / 2)) / spread, 4, err);
}

/* With norms 1 the gaussian kernel is exp(q . k) / e: softmax attention of the normalised inputs. */
static void softmax_of_directions(const double *x, double *y)
{
    for (int h = 0; h < H; h++)
        for (int t = 0; t < L; t++) {
            const double *q = x + t * D + h * W;
            double sum = 0, o[W] = {0};

            for (int s = 0; s < L; s++) {
                const double *k = x + s * D + h * W;
                const double weight = exp(dot(q, k, W) / sqrt(dot(q, q, W) * dot(k, k, W)));

                sum += weight;
                for (int e = 0; e < W; e++)
                    o[e] += weight * k[e];
            }
            for (int e = 0; e < W; e++)
                y[t * D + h * W + e] = o[e] / sum;
        }
}

static enum sqa_status error_falls(struct sqa_err *err)
{
    static const char *const items[] = {"rfa:features=32", "rfa:features=256", "rfa:features=2048"};
    enum { SEEDS = 12 };
    double x[L * D], y[L * D], expect[L * D], error[3] = {0};
    struct sqa_probe p = {.batch = 1, .length = L, .dim = D, .heads = H, .real = SQA_F64, .edit = open_projections};
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(4, x, L * D);
    softmax_of_directions(x, expect);
    for (int i = 0; i < 3 * SEEDS && status == SQA_OK; i++) {
        p.item = items[i / SEEDS];
        p.seed = (uint64_t)(i % SEEDS);
        status = sqa_probe_run(&p, x, y, err);
        for (int j = 0; j < L * D && status == SQA_OK; j++)
            error[i / SEEDS] += (y[j] - expect[j]) * (y[j] - expect[j]);
    }
    if (status != SQA_OK)
        return status;
    return sqa_probe_expect("slope of log error over log features, less -1/2",
                            fabs(0.5 * log(error[2] / error[0]) / log(64.0) + 0.5), 0.15, err);
}

/* Nothing kept of the sums: each position reads itself. */
static enum sqa_status shut_gate(struct sqa_err *err)
{
    double x[L * D], y[L * D];
    const struct sqa_probe p = {.item = "rfa:gate=1,gate_bias=-20",
                                .batch = 1,
                                .length = L,
                                .dim = D,
                                .heads = H,
                                .causal = true,
                                .real = SQA_F64,
                                .edit = open_projections};
    enum sqa_status status;

    sqa_probe_normal(5, x, L * D);
    status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK ? sqa_probe_expect("gates of 0: y = v", sqa_probe_difference(y, x, L * D), 1e-6, err)
                            : status;
}

static const struct sqa_identity identities[] = {
    {"equals its quadratic form, both kernels, causal, padded and gated, any chunk", equals_quadratic},
    {"gates of 0: y = v", shut_gate},
    {"the kernel estimate is unbiased", unbiased},
    {"the error against softmax attention of directions falls as features^-1/2", error_falls},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_rfa = {
    .id = "rfa",
    .slot = SQA_SLOT_MIXER,
    .title = "Random feature attention",
    .source = "Peng et al. 2021, arXiv:2103.02143",
    .complexity = "O(L m D) time, O(L H m + m D) memory",
    .help = "Linear attention with random sines and cosines of the directions of queries and keys, which estimate a "
            "Gaussian kernel, so softmax attention of directions; or with rectified random projections. Features and "
            "sums stay f32 with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_EQUIVARIANT | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
