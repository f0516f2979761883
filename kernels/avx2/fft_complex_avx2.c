/*
 * fft_complex_avx2.c - the passes of plain/fft_complex.c on eight numbers at once; AVX2 and FMA, f32
 *
 * s is the number of interleaved transforms: it grows by 4 a pass. A vector holds 8 butterflies p when s = 1 (the
 * results are interleaved by shuffles), 2 p x 4 q when s = 4, and 8 q from s = 16 on.
 */
#include "kernels/avx2/avx2.h"
#include "kernels/plain/fft.h"
#include "kernels/plain/plain.h"

struct complex8 {
    __m256 re, im;
};

static inline struct complex8 add(struct complex8 a, struct complex8 b)
{
    return (struct complex8){_mm256_add_ps(a.re, b.re), _mm256_add_ps(a.im, b.im)};
}

static inline struct complex8 sub(struct complex8 a, struct complex8 b)
{
    return (struct complex8){_mm256_sub_ps(a.re, b.re), _mm256_sub_ps(a.im, b.im)};
}

static inline struct complex8 mul(struct complex8 a, struct complex8 b)
{
    return (struct complex8){_mm256_fmsub_ps(a.re, b.re, _mm256_mul_ps(a.im, b.im)),
                             fma8(a.re, b.im, _mm256_mul_ps(a.im, b.re))};
}

static inline struct complex8 load(const float *re, const float *im, int64_t at)
{
    return (struct complex8){_mm256_loadu_ps(re + at), _mm256_loadu_ps(im + at)};
}

/* x[0..3] -> y[0..3], twiddles w1, w2 and w1 w2 */
static inline __attribute__((always_inline)) void butterfly(const float *re, const float *im, int64_t at,
                                                            int64_t step, struct complex8 w1, struct complex8 w2,
                                                            struct complex8 y[4])
{
    const struct complex8 a = load(re, im, at), b = load(re, im, at + step), c = load(re, im, at + 2 * step),
                          d = load(re, im, at + 3 * step);
    const struct complex8 sum = add(a, c), dif = sub(a, c), odd = add(b, d), e = sub(b, d);
    const struct complex8 j = {neg8(e.im), e.re}; /* i (b - d) */
    y[0] = add(sum, odd);
    y[1] = mul(w1, sub(dif, j));
    y[2] = mul(w2, sub(sum, odd));
    y[3] = mul(mul(w1, w2), add(dif, j));
}

/* to[4 p + r] = x[r][p] */
static inline void interleave(__m256 x0, __m256 x1, __m256 x2, __m256 x3, float *to)
{
    const __m256 a = _mm256_unpacklo_ps(x0, x1), b = _mm256_unpacklo_ps(x2, x3);
    const __m256 c = _mm256_unpackhi_ps(x0, x1), d = _mm256_unpackhi_ps(x2, x3);
    const __m256 p0 = _mm256_shuffle_ps(a, b, 0x44), p1 = _mm256_shuffle_ps(a, b, 0xee);
    const __m256 p2 = _mm256_shuffle_ps(c, d, 0x44), p3 = _mm256_shuffle_ps(c, d, 0xee);
    _mm256_storeu_ps(to, _mm256_permute2f128_ps(p0, p1, 0x20));
    _mm256_storeu_ps(to + 8, _mm256_permute2f128_ps(p2, p3, 0x20));
    _mm256_storeu_ps(to + 16, _mm256_permute2f128_ps(p0, p1, 0x31));
    _mm256_storeu_ps(to + 24, _mm256_permute2f128_ps(p2, p3, 0x31));
}

static void first_pass(int64_t m, const float *re, const float *im, float *yr, float *yi, const float *wr,
                       const float *wi)
{
    for (int64_t p = 0; p < m / 4; p += 8) {
        struct complex8 y[4];
        butterfly(re, im, p, m / 4, load(wr, wi, m / 2 + p), load(wr, wi, m / 4 + p), y);
        interleave(y[0].re, y[1].re, y[2].re, y[3].re, yr + 4 * p);
        interleave(y[0].im, y[1].im, y[2].im, y[3].im, yi + 4 * p);
    }
}

