/*
 * vec.h - a vector of SQA_WIDTH floats, the same names for every instruction set
 *
 * Every file of kernels/simd/ is compiled once for each instruction set, with -DSQA_WIDTH and -DSQA_ISA:
 *   avx2    8 floats, AVX2 and FMA
 *   avx512  16 floats, AVX-512 F, BW, DQ and VL
 *   nofma   8 floats, AVX2 alone, chosen by name only: valgrind is five times slower with FMA (bench --count)
 *   pair    16 floats as two AVX2 vectors: for tests only, so that the 16-wide forms are run on every machine
 * V(name) is then sqa_k_<name>_f32_<isa>.
 *
 * vf is a vector of floats, vi of 32-bit integers, vm of yes and no. Primitives, one line each in vec_avx512.h,
 * vec_avx2.h and vec_pair.h; what a name does not say:
 *   v_max, v_min          the second operand when one is not a number, as x86 has it
 *   v_fma, v_fnma, v_fms  a b + c, c - a b, a b - c
 *   v_round               to the nearest integer
 *   v_nge                 true for not-a-number
 *   vi_gt                 signed
 *   v_load_part(p, left)  lanes below `left` are loaded, the others are 0 and not touched; v_store_part likewise
 *   v_first(left)         the lanes below left; left may exceed W
 *   vi_pick8(p, i)       p[i mod 8]
 *   v_sum, v_top          sum and maximum of the lanes, v_sum_d the sum in double; always in the same order
 *
 * Bounds of errors in units of the last place of the exact result, over the whole range, held by
 * tests/test_kernels.c: v_exp, v_exp_neg, v_log 1.5; v_tanh 3; v_sigmoid, v_softplus 4; v_gelu 5 for x >= 0, 16 to
 * -3, 64 to -6, 256 to -13.1; v_sine 2^-23 absolute. Results below 2^-126 may be 0, but for v_exp. v_exp2_neg is tested through attention.
 * Not-a-number in gives not-a-number out. Polynomials: weighted least squares driven to minimax.
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

/* Before a loop of a small fixed count over an array of vectors: they stay in registers. */
#ifdef __clang__
#define V_UNROLL _Pragma("clang loop unroll(full)")
#else
#define V_UNROLL _Pragma("GCC unroll 16")
#endif
/* For functions of which an argument is a constant wherever they are called. */
#define V_INLINE static inline __attribute__((always_inline))

#if SQA_WIDTH == 8
#include "kernels/simd/vec_avx2.h"
#elif defined(__AVX512F__)
#include "kernels/simd/vec_avx512.h"
#else
#include "kernels/simd/vec_pair.h"
#endif

/* From here on every instruction set is the same. */

static inline ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

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
/* 2^r for |r| <= 1/2 */
static inline vf v_exp2_part(vf r)
{
    vf p = v_set(0.000153458116f);
    p = v_fma(p, r, v_set(0.00133999312f));
    p = v_fma(p, r, v_set(0.00961848896f));
    p = v_fma(p, r, v_set(0.0555032878f));
    p = v_fma(p, r, v_set(0.240226469f));
    p = v_fma(p, r, v_set(0.693147206f));
    return v_fma(p, r, v_set(1.0f));
}

/* Adding it rounds to an integer n, and leaves n + 127 in the low bits: shifted left by 23 they are 2^n. */
#define V_MAGIC (0x1.8p23f + 127)

/* 2^x for x <= 127, results below 2^-126 may be 0; 2^-inf = 0. For probabilities. */
static inline vf v_exp2_neg(vf x)
{
    x = v_max(v_set(-127.0f), x);
    const vf t = v_add(x, v_set(V_MAGIC)), r = v_sub(x, v_sub(t, v_set(V_MAGIC)));
    return v_mul(v_exp2_part(r), v_from_bits(vi_shl(v_bits(t), 23)));
}

/* 2^(x / 8) for x <= 1016, results below 2^-126 may be 0; 2^-inf = 0. n = round(x) adds its whole eighths to the exponent of
 * 2^((n mod 8) / 8), which the table holds less (n mod 8) / 8 of the mantissa's range. */
static inline vf v_exp2_eighths(vf x)
{
    static const int32_t part[8] = {0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7,
                                    0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7};
    const vf magic = v_set(0x1.8p23f);
    x = v_max(v_set(-1016.0f), x);
    const vf t = v_add(x, magic), r = v_sub(x, v_sub(t, magic));
    vf p = v_set(0.000108391047f);
    p = v_fma(p, r, v_set(0.00375402579f));
    p = v_fma(p, r, v_set(0.0866434053f));
    p = v_fma(p, r, v_set(1.0f));
    return v_mul(p, v_from_bits(vi_add(vi_pick8(part, v_bits(t)), vi_shl(v_bits(t), 20))));
}

