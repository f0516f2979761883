/* test_models.c - models as text, the frame, floors, whole models */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/plan.h"
#include "models/probe.h"

static void assert_near(double a, double b, double bound)
{
    if (!(fabs(a - b) <= bound))
        fail_msg("%.17g, want %.17g within %g", a, b, bound);
}

/* Text */

static void parses_to_canonical_forms(void **state)
{
    static const struct {
        const char *text, *short_form;
    } rows[] = {
        {"transformer", "transformer"},
        {"transformer:dim=64,layers=2,dropout=1e-1", "transformer"},
        {"transformer:dim=128,layers=4", "transformer:layers=4,dim=128"},
        {"transformer:dim=1K", "transformer:dim=1024"},
        {"transformer:dropout=0,bias=0,causal=1", "transformer:dropout=0,causal=1,bias=0"},
        {"transformer:dropout=1e-05", "transformer:dropout=1e-05"},
        {"local:dim=128,window=100", "local:window=100,dim=128"},
        {"transformer+mixer=local", "local"},
        {"transformer:layers=3+mixer=local:window=100", "local:window=100,layers=3"},
        {"transformer+mixer=(local)", "local"},
        {"transformer+mixer=(local local)", "local"},
        {"transformer+mixer=( local*2  )", "local"},
        {"transformer+mixer=(local*4)", "local:layers=4"},
        {"transformer:layers=4+mixer=(local mean_mixer)", "local:layers=4+mixer=(local mean_mixer)"},
        {"transformer+mixer=(local mean_mixer local)", "local:layers=3+mixer=(local mean_mixer)"},
        {"transformer+mixer=(local:window=100*2 local)", "local:layers=3+mixer=(local:window=100*2 local)"},
        {"mean_mixer+mixer=(local mean_mixer local mean_mixer)", "local:layers=4+mixer=(local mean_mixer)"},
        {"transformer+norm=rmsnorm+channel=swiglu", "transformer+channel=swiglu+norm=rmsnorm"},
        {"transformer+norm=layernorm+head=mlp_head", "transformer"},
        {"transformer+norm=layernorm:eps=1e-5", "transformer"},
        {"transformer+norm=layernorm:eps=0.001", "transformer+norm=layernorm:eps=0.001"},
        {"transformer+norm=layernorm:eps=1e-3+pool=last", "transformer+norm=layernorm:eps=0.001+pool=last"},
        {"transformer+norm=layernorm:eps=1e+0", "transformer+norm=layernorm:eps=1"},
        {"linformer:form=lra", "linformer:form=lra"}, /* rank 16 is its default there */
        {"linformer:form=lra,rank=16", "linformer:form=lra"},
        {"linformer:rank=256,form=lra", "linformer:rank=256,form=lra"},
        {"linformer:rank=16", "linformer:rank=16"},
        {"performer:kernel=softmax,features=2,form=lra", "performer:features=2,kernel=softmax,form=lra"},
        {"transformer+mixer=(linformer:form=lra local)", "linformer+mixer=(linformer:form=lra local)"},
        {"dlinear:individual=0,kernel=25", "dlinear"},
        {"dlinear:kernel=3", "dlinear:kernel=3"},
        {"seasonal_naive:period=24", "seasonal_naive:period=24"},
        {"majority", "majority"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sqa_err err = {0};
        struct sqa_model *m, *again;
        if (sqa_model_parse(rows[i].text, &m, &err) != SQA_OK)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_string_equal(m->short_form, rows[i].short_form);
        const char *const forms[2] = {m->short_form, m->full_form};
        for (int k = 0; k < 2; k++) {
            if (sqa_model_parse(forms[k], &again, &err) != SQA_OK)
                fail_msg("%s: %s", forms[k], err.text);
            assert_string_equal(again->short_form, m->short_form);
            assert_string_equal(again->full_form, m->full_form);
            assert_int_equal(again->mixers, m->mixers);
            sqa_model_free(again);
        }
        sqa_model_free(m);
    }
}

static void refuses_with_advice(void **state)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"", "the preset is missing"},
        {"transfomer", "did you mean 'transformer'"},
        {"quite_unlike_anything", "there are"},
        {"swiglu", "transformer+channel=swiglu"},
        {"transformer:", "a parameter's name is missing"},
        {"transformer:layers", "write layers=VALUE"},
        {"transformer:layers=", "whole number from 1 to 256"},
        {"transformer:layers=0", "whole number from 1 to 256"},
        {"transformer:layers=2.5", "whole number"},
        {"transformer:layers=99999999999999999999", "whole number"},
        {"transformer:layer=2", "did you mean 'layers'"},
        {"transformer:layers=2,layers=3", "given twice"},
        {"transformer:layers=2,,dim=3", "character 22: a parameter's name is missing"},
        {"transformer:dropout=2", "0 to 0.99"},
        {"transformer:dropout=nan", "number from 0"},
        {"transformer:dim=65", "not a multiple of heads"},
        {"transformer:dim=64:heads=2", "separated by ','"},
        {"transformer dim=64", "unexpected ' '"},
        {"transformer+", "a slot's name after '+' is missing"},
        {"transformer+norm", "write +norm=ITEM"},
        {"transformer+norm=", "an item is missing"},
        {"transformer+nrm=rmsnorm", "did you mean 'norm'"},
        {"transformer+norm=swiglu", "is a channel, not a norm"},
        {"transformer+norm=rmsnorn", "did you mean 'rmsnorm'"},
        {"transformer+norm=rmsnorm+norm=rmsnorm", "given twice"},
        {"transformer+norm=rmsnorm:dim=3", "write it after the preset"},
        {"transformer+channel=mlp:x=3", "it takes none"},
        {"transformer+model=dlinear", "no slot 'model'"},
        {"transformer+mixer=dlinear", "is a model, not a mixer"},
        {"transformer+mixer=()", "the stack is empty"},
        {"transformer+mixer=(", "not closed"},
        {"transformer+mixer=(local", "not closed"},
        {"transformer+mixer=((local))", "within a stack"},
        {"transformer+mixer=(local*0)", "from 1 to 256"},
        {"transformer+mixer=(local*)", "from 1 to 256"},
        {"transformer+mixer=(local*99999999999999999999)", "from 1 to 256"},
        {"transformer+mixer=(local*200 local*200)", "more than 256 layers"},
        {"transformer:layers=2+mixer=(local*3)", "leave layers= out"},
        {"local:window=16+mixer=transformer", "write it on the item of +mixer="},
        {"dlinear:dim=3", "has no parameter 'dim'"},
        {"dlinear+norm=rmsnorm", "has no slots"},
        {"majority:layers=2", "it takes none"},
        {"transformer\n", "byte 0x0a"},
        {"transform\xc3\xa9r", "byte 0xc3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sqa_err err = {0};
        struct sqa_model *m;
        assert_int_equal(sqa_model_parse(rows[i].text, &m, &err), SQA_USAGE);
        assert_null(m);
        if (!strstr(err.text, rows[i].part))
            fail_msg("%s: '%s' is not in '%s'", rows[i].text, rows[i].part, err.text);
        assert_null(strchr(err.text, '\n'));
    }
}

