/* copy.c - strided views to dense arrays, conversions from and to double */
#include <string.h>

#include "kernels/plain/plain.h"

enum { MAX_RANK = 6 };

void K(copy_strided)(const void *x_, int rank, const int64_t *dim, const int64_t *stride, void *y_)
{
    const real *x = x_;
    real *y = y_;
    for (int k = 0; k < rank; k++)
        if (dim[k] <= 0)
            return;
    const int64_t width = rank ? dim[rank - 1] : 1, inner = rank ? stride[rank - 1] : 1;
    int64_t at[MAX_RANK] = {0};
    for (;;) {
        if (inner == 1)
            memcpy(y, x, (size_t)width * sizeof *y);
        else
            for (int64_t i = 0; i < width; i++)
                y[i] = x[i * inner];
        y += width;
        int k = rank - 2;
        for (; k >= 0; k--) { /* the next row, like an odometer */
            x += stride[k];
            if (++at[k] < dim[k])
                break;
            x -= stride[k] * dim[k];
            at[k] = 0;
        }
        if (k < 0)
            return;
    }
}

void K(from_f64)(const double *x, void *y_, size_t n)
{
    real *y = y_;
    for (size_t i = 0; i < n; i++)
        y[i] = (real)x[i];
}

void K(to_f64)(const void *x_, double *y, size_t n)
{
    const real *x = x_;
    for (size_t i = 0; i < n; i++)
        y[i] = (double)x[i];
}
