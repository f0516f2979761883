/*
 * vec.h - a vector of SQA_WIDTH floats, the same names for every instruction set
 *
 * Every file of kernels/simd/ is compiled once for each instruction set, with -DSQA_WIDTH and -DSQA_ISA:
 *   avx2    8 floats, AVX2 and FMA
 *   avx512  16 floats, AVX-512 F, BW, DQ and VL
 *   pair    16 floats as two AVX2 vectors: for tests only, so that the 16-wide forms are run on every machine
 * V(name) is then sqa_k_<name>_f32_<isa>.
 *
 * vf is a vector of floats, vi of 32-bit integers, vm of yes and no. Primitives, one line each in vec_avx512.h,
 * vec_avx2.h and vec_pair.h; what a name does not say: v_max, v_min  the second operand when one is not a number, as
 * x86 has it v_fma a b + c; v_fnma c - a b; v_fms a b - c v_round to the nearest integer; v_nge true for
 * not-a-number; vi_gt signed v_load_part(p, left)  lanes below `left` are loaded, the others are 0 and not touched;
 * v_store_part likewise v_first(left)  the lanes below left; left may exceed W v_sum, v_top  sum and maximum of the
 * lanes; v_sum_d the sum in double; always in the same order
 *
 * Errors in units of the last place of the exact result, measured by tests/test_kernels.c: v_exp 1.0, v_log 0.8,
 * bounds 1.5. v_exp2_neg is tested through attention. Not-a-number in gives not-a-number out. Polynomials: weighted
 * least squares driven to minimax.
 */
#ifndef SQA_KERNELS_SIMD_VEC_H
#define SQA_KERNELS_SIMD_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define SQA_V_PASTE(name, isa) sqa_k_##name##_f32_##isa
#define SQA_V_PASTE2(name, isa) SQA_V_PASTE(name, isa)
#define V(name) SQA_V_PASTE2(name, SQA_ISA)

enum { W = SQA_WIDTH };

#if SQA_WIDTH == 8
#include "kernels/simd/vec_avx2.h"
#elif defined(__AVX512F__)
#include "kernels/simd/vec_avx512.h"
#else
#include "kernels/simd/vec_pair.h"
#endif

/* From here on every instruction set is the same. */

static inline vf v_abs(vf x)
{
    return v_from_bits(vi_and(v_bits(x), vi_set(0x7fffffff)));
}
static inline vf v_neg(vf x)
{
    return v_from_bits(vi_xor(v_bits(x), vi_set(INT32_MIN)));
}
static inline vf v_sign(vf magnitude, vf sign) /* magnitude >= 0 with the sign of `sign` */
{
    return v_from_bits(vi_or(v_bits(magnitude), vi_and(v_bits(sign), vi_set(INT32_MIN))));
}
/* The lanes from `left` on become those of y. */
static inline vf v_keep(vf x, size_t left, vf y)
{
    return left >= (size_t)W ? x : v_select(v_first(left), x, y);
}
/* 2^n for integers n = -127 (gives 0) .. 128 (gives inf) in the low bits of t */
static inline vf v_power(vi t)
{
    return v_from_bits(vi_add(vi_shl(t, 23), vi_set(0x3f800000)));
}

/* 2^x for x <= 127, results below 2^-126 may be 0; 2^-inf = 0. For probabilities. */
static inline vf v_exp2_neg(vf x)
{
    const vf magic = v_set(0x1.8p23f); /* adding it rounds to an integer, left in the low bits */
    x = v_max(v_set(-127.0f), x);
    const vf t = v_add(x, magic), r = v_sub(x, v_sub(t, magic));
    vf p = v_set(0.000153458116f);
    p = v_fma(p, r, v_set(0.00133999312f));
    p = v_fma(p, r, v_set(0.00961848896f));
    p = v_fma(p, r, v_set(0.0555032878f));
    p = v_fma(p, r, v_set(0.240226469f));
    p = v_fma(p, r, v_set(0.693147206f));
    p = v_fma(p, r, v_set(1.0f));
    return v_mul(p, v_power(v_bits(t)));
}

/* e^x over the whole range, denormal results included: n = round(x / ln 2), r = x - n ln 2, e^r 2^(n/2) 2^(n - n/2)
 */
static inline vf v_exp(vf x)
{
    const vf magic = v_set(0x1.8p23f);
    x = v_max(v_set(-104.0f), v_min(v_set(89.0f), x));
    const vf t = v_fma(x, v_set(1.44269504f), magic), n = v_sub(t, magic);
    vf r = v_fnma(n, v_set(0x1.62e400p-1f), x); /* ln 2 = 0x1.62e4p-1 + 0x1.7f7d1cp-20 */
    r = v_fnma(n, v_set(0x1.7f7d1cp-20f), r);
    vf p = v_set(0.00138146018f);
    p = v_fma(p, r, v_set(0.00836871522f));
    p = v_fma(p, r, v_set(0.0416683879f));
    p = v_fma(p, r, v_set(0.166665206f));
    p = v_fma(p, r, v_set(0.499999934f));
    p = v_fma(p, v_mul(r, r), r);
    p = v_add(p, v_set(1.0f));
    const vi whole = v_round(n), part = vi_sar(whole, 1);
    return v_mul(v_mul(p, v_power(part)), v_power(vi_sub(whole, part)));
}

