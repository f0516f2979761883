/* test_plan.c - planner: every variant with poisoned buffers and every way to recompute; order, places, peaks */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "engine/ops.h"
#include "engine/plan_private.h"
#include "models/model.h"
#include "tests/bench.h"

static const struct sqa_signature tokens = {.kind = SQA_CLASSIFY, .vocab = 9, .classes = 3, .length = 20};
static const struct sqa_signature series = {
    .kind = SQA_FORECAST, .length = 20, .channels = 3, .outputs = 2, .horizon = 5, .season = 4};
static const struct sqa_signature pairs = {.kind = SQA_PAIR, .vocab = 9, .classes = 3, .length = 20};
enum { BATCH = 3, ROOM = 1 << 20 };

/* Runs from the same state and memory full of NaN bytes; results are copied to `out`, their bytes returned. */
static size_t run_bytes(struct bench *b, const struct sqa_signature *task, bool poison, const void *start,
                        unsigned char *out)
{
    static const char *const names[] = {"loss", "losses", "logits", "forecast"};
    size_t n = 0;
    sqa_store_put_back(&b->store, start);
    memset(b->memory.data, 0xff, b->memory.size);
    feed_batch(b->plan, task);
    b->plan->poison = poison;
    OK(sqa_plan_run(b->plan, 3, 2, NULL, NULL, &failure));
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct sqa_tensor *t;
        const void *from = sqa_plan_output(b->plan, names[i], &t);
        if (!from)
            continue;
        const size_t bytes = (size_t)sqa_numel(t) * sqa_dtype_size(t->dtype);
        assert_true(n + bytes <= ROOM);
        memcpy(out + n, from, bytes);
        n += bytes;
    }
    assert_true(n > 0);
    const size_t size = sqa_dtype_size(b->store.real), states = (size_t)b->store.state_block * size;
    const size_t gradients = b->store.gradients ? (size_t)b->store.parameter_block * size : 0;
    assert_true(n + gradients + states <= ROOM);
    if (gradients)
        memcpy(out + n, b->store.gradients, gradients);
    memcpy(out + n + gradients, b->store.states, states);
    return n + gradients + states;
}

static void results_are_finite(const char *model, const struct bench *b, const unsigned char *a, size_t n)
{
    const enum sqa_dtype real = b->store.real;
    double sum = 0;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        double d;
        float f[2];
        memcpy(&d, a + i, 8);
        memcpy(f, a + i, 8);
        if (real == SQA_F64 ? !isfinite(d) : !(isfinite(f[0]) && isfinite(f[1])))
            fail_msg("%s, %s: result at byte %zu of %zu is not finite", model, sqa_dtype_name(real), i, n);
    }
    for (const struct sqa_entry *e = b->store.first; e; e = e->next)
        for (int64_t i = 0; e->gradient && i < e->count; i++)
            sum += fabs(real == SQA_F64 ? ((double *)e->gradient)[i] : (double)((float *)e->gradient)[i]);
    if (b->store.gradients && !(sum > 1e-3))
        fail_msg("%s: the gradient is %g", model, sum);
}

/* The reference is a run without recomputation and poison; every other way must give its bits. */
static void all_ways_agree(const char *model, const struct sqa_signature *task, enum sqa_dtype real)
{
    static unsigned char a[ROOM], c[ROOM];
    static const enum sqa_recompute_mode ways[] = {SQA_RECOMPUTE_OFF, SQA_RECOMPUTE_CHEAP, SQA_RECOMPUTE_BLOCKS};
    for (int mode = 0; mode < SQA_MODES; mode++) {
        size_t n = 0;
        for (size_t w = 0; w < (mode == SQA_MODE_TRAIN ? COUNT(ways) : 1); w++) {
            struct bench b;
            open_bench(&b, model, task, (enum sqa_mode)mode, BATCH, real, ways[w], 1);
            void *start = sqa_alloc(sqa_store_snapshot_bytes(&b.store));
            sqa_store_take(&b.store, start);
            if (w == 0) {
                n = run_bytes(&b, task, false, start, a);
                results_are_finite(model, &b, a, n);
            }
            assert_int_equal(run_bytes(&b, task, true, start, c), n);
            for (size_t i = 0; i < n; i++)
                if (a[i] != c[i])
                    fail_msg("%s, mode %d, %s, recompute %d: byte %zu of %zu differs with poison", model, mode,
                             sqa_dtype_name(real), (int)ways[w], i, n);
            sqa_free(start);
            close_bench(&b);
        }
    }
}

