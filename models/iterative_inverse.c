/*
 * iterative_inverse.c - see iterative_inverse.h
 *
 * A matrix is the unit of parallel work. An iteration is computed as P = A Z, V1 = 7 Z - Z P, V2 = 15 Z - V1 P,
 * Z' = (13 Z - V2 P) / 4, which needs no I; Z_1 to Z_(iterations - 1) are kept for the gradient, which makes the rest
 * again.
 */
#include "models/iterative_inverse.h"

#include "engine/ops/support.h"

enum { A, Z0, KEPT, DY }; /* inputs of the gradient; those of the op: A, Z0 */
enum { PARTS = 3, BWD_PARTS = 8 };

struct attr {
    int64_t iterations;
};

struct job {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    int64_t m, iterations;
    unsigned char *workspace;
};

static struct job job_of(const struct sqa_node *n, void *workspace)
{
    return (struct job){.n = n,
                        .k = sqa_kernels_of(n->in[A]->dtype),
                        .m = n->in[A]->dim[3],
                        .iterations = ((const struct attr *)n->attr)->iterations,
                        .workspace = workspace};
}

static double matrices_of(const struct sqa_node *n)
{
    return (double)(n->in[A]->dim[0] * n->in[A]->dim[1]);
}

static void *matrix(const struct job *j, const struct sqa_tensor *t, int64_t i)
{
    return sqa_at(sqa_data(t), i * j->m * j->m, j->k->size);
}

/* Part `i` of a thread's workspace */
static void *part(const struct job *j, int thread, int parts, int i)
{
    return sqa_at(j->workspace, ((int64_t)thread * parts + i) * j->m * j->m, j->k->size);
}

/* c = alpha op(a) op(b) + beta c */
static void product(const struct job *j, int ta, int tb, double alpha, const void *a, const void *b, double beta,
                    void *c)
{
    j->k->gemm(ta, tb, j->m, j->m, j->m, alpha, a, j->m, b, j->m, beta, c, j->m);
}

/* c = x times `times` less a p */
static void less(const struct job *j, double times, const void *x, const void *a, const void *p, double scale, void *c)
{
    memcpy(c, x, (size_t)(j->m * j->m) * j->k->size);
    product(j, 0, 0, -scale, a, p, times * scale, c);
}

static void iterate(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    struct sqa_tensor *const *out = j->n->out;
    void *p = part(j, thread, PARTS, 0), *v1 = part(j, thread, PARTS, 1), *v2 = part(j, thread, PARTS, 2);

    for (int64_t i = first; i < first + count; i++) {
        const void *a = matrix(j, j->n->in[A], i), *z = matrix(j, j->n->in[Z0], i);

        for (int64_t s = 1; s <= j->iterations; s++) {
            void *next =
                s == j->iterations ? matrix(j, out[0], i) : matrix(j, out[1], i * (j->iterations - 1) + s - 1);

            product(j, 0, 0, 1, a, z, 0, p);
            less(j, 7, z, z, p, 1, v1);
            less(j, 15, z, v1, p, 1, v2);
            less(j, 13, z, v2, p, 0.25, next);
            z = next;
        }
    }
}

double sqa_iterative_inverse_flops(double matrices, int64_t m, int64_t iterations)
{
    const double n = (double)m;

    return matrices * (double)iterations * (8 * n * n * n + 7 * n * n);
}

static double flops(const struct sqa_node *n)
{
    return sqa_iterative_inverse_flops(matrices_of(n), n->in[A]->dim[3], ((const struct attr *)n->attr)->iterations);
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *p = n->attr;
    const struct sqa_tensor *a = n->in[A], *z = n->in[Z0];
    char one[96], two[96];

    if (!sqa_is_real(a) || a->rank != 4 || a->dim[2] != a->dim[3] || !sqa_same_shape(a, z) || z->dtype != a->dtype)
        return sqa_shape_fail(n, err, "a is %s, z0 %s; give both (B, H, m, m)", sqa_shape_text(a, one),
                              sqa_shape_text(z, two));
    sqa_set_output(n, 0, a->dtype, 4, a->dim);
    sqa_set_output(n, 1, a->dtype, 5,
                   (const int64_t[]){a->dim[0], a->dim[1], p->iterations - 1, a->dim[2], a->dim[3]});
    return SQA_OK;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    const int64_t m = n->in[A]->dim[3], parts = n->nin > DY ? BWD_PARTS : PARTS;

    return (size_t)threads * (size_t)(parts * m * m) * sqa_dtype_size(n->in[A]->dtype);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace);

    if (sqa_numel(n->in[A]) != 0)
        sqa_chunks(r, n->in[A]->dim[0] * n->in[A]->dim[1], 1, flops(n), iterate, &j);
}

/* The gradient: outputs dA, dZ0 */

