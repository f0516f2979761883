/*
 * vec.h - a vector of SQA_WIDTH floats, the same names for every instruction set
 *
 * Every file of kernels/simd/ is compiled once for each instruction set, with -DSQA_WIDTH and -DSQA_ISA:
 *   avx2    8 floats, AVX2 and FMA
 *   avx512  16 floats, AVX-512 F, BW, DQ and VL
 *   pair    16 floats as two AVX2 vectors: for tests only, so that the 16-wide forms are run on every machine
 * V(name) is then sqa_k_<name>_f32_<isa>.
 *
 * Errors in units of the last place of the exact result, measured by tests/test_kernels.c: v_exp 1.0, v_log 0.8,
 * bounds 1.5. v_exp2_neg is tested through attention. Not-a-number in gives not-a-number out. Polynomials: weighted
 * least squares driven to minimax.
 */
#ifndef SQA_KERNELS_SIMD_VEC_H
#define SQA_KERNELS_SIMD_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define SQA_V_PASTE(name, isa) sqa_k_##name##_f32_##isa
#define SQA_V_PASTE2(name, isa) SQA_V_PASTE(name, isa)
#define V(name) SQA_V_PASTE2(name, SQA_ISA)

enum { W = SQA_WIDTH };

#if SQA_WIDTH == 16 && defined(__AVX512F__)

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

static inline vf v_set(float x)
{
    return _mm512_set1_ps(x);
}
static inline vf v_zero(void)
{
    return _mm512_setzero_ps();
}
static inline vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void v_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}
static inline vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
static inline vf v_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
static inline vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
} /* b when one is not a number, as x86 has it */
static inline vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
} /* a b + c */
static inline vf v_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
} /* c - a b */
static inline vf v_fms(vf a, vf b, vf c)
{
    return _mm512_fmsub_ps(a, b, c);
} /* a b - c */
static inline vi vi_set(int32_t x)
{
    return _mm512_set1_epi32(x);
}
static inline vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}
static inline void vi_store(void *p, vi x)
{
    _mm512_storeu_si512(p, x);
}
static inline vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
static inline vi vi_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}
static inline vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}
static inline vi vi_or(vi a, vi b)
{
    return _mm512_or_si512(a, b);
}
static inline vi vi_xor(vi a, vi b)
{
    return _mm512_xor_si512(a, b);
}
#define vi_shl(x, n) _mm512_slli_epi32(x, n)
#define vi_shr(x, n) _mm512_srli_epi32(x, n)
#define vi_sar(x, n) _mm512_srai_epi32(x, n)
static inline vi v_bits(vf x)
{
    return _mm512_castps_si512(x);
}
static inline vf v_from_bits(vi x)
{
    return _mm512_castsi512_ps(x);
}
static inline vi v_round(vf x)
{
    return _mm512_cvtps_epi32(x);
} /* to the nearest integer */
static inline vf v_from_int(vi x)
{
    return _mm512_cvtepi32_ps(x);
}
static inline vm v_gt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
static inline vm v_lt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
static inline vm v_eq(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
static inline vm v_nge(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_NGE_UQ);
} /* true for not-a-number */
static inline vm vi_gt(vi a, vi b)
{
    return _mm512_cmpgt_epi32_mask(a, b);
} /* signed */
static inline vf v_select(vm m, vf yes, vf no)
{
    return _mm512_mask_blend_ps(m, no, yes);
}
static inline vm v_first(size_t left)
{
    return (vm)(left >= 16 ? 0xffff : (1u << left) - 1);
} /* lanes below left */
static inline float v_sum(vf x)
{
    return _mm512_reduce_add_ps(x);
}
static inline float v_top(vf x)
{
    return _mm512_reduce_max_ps(x);
}
static inline vf v_load_part(const float *p, size_t left)
{
    return _mm512_maskz_loadu_ps(v_first(left), p);
}
static inline void v_store_part(float *p, size_t left, vf x)
{
    _mm512_mask_storeu_ps(p, v_first(left), x);
}
/* Sum of the lanes in double, in lane order by halves */
static inline double v_sum_d(vf x)
{
    const __m512d s =
        _mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(x)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)));
    return _mm512_reduce_add_pd(s);
}

#else

