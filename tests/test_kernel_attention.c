/*
 * test_kernel_attention.c - kernels of attention by features against the plain f64 ones, and the op
 *
 * Candidates are the plain f32 table, each SIMD table of this machine, and the 16-wide forms as two AVX2 vectors.
 * Widths are 1, odd, and 8 to 128; every array has a guard behind it. SEQARENA_BENCH=1 also prints speeds, which are
 * never asserted.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "engine/gradcheck.h"
#include "engine/ops.h"
#include "engine/plan.h"
#include "kernels/plain/plain.h"
#include "models/kernel_attention.h"
#include "models/probe.h"

enum { ROWS = 150, WIDTH = 128, FEATURES = 300, GUARD = 16, WORKSPACE = 1 << 20 };
enum { STATE = FEATURES * (WIDTH + 1) + WIDTH + SQA_KATTN_EXTRA };

/* Arrays of one side, of which the type is f32 or f64. */
enum { Q, K, V, PHI_W, Y, DEN, DY, DQ, DK, DV, STATE1, STATE2, DSTATE1, DSTATE2, ARRAYS };
static const size_t room[ARRAYS] = {
    [Q] = ROWS * (WIDTH + 1), [K] = ROWS * WIDTH,  [V] = ROWS * (WIDTH + 2), [PHI_W] = FEATURES * WIDTH,
    [Y] = ROWS * WIDTH,       [DEN] = ROWS,        [DY] = ROWS * WIDTH,      [DQ] = ROWS * WIDTH,
    [DK] = ROWS * WIDTH,      [DV] = ROWS * WIDTH, [STATE1] = STATE,         [STATE2] = STATE,
    [DSTATE1] = STATE,        [DSTATE2] = STATE};
struct side {
    void *at[ARRAYS];
    size_t size;
    void *workspace;
};
static struct side f32, f64;

static const struct sqa_kernels *candidate[9];
static size_t candidates;

static struct sqa_kernels pair_table(void)
{
    struct sqa_kernels k = *sqa_kernels_plain(0);
#define TAKE(name) k.name = sqa_k_##name##_f32_pair;
    k.isa = "pair";
    TAKE(kattn_workspace)
    TAKE(kattn_keys)
    TAKE(kattn_queries)
    TAKE(kattn_queries_bwd)
    TAKE(kattn_keys_bwd)
    TAKE(kattn_causal)
    TAKE(kattn_causal_bwd_q)
    TAKE(kattn_causal_bwd_k)
#undef TAKE
    return k;
}

static int setup(void **state)
{
    static struct sqa_kernels pair;
    const struct sqa_kernels *simd[8];
    const size_t n = sqa_kernels_simd(simd);

    (void)state;
    candidate[candidates++] = sqa_kernels_plain(0);
    for (size_t i = 0; i < n; i++)
        candidate[candidates++] = simd[i];
    if (n > 0) {
        pair = pair_table();
        candidate[candidates++] = &pair;
    }
    f32.size = sizeof(float);
    f64.size = sizeof(double);
    for (int i = 0; i < ARRAYS; i++) {
        f32.at[i] = calloc(room[i] + GUARD, sizeof(float));
        f64.at[i] = calloc(room[i] + GUARD, sizeof(double));
    }
    f32.workspace = calloc(WORKSPACE, sizeof(double));
    f64.workspace = calloc(WORKSPACE, sizeof(double));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < ARRAYS; i++) {
        free(f32.at[i]);
        free(f64.at[i]);
    }
    free(f32.workspace);
    free(f64.workspace);
    return 0;
}

static void set(const struct side *x, int array, size_t i, float v)
{
    if (x->size == sizeof(float))
        ((float *)x->at[array])[i] = v;
    else
        ((double *)x->at[array])[i] = (double)v;
}

