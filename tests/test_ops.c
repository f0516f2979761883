/* test_ops.c - every common op: gradients, f32 against f64, views and broadcasts, edge sizes, threads */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "tests/op_cases.h"

static tensor *call(const struct op_case *c, graph *g, tensor *const *in)
{
    return c->build(NULL, g, in);
}

/* Gradients against differences */

static tensor *call_case(void *user, graph *g, tensor *const *in)
{
    const struct op_case *c = user;

    return call(c, g, in);
}

static void gradients_agree(void **state)
{
    int bad = 0;

    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct op_case c = cases[i];
        struct sqa_err err = {SQA_OK, ""};
        double worst = 0;
        const enum sqa_status status = sqa_gradcheck(call_case, &c, c.n, c.in, 1000 + (uint64_t)i, &worst, &err);

        if (status != SQA_OK || !(worst < 1e-6)) {
            print_error("%s: error %g %s\n", c.name, worst, err.text);
            bad++;
        }
    }
    assert_int_equal(bad, 0);
}

/* A plan with y and all gradients of sum(y w) */

static const struct sqa_gradcheck_input *input_of(const struct op_case *c, int i)
{
    return &c->in[i];
}

static struct sqa_plan *plan_of(const struct op_case *c, enum sqa_dtype real, int threads, struct sqa_memory *m)
{
    struct sqa_plan *p = NULL;
    struct sqa_err err = {SQA_OK, ""};
    tensor *in[MAX_IN], *wrt[MAX_IN] = {0}, *dx[MAX_IN], *y;
    char name[16];
    graph g;

    sqa_graph_init(&g, real, true);
    for (int i = 0; i < c->n; i++) {
        const struct sqa_gradcheck_input *x = input_of(c, i);

        (void)snprintf(name, sizeof name, "x%d", i);
        in[i] = sqa_input(&g, name, x->dtype == SQA_I32 ? SQA_I32 : real, x->rank, x->dim);
        if (x->dtype != SQA_I32)
            sqa_require_grad(wrt[i] = in[i]);
    }
    y = call(c, &g, in);
    assert_non_null(y);
    sqa_gradients(&g, sqa_sum(&g, sqa_square(&g, y), (1u << y->rank) - 1, false), wrt, (size_t)c->n, dx);
    sqa_output(&g, sqa_affine(&g, 1, y, 0), "y");
    for (int i = 0; i < c->n; i++) {
        (void)snprintf(name, sizeof name, "g%d", i);
        if (dx[i] != NULL)
            sqa_output(&g, sqa_affine(&g, 1, dx[i], 0), name);
    }
    if (sqa_plan_make(&g, m, threads, &p, &err) != SQA_OK)
        fail_msg("%s: %s", c->name, err.text);
    p->poison = true;
    return p;
}

static void run_case(const struct op_case *c, struct sqa_plan *p)
{
    struct sqa_err err = {SQA_OK, ""};
    char name[16];

    for (int i = 0; i < c->n; i++) {
        const struct sqa_gradcheck_input *x = input_of(c, i);
        const tensor *t;
        void *to;

        (void)snprintf(name, sizeof name, "x%d", i);
        to = sqa_plan_input(p, name, &t);
        for (int64_t k = 0; to != NULL && t->buffer->last >= 0 && k < sqa_numel(t); k++) {
            const double u = sqa_random_uniform((uint64_t)i + 50, (uint64_t)k);
            const double v =
                x->low < x->high ? x->low + u * (x->high - x->low) : sqa_random_normal((uint64_t)i + 50, (uint64_t)k);

            if (t->dtype == SQA_I32)
                ((int32_t *)to)[k] = x->values != NULL ? x->values[k] : (int32_t)floor(v);
            else if (t->dtype == SQA_F64)
                ((double *)to)[k] = (double)(float)v;
            else
                ((float *)to)[k] = (float)v;
        }
    }
    if (sqa_plan_run(p, 3, 4, NULL, NULL, &err) != SQA_OK)
        fail_msg("%s: %s", c->name, err.text);
}

static double value_at(const tensor *t, const void *data, int64_t k)
{
    return t->dtype == SQA_F64 ? ((const double *)data)[k] : (double)((const float *)data)[k];
}

