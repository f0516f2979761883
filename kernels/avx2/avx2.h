/*
 * avx2.h - eight floats: loads of partial vectors, reductions in fixed order, exp, log and their relatives
 *
 * Errors in units of the last place of the exact result, measured by tests/test_kernels.c: exp8 1.0, log8 0.8, bounds
 * 1.5. exp2_neg8 is tested through attention. Not-a-number in gives not-a-number out. Polynomials: weighted least
 * squares driven to minimax.
 */
#ifndef SQA_KERNELS_AVX2_AVX2_H
#define SQA_KERNELS_AVX2_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

static inline __m256 set8(float x)
{
    return _mm256_set1_ps(x);
}

static inline __m256i mask8(size_t left)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - left));
}

/* The first min(left, 8) numbers at p; the other lanes are 0. */
static inline __m256 load8(const float *p, size_t left)
{
    return left >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask8(left));
}

static inline void store8(float *p, size_t left, __m256 x)
{
    if (left >= 8)
        _mm256_storeu_ps(p, x);
    else
        _mm256_maskstore_ps(p, mask8(left), x);
}

/* The lanes from `left` on become those of y. */
static inline __m256 keep8(__m256 x, size_t left, __m256 y)
{
    return left >= 8 ? x : _mm256_blendv_ps(y, x, _mm256_castsi256_ps(mask8(left)));
}

