/*
 * lsh_attention.c - see lsh_attention.h
 *
 * A chunk's rows are gathered, its masks become a bias of 0, -log N and -inf, and the attention kernel does the rest;
 * outputs of rounds are joined by their log sum exp. The backward pass gathers the same chunks with the joined o and
 * lse, which is all that the kernel's gradient needs. A (batch, head) is the unit of parallel work.
 */
#include "models/lsh_attention.h"

#include <math.h>

#include "base/random.h"
#include "engine/ops/support.h"

enum { Q, K, V, ROTATIONS, LENGTHS, O, LSE, SORTED, DOUT, FORWARD_INPUTS = O, BACKWARD_INPUTS = DOUT + 1 };
/* Tables of SORTED, (B, H, TABLES, rounds, L). RUN: first a position's bucket; once sorted, a number that is 1 more
 * than the last one where a new chunk goes on with a bucket, and 2 more where a bucket begins. So a query sees the
 * keys that have its own number, or 1 less. */
enum { ORDER, CHUNK, RUN, TABLES };
enum { TILE = 64, MOST_ROUNDS = 64 }; /* TILE: rows hashed together */

struct attr {
    struct sqa_lsh_attention_spec spec;
    bool dropped;  /* dropout is active */
    uint64_t path; /* of the forward node, in its gradient */
};

/* Part of the workspace that belongs to a thread. */
struct place {
    unsigned char *q, *k, *v, *o, *lse, *bias, *dout, *dq, *dk, *dv, *hashed, *kernel;
    int32_t *count, *keys; /* keys: tables of a chunk's keys */
};

struct job {
    const struct sqa_node *n;
    const struct attr *a;
    const struct sqa_kernels *kernels;
    const struct sqa_tensor *o, *lse, *sorted;
    uint64_t key;
    unsigned char *workspace;
    size_t per_thread;
    int64_t length, heads, d;
    bool backward;
};

static int64_t chunk_rows(const struct sqa_node *n)
{
    const struct attr *a = n->attr;

    return sqa_max64(1, sqa_min64(a->spec.chunk, n->in[Q]->dim[1]));
}

/* Keys that a chunk sees at most. */
static int64_t chunk_keys(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const int64_t rows = chunk_rows(n);

    return a->spec.circular || rows < n->in[Q]->dim[1] ? 2 * rows : rows;
}

/* Returns the bytes of all parts. */
static size_t lay_out(const struct sqa_node *n, unsigned char *base, struct place *p)
{
    const struct attr *a = n->attr;
    const struct sqa_kernels *k = sqa_node_kernels(n);
    const int64_t rows = chunk_rows(n), keys = chunk_keys(n), d = n->in[Q]->dim[3];
    const size_t row_bytes = (size_t)(rows * d) * k->size, key_bytes = (size_t)(keys * d) * k->size;
    const bool backward = n->nin > FORWARD_INPUTS;
    size_t at = 0;

    p->q = sqa_take(base, &at, row_bytes);
    p->k = sqa_take(base, &at, key_bytes);
    p->v = sqa_take(base, &at, key_bytes);
    p->o = sqa_take(base, &at, row_bytes);
    p->lse = sqa_take(base, &at, (size_t)rows * k->size);
    p->bias = sqa_take(base, &at, a->spec.masked ? (size_t)(rows * keys) * k->size : 0);
    p->dout = sqa_take(base, &at, backward ? row_bytes : 0);
    p->dq = sqa_take(base, &at, backward ? row_bytes : 0);
    p->dk = sqa_take(base, &at, backward ? key_bytes : 0);
    p->dv = sqa_take(base, &at, backward ? key_bytes : 0);
    p->hashed = sqa_take(base, &at, backward ? 0 : (size_t)(TILE * n->in[ROTATIONS]->dim[1]) * k->size);
    p->count = (int32_t *)(void *)sqa_take(base, &at, (size_t)(a->spec.buckets + 1) * sizeof(int32_t));
    p->keys = (int32_t *)(void *)sqa_take(base, &at, (size_t)((a->spec.rounds + 2) * keys) * sizeof(int32_t));
    p->kernel = sqa_take(base, &at, k->attention_workspace(d, d));
    return at;
}

