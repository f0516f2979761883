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
 *           head, w the width of what makes their scores. Time is quadratic. Scores of low rank are made tile by tile
 *           as attention makes its own (dense: queries relu(W1 x), keys W2), so dense, factorized_random and dot hold
 *           no L x L matrix. random holds R, (H, L, L), and its gradient; factorized_dense holds S, (B, H, L, L), and
 *           its gradient: their memory is quadratic. A weight in front of R is one more copy of it. random and
 *           factorized_random alone have the same weights in every row of the batch: made once (shared_attention.h),
 *           2 w + 5 flops a pair and head for all rows, unless attention weights are dropped, which differs by row
 * Source    Tay et al. 2020, arXiv:2005.00743, section 3. Defaults kind and rank: google-research/long-range-arena:
 *           lra_benchmarks/models/synthesizer/synthesizer_attention.py (the paper's rank is 8). form=lra is that code
 *           as its encoder calls it, with a random matrix and the product of queries and keys: kinds are summed
 *           without weights; padding is attended to with dot=0; where it stands anywhere (holes.h) and dot=1 its
 *           queries get the mean of all values; W2 is shared by the heads, and hidden rows (L, H, d) are read as
 *           (H, L, d), so that score row i of head h comes of position (h L + i) / H
 * Departs   Wa and Wb are shared by the heads; a is `factor`, b = ceil(max_length / a). form=lra has no causal form
 *           (with dense kinds later positions leak there) and no factorized_dense
 */
#include <math.h>
#include <string.h>

#include "engine/ops/support.h"
#include "models/holes.h"
#include "models/shared_attention.h"
#include "models/synthesizer.h"

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

static const struct sqa_default lra_defaults[] = {{"kind", "random"}, {"dot", "1"}, {NULL, NULL}};

static bool is_lra(const void *self)
{
    return strcmp(((const struct self *)self)->form, "lra") == 0;
}

static bool padded(const void *self)
{
    return is_lra(self) && !((const struct self *)self)->dot;
}

static unsigned parts_of(const struct self *s)
{
    static const struct {
        const char *kind;
        unsigned parts;
    } rows[] = {{"dense", SQA_SYNTH_DENSE},
                {"random", SQA_SYNTH_RANDOM},
                {"factorized_dense", SQA_SYNTH_FACTORIZED_DENSE},
                {"factorized_random", SQA_SYNTH_FACTORIZED_RANDOM},
                {"mixture", SQA_SYNTH_DENSE | SQA_SYNTH_RANDOM}};
    unsigned parts = s->dot ? SQA_SYNTH_DOT : 0;

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
    return place_of(parts, 1u << SQA_SYNTH_KINDS);
}

static bool is_weighted(const struct self *s)
{
    return !is_lra(s) && count_of(parts_of(s)) > 1;
}

/* Scores that are the same for every row of the batch */
static bool is_shared(const struct self *s)
{
    return parts_of(s) == SQA_SYNTH_RANDOM || parts_of(s) == SQA_SYNTH_FACTORIZED_RANDOM;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)task;
    if (is_lra(s) && frame->causal)
        return sqa_fail(err, SQA_UNSUPPORTED, "synthesizer: form=lra is an encoder's; use causal=0 or form=paper");
    if (is_lra(s) && (parts_of(s) & SQA_SYNTH_FACTORIZED_DENSE))
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "synthesizer: the LRA code has no factorized_dense; use form=paper or another kind");
    return SQA_OK;
}

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
    const int64_t H = c->frame.heads, d = sqa_head_dim(&c->frame);

    x = sqa_dense_layer_act(c, "w1", x, sqa_qkv_width(&c->frame), c->frame.bias != 0, SQA_UNARY_RELU);
    return sqa_reshape(c->g, x, SQA_DIMS(c->batch, c->length, H, d));
}

