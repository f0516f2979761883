/*
 * fftconv.c - long convolution by FFT, causal or two-sided, and its fused gradient
 *
 * u (B, L, D) has its channels side by side, and the FFT takes a few of them at once (kernels.h: fft_lanes): they are
 * the unit of parallel work. Kernels (D, L) are turned to rows of such channels first. Sums over the batch run in
 * order.
 */
#include <math.h>

#include "engine/ops/support.h"

enum { MAX_LENGTH = 1 << 20 };
enum { U, KERNEL, KERNEL2, DY };

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    int64_t batch, length, width, lanes;
    size_t table, spectrum; /* bytes, multiples of 64 */
    int spectra;            /* of a thread's workspace */
    unsigned char *workspace;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *u = n->in[U];
    char one[96], two[96];

    if (!sqa_is_real(u) || u->rank != 3)
        return sqa_shape_fail(n, err, "u is %s %s; give real (B, L, D)", sqa_dtype_name(u->dtype),
                              sqa_shape_text(u, one));
    if (u->dim[1] > MAX_LENGTH)
        return sqa_shape_fail(n, err, "length %lld; the FFT takes 1 to %d", (long long)u->dim[1], MAX_LENGTH);
    for (int i = KERNEL; i <= KERNEL2; i++) {
        const struct sqa_tensor *k = n->in[i];

        if (k != NULL && (k->rank != 2 || k->dim[0] != u->dim[2] || k->dim[1] != u->dim[1] || k->dtype != u->dtype))
            return sqa_shape_fail(n, err, "kernel is %s, u is %s; for u (B, L, D) give a kernel (D, L)",
                                  sqa_shape_text(k, two), sqa_shape_text(u, one));
    }
    sqa_set_output(n, 0, u->dtype, 3, u->dim);
    return SQA_OK;
}

/* Workspace: the table; then for each thread the kernels' spectrum and the work of a convolution, or, in the
 * gradient, kernels, sums and two of work. */
static struct job job_of(const struct sqa_node *n, void *workspace)
{
    const struct sqa_tensor *u = n->in[U];
    struct job j = {.node = n, .k = sqa_kernels_of(u->dtype), .workspace = workspace};
    const size_t size = j.k->size;

    j.batch = u->dim[0];
    j.length = u->dim[1];
    j.width = u->dim[2];
    j.lanes = (int64_t)j.k->fft_lanes();
    j.table = sqa_align64(j.k->fft_table(sqa_max64(1, j.length)) * size);
    j.spectrum = sqa_align64(j.k->fft_spectrum(sqa_max64(1, j.length)) * size);
    j.spectra = n->nin > DY ? 4 : 2;
    return j;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    const struct job j = job_of(n, NULL);

    return j.table + (size_t)threads * (size_t)j.spectra * j.spectrum;
}

static void *spectrum_of(const struct job *j, int thread, int i)
{
    return j->workspace + j->table + (size_t)(thread * j->spectra + i) * j->spectrum;
}

/* Row (b, 0), channel c of a (B, L, D) tensor */
static void *row_of(const struct job *j, const struct sqa_tensor *x, int64_t b, int64_t c)
{
    return sqa_at(sqa_data(x), b * x->stride[0] + c, j->k->size);
}

static struct sqa_fft fft_of(const struct job *j, int64_t lanes)
{
    return (struct sqa_fft){.n = j->length, .lanes = lanes, .table = j->workspace};
}

/* Channels first to first + count of a kernel (D, L) <-> rows (L, lanes); NULL when there is no such kernel. */
static void *kernel_rows(const struct job *j, int i, int64_t first, int64_t count, void *rows)
{
    const struct sqa_tensor *k = j->node->in[i];

    if (k == NULL)
        return NULL;
    sqa_copy_block(j->k->size, 2, (const int64_t[]){count, j->length},
                   sqa_at_const(sqa_data(k), first * j->length, j->k->size), (const int64_t[]){j->length, 1}, rows,
                   (const int64_t[]){1, j->lanes});
    return rows;
}

static void put_kernel_rows(const struct job *j, int i, int64_t first, int64_t count, const void *rows)
{
    sqa_copy_block(j->k->size, 2, (const int64_t[]){count, j->length}, rows, (const int64_t[]){1, j->lanes},
                   sqa_at(sqa_data(j->node->out[i]), first * j->length, j->k->size), (const int64_t[]){j->length, 1});
}

/* The rows of both kernels have room in one spectrum, `rows`. */
static void kernel_spectrum(const struct job *j, int64_t first, int64_t count, void *rows, void *spectrum)
{
    const struct sqa_fft f = fft_of(j, count);
    const void *k = kernel_rows(j, KERNEL, first, count, rows);
    const void *k2 = kernel_rows(j, KERNEL2, first, count, sqa_at(rows, j->length * j->lanes, j->k->size));

    j->k->fft_kernel(&f, k, k2, j->lanes, spectrum);
}

