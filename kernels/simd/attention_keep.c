/*
 * attention_keep.c - which pairs the dropout of attention keeps, for a strip of queries; kernels/philox.h
 *
 * A lane is a query, and a Philox block has the bytes of 16 keys, so nothing moves between lanes. Even and odd lanes
 * are held apart as 64-bit numbers, of which the upper halves are never read.
 */
#include "kernels/simd/attention.h"

#if SQA_WIDTH == 16 && defined(__AVX512F__)
typedef __m512i vl; /* 64-bit lanes */
#define L(name) _mm512_##name
#define L64(x) _mm512_set1_epi64(x)
#define XOR(a, b) _mm512_xor_si512(a, b)
#define KEEP(threshold, draw) _mm512_movm_epi32(_mm512_cmpgt_epi32_mask(threshold, draw))
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, x) _mm512_storeu_si512(p, x)
#define JOIN(even, odd) _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32))
#else
typedef __m256i vl;
#define L(name) _mm256_##name
#define L64(x) _mm256_set1_epi64x(x)
#define XOR(a, b) _mm256_xor_si256(a, b)
#define KEEP(threshold, draw) _mm256_cmpgt_epi32(threshold, draw)
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, x) _mm256_storeu_si256((__m256i *)(void *)(p), x)
#define JOIN(even, odd) _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa)
#endif

enum { WORDS = 4, BYTES = 16, WIDE = (int)(sizeof(vl) / 4) }; /* WIDE: lanes of a vl */

/* Words of the blocks (query << 32 | group), queries in the even 32-bit halves of `query` */
V_INLINE void draw(uint64_t key, uint32_t group, vl query, vl word[WORDS])
{
    const vl m0 = L64((long long)SQA_PHILOX_M0), m1 = L64((long long)SQA_PHILOX_M1);
    vl c0 = L64((long long)group), c1 = query, c2 = XOR(c1, c1), c3 = c2;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    V_UNROLL for (int round = 0; round < 10; round++)
    {
        const vl p0 = L(mul_epu32)(c0, m0), p1 = L(mul_epu32)(c2, m1);
        c0 = XOR(XOR(L(srli_epi64)(p1, 32), c1), L64((long long)k0));
        c2 = XOR(XOR(L(srli_epi64)(p0, 32), c3), L64((long long)k1));
        c1 = p1;
        c3 = p0;
        k0 += SQA_PHILOX_W0;
        k1 += SQA_PHILOX_W1;
    }
    word[0] = c0;
    word[1] = c1;
    word[2] = c2;
    word[3] = c3;
}

void V(attention_keep)(const struct sqa_attention *a, const struct spot *s, float *mask)
{
    /* A byte at the top of a word, and both halves of the range exchanged: a signed comparison does. */
    const vl threshold = L(set1_epi32)((int32_t)((sqa_pair_threshold(a->keep) << 24) ^ 0x80000000u));
    const vl flip = L(set1_epi32)((int32_t)0x80808080u);
    int64_t lane[LANES / 2 + 8];
    for (ptrdiff_t l = 0; l < LANES; l += 2)
        lane[l / 2] = s->i + l;
    for (ptrdiff_t group = s->keys.from / BYTES; group * BYTES < s->keys.to; group++) {
        const ptrdiff_t j0 = group * BYTES - s->keys.from;
        for (ptrdiff_t l = 0; l < LANES; l += WIDE) {
            const vl even = LOAD(lane + l / 2), odd = L(add_epi64)(even, L64(1));
            vl x[WORDS], y[WORDS];
            draw(a->dropout_key, (uint32_t)group, even, x);
            draw(a->dropout_key, (uint32_t)group, odd, y);
            for (ptrdiff_t w = 0; w < WORDS; w++) {
                const vl word = XOR(JOIN(x[w], y[w]), flip);
                const vl keep[4] = {KEEP(threshold, L(slli_epi32)(word, 24)),
                                    KEEP(threshold, L(slli_epi32)(word, 16)), KEEP(threshold, L(slli_epi32)(word, 8)),
                                    KEEP(threshold, word)};
                for (ptrdiff_t b = 0; b < 4; b++) {
                    const ptrdiff_t j = j0 + 4 * w + b;
                    if (j >= 0 && j < s->keys.to - s->keys.from)
                        STORE(mask + j * LANES + l, keep[b]);
                }
            }
        }
    }
}
