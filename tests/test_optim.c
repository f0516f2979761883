/* test_optim.c - optimisers against the textbook, schedules against hand-computed factors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "engine/optim.h"
#include "kernels/kernels.h"
#include "tests/support.h"

static double normal(uint64_t key, uint64_t i)
{
    return sqa_random_normal(key, i);
}

/* Optimisers */

static const enum sqa_group groups[] = {SQA_GROUP_REGULAR, SQA_GROUP_NO_DECAY, SQA_GROUP_SSM};
enum { EACH = 37, TOTAL = 3 * EACH };

static void open_groups(struct sqa_store *s, enum sqa_dtype real)
{
    static const char *const names[] = {"regular", "free", "ssm"};
    const int64_t n = EACH;
    sqa_store_init(s, real, 5);
    for (int i = 0; i < 3; i++)
        assert_non_null(sqa_store_declare(s, names[i], SQA_PARAMETER, groups[i], 1, &n,
                                          (struct sqa_init){.kind = SQA_INIT_NORMAL, .b = 1}, &failure));
    OK(sqa_store_seal(s, true, &failure));
}

static void get_all(const struct sqa_store *s, double *w)
{
    int i = 0;
    for (const struct sqa_entry *e = s->first; e; e = e->next, i += EACH)
        sqa_entry_get(s, e, w + i);
}

static void set_gradients(struct sqa_store *s, const double *g)
{
    int i = 0;
    for (struct sqa_entry *e = s->first; e; e = e->next)
        for (int64_t k = 0; k < e->count; k++, i++) {
            if (s->real == SQA_F64)
                ((double *)e->gradient)[k] = g[i];
            else
                ((float *)e->gradient)[k] = (float)g[i];
        }
}

/* One step by the textbook; returns the norm before clipping. */
static double textbook(const struct sqa_optim *o, int t, double factor, double beta1, const double *g, double *w,
                       double *m, double *v)
{
    const double b1 = beta1 > 0 ? beta1 : o->beta1;
    double norm = 0;
    for (int i = 0; i < TOTAL; i++)
        norm += g[i] * g[i];
    norm = sqrt(norm);
    const double scale = o->clip > 0 && norm > o->clip ? o->clip / norm : 1;
    for (int i = 0; i < TOTAL; i++) {
        const enum sqa_group group = groups[i / EACH];
        const double decay = group == SQA_GROUP_REGULAR ? o->decay : 0;
        const double rate =
            factor * (group == SQA_GROUP_SSM && o->ssm_rate > 0 ? fmin(o->ssm_rate, o->rate) : o->rate);
        double x = g[i] * scale + (o->kind == SQA_OPTIM_ADAMW ? 0 : decay * w[i]);
        if (o->kind == SQA_OPTIM_SGD) {
            m[i] = o->momentum * m[i] + x;
            w[i] -= rate * m[i];
            continue;
        }
        m[i] = b1 * m[i] + (1 - b1) * x;
        v[i] = o->beta2 * v[i] + (1 - o->beta2) * x * x;
        const double mean = m[i] / (1 - pow(b1, t)), square = v[i] / (1 - pow(o->beta2, t));
        if (o->kind == SQA_OPTIM_ADAMW)
            w[i] -= rate * decay * w[i];
        w[i] -= rate * mean / (sqrt(square) + o->eps);
    }
    return norm;
}

static void optimisers_follow_the_textbook(void **state)
{
    static const struct sqa_optim cases[] = {
        {SQA_OPTIM_ADAMW, 0.9, 0.98, 1e-8, 0, 0.1, 0, 0, 1e-2, false},
        {SQA_OPTIM_ADAMW, 0.8, 0.999, 1e-6, 0, 0, 1, 1e-3, 1e-2, false},
        {SQA_OPTIM_ADAMW, 0.9, 0.999, 1e-8, 0, 0.01, 1e9, 1, 1e-2, false},
        {SQA_OPTIM_ADAM, 0.9, 0.98, 1e-9, 0, 0.1, 0, 2e-3, 1e-2, false},
        {SQA_OPTIM_ADAM, 0.9, 0.98, 1e-9, 0, 0.1, 2, 0, 1e-2, false},
        {SQA_OPTIM_SGD, 0, 0, 1e-8, 0.9, 0.05, 0, 1e-3, 1e-2, false},
        {SQA_OPTIM_SGD, 0, 0, 1e-8, 0, 0, 3, 0, 1e-1, false},
    };
    (void)state;
    for (size_t k = 0; k < COUNT(cases); k++)
        for (int real = 0; real < 2; real++) {
            struct sqa_store s;
            double w[TOTAL], m[TOTAL] = {0}, v[TOTAL] = {0}, g[TOTAL], now[TOTAL];
            const double bound = real ? 1e-13 : 3e-6;
            open_groups(&s, real ? SQA_F64 : SQA_F32);
            get_all(&s, w);
            for (int t = 1; t <= 8; t++) {
                const double factor = 1.0 / t, beta1 = t % 3 == 0 ? 0.85 : 0;
                for (int i = 0; i < TOTAL; i++)
                    g[i] = normal(sqa_random_mix(6, (uint64_t)t), (uint64_t)i);
                set_gradients(&s, g);
                const double norm = sqa_optim_step(&cases[k], &s, t, factor, beta1, 1 + t % 2);
                assert_near(norm, textbook(&cases[k], t, factor, beta1, g, w, m, v), 1e-5 * norm, "norm");
                get_all(&s, now);
                for (int i = 0; i < TOTAL; i++)
                    if (!(fabs(now[i] - w[i]) <= bound * (1 + fabs(w[i]))))
                        fail_msg("case %zu, %s, step %d: parameter %d is %.17g, want %.17g", k, real ? "f64" : "f32",
                                 t, i, now[i], w[i]);
            }
            sqa_store_clear(&s);
        }
}

