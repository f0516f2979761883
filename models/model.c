/*
 * model.c - the frame: embed, position, blocks, pool, head, loss; and what variants build with
 *
 * Parameters are named by scope: embed.table, position.table, blocks.I.mixer.wq.w, head.out.w. The block's shape is
 * the residual variant's; one that needs a norm after the last block adds it there (prenorm). Rows of padding run
 * through the blocks; mixers and pools leave them out by c->lengths.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/plan.h"
#include "models/forecast.h"
#include "models/holes.h"
#include "models/spec.h"

enum { MAX_TOGETHER = 3 };

static const struct sqa_init zero = {.kind = SQA_INIT_ZERO};

static const char *entry_name(struct sqa_context *c, const char *name, char full[512])
{
    snprintf(full, 512, "%s%s%s", c->g->scope, c->g->scope[0] ? "." : "", name);
    return full;
}

static struct sqa_entry *declare(struct sqa_context *c, const char *name, enum sqa_entry_kind kind,
                                 enum sqa_group group, struct sqa_init init, int rank, const int64_t *dim)
{
    char full[512];
    struct sqa_err err = {0};
    if (c->g->status != SQA_OK)
        return NULL;
    struct sqa_entry *e = sqa_store_declare(c->store, entry_name(c, name, full), kind, group, rank, dim, init, &err);
    if (!e)
        sqa_graph_fail(c->g, err.code, "%s", err.text);
    return e;
}

struct sqa_tensor *sqa_param_tensor(struct sqa_context *c, const char *name, enum sqa_group group,
                                    struct sqa_init init, int rank, const int64_t *dim)
{
    struct sqa_entry *e = declare(c, name, SQA_PARAMETER, group, init, rank, dim);
    return e ? sqa_value(c->g, e) : NULL;
}

struct sqa_entry *sqa_state_entry(struct sqa_context *c, const char *name, struct sqa_init init, int rank,
                                  const int64_t *dim)
{
    return declare(c, name, SQA_STATE, SQA_GROUP_NO_DECAY, init, rank, dim);
}

void sqa_dense_layers(struct sqa_context *c, int n, const struct sqa_dense_spec *layer, struct sqa_tensor *x,
                      struct sqa_tensor **y)
{
    struct sqa_tensor *w[MAX_TOGETHER], *b[MAX_TOGETHER];
    int act[MAX_TOGETHER];
    for (int i = 0; i < n; i++)
        y[i] = NULL;
    if (!x)
        return;
    for (int i = 0; i < n; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s.w", layer[i].name);
        w[i] = sqa_param_tensor(c, name, SQA_GROUP_REGULAR, (struct sqa_init){.kind = SQA_INIT_XAVIER},
                                SQA_DIMS(x->dim[x->rank - 1], layer[i].out));
        snprintf(name, sizeof name, "%s.b", layer[i].name);
        b[i] = layer[i].bias ? sqa_param_tensor(c, name, SQA_GROUP_NO_DECAY, zero, SQA_DIMS(layer[i].out)) : NULL;
        act[i] = layer[i].act;
    }
    sqa_linear_n(c->g, x, n, w, b, act, y);
}

struct sqa_tensor *sqa_dense_layer_act(struct sqa_context *c, const char *name, struct sqa_tensor *x, int64_t out,
                                       bool bias, int act)
{
    struct sqa_tensor *y;
    sqa_dense_layers(c, 1, &(struct sqa_dense_spec){name, out, bias, act}, x, &y);
    return y;
}

struct sqa_tensor *sqa_dense_layer(struct sqa_context *c, const char *name, struct sqa_tensor *x, int64_t out,
                                   bool bias)
{
    return sqa_dense_layer_act(c, name, x, out, bias, SQA_UNARY_N);
}

struct sqa_heads sqa_project_heads(struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_frame *f = &c->frame;
    const bool bias = f->bias != 0;
    const int64_t width = sqa_qkv_width(f);
    const struct sqa_dense_spec layer[3] = {
        {"wq", width, bias, SQA_UNARY_N}, {"wk", width, bias, SQA_UNARY_N}, {"wv", width, bias, SQA_UNARY_N}};
    struct sqa_tensor *t[3];
    sqa_dense_layers(c, 3, layer, x, t);
    for (int i = 0; i < 3 && x; i++)
        t[i] = sqa_reshape(c->g, t[i], SQA_DIMS(x->dim[0], x->dim[1], f->heads, width / f->heads));
    return (struct sqa_heads){t[0], t[1], t[2]};
}

struct sqa_tensor *sqa_merge_heads(struct sqa_context *c, struct sqa_tensor *o)
{
    if (!o)
        return NULL;
    struct sqa_tensor *x = sqa_reshape(c->g, o, SQA_DIMS(o->dim[0], o->dim[1], o->dim[2] * o->dim[3]));
    return sqa_dense_layer(c, "wo", x, c->frame.dim, c->frame.bias != 0);
}

double sqa_heads_flops(const struct sqa_context *c)
{
    const double rows = (double)c->batch * (double)c->length, d = (double)c->frame.dim;
    const double q = (double)sqa_qkv_width(&c->frame);
    return rows * (8 * d * q + (c->frame.bias ? 3 * q + d : 0));
}

void sqa_stream_put(struct sqa_context *c, const char *name, struct sqa_tensor *t)
{
    int i = 0;
    while (i < SQA_STREAMS && c->stream[i].name && strcmp(c->stream[i].name, name) != 0)
        i++;
    if (i == SQA_STREAMS)
        sqa_graph_fail(c->g, SQA_UNSUPPORTED, "stream %s: there are %d others; use fewer names", name, SQA_STREAMS);
    else
        c->stream[i] = (struct sqa_stream){name, t};
}

struct sqa_tensor *sqa_stream_get(const struct sqa_context *c, const char *name)
{
    for (int i = 0; i < SQA_STREAMS && c->stream[i].name; i++)
        if (strcmp(c->stream[i].name, name) == 0)
            return c->stream[i].tensor;
    return NULL;
}

static struct sqa_tensor *build_or_step(struct sqa_context *c, const struct sqa_item *item, struct sqa_tensor *x)
{
    const struct sqa_variant *v = item->variant;
    return c->position && v->step ? v->step(item->self, c, x) : v->build(item->self, c, x);
}

/* Builds an item in its own scope; the shape of x must stay. */
static struct sqa_tensor *build_same(struct sqa_context *c, const struct sqa_item *item, const char *scope,
                                     struct sqa_tensor *x)
{
    if (!x)
        return NULL;
    const size_t mark = sqa_scope_push(c->g, "%s", scope);
    struct sqa_tensor *y = build_or_step(c, item, x);
    char a[96], b[96];
    if (y && !sqa_same_shape(x, y))
        y = sqa_graph_fail(c->g, SQA_SHAPE, "%s: it made %s of %s at %s; a %s keeps the shape", item->variant->id,
                           sqa_shape_text(y, a), sqa_shape_text(x, b), c->g->scope,
                           sqa_slot_name(item->variant->slot));
    sqa_scope_pop(c->g, mark);
    return y;
}

