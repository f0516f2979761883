/*
 * fft.c - long convolution by FFT, a few channels at once
 *
 * Real rows of n <= N = a power of two numbers are polynomials in C[x] / (x^N - i). There x^N = i, so that in a
 * product of two of them what reaches N or more, or, as x^-1 = -i x^(N-1), less than 0, is imaginary: the real part
 * of the product is the linear convolution, cut to 0 .. N - 1, without padding to 2 N. A kernel of two sides, sum
 * k[t] x^t + sum k2[i] x^-(i+1), has the complex coefficients k[t] and -i k2[N - 1 - t].
 *
 * The transform is the Chinese remainder theorem: x^M - exp(2 pi i p) = (x^(M/2) - c) (x^(M/2) + c) with
 * c = exp(pi i p), down to M = 1. There polynomials are complex numbers, values at points of the unit circle;
 * reversing a kernel in time conjugates them. This is a right-angle convolution (Crandall and Fagin 1994, Math. Comp.
 * 62) whose weights are part of the FFT.
 *
 * A point is LANES real parts, then LANES imaginary parts.
 */
#include <math.h>
#include <string.h>

#include "kernels/plain/plain.h"

enum { LANES = 4, POINT = 2 * LANES };

static int64_t points_of(int64_t n)
{
    int64_t points = 1;
    while (points < n)
        points *= 2;
    return points;
}

size_t K(fft_lanes)(void)
{
    return LANES;
}

size_t K(fft_spectrum)(int64_t n)
{
    return POINT * (size_t)points_of(n);
}

size_t K(fft_table)(int64_t n)
{
    (void)n;
    return 0;
}

void K(fft_prepare)(int64_t n, void *table)
{
    (void)n, (void)table;
}

/* x modulo x^m - exp(2 pi i turn) -> its values at the m roots */
static void split(real *x, int64_t m, double turn)
{
    if (m == 1)
        return;
    const double pi = 3.14159265358979323846;
    const real re = (real)cos(pi * turn), im = (real)sin(pi * turn);
    real *y = x + m / 2 * POINT;
    for (int64_t i = 0; i < m / 2 * POINT; i += POINT)
        for (int64_t l = i; l < i + LANES; l++) {
            const real a = re * y[l] - im * y[l + LANES], b = re * y[l + LANES] + im * y[l];
            y[l] = x[l] - a;
            y[l + LANES] = x[l + LANES] - b;
            x[l] += a;
            x[l + LANES] += b;
        }
    split(x, m / 2, turn / 2);
    split(y, m / 2, turn / 2 + 0.5);
}

/* The inverse of split, times m */
static void join(real *x, int64_t m, double turn)
{
    if (m == 1)
        return;
    const double pi = 3.14159265358979323846;
    const real re = (real)cos(pi * turn), im = (real)sin(pi * turn);
    real *y = x + m / 2 * POINT;
    join(x, m / 2, turn / 2);
    join(y, m / 2, turn / 2 + 0.5);
    for (int64_t i = 0; i < m / 2 * POINT; i += POINT)
        for (int64_t l = i; l < i + LANES; l++) {
            const real a = x[l] - y[l], b = x[l + LANES] - y[l + LANES];
            x[l] += y[l];
            x[l + LANES] += y[l + LANES];
            y[l] = re * a + im * b;
            y[l + LANES] = re * b - im * a;
        }
}

static void transform(const struct sqa_fft *f, const real *u, int64_t stride, real *x)
{
    memset(x, 0, POINT * (size_t)points_of(f->n) * sizeof *x);
    for (int64_t t = 0; t < f->n; t++)
        memcpy(x + t * POINT, u + t * stride, (size_t)f->lanes * sizeof *x);
    split(x, points_of(f->n), 0.25);
}

/* x is overwritten; its real part to y and, when there is y2, its imaginary part as that of a kernel. */
static void inverse(const struct sqa_fft *f, real *x, real *y, real *y2, int64_t stride)
{
    const int64_t points = points_of(f->n);
    const real scale = (real)(1 / (double)points);
    join(x, points, 0.25);
    for (int64_t t = 0; t < f->n; t++)
        for (int64_t l = 0; l < f->lanes; l++) {
            y[t * stride + l] = scale * x[t * POINT + l];
            if (y2)
                y2[t * stride + l] = -scale * x[(points - 1 - t) * POINT + LANES + l];
        }
}

void K(fft_kernel)(const struct sqa_fft *f, const void *k, const void *k2_, int64_t stride, void *spectrum)
{
    const int64_t points = points_of(f->n);
    const real *k2 = k2_;
    real *x = spectrum;
    memset(x, 0, POINT * (size_t)points * sizeof *x);
    for (int64_t t = 0; t < f->n; t++)
        memcpy(x + t * POINT, (const real *)k + t * stride, (size_t)f->lanes * sizeof *x);
    for (int64_t t = 0; k2 && t < f->n; t++)
        for (int64_t l = 0; l < f->lanes; l++)
            x[(points - 1 - t) * POINT + LANES + l] = -k2[t * stride + l];
    split(x, points, 0.25);
}

void K(fft_convolve)(const struct sqa_fft *f, const void *u, int64_t u_stride, const void *kernel, void *y,
                     int64_t y_stride, void *work)
{
    const real *k = kernel;
    real *x = work;
    transform(f, u, u_stride, x);
    for (int64_t i = 0; i < points_of(f->n) * POINT; i += POINT)
        for (int64_t l = i; l < i + LANES; l++) {
            const real re = x[l], im = x[l + LANES];
            x[l] = re * k[l] - im * k[l + LANES];
            x[l + LANES] = re * k[l + LANES] + im * k[l];
        }
    inverse(f, x, y, NULL, y_stride);
}

void K(fft_gradient)(const struct sqa_fft *f, const void *u, int64_t u_stride, const void *dy, int64_t dy_stride,
                     const void *kernel, void *sum_, void *du, int64_t du_stride, void *work)
{
    const real *k = kernel;
    real *a = work, *b = a + points_of(f->n) * POINT, *sum = sum_;
    transform(f, u, u_stride, a);
    transform(f, dy, dy_stride, b);
    for (int64_t i = 0; i < points_of(f->n) * POINT; i += POINT)
        for (int64_t l = i; l < i + LANES; l++) {
            const real re = b[l], im = b[l + LANES];
            sum[l] += re * a[l] + im * a[l + LANES];
            sum[l + LANES] += im * a[l] - re * a[l + LANES];
            b[l] = re * k[l] + im * k[l + LANES];
            b[l + LANES] = im * k[l] - re * k[l + LANES];
        }
    inverse(f, b, du, NULL, du_stride);
}

void K(fft_kernel_grad)(const struct sqa_fft *f, void *sum, void *dk, void *dk2, int64_t stride)
{
    inverse(f, sum, dk, dk2, stride);
}
