/*
 * bf16.h - rounding of a float to bfloat16: 8 bits of exponent, 8 of precision; the upper half of a float
 *
 * To nearest, ties to even, as VCVTNEPS2BF16 does it: denormals become zeros of their sign, numbers beyond the
 * largest bfloat16 become infinite, not-a-number stays one and becomes quiet. The product of two bfloat16 is exact in
 * float. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, VCVTNEPS2BF16.
 */
#ifndef SQA_KERNELS_BF16_H
#define SQA_KERNELS_BF16_H

#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

static inline uint16_t sqa_bf16_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    const uint32_t size = u & 0x7fffffffu;
    if (size < 0x00800000u)
        return (uint16_t)(u >> 16 & 0x8000u);
    if (size > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

static inline float sqa_bf16_value(uint16_t bits)
{
    const uint32_t u = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* Masks that the bf16 forms do not know: such a call is computed by the f32 form. */
static inline int sqa_attention_bf16_knows(const struct sqa_attention *a)
{
    return !a->window && !a->block && !a->bias;
}

static inline float sqa_bf16_round(float x)
{
    return sqa_bf16_value(sqa_bf16_bits(x));
}

#endif
