/* settings.c - see settings.h: a plan of one cell, resolved the way run does it */
#include "harness/settings.h"

#include "harness/plan.h"

static enum sqa_status refuse_floor(const char *spec, struct sqa_err *err)
{
    struct sqa_model *m;
    enum sqa_status status = sqa_model_parse(spec, &m, err);
    if (status != SQA_OK)
        return status;
    if (sqa_model_is_floor(m))
        status = sqa_fail(err, SQA_UNSUPPORTED, "%s: a floor has no ops and no weights; choose a model that computes",
                          spec);
    sqa_model_free(m);
    return status;
}

enum sqa_status sqa_open_settings(const struct sqa_cell_settings *s, struct sqa_arena *arena, struct sqa_trainer **t,
                                  struct sqa_err *err)
{
    struct sqa_run_plan p = {0};
    struct sqa_selection sel = {.scale = s->scale,
                                .train = s->train,
                                .seed = s->seed,
                                .seeds = 1,
                                .threads = s->threads,
                                .batch = s->batch,
                                .step = s->step,
                                .step_alone = s->step};
    struct sqa_recipe r;
    char length[32];
    sel.models.at[sel.models.n++] = s->model;
    if (s->task)
        sel.tasks.at[sel.tasks.n++] = s->task;
    if (s->length > 0) {
        snprintf(length, sizeof length, "%lld", (long long)s->length);
        sel.lengths.at[sel.lengths.n++] = length;
    }
    enum sqa_status status = refuse_floor(s->model, err);
    if (status == SQA_OK)
        status = sqa_plan_cells(&p, &sel, 1, err); /* as bench: no floors, no controls beside it */
    if (status == SQA_OK)
        status = sqa_cell_recipe(&p.cells[0], arena, &r, err);
    if (status == SQA_OK) {
        const struct sqa_trainer_options o = {.model = p.cells[0].model_text,
                                              .task = p.cells[0].task,
                                              .data_dir = s->data_dir,
                                              .recipe = &r,
                                              .seed = (uint64_t)s->seed,
                                              .threads = s->threads,
                                              .trainable = s->trainable,
                                              .real = SQA_F32,
                                              .recompute = s->recompute,
                                              .compute = s->compute,
                                              .length = p.cells[0].length,
                                              .interrupted = s->interrupted};
        status = sqa_trainer_open(&o, t, err);
    }
    sqa_run_plan_clear(&p);
    return status;
}
