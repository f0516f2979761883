/*
 * sinkhorn_transformer.c - softmax attention to the own block and to one block of sorted keys
 *
 * Computes  nb = ceil(L / b) blocks of b positions, b = min(block, L). For each head, with psi_n the sum of block n's
 *           keys: R_n = psi_n Ws + bs, cut to nb columns, P = Sinkhorn(R / temperature) of `iterations` rounds,
 * sorted keys k~_(n, s) = sum_m P_nm k_(m, s), values alike, and for queries of block n one softmax over the keys
 *           [k_n; k~_n] (sinkhorn_attention.h)
 *           causal: psi_n is the sum up to the first position of block n, P_nm = 0 unless m < n, sums of columns end
 *           at the entry's row, and j <= i in the own block
 * Shapes    x (B, L, D) -> (B, L, D); Ws (d, ceil(max_length / block)), shared by the heads
 * Cost      projections, 2 b pairs a query of 4 d + 5 flops, 4 nb^2 b d a head for the sorted blocks, and the
 *           matrices: nb^2 numbers a head, so memory is O(L D + (L / b)^2)
 * Source    Tay et al. 2020, arXiv:2002.11296, section 3; psi of keys and Ws as in
 *           google-research/long-range-arena: lra_benchmarks/models/sinkhorn_transformer/sinkhorn_attention.py,
 *           whose block of 50 is the default. form=lra is what that code computes. Its product of keys and
 *           permutation sums both over blocks, and rows of a softmax sum to 1: every block gets the sum of all
 *           blocks, unsorted; so there is no Ws here, which there has no gradient. Two softmaxes, of the own block
 *           and of the summed one, are added. Blocks are strided sets, and padding is in the sums
 * Departs   no Gumbel noise; R is linear in psi, the paper's net has a hidden layer; iterations and temperature
 *           are common values, not the paper's. form=lra masks padding inside its strided blocks by position; that
 *           code cuts the mask into contiguous blocks, so that it fits none of them. form=lra has no causal form
 */
#include <math.h>
#include <string.h>

#include "models/probe.h"
#include "models/sinkhorn_attention.h"

struct self {
    const char *form;
    int64_t block, iterations;
    double temperature;
};

static const struct sqa_param params[] = {
    {"form", "the paper's definition, or what the LRA code computes", SQA_PARAM_CHOICE, "paper",
     .offset = offsetof(struct self, form), .choices = "paper|lra"},
    {"block", "positions of a block", SQA_PARAM_INT, "50", 1, 1 << 20, .offset = offsetof(struct self, block)},
    {"iterations", "times that rows and columns are normalised", SQA_PARAM_INT, "5", 1, 1000,
     .offset = offsetof(struct self, iterations)},
    {"temperature", "divides the logits of the sort", SQA_PARAM_REAL, "0.75", 1e-3, 1e3,
     .offset = offsetof(struct self, temperature)},
    {.name = NULL},
};

static bool is_lra(const struct self *s)
{
    return strcmp(s->form, "lra") == 0;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)task;
    if (is_lra(self) && frame->causal)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "sinkhorn_transformer: the LRA code sums all blocks; use causal=0 or form=paper");
    return SQA_OK;
}

static struct sqa_sinkhorn_spec spec_of(const struct self *s, const struct sqa_context *c)
{
    return (struct sqa_sinkhorn_spec){.length = c->length,
                                      .block = s->block < c->length ? s->block : c->length,
                                      .iterations = s->iterations,
                                      .temperature = s->temperature,
                                      .scale = 1 / sqrt((double)(c->frame.dim / c->frame.heads)),
                                      .dropout = c->frame.attention_dropout,
                                      .causal = c->frame.causal != 0};
}

/* psi (B, nb, H, d) */
static struct sqa_tensor *descriptors(struct sqa_context *c, struct sqa_tensor *k, const struct sqa_sinkhorn_spec *s)
{
    const int64_t B = c->batch, H = c->frame.heads, d = c->frame.dim / H;
    const int64_t blocks = sqa_sinkhorn_blocks(s->length, s->block);
    struct sqa_tensor *sum, *first;

