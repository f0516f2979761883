/* fft_complex.c - twiddle tables, and the complex FFT: Stockham's radix 4 (no bit reversal), one radix-2 pass if odd
 */
#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "kernels/plain/fft.h"
#include "kernels/plain/plain.h"

static real table_re[1 << SQA_FFT_MAX_LOG2], table_im[1 << SQA_FFT_MAX_LOG2];
static atomic_llong table_size = 1; /* tables of all m <= table_size are made */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

static void make_table(int64_t m)
{
    const double pi = 3.14159265358979323846;
    for (int64_t k = 0; k < m / 2; k++) {
        const double angle = -2 * pi * (double)k / (double)m;
        table_re[m / 2 + k] = (real)cos(angle);
        table_im[m / 2 + k] = (real)sin(angle);
    }
}

void K(fft_twiddles)(int64_t size, const real **re, const real **im)
{
    assert(size <= (int64_t)1 << SQA_FFT_MAX_LOG2);
    if (atomic_load_explicit(&table_size, memory_order_acquire) < size) {
        pthread_mutex_lock(&table_lock);
        for (int64_t m = 2 * atomic_load(&table_size); m <= size; m *= 2) {
            make_table(m);
            atomic_store_explicit(&table_size, m, memory_order_release);
        }
        pthread_mutex_unlock(&table_lock);
    }
    *re = table_re;
    *im = table_im;
}

struct arrays {
    const real *re, *im;
    real *out_re, *out_im;
};

static void butterfly4(const struct arrays *x, int64_t in, int64_t in_step, int64_t out, int64_t s, real w1r,
                       real w1i, real w2r, real w2i)
{
    const real w3r = w1r * w2r - w1i * w2i, w3i = w1r * w2i + w1i * w2r;
    const real *re = x->re + in, *im = x->im + in;
    real *restrict yr = x->out_re + out, *restrict yi = x->out_im + out;
    for (int64_t q = 0; q < s; q++) {
        const real ar = re[q], br = re[q + in_step], cr = re[q + 2 * in_step], dr = re[q + 3 * in_step];
        const real ai = im[q], bi = im[q + in_step], ci = im[q + 2 * in_step], di = im[q + 3 * in_step];
        const real sum_r = ar + cr, dif_r = ar - cr, odd_r = br + dr, jr = di - bi; /* j = i (b - d) */
        const real sum_i = ai + ci, dif_i = ai - ci, odd_i = bi + di, ji = br - dr;
        const real t1r = dif_r - jr, t1i = dif_i - ji, t2r = sum_r - odd_r, t2i = sum_i - odd_i;
        const real t3r = dif_r + jr, t3i = dif_i + ji;
        yr[q] = sum_r + odd_r;
        yi[q] = sum_i + odd_i;
        yr[q + s] = w1r * t1r - w1i * t1i;
        yi[q + s] = w1r * t1i + w1i * t1r;
        yr[q + 2 * s] = w2r * t2r - w2i * t2i;
        yi[q + 2 * s] = w2r * t2i + w2i * t2r;
        yr[q + 3 * s] = w3r * t3r - w3i * t3i;
        yi[q + 3 * s] = w3r * t3i + w3i * t3r;
    }
}

void K(fft_complex)(int64_t n, real **re, real **im, real **re2, real **im2)
{
    const real *wr, *wi;
    K(fft_twiddles)(n, &wr, &wi);
    int64_t m = n, s = 1; /* s transforms of m points are left, interleaved */
    for (; m > 1; m /= 4, s *= 4) {
        const struct arrays x = {*re, *im, *re2, *im2};
        if (m == 2) {
            for (int64_t q = 0; q < s; q++) {
                x.out_re[q] = x.re[q] + x.re[q + s];
                x.out_im[q] = x.im[q] + x.im[q + s];
                x.out_re[q + s] = x.re[q] - x.re[q + s];
                x.out_im[q + s] = x.im[q] - x.im[q + s];
            }
        } else {
            for (int64_t p = 0; p < m / 4; p++)
                butterfly4(&x, s * p, s * (m / 4), 4 * s * p, s, wr[m / 2 + p], wi[m / 2 + p], wr[m / 4 + p],
                           wi[m / 4 + p]);
        }
        real *t = *re;
        *re = *re2;
        *re2 = t;
        t = *im;
        *im = *im2;
        *im2 = t;
    }
}
