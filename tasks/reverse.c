/*
 * reverse.c - the input read backwards, a label at each position
 *
 * Tokens 1 .. vocab - 1, uniform; label k stands for token k + 1. The label of position t of a sequence of n tokens
 * is that of token n - 1 - t, so a model must move every token by a distance that differs from position to position.
 */
#include "base/random.h"
#include "tasks/tagged.h"

struct self {
    int64_t length, min, vocab;
    struct sqa_tagged_options tagged;
};

static const struct sqa_param params[] = {
    {"length", "positions of the longest sequence", SQA_PARAM_INT, "64", 1, 1 << 24, offsetof(struct self, length),
     NULL},
    {"min", "positions of the shortest, lengths are drawn uniformly; 0: all have the greatest", SQA_PARAM_INT, "0", 0,
     1 << 24, offsetof(struct self, min), NULL},
    {"vocab", "token ids, padding id 0 included", SQA_PARAM_INT, "32", 3, 1 << 24, offsetof(struct self, vocab),
     NULL},
    SQA_TAGGED_PARAMS(struct self),
    {.name = NULL}};

static int64_t drawn_length(const struct self *self, uint64_t key)
{
    return self->min ? self->min + (int64_t)sqa_random_below(key, 0, (uint64_t)(self->length - self->min) + 1)
                     : self->length;
}

static int64_t make(const struct sqa_dataset *ds, const void *data, uint64_t key, int32_t *tokens, int32_t *labels)
{
    const struct self *self = data;
    const int64_t n = drawn_length(self, key);
    (void)ds;
    for (int64_t t = 0; t < n; t++) {
        labels[n - 1 - t] = (int32_t)sqa_random_below(key, 1 + (uint64_t)t, (uint64_t)self->vocab - 1);
        tokens[t] = 1 + labels[n - 1 - t];
    }
    return n;
}

static enum sqa_status open_reverse(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                    struct sqa_err *err)
{
    const struct self *self = parsed;
    (void)env;
    if (self->min > self->length)
        return sqa_fail(err, SQA_USAGE, "reverse: min=%lld is above length=%lld; lower min or raise length",
                        (long long)self->min, (long long)self->length);
    ds->vocab = self->vocab;
    ds->classes = self->vocab - 1;
    ds->length = self->length;
    return sqa_tagged_open(ds, &self->tagged, make, self, err);
}

static int64_t length_of(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index)
{
    const struct self *self = ds->self;
    return self->min ? drawn_length(self, sqa_tagged_key(ds, split, index)) : self->length;
}

const struct sqa_task sqa_task_reverse = {
    .id = "reverse",
    .title = "Reversed sequence",
    .source = "a probe; with drawn lengths as in Friedman et al. 2023 (TransformerPrograms), arXiv 2306.01128, "
              "make_reverse",
    .help =
        "Uniform random tokens; the label of each position is the token as far from the end as the position is "
        "from the beginning. A token says nothing about the label at its own place, so a model without mixing stays "
        "at 1 / (vocab - 1), and one with the mean of all positions at the share of the most frequent token of a "
        "sequence (8 % with 31 tokens at length 64); what a mixer scores is how well it moves content by position.",
    .kind = SQA_TAG,
    .params = params,
    .self_size = sizeof(struct self),
    .floors = sqa_tagged_floors,
    .open = open_reverse,
    .length_of = length_of,
    .fetch = sqa_tagged_fetch,
    .show = sqa_tagged_show,
};
