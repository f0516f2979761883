/* elementwise.c - unary and binary functions, affine, axpy; f32 */
#include "kernels/simd/vec.h"
#include "kernels/plain/plain.h"

#include <stdbool.h>

static inline vf one(void)
{
    return v_set(1.0f);
}

static inline vf sign(vf x)
{
    const vf zero = v_zero();
    return v_sub(v_select(v_gt(x, zero), one(), zero), v_select(v_gt(zero, x), one(), zero));
}

static inline vf if_positive(vf x, vf yes, vf no)
{
    return v_select(v_gt(x, v_zero()), yes, no);
}

static inline vf elu1(vf x)
{
    return if_positive(x, v_add(x, one()), v_exp_neg(v_min(v_zero(), x)));
}

/* name, value at v, derivative at v */
#define FUNCTIONS(X)                                                            \
    X(neg, v_neg(v), v_set(-1.0f))                                              \
    X(exp, v_exp(v), v_exp(v))                                                  \
    X(log, v_log(v), v_div(one(), v))                                           \
    X(sqrt, v_sqrt(v), v_div(v_set(0.5f), v_sqrt(v)))                           \
    X(rsqrt, v_div(one(), v_sqrt(v)), v_div(v_set(-0.5f), v_mul(v, v_sqrt(v)))) \
    X(square, v_mul(v, v), v_add(v, v))                                         \
    X(recip, v_div(one(), v), v_div(v_set(-1.0f), v_mul(v, v)))                 \
    X(abs, v_abs(v), sign(v))                                                   \
    X(relu, v_max(v_zero(), v), if_positive(v, one(), v_zero()))                \
    X(gelu, v_gelu(v), v_gelu_slope(v))                                         \
    X(tanh, v_tanh(v), v_mul(v_set(4.0f), v_sigmoid_slope(v_add(v, v))))        \
    X(sigmoid, v_sigmoid(v), v_sigmoid_slope(v))                                \
    X(silu, v_mul(v, v_sigmoid(v)), v_silu_slope(v))                            \
    X(softplus, v_softplus(v), v_sigmoid(v))                                    \
    X(elu1, elu1(v), v_exp_neg(v_min(v_zero(), v)))                             \
    X(sin, v_sine(v, 0), v_sine(v, 1))                                          \
    X(cos, v_sine(v, 1), v_sine(v, 2))

