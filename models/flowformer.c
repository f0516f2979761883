/*
 * flowformer.c - attention as a flow that is conserved: queries are sinks, keys are sources
 *
 * Computes  with e = 1e-6, phi = sigmoid, S positions, I_i = (phi q_i + e) . (sum_j phi k_j + e), O_j = (phi k_j + e)
 *           . (sum_i phi q_i + e): y_i = sigmoid(I'_i) (phi q_i / I_i) sum_j phi k_j (S softmax_j(O'_j) v_j)^T, where
 *           I'_i = (phi q_i + e) . (sum_j phi k_j / O_j + e), O'_j = (phi k_j + e) . (sum_i phi q_i / I_i + e) held
 *           within -1 and 1; all over valid positions.
 *           causal: sums up to the position, n_t = t + 1 of them; 1 / I and 1 / O times n in the sums of I' and O',
 *           those over n; competition exp(O'_t) / sum_{s <= t} exp(O'_s) times n_t
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, d); flows (B, H, L)
 * Cost      projections; flows 14 B L Q, Q = H d; values and outputs scaled 2 B L Q; kernel_attention.c with d
 *           features; causal: 29 B L Q for all but that
 * Step      Q (d + 1) numbers of kernel_attention.c, 4 Q of the flows, H of the competition and the time
 * Source    Wu et al. 2022, arXiv:2202.06258, equations (4) to (9); code thuml/Flowformer, Flow_Attention.py.
 *           form=lra: its Flowformer_LRA/lra_benchmarks/models/flowformer/flow_attention.py: phi = relu + 1e-6, O' is
 *           not held, padding counts, and the softmax runs over heads, not over positions
 * Departs   the last division is by phi q . sum phi k + e (there by I, which has e in each factor). phi q and phi k
 *           are 0 at padding (there is no mask there). No dropout of outputs (there 0.05)
 */
#include <math.h>
#include <string.h>

#include "models/flow.h"
#include "models/kernel_attention.h"
#include "models/probe.h"
#include "models/step.h"

#define EPS 1e-6

struct self {
    int64_t chunk;
    const char *form;
};

static const struct sqa_param params[] = {
    {"chunk", "positions of a chunk of the causal form; changes cost, not results", SQA_PARAM_INT, "64", 1, 1 << 16,
     .offset = offsetof(struct self, chunk)},
    {"form", "paper, or lra: what its code for Long Range Arena computes", SQA_PARAM_CHOICE, "paper",
     .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {.name = NULL},
};

static bool is_lra(const struct self *s)
{
    return strcmp(s->form, "lra") == 0;
}

static bool padded(const void *self)
{
    return is_lra(self);
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)task;
    if (frame->causal && is_lra(self))
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "flowformer: its code for Long Range Arena has no causal form; use form=paper or causal=0");
    return SQA_OK;
}

static struct sqa_tensor *phi(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    return is_lra(s) ? sqa_affine(c->g, 1, sqa_unary(c->g, SQA_UNARY_RELU, x), EPS)
                     : sqa_unary(c->g, SQA_UNARY_SIGMOID, x);
}

/* x held within -1 and 1 */
static struct sqa_tensor *hold(struct sqa_context *c, struct sqa_tensor *x)
{
    for (int i = 0; i < 2; i++)
        x = sqa_unary(c->g, SQA_UNARY_NEG, sqa_binary(c->g, SQA_BINARY_MAX, x, sqa_fill(c->g, -1, 0, NULL)));
    return x;
}

/* What values and outputs are multiplied by: (B, L, H, 1) */
struct weights {
    struct sqa_tensor *values, *outputs;
};

/* As many numbers as positions, summing to their count: a softmax of O' (B, H, L) over valid positions */
static struct sqa_tensor *competition(struct sqa_context *c, struct sqa_tensor *out)
{
    const int64_t B = c->batch, H = c->frame.heads, L = c->length;
    struct sqa_tensor *count;

    out = sqa_reshape(c->g, hold(c, out), SQA_DIMS(B, H, 1, L));
    out = sqa_masked_softmax(c->g, out, c->lengths, 1, false);
    if (c->lengths == NULL)
        return sqa_affine(c->g, (double)L, out, 0);
    count = sqa_sum(c->g, sqa_mask_rows(c->g, sqa_fill(c->g, 1, SQA_DIMS(B, L)), c->lengths), 1u << 1, false);
    return sqa_mul(c->g, out, sqa_reshape(c->g, count, SQA_DIMS(B, 1, 1, 1)));
}

