/*
 * checks.c - SIMD forms against the plain f64 form, on random inputs
 *
 * Each run fills inputs (the same numbers as float and as double) from a key, calls both forms and returns the
 * largest difference over the largest result. Bounds leave a factor of about 4 over what was seen. Sizes beyond what
 * the static buffers hold are cut. Not for several threads at once. Here: the table, and checks of what goes over
 * numbers and rows.
 */
#include "kernels/checks.h"

struct sqa_check_buffer sqa_check_buffers[BUFFERS];
double sqa_check_workspaces[2][1 << 17];
static int32_t ids[MAX];

/* Functions of which the argument must be positive get |x| + 1/8. */
static double unary_range(enum sqa_unary f, double *low)
{
    const int positive = f == SQA_UNARY_LOG || f == SQA_UNARY_SQRT || f == SQA_UNARY_RSQRT || f == SQA_UNARY_RECIP;
    *low = positive ? 0.125 : -8;
    return 8;
}

static double run_unary(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    double worst = 0;
    for (int f = 0; f < SQA_UNARY_N; f++) {
        double low, high = unary_range((enum sqa_unary)f, &low);
        fill(0, key, n, low, high);
/* The calls, of table k and element type T (f or d) of the buffers, are written once and done for both tables. */
#define CALLS(k, T) k->unary((enum sqa_unary)f, buffer[0].T, buffer[1].T, n);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        worst = larger(error_of(1, n), worst);
    }
    return worst;
}

static double run_unary_grad(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    double worst = 0;
    fill(1, key, n, -2, 2);
    for (int f = 0; f < SQA_UNARY_N; f++) {
        double low, high = unary_range((enum sqa_unary)f, &low);
        fill(0, key, n, low, high);
#define CALLS(k, T) k->unary_grad((enum sqa_unary)f, buffer[0].T, buffer[1].T, buffer[2].T, n);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        worst = larger(error_of(2, n), worst);
    }
    return worst;
}

static double run_binary(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    double worst = 0;
    fill(0, key, n, -4, 4);
    fill(1, key, n, 0.5, 4);
    for (int f = 0; f < SQA_BINARY_N; f++) {
#define CALLS(k, T)                                                          \
    k->binary((enum sqa_binary)f, buffer[0].T, buffer[1].T, buffer[2].T, n); \
    k->binary_scalar((enum sqa_binary)f, buffer[0].T, 1.5, buffer[3].T, n);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        worst = larger(larger(error_of(2, n), error_of(3, n)), worst);
    }
    return worst;
}

static double run_binary_rows(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 6;
    n = at_most(n, MAX / rows);
    double worst = 0;
    fill(0, key, rows * n, -4, 4);
    fill(1, key, n > rows ? n : rows, 0.5, 4);
    for (int f = 0; f < SQA_BINARY_N; f++) {
#define CALLS(k, T)                                                                        \
    k->binary_rows((enum sqa_binary)f, buffer[0].T, buffer[1].T, 0, buffer[2].T, rows, n); \
    k->binary_rows((enum sqa_binary)f, buffer[0].T, buffer[1].T, 1, buffer[3].T, rows, n);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        worst = larger(larger(error_of(2, rows * n), error_of(3, rows * n)), worst);
    }
    return worst;
}

static double run_affine(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    fill(0, key, n, -4, 4);
    fill(1, key, n, -4, 4);
#define CALLS(k, T)                              \
    k->axpy(0.625, buffer[0].T, buffer[1].T, n); \
    k->affine(-1.75, buffer[0].T, 0.375, buffer[2].T, n);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(error_of(1, n), error_of(2, n));
}

static double run_sum(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    fill(0, key, n, -4, 4);
    const double scale = 1 + 16 * (double)n;
    const double a = ratio(simd->sum(buffer[0].f, n), plain()->sum(buffer[0].d, n), scale);
    const double b = ratio(simd->sum_squares(buffer[0].f, n), plain()->sum_squares(buffer[0].d, n), scale);
    const double top = n ? plain()->max(buffer[0].d, n) : 0, c = ratio(n ? simd->max(buffer[0].f, n) : 0, top, 1);
    return larger(larger(a, b), c);
}

