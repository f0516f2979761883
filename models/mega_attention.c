/* mega_attention.c - see mega_attention.h */
#include "models/mega_attention.h"

#include <math.h>

#include "base/random.h"
#include "engine/ops/support.h"
#include "models/step.h"

enum { Q, K, V, BIAS, LENGTHS, DOUT };
enum { DQ, DK, DV, DBIAS };
enum { TILE = 64, SMALL_TILE = 32, WIDE = 1024 }; /* rows of a tile, of one with more than WIDE keys */

struct attr {
    struct sqa_mega_attention_spec spec;
    uint64_t path; /* of the forward node, in its gradient; 0: this node's own */
    bool dropped;
};

static int64_t chunk_of(int64_t length, int64_t chunk)
{
    return chunk > 0 && chunk < length ? chunk : length;
}

static int64_t chunk_size(const struct sqa_node *n)
{
    const struct attr *a = n->attr;

    return chunk_of(n->in[Q]->dim[1], a->spec.chunk);
}

static int64_t chunks_of(const struct sqa_node *n)
{
    const int64_t size = chunk_size(n);

    return size > 0 ? (n->in[Q]->dim[1] + size - 1) / size : 0;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *k = n->in[K], *v = n->in[V], *bias = n->in[BIAS];
    char one[96], two[96], three[96];

    if (q->rank != 3 || !sqa_same_shape(q, k) || v->rank != 3 || v->dim[0] != q->dim[0] || v->dim[1] != q->dim[1] ||
        bias->rank != 1 || bias->dim[0] != 2 * chunk_size(n) - 1)
        return sqa_shape_fail(n, err, "q %s, v %s, bias %s; give q, k (B, L, z), v (B, L, e), bias (2 c - 1)",
                              sqa_shape_text(q, one), sqa_shape_text(v, two), sqa_shape_text(bias, three));
    if (n->nin > DOUT) {
        for (int i = Q; i <= V; i++)
            sqa_set_output(n, i, q->dtype, 3, n->in[i]->dim);
        sqa_set_output(n, DBIAS, q->dtype, 2, (const int64_t[]){q->dim[0] * chunks_of(n), bias->dim[0]});
        return SQA_OK;
    }
    sqa_set_output(n, 0, q->dtype, 3, v->dim);
    return n->in[LENGTHS] != NULL ? sqa_check_lengths(n, LENGTHS, q->dim[0], err) : SQA_OK;
}

/* A thread's tiles (rows x keys of a chunk): A; A after dropout, or its gradient; dropped A's gradient; and for
 * laplace the density. Rows of keys: two to work on and one of ones. */
struct space {
    void *a, *dropped, *grad, *density, *row[2], *ones;
};

static int64_t tile_rows(const struct sqa_node *n)
{
    return chunk_size(n) > WIDE ? SMALL_TILE : TILE;
}

static struct space space_of(const struct sqa_node *n, unsigned char *base, size_t *bytes)
{
    const size_t size = sqa_dtype_size(n->in[Q]->dtype), row = (size_t)chunk_size(n) * size;
    const size_t tile = row * (size_t)tile_rows(n);
    const bool backward = n->nin > DOUT;
    struct space s;
    size_t at = 0;

    s.a = sqa_take(base, &at, tile);
    s.dropped = sqa_take(base, &at, tile);
    s.grad = sqa_take(base, &at, backward ? tile : 0);
    s.density = sqa_take(base, &at, backward ? tile : row);
    for (int i = 0; i < 2; i++)
        s.row[i] = sqa_take(base, &at, row);
    s.ones = sqa_take(base, &at, row);
    *bytes = at;
    return s;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    size_t bytes;

    (void)space_of(n, NULL, &bytes);
    return (size_t)threads * bytes;
}

/* One chunk of a sequence */
struct unit {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    const struct attr *a;
    struct space s;
    int64_t number, b, first, rows, valid; /* rows of the chunk, and those that are valid */
    uint64_t key;
};