static size_t thread_workspace(const struct sqa_node *n)
{
    struct place p;

    return lay_out(n, NULL, &p);
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * thread_workspace(n);
}

static struct job job_of(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const bool backward = n->nin > FORWARD_INPUTS;
    const uint64_t step = sqa_random_mix(r->seed, r->step);

    return (struct job){.n = n,
                        .a = a,
                        .kernels = sqa_node_kernels(n),
                        .o = backward ? n->in[O] : n->out[0],
                        .lse = backward ? n->in[LSE] : n->out[1],
                        .sorted = backward ? n->in[SORTED] : n->out[2],
                        .key = sqa_random_mix(step, a->path != 0 ? a->path : n->path_hash),
                        .workspace = r->workspace,
                        .per_thread = thread_workspace(n),
                        .length = n->in[Q]->dim[1],
                        .heads = n->in[Q]->dim[2],
                        .d = n->in[Q]->dim[3],
                        .backward = backward};
}

static struct place place_of(const struct job *j, int thread)
{
    struct place p;

    (void)lay_out(j->n, j->workspace + (size_t)thread * j->per_thread, &p);
    return p;
}

/* Row t of a pair in (B, L, H, d), its log sum exp, and a table of a round. */
static void *row_at(const struct job *j, const struct sqa_tensor *x, int64_t pair, int64_t t)
{
    return sqa_head_row(x, pair, t, j->kernels->size);
}

static void *lse_at(const struct job *j, int64_t pair, int64_t t)
{
    return sqa_at(sqa_data(j->lse), pair * j->length + t, j->kernels->size);
}

static int32_t *table_at(const struct job *j, int64_t pair, int table, int64_t round)
{
    return (int32_t *)sqa_data(j->sorted) + ((pair * TABLES + table) * j->a->spec.rounds + round) * j->length;
}

static int64_t valid_rows(const struct job *j, int64_t pair)
{
    return sqa_length_at(j->n->in[LENGTHS], pair / j->heads, j->length);
}

/* Sorting */

/* Buckets of TILE rows side by side: x (half, TILE); the place of the largest of x and then -x, the first of equals.
 */
#define DEFINE(T, name)                                                       \
    static void name(const T *x, int64_t half, int64_t rows, int32_t *bucket) \
    {                                                                         \
        T top[TILE];                                                          \
        int32_t best[TILE] = {0};                                             \
                                                                              \
        memcpy(top, x, sizeof top);                                           \
        for (int32_t i = 1; i < half; i++)                                    \
            _Pragma("omp simd") for (int64_t l = 0; l < TILE; l++)            \
            {                                                                 \
                const T v = x[i * TILE + l];                                  \
                                                                              \
                best[l] = v > top[l] ? i : best[l];                           \
                top[l] = v > top[l] ? v : top[l];                             \
            }                                                                 \
        for (int32_t i = 0; i < half; i++)                                    \
            _Pragma("omp simd") for (int64_t l = 0; l < TILE; l++)            \
            {                                                                 \
                const T v = -x[i * TILE + l];                                 \
                                                                              \
                best[l] = v > top[l] ? (int32_t)half + i : best[l];           \
                top[l] = v > top[l] ? v : top[l];                             \
            }                                                                 \
        memcpy(bucket, best, (size_t)rows * sizeof *bucket);                  \
    }
DEFINE(float, buckets_f32)
DEFINE(double, buckets_f64)
#undef DEFINE