static struct sqa_tensor *positions_first(struct sqa_context *c, struct sqa_tensor *x)
{
    x = sqa_transpose(c->g, sqa_reshape(c->g, x, SQA_DIMS(c->batch, c->frame.heads, c->length)), 1, 2);
    return sqa_reshape(c->g, sqa_dense(c->g, x), SQA_DIMS(c->batch, c->length, c->frame.heads, 1));
}

static struct weights whole(const struct self *s, struct sqa_context *c, struct sqa_heads h)
{
    struct sqa_tensor *in, *out, *weights;

    sqa_flow(c->g, h.q, h.k, is_lra(s) ? NULL : c->lengths, EPS, &in, &out);
    in = sqa_unary(c->g, SQA_UNARY_SIGMOID, in);
    if (is_lra(s)) {
        weights = sqa_affine(c->g, (double)c->length, sqa_softmax(c->g, sqa_transpose(c->g, out, 1, 2)), 0);
        weights = sqa_reshape(c->g, weights, SQA_DIMS(c->batch, c->length, c->frame.heads, 1));
    } else {
        weights = positions_first(c, competition(c, out));
    }
    return (struct weights){weights, positions_first(c, in)};
}

/* (a + e) . (cumulative sum of b + e) of every head: (B, L, H, 1) */
static struct sqa_tensor *flow_up_to(struct sqa_context *c, const char *name, struct sqa_tensor *a,
                                     struct sqa_tensor *b)
{
    b = sqa_affine(c->g, 1, sqa_running_sum(c, name, b), EPS);
    return sqa_sum(c->g, sqa_mul(c->g, a, b), 1u << 3, true);
}

static struct weights cumulative(struct sqa_context *c, struct sqa_heads h)
{
    struct sqa_tensor *q = sqa_affine(c->g, 1, h.q, EPS), *k = sqa_affine(c->g, 1, h.k, EPS), *in, *out;
    struct sqa_tensor *n = sqa_position_numbers(c);

    in = sqa_div(c->g, n, flow_up_to(c, "k", q, h.k));
    out = sqa_div(c->g, n, flow_up_to(c, "q", k, h.q));
    out = flow_up_to(c, "k_out", q, sqa_mul(c->g, h.k, out)); /* I' n */
    in = flow_up_to(c, "q_in", k, sqa_mul(c->g, h.q, in));    /* O' n */
    in = sqa_unary(c->g, SQA_UNARY_EXP, hold(c, sqa_div(c->g, in, n)));
    in = sqa_mul(c->g, sqa_div(c->g, in, sqa_running_sum(c, "competition", in)), n);
    return (struct weights){in, sqa_unary(c->g, SQA_UNARY_SIGMOID, sqa_div(c->g, out, n))};
}

static struct sqa_kernel_attention_spec spec_of(const struct self *s, const struct sqa_context *c)
{
    return (struct sqa_kernel_attention_spec){
        .map = SQA_MAP_NONE, .causal = c->frame.causal != 0, .chunk = s->chunk, .scale = 1, .den_eps = EPS};
}

/* With c->position the step form. */
static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct sqa_heads p = sqa_project_heads(c, x);
    struct sqa_heads h = {phi(s, c, p.q), phi(s, c, p.k), p.v};
    const struct weights w = c->frame.causal ? cumulative(c, h) : whole(s, c, h);

    h.v = sqa_mul(c->g, h.v, w.values);
    struct sqa_tensor *o =
        c->position ? sqa_kernel_attention_step(c, h, NULL, spec_of(s, c))
                    : sqa_kernel_attention(c->g, h.q, h.k, h.v, is_lra(s) ? NULL : c->lengths, NULL, spec_of(s, c));

    return sqa_merge_heads(c, sqa_mul(c->g, o, w.outputs));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const int64_t d = sqa_head_dim(&c->frame);
    const struct sqa_kernel_attention_shape shape = {c->batch, c->length, c->frame.heads, d, d, d, false};
    const double rows = (double)(c->batch * c->length), Q = (double)sqa_qkv_width(&c->frame);
    const double H = (double)c->frame.heads;
    const double both = sqa_heads_flops(c) + rows * 4 * Q + sqa_kernel_attention_flops(shape, spec_of(s, c));

    if (c->frame.causal)
        return both + rows * (26 * Q + 13 * H) + (double)c->length;
    if (is_lra(s))
        return both + sqa_flow_flops(c->batch, c->length, c->frame.heads, d) + rows * (4 * Q + 8 * H);
    return both + sqa_flow_flops(c->batch, c->length, c->frame.heads, d) + rows * 11 * H +
           (c->lengths != NULL ? rows : rows * H);
}

