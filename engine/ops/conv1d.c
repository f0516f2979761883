/*
 * conv1d.c - depthwise convolution with few taps, and its fused gradient
 *
 * A range of rows of one sequence is the unit of parallel work. The gradient of x is the same convolution of dy with the
 * taps backwards; those of w and bias are made range by range and added in order.
 */
#include "engine/ops/support.h"

enum { X, WEIGHTS, BIAS, LENGTHS, DY };
enum { RANGE = 256, PIECES = 64 }; /* rows of a range at least; ranges that are enough */

struct attr {
    int64_t left;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[X], *w = n->in[WEIGHTS], *bias = n->in[BIAS];
    char one[96], two[96];

    if (!sqa_is_real(x) || x->rank != 3 || w->rank != 2 || w->dtype != x->dtype || w->dim[1] != x->dim[2] ||
        w->dim[0] < 1)
        return sqa_shape_fail(n, err, "x is %s, w %s; give real x (B, L, D) and w (k, D)", sqa_shape_text(x, one),
                              sqa_shape_text(w, two));
    if (bias != NULL && (bias->rank != 1 || bias->dim[0] != x->dim[2] || bias->dtype != x->dtype))
        return sqa_shape_fail(n, err, "bias is %s, x %s; give bias (D)", sqa_shape_text(bias, one),
                              sqa_shape_text(x, two));
    if (a->left < 0 || a->left >= w->dim[0])
        return sqa_shape_fail(n, err, "%lld of %lld taps before a position; give 0 to taps - 1", (long long)a->left,
                              (long long)w->dim[0]);
    sqa_set_output(n, 0, x->dtype, 3, x->dim);
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, x->dim[0], err);
}

struct job {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    int64_t batch, length, width, taps, left;
    int64_t ranges, rows; /* of a sequence, of a range */
    unsigned char *sums;  /* for each piece taps + 1 rows: of w's gradient, and of bias's */
};

static struct job job_of(const struct sqa_node *n, void *workspace)
{
    const struct sqa_tensor *x = n->in[X];
    struct job j = {.n = n,
                    .k = sqa_kernels_of(x->dtype),
                    .batch = x->dim[0],
                    .length = x->dim[1],
                    .width = x->dim[2],
                    .taps = n->in[WEIGHTS]->dim[0],
                    .left = ((const struct attr *)n->attr)->left,
                    .sums = workspace};
    const int64_t want = (PIECES + j.batch - 1) / sqa_max64(1, j.batch);

    j.rows = sqa_max64(RANGE, (j.length + want - 1) / sqa_max64(1, want));
    j.ranges = (j.length + j.rows - 1) / j.rows;
    return j;
}

static void *row_of(const struct job *j, const struct sqa_tensor *x, int64_t b)
{
    return sqa_at(sqa_data(x), b * x->stride[0], j->k->size);
}

static struct sqa_conv1d piece_of(const struct job *j, int64_t b, int64_t range)
{
    struct sqa_tensor *const *in = j->n->in;

    return (struct sqa_conv1d){.first = range * j->rows,
                               .count = sqa_min64(j->rows, j->length - range * j->rows),
                               .valid = sqa_length_at(in[LENGTHS], b, j->length),
                               .m = j->width,
                               .k = j->taps,
                               .left = j->left,
                               .x = row_of(j, in[X], b),
                               .x_stride = in[X]->stride[1],
                               .w = sqa_data(in[WEIGHTS]),
                               .w_stride = j->width};
}

static void convolve(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_tensor *y = j->n->out[0], *bias = j->n->in[BIAS];

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        struct sqa_conv1d c = piece_of(j, i / j->ranges, i % j->ranges);

        c.bias = bias != NULL ? sqa_data(bias) : NULL;
        c.y = row_of(j, y, i / j->ranges);
        c.y_stride = y->stride[1];
        j->k->conv1d(&c);
    }
}

static double flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->in[X]) * (2 * (double)n->in[WEIGHTS]->dim[0] + (n->in[BIAS] != NULL ? 1 : 0));
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, NULL);

    if (sqa_numel(n->out[0]) != 0)
        sqa_chunks(r, j.batch * j.ranges, 1, flops(n), convolve, &j);
}

/* conv1d_bwd: inputs of conv1d and dy; outputs dx, dw, dbias (when there is a bias) */

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    for (int i = X; i <= BIAS; i++)
        if (n->in[i] != NULL)
            sqa_set_output(n, i, n->in[i]->dtype, n->in[i]->rank, n->in[i]->dim);
    return SQA_OK;
}

