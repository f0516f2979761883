/* scoring.c - see scoring.h */
#include "harness/scoring.h"

static void add_example(struct sqa_scoring *s, const struct sqa_example_score *x)
{
    s->n++;
    if (s->each)
        s->each(s->user, x);
}

void sqa_score_label(struct sqa_scoring *s, const struct sqa_batch *b, int64_t i, double loss, int32_t output)
{
    const int32_t target = b->labels[i];
    s->hits += output == target;
    s->labels++;
    s->loss += loss;
    add_example(s, &(struct sqa_example_score){b->index[i], loss, target, output, 0, 0});
}

void sqa_score_tags(struct sqa_scoring *s, const struct sqa_batch *b, int64_t i, const double *losses,
                    const int32_t *outputs)
{
    const int32_t *target = b->labels + i * b->length;
    struct sqa_example_score x = {.index = b->index[i], .target = -1, .output = -1};
    for (int64_t k = 0; k < b->length; k++) {
        if (target[k] < 0)
            continue;
        x.loss += losses ? losses[k] : SQA_NAN;
        x.right += outputs[k] == target[k];
        x.labels++;
    }
    s->loss += x.loss;
    s->hits += x.right;
    s->labels += x.labels;
    x.loss /= (double)x.labels;
    add_example(s, &x);
}

void sqa_score_forecast(struct sqa_scoring *s, const struct sqa_batch *b, int64_t i, const double *forecast)
{
    const int64_t width = b->horizon * b->outputs;
    double square = 0, absolute = 0;
    for (int64_t k = 0; k < width; k++) {
        const double d = forecast[k] - b->y[i * width + k];
        square += d * d;
        absolute += fabs(d);
    }
    const double loss = square / (double)width;
    s->mse += loss;
    s->mae += absolute / (double)width;
    s->labels++;
    s->loss += loss;
    add_example(s, &(struct sqa_example_score){b->index[i], loss, -1, -1, 0, 0});
}

void sqa_scoring_finish(const struct sqa_scoring *s, enum sqa_task_kind kind, struct sqa_scores *out)
{
    const double n = (double)s->n, labels = (double)s->labels;
    *out =
        (struct sqa_scores){.n = s->n, .loss = s->loss / labels, .accuracy = SQA_NAN, .mse = SQA_NAN, .mae = SQA_NAN};
    if (kind != SQA_FORECAST) {
        out->accuracy = (double)s->hits / labels;
    } else {
        out->mse = s->mse / n;
        out->mae = s->mae / n;
    }
}
