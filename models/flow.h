/*
 * flow.h - the conserved flows of flowformer.c
 */
#ifndef SQA_MODELS_FLOW_H
#define SQA_MODELS_FLOW_H

#include "engine/graph.h"

/* q, k (B, L, H, d), positive. With sums over valid positions, e = eps,
 *   I_i = (q_i + e) . (sum_j k_j + e)         O_j = (k_j + e) . (sum_i q_i + e)
 *   in_i = (q_i + e) . (sum_j k_j / O_j + e)  out_j = (k_j + e) . (sum_i q_i / I_i + e)
 * in and out (B, H, L), 0 at padding. Nothing of the size of q is made but its gradient. */
void sqa_flow(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k, struct sqa_tensor *lengths, double eps,
              struct sqa_tensor **in, struct sqa_tensor **out);
double sqa_flow_flops(int64_t batch, int64_t length, int64_t heads, int64_t d);

#endif
