/* test_protocol.c - published protocols: recipes x models x tasks, parameter counts, rates, padding of whole models
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "engine/plan.h"
#include "harness/recipe.h"
#include "models/probe.h"
#include "tasks/task.h"

#define COUNT(x) (sizeof(x) / sizeof(x)[0])

static struct sqa_arena arena;

static int find_recipes(void **state)
{
    (void)state;
    return setenv("SEQARENA_RECIPES", "recipes", 1);
}

static int clear(void **state)
{
    (void)state;
    sqa_arena_clear(&arena);
    return 0;
}

static struct sqa_recipe resolve(const char *scale, const char *model, const char *task, const char **defaults)
{
    struct sqa_recipe r;
    struct sqa_err err = {0};
    if (sqa_recipe_resolve(scale, model, task, "", &arena, &r, defaults, &err) != SQA_OK)
        fail_msg("%s", err.text);
    return r;
}

/* Each name of recipes/, NULL at the end. */
static char *next_name(char **rest)
{
    char *line;
    while ((line = strsep(rest, "\n")) && !*line)
        ;
    return line;
}

static void every_row_has_a_source(void **state)
{
    struct sqa_text names = {0};
    (void)state;
    sqa_recipe_list(&names);
    char *rest = names.text;
    int recipes = 0;
    for (char *name; (name = next_name(&rest)); recipes++) {
        char path[4096], *text, *lines;
        size_t size;
        struct sqa_err err = {0};
        assert_int_equal(sqa_recipe_path(name, path, &err), SQA_OK);
        assert_int_equal(sqa_file_read(path, 1 << 20, &text, &size, &err), SQA_OK);
        if (sqa_recipe_check(path, text, &err) != SQA_OK)
            fail_msg("%s", err.text);
        const char *open = NULL; /* the row that has none so far */
        lines = text;
        for (char *line; (line = strsep(&lines, "\n"));) {
            if (line[0] == '[' && open)
                break;
            if (line[0] == '[')
                open = line;
            if (strncmp(line, "source = ", 9) == 0)
                open = NULL;
        }
        if (open)
            fail_msg("recipes/%s.ini: %s has no source", name, open);
        sqa_free(text);
    }
    assert_true(recipes >= 9);
    sqa_text_clear(&names);
}

/* Tasks of the arena and of the registry. Positions are few: graphs are built, not run. */
static const struct {
    const char *task;
    struct sqa_signature is;
} arena_tasks[] = {
    {"listops", {.kind = SQA_CLASSIFY, .vocab = 16, .classes = 10, .length = 64}},
    {"text", {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 2, .length = 64}},
    {"text:length=1000", {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 2, .length = 64}},
    {"image", {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 10, .length = 64}},
    {"image:form=lra", {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 10, .length = 64, .blank = 1}},
    {"image:input=reals", {.kind = SQA_CLASSIFY, .channels = 1, .classes = 10, .length = 64}},
    {"pathfinder", {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 2, .length = 64}},
    {"pathfinder:form=lra", {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 2, .length = 64, .blank = 1}},
    {"pathfinder:level=easy", {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 2, .length = 64}},
    {"pathfinder:size=64", {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 2, .length = 64}},
    {"pathfinder:size=128,level=hard", {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 2, .length = 64}},
    {"pathfinder:size=256", {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 2, .length = 64}},
    {"reverse", {.kind = SQA_TAG, .vocab = 16, .classes = 16, .length = 64}},
    {"etth1", {.kind = SQA_FORECAST, .channels = 7, .outputs = 7, .horizon = 24, .season = 24, .length = 64}},
};

/* A part that a recipe names and this build has not. */
static bool is_missing_part(const char *text)
{
    return strstr(text, "no norm '") || strstr(text, "no slot '") || strstr(text, "no pair '");
}