static void add_dense(const struct self *s, struct sqa_context *c, struct sqa_tensor *x, struct scores *to)
{
    const struct sqa_init zero = {.kind = SQA_INIT_ZERO};
    const int64_t H = c->frame.heads, d = sqa_head_dim(&c->frame), heads = is_lra(s) ? 1 : H, most = c->max_length;
    struct sqa_tensor *q = hidden(c, x);
    struct sqa_tensor *k = sqa_param_tensor(c, "w2", SQA_GROUP_REGULAR, xavier(d, most), SQA_DIMS(1, most, heads, d));

    if (is_lra(s))
        q = sqa_transpose(c->g, sqa_reshape(c->g, q, SQA_DIMS(c->batch, H, c->length, d)), 1, 2);
    add_product(to, weighted(s, c, SQA_SYNTH_DENSE, q), rows_of(c, k, 1));
    if (c->frame.bias)
        add_product(to, weighted(s, c, SQA_SYNTH_DENSE, sqa_fill(c->g, 1, SQA_DIMS(1, 1, 1, 1))),
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

    return sqa_outer_scores(c->g, weighted(s, c, SQA_SYNTH_FACTORIZED_DENSE, a),
                            sqa_dense_layer(c, "wb", h, second_width(s, c), c->frame.bias != 0));
}

static struct sqa_tensor *random_scores(const struct self *s, struct sqa_context *c)
{
    const struct sqa_init init = {.kind = SQA_INIT_XAVIER};
    const int64_t most = c->max_length;
    struct sqa_tensor *r =
        sqa_param_tensor(c, "random", SQA_GROUP_REGULAR, init, SQA_DIMS(1, c->frame.heads, most, most));

    return weighted(s, c, SQA_SYNTH_RANDOM, rows_of(c, rows_of(c, r, 2), 3));
}

static void add_factors(const struct self *s, struct sqa_context *c, struct scores *to)
{
    const struct sqa_init init = xavier(c->max_length, s->rank);
    struct sqa_tensor *r[2];

    for (int i = 0; i < 2; i++)
        r[i] = sqa_param_tensor(c, i == 0 ? "random1" : "random2", SQA_GROUP_REGULAR, init,
                                SQA_DIMS(1, c->max_length, c->frame.heads, s->rank));
    add_product(to, weighted(s, c, SQA_SYNTH_FACTORIZED_RANDOM, rows_of(c, r[0], 1)), rows_of(c, r[1], 1));
}

static struct sqa_tensor *heads_of(struct sqa_context *c, const char *name, struct sqa_tensor *x)
{
    x = sqa_dense_layer(c, name, x, sqa_qkv_width(&c->frame), c->frame.bias != 0);
    return sqa_reshape(c->g, x, SQA_DIMS(c->batch, c->length, c->frame.heads, sqa_head_dim(&c->frame)));
}

static void add_dot(const struct self *s, struct sqa_context *c, struct sqa_tensor *x, struct scores *to)
{
    struct sqa_tensor *q = heads_of(c, "wq", x), *k = heads_of(c, "wk", x);

    q = sqa_affine(c->g, 1 / sqrt((double)sqa_head_dim(&c->frame)), q, 0);
    add_product(to, weighted(s, c, SQA_SYNTH_DOT, q), k);
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
    const struct sqa_attention_spec spec = {
        .scale = 1, .causal = c->frame.causal != 0, .dropout = c->frame.attention_dropout};
    struct sqa_heads h = {.v = heads_of(c, "wv", x)};
    struct sqa_tensor *valid = padded(s) ? NULL : c->valid, *o;
    struct sqa_attention_masks masks = {.lengths = padded(s) || valid != NULL ? NULL : c->lengths};

    if (parts & SQA_SYNTH_DENSE)
        add_dense(s, c, x, &all);
    if (parts & SQA_SYNTH_FACTORIZED_RANDOM)
        add_factors(s, c, &all);
    if (parts & SQA_SYNTH_DOT)
        add_dot(s, c, x, &all);
    if (parts & SQA_SYNTH_FACTORIZED_DENSE)
        masks.bias = outer_scores(s, c, x);
    if (parts & SQA_SYNTH_RANDOM)
        masks.bias = random_scores(s, c);
    if (is_shared(s) && valid == NULL && !(c->g->training && c->frame.attention_dropout > 0))
        return sqa_merge_heads(c, sqa_shared_attention(c->g, h.v, masks.lengths, all.n > 0 ? all.q[0] : masks.bias,
                                                       all.n > 0 ? all.k[0] : NULL, c->frame.causal != 0));
    h.q = side_by_side(c, all.n, all.q);
    h.k = side_by_side(c, all.n, all.k);
    h = sqa_mark_holes(c->g, h, valid);
    o = sqa_attention_masked(c->g, h.q, h.k, h.v, masks, spec);
    return sqa_merge_heads(c, sqa_mean_in_holes(c->g, o, h.v, valid));
}

/* What the parts cost, their numbers times weights included, and the width of their products. */
static double parts_flops(const struct self *s, const struct sqa_context *c, int64_t *width)
{
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim, H = (double)c->frame.heads;
    const double bias = c->frame.bias ? 1 : 0, weigh = is_weighted(s) ? 1 : 0, Q = (double)sqa_qkv_width(&c->frame);
    const double layer = B * L * Q * (2 * D + bias);
    const double a = (double)first_width(s, c), b = (double)second_width(s, c);
    const unsigned parts = parts_of(s);
    const int64_t d = sqa_head_dim(&c->frame);
    double sum = weigh * 5 * count_of(parts) * count_of(parts);

    *width = 0;
    if (parts & (SQA_SYNTH_DENSE | SQA_SYNTH_FACTORIZED_DENSE))
        sum += layer + B * L * Q;
    if (parts & SQA_SYNTH_DENSE) {
        sum += weigh * (B * L * Q + bias);
        sum += bias * weigh * 5 * count_of(parts);
        *width += d + c->frame.bias;
    }
    if (parts & SQA_SYNTH_FACTORIZED_DENSE)
        sum += B * L * ((a + b) * (2 * Q + bias * H) + weigh * H * a) + B * H * L * L;
    if (parts & SQA_SYNTH_FACTORIZED_RANDOM) {
        sum += weigh * L * H * (double)s->rank;
        *width += s->rank;
    }
    if (parts & SQA_SYNTH_RANDOM)
        sum += weigh * H * L * L;
    if (parts & SQA_SYNTH_DOT) {
        sum += 2 * layer + (2 + weigh) * B * L * Q;
        *width += d;
    }
    *width = sqa_max64(1, *width);
    return sum;
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double L = (double)c->length, pairs = c->frame.causal ? L * (L + 1) / 2 : L * L;
    const double B = (double)c->batch, D = (double)c->frame.dim, Q = (double)sqa_qkv_width(&c->frame);
    const double H = (double)c->frame.heads,
                 biased = parts_of(s) & (SQA_SYNTH_RANDOM | SQA_SYNTH_FACTORIZED_DENSE) ? 6 : 5;
    int64_t width;
    double sum = parts_flops(s, c, &width) + B * L * (4 * D * Q + (c->frame.bias ? Q + D : 0));

    if (is_shared(s) && (c->valid == NULL || padded(s)))
        return sum + sqa_shared_attention_flops(c->batch, c->length, c->frame.heads, sqa_head_dim(&c->frame),
                                                parts_of(s) & SQA_SYNTH_RANDOM ? 0 : s->rank, c->frame.causal != 0);
    sum += B * pairs * (2 * H * (double)width + 2 * Q + biased * H);
    if (c->valid != NULL && !padded(s))
        sum += sqa_mark_holes_flops(B * L, H * (double)width) + sqa_mean_in_holes_flops(B, L, Q) + B * pairs * 2 * H;
    return sum;
}

const struct sqa_variant sqa_variant_synthesizer = {
    .id = "synthesizer",
    .slot = SQA_SLOT_MIXER,
    .title = "Synthesizer",
    .source = "Tay et al. 2020, arXiv:2005.00743, section 3",
    .complexity = "O(L^2 D) time; O(L D) memory, random H L^2, factorized_dense B H L^2",
    .help = "Attention weights that are learned, or made from the query's position alone, instead of products of "
            "queries and keys. All kinds are tied to positions: they are made for the task's greatest length. "
            "kind=random and factorized_dense hold L x L matrices; the others compute theirs tile by tile. "
            "form=lra: kind=random and dot=1 unless they are given, kinds summed without weights.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_SUM_TO_ONE | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .lra = lra_defaults,
    .padded = padded,
    .holes = is_lra,
    .check = check,
    .build = build,
    .flops = flops,
    .identities = sqa_synthesizer_identities,
};