#define DEFINE(name, value, slope)                                                    \
    static inline vf name##_of(vf v)                                                  \
    {                                                                                 \
        return value;                                                                 \
    }                                                                                 \
    static inline vf name##_slope_of(vf v)                                            \
    {                                                                                 \
        (void)v;                                                                      \
        return slope;                                                                 \
    }                                                                                 \
    static void name##_all(const float *x, float *y, size_t n)                        \
    {                                                                                 \
        size_t i = 0;                                                                 \
        for (; i + W <= n; i += W)                                                    \
            v_store(y + i, name##_of(v_load(x + i)));                                 \
        if (i < n)                                                                    \
            v_store_part(y + i, n - i, name##_of(v_load_part(x + i, n - i)));         \
    }                                                                                 \
    static void name##_grad_all(const float *x, const float *dy, float *dx, size_t n) \
    {                                                                                 \
        size_t i = 0;                                                                 \
        for (; i + W <= n; i += W)                                                    \
            v_store(dx + i, v_mul(v_load(dy + i), name##_slope_of(v_load(x + i))));   \
        if (i < n) {                                                                  \
            const vf s = name##_slope_of(v_load_part(x + i, n - i));                  \
            v_store_part(dx + i, n - i, v_mul(v_load_part(dy + i, n - i), s));        \
        }                                                                             \
    }
FUNCTIONS(DEFINE)

static const struct {
    void (*value)(const float *, float *, size_t);
    void (*grad)(const float *, const float *, float *, size_t);
} table[SQA_UNARY_N] = {
/* clang-format off */
#define SET(NAME, name) [SQA_UNARY_##NAME] = {name##_all, name##_grad_all},
    SET(NEG, neg) SET(EXP, exp) SET(LOG, log) SET(SQRT, sqrt) SET(RSQRT, rsqrt) SET(SQUARE, square) SET(RECIP, recip)
    SET(ABS, abs) SET(RELU, relu) SET(GELU, gelu) SET(TANH, tanh) SET(SIGMOID, sigmoid) SET(SILU, silu)
    SET(SOFTPLUS, softplus) SET(ELU1, elu1) SET(SIN, sin) SET(COS, cos)
#undef SET
    /* clang-format on */
};

/* False for sin and cos of what v_sine does not reach. */
static bool within(enum sqa_unary f, const float *x, size_t n)
{
    vf bad = v_zero();
    if (f != SQA_UNARY_SIN && f != SQA_UNARY_COS)
        return true;
    for (size_t i = 0; i < n; i += W)
        bad = v_select(v_nge(v_set(V_SINE_MOST), v_abs(v_load_part(x + i, n - i))), v_set(1.0f), bad);
    return v_top(bad) < 0.5f;
}

void V(unary)(enum sqa_unary f, const void *x, void *y, size_t n)
{
    if (table[f].value && within(f, x, n))
        table[f].value(x, y, n);
    else
        sqa_k_unary_f32(f, x, y, n);
}

void V(unary_grad)(enum sqa_unary f, const void *x, const void *dy, void *dx, size_t n)
{
    if (table[f].grad && within(f, x, n))
        table[f].grad(x, dy, dx, n);
    else
        sqa_k_unary_grad_f32(f, x, dy, dx, n);
}

/* y[i] = op(a[i], right); RIGHT and RIGHT_PART are the right operand at i, whole and of the last n - i numbers. */
#define EACH(op, RIGHT, RIGHT_PART)                                                \
    {                                                                              \
        size_t i = 0;                                                              \
        for (; i + W <= n; i += W)                                                 \
            v_store(y + i, op(v_load(a + i), RIGHT));                              \
        if (i < n)                                                                 \
            v_store_part(y + i, n - i, op(v_load_part(a + i, n - i), RIGHT_PART)); \
        return;                                                                    \
    }
#define BINARY(RIGHT, RIGHT_PART)      \
    switch (f) {                       \
    case SQA_BINARY_ADD:               \
        EACH(v_add, RIGHT, RIGHT_PART) \
    case SQA_BINARY_SUB:               \
        EACH(v_sub, RIGHT, RIGHT_PART) \
    case SQA_BINARY_MUL:               \
        EACH(v_mul, RIGHT, RIGHT_PART) \
    case SQA_BINARY_DIV:               \
        EACH(v_div, RIGHT, RIGHT_PART) \
    case SQA_BINARY_MAX:               \
        EACH(v_max, RIGHT, RIGHT_PART) \
    case SQA_BINARY_N:                 \
        break;                         \
    }

void V(binary)(enum sqa_binary f, const void *a_, const void *b_, void *y_, size_t n)
{
    const float *a = a_, *b = b_;
    float *y = y_;
    BINARY(v_load(b + i), v_load_part(b + i, n - i))
}

void V(binary_scalar)(enum sqa_binary f, const void *a_, double b_, void *y_, size_t n)
{
    const float *a = a_;
    const vf b = v_set((float)b_);
    float *y = y_;
    BINARY(b, b)
}

#define ROWS(op)                                                                                                  \
    for (size_t r = 0; r < rows; r++, a += n, y += n) {                                                           \
        const vf each_b = v_set(b[each ? r : 0]);                                                                 \
        size_t i = 0;                                                                                             \
        for (; i + W <= n; i += W)                                                                                \
            v_store(y + i, op(v_load(a + i), each ? each_b : v_load(b + i)));                                     \
        if (i < n)                                                                                                \
            v_store_part(y + i, n - i, op(v_load_part(a + i, n - i), each ? each_b : v_load_part(b + i, n - i))); \
    }

void V(binary_rows)(enum sqa_binary f, const void *a_, const void *b_, int each, void *y_, size_t rows, size_t n)
{
    const float *a = a_, *b = b_;
    float *y = y_;
    if (n == 0)
        return;
    switch (f) {
    case SQA_BINARY_ADD:
        ROWS(v_add)
        break;
    case SQA_BINARY_SUB:
        ROWS(v_sub)
        break;
    case SQA_BINARY_MUL:
        ROWS(v_mul)
        break;
    case SQA_BINARY_DIV:
        ROWS(v_div)
        break;
    case SQA_BINARY_MAX:
        ROWS(v_max)
        break;
    case SQA_BINARY_N:
        break;
    }
}

void V(affine)(double a_, const void *x_, double b_, void *y_, size_t n)
{
    const float *x = x_;
    const vf a = v_set((float)a_), b = v_set((float)b_);
    float *y = y_;
    for (size_t i = 0; i < n; i += W)
        v_store_part(y + i, n - i, v_fma(a, v_load_part(x + i, n - i), b));
}

void V(axpy)(double a_, const void *x_, void *y_, size_t n)
{
    const float *x = x_;
    const vf a = v_set((float)a_);
    float *y = y_;
    for (size_t i = 0; i < n; i += W)
        v_store_part(y + i, n - i, v_fma(a, v_load_part(x + i, n - i), v_load_part(y + i, n - i)));
}
