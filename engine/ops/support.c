/* support.c - what the common ops share */
#include "engine/ops/support.h"

#ifdef _OPENMP
#include <omp.h>
#endif

enum { PARALLEL_WORK = 32768, GATHER = 512, MAX_OPERANDS = 4 };

void sqa_chunks(const struct sqa_run *r, int64_t total, int64_t chunk, double work, sqa_chunk_fn *f, void *ctx)
{
    const int64_t n = (total + chunk - 1) / chunk;

#ifdef _OPENMP
    if (r->threads > 1 && n > 1 && work >= PARALLEL_WORK) {
#pragma omp parallel for schedule(static) num_threads(r->threads)
        for (int64_t i = 0; i < n; i++)
            f(ctx, i * chunk, sqa_min64(chunk, total - i * chunk), omp_get_thread_num());
        return;
    }
#else
    (void)r, (void)work;
#endif
    for (int64_t i = 0; i < n; i++)
        f(ctx, i * chunk, sqa_min64(chunk, total - i * chunk), 0);
}

/* Drops dims of size 1 and joins neighbours that are one run in every operand. Leaves rank >= 1. */
static int collapse(int operands, int rank, int64_t *dim, int64_t stride[][SQA_MAX_RANK])
{
    int out = 0;

    for (int i = 0; i < rank; i++) {
        bool joins = out > 0;

        if (dim[i] == 1)
            continue;
        for (int o = 0; o < operands && joins; o++)
            joins = stride[o][out - 1] == stride[o][i] * dim[i];
        if (joins) {
            dim[out - 1] *= dim[i];
            for (int o = 0; o < operands; o++)
                stride[o][out - 1] = stride[o][i];
            continue;
        }
        dim[out] = dim[i];
        for (int o = 0; o < operands; o++)
            stride[o][out] = stride[o][i];
        out++;
    }
    if (out == 0) {
        dim[0] = 1;
        for (int o = 0; o < operands; o++)
            stride[o][0] = 1;
        out = 1;
    }
    return out;
}

/* Operand 0 is the output. */
struct map {
    const struct sqa_kernels *k;
    sqa_piece_fn *f;
    const void *ctx;
    int operands, rank;
    int64_t dim[SQA_MAX_RANK];
    int64_t stride[MAX_OPERANDS][SQA_MAX_RANK];
    unsigned char *data[MAX_OPERANDS];
    unsigned constant, gather;    /* bit i: input i */
    int64_t inner, piece, pieces; /* numbers of a row, of a piece; pieces of a row */
};

static void gather(size_t size, const unsigned char *x, int64_t stride, int64_t n, unsigned char *y)
{
    if (size == sizeof(float)) {
        for (int64_t i = 0; i < n; i++)
            memcpy(y + i * 4, x + i * stride * 4, 4);
    } else {
        for (int64_t i = 0; i < n; i++)
            memcpy(y + i * 8, x + i * stride * 8, 8);
    }
}

static void map_row(const struct map *m, const int64_t *offset, int64_t first, int64_t n)
{
    _Alignas(64) unsigned char buffer[MAX_OPERANDS - 1][GATHER * sizeof(double)];
    const int last = m->rank - 1;
    const int64_t size = (int64_t)m->k->size, step = m->gather != 0 ? GATHER : n;
    const void *in[MAX_OPERANDS];

    for (int64_t i = first; i < first + n; i += step) {
        const int64_t count = sqa_min64(step, first + n - i);

        for (int o = 1; o < m->operands; o++) {
            const unsigned char *x = m->data[o] + (offset[o] + i * m->stride[o][last]) * size;

            in[o - 1] = x;
            if (m->gather >> (o - 1) & 1) {
                gather((size_t)size, x, m->stride[o][last], count, buffer[o - 1]);
                in[o - 1] = buffer[o - 1];
            }
        }
        m->f(m->ctx, m->k, in, m->constant, m->data[0] + (offset[0] + i) * size, (size_t)count);
    }
}

