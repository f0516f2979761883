/*
 * text.c - Text: the sentiment of a film review from its bytes, two classes (Long Range Arena)
 *
 * Byte b is token b + 1, padding 0. Validation is held out of the training reviews by the hash of each text, so equal
 * texts never stand on both sides; the published protocol validates on the test set, which form=lra does.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tasks/reviews.h"
#include "tasks/task_util.h"

struct self {
    int64_t length;
    const char *train, *test, *dir, *form;
    double valid;
    int64_t data_seed, skip_bad;
};

static const struct sqa_param params[] = {
    {"length", "bytes kept of a review; positions of the model (LRA: 1000 to 4000)", SQA_PARAM_INT, "4000", 1,
     SQA_REVIEW_MAX, offsetof(struct self, length), NULL},
    {"train", "file of training reviews, TSV or CSV, instead of the folders", SQA_PARAM_TEXT, "", 0, 0,
     offsetof(struct self, train), NULL},
    {"test", "file of test reviews, with train=", SQA_PARAM_TEXT, "", 0, 0, offsetof(struct self, test), NULL},
    {"dir", "folder with train/{neg,pos} and test/{neg,pos}", SQA_PARAM_TEXT, "aclImdb", 0, 0,
     offsetof(struct self, dir), NULL},
    {"form", "ours: validation is held out of the training reviews; lra: it is the test set, as in LRA",
     SQA_PARAM_CHOICE, "ours", 0, 0, offsetof(struct self, form), "ours|lra"},
    {"valid", "share of the training reviews that form=ours validates on", SQA_PARAM_REAL, "0.1", 0.001, 0.9,
     offsetof(struct self, valid), NULL},
    {"data_seed", "seed of that choice", SQA_PARAM_INT, "0", 0, 0x1p53, offsetof(struct self, data_seed), NULL},
    {"skip_bad", "1: bad rows and files are left out and counted", SQA_PARAM_BOOL, "0", 0, 0,
     offsetof(struct self, skip_bad), NULL},
    {.name = NULL}};

struct state {
    struct sqa_reviews set;
    enum sqa_split from[SQA_SPLITS]; /* split of the set that each split shows */
};

static void close_text(struct sqa_dataset *ds)
{
    struct state *state = ds->state;
    sqa_reviews_clear(&state->set);
    sqa_free(state);
    ds->state = NULL;
}

/* What can be told of a file or folder that is not here. */
struct origin {
    const char *name, *published, *sha256;
};
static const struct origin origins[] = {
    {"imdb_train_2000.tsv",
     "github.com/PVidyadhar/Detection-of-Fraud-apps-using-Sentiment-Analysis in aclImdb/train, re-packed: ids 0 .. "
     "999 of each class",
     "757e4c44967594d6961c6985f5e191fc009efddfe3407794f22c69ba1a659839"},
    {"imdb_test_1000.tsv",
     "github.com/PVidyadhar/Detection-of-Fraud-apps-using-Sentiment-Analysis in aclImdb/test, re-packed: ids 0 .. "
     "499 "
     "of each class",
     "fab8ca952ca88ecf5207b086cd31600028b35d8159b7a23c1d43ee6b6bc58298"},
    {"aclImdb",
     "ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz, whose folders train/{neg,pos} and test/{neg,pos} are "
     "read",
     "SHA-256 c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe of the archive"},
};

/* A path as typed, else a name under the data folders. */
static enum sqa_status find(const char *name, const struct sqa_task_env *env, const struct origin **origin,
                            char path[4096], struct sqa_err *err)
{
    *origin = NULL;
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++)
        if (strcmp(origins[i].name, name) == 0)
            *origin = &origins[i];
    if (strlen(name) < 4096 && sqa_file_exists(name)) {
        memcpy(path, name, strlen(name) + 1);
        return SQA_OK;
    }
    return sqa_data_find(env, name, *origin ? (*origin)->published : "no place known to seqarena",
                         *origin ? (*origin)->sha256 : NULL, path, err);
}

