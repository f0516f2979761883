/*
 * linear.h - what linear and its gradient share: up to three dense layers that read the same rows
 *
 * y_i = act_i(x W_i + b_i). Inputs x, W_0.., b_0.. (NULL: none); outputs y_0.., then the pre_i that are kept.
 * Small layers (sqa_linear_small) use packed operands, larger ones OpenBLAS.
 */
#ifndef SQA_ENGINE_OPS_LINEAR_H
#define SQA_ENGINE_OPS_LINEAR_H

#include "engine/ops/support.h"

enum { SQA_LINEAR_MAX = 3, SQA_LINEAR_WIDE = 3 * SQA_LINEAR_MAX + 1 };

struct sqa_linear_attr {
    int n;                   /* layers */
    int act[SQA_LINEAR_MAX]; /* enum sqa_unary; SQA_UNARY_N: none */
    bool keep;               /* x W + b is an output where an activation follows: its gradient needs it */
};

/* The rows of a tensor (..., n): ld elements apart. */
struct sqa_rows {
    unsigned char *data;
    int64_t rows, n, ld;
};
/* Are the leading dims of x one dim, its last dim dense? Fills r without its data. */
bool sqa_rows_of(const struct sqa_tensor *x, struct sqa_rows *r);
/* Has data too: for run functions. */
struct sqa_rows sqa_rows_at(const struct sqa_tensor *x);

bool sqa_linear_small(int64_t in, int64_t out);
/* Where the pre-activation of layer i stands among the outputs, or -1. */
int sqa_linear_pre(const struct sqa_linear_attr *a, int i);
/* Rows [first, first + count) of r, of those before `end`, as what is used soon. */
void sqa_soon(struct sqa_gemm_panels *g, int slot, const struct sqa_rows *r, int64_t first, int64_t count,
              int64_t end, size_t size);

/* d loss / d x, W_i and b_i of a linear node, as ops. dy and dx are those of sqa_op.grad. */
void sqa_linear_gradients(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy,
                          struct sqa_tensor **dx);

#endif