static void survives_hostile_text(void **state)
{
    static const char *const pieces[] = {"a", "(", "transformer+", "transformer:layers=2,", "*", "+mixer=(",
                                         "9", " "};
    const size_t size = 10u << 20;
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        for (size_t n = 100; n <= size; n = n < 60000 ? 60000 : n < size ? size : size + 1) {
            struct sqa_err err = {0};
            struct sqa_model *m;
            char *text = sqa_alloc(n + 1);
            assert_non_null(text);
            const size_t length = strlen(pieces[i]);
            for (size_t k = 0; k + length <= n; k += length)
                memcpy(text + k, pieces[i], length);
            assert_int_equal(sqa_model_parse(text, &m, &err), SQA_USAGE);
            assert_true(strlen(err.text) > 0 && !strchr(err.text, '\n'));
            sqa_free(text);
        }
    }
}

static void survives_failing_allocations(void **state)
{
    enum sqa_status status = SQA_NOMEM;
    (void)state;
    for (long n = 1; status != SQA_OK; n++) {
        struct sqa_err err = {0};
        struct sqa_model *m;
        assert_true(n < 1000);
        sqa_alloc_fail_at(n);
        status = sqa_model_parse("transformer+mixer=(local:window=100*2 mean_mixer)+norm=rmsnorm", &m, &err);
        sqa_alloc_fail_at(0);
        if (status == SQA_OK)
            sqa_model_free(m);
        else
            assert_int_equal(status, SQA_NOMEM);
    }
}

