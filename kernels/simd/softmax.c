/* softmax.c - softmax, log-sum-exp and cross entropy of rows; f32 */
#include <math.h>
#include <string.h>

#include "kernels/simd/rows.h"
#include "kernels/plain/plain.h"

static void scale_row(float a, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += W)
        v_store_part(y + i, n - i, v_mul(v_set(a), v_load_part(y + i, n - i)));
}

static float finite_or_zero(float top)
{
    return top == -INFINITY ? 0 : top;
}

void V(softmax)(const void *x_, void *y_, size_t rows, size_t n)
{
    const float *x = x_;
    float *y = y_;
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        const float sum = row_exp(x, n, finite_or_zero(row_max(x, n)), y);
        scale_row(sum == 0 ? 0 : 1 / sum, y, n);
    }
}

void V(softmax_grad)(const void *y_, const void *dy_, void *dx_, size_t rows, size_t n)
{
    const float *y = y_, *dy = dy_;
    float *dx = dx_;
    for (size_t r = 0; r < rows; r++, y += n, dy += n, dx += n) {
        vf sum = v_zero();
        for (size_t i = 0; i < n; i += W)
            sum = v_fma(v_load_part(y + i, n - i), v_load_part(dy + i, n - i), sum);
        const vf dot = v_set(v_sum(sum));
        for (size_t i = 0; i < n; i += W) {
            const vf rest = v_sub(v_load_part(dy + i, n - i), dot);
            v_store_part(dx + i, n - i, v_mul(v_load_part(y + i, n - i), rest));
        }
    }
}

void V(log_sum_exp)(const void *x_, void *y_, size_t rows, size_t n)
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

void V(cross_entropy)(const void *x_, const int32_t *label, void *loss_, size_t rows, size_t n)
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

void V(cross_entropy_grad)(const void *x_, const int32_t *label, const void *dloss_, void *dx_, size_t rows, size_t n)
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
