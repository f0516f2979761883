/*
 * sinkhorn_matrix.c - sqa_sinkhorn of sinkhorn_attention.h
 *
 * In double, one (batch, head) at a time, row by row. The backward pass makes the matrices between the steps again.
 */
#include <math.h>

#include "engine/ops/support.h"
#include "models/sinkhorn_attention.h"

enum { R, LENGTHS, DP, FORWARD_INPUTS = DP, BACKWARD_INPUTS = DP + 1 };

struct job {
    const struct sqa_node *n;
    const struct sqa_sinkhorn_spec *s;
    double *workspace;
    size_t per_thread; /* elements */
    int64_t blocks;
};

static size_t thread_workspace(const struct sqa_node *n)
{
    const struct sqa_sinkhorn_spec *s = n->attr;
    const int64_t blocks = n->in[R]->dim[1];
    const int64_t matrices = n->nin == FORWARD_INPUTS ? 1 : 2 * s->iterations + 2;

    return (size_t)((matrices * blocks * blocks + 3 * blocks + 7) / 8 * 8);
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * thread_workspace(n) * sizeof(double);
}

/* Row n of the (B, nb, H, nb) matrix of a pair. */
static int64_t row_offset(const struct job *j, int64_t pair, int64_t n)
{
    const int64_t H = j->n->in[R]->dim[2];

    return ((pair / H * j->blocks + n) * H + pair % H) * j->blocks;
}

static int64_t valid_blocks(const struct job *j, int64_t pair)
{
    const int64_t length = sqa_length_at(j->n->in[LENGTHS], pair / j->n->in[R]->dim[2], j->s->length);

    return sqa_sinkhorn_blocks(length, j->s->block);
}

/* exp(R / temperature), each row times a number that the first step takes away again. */
static void exponentials(const struct job *j, int64_t pair, int64_t valid, double *x)
{
    const struct sqa_tensor *r = j->n->in[R];
    const size_t size = sqa_dtype_size(r->dtype);

    memset(x, 0, (size_t)(j->blocks * j->blocks) * sizeof *x);
    for (int64_t n = 0; n < valid; n++) {
        const void *row = sqa_at_const(sqa_data(r), row_offset(j, pair, n), size);
        const int64_t columns = j->s->causal ? n : valid;
        double top = -(double)INFINITY;

        for (int64_t m = 0; m < columns; m++)
            top = fmax(top, sqa_real_get(r->dtype, sqa_at_const(row, m, size)));
        for (int64_t m = 0; m < columns; m++)
            x[n * j->blocks + m] =
                exp((sqa_real_get(r->dtype, sqa_at_const(row, m, size)) - top) / j->s->temperature);
    }
}

static double inverse(double sum)
{
    return sum > 0 ? 1 / sum : 1;
}

/* y = x over its sums; may alias. */
static void divide_rows(const struct job *j, const double *x, double *y)
{
    for (int64_t n = 0; n < j->blocks; n++, x += j->blocks, y += j->blocks) {
        double sum = 0;

#pragma omp simd reduction(+ : sum)
        for (int64_t m = 0; m < j->blocks; m++)
            sum += x[m];
        const double factor = inverse(sum);
#pragma omp simd
        for (int64_t m = 0; m < j->blocks; m++)
            y[m] = x[m] * factor;
    }
}

/* What a row of x adds to the sums that divide it. causal: a row at a time, each divided by the sum down to it; else
 * all rows before the first. */
static void add_columns(const struct job *j, const double *x, double *sum)
{
    for (int64_t n = 0; n < (j->s->causal ? 1 : j->blocks); n++)
#pragma omp simd
        for (int64_t m = 0; m < j->blocks; m++)
            sum[m] += x[n * j->blocks + m];
}

/* Zeros, or the sums over all rows. */
static void start_columns(const struct job *j, const double *x, double *sum)
{
    memset(sum, 0, (size_t)j->blocks * sizeof *sum);
    if (!j->s->causal)
        add_columns(j, x, sum);
}

