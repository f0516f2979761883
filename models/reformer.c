/*
 * reformer.c - LSH attention: queries see keys that fall into their bucket
 *
 * Computes  q = x Wq, k = q / |q| of each head, v = x Wv. In each round positions are sorted by hash bucket and cut
 * into chunks; a query attends, with scores q . k, to keys of its bucket in its chunk and the one before, and to
 *           itself only when there is no other. Rounds are joined as one softmax over their union: a key that a query
 *           sees in N rounds gets 1 / N of its weight in each (lsh_attention.h)
 * Shapes    x (B, L, D) -> (B, L, D); rotations (d, rounds x buckets / 2) are state, one a layer, shared by its heads
 * Cost      three projections; hashes, rounds x buckets (d + 1) a head and position; at most 2 `chunk` keys a
 *           query and round, 4 d + 6 flops each. Linear in L for given parameters; buckets = 2 L / chunk is the
 *           paper's choice
 * Source    Kitaev et al. 2020, arXiv:2001.04451, section 2 and appendix A. Defaults rounds and buckets, k's 1e-6
 *           and form=lra: google-research/long-range-arena: lra_benchmarks/models/reformer/reformer_attention.py;
 *           the paper names no one chunk. form=lra is that code: scores are q . q sqrt(d), no mask of any kind,
 *           one block of zero rows too many (to a multiple of `buckets`, there 10) that is attended to, chunks of
 *           L / buckets (so time is quadratic), sorted rounds in a circle and keys counted once a round, no output
 *           projection, no dropout on weights, and the same rotations in every layer and run
 * Departs   rotations are drawn once, not in every step; chunk 0 has none before it (in the paper's code the last
 *           one, which the bucket mask takes away again). causal=1: chunks start at the front of each bucket,
 *           because in the paper's sort later positions decide where chunks begin, which lets them be seen
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "models/lsh_attention.h"
#include "models/probe.h"

#define NORM_EPS 1e-6

struct self {
    const char *form;
    int64_t buckets, chunk, rounds, same_bucket;
};

static const struct sqa_param params[] = {
    {"form", "the paper's definition, or what the LRA code computes", SQA_PARAM_CHOICE, "paper",
     .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {"buckets", "hash buckets, an even number", SQA_PARAM_INT, "10", 2, 1 << 14,
     .offset = offsetof(struct self, buckets)},
    {"chunk", "positions of a chunk; form=lra: L / buckets instead", SQA_PARAM_INT, "64", 1, 1 << 20,
     .offset = offsetof(struct self, chunk)},
    {"rounds", "hashes, each with its own sort", SQA_PARAM_INT, "1", 1, 64, .offset = offsetof(struct self, rounds)},
    {"same_bucket", "keys of other buckets are masked inside a chunk (form=paper)", SQA_PARAM_BOOL, "1",
     .offset = offsetof(struct self, same_bucket)},
    {.name = NULL},
};

static bool is_lra(const struct self *s)
{
    return strcmp(s->form, "lra") == 0;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)task;
    if (s->buckets % 2 != 0)
        return sqa_fail(err, SQA_USAGE, "reformer: buckets are pairs of directions; give an even number");
    if (is_lra(s) && frame->causal)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "reformer: the LRA code has no causal mask; use causal=0 or form=paper");
    if (!s->same_bucket && frame->causal)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "reformer: chunks over several buckets begin where later positions decide; use same_bucket=1 "
                        "or causal=0");
    return SQA_OK;
}

/* The same numbers for every layer and run. */
static void draw_fixed(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    (void)rank, (void)key, (void)arg;
    for (int64_t i = 0; i < dim[0] * dim[1]; i++)
        values[i] = sqa_random_normal(0, (uint64_t)i);
}

static struct sqa_tensor *rotations(const struct self *s, struct sqa_context *c)
{
    const int64_t dim[2] = {c->frame.dim / c->frame.heads, s->rounds * (s->buckets / 2)};
    const struct sqa_init drawn = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1};
    const struct sqa_init fixed = {.kind = SQA_INIT_CUSTOM, .fill = draw_fixed};

    return sqa_value(c->g, sqa_state_entry(c, "rotations", is_lra(s) ? fixed : drawn, 2, dim));
}

/* Positions of the LRA code's padded sequence. */
static int64_t lra_length(const struct self *s, int64_t length)
{
    return length + s->buckets - length % s->buckets;
}

static struct sqa_lsh_attention_spec spec_of(const struct self *s, const struct sqa_context *c)
{
    const double root = sqrt((double)(c->frame.dim / c->frame.heads));

