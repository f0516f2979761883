/* test_forecast_models.c - forecasting models: parameter counts, slots of models, shapes for many channels,
 * recipes */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/recipe.h"
#include "models/probe.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct sqa_err err;

static struct sqa_signature forecast(int64_t length, int64_t channels, int64_t outputs, int64_t horizon,
                                     int64_t marks)
{
    return (struct sqa_signature){.kind = SQA_FORECAST,
                                  .length = length,
                                  .channels = channels,
                                  .outputs = outputs,
                                  .horizon = horizon,
                                  .season = 24,
                                  .marks = marks};
}

static int64_t parameters(const char *model, struct sqa_signature task)
{
    int64_t n = 0;
    const struct sqa_probe_whole p = {.model = model, .task = task, .batch = 1, .real = SQA_F32};
    if (sqa_probe_whole(&p, NULL, &n, &err) != SQA_OK)
        fail_msg("%s: %s", model, err.text);
    return n;
}

/* Beside the published counts, which the models' identities hold. */
static void parameter_counts(void **state)
{
    (void)state;
    assert_int_equal(parameters("linear", forecast(96, 321, 321, 720, 4)), 720 * 97);
    /* no weight depends on the number of channels */
    assert_int_equal(parameters("itransformer:dim=512,ffn=512,heads=8,layers=3", forecast(96, 21, 21, 96, 4)),
                     4833888);
    /* with biases in both embeddings, as Informer2020 */
    assert_int_equal(
        parameters("informer:dim=512,ffn=2048,heads=8,layers=2,embed_bias=1", forecast(96, 862, 862, 720, 4)),
        14393182 + 4 * 512);
}

/* Any mixer of the registry stands on the variates, on patches, and in the encoder. */
static void every_mixer_fits(void **state)
{
    static const char *const models[] = {"itransformer:dim=8,heads=2,ffn=6", "patchtst:dim=8,heads=2,ffn=6",
                                         "informer:dim=8,heads=2,ffn=6,label=4",
                                         "transformer_ed:dim=8,heads=2,ffn=6,label=4"};
    int built = 0;
    (void)state;
    for (int v = 0; sqa_variants[v]; v++) {
        for (size_t i = 0; i < COUNT(models) && sqa_variants[v]->slot == SQA_SLOT_MIXER; i++) {
            char spec[160];
            struct sqa_probe_whole p = {.task = forecast(48, 8, 3, 6, 4), .batch = 2, .seed = 3, .real = SQA_F64};
            double y[2 * 6 * 3];
            snprintf(spec, sizeof spec, "%s+mixer=%s", models[i], sqa_variants[v]->id);
            p.model = spec;
            const enum sqa_status status = sqa_probe_whole(&p, y, NULL, &err);
            if (status != SQA_OK && status != SQA_UNSUPPORTED)
                fail_msg("%s: %s", spec, err.text);
            for (int k = 0; k < 36 && status == SQA_OK; k++)
                assert_true(isfinite(y[k]));
            built += status == SQA_OK;
        }
    }
    assert_true(built > 40);
}

