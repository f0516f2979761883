/*
 * task.h - the registry of tasks and the data sets they open
 *
 * A task is one file with one `const struct sqa_task sqa_task_ID = {`; the registry is generated from the files.
 * A task opened with its parameters is a data set: three splits of examples, fetched in batches of any indices.
 * Everything random is keyed by the data seed (parameter of the task), never by the training seed, so all models and
 * all training seeds see the same examples.
 *
 * Ownership: sqa_dataset_open allocates, sqa_dataset_close frees. fetch writes into arrays the caller owns
 * (sqa_batch_create). A data set is read-only after open: fetch may be called from one thread at a time.
 */
#ifndef SQA_TASKS_TASK_H
#define SQA_TASKS_TASK_H

#include <stddef.h>
#include <stdint.h>

#include "base/batch.h"
#include "base/memory.h"
#include "base/param.h"
#include "base/status.h"
#include "base/text.h"

struct sqa_dataset;

struct sqa_task_env {
    const char *data_dir;            /* --data, or NULL: then $SEQARENA_DATA, then ./data */
    const volatile int *interrupted; /* may be NULL; open() returns SQA_INTERRUPTED soon after it becomes non-zero */
};

struct sqa_task {
    const char *id;     /* lower case, equals the file name */
    const char *title;  /* "ListOps (Long Range Arena)" */
    const char *source; /* paper and arXiv id; where the original data are published */
    const char *help;   /* a paragraph for `describe` */
    enum sqa_task_kind kind;
    const struct sqa_param *params; /* ends with { .name = NULL } */
    const struct sqa_param *later;  /* more of them, which came when rows had been recorded: full forms leave them out
                                       where they have their default, so that the keys of those rows stay; or NULL */
    size_t self_size;               /* struct that params fill in */
    const char *const
        *files; /* data files it reads, as sqa_data_find is asked for them; ends with NULL; NULL: none */
    const char *const *floors; /* ids of floor models shown beside every report; ends with NULL */
    /* Fills those of vocab, classes, length, channels, blank and count that parameters alone decide, as open will
     * (count: of the published files); reads and makes nothing. NULL: none is known before open. */
    void (*sizes)(const void *self, struct sqa_dataset *ds);
    /* Fills ds (sizes, counts, state) for the parameters in self. */
    enum sqa_status (*open)(const void *self, const struct sqa_task_env *env, struct sqa_dataset *ds,
                            struct sqa_err *err);
    void (*close)(struct sqa_dataset *ds); /* frees ds->state; may be NULL */
    /* Valid positions of example `index`, of a pair those of the longer one; NULL: always ds->length. Used to put
     * examples of similar length together.
     */
    int64_t (*length_of)(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index);
    /* Writes n examples into b; b->length was set by the caller to at least the longest of them. */
    enum sqa_status (*fetch)(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                             struct sqa_batch *b, struct sqa_err *err);
    /* One example as text for `data show`, or NULL. */
    enum sqa_status (*show)(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, struct sqa_text *out,
                            struct sqa_err *err);
};

struct sqa_dataset {
    const struct sqa_task *task;
    void *self;                /* the parsed parameters */
    const char *spec;          /* short form: "listops:min=16,max=64" */
    const char *full_spec;     /* every parameter */
    int64_t vocab;             /* rows of an embedding table, padding id 0 included; 0 for real inputs */
    int64_t classes;           /* 0 for forecasting */
    int64_t length;            /* largest number of positions (look-back) */
    int64_t channels, outputs; /* of x and y */
    int64_t horizon;
    int64_t blank;  /* tokens up to this one count as padding wherever they stand; 0: padding stands behind */
    int64_t marks;  /* features of a row's time; 0: rows have no times */
    int64_t season; /* natural period in steps (24 for hourly data), 0 unknown */
    int64_t count[SQA_SPLITS];        /* examples */
    const char *const *channel_names; /* outputs names, or NULL */
    const double *mean, *deviation;   /* (channels): the scaler, or NULL */
    const char *note;                 /* what a reader must know ("validation is cut from ..."), "" when nothing */
    const char *const *token_names;   /* vocab names for show, or NULL */
    char split_hash[SQA_SPLITS][17];  /* xxHash64 over the examples of each split, in hex */
    struct sqa_arena arena;           /* for what open allocates */
    void *state;
    /* Positions are the pixels of a picture, row by row: its sides; 0: they are not. */
    int64_t picture_rows, picture_columns;
};

extern const struct sqa_task *const sqa_tasks[]; /* ends with NULL */
const struct sqa_task *sqa_task_find(const char *id);
const char *sqa_task_kind_name(enum sqa_task_kind kind); /* "classify", "forecast", "tag", "pair" */

/* Parses "id:name=value,..." and opens it. */
enum sqa_status sqa_dataset_open(const char *spec, const struct sqa_task_env *env, struct sqa_dataset **ds,
                                 struct sqa_err *err) SQA_MUST_CHECK;
/* Parses only: canonical short and full forms without opening any file. Texts live in arena. */
enum sqa_status sqa_task_canonical(const char *spec, struct sqa_arena *arena, const struct sqa_task **task,
                                   const char **short_form, const char **full_form,
                                   struct sqa_err *err) SQA_MUST_CHECK;
/* What a task that is not opened says of its sizes: sets ds->task and what task->sizes knows, leaves the rest of *ds as
 * it is. Parameters are allocated in arena. */
enum sqa_status sqa_task_sizes(const char *spec, struct sqa_arena *arena, struct sqa_dataset *ds,
                               struct sqa_err *err) SQA_MUST_CHECK;
void sqa_dataset_close(struct sqa_dataset *ds);

/* Arrays for up to n examples of up to `length` positions. */
struct sqa_batch *sqa_batch_create(const struct sqa_dataset *ds, int64_t n, int64_t length);
void sqa_batch_free(struct sqa_batch *b);
/* Longest of the given examples, rounded up to a multiple of `bucket` and cut at ds->length. */
int64_t sqa_dataset_batch_length(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                                 int64_t bucket);
/* Finds a data file: DIR of --data, $SEQARENA_DATA, ./data, then ../shared/data, in this order. Missing: one sentence
 * with the file, the places searched, where it is published and its SHA-256 (or, when it has blanks, what sha256
 * says: "MD5 ... of the archive"). published_at NULL: a file of the user's. path has room for 4096 bytes. */
enum sqa_status sqa_data_find(const struct sqa_task_env *env, const char *name, const char *published_at,
                              const char *sha256, char path[4096], struct sqa_err *err) SQA_MUST_CHECK;
/* Appends "DIR, DIR, DIR": where sqa_data_find looks. */
void sqa_data_places(const struct sqa_task_env *env, struct sqa_text *out);

#endif
