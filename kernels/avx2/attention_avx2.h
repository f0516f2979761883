/*
 * attention_avx2.h - tile sizes, workspace and masks shared by the forward and the backward pass
 *
 * Scores are kept in units of log 2: Q is copied times scale * log2(e), and probabilities are 2^(s - m).
 */
#ifndef SQA_KERNELS_AVX2_ATTENTION_AVX2_H
#define SQA_KERNELS_AVX2_ATTENTION_AVX2_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

enum {
    TILE_Q = 48,   /* queries a tile: blocks of 6 rows */
    TILE_K = 96,   /* keys a tile: panels of 16 columns, and blocks of 6 rows when transposed */
    PANEL_Q = 192, /* queries that share one packing of a key tile in the forward pass */
    STRIDE_K = TILE_K + 16,
};

/* Rows of a packed matrix: width padded to 16, and an odd number of cache lines so that columns spread over the
 * cache. */
static inline ptrdiff_t packed_stride(ptrdiff_t width)
{
    const ptrdiff_t lines = (width + 15) / 16;
    return 16 * (lines + (lines % 2 == 0));
}

static inline ptrdiff_t round_up(ptrdiff_t x, ptrdiff_t unit)
{
    return (x + unit - 1) / unit * unit;
}

static inline ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

/* The next `count` floats of the workspace, on a cache line. */
static inline float *take(char **at, ptrdiff_t count)
{
    float *p = (float *)(void *)*at;
    *at += round_up(count, 16) * (ptrdiff_t)sizeof(float);
    return p;
}

static inline char *aligned(void *workspace)
{
    return (char *)workspace + (-(uintptr_t)workspace & 63);
}

/* Keys of the tile at j0 that some query of i0 .. i0 + rows - 1 may see; <= 0: none. */
static inline ptrdiff_t visible(const struct sqa_attention *a, ptrdiff_t i0, ptrdiff_t rows, ptrdiff_t j0)
{
    const ptrdiff_t end = a->causal ? smaller(i0 + rows, a->keys) : a->keys;
    return smaller(end - j0, TILE_K);
}

/* Keys of the tile that query i may see, 0 .. cols. */
static inline ptrdiff_t row_limit(const struct sqa_attention *a, ptrdiff_t i, ptrdiff_t j0, ptrdiff_t cols)
{
    const ptrdiff_t limit = a->causal ? smaller(i + 1 - j0, cols) : cols;
    return limit > 0 ? limit : 0;
}

/* factor[r][c] (stride STRIDE_K): what dropout multiplies the probability of pair (i0 + r, j0 + c) with; r up to
 * rows rounded up to 8, c up to cols rounded up to 8. j0 is a multiple of 8. */
void sqa_attention_factors(const struct sqa_attention *a, ptrdiff_t i0, ptrdiff_t rows, ptrdiff_t j0, ptrdiff_t cols,
                           float *factor);

#endif
