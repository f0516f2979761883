/*
 * attention_merge.c - one softmax over several disjoint sets of keys, from the attention to each set
 *
 * With lse_k the log sum exp of the scores of set k and o_k its output: w = softmax(lse), o = sum_k w_k o_k.
 * Gradient: do_k = w_k do; dlse_k = w_k (do . o_k - do . o).
 */
#include <math.h>

#include "engine/ops/support.h"

enum { PARTS = 4, CHUNK = 64, LANES = 16 };

/* Inputs: o_0 .., lse_0 .., and of the gradient do; outputs o, or do_0 .., dlse_0 .. */
static int parts_of(const struct sqa_node *n)
{
    return n->nin / 2;
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
    sqa_set_output(n, 0, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
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
static void *row_at(const struct sqa_tensor *x, int64_t b, int64_t t, int64_t h)
{
    return sqa_at(sqa_data(x), b * x->stride[0] + t * x->stride[1] + h * x->stride[2], sqa_dtype_size(x->dtype));
}

static void *lse_at(const struct sqa_tensor *x, int64_t b, int64_t t, int64_t h)
{
    return row_at(x, b, h, t);
}

/* softmax of lse, +inf as if it were -inf; zeros when all are */
static void weights(const struct sqa_node *n, int64_t b, int64_t t, int64_t h, double w[PARTS])
{
    const int parts = parts_of(n);
    double top = -HUGE_VAL, sum = 0;

    for (int k = 0; k < parts; k++) {
        const struct sqa_tensor *lse = n->in[parts + k];

        w[k] = sqa_real_get(lse->dtype, lse_at(lse, b, t, h));
        w[k] = w[k] == HUGE_VAL ? -HUGE_VAL : w[k];
        top = fmax(top, w[k]);
    }
    for (int k = 0; k < parts; k++) {
        w[k] = w[k] == -HUGE_VAL ? 0 : exp(w[k] - top);
        sum += w[k];
    }
    for (int k = 0; k < parts && sum > 0; k++)
        w[k] /= sum;
}

/* LANES sums side by side, added in order */
#define DOT(T, name)                                      \
    static double name(const T *x, const T *y, int64_t n) \
    {                                                     \
        T lane[LANES] = {0};                              \
        double sum = 0;                                   \
        int64_t i = 0;                                    \
                                                          \
        for (; i + LANES <= n; i += LANES)                \
            for (int l = 0; l < LANES; l++)               \
                lane[l] += x[i + l] * y[i + l];           \
        for (int l = 0; l < LANES; l++)                   \
            sum += (double)lane[l];                       \
        for (; i < n; i++)                                \
            sum += (double)x[i] * (double)y[i];           \
        return sum;                                       \
    }
DOT(float, dot_f32)
DOT(double, dot_f64)

static double dot(enum sqa_dtype t, const void *x, const void *y, int64_t n)
{
    return t == SQA_F64 ? dot_f64(x, y, n) : dot_f32(x, y, n);
}

struct place {
    int64_t b, t, h;
};

static struct place place_of(const struct sqa_node *n, int64_t row)
{
    const int64_t *dim = n->in[0]->dim;

    return (struct place){row / dim[2] / dim[1], row / dim[2] % dim[1], row % dim[2]};
}

static void rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ctx;
    const struct sqa_kernels *kernels = sqa_kernels_of(n->in[0]->dtype);
    const size_t d = (size_t)n->in[0]->dim[3];

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        const struct place p = place_of(n, i);
        double w[PARTS];
        void *y = row_at(n->out[0], p.b, p.t, p.h);

        weights(n, p.b, p.t, p.h, w);
        kernels->affine(w[0], row_at(n->in[0], p.b, p.t, p.h), 0, y, d);
        for (int k = 1; k < parts_of(n); k++)
            kernels->axpy(w[k], row_at(n->in[k], p.b, p.t, p.h), y, d);
    }
}

static void bwd_rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ctx;
    const struct sqa_kernels *kernels = sqa_kernels_of(n->in[0]->dtype);
    const enum sqa_dtype type = n->in[0]->dtype;
    const int64_t d = n->in[0]->dim[3];
    const int parts = parts_of(n);

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        const struct place p = place_of(n, i);
        const void *dy = row_at(n->in[2 * parts], p.b, p.t, p.h);
        double w[PARTS], along[PARTS], mean = 0;

        weights(n, p.b, p.t, p.h, w);
        for (int k = 0; k < parts; k++) {
            along[k] = dot(type, dy, row_at(n->in[k], p.b, p.t, p.h), d);
            mean += w[k] * along[k];
            kernels->affine(w[k], dy, 0, row_at(n->out[k], p.b, p.t, p.h), (size_t)d);
        }
        for (int k = 0; k < parts; k++)
            sqa_real_set(type, lse_at(n->out[parts + k], p.b, p.t, p.h), w[k] * (along[k] - mean));
    }
}

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
    sqa_chunks(r, row_count(n), CHUNK, flops(n), rows, (void *)(uintptr_t)n);
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_chunks(r, row_count(n), CHUNK, bwd_flops(n), bwd_rows, (void *)(uintptr_t)n);
}

const struct sqa_op sqa_op_attention_merge_bwd = {
    .name = "attention_merge_bwd",
    .help = "do_k = w_k do, dlse_k = w_k (do . o_k - do . o)",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .strided = (1 << (2 * PARTS + 1)) - 1,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[2 * PARTS + 1], *d;

    memcpy(in, n->in, (size_t)n->nin * sizeof *in);
    in[n->nin] = sqa_dense_rows(g, dy[0]);
    d = sqa_apply(g, &sqa_op_attention_merge_bwd, NULL, 0, n->nin + 1, in);
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

struct sqa_tensor *sqa_attention_merge(struct sqa_graph *g, int n, struct sqa_tensor *const *part,
                                       struct sqa_tensor *const *lse)
{
    struct sqa_tensor *in[2 * PARTS];

    if (n < 1 || n > PARTS)
        return sqa_graph_fail(g, SQA_SHAPE, "attention_merge: %d parts; give 1 to %d", n, PARTS);
    if (!sqa_ready(g, "attention_merge", n, part) || !sqa_ready(g, "attention_merge", n, lse))
        return NULL;
    for (int k = 0; k < n; k++) {
        in[k] = sqa_dense_rows(g, part[k]);
        in[n + k] = lse[k];
    }
    return sqa_apply(g, &sqa_op_attention_merge, NULL, 0, 2 * n, in);
}

struct sqa_tensor *sqa_attention_lse(struct sqa_tensor *o)
{
    return o != NULL ? o->node->out[1] : NULL;
}
