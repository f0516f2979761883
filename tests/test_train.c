/* test_train.c - training: resume, partial batches, selection, threads, divergence, errors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/train.h"
#include "results/schema.h"
#include "tests/support.h"

static char folder[] = "/tmp/test_train_XXXXXX", checkpoint[64];
static volatile sig_atomic_t stop;

static const char lists[] = "listops:min=5,max=20,train=300,valid=40,test=40";
static const char series[] = "mackey_glass";
static const char tags[] = "reverse:length=9,min=4,vocab=7,train=300,valid=40,test=40";
static const char small[] = "transformer:dim=16,ffn=16,layers=1,dropout=0.2";

static void assert_sentence(const char *text, const char *part)
{
    if (!strstr(text, part) || !strstr(text, "; "))
        fail_msg("'%s' and an advice are not in '%s'", part, text);
}

static void assert_same(double a, double b, const char *what)
{
    if (memcmp(&a, &b, sizeof a) != 0 && !(isnan(a) && isnan(b)))
        fail_msg("%s: %.17g and %.17g", what, a, b);
}

/* A trainer with a recipe of its own; settings: "batch=32,epochs=2". */
struct run {
    struct sqa_arena arena;
    struct sqa_recipe recipe;
    struct sqa_trainer *t;
    int64_t stop_at; /* step whose progress raises the flag; 0: none */
    int64_t fetches; /* raise it in that fetch; 0: none */
    struct sqa_task task;
    const struct sqa_task *inner;
    void *last; /* snapshot after the last step */
};
static enum sqa_dtype open_real = SQA_F32;
static struct run *active; /* whose fetch is called */

static void set_recipe(struct run *r, const char *settings)
{
    char text[256], *rest = text;
    OK(sqa_params_defaults("recipe", sqa_recipe_params, &r->recipe, &r->arena, &failure));
    snprintf(text, sizeof text, "%s", settings);
    for (char *item; (item = strsep(&rest, ",")) != NULL && *item;) {
        char *value = strchr(item, '=');
        *value++ = '\0';
        OK(sqa_params_set("recipe", sqa_recipe_params, &r->recipe, item, value, &r->arena, &failure));
    }
}

static enum sqa_status try_open(struct run *r, const char *model, const char *task, const char *settings, int threads,
                                struct sqa_err *err)
{
    *r = (struct run){0};
    set_recipe(r, settings);
    const struct sqa_trainer_options o = {.model = model,
                                          .task = task,
                                          .recipe = &r->recipe,
                                          .seed = 3,
                                          .threads = threads,
                                          .trainable = 1,
                                          .real = open_real,
                                          .interrupted = &stop};
    stop = 0;
    return sqa_trainer_open(&o, &r->t, err);
}

static void on_progress(void *user, const struct sqa_trainer *t)
{
    struct run *r = user;
    if (t->step == r->stop_at)
        stop = 1;
    if (r->last)
        sqa_store_take(&t->store, r->last);
}

static enum sqa_status counted_fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index,
                                     int64_t n, struct sqa_batch *b, struct sqa_err *err)
{
    if (active->fetches > 0 && --active->fetches == 0)
        stop = 1;
    return active->inner->fetch(ds, split, index, n, b, err);
}

static void open_run(struct run *r, const char *model, const char *task, const char *settings, int threads)
{
    OK(try_open(r, model, task, settings, threads, &failure));
    r->t->progress = on_progress;
    r->t->user = r;
}

/* Raises the flag in the n-th fetch, wherever that is. */
static void stop_in_fetch(struct run *r, int64_t n)
{
    r->inner = r->t->data->task;
    r->task = *r->inner;
    r->task.fetch = counted_fetch;
    r->t->data->task = &r->task;
    r->fetches = n;
    active = r;
}

static void close_run(struct run *r)
{
    if (r->t && r->inner)
        r->t->data->task = r->inner;
    sqa_trainer_close(r->t);
    sqa_free(r->last);
    sqa_arena_clear(&r->arena);
}

static struct sqa_scores evaluate(struct run *r, enum sqa_split split)
{
    struct sqa_scores s;
    stop = 0;
    OK(sqa_trainer_evaluate(r->t, split, 0, NULL, NULL, &s, &failure));
    return s;
}

