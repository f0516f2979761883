/* forecast.c - see forecast.h */
#include "models/forecast.h"

#include <string.h>

static const double eps = 1e-5;

const int64_t sqa_calendar_rows[SQA_CALENDAR] = {13, 32, 7, 24, 4};

enum sqa_status sqa_forecast_check(const char *id, const struct sqa_frame *frame, const struct sqa_signature *task,
                                   struct sqa_err *err)
{
    if (task->kind != SQA_FORECAST)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: it forecasts series; take a forecasting task such as etth1", id);
    if (frame && sqa_instance_find(frame->instance) != SQA_INSTANCE_NONE)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: instance=%s; its own parameter is norm=", id, frame->instance);
    return SQA_OK;
}

static const char *name_of(const struct sqa_context *c)
{
    return c->g->model ? c->g->model : "model";
}

bool sqa_whole_lookback(struct sqa_context *c)
{
    if (c->length == c->max_length)
        return true;
    sqa_graph_fail(c->g, SQA_UNSUPPORTED, "%s: its weights are for %lld rows, not %lld; give the whole look-back",
                   name_of(c), (long long)c->max_length, (long long)c->length);
    return false;
}

static struct sqa_tensor *times(struct sqa_context *c, struct sqa_tensor **kept, const char *name,
                                enum sqa_dtype dtype, int64_t width)
{
    if (*kept || c->g->status != SQA_OK)
        return *kept;
    if (c->task->kind != SQA_FORECAST || c->task->marks < 1)
        return sqa_graph_fail(c->g, SQA_UNSUPPORTED,
                              "%s: the model reads the times of rows, and the task has none; take a task with dates",
                              name_of(c));
    *kept = sqa_input(c->g, name, dtype, SQA_DIMS(c->batch, c->length + c->task->horizon, width));
    return *kept;
}

struct sqa_tensor *sqa_marks(struct sqa_context *c)
{
    return times(c, &c->marks, "marks", c->g->real, c->task->marks);
}

struct sqa_tensor *sqa_calendar(struct sqa_context *c)
{
    return times(c, &c->calendar, "calendar", SQA_I32, SQA_CALENDAR);
}

struct sqa_tensor *sqa_decoder_input(struct sqa_context *c, struct sqa_tensor *x, int64_t label)
{
    if (!x)
        return NULL;
    if (label < 0 || label > c->length)
        return sqa_graph_fail(c->g, SQA_UNSUPPORTED,
                              "%s: label=%lld of a look-back of %lld rows; give 0 to %lld rows", name_of(c),
                              (long long)label, (long long)c->length, (long long)c->length);
    if (label == 0)
        return sqa_fill(c->g, 0, SQA_DIMS(x->dim[0], c->task->horizon, x->dim[2]));
    return sqa_pad(c->g, sqa_slice(c->g, x, 1, c->length - label, label), 1, 0, c->task->horizon);
}

struct sqa_tensor *sqa_decoder_marks(struct sqa_context *c, int64_t label)
{
    return sqa_slice(c->g, sqa_marks(c), 1, c->length - label, label + c->task->horizon);
}

enum sqa_instance_kind sqa_instance_find(const char *choice)
{
    static const char *const names[] = {"none", "norm", "affine", "last"};
    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], choice) == 0)
            return (enum sqa_instance_kind)i;
    return SQA_INSTANCE_NONE;
}

struct sqa_tensor *sqa_instance_norm(struct sqa_context *c, struct sqa_tensor *x, enum sqa_instance_kind kind,
                                     struct sqa_instance *n)
{
    struct sqa_graph *g = c->g;
    *n = (struct sqa_instance){.kind = kind};
    if (!x || kind == SQA_INSTANCE_NONE)
        return x;
    const int64_t channels = x->dim[2];
    struct sqa_tensor *mean = sqa_mean(g, x, 2u, true), *rest = sqa_sub(g, x, mean);
    struct sqa_tensor *variance = sqa_mean(g, sqa_square(g, rest), 2u, true);
    n->deviation = sqa_unary(g, SQA_UNARY_SQRT, sqa_affine(g, 1, variance, eps));
    n->centre = mean;
    if (kind == SQA_INSTANCE_LAST) {
        n->centre = sqa_slice(g, x, 1, x->dim[1] - 1, 1);
        rest = sqa_sub(g, x, n->centre);
    }
    x = sqa_div(g, rest, n->deviation);
    if (kind == SQA_INSTANCE_AFFINE) {
        const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1}, zero = {.kind = SQA_INIT_ZERO};
        n->weight = sqa_param_tensor(c, "instance.weight", SQA_GROUP_NO_DECAY, one, SQA_DIMS(channels));
        n->bias = sqa_param_tensor(c, "instance.bias", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(channels));
        x = sqa_add(g, sqa_mul(g, x, n->weight), n->bias);
    }
    return x;
}

/* The last k of a tensor's last axis. */
static struct sqa_tensor *last_of(struct sqa_graph *g, struct sqa_tensor *t, int64_t k)
{
    return t ? sqa_slice(g, t, t->rank - 1, t->dim[t->rank - 1] - k, k) : NULL;
}

struct sqa_tensor *sqa_instance_undo(struct sqa_context *c, struct sqa_tensor *y, const struct sqa_instance *n)
{
    struct sqa_graph *g = c->g;
    if (!y || n->kind == SQA_INSTANCE_NONE)
        return y;
    const int64_t k = y->dim[2];
    if (n->kind == SQA_INSTANCE_AFFINE) {
        y = sqa_sub(g, y, last_of(g, n->bias, k));
        y = sqa_div(g, y, sqa_affine(g, 1, last_of(g, n->weight, k), eps * eps));
    }
    return sqa_add(g, sqa_mul(g, y, last_of(g, n->deviation, k)), last_of(g, n->centre, k));
}

double sqa_instance_flops(const struct sqa_context *c, enum sqa_instance_kind kind)
{
    const double b = (double)c->batch, l = (double)c->length, h = (double)c->task->horizon,
                 x = (double)c->task->channels, k = (double)c->task->outputs;
    if (kind == SQA_INSTANCE_NONE)
        return 0;
    const double rows = kind == SQA_INSTANCE_LAST ? 6 : 5; /* sum, minus, square, sum, by; LAST: minus twice */
    const double affine = kind == SQA_INSTANCE_AFFINE ? 2 * b * l * x + 2 * b * h * k + 2 * k : 0;
    return b * x * (rows * l + 7) + 2 * b * h * k + affine;
}