static double run_sum_rows(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t width = at_most(n, 512), rows = 16;
    fill(0, key, MAX, -4, 4);
    fill(1, key, width, -4, 4);
#define CALLS(k, T) k->sum_rows(buffer[0].T, rows, width, width + 3, buffer[1].T, 1);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return error_of(1, width);
}

static double run_softmax(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 4;
    n = at_most(n, MAX / rows);
    fill(0, key, rows * n, -16, 16);
    fill(1, key, rows * n, -2, 2);
#define CALLS(k, T)                                                  \
    k->softmax(buffer[0].T, buffer[2].T, rows, n);                   \
    k->softmax_grad(buffer[2].T, buffer[1].T, buffer[3].T, rows, n); \
    k->log_sum_exp(buffer[0].T, buffer[4].T, rows, n);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(larger(error_of(2, rows * n), error_over(3, rows * n, 1)), n ? error_over(4, rows, 1) : 0);
}

static double run_layernorm(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 4;
    n = at_most(n, MAX / rows);
    fill(0, key, rows * n, -3, 5);
    fill(1, key, n, 0.5, 2);
    fill(2, key, n, -1, 1);
    double worst = 0;
    for (int rms = 0; rms < 2; rms++) {
#define CALLS(k, T) \
    k->layernorm(buffer[0].T, buffer[1].T, buffer[2].T, buffer[3].T, buffer[4].T, buffer[5].T, rows, n, 1e-5, rms);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        if (n > 1)
            worst = larger(larger(error_of(3, rows * n), error_of(5, rows)), worst);
    }
    return worst;
}

static double run_layernorm_grad(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 4;
    n = at_most(n, MAX / rows);
    fill(0, key, rows * n, -3, 5);
    fill(1, key, n, 0.5, 2);
    fill(2, key, rows, 0.5, 1.5); /* mean */
    fill(3, key, rows, 0.3, 0.6); /* rstd */
    fill(4, key, rows * n, -2, 2);
    double worst = 0;
    for (int rms = 0; rms < 2; rms++) {
        fill(6, key, n, -1, 1);
        fill(7, key, n, -1, 1);
        simd->layernorm_grad(buffer[0].f, buffer[1].f, buffer[2].f, buffer[3].f, buffer[4].f, NULL, buffer[5].f,
                             buffer[6].f, buffer[7].f, rows, n, rms, 1);
        plain()->layernorm_grad(buffer[0].d, buffer[1].d, buffer[2].d, buffer[3].d, buffer[4].d, NULL, buffer[5].d,
                                buffer[6].d, buffer[7].d, rows, n, rms, 1);
        for (int b = 5; b < 8 && n; b++)
            worst = larger(error_of(b, b == 5 ? rows * n : n), worst);
    }
    return worst;
}

static double run_add_layernorm(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = key % 2 ? 70 : 5; /* of several groups, and of one that is not full */
    n = at_most(n, MAX / rows);
    double worst = 0;
    for (int rms = 0; rms < 2; rms++) {
        fill(0, key, rows * n, -3, 5);
        fill(1, key, rows * n, -1, 2);
        fill(2, key, n, 0.5, 2);
        fill(3, key, rows * n, -2, 2);
#define CALLS(k, T)                                                                                              \
    k->add_layernorm(buffer[0].T, buffer[1].T, buffer[2].T, NULL, buffer[4].T, buffer[5].T, buffer[6].T,         \
                     buffer[7].T, rows, n, 0.1, rms);                                                            \
    k->layernorm_grad(buffer[4].T, buffer[2].T, buffer[6].T, buffer[7].T, buffer[3].T, buffer[0].T, buffer[8].T, \
                      buffer[9].T, NULL, rows, n, rms, 0);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        for (int b = 4; b < 10 && n > 1; b++)
            worst = larger(error_over(b, b == 9 ? n : b == 6 || b == 7 ? rows : rows * n, 1), worst);
    }
    return worst;
}

