/* combiner_regions.c - see combiner_regions.h */
#include "models/combiner_regions.h"

#include <math.h>

#include "engine/ops/support.h"

/* region_max: outputs y and, of each number, the position it came from, -1: none. */

enum { X, LENGTHS, AT, DY }; /* of the gradient; x is read for its shape alone */

static enum sqa_status max_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_region_max *a = n->attr;
    const struct sqa_tensor *x = n->in[X];
    char text[96];

    if (!sqa_is_real(x) || x->rank != 4)
        return sqa_shape_fail(n, err, "x is %s; give (B, N, H, d)", sqa_shape_text(x, text));
    const int64_t rows = a->block > 0 ? (x->dim[1] + a->block - 1) / a->block : x->dim[1];
    const int64_t dim[] = {x->dim[0], rows, x->dim[2], x->dim[3]};
    sqa_set_output(n, 0, x->dtype, 4, dim);
    sqa_set_output(n, 1, SQA_I32, 4, dim);
    return n->in[LENGTHS] != NULL ? sqa_check_lengths(n, LENGTHS, x->dim[0], err) : SQA_OK;
}

/* The output row that row t adds to, and the one it goes on from, -1: none. */
static int64_t before(const struct sqa_region_max *a, int64_t t, int64_t rows)
{
    const int64_t from = a->backwards ? t + a->step : t - a->step;

    if (a->block > 0)
        return t % a->block != 0 ? t / a->block : -1;
    return from >= 0 && from < rows && (a->row == 0 || from / a->row == t / a->row) ? from : -1;
}

/* For each real type: y = the larger of x (position t; NULL: not valid) and z (NULL: none), which may be y; and the
 * gradient of a head. */
#define MAX_FORMS(T, NAME)                                                                                 \
    static void larger_##NAME(const T *x, int32_t t, const T *z, const int32_t *z_at, T *y, int32_t *y_at, \
                              int64_t d)                                                                   \
    {                                                                                                      \
        const bool old = z != NULL && d > 0 && z_at[0] >= 0; /* all of them or none */                     \
                                                                                                           \
        if (old && x != NULL) {                                                                            \
            _Pragma("omp simd") for (int64_t e = 0; e < d; e++)                                            \
            {                                                                                              \
                const T now = x[e], then = z[e];                                                           \
                const int32_t since = z_at[e];                                                             \
                                                                                                           \
                y[e] = now > then ? now : then;                                                            \
                y_at[e] = now > then ? t : since;                                                          \
            }                                                                                              \
            return;                                                                                        \
        }                                                                                                  \
        for (int64_t e = 0; e < d; e++) {                                                                  \
            const T value = x != NULL ? x[e] : old ? z[e] : 0;                                             \
                                                                                                           \
            y_at[e] = x != NULL ? t : old ? z_at[e] : -1;                                                  \
            y[e] = value;                                                                                  \
        }                                                                                                  \
    }                                                                                                      \
    static void max_pairs_##NAME(void *ctx, int64_t first, int64_t count, int thread)                      \
    {                                                                                                      \
        const struct sqa_node *n = ctx;                                                                    \
        const struct sqa_region_max *a = n->attr;                                                          \
        const struct sqa_tensor *x = n->in[X], *y = n->out[0], *at = n->out[1];                            \
        const int64_t N = x->dim[1], d = x->dim[3];                                                        \
                                                                                                           \
        (void)thread;                                                                                      \
        for (int64_t pair = first; pair < first + count; pair++) {                                         \
            const int64_t valid = sqa_length_at(n->in[LENGTHS], pair / x->dim[2], N);                      \
                                                                                                           \
            const T *xs = sqa_head_row(x, pair, 0, sizeof(T));                                             \
            T *ys = sqa_head_row(y, pair, 0, sizeof(T));                                                   \
            int32_t *places = sqa_head_row(at, pair, 0, sizeof *places);                                   \
            const int64_t row = y->stride[1];                                                              \
                                                                                                           \
            for (int64_t i = 0; i < N; i++) {                                                              \
                const int64_t t = a->backwards ? N - 1 - i : i, from = before(a, t, N);                    \
                const int64_t to = a->block > 0 ? t / a->block : t;                                        \
                                                                                                           \
                larger_##NAME(t < valid ? xs + t * x->stride[1] : NULL, (int32_t)t,                        \
                              from >= 0 ? ys + from * row : NULL, from >= 0 ? places + from * row : NULL,  \
                              ys + to * row, places + to * row, d);                                        \
            }                                                                                              \
        }                                                                                                  \
    }                                                                                                      \
    static void max_bwd_pairs_##NAME(void *ctx, int64_t first, int64_t count, int thread)                  \
    {                                                                                                      \
        const struct sqa_node *n = ctx;                                                                    \
        const struct sqa_tensor *dx = n->out[0], *at = n->in[AT], *dy = n->in[DY];                         \
        const int64_t N = dx->dim[1], rows = dy->dim[1], d = dx->dim[3], stride = dx->stride[1];           \
                                                                                                           \
        (void)thread;                                                                                      \
        for (int64_t pair = first; pair < first + count; pair++) {                                         \
            for (int64_t t = 0; t < N; t++)                                                                \
                memset(sqa_head_row(dx, pair, t, sizeof(T)), 0, (size_t)d * sizeof(T));                    \
            T *base = sqa_head_row(dx, pair, 0, sizeof(T));                                                \
            for (int64_t r = 0; r < rows; r++) {                                                           \
                const int32_t *from = sqa_head_row(at, pair, r, sizeof *from);                             \
                const T *g = sqa_head_row(dy, pair, r, sizeof(T));                                         \
                                                                                                           \
                for (int64_t e = 0; e < d; e++)                                                            \
                    if (from[e] >= 0)                                                                      \
                        base[from[e] * stride + e] += g[e];                                                \
            }                                                                                              \
        }                                                                                                  \
    }