/* Frame */

static int64_t parameters(const char *model, const struct sqa_signature *task)
{
    struct sqa_err err = {0};
    int64_t n = 0;
    const struct sqa_probe_whole p = {.model = model, .task = *task, .batch = 1};
    if (sqa_probe_whole(&p, NULL, &n, &err) != SQA_OK)
        fail_msg("%s: %s", model, err.text);
    return n;
}

static void has_the_published_parameter_counts(void **state)
{
    static const struct {
        const char *model;
        int64_t vocab, classes, length, count;
    } rows[] = {
        {"transformer", 32, 10, 2048, 209802}, /* the lite protocol: ListOps, Text, Image, Pathfinder */
        {"transformer", 512, 2, 4096, 370562},
        {"transformer", 512, 10, 1024, 174986},
        {"transformer", 512, 2, 1024, 173954},
        {"transformer:bias=0", 32, 10, 2048, 209802 - 2 * 4 * 64},
        {"transformer+position=sinusoid", 32, 10, 2048, 209802 - 2048 * 64},
        {"transformer+norm=rmsnorm", 32, 10, 2048, 209802 - 5 * 64},
        {"transformer+norm=identity_norm", 32, 10, 2048, 209802 - 5 * 128},
        {"transformer+residual=postnorm", 32, 10, 2048, 209802 - 128},
        {"transformer+head=linear_head", 32, 10, 2048, 209802 - 8320 - 1290 + 650},
        {"transformer+channel=swiglu:hidden=88", 32, 10, 2048, 209802 - 2 * 16576 + 2 * 3 * 64 * 88},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct sqa_signature task = {
            .vocab = rows[i].vocab, .classes = rows[i].classes, .length = rows[i].length};
        const int64_t count = parameters(rows[i].model, &task);
        if (count != rows[i].count)
            fail_msg("%s, row %zu: %lld parameters, want %lld", rows[i].model, i, (long long)count,
                     (long long)rows[i].count);
    }
}

static const struct sqa_signature tokens = {.kind = SQA_CLASSIFY, .vocab = 7, .classes = 3, .length = 9};
static const struct sqa_signature series = {
    .kind = SQA_FORECAST, .length = 12, .channels = 3, .outputs = 2, .horizon = 5, .season = 4};
static const struct sqa_signature tags = {.kind = SQA_TAG, .vocab = 7, .classes = 3, .length = 9};

static void padding_leaves_logits(void **state)
{
    static const char *const models[] = {"transformer", "transformer+pool=last", "local:window=4",
                                         "transformer+residual=postnorm+position=sinusoid", "transformer:causal=1"};
    static const int32_t ids[6] = {1, 2, 3, 6, 5, 4}, padded[9] = {1, 2, 3, 6, 5, 4, 0, 3, 2}, length[1] = {6};
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct sqa_err err = {0};
        double y[3], z[3];
        struct sqa_probe_whole p = {
            .model = models[i], .task = tokens, .batch = 1, .real = SQA_F64, .tokens = padded, .lengths = length};
        assert_int_equal(sqa_probe_whole(&p, y, NULL, &err), SQA_OK);
        p.length = 6;
        p.tokens = ids;
        assert_int_equal(sqa_probe_whole(&p, z, NULL, &err), SQA_OK);
        assert_true(sqa_probe_difference(y, z, 3) < 1e-12);
        assert_true(fabs(y[0]) > 0);
    }
}

static void padding_leaves_tags(void **state)
{
    static const int32_t ids[6] = {1, 2, 3, 6, 5, 4}, padded[9] = {1, 2, 3, 6, 5, 4, 0, 3, 2}, length[1] = {6};
    struct sqa_err err = {0};
    double y[27], z[18];
    struct sqa_probe_whole p = {
        .model = "transformer", .task = tags, .batch = 1, .real = SQA_F64, .tokens = padded, .lengths = length};
    (void)state;
    assert_int_equal(sqa_probe_whole(&p, y, NULL, &err), SQA_OK);
    p.length = 6;
    p.tokens = ids;
    assert_int_equal(sqa_probe_whole(&p, z, NULL, &err), SQA_OK);
    assert_true(sqa_probe_difference(y, z, 18) < 1e-12);
    assert_true(sqa_probe_difference(y, y + 3, 3) > 1e-6);
}

