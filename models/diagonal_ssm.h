/*
 * diagonal_ssm.h - linear state spaces with a complex diagonal matrix that all channels share
 *
 *     s_t = a s_(t-1) + W u_t,   y_t = Re(C s_t) + d u_t
 *
 * u (B, L, D), s_t of P complex numbers: two products and a scan (engine/ops/scan.c). Not causal: states run from the
 * end too, r_t = a r_(t+1) + W u_t, with a C of their own; both contain position t. Rows of complex numbers are P
 * real parts, then P imaginary ones. Inputs at padding are 0. Where positions go one at a time
 * (step.h), s_t is a state.
 */
#ifndef SQA_MODELS_DIAGONAL_SSM_H
#define SQA_MODELS_DIAGONAL_SSM_H

#include "models/variant.h"

/* a (2 P), w (D, 2 P). Parameters "c" (R, 2, P, D), R 1 or 2 directions, which holds Re C, then -Im C, begun as
 * `init` says and in group `group`; and "d" (D), begun as N(0, 1). */
struct sqa_diagonal_ssm {
    struct sqa_tensor *a, *w;
    struct sqa_init init;
    enum sqa_group group, skip;
};
struct sqa_tensor *sqa_diagonal_ssm(struct sqa_context *c, struct sqa_tensor *u, struct sqa_diagonal_ssm s);
/* Its forward flops. */
double sqa_diagonal_ssm_flops(const struct sqa_context *c, int64_t modes);

/* The same step by step in double, of one row: `directions` 1 or 2; a, w, c, d as above; u, y (length, width). y is
 * written. At most 64 modes. */
struct sqa_diagonal_loop {
    int64_t length, width, modes;
    int directions;
    const double *a, *w, *c, *d;
};
void sqa_diagonal_loop(const struct sqa_diagonal_loop *s, const double *u, double *y);

#endif