static int build(const char *recipe, const char *model, const char *task, const struct sqa_signature *is)
{
    const char *defaults;
    struct sqa_err err = {0};
    struct sqa_model *m;
    const struct sqa_recipe r = resolve(recipe, model, task, &defaults);
    const struct sqa_variant *v = sqa_variant_find(model); /* not of a text with parameters: a mixer */
    const bool framed = !v || v->slot == SQA_SLOT_MIXER;
    const char *spec = sqa_recipe_model(&arena, model, framed ? defaults : "");
    assert_true(r.source && *r.source && r.batch > 0);
    enum sqa_status status = sqa_model_parse(spec, &m, &err);
    if (status != SQA_OK) {
        if (!is_missing_part(err.text) || !strstr(err.text, "; "))
            fail_msg("%s on %s: %s", recipe, task, err.text);
        return 0;
    }
    int built = 0;
    if (sqa_model_check(m, is, &err) == SQA_OK && !sqa_model_is_floor(m)) {
        struct sqa_store store;
        struct sqa_graph g;
        sqa_store_init(&store, SQA_F32, 1);
        sqa_graph_init(&g, SQA_F32, true);
        status = sqa_model_graph(m, is, &store, SQA_MODE_TRAIN, 2, is->length, &g, &err);
        if (status != SQA_OK)
            fail_msg("%s, %s on %s: %s", recipe, spec, task, err.text);
        sqa_graph_clear(&g);
        sqa_store_clear(&store);
        built = 1;
    }
    sqa_model_free(m);
    return built;
}

static void recipes_models_and_tasks_go_together(void **state)
{
    struct sqa_text names = {0};
    (void)state;
    sqa_recipe_list(&names);
    char *rest = names.text;
    int built = 0;
    for (char *name; (name = next_name(&rest));) {
        for (int v = 0; sqa_variants[v]; v++) {
            const enum sqa_slot slot = sqa_variants[v]->slot;
            if (slot != SQA_SLOT_MIXER && slot != SQA_SLOT_MODEL)
                continue;
            for (size_t t = 0; t < COUNT(arena_tasks); t++)
                built += build(name, sqa_variants[v]->id, arena_tasks[t].task, &arena_tasks[t].is);
            sqa_arena_clear(&arena);
        }
        for (int v = 0; sqa_variants[v]; v++) /* rows of the registry's other tasks match or not, but resolve */
            for (int k = 0; sqa_tasks[k]; k++) {
                const char *defaults;
                resolve(name, sqa_variants[v]->id, sqa_tasks[k]->id, &defaults);
                sqa_arena_clear(&arena);
            }
    }
    assert_true(built > 300);
    sqa_text_clear(&names);
}

/* The eleven models as the LRA code ran them, on all of its tasks. */
static void lra_forms_build(void **state)
{
    static const char *const models[] = {"transformer",
                                         "local:form=lra",
                                         "sparse_transformer:form=lra",
                                         "longformer:form=lra",
                                         "linformer:form=lra",
                                         "reformer:form=lra",
                                         "sinkhorn_transformer:form=lra",
                                         "synthesizer:form=lra",
                                         "bigbird:form=lra",
                                         "linear_transformer:form=lra",
                                         "performer:form=lra"};
    static const char *const tasks[] = {"listops", "text", "image:form=lra", "pathfinder:form=lra"};
    (void)state;
    for (size_t i = 0; i < COUNT(models); i++)
        for (size_t k = 0; k < COUNT(tasks); k++) {
            size_t t = 0;
            while (strcmp(arena_tasks[t].task, tasks[k]) != 0)
                t++;
            if (!build("lra-paper", models[i], tasks[k], &arena_tasks[t].is))
                fail_msg("%s on %s is not built", models[i], tasks[k]);
            sqa_arena_clear(&arena);
        }
}

