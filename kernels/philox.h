/*
 * philox.h - the random draws of dropout: Philox 4x32-10 with the bits of base/random.h
 *
 * kernels/ includes nothing above it, so the block is written a second time here; tests/test_kernels.c compares both.
 * A 16-bit piece p (0..7) of a block is word p / 2, low half first.
 *   dropout     element i: block i / 8, piece i % 8
 *   attention   pair (i, j): block i << 32 | j / 16, byte j % 16 (byte b of a block: word b / 4, low byte first), so
 *               tiles can be drawn in any order
 */
#ifndef SQA_KERNELS_PHILOX_H
#define SQA_KERNELS_PHILOX_H

#include <stdint.h>

#define SQA_PHILOX_M0 0xD2511F53u
#define SQA_PHILOX_M1 0xCD9E8D57u
#define SQA_PHILOX_W0 0x9E3779B9u
#define SQA_PHILOX_W1 0xBB67AE85u

static inline void sqa_philox(uint64_t key, uint64_t ctr, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)ctr, c1 = (uint32_t)(ctr >> 32), c2 = 0, c3 = 0;
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)SQA_PHILOX_M0 * c0;
        const uint64_t p1 = (uint64_t)SQA_PHILOX_M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += SQA_PHILOX_W0;
        k1 += SQA_PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static inline uint32_t sqa_philox_piece(const uint32_t block[4], unsigned p)
{
    return block[p / 2] >> 16 * (p % 2) & 0xffffu;
}

/* A draw below the threshold keeps its element; 65536 keeps all. */
static inline uint32_t sqa_keep_threshold(double keep)
{
    return keep >= 1 ? 65536u : keep > 0 ? (uint32_t)(keep * 65536 + 0.5) : 0u;
}

/* What kept values are multiplied with: 1 / rounded keep; 0 when nothing is kept. */
static inline double sqa_keep_scale(uint32_t threshold)
{
    return threshold ? 65536.0 / threshold : 0;
}

/* The same with bytes, for attention: 256 keeps all. */
static inline uint32_t sqa_philox_byte(const uint32_t block[4], unsigned b)
{
    return block[b / 4] >> 8 * (b % 4) & 0xffu;
}

static inline uint32_t sqa_pair_threshold(double keep)
{
    return keep >= 1 ? 256u : keep > 0 ? (uint32_t)(keep * 256 + 0.5) : 0u;
}

static inline double sqa_pair_scale(uint32_t threshold)
{
    return threshold ? 256.0 / threshold : 0;
}

#endif
