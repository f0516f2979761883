/*
 * mqar.c - multi-query associative recall: key-value pairs, then the keys again, whose values are the labels
 *
 *     k1 v1 k2 v2 ... kP vP | _ _ k2 _ _ _ k1 _ ...        label v2 at the second k2, v1 at the second k1
 *
 * Keys are tokens 1 .. vocab / 2 - 1, values vocab / 2 .. vocab - 1, each drawn without replacement; label k stands
 * for value vocab / 2 + k. What follows the pairs are slots of two positions; each key stands once in the first place
 * of a slot, slots drawn one after the other without replacement with p(slot i) ~ i^(power - 1), i = 1, 2, ... Only
 * those positions have labels.
 */
#include <math.h>

#include "base/random.h"
#include "tasks/tagged.h"

struct self {
    int64_t length, pairs, vocab, noise;
    double power;
    struct sqa_tagged_options tagged;
};

struct slots {
    const struct self *self;
    int64_t n;
    uint64_t *upto; /* (n): running sums of the weights, as whole numbers so that every machine draws the same */
};

static const struct sqa_param params[] = {
    {"length", "positions, even, at least 4 pairs", SQA_PARAM_INT, "32", 4, 1 << 20, offsetof(struct self, length),
     NULL},
    {"pairs", "keys with their values", SQA_PARAM_INT, "4", 1, 1 << 18, offsetof(struct self, pairs), NULL},
    {"vocab", "keys 1 .. vocab / 2 - 1, values vocab / 2 .. vocab - 1, padding id 0", SQA_PARAM_INT, "32", 4, 1 << 24,
     offsetof(struct self, vocab), NULL},
    {"power", "slots of queries have p(i) ~ i^(power - 1): 1 uniform, near 0 soon after the pairs", SQA_PARAM_REAL,
     "0.01", 0, 1, offsetof(struct self, power), NULL},
    {"noise", "1: random tokens between the queries; 0: a token of its own, id vocab", SQA_PARAM_BOOL, "0", 0, 0,
     offsetof(struct self, noise), NULL},
    SQA_TAGGED_PARAMS(struct self),
    {.name = NULL}};

/* Draws from low .. low + count - 1 what does not stand in row[0], row[2], ..., row[2 (n - 1)]. */
static int32_t draw_new(struct sqa_random *r, int64_t low, int64_t count, const int32_t *row, int64_t n)
{
    for (;;) {
        const int32_t x = (int32_t)(low + (int64_t)sqa_random_next_below(r, (uint64_t)count));
        int64_t i = 0;
        while (i < n && row[2 * i] != x)
            i++;
        if (i == n)
            return x;
    }
}

static int64_t draw_slot(struct sqa_random *r, const struct slots *s)
{
    const uint64_t at = sqa_random_next_below(r, s->upto[s->n - 1]);
    int64_t low = 0, high = s->n - 1; /* the first with upto > at */
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (s->upto[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int64_t make(const struct sqa_dataset *ds, const void *data, uint64_t key, int32_t *tokens, int32_t *labels)
{
    const struct slots *s = data;
    const struct self *self = s->self;
    const int64_t half = self->vocab / 2, start = 2 * self->pairs;
    struct sqa_random r = {key, 0};
    for (int64_t t = 0; t < ds->length; t++) {
        labels[t] = -1;
        if (t >= start)
            tokens[t] = self->noise ? 1 + (int32_t)sqa_random_next_below(&r, (uint64_t)self->vocab - 1)
                                    : (int32_t)self->vocab;
    }
    for (int64_t i = 0; i < self->pairs; i++) {
        tokens[2 * i] = draw_new(&r, 1, half - 1, tokens, i);
        tokens[2 * i + 1] = draw_new(&r, half, self->vocab - half, tokens + 1, i);
    }
    for (int64_t i = 0; i < self->pairs; i++) {
        int64_t at;
        do
            at = start + 2 * draw_slot(&r, s);
        while (labels[at] >= 0);
        tokens[at] = tokens[2 * i];
        labels[at] = (int32_t)(tokens[2 * i + 1] - half);
    }
    return ds->length;
}

static enum sqa_status make_slots(const struct self *self, struct sqa_dataset *ds, struct slots **out,
                                  struct sqa_err *err)
{
    struct slots *s = sqa_arena_alloc(&ds->arena, sizeof *s);
    if (!s)
        return sqa_task_nomem(ds->task, err);
    s->self = self;
    s->n = self->length / 2 - self->pairs;
    s->upto = sqa_arena_alloc(&ds->arena, (size_t)s->n * sizeof *s->upto);
    if (!s->upto)
        return sqa_task_nomem(ds->task, err);
    uint64_t sum = 0;
    for (int64_t i = 0; i < s->n; i++)
        s->upto[i] = sum += (uint64_t)llround(0x1p32 * pow((double)(i + 1), self->power - 1));
    *out = s;
    return SQA_OK;
}

static enum sqa_status open_mqar(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                 struct sqa_err *err)
{
    const struct self *self = parsed;
    struct slots *slots = NULL;
    (void)env;
    if (self->length % 2 || self->length < 4 * self->pairs)
        return sqa_fail(err, SQA_USAGE, "mqar: length=%lld with %lld pairs; it must be even and at least 4 pairs",
                        (long long)self->length, (long long)self->pairs);
    if (self->vocab / 2 - 1 < self->pairs)
        return sqa_fail(err, SQA_USAGE, "mqar: vocab=%lld has %lld keys for %lld pairs; raise vocab or lower pairs",
                        (long long)self->vocab, (long long)(self->vocab / 2 - 1), (long long)self->pairs);
    ds->vocab = self->vocab + (self->noise ? 0 : 1);
    ds->classes = self->vocab - self->vocab / 2;
    ds->length = self->length;
    const enum sqa_status status = make_slots(self, ds, &slots, err);
    return status == SQA_OK ? sqa_tagged_open(ds, &self->tagged, make, slots, err) : status;
}

const struct sqa_task sqa_task_mqar = {
    .id = "mqar",
    .title = "Multi-query associative recall",
    .source = "Arora et al. 2023 (Zoology), arXiv 2312.04927; github.com/HazyResearch/zoology, multiquery_ar.py",
    .help = "Pairs of a key and its value, then the keys again among blanks; the label at the second place of a key "
            "is its "
            "value. Who knows only which values there are guesses 1 of `pairs`: that is as far as models without a "
            "look at "
            "positions come. The recipes make the frame causal, as the paper has it. The defaults are small so that "
            "softmax "
            "attention learns it on a CPU in minutes; the paper has vocab=8192, length 64 to 512, 4 to 64 pairs.",
    .kind = SQA_TAG,
    .params = params,
    .self_size = sizeof(struct self),
    .floors = sqa_tagged_floors,
    .open = open_mqar,
    .fetch = sqa_tagged_fetch,
    .show = sqa_tagged_show,
};