static void assert_scores(const struct sqa_scores *a, const struct sqa_scores *b, const char *what)
{
    assert_int_equal(a->n, b->n);
    assert_same(a->loss, b->loss, what);
    assert_same(a->accuracy, b->accuracy, what);
    assert_same(a->mse, b->mse, what);
    assert_same(a->mae, b->mae, what);
}

/* Curves without the column of seconds, which stands before the last. */
static void assert_curves(const struct sqa_text *a, const struct sqa_text *b, const char *what)
{
    const struct sqa_text *const both[2] = {a, b};
    static char plain[2][1 << 14];
    for (int k = 0; k < 2; k++) {
        char copy[1 << 14], *rest = copy;
        size_t n = 0;
        assert_true(both[k]->length < sizeof copy);
        snprintf(copy, sizeof copy, "%s", sqa_text_get(both[k]));
        for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
            char *cell;
            for (int column = 0; (cell = strsep(&line, ",")) != NULL; column++)
                if (column != SQA_CURVES_seconds)
                    n += (size_t)snprintf(plain[k] + n, sizeof plain[k] - n, "%s,", cell);
            n += (size_t)snprintf(plain[k] + n, sizeof plain[k] - n, "\n");
        }
    }
    if (strcmp(plain[0], plain[1]) != 0)
        fail_msg("%s: the curves are\n%sand\n%s", what, plain[0], plain[1]);
}

static void assert_same_end(struct run *a, struct run *b, const char *what)
{
    const size_t n = sqa_store_snapshot_bytes(&a->t->store);
    unsigned char *x = sqa_alloc(n), *y = sqa_alloc(n);
    assert_int_equal(sqa_store_snapshot_bytes(&b->t->store), n);
    sqa_store_take(&a->t->store, x);
    sqa_store_take(&b->t->store, y);
    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            fail_msg("%s: byte %zu of %zu of the parameters differs", what, i, n);
    sqa_free(x);
    sqa_free(y);
    assert_int_equal(a->t->step, b->t->step);
    assert_int_equal(a->t->best_step, b->t->best_step);
    assert_int_equal(a->t->examples, b->t->examples);
    assert_same(a->t->last_train_loss, b->t->last_train_loss, what);
    assert_scores(&a->t->best_valid, &b->t->best_valid, what);
    assert_curves(&a->t->curves, &b->t->curves, what);
    const struct sqa_scores s = evaluate(a, SQA_TEST), u = evaluate(b, SQA_TEST);
    assert_scores(&s, &u, what);
    assert_true(s.n > 0 && isfinite(s.loss));
}

/* Resume */

static const struct {
    const char *model, *task, *settings;
} runs[] = {
    {small, lists, "batch=32,epochs=2,eval_every=7,rate=3e-3"},
    {"performer:redraw=7,features=8,dim=16,ffn=16,layers=1", lists, "batch=32,epochs=2,eval_every=6,select=last"},
    {small, tags, "batch=32,epochs=2,eval_every=7,rate=3e-3"},
    {"dlinear", series, "batch=32,steps=25,eval_every=6,eval_examples=64,clip=0"},
    {small, lists, "batch=32,epochs=2,eval_every=7,rate=3e-3,micro=10,pad=full"},
    {"performer:redraw=7,features=8,dim=16,ffn=16,layers=1", lists, "batch=32,steps=17,eval_every=6,micro=12"},
};

static void interrupted_runs_end_with_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(runs); i++) {
        struct run whole, part;
        open_run(&whole, runs[i].model, runs[i].task, runs[i].settings, 1);
        OK(sqa_trainer_run(whole.t, NULL, 0, &failure));
        /* between evaluations, at one, in the middle of an epoch, at the end of one, at the last step */
        const int64_t stops[] = {3, whole.t->eval_every, 8, 10, whole.t->steps};
        unlink(checkpoint);
        for (size_t k = 0; k < COUNT(stops); k++) {
            struct sqa_err err = {0};
            open_run(&part, runs[i].model, runs[i].task, runs[i].settings, 1);
            part.stop_at = stops[k];
            const enum sqa_status status = sqa_trainer_run(part.t, checkpoint, 1e9, &err);
            if (status != SQA_INTERRUPTED || part.t->step != stops[k])
                fail_msg("%s: status %s at step %lld, want an interruption at %lld", runs[i].model,
                         sqa_status_name(status), (long long)part.t->step, (long long)stops[k]);
            assert_sentence(err.text, "interrupted");
            close_run(&part);
        }
        open_run(&part, runs[i].model, runs[i].task, runs[i].settings, 1);
        OK(sqa_trainer_run(part.t, checkpoint, 0, &failure));
        assert_same_end(&whole, &part, runs[i].model);
        close_run(&part);
        close_run(&whole);
    }
}

