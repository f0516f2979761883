/*
 * shared_attention.h - softmax attention whose scores are the same for every row of the batch
 *
 *     o_bi = sum_j p_ij v_bj,  p = softmax over the valid keys j of row b (j <= i when causal) of S
 *
 * for each head; S is a tensor, or first_i . second_j. The weights of a tile are made once for the whole batch, whose
 * values stand side by side in one product.
 */
#ifndef SQA_MODELS_SHARED_ATTENTION_H
#define SQA_MODELS_SHARED_ATTENTION_H

#include "engine/graph.h"

/* v (B, L, H, d); scores (1, H, L, L) and second NULL, or scores and second (1, L, H, r), two factors; lengths i32
 * (B) or NULL -> (B, L, H, d). A row of length 0 gives 0. Gradients by v, scores and second. */
struct sqa_tensor *sqa_shared_attention(struct sqa_graph *g, struct sqa_tensor *v, struct sqa_tensor *lengths,
                                        struct sqa_tensor *scores, struct sqa_tensor *second, bool causal);

/* Forward flops; rank 0: S is a tensor. */
double sqa_shared_attention_flops(int64_t batch, int64_t length, int64_t heads, int64_t d, int64_t rank, bool causal);

#endif
