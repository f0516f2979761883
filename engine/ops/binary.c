/* binary.c - add, sub, mul, div and max of two tensors that broadcast by numpy's rule */
#include "engine/ops/support.h"

struct attr {
    enum sqa_binary f;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *a = n->in[0], *b = n->in[1];
    int64_t dim[SQA_MAX_RANK];
    int rank;
    char one[96], two[96];

    if (!sqa_is_real(a) || a->dtype != b->dtype)
        return sqa_shape_fail(n, err, "types %s and %s; give two tensors of the graph's real type",
                              sqa_dtype_name(a->dtype), sqa_dtype_name(b->dtype));
    if (!sqa_broadcast_dims(a->rank, a->dim, b->rank, b->dim, &rank, dim))
        return sqa_shape_fail(n, err, "%s and %s do not agree; dims must be equal or 1, aligned at the right",
                              sqa_shape_text(a, one), sqa_shape_text(b, two));
    sqa_set_output(n, 0, a->dtype, rank, dim);
    return SQA_OK;
}

/* y = f(a, b) with one of them a single number: b comes as one; a is one only for add, mul and max, which commute. */
static void piece(const void *ctx, const struct sqa_kernels *k, const void *const *in, unsigned constant, void *out,
                  size_t n)
{
    const struct attr *a = ctx;
    const enum sqa_dtype t = k->size == sizeof(double) ? SQA_F64 : SQA_F32;

    if (constant & 2)
        k->binary_scalar(a->f, in[0], sqa_real_get(t, in[1]), out, n);
    else if (constant & 1)
        k->binary_scalar(a->f, in[1], sqa_real_get(t, in[0]), out, n);
    else
        k->binary(a->f, in[0], in[1], out, n);
}

/* Rows of `width`: b is one row for all, or has one number for each row. */
struct rows {
    const struct sqa_kernels *k;
    enum sqa_binary f;
    const void *a, *b;
    void *y;
    int64_t rows, width;
    bool each;
};

/* The axis of y before which b agrees with y and from which on it is 1 (each), or the other way round; else -1. */
static int split(const struct sqa_tensor *y, const struct sqa_tensor *b, bool each)
{
    const int lead = y->rank - b->rank;
    int at = -1;

    for (int i = y->rank - 1; i >= 0; i--) {
        const int64_t d = i < lead ? 1 : b->dim[i - lead];
        const bool agrees = d == y->dim[i];

        if (at < 0 && !(each ? d == 1 : agrees))
            at = i + 1;
        if (at >= 0 && !(each ? agrees : d == 1))
            return -1;
    }
    return at;
}

static bool find_rows(const struct sqa_tensor *y, const struct sqa_tensor *a, const struct sqa_tensor *b,
                      struct rows *w)
{
    int at;

    if (!sqa_is_dense(y) || !sqa_is_dense(a) || !sqa_is_dense(b) || !sqa_same_shape(y, a))
        return false;
    w->each = (at = split(y, b, false)) < 0;
    if (w->each)
        at = split(y, b, true);
    w->rows = w->width = 1;
    for (int i = 0; i < y->rank; i++)
        *(i < at ? &w->rows : &w->width) *= y->dim[i];
    return at >= 0 && w->rows > 1 && w->width > 1 && w->width <= SQA_CHUNK / 4;
}

static void some_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct rows *w = ctx;
    const size_t size = w->k->size;

    (void)thread;
    w->k->binary_rows(w->f, sqa_at_const(w->a, first * w->width, size),
                      w->each ? sqa_at_const(w->b, first, size) : w->b, w->each, sqa_at(w->y, first * w->width, size),
                      (size_t)count, (size_t)w->width);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const bool commutes = a->f != SQA_BINARY_SUB && a->f != SQA_BINARY_DIV;

    for (int swap = 0; swap <= commutes; swap++) {
        const struct sqa_tensor *x = n->in[swap], *b = n->in[1 - swap];
        struct rows w = {.k = sqa_kernels_of(x->dtype), .f = a->f};

        if (!find_rows(n->out[0], x, b, &w))
            continue;
        w.a = sqa_data(x);
        w.b = sqa_data(b);
        w.y = sqa_data(n->out[0]);
        sqa_chunks(r, w.rows, sqa_max64(1, SQA_CHUNK / w.width), (double)(w.rows * w.width), some_rows, &w);
        return;
    }
    sqa_map(n, r, commutes ? 3 : 2, piece, n->attr);
}

