/*
 * local.c - softmax attention inside blocks
 *
 * Computes  the sequence in nb = ceil(L / w) blocks of w positions, w = min(window, L); in each block
 *           softmax(q k^T / sqrt(d)) v over its valid keys (and j <= i when causal).
 *           contiguous: block b is b w, b w + 1, ...; strided: b, b + nb, ...
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, d), of which each block is a strided part
 * Cost      projections, and 4 d + 5 flops for each pair of a head: n^2 of a block of n, causal n (n + 1) / 2
 * Source    local attention of Long Range Arena, Tay et al. 2020, arXiv:2011.04006; window 50 is its default
 *           (google-research/long-range-arena: lra_benchmarks/models/local/local_attention.py). form=lra is that
 *           code: w - L mod w positions of zeros are appended (a whole block when w divides L) and count as valid;
 *           the nb = ceil(.. / w) blocks are strided sets, but the mask is cut contiguously: key s of block b is
 *           masked when position b w + s is padding, whatever stands at s nb + b; a query whose place in that mask is
 *           padding gets the mean of the block's values (holes.h)
 * Departs   layout=strided is form=lra's sets with each position's own mask and without appended zeros. Both depend
 *           on the padded length, so the promise about padding holds for contiguous blocks. form=lra has no causal
 *           form: that code's causal mask does not fit its blocks
 */
#include <math.h>
#include <string.h>

#include "models/holes.h"
#include "models/probe.h"

struct self {
    int64_t window;
    const char *layout, *form;
};

static const struct sqa_param params[] = {
    {"window", "positions of a block", SQA_PARAM_INT, "50", 1, 1 << 20, .offset = offsetof(struct self, window)},
    {"layout", "neighbours in a block, or positions at equal distances (as form=lra always has them)",
     SQA_PARAM_CHOICE, "contiguous", .offset = offsetof(struct self, layout), .choices = "contiguous|strided"},
    {"form", "the paper's definition, or what the LRA code ran", SQA_PARAM_CHOICE, "paper",
     .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {.name = NULL},
};

static bool is_lra(const void *self)
{
    return strcmp(((const struct self *)self)->form, "lra") == 0;
}

static const struct sqa_default lra_defaults[] = {{"layout", "strided"}, {NULL, NULL}};

static bool is_strided(const struct self *s)
{
    return strcmp(s->layout, "strided") == 0;
}

static bool padded(const void *self)
{
    return is_strided(self);
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)task;
    if (is_lra(self) && !is_strided(self))
        return sqa_fail(err, SQA_USAGE,
                        "local: form=lra has strided blocks; leave layout=contiguous out or use form=paper");
    if (is_lra(self) && frame->causal)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "local: the LRA code's causal mask does not fit its blocks; use causal=0 or form=paper");
    return SQA_OK;
}

/* form=lra: positions with the appended zeros */
static int64_t lra_length(const struct self *s, int64_t length)
{
    return length + s->window - length % s->window;
}

/* form=lra: what the mask says of each position's place in its block; NULL: nothing is masked. */
static struct sqa_tensor *lra_mask(const struct self *s, struct sqa_context *c)
{
    const int64_t B = c->batch, L = c->length, all = lra_length(s, L), w = s->window;
    struct sqa_tensor *both[2] = {c->valid, NULL};

    if (c->valid == NULL && c->lengths == NULL)
        return NULL;
    if (c->valid == NULL)
        both[0] = sqa_mask_rows(c->g, sqa_fill(c->g, 1, SQA_DIMS(B, L)), c->lengths);
    both[1] = sqa_fill(c->g, 1, SQA_DIMS(B, all - L));
    both[0] = sqa_reshape(c->g, sqa_concat(c->g, 1, 2, both), SQA_DIMS(B, all / w, w));
    return sqa_reshape(c->g, sqa_transpose(c->g, both[0], 1, 2), SQA_DIMS(B, all));
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const bool lra = is_lra(s);
    struct sqa_heads h = sqa_project_heads(c, lra ? sqa_pad(c->g, x, 1, 0, lra_length(s, c->length) - c->length) : x);
    const struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)sqa_head_dim(&c->frame)),
                                            .causal = c->frame.causal != 0,
                                            .dropout = c->frame.attention_dropout,
                                            .local = s->window,
                                            .spread = is_strided(s)};

    if (!lra)
        return sqa_merge_heads(c, sqa_attention(c->g, h.q, h.k, h.v, c->lengths, spec));
    h = sqa_mark_holes(c->g, h, lra_mask(s, c));
    return sqa_merge_heads(c, sqa_slice(c->g, sqa_attention(c->g, h.q, h.k, h.v, NULL, spec), 1, 0, c->length));
}

