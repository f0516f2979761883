/* product.c - see product.h */
#include "engine/ops/product.h"

bool sqa_gemm_form(int64_t rows, int64_t columns, int64_t rs, int64_t cs, int *trans, int64_t *ld)
{
    if ((cs == 1 || columns <= 1) && (rows <= 1 || rs >= sqa_max64(1, columns))) {
        *trans = 0;
        *ld = rows <= 1 ? sqa_max64(1, columns) : rs;
        return true;
    }
    if ((rs == 1 || rows <= 1) && (columns <= 1 || cs >= sqa_max64(1, rows))) {
        *trans = 1;
        *ld = columns <= 1 ? sqa_max64(1, rows) : cs;
        return true;
    }
    return false;
}

static struct sqa_operand operand_of(const struct sqa_tensor *x, bool t)
{
    const int r = x->rank;
    struct sqa_operand o = {.lead = r - 2};

    o.rows = x->dim[t ? r - 1 : r - 2];
    o.columns = x->dim[t ? r - 2 : r - 1];
    o.row_stride = x->stride[t ? r - 1 : r - 2];
    o.column_stride = x->stride[t ? r - 2 : r - 1];
    return o;
}

static bool usable(const struct sqa_tensor *x)
{
    const struct sqa_operand o = operand_of(x, false);
    int trans;
    int64_t ld;

    return sqa_gemm_form(o.rows, o.columns, o.row_stride, o.column_stride, &trans, &ld);
}

enum sqa_status sqa_product_sizes(const struct sqa_node *n, struct sqa_product *p, struct sqa_err *err)
{
    const struct sqa_product_attr *f = n->attr;
    const struct sqa_tensor *a = n->in[0], *b = n->in[1];
    char one[96], two[96];

    if (!sqa_is_real(a) || a->dtype != b->dtype)
        return sqa_shape_fail(n, err, "types %s and %s; give two tensors of the graph's real type",
                              sqa_dtype_name(a->dtype), sqa_dtype_name(b->dtype));
    if (a->rank < 2 || b->rank < 2)
        return sqa_shape_fail(n, err, "%s times %s; both need two dims or more", sqa_shape_text(a, one),
                              sqa_shape_text(b, two));
    p->a = operand_of(a, f->ta);
    p->b = operand_of(b, f->tb);
    if (p->a.columns != p->b.rows || !sqa_broadcast_dims(a->rank - 2, a->dim, b->rank - 2, b->dim, &p->rank, p->dim))
        return sqa_shape_fail(n, err, "%s%s times %s%s; inner dims must agree, leading dims be equal or 1",
                              sqa_shape_text(a, one), f->ta ? " transposed" : "", sqa_shape_text(b, two),
                              f->tb ? " transposed" : "");
    p->m = p->a.rows;
    p->n = p->b.columns;
    p->kk = p->a.columns;
    p->batch = 1;
    for (int i = 0; i < p->rank; i++)
        p->batch *= p->dim[i];
    return SQA_OK;
}

static void batch_strides(const struct sqa_product *p, const struct sqa_tensor *x, struct sqa_operand *o)
{
    for (int i = 0; i < p->rank; i++) {
        const int d = i - (p->rank - o->lead);

        o->stride[i] = d < 0 || x->dim[d] == 1 ? 0 : x->stride[d];
    }
}

struct sqa_product sqa_product_of(const struct sqa_node *n)
{
    struct sqa_product p = {.k = sqa_node_kernels(n)};
    struct sqa_err err;

    (void)sqa_product_sizes(n, &p, &err);
    batch_strides(&p, n->in[0], &p.a);
    batch_strides(&p, n->in[1], &p.b);
    return p;
}

bool sqa_product_joins(const struct sqa_product *p, const struct sqa_operand *o, int64_t size, int64_t stride)
{
    for (int i = p->rank - 1; i >= 0; i--) {
        if (p->dim[i] == 1)
            continue;
        if (size != 1 && o->stride[i] != size * stride)
            return false;
        if (size == 1)
            stride = o->stride[i];
        size *= p->dim[i];
    }
    return true;
}