static void convolve(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_fft f = fft_of(j, count);
    const struct sqa_tensor *u = j->node->in[U], *y = j->node->out[0];
    void *kernel = spectrum_of(j, thread, 0), *work = spectrum_of(j, thread, 1);

    kernel_spectrum(j, first, count, work, kernel);
    for (int64_t b = 0; b < j->batch; b++)
        j->k->fft_convolve(&f, row_of(j, u, b, first), u->stride[1], kernel, row_of(j, y, b, first), y->stride[1],
                           work);
}

/* Nominal cost of a transform of a real row with its zeros: 2.5 n log2 n for n = 2 L points */
static double transform(const struct sqa_node *n)
{
    const double points = 2 * (double)n->in[U]->dim[1];

    return points > 0 ? 2.5 * points * log2(points) : 0;
}

static double flops(const struct sqa_node *n)
{
    const double batch = (double)n->in[U]->dim[0], length = (double)n->in[U]->dim[1];
    const double width = (double)n->in[U]->dim[2];

    return width * (batch * (2 * transform(n) + 6 * length) + transform(n));
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace);

    if (sqa_numel(n->out[0]) == 0)
        return;
    j.k->fft_prepare(j.length, j.workspace);
    sqa_chunks(r, j.width, j.lanes, flops(n), convolve, &j);
}

/* fftconv_bwd: inputs u, k, k2, dy; outputs du, dk, dk2 (when there is k2) */

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    const enum sqa_status status = shape(n, err);

    if (status != SQA_OK)
        return status;
    for (int i = KERNEL; i <= KERNEL2; i++)
        if (n->in[i] != NULL)
            sqa_set_output(n, i, n->in[i]->dtype, 2, n->in[i]->dim);
    return SQA_OK;
}

static void differentiate(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_fft f = fft_of(j, count);
    const struct sqa_tensor *u = j->node->in[U], *dy = j->node->in[DY], *du = j->node->out[0];
    const bool two = j->node->in[KERNEL2] != NULL;
    void *kernel = spectrum_of(j, thread, 0), *sum = spectrum_of(j, thread, 1), *work = spectrum_of(j, thread, 2);
    void *second = sqa_at(work, j->length * j->lanes, j->k->size);

    kernel_spectrum(j, first, count, work, kernel);
    memset(sum, 0, j->spectrum);
    for (int64_t b = 0; b < j->batch; b++)
        j->k->fft_gradient(&f, row_of(j, u, b, first), u->stride[1], row_of(j, dy, b, first), dy->stride[1], kernel,
                           sum, row_of(j, du, b, first), du->stride[1], work);
    j->k->fft_kernel_grad(&f, sum, work, two ? second : NULL, j->lanes);
    put_kernel_rows(j, 1, first, count, work);
    if (two)
        put_kernel_rows(j, 2, first, count, second);
}

/* u, dy and du transforms; products for du and, summed, for dk; per channel the kernel's transform and dk's. */
static double bwd_flops(const struct sqa_node *n)
{
    const double batch = (double)n->in[U]->dim[0], length = (double)n->in[U]->dim[1];
    const double width = (double)n->in[U]->dim[2];

    return width * (batch * (3 * transform(n) + 14 * length) + 2 * transform(n));
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace);

    if (j.width == 0 || j.length == 0)
        return;
    j.k->fft_prepare(j.length, j.workspace);
    sqa_chunks(r, j.width, j.lanes, bwd_flops(n), differentiate, &j);
}

const struct sqa_op sqa_op_fftconv_bwd = {
    .name = "fftconv_bwd",
    .help = "gradients of u, k and k2 of fftconv",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .workspace = workspace,
    .strided = 1 << U | 1 << DY,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->in[U], n->in[KERNEL], n->in[KERNEL2], sqa_dense_rows(g, dy[0])};
    struct sqa_tensor *d = sqa_apply(g, &sqa_op_fftconv_bwd, NULL, 0, 4, in);

    if (d == NULL)
        return;
    dx[U] = d;
    dx[KERNEL] = d->node->out[1];
    dx[KERNEL2] = n->in[KERNEL2] == NULL ? NULL : d->node->out[2];
}

const struct sqa_op sqa_op_fftconv = {
    .name = "fftconv",
    .help = "y[t] = sum over s <= t of k[t-s] u[s], and over s > t of k2[s-t-1] u[s], for each channel",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 1 << U,
};

struct sqa_tensor *sqa_fftconv(struct sqa_graph *g, struct sqa_tensor *u, struct sqa_tensor *k, struct sqa_tensor *k2)
{
    struct sqa_tensor *const in[] = {sqa_dense_rows(g, u), k, k2};

    if (!sqa_ready(g, "fftconv", 2, in))
        return NULL;
    return sqa_apply(g, &sqa_op_fftconv, NULL, 0, 3, in);
}