struct sqa_tensor *sqa_build_mixer(struct sqa_context *c, struct sqa_tensor *x)
{
    return build_same(c, &c->model->mixer[c->layer % c->model->mixers], "mixer", x);
}

struct sqa_tensor *sqa_build_channel(struct sqa_context *c, struct sqa_tensor *x)
{
    return build_same(c, &c->model->slot[SQA_SLOT_CHANNEL], "channel", x);
}

bool sqa_has_channel(const struct sqa_context *c)
{
    return c->model->slot[SQA_SLOT_CHANNEL].variant->build != NULL;
}

struct sqa_tensor *sqa_build_norm(struct sqa_context *c, const char *name, struct sqa_tensor *x)
{
    return build_same(c, &c->model->slot[SQA_SLOT_NORM], name, x);
}

struct sqa_tensor *sqa_build_block(struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_item *residual = &c->model->slot[SQA_SLOT_RESIDUAL];
    const size_t mark = sqa_scope_push(c->g, "blocks.%d", c->layer);
    x = x ? residual->variant->build(residual->self, c, x) : NULL;
    sqa_scope_pop(c->g, mark);
    return x;
}

struct sqa_tensor *sqa_build_blocks(struct sqa_context *c, struct sqa_tensor *x)
{
    for (c->layer = 0; c->layer < c->frame.layers; c->layer++)
        x = sqa_build_block(c, x);
    return x;
}

double sqa_item_flops(const struct sqa_item *item, const struct sqa_context *c)
{
    return !item->variant->build ? 0 : item->variant->flops ? item->variant->flops(item->self, c) : (double)NAN;
}

