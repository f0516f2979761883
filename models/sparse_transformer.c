/*
 * sparse_transformer.c - softmax attention by two sparse patterns of the Sparse Transformer
 *
 * Computes  softmax(q_i k_j^T / sqrt(d)) v_j over the valid j of A1(i), A2(i) or both, l = block, c = summary:
 *           fixed    A1: j / l = i / l;   A2: j mod l >= l - c
 *           strided  A1: |i - j| < l;     A2: (i - j) mod l = 0
 *           and j <= i when causal. merged: one softmax over A1 and A2; alternate: A1 in even layers (from 0), A2 in
 *           odd ones; split_heads: A1 in the first half of the heads, A2 in the others
 * Shapes    x (B, L, D) -> (B, L, D), made up to n l positions with zeros, n = ceil(L / l). A1 is blocks or a window.
 *           A2 strided: (B, n, l H, d), l columns as heads. A2 fixed: c keys of each block gathered, (B, n c, H, d).
 *           Merged: A1, and what A2 adds, are attentions of their own, merged by their log sum exp
 * Cost      projections, and 4 d + 5 flops for each pair of a head; fixed, causal, merged: n l (l + 1) / 2 + n (n
 *           - 1) l c / 2
 * Source    Child et al. 2019, arXiv:1904.10509, section 4; there causal only: without causal j <= i is left out.
 *           Block 50 and summary 10 are what the LRA code ran (google-research/long-range-arena:
 *           lra_benchmarks/utils/train_utils.py); its own default, and the paper's for text, is 128 and 32.
 *           form=lra: lra_benchmarks/models/sparse_transformer/sparse_attention.py: merged, causal in the encoder
 *           too, and A2 of fixed has j mod l = 0 as well
 * Departs   all heads share one c (the paper also gives them different parts of a block). With a CLS vector in
 *           front the LRA code opens its row and column and begins the pattern behind it; the frame has no CLS
 *           vector. A query without an allowed key gives 0 (A2 of fixed alone, first block)
 */
#include <math.h>
#include <string.h>

#include "engine/ops/support.h"
#include "models/probe.h"

enum { PARTS = 3, FAR = 1 << 30 };

struct self {
    int64_t block, summary;
    const char *pattern, *combine, *form;
};

static const struct sqa_param params[] = {
    {"pattern", "blocks and their last positions, or neighbours and positions at equal distances", SQA_PARAM_CHOICE,
     "fixed", .offset = offsetof(struct self, pattern), .choices = "fixed|strided"},
    {"combine", "how the two sets of a pattern are used", SQA_PARAM_CHOICE, "merged",
     .offset = offsetof(struct self, combine), .choices = "merged|alternate|split_heads"},
    {"block", "positions of a block (fixed), or the stride and the neighbours on a side plus 1 (strided)",
     SQA_PARAM_INT, "50", 1, 1 << 20, .offset = offsetof(struct self, block)},
    {"summary", "last positions of a block that later blocks see (fixed)", SQA_PARAM_INT, "10", 1, 1 << 20,
     .offset = offsetof(struct self, summary)},
    {"form", "the paper's definition, or what the LRA code ran (causal, one more summary position)", SQA_PARAM_CHOICE,
     "paper", .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {.name = NULL},
};

static bool is_merged(const struct self *s)
{
    return strcmp(s->combine, "merged") == 0;
}

static bool is_lra(const struct self *s)
{
    return strcmp(s->form, "lra") == 0;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)task;
    if (is_lra(s) && !is_merged(s))
        return sqa_fail(err, SQA_USAGE,
                        "sparse_transformer: form=lra has one softmax; use combine=merged or form=paper");
    if (strcmp(s->combine, "split_heads") == 0 && frame->heads < 2)
        return sqa_fail(err, SQA_USAGE,
                        "sparse_transformer: split_heads needs 2 heads; use more heads or combine=alternate");
    return SQA_OK;
}

/* What a graph is built for: n blocks of l, of which w positions are gathered. */
struct plan {
    bool strided, causal, first; /* first: of these w, position 0 of a block is one */
    int64_t n, l, c, w, padded;
    int64_t heads[3]; /* of both sets merged, of A1, of A2 */
};

enum { BOTH, A1, A2 };

static struct plan plan_of(const struct self *s, const struct sqa_context *c)
{
    struct plan p = {.strided = strcmp(s->pattern, "strided") == 0, .causal = c->frame.causal || is_lra(s)};

