/*
 * step.c - see step.h
 *
 * The ops here change an input that is a state: no other op may stand between a view of that state and its reader.
 * They have no gradient.
 */
#include "models/step.h"

#include <math.h>
#include <stdio.h>

#include "engine/ops/support.h"

struct sqa_tensor *sqa_step_state(struct sqa_context *c, const char *name, int rank, const int64_t *dim,
                                  struct sqa_entry **entry)
{
    const struct sqa_init zero = {.kind = SQA_INIT_ZERO};
    int64_t all[SQA_MAX_RANK] = {c->batch};
    char full[512];
    struct sqa_err err = {0};

    if (entry)
        *entry = NULL;
    if (c->g->status != SQA_OK)
        return NULL;
    if (rank >= SQA_MAX_RANK)
        return sqa_graph_fail(c->g, SQA_SHAPE, "%s: a state of %d dims; use up to %d", name, rank, SQA_MAX_RANK - 1);
    for (int i = 0; i < rank; i++)
        all[i + 1] = dim[i];
    snprintf(full, sizeof full, "%s%s%s", c->g->scope, c->g->scope[0] ? "." : "", name);
    struct sqa_entry *e =
        sqa_store_declare(c->states, full, SQA_STATE, SQA_GROUP_NO_DECAY, rank + 1, all, zero, &err);
    if (!e)
        return sqa_graph_fail(c->g, err.code, "%s", err.text);
    if (entry)
        *entry = e;
    return sqa_value(c->g, e);
}

/* The state is read and written. */
static double bytes_with_state(const struct sqa_node *n)
{
    double numbers = 2 * (double)sqa_numel(n->in[0]) + (double)sqa_numel(n->out[0]);

    for (int i = 1; i < n->nin; i++)
        if (n->in[i] != NULL)
            numbers += (double)sqa_numel(n->in[i]);
    return numbers * (double)sqa_dtype_size(n->out[0]->dtype);
}

struct job {
    const struct sqa_node *n;
    const struct sqa_run *r;
};

/* diagonal_step: 0 the state (B, 1, D), 1 a, 2 x */

struct diagonal {
    int pairs;
};

static enum sqa_status diagonal_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct diagonal *p = n->attr;
    const struct sqa_tensor *x = n->in[2];
    char one[96], two[96];

    if (x->rank != 3 || x->dim[1] != 1 || !sqa_same_shape(x, n->in[0]) || !sqa_same_shape(x, n->in[1]) ||
        (p->pairs && x->dim[2] % 2 != 0))
        return sqa_shape_fail(n, err, "x is %s, a %s; give (batch, 1, width), of complex numbers an even width",
                              sqa_shape_text(x, one), sqa_shape_text(n->in[1], two));
    sqa_set_output(n, 0, x->dtype, 3, x->dim);
    return SQA_OK;
}

/* Two rows of a scan, the state and x: a state + x is the second result. */
static void diagonal_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct diagonal *p = j->n->attr;
    const struct sqa_tensor *a = j->n->in[1], *x = j->n->in[2], *y = j->n->out[0];
    const struct sqa_kernels *k = sqa_kernels_of(y->dtype);
    const int64_t D = y->dim[2], half = p->pairs ? D / 2 : 0;
    const size_t row = (size_t)D * k->size;
    unsigned char *rows = sqa_at(j->r->workspace, thread * 2 * D, k->size);

    for (int64_t b = first; b < first + count; b++) {
        void *state = sqa_at(sqa_data(j->n->in[0]), b * D, k->size);

        memcpy(rows, state, row);
        memcpy(rows + row, sqa_at(sqa_data(x), b * x->stride[0], k->size), row);
        k->scan(&(struct sqa_scan){.n = 2,
                                   .m = half ? half : D,
                                   .imag = half,
                                   .a = sqa_at(sqa_data(a), b * a->stride[0], k->size),
                                   .x = rows,
                                   .y = rows,
                                   .x_stride = D,
                                   .y_stride = D});
        memcpy(state, rows + row, row);
        memcpy(sqa_at(sqa_data(y), b * D, k->size), rows + row, row);
    }
}

static double diagonal_flops(const struct sqa_node *n)
{
    const struct diagonal *p = n->attr;

    return (double)sqa_numel(n->out[0]) * (p->pairs ? 4 : 2);
}

static void diagonal_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_chunks(r, n->out[0]->dim[0], 1, diagonal_flops(n), diagonal_rows, &(struct job){n, r});
}

