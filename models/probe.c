/*
 * probe.c - see probe.h
 *
 * A rig is a model, its store and one plan. For gradients of an item x is itself a parameter ("probe.x") of the
 * store, so that one backward pass gives all gradients.
 */
#include "models/probe.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "engine/plan.h"

#define GOOD 1e-8 /* no other step is tried then */
enum { POISON_LENGTH = 64, DIRECTIONS = 2, STEPS = 4, POINTS = 4 };

struct rig {
    struct sqa_model *model;
    struct sqa_signature task;
    struct sqa_context c;
    struct sqa_store store;
    struct sqa_memory memory;
    struct sqa_plan *plan;
    const struct sqa_item *item;
    bool untouched; /* the output is the input itself */
    uint64_t seed;
    const int32_t *lengths, *tokens;
    const double *x, *valid, *marks;
};

static void close_rig(struct rig *r)
{
    sqa_plan_free(r->plan);
    sqa_memory_clear(&r->memory);
    sqa_store_clear(&r->store);
    sqa_model_free(r->model);
}

/* Values of any element type from doubles and back, t as it lies (dense). */
static void write_reals(const struct sqa_tensor *t, void *to, const double *x)
{
    const int64_t n = sqa_numel(t);
    if (t->dtype == SQA_F64)
        memcpy(to, x, (size_t)n * sizeof *x);
    for (int64_t i = 0; t->dtype == SQA_F32 && i < n; i++)
        ((float *)to)[i] = (float)x[i];
}

static void read_reals(const struct sqa_tensor *t, const void *from, double *y)
{
    const int64_t n = sqa_numel(t);
    if (t->dtype == SQA_F64)
        memcpy(y, from, (size_t)n * sizeof *y);
    for (int64_t i = 0; t->dtype == SQA_F32 && i < n; i++)
        y[i] = (double)((const float *)from)[i];
}

static enum sqa_status nomem(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "probe: no memory; free some memory and run again");
}

/* Where to write the input of that name; NULL when nothing reads it: then the planner gave it no place. */
static void *input_of(struct rig *r, const char *name, const struct sqa_tensor **t)
{
    void *to = sqa_plan_input(r->plan, name, t);
    for (int k = 0; to && k < r->plan->count; k++)
        for (int i = 0; i < r->plan->nodes[k]->nin; i++)
            if (r->plan->nodes[k]->in[i] && r->plan->nodes[k]->in[i]->buffer == (*t)->buffer)
                return to;
    return r->untouched && strcmp(name, "x") == 0 ? to : NULL;
}

/* The input of that name, if the graph has it, from given values or normal ones. */
static enum sqa_status put_reals(struct rig *r, const char *name, const double *given, struct sqa_err *err)
{
    const struct sqa_tensor *t;
    void *to = input_of(r, name, &t);
    if (!to)
        return SQA_OK;
    const size_t n = (size_t)sqa_numel(t);
    double *made = given ? NULL : sqa_alloc_array(n, sizeof *made);
    if (!given && !made)
        return nomem(err);
    if (made)
        sqa_probe_normal(sqa_random_key(r->seed, 0, name), made, n);
    write_reals(t, to, given ? given : made);
    sqa_free(made);
    return SQA_OK;
}

/* Ids from low to high - 1 where none are given. */
static void put_ids(struct rig *r, const char *name, const int32_t *given, int64_t low, int64_t high)
{
    const struct sqa_tensor *t;
    int32_t *to = input_of(r, name, &t);
    const uint64_t key = sqa_random_key(r->seed, 0, name);
    for (int64_t i = 0; to && i < sqa_numel(t); i++)
        to[i] =
            given ? given[i] : (int32_t)(low + (int64_t)sqa_random_below(key, (uint64_t)i, (uint64_t)(high - low)));
}