/* Eight floats; the primitives below, or halves of them. */
static inline __m256i mask_avx2(size_t left)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - (left < 8 ? left : 8)));
}
static inline float sum_avx2(__m256 x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float top_avx2(__m256 x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
static inline __m256d pairs_avx2(__m256 x)
{
    return _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
}
static inline double sum_pd_avx2(__m256d x)
{
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

#if SQA_WIDTH == 8

typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm;

static inline vf v_load_part(const float *p, size_t left)
{
    return left >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask_avx2(left));
}
static inline void v_store_part(float *p, size_t left, vf x)
{
    if (left >= 8)
        _mm256_storeu_ps(p, x);
    else
        _mm256_maskstore_ps(p, mask_avx2(left), x);
}
static inline vm v_first(size_t left)
{
    return _mm256_castsi256_ps(mask_avx2(left));
}
static inline float v_sum(vf x)
{
    return sum_avx2(x);
}
static inline float v_top(vf x)
{
    return top_avx2(x);
}
static inline double v_sum_d(vf x)
{
    return sum_pd_avx2(pairs_avx2(x));
}
#define EACH(T, name, args, expr8) \
    static inline T name args      \
    {                              \
        return expr8;              \
    }
EACH(vf, v_set, (float x), _mm256_set1_ps(x))
EACH(vf, v_zero, (void), _mm256_setzero_ps())
EACH(vf, v_load, (const float *p), _mm256_loadu_ps(p))
static inline void v_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}
EACH(vf, v_add, (vf a, vf b), _mm256_add_ps(a, b))
EACH(vf, v_sub, (vf a, vf b), _mm256_sub_ps(a, b))
EACH(vf, v_mul, (vf a, vf b), _mm256_mul_ps(a, b))
EACH(vf, v_div, (vf a, vf b), _mm256_div_ps(a, b))
EACH(vf, v_sqrt, (vf a), _mm256_sqrt_ps(a))
EACH(vf, v_max, (vf a, vf b), _mm256_max_ps(a, b)) /* b when one is not a number, as x86 has it */
EACH(vf, v_min, (vf a, vf b), _mm256_min_ps(a, b))
EACH(vf, v_fma, (vf a, vf b, vf c), _mm256_fmadd_ps(a, b, c))   /* a b + c */
EACH(vf, v_fnma, (vf a, vf b, vf c), _mm256_fnmadd_ps(a, b, c)) /* c - a b */
EACH(vf, v_fms, (vf a, vf b, vf c), _mm256_fmsub_ps(a, b, c))   /* a b - c */
EACH(vi, vi_set, (int32_t x), _mm256_set1_epi32(x))
EACH(vi, vi_load, (const void *p), _mm256_loadu_si256((const __m256i *)p))
static inline void vi_store(void *p, vi x)
{
    _mm256_storeu_si256((__m256i *)p, x);
}
EACH(vi, vi_add, (vi a, vi b), _mm256_add_epi32(a, b))
EACH(vi, vi_sub, (vi a, vi b), _mm256_sub_epi32(a, b))
EACH(vi, vi_and, (vi a, vi b), _mm256_and_si256(a, b))
EACH(vi, vi_or, (vi a, vi b), _mm256_or_si256(a, b))
EACH(vi, vi_xor, (vi a, vi b), _mm256_xor_si256(a, b))
#define vi_shl(x, n) _mm256_slli_epi32(x, n)
#define vi_shr(x, n) _mm256_srli_epi32(x, n)
#define vi_sar(x, n) _mm256_srai_epi32(x, n)
EACH(vi, v_bits, (vf x), _mm256_castps_si256(x))
EACH(vf, v_from_bits, (vi x), _mm256_castsi256_ps(x))
EACH(vi, v_round, (vf x), _mm256_cvtps_epi32(x)) /* to the nearest integer */
EACH(vf, v_from_int, (vi x), _mm256_cvtepi32_ps(x))
EACH(vm, v_gt, (vf a, vf b), _mm256_cmp_ps(a, b, _CMP_GT_OQ))
EACH(vm, v_lt, (vf a, vf b), _mm256_cmp_ps(a, b, _CMP_LT_OQ))
EACH(vm, v_eq, (vf a, vf b), _mm256_cmp_ps(a, b, _CMP_EQ_OQ))
EACH(vm, v_nge, (vf a, vf b), _mm256_cmp_ps(a, b, _CMP_NGE_UQ))              /* true for not-a-number */
EACH(vm, vi_gt, (vi a, vi b), _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b))) /* signed */
EACH(vf, v_select, (vm m, vf yes, vf no), _mm256_blendv_ps(no, yes, m))
#undef EACH

