/* test_shared_attention.c - attention with the same scores for all rows of a batch: against attention, by gradients
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "engine/gradcheck.h"
#include "engine/ops.h"
#include "engine/plan.h"
#include "models/shared_attention.h"

enum { B = 5, L = 601, H = 2, D = 3, R = 4, INPUTS = 4 };
enum { VALUES, LENGTHS, FIRST, SECOND };

static const int32_t ragged[B] = {84, L, 0, 300, 301};

struct setting {
    bool causal, factors, lengths, reference;
};

static struct sqa_tensor *build(const struct setting *s, struct sqa_graph *g, struct sqa_tensor *const *in)
{
    struct sqa_tensor *lengths = s->lengths ? in[LENGTHS] : NULL;

    if (!s->reference)
        return sqa_shared_attention(g, in[VALUES], lengths, in[FIRST], s->factors ? in[SECOND] : NULL, s->causal);
    struct sqa_tensor *one = sqa_fill(g, 0, SQA_DIMS(B, L, H, 1)), *q = one, *k = one;

    if (s->factors) {
        q = sqa_broadcast(g, in[FIRST], SQA_DIMS(B, L, H, R));
        k = sqa_broadcast(g, in[SECOND], SQA_DIMS(B, L, H, R));
    }
    return sqa_attention_masked(
        g, q, k, in[VALUES], (struct sqa_attention_masks){.lengths = lengths, .bias = s->factors ? NULL : in[FIRST]},
        (struct sqa_attention_spec){.scale = 1, .causal = s->causal});
}

/* Outputs and gradients of sum(w o): o, then those by the inputs. Returns the numbers written. */
static size_t evaluate(const struct setting *s, enum sqa_dtype real, int threads, double *to)
{
    static const char *const names[] = {"v", "lengths", "first", "second"}, *const out[] = {"o", "dv", "df", "ds"};
    const int64_t dims[INPUTS][4] = {
        {B, L, H, D}, {B}, {1, s->factors ? L : H, s->factors ? H : L, s->factors ? R : L}, {1, L, H, R}};
    const int wanted[] = {VALUES, FIRST, SECOND}, count = s->factors ? 3 : 2;
    struct sqa_tensor *in[INPUTS], *wrt[3], *d[3] = {NULL};
    struct sqa_memory memory = {0};
    struct sqa_plan *plan = NULL;
    struct sqa_err err = {0};
    struct sqa_graph g;
    size_t written = 0;

    sqa_graph_init(&g, real, true);
    for (int i = 0; i < INPUTS; i++)
        in[i] = sqa_input(&g, names[i], i == LENGTHS ? SQA_I32 : real, i == LENGTHS ? 1 : 4, dims[i]);
    for (int i = 0; i < count; i++) {
        wrt[i] = in[wanted[i]];
        sqa_require_grad(wrt[i]);
    }
    struct sqa_tensor *w = sqa_input(&g, "w", real, 4, dims[VALUES]), *o = build(s, &g, in);
    sqa_gradients(&g, sqa_sum(&g, sqa_mul(&g, o, w), 15, false), wrt, (size_t)count, d);
    sqa_output(&g, o, out[0]);
    for (int i = 0; i < count; i++)
        sqa_output(&g, sqa_dense(&g, d[i]), out[1 + i]);
    if (sqa_plan_make(&g, &memory, threads, &plan, &err) != SQA_OK)
        fail_msg("%s", err.text);
    plan->poison = true;
    const char *const fill[] = {"v", "first", "second", "w"};
    for (uint64_t i = 0; i < 4; i++) {
        const struct sqa_tensor *t;
        void *p = sqa_plan_input(plan, fill[i], &t);

        for (int64_t e = 0; p != NULL && e < sqa_numel(t); e++) {
            const double x = (double)(float)sqa_random_normal(i, (uint64_t)e) * (i == 1 && !s->factors ? 4 : 1);

            if (real == SQA_F64)
                ((double *)p)[e] = x;
            else
                ((float *)p)[e] = (float)x;
        }
    }
    if (s->lengths)
        memcpy(sqa_plan_input(plan, "lengths", NULL), ragged, sizeof ragged);
    if (sqa_plan_run(plan, 1, 0, NULL, NULL, &err) != SQA_OK)
        fail_msg("%s", err.text);
    for (int i = 0; i < 1 + count; i++) {
        const struct sqa_tensor *t;
        const void *p = sqa_plan_output(plan, out[i], &t);

        assert_true(sqa_is_dense(t));
        for (int64_t e = 0; e < sqa_numel(t); e++)
            to[written++] = real == SQA_F64 ? ((const double *)p)[e] : (double)((const float *)p)[e];
    }
    sqa_plan_free(plan);
    sqa_memory_clear(&memory);
    return written;
}

