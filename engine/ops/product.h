/*
 * product.h - what matmul and matmul_sum share: operands as matrices with strides
 *
 * An operand is a row of matrices with strides (row, column); the one that is 1 decides gemm's transpose flag.
 * Builders copy operands that have no unit stride.
 */
#ifndef SQA_ENGINE_OPS_PRODUCT_H
#define SQA_ENGINE_OPS_PRODUCT_H

#include "engine/ops/support.h"

struct sqa_product_attr {
    bool ta, tb;
};

/* op(x) as matrices: batch dims, then rows and columns with strides. */
struct sqa_operand {
    const unsigned char *data;
    int lead;
    int64_t rows, columns, row_stride, column_stride;
    int64_t stride[SQA_MAX_RANK]; /* of the batch dims, aligned with the common batch dims */
};

struct sqa_product {
    const struct sqa_kernels *k;
    struct sqa_operand a, b;
    int rank; /* batch dims */
    int64_t dim[SQA_MAX_RANK], batch, m, n, kk;
};

/* Can gemm read matrices with these strides? Sets its flag and leading dimension. */
bool sqa_gemm_form(int64_t rows, int64_t columns, int64_t rs, int64_t cs, int *trans, int64_t *ld);
/* Checks the operands; finds sizes and the common batch dims. */
enum sqa_status sqa_product_sizes(const struct sqa_node *n, struct sqa_product *p, struct sqa_err *err);
/* Of a node that was checked; data is set by run. */
struct sqa_product sqa_product_of(const struct sqa_node *n);
/* Do the batch dims and one more dim (size, stride) of an operand form one long dim? And the stride of that one. */
bool sqa_product_joins(const struct sqa_product *p, const struct sqa_operand *o, int64_t size, int64_t stride);
int64_t sqa_joined_stride(const struct sqa_product *p, const struct sqa_operand *o, int64_t size, int64_t stride);
/* c (rows, n) = beta c + op(a) op(b) of batch index `index`: from row `row` on, over `terms` terms from `term` on. */
void sqa_product_multiply(const struct sqa_product *p, int64_t index, int64_t row, int64_t rows, int64_t term,
                          int64_t terms, double beta, void *c);
/* Bytes that sqa_product_packed wants, 0 for products that do not suit it: c (rows, n) = op(a) op(b) of batch index
 * `index`, from row `row` on, with b packed in scratch. */
size_t sqa_product_scratch(const struct sqa_product *p);
void sqa_product_packed(const struct sqa_product *p, int64_t index, int64_t row, int64_t rows, void *scratch,
                        void *c);
double sqa_product_flops(const struct sqa_node *n);
struct sqa_tensor *sqa_product_build(struct sqa_graph *g, const struct sqa_op *op, struct sqa_tensor *a,
                                     struct sqa_tensor *b, bool ta, bool tb);

#endif
