/*
 * selective_scan.h - the selective state space of Mamba: a diagonal recurrence whose step and inputs depend on
 * position
 *
 *     h_t[e,i] = exp(dt_t[e] a[i,e]) h_(t-1)[e,i] + dt_t[e] u_t[e] b_t[i],   y_t[e] = sum_i c_t[i] h_t[e,i] + skip[e]
 * u_t[e]
 *
 * for E channels with N states each, over the valid positions of each row of the batch, from the first to the last
 * or, reverse, from the last to the first. States are never stored but before every chunk-th position; the gradient
 * computes those of a chunk again. 64 channels of one row of the batch are the unit of parallel work.
 * The kernels are in kernels/kernels.h: struct sqa_selective.
 *
 * Source: Gu and Dao 2023, arXiv:2312.00752, algorithm 2
 */
#ifndef SQA_MODELS_SELECTIVE_SCAN_H
#define SQA_MODELS_SELECTIVE_SCAN_H

#include "engine/graph.h"

/* u, dt (B, L, E), dt >= 0; a (N, E), <= 0; b, c (B, L, N); skip (E); lengths i32 (B) or NULL. y (B, L, E) is 0 at
 * padding. chunk changes cost, not results. */
struct sqa_selective_inputs {
    struct sqa_tensor *u, *dt, *a, *b, *c, *skip, *lengths;
};
struct sqa_tensor *sqa_selective_scan(struct sqa_graph *g, struct sqa_selective_inputs in, int64_t chunk,
                                      bool reverse);
/* Forward flops. */
double sqa_selective_scan_flops(int64_t batch, int64_t length, int64_t channels, int64_t states);

#endif