static void floats_are_near(void **state)
{
    int bad = 0;

    (void)state;
    for (int i = 0; i < CASES; i++) {
        const struct op_case *c = &cases[i];
        const double tolerance = c->tolerance > 0 ? c->tolerance : 1e-5;
        struct sqa_memory m32 = {0}, m64 = {0};
        struct sqa_plan *p32 = plan_of(c, SQA_F32, 1, &m32), *p64 = plan_of(c, SQA_F64, 1, &m64);

        run_case(c, p32);
        run_case(c, p64);
        for (int o = -1; o < c->n; o++) {
            const tensor *t32, *t64;
            const void *a, *b;
            char name[16];
            double top = 1e-3, worst = 0;

            (void)snprintf(name, sizeof name, o < 0 ? "y" : "g%d", o);
            a = sqa_plan_output(p32, name, &t32);
            b = sqa_plan_output(p64, name, &t64);
            for (int64_t k = 0; a != NULL && k < sqa_numel(t64); k++) {
                const double d = fabs(value_at(t32, a, k) - value_at(t64, b, k));

                top = fmax(top, fabs(value_at(t64, b, k)));
                worst = d > worst || isnan(d) ? d : worst;
            }
            if (!(worst <= tolerance * top)) {
                print_error("%s: %s: error %g of %g\n", c->name, name, worst, top);
                bad++;
            }
        }
        sqa_plan_free(p32);
        sqa_plan_free(p64);
        sqa_memory_clear(&m32);
        sqa_memory_clear(&m64);
    }
    assert_int_equal(bad, 0);
}

/* Each op that a case names stands in its graph; every op of the list stands in some case. */
static void cases_cover_all_ops(void **state)
{
    static const char *const elsewhere[] = {"input", "value", "assign"};
    int bad = 0;

    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct sqa_memory m = {0};
        struct sqa_plan *p = plan_of(&cases[i], SQA_F64, 1, &m);
        char names[256], *save = NULL;

        (void)snprintf(names, sizeof names, "%s", cases[i].ops);
        for (char *op = strtok_r(names, " ", &save); op != NULL; op = strtok_r(NULL, " ", &save)) {
            bool found = false;

            for (const struct sqa_node *n = p->graph.first; n != NULL; n = n->next)
                found = found || strcmp(n->op->name, op) == 0;
            if (!found) {
                print_error("%s: no %s in the graph\n", cases[i].name, op);
                bad++;
            }
        }
        sqa_plan_free(p);
        sqa_memory_clear(&m);
    }
    for (int i = 0; sqa_ops[i] != NULL; i++) {
        bool found = sqa_ops[i]->help != NULL && sqa_ops[i]->help[0] != '\0' && sqa_ops[i]->shape != NULL;
        bool named = false;

        for (size_t k = 0; k < sizeof elsewhere / sizeof *elsewhere; k++)
            named = named || strcmp(sqa_ops[i]->name, elsewhere[k]) == 0;
        for (int k = 0; k < CASES && !named; k++) {
            const char *at = strstr(cases[k].ops, sqa_ops[i]->name);
            const size_t len = strlen(sqa_ops[i]->name);

            for (; at != NULL && !named; at = strstr(at + 1, sqa_ops[i]->name))
                named = (at == cases[k].ops || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0');
        }
        if (!found || !named) {
            print_error("op %s: %s\n", sqa_ops[i]->name, found ? "no case" : "no help or shape");
            bad++;
        }
    }
    assert_int_equal(bad, 0);
}