/* (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2 */
static inline vf v_exp_part(vf r)
{
    vf p = v_set(0.00138146018f);
    p = v_fma(p, r, v_set(0.00836871522f));
    p = v_fma(p, r, v_set(0.0416683879f));
    p = v_fma(p, r, v_set(0.166665206f));
    return v_fma(p, r, v_set(0.499999934f));
}

/* e^x for x <= 87, results below 2^-126 may be 0; e^-inf = 0: n = round(x / ln 2), r = x - n ln 2, 2^n e^r */
static inline vf v_exp_neg(vf x)
{
    const vf magic = v_set(V_MAGIC), one = v_set(1.0f);
    x = v_max(v_set(-88.03f), x);
    const vf t = v_fma(x, v_set(1.44269504f), magic), n = v_sub(t, magic);
    vf r = v_fnma(n, v_set(0x1.62e400p-1f), x); /* ln 2 = 0x1.62e4p-1 + 0x1.7f7d1cp-20 */
    r = v_fnma(n, v_set(0x1.7f7d1cp-20f), r);
    const vf p = v_fma(v_fma(v_exp_part(r), r, one), r, one);
    return v_mul(p, v_from_bits(vi_shl(v_bits(t), 23)));
}

#define V_SINE_MOST 8192.0f

/* sin(x + quarters pi / 2) for |x| <= V_SINE_MOST: n = round(2 x / pi), r = x - n pi / 2 in three parts of which n times
 * the first two is exact; sin r or cos r by n's last bits. */
static inline vf v_sine(vf x, int32_t quarters)
{
    const vf one = v_set(1.0f);
    vi n = v_round(v_mul(x, v_set(0.636619772f)));
    const vf whole = v_from_int(n);
    vf r = v_fnma(whole, v_set(0x1.92p0f), x);
    r = v_fnma(whole, v_set(0x1.fb4p-12f), r);
    r = v_fnma(whole, v_set(0x1.4442d2p-24f), r);
    const vf q = v_mul(r, r);
    vf s = v_set(-0.00019514957f), c = v_set(2.44327839e-05f);
    s = v_fma(s, q, v_set(0.00833215844f));
    c = v_fma(c, q, v_set(-0.0013887313f));
    s = v_fma(s, q, v_set(-0.166666552f));
    c = v_fma(c, q, v_set(0.0416666456f));
    s = v_fma(v_mul(s, q), r, r);
    c = v_fma(v_mul(c, q), q, v_fnma(v_set(0.5f), q, one));
    n = vi_add(n, vi_set(quarters));
    const vf y = v_select(vi_gt(vi_and(n, vi_set(1)), vi_set(0)), c, s);
    return v_from_bits(vi_xor(v_bits(y), vi_shl(vi_and(n, vi_set(2)), 30)));
}

