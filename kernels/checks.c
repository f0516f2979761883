/*
 * checks.c - SIMD forms against the plain f64 form, on random inputs
 *
 * Each run fills inputs (the same numbers as float and as double) from a key, calls both forms and returns the
 * largest difference over the largest result. Bounds leave a factor of about 4 over what was seen. Sizes beyond what
 * the static buffers hold are cut. Not for several threads at once.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/philox.h"

enum { MAX = 16384, BUFFERS = 12 };

static struct {
    float f[MAX];
    double d[MAX];
} buffer[BUFFERS];
static double workspace_f[1 << 17], workspace_d[1 << 17];
static int32_t ids[MAX];

/* Buffer b becomes n numbers in [low, high), exact in both types. */
static void fill(int b, uint64_t key, size_t n, double low, double high)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t word[4];
        sqa_philox(key, (uint64_t)b << 32 | i / 4, word);
        const float x = (float)(low + (high - low) * (double)word[i % 4] * 0x1p-32);
        buffer[b].f[i] = x;
        buffer[b].d[i] = (double)x;
    }
}

/* Largest difference over the largest result, or over `floor` where results may all be near 0 by cancellation. */
static double error_over(int b, size_t n, double floor)
{
    double worst = 0, scale = floor;
    for (size_t i = 0; i < n; i++) {
        const double want = buffer[b].d[i], diff = fabs((double)buffer[b].f[i] - want);
        worst = diff > worst || isnan(diff) ? diff : worst;
        scale = fabs(want) > scale ? fabs(want) : scale;
    }
    return worst / scale;
}

static double error_of(int b, size_t n)
{
    return error_over(b, n, 1e-30);
}