/* Dates that rise by an hour a row. */
static void put_calendar(struct rig *r)
{
    const struct sqa_tensor *t;
    int32_t *to = input_of(r, "calendar", &t);
    for (int64_t i = 0; to && i < sqa_numel(t) / SQA_CALENDAR; i++) {
        const int32_t row[SQA_CALENDAR] = {1 + (int32_t)(i / 672 % 12), 1 + (int32_t)(i / 24 % 28),
                                           (int32_t)(i / 24 % 7), (int32_t)(i % 24), (int32_t)(i % 4)};
        memcpy(to + i * SQA_CALENDAR, row, sizeof row);
    }
}

/* Inputs are written before each run: their place is taken by others during it. */
static enum sqa_status run(struct rig *r, struct sqa_err *err)
{
    enum sqa_status status = put_reals(r, "x", r->x, err);
    if (status == SQA_OK)
        status = put_reals(r, "valid", r->valid, err);
    if (status == SQA_OK)
        status = put_reals(r, "w", NULL, err);
    if (status == SQA_OK)
        status = put_reals(r, "y", NULL, err);
    if (status == SQA_OK)
        status = put_reals(r, "marks", r->marks, err);
    put_calendar(r);
    put_ids(r, "tokens", r->tokens, r->task.vocab > 1 ? 1 : 0, r->task.vocab);
    put_ids(r, "lengths", r->lengths, r->c.length, r->c.length + 1);
    put_ids(r, "labels", NULL, r->task.kind == SQA_TAG ? -1 : 0, r->task.classes);
    return status == SQA_OK ? sqa_plan_run(r->plan, r->seed, 0, NULL, NULL, err) : status;
}

static enum sqa_status read_output(struct rig *r, const char *name, double *y, struct sqa_err *err)
{
    const struct sqa_tensor *t;
    const void *from = sqa_plan_output(r->plan, name, &t);
    if (!from)
        return sqa_fail(err, SQA_UNSUPPORTED, "probe: the graph has no output '%s'; give another item", name);
    read_reals(t, from, y);
    return SQA_OK;
}

/* Seals, edits, plans. Takes over g. */
static enum sqa_status finish(struct rig *r, struct sqa_graph *g, bool train, int threads,
                              void (*edit)(struct sqa_store *, void *), void *user, struct sqa_err *err)
{
    enum sqa_status status = g->status;
    if (status != SQA_OK && err)
        *err = g->err;
    if (status == SQA_OK)
        status = sqa_store_seal(&r->store, train, err);
    if (status != SQA_OK) {
        sqa_graph_clear(g);
        return status;
    }
    if (edit)
        edit(&r->store, user);
    status = sqa_plan_make(g, &r->memory, threads > 0 ? threads : 1, &r->plan, err);
    if (status == SQA_OK)
        r->plan->poison = r->c.length <= POISON_LENGTH;
    return status;
}

/* One item */

static const struct sqa_variant *variant_of(const char *item)
{
    char id[64];
    const size_t n = strcspn(item, ":");
    if (n >= sizeof id)
        return NULL;
    memcpy(id, item, n);
    id[n] = '\0';
    return sqa_variant_find(id);
}

static enum sqa_status parse_item(const struct sqa_probe *p, struct rig *r, struct sqa_err *err)
{
    struct sqa_text spec = {0};
    const struct sqa_variant *v = variant_of(p->item);
    const bool inside = v && v->slot != SQA_SLOT_MIXER && v->slot != SQA_SLOT_RESIDUAL && v->slot < SQA_SLOT_MODEL;
    if (inside)
        sqa_text_printf(&spec, "no_mixer+%s=", sqa_slot_name(v->slot));
    sqa_text_add(&spec, p->item);
    enum sqa_status status = spec.failed ? nomem(err) : sqa_model_parse(sqa_text_get(&spec), &r->model, err);
    sqa_text_clear(&spec);
    if (status != SQA_OK)
        return status;
    if (!v || r->model->preset.variant->slot != SQA_SLOT_MIXER || p->dim < 1 || p->heads < 1 || p->dim % p->heads)
        return sqa_fail(err, SQA_USAGE,
                        "probe: %.100s with dim %lld and heads %lld; give a mixer, and a dim that is a "
                        "multiple of heads",
                        p->item, (long long)p->dim, (long long)p->heads);
    struct sqa_frame *f = &r->model->frame;
    f->layers = 1;
    f->dim = p->dim;
    f->heads = p->heads;
    f->qkv = p->qkv;
    f->causal = p->causal;
    f->dropout = f->attention_dropout = 0;
    r->item = inside ? &r->model->slot[v->slot] : &r->model->mixer[0];
    return SQA_OK;
}

