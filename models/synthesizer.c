/*
 * synthesizer.c - attention whose scores are not products of queries and keys
 *
 * Computes  softmax(S) v over valid keys (j <= i when causal), merged by Wo. For each head S is
 *             dense              S_i = W2 relu(W1 x_i + b1) + b2
 *             random             S = R, learned
 *             factorized_dense   S_ij = A_i[j mod a] B_i[j / a], A_i = Wa relu(W1 x_i + b1), B_i = Wb relu(...)
 *             factorized_random  S = R1 R2^T, learned, of rank `rank`
 *             mixture            dense and random together
 *           dot=1 adds q k^T / sqrt(d). Two kinds or more are weighted by a learned softmax, at first equally
 * Shapes    x (B, L, D) -> (B, L, D); R (1, H, max_length, max_length), R1 and R2 (1, max_length, H, rank), W2
 *           (max_length, H, d): cut to L. W1 is D -> (H, d)
 * Cost      projections of values and outputs, and L^2 pairs (L (L + 1) / 2 when causal) of 2 w + 2 d + 5 flops a
 *           head, w the width of what makes their scores. Time is quadratic. Scores of low rank are made tile by
 *           tile as attention makes its own (dense: queries relu(W1 x), keys W2), so dense, factorized_random and
 *           dot hold no L x L matrix. random holds R, (H, L, L), and its gradient; factorized_dense holds S, (B,
 *           H, L, L), and its gradient: their memory is quadratic. A weight in front of R is one more copy of it
 * Source    Tay et al. 2020, arXiv:2005.00743, section 3. Defaults kind and rank:
 *           google-research/long-range-arena: lra_benchmarks/models/synthesizer/synthesizer_attention.py (its
 *           image and Pathfinder runs: random; the paper's rank is 8). form=lra is that code: padding is attended
 *           to unless dot=1; kinds are summed without weights; W2 is shared by the heads, and hidden rows (L, H,
 *           d) are read as (H, L, d), so that score row i of head h comes of position (h L + i) / H
 * Departs   Wa and Wb are shared by the heads; a is `factor`, b = ceil(max_length / a). form=lra has no causal
 *           form (with dense kinds later positions leak there) and no factorized_dense
 */
#include <math.h>
#include <string.h>

#include "engine/ops/support.h"
#include "models/probe.h"

enum { DENSE = 1, RANDOM = 2, FACTORIZED_DENSE = 4, FACTORIZED_RANDOM = 8, DOT = 16, PARTS = 5 };

struct self {
    const char *form, *kind;
    int64_t dot, rank, factor;
};

static const struct sqa_param params[] = {
    {"form", "the paper's definition, or what the LRA code computes", SQA_PARAM_CHOICE, "paper",
     .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {"kind", "what makes the scores; mixture: dense and random", SQA_PARAM_CHOICE, "factorized_random",
     .offset = offsetof(struct self, kind), .choices = "dense|random|factorized_dense|factorized_random|mixture"},
    {"dot", "products of queries and keys as well", SQA_PARAM_BOOL, "0", .offset = offsetof(struct self, dot)},
    {"rank", "rank of factorized_random", SQA_PARAM_INT, "32", 1, 1 << 12, .offset = offsetof(struct self, rank)},
    {"factor", "factorized_dense: width a of the first factor, 0: the root of the greatest length", SQA_PARAM_INT,
     "0", 0, 1 << 20, .offset = offsetof(struct self, factor)},
    {.name = NULL},
};

static bool is_lra(const struct self *s)
{
    return strcmp(s->form, "lra") == 0;
}

static unsigned parts_of(const struct self *s)
{
    static const struct {
        const char *kind;
        unsigned parts;
    } rows[] = {{"dense", DENSE},
                {"random", RANDOM},
                {"factorized_dense", FACTORIZED_DENSE},
                {"factorized_random", FACTORIZED_RANDOM},
                {"mixture", DENSE | RANDOM}};
    unsigned parts = s->dot ? DOT : 0;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        parts |= strcmp(s->kind, rows[i].kind) == 0 ? rows[i].parts : 0;
    return parts;
}

/* Parts before bit `part`. */
static int place_of(unsigned parts, unsigned part)
{
    int place = 0;

    for (unsigned bit = 1; bit < part; bit *= 2)
        place += (parts & bit) != 0;
    return place;
}

static int count_of(unsigned parts)
{
    return place_of(parts, 1u << PARTS);
}

static bool is_weighted(const struct self *s)
{
    return !is_lra(s) && count_of(parts_of(s)) > 1;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)task;
    if (is_lra(s) && frame->causal)
        return sqa_fail(err, SQA_UNSUPPORTED, "synthesizer: form=lra is an encoder's; use causal=0 or form=paper");
    if (is_lra(s) && (parts_of(s) & FACTORIZED_DENSE))
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "synthesizer: the LRA code has no factorized_dense; use form=paper or another kind");
    return SQA_OK;
}

