/*
 * bigbird.c - softmax attention to global, neighbouring and random blocks
 *
 * Computes  the sequence in nb = ceil(n / block) blocks, n its true length. Blocks 0 and nb - 1 see everything; block
 *           i sees blocks 0, i - 1, i, i + 1, nb - 1 and `random` others, drawn without replacement for each head and
 *           i; one softmax over the valid keys of all of them. causal: block i sees 0, i - 1, i and `random` of
 *           1 .. i - 2, and of these keys j <= i
 * Shapes    x (B, L, D) -> (B, L, D); lists of blocks (B, H, nb + 1) and (any), made from the lengths in each run
 * Cost      projections, and 4 d + 5 flops for each pair of a listed block of a head: about nb (5 + random)
 *           block^2
 * Source    Zaheer et al. 2020, arXiv:2007.14062, section 2 and appendix D (ITC). Block 64 and 3 random blocks are
 *           also the LRA code's: google-research/long-range-arena:
 *           lra_benchmarks/models/bigbird/bigbird_attention.py. form=lra: block - L mod block positions of zeros,
 *           counted as valid, are appended (a whole block when block divides L), so block nb - 1 is of them;
 *           random blocks lie in the first 1024 positions, with that code's rules at both ends; no dropout of
 *           weights; causal: full causal attention
 * Departs   which blocks are random: the `random` smallest of a hash of (key of the head, i, j), so that a longer
 *           sequence keeps most of a shorter one's; keys of heads are state. Where fewer blocks are left than
 *           `random`, all are taken (the LRA code stops with an error below 5 + random blocks). The paper has no
 *           causal form. form=lra: padding is left out, not scored -10^4 (the same, as zeros are always seen); its
 *           seed is Python's hash of a string, different in each process
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "engine/ops/support.h"
#include "models/probe.h"

enum { MOST_RANDOM = 64, NEAR = 1024 /* positions with random blocks of form=lra */ };

struct self {
    int64_t block, random;
    const char *form;
};