/* The mixer's own parameters and slots stand where the text leaves them open, and nowhere else. */
static void defaults_fill_what_is_open(void **state)
{
    static const struct {
        const char *spec, *defaults, *full;
    } rows[] = {
        {"transformer", "", "transformer"},
        {"transformer", "dim=8", "transformer:dim=8"},
        {"local:window=3", "dim=8,window=64", "local:window=3,dim=8"},
        {"local:dim=4,window=3", "dim=8,heads=1,window=64", "local:dim=4,window=3,heads=1"},
        {"local:ffn=4", "f=8,window=64", "local:ffn=4,f=8,window=64"},
        {"transformer", "dim=8+pool=cls+norm=layernorm:eps=1e-6,x=2",
         "transformer:dim=8+pool=cls+norm=layernorm:eps=1e-6,x=2"},
        {"transformer+pool=last", "+pool=cls+position=sinusoid", "transformer+pool=last+position=sinusoid"},
        {"transformer:dim=2+norm=rmsnorm+pool=mean", "dim=8+norm=layernorm:eps=1e-6+pool=cls",
         "transformer:dim=2+norm=rmsnorm+pool=mean"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(sqa_recipe_model(&arena, rows[i].spec, rows[i].defaults), rows[i].full);
    const char *defaults;
    resolve("lra-paper", "local", "image", &defaults);
    const char *spec = sqa_recipe_model(&arena, "local", defaults);
    assert_non_null(strstr(spec, "window=64"));
    assert_non_null(strstr(spec, "+pool=mean"));
    struct sqa_model *m;
    struct sqa_err err = {0};
    spec = sqa_recipe_model(&arena, "transformer+mixer=local", defaults); /* its own parameters cannot be reached */
    assert_int_equal(sqa_model_parse(spec, &m, &err), SQA_USAGE);
}

/* Counts that lra.md section 8 derives and users of the code report (issue 2). */
static void lra_paper_has_the_published_sizes(void **state)
{
    static const struct {
        const char *model, *task;
        int64_t vocab, classes, length, count;
    } rows[] = {
        {"no_mixer", "image", 256, 10, 1024, 52266 - 2048}, /* the base config, but wq and wk */
        {"transformer", "image", 256, 10, 1024, 248458},
        {"linear_transformer", "image", 256, 10, 1024, 248458},
        {"no_mixer", "pathfinder:size=128", 256, 2, 16384, 537954 - 1024},
        {"transformer", "pathfinder:size=128", 256, 2, 16384, 537954},
        {"transformer", "pathfinder:size=64", 256, 2, 4096, 153186},
        {"transformer", "pathfinder:size=256", 256, 2, 65536, 2119266},
        {"transformer", "pathfinder", 256, 2, 1024, 26530},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *defaults;
        int64_t n = 0;
        struct sqa_err err = {0};
        resolve("lra-paper", rows[i].model, rows[i].task, &defaults);
        const struct sqa_probe_whole p = {.model = sqa_recipe_model(&arena, rows[i].model, defaults),
                                          .task = {.kind = SQA_CLASSIFY,
                                                   .vocab = rows[i].vocab,
                                                   .classes = rows[i].classes,
                                                   .length = rows[i].length},
                                          .batch = 1};
        if (sqa_probe_whole(&p, NULL, &n, &err) != SQA_OK)
            fail_msg("%s", err.text);
        if (n != rows[i].count)
            fail_msg("%s on %s: %lld parameters, want %lld", rows[i].model, rows[i].task, (long long)n,
                     (long long)rows[i].count);
    }
}

/* Retrieval's tower, without the pair: two rows enter its head there. */
static void a_retrieval_tower_has_the_published_size(void **state)
{
    int64_t n = 0;
    struct sqa_err err = {0};
    const struct sqa_probe_whole p = {
        .model = "transformer:layers=4,dim=128,heads=4,ffn=512,bias=0+pool=first+position=sinusoid+head=mlp_head:"
                 "second=256",
        .task = {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 2, .length = 100},
        .batch = 1};
    (void)state;
    assert_int_equal(sqa_probe_whole(&p, NULL, &n, &err), SQA_OK);
    assert_int_equal(n, 1087618 - 128 * 512);
}

static double rate(const char *task, int64_t step)
{
    const char *defaults;
    struct sqa_schedule c;
    const struct sqa_recipe r = resolve("lra-paper", "transformer", task, &defaults);
    sqa_recipe_schedule(&r, 1, r.steps, &c);
    return r.rate * sqa_schedule_factor(&c, step);
}

/* A step is counted from 1 here and from 0 there: step s there is step s + 1. */
static void rates_are_those_of_the_code(void **state)
{
    static const struct {
        const char *task;
        int64_t step;
        double rate;
    } rows[] = {
        {"listops", 0, 0}, /* A, w = 1000: 0.05 min(1, s / w) / sqrt(max(s, w)) */
        {"listops", 1, 0.05 / 1000 / 31.622776601683793},
        {"listops", 1000, 0.05 / 31.622776601683793},
        {"listops", 2000, 0.05 / 44.721359549995796},
        {"text", 8000, 5.5901699437494745e-4},
        {"retrieval", 4999, 0.05 * 4999 / 8000 / 89.442719099991588},
        {"image", 0, 0}, /* B, w = 175, cycle 35000: half a turn of the cosine, times the warm-up */
        {"image", 1, 0.0005 / 175},
        {"image", 175, 0.0005},
        {"image", 350, 0.0005 * 0.5 * (1 + 0.99987663248166059)}, /* cos(pi / 200) */
        {"image", 175 + 17500, 0.00025},
        {"pathfinder", 0, 0},
        {"pathfinder", 312, 0.001},
        {"pathfinder", 624, 0.001 * 0.5 * (1 + 0.99987663248166059)},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const double got = rate(rows[i].task, rows[i].step + 1);
        if (!(fabs(got - rows[i].rate) <= 1e-15))
            fail_msg("%s, step %lld: rate %.17g, want %.17g", rows[i].task, (long long)rows[i].step, got,
                     rows[i].rate);
    }
    const struct sqa_schedule luna = {.kind = SQA_SCHEDULE_INVERSE_SQRT, .warmup = 100};
    assert_true(fabs(sqa_schedule_factor(&luna, 50) - 0.5) < 1e-15 && sqa_schedule_factor(&luna, 100) >= 1 &&
                fabs(sqa_schedule_factor(&luna, 400) - 0.5) < 1e-15);
}

/* decay = 1 at rate 0.1 takes a tenth of each parameter that has no gradient: weights alone, or all of them. */
static void decay_reaches_what_it_should(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        struct sqa_store s;
        struct sqa_err err = {0};
        const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1};
        const struct sqa_optim o = {.kind = SQA_OPTIM_ADAMW,
                                    .beta1 = 0.9,
                                    .beta2 = 0.98,
                                    .eps = 1e-9,
                                    .decay = 1,
                                    .rate = 0.1,
                                    .decay_all = all != 0};
        sqa_store_init(&s, SQA_F64, 1);
        for (int group = 0; group < SQA_GROUPS; group++) {
            char name[2] = {(char)('a' + group), 0};
            const int64_t dim[1] = {3};
            assert_non_null(sqa_store_declare(&s, name, SQA_PARAMETER, (enum sqa_group)group, 1, dim, one, &err));
        }
        assert_int_equal(sqa_store_seal(&s, true, &err), SQA_OK);
        sqa_optim_step(&o, &s, 1, 1, 0, 1);
        for (const struct sqa_entry *e = s.first; e; e = e->next) {
            const double want = all || e->group == SQA_GROUP_REGULAR ? 0.9 : 1;
            assert_true(fabs(*(const double *)e->value - want) < 1e-15);
        }
        sqa_store_clear(&s);
    }
}