static inline float sum8(__m256 x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float max8(__m256 x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

static inline double sum4d(__m256d x)
{
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

static inline __m256 fma8(__m256 a, __m256 b, __m256 c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline __m256 abs8(__m256 x)
{
    return _mm256_andnot_ps(set8(-0.0f), x);
}

static inline __m256 neg8(__m256 x)
{
    return _mm256_xor_ps(set8(-0.0f), x);
}

static inline __m256 greater8(__m256 a, __m256 b)
{
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}

static inline __m256 select8(__m256 mask, __m256 yes, __m256 no)
{
    return _mm256_blendv_ps(no, yes, mask);
}

/* 2^n for integers n = -127 (gives 0) .. 128 (gives inf) in the low bits of t */
static inline __m256 power8(__m256i t)
{
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32(t, 23), _mm256_set1_epi32(0x3f800000)));
}

/* 2^x for x <= 127, results below 2^-126 may be 0; 2^-inf = 0. For probabilities. */
static inline __m256 exp2_neg8(__m256 x)
{
    const __m256 magic = set8(0x1.8p23f); /* adding it rounds to an integer, left in the low bits */
    x = _mm256_max_ps(set8(-127.0f), x);
    const __m256 t = _mm256_add_ps(x, magic), r = _mm256_sub_ps(x, _mm256_sub_ps(t, magic));
    __m256 p = set8(0.000153458116f);
    p = fma8(p, r, set8(0.00133999312f));
    p = fma8(p, r, set8(0.00961848896f));
    p = fma8(p, r, set8(0.0555032878f));
    p = fma8(p, r, set8(0.240226469f));
    p = fma8(p, r, set8(0.693147206f));
    p = fma8(p, r, set8(1.0f));
    return _mm256_mul_ps(p, power8(_mm256_castps_si256(t)));
}

/* e^x over the whole range, denormal results included: n = round(x / ln 2), r = x - n ln 2, e^r 2^(n/2) 2^(n - n/2)
 */
static inline __m256 exp8(__m256 x)
{
    const __m256 magic = set8(0x1.8p23f);
    x = _mm256_max_ps(set8(-104.0f), _mm256_min_ps(set8(89.0f), x));
    const __m256 t = fma8(x, set8(1.44269504f), magic), n = _mm256_sub_ps(t, magic);
    __m256 r = _mm256_fnmadd_ps(n, set8(0x1.62e400p-1f), x); /* ln 2 = 0x1.62e4p-1 + 0x1.7f7d1cp-20 */
    r = _mm256_fnmadd_ps(n, set8(0x1.7f7d1cp-20f), r);
    __m256 p = set8(0.00138146018f);
    p = fma8(p, r, set8(0.00836871522f));
    p = fma8(p, r, set8(0.0416683879f));
    p = fma8(p, r, set8(0.166665206f));
    p = fma8(p, r, set8(0.499999934f));
    p = fma8(p, _mm256_mul_ps(r, r), r);
    p = _mm256_add_ps(p, set8(1.0f));
    const __m256i whole = _mm256_cvtps_epi32(n), part = _mm256_srai_epi32(whole, 1);
    return _mm256_mul_ps(_mm256_mul_ps(p, power8(part)), power8(_mm256_sub_epi32(whole, part)));
}

/* log x: x = 2^e (1 + f), f in [sqrt(1/2) - 1, sqrt 2 - 1]; log(1 + f) = f - f^2 / 2 + f^3 P(f) */
static inline __m256 log8(__m256 x)
{
    const __m256 tiny = _mm256_cmp_ps(x, set8(0x1p-126f), _CMP_LT_OQ);
    const __m256 y = select8(tiny, _mm256_mul_ps(x, set8(0x1p23f)), x);
    const __m256i bits = _mm256_sub_epi32(_mm256_castps_si256(y), _mm256_set1_epi32(0x3f3504f3)); /* sqrt(1/2) */
    __m256 e = _mm256_cvtepi32_ps(_mm256_srai_epi32(bits, 23));
    e = _mm256_sub_ps(e, _mm256_and_ps(tiny, set8(23.0f)));
    const __m256i low = _mm256_and_si256(bits, _mm256_set1_epi32(0x007fffff));
    const __m256 f =
        _mm256_sub_ps(_mm256_castsi256_ps(_mm256_add_epi32(low, _mm256_set1_epi32(0x3f3504f3))), set8(1.0f));
    __m256 p = set8(0.0674663828f);
    p = fma8(p, f, set8(-0.116756512f));
    p = fma8(p, f, set8(0.11888163f));
    p = fma8(p, f, set8(-0.124055891f));
    p = fma8(p, f, set8(0.142195523f));
    p = fma8(p, f, set8(-0.166679958f));
    p = fma8(p, f, set8(0.200021187f));
    p = fma8(p, f, set8(-0.250000096f));
    p = fma8(p, f, set8(0.333333126f));
    const __m256 f2 = _mm256_mul_ps(f, f);
    __m256 v = fma8(_mm256_mul_ps(p, f), f2, _mm256_mul_ps(e, set8(0x1.7f7d1cp-20f)));
    v = _mm256_fnmadd_ps(set8(0.5f), f2, v);
    v = fma8(e, set8(0x1.62e400p-1f), _mm256_add_ps(f, v));
    const __m256 inf = set8(__builtin_inff()), zero = _mm256_setzero_ps();
    v = select8(_mm256_cmp_ps(x, inf, _CMP_EQ_OQ), inf, v);
    v = select8(_mm256_cmp_ps(x, zero, _CMP_EQ_OQ), neg8(inf), v);
    return select8(_mm256_cmp_ps(x, zero, _CMP_NGE_UQ), set8(__builtin_nanf("")), v);
}

/* log(1 + u) for 0 <= u <= 1: log w, w = 1 + u rounded, and the rounding as a correction */
static inline __m256 log1p8(__m256 u)
{
    const __m256 one = set8(1.0f), w = _mm256_add_ps(one, u);
    const __m256 lost = _mm256_sub_ps(u, _mm256_sub_ps(w, one));
    return _mm256_add_ps(log8(w), _mm256_div_ps(lost, w));
}

static inline __m256 sigmoid8(__m256 x)
{
    const __m256 one = set8(1.0f);
    return _mm256_div_ps(one, _mm256_add_ps(one, exp8(neg8(x))));
}

/* Small x: x + x^3 P(x^2). Else 1 - 2 / (e^(2|x|) + 1) with the sign of x. */
static inline __m256 tanh8(__m256 x)
{
    const __m256 one = set8(1.0f), a = abs8(x), s = _mm256_mul_ps(x, x);
    __m256 p = set8(-0.00570498633f);
    p = fma8(p, s, set8(0.0206390866f));
    p = fma8(p, s, set8(-0.0537397148f));
    p = fma8(p, s, set8(0.133314422f));
    p = fma8(p, s, set8(-0.333332819f));
    const __m256 small = fma8(_mm256_mul_ps(p, s), x, x);
    const __m256 e = exp8(_mm256_add_ps(a, a));
    const __m256 large = _mm256_sub_ps(one, _mm256_div_ps(set8(2.0f), _mm256_add_ps(e, one)));
    const __m256 sign = _mm256_and_ps(x, set8(-0.0f));
    return select8(greater8(a, set8(0.625f)), _mm256_or_ps(large, sign), small);
}

/* Normal distribution function; *bell = exp(-x^2 / 2). With z = |x| / sqrt 2 and t = 1 / (1 + 0.35 z),
 * erfc(z) = exp(-z^2) t P(t) keeps its relative precision in the tail. */
static inline __m256 normal_cdf8(__m256 x, __m256 *bell)
{
    const __m256 one = set8(1.0f);
    const __m256 t = _mm256_div_ps(one, fma8(abs8(x), set8(0.35f * 0.707106781f), one));
    __m256 p = set8(0.0386859201f);
    p = fma8(p, t, set8(-0.160522241f));
    p = fma8(p, t, set8(0.185334479f));
    p = fma8(p, t, set8(-0.0330610859f));
    p = fma8(p, t, set8(0.0916538371f));
    p = fma8(p, t, set8(0.143442769f));
    p = fma8(p, t, set8(0.152129137f));
    p = fma8(p, t, set8(0.187689395f));
    p = fma8(p, t, set8(0.197165506f));
    p = fma8(p, t, set8(0.197482292f));
    *bell = exp8(_mm256_mul_ps(_mm256_mul_ps(set8(-0.5f), x), x));
    const __m256 tail = _mm256_mul_ps(_mm256_mul_ps(_mm256_mul_ps(set8(0.5f), t), p), *bell);
    return select8(greater8(x, _mm256_setzero_ps()), _mm256_sub_ps(one, tail), tail);
}

#endif
