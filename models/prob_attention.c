/*
 * prob_attention.c - see prob_attention.h
 *
 * prob_pick measures and chooses; gather_rows takes the chosen queries, the attention op does the rest, and
 * place_rows puts its rows over the default. Chosen queries stand in ascending order.
 */
#include "models/prob_attention.h"

#include <math.h>

#include "base/random.h"
#include "engine/ops/support.h"

/* prob_pick: q (B, Lq, H, d), k (B, Lk, H, d), lengths or none -> i32 (B, H, u) */

struct pick {
    int64_t samples, queries; /* U, u */
};

static enum sqa_status pick_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct pick *a = n->attr;
    const struct sqa_tensor *q = n->in[0], *k = n->in[1];
    char one[96], two[96];
    if (q->rank != 4 || k->rank != 4 || !sqa_is_real(q) || q->dtype != k->dtype || q->dim[0] != k->dim[0] ||
        q->dim[2] != k->dim[2] || q->dim[3] != k->dim[3])
        return sqa_shape_fail(n, err, "q %s and k %s; give (B, L, H, d) of the same B, H and d",
                              sqa_shape_text(q, one), sqa_shape_text(k, two));
    sqa_set_output(n, 0, SQA_I32, 3, (const int64_t[]){q->dim[0], q->dim[2], a->queries});
    return SQA_OK;
}

struct pick_job {
    const struct sqa_node *n;
    uint64_t key;
    double *measure;  /* (B, H, Lq) */
    uint32_t *sample; /* (threads, U) */
};

/* Partial sums in a fixed order that vector units can follow. */
#define DEFINE(T, name)                                                                                         \
    static double name(const T *a, const T *b, int64_t d)                                                       \
    {                                                                                                           \
        T part[8] = {0};                                                                                        \
        int64_t i = 0;                                                                                          \
        for (; i + 8 <= d; i += 8)                                                                              \
            for (int j = 0; j < 8; j++)                                                                         \
                part[j] += a[i + j] * b[i + j];                                                                 \
        for (; i < d; i++)                                                                                      \
            part[0] += a[i] * b[i];                                                                             \
        return (double)((part[0] + part[4]) + (part[1] + part[5]) + (part[2] + part[6]) + (part[3] + part[7])); \
    }
DEFINE(float, dot_f32)
DEFINE(double, dot_f64)
#undef DEFINE

/* M of one query of one head: its sampled scores' largest minus their sum by Lk. */
static double measure_one(const struct pick_job *j, int64_t pair, int64_t t, int64_t keys, const uint32_t *sample)
{
    const struct pick *a = j->n->attr;
    const struct sqa_tensor *q = j->n->in[0], *k = j->n->in[1];
    const size_t size = sqa_dtype_size(q->dtype);
    const void *row = sqa_head_row(q, pair, t, size);
    double most = -HUGE_VAL, sum = 0;
    for (int64_t s = 0; s < a->samples; s++) {
        const int64_t at = (int64_t)((uint64_t)sample[s] * (uint64_t)keys >> 32);
        const void *other = sqa_head_row(k, pair, at, size);
        const double x = q->dtype == SQA_F64 ? dot_f64(row, other, q->dim[3]) : dot_f32(row, other, q->dim[3]);
        most = x > most ? x : most;
        sum += x;
    }
    return most - sum / (double)keys;
}

static void measure(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct pick_job *j = ctx;
    const struct pick *a = j->n->attr;
    const struct sqa_tensor *q = j->n->in[0];
    const int64_t pairs = q->dim[0] * q->dim[2], length = q->dim[1], keys = j->n->in[1]->dim[1];
    uint32_t *sample = j->sample + thread * a->samples;
    for (int64_t t = first; t < first + count; t++) {
        for (int64_t s = 0; s < a->samples; s++)
            sample[s] = (uint32_t)(sqa_random_u64(j->key, (uint64_t)(t * a->samples + s)) >> 32);
        for (int64_t pair = 0; pair < pairs; pair++) {
            const int64_t valid = sqa_length_at(j->n->in[2], pair / q->dim[2], keys);
            j->measure[pair * length + t] =
                t < valid || keys != length ? measure_one(j, pair, t, sqa_max64(1, valid), sample) : -HUGE_VAL;
        }
    }
}

