/*
 * skyformer.c - Gaussian kernel attention, not normalised, through sampled positions
 *
 * Computes  C ~ A_q D^-1/2 Z D^-1/2 A_k^T v of C_ij = exp(-|q_i - k_j|^2 / 2), q and k times d^-1/4: m points s
 *           sampled from the valid positions, the first m / 2 from q, the others from k; A_q, A_k the kernel of q and
 *           of k with them; G theirs with each other, plus jitter I; D = diag(row sums of G), Z the inverse of D^-1/2
 *           G D^-1/2 by iterations (iterative_inverse.h). landmarks=0: the points are all queries and all keys
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, d); points (B, m, H, d), the same positions for all heads
 * Cost      projections; A_q and A_k^T v 2 B L m (4 Q + 9 H), Q = H d, by softmax attention with one number more a
 *           key, times its denominator exp(lse); G and Z (A_k^T v) 4 B m^2 Q; B H iterations 8 m^3. A is never whole
 *           in memory
 * Source    Chen et al. 2021, arXiv:2111.00035, sections 4.1 to 4.3; code pkuzengqi/Skyformer,
 *           src/models/attention_skyformer.py: m = 128, jitter 0.1, 6 iterations, new positions in every run
 * Departs   the same numbers between 0 and 1 choose the positions of every row of a batch, so that a row's answer
 *           does not depend on its place. Z starts from each matrix by itself (there one number for all of the batch,
 *           and q and k times 32^-1/4 whatever d is: form=lra)
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "engine/ops/support.h"
#include "models/iterative_inverse.h"
#include "models/probe.h"

struct self {
    int64_t landmarks, iterations;
    double jitter;
    const char *form;
};

static const struct sqa_param params[] = {
    {"landmarks", "sampled points, half of them queries; 0: every query and key", SQA_PARAM_INT, "128", 0, 1 << 16,
     .offset = offsetof(struct self, landmarks)},
    {"iterations", "of the inverse", SQA_PARAM_INT, "6", 1, 1000, .offset = offsetof(struct self, iterations)},
    {"jitter", "added to the diagonal of the points' kernel", SQA_PARAM_REAL, "0.1", 0, 10,
     .offset = offsetof(struct self, jitter)},
    {"form", "paper, or lra: the start of the inverse and the scale as released code has them", SQA_PARAM_CHOICE,
     "paper", .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {.name = NULL},
};

static bool is_lra(const struct self *s)
{
    return strcmp(s->form, "lra") == 0;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self, (void)task;
    if (frame->causal)
        return sqa_fail(
            err, SQA_UNSUPPORTED,
            "skyformer: sampled points are of all positions, so there is no causal form; use causal=0, or "
            "linear_transformer or performer");
    return SQA_OK;
}

/* skyformer_sample: lengths -> i32 (B, count), numbers of rows of a (B L, ...) tensor: position floor(u n) of each
 * row of n valid ones, -1 where n is 0. */

struct sample {
    int64_t batch, length, count, first; /* the first of the numbers u */
    int64_t each;                        /* 1: position i is i, nothing is drawn */
};

static enum sqa_status sample_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sample *a = n->attr;

    sqa_set_output(n, 0, SQA_I32, 2, (const int64_t[]){a->batch, a->count});
    return n->in[0] == NULL ? SQA_OK : sqa_check_lengths(n, 0, a->batch, err);
}

static void sample_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sample *a = n->attr;
    const uint64_t key = sqa_random_mix(sqa_random_mix(r->seed, r->step), n->path_hash);
    int32_t *id = sqa_data(n->out[0]);

    for (int64_t b = 0; b < a->batch; b++) {
        const int64_t valid = sqa_length_at(n->in[0], b, a->length);

        for (int64_t i = 0; i < a->count; i++) {
            const double u = a->each ? 0 : sqa_random_uniform(key, (uint64_t)(a->first + i));
            const int64_t t = a->each ? i : (int64_t)(u * (double)valid);

            id[b * a->count + i] = t < valid ? (int32_t)(b * a->length + t) : -1;
        }
    }
}

static const struct sqa_op op_sample = {
    .name = "skyformer_sample",
    .help = "random valid positions of each row",
    .shape = sample_shape,
    .run = sample_run,
};

/* skyformer_jitter: x (..., m, m) + jitter I */

static enum sqa_status jitter_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (!sqa_is_real(x) || x->rank < 2 || x->dim[x->rank - 1] != x->dim[x->rank - 2])
        return sqa_shape_fail(n, err, "x is %s; give square matrices", sqa_shape_text(x, have));
    sqa_set_output(n, 0, x->dtype, x->rank, x->dim);
    return SQA_OK;
}

