/* cumsum.c - running sums along an axis, from the front or, in the gradient, from the back; summed in double */
#include "engine/ops/support.h"

struct attr {
    int axis;
    bool back;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    char have[96];

    if (!sqa_axis_ok(n->in[0], a->axis))
        return sqa_shape_fail(n, err, "axis %d of %s; use 0 to rank - 1", a->axis, sqa_shape_text(n->in[0], have));
    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    return SQA_OK;
}

/* n numbers `step` apart; step is negative from the back. WIDTH columns at a time keep their sums in double. */
enum { WIDTH = 64 };
#define DEFINE(T, name)                                                          \
    static void name(const T *x, T *y, int64_t n, int64_t step, int64_t columns) \
    {                                                                            \
        double sum[WIDTH] = {0};                                                 \
                                                                                 \
        for (int64_t i = 0; i < n; i++, x += step, y += step) {                  \
            for (int64_t j = 0; j < columns; j++) {                              \
                sum[j] += (double)x[j];                                          \
                y[j] = (T)sum[j];                                                \
            }                                                                    \
        }                                                                        \
    }
DEFINE(float, columns_f32)
DEFINE(double, columns_f64)

struct job {
    const struct sqa_node *node;
    struct sqa_span s;
    int64_t blocks; /* of WIDTH columns */
};

static void run_units(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct attr *a = j->node->attr;
    const struct sqa_span s = j->s;

    (void)thread;
    for (int64_t unit = first; unit < first + count; unit++) {
        const int64_t column = unit % j->blocks * WIDTH, columns = sqa_min64(WIDTH, s.inner - column);
        const int64_t start = unit / j->blocks * s.n * s.inner + column + (a->back ? (s.n - 1) * s.inner : 0);
        const int64_t step = a->back ? -s.inner : s.inner;

        if (j->node->out[0]->dtype == SQA_F64)
            columns_f64((const double *)sqa_data(j->node->in[0]) + start, (double *)sqa_data(j->node->out[0]) + start,
                        s.n, step, columns);
        else
            columns_f32((const float *)sqa_data(j->node->in[0]) + start, (float *)sqa_data(j->node->out[0]) + start,
                        s.n, step, columns);
    }
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    struct job j = {.node = n, .s = sqa_span_of(n->in[0], a->axis, 1)};
    const int64_t count = sqa_numel(n->in[0]);

    if (count == 0)
        return;
    j.blocks = (j.s.inner + WIDTH - 1) / WIDTH;
    sqa_chunks(r, j.s.outer * j.blocks, sqa_max64(1, SQA_CHUNK / (j.s.n * sqa_min64(WIDTH, j.s.inner))),
               (double)count, run_units, &j);
}

static struct sqa_tensor *build(struct sqa_graph *g, struct sqa_tensor *x, int axis, bool back);

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;

    dx[0] = build(g, dy[0], a->axis, !a->back);
}

const struct sqa_op sqa_op_cumsum = {
    .name = "cumsum",
    .help = "y[t] = sum of x[s], s <= t; the gradient sums s >= t",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = sqa_flops_out1,
    .in_place = 1,
};

static struct sqa_tensor *build(struct sqa_graph *g, struct sqa_tensor *x, int axis, bool back)
{
    const struct attr a = {axis, back};

    if (!sqa_ready(g, "cumsum", 1, &x))
        return NULL;
    return sqa_apply(g, &sqa_op_cumsum, &a, sizeof a, 1, &x);
}

struct sqa_tensor *sqa_cumsum(struct sqa_graph *g, struct sqa_tensor *x, int axis)
{
    return build(g, x, axis, false);
}