static struct sqa_tensor *to(struct sqa_graph *g, struct sqa_tensor *d, const struct sqa_tensor *x)
{
    return sqa_sum_to(g, d, x->rank, x->dim);
}

static void add_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;

    if (n->in[0]->needs_grad)
        dx[0] = to(g, dy[0], n->in[0]);
    if (n->in[1]->needs_grad)
        dx[1] = to(g, dy[0], n->in[1]);
    if (dx[1] && a->f == SQA_BINARY_SUB)
        dx[1] = sqa_unary(g, SQA_UNARY_NEG, dx[1]);
}

static void mul_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    if (n->in[0]->needs_grad)
        dx[0] = to(g, sqa_mul(g, dy[0], n->in[1]), n->in[0]);
    if (n->in[1]->needs_grad)
        dx[1] = to(g, sqa_mul(g, dy[0], n->in[0]), n->in[1]);
}

static void div_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *d = sqa_div(g, dy[0], n->in[1]);

    if (n->in[0]->needs_grad)
        dx[0] = to(g, d, n->in[0]);
    if (n->in[1]->needs_grad)
        dx[1] = sqa_unary(g, SQA_UNARY_NEG, to(g, sqa_mul(g, d, n->out[0]), n->in[1]));
}

/* max(a, b) = b + relu(a - b): where they are equal the gradient goes to b. */
static void max_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *above = sqa_unary(g, SQA_UNARY_RELU, sqa_sub(g, n->in[0], n->in[1])), *da = NULL;

    if (above == NULL)
        return;
    above->node->op->grad(g, above->node, dy, &da);
    if (n->in[0]->needs_grad)
        dx[0] = to(g, da, n->in[0]);
    if (n->in[1]->needs_grad)
        dx[1] = to(g, sqa_sub(g, dy[0], da), n->in[1]);
}

#define BINARY(NAME, HELP, GRAD)                                                                                  \
    .name = NAME, .help = HELP, .shape = shape, .run = run, .grad = GRAD, .flops = sqa_flops_out1, .in_place = 3, \
    .strided = 3

const struct sqa_op sqa_op_add = {
    BINARY("add", "y = a + b", add_grad),
};
const struct sqa_op sqa_op_sub = {
    BINARY("sub", "y = a - b", add_grad),
};
const struct sqa_op sqa_op_mul = {
    BINARY("mul", "y = a b", mul_grad),
};
const struct sqa_op sqa_op_div = {
    BINARY("div", "y = a / b", div_grad),
};
const struct sqa_op sqa_op_max = {
    BINARY("max", "y = max(a, b)", max_grad),
};

struct sqa_tensor *sqa_binary(struct sqa_graph *g, enum sqa_binary f, struct sqa_tensor *a, struct sqa_tensor *b)
{
    static const struct sqa_op *const ops[SQA_BINARY_N] = {
#define X(NAME, name) [SQA_BINARY_##NAME] = &sqa_op_##name,
        SQA_BINARY_LIST(X)
#undef X
    };
    const struct attr attr = {f};
    struct sqa_tensor *const in[] = {a, b};

    if (!sqa_ready(g, ops[f]->name, 2, in))
        return NULL;
    return sqa_apply(g, ops[f], &attr, sizeof attr, 2, in);
}

struct sqa_tensor *sqa_add(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b)
{
    return sqa_binary(g, SQA_BINARY_ADD, a, b);
}

struct sqa_tensor *sqa_sub(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b)
{
    return sqa_binary(g, SQA_BINARY_SUB, a, b);
}

struct sqa_tensor *sqa_mul(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b)
{
    return sqa_binary(g, SQA_BINARY_MUL, a, b);
}

struct sqa_tensor *sqa_div(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b)
{
    return sqa_binary(g, SQA_BINARY_DIV, a, b);
}
