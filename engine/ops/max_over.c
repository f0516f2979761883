/*
 * max_over.c - largest element over axes, and where it is; the gradient goes to the first largest element
 *
 * One node works on one contiguous range of axes, (outer, n, inner) -> (outer, inner); the builder moves scattered
 * axes to the end. Output 1 has the place within the range, 0..n-1, or -1 when n is 0. NaN wins.
 */
#include <math.h>

#include "engine/ops/support.h"

struct attr {
    int first, axes;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    int64_t dim[SQA_MAX_RANK];
    char have[96];

    if (!sqa_is_real(x))
        return sqa_shape_fail(n, err, "x is %s %s; give real numbers", sqa_dtype_name(x->dtype),
                              sqa_shape_text(x, have));
    for (int i = 0; i < x->rank; i++)
        dim[i] = i >= a->first && i < a->first + a->axes ? 1 : x->dim[i];
    sqa_set_output(n, 0, x->dtype, x->rank, dim);
    sqa_set_output(n, 1, SQA_I32, x->rank, dim);
    return SQA_OK;
}

/* One outer index: rows 0..n-1 of inner numbers. */
#define DEFINE(T, name)                                                 \
    static void name(const T *x, struct sqa_span s, T *y, int32_t *at)  \
    {                                                                   \
        for (int64_t j = 0; j < s.inner; j++) {                         \
            y[j] = (T)(s.n > 0 ? x[j] : (T)-INFINITY);                  \
            at[j] = s.n > 0 ? 0 : -1;                                   \
        }                                                               \
        for (int64_t i = 1; i < s.n; i++) {                             \
            for (int64_t j = 0; j < s.inner; j++) {                     \
                const T v = x[i * s.inner + j];                         \
                const bool wins = v > y[j] || (v != v && y[j] == y[j]); \
                                                                        \
                y[j] = wins ? v : y[j];                                 \
                at[j] = wins ? (int32_t)i : at[j];                      \
            }                                                           \
        }                                                               \
    }
DEFINE(float, max_f32)
DEFINE(double, max_f64)

struct job {
    const struct sqa_node *node;
    struct sqa_span s;
};

static void run_outer(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_span s = j->s;
    const void *x = sqa_data(j->node->in[0]);
    void *y = sqa_data(j->node->out[0]);
    int32_t *at = sqa_data(j->node->out[1]);

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        if (j->node->in[0]->dtype == SQA_F64)
            max_f64((const double *)x + i * s.n * s.inner, s, (double *)y + i * s.inner, at + i * s.inner);
        else
            max_f32((const float *)x + i * s.n * s.inner, s, (float *)y + i * s.inner, at + i * s.inner);
    }
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    struct job j = {n, sqa_span_of(n->in[0], a->first, a->axes)};

    sqa_chunks(r, j.s.outer, sqa_max64(1, SQA_CHUNK / sqa_max64(1, j.s.n * j.s.inner)), (double)sqa_numel(n->in[0]),
               run_outer, &j);
}

static double flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->in[0]);
}

/* max_over_grad: inputs at, dy; dx is dy at that place and 0 elsewhere */

struct grad_attr {
    int first, axes, rank;
    int64_t dim[SQA_MAX_RANK];
};

static enum sqa_status grad_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct grad_attr *a = n->attr;

    (void)err;
    sqa_set_output(n, 0, n->in[1]->dtype, a->rank, a->dim);
    return SQA_OK;
}

static void grad_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct grad_attr *a = n->attr;
    const struct sqa_span s = sqa_span_of(n->out[0], a->first, a->axes);
    const size_t size = sqa_dtype_size(n->out[0]->dtype);
    const int32_t *at = sqa_data(n->in[0]);
    const void *dy = sqa_data(n->in[1]);
    void *dx = sqa_data(n->out[0]);

    (void)r;
    if (sqa_numel(n->out[0]) == 0)
        return;
    memset(dx, 0, (size_t)sqa_numel(n->out[0]) * size);
    for (int64_t i = 0; i < s.outer * s.inner; i++)
        memcpy(sqa_at(dx, (i / s.inner * s.n + at[i]) * s.inner + i % s.inner, size), sqa_at_const(dy, i, size),
               size);
}

const struct sqa_op sqa_op_max_over_grad = {
    .name = "max_over_grad",
    .help = "dx = dy at the largest element, 0 elsewhere",
    .shape = grad_shape,
    .run = grad_run,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;
    struct grad_attr ga = {.first = a->first, .axes = a->axes, .rank = n->in[0]->rank};
    struct sqa_tensor *const in[] = {n->out[1], dy[0]};

    memcpy(ga.dim, n->in[0]->dim, sizeof ga.dim);
    if (dy[0] != NULL)
        dx[0] = sqa_apply(g, &sqa_op_max_over_grad, &ga, sizeof ga, 2, in);
}

const struct sqa_op sqa_op_max_over = {
    .name = "max_over",
    .help = "largest element over axes, and its place",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
};

struct sqa_tensor *sqa_max_over(struct sqa_graph *g, struct sqa_tensor *x, unsigned axes, bool keep)
{
    int order[SQA_MAX_RANK], count = 0, kept = 0;
    int64_t dim[SQA_MAX_RANK];
    struct attr a = {-1, 0};
    bool scattered = false;
    struct sqa_tensor *y;
    char have[96];

    if (!sqa_ready(g, "max_over", 1, &x))
        return NULL;
    if (x->rank < SQA_MAX_RANK && axes >> x->rank != 0)
        return sqa_graph_fail(g, SQA_SHAPE, "max_over: axes 0x%x of %s; name axes below the rank", axes,
                              sqa_shape_text(x, have));
    if (axes == 0)
        return x;
    for (int i = 0; i < x->rank; i++) {
        const bool reduced = axes >> i & 1;

        if (reduced) {
            a.first = a.first < 0 ? i : a.first;
            scattered = scattered || i != a.first + a.axes;
            a.axes++;
        } else {
            order[count++] = i;
        }
        if (!reduced || keep)
            dim[kept++] = reduced ? 1 : x->dim[i];
    }
    if (scattered) {
        a.first = count;
        for (int i = 0; i < x->rank; i++)
            if (axes >> i & 1)
                order[count++] = i;
        x = sqa_permute(g, x, order);
    }
    y = sqa_apply(g, &sqa_op_max_over, &a, sizeof a, 1, &x);
    return sqa_reshape(g, y, kept, dim);
}
