/* powers.c - powers of complex numbers side by side, and polynomials in them; kernels/simd/powers.c compiles it again
 */
#include "kernels/plain/plain.h"

void K(powers)(const double *z, double *w, size_t m, size_t n, double re, double im, void *y_, size_t stride)
{
    const double *zr = z, *zi = z + m;
    double *wr = w, *wi = w + m;
    real *y = y_;
    for (size_t j = 0; j < n; j++, y += stride) {
#pragma omp simd
        for (size_t i = 0; i < m; i++) {
            const double a = wr[i], b = wi[i];
            y[i] = (real)(re * a);
            y[m + i] = (real)(im * b);
            wr[i] = a * zr[i] - b * zi[i];
            wi[i] = a * zi[i] + b * zr[i];
        }
    }
}

/* Horner's scheme: s <- s z + x_j, and its derivative by log z */
void K(polynomials)(const double *z, size_t m, size_t n, const void *x_, size_t stride, double *value, double *slope)
{
    const double *zr = z, *zi = z + m;
    double *vr = value, *vi = value + m, *sr = slope, *si = slope + m;
    const real *x = (const real *)x_ + n * stride;
    for (size_t i = 0; i < 2 * m; i++)
        value[i] = slope[i] = 0;
    for (size_t j = 0; j < n; j++) {
        x -= stride;
#pragma omp simd
        for (size_t i = 0; i < m; i++) {
            const double a = sr[i] + vr[i], b = si[i] + vi[i];
            const double c = vr[i] * zr[i] - vi[i] * zi[i], d = vr[i] * zi[i] + vi[i] * zr[i];
            sr[i] = a * zr[i] - b * zi[i];
            si[i] = a * zi[i] + b * zr[i];
            vr[i] = c + (double)x[i];
            vi[i] = d + (double)x[m + i];
        }
    }
}
