/*
 * random.c - random tokens with random labels, for timing only
 *
 * Every example is a pure function of (data seed, split, index): nothing is stored.
 */
#include "base/random.h"
#include "base/file.h"
#include "tasks/task_util.h"

struct self {
    int64_t length, vocab, classes, count, data_seed;
};

static const struct sqa_param params[] = {
    {"length", "positions of each sequence", SQA_PARAM_INT, "1024", 1, 1 << 24, offsetof(struct self, length), NULL},
    {"vocab", "token ids, padding id 0 included", SQA_PARAM_INT, "32", 2, 1 << 24, offsetof(struct self, vocab),
     NULL},
    {"classes", "number of labels", SQA_PARAM_INT, "10", 2, 1 << 20, offsetof(struct self, classes), NULL},
    {"count", "examples of each split", SQA_PARAM_INT, "1024", 1, 1 << 30, offsetof(struct self, count), NULL},
    {"data_seed", "seed of tokens and labels", SQA_PARAM_INT, "0", 0, 0x1p53, offsetof(struct self, data_seed), NULL},
    {.name = NULL}};

static uint64_t example_key(const struct self *self, enum sqa_split split, uint32_t index)
{
    return sqa_random_mix(sqa_random_key((uint64_t)self->data_seed, (uint64_t)split, "task/random"), index);
}

static int32_t label_of(const struct self *self, uint64_t key)
{
    return (int32_t)sqa_random_below(key, 0, (uint64_t)self->classes);
}

static int32_t token_of(const struct self *self, uint64_t key, int64_t t)
{
    return 1 + (int32_t)sqa_random_below(key, 1 + (uint64_t)t, (uint64_t)self->vocab - 1);
}

static enum sqa_status open_random(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                   struct sqa_err *err)
{
    (void)env;
    (void)err;
    const struct self *self = parsed;
    ds->vocab = self->vocab;
    ds->classes = self->classes;
    ds->length = self->length;
    ds->note = "random tokens and labels: for timing, nothing can be learned";
    for (int s = 0; s < SQA_SPLITS; s++) {
        ds->count[s] = self->count;
        sqa_task_set_hash(ds, (enum sqa_split)s,
                          sqa_hash(self, sizeof *self, example_key(self, (enum sqa_split)s, 0)));
    }
    return SQA_OK;
}

static enum sqa_status fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                             struct sqa_batch *b, struct sqa_err *err)
{
    const struct self *self = ds->self;
    const enum sqa_status status = sqa_task_begin_fetch(ds, split, index, n, b, err);
    if (status != SQA_OK)
        return status;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t key = example_key(self, split, index[i]);
        int32_t *row = b->tokens + i * b->length;
        b->labels[i] = label_of(self, key);
        b->lengths[i] = (int32_t)self->length;
        for (int64_t t = 0; t < b->length; t++)
            row[t] = t < self->length ? token_of(self, key, t) : 0;
    }
    return SQA_OK;
}

static enum sqa_status show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, struct sqa_text *out,
                            struct sqa_err *err)
{
    const struct self *self = ds->self;
    if ((int64_t)index >= self->count)
        return sqa_fail(err, SQA_INPUT, "random: example %u; there are %lld, counted from 0", (unsigned)index,
                        (long long)self->count);
    const uint64_t key = example_key(self, split, index);
    sqa_text_printf(out, "label %d, %lld tokens\n", (int)label_of(self, key), (long long)self->length);
    for (int64_t t = 0; t < self->length && t < 32; t++)
        sqa_text_printf(out, "%s%d", t ? " " : "", (int)token_of(self, key, t));
    sqa_text_add(out, self->length > 32 ? " ...\n" : "\n");
    return out->failed ? sqa_task_nomem(ds->task, err) : SQA_OK;
}

static const char *const floors[] = {"majority", NULL};

const struct sqa_task sqa_task_random = {
    .id = "random",
    .title = "Random tokens (for timing)",
    .source = "made here",
    .help =
        "Uniform random token ids 1 .. vocab - 1 at full length with uniform random labels. It measures speed and "
        "memory without any data; nothing can be learned from it.",
    .kind = SQA_CLASSIFY,
    .params = params,
    .self_size = sizeof(struct self),
    .floors = floors,
    .open = open_random,
    .fetch = fetch,
    .show = show,
};