static double larger(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

static double ratio(double got, double want, double scale)
{
    return fabs(got - want) / scale;
}

static size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

static const struct sqa_kernels *plain(void)
{
    return sqa_kernels_plain(1);
}

/* Functions of which the argument must be positive get |x| + 1/8. */
static double unary_range(enum sqa_unary f, double *low)
{
    const int positive = f == SQA_UNARY_LOG || f == SQA_UNARY_SQRT || f == SQA_UNARY_RSQRT || f == SQA_UNARY_RECIP;
    *low = positive ? 0.125 : -8;
    return 8;
}

static double run_unary(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    double worst = 0;
    for (int f = 0; f < SQA_UNARY_N; f++) {
        double low, high = unary_range((enum sqa_unary)f, &low);
        fill(0, key, n, low, high);
/* The calls, of table k and element type T (f or d) of the buffers, are written once and done for both tables. */
#define CALLS(k, T) k->unary((enum sqa_unary)f, buffer[0].T, buffer[1].T, n);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        worst = larger(error_of(1, n), worst);
    }
    return worst;
}

static double run_unary_grad(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    double worst = 0;
    fill(1, key, n, -2, 2);
    for (int f = 0; f < SQA_UNARY_N; f++) {
        double low, high = unary_range((enum sqa_unary)f, &low);
        fill(0, key, n, low, high);
#define CALLS(k, T) k->unary_grad((enum sqa_unary)f, buffer[0].T, buffer[1].T, buffer[2].T, n);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        worst = larger(error_of(2, n), worst);
    }
    return worst;
}

static double run_binary(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    double worst = 0;
    fill(0, key, n, -4, 4);
    fill(1, key, n, 0.5, 4);
    for (int f = 0; f < SQA_BINARY_N; f++) {
#define CALLS(k, T)                                                          \
    k->binary((enum sqa_binary)f, buffer[0].T, buffer[1].T, buffer[2].T, n); \
    k->binary_scalar((enum sqa_binary)f, buffer[0].T, 1.5, buffer[3].T, n);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        worst = larger(larger(error_of(2, n), error_of(3, n)), worst);
    }
    return worst;
}

static double run_binary_rows(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 6;
    n = at_most(n, MAX / rows);
    double worst = 0;
    fill(0, key, rows * n, -4, 4);
    fill(1, key, n > rows ? n : rows, 0.5, 4);
    for (int f = 0; f < SQA_BINARY_N; f++) {
#define CALLS(k, T)                                                                        \
    k->binary_rows((enum sqa_binary)f, buffer[0].T, buffer[1].T, 0, buffer[2].T, rows, n); \
    k->binary_rows((enum sqa_binary)f, buffer[0].T, buffer[1].T, 1, buffer[3].T, rows, n);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        worst = larger(larger(error_of(2, rows * n), error_of(3, rows * n)), worst);
    }
    return worst;
}

static double run_affine(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    fill(0, key, n, -4, 4);
    fill(1, key, n, -4, 4);
#define CALLS(k, T)                              \
    k->axpy(0.625, buffer[0].T, buffer[1].T, n); \
    k->affine(-1.75, buffer[0].T, 0.375, buffer[2].T, n);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(error_of(1, n), error_of(2, n));
}

static double run_sum(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    fill(0, key, n, -4, 4);
    const double scale = 1 + 16 * (double)n;
    const double a = ratio(simd->sum(buffer[0].f, n), plain()->sum(buffer[0].d, n), scale);
    const double b = ratio(simd->sum_squares(buffer[0].f, n), plain()->sum_squares(buffer[0].d, n), scale);
    const double top = n ? plain()->max(buffer[0].d, n) : 0, c = ratio(n ? simd->max(buffer[0].f, n) : 0, top, 1);
    return larger(larger(a, b), c);
}

static double run_sum_rows(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t width = at_most(n, 512), rows = 16;
    fill(0, key, MAX, -4, 4);
    fill(1, key, width, -4, 4);
#define CALLS(k, T) k->sum_rows(buffer[0].T, rows, width, width + 3, buffer[1].T, 1);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return error_of(1, width);
}

static double run_softmax(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 4;
    n = at_most(n, MAX / rows);
    fill(0, key, rows * n, -16, 16);
    fill(1, key, rows * n, -2, 2);
#define CALLS(k, T)                                                  \
    k->softmax(buffer[0].T, buffer[2].T, rows, n);                   \
    k->softmax_grad(buffer[2].T, buffer[1].T, buffer[3].T, rows, n); \
    k->log_sum_exp(buffer[0].T, buffer[4].T, rows, n);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(larger(error_of(2, rows * n), error_over(3, rows * n, 1)), n ? error_over(4, rows, 1) : 0);
}

static double run_layernorm(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 4;
    n = at_most(n, MAX / rows);
    fill(0, key, rows * n, -3, 5);
    fill(1, key, n, 0.5, 2);
    fill(2, key, n, -1, 1);
    double worst = 0;
    for (int rms = 0; rms < 2; rms++) {
#define CALLS(k, T) \
    k->layernorm(buffer[0].T, buffer[1].T, buffer[2].T, buffer[3].T, buffer[4].T, buffer[5].T, rows, n, 1e-5, rms);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        if (n > 1)
            worst = larger(larger(error_of(3, rows * n), error_of(5, rows)), worst);
    }
    return worst;
}

static double run_layernorm_grad(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 4;
    n = at_most(n, MAX / rows);
    fill(0, key, rows * n, -3, 5);
    fill(1, key, n, 0.5, 2);
    fill(2, key, rows, 0.5, 1.5); /* mean */
    fill(3, key, rows, 0.3, 0.6); /* rstd */
    fill(4, key, rows * n, -2, 2);
    double worst = 0;
    for (int rms = 0; rms < 2; rms++) {
        fill(6, key, n, -1, 1);
        fill(7, key, n, -1, 1);
        simd->layernorm_grad(buffer[0].f, buffer[1].f, buffer[2].f, buffer[3].f, buffer[4].f, NULL, buffer[5].f,
                             buffer[6].f, buffer[7].f, rows, n, rms, 1);
        plain()->layernorm_grad(buffer[0].d, buffer[1].d, buffer[2].d, buffer[3].d, buffer[4].d, NULL, buffer[5].d,
                                buffer[6].d, buffer[7].d, rows, n, rms, 1);
        for (int b = 5; b < 8 && n; b++)
            worst = larger(error_of(b, b == 5 ? rows * n : n), worst);
    }
    return worst;
}

static double run_add_layernorm(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = key % 2 ? 70 : 5; /* of several groups, and of one that is not full */
    n = at_most(n, MAX / rows);
    double worst = 0;
    for (int rms = 0; rms < 2; rms++) {
        fill(0, key, rows * n, -3, 5);
        fill(1, key, rows * n, -1, 2);
        fill(2, key, n, 0.5, 2);
        fill(3, key, rows * n, -2, 2);
#define CALLS(k, T)                                                                                              \
    k->add_layernorm(buffer[0].T, buffer[1].T, buffer[2].T, NULL, buffer[4].T, buffer[5].T, buffer[6].T,         \
                     buffer[7].T, rows, n, 0.1, rms);                                                            \
    k->layernorm_grad(buffer[4].T, buffer[2].T, buffer[6].T, buffer[7].T, buffer[3].T, buffer[0].T, buffer[8].T, \
                      buffer[9].T, NULL, rows, n, rms, 0);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        for (int b = 4; b < 10 && n > 1; b++)
            worst = larger(error_over(b, b == 9 ? n : b == 6 || b == 7 ? rows : rows * n, 1), worst);
    }
    return worst;
}

static double run_cross_entropy(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 4;
    n = at_most(n, MAX / rows);
    fill(0, key, rows * n, -8, 8);
    fill(1, key, rows, 0, 1);
    for (size_t r = 0; r < rows; r++)
        ids[r] = (int32_t)(n ? (key + 7 * r) % n : 0);
#define CALLS(k, T)                                           \
    k->cross_entropy(buffer[0].T, ids, buffer[2].T, rows, n); \
    k->cross_entropy_grad(buffer[0].T, ids, buffer[1].T, buffer[3].T, rows, n);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return n ? larger(error_over(2, rows, 1), error_over(3, rows * n, 1)) : 0;
}

static double run_dropout(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    n = at_most(n, MAX);
    fill(0, key, n, -4, 4);
#define CALLS(k, T) k->dropout(key, key % 100, 0.9, buffer[0].T, buffer[1].T, n);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return error_of(1, n);
}

static double run_optimiser(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const struct sqa_adamw s = {1e-3, 0.9, 0.999, 1e-8, 0.01, 0.271, 2.997e-3, 0.5};
    n = at_most(n, MAX);
    for (int b = 0; b < 5; b++)
        fill(b, key, n, b == 3 ? 0.01 : -1, 1);
#define CALLS(k, T)                                                      \
    k->adamw(&s, buffer[0].T, buffer[1].T, buffer[2].T, buffer[3].T, n); \
    k->sgd(0.1, 0.9, 1e-3, 0.5, buffer[4].T, buffer[1].T, buffer[2].T, n);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(larger(error_of(0, n), error_of(2, n)), larger(error_of(3, n), error_of(4, n)));
}

/* Sizes and flags vary with the key. Buffers 0..2: q, k, v; 3: o; 4: lse; 5: dO; 6..8: dQ, dK, dV; 9: bias,
 * whose rows overlap. */
static struct sqa_attention_bwd attention_case(int f64, uint64_t key, size_t n)
{
    static const int32_t start[] = {0, 2, 3, 6, 7, 9}, listed[] = {0, 3, 1, 0, 1, 2, 3, 2, 3};
    uint32_t word[4];
    sqa_philox(key, 0, word);
    const int64_t length = (int64_t)at_most(n, 256), d = 1 + word[0] % 64, dv = 1 + word[1] % 64;
    struct sqa_attention_bwd b = {.f = {.queries = length,
                                        .keys = length - length / 5,
                                        .d = d,
                                        .dv = dv,
                                        .scale = 1 / sqrt((double)d),
                                        .causal = word[2] % 2,
                                        .keep = word[3] % 2 ? 0.8 : 1,
                                        .dropout_key = key},
                                  .do_stride = dv,
                                  .dq_stride = d,
                                  .dk_stride = d,
                                  .dv_stride = dv};
    b.f.q_stride = b.f.k_stride = d;
    b.f.v_stride = b.f.o_stride = dv;
#define SIDE(i) f64 ? (void *)buffer[i].d : (void *)buffer[i].f
    b.f.q = SIDE(0);
    b.f.k = SIDE(1);
    b.f.v = SIDE(2);
    b.f.o = SIDE(3);
    b.f.lse = SIDE(4);
    b.dout = SIDE(5);
    b.dq = SIDE(6);
    b.dk = SIDE(7);
    b.dv = SIDE(8);
    b.f.window = word[2] / 2 % 4 == 0;
    b.f.left = (int64_t)(word[2] / 8 % 64) - 8;
    b.f.right = (int64_t)(word[2] / 512 % 64) - 8;
    b.f.block = word[3] / 2 % 4 == 0 ? 64 : 0;
    b.f.key_block = word[3] / 32 % 2 ? 64 : 48;
    b.f.block_start = start;
    b.f.block_key = listed;
    b.f.bias = word[3] / 8 % 4 == 0 ? SIDE(9) : NULL;
    b.f.bias_stride = 41;
    b.dlse = word[3] / 128 % 2 ? SIDE(9) : NULL;
    return b;
}

/* Rows without an allowed key have lse = inf in both. */
static double lse_error(size_t rows)
{
    double worst = 0;
    for (size_t i = 0; i < rows; i++) {
        const double got = (double)buffer[4].f[i], want = buffer[4].d[i];
        worst = isinf(want) && isinf(got) ? worst : larger(fabs(got - want) / (1 + fabs(want)), worst);
    }
    return worst;
}

static double attention_error(const struct sqa_kernels *simd, const struct sqa_kernels *want, uint64_t key, size_t n,
                              int backward)
{
    const struct sqa_attention_bwd f = attention_case(0, key, n), d = attention_case(1, key, n);
    const size_t rows = (size_t)f.f.queries, keys = (size_t)f.f.keys, w = (size_t)f.f.d, wv = (size_t)f.f.dv;
    if (simd->attention_workspace(f.f.d, f.f.dv) > sizeof workspace_f)
        return HUGE_VAL;
    for (int b = 0; b < 10; b++)
        fill(b, key, MAX, -2, 2);
    simd->attention(&f.f, workspace_f);
    want->attention(&d.f, workspace_d);
    if (!backward)
        return rows ? larger(error_of(3, rows * wv), lse_error(rows)) : 0;
    simd->attention_bwd(&f, workspace_f);
    want->attention_bwd(&d, workspace_d);
    return larger(error_over(6, rows * w, 1), larger(error_over(7, keys * w, 1), error_of(8, keys * wv)));
}

static double run_attention(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    return attention_error(simd, plain(), key, n, 0);
}

static double run_attention_bwd(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    return attention_error(simd, plain(), key, n, 1);
}

/* Sizes and flags vary with the key. Buffers 0: A, 1: B, 2: C, 3: bias, 4: panels; a second product has the
 * same B and A from `terms` on. */
static double gemm_panels_error(const struct sqa_kernels *simd, const struct sqa_kernels *want, uint64_t key,
                                size_t n)
{
    uint32_t word[4];
    sqa_philox(key, 0, word);
    const int64_t rows = (int64_t)at_most(n, 128), width = 1 + word[0] % 96, terms = 1 + word[1] % 96;
    const int ta = word[2] % 2, tb = word[2] / 2 % 2, as_is = !tb && word[2] / 4 % 2, two = word[2] / 8 % 2;
    struct sqa_gemm_panels g = {.m = rows,
                                .n = width,
                                .k = terms,
                                .a_row = ta ? 1 : terms,
                                .a_column = ta ? rows : 1,
                                .b_row = as_is ? width : 0,
                                .ldc = width,
                                .accumulate = word[3] % 2};
    for (int b = 0; b < 4; b++)
        fill(b, key, MAX, -1, 1);
#define CALLS(t, T)                                                                      \
    t->pack(terms, width, buffer[1].T, tb ? 1 : width, tb ? terms : 1, buffer[4].T);     \
    g.a = buffer[0].T, g.c = buffer[2].T, g.bias = word[3] / 2 % 2 ? buffer[3].T : NULL; \
    g.panels = as_is ? buffer[1].T : buffer[4].T;                                        \
    g.more[0].a = two ? buffer[0].T + terms : NULL, g.more[0].panels = g.panels;         \
    t->gemm_panels(&g);
    CALLS(simd, f)
    CALLS(want, d)
#undef CALLS
    return error_over(2, (size_t)(rows * width), 1);
}

static double run_gemm_panels(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    return gemm_panels_error(simd, plain(), key, n);
}

static double run_gemm_bf16(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    uint32_t word[4];
    sqa_philox(key, 0, word);
    const int64_t m = 1 + word[0] % 100, k = (int64_t)at_most(n, 120), columns = 1 + word[1] % 100;
    const int ta = word[2] % 2, tb = word[3] % 2;
    for (int b = 0; b < 3; b++)
        fill(b, key, MAX, -2, 2);
#define CALLS(t, T)                                                                                                  \
    (t)->gemm_bf16(ta, tb, m, columns, k, 1, buffer[0].T, ta ? m : k, buffer[1].T, tb ? k : columns, 1, buffer[2].T, \
                   columns);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return error_of(2, (size_t)(m * columns));
}

static double run_gemm_panels_bf16(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const struct sqa_kernels f = sqa_kernels_bf16_of(simd), d = sqa_kernels_bf16_of(plain());
    return gemm_panels_error(&f, &d, key, n);
}

static double run_attention_bf16(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const struct sqa_kernels f = sqa_kernels_bf16_of(simd), d = sqa_kernels_bf16_of(plain());
    return attention_error(&f, &d, key, n, 0);
}

static double run_attention_bf16_bwd(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const struct sqa_kernels f = sqa_kernels_bf16_of(simd), d = sqa_kernels_bf16_of(plain());
    return attention_error(&f, &d, key, n, 1);
}

/* Sizes vary with the key. Buffers 0..3: q, k, v, w; 4: y; 5: den; 6: dy; 7..9: dq, dk, dv; 10, 11:
 * states
 */
static struct sqa_kernel_attention kattn_case(int f64, uint64_t key, size_t n, int form)
{
    uint32_t word[4];
    sqa_philox(key, 1, word);
    const int64_t length = (int64_t)at_most(n, 250), d = 8 + word[0] % 57, dv = 8 + word[1] % 57;
    const int64_t m = word[3] % 4 == 0 ? d : 8 + word[2] % 121;
    return (struct sqa_kernel_attention){.map = (enum sqa_feature_map)(form / 2),
                                         .causal = form % 2,
                                         .rows = length,
                                         .keys = length - length / 5,
                                         .d = d,
                                         .m = m,
                                         .dv = dv,
                                         .chunk = 32,
                                         .scale = pow((double)d, -0.25),
                                         .eps = 1e-3,
                                         .den_eps = 1e-6,
                                         .w = word[3] % 4 == 0 ? NULL : SIDE(3),
                                         .q = SIDE(0),
                                         .k = SIDE(1),
                                         .v = SIDE(2),
                                         .q_stride = d,
                                         .k_stride = d,
                                         .v_stride = dv,
                                         .y = SIDE(4),
                                         .den = SIDE(5),
                                         .y_stride = dv,
                                         .dy = SIDE(6),
                                         .dq = SIDE(7),
                                         .dk = SIDE(8),
                                         .dv_ = SIDE(9),
                                         .dy_stride = dv,
                                         .dq_stride = d,
                                         .dk_stride = d,
                                         .dv_stride = dv,
                                         .den_min = form / 2 == SQA_MAP_NONE ? 0.25 : 0};
}

static double kattn_error(const struct sqa_kernels *simd, uint64_t key, size_t n, int form)
{
    const struct sqa_kernel_attention f = kattn_case(0, key, n, form), d = kattn_case(1, key, n, form);
    const size_t state = (size_t)sqa_kattn_state(&f), rows = (size_t)f.rows, keys = (size_t)f.keys;
    if (simd->kattn_workspace(&f) > sizeof workspace_f)
        return HUGE_VAL;
    for (int b = 0; b < 7; b++)
        fill(b, key, MAX, b < 2 && form / 2 == SQA_MAP_NONE ? 0 : -1, 1); /* features are not negative */
    fill(10, key, state, 0, 0);
    fill(11, key, state, 0, 0);
#define CALLS(k, a, T, ws)                                                      \
    if (a.causal) {                                                             \
        k->kattn_causal(&a, 0, a.rows, buffer[10].T, ws);                       \
        memset(buffer[10].T, 0, state * sizeof *buffer[10].T);                  \
        k->kattn_causal_bwd_q(&a, 0, a.rows, buffer[10].T, ws);                 \
        k->kattn_causal_bwd_k(&a, 0, a.rows, buffer[11].T, ws);                 \
    } else {                                                                    \
        k->kattn_keys(&a, 0, a.rows, buffer[10].T, ws);                         \
        k->kattn_queries(&a, 0, a.rows, buffer[10].T, ws);                      \
        k->kattn_queries_bwd(&a, 0, a.rows, buffer[10].T, buffer[11].T, ws);    \
        (void)k->kattn_keys_bwd(&a, 0, a.rows, buffer[10].T, buffer[11].T, ws); \
    }
    CALLS(simd, f, f, workspace_f)
    CALLS(plain(), d, d, workspace_d)
#undef CALLS
    const double forward = larger(error_over(4, rows * (size_t)f.dv, 0.1), error_of(5, rows));
    const double inputs = larger(error_over(7, rows * (size_t)f.d, 0.1), error_over(8, keys * (size_t)f.d, 0.1));
    return larger(larger(forward, inputs), error_over(9, keys * (size_t)f.dv, 0.1));
}

static double run_kattn(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    double worst = 0;
    for (int form = 0; form < 8; form++)
        worst = larger(kattn_error(simd, key + (uint64_t)form, n, form), worst);
    return worst;
}

/* Buffers 0 to 3: u, k, k2, dy; 7 to 10: y, du, dk, dk2; rows of 3 channels */
static double run_fft(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LANES = 3 };
    const int64_t length = (int64_t)(n ? at_most(n, 1024) : 1);
    const size_t count = LANES * (size_t)length;
    for (int b = 0; b < 4; b++)
        fill(b, key, count, -1, 1);
#define CALLS(k, T, ws)                                                                                  \
    {                                                                                                    \
        const size_t points = k->fft_spectrum(length);                                                   \
        struct sqa_fft f = {length, LANES, ws + 4 * points};                                             \
        k->fft_prepare(length, ws + 4 * points);                                                         \
        k->fft_kernel(&f, buffer[1].T, buffer[2].T, LANES, ws);                                          \
        k->fft_convolve(&f, buffer[0].T, LANES, ws, buffer[7].T, LANES, ws + points);                    \
        for (size_t i = 0; i < points; i++)                                                              \
            ws[points + i] = 0;                                                                          \
        k->fft_gradient(&f, buffer[0].T, LANES, buffer[3].T, LANES, ws, ws + points, buffer[8].T, LANES, \
                        ws + 2 * points);                                                                \
        k->fft_kernel_grad(&f, ws + points, buffer[9].T, buffer[10].T, LANES);                           \
    }
    CALLS(simd, f, ((float *)workspace_f))
    CALLS(plain(), d, workspace_d)
#undef CALLS
    double worst = 0;
    for (int b = 7; b < 11; b++)
        worst = larger(error_over(b, count, 1), worst); /* one row: dk2 is 0 */
    return worst;
}