static void hash_rows(const struct job *j, int64_t pair, int64_t valid, const struct place *p)
{
    const struct sqa_tensor *q = j->n->in[Q];
    const struct sqa_kernels *k = sqa_kernels_of(q->dtype);
    const int64_t half = j->a->spec.buckets / 2, columns = j->n->in[ROTATIONS]->dim[1];

    memset(p->hashed, 0, (size_t)(TILE * columns) * k->size);
    for (int64_t t = 0; t < valid; t += TILE) {
        const int64_t rows = sqa_min64(TILE, valid - t);

        k->gemm(1, 1, columns, rows, j->d, 1, sqa_data(j->n->in[ROTATIONS]), columns, row_at(j, q, pair, t),
                q->stride[1], 0, p->hashed, TILE);
        for (int64_t r = 0; r < j->a->spec.rounds; r++) {
            const void *x = sqa_at(p->hashed, r * half * TILE, k->size);
            int32_t *bucket = table_at(j, pair, RUN, r) + t;

            if (q->dtype == SQA_F64)
                buckets_f64(x, half, rows, bucket);
            else
                buckets_f32(x, half, rows, bucket);
        }
    }
}

/* Order by (bucket, position), and numbers of chunks and runs. */
static void sort_round(const struct job *j, int64_t pair, int64_t round, int64_t valid, int32_t *count)
{
    const struct sqa_lsh_attention_spec *s = &j->a->spec;
    int32_t *order = table_at(j, pair, ORDER, round), *chunk = table_at(j, pair, CHUNK, round);
    int32_t *bucket = table_at(j, pair, RUN, round), number = -1, run = 0, last = -1;

    memset(count, 0, (size_t)(s->buckets + 1) * sizeof *count);
    for (int64_t t = 0; t < valid; t++)
        count[bucket[t] + 1]++;
    for (int64_t b = 0; b < s->buckets; b++)
        count[b + 1] += count[b];
    for (int64_t t = 0; t < valid; t++)
        order[count[bucket[t]]++] = (int32_t)t;
    for (int64_t i = 0, in_chunk = 0; i < valid; i++, in_chunk++) {
        const bool other = bucket[order[i]] != last;

        last = bucket[order[i]];
        if (i == 0 || in_chunk == s->chunk || (s->causal && other)) {
            number++;
            run++;
            in_chunk = 0;
        }
        run += other ? 2 : 0;
        chunk[order[i]] = number;
        bucket[order[i]] = run;
    }
}

/* Masks */

/* Rows that are sorted one after the other. */
struct run {
    const int32_t *token;
    int64_t count;
};

/* What says in a round which keys a query sees: those of its number, or of 1 less. */
static const int32_t *numbers(const struct job *j, int64_t pair, int64_t round)
{
    return table_at(j, pair, j->a->spec.same_bucket ? RUN : CHUNK, round);
}

/* The keys of a chunk, and their numbers in every round. */
static void copy_tables(const struct job *j, int64_t pair, const struct run *keys, const struct place *p)
{
    int32_t *to = p->keys;

    for (int64_t r = -1; r < j->a->spec.rounds; r++) {
        const int32_t *number = r >= 0 ? numbers(j, pair, r) : NULL;

        for (int part = 0; part < 2; part++)
            for (int64_t c = 0; c < keys[part].count; c++)
                *to++ = number != NULL ? number[keys[part].token[c]] : keys[part].token[c];
    }
}

static inline int32_t near(int32_t query, int32_t key)
{
    return ((query - key) & ~1) == 0;
}

/* seen[c]: rounds in which the query sees key c of n; 0 where it does not in this one. */
static void count_rounds(const struct job *j, int64_t pair, int64_t round, int32_t query, int64_t n,
                         const int32_t *keys, int32_t *seen)
{
    const int32_t *token = keys, *key = keys + (1 + round) * n;
    int32_t at = numbers(j, pair, round)[query];

    if (j->a->spec.causal)
#pragma omp simd
        for (int64_t c = 0; c < n; c++)
            seen[c] = near(at, key[c]) & (token[c] < query);
    else
#pragma omp simd
        for (int64_t c = 0; c < n; c++)
            seen[c] = near(at, key[c]) & (token[c] != query);
    for (int64_t r = 0; r < j->a->spec.rounds; r++) {
        if (r == round)
            continue;
        at = numbers(j, pair, r)[query];
        key = keys + (1 + r) * n;
#pragma omp simd
        for (int64_t c = 0; c < n; c++)
            seen[c] += (seen[c] != 0) & near(at, key[c]);
    }
}

