/*
 * attention_merge.c - one softmax over several disjoint sets of keys, from the attention to each set
 *
 * With lse_k the log sum exp of the scores of set k and o_k its output: w = softmax(lse), o = sum_k w_k o_k, and,
 * when asked for, the log sum exp of all. Gradient: do_k = w_k do; dlse_k = w_k (do . o_k - do . o + dlse).
 */
#include <math.h>

#include "engine/ops/support.h"

enum { PARTS = 4, TILE = 64, LOWEST = -10000 }; /* exp(LOWEST) is 0 */

struct attr {
    int parts;
    bool lse; /* is an output */
};

/* Inputs: o_0 .., lse_0 .., and of the gradient do, dlse (or NULL); outputs o, lse, or do_0 .., dlse_0 .. */
static int parts_of(const struct sqa_node *n)
{
    const struct attr *a = n->attr;

    return a->parts;
}

static enum sqa_status check(const struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *o = n->in[0];
    char one[96], two[96];

    for (int k = 0; k < parts_of(n); k++) {
        const struct sqa_tensor *part = n->in[k], *lse = n->in[parts_of(n) + k];

        if (!sqa_is_real(o) || o->rank != 4 || part->dtype != o->dtype || !sqa_same_shape(part, o) ||
            lse->dtype != o->dtype || lse->rank != 3 || lse->dim[0] != o->dim[0] || lse->dim[1] != o->dim[2] ||
            lse->dim[2] != o->dim[1])
            return sqa_shape_fail(n, err, "part %d is %s with lse %s; give (B, L, H, d), all alike, and (B, H, L)", k,
                                  sqa_shape_text(part, one), sqa_shape_text(lse, two));
    }
    return SQA_OK;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;

    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    if (a->lse)
        sqa_set_output(n, 1, n->in[0]->dtype, 3, n->in[parts_of(n)]->dim);
    return check(n, err);
}

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    const int parts = parts_of(n);

    for (int k = 0; k < 2 * parts; k++)
        sqa_set_output(n, k, n->in[k]->dtype, n->in[k]->rank, n->in[k]->dim);
    return check(n, err);
}

/* Rows t .. t + count - 1 of a head of a row of the batch: of inputs and outputs of one shape (B, L, H, d), and their
 * numbers in one (B, H, L) */
struct tile {
    const struct sqa_node *n;
    int64_t b, h, t, count;
};

static struct tile tile_of(const struct sqa_node *n, int64_t i)
{
    const int64_t L = n->in[0]->dim[1], H = n->in[0]->dim[2], tiles = (L + TILE - 1) / TILE, t = i / H % tiles * TILE;

    return (struct tile){n, i / H / tiles, i % H, t, sqa_min64(TILE, L - t)};
}

static void *rows_at(const struct tile *p, const struct sqa_tensor *x)
{
    return sqa_at(sqa_data(x), p->b * x->stride[0] + p->t * x->stride[1] + p->h * x->stride[2],
                  sqa_dtype_size(x->dtype));
}

static void *lse_at(const struct tile *p, const struct sqa_tensor *x)
{
    return sqa_at(sqa_data(x), p->b * x->stride[0] + p->h * x->stride[1] + p->t * x->stride[2],
                  sqa_dtype_size(x->dtype));
}

/* For each real type: the weights of a tile, softmax of lse with +inf as if it were -inf, zeros when all are, and the
 * log sum exp, when asked for; y = sum of w x; x . y; and tiles first ..
 * first + count - 1 of both ops. */