static double run_cross_entropy(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 4;
    n = at_most(n, MAX / rows);
    fill(0, key, rows * n, -8, 8);
    fill(1, key, rows, 0, 1);
    for (size_t r = 0; r < rows; r++)
        ids[r] = (int32_t)(n ? (key + 7 * r) % n : 0);
#define CALLS(k, T)                                           \
    k->cross_entropy(buffer[0].T, ids, buffer[2].T, rows, n); \
    k->cross_entropy_grad(buffer[0].T, ids, buffer[1].T, buffer[3].T, rows, n);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return n ? larger(error_over(2, rows, 1), error_over(3, rows * n, 1)) : 0;
}

static double run_dropout(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    fill(0, key, n, -4, 4);
#define CALLS(k, T) k->dropout(key, key % 100, 0.9, buffer[0].T, buffer[1].T, n);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return error_of(1, n);
}

static double run_optimiser(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const struct sqa_adamw s = {1e-3, 0.9, 0.999, 1e-8, 0.01, 0.271, 2.997e-3, 0.5};
    n = at_most(n, MAX);
    for (int b = 0; b < 5; b++)
        fill(b, key, n, b == 3 ? 0.01 : -1, 1);
#define CALLS(k, T)                                                      \
    k->adamw(&s, buffer[0].T, buffer[1].T, buffer[2].T, buffer[3].T, n); \
    k->sgd(0.1, 0.9, 1e-3, 0.5, buffer[4].T, buffer[1].T, buffer[2].T, n);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(larger(error_of(0, n), error_of(2, n)), larger(error_of(3, n), error_of(4, n)));
}

const struct sqa_kernel_check sqa_kernel_checks[] = {
    {"gemm_panels", 2e-6, sqa_check_gemm_panels},
    {"unary", 2e-6, run_unary},
    {"unary_grad", 2e-6, run_unary_grad},
    {"binary", 5e-7, run_binary},
    {"binary_rows", 5e-7, run_binary_rows},
    {"affine", 5e-7, run_affine},
    {"sum", 1e-12, run_sum},
    {"sum_rows", 5e-7, run_sum_rows},
    {"softmax", 4e-6, run_softmax},
    {"layernorm", 4e-6, run_layernorm},
    {"layernorm_grad", 4e-6, run_layernorm_grad},
    {"add_layernorm", 4e-6, run_add_layernorm},
    {"cross_entropy", 2e-6, run_cross_entropy},
    {"dropout", 5e-7, run_dropout},
    {"optimiser", 1e-6, run_optimiser},
    {"attention", 1e-5, sqa_check_attention},
    {"attention_bwd", 4e-5, sqa_check_attention_bwd},
    {"kernel_attention", 8e-6, sqa_check_kattn},
    {"gemm_bf16", 2e-6, sqa_check_gemm_bf16},
    {"gemm_panels_bf16", 2e-6, sqa_check_gemm_panels_bf16},
    /* a probability may be rounded the other way: see tests/test_bf16.c */
    {"attention_bf16", 4e-3, sqa_check_attention_bf16},
    {"attention_bf16_bwd", 4e-3, sqa_check_attention_bf16_bwd},
    {"fft", 4e-6, sqa_check_fft},
    {"dft_step", 1e-6, sqa_check_dft_step},
    {"glu", 2e-6, sqa_check_glu},
    {"powers", 5e-7, sqa_check_powers},
    {"scan", 2e-6, sqa_check_scan},
    {"conv1d", 4e-6, sqa_check_conv1d},
    {"cauchy", 1e-5, sqa_check_cauchy},
    {"state_step", 2e-6, sqa_check_state_step},
    {"attend", 4e-6, sqa_check_attend},
    {"gates", 4e-6, sqa_check_gates},
    {"selective", 4e-6, sqa_check_selective},
    {"matrix_scan", 4e-6, sqa_check_matrix_scan},
    {"delta_scan", 4e-6, sqa_check_delta_scan},
    {NULL, 0, NULL},
};
