/*
 * performer.c - softmax attention by random features (FAVOR+)
 *
 * Computes  y_t = sum_s (phi(q_t) . phi(k_s)) v_s / sum_s phi(q_t) . phi(k_s), over valid s, s <= t when causal, with
 *           softmax: phi(x) = m^-1/2 (exp(w_f . x' - |x'|^2 / 2 - c) + eps), x' = x d^-1/4, f = 1 .. m
 *           relu:    phi(x) = relu(w_f . x) + 1e-3; features = 0: relu(x) + 1e-3
 *           c is the largest w_f . x' of the query; for keys, of all valid keys of the (batch, head)
 * Shapes    x (B, L, D) -> (B, L, D); W (m, d) is state, one a layer, shared by its heads
 * Cost      projections, 4 B L D m for W, 4 B L D m for the sums, and the features (kernel_attention.c; causal there)
 * Step      a state of H m (d + 1) numbers
 * Source    Choromanski et al. 2021, arXiv:2009.14794, lemma 1. Rows of W orthogonal in blocks of d with the norms of
 *           Gaussian rows, c, eps and the relu form: google-research/google-research:
 *           performer/fast_attention/jax/fast_attention.py
 * Departs   W is redrawn every `redraw` training steps (0: never), there by a hash of the queries in each call;
 *           padding has phi(k) = 0; 1e-15 is added to the denominator, there a guard; with causal=1 keys have c = 0,
 *           because a largest value over all keys would look ahead (exp(w . x - |x|^2 / 2) <= exp(|w|^2 / 2));
 *           m^-1/2 is left out, as it cancels (the denominator's small number is m times as large instead)
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "models/kernel_attention.h"
#include "models/performer_features.h"
#include "models/probe.h"

#define RELU_EPS 1e-3
#define DENOMINATOR_EPS 1e-15

struct self {
    int64_t features, orthogonal, redraw, chunk;
    const char *kernel;
    double eps;
};

static const struct sqa_param params[] = {
    {"features", "random features; 0 (relu only): the inputs themselves", SQA_PARAM_INT, "256", 0, 1 << 16,
     .offset = offsetof(struct self, features)},
    {"kernel", "softmax, or relu (generalised attention)", SQA_PARAM_CHOICE, "softmax",
     .offset = offsetof(struct self, kernel), .choices = "softmax|relu"},
    {"orthogonal", "rows of W orthogonal in blocks, else independent", SQA_PARAM_BOOL, "1",
     .offset = offsetof(struct self, orthogonal)},
    {"redraw", "training steps between new W, 0: never", SQA_PARAM_INT, "0", 0, 1e9,
     .offset = offsetof(struct self, redraw)},
    {"eps", "added to every softmax feature", SQA_PARAM_REAL, "1e-6", 0, 1, .offset = offsetof(struct self, eps)},
    {"chunk", "positions of a chunk of the causal form; changes cost, not results", SQA_PARAM_INT, "64", 1, 1 << 16,
     .offset = offsetof(struct self, chunk)},
    {.name = NULL},
};

static bool is_relu(const struct self *s)
{
    return strcmp(s->kernel, "relu") == 0;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)frame, (void)task;
    if (s->features == 0 && !is_relu(s))
        return sqa_fail(err, SQA_USAGE,
                        "performer: features=0 has no softmax kernel; use kernel=relu or features from 1");
    return SQA_OK;
}

/* The mixer */

static struct sqa_tensor *projection(const struct self *s, struct sqa_context *c)
{
    const int64_t dim[2] = {s->features, sqa_head_dim(&c->frame)};
    const struct sqa_init init = {.kind = SQA_INIT_CUSTOM,
                                  .fill = s->orthogonal ? sqa_draw_orthogonal : sqa_draw_independent};
    struct sqa_entry *e = sqa_state_entry(c, "features", init, 2, dim);
    struct sqa_tensor *w = sqa_value(c->g, e);

    if (c->g->training && s->redraw > 0 && w != NULL)
        sqa_assign(c->g, e, sqa_performer_redraw(c->g, w, s->redraw, s->orthogonal != 0));
    return w;
}

static int64_t feature_count(const struct self *s, const struct sqa_context *c)
{
    return s->features > 0 ? s->features : sqa_head_dim(&c->frame);
}

/* m^-1/2 cancels, but for the small number in the denominator. */
static struct sqa_kernel_attention_spec spec_of(const struct self *s, const struct sqa_context *c)
{
    const double d = (double)sqa_head_dim(&c->frame);
    const bool relu = is_relu(s);

