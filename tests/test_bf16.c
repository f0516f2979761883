/*
 * test_bf16.c - compute in bfloat16: rounding, and every form of product and attention against the plain one in
 * double
 *
 * Forms round the same numbers, so they differ by float sums only - but where a float sum falls on the other side of
 * a tie, a probability is rounded the other way: one part in 256 of one term. So the largest difference has a loose
 * bound and the mean difference a tight one. There is no gradient check: the gradient of a rounded product is 0 or
 * nothing; what backward computes is the gradient of the unrounded one, in rounded operands, and that is compared
 * with the definition here.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "engine/ops.h"
#include "engine/plan.h"
#include "kernels/bf16.h"
#include "kernels/kernels.h"
#include "kernels/plain/plain.h"

/* The bf16 members of a table, under test. */
struct form {
    const char *name;
    void (*gemm)(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t lda,
                 const void *b, int64_t ldb, double beta, void *c, int64_t ldc);
    size_t (*panels)(int64_t k, int64_t n);
    void (*pack)(int64_t k, int64_t n, const void *b, int64_t row, int64_t column, void *panels);
    void (*gemm_panels)(const struct sqa_gemm_panels *g);
    size_t (*workspace)(int64_t d, int64_t dv);
    void (*attention)(const struct sqa_attention *a, void *workspace);
    void (*attention_bwd)(const struct sqa_attention_bwd *a, void *workspace);
};
static struct form form[10];
static size_t forms;

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static float of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static void test_rounding(void **state)
{
    (void)state;
    static const struct {
        uint32_t from;
        uint16_t to;
    } cases[] = {
        {0x00000000, 0x0000}, {0x80000000, 0x8000}, /* zeros keep their sign */
        {0x00000001, 0x0000}, {0x807fffff, 0x8000}, /* denormals become zeros */
        {0x00800000, 0x0080}, {0x3f800000, 0x3f80}, /* exact */
        {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, /* ties: to even */
        {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80}, /* nearest */
        {0xbf808001, 0xbf81}, {0x3fffffff, 0x4000}, /* a carry into the exponent */
        {0x7f7fffff, 0x7f80}, {0xff7f8000, 0xff80}, /* beyond the largest */
        {0x7f7f7fff, 0x7f7f}, {0x7f800000, 0x7f80}, /* the largest; infinite */
        {0xff800000, 0xff80}, {0x7fc00000, 0x7fc0}, /* infinite; not-a-number */
        {0x7f800001, 0x7fc0}, {0xffa12345, 0xffe1}, /* signalling becomes quiet, keeps sign and payload */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(sqa_bf16_bits(of_bits(cases[i].from)), cases[i].to);
    for (uint32_t b = 0; b < 65536; b++) { /* a bfloat16 stays as it is */
        const uint32_t size = b & 0x7fff;
        if (size >= 0x80 && size <= 0x7f80)
            assert_int_equal(sqa_bf16_bits(sqa_bf16_value((uint16_t)b)), b);
    }
    for (uint32_t i = 0; i < 1000000; i++) { /* none of the two neighbours is nearer */
        const float x = of_bits((uint32_t)sqa_random_u64(1, i));
        if (!isfinite(x) || fabsf(x) < 0x1p-126f || fabsf(x) > 0x1.fep127f)
            continue;
        const uint16_t y = sqa_bf16_bits(x);
        const double miss = fabs((double)sqa_bf16_value(y) - (double)x);
        assert_true(miss <= fabs((double)sqa_bf16_value((uint16_t)(y + 1)) - (double)x));
        assert_true(miss <= fabs((double)sqa_bf16_value((uint16_t)(y - 1)) - (double)x));
    }
}

/* 1 x 1 products by 1 show how a form rounds its operands. */
static void test_rounding_of_forms(void **state)
{
    (void)state;
    enum { N = 40000 };
    static float x[N], y[N];
    const float one = 1;
    for (uint32_t i = 0; i < N; i++) {
        x[i] = of_bits((uint32_t)sqa_random_u64(2, i));
        if (i < 64)
            x[i] = of_bits((i % 2 ? 0x80000000u : 0) | (i / 2 % 4 << 14) | (i / 8 << 20) * 4);
        if (i >= 64 && i < 72)
            x[i] = i < 68 ? INFINITY : -INFINITY;
        if (i >= 72 && i < 80)
            x[i] = of_bits(0x3f800000u + (i - 72) * 0x4000u);
        if (isnan(x[i])) /* one of them would make others not-a-number in no form: rows are apart */
            x[i] = of_bits(0x7f800000u | (i % 1000 + 1));
    }
    for (size_t f = 0; f < forms; f++) {
        form[f].gemm(0, 0, N, 1, 1, 1, x, 1, &one, 1, 0, y, 1);
        for (uint32_t i = 0; i < N; i++) {
            const float want = sqa_bf16_round(x[i]);
            if (!(isnan(want) ? isnan(y[i]) : y[i] == want))
                fail_msg("%s rounds %08x to %08x, not %08x", form[f].name, bits_of(x[i]), bits_of(y[i]),
                         bits_of(want));
        }
    }
}

static double *numbers(size_t n, uint64_t key, double scale)
{
    double *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (double)(float)(scale * sqa_random_normal(key, i));
    return x;
}

static float *floats(const double *x, size_t n)
{
    float *y = malloc((n + 1) * sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < n; i++)
        y[i] = (float)x[i];
    return y;
}

/* Largest and mean difference over the largest number wanted, or 1. */
static void agree(const char *what, const char *name, const float *got, const double *want, size_t n, double worst,
                  double mean)
{
    double scale = 1, most = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        scale = fabs(want[i]) > scale && isfinite(want[i]) ? fabs(want[i]) : scale;
        const double diff = (double)got[i] == want[i] ? 0 : fabs((double)got[i] - want[i]);
        most = diff > most || isnan(diff) ? diff : most;
        sum += diff;
    }
    if (!(most <= worst * scale && sum <= mean * scale * (double)(n + 1)))
        fail_msg("%s %s: difference %g at most, %g in the mean, of %g; bounds %g and %g", name, what, most,
                 sum / (double)(n + 1), scale, worst, mean);
}

static void check_gemm(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, double beta)
{
    const int64_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 5, ldc = n + 2;
    const size_t na = (size_t)(lda * (ta ? k : m)), nb = (size_t)(ldb * (tb ? n : k)), nc = (size_t)(ldc * m);
    double *a = numbers(na, 1, 1), *b = numbers(nb, 2, 1), *c = numbers(nc, 3, 1);
    float *af = floats(a, na), *bf = floats(b, nb);
    for (size_t f = 0; f < forms; f++) {
        float *cf = floats(c, nc);
        form[f].gemm(ta, tb, m, n, k, alpha, af, lda, bf, ldb, beta, cf, ldc);
        double *want = numbers(nc, 3, 1);
        sqa_k_gemm_bf16_f64(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, want, ldc);
        char what[128];
        snprintf(what, sizeof what, "gemm %d %d %d x %d x %d, alpha %g beta %g", ta, tb, (int)m, (int)n, (int)k,
                 alpha, beta);
        agree(what, form[f].name, cf, want, nc, 2e-6, 1e-6);
        free(cf);
        free(want);
    }
    free(a);
    free(b);
    free(c);
    free(af);
    free(bf);
}

static void test_gemm(void **state)
{
    (void)state;
    static const int64_t size[][3] = {{0, 4, 4},      {4, 0, 4},      {4, 4, 0},    {1, 1, 1},
                                      {2, 3, 5},      {17, 33, 9},    {64, 64, 64}, {129, 65, 31},
                                      {130, 257, 33}, {33, 300, 260}, {3, 5, 1000}};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int t = 0; t < 4; t++) {
            check_gemm(t & 1, t >> 1, size[i][0], size[i][1], size[i][2], 1, 0);
            check_gemm(t & 1, t >> 1, size[i][0], size[i][1], size[i][2], 1, 1);
            check_gemm(t & 1, t >> 1, size[i][0], size[i][1], size[i][2], -0.5, 0.25);
        }
}