/* Scores A_i[j mod a] B_i[j / a]: first (B, L, H, a), second (B, L, H, b) -> (B, H, L, L). dot: no such thing. */

struct outer_job {
    const struct sqa_node *n;
    const struct sqa_tensor *first, *second, *scores;
    struct sqa_tensor *const *out; /* of the gradient: of first and second */
};

static enum sqa_status outer_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *a = n->in[0], *b = n->in[1];
    char one[96], two[96];

    if (a->rank != 4 || b->rank != 4 || a->dim[0] != b->dim[0] || a->dim[1] != b->dim[1] || a->dim[2] != b->dim[2] ||
        a->dim[3] * b->dim[3] < a->dim[1])
        return sqa_shape_fail(n, err, "%s and %s; give (B, L, H, a) and (B, L, H, b) with a b >= L",
                              sqa_shape_text(a, one), sqa_shape_text(b, two));
    sqa_set_output(n, 0, a->dtype, 4, (const int64_t[]){a->dim[0], a->dim[2], a->dim[1], a->dim[1]});
    return SQA_OK;
}

/* Row i of the scores is position t, head h of the factors. */
static int64_t factor_row(const struct sqa_tensor *scores, int64_t i)
{
    const int64_t L = scores->dim[2], H = scores->dim[1];

    return (i / (H * L) * L + i % L) * H + i / L % H;
}

static void outer_rows(void *ctx, int64_t from, int64_t count, int thread)
{
    const struct outer_job *j = ctx;
    const struct sqa_kernels *k = sqa_kernels_of(j->scores->dtype);
    const int64_t L = j->scores->dim[3], a = j->first->dim[3], b = j->second->dim[3];

    (void)thread;
    for (int64_t i = from; i < from + count; i++) {
        const int64_t row = factor_row(j->scores, i);
        const void *first = sqa_at(sqa_data(j->first), row * a, k->size);
        const void *second = sqa_at(sqa_data(j->second), row * b, k->size);

        for (int64_t u = 0; u * a < L; u++)
            k->affine(sqa_real_get(j->scores->dtype, sqa_at_const(second, u, k->size)), first, 0,
                      sqa_at(sqa_data(j->scores), i * L + u * a, k->size), (size_t)sqa_min64(a, L - u * a));
    }
}

#define DEFINE(T, name)                                                                                        \
    static void name(const T *first, const T *second, const T *ds, int64_t L, int64_t a, int64_t b, T *dfirst, \
                     T *dsecond)                                                                               \
    {                                                                                                          \
        memset(dfirst, 0, (size_t)a * sizeof(T));                                                              \
        memset(dsecond, 0, (size_t)b * sizeof(T));                                                             \
        for (int64_t u = 0; u * a < L; u++) {                                                                  \
            const int64_t n = sqa_min64(a, L - u * a);                                                         \
            T sum = 0;                                                                                         \
                                                                                                               \
            for (int64_t w = 0; w < n; w++) {                                                                  \
                dfirst[w] += second[u] * ds[u * a + w];                                                        \
                sum += first[w] * ds[u * a + w];                                                               \
            }                                                                                                  \
            dsecond[u] = sum;                                                                                  \
        }                                                                                                      \
    }
