/*
 * pathfinder_draw.c - see pathfinder_draw.h
 *
 * Departs from the original in one thing: bars of 2 to 4 half pixels are the cells whose middle lies in the rectangle
 * about the axis, while Pillow fills a polygon with rounded corners of its own; a bar of 1 is the same line.
 */
#include "tasks/pathfinder_draw.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BLOWN_HALF = 2 * SQA_STAMP_HALF, BLOWN = 2 * BLOWN_HALF + 1 };

static double lanczos(double x)
{
    const double t = M_PI * x;
    if (fabs(x) >= 3)
        return 0;
    return fabs(x) < 1e-12 ? 1 : sin(t) / t * sin(t / 3) / (t / 3);
}

void sqa_lanczos_taps(int from, int to, struct sqa_taps *taps)
{
    const double scale = (double)from / to;
    for (int o = 0; o < to; o++) {
        struct sqa_taps *t = &taps[o];
        const double middle = (o + 0.5) * scale;
        const double low = middle - 3 * scale + 0.5, high = middle + 3 * scale + 0.5;
        double sum = 0;
        t->first = low > 0 ? (int)low : 0;
        t->n = (high < from ? (int)high : from) - t->first;
        for (int i = 0; i < t->n; i++) {
            t->weight[i] = lanczos((t->first + i + 0.5 - middle) / scale);
            sum += t->weight[i];
        }
        for (int i = 0; i < t->n; i++)
            t->weight[i] /= sum;
    }
}

static uint8_t to_byte(double v)
{
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5);
}

/* (from, from) of 0 or 255 -> (to, to): rows first, then columns. */
static void shrink(const uint8_t *blown, int from, int to, const struct sqa_taps *taps, uint8_t *out)
{
    uint8_t middle[BLOWN][SQA_STAMP_SIDE];
    for (int y = 0; y < from; y++)
        for (int x = 0; x < to; x++) {
            double sum = 0;
            for (int i = 0; i < taps[x].n; i++)
                sum += taps[x].weight[i] * blown[y * from + taps[x].first + i];
            middle[y][x] = to_byte(sum);
        }
    for (int y = 0; y < to; y++)
        for (int x = 0; x < to; x++) {
            double sum = 0;
            for (int i = 0; i < taps[y].n; i++)
                sum += taps[y].weight[i] * middle[taps[y].first + i][x];
            out[y * to + x] = to_byte(sum);
        }
}

/* Cells of the line from (0, 0) to (y, x): one a step of the longer axis, halves rounded away from the start. */
static bool on_line(int row, int column, int y, int x)
{
    const int longer = abs(y) > abs(x) ? abs(y) : abs(x);
    for (int i = 0; i <= longer; i++) {
        const int dy = longer ? (2 * i * abs(y) + longer) / (2 * longer) : 0;
        const int dx = longer ? (2 * i * abs(x) + longer) / (2 * longer) : 0;
        if (row == (y < 0 ? -dy : dy) && column == (x < 0 ? -dx : dx))
            return true;
    }
    return false;
}

static bool in_rectangle(int row, int column, int y, int x, int width)
{
    const double length = hypot(y, x);
    const double along = (row * y + column * x) / length, across = (row * x - column * y) / length;
    return along > -1e-9 && along < length + 1e-9 && across >= -0.5 * width - 1e-9 && across < 0.5 * width - 1e-9;
}

void sqa_stamp_draw(int half, int length, int thickness2, int margin, double angle, struct sqa_stamp *stamp)
{
    const int side = 2 * half + 1, blown_half = 2 * half, blown_side = 2 * blown_half + 1, fat = 2 * margin;
    const int y = (int)ceil(blown_half + 2 * length * sin(angle)) - blown_half;
    const int x = (int)ceil(blown_half + 2 * length * cos(angle)) - blown_half;
    uint8_t bar[BLOWN * BLOWN] = {0}, mask[BLOWN * BLOWN] = {0};
    struct sqa_taps taps[SQA_STAMP_SIDE];
    sqa_lanczos_taps(blown_side, side, taps);
    for (int row = -blown_half; row <= blown_half; row++)
        for (int column = -blown_half; column <= blown_half; column++) {
            if (!(thickness2 == 1 ? on_line(row, column, y, x) : in_rectangle(row, column, y, x, thickness2)))
                continue;
            bar[(row + blown_half) * blown_side + column + blown_half] = 255;
            for (int dy = -fat; dy <= fat; dy++)
                for (int dx = -fat; dx <= fat; dx++) {
                    const int r = row + dy + blown_half, c = column + dx + blown_half;
                    if (dy * dy + dx * dx <= fat * fat && r >= 0 && r < blown_side && c >= 0 && c < blown_side)
                        mask[r * blown_side + c] = 255;
                }
        }
    shrink(bar, blown_side, side, taps, stamp->bar);
    shrink(mask, blown_side, side, taps, stamp->mask);
}

void sqa_disc_draw(const struct sqa_taps *taps, int size, int row, int column, int radius2, uint16_t *picture,
                   int contrast)
{
    enum { REACH = 9, RADIUS = 10 };
    uint8_t middle[2 * RADIUS + 1][2 * REACH + 1]; /* source rows of the disc, shrunk columns about it */
    const int reach = (radius2 + 1) / 2 + 4 < REACH ? (radius2 + 1) / 2 + 4 : REACH;
    const int top = row > reach ? row - reach : 0, bottom = row + reach < size - 1 ? row + reach : size - 1;
    const int left = column > reach ? column - reach : 0;
    const int right = column + reach < size - 1 ? column + reach : size - 1;
    for (int dy = -radius2; dy <= radius2; dy++)
        for (int x = left; x <= right; x++) {
            double sum = 0;
            for (int i = 0; i < taps[x].n; i++) {
                const int dx = taps[x].first + i - 2 * column;
                sum += dx * dx + dy * dy <= radius2 * radius2 ? taps[x].weight[i] * 255 : 0;
            }
            middle[dy + radius2][x - left] = to_byte(sum);
        }
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            double sum = 0;
            for (int i = 0; i < taps[y].n; i++) {
                const int dy = taps[y].first + i - 2 * row;
                sum += abs(dy) <= radius2 ? taps[y].weight[i] * middle[dy + radius2][x - left] : 0;
            }
            const uint16_t value = (uint16_t)(to_byte(sum) * contrast);
            if (value > picture[y * size + x])
                picture[y * size + x] = value;
        }
}
