/* reduce.c - sums in 2 W double lanes, maximum in 4 W lanes, lanes added in fixed order; f32 */
#include <math.h>

#include "kernels/simd/vec.h"
#include "kernels/plain/plain.h"

double V(sum)(const void *x_, size_t n)
{
    const float *x = x_;
    vd a = vd_zero(), b = a;
    size_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        a = vd_add(a, vd_load(x + i));
        b = vd_add(b, vd_load(x + i + W));
    }
    return vd_sum(vd_add(a, b)) + sqa_k_sum_f32(x + i, n - i);
}

double V(sum_squares)(const void *x_, size_t n)
{
    const float *x = x_;
    vd a = vd_zero(), b = a;
    size_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        const vd p = vd_load(x + i), q = vd_load(x + i + W);
        a = vd_fma(p, p, a);
        b = vd_fma(q, q, b);
    }
    return vd_sum(vd_add(a, b)) + sqa_k_sum_squares_f32(x + i, n - i);
}

double V(max)(const void *x_, size_t n)
{
    const float *x = x_;
    const vf low = v_set(-INFINITY);
    vf a = low, b = low, c = low, d = low;
    size_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W) { /* max returns its second operand when one is not a number */
        a = v_max(v_load(x + i), a);
        b = v_max(v_load(x + i + W), b);
        c = v_max(v_load(x + i + 2 * W), c);
        d = v_max(v_load(x + i + 3 * W), d);
    }
    for (; i < n; i += W)
        a = v_max(v_keep(v_load_part(x + i, n - i), n - i, low), a);
    return (double)v_top(v_max(v_max(a, b), v_max(c, d)));
}

/* Columns j .. j + W of the sum, `left` of them wanted */
static inline void sum_columns(const float *x, size_t rows, size_t stride, float *y, int accumulate, size_t left)
{
    vd a = accumulate ? vd_from(v_load_part(y, left)) : vd_zero(), b = vd_zero();
    size_t i = 0;
    for (; i + 2 <= rows; i += 2) {
        a = vd_add(a, vd_from(v_load_part(x + i * stride, left)));
        b = vd_add(b, vd_from(v_load_part(x + (i + 1) * stride, left)));
    }
    if (i < rows)
        a = vd_add(a, vd_from(v_load_part(x + i * stride, left)));
    v_store_part(y, left, vd_to(vd_add(a, b)));
}

/* Columns of a group, whole pairs of vectors, in runs of NEAR rows, so that memory is read once from end to end */
enum { GROUP = 256, NEAR = 32 };

/* A run's sums of `count` vectors, a constant wherever this is inlined, are floats. more: another run follows. */
V_INLINE void sum_some(const int count, const float *x, size_t rows, size_t stride, int more, vd *sum)
{
    vf a[4];
    V_UNROLL
    for (int k = 0; k < count; k++)
        a[k] = v_zero();
    for (size_t i = 0; i < rows; i++, x += stride) {
        V_UNROLL
        for (int k = 0; k < count && more; k += 16 / W)
            __builtin_prefetch((const void *)((uintptr_t)(x + k * W) + NEAR * stride * sizeof *x));
        V_UNROLL
        for (int k = 0; k < count; k++)
            a[k] = v_add(a[k], v_load(x + k * W));
    }
    V_UNROLL
    for (int k = 0; k < count; k++)
        sum[k] = vd_add(sum[k], vd_from(a[k]));
}

static void sum_group(const float *x, size_t rows, size_t stride, size_t n, float *y, int accumulate)
{
    vd sum[GROUP / W];
    for (size_t j = 0; j < n; j += W)
        sum[j / W] = accumulate ? vd_load(y + j) : vd_zero();
    for (size_t first = 0; first < rows; first += NEAR) {
        const size_t end = first + NEAR < rows ? first + NEAR : rows;
        size_t j = 0;
        for (; j + 4 * W <= n; j += 4 * W)
            sum_some(4, x + first * stride + j, end - first, stride, end < rows, sum + j / W);
        for (; j < n; j += 2 * W)
            sum_some(2, x + first * stride + j, end - first, stride, end < rows, sum + j / W);
    }
    for (size_t j = 0; j < n; j += W)
        v_store(y + j, vd_to(sum[j / W]));
}

void V(sum_rows)(const void *x_, size_t rows, size_t n, size_t stride, void *y_, int accumulate)
{
    const float *x = x_;
    float *y = y_;
    const size_t whole = n / (2 * W) * (2 * W);
    for (size_t j = 0; j < whole; j += GROUP)
        sum_group(x + j, rows, stride, whole - j < GROUP ? whole - j : GROUP, y + j, accumulate);
    for (size_t j = whole; j < n; j += W)
        sum_columns(x + j, rows, stride, y + j, accumulate, n - j);
}