double sqa_block_flops(const struct sqa_context *c)
{
    const struct sqa_model *m = c->model;
    const double channel = sqa_item_flops(&m->slot[SQA_SLOT_CHANNEL], c);
    const double sum = (double)c->batch * (double)c->length * (double)c->frame.dim;
    const double part = sqa_item_flops(&m->slot[SQA_SLOT_NORM], c) + sum;
    if (strcmp(m->slot[SQA_SLOT_RESIDUAL].variant->id, "postnorm") != 0)
        return (double)NAN;
    return sqa_item_flops(&m->mixer[c->layer % m->mixers], c) + channel + part * (sqa_has_channel(c) ? 2 : 1);
}

double sqa_blocks_flops(const struct sqa_context *c)
{
    struct sqa_context at = *c;
    double flops = 0;
    for (at.layer = 0; at.layer < c->frame.layers; at.layer++)
        flops += sqa_block_flops(&at);
    return flops;
}

static bool is_padded(const struct sqa_item *item)
{
    const struct sqa_variant *v = item->variant;
    const bool promises = v->slot == SQA_SLOT_MIXER || v->slot == SQA_SLOT_MODEL;
    return (promises && !(v->traits & SQA_TRAIT_PADDING)) || (v->padded && v->padded(item->self));
}

const char *sqa_model_padded_part(const struct sqa_model *m)
{
    if (sqa_model_is_floor(m))
        return NULL;
    if (sqa_spec_whole(m))
        return is_padded(&m->preset) ? m->preset.variant->id : NULL;
    for (int i = 0; i < m->mixers; i++)
        if (is_padded(&m->mixer[i]))
            return m->mixer[i].variant->id;
    for (int s = 0; s < SQA_SLOTS; s++)
        if (m->slot[s].variant && is_padded(&m->slot[s]))
            return m->slot[s].variant->id;
    return NULL;
}

/* Whether the pool puts a vector in front: tags are not pooled. */
static bool has_front(const struct sqa_model *m, const struct sqa_signature *task)
{
    const struct sqa_variant *pool = m->slot[SQA_SLOT_POOL].variant;
    return pool && pool->front && task->kind != SQA_TAG;
}

static enum sqa_status check_item(const struct sqa_model *m, const struct sqa_item *item,
                                  const struct sqa_signature *task, struct sqa_err *err)
{
    const struct sqa_variant *v = item->variant;
    if (!v)
        return SQA_OK;
    if (v->slot == SQA_SLOT_MIXER && m->frame.causal && !(v->traits & SQA_TRAIT_CAUSAL))
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: it has no causal form; leave causal=1 out or take another mixer",
                        v->id);
    if (v->slot == SQA_SLOT_MIXER && sqa_qkv_width(&m->frame) != m->frame.dim && !(v->traits & SQA_TRAIT_QKV))
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: its q, k and v are as wide as the stream; leave qkv=%lld out",
                        v->id, (long long)m->frame.qkv);
    if ((v->slot == SQA_SLOT_MIXER || v->slot == SQA_SLOT_MODEL) && task->blank > 0 &&
        (m->frame.causal || !v->holes || !v->holes(item->self)))
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "%s: the task's form=lra takes black pixels for padding, and this knows padding behind a "
                        "sequence only; use the model's form=lra without causal=1, or leave form=lra out of the task",
                        v->id);
    return v->check ? v->check(item->self, &m->frame, task, err) : SQA_OK;
}

/* The items of a model's own blocks, which see its tokens. */
static enum sqa_status check_blocks(const struct sqa_model *m, const struct sqa_signature *task, struct sqa_err *err)
{
    struct sqa_signature inside = *task;
    enum sqa_status status = SQA_OK;
    inside.length = m->preset.variant->tokens(m->preset.self, task);
    for (int i = 0; i < m->mixers && status == SQA_OK; i++)
        status = check_item(m, &m->mixer[i], &inside, err);
    for (int s = 0; s < SQA_SLOTS && status == SQA_OK; s++)
        status = check_item(m, &m->slot[s], &inside, err);
    return status;
}

