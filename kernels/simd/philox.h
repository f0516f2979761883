/*
 * philox.h - W Philox blocks at once; see kernels/philox.h
 */
#ifndef SQA_KERNELS_SIMD_PHILOX_H
#define SQA_KERNELS_SIMD_PHILOX_H

#include "kernels/philox.h"
#include "kernels/simd/vec.h"

/* High and low words of the products x * m. */
static inline vi philox_mul(vi x, vi m, vi *high)
{
    const vi even = vi_mul_even(x, m), odd = vi_mul_even(vi_down(x), m);
    *high = vi_odd(vi_down(even), odd);
    return vi_odd(even, vi_up(odd));
}

/* The 8 W pieces of blocks first .. first + W - 1 in order. The four words of one block come to lie side by side
 * within 128 bits; lane 4 l + i counts block i W / 4 + l, so that the results are stored one behind the other. */
static inline void philox_draws(uint64_t key, uint64_t first, uint16_t draw[8 * W])
{
    const vi m0 = vi_set((int32_t)SQA_PHILOX_M0), m1 = vi_set((int32_t)SQA_PHILOX_M1);
    static const int32_t order[2][16] = {{0, 2, 4, 6, 1, 3, 5, 7},
                                         {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}};
    const vi c = vi_set((int32_t)(uint32_t)first), sum = vi_add(c, vi_load(order[W / 16])), top = vi_set(INT32_MIN);
    const vm carry = vi_gt(vi_xor(c, top), vi_xor(sum, top)); /* unsigned */
    vi c0 = sum, c1 = vi_set((int32_t)(uint32_t)(first >> 32)), c2 = vi_set(0), c3 = c2;
    c1 = v_bits(v_select(carry, v_from_bits(vi_add(c1, vi_set(1))), v_from_bits(c1)));
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        vi high0, high1;
        const vi low0 = philox_mul(c0, m0, &high0), low1 = philox_mul(c2, m1, &high1);
        c0 = vi_xor(vi_xor(high1, c1), vi_set((int32_t)k0));
        c2 = vi_xor(vi_xor(high0, c3), vi_set((int32_t)k1));
        c1 = low1;
        c3 = low0;
        k0 += SQA_PHILOX_W0;
        k1 += SQA_PHILOX_W1;
    }
    const vi p = vi_low32(c0, c1), q = vi_low32(c2, c3), r = vi_high32(c0, c1), s = vi_high32(c2, c3);
    vi_store(draw, vi_low64(p, q));
    vi_store(draw + 2 * W, vi_high64(p, q));
    vi_store(draw + 4 * W, vi_low64(r, s));
    vi_store(draw + 6 * W, vi_high64(r, s));
}

#endif
