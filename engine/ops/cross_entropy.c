/* cross_entropy.c - softmax cross entropy of rows; a label outside the classes gives loss and gradient 0 */
#include "engine/ops/support.h"

struct job {
    const struct sqa_kernels *k;
    const unsigned char *x, *dloss;
    const int32_t *label;
    unsigned char *y;
    int64_t n;
};

static enum sqa_status check(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0], *label = n->in[1];
    char one[96], two[96];

    if (!sqa_is_real(x) || x->rank != 2 || label->dtype != SQA_I32 || label->rank != 1 || label->dim[0] != x->dim[0])
        return sqa_shape_fail(n, err, "logits %s %s, labels %s %s; give real (N, C) and i32 (N)",
                              sqa_dtype_name(x->dtype), sqa_shape_text(x, one), sqa_dtype_name(label->dtype),
                              sqa_shape_text(label, two));
    return SQA_OK;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    sqa_set_output(n, 0, n->in[0]->dtype, 1, n->in[0]->dim);
    return check(n, err);
}

static enum sqa_status grad_shape(struct sqa_node *n, struct sqa_err *err)
{
    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    return check(n, err);
}

static void losses(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    j->k->cross_entropy(sqa_at_const(j->x, first * j->n, j->k->size), j->label + first,
                        sqa_at(j->y, first, j->k->size), (size_t)count, (size_t)j->n);
}

static void gradients(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    j->k->cross_entropy_grad(sqa_at_const(j->x, first * j->n, j->k->size), j->label + first,
                             sqa_at_const(j->dloss, first, j->k->size), sqa_at(j->y, first * j->n, j->k->size),
                             (size_t)count, (size_t)j->n);
}

static void by_rows(const struct sqa_node *n, const struct sqa_run *r, sqa_chunk_fn *f)
{
    const struct sqa_tensor *x = n->in[0];
    struct job j = {.k = sqa_kernels_of(x->dtype),
                    .x = sqa_data(x),
                    .label = sqa_data(n->in[1]),
                    .y = sqa_data(n->out[0]),
                    .n = x->dim[1]};

    if (n->nin == 3)
        j.dloss = sqa_data(n->in[2]);
    sqa_chunks(r, x->dim[0], sqa_max64(1, SQA_CHUNK / sqa_max64(1, j.n)), 5 * (double)sqa_numel(x), f, &j);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    by_rows(n, r, losses);
}

static void grad_run(const struct sqa_node *n, const struct sqa_run *r)
{
    by_rows(n, r, gradients);
}

static double flops(const struct sqa_node *n)
{
    return 5 * (double)sqa_numel(n->in[0]);
}

const struct sqa_op sqa_op_cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .help = "dx = dloss (softmax(x) - onehot(label))",
    .shape = grad_shape,
    .run = grad_run,
    .flops = flops,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->in[0], n->in[1], dy[0]};

    dx[0] = sqa_apply(g, &sqa_op_cross_entropy_grad, NULL, 0, 3, in);
}

const struct sqa_op sqa_op_cross_entropy = {
    .name = "cross_entropy",
    .help = "loss = ln sum(e^x) - x[label] of each row",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
};

struct sqa_tensor *sqa_cross_entropy(struct sqa_graph *g, struct sqa_tensor *logits, struct sqa_tensor *labels)
{
    struct sqa_tensor *const in[] = {logits, labels};

    if (!sqa_ready(g, "cross_entropy", 2, in))
        return NULL;
    return sqa_apply(g, &sqa_op_cross_entropy, NULL, 0, 2, in);
}