    if (is_lra(s))
        return (struct sqa_lsh_attention_spec){.rounds = s->rounds,
                                               .buckets = s->buckets,
                                               .chunk = lra_length(s, c->length) / s->buckets,
                                               .scale = root,
                                               .circular = true};
    return (struct sqa_lsh_attention_spec){.rounds = s->rounds,
                                           .buckets = s->buckets,
                                           .chunk = s->chunk,
                                           .scale = 1 / root, /* keys have length sqrt(d) */
                                           .dropout = c->frame.attention_dropout,
                                           .masked = true,
                                           .causal = c->frame.causal != 0,
                                           .same_bucket = s->same_bucket != 0};
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const int64_t D = c->frame.dim, H = c->frame.heads, L = is_lra(s) ? lra_length(s, c->length) : c->length;
    const bool bias = c->frame.bias != 0;
    const struct sqa_dense_spec layers[] = {{"wq", D, bias, SQA_UNARY_N}, {"wv", D, bias, SQA_UNARY_N}};
    struct sqa_tensor *qv[2], *k, *o;

    sqa_dense_layers(c, 2, layers, x, qv);
    for (int i = 0; i < 2; i++) {
        qv[i] = is_lra(s) ? sqa_pad(c->g, qv[i], 1, 0, L - c->length) : qv[i];
        qv[i] = sqa_reshape(c->g, qv[i], SQA_DIMS(c->batch, L, H, D / H));
    }
    k = is_lra(s) ? qv[0] : sqa_layernorm(c->g, qv[0], NULL, NULL, NORM_EPS, true);
    o = sqa_lsh_attention(c->g, qv[0], k, qv[1], rotations(s, c), is_lra(s) ? NULL : c->lengths, spec_of(s, c));
    if (!is_lra(s))
        return sqa_merge_heads(c, o);
    return sqa_slice(c->g, sqa_reshape(c->g, o, SQA_DIMS(c->batch, L, D)), 1, 0, c->length);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, D = (double)c->frame.dim, layer = D * (2 * D + (c->frame.bias ? 1 : 0));
    const int64_t L = is_lra(s) ? lra_length(s, c->length) : c->length;
    const struct sqa_lsh_attention_spec spec = spec_of(s, c);
    const double attention =
        sqa_lsh_attention_flops(B * (double)c->frame.heads, L, c->frame.dim / c->frame.heads, &spec);

    return attention + B * (double)c->length * (is_lra(s) ? 2 * layer : 3 * layer + 7 * D);
}

/* Identities */

enum { B = 2, L = 13, D = 8, H = 2, W = D / H, MOST = 24, ROUNDS = 3, BUCKETS = 4 };

static const int32_t ragged[B] = {L, 9};

struct setting {
    const char *item;
    int rounds, buckets, chunk;
    bool same_bucket, causal, lra;
    double rotations[W * ROUNDS * BUCKETS / 2];
};

/* Queries, values and outputs are the inputs. */
static void open(struct sqa_store *s, void *user)
{
    const struct setting *of = user;

    sqa_probe_set_identity(s, "mixer.wq.w");
    sqa_probe_set_identity(s, "mixer.wv.w");
    sqa_probe_set_identity(s, "mixer.wo.w");
    sqa_probe_set(s, "mixer.rotations", of->rotations);
}

static struct sqa_probe probe_of(struct setting *s)
{
    return (struct sqa_probe){.item = s->item,
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = H,
                              .causal = s->causal,
                              .seed = 3,
                              .real = SQA_F64,
                              .edit = open,
                              .user = s};
}

static double dot(const double *a, const double *b)
{
    double sum = 0;

    for (int e = 0; e < W; e++)
        sum += a[e] * b[e];
    return sum;
}

/* Buckets, places in the sorted order and chunks of a round; n positions of head h. */
struct sorted {
    int bucket[MOST], order[MOST], chunk[MOST];
};

static struct sorted sort(const struct setting *s, const double *x, int n, int h, int round)
{
    const int half = s->buckets / 2, columns = s->rounds * half;
    struct sorted r = {{0}, {0}, {0}};

    for (int t = 0; t < n; t++) {
        double best = -HUGE_VAL;

        for (int i = 0; i < s->buckets; i++) {
            double u = 0;

            for (int e = 0; e < W; e++)
                u += x[t * D + h * W + e] * s->rotations[e * columns + round * half + i % half];
            u = i < half ? u : -u;
            r.bucket[t] = u > best ? i : r.bucket[t];
            best = fmax(best, u);
        }
    }
    for (int t = 0; t < n; t++) {
        int place = 0, rank = 0;

        for (int u = 0; u < n; u++) {
            place += r.bucket[u] < r.bucket[t] || (r.bucket[u] == r.bucket[t] && u < t);
            rank += r.bucket[u] == r.bucket[t] && u < t;
        }
        r.order[place] = t;
        r.chunk[t] = s->causal ? rank / s->chunk : place / s->chunk;
    }
    return r;
}

