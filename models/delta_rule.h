/*
 * delta_rule.h - linear attention whose state is corrected towards the value that its key should read
 *
 *     e_t = v_t - S_(t-1)^T k_t,   S_t = S_(t-1) + beta_t k_t e_t^T,   y_t = S_t^T q_t          (S is d x dv)
 *
 * for each head, over the valid positions, from the first to the last or, reverse, from the last to the first. Run as
 * the recurrence, 6 d dv flops a position; the WY form of a chunk of C positions costs
 * 6 d dv + 2 C (2 d + dv) + C (d + dv), and pays only where products of matrices run several times faster than a
 * sweep of S. e is kept; gradients are a delta rule from the end, for what u_t = beta_t e_t takes and gives, and two
 * scans with it.
 *
 * Source: Schlag et al. 2021, arXiv:2102.11174; Yang et al. 2024, arXiv:2406.06484, equations (5) and (8)
 */
#ifndef SQA_MODELS_DELTA_RULE_H
#define SQA_MODELS_DELTA_RULE_H

#include "engine/graph.h"

/* q, k (B, L, H, d), v (B, L, H, dv), beta (B, L, H), lengths i32 (B) or NULL -> (B, L, H, dv), 0 at padding. chunk:
 * positions that all columns of S go through before the next; changes cost, not results. */
struct sqa_delta_inputs {
    struct sqa_tensor *q, *k, *v, *beta, *lengths;
};
struct sqa_tensor *sqa_delta_rule(struct sqa_graph *g, struct sqa_delta_inputs in, int64_t chunk, bool reverse);
/* Forward flops. */
double sqa_delta_rule_flops(int64_t batch, int64_t length, int64_t heads, int64_t d, int64_t dv);

#endif
