/*
 * test_kernels_attention.c - tiled attention of every table against dense attention in double, and its speed
 *
 * The dense form holds P as a matrix and follows the definition; dropout masks are drawn again with base/random.c.
 * SEQARENA_BENCH=1 prints GFLOP/s beside cblas_sgemm, and nanoseconds an element of some other kernels.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/kernels.h"
#include "kernels/plain/plain.h"

enum { PAD = 3 }; /* numbers between rows, which must stay as they are */
static const double mark = 777;

struct shape {
    size_t queries, keys, d, dv;
    int causal;
    double keep, scale;
};

/* What else says which pairs count; all 0: nothing. */
static struct rules {
    int window;
    int64_t left, right;
    size_t block;
    int bias;         /* 1: random, some -inf; 2: zeros */
    size_t cut;       /* the forward pass in two calls, the second from this query on */
    size_t key_block; /* 0: block */
    int lse;          /* a gradient of lse */
} rules;
static int32_t block_start[520], block_key[1 << 16];

/* Arrays of one case in double. */
struct arrays {
    double *q, *k, *v, *dout, *bias, *dlse;              /* inputs */
    double *o, *lse, *dq, *dk, *dv, *dbias, *p, *factor; /* dense results */
};

static double *numbers(size_t n, uint64_t key, double scale)
{
    double *x = calloc(n + 1, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; scale != 0 && i < n; i++)
        x[i] = (double)(float)(scale * sqa_random_normal(key, i));
    return x;
}

static struct arrays make_arrays(const struct shape *s, uint64_t key, double size)
{
    return (struct arrays){
        .q = numbers(s->queries * s->d, key, size),
        .k = numbers(s->keys * s->d, key + 1, size),
        .v = numbers(s->keys * s->dv, key + 2, 1),
        .dout = numbers(s->queries * s->dv, key + 3, 1),
        .bias = numbers(s->queries * s->keys, key + 4, rules.bias == 1),
        .dlse = numbers(s->queries, key + 5, 1),
        .dbias = numbers(s->queries * s->keys, 0, 0),
        .o = numbers(s->queries * s->dv, 0, 0),
        .lse = numbers(s->queries, 0, 0),
        .dq = numbers(s->queries * s->d, 0, 0),
        .dk = numbers(s->keys * s->d, 0, 0),
        .dv = numbers(s->keys * s->dv, 0, 0),
        .p = numbers(s->queries * s->keys, 0, 0),
        .factor = numbers(s->queries * s->keys, 0, 0),
    };
}

