/*
 * fft.h - what the two halves of the real FFT share
 *
 * A spectrum of N = 2 h real points is split: h real parts, then h imaginary parts, of the frequencies 0 .. h - 1.
 * The frequency h, which is real like frequency 0, takes the place of the imaginary part of frequency 0.
 */
#ifndef SQA_KERNELS_PLAIN_FFT_H
#define SQA_KERNELS_PLAIN_FFT_H

#include <stdint.h>

/* Largest transform, 2^21 real points: rows of up to 2^20. */
#define SQA_FFT_MAX_LOG2 21

/* twiddles: tables of every power of two m <= size; exp(-2 pi i k / m), k < m / 2, stands at [m / 2 + k]. Made once a
 * process, under a lock, in a static array of which only the pages in use count.
 * complex: forward transform of n = power of two points in (*re, *im), not scaled; the result is there again, but the
 * buffers may have changed places with (*re2, *im2). re and im exchanged: the inverse, times n. */
#define SQA_FFT_DECLARE(T, REAL)                                                 \
    void sqa_k_fft_twiddles_##T(int64_t size, const REAL **re, const REAL **im); \
    void sqa_k_fft_complex_##T(int64_t n, REAL **re, REAL **im, REAL **re2, REAL **im2);
SQA_FFT_DECLARE(f32, float)
SQA_FFT_DECLARE(f64, double)
SQA_FFT_DECLARE(f32_avx2, float)

#endif