    return (struct sqa_kernel_attention_spec){.map = relu ? SQA_MAP_RELU : SQA_MAP_EXP,
                                              .causal = c->frame.causal != 0,
                                              .chunk = s->chunk,
                                              .scale = relu ? 1 : pow(d, -0.25),
                                              .eps = relu ? RELU_EPS : s->eps,
                                              .den_eps = DENOMINATOR_EPS * (relu ? 1 : (double)feature_count(s, c))};
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct sqa_heads h = sqa_project_heads(c, x);
    struct sqa_tensor *w = s->features > 0 ? projection(s, c) : NULL;

    return sqa_merge_heads(c, sqa_kernel_attention(c->g, h.q, h.k, h.v, c->lengths, w, spec_of(s, c)));
}

static struct sqa_tensor *step(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;

    return sqa_merge_heads(c, sqa_kernel_attention_step(c, sqa_project_heads(c, x),
                                                        s->features > 0 ? projection(s, c) : NULL, spec_of(self, c)));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const int64_t H = c->frame.heads, d = sqa_head_dim(&c->frame);
    const struct sqa_kernel_attention_shape shape = {c->batch, c->length,      H, d, feature_count(s, c),
                                                     d,        s->features > 0};

    return sqa_heads_flops(c) + sqa_kernel_attention_flops(shape, spec_of(s, c));
}

/* Identities */

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

enum { B = 2, L = 12, D = 8, H = 2, W = D / H, FEATURES = 24 };

static const int32_t ragged[B] = {L, 7};

/* q = k = v = x, outputs read back unchanged; user: room for W. */
static void open_projections(struct sqa_store *s, void *user)
{
    static const char *const names[] = {"mixer.wq.w", "mixer.wk.w", "mixer.wv.w", "mixer.wo.w"};
    const struct sqa_entry *e = sqa_store_find(s, "mixer.features");

    for (int i = 0; i < 4; i++)
        sqa_probe_set_identity(s, names[i]);
    if (user != NULL && e != NULL)
        sqa_entry_get(s, e, user);
}

/* One sequence by the L x L matrix of weights, without any stabiliser; eps 0. */
static void quadratic(const double *x, const double *w, bool relu, int valid, bool causal, double *y)
{
    double phi_x[L][FEATURES];

    for (int h = 0; h < H; h++) {
        for (int t = 0; t < L; t++)
            for (int f = 0; f < FEATURES; f++) {
                const double *row = x + t * D + h * W, u = dot(w + f * W, row, W);

                phi_x[t][f] =
                    relu ? fmax(u, 0) + RELU_EPS : exp(u * pow(W, -0.25) - dot(row, row, W) / (2 * sqrt(W)));
            }
        for (int t = 0; t < L; t++) {
            const int keys = causal && t + 1 < valid ? t + 1 : valid;
            double sum = 0, o[W] = {0};

            for (int s = 0; s < keys; s++) {
                const double weight = dot(phi_x[t], phi_x[s], FEATURES);

                sum += weight;
                for (int e = 0; e < W; e++)
                    o[e] += weight * x[s * D + h * W + e];
            }
            for (int e = 0; e < W; e++)
                y[t * D + h * W + e] = o[e] / sum;
        }
    }
}

static enum sqa_status equals_quadratic(struct sqa_err *err)
{
    static const char *const items[] = {"performer:features=24,eps=0,chunk=5",
                                        "performer:features=24,kernel=relu,chunk=5"};
    double x[B * L * D], y[B * L * D], expect[L * D], w[FEATURES * W];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (int mode = 0; mode < 4 && status == SQA_OK; mode++) {
        const bool relu = mode & 1, causal = mode & 2;
        const struct sqa_probe p = {.item = items[relu],
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = causal,
                                    .lengths = ragged,
                                    .real = SQA_F64,
                                    .edit = open_projections,
                                    .user = w};

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            quadratic(x + b * L * D, w, relu, ragged[b], causal, expect);
            status = sqa_probe_expect(
                items[relu], sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-10, err);
        }
    }
    return status;
}

/* Mean and mean square error of the kernel estimate m^-1 sum_f exp(w_f.q - |q|^2/2) exp(w_f.k - |k|^2/2) over draws.
 */
static void estimate(bool orthogonal, int64_t m, const double *q, const double *k, int draws, double *mean,
                     double *mse)
{
    double w[64 * D];
    const int64_t dim[2] = {m, D};
    const double shift = (dot(q, q, D) + dot(k, k, D)) / 2, truth = exp(dot(q, k, D));

    *mean = *mse = 0;
    for (int i = 0; i < draws; i++) {
        const uint64_t key = sqa_random_key(11, (uint64_t)i, "performer");
        double sum = 0;

        (orthogonal ? sqa_draw_orthogonal : sqa_draw_independent)(w, 2, dim, key, NULL);
        for (int64_t f = 0; f < m; f++)
            sum += exp(dot(w + f * D, q, D) + dot(w + f * D, k, D) - shift) / (double)m;
        *mean += sum / draws;
        *mse += (sum - truth) * (sum - truth) / draws;
    }
}