/* The same numbers for both sides. */
static void fill_inputs(uint64_t key, const size_t count[ARRAYS])
{
    for (int i = 0; i < ARRAYS; i++)
        for (size_t e = 0; e < count[i] && (i <= PHI_W || i == DY); e++) {
            const double x = sqa_random_normal(sqa_random_mix(key, (uint64_t)i), e);

            set(&f32, i, e, (float)(i == PHI_W ? x : 0.7 * x));
            set(&f64, i, e, (float)(i == PHI_W ? x : 0.7 * x));
        }
}

/* Outputs, and what lies behind arrays, become a mark. */
static void mark(const struct side *x, const size_t count[ARRAYS])
{
    for (int i = 0; i < ARRAYS; i++)
        for (size_t e = i <= PHI_W || i == DY ? count[i] : 0; e < count[i] + GUARD; e++)
            set(x, i, e, 12345);
}

struct shape {
    enum sqa_feature_map map;
    int causal, projected;
    int64_t rows, keys, d, m, dv, chunk;
};

static struct sqa_kernel_attention call_of(const struct shape *s, const struct side *x)
{
    return (struct sqa_kernel_attention){.map = s->map,
                                         .causal = s->causal,
                                         .rows = s->rows,
                                         .keys = s->keys,
                                         .d = s->d,
                                         .m = s->m,
                                         .dv = s->dv,
                                         .chunk = s->chunk,
                                         .scale = s->map == SQA_MAP_EXP ? pow((double)s->d, -0.25) : 1,
                                         .eps = s->map == SQA_MAP_EXP ? 1e-2 : 1e-3,
                                         .den_eps = 1e-6,
                                         .den_min = s->map == SQA_MAP_NONE ? 0.5 : 0,
                                         .w = s->projected ? x->at[PHI_W] : NULL,
                                         .q = x->at[Q],
                                         .k = x->at[K],
                                         .v = x->at[V],
                                         .q_stride = s->d + 1,
                                         .k_stride = s->d,
                                         .v_stride = s->dv + 2,
                                         .y = x->at[Y],
                                         .den = x->at[DEN],
                                         .y_stride = s->dv,
                                         .dy = x->at[DY],
                                         .dq = x->at[DQ],
                                         .dk = x->at[DK],
                                         .dv_ = x->at[DV],
                                         .dy_stride = s->dv,
                                         .dq_stride = s->d,
                                         .dk_stride = s->d,
                                         .dv_stride = s->dv};
}

static void *place(const struct side *x, int array, int64_t i)
{
    return (unsigned char *)x->at[array] + (size_t)i * x->size;
}

/* Forward and backward in two ranges. What passes from the forward to the backward is the side's own. Returns the sum
 * of keys_bwd. */
static double run(const struct sqa_kernels *k, const struct shape *s, const struct side *x, int c_range)
{
    struct sqa_kernel_attention a = call_of(s, x);
    const int64_t half = s->rows / 2 / s->chunk * s->chunk, n = sqa_kattn_state(&a);
    double all;

    assert_true(k->kattn_workspace(&a) <= WORKSPACE * sizeof(double));
    if (s->causal) {
        k->kattn_keys(&a, 0, half, x->at[STATE1], x->workspace);
        memcpy(x->at[STATE2], x->at[STATE1], (size_t)n * x->size);
        k->kattn_causal(&a, half, s->rows - half, x->at[STATE1], x->workspace);
        memset(x->at[STATE1], 0, (size_t)n * x->size);
        k->kattn_causal(&a, 0, half, x->at[STATE1], x->workspace);
        k->kattn_causal_bwd_q(&a, half, s->rows - half, x->at[STATE2], x->workspace);
        memset(x->at[STATE2], 0, (size_t)n * x->size);
        k->kattn_causal_bwd_q(&a, 0, half, x->at[STATE2], x->workspace);
        a.dq = NULL;
        k->kattn_queries_bwd(&a, half, s->rows - half, NULL, x->at[DSTATE1], x->workspace);
        a.dq = x->at[DQ];
        memset(x->at[DSTATE2], 0, (size_t)n * x->size);
        k->kattn_causal_bwd_k(&a, half, s->rows - half, x->at[DSTATE2], x->workspace);
        k->kattn_causal_bwd_k(&a, 0, half, x->at[DSTATE1], x->workspace);
        return 0;
    }
    /* c of one of the ranges is used for all, as it is for gradients */
    k->kattn_keys(&a, c_range ? half : 0, c_range ? s->rows - half : s->rows, x->at[STATE1], x->workspace);
    k->kattn_queries(&a, 0, half, x->at[STATE1], x->workspace);
    k->kattn_queries(&a, half, s->rows - half, x->at[STATE1], x->workspace);
    k->kattn_queries_bwd(&a, 0, half, x->at[STATE1], x->at[DSTATE1], x->workspace);
    k->kattn_queries_bwd(&a, half, s->rows - half, x->at[STATE1], x->at[DSTATE2], x->workspace);
    all = k->kattn_keys_bwd(&a, 0, half, x->at[STATE1], x->at[DSTATE2], x->workspace);
    return all + k->kattn_keys_bwd(&a, half, s->rows - half, x->at[STATE1], x->at[DSTATE2], x->workspace);
}