/* The bias of a query: -log of the rounds. */
#define DEFINE(T, name)                                                                                   \
    static void name(const int32_t *seen, int64_t n, int64_t rounds, const double *logs, T *bias)         \
    {                                                                                                     \
        _Pragma("omp simd") for (int64_t c = 0; c < n; c++) bias[c] = -(T)INFINITY;                       \
        for (int32_t r = 1; r <= rounds; r++) {                                                           \
            const T value = (T)-logs[r];                                                                  \
                                                                                                          \
            _Pragma("omp simd") for (int64_t c = 0; c < n; c++) bias[c] = seen[c] == r ? value : bias[c]; \
        }                                                                                                 \
    }
DEFINE(float, bias_f32)
DEFINE(double, bias_f64)
#undef DEFINE

static void masks(const struct job *j, int64_t pair, int64_t round, struct run rows, const struct run *keys,
                  const struct place *p)
{
    const int64_t n = keys[0].count + keys[1].count, rounds = j->a->spec.rounds;
    int32_t *seen = p->keys + (rounds + 1) * n;
    double logs[MOST_ROUNDS + 1] = {0};

    for (int64_t i = 1; i <= rounds; i++)
        logs[i] = log((double)i);
    copy_tables(j, pair, keys, p);
    for (int64_t i = 0; i < rows.count; i++) {
        void *bias = sqa_at(p->bias, i * n, j->kernels->size);

        count_rounds(j, pair, round, rows.token[i], n, p->keys, seen);
        if (j->o->dtype == SQA_F64)
            bias_f64(seen, n, rounds, logs, bias);
        else
            bias_f32(seen, n, rounds, logs, bias);
    }
}

/* Chunks */

static void gather(const struct job *j, const struct sqa_tensor *x, int64_t pair, struct run rows, unsigned char *to)
{
    const size_t bytes = (size_t)j->d * j->kernels->size;

    for (int64_t i = 0; i < rows.count; i++)
        memcpy(to + (size_t)i * bytes, row_at(j, x, pair, rows.token[i]), bytes);
}

static void scatter_add(const struct job *j, const unsigned char *from, struct run rows, const struct sqa_tensor *x,
                        int64_t pair)
{
    const size_t bytes = (size_t)j->d * j->kernels->size;

    for (int64_t i = 0; i < rows.count; i++)
        j->kernels->axpy(1, from + (size_t)i * bytes, row_at(j, x, pair, rows.token[i]), (size_t)j->d);
}

/* Adds a round's outputs to what the rounds before gave. */
static void join(const struct job *j, int64_t pair, struct run rows, const struct place *p)
{
    const enum sqa_dtype t = j->o->dtype;
    const size_t d = (size_t)j->d;

    for (int64_t i = 0; i < rows.count; i++) {
        const double z = sqa_real_get(t, sqa_at(p->lse, i, j->kernels->size));
        const double before = sqa_real_get(t, lse_at(j, pair, rows.token[i]));
        const void *from = sqa_at(p->o, i * j->d, j->kernels->size);
        void *o = row_at(j, j->o, pair, rows.token[i]);

        if (z == (double)INFINITY) /* no key */
            continue;
        if (before == -(double)INFINITY) {
            memcpy(o, from, d * j->kernels->size);
            sqa_real_set(t, lse_at(j, pair, rows.token[i]), z);
            continue;
        }
        const double less = exp(-fabs(z - before)), most = 1 / (1 + less), least = less / (1 + less);
        j->kernels->affine(before > z ? most : least, o, 0, o, d);
        j->kernels->axpy(before > z ? least : most, from, o, d);
        sqa_real_set(t, lse_at(j, pair, rows.token[i]), fmax(z, before) + log1p(less));
    }
}