/* The u largest, the first of equals; then in ascending order of place. */
static void choose(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct pick_job *j = ctx;
    const struct pick *a = j->n->attr;
    const int64_t length = j->n->in[0]->dim[1];
    (void)thread;
    for (int64_t pair = first; pair < first + count; pair++) {
        int32_t *best = (int32_t *)sqa_data(j->n->out[0]) + pair * a->queries;
        const double *m = j->measure + pair * length;
        int64_t n = 0;
        for (int64_t t = 0; t < length; t++) {
            if (n == a->queries && !(m[t] > m[best[n - 1]]))
                continue;
            n += n < a->queries;
            int64_t at = n - 1;
            for (; at > 0 && m[t] > m[best[at - 1]]; at--)
                best[at] = best[at - 1];
            best[at] = (int32_t)t;
        }
        for (int64_t i = 1; i < n; i++) {
            const int32_t t = best[i];
            int64_t at = i;
            for (; at > 0 && best[at - 1] > t; at--)
                best[at] = best[at - 1];
            best[at] = t;
        }
    }
}

static void pick_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *q = n->in[0];
    const struct pick *a = n->attr;
    const int64_t pairs = q->dim[0] * q->dim[2];
    size_t at = 0;
    struct pick_job j = {.n = n, .key = sqa_random_mix(sqa_random_mix(r->seed, r->step), n->path_hash)};
    j.measure = (double *)(void *)sqa_take(r->workspace, &at, (size_t)(pairs * q->dim[1]) * sizeof(double));
    j.sample = (uint32_t *)(void *)sqa_take(r->workspace, &at, (size_t)(r->threads * a->samples) * sizeof(uint32_t));
    const double work = (double)(pairs * q->dim[1] * a->samples * q->dim[3]);
    sqa_chunks(r, q->dim[1], sqa_max64(1, SQA_CHUNK / sqa_max64(1, pairs * a->samples * q->dim[3])), work, measure,
               &j);
    sqa_chunks(r, pairs, sqa_max64(1, SQA_CHUNK / sqa_max64(1, q->dim[1])), (double)(pairs * q->dim[1]), choose, &j);
}

static size_t pick_workspace(const struct sqa_node *n, int threads)
{
    const struct sqa_tensor *q = n->in[0];
    const struct pick *a = n->attr;
    return sqa_align64((size_t)(q->dim[0] * q->dim[2] * q->dim[1]) * sizeof(double)) +
           sqa_align64((size_t)(threads * a->samples) * sizeof(uint32_t));
}

static double pick_flops(const struct sqa_node *n)
{
    const struct sqa_tensor *q = n->in[0];
    const struct pick *a = n->attr;
    return (double)(q->dim[0] * q->dim[1] * q->dim[2] * a->samples) * (2 * (double)q->dim[3] + 2);
}

/* A choice has no derivative; nothing that is differentiated reads it. */
static void no_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    (void)g;
    (void)dy;
    for (int i = 0; i < n->nin; i++)
        dx[i] = NULL;
}

static const struct sqa_op prob_pick = {.name = "prob_pick",
                                        .help = "the queries with the largest M = max - sum / Lk of sampled scores",
                                        .shape = pick_shape,
                                        .run = pick_run,
                                        .grad = no_grad,
                                        .flops = pick_flops,
                                        .workspace = pick_workspace};

/* Rows of heads: index i32 (B, H, u), ascending. gather_rows: x (B, L, H, d) -> (B, u, H, d). place_rows: base
 * (B, L, H, d), or none for zeros, with rows (B, u, H, d), or none for zeros, in the places of index. */

struct rows {
    int64_t length;
};
enum { INDEX, BASE, ROWS };

static struct sqa_tensor *gather(struct sqa_graph *g, struct sqa_tensor *index, struct sqa_tensor *x);
static struct sqa_tensor *place(struct sqa_graph *g, struct sqa_tensor *index, struct sqa_tensor *base,
                                struct sqa_tensor *rows, int64_t length);

static enum sqa_status gather_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[1];
    (void)err;
    sqa_set_output(n, 0, x->dtype, 4, (const int64_t[]){x->dim[0], n->in[INDEX]->dim[2], x->dim[2], x->dim[3]});
    return SQA_OK;
}