static void map_chunk(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct map *m = ctx;

    (void)thread;
    for (int64_t unit = first; unit < first + count; unit++) {
        int64_t row = unit / m->pieces, offset[MAX_OPERANDS] = {0};
        const int64_t start = unit % m->pieces * m->piece;

        for (int d = m->rank - 2; d >= 0; d--) {
            for (int o = 0; o < m->operands; o++)
                offset[o] += row % m->dim[d] * m->stride[o][d];
            row /= m->dim[d];
        }
        map_row(m, offset, start, sqa_min64(m->piece, m->inner - start));
    }
}

void sqa_map(const struct sqa_node *n, const struct sqa_run *r, unsigned scalars, sqa_piece_fn *f, const void *ctx)
{
    const struct sqa_tensor *y = n->out[0];
    struct map m = {.k = sqa_kernels_of(y->dtype), .f = f, .ctx = ctx, .operands = n->nin + 1, .rank = y->rank};
    const int64_t total = sqa_numel(y);

    if (total == 0)
        return;
    m.data[0] = sqa_data(y);
    for (int d = 0; d < y->rank; d++) {
        m.dim[d] = y->dim[d];
        m.stride[0][d] = y->stride[d];
    }
    for (int i = 0; i < n->nin; i++) {
        const struct sqa_tensor *x = n->in[i];
        const int lead = y->rank - x->rank;

        m.data[i + 1] = sqa_data(x);
        for (int d = 0; d < x->rank; d++)
            m.stride[i + 1][lead + d] = x->dim[d] == 1 ? 0 : x->stride[d];
    }
    m.rank = collapse(m.operands, m.rank, m.dim, m.stride);
    m.inner = m.dim[m.rank - 1];
    for (int i = 0; i < n->nin; i++) {
        const int64_t s = m.stride[i + 1][m.rank - 1];

        if (s == 0 && (scalars >> i & 1) && m.constant == 0 && total > 1) /* one at most: another is gathered */
            m.constant |= 1u << i;
        else if (s != 1 && m.inner > 1)
            m.gather |= 1u << i;
    }
    m.piece = sqa_min64(m.inner, SQA_CHUNK);
    m.pieces = (m.inner + m.piece - 1) / m.piece;
    sqa_chunks(r, total / m.inner * m.pieces, sqa_max64(1, SQA_CHUNK / m.inner), (double)total, map_chunk, &m);
}