/* The flag may come up in any fetch, in training or within an evaluation: nothing is lost and nothing done twice. */
static void interruptions_anywhere_lose_no_step(void **state)
{
    static const char settings[] = "batch=32,epochs=1,eval_every=4";
    struct run whole, part;
    (void)state;
    open_run(&whole, small, lists, settings, 1);
    OK(sqa_trainer_run(whole.t, NULL, 0, &failure));
    unlink(checkpoint);
    enum sqa_status status = SQA_INTERRUPTED;
    int64_t step = 0;
    for (int round = 0; status != SQA_OK; round++) {
        if (round > 12)
            fail_msg("still at step %lld of %lld after %d rounds", (long long)step, (long long)whole.t->steps, round);
        open_run(&part, small, lists, settings, 1);
        stop_in_fetch(&part, 5);
        status = sqa_trainer_run(part.t, checkpoint, 1e9, &failure);
        if (status != SQA_OK)
            assert_int_equal(status, SQA_INTERRUPTED);
        step = part.t->step;
        if (status != SQA_OK)
            close_run(&part);
    }
    assert_same_end(&whole, &part, "interrupted in fetches");
    close_run(&part);
    close_run(&whole);
}

static void strange_checkpoints_are_refused(void **state)
{
    struct run r;
    struct sqa_err err = {0};
    (void)state;
    assert_int_equal(sqa_file_write(checkpoint, "no checkpoint", 13, &err), SQA_OK);
    open_run(&r, small, lists, "batch=32,steps=3", 1);
    assert_int_equal(sqa_trainer_run(r.t, checkpoint, 1e9, &err), SQA_INPUT);
    assert_sentence(err.text, checkpoint);
    close_run(&r);
    unlink(checkpoint);
    open_run(&r, small, lists, "batch=32,steps=3", 1);
    r.stop_at = 2;
    assert_int_equal(sqa_trainer_run(r.t, checkpoint, 1e9, &err), SQA_INTERRUPTED);
    close_run(&r);
    open_run(&r, "transformer:dim=32,ffn=16,layers=1", lists, "batch=32,steps=3", 1);
    assert_int_equal(sqa_trainer_run(r.t, checkpoint, 1e9, &err), SQA_INPUT);
    assert_sentence(err.text, checkpoint);
    close_run(&r);
}

/* Batches */

static void the_last_partial_batch_counts(void **state)
{
    struct run r, one;
    (void)state;
    open_run(&r, small, lists, "batch=32,epochs=1", 1);
    assert_int_equal(r.t->steps, 10);
    OK(sqa_trainer_run(r.t, NULL, 0, &failure));
    assert_int_equal(r.t->examples, 300);
    assert_int_equal(r.t->best_valid.n, 40);
    close_run(&r);
    open_run(&r, small, lists, "batch=32,epochs=2,drop_last=1", 1);
    assert_int_equal(r.t->steps, 18);
    OK(sqa_trainer_run(r.t, NULL, 0, &failure));
    assert_int_equal(r.t->examples, 18 * 32);
    close_run(&r);
    open_run(&r, small, lists, "batch=500,epochs=1,drop_last=1", 1); /* larger than the split: one step of all */
    OK(sqa_trainer_run(r.t, NULL, 0, &failure));
    assert_int_equal(r.t->examples, 300);
    close_run(&r);
    static const char *const models[][2] = {{small, lists},
                                            {"performer:dim=16,layers=1", lists},
                                            {"s4d:dim=16", lists},
                                            {small, tags},
                                            {"dlinear", series}};
    for (size_t i = 0; i < COUNT(models); i++) {
        open_run(&r, models[i][0], models[i][1], "batch=32,steps=1", 1);
        open_run(&one, models[i][0], models[i][1], "batch=1,steps=1", 1);
        struct sqa_scores a, b;
        const int64_t n = 40; /* 32 and 8 */
        OK(sqa_trainer_evaluate(r.t, SQA_TEST, n, NULL, NULL, &a, &failure));
        OK(sqa_trainer_evaluate(one.t, SQA_TEST, n, NULL, NULL, &b, &failure));
        assert_int_equal(a.n, 40);
        assert_int_equal(b.n, 40);
        if (!(fabs(a.loss - b.loss) <= 1e-5 * (1 + fabs(b.loss))))
            fail_msg("%s: loss %.9g with batches of 32, %.9g with single rows", models[i][0], a.loss, b.loss);
        if (r.t->task.kind != SQA_FORECAST)
            assert_same(a.accuracy, b.accuracy, models[i][0]);
        else if (!(fabs(a.mae - b.mae) <= 1e-5))
            fail_msg("%s: mae %.9g and %.9g", models[i][0], a.mae, b.mae);
        close_run(&one);
        close_run(&r);
    }
}