static double run_glu(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t rows = 3, width = at_most(n, MAX / 6);
    fill(0, key, 2 * rows * width, -20, 20);
    fill(1, key, rows * width, -1, 1);
#define CALLS(k, T)                                \
    k->glu(buffer[0].T, buffer[2].T, rows, width); \
    k->glu_grad(buffer[0].T, buffer[1].T, buffer[3].T, rows, width);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(error_over(2, rows * width, 1), error_over(3, 2 * rows * width, 1));
}

/* Decaying powers, as double values in workspace_d; rows of 2 m */
static double run_powers(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 40 };
    const size_t m = at_most(n, MAX / (2 * LONG)), all = 2 * m * LONG;
    double *z = workspace_d, *w = z + 2 * m, *value[2] = {w + 2 * m, w + 4 * m}, *slope[2] = {w + 6 * m, w + 8 * m};
    fill(0, key, 2 * m, -0.7, 0.7);
    fill(1, key, all, -1, 1);
    for (size_t i = 0; i < 2 * m; i++)
        z[i] = buffer[0].d[i];
#define CALLS(k, T, which)                               \
    for (size_t i = 0; i < 2 * m; i++)                   \
        w[i] = 1;                                        \
    k->powers(z, w, m, LONG, 2, -2, buffer[2].T, 2 * m); \
    k->polynomials(z, m, LONG, buffer[1].T, 2 * m, value[which], slope[which]);
    CALLS(simd, f, 0)
    CALLS(plain(), d, 1)
