/* reduce.c - sums and maximum of an array, sums over rows */
#include <math.h>

#include "kernels/plain/plain.h"

double K(sum)(const void *x_, size_t n)
{
    const real *x = x_;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum;
}

double K(sum_squares)(const void *x_, size_t n)
{
    const real *x = x_;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

double K(max)(const void *x_, size_t n)
{
    const real *x = x_;
    real best = -(real)INFINITY;
    for (size_t i = 0; i < n; i++)
        best = x[i] > best ? x[i] : best;
    return (double)best;
}

void K(sum_rows)(const void *x_, size_t rows, size_t n, size_t stride, void *y_, int accumulate)
{
    enum { WIDTH = 64 };
    const real *x = x_;
    real *y = y_;
    for (size_t j0 = 0; j0 < n; j0 += WIDTH) {
        const size_t w = n - j0 < WIDTH ? n - j0 : WIDTH;
        double sum[WIDTH] = {0};
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < w; j++)
                sum[j] += (double)x[i * stride + j0 + j];
        for (size_t j = 0; j < w; j++)
            y[j0 + j] = (real)(sum[j] + (accumulate ? (double)y[j0 + j] : 0));
    }
}
