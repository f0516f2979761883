/*
 * dft.h - the real part of a two-dimensional discrete Fourier transform, of any sizes
 *
 *     y[k][e] = sum_t sum_j x[t][j] cos(2 pi (k t / L + e j / D))
 *
 * Over channels: a product with cosines and sines of D x 2 C numbers, C = D / 2 + 1; the others follow by
 * y[k][D - e] = y[-k][e]. Over positions, a few columns at a time, in Stockham's order: steps of 4 and 2, then of the other
 * factors of L, joined up to 32, each a product with an f x f table that holds the twiddle factors.
 */
#ifndef SQA_MODELS_DFT_H
#define SQA_MODELS_DFT_H

#include "engine/graph.h"

/* x (B, L, D) -> (B, L, D). Its gradient is itself. */
struct sqa_tensor *sqa_real_dft(struct sqa_graph *g, struct sqa_tensor *x);
double sqa_real_dft_flops(int64_t batch, int64_t length, int64_t dim);

#endif