#undef CALLS
    double worst = error_over(2, all, 1);
    for (size_t i = 0; i < 2 * m; i++) {
        worst = larger(ratio(value[0][i], value[1][i], 10), worst);
        worst = larger(ratio(slope[0][i], slope[1][i], 100), worst);
    }
    return worst;
}

/* Real and complex rows of m channels, and the gradient backwards in time with one a, added to dx and da; buffers 0
 * to 2: a, x, dy; 3 to 5: y, dx, da; 6, 7: dx, da of the second */
static double run_scan(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 50 };
    const int64_t m = (int64_t)at_most(n, MAX / (2 * LONG)), imag = key % 2 ? m : 0, row = 2 * m;
    const size_t all = (size_t)row * LONG;
    for (int b = 0; b < 3; b++)
        fill(b, key, all, -0.7, 0.7);
    const int64_t last = row * (LONG - 1);
    for (int b = 3; b < 6; b++)
        fill(b, key, all, 0, 0);
    for (int b = 6; b < 8; b++)
        fill(b, key, all, -1, 1);
#define CALLS(k, T)                                                                                             \
    k->scan(&(struct sqa_scan){LONG, m, imag, buffer[0].T, buffer[1].T, buffer[3].T, row, row, row});           \
    k->scan_grad(&(struct sqa_scan_grad){LONG, m, imag, 0, buffer[0].T, buffer[3].T, buffer[2].T, buffer[4].T,  \
                                         buffer[5].T, row, row, row, row, row});                                \
    k->scan_grad(&(struct sqa_scan_grad){LONG, m, imag, 1, buffer[0].T, buffer[3].T + last, buffer[2].T + last, \
                                         buffer[6].T + last, buffer[7].T, 0, -row, -row, -row, 0});
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    double worst = 0;
    for (int b = 3; b < 8; b++)
        worst = larger(error_over(b, all, 1), worst);
    return worst;
}