static void estimate_inputs(double *q, double *k)
{
    sqa_probe_normal(2, q, D);
    sqa_probe_normal(3, k, D);
    for (int e = 0; e < D; e++) {
        q[e] *= 0.35;
        k[e] = q[e] + 0.1 * k[e];
    }
}

static enum sqa_status unbiased(struct sqa_err *err)
{
    enum { DRAWS = 2000 };
    enum sqa_status status = SQA_OK;
    double q[D], k[D], mean, mse;

    estimate_inputs(q, k);
    for (int orthogonal = 0; orthogonal < 2 && status == SQA_OK; orthogonal++) {
        estimate(orthogonal != 0, 20, q, k, DRAWS, &mean, &mse);
        status = sqa_probe_expect(orthogonal ? "orthogonal features: mean against exp(q.k), in standard errors"
                                             : "independent features: mean against exp(q.k), in standard errors",
                                  fabs(mean - exp(dot(q, k, D))) / sqrt(mse / DRAWS), 4, err);
    }
    return status;
}

static enum sqa_status orthogonal_is_better(struct sqa_err *err)
{
    double q[D], k[D], mean, independent, orthogonal;

    estimate_inputs(q, k);
    estimate(false, D, q, k, 4000, &mean, &independent);
    estimate(true, D, q, k, 4000, &mean, &orthogonal);
    return sqa_probe_expect("square error of orthogonal over independent features", orthogonal / independent, 0.95,
                            err);
}

static enum sqa_status rows_are_orthogonal(struct sqa_err *err)
{
    enum { M = 20 };
    double w[M * D], worst = 0, square = 0;
    const int64_t dim[2] = {M, D};

    sqa_draw_orthogonal(w, 2, dim, 7, NULL);
    for (int i = 0; i < M; i++) {
        square += dot(w + i * D, w + i * D, D) / M;
        for (int j = i / D * D; j < i; j++)
            worst = fmax(worst, fabs(dot(w + i * D, w + j * D, D)));
    }
    if (fabs(square / D - 1) > 0.5)
        return sqa_fail(err, SQA_NO, "performer: rows of W have mean square norm %g; expected near %d", square, D);
    return sqa_probe_expect("products of rows of a block", worst, 1e-13, err);
}

/* Slope of log error against log features, error against softmax attention. Inputs are small: the variance of an
 * estimate grows as exp(|q + k|^2), and far outliers hide the slope. */
static enum sqa_status error_falls(struct sqa_err *err)
{
    static const char *const items[] = {"performer:features=64,eps=0", "performer:features=512,eps=0",
                                        "performer:features=4096,eps=0"};
    enum { SEEDS = 16 };
    double x[L * D], y[L * D], expect[L * D], error[3] = {0}, slope;
    enum sqa_status status;
    struct sqa_probe p = {.batch = 1, .length = L, .dim = D, .heads = H, .real = SQA_F64, .edit = open_projections};

    sqa_probe_normal(4, x, L * D);
    for (int i = 0; i < L * D; i++)
        x[i] *= 0.25;
    p.item = "transformer";
    status = sqa_probe_run(&p, x, expect, err);
    for (int i = 0; i < 3 * SEEDS && status == SQA_OK; i++) {
        p.item = items[i / SEEDS];
        p.seed = (uint64_t)(i % SEEDS);
        status = sqa_probe_run(&p, x, y, err);
        for (int j = 0; j < L * D && status == SQA_OK; j++)
            error[i / SEEDS] += (y[j] - expect[j]) * (y[j] - expect[j]);
    }
    if (status != SQA_OK)
        return status;
    slope = 0.5 * log(error[2] / error[0]) / log(64.0);
    return sqa_probe_expect("slope of log error over log features, less -1/2", fabs(slope + 0.5), 0.15, err);
}

static const struct sqa_identity identities[] = {
    {"equals its quadratic form without a stabiliser, both kernels, causal and padded", equals_quadratic},
    {"the kernel estimate is unbiased", unbiased},
    {"rows of W are orthogonal in blocks", rows_are_orthogonal},
    {"orthogonal features have a smaller square error than independent ones", orthogonal_is_better},
    {"the error against softmax attention falls as features^-1/2", error_falls},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_performer = {
    .id = "performer",
    .slot = SQA_SLOT_MIXER,
    .title = "Performer",
    .source = "Choromanski et al. 2021, arXiv:2009.14794",
    .complexity = "O(L m D) time, O(L D + m D) memory",
    .help =
        "Softmax attention estimated by `features` positive random features, so that sums over keys are taken once; "
        "kernel=relu is the generalised form, which does not estimate softmax. Features and sums stay f32 with "
        "--dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_EQUIVARIANT | SQA_TRAIT_SUM_TO_ONE |
              SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .step = step,
    .flops = flops,
    .identities = identities,
};
