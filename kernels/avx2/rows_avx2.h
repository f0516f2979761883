/*
 * rows_avx2.h - maximum and shifted exponentials of one row, for softmax and cross entropy
 */
#ifndef SQA_KERNELS_AVX2_ROWS_AVX2_H
#define SQA_KERNELS_AVX2_ROWS_AVX2_H

#include "kernels/avx2/avx2.h"

static inline float row_max(const float *x, size_t n)
{
    const __m256 low = set8(-__builtin_inff());
    __m256 top = low;
    for (size_t i = 0; i < n; i += 8)
        top = _mm256_max_ps(keep8(load8(x + i, n - i), n - i, low), top);
    return max8(top);
}

/* y = exp(x - top) unless y is NULL; returns the sum. Lanes past the end count as exp(-inf). */
static inline float row_exp(const float *x, size_t n, float top, float *y)
{
    const __m256 low = set8(-__builtin_inff()), shift = set8(top);
    __m256 sum = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 8) {
        const __m256 e = exp8(keep8(_mm256_sub_ps(load8(x + i, n - i), shift), n - i, low));
        sum = _mm256_add_ps(sum, keep8(e, n - i, _mm256_setzero_ps()));
        if (y)
            store8(y + i, n - i, e);
    }
    return sum8(sum);
}

#endif
