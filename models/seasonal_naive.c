/*
 * seasonal_naive.c - the last season again
 *
 * Computes  yhat[k] = x at (t0 - m + (k mod m)), t0 the first row to forecast, m the period
 * Shapes    x (n, L, C) -> forecast (n, H, outputs): the last `outputs` channels
 * Cost      no flops
 * Source    Hyndman and Athanasopoulos, Forecasting: principles and practice, section 5.2
 * Departs   a period longer than the look-back reads the history before it, where the task has it
 */
#include "models/variant.h"

struct self {
    int64_t period, season;
};

static const struct sqa_param params[] = {{"period", "rows of a season; 0: the task's own, or 24", SQA_PARAM_INT, "0",
                                           0, 1 << 24, offsetof(struct self, period), NULL},
                                          {.name = NULL}};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)frame;
    if (task->kind == SQA_FORECAST)
        return SQA_OK;
    return sqa_fail(err, SQA_UNSUPPORTED, "seasonal_naive: it forecasts series; for labels take majority");
}

static enum sqa_status begin(void *self, const struct sqa_signature *task, struct sqa_arena *arena,
                             struct sqa_err *err)
{
    struct self *s = self;
    (void)arena;
    s->season = s->period ? s->period : task->season > 0 ? task->season : 24;
    return check(self, NULL, task, err);
}

/* The m rows before the forecast of row i; NULL when the batch does not reach so far back. */
static const double *season_rows(const struct sqa_batch *b, int64_t i, int64_t m)
{
    if (m <= b->length)
        return b->x + ((i + 1) * b->length - m) * b->channels;
    if (b->past && b->past_start && b->past_count && m <= b->past_count[i])
        return b->past + (b->past_start[i] + b->past_count[i] - m) * b->channels;
    return NULL;
}

static enum sqa_status predict(void *self, const struct sqa_batch *b, int32_t *labels, double *forecast,
                               struct sqa_err *err)
{
    const struct self *s = self;
    const int64_t m = s->season, skip = b->channels - b->outputs;
    (void)labels;
    for (int64_t i = 0; i < b->n; i++) {
        const double *rows = season_rows(b, i, m);
        if (!rows)
            return sqa_fail(
                err, SQA_INPUT,
                "seasonal_naive: a period of %lld rows, and the history has fewer; give a longer look-back "
                "or a shorter period",
                (long long)m);
        for (int64_t k = 0; k < b->horizon; k++)
            for (int64_t c = 0; c < b->outputs; c++)
                forecast[(i * b->horizon + k) * b->outputs + c] = rows[k % m * b->channels + skip + c];
    }
    return SQA_OK;
}

const struct sqa_variant sqa_variant_seasonal_naive = {
    .id = "seasonal_naive",
    .slot = SQA_SLOT_FLOOR,
    .title = "Repeat the last season",
    .source = "Hyndman and Athanasopoulos, Forecasting: principles and practice, section 5.2",
    .complexity = "O(H) time",
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .begin = begin,
    .predict = predict,
};