    k = sqa_pad(c->g, sqa_mask_rows(c->g, k, c->lengths), 1, 0, blocks * s->block - s->length);
    k = sqa_reshape(c->g, k, SQA_DIMS(B, blocks, s->block, H, d));
    sum = sqa_sum(c->g, k, 1u << 2, false);
    if (!s->causal)
        return sum;
    first = sqa_reshape(c->g, sqa_slice(c->g, k, 2, 0, 1), SQA_DIMS(B, blocks, H, d));
    sum = sqa_slice(c->g, sqa_pad(c->g, sum, 1, 1, 0), 1, 0, blocks);
    return sqa_add(c->g, sqa_cumsum(c->g, sum, 1), first);
}

static struct sqa_tensor *permutation(const struct self *s, struct sqa_context *c, struct sqa_tensor *k)
{
    const struct sqa_init xavier = {.kind = SQA_INIT_XAVIER}, zero = {.kind = SQA_INIT_ZERO};
    const struct sqa_sinkhorn_spec spec = spec_of(s, c);
    const int64_t most = sqa_sinkhorn_blocks(c->max_length, s->block);
    const int64_t blocks = sqa_sinkhorn_blocks(spec.length, spec.block);
    struct sqa_tensor *psi = descriptors(c, k, &spec), *b = NULL;
    struct sqa_tensor *w =
        sqa_param_tensor(c, "sort.w", SQA_GROUP_REGULAR, xavier, SQA_DIMS(c->frame.dim / c->frame.heads, most));

    if (blocks < most)
        w = sqa_slice(c->g, w, 1, 0, blocks);
    if (c->frame.bias)
        b = sqa_slice(c->g, sqa_param_tensor(c, "sort.b", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(most)), 0, 0, blocks);
    return sqa_sinkhorn(c->g, sqa_linear(c->g, psi, w, b), c->lengths, spec);
}

/* Blocks of the LRA code's layout: block n is positions n, n + blocks, ...; slot s of all of them, positions s
 * blocks, s blocks + 1, ... */
struct strides {
    int64_t blocks, slots;
};

static struct strides strides_of(const struct self *s, int64_t length)
{
    const int64_t block = s->block < length ? s->block : length, blocks = sqa_sinkhorn_blocks(length, block);

    return (struct strides){blocks, sqa_sinkhorn_blocks(length, blocks)};
}

/* The sum over all blocks: x (B, L, H, d) -> (B, slots, H, d). */
static struct sqa_tensor *sum_of_blocks(const struct self *s, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct strides n = strides_of(s, c->length);
    const int64_t H = c->frame.heads;

    x = sqa_pad(c->g, x, 1, 0, n.slots * n.blocks - c->length);
    x = sqa_reshape(c->g, x, SQA_DIMS(c->batch, n.slots, n.blocks, H, c->frame.dim / H));
    return sqa_sum(c->g, x, 1u << 2, false);
}

static struct sqa_tensor *build_lra(const struct self *s, struct sqa_context *c, struct sqa_heads h)
{
    const struct sqa_attention_spec all = {.scale = spec_of(s, c).scale, .dropout = c->frame.attention_dropout};
    struct sqa_attention_spec own = all;

    own.local = s->block;
    own.spread = true;
    return sqa_add(c->g, sqa_attention(c->g, h.q, h.k, h.v, c->lengths, own),
                   sqa_attention(c->g, h.q, sum_of_blocks(s, c, h.k), sum_of_blocks(s, c, h.v), NULL, all));
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct sqa_heads h = sqa_project_heads(c, x);

    if (is_lra(s))
        return sqa_merge_heads(c, build_lra(s, c, h));
    return sqa_merge_heads(
        c, sqa_sinkhorn_attention(c->g, h.q, h.k, h.v, permutation(s, c, h.k), c->lengths, spec_of(s, c)));
}

