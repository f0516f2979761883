/*
 * longformer.c - softmax attention in a sliding window, and to and from some global positions
 *
 * Computes  row i, not global: softmax(q_i k_j^T / sqrt(d)) v_j over the valid j of the window i - left .. i + right
 *           and the global ones; row i, global: the same over all valid j with projections of its own (wqg, wkg,
 *           wvg). Global are the first `globals` positions. causal: of all these only j <= i
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, d); window and global columns are two attentions of rows
 *           globals .. L - 1, merged by their log sum exp
 * Cost      projections (with global positions two more of L rows and one of the global rows), and 4 d + 5 flops
 *           for each pair of a head
 * Source    Beltagy et al. 2020, arXiv:2004.05150, sections 3.1 and 3.2; window 512 is also the LRA code's. The
 *           first position is global, as the paper has it in classification. form=lra:
 *           google-research/long-range-arena: lra_benchmarks/models/longformer/longformer_attention.py: left is
 *           window - window / 2 - 1 and right window / 2 (255 and 256; its comment says the opposite), no position
 *           is global, and the second projections are parameters that nothing reads (it computes them; weight
 *           decay is all that reaches them)
 * Departs   no dilation; wqg, wkg, wvg start at random, not as copies of the window's (as in the LRA code)
 */
#include <math.h>
#include <string.h>

#include "models/probe.h"

struct self {
    int64_t window, globals;
    const char *form;
};

static const struct sqa_param params[] = {
    {"window", "positions of the window beside its own: half of them on each side", SQA_PARAM_INT, "512", 0, 1 << 24,
     .offset = offsetof(struct self, window)},
    {"globals", "global positions, the first of the sequence; form=lra has none", SQA_PARAM_INT, "1", 0, 1 << 20,
     .offset = offsetof(struct self, globals)},
    {"form", "the paper's definition, or what the LRA code ran", SQA_PARAM_CHOICE, "paper",
     .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)frame, (void)task;
    if (strcmp(s->form, "lra") == 0 && s->window == 0)
        return sqa_fail(err, SQA_USAGE,
                        "longformer: form=lra counts the own position in its window; use window from 1");
    return SQA_OK;
}

/* What a graph is built for: g global rows, the window to both sides. */
struct plan {
    int64_t g, left, right;
    bool lra;
};

static struct plan plan_of(const struct self *s, int64_t length)
{
    const bool lra = strcmp(s->form, "lra") == 0;
    const int64_t half = s->window / 2, left = lra ? s->window - half - 1 : half;
    const int64_t g = lra ? 0 : s->globals;

    return (struct plan){.g = g < length ? g : length, .left = left, .right = half, .lra = lra};
}

static const char *const global_names[] = {"wqg", "wkg", "wvg"};

/* Rows of x by a global projection, as heads */
static struct sqa_tensor *global_heads(struct sqa_context *c, int i, struct sqa_tensor *x)
{
    const struct sqa_frame *f = &c->frame;

    if (x == NULL)
        return NULL;
    return sqa_reshape(c->g, sqa_dense_layer(c, global_names[i], x, f->dim, f->bias != 0),
                       SQA_DIMS(x->dim[0], x->dim[1], f->heads, f->dim / f->heads));
}

/* Rows g .. L - 1: the window among them, merged with the global columns. */
static struct sqa_tensor *window_rows(struct sqa_context *c, const struct plan *p, const struct sqa_heads *h,
                                      struct sqa_attention_spec spec)
{
    const int64_t g = p->g, rest = c->length - g;
    const struct sqa_attention_spec to_globals = {.scale = spec.scale, .dropout = spec.dropout};
    struct sqa_tensor *lengths = c->lengths, *part[2], *lse[2];