DEFINE(float, outer_row_f32)
DEFINE(double, outer_row_f64)

static void outer_grad_rows(void *ctx, int64_t from, int64_t count, int thread)
{
    const struct outer_job *j = ctx;
    const size_t size = sqa_dtype_size(j->scores->dtype);
    const int64_t L = j->scores->dim[3], a = j->first->dim[3], b = j->second->dim[3];

    (void)thread;
    for (int64_t i = from; i < from + count; i++) {
        const int64_t row = factor_row(j->scores, i);
        const void *first = sqa_at(sqa_data(j->first), row * a, size);
        const void *second = sqa_at(sqa_data(j->second), row * b, size);
        const void *ds = sqa_at(sqa_data(j->scores), i * L, size);
        void *dfirst = sqa_at(sqa_data(j->out[0]), row * a, size);
        void *dsecond = sqa_at(sqa_data(j->out[1]), row * b, size);

        if (j->scores->dtype == SQA_F64)
            outer_row_f64(first, second, ds, L, a, b, dfirst, dsecond);
        else
            outer_row_f32(first, second, ds, L, a, b, dfirst, dsecond);
    }
}

static void run_rows(const struct sqa_run *r, struct outer_job *j, sqa_chunk_fn *f)
{
    const int64_t L = j->scores->dim[3];

    if (L > 0)
        sqa_chunks(r, sqa_numel(j->scores) / L, sqa_max64(1, SQA_CHUNK / L), (double)sqa_numel(j->scores), f, j);
}

static void outer_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct outer_job j = {n, n->in[0], n->in[1], n->out[0], NULL};

    run_rows(r, &j, outer_rows);
}

static enum sqa_status outer_grad_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, 0, n->in[0]->dtype, 4, n->in[0]->dim);
    sqa_set_output(n, 1, n->in[1]->dtype, 4, n->in[1]->dim);
    return SQA_OK;
}

static void outer_grad_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct outer_job j = {n, n->in[0], n->in[1], n->in[2], n->out};

    run_rows(r, &j, outer_grad_rows);
}

static double outer_grad_flops(const struct sqa_node *n)
{
    return 4 * (double)sqa_numel(n->in[2]);
}

static const struct sqa_op op_outer_grad = {
    .name = "outer_scores_grad",
    .help = "gradients of the two factors of outer_scores",
    .shape = outer_grad_shape,
    .run = outer_grad_run,
    .flops = outer_grad_flops,
};

static void outer_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->in[0], n->in[1], dy[0]};
    struct sqa_tensor *t = dy[0] != NULL ? sqa_apply(g, &op_outer_grad, NULL, 0, 3, in) : NULL;

    for (int i = 0; t != NULL && i < 2; i++)
        dx[i] = t->node->out[i];
}

static const struct sqa_op op_outer = {
    .name = "outer_scores",
    .help = "S_ij = A_i[j mod a] B_i[j / a]",
    .shape = outer_shape,
    .run = outer_run,
    .grad = outer_grad,
    .flops = sqa_flops_out1,
};

/* The mixer */

/* scores = sum q k^T + bias; queries and keys (B or 1, L, H or 1, any) */
struct scores {
    struct sqa_tensor *q[3], *k[3], *bias;
    int n;
};

static void add_product(struct scores *s, struct sqa_tensor *q, struct sqa_tensor *k)
{
    s->q[s->n] = q;
    s->k[s->n++] = k;
}

/* x times the weight of a part. */
static struct sqa_tensor *weighted(const struct self *s, struct sqa_context *c, unsigned part, struct sqa_tensor *x)
{
    const struct sqa_init zero = {.kind = SQA_INIT_ZERO};
    const unsigned parts = parts_of(s);
    struct sqa_tensor *w;