/* e^x over the whole range, denormal results included: 2^n in two factors, of half of n + 254 each */
static inline vf v_exp(vf x)
{
    const vf magic = v_set(0x1.8p23f + 254), one = v_set(1.0f);
    x = v_max(v_set(-104.0f), v_min(v_set(89.0f), x));
    const vf t = v_fma(x, v_set(1.44269504f), magic), n = v_sub(t, magic);
    vf r = v_fnma(n, v_set(0x1.62e400p-1f), x);
    r = v_fnma(n, v_set(0x1.7f7d1cp-20f), r);
    const vf p = v_fma(v_fma(v_exp_part(r), r, one), r, one);
    const vi whole = v_bits(t), part = vi_shr(whole, 1);
    const vf a = v_from_bits(vi_shl(part, 23)), b = v_from_bits(vi_shl(vi_sub(whole, part), 23));
    return v_mul(v_mul(p, a), b);
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

/* log(1 + u) for 0 <= u <= 1: with s = u / (2 + u), 2 artanh s = 2 s + s^3 P(s^2) */
static inline vf v_log1p(vf u)
{
    const vf s = v_div(u, v_add(v_set(2.0f), u)), q = v_mul(s, s);
    vf p = v_set(0.280120024f);
    p = v_fma(p, q, v_set(0.280018014f));
    p = v_fma(p, q, v_set(0.400215275f));
    p = v_fma(p, q, v_set(0.666664163f));
    return v_fma(v_mul(p, q), s, v_add(s, s));
}

/* Of e = e^-|x|: *whole = 1 / (1 + e), the value for |x| */
static inline vf v_sigmoid_parts(vf x, vf *whole)
{
    const vf one = v_set(1.0f), e = v_exp_neg(v_neg(v_abs(x)));
    *whole = v_div(one, v_add(one, e));
    return e;
}

static inline vf v_sigmoid(vf x)
{
    vf whole;
    const vf e = v_sigmoid_parts(x, &whole);
    return v_select(v_gt(x, v_zero()), whole, v_mul(e, whole));
}

/* The derivative, e / (1 + e)^2 */
static inline vf v_sigmoid_slope(vf x)
{
    vf whole;
    const vf e = v_sigmoid_parts(x, &whole);
    return v_mul(v_mul(e, whole), whole);
}

/* The derivative of x sigmoid(x), s + x s' */
static inline vf v_silu_slope(vf x)
{
    vf whole;
    const vf e = v_sigmoid_parts(x, &whole), rest = v_mul(e, whole);
    return v_fma(x, v_mul(rest, whole), v_select(v_gt(x, v_zero()), whole, rest));
}

/* log(1 + e^x) */
static inline vf v_softplus(vf x)
{
    return v_add(v_max(v_zero(), x), v_log1p(v_exp_neg(v_neg(v_abs(x)))));
}

/* With y = 2 |x| and m = e^y - 1, exact for small y: m / (m + 2) with the sign of x; 1 from |x| = 9.2 on */
static inline vf v_tanh(vf x)
{
    const vf magic = v_set(V_MAGIC), a = v_min(v_set(9.2f), v_abs(x)), y = v_add(a, a);
    const vf t = v_fma(y, v_set(1.44269504f), magic), n = v_sub(t, magic);
    const vf r = v_fnma(n, v_set(0.693147181f), y), q = v_fma(v_mul(v_exp_part(r), r), r, r);
    const vf power = v_from_bits(vi_shl(v_bits(t), 23));
    const vf m = v_fma(power, q, v_sub(power, v_set(1.0f)));
    return v_sign(v_div(m, v_add(m, v_set(2.0f))), x);
}

/* Phi(-|x|) = bell * the result, Phi the normal distribution function; *a = |x|, at most 13.27, where *bell is 0.
 * *bell = exp(-a^2 / 2). With t = 1 / (1 + 0.3 a) the result is t P(t): it keeps its relative precision in the tail.
 */
static inline vf v_normal_tail(vf x, vf *a, vf *bell)
{
    const vf one = v_set(1.0f), magic = v_set(V_MAGIC);
    *a = v_min(v_set(13.27f), v_abs(x));
    const vf t = v_div(one, v_fma(*a, v_set(0.3f), one));
    const vf z = v_mul(*a, v_set(0.721347520f)); /* a z = a^2 / 2 in base 2 */
    const vf u = v_fnma(z, *a, magic), r = v_fnma(z, *a, v_sub(magic, u));
    vf p = v_set(0.0364920986f);
    p = v_fma(p, t, v_set(-0.160475322f));
    p = v_fma(p, t, v_set(0.211758465f));
    p = v_fma(p, t, v_set(-0.0584439861f));
    p = v_fma(p, t, v_set(0.13096952f));
    p = v_fma(p, t, v_set(0.0992155006f));
    p = v_fma(p, t, v_set(0.12086116f));
    p = v_fma(p, t, v_set(0.119622573f));
    *bell = v_mul(v_exp2_part(r), v_from_bits(vi_shl(v_bits(u), 23)));
    return v_mul(p, t);
}

/* Normal distribution function; *bell = exp(-x^2 / 2) */
static inline vf v_normal_cdf(vf x, vf *bell)
{
    vf a;
    const vf tail = v_normal_tail(x, &a, bell), low = v_mul(tail, *bell);
    return v_select(v_gt(x, v_zero()), v_sub(v_set(1.0f), low), low);
}

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|) */
static inline vf v_gelu(vf x)
{
    vf a, bell;
    const vf tail = v_normal_tail(x, &a, &bell);
    return v_fnma(v_mul(a, tail), bell, v_max(v_zero(), x));
}

/* Phi(x) + x Phi'(x) */
static inline vf v_gelu_slope(vf x)
{
    vf a, bell;
    const vf tail = v_normal_tail(x, &a, &bell);
    const vf low = v_mul(v_fnma(a, v_set(0.398942280f), tail), bell);
    return v_select(v_gt(x, v_zero()), v_sub(v_set(1.0f), low), low);
}

#endif
