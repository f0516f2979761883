/*
 * fftconv.c - long convolution by FFT, causal or two-sided, and its fused gradient
 *
 * u (B, L, D) has its channels side by side, so that a block of BLOCK channels is gathered into dense rows at a time;
 * a block is the unit of parallel work. Sums over the batch run in order.
 */
#include "engine/ops/support.h"

enum { BLOCK = 8, MAX_LENGTH = 1 << 20 };
enum { U, KERNEL, KERNEL2, DY };

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    int64_t batch, length, width;
    size_t row, spectrum, fft; /* bytes, multiples of 64 */
    size_t bytes;              /* of a thread's workspace */
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

/* Workspace of a thread: spectra of the block's kernels; three rows of the block; spectra of u and dy; in the
 * gradient also the block's sums; and the FFT's own. */
static struct job job_of(const struct sqa_node *n, void *workspace)
{
    const struct sqa_tensor *u = n->in[U];
    struct job j = {.node = n, .k = sqa_kernels_of(u->dtype), .workspace = workspace};
    const size_t size = j.k->size;

    j.batch = u->dim[0];
    j.length = u->dim[1];
    j.width = u->dim[2];
    j.row = sqa_align64((size_t)j.length * size);
    j.spectrum = sqa_align64(j.k->fft_spectrum(sqa_max64(1, j.length)) * size);
    j.fft = sqa_align64(j.k->fft_workspace(sqa_max64(1, j.length)));
    j.bytes = 3 * BLOCK * j.row + (2 * BLOCK + 2) * j.spectrum + j.fft;
    return j;
}

struct scratch {
    unsigned char *rows[3], *kernel, *sum, *u, *dy, *fft;
};

static struct scratch scratch_of(const struct job *j, int thread)
{
    unsigned char *p = j->workspace + (size_t)thread * j->bytes;
    struct scratch s;

    for (int i = 0; i < 3; i++, p += BLOCK * j->row)
        s.rows[i] = p;
    s.kernel = p;
    s.sum = s.kernel + BLOCK * j->spectrum;
    s.u = s.sum + BLOCK * j->spectrum;
    s.dy = s.u + j->spectrum;
    s.fft = s.dy + j->spectrum;
    return s;
}

/* Block of `count` channels from `first` on of batch row b, from (L, D) to dense rows and back. */
static void gather(const struct job *j, const struct sqa_tensor *x, int64_t b, int64_t first, int64_t count,
                   unsigned char *rows)
{
    const int64_t row = (int64_t)(j->row / j->k->size);

    sqa_copy_block(j->k->size, 2, (const int64_t[]){j->length, count},
                   sqa_at_const(sqa_data(x), b * x->stride[0] + first * x->stride[2], j->k->size),
                   (const int64_t[]){x->stride[1], x->stride[2]}, rows, (const int64_t[]){1, row});
}

static void scatter(const struct job *j, const unsigned char *rows, struct sqa_tensor *y, int64_t b, int64_t first,
                    int64_t count)
{
    const int64_t row = (int64_t)(j->row / j->k->size);

    sqa_copy_block(j->k->size, 2, (const int64_t[]){j->length, count}, rows, (const int64_t[]){1, row},
                   sqa_at(sqa_data(y), b * y->stride[0] + first, j->k->size), (const int64_t[]){y->stride[1], 1});
}

static void kernel_spectra(const struct job *j, const struct scratch *s, int64_t first, int64_t count)
{
    const struct sqa_tensor *k2 = j->node->in[KERNEL2];
    const size_t size = j->k->size;

    for (int64_t c = 0; c < count; c++)
        j->k->fft_forward(sqa_at_const(sqa_data(j->node->in[KERNEL]), (first + c) * j->length, size),
                          k2 == NULL ? NULL : sqa_at_const(sqa_data(k2), (first + c) * j->length, size), j->length,
                          s->kernel + (size_t)c * j->spectrum, s->fft);
}

