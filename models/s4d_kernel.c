/* s4d_kernel.c - see s4d_kernel.h */
#include "models/s4d_kernel.h"

#include <math.h>

#include "engine/ops/support.h"
#include "models/vandermonde.h"

enum { LOG_DT, LOG_A_RE, A_IM, C, SKIP, DK, DK2 };
enum { MODE_FLOPS = 24, MODE_BWD_FLOPS = 70 }; /* exp(dt A) and (exp(dt A) - 1) / A; the parameters' gradients */

/* a, z = exp(dt a), gain = (z - 1) / a of a channel's modes */
static void set_modes(const struct sqa_node *n, int64_t channel, const struct sqa_modes *m)
{
    const double dt = exp(sqa_number(n->in[LOG_DT], channel));

    for (int64_t i = 0; i < m->count; i++) {
        const double complex a = sqa_complex(-exp(sqa_number(n->in[LOG_A_RE], channel * m->count + i)),
                                             sqa_number(n->in[A_IM], channel * m->count + i));
        const double re = dt * creal(a), im = dt * cimag(a), less = expm1(re), half = sin(im / 2);
        const double c = 1 - 2 * half * half, z_im = (1 + less) * sin(im);

        sqa_set_mode(m->a, i, m->count, a);
        sqa_set_mode(m->z, i, m->count, sqa_complex((1 + less) * c, z_im));
        sqa_set_mode(m->gain, i, m->count, sqa_over(sqa_complex(less * c - 2 * half * half, z_im), a));
    }
}

static void gradient(const struct sqa_node *n, int64_t channel, int64_t r, const struct sqa_modes *m,
                     const double *t0, const double *t1, double *sum);

static const struct sqa_vandermonde law = {.c = C, .scale = 2, .set = set_modes, .gradient = gradient};

static void gradient(const struct sqa_node *n, int64_t channel, int64_t r, const struct sqa_modes *m,
                     const double *t0, const double *t1, double *sum)
{
    const double dt = exp(sqa_number(n->in[LOG_DT], channel));

    for (int64_t i = 0; i < m->count; i++) {
        const double complex a = sqa_mode(m->a, i, m->count), z = sqa_mode(m->z, i, m->count);
        const double complex b = sqa_mode(m->gain, i, m->count), t = sqa_mode(t0, i, m->count);
        const double complex c = sqa_vandermonde_c(&law, n, r, channel, i);
        const double complex dl = 2 * sqa_times(sqa_times(c, b), sqa_mode(t1, i, m->count));
        const int64_t mode = channel * m->count + i;
        /* db/da = (dt z - b) / a, db/ddt = z */
        const double complex da = dt * dl + 2 * sqa_times(sqa_times(t, c), sqa_over(dt * z - b, a));
        const double complex ddt = sqa_times(dl, a) + 2 * sqa_times(sqa_times(t, c), z);

        sum[0] += dt * creal(ddt);
        sqa_put_number(n->out[LOG_A_RE], mode,
                       (r == 0 ? 0 : sqa_number(n->out[LOG_A_RE], mode)) + creal(a) * creal(da));
        sqa_put_number(n->out[A_IM], mode, (r == 0 ? 0 : sqa_number(n->out[A_IM], mode)) - cimag(da));
    }
    sqa_put_number(n->out[LOG_DT], channel, sum[0]);
}

static enum sqa_status kernel_check(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *c = n->in[C];
    const int64_t modes = c->rank == 4 ? c->dim[1] * c->dim[2] : 0;
    char text[96];

    if (sqa_vandermonde_shape(&law, n) != SQA_OK || sqa_numel(n->in[LOG_DT]) != c->dim[1] ||
        sqa_numel(n->in[LOG_A_RE]) != modes || sqa_numel(n->in[A_IM]) != modes)
        return sqa_shape_fail(n, err,
                              "c is %s; give log_dt (D), log_a_re and a_im (D, M), c (1 or 2, D, M, 2), d (D)",
                              sqa_shape_text(c, text));
    return SQA_OK;
}

static size_t kernel_workspace(const struct sqa_node *n, int threads)
{
    return sqa_vandermonde_workspace(&law, n, threads);
}

static double kernel_flops(const struct sqa_node *n)
{
    const int64_t *length = n->attr, *dim = n->in[C]->dim;

    return sqa_s4d_kernel_flops(dim[0], dim[1], dim[2], *length);
}