static struct sqa_tensor *make_x(struct rig *r, struct sqa_graph *g, bool train, struct sqa_err *err)
{
    const bool pair = r->item->variant->slot == SQA_SLOT_PAIR;
    const bool pooled = pair || r->item->variant->slot == SQA_SLOT_HEAD;
    const int64_t dim[3] = {r->c.batch * (pair ? 2 : 1), pooled ? sqa_head_width(&r->c) : r->c.length,
                            r->c.frame.dim};
    const struct sqa_init init = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1};
    if (!train)
        return sqa_input(g, "x", g->real, pooled ? 2 : 3, dim);
    struct sqa_entry *e =
        sqa_store_declare(&r->store, "probe.x", SQA_PARAMETER, SQA_GROUP_REGULAR, pooled ? 2 : 3, dim, init, err);
    return e ? sqa_value(g, e) : sqa_graph_fail(g, SQA_NOMEM, "probe: x could not be made");
}

static enum sqa_status open_item(const struct sqa_probe *p, bool train, const double *x, struct rig *r,
                                 struct sqa_err *err)
{
    struct sqa_graph g;
    *r = (struct rig){.seed = p->seed, .lengths = p->lengths, .x = x, .valid = p->valid};
    const int64_t longest = p->max_length ? p->max_length : p->length;
    r->task = (struct sqa_signature){
        .kind = SQA_CLASSIFY, .classes = 3, .length = longest, .channels = p->dim, .blank = p->valid != NULL};
    enum sqa_status status = parse_item(p, r, err);
    if (status == SQA_OK && r->item->variant->slot == SQA_SLOT_PAIR) {
        r->task.kind = SQA_PAIR;
        r->task.vocab = 2;
    }
    if (status == SQA_OK)
        status = sqa_model_check(r->model, &r->task, err);
    if (status != SQA_OK)
        return status;
    sqa_store_init(&r->store, p->real, p->seed);
    sqa_graph_init(&g, p->real, train);
    g.model = r->model->short_form;
    r->c = (struct sqa_context){.g = &g,
                                .store = &r->store,
                                .model = r->model,
                                .task = &r->task,
                                .frame = r->model->frame,
                                .batch = p->batch,
                                .length = p->length,
                                .head_width = p->width,
                                .max_length = longest,
                                .front = p->front};
    struct sqa_tensor *in = make_x(r, &g, train, err), *y = NULL;
    if (p->lengths)
        r->c.lengths = sqa_input(&g, "lengths", SQA_I32, SQA_DIMS(p->batch));
    if (p->valid)
        r->c.valid = sqa_input(&g, "valid", g.real, SQA_DIMS(p->batch, p->length));
    if (in && r->item->variant->slot == SQA_SLOT_MIXER) {
        y = sqa_build_mixer(&r->c, in);
    } else if (in) {
        const size_t mark = sqa_scope_push(&g, "%s", sqa_slot_name(r->item->variant->slot));
        y = r->item->variant->build(r->item->self, &r->c, in);
        sqa_scope_pop(&g, mark);
    }
    y = sqa_dense(&g, y);
    if (train && y) {
        struct sqa_tensor *w = sqa_input(&g, "w", g.real, y->rank, y->dim);
        struct sqa_tensor *loss = sqa_sum(&g, sqa_mul(&g, y, w), (1u << y->rank) - 1, false);
        sqa_output(&g, loss, "loss");
        sqa_backward(&g, loss, &r->store);
    } else if (y) {
        r->untouched = y->buffer == in->buffer;
        sqa_output(&g, sqa_reshape(&g, y, y->rank, y->dim), "probe");
    }
    status = finish(r, &g, train, p->threads, p->edit, p->user, err);
    r->c.g = NULL;
    return status;
}