static enum sqa_status add_note(struct sqa_dataset *ds, const char *more, struct sqa_err *err)
{
    ds->note = more ? sqa_arena_printf(&ds->arena, "%s%s%s", ds->note, *ds->note ? "; " : "", more) : NULL;
    if (ds->note)
        return SQA_OK;
    ds->note = "";
    return sqa_task_nomem(ds->task, err);
}

static enum sqa_status read_file(const char *name, const struct sqa_reviews_reading *how, struct sqa_reviews *set,
                                 struct sqa_dataset *ds, struct sqa_err *err)
{
    const struct origin *origin;
    char path[4096], hex[65];
    enum sqa_status status = find(name, how->env, &origin, path, err);
    if (status == SQA_OK)
        status = sqa_reviews_read_table(path, how, set, err);
    if (status == SQA_OK && origin)
        status = sqa_file_sha256(path, hex, err);
    if (status == SQA_OK && origin && strcmp(hex, origin->sha256) != 0)
        status = add_note(
            ds, sqa_arena_printf(&ds->arena, "%s is not the known file of that name (SHA-256 %s)", path, hex), err);
    return status;
}

static enum sqa_status read_splits(const struct self *self, struct sqa_reviews_reading *how, struct sqa_reviews *set,
                                   struct sqa_dataset *ds, struct sqa_err *err)
{
    const struct origin *origin;
    char path[4096], folder[4200];
    if (*self->train) {
        const enum sqa_status status = read_file(self->train, how, set, ds, err);
        how->split = SQA_TEST;
        return status == SQA_OK ? read_file(self->test, how, set, ds, err) : status;
    }
    enum sqa_status status = find(self->dir, how->env, &origin, path, err);
    snprintf(folder, sizeof folder, "%s/train", path);
    if (status == SQA_OK)
        status = sqa_reviews_read_folder(folder, how, set, err);
    snprintf(folder, sizeof folder, "%s/test", path);
    how->split = SQA_TEST;
    return status == SQA_OK ? sqa_reviews_read_folder(folder, how, set, err) : status;
}

static enum sqa_status tell(const struct self *self, const struct sqa_reviews *set, struct sqa_dataset *ds,
                            struct sqa_err *err)
{
    char share[32];
    enum sqa_status status;
    if (strcmp(self->form, "lra") == 0)
        status = add_note(
            ds, "form=lra: validation is the test set, as LRA has it, so what is chosen by it is chosen on test data",
            err);
    else
        status = add_note(ds,
                          sqa_arena_printf(&ds->arena,
                                           "validation is %s of the training reviews, by the hash of each text "
                                           "(data_seed %lld)",
                                           sqa_format_real(share, self->valid), (long long)self->data_seed),
                          err);
    if (status == SQA_OK && set->bad)
        status = add_note(
            ds, sqa_arena_printf(&ds->arena, "%zu bad left out, the first: %s", set->bad, set->first_bad), err);
    return status;
}

static enum sqa_status open_text(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                 struct sqa_err *err)
{
    const struct self *self = parsed;
    const bool lra = strcmp(self->form, "lra") == 0;
    if (!*self->train != !*self->test)
        return sqa_fail(err, SQA_USAGE, "text: %s= without %s=; give both files, or neither for the folders of dir=",
                        *self->train ? "train" : "test", *self->train ? "test" : "train");
    struct state *state = sqa_alloc(sizeof *state);
    if (!state)
        return sqa_task_nomem(ds->task, err);
    ds->state = state;
    struct sqa_reviews_reading how = {.length = (size_t)self->length,
                                      .split = SQA_TRAIN,
                                      .held_out = lra ? 0 : self->valid,
                                      .seed = (uint64_t)self->data_seed,
                                      .skip_bad = self->skip_bad != 0,
                                      .env = env};
    enum sqa_status status = read_splits(self, &how, &state->set, ds, err);
    if (status == SQA_OK)
        status = tell(self, &state->set, ds, err);
    if (status != SQA_OK)
        return status;
    for (int s = 0; s < SQA_SPLITS; s++) {
        state->from[s] = lra && s == SQA_VALID ? SQA_TEST : (enum sqa_split)s;
        ds->count[s] = (int64_t)state->set.count[state->from[s]];
        sqa_task_set_hash(ds, (enum sqa_split)s, state->set.hash[state->from[s]]);
        if (ds->count[s] == 0)
            return sqa_fail(err, SQA_INPUT, "text: no reviews for the %s split in %s; give more reviews",
                            sqa_split_name((enum sqa_split)s),
                            !*self->train          ? self->dir
                            : s == SQA_TEST || lra ? self->test
                                                   : self->train);
    }
    ds->vocab = 257;
    ds->classes = 2;
    ds->length = self->length;
    return SQA_OK;
}