/* Taps inside and over the ends; buffers 0 to 2: x, w, bias; 3: y, 4: dw */
static double run_conv1d(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 40, MOST = 19 };
    const int64_t m = (int64_t)at_most(n, MAX / LONG), k = 1 + (int64_t)(key % MOST), left = (int64_t)(key / 7) % k;
    const int64_t valid = (int64_t)(key / 3) % (LONG + 1), first = (int64_t)(key % 2) * 3;
    const size_t all = (size_t)m * LONG;
    for (int b = 0; b < 5; b++)
        fill(b, key, all, b < 3 ? -1 : 0, b < 3 ? 1 : 0);
#define CALLS(kernels, T)                                                                                 \
    struct sqa_conv1d T##_c = {first,       LONG - first, valid,       m,           k, left, buffer[0].T, \
                               buffer[1].T, buffer[2].T,  buffer[3].T, buffer[4].T, m, m,    m};          \
    kernels->conv1d(&T##_c);                                                                              \
    kernels->conv1d_taps(&T##_c);
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(error_over(3, all, 1), error_over(4, (size_t)(m * k), 1));
}

/* Buffers 0 to 4: nodes' y (its low part 0 and later some digits of b's size), poles' a, b, b's low part, v; 5: sums;
 * 6: gradients of them */
static double run_cauchy(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { SUMS = 4, COLUMNS = 2 * SUMS };
    const size_t poles = at_most(1 + n / 8, 16), nodes = at_most(1 + n / 16, 8) * SQA_CAUCHY_LANES;
    double *dv[2] = {workspace_d, workspace_d + 512}, *da[2], *db[2];
    for (int i = 0; i < 2; i++) {
        da[i] = dv[i] + COLUMNS * poles;
        db[i] = da[i] + poles;
    }
    fill(0, key, nodes, 0, 10);
    fill(1, key, poles, 0.01, 1);
    fill(2, key, poles, 0, 10);
    fill(3, key, poles, -1e-7, 1e-7);
    fill(4, key, COLUMNS * poles, -1, 1);
    fill(6, key, COLUMNS * nodes, -1, 1);
    fill(7, key, nodes, -1e-7, 1e-7);
#define CALLS(k, T, which)                                                                            \
    {                                                                                                 \
        const struct sqa_cauchy c = {nodes,       poles,       SUMS,        buffer[0].T, buffer[7].T, \
                                     buffer[1].T, buffer[2].T, buffer[3].T, buffer[4].T};             \
        k->cauchy(&c, buffer[5].T);                                                                   \
        k->cauchy_grad(&c, buffer[6].T, dv[which], da[which], db[which]);                             \
    }
    CALLS(simd, f, 0)
    CALLS(plain(), d, 1)
#undef CALLS
    double worst = error_over(5, COLUMNS * nodes, 1), largest = 1;
    for (size_t i = 0; i < (COLUMNS + 2) * poles; i++)
        largest = larger(fabs(dv[1][i]), largest);
    for (size_t i = 0; i < (COLUMNS + 2) * poles; i++)
        worst = larger(ratio(dv[0][i], dv[1][i], largest), worst);
    return worst;
}

/* Forward and backward. Buffers 0 to 4: u, dt, b, c, dy; 5: a, then skip; 6: y, then da and dskip; 7: what is kept;
 * 8 to 11: du, ddt, db, dc */
static double run_selective(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 45, CHUNK = 16, CHUNKS = 3 };
    const int64_t m = (int64_t)at_most(n, 150), states = 1 + (int64_t)(key % 7), da = LONG * m;
    for (int b = 0; b < 5; b++)
        fill(b, key, MAX, b == 1 ? 0 : -1, 1);
    fill(5, key, MAX, -3, 0);
    for (int b = 6; b < BUFFERS; b++)
        fill(b, key, MAX, 0, 0);
#define CALLS(k, T, ws)                                                                                              \
    {                                                                                                                \
        const struct sqa_selective f = {LONG,                                                                        \
                                        m,                                                                           \
                                        states,                                                                      \
                                        CHUNK,                                                                       \
                                        buffer[0].T,                                                                 \
                                        buffer[1].T,                                                                 \
                                        buffer[5].T,                                                                 \
                                        buffer[2].T,                                                                 \
                                        buffer[3].T,                                                                 \
                                        buffer[5].T + states * m,                                                    \
                                        m,                                                                           \
                                        m,                                                                           \
                                        m,                                                                           \
                                        states,                                                                      \
                                        states,                                                                      \
                                        buffer[6].T,                                                                 \
                                        buffer[7].T,                                                                 \
                                        m,                                                                           \
                                        m};                                                                          \
        k->selective(&f, ws);                                                                                        \
        k->selective_grad(&(struct sqa_selective_grad){f, buffer[4].T, buffer[8].T, buffer[9].T, buffer[6].T + da,   \
                                                       buffer[10].T, buffer[11].T, buffer[6].T + da + states * m, m, \
                                                       m, m, m, states, states},                                     \
                          ws);                                                                                       \
    }
    if (CHUNKS * states * m > MAX || da + (states + 1) * m > MAX)
        return HUGE_VAL;
    CALLS(simd, f, workspace_f)
    CALLS(plain(), d, workspace_d)
#undef CALLS
    double worst =
        larger(error_over(6, (size_t)(da + (states + 1) * m), 1), error_over(7, (size_t)(CHUNKS * states * m), 1));
    for (int b = 8; b < BUFFERS; b++)
        worst = larger(error_over(b, (size_t)(LONG * (b < 10 ? m : states)), 1), worst);
    return worst;
}

