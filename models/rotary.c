/* rotary.c - see rotary.h */
#include "models/rotary.h"

#include <math.h>

#include "engine/ops/support.h"

struct attr {
    double scale;
    int back; /* by -theta: the gradient */
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (!sqa_is_real(x) || x->rank != 4 || x->dim[3] % 2 != 0)
        return sqa_shape_fail(n, err, "x is %s; give real (B, L, H, d) with an even d", sqa_shape_text(x, have));
    sqa_set_output(n, 0, x->dtype, 4, x->dim);
    return n->in[1] == NULL ? SQA_OK : sqa_check_lengths(n, 1, 1, err);
}

/* Workspace: a row of d / 2 cosines and d / 2 sines for each position; the angles' factors in double. */
static size_t table_bytes(const struct sqa_node *n)
{
    const struct sqa_tensor *x = n->in[0];

    return sqa_align64((size_t)(x->dim[1] * x->dim[3]) * sqa_dtype_size(x->dtype));
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    (void)threads;
    return table_bytes(n) + 2 * (size_t)n->in[0]->dim[3] * sizeof(double);
}

static void fill_table(const struct sqa_node *n, void *table)
{
    const struct attr *p = n->attr;
    const struct sqa_tensor *x = n->in[0];
    const int64_t half = x->dim[3] / 2;
    const double first = n->in[1] != NULL ? (double)*(const int32_t *)sqa_data(n->in[1]) : 0;
    double *z = sqa_at(table, (int64_t)table_bytes(n), 1), *w = z + 2 * half;

    for (int64_t j = 0; j < half; j++) {
        const double theta = pow(10000, half > 1 ? -(double)j / (double)(half - 1) : 0);

        z[j] = cos(theta);
        z[half + j] = sin(theta);
        w[j] = cos(first * theta);
        w[half + j] = sin(first * theta);
    }
    sqa_kernels_of(x->dtype)->powers(z, w, (size_t)half, (size_t)x->dim[1], p->scale, p->back ? -p->scale : p->scale,
                                     table, (size_t)x->dim[3]);
}

#define ROTATE(T)                                                               \
    static void rotate_##T(const T *x, const T *cosine, int64_t half, T *y)     \
    {                                                                           \
        const T *sine = cosine + half;                                          \
        for (int64_t j = 0; j < half; j++) {                                    \
            const T a = x[2 * j], b = x[2 * j + 1], c = cosine[j], s = sine[j]; \
            y[2 * j] = a * c - b * s;                                           \
            y[2 * j + 1] = a * s + b * c;                                       \
        }                                                                       \
    }
ROTATE(float)
ROTATE(double)

struct job {
    const struct sqa_node *n;
    const void *table;
};

static void rows(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_tensor *x = j->n->in[0], *y = j->n->out[0];
    const int64_t length = x->dim[1], heads = x->dim[2], d = x->dim[3];
    const size_t size = sqa_dtype_size(x->dtype);

    (void)thread;
    for (int64_t i = first; i < first + count; i++)
        for (int64_t h = 0; h < heads; h++) {
            const int64_t t = i % length, pair = i / length * heads + h;
            const void *from = sqa_head_row(x, pair, t, size), *turn = sqa_at_const(j->table, t * d, size);

            if (x->dtype == SQA_F64)
                rotate_double(from, turn, d / 2, sqa_head_row(y, pair, t, size));
            else
                rotate_float(from, turn, d / 2, sqa_head_row(y, pair, t, size));
        }
}

/* A number: two products and a sum; of the table a power, 3 */
double sqa_rotary_flops(int64_t batch, int64_t length, int64_t heads, int64_t d)
{
    return 3 * (double)((batch * heads + 1) * length * d);
}

static double flops(const struct sqa_node *n)
{
    const int64_t *x = n->in[0]->dim;

    return sqa_rotary_flops(x[0], x[1], x[2], x[3]);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = {n, r->workspace};

    if (sqa_numel(n->out[0]) == 0)
        return;
    fill_table(n, r->workspace);
    sqa_chunks(r, n->in[0]->dim[0] * n->in[0]->dim[1], 256, flops(n), rows, &j);
}

static struct sqa_tensor *rotate(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *position, double scale,
                                 int back);

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr *p = n->attr;

    dx[0] = rotate(g, dy[0], n->in[1], p->scale, !p->back);
}

static const struct sqa_op op_rotary = {
    .name = "rotary",
    .help = "pairs of channels turned by an angle that grows with the position",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .in_place = 1,
    .strided = 1,
};

static struct sqa_tensor *rotate(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *position, double scale,
                                 int back)
{
    const struct attr p = {scale, back};

    if (!sqa_ready(g, "rotary", 1, &x))
        return NULL;
    return sqa_apply(g, &op_rotary, &p, sizeof p, 2, (struct sqa_tensor *const[]){sqa_dense_rows(g, x), position});
}

struct sqa_tensor *sqa_rotary(struct sqa_graph *g, struct sqa_tensor *x, double scale, struct sqa_tensor *position)
{
    return rotate(g, x, position, scale, 0);
}
