/* norm_avx2.c - layer and RMS normalisation with gradients; AVX2 and FMA, f32 */
#include <math.h>
#include <string.h>

#include "kernels/avx2/avx2.h"
#include "kernels/plain/plain.h"

static float row_sum(const float *x, size_t n)
{
    __m256 a = _mm256_setzero_ps(), b = a;
    for (size_t i = 0; i < n; i += 16) {
        a = _mm256_add_ps(a, load8(x + i, n - i));
        if (n - i > 8)
            b = _mm256_add_ps(b, load8(x + i + 8, n - i - 8));
    }
    return sum8(_mm256_add_ps(a, b));
}

/* Mean and population variance; the mean of x - mu corrects the rounding of the first mean mu. */
static void row_moments(const float *x, size_t n, int rms, float *mean, double *variance)
{
    const float first = rms || !n ? 0 : row_sum(x, n) / (float)n;
    const __m256 mu = set8(first);
    __m256 sum = _mm256_setzero_ps(), squares = sum;
    for (size_t i = 0; i < n; i += 8) {
        const __m256 z = keep8(_mm256_sub_ps(load8(x + i, n - i), mu), n - i, _mm256_setzero_ps());
        sum = _mm256_add_ps(sum, z);
        squares = fma8(z, z, squares);
    }
    const double rest = rms || !n ? 0 : (double)sum8(sum) / (double)n;
    *mean = (float)((double)first + rest);
    *variance = n ? (double)sum8(squares) / (double)n - rest * rest : 0;
}

void sqa_k_layernorm_f32_avx2(const void *x_, const void *gain_, const void *bias_, void *y_, void *mean_,
                              void *rstd_, size_t rows, size_t n, double eps, int rms)
{
    const float *x = x_, *gain = gain_, *bias = bias_;
    float *y = y_, *mean = mean_, *rstd = rstd_;
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        float mu;
        double variance;
        row_moments(x, n, rms, &mu, &variance);
        const float scale = (float)(1 / sqrt(variance + eps));
        mean[r] = mu;
        rstd[r] = scale;
        const __m256 mu8 = set8(mu), scale8 = set8(scale);
        for (size_t i = 0; i < n; i += 8) {
            __m256 z = _mm256_mul_ps(_mm256_sub_ps(load8(x + i, n - i), mu8), scale8);
            if (gain)
                z = _mm256_mul_ps(z, load8(gain + i, n - i));
            if (bias)
                z = _mm256_add_ps(z, load8(bias + i, n - i));
            store8(y + i, n - i, z);
        }
    }
}

struct row {
    const float *x, *gain, *dy;
    float *dx, *dgain, *dbias;
    float mean, rstd;
};

/* With z = (x - mean) rstd and g = gain dy:  dx = rstd (g - mean(g) - z mean(g z)); rms drops mean(g). */
static void row_grad(const struct row *w, size_t n, int rms)
{
    const __m256 mu = set8(w->mean), rstd = set8(w->rstd);
    __m256 sum = _mm256_setzero_ps(), dot = sum;
    for (size_t i = 0; i < n; i += 8) {
        const size_t left = n - i;
        const __m256 dy = load8(w->dy + i, left), z = _mm256_mul_ps(_mm256_sub_ps(load8(w->x + i, left), mu), rstd);
        const __m256 g = w->gain ? _mm256_mul_ps(dy, load8(w->gain + i, left)) : dy;
        sum = _mm256_add_ps(sum, g); /* lanes past the end have dy = 0 */
        dot = fma8(g, z, dot);
        if (w->dgain)
            store8(w->dgain + i, left, fma8(dy, z, load8(w->dgain + i, left)));
        if (w->dbias)
            store8(w->dbias + i, left, _mm256_add_ps(dy, load8(w->dbias + i, left)));
    }
    const __m256 a = set8(rms ? 0 : sum8(sum) / (float)n), b = set8(sum8(dot) / (float)n);
    for (size_t i = 0; i < n; i += 8) {
        const size_t left = n - i;
        const __m256 dy = load8(w->dy + i, left), z = _mm256_mul_ps(_mm256_sub_ps(load8(w->x + i, left), mu), rstd);
        const __m256 g = w->gain ? _mm256_mul_ps(dy, load8(w->gain + i, left)) : dy;
        store8(w->dx + i, left, _mm256_mul_ps(rstd, _mm256_fnmadd_ps(z, b, _mm256_sub_ps(g, a))));
    }
}

void sqa_k_layernorm_grad_f32_avx2(const void *x_, const void *gain_, const void *mean_, const void *rstd_,
                                   const void *dy_, void *dx_, void *dgain_, void *dbias_, size_t rows, size_t n,
                                   int rms, int accumulate)
{
    const float *x = x_, *mean = mean_, *rstd = rstd_, *dy = dy_;
    float *dx = dx_, *dgain = dgain_, *dbias = dbias_;
    if (dgain && !accumulate)
        memset(dgain, 0, n * sizeof *dgain);
    if (dbias && !accumulate)
        memset(dbias, 0, n * sizeof *dbias);
    for (size_t r = 0; r < rows; r++) {
        const struct row w = {x + r * n, gain_, dy + r * n, dx + r * n, dgain, dbias, rms ? 0 : mean[r], rstd[r]};
        row_grad(&w, n, rms);
    }
}
