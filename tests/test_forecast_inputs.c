/* test_forecast_inputs.c - models/forecast.h: times, decoder input, instance normalisation; sums of scoring.h */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/plan.h"
#include "harness/scoring.h"
#include "models/forecast.h"
#include "models/probe.h"

enum { B = 2, L = 6, H = 3, C = 4, OUT = 2, F = 4, LABEL = 2 };
static struct sqa_err err;
static const struct sqa_signature task = {
    .kind = SQA_FORECAST, .length = L, .channels = C, .outputs = OUT, .horizon = H, .marks = F};

/* A graph of one function of x, run on given inputs. */
struct rig {
    struct sqa_graph g;
    struct sqa_store store;
    struct sqa_context c;
    struct sqa_memory memory;
    struct sqa_plan *plan;
};

static struct sqa_tensor *begin(struct rig *r, const struct sqa_signature *t)
{
    *r = (struct rig){.c = {.batch = B, .length = L, .max_length = L, .task = t}};
    sqa_store_init(&r->store, SQA_F64, 1);
    sqa_graph_init(&r->g, SQA_F64, false);
    r->c.g = &r->g;
    r->c.store = &r->store;
    return sqa_input(&r->g, "x", SQA_F64, SQA_DIMS(B, L, C));
}

static void run(struct rig *r, struct sqa_tensor *y, const double *x, const double *marks, double *out, size_t n)
{
    assert_non_null(y);
    sqa_output(&r->g, sqa_dense(&r->g, y), "y");
    assert_int_equal(sqa_store_seal(&r->store, false, &err), SQA_OK);
    if (sqa_plan_make(&r->g, &r->memory, 1, &r->plan, &err) != SQA_OK)
        fail_msg("%s", err.text);
    double *to = sqa_plan_input(r->plan, "x", NULL), *times = sqa_plan_input(r->plan, "marks", NULL);
    if (to && x)
        memcpy(to, x, B * L * C * sizeof *x);
    if (times && marks)
        memcpy(times, marks, B * (L + H) * F * sizeof *marks);
    assert_int_equal(sqa_plan_run(r->plan, 1, 0, NULL, NULL, &err), SQA_OK);
    const struct sqa_tensor *t;
    const double *from = sqa_plan_output(r->plan, "y", &t);
    assert_int_equal(sqa_numel(t), n);
    memcpy(out, from, n * sizeof *out);
}

static void end(struct rig *r)
{
    sqa_plan_free(r->plan);
    sqa_memory_clear(&r->memory);
    sqa_store_clear(&r->store);
}

static void test_decoder(void **state)
{
    (void)state;
    struct rig r;
    double x[B * L * C], marks[B * (L + H) * F], out[B * (LABEL + H) * C];
    sqa_probe_normal(1, x, B * L * C);
    sqa_probe_normal(2, marks, B * (L + H) * F);
    struct sqa_tensor *in = begin(&r, &task);
    run(&r, sqa_decoder_input(&r.c, in, LABEL), x, NULL, out, B * (LABEL + H) * C);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < LABEL + H; t++)
            for (int c = 0; c < C; c++)
                assert_true(fabs(out[(b * (LABEL + H) + t) * C + c] -
                                 (t < LABEL ? x[(b * L + L - LABEL + t) * C + c] : 0)) < 1e-15);
    end(&r);
    begin(&r, &task);
    assert_ptr_equal(sqa_marks(&r.c), sqa_marks(&r.c));
    run(&r, sqa_decoder_marks(&r.c, LABEL), NULL, marks, out, B * (LABEL + H) * F);
    for (int b = 0; b < B; b++)
        assert_memory_equal(out + b * (LABEL + H) * F, marks + (b * (L + H) + L - LABEL) * F,
                            (LABEL + H) * F * sizeof *out);
    end(&r);
}