static void *row_of(const struct unit *u, const struct sqa_tensor *x, int64_t i)
{
    return sqa_at(sqa_data(x), u->b * x->stride[0] + (u->first + i) * x->stride[1], u->k->size);
}

/* Keys that row i of the chunk sees */
static int64_t keys_of(const struct unit *u, int64_t i)
{
    return u->a->spec.causal ? sqa_min64(i + 1, u->valid) : u->valid;
}

static double scale_of(const struct unit *u, int64_t i)
{
    if (u->a->spec.function == SQA_MEGA_SOFTMAX)
        return 1 / sqrt((double)u->n->in[Q]->dim[2]);
    return 1 / (double)(u->a->spec.causal ? i + 1 : sqa_max64(1, u->valid));
}

/* Numbers x become the normal distribution's cdf of (x - mean) / deviation, density its derivative by x. */
static void laplace(const struct unit *u, void *x, void *density, int64_t n)
{
    const struct sqa_kernels *k = u->k;
    const double pi = 3.14159265358979323846, deviation = sqrt(0.25 / pi);
    void *y = u->s.row[0], *work = u->s.row[1];
    const size_t count = (size_t)n;

    k->affine(1 / deviation, x, -sqrt(0.5) / deviation, y, count);
    k->binary(SQA_BINARY_MUL, y, y, work, count);
    k->affine(-0.5, work, -0.5 * log(2 * pi), work, count);
    k->unary(SQA_UNARY_EXP, work, density, count);
    k->unary_grad(SQA_UNARY_GELU, y, u->s.ones, x, count); /* cdf(y) + y density(y) */
    k->binary(SQA_BINARY_MUL, y, density, work, count);
    k->binary(SQA_BINARY_SUB, x, work, x, count);
    k->affine(1 / deviation, density, 0, density, count);
}

/* n scores q . k become weights: x is both. density: n numbers, of laplace alone */
static void weigh(const struct unit *u, double scale, const void *bias, void *x, int64_t n, void *density)
{
    void *work = u->s.row[0];
    const size_t count = (size_t)n;

    u->k->affine(scale, x, 0, x, count);
    u->k->binary(SQA_BINARY_ADD, x, bias, x, count);
    switch (u->a->spec.function) {
    case SQA_MEGA_SOFTMAX:
        u->k->softmax(x, x, n > 0, count);
        break;
    case SQA_MEGA_LAPLACE:
        laplace(u, x, density, n);
        break;
    case SQA_MEGA_RELU2: /* its derivative, 2 max(x, 0), is made of A */
        u->k->unary(SQA_UNARY_RELU, x, work, count);
        u->k->binary(SQA_BINARY_MUL, work, work, x, count);
        break;
    }
}

/* Weights of rows i .. i + rows - 1 to the first m keys; a row's own end in zeros. density: m numbers a row, or NULL
 */
static void weights(const struct unit *u, int64_t i, int64_t rows, int64_t m, void *density)
{
    const struct sqa_tensor *q = u->n->in[Q], *keys = u->n->in[K];
    const int64_t c = chunk_size(u->n);
    const size_t size = u->k->size;

    u->k->gemm(0, 1, rows, m, q->dim[2], 1, row_of(u, q, i), q->stride[1], row_of(u, keys, 0), keys->stride[1], 0,
               u->s.a, m);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t n = keys_of(u, i + r);
        void *x = sqa_at(u->s.a, r * m, size);

        weigh(u, scale_of(u, i + r), sqa_at(sqa_data(u->n->in[BIAS]), c - 1 - (i + r), size), x, n,
              density != NULL ? sqa_at(density, r * m, size) : u->s.density);
        memset(sqa_at(x, n, size), 0, (size_t)(m - n) * size);
    }
}

