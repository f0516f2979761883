/* bench.h - a model's plan in memory of its own, and a batch for it; include after cmocka.h */
#ifndef SQA_TESTS_BENCH_H
#define SQA_TESTS_BENCH_H

#include "base/random.h"
#include "models/model.h"
#include "tests/support.h"

struct bench {
    struct sqa_model *model;
    struct sqa_store store;
    struct sqa_memory memory;
    struct sqa_plan *plan;
};

static inline void open_bench(struct bench *b, const char *model, const struct sqa_signature *task,
                              enum sqa_mode mode, int64_t batch, enum sqa_dtype real,
                              enum sqa_recompute_mode recompute, int threads)
{
    struct sqa_graph g;
    *b = (struct bench){0};
    OK(sqa_model_parse(model, &b->model, &failure));
    sqa_store_init(&b->store, real, 7);
    sqa_graph_init(&g, real, false);
    OK(sqa_model_graph(b->model, task, &b->store, mode, batch, task->length, &g, &failure));
    OK(sqa_store_seal(&b->store, mode == SQA_MODE_TRAIN, &failure));
    g.recompute = recompute;
    OK(sqa_plan_make(&g, &b->memory, threads, &b->plan, &failure));
}

static inline void close_bench(struct bench *b)
{
    sqa_plan_free(b->plan);
    sqa_memory_clear(&b->memory);
    sqa_store_clear(&b->store);
    sqa_model_free(b->model);
}

/* Fills an input of reals with normal numbers; none of that name: nothing. */
static inline void feed(struct sqa_plan *p, const char *name, uint64_t key)
{
    const struct sqa_tensor *t;
    void *to = sqa_plan_input(p, name, &t);
    for (int64_t i = 0; to && i < sqa_numel(t); i++) {
        const double v = sqa_random_normal(key, (uint64_t)i);
        if (t->dtype == SQA_F64)
            ((double *)to)[i] = v;
        else
            ((float *)to)[i] = (float)v;
    }
}

static inline void feed_batch(struct sqa_plan *p, const struct sqa_signature *task)
{
    static const char *const ints[] = {"tokens", "lengths", "labels"};
    const int64_t top[] = {task->vocab - 1, task->length, task->classes};
    for (int k = 0; k < 3; k++) {
        const struct sqa_tensor *t;
        int32_t *to = sqa_plan_input(p, ints[k], &t);
        for (int64_t i = 0; to && i < sqa_numel(t); i++)
            to[i] = (int32_t)((k < 2) + (int64_t)sqa_random_below(40 + (uint64_t)k, (uint64_t)i, (uint64_t)top[k]));
    }
    feed(p, "x", 50);
    feed(p, "y", 51);
}

#endif