/* The head on each position of tags is the head on the pooled position: pool last, true length t + 1, causal. */
static void tags_are_the_head_at_each_position(void **state)
{
    static const char *const models[] = {"transformer:causal=1,dim=8", "transformer:causal=1,dim=8+head=linear_head"};
    static const int32_t ids[9] = {1, 2, 3, 6, 5, 4, 1, 3, 2};
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct sqa_err err = {0};
        double y[27], z[3];
        char pooled[128];
        struct sqa_probe_whole p = {.model = models[i], .task = tags, .batch = 1, .real = SQA_F64, .tokens = ids};
        assert_int_equal(sqa_probe_whole(&p, y, NULL, &err), SQA_OK);
        snprintf(pooled, sizeof pooled, "%s+pool=last", models[i]);
        p.model = pooled;
        p.task = tokens;
        for (int32_t t = 0; t < 9; t++) {
            const int32_t length[1] = {t + 1};
            p.lengths = length;
            assert_int_equal(sqa_probe_whole(&p, z, NULL, &err), SQA_OK);
            assert_true(sqa_probe_difference(y + (ptrdiff_t)3 * t, z, 3) < 1e-12);
        }
    }
}

static void last_pool_reads_the_last_valid_position(void **state)
{
    static const int32_t a[9] = {1, 2, 3, 4, 5, 6, 1, 1, 1}, b[9] = {1, 2, 3, 4, 5, 2, 1, 1, 1}, length[1] = {5};
    struct sqa_err err = {0};
    double y[3], z[3];
    struct sqa_probe_whole p = {
        .model = "no_mixer+pool=last", .task = tokens, .batch = 1, .real = SQA_F64, .tokens = a, .lengths = length};
    (void)state;
    assert_int_equal(sqa_probe_whole(&p, y, NULL, &err), SQA_OK);
    p.tokens = b;
    assert_int_equal(sqa_probe_whole(&p, z, NULL, &err), SQA_OK);
    assert_memory_equal(y, z, sizeof y);
    static const int32_t six[1] = {6};
    p.lengths = six;
    assert_int_equal(sqa_probe_whole(&p, z, NULL, &err), SQA_OK);
    p.tokens = a;
    assert_int_equal(sqa_probe_whole(&p, y, NULL, &err), SQA_OK);
    assert_true(sqa_probe_difference(y, z, 3) > 1e-6);
}

/* Loss of the training graph against the mean of the evaluation's. */
static double first_output(struct sqa_model *m, const struct sqa_signature *task, enum sqa_mode mode,
                           const char *name, double *values, int n)
{
    struct sqa_err err = {0};
    struct sqa_store store;
    struct sqa_graph g;
    struct sqa_memory memory = {0};
    struct sqa_plan *plan;
    const struct sqa_tensor *t;
    double mean = 0;
    sqa_store_init(&store, SQA_F64, 3);
    sqa_graph_init(&g, SQA_F64, false);
    if (sqa_model_graph(m, task, &store, mode, 2, task->length, &g, &err) != SQA_OK)
        fail_msg("%s", err.text);
    assert_int_equal(sqa_store_seal(&store, mode == SQA_MODE_TRAIN, &err), SQA_OK);
    assert_int_equal(sqa_plan_make(&g, &memory, 1, &plan, &err), SQA_OK);
    static const char *const reals[] = {"x", "y"}, *const ints[] = {"tokens", "lengths", "labels"};
    for (int i = 0; i < 2; i++) {
        double *to = sqa_plan_input(plan, reals[i], &t);
        if (to)
            sqa_probe_normal((uint64_t)i, to, (size_t)sqa_numel(t));
    }
    for (int i = 0; i < 3; i++) {
        int32_t *to = sqa_plan_input(plan, ints[i], &t);
        for (int64_t k = 0; to && k < sqa_numel(t); k++)
            to[k] = i == 1                                     ? (int32_t)(task->length - k)
                    : i == 2 && task->kind == SQA_TAG && k % 5 ? -1
                                                               : (int32_t)(1 + k % 2);
    }
    assert_int_equal(sqa_plan_run(plan, 1, 0, NULL, NULL, &err), SQA_OK);
    const double *from = sqa_plan_output(plan, name, &t);
    assert_non_null(from);
    assert_int_equal(sqa_numel(t), n);
    for (int i = 0; i < n; i++)
        mean += (values[i] = from[i]) / n;
    sqa_plan_free(plan);
    sqa_memory_clear(&memory);
    sqa_store_clear(&store);
    return mean;
}