/* Does i see j in a round? */
static bool sees(const struct setting *s, const struct sorted *r, int i, int j)
{
    const int back = r->chunk[i] - r->chunk[j];

    return j != i && (!s->causal || j < i) && (!s->same_bucket || r->bucket[i] == r->bucket[j]) &&
           (back == 0 || back == 1);
}

/* Softmax over the union of what the rounds see. */
static void paper_by_definition(const struct setting *s, const double *x, int n, double *y)
{
    memset(y, 0, L * D * sizeof *y);
    for (int h = 0; h < H; h++) {
        struct sorted r[ROUNDS];

        for (int round = 0; round < s->rounds; round++)
            r[round] = sort(s, x, n, h, round);
        for (int i = 0; i < n; i++) {
            const double *q = x + i * D + h * W;
            double sum = 0, *o = y + i * D + h * W;

            for (int j = 0; j < n; j++) {
                const double *k = x + j * D + h * W;
                const double weight = exp(dot(q, k) / sqrt(dot(k, k) + W * NORM_EPS));
                bool seen = false;

                for (int round = 0; round < s->rounds; round++)
                    seen = seen || sees(s, &r[round], i, j);
                for (int e = 0; e < W && seen; e++)
                    o[e] += weight * k[e];
                sum += seen ? weight : 0;
            }
            for (int e = 0; e < W; e++)
                o[e] = sum > 0 ? o[e] / sum : q[e];
        }
    }
}

/* Slots of all rounds in one circle of chunks; a key counts as often as it is seen. */
static void lra_by_definition(const struct setting *s, const double *x, double *y)
{
    const int n = L + s->buckets - L % s->buckets, chunk = n / s->buckets, slots = n * s->rounds;
    double padded[MOST * D] = {0}, sum[L * H] = {0};
    int order[MOST * ROUNDS];

    memcpy(padded, x, L * D * sizeof *x);
    memset(y, 0, L * D * sizeof *y);
    for (int h = 0; h < H; h++) {
        for (int round = 0; round < s->rounds; round++) {
            const struct sorted r = sort(s, padded, n, h, round);

            memcpy(order + round * n, r.order, (size_t)n * sizeof *order);
        }
        for (int a = 0; a < slots; a++)
            for (int c = 0; c < 2 * chunk && order[a] < L; c++) {
                const int b = (a / chunk * chunk - chunk + c + slots) % slots;
                const double *q = padded + order[a] * D + h * W, *k = padded + order[b] * D + h * W;
                const double weight = exp(dot(q, k) * sqrt(W));

                for (int e = 0; e < W; e++)
                    y[order[a] * D + h * W + e] += weight * k[e];
                sum[order[a] * H + h] += weight;
            }
    }
    for (int i = 0; i < L * D; i++)
        y[i] /= sum[i / W];
}

static enum sqa_status compare(struct setting *s, const double *x, struct sqa_err *err)
{
    struct sqa_probe p = probe_of(s);
    double y[B * L * D], expect[L * D];
    enum sqa_status status;

    p.lengths = ragged;
    status = sqa_probe_run(&p, x, y, err);
    for (int b = 0; b < B && status == SQA_OK; b++) {
        if (s->lra)
            lra_by_definition(s, x + b * L * D, expect);
        else
            paper_by_definition(s, x + b * L * D, ragged[b], expect);
        status = sqa_probe_expect(
            s->item, sqa_probe_difference(y + b * L * D, expect, (size_t)((s->lra ? L : ragged[b]) * D)), 1e-12, err);
    }
    return status;
}

static enum sqa_status definitions(struct sqa_err *err)
{
    struct setting rows[] = {
        {"reformer:buckets=4,chunk=3", 1, 4, 3, true, false, false, {0}},
        {"reformer:buckets=4,chunk=3", 1, 4, 3, true, true, false, {0}},
        {"reformer:buckets=2,chunk=2,rounds=3", 3, 2, 2, true, false, false, {0}},
        {"reformer:buckets=2,chunk=2,rounds=3", 3, 2, 2, true, true, false, {0}},
        {"reformer:buckets=4,chunk=3,rounds=2,same_bucket=0", 2, 4, 3, false, false, false, {0}},
        {"reformer:buckets=2,chunk=64", 1, 2, 64, true, false, false, {0}},
        {"reformer:buckets=4,form=lra", 1, 4, 0, false, false, true, {0}},
        {"reformer:buckets=4,rounds=3,form=lra", 3, 4, 0, false, false, true, {0}},
    };
    enum sqa_status status = SQA_OK;
    double x[B * L * D];