enum sqa_status sqa_probe_run(const struct sqa_probe *p, const double *x, double *y, struct sqa_err *err)
{
    struct rig r;
    enum sqa_status status = open_item(p, false, x, &r, err);
    if (status == SQA_OK && r.item->variant->slot > SQA_SLOT_POSITION)
        status = sqa_fail(err, SQA_USAGE, "probe: %.100s does not keep the shape of x; give a mixer", p->item);
    if (status == SQA_OK)
        status = run(&r, err);
    if (status == SQA_OK)
        status = read_output(&r, "probe", y, err);
    close_rig(&r);
    return status;
}

static double closed(const struct sqa_item *item, const struct sqa_context *c)
{
    return item->variant->flops ? item->variant->flops(item->self, c) : (double)NAN;
}

enum sqa_status sqa_probe_cost(const struct sqa_probe *p, bool train, double *flops, double *closed_form,
                               double *memory, struct sqa_err *err)
{
    struct rig r;
    const enum sqa_status status = open_item(p, train, NULL, &r, err);
    if (status == SQA_OK) {
        *flops = sqa_plan_flops(r.plan, SQA_PASS_FORWARD);
        if (train)
            *flops += sqa_plan_flops(r.plan, SQA_PASS_BACKWARD) + sqa_plan_flops(r.plan, SQA_PASS_RECOMPUTE);
        *closed_form = closed(r.item, &r.c);
        *memory = (double)r.plan->arena_bytes;
    }
    close_rig(&r);
    return status;
}

/* Gradients */

static enum sqa_status loss_at(struct rig *r, struct sqa_entry *e, const double *base, const double *direction,
                               double step, double *loss, struct sqa_err *err)
{
    double *value = e->value;
    for (int64_t i = 0; i < e->count; i++)
        value[i] = base[i] + step * direction[i];
    const enum sqa_status status = run(r, err);
    return status == SQA_OK ? read_output(r, "loss", loss, err) : status;
}

/* Error along one random unit direction of one entry; the best of a few step sizes, since rounding and curvature ask
 * for different ones. base and direction have e->count numbers. */
static enum sqa_status one_direction(struct rig *r, struct sqa_entry *e, const double *gradient, double norm,
                                     uint64_t key, double *base, double *direction, double *error,
                                     struct sqa_err *err)
{
    static const double steps[STEPS] = {1e-3, 1e-4, 1e-5, 1e-6};
    static const double at[POINTS] = {1, -1, 2, -2}, weight[POINTS] = {8, -8, -1, 1}; /* fourth order */
    double length = 0, analytic = 0;
    memcpy(base, e->value, (size_t)e->count * sizeof *base);
    sqa_probe_normal(key, direction, (size_t)e->count);
    for (int64_t i = 0; i < e->count; i++)
        length += direction[i] * direction[i];
    for (int64_t i = 0; i < e->count; i++) {
        direction[i] /= sqrt(length);
        analytic += direction[i] * gradient[i];
    }
    enum sqa_status status = SQA_OK;
    *error = HUGE_VAL;
    for (int k = 0; k<STEPS && * error> GOOD && status == SQA_OK; k++) {
        double numeric = 0;
        for (int i = 0; i < POINTS && status == SQA_OK; i++) {
            double loss = 0;
            status = loss_at(r, e, base, direction, at[i] * steps[k], &loss, err);
            numeric += weight[i] * loss / (12 * steps[k]);
        }
        const double scale = fmax(fmax(fabs(analytic), fabs(numeric)), fmax(1e-3 * norm, 1e-12));
        *error = fmin(*error, fabs(analytic - numeric) / scale);
    }
    memcpy(e->value, base, (size_t)e->count * sizeof *base);
    return status;
}

