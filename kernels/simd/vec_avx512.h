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
static inline vi vi_pick8(const int32_t *p, vi i)
{
    return _mm512_permutexvar_epi32(i, _mm512_broadcast_i32x8(_mm256_loadu_si256((const __m256i *)(const void *)p)));
}
static inline vf v_select(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }
static inline vm v_first(size_t left) { return (vm)(left >= 16 ? 0xffff : (1u << left) - 1); }

static inline float v_sum(vf x) { return _mm512_reduce_add_ps(x); }
static inline float v_top(vf x) { return _mm512_reduce_max_ps(x); }
static inline double v_sum_d(vf x)
{
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    return _mm512_reduce_add_pd(_mm512_add_pd(low, _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1))));
}
/* Lane r is op over the lanes of s[r]: four to one within quarters, then the quarters. */
#define ACROSS(name, op) \
    static inline vf name(const vf s[16]) \
    { \
        vf t[4]; \
        V_UNROLL \
        for (int i = 0; i < 4; i++) { \
            const vf u = ACROSS_PAIR(ps, op, s[4 * i], s[4 * i + 1]); \
            const vf v = ACROSS_PAIR(ps, op, s[4 * i + 2], s[4 * i + 3]); \
            t[i] = ACROSS_PAIR(ps, op, u, v); \
        } \
        const vf u = ACROSS_PAIR(f32x4, op, t[0], t[1]), v = ACROSS_PAIR(f32x4, op, t[2], t[3]); \
        return ACROSS_PAIR(f32x4, op, u, v); \
    }
#define ACROSS_PAIR(kind, op, x, y) op(_mm512_shuffle_##kind(x, y, 0x88), _mm512_shuffle_##kind(x, y, 0xdd))
ACROSS(v_sums, v_add)
ACROSS(v_tops, v_max)
#undef ACROSS
#undef ACROSS_PAIR

typedef struct { __m512d a, b; } vd;
static inline vd vd_zero(void) { return (vd){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
static inline vd vd_from(vf x)
{
    return (vd){_mm512_cvtps_pd(_mm512_castps512_ps256(x)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1))};
}
static inline vd vd_load(const float *p)
{
    return (vd){_mm512_cvtps_pd(_mm256_loadu_ps(p)), _mm512_cvtps_pd(_mm256_loadu_ps(p + 8))};
}
static inline vf vd_to(vd x)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(x.a)), _mm512_cvtpd_ps(x.b), 1);
}
static inline vd vd_add(vd x, vd y) { return (vd){_mm512_add_pd(x.a, y.a), _mm512_add_pd(x.b, y.b)}; }
static inline vd vd_fma(vd x, vd y, vd z) { return (vd){_mm512_fmadd_pd(x.a, y.a, z.a), _mm512_fmadd_pd(x.b, y.b, z.b)}; }
static inline double vd_sum(vd x) { return _mm512_reduce_add_pd(_mm512_add_pd(x.a, x.b)); }

static inline vi vi_mul_even(vi a, vi b) { return _mm512_mul_epu32(a, b); }
static inline vi vi_down(vi a) { return _mm512_srli_epi64(a, 32); }
static inline vi vi_odd(vi even, vi odd) { return _mm512_mask_blend_epi32(0xaaaa, even, odd); }
static inline vi vi_up(vi a) { return _mm512_slli_epi64(a, 32); }
static inline vi vi_low32(vi a, vi b) { return _mm512_unpacklo_epi32(a, b); }
static inline vi vi_high32(vi a, vi b) { return _mm512_unpackhi_epi32(a, b); }
static inline vi vi_low64(vi a, vi b) { return _mm512_unpacklo_epi64(a, b); }
static inline vi vi_high64(vi a, vi b) { return _mm512_unpackhi_epi64(a, b); }
static inline vi vi_load_u16(const uint16_t *p) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p)); }

static inline vf v_load_part(const float *p, size_t left) { return _mm512_maskz_loadu_ps(v_first(left), p); }
static inline void v_store_part(float *p, size_t left, vf x) { _mm512_mask_storeu_ps(p, v_first(left), x); }
/* clang-format on */

#endif