    if (!is_weighted(s))
        return x;
    w = sqa_softmax(c->g, sqa_param_tensor(c, "mix", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(count_of(parts))));
    return sqa_mul(c->g, x, sqa_slice(c->g, w, 0, place_of(parts, part), 1));
}

/* A parameter of the greatest length, its first L rows along the axis. */
static struct sqa_tensor *rows_of(struct sqa_context *c, struct sqa_tensor *t, int axis)
{
    return t == NULL || c->length == c->max_length ? t : sqa_slice(c->g, t, axis, 0, c->length);
}

static struct sqa_init xavier(int64_t in, int64_t out)
{
    const double bound = sqrt(6 / (double)(in + out));

    return (struct sqa_init){.kind = SQA_INIT_UNIFORM, .a = -bound, .b = bound};
}

static struct sqa_tensor *hidden(struct sqa_context *c, struct sqa_tensor *x)
{
    const int64_t H = c->frame.heads, d = c->frame.dim / H;

    x = sqa_dense_layer_act(c, "w1", x, c->frame.dim, c->frame.bias != 0, SQA_UNARY_RELU);
    return sqa_reshape(c->g, x, SQA_DIMS(c->batch, c->length, H, d));
}

static void add_dense(const struct self *s, struct sqa_context *c, struct sqa_tensor *x, struct scores *to)
{
    const struct sqa_init zero = {.kind = SQA_INIT_ZERO};
    const int64_t H = c->frame.heads, d = c->frame.dim / H, heads = is_lra(s) ? 1 : H, most = c->max_length;
    struct sqa_tensor *q = hidden(c, x);
    struct sqa_tensor *k = sqa_param_tensor(c, "w2", SQA_GROUP_REGULAR, xavier(d, most), SQA_DIMS(1, most, heads, d));

    if (is_lra(s))
        q = sqa_transpose(c->g, sqa_reshape(c->g, q, SQA_DIMS(c->batch, H, c->length, d)), 1, 2);
    add_product(to, weighted(s, c, DENSE, q), rows_of(c, k, 1));
    if (c->frame.bias)
        add_product(to, weighted(s, c, DENSE, sqa_fill(c->g, 1, SQA_DIMS(1, 1, 1, 1))),
                    rows_of(c, sqa_param_tensor(c, "b2", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(1, most, heads, 1)), 1));
}

/* The widths a and b of factorized_dense. */
static int64_t first_width(const struct self *s, const struct sqa_context *c)
{
    const double root = ceil(sqrt((double)c->max_length));

    return s->factor > 0 ? s->factor : sqa_max64(1, (int64_t)root);
}

static int64_t second_width(const struct self *s, const struct sqa_context *c)
{
    const int64_t a = first_width(s, c);

    return sqa_max64(1, (c->max_length + a - 1) / a);
}

static struct sqa_tensor *outer_scores(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    struct sqa_tensor *h = hidden(c, x);
    struct sqa_tensor *a = sqa_dense_layer(c, "wa", h, first_width(s, c), c->frame.bias != 0);
    struct sqa_tensor *in[] = {weighted(s, c, FACTORIZED_DENSE, a),
                               sqa_dense_layer(c, "wb", h, second_width(s, c), c->frame.bias != 0)};

    return sqa_ready(c->g, "outer_scores", 2, in) ? sqa_apply(c->g, &op_outer, NULL, 0, 2, in) : NULL;
}

static struct sqa_tensor *random_scores(const struct self *s, struct sqa_context *c)
{
    const struct sqa_init init = {.kind = SQA_INIT_XAVIER};
    const int64_t most = c->max_length;
    struct sqa_tensor *r =
        sqa_param_tensor(c, "random", SQA_GROUP_REGULAR, init, SQA_DIMS(1, c->frame.heads, most, most));

    return weighted(s, c, RANDOM, rows_of(c, rows_of(c, r, 2), 3));
}

