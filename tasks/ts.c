/* ts.c - classification of the series of a .ts file: the UEA and UCR archives */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "tasks/series_cases.h"
#include "tasks/task_util.h"

struct self {
    const char *name, *file, *test, *missing;
    double valid;
    int64_t standardise, data_seed;
};

static const struct sqa_param params[] = {
    {"name", "NAME_TRAIN.ts and NAME_TEST.ts in the folder of the data", SQA_PARAM_TEXT, "", 0, 0,
     offsetof(struct self, name), NULL},
    {"file", "or the path of the training file, with test=", SQA_PARAM_TEXT, "", 0, 0, offsetof(struct self, file),
     NULL},
    {"test", "path of the test file", SQA_PARAM_TEXT, "", 0, 0, offsetof(struct self, test), NULL},
    {"valid", "share of each class of the training cases that validates instead", SQA_PARAM_REAL, "0.2", 0.01, 0.9,
     offsetof(struct self, valid), NULL},
    {"standardise", "1: each dimension by mean and deviation of the cases that train; 0: as they are", SQA_PARAM_BOOL,
     "1", 0, 0, offsetof(struct self, standardise), NULL},
    {"missing", "numbers that are '?' or NaN: refuse, or fill with the one before (at the start the first)",
     SQA_PARAM_CHOICE, "refuse", 0, 0, offsetof(struct self, missing), "refuse|fill"},
    {"data_seed", "seed of the choice of validation cases", SQA_PARAM_INT, "0", 0, 0x1p53,
     offsetof(struct self, data_seed), NULL},
    {.name = NULL}};

struct state {
    struct sqa_cases set[2];     /* training file, test file */
    uint32_t *order[SQA_SPLITS]; /* of cases; NULL: all in order */
};

static const struct sqa_cases *cases_of(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index,
                                        size_t *at)
{
    const struct state *s = ds->state;
    *at = s->order[split] ? s->order[split][index] : index;
    return &s->set[split == SQA_TEST];
}

static void close_ts(struct sqa_dataset *ds)
{
    struct state *s = ds->state;
    for (int i = 0; i < SQA_SPLITS; i++)
        sqa_free(s->order[i]);
    sqa_cases_clear(&s->set[0]);
    sqa_cases_clear(&s->set[1]);
    sqa_free(s);
    ds->state = NULL;
}

static enum sqa_status find_files(const struct self *self, const struct sqa_task_env *env, char path[2][4096],
                                  struct sqa_err *err)
{
    static const char *const ends[2] = {"TRAIN", "TEST"};
    const char *const given[2] = {self->file, self->test};
    char name[512];
    if (*self->name ? *self->file || *self->test : !*self->file || !*self->test)
        return sqa_fail(err, SQA_USAGE, "ts: %s; write ts:name=JapaneseVowels, or ts:file=A_TRAIN.ts,test=A_TEST.ts",
                        *self->name ? "name= and files" : "no name, and not both files");
    for (int i = 0; i < 2; i++) {
        enum sqa_status status = SQA_OK;
        if (*self->name) {
            snprintf(name, sizeof name, "%.400s_%s.ts", self->name, ends[i]);
            status = sqa_data_find(env, name, "timeseriesclassification.com", NULL, path[i], err);
        } else {
            snprintf(path[i], 4096, "%.4000s", given[i]);
        }
        if (status != SQA_OK)
            return status;
    }
    return SQA_OK;
}

/* The test file's labels as numbers of the training file's classes. */
static enum sqa_status join_classes(struct state *s, char path[2][4096], struct sqa_err *err)
{
    const struct sqa_cases *a = &s->set[0];
    struct sqa_cases *b = &s->set[1];
    if (a->dims != b->dims)
        return sqa_fail(err, SQA_INPUT, "%s: %lld dimensions, and %s has %lld; give two files of one set", path[1],
                        (long long)b->dims, path[0], (long long)a->dims);
    for (size_t i = 0; i < b->count; i++) {
        const char *name = b->classes[b->label[i]];
        int64_t k = 0;
        while (k < a->n_classes && strcmp(a->classes[k], name) != 0)
            k++;
        if (k == a->n_classes)
            return sqa_fail(err, SQA_INPUT, "%s: class '%.40s' is not in %s; give two files of one set", path[1],
                            name, path[0]);
        b->label[i] = (int32_t)k;
    }
    return SQA_OK;
}

