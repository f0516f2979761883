/* pad.c - zeros before and after along an axis */
#include "engine/ops/support.h"

struct attr {
    int axis;
    int64_t before, after;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    int64_t dim[SQA_MAX_RANK];
    char have[96];

    if (!sqa_axis_ok(x, a->axis) || a->before < 0 || a->after < 0)
        return sqa_shape_fail(n, err,
                              "%lld zeros before and %lld after along axis %d of %s; give an axis and counts "
                              "from 0",
                              (long long)a->before, (long long)a->after, a->axis, sqa_shape_text(x, have));
    for (int i = 0; i < x->rank; i++)
        dim[i] = x->dim[i] + (i == a->axis ? a->before + a->after : 0);
    sqa_set_output(n, 0, x->dtype, x->rank, dim);
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0], *y = n->out[0];
    const size_t size = sqa_dtype_size(y->dtype);
    const struct sqa_span s = sqa_span_of(y, a->axis, 1);
    const size_t before = (size_t)(a->before * s.inner) * size, after = (size_t)(a->after * s.inner) * size;

    (void)r;
    for (int64_t i = 0; i < s.outer; i++) {
        unsigned char *row = sqa_at(sqa_data(y), i * s.n * s.inner, size);

        memset(row, 0, before);
        memset(row + (size_t)(s.n * s.inner) * size - after, 0, after);
    }
    if (sqa_numel(x) != 0)
        sqa_copy_block(size, x->rank, x->dim, sqa_data(x), x->stride,
                       sqa_at(sqa_data(y), a->before * y->stride[a->axis], size), y->stride);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;

    dx[0] = sqa_slice(g, dy[0], a->axis, a->before, n->in[0]->dim[a->axis]);
}

const struct sqa_op sqa_op_pad = {
    .name = "pad",
    .help = "zeros before and after along an axis",
    .shape = shape,
    .run = run,
    .grad = grad,
    .strided = 1,
};

struct sqa_tensor *sqa_pad(struct sqa_graph *g, struct sqa_tensor *x, int axis, int64_t before, int64_t after)
{
    const struct attr a = {axis, before, after};

    if (!sqa_ready(g, "pad", 1, &x))
        return NULL;
    return before == 0 && after == 0 && sqa_axis_ok(x, axis) ? x : sqa_apply(g, &sqa_op_pad, &a, sizeof a, 1, &x);
}