static void expect(const struct sqa_kernels *k, const struct shape *s, const char *what, int array, int64_t first,
                   int64_t count, double bound)
{
    const float *got = place(&f32, array, first);
    const double *want = place(&f64, array, first);
    double scale = s->m < 8 || s->rows < 8 ? 1 : 1e-2; /* gradients of few weights cancel */

    for (int64_t i = 0; i < count; i++)
        scale = fmax(scale, fabs(want[i]));
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - want[i]) <= bound * scale))
            fail_msg("%s %s: map %d causal %d projected %d rows %d keys %d d %d m %d dv %d chunk %d: element %d: got "
                     "%.9g, want %.9g (scale %g)",
                     k->isa, what, (int)s->map, s->causal, s->projected, (int)s->rows, (int)s->keys, (int)s->d,
                     (int)s->m, (int)s->dv, (int)s->chunk, (int)i, (double)got[i], want[i], scale);
}

static void compare(const struct sqa_kernels *k, const struct shape *s, const size_t count[ARRAYS], double all_d,
                    double all_f)
{
    const int64_t sums = s->m * (s->dv + 1), state = (int64_t)count[STATE1];
    const size_t padding = (size_t)(s->keys * s->d);
    const double bound = 3e-5;

    expect(k, s, "y", Y, 0, s->rows * s->dv, bound);
    expect(k, s, "den", DEN, 0, s->rows, bound);
    expect(k, s, "state", STATE1, 0, sums, bound);
    if (!s->causal) {
        expect(k, s, "state's rest", STATE1, sums, state - sums, bound);
        expect(k, s, "gradient state", DSTATE2, 0, sums, bound);
        if (s->map == SQA_MAP_EXP && !(fabs(all_f - all_d) <= 1e-3 * (1 + fabs(all_d))))
            fail_msg("%s: sum of de: got %g, want %g", k->isa, all_f, all_d);
    }
    expect(k, s, "gradient state", DSTATE1, 0, sums, 2 * bound);
    expect(k, s, "dq", DQ, 0, s->rows * s->d, 4 * bound);
    expect(k, s, "dk", DK, 0, s->keys * s->d, 4 * bound);
    expect(k, s, "dv", DV, 0, s->keys * s->dv, 4 * bound);
    for (int i = 0; i < ARRAYS; i++)
        for (size_t e = count[i]; e < count[i] + GUARD; e++)
            if (((float *)f32.at[i])[e] != 12345)
                fail_msg("%s: wrote behind array %d", k->isa, i);
    for (size_t e = padding; e < count[DK]; e++)
        assert_true(((float *)f32.at[DK])[e] == 12345);
}