struct panels_case {
    int64_t m, n, k;
    int ta, tb, bias, accumulate;
};

/* C; B packed in front of a mark. */
static void multiply_packed(const struct form *f, const struct panels_case *p, size_t size, const void *a,
                            const void *b, const void *bias, void *c)
{
    const int64_t lda = (p->ta ? p->m : p->k) + 3, ldb = (p->tb ? p->k : p->n) + 2;
    const size_t room = f->panels(p->k, p->n);
    unsigned char *panels = malloc((room + 1) * size);
    assert_non_null(panels);
    memset(panels + room * size, 77, size);
    f->pack(p->k, p->n, b, p->tb ? 1 : ldb, p->tb ? ldb : 1, panels);
    f->gemm_panels(&(struct sqa_gemm_panels){.m = p->m,
                                             .n = p->n,
                                             .k = p->k,
                                             .a = a,
                                             .a_row = p->ta ? 1 : lda,
                                             .a_column = p->ta ? lda : 1,
                                             .panels = panels,
                                             .c = c,
                                             .ldc = p->n + 5,
                                             .bias = p->bias ? bias : NULL,
                                             .accumulate = p->accumulate});
    assert_int_equal(panels[room * size], 77);
    free(panels);
}

static void check_panels(const struct panels_case *p)
{
    const size_t na = (size_t)((p->m + 3) * (p->k + 3)), nb = (size_t)((p->n + 3) * (p->k + 3));
    const size_t nc = (size_t)(p->m * (p->n + 5)), n = (size_t)p->n + 9;
    const struct form want = {
        .panels = sqa_k_panels_bf16_f64, .pack = sqa_k_pack_bf16_f64, .gemm_panels = sqa_k_gemm_panels_bf16_f64};
    double *a = numbers(na, 1, 1), *b = numbers(nb, 2, 1), *bias = numbers(n, 3, 1);
    double *c = numbers(nc, 4, 1);
    float *af = floats(a, na), *bf = floats(b, nb), *biasf = floats(bias, n), *before = floats(c, nc);
    multiply_packed(&want, p, sizeof *a, a, b, bias, c);
    for (size_t f = 0; f < forms; f++) {
        float *cf = malloc((nc + 1) * sizeof *cf);
        assert_non_null(cf);
        memcpy(cf, before, nc * sizeof *cf);
        multiply_packed(&form[f], p, sizeof *af, af, bf, biasf, cf);
        char what[128];
        snprintf(what, sizeof what, "panels, m %d n %d k %d ta %d tb %d bias %d accumulate %d", (int)p->m, (int)p->n,
                 (int)p->k, p->ta, p->tb, p->bias, p->accumulate);
        agree(what, form[f].name, cf, c, nc, 2e-6, 1e-6);
        free(cf);
    }
    free(a);
    free(b);
    free(bias);
    free(c);
    free(af);
    free(bf);
    free(biasf);
    free(before);
}

