/*
 * rows.h - maximum and shifted exponentials of one row, for softmax and cross entropy
 */
#ifndef SQA_KERNELS_SIMD_ROWS_H
#define SQA_KERNELS_SIMD_ROWS_H

#include "kernels/simd/vec.h"

static inline float row_max(const float *x, size_t n)
{
    const vf low = v_set(-__builtin_inff());
    vf top = low;
    size_t i = 0;
    for (; i + W <= n; i += W)
        top = v_max(v_load(x + i), top);
    if (i < n)
        top = v_max(v_keep(v_load_part(x + i, n - i), n - i, low), top);
    return v_top(top);
}

/* y = exp(x - top) unless y is NULL, x <= top; returns the sum. */
static inline float row_exp(const float *x, size_t n, float top, float *y)
{
    const vf shift = v_set(top);
    vf sum = v_zero();
    size_t i = 0;
    for (; i + W <= n; i += W) {
        const vf e = v_exp_neg(v_sub(v_load(x + i), shift));
        sum = v_add(sum, e);
        if (y)
            v_store(y + i, e);
    }
    if (i < n) {
        const vf e = v_keep(v_exp_neg(v_sub(v_load_part(x + i, n - i), shift)), n - i, v_zero());
        sum = v_add(sum, e);
        if (y)
            v_store_part(y + i, n - i, e);
    }
    return v_sum(sum);
}

#endif