static void add_factors(const struct self *s, struct sqa_context *c, struct scores *to)
{
    const struct sqa_init init = xavier(c->max_length, s->rank);
    struct sqa_tensor *r[2];

    for (int i = 0; i < 2; i++)
        r[i] = sqa_param_tensor(c, i == 0 ? "random1" : "random2", SQA_GROUP_REGULAR, init,
                                SQA_DIMS(1, c->max_length, c->frame.heads, s->rank));
    add_product(to, weighted(s, c, FACTORIZED_RANDOM, rows_of(c, r[0], 1)), rows_of(c, r[1], 1));
}

static struct sqa_tensor *heads_of(struct sqa_context *c, const char *name, struct sqa_tensor *x)
{
    x = sqa_dense_layer(c, name, x, c->frame.dim, c->frame.bias != 0);
    return sqa_reshape(c->g, x, SQA_DIMS(c->batch, c->length, c->frame.heads, c->frame.dim / c->frame.heads));
}

static void add_dot(const struct self *s, struct sqa_context *c, struct sqa_tensor *x, struct scores *to)
{
    struct sqa_tensor *q = heads_of(c, "wq", x), *k = heads_of(c, "wk", x);

    q = sqa_affine(c->g, 1 / sqrt((double)(c->frame.dim / c->frame.heads)), q, 0);
    add_product(to, weighted(s, c, DOT, q), k);
}

/* Side by side (B, L, H, sum of widths); rows of a batch that are all equal are made once. */
static struct sqa_tensor *side_by_side(struct sqa_context *c, int n, struct sqa_tensor **x)
{
    const int64_t L = c->length, H = c->frame.heads;
    int64_t batch = 1;

    for (int i = 0; i < n; i++) {
        if (x[i] == NULL)
            return NULL;
        batch = sqa_max64(batch, x[i]->dim[0]);
    }
    if (n == 0)
        return sqa_broadcast(c->g, sqa_fill(c->g, 0, SQA_DIMS(1, 1, 1, 1)), SQA_DIMS(c->batch, L, H, 1));
    for (int i = 0; i < n && n > 1; i++)
        x[i] = sqa_broadcast(c->g, x[i], SQA_DIMS(batch, L, H, x[i]->dim[3]));
    x[0] = n > 1 ? sqa_concat(c->g, 3, n, x) : x[0];
    return x[0] == NULL ? NULL : sqa_broadcast(c->g, x[0], SQA_DIMS(c->batch, L, H, x[0]->dim[3]));
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const unsigned parts = parts_of(s);
    struct scores all = {.n = 0};
    struct sqa_tensor *q, *k, *v = heads_of(c, "wv", x);
    struct sqa_attention_masks masks = {.lengths = is_lra(s) && !s->dot ? NULL : c->lengths};

    if (parts & DENSE)
        add_dense(s, c, x, &all);
    if (parts & FACTORIZED_RANDOM)
        add_factors(s, c, &all);
    if (parts & DOT)
        add_dot(s, c, x, &all);
    if (parts & FACTORIZED_DENSE)
        masks.bias = outer_scores(s, c, x);
    if (parts & RANDOM)
        masks.bias = random_scores(s, c);
    q = side_by_side(c, all.n, all.q);
    k = side_by_side(c, all.n, all.k);
    return sqa_merge_heads(c,
                           sqa_attention_masked(c->g, q, k, v, masks,
                                                (struct sqa_attention_spec){.scale = 1,
                                                                            .causal = c->frame.causal != 0,
                                                                            .dropout = c->frame.attention_dropout}));
}