/* A vector in front: with no mixer the answer is the same for every sequence; with one it is not. */
static void the_vector_in_front_reads_by_mixing(void **state)
{
    static const struct sqa_signature task = {.kind = SQA_CLASSIFY, .vocab = 7, .classes = 3, .length = 9};
    static const int32_t ids[2 * 9] = {1, 2, 3, 4, 5, 6, 1, 2, 3, 6, 5, 4, 3, 2, 1, 0, 0, 0}, lengths[2] = {9, 6};
    static const char *const models[] = {"no_mixer+pool=cls", "transformer+pool=cls"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        double y[6];
        struct sqa_err err = {0};
        const struct sqa_probe_whole p = {
            .model = models[i], .task = task, .batch = 2, .real = SQA_F64, .tokens = ids, .lengths = lengths};
        assert_int_equal(sqa_probe_whole(&p, y, NULL, &err), SQA_OK);
        assert_true((sqa_probe_difference(y, y + 3, 3) > 1e-6) == (i == 1));
    }
    struct sqa_model *m;
    struct sqa_err err = {0};
    assert_int_equal(sqa_model_parse("transformer:causal=1+pool=cls", &m, &err), SQA_OK);
    assert_int_equal(sqa_model_check(m, &task, &err), SQA_UNSUPPORTED);
    assert_non_null(strstr(err.text, "; use "));
    sqa_model_free(m);
}

