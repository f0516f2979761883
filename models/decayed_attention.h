/*
 * decayed_attention.h - linear attention without a denominator whose state fades: retention and gated linear
 * attention
 *
 *     S_t = diag(a_t) S_(t-1) + k_t v_t^T,   y_t = S_t^T q_t        (S is d x dv; q_t counts its own position)
 *
 * for each head, over valid positions. a is a number in [0, 1] for each head, or for each position, head and channel
 * of the keys. Not causal: the same from the end is added, and the position itself counted once.
 *
 * Run as the recurrence, not by chunks of products: tiles of S stay in registers (kernels/kernels.h: struct
 * sqa_matrix_scan), which costs 5 d dv flops a position where chunks of C positions cost 4 d dv + 2 C (d + dv), more
 * for heads of up to about C, and nothing is divided by products of decays. Gradients are three such scans:
 *     dq_t = S_t dy_t,   dv_t = R_t^T k_t,   dk_t = R_t v_t,   R_t = diag(a_(t+1)) R_(t+1) + q_t dy_t^T
 * and d(log a)_t = sum over s >= t of (q_s dq_s - k_s dk_s).
 *
 * Source: Sun et al. 2023, arXiv:2307.08621, equations (6); Yang et al. 2024, arXiv:2312.06635, equation (3) and, for
 * the gradient of a, appendix C
 */
#ifndef SQA_MODELS_DECAYED_ATTENTION_H
#define SQA_MODELS_DECAYED_ATTENTION_H

#include "engine/graph.h"

struct sqa_decay_spec {
    bool causal;
    int64_t chunk; /* positions that all tiles of S go through before the next; changes cost, not results */
};
/* q, k (B, L, H, d), v (B, L, H, dv), lengths i32 (B) or NULL -> (B, L, H, dv), 0 at padding when causal. Either
 * head (H), the a of each head, which gets no gradient, or log (B, L, H, d), log a <= 0; the other NULL. */
struct sqa_tensor *sqa_decayed_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                         struct sqa_tensor *v, struct sqa_tensor *head, struct sqa_tensor *log,
                                         struct sqa_tensor *lengths, struct sqa_decay_spec spec);
/* Forward flops. gated: with log. */
struct sqa_decayed_shape {
    int64_t batch, length, heads, d, dv;
    bool gated;
};
double sqa_decayed_attention_flops(struct sqa_decayed_shape s, bool causal);

#endif
