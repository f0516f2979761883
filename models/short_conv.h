/*
 * short_conv.h - the short causal convolution in front of recurrent mixers, for build and for step
 */
#ifndef SQA_MODELS_SHORT_CONV_H
#define SQA_MODELS_SHORT_CONV_H

#include "models/variant.h"

/* Depthwise convolution of x (B, L, D) with w (k, D) and bias (D) or NULL, as sqa_conv1d with left = k - 1 and no
 * lengths. Where positions go one at a time the k - 1 rows before are state `name`. */
struct sqa_tensor *sqa_short_conv(struct sqa_context *c, const char *name, struct sqa_tensor *x, struct sqa_tensor *w,
                                  struct sqa_tensor *bias);

#endif