static const struct sqa_param params[] = {
    {"block", "positions of a block", SQA_PARAM_INT, "64", 1, 1 << 20, .offset = offsetof(struct self, block)},
    {"random", "random blocks that a block sees", SQA_PARAM_INT, "3", 0, MOST_RANDOM,
     .offset = offsetof(struct self, random)},
    {"form", "the paper's definition, or what the LRA code ran", SQA_PARAM_CHOICE, "paper",
     .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {.name = NULL},
};

/* Which blocks see which */

struct pattern {
    int64_t block, random, batch, length; /* length: positions that are not appended */
    int64_t zeros;                        /* appended by form=lra */
    bool causal, lra;
};

static struct pattern pattern_of(const struct self *s, const struct sqa_context *c)
{
    struct pattern p = {.block = s->block,
                        .random = s->random,
                        .batch = c->batch,
                        .length = c->length,
                        .causal = c->frame.causal != 0,
                        .lra = strcmp(s->form, "lra") == 0};

    if (p.lra)
        p.zeros = s->block - c->length % s->block;
    else
        p.block = s->block < c->length ? s->block : c->length;
    return p;
}

static int64_t blocks_of(const struct pattern *p, int64_t length)
{
    return (length + p->block - 1) / p->block;
}

enum kind { NEVER, PERHAPS, ALWAYS };

/* The LRA code's candidates of row i: of blocks 1 .. last, beside what it sees anyway. */
static enum kind lra_kind(const struct pattern *p, int64_t blocks, int64_t i, int64_t j)
{
    const int64_t near = sqa_min64(blocks * p->block, NEAR);
    const int64_t last = near > 2 * p->block ? near / p->block - 1 : blocks - 1;
    bool may;

    if (i == 1)
        may = j >= 3;
    else if (i == 2)
        may = j >= 4;
    else if (i == blocks - 3)
        may = j <= last - 4;
    else if (i == blocks - 2)
        may = j <= last - 3;
    else if (i - 2 > last)
        may = true;
    else
        may = j <= i - 2 || (j >= i + 2 && i + 1 != last);
    return may && j <= last ? PERHAPS : NEVER;
}

static enum kind kind_of(const struct pattern *p, int64_t blocks, int64_t i, int64_t j)
{
    if (j * p->block >= p->length || (p->causal && j > i)) /* only zeros, or later ones */
        return NEVER;
    if (j == 0 || (i - 1 <= j && j <= i + 1))
        return ALWAYS;
    if (!p->causal && (i == 0 || i == blocks - 1 || j == blocks - 1))
        return ALWAYS;
    return p->lra ? lra_kind(p, blocks, i, j) : PERHAPS;
}

/* Blocks that block i sees, ascending, to list (NULL: they are only counted). */
static int64_t row_of(const struct pattern *p, int64_t blocks, int64_t i, uint64_t key, int32_t *list)
{
    const uint64_t row = sqa_random_mix(key, (uint64_t)i);
    uint64_t hash[MOST_RANDOM + 1];
    int64_t pick[MOST_RANDOM + 1], picked = 0, candidates = 0, n = 0;

    for (int64_t j = 0; j < blocks; j++) {
        const enum kind kind = kind_of(p, blocks, i, j);
        int64_t at = picked;

        n += kind == ALWAYS;
        candidates += kind == PERHAPS;
        if (list == NULL || kind != PERHAPS)
            continue;
        const uint64_t h = sqa_random_mix(row, (uint64_t)j);
        for (; at > 0 && hash[at - 1] > h; at--) { /* sorted by hash; the largest falls out */
            hash[at] = hash[at - 1];
            pick[at] = pick[at - 1];
        }
        hash[at] = h;
        pick[at] = j;
        picked = sqa_min64(picked + 1, p->random);
    }
    if (list == NULL)
        return n + sqa_min64(candidates, p->random);
    n = 0;
    for (int64_t j = 0; j < blocks; j++) {
        bool seen = kind_of(p, blocks, i, j) == ALWAYS;

        for (int64_t k = 0; k < picked && !seen; k++)
            seen = pick[k] == j;
        if (seen)
            list[n++] = (int32_t)j;
    }
    return n;
}

/* Blocks listed by a head of a sequence of all positions: no shorter one has more. */
static int64_t listed(const struct pattern *p)
{
    const int64_t blocks = blocks_of(p, p->length + p->zeros);
    int64_t n = 0;

    for (int64_t i = 0; i < blocks_of(p, p->length); i++)
        n += row_of(p, blocks, i, 0, NULL);
    return n;
}

/* bigbird_lists: start (H, nb + 1), or with lengths (B, H, nb + 1), and the blocks */

struct lists {
    struct pattern p;
    int64_t most; /* blocks of a head */
};

enum { KEYS, LENGTHS };

static enum sqa_status lists_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct lists *a = n->attr;
    const int64_t H = n->in[KEYS]->dim[0], rows = blocks_of(&a->p, a->p.length) + 1, B = a->p.batch;
    const bool each = n->in[LENGTHS] != NULL;

    sqa_set_output(n, 0, SQA_I32, each ? 3 : 2, each ? (const int64_t[]){B, H, rows} : (const int64_t[]){H, rows});
    sqa_set_output(n, 1, SQA_I32, 1, (const int64_t[]){(each ? B : 1) * H * a->most});
    return each ? sqa_check_lengths(n, LENGTHS, B, err) : SQA_OK;
}

static uint64_t head_key(const struct sqa_tensor *t, int64_t h)
{
    const size_t size = sqa_dtype_size(t->dtype);
    const double a = sqa_real_get(t->dtype, sqa_at(sqa_data(t), 2 * h, size));
    const double b = sqa_real_get(t->dtype, sqa_at(sqa_data(t), 2 * h + 1, size));

    return sqa_random_mix((uint64_t)a, (uint64_t)b);
}