static void check(const struct shape *s, uint64_t key)
{
    const size_t rows = (size_t)s->rows, d = (size_t)s->d, dv = (size_t)s->dv;
    const size_t n = (size_t)(s->m * (s->dv + 1) + s->dv + SQA_KATTN_EXTRA);
    const size_t count[ARRAYS] = {rows * (d + 1),
                                  rows * d,
                                  rows * (dv + 2),
                                  (size_t)s->m * d,
                                  rows * dv,
                                  rows,
                                  rows * dv,
                                  rows * d,
                                  rows * d,
                                  rows * dv,
                                  n,
                                  n,
                                  n,
                                  n};

    fill_inputs(key, count);
    for (int c_range = 0; c_range < 1 + (s->map == SQA_MAP_EXP && !s->causal && s->keys == s->rows); c_range++) {
        double all_d;

        mark(&f64, count);
        all_d = run(sqa_kernels_plain(1), s, &f64, c_range);
        for (size_t c = 0; c < candidates; c++) {
            mark(&f32, count);
            compare(candidate[c], s, count, all_d, run(candidate[c], s, &f32, c_range));
        }
    }
}

static void test_shapes(void **state)
{
    static const int64_t widths[][3] = {{1, 1, 1},    {3, 5, 2},    {8, 8, 8},     {8, 24, 17},     {16, 7, 16},
                                        {32, 64, 32}, {33, 65, 31}, {64, 100, 48}, {128, 128, 128}, {13, 300, 9}};
    static const int64_t lengths[][3] = {{1, 1, 1}, {2, 0, 1}, {7, 7, 4}, {50, 31, 16}, {75, 64, 75}, {80, 80, 33}};

    (void)state;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
            for (int form = 0; form < 16; form++) {
                struct shape s = {.map = (enum sqa_feature_map)(form / 4),
                                  .causal = form % 2,
                                  .projected = form / 2 % 2,
                                  .rows = lengths[l][0],
                                  .keys = lengths[l][1],
                                  .chunk = lengths[l][2],
                                  .d = widths[w][0],
                                  .m = widths[w][1],
                                  .dv = widths[w][2]};

                if (!s.projected)
                    s.m = s.d;
                check(&s, 100 * w + 10 * l + (uint64_t)form);
            }
}

/* The largest of equal numbers is the first one. */
static void test_first_of_equals(void **state)
{
    const struct shape s = {
        .map = SQA_MAP_EXP, .projected = 1, .rows = 60, .keys = 60, .d = 5, .m = 37, .dv = 3, .chunk = 1};

    (void)state;
    for (size_t c = 0; c < candidates; c++) {
        const struct sqa_kernel_attention a = call_of(&s, &f32);
        float *k = f32.at[K], *w = f32.at[PHI_W], *sums = f32.at[STATE1];
        const int64_t more = s.m * (s.dv + 1) + s.dv;

        for (size_t i = 0; i < room[K]; i++)
            k[i] = 0.25f;
        for (size_t i = 0; i < room[PHI_W]; i++)
            w[i] = i / 5 % 11 == 9 ? 1 : 0.5f;
        candidate[c]->kattn_keys(&a, 7, 53, sums, f32.workspace);
        assert_true(sums[more + SQA_KATTN_COUNT] == 53);
        assert_true(sums[more + SQA_KATTN_ROW] == 7);
        assert_true(sums[more + SQA_KATTN_FEATURE] == 9);
        assert_true(fabs((double)sums[more + SQA_KATTN_C] - 1.25 * a.scale) < 1e-6);
    }
}

/* The op: gradients where ranges are more than one, and results that do not depend on threads. */

enum { LONG = 2100 };

struct form {
    enum sqa_feature_map map;
    bool causal, projected, lengths;
};

static const struct form forms[] = {
    {SQA_MAP_ELU1, false, false, true}, {SQA_MAP_ELU1, true, false, true},  {SQA_MAP_RELU, false, true, false},
    {SQA_MAP_EXP, false, true, true},   {SQA_MAP_EXP, true, true, true},    {SQA_MAP_EXP, false, false, false},
    {SQA_MAP_EXP, true, false, false},  {SQA_MAP_NONE, false, false, true}, {SQA_MAP_NONE, true, true, true},
};
enum { FORMS = sizeof forms / sizeof *forms };

