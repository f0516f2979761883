/* elementwise_avx2.c - unary and binary functions, affine, axpy; AVX2 and FMA, f32 */
#include "kernels/avx2/avx2.h"
#include "kernels/plain/plain.h"

static inline __m256 add(__m256 a, __m256 b)
{
    return _mm256_add_ps(a, b);
}

static inline __m256 sub(__m256 a, __m256 b)
{
    return _mm256_sub_ps(a, b);
}

static inline __m256 mul(__m256 a, __m256 b)
{
    return _mm256_mul_ps(a, b);
}

static inline __m256 divide(__m256 a, __m256 b)
{
    return _mm256_div_ps(a, b);
}

static inline __m256 max(__m256 a, __m256 b)
{
    return _mm256_max_ps(a, b);
}

static inline __m256 zero(void)
{
    return _mm256_setzero_ps();
}

static inline __m256 one(void)
{
    return set8(1.0f);
}

static inline __m256 gelu(__m256 x)
{
    __m256 bell;
    return mul(x, normal_cdf8(x, &bell));
}

static inline __m256 gelu_slope(__m256 x)
{
    __m256 bell;
    const __m256 cdf = normal_cdf8(x, &bell);
    return fma8(mul(x, set8(0.398942280f)), bell, cdf);
}

/* e / (1 + e)^2 with e = exp(-|x|) */
static inline __m256 sigmoid_slope(__m256 x)
{
    const __m256 e = exp8(neg8(abs8(x))), w = add(one(), e);
    return divide(e, mul(w, w));
}

static inline __m256 softplus(__m256 x)
{
    return add(max(zero(), x), log1p8(exp8(neg8(abs8(x)))));
}

static inline __m256 is_positive(__m256 x)
{
    return greater8(x, zero());
}

static inline __m256 exp_negative(__m256 x)
{
    return exp8(_mm256_min_ps(zero(), x));
}

static inline __m256 sign(__m256 x)
{
    return sub(_mm256_and_ps(is_positive(x), one()), _mm256_and_ps(greater8(zero(), x), one()));
}

/* name, value at v, derivative at v */
#define FUNCTIONS(X)                                                                           \
    X(neg, neg8(v), set8(-1.0f))                                                               \
    X(exp, exp8(v), exp8(v))                                                                   \
    X(log, log8(v), divide(one(), v))                                                          \
    X(sqrt, _mm256_sqrt_ps(v), divide(set8(0.5f), _mm256_sqrt_ps(v)))                          \
    X(rsqrt, divide(one(), _mm256_sqrt_ps(v)), divide(set8(-0.5f), mul(v, _mm256_sqrt_ps(v)))) \
    X(square, mul(v, v), add(v, v))                                                            \
    X(recip, divide(one(), v), divide(set8(-1.0f), mul(v, v)))                                 \
    X(abs, abs8(v), sign(v))                                                                   \
    X(relu, max(zero(), v), _mm256_and_ps(is_positive(v), one()))                              \
    X(gelu, gelu(v), gelu_slope(v))                                                            \
    X(tanh, tanh8(v), mul(set8(4.0f), sigmoid_slope(add(v, v))))                               \
    X(sigmoid, sigmoid8(v), sigmoid_slope(v))                                                  \
    X(silu, mul(v, sigmoid8(v)), fma8(v, sigmoid_slope(v), sigmoid8(v)))                       \
    X(softplus, softplus(v), sigmoid8(v))                                                      \
    X(elu1, select8(is_positive(v), add(v, one()), exp_negative(v)), exp_negative(v))

#define DEFINE(name, value, slope)                                                    \
    static void name##_all(const float *x, float *y, size_t n)                        \
    {                                                                                 \
        for (size_t i = 0; i < n; i += 8) {                                           \
            const __m256 v = load8(x + i, n - i);                                     \
            store8(y + i, n - i, value);                                              \
        }                                                                             \
    }                                                                                 \
    static void name##_grad_all(const float *x, const float *dy, float *dx, size_t n) \
    {                                                                                 \
        for (size_t i = 0; i < n; i += 8) {                                           \
            const __m256 v = load8(x + i, n - i);                                     \
            (void)v;                                                                  \
            store8(dx + i, n - i, mul(load8(dy + i, n - i), slope));                  \
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
    SET(SOFTPLUS, softplus) SET(ELU1, elu1)
#undef SET
    /* clang-format on */
};

void sqa_k_unary_f32_avx2(enum sqa_unary f, const void *x, void *y, size_t n)
{
    if (table[f].value)
        table[f].value(x, y, n);
    else
        sqa_k_unary_f32(f, x, y, n);
}

void sqa_k_unary_grad_f32_avx2(enum sqa_unary f, const void *x, const void *dy, void *dx, size_t n)
{
    if (table[f].grad)
        table[f].grad(x, dy, dx, n);
    else
        sqa_k_unary_grad_f32(f, x, dy, dx, n);
}

#define EACH(value)                           \
    for (size_t i = 0; i < n; i += 8) {       \
        const __m256 x = load8(a + i, n - i); \
        store8(y + i, n - i, value);          \
    }

void sqa_k_binary_f32_avx2(enum sqa_binary f, const void *a_, const void *b_, void *y_, size_t n)
{
    const float *a = a_, *b = b_;
    float *y = y_;
    switch (f) {
    case SQA_BINARY_ADD:
        EACH(add(x, load8(b + i, n - i)))
        break;
    case SQA_BINARY_SUB:
        EACH(sub(x, load8(b + i, n - i)))
        break;
    case SQA_BINARY_MUL:
        EACH(mul(x, load8(b + i, n - i)))
        break;
    case SQA_BINARY_DIV:
        EACH(divide(x, load8(b + i, n - i)))
        break;
    case SQA_BINARY_MAX:
        EACH(max(x, load8(b + i, n - i)))
        break;
    case SQA_BINARY_N:
        break;
    }
}

void sqa_k_binary_scalar_f32_avx2(enum sqa_binary f, const void *a_, double b_, void *y_, size_t n)
{
    const float *a = a_;
    const __m256 b = set8((float)b_);
    float *y = y_;
    switch (f) {
    case SQA_BINARY_ADD:
        EACH(add(x, b))
        break;
    case SQA_BINARY_SUB:
        EACH(sub(x, b))
        break;
    case SQA_BINARY_MUL:
        EACH(mul(x, b))
        break;
    case SQA_BINARY_DIV:
        EACH(divide(x, b))
        break;
    case SQA_BINARY_MAX:
        EACH(max(x, b))
        break;
    case SQA_BINARY_N:
        break;
    }
}

void sqa_k_affine_f32_avx2(double a_, const void *x_, double b_, void *y_, size_t n)
{
    const float *x = x_;
    const __m256 a = set8((float)a_), b = set8((float)b_);
    float *y = y_;
    for (size_t i = 0; i < n; i += 8)
        store8(y + i, n - i, fma8(a, load8(x + i, n - i), b));
}

void sqa_k_axpy_f32_avx2(double a_, const void *x_, void *y_, size_t n)
{
    const float *x = x_;
    const __m256 a = set8((float)a_);
    float *y = y_;
    for (size_t i = 0; i < n; i += 8)
        store8(y + i, n - i, fma8(a, load8(x + i, n - i), load8(y + i, n - i)));
}