MAX_FORMS(float, f32)
MAX_FORMS(double, f64)

static double max_flops(const struct sqa_node *n)
{
    return (double)sqa_numel(n->in[X]);
}

static void max_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_chunks(r, n->in[X]->dim[0] * n->in[X]->dim[2], 1, max_flops(n),
               n->in[X]->dtype == SQA_F64 ? max_pairs_f64 : max_pairs_f32, (void *)(uintptr_t)n);
}

static enum sqa_status max_bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, 0, n->in[X]->dtype, 4, n->in[X]->dim);
    return SQA_OK;
}

static void max_bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_chunks(r, n->in[X]->dim[0] * n->in[X]->dim[2], 1, max_flops(n),
               n->in[X]->dtype == SQA_F64 ? max_bwd_pairs_f64 : max_bwd_pairs_f32, (void *)(uintptr_t)n);
}

static const struct sqa_op op_max_bwd = {
    .name = "region_max_bwd",
    .help = "dx of the positions the largest numbers came from",
    .shape = max_bwd_shape,
    .run = max_bwd_run,
    .flops = max_flops,
    .strided = 1 << DY,
};

static void max_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->in[X], NULL, n->out[1], sqa_dense_rows(g, dy[0])};

    dx[X] = sqa_apply(g, &op_max_bwd, NULL, 0, 4, in);
}

static const struct sqa_op op_max = {
    .name = "region_max",
    .help = "largest numbers of blocks, or so far",
    .shape = max_shape,
    .run = max_run,
    .grad = max_grad,
    .flops = max_flops,
};

struct sqa_tensor *sqa_region_max(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths,
                                  struct sqa_region_max regions)
{
    struct sqa_tensor *const in[] = {x, lengths};

    return sqa_ready(g, "region_max", 1, in) ? sqa_apply(g, &op_max, &regions, sizeof regions, 2, in) : NULL;
}

