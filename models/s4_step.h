/*
 * s4_step.h - the recurrence of s4_kernel.h, one position at a time
 *
 * With S = (I - dt/2 Lambda)^-1 and h = dt/2 B the bilinear rule is x <- -x + 2 (I - dt/2 A)^-1 v, v = x + h u, and
 * by Woodbury's formula (I - dt/2 A)^-1 v = S v - S P dt/2 (P* S v) / (1 + dt/2 P* S P): O(N) a channel. y = C x + d
 * u, where C = Ct (I - Abar^n)^-1 is solved for once, in double, on a real basis: O(N^3 log n) a channel.
 */
#ifndef SQA_MODELS_S4_STEP_H
#define SQA_MODELS_S4_STEP_H

#include "models/s4_kernel.h"
#include "models/variant.h"

/* y (B, 1, D) of u (B, 1, D), ct of one row, made for `points` taps; state "x" (B, 2, D, M). No gradient. */
struct sqa_tensor *sqa_s4_step(struct sqa_context *c, struct sqa_s4_parameters p, int64_t points,
                               struct sqa_tensor *u);

#endif