/* Of every class the first round(valid x cases) of a permutation validate, at most all but one. */
static enum sqa_status split_training(struct sqa_dataset *ds, struct state *s, const struct self *self,
                                      struct sqa_err *err)
{
    const struct sqa_cases *set = &s->set[0];
    const size_t n = set->count;
    uint32_t *order = sqa_alloc_array(n, sizeof *order);
    s->order[SQA_TRAIN] = sqa_alloc_array(n, sizeof **s->order);
    s->order[SQA_VALID] = sqa_alloc_array(n, sizeof **s->order);
    if (!order || !s->order[SQA_TRAIN] || !s->order[SQA_VALID]) {
        sqa_free(order);
        return sqa_task_nomem(ds->task, err);
    }
    sqa_random_permutation(sqa_random_key((uint64_t)self->data_seed, 0, "task/ts"), order, n);
    for (int64_t k = 0; k < set->n_classes; k++) {
        int64_t members = 0, taken = 0;
        for (size_t i = 0; i < n; i++)
            members += set->label[i] == k;
        int64_t held = (int64_t)(self->valid * (double)members + 0.5);
        held = held < members ? held : members - 1;
        for (size_t i = 0; i < n; i++) {
            if (set->label[order[i]] != k)
                continue;
            const int to = taken++ < held ? SQA_VALID : SQA_TRAIN;
            s->order[to][ds->count[to]++] = order[i];
        }
    }
    sqa_free(order);
    if (ds->count[SQA_VALID] > 0 && ds->count[SQA_TRAIN] > 0)
        return SQA_OK;
    return sqa_fail(err, SQA_INPUT, "ts: %zu training cases leave none to validate; raise valid=", n);
}

/* Mean and deviation of each dimension over the cases that train; a constant one keeps its scale. */
static void standardise(const struct sqa_dataset *ds, struct state *s)
{
    const int64_t dims = s->set[0].dims;
    for (int64_t d = 0; d < dims; d++) {
        double sum = 0, squares = 0, n = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t i = 0; i < ds->count[SQA_TRAIN]; i++) {
                size_t at;
                const struct sqa_cases *c = cases_of(ds, SQA_TRAIN, (uint32_t)i, &at);
                for (int64_t t = 0; t < c->length[at]; t++) {
                    const double v = c->value[c->start[at] + (size_t)(t * dims + d)];
                    sum += pass ? 0 : v;
                    n += pass ? 0 : 1;
                    squares += pass ? (v - sum / n) * (v - sum / n) : 0;
                }
            }
        const double mean = sum / n, deviation = sqrt(squares / n), by = deviation > 1e-12 ? deviation : 1;
        for (int f = 0; f < 2; f++)
            for (size_t k = (size_t)d; k < s->set[f].used; k += (size_t)dims)
                s->set[f].value[k] = (s->set[f].value[k] - mean) / by;
    }
}

static void hash_split(struct sqa_dataset *ds, enum sqa_split split)
{
    uint64_t hash = 0;
    for (int64_t i = 0; i < ds->count[split]; i++) {
        size_t at;
        const struct sqa_cases *c = cases_of(ds, split, (uint32_t)i, &at);
        const int64_t what[2] = {c->length[at], c->label[at]};
        hash = sqa_hash(what, sizeof what, hash);
        hash = sqa_hash(c->value + c->start[at], (size_t)(c->length[at] * c->dims) * sizeof *c->value, hash);
    }
    sqa_task_set_hash(ds, split, hash);
}