/* Every kind of decay, two updates, two readings. Buffers 0 to 6: decay, x, z, r, x2, z2, r2; 7: y; 8: y2; 9: M */
static double run_matrix_scan(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 40 };
    const int64_t columns = (int64_t)at_most(n, 90), rows = 5 + (int64_t)(key % 13);
    double worst = 0;
    for (int form = 0; form < 6; form++) {
        fill(0, key, MAX, 0.5, 1);
        for (int b = 1; b < 10; b++)
            fill(b, key, MAX, b == 9 ? 0 : -0.5, 0.5);
#define CALLS(k, T)                                                                 \
    k->matrix_scan(&(struct sqa_matrix_scan){LONG,                                  \
                                             rows,                                  \
                                             columns,                               \
                                             (enum sqa_decay)(form < 4 ? form : 0), \
                                             form % 2,                              \
                                             buffer[0].T,                           \
                                             buffer[1].T,                           \
                                             buffer[2].T,                           \
                                             buffer[3].T,                           \
                                             form == 4 ? buffer[4].T : NULL,        \
                                             buffer[5].T,                           \
                                             form == 5 ? buffer[6].T : NULL,        \
                                             form == 1   ? 0                        \
                                             : form == 2 ? rows                     \
                                                         : columns,                 \
                                             rows,                                  \
                                             columns,                               \
                                             rows,                                  \
                                             rows,                                  \
                                             columns,                               \
                                             rows,                                  \
                                             buffer[7].T,                           \
                                             buffer[8].T,                           \
                                             buffer[9].T,                           \
                                             columns,                               \
                                             columns});
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        for (int b = 7; b < 10; b++)
            worst = larger(error_over(b, (size_t)((b < 9 ? LONG : rows) * columns), 1), worst);
    }
    return worst;
}