/* transformer:kernel=dense: the numbers and the cost of tiles, and memory that grows with the square. */
static void dense_attention_is_the_same_and_takes_more_memory(void **state)
{
    enum { B = 2, L = 70, D = 16 };
    static double x[B * L * D], y[B * L * D], z[B * L * D];
    static const int32_t ragged[B] = {L, 37};
    (void)state;
    sqa_probe_normal(1, x, B * L * D);
    for (int mode = 0; mode < 8; mode++) {
        struct sqa_err err = {0};
        double worst = 0, flops[2], closed[2], memory;
        struct sqa_probe p = {.item = "transformer",
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = 2,
                              .qkv = mode & 4 ? 24 : 0,
                              .causal = mode & 1,
                              .lengths = mode & 2 ? ragged : NULL,
                              .real = SQA_F64};
        assert_int_equal(sqa_probe_run(&p, x, y, &err), SQA_OK);
        assert_int_equal(sqa_probe_cost(&p, false, &flops[0], &closed[0], &memory, &err), SQA_OK);
        p.item = "transformer:kernel=dense";
        assert_int_equal(sqa_probe_run(&p, x, z, &err), SQA_OK);
        assert_int_equal(sqa_probe_cost(&p, false, &flops[1], &closed[1], &memory, &err), SQA_OK);
        for (int b = 0; b < B; b++) {
            const size_t n = (size_t)(p.lengths ? ragged[b] : L) * D;
            assert_true(sqa_probe_difference(y + b * L * D, z + b * L * D, n) < 1e-13);
        }
        assert_true(fabs(flops[1] - closed[1]) < 0.5);
        if (!p.causal)
            assert_true(fabs(flops[0] - flops[1]) < 0.5);
        p.length = 9;
        p.lengths = mode & 2 ? (const int32_t[]){9, 4} : NULL;
        assert_int_equal(sqa_probe_gradient(&p, &worst, &err), SQA_OK);
        assert_true(worst < 1e-6);
    }
    for (int train = 0; train < 2; train++) {
        double flops, closed, short_bytes, long_bytes;
        struct sqa_err err = {0};
        struct sqa_probe p = {.item = "transformer:kernel=dense", .batch = 2, .length = 512, .dim = 16, .heads = 2};
        assert_int_equal(sqa_probe_cost(&p, train != 0, &flops, &closed, &short_bytes, &err), SQA_OK);
        p.length = 2048;
        assert_int_equal(sqa_probe_cost(&p, train != 0, &flops, &closed, &long_bytes, &err), SQA_OK);
        const double one = 2.0 * 2 * 2048 * 2048 * 4; /* (B, H, L, L) of f32 */
        assert_true(long_bytes >= (train ? 2 : 1) * one && long_bytes > 14 * short_bytes);
    }
}

/* The gradients of a training step with dropout are finite and change with the step's masks. */
static void dense_attention_drops_weights(void **state)
{
    static const struct sqa_signature task = {.kind = SQA_CLASSIFY, .vocab = 7, .classes = 3, .length = 9};
    double loss[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct sqa_err err = {0};
        struct sqa_model *m;
        struct sqa_store store;
        struct sqa_graph g;
        struct sqa_plan *plan;
        struct sqa_memory memory = {0};
        const struct sqa_tensor *t;
        assert_int_equal(sqa_model_parse("transformer:kernel=dense,dropout=0,attention_dropout=0.5,dim=8", &m, &err),
                         SQA_OK);
        sqa_store_init(&store, SQA_F64, 1);
        sqa_graph_init(&g, SQA_F64, true);
        assert_int_equal(sqa_model_graph(m, &task, &store, SQA_MODE_TRAIN, 1, 9, &g, &err), SQA_OK);
        assert_int_equal(sqa_store_seal(&store, true, &err), SQA_OK);
        assert_int_equal(sqa_plan_make(&g, &memory, 1, &plan, &err), SQA_OK);
        int32_t *to = sqa_plan_input(plan, "tokens", &t);
        for (int32_t k = 0; k < 9; k++)
            to[k] = 1 + k % 6;
        *(int32_t *)sqa_plan_input(plan, "lengths", &t) = 9;
        *(int32_t *)sqa_plan_input(plan, "labels", &t) = 1;
        assert_int_equal(sqa_plan_run(plan, 1, i == 2 ? 2 : 1, NULL, NULL, &err), SQA_OK);
        loss[i] = *(const double *)sqa_plan_output(plan, "loss", &t);
        sqa_plan_free(plan);
        sqa_memory_clear(&memory);
        sqa_store_clear(&store);
        sqa_model_free(m);
    }
    assert_true(isfinite(loss[0]) && fabs(loss[0] - loss[1]) <= 0 && fabs(loss[0] - loss[2]) > 0);
}