static void make_lists(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ctx;
    const struct lists *a = n->attr;
    const int64_t H = n->in[KEYS]->dim[0], rows = blocks_of(&a->p, a->p.length);

    (void)thread;
    for (int64_t k = first; k < first + count; k++) {
        int32_t *start = (int32_t *)sqa_data(n->out[0]) + k * (rows + 1), *all = sqa_data(n->out[1]);
        const int64_t length = sqa_length_at(n->in[LENGTHS], k / H, a->p.length);
        const int64_t blocks = a->p.lra ? blocks_of(&a->p, a->p.length + a->p.zeros) : blocks_of(&a->p, length);
        const uint64_t key = head_key(n->in[KEYS], k % H);
        int64_t at = k * a->most;

        for (int64_t i = 0; i < rows; i++) {
            start[i] = (int32_t)at;
            at += i < blocks ? row_of(&a->p, blocks, i, key, all + at) : 0;
        }
        start[rows] = (int32_t)at;
    }
}

static void lists_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct lists *a = n->attr;
    const int64_t heads = n->out[0]->rank == 3 ? a->p.batch * n->in[KEYS]->dim[0] : n->in[KEYS]->dim[0];
    const double blocks = (double)blocks_of(&a->p, a->p.length);

    sqa_chunks(r, heads, 1, (double)heads * blocks * blocks, make_lists, (void *)(uintptr_t)n);
}

static const struct sqa_op op_lists = {
    .name = "bigbird_lists",
    .help = "blocks that each block sees, from the lengths and the keys of heads", /* no flops: integers */
    .shape = lists_shape,
    .run = lists_run,
};

/* Whole numbers below 2^24, which every real type holds */
static void draw_keys(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg)
{
    (void)rank, (void)arg;
    for (int64_t i = 0; i < dim[0] * dim[1]; i++)
        values[i] = (double)sqa_random_below(key, (uint64_t)i, 1 << 24);
}

static struct sqa_attention_masks masks_of(struct sqa_context *c, const struct pattern *p)
{
    const struct lists a = {*p, listed(p)};
    const struct sqa_init init = {.kind = SQA_INIT_CUSTOM, .fill = draw_keys};
    struct sqa_tensor *in[2] = {
        sqa_value(c->g, sqa_state_entry(c, "random", init, SQA_DIMS(c->frame.heads, 2))),
        p->lra ? NULL : c->lengths,
    };
    struct sqa_tensor *start = in[0] != NULL ? sqa_apply(c->g, &op_lists, &a, sizeof a, 2, in) : NULL;

    return (struct sqa_attention_masks){
        .lengths = c->lengths, .start = start, .key = start != NULL ? start->node->out[1] : NULL};
}

/* form=lra: the listed blocks' own keys, and the appended zeros, which every position sees. */
static struct sqa_tensor *build_lra(struct sqa_context *c, const struct pattern *p, struct sqa_tensor *x,
                                    struct sqa_attention_spec spec)
{
    const struct sqa_attention_masks masks = masks_of(c, p);
    const struct sqa_heads h = sqa_project_heads(c, sqa_pad(c->g, x, 1, 0, p->zeros));
    struct sqa_tensor *q = sqa_slice(c->g, h.q, 1, 0, c->length), *part[2], *lse[2];
    const struct sqa_attention_spec to_zeros = {.scale = spec.scale};

