/* elementwise.c - unary and binary functions, affine, axpy, dropout */
#include <tgmath.h>

#include "kernels/philox.h"
#include "kernels/plain/plain.h"

static const real half = (real)0.5, sqrt_half = (real)0.70710678118654752440,
                  inv_sqrt_2pi = (real)0.39894228040143267794;

static real sigmoid(real x)
{
    return 1 / (1 + exp(-x));
}

static real square(real x)
{
    return x * x;
}

static real normal_cdf(real x)
{
    return half * erfc(-x * sqrt_half);
}

static real normal_pdf(real x)
{
    return inv_sqrt_2pi * exp(-half * x * x);
}

/* Beyond 40 the limits: -inf Phi(-inf) is not a number. */
static real gelu(real x)
{
    const real limit = x > 0 ? x : 0;
    return fabs(x) > 40 ? limit : x * normal_cdf(x);
}

static real gelu_slope(real x)
{
    return fabs(x) > 40 ? (real)(x > 0) : normal_cdf(x) + x * normal_pdf(x);
}

/* e / (1 + e)^2 with e = exp(-|x|): sigmoid'(x) without cancellation. tanh'(x) = 4 sigmoid'(2 x). */
static real sigmoid_slope(real x)
{
    const real e = exp(-fabs(x));
    return e / ((1 + e) * (1 + e));
}

static real silu_slope(real x)
{
    const real s = sigmoid(x);
    return s + x * sigmoid_slope(x);
}

/* name, value at v, derivative at v */
#define FUNCTIONS(X)                                                \
    X(neg, -v, -1)                                                  \
    X(exp, exp(v), exp(v))                                          \
    X(log, log(v), 1 / v)                                           \
    X(sqrt, sqrt(v), half / sqrt(v))                                \
    X(rsqrt, 1 / sqrt(v), -half / (v * sqrt(v)))                    \
    X(square, square(v), 2 * v)                                     \
    X(recip, 1 / v, -1 / (v * v))                                   \
    X(abs, fabs(v), (real)(v > 0) - (real)(v < 0))                  \
    X(relu, v < 0 ? 0 : v, (real)(v > 0))                           \
    X(gelu, gelu(v), gelu_slope(v))                                 \
    X(tanh, tanh(v), 4 * sigmoid_slope(2 * v))                      \
    X(sigmoid, sigmoid(v), sigmoid_slope(v))                        \
    X(silu, sigmoid(v) * v, silu_slope(v))                          \
    X(softplus, (v > 0 ? v : 0) + log1p(exp(-fabs(v))), sigmoid(v)) \
    X(elu1, v > 0 ? v + 1 : exp(v), v > 0 ? 1 : exp(v))             \
    X(sin, sin(v), cos(v))                                          \
    X(cos, cos(v), -sin(v))

#define DEFINE(name, value, slope)                                                 \
    static void name##_all(const real *x, real *y, size_t n)                       \
    {                                                                              \
        for (size_t i = 0; i < n; i++) {                                           \
            const real v = x[i];                                                   \
            y[i] = (real)(value);                                                  \
        }                                                                          \
    }                                                                              \
    static void name##_grad_all(const real *x, const real *dy, real *dx, size_t n) \
    {                                                                              \
        for (size_t i = 0; i < n; i++) {                                           \
            const real v = x[i];                                                   \
            (void)v;                                                               \
            dx[i] = dy[i] * (real)(slope);                                         \
        }                                                                          \
    }
FUNCTIONS(DEFINE)

void K(unary)(enum sqa_unary f, const void *x, void *y, size_t n)
{
    static void (*const table[SQA_UNARY_N])(const real *, real *, size_t) = {
#define X(NAME, name) [SQA_UNARY_##NAME] = name##_all,
        SQA_UNARY_LIST(X)
#undef X
    };
    table[f](x, y, n);
}

void K(unary_grad)(enum sqa_unary f, const void *x, const void *dy, void *dx, size_t n)
{
    static void (*const table[SQA_UNARY_N])(const real *, const real *, real *, size_t) = {
#define X(NAME, name) [SQA_UNARY_##NAME] = name##_grad_all,
        SQA_UNARY_LIST(X)
#undef X
    };
    table[f](x, dy, dx, n);
}

#define EACH(value)                \
    for (size_t i = 0; i < n; i++) \
    y[i] = (value)

void K(binary)(enum sqa_binary f, const void *a_, const void *b_, void *y_, size_t n)
{
    const real *a = a_, *b = b_;
    real *y = y_;
    switch (f) {
    case SQA_BINARY_ADD:
        EACH(a[i] + b[i]);
        break;
    case SQA_BINARY_SUB:
        EACH(a[i] - b[i]);
        break;
    case SQA_BINARY_MUL:
        EACH(a[i] * b[i]);
        break;
    case SQA_BINARY_DIV:
        EACH(a[i] / b[i]);
        break;
    case SQA_BINARY_MAX:
        EACH(a[i] > b[i] ? a[i] : b[i]);
        break;
    case SQA_BINARY_N:
        break;
    }
}

void K(binary_scalar)(enum sqa_binary f, const void *a_, double b_, void *y_, size_t n)
{
    const real *a = a_, b = (real)b_;
    real *y = y_;
    switch (f) {
    case SQA_BINARY_ADD:
        EACH(a[i] + b);
        break;
    case SQA_BINARY_SUB:
        EACH(a[i] - b);
        break;
    case SQA_BINARY_MUL:
        EACH(a[i] * b);
        break;
    case SQA_BINARY_DIV:
        EACH(a[i] / b);
        break;
    case SQA_BINARY_MAX:
        EACH(a[i] > b ? a[i] : b);
        break;
    case SQA_BINARY_N:
        break;
    }
}

void K(binary_rows)(enum sqa_binary f, const void *a_, const void *b_, int each, void *y_, size_t rows, size_t n)
{
    const real *a = a_, *b = b_;
    real *y = y_;
    for (size_t r = 0; r < rows; r++)
        if (each)
            K(binary_scalar)(f, a + r * n, (double)b[r], y + r * n, n);
        else
            K(binary)(f, a + r * n, b, y + r * n, n);
}

void K(affine)(double a_, const void *x_, double b_, void *y_, size_t n)
{
    const real a = (real)a_, b = (real)b_, *x = x_;
    real *y = y_;
    for (size_t i = 0; i < n; i++)
        y[i] = a * x[i] + b;
}

void K(axpy)(double a_, const void *x_, void *y_, size_t n)
{
    const real a = (real)a_, *x = x_;
    real *y = y_;
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

void K(dropout)(uint64_t key, uint64_t first, double keep, const void *x_, void *y_, size_t n)
{
    const real *x = x_;
    real *y = y_;
    const uint32_t threshold = sqa_keep_threshold(keep);
    const real scale = (real)sqa_keep_scale(threshold);
    uint32_t block[4];
    for (size_t i = 0; i < n; i++) {
        const uint64_t element = first + i;
        if (i == 0 || element % 8 == 0)
            sqa_philox(key, element / 8, block);
        y[i] = sqa_philox_piece(block, (unsigned)(element % 8)) < threshold ? x[i] * scale : 0;
    }
}