/* What the parts cost, their numbers times weights included, and the width of their products. */
static double parts_flops(const struct self *s, const struct sqa_context *c, int64_t *width)
{
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim, H = (double)c->frame.heads;
    const double bias = c->frame.bias ? 1 : 0, weigh = is_weighted(s) ? 1 : 0;
    const double layer = B * L * D * (2 * D + bias);
    const double a = (double)first_width(s, c), b = (double)second_width(s, c);
    const unsigned parts = parts_of(s);
    const int64_t d = c->frame.dim / c->frame.heads;
    double sum = weigh * 5 * count_of(parts) * count_of(parts);

    *width = 0;
    if (parts & (DENSE | FACTORIZED_DENSE))
        sum += layer + B * L * D;
    if (parts & DENSE) {
        sum += weigh * (B * L * D + bias);
        sum += bias * weigh * 5 * count_of(parts);
        *width += d + c->frame.bias;
    }
    if (parts & FACTORIZED_DENSE)
        sum += B * L * ((a + b) * (2 * D + bias * H) + weigh * H * a) + B * H * L * L;
    if (parts & FACTORIZED_RANDOM) {
        sum += weigh * L * H * (double)s->rank;
        *width += s->rank;
    }
    if (parts & RANDOM)
        sum += weigh * H * L * L;
    if (parts & DOT) {
        sum += 2 * layer + (2 + weigh) * B * L * D;
        *width += d;
    }
    *width = sqa_max64(1, *width);
    return sum;
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double L = (double)c->length, pairs = c->frame.causal ? L * (L + 1) / 2 : L * L;
    const double H = (double)c->frame.heads, biased = parts_of(s) & (RANDOM | FACTORIZED_DENSE) ? 6 : 5;
    int64_t width;
    const double parts = parts_flops(s, c, &width);

    return sqa_heads_flops(c) / 2 + parts +
           (double)c->batch * pairs * (2 * H * (double)width + 2 * (double)c->frame.dim + biased * H);
}

/* Identities */

enum { B = 2, L = 7, D = 8, H = 2, W = D / H, A = 3, RANK = 3 };

static const int32_t ragged[B] = {L, 4};

/* Weights by chance; values and outputs are the inputs, read back unchanged. */
struct weights {
    double w1[D * D], w2[L * H * W], b2[L * H], random[H * L * L], wa[W * A], wb[W * A], r1[L * H * RANK],
        r2[L * H * RANK];
};

static void draw(struct weights *w)
{
    sqa_probe_normal(20, w->w1, D * D);
    sqa_probe_normal(21, w->w2, L * H * W);
    sqa_probe_normal(22, w->b2, L * H);
    sqa_probe_normal(23, w->random, H * L * L);
    sqa_probe_normal(24, w->wa, W * A);
    sqa_probe_normal(25, w->wb, W * A);
    sqa_probe_normal(26, w->r1, L * H * RANK);
    sqa_probe_normal(27, w->r2, L * H * RANK);
}

static void set_weights(struct sqa_store *s, void *user)
{
    const struct weights *w = user;

    sqa_probe_set_identity(s, "mixer.wv.w");
    sqa_probe_set_identity(s, "mixer.wo.w");
    sqa_probe_set(s, "mixer.w1.w", w->w1);
    sqa_probe_set(s, "mixer.w2", w->w2);
    sqa_probe_set(s, "mixer.b2", w->b2);
    sqa_probe_set(s, "mixer.random", w->random);
    sqa_probe_set(s, "mixer.wa.w", w->wa);
    sqa_probe_set(s, "mixer.wb.w", w->wb);
    sqa_probe_set(s, "mixer.random1", w->r1);
    sqa_probe_set(s, "mixer.random2", w->r2);
}

static struct sqa_probe probe_of(const char *item, struct weights *w)
{
    return (struct sqa_probe){.item = item,
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = H,
                              .seed = 3,
                              .real = SQA_F64,
                              .edit = w != NULL ? set_weights : NULL,
                              .user = w};
}

/* relu(W1 x) of a row (L, H), dot b of width n with stride 1. */
static double hidden_dot(const struct weights *w, const double *x, int row, const double *b, int stride)
{
    double sum = 0;

    for (int e = 0; e < W; e++) {
        double u = 0;

        for (int i = 0; i < D; i++)
            u += x[row / H * D + i] * w->w1[i * D + row % H * W + e];
        sum += fmax(u, 0) * b[e * stride];
    }
    return sum;
}

