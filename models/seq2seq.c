/* seq2seq.c - see seq2seq.h */
#include "models/seq2seq.h"

#include <math.h>

enum { KERNEL = 3 };

/* A part of another slot with the parameters it has when nothing is said. */
static struct sqa_tensor *plain_part(struct sqa_context *c, const char *id, const char *scope, struct sqa_tensor *x)
{
    const struct sqa_variant *v = sqa_variant_find(id);
    struct sqa_err err = {0};
    void *self = sqa_arena_alloc(&c->g->arena, v && v->self_size ? v->self_size : 1);
    if (!v || !self || sqa_params_defaults(id, v->params, self, &c->g->arena, &err) != SQA_OK)
        return sqa_graph_fail(c->g, SQA_UNSUPPORTED, "%s: no part %s could be made; build it with models/%s.c",
                              c->g->model ? c->g->model : "model", id, id);
    const size_t mark = sqa_scope_push(c->g, "%s", scope);
    x = x ? v->build(self, c, x) : NULL;
    sqa_scope_pop(c->g, mark);
    return x;
}

/* x (B, L, W) -> (B, L + 2 padding - 2, 3 W): three rows after one another, the series closed to a ring. */
static struct sqa_tensor *neighbours(struct sqa_context *c, struct sqa_tensor *x, int64_t padding)
{
    if (!x)
        return NULL;
    const int64_t l = x->dim[1], out = l + 2 * padding - (KERNEL - 1);
    struct sqa_tensor *ring[3] = {sqa_slice(c->g, x, 1, l - padding, padding), x, sqa_slice(c->g, x, 1, 0, padding)};
    struct sqa_tensor *part[KERNEL];
    x = sqa_concat(c->g, 1, 3, ring);
    for (int i = 0; i < KERNEL; i++)
        part[i] = sqa_slice(c->g, x, 1, i, out);
    return sqa_concat(c->g, 2, KERNEL, part);
}

static struct sqa_tensor *embed(const struct sqa_seq2seq *s, struct sqa_context *c, const char *scope,
                                struct sqa_tensor *x, struct sqa_tensor *marks)
{
    const int64_t d = c->frame.dim, channels = x ? x->dim[2] : 1;
    const double deviation = sqrt(2 / (1 + 0.01 * 0.01)) / sqrt((double)(KERNEL * channels));
    const struct sqa_init normal = {.kind = SQA_INIT_NORMAL, .b = deviation}, zero = {.kind = SQA_INIT_ZERO};
    const size_t mark = sqa_scope_push(c->g, "%s", scope);
    struct sqa_tensor *w = sqa_param_tensor(c, "value.w", SQA_GROUP_REGULAR, normal, SQA_DIMS(KERNEL * channels, d));
    struct sqa_tensor *b =
        s->embed_bias ? sqa_param_tensor(c, "value.b", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(d)) : NULL;
    x = plain_part(c, "sinusoid", "position", sqa_linear(c->g, neighbours(c, x, 1), w, b));
    if (marks)
        x = sqa_add(c->g, x, sqa_dense_layer(c, "time", sqa_dense(c->g, marks), d, s->embed_bias));
    x = sqa_dropout(c->g, x, c->frame.dropout);
    sqa_scope_pop(c->g, mark);
    return x;
}

/* Largest of rows 2 i - 1, 2 i, 2 i + 1: (B, L, D) -> (B, ceil(L / 2), D). A row beyond an end repeats that end,
 * which is in its window anyhow. */
static struct sqa_tensor *halve(struct sqa_context *c, struct sqa_tensor *x)
{
    if (!x)
        return NULL;
    const int64_t b = x->dim[0], l = x->dim[1], d = x->dim[2], half = (l + 1) / 2;
    struct sqa_tensor *ends[3] = {sqa_slice(c->g, x, 1, 0, 1), x, sqa_slice(c->g, x, 1, l - 1, 1)};
    x = sqa_concat(c->g, 1, l % 2 ? 3 : 2, ends);
    struct sqa_tensor *pairs = sqa_reshape(c->g, sqa_slice(c->g, x, 1, 0, 2 * half), SQA_DIMS(b, half, 2, d));
    struct sqa_tensor *next = sqa_reshape(c->g, sqa_slice(c->g, x, 1, 1, 2 * half), SQA_DIMS(b, half, 2, d));
    struct sqa_tensor *three[2] = {pairs, sqa_slice(c->g, next, 2, 1, 1)};
    return sqa_max_over(c->g, sqa_concat(c->g, 2, 2, three), 4u, false);
}

