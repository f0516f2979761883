/*
 * realformer.c - softmax attention whose scores are added to those of the layer before
 *
 * Computes  S = q k^T / sqrt(d) + S of the layer before (0 in the first); o = softmax(S) v over valid keys (j <= i
 *           when causal), heads merged by Wo. S passes from block to block as the stream "scores"
 * Shapes    x (B, L, D) -> (B, L, D); q, k, v (B, L, H, d), d = D / H, or qkv / H; S (B, H, L, L) in memory
 * Cost      projections, and for each of the L^2 pairs of a head 4 d + 2 flops (two products, scale), 5 for softmax of
 *           allowed ones, and 1 for the sum but in the first layer
 * Source    He et al. 2020, arXiv:2012.11747 (RealFormer); PatchTST's encoder has it (yuqinie98/PatchTST,
 *           PatchTST_supervised/layers/PatchTST_backbone.py), with projection_dropout=1
 * Departs   dropout on the weights after normalisation
 */
#include <math.h>

#include "models/probe.h"

struct self {
    int64_t projection_dropout;
};

static const struct sqa_param params[] = {
    {"projection_dropout", "1: dropout behind Wo too, beside the block's own, as PatchTST's code", SQA_PARAM_BOOL,
     "0", 0, 0, offsetof(struct self, projection_dropout), NULL},
    {.name = NULL}};

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    static const int heads_first[4] = {0, 2, 1, 3};
    const struct self *s = self;
    const struct sqa_heads h = sqa_project_heads(c, x);
    struct sqa_tensor *q = sqa_permute(c->g, h.q, heads_first), *k = sqa_permute(c->g, h.k, heads_first);
    struct sqa_tensor *v = sqa_permute(c->g, h.v, heads_first);
    struct sqa_tensor *scores = sqa_matmul(c->g, q, k, false, true);
    scores = sqa_affine(c->g, 1 / sqrt((double)sqa_head_dim(&c->frame)), scores, 0);
    struct sqa_tensor *before = sqa_stream_get(c, "scores");
    if (scores && before && sqa_same_shape(scores, before))
        scores = sqa_add(c->g, scores, before);
    if (scores)
        sqa_stream_put(c, "scores", scores);
    struct sqa_tensor *p = sqa_masked_softmax(c->g, scores, c->lengths, 1, c->frame.causal != 0);
    p = sqa_dropout(c->g, p, c->frame.attention_dropout);
    x = sqa_merge_heads(c, sqa_dense(c->g, sqa_permute(c->g, sqa_matmul(c->g, p, v, false, false), heads_first)));
    return s->projection_dropout ? sqa_dropout(c->g, x, c->frame.dropout) : x;
}

static double flops(const void *self, const struct sqa_context *c)
{
    (void)self;
    const double L = (double)c->length, pairs = c->frame.causal ? L * (L + 1) / 2 : L * L;
    const double each = 4 * (double)sqa_head_dim(&c->frame) + 2 + (c->layer > 0 ? 1 : 0);
    return sqa_heads_flops(c) + (double)c->batch * (double)c->frame.heads * (L * L * each + 5 * pairs);
}

/* Identities */

enum { B = 2, L = 7, D = 8, H = 2, X = B * L * D };

static enum sqa_status one_layer(struct sqa_err *err)
{
    static const int32_t ragged[B] = {L, 4};
    double x[X], y[X], z[X];
    enum sqa_status status = SQA_OK;
    sqa_probe_normal(1, x, X);
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        struct sqa_probe p = {.item = "realformer",
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = H,
                              .causal = causal != 0,
                              .lengths = ragged,
                              .seed = 3,
                              .real = SQA_F64};
        status = sqa_probe_run(&p, x, y, err);
        p.item = "transformer";
        if (status == SQA_OK)
            status = sqa_probe_run(&p, x, z, err);
        for (int i = 4 * D; i < L * D; i++) /* padding */
            y[L * D + i] = z[L * D + i] = 0;
        if (status == SQA_OK)
            status = sqa_probe_expect("one layer", sqa_probe_difference(y, z, X), 1e-12, err);
    }
    return status;
}

/* Layer 1 adds nothing of its own: its weights are those of layer 0. */
static void no_queries(struct sqa_store *s, void *user)
{
    const char *const *names = user;
    for (int i = 0; names[i]; i++)
        sqa_probe_set_constant(s, names[i], 0);
}

static enum sqa_status layers(struct sqa_err *err)
{
    static const struct sqa_signature task = {.kind = SQA_CLASSIFY, .classes = 3, .length = L, .channels = D};
    static const char *const first[] = {"blocks.0.mixer.wq.w", NULL};
    static const char *const both[] = {"blocks.0.mixer.wq.w", "blocks.1.mixer.wq.w", NULL};
    static const char *const models[] = {"realformer:dim=8,heads=2,ffn=6", "transformer:dim=8,heads=2,ffn=6"};
    double x[X], y[2][B * 3], worst = 0;
    int32_t lengths[B] = {L, L};
    enum sqa_status status = SQA_OK;
    sqa_probe_normal(1, x, X);
    for (int k = 0; k < 2 && status == SQA_OK; k++) { /* scores 0, then of the second layer alone */
        for (int m = 0; m < 2 && status == SQA_OK; m++) {
            const struct sqa_probe_whole p = {.model = models[m],
                                              .task = task,
                                              .batch = B,
                                              .seed = 3,
                                              .real = SQA_F64,
                                              .x = x,
                                              .lengths = lengths,
                                              .edit = no_queries,
                                              .user = (void *)(k ? (uintptr_t)first : (uintptr_t)both)};
            status = sqa_probe_whole(&p, y[m], NULL, err);
        }
        worst = fmax(worst, sqa_probe_difference(y[0], y[1], B * 3));
    }
    return status != SQA_OK ? status : sqa_probe_expect("two layers", worst, 1e-12, err);
}

static const struct sqa_identity identities[] = {
    {"one layer is softmax attention", one_layer},
    {"scores of 0 in the first layer leave softmax attention in the second", layers},
    {NULL, NULL}};

const struct sqa_variant sqa_variant_realformer = {
    .id = "realformer",
    .slot = SQA_SLOT_MIXER,
    .title = "Residual attention (RealFormer)",
    .source = "He et al. 2020, arXiv:2012.11747",
    .complexity = "O(L^2 D) time, O(H L^2) memory",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_EQUIVARIANT | SQA_TRAIT_SUM_TO_ONE | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .build = build,
    .flops = flops,
    .identities = identities,
};