static void backward_chunk(const struct job *j, int64_t pair, const struct sqa_attention *f, struct run rows,
                           const struct run *keys, const struct place *p)
{
    const size_t first = (size_t)(keys[0].count * j->d) * j->kernels->size;
    struct sqa_attention_bwd b = {.f = *f,
                                  .dout = p->dout,
                                  .dq = p->dq,
                                  .dk = p->dk,
                                  .dv = p->dv,
                                  .do_stride = j->d,
                                  .dq_stride = j->d,
                                  .dk_stride = j->d,
                                  .dv_stride = j->d};

    gather(j, j->n->in[DOUT], pair, rows, p->dout);
    gather(j, j->o, pair, rows, p->o);
    for (int64_t i = 0; i < rows.count; i++)
        memcpy(sqa_at(p->lse, i, j->kernels->size), lse_at(j, pair, rows.token[i]), j->kernels->size);
    j->kernels->attention_bwd(&b, p->kernel);
    scatter_add(j, p->dq, rows, j->n->out[0], pair);
    for (int part = 0; part < 2; part++) {
        scatter_add(j, p->dk + (part ? first : 0), keys[part], j->n->out[1], pair);
        scatter_add(j, p->dv + (part ? first : 0), keys[part], j->n->out[2], pair);
    }
}

/* The queries of one chunk with its keys and those of the chunk before (count 0: none). number: of the chunk. */
static void attend(const struct job *j, int64_t pair, int64_t round, int64_t number, struct run rows,
                   struct run before, const struct place *p)
{
    const struct sqa_lsh_attention_spec *s = &j->a->spec;
    const struct run keys[2] = {before, rows};
    const size_t first = (size_t)(before.count * j->d) * j->kernels->size;
    struct sqa_attention f = {
        .queries = rows.count,
        .keys = before.count + rows.count,
        .d = j->d,
        .dv = j->d,
        .scale = s->scale,
        .keep = j->a->dropped ? 1 - s->dropout : 1,
        .dropout_key = sqa_random_mix(sqa_random_mix(j->key, (uint64_t)pair), (uint64_t)(round * j->length + number)),
        .q = p->q,
        .k = p->k,
        .v = p->v,
        .o = p->o,
        .lse = p->lse,
        .q_stride = j->d,
        .k_stride = j->d,
        .v_stride = j->d,
        .o_stride = j->d,
        .bias = s->masked ? p->bias : NULL,
        .bias_stride = before.count + rows.count,
    };

    gather(j, j->n->in[Q], pair, rows, p->q);
    for (int part = 0; part < 2; part++) {
        gather(j, j->n->in[K], pair, keys[part], p->k + (part ? first : 0));
        gather(j, j->n->in[V], pair, keys[part], p->v + (part ? first : 0));
    }
    if (s->masked)
        masks(j, pair, round, rows, keys, p);
    if (j->backward) {
        backward_chunk(j, pair, &f, rows, keys, p);
        return;
    }
    j->kernels->attention(&f, p->kernel);
    join(j, pair, rows, p);
}

/* Calls attend() for every chunk of a pair. */
static void walk(const struct job *j, int64_t pair, int64_t valid, const struct place *p)
{
    const struct sqa_lsh_attention_spec *s = &j->a->spec;
    struct run before = {NULL, 0};

    if (s->circular && valid > 0) {
        const int64_t last = (valid - 1) / s->chunk * s->chunk;

        before = (struct run){table_at(j, pair, ORDER, s->rounds - 1) + last, valid - last};
    }
    for (int64_t r = 0; r < s->rounds; r++) {
        const int32_t *order = table_at(j, pair, ORDER, r), *number = table_at(j, pair, CHUNK, r);
        const int32_t *run = table_at(j, pair, RUN, r);

        before.count = s->circular ? before.count : 0;
        for (int64_t i = 0; i < valid;) {
            struct run rows = {order + i, 0}, none = {NULL, 0};

            for (; i < valid && number[order[i]] == number[*rows.token]; i++)
                rows.count++;
            if (before.count > 0 && s->same_bucket && !near(run[*rows.token], run[before.token[before.count - 1]]))
                attend(j, pair, r, number[*rows.token], rows, none, p);
            else
                attend(j, pair, r, number[*rows.token], rows, before, p);
            before = rows;
        }
    }
}