static const struct sqa_review *review(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index)
{
    const struct state *state = ds->state;
    return &state->set.review[state->from[split]][index];
}

static int64_t length_of(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index)
{
    return review(ds, split, index)->length;
}

static enum sqa_status fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                             struct sqa_batch *b, struct sqa_err *err)
{
    const struct state *state = ds->state;
    const enum sqa_status status = sqa_task_begin_fetch(ds, split, index, n, b, err);
    if (status != SQA_OK)
        return status;
    for (int64_t i = 0; i < n; i++) {
        const struct sqa_review *r = review(ds, split, index[i]);
        b->labels[i] = r->label;
        b->lengths[i] =
            sqa_task_put_bytes(state->set.bytes + r->where, r->length, b->tokens + i * b->length, b->length);
    }
    return SQA_OK;
}

static enum sqa_status show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, struct sqa_text *out,
                            struct sqa_err *err)
{
    const struct state *state = ds->state;
    if ((int64_t)index >= ds->count[split])
        return sqa_fail(err, SQA_INPUT, "text: review %u of %s; there are %lld, counted from 0", (unsigned)index,
                        sqa_split_name(split), (long long)ds->count[split]);
    const struct sqa_review *r = review(ds, split, index);
    sqa_text_printf(out, "label %d, %u bytes\n", r->label, (unsigned)r->length);
    sqa_task_show_bytes(state->set.bytes + r->where, r->length, out);
    return out->failed ? sqa_task_nomem(ds->task, err) : SQA_OK;
}

static const char *const files[] = {"aclImdb", "train=FILE", NULL};
static const char *const floors[] = {"majority", "bag_of_tokens", NULL};

const struct sqa_task sqa_task_text = {
    .id = "text",
    .title = "Text: IMDb reviews as bytes (Long Range Arena)",
    .source = "Maas et al. 2011 (Large Movie Review Dataset); Tay et al. 2020, arXiv 2011.04006; data at "
              "ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz, SHA-256 "
              "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
    .help =
        "Whether a film review is negative (0) or positive (1), read as bytes: byte b is token b + 1, padding 0, "
        "257 in all. White space at both ends goes, <br /> stays; a review is cut at length. LRA reports the "
        "best of 1000, 2000, 3000 and 4000 (1K-4K). Read are the folders of aclImdb under --data (dir=), or with "
        "train=FILE,test=FILE tables with a label and a text in each line: TSV without quoting, or CSV. A file or "
        "folder is taken as typed when it is there, else looked for under --data; slices of IMDb are known as "
        "train=imdb_train_2000.tsv,test=imdb_test_1000.tsv. Validation is held out of training: reviews whose "
        "hash with data_seed falls into the share valid. form=lra trains on all and validates on the test set, "
        "as LRA does. An empty review, a bad label or a tab too many is refused with its file and line.",
    .kind = SQA_CLASSIFY,
    .params = params,
    .self_size = sizeof(struct self),
    .floors = floors,
    .files = files,
    .open = open_text,
    .close = close_text,
    .length_of = length_of,
    .fetch = fetch,
    .show = show,
};
