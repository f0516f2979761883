/* glu.c - gated linear unit */
#include <math.h>

#include "kernels/plain/plain.h"

void K(glu)(const void *x_, void *y_, size_t rows, size_t n)
{
    const real *x = x_;
    real *y = y_;
    for (size_t r = 0; r < rows; r++, x += 2 * n, y += n)
        for (size_t i = 0; i < n; i++)
            y[i] = (real)((double)x[i] / (1 + exp(-(double)x[n + i])));
}

void K(glu_grad)(const void *x_, const void *dy_, void *dx_, size_t rows, size_t n)
{
    const real *x = x_, *dy = dy_;
    real *dx = dx_;
    for (size_t r = 0; r < rows; r++, x += 2 * n, dx += 2 * n, dy += n)
        for (size_t i = 0; i < n; i++) {
            const double gate = 1 / (1 + exp(-(double)x[n + i])), da = (double)dy[i] * gate;
            dx[n + i] = (real)(da * (1 - gate) * (double)x[i]);
            dx[i] = (real)da;
        }
}
