/*
 * over_time.h - a linear map over time, each channel alone: what linear, nlinear and dlinear share
 *
 * The last `outputs` channels of x (B, L, C) as rows, (B, outputs, L) with one map W (L, H), b (H) for all channels,
 * or, individual, (outputs, B, L) with a map for each, W (outputs, L, H), b (outputs, 1, H). Source: Zeng et al. 2022,
 * arXiv:2205.13504, section 4.2.
 */
#ifndef SQA_MODELS_OVER_TIME_H
#define SQA_MODELS_OVER_TIME_H

#include "models/forecast.h"

struct sqa_over_time {
    int64_t individual;
};
extern const struct sqa_param sqa_over_time_params[]; /* of a model whose self is a struct sqa_over_time */

/* x (B, L, C) as rows; a look-back of another length than the weights' fails the graph. */
struct sqa_tensor *sqa_time_rows(struct sqa_context *c, struct sqa_tensor *x, bool individual);
/* Rows of L numbers -> rows of H, by the parameters w and b of the present scope. */
struct sqa_tensor *sqa_over_time(struct sqa_context *c, struct sqa_tensor *x, bool individual);
/* Rows of H numbers -> (B, H, outputs). */
struct sqa_tensor *sqa_time_columns(struct sqa_context *c, struct sqa_tensor *y, bool individual);

#endif
