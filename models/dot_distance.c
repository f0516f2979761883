/*
 * dot_distance.c - guesses the label of a Pathfinder picture from the distance of its two dots alone
 *
 * Computes  the two places where the darkest pixel under a disc is brightest; label = argmax_c of the training
 *           pictures whose dots are as far apart, in steps of 1/32 of a side; a step never seen: the majority
 * Shapes    labels (n)
 * Cost      O(pixels x disc)
 * Source    a floor: the dots of one curve are about a curve's length apart, those of two curves need not be
 * Departs   nothing; radii of the dots are Pathfinder's (tasks/pathfinder_grow.c), chosen by the side of the picture
 */
#include <math.h>
#include <string.h>

#include "models/variant.h"

enum { STEPS = 48, DISC = 128 };

struct self {
    int64_t vocab, classes, side;
    double radius;
    int cells;              /* of the disc without its rim */
    int dy[DISC], dx[DISC]; /* the middle first */
    int64_t *count;         /* (STEPS + 1, classes); the last row counts all */
};

static int64_t side_of(int64_t length)
{
    const int64_t side = (int64_t)lround(sqrt((double)length));
    return side * side == length && side >= 8 ? side : 0;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)self;
    (void)frame;
    if (task->kind == SQA_CLASSIFY && side_of(task->length) &&
        (task->vocab == 257 || (task->vocab == 0 && task->channels == 1)))
        return SQA_OK;
    return sqa_fail(err, SQA_UNSUPPORTED,
                    "dot_distance: it looks for two dots in square pictures of gray pixels (257 "
                    "ids, or one real channel); for other labels take majority");
}

static enum sqa_status begin(void *self, const struct sqa_signature *task, struct sqa_arena *arena,
                             struct sqa_err *err)
{
    struct self *s = self;
    const enum sqa_status status = check(self, NULL, task, err);
    if (status != SQA_OK)
        return status;
    s->vocab = task->vocab;
    s->classes = task->classes;
    s->side = side_of(task->length);
    s->radius = s->side <= 32 ? 1.5 : s->side <= 64 ? 2.5 : s->side <= 128 ? 3 : 5;
    const double core = s->radius - 0.5;
    s->cells = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int y = -5; y <= 5; y++)
            for (int x = -5; x <= 5; x++)
                if ((y == 0 && x == 0) == (pass == 0) && y * y + x * x <= core * core) {
                    s->dy[s->cells] = y;
                    s->dx[s->cells++] = x;
                }
    s->count = sqa_arena_alloc(arena, (size_t)(STEPS + 1) * (size_t)task->classes * sizeof *s->count);
    return s->count ? SQA_OK
                    : sqa_fail(err, SQA_NOMEM, "dot_distance: no memory for %lld classes; free some memory",
                               (long long)task->classes);
}

static double gray(const struct self *s, const struct sqa_batch *b, int64_t row, int64_t y, int64_t x)
{
    const int64_t at = row * b->length + y * s->side + x;
    return s->vocab ? (b->tokens[at] - 1) / 255.0 : b->x[at];
}

/* How much of a dot lies at (y, x): the darkest pixel under the disc, then their mean where dots tie. */
static double dotness(const struct self *s, const struct sqa_batch *b, int64_t row, int64_t y, int64_t x,
                      double enough)
{
    double least = HUGE_VAL, sum = 0;
    for (int i = 0; i < s->cells && least > enough; i++) {
        const int64_t r = y + s->dy[i], c = x + s->dx[i];
        const double v = r >= 0 && r < s->side && c >= 0 && c < s->side ? gray(s, b, row, r, c) : HUGE_VAL;
        least = v < least ? v : least;
        sum += isfinite(v) ? v : 1;
    }
    return least + 1e-3 * sum / s->cells;
}

static int64_t distance(const struct self *s, const struct sqa_batch *b, int64_t row)
{
    double at[2][2] = {{0}};
    for (int dot = 0; dot < 2; dot++) {
        double best = -HUGE_VAL;
        for (int64_t y = 0; y < s->side; y++)
            for (int64_t x = 0; x < s->side; x++) {
                if (dot == 1 && hypot((double)y - at[0][0], (double)x - at[0][1]) < s->radius + 0.75)
                    continue;
                const double value = dotness(s, b, row, y, x, best - 2e-3);
                if (value > best) {
                    best = value;
                    at[dot][0] = (double)y;
                    at[dot][1] = (double)x;
                }
            }
    }
    const double apart = hypot(at[0][0] - at[1][0], at[0][1] - at[1][1]) * 32 / (double)s->side;
    return apart < STEPS - 1 ? (int64_t)apart : STEPS - 1;
}

static enum sqa_status see(void *self, const struct sqa_batch *b, struct sqa_err *err)
{
    struct self *s = self;
    for (int64_t i = 0; i < b->n; i++) {
        const int32_t label = b->labels[i];
        if (label < 0 || label >= s->classes || b->length < s->side * s->side)
            return sqa_fail(err, SQA_INPUT, "dot_distance: label %d of %lld classes, %lld pixels; check the data",
                            (int)label, (long long)s->classes, (long long)b->length);
        s->count[distance(s, b, i) * s->classes + label]++;
        s->count[STEPS * s->classes + label]++;
    }
    return SQA_OK;
}

static int64_t best(const struct self *s, int64_t row)
{
    const int64_t *count = s->count + row * s->classes;
    int64_t k = 0;
    for (int64_t c = 1; c < s->classes; c++)
        if (count[c] > count[k])
            k = c;
    return count[k] == 0 && row < STEPS ? best(s, STEPS) : k;
}

static enum sqa_status predict(void *self, const struct sqa_batch *b, int32_t *labels, double *forecast,
                               struct sqa_err *err)
{
    const struct self *s = self;
    (void)forecast;
    if (b->length < s->side * s->side)
        return sqa_fail(err, SQA_SHAPE, "dot_distance: %lld pixels instead of %lld; give whole pictures",
                        (long long)b->length, (long long)(s->side * s->side));
    for (int64_t i = 0; i < b->n; i++)
        labels[i] = (int32_t)best(s, distance(s, b, i));
    return SQA_OK;
}

const struct sqa_variant sqa_variant_dot_distance = {
    .id = "dot_distance",
    .slot = SQA_SLOT_FLOOR,
    .title = "Best guess from the distance of the two dots",
    .source = "a floor",
    .complexity = "O(L) time",
    .help =
        "Finds the two dots of a Pathfinder picture in its pixels and looks up which label training pictures with "
        "dots as far apart mostly had. Short curves (easy) give something away, long ones hardly.",
    .self_size = sizeof(struct self),
    .check = check,
    .begin = begin,
    .see = see,
    .predict = predict,
};