/* Blocks differ in size when w does not divide L. */
static double pairs(const struct self *s, int64_t length, bool causal)
{
    const int64_t w = s->window < length ? s->window : length, blocks = w > 0 ? (length + w - 1) / w : 0;
    double sum = 0;

    for (int64_t b = 0; b < blocks; b++) {
        const int64_t left = length - b * w;
        const double n = (double)(is_strided(s) ? (length - b + blocks - 1) / blocks : left < w ? left : w);

        sum += causal ? n * (n + 1) / 2 : n * n;
    }
    return sum;
}

static double flops(const void *self, const struct sqa_context *c)
{
    const int64_t all = is_lra(self) ? lra_length(self, c->length) : c->length;
    const bool marked = is_lra(self) && (c->valid != NULL || c->lengths != NULL);
    const double B = (double)c->batch, Q = (double)sqa_qkv_width(&c->frame), H = (double)c->frame.heads;
    const double more = (double)(all - c->length) * 3 * Q * (2 * (double)c->frame.dim + (c->frame.bias ? 1 : 0));

    return sqa_heads_flops(c) + B * (more + pairs(self, all, c->frame.causal != 0) * (4 * Q + (marked ? 7 : 5) * H)) +
           (marked ? sqa_mark_holes_flops(B * (double)all, Q) : 0);
}

/* Identities */

enum { B = 2, L = 10, D = 8, H = 2 };

static const int32_t ragged[B] = {L, 7};

static enum sqa_status same_as(const char *item, const char *other, bool causal, struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[B * L * D];
    struct sqa_probe p = {.item = item,
                          .batch = B,
                          .length = L,
                          .dim = D,
                          .heads = H,
                          .causal = causal,
                          .lengths = ragged,
                          .seed = 3,
                          .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(1, x, B * L * D);
    status = sqa_probe_run(&p, x, y, err);
    p.item = other;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, expect, err);
    for (int b = 0; b < B && status == SQA_OK; b++)
        status = sqa_probe_expect(
            item, sqa_probe_difference(y + b * L * D, expect + b * L * D, (size_t)(ragged[b] * D)), 1e-13, err);
    return status;
}

static enum sqa_status one_block(struct sqa_err *err)
{
    static const char *const items[] = {"local:window=10", "local:window=64", "local:window=10,layout=strided"};
    enum sqa_status status = SQA_OK;

    for (int i = 0; i < 6 && status == SQA_OK; i++)
        status = same_as(items[i / 2], "transformer", i % 2, err);
    return status;
}

static enum sqa_status blocks_of_one(struct sqa_err *err)
{
    const enum sqa_status status = same_as("local:window=1", "no_mixer", false, err);

    return status == SQA_OK ? same_as("local:window=1", "no_mixer", true, err) : status;
}

static enum sqa_status other_blocks(struct sqa_err *err)
{
    double x[L * D], y[L * D], z[L * D];
    const struct sqa_probe p = {
        .item = "local:window=4", .batch = 1, .length = L, .dim = D, .heads = H, .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(2, x, L * D);
    status = sqa_probe_run(&p, x, y, err);
    sqa_probe_normal(3, x + 4 * D, 4 * D);
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, z, err);
    if (status == SQA_OK)
        status = sqa_probe_expect("block 0 when block 1 changed", sqa_probe_difference(y, z, 4 * D), 0, err);
    if (status == SQA_OK)
        status = sqa_probe_expect("block 2 when block 1 changed", sqa_probe_difference(y + 8 * D, z + 8 * D, 2 * D),
                                  0, err);
    if (status == SQA_OK && sqa_probe_difference(y + 4 * D, z + 4 * D, 4 * D) < 1e-3)
        status =
            sqa_fail(err, SQA_NO, "local: block 1 did not change with its inputs; positions of a block must see it");
    return status;
}