enum sqa_status sqa_model_check(const struct sqa_model *m, const struct sqa_signature *task, struct sqa_err *err)
{
    const char *name = m->preset.variant->id;
    if (task->length < 1)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: the task has no positions; give it a length of 1 or more", name);
    if (task->kind != SQA_FORECAST && task->classes < 1)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: the task has no classes; give it at least one", name);
    if (task->kind == SQA_FORECAST && (task->horizon < 1 || task->outputs < 1 || task->outputs > task->channels))
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "%s: a forecast of %lld rows and %lld of %lld channels; horizon and outputs are at least 1, "
                        "outputs at most the channels",
                        name, (long long)task->horizon, (long long)task->outputs, (long long)task->channels);
    if (task->vocab < 1 && task->channels < 1)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: the task has neither tokens nor channels; give it one of them",
                        name);
    if (task->kind == SQA_PAIR && task->vocab < 1)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: a pair of real series; pairs are of tokens, give a vocabulary",
                        name);
    if (task->kind == SQA_PAIR && m->preset.variant->slot == SQA_SLOT_MODEL)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: a whole model has no towers for pairs; take a mixer", name);
    if (task->kind != SQA_FORECAST && sqa_spec_takes_frame(m->preset.variant) &&
        sqa_instance_find(m->frame.instance) != SQA_INSTANCE_NONE)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: instance=%s on a task that is no forecast; leave it out", name,
                        m->frame.instance);
    if (m->preset.variant->slot != SQA_SLOT_MIXER) {
        const enum sqa_status status = check_item(m, &m->preset, task, err);
        return status == SQA_OK && sqa_spec_has_slots(m->preset.variant) ? check_blocks(m, task, err) : status;
    }
    if (task->kind != SQA_PAIR &&
        strcmp(m->slot[SQA_SLOT_PAIR].variant->id, sqa_spec_slot_default[SQA_SLOT_PAIR]) != 0)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: pair=%s on a task without pairs; leave +pair= out", name,
                        m->slot[SQA_SLOT_PAIR].variant->id);
    if (task->kind == SQA_TAG &&
        strcmp(m->slot[SQA_SLOT_POOL].variant->id, sqa_spec_slot_default[SQA_SLOT_POOL]) != 0)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "%s: pool=%s on a task with a label at each position, where nothing is pooled; leave +pool= "
                        "out",
                        name, m->slot[SQA_SLOT_POOL].variant->id);
    enum sqa_status status = SQA_OK;
    struct sqa_signature inside = *task; /* as mixers see it */
    inside.length += has_front(m, task);
    for (int i = 0; i < m->mixers && status == SQA_OK; i++)
        status = check_item(m, &m->mixer[i], &inside, err);
    for (int s = 0; s < SQA_SLOTS && status == SQA_OK; s++)
        status = check_item(m, &m->slot[s], task, err);
    return status;
}

/* What the pool puts in front of the sequence; c knows of it from here on. */
static struct sqa_tensor *put_in_front(struct sqa_context *c, struct sqa_tensor *x)
{
    const struct sqa_item *pool = &c->model->slot[SQA_SLOT_POOL];
    if (!x || !has_front(c->model, c->task))
        return x;
    const size_t mark = sqa_scope_push(c->g, "%s", sqa_slot_name(SQA_SLOT_POOL));
    x = pool->variant->front(pool->self, c, x);
    c->length++;
    c->max_length++;
    c->front = true;
    if (c->lengths)
        c->lengths = sqa_add_int(c->g, c->lengths, 1);
    if (c->valid) { /* it counts when the first token does */
        struct sqa_tensor *const both[2] = {sqa_slice(c->g, c->valid, 1, 0, 1), c->valid};
        c->valid = sqa_concat(c->g, 1, 2, both);
    }
    sqa_scope_pop(c->g, mark);
    return x;
}

static struct sqa_tensor *embed(struct sqa_context *c, struct sqa_tensor *in)
{
    const size_t mark = sqa_scope_push(c->g, "embed");
    struct sqa_tensor *x;
    if (c->task->vocab > 0) {
        const struct sqa_init init = {.kind = SQA_INIT_NORMAL, .a = 0, .b = c->frame.embed_deviation};
        x = sqa_embedding(
            c->g, sqa_param_tensor(c, "table", SQA_GROUP_REGULAR, init, SQA_DIMS(c->task->vocab, c->frame.dim)), in);
    } else {
        x = sqa_dense_layer(c, "in", in, c->frame.dim, true);
    }
    sqa_scope_pop(c->g, mark);
    return x;
}