static size_t diagonal_workspace(const struct sqa_node *n, int threads)
{
    return (size_t)(threads * 2 * n->out[0]->dim[2]) * sqa_dtype_size(n->out[0]->dtype);
}

static const struct sqa_op op_diagonal = {
    .name = "diagonal_step",
    .help = "y = a y + x, y is state",
    .shape = diagonal_shape,
    .run = diagonal_run,
    .flops = diagonal_flops,
    .bytes = bytes_with_state,
    .workspace = diagonal_workspace,
    .strided = 6,
};

struct sqa_tensor *sqa_diagonal_step(struct sqa_context *c, const char *name, struct sqa_tensor *a,
                                     struct sqa_tensor *x, bool pairs)
{
    const struct diagonal p = {pairs};

    if (!sqa_ready(c->g, "diagonal_step", 2, (struct sqa_tensor *const[]){a, x}))
        return NULL;
    struct sqa_tensor *state = sqa_step_state(c, name, SQA_DIMS(1, x->dim[x->rank - 1]), NULL);

    a = sqa_dense_rows(c->g, sqa_broadcast(c->g, a, x->rank, x->dim));
    x = sqa_dense_rows(c->g, x);
    if (!sqa_ready(c->g, "diagonal_step", 3, (struct sqa_tensor *const[]){state, a, x}))
        return NULL;
    return sqa_apply(c->g, &op_diagonal, &p, sizeof p, 3, (struct sqa_tensor *const[]){state, a, x});
}

/* matrix_step: 0 the state (B, H, m, n), 1 q, 2 k, 3 v, 4 a or NULL */

enum { STATE, Q, K, V, A };

static enum sqa_status matrix_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *s = n->in[STATE], *q = n->in[Q], *k = n->in[K], *v = n->in[V], *a = n->in[A];
    char one[96], two[96], three[96];

    if (q->rank != 4 || v->rank != 4 || q->dim[1] != 1 || v->dim[1] != 1 || !sqa_same_shape(q, k) ||
        q->dim[0] != s->dim[0] || q->dim[2] != s->dim[1] || q->dim[3] != s->dim[2] || v->dim[0] != s->dim[0] ||
        v->dim[2] != s->dim[1] || v->dim[3] != s->dim[3])
        return sqa_shape_fail(n, err, "q is %s, k %s, v %s; give (batch, 1, heads, width)", sqa_shape_text(q, one),
                              sqa_shape_text(k, two), sqa_shape_text(v, three));
    if (a && (a->rank != 4 || a->dim[0] != q->dim[0] || a->dim[1] != 1 || a->dim[2] != q->dim[2] ||
              (a->dim[3] != 1 && a->dim[3] != q->dim[3])))
        return sqa_shape_fail(n, err, "the decay is %s and q %s; give one number a head or one a number of q",
                              sqa_shape_text(a, one), sqa_shape_text(q, two));
    sqa_set_output(n, 0, v->dtype, 4, v->dim);
    return SQA_OK;
}

static void matrix_heads(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    struct sqa_tensor *const *in = j->n->in;
    const struct sqa_kernels *k = sqa_kernels_of(in[V]->dtype);
    const int64_t m = in[STATE]->dim[2], n = in[STATE]->dim[3];

    (void)thread;
    for (int64_t i = first; i < first + count; i++)
        k->state_step(&(struct sqa_state_step){.m = m,
                                               .n = n,
                                               .a = in[A] ? sqa_head_row(in[A], i, 0, k->size) : NULL,
                                               .q = sqa_head_row(in[Q], i, 0, k->size),
                                               .k = sqa_head_row(in[K], i, 0, k->size),
                                               .v = sqa_head_row(in[V], i, 0, k->size),
                                               .a_each = in[A] && in[A]->dim[3] == m,
                                               .s = sqa_at(sqa_data(in[STATE]), i * m * n, k->size),
                                               .o = sqa_head_row(j->n->out[0], i, 0, k->size)});
}

static double matrix_flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->in[STATE]) * (n->in[A] ? 5 : 4);
}

static void matrix_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_chunks(r, n->in[STATE]->dim[0] * n->in[STATE]->dim[1], 1, matrix_flops(n), matrix_heads, &(struct job){n, r});
}

static const struct sqa_op op_matrix = {
    .name = "matrix_step",
    .help = "S = diag(a) S + k v^T, S is state; o = S^T q",
    .shape = matrix_shape,
    .run = matrix_run,
    .flops = matrix_flops,
    .bytes = bytes_with_state,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << A,
};