/* Score of query i and key j; row: which of the (L, H) hidden rows the query has; lra: W2 of L rows. */
static double score(const struct weights *w, const double *x, unsigned part, bool lra, int h, int i, int j)
{
    const int row = lra ? h * L + i : i * H + h, key = lra ? j : j * H + h;
    double sum = 0;

    if (part == DENSE)
        return hidden_dot(w, x, row, w->w2 + key * W, 1) + w->b2[key];
    if (part == RANDOM)
        return w->random[(h * L + i) * L + j];
    if (part == FACTORIZED_DENSE)
        return hidden_dot(w, x, row, w->wa + j % A, A) * hidden_dot(w, x, row, w->wb + j / A, A);
    for (int e = 0; e < RANK; e++)
        sum += w->r1[(i * H + h) * RANK + e] * w->r2[(j * H + h) * RANK + e];
    return sum;
}

static void by_definition(const struct weights *w, const double *x, unsigned parts, bool lra, int keys, double *y)
{
    const double alpha = lra ? 1 : 1 / (double)count_of(parts);

    memset(y, 0, L * D * sizeof *y);
    for (int h = 0; h < H; h++)
        for (int i = 0; i < L; i++) {
            double p[L], sum = 0;

            for (int j = 0; j < keys; j++) {
                double s = 0;

                for (unsigned part = 1; part < DOT; part *= 2)
                    s += parts & part ? alpha * score(w, x, part, lra, h, i, j) : 0;
                p[j] = exp(s);
                sum += p[j];
            }
            for (int j = 0; j < keys; j++)
                for (int e = h * W; e < (h + 1) * W; e++)
                    y[i * D + e] += p[j] / sum * x[j * D + e];
        }
}

static enum sqa_status definitions(struct sqa_err *err)
{
    static const struct {
        const char *item;
        unsigned parts;
        bool lra;
    } rows[] = {{"synthesizer:kind=dense", DENSE, false},
                {"synthesizer:kind=random", RANDOM, false},
                {"synthesizer:kind=factorized_dense,factor=3", FACTORIZED_DENSE, false},
                {"synthesizer:kind=factorized_random,rank=3", FACTORIZED_RANDOM, false},
                {"synthesizer:kind=mixture", DENSE | RANDOM, false},
                {"synthesizer:kind=dense,form=lra", DENSE, true},
                {"synthesizer:kind=mixture,form=lra", DENSE | RANDOM, true}};
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;
    struct weights w;

    draw(&w);
    sqa_probe_normal(1, x, B * L * D);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && status == SQA_OK; i++) {
        struct sqa_probe p = probe_of(rows[i].item, &w);

        p.lengths = ragged;
        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            by_definition(&w, x + b * L * D, rows[i].parts, rows[i].lra, rows[i].lra ? L : ragged[b], expect);
            status = sqa_probe_expect(
                rows[i].item, sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-12, err);
        }
    }
    return status;
}

static enum sqa_status scores_of_zero(struct sqa_err *err)
{
    static const char *const items[] = {"synthesizer:kind=random", "synthesizer:kind=dense",
                                        "synthesizer:kind=factorized_dense,factor=3",
                                        "synthesizer:kind=factorized_random,rank=3"};
    static struct weights zero;
    double x[B * L * D], y[B * L * D], mean[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (size_t i = 0; i < sizeof items / sizeof *items && status == SQA_OK; i++) {
        struct sqa_probe p = probe_of(items[i], &zero);

        p.lengths = ragged;
        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            memset(mean, 0, sizeof mean);
            for (int k = 0; k < L * ragged[b] * D; k++)
                mean[k / (ragged[b] * D) * D + k % D] += x[b * L * D + k % (ragged[b] * D)] / ragged[b];
            status = sqa_probe_expect(items[i], sqa_probe_difference(y + b * L * D, mean, (size_t)(ragged[b] * D)),
                                      1e-13, err);
        }
    }
    return status;
}