static struct sqa_tensor *build_item(struct sqa_context *c, enum sqa_slot slot, struct sqa_tensor *x)
{
    if (!x)
        return NULL;
    const struct sqa_item *item = &c->model->slot[slot];
    const size_t mark = sqa_scope_push(c->g, "%s", sqa_slot_name(slot));
    struct sqa_tensor *y = build_or_step(c, item, x);
    sqa_scope_pop(c->g, mark);
    return y;
}

/* Pooled rows 2 i and 2 i + 1 become row i. */
static struct sqa_tensor *join(struct sqa_context *c, struct sqa_tensor *x)
{
    c->batch /= 2;
    x = build_item(c, SQA_SLOT_PAIR, x);
    c->head_width = x ? x->dim[x->rank - 1] : 0;
    return x;
}

static struct sqa_tensor *frame(struct sqa_context *c, struct sqa_tensor *in)
{
    struct sqa_instance instance;
    const bool forecast = c->task->kind == SQA_FORECAST;
    in = sqa_instance_norm(c, in, forecast ? sqa_instance_find(c->frame.instance) : SQA_INSTANCE_NONE, &instance);
    struct sqa_tensor *x = put_in_front(c, embed(c, in));
    x = build_same(c, &c->model->slot[SQA_SLOT_POSITION], "position", x);
    x = sqa_dropout(c->g, x, c->frame.dropout);
    x = sqa_build_blocks(c, x);
    if (c->task->kind != SQA_TAG)
        x = build_item(c, SQA_SLOT_POOL, x);
    if (c->task->kind == SQA_PAIR)
        x = join(c, x);
    return sqa_instance_undo(c, build_item(c, SQA_SLOT_HEAD, x), &instance);
}

/* Losses of the rows, of tags (B, L); *mean is what is trained on, made when mean is given. */
static struct sqa_tensor *losses(struct sqa_context *c, struct sqa_tensor *y, struct sqa_tensor **mean)
{
    const struct sqa_signature *task = c->task;
    const int64_t B = c->batch, L = c->length;
    struct sqa_tensor *each;
    if (task->kind == SQA_TAG) {
        struct sqa_tensor *labels = sqa_input(c->g, "labels", SQA_I32, SQA_DIMS(B, L));
        each = sqa_cross_entropy(c->g, sqa_reshape(c->g, y, SQA_DIMS(B * L, task->classes)),
                                 sqa_reshape(c->g, labels, SQA_DIMS(B * L)));
        if (mean)
            *mean = sqa_mul(c->g, sqa_sum(c->g, each, 1u, false), sqa_per_label(c->g, labels));
        return sqa_reshape(c->g, each, SQA_DIMS(B, L));
    }
    if (task->kind == SQA_CLASSIFY || task->kind == SQA_PAIR) {
        each = sqa_cross_entropy(c->g, y, sqa_input(c->g, "labels", SQA_I32, SQA_DIMS(B)));
    } else {
        struct sqa_tensor *target = sqa_input(c->g, "y", c->g->real, SQA_DIMS(B, task->horizon, task->outputs));
        each = sqa_mean(c->g, sqa_squared_error(c->g, y, target), 6u, false);
    }
    if (mean)
        *mean = sqa_mean(c->g, each, 1u, false);
    return each;
}

static bool right_shape(const struct sqa_context *c, const struct sqa_tensor *y)
{
    if (c->task->kind == SQA_CLASSIFY || c->task->kind == SQA_PAIR)
        return y->rank == 2 && y->dim[0] == c->batch && y->dim[1] == c->task->classes;
    if (c->task->kind == SQA_TAG)
        return y->rank == 3 && y->dim[0] == c->batch && y->dim[1] == c->length && y->dim[2] == c->task->classes;
    return y->rank == 3 && y->dim[0] == c->batch && y->dim[1] == c->task->horizon && y->dim[2] == c->task->outputs;
}