static int64_t distilled(const struct sqa_seq2seq *s, int64_t length)
{
    return (length + 2 * s->padding - (KERNEL - 1) + 1) / 2;
}

static struct sqa_tensor *distil(const struct sqa_seq2seq *s, struct sqa_context *c, struct sqa_tensor *x)
{
    const size_t mark = sqa_scope_push(c->g, "distil.%d", c->layer);
    x = sqa_dense_layer(c, "conv", neighbours(c, x, s->padding), c->frame.dim, true);
    c->length = c->max_length = c->length + 2 * s->padding - (KERNEL - 1);
    x = plain_part(c, "batchnorm", "norm", x);
    x = halve(c, sqa_affine(c->g, 1, sqa_unary(c->g, SQA_UNARY_ELU1, x), -1));
    c->length = c->max_length = (c->length + 1) / 2;
    sqa_scope_pop(c->g, mark);
    return x;
}

/* x + dropout(y) under a norm */
static struct sqa_tensor *sum_norm(struct sqa_context *c, const char *norm, struct sqa_tensor *x,
                                   struct sqa_tensor *y)
{
    return sqa_build_norm(c, norm, sqa_add(c->g, x, y));
}

/* Queries of x (B, Lq, D), keys and values of `to` (B, Lk, D). */
static struct sqa_tensor *cross(struct sqa_context *c, struct sqa_tensor *x, struct sqa_tensor *to)
{
    if (!x || !to)
        return NULL;
    const int64_t width = sqa_qkv_width(&c->frame), heads = c->frame.heads, d = sqa_head_dim(&c->frame);
    const bool bias = c->frame.bias != 0;
    const struct sqa_dense_spec layer[2] = {{"wk", width, bias, SQA_UNARY_N}, {"wv", width, bias, SQA_UNARY_N}};
    const struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)d), .dropout = c->frame.attention_dropout};
    struct sqa_tensor *q = sqa_dense_layer(c, "wq", x, width, bias), *kv[2];
    sqa_dense_layers(c, 2, layer, to, kv);
    q = sqa_reshape(c->g, q, SQA_DIMS(c->batch, x->dim[1], heads, d));
    for (int i = 0; i < 2; i++)
        kv[i] = sqa_reshape(c->g, kv[i], SQA_DIMS(c->batch, to->dim[1], heads, d));
    return sqa_merge_heads(c, sqa_attention(c->g, q, kv[0], kv[1], NULL, spec));
}

static struct sqa_tensor *decode(const void *self, sqa_attend_fn *attend, struct sqa_context *c, struct sqa_tensor *x,
                                 struct sqa_tensor *memory)
{
    const size_t layer = sqa_scope_push(c->g, "decoder.%d", c->layer);
    size_t mark = sqa_scope_push(c->g, "self");
    const struct sqa_heads h = sqa_project_heads(c, x);
    struct sqa_tensor *y = sqa_merge_heads(c, h.q ? attend(self, c, h) : NULL);
    sqa_scope_pop(c->g, mark);
    x = sum_norm(c, "norm1", x, sqa_dropout(c->g, y, c->frame.dropout));
    mark = sqa_scope_push(c->g, "cross");
    y = cross(c, x, memory);
    sqa_scope_pop(c->g, mark);
    x = sum_norm(c, "norm2", x, sqa_dropout(c->g, y, c->frame.dropout));
    if (sqa_has_channel(c))
        x = sum_norm(c, "norm3", x, sqa_build_channel(c, x));
    sqa_scope_pop(c->g, layer);
    return x;
}

int64_t sqa_seq2seq_tokens(const void *self, const struct sqa_signature *task)
{
    (void)self;
    return task->length;
}

struct sqa_tensor *sqa_seq2seq_build(const void *self, sqa_attend_fn *attend, struct sqa_context *c,
                                     struct sqa_tensor *x)
{
    const struct sqa_seq2seq *s = self;
    const int64_t h = c->task->horizon;
    const bool times = c->task->marks > 0;
    struct sqa_instance instance;
    struct sqa_context at = *c;
    x = sqa_instance_norm(c, x, sqa_instance_find(s->instance), &instance);
    struct sqa_tensor *marks = times ? sqa_slice(c->g, sqa_marks(c), 1, 0, c->length) : NULL;
    struct sqa_tensor *memory = embed(s, &at, "embed", x, marks);
    for (at.layer = 0; at.layer < c->frame.layers; at.layer++) {
        memory = sqa_build_block(&at, memory);
        if (s->distil && at.layer + 1 < c->frame.layers)
            memory = distil(s, &at, memory);
    }
    memory = sqa_build_norm(&at, "norm", memory);