static struct sqa_tensor *build(void *user, struct sqa_graph *g, struct sqa_tensor *const *in)
{
    const struct form *f = user;
    const struct sqa_kernel_attention_spec spec = {.map = f->map,
                                                   .causal = f->causal,
                                                   .chunk = 50,
                                                   .scale = 0.7,
                                                   .eps = 1e-2,
                                                   .den_eps = 1e-6,
                                                   .den_min = f->map == SQA_MAP_NONE ? 0.5 : 0};

    return sqa_kernel_attention(g, in[0], in[1], in[2], f->lengths ? in[3] : NULL, f->projected ? in[4] : NULL, spec);
}

static void test_gradients(void **state)
{
    static const int32_t lengths[] = {LONG, LONG - 700};
    static const int32_t small_lengths[] = {7, 4};

    (void)state;
    for (int i = 0; i < 2 * FORMS; i++) {
        const int64_t length = i % 2 ? LONG : 7;
        struct form f = forms[i / 2];
        const struct sqa_gradcheck_input in[] = {
            {.dtype = SQA_F64, .rank = 4, .dim = {2, length, 1, 3}},
            {.dtype = SQA_F64, .rank = 4, .dim = {2, length, 1, 3}},
            {.dtype = SQA_F64, .rank = 4, .dim = {2, length, 1, 2}},
            {.dtype = SQA_I32, .rank = 1, .dim = {2}, .values = i % 2 ? lengths : small_lengths},
            {.dtype = SQA_F64, .rank = 2, .dim = {4, 3}, .fixed = true},
        };
        struct sqa_err err = {0};
        double worst = 0;

        if (sqa_gradcheck(build, &f, 5, in, 5, &worst, &err) != SQA_OK)
            fail_msg("form %d: %s", i / 2, err.text);
        if (!(worst <= 1e-6))
            fail_msg("form %d length %d: gradient error %g", i / 2, (int)length, worst);
    }
}

/* Several ranges: the same bits for any number of threads, near float64, and any chunk. */
static void test_ranges(void **state)
{
    enum { DIM = 8 };
    static const char *const items[][2] = {
        {"linear_transformer", "linear_transformer:chunk=7"},
        {"performer:features=12", "performer:features=12,chunk=100"},
        {"performer:features=0,kernel=relu", "performer:features=0,kernel=relu,chunk=1"}};
    static const int32_t lengths[] = {LONG, LONG - 1500};
    static double x[2 * LONG * DIM], one[2 * LONG * DIM], other[2 * LONG * DIM];

    (void)state;
    sqa_probe_normal(1, x, 2 * LONG * DIM);
    for (int i = 0; i < 6; i++) {
        struct sqa_probe p = {.item = items[i / 2][0],
                              .batch = 2,
                              .length = LONG,
                              .dim = DIM,
                              .heads = 1,
                              .causal = i % 2,
                              .lengths = lengths,
                              .real = SQA_F32,
                              .threads = 1};
        struct sqa_err err = {0};

        assert_int_equal(sqa_probe_run(&p, x, one, &err), SQA_OK);
        p.threads = 3;
        assert_int_equal(sqa_probe_run(&p, x, other, &err), SQA_OK);
        assert_memory_equal(one, other, sizeof one);
        p.real = SQA_F64;
        assert_int_equal(sqa_probe_run(&p, x, other, &err), SQA_OK);
        if (!(sqa_probe_difference(one, other, 2 * LONG * DIM) <= 2e-4))
            fail_msg("%s: f32 against f64: %g", p.item, sqa_probe_difference(one, other, 2 * LONG * DIM));
        p.item = items[i / 2][1];
        assert_int_equal(sqa_probe_run(&p, x, one, &err), SQA_OK);
        if (!(sqa_probe_difference(one, other, 2 * LONG * DIM) <= 1e-11))
            fail_msg("%s: another chunk: %g", p.item, sqa_probe_difference(one, other, 2 * LONG * DIM));
    }
}