static double lra_flops(const struct self *s, const struct sqa_context *c)
{
    const struct strides n = strides_of(s, c->length);
    const double B = (double)c->batch, L = (double)c->length, D = (double)c->frame.dim;
    double pairs = L * (double)n.slots;

    for (int64_t b = 0; b < n.blocks; b++) {
        const double rows = (double)((c->length - b + n.blocks - 1) / n.blocks);

        pairs += rows * rows;
    }
    return B * (pairs * (4 * D + 5 * (double)c->frame.heads) + 2 * (double)(n.slots * n.blocks) * D + L * D);
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const struct sqa_sinkhorn_spec spec = spec_of(s, c);
    const double B = (double)c->batch, H = (double)c->frame.heads, D = (double)c->frame.dim;
    const double blocks = (double)sqa_sinkhorn_blocks(spec.length, spec.block);

    if (is_lra(s))
        return sqa_heads_flops(c) + lra_flops(s, c);
    return sqa_heads_flops(c) + B * blocks * D * ((double)spec.block + (spec.causal ? 2 : 0)) +
           B * blocks * blocks * (2 * D + (c->frame.bias ? H : 0)) + sqa_sinkhorn_flops(B * H, &spec) +
           sqa_sinkhorn_attention_flops(B * H, c->frame.dim / c->frame.heads, &spec);
}

/* Identities */

enum { B = 2, L = 11, D = 8, H = 2, W = D / H, BLOCK = 3, BLOCKS = 4, CELLS = BLOCKS * BLOCKS };

static const int32_t ragged[B] = {L, 7};

/* Queries, keys, values and outputs are the inputs. */
static void open(struct sqa_store *s, void *user)
{
    static const char *const names[] = {"mixer.wq.w", "mixer.wk.w", "mixer.wv.w", "mixer.wo.w"};

    for (int i = 0; i < 4; i++)
        sqa_probe_set_identity(s, names[i]);
    if (user != NULL)
        sqa_probe_set(s, "mixer.sort.w", user);
}

static struct sqa_probe probe_of(const char *item, int length, double *sort)
{
    return (struct sqa_probe){.item = item,
                              .batch = 1,
                              .length = length,
                              .dim = D,
                              .heads = H,
                              .seed = 3,
                              .real = SQA_F64,
                              .edit = open,
                              .user = sort};
}

/* P of one head in logarithms, by the definition; sort (W, BLOCKS). */
static void matrix_of(const double *x, int valid, bool causal, const double *sort, int h, int iterations,
                      double temperature, double *p)
{
    const int blocks = (valid + BLOCK - 1) / BLOCK;

    for (int i = 0; i < CELLS; i++) {
        const int n = i / BLOCKS, m = i % BLOCKS, from = causal ? 0 : n * BLOCK;
        const int end = causal ? n * BLOCK + 1 : n * BLOCK + BLOCK;

        p[i] = 0;
        for (int t = from; t < end && t < valid; t++)
            for (int e = 0; e < W; e++)
                p[i] += x[t * D + h * W + e] * sort[e * BLOCKS + m] / temperature;
        if (n >= blocks || m >= blocks || (causal && m >= n))
            p[i] = -HUGE_VAL;
    }
    for (int step = 0; step < 2 * iterations; step++) {
        double lse[CELLS];

        for (int i = 0; i < CELLS; i++) {
            const int n = i / BLOCKS, m = i % BLOCKS;
            double sum = 0;

            for (int k = 0; k < BLOCKS; k++)
                if (step % 2 == 0)
                    sum += exp(p[n * BLOCKS + k]);
                else if (!causal || k <= n)
                    sum += exp(p[k * BLOCKS + m]);
            lse[i] = sum > 0 ? log(sum) : 0;
        }
        for (int i = 0; i < CELLS; i++)
            p[i] -= lse[i];
    }
    for (int i = 0; i < CELLS; i++)
        p[i] = exp(p[i]);
}

/* Adds weight exp(q . k / sqrt(W)) times k, which is its own value. */
static double add_key(const double *q, const double *k, double *o)
{
    double score = 0;

    for (int e = 0; e < W; e++)
        score += q[e] * k[e] / sqrt(W);
    for (int e = 0; e < W; e++)
        o[e] += exp(score) * k[e];
    return exp(score);
}