static void every_variant_survives_poison_and_recomputation(void **state)
{
    static const char *const more[] = {"performer:redraw=2",
                                       "transformer:causal=1",
                                       "transformer+residual=postnorm+channel=swiglu+norm=rmsnorm+pool=last",
                                       "transformer:layers=3+mixer=(local s4d)",
                                       "linear_transformer:chunk=3,causal=1",
                                       "transformer:layers=3,dropout=0.2,attention_dropout=0.1",
                                       "local:window=4,dropout=0.2,layers=3"};
    int n[SQA_SLOTS] = {0};
    char model[256];
    (void)state;
    for (const struct sqa_variant *const *v = sqa_variants; *v; v++) {
        const enum sqa_slot slot = (*v)->slot;
        if (slot == SQA_SLOT_FLOOR)
            continue;
        n[slot]++;
        if (slot == SQA_SLOT_MODEL) {
            const bool frame = (*v)->traits & SQA_TRAIT_FRAME;
            snprintf(model, sizeof model, "%s%s%s%s", (*v)->id, frame ? ":dim=8,ffn=12,layers=3" : "",
                     (*v)->small ? "," : "", (*v)->small ? (*v)->small : "");
            all_ways_agree(model, &series, SQA_F64);
            all_ways_agree(model, &series, SQA_F32);
            continue;
        }
        snprintf(model, sizeof model, "transformer:dim=16,ffn=24,dropout=0.1+%s=%s", sqa_slot_name(slot), (*v)->id);
        all_ways_agree(model, slot == SQA_SLOT_PAIR ? &pairs : &tokens, SQA_F32);
        if (slot == SQA_SLOT_MIXER) {
            all_ways_agree(model, &tokens, SQA_F64);
            all_ways_agree(model, &series, SQA_F32);
        }
    }
    assert_true(n[SQA_SLOT_MIXER] >= 8 && n[SQA_SLOT_RESIDUAL] >= 2 && n[SQA_SLOT_MODEL] >= 2);
    for (size_t i = 0; i < COUNT(more); i++)
        all_ways_agree(more[i], &tokens, SQA_F32);
    all_ways_agree("dlinear:individual=1", &series, SQA_F32);
}

/* An op that keeps z = 2 x beside y = tanh(z), says how y is made again and must then run once only. */

static int twice_runs;

static enum sqa_status twice_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    for (int i = 0; i < 2; i++)
        sqa_set_output(n, i, n->in[0]->dtype, n->in[0]->rank, n->in[0]->dim);
    return SQA_OK;
}

static void twice_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const float *x = sqa_data(n->in[0]);
    float *y = sqa_data(n->out[0]), *z = sqa_data(n->out[1]);
    (void)r;
    for (int64_t i = 0; i < sqa_numel(n->in[0]); i++)
        z[i] = 2 * x[i];
    sqa_kernels_f32.unary(SQA_UNARY_TANH, z, y, (size_t)sqa_numel(n->in[0]));
    twice_runs++;
}

static void twice_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    dx[0] =
        sqa_affine(g, 2, sqa_mul(g, dy[0], sqa_mul(g, n->out[0], n->out[1])), 0); /* reads both; not a derivative */
}

static double twice_flops(const struct sqa_node *n)
{
    return 1e4 * (double)sqa_numel(n->in[0]); /* dear, so that what is small beside it is cheap */
}

