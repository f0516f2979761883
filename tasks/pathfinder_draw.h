/*
 * pathfinder_draw.h - bars and dots of Pathfinder pictures, drawn once at twice the size and shrunk
 *
 * The original draws at antialias scale 2 and shrinks with Pillow's Lanczos filter; so do these, with 8 bits between
 * the two passes as Pillow has for 8-bit images.
 */
#ifndef SQA_TASKS_PATHFINDER_DRAW_H
#define SQA_TASKS_PATHFINDER_DRAW_H

#include <stdint.h>

enum {
    SQA_STAMP_HALF = 10,                     /* largest half side of a stamp */
    SQA_STAMP_SIDE = 2 * SQA_STAMP_HALF + 1, /* 21 */
    SQA_TAPS = 14,
};

/* Source cells of one cell of the shrunk picture and their weights, which sum to 1. */
struct sqa_taps {
    int first, n;
    double weight[SQA_TAPS];
};
/* taps[0 .. to) for shrinking `from` cells to `to`, from at most 2 to. */
void sqa_lanczos_taps(int from, int to, struct sqa_taps *taps);

/* One bar that begins in the middle of a square of side 2 half + 1, and the same bar fattened by a disc. */
struct sqa_stamp {
    uint8_t bar[SQA_STAMP_SIDE * SQA_STAMP_SIDE], mask[SQA_STAMP_SIDE * SQA_STAMP_SIDE]; /* rows of 2 half + 1 */
};
/* length and margin in pixels, thickness2 in half pixels; angle in radians, rows grow downwards with its sine. half
 * is length + margin + thickness, rounded up. */
void sqa_stamp_draw(int half, int length, int thickness2, int margin, double angle, struct sqa_stamp *stamp);

/* A disc about the cell (row, column) of a picture of `size` cells a side. taps: for shrinking 2 size to size.
 * Combined with the picture by maximum, times contrast (in percent). */
void sqa_disc_draw(const struct sqa_taps *taps, int size, int row, int column, int radius2, uint16_t *picture,
                   int contrast);

#endif