/* Micro-batches: the parameters of whole batches up to rounding, also with a partial micro-batch, a partial batch,
 * and labels that rows have in different numbers. */
static void micro_batches_add_up(void **state)
{
    static const char none[] = "transformer:dim=16,ffn=16,layers=1,dropout=0,attention_dropout=0";
    static const struct {
        const char *model, *task, *settings;
    } rows[] = {
        {none, lists, "batch=32,steps=12,rate=3e-3,clip=0.1"}, /* the 10th batch has 12 rows */
        {none, tags, "batch=32,steps=12,rate=3e-3"},
        {"performer:redraw=3,features=8,dim=16,ffn=16,layers=1,dropout=0", lists, "batch=32,steps=12,rate=1e-3"},
        {"transformer:dim=16,ffn=16,dropout=0,attention_dropout=0+pool=cls", lists, "batch=32,steps=5,pad=full"},
        {"dlinear", series, "batch=32,steps=5"},
    };
    static const int micro[] = {8, 9, 1, 31, 32, 100};
    (void)state;
    open_real = SQA_F64;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct run whole, part;
        open_run(&whole, rows[i].model, rows[i].task, rows[i].settings, 1);
        OK(sqa_trainer_run(whole.t, NULL, 0, &failure));
        const bool full = strstr(rows[i].settings, "pad=") != NULL;
        for (size_t k = 0; k < (full ? 1 : 2) * COUNT(micro); k++) {
            char settings[128];
            snprintf(settings, sizeof settings, "%s,micro=%d%s", rows[i].settings, micro[k % COUNT(micro)],
                     k < COUNT(micro) ? "" : ",pad=sorted");
            open_run(&part, rows[i].model, rows[i].task, settings, 1);
            OK(sqa_trainer_run(part.t, NULL, 0, &failure));
            const double *x = whole.t->store.values, *y = part.t->store.values;
            double worst = fabs(whole.t->last_train_loss - part.t->last_train_loss);
            for (int64_t e = 0; e < whole.t->store.parameter_block; e++)
                worst = fmax(worst, fabs(x[e] - y[e]));
            if (!(worst <= 1e-9))
                fail_msg("%s, %s: %g away from whole batches", rows[i].model, settings, worst);
            close_run(&part);
        }
        close_run(&whole);
    }
    open_real = SQA_F32;
}

/* Dropout of two micro-batches differs, threads leave the bits, and a timed step is a training step. */
static void micro_batches_are_deterministic(void **state)
{
    struct run a, b;
    struct sqa_plan *plan;
    (void)state;
    open_run(&a, small, lists, "batch=32,steps=5,micro=12", 1);
    open_run(&b, small, lists, "batch=32,steps=5,micro=12", 2);
    OK(sqa_trainer_run(a.t, NULL, 0, &failure));
    OK(sqa_trainer_run(b.t, NULL, 0, &failure));
    assert_same_end(&a, &b, "threads");
    close_run(&a);
    close_run(&b);
    static const char *const settings[] = {"batch=32,steps=1,micro=12", "batch=32,steps=1"};
    double norm[2] = {0};
    for (int k = 0; k < 2; k++) {
        open_run(&a, "transformer:dim=16,ffn=16,dropout=0,attention_dropout=0", lists, settings[k], 1);
        OK(sqa_trainer_prepare(a.t, SQA_MODE_TRAIN, &plan, &failure));
        double *ns = sqa_alloc_array((size_t)plan->count, sizeof *ns), all = 0;
        for (int step = 0; step < 2; step++)
            OK(sqa_trainer_time_step(a.t, plan, SQA_MODE_TRAIN, ns, &failure));
        for (int i = 0; i < plan->count; i++)
            all += ns[i];
        assert_true(all > 0);
        const float *g = a.t->store.gradients;
        for (int64_t i = 0; i < a.t->store.parameter_block; i++)
            norm[k] += (double)g[i] * (double)g[i];
        sqa_free(ns);
        close_run(&a);
    }
    if (!(norm[0] > 0 && fabs(norm[0] - norm[1]) <= 1e-4 * norm[1]))
        fail_msg("a timed step's gradient: %.9g in micro-batches, %.9g at once", norm[0], norm[1]);
}

