/*
 * listops.h - tokens, values, random drawing and reading of ListOps expressions
 *
 * A list is a sequence of token ids without round brackets: a digit, or an operator, its arguments and the closing
 * bracket. MIN, MAX: smallest, largest; MED: median, the mean of the middle two when even, truncated; SM: sum mod 10.
 * Source: Nangia and Bowman 2018, arXiv 1804.06028; Tay et al. 2020, arXiv 2011.04006 (long-range-arena, listops.py).
 */
#ifndef SQA_TASKS_LISTOPS_H
#define SQA_TASKS_LISTOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tasks/task.h"

enum {
    SQA_LISTOPS_PAD = 0,
    SQA_LISTOPS_UNKNOWN = 1,
    SQA_LISTOPS_ZERO = 2, /* digit d is SQA_LISTOPS_ZERO + d */
    SQA_LISTOPS_MIN = 12,
    SQA_LISTOPS_MAX,
    SQA_LISTOPS_MED,
    SQA_LISTOPS_SM,
    SQA_LISTOPS_CLOSE,
    SQA_LISTOPS_VOCAB,
    SQA_LISTOPS_DEPTH = 256,      /* most operators inside one another */
    SQA_LISTOPS_LENGTH = 1 << 17, /* most tokens of a list */
};
extern const char *const sqa_listops_names[SQA_LISTOPS_VOCAB]; /* "", "?", "0", ..., "[MIN", ..., "]" */

/* The value 0 .. 9 of a whole list; false when tokens are not exactly one list, or nest deeper than
 * SQA_LISTOPS_DEPTH. No recursion. */
bool sqa_listops_evaluate(const uint8_t *tokens, size_t n, int *value);

struct sqa_listops_shape {
    int64_t min, max;  /* accepted: min < tokens < max */
    int64_t depth;     /* a node at this depth is a digit; the root has depth 1 */
    int64_t arguments; /* an operator has 2 .. arguments */
};

/* Draw number `draw` of the stream key: a whole tree from the root, as LRA draws it. Returns its length, or 0 when
 * that is outside the window. tokens has room for shape->max. *nodes grows by the nodes drawn (to bound the effort).
 * A pure function of (key, draw, shape). */
size_t sqa_listops_draw(uint64_t key, uint64_t draw, const struct sqa_listops_shape *shape, uint8_t *tokens,
                        uint64_t *nodes);

struct sqa_listops_example {
    uint64_t where;  /* number of the draw, or offset into sqa_listops_set.tokens */
    uint32_t length; /* tokens */
    uint8_t label;
};

/* Lists of a file, or of a generator when tokens is NULL. Clear frees. */
struct sqa_listops_set {
    struct sqa_listops_example *example[SQA_SPLITS];
    size_t count[SQA_SPLITS], capacity[SQA_SPLITS];
    uint8_t *tokens;
    size_t used, room;
    size_t left_out;           /* lists of files beyond the limit of their split */
    uint64_t hash[SQA_SPLITS]; /* over tokens and labels in order */
};
void sqa_listops_clear(struct sqa_listops_set *set);
/* Appends an example, whose tokens enter the hash only. SQA_OK or SQA_NOMEM. */
enum sqa_status sqa_listops_add(struct sqa_listops_set *set, enum sqa_split split, struct sqa_listops_example e,
                                const uint8_t *tokens, struct sqa_err *err) SQA_MUST_CHECK;

struct sqa_listops_reading {
    int64_t max;               /* longest list that is accepted */
    int64_t cut;               /* non-zero: longer lists lose their end instead of being refused */
    int64_t limit[SQA_SPLITS]; /* further lists of a split are checked and left out */
    int split;                 /* all lines go to this split; -1: 80:10:10 by the hash of the list */
    uint64_t seed;             /* of that hash */
    const struct sqa_task_env *env;
};
/* Appends the lists of a file in LRA's form ("Source<TAB>Target" first, then expression and value) or in the original
 * form (value, expression). Errors name the line. */
enum sqa_status sqa_listops_read(const char *path, const struct sqa_listops_reading *how, struct sqa_listops_set *set,
                                 struct sqa_err *err) SQA_MUST_CHECK;
/* The same from memory; name stands in messages. (Fuzz target.) */
enum sqa_status sqa_listops_read_bytes(const char *name, const void *data, size_t size,
                                       const struct sqa_listops_reading *how, struct sqa_listops_set *set,
                                       struct sqa_err *err) SQA_MUST_CHECK;

#endif
