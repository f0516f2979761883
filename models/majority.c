/*
 * majority.c - the most frequent label of the training split
 *
 * Computes  label = argmax_c count[c]; the smallest such c when several are as frequent
 * Shapes    labels (n), tags (n, length)
 * Cost      O(examples) once
 * Source    a floor: what a model must beat to have learned anything
 * Departs   nothing
 */
#include "models/variant.h"

struct self {
    enum sqa_task_kind kind;
    int64_t classes, *count;
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)frame;
    if (task->kind != SQA_FORECAST)
        return SQA_OK;
    return sqa_fail(err, SQA_UNSUPPORTED, "majority: it guesses labels; for forecasts take repeat_last");
}

static enum sqa_status begin(void *self, const struct sqa_signature *task, struct sqa_arena *arena,
                             struct sqa_err *err)
{
    struct self *s = self;
    const enum sqa_status status = check(self, NULL, task, err);
    if (status != SQA_OK)
        return status;
    s->kind = task->kind;
    s->classes = task->classes;
    s->count = sqa_arena_alloc(arena, (size_t)task->classes * sizeof *s->count);
    return s->count ? SQA_OK
                    : sqa_fail(err, SQA_NOMEM, "majority: no memory for %lld counts; free some memory",
                               (long long)task->classes);
}

static enum sqa_status see(void *self, const struct sqa_batch *b, struct sqa_err *err)
{
    struct self *s = self;
    for (int64_t i = 0; i < b->n * sqa_labels_a_row(s->kind, b->length); i++) {
        if (s->kind == SQA_TAG && b->labels[i] == -1)
            continue;
        if (b->labels[i] < 0 || b->labels[i] >= s->classes)
            return sqa_fail(err, SQA_INPUT, "majority: label %d of %lld classes; check the data", (int)b->labels[i],
                            (long long)s->classes);
        s->count[b->labels[i]]++;
    }
    return SQA_OK;
}

static enum sqa_status predict(void *self, const struct sqa_batch *b, int32_t *labels, double *forecast,
                               struct sqa_err *err)
{
    const struct self *s = self;
    int64_t best = 0;
    (void)forecast;
    (void)err;
    for (int64_t k = 1; k < s->classes; k++)
        if (s->count[k] > s->count[best])
            best = k;
    for (int64_t i = 0; i < b->n * sqa_labels_a_row(s->kind, b->length); i++)
        labels[i] = (int32_t)best;
    return SQA_OK;
}

const struct sqa_variant sqa_variant_majority = {
    .id = "majority",
    .slot = SQA_SLOT_FLOOR,
    .title = "Majority class",
    .source = "a floor",
    .complexity = "O(1) time",
    .self_size = sizeof(struct self),
    .check = check,
    .begin = begin,
    .see = see,
    .predict = predict,
};