    sqa_probe_normal(1, x, B * L * D);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && status == SQA_OK; i++) {
        rows[i].chunk = rows[i].lra ? MOST : rows[i].chunk;
        sqa_probe_normal(2, rows[i].rotations, W * ROUNDS * BUCKETS / 2);
        status = compare(&rows[i], x, err);
    }
    return status;
}

/* One chunk of everything: softmax over the others, or, in the LRA code's two chunks that both see both, over all and
 * its zero row. */
static enum sqa_status one_chunk(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[B * L * D] = {0};
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (int lra = 0; lra < 2 && status == SQA_OK; lra++) {
        struct setting s = {.item =
                                lra ? "reformer:buckets=2,form=lra" : "reformer:buckets=2,chunk=13,same_bucket=0"};
        const struct sqa_probe p = probe_of(&s);

        sqa_probe_normal(2, s.rotations, W * ROUNDS * BUCKETS / 2);
        memset(expect, 0, sizeof expect);
        for (int row = 0; row < B * L * H; row++) {
            const double *q = x + row * W;
            double sum = lra ? 1 : 0;

            for (int j = 0; j < L; j++) {
                const double *k = x + (row / (L * H) * L + j) * D + row % H * W;
                const double s_ij = lra ? dot(q, k) * sqrt(W) : dot(q, k) / sqrt(dot(k, k) + W * NORM_EPS);
                const double weight = k != q || lra ? exp(s_ij) : 0;

                for (int e = 0; e < W; e++)
                    expect[row * W + e] += weight * k[e];
                sum += weight;
            }
            for (int e = 0; e < W; e++)
                expect[row * W + e] /= sum;
        }
        status = sqa_probe_run(&p, x, y, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(s.item, sqa_probe_difference(y, expect, B * L * D), 1e-12, err);
    }
    return status;
}

static enum sqa_status equal_rounds(struct sqa_err *err)
{
    struct setting one = {.item = "reformer:buckets=4,chunk=3"};
    struct setting three = {.item = "reformer:buckets=4,chunk=3,rounds=3"};
    const struct sqa_probe first = probe_of(&one), other = probe_of(&three);
    double x[B * L * D], y[B * L * D], z[B * L * D];
    enum sqa_status status;

    sqa_probe_normal(1, x, B * L * D);
    sqa_probe_normal(2, one.rotations, W * BUCKETS / 2);
    for (int i = 0; i < W * ROUNDS * BUCKETS / 2; i++)
        three.rotations[i] = one.rotations[i / (ROUNDS * BUCKETS / 2) * (BUCKETS / 2) + i % (BUCKETS / 2)];
    status = sqa_probe_run(&first, x, y, err);
    if (status == SQA_OK)
        status = sqa_probe_run(&other, x, z, err);
    return status == SQA_OK
               ? sqa_probe_expect("three equal rounds", sqa_probe_difference(z, y, B * L * D), 1e-13, err)
               : status;
}

/* Each sees the other where the other sees it, so both get the same. */
static enum sqa_status equal_positions(struct sqa_err *err)
{
    struct setting s = {.item = "reformer:buckets=4,chunk=64,rounds=2"};
    const struct sqa_probe p = probe_of(&s);
    double x[B * L * D], y[B * L * D];
    enum sqa_status status;

    sqa_probe_normal(1, x, B * L * D);
    sqa_probe_normal(2, s.rotations, W * ROUNDS * BUCKETS / 2);
    memcpy(x + 7 * D, x + 2 * D, D * sizeof *x);
    status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK
               ? sqa_probe_expect("equal positions", sqa_probe_difference(y + 7 * D, y + 2 * D, D), 1e-13, err)
               : status;
}

static const struct sqa_identity identities[] = {
    {"each form: its definition, pair by pair", definitions},
    {"one chunk without the bucket mask: softmax attention", one_chunk},
    {"rounds with the same rotations: one round", equal_rounds},
    {"equal positions share a bucket and an output", equal_positions},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_reformer = {
    .id = "reformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Reformer",
    .source = "Kitaev et al. 2020, arXiv:2001.04451, section 2",
    .complexity = "O(L (chunk + buckets) rounds D) time, O(L D) memory",
    .help = "Queries and keys are the same vectors. Positions are sorted by a random hash of their query and attend "
            "inside chunks of the sorted sequence, to keys of their own bucket. form=lra cuts the sequence into "
            "`buckets` chunks, so its time grows with the square of the length.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_SUM_TO_ONE | SQA_TRAIT_LINEAR_MEMORY,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
