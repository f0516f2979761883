/* plans.c - cache of plans of one model; see plan.h */
#include "engine/plan.h"

struct sqa_plans_slot {
    struct sqa_plan_key key;
    struct sqa_plan *plan;
    uint64_t used;
};

enum sqa_status sqa_plans_init(struct sqa_plans *c, sqa_plan_build_fn *build, void *user, enum sqa_dtype real,
                               int threads, int capacity, struct sqa_err *err)
{
    *c = (struct sqa_plans){.build = build, .user = user, .real = real, .threads = threads, .capacity = capacity};
    c->slots = sqa_alloc_array((size_t)capacity, sizeof *c->slots);
    return c->slots ? SQA_OK : sqa_fail(err, SQA_NOMEM, "plans: no memory; free some memory and run again");
}

enum sqa_status sqa_plans_get(struct sqa_plans *c, struct sqa_plan_key key, struct sqa_plan **plan,
                              struct sqa_err *err)
{
    struct sqa_plans_slot *oldest = &c->slots[0];
    for (int i = 0; i < c->capacity; i++) {
        struct sqa_plans_slot *s = &c->slots[i];
        if (s->plan && s->key.mode == key.mode && s->key.batch == key.batch && s->key.length == key.length) {
            s->used = ++c->clock;
            *plan = s->plan;
            return sqa_memory_grow(&c->memory, s->plan->arena_bytes,
                                   err); /* gone when a larger plan found no memory */
        }
        if (s->used < oldest->used) /* an empty slot has used == 0 */
            oldest = s;
    }
    struct sqa_graph g;
    sqa_graph_init(&g, c->real, false);
    enum sqa_status status = c->build(c->user, &key, &g, err);
    if (status != SQA_OK) {
        sqa_graph_clear(&g);
        return status;
    }
    g.recompute = c->recompute;
    sqa_plan_free(oldest->plan);
    oldest->plan = NULL;
    status = sqa_plan_make(&g, &c->memory, c->threads, &oldest->plan, err);
    if (status != SQA_OK)
        return status;
    oldest->key = key;
    oldest->used = ++c->clock;
    oldest->plan->rows = key.batch;
    *plan = oldest->plan;
    return SQA_OK;
}

void sqa_plans_clear(struct sqa_plans *c)
{
    for (int i = 0; c->slots && i < c->capacity; i++)
        sqa_plan_free(c->slots[i].plan);
    sqa_free(c->slots);
    sqa_memory_clear(&c->memory);
    *c = (struct sqa_plans){0};
}
