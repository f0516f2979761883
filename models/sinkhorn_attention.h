/*
 * sinkhorn_attention.h - block matrices that are nearly permutations, and attention with blocks sorted by them
 *
 * A sequence has nb = ceil(L / b) blocks of b positions; of lengths[b] valid positions the first ceil(len / b) blocks
 * are valid, the last one in part. lengths i32 (B), NULL: all.
 */
#ifndef SQA_MODELS_SINKHORN_ATTENTION_H
#define SQA_MODELS_SINKHORN_ATTENTION_H

#include "engine/ops.h"

struct sqa_sinkhorn_spec {
    int64_t length, block; /* positions; positions of a block, at most length */
    int64_t iterations;
    double temperature, scale, dropout;
    bool causal;
};
/* P of exp(R / temperature), by `iterations` times dividing rows, then columns by their sums: R (B, nb, H, nb) ->
 * P (B, H, nb, nb), 0 where a block is not valid. causal: only m < n, and entry (n, m) is divided by the sum of its
 * column down to row n. Rows and columns without mass stay. */
struct sqa_tensor *sqa_sinkhorn(struct sqa_graph *g, struct sqa_tensor *r, struct sqa_tensor *lengths,
                                struct sqa_sinkhorn_spec spec);
double sqa_sinkhorn_flops(double matrices, const struct sqa_sinkhorn_spec *spec);

/* Queries of block n attend to the keys of block n (j <= i when causal) and to the sorted ones, sum_m P_nm k_(m, s)
 * for slots s < b, in one softmax; values are sorted alike. Keys and values at padding count as 0; a slot that
 * padding has in the last valid block is a key where more than half of row n of P stands on other blocks. q, k, v (B,
 * L, H, d), P (B, H, nb, nb) -> o (B, L, H, d), zeros at padding. */
struct sqa_tensor *sqa_sinkhorn_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                          struct sqa_tensor *v, struct sqa_tensor *p, struct sqa_tensor *lengths,
                                          struct sqa_sinkhorn_spec spec);
double sqa_sinkhorn_attention_flops(double matrices, int64_t d, const struct sqa_sinkhorn_spec *spec);

static inline int64_t sqa_sinkhorn_blocks(int64_t length, int64_t block)
{
    return block > 0 ? (length + block - 1) / block : 0;
}

#endif