/* Speed, printed only. */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void bench(const struct sqa_kernels *k, enum sqa_feature_map map, int causal, int64_t d, int64_t m)
{
    enum { LENGTH = 1024, ROUNDS = 40, STEPS = 5 };
    static const char *const steps[STEPS] = {"keys", "queries", "queries_bwd", "keys_bwd", "sgemm 512"};
    static float data[8][LENGTH * 64], w[512 * 64], state[512 * 65 + 100], dstate[512 * 65 + 100];
    static float square[3][512 * 512];
    static double ws[1 << 20];
    double best[STEPS];
    struct sqa_kernel_attention a = {map,
                                     causal,
                                     LENGTH,
                                     LENGTH,
                                     d,
                                     m,
                                     d,
                                     64,
                                     0.4,
                                     1e-6,
                                     1e-6,
                                     map == SQA_MAP_ELU1 ? NULL : w,
                                     data[0],
                                     data[1],
                                     data[2],
                                     d,
                                     d,
                                     d,
                                     data[3],
                                     data[4],
                                     d,
                                     data[5],
                                     data[6],
                                     data[7],
                                     data[4] + LENGTH,
                                     d,
                                     d,
                                     d,
                                     d,
                                     0};

    for (int i = 0; i < 8; i++)
        for (int e = 0; e < LENGTH * 64; e++)
            data[i][e] = (float)(0.3 * sqa_random_normal((uint64_t)i, (uint64_t)e));
    for (int e = 0; e < 512 * 64; e++)
        w[e] = (float)sqa_random_normal(99, (uint64_t)e);
    a.dv_ = data[7];
    a.dk = data[6];
    for (int r = 0; r < ROUNDS; r++)
        for (int s = 0; s < STEPS; s++) {
            const double start = seconds();
            double took;

            if (s == 4)
                k->gemm(0, 0, 512, 512, 512, 1, square[0], 512, square[1], 512, 0, square[2], 512);
            else if (causal && s == 1)
                memset(state, 0, sizeof state), k->kattn_causal(&a, 0, LENGTH, state, ws);
            else if (causal && s == 2)
                memset(state, 0, sizeof state), k->kattn_causal_bwd_q(&a, 0, LENGTH, state, ws);
            else if (causal && s == 3)
                memset(dstate, 0, sizeof dstate), k->kattn_causal_bwd_k(&a, 0, LENGTH, dstate, ws);
            else if (s == 0)
                k->kattn_keys(&a, 0, LENGTH, state, ws);
            else if (s == 1)
                k->kattn_queries(&a, 0, LENGTH, state, ws);
            else if (s == 2)
                k->kattn_queries_bwd(&a, 0, LENGTH, state, dstate, ws);
            else
                (void)k->kattn_keys_bwd(&a, 0, LENGTH, state, dstate, ws);
            took = seconds() - start;
            best[s] = r == 0 || took < best[s] ? took : best[s];
        }
    printf("%s map %d causal %d d %d m %d, L %d:", k->isa, (int)map, causal, (int)d, (int)m, LENGTH);
    for (int s = 0; s < STEPS; s++)
        printf(" %s %.0f us;", steps[s], 1e6 * best[s]);
    printf(" products alone at the sgemm's rate: %.0f\n",
           1e6 * best[4] * (double)(LENGTH * m * d * 4) / (2.0 * 512 * 512 * 512));
}

static void test_speed(void **state)
{
    const struct sqa_kernels *k = &sqa_kernels_f32;

    (void)state;
    if (getenv("SEQARENA_BENCH") == NULL)
        return;
    for (int causal = 0; causal < 2; causal++) {
        bench(k, SQA_MAP_EXP, causal, 32, 256);
        bench(k, SQA_MAP_ELU1, causal, 32, 32);
        bench(k, SQA_MAP_RELU, causal, 64, 256);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_first_of_equals), cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_ranges), cmocka_unit_test(test_speed),
    };

    sqa_kernels_init();
    return cmocka_run_group_tests(tests, setup, teardown);
}