struct sqa_tensor *sqa_matrix_step(struct sqa_context *c, const char *name, struct sqa_tensor *q,
                                   struct sqa_tensor *k, struct sqa_tensor *v, struct sqa_tensor *a)
{
    if (!sqa_ready(c->g, "matrix_step", 3, (struct sqa_tensor *const[]){q, k, v}))
        return NULL;
    if (q->rank != 4 || v->rank != 4 || (a && a->rank > 4))
        return sqa_graph_fail(c->g, SQA_SHAPE, "matrix_step: q, k and v have %d, %d and %d dims; give (B, 1, H, d)",
                              q->rank, k->rank, v->rank);
    const int64_t H = q->dim[2], m = q->dim[3], each = a && a->rank > 0 ? a->dim[a->rank - 1] : 1;
    struct sqa_tensor *state = sqa_step_state(c, name, SQA_DIMS(H, m, v->dim[3]), NULL);
    struct sqa_tensor *in[] = {state, sqa_dense_rows(c->g, q), sqa_dense_rows(c->g, k), sqa_dense_rows(c->g, v),
                               a ? sqa_broadcast(c->g, a, SQA_DIMS(q->dim[0], 1, H, each)) : NULL};

    in[A] = sqa_dense_rows(c->g, in[A]);
    return sqa_ready(c->g, "matrix_step", 4, in) ? sqa_apply(c->g, &op_matrix, NULL, 0, 5, in) : NULL;
}

/* cache_step: 0 keys (B, H, N, d), 1 values, 2 q, 3 k, 4 v, 5 position. The keys of a head are cut into ranges, which
 * may run in parallel and are joined in order. */

enum { KEYS, VALUES, CQ, CK, CV, POSITION, CACHE_INPUTS };
enum { RANGE = 8 * SQA_ATTEND_KEYS };

struct cache {
    double scale;
};

struct part { /* of a range, and its numbers */
    double top, sum;
};

static int64_t ranges_of(const struct sqa_node *n)
{
    return (n->in[KEYS]->dim[2] + RANGE - 1) / RANGE;
}

static int64_t heads_of(const struct sqa_node *n)
{
    return n->in[KEYS]->dim[0] * n->in[KEYS]->dim[1];
}

static enum sqa_status cache_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[CQ], *k = n->in[CK], *v = n->in[CV];
    char one[96], two[96];

    if (q->rank != 4 || q->dim[1] != 1 || !sqa_same_shape(q, k) || v->rank != 4 || v->dim[0] != q->dim[0] ||
        v->dim[1] != 1 || v->dim[2] != q->dim[2])
        return sqa_shape_fail(n, err, "q is %s and v %s; give (batch, 1, heads, width)", sqa_shape_text(q, one),
                              sqa_shape_text(v, two));
    sqa_set_output(n, 0, v->dtype, 4, v->dim);
    return SQA_OK;
}

/* What a run works with: parts of all ranges, their sums of values, and a row for each thread. */
struct caching {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    int64_t keys, ranges, dv;
    struct part *part;
    unsigned char *sums, *rows;
    size_t bytes;
};

static struct caching caching_of(const struct sqa_node *n, void *workspace, int threads)
{
    struct caching w = {
        .n = n, .k = sqa_kernels_of(n->out[0]->dtype), .ranges = ranges_of(n), .dv = n->out[0]->dim[3]};
    const size_t parts = (size_t)(heads_of(n) * w.ranges), row = (size_t)w.dv * w.k->size;

    w.part = (void *)sqa_take(workspace, &w.bytes, parts * sizeof *w.part);
    w.sums = sqa_take(workspace, &w.bytes, parts * row);
    w.rows = sqa_take(workspace, &w.bytes, (size_t)threads * row);
    return w;
}

/* sum and top take in another part: both become relative to the larger top. y and o are their sums of values. */
static void join(const struct sqa_kernels *k, int64_t dv, struct part *to, void *o, struct part more, const void *y)
{
    const double top = more.top > to->top ? more.top : to->top, old = exp(to->top - top), now = exp(more.top - top);

    k->affine(old, o, 0, o, (size_t)dv);
    k->axpy(now, y, o, (size_t)dv);
    *to = (struct part){top, to->sum * old + more.sum * now};
}

