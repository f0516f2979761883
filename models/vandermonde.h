/*
 * vandermonde.h - convolution kernels that are sums of powers, for private ops (s4d_kernel.c, dss.c)
 *
 *     K_l = scale Re sum_n c_n gain_n z_n^l,  l = 0 .. L - 1, for each of D channels with M complex modes
 *
 * With w = c gain, l = S i + j and S about sqrt(L), K_(S i + j) = scale Re sum_n (w z^(S i)) z^j is a product of two
 * real tables with 2 M columns (real and imaginary parts). Tables are powers taken in double. Backward: T0 = sum_l
 * dK_l z^l and T1 = sum_l l dK_l z^l give the complex derivatives dw = scale T0 and d(log z) = scale w T1.
 */
#ifndef SQA_MODELS_VANDERMONDE_H
#define SQA_MODELS_VANDERMONDE_H

#include <complex.h>

#include "models/variant.h"

/* A channel's numbers: M real parts, then M imaginary ones. a is the law's own. */
struct sqa_modes {
    int64_t count;
    double *z, *gain, *a;
};

/* What an op adds. Its attr begins with int64_t L. Inputs: parameters, then c (R, D, M, 2) with R 1 or 2 and real
 * before imaginary part, d (D), and of the gradient op dK (D, L) of each kernel; it writes the gradients of the
 * inputs up to c. Outputs K (D, L) of each row of c, with d added to the first K_0. */
struct sqa_vandermonde {
    int c;
    double scale;
    void (*set)(const struct sqa_node *n, int64_t channel, const struct sqa_modes *m);
    /* Gradients of a channel's parameters from t0 and t1 of kernel r: written for r = 0, added to for r = 1. Those of
     * c are not its business. sum: two numbers, 0 before r = 0, to keep in between. */
    void (*gradient)(const struct sqa_node *n, int64_t channel, int64_t r, const struct sqa_modes *m,
                     const double *t0, const double *t1, double *sum);
};

enum sqa_status sqa_vandermonde_shape(const struct sqa_vandermonde *v, struct sqa_node *n);
size_t sqa_vandermonde_workspace(const struct sqa_vandermonde *v, const struct sqa_node *n, int threads);
void sqa_vandermonde_run(const struct sqa_vandermonde *v, const struct sqa_node *n, const struct sqa_run *r);
/* Forward and backward flops; `each`: of set for a mode; `back`: of the gradients of a mode and kernel. */
double sqa_vandermonde_flops(double each, int64_t kernels, int64_t width, int64_t modes, int64_t length);
double sqa_vandermonde_bwd_flops(double each, double back, int64_t kernels, int64_t width, int64_t modes,
                                 int64_t length);

/* The recurrence of the same kernel, s <- z s + u, y = scale Re sum_n (c gain)_n s_n. For an op with the inputs up to
 * c, R = 1, and such an attr: outputs (2, D, M), z and w, real parts before imaginary ones; of w minus those. */
enum sqa_status sqa_vandermonde_step_shape(const struct sqa_vandermonde *v, struct sqa_node *n);
void sqa_vandermonde_step_run(const struct sqa_vandermonde *v, const struct sqa_node *n, const struct sqa_run *r);
/* y + d u for u (B, 1, D), d (D), z and w (2, D, M); state "x" (B, 2 D M). */
struct sqa_tensor *sqa_vandermonde_step(struct sqa_context *c, struct sqa_tensor *u, struct sqa_tensor *z,
                                        struct sqa_tensor *w, struct sqa_tensor *d);

/* A number of a tensor; two as a complex one; and the same of M real and M imaginary parts */
double sqa_number(const struct sqa_tensor *t, int64_t i);
void sqa_put_number(const struct sqa_tensor *t, int64_t i, double v);
double complex sqa_complex(double re, double im);
double complex sqa_mode(const double *x, int64_t i, int64_t modes);
void sqa_set_mode(double *x, int64_t i, int64_t modes, double complex v);
/* Products and quotients without the care for infinities that C asks of its operators */
double complex sqa_times(double complex a, double complex b);
double complex sqa_over(double complex a, double complex b);
/* c_n of kernel r */
double complex sqa_vandermonde_c(const struct sqa_vandermonde *v, const struct sqa_node *n, int64_t r,
                                 int64_t channel, int64_t i);

#endif
