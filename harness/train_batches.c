/* train_batches.c - examples into batches, batches into plans (see train_private.h) */
#include <string.h>

#include "harness/measure/measure.h"
#include "harness/train_private.h"

static void feed_ints(struct sqa_plan *plan, const char *name, const int32_t *x)
{
    const struct sqa_tensor *tensor = NULL;
    int32_t *to = sqa_plan_input(plan, name, &tensor);
    if (to && x)
        memcpy(to, x, (size_t)sqa_numel(tensor) * sizeof *to);
}

static void feed_reals(struct sqa_plan *plan, const char *name, const double *x)
{
    const struct sqa_tensor *tensor = NULL;
    void *to = sqa_plan_input(plan, name, &tensor);
    if (to && x)
        (tensor->dtype == SQA_F64 ? &sqa_kernels_f64 : &sqa_kernels_f32)->from_f64(x, to, (size_t)sqa_numel(tensor));
}

void sqa_feed(struct sqa_plan *plan, const struct sqa_batch *b)
{
    feed_ints(plan, "tokens", b->tokens);
    feed_ints(plan, "lengths", b->lengths);
    feed_ints(plan, "labels", b->labels);
    feed_reals(plan, "x", b->x);
    feed_reals(plan, "y", b->y);
    feed_reals(plan, "marks", b->marks);
    feed_ints(plan, "calendar", b->calendar);
}

enum sqa_status sqa_train_fetch(struct sqa_trainer *t, enum sqa_split split, const uint32_t *index, int64_t n,
                                struct sqa_err *err)
{
    const int64_t start = sqa_clock_wall();
    t->batch->length = strcmp(t->recipe.pad, "full") == 0
                           ? t->data->length
                           : sqa_dataset_batch_length(t->data, split, index, n, t->recipe.bucket);
    const enum sqa_status status = t->data->task->fetch(t->data, split, index, n, t->batch, err);
    t->data_seconds += sqa_seconds_since(start);
    return status;
}

struct sqa_batch sqa_train_rows(const struct sqa_batch *b, enum sqa_task_kind kind, int64_t first, int64_t n)
{
    struct sqa_batch part = *b;
    const int64_t row = first * sqa_rows_an_example(kind);
    part.n = n;
    part.tokens = b->tokens ? b->tokens + row * b->length : NULL;
    part.lengths = b->lengths ? b->lengths + row : NULL;
    part.labels = b->labels ? b->labels + first * sqa_labels_a_row(kind, b->length) : NULL;
    part.x = b->x ? b->x + first * b->length * b->channels : NULL;
    part.y = b->y ? b->y + first * b->horizon * b->outputs : NULL;
    part.marks = b->marks ? b->marks + first * (b->length + b->horizon) * b->mark_count : NULL;
    part.calendar = b->calendar ? b->calendar + first * (b->length + b->horizon) * SQA_CALENDAR : NULL;
    part.units = b->units ? b->units + first * b->outputs * 3 : NULL;
    return part;
}

enum sqa_status sqa_train_feed(struct sqa_trainer *t, enum sqa_mode mode, int64_t first, int64_t n,
                               struct sqa_plan **plan, struct sqa_err *err)
{
    const enum sqa_status status =
        sqa_plans_get(&t->plans, (struct sqa_plan_key){(int)mode, n, t->batch->length}, plan, err);
    if (status != SQA_OK)
        return status;
    const int64_t start = sqa_clock_wall();
    const struct sqa_batch part = sqa_train_rows(t->batch, t->task.kind, first, n);
    sqa_feed(*plan, &part);
    t->data_seconds += sqa_seconds_since(start);
    return SQA_OK;
}

double sqa_real_of(const void *data, const struct sqa_tensor *t, int64_t i)
{
    return t->dtype == SQA_F64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}