/* log x: x = 2^e (1 + f), f in [sqrt(1/2) - 1, sqrt 2 - 1]; log(1 + f) = f - f^2 / 2 + f^3 P(f) */
static inline vf v_log(vf x)
{
    const vm tiny = v_lt(x, v_set(0x1p-126f));
    const vf y = v_select(tiny, v_mul(x, v_set(0x1p23f)), x);
    const vi bits = vi_sub(v_bits(y), vi_set(0x3f3504f3)); /* sqrt(1/2) */
    vf e = v_from_int(vi_sar(bits, 23));
    e = v_sub(e, v_select(tiny, v_set(23.0f), v_zero()));
    const vi low = vi_and(bits, vi_set(0x007fffff));
    const vf f = v_sub(v_from_bits(vi_add(low, vi_set(0x3f3504f3))), v_set(1.0f));
    vf p = v_set(0.0674663828f);
    p = v_fma(p, f, v_set(-0.116756512f));
    p = v_fma(p, f, v_set(0.11888163f));
    p = v_fma(p, f, v_set(-0.124055891f));
    p = v_fma(p, f, v_set(0.142195523f));
    p = v_fma(p, f, v_set(-0.166679958f));
    p = v_fma(p, f, v_set(0.200021187f));
    p = v_fma(p, f, v_set(-0.250000096f));
    p = v_fma(p, f, v_set(0.333333126f));
    const vf f2 = v_mul(f, f);
    vf v = v_fma(v_mul(p, f), f2, v_mul(e, v_set(0x1.7f7d1cp-20f)));
    v = v_fnma(v_set(0.5f), f2, v);
    v = v_fma(e, v_set(0x1.62e400p-1f), v_add(f, v));
    const vf inf = v_set(__builtin_inff()), zero = v_zero();
    v = v_select(v_eq(x, inf), inf, v);
    v = v_select(v_eq(x, zero), v_neg(inf), v);
    return v_select(v_nge(x, zero), v_set(__builtin_nanf("")), v);
}

/* log(1 + u) for 0 <= u <= 1: log w, w = 1 + u rounded, and the rounding as a correction */
static inline vf v_log1p(vf u)
{
    const vf one = v_set(1.0f), w = v_add(one, u);
    const vf lost = v_sub(u, v_sub(w, one));
    return v_add(v_log(w), v_div(lost, w));
}

static inline vf v_sigmoid(vf x)
{
    const vf one = v_set(1.0f);
    return v_div(one, v_add(one, v_exp(v_neg(x))));
}

/* Small x: x + x^3 P(x^2). Else 1 - 2 / (e^(2|x|) + 1) with the sign of x. */
static inline vf v_tanh(vf x)
{
    const vf one = v_set(1.0f), a = v_abs(x), s = v_mul(x, x);
    vf p = v_set(-0.00570498633f);
    p = v_fma(p, s, v_set(0.0206390866f));
    p = v_fma(p, s, v_set(-0.0537397148f));
    p = v_fma(p, s, v_set(0.133314422f));
    p = v_fma(p, s, v_set(-0.333332819f));
    const vf small = v_fma(v_mul(p, s), x, x);
    const vf e = v_exp(v_add(a, a));
    const vf large = v_sub(one, v_div(v_set(2.0f), v_add(e, one)));
    return v_select(v_gt(a, v_set(0.625f)), v_sign(large, x), small);
}

/* Normal distribution function; *bell = exp(-x^2 / 2). With z = |x| / sqrt 2 and t = 1 / (1 + 0.35 z),
 * erfc(z) = exp(-z^2) t P(t) keeps its relative precision in the tail. */
static inline vf v_normal_cdf(vf x, vf *bell)
{
    const vf one = v_set(1.0f);
    const vf t = v_div(one, v_fma(v_abs(x), v_set(0.35f * 0.707106781f), one));
    vf p = v_set(0.0386859201f);
    p = v_fma(p, t, v_set(-0.160522241f));
    p = v_fma(p, t, v_set(0.185334479f));
    p = v_fma(p, t, v_set(-0.0330610859f));
    p = v_fma(p, t, v_set(0.0916538371f));
    p = v_fma(p, t, v_set(0.143442769f));
    p = v_fma(p, t, v_set(0.152129137f));
    p = v_fma(p, t, v_set(0.187689395f));
    p = v_fma(p, t, v_set(0.197165506f));
    p = v_fma(p, t, v_set(0.197482292f));
    *bell = v_exp(v_mul(v_mul(v_set(-0.5f), x), x));
    const vf tail = v_mul(v_mul(v_mul(v_set(0.5f), t), p), *bell);
    return v_select(v_gt(x, v_zero()), v_sub(one, tail), tail);
}

#endif