    part[0] = sqa_attention_masked(c->g, q, sqa_slice(c->g, h.k, 1, 0, c->length),
                                   sqa_slice(c->g, h.v, 1, 0, c->length), masks, spec);
    part[1] = sqa_attention(c->g, q, sqa_slice(c->g, h.k, 1, c->length, p->zeros),
                            sqa_slice(c->g, h.v, 1, c->length, p->zeros), NULL, to_zeros);
    lse[0] = sqa_attention_lse(part[0]);
    lse[1] = sqa_attention_lse(part[1]);
    return sqa_merge_heads(c, sqa_attention_merge(c->g, 2, part, lse));
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct pattern p = pattern_of(self, c);
    struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)(c->frame.dim / c->frame.heads)),
                                      .causal = p.causal,
                                      .dropout = c->frame.attention_dropout,
                                      .block = p.block};

    if (p.lra && !p.causal) {
        spec.dropout = 0;
        return build_lra(c, &p, x, spec);
    }
    const struct sqa_heads h = sqa_project_heads(c, x);
    if (p.lra) {
        spec.block = 0;
        return sqa_merge_heads(c, sqa_attention(c->g, h.q, h.k, h.v, c->lengths, spec));
    }
    return sqa_merge_heads(c, sqa_attention_masked(c->g, h.q, h.k, h.v, masks_of(c, &p), spec));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct pattern p = pattern_of(self, c);
    const double D = (double)c->frame.dim, H = (double)c->frame.heads, L = (double)c->length, B = (double)c->batch;
    const double zeros = (double)p.zeros, blocks = (double)p.block * (double)p.block * (double)listed(&p);

    if (p.lra && p.causal)
        return sqa_heads_flops(c) + B * L * (L + 1) / 2 * (4 * D + 5 * H);
    if (!p.lra)
        return sqa_heads_flops(c) + B * blocks * (4 * D + 5 * H);
    return sqa_heads_flops(c) + B * (3 * zeros * D * (2 * D + (c->frame.bias ? 1 : 0)) +
                                     (blocks + L * zeros) * (4 * D + 5 * H) + L * 2 * (2 * D + 5 * H));
}

/* Identities */

enum { B = 2, L = 37, D = 8, H = 2, CASES = 4 };

static const int32_t ragged[B] = {L, 22};

struct rule {
    struct pattern p;
    const int32_t *lengths;
    double keys[2 * H];
};

static void hold_keys(struct sqa_store *s, void *user)
{
    struct rule *r = user;
    const struct sqa_entry *e = sqa_store_find(s, "mixer.random");

    if (e != NULL)
        sqa_entry_get(s, e, r->keys);
}

/* The random blocks are those of row_of; the rest is written out. */
static int pair(const void *user, int b, int h, int i, int j)
{
    const struct rule *r = user;
    const struct pattern *p = &r->p;
    const int64_t length = r->lengths != NULL ? r->lengths[b] : L, n = blocks_of(p, p->lra ? L + p->zeros : length);
    const int64_t s = i / p->block, t = j / p->block;
    const uint64_t key = sqa_random_mix((uint64_t)r->keys[2 * h], (uint64_t)r->keys[2 * h + 1]);
    int32_t list[L + 1];

    if (j >= length && j < L)
        return 0;
    if (j >= L || (!p->causal && (s == 0 || s == n - 1 || t == 0 || t == n - 1)))
        return 1;
    if (p->causal && j > i)
        return 0;
    if (t == 0 || (s - 1 <= t && t <= s + 1))
        return 1;
    for (int64_t k = row_of(p, n, s, key, list) - 1; k >= 0; k--)
        if (list[k] == t)
            return 1;
    return 0;
}

static struct sqa_probe probe_of(const char *item, struct rule *r)
{
    return (struct sqa_probe){.item = item,
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = H,
                              .causal = r->p.causal,
                              .lengths = r->lengths,
                              .seed = 7,
                              .real = SQA_F64,
                              .edit = hold_keys,
                              .user = r};
}

static enum sqa_status equals_definition(struct sqa_err *err)
{
    static const struct {
        const char *item;
        struct pattern p;
        int forms; /* 4: causal too */
    } rows[] = {
        {"bigbird:block=3,random=2", {.block = 3, .random = 2, .length = L}, 4},
        {"bigbird:block=4,random=0", {.block = 4, .length = L}, 4},
        {"bigbird:block=1,random=0", {.block = 1, .length = L}, 4},
        {"bigbird:block=2,random=9", {.block = 2, .random = 9, .length = L}, 4},
        {"bigbird:block=4,random=1,form=lra", {.block = 4, .random = 1, .length = L, .zeros = 3, .lra = true}, 2},
        {"bigbird:block=1,random=2,form=lra", {.block = 1, .random = 2, .length = L, .zeros = 1, .lra = true}, 2},
    };
    static double x[B * L * D], y[B * L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int form = 0; form < rows[i].forms && status == SQA_OK; form++) {
            struct rule r = {.p = rows[i].p, .lengths = form & 1 ? ragged : NULL};

            r.p.causal = (form & 2) != 0;
            const struct sqa_probe p = probe_of(rows[i].item, &r);
            status = sqa_probe_run(&p, x, y, err); /* for the keys */
            if (status == SQA_OK)
                status = sqa_probe_dense(
                    &p, &(struct sqa_probe_pairs){.set = pair, .user = &r, .zeros = (int)r.p.zeros}, err);
        }
    return status;
}

