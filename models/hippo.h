/*
 * hippo.h - the normal part of HiPPO-LegS, diagonalised
 *
 * LegS is A_nk = -sqrt((2 n + 1) (2 k + 1)) below the diagonal, -(n + 1) on it, 0 above; with P_n = sqrt(n + 1/2),
 * A + P P^T = S - 1/2, S_nk = sign(k - n) sqrt((2 n + 1) (2 k + 1)) / 2 skew. With c_n = n + 1/2 and an eigenvector x
 * of S, eigenvalue i w, partial sums r_n = sum_{k<n} sqrt(2 c_k) x_k - half of all of them obey
 *
 *     r_(n+1) = r_n (i w - c_n) / (i w + c_n),  r_N = -r_0,  x_n = -r_n sqrt(2 c_n) / (c_n + i w),
 *
 * so that for even N the w > 0 are the N / 2 roots of sum_n 2 atan(w / c_n) = pi, 3 pi, ...: no matrix is needed.
 *
 * Source: Gu et al. 2020, arXiv:2008.07669, and 2022, arXiv:2111.00396 (the matrix); the roots are ours, compared
 * with the matrix by sqa_legs_check
 */
#ifndef SQA_MODELS_HIPPO_H
#define SQA_MODELS_HIPPO_H

#include <stdint.h>

#include "base/status.h"

/* w of eigenvalue number k of N / 2, ascending; N even. A has eigenvalue -1/2 + i w there before P P^T is taken off.
 */
double sqa_legs_frequency(int64_t N, int64_t k);
/* Its unit eigenvector, N real parts and N imaginary ones, with sum_n sqrt(2 n + 1) x_n > 0: returns that sum, which
 * is V* B for B_n = sqrt(2 n + 1), and sqrt(2) V* P. */
double sqa_legs_vector(int64_t N, double w, double *re, double *im);
/* An identity: S x = i w x for N up to 64. */
enum sqa_status sqa_legs_check(struct sqa_err *err);

#endif
