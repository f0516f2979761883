/*
 * sum.c - sums over axes
 *
 * One node sums over one contiguous range of axes: (outer, n, inner) -> (outer, inner); the builder chains nodes for
 * scattered axes. Long sums are cut into chunks whose partial sums lie in the workspace and are added in order.
 */
#include "engine/ops/support.h"

struct attr {
    int first, axes;
};

enum { CHUNK_ROWS_MIN = 64 };

struct job {
    const struct sqa_kernels *k;
    struct sqa_span s;
    const void *x;
    void *y, *partial;
    int64_t chunk, chunks; /* of the n rows */
};

/* Rows of a chunk: about SQA_CHUNK numbers. */
static int64_t chunk_rows(struct sqa_span s)
{
    return sqa_max64(s.inner == 1 ? SQA_CHUNK : CHUNK_ROWS_MIN, SQA_CHUNK / sqa_max64(1, s.inner));
}

static int64_t chunks_of(struct sqa_span s)
{
    return sqa_max64(1, (s.n + chunk_rows(s) - 1) / chunk_rows(s));
}

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
    return SQA_OK;
}

/* Units are (outer, chunk) pairs; with inner 1 and one chunk, rows of x. */
static void sum_units(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const size_t size = j->k->size;

    (void)thread;
    for (int64_t unit = first; unit < first + count; unit++) {
        const int64_t start = unit % j->chunks * j->chunk, rows = sqa_min64(j->chunk, j->s.n - start);
        const void *x = sqa_at_const(j->x, (unit / j->chunks * j->s.n + start) * j->s.inner, size);
        void *y = sqa_at(j->chunks == 1 ? j->y : j->partial, unit * j->s.inner, size);

        if (j->s.inner == 1)
            sqa_real_set(size == sizeof(double) ? SQA_F64 : SQA_F32, y, j->k->sum(x, (size_t)rows));
        else
            j->k->sum_rows(x, (size_t)rows, (size_t)j->s.inner, (size_t)j->s.inner, y, 0);
    }
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    struct job j = {.k = sqa_kernels_of(n->in[0]->dtype), .s = sqa_span_of(n->in[0], a->first, a->axes)};
    const int64_t count = sqa_numel(n->in[0]);
    const size_t size = j.k->size;

    j.x = sqa_data(n->in[0]);
    j.y = sqa_data(n->out[0]);
    j.partial = r->workspace;
    if (count == 0) {
        memset(j.y, 0, (size_t)sqa_numel(n->out[0]) * size);
        return;
    }
    j.chunk = chunk_rows(j.s);
    j.chunks = chunks_of(j.s);
    sqa_chunks(r, j.s.outer * j.chunks, sqa_max64(1, SQA_CHUNK / (sqa_min64(j.chunk, j.s.n) * j.s.inner)),
               (double)count, sum_units, &j);
    for (int64_t i = 0; i < j.s.outer && j.chunks > 1; i++)
        j.k->sum_rows(sqa_at_const(j.partial, i * j.chunks * j.s.inner, size), (size_t)j.chunks, (size_t)j.s.inner,
                      (size_t)j.s.inner, sqa_at(j.y, i * j.s.inner, size), 0);
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    const struct attr *a = n->attr;
    const struct sqa_span s = sqa_span_of(n->in[0], a->first, a->axes);
    const int64_t chunks = chunks_of(s);

    (void)threads;
    return chunks == 1 ? 0 : (size_t)(s.outer * chunks * s.inner) * sqa_dtype_size(n->in[0]->dtype);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    dx[0] = sqa_broadcast(g, dy[0], n->in[0]->rank, n->in[0]->dim);
}

static double flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->in[0]);
}

const struct sqa_op sqa_op_sum = {
    .name = "sum",
    .help = "sum over axes",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
};

/* Drops the axes of the mask, which have size 1. */
static struct sqa_tensor *drop(struct sqa_graph *g, struct sqa_tensor *y, unsigned axes)
{
    int64_t dim[SQA_MAX_RANK];
    int rank = 0;

    if (y == NULL)
        return NULL;
    for (int i = 0; i < y->rank; i++)
        if (!(axes >> i & 1))
            dim[rank++] = y->dim[i];
    return sqa_reshape(g, y, rank, dim);
}

struct sqa_tensor *sqa_sum(struct sqa_graph *g, struct sqa_tensor *x, unsigned axes, bool keep)
{
    struct sqa_tensor *y = x;
    char have[96];

    if (!sqa_ready(g, "sum", 1, &x))
        return NULL;
    if (x->rank < SQA_MAX_RANK && axes >> x->rank != 0)
        return sqa_graph_fail(g, SQA_SHAPE, "sum: axes 0x%x of %s; name axes below the rank", axes,
                              sqa_shape_text(x, have));
    for (int i = x->rank - 1; i >= 0; i--) {
        struct attr a = {i, 1};

        if (!(axes >> i & 1))
            continue;
        while (a.first > 0 && (axes >> (a.first - 1) & 1)) {
            a.first--;
            a.axes++;
        }
        y = sqa_apply(g, &sqa_op_sum, &a, sizeof a, 1, &y);
        i = a.first;
    }
    return keep || axes == 0 ? y : drop(g, y, axes);
}

struct sqa_tensor *sqa_mean(struct sqa_graph *g, struct sqa_tensor *x, unsigned axes, bool keep)
{
    double count = 1;

    if (!sqa_ready(g, "mean", 1, &x))
        return NULL;
    for (int i = 0; i < x->rank; i++)
        if (axes >> i & 1)
            count *= (double)x->dim[i];
    return sqa_affine(g, 1 / count, sqa_sum(g, x, axes, keep), 0);
}