static void test_panels(void **state)
{
    (void)state;
    static const int64_t size[][3] = {{1, 1, 1},    {0, 5, 5},     {5, 0, 5},    {5, 5, 0},     {2, 3, 7},
                                      {31, 33, 32}, {32, 32, 32},  {33, 31, 34}, {64, 64, 64},  {7, 65, 255},
                                      {66, 8, 256}, {40, 70, 257}, {3, 33, 700}, {168, 40, 48}, {1, 40, 9}};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int flags = 0; flags < 16; flags++)
            check_panels(&(struct panels_case){size[i][0], size[i][1], size[i][2], flags & 1, flags >> 1 & 1,
                                               flags >> 2 & 1, flags >> 3});
}

struct shape {
    int64_t queries, keys, d, dv;
    int causal;
    double keep, scale;
    int64_t first, window;
};

struct arrays { /* q, k, v, dout in; the rest out */
    void *x[9];
};
enum { Q, K, V, DOUT, O, LSE, DQ, DK, DV, ARRAYS };
static const char *const names[ARRAYS] = {"q", "k", "v", "dout", "o", "lse", "dq", "dk", "dv"};

static struct sqa_attention_bwd call_of(const struct shape *s, const struct arrays *a)
{
    return (struct sqa_attention_bwd){.f = {.queries = s->queries,
                                            .keys = s->keys,
                                            .d = s->d,
                                            .dv = s->dv,
                                            .scale = s->scale,
                                            .causal = s->causal,
                                            .keep = s->keep,
                                            .first = s->first,
                                            .window = s->window > 0,
                                            .left = s->window,
                                            .right = s->window,
                                            .dropout_key = 77,
                                            .q = a->x[Q],
                                            .k = a->x[K],
                                            .v = a->x[V],
                                            .q_stride = s->d + 3,
                                            .k_stride = s->d + 1,
                                            .v_stride = s->dv + 2,
                                            .o_stride = s->dv + 1,
                                            .o = a->x[O],
                                            .lse = a->x[LSE]},
                                      .dout = a->x[DOUT],
                                      .dq = a->x[DQ],
                                      .dk = a->x[DK],
                                      .dv = a->x[DV],
                                      .do_stride = s->dv + 4,
                                      .dq_stride = s->d + 1,
                                      .dk_stride = s->d,
                                      .dv_stride = s->dv + 1};
}