static void test_no_times(void **state)
{
    (void)state;
    struct rig r;
    struct sqa_signature none = task;
    none.marks = 0;
    begin(&r, &none);
    assert_null(sqa_marks(&r.c));
    assert_int_equal(r.g.status, SQA_UNSUPPORTED);
    assert_non_null(strstr(r.g.err.text, "take a task with dates"));
    sqa_graph_clear(&r.g);
    sqa_store_clear(&r.store);
    struct sqa_tensor *x = begin(&r, &task);
    assert_null(sqa_decoder_input(&r.c, x, L + 1));
    assert_non_null(strstr(r.g.err.text, "label=7"));
    sqa_graph_clear(&r.g);
    sqa_store_clear(&r.store);
}

/* Undone, x is itself; normalised, each channel of a window has mean 0 and deviation 1 (norm), or ends with 0 (last);
 * the closed form counts what the graph counts. */
static void test_instance(void **state)
{
    (void)state;
    static const char *const names[] = {"none", "norm", "affine", "last"};
    double x[B * L * C], y[B * L * C];
    sqa_probe_normal(3, x, B * L * C);
    for (int i = 0; i < B * L * C; i++)
        x[i] = 5 * x[i] + i % C;
    for (int k = 0; k < 4; k++) {
        struct rig r;
        struct sqa_instance n;
        const enum sqa_instance_kind kind = sqa_instance_find(names[k]);
        assert_int_equal(kind, k);
        struct sqa_tensor *in = begin(&r, &task);
        run(&r, sqa_instance_norm(&r.c, in, kind, &n), x, NULL, y, B * L * C);
        for (int b = 0; b < B; b++)
            for (int c = 0; c < C; c++) {
                double sum = 0, squares = 0;
                for (int t = 0; t < L; t++)
                    sum += y[(b * L + t) * C + c];
                for (int t = 0; t < L; t++)
                    squares += pow(y[(b * L + t) * C + c] - sum / L, 2);
                assert_true(kind == SQA_INSTANCE_NONE || fabs(squares / L - 1) < 1e-4);
                assert_true(kind != SQA_INSTANCE_NORM || fabs(sum) < 1e-12);
                assert_true(kind != SQA_INSTANCE_LAST || fabs(y[(b * L + L - 1) * C + c]) < 1e-15);
            }
        end(&r);
        in = begin(&r, &task);
        in = sqa_instance_norm(&r.c, in, kind, &n);
        struct sqa_tensor *last = sqa_slice(&r.g, sqa_slice(&r.g, in, 1, L - H, H), 2, C - OUT, OUT);
        run(&r, sqa_instance_undo(&r.c, last, &n), x, NULL, y, B * H * OUT);
        for (int b = 0; b < B; b++)
            for (int t = 0; t < H; t++)
                for (int c = 0; c < OUT; c++)
                    assert_true(fabs(y[(b * H + t) * OUT + c] - x[(b * L + L - H + t) * C + C - OUT + c]) < 1e-8);
        const double counted = sqa_plan_flops(r.plan, SQA_PASS_FORWARD), closed = sqa_instance_flops(&r.c, kind);
        if (fabs(counted - closed) > 0.5)
            fail_msg("%s: %g flops counted, %g in closed form", names[k], counted, closed);
        end(&r);
    }
}