static enum sqa_status check_gradients(struct rig *r, double *worst, struct sqa_err *err)
{
    const size_t block = (size_t)r->store.parameter_block;
    double *gradients = sqa_alloc_array(3 * block, sizeof *gradients), norm = 0;
    enum sqa_status status = gradients ? run(r, err) : nomem(err);
    *worst = 0;
    if (status != SQA_OK) {
        sqa_free(gradients);
        return status;
    }
    memcpy(gradients, r->store.gradients, block * sizeof *gradients);
    for (size_t i = 0; i < block; i++)
        norm += gradients[i] * gradients[i];
    uint64_t key = sqa_random_key(r->seed, 0, "directions");
    for (struct sqa_entry *e = r->store.first; e && status == SQA_OK; e = e->next) {
        for (int k = 0; k < DIRECTIONS && e->kind == SQA_PARAMETER && status == SQA_OK; k++) {
            double error = 0;
            status = one_direction(r, e, gradients + e->offset, sqrt(norm), key++, gradients + block,
                                   gradients + 2 * block, &error, err);
            *worst = fmax(*worst, error);
        }
    }
    sqa_free(gradients);
    return status;
}

enum sqa_status sqa_probe_gradient(const struct sqa_probe *p, double *worst, struct sqa_err *err)
{
    struct rig r;
    struct sqa_probe q = *p;
    q.real = SQA_F64;
    enum sqa_status status = open_item(&q, true, NULL, &r, err);
    if (status == SQA_OK)
        status = check_gradients(&r, worst, err);
    close_rig(&r);
    return status;
}

/* Whole models */

static enum sqa_status open_whole(const struct sqa_probe_whole *p, enum sqa_mode mode, enum sqa_dtype real,
                                  struct rig *r, struct sqa_err *err)
{
    struct sqa_graph g;
    *r = (struct rig){
        .seed = p->seed, .task = p->task, .lengths = p->lengths, .tokens = p->tokens, .x = p->x, .marks = p->marks};
    const enum sqa_status status = sqa_model_parse(p->model, &r->model, err);
    if (status != SQA_OK)
        return status;
    r->model->frame.dropout = r->model->frame.attention_dropout = 0;
    sqa_store_init(&r->store, real, p->seed);
    sqa_graph_init(&g, real, false);
    const int64_t length = p->length ? p->length : p->task.length;
    r->c = (struct sqa_context){.model = r->model,
                                .task = &r->task,
                                .frame = r->model->frame,
                                .batch = p->batch,
                                .length = length,
                                .max_length = p->task.length};
    const enum sqa_status built = sqa_model_graph(r->model, &r->task, &r->store, mode, p->batch, length, &g, err);
    if (built != SQA_OK) {
        sqa_graph_clear(&g);
        return built;
    }
    return finish(r, &g, mode == SQA_MODE_TRAIN, p->threads, p->edit, p->user, err);
}

enum sqa_status sqa_probe_whole(const struct sqa_probe_whole *p, double *y, int64_t *parameters, struct sqa_err *err)
{
    struct rig r;
    enum sqa_status status = open_whole(p, SQA_MODE_INFER, p->real, &r, err);
    if (status == SQA_OK && parameters)
        *parameters = r.store.parameter_count;
    if (status == SQA_OK && y) {
        status = run(&r, err);
        if (status == SQA_OK)
            status = read_output(&r, sqa_output_name(p->task.kind), y, err);
    }
    close_rig(&r);
    return status;
}

enum sqa_status sqa_probe_whole_cost(const struct sqa_probe_whole *p, double *flops, double *closed_form,
                                     struct sqa_err *err)
{
    struct rig r;
    const enum sqa_status status = open_whole(p, SQA_MODE_INFER, p->real, &r, err);
    if (status == SQA_OK) {
        *flops = sqa_plan_flops(r.plan, SQA_PASS_FORWARD);
        *closed_form = r.model->preset.variant->slot == SQA_SLOT_MODEL ? closed(&r.model->preset, &r.c) : (double)NAN;
    }
    close_rig(&r);
    return status;
}

enum sqa_status sqa_probe_whole_gradient(const struct sqa_probe_whole *p, double *worst, struct sqa_err *err)
{
    struct rig r;
    enum sqa_status status = open_whole(p, SQA_MODE_TRAIN, SQA_F64, &r, err);
    if (status == SQA_OK)
        status = check_gradients(&r, worst, err);
    close_rig(&r);
    return status;
}