static void check_attention(const struct shape *s, uint64_t key, double size)
{
    const size_t lq = (size_t)s->queries, lk = (size_t)s->keys, d = (size_t)s->d, dv = (size_t)s->dv;
    const size_t count[ARRAYS] = {lq * (d + 3), lk * (d + 1), lk * (dv + 2), lq * (dv + 4), lq * (dv + 1),
                                  lq,           lq * (d + 1), lk * d,        lk * (dv + 1)};
    struct arrays want, got;
    for (int i = 0; i < ARRAYS; i++)
        want.x[i] = numbers(count[i], key + (uint64_t)i, i <= K ? size : 1);
    const struct sqa_attention_bwd w = call_of(s, &want);
    double *workspace = malloc(sqa_k_attention_bf16_workspace_f64(s->d, s->dv) + 8);
    assert_non_null(workspace);
    for (size_t f = 0; f < forms; f++) {
        for (int i = 0; i < ARRAYS; i++)
            got.x[i] = floats(want.x[i], count[i]);
        if (f == 0) {
            sqa_k_attention_bf16_f64(&w.f, workspace);
            sqa_k_attention_bf16_bwd_f64(&w, workspace);
        } else {
            for (int i = O; i < ARRAYS; i++) { /* numbers between rows stay as they are */
                free(got.x[i]);
                double *before = numbers(count[i], key + (uint64_t)i, 1);
                got.x[i] = floats(before, count[i]);
                free(before);
            }
        }
        const struct sqa_attention_bwd g = call_of(s, &got);
        void *room = malloc(form[f].workspace(s->d, s->dv));
        assert_non_null(room);
        form[f].attention(&g.f, room);
        form[f].attention_bwd(&g, room);
        for (int i = O; i < ARRAYS; i++) {
            char what[160];
            snprintf(what, sizeof what, "attention, queries %d keys %d d %d dv %d causal %d keep %g scale %g: %s",
                     (int)lq, (int)lk, (int)d, (int)dv, s->causal, s->keep, s->scale, names[i]);
            agree(what, form[f].name, got.x[i], want.x[i], count[i], 4e-3, 2e-5);
        }
        free(room);
        for (int i = 0; i < ARRAYS; i++)
            free(got.x[i]);
    }
    free(workspace);
    for (int i = 0; i < ARRAYS; i++)
        free(want.x[i]);
}

static void test_attention(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {0, 0, 4, 4, 0, 1, 1, 0, 0},
        {5, 0, 4, 6, 0, 1, 1, 0, 0},
        {0, 5, 4, 4, 0, 1, 1, 0, 0},
        {1, 1, 1, 1, 0, 1, 1, 0, 0},
        {1, 300, 8, 8, 0, 1, 0.3, 0, 0},
        {300, 1, 8, 8, 1, 0.5, 0.3, 0, 0},
        {64, 64, 32, 32, 0, 1, 0.2, 0, 0},
        {65, 63, 33, 31, 1, 1, 0.2, 0, 0},
        {40, 200, 16, 16, 1, 1, 0.3, 0, 0},
        {200, 40, 16, 16, 1, 0.9, 1, 0, 0},
        {257, 129, 64, 32, 0, 0.8, .2, 0, 0},
        {130, 260, 32, 64, 1, 0.8, .2, 0, 0},
        {300, 300, 48, 96, 0, 1, 0.15, 0, 0},
        {97, 193, 17, 1, 0, 0, 0.5, 0, 0},
        {50, 50, 8, 8, 0, 1, 0, 0, 0},
        {33, 100, 128, 128, 0, 1, 0.1, 0, 0},
        {70, 200, 16, 16, 1, 0.7, 0.3, 128, 0},
        {90, 90, 8, 8, 0, 0.8, 0.3, 0, 7},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_attention(&shapes[i], 10 * i, 1);
    for (int64_t length = 1; length < 140; length += 3) {
        const struct shape s = {length, length, 5 + length % 40, 7, length % 2 == 0, length % 3 ? 1 : 0.7, 0.4, 0, 0};
        check_attention(&s, (uint64_t)length, 1);
    }
}