/* g (of Z') becomes the gradient of Z; da is added to. */
static void step_back(const struct job *j, const void *a, const void *z, void *da, void *g, int thread)
{
    void *p = part(j, thread, BWD_PARTS, 0), *v1 = part(j, thread, BWD_PARTS, 1), *v2 = part(j, thread, BWD_PARTS, 2);
    void *dp = part(j, thread, BWD_PARTS, 3), *dv1 = part(j, thread, BWD_PARTS, 4);
    void *dv2 = part(j, thread, BWD_PARTS, 5), *dz = part(j, thread, BWD_PARTS, 6);
    const size_t n = (size_t)(j->m * j->m);

    product(j, 0, 0, 1, a, z, 0, p);
    less(j, 7, z, z, p, 1, v1);
    less(j, 15, z, v1, p, 1, v2);
    product(j, 0, 1, -0.25, g, p, 0, dv2);
    product(j, 1, 0, -0.25, v2, g, 0, dp);
    product(j, 0, 1, -1, dv2, p, 0, dv1);
    product(j, 1, 0, -1, v1, dv2, 1, dp);
    product(j, 1, 0, -1, z, dv1, 1, dp);
    j->k->affine(3.25, g, 0, dz, n);
    j->k->axpy(15, dv2, dz, n);
    j->k->axpy(7, dv1, dz, n);
    product(j, 0, 1, -1, dv1, p, 1, dz);
    product(j, 1, 0, 1, a, dp, 1, dz);
    product(j, 0, 1, 1, dp, z, 1, da);
    memcpy(g, dz, n * j->k->size);
}

static void differentiate(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    struct sqa_tensor *const *in = j->n->in, *const *out = j->n->out;
    const size_t bytes = (size_t)(j->m * j->m) * j->k->size;
    void *g = part(j, thread, BWD_PARTS, 7);

    for (int64_t i = first; i < first + count; i++) {
        void *da = matrix(j, out[0], i);

        memset(da, 0, bytes);
        memcpy(g, matrix(j, in[DY], i), bytes);
        for (int64_t s = j->iterations - 1; s >= 0; s--)
            step_back(j, matrix(j, in[A], i),
                      s == 0 ? matrix(j, in[Z0], i) : matrix(j, in[KEPT], i * (j->iterations - 1) + s - 1), da, g,
                      thread);
        memcpy(matrix(j, out[1], i), g, bytes);
    }
}

/* Three products made again and eight of the gradient, an iteration */
static double bwd_flops(const struct sqa_node *n)
{
    const double m = (double)n->in[A]->dim[3], iterations = (double)((const struct attr *)n->attr)->iterations;

    return matrices_of(n) * iterations * (22 * m * m * m + 12 * m * m);
}

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    for (int i = 0; i < 2; i++)
        sqa_set_output(n, i, n->in[A]->dtype, 4, n->in[A]->dim);
    return SQA_OK;
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace);

    if (sqa_numel(n->in[A]) != 0)
        sqa_chunks(r, n->in[A]->dim[0] * n->in[A]->dim[1], 1, bwd_flops(n), differentiate, &j);
}

static const struct sqa_op op_backward = {
    .name = "iterative_inverse_bwd",
    .help = "gradients of a and z0 of iterative_inverse",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .workspace = workspace,
    .tolerance = 1e-3,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->in[A], n->in[Z0], n->out[1], dy[0]};
    struct sqa_tensor *d;

    if (dy[0] == NULL)
        return;
    d = sqa_apply(g, &op_backward, n->attr, sizeof(struct attr), 4, in);
    if (d == NULL)
        return;
    dx[A] = d;
    dx[Z0] = d->node->out[1];
}

static const struct sqa_op op_inverse = {
    .name = "iterative_inverse",
    .help = "Z <- Z (13 I - A Z (15 I - A Z (7 I - A Z))) / 4, repeated",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .tolerance = 1e-3,
};

struct sqa_tensor *sqa_iterative_inverse(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *z0,
                                         int64_t iterations)
{
    const struct attr p = {iterations};
    struct sqa_tensor *const in[] = {a, z0};

    return sqa_ready(g, "iterative_inverse", 2, in) ? sqa_apply(g, &op_inverse, &p, sizeof p, 2, in) : NULL;
}

struct sqa_tensor *sqa_inverse_start(struct sqa_graph *g, struct sqa_tensor *a, double least, bool batch)
{
    struct sqa_tensor *top = sqa_max_over(g, sqa_sum(g, a, 1u << 2, true), batch ? 15u : 1u << 3, true);

    top = sqa_binary(g, SQA_BINARY_MAX, top, sqa_fill(g, least, 0, NULL));
    return sqa_div(g, sqa_transpose(g, a, 2, 3), top);
}

double sqa_inverse_start_flops(double matrices, int64_t m, bool batch)
{
    const double n = (double)m;

    return matrices * (2 * n * n + n) + (batch ? 1 : matrices);
}