/* The weights are the same for every input: y(x + z) = y(x) + y(z). */
static enum sqa_status random_is_linear(struct sqa_err *err)
{
    static const char *const items[] = {"synthesizer:kind=random", "synthesizer:kind=factorized_random,rank=3"};
    double x[B * L * D], z[B * L * D], both[B * L * D], y[3][B * L * D];
    enum sqa_status status = SQA_OK;
    struct weights w;

    draw(&w);
    sqa_probe_normal(1, x, B * L * D);
    sqa_probe_normal(2, z, B * L * D);
    for (int i = 0; i < B * L * D; i++)
        both[i] = x[i] + z[i];
    for (int i = 0; i < 2 && status == SQA_OK; i++) {
        const struct sqa_probe p = probe_of(items[i], &w);
        const double *in[] = {x, z, both};

        for (int k = 0; k < 3 && status == SQA_OK; k++)
            status = sqa_probe_run(&p, in[k], y[k], err);
        for (int k = 0; k < B * L * D; k++)
            y[0][k] += y[1][k];
        if (status == SQA_OK)
            status = sqa_probe_expect(items[i], sqa_probe_difference(y[0], y[2], B * L * D), 1e-13, err);
    }
    return status;
}

/* R becomes R1 R2^T. */
static enum sqa_status factors_are_random(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[B * L * D];
    enum sqa_status status;
    struct weights w;
    struct sqa_probe p = probe_of("synthesizer:kind=factorized_random,rank=3", &w);

    draw(&w);
    for (int i = 0; i < H * L * L; i++)
        w.random[i] = score(&w, NULL, FACTORIZED_RANDOM, false, i / (L * L), i / L % L, i % L);
    sqa_probe_normal(1, x, B * L * D);
    p.causal = true;
    status = sqa_probe_run(&p, x, y, err);
    p.item = "synthesizer:kind=random";
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, expect, err);
    return status == SQA_OK
               ? sqa_probe_expect("factors against R", sqa_probe_difference(y, expect, B * L * D), 1e-13, err)
               : status;
}

static void only_products(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set(s, "mixer.mix", (const double[]){-1e4, 0});
}

static enum sqa_status products_alone(struct sqa_err *err)
{
    static const char *const items[] = {"synthesizer:kind=random,dot=1", "synthesizer:kind=dense,dot=1",
                                        "synthesizer:kind=factorized_dense,dot=1", "synthesizer:dot=1"};
    double x[B * L * D], y[B * L * D], expect[B * L * D];
    struct sqa_probe p = probe_of("transformer", NULL);
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    p.lengths = ragged;
    p.edit = only_products;
    for (int i = 0; i < 8 && status == SQA_OK; i++) {
        p.causal = i % 2 != 0;
        p.item = "transformer";
        status = sqa_probe_run(&p, x, expect, err);
        p.item = items[i / 2];
        if (status == SQA_OK)
            status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++)
            status = sqa_probe_expect(
                p.item, sqa_probe_difference(y + b * L * D, expect + b * L * D, (size_t)(ragged[b] * D)), 1e-13, err);
    }
    return status;
}

static const struct sqa_identity identities[] = {
    {"every kind: its definition, L x L at a time", definitions},
    {"scores of zero: the mean of the values", scores_of_zero},
    {"random: weights do not depend on the input", random_is_linear},
    {"factorized_random: random with R = R1 R2", factors_are_random},
    {"a mixture with all weight on products: softmax attention", products_alone},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_synthesizer = {
    .id = "synthesizer",
    .slot = SQA_SLOT_MIXER,
    .title = "Synthesizer",
    .source = "Tay et al. 2020, arXiv:2005.00743, section 3",
    .complexity = "O(L^2 D) time; O(L D) memory, random H L^2, factorized_dense B H L^2",
    .help = "Attention weights that are learned, or made from the query's position alone, instead of products of "
            "queries and keys. All kinds are tied to positions: they are made for the task's greatest length. "
            "kind=random and factorized_dense hold L x L matrices; the others compute theirs tile by tile.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_SUM_TO_ONE,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