static enum sqa_status open_ts(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                               struct sqa_err *err)
{
    const struct self *self = parsed;
    char path[2][4096];
    struct state *s = sqa_alloc(sizeof *s);
    ds->state = s;
    if (!s)
        return sqa_task_nomem(ds->task, err);
    enum sqa_status status = find_files(self, env, path, err);
    for (int i = 0; i < 2 && status == SQA_OK; i++)
        status = sqa_cases_read(path[i], strcmp(self->missing, "fill") == 0, env, &s->set[i], err);
    if (status == SQA_OK)
        status = join_classes(s, path, err);
    if (status == SQA_OK)
        status = split_training(ds, s, self, err);
    if (status != SQA_OK)
        return status;
    const struct sqa_cases *a = &s->set[0], *b = &s->set[1];
    ds->count[SQA_TEST] = (int64_t)b->count;
    ds->classes = a->n_classes;
    ds->channels = a->dims;
    ds->length = a->longest > b->longest ? a->longest : b->longest;
    ds->note = sqa_arena_printf(&ds->arena, "%lld of %zu training cases validate%s", (long long)ds->count[SQA_VALID],
                                a->count, a->missing + b->missing ? "; missing numbers are those before them" : "");
    for (int i = 0; i < SQA_SPLITS; i++)
        hash_split(ds, (enum sqa_split)i);
    if (self->standardise)
        standardise(ds, s);
    return ds->note ? SQA_OK : sqa_task_nomem(ds->task, err);
}

static int64_t length_of(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index)
{
    size_t at;
    const struct sqa_cases *c = cases_of(ds, split, index, &at);
    return c->length[at];
}

static enum sqa_status fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                             struct sqa_batch *b, struct sqa_err *err)
{
    const enum sqa_status status = sqa_task_begin_fetch(ds, split, index, n, b, err);
    for (int64_t i = 0; i < n && status == SQA_OK; i++) {
        size_t at;
        const struct sqa_cases *c = cases_of(ds, split, index[i], &at);
        const size_t numbers = (size_t)(c->length[at] * c->dims), width = (size_t)(b->length * c->dims);
        double *row = b->x + (size_t)i * width;
        memcpy(row, c->value + c->start[at], numbers * sizeof *row);
        memset(row + numbers, 0, (width - numbers) * sizeof *row);
        b->lengths[i] = c->length[at];
        b->labels[i] = c->label[at];
    }
    return status;
}

static enum sqa_status show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, struct sqa_text *out,
                            struct sqa_err *err)
{
    enum { SHOWN = 8 };
    if ((int64_t)index >= ds->count[split])
        return sqa_fail(err, SQA_INPUT, "ts: case %u of %s; there are %lld, counted from 0", (unsigned)index,
                        sqa_split_name(split), (long long)ds->count[split]);
    size_t at;
    const struct state *s = ds->state;
    const struct sqa_cases *c = cases_of(ds, split, index, &at);
    sqa_text_printf(out, "class %s, %d rows of %lld\n", s->set[0].classes[c->label[at]], c->length[at],
                    (long long)c->dims);
    for (int64_t d = 0; d < c->dims && d < SHOWN; d++) {
        sqa_text_printf(out, "%3lld ", (long long)d + 1);
        for (int64_t t = 0; t < c->length[at] && t < SHOWN; t++)
            sqa_text_printf(out, " %9.4g", c->value[c->start[at] + (size_t)(t * c->dims + d)]);
        sqa_text_add(out, c->length[at] > SHOWN ? " ...\n" : "\n");
    }
    return out->failed ? sqa_task_nomem(ds->task, err) : SQA_OK;
}

static const char *const files[] = {"name_TRAIN.ts", "name_TEST.ts", NULL};
static const char *const floors[] = {"majority", NULL};

const struct sqa_task sqa_task_ts = {
    .id = "ts",
    .title = "Classification of series (UEA and UCR archives)",
    .source =
        "Bagnall et al. 2018, arXiv 1811.00075; Dau et al. 2019, arXiv 1810.07758; timeseriesclassification.com",
    .help =
        "A set of the archives by its two .ts files: ts:name=JapaneseVowels, or ts:file=A_TRAIN.ts,test=A_TEST.ts. "
        "Series may differ in length and have several dimensions. The archives have no validation set, and papers "
        "mostly chose by the test set; here a share of the training cases validates, class by class, and the note "
        "of every row says how many. Any mixer of the frame takes them.",
    .kind = SQA_CLASSIFY,
    .params = params,
    .self_size = sizeof(struct self),
    .files = files,
    .floors = floors,
    .open = open_ts,
    .close = close_ts,
    .length_of = length_of,
    .fetch = fetch,
    .show = show,
};