/* Attention of head h with a given P. */
static void attend(const double *x, int valid, bool causal, int h, const double *p, double *y)
{
    for (int i = 0; i < valid; i++) {
        const double *q = x + i * D + h * W;
        double *o = y + i * D + h * W, sum = 0;
        const int n = i / BLOCK;

        memset(o, 0, W * sizeof *o);
        for (int j = n * BLOCK; j < n * BLOCK + BLOCK && j < valid; j++)
            sum += !causal || j <= i ? add_key(q, x + j * D + h * W, o) : 0;
        for (int slot = 0; slot < BLOCK; slot++) {
            double k[W] = {0}, here = 0, all = 0;

            for (int m = 0; m < BLOCKS; m++) {
                const int t = m * BLOCK + slot;

                all += p[n * BLOCKS + m];
                here += t < valid ? p[n * BLOCKS + m] : 0;
                for (int e = 0; e < W && t < valid; e++)
                    k[e] += p[n * BLOCKS + m] * x[t * D + h * W + e];
            }
            sum += here > all / 2 ? add_key(q, k, o) : 0;
        }
        for (int e = 0; e < W; e++)
            o[e] /= sum;
    }
}

static enum sqa_status definition(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[L * D], sort[W * BLOCKS], p[CELLS];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    sqa_probe_normal(2, sort, W * BLOCKS);
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        struct sqa_probe probe = probe_of("sinkhorn_transformer:block=3,iterations=3,temperature=2", L, sort);

        probe.batch = B;
        probe.lengths = ragged;
        probe.causal = causal;
        status = sqa_probe_run(&probe, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            for (int h = 0; h < H; h++) {
                matrix_of(x + b * L * D, ragged[b], causal, sort, h, 3, 2, p);
                attend(x + b * L * D, ragged[b], causal, h, p, expect);
            }
            status = sqa_probe_expect(
                probe.item, sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-12, err);
        }
    }
    return status;
}

/* Many iterations: rows and columns of the definition's P sum to 1, and the mixer does as that P. */
static enum sqa_status doubly_stochastic(struct sqa_err *err)
{
    enum { N = BLOCK * BLOCKS };
    double x[N * D], y[N * D], expect[N * D], sort[W * BLOCKS], p[CELLS], sums[2 * BLOCKS] = {0}, one[2 * BLOCKS];
    const struct sqa_probe probe = probe_of("sinkhorn_transformer:block=3,iterations=200,temperature=2", N, sort);
    enum sqa_status status;

    sqa_probe_normal(1, x, N * D);
    sqa_probe_normal(2, sort, W * BLOCKS);
    for (int h = 0; h < H; h++) {
        matrix_of(x, N, false, sort, h, 200, 2, p);
        attend(x, N, false, h, p, expect);
    }
    for (int i = 0; i < CELLS; i++) {
        sums[i / BLOCKS] += p[i];
        sums[BLOCKS + i % BLOCKS] += p[i];
        one[i % (2 * BLOCKS)] = 1;
    }
    status = sqa_probe_expect("rows and columns", sqa_probe_difference(sums, one, 2 * BLOCKS), 1e-6, err);
    if (status == SQA_OK)
        status = sqa_probe_run(&probe, x, y, err);
    return status == SQA_OK ? sqa_probe_expect("200 iterations", sqa_probe_difference(y, expect, N * D), 1e-11, err)
                            : status;
}

/* Block n stands out in channel n of each head, and Ws sends it to block n + turn. */
static enum sqa_status turned(int turn, struct sqa_err *err)
{
    enum { N = BLOCK * BLOCKS };
    double x[N * D], y[N * D], expect[N * D], sort[W * BLOCKS] = {0}, p[CELLS] = {0};
    struct sqa_probe probe = probe_of("sinkhorn_transformer:block=3", N, sort);
    enum sqa_status status;

    sqa_probe_normal(1, x, N * D);
    for (int t = 0; t < N; t++)
        for (int e = 0; e < D; e++)
            x[t * D + e] = 0.1 * x[t * D + e] + (e % W == t / BLOCK);
    for (int n = 0; n < BLOCKS; n++)
        sort[n * BLOCKS + (n + turn) % BLOCKS] = 1e3;
    for (int n = 0; n < BLOCKS; n++)
        p[n * BLOCKS + (n + turn) % BLOCKS] = 1;
    for (int h = 0; h < H; h++)
        attend(x, N, false, h, p, expect);
    status = sqa_probe_run(&probe, x, y, err);
    if (status == SQA_OK)
        status = sqa_probe_expect("P of a permutation", sqa_probe_difference(y, expect, N * D), 1e-12, err);
    if (status != SQA_OK || turn != 0)
        return status;
    probe.item = "local:window=3";
    status = sqa_probe_run(&probe, x, expect, err);
    return status == SQA_OK ? sqa_probe_expect("P = I", sqa_probe_difference(y, expect, N * D), 1e-12, err) : status;
}