static void append(const struct caching *w)
{
    const struct sqa_node *n = w->n;

    for (int i = 0; i < 2; i++) {
        const struct sqa_tensor *cache = n->in[KEYS + i], *row = n->in[CK + i];
        const int64_t N = cache->dim[2], d = cache->dim[3];

        for (int64_t h = 0; h < heads_of(n); h++)
            memcpy(sqa_at(sqa_data(cache), (h * N + w->keys - 1) * d, w->k->size),
                   sqa_head_row(row, h, 0, w->k->size), (size_t)d * w->k->size);
    }
}

static void attend_ranges(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct caching *w = ctx;
    const struct sqa_tensor *keys = w->n->in[KEYS], *values = w->n->in[VALUES];
    const int64_t N = keys->dim[2], d = keys->dim[3];
    void *row = sqa_at(w->rows, thread * w->dv, w->k->size);

    for (int64_t i = first; i < first + count; i++) {
        const int64_t head = i / w->ranges, from = i % w->ranges * RANGE, to = sqa_min64(from + RANGE, w->keys);
        void *sums = sqa_at(w->sums, i * w->dv, w->k->size);

        for (int64_t t = from; t < to; t += SQA_ATTEND_KEYS) {
            struct sqa_attend a = {.keys = sqa_min64(SQA_ATTEND_KEYS, to - t),
                                   .d = d,
                                   .dv = w->dv,
                                   .scale = ((const struct cache *)w->n->attr)->scale,
                                   .q = sqa_head_row(w->n->in[CQ], head, 0, w->k->size),
                                   .k = sqa_at(sqa_data(keys), (head * N + t) * d, w->k->size),
                                   .v = sqa_at(sqa_data(values), (head * N + t) * w->dv, w->k->size),
                                   .k_stride = d,
                                   .v_stride = w->dv,
                                   .o = t == from ? sums : row};

            w->k->attend(&a);
            if (t == from)
                w->part[i] = (struct part){a.top, a.sum};
            else
                join(w->k, w->dv, &w->part[i], sums, (struct part){a.top, a.sum}, row);
        }
    }
}

static double cache_flops(const struct sqa_node *n)
{
    const double d = (double)n->in[KEYS]->dim[3], dv = (double)n->in[VALUES]->dim[3];

    return (double)(heads_of(n) * n->in[KEYS]->dim[2]) * (2 * d + 2 * dv + 5);
}

static void cache_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct caching w = caching_of(n, r->workspace, r->threads);

    w.keys = sqa_min64(*(const int32_t *)sqa_data(n->in[POSITION]) + 1, n->in[KEYS]->dim[2]);
    append(&w);
    sqa_chunks(r, heads_of(n) * w.ranges, 1, cache_flops(n) * (double)w.keys / (double)n->in[KEYS]->dim[2],
               attend_ranges, &w);
    for (int64_t h = 0; h < heads_of(n); h++) {
        void *sums = sqa_at(w.sums, h * w.ranges * w.dv, w.k->size);
        struct part *part = &w.part[h * w.ranges];

        for (int64_t i = 1; i * RANGE < w.keys; i++)
            join(w.k, w.dv, part, sums, part[i], sqa_at(sums, i * w.dv, w.k->size));
        w.k->affine(1 / part->sum, sums, 0, sqa_head_row(n->out[0], h, 0, w.k->size), (size_t)w.dv);
    }
}

static size_t cache_workspace(const struct sqa_node *n, int threads)
{
    return caching_of(n, NULL, threads).bytes;
}

/* The cache is read, and a row of it written. */
static double cache_bytes(const struct sqa_node *n)
{
    double numbers = (double)sqa_numel(n->out[0]);

    for (int i = 0; i < POSITION; i++)
        numbers += (double)sqa_numel(n->in[i]) * (i == CK || i == CV ? 2 : 1);
    return numbers * (double)sqa_dtype_size(n->out[0]->dtype);
}

static const struct sqa_op op_cache = {
    .name = "cache_step",
    .help = "k and v appended to a cache, attention of q to all of it",
    .shape = cache_shape,
    .run = cache_run,
    .flops = cache_flops,
    .bytes = cache_bytes,
    .workspace = cache_workspace,
    .strided = 1 << CQ | 1 << CK | 1 << CV,
};

struct sqa_tensor *sqa_cache_step(struct sqa_context *c, struct sqa_tensor *q, struct sqa_tensor *k,
                                  struct sqa_tensor *v, double scale)
{
    const struct cache p = {scale};

