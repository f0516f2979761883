/*
 * scan.c - diagonal linear recurrence y_t = a_t y_(t-1) + x_t over axis 1 of (B, L, D), and its gradient
 *
 * It goes forward, backward (y_t = a_t y_(t+1) + x_t) or both ways, with the results side by side. The gradient is
 * the same recurrence the other way: g_t = dy_t + conj(a_(t+1)) g_(t+1), dx = g, da_t = g_t conj(y_(t-1)); one `a`
 * for all times gets their sum over t, a row for each row of the batch. A block of channels of one row of the batch
 * is the unit of parallel work.
 */
#include "engine/ops/support.h"

enum { CHANNELS = 32 };
enum { A, X };      /* scan */
enum { Y = 1, DY }; /* scan_bwd, after A */
enum { WITH_DA = 2 };

struct attr {
    int pairs; /* complex: rows are real parts, then imaginary ones */
    int da;    /* the gradient of a is wanted */
    enum sqa_scan_direction direction;
};

/* One a (D) for all times and rows of the batch */
static bool is_fixed(const struct sqa_tensor *a)
{
    return a->rank == 1;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *p = n->attr;
    const struct sqa_tensor *a = n->in[A], *x = n->in[X];
    const bool bwd = n->nin > DY;
    const int64_t both = p->direction == SQA_SCAN_BOTH ? 2 : 1;
    char one[96], two[96];

    if (!sqa_is_real(x) || x->rank != 3 || a->dtype != x->dtype)
        return sqa_shape_fail(n, err, "a is %s, x %s; give real (B, L, D)", sqa_shape_text(a, one),
                              sqa_shape_text(x, two));

    const int64_t width = bwd ? x->dim[2] / both : x->dim[2], out = bwd ? width : both * width;

    if (a->dim[a->rank - 1] != width ||
        (!is_fixed(a) && (a->rank != 3 || a->dim[0] != x->dim[0] || a->dim[1] != x->dim[1])))
        return sqa_shape_fail(n, err, "a is %s, x %s; give real (B, L, D), a also (D)", sqa_shape_text(a, one),
                              sqa_shape_text(x, two));
    if (p->pairs && width % 2 != 0)
        return sqa_shape_fail(n, err, "rows of %lld numbers; complex rows have as many imaginary as real parts",
                              (long long)width);
    sqa_set_output(n, 0, x->dtype, SQA_DIMS(x->dim[0], x->dim[1], out));
    if (p->da && is_fixed(a))
        sqa_set_output(n, 1, x->dtype, SQA_DIMS(x->dim[0], width));
    else if (p->da)
        sqa_set_output(n, 1, x->dtype, 3, a->dim);
    return SQA_OK;
}

struct job {
    const struct sqa_node *n;
    int64_t width, channels, blocks; /* of x: numbers of a row, channels, blocks of them */
};

static struct job job_of(const struct sqa_node *n)
{
    const struct attr *p = n->attr;
    const struct sqa_tensor *a = n->in[A];
    const int64_t width = a->dim[a->rank - 1], channels = width / (p->pairs ? 2 : 1);

    return (struct job){n, width, channels, (channels + CHANNELS - 1) / CHANNELS};
}

/* Rows of block `unit` in t, in the order of a direction: where they begin and how far apart they are. half: 1 for
 * the second half of what goes both ways. A tensor without times has one row. */
struct rows {
    void *first;
    int64_t stride;
};

static struct rows rows_of(const struct job *j, const struct sqa_tensor *t, int64_t unit, bool backward, int64_t half)
{
    const int64_t b = unit / j->blocks, i = unit % j->blocks * CHANNELS + half * j->width;
    const int64_t stride = t->rank == 3 ? t->stride[1] : 0, last = backward ? (t->dim[1] - 1) * stride : 0;
    const int64_t row = t->rank == 1 ? 0 : b * t->stride[0];

    return (struct rows){sqa_at(sqa_data(t), row + i + (stride ? last : 0), sqa_dtype_size(t->dtype)),
                         backward ? -stride : stride};
}