/* Large shapes, so that work is really cut: the same bits for 1, 2 and 3 threads. */
static const struct op_case large[] = {
    {"add row", add_row, {R(700, 130), R(130)}, 2, "", 0},
    {"add column", add_row, {R(700, 130), R(700, 1)}, 2, "", 0},
    {"mul strided", mul_strided, {R(3, 40000), R(40000, 5)}, 2, "", 0},
    {"unary", unary_any, {R(300, 201)}, 1, "", 0},
    {"sum", sum_ends, {R(200, 30, 33)}, 1, "", 0},
    {"sum all", sum_all, {R(50, 30, 100)}, 1, "", 0},
    {"max", max_mid, {R(20, 60, 70)}, 1, "", 0},
    {"cumsum", cumsum, {R(300, 300)}, 1, "", 0},
    {"copy", copy, {R(40, 50, 60)}, 1, "", 0},
    {"matmul", matmul_nn, {R(3, 500, 40), R(40, 30)}, 2, "", 0},
    {"matmul batch", matmul_nt, {R(6, 4, 50, 40), R(6, 4, 70, 40)}, 2, "", 0},
    {"matmul tall", matmul_tn, {R(5000, 20), R(5000, 30)}, 2, "", 0},
    {"matmul mixing", matmul_tn, {R(1100, 300), R(5, 1100, 40)}, 2, "", 0},
    {"matmul mixing, one block", matmul_tn, {R(1100, 30), R(3, 1100, 20)}, 2, "", 0},
    {"linear", linear_gelu, {R(3, 900, 70), R(70, 33), R(33)}, 3, "", 0},
    {"linear three", linear_three, {R(1500, 40), R(40, 30), R(40, 64), R(40, 32), R(30), R(32)}, 6, "", 0},
    {"linear large", linear_gelu, {R(1100, 400), R(400, 700), R(700)}, 3, "", 0},
    {"matmul_sum", sum_tn, {R(4, 2500, 20), R(4, 2500, 30)}, 2, "", 0},
    {"matmul_sum wide", sum_tn, {R(2, 20, 300), R(2, 20, 301)}, 2, "", 0},
    {"matmul_sum nt", sum_nt, {R(50, 30, 40), R(50, 20, 40)}, 2, "", 0},
    {"softmax", softmax, {R(900, 100)}, 1, "", 0},
    {"log_sum_exp", log_sum_exp, {R(900, 100)}, 1, "", 0},
    {"layernorm", layernorm, {R(3, 700, 64), R(64), R(64)}, 3, "", 0},
    {"add_layernorm", add_layernorm, {R(3, 700, 64), R(3, 700, 64), R(64), R(64)}, 4, "", 0},
    {"embedding small", embedding, {R(5, 16), N(-1, 6, 40, 50)}, 2, "", 0},
    {"embedding", embedding, {R(50, 40), N(-1, 52, 40, 50)}, 2, "", 0},
    {"mask_rows", mask_rows, {R(3, 500, 64), L(lengths3)}, 2, "", 0},
    {"masked_softmax", masked_softmax_causal, {R(3, 4, 70, 70), L(lengths3)}, 2, "", 0},
    {"mean_rows", mean_rows, {R(3, 500, 64), L(lengths3)}, 2, "", 0},
    {"dropout", dropout, {R(500, 211)}, 1, "", 0},
    {"cross_entropy", cross_entropy, {R(4000, 30), N(-1, 30, 4000)}, 2, "", 0},
    {"attention", attention_causal, {R(2, 70, 3, 16), R(2, 70, 3, 16), R(2, 70, 3, 16), L(lengths2)}, 4, "", 0},
    {"attention dropout", attention_drop, {R(2, 70, 3, 16), R(2, 70, 3, 16), R(2, 70, 3, 16)}, 3, "", 0},
    {"attention parts",
     attention_causal,
     {R(1, 1100, 1, 8), R(1, 1100, 1, 8), R(1, 1100, 1, 8), L(length1)},
     4,
     "",
     0},
    {"attention bias", attention_bias, {R(2, 70, 3, 8), R(2, 60, 3, 8), R(2, 60, 3, 8), R(1, 3, 70, 60)}, 4, "", 0},
    {"attention local", attention_local, {R(3, 40, 2, 8), R(3, 40, 2, 8), R(3, 40, 2, 8), L(lengths3)}, 4, "", 0},
    {"fftconv", fftconv_two, {R(300, 3, 20), R(20, 300), R(20, 300)}, 3, "", 0},
    {"scan", scan_complex, {R(3, 100, 200), R(3, 100, 200)}, 2, "", 0},
    {"conv1d", conv1d_ahead, {R(1500, 3, 40), R(9, 40), R(40), L(lengths_long)}, 4, "", 0},
    {"glu", glu, {R(300, 200)}, 1, "", 0},
};