static void modes_agree(void **state)
{
    const struct sqa_signature *const tasks[3] = {&tokens, &series, &tags};
    static const int rows[3] = {2, 2, 18}, counted[3] = {2, 2, 4}; /* of losses; of those the ones with a label */
    (void)state;
    for (int k = 0; k < 3; k++) {
        struct sqa_err err = {0};
        struct sqa_model *m;
        const char *out = k == 1 ? "forecast" : "logits";
        const int n = k == 0 ? 2 * 3 : k == 1 ? 2 * 5 * 2 : 2 * 9 * 3;
        double a[54], b[54];
        assert_int_equal(sqa_model_parse("transformer:dropout=0,attention_dropout=0,dim=8", &m, &err), SQA_OK);
        const double loss = first_output(m, tasks[k], SQA_MODE_TRAIN, "loss", a, 1);
        assert_near(loss * counted[k] / rows[k], first_output(m, tasks[k], SQA_MODE_EVAL, "losses", a, rows[k]),
                    1e-12);
        assert_true(loss > 0);
        first_output(m, tasks[k], SQA_MODE_EVAL, out, a, n);
        first_output(m, tasks[k], SQA_MODE_INFER, out, b, n);
        assert_memory_equal(a, b, (size_t)n * sizeof *a);
        sqa_model_free(m);
    }
}

static void stacks_put_one_mixer_in_each_layer(void **state)
{
    struct sqa_err err = {0};
    struct sqa_model *m;
    struct sqa_store store;
    struct sqa_graph g;
    (void)state;
    assert_int_equal(sqa_model_parse("transformer:layers=3+mixer=(transformer mean_mixer)", &m, &err), SQA_OK);
    sqa_store_init(&store, SQA_F32, 1);
    sqa_graph_init(&g, SQA_F32, false);
    assert_int_equal(sqa_model_graph(m, &tokens, &store, SQA_MODE_INFER, 2, 9, &g, &err), SQA_OK);
    assert_non_null(sqa_store_find(&store, "blocks.0.mixer.wq.w"));
    assert_null(sqa_store_find(&store, "blocks.1.mixer.wq.w"));
    assert_non_null(sqa_store_find(&store, "blocks.1.mixer.wv.w"));
    assert_non_null(sqa_store_find(&store, "blocks.2.mixer.wq.b"));
    assert_non_null(sqa_store_find(&store, "blocks.2.final_norm.gain"));
    assert_null(sqa_store_find(&store, "blocks.1.final_norm.gain"));
    sqa_graph_clear(&g);
    sqa_store_clear(&store);
    sqa_model_free(m);
}

