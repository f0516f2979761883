/*
 * linformer.c - softmax attention to a fixed number of mixed keys
 *
 * Computes  softmax(q (E^T k)^T / sqrt(d)) (F^T v) with E, F (max_length, r) over positions, shared by all heads
 * Shapes    x (B, L, D) -> (B, L, D); E and F are cut to their first L rows; mixed keys and values (B, r, H, d)
 *           where r < L the inputs are mixed first and r rows projected: E^T (x W + b) = (E^T x) W + (E^T 1) b
 * Cost      r < L: query and output projections, one mixing 2 B L r D (two when not shared), 4 B r D Q, and L r pairs
 *           a head of 4 d + 5 flops; otherwise all projections, two mixings and the pairs
 * Source    Wang et al. 2020, arXiv:2006.04768, equation (7). E, F ~ N(0, 1 / r) as in its analysis. One E = F for
 *           all heads is its key-value sharing and what the LRA code does (google-research/long-range-arena:
 *           lra_benchmarks/models/linformer/linformer_attention.py). Rank 256 is the lite protocol's. form=lra is
 *           that code: padding is mixed in, E = F Xavier-uniform, rank 16
 * Departs   form=paper: keys and values at padding are set to 0 before they are mixed
 */
#include <math.h>
#include <string.h>

#include "models/probe.h"

struct self {
    int64_t rank, share;
    const char *form;
};

static const struct sqa_param params[] = {
    {"rank", "mixed keys", SQA_PARAM_INT, "256", 1, 1 << 16, .offset = offsetof(struct self, rank)},
    {"share", "keys and values are mixed by the same matrix", SQA_PARAM_BOOL, "1",
     .offset = offsetof(struct self, share)},
    {"form", "the paper's definition, or what the LRA code ran (padding mixed in, rank 16)", SQA_PARAM_CHOICE,
     "paper", .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {.name = NULL},
};

static const struct sqa_default lra_defaults[] = {{"rank", "16"}, {NULL, NULL}};

static bool is_lra(const void *self)
{
    return strcmp(((const struct self *)self)->form, "lra") == 0;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)task;
    if (is_lra(self) && !((const struct self *)self)->share)
        return sqa_fail(err, SQA_USAGE,
                        "linformer: form=lra has one projection; leave share=0 out or use form=paper");
    if (frame->causal)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "linformer: mixed keys hold all positions, so there is no causal form; use "
                        "causal=0, or linear_transformer or performer");
    return SQA_OK;
}

/* What padding is told by: form=lra is not. */
static struct sqa_tensor *lengths_of(const struct self *s, const struct sqa_context *c)
{
    return is_lra(s) ? NULL : c->lengths;
}

/* The matrix of that name, its first L rows. */
static struct sqa_tensor *mixing(const struct self *s, struct sqa_context *c, const char *name)
{
    const struct sqa_init xavier = {.kind = SQA_INIT_XAVIER};
    const struct sqa_init normal = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1 / sqrt((double)s->rank)};
    struct sqa_tensor *e =
        sqa_param_tensor(c, name, SQA_GROUP_REGULAR, is_lra(s) ? xavier : normal, SQA_DIMS(c->max_length, s->rank));

    return c->length == c->max_length ? e : sqa_slice(c->g, e, 0, 0, c->length);
}

/* Fewer rows to project when they are mixed first. */
static bool mixes_first(const struct self *s, const struct sqa_context *c)
{
    return s->rank < c->length;
}

/* The sums of the valid rows of e: (B, r, 1), or (1, r, 1) without lengths. */
static struct sqa_tensor *column_sums(const struct self *s, struct sqa_context *c, struct sqa_tensor *e)
{
    const int64_t rows = lengths_of(s, c) != NULL ? c->batch : 1;
    struct sqa_tensor *ones = sqa_fill(c->g, 1, SQA_DIMS(rows, c->length));

    ones = sqa_mask_rows(c->g, ones, lengths_of(s, c));
    return sqa_reshape(c->g, sqa_matmul(c->g, ones, e, false, false), SQA_DIMS(rows, s->rank, 1));
}

/* y + sums bias, the bias as sqa_project_heads declares it: E^T (x W + b) = (E^T x) W + (E^T 1) b. */
static struct sqa_tensor *add_bias(struct sqa_context *c, struct sqa_tensor *y, struct sqa_tensor *sums,
                                   const char *name)
{
    const struct sqa_init zero = {.kind = SQA_INIT_ZERO};
    struct sqa_tensor *b = sqa_param_tensor(c, name, SQA_GROUP_NO_DECAY, zero, SQA_DIMS(sqa_qkv_width(&c->frame)));

    return sqa_add(c->g, y, sqa_mul(c->g, sums, b));
}