/* path_attention: of the gradient also dy; its outputs are the gradients of the inputs. Weights are computed again.
 */

enum { Q, K, V, KR, VR, PDY, MOST = 64 };

struct path {
    double scale;
};

static int64_t regions_of(int64_t length)
{
    int64_t n = 0;

    for (int l = 1; sqa_path_regions(length, l) > 0; l++)
        n += sqa_path_regions(length, l);
    return n;
}

static enum sqa_status path_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q];
    char one[96], two[96];

    for (int i = K; i <= VR; i++) {
        const struct sqa_tensor *t = n->in[i];
        const int64_t rows = i >= KR ? regions_of(q->dim[1]) : q->dim[1];

        if (i >= KR && rows == 0 && t == NULL)
            continue;
        if (t == NULL || t->rank != 4 || t->dtype != q->dtype || t->dim[0] != q->dim[0] || t->dim[1] != rows ||
            t->dim[2] != q->dim[2] || t->dim[3] != q->dim[3])
            return sqa_shape_fail(n, err, "q %s, input %d %s with %lld rows; give (B, L, H, d) and all regions",
                                  sqa_shape_text(q, one), i, t != NULL ? sqa_shape_text(t, two) : "missing",
                                  (long long)rows);
    }
    if (n->nin > PDY) {
        for (int i = Q; i <= VR; i++)
            if (n->in[i] != NULL)
                sqa_set_output(n, i, q->dtype, 4, n->in[i]->dim);
        return SQA_OK;
    }
    sqa_set_output(n, 0, q->dtype, 4, q->dim);
    return SQA_OK;
}

/* What i attends to: rows of k (or v), or, of[] set, of the regions. */
struct stops {
    int64_t row[MOST];
    bool region[MOST];
    int n;
};

static void find_stops(int64_t length, int64_t i, struct stops *s)
{
    int64_t first = 0;

    s->n = 1;
    s->row[0] = i;
    s->region[0] = false;
    for (int l = 0; i >> l > 0; l++) {
        if (i >> l & 1) {
            s->row[s->n] = first + (i >> l) - 1;
            s->region[s->n++] = l > 0;
        }
        first += l > 0 ? sqa_path_regions(length, l) : 0;
    }
}

/* Rows of one head: of the inputs, and of the gradients */
struct rows {
    unsigned char *first[PDY + 1], *grad[PDY];
    int64_t stride[PDY + 1], grad_stride[PDY]; /* bytes */
};

static struct rows rows_of(const struct sqa_node *n, int64_t pair, size_t size)
{
    struct rows r = {{NULL}, {NULL}, {0}, {0}};

    for (int i = 0; i < n->nin; i++)
        if (n->in[i] != NULL) {
            r.first[i] = sqa_head_row(n->in[i], pair, 0, size);
            r.stride[i] = n->in[i]->stride[1] * (int64_t)size;
        }
    for (int i = 0; i < n->nout; i++)
        if (n->out[i] != NULL && (i == 0 || n->in[i] != NULL)) {
            r.grad[i] = sqa_head_row(n->out[i], pair, 0, size);
            r.grad_stride[i] = n->out[i]->stride[1] * (int64_t)size;
        }
    return r;
}

/* Row of stop k in k or v (own: K or V) and its regions, and in their gradients */
static void *stop_at(const struct rows *r, int own, const struct stops *s, int k)
{
    const int i = s->region[k] ? own + KR - K : own;

    return r->first[i] + s->row[k] * r->stride[i];
}

static void *grad_at(const struct rows *r, int own, const struct stops *s, int k)
{
    const int i = s->region[k] ? own + KR - K : own;

    return r->grad[i] + s->row[k] * r->grad_stride[i];
}