    spec.window = true;
    spec.left = p->left;
    spec.right = p->right;
    if (g == 0)
        return sqa_attention(c->g, h->q, h->k, h->v, lengths, spec);
    if (lengths != NULL)
        lengths = sqa_count_before(c->g, lengths, c->batch, c->length, (struct sqa_periodic){.start = g});
    struct sqa_tensor *q = sqa_slice(c->g, h->q, 1, g, rest);
    part[0] =
        sqa_attention(c->g, q, sqa_slice(c->g, h->k, 1, g, rest), sqa_slice(c->g, h->v, 1, g, rest), lengths, spec);
    part[1] = sqa_attention(c->g, q, sqa_slice(c->g, h->k, 1, 0, g), sqa_slice(c->g, h->v, 1, 0, g), c->lengths,
                            to_globals);
    lse[0] = sqa_attention_lse(part[0]);
    lse[1] = sqa_attention_lse(part[1]);
    return sqa_attention_merge(c->g, 2, part, lse);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct plan p = plan_of(s, c->length);
    const struct sqa_heads h = sqa_project_heads(c, x);
    const struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)(c->frame.dim / c->frame.heads)),
                                            .causal = c->frame.causal != 0,
                                            .dropout = c->frame.attention_dropout};
    struct sqa_tensor *own[3], *rows[2];

    if (p.g == 0 && !p.lra)
        return sqa_merge_heads(c, window_rows(c, &p, &h, spec));
    own[0] = global_heads(c, 0, sqa_slice(c->g, x, 1, 0, p.g > 0 ? p.g : 1));
    own[1] = global_heads(c, 1, x);
    own[2] = global_heads(c, 2, x);
    if (p.g == 0)
        return sqa_merge_heads(c, window_rows(c, &p, &h, spec));
    rows[0] = sqa_attention(c->g, own[0], own[1], own[2], c->lengths, spec);
    if (p.g == c->length)
        return sqa_merge_heads(c, rows[0]);
    rows[1] = window_rows(c, &p, &h, spec);
    return sqa_merge_heads(c, sqa_concat(c->g, 1, 2, rows));
}

/* Allowed pairs of n rows that see a window of each other */
static double window_pairs(const struct plan *p, int64_t n, bool causal)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        const int64_t left = i < p->left ? i : p->left, right = n - 1 - i < p->right ? n - 1 - i : p->right;

        sum += (double)(left + 1 + (causal ? 0 : right));
    }
    return sum;
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct plan p = plan_of(self, c->length);
    const bool causal = c->frame.causal != 0;
    const double D = (double)c->frame.dim, H = (double)c->frame.heads, L = (double)c->length, g = (double)p.g;
    const double row = D * (2 * D + (c->frame.bias ? 1 : 0)); /* of a projection */
    double pairs = window_pairs(&p, c->length - p.g, causal), rows = 4 * L, merged = 0;

    if (p.g > 0) {
        pairs += (L - g) * g + (causal ? g * (g + 1) / 2 : g * L);
        rows = p.g < c->length ? 6 * L + g : 4 * L;
        merged = (L - g) * 2 * (2 * D + 5 * H);
    }
    return (double)c->batch * (rows * row + pairs * (4 * D + 5 * H) + merged);
}

/* Identities */

enum { B = 2, L = 13, D = 8, H = 2 };

static const int32_t ragged[B] = {L, 8};

struct rule {
    int globals, left, right, causal;
    const int32_t *lengths;
};

static int pair(const void *user, int b, int h, int i, int j)
{
    const struct rule *r = user;

    (void)h;
    if (j >= (r->lengths != NULL ? r->lengths[b] : L) || (r->causal && j > i))
        return 0;
    return i < r->globals ? 2 : j < r->globals || (i - r->left <= j && j <= i + r->right);
}

static enum sqa_status equals_definition(struct sqa_err *err)
{
    static const struct {
        const char *item;
        int globals, left, right;
    } rows[] = {
        {"longformer:window=4", 1, 2, 2},           {"longformer:window=5,globals=3", 3, 2, 2},
        {"longformer:window=0,globals=2", 2, 0, 0}, {"longformer:window=6,globals=0", 0, 3, 3},
        {"longformer:window=4,globals=9", 9, 2, 2}, {"longformer:window=6,form=lra", 0, 2, 3},
        {"longformer:window=5,form=lra", 0, 2, 2},  {"longformer", 1, 256, 256},
    };
    enum sqa_status status = SQA_OK;

