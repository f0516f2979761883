/*
 * s4d_kernel.h - convolution kernels of diagonal state spaces
 *
 * For each of D channels with M complex modes, step dt = exp(log_dt), A = -exp(log_a_re) + i a_im and row of c:
 *
 *     K_l = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(l dt A_n),  l = 0 .. L - 1      (zero-order hold)
 *
 * With w = C (exp(dt A) - 1) / A, z = exp(dt A), l = S i + j and S about sqrt(L):
 *
 *     K_(S i + j) = 2 Re sum_n (w z^(S i)) z^j
 *
 * is a product of two real tables with 2 M columns (real and imaginary parts). Tables are powers taken in double.
 * Backward: T0 = sum_l dK_l z^l and T1 = sum_l l dK_l z^l give dw = 2 T0 and d(dt A) = 2 w T1, complex derivatives.
 *
 * Source: Gu et al. 2022, arXiv:2206.11893
 */
#ifndef SQA_MODELS_S4D_KERNEL_H
#define SQA_MODELS_S4D_KERNEL_H

#include "engine/graph.h"

/* log_dt (D), log_a_re and a_im (D, M), c (R, D, M, 2) with R 1 or 2 and real before imaginary part, d (D). Returns
 * K (D, L) of the first row of c, with d added to K_0; second (NULL when R is 1) gets that of the second, without. */
struct sqa_s4d_parameters {
    struct sqa_tensor *log_dt, *log_a_re, *a_im, *c, *d;
};
struct sqa_tensor *sqa_s4d_kernel(struct sqa_graph *g, struct sqa_s4d_parameters p, int64_t length,
                                  struct sqa_tensor **second);
/* For the recurrence x <- z x + u, y = 2 Re sum_n (C (exp(dt A) - 1) / A)_n x_n, with R = 1: z (2, D, M), real parts
 * before imaginary ones; *w (2, D, M): y is the sum of w times (real parts of x, imaginary parts). No gradient. */
struct sqa_tensor *sqa_s4d_step_tables(struct sqa_graph *g, struct sqa_s4d_parameters p, struct sqa_tensor **w);
/* Forward flops of sqa_s4d_kernel. */
double sqa_s4d_kernel_flops(int64_t kernels, int64_t width, int64_t modes, int64_t length);

#endif