#define PATH_FORMS(T, EXP, NAME)                                                                                 \
    static T dot_##NAME(const T *x, const T *y, int64_t d)                                                       \
    {                                                                                                            \
        T lane[8] = {0}, sum = 0;                                                                                \
        int64_t c = 0;                                                                                           \
                                                                                                                 \
        for (; c + 8 <= d; c += 8)                                                                               \
            for (int l = 0; l < 8; l++)                                                                          \
                lane[l] += x[c + l] * y[c + l];                                                                  \
        for (; c < d; c++)                                                                                       \
            sum += x[c] * y[c];                                                                                  \
        for (int l = 0; l < 8; l++)                                                                              \
            sum += lane[l];                                                                                      \
        return sum;                                                                                              \
    }                                                                                                            \
    static void add_##NAME(T w, const T *restrict x, T *restrict y, int64_t d)                                   \
    {                                                                                                            \
        _Pragma("omp simd") for (int64_t e = 0; e < d; e++) y[e] += w * x[e];                                    \
    }                                                                                                            \
    static void weights_##NAME(const struct sqa_node *n, const struct rows *r, const struct stops *s, int64_t i, \
                               T *w)                                                                             \
    {                                                                                                            \
        const struct path *a = n->attr;                                                                          \
        const T *q = (const void *)(r->first[Q] + i * r->stride[Q]);                                             \
        T top = -(T)HUGE_VAL, sum = 0;                                                                           \
                                                                                                                 \
        for (int k = 0; k < s->n; k++) {                                                                         \
            w[k] = (T)a->scale * dot_##NAME(q, stop_at(r, K, s, k), n->in[Q]->dim[3]);                           \
            top = w[k] > top ? w[k] : top;                                                                       \
        }                                                                                                        \
        for (int k = 0; k < s->n; k++)                                                                           \
            sum += w[k] = EXP(w[k] - top);                                                                       \
        for (int k = 0; k < s->n; k++)                                                                           \
            w[k] /= sum;                                                                                         \
    }                                                                                                            \
    static void path_row_##NAME(const struct sqa_node *n, const struct rows *r, int64_t i)                       \
    {                                                                                                            \
        const int64_t d = n->in[Q]->dim[3];                                                                      \
        T w[MOST], *y = (void *)(r->grad[0] + i * r->grad_stride[0]);                                            \
        struct stops s;                                                                                          \
                                                                                                                 \
        find_stops(n->in[Q]->dim[1], i, &s);                                                                     \
        weights_##NAME(n, r, &s, i, w);                                                                          \
        memset(y, 0, (size_t)d * sizeof(T));                                                                     \
        for (int k = 0; k < s.n; k++)                                                                            \
            add_##NAME(w[k], stop_at(r, V, &s, k), y, d);                                                        \
    }                                                                                                            \
    static void path_bwd_row_##NAME(const struct sqa_node *n, const struct rows *r, int64_t i)                   \
    {                                                                                                            \
        const struct path *a = n->attr;                                                                          \
        const int64_t d = n->in[Q]->dim[3];                                                                      \
        const T *dy = (const void *)(r->first[PDY] + i * r->stride[PDY]);                                        \
        const T *q = (const void *)(r->first[Q] + i * r->stride[Q]);                                             \
        T w[MOST], along[MOST], mean = 0;                                                                        \
        struct stops s;                                                                                          \
                                                                                                                 \
        find_stops(n->in[Q]->dim[1], i, &s);                                                                     \
        weights_##NAME(n, r, &s, i, w);                                                                          \
        for (int k = 0; k < s.n; k++) {                                                                          \
            along[k] = dot_##NAME(dy, stop_at(r, V, &s, k), d);                                                  \
            mean += w[k] * along[k];                                                                             \
        }                                                                                                        \
        for (int k = 0; k < s.n; k++) {                                                                          \
            const T ds = (T)a->scale * w[k] * (along[k] - mean);                                                 \
                                                                                                                 \
            add_##NAME(w[k], dy, grad_at(r, V, &s, k), d);                                                       \
            add_##NAME(ds, q, grad_at(r, K, &s, k), d);                                                          \
            add_##NAME(ds, stop_at(r, K, &s, k), (void *)(r->grad[Q] + i * r->grad_stride[Q]), d);               \
        }                                                                                                        \
    }
