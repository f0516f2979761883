/* scoring.c - see scoring.h */
#include "harness/scoring.h"

const struct sqa_scores sqa_no_scores = {.loss = SQA_NAN,
                                         .accuracy = SQA_NAN,
                                         .mse = SQA_NAN,
                                         .mae = SQA_NAN,
                                         .rmse = SQA_NAN,
                                         .mape = SQA_NAN,
                                         .smape = SQA_NAN,
                                         .mase = SQA_NAN};

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

/* One number and its forecast, standardised; unit as in base/batch.h. */
static void add_in_units(struct sqa_scoring *s, double y, double forecast, const double *unit)
{
    const double value = y * unit[1] + unit[0], guess = forecast * unit[1] + unit[0];
    const double error = fabs(forecast - y) * unit[1], size = fabs(value) + fabs(guess);
    s->square += error * error;
    s->symmetric += size > 0 ? 200 * error / size : 0;
    s->cells++;
    if (fabs(value) > 0) {
        s->percent += 100 * error / fabs(value);
        s->percents++;
    }
    if (unit[2] > 0) {
        s->scaled += error / unit[2];
        s->scaleds++;
    }
}

void sqa_score_forecast(struct sqa_scoring *s, const struct sqa_batch *b, int64_t i, const double *forecast)
{
    const int64_t width = b->horizon * b->outputs;
    double square = 0, absolute = 0;
    for (int64_t k = 0; k < width; k++) {
        const double d = forecast[k] - b->y[i * width + k];
        square += d * d;
        absolute += fabs(d);
        if (s->by_step) {
            s->by_step[k / b->outputs * 2] += d * d;
            s->by_step[k / b->outputs * 2 + 1] += fabs(d);
        }
        if (b->units)
            add_in_units(s, b->y[i * width + k], forecast[k], b->units + (i * b->outputs + k % b->outputs) * 3);
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
    *out = sqa_no_scores;
    out->n = s->n;
    out->loss = s->loss / labels;
    if (kind != SQA_FORECAST) {
        out->accuracy = (double)s->hits / labels;
    } else {
        out->mse = s->mse / n;
        out->mae = s->mae / n;
        if (s->cells > 0) {
            out->rmse = sqrt(s->square / (double)s->cells);
            out->smape = s->symmetric / (double)s->cells;
        }
        if (s->percents > 0)
            out->mape = s->percent / (double)s->percents;
        if (s->scaleds > 0)
            out->mase = s->scaled / (double)s->scaleds;
    }
}
