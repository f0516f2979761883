/*
 * linear.c - dense layers: product, bias and activation in one pass over the rows
 *
 * Rows are taken in blocks that stay in the cache while every layer reads them and its activation follows.
 */
#include "engine/ops/linear.h"

#include "engine/ops/product.h"

enum { BLOCK = 168, LARGE_BLOCK = 512, SMALL = 1 << 17 };

bool sqa_linear_small(int64_t in, int64_t out)
{
    return in * out <= SMALL;
}

int sqa_linear_pre(const struct sqa_linear_attr *a, int i)
{
    int at = a->n;

    if (!a->keep || a->act[i] == SQA_UNARY_N)
        return -1;
    for (int j = 0; j < i; j++)
        at += a->act[j] != SQA_UNARY_N;
    return at;
}

bool sqa_rows_of(const struct sqa_tensor *x, struct sqa_rows *r)
{
    const int last = x->rank - 1;

    *r = (struct sqa_rows){.rows = 1, .n = x->dim[last], .ld = x->dim[last]};
    if (x->stride[last] != 1 && x->dim[last] > 1)
        return false;
    for (int i = last - 1; i >= 0; i--) {
        if (x->dim[i] == 1)
            continue;
        if (r->rows == 1)
            r->ld = x->stride[i];
        else if (x->stride[i] != r->rows * r->ld)
            return false;
        r->rows *= x->dim[i];
    }
    return r->rows == 1 || r->ld >= r->n;
}

struct sqa_rows sqa_rows_at(const struct sqa_tensor *x)
{
    struct sqa_rows r;

    (void)sqa_rows_of(x, &r);
    r.data = sqa_data(x);
    return r;
}

void sqa_soon(struct sqa_gemm_panels *g, int slot, const struct sqa_rows *r, int64_t first, int64_t count,
              int64_t end, size_t size)
{
    const int64_t rows = sqa_min64(count, end - first);

    if (rows <= 0)
        return;
    g->soon[slot].p = sqa_at(r->data, first * r->ld, size);
    g->soon[slot].bytes = (size_t)(rows * r->ld) * size;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_linear_attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    int64_t dim[SQA_MAX_RANK];
    char one[96], two[96];

    memcpy(dim, x->dim, sizeof dim);
    for (int i = 0; i < a->n; i++) {
        const struct sqa_tensor *w = n->in[1 + i], *b = n->in[1 + a->n + i];

        if (!sqa_is_real(x) || x->rank < 1 || w->rank != 2 || w->dtype != x->dtype ||
            w->dim[0] != x->dim[x->rank - 1])
            return sqa_shape_fail(n, err, "%s times %s; weights are (in, out), in the last dim of x",
                                  sqa_shape_text(x, one), sqa_shape_text(w, two));
        if (b != NULL && (b->rank != 1 || b->dim[0] != w->dim[1] || b->dtype != x->dtype))
            return sqa_shape_fail(n, err, "weights %s with bias %s; give one number for each output",
                                  sqa_shape_text(w, one), sqa_shape_text(b, two));
        dim[x->rank - 1] = w->dim[1];
        sqa_set_output(n, i, x->dtype, x->rank, dim);
        if (sqa_linear_pre(a, i) >= 0)
            sqa_set_output(n, sqa_linear_pre(a, i), x->dtype, x->rank, dim);
    }
    return SQA_OK;
}

struct layer {
    bool small;
    int trans; /* of the weights, for OpenBLAS */
    int64_t ld;
    const void *w, *bias;
    unsigned char *panels;
    struct sqa_rows sum, y; /* x W + b, and after the activation; may be one */
    int act;
};

struct job {
    const struct sqa_kernels *k;
    struct sqa_rows x;
    int n;
    int64_t block;
    struct layer layer[SQA_LINEAR_MAX];
};

static void large_product(const struct job *j, const struct layer *l, int64_t first, int64_t count)
{
    const size_t size = j->k->size;

    j->k->gemm(0, l->trans, count, l->y.n, j->x.n, 1, sqa_at(j->x.data, first * j->x.ld, size), j->x.ld, l->w, l->ld,
               0, sqa_at(l->sum.data, first * l->y.n, size), l->y.n);
    for (int64_t i = first; l->bias != NULL && i < first + count; i++) {
        void *row = sqa_at(l->sum.data, i * l->y.n, size);

        j->k->binary(SQA_BINARY_ADD, row, l->bias, row, (size_t)l->y.n);
    }
}

