/*
 * causal_linear.h - attention without softmax: weights phi(q) . phi(k), in linear time
 *
 * For feature rows q, k (B, L, H, m) and values v (B, L, H, dv):
 *
 *     num_t = sum_s (q_t . k_s) v_s        den_t = sum_s (q_t . k_s)        s <= t when causal, else all s
 *
 * Causal sums are taken chunk by chunk: inside a chunk by its lower triangle, between chunks by the state
 * S = sum k v^T (m, dv) and z = sum k (m). The backward pass recomputes states instead of keeping them.
 *
 * Source: Katharopoulos et al. 2020, arXiv:2006.16236, section 3.3; chunks: Hua et al. 2022, arXiv:2202.10447
 */
#ifndef SQA_MODELS_CAUSAL_LINEAR_H
#define SQA_MODELS_CAUSAL_LINEAR_H

#include "engine/graph.h"

/* Causal sums. Returns num (B, L, H, dv) and sets *den (B, L, H, 1). */
struct sqa_tensor *sqa_causal_linear(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                     struct sqa_tensor *v, int64_t chunk, struct sqa_tensor **den);

/* num / (den + eps) (B, L, H, dv), causal or over all positions. Keys that do not count have k = 0. */
struct sqa_linear_attention {
    bool causal;
    int64_t chunk;
    double eps;
};
struct sqa_tensor *sqa_linear_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                        struct sqa_tensor *v, struct sqa_linear_attention spec);
/* The forward flops that sqa_linear_attention adds. */
struct sqa_linear_shape {
    int64_t batch, length, heads, m, dv;
};
double sqa_linear_attention_flops(struct sqa_linear_shape s, struct sqa_linear_attention spec);

#endif