/* With a first update, with readings, with neither; backward in time. Buffers 0 to 5: x, z, k, v, q, beta; 6: e; 7:
 * y; 8: M */
static double run_delta_scan(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    enum { LONG = 40 };
    const int64_t columns = (int64_t)at_most(n, 90), rows = 5 + (int64_t)(key % 13), last = LONG - 1;
    double worst = 0;
    for (int form = 0; form < 3; form++) {
        for (int b = 0; b < 9; b++)
            fill(b, key, MAX, b == 5 ? 0 : -0.4, b == 5 ? 1 : 0.4);
#define CALLS(k, T)                                                                         \
    k->delta_scan(&(struct sqa_delta_scan){LONG,                                            \
                                           rows,                                            \
                                           columns,                                         \
                                           form == 1 ? buffer[0].T + last * rows : NULL,    \
                                           buffer[1].T + last * columns,                    \
                                           buffer[2].T + last * rows,                       \
                                           form == 1 ? NULL : buffer[3].T + last * columns, \
                                           buffer[5].T + last,                              \
                                           form == 2 ? buffer[4].T + last * rows : NULL,    \
                                           -rows,                                           \
                                           -columns,                                        \
                                           -rows,                                           \
                                           -columns,                                        \
                                           -1,                                              \
                                           -rows,                                           \
                                           buffer[6].T + last * columns,                    \
                                           buffer[7].T + last * columns,                    \
                                           buffer[8].T,                                     \
                                           -columns,                                        \
                                           -columns});
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        for (int b = 6; b < 9; b++)
            worst = larger(error_over(b, (size_t)((b < 8 ? LONG : rows) * columns), 1), worst);
    }
    return worst;
}