static void convolve(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct scratch s = scratch_of(j, thread);

    kernel_spectra(j, &s, first, count);
    for (int64_t b = 0; b < j->batch; b++) {
        gather(j, j->node->in[U], b, first, count, s.rows[0]);
        for (int64_t c = 0; c < count; c++) {
            j->k->fft_forward(s.rows[0] + (size_t)c * j->row, NULL, j->length, s.u, s.fft);
            j->k->fft_apply(s.u, s.kernel + (size_t)c * j->spectrum, 0, j->length, s.rows[1] + (size_t)c * j->row,
                            s.fft);
        }
        scatter(j, s.rows[1], j->node->out[0], b, first, count);
    }
}

/* Transform length and its cost: n real points take 2.5 n log2 n. */
static double padded(const struct sqa_node *n, double *transform)
{
    double length = 2, log2 = 1;

    while (length < 2 * (double)n->in[U]->dim[1]) {
        length *= 2;
        log2 += 1;
    }
    *transform = 2.5 * length * log2;
    return length;
}

static double flops(const struct sqa_node *n)
{
    double transform;
    const double length = padded(n, &transform);
    const double batch = (double)n->in[U]->dim[0], width = (double)n->in[U]->dim[2];

    return width * (batch * (2 * transform + 6 * (length / 2 + 1)) + transform);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace);

    if (sqa_numel(n->out[0]) != 0)
        sqa_chunks(r, j.width, BLOCK, flops(n), convolve, &j);
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * job_of(n, NULL).bytes;
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
    const struct scratch s = scratch_of(j, thread);
    struct sqa_tensor *const *out = j->node->out;
    const size_t size = j->k->size;

    kernel_spectra(j, &s, first, count);
    memset(s.sum, 0, (size_t)count * j->spectrum);
    for (int64_t b = 0; b < j->batch; b++) {
        gather(j, j->node->in[U], b, first, count, s.rows[0]);
        gather(j, j->node->in[DY], b, first, count, s.rows[1]);
        for (int64_t c = 0; c < count; c++) {
            const size_t row = (size_t)c * j->row, spectrum = (size_t)c * j->spectrum;

            j->k->fft_forward(s.rows[0] + row, NULL, j->length, s.u, s.fft);
            j->k->fft_forward(s.rows[1] + row, NULL, j->length, s.dy, s.fft);
            j->k->fft_accumulate(s.u, s.dy, s.sum + spectrum, j->length);
            j->k->fft_apply(s.dy, s.kernel + spectrum, 1, j->length, s.rows[2] + row, s.fft);
        }
        scatter(j, s.rows[2], out[0], b, first, count);
    }
    for (int64_t c = 0; c < count; c++)
        j->k->fft_kernel_grad(
            s.sum + (size_t)c * j->spectrum, j->length, sqa_at(sqa_data(out[1]), (first + c) * j->length, size),
            j->node->in[KERNEL2] == NULL ? NULL : sqa_at(sqa_data(out[2]), (first + c) * j->length, size), s.fft);
}

/* u, dy and du transforms; products for du and, summed, for dk; per channel the kernel's transform and dk's. */
static double bwd_flops(const struct sqa_node *n)
{
    double transform;
    const double length = padded(n, &transform);
    const double batch = (double)n->in[U]->dim[0], width = (double)n->in[U]->dim[2];

    return width * (batch * (3 * transform + 14 * (length / 2 + 1)) + 2 * transform);
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace);

    if (j.width != 0 && j.length != 0)
        sqa_chunks(r, j.width, BLOCK, bwd_flops(n), differentiate, &j);
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
    struct sqa_tensor *const in[] = {n->in[U], n->in[KERNEL], n->in[KERNEL2], dy[0]};
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
    struct sqa_tensor *const in[] = {u, k, k2};

    if (!sqa_ready(g, "fftconv", 2, in))
        return NULL;
    return sqa_apply(g, &sqa_op_fftconv, NULL, 0, 3, in);
}
