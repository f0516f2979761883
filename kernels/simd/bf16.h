/*
 * bf16.h - vectors of floats rounded to bfloat16 (kernels/bf16.h says how), and rows of them packed for products
 *
 * Packed widths are padded to 32 with zeros.
 */
#ifndef SQA_KERNELS_SIMD_BF16_H
#define SQA_KERNELS_SIMD_BF16_H

#include "kernels/simd/vec.h"

/* The rounded numbers as floats, bit by bit: the lower halves are 0. */
static inline vi v_bf16(vf x)
{
#if SQA_WIDTH == 16 && defined(__AVX512BF16__)
    return vi_shl(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x)), 16);
#else
    const vi bits = v_bits(x), size = vi_and(bits, vi_set(0x7fffffff)), upper = vi_set((int)0xffff0000u);
    const vi even = vi_and(vi_shr(bits, 16), vi_set(1));
    const vi nearest = vi_and(vi_add(vi_add(bits, vi_set(0x7fff)), even), upper);
    const vi quiet = vi_and(vi_or(bits, vi_set(0x400000)), upper);
    const vf y = v_select(vi_gt(size, vi_set(0x7f800000)), v_from_bits(quiet), v_from_bits(nearest));
    const vi sign = vi_and(bits, vi_set(INT32_MIN));
    return v_bits(v_select(vi_gt(vi_set(0x00800000), size), v_from_bits(sign), y));
#endif
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

static inline ptrdiff_t pad32(ptrdiff_t x)
{
    return (x + 31) / 32 * 32;
}

/* W rounded numbers of row r from column c on; 0 outside (rows, width). */
static inline vi rounded_at(const float *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t r,
                            ptrdiff_t c)
{
    if (r >= rows || c >= width)
        return vi_set(0);
    return v_bf16(width - c >= W ? v_load(x + r * stride + c) : v_load_part(x + r * stride + c, (size_t)(width - c)));
}

/* to (all, padded width) = rows of x rounded */
static inline void pack_rows(const float *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, uint16_t *to,
                             ptrdiff_t all)
{
    const ptrdiff_t w = pad32(width);
    for (ptrdiff_t r = 0; r < all; r++)
        for (ptrdiff_t c = 0; c < w; c += W)
            v_store_upper(to + r * w + c, rounded_at(x, stride, rows, width, r, c));
}

/* to (all / 2, padded width) = pairs of rows 2 r and 2 r + 1 of x rounded */
static inline void pack_pairs(const float *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, uint32_t *to,
                              ptrdiff_t all)
{
    const ptrdiff_t w = pad32(width);
    for (ptrdiff_t r = 0; r < all; r += 2)
        for (ptrdiff_t c = 0; c < w; c += W)
            vi_store(to + r / 2 * w + c,
                     v_pairs(rounded_at(x, stride, rows, width, r, c), rounded_at(x, stride, rows, width, r + 1, c)));
}

/* to (columns, rows) = the transpose of from (rows, columns), 32 bits each; sizes are multiples of 8 */
static inline void transpose32(const uint32_t *from, ptrdiff_t rows, ptrdiff_t columns, uint32_t *to)
{
    for (ptrdiff_t r = 0; r < rows; r += 8)
        for (ptrdiff_t c = 0; c < columns; c += 8) {
            __m256 s[8], t[8];
            for (int i = 0; i < 8; i++)
                t[i] = _mm256_loadu_ps((const float *)(const void *)(from + (r + i) * columns + c));
            for (int i = 0; i < 8; i += 2) {
                s[i] = _mm256_unpacklo_ps(t[i], t[i + 1]);
                s[i + 1] = _mm256_unpackhi_ps(t[i], t[i + 1]);
            }
            for (int i = 0; i < 8; i += 4)
                for (int h = 0; h < 2; h++) {
                    t[i + 2 * h] = _mm256_shuffle_ps(s[i + h], s[i + 2 + h], 0x44);
                    t[i + 2 * h + 1] = _mm256_shuffle_ps(s[i + h], s[i + 2 + h], 0xee);
                }
            for (int i = 0; i < 4; i++) {
                _mm256_storeu_ps((float *)(void *)(to + (c + i) * rows + r),
                                 _mm256_permute2f128_ps(t[i], t[i + 4], 0x20));
                _mm256_storeu_ps((float *)(void *)(to + (c + i + 4) * rows + r),
                                 _mm256_permute2f128_ps(t[i], t[i + 4], 0x31));
            }
        }
}

#endif