/* The same of columns. */
static void divide_columns(const struct job *j, const double *x, double *y, double *sum)
{
    start_columns(j, x, sum);
    for (int64_t n = 0; n < j->blocks; n++, x += j->blocks, y += j->blocks) {
        if (j->s->causal)
            add_columns(j, x, sum);
#pragma omp simd
        for (int64_t m = 0; m < j->blocks; m++)
            y[m] = x[m] * inverse(sum[m]);
    }
}

static void forward_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const int64_t cells = j->blocks * j->blocks;
    const struct sqa_kernels *k = sqa_kernels_of(j->n->out[0]->dtype);
    double *x = j->workspace + (size_t)thread * j->per_thread, *sum = x + cells;

    for (int64_t pair = first; pair < first + count; pair++) {
        exponentials(j, pair, valid_blocks(j, pair), x);
        for (int64_t i = 0; i < j->s->iterations; i++) {
            divide_rows(j, x, x);
            divide_columns(j, x, x, sum);
        }
        k->from_f64(x, sqa_at(sqa_data(j->n->out[0]), pair * cells, k->size), (size_t)cells);
    }
}

/* d of x from d of y = x / sum of its row; in place. */
static void row_gradient(const struct job *j, const double *x, const double *y, double *d)
{
    for (int64_t n = 0; n < j->blocks; n++) {
        const int64_t at = n * j->blocks;
        double sum = 0, along = 0;

#pragma omp simd reduction(+ : sum, along)
        for (int64_t m = 0; m < j->blocks; m++) {
            sum += x[at + m];
            along += d[at + m] * y[at + m];
        }
        const double factor = 1 / sum;
        if (!(sum > 0))
            continue;
#pragma omp simd
        for (int64_t m = 0; m < j->blocks; m++)
            d[at + m] = (d[at + m] - along) * factor;
    }
}

/* 1 / sum; 0 where there is no mass. */
static void invert(const struct job *j, const double *sum, double *inv)
{
#pragma omp simd
    for (int64_t m = 0; m < j->blocks; m++)
        inv[m] = sum[m] > 0 ? 1 / sum[m] : 0;
}

/* The same of x over sums of columns: entry n of a column is in the sums of all rows, or of those from n on. sum:
 * room for three rows. */
static void column_gradient(const struct job *j, const double *x, double *d, double *sum)
{
    const int64_t N = j->blocks;
    const double last = j->s->causal ? 1 : 0; /* a row is in no sum of the rows below */
    double *inv = sum + N, *along = inv + N;

    memset(along, 0, (size_t)N * sizeof *along);
    for (int pass = 0; pass < 2; pass++) {
        start_columns(j, x, sum);
        invert(j, sum, inv);
        for (int64_t n = 0; n < N; n++) {
            const double *row = x + n * N;
            double *to = d + n * N;

            if (j->s->causal) {
                add_columns(j, row, sum);
                invert(j, sum, inv);
            }
            if (pass == 0) {
#pragma omp simd
                for (int64_t m = 0; m < N; m++)
                    along[m] += to[m] * row[m] * inv[m] * inv[m];
                continue;
            }
#pragma omp simd
            for (int64_t m = 0; m < N; m++) {
                const double share = to[m] * row[m] * inv[m] * inv[m];

                to[m] = inv[m] > 0 ? to[m] * inv[m] - along[m] : to[m];
                along[m] -= last * share;
            }
        }
    }
}