static struct sqa_heads mix_then_project(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    const int64_t B = c->batch, D = sqa_qkv_width(&c->frame), H = c->frame.heads;
    const struct sqa_dense_spec layers[] = {{"wk", D, false, SQA_UNARY_N}, {"wv", D, false, SQA_UNARY_N}};
    struct sqa_tensor *q = sqa_dense_layer(c, "wq", x, D, c->frame.bias != 0), *kv[2];
    struct sqa_tensor *e = mixing(s, c, "e"), *f = s->share ? e : mixing(s, c, "f");
    struct sqa_tensor *valid = sqa_mask_rows(c->g, x, lengths_of(s, c));
    struct sqa_tensor *xe = sqa_matmul(c->g, e, valid, true, false);

    if (s->share) {
        sqa_dense_layers(c, 2, layers, xe, kv);
    } else {
        sqa_dense_layers(c, 1, &layers[0], xe, &kv[0]);
        sqa_dense_layers(c, 1, &layers[1], sqa_matmul(c->g, f, valid, true, false), &kv[1]);
    }
    if (c->frame.bias) {
        struct sqa_tensor *sums = column_sums(s, c, e);

        kv[0] = add_bias(c, kv[0], sums, "wk.b");
        kv[1] = add_bias(c, kv[1], s->share ? sums : column_sums(s, c, f), "wv.b");
    }
    return (struct sqa_heads){sqa_reshape(c->g, q, SQA_DIMS(B, c->length, H, D / H)),
                              sqa_reshape(c->g, kv[0], SQA_DIMS(B, s->rank, H, D / H)),
                              sqa_reshape(c->g, kv[1], SQA_DIMS(B, s->rank, H, D / H))};
}

/* x (B, L, H, d) -> (B, r, H, d) */
static struct sqa_tensor *mix(const struct self *s, struct sqa_context *c, struct sqa_tensor *e, struct sqa_tensor *x)
{
    const int64_t B = c->batch, D = sqa_qkv_width(&c->frame), H = c->frame.heads;

    x = sqa_reshape(c->g, sqa_mask_rows(c->g, x, lengths_of(s, c)), SQA_DIMS(B, c->length, D));
    return sqa_reshape(c->g, sqa_matmul(c->g, e, x, true, false), SQA_DIMS(B, s->rank, H, D / H));
}

static struct sqa_heads project_then_mix(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    struct sqa_heads h = sqa_project_heads(c, x);
    struct sqa_tensor *e = mixing(s, c, "e"), *f = s->share ? e : mixing(s, c, "f");

    h.k = mix(s, c, e, h.k);
    h.v = mix(s, c, f, h.v);
    return h;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct sqa_heads h = mixes_first(s, c) ? mix_then_project(s, c, x) : project_then_mix(s, c, x);
    const struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)sqa_head_dim(&c->frame)),
                                            .dropout = c->frame.attention_dropout};

    return sqa_merge_heads(c, sqa_attention(c->g, h.q, h.k, h.v, NULL, spec));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const double B = (double)c->batch, L = (double)c->length, r = (double)s->rank, D = (double)c->frame.dim;
    const double Q = (double)sqa_qkv_width(&c->frame), bias = c->frame.bias ? 1 : 0;
    const double attention = B * L * r * (4 * Q + 5 * (double)c->frame.heads);
    const double matrices = s->share ? 1 : 2, sums = lengths_of(s, c) != NULL ? B : 1;

    if (!mixes_first(s, c))
        return sqa_heads_flops(c) + 4 * B * L * r * Q + attention;
    return B * L * (4 * D * Q + bias * (Q + D)) + matrices * 2 * B * L * r * D + 4 * B * r * D * Q + attention +
           bias * (matrices * 2 * sums * L * r + 2 * (sums + B) * r * Q);
}

/* Identities */

enum { B = 2, L = 8, D = 8, H = 2, W = D / H, BLOCK = 2, BLOCKS = L / BLOCK };

static void identity_mixing(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set_identity(s, "mixer.e");
    sqa_probe_set_identity(s, "mixer.f");
}

static enum sqa_status full_rank(struct sqa_err *err)
{
    static const char *const items[] = {"linformer:rank=8", "linformer:rank=8,share=0"};
    double x[B * L * D], y[B * L * D], expect[B * L * D];
    struct sqa_probe p = {
        .item = "transformer", .batch = B, .length = L, .dim = D, .heads = H, .seed = 5, .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(1, x, B * L * D);
    status = sqa_probe_run(&p, x, expect, err);
    for (int i = 0; i < 2 && status == SQA_OK; i++) {
        p.item = items[i];
        p.edit = identity_mixing;
        status = sqa_probe_run(&p, x, y, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(items[i], sqa_probe_difference(y, expect, B * L * D), 1e-13, err);
    }
    return status;
}

/* E averages blocks of positions; queries, keys and values are the inputs, read back unchanged. */
static void block_means(struct sqa_store *s, void *user)
{
    static const char *const names[] = {"mixer.wq.w", "mixer.wk.w", "mixer.wv.w", "mixer.wo.w"};
    double e[L * BLOCKS] = {0};

    (void)user;
    for (int t = 0; t < L; t++)
        e[t * BLOCKS + t / BLOCK] = 1.0 / BLOCK;
    sqa_probe_set(s, "mixer.e", e);
    for (int i = 0; i < 4; i++)
        sqa_probe_set_identity(s, names[i]);
}

static void attend_to_means(const double *x, double *y)
{
    double mean[BLOCKS * D] = {0};

    for (int i = 0; i < L * D; i++)
        mean[i / D / BLOCK * D + i % D] += x[i] / BLOCK;
    memset(y, 0, L * D * sizeof *y);
    for (int t = 0; t < L; t++)
        for (int h = 0; h < H; h++) {
            double p[BLOCKS], sum = 0;

            for (int j = 0; j < BLOCKS; j++) {
                double score = 0;

                for (int e = h * W; e < (h + 1) * W; e++)
                    score += x[t * D + e] * mean[j * D + e];
                p[j] = exp(score / sqrt(W));
                sum += p[j];
            }
            for (int j = 0; j < BLOCKS; j++)
                for (int e = h * W; e < (h + 1) * W; e++)
                    y[t * D + e] += p[j] / sum * mean[j * D + e];
        }
}

static const struct sqa_probe block_probe = {
    .item = "linformer:rank=4", .batch = 1, .length = L, .dim = D, .heads = H, .real = SQA_F64, .edit = block_means};

static enum sqa_status attends_to_block_means(struct sqa_err *err)
{
    double x[L * D], y[L * D], expect[L * D];
    enum sqa_status status;

