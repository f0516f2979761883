/* test_steps.c - step forms against all at once, with other parameters than the defaults and long caches; their state
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "models/probe.h"
#include "models/stepper.h"

enum { DIM = 8, HEADS = 2 };

static const struct {
    const char *item;
    int64_t length, batch;
    double state; /* of a sequence */
} rows[] = {
    {"performer:features=6,kernel=relu", 20, 2, 2 * 6 * (4 + 1)},
    {"performer:features=0,kernel=relu", 20, 2, 2 * 4 * (4 + 1)},
    {"performer:features=6,chunk=7", 20, 2, 2 * 6 * (4 + 1)},
    {"linear_transformer:chunk=3", 20, 2, 2 * 4 * (4 + 1)},
    {"cosformer", 20, 2, 2 * 2 * 4 * (4 + 1)},
    {"cosformer:horizon=50", 20, 2, 2 * 2 * 4 * (4 + 1)},
    {"rfa:features=6", 20, 2, 2 * 12 * (4 + 1)},
    {"rfa:features=6,gate=1", 20, 2, 2 * 12 * (4 + 1)},
    {"rfa:features=6,kernel=arccos,gate=1", 20, 2, 2 * 6 * (4 + 1)},
    {"rfa:features=6,kernel=arccos", 20, 2, 2 * 6 * (4 + 1)},
    {"flowformer", 20, 2, DIM *(4 + 1) + 4 * DIM + HEADS + 1},
    {"s4d:state=8,init=inv,dt_max=1", 20, 2, DIM * 8},
    {"gru:hidden=5", 20, 9, 5},
    {"lstm:hidden=11", 20, 9, 22},
    {"lstm:bidirectional=0", 20, 1, 16},
    {"transformer", 600, 1, 2 * 600 * DIM},   /* several blocks of keys */
    {"transformer", 2300, 1, 2 * 2300 * DIM}, /* several ranges */
    {"transformer:kernel=dense", 30, 2, 2 * 30 * DIM},
};

static void steps_equal_all_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        struct sqa_err err = {0};
        struct sqa_probe p = {.item = rows[i / 2].item,
                              .batch = rows[i / 2].batch,
                              .length = rows[i / 2].length,
                              .dim = DIM,
                              .heads = HEADS,
                              .causal = true,
                              .seed = 3,
                              .real = SQA_F64,
                              .threads = i % 2 ? 2 : 1};
        const size_t n = (size_t)(p.batch * p.length * DIM);
        double *x = sqa_alloc_array(3 * n, sizeof *x), *y = x + n, *z = y + n, numbers = 0;

        assert_non_null(x);
        sqa_probe_normal(4, x, n);
        if (sqa_probe_run(&p, x, y, &err) != SQA_OK || sqa_probe_steps(&p, x, z, &numbers, &err) != SQA_OK)
            fail_msg("%s: %s", p.item, err.text);
        if (!(sqa_probe_difference(z, y, n) < 1e-11))
            fail_msg("%s at length %d: differs by %g", p.item, (int)p.length, sqa_probe_difference(z, y, n));
        assert_true(numbers == rows[i / 2].state);
        sqa_free(x);
    }
}

static void what_has_no_step_form_says_so(void **state)
{
    static const struct {
        const char *model, *says;
        enum sqa_task_kind kind;
    } wrong[] = {{"linformer:causal=0", "causal=1", SQA_TAG},
                 {"gru", "causal=1", SQA_TAG},
                 {"longformer:causal=1", "no step form", SQA_TAG},
                 {"gru:causal=1", "pair", SQA_PAIR},
                 {"dlinear", "no step form", SQA_FORECAST}};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct sqa_signature task = {.kind = wrong[i].kind,
                                           .vocab = wrong[i].kind == SQA_FORECAST ? 0 : 7,
                                           .classes = 3,
                                           .length = 9,
                                           .channels = 2,
                                           .outputs = 2,
                                           .horizon = 3};
        struct sqa_stepper s = {0};
        struct sqa_store store;
        struct sqa_model *m;
        struct sqa_err err = {0};

        assert_int_equal(sqa_model_parse(wrong[i].model, &m, &err), SQA_OK);
        sqa_store_init(&store, SQA_F32, 1);
        assert_int_equal(sqa_stepper_open(&s, m, &task, &store, 1, 1, SQA_COMPUTE_F32, &err), SQA_UNSUPPORTED);
        if (!strstr(err.text, wrong[i].says))
            fail_msg("%s: '%s' says nothing of '%s'", wrong[i].model, err.text, wrong[i].says);
        sqa_stepper_close(&s);
        sqa_store_clear(&store);
        sqa_model_free(m);
    }
}

/* One store for training and steps: states are none of its entries. */
static void the_parameters_store_is_left_alone(void **state)
{
    const struct sqa_signature task = {.kind = SQA_TAG, .vocab = 7, .classes = 3, .length = 40};
    struct sqa_stepper s = {0};
    struct sqa_store store;
    struct sqa_model *m;
    struct sqa_graph g;
    struct sqa_err err = {0};

    (void)state;
    assert_int_equal(sqa_model_parse("transformer:dim=8,heads=2,causal=1+mixer=(transformer gru)", &m, &err), SQA_OK);
    sqa_store_init(&store, SQA_F32, 1);
    sqa_graph_init(&g, SQA_F32, true);
    assert_int_equal(sqa_model_graph(m, &task, &store, SQA_MODE_TRAIN, 2, 40, &g, &err), SQA_OK);
    sqa_graph_clear(&g);
    assert_int_equal(sqa_store_seal(&store, true, &err), SQA_OK);
    const int64_t parameters = store.parameter_count, numbers = store.state_count;

    assert_int_equal(sqa_stepper_open(&s, m, &task, &store, 2, 1, SQA_COMPUTE_F32, &err), SQA_OK);
    assert_int_equal(store.parameter_count, parameters);
    assert_int_equal(store.state_count, numbers);
    assert_int_equal(s.states.state_count, 2 * (2 * 40 * 8 + 8));
    sqa_stepper_close(&s);
    sqa_store_clear(&store);
    sqa_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_equal_all_at_once),
                                       cmocka_unit_test(what_has_no_step_form_says_so),
                                       cmocka_unit_test(the_parameters_store_is_left_alone)};

    sqa_kernels_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