/* Running statistics of batchnorm after steps that see one batch, by the definition; evaluation uses them. */
static void batchnorm_follows_its_batches(void **state)
{
    enum { B = 2, L = 5, D = 4, STEPS = 3 };
    static const int32_t lengths[B] = {5, 3};
    double x[B * L * D], mean[D] = {0}, variance[D] = {1, 1, 1, 1};
    struct sqa_err err = {0};
    struct sqa_model *m;
    struct sqa_store store;
    struct sqa_graph g;
    struct sqa_plan *plan;
    struct sqa_memory memory = {0};
    const struct sqa_tensor *t;
    (void)state;
    assert_int_equal(sqa_model_parse("no_mixer:dim=4,layers=1+norm=batchnorm:momentum=0.25", &m, &err), SQA_OK);
    sqa_store_init(&store, SQA_F64, 1);
    for (int training = 1; training >= 0; training--) {
        sqa_graph_init(&g, SQA_F64, training);
        struct sqa_context c = {
            .g = &g, .store = &store, .model = m, .frame = m->frame, .batch = B, .length = L, .max_length = L};
        c.lengths = sqa_input(&g, "lengths", SQA_I32, SQA_DIMS(B));
        sqa_output(&g, sqa_build_norm(&c, "norm", sqa_input(&g, "x", SQA_F64, SQA_DIMS(B, L, D))), "y");
        assert_int_equal(g.status, SQA_OK);
        if (training)
            assert_int_equal(sqa_store_seal(&store, true, &err), SQA_OK);
        assert_int_equal(sqa_plan_make(&g, &memory, 1, &plan, &err), SQA_OK);
        for (int step = 0; step < (training ? STEPS : 1); step++) {
            int32_t *to = NULL;
            sqa_probe_normal(7 + (uint64_t)step, x, B * L * D);
            memcpy(sqa_plan_input(plan, "x", &t), x, sizeof x);
            if (training && (to = sqa_plan_input(plan, "lengths", &t)) != NULL)
                memcpy(to, lengths, sizeof lengths);
            assert_int_equal(sqa_plan_run(plan, 1, 1, NULL, NULL, &err), SQA_OK);
            const double *y = sqa_plan_output(plan, "y", &t);
            for (int d = 0; d < D; d++) {
                double sum = 0, squares = 0, n = 0;
                for (int i = 0; i < B * L; i++)
                    if (i % L < lengths[i / L])
                        sum += x[i * D + d], n++;
                for (int i = 0; i < B * L; i++)
                    if (i % L < lengths[i / L])
                        squares += (x[i * D + d] - sum / n) * (x[i * D + d] - sum / n);
                const double centre = training ? sum / n : mean[d], v = training ? squares / n : variance[d];
                for (int i = 0; i < B * L; i++)
                    assert_true(i % L >= lengths[i / L] ||
                                fabs(y[i * D + d] - (x[i * D + d] - centre) / sqrt(v + 1e-5)) < 1e-5);
                mean[d] = training ? 0.75 * mean[d] + 0.25 * sum / n : mean[d];
                variance[d] = training ? 0.75 * variance[d] + 0.25 * squares / (n - 1) : variance[d];
            }
        }
        sqa_plan_free(plan);
    }
    const double *running = sqa_store_find(&store, "norm.mean")->value;
    for (int d = 0; d < D; d++)
        assert_true(fabs(running[d] - mean[d]) < 1e-12);
    sqa_memory_clear(&memory);
    sqa_store_clear(&store);
    sqa_model_free(m);
}