static void threads_do_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        const struct op_case *c = &large[i];
        struct sqa_memory m[3] = {{0}};
        struct sqa_plan *p[3];

        for (int t = 0; t < 3; t++) {
            p[t] = plan_of(c, SQA_F32, t + 1, &m[t]);
            run_case(c, p[t]);
        }
        for (int o = -1; o < c->n; o++) {
            char name[16];
            const tensor *x;
            const void *one;

            (void)snprintf(name, sizeof name, o < 0 ? "y" : "g%d", o);
            one = sqa_plan_output(p[0], name, &x);
            for (int t = 1; t < 3 && one != NULL; t++)
                if (memcmp(one, sqa_plan_output(p[t], name, NULL), (size_t)sqa_numel(x) * 4) != 0)
                    fail_msg("%s: %s differs with %d threads", c->name, name, t + 1);
        }
        for (int t = 0; t < 3; t++) {
            sqa_plan_free(p[t]);
            sqa_memory_clear(&m[t]);
        }
    }
}

/* Large shapes once more, f32 against f64: cut work gives the right numbers. */
static void large_is_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        const struct op_case *c = &large[i];
        struct sqa_memory m32 = {0}, m64 = {0};
        struct sqa_plan *p32 = plan_of(c, SQA_F32, 2, &m32), *p64 = plan_of(c, SQA_F64, 2, &m64);
        const tensor *t32, *t64;
        const void *a, *b;
        double top = 0, worst = 0;

        run_case(c, p32);
        run_case(c, p64);
        a = sqa_plan_output(p32, "y", &t32);
        b = sqa_plan_output(p64, "y", &t64);
        for (int64_t k = 0; k < sqa_numel(t64); k++) {
            const double d = fabs(value_at(t32, a, k) - value_at(t64, b, k));

            top = fmax(top, fabs(value_at(t64, b, k)));
            worst = d > worst || isnan(d) ? d : worst;
        }
        if (!(worst <= 1e-4 * top))
            fail_msg("%s: error %g of %g", c->name, worst, top);
        sqa_plan_free(p32);
        sqa_plan_free(p64);
        sqa_memory_clear(&m32);
        sqa_memory_clear(&m64);
    }
}

/* Cost */

static double flops_of(const struct op_case *c, const char *op)
{
    struct sqa_memory m = {0};
    struct sqa_plan *p = plan_of(c, SQA_F32, 1, &m);
    double sum = 0;

    for (const struct sqa_node *n = p->graph.first; n != NULL; n = n->next)
        if (strcmp(n->op->name, op) == 0)
            sum += n->op->flops(n);
    sqa_plan_free(p);
    sqa_memory_clear(&m);
    return sum;
}

static void costs_follow_the_rule(void **state)
{
    static const struct op_case mm = {"", matmul_nn, {R(2, 3, 4), R(4, 5)}, 2, "", 0};
    static const struct op_case full = {"", attention_drop, {R(2, 6, 3, 4), R(2, 5, 3, 4), R(2, 5, 3, 8)}, 3, "", 0};
    static const struct op_case causal = {
        "", attention_causal, {R(2, 5, 1, 4), R(2, 5, 1, 4), R(2, 5, 1, 4), L(lengths2)}, 4, "", 0};
    static const struct op_case window = {
        "", attention_window, {R(2, 5, 3, 4), R(2, 4, 3, 4), R(2, 4, 3, 4), L(lengths2)}, 4, "", 0};
    static const struct op_case blocks = {
        "", attention_blocks, {R(2, 5, 2, 3), R(2, 6, 2, 3), R(2, 6, 2, 3), L(starts), L(keys)}, 5, "", 0};
    static const struct op_case local = {
        "", attention_spread, {R(3, 8, 2, 3), R(3, 8, 2, 3), R(3, 8, 2, 3), L(lengths3)}, 4, "", 0};
    static const struct op_case norm = {"", layernorm, {R(2, 3, 5), R(5), R(5)}, 3, "", 0};
    static const struct op_case fft = {"", fftconv, {R(2, 8, 3), R(3, 8)}, 2, "", 0};

    (void)state;
    assert_true(flops_of(&mm, "matmul") == 2.0 * 2 * 3 * 4 * 5 * 2); /* forward and the gradient of a */
    assert_true(flops_of(&mm, "matmul_sum") == 2.0 * 2 * 3 * 4 * 5); /* the gradient of b */
    assert_true(flops_of(&full, "attention") == 6.0 * 6 * 5 * (2 * 4 + 2 * 8 + 5));
    assert_true(flops_of(&full, "attention_bwd") == 6.0 * 6 * 5 * (2 * (3 * 4 + 2 * 8) + 8));
    assert_true(flops_of(&causal, "attention") == 2.0 * 15 * (4 * 4 + 5));
    assert_true(flops_of(&window, "attention") == 6.0 * (2 + 3 + 4 + 3 + 2) * (4 * 4 + 5));
    assert_true(flops_of(&blocks, "attention") == 4.0 * 5 * 4 * (4 * 3 + 5));
    assert_true(flops_of(&local, "attention") == 6.0 * (9 + 9 + 4) * (4 * 3 + 5));
    assert_true(flops_of(&norm, "layernorm") == 7.0 * 30);
    assert_true(flops_of(&fft, "fftconv") == 3 * (2 * (2 * 2.5 * 16 * 4 + 6.0 * 8) + 2.5 * 16 * 4));
}

