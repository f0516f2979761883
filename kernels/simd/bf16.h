/*
 * bf16.h - vectors of floats rounded to bfloat16; kernels/bf16.h says how
 */
#ifndef SQA_KERNELS_SIMD_BF16_H
#define SQA_KERNELS_SIMD_BF16_H

#include "kernels/simd/vec.h"

/* The rounded numbers as floats, bit by bit: the lower halves are 0. */
static inline vi v_bf16(vf x)
{
    const vi bits = v_bits(x), size = vi_and(bits, vi_set(0x7fffffff)), upper = vi_set((int)0xffff0000u);
    const vi even = vi_and(vi_shr(bits, 16), vi_set(1));
    const vi nearest = vi_and(vi_add(vi_add(bits, vi_set(0x7fff)), even), upper);
    const vi quiet = vi_and(vi_or(bits, vi_set(0x400000)), upper);
    const vf y = v_select(vi_gt(size, vi_set(0x7f800000)), v_from_bits(quiet), v_from_bits(nearest));
    const vi sign = vi_and(bits, vi_set(INT32_MIN));
    return v_bits(v_select(vi_gt(vi_set(0x00800000), size), v_from_bits(sign), y));
}

/* Upper halves of W numbers side by side. */
static inline void v_store_upper(uint16_t *to, vi x)
{
#if SQA_WIDTH == 16 && defined(__AVX512F__)
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi32_epi16(vi_shr(x, 16)));
#elif SQA_WIDTH == 8
    const __m256i s = vi_shr(x, 16), both = _mm256_permute4x64_epi64(_mm256_packus_epi32(s, s), 0x08);
    _mm_storeu_si128((__m128i *)(void *)to, _mm256_castsi256_si128(both));
#else
    const vi s = vi_shr(x, 16);
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_permute4x64_epi64(_mm256_packus_epi32(s.a, s.b), 0xd8));
#endif
}

/* Pairs: even in the lower, odd in the upper half of each 32 bits. */
static inline vi v_pairs(vi even, vi odd)
{
    return vi_or(vi_shr(even, 16), odd);
}

#endif
