/*
 * attention_bf16.h - sizes, packed operands and masks shared by the forward and the backward pass in bfloat16
 *
 * Scores are kept transposed, (keys, queries): a query is a lane, so that maxima, sums and masks need no sum across
 * lanes, and a rounded pair of key rows is what the next product reads. Widths are padded to 32 with zeros.
 */
#ifndef SQA_KERNELS_SIMD_ATTENTION_BF16_H
#define SQA_KERNELS_SIMD_ATTENTION_BF16_H

#include <math.h>

#include "kernels/philox.h"
#include "kernels/plain/plain.h"
#include "kernels/simd/tiles.h"

enum { TILE_Q = 64, TILE_K = 64 }; /* queries and keys of a tile of scores */

static inline ptrdiff_t pad32(ptrdiff_t x)
{
    return (x + 31) / 32 * 32;
}

static inline ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

/* The next `bytes` of the workspace, on a cache line; NULL when only sizes are counted. */
static inline void *take(char *start, ptrdiff_t *at, ptrdiff_t bytes)
{
    void *p = start ? start + *at : NULL;
    *at += (bytes + 63) / 64 * 64;
    return p;
}

static inline char *on_line(void *workspace)
{
    return workspace ? (char *)workspace + (-(uintptr_t)workspace & 63) : NULL;
}

/* W rounded numbers of row r from column c on; 0 outside (rows, width). */
static inline vi rounded_at(const float *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t r, ptrdiff_t c)
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
            vi_store(to + r / 2 * w + c, v_pairs(rounded_at(x, stride, rows, width, r, c),
                                                 rounded_at(x, stride, rows, width, r + 1, c)));
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

static inline vi lanes(ptrdiff_t first)
{
    static const int32_t count[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return vi_add(vi_load(count), vi_set((int32_t)first));
}

/* Keys of the tile at j0 that some query of i0 .. i0 + rows - 1 may see; <= 0: none. */
static inline ptrdiff_t visible(const struct sqa_attention *a, ptrdiff_t i0, ptrdiff_t rows, ptrdiff_t j0)
{
    const ptrdiff_t end = a->causal ? smaller(i0 + rows, a->keys) : a->keys;
    return smaller(end - j0, TILE_K);
}

/* x where the queries of lanes i may see key j, else y */
static inline vf where_allowed(const struct sqa_attention *a, vi i, ptrdiff_t j, vf x, vf y)
{
    return a->causal ? v_select(vi_gt(i, vi_set((int32_t)(j - 1))), x, y) : x;
}

/* keep[key][query] = all ones where dropout keeps the pair, for the whole tile at (i0, j0). The draws are those of
 * kernels/philox.h; j0 is a multiple of 8. */
void V(attention_bf16_keep)(const struct sqa_attention *a, ptrdiff_t i0, ptrdiff_t j0, ptrdiff_t keys, uint32_t *keep);

#endif
