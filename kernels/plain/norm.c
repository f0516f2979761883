/* norm.c - layer normalisation and RMS normalisation of rows, with gradients */
#include <tgmath.h>

#include "kernels/plain/plain.h"

void K(layernorm)(const void *x_, const void *gain_, const void *bias_, void *y_, void *mean_, void *rstd_,
                  size_t rows, size_t n, double eps, int rms)
{
    const real *x = x_, *gain = gain_, *bias = bias_;
    real *y = y_, *mean = mean_, *rstd = rstd_;
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n && !rms; i++)
            sum += (double)x[i];
        const double mu = n ? sum / (double)n : 0;
        for (size_t i = 0; i < n; i++)
            squares += ((double)x[i] - mu) * ((double)x[i] - mu);
        const double scale = 1 / sqrt((n ? squares / (double)n : 0) + eps);
        mean[r] = (real)mu;
        rstd[r] = (real)scale;
        for (size_t i = 0; i < n; i++) {
            const real z = (real)(((double)x[i] - mu) * scale);
            y[i] = (gain ? z * gain[i] : z) + (bias ? bias[i] : 0);
        }
    }
}

/* With z = (x - mean) rstd and g = gain dy:  dx = rstd (g - mean(g) - z mean(g z)); rms drops mean(g). */
static void input_grad(const real *x, const real *gain, double mu, double scale, const real *dy, const real *ds,
                       real *dx, size_t n, int rms)
{
    double sum = 0, dot = 0;
    for (size_t i = 0; i < n; i++) {
        const double g = (double)dy[i] * (gain ? (double)gain[i] : 1);
        sum += g;
        dot += g * ((double)x[i] - mu) * scale;
    }
    const double a = rms ? 0 : sum / (double)n, b = dot / (double)n;
    for (size_t i = 0; i < n; i++) {
        const double g = (double)dy[i] * (gain ? (double)gain[i] : 1);
        const double d = scale * (g - a - ((double)x[i] - mu) * scale * b);
        dx[i] = (real)(ds ? (double)ds[i] + d : d);
    }
}

void K(layernorm_grad)(const void *x_, const void *gain, const void *mean_, const void *rstd_, const void *dy_,
                       const void *ds_, void *dx_, void *dgain_, void *dbias_, size_t rows, size_t n, int rms,
                       int accumulate)
{
    const real *x = x_, *mean = mean_, *rstd = rstd_, *dy = dy_, *ds = ds_;
    real *dx = dx_, *dgain = dgain_, *dbias = dbias_;
    for (size_t j = 0; j < n; j++) {
        double sum_gain = 0, sum_bias = 0;
        for (size_t r = 0; r < rows && (dgain || dbias); r++) {
            const double mu = rms ? 0 : (double)mean[r];
            sum_gain += (double)dy[r * n + j] * ((double)x[r * n + j] - mu) * (double)rstd[r];
            sum_bias += (double)dy[r * n + j];
        }
        if (dgain)
            dgain[j] = (real)(sum_gain + (accumulate ? (double)dgain[j] : 0));
        if (dbias)
            dbias[j] = (real)(sum_bias + (accumulate ? (double)dbias[j] : 0));
    }
    for (size_t r = 0; r < rows; r++)
        input_grad(x + r * n, gain, rms ? 0 : (double)mean[r], (double)rstd[r], dy + r * n, ds ? ds + r * n : NULL,
                   dx + r * n, n, rms);
}

void K(add_layernorm)(const void *a_, const void *b_, const void *gain, const void *bias, void *sum_, void *y,
                      void *mean, void *rstd, size_t rows, size_t n, double eps, int rms)
{
    const real *a = a_, *b = b_;
    real *sum = sum_;
    for (size_t i = 0; i < rows * n; i++)
        sum[i] = a[i] + b[i];
    K(layernorm)(sum, gain, bias, y, mean, rstd, rows, n, eps, rms);
}