/* Logits of whole models with 0 to 7 positions of padding that hold junk, for each mixer and pool: the same where the
 * model says so, and not the same where it says they depend on it. */
static void logits_do_not_see_padding(void **state)
{
    static const int amounts[] = {0, 1, 2, 5, 7};
    static const char *const others[] = {"local:layout=strided,window=3",
                                         "transformer+pool=mean:over=padded",
                                         "transformer:kernel=dense",
                                         "transformer+residual=postnorm",
                                         "transformer+position=sinusoid+norm=rmsnorm",
                                         "transformer:qkv=8,heads=4",
                                         "local:layers=3+mixer=(local:window=3 s4d performer)",
                                         "transformer+norm=batchnorm",
                                         "transformer+norm=scalenorm",
                                         "s4d+channel=no_channel"};
    enum { L = 6, MOST = L + 7, MODELS = 512 };
    static char models[MODELS][160];
    int n = 0, kept = 0, seen = 0;
    (void)state;
    for (int v = 0; sqa_variants[v]; v++)
        for (int p = 0; sqa_variants[p]; p++)
            if (sqa_variants[v]->slot == SQA_SLOT_MIXER && sqa_variants[p]->slot == SQA_SLOT_POOL && n < MODELS)
                snprintf(models[n++], sizeof models[0], "%s:dim=16,heads=2+pool=%s", sqa_variants[v]->id,
                         sqa_variants[p]->id);
    for (size_t i = 0; i < COUNT(others); i++)
        snprintf(models[n++], sizeof models[0], "%s", others[i]);
    for (int i = 0; i < n; i++) {
        const struct sqa_signature task = {.kind = SQA_CLASSIFY, .vocab = 9, .classes = 3, .length = MOST};
        static const int32_t length[1] = {L};
        struct sqa_err err = {0};
        struct sqa_model *m;
        double y[3], z[3], worst = 0;
        if (sqa_model_parse(models[i], &m, &err) != SQA_OK)
            fail_msg("%s", err.text);
        const bool depends = sqa_model_padded_part(m) != NULL, possible = sqa_model_check(m, &task, &err) == SQA_OK;
        sqa_model_free(m);
        for (size_t k = 0; k < COUNT(amounts) && possible; k++) {
            int32_t ids[MOST] = {3, 1, 8, 2, 2, 5};
            for (int t = L; t < MOST; t++)
                ids[t] = t % 2 ? 0 : 1 + t % 8;
            const struct sqa_probe_whole p = {.model = models[i],
                                              .task = task,
                                              .batch = 1,
                                              .length = L + amounts[k],
                                              .real = SQA_F64,
                                              .tokens = ids,
                                              .lengths = length};
            if (sqa_probe_whole(&p, k ? z : y, NULL, &err) != SQA_OK)
                fail_msg("%s", err.text);
            if (k)
                worst = fmax(worst, sqa_probe_difference(y, z, 3));
        }
        if (!depends && !(worst < 1e-12))
            fail_msg("%s: padding changes its logits by %g, and it says it does not", models[i], worst);
        kept += possible && !depends;
        seen += possible && depends && worst > 1e-9;
    }
    assert_true(kept > 25 && seen >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_source),
        cmocka_unit_test(recipes_models_and_tasks_go_together),
        cmocka_unit_test(lra_forms_build),
        cmocka_unit_test(defaults_fill_what_is_open),
        cmocka_unit_test(lra_paper_has_the_published_sizes),
        cmocka_unit_test(a_retrieval_tower_has_the_published_size),
        cmocka_unit_test(rates_are_those_of_the_code),
        cmocka_unit_test(decay_reaches_what_it_should),
        cmocka_unit_test(the_vector_in_front_reads_by_mixing),
        cmocka_unit_test(dense_attention_is_the_same_and_takes_more_memory),
        cmocka_unit_test(dense_attention_drops_weights),
        cmocka_unit_test(batchnorm_follows_its_batches),
        cmocka_unit_test(logits_do_not_see_padding),
    };
    return cmocka_run_group_tests_name("protocol", tests, find_recipes, clear);
}