static struct sqa_tensor *twice_remake(struct sqa_graph *g, struct sqa_node *n, int output)
{
    return output == 0 ? sqa_unary(g, SQA_UNARY_TANH, n->out[1]) : NULL;
}

static void an_output_is_remade_as_its_op_says(void **state)
{
    enum { N = 20000 };
    static const struct sqa_op op = {.name = "twice",
                                     .shape = twice_shape,
                                     .run = twice_run,
                                     .grad = twice_grad,
                                     .flops = twice_flops,
                                     .remake = twice_remake};
    static float out[2][N];
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct sqa_memory memory = {0};
        struct sqa_plan *p;
        struct sqa_graph g;
        struct sqa_tensor *dx;
        sqa_graph_init(&g, SQA_F32, true);
        struct sqa_tensor *x = sqa_input(&g, "x", SQA_F32, SQA_DIMS(N)), *y = x;
        sqa_require_grad(x);
        for (int i = 0; i < 3; i++)
            y = sqa_apply(&g, &op, NULL, 0, 1, &y);
        sqa_gradients(&g, sqa_sum(&g, sqa_square(&g, y), 1u, false), &x, 1, &dx);
        sqa_output(&g, dx, "dx");
        g.recompute = way ? SQA_RECOMPUTE_BLOCKS : SQA_RECOMPUTE_OFF;
        OK(sqa_plan_make(&g, &memory, 1, &p, &failure));
        p->poison = true;
        float *to = sqa_plan_input(p, "x", NULL);
        for (int i = 0; i < N; i++)
            to[i] = (float)i / N - 0.4f;
        twice_runs = 0;
        OK(sqa_plan_run(p, 1, 1, NULL, NULL, &failure));
        assert_int_equal(twice_runs, 3);
        assert_int_equal(sqa_plan_flops(p, SQA_PASS_RECOMPUTE) > 0, way);
        memcpy(out[way], sqa_plan_output(p, "dx", NULL), sizeof out[way]);
        sqa_plan_free(p);
        sqa_memory_clear(&memory);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
}

/* Peaks */

static size_t arena_of(const char *model, int64_t length, enum sqa_recompute_mode way, double *share)
{
    struct sqa_signature task = {.kind = SQA_CLASSIFY, .vocab = 32, .classes = 10, .length = length};
    struct bench b;
    open_bench(&b, model, &task, SQA_MODE_TRAIN, 4, SQA_F32, way, 1);
    const size_t bytes = b.plan->arena_bytes;
    *share = sqa_plan_flops(b.plan, SQA_PASS_RECOMPUTE) /
             (sqa_plan_flops(b.plan, SQA_PASS_FORWARD) + sqa_plan_flops(b.plan, SQA_PASS_BACKWARD));
    close_bench(&b);
    return bytes;
}

static void recomputation_lowers_the_peak(void **state)
{
    static const char *const models[] = {"transformer", "linear_transformer", "linformer", "local", "s4d"};
    (void)state;
    for (size_t i = 0; i < COUNT(models); i++) {
        char deep[64];
        double none, little, much;
        snprintf(deep, sizeof deep, "%s:layers=6", models[i]);
        const size_t off = arena_of(deep, 512, SQA_RECOMPUTE_OFF, &none);
        const size_t cheap = arena_of(deep, 512, SQA_RECOMPUTE_CHEAP, &little);
        const size_t blocks = arena_of(deep, 512, SQA_RECOMPUTE_BLOCKS, &much);
        if (!((double)cheap < 0.96 * (double)off && (double)blocks < 0.5 * (double)off))
            fail_msg("%s: %zu bytes without recomputation, %zu cheap, %zu blocks", deep, off, cheap, blocks);
        if (!(none == 0 && little < 0.04 && much < 0.34))
            fail_msg("%s: recomputation adds %g, %g and %g of the step's flops", deep, none, little, much);
    }
}

