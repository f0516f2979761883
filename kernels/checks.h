/*
 * checks.h - what the files of kernel checks share: buffers, inputs, errors
 *
 * The runs of the table sqa_kernel_checks (kernels/kernels.h, checks.c). Not for several threads at once.
 */
#ifndef SQA_KERNELS_CHECKS_H
#define SQA_KERNELS_CHECKS_H

#include <math.h>
#include <stddef.h>

#include "kernels/kernels.h"
#include "kernels/philox.h"

enum { MAX = 16384, BUFFERS = 12 };

/* The same numbers as float and as double */
struct sqa_check_buffer {
    float f[MAX];
    double d[MAX];
};
extern struct sqa_check_buffer sqa_check_buffers[BUFFERS];
extern double sqa_check_workspaces[2][1 << 17]; /* of the float and of the double form */
#define buffer sqa_check_buffers
#define workspace_f sqa_check_workspaces[0]
#define workspace_d sqa_check_workspaces[1]

/* Buffer b becomes n numbers in [low, high), exact in both types. */
static inline void fill(int b, uint64_t key, size_t n, double low, double high)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t word[4];
        sqa_philox(key, (uint64_t)b << 32 | i / 4, word);
        const float x = (float)(low + (high - low) * (double)word[i % 4] * 0x1p-32);
        buffer[b].f[i] = x;
        buffer[b].d[i] = (double)x;
    }
}

/* Largest difference over the largest result, or over `floor` where results may all be near 0 by cancellation. */
static inline double error_over(int b, size_t n, double floor)
{
    double worst = 0, scale = floor;
    for (size_t i = 0; i < n; i++) {
        const double want = buffer[b].d[i], diff = fabs((double)buffer[b].f[i] - want);
        worst = diff > worst || isnan(diff) ? diff : worst;
        scale = fabs(want) > scale ? fabs(want) : scale;
    }
    return worst / scale;
}

static inline double error_of(int b, size_t n)
{
    return error_over(b, n, 1e-30);
}

static inline double larger(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

static inline double ratio(double got, double want, double scale)
{
    return fabs(got - want) / scale;
}

static inline size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

static inline const struct sqa_kernels *plain(void)
{
    return sqa_kernels_plain(1);
}

/* Rows of the table that have files of their own: checks_products.c, checks_scan.c */
typedef double sqa_check_run(const struct sqa_kernels *simd, uint64_t key, size_t n);
sqa_check_run sqa_check_attention, sqa_check_attention_bwd, sqa_check_gemm_panels, sqa_check_gemm_bf16,
    sqa_check_gemm_panels_bf16, sqa_check_attention_bf16, sqa_check_attention_bf16_bwd, sqa_check_kattn;
sqa_check_run sqa_check_fft, sqa_check_dft_step, sqa_check_glu, sqa_check_powers, sqa_check_scan, sqa_check_conv1d,
    sqa_check_cauchy, sqa_check_selective, sqa_check_matrix_scan, sqa_check_delta_scan, sqa_check_state_step,
    sqa_check_attend, sqa_check_gates;

#endif