    /* In a single block nothing depends on l, but where the summary positions are. */
    p.l = (p.strided || is_merged(s)) && c->length < s->block ? c->length : s->block;
    p.n = (c->length + p.l - 1) / p.l;
    p.padded = p.n * p.l;
    p.c = s->summary < p.l ? s->summary : p.l;
    p.first = is_lra(s) && p.c < p.l;
    p.w = p.c + p.first;
    if (is_merged(s))
        p.heads[BOTH] = c->frame.heads;
    else if (strcmp(s->combine, "alternate") == 0)
        p.heads[c->layer % 2 ? A2 : A1] = c->frame.heads;
    else
        p.heads[A2] = c->frame.heads / 2, p.heads[A1] = c->frame.heads - p.heads[A2];
    return p;
}

/* sparse_blocks: block m of n sees blocks 0 .. m - 1, or all but m */

struct blocks {
    int64_t n, causal;
};

static enum sqa_status blocks_shape(struct sqa_node *node, struct sqa_err *err)
{
    const struct blocks *a = node->attr;

    (void)err;
    sqa_set_output(node, 0, SQA_I32, SQA_DIMS(a->n + 1));
    sqa_set_output(node, 1, SQA_I32, SQA_DIMS(a->n * (a->n - 1) / (a->causal ? 2 : 1)));
    return SQA_OK;
}

static void blocks_run(const struct sqa_node *node, const struct sqa_run *r)
{
    const struct blocks *a = node->attr;
    int32_t *start = sqa_data(node->out[0]), *key = sqa_data(node->out[1]), at = 0;

    (void)r;
    for (int64_t m = 0; m < a->n; m++) {
        start[m] = at;
        for (int64_t j = 0; j < (a->causal ? m : a->n); j++)
            if (j != m)
                key[at++] = (int32_t)j;
    }
    start[a->n] = at;
}

static const struct sqa_op op_blocks = {
    .name = "sparse_blocks",
    .help = "earlier blocks, or other blocks, of each block",
    .shape = blocks_shape,
    .run = blocks_run,
};

/* Parts of one softmax: o (B, n l, H, d) and lse (B, H, n l) of each */

struct parts {
    struct sqa_tensor *o[PARTS], *lse[PARTS];
    int count;
};

static void add_part(struct parts *to, struct sqa_tensor *o, struct sqa_tensor *lse)
{
    to->o[to->count] = o;
    to->lse[to->count++] = lse;
}

static void add_first(struct sqa_context *c, const struct plan *p, const struct sqa_heads *h,
                      struct sqa_attention_spec spec, struct sqa_tensor *lengths, struct parts *to)
{
    spec.causal = p->causal;
    spec.local = p->strided ? 0 : p->l;
    spec.window = p->strided;
    spec.left = spec.right = p->l - 1;
    struct sqa_tensor *o = sqa_attention(c->g, h->q, h->k, h->v, lengths, spec);
    add_part(to, o, sqa_attention_lse(o));
}

static struct sqa_tensor *reshaped(struct sqa_context *c, struct sqa_tensor *x, int64_t a, int64_t b, int64_t heads)
{
    return x != NULL ? sqa_reshape(c->g, x, SQA_DIMS(a, b, heads, x->dim[3])) : NULL;
}

/* Columns as heads. spec has causal or a window that leaves the column's own position out. */
static void add_columns(struct sqa_context *c, const struct plan *p, const struct sqa_heads *h,
                        struct sqa_attention_spec spec, struct sqa_tensor *lengths, struct parts *to)
{
    const int64_t B = c->batch, n = p->n, l = p->l, H = h->q != NULL ? h->q->dim[2] : 1;
    const struct sqa_periodic column = {.period = l, .width = 1, .columns = l, .repeat = H};
    struct sqa_tensor *keys = p->causal ? NULL : sqa_count_before(c->g, lengths, B, c->length, column);
    struct sqa_tensor *o = sqa_attention(c->g, reshaped(c, h->q, B, n, l * H), reshaped(c, h->k, B, n, l * H),
                                         reshaped(c, h->v, B, n, l * H), keys, spec);
    struct sqa_tensor *lse = sqa_attention_lse(o);

    if (lse != NULL)
        lse = sqa_permute(c->g, sqa_reshape(c->g, lse, SQA_DIMS(B, l, H, n)), (const int[]){0, 2, 3, 1});
    add_part(to, reshaped(c, o, B, n * l, H), sqa_reshape(c->g, lse, SQA_DIMS(B, H, n * l)));
}