static void go(const struct job *j, int64_t unit, bool backward, int64_t half)
{
    const struct attr *p = j->n->attr;
    struct sqa_tensor *const *in = j->n->in, *const *out = j->n->out;
    const struct sqa_kernels *k = sqa_kernels_of(in[A]->dtype);
    const int64_t m = sqa_min64(CHANNELS, j->channels - unit % j->blocks * CHANNELS);
    const int64_t imag = p->pairs ? j->channels : 0;
    const struct rows a = rows_of(j, in[A], unit, backward, 0);

    if (j->n->nin <= DY) {
        const struct rows x = rows_of(j, in[X], unit, backward, 0), y = rows_of(j, out[0], unit, backward, half);

        k->scan(&(struct sqa_scan){.n = in[X]->dim[1],
                                   .m = m,
                                   .imag = imag,
                                   .a = a.first,
                                   .x = x.first,
                                   .y = y.first,
                                   .a_stride = a.stride,
                                   .x_stride = x.stride,
                                   .y_stride = y.stride});
        return;
    }

    const struct rows y = rows_of(j, in[Y], unit, backward, half), dy = rows_of(j, in[DY], unit, backward, half);
    const struct rows dx = rows_of(j, out[0], unit, backward, 0);
    const struct rows da = p->da ? rows_of(j, out[1], unit, backward, 0) : (struct rows){NULL, 0};

    k->scan_grad(&(struct sqa_scan_grad){.n = in[Y]->dim[1],
                                         .m = m,
                                         .imag = imag,
                                         .add = half != 0,
                                         .a = a.first,
                                         .y = y.first,
                                         .dy = dy.first,
                                         .dx = dx.first,
                                         .da = da.first,
                                         .a_stride = a.stride,
                                         .y_stride = y.stride,
                                         .dy_stride = dy.stride,
                                         .dx_stride = dx.stride,
                                         .da_stride = da.stride});
}

static void unit(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct attr *p = j->n->attr;
    const size_t size = sqa_dtype_size(j->n->in[A]->dtype);

    (void)count, (void)thread;
    if (p->da && is_fixed(j->n->in[A]))
        for (int64_t imag = 0; imag < (p->pairs ? 2 : 1); imag++) {
            const struct rows da = rows_of(j, j->n->out[1], first, false, 0);
            const int64_t m = sqa_min64(CHANNELS, j->channels - first % j->blocks * CHANNELS);

            memset(sqa_at(da.first, imag * j->channels, size), 0, (size_t)m * size);
        }
    if (p->direction != SQA_SCAN_BACKWARD)
        go(j, first, false, 0);
    if (p->direction != SQA_SCAN_FORWARD)
        go(j, first, true, p->direction == SQA_SCAN_BOTH);
}

/* Of a number and direction: real 2, complex 8 for two; gradients 2 and 8, and 1 and 6 for da */
static double flops(const struct sqa_node *n)
{
    const struct attr *p = n->attr;
    const double each = p->pairs ? 4 : 2, da = p->pairs ? 3 : 1;

    return n->nin <= DY ? (double)sqa_numel(n->out[0]) * each
                        : (double)sqa_numel(n->in[DY]) * (p->da ? each + da : each);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n);

    if (sqa_numel(n->out[0]) != 0)
        sqa_chunks(r, n->in[X]->dim[0] * j.blocks, 1, flops(n), unit, &j);
}

const struct sqa_op sqa_op_scan_bwd = {
    .name = "scan_bwd",
    .help = "gradients of x and a of scan",
    .shape = shape,
    .run = run,
    .flops = flops,
    .strided = 1 << A | 1 << Y | 1 << DY,
    .in_place = 1 << DY,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *p = n->attr, bwd = {p->pairs, n->in[A]->needs_grad, p->direction};
    struct sqa_tensor *const in[] = {n->in[A], n->out[0], sqa_dense_rows(g, dy[0])};
    struct sqa_tensor *d = sqa_apply(g, &sqa_op_scan_bwd, &bwd, sizeof bwd, 3, in);

    if (d == NULL)
        return;
    dx[X] = d;
    if (bwd.da)
        dx[A] = is_fixed(n->in[A]) ? sqa_sum(g, d->node->out[1], 1u, false) : d->node->out[1];
}

const struct sqa_op sqa_op_scan = {
    .name = "scan",
    .help = "y_t = a_t y_(t-1) + x_t over axis 1, y_(-1) = 0; or from the end; or both",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .strided = 1 << A | 1 << X,
    .in_place = 1 << X,
};

struct sqa_tensor *sqa_scan_directed(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *x, bool pairs,
                                     enum sqa_scan_direction direction)
{
    const struct attr p = {pairs, 0, direction};

    if (!sqa_ready(g, "scan", 2, (struct sqa_tensor *const[]){a, x}))
        return NULL;
    a = a->rank == 1 && a->dim[0] == x->dim[x->rank - 1] ? sqa_dense(g, a) : sqa_broadcast(g, a, x->rank, x->dim);
    if (!sqa_ready(g, "scan", 1, &a))
        return NULL;
    return sqa_apply(g, &sqa_op_scan, &p, sizeof p, 2,
                     (struct sqa_tensor *const[]){sqa_dense_rows(g, a), sqa_dense_rows(g, x)});
}

struct sqa_tensor *sqa_scan(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *x, bool pairs)
{
    return sqa_scan_directed(g, a, x, pairs, SQA_SCAN_FORWARD);
}
