/*
 * philox_avx2.h - eight Philox blocks at once; see kernels/philox.h
 */
#ifndef SQA_KERNELS_AVX2_PHILOX_AVX2_H
#define SQA_KERNELS_AVX2_PHILOX_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "kernels/philox.h"

/* High and low words of the eight products x * m. */
static inline __m256i philox_mul8(__m256i x, __m256i m, __m256i *high)
{
    const __m256i even = _mm256_mul_epu32(x, m), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), m);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

/* Counters: low words c0, high words c1. out[b]: the eight pieces of block b as 32-bit numbers. */
static inline void philox8(uint64_t key, __m256i c0, __m256i c1, __m256i out[8])
{
    const __m256i m0 = _mm256_set1_epi64x((long long)SQA_PHILOX_M0),
                  m1 = _mm256_set1_epi64x((long long)SQA_PHILOX_M1);
    __m256i c2 = _mm256_setzero_si256(), c3 = _mm256_setzero_si256();
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        __m256i high0, high1;
        const __m256i low0 = philox_mul8(c0, m0, &high0), low1 = philox_mul8(c2, m1, &high1);
        c0 = _mm256_xor_si256(_mm256_xor_si256(high1, c1), _mm256_set1_epi32((int)k0));
        c2 = _mm256_xor_si256(_mm256_xor_si256(high0, c3), _mm256_set1_epi32((int)k1));
        c1 = low1;
        c3 = low0;
        k0 += SQA_PHILOX_W0;
        k1 += SQA_PHILOX_W1;
    }
    /* The four words of one block side by side: blocks 0 and 4, 1 and 5, ... share a vector. */
    const __m256i a = _mm256_unpacklo_epi32(c0, c1), b = _mm256_unpacklo_epi32(c2, c3);
    const __m256i c = _mm256_unpackhi_epi32(c0, c1), d = _mm256_unpackhi_epi32(c2, c3);
    const __m256i pair[4] = {_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b), _mm256_unpacklo_epi64(c, d),
                             _mm256_unpackhi_epi64(c, d)};
    for (int i = 0; i < 4; i++) {
        out[i] = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(pair[i]));
        out[i + 4] = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(pair[i], 1));
    }
}

/* scale where the draw is below the threshold, else 0 */
static inline __m256 philox_factor(__m256i draw, __m256i threshold, __m256 scale)
{
    return _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(threshold, draw)), scale);
}

#endif
