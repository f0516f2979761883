/*
 * kernel_attention.h - attention without softmax: weights phi(q) . phi(k), in linear time
 *
 *     y_t = sum_s (phi(q_t) . phi(k_s)) v_s / (sum_s phi(q_t) . phi(k_s) + den_eps)
 *
 * over valid positions s, s <= t when causal, for q, k (B, L, H, d) and v (B, L, H, dv). One op from q, k, v to y:
 * features are made tile by tile and never kept, forward or backward. What is kept is the sum over keys of phi(k) v^T
 * and phi(k) of each (batch, head), and the denominators. Causal sums run in chunks: inside a chunk by its lower
 * triangle, between chunks by the state S = sum phi(k) v^T (m, dv) and z = sum phi(k) (m).
 * The kernels, and the maps phi, are in kernels/kernels.h: struct sqa_kernel_attention.
 *
 * Source: Katharopoulos et al. 2020, arXiv:2006.16236, section 3.3; chunks: Hua et al. 2022, arXiv:2202.10447
 */
#ifndef SQA_MODELS_KERNEL_ATTENTION_H
#define SQA_MODELS_KERNEL_ATTENTION_H

#include "models/variant.h"

struct sqa_kernel_attention_spec {
    enum sqa_feature_map map;
    bool causal;
    int64_t chunk;  /* positions of a causal chunk; changes cost, not results */
    double scale;   /* of q and k */
    double eps;     /* added to features (not ELU1) */
    double den_eps; /* added to denominators */
    double den_min; /* > 0: denominators are at least that, without a gradient where they would be less */
};

/* y (B, L, H, dv). lengths: i32 (B) or NULL. w (m, d) or NULL: no projection, m = d; it gets no gradient. Queries at
 * padding are answered like others; keys at padding do not count. */
struct sqa_tensor *sqa_kernel_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                        struct sqa_tensor *v, struct sqa_tensor *lengths, struct sqa_tensor *w,
                                        struct sqa_kernel_attention_spec spec);

/* One position of the causal form (models/step.h): q, k (B, 1, H, d), v (B, 1, H, dv) -> (B, 1, H, dv). State "s"
 * (B, H, m, dv) and "z" (B, H, m, 1). Made of ordinary ops. */
struct sqa_tensor *sqa_kernel_attention_step(struct sqa_context *c, struct sqa_heads h, struct sqa_tensor *w,
                                             struct sqa_kernel_attention_spec spec);

/* Forward flops. projected: there is a W. */
struct sqa_kernel_attention_shape {
    int64_t batch, length, heads, d, m, dv;
    bool projected;
};
double sqa_kernel_attention_flops(struct sqa_kernel_attention_shape s, struct sqa_kernel_attention_spec spec);

#endif
