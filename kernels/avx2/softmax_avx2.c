/* softmax_avx2.c - softmax, log-sum-exp and cross entropy of rows; AVX2 and FMA, f32 */
#include <math.h>
#include <string.h>

#include "kernels/avx2/rows_avx2.h"
#include "kernels/plain/plain.h"

static void scale_row(float a, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += 8)
        store8(y + i, n - i, _mm256_mul_ps(set8(a), load8(y + i, n - i)));
}

static float finite_or_zero(float top)
{
    return top == -INFINITY ? 0 : top;
}

void sqa_k_softmax_f32_avx2(const void *x_, void *y_, size_t rows, size_t n)
{
    const float *x = x_;
    float *y = y_;
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        const float sum = row_exp(x, n, finite_or_zero(row_max(x, n)), y);
        scale_row(sum == 0 ? 0 : 1 / sum, y, n);
    }
}

void sqa_k_softmax_grad_f32_avx2(const void *y_, const void *dy_, void *dx_, size_t rows, size_t n)
{
    const float *y = y_, *dy = dy_;
    float *dx = dx_;
    for (size_t r = 0; r < rows; r++, y += n, dy += n, dx += n) {
        __m256 sum = _mm256_setzero_ps();
        for (size_t i = 0; i < n; i += 8)
            sum = fma8(load8(y + i, n - i), load8(dy + i, n - i), sum);
        const __m256 dot = set8(sum8(sum));
        for (size_t i = 0; i < n; i += 8) {
            const __m256 rest = _mm256_sub_ps(load8(dy + i, n - i), dot);
            store8(dx + i, n - i, _mm256_mul_ps(load8(y + i, n - i), rest));
        }
    }
}

void sqa_k_log_sum_exp_f32_avx2(const void *x_, void *y_, size_t rows, size_t n)
{
    const float *x = x_;
    float *y = y_;
    for (size_t r = 0; r < rows; r++, x += n) {
        const float top = finite_or_zero(row_max(x, n));
        y[r] = (float)((double)top + log((double)row_exp(x, n, top, NULL)));
    }
}

static int is_class(int32_t label, size_t n)
{
    return label >= 0 && (size_t)label < n;
}

void sqa_k_cross_entropy_f32_avx2(const void *x_, const int32_t *label, void *loss_, size_t rows, size_t n)
{
    const float *x = x_;
    float *loss = loss_;
    for (size_t r = 0; r < rows; r++, x += n) {
        loss[r] = 0;
        if (!is_class(label[r], n))
            continue;
        const float top = row_max(x, n);
        loss[r] = (float)(log((double)row_exp(x, n, top, NULL)) + ((double)top - (double)x[label[r]]));
    }
}

void sqa_k_cross_entropy_grad_f32_avx2(const void *x_, const int32_t *label, const void *dloss_, void *dx_,
                                       size_t rows, size_t n)
{
    const float *x = x_, *dloss = dloss_;
    float *dx = dx_;
    for (size_t r = 0; r < rows; r++, x += n, dx += n) {
        if (!is_class(label[r], n)) {
            memset(dx, 0, n * sizeof *dx);
            continue;
        }
        const float scale = dloss ? dloss[r] : 1, at_label = x[label[r]], top = row_max(x, n);
        const float sum = row_exp(x, n, top, dx);
        scale_row(scale / sum, dx, n);
        /* p - 1 from the other classes would cancel less, but costs a pass; the error is one rounding of 1 */
        dx[label[r]] = scale * (expf(at_label - top) / sum - 1);
    }
}