static void jitter_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *x = n->in[0], *y = n->out[0];
    const int64_t m = x->dim[x->rank - 1], all = sqa_numel(x);
    const size_t size = sqa_dtype_size(x->dtype);

    (void)r;
    if (sqa_data(x) != sqa_data(y))
        memcpy(sqa_data(y), sqa_data(x), (size_t)all * size);
    for (int64_t i = 0; i < all; i += i % (m * m) == m * m - 1 ? 1 : m + 1) {
        void *at = sqa_at(sqa_data(y), i, size);

        sqa_real_set(x->dtype, at, sqa_real_get(x->dtype, at) + *(const double *)n->attr);
    }
}

static void jitter_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    (void)g, (void)n;
    dx[0] = dy[0];
}

static double jitter_flops(const struct sqa_node *n)
{
    const struct sqa_tensor *x = n->in[0];

    return (double)(sqa_numel(x) / sqa_max64(1, x->dim[x->rank - 1]));
}

static const struct sqa_op op_jitter = {
    .name = "skyformer_jitter",
    .help = "x + jitter I",
    .shape = jitter_shape,
    .run = jitter_run,
    .grad = jitter_grad,
    .flops = jitter_flops,
    .in_place = 1,
};

/* The mixer */

static int64_t points(const struct self *s, const struct sqa_context *c)
{
    return s->landmarks > 0 ? s->landmarks : 2 * c->length;
}

/* Rows of x (B, L, H, d) at sampled positions, the first of them by the number `first`: (B, count, H, d) */
static struct sqa_tensor *rows_of(const struct self *s, struct sqa_context *c, struct sqa_tensor *x, int64_t first,
                                  int64_t count)
{
    const int64_t B = c->batch, L = c->length, Q = sqa_qkv_width(&c->frame), H = c->frame.heads;
    const struct sample a = {B, L, count, first, s->landmarks == 0};
    struct sqa_tensor *id =
        sqa_ready(c->g, "skyformer_sample", 1, &x) ? sqa_apply(c->g, &op_sample, &a, sizeof a, 1, &c->lengths) : NULL;

    x = sqa_embedding(c->g, sqa_reshape(c->g, x, SQA_DIMS(B * L, Q)), id);
    return sqa_reshape(c->g, x, SQA_DIMS(B, count, H, Q / H));
}

/* Points x (B, n, H, d) with what the kernel needs of them: scale |x|^2 / 2, and x as a query and as a key of softmax
 * attention, whose scores become scale (x . y - |y|^2 / 2) */
struct points {
    struct sqa_tensor *half, *query, *key;
};

static struct points points_of(struct sqa_context *c, struct sqa_tensor *x, double scale)
{
    struct sqa_tensor *square = sqa_sum(c->g, sqa_square(c->g, x), 1u << 3, true);
    struct sqa_tensor *one = sqa_fill(c->g, 1, SQA_DIMS(1, 1, 1, 1));
    struct points p = {.half = sqa_affine(c->g, scale / 2, square, 0)};

    if (square == NULL)
        return p;
    one = sqa_broadcast(c->g, one, 4, square->dim);
    p.query = sqa_concat(c->g, 3, 2, (struct sqa_tensor *[]){x, one});
    p.key = sqa_concat(c->g, 3, 2, (struct sqa_tensor *[]){x, sqa_affine(c->g, -0.5, square, 0)});
    return p;
}

/* sum_j exp(-scale |q_i - k_j|^2 / 2) v_j (B, n, H, d): the softmax's mean times its sum, which is at most the number
 * of keys; without keys that sum is held at e^30, and the mean is 0. */
static struct sqa_tensor *kernel_sum(struct sqa_context *c, struct points q, struct points k, struct sqa_tensor *v,
                                     struct sqa_tensor *lengths, double scale)
{
    struct sqa_tensor *o =
        sqa_attention(c->g, q.query, k.key, v, lengths, (struct sqa_attention_spec){.scale = scale});
    struct sqa_tensor *lse = o == NULL ? NULL : sqa_attention_lse(o), *limit = sqa_fill(c->g, -30, 0, NULL);

    if (lse == NULL)
        return NULL;
    lse = sqa_transpose(c->g, sqa_reshape(c->g, lse, SQA_DIMS(lse->dim[0], lse->dim[1], lse->dim[2], 1)), 1, 2);
    lse = sqa_binary(c->g, SQA_BINARY_MAX, sqa_sub(c->g, q.half, lse), limit);
    return sqa_mul(c->g, o, sqa_unary(c->g, SQA_UNARY_EXP, sqa_unary(c->g, SQA_UNARY_NEG, lse)));
}

/* The kernel of the points with each other, plus jitter I: (B, H, m, m) */
static struct sqa_tensor *core(const struct self *s, struct sqa_context *c, struct sqa_tensor *x,
                               struct sqa_tensor *half, double scale)
{
    struct sqa_tensor *g, *t = sqa_transpose(c->g, x, 1, 2), *h = sqa_transpose(c->g, half, 1, 2);