static void backward_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const int64_t cells = j->blocks * j->blocks;
    const struct sqa_kernels *k = sqa_kernels_of(j->n->out[0]->dtype);
    double *x = j->workspace + (size_t)thread * j->per_thread, *d = x + (2 * j->s->iterations + 1) * cells;
    double *sums = d + cells;

    for (int64_t pair = first; pair < first + count; pair++) {
        exponentials(j, pair, valid_blocks(j, pair), x);
        for (int64_t i = 0; i < j->s->iterations; i++) {
            divide_rows(j, x + 2 * i * cells, x + (2 * i + 1) * cells);
            divide_columns(j, x + (2 * i + 1) * cells, x + (2 * i + 2) * cells, sums);
        }
        k->to_f64(sqa_at(sqa_data(j->n->in[DP]), pair * cells, k->size), d, (size_t)cells);
        for (int64_t i = j->s->iterations - 1; i >= 0; i--) {
            double *before = x + 2 * i * cells, *between = before + cells;

            column_gradient(j, between, d, sums);
            row_gradient(j, before, between, d);
        }
        for (int64_t n = 0; n < j->blocks; n++) {
            for (int64_t m = 0; m < j->blocks; m++)
                d[n * j->blocks + m] *= x[n * j->blocks + m] / j->s->temperature;
            k->from_f64(d + n * j->blocks, sqa_at(sqa_data(j->n->out[0]), row_offset(j, pair, n), k->size),
                        (size_t)j->blocks);
        }
    }
}

static struct job job_of(const struct sqa_node *n, const struct sqa_run *r)
{
    return (struct job){n, n->attr, r->workspace, thread_workspace(n), n->in[R]->dim[1]};
}

/* Scale, exponential, and in each iteration a sum and a division by rows and by columns. */
double sqa_sinkhorn_flops(double matrices, const struct sqa_sinkhorn_spec *s)
{
    const double blocks = (double)sqa_sinkhorn_blocks(s->length, s->block);

    return matrices * blocks * blocks * (3 + 4 * (double)s->iterations);
}

static double matrices_of(const struct sqa_node *n)
{
    return (double)(n->in[R]->dim[0] * n->in[R]->dim[2]);
}

static double flops(const struct sqa_node *n)
{
    return sqa_sinkhorn_flops(matrices_of(n), n->attr);
}

static double bwd_flops(const struct sqa_node *n)
{
    return 3 * sqa_sinkhorn_flops(matrices_of(n), n->attr);
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_sinkhorn_spec *s = n->attr;
    const struct sqa_tensor *r = n->in[R];
    char have[96];

    if (!sqa_is_real(r) || r->rank != 4 || r->dim[1] != r->dim[3] || s->block < 1 ||
        r->dim[1] != sqa_sinkhorn_blocks(s->length, s->block))
        return sqa_shape_fail(n, err, "R %s for %lld positions in blocks of %lld; give (B, nb, H, nb)",
                              sqa_shape_text(r, have), (long long)s->length, (long long)s->block);
    sqa_set_output(n, 0, r->dtype, 4, (const int64_t[]){r->dim[0], r->dim[2], r->dim[1], r->dim[1]});
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, r->dim[0], err);
}

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, 0, n->in[R]->dtype, 4, n->in[R]->dim);
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const bool forward = n->nin == FORWARD_INPUTS;
    struct job j = job_of(n, r);

    sqa_chunks(r, n->in[R]->dim[0] * n->in[R]->dim[2], 1, forward ? flops(n) : bwd_flops(n),
               forward ? forward_pairs : backward_pairs, &j);
}

static const struct sqa_op op_backward = {
    .name = "sinkhorn_bwd",
    .help = "gradient of R of sinkhorn",
    .shape = bwd_shape,
    .run = run,
    .flops = bwd_flops,
    .workspace = workspace,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->in[R], n->in[LENGTHS], dy[0]};

    dx[0] = sqa_apply(g, &op_backward, n->attr, sizeof(struct sqa_sinkhorn_spec), BACKWARD_INPUTS, in);
}

static const struct sqa_op op_forward = {
    .name = "sinkhorn",
    .help = "exp(R / temperature), rows and columns divided by their sums in turn",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
};

struct sqa_tensor *sqa_sinkhorn(struct sqa_graph *g, struct sqa_tensor *r, struct sqa_tensor *lengths,
                                struct sqa_sinkhorn_spec spec)
{
    struct sqa_tensor *const in[] = {r, lengths};

    return sqa_ready(g, "sinkhorn", 1, in) ? sqa_apply(g, &op_forward, &spec, sizeof spec, FORWARD_INPUTS, in) : NULL;
}