/* Position a nb + c of the strided layout is c w + a of the contiguous one. */
static enum sqa_status layouts_agree(struct sqa_err *err)
{
    enum { N = 12, WINDOW = 4, BLOCKS = N / WINDOW };
    double x[N * D], moved[N * D], y[N * D], z[N * D], back[N * D];
    struct sqa_probe p = {
        .item = "local:window=4,layout=strided", .batch = 1, .length = N, .dim = D, .heads = H, .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(4, x, N * D);
    for (int a = 0; a < WINDOW; a++)
        for (int c = 0; c < BLOCKS; c++)
            memcpy(moved + (c * WINDOW + a) * D, x + (a * BLOCKS + c) * D, D * sizeof *x);
    status = sqa_probe_run(&p, x, y, err);
    p.item = "local:window=4";
    if (status == SQA_OK)
        status = sqa_probe_run(&p, moved, z, err);
    for (int a = 0; a < WINDOW && status == SQA_OK; a++)
        for (int c = 0; c < BLOCKS; c++)
            memcpy(back + (a * BLOCKS + c) * D, z + (c * WINDOW + a) * D, D * sizeof *x);
    return status == SQA_OK
               ? sqa_probe_expect("strided against contiguous", sqa_probe_difference(y, back, N * D), 1e-14, err)
               : status;
}

/* Pairs of form=lra: key s of a block where the mask has its place, for a query where it has none every key. */
struct rule {
    int window, length;
    const int32_t *lengths;
    const double *valid; /* (B, length), or NULL */
};

static bool is_masked(const struct rule *r, int b, int at)
{
    if (at >= r->length)
        return false;
    return r->valid != NULL ? r->valid[b * r->length + at] < 0.5 : r->lengths != NULL && at >= r->lengths[b];
}

static int lra_pair(const void *user, int b, int h, int i, int j)
{
    const struct rule *r = user;
    const int all = r->length + r->window - r->length % r->window, blocks = all / r->window;
    const int first = i % blocks * r->window;

    (void)h;
    if (i % blocks != j % blocks)
        return 0;
    return is_masked(r, b, first + i / blocks) ? SQA_PROBE_EVEN : !is_masked(r, b, first + j / blocks);
}

static enum sqa_status lra_by_definition(struct sqa_err *err)
{
    static const struct {
        const char *item;
        int window;
    } rows[] = {{"local:window=4,form=lra", 4},
                {"local:window=5,form=lra", 5},
                {"local:window=1,form=lra", 1},
                {"local:window=16,form=lra", 16}};
    double valid[B * L];
    enum sqa_status status = SQA_OK;

    for (int i = 0; i < B * L; i++)
        valid[i] = i % 3 != 1 && i % 7 != 0;
    for (size_t i = 0; i < 3 * sizeof rows / sizeof *rows && status == SQA_OK; i++) {
        const struct rule r = {rows[i / 3].window, L, i % 3 == 1 ? ragged : NULL, i % 3 == 2 ? valid : NULL};
        const struct sqa_probe p = {.item = rows[i / 3].item,
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .lengths = r.lengths,
                                    .valid = r.valid,
                                    .real = SQA_F64};
        const struct sqa_probe_pairs pairs = {
            .set = lra_pair, .user = &r, .zeros = r.window - L % r.window, .padded = true};

        status = sqa_probe_dense(&p, &pairs, err);
    }
    return status;
}

static const struct sqa_identity identities[] = {
    {"window >= length: softmax attention", one_block},
    {"window = 1: the values", blocks_of_one},
    {"other blocks have no influence", other_blocks},
    {"strided blocks are contiguous ones of the permuted sequence", layouts_agree},
    {"form=lra: its definition, pair by pair, padded and with holes", lra_by_definition},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_local = {
    .id = "local",
    .slot = SQA_SLOT_MIXER,
    .title = "Local attention",
    .source = "Tay et al. 2020 (Long Range Arena), arXiv:2011.04006",
    .complexity = "O(L w D) time, O(L D) memory",
    .help = "Softmax attention inside blocks of `window` positions; blocks do not overlap and do not see each other. "
            "form=lra: positions at equal distances make a block, and the mask of padding is another block's. "
            "Attention stays f32 with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_SUM_TO_ONE | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .lra = lra_defaults,
    .padded = padded,
    .holes = is_lra,
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
