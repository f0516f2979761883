/*
 * attention_bf16.h - sizes, packed operands and masks shared by the forward and the backward pass in bfloat16
 *
 * Scores are kept transposed, (keys, queries): a query is a lane, so that maxima, sums and masks need no sum across
 * lanes, and a rounded pair of key rows is what the next product reads. Widths are padded to 32 with zeros.
 */
#ifndef SQA_KERNELS_SIMD_ATTENTION_BF16_H
#define SQA_KERNELS_SIMD_ATTENTION_BF16_H

#include <math.h>

#include "kernels/bf16.h"
#include "kernels/philox.h"
#include "kernels/plain/plain.h"
#include "kernels/simd/tiles.h"

enum { TILE_Q = 64, TILE_K = 64 }; /* queries and keys of a tile of scores */

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

static inline vi lanes(ptrdiff_t first)
{
    static const int32_t count[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return vi_add(vi_load(count), vi_set((int32_t)first));
}

/* Keys of the tile at j0 that some query of rows i0 .. i0 + rows - 1 may see; <= 0: none. */
static inline ptrdiff_t visible(const struct sqa_attention *a, ptrdiff_t i0, ptrdiff_t rows, ptrdiff_t j0)
{
    const ptrdiff_t end = a->causal ? smaller(a->first + i0 + rows, a->keys) : a->keys;
    return smaller(end - j0, TILE_K);
}

/* x where the queries of lanes i may see key j, else y */
static inline vf where_allowed(const struct sqa_attention *a, vi i, ptrdiff_t j, vf x, vf y)
{
    return a->causal ? v_select(vi_gt(i, vi_set((int32_t)(j - 1))), x, y) : x;
}

/* The f32 form, for what the bf16 forms do not know. */
#if defined(__AVX512BF16__)
#define F32(name) sqa_k_##name##_f32_avx512
#else
#define F32(name) V(name)
#endif

/* keep[key][query] = all ones where dropout keeps the pair, for the whole tile at (i0, j0). The draws are those of
 * kernels/philox.h; j0 is a multiple of 16. */

void V(attention_bf16_keep)(const struct sqa_attention *a, ptrdiff_t i0, ptrdiff_t j0, ptrdiff_t keys,
                            uint32_t *keep);

#endif
