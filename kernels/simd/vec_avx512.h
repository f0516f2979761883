/* vec_avx512.h - the primitives of vec.h with AVX-512 F, BW, DQ and VL; included by vec.h only */
#ifndef SQA_KERNELS_SIMD_VEC_AVX512_H
#define SQA_KERNELS_SIMD_VEC_AVX512_H

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

/* clang-format off */
static inline vf v_set(float x) { return _mm512_set1_ps(x); }
static inline vf v_zero(void) { return _mm512_setzero_ps(); }
static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
static inline vf v_fms(vf a, vf b, vf c) { return _mm512_fmsub_ps(a, b, c); }

static inline vi vi_set(int32_t x) { return _mm512_set1_epi32(x); }
static inline vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
static inline void vi_store(void *p, vi x) { _mm512_storeu_si512(p, x); }
static inline vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
static inline vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
static inline vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
#define vi_shl(x, n) _mm512_slli_epi32(x, n)
#define vi_shr(x, n) _mm512_srli_epi32(x, n)
#define vi_sar(x, n) _mm512_srai_epi32(x, n)
static inline vi v_bits(vf x) { return _mm512_castps_si512(x); }
static inline vf v_from_bits(vi x) { return _mm512_castsi512_ps(x); }
static inline vi v_round(vf x) { return _mm512_cvtps_epi32(x); }
static inline vf v_from_int(vi x) { return _mm512_cvtepi32_ps(x); }

static inline vm v_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
static inline vm v_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline vm v_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
static inline vm v_nge(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_NGE_UQ); }
static inline vm vi_gt(vi a, vi b) { return _mm512_cmpgt_epi32_mask(a, b); }
static inline vf v_select(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }
static inline vm v_first(size_t left) { return (vm)(left >= 16 ? 0xffff : (1u << left) - 1); }

static inline float v_sum(vf x) { return _mm512_reduce_add_ps(x); }
static inline float v_top(vf x) { return _mm512_reduce_max_ps(x); }
static inline double v_sum_d(vf x)
{
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    return _mm512_reduce_add_pd(_mm512_add_pd(low, _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1))));
}
static inline vf v_load_part(const float *p, size_t left) { return _mm512_maskz_loadu_ps(v_first(left), p); }
static inline void v_store_part(float *p, size_t left, vf x) { _mm512_mask_storeu_ps(p, v_first(left), x); }
/* clang-format on */

#endif