static void forms_and_refusals(void **state)
{
    static const struct {
        const char *spec, *shortest;
    } forms[] = {
        {"itransformer", "itransformer"},
        {"itransformer+mixer=transformer", "itransformer"},
        {"itransformer:dim=32,norm=none+mixer=performer:features=8",
         "itransformer:norm=none,dim=32+mixer=performer:features=8"},
        {"patchtst+mixer=realformer:projection_dropout=1", "patchtst"},
        {"patchtst+mixer=realformer", "patchtst+mixer=realformer"},
        {"patchtst+norm=layernorm", "patchtst+norm=layernorm"},
        {"itransformer:layers=4+mixer=(transformer local)", "itransformer:layers=4+mixer=(transformer*1 local*1)"},
    };
    static const struct {
        const char *spec, *says;
    } refused[] = {
        {"itransformer+pool=mean", "has no slot pool"},
        {"dlinear+mixer=local", "is a whole model and has no slots"},
        {"itransformer+mixer=nothing", "no mixer 'nothing'"},
        {"tsmixer+mixer=local", "is a whole model and has no slots"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct sqa_model *m, *again;
        if (sqa_model_parse(forms[i].spec, &m, &err) != SQA_OK)
            fail_msg("%s", err.text);
        if (i + 1 < COUNT(forms))
            assert_string_equal(m->short_form, forms[i].shortest);
        assert_int_equal(sqa_model_parse(m->full_form, &again, &err), SQA_OK);
        assert_string_equal(again->short_form, m->short_form);
        assert_string_equal(again->full_form, m->full_form);
        sqa_model_free(again);
        sqa_model_free(m);
    }
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct sqa_model *m;
        assert_int_equal(sqa_model_parse(refused[i].spec, &m, &err), SQA_USAGE);
        if (!strstr(err.text, refused[i].says))
            fail_msg("%s: %s", refused[i].spec, err.text);
    }
}

static void unfit_tasks_are_refused(void **state)
{
    static const struct {
        const char *spec, *says;
    } rows[] = {
        {"informer:label=49", "label=49 of a look-back of 48 rows"},
        {"transformer_ed:label=50", "give 0 to 48"},
        {"patchtst:patch=64,stride=8", "give a shorter patch"},
        {"patchtst:patch=16,stride=5", "give a stride that divides patch"},
        {"itransformer:instance=norm", "its own parameter is norm="},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct sqa_probe_whole p = {.model = rows[i].spec, .task = forecast(48, 8, 3, 6, 4), .batch = 2};
        assert_int_equal(sqa_probe_whole(&p, NULL, NULL, &err), SQA_UNSUPPORTED);
        if (!strstr(err.text, rows[i].says))
            fail_msg("%s: %s", rows[i].spec, err.text);
    }
}

/* Weights over time are for one look-back. */
static void another_length_is_refused(void **state)
{
    static const char *const models[] = {"linear",
                                         "linear:individual=1",
                                         "nlinear",
                                         "dlinear:individual=1",
                                         "dlinear",
                                         "tsmixer:dim=8",
                                         "itransformer:dim=8,ffn=6",
                                         "tide:dim=8",
                                         "patchtst:dim=8,ffn=6,patch=4,stride=2"};
    (void)state;
    for (size_t i = 0; i < COUNT(models); i++) {
        const struct sqa_probe_whole p = {
            .model = models[i], .task = forecast(24, 3, 3, 5, 4), .batch = 2, .length = 12, .real = SQA_F64};
        double y[2 * 3 * 5];
        memset(&err, 0, sizeof err);
        assert_int_equal(sqa_probe_whole(&p, y, NULL, &err), SQA_UNSUPPORTED);
        if (!strstr(err.text, "its weights are for 24 rows, not 12"))
            fail_msg("%s: %s", models[i], err.text);
    }
}

/* Closed forms hold, and every model builds, without times, with
 * one output of many channels, label 0 and horizons beyond the look-back. */
static void every_mode_builds(void **state)
{
    static const char *const models[] = {
        "linear",           "itransformer:dim=8,ffn=6",     "patchtst:dim=8,ffn=6,patch=4,stride=2", "tsmixer:dim=8",
        "tide:dim=8,ffn=6", "informer:dim=8,ffn=6,label=0", "transformer_ed:dim=8,ffn=6,label=0"};
    (void)state;
    for (size_t i = 0; i < COUNT(models); i++) {
        const struct sqa_signature tasks[] = {forecast(24, 1, 1, 5, 4), forecast(24, 7, 1, 5, 4),
                                              forecast(24, 7, 7, 1, 0), forecast(24, 2, 2, 30, 6)};
        for (size_t k = 0; k < COUNT(tasks); k++) {
            double y[7 * 30 * 2], flops = 0, closed = 0;
            const struct sqa_probe_whole p = {
                .model = models[i], .task = tasks[k], .batch = 2, .seed = 3, .real = SQA_F64};
            if (sqa_probe_whole(&p, y, NULL, &err) != SQA_OK ||
                sqa_probe_whole_cost(&p, &flops, &closed, &err) != SQA_OK)
                fail_msg("%s, task %zu: %s", models[i], k, err.text);
            if (!(fabs(flops - closed) <= 1e-9 * flops))
                fail_msg("%s, task %zu: closed form %.0f, graph %.0f", models[i], k, closed, flops);
        }
    }
}