/* The stride of the long dim that sqa_product_joins() found. */
int64_t sqa_joined_stride(const struct sqa_product *p, const struct sqa_operand *o, int64_t size, int64_t stride)
{
    for (int i = p->rank - 1; i >= 0 && size == 1; i--) {
        if (p->dim[i] == 1)
            continue;
        stride = o->stride[i];
        size = p->dim[i];
    }
    return stride;
}

static const void *matrix_at(const struct sqa_product *p, const struct sqa_operand *o, int64_t index)
{
    int64_t offset = 0;

    for (int i = p->rank - 1; i >= 0; i--) {
        offset += index % p->dim[i] * o->stride[i];
        index /= p->dim[i];
    }
    return o->data + offset * (int64_t)p->k->size;
}

void sqa_product_multiply(const struct sqa_product *p, int64_t index, int64_t row, int64_t rows, int64_t term,
                          int64_t terms, double beta, void *c)
{
    const struct sqa_operand *a = &p->a, *b = &p->b;
    int ta = 0, tb = 0;
    int64_t lda = 1, ldb = 1;

    (void)sqa_gemm_form(a->rows, a->columns, a->row_stride, a->column_stride, &ta, &lda);
    (void)sqa_gemm_form(b->rows, b->columns, b->row_stride, b->column_stride, &tb, &ldb);
    p->k->gemm(ta, tb, rows, p->n, terms, 1.0,
               sqa_at_const(matrix_at(p, a, index), row * a->row_stride + term * a->column_stride, p->k->size), lda,
               sqa_at_const(matrix_at(p, b, index), term * b->row_stride, p->k->size), ldb, beta, c, p->n);
}

/* Products with a small b: packed for a block of rows of a. Sums over many terms and wide products suit OpenBLAS. */
enum { PACKED_LEAST = 12, PACKED_MOST = 512, PACKED_NUMBERS = 1 << 17 };

size_t sqa_product_scratch(const struct sqa_product *p)
{
    if (sqa_min64(p->n, p->kk) < PACKED_LEAST || sqa_max64(p->n, p->kk) > PACKED_MOST ||
        p->n * p->kk > PACKED_NUMBERS)
        return 0;
    return sqa_align64(p->k->panels(p->kk, p->n) * p->k->size);
}

void sqa_product_packed(const struct sqa_product *p, int64_t index, int64_t row, int64_t rows, void *scratch, void *c)
{
    const struct sqa_operand *a = &p->a, *b = &p->b;
    const size_t size = p->k->size;
    const int64_t next = row + rows, more = sqa_min64(rows, p->m - next);
    const void *matrix = matrix_at(p, a, index);
    struct sqa_gemm_panels g = {.m = rows,
                                .n = p->n,
                                .k = p->kk,
                                .a = sqa_at_const(matrix, row * a->row_stride, size),
                                .a_row = a->row_stride,
                                .a_column = a->column_stride,
                                .panels = scratch,
                                .c = c,
                                .ldc = p->n};

    if (more > 0 && a->row_stride == p->kk) { /* dense rows */
        g.soon[0].p = sqa_at_const(matrix, next * a->row_stride, size);
        g.soon[0].bytes = (size_t)(more * a->row_stride) * size;
        g.soon[1].p = sqa_at_const(c, rows * p->n, size);
        g.soon[1].bytes = (size_t)(more * p->n) * size;
    }
    p->k->pack(p->kk, p->n, matrix_at(p, b, index), b->row_stride, b->column_stride, scratch);
    p->k->gemm_panels(&g);
}

double sqa_product_flops(const struct sqa_node *n)
{
    const struct sqa_product p = sqa_product_of(n);

    return 2 * (double)p.batch * (double)p.m * (double)p.n * (double)p.kk;
}

struct sqa_tensor *sqa_product_build(struct sqa_graph *g, const struct sqa_op *op, struct sqa_tensor *a,
                                     struct sqa_tensor *b, bool ta, bool tb)
{
    const struct sqa_product_attr attr = {ta, tb};
    struct sqa_tensor *in[] = {a, b};

    if (!sqa_ready(g, op->name, 2, in))
        return NULL;
    for (int i = 0; i < 2; i++)
        if (in[i]->rank >= 2 && !usable(in[i]))
            in[i] = sqa_dense(g, in[i]);
    return sqa_apply(g, op, &attr, sizeof attr, 2, in);
}
