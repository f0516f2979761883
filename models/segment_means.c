/* segment_means.c - see segment_means.h; a row of the batch is the unit of parallel work */
#include "models/segment_means.h"

#include "engine/ops/support.h"

struct attr {
    int64_t segments, size;
    int64_t length; /* of x; read by the gradient */
};

struct job {
    const struct sqa_node *n;
    const struct attr *a;
    const struct sqa_kernels *k;
    int64_t width;
};

/* Positions first to last - 1 of segment i, of n valid ones, and what their sum is divided by */
struct segment {
    int64_t first, last;
    double divisor;
};

static struct segment segment_of(const struct attr *a, int64_t i, int64_t n)
{
    struct segment s = {i, sqa_min64(i + 1, n), 1};

    if (a->size > 0)
        return (struct segment){sqa_min64(i * a->size, n), sqa_min64((i + 1) * a->size, n), (double)a->size};
    if (n >= a->segments) {
        s.first = i * n / a->segments;
        s.last = (i + 1) * n / a->segments;
        s.divisor = (double)(s.last - s.first);
    }
    return s;
}

static void *row(const struct job *j, const struct sqa_tensor *x, int64_t b, int64_t t)
{
    return sqa_at(sqa_data(x), b * x->stride[0] + t * x->stride[1], j->k->size);
}

static void means(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_tensor *x = j->n->in[0], *y = j->n->out[0];
    const size_t width = (size_t)j->width;

    (void)thread;
    for (int64_t at = first; at < first + count; at++) {
        const int64_t b = at / j->a->segments, i = at % j->a->segments;
        const struct segment s = segment_of(j->a, i, sqa_length_at(j->n->in[1], b, j->a->length));
        void *to = row(j, y, b, i);

        if (s.last <= s.first) {
            memset(to, 0, width * j->k->size);
            continue;
        }
        j->k->sum_rows(row(j, x, b, s.first), (size_t)(s.last - s.first), width, (size_t)x->stride[1], to, 0);
        if (s.divisor > 1)
            j->k->affine(1 / s.divisor, to, 0, to, width);
    }
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (!sqa_is_real(x) || x->rank != 3)
        return sqa_shape_fail(n, err, "x is %s; give real (B, L, D)", sqa_shape_text(x, have));
    sqa_set_output(n, 0, x->dtype, 3, (const int64_t[]){x->dim[0], a->segments, x->dim[2]});
    return n->in[1] == NULL ? SQA_OK : sqa_check_lengths(n, 1, x->dim[0], err);
}

static double flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->in[0]);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    struct job j = {n, a, sqa_kernels_of(n->in[0]->dtype), n->in[0]->dim[2]};

    sqa_chunks(r, n->in[0]->dim[0] * a->segments, 8, flops(n), means, &j);
}

/* The gradient: dy (B, segments, D) -> dx (B, L, D) */

static void spread(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_tensor *dy = j->n->in[0], *dx = j->n->out[0];
    const size_t bytes = (size_t)j->width * j->k->size;

    (void)thread;
    for (int64_t b = first; b < first + count; b++) {
        const int64_t valid = sqa_length_at(j->n->in[1], b, j->a->length);
        int64_t done = 0;

        for (int64_t i = 0; i < j->a->segments; i++) {
            const struct segment s = segment_of(j->a, i, valid);
            void *to;

            if (s.last <= s.first)
                continue;
            to = row(j, dx, b, s.first);
            j->k->affine(1 / s.divisor, row(j, dy, b, i), 0, to, (size_t)j->width);
            for (int64_t t = s.first + 1; t < s.last; t++)
                memcpy(row(j, dx, b, t), to, bytes);
            done = s.last;
        }
        memset(row(j, dx, b, done), 0, (size_t)(j->a->length - done) * bytes);
    }
}

static enum sqa_status spread_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *dy = n->in[0];

    (void)err;
    sqa_set_output(n, 0, dy->dtype, 3, (const int64_t[]){dy->dim[0], a->length, dy->dim[2]});
    return SQA_OK;
}

static void spread_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = {n, n->attr, sqa_kernels_of(n->in[0]->dtype), n->in[0]->dim[2]};

    if (sqa_numel(n->out[0]) != 0)
        sqa_chunks(r, n->in[0]->dim[0], 1, (double)sqa_numel(n->out[0]), spread, &j);
}

static const struct sqa_op op_spread = {
    .name = "segment_means_bwd",
    .help = "gradient of x of segment_means",
    .shape = spread_shape,
    .run = spread_run,
    .flops = sqa_flops_out1,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {dy[0], n->in[1]};

    dx[0] = sqa_apply(g, &op_spread, n->attr, sizeof(struct attr), 2, in);
}

static const struct sqa_op op_means = {
    .name = "segment_means",
    .help = "mean of the valid positions of each segment",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .strided = 1,
};

struct sqa_tensor *sqa_segment_means(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths,
                                     int64_t segments, int64_t size)
{
    struct sqa_tensor *const in[] = {sqa_dense_rows(g, x), lengths};

    if (!sqa_ready(g, "segment_means", 1, in))
        return NULL;
    const struct attr a = {segments, size, x->dim[1]};

    return sqa_apply(g, &op_means, &a, sizeof a, 2, in);
}