#define FORMS(T, NAME)                                                                                               \
    static void weights_##NAME(const struct tile *p, T w[PARTS][TILE], T *all)                                       \
    {                                                                                                                \
        const struct sqa_kernels *kernels = sqa_kernels_of(p->n->in[0]->dtype);                                      \
        const int parts = parts_of(p->n);                                                                            \
        T top[TILE], sum[TILE] = {0};                                                                                \
                                                                                                                     \
        _Pragma("omp simd") for (int64_t i = 0; i < p->count; i++) top[i] = -(T)HUGE_VAL;                            \
        for (int k = 0; k < parts; k++) {                                                                            \
            const struct sqa_tensor *x = p->n->in[parts + k];                                                        \
            const T *lse = lse_at(p, x);                                                                             \
                                                                                                                     \
            _Pragma("omp simd") for (int64_t i = 0; i < p->count; i++)                                               \
            {                                                                                                        \
                w[k][i] = lse[i * x->stride[2]];                                                                     \
                w[k][i] = w[k][i] == (T)HUGE_VAL ? -(T)HUGE_VAL : w[k][i];                                           \
                top[i] = w[k][i] > top[i] ? w[k][i] : top[i];                                                        \
            }                                                                                                        \
        }                                                                                                            \
        _Pragma("omp simd") for (int64_t i = 0; i < p->count; i++) top[i] = top[i] == -(T)HUGE_VAL ? 0 : top[i];     \
        for (int k = 0; k < parts; k++) {                                                                            \
            _Pragma("omp simd") for (int64_t i = 0; i < p->count; i++) w[k][i] =                                     \
                w[k][i] - top[i] < LOWEST ? LOWEST : w[k][i] - top[i];                                               \
            kernels->unary(SQA_UNARY_EXP, w[k], w[k], (size_t)p->count);                                             \
            _Pragma("omp simd") for (int64_t i = 0; i < p->count; i++) sum[i] += w[k][i];                            \
        }                                                                                                            \
        for (int k = 0; k < parts; k++)                                                                              \
            _Pragma("omp simd") for (int64_t i = 0; i < p->count; i++) w[k][i] = sum[i] == 0 ? 0 : w[k][i] / sum[i]; \
        if (all != NULL) {                                                                                           \
            kernels->unary(SQA_UNARY_LOG, sum, all, (size_t)p->count);                                               \
            _Pragma("omp simd") for (int64_t i = 0; i < p->count; i++) all[i] =                                      \
                sum[i] == 0 ? (T)HUGE_VAL : all[i] + top[i];                                                         \
        }                                                                                                            \
    }                                                                                                                \
    static void sum_##NAME(int parts, const T *w, const T *const *x, T *restrict y, int64_t d)                       \
    {                                                                                                                \
        if (parts == 1)                                                                                              \
            _Pragma("omp simd") for (int64_t c = 0; c < d; c++) y[c] = w[0] * x[0][c];                               \
        else if (parts == 2)                                                                                         \
            _Pragma("omp simd") for (int64_t c = 0; c < d; c++) y[c] = w[0] * x[0][c] + w[1] * x[1][c];              \
        else                                                                                                         \
            _Pragma("omp simd") for (int64_t c = 0; c < d; c++) y[c] =                                               \
                w[0] * x[0][c] + w[1] * x[1][c] + w[2] * x[2][c];                                                    \
        for (int64_t c = 0; c < d && parts == PARTS; c++)                                                            \
            y[c] += w[PARTS - 1] * x[PARTS - 1][c];                                                                  \
    }                                                                                                                \
    static T dot_##NAME(const T *x, const T *y, int64_t d)                                                           \
    {                                                                                                                \
        T sum = 0;                                                                                                   \
                                                                                                                     \
        _Pragma("omp simd reduction(+ : sum)") for (int64_t c = 0; c < d; c++) sum += x[c] * y[c];                   \
        return sum;                                                                                                  \
    }                                                                                                                \
    static void scale_##NAME(T w, const T *restrict x, T *restrict y, int64_t d)                                     \
    {                                                                                                                \
        _Pragma("omp simd") for (int64_t c = 0; c < d; c++) y[c] = w * x[c];                                         \
    }                                                                                                                \
    static void tiles_##NAME(void *ctx, int64_t first, int64_t count, int thread)                                    \
    {                                                                                                                \
        const struct sqa_node *n = ctx;                                                                              \
        const int parts = parts_of(n);                                                                               \
                                                                                                                     \
        (void)thread;                                                                                                \
        for (int64_t number = first; number < first + count; number++) {                                             \
            const struct tile p = tile_of(n, number);                                                                \
            const T *x[PARTS] = {NULL};                                                                              \
            T w[PARTS][TILE] = {{0}}, *y = rows_at(&p, n->out[0]);                                                   \
                                                                                                                     \
            weights_##NAME(&p, w, n->nout > 1 ? lse_at(&p, n->out[1]) : NULL);                                       \
            for (int k = 0; k < parts; k++)                                                                          \
                x[k] = rows_at(&p, n->in[k]);                                                                        \
            for (int64_t i = 0; i < p.count; i++, y += n->out[0]->stride[1]) {                                       \
                const T each[PARTS] = {w[0][i], w[1][i], w[2][i], w[3][i]};                                          \
                sum_##NAME(parts, each, x, y, n->in[0]->dim[3]);                                                     \
                for (int k = 0; k < parts; k++)                                                                      \
                    x[k] += n->in[k]->stride[1];                                                                     \
            }                                                                                                        \
        }                                                                                                            \
    }                                                                                                                \
    static void bwd_tiles_##NAME(void *ctx, int64_t first, int64_t count, int thread)                                \
    {                                                                                                                \
        const struct sqa_node *n = ctx;                                                                              \
        const int parts = parts_of(n);                                                                               \
        const int64_t d = n->in[0]->dim[3];                                                                          \
                                                                                                                     \
        (void)thread;                                                                                                \
        for (int64_t number = first; number < first + count; number++) {                                             \
            const struct tile p = tile_of(n, number);                                                                \
            const struct sqa_tensor *of_all = n->in[2 * parts + 1];                                                  \
            const T *all = of_all != NULL ? lse_at(&p, of_all) : NULL;                                               \
            const T *dy = rows_at(&p, n->in[2 * parts]), *x[PARTS] = {NULL};                                         \
            T w[PARTS][TILE] = {{0}}, *dx[PARTS] = {NULL}, *dlse[PARTS] = {NULL};                                    \
                                                                                                                     \
            weights_##NAME(&p, w, NULL);                                                                             \
            for (int k = 0; k < parts; k++) {                                                                        \
                x[k] = rows_at(&p, n->in[k]);                                                                        \
                dx[k] = rows_at(&p, n->out[k]);                                                                      \
                dlse[k] = lse_at(&p, n->out[parts + k]);                                                             \
            }                                                                                                        \
            for (int64_t i = 0; i < p.count; i++, dy += n->in[2 * parts]->stride[1]) {                               \
                T along[PARTS], mean = 0, more = all != NULL ? all[i * of_all->stride[2]] : 0;                       \
                                                                                                                     \
                for (int k = 0; k < parts; k++) {                                                                    \
                    along[k] = dot_##NAME(dy, x[k], d);                                                              \
                    mean += w[k][i] * along[k];                                                                      \
                    scale_##NAME(w[k][i], dy, dx[k], d);                                                             \
                    x[k] += n->in[k]->stride[1];                                                                     \
                    dx[k] += n->out[k]->stride[1];                                                                   \
                }                                                                                                    \
                for (int k = 0; k < parts; k++)                                                                      \
                    dlse[k][i] = w[k][i] * (along[k] - mean + more);                                                 \
            }                                                                                                        \
        }                                                                                                            \
    }