/* Large scores: a maximum far from 0, so that probabilities are counted in units of a large power of two. */
static void test_large_scores(void **state)
{
    (void)state;
    const struct shape s = {70, 70, 16, 16, 1, 1, 1, 0, 0};
    check_attention(&s, 5, 4);
}

/* Doubling all values doubles the results, bit by bit: rounding is relative. */
static void test_scaling(void **state)
{
    (void)state;
    enum { L = 90, W = 24 };
    double *x = numbers((size_t)L * W, 4, 1);
    float *q = floats(x, (size_t)L * W), *v = floats(x, (size_t)L * W), one[L * W], two[L * W], lse[L];
    for (size_t f = 0; f < forms; f++) {
        void *room = malloc(form[f].workspace(W, W));
        assert_non_null(room);
        struct sqa_attention a = {.queries = L,
                                  .keys = L,
                                  .d = W,
                                  .dv = W,
                                  .scale = 0.2,
                                  .keep = 1,
                                  .q = q,
                                  .k = q,
                                  .v = v,
                                  .q_stride = W,
                                  .k_stride = W,
                                  .v_stride = W,
                                  .o_stride = W,
                                  .o = one,
                                  .lse = lse};
        form[f].attention(&a, room);
        for (size_t i = 0; i < L * W; i++)
            v[i] *= 2;
        a.o = two;
        form[f].attention(&a, room);
        for (size_t i = 0; i < L * W; i++) {
            assert_true(two[i] == 2 * one[i]);
            v[i] /= 2;
        }
        free(room);
    }
    free(x);
    free(q);
    free(v);
}

/* A graph of a product and attention, with gradients: x (2, L, 3 W) = input by a matrix, split in q, k and v. */
enum { ROWS = 150, WIDTH = 24, GRAPH_OUT = 2 * ROWS * WIDTH };

static void run_graph(enum sqa_compute compute, int threads, float *y, float *dw)
{
    struct sqa_memory memory = {0};
    struct sqa_graph g;
    struct sqa_plan *p = NULL;
    struct sqa_err err = {SQA_OK, ""};
    struct sqa_tensor *part[3], *dx[1];
    sqa_graph_init(&g, SQA_F32, true);
    g.compute = compute;
    struct sqa_tensor *x = sqa_input(&g, "x", SQA_F32, 3, (const int64_t[]){2, ROWS, WIDTH});
    struct sqa_tensor *w = sqa_input(&g, "w", SQA_F32, 2, (const int64_t[]){WIDTH, 3 * WIDTH});
    sqa_require_grad(w);
    struct sqa_tensor *qkv = sqa_matmul(&g, x, w, false, false);
    qkv = sqa_reshape(&g, qkv, 4, (const int64_t[]){2, ROWS, 6, WIDTH / 2});
    for (int i = 0; i < 3; i++)
        part[i] = sqa_slice(&g, qkv, 2, 2 * i, 2);
    const struct sqa_attention_spec spec = {.scale = 0.3, .dropout = 0.1};
    struct sqa_tensor *o = sqa_attention(&g, part[0], part[1], part[2], NULL, spec);
    sqa_gradients(&g, sqa_sum(&g, sqa_square(&g, o), 15, false), &w, 1, dx);
    sqa_output(&g, sqa_affine(&g, 1, o, 0), "o");
    sqa_output(&g, sqa_affine(&g, 1, dx[0], 0), "dw");
    if (sqa_plan_make(&g, &memory, threads, &p, &err) != SQA_OK)
        fail_msg("%s", err.text);
    p->poison = true;
    float *to = sqa_plan_input(p, "x", NULL);
    for (size_t i = 0; i < GRAPH_OUT; i++)
        to[i] = (float)sqa_random_normal(8, i);
    to = sqa_plan_input(p, "w", NULL);
    for (size_t i = 0; i < 3 * WIDTH * WIDTH; i++)
        to[i] = (float)(0.2 * sqa_random_normal(9, i));
    assert_int_equal(sqa_plan_run(p, 1, 1, NULL, NULL, &err), SQA_OK);
    memcpy(y, sqa_plan_output(p, "o", NULL), GRAPH_OUT * sizeof *y);
    memcpy(dw, sqa_plan_output(p, "dw", NULL), 3 * WIDTH * WIDTH * sizeof *dw);
    sqa_plan_free(p);
    sqa_memory_clear(&memory);
}