static void copy_row(size_t size, const unsigned char *x, int64_t x_stride, unsigned char *y, int64_t y_stride,
                     int64_t n)
{
    if (x_stride == 1 && y_stride == 1) {
        memcpy(y, x, (size_t)n * size);
        return;
    }
    if (size == 4) {
        for (int64_t i = 0; i < n; i++)
            memcpy(y + i * y_stride * 4, x + i * x_stride * 4, 4);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        memcpy(y + i * y_stride * (int64_t)size, x + i * x_stride * (int64_t)size, size);
}

enum { SHORT = 16 };

/* Axes last - 1 and last */
static void exchange_axes(int last, int64_t *dim, int64_t stride[2][SQA_MAX_RANK])
{
    int64_t *const lists[] = {dim, stride[0], stride[1]};

    for (int i = 0; i < 3; i++) {
        const int64_t kept = lists[i][last];

        lists[i][last] = lists[i][last - 1];
        lists[i][last - 1] = kept;
    }
}

void sqa_copy_block(size_t size, int rank, const int64_t *dim, const void *x, const int64_t *x_stride, void *y,
                    const int64_t *y_stride)
{
    int64_t d[SQA_MAX_RANK], stride[2][SQA_MAX_RANK], rows = 1;
    int last;

    for (int i = 0; i < rank; i++) {
        d[i] = dim[i];
        stride[0][i] = x_stride[i];
        stride[1][i] = y_stride[i];
    }
    last = collapse(2, rank, d, stride) - 1;
    if (last > 0 && d[last] < SHORT && stride[0][last] != 1 && stride[0][last - 1] == 1) /* read along x */
        exchange_axes(last, d, stride);
    for (int i = 0; i < last; i++)
        rows *= d[i];
    if (d[last] == 0)
        return;
    for (int64_t row = 0; row < rows; row++) {
        int64_t rest = row, x_offset = 0, y_offset = 0;

        for (int i = last - 1; i >= 0; i--) {
            x_offset += rest % d[i] * stride[0][i];
            y_offset += rest % d[i] * stride[1][i];
            rest /= d[i];
        }
        copy_row(size, sqa_at_const(x, x_offset, size), stride[0][last], sqa_at(y, y_offset, size), stride[1][last],
                 d[last]);
    }
}

bool sqa_broadcast_dims(int ra, const int64_t *a, int rb, const int64_t *b, int *rank, int64_t dim[SQA_MAX_RANK])
{
    const int r = ra > rb ? ra : rb;

    for (int i = 0; i < r; i++) {
        const int64_t da = i < r - ra ? 1 : a[i - (r - ra)], db = i < r - rb ? 1 : b[i - (r - rb)];

        if (da != db && da != 1 && db != 1)
            return false;
        dim[i] = da == 1 ? db : da;
    }
    *rank = r;
    return true;
}

struct sqa_tensor *sqa_sum_to(struct sqa_graph *g, struct sqa_tensor *dy, int rank, const int64_t *dim)
{
    unsigned axes = 0;
    int lead;

    if (!sqa_ready(g, "sum_to", 1, &dy))
        return NULL;
    lead = dy->rank - rank;
    for (int i = 0; i < dy->rank; i++)
        if (i < lead || (dim[i - lead] == 1 && dy->dim[i] != 1))
            axes |= 1u << i;
    if (axes == 0)
        return dy;
    return sqa_reshape(g, sqa_sum(g, dy, axes, true), rank, dim);
}

bool sqa_ready(struct sqa_graph *g, const char *op, int n, struct sqa_tensor *const *x)
{
    if (g->status != SQA_OK)
        return false;
    for (int i = 0; i < n; i++) {
        if (x[i] == NULL) {
            (void)sqa_graph_fail(g, SQA_SHAPE, "%s at %s: input %d is missing; give it a tensor", op,
                                 g->scope[0] ? g->scope : "top", i);
            return false;
        }
    }
    return true;
}

struct sqa_span sqa_span_of(const struct sqa_tensor *x, int first_axis, int axes)
{
    struct sqa_span s = {1, 1, 1};

    for (int i = 0; i < x->rank; i++) {
        if (i < first_axis)
            s.outer *= x->dim[i];
        else if (i < first_axis + axes)
            s.n *= x->dim[i];
        else
            s.inner *= x->dim[i];
    }
    return s;
}

enum sqa_status sqa_check_lengths(const struct sqa_node *n, int i, int64_t batch, struct sqa_err *err)
{
    const struct sqa_tensor *t = n->in[i];
    char shape[96];

    if (t->dtype == SQA_I32 && t->rank == 1 && t->dim[0] == batch)
        return SQA_OK;
    return sqa_shape_fail(n, err, "lengths are %s %s; give i32 (%lld), one for each row of the batch",
                          sqa_dtype_name(t->dtype), sqa_shape_text(t, shape), (long long)batch);
}

int64_t sqa_length_at(const struct sqa_tensor *lengths, int64_t b, int64_t limit)
{
    int32_t v;

    if (lengths == NULL)
        return limit;
    memcpy(&v, sqa_at_const(sqa_data(lengths), b, sizeof v), sizeof v);
    return v < 0 ? 0 : sqa_min64(v, limit);
}

struct sqa_tensor *sqa_dense_rows(struct sqa_graph *g, struct sqa_tensor *x)
{
    const int last = x != NULL ? x->rank - 1 : -1;

    return last >= 0 && x->stride[last] != 1 && x->dim[last] > 1 ? sqa_dense(g, x) : x;
}
