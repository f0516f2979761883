/* softmax.c - softmax and log-sum-exp of rows; a row of -inf only gives zeros, and -inf */
#include <tgmath.h>

#include "kernels/plain/plain.h"

static real row_max(const real *x, size_t n)
{
    real best = -(real)INFINITY;
    for (size_t i = 0; i < n; i++)
        best = x[i] > best ? x[i] : best;
    return best;
}

void K(softmax)(const void *x_, void *y_, size_t rows, size_t n)
{
    const real *x = x_;
    real *y = y_;
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        real top = row_max(x, n);
        if (top == -(real)INFINITY)
            top = 0;
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            y[i] = exp(x[i] - top);
            sum += (double)y[i];
        }
        const real inv = sum == 0 ? 0 : (real)(1 / sum);
        for (size_t i = 0; i < n; i++)
            y[i] *= inv;
    }
}

void K(softmax_grad)(const void *y_, const void *dy_, void *dx_, size_t rows, size_t n)
{
    const real *y = y_, *dy = dy_;
    real *dx = dx_;
    for (size_t r = 0; r < rows; r++, y += n, dy += n, dx += n) {
        double dot = 0;
        for (size_t i = 0; i < n; i++)
            dot += (double)dy[i] * (double)y[i];
        for (size_t i = 0; i < n; i++)
            dx[i] = y[i] * (dy[i] - (real)dot);
    }
}

void K(log_sum_exp)(const void *x_, void *y_, size_t rows, size_t n)
{
    const real *x = x_;
    real *y = y_;
    for (size_t r = 0; r < rows; r++, x += n) {
        const real top = row_max(x, n), safe = top == -(real)INFINITY ? 0 : top;
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)exp(x[i] - safe);
        y[r] = (real)((double)safe + log(sum));
    }
}
