/*
 * first_token.c - the most frequent training label of each first token
 *
 * Computes  label = argmax_c count[token 0][c]; a first token never seen in training: the majority label
 * Shapes    labels (n)
 * Cost      O(examples) once
 * Source    a floor: for ListOps the best guess from the outermost operator alone, about 36 % on LRA's lists, which
 *           is what most published scores are
 * Departs   nothing
 */
#include "models/variant.h"

struct self {
    int64_t vocab, classes;
    int64_t *count; /* (vocab + 1, classes); the last row counts all examples */
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)frame;
    if (task->kind == SQA_CLASSIFY && task->vocab > 0)
        return SQA_OK;
    return sqa_fail(err, SQA_UNSUPPORTED,
                    "first_token: it guesses one label from tokens; for tags and reals take majority, for forecasts "
                    "take repeat_last");
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
    s->count = NULL;
    if (task->classes < INT64_MAX / 16 / (task->vocab + 1))
        s->count = sqa_arena_alloc(arena, (size_t)((task->vocab + 1) * task->classes) * sizeof *s->count);
    return s->count ? SQA_OK
                    : sqa_fail(err, SQA_NOMEM, "first_token: no memory for %lld x %lld counts; free some memory",
                               (long long)task->vocab, (long long)task->classes);
}

static int64_t first(const struct self *s, const struct sqa_batch *b, int64_t i)
{
    const int32_t token = b->tokens[i * b->length];
    return b->lengths[i] > 0 && token >= 0 && token < s->vocab ? (int64_t)token : s->vocab;
}

static enum sqa_status see(void *self, const struct sqa_batch *b, struct sqa_err *err)
{
    struct self *s = self;
    for (int64_t i = 0; i < b->n; i++) {
        const int32_t label = b->labels[i];
        if (label < 0 || label >= s->classes)
            return sqa_fail(err, SQA_INPUT, "first_token: label %d of %lld classes; check the data", (int)label,
                            (long long)s->classes);
        const int64_t token = first(s, b, i);
        if (token < s->vocab)
            s->count[token * s->classes + label]++;
        s->count[s->vocab * s->classes + label]++;
    }
    return SQA_OK;
}

static int64_t best(const struct self *s, int64_t row)
{
    const int64_t *count = s->count + row * s->classes;
    int64_t k = 0;
    for (int64_t c = 1; c < s->classes; c++)
        if (count[c] > count[k])
            k = c;
    return count[k] == 0 && row < s->vocab ? best(s, s->vocab) : k;
}

static enum sqa_status predict(void *self, const struct sqa_batch *b, int32_t *labels, double *forecast,
                               struct sqa_err *err)
{
    const struct self *s = self;
    (void)forecast;
    (void)err;
    for (int64_t i = 0; i < b->n; i++)
        labels[i] = (int32_t)best(s, first(s, b, i));
    return SQA_OK;
}

const struct sqa_variant sqa_variant_first_token = {
    .id = "first_token",
    .slot = SQA_SLOT_FLOOR,
    .title = "Best guess from the first token",
    .source = "a floor",
    .complexity = "O(1) time",
    .help = "On ListOps the first token is the outermost operator; min, max, median and sum mod 10 give different "
            "distributions of results, so this floor is far above the majority class.",
    .self_size = sizeof(struct self),
    .check = check,
    .begin = begin,
    .see = see,
    .predict = predict,
};