static void drop(const struct unit *u, int64_t i, int64_t rows, int64_t m, const void *x, void *y)
{
    const int64_t c = chunk_size(u->n);

    for (int64_t r = 0; r < rows; r++)
        u->k->dropout(u->key, (uint64_t)((i + r) * c), 1 - u->a->spec.dropout, sqa_at_const(x, r * m, u->k->size),
                      sqa_at(y, r * m, u->k->size), (size_t)m);
}

static void clear_rows(const struct unit *u, const struct sqa_tensor *x, int64_t i, int64_t rows)
{
    memset(row_of(u, x, i), 0, (size_t)(rows * x->dim[2]) * u->k->size);
}

static void forward_unit(const struct unit *u)
{
    const struct sqa_tensor *v = u->n->in[V], *o = u->n->out[0];
    const int64_t tile = tile_rows(u->n);

    for (int64_t i = 0; i < u->rows; i += tile) {
        const int64_t rows = sqa_min64(tile, u->rows - i), m = keys_of(u, i + rows - 1);
        const void *a = u->s.a;

        if (m == 0) {
            clear_rows(u, o, i, rows);
            continue;
        }
        weights(u, i, rows, m, NULL);
        if (u->a->dropped) {
            drop(u, i, rows, m, a, u->s.dropped);
            a = u->s.dropped;
        }
        u->k->gemm(0, 0, rows, v->dim[2], m, 1, a, m, row_of(u, v, 0), v->stride[1], 0, row_of(u, o, i),
                   o->stride[1]);
    }
}

/* s.grad: the gradient of A becomes that of q_i . k_j; that of the bias is added up. */
static void to_scores(const struct unit *u, int64_t i, int64_t rows, int64_t m)
{
    const int64_t c = chunk_size(u->n);
    const size_t size = u->k->size;
    void *dbias = sqa_at(sqa_data(u->n->out[DBIAS]), u->number * (2 * c - 1), size);

    for (int64_t r = 0; r < rows; r++) {
        const int64_t n = keys_of(u, i + r);
        void *a = sqa_at(u->s.a, r * m, size), *d = sqa_at(u->s.grad, r * m, size), *work = u->s.row[0];

        switch (u->a->spec.function) {
        case SQA_MEGA_SOFTMAX:
            u->k->softmax_grad(a, d, d, n > 0, (size_t)n);
            break;
        case SQA_MEGA_LAPLACE:
            u->k->binary(SQA_BINARY_MUL, d, sqa_at(u->s.density, r * m, size), d, (size_t)n);
            break;
        case SQA_MEGA_RELU2:
            u->k->unary(SQA_UNARY_SQRT, a, work, (size_t)n);
            u->k->binary(SQA_BINARY_MUL, d, work, d, (size_t)n);
            u->k->affine(2, d, 0, d, (size_t)n);
            break;
        }
        u->k->axpy(1, d, sqa_at(dbias, c - 1 - (i + r), size), (size_t)n);
        u->k->affine(scale_of(u, i + r), d, 0, d, (size_t)n);
        memset(sqa_at(d, n, size), 0, (size_t)(m - n) * size);
    }
}

