/* train_evaluate.c - scores of models and floors on a split (see train.h) */
#include "harness/train_private.h"

#include "harness/machine_lock.h"

/* What evaluation reads a batch's outputs into. */
struct answers {
    int32_t *labels;  /* (rows), of tags (rows, length) */
    double *losses;   /* of tags: (length) of one row */
    double *forecast; /* (rows, horizon, outputs) */
};

static int32_t best_class(const void *logits, const struct sqa_tensor *t, int64_t first, int64_t classes)
{
    int64_t best = 0;
    for (int64_t k = 1; k < classes; k++)
        if (sqa_real_of(logits, t, first + k) > sqa_real_of(logits, t, first + best))
            best = k;
    return (int32_t)best;
}

static void score_batch(const struct sqa_trainer *t, struct sqa_plan *plan, struct answers *a, struct sqa_scoring *e)
{
    const struct sqa_tensor *lt = NULL, *ot = NULL;
    const void *losses = sqa_plan_output(plan, "losses", &lt);
    const void *out = sqa_plan_output(plan, sqa_output_name(t->task.kind), &ot);
    const int64_t width = t->task.horizon * t->task.outputs, classes = t->task.classes, length = t->batch->length;
    for (int64_t i = 0; i < t->batch->n; i++) {
        switch (t->task.kind) {
        case SQA_CLASSIFY:
        case SQA_PAIR:
            sqa_score_label(e, t->batch, i, sqa_real_of(losses, lt, i), best_class(out, ot, i * classes, classes));
            break;
        case SQA_TAG:
            for (int64_t k = 0; k < length; k++) {
                a->losses[k] = sqa_real_of(losses, lt, i * length + k);
                a->labels[k] = best_class(out, ot, (i * length + k) * classes, classes);
            }
            sqa_score_tags(e, t->batch, i, a->losses, a->labels);
            break;
        case SQA_FORECAST:
            for (int64_t k = 0; k < width; k++)
                a->forecast[k] = sqa_real_of(out, ot, i * width + k);
            sqa_score_forecast(e, t->batch, i, a->forecast);
            break;
        }
    }
}

static void score_floor(const struct sqa_trainer *t, const struct answers *a, struct sqa_scoring *e)
{
    for (int64_t i = 0; i < t->batch->n; i++) {
        if (t->task.kind == SQA_FORECAST)
            sqa_score_forecast(e, t->batch, i, a->forecast + i * t->task.horizon * t->task.outputs);
        else if (t->task.kind == SQA_TAG)
            sqa_score_tags(e, t->batch, i, NULL, a->labels + i * t->batch->length);
        else
            sqa_score_label(e, t->batch, i, SQA_NAN, a->labels[i]);
    }
}

/* Examples of similar length go together, so that little is padded; equal lengths stay in order. */
static enum sqa_status order_by_length(const struct sqa_dataset *ds, enum sqa_split split, int64_t n,
                                       uint32_t **order)
{
    uint32_t *out = sqa_alloc_array((size_t)n + 1, sizeof *out);
    int64_t *start = sqa_alloc_array((size_t)ds->length + 2, sizeof *start);
    if (!out || !start) {
        sqa_free(out);
        sqa_free(start);
        return SQA_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++)
        start[(ds->task->length_of ? ds->task->length_of(ds, split, i) : ds->length) + 1]++;
    for (int64_t l = 1; l <= ds->length + 1; l++)
        start[l] += start[l - 1];
    for (uint32_t i = 0; i < n; i++)
        out[start[ds->task->length_of ? ds->task->length_of(ds, split, i) : ds->length]++] = i;
    sqa_free(start);
    *order = out;
    return SQA_OK;
}

static enum sqa_status see_training(struct sqa_trainer *t, void *self, struct sqa_err *err)
{
    const struct sqa_variant *v = t->model->preset.variant;
    uint32_t index[256];
    enum sqa_status status = SQA_OK;
    for (int64_t i = 0; i < t->data->count[SQA_TRAIN] && status == SQA_OK; i += 256) {
        const int64_t n = t->data->count[SQA_TRAIN] - i < 256 ? t->data->count[SQA_TRAIN] - i : 256;
        for (int64_t k = 0; k < n; k++)
            index[k] = (uint32_t)(i + k);
        t->batch->length = sqa_dataset_batch_length(t->data, SQA_TRAIN, index, n, 1);
        status = t->data->task->fetch(t->data, SQA_TRAIN, index, n, t->batch, err);
        if (status == SQA_OK)
            status = v->see(self, t->batch, err);
    }
    return status;
}