/* The summary positions of every block: (B, n w, H, d) */
static struct sqa_tensor *gather(struct sqa_context *c, const struct plan *p, struct sqa_tensor *x)
{
    if (x == NULL)
        return NULL;
    const int64_t H = x->dim[2], d = x->dim[3];
    struct sqa_tensor *blocks = sqa_reshape(c->g, x, SQA_DIMS(c->batch, p->n, p->l, H, d));
    struct sqa_tensor *both[2] = {sqa_slice(c->g, blocks, 2, 0, 1), sqa_slice(c->g, blocks, 2, p->l - p->c, p->c)};

    return reshaped(
        c,
        sqa_reshape(c->g, p->first ? sqa_concat(c->g, 2, 2, both) : both[1], SQA_DIMS(c->batch, p->n * p->w, H, d)),
        c->batch, p->n * p->w, H);
}

/* Summary positions of earlier blocks (causal) or other blocks; `all`: of all blocks. */
static void add_summaries(struct sqa_context *c, const struct plan *p, const struct sqa_heads *h,
                          struct sqa_attention_spec spec, struct sqa_tensor *lengths, bool all, struct parts *to)
{
    const struct blocks a = {p->n, p->causal};
    const struct sqa_periodic set = {.start = p->l - p->c, .period = p->l, .width = p->c};
    struct sqa_attention_masks masks = {.lengths = NULL};

    if (!p->causal)
        masks.lengths = sqa_count_before(c->g, lengths, c->batch, c->length, set);
    if (!all) {
        masks.start = sqa_apply(c->g, &op_blocks, &a, sizeof a, 0, NULL);
        masks.key = masks.start != NULL ? masks.start->node->out[1] : NULL;
        spec.block = p->l;
        spec.key_block = p->w;
    }
    struct sqa_tensor *o = sqa_attention_masked(c->g, h->q, gather(c, p, h->k), gather(c, p, h->v), masks, spec);
    add_part(to, o, sqa_attention_lse(o));
}

/* The summary positions of the own block, at or before the query; causal. */
static void add_own_summary(struct sqa_context *c, const struct plan *p, const struct sqa_heads *h,
                            struct sqa_attention_spec spec, struct parts *to)
{
    const int64_t B = c->batch, n = p->n, l = p->l, H = h->q != NULL ? h->q->dim[2] : 1;

    spec.window = true;
    spec.left = FAR;
    spec.right = p->c - l;
    struct sqa_tensor *o = sqa_attention(
        c->g, reshaped(c, h->q, B * n, l, H), sqa_slice(c->g, reshaped(c, h->k, B * n, l, H), 1, l - p->c, p->c),
        sqa_slice(c->g, reshaped(c, h->v, B * n, l, H), 1, l - p->c, p->c), NULL, spec);
    struct sqa_tensor *lse = sqa_attention_lse(o);

    if (lse != NULL)
        lse = sqa_permute(c->g, sqa_reshape(c->g, lse, SQA_DIMS(B, n, H, l)), (const int[]){0, 2, 1, 3});
    add_part(to, reshaped(c, o, B, n * l, H), sqa_reshape(c->g, lse, SQA_DIMS(B, H, n * l)));
}

/* What A2 adds to A1 */
static void add_rest(struct sqa_context *c, const struct plan *p, const struct sqa_heads *h,
                     struct sqa_attention_spec spec, struct sqa_tensor *lengths, struct parts *to)
{
    if (p->n == 1)
        return;
    if (!p->strided) {
        add_summaries(c, p, h, spec, lengths, false, to);
        return;
    }
    spec.window = true;
    spec.left = FAR;
    spec.right = -1;
    add_columns(c, p, h, spec, lengths, to);
    spec.left = -1;
    spec.right = FAR;
    if (!p->causal)
        add_columns(c, p, h, spec, lengths, to);
}

static void add_second(struct sqa_context *c, const struct plan *p, const struct sqa_heads *h,
                       struct sqa_attention_spec spec, struct sqa_tensor *lengths, struct parts *to)
{
    if (p->strided) {
        spec.causal = p->causal;
        add_columns(c, p, h, spec, lengths, to);
        return;
    }
    if (!p->causal || p->n > 1)
        add_summaries(c, p, h, spec, lengths, !p->causal, to);
    if (p->causal)
        add_own_summary(c, p, h, spec, to);
}