static void small_product(const struct job *j, const struct layer *l, int64_t first, int64_t count)
{
    const size_t size = j->k->size;
    const int64_t next = first + count;
    struct sqa_gemm_panels g = {.m = count,
                                .n = l->y.n,
                                .k = j->x.n,
                                .a = sqa_at(j->x.data, first * j->x.ld, size),
                                .a_row = j->x.ld,
                                .a_column = 1,
                                .panels = l->panels,
                                .c = sqa_at(l->sum.data, first * l->y.n, size),
                                .ldc = l->y.n,
                                .bias = l->bias};

    if (l == &j->layer[0])
        sqa_soon(&g, 0, &j->x, next, count, j->x.rows, size);
    sqa_soon(&g, 1, &l->sum, next, count, j->x.rows, size);
    if (l->sum.data != l->y.data)
        sqa_soon(&g, 2, &l->y, next, count, j->x.rows, size);
    j->k->gemm_panels(&g);
}

static void block_of_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    for (int i = 0; i < j->n; i++) {
        const struct layer *l = &j->layer[i];

        if (l->small)
            small_product(j, l, first, count);
        else
            large_product(j, l, first, count);
        if (l->act != SQA_UNARY_N)
            j->k->unary((enum sqa_unary)l->act, sqa_at(l->sum.data, first * l->y.n, j->k->size),
                        sqa_at(l->y.data, first * l->y.n, j->k->size), (size_t)(count * l->y.n));
    }
}

static double flops(const struct sqa_node *n)
{
    const struct sqa_linear_attr *a = n->attr;
    double sum = 0;

    for (int i = 0; i < a->n; i++)
        sum += (double)sqa_numel(n->out[i]) *
               (2 * (double)n->in[1 + i]->dim[0] + (n->in[1 + a->n + i] != NULL) + (a->act[i] != SQA_UNARY_N));
    return sum;
}

/* Bytes of the packed weights of layer i. */
static size_t panel_bytes(const struct sqa_node *n, int i)
{
    const struct sqa_tensor *w = n->in[1 + i];
    const struct sqa_kernels *k = sqa_node_kernels(n);

    return sqa_linear_small(w->dim[0], w->dim[1]) ? sqa_align64(k->panels(w->dim[0], w->dim[1]) * k->size) : 0;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    const struct sqa_linear_attr *a = n->attr;
    size_t bytes = 0;

    (void)threads;
    for (int i = 0; i < a->n; i++)
        bytes += panel_bytes(n, i);
    return bytes;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_linear_attr *a = n->attr;
    struct job j = {.k = sqa_node_kernels(n), .x = sqa_rows_at(n->in[0]), .n = a->n, .block = BLOCK};
    unsigned char *space = r->workspace;

    if (j.x.rows == 0)
        return;
    for (int i = 0; i < a->n; i++) {
        struct layer *l = &j.layer[i];
        const struct sqa_tensor *w = n->in[1 + i], *b = n->in[1 + a->n + i];
        const int pre = sqa_linear_pre(a, i);

        *l = (struct layer){.small = panel_bytes(n, i) != 0, .w = sqa_data(w), .act = a->act[i], .panels = space};
        l->bias = b != NULL ? sqa_data(b) : NULL;
        l->y = sqa_rows_at(n->out[i]);
        l->sum = pre >= 0 ? sqa_rows_at(n->out[pre]) : l->y;
        space += panel_bytes(n, i);
        if (l->small)
            j.k->pack(w->dim[0], w->dim[1], l->w, w->stride[0], w->stride[1], l->panels);
        else {
            (void)sqa_gemm_form(w->dim[0], w->dim[1], w->stride[0], w->stride[1], &l->trans, &l->ld);
            j.block = LARGE_BLOCK;
        }
    }
    sqa_chunks(r, j.x.rows, j.block, flops(n), block_of_rows, &j);
}