static enum sqa_status identity_sorts_nothing(struct sqa_err *err)
{
    return turned(0, err);
}

static enum sqa_status permutation_sorts(struct sqa_err *err)
{
    const enum sqa_status status = turned(1, err);

    return status == SQA_OK ? turned(3, err) : status;
}

/* The sorted block is the block itself; the LRA code adds both softmaxes. */
static enum sqa_status one_block(struct sqa_err *err)
{
    double x[L * D], y[L * D], expect[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, L * D);
    for (int i = 0; i < 3 && status == SQA_OK; i++) {
        struct sqa_probe probe = probe_of("transformer", L, NULL);

        probe.causal = i == 1;
        status = sqa_probe_run(&probe, x, expect, err);
        probe.item = i < 2 ? "sinkhorn_transformer:block=11" : "sinkhorn_transformer:block=50,form=lra";
        if (status == SQA_OK)
            status = sqa_probe_run(&probe, x, y, err);
        for (int k = 0; k < L * D && i == 2; k++)
            expect[k] *= 2;
        if (status == SQA_OK)
            status = sqa_probe_expect(probe.item, sqa_probe_difference(y, expect, L * D), 1e-13, err);
    }
    return status;
}

/* Blocks n, n + blocks, ...: each query sees its own, and the sums of all. */
static enum sqa_status lra_by_definition(struct sqa_err *err)
{
    const struct sqa_probe probe = probe_of("sinkhorn_transformer:block=3,form=lra", L, NULL);
    double x[L * D], y[L * D], expect[L * D] = {0};
    enum sqa_status status;

    sqa_probe_normal(1, x, L * D);
    for (int row = 0; row < L * H; row++) {
        const double *q = x + row * W;
        double own[W] = {0}, sorted[W] = {0}, sum = 0, other = 0;

        for (int t = row / H % BLOCKS; t < L; t += BLOCKS)
            sum += add_key(q, x + t * D + row % H * W, own);
        for (int slot = 0; slot * BLOCKS < L; slot++) {
            double k[W] = {0};

            for (int t = slot * BLOCKS; t < slot * BLOCKS + BLOCKS && t < L; t++)
                for (int e = 0; e < W; e++)
                    k[e] += x[t * D + row % H * W + e];
            other += add_key(q, k, sorted);
        }
        for (int e = 0; e < W; e++)
            expect[row * W + e] = own[e] / sum + sorted[e] / other;
    }
    status = sqa_probe_run(&probe, x, y, err);
    return status == SQA_OK ? sqa_probe_expect("form=lra", sqa_probe_difference(y, expect, L * D), 1e-12, err)
                            : status;
}

static const struct sqa_identity identities[] = {
    {"its definition, in logarithms and pair by pair", definition},
    {"many iterations: rows and columns of P sum to 1", doubly_stochastic},
    {"P = I: attention inside blocks", identity_sorts_nothing},
    {"P a permutation: keys of the permuted blocks", permutation_sorts},
    {"one block: softmax attention, and twice that with form=lra", one_block},
    {"form=lra: its definition, pair by pair", lra_by_definition},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_sinkhorn_transformer = {
    .id = "sinkhorn_transformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Sinkhorn Transformer",
    .source = "Tay et al. 2020, arXiv:2002.11296, section 3",
    .complexity = "O(L b D + (L / b) L D) time, O(L D + (L / b)^2) memory",
    .help =
        "Each block attends to itself and to one mixture of all blocks, by a matrix that Sinkhorn's iterations make "
        "nearly a permutation. The net that makes it is tied to positions: it is made for the task's greatest "
        "length.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = identities,
};