enum { MOST = 2 * B * L * H * D + H * L * L + 2 * L * H * R };

static double worst(const double *x, const double *y, size_t n)
{
    double worst = 0;

    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs(x[i] - y[i]) / (1 + fabs(y[i])));
    return worst;
}

static void test_against_attention(void **state)
{
    static double x[MOST], y[MOST], z[MOST];

    (void)state;
    for (int i = 0; i < 8; i++) {
        struct setting s = {.causal = i & 1, .factors = i & 2, .lengths = i & 4};
        const size_t n = evaluate(&s, SQA_F64, 1, x);

        s.reference = true;
        assert_int_equal(evaluate(&s, SQA_F64, 1, y), n);
        if (!(worst(x, y, n) < 1e-11))
            fail_msg("setting %d: differs by %g", i, worst(x, y, n));
        s.reference = false;
        assert_int_equal(evaluate(&s, SQA_F32, 1, y), n);
        if (!(worst(y, x, n) < 1e-4))
            fail_msg("setting %d: f32 differs by %g", i, worst(y, x, n));
        (void)evaluate(&s, SQA_F32, 2, z);
        assert_memory_equal(y, z, n * sizeof *y);
    }
}

/* A row of the batch whose keys all have far smaller scores than the keys of longer rows */
static void test_far_scores(void **state)
{
    enum { ROWS = 2, LONG = 300 };
    const int64_t v_dim[4] = {ROWS, LONG, 1, 1}, s_dim[4] = {1, 1, LONG, LONG}, b_dim[1] = {ROWS};
    struct sqa_memory memory = {0};
    struct sqa_plan *plan = NULL;
    struct sqa_err err = {0};
    struct sqa_graph g;

    (void)state;
    sqa_graph_init(&g, SQA_F32, false);
    struct sqa_tensor *v = sqa_input(&g, "v", SQA_F32, 4, v_dim), *s = sqa_input(&g, "s", SQA_F32, 4, s_dim);
    sqa_output(&g, sqa_shared_attention(&g, v, sqa_input(&g, "lengths", SQA_I32, 1, b_dim), s, NULL, false), "o");
    if (sqa_plan_make(&g, &memory, 1, &plan, &err) != SQA_OK)
        fail_msg("%s", err.text);
    float *values = sqa_plan_input(plan, "v", NULL), *scores = sqa_plan_input(plan, "s", NULL);
    int32_t *lengths = sqa_plan_input(plan, "lengths", NULL);
    for (int i = 0; i < ROWS * LONG; i++)
        values[i] = (float)(i % LONG);
    for (int i = 0; i < LONG * LONG; i++)
        scores[i] = i % LONG < 2 ? -500 : 500;
    lengths[0] = LONG;
    lengths[1] = 2;
    if (sqa_plan_run(plan, 1, 0, NULL, NULL, &err) != SQA_OK)
        fail_msg("%s", err.text);
    const float *o = sqa_plan_output(plan, "o", NULL);
    assert_true(fabsf(o[7] - 150.5f) < 1e-3f);
    assert_true(fabsf(o[LONG + 7] - 0.5f) < 1e-6f);
    sqa_plan_free(plan);
    sqa_memory_clear(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_attention), cmocka_unit_test(test_far_scores)};

    sqa_kernels_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