/* An activation's output again, from what it was taken of. */
static struct sqa_tensor *remake(struct sqa_graph *g, struct sqa_node *n, int output)
{
    const struct sqa_linear_attr *a = n->attr;
    const int pre = output < a->n ? sqa_linear_pre(a, output) : -1;

    return pre >= 0 ? sqa_unary(g, (enum sqa_unary)a->act[output], n->out[pre]) : NULL;
}

const struct sqa_op sqa_op_linear = {
    .name = "linear",
    .help = "y_i = act_i(x W_i + b_i) for up to 3 layers of one x",
    .shape = shape,
    .run = run,
    .grad = sqa_linear_gradients,
    .remake = remake,
    .flops = flops,
    .workspace = workspace,
    .strided = 0xf, /* x and weights; the builder looks at them */
};

/* Can the op do it? Others, such as weights with leading dims, take separate ops. */
static bool fits(const struct sqa_tensor *x, const struct sqa_tensor *w, const struct sqa_tensor *bias)
{
    return x->rank >= 2 && w->rank == 2 && (bias == NULL || (bias->rank == 1 && bias->dim[0] == w->dim[1])) &&
           w->dim[0] > 0 && w->dim[1] > 0;
}

/* Only functions with a gradient from their input alone: unary_grad. */
static bool fusible(int act)
{
    return act == SQA_UNARY_N || act == SQA_UNARY_RELU || act == SQA_UNARY_GELU || act == SQA_UNARY_SILU ||
           act == SQA_UNARY_ELU1 || act == SQA_UNARY_SOFTPLUS;
}

static struct sqa_tensor *separate(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *w,
                                   struct sqa_tensor *bias, int act)
{
    struct sqa_tensor *y = sqa_matmul(g, x, w, false, false);

    y = bias != NULL ? sqa_add(g, y, bias) : y;
    return act == SQA_UNARY_N ? y : sqa_unary(g, (enum sqa_unary)act, y);
}

void sqa_linear_n(struct sqa_graph *g, struct sqa_tensor *x, int n, struct sqa_tensor *const *w,
                  struct sqa_tensor *const *bias, const int *act, struct sqa_tensor **y)
{
    struct sqa_linear_attr a = {.n = n, .keep = g->training};
    struct sqa_tensor *in[1 + 2 * SQA_LINEAR_MAX], *out;
    struct sqa_rows rows;
    bool one = n <= SQA_LINEAR_MAX;

    for (int i = 0; i < n; i++)
        y[i] = NULL;
    if (!sqa_ready(g, "linear", 1, &x) || !sqa_ready(g, "linear", n, w))
        return;
    for (int i = 0; i < n; i++)
        one = one && fits(x, w[i], bias[i]) && (act == NULL || fusible(act[i]));
    if (!one) {
        for (int i = 0; i < n; i++)
            y[i] = separate(g, x, w[i], bias[i], act != NULL ? act[i] : SQA_UNARY_N);
        return;
    }
    in[0] = sqa_rows_of(x, &rows) ? x : sqa_dense(g, x);
    for (int i = 0; i < n; i++) {
        int trans;
        int64_t ld;

        a.act[i] = act != NULL ? act[i] : SQA_UNARY_N;
        in[1 + i] = sqa_gemm_form(w[i]->dim[0], w[i]->dim[1], w[i]->stride[0], w[i]->stride[1], &trans, &ld)
                        ? w[i]
                        : sqa_dense(g, w[i]);
        in[1 + n + i] = bias[i] != NULL ? sqa_dense(g, bias[i]) : NULL;
    }
    out = sqa_apply(g, &sqa_op_linear, &a, sizeof a, 1 + 2 * n, in);
    for (int i = 0; i < n && out != NULL; i++)
        y[i] = out->node->out[i];
}

struct sqa_tensor *sqa_linear_act(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *w,
                                  struct sqa_tensor *bias, int act)
{
    struct sqa_tensor *y;

    sqa_linear_n(g, x, 1, &w, &bias, &act, &y);
    return y;
}

struct sqa_tensor *sqa_linear(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *w,
                              struct sqa_tensor *bias)
{
    return sqa_linear_act(g, x, w, bias, SQA_UNARY_N);
}