/* Forward */

static void forward_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct place p = place_of(j, thread);
    const size_t bytes = (size_t)j->d * j->kernels->size;

    for (int64_t pair = first; pair < first + count; pair++) {
        const int64_t valid = valid_rows(j, pair);

        memset(table_at(j, pair, 0, 0), 0, (size_t)(TABLES * j->a->spec.rounds * j->length) * sizeof(int32_t));
        for (int64_t t = 0; t < j->length; t++) {
            memset(row_at(j, j->o, pair, t), 0, bytes);
            sqa_real_set(j->o->dtype, lse_at(j, pair, t), -(double)INFINITY);
        }
        hash_rows(j, pair, valid, &p);
        for (int64_t r = 0; r < j->a->spec.rounds; r++)
            sort_round(j, pair, r, valid, p.count);
        walk(j, pair, valid, &p);
        for (int64_t t = 0; t < j->length; t++) {
            if (sqa_real_get(j->o->dtype, lse_at(j, pair, t)) != -(double)INFINITY)
                continue;
            sqa_real_set(j->o->dtype, lse_at(j, pair, t), (double)INFINITY);
            if (t < valid)
                memcpy(row_at(j, j->o, pair, t), row_at(j, j->n->in[V], pair, t), bytes);
        }
    }
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_lsh_attention_spec *s = &a->spec;
    const struct sqa_tensor *q = n->in[Q], *rotations = n->in[ROTATIONS];
    char one[96], two[96], three[96];

    if (!sqa_is_real(q) || q->rank != 4 || !sqa_same_shape(q, n->in[K]) || !sqa_same_shape(q, n->in[V]))
        return sqa_shape_fail(n, err, "q %s, k %s, v %s; give (B, L, H, d) three times", sqa_shape_text(q, one),
                              sqa_shape_text(n->in[K], two), sqa_shape_text(n->in[V], three));
    if (s->rounds < 1 || s->rounds > MOST_ROUNDS || s->buckets < 2 || s->buckets % 2 != 0 || s->chunk < 1)
        return sqa_shape_fail(n, err, "%lld rounds, %lld buckets, chunks of %lld; give 1 to 64, even, at least 1",
                              (long long)s->rounds, (long long)s->buckets, (long long)s->chunk);
    if (rotations->rank != 2 || rotations->dim[0] != q->dim[3] || rotations->dim[1] != s->rounds * s->buckets / 2)
        return sqa_shape_fail(n, err, "rotations %s, q %s; give (d, rounds x buckets / 2)",
                              sqa_shape_text(rotations, one), sqa_shape_text(q, two));
    if (s->causal && (!s->same_bucket || !s->masked))
        return sqa_shape_fail(n, err, "the causal form keeps to buckets; set masked and same_bucket");
    sqa_set_output(n, 0, q->dtype, 4, q->dim);
    sqa_set_output(n, 1, q->dtype, 3, (const int64_t[]){q->dim[0], q->dim[2], q->dim[1]});
    sqa_set_output(n, 2, SQA_I32, 5, (const int64_t[]){q->dim[0], q->dim[2], TABLES, s->rounds, q->dim[1]});
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, q->dim[0], err);
}

/* Pairs of a head. */
static double pair_count(int64_t length, const struct sqa_lsh_attention_spec *s)
{
    double sum = 0;

    if (s->circular)
        return (double)s->rounds * (double)length * 2 * (double)s->chunk;
    for (int64_t i = 0; i < length; i += s->chunk) {
        const int64_t rows = sqa_min64(s->chunk, length - i);

        sum += (double)rows * (double)(rows + (i > 0 ? s->chunk : 0));
    }
    return (double)s->rounds * sum;
}

