/*
 * norm.h - what the norms of rows share
 */
#ifndef SQA_ENGINE_OPS_NORM_H
#define SQA_ENGINE_OPS_NORM_H

#include "engine/ops/support.h"

struct sqa_norm_attr {
    double eps;
    bool rms;
};

enum { SQA_NORM_ROWS = 256 }; /* of a chunk */

/* Appends the gradient of a norm of x with these outputs: dx[0] for x (ds, when not NULL, is added), dx[1] and dx[2]
 * for gain and bias where they want one. */
void sqa_norm_grad(struct sqa_graph *g, bool rms, struct sqa_tensor *x, struct sqa_tensor *gain,
                   struct sqa_tensor *bias, struct sqa_tensor *mean, struct sqa_tensor *rstd, struct sqa_tensor *dy,
                   struct sqa_tensor *ds, struct sqa_tensor *dx[3]);
/* Is gain or bias i of n one number for each column of x? */
enum sqa_status sqa_norm_check(const struct sqa_node *n, int gain, int bias, struct sqa_err *err);

static inline const void *sqa_data_or_null(const struct sqa_tensor *t)
{
    return t != NULL ? sqa_data(t) : NULL;
}

#endif