/* w[at] in the low half, w[at + 1] in the high half */
static inline __m256 two(const float *w, int64_t at)
{
    return _mm256_insertf128_ps(set8(w[at]), _mm_set1_ps(w[at + 1]), 1);
}

static inline void store_halves(float *to, int64_t r, __m256 x)
{
    _mm_storeu_ps(to + 4 * r, _mm256_castps256_ps128(x));
    _mm_storeu_ps(to + 16 + 4 * r, _mm256_extractf128_ps(x, 1));
}

static void second_pass(int64_t m, const float *re, const float *im, float *yr, float *yi, const float *wr,
                        const float *wi)
{
    for (int64_t p = 0; p < m / 4; p += 2) {
        const struct complex8 w1 = {two(wr, m / 2 + p), two(wi, m / 2 + p)};
        const struct complex8 w2 = {two(wr, m / 4 + p), two(wi, m / 4 + p)};
        struct complex8 y[4];
        butterfly(re, im, 4 * p, m, w1, w2, y);
        for (int64_t r = 0; r < 4; r++) {
            store_halves(yr + 16 * p, r, y[r].re);
            store_halves(yi + 16 * p, r, y[r].im);
        }
    }
}

static void pass(int64_t m, int64_t s, const float *re, const float *im, float *yr, float *yi, const float *wr,
                 const float *wi)
{
    for (int64_t p = 0; p < m / 4; p++) {
        const struct complex8 w1 = {set8(wr[m / 2 + p]), set8(wi[m / 2 + p])};
        const struct complex8 w2 = {set8(wr[m / 4 + p]), set8(wi[m / 4 + p])};
        for (int64_t q = 0; q < s; q += 8) {
            struct complex8 y[4];
            butterfly(re, im, s * p + q, s * (m / 4), w1, w2, y);
            for (int64_t r = 0; r < 4; r++) {
                _mm256_storeu_ps(yr + s * (4 * p + r) + q, y[r].re);
                _mm256_storeu_ps(yi + s * (4 * p + r) + q, y[r].im);
            }
        }
    }
}

static void last_pass(int64_t s, const float *re, const float *im, float *yr, float *yi)
{
    for (int64_t q = 0; q < s; q += 8) {
        const struct complex8 a = load(re, im, q), b = load(re, im, q + s), sum = add(a, b), dif = sub(a, b);
        _mm256_storeu_ps(yr + q, sum.re);
        _mm256_storeu_ps(yi + q, sum.im);
        _mm256_storeu_ps(yr + q + s, dif.re);
        _mm256_storeu_ps(yi + q + s, dif.im);
    }
}

void sqa_k_fft_twiddles_f32_avx2(int64_t size, const float **re, const float **im)
{
    sqa_k_fft_twiddles_f32(size, re, im);
}

void sqa_k_fft_complex_f32_avx2(int64_t n, float **re, float **im, float **re2, float **im2)
{
    if (n < 32) {
        sqa_k_fft_complex_f32(n, re, im, re2, im2);
        return;
    }
    const float *wr, *wi;
    sqa_k_fft_twiddles_f32(n, &wr, &wi);
    int64_t s = 1;
    for (int64_t m = n; m > 1; m /= 4, s *= 4) {
        if (m == 2)
            last_pass(s, *re, *im, *re2, *im2);
        else if (s == 1)
            first_pass(m, *re, *im, *re2, *im2, wr, wi);
        else if (s == 4)
            second_pass(m, *re, *im, *re2, *im2, wr, wi);
        else
            pass(m, s, *re, *im, *re2, *im2, wr, wi);
        float *t = *re;
        *re = *re2;
        *re2 = t;
        t = *im;
        *im = *im2;
        *im2 = t;
    }
}