/* Store gradients through the checker that models use */

static tensor *tiny_model(void *user, graph *g)
{
    struct sqa_store *s = user;
    tensor *w = sqa_value(g, sqa_store_find(s, "w")), *b = sqa_value(g, sqa_store_find(s, "b"));

    return sqa_dropout(g, sqa_unary(g, SQA_UNARY_GELU, sqa_linear(g, w, w, b)), 0.2);
}

static void store_gradients_agree(void **state)
{
    const struct sqa_init init = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1};
    struct sqa_err err = {SQA_OK, ""};
    struct sqa_store s;
    double worst = 1;

    (void)state;
    sqa_store_init(&s, SQA_F64, 5);
    assert_non_null(sqa_store_declare(&s, "w", SQA_PARAMETER, SQA_GROUP_REGULAR, SQA_DIMS(3, 3), init, &err));
    assert_non_null(sqa_store_declare(&s, "b", SQA_PARAMETER, SQA_GROUP_REGULAR, SQA_DIMS(3), init, &err));
    assert_int_equal(sqa_store_seal(&s, true, &err), SQA_OK);
    assert_int_equal(sqa_gradcheck_store(tiny_model, NULL, &s, &s, 5, 9, &worst, &err), SQA_OK);
    assert_true(worst < 1e-6);
    sqa_store_clear(&s);
}

/* A wrong derivative is found: half of it is hidden. */
static tensor *wrong(void *user, graph *g, tensor *const *in)
{
    tensor *d = sqa_dropout(g, in[0], 0.5);

    (void)user;
    if (d != NULL)
        d->needs_grad = false;
    return sqa_mul(g, in[0], d);
}

static void wrong_gradients_are_found(void **state)
{
    static const struct sqa_gradcheck_input in[] = {R(4, 5)};
    struct sqa_err err = {SQA_OK, ""};
    double worst = 0;

    (void)state;
    assert_int_equal(sqa_gradcheck(wrong, NULL, 1, in, 3, &worst, &err), SQA_OK);
    assert_true(worst > 0.1);
}

/* The n-th allocation fails: a status, no crash, no leak. */
static void out_of_memory_is_a_status(void **state)
{
    static const int picks[] = {3, 40, 44, 60, 75, 85};

    (void)state;
    for (size_t i = 0; i < sizeof picks / sizeof *picks; i++) {
        struct op_case c = cases[picks[i]];

        for (long n = 1;; n++) {
            struct sqa_err err = {SQA_OK, ""};
            double worst;
            enum sqa_status status;

            sqa_alloc_fail_at(n);
            status = sqa_gradcheck(call_case, &c, c.n, c.in, 1, &worst, &err);
            sqa_alloc_fail_at(0);
            if (status == SQA_OK)
                break;
            assert_int_equal(status, SQA_NOMEM);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_agree),
        cmocka_unit_test(floats_are_near),
        cmocka_unit_test(cases_cover_all_ops),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(large_is_right),
        cmocka_unit_test(costs_follow_the_rule),
        cmocka_unit_test(store_gradients_agree),
        cmocka_unit_test(wrong_gradients_are_found),
        cmocka_unit_test(out_of_memory_is_a_status),
    };

    sqa_kernels_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