/* pad=full gives every row the task's length, and what is counted says so. */
static void padding_is_counted(void **state)
{
    static const char *const settings[] = {"batch=32,steps=4,bucket=1", "batch=32,steps=4,pad=full",
                                           "batch=1,steps=4,bucket=1"};
    double share[3];
    (void)state;
    for (int k = 0; k < 3; k++) {
        struct run r;
        open_run(&r, small, lists, settings[k], 1);
        OK(sqa_trainer_run(r.t, NULL, 0, &failure));
        share[k] = (double)r.t->real_positions / (double)r.t->positions;
        if (k == 1)
            assert_int_equal(r.t->positions, 4 * 32 * r.t->data->length);
        close_run(&r);
    }
    assert_true(share[1] < share[0] && share[0] < 1 && share[2] == 1 && share[1] > 0.1);
}

struct seen {
    unsigned char times[40];
    double loss;
    int hits, labels;
};

static void note(void *user, const struct sqa_example_score *e)
{
    struct seen *s = user;
    assert_true(e->index < 40);
    s->times[e->index]++;
    if (e->labels == 0) {
        s->loss += e->loss;
        s->hits += e->target == e->output;
        s->labels++;
    } else {
        s->loss += e->loss * (double)e->labels;
        s->hits += (int)e->right;
        s->labels += (int)e->labels;
    }
}

static void every_example_is_scored_once(void **state)
{
    struct run r;
    struct seen seen = {.loss = 0};
    struct sqa_scores s;
    (void)state;
    open_run(&r, small, lists, "batch=32,steps=1", 1);
    OK(sqa_trainer_evaluate(r.t, SQA_VALID, 0, note, &seen, &s, &failure));
    for (int i = 0; i < 40; i++)
        assert_int_equal(seen.times[i], 1);
    assert_same(seen.loss / 40, s.loss, "mean of losses");
    assert_int_equal(seen.labels, 40);
    assert_same(seen.hits / 40.0, s.accuracy, "share of hits");
    OK(sqa_trainer_evaluate(r.t, SQA_VALID, 5, NULL, NULL, &s, &failure));
    assert_int_equal(s.n, 5);
    close_run(&r);
}

/* Loss and accuracy of tags are over labels, not over rows; a floor's too. */
static void every_label_is_scored_once(void **state)
{
    static const char *const models[] = {small, "majority"};
    (void)state;
    for (size_t i = 0; i < COUNT(models); i++) {
        struct run r;
        struct seen seen = {.loss = 0};
        struct sqa_scores s;
        open_run(&r, models[i], tags, "batch=32,steps=1", 1);
        OK(sqa_trainer_evaluate(r.t, SQA_VALID, 0, note, &seen, &s, &failure));
        int labels = 0;
        for (uint32_t k = 0; k < 40; k++) {
            assert_int_equal(seen.times[k], 1);
            labels += (int)r.t->data->task->length_of(r.t->data, SQA_VALID, k);
        }
        assert_int_equal(s.n, 40);
        assert_int_equal(seen.labels, labels);
        assert_same(seen.hits / (double)labels, s.accuracy, "share of hits");
        assert_true(s.accuracy > 0.05 && s.accuracy < 0.4);
        if (i == 0 && !(fabs(seen.loss / labels - s.loss) < 1e-9))
            fail_msg("losses of the labels: mean %.17g and %.17g", seen.loss / labels, s.loss);
        close_run(&r);
    }
}

/* Selection */

