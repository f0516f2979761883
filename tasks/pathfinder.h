/*
 * pathfinder.h - the generator of Pathfinder pictures, and the reader of released sets
 *
 * A picture holds two long dashed curves (targets), shorter ones (distractors) and two dots; the label says whether
 * both dots sit on the ends of one curve. A picture is a pure function of its shape and a 64-bit key.
 *
 * Source: Linsley et al. 2018 (arXiv 1805.08315), Kim et al. 2020 (ICLR); the procedure and its constants were read
 * in github.com/drewlinsley/pathfinder at its commit of December 2019 (snakes.py, snakes2.py, snakes2_wrapper.py),
 * the parameters of each size in lra_benchmarks/data/pathfinder.py of github.com/google-research/long-range-arena.
 */
#ifndef SQA_TASKS_PATHFINDER_H
#define SQA_TASKS_PATHFINDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"

enum { SQA_PATHFINDER_EASY, SQA_PATHFINDER_INTERMEDIATE, SQA_PATHFINDER_HARD, SQA_PATHFINDER_LEVELS };

struct sqa_pathfinder_shape {
    int size;                /* pixels a side */
    int padding;             /* border where no bar may lie */
    int length;              /* of a bar (a dash), pixels */
    int thickness2;          /* of a bar, half pixels */
    int margin[2], margins;  /* half the gap between bars: one of these is drawn for each picture */
    int seed_distance;       /* between the starts of the two targets */
    double continuity;       /* a turn by d has weight cos^2(min(continuity d, pi / 2)) */
    int radius2;             /* of a dot, half pixels */
    int target_contrast;     /* in percent of a dot's */
    int distractor_contrast; /* in percent of a dot's */
    int contour, distractor; /* bars of a target, of a distractor */
    int distractors;         /* wanted; fewer when they do not fit */
};

/* The published parameters. distractors below 0: as published, floor(paddles of the size / distractor). False: there
 * is no such size. */
bool sqa_pathfinder_shape(int size, int level, int distractors, struct sqa_pathfinder_shape *shape);

/* What the generator did for one picture. */
struct sqa_pathfinder_record {
    int label, margin;
    int bars[2];         /* of each target */
    int distractors;     /* curves that were placed */
    int distractor_bars; /* of all of them */
    int discarded;       /* pairs of targets given up before this one */
    int dot[2][2];       /* row, column of both dots: a tail, a head */
    int tail[2][2];      /* starts of both targets */
    int brightest;       /* largest value before stretching, a dot has 255 * 100 */
};

struct sqa_pathfinder; /* tables of a shape and room for one picture; used by one thread at a time */

struct sqa_pathfinder *sqa_pathfinder_create(const struct sqa_pathfinder_shape *shape); /* NULL: no memory */
void sqa_pathfinder_free(struct sqa_pathfinder *p);
/* Draws the picture of `key`: size x size gray values, row by row, background 0, the brightest 255. record may be
 * NULL. */
void sqa_pathfinder_draw(struct sqa_pathfinder *p, uint64_t key, uint8_t *pixels,
                         struct sqa_pathfinder_record *record);

/* The list of a released set: metadata files in order of their numbers, then lines in order. */
struct sqa_pathfinder_list {
    struct sqa_text names; /* "imgs/0/sample_1.png", each ends with 0 */
    uint32_t *at;          /* (n): where each name begins */
    uint8_t *label;        /* (n) */
    size_t n, capacity;
    int64_t contour, distractor; /* bars, as the first line says; 0: it does not */
};
/* Appends what the bytes of one metadata file list: lines of text, or a .npy array (n, fields) of strings. name is
 * for messages. Fuzz target. */
enum sqa_status sqa_pathfinder_metadata(const char *name, const void *bytes, size_t size,
                                        struct sqa_pathfinder_list *list, struct sqa_err *err) SQA_MUST_CHECK;
/* All of SET/metadata/NUMBER.npy. */
enum sqa_status sqa_pathfinder_read_list(const char *set, struct sqa_pathfinder_list *list,
                                         struct sqa_err *err) SQA_MUST_CHECK;
void sqa_pathfinder_list_clear(struct sqa_pathfinder_list *list);

#endif