static enum sqa_status place_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct rows *a = n->attr;
    const struct sqa_tensor *x = n->in[BASE] ? n->in[BASE] : n->in[ROWS];
    (void)err;
    sqa_set_output(n, 0, x->dtype, 4, (const int64_t[]){x->dim[0], a->length, x->dim[2], x->dim[3]});
    return SQA_OK;
}

static void gather_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ctx;
    const struct sqa_tensor *x = n->in[1];
    const size_t size = sqa_dtype_size(x->dtype), row = (size_t)x->dim[3] * size;
    const int64_t u = n->in[INDEX]->dim[2];
    (void)thread;
    for (int64_t i = first * u; i < (first + count) * u; i++)
        memcpy(sqa_head_row(n->out[0], i / u, i % u, size),
               sqa_head_row(x, i / u, ((const int32_t *)sqa_data(n->in[INDEX]))[i], size), row);
}

static void place_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ctx;
    const struct sqa_tensor *y = n->out[0], *base = n->in[BASE], *rows = n->in[ROWS];
    const size_t size = sqa_dtype_size(y->dtype), row = (size_t)y->dim[3] * size;
    const int64_t u = n->in[INDEX]->dim[2];
    (void)thread;
    for (int64_t pair = first; pair < first + count; pair++) {
        const int32_t *index = (const int32_t *)sqa_data(n->in[INDEX]) + pair * u;
        int64_t next = 0;
        for (int64_t t = 0; t < y->dim[1]; t++) {
            const bool chosen = next < u && index[next] == t;
            const struct sqa_tensor *from = chosen ? rows : base;
            void *to = sqa_head_row(y, pair, t, size);
            if (from)
                memcpy(to, sqa_head_row(from, pair, chosen ? next : t, size), row);
            else
                memset(to, 0, row);
            next += chosen;
        }
    }
}

static void rows_run(const struct sqa_node *n, const struct sqa_run *r, sqa_chunk_fn *f)
{
    const struct sqa_tensor *y = n->out[0];
    sqa_chunks(r, y->dim[0] * y->dim[2], sqa_max64(1, SQA_CHUNK / sqa_max64(1, y->dim[1] * y->dim[3])),
               (double)sqa_numel(y), f, (void *)(uintptr_t)n);
}

static void gather_run(const struct sqa_node *n, const struct sqa_run *r)
{
    rows_run(n, r, gather_pairs);
}

static void place_run(const struct sqa_node *n, const struct sqa_run *r)
{
    rows_run(n, r, place_pairs);
}

static double copied_bytes(const struct sqa_node *n)
{
    return 2 * (double)sqa_numel(n->out[0]) * (double)sqa_dtype_size(n->out[0]->dtype) +
           4 * (double)sqa_numel(n->in[INDEX]);
}

static void gather_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    dx[1] = dy[0] ? place(g, n->in[INDEX], NULL, dy[0], n->in[1]->dim[1]) : NULL;
}

static void place_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct rows *a = n->attr;
    if (n->in[BASE])
        dx[BASE] = place(g, n->in[INDEX], dy[0], NULL, a->length);
    if (n->nin > ROWS && n->in[ROWS])
        dx[ROWS] = gather(g, n->in[INDEX], dy[0]);
}

static const struct sqa_op gather_rows = {.name = "gather_rows",
                                          .help = "y[b, i, h] = x[b, index[b, h, i], h]",
                                          .shape = gather_shape,
                                          .run = gather_run,
                                          .grad = gather_grad,
                                          .bytes = copied_bytes};
static const struct sqa_op place_rows = {.name = "place_rows",
                                         .help = "base with rows[b, i, h] in place of row index[b, h, i]",
                                         .shape = place_shape,
                                         .run = place_run,
                                         .grad = place_grad,
                                         .bytes = copied_bytes};

static struct sqa_tensor *gather(struct sqa_graph *g, struct sqa_tensor *index, struct sqa_tensor *x)
{
    struct sqa_tensor *in[] = {index, x};
    return index && x ? sqa_apply(g, &gather_rows, NULL, 0, 2, in) : NULL;
}

