/* test_ops_known.c - common ops: values that are known, and refusals that are sentences */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/ops.h"

static const int32_t starts[] = {0, 2, 2, 5};

/* Values that are known */

struct expected {
    const char *name;
    tensor *(*build)(void *user, graph *g, tensor *const *in);
    struct sqa_gradcheck_input in[MAX_IN];
    int n, count;
    double x[MAX_IN][24], y[24];
};

BUILD(only_max, sqa_max_over(g, in[0], 2, false))
BUILD(only_cumsum, sqa_cumsum(g, in[0], 1))
BUILD(only_reverse, sqa_reverse(g, in[0], 1))
BUILD(only_matmul, sqa_matmul(g, in[0], in[1], false, true))
BUILD(only_sum, sqa_sum(g, in[0], 1, false))
BUILD(only_two, sqa_fftconv(g, in[0], in[1], in[2]))
BUILD(only_mean, sqa_mean_rows(g, in[0], in[1]))
BUILD(only_mask, sqa_mask_rows(g, in[0], in[1]))
BUILD(only_per_label, sqa_per_label(g, in[0]))
BUILD(only_embedding, sqa_embedding(g, in[0], in[1]))
BUILD(only_concat, sqa_concat(g, 1, 2, (tensor *[]){in[0], in[1]}))
BUILD(only_pad, sqa_pad(g, in[0], 0, 1, 2))
BUILD(only_empty, sqa_add(g, sqa_sum(g, in[0], 1, false), sqa_matmul(g, t01(g, in[0]), in[0], false, false)))
BUILD(only_attention, sqa_attention(g, in[0], in[1], in[2], in[3],
                                    (struct sqa_attention_spec){.scale = 1, .causal = false, .dropout = 0}))

static const struct expected known[] = {
    {"max", only_max, {R(2, 3)}, 1, 2, {{1, 5, 5, -3, -2, -7}}, {5, -2}},
    {"cumsum", only_cumsum, {R(2, 3)}, 1, 6, {{1, 2, 3, 4, 5, 6}}, {1, 3, 6, 4, 9, 15}},
    {"reverse", only_reverse, {R(2, 3)}, 1, 6, {{1, 2, 3, 4, 5, 6}}, {3, 2, 1, 6, 5, 4}},
    {"matmul", only_matmul, {R(1, 2), R(3, 2)}, 2, 3, {{1, 2}, {1, 0, 0, 1, 1, 1}}, {1, 2, 3}},
    {"sum", only_sum, {R(3, 2)}, 1, 2, {{1, 2, 3, 4, 5, 6}}, {9, 12}},
    {"fftconv",
     only_two,
     {R(1, 3, 1), R(1, 3), R(1, 3)},
     3,
     3,
     {{1, 2, 3}, {1, 10, 100}, {0.5, 0.25, 0}},
     {1 + 1 + 0.75, 2 + 10 + 1.5, 3 + 20 + 100}},
    {"mean_rows", only_mean, {R(2, 2, 1), N(0, 0, 2)}, 2, 2, {{3, 5, 7, 9}, {2, 0}}, {4, 0}},
    {"mask_rows", only_mask, {R(2, 2, 1), N(0, 0, 2)}, 2, 4, {{3, 5, 7, 9}, {1, 0}}, {3, 0, 0, 0}},
    {"per_label", only_per_label, {N(0, 0, 5)}, 1, 1, {{3, -1, 0, -1, 7}}, {1.0 / 3}},
    {"per_label, none", only_per_label, {N(0, 0, 2, 1)}, 1, 1, {{-1, -1}}, {1}},
    {"embedding", only_embedding, {R(2, 2), N(0, 0, 4)}, 2, 8, {{1, 2, 3, 4}, {1, 0, 2, -1}}, {3, 4, 1, 2}},
    {"concat", only_concat, {R(2, 1), R(2, 2)}, 2, 6, {{1, 4}, {2, 3, 5, 6}}, {1, 2, 3, 4, 5, 6}},
    {"pad", only_pad, {R(1, 2)}, 1, 8, {{1, 2}}, {0, 0, 1, 2}},
    {"empty", only_empty, {R(0, 2)}, 1, 4, {{0}}, {0}},
    {"attention",
     only_attention,
     {R(2, 1, 1, 1), R(2, 2, 1, 1), R(2, 2, 1, 1), N(0, 0, 2)},
     4,
     2,
     {{0, 3}, {1, 2, 3, 4}, {10, 20, 30, 40}, {2, 0}},
     {15, 0}},
};