    g = sqa_affine(c->g, scale, sqa_matmul(c->g, t, t, false, true), 0);
    g = sqa_sub(c->g, sqa_sub(c->g, g, h), sqa_transpose(c->g, h, 2, 3));
    g = sqa_unary(c->g, SQA_UNARY_EXP, g);
    return sqa_ready(c->g, "skyformer_jitter", 1, &g)
               ? sqa_apply(c->g, &op_jitter, &s->jitter, sizeof s->jitter, 1, &g)
               : NULL;
}

static double scale_of(const struct self *s, const struct sqa_context *c)
{
    return 1 / sqrt(is_lra(s) ? 32 : (double)sqa_head_dim(&c->frame));
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct sqa_heads h = sqa_project_heads(c, x);
    const int64_t m = points(s, c);
    const double scale = scale_of(s, c);
    struct sqa_tensor *chosen[2] = {rows_of(s, c, h.q, 0, m / 2), rows_of(s, c, h.k, m / 2, m - m / 2)};
    struct sqa_tensor *both = sqa_concat(c->g, 1, 2, chosen), *g, *root, *y;
    const struct points p = points_of(c, both, scale);

    g = core(s, c, both, p.half, scale);
    root = sqa_unary(c->g, SQA_UNARY_RSQRT, sqa_sum(c->g, g, 1u << 3, true)); /* (B, H, m, 1) */
    g = sqa_mul(c->g, sqa_mul(c->g, g, root), sqa_transpose(c->g, root, 2, 3));
    g = sqa_iterative_inverse(c->g, g, sqa_inverse_start(c->g, g, 0, is_lra(s)), s->iterations);
    y = sqa_transpose(c->g, kernel_sum(c, p, points_of(c, h.k, scale), h.v, c->lengths, scale), 1, 2);
    y = sqa_mul(c->g, root, sqa_matmul(c->g, g, sqa_mul(c->g, root, y), false, false));
    y = kernel_sum(c, points_of(c, h.q, scale), p, sqa_transpose(c->g, y, 1, 2), NULL, scale);
    return sqa_merge_heads(c, y);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, L = (double)c->length, H = (double)c->frame.heads;
    const double Q = (double)sqa_qkv_width(&c->frame), m = (double)points(s, c);
    const double norms = B * ((2 * L + m) * 2 * Q + (L + m) * 4 * H); /* of k no half, of q no key */
    const double sums = B * (2 * L * m * (4 * Q + 7 * H) + (L + m) * (Q + 4 * H));

    return sqa_heads_flops(c) + norms + sums + B * (m * m * (4 * Q + 8 * H) + m * (2 * Q + 2 * H)) +
           sqa_inverse_start_flops(B * H, points(s, c), is_lra(s)) +
           sqa_iterative_inverse_flops(B * H, points(s, c), s->iterations);
}

/* Identities */

enum { B = 2, L = 10, D = 8, H = 2, W = D / H };

static void identity_weights(struct sqa_store *s, void *user)
{
    static const char *const names[] = {"mixer.wq.w", "mixer.wk.w", "mixer.wv.w", "mixer.wo.w"};

    (void)user;
    for (int i = 0; i < 4; i++)
        sqa_probe_set_identity(s, names[i]);
}

/* Of one sequence with q = v = x, k = sign x */
static void gaussian(const double *x, int n, double sign, double *y)
{
    for (int h = 0; h < H; h++)
        for (int t = 0; t < n; t++) {
            double o[W] = {0};

            for (int s = 0; s < n; s++) {
                double square = 0;

                for (int e = h * W; e < (h + 1) * W; e++)
                    square += pow(x[t * D + e] - sign * x[s * D + e], 2);
                for (int e = 0; e < W; e++)
                    o[e] += exp(-square / (2 * sqrt(W))) * x[s * D + h * W + e];
            }
            memcpy(y + t * D + h * W, o, sizeof o);
        }
}

static struct sqa_probe probe_of(const char *item)
{
    return (struct sqa_probe){
        .item = item, .batch = B, .length = L, .dim = D, .heads = H, .real = SQA_F64, .edit = identity_weights};
}

static void opposite_keys(struct sqa_store *s, void *user)
{
    double w[D * D] = {0};

    identity_weights(s, user);
    for (int i = 0; i < D; i++)
        w[i * (D + 1)] = -1;
    sqa_probe_set(s, "mixer.wk.w", w);
}