static void halve(void *value, enum sqa_dtype real, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        assert_int_equal(real, SQA_F64);
        ((double *)value)[i] *= 0.5;
    }
}

static void a_nonfinite_gradient_changes_nothing(void **state)
{
    static const double bad[] = {(double)NAN, HUGE_VAL, -HUGE_VAL};
    const struct sqa_optim o = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.1, .clip = 1, .rate = 0.1};
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (size_t k = 0; k < COUNT(bad); k++) {
            struct sqa_store s;
            double g[TOTAL], before[TOTAL], after[TOTAL];
            struct sqa_optim each = o;
            each.kind = (enum sqa_optim_kind)kind;
            open_groups(&s, SQA_F64);
            s.first->project = halve;
            for (int i = 0; i < TOTAL; i++)
                g[i] = i == 40 ? bad[k] : 1;
            set_gradients(&s, g);
            get_all(&s, before);
            assert_true(!isfinite(sqa_optim_step(&each, &s, 1, 1, 0, 1)));
            get_all(&s, after);
            assert_memory_equal(before, after, sizeof before);
            for (int64_t i = 0; i < s.parameter_block; i++)
                assert_true(((double *)s.m)[i] == 0 && ((double *)s.v)[i] == 0);
            sqa_store_clear(&s);
        }
}

static void projections_run_after_the_step(void **state)
{
    const struct sqa_optim o = {.kind = SQA_OPTIM_SGD, .rate = 1};
    struct sqa_store s;
    double g[TOTAL], before[TOTAL], after[TOTAL];
    (void)state;
    open_groups(&s, SQA_F64);
    s.first->project = halve;
    for (int i = 0; i < TOTAL; i++)
        g[i] = 1;
    set_gradients(&s, g);
    get_all(&s, before);
    sqa_optim_step(&o, &s, 1, 1, 0, 1);
    get_all(&s, after);
    for (int i = 0; i < TOTAL; i++)
        assert_near(after[i], (before[i] - 1) * (i < EACH ? 0.5 : 1), 1e-15, "projected");
    sqa_store_clear(&s);
}

static void optimisers_do_not_depend_on_threads(void **state)
{
    const int64_t n = 150001;
    const struct sqa_optim o = {
        .kind = SQA_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.1, .clip = 1, .rate = 0.1};
    struct sqa_store s[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        sqa_store_init(&s[k], SQA_F32, 1);
        assert_non_null(sqa_store_declare(&s[k], "w", SQA_PARAMETER, SQA_GROUP_REGULAR, 1, &n,
                                          (struct sqa_init){.kind = SQA_INIT_UNIFORM, .a = -1, .b = 1}, &failure));
        OK(sqa_store_seal(&s[k], true, &failure));
        for (int t = 1; t < 4; t++) {
            for (int64_t i = 0; i < n; i++)
                ((float *)s[k].gradients)[i] = (float)sqa_random_uniform((uint64_t)t, (uint64_t)i) - 0.4f;
            sqa_optim_step(&o, &s[k], t, 1, 0, 1 + k);
        }
    }
    assert_memory_equal(s[0].values, s[1].values, (size_t)n * sizeof(float));
    sqa_store_clear(&s[0]);
    sqa_store_clear(&s[1]);
}

/* Schedules */