static void known_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const struct expected *e = &known[i];
        struct sqa_err err = {SQA_OK, ""};
        struct sqa_memory m = {0};
        struct sqa_plan *p = NULL;
        tensor *in[MAX_IN];
        const tensor *t;
        const double *y;
        char name[16];
        graph g;

        sqa_graph_init(&g, SQA_F64, false);
        for (int k = 0; k < e->n; k++) {
            (void)snprintf(name, sizeof name, "x%d", k);
            in[k] = sqa_input(&g, name, e->in[k].dtype, e->in[k].rank, e->in[k].dim);
        }
        sqa_output(&g, e->build(NULL, &g, in), "y");
        if (sqa_plan_make(&g, &m, 1, &p, &err) != SQA_OK)
            fail_msg("%s: %s", e->name, err.text);
        for (int k = 0; k < e->n; k++) {
            void *to;

            (void)snprintf(name, sizeof name, "x%d", k);
            to = sqa_plan_input(p, name, &t);
            for (int64_t j = 0; j < sqa_numel(t); j++) {
                if (t->dtype == SQA_I32)
                    ((int32_t *)to)[j] = (int32_t)e->x[k][j];
                else
                    ((double *)to)[j] = e->x[k][j];
            }
        }
        assert_int_equal(sqa_plan_run(p, 0, 0, NULL, NULL, &err), SQA_OK);
        y = sqa_plan_output(p, "y", &t);
        for (int k = 0; k < e->count; k++)
            if (!(fabs(y[k] - e->y[k]) < 1e-12))
                fail_msg("%s: element %d is %g, not %g", e->name, k, y[k], e->y[k]);
        sqa_plan_free(p);
        sqa_memory_clear(&m);
    }
}

/* Failures are sentences */

BUILD(bad_add, sqa_add(g, in[0], in[1]))
BUILD(bad_matmul, sqa_matmul(g, in[0], in[1], false, true))
BUILD(bad_reshape, sqa_reshape(g, in[0], SQA_DIMS(-1, 4)))
BUILD(bad_slice, sqa_slice(g, in[0], 1, 2, 5))
BUILD(bad_sum, sqa_sum(g, in[0], 8, false))
BUILD(bad_norm, sqa_layernorm(g, in[0], in[1], NULL, 1e-5, false))
BUILD(bad_concat, sqa_concat(g, 0, 2, (tensor *[]){in[0], in[1]}))
BUILD(bad_dropout, sqa_dropout(g, in[0], 1))
BUILD(bad_labels, sqa_cross_entropy(g, in[0], in[1]))
BUILD(bad_per_label, sqa_per_label(g, in[0]))
BUILD(bad_bias, sqa_attention_masked(g, in[0], in[0], in[0], (struct sqa_attention_masks){.bias = in[1]},
                                     (struct sqa_attention_spec){.scale = 1}))
BUILD(bad_blocks,
      sqa_attention_masked(g, in[0], in[0], in[0], (struct sqa_attention_masks){.start = in[1], .key = in[1]},
                           (struct sqa_attention_spec){.scale = 1, .block = 2}))
BUILD(bad_attention, sqa_attention(g, in[0], in[0], in[1], NULL,
                                   (struct sqa_attention_spec){.scale = 1, .causal = false, .dropout = 0}))
