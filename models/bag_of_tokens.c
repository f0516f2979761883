/*
 * bag_of_tokens.c - naive Bayes over token counts: what can be guessed without order
 *
 * Computes  label = argmax_c log p(c) + sum_t count[t] log p(t | c), the smallest such c when several are as likely;
 *           p(c) = share of c among the examples, p(t | c) = (n[c][t] + 1) / (n[c] + V - 1), n counted over training
 * Shapes    labels (n); of a pair the tokens of both sequences are one bag
 * Cost      O(L) an example seen, O(L classes) an example guessed
 * Source    a floor; multinomial naive Bayes with Laplace smoothing (McCallum and Nigam 1998)
 * Departs   nothing
 */
#include <math.h>

#include "models/variant.h"

struct self {
    int64_t vocab, classes, rows; /* rows of tokens an example */
    int64_t *examples;            /* (classes) */
    int64_t *count;               /* (classes, vocab) */
    double *score;                /* (classes, vocab): log p(t | c) */
    double *prior;                /* (classes): log p(c) */
    bool scored;
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)frame;
    if ((task->kind == SQA_CLASSIFY || task->kind == SQA_PAIR) && task->vocab > 0)
        return SQA_OK;
    return sqa_fail(err, SQA_UNSUPPORTED,
                    "bag_of_tokens: it guesses one label from tokens; for other labels take majority, for forecasts "
                    "repeat_last");
}

static enum sqa_status begin(void *self, const struct sqa_signature *task, struct sqa_arena *arena,
                             struct sqa_err *err)
{
    struct self *s = self;
    const enum sqa_status status = check(self, NULL, task, err);
    if (status != SQA_OK)
        return status;
    *s = (struct self){.vocab = task->vocab, .classes = task->classes, .rows = sqa_rows_an_example(task->kind)};
    if (task->classes < INT64_MAX / 16 / task->vocab) {
        const size_t cells = (size_t)(task->classes * task->vocab);
        s->examples = sqa_arena_alloc(arena, (size_t)task->classes * sizeof *s->examples);
        s->prior = sqa_arena_alloc(arena, (size_t)task->classes * sizeof *s->prior);
        s->count = sqa_arena_alloc(arena, cells * sizeof *s->count);
        s->score = sqa_arena_alloc(arena, cells * sizeof *s->score);
    }
    return s->examples && s->prior && s->count && s->score
               ? SQA_OK
               : sqa_fail(err, SQA_NOMEM, "bag_of_tokens: no memory for %lld x %lld counts; free some memory",
                          (long long)task->classes, (long long)task->vocab);
}

/* Token t of row i, or 0, which is padding and no token. */
static int64_t token(const struct self *s, const struct sqa_batch *b, int64_t i, int64_t t)
{
    const int32_t id = b->tokens[i * b->length + t];
    return id > 0 && id < s->vocab ? id : 0;
}

static enum sqa_status see(void *self, const struct sqa_batch *b, struct sqa_err *err)
{
    struct self *s = self;
    s->scored = false;
    for (int64_t i = 0; i < b->n * s->rows; i++) {
        const int32_t label = b->labels[i / s->rows];
        if (label < 0 || label >= s->classes)
            return sqa_fail(err, SQA_INPUT, "bag_of_tokens: label %d of %lld classes; check the data", (int)label,
                            (long long)s->classes);
        s->examples[label] += i % s->rows == 0;
        for (int64_t t = 0; t < b->lengths[i]; t++)
            s->count[label * s->vocab + token(s, b, i, t)]++;
    }
    return SQA_OK;
}

static void score(struct self *s)
{
    int64_t examples = 0;
    for (int64_t c = 0; c < s->classes; c++)
        examples += s->examples[c];
    for (int64_t c = 0; c < s->classes; c++) {
        const int64_t *count = s->count + c * s->vocab;
        int64_t tokens = 0;
        for (int64_t t = 1; t < s->vocab; t++)
            tokens += count[t];
        s->prior[c] = log((double)s->examples[c] / (double)(examples ? examples : 1));
        for (int64_t t = 1; t < s->vocab; t++)
            s->score[c * s->vocab + t] = log((double)(count[t] + 1) / (double)(tokens + s->vocab - 1));
    }
    s->scored = true;
}

static enum sqa_status predict(void *self, const struct sqa_batch *b, int32_t *labels, double *forecast,
                               struct sqa_err *err)
{
    struct self *s = self;
    (void)forecast;
    (void)err;
    if (!s->scored)
        score(s);
    for (int64_t i = 0; i < b->n; i++) {
        double best = -HUGE_VAL;
        labels[i] = 0;
        for (int64_t c = 0; c < s->classes; c++) {
            double sum = s->prior[c];
            for (int64_t k = i * s->rows; k < (i + 1) * s->rows; k++)
                for (int64_t t = 0; t < b->lengths[k]; t++)
                    sum += s->score[c * s->vocab + token(s, b, k, t)];
            if (sum > best) {
                best = sum;
                labels[i] = (int32_t)c;
            }
        }
    }
    return SQA_OK;
}

const struct sqa_variant sqa_variant_bag_of_tokens = {
    .id = "bag_of_tokens",
    .slot = SQA_SLOT_FLOOR,
    .title = "Bag of tokens (naive Bayes)",
    .source = "a floor",
    .complexity = "O(L) time",
    .help = "Multinomial naive Bayes with Laplace smoothing over how often each token occurs. On bytes it is what "
            "letters alone tell: a model that does not beat it has used no order.",
    .self_size = sizeof(struct self),
    .check = check,
    .begin = begin,
    .see = see,
    .predict = predict,
};