/* Identities */

enum { B = 2, L = 11, D = 8, H = 2, W = D / H };

static const int32_t ragged[B] = {L, 7};

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double dot(const double *a, const double *b, int n, double eps)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += (a[i] + eps) * (b[i] + eps);
    return sum;
}

static void add(double times, const double *x, double *to)
{
    for (int e = 0; e < W; e++)
        to[e] += times * x[e];
}

/* Flows of one head of n positions, features f (n, D): I, O, I', O', with e = eps */
struct flows {
    double in[L], out[L], in2[L], out2[L];
};

static void flows_of(const double *f, int n, double eps, struct flows *w)
{
    double sum[W] = {0}, sunk[W] = {0}, sourced[W] = {0};

    for (int t = 0; t < n; t++)
        add(1, f + t * D, sum);
    for (int t = 0; t < n; t++) {
        w->in[t] = w->out[t] = dot(f + t * D, sum, W, eps);
        add(1 / w->out[t], f + t * D, sourced);
        add(1 / w->in[t], f + t * D, sunk);
    }
    for (int t = 0; t < n; t++) {
        w->in2[t] = dot(f + t * D, sourced, W, eps);
        w->out2[t] = dot(f + t * D, sunk, W, eps);
    }
}

/* One sequence of n positions with q = k = v = x; lra: the other features, and a softmax over heads */
static void reference(const double *x, int n, bool lra, double *y)
{
    struct flows w[H];
    double f[L * D];

    for (int i = 0; i < n * D; i++)
        f[i] = lra ? fmax(x[i], 0) + EPS : sigmoid(x[i]);
    for (int h = 0; h < H; h++)
        flows_of(f + h * W, n, EPS, &w[h]);
    for (int h = 0; h < H; h++) {
        double compete[L], sum = 0;

        for (int t = 0; t < n; t++)
            sum += exp(fmax(-1, fmin(1, w[h].out2[t])));
        for (int t = 0; t < n; t++) {
            double over_heads = 0;

            for (int g = 0; g < H; g++)
                over_heads += exp(w[g].out2[t]);
            compete[t] = n * (lra ? exp(w[h].out2[t]) / over_heads : exp(fmax(-1, fmin(1, w[h].out2[t]))) / sum);
        }
        for (int t = 0; t < n; t++) {
            double o[W] = {0}, den = EPS;

            for (int s = 0; s < n; s++) {
                const double weight = dot(f + t * D + h * W, f + s * D + h * W, W, 0);

                den += weight;
                add(weight * compete[s], x + s * D + h * W, o);
            }
            for (int e = 0; e < W; e++)
                y[t * D + h * W + e] = sigmoid(w[h].in2[t]) * o[e] / den;
        }
    }
}

static void identity_weights(struct sqa_store *s, void *user)
{
    static const char *const names[] = {"mixer.wq.w", "mixer.wk.w", "mixer.wv.w", "mixer.wo.w"};

    (void)user;
    for (int i = 0; i < 4; i++)
        sqa_probe_set_identity(s, names[i]);
}

static struct sqa_probe probe_of(const char *item, bool causal)
{
    return (struct sqa_probe){.item = item,
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = H,
                              .causal = causal,
                              .lengths = ragged,
                              .real = SQA_F64,
                              .edit = identity_weights};
}

static enum sqa_status equals_reference(struct sqa_err *err)
{
    static const char *const items[] = {"flowformer", "flowformer:form=lra"};
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (int lra = 0; lra < 2 && status == SQA_OK; lra++) {
        const struct sqa_probe p = probe_of(items[lra], false);

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            const int n = lra ? L : ragged[b];

            reference(x + b * L * D, n, lra != 0, expect);
            status = sqa_probe_expect(
                items[lra], sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-12, err);
        }
    }
    return status;
}