enum sqa_status sqa_model_graph(const struct sqa_model *m, const struct sqa_signature *task, struct sqa_store *store,
                                enum sqa_mode mode, int64_t batch, int64_t length, struct sqa_graph *g,
                                struct sqa_err *err)
{
    const struct sqa_variant *v = m->preset.variant;
    const enum sqa_status status = sqa_model_check(m, task, err);
    if (status != SQA_OK)
        return status;
    if (v->slot == SQA_SLOT_FLOOR)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: a floor has no graph; it is scored by see and predict", v->id);
    if (batch < 1 || length < 1 || length > task->length)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "%s: a batch of %lld rows of %lld; rows are at least 1, positions 1 .. %lld", v->id,
                        (long long)batch, (long long)length, (long long)task->length);
    g->training = mode == SQA_MODE_TRAIN;
    g->model = m->short_form;
    struct sqa_context c = {.g = g,
                            .store = store,
                            .model = m,
                            .task = task,
                            .frame = m->frame,
                            .batch = batch * sqa_rows_an_example(task->kind),
                            .length = length,
                            .max_length = task->length};
    struct sqa_tensor *in;
    if (task->vocab > 0) {
        in = sqa_input(g, "tokens", SQA_I32, SQA_DIMS(c.batch, length));
    } else {
        in = sqa_input(g, "x", g->real, SQA_DIMS(c.batch, length, task->channels));
    }
    if (task->blank > 0)
        c.valid = sqa_valid_tokens(g, in, task->blank);
    if (task->kind != SQA_FORECAST)
        c.lengths = sqa_input(g, "lengths", SQA_I32, SQA_DIMS(c.batch));
    struct sqa_tensor *y = v->slot == SQA_SLOT_MODEL ? v->build(m->preset.self, &c, in) : frame(&c, in);
    y = sqa_dense(g, y);
    char text[96];
    if (y && !right_shape(&c, y))
        y = sqa_graph_fail(g, SQA_SHAPE,
                           "%s: it made %s; the task wants (batch, classes), of tags (batch, length, classes), or "
                           "(batch, horizon, outputs)",
                           v->id, sqa_shape_text(y, text));
    if (mode != SQA_MODE_TRAIN)
        sqa_output(g, y, sqa_output_name(task->kind));
    if (mode == SQA_MODE_EVAL)
        sqa_output(g, losses(&c, y, NULL), "losses");
    if (mode == SQA_MODE_TRAIN) {
        struct sqa_tensor *loss = NULL;
        losses(&c, y, &loss);
        sqa_output(g, loss, "loss");
        sqa_backward(g, loss, store);
    }
    if (g->status != SQA_OK && err)
        *err = g->err;
    return g->status;
}

/* Step forms */

static enum sqa_status check_step(const struct sqa_model *m, const struct sqa_signature *task, struct sqa_err *err)
{
    const struct sqa_variant *v = m->preset.variant, *pool = m->slot[SQA_SLOT_POOL].variant;
    if (v->slot != SQA_SLOT_MIXER)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: no step form; take a mixer", v->id);
    if (!m->frame.causal)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: later positions change earlier ones; give causal=1 for steps",
                        v->id);
    for (int i = 0; i < m->mixers; i++)
        if (!m->mixer[i].variant->step)
            return sqa_fail(err, SQA_UNSUPPORTED, "%s: it has no step form; see seqarena describe",
                            m->mixer[i].variant->id);
    if (task->kind == SQA_PAIR)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: a pair does not come one position at a time; take another task",
                        v->id);
    if (task->kind != SQA_TAG && !pool->step)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: pool=%s has no step form; give +pool=last or mean", v->id,
                        pool->id);
    return SQA_OK;
}

enum sqa_status sqa_model_step_graph(const struct sqa_model *m, const struct sqa_signature *task,
                                     struct sqa_store *store, struct sqa_store *states, int64_t batch,
                                     struct sqa_graph *g, struct sqa_err *err)
{
    enum sqa_status status = sqa_model_check(m, task, err);
    if (status == SQA_OK)
        status = check_step(m, task, err);
    if (status != SQA_OK)
        return status;
    g->training = false;
    g->model = m->short_form;
    g->fixed = store;
    struct sqa_context c = {.g = g,
                            .store = store,
                            .states = states,
                            .model = m,
                            .task = task,
                            .frame = m->frame,
                            .batch = batch,
                            .length = 1,
                            .max_length = task->length,
                            .position = sqa_input(g, "position", SQA_I32, SQA_DIMS(1))};
    struct sqa_tensor *in = task->vocab > 0 ? sqa_input(g, "tokens", SQA_I32, SQA_DIMS(batch, 1))
                                            : sqa_input(g, "x", g->real, SQA_DIMS(batch, 1, task->channels));
    sqa_output(g, sqa_dense(g, frame(&c, in)), sqa_output_name(task->kind));
    if (g->status != SQA_OK && err)
        *err = g->err;
    return g->status;
}