static void refuses_what_cannot_be_built(void **state)
{
    static const struct sqa_signature empty = {.kind = SQA_CLASSIFY, .vocab = 7, .classes = 3};
    static const struct {
        const char *model;
        const struct sqa_signature *task;
        const char *part;
    } rows[] = {
        {"dlinear", &tokens, "take a forecasting task"},
        {"nlinear", &tokens, "take a forecasting task"},
        {"dlinear:kernel=4", &series, "take 3 or 5"},
        {"majority", &series, "take repeat_last"},
        {"first_token", &series, "take repeat_last"},
        {"repeat_last", &tokens, "take majority"},
        {"seasonal_naive", &tokens, "take majority"},
        {"transformer", &empty, "no positions"},
        {"dlinear", &tags, "take a forecasting task"},
        {"first_token", &tags, "for tags and reals take majority"},
        {"transformer+pool=last", &tags, "leave +pool= out"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sqa_err err = {0};
        struct sqa_model *m;
        assert_int_equal(sqa_model_parse(rows[i].model, &m, &err), SQA_OK);
        assert_int_equal(sqa_model_check(m, rows[i].task, &err), SQA_UNSUPPORTED);
        if (!strstr(err.text, rows[i].part))
            fail_msg("%s: '%s' is not in '%s'", rows[i].model, rows[i].part, err.text);
        sqa_model_free(m);
    }
}

static void graphs_survive_failing_allocations(void **state)
{
    static const char *const models[] = {"transformer:layers=1,dim=4+pool=last+position=sinusoid", "dlinear"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        enum sqa_status status = SQA_NOMEM;
        for (long n = 1; status != SQA_OK; n += 3) {
            struct sqa_err err = {0};
            double worst;
            const struct sqa_probe_whole p = {.model = models[i], .task = i ? series : tokens, .batch = 1};
            assert_true(n < 2000);
            sqa_alloc_fail_at(n);
            status = sqa_probe_whole_gradient(&p, &worst, &err);
            sqa_alloc_fail_at(0);
            if (status != SQA_OK && status != SQA_NOMEM)
                fail_msg("allocation %ld of %s: %s", n, models[i], err.text);
        }
    }
}

/* Floors */

static void *floor_of(const char *spec, const struct sqa_signature *task, struct sqa_model **m,
                      struct sqa_arena *arena)
{
    struct sqa_err err = {0};
    assert_int_equal(sqa_model_parse(spec, m, &err), SQA_OK);
    assert_true(sqa_model_is_floor(*m));
    assert_int_equal((*m)->preset.variant->begin((*m)->preset.self, task, arena, &err), SQA_OK);
    return (*m)->preset.self;
}

static void guesses_labels(void **state)
{
    int32_t ids[12] = {1, 5, 1, 5, 2, 5, 2, 6, 2, 1, 3, 0}, lengths[6] = {2, 2, 2, 2, 2, 1};
    int32_t labels[6] = {2, 2, 1, 0, 1, 1}, out[6];
    const struct sqa_batch b = {.n = 6, .length = 2, .tokens = ids, .lengths = lengths, .labels = labels};
    int32_t asked[8] = {1, 0, 2, 0, 6, 0, 3, 0}, asked_lengths[4] = {1, 1, 1, 1};
    const struct sqa_batch q = {.n = 4, .length = 2, .tokens = asked, .lengths = asked_lengths};
    static const int32_t majority[4] = {1, 1, 1, 1}, first[4] = {2, 1, 1, 1};
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct sqa_err err = {0};
        struct sqa_arena arena = {0};
        struct sqa_model *m;
        void *self = floor_of(k ? "first_token" : "majority", &tokens, &m, &arena);
        const struct sqa_variant *v = m->preset.variant;
        assert_int_equal(v->see(self, &b, &err), SQA_OK);
        assert_int_equal(v->predict(self, &q, out, NULL, &err), SQA_OK);
        assert_memory_equal(out, k ? first : majority, sizeof majority);
        labels[0] = 3;
        assert_int_equal(v->see(self, &b, &err), SQA_INPUT);
        labels[0] = 2;
        sqa_arena_clear(&arena);
        sqa_model_free(m);
    }
}

static void guesses_tags(void **state)
{
    int32_t labels[6] = {2, -1, 2, 1, -1, -1}, out[4] = {0};
    const struct sqa_batch b = {.n = 2, .length = 3, .labels = labels}, q = {.n = 2, .length = 2};
    static const int32_t majority[4] = {2, 2, 2, 2};
    struct sqa_err err = {0};
    struct sqa_arena arena = {0};
    struct sqa_model *m;
    void *self = floor_of("majority", &tags, &m, &arena);
    const struct sqa_variant *v = m->preset.variant;
    (void)state;
    assert_int_equal(v->see(self, &b, &err), SQA_OK);
    assert_int_equal(v->predict(self, &q, out, NULL, &err), SQA_OK);
    assert_memory_equal(out, majority, sizeof majority);
    labels[1] = -2;
    assert_int_equal(v->see(self, &b, &err), SQA_INPUT);
    sqa_arena_clear(&arena);
    sqa_model_free(m);
}