    sqa_probe_normal(2, x, L * D);
    attend_to_means(x, expect);
    status = sqa_probe_run(&block_probe, x, y, err);
    return status == SQA_OK
               ? sqa_probe_expect("attention to block means", sqa_probe_difference(y, expect, L * D), 1e-13, err)
               : status;
}

/* Columns of the block mean sum to 1, so a constant input, which is its own values, comes back. */
static enum sqa_status constants_stay(struct sqa_err *err)
{
    double x[L * D], y[L * D];
    enum sqa_status status;

    sqa_probe_normal(3, x, D);
    for (int t = 1; t < L; t++)
        memcpy(x + t * D, x, D * sizeof *x);
    status = sqa_probe_run(&block_probe, x, y, err);
    return status == SQA_OK ? sqa_probe_expect("a constant sequence", sqa_probe_difference(y, x, L * D), 1e-13, err)
                            : status;
}

static enum sqa_status sees_order(struct sqa_err *err)
{
    double x[L * D], y[L * D], reversed[L * D], z[L * D], back[L * D];
    const struct sqa_probe p = {
        .item = "linformer:rank=4", .batch = 1, .length = L, .dim = D, .heads = H, .real = SQA_F64};
    enum sqa_status status;

    sqa_probe_normal(4, x, L * D);
    for (int t = 0; t < L; t++)
        memcpy(reversed + t * D, x + (L - 1 - t) * D, D * sizeof *x);
    status = sqa_probe_run(&p, x, y, err);
    if (status == SQA_OK)
        status = sqa_probe_run(&p, reversed, z, err);
    for (int t = 0; t < L && status == SQA_OK; t++)
        memcpy(back + t * D, z + (L - 1 - t) * D, D * sizeof *x);
    if (status == SQA_OK && sqa_probe_difference(back, y, L * D) < 1e-3)
        status =
            sqa_fail(err, SQA_NO, "linformer: reversed input gives reversed output; E must tell positions apart");
    return status;
}

/* Every row as if it were whole, whatever the lengths and holes. */
static enum sqa_status lra_sees_padding(struct sqa_err *err)
{
    static const int32_t ragged[B] = {L, 3};
    double x[B * L * D], y[B * L * D], expect[B * L * D], valid[B * L];
    struct sqa_probe p = {.item = "linformer:rank=4",
                          .batch = B,
                          .length = L,
                          .dim = D,
                          .heads = H,
                          .real = SQA_F64,
                          .edit = block_means};
    enum sqa_status status;

    sqa_probe_normal(5, x, B * L * D);
    for (int i = 0; i < B * L; i++)
        valid[i] = i % 3 != 0;
    status = sqa_probe_run(&p, x, expect, err);
    p.item = "linformer:rank=4,form=lra";
    p.lengths = ragged;
    p.valid = valid;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK
               ? sqa_probe_expect("padding as positions", sqa_probe_difference(y, expect, B * L * D), 0, err)
               : status;
}

static const struct sqa_identity identities[] = {
    {"rank = length and identity mixing: softmax attention", full_rank},
    {"block-mean mixing: attention to block means", attends_to_block_means},
    {"mixing columns that sum to 1: constants stay", constants_stay},
    {"positions are not interchangeable", sees_order},
    {"form=lra: padding is mixed in as if it were positions", lra_sees_padding},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_linformer = {
    .id = "linformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Linformer",
    .source = "Wang et al. 2020, arXiv:2006.04768, equation (7)",
    .complexity = "O(L r D) time, O(L D) memory",
    .help = "Keys and values are mixed over positions into `rank` rows by a learned matrix, to which every position "
            "attends. "
            "The matrix is tied to positions: it is made for the task's greatest length and cut for shorter batches. "
            "form=lra: padding is mixed in.",
    .traits = SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .lra = lra_defaults,
    .padded = is_lra,
    .holes = is_lra,
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
