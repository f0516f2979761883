/* vec_pair.h - the primitives of vec.h, sixteen floats as two AVX2 vectors (tests only); included by vec.h only */
#ifndef SQA_KERNELS_SIMD_VEC_PAIR_H
#define SQA_KERNELS_SIMD_VEC_PAIR_H

#include "kernels/simd/vec_half.h"

typedef struct {
    __m256 a, b;
} vf;
typedef struct {
    __m256i a, b;
} vi;
typedef vf vm;

/* clang-format off */
#define ONE(T, A, name, f) static inline T name(A x) { return (T){f(x.a), f(x.b)}; }
#define TWO(T, A, name, f) static inline T name(A x, A y) { return (T){f(x.a, y.a), f(x.b, y.b)}; }
#define FMA(name, f) static inline vf name(vf x, vf y, vf z) { return (vf){f(x.a, y.a, z.a), f(x.b, y.b, z.b)}; }
#define SHIFT(name, f) static inline vi name(vi x, int n) { return (vi){f(x.a, n), f(x.b, n)}; }
#define COMPARE(name, how) \
    static inline vm name(vf x, vf y) { return (vm){_mm256_cmp_ps(x.a, y.a, how), _mm256_cmp_ps(x.b, y.b, how)}; }

static inline vf v_set(float x) { return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline vf v_zero(void) { return v_set(0); }
static inline vf v_load(const float *p) { return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline void v_store(float *p, vf x) { _mm256_storeu_ps(p, x.a); _mm256_storeu_ps(p + 8, x.b); }
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

static inline vi vi_set(int32_t x) { return (vi){_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
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
SHIFT(vi_shl, _mm256_slli_epi32)
SHIFT(vi_shr, _mm256_srli_epi32)
SHIFT(vi_sar, _mm256_srai_epi32)
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
static inline vi vi_pick8(const int32_t *p, vi i)
{
    const __m256i t = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return (vi){_mm256_permutevar8x32_epi32(t, i.a), _mm256_permutevar8x32_epi32(t, i.b)};
}
static inline vf v_select(vm m, vf yes, vf no)
{
    return (vf){_mm256_blendv_ps(no.a, yes.a, m.a), _mm256_blendv_ps(no.b, yes.b, m.b)};
}

static inline size_t upper(size_t left) { return left < 8 ? 0 : left - 8; }
static inline vm v_first(size_t left)
{
    return v_from_bits((vi){half_mask(left), half_mask(upper(left))});
}
static inline float v_sum(vf x) { return half_sum(_mm256_add_ps(x.a, x.b)); }
static inline float v_top(vf x) { return half_top(_mm256_max_ps(x.a, x.b)); }
static inline double v_sum_d(vf x) { return half_sum_d(_mm256_add_pd(half_pairs(x.a), half_pairs(x.b))); }
static inline vf v_load_part(const float *p, size_t left)
{
    return (vf){_mm256_maskload_ps(p, half_mask(left)), _mm256_maskload_ps(p + 8, half_mask(upper(left)))};
}
static inline void v_store_part(float *p, size_t left, vf x)
{
    _mm256_maskstore_ps(p, half_mask(left), x.a);
    _mm256_maskstore_ps(p + 8, half_mask(upper(left)), x.b);
}

#define ACROSS(name, op, half) \
    static inline vf name(const vf s[16]) \
    { \
        __m256 t[16]; \
        V_UNROLL \
        for (int i = 0; i < 16; i++) \
            t[i] = op(s[i].a, s[i].b); \
        return (vf){half(t), half(t + 8)}; \
    }
ACROSS(v_sums, _mm256_add_ps, half_sums)
ACROSS(v_tops, _mm256_max_ps, half_tops)

typedef struct { __m256d d[4]; } vd;
static inline vd vd_zero(void)
{
    const __m256d z = _mm256_setzero_pd();
    return (vd){{z, z, z, z}};
}
static inline vd vd_from(vf x)
{
    return (vd){{_mm256_cvtps_pd(_mm256_castps256_ps128(x.a)), _mm256_cvtps_pd(_mm256_extractf128_ps(x.a, 1)),
                 _mm256_cvtps_pd(_mm256_castps256_ps128(x.b)), _mm256_cvtps_pd(_mm256_extractf128_ps(x.b, 1))}};
}
static inline vd vd_load(const float *p)
{
    return (vd){{_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p + 4)),
                 _mm256_cvtps_pd(_mm_loadu_ps(p + 8)), _mm256_cvtps_pd(_mm_loadu_ps(p + 12))}};
}
static inline vf vd_to(vd x)
{
    return (vf){_mm256_set_m128(_mm256_cvtpd_ps(x.d[1]), _mm256_cvtpd_ps(x.d[0])),
                _mm256_set_m128(_mm256_cvtpd_ps(x.d[3]), _mm256_cvtpd_ps(x.d[2]))};
}
static inline vd vd_fma(vd x, vd y, vd z)
{
    V_UNROLL
    for (int i = 0; i < 4; i++)
        z.d[i] = _mm256_fmadd_pd(x.d[i], y.d[i], z.d[i]);
    return z;
}
static inline vd vd_add(vd x, vd y)
{
    V_UNROLL
    for (int i = 0; i < 4; i++)
        x.d[i] = _mm256_add_pd(x.d[i], y.d[i]);
    return x;
}
static inline double vd_sum(vd x)
{
    return half_sum_d(_mm256_add_pd(_mm256_add_pd(x.d[0], x.d[2]), _mm256_add_pd(x.d[1], x.d[3])));
}

TWO(vi, vi, vi_mul_even, _mm256_mul_epu32)
static inline vi vi_down(vi x) { return (vi){_mm256_srli_epi64(x.a, 32), _mm256_srli_epi64(x.b, 32)}; }
static inline vi vi_up(vi x) { return (vi){_mm256_slli_epi64(x.a, 32), _mm256_slli_epi64(x.b, 32)}; }
static inline vi vi_odd(vi even, vi odd)
{
    return (vi){_mm256_blend_epi32(even.a, odd.a, 0xaa), _mm256_blend_epi32(even.b, odd.b, 0xaa)};
}
TWO(vi, vi, vi_low32, _mm256_unpacklo_epi32)
TWO(vi, vi, vi_high32, _mm256_unpackhi_epi32)
TWO(vi, vi, vi_low64, _mm256_unpacklo_epi64)
TWO(vi, vi, vi_high64, _mm256_unpackhi_epi64)
static inline vi vi_load_u16(const uint16_t *p)
{
    const __m128i *q = (const void *)p;
    return (vi){_mm256_cvtepu16_epi32(_mm_loadu_si128(q)), _mm256_cvtepu16_epi32(_mm_loadu_si128(q + 1))};
}
#undef ACROSS
#undef ONE
#undef TWO
#undef FMA
#undef SHIFT
#undef COMPARE
/* clang-format on */

#endif