/* Rows 0, 1, 2, ... of three channels: channel c of row t is 10 t + c. */
static void repeats_rows(void **state)
{
    static const struct {
        const char *floor;
        int64_t length, past; /* rows of the look-back, and of the whole history (0: none given) */
        enum sqa_status status;
        int64_t row[5]; /* of the forecasts, counted from the last row of x = 0 backwards */
    } rows[] = {
        {"repeat_last", 6, 0, SQA_OK, {0, 0, 0, 0, 0}},
        {"seasonal_naive:period=1", 6, 0, SQA_OK, {0, 0, 0, 0, 0}},
        {"seasonal_naive:period=3", 6, 0, SQA_OK, {2, 1, 0, 2, 1}},
        {"seasonal_naive", 6, 0, SQA_OK, {3, 2, 1, 0, 3}}, /* the task's season is 4 */
        {"seasonal_naive:period=6", 6, 0, SQA_OK, {5, 4, 3, 2, 1}},
        {"seasonal_naive:period=7", 6, 0, SQA_INPUT, {0}},
        {"seasonal_naive:period=7", 6, 9, SQA_OK, {6, 5, 4, 3, 2}},
        {"seasonal_naive:period=9", 6, 9, SQA_OK, {8, 7, 6, 5, 4}},
        {"seasonal_naive:period=10", 6, 9, SQA_INPUT, {0}},
    };
    double all[20 * 3];
    (void)state;
    for (int i = 0; i < 60; i++)
        all[i] = 10 * (i / 3) + i % 3;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sqa_err err = {0};
        struct sqa_arena arena = {0};
        struct sqa_model *m;
        double y[5 * 2];
        int64_t start[1] = {20 - rows[i].past}, count[1] = {rows[i].past};
        void *self = floor_of(rows[i].floor, &series, &m, &arena);
        const struct sqa_batch b = {.n = 1,
                                    .length = rows[i].length,
                                    .channels = 3,
                                    .horizon = 5,
                                    .outputs = 2,
                                    .x = all + 3 * (20 - rows[i].length),
                                    .past = rows[i].past ? all : NULL,
                                    .past_start = start,
                                    .past_count = count};
        assert_int_equal(m->preset.variant->predict(self, &b, NULL, y, &err), rows[i].status);
        for (int k = 0; k < 10 && rows[i].status == SQA_OK; k++)
            assert_near(y[k], 10 * (double)(19 - rows[i].row[k / 2]) + 1 + k % 2, 0);
        sqa_arena_clear(&arena);
        sqa_model_free(m);
    }
}

/* Whole models */

static void fill_weights(struct sqa_store *s, void *user)
{
    (void)user;
    uint64_t key = 1;
    for (struct sqa_entry *e = s->first; e; e = e->next)
        sqa_probe_normal(key++, e->value, (size_t)e->count);
}

/* By the definition, with weights as fill_weights sets them. */
static void dlinear_equals_its_definition(void **state)
{
    enum { L = 12, H = 5, C = 3, O = 2, B = 2, K = 5 };
    double x[B * L * C], y[B * H * O];
    (void)state;
    for (int individual = 0; individual < 2; individual++) {
        double w[2][O * L * H], bias[2][O * H];
        struct sqa_err err = {0};
        const int per = individual ? O : 1;
        for (int k = 0; k < 2; k++) {
            sqa_probe_normal((uint64_t)(2 * k + 1), w[k], (size_t)(per * L * H));
            sqa_probe_normal((uint64_t)(2 * k + 2), bias[k], (size_t)(per * H));
        }
        sqa_probe_normal(99, x, B * L * C);
        const struct sqa_probe_whole p = {.model = individual ? "dlinear:kernel=5,individual=1" : "dlinear:kernel=5",
                                          .task = series,
                                          .batch = B,
                                          .real = SQA_F64,
                                          .x = x,
                                          .edit = fill_weights};
        assert_int_equal(sqa_probe_whole(&p, y, NULL, &err), SQA_OK);
        for (int i = 0; i < B * H * O; i++) {
            const int b = i / (H * O), h = i / O % H, o = i % O, own = individual ? o : 0;
            double want = bias[0][own * H + h] + bias[1][own * H + h];
            for (int t = 0; t < L; t++) {
                double trend = 0;
                for (int d = -K / 2; d <= K / 2; d++) {
                    const int at = t + d < 0 ? 0 : t + d >= L ? L - 1 : t + d;
                    trend += x[(b * L + at) * C + 1 + o] / K;
                }
                want += trend * w[0][(own * L + t) * H + h];
                want += (x[(b * L + t) * C + 1 + o] - trend) * w[1][(own * L + t) * H + h];
            }
            assert_near(y[i], want, 1e-12);
        }
    }
}

