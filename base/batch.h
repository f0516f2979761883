/*
 * batch.h - what passes from tasks to models: plain arrays
 *
 * Integers are int32; reals are double here and become the engine's type where they enter a graph. Padding is on the
 * right. Which arrays are set depends on the kind of task; the others are NULL.
 */
#ifndef SQA_BASE_BATCH_H
#define SQA_BASE_BATCH_H

#include <stdint.h>

enum sqa_task_kind {
    SQA_CLASSIFY, /* tokens or x, lengths -> labels */
    SQA_FORECAST, /* x -> y */
    SQA_TAG,      /* tokens, lengths -> a label at each position, or at some */
    SQA_PAIR,     /* two sequences of tokens, lengths -> labels */
};

enum { SQA_CALENDAR = 5 }; /* numbers of a row's date: month, day, weekday, hour, quarter of the hour */

enum sqa_split { SQA_TRAIN, SQA_VALID, SQA_TEST, SQA_SPLITS };

struct sqa_batch {
    int64_t n;           /* examples that are real; of pairs each is two rows of tokens */
    int64_t length;      /* positions a row, padding included */
    int64_t channels;    /* of x; 0 for tokens */
    int64_t horizon;     /* rows of y to forecast; 0 for labels */
    int64_t outputs;     /* channels of y */
    int32_t *tokens;     /* (n, length); 0 is padding; pairs: (2 n, length), example i is rows 2 i and 2 i + 1 */
    int32_t *lengths;    /* (n), pairs (2 n): valid positions of each row */
    int32_t *labels;     /* (n), or (n, length) for tags: 0 .. classes - 1; tags: -1 where a position has none */
    double *x;           /* (n, length, channels): look-back window, standardised; to classify: 0 in padding */
    double *y;           /* (n, horizon, outputs): what to forecast, standardised */
    int64_t mark_count;  /* features of a row's time; 0: the rows have none */
    double *marks;       /* (n, length + horizon, mark_count): of the rows of x, then of y */
    int32_t *calendar;   /* (n, length + horizon, SQA_CALENDAR): likewise; NULL without times */
    double *units;       /* (n, outputs, 3): a standardised value v is v * [1] + [0] in the units of the data; [2] is
                            the mean absolute error there of the seasonal naive forecast within the rows to train on */
    const double *past;  /* see floors: NULL, or for row i the `past_length` rows before the end of x[i] start at
                            past + past_start[i] * channels (history longer than the look-back) */
    int64_t *past_start; /* (n): row in past where the history of row i begins */
    int64_t *past_count; /* (n): rows of history, look-back included */
    uint32_t *index;     /* (n): which examples of the split these are */
};

/* Rows of tokens of an example. */
static inline int64_t sqa_rows_an_example(enum sqa_task_kind kind)
{
    return kind == SQA_PAIR ? 2 : 1;
}

/* Places for labels in a row of a batch. */
static inline int64_t sqa_labels_a_row(enum sqa_task_kind kind, int64_t length)
{
    return kind == SQA_TAG ? length : 1;
}

#endif
