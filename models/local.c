/*
 * local.c - softmax attention inside blocks
 *
 * Computes  the sequence in nb = ceil(L / w) blocks of w positions, w = min(window, L); in each block
 *           softmax(q k^T / sqrt(d)) v over its valid keys (and j <= i when causal).
 *           contiguous: block b is b w, b w + 1, ...; strided: b, b + nb, ...
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v padded to nb w positions and seen as (B nb, w, H, d)
 * Cost      projections, and 4 d + 5 flops for each of the nb P pairs of a head; P = w^2, causal w (w + 1) / 2
 * Source    local attention of Long Range Arena, Tay et al. 2020, arXiv:2011.04006; window 50 is its default
 *           (google-research/long-range-arena: lra_benchmarks/models/local/local_attention.py)
 * Departs   that code's blocks are strided sets although its paper describes contiguous ones: both are here, and
 *           contiguous is the default. It pads a full block when w divides L and counts padding as valid; not here.
 *           Strided blocks depend on the padded length, so the promise about padding holds for contiguous ones
 */
#include <math.h>
#include <string.h>

#include "engine/ops/support.h"
#include "models/probe.h"

struct self {
    int64_t window;
    const char *layout;
};

static const struct sqa_param params[] = {
    {"window", "positions of a block", SQA_PARAM_INT, "50", 1, 1 << 20, .offset = offsetof(struct self, window)},
    {"layout", "neighbours in a block, or positions at equal distances (as the LRA code has it)", SQA_PARAM_CHOICE,
     "contiguous", .offset = offsetof(struct self, layout), .choices = "contiguous|strided"},
    {.name = NULL},
};

static bool is_strided(const struct self *s)
{
    return strcmp(s->layout, "strided") == 0;
}

/* block_lengths: valid positions of each block; they stand at its front in both layouts. */

struct block_lengths {
    int64_t batch, length, window, blocks;
    bool strided;
};

static enum sqa_status block_lengths_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct block_lengths *a = n->attr;

    sqa_set_output(n, 0, SQA_I32, SQA_DIMS(a->batch * a->blocks));
    return n->nin == 0 ? SQA_OK : sqa_check_lengths(n, 0, a->batch, err);
}

static void block_lengths_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct block_lengths *a = n->attr;
    int32_t *y = sqa_data(n->out[0]);

    (void)r;
    for (int64_t b = 0; b < a->batch; b++) {
        const int64_t valid = sqa_length_at(n->nin == 0 ? NULL : n->in[0], b, a->length);

        for (int64_t i = 0; i < a->blocks; i++) {
            const int64_t count = a->strided ? (valid - i + a->blocks - 1) / a->blocks : valid - i * a->window;

            y[b * a->blocks + i] = (int32_t)sqa_max64(0, sqa_min64(count, a->window));
        }
    }
}

static const struct sqa_op op_block_lengths = {
    .name = "block_lengths",
    .help = "valid positions of each block of a sequence",
    .shape = block_lengths_shape,
    .run = block_lengths_run,
};

/* x (B, L, H, d) -> (B blocks, window, H, d), and back. */
static struct sqa_tensor *into_blocks(struct sqa_graph *g, struct sqa_tensor *x, const struct block_lengths *a)
{
    int64_t H, d;

    if (x == NULL)
        return NULL;
    H = x->dim[2];
    d = x->dim[3];
    x = sqa_pad(g, x, 1, 0, a->blocks * a->window - a->length);
    if (a->strided) {
        x = sqa_reshape(g, x, SQA_DIMS(a->batch, a->window, a->blocks, H, d));
        x = sqa_transpose(g, x, 1, 2);
    }
    return sqa_reshape(g, x, SQA_DIMS(a->batch * a->blocks, a->window, H, d));
}

static struct sqa_tensor *out_of_blocks(struct sqa_graph *g, struct sqa_tensor *x, const struct block_lengths *a)
{
    int64_t H, d;

    if (x == NULL)
        return NULL;
    H = x->dim[2];
    d = x->dim[3];
    if (a->strided) {
        x = sqa_reshape(g, x, SQA_DIMS(a->batch, a->blocks, a->window, H, d));
        x = sqa_transpose(g, x, 1, 2);
    }
    x = sqa_reshape(g, x, SQA_DIMS(a->batch, a->blocks * a->window, H, d));
    return a->blocks * a->window == a->length ? x : sqa_slice(g, x, 1, 0, a->length);
}

static struct block_lengths blocks_of(const struct self *s, const struct sqa_context *c)
{
    const int64_t window = sqa_max64(1, sqa_min64(s->window, c->length));

    return (struct block_lengths){c->batch, c->length, window, (c->length + window - 1) / window, is_strided(s)};
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct block_lengths a = blocks_of(self, c);
    const bool padded = a.blocks * a.window != a.length || c->lengths != NULL;
    const struct sqa_heads h = sqa_project_heads(c, x);
    const struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)(c->frame.dim / c->frame.heads)),
                                            .causal = c->frame.causal != 0,
                                            .dropout = c->frame.attention_dropout};
    struct sqa_tensor *lengths = NULL, *o;

    if (padded)
        lengths = sqa_apply(c->g, &op_block_lengths, &a, sizeof a, c->lengths != NULL, &c->lengths);
    o = sqa_attention(c->g, into_blocks(c->g, h.q, &a), into_blocks(c->g, h.k, &a), into_blocks(c->g, h.v, &a),
                      lengths, spec);
    return sqa_merge_heads(c, out_of_blocks(c->g, o, &a));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct block_lengths a = blocks_of(self, c);
    const double w = (double)a.window, pairs = c->frame.causal ? w * (w + 1) / 2 : w * w;

    return sqa_heads_flops(c) +
           (double)(a.batch * a.blocks) * pairs * (4 * (double)c->frame.dim + 5 * (double)c->frame.heads);
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

static const struct sqa_identity identities[] = {
    {"window >= length: softmax attention", one_block},
    {"window = 1: the values", blocks_of_one},
    {"other blocks have no influence", other_blocks},
    {"strided blocks are contiguous ones of the permuted sequence", layouts_agree},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_local = {
    .id = "local",
    .slot = SQA_SLOT_MIXER,
    .title = "Local attention",
    .source = "Tay et al. 2020 (Long Range Arena), arXiv:2011.04006",
    .complexity = "O(L w D) time, O(L D) memory",
    .help = "Softmax attention inside blocks of `window` positions; blocks do not overlap and do not see each other.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_SUM_TO_ONE | SQA_TRAIT_LINEAR_MEMORY,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
    .identities = identities,
};