/* One of BOTH, A1, A2 for heads first .. first + count - 1 */
static struct sqa_tensor *attend(struct sqa_context *c, const struct plan *p, struct sqa_heads h, int set,
                                 int64_t first, struct sqa_tensor *lengths)
{
    const struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)(c->frame.dim / c->frame.heads)),
                                            .dropout = c->frame.attention_dropout};
    const int64_t count = p->heads[set];
    struct parts parts = {.count = 0};

    if (count < c->frame.heads)
        h = (struct sqa_heads){sqa_slice(c->g, h.q, 2, first, count), sqa_slice(c->g, h.k, 2, first, count),
                               sqa_slice(c->g, h.v, 2, first, count)};
    if (set != A2)
        add_first(c, p, &h, spec, lengths, &parts);
    if (set == BOTH)
        add_rest(c, p, &h, spec, lengths, &parts);
    if (set == A2)
        add_second(c, p, &h, spec, lengths, &parts);
    return parts.count > 1 ? sqa_attention_merge(c->g, parts.count, parts.o, parts.lse) : parts.o[0];
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct plan p = plan_of(self, c);
    struct sqa_tensor *lengths = c->lengths, *o[3] = {NULL};
    int64_t first = 0;
    int sets = 0;

    if (p.padded > c->length) {
        x = sqa_pad(c->g, x, 1, 0, p.padded - c->length);
        if (lengths == NULL && !p.causal)
            lengths = sqa_count_before(c->g, NULL, c->batch, c->length, (struct sqa_periodic){.start = 0});
    }
    const struct sqa_heads h = sqa_project_heads(c, x);
    for (int set = BOTH; set <= A2; set++)
        if (p.heads[set] > 0) {
            o[sets++] = attend(c, &p, h, set, first, lengths);
            first += p.heads[set];
        }
    struct sqa_tensor *all = sets > 1 ? sqa_concat(c->g, 2, sets, o) : o[0];
    return sqa_merge_heads(c, p.padded > c->length ? sqa_slice(c->g, all, 1, 0, c->length) : all);
}

/* Pairs of a head, and the parts they are in */
static double pairs_of(const struct plan *p, int set, double *parts)
{
    const double n = (double)p->n, l = (double)p->l, c = (double)p->c, w = (double)p->w;
    const double earlier = n * (n - 1) / 2, both = p->causal ? 1 : 2;
    double pairs = 0;

    *parts = 1;
    if (set == A2 && p->strided)
        return p->causal ? l * n * (n + 1) / 2 : l * n * n;
    if (set == A2) {
        *parts = p->causal && p->n > 1 ? 2 : 1;
        return p->causal ? earlier * l * c + n * c * (c + 1) / 2 : n * l * n * c;
    }
    if (!p->strided)
        pairs = p->causal ? n * l * (l + 1) / 2 : n * l * l;
    for (int64_t i = 0; p->strided && i < p->padded; i++) {
        const int64_t left = sqa_min64(i, p->l - 1), right = sqa_min64(p->padded - 1 - i, p->l - 1);

        pairs += (double)(left + 1 + (p->causal ? 0 : right));
    }
    if (set == BOTH && p->n > 1) {
        *parts = p->strided ? 1 + both : 2;
        pairs += both * earlier * l * (p->strided ? 1 : w);
    }
    return pairs;
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct plan p = plan_of(self, c);
    const double D = (double)c->frame.dim, d = D / (double)c->frame.heads, rows = (double)p.padded;
    double sum = (3 * rows + (double)c->length) * D * (2 * D + (c->frame.bias ? 1 : 0));

    for (int set = BOTH; set <= A2; set++) {
        double parts;
        const double pairs = pairs_of(&p, set, &parts);

        sum += (double)p.heads[set] * (pairs * (4 * d + 5) + (parts > 1 ? rows * parts * (2 * d + 5) : 0));
    }
    return (double)c->batch * sum;
}

/* Identities */

enum { B = 2, L = 23, D = 8, H = 2 };

static const int32_t ragged[B] = {L, 14};

struct rule {
    bool strided, causal, split, first;
    int l, c;
    const int32_t *lengths;
};

static bool in_first(const struct rule *r, int i, int j)
{
    return (j <= i || !r->causal) && (r->strided ? j - i < r->l && i - j < r->l : j / r->l == i / r->l);
}

static bool in_second(const struct rule *r, int i, int j)
{
    return (j <= i || !r->causal) &&
           (r->strided ? (i - j) % r->l == 0 : j % r->l >= r->l - r->c || (r->first && j % r->l == 0));
}

static int pair(const void *user, int b, int h, int i, int j)
{
    const struct rule *r = user;

    if (j >= (r->lengths != NULL ? r->lengths[b] : L))
        return 0;
    if (r->split)
        return h == 0 ? in_first(r, i, j) : in_second(r, i, j);
    return in_first(r, i, j) || in_second(r, i, j);
}

