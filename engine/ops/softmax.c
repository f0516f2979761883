/* softmax.c - softmax of rows and its gradient; log-sum-exp of rows */
#include "engine/ops/support.h"

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    int64_t n; /* numbers of a row */
};

static enum sqa_status rows_shape(struct sqa_node *n, bool one, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    int64_t dim[SQA_MAX_RANK];
    char have[96], other[96];

    if (!sqa_is_real(x) || x->rank < 1)
        return sqa_shape_fail(n, err, "x is %s %s; give real rows", sqa_dtype_name(x->dtype),
                              sqa_shape_text(x, have));
    if (n->nin == 2 && !sqa_same_shape(x, n->in[1]))
        return sqa_shape_fail(n, err, "y is %s, dy %s; they must agree", sqa_shape_text(x, have),
                              sqa_shape_text(n->in[1], other));
    memcpy(dim, x->dim, sizeof dim);
    if (one)
        dim[x->rank - 1] = 1;
    sqa_set_output(n, 0, x->dtype, x->rank, dim);
    return SQA_OK;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    return rows_shape(n, false, err);
}

static enum sqa_status lse_shape(struct sqa_node *n, struct sqa_err *err)
{
    return rows_shape(n, true, err);
}

static void by_rows(const struct sqa_node *n, const struct sqa_run *r, sqa_chunk_fn *f)
{
    const int64_t count = sqa_numel(n->in[0]);
    struct job j = {n, sqa_kernels_of(n->in[0]->dtype), n->in[0]->dim[n->in[0]->rank - 1]};

    if (count != 0)
        sqa_chunks(r, count / j.n, sqa_max64(1, SQA_CHUNK / j.n), 5 * (double)count, f, &j);
}

static void softmax_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    j->k->softmax(sqa_at_const(sqa_data(j->node->in[0]), first * j->n, j->k->size),
                  sqa_at(sqa_data(j->node->out[0]), first * j->n, j->k->size), (size_t)count, (size_t)j->n);
}

static void grad_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    j->k->softmax_grad(sqa_at_const(sqa_data(j->node->in[0]), first * j->n, j->k->size),
                       sqa_at_const(sqa_data(j->node->in[1]), first * j->n, j->k->size),
                       sqa_at(sqa_data(j->node->out[0]), first * j->n, j->k->size), (size_t)count, (size_t)j->n);
}

static void lse_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    j->k->log_sum_exp(sqa_at_const(sqa_data(j->node->in[0]), first * j->n, j->k->size),
                      sqa_at(sqa_data(j->node->out[0]), first, j->k->size), (size_t)count, (size_t)j->n);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    by_rows(n, r, softmax_rows);
}

static void grad_run(const struct sqa_node *n, const struct sqa_run *r)
{
    by_rows(n, r, grad_rows);
}

static void lse_run(const struct sqa_node *n, const struct sqa_run *r)
{
    by_rows(n, r, lse_rows);
}

static double flops(const struct sqa_node *n)
{
    return 5 * (double)sqa_numel(n->in[0]);
}

static double grad_flops(const struct sqa_node *n)
{
    return 4 * (double)sqa_numel(n->in[0]);
}

static struct sqa_tensor *softmax_grad(struct sqa_graph *g, struct sqa_tensor *y, struct sqa_tensor *dy);

/* With u the gradient of dx = y (dy - s), s = sum(y dy) of the row:
 *   of dy: y (u - sum(y u));  of y: u (dy - s) - dy sum(u y) */
static void grad_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dys, struct sqa_tensor **dx)
{
    struct sqa_tensor *y = n->in[0], *dy = n->in[1], *u = dys[0];
    const unsigned last = 1u << (y->rank - 1);

    if (y->needs_grad) {
        struct sqa_tensor *s = sqa_sum(g, sqa_mul(g, y, dy), last, true);
        struct sqa_tensor *t = sqa_sum(g, sqa_mul(g, u, y), last, true);

        dx[0] = sqa_sub(g, sqa_mul(g, u, sqa_sub(g, dy, s)), sqa_mul(g, dy, t));
    }
    if (dy->needs_grad)
        dx[1] = softmax_grad(g, y, u);
}

const struct sqa_op sqa_op_softmax_grad = {
    .name = "softmax_grad",
    .help = "dx = y (dy - sum(y dy)) of each row",
    .shape = shape,
    .run = grad_run,
    .grad = grad_grad,
    .flops = grad_flops,
    .in_place = 3,
};

static struct sqa_tensor *softmax_grad(struct sqa_graph *g, struct sqa_tensor *y, struct sqa_tensor *dy)
{
    struct sqa_tensor *const in[] = {y, dy};

    if (!sqa_ready(g, "softmax_grad", 2, in))
        return NULL;
    return sqa_apply(g, &sqa_op_softmax_grad, NULL, 0, 2, in);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    dx[0] = softmax_grad(g, n->out[0], dy[0]);
}

const struct sqa_op sqa_op_softmax = {
    .name = "softmax",
    .help = "y = e^x / sum(e^x) of each row",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .in_place = 1,
};

static void lse_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    dx[0] = sqa_mul(g, sqa_unary(g, SQA_UNARY_EXP, sqa_sub(g, n->in[0], n->out[0])), dy[0]);
}

const struct sqa_op sqa_op_log_sum_exp = {
    .name = "log_sum_exp",
    .help = "y = ln sum(e^x) of each row",
    .shape = lse_shape,
    .run = lse_run,
    .grad = lse_grad,
    .flops = flops,
};

struct sqa_tensor *sqa_softmax(struct sqa_graph *g, struct sqa_tensor *x)
{
    if (!sqa_ready(g, "softmax", 1, &x))
        return NULL;
    return sqa_apply(g, &sqa_op_softmax, NULL, 0, 1, &x);
}

struct sqa_tensor *sqa_log_sum_exp(struct sqa_graph *g, struct sqa_tensor *x)
{
    if (!sqa_ready(g, "log_sum_exp", 1, &x))
        return NULL;
    return sqa_apply(g, &sqa_op_log_sum_exp, NULL, 0, 1, &x);
}
