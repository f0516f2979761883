/*
 * documents.h - pairs of documents in the tab-separated files of Long Range Arena's AAN
 *
 * A line is label, id 1, id 2, text 1, text 2, with tabs between them: no header, quote marks are ordinary bytes, a
 * line ends with LF (a CR before it goes, others stay), the label is a number that is 0 or 1. The files are of some
 * gigabytes: reading streams, and of each text only the place and the length of its first `length` bytes are kept.
 */
#ifndef SQA_TASKS_DOCUMENTS_H
#define SQA_TASKS_DOCUMENTS_H

#include <stdbool.h>

#include "tasks/task.h"

struct sqa_document_pair {
    uint64_t where[2];  /* offset of each text in the file */
    uint32_t length[2]; /* bytes kept of it, at least 1 */
    uint8_t label;      /* 1: one cites the other */
    uint8_t file;       /* as sqa_documents_reading says */
};

/* All zero is empty; clear frees. */
struct sqa_documents {
    struct sqa_document_pair *pair[SQA_SPLITS];
    size_t count[SQA_SPLITS], capacity[SQA_SPLITS];
    uint64_t hash[SQA_SPLITS]; /* over kept bytes and labels, in order */
    size_t bad;                /* left out */
    char first_bad[200];       /* place and fault of the first of them */
};
void sqa_documents_clear(struct sqa_documents *set);

struct sqa_documents_reading {
    size_t length; /* bytes kept of a text, at least 1 */
    int split;     /* all lines go to this split; -1: 80:10:10 by the hash of the two ids, whatever their order */
    uint64_t seed; /* of that hash */
    uint8_t file;  /* number that the pairs get */
    bool skip_bad;
    const struct sqa_task_env *env;
};

/* Appends the pairs of a file. Errors name the line. */
enum sqa_status sqa_documents_read(const char *path, const struct sqa_documents_reading *how,
                                   struct sqa_documents *set, struct sqa_err *err) SQA_MUST_CHECK;
/* The same from memory, `chunk` bytes at a time; name stands in messages. (Fuzz target.) */
enum sqa_status sqa_documents_read_bytes(const char *name, const void *data, size_t size, size_t chunk,
                                         const struct sqa_documents_reading *how, struct sqa_documents *set,
                                         struct sqa_err *err) SQA_MUST_CHECK;

#endif