/* One causal sequence with q = k = v = x, position by position */
static void recurrent(const double *x, double *y)
{
    for (int h = 0; h < H; h++) {
        double sum[W] = {0}, sunk[W] = {0}, sourced[W] = {0}, state[W][W] = {{0}}, raised = 0;

        for (int t = 0; t < L; t++) {
            const double *v = x + t * D + h * W, n = t + 1;
            double f[W], o[W] = {0}, flow, compete, allocate, den = EPS;

            for (int e = 0; e < W; e++)
                f[e] = sigmoid(v[e]);
            add(1, f, sum);
            flow = dot(f, sum, W, EPS); /* I = O, as q = k */
            add(n / flow, f, sourced);
            add(n / flow, f, sunk);
            compete = exp(fmax(-1, fmin(1, dot(f, sunk, W, EPS) / n)));
            raised += compete;
            compete *= n / raised;
            allocate = sigmoid(dot(f, sourced, W, EPS) / n);
            for (int i = 0; i < W; i++) {
                add(f[i] * compete, v, state[i]);
                add(f[i], state[i], o);
                den += f[i] * sum[i];
            }
            for (int e = 0; e < W; e++)
                y[t * D + h * W + e] = allocate * o[e] / den;
        }
    }
}

static enum sqa_status equals_recurrence(struct sqa_err *err)
{
    static const char *const items[] = {"flowformer", "flowformer:chunk=1", "flowformer:chunk=4"};
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(2, x, B * L * D);
    for (int i = 0; i < 3 && status == SQA_OK; i++) {
        const struct sqa_probe p = probe_of(items[i], true);

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            recurrent(x + b * L * D, expect);
            status = sqa_probe_expect(items[i], sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)),
                                      1e-12, err);
        }
    }
    return status;
}

/* With e = 0 what comes in and what goes out again sum to the number of positions. */
static enum sqa_status flow_is_conserved(struct sqa_err *err)
{
    double f[L * D], in = 0, out = 0;
    struct flows w;

    sqa_probe_normal(3, f, L * D);
    for (int i = 0; i < L * D; i++)
        f[i] = sigmoid(f[i]);
    flows_of(f, L, 0, &w);
    for (int t = 0; t < L; t++) {
        in += w.in2[t] / L;
        out += w.out2[t] / L;
    }
    return sqa_probe_expect("sums of I' and O' over the length, less 1", fmax(fabs(in - 1), fabs(out - 1)), 1e-12,
                            err);
}

static void constant_keys(struct sqa_store *s, void *user)
{
    identity_weights(s, user);
    sqa_probe_set_constant(s, "mixer.wk.w", 0);
}

/* Keys alike: O' is the same everywhere and all values weigh the same, so y is the mean of the values, allocated. */
static enum sqa_status equal_keys(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], worst = 0;
    struct sqa_probe p = probe_of("flowformer", false);
    enum sqa_status status;

    sqa_probe_normal(4, x, B * L * D);
    p.edit = constant_keys;
    status = sqa_probe_run(&p, x, y, err);
    for (int i = 0; i < B * D && status == SQA_OK; i++) {
        const int b = i / D, e = i % D;
        double mean = 0, f[W], in2 = 0;

        for (int t = 0; t < ragged[b]; t++)
            mean += x[(b * L + t) * D + e] / ragged[b];
        for (int t = 0; t < ragged[b]; t++) {
            double all = 0, own = 0;

            for (int s = 0; s < ragged[b]; s++)
                for (int c = 0; c < W; c++)
                    all += sigmoid(x[(b * L + s) * D + e / W * W + c]) * 0.5;
            for (int c = 0; c < W; c++) {
                f[c] = sigmoid(x[(b * L + t) * D + e / W * W + c]);
                own += f[c];
            }
            in2 = own * 0.5 * ragged[b] / all;
            worst = fmax(worst, fabs(y[(b * L + t) * D + e] - sigmoid(in2) * mean));
        }
    }
    return status == SQA_OK ? sqa_probe_expect("flowformer with equal keys", worst, 1e-5, err) : status;
}

static const struct sqa_identity identities[] = {
    {"equals its equations written out, padded; form=lra those of its code", equals_reference},
    {"causal: equals the recurrence, any chunk", equals_recurrence},
    {"flows are conserved", flow_is_conserved},
    {"equal keys: the mean of the values, allocated", equal_keys},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_flowformer = {
    .id = "flowformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Flowformer",
    .source = "Wu et al. 2022, arXiv:2202.06258, equations (4) to (9)",
    .complexity = "O(L d D) time, O(L D) memory",
    .help =
        "Linear attention with positive features where the flow out of each key and into each query is conserved: "
        "keys compete for it by a softmax over positions, and a gate on outputs says how much arrives. Features "
        "and sums stay f32 with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_EQUIVARIANT | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .padded = padded,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
