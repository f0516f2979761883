/* probe_steps.c - step forms run position by position; see probe.h */
#include <string.h>

#include "models/probe.h"
#include "models/stepper.h"

enum { POISON_LENGTH = 64 };

/* Position t of every row of x (batch, length, width), or of ids, into an input; times `factor`. */
static void put_position(struct sqa_plan *plan, const double *x, const int32_t *ids, int64_t length, int64_t t,
                         double factor)
{
    const struct sqa_tensor *into;
    void *to = sqa_plan_input(plan, x ? "x" : "tokens", &into);
    for (int64_t i = 0, n = to ? sqa_numel(into) : 0; i < n; i++) {
        const int64_t width = into->dim[into->rank - 1], row = x ? i / width : i;
        if (!x) {
            ((int32_t *)to)[i] = ids[row * length + t];
            continue;
        }
        const double v = factor * x[(row * length + t) * width + i % width];
        if (into->dtype == SQA_F64)
            ((double *)to)[i] = v;
        else
            ((float *)to)[i] = (float)v;
    }
}

/* An output's numbers for position t into y (batch, length, width). */
static void get_position(struct sqa_plan *plan, const char *name, double *y, int64_t length, int64_t t)
{
    const struct sqa_tensor *from;
    const void *data = sqa_plan_output(plan, name, &from);
    for (int64_t i = 0, n = sqa_numel(from); i < n; i++) {
        const int64_t width = from->dim[from->rank - 1];
        y[(i / width * length + t) * width + i % width] =
            from->dtype == SQA_F64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
    }
}

/* A position of junk is fed and forgotten first, so that a reset that forgets something shows. */
static enum sqa_status feed(struct sqa_stepper *s, const double *x, const int32_t *ids, int64_t length,
                            const char *name, double *y, struct sqa_err *err)
{
    s->plan->poison = length <= POISON_LENGTH;
    put_position(s->plan, x, ids, length, length - 1, 3);
    enum sqa_status status = sqa_stepper_run(s, 0, NULL, err);
    sqa_stepper_reset(s);
    for (int64_t t = 0; t < length && status == SQA_OK; t++) {
        put_position(s->plan, x, ids, length, t, 1);
        status = sqa_stepper_run(s, t, NULL, err);
        if (status == SQA_OK)
            get_position(s->plan, name, y, length, t);
    }
    return status;
}

static enum sqa_status open_mixer(const struct sqa_probe *p, struct sqa_model *m, struct sqa_store *store,
                                  struct sqa_stepper *s, struct sqa_err *err)
{
    struct sqa_frame *f = &m->frame;
    struct sqa_graph g;
    const int64_t longest = p->max_length ? p->max_length : p->length;
    const struct sqa_signature task = {.kind = SQA_CLASSIFY, .classes = 3, .length = longest, .channels = p->dim};
    f->layers = 1;
    f->dim = p->dim;
    f->heads = p->heads;
    f->qkv = p->qkv;
    f->causal = 1;
    f->dropout = f->attention_dropout = 0;
    const enum sqa_status status = sqa_model_check(m, &task, err);
    if (status != SQA_OK)
        return status;
    if (!m->mixer[0].variant->step)
        return sqa_fail(err, SQA_UNSUPPORTED, "%.100s: it has no step form", p->item);
    sqa_store_init(store, p->real, p->seed);
    sqa_store_init(&s->states, p->real, p->seed);
    sqa_graph_init(&g, p->real, false);
    g.model = m->short_form;
    g.fixed = store;
    struct sqa_context c = {.g = &g,
                            .store = store,
                            .states = &s->states,
                            .model = m,
                            .task = &task,
                            .frame = *f,
                            .batch = p->batch,
                            .length = 1,
                            .max_length = longest,
                            .position = sqa_input(&g, "position", SQA_I32, SQA_DIMS(1))};
    struct sqa_tensor *x = sqa_input(&g, "x", g.real, SQA_DIMS(p->batch, 1, p->dim));
    struct sqa_tensor *y = sqa_dense(&g, sqa_build_mixer(&c, x));
    if (y)
        sqa_output(&g, sqa_reshape(&g, y, y->rank, y->dim), "probe");
    return sqa_stepper_plan(s, &g, store, p->threads > 0 ? p->threads : 1, err);
}

enum sqa_status sqa_probe_steps(const struct sqa_probe *p, const double *x, double *y, double *state,
                                struct sqa_err *err)
{
    struct sqa_model *m = NULL;
    struct sqa_store store = {0};
    struct sqa_stepper s = {0};
    enum sqa_status status = sqa_model_parse(p->item, &m, err);
    if (status == SQA_OK)
        status = open_mixer(p, m, &store, &s, err);
    if (status == SQA_OK && p->edit)
        p->edit(&store, p->user);
    if (status == SQA_OK && state)
        *state = (double)s.states.state_count / (double)p->batch;
    if (status == SQA_OK)
        status = feed(&s, x, NULL, p->length, "probe", y, err);
    sqa_stepper_close(&s);
    sqa_store_clear(&store);
    sqa_model_free(m);
    return status;
}

enum sqa_status sqa_probe_whole_steps(const struct sqa_probe_whole *p, double *y, struct sqa_err *err)
{
    struct sqa_model *m = NULL;
    struct sqa_store store = {0};
    struct sqa_stepper s = {0};
    const int64_t length = p->length ? p->length : p->task.length;
    enum sqa_status status = sqa_model_parse(p->model, &m, err);
    if (status == SQA_OK) {
        m->frame.dropout = m->frame.attention_dropout = 0;
        sqa_store_init(&store, p->real, p->seed);
        status = sqa_stepper_open(&s, m, &p->task, &store, p->batch, p->threads > 0 ? p->threads : 1, SQA_COMPUTE_F32,
                                  err);
    }
    if (status == SQA_OK && p->edit)
        p->edit(&store, p->user);
    if (status == SQA_OK)
        status = feed(&s, p->x, p->tokens, length, sqa_output_name(p->task.kind), y, err);
    sqa_stepper_close(&s);
    sqa_store_clear(&store);
    sqa_model_free(m);
    return status;
}