static void free_arrays(struct arrays *a)
{
    double *const all[] = {a->q,   a->k,  a->v,  a->dout, a->bias,  a->dlse, a->o,
                           a->lse, a->dq, a->dk, a->dv,   a->dbias, a->p,    a->factor};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static size_t key_block(void)
{
    return rules.key_block ? rules.key_block : rules.block;
}

/* Some blocks see their own, some every third, some none, some all. */
static int is_listed(size_t query_block, size_t key_block)
{
    return query_block % 5 == 4   ? 0
           : query_block % 5 == 3 ? 1
                                  : key_block == query_block || (query_block + key_block) % 3 == 0;
}

static void list_blocks(const struct shape *s)
{
    int32_t n = 0;
    size_t b = 0;
    for (; rules.block && b * rules.block < s->queries; b++) {
        block_start[b] = n;
        for (size_t m = 0; m * key_block() < s->keys; m++)
            if (is_listed(b, m))
                block_key[n++] = (int32_t)m;
    }
    block_start[b] = n;
}

static int is_allowed(const struct shape *s, size_t i, size_t j)
{
    const int64_t ahead = (int64_t)j - (int64_t)i;
    return (!s->causal || ahead <= 0) && (!rules.window || (-rules.left <= ahead && ahead <= rules.right)) &&
           (!rules.block || is_listed(i / rules.block, j / key_block()));
}

static double dot(const double *x, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

static void add(double a, const double *x, double *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void draw_factors(const struct shape *s, uint64_t key, double *factor)
{
    const uint32_t threshold = (uint32_t)(s->keep * 256 + 0.5);
    uint32_t block[4] = {0};
    for (size_t i = 0; i < s->queries; i++)
        for (size_t j = 0; j < s->keys; j++) {
            if (j % 16 == 0 && threshold < 256)
                sqa_random_block(key, (uint64_t)i << 32 | j / 16, block);
            const uint32_t draw = block[j % 16 / 4] >> 8 * (j % 4) & 0xff;
            factor[i * s->keys + j] = threshold == 256 ? 1 : draw < threshold ? 256.0 / threshold : 0;
        }
}

static void dense(const struct shape *s, uint64_t key, struct arrays *a)
{
    draw_factors(s, key, a->factor);
    for (size_t i = 0; i < s->queries; i++) {
        double *p = a->p + i * s->keys, top = -HUGE_VAL, sum = 0;
        const double *factor = a->factor + i * s->keys, *dout = a->dout + i * s->dv, *q = a->q + i * s->d;
        for (size_t j = 0; j < s->keys; j++) {
            p[j] = -HUGE_VAL;
            if (is_allowed(s, i, j))
                p[j] = s->scale * dot(q, a->k + j * s->d, s->d) + (rules.bias ? a->bias[i * s->keys + j] : 0);
            top = p[j] > top ? p[j] : top;
        }
        for (size_t j = 0; j < s->keys; j++) {
            p[j] = p[j] > -HUGE_VAL ? exp(p[j] - top) : 0;
            sum += p[j];
        }
        a->lse[i] = sum > 0 ? top + log(sum) : HUGE_VAL;
        double *o = a->o + i * s->dv;
        for (size_t j = 0; j < s->keys; j++) {
            p[j] = sum > 0 ? p[j] / sum : 0;
            add(p[j] * factor[j], a->v + j * s->dv, o, s->dv);
        }
        double delta = rules.lse ? -a->dlse[i] : 0; /* row sum of dP P, dP with dropout, less the gradient of lse */
        for (size_t j = 0; j < s->keys; j++)
            delta += p[j] * factor[j] * dot(dout, a->v + j * s->dv, s->dv);
        for (size_t j = 0; j < s->keys; j++) {
            const double dsum = p[j] * (factor[j] * dot(dout, a->v + j * s->dv, s->dv) - delta), ds = s->scale * dsum;
            a->dbias[i * s->keys + j] = dsum;
            add(p[j] * factor[j], dout, a->dv + j * s->dv, s->dv);
            add(ds, a->k + j * s->d, a->dq + i * s->d, s->d);
            add(ds, q, a->dk + j * s->d, s->d);
        }
    }
}

/* Rows of width numbers with PAD marks after each, in the type of the table. */
static void *padded(const struct sqa_kernels *k, const double *x, size_t rows, size_t width)
{
    const size_t stride = width + PAD;
    double *wide = malloc((rows * stride + 1) * sizeof *wide);
    void *y = malloc((rows * stride + 1) * k->size);
    assert_true(wide && y);
    for (size_t i = 0; i < rows * stride; i++)
        wide[i] = x && i % stride < width ? x[i / stride * width + i % stride] : mark;
    k->from_f64(wide, y, rows * stride);
    free(wide);
    return y;
}

static void expect(const char *what, const struct sqa_kernels *k, const struct shape *s, const void *got_,
                   const double *want, size_t rows, size_t width, double bound)
{
    const size_t stride = width + PAD;
    double *got = malloc((rows * stride + 1) * sizeof *got);
    assert_non_null(got);
    k->to_f64(got_, got, rows * stride);
    double scale = 1;
    for (size_t i = 0; i < rows * width; i++)
        scale = fabs(want[i]) > scale && !isinf(want[i]) ? fabs(want[i]) : scale;
    for (size_t i = 0; i < rows * stride; i++) {
        const int inside = i % stride < width;
        const double w = inside ? want[i / stride * width + i % stride] : mark;
        if (!(got[i] == w || (inside && fabs(got[i] - w) <= bound * scale)))
            fail_msg(
                "%s attention %s: queries %zu keys %zu d %zu dv %zu causal %d keep %g scale %g window %d %lld %lld "
                "block %zu %zu bias %d cut %zu: row %zu column %zu is %.9g, not %.9g",
                k->isa, what, s->queries, s->keys, s->d, s->dv, s->causal, s->keep, s->scale, rules.window,
                (long long)rules.left, (long long)rules.right, rules.block, key_block(), rules.bias, rules.cut,
                i / stride, i % stride, got[i], w);
    }
    free(got);
}

/* The whole, or in two calls. */
static void forward(const struct sqa_kernels *k, struct sqa_attention f, void *workspace)
{
    const int64_t cut = (int64_t)rules.cut, queries = f.queries;
    if (cut == 0 || cut >= queries) {
        k->attention(&f, workspace);
        return;
    }
    f.queries = cut;
    k->attention(&f, workspace);
    f.queries = queries - cut;
    f.first = cut;
    f.q = (const char *)f.q + (size_t)(cut * f.q_stride) * k->size;
    f.o = (char *)f.o + (size_t)(cut * f.o_stride) * k->size;
    f.lse = (char *)f.lse + (size_t)cut * k->size;
    if (f.bias)
        f.bias = (const char *)f.bias + (size_t)(cut * f.bias_stride) * k->size;
    k->attention(&f, workspace);
}

static void check(const struct sqa_kernels *k, const struct shape *s, uint64_t key, double size, double bound)
{
    struct arrays a = make_arrays(s, key, size);
    for (size_t i = 0; rules.bias == 1 && i < s->queries * s->keys; i += 7)
        a.bias[i] = -HUGE_VAL;
    list_blocks(s);
    dense(s, key, &a);
    void *q = padded(k, a.q, s->queries, s->d), *kk = padded(k, a.k, s->keys, s->d);
    void *v = padded(k, a.v, s->keys, s->dv), *o = padded(k, NULL, s->queries, s->dv);
    void *lse = malloc((s->queries + 1) * k->size), *dout = padded(k, a.dout, s->queries, s->dv);
    void *dq = padded(k, NULL, s->queries, s->d), *dk = padded(k, NULL, s->keys, s->d);
    void *dv = padded(k, NULL, s->keys, s->dv), *bias = padded(k, a.bias, s->queries, s->keys);
    void *dbias = padded(k, NULL, s->queries, s->keys), *dlse = malloc((s->queries + 1) * k->size);
    void *workspace = malloc(k->attention_workspace((int64_t)s->d, (int64_t)s->dv));
    double *lse_d = malloc((s->queries + 1) * sizeof *lse_d);
    assert_true(lse && workspace && lse_d && dlse);
    k->from_f64(a.dlse, dlse, s->queries);
    const int64_t sd = (int64_t)s->d + PAD, sv = (int64_t)s->dv + PAD;
    const struct sqa_attention_bwd b = {.f = {.queries = (int64_t)s->queries,
                                              .keys = (int64_t)s->keys,
                                              .d = (int64_t)s->d,
                                              .dv = (int64_t)s->dv,
                                              .scale = s->scale,
                                              .causal = s->causal,
                                              .keep = s->keep,
                                              .dropout_key = key,
                                              .q = q,
                                              .k = kk,
                                              .v = v,
                                              .q_stride = sd,
                                              .k_stride = sd,
                                              .v_stride = sv,
                                              .o_stride = sv,
                                              .o = o,
                                              .lse = lse,
                                              .window = rules.window,
                                              .left = rules.left,
                                              .right = rules.right,
                                              .block = (int64_t)rules.block,
                                              .key_block = (int64_t)key_block(),
                                              .block_start = block_start,
                                              .block_key = block_key,
                                              .bias = rules.bias ? bias : NULL,
                                              .bias_stride = (int64_t)s->keys + PAD},
                                        .dbias = rules.bias ? dbias : NULL,
                                        .dbias_stride = (int64_t)s->keys + PAD,
                                        .dlse = rules.lse ? dlse : NULL,
                                        .dout = dout,
                                        .dq = dq,
                                        .dk = dk,
                                        .dv = dv,
                                        .do_stride = sv,
                                        .dq_stride = sd,
                                        .dk_stride = sd,
                                        .dv_stride = sv};
    forward(k, b.f, workspace);
    expect("o", k, s, o, a.o, s->queries, s->dv, bound);
    k->to_f64(lse, lse_d, s->queries);
    for (size_t i = 0; i < s->queries; i++)
        if (!(lse_d[i] == a.lse[i] || fabs(lse_d[i] - a.lse[i]) <= bound * (1 + fabs(a.lse[i]))))
            fail_msg("%s lse: row %zu is %g, not %g", k->isa, i, lse_d[i], a.lse[i]);
    k->attention_bwd(&b, workspace);
    expect("dq", k, s, dq, a.dq, s->queries, s->d, 4 * bound);
    expect("dk", k, s, dk, a.dk, s->keys, s->d, 4 * bound);
    expect("dv", k, s, dv, a.dv, s->keys, s->dv, 4 * bound);
    if (rules.bias)
        expect("dbias", k, s, dbias, a.dbias, s->queries, s->keys, 4 * bound);
    void *const all[] = {q, kk, v, o, lse, dout, dq, dk, dv, bias, dbias, dlse, workspace, lse_d};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free_arrays(&a);
}

static const struct sqa_kernels *table[11];
static size_t tables;

static double bound_of(const struct sqa_kernels *k)
{
    return k->size == sizeof(double) ? 1e-12 : 4e-6;
}

static void test_lengths(void **state)
{
    (void)state;
    for (size_t t = 0; t < tables; t++)
        for (size_t length = 1; length <= 300; length += table[t]->isa[1] == 'l' || length > 140 ? 7 : 1) {
            const struct shape s = {length, length, 5, 7, length % 2 == 0, length % 3 ? 1 : 0.7, 0.4};
            check(table[t], &s, length, 1, bound_of(table[t]));
        }
}

static void test_widths(void **state)
{
    (void)state;
    for (size_t t = 0; t < tables; t++)
        for (size_t d = 1; d <= 256; d += table[t]->isa[1] == 'l' ? 51 : d < 70 ? 1 : 31) {
            const struct shape s = {53, 110, d, 257 - d, d % 2 == 0, d % 3 ? 1 : 0.9, 1 / sqrt((double)d)};
            check(table[t], &s, d, 1, bound_of(table[t]));
        }
}

static void test_shapes(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {0, 0, 4, 4, 0, 1, 1},         {5, 0, 4, 6, 0, 1, 1},        {5, 0, 4, 6, 1, 0.5, 1},
        {0, 5, 4, 4, 0, 1, 1},         {1, 300, 8, 8, 0, 1, 0.3},    {300, 1, 8, 8, 0, 0.5, 0.3},
        {300, 1, 8, 8, 1, 1, 0.3},     {40, 200, 16, 16, 1, 1, 0.3}, {200, 40, 16, 16, 1, 1, 1},
        {192, 96, 32, 32, 1, 0.8, .2}, {48, 96, 32, 64, 0, 1, .2},   {193, 97, 64, 32, 1, 1, .2},
        {385, 289, 3, 5, 1, 0.3, 1},   {97, 193, 17, 1, 0, 0, 0.5},  {33, 100, 1, 1, 1, 0.99, 1},
        {50, 50, 8, 8, 0, 1, 0},
    };
    for (size_t t = 0; t < tables; t++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            check(table[t], &shapes[i], i, 1, bound_of(table[t]));
}

/* Every way to say which pairs count, alone and together, with and without dropout. */
static void test_rules(void **state)
{
    (void)state;
    static const struct rules all[] = {
        {.window = 1, .left = 3},
        {.window = 1, .right = 40},
        {.window = 1, .left = 70, .right = 9},
        {.window = 1, .left = 1000, .right = 1000},
        {.block = 1},
        {.block = 13},
        {.block = 16},
        {.block = 64, .cut = 64},
        {.block = 48, .window = 1, .left = 60, .right = 30},
        {.bias = 1},
        {.bias = 2},
        {.bias = 1, .block = 32, .cut = 64},
        {.bias = 1, .window = 1, .left = 20, .right = 90, .cut = 77},
        {.cut = 128},
        {.lse = 1},
        {.window = 1, .left = 1000, .right = -1},
        {.window = 1, .left = -3, .right = 50, .lse = 1},
        {.window = 1, .left = 1000, .right = -40, .lse = 1},
        {.block = 16, .key_block = 5, .lse = 1},
        {.block = 5, .key_block = 32},
        {.block = 64, .key_block = 48, .window = 1, .left = 60, .right = 30, .cut = 64},
    };
    static const struct shape shapes[] = {
        {150, 150, 8, 8, 0, 1, 0.4}, {150, 150, 5, 17, 1, 0.7, 0.4}, {131, 290, 16, 24, 0, 0.9, 0.3},
        {290, 67, 7, 3, 0, 1, 0.3},  {20, 20, 33, 32, 1, 1, 0.2},    {3, 2, 4, 4, 0, 0.5, 0.5},
        {513, 130, 4, 4, 1, 0.2, 1},
    };
    for (size_t t = 0; t < tables; t++)
        for (size_t r = 0; r < sizeof all / sizeof *all; r++)
            for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
                rules = all[r];
                check(table[t], &shapes[i], 100 * r + i, 1, bound_of(table[t]));
            }
    rules = (struct rules){0};
}

/* The same bits: parts of the queries, a list of all blocks, a window of everything. */
static void test_same_bits(void **state)
{
    (void)state;
    enum { L = 200, D = 8, B = 64, N = L * D };
    static float x[N], o[4][N], lse[4][L], room[1 << 16];
    static const int32_t start[] = {0, 4, 8, 12, 16}, key[] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
    for (size_t i = 0; i < N; i++)
        x[i] = (float)(2 * sqa_random_normal(5, i));
    for (size_t t = 1; t < tables; t++) {
        assert_true(table[t]->attention_workspace(D, D) <= sizeof room);
        for (int c = 0; c < 4; c++) {
            struct sqa_attention a = {.queries = L,
                                      .keys = L,
                                      .d = D,
                                      .dv = D,
                                      .scale = 1,
                                      .keep = 0.9,
                                      .q = x,
                                      .k = x,
                                      .v = x,
                                      .q_stride = D,
                                      .k_stride = D,
                                      .v_stride = D,
                                      .o_stride = D,
                                      .o = o[c],
                                      .lse = lse[c]};
            if (c == 1)
                a.block = a.key_block = B, a.block_start = start, a.block_key = key;
            if (c == 2)
                a.window = 1, a.left = a.right = L;
            rules.cut = c == 3 ? B : 0;
            forward(table[t], a, room);
            assert_memory_equal(o[c], o[0], sizeof o[0]);
            assert_memory_equal(lse[c], lse[0], sizeof lse[0]);
        }
        rules.cut = 0;
    }
}

/* Scores of 1e4: float keeps them to about 1e-3, so probabilities agree to that. */
static void test_large_scores(void **state)
{
    (void)state;
    for (size_t t = 0; t < tables; t++)
        for (int causal = 0; causal < 2; causal++) {
            const struct shape s = {130, 130, 16, 16, causal, 1, 1};
            check(table[t], &s, 9, 50, table[t]->size == sizeof(double) ? 1e-9 : 4e-3);
        }
}

/* Small scores, then, for queries that saw none of them, only scores far below what a float's exponential holds. */
static void test_falling_scores(void **state)
{
    (void)state;
    enum { L = 160, LEFT = 10 };
    for (size_t t = 0; t < tables; t++) {
        const struct sqa_kernels *k = table[t];
        double q[L], keys[L], v[L], back[L];
        double fq[L], fk[L], fv[L], o[L], lse[L], workspace[60000];
        assert_true(k->attention_workspace(1, 1) <= sizeof workspace);
        for (int i = 0; i < L; i++) {
            q[i] = 1;
            keys[i] = (i < 100 ? 0 : -300) - i % 7;
            v[i] = i;
        }
        k->from_f64(q, fq, L);
        k->from_f64(keys, fk, L);
        k->from_f64(v, fv, L);
        const struct sqa_attention a = {.queries = L,
                                        .keys = L,
                                        .d = 1,
                                        .dv = 1,
                                        .scale = 1,
                                        .causal = 1,
                                        .keep = 1,
                                        .q = fq,
                                        .k = fk,
                                        .v = fv,
                                        .q_stride = 1,
                                        .k_stride = 1,
                                        .v_stride = 1,
                                        .o_stride = 1,
                                        .o = o,
                                        .lse = lse,
                                        .window = 1,
                                        .left = LEFT};
        k->attention(&a, workspace);
        k->to_f64(o, back, L);
        for (int i = 0; i < L; i++) {
            const int first = i > LEFT ? i - LEFT : 0;
            double top = -HUGE_VAL, sum = 0, want = 0;
            for (int j = first; j <= i; j++)
                top = fmax(top, keys[j]);
            for (int j = first; j <= i; j++) {
                sum += exp(keys[j] - top);
                want += exp(keys[j] - top) * v[j];
            }
            assert_true(fabs(back[i] - want / sum) <= 1e-3);
        }
    }
}

/* A diverged model must not look finite. */
static void test_not_a_number(void **state)
{
    (void)state;
    for (size_t t = 0; t < tables; t++) {
        const struct sqa_kernels *k = table[t];
        enum { L = 20, W = 4 };
        double wide[L * W];
        double x[L * W], o[L * W], lse[L], back[L * W], workspace[60000];
        assert_true(k->attention_workspace(W, W) <= sizeof workspace);
        for (size_t i = 0; i < L * W; i++)
            wide[i] = sqa_random_normal(4, i);
        wide[5 * W + 1] = (double)NAN;
        k->from_f64(wide, x, L * W);
        const struct sqa_attention a = {.queries = L,
                                        .keys = L,
                                        .d = W,
                                        .dv = W,
                                        .scale = 1,
                                        .causal = 1,
                                        .keep = 1,
                                        .q = x,
                                        .k = x,
                                        .v = x,
                                        .q_stride = W,
                                        .k_stride = W,
                                        .v_stride = W,
                                        .o_stride = W,
                                        .o = o,
                                        .lse = lse};
        k->attention(&a, workspace);
        k->to_f64(o, back, L * W);
        for (size_t i = 0; i < L; i++)
            assert_true(i < 5 || isnan(back[i * W + 1])); /* a tile may spread it to earlier rows, too */
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Processor seconds, the best of several rounds. */
static double best_time(void (*f)(void *), void *arg)
{
    double best = 1e9;
    for (int round = 0; round < 30; round++) {
        const double start = seconds();
        f(arg);
        const double took = seconds() - start;
        best = took < best ? took : best;
    }
    return best;
}

struct bench {
    const struct sqa_kernels *k;
    struct sqa_attention_bwd b;
    void *workspace;
    float *x, *y;
    enum sqa_unary f;
    int64_t n;
};

static void bench_forward(void *arg)
{
    struct bench *b = arg;
    b->k->attention(&b->b.f, b->workspace);
}

static void bench_backward(void *arg)
{
    struct bench *b = arg;
    b->k->attention_bwd(&b->b, b->workspace);
}

static void bench_gemm(void *arg)
{
    struct bench *b = arg;
    sqa_kernels_f32.gemm(0, 0, b->n, b->n, b->n, 1, b->x, b->n, b->x + b->n * b->n, b->n, 0, b->y, b->n);
}

static void bench_unary(void *arg)
{
    struct bench *b = arg;
    b->k->unary(b->f, b->x, b->y, (size_t)b->n);
}

static void bench_fft(void *arg)
{
    struct bench *b = arg;
    const int64_t lanes = (int64_t)b->k->fft_lanes();
    const struct sqa_fft f = {b->n, lanes, b->workspace};
    float *kernel = (float *)b->workspace + b->k->fft_table(b->n);
    b->k->fft_convolve(&f, b->x, lanes, kernel, b->y, lanes, kernel + b->k->fft_spectrum(b->n));
}

static void bench_attention(const struct sqa_kernels *k, float *x, int64_t length, int64_t d, int causal, double keep)
{
    const size_t n = (size_t)(length * d);
    struct bench b = {.k = k, .workspace = malloc(k->attention_workspace(d, d))};
    assert_non_null(b.workspace);
    b.b = (struct sqa_attention_bwd){.f = {.queries = length,
                                           .keys = length,
                                           .d = d,
                                           .dv = d,
                                           .scale = 1 / sqrt((double)d),
                                           .causal = causal,
                                           .keep = keep,
                                           .q = x,
                                           .k = x + n,
                                           .v = x + 2 * n,
                                           .q_stride = d,
                                           .k_stride = d,
                                           .v_stride = d,
                                           .o_stride = d,
                                           .o = x + 3 * n,
                                           .lse = x + 8 * n},
                                     .dout = x + 4 * n,
                                     .dq = x + 5 * n,
                                     .dk = x + 6 * n,
                                     .dv = x + 7 * n,
                                     .do_stride = d,
                                     .dq_stride = d,
                                     .dk_stride = d,
                                     .dv_stride = d};
    const double pairs = (double)length * (double)length * (causal ? 0.5 : 1) * (double)d * 1e-9;
    const double forward = best_time(bench_forward, &b);
    printf("%s attention L %d d %d causal %d keep %g: forward %.1f GFLOP/s, backward %.1f GFLOP/s\n", k->isa,
           (int)length, (int)d, causal, keep, 4 * pairs / forward, 10 * pairs / best_time(bench_backward, &b));
    free(b.workspace);
}

static void test_speed(void **state)
{
    (void)state;
    if (!getenv("SEQARENA_BENCH")) {
        print_message("it times the kernels only when SEQARENA_BENCH is set\n");
        skip();
    }
    enum { ROOM = 1 << 20 };
    const struct sqa_kernels *k = &sqa_kernels_f32;
    float *x = malloc(2 * ROOM * sizeof *x);
    double *workspace = malloc(ROOM * sizeof *workspace);
    assert_true(x && workspace);
    for (size_t i = 0; i < 2 * ROOM; i++)
        x[i] = (float)sqa_random_normal(1, i);
    struct bench b = {.k = k, .x = x, .y = x + ROOM, .workspace = workspace, .n = 256};
    printf("sgemm 256^3: %.1f GFLOP/s\n", 2 * 256.0 * 256.0 * 256.0 * 1e-9 / best_time(bench_gemm, &b));
    for (int64_t d = 16; d <= 128; d *= 2)
        bench_attention(k, x, 1024, d, 0, 1);
    bench_attention(k, x, 1024, 64, 1, 1);
    bench_attention(k, x, 1024, 64, 0, 0.9);
    static const enum sqa_unary functions[] = {SQA_UNARY_EXP,     SQA_UNARY_GELU,     SQA_UNARY_SILU, SQA_UNARY_TANH,
                                               SQA_UNARY_SIGMOID, SQA_UNARY_SOFTPLUS, SQA_UNARY_SIN};
    static const char *const names[] = {"exp", "gelu", "silu", "tanh", "sigmoid", "softplus", "sin (not SIMD)"};
    b.n = 4096;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        b.f = functions[i];
        printf("%s %s: %.3f ns an element\n", k->isa, names[i], best_time(bench_unary, &b) * 1e9 / 4096);
    }
    for (b.n = 1024; b.n <= 16384; b.n *= 4) {
        const double points = 2 * (double)b.n, lanes = (double)k->fft_lanes();
        k->fft_prepare(b.n, workspace);
        printf("%s fft_convolve of %d x %g: %.2f GFLOP/s\n", k->isa, (int)b.n, lanes,
               2 * lanes * 2.5 * points * log2(points) * 1e-9 / best_time(bench_fft, &b));
    }
    free(workspace);
    free(x);
}

/* The 16-wide form runs on every machine as two AVX2 vectors. */
#if defined(__x86_64__)
static struct sqa_kernels pair;
static void add_pair(void)
{
    if (tables < 3)
        return;
    pair = *table[2];
    pair.isa = "pair";
    pair.attention_workspace = sqa_k_attention_workspace_f32_pair;
    pair.attention = sqa_k_attention_f32_pair;
    pair.attention_bwd = sqa_k_attention_bwd_f32_pair;
    table[tables++] = &pair;
}
#else
static void add_pair(void) {}
#endif

static int setup(void **state)
{
    (void)state;
    sqa_kernels_init();
    table[0] = sqa_kernels_plain(1);
    table[1] = sqa_kernels_plain(0);
    tables = 2 + sqa_kernels_simd(table + 2);
    add_pair();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_widths),         cmocka_unit_test(test_rules),
        cmocka_unit_test(test_same_bits),      cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_falling_scores), cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
