/*
 * iterative_inverse.h - a pseudo-inverse by products alone
 *
 *     Z_(k+1) = Z_k (13 I - A Z_k (15 I - A Z_k (7 I - A Z_k))) / 4
 *
 * which tends to the Moore-Penrose inverse of A, in the third order near it, when |A A^+ - A Z_0| < 1; A^T over (the
 * largest column sum of |A| times its largest row sum) is such a Z_0. Always f32 (f64), also with --dtype bf16.
 * Source: Razavi et al. 2014, as Xiong et al. 2021, arXiv:2102.03902, section 3.2.3, use it
 */
#ifndef SQA_MODELS_ITERATIVE_INVERSE_H
#define SQA_MODELS_ITERATIVE_INVERSE_H

#include "engine/graph.h"

/* a and z0 (B, H, m, m) -> Z_iterations; gradients go through every iteration. iterations >= 1. */
struct sqa_tensor *sqa_iterative_inverse(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *z0,
                                         int64_t iterations);
/* Of that many matrices. */
double sqa_iterative_inverse_flops(double matrices, int64_t m, int64_t iterations);

/* A^T / max(least, largest column sum), a Z_0 for a matrix without negative numbers whose rows sum to at most 1, or
 * which is symmetric with eigenvalues of at most 1: (B, H, m, m). batch: the largest of all matrices, as released code
 * has it. */
struct sqa_tensor *sqa_inverse_start(struct sqa_graph *g, struct sqa_tensor *a, double least, bool batch);
double sqa_inverse_start_flops(double matrices, int64_t m, bool batch);

#endif