static void *sums_at(const struct job *j, int64_t piece)
{
    return sqa_at(j->sums, piece * (j->taps + 1) * j->width, j->k->size);
}

/* dx of rows below the valid length, zeros behind it. */
static void input_gradient(const struct job *j, struct sqa_conv1d c, int64_t b)
{
    const struct sqa_tensor *dy = j->n->in[DY], *dx = j->n->out[X];
    const int64_t end = c.first + c.count, live = sqa_max64(c.first, sqa_min64(end, c.valid));

    c.count = live - c.first;
    c.valid = j->length;
    c.left = c.k - 1 - c.left;
    c.x = row_of(j, dy, b);
    c.x_stride = dy->stride[1];
    c.w = sqa_at_const(c.w, (c.k - 1) * c.w_stride, j->k->size);
    c.w_stride = -c.w_stride;
    c.y = row_of(j, dx, b);
    c.y_stride = dx->stride[1];
    j->k->conv1d(&c);
    memset(sqa_at(c.y, live * c.y_stride, j->k->size), 0, (size_t)((end - live) * j->width) * j->k->size);
}

static void differentiate(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_tensor *dy = j->n->in[DY];

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        const int64_t b = i / j->ranges;
        struct sqa_conv1d c = piece_of(j, b, i % j->ranges);

        input_gradient(j, c, b);
        c.y = row_of(j, dy, b);
        c.y_stride = dy->stride[1];
        c.dw = sums_at(j, i);
        j->k->conv1d_taps(&c);
        if (j->n->in[BIAS] != NULL)
            j->k->sum_rows(sqa_at_const(c.y, c.first * c.y_stride, j->k->size), (size_t)c.count, (size_t)j->width,
                           (size_t)c.y_stride, sqa_at(c.dw, j->taps * j->width, j->k->size), 0);
    }
}

/* Three times the forward's products less one: dx, dw; and sums of dy. */
static double bwd_flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->in[X]) * (4 * (double)n->in[WEIGHTS]->dim[0] + (n->in[BIAS] != NULL ? 1 : 0));
}

static size_t bwd_workspace(const struct sqa_node *n, int threads)
{
    const struct job j = job_of(n, NULL);

    (void)threads;
    return (size_t)(j.batch * j.ranges * (j.taps + 1) * j.width) * j.k->size;
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace);
    const int64_t pieces = j.batch * j.ranges;
    const size_t size = j.k->size, taps = (size_t)(j.taps * j.width);

    memset(sqa_data(n->out[WEIGHTS]), 0, taps * size);
    if (n->in[BIAS] != NULL)
        memset(sqa_data(n->out[BIAS]), 0, (size_t)j.width * size);
    if (j.width == 0 || j.length == 0)
        return;
    sqa_chunks(r, pieces, 1, bwd_flops(n), differentiate, &j);
    for (int64_t i = 0; i < pieces; i++) {
        j.k->axpy(1, sums_at(&j, i), sqa_data(n->out[WEIGHTS]), taps);
        if (n->in[BIAS] != NULL)
            j.k->axpy(1, sqa_at_const(sums_at(&j, i), (int64_t)taps, size), sqa_data(n->out[BIAS]), (size_t)j.width);
    }
}

const struct sqa_op sqa_op_conv1d_bwd = {
    .name = "conv1d_bwd",
    .help = "gradients of x, w and bias of conv1d",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .workspace = bwd_workspace,
    .strided = 1 << X | 1 << DY,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->in[X], n->in[WEIGHTS], n->in[BIAS], n->in[LENGTHS], sqa_dense_rows(g, dy[0])};
    struct sqa_tensor *d = sqa_apply(g, &sqa_op_conv1d_bwd, n->attr, sizeof(struct attr), 5, in);

    if (d == NULL)
        return;
    for (int i = X; i <= BIAS; i++)
        dx[i] = n->in[i] == NULL ? NULL : d->node->out[i];
}

const struct sqa_op sqa_op_conv1d = {
    .name = "conv1d",
    .help = "y[t] = bias + sum over j < k of w[j] x[t + j - left], for each channel",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .strided = 1 << X,
};

struct sqa_tensor *sqa_conv1d(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *w, struct sqa_tensor *bias,
                              struct sqa_tensor *lengths, int64_t left)
{
    const struct attr a = {left};
    struct sqa_tensor *const in[] = {sqa_dense_rows(g, x), w, bias, lengths};

    if (!sqa_ready(g, "conv1d", 2, in))
        return NULL;
    return sqa_apply(g, &sqa_op_conv1d, &a, sizeof a, 4, in);
}