static enum sqa_status is_softmax(struct sqa_err *err)
{
    static const char *const items[] = {"bigbird:block=8,random=1", "bigbird:block=10,random=0", "bigbird",
                                        "bigbird:block=1,random=64"};
    static double x[B * L * D], y[B * L * D], expect[B * L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (size_t i = 0; i < sizeof items / sizeof *items && status == SQA_OK; i++) {
        struct rule r = {.lengths = ragged};
        struct sqa_probe p = probe_of(items[i], &r);

        status = sqa_probe_run(&p, x, y, err);
        p.item = "transformer";
        if (status == SQA_OK)
            status = sqa_probe_run(&p, x, expect, err);
        for (int b = 0; b < B && status == SQA_OK; b++)
            status = sqa_probe_expect(
                items[i], sqa_probe_difference(y + b * L * D, expect + b * L * D, (size_t)(ragged[b] * D)), 1e-13,
                err);
    }
    return status;
}

/* 5 + random blocks a row in the middle, never one twice, other ones with another key, and of the LRA code's range.
 */
static enum sqa_status random_rows(struct sqa_err *err)
{
    enum { BLOCKS = 32, RANDOM = 3 };
    const struct pattern forms[] = {
        {.block = 64, .random = RANDOM, .length = BLOCKS * 64},
        {.block = 64, .random = RANDOM, .length = BLOCKS * 64 - 5, .zeros = 5, .lra = true},
    };
    int differ = 0;

    for (int f = 0; f < 2; f++)
        for (int64_t i = 2; i < BLOCKS - 2; i++) {
            int32_t one[BLOCKS], two[BLOCKS];
            const int64_t n = row_of(&forms[f], BLOCKS, i, 1, one), m = row_of(&forms[f], BLOCKS, i, 2, two);

            if (n != 5 + RANDOM || m != n)
                return sqa_fail(err, SQA_NO, "bigbird: block %lld sees %lld and %lld blocks, not %d", (long long)i,
                                (long long)n, (long long)m, 5 + RANDOM);
            for (int64_t k = 0; k < n; k++) {
                const bool fixed = one[k] == 0 || one[k] == BLOCKS - 1 || (i - 1 <= one[k] && one[k] <= i + 1);

                if ((k > 0 && one[k] <= one[k - 1]) || (forms[f].lra && !fixed && one[k] > 15))
                    return sqa_fail(err, SQA_NO, "bigbird: block %lld sees block %d where it must not", (long long)i,
                                    one[k]);
                differ += one[k] != two[k];
            }
        }
    return differ > BLOCKS ? SQA_OK : sqa_fail(err, SQA_NO, "bigbird: two keys give nearly the same blocks");
}

static const struct sqa_identity identities[] = {
    {"equals its definition, causal and padded", equals_definition},
    {"up to 4 + random blocks: softmax attention", is_softmax},
    {"rows of random blocks have one size, and another key draws others", random_rows},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_bigbird = {
    .id = "bigbird",
    .slot = SQA_SLOT_MIXER,
    .title = "BigBird",
    .source = "Zaheer et al. 2020, arXiv:2007.14062, section 2",
    .complexity = "O(L block (7 + random) D) time, O(L D) memory",
    .help = "Softmax attention of blocks to the first, the last, the neighbouring and some random blocks. form=lra: "
            "random blocks of the first 1024 positions only, and zeros appended that count as positions. Attention "
            "stays f32 with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_SUM_TO_ONE | SQA_TRAIT_LINEAR_MEMORY,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
    .identities = identities,
};
