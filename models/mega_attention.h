/*
 * mega_attention.h - single-head attention in chunks with a bias by distance, and functions other than softmax
 *
 * Inside each chunk of c positions, over its valid keys j (causal: j <= i):
 *
 *     softmax   A_ij = softmax_j(q_i . k_j / sqrt(z) + b_(j-i))
 *     laplace   A_ij = (1 + erf((s - sqrt(1/2)) / (sqrt(1/(4 pi)) sqrt(2)))) / 2,  s = q_i . k_j / n + b_(j-i)
 *     relu2     A_ij = max(s, 0)^2
 *
 * n: the chunk's valid positions, causal: the position's number in its chunk. o_i = sum_j A_ij v_j. Tiles of rows:
 * no L x L matrix in memory; backward, weights are computed again.
 *
 * Source: Ma et al. 2022, arXiv:2209.10655, sections 3.2 and 3.4; facebookresearch/mega:
 * fairseq/modules/moving_average_gated_attention.py
 */
#ifndef SQA_MODELS_MEGA_ATTENTION_H
#define SQA_MODELS_MEGA_ATTENTION_H

#include "models/variant.h"

enum sqa_mega_function { SQA_MEGA_SOFTMAX, SQA_MEGA_LAPLACE, SQA_MEGA_RELU2 };

struct sqa_mega_attention_spec {
    enum sqa_mega_function function;
    int64_t chunk; /* 0, or at least the length: one */
    bool causal;
    double dropout; /* of A, when g->training */
};

/* q, k (B, L, z), v (B, L, e), bias (2 c - 1) with b_d at d + c - 1, c the positions of a chunk and at most L;
 * lengths i32 (B) or NULL -> (B, L, e). A row without a valid key gives 0. */
struct sqa_tensor *sqa_mega_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                      struct sqa_tensor *v, struct sqa_tensor *bias, struct sqa_tensor *lengths,
                                      struct sqa_mega_attention_spec spec);
/* The same for one position, of the sequence so far, or of the chunk so far: keys and values are states. q, k (B, 1,
 * z), v (B, 1, e), bias (2 n - 1) with b_d at d + n - 1 for n = min(chunk, c->max_length). Causal. */
struct sqa_tensor *sqa_mega_attention_step(struct sqa_context *c, struct sqa_tensor *q, struct sqa_tensor *k,
                                           struct sqa_tensor *v, struct sqa_tensor *bias,
                                           struct sqa_mega_attention_spec spec);
/* Forward flops. */
double sqa_mega_attention_flops(int64_t batch, int64_t length, int64_t z, int64_t e,
                                struct sqa_mega_attention_spec spec);

#endif
