/*
 * mega_kernel.h - convolution kernels of damped moving averages
 *
 * For each of D channels with N states, p = sigmoid(delta), q = 1 - p sigmoid(alpha), w = gamma p beta / sqrt(N):
 *
 *     k_l = sum_n w_n q_n^l,  l = 0, 1, ...
 *
 * which is what h_t = q h_(t-1) + p beta x_t, y_t = sum_n gamma_n h_(t,n) / sqrt(N) does to x. With l = S i + j and S
 * about sqrt(L) it is a product of two real tables, powers of q taken in double.
 * Backward: T0 = sum_l dk_l q^l and T1 = sum_l dk_l l q^(l-1) give dw = T0 and dq = w T1.
 *
 * Source: Ma et al. 2022, arXiv:2209.10655, section 3.1
 */
#ifndef SQA_MODELS_MEGA_KERNEL_H
#define SQA_MODELS_MEGA_KERNEL_H

#include "engine/graph.h"

/* delta, alpha, beta, gamma (R, D, N), R 1 or 2, omega (D). Returns K (D, L) of lags 0 .. L - 1 of the first rows,
 * with omega added to K_0; second (NULL when R is 1) gets (D, L) with lags 1 .. L of the second rows, whose lag 0 is
 * added to K_0 too: kernels as sqa_fftconv wants them. taps > 0: lags from taps on are 0. */
struct sqa_mega_parameters {
    struct sqa_tensor *delta, *alpha, *beta, *gamma, *omega;
};
struct sqa_tensor *sqa_mega_kernel(struct sqa_graph *g, struct sqa_mega_parameters p, int64_t length, int64_t taps,
                                   struct sqa_tensor **second);
/* Its forward flops. */
double sqa_mega_kernel_flops(int64_t kernels, int64_t width, int64_t states, int64_t length, int64_t taps);

#endif
