/* tagged.c - see tagged.h */
#include "tasks/tagged.h"

#include <string.h>

#include "base/file.h"
#include "base/random.h"

enum { HASHED_EXAMPLES = 256, HASHED_POSITIONS = 1 << 16, SHOWN = 64 };

const char *const sqa_tagged_floors[] = {"majority", NULL};

struct state {
    sqa_tagged_make *make;
    const void *data;
    int64_t data_seed;
};

uint64_t sqa_tagged_key(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index)
{
    const struct state *s = ds->state;
    return sqa_random_mix(sqa_random_mix(sqa_random_key((uint64_t)s->data_seed, (uint64_t)split, "task/tagged"),
                                         sqa_hash(ds->task->id, strlen(ds->task->id), 0)),
                          index);
}

static int64_t make_example(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, int32_t *tokens,
                            int32_t *labels)
{
    const struct state *s = ds->state;
    return s->make(ds, s->data, sqa_tagged_key(ds, split, index), tokens, labels);
}

/* Of as many examples as make little work: they tell another generator, seed or parameter apart. */
static uint64_t hash_split(const struct sqa_dataset *ds, enum sqa_split split, int32_t *tokens, int32_t *labels)
{
    uint64_t hash = sqa_hash(&ds->count[split], sizeof ds->count[split], 0);
    for (uint32_t i = 0; i < HASHED_EXAMPLES && i < ds->count[split] && i * ds->length < HASHED_POSITIONS; i++) {
        const int64_t n = make_example(ds, split, i, tokens, labels);
        hash = sqa_hash(tokens, (size_t)n * sizeof *tokens, hash);
        hash = sqa_hash(labels, (size_t)n * sizeof *labels, hash);
    }
    return hash;
}

enum sqa_status sqa_tagged_open(struct sqa_dataset *ds, const struct sqa_tagged_options *options,
                                sqa_tagged_make *make, const void *data, struct sqa_err *err)
{
    struct state *s = sqa_arena_alloc(&ds->arena, sizeof *s);
    int32_t *tokens = sqa_alloc_array((size_t)ds->length, sizeof *tokens);
    int32_t *labels = sqa_alloc_array((size_t)ds->length, sizeof *labels);
    const bool ready = s && tokens && labels;
    if (ready) {
        *s = (struct state){make, data, options->data_seed};
        ds->state = s;
        ds->count[SQA_TRAIN] = options->train;
        ds->count[SQA_VALID] = options->valid;
        ds->count[SQA_TEST] = options->test;
        for (int i = 0; i < SQA_SPLITS; i++)
            sqa_task_set_hash(ds, (enum sqa_split)i, hash_split(ds, (enum sqa_split)i, tokens, labels));
    }
    sqa_free(tokens);
    sqa_free(labels);
    return ready ? SQA_OK : sqa_task_nomem(ds->task, err);
}

enum sqa_status sqa_tagged_fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                                 struct sqa_batch *b, struct sqa_err *err)
{
    const enum sqa_status status = sqa_task_begin_fetch(ds, split, index, n, b, err);
    if (status != SQA_OK)
        return status;
    for (int64_t i = 0; i < n; i++) {
        int32_t *tokens = b->tokens + i * b->length, *labels = b->labels + i * b->length;
        const int64_t length = make_example(ds, split, index[i], tokens, labels);
        b->lengths[i] = (int32_t)length;
        for (int64_t t = length; t < b->length; t++) {
            tokens[t] = 0;
            labels[t] = -1;
        }
    }
    return SQA_OK;
}

static void print_row(struct sqa_text *out, const char *name, const int32_t *x, int64_t n)
{
    sqa_text_add(out, name);
    for (int64_t t = 0; t < n && t < SHOWN; t++) {
        if (x[t] < 0)
            sqa_text_printf(out, " %4s", "-");
        else
            sqa_text_printf(out, " %4d", (int)x[t]);
    }
    sqa_text_add(out, n > SHOWN ? " ...\n" : "\n");
}

enum sqa_status sqa_tagged_show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index,
                                struct sqa_text *out, struct sqa_err *err)
{
    if ((int64_t)index >= ds->count[split])
        return sqa_fail(err, SQA_INPUT, "%s: example %u of %s; there are %lld, counted from 0", ds->task->id,
                        (unsigned)index, sqa_split_name(split), (long long)ds->count[split]);
    int32_t *tokens = sqa_alloc_array((size_t)ds->length, sizeof *tokens);
    int32_t *labels = sqa_alloc_array((size_t)ds->length, sizeof *labels);
    if (tokens && labels) {
        const int64_t n = make_example(ds, split, index, tokens, labels);
        sqa_text_printf(out, "%lld tokens\n", (long long)n);
        print_row(out, "tokens", tokens, n);
        print_row(out, "labels", labels, n);
    }
    const bool failed = !tokens || !labels || out->failed;
    sqa_free(tokens);
    sqa_free(labels);
    return failed ? sqa_task_nomem(ds->task, err) : SQA_OK;
}