    at.length = at.max_length = s->label + h;
    marks = times ? sqa_decoder_marks(c, s->label) : NULL;
    x = embed(s, &at, "decoder_embed", sqa_decoder_input(c, x, s->label), marks);
    for (at.layer = 0; at.layer < s->decoder_layers; at.layer++)
        x = decode(self, attend, &at, x, memory);
    x = sqa_build_norm(&at, "decoder_norm", x);
    x = x ? sqa_dense(c->g, sqa_slice(c->g, x, 1, s->label, h)) : NULL;
    return sqa_instance_undo(c, sqa_dense_layer(c, "head", x, c->task->outputs, true), &instance);
}

/* Cost */

static double embed_flops(const struct sqa_seq2seq *s, const struct sqa_context *c)
{
    const double d = (double)c->frame.dim, channels = (double)c->task->channels, f = (double)c->task->marks;
    const double bias = s->embed_bias ? 1 : 0;
    const double times = f > 0 ? 2 * f + bias + 1 : 0;
    return (double)c->batch * (double)c->length * d * (2 * KERNEL * channels + bias + 1 + times);
}

static double distil_flops(const struct sqa_seq2seq *s, struct sqa_context *c)
{
    const double d = (double)c->frame.dim, rows = (double)(c->batch * (c->length + 2 * s->padding - (KERNEL - 1)));
    const double conv = rows * (2 * KERNEL * d * d + d), norm = 3 * rows * d + 4 * d, elu = 3 * rows * d;
    c->length = c->max_length = distilled(s, c->length);
    return conv + norm + elu + 3 * (double)(c->batch * c->length) * d;
}

/* Products of q and of the sum, keys and values of `keys` rows, and the pairs. */
static double cross_flops(const struct sqa_context *c, int64_t keys)
{
    const double d = (double)c->frame.dim, w = (double)sqa_qkv_width(&c->frame), b = (double)c->batch;
    const double l = (double)c->length, k = (double)keys, bias = c->frame.bias ? 1 : 0;
    return b * (l * (4 * d * w + bias * (w + d)) + k * (4 * d * w + bias * 2 * w)) +
           b * l * k * (4 * w + 5 * (double)c->frame.heads);
}

double sqa_seq2seq_flops(const void *self, sqa_attend_flops_fn *attend_flops, const struct sqa_context *c)
{
    const struct sqa_seq2seq *s = self;
    const struct sqa_item *norm = &c->model->slot[SQA_SLOT_NORM], *channel = &c->model->slot[SQA_SLOT_CHANNEL];
    const double h = (double)c->task->horizon, o = (double)c->task->outputs, d = (double)c->frame.dim;
    struct sqa_context at = *c;
    double flops = sqa_instance_flops(c, sqa_instance_find(s->instance)) + embed_flops(s, c);
    for (at.layer = 0; at.layer < c->frame.layers; at.layer++) {
        flops += sqa_block_flops(&at);
        if (s->distil && at.layer + 1 < c->frame.layers)
            flops += distil_flops(s, &at);
    }
    flops += sqa_item_flops(norm, &at);
    const int64_t keys = at.length;
    at.length = at.max_length = s->label + c->task->horizon;
    const double sum = (double)c->batch * (double)at.length * d + sqa_item_flops(norm, &at);
    const double layer = sqa_heads_flops(&at) + attend_flops(self, &at) + cross_flops(&at, keys) +
                         sqa_item_flops(channel, &at) + (channel->variant->build ? 3 : 2) * sum;
    return flops + embed_flops(s, &at) + (double)s->decoder_layers * layer + sqa_item_flops(norm, &at) +
           (double)c->batch * h * o * (2 * d + 1);
}

enum sqa_status sqa_seq2seq_check(const char *id, const void *self, const struct sqa_frame *frame,
                                  const struct sqa_signature *task, struct sqa_err *err)
{
    const struct sqa_seq2seq *s = self;
    const enum sqa_status status = sqa_forecast_check(id, frame, task, err);
    if (status != SQA_OK)
        return status;
    if (s->label > task->length)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: label=%lld of a look-back of %lld rows; give 0 to %lld", id,
                        (long long)s->label, (long long)task->length, (long long)task->length);
    if (s->padding > task->length)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: a look-back of %lld rows; give at least %lld", id,
                        (long long)task->length, (long long)s->padding);
    return SQA_OK;
}