static double root_mean_square(const float *x, const float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)x[i] - (y ? (double)y[i] : 0);
        sum += d * d;
    }
    return sqrt(sum / (double)n);
}

/* bf16 differs from f32 as rounding to 8 bits does, no more, and not at all between numbers of threads. */
static void test_graph(void **state)
{
    (void)state;
    static float y[4][GRAPH_OUT], dw[4][3 * WIDTH * WIDTH];
    run_graph(SQA_COMPUTE_F32, 1, y[0], dw[0]);
    for (int threads = 1; threads < 4; threads++)
        run_graph(SQA_COMPUTE_BF16_EMULATED, threads, y[threads], dw[threads]);
    for (int i = 2; i < 4; i++) {
        assert_memory_equal(y[1], y[i], sizeof y[1]);
        assert_memory_equal(dw[1], dw[i], sizeof dw[1]);
    }
    const double forward = root_mean_square(y[0], y[1], GRAPH_OUT) / root_mean_square(y[0], NULL, GRAPH_OUT);
    const double backward =
        root_mean_square(dw[0], dw[1], 3 * WIDTH * WIDTH) / root_mean_square(dw[0], NULL, 3 * WIDTH * WIDTH);
    if (!(forward > 1e-4 && forward < 1e-2 && backward > 1e-4 && backward < 1e-2))
        fail_msg("relative differences %g and %g", forward, backward);
}

static void test_tables(void **state)
{
    (void)state;
    assert_string_equal(sqa_compute_name(SQA_COMPUTE_F32), "f32");
    assert_string_equal(sqa_compute_name(SQA_COMPUTE_BF16), "bf16");
    assert_string_equal(sqa_compute_name(SQA_COMPUTE_BF16_EMULATED), "bf16-emulated");
    assert_ptr_equal(sqa_kernels_compute(SQA_COMPUTE_F32), &sqa_kernels_f32);
    const struct sqa_kernels *emulated = sqa_kernels_compute(SQA_COMPUTE_BF16_EMULATED);
    assert_true(emulated->gemm == emulated->gemm_bf16 && emulated->pack == emulated->pack_bf16 &&
                emulated->gemm_panels == emulated->gemm_panels_bf16 &&
                emulated->attention == emulated->attention_bf16);
    assert_true(emulated->softmax == sqa_kernels_f32.softmax && emulated->adamw == sqa_kernels_f32.adamw);
    if (!sqa_bf16_missing())
        assert_true(sqa_kernels_compute(SQA_COMPUTE_BF16)->gemm != emulated->gemm);
    setenv("SEQARENA_ISA", "plain", 1);
    sqa_kernels_init();
    assert_non_null(sqa_bf16_missing());
    assert_ptr_equal(sqa_kernels_compute(SQA_COMPUTE_BF16_EMULATED)->gemm, sqa_k_gemm_bf16_f32);
    unsetenv("SEQARENA_ISA");
    sqa_kernels_init();
}

static void add_form(const char *name, const struct sqa_kernels *k)
{
    form[forms++] = (struct form){name,
                                  k->gemm_bf16,
                                  k->panels_bf16,
                                  k->pack_bf16,
                                  k->gemm_panels_bf16,
                                  k->attention_bf16_workspace,
                                  k->attention_bf16,
                                  k->attention_bf16_bwd};
}

static int setup(void **state)
{
    (void)state;
    const struct sqa_kernels *tables[8];
    sqa_kernels_init();
    add_form("plain", sqa_kernels_plain(0));
    const size_t n = sqa_kernels_simd(tables);
    for (size_t i = 0; i < n; i++)
        add_form(tables[i]->isa, tables[i]);
#ifdef __x86_64__
    if (n > 0) {
        struct sqa_kernels t = *tables[0];
        t.gemm_bf16 = sqa_k_gemm_dnnl_widened_f32_avx2;
        add_form("oneDNN, widened", &t);
#define PAIR(name, isa) t.name = sqa_k_##name##_f32_##isa;
        PAIR(gemm_bf16, pair)
        SQA_BF16_LIST(PAIR, pair)
#undef PAIR
        add_form("pair", &t);
    }
#endif
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounding),  cmocka_unit_test(test_rounding_of_forms),
        cmocka_unit_test(test_gemm),      cmocka_unit_test(test_panels),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_scaling),   cmocka_unit_test(test_graph),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