BUILD(bad_fftconv, sqa_fftconv(g, in[0], in[1], NULL))
BUILD(bad_missing, sqa_mul(g, in[0], NULL))
BUILD(bad_second, gradient_of(g, sqa_layernorm(g, in[0], NULL, NULL, 1e-5, false), in[0]))
BUILD(bad_second_max, gradient_of(g, sqa_max_over(g, in[0], 1, false), in[0]))

static const struct {
    const char *name;
    tensor *(*build)(void *user, graph *g, tensor *const *in);
    struct sqa_gradcheck_input in[MAX_IN];
    int n;
    enum sqa_status status;
    const char *words[3];
} failures[] = {
    {"add", bad_add, {R(2, 3), R(2)}, 2, SQA_SHAPE, {"add", "(2, 3)", "(2)"}},
    {"matmul", bad_matmul, {R(2, 3), R(4, 5)}, 2, SQA_SHAPE, {"matmul", "(2, 3)", "(4, 5) transposed"}},
    {"reshape", bad_reshape, {R(2, 3)}, 1, SQA_SHAPE, {"reshape", "(2, 3)", "(-1, 4)"}},
    {"slice", bad_slice, {R(2, 3)}, 1, SQA_SHAPE, {"slice", "(2, 3)", "axis 1"}},
    {"sum", bad_sum, {R(2, 3)}, 1, SQA_SHAPE, {"sum", "(2, 3)", ""}},
    {"layernorm", bad_norm, {R(2, 3), R(2)}, 2, SQA_SHAPE, {"gain", "(2, 3)", "(2)"}},
    {"concat", bad_concat, {R(2, 3), R(2, 4)}, 2, SQA_SHAPE, {"concat", "(2, 3)", "(2, 4)"}},
    {"dropout", bad_dropout, {R(2, 3)}, 1, SQA_SHAPE, {"dropout", "below 1", ""}},
    {"labels", bad_labels, {R(2, 3), R(2)}, 2, SQA_SHAPE, {"labels f64 (2)", "i32 (N)", ""}},
    {"per_label", bad_per_label, {R(2)}, 1, SQA_SHAPE, {"labels are f64 (2)", "give i32", ""}},
    {"attention", bad_attention, {R(2, 3, 2, 4), R(2, 4, 2, 4)}, 2, SQA_SHAPE, {"(2, 3, 2, 4)", "(2, 4, 2, 4)", ""}},
    {"attention bias", bad_bias, {R(2, 3, 2, 4), R(2, 2, 3, 4)}, 2, SQA_SHAPE, {"(2, 3, 2, 4)", "(2, 2, 3, 4)", ""}},
    {"attention blocks", bad_blocks, {R(2, 3, 2, 4), L(starts)}, 2, SQA_SHAPE, {"start (4)", "block", ""}},
    {"fftconv", bad_fftconv, {R(2, 3, 4), R(4, 4)}, 2, SQA_SHAPE, {"(4, 4)", "(2, 3, 4)", ""}},
    {"missing", bad_missing, {R(2)}, 1, SQA_SHAPE, {"mul", "missing", ""}},
    {"second layernorm", bad_second, {R(2, 3)}, 1, SQA_UNSUPPORTED, {"layernorm_grad", "no derivative", ""}},
    {"second max", bad_second_max, {R(2, 3)}, 1, SQA_UNSUPPORTED, {"max_over_grad", "no derivative", ""}},
};

static void failures_are_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        struct sqa_err err = {SQA_OK, ""};
        double worst;
        const enum sqa_status status =
            sqa_gradcheck(failures[i].build, NULL, failures[i].n, failures[i].in, 1, &worst, &err);

        assert_int_equal(status, failures[i].status);
        for (int k = 0; k < 3; k++)
            if (strstr(err.text, failures[i].words[k]) == NULL)
                fail_msg("%s: \"%s\" does not say \"%s\"", failures[i].name, err.text, failures[i].words[k]);
        assert_non_null(strstr(err.text, "; "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(failures_are_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
