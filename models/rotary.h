/*
 * rotary.h - rotation of pairs of channels by an angle that grows with the position
 *
 *     (y_2j, y_2j+1) = scale (x_2j cos p theta_j - x_2j+1 sin p theta_j, x_2j sin p theta_j + x_2j+1 cos p theta_j)
 *
 * at position p = 0, 1, ..., theta_j = 10000^(-j / (d / 2 - 1)), j = 0 .. d / 2 - 1 (1 when d = 2): a product of a
 * rotated query and a rotated key depends on the distance of their positions.
 *
 * Source: Su et al. 2021, arXiv:2104.09864; these angles: microsoft/torchscale: torchscale/architecture/retnet.py
 */
#ifndef SQA_MODELS_ROTARY_H
#define SQA_MODELS_ROTARY_H

#include "engine/graph.h"

/* x (B, L, H, d), d even -> the same shape. position i32 (1): that of the first row of x, or NULL: 0. */
struct sqa_tensor *sqa_rotary(struct sqa_graph *g, struct sqa_tensor *x, double scale, struct sqa_tensor *position);
/* Its flops. */
double sqa_rotary_flops(int64_t batch, int64_t length, int64_t heads, int64_t d);

#endif
