/* masked_softmax.c - softmax of scaled attention scores over the keys that are allowed, and its gradient */
#include "engine/ops/support.h"

struct attr {
    double scale;
    bool causal;
};

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    int64_t rows, queries, keys; /* rows of one sequence: heads x queries */
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (!sqa_is_real(x) || x->rank != 4)
        return sqa_shape_fail(n, err, "scores are %s %s; give real (B, H, queries, keys)", sqa_dtype_name(x->dtype),
                              sqa_shape_text(x, have));
    if (a->causal && x->dim[2] != x->dim[3])
        return sqa_shape_fail(n, err, "causal scores are %s; give as many keys as queries", sqa_shape_text(x, have));
    sqa_set_output(n, 0, x->dtype, 4, x->dim);
    return n->in[1] ? sqa_check_lengths(n, 1, x->dim[0], err) : SQA_OK;
}

static enum sqa_status grad_shape(struct sqa_node *n, struct sqa_err *err)
{
    char have[96], other[96];

    if (!sqa_same_shape(n->in[0], n->in[1]))
        return sqa_shape_fail(n, err, "y is %s, dy %s; they must agree", sqa_shape_text(n->in[0], have),
                              sqa_shape_text(n->in[1], other));
    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    return SQA_OK;
}

static void by_rows(const struct sqa_node *n, const struct sqa_run *r, sqa_chunk_fn *f)
{
    const struct sqa_tensor *x = n->in[0];
    const int64_t count = sqa_numel(x);
    struct job j = {n, sqa_kernels_of(x->dtype), x->dim[1] * x->dim[2], x->dim[2], x->dim[3]};

    if (count != 0)
        sqa_chunks(r, count / j.keys, sqa_max64(1, SQA_CHUNK / j.keys), 5 * (double)count, f, &j);
}

/* A row without an allowed key is 0. */
static void softmax_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct attr *a = j->node->attr;
    const size_t size = j->k->size;

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        const void *x = sqa_at_const(sqa_data(j->node->in[0]), i * j->keys, size);
        void *y = sqa_at(sqa_data(j->node->out[0]), i * j->keys, size);
        int64_t keys = j->node->in[1] ? sqa_length_at(j->node->in[1], i / j->rows, j->keys) : j->keys;

        if (a->causal && i % j->queries + 1 < keys)
            keys = i % j->queries + 1;
        if (keys > 0) {
            j->k->affine(a->scale, x, 0, y, (size_t)keys);
            j->k->softmax(y, y, 1, (size_t)keys);
        }
        memset(sqa_at(y, keys, size), 0, (size_t)(j->keys - keys) * size);
    }
}

static void grad_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct attr *a = j->node->attr;
    const size_t size = j->k->size;
    void *dx = sqa_at(sqa_data(j->node->out[0]), first * j->keys, size);

    (void)thread;
    j->k->softmax_grad(sqa_at_const(sqa_data(j->node->in[0]), first * j->keys, size),
                       sqa_at_const(sqa_data(j->node->in[1]), first * j->keys, size), dx, (size_t)count,
                       (size_t)j->keys);
    j->k->affine(a->scale, dx, 0, dx, (size_t)(count * j->keys));
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    by_rows(n, r, softmax_rows);
}

static void grad_run(const struct sqa_node *n, const struct sqa_run *r)
{
    by_rows(n, r, grad_rows);
}

/* 5 a pair, as attention counts it. */
static double flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const double q = (double)n->in[0]->dim[2];

    return 5 * (a->causal ? (double)sqa_numel(n->in[0]) / q * (q + 1) / 2 : (double)sqa_numel(n->in[0]));
}

static double grad_flops(const struct sqa_node *n)
{
    return 5 * (double)sqa_numel(n->in[0]);
}

const struct sqa_op sqa_op_masked_softmax_grad = {
    .name = "masked_softmax_grad",
    .help = "dx = scale y (dy - sum(y dy)) of each row; y is 0 at keys that are not allowed",
    .shape = grad_shape,
    .run = grad_run,
    .flops = grad_flops,
    .in_place = 3,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->out[0], dy[0]};

    dx[0] = sqa_apply(g, &sqa_op_masked_softmax_grad, n->attr, sizeof(struct attr), 2, in);
}

const struct sqa_op sqa_op_masked_softmax = {
    .name = "masked_softmax",
    .help = "y = e^(scale x) / sum(e^(scale x)) over the allowed keys of each query, 0 at the others",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .in_place = 1,
};

struct sqa_tensor *sqa_masked_softmax(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths,
                                      double scale, bool causal)
{
    const struct attr a = {scale, causal};
    struct sqa_tensor *const in[] = {x, lengths};

    if (!sqa_ready(g, "masked_softmax", 1, in))
        return NULL;
    return sqa_apply(g, &sqa_op_masked_softmax, &a, sizeof a, 2, in);
}
