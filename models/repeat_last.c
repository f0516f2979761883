/*
 * repeat_last.c - the last value again
 *
 * Computes  yhat[k] = x[L - 1] for every k of the horizon
 * Shapes    x (n, L, C) -> forecast (n, H, outputs): the last `outputs` channels
 * Cost      no flops
 * Source    the naive baseline of Zeng et al. 2022, arXiv:2205.13504
 * Departs   nothing
 */
#include "models/variant.h"

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)frame;
    if (task->kind == SQA_FORECAST)
        return SQA_OK;
    return sqa_fail(err, SQA_UNSUPPORTED, "repeat_last: it forecasts series; for labels take majority");
}

static enum sqa_status begin(void *self, const struct sqa_signature *task, struct sqa_arena *arena,
                             struct sqa_err *err)
{
    (void)arena;
    return check(self, NULL, task, err);
}

static enum sqa_status predict(void *self, const struct sqa_batch *b, int32_t *labels, double *forecast,
                               struct sqa_err *err)
{
    (void)self;
    (void)labels;
    (void)err;
    for (int64_t i = 0; i < b->n; i++) {
        const double *last = b->x + ((i + 1) * b->length - 1) * b->channels + (b->channels - b->outputs);
        for (int64_t k = 0; k < b->horizon; k++)
            for (int64_t c = 0; c < b->outputs; c++)
                forecast[(i * b->horizon + k) * b->outputs + c] = last[c];
    }
    return SQA_OK;
}

const struct sqa_variant sqa_variant_repeat_last = {
    .id = "repeat_last",
    .slot = SQA_SLOT_FLOOR,
    .title = "Repeat the last value",
    .source = "Zeng et al. 2022, arXiv:2205.13504, baseline",
    .complexity = "O(H) time",
    .check = check,
    .begin = begin,
    .predict = predict,
};
