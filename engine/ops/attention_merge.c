/*
 * attention_merge.c - one softmax over several disjoint sets of keys, from the attention to each set
 *
 * With lse_k the log sum exp of the scores of set k and o_k its output: w = softmax(lse), o = sum_k w_k o_k, and,
 * when asked for, the log sum exp of all. Gradient: do_k = w_k do; dlse_k = w_k (do . o_k - do . o + dlse).
 */
#include <math.h>

#include "engine/ops/support.h"

enum { PARTS = 4, CHUNK = 64, LANES = 16 };

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

/* Row (b, t, h) of a tensor (B, L, H, d), and its number in one (B, H, L) */
static void *row_at(const struct sqa_tensor *x, const int64_t at[3])
{
    return sqa_at(sqa_data(x), at[0] * x->stride[0] + at[1] * x->stride[1] + at[2] * x->stride[2],
                  sqa_dtype_size(x->dtype));
}

static void *lse_at(const struct sqa_tensor *x, const int64_t at[3])
{
    return row_at(x, (const int64_t[]){at[0], at[2], at[1]});
}

static void place_of(const struct sqa_node *n, int64_t row, int64_t at[3])
{
    const int64_t *dim = n->in[0]->dim;

    at[0] = row / dim[2] / dim[1];
    at[1] = row / dim[2] % dim[1];
    at[2] = row % dim[2];
}

/* For each real type: the weights, softmax of lse with +inf as if it were -inf, zeros when all are, and the log sum
 * exp; y (+)= w x; x . y as LANES sums side by side, added in order; and rows first .. first + count - 1 of both ops.
 */
#define FORMS(T, EXP, LOG, NAME)                                                                           \
    static T weights_##NAME(const struct sqa_node *n, const int64_t at[3], T w[PARTS])                     \
    {                                                                                                      \
        const int parts = parts_of(n);                                                                     \
        T top = -(T)HUGE_VAL, sum = 0;                                                                     \
                                                                                                           \
        for (int k = 0; k < parts; k++) {                                                                  \
            memcpy(&w[k], lse_at(n->in[parts + k], at), sizeof w[k]);                                      \
            w[k] = w[k] == (T)HUGE_VAL ? -(T)HUGE_VAL : w[k];                                              \
            top = w[k] > top ? w[k] : top;                                                                 \
        }                                                                                                  \
        for (int k = 0; k < parts; k++) {                                                                  \
            w[k] = w[k] == -(T)HUGE_VAL ? 0 : w[k] == top ? 1 : EXP(w[k] - top);                           \
            sum += w[k];                                                                                   \
        }                                                                                                  \
        for (int k = 0; k < parts && sum > 0; k++)                                                         \
            w[k] /= sum;                                                                                   \
        return sum > 0 ? top + LOG(sum) : (T)HUGE_VAL;                                                     \
    }                                                                                                      \
    static void scaled_##NAME(T w, const T *restrict x, bool add, T *restrict y, int64_t d)                \
    {                                                                                                      \
        if (add) {                                                                                         \
            _Pragma("omp simd") for (int64_t c = 0; c < d; c++) y[c] += w * x[c];                          \
        } else {                                                                                           \
            _Pragma("omp simd") for (int64_t c = 0; c < d; c++) y[c] = w * x[c];                           \
        }                                                                                                  \
    }                                                                                                      \
    static T dot_##NAME(const T *x, const T *y, int64_t d)                                                 \
    {                                                                                                      \
        T lane[LANES] = {0}, sum = 0;                                                                      \
        int64_t c = 0;                                                                                     \
                                                                                                           \
        for (; c + LANES <= d; c += LANES)                                                                 \
            for (int l = 0; l < LANES; l++)                                                                \
                lane[l] += x[c + l] * y[c + l];                                                            \
        for (; c < d; c++)                                                                                 \
            sum += x[c] * y[c];                                                                            \
        for (int l = 0; l < LANES; l++)                                                                    \
            sum += lane[l];                                                                                \
        return sum;                                                                                        \
    }                                                                                                      \
    static void rows_##NAME(void *ctx, int64_t first, int64_t count, int thread)                           \
    {                                                                                                      \
        const struct sqa_node *n = ctx;                                                                    \
                                                                                                           \
        (void)thread;                                                                                      \
        for (int64_t i = first; i < first + count; i++) {                                                  \
            int64_t at[3];                                                                                 \
            T w[PARTS], lse;                                                                               \
                                                                                                           \
            place_of(n, i, at);                                                                            \
            lse = weights_##NAME(n, at, w);                                                                \
            if (n->nout > 1)                                                                               \
                memcpy(lse_at(n->out[1], at), &lse, sizeof lse);                                           \
            for (int k = 0; k < parts_of(n); k++)                                                          \
                scaled_##NAME(w[k], row_at(n->in[k], at), k > 0, row_at(n->out[0], at), n->in[0]->dim[3]); \
        }                                                                                                  \
    }                                                                                                      \
    static void bwd_rows_##NAME(void *ctx, int64_t first, int64_t count, int thread)                       \
    {                                                                                                      \
        const struct sqa_node *n = ctx;                                                                    \
        const int64_t d = n->in[0]->dim[3];                                                                \
        const struct sqa_tensor *dlse = n->in[2 * parts_of(n) + 1];                                        \
        const int parts = parts_of(n);                                                                     \
                                                                                                           \
        (void)thread;                                                                                      \
        for (int64_t i = first; i < first + count; i++) {                                                  \
            int64_t at[3];                                                                                 \
            T w[PARTS], along[PARTS], mean = 0, of_all = 0;                                                \
                                                                                                           \
            place_of(n, i, at);                                                                            \
            const T *dy = row_at(n->in[2 * parts], at);                                                    \
            if (dlse != NULL)                                                                              \
                memcpy(&of_all, lse_at(dlse, at), sizeof of_all);                                          \
            weights_##NAME(n, at, w);                                                                      \
            for (int k = 0; k < parts; k++) {                                                              \
                along[k] = dot_##NAME(dy, row_at(n->in[k], at), d);                                        \
                mean += w[k] * along[k];                                                                   \
                scaled_##NAME(w[k], dy, false, row_at(n->out[k], at), d);                                  \
            }                                                                                              \
            for (int k = 0; k < parts; k++)                                                                \
                *(T *)lse_at(n->out[parts + k], at) = w[k] * (along[k] - mean + of_all);                   \
        }                                                                                                  \
    }
FORMS(float, expf, logf, f32)
FORMS(double, exp, log, f64)

static int64_t row_count(const struct sqa_node *n)
{
    const int64_t *dim = n->in[0]->dim;

    return dim[0] * dim[1] * dim[2];
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
    sqa_chunks(r, row_count(n), CHUNK, flops(n), n->in[0]->dtype == SQA_F64 ? rows_f64 : rows_f32,
               (void *)(uintptr_t)n);
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_chunks(r, row_count(n), CHUNK, bwd_flops(n), n->in[0]->dtype == SQA_F64 ? bwd_rows_f64 : bwd_rows_f32,
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