static void backward_unit(const struct unit *u)
{
    struct sqa_tensor *const *in = u->n->in, *const *out = u->n->out;
    const int64_t tile = tile_rows(u->n), z = in[Q]->dim[2], e = in[V]->dim[2], c = chunk_size(u->n);
    const struct sqa_kernels *k = u->k;

    clear_rows(u, out[DK], 0, u->rows);
    clear_rows(u, out[DV], 0, u->rows);
    memset(sqa_at(sqa_data(out[DBIAS]), u->number * (2 * c - 1), k->size), 0, (size_t)(2 * c - 1) * k->size);
    for (int64_t i = 0; i < u->rows; i += tile) {
        const int64_t rows = sqa_min64(tile, u->rows - i), m = keys_of(u, i + rows - 1);
        const void *a = u->s.a;

        if (m == 0) {
            clear_rows(u, out[DQ], i, rows);
            continue;
        }
        weights(u, i, rows, m, u->s.density);
        k->gemm(0, 1, rows, m, e, 1, row_of(u, in[DOUT], i), in[DOUT]->stride[1], row_of(u, in[V], 0),
                in[V]->stride[1], 0, u->s.grad, m);
        if (u->a->dropped) {
            drop(u, i, rows, m, a, u->s.dropped);
            drop(u, i, rows, m, u->s.grad, u->s.grad);
            a = u->s.dropped;
        }
        k->gemm(1, 0, m, e, rows, 1, a, m, row_of(u, in[DOUT], i), in[DOUT]->stride[1], 1, row_of(u, out[DV], 0), e);
        to_scores(u, i, rows, m);
        k->gemm(0, 0, rows, z, m, 1, u->s.grad, m, row_of(u, in[K], 0), in[K]->stride[1], 0, row_of(u, out[DQ], i),
                z);
        k->gemm(1, 0, m, z, rows, 1, u->s.grad, m, row_of(u, in[Q], i), in[Q]->stride[1], 1, row_of(u, out[DK], 0),
                z);
    }
}

struct job {
    const struct sqa_node *n;
    unsigned char *workspace;
    uint64_t key;
};

static void units(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_tensor *q = j->n->in[Q];
    const int64_t chunks = chunks_of(j->n), c = chunk_size(j->n);
    size_t bytes;

    (void)space_of(j->n, NULL, &bytes);
    struct unit u = {.n = j->n,
                     .k = sqa_kernels_of(q->dtype),
                     .a = j->n->attr,
                     .s = space_of(j->n, j->workspace + (size_t)thread * bytes, &bytes)};
    for (int64_t i = 0; i < c; i++)
        sqa_real_set(q->dtype, sqa_at(u.s.ones, i, u.k->size), 1);
    for (u.number = first; u.number < first + count; u.number++) {
        u.b = u.number / chunks;
        u.first = u.number % chunks * c;
        u.rows = sqa_min64(c, q->dim[1] - u.first);
        u.valid = sqa_max64(0, sqa_min64(u.rows, sqa_length_at(j->n->in[LENGTHS], u.b, q->dim[1]) - u.first));
        u.key = sqa_random_mix(j->key, (uint64_t)u.number);
        if (j->n->nin > DOUT)
            backward_unit(&u);
        else
            forward_unit(&u);
    }
}

/* Pairs of one sequence, lengths aside */
static double pairs_of(int64_t length, int64_t chunk, bool causal)
{
    const int64_t c = chunk_of(length, chunk);
    double sum = 0;

    for (int64_t first = 0; first < length; first += c) {
        const double n = (double)sqa_min64(c, length - first);

        sum += causal ? n * (n + 1) / 2 : n * n;
    }
    return sum;
}

double sqa_mega_attention_flops(int64_t batch, int64_t length, int64_t z, int64_t e,
                                struct sqa_mega_attention_spec spec)
{
    const double each = spec.function == SQA_MEGA_LAPLACE ? 14 : spec.function == SQA_MEGA_RELU2 ? 4 : 7;

    return (double)batch * pairs_of(length, spec.chunk, spec.causal) * (2 * (double)(z + e) + each);
}

static double flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const int64_t *dim = n->in[Q]->dim;

    return sqa_mega_attention_flops(dim[0], dim[1], dim[2], n->in[V]->dim[2], a->spec);
}

/* The forward's scores and weights, five products in all; six more for a score's gradient and the bias */
static double bwd_flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const int64_t *dim = n->in[Q]->dim;
    const double pairs = (double)dim[0] * pairs_of(dim[1], a->spec.chunk, a->spec.causal);

    return flops(n) + pairs * (2 * (2 * (double)dim[2] + (double)n->in[V]->dim[2]) + 6);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    struct job j = {n, r->workspace,
                    sqa_random_mix(sqa_random_mix(r->seed, r->step), a->path != 0 ? a->path : n->path_hash)};

    sqa_chunks(r, n->in[Q]->dim[0] * chunks_of(n), 1, n->nin > DOUT ? bwd_flops(n) : flops(n), units, &j);
}