/* buffers 0 to 3: a, q, k, v; 4: s; 5: o. Three steps, so that errors of s show. */
static double run_state_step(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const int64_t m = 1 + (int64_t)(key % 9) * 3, columns = (int64_t)at_most(n, (size_t)(MAX / m));
    for (int b = 0; b < 4; b++)
        fill(b, key, (size_t)(m + columns), -0.9, 0.9);
    fill(4, key, (size_t)(m * columns), -1, 1);
#define CALLS(k, T)                                                                                        \
    for (int i = 0; i < 3; i++)                                                                            \
        k->state_step(&(struct sqa_state_step){m, columns, key % 4 == 0 ? NULL : buffer[0].T, buffer[1].T, \
                                               buffer[2].T, buffer[3].T, key % 4 == 1, buffer[4].T, buffer[5].T});
    CALLS(simd, f)
    CALLS(plain(), d)
#undef CALLS
    return larger(error_over(4, (size_t)(m * columns), 1), error_over(5, (size_t)columns, 1));
}

/* buffers 0 to 2: q, k, v; 3: o */
static double run_attend(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const int64_t keys = (int64_t)at_most(n ? n : 1, SQA_ATTEND_KEYS), d = 1 + (int64_t)(key % 40), dv = 64 - d;
    fill(0, key, (size_t)d, -1, 1);
    fill(1, key, (size_t)(keys * d), -2, 2);
    fill(2, key, (size_t)(keys * dv), -1, 1);
    struct sqa_attend f = {keys, d, dv, 0.7, buffer[0].f, buffer[1].f, buffer[2].f, d, dv, buffer[3].f, 0, 0};
    struct sqa_attend p = {keys, d, dv, 0.7, buffer[0].d, buffer[1].d, buffer[2].d, d, dv, buffer[3].d, 0, 0};
    simd->attend(&f);
    plain()->attend(&p);
    return larger(larger(error_over(3, (size_t)dv, 1), ratio(f.top, p.top, 1)), ratio(f.sum, p.sum, p.sum));
}

/* buffers 0: z; 1: before; 2: state or u; 3: h; 4: dh; 5: carry. Forward, then backward from what it left. */
static double run_gates(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const size_t units = at_most(n, MAX / 4);
    const int first = key % 3 == 0;
    double worst = 0;
    for (int lstm = 0; lstm < 2; lstm++) {
        fill(0, key, 4 * units, -3, 3);
        for (int b = 1; b < 6; b++)
            fill(b, key, units, -1, 1);
#define CALLS(k, T)                                                                      \
    const struct sqa_gates T = {(int64_t)units, buffer[0].T, buffer[2].T,                \
                                buffer[3].T,    buffer[5].T, first ? NULL : buffer[1].T, \
                                buffer[4].T};                                            \
    (lstm ? (k)->lstm_gates : (k)->gru_gates)(&T);                                       \
    (lstm ? (k)->lstm_gates_grad : (k)->gru_gates_grad)(&T);
        CALLS(simd, f)
        CALLS(plain(), d)
#undef CALLS
        for (int b = 0; b < 6; b++)
            worst = larger(error_over(b, b ? units : 4 * units, 1), worst);
    }
    return worst;
}

const struct sqa_kernel_check sqa_kernel_checks[] = {
    {"gemm_panels", 2e-6, run_gemm_panels},
    {"unary", 2e-6, run_unary},
    {"unary_grad", 2e-6, run_unary_grad},
    {"binary", 5e-7, run_binary},
    {"binary_rows", 5e-7, run_binary_rows},
    {"affine", 5e-7, run_affine},
    {"sum", 1e-12, run_sum},
    {"sum_rows", 5e-7, run_sum_rows},
    {"softmax", 4e-6, run_softmax},
    {"layernorm", 4e-6, run_layernorm},
    {"layernorm_grad", 4e-6, run_layernorm_grad},
    {"add_layernorm", 4e-6, run_add_layernorm},
    {"cross_entropy", 2e-6, run_cross_entropy},
    {"dropout", 5e-7, run_dropout},
    {"optimiser", 1e-6, run_optimiser},
    {"attention", 1e-5, run_attention},
    {"attention_bwd", 4e-5, run_attention_bwd},
    {"kernel_attention", 8e-6, run_kattn},
    {"gemm_bf16", 2e-6, run_gemm_bf16},
    {"gemm_panels_bf16", 2e-6, run_gemm_panels_bf16},
    /* a probability may be rounded the other way: see tests/test_bf16.c */
    {"attention_bf16", 4e-3, run_attention_bf16},
    {"attention_bf16_bwd", 4e-3, run_attention_bf16_bwd},
    {"fft", 4e-6, run_fft},
    {"glu", 2e-6, run_glu},
    {"powers", 5e-7, run_powers},
    {"scan", 2e-6, run_scan},
    {"conv1d", 4e-6, run_conv1d},
    {"cauchy", 1e-5, run_cauchy},
    {"state_step", 2e-6, run_state_step},
    {"attend", 4e-6, run_attend},
    {"gates", 4e-6, run_gates},
    {"selective", 4e-6, run_selective},
    {"matrix_scan", 4e-6, run_matrix_scan},
    {"delta_scan", 4e-6, run_delta_scan},
    {NULL, 0, NULL},
};