/* Far points, so that the iterations end */
static enum sqa_status all_points(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[L * D];
    struct sqa_probe p = probe_of("skyformer:landmarks=0,jitter=0,iterations=25");
    enum sqa_status status;

    sqa_probe_normal(1, x, B * L * D);
    for (int i = 0; i < B * L * D; i++)
        x[i] *= 2;
    p.edit = opposite_keys;
    status = sqa_probe_run(&p, x, y, err);
    for (int b = 0; b < B && status == SQA_OK; b++) {
        gaussian(x + b * L * D, L, -1, expect);
        status = sqa_probe_expect("skyformer with every point against the kernel",
                                  sqa_probe_difference(y + b * L * D, expect, L * D), 1e-6, err);
    }
    return status;
}

/* Queries and keys moved by one vector, which is the biases here */
static void move(struct sqa_store *s, void *user)
{
    static const double by[D] = {0.3, -0.2, 0.5, 1, -1, 0.1, 0.7, -0.4};

    (void)user;
    sqa_probe_set(s, "mixer.wq.b", by);
    sqa_probe_set(s, "mixer.wk.b", by);
}

static enum sqa_status moved(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], z[B * L * D];
    struct sqa_probe p = probe_of("skyformer:landmarks=6");
    enum sqa_status status;

    sqa_probe_normal(2, x, B * L * D);
    p.edit = NULL;
    status = sqa_probe_run(&p, x, y, err);
    p.edit = move;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, z, err);
    return status == SQA_OK ? sqa_probe_expect("skyformer, queries and keys moved",
                                               sqa_probe_difference(z, y, B * L * D), 1e-12, err)
                            : status;
}

/* All positions alike: every kernel is 1, G = 1 1^T + jitter I, so y = n v m / (m + jitter) for n valid positions. */
static enum sqa_status constants(struct sqa_err *err)
{
    enum { M = 6 };
    static const int32_t ragged[B] = {L, 7};
    double x[B * L * D], y[B * L * D], worst = 0;
    struct sqa_probe p = probe_of("skyformer:landmarks=6,jitter=0.2");
    enum sqa_status status;

    sqa_probe_normal(3, x, D);
    for (int t = 1; t < B * L; t++)
        memcpy(x + t * D, x, D * sizeof *x);
    p.lengths = ragged;
    status = sqa_probe_run(&p, x, y, err);
    for (int i = 0; i < B * L * D && status == SQA_OK; i++)
        if (i / D % L < ragged[i / (L * D)])
            worst = fmax(worst, fabs(y[i] - x[i] * ragged[i / (L * D)] * M / (M + 0.2)));
    return status == SQA_OK ? sqa_probe_expect("skyformer of a constant sequence", worst, 1e-11, err) : status;
}

/* Positions of a long sequence in a space of few dimensions */
static enum sqa_status error_falls(struct sqa_err *err)
{
    enum { LONG = 64, ITEMS = 3, SEEDS = 8 };
    static const char *const items[ITEMS] = {"skyformer:landmarks=4,jitter=0.01,iterations=20",
                                             "skyformer:landmarks=16,jitter=0.01,iterations=20",
                                             "skyformer:landmarks=64,jitter=0.01,iterations=20"};
    static double x[LONG * D], y[LONG * D], expect[LONG * D];
    double error[ITEMS] = {0};
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(4, x, LONG * D);
    for (int i = 0; i < LONG * D; i++)
        x[i] *= 0.7;
    gaussian(x, LONG, 1, expect);
    for (int i = 0; i < ITEMS * SEEDS && status == SQA_OK; i++) {
        struct sqa_probe p = probe_of(items[i / SEEDS]);

        p.batch = 1;
        p.length = LONG;
        p.seed = (uint64_t)(i % SEEDS);
        status = sqa_probe_run(&p, x, y, err);
        for (int j = 0; j < LONG * D && status == SQA_OK; j++)
            error[i / SEEDS] += (y[j] - expect[j]) * (y[j] - expect[j]);
    }
    for (int k = 1; k < ITEMS && status == SQA_OK; k++)
        status = sqa_probe_expect("square error of four times as many points, over the error before",
                                  error[k] / error[k - 1], 0.5, err);
    return status;
}

static const struct sqa_identity identities[] = {
    {"every query and key a point, no jitter, inverse converged: the Gaussian kernel times v", all_points},
    {"queries and keys moved by one vector: no change", moved},
    {"a constant sequence: n v m / (m + jitter)", constants},
    {"the error against the Gaussian kernel falls as points grow", error_falls},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_skyformer = {
    .id = "skyformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Skyformer",
    .source = "Chen et al. 2021, arXiv:2111.00035",
    .complexity = "O(L m D + H m^3) time, O(L D + H m^2) memory",
    .help =
        "Sums of values weighted by a Gaussian kernel of queries and keys, not divided by sums of weights, by way of "
        "the kernel's values at sampled positions. Outputs grow with the length. New positions are drawn in every "
        "training step; evaluation has those of its seed. The inverse stays f32 with --dtype bf16.",
    .traits = SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV | SQA_TRAIT_LRA_BATCH,
    .params = params,
    .small = "landmarks=8",
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