static void schedules_give_hand_computed_factors(void **state)
{
    static const struct sqa_schedule
        constant = {.kind = SQA_SCHEDULE_CONSTANT, .warmup = 4, .total = 100},
        cosine = {.kind = SQA_SCHEDULE_COSINE, .warmup = 10, .total = 110},
        linear = {.kind = SQA_SCHEDULE_LINEAR, .warmup = 10, .total = 110},
        plain = {.kind = SQA_SCHEDULE_COSINE, .total = 100},
        type1 = {.kind = SQA_SCHEDULE_STEP, .steps_per_epoch = 5, .decay = 0.5, .every = 1, .hold = 1},
        thirds = {.kind = SQA_SCHEDULE_STEP, .steps_per_epoch = 5, .decay = 0.1, .every = 3},
        lra = {.kind = SQA_SCHEDULE_LRA, .warmup = 16}, bare = {.kind = SQA_SCHEDULE_LRA},
        cycle = {.kind = SQA_SCHEDULE_ONE_CYCLE, .warmup = 30, .total = 100, .cycle_momentum = 1},
        still = {.kind = SQA_SCHEDULE_ONE_CYCLE, .warmup = 30, .total = 100},
        full = {.kind = SQA_SCHEDULE_LINEAR, .warmup = 10, .total = 10};
    static const struct {
        const char *name;
        const struct sqa_schedule *schedule;
        int64_t step;
        double factor, beta1;
    } rows[] = {
        {"constant", &constant, 1, 0.25, 0},
        {"constant", &constant, 3, 0.75, 0},
        {"constant", &constant, 4, 1, 0},
        {"constant", &constant, 1000, 1, 0},
        {"cosine", &cosine, 5, 0.5, 0},
        {"cosine", &cosine, 10, 1, 0},
        {"cosine", &cosine, 35, 0.8535533905932737, 0}, /* (1 + cos 45) / 2 */
        {"cosine", &cosine, 60, 0.5, 0},
        {"cosine", &cosine, 110, 0, 0},
        {"cosine", &cosine, 200, 0, 0},
        {"cosine without warm-up", &plain, 50, 0.5, 0},
        {"linear", &linear, 1, 0.1, 0},
        {"linear", &linear, 10, 1, 0},
        {"linear", &linear, 35, 0.75, 0},
        {"linear", &linear, 110, 0, 0},
        {"linear", &linear, 111, 0, 0},
        {"linear that only warms up", &full, 5, 0.5, 0},
        {"type1, epoch 1", &type1, 1, 1, 0},
        {"type1, epoch 1", &type1, 5, 1, 0},
        {"type1, epoch 2", &type1, 6, 1, 0},
        {"type1, epoch 2", &type1, 10, 1, 0},
        {"type1, epoch 3", &type1, 11, 0.5, 0},
        {"type1, epoch 3", &type1, 15, 0.5, 0},
        {"type1, epoch 4", &type1, 16, 0.25, 0},
        {"step, epoch 3", &thirds, 15, 1, 0},
        {"step, epoch 4", &thirds, 16, 0.1, 0},
        {"step, epoch 7", &thirds, 31, 0.01, 0},
        {"lra", &lra, 1, 1.0 / 64, 0}, /* 1/16 / sqrt 16 */
        {"lra", &lra, 8, 0.125, 0},
        {"lra", &lra, 16, 0.25, 0},
        {"lra", &lra, 64, 0.125, 0},
        {"lra without warm-up", &bare, 1, 1, 0},
        {"lra without warm-up", &bare, 100, 0.1, 0},
        {"one_cycle", &cycle, 15, 0.52, 0.90}, /* 1/25 + 24/25 / 2 */
        {"one_cycle", &cycle, 30, 1, 0.85},
        {"one_cycle", &cycle, 65, 0.500002, 0.90}, /* (1 + 1/250000) / 2 */
        {"one_cycle", &cycle, 100, 1.0 / 250000, 0.95},
        {"one_cycle", &cycle, 120, 1.0 / 250000, 0.95},
        {"one_cycle, still momentum", &still, 30, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char what[80];
        snprintf(what, sizeof what, "%s, step %lld", rows[i].name, (long long)rows[i].step);
        assert_near(sqa_schedule_factor(rows[i].schedule, rows[i].step), rows[i].factor, 1e-14, what);
        assert_near(sqa_schedule_beta1(rows[i].schedule, rows[i].step), rows[i].beta1, 1e-14, what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimisers_follow_the_textbook),
        cmocka_unit_test(a_nonfinite_gradient_changes_nothing),
        cmocka_unit_test(projections_run_after_the_step),
        cmocka_unit_test(optimisers_do_not_depend_on_threads),
        cmocka_unit_test(schedules_give_hand_computed_factors),
    };
    sqa_kernels_init();
    return cmocka_run_group_tests_name("optim", tests, NULL, NULL);
}
