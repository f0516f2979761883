/*
 * scan.c - diagonal linear recurrence y_t = a_t y_(t-1) + x_t over axis 1 of (B, L, D), and its gradient
 *
 * The gradient is the same recurrence backwards: g_t = dy_t + conj(a_(t+1)) g_(t+1), dx = g, da_t = g_t
 * conj(y_(t-1)). A block of channels of one row of the batch is the unit of parallel work.
 */
#include "engine/ops/support.h"

enum { CHANNELS = 32 };
enum { A, X };      /* scan */
enum { Y = 1, DY }; /* scan_bwd, after A */
enum { WITH_DA = 2 };

struct attr {
    int pairs; /* complex: rows are real parts, then imaginary ones */
    int da;    /* the gradient of a is wanted */
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *p = n->attr;
    const struct sqa_tensor *x = n->in[X];
    char one[96], two[96];

    if (!sqa_is_real(x) || x->rank != 3 || !sqa_same_shape(n->in[A], x) || n->in[A]->dtype != x->dtype)
        return sqa_shape_fail(n, err, "a is %s, x %s; give real (B, L, D)", sqa_shape_text(n->in[A], one),
                              sqa_shape_text(x, two));
    if (p->pairs && x->dim[2] % 2 != 0)
        return sqa_shape_fail(n, err, "rows of %lld numbers; complex rows have as many imaginary as real parts",
                              (long long)x->dim[2]);
    for (int i = 0; i < (p->da ? WITH_DA : 1); i++)
        sqa_set_output(n, i, x->dtype, 3, x->dim);
    return SQA_OK;
}

struct job {
    const struct sqa_node *n;
    int64_t channels, blocks;
};

static struct job job_of(const struct sqa_node *n)
{
    const struct attr *p = n->attr;
    const int64_t channels = n->in[A]->dim[2] / (p->pairs ? 2 : 1);

    return (struct job){n, channels, (channels + CHANNELS - 1) / CHANNELS};
}

/* Unit `unit`: where it begins in t */
static void *place(const struct job *j, const struct sqa_tensor *t, int64_t unit)
{
    return sqa_at(sqa_data(t), unit / j->blocks * t->stride[0] + unit % j->blocks * CHANNELS,
                  sqa_dtype_size(t->dtype));
}

static void unit(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct attr *p = j->n->attr;
    struct sqa_tensor *const *in = j->n->in, *const *out = j->n->out;
    const struct sqa_kernels *k = sqa_kernels_of(in[A]->dtype);
    const int64_t m = sqa_min64(CHANNELS, j->channels - first % j->blocks * CHANNELS);
    const int64_t imag = p->pairs ? j->channels : 0;

    (void)count, (void)thread;
    if (j->n->nin <= DY)
        k->scan(&(struct sqa_scan){.n = in[X]->dim[1],
                                   .m = m,
                                   .imag = imag,
                                   .a = place(j, in[A], first),
                                   .x = place(j, in[X], first),
                                   .y = place(j, out[0], first),
                                   .a_stride = in[A]->stride[1],
                                   .x_stride = in[X]->stride[1],
                                   .y_stride = out[0]->stride[1]});
    else
        k->scan_grad(&(struct sqa_scan_grad){.n = in[A]->dim[1],
                                             .m = m,
                                             .imag = imag,
                                             .a = place(j, in[A], first),
                                             .y = place(j, in[Y], first),
                                             .dy = place(j, in[DY], first),
                                             .dx = place(j, out[0], first),
                                             .da = p->da ? place(j, out[1], first) : NULL,
                                             .a_stride = in[A]->stride[1],
                                             .y_stride = in[Y]->stride[1],
                                             .dy_stride = in[DY]->stride[1],
                                             .dx_stride = out[0]->stride[1],
                                             .da_stride = p->da ? out[1]->stride[1] : 0});
}

/* Of a number: real 2, complex 8 for two; gradients 2 and 8, and 1 and 6 for da */
static double flops(const struct sqa_node *n)
{
    const struct attr *p = n->attr;
    const double each = p->pairs ? 4 : 2, da = p->pairs ? 3 : 1;

    return (double)sqa_numel(n->out[0]) * (n->nin <= DY || !p->da ? each : each + da);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n);

    if (sqa_numel(n->out[0]) != 0)
        sqa_chunks(r, n->in[A]->dim[0] * j.blocks, 1, flops(n), unit, &j);
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
    const struct attr *p = n->attr, bwd = {p->pairs, n->in[A]->needs_grad};
    struct sqa_tensor *const in[] = {n->in[A], n->out[0], sqa_dense_rows(g, dy[0])};
    struct sqa_tensor *d = sqa_apply(g, &sqa_op_scan_bwd, &bwd, sizeof bwd, 3, in);

    if (d == NULL)
        return;
    dx[X] = d;
    dx[A] = bwd.da ? d->node->out[1] : NULL;
}

const struct sqa_op sqa_op_scan = {
    .name = "scan",
    .help = "y_t = a_t y_(t-1) + x_t over axis 1, y_(-1) = 0",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .strided = 1 << A | 1 << X,
    .in_place = 1 << X,
};

struct sqa_tensor *sqa_scan(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *x, bool pairs)
{
    const struct attr p = {pairs, 0};

    if (!sqa_ready(g, "scan", 2, (struct sqa_tensor *const[]){a, x}))
        return NULL;
    a = sqa_broadcast(g, a, x->rank, x->dim);
    if (!sqa_ready(g, "scan", 1, &a))
        return NULL;
    return sqa_apply(g, &sqa_op_scan, &p, sizeof p, 2,
                     (struct sqa_tensor *const[]){sqa_dense_rows(g, a), sqa_dense_rows(g, x)});
}