/* Published rows: sizes follow data set, horizon and mode. */
static void recipes_follow_the_task(void **state)
{
    static const struct {
        const char *scale, *model, *task, *holds;
        double rate;
        int64_t batch, epochs;
    } rows[] = {
        {"itransformer", "itransformer", "etth1", "dim=256,ffn=256", 1e-4, 32, 10},
        {"itransformer", "itransformer", "etth1:horizon=720", "dim=512,ffn=512", 1e-4, 32, 10},
        {"itransformer", "itransformer+mixer=local", "traffic", "layers=4,dim=512,ffn=512", 1e-3, 16, 10},
        {"itransformer", "itransformer", "pems:set=08,horizon=48", "norm=none", 1e-3, 16, 10},
        {"itransformer", "itransformer", "pems:set=08", "layers=2,dim=512", 1e-4, 32, 10},
        {"patchtst", "patchtst", "etth2:lookback=336", "dim=16,heads=4,ffn=128,dropout=0.3", 1e-4, 128, 100},
        {"patchtst", "patchtst", "ili:lookback=104", "patch=24,stride=2", 2.5e-3, 16, 100},
        {"patchtst", "patchtst", "weather:lookback=336", "dim=128,heads=16,ffn=256", 1e-4, 128, 100},
        {"informer", "informer", "etth1:lookback=48,horizon=24", "+mixer=probsparse:factor=3", 1e-4, 32, 6},
        {"informer", "informer", "etth1", "padding=2,mix=0,decoder_layers=1,label=48,factor=3", 1e-4, 32, 10},
        {"informer", "informer", "etth2:lookback=720,horizon=720", "decoder_layers=2,label=336", 1e-4, 32, 6},
        {"informer", "informer", "ettm1:lookback=384,mode=S", "label=384", 1e-4, 32, 6},
        {"ltsf", "linear", "ettm2:lookback=336,horizon=336", "", 1e-2, 32, 10},
        {"ltsf", "dlinear", "exchange:lookback=336", "", 5e-4, 8, 10},
        {"ltsf", "nlinear", "etth1:lookback=336", "", 5e-3, 32, 10},
        {"tsl", "tide", "etth1", "decoder_layers=2,decode=7", 0.1, 512, 10},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sqa_arena arena = {0};
        struct sqa_recipe r;
        const char *defaults;
        if (sqa_recipe_resolve(rows[i].scale, rows[i].model, rows[i].task, "", &arena, &r, &defaults, &err) != SQA_OK)
            fail_msg("%s", err.text);
        const char *built = sqa_recipe_model(&arena, rows[i].model, defaults);
        struct sqa_model *m;
        if (!strstr(built, rows[i].holds) ||
            sqa_model_parse(rows[i].holds[0] ? built : rows[i].model, &m, &err) != SQA_OK)
            fail_msg("%s on %s: %s", rows[i].model, rows[i].task, built);
        sqa_model_free(m);
        assert_float_equal(r.rate, rows[i].rate, 1e-12);
        assert_int_equal(r.batch, rows[i].batch);
        assert_int_equal(r.epochs, rows[i].epochs);
        sqa_arena_clear(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts),        cmocka_unit_test(every_mixer_fits),
        cmocka_unit_test(forms_and_refusals),      cmocka_unit_test(unfit_tasks_are_refused),
        cmocka_unit_test(every_mode_builds),       cmocka_unit_test(another_length_is_refused),
        cmocka_unit_test(recipes_follow_the_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
