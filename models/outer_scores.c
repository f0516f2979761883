/*
 * outer_scores.c - sqa_outer_scores of synthesizer.h
 */
#include "engine/ops/support.h"
#include "models/synthesizer.h"

struct outer_job {
    const struct sqa_node *n;
    const struct sqa_tensor *first, *second, *scores;
    struct sqa_tensor *const *out; /* of the gradient: of first and second */
};

static enum sqa_status outer_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *a = n->in[0], *b = n->in[1];
    char one[96], two[96];

    if (a->rank != 4 || b->rank != 4 || a->dim[0] != b->dim[0] || a->dim[1] != b->dim[1] || a->dim[2] != b->dim[2] ||
        a->dim[3] * b->dim[3] < a->dim[1])
        return sqa_shape_fail(n, err, "%s and %s; give (B, L, H, a) and (B, L, H, b) with a b >= L",
                              sqa_shape_text(a, one), sqa_shape_text(b, two));
    sqa_set_output(n, 0, a->dtype, 4, (const int64_t[]){a->dim[0], a->dim[2], a->dim[1], a->dim[1]});
    return SQA_OK;
}

/* Row i of the scores is position t, head h of the factors. */
static int64_t factor_row(const struct sqa_tensor *scores, int64_t i)
{
    const int64_t L = scores->dim[2], H = scores->dim[1];

    return (i / (H * L) * L + i % L) * H + i / L % H;
}

static void outer_rows(void *ctx, int64_t from, int64_t count, int thread)
{
    const struct outer_job *j = ctx;
    const struct sqa_kernels *k = sqa_kernels_of(j->scores->dtype);
    const int64_t L = j->scores->dim[3], a = j->first->dim[3], b = j->second->dim[3];

    (void)thread;
    for (int64_t i = from; i < from + count; i++) {
        const int64_t row = factor_row(j->scores, i);
        const void *first = sqa_at(sqa_data(j->first), row * a, k->size);
        const void *second = sqa_at(sqa_data(j->second), row * b, k->size);

        for (int64_t u = 0; u * a < L; u++)
            k->affine(sqa_real_get(j->scores->dtype, sqa_at_const(second, u, k->size)), first, 0,
                      sqa_at(sqa_data(j->scores), i * L + u * a, k->size), (size_t)sqa_min64(a, L - u * a));
    }
}

#define DEFINE(T, name)                                                                                        \
    static void name(const T *first, const T *second, const T *ds, int64_t L, int64_t a, int64_t b, T *dfirst, \
                     T *dsecond)                                                                               \
    {                                                                                                          \
        memset(dfirst, 0, (size_t)a * sizeof(T));                                                              \
        memset(dsecond, 0, (size_t)b * sizeof(T));                                                             \
        for (int64_t u = 0; u * a < L; u++) {                                                                  \
            const int64_t n = sqa_min64(a, L - u * a);                                                         \
            T sum = 0;                                                                                         \
                                                                                                               \
            for (int64_t w = 0; w < n; w++) {                                                                  \
                dfirst[w] += second[u] * ds[u * a + w];                                                        \
                sum += first[w] * ds[u * a + w];                                                               \
            }                                                                                                  \
            dsecond[u] = sum;                                                                                  \
        }                                                                                                      \
    }
DEFINE(float, outer_row_f32)
DEFINE(double, outer_row_f64)

static void outer_grad_rows(void *ctx, int64_t from, int64_t count, int thread)
{
    const struct outer_job *j = ctx;
    const size_t size = sqa_dtype_size(j->scores->dtype);
    const int64_t L = j->scores->dim[3], a = j->first->dim[3], b = j->second->dim[3];

    (void)thread;
    for (int64_t i = from; i < from + count; i++) {
        const int64_t row = factor_row(j->scores, i);
        const void *first = sqa_at(sqa_data(j->first), row * a, size);
        const void *second = sqa_at(sqa_data(j->second), row * b, size);
        const void *ds = sqa_at(sqa_data(j->scores), i * L, size);
        void *dfirst = sqa_at(sqa_data(j->out[0]), row * a, size);
        void *dsecond = sqa_at(sqa_data(j->out[1]), row * b, size);

        if (j->scores->dtype == SQA_F64)
            outer_row_f64(first, second, ds, L, a, b, dfirst, dsecond);
        else
            outer_row_f32(first, second, ds, L, a, b, dfirst, dsecond);
    }
}

static void run_rows(const struct sqa_run *r, struct outer_job *j, sqa_chunk_fn *f)
{
    const int64_t L = j->scores->dim[3];

    if (L > 0)
        sqa_chunks(r, sqa_numel(j->scores) / L, sqa_max64(1, SQA_CHUNK / L), (double)sqa_numel(j->scores), f, j);
}

static void outer_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct outer_job j = {n, n->in[0], n->in[1], n->out[0], NULL};

    run_rows(r, &j, outer_rows);
}

static enum sqa_status outer_grad_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, 0, n->in[0]->dtype, 4, n->in[0]->dim);
    sqa_set_output(n, 1, n->in[1]->dtype, 4, n->in[1]->dim);
    return SQA_OK;
}

static void outer_grad_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct outer_job j = {n, n->in[0], n->in[1], n->in[2], n->out};

    run_rows(r, &j, outer_grad_rows);
}

static double outer_grad_flops(const struct sqa_node *n)
{
    return 4 * (double)sqa_numel(n->in[2]);
}

static const struct sqa_op op_outer_grad = {
    .name = "outer_scores_grad",
    .help = "gradients of the two factors of outer_scores",
    .shape = outer_grad_shape,
    .run = outer_grad_run,
    .flops = outer_grad_flops,
};

static void outer_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->in[0], n->in[1], dy[0]};
    struct sqa_tensor *t = dy[0] != NULL ? sqa_apply(g, &op_outer_grad, NULL, 0, 3, in) : NULL;

    for (int i = 0; t != NULL && i < 2; i++)
        dx[i] = t->node->out[i];
}

static const struct sqa_op op_outer = {
    .name = "outer_scores",
    .help = "S_ij = A_i[j mod a] B_i[j / a]",
    .shape = outer_shape,
    .run = outer_run,
    .grad = outer_grad,
    .flops = sqa_flops_out1,
};

struct sqa_tensor *sqa_outer_scores(struct sqa_graph *g, struct sqa_tensor *first, struct sqa_tensor *second)
{
    struct sqa_tensor *const in[] = {first, second};

    return sqa_ready(g, "outer_scores", 2, in) ? sqa_apply(g, &op_outer, NULL, 0, 2, in) : NULL;
}