    for (size_t i = 0; i < 4 * sizeof rows / sizeof *rows && status == SQA_OK; i++) {
        const struct rule r = {rows[i / 4].globals, rows[i / 4].left, rows[i / 4].right, i % 2,
                               i & 2 ? ragged : NULL};
        const struct sqa_probe p = {.item = rows[i / 4].item,
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = H,
                                    .causal = r.causal != 0,
                                    .lengths = r.lengths,
                                    .real = SQA_F64};

        status = sqa_probe_dense(&p, &(struct sqa_probe_pairs){.set = pair, .user = &r}, err);
    }
    return status;
}

struct weights {
    double w[3][D * D];
};

/* The second projections get the numbers that the first ones of the other model have. */
static void set_both(struct sqa_store *s, void *user)
{
    static const char *const names[2][3] = {{"mixer.wq.w", "mixer.wk.w", "mixer.wv.w"},
                                            {"mixer.wqg.w", "mixer.wkg.w", "mixer.wvg.w"}};
    const struct weights *w = user;

    for (int i = 0; i < 6; i++)
        sqa_probe_set(s, names[i / 3][i % 3], w->w[i % 3]);
    sqa_probe_set_identity(s, "mixer.wo.w");
}

static enum sqa_status is_softmax(struct sqa_err *err)
{
    static const char *const items[] = {"longformer:globals=13", "longformer:globals=99,window=2",
                                        "longformer:window=26", "longformer:window=26,globals=0"};
    double x[B * L * D], y[B * L * D], expect[B * L * D];
    struct weights w;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    sqa_probe_normal(2, w.w[0], sizeof w / sizeof(double));
    for (size_t i = 0; i < 2 * sizeof items / sizeof *items && status == SQA_OK; i++) {
        struct sqa_probe p = {.item = items[i / 2],
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = H,
                              .causal = i % 2 != 0,
                              .real = SQA_F64,
                              .edit = set_both,
                              .user = &w};

        status = sqa_probe_run(&p, x, y, err);
        p.item = "transformer";
        if (status == SQA_OK)
            status = sqa_probe_run(&p, x, expect, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(items[i / 2], sqa_probe_difference(y, expect, B * L * D), 1e-13, err);
    }
    return status;
}

/* The last input reaches the first output of a second layer through the global position only. */
static enum sqa_status crosses(struct sqa_err *err)
{
    double x[L * D], y[L * D], z[L * D];
    struct sqa_probe p = {
        .item = "longformer:window=2", .batch = 1, .length = L, .dim = D, .heads = H, .real = SQA_F64};
    enum sqa_status status = SQA_OK;

    for (int globals = 0; globals < 2 && status == SQA_OK; globals++) {
        double moved;

        p.item = globals ? "longformer:window=2" : "longformer:window=2,globals=0";
        sqa_probe_normal(4, x, L * D);
        status = sqa_probe_run(&p, x, y, err);
        if (status == SQA_OK)
            status = sqa_probe_run(&p, y, y, err);
        x[(L - 1) * D] += 1;
        if (status == SQA_OK)
            status = sqa_probe_run(&p, x, z, err);
        if (status == SQA_OK)
            status = sqa_probe_run(&p, z, z, err);
        moved = sqa_probe_difference(y + 4 * D, z + 4 * D, D);
        if (status == SQA_OK && (moved > 1e-6) != (globals == 1))
            status = sqa_fail(err, SQA_NO, "longformer: two layers with %d global positions carry %g from end to end",
                              globals, moved);
    }
    return status;
}

static const struct sqa_identity identities[] = {
    {"equals its definition, causal and padded", equals_definition},
    {"all positions global, or window >= 2 length and equal projections: softmax attention", is_softmax},
    {"a global position carries information over any distance in two layers", crosses},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_longformer = {
    .id = "longformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Longformer",
    .source = "Beltagy et al. 2020, arXiv:2004.05150, sections 3.1 and 3.2",
    .complexity = "O(L (window + globals) D) time, O(L D) memory",
    .help =
        "Softmax attention in a sliding window of `window` positions; the first `globals` positions see all and "
        "are seen by all. form=lra: 255 to the left and 256 to the right, no global position. Attention stays f32 "
        "with --dtype bf16.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
