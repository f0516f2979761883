/*
 * tiles.h - the tile registers of AMX: eight tiles of 16 rows of 64 bytes, and the product of bfloat16 pairs
 *
 *   c[r][n] += sum over p of a[r][2p] b[p][2n] + a[r][2p + 1] b[p][2n + 1]     r, n, p = 0..15
 *
 * a: 16 x 32 bfloat16; b: 16 rows of 16 pairs; c: 16 x 16 floats. Three forms with the same layout:
 *   AMX            compiled with -mamx-tile -mamx-bf16; sqa_tiles_begin() sets the shapes in the calling thread
 *   AVX512-BF16    compiled with -mavx512bf16: a row of c is one vector, VDPBF16PS is the step
 *   emulated       any vec.h: bfloat16 are widened to floats, exact, and multiplied and added in floats
 * The first two were never run on hardware by the authors: the code around them is the same in all forms and is run
 * in the emulated one. Forms differ in the order and the rounding of float sums only.
 */
#ifndef SQA_KERNELS_SIMD_TILES_H
#define SQA_KERNELS_SIMD_TILES_H

#include <string.h>

#include "kernels/simd/bf16.h"

#if defined(__AMX_BF16__) && !defined(SQA_TILES_EMULATED)

#define TILES
#define TILE_ZERO(t) _tile_zero(t)
#define TILE_LOAD(t, from, stride) _tile_loadd(t, from, stride) /* stride in bytes */
#define TILE_STORE(t, to, stride) _tile_stored(t, to, stride)
#define TILE_MULTIPLY(c, a, b) _tile_dpbf16ps(c, a, b)

static inline void sqa_tiles_begin(void)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config __attribute__((aligned(64))) = {.palette = 1};
    _Static_assert(sizeof config == 64, "what LDTILECFG reads");
    for (int t = 0; t < 8; t++) {
        config.bytes[t] = 64;
        config.rows[t] = 16;
    }
    _tile_loadconfig(&config);
}

static inline void sqa_tiles_end(void)
{
    _tile_release();
}

#else

struct sqa_tile {
    _Alignas(64) uint32_t row[16][16];
};
#define TILES struct sqa_tile tiles[8];
#define TILE_ZERO(t) sqa_tile_zero(&tiles[t])
#define TILE_LOAD(t, from, stride) sqa_tile_load(&tiles[t], from, stride)
#define TILE_STORE(t, to, stride) sqa_tile_store(&tiles[t], to, stride)
#define TILE_MULTIPLY(c, a, b) sqa_tile_multiply(&tiles[c], &tiles[a], &tiles[b])

static inline void sqa_tiles_begin(void) {}

static inline void sqa_tiles_end(void) {}

static inline void sqa_tile_zero(struct sqa_tile *t)
{
    memset(t, 0, sizeof *t);
}

static inline void sqa_tile_load(struct sqa_tile *t, const void *from, ptrdiff_t stride)
{
    for (int r = 0; r < 16; r++)
        memcpy(t->row[r], (const char *)from + r * stride, 64);
}

static inline void sqa_tile_store(const struct sqa_tile *t, void *to, ptrdiff_t stride)
{
    for (int r = 0; r < 16; r++)
        memcpy((char *)to + r * stride, t->row[r], 64);
}

#if defined(__AVX512BF16__) && !defined(SQA_TILES_EMULATED)

static inline void sqa_tile_multiply(struct sqa_tile *c, const struct sqa_tile *a, const struct sqa_tile *b)
{
    for (int r = 0; r < 16; r += 8) {
        __m512 sum[8];
        for (int i = 0; i < 8; i++)
            sum[i] = _mm512_loadu_ps(c->row[r + i]);
        for (int p = 0; p < 16; p++) {
            const __m512i right = _mm512_loadu_si512(b->row[p]);
            for (int i = 0; i < 8; i++)
                sum[i] =
                    _mm512_dpbf16_ps(sum[i], (__m512bh)_mm512_set1_epi32((int)a->row[r + i][p]), (__m512bh)right);
        }
        for (int i = 0; i < 8; i++)
            _mm512_storeu_ps(c->row[r + i], sum[i]);
    }
}

#else

#define SQA_TILE_ROWS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

/* Columns n .. n + W - 1 of eight rows at a time: eight independent chains of sums. */
static inline void sqa_tile_multiply(struct sqa_tile *c, const struct sqa_tile *a, const struct sqa_tile *b)
{
    const vi upper = vi_set((int)0xffff0000u);
    for (int r = 0; r < 16; r += 8)
        for (int n = 0; n < 16; n += W) {
#define NAME(i) vf sum##i = v_from_bits(vi_load(c->row[r + i] + n));
#define STEP(i)                                                  \
    pair = vi_set((int)a->row[r + i][p]);                        \
    sum##i = v_fma(v_from_bits(vi_shl(pair, 16)), even, sum##i); \
    sum##i = v_fma(v_from_bits(vi_and(pair, upper)), odd, sum##i);
#define KEEP(i) vi_store(c->row[r + i] + n, v_bits(sum##i));
            SQA_TILE_ROWS(NAME)
            for (int p = 0; p < 16; p++) {
                const vi right = vi_load(b->row[p] + n);
                const vf even = v_from_bits(vi_shl(right, 16)), odd = v_from_bits(vi_and(right, upper));
                vi pair;
                SQA_TILE_ROWS(STEP)
            }
            SQA_TILE_ROWS(KEEP)
#undef NAME
#undef STEP
#undef KEEP
        }
}
#undef SQA_TILE_ROWS
#endif
#endif

/* c (m, n) (+)= a b; sizes are multiples of 32. a: rows of bfloat16; b: k / 2 rows of n pairs (terms 2p and 2p + 1);
 * strides in elements of each. */
static inline void sqa_tiles_product(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const uint16_t *a, ptrdiff_t as,
                                     const uint32_t *b, ptrdiff_t bs, float *c, ptrdiff_t cs, int accumulate)
{
    TILES
    for (ptrdiff_t i = 0; i < m; i += 32)
        for (ptrdiff_t j = 0; j < n; j += 32) {
            float *at = c + i * cs + j;
            if (accumulate) {
                TILE_LOAD(0, at, cs * 4);
                TILE_LOAD(1, at + 16, cs * 4);
                TILE_LOAD(2, at + 16 * cs, cs * 4);
                TILE_LOAD(3, at + 16 * cs + 16, cs * 4);
            } else {
                TILE_ZERO(0);
                TILE_ZERO(1);
                TILE_ZERO(2);
                TILE_ZERO(3);
            }
            for (ptrdiff_t l = 0; l < k; l += 32) {
                TILE_LOAD(4, a + i * as + l, as * 2);
                TILE_LOAD(5, a + (i + 16) * as + l, as * 2);
                TILE_LOAD(6, b + l / 2 * bs + j, bs * 4);
                TILE_LOAD(7, b + l / 2 * bs + j + 16, bs * 4);
                TILE_MULTIPLY(0, 4, 6);
                TILE_MULTIPLY(1, 4, 7);
                TILE_MULTIPLY(2, 5, 6);
                TILE_MULTIPLY(3, 5, 7);
            }
            TILE_STORE(0, at, cs * 4);
            TILE_STORE(1, at + 16, cs * 4);
            TILE_STORE(2, at + 16 * cs, cs * 4);
            TILE_STORE(3, at + 16 * cs + 16, cs * 4);
        }
}

#endif
