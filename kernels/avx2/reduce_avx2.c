/* reduce_avx2.c - sums in 4 x 4 double lanes, maximum in 4 x 8 lanes, lanes added in fixed order */
#include <math.h>

#include "kernels/avx2/avx2.h"
#include "kernels/plain/plain.h"

static inline __m256d wide4(const float *p)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}

double sqa_k_sum_f32_avx2(const void *x_, size_t n)
{
    const float *x = x_;
    __m256d a = _mm256_setzero_pd(), b = a, c = a, d = a;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        a = _mm256_add_pd(a, wide4(x + i));
        b = _mm256_add_pd(b, wide4(x + i + 4));
        c = _mm256_add_pd(c, wide4(x + i + 8));
        d = _mm256_add_pd(d, wide4(x + i + 12));
    }
    return sum4d(_mm256_add_pd(_mm256_add_pd(a, b), _mm256_add_pd(c, d))) + sqa_k_sum_f32(x + i, n - i);
}

double sqa_k_sum_squares_f32_avx2(const void *x_, size_t n)
{
    const float *x = x_;
    __m256d a = _mm256_setzero_pd(), b = a, c = a, d = a;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256d p = wide4(x + i), q = wide4(x + i + 4), r = wide4(x + i + 8), s = wide4(x + i + 12);
        a = _mm256_fmadd_pd(p, p, a);
        b = _mm256_fmadd_pd(q, q, b);
        c = _mm256_fmadd_pd(r, r, c);
        d = _mm256_fmadd_pd(s, s, d);
    }
    return sum4d(_mm256_add_pd(_mm256_add_pd(a, b), _mm256_add_pd(c, d))) + sqa_k_sum_squares_f32(x + i, n - i);
}

double sqa_k_max_f32_avx2(const void *x_, size_t n)
{
    const float *x = x_;
    const __m256 low = set8(-INFINITY);
    __m256 a = low, b = low, c = low, d = low;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) { /* max returns its second operand when one is not a number */
        a = _mm256_max_ps(_mm256_loadu_ps(x + i), a);
        b = _mm256_max_ps(_mm256_loadu_ps(x + i + 8), b);
        c = _mm256_max_ps(_mm256_loadu_ps(x + i + 16), c);
        d = _mm256_max_ps(_mm256_loadu_ps(x + i + 24), d);
    }
    for (; i < n; i += 8)
        a = _mm256_max_ps(keep8(load8(x + i, n - i), n - i, low), a);
    return (double)max8(_mm256_max_ps(_mm256_max_ps(a, b), _mm256_max_ps(c, d)));
}

void sqa_k_sum_rows_f32_avx2(const void *x_, size_t rows, size_t n, size_t stride, void *y_, int accumulate)
{
    const float *x = x_;
    float *y = y_;
    size_t j = 0;
    for (; j + 16 <= n; j += 16) {
        __m256d s[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
        for (size_t i = 0; i < rows; i++) {
            const float *row = x + i * stride + j;
            s[0] = _mm256_add_pd(s[0], wide4(row));
            s[1] = _mm256_add_pd(s[1], wide4(row + 4));
            s[2] = _mm256_add_pd(s[2], wide4(row + 8));
            s[3] = _mm256_add_pd(s[3], wide4(row + 12));
        }
        for (size_t k = 0; k < 4; k++) {
            if (accumulate)
                s[k] = _mm256_add_pd(s[k], wide4(y + j + 4 * k));
            _mm_storeu_ps(y + j + 4 * k, _mm256_cvtpd_ps(s[k]));
        }
    }
    if (j < n)
        sqa_k_sum_rows_f32(x + j, rows, n - j, stride, y + j, accumulate);
}
