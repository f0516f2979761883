/*
 * fft.c - causal long convolution of one channel by the real FFT; layout of spectra in plain/fft.h
 *
 * A row of n numbers is padded with zeros to N = power of two >= 2 n, so that the circular convolution of N points
 * equals the linear one on the first n. k2 lies backwards at the end of the padded row: lag -(i + 1) is index N - 1 -
 * i. N real numbers are transformed as N / 2 complex ones, x[2 j] + i x[2 j + 1], and separated.
 */
#include <string.h>

#include "kernels/plain/fft.h"
#include "kernels/plain/plain.h"

static int64_t half_size(int64_t n)
{
    int64_t h = 1;
    while (h < n)
        h *= 2;
    return h;
}

size_t K(fft_spectrum)(int64_t n)
{
    return 2 * (size_t)half_size(n);
}
size_t K(fft_workspace)(int64_t n)
{
    return 4 * (size_t)half_size(n) * sizeof(real);
}

/* Transform Z of the packed numbers -> spectrum X. With E, O the transforms of even and odd points, W = exp(-2 pi i /
 * N): Z[k] = E[k] + i O[k], X[k] = E[k] + W^k O[k], X[h - k] = conj(E[k] - W^k O[k]). */
static void separate(int64_t h, const real *re, const real *im, real *restrict xr, real *restrict xi)
{
    const real *wr, *wi;
    K(fft_twiddles)(2 * h, &wr, &wi);
    xr[0] = re[0] + im[0];
    xi[0] = re[0] - im[0];
    const real half = (real)0.5;
    for (int64_t k = 1; k <= h / 2; k++) {
        const real er = half * (re[k] + re[h - k]), ei = half * (im[k] - im[h - k]);
        const real or = half * (im[k] + im[h - k]), oi = half * (re[h - k] - re[k]);
        const real tr = wr[h + k] * or -wi[h + k] * oi, ti = wr[h + k] * oi + wi[h + k] * or ;
        xr[k] = er + tr;
        xi[k] = ei + ti;
        xr[h - k] = er - tr;
        xi[h - k] = ti - ei;
    }
}

/* The inverse of separate, times 2. */
static void join(int64_t h, const real *xr, const real *xi, real *restrict re, real *restrict im)
{
    const real *wr, *wi;
    K(fft_twiddles)(2 * h, &wr, &wi);
    re[0] = xr[0] + xi[0];
    im[0] = xr[0] - xi[0];
    for (int64_t k = 1; k <= h / 2; k++) {
        const real er = xr[k] + xr[h - k], ei = xi[k] - xi[h - k];
        const real tr = xr[k] - xr[h - k], ti = xi[k] + xi[h - k];
        const real or = wr[h + k] * tr + wi[h + k] * ti, oi = wr[h + k] * ti - wi[h + k] * tr;
        re[k] = er - oi;
        im[k] = ei + or ;
        re[h - k] = er + oi;
        im[h - k] = or -ei;
    }
}

void K(fft_forward)(const void *u_, const void *k2_, int64_t n, void *spectrum, void *workspace)
{
    const real *u = u_, *k2 = k2_;
    const int64_t h = half_size(n);
    real *re = workspace, *im = re + h, *re2 = im + h, *im2 = re2 + h, *x = spectrum;
    int64_t j = 0;
    for (; j < n / 2; j++) {
        re[j] = u[2 * j];
        im[j] = u[2 * j + 1];
    }
    memset(re + j, 0, (size_t)(h - j) * sizeof *re);
    memset(im + j, 0, (size_t)(h - j) * sizeof *im);
    if (n % 2)
        re[j] = u[n - 1];
    for (int64_t i = 0; k2 && i < n; i++) /* index 2 h - 1 - i is odd for even i */
        (i % 2 ? re : im)[(2 * h - 1 - i) / 2] = k2[i];
    K(fft_complex)(h, &re, &im, &re2, &im2);
    separate(h, re, im, x, x + h);
}

/* Inverse transform of the spectrum in (xr, xi), which is overwritten: its first n numbers to y and its last n,
 * backwards, to y2; either may be NULL. */
static void inverse(int64_t h, real *xr, real *xi, real *re, real *im, int64_t n, real *y, real *y2)
{
    join(h, xr, xi, re, im);
    K(fft_complex)(h, &im, &re, &xi, &xr);
    const real scale = (real)(0.5 / (double)h);
    if (y) {
        for (int64_t j = 0; j < n / 2; j++) {
            y[2 * j] = scale * re[j];
            y[2 * j + 1] = scale * im[j];
        }
        if (n % 2)
            y[n - 1] = scale * re[n / 2];
    }
    for (int64_t i = 0; y2 && i < n; i++)
        y2[i] = scale * (i % 2 ? re : im)[(2 * h - 1 - i) / 2];
}

void K(fft_apply)(const void *u_, const void *k_, int adjoint, int64_t n, void *y, void *workspace)
{
    const int64_t h = half_size(n);
    const real *ur = u_, *ui = ur + h, *kr = k_, *ki = kr + h, sign = adjoint ? -1 : 1;
    real *restrict xr = workspace, *restrict xi = xr + h;
    for (int64_t k = 1; k < h; k++) {
        const real b = sign * ki[k];
        xr[k] = ur[k] * kr[k] - ui[k] * b;
        xi[k] = ur[k] * b + ui[k] * kr[k];
    }
    xr[0] = ur[0] * kr[0];
    xi[0] = ui[0] * ki[0];
    inverse(h, xr, xi, xi + h, xi + 2 * h, n, y, NULL);
}

void K(fft_accumulate)(const void *u_, const void *dy_, void *acc_, int64_t n)
{
    const int64_t h = half_size(n);
    const real *ur = u_, *ui = ur + h, *yr = dy_, *yi = yr + h;
    real *restrict ar = acc_, *restrict ai = ar + h;
    const real first_r = ar[0] + ur[0] * yr[0], first_i = ai[0] + ui[0] * yi[0];
    for (int64_t k = 0; k < h; k++) {
        ar[k] += ur[k] * yr[k] + ui[k] * yi[k];
        ai[k] += ur[k] * yi[k] - ui[k] * yr[k];
    }
    ar[0] = first_r;
    ai[0] = first_i;
}

void K(fft_kernel_grad)(const void *acc, int64_t n, void *dk, void *dk2, void *workspace)
{
    const int64_t h = half_size(n);
    real *xr = workspace, *xi = xr + h;
    memcpy(xr, acc, 2 * (size_t)h * sizeof *xr);
    inverse(h, xr, xi, xi + h, xi + 2 * h, n, dk, dk2);
}