static const struct sqa_op op_bwd = {
    .name = "mega_attention_bwd",
    .help = "gradients of q, k, v, and of the bias for each chunk",
    .shape = shape,
    .run = run,
    .flops = bwd_flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << DOUT,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct attr a = *(const struct attr *)n->attr;
    struct sqa_tensor *in[DOUT + 1], *d;

    memcpy(in, n->in, DOUT * sizeof *in);
    in[DOUT] = sqa_dense_rows(g, dy[0]);
    a.path = n->path_hash;
    d = sqa_apply(g, &op_bwd, &a, sizeof a, DOUT + 1, in);
    for (int i = Q; i <= V && d != NULL; i++)
        dx[i] = d->node->out[i];
    if (d != NULL)
        dx[BIAS] = sqa_sum(g, d->node->out[DBIAS], 1u, false);
}

static const struct sqa_op op_attention = {
    .name = "mega_attention",
    .help = "o = f(q k^T, bias by distance) v in each chunk",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V,
    .tolerance = 1e-4,
};

struct sqa_tensor *sqa_mega_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                      struct sqa_tensor *v, struct sqa_tensor *bias, struct sqa_tensor *lengths,
                                      struct sqa_mega_attention_spec spec)
{
    const struct attr a = {.spec = spec, .dropped = g->training && spec.dropout > 0};
    struct sqa_tensor *const in[] = {sqa_dense_rows(g, q), sqa_dense_rows(g, k), sqa_dense_rows(g, v), bias, lengths};

    return sqa_ready(g, "mega_attention", 4, in) ? sqa_apply(g, &op_attention, &a, sizeof a, 5, in) : NULL;
}

/* mega_step: q, k, v (B, 1, any), bias, the position, and the states keys (B, N, z) and values (B, N, e) */

enum { POSITION = BIAS + 1, KEYS, VALUES, STEP_INPUTS };

static enum sqa_status step_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *v = n->in[V];
    char one[96], two[96];

    if (q->rank != 3 || q->dim[1] != 1 || !sqa_same_shape(q, n->in[K]) || v->rank != 3 || v->dim[1] != 1 ||
        n->in[BIAS]->dim[0] != 2 * n->in[KEYS]->dim[1] - 1)
        return sqa_shape_fail(n, err, "q %s, v %s; give (batch, 1, width)", sqa_shape_text(q, one),
                              sqa_shape_text(v, two));
    sqa_set_output(n, 0, v->dtype, 3, v->dim);
    return SQA_OK;
}

static struct space step_space(const struct sqa_node *n, unsigned char *base, size_t *bytes)
{
    const size_t row = (size_t)n->in[KEYS]->dim[1] * sqa_dtype_size(n->in[Q]->dtype);
    struct space s = {.grad = NULL};
    size_t at = 0;

    s.a = sqa_take(base, &at, row);
    s.density = sqa_take(base, &at, row);
    for (int i = 0; i < 2; i++)
        s.row[i] = sqa_take(base, &at, row);
    s.ones = sqa_take(base, &at, row);
    *bytes = at;
    return s;
}

static size_t step_workspace(const struct sqa_node *n, int threads)
{
    size_t bytes;

    (void)step_space(n, NULL, &bytes);
    return (size_t)threads * bytes;
}