static void patience_stops_and_the_best_comes_back(void **state)
{
    struct run r;
    (void)state;
    open_run(&r, "dlinear", series, "batch=32,steps=400,eval_every=3,eval_examples=64,patience=3,rate=0,clip=0", 1);
    OK(sqa_trainer_run(r.t, NULL, 0, &failure)); /* nothing gets better: the first stays best */
    assert_int_equal(r.t->step, 12);
    assert_int_equal(r.t->best_step, 3);
    close_run(&r);

    open_run(&r, "dlinear", series,
             "batch=32,steps=400,eval_every=3,eval_examples=64,patience=4,rate=0.05,schedule=constant,clip=0", 1);
    r.last = sqa_alloc(sqa_store_snapshot_bytes(&r.t->store));
    OK(sqa_trainer_run(r.t, NULL, 0, &failure));
    if (r.t->step >= 400 || r.t->step - r.t->best_step != 12)
        fail_msg("stopped at step %lld, best at %lld; want 12 apart", (long long)r.t->step,
                 (long long)r.t->best_step);
    struct sqa_scores now;
    OK(sqa_trainer_evaluate(r.t, SQA_VALID, 64, NULL, NULL, &now, &failure));
    assert_scores(&now, &r.t->best_valid, "the best weights, evaluated again");
    sqa_store_put_back(&r.t->store, r.last);
    OK(sqa_trainer_evaluate(r.t, SQA_VALID, 64, NULL, NULL, &now, &failure));
    if (!(now.loss > r.t->best_valid.loss))
        fail_msg("the last weights score %.9g, the best %.9g", now.loss, r.t->best_valid.loss);
    close_run(&r);
}

static void select_last_keeps_the_last(void **state)
{
    struct run r;
    (void)state;
    open_run(&r, "dlinear", series,
             "batch=32,steps=20,eval_every=6,eval_examples=64,select=last,rate=0.05,schedule=constant,clip=0", 1);
    r.last = sqa_alloc(sqa_store_snapshot_bytes(&r.t->store));
    OK(sqa_trainer_run(r.t, NULL, 0, &failure));
    assert_int_equal(r.t->step, 20);
    assert_int_equal(r.t->best_step, 20);
    void *now = sqa_alloc(sqa_store_snapshot_bytes(&r.t->store));
    sqa_store_take(&r.t->store, now);
    assert_memory_equal(now, r.last, sqa_store_snapshot_bytes(&r.t->store));
    sqa_free(now);
    close_run(&r);
}

/* Threads, divergence, errors */

static void threads_leave_the_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(runs); i++) {
        struct run one, two;
        open_run(&one, runs[i].model, runs[i].task, "batch=32,steps=12,eval_every=6,eval_examples=64", 1);
        open_run(&two, runs[i].model, runs[i].task, "batch=32,steps=12,eval_every=6,eval_examples=64", 2);
        OK(sqa_trainer_run(one.t, NULL, 0, &failure));
        OK(sqa_trainer_run(two.t, NULL, 0, &failure));
        assert_same_end(&one, &two, runs[i].model);
        close_run(&one);
        close_run(&two);
    }
}

static void a_diverging_run_says_so(void **state)
{
    static const char *const models[][2] = {{small, lists}, {"dlinear", series}};
    (void)state;
    for (size_t i = 0; i < COUNT(models); i++) {
        struct run r;
        struct sqa_err err = {0};
        open_run(&r, models[i][0], models[i][1], "batch=32,steps=50,schedule=constant,clip=0", 1);
        r.t->optim.rate = 1e30;
        const enum sqa_status status = sqa_trainer_run(r.t, NULL, 0, &err);
        if (status != SQA_NO)
            fail_msg("%s: %s at step %lld, %s", models[i][0], sqa_status_name(status), (long long)r.t->step,
                     err.text);
        assert_sentence(err.text, "lower the rate");
        close_run(&r);
    }
}

