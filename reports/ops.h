/* ops.h - the profiled ops of a row, from ops.csv */
#ifndef SQA_REPORTS_OPS_H
#define SQA_REPORTS_OPS_H

#include "reports/pool.h"

struct sqa_pool_op {
    const char *name;
    double calls, flops, bytes,
        ns; /* of a step, summed over the op's places in the model; absent numbers count as 0 */
};
/* The ops of a cell's row of a phase, the longest first: at most `room`; returns how many. 0 where nothing was profiled. */
size_t sqa_pool_ops(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, struct sqa_pool_op *ops,
                    size_t room);

#endif