static void step_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct attr *a = j->n->attr;
    const struct sqa_tensor *q = j->n->in[Q], *v = j->n->in[V], *keys = j->n->in[KEYS], *values = j->n->in[VALUES];
    const int64_t N = keys->dim[1], z = q->dim[2], e = v->dim[2];
    const int64_t place = *(const int32_t *)sqa_data(j->n->in[POSITION]) % N, n = place + 1;
    size_t bytes;

    (void)step_space(j->n, NULL, &bytes);
    const struct unit u = {.n = j->n,
                           .k = sqa_kernels_of(q->dtype),
                           .a = a,
                           .s = step_space(j->n, j->workspace + (size_t)thread * bytes, &bytes)};
    const size_t size = u.k->size;
    const double scale = a->spec.function == SQA_MEGA_SOFTMAX ? 1 / sqrt((double)z) : 1 / (double)n;

    for (int64_t i = 0; i < n; i++)
        sqa_real_set(q->dtype, sqa_at(u.s.ones, i, size), 1);
    for (int64_t b = first; b < first + count; b++) {
        void *own_keys = sqa_at(sqa_data(keys), b * N * z, size), *own = sqa_at(sqa_data(values), b * N * e, size);

        memcpy(sqa_at(own_keys, place * z, size), sqa_at(sqa_data(j->n->in[K]), b * z, size), (size_t)z * size);
        memcpy(sqa_at(own, place * e, size), sqa_at(sqa_data(v), b * e, size), (size_t)e * size);
        u.k->gemm(0, 1, 1, n, z, 1, sqa_at(sqa_data(q), b * z, size), z, own_keys, z, 0, u.s.a, n);
        weigh(&u, scale, sqa_at(sqa_data(j->n->in[BIAS]), N - 1 - place, size), u.s.a, n, u.s.density);
        u.k->gemm(0, 0, 1, e, n, 1, u.s.a, n, own, e, 0, sqa_at(sqa_data(j->n->out[0]), b * e, size), e);
    }
}

static double step_flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const struct sqa_mega_attention_spec all = {.function = a->spec.function};

    return (double)(n->in[KEYS]->dim[0] * n->in[KEYS]->dim[1]) *
           sqa_mega_attention_flops(1, 1, n->in[Q]->dim[2], n->in[V]->dim[2], all);
}

/* The states are read, and a row of them written. */
static double step_bytes(const struct sqa_node *n)
{
    const struct sqa_tensor *q = n->in[Q], *v = n->in[V], *keys = n->in[KEYS], *values = n->in[VALUES];

    return (double)(sqa_numel(keys) + sqa_numel(values) + 3 * sqa_numel(q) + 3 * sqa_numel(v)) *
           (double)sqa_dtype_size(q->dtype);
}

static void step_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = {n, r->workspace, 0};

    sqa_chunks(r, n->in[Q]->dim[0], 1, step_flops(n), step_rows, &j);
}

static const struct sqa_op op_step = {
    .name = "mega_step",
    .help = "k and v appended to a cache, o = f(q k^T, bias by distance) v",
    .shape = step_shape,
    .run = step_run,
    .flops = step_flops,
    .bytes = step_bytes,
    .workspace = step_workspace,
};

struct sqa_tensor *sqa_mega_attention_step(struct sqa_context *c, struct sqa_tensor *q, struct sqa_tensor *k,
                                           struct sqa_tensor *v, struct sqa_tensor *bias,
                                           struct sqa_mega_attention_spec spec)
{
    const struct attr a = {.spec = spec};

    if (!sqa_ready(c->g, "mega_step", 4, (struct sqa_tensor *const[]){q, k, v, bias}))
        return NULL;
    const int64_t N = chunk_of(c->max_length, spec.chunk);
    struct sqa_tensor *const in[STEP_INPUTS] = {q,
                                                k,
                                                v,
                                                bias,
                                                c->position,
                                                sqa_step_state(c, "keys", SQA_DIMS(N, q->dim[2]), NULL),
                                                sqa_step_state(c, "values", SQA_DIMS(N, v->dim[2]), NULL)};
    return sqa_ready(c->g, "mega_step", STEP_INPUTS, in) ? sqa_apply(c->g, &op_step, &a, sizeof a, STEP_INPUTS, in)
                                                         : NULL;
}