static double kernel_bwd_flops(const struct sqa_node *n)
{
    const int64_t *length = n->attr, *dim = n->in[C]->dim;

    return sqa_vandermonde_bwd_flops(MODE_FLOPS, MODE_BWD_FLOPS, dim[0], dim[1], dim[2], *length);
}

static void kernel_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_vandermonde_run(&law, n, r);
}

static const struct sqa_op op_kernel_bwd = {
    .name = "s4d_kernel_bwd",
    .help = "gradients of s4d_kernel",
    .shape = kernel_check,
    .run = kernel_run,
    .flops = kernel_bwd_flops,
    .workspace = kernel_workspace,
    .tolerance = 1e-4,
};

static void kernel_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[DK2 + 1] = {n->in[LOG_DT], n->in[LOG_A_RE], n->in[A_IM], n->in[C], n->in[SKIP]}, *t;

    for (int i = 0; i < n->nout; i++)
        in[DK + i] = dy[i] != NULL ? dy[i] : sqa_fill(g, 0.0, 2, n->out[i]->dim);
    t = sqa_apply(g, &op_kernel_bwd, n->attr, sizeof(int64_t), DK + n->nout, in);
    for (int i = 0; t != NULL && i <= C; i++)
        dx[i] = t->node->out[i];
    dx[SKIP] = sqa_reshape(g, sqa_slice(g, in[DK], 1, 0, 1), 1, n->in[SKIP]->dim);
}

static const struct sqa_op op_kernel = {
    .name = "s4d_kernel",
    .help = "K_l = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(l dt A_n), d added to the first K_0",
    .shape = kernel_check,
    .run = kernel_run,
    .grad = kernel_grad,
    .flops = kernel_flops,
    .workspace = kernel_workspace,
    .tolerance = 1e-5,
};

struct sqa_tensor *sqa_s4d_kernel(struct sqa_graph *g, struct sqa_s4d_parameters p, int64_t length,
                                  struct sqa_tensor **second)
{
    struct sqa_tensor *const in[] = {p.log_dt, p.log_a_re, p.a_im, p.c, p.d};
    struct sqa_tensor *kernel;

    *second = NULL;
    if (!sqa_ready(g, "s4d_kernel", 5, in))
        return NULL;
    kernel = sqa_apply(g, &op_kernel, &length, sizeof length, 5, in);
    if (kernel != NULL && kernel->node->nout > 1)
        *second = kernel->node->out[1];
    return kernel;
}

double sqa_s4d_kernel_flops(int64_t kernels, int64_t width, int64_t modes, int64_t length)
{
    return sqa_vandermonde_flops(MODE_FLOPS, kernels, width, modes, length);
}

/* s4d_step: z and w for the recurrence. Outputs (2, D, M): real parts, then imaginary ones; of w minus those, so that
 * Re(w x) is a sum of products. */

static enum sqa_status step_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *c = n->in[C];
    char text[96];

    if (sqa_vandermonde_step_shape(&law, n) != SQA_OK || sqa_numel(n->in[LOG_DT]) != c->dim[1] ||
        sqa_numel(n->in[LOG_A_RE]) != c->dim[1] * c->dim[2] || sqa_numel(n->in[A_IM]) != c->dim[1] * c->dim[2])
        return sqa_shape_fail(n, err, "c is %s; give log_dt (D), log_a_re and a_im (D, M), c (1, D, M, 2)",
                              sqa_shape_text(c, text));
    return SQA_OK;
}

static void step_run(const struct sqa_node *n, const struct sqa_run *r)
{
    sqa_vandermonde_step_run(&law, n, r);
}

static const struct sqa_op op_step = {
    .name = "s4d_step_tables",
    .help = "exp(dt A) and 2 C (exp(dt A) - 1) / A",
    .shape = step_shape,
    .run = step_run,
    .workspace = kernel_workspace,
};

struct sqa_tensor *sqa_s4d_step_tables(struct sqa_graph *g, struct sqa_s4d_parameters p, struct sqa_tensor **w)
{
    struct sqa_tensor *const in[] = {p.log_dt, p.log_a_re, p.a_im, p.c};
    const int64_t length = 1;

    *w = NULL;
    if (!sqa_ready(g, "s4d_step_tables", 4, in))
        return NULL;
    struct sqa_tensor *z = sqa_apply(g, &op_step, &length, sizeof length, 4, in);

    if (z != NULL)
        *w = z->node->out[1];
    return z;
}
