/*
 * reviews.h - labelled texts of two classes, as bytes: the aclImdb folders, and tables of label and text
 *
 * A text is kept without white space at its ends (as TFDS reads IMDb), and only its first `length` bytes; marks such
 * as <br /> stay. Empty texts, labels that are none and rows with another number of columns are refused with their
 * place, or left out and counted with skip_bad.
 */
#ifndef SQA_TASKS_REVIEWS_H
#define SQA_TASKS_REVIEWS_H

#include <stdbool.h>

#include "tasks/task.h"

enum { SQA_REVIEW_MAX = 1 << 16, SQA_REVIEW_FILE_MAX = 1 << 20 };

struct sqa_review {
    uint64_t where;  /* offset into sqa_reviews.bytes */
    uint32_t length; /* bytes kept, at least 1 */
    uint8_t label;   /* 0 negative, 1 positive */
};

/* All zero is empty; clear frees. */
struct sqa_reviews {
    struct sqa_review *review[SQA_SPLITS];
    size_t count[SQA_SPLITS], capacity[SQA_SPLITS];
    uint64_t hash[SQA_SPLITS]; /* over kept bytes and labels, in order */
    unsigned char *bytes;
    size_t used, room;
    size_t bad;          /* left out */
    char first_bad[200]; /* place and fault of the first of them */
};
void sqa_reviews_clear(struct sqa_reviews *set);

struct sqa_reviews_reading {
    size_t length;        /* bytes kept, 1 .. SQA_REVIEW_MAX */
    enum sqa_split split; /* where the texts go */
    double held_out;      /* of SQA_TRAIN: this share goes to SQA_VALID, by the hash of the whole text, so that equal
                             texts stay together */
    uint64_t seed;        /* of that hash */
    bool skip_bad;
    const struct sqa_task_env *env;
};

/* FOLDER/neg and FOLDER/pos, files ID_RATING.txt in numeric order, one of neg and one of pos in turn. Other names
 * that end in .txt are bad, what does not is passed over. */
enum sqa_status sqa_reviews_read_folder(const char *folder, const struct sqa_reviews_reading *how,
                                        struct sqa_reviews *set, struct sqa_err *err) SQA_MUST_CHECK;
/* label TAB text, a line each and no quoting; a name that ends in .csv: RFC 4180. Labels are 0, neg, negative and 1,
 * pos, positive. A first line that names the columns (label or sentiment; text or review) may turn their order. */
enum sqa_status sqa_reviews_read_table(const char *path, const struct sqa_reviews_reading *how,
                                       struct sqa_reviews *set, struct sqa_err *err) SQA_MUST_CHECK;
/* The same from memory; name stands in messages. (Fuzz target.) */
enum sqa_status sqa_reviews_read_bytes(const char *name, const void *data, size_t size,
                                       const struct sqa_reviews_reading *how, struct sqa_reviews *set,
                                       struct sqa_err *err) SQA_MUST_CHECK;

#endif
