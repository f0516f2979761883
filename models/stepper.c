/* stepper.c - see stepper.h */
#include "models/stepper.h"

#include <string.h>

#include "base/random.h"

enum sqa_status sqa_stepper_plan(struct sqa_stepper *s, struct sqa_graph *g, struct sqa_store *store, int threads,
                                 struct sqa_err *err)
{
    enum sqa_status status = g->status;
    if (status != SQA_OK && err)
        *err = g->err;
    if (status == SQA_OK)
        status = sqa_store_seal(store, false, err);
    if (status == SQA_OK)
        status = sqa_store_seal(&s->states, false, err);
    if (status != SQA_OK) {
        sqa_graph_clear(g);
        return status;
    }
    return sqa_plan_make(g, &s->memory, threads, &s->plan, err);
}

enum sqa_status sqa_stepper_open(struct sqa_stepper *s, const struct sqa_model *m, const struct sqa_signature *task,
                                 struct sqa_store *store, int64_t batch, int threads, enum sqa_compute compute,
                                 struct sqa_err *err)
{
    struct sqa_graph g;
    sqa_store_init(&s->states, store->real, store->seed);
    sqa_graph_init(&g, store->real, false);
    g.compute = compute;
    const enum sqa_status status = sqa_model_step_graph(m, task, store, &s->states, batch, &g, err);
    if (status != SQA_OK) {
        sqa_graph_clear(&g);
        return status;
    }
    return sqa_stepper_plan(s, &g, store, threads, err);
}

void sqa_stepper_close(struct sqa_stepper *s)
{
    sqa_plan_free(s->plan);
    sqa_memory_clear(&s->memory);
    sqa_store_clear(&s->states);
    *s = (struct sqa_stepper){0};
}

void sqa_stepper_reset(struct sqa_stepper *s)
{
    if (s->states.states)
        memset(s->states.states, 0, (size_t)s->states.state_block * sqa_dtype_size(s->states.real));
}

void sqa_stepper_fill(struct sqa_stepper *s, uint64_t seed)
{
    const uint64_t key = sqa_random_key(seed, 0, "states");
    for (int64_t i = 0; i < s->states.state_block; i++) {
        const double x = sqa_random_uniform(key, (uint64_t)i);
        if (s->states.real == SQA_F64)
            ((double *)s->states.states)[i] = x;
        else
            ((float *)s->states.states)[i] = (float)x;
    }
}

enum sqa_status sqa_stepper_run(struct sqa_stepper *s, int64_t position, double *ns, struct sqa_err *err)
{
    int32_t *at = sqa_plan_input(s->plan, "position", NULL);
    if (at)
        *at = (int32_t)position;
    return sqa_plan_run(s->plan, 0, (uint64_t)position, NULL, ns, err);
}