FORMS(float, f32)
FORMS(double, f64)

static int64_t row_count(const struct sqa_node *n)
{
    const int64_t *dim = n->in[0]->dim;

    return dim[0] * dim[1] * dim[2];
}

static int64_t tile_count(const struct sqa_node *n)
{
    const int64_t *dim = n->in[0]->dim;

    return dim[0] * ((dim[1] + TILE - 1) / TILE) * dim[2];
}

/* Of a row and part: 2 d, and 5 for the weight */
static double flops(const struct sqa_node *n)
{
    return (double)row_count(n) * parts_of(n) * (2 * (double)n->in[0]->dim[3] + 5);
}

/* do . o_k, do_k, the weight and dlse */
static double bwd_flops(const struct sqa_node *n)
{
    return (double)row_count(n) * parts_of(n) * (3 * (double)n->in[0]->dim[3] + 9);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_chunks(r, tile_count(n), 1, flops(n), n->in[0]->dtype == SQA_F64 ? tiles_f64 : tiles_f32,
               (void *)(uintptr_t)n);
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_chunks(r, tile_count(n), 1, bwd_flops(n), n->in[0]->dtype == SQA_F64 ? bwd_tiles_f64 : bwd_tiles_f32,
               (void *)(uintptr_t)n);
}

const struct sqa_op sqa_op_attention_merge_bwd = {
    .name = "attention_merge_bwd",
    .help = "do_k = w_k do, dlse_k = w_k (do . o_k - do . o + dlse)",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .strided = (1 << (2 * PARTS + 2)) - 1,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[2 * PARTS + 2], *d;

    memcpy(in, n->in, (size_t)n->nin * sizeof *in);
    in[n->nin] = dy[0] != NULL ? sqa_dense_rows(g, dy[0]) : sqa_fill(g, 0, n->out[0]->rank, n->out[0]->dim);
    in[n->nin + 1] = n->nout > 1 ? dy[1] : NULL;
    d = sqa_apply(g, &sqa_op_attention_merge_bwd, n->attr, sizeof(struct attr), n->nin + 2, in);
    for (int k = 0; k < n->nin && d != NULL; k++)
        dx[k] = d->node->out[k];
}

const struct sqa_op sqa_op_attention_merge = {
    .name = "attention_merge",
    .help = "o = sum_k w_k o_k, w = softmax over k of lse_k",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .strided = (1 << (2 * PARTS)) - 1,
};

static struct sqa_tensor *merge(struct sqa_graph *g, int n, struct sqa_tensor *const *part,
                                struct sqa_tensor *const *lse, bool with_lse)
{
    const struct attr a = {n, with_lse};
    struct sqa_tensor *in[2 * PARTS];

    if (n < 1 || n > PARTS)
        return sqa_graph_fail(g, SQA_SHAPE, "attention_merge: %d parts; give 1 to %d", n, PARTS);
    if (!sqa_ready(g, "attention_merge", n, part) || !sqa_ready(g, "attention_merge", n, lse))
        return NULL;
    for (int k = 0; k < n; k++) {
        in[k] = sqa_dense_rows(g, part[k]);
        in[n + k] = lse[k];
    }
    return sqa_apply(g, &sqa_op_attention_merge, &a, sizeof a, 2 * n, in);
}

struct sqa_tensor *sqa_attention_merge(struct sqa_graph *g, int n, struct sqa_tensor *const *part,
                                       struct sqa_tensor *const *lse)
{
    return merge(g, n, part, lse, false);
}

struct sqa_tensor *sqa_attention_merge_lse(struct sqa_graph *g, int n, struct sqa_tensor *const *part,
                                           struct sqa_tensor *const *lse)
{
    return merge(g, n, part, lse, true);
}

struct sqa_tensor *sqa_attention_lse(struct sqa_tensor *o)
{
    return o != NULL ? o->node->out[1] : NULL;
}