static void counts_linear_parameters(void **state)
{
    static const struct sqa_signature etth = {
        .kind = SQA_FORECAST, .length = 96, .channels = 7, .outputs = 7, .horizon = 720};
    (void)state;
    assert_int_equal(parameters("dlinear", &etth), 139680);
    assert_int_equal(parameters("dlinear:individual=1", &etth), 7 * 139680);
    assert_int_equal(parameters("nlinear", &etth), 720 * 97);
    assert_int_equal(parameters("nlinear:individual=1", &etth), 7 * 720 * 97);
}

/* verify */

static bool matches(void *user, const char *id)
{
    static const char *const ids[] = {"dlinear", "nlinear",  "swiglu",   "rmsnorm",       "last",
                                      "prenorm", "no_mixer", "majority", "seasonal_naive"};
    (void)user;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (strcmp(ids[i], id) == 0)
            return true;
    return false;
}

static void report(void *user, const struct sqa_check_result *r)
{
    (*(int *)user)++;
    if (r->status == SQA_NO)
        print_error("%s: %s: %s\n", r->subject, r->check, r->text);
}

static void verifies(void **state)
{
    struct sqa_err err = {0};
    int count = 0;
    (void)state;
    assert_int_equal(sqa_verify(matches, report, &count, &err), SQA_OK);
    assert_true(count > 50);
}

static void wrong_gradients_and_costs_show(void **state)
{
    double worst = 0;
    struct sqa_err err = {0};
    (void)state;
    const double a[3] = {1, 2, 3}, b[3] = {1, 2.5, 3}, c[3] = {1, (double)NAN, 3};
    assert_near(sqa_probe_difference(a, b, 3), 0.125, 1e-15);
    assert_true(isnan(sqa_probe_difference(c, b, 3)) && isnan(sqa_probe_difference(b, c, 3)));
    assert_int_equal(sqa_probe_expect("x", sqa_probe_difference(c, b, 3), 1, &err), SQA_NO);
    const struct sqa_probe p = {.item = "dlinear", .batch = 1, .length = 4, .dim = 8, .heads = 2};
    assert_int_equal(sqa_probe_gradient(&p, &worst, &err), SQA_USAGE);
}

static void registry_is_sound(void **state)
{
    (void)state;
    for (const struct sqa_variant *const *v = sqa_variants; *v; v++) {
        assert_ptr_equal(sqa_variant_find((*v)->id), *v);
        assert_true((*v)->title && (*v)->source && (*v)->complexity);
        if ((*v)->slot == SQA_SLOT_FLOOR)
            assert_true((*v)->begin && (*v)->predict);
        else
            assert_true((*v)->build || (*v)->slot == SQA_SLOT_CHANNEL);
        for (const struct sqa_param *p = (*v)->params; p && p->name; p++) {
            assert_true(p->help && p->fallback && p->offset < (*v)->self_size);
            assert_null(sqa_params_find(sqa_frame_params, p->name));
        }
    }
    assert_null(sqa_variant_find("no such"));
    assert_string_equal(sqa_slot_name(SQA_SLOT_RESIDUAL), "residual");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_is_sound),
        cmocka_unit_test(parses_to_canonical_forms),
        cmocka_unit_test(refuses_with_advice),
        cmocka_unit_test(survives_hostile_text),
        cmocka_unit_test(survives_failing_allocations),
        cmocka_unit_test(has_the_published_parameter_counts),
        cmocka_unit_test(padding_leaves_logits),
        cmocka_unit_test(padding_leaves_tags),
        cmocka_unit_test(tags_are_the_head_at_each_position),
        cmocka_unit_test(last_pool_reads_the_last_valid_position),
        cmocka_unit_test(modes_agree),
        cmocka_unit_test(stacks_put_one_mixer_in_each_layer),
        cmocka_unit_test(refuses_what_cannot_be_built),
        cmocka_unit_test(graphs_survive_failing_allocations),
        cmocka_unit_test(guesses_labels),
        cmocka_unit_test(guesses_tags),
        cmocka_unit_test(repeats_rows),
        cmocka_unit_test(dlinear_equals_its_definition),
        cmocka_unit_test(counts_linear_parameters),
        cmocka_unit_test(verifies),
        cmocka_unit_test(wrong_gradients_and_costs_show),
    };
    sqa_kernels_init();
    return cmocka_run_group_tests_name("models", tests, NULL, NULL);
}