PATH_FORMS(float, expf, f32)
PATH_FORMS(double, exp, f64)

static void path_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ctx;
    const int64_t L = n->in[Q]->dim[1], d = n->in[Q]->dim[3];
    const size_t size = sqa_dtype_size(n->in[Q]->dtype);
    const bool wide = n->in[Q]->dtype == SQA_F64, backward = n->nin > PDY;

    (void)thread;
    for (int64_t pair = first; pair < first + count; pair++) {
        for (int o = 0; backward && o < n->nout; o++)
            for (int64_t t = 0; t < n->out[o]->dim[1]; t++)
                memset(sqa_head_row(n->out[o], pair, t, size), 0, (size_t)d * size);
        const struct rows rows = rows_of(n, pair, size);
        for (int64_t i = 0; i < L; i++) {
            if (backward)
                (wide ? path_bwd_row_f64 : path_bwd_row_f32)(n, &rows, i);
            else
                (wide ? path_row_f64 : path_row_f32)(n, &rows, i);
        }
    }
}

double sqa_path_pairs(int64_t length)
{
    double sum = (double)length;

    for (int l = 0; length >> l > 0; l++) { /* positions with bit l */
        const int64_t half = (int64_t)1 << l;

        sum += (double)(length / (2 * half) * half + sqa_max64(0, length % (2 * half) - half));
    }
    return sum;
}

static double all_pairs(const struct sqa_node *n)
{
    return (double)(n->in[Q]->dim[0] * n->in[Q]->dim[2]) * sqa_path_pairs(n->in[Q]->dim[1]);
}

static double path_flops(const struct sqa_node *n)
{
    return all_pairs(n) * (4 * (double)n->in[Q]->dim[3] + 5);
}

static double path_bwd_flops(const struct sqa_node *n)
{
    return all_pairs(n) * (10 * (double)n->in[Q]->dim[3] + 10);
}

static void path_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_chunks(r, n->in[Q]->dim[0] * n->in[Q]->dim[2], 1, path_flops(n), path_pairs, (void *)(uintptr_t)n);
}

static const struct sqa_op op_path_bwd = {
    .name = "path_attention_bwd",
    .help = "gradients of path_attention",
    .shape = path_shape,
    .run = path_run,
    .flops = path_bwd_flops,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << KR | 1 << VR | 1 << PDY,
    .tolerance = 1e-4,
};

static void path_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[PDY + 1], *d;

    memcpy(in, n->in, PDY * sizeof *in);
    in[PDY] = sqa_dense_rows(g, dy[0]);
    d = sqa_apply(g, &op_path_bwd, n->attr, sizeof(struct path), PDY + 1, in);
    for (int i = Q; d != NULL && i <= VR; i++)
        dx[i] = n->in[i] != NULL ? d->node->out[i] : NULL;
}

static const struct sqa_op op_path = {
    .name = "path_attention",
    .help = "softmax attention of i to itself and to regions that tile 0 .. i - 1",
    .shape = path_shape,
    .run = path_run,
    .grad = path_grad,
    .flops = path_flops,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << KR | 1 << VR,
};

struct sqa_tensor *sqa_path_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                      struct sqa_tensor *v, struct sqa_tensor *kr, struct sqa_tensor *vr,
                                      double scale)
{
    const struct path a = {scale};
    struct sqa_tensor *const in[] = {sqa_dense_rows(g, q), sqa_dense_rows(g, k), sqa_dense_rows(g, v),
                                     sqa_dense_rows(g, kr), sqa_dense_rows(g, vr)};

    return sqa_ready(g, "path_attention", 3, in) ? sqa_apply(g, &op_path, &a, sizeof a, 5, in) : NULL;
}