static void errors_of_models_and_tasks_pass_through(void **state)
{
    static const struct {
        const char *model, *task;
        enum sqa_status status;
        const char *part;
    } rows[] = {
        {"transfomer", lists, SQA_USAGE, "did you mean 'transformer'"},
        {"transformer:dim=0", lists, SQA_USAGE, "dim"},
        {small, "listopz", SQA_USAGE, "did you mean 'listops'"},
        {small, "listops:train=-1", SQA_USAGE, "train"},
        {small, "listops:nothing=1", SQA_USAGE, "nothing"},
        {"dlinear", lists, SQA_UNSUPPORTED, "dlinear"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct run r;
        struct sqa_err err = {0};
        const enum sqa_status status = try_open(&r, rows[i].model, rows[i].task, "batch=32", 1, &err);
        if (status != rows[i].status)
            fail_msg("%s on %s: %s: %s", rows[i].model, rows[i].task, sqa_status_name(status), err.text);
        assert_sentence(err.text, rows[i].part);
        assert_null(r.t);
        close_run(&r);
    }
}

static void failing_allocations_are_survived(void **state)
{
    enum sqa_status status = SQA_NOMEM;
    (void)state;
    unlink(checkpoint);
    for (long n = 1; status != SQA_OK; n += 1 + n / 12) {
        struct run r = {0};
        struct sqa_err err = {0};
        assert_true(n < 1000000);
        set_recipe(&r, "batch=32,steps=2,eval_every=1");
        const struct sqa_recipe recipe = r.recipe;
        const struct sqa_trainer_options o = {.model = small,
                                              .task = "listops:min=5,max=20,train=50,valid=8,test=8",
                                              .recipe = &recipe,
                                              .seed = 3,
                                              .threads = 1,
                                              .trainable = 1,
                                              .real = SQA_F32};
        sqa_alloc_fail_at(n);
        status = sqa_trainer_open(&o, &r.t, &err);
        if (status == SQA_OK)
            status = sqa_trainer_run(r.t, checkpoint, 0, &err);
        sqa_alloc_fail_at(0);
        if (status == SQA_OK && r.t->curves.failed)
            fail_msg("allocation %ld fails and the curves are lost without a word", n);
        if (status != SQA_OK) {
            if (status != SQA_NOMEM)
                fail_msg("allocation %ld fails: %s: %s", n, sqa_status_name(status), err.text);
            assert_sentence(err.text, "memory");
        }
        close_run(&r);
        unlink(checkpoint);
    }
}

/* Timing: a batch is put in once, then steps run; each must do the same work. */
static void timed_steps_see_the_same_batch(void **state)
{
    static const char *const models[][2] = {
        {small, lists}, {"s4d:dim=16,layers=1", lists}, {small, tags}, {"dlinear", series}};
    (void)state;
    for (size_t i = 0; i < COUNT(models); i++)
        for (int mode = 0; mode < SQA_MODES; mode++) {
            static const char *const names[] = {"loss", "losses", "logits", "forecast"};
            struct run r;
            struct sqa_plan *plan;
            unsigned char first[4096], again[4096];
            open_run(&r, models[i][0], models[i][1], "batch=4,steps=1", 1);
            OK(sqa_trainer_prepare(r.t, (enum sqa_mode)mode, &plan, &failure));
            for (int step = 0; step < 3; step++) {
                size_t n = 0;
                OK(sqa_trainer_time_step(r.t, plan, (enum sqa_mode)mode, NULL, &failure));
                for (size_t k = 0; k < COUNT(names); k++) {
                    const struct sqa_tensor *t;
                    const void *out = sqa_plan_output(plan, names[k], &t);
                    const size_t bytes = out ? (size_t)sqa_numel(t) * sizeof(float) : 0;
                    if (out && n + bytes <= sizeof first)
                        memcpy((step ? again : first) + n, out, bytes);
                    n += out && n + bytes <= sizeof first ? bytes : 0;
                }
                if (step && memcmp(first, again, n) != 0)
                    fail_msg("%s, mode %d: step %d gives other numbers than the first", models[i][0], mode, step + 1);
            }
            close_run(&r);
        }
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(checkpoint);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interrupted_runs_end_with_the_same_bits),
        cmocka_unit_test(interruptions_anywhere_lose_no_step),
        cmocka_unit_test(strange_checkpoints_are_refused),
        cmocka_unit_test(the_last_partial_batch_counts),
        cmocka_unit_test(micro_batches_add_up),
        cmocka_unit_test(micro_batches_are_deterministic),
        cmocka_unit_test(padding_is_counted),
        cmocka_unit_test(every_example_is_scored_once),
        cmocka_unit_test(every_label_is_scored_once),
        cmocka_unit_test(patience_stops_and_the_best_comes_back),
        cmocka_unit_test(select_last_keeps_the_last),
        cmocka_unit_test(threads_leave_the_bits),
        cmocka_unit_test(a_diverging_run_says_so),
        cmocka_unit_test(errors_of_models_and_tasks_pass_through),
        cmocka_unit_test(failing_allocations_are_survived),
        cmocka_unit_test(timed_steps_see_the_same_batch),
    };
    return cmocka_run_group_tests_name("train", tests, make_folder, remove_folder);
}