double sqa_lsh_attention_flops(double rows, int64_t length, int64_t d, const struct sqa_lsh_attention_spec *s)
{
    const double hash = (double)length * (double)(s->rounds * s->buckets) * ((double)d + 1);

    return rows * (hash + pair_count(length, s) * (4 * (double)d + 5 + s->masked));
}

static double pairs_of(const struct sqa_node *n)
{
    return (double)(n->in[Q]->dim[0] * n->in[Q]->dim[2]);
}

static double flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;

    return sqa_lsh_attention_flops(pairs_of(n), n->in[Q]->dim[1], n->in[Q]->dim[3], &a->spec);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r);

    sqa_chunks(r, n->in[Q]->dim[0] * j.heads, 1, flops(n), forward_pairs, &j);
}

/* Backward: outputs dq, dk, dv */

static void backward_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct place p = place_of(j, thread);
    const size_t bytes = (size_t)j->d * j->kernels->size;

    for (int64_t pair = first; pair < first + count; pair++) {
        const int64_t valid = valid_rows(j, pair);

        for (int64_t t = 0; t < j->length; t++)
            for (int i = 0; i < 3; i++)
                memset(row_at(j, j->n->out[i], pair, t), 0, bytes);
        walk(j, pair, valid, &p);
        for (int64_t t = 0; t < valid; t++)
            if (sqa_real_get(j->o->dtype, lse_at(j, pair, t)) == (double)INFINITY)
                j->kernels->axpy(1, row_at(j, j->n->in[DOUT], pair, t), row_at(j, j->n->out[2], pair, t),
                                 (size_t)j->d);
    }
}

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    for (int i = 0; i < 3; i++)
        sqa_set_output(n, i, n->in[i]->dtype, 4, n->in[i]->dim);
    return SQA_OK;
}

static double bwd_flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;

    return pairs_of(n) * pair_count(n->in[Q]->dim[1], &a->spec) *
           (10 * (double)n->in[Q]->dim[3] + 8 + a->spec.masked);
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r);

    sqa_chunks(r, n->in[Q]->dim[0] * j.heads, 1, bwd_flops(n), backward_pairs, &j);
}

static const struct sqa_op op_backward = {
    .name = "lsh_attention_bwd",
    .help = "gradients of q, k and v of lsh_attention",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << DOUT,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[BACKWARD_INPUTS] = {[DOUT] = sqa_dense_rows(g, dy[0])};
    struct attr a = *(const struct attr *)n->attr;
    struct sqa_tensor *t;

    if (dy[0] == NULL || dy[1] != NULL || n->in[ROTATIONS]->needs_grad) {
        (void)sqa_graph_fail(g, SQA_UNSUPPORTED,
                             "lsh_attention at %s: only o has a derivative, by q, k and v; make rotations a state",
                             n->path);
        return;
    }
    memcpy(in, n->in, FORWARD_INPUTS * sizeof *in);
    for (int i = 0; i < 3; i++)
        in[O + i] = n->out[i];
    a.path = n->path_hash;
    t = sqa_apply(g, &op_backward, &a, sizeof a, BACKWARD_INPUTS, in);
    for (int i = 0; t != NULL && i < 3; i++)
        dx[i] = t->node->out[i];
}

static const struct sqa_op op_forward = {
    .name = "lsh_attention",
    .help = "softmax attention inside chunks of the positions sorted by bucket",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V,
    .tolerance = 1e-4,
};

struct sqa_tensor *sqa_lsh_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                     struct sqa_tensor *v, struct sqa_tensor *rotations, struct sqa_tensor *lengths,
                                     struct sqa_lsh_attention_spec spec)
{
    const struct attr a = {.spec = spec, .dropped = g->training && spec.dropout > 0};
    struct sqa_tensor *in[] = {q, k, v, rotations, lengths};

    if (!sqa_ready(g, "lsh_attention", 4, in))
        return NULL;
    for (int i = Q; i <= V; i++)
        in[i] = sqa_dense_rows(g, in[i]);
    return sqa_apply(g, &op_forward, &a, sizeof a, FORWARD_INPUTS, in);
}