/* f(a x + b) = a f(x) + b for a > 0, per channel, up to the 1e-5 under the root. */
static void test_equivariance(void **state)
{
    (void)state;
    static const char *const models[] = {"transformer:dim=8,heads=2,ffn=6,layers=1,instance=norm",
                                         "transformer:dim=8,heads=2,ffn=6,layers=1,instance=affine",
                                         "no_mixer:dim=8,heads=2,ffn=6,layers=1,instance=last"};
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        double x[B * L * C], scaled[B * L * C], y[B * H * OUT], z[B * H * OUT], worst = 0;
        sqa_probe_normal(4, x, B * L * C);
        for (int i = 0; i < B * L * C; i++)
            scaled[i] = (2 + i % C) * x[i] - 7 + 3 * (i % C);
        struct sqa_probe_whole p = {.model = models[m], .task = task, .batch = B, .seed = 7, .real = SQA_F64, .x = x};
        if (sqa_probe_whole(&p, y, NULL, &err) != SQA_OK)
            fail_msg("%s: %s", models[m], err.text);
        p.x = scaled;
        assert_int_equal(sqa_probe_whole(&p, z, NULL, &err), SQA_OK);
        for (int i = 0; i < B * H * OUT; i++) {
            const int c = C - OUT + i % OUT;
            worst = fmax(worst, fabs((2 + c) * y[i] - 7 + 3 * c - z[i]));
        }
        assert_true(worst < 1e-3);
    }
    struct sqa_model *model;
    assert_int_equal(sqa_model_parse("transformer:instance=norm", &model, &err), SQA_OK);
    const struct sqa_signature labels = {.kind = SQA_CLASSIFY, .vocab = 7, .classes = 3, .length = 9};
    assert_int_equal(sqa_model_check(model, &labels, &err), SQA_UNSUPPORTED);
    assert_non_null(strstr(err.text, "instance=norm"));
    assert_non_null(strstr(model->short_form, "instance=norm"));
    sqa_model_free(model);
    assert_int_equal(sqa_model_parse("transformer", &model, &err), SQA_OK);
    assert_null(strstr(model->full_form, "instance"));
    sqa_model_free(model);
}

/* Two windows of two steps and two outputs, by hand. */
static void test_scores(void **state)
{
    (void)state;
    uint32_t index[2] = {0, 1};
    double y[8] = {1, 0, 2, -1, 0, 3, 1, 1}, f0[4] = {2, 0, 2, 1}, f1[4] = {0, 1, 2, 1}, steps[4] = {0};
    double units[12] = {10, 2, 4, 0, 1, 0, 10, 2, 4, 0, 1, 0}; /* the second output: naive error 0, not scaled */
    struct sqa_batch b = {.n = 2, .horizon = 2, .outputs = 2, .y = y, .index = index, .units = units};
    struct sqa_scoring s = {.by_step = steps};
    struct sqa_scores out;
    sqa_score_forecast(&s, &b, 0, f0);
    sqa_score_forecast(&s, &b, 1, f1);
    sqa_scoring_finish(&s, SQA_FORECAST, &out);
    /* errors 1 0 0 2 | 0 -2 1 0; of the first output twice as large in units */
    assert_true(fabs(out.mse - 10.0 / 8) < 1e-15 && fabs(out.mae - 6.0 / 8) < 1e-15);
    assert_true(fabs(out.rmse - sqrt((4 + 4 + 4 + 4) / 8.0)) < 1e-15);
    assert_true(fabs(out.mase - (2 + 0 + 0 + 2) / 4.0 / 4) < 1e-15);
    /* values 12 0 14 -1 | 10 3 12 1: one of them is 0 */
    assert_true(fabs(out.mape - 100 * (2.0 / 12 + 2 + 2.0 / 3 + 2.0 / 12) / 7) < 1e-12);
    /* 0 and 0 count as 0 */
    assert_true(fabs(out.smape - 200 * (2.0 / 26 + 2.0 / 2 + 2.0 / 4 + 2.0 / 26) / 8) < 1e-12);
    assert_true(fabs(steps[0] - 5) < 1e-15 && fabs(steps[1] - 3) < 1e-15);
    assert_true(fabs(steps[2] - 5) < 1e-15 && fabs(steps[3] - 3) < 1e-15);
    assert_true(out.mse >= out.mae * out.mae);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoder),      cmocka_unit_test(test_no_times), cmocka_unit_test(test_instance),
        cmocka_unit_test(test_equivariance), cmocka_unit_test(test_scores),
    };
    sqa_kernels_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
