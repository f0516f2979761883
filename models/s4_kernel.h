/*
 * s4_kernel.h - convolution kernels of state spaces with a diagonal plus rank 1 matrix
 *
 * For each of D channels: N = 2 M modes in conjugate pairs, of which M are stored; A = Lambda - P P*, step
 * dt = exp(log_dt), Lambda = -exp(log_a_re) + i a_im. The bilinear rule gives Abar = (I - dt/2 A)^-1 (I + dt/2 A),
 * Bbar = (I - dt/2 A)^-1 dt B and K_l = C Abar^l Bbar. Stored is Ct = C (I - Abar^n), n >= L a power of two, so that
 * the transform of n taps at w = exp(-2 pi i m / n) is, with z = 2 (1 - w) / (1 + w) = 2 i tan(pi m / n) and sums
 * over all modes k_xy = sum x y dt / (z - dt Lambda),
 *
 *     Khat(m) = 2 / (1 + w) (k_CtB - k_CtP k_P*B / (1 + k_P*P)),    Khat(n / 2) = dt / 2 sum Ct B
 *
 * Cauchy sums are in the tensors' type (kernels.h: cauchy), what follows them and the inverse transform in double.
 * Two kernels of a channel share one complex transform.
 *
 * Source: Gu et al. 2021, arXiv:2111.00396
 */
#ifndef SQA_MODELS_S4_KERNEL_H
#define SQA_MODELS_S4_KERNEL_H

#include "engine/graph.h"

/* log_dt (D), log_a_re and a_im (D, M), b and p (D, M, 2), ct (R, D, M, 2) with R 1 or 2 and real before imaginary
 * part, d (D). Returns K (D, L) of the first row of ct, with d added to K_0; second (NULL when R is 1) gets that of
 * the second, without. */
struct sqa_s4_parameters {
    struct sqa_tensor *log_dt, *log_a_re, *a_im, *b, *p, *ct, *d;
};
struct sqa_tensor *sqa_s4_kernel(struct sqa_graph *g, struct sqa_s4_parameters p, int64_t length, int64_t points,
                                 struct sqa_tensor **second);
/* n for kernels of up to that many taps */
int64_t sqa_s4_points(int64_t length);
/* Forward flops. */
double sqa_s4_kernel_flops(int64_t kernels, int64_t width, int64_t modes, int64_t points);

#endif
