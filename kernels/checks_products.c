/* checks_products.c - checks of matrix products and attention: see checks.h */
#include <string.h>

#include "kernels/checks.h"

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

double sqa_check_attention(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    return attention_error(simd, plain(), key, n, 0);
}

double sqa_check_attention_bwd(const struct sqa_kernels *simd, uint64_t key, size_t n)
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

double sqa_check_gemm_panels(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    return gemm_panels_error(simd, plain(), key, n);
}

double sqa_check_gemm_bf16(const struct sqa_kernels *simd, uint64_t key, size_t n)
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

double sqa_check_gemm_panels_bf16(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const struct sqa_kernels f = sqa_kernels_bf16_of(simd), d = sqa_kernels_bf16_of(plain());
    return gemm_panels_error(&f, &d, key, n);
}

double sqa_check_attention_bf16(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    const struct sqa_kernels f = sqa_kernels_bf16_of(simd), d = sqa_kernels_bf16_of(plain());
    return attention_error(&f, &d, key, n, 0);
}

double sqa_check_attention_bf16_bwd(const struct sqa_kernels *simd, uint64_t key, size_t n)
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

double sqa_check_kattn(const struct sqa_kernels *simd, uint64_t key, size_t n)
{
    double worst = 0;
    for (int form = 0; form < 8; form++)
        worst = larger(kattn_error(simd, key + (uint64_t)form, n, form), worst);
    return worst;
}
