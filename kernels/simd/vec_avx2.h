/* vec_avx2.h - the primitives of vec.h with AVX2, and FMA where the instruction set has it; included by vec.h only */
#ifndef SQA_KERNELS_SIMD_VEC_AVX2_H
#define SQA_KERNELS_SIMD_VEC_AVX2_H

#include "kernels/simd/vec_half.h"

typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm;

/* clang-format off */
static inline vf v_set(float x) { return _mm256_set1_ps(x); }
static inline vf v_zero(void) { return _mm256_setzero_ps(); }
static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
static inline vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
#ifdef __FMA__
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
static inline vf v_fms(vf a, vf b, vf c) { return _mm256_fmsub_ps(a, b, c); }
#else
static inline vf v_fma(vf a, vf b, vf c) { return v_add(v_mul(a, b), c); }
static inline vf v_fnma(vf a, vf b, vf c) { return v_sub(c, v_mul(a, b)); }
static inline vf v_fms(vf a, vf b, vf c) { return v_sub(v_mul(a, b), c); }
#endif

static inline vi vi_set(int32_t x) { return _mm256_set1_epi32(x); }
static inline vi vi_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void vi_store(void *p, vi x) { _mm256_storeu_si256((__m256i *)p, x); }
static inline vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
static inline vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
#define vi_shl(x, n) _mm256_slli_epi32(x, n)
#define vi_shr(x, n) _mm256_srli_epi32(x, n)
#define vi_sar(x, n) _mm256_srai_epi32(x, n)
static inline vi v_bits(vf x) { return _mm256_castps_si256(x); }
static inline vf v_from_bits(vi x) { return _mm256_castsi256_ps(x); }
static inline vi v_round(vf x) { return _mm256_cvtps_epi32(x); }
static inline vf v_from_int(vi x) { return _mm256_cvtepi32_ps(x); }

static inline vm v_gt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
static inline vm v_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline vm v_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline vm v_nge(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_NGE_UQ); }
static inline vm vi_gt(vi a, vi b) { return _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b)); }
static inline vf v_select(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }
static inline vm v_first(size_t left) { return _mm256_castsi256_ps(half_mask(left)); }

static inline vi vi_pick8(const int32_t *p, vi i) { return _mm256_permutevar8x32_epi32(vi_load(p), i); }

static inline float v_sum(vf x) { return half_sum(x); }
static inline float v_top(vf x) { return half_top(x); }
static inline double v_sum_d(vf x) { return half_sum_d(half_pairs(x)); }

static inline vf v_sums(const vf s[8]) { return half_sums(s); }
static inline vf v_tops(const vf s[8]) { return half_tops(s); }

typedef struct { __m256d a, b; } vd;
static inline vd vd_zero(void) { return (vd){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
static inline vd vd_from(vf x)
{
    return (vd){_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))};
}
static inline vd vd_load(const float *p)
{
    return (vd){_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p + 4))};
}
static inline vf vd_to(vd x) { return _mm256_set_m128(_mm256_cvtpd_ps(x.b), _mm256_cvtpd_ps(x.a)); }
static inline vd vd_add(vd x, vd y) { return (vd){_mm256_add_pd(x.a, y.a), _mm256_add_pd(x.b, y.b)}; }
static inline vd vd_fma(vd x, vd y, vd z)
{
#ifdef __FMA__
    return (vd){_mm256_fmadd_pd(x.a, y.a, z.a), _mm256_fmadd_pd(x.b, y.b, z.b)};
#else
    return (vd){_mm256_add_pd(_mm256_mul_pd(x.a, y.a), z.a), _mm256_add_pd(_mm256_mul_pd(x.b, y.b), z.b)};
#endif
}
static inline double vd_sum(vd x) { return half_sum_d(_mm256_add_pd(x.a, x.b)); }

static inline vi vi_mul_even(vi a, vi b) { return _mm256_mul_epu32(a, b); }
static inline vi vi_down(vi a) { return _mm256_srli_epi64(a, 32); }
static inline vi vi_up(vi a) { return _mm256_slli_epi64(a, 32); }
static inline vi vi_odd(vi even, vi odd) { return _mm256_blend_epi32(even, odd, 0xaa); }
static inline vi vi_low32(vi a, vi b) { return _mm256_unpacklo_epi32(a, b); }
static inline vi vi_high32(vi a, vi b) { return _mm256_unpackhi_epi32(a, b); }
static inline vi vi_low64(vi a, vi b) { return _mm256_unpacklo_epi64(a, b); }
static inline vi vi_high64(vi a, vi b) { return _mm256_unpackhi_epi64(a, b); }
static inline vi vi_load_u16(const uint16_t *p)
{
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
/* clang-format on */

static inline vf v_load_part(const float *p, size_t left)
{
    return left >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, half_mask(left));
}

static inline void v_store_part(float *p, size_t left, vf x)
{
    if (left >= 8)
        _mm256_storeu_ps(p, x);
    else
        _mm256_maskstore_ps(p, half_mask(left), x);
}

#endif