#else /* two AVX2 vectors */

typedef struct {
    __m256 a, b;
} vf;
typedef struct {
    __m256i a, b;
} vi;
typedef vf vm;

static inline vf v_load_part(const float *p, size_t left)
{
    return (vf){_mm256_maskload_ps(p, mask_avx2(left)),
                _mm256_maskload_ps(p + 8, mask_avx2(left < 8 ? 0 : left - 8))};
}
static inline void v_store_part(float *p, size_t left, vf x)
{
    _mm256_maskstore_ps(p, mask_avx2(left), x.a);
    _mm256_maskstore_ps(p + 8, mask_avx2(left < 8 ? 0 : left - 8), x.b);
}
static inline vm v_first(size_t left)
{
    return (vm){_mm256_castsi256_ps(mask_avx2(left)), _mm256_castsi256_ps(mask_avx2(left < 8 ? 0 : left - 8))};
}
static inline float v_sum(vf x)
{
    return sum_avx2(_mm256_add_ps(x.a, x.b));
}
static inline float v_top(vf x)
{
    return top_avx2(_mm256_max_ps(x.a, x.b));
}
static inline double v_sum_d(vf x)
{
    return sum_pd_avx2(_mm256_add_pd(pairs_avx2(x.a), pairs_avx2(x.b)));
}
static inline vf v_set(float x)
{
    return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
static inline vf v_zero(void)
{
    return v_set(0);
}
static inline vf v_load(const float *p)
{
    return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
static inline void v_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
#define TWO(T, A, name, f)                    \
    static inline T name(A x, A y)            \
    {                                         \
        return (T){f(x.a, y.a), f(x.b, y.b)}; \
    }
#define ONE(T, A, name, f)          \
    static inline T name(A x)       \
    {                               \
        return (T){f(x.a), f(x.b)}; \
    }
#define FMA(name, f)                                     \
    static inline vf name(vf x, vf y, vf z)              \
    {                                                    \
        return (vf){f(x.a, y.a, z.a), f(x.b, y.b, z.b)}; \
    }
#define COMPARE(name, how)                                                       \
    static inline vm name(vf x, vf y)                                            \
    {                                                                            \
        return (vm){_mm256_cmp_ps(x.a, y.a, how), _mm256_cmp_ps(x.b, y.b, how)}; \
    }
TWO(vf, vf, v_add, _mm256_add_ps)
TWO(vf, vf, v_sub, _mm256_sub_ps)
TWO(vf, vf, v_mul, _mm256_mul_ps)
TWO(vf, vf, v_div, _mm256_div_ps)
TWO(vf, vf, v_max, _mm256_max_ps)
TWO(vf, vf, v_min, _mm256_min_ps)
ONE(vf, vf, v_sqrt, _mm256_sqrt_ps)
FMA(v_fma, _mm256_fmadd_ps)
FMA(v_fnma, _mm256_fnmadd_ps)
FMA(v_fms, _mm256_fmsub_ps)
static inline vi vi_set(int32_t x)
{
    return (vi){_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
static inline vi vi_load(const void *p)
{
    const __m256i *q = p;
    return (vi){_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}
static inline void vi_store(void *p, vi x)
{
    __m256i *q = p;
    _mm256_storeu_si256(q, x.a);
    _mm256_storeu_si256(q + 1, x.b);
}
TWO(vi, vi, vi_add, _mm256_add_epi32)
TWO(vi, vi, vi_sub, _mm256_sub_epi32)
TWO(vi, vi, vi_and, _mm256_and_si256)
TWO(vi, vi, vi_or, _mm256_or_si256)
TWO(vi, vi, vi_xor, _mm256_xor_si256)
static inline vi vi_shl(vi x, int n)
{
    return (vi){_mm256_slli_epi32(x.a, n), _mm256_slli_epi32(x.b, n)};
}
static inline vi vi_shr(vi x, int n)
{
    return (vi){_mm256_srli_epi32(x.a, n), _mm256_srli_epi32(x.b, n)};
}
static inline vi vi_sar(vi x, int n)
{
    return (vi){_mm256_srai_epi32(x.a, n), _mm256_srai_epi32(x.b, n)};
}
ONE(vi, vf, v_bits, _mm256_castps_si256)
ONE(vf, vi, v_from_bits, _mm256_castsi256_ps)
ONE(vi, vf, v_round, _mm256_cvtps_epi32)
ONE(vf, vi, v_from_int, _mm256_cvtepi32_ps)
COMPARE(v_gt, _CMP_GT_OQ)
COMPARE(v_lt, _CMP_LT_OQ)
COMPARE(v_eq, _CMP_EQ_OQ)
COMPARE(v_nge, _CMP_NGE_UQ)
static inline vm vi_gt(vi x, vi y)
{
    return v_from_bits((vi){_mm256_cmpgt_epi32(x.a, y.a), _mm256_cmpgt_epi32(x.b, y.b)});
}
static inline vf v_select(vm m, vf yes, vf no)
{
    return (vf){_mm256_blendv_ps(no.a, yes.a, m.a), _mm256_blendv_ps(no.b, yes.b, m.b)};
}
#undef TWO
#undef ONE
#undef FMA
#undef COMPARE

#endif
#endif

/* From here on every instruction set is the same. */

static inline vf v_abs(vf x)
{
    return v_from_bits(vi_and(v_bits(x), vi_set(0x7fffffff)));
}
static inline vf v_neg(vf x)
{
    return v_from_bits(vi_xor(v_bits(x), vi_set(INT32_MIN)));
}
static inline vf v_sign(vf magnitude, vf sign) /* magnitude >= 0 with the sign of `sign` */
{
    return v_from_bits(vi_or(v_bits(magnitude), vi_and(v_bits(sign), vi_set(INT32_MIN))));
}
/* The lanes from `left` on become those of y. */
static inline vf v_keep(vf x, size_t left, vf y)
{
    return left >= (size_t)W ? x : v_select(v_first(left), x, y);
}
/* 2^n for integers n = -127 (gives 0) .. 128 (gives inf) in the low bits of t */
static inline vf v_power(vi t)
{
    return v_from_bits(vi_add(vi_shl(t, 23), vi_set(0x3f800000)));
}

/* 2^x for x <= 127, results below 2^-126 may be 0; 2^-inf = 0. For probabilities. */
static inline vf v_exp2_neg(vf x)
{
    const vf magic = v_set(0x1.8p23f); /* adding it rounds to an integer, left in the low bits */
    x = v_max(v_set(-127.0f), x);
    const vf t = v_add(x, magic), r = v_sub(x, v_sub(t, magic));
    vf p = v_set(0.000153458116f);
    p = v_fma(p, r, v_set(0.00133999312f));
    p = v_fma(p, r, v_set(0.00961848896f));
    p = v_fma(p, r, v_set(0.0555032878f));
    p = v_fma(p, r, v_set(0.240226469f));
    p = v_fma(p, r, v_set(0.693147206f));
    p = v_fma(p, r, v_set(1.0f));
    return v_mul(p, v_power(v_bits(t)));
}

/* e^x over the whole range, denormal results included: n = round(x / ln 2), r = x - n ln 2, e^r 2^(n/2) 2^(n - n/2)
 */
static inline vf v_exp(vf x)
{
    const vf magic = v_set(0x1.8p23f);
    x = v_max(v_set(-104.0f), v_min(v_set(89.0f), x));
    const vf t = v_fma(x, v_set(1.44269504f), magic), n = v_sub(t, magic);
    vf r = v_fnma(n, v_set(0x1.62e400p-1f), x); /* ln 2 = 0x1.62e4p-1 + 0x1.7f7d1cp-20 */
    r = v_fnma(n, v_set(0x1.7f7d1cp-20f), r);
    vf p = v_set(0.00138146018f);
    p = v_fma(p, r, v_set(0.00836871522f));
    p = v_fma(p, r, v_set(0.0416683879f));
    p = v_fma(p, r, v_set(0.166665206f));
    p = v_fma(p, r, v_set(0.499999934f));
    p = v_fma(p, v_mul(r, r), r);
    p = v_add(p, v_set(1.0f));
    const vi whole = v_round(n), part = vi_sar(whole, 1);
    return v_mul(v_mul(p, v_power(part)), v_power(vi_sub(whole, part)));
}

/* log x: x = 2^e (1 + f), f in [sqrt(1/2) - 1, sqrt 2 - 1]; log(1 + f) = f - f^2 / 2 + f^3 P(f) */
static inline vf v_log(vf x)
{
    const vm tiny = v_lt(x, v_set(0x1p-126f));
    const vf y = v_select(tiny, v_mul(x, v_set(0x1p23f)), x);
    const vi bits = vi_sub(v_bits(y), vi_set(0x3f3504f3)); /* sqrt(1/2) */
    vf e = v_from_int(vi_sar(bits, 23));
    e = v_sub(e, v_select(tiny, v_set(23.0f), v_zero()));
    const vi low = vi_and(bits, vi_set(0x007fffff));
    const vf f = v_sub(v_from_bits(vi_add(low, vi_set(0x3f3504f3))), v_set(1.0f));
    vf p = v_set(0.0674663828f);
    p = v_fma(p, f, v_set(-0.116756512f));
    p = v_fma(p, f, v_set(0.11888163f));
    p = v_fma(p, f, v_set(-0.124055891f));
    p = v_fma(p, f, v_set(0.142195523f));
    p = v_fma(p, f, v_set(-0.166679958f));
    p = v_fma(p, f, v_set(0.200021187f));
    p = v_fma(p, f, v_set(-0.250000096f));
    p = v_fma(p, f, v_set(0.333333126f));
    const vf f2 = v_mul(f, f);
    vf v = v_fma(v_mul(p, f), f2, v_mul(e, v_set(0x1.7f7d1cp-20f)));
    v = v_fnma(v_set(0.5f), f2, v);
    v = v_fma(e, v_set(0x1.62e400p-1f), v_add(f, v));
    const vf inf = v_set(__builtin_inff()), zero = v_zero();
    v = v_select(v_eq(x, inf), inf, v);
    v = v_select(v_eq(x, zero), v_neg(inf), v);
    return v_select(v_nge(x, zero), v_set(__builtin_nanf("")), v);
}

/* log(1 + u) for 0 <= u <= 1: log w, w = 1 + u rounded, and the rounding as a correction */
static inline vf v_log1p(vf u)
{
    const vf one = v_set(1.0f), w = v_add(one, u);
    const vf lost = v_sub(u, v_sub(w, one));
    return v_add(v_log(w), v_div(lost, w));
}

static inline vf v_sigmoid(vf x)
{
    const vf one = v_set(1.0f);
    return v_div(one, v_add(one, v_exp(v_neg(x))));
}

/* Small x: x + x^3 P(x^2). Else 1 - 2 / (e^(2|x|) + 1) with the sign of x. */
static inline vf v_tanh(vf x)
{
    const vf one = v_set(1.0f), a = v_abs(x), s = v_mul(x, x);
    vf p = v_set(-0.00570498633f);
    p = v_fma(p, s, v_set(0.0206390866f));
    p = v_fma(p, s, v_set(-0.0537397148f));
    p = v_fma(p, s, v_set(0.133314422f));
    p = v_fma(p, s, v_set(-0.333332819f));
    const vf small = v_fma(v_mul(p, s), x, x);
    const vf e = v_exp(v_add(a, a));
    const vf large = v_sub(one, v_div(v_set(2.0f), v_add(e, one)));
    return v_select(v_gt(a, v_set(0.625f)), v_sign(large, x), small);
}

/* Normal distribution function; *bell = exp(-x^2 / 2). With z = |x| / sqrt 2 and t = 1 / (1 + 0.35 z),
 * erfc(z) = exp(-z^2) t P(t) keeps its relative precision in the tail. */
static inline vf v_normal_cdf(vf x, vf *bell)
{
    const vf one = v_set(1.0f);
    const vf t = v_div(one, v_fma(v_abs(x), v_set(0.35f * 0.707106781f), one));
    vf p = v_set(0.0386859201f);
    p = v_fma(p, t, v_set(-0.160522241f));
    p = v_fma(p, t, v_set(0.185334479f));
    p = v_fma(p, t, v_set(-0.0330610859f));
    p = v_fma(p, t, v_set(0.0916538371f));
    p = v_fma(p, t, v_set(0.143442769f));
    p = v_fma(p, t, v_set(0.152129137f));
    p = v_fma(p, t, v_set(0.187689395f));
    p = v_fma(p, t, v_set(0.197165506f));
    p = v_fma(p, t, v_set(0.197482292f));
    *bell = v_exp(v_mul(v_mul(v_set(-0.5f), x), x));
    const vf tail = v_mul(v_mul(v_mul(v_set(0.5f), t), p), *bell);
    return v_select(v_gt(x, v_zero()), v_sub(one, tail), tail);
}

#endif