static enum sqa_status prepare_floor(struct sqa_trainer *t, struct sqa_err *err)
{
    const struct sqa_variant *v = t->model->preset.variant;
    enum sqa_status status = SQA_OK;
    if (t->batch)
        return SQA_OK;
    t->batch = sqa_batch_create(t->data, 256, t->length);
    if (!t->batch)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory for a batch; free some memory and run again", v->id);
    if (v->begin)
        status = v->begin(t->model->preset.self, &t->task, &t->model->arena, err);
    return status == SQA_OK && v->see ? see_training(t, t->model->preset.self, err) : status;
}

static enum sqa_status evaluate_batch(struct sqa_trainer *t, enum sqa_split split, const uint32_t *index, int64_t n,
                                      struct answers *a, struct sqa_scoring *e, struct sqa_err *err)
{
    const struct sqa_variant *v = t->model->preset.variant;
    struct sqa_plan *plan;
    enum sqa_status status;
    if (sqa_model_is_floor(t->model)) {
        t->batch->length = sqa_dataset_batch_length(t->data, split, index, n, 1);
        status = t->data->task->fetch(t->data, split, index, n, t->batch, err);
        if (status == SQA_OK)
            status = v->predict(t->model->preset.self, t->batch, a->labels, a->forecast, err);
        if (status == SQA_OK)
            score_floor(t, a, e);
        return status;
    }
    status = sqa_train_fetch(t, split, index, n, err);
    if (status == SQA_OK)
        status = sqa_train_feed(t, SQA_MODE_EVAL, 0, n, &plan, err);
    if (status == SQA_OK)
        status = sqa_plan_run(plan, t->seed, 0, &(struct sqa_extents){.rows = n}, NULL, err);
    if (status == SQA_OK)
        score_batch(t, plan, a, e);
    return status;
}

enum sqa_status sqa_trainer_evaluate(struct sqa_trainer *t, enum sqa_split split, int64_t limit, sqa_example_fn *each,
                                     void *user, struct sqa_scores *out, struct sqa_err *err)
{
    const bool floor = sqa_model_is_floor(t->model);
    const int64_t count = t->data->count[split], n = limit > 0 && limit < count ? limit : count;
    const int64_t rows = floor ? 256 : sqa_trainer_rows(t);
    struct sqa_scoring e = {.each = each, .user = user, .by_step = t->by_step};
    uint32_t *order = NULL;
    struct answers a = {0};
    enum sqa_status status = floor ? prepare_floor(t, err) : SQA_OK;
    if (status != SQA_OK)
        return status;
    a.labels = sqa_alloc_array((size_t)(rows * sqa_labels_a_row(t->task.kind, t->length)), sizeof *a.labels);
    a.losses = sqa_alloc_array((size_t)t->length, sizeof *a.losses);
    a.forecast = sqa_alloc_array((size_t)(rows * t->task.horizon * t->task.outputs) + 1, sizeof *a.forecast);
    if (!a.labels || !a.losses || !a.forecast || order_by_length(t->data, split, n, &order) != SQA_OK)
        status = sqa_fail(err, SQA_NOMEM, "evaluation: no memory; free some memory and run again");
    for (int64_t i = 0; i < n && status == SQA_OK; i += rows) {
        sqa_machine_work_pause(t->interrupted);
        status = evaluate_batch(t, split, order + i, n - i < rows ? n - i : rows, &a, &e, err);
        if (status == SQA_OK && t->interrupted && *t->interrupted)
            status = sqa_fail(err, SQA_INTERRUPTED, "evaluation: interrupted; run the same command to go on");
    }
    sqa_free(order);
    sqa_free(a.labels);
    sqa_free(a.losses);
    sqa_free(a.forecast);
    if (status == SQA_OK)
        sqa_scoring_finish(&e, t->task.kind, out);
    return status;
}