    if (!sqa_ready(c->g, "cache_step", 3, (struct sqa_tensor *const[]){q, k, v}))
        return NULL;
    if (k->rank != 4 || v->rank != 4)
        return sqa_graph_fail(c->g, SQA_SHAPE, "cache_step: k and v have %d and %d dims; give (B, 1, H, d)", k->rank,
                              v->rank);
    struct sqa_tensor *in[CACHE_INPUTS] = {
        sqa_step_state(c, "keys", SQA_DIMS(k->dim[2], c->max_length, k->dim[3]), NULL),
        sqa_step_state(c, "values", SQA_DIMS(v->dim[2], c->max_length, v->dim[3]), NULL),
        sqa_dense_rows(c->g, q),
        sqa_dense_rows(c->g, k),
        sqa_dense_rows(c->g, v),
        c->position};

    return sqa_ready(c->g, "cache_step", CACHE_INPUTS, in)
               ? sqa_apply(c->g, &op_cache, &p, sizeof p, CACHE_INPUTS, in)
               : NULL;
}

/* mean_step: 0 the sum (B, 1, D), 1 x, 2 position */

static enum sqa_status mean_shape(struct sqa_node *n, struct sqa_err *err)
{
    char have[96];

    if (!sqa_same_shape(n->in[0], n->in[1]))
        return sqa_shape_fail(n, err, "x is %s; give (batch, 1, width)", sqa_shape_text(n->in[1], have));
    sqa_set_output(n, 0, n->in[1]->dtype, n->in[1]->rank, n->in[1]->dim);
    return SQA_OK;
}

static void mean_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_kernels *k = sqa_kernels_of(n->in[1]->dtype);
    const size_t count = (size_t)sqa_numel(n->in[1]);

    (void)r;
    k->axpy(1, sqa_data(n->in[1]), sqa_data(n->in[0]), count);
    k->affine(1 / ((double)*(const int32_t *)sqa_data(n->in[2]) + 1), sqa_data(n->in[0]), 0, sqa_data(n->out[0]),
              count);
}

static double mean_flops(const struct sqa_node *n)
{
    return 2 * (double)sqa_numel(n->out[0]);
}

static const struct sqa_op op_mean = {
    .name = "mean_step",
    .help = "the mean of x over the positions so far, the sum is state",
    .shape = mean_shape,
    .run = mean_run,
    .flops = mean_flops,
    .bytes = bytes_with_state,
};

struct sqa_tensor *sqa_mean_step(struct sqa_context *c, const char *name, struct sqa_tensor *x)
{
    if (!sqa_ready(c->g, "mean_step", 1, &x))
        return NULL;
    struct sqa_tensor *in[] = {sqa_step_state(c, name, SQA_DIMS(1, x->dim[x->rank - 1]), NULL), x, c->position};

    return sqa_ready(c->g, "mean_step", 3, in) ? sqa_apply(c->g, &op_mean, NULL, 0, 3, in) : NULL;
}

struct sqa_tensor *sqa_position_numbers(struct sqa_context *c)
{
    const int64_t L = c->position ? c->batch : c->length;
    struct sqa_tensor *one = sqa_fill(c->g, 1, SQA_DIMS(L, 1, 1));

    if (!c->position)
        return sqa_cumsum(c->g, one, 0);
    one = sqa_diagonal_step(c, "time", sqa_fill(c->g, 1, SQA_DIMS(1)), one, false);
    return sqa_reshape(c->g, one, SQA_DIMS(L, 1, 1, 1));
}

struct sqa_tensor *sqa_running_sum(struct sqa_context *c, const char *name, struct sqa_tensor *x)
{
    if (!c->position || !x)
        return sqa_cumsum(c->g, x, 1);
    struct sqa_tensor *rows = sqa_reshape(c->g, sqa_dense(c->g, x), SQA_DIMS(c->batch, 1, x->dim[2] * x->dim[3]));

    return sqa_reshape(c->g, sqa_diagonal_step(c, name, sqa_fill(c->g, 1, SQA_DIMS(1)), rows, false),
                       SQA_DIMS(c->batch, 1, x->dim[2], x->dim[3]));
}

struct sqa_tensor *sqa_position_rows(struct sqa_context *c, struct sqa_tensor *table)
{
    return c->position ? sqa_embedding(c->g, table, c->position) : sqa_slice(c->g, table, 0, 0, c->length);
}
