/* copy.c - a dense copy of a view */
#include <string.h>

#include "engine/ops/support.h"

struct job {
    const struct sqa_tensor *x;
    struct sqa_tensor *y;
    int64_t inner; /* elements below the first two axes */
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    return SQA_OK;
}

/* Units are (first axis, second axis) pairs. */
static void copy_units(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_tensor *x = j->x;
    const size_t size = sqa_dtype_size(x->dtype);

    (void)thread;
    for (int64_t i = first, many; i < first + count; i += many) { /* units of one place of the first axis together */
        const int64_t at = i % x->dim[1];
        const void *from = sqa_at_const(sqa_data(x), i / x->dim[1] * x->stride[0] + at * x->stride[1], size);
        int64_t dim[SQA_MAX_RANK];

        many = sqa_min64(first + count - i, x->dim[1] - at);
        memcpy(dim, x->dim + 1, (size_t)(x->rank - 1) * sizeof *dim);
        dim[0] = many;
        sqa_copy_block(size, x->rank - 1, dim, from, x->stride + 1, sqa_at(sqa_data(j->y), i * j->inner, size),
                       j->y->stride + 1);
    }
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *x = n->in[0];
    const int64_t count = sqa_numel(x);
    struct job j = {.x = x, .y = n->out[0]};

    if (count == 0)
        return;
    if (x->rank < 3 || sqa_is_dense(x)) {
        sqa_copy_block(sqa_dtype_size(x->dtype), x->rank, x->dim, sqa_data(x), x->stride, sqa_data(n->out[0]),
                       n->out[0]->stride);
        return;
    }
    j.inner = count / (x->dim[0] * x->dim[1]);
    sqa_chunks(r, x->dim[0] * x->dim[1], sqa_max64(1, SQA_CHUNK / j.inner), (double)count, copy_units, &j);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    (void)g, (void)n;
    dx[0] = dy[0];
}

const struct sqa_op sqa_op_copy = {
    .name = "copy",
    .help = "y = x, dense",
    .shape = shape,
    .run = run,
    .grad = grad,
    .strided = 1,
};

struct sqa_tensor *sqa_dense(struct sqa_graph *g, struct sqa_tensor *x)
{
    if (!sqa_ready(g, "copy", 1, &x))
        return NULL;
    return sqa_is_dense(x) ? x : sqa_apply(g, &sqa_op_copy, NULL, 0, 1, &x);
}