static enum sqa_status equals_definition(struct sqa_err *err)
{
    static const struct {
        const char *item;
        struct rule r;
    } rows[] = {
        {"sparse_transformer:block=5,summary=2", {.l = 5, .c = 2}},
        {"sparse_transformer:block=4,summary=9", {.l = 4, .c = 4}},
        {"sparse_transformer:block=1,summary=1", {.l = 1, .c = 1}},
        {"sparse_transformer:block=23,summary=3", {.l = 23, .c = 3}},
        {"sparse_transformer:block=5,summary=2,combine=split_heads", {.l = 5, .c = 2, .split = true}},
        {"sparse_transformer:block=30,summary=9,combine=split_heads", {.l = 30, .c = 9, .split = true}},
        {"sparse_transformer:block=5,pattern=strided", {.l = 5, .strided = true}},
        {"sparse_transformer:block=1,pattern=strided", {.l = 1, .strided = true}},
        {"sparse_transformer:block=22,pattern=strided", {.l = 22, .strided = true}},
        {"sparse_transformer:block=4,pattern=strided,combine=split_heads", {.l = 4, .strided = true, .split = true}},
        {"sparse_transformer:block=30,pattern=strided,combine=split_heads",
         {.l = 30, .strided = true, .split = true}},
        {"sparse_transformer:block=5,summary=2,form=lra", {.l = 5, .c = 2, .first = true, .causal = true}},
        {"sparse_transformer:block=5,summary=5,form=lra", {.l = 5, .c = 5, .first = true, .causal = true}},
        {"sparse_transformer:block=5,pattern=strided,form=lra", {.l = 5, .strided = true, .causal = true}},
    };
    enum sqa_status status = SQA_OK;

    for (size_t i = 0; i < 4 * sizeof rows / sizeof *rows && status == SQA_OK; i++) {
        struct rule r = rows[i / 4].r;
        const struct sqa_probe p = {.item = rows[i / 4].item,
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = i % 2 != 0,
                                    .lengths = i & 2 ? ragged : NULL,
                                    .real = SQA_F64};

        r.causal = r.causal || p.causal;
        r.lengths = p.lengths;
        status = sqa_probe_dense(&p, &(struct sqa_probe_pairs){.set = pair, .user = &r}, err);
    }
    return status;
}

static enum sqa_status one_block(struct sqa_err *err)
{
    static const char *const items[] = {"sparse_transformer", "sparse_transformer:pattern=strided",
                                        "sparse_transformer:block=23,pattern=strided", "sparse_transformer:form=lra"};
    double x[B * L * D], y[B * L * D], expect[B * L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (int i = 0; i < 8 && status == SQA_OK; i++) {
        struct sqa_probe p = {.item = items[i / 2],
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = H,
                              .causal = i % 2 != 0,
                              .seed = 3,
                              .real = SQA_F64};

        status = sqa_probe_run(&p, x, y, err);
        p.item = "transformer";
        p.causal = p.causal || i >= 6;
        if (status == SQA_OK)
            status = sqa_probe_run(&p, x, expect, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(items[i / 2], sqa_probe_difference(y, expect, B * L * D), 1e-13, err);
    }
    return status;
}

/* Two layers carry every position to every later one: some m that i sees, by A1 or A2, sees j. */
static enum sqa_status two_steps(struct sqa_err *err)
{
    for (int strided = 0; strided < 2; strided++) {
        const struct rule r = {.strided = strided != 0, .causal = true, .l = 5, .c = 1};

        for (int i = 0; i < L; i++)
            for (int j = 0; j <= i; j++) {
                bool found = false;

                for (int m = j; m <= i && !found; m++)
                    found = (in_first(&r, i, m) || in_second(&r, i, m)) && in_first(&r, m, j);
                if (!found)
                    return sqa_fail(err, SQA_NO, "sparse_transformer: %d is not reached from %d in two steps", j, i);
            }
    }
    return SQA_OK;
}

static const struct sqa_identity identities[] = {
    {"equals its definition, causal and padded", equals_definition},
    {"block >= length: softmax attention", one_block},
    {"two steps reach every earlier position", two_steps},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_sparse_transformer = {
    .id = "sparse_transformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Sparse Transformer",
    .source = "Child et al. 2019, arXiv:1904.10509, section 4",
    .complexity = "O(L (l + L / l) D) strided, O(L (l + L c / l) D) fixed; O(L D) memory",
    .help =
        "Softmax attention to the own block and the last positions of the others (fixed), or to neighbours and "
        "every block-th position (strided). form=lra: causal always, and the first position of each block is seen "
        "too. Attention stays f32 with --dtype bf16, but for blocks.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_SUM_TO_ONE | SQA_TRAIT_LINEAR_MEMORY,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
