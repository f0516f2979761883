/*
 * brightness.c - guesses the label from how many pixels of each brightness a picture has
 *
 * Computes  h[i] = pixels in the i-th of 32 steps of gray; label = argmax_c log p(c) + sum_i log N(h[i]; mean and
 *           variance of class c): naive Bayes
 * Shapes    labels (n)
 * Cost      O(pixels)
 * Source    a floor: targets and distractors of Pathfinder are drawn with different contrast, so brightness alone
 *           could tell labels apart; a task whose places matter leaves this at the majority
 * Departs   nothing
 */
#include <math.h>
#include <string.h>

#include "models/variant.h"

enum { STEPS = 32 };

struct moments {
    double n, sum[STEPS], squares[STEPS];
};

struct self {
    int64_t vocab, classes;
    struct moments *of; /* (classes) */
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)frame;
    if (task->kind == SQA_CLASSIFY && (task->vocab == 257 || (task->vocab == 0 && task->channels == 1)))
        return SQA_OK;
    return sqa_fail(err, SQA_UNSUPPORTED,
                    "brightness: it looks at gray pixels (257 ids, or one real channel); for "
                    "other labels take majority, for forecasts take repeat_last");
}

static enum sqa_status begin(void *self, const struct sqa_signature *task, struct sqa_arena *arena,
                             struct sqa_err *err)
{
    struct self *s = self;
    const enum sqa_status status = check(self, NULL, task, err);
    if (status != SQA_OK)
        return status;
    s->vocab = task->vocab;
    s->classes = task->classes;
    s->of = sqa_arena_alloc(arena, (size_t)task->classes * sizeof *s->of);
    return s->of ? SQA_OK
                 : sqa_fail(err, SQA_NOMEM, "brightness: no memory for %lld classes; free some memory",
                            (long long)task->classes);
}

static void histogram(const struct self *s, const struct sqa_batch *b, int64_t row, double h[STEPS])
{
    memset(h, 0, STEPS * sizeof *h);
    for (int64_t t = row * b->length; t < (row + 1) * b->length; t++) {
        const double gray = s->vocab ? (b->tokens[t] - 1) / 255.0 : b->x[t];
        if (gray >= 0) /* not padding */
            h[gray >= 1 ? STEPS - 1 : (int)(gray * STEPS)]++;
    }
}

static enum sqa_status see(void *self, const struct sqa_batch *b, struct sqa_err *err)
{
    struct self *s = self;
    double h[STEPS];
    for (int64_t i = 0; i < b->n; i++) {
        if (b->labels[i] < 0 || b->labels[i] >= s->classes)
            return sqa_fail(err, SQA_INPUT, "brightness: label %d of %lld classes; check the data", (int)b->labels[i],
                            (long long)s->classes);
        struct moments *m = &s->of[b->labels[i]];
        histogram(s, b, i, h);
        m->n++;
        for (int k = 0; k < STEPS; k++) {
            m->sum[k] += h[k];
            m->squares[k] += h[k] * h[k];
        }
    }
    return SQA_OK;
}

static double likelihood(const struct moments *m, const double h[STEPS])
{
    double sum = log(m->n);
    for (int k = 0; k < STEPS; k++) {
        const double mean = m->sum[k] / m->n, spread = m->squares[k] / m->n - mean * mean;
        const double variance = spread > 0.05 ? spread : 0.05; /* of a step that hardly varies */
        sum -= 0.5 * log(variance) + 0.5 * (h[k] - mean) * (h[k] - mean) / variance;
    }
    return sum;
}

static enum sqa_status predict(void *self, const struct sqa_batch *b, int32_t *labels, double *forecast,
                               struct sqa_err *err)
{
    const struct self *s = self;
    double h[STEPS];
    (void)forecast;
    (void)err;
    for (int64_t i = 0; i < b->n; i++) {
        double best = -HUGE_VAL;
        histogram(s, b, i, h);
        labels[i] = 0;
        for (int64_t c = 0; c < s->classes; c++) {
            const double value = s->of[c].n > 0 ? likelihood(&s->of[c], h) : -HUGE_VAL;
            if (value > best) {
                best = value;
                labels[i] = (int32_t)c;
            }
        }
    }
    return SQA_OK;
}

const struct sqa_variant sqa_variant_brightness = {
    .id = "brightness",
    .slot = SQA_SLOT_FLOOR,
    .title = "Best guess from the brightness of pixels",
    .source = "a floor",
    .complexity = "O(L) time",
    .help =
        "Naive Bayes on the number of pixels in each of 32 steps of gray. On Pathfinder it should stay near 50 %: "
        "when it does not, the contrasts give the label away.",
    .self_size = sizeof(struct self),
    .check = check,
    .begin = begin,
    .see = see,
    .predict = predict,
};