/* A placed plan is close to what is live at its worst moment. Forward passes have few buffers: where one of them is
 * twice as large as the others (GLU) a hole cannot be avoided. */
static void placement_is_near_the_bound(void **state)
{
    static const char *const models[] = {"transformer", "linear_transformer", "linformer", "local",
                                         "s4d",         "performer"};
    static size_t live[4096];
    (void)state;
    for (size_t i = 0; i < COUNT(models); i++)
        for (int mode = 0; mode < SQA_MODES; mode++)
            for (int way = 0; way < 3; way++) {
                struct sqa_signature task = {.kind = SQA_CLASSIFY, .vocab = 32, .classes = 10, .length = 1024};
                struct bench b;
                open_bench(&b, models[i], &task, (enum sqa_mode)mode, 4, SQA_F32, (enum sqa_recompute_mode)way, 1);
                const struct sqa_schedule s = {&b.plan->graph, b.plan->nodes, b.plan->count, b.plan->count, 1};
                assert_true((size_t)s.count < COUNT(live));
                const size_t bound = sqa_live_bytes(&s, live);
                const double slack = mode == SQA_MODE_TRAIN ? 1.03 : 1.25;
                if (b.plan->arena_bytes < bound || (double)b.plan->arena_bytes > slack * (double)bound)
                    fail_msg("%s, mode %d: %zu bytes placed, %zu live at most", models[i], mode, b.plan->arena_bytes,
                             bound);
                close_bench(&b);
            }
}

/* y = x exp(2 w): exp(2 w) is made in the first run and after a refresh, and stays for the runs between. */
static void what_parameters_give_is_made_once(void **state)
{
    const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1};
    struct sqa_store store;
    struct sqa_memory memory = {0};
    struct sqa_plan *plan;
    struct sqa_graph g;
    (void)state;
    sqa_store_init(&store, SQA_F64, 1);
    sqa_graph_init(&g, SQA_F64, false);
    g.fixed = &store;
    struct sqa_entry *e =
        sqa_store_declare(&store, "w", SQA_PARAMETER, SQA_GROUP_REGULAR, SQA_DIMS(3), one, &failure);
    struct sqa_tensor *w = sqa_unary(&g, SQA_UNARY_EXP, sqa_affine(&g, 2, sqa_value(&g, e), 0));
    struct sqa_tensor *x = sqa_input(&g, "x", SQA_F64, SQA_DIMS(3));
    sqa_output(&g, sqa_mul(&g, sqa_affine(&g, 1, x, 0), w), "y");
    OK(sqa_store_seal(&store, false, &failure));
    OK(sqa_plan_make(&g, &memory, 1, &plan, &failure));
    plan->poison = true;
    assert_int_equal(sqa_plan_flops(plan, SQA_PASS_FORWARD), 9);
    for (int run = 0; run < 4; run++) {
        const double now = run + 1, w_seen = run < 3 ? 1 : now; /* of w as it was when it was made */
        double *in = sqa_plan_input(plan, "x", NULL);
        sqa_entry_set(&store, e, (double[]){now, now, now});
        if (run == 3)
            sqa_plan_refresh(plan);
        for (int i = 0; i < 3; i++)
            in[i] = i + now;
        OK(sqa_plan_run(plan, 1, 1, NULL, NULL, &failure));
        const double *y = sqa_plan_output(plan, "y", NULL);
        for (int i = 0; i < 3; i++)
            assert_true(fabs(y[i] - (i + now) * exp(2 * w_seen)) < 1e-9 * exp(2 * w_seen));
    }
    sqa_plan_free(plan);
    sqa_memory_clear(&memory);
    sqa_store_clear(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_variant_survives_poison_and_recomputation),
        cmocka_unit_test(an_output_is_remade_as_its_op_says),
        cmocka_unit_test(recomputation_lowers_the_peak),
        cmocka_unit_test(placement_is_near_the_bound),
        cmocka_unit_test(what_parameters_give_is_made_once),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