static struct sqa_tensor *place(struct sqa_graph *g, struct sqa_tensor *index, struct sqa_tensor *base,
                                struct sqa_tensor *rows, int64_t length)
{
    const struct rows a = {length};
    struct sqa_tensor *in[] = {index, base, rows};
    return index && (base || rows) ? sqa_apply(g, &place_rows, &a, sizeof a, 3, in) : NULL;
}

/* not_after: index i32 (B, H, u) -> (B, H, u, length): 0 for keys j <= index, -infinity for later ones */

struct mask {
    int64_t length;
    enum sqa_dtype real;
};

static enum sqa_status mask_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct mask *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    (void)err;
    sqa_set_output(n, 0, a->real, 4, (const int64_t[]){x->dim[0], x->dim[1], x->dim[2], a->length});
    return SQA_OK;
}

static void mask_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ctx;
    const struct mask *a = n->attr;
    const int32_t *index = sqa_data(n->in[0]);
    (void)thread;
    for (int64_t i = first; i < first + count; i++)
        for (int64_t k = 0; k < a->length; k++)
            sqa_real_set(a->real, sqa_at(sqa_data(n->out[0]), i * a->length + k, sqa_dtype_size(a->real)),
                         k <= index[i] ? 0 : -HUGE_VAL);
}

static void mask_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct mask *a = n->attr;
    sqa_chunks(r, sqa_numel(n->in[0]), sqa_max64(1, SQA_CHUNK / sqa_max64(1, a->length)),
               (double)sqa_numel(n->out[0]), mask_rows, (void *)(uintptr_t)n);
}

static const struct sqa_op not_after = {.name = "not_after",
                                        .help = "0 for keys j <= index, else -infinity",
                                        .shape = mask_shape,
                                        .run = mask_run,
                                        .grad = no_grad};

int64_t sqa_prob_attention_count(int64_t factor, int64_t length)
{
    const int64_t n = factor * (int64_t)ceil(log((double)length));
    return n < 1 ? 1 : n < length ? n : length;
}

/* What queries get that are not chosen. */
static struct sqa_tensor *fallback(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *v,
                                   struct sqa_tensor *lengths, bool causal)
{
    const int64_t *d = v->dim;
    if (causal)
        return sqa_cumsum(g, v, 1);
    struct sqa_tensor *mean = sqa_mean_rows(g, sqa_reshape(g, v, SQA_DIMS(d[0], d[1], d[2] * d[3])), lengths);
    mean = sqa_reshape(g, mean, SQA_DIMS(d[0], 1, d[2], d[3]));
    return sqa_dense(g, sqa_broadcast(g, mean, SQA_DIMS(d[0], q->dim[1], d[2], d[3])));
}

struct sqa_tensor *sqa_prob_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                      struct sqa_tensor *v, struct sqa_tensor *lengths,
                                      struct sqa_prob_attention_spec spec)
{
    if (!q || !k || !v)
        return NULL;
    const struct pick a = {sqa_prob_attention_count(spec.factor, k->dim[1]),
                           sqa_prob_attention_count(spec.factor, q->dim[1])};
    const struct mask m = {k->dim[1], q->dtype};
    struct sqa_tensor *in[] = {q, k, lengths};
    struct sqa_tensor *index = sqa_apply(g, &prob_pick, &a, sizeof a, 3, in);
    struct sqa_attention_masks masks = {.lengths = lengths};
    if (spec.causal && index)
        masks.bias = sqa_apply(g, &not_after, &m, sizeof m, 1, &index);
    struct sqa_tensor *o =
        sqa_attention_masked(g, gather(g, index, q), k, v, masks,
                             (struct sqa_attention_spec){.scale = spec.scale, .dropout = spec.dropout});
    return place(g, index, fallback(g, q, v, lengths, spec.causal), o, q->dim[1]);
}

double sqa_prob_attention_flops(const struct sqa_prob_attention_spec *spec, int64_t batch, int64_t heads,
                                int64_t length, int64_t d)
{
    const double n = (double)sqa_prob_attention_count(spec->factor, length), l = (double)length, w = (double)d;
    return (double)(batch * heads) *
           (l * n * (2 * w + 2) + n * l * (4 * w + 5 + (spec->causal ? 1 : 0)) + (spec->causal ? l : l + 2) * w);
}
