/*
 * pathfinder_grow.c - where the curves of a Pathfinder picture run
 *
 * Computes  two targets grown bar by bar in turn, then distractors, then two dots; see sqa_pathfinder_draw
 * Source    drewlinsley/pathfinder: the order of draws, tests and retries, the thresholds 0.3, 1.8 and 0.0001, the
 *           limits on retries; its slips are kept because the released sets have them: the footprint of a first bar
 *           is taken one row and one column beside the bar, the second target's first bar is tested against nothing,
 *           and the last bar of the first target never becomes occupied, so distractors may cross it
 * Departs   the margin of the occupancy is kept in 255ths as the original's 8-bit shrinking makes it; random numbers
 *           are Philox, keyed by the picture; bars see pathfinder_draw.c. The picture is stretched from 0 .. its
 *           brightest value to 0 .. 255, as scipy.misc.imsave did when the released sets were made: so the contrasts
 *           above 1 of size 32 are not cut, they make the rest darker. (The repository's newer code saves with
 *           Pillow, which cannot store such pictures, and divides dots by 255 twice; it made no released set.)
 *           The numbers of distractors of easy and intermediate are not published: the docstring's formula is used
 *           with the level's own distractor length, so all levels have about the same number of distractor bars.
 */
#include "tasks/pathfinder.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "tasks/pathfinder_draw.h"

enum {
    SIZE = 256,
    WORDS = SIZE / 64,
    DEGREES = 360,
    STEPS = 128, /* more than the cells of the largest circle of candidates */
    DISC = 32,   /* cells of a disc of radius 3: 29 */
    BARS = 16,   /* more than the longest target */
    RETRIES = 2, /* of a bar */
    CURVE_RETRIES = 4,
    TAKEN = 77,     /* occupied: above 0.3 of 255 */
    COLLIDES = 459, /* 1.8 of 255 */
    DOT_CONTRAST = 100,
};

static const double pi = 3.14159265358979323846;

/* A direction that a bar can have: a whole degree for a first bar, that of a candidate cell for the others. */
struct direction {
    double angle, sine, cosine;
};

struct cell {
    int y, x;
};

/* Everything that depends on the margin. */
struct tables {
    int margin, half, steps, disc_cells;
    struct direction direction[DEGREES + STEPS];
    struct cell step[STEPS]; /* from pivot to candidate head */
    struct cell disc[DISC];
    struct cell *footprint; /* cells of each first bar, taken together */
    int footprint_at[DEGREES + 1];
    struct sqa_stamp *stamp; /* DEGREES first bars from the tail, then `steps` from the head backwards */
    double *weight;          /* (DEGREES + steps, steps): of each candidate after each direction */
};

struct bar {
    const struct sqa_stamp *stamp;
    int y, x;
};

struct curve {
    struct bar bar[BARS];
    int bars, direction;
    struct cell pivot, tail, head;
};

typedef uint64_t bitmap[SIZE][WORDS];

struct sqa_pathfinder {
    struct sqa_pathfinder_shape shape;
    struct tables table[2];
    struct sqa_taps taps[SIZE]; /* for shrinking dots */
    struct sqa_random random;
    uint8_t *occupied, *saved, *empty; /* (size, size) */
    uint16_t *picture;                 /* (size, size) */
    bitmap empty_taken, taken;         /* where the first target, where a distractor cannot begin */
};

bool sqa_pathfinder_shape(int size, int level, int distractors, struct sqa_pathfinder_shape *shape)
{
    static const int contours[SQA_PATHFINDER_LEVELS] = {6, 9, 14};
    /* From the docstrings of LRA's data set builders; what they leave out has the default of the original's wrapper.
     * contour and distractor come from the level; distractors holds the number of bars that are shared out. */
    static const struct sqa_pathfinder_shape published[] = {
        {32, 1, 2, 1, {1}, 1, 7, 1.0, 3, 150, 200, 0, 0, 20},
        {64, 1, 5, 2, {1}, 1, 12, 1.8, 5, 80, 80, 0, 0, 22},
        {128, 1, 5, 3, {2, 3}, 2, 20, 1.8, 6, 90, 90, 0, 0, 35},
        {256, 22, 5, 4, {3}, 1, 27, 1.8, 10, 100, 100, 0, 0, 30},
    };
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        if (published[i].size == size) {
            *shape = published[i];
            shape->contour = contours[level];
            shape->distractor = shape->contour / 3;
            shape->distractors = distractors < 0 ? shape->distractors / shape->distractor : distractors;
            return true;
        }
    return false;
}

static struct direction direction_of(double angle)
{
    return (struct direction){angle, sin(angle), cos(angle)};
}

/* The cell at a distance, coordinates rounded up as the original rounds. */
static struct cell beside(struct cell from, const struct direction *d, int distance)
{
    return (struct cell){(int)ceil(from.y + distance * d->sine), (int)ceil(from.x + distance * d->cosine)};
}

/* Distinct cells of the circle of radius length + margin, one sample a pixel of arc. */
static void make_steps(struct tables *t, int length)
{
    const int radius = length + t->margin;
    const double degrees = 360 / (2 * radius * pi);
    for (int i = 0; i * degrees < 360; i++) {
        const double angle = i * degrees * pi / 180;
        const struct cell c = {(int)floor(SIZE + radius * sin(angle)) - SIZE,
                               (int)floor(SIZE + radius * cos(angle)) - SIZE};
        int seen = 0;
        while (seen < t->steps && (t->step[seen].y != c.y || t->step[seen].x != c.x))
            seen++;
        if (seen < t->steps || t->steps == STEPS)
            continue;
        t->step[t->steps] = c;
        t->direction[DEGREES + t->steps] = direction_of(atan2(c.y, c.x));
        t->steps++;
    }
}

/* Cells that a first bar covers fully, beside its tail; the square they are looked for in is the original's. */
static bool make_footprints(struct tables *t, int length)
{
    const int side = 2 * t->half + 1, reach = length + t->margin;
    t->footprint = sqa_alloc_array((size_t)(DEGREES * side * side), sizeof *t->footprint);
    int n = 0;
    for (int degree = 0; degree < DEGREES && t->footprint; degree++) {
        t->footprint_at[degree] = n;
        for (int y = -t->half; y <= t->half; y++)
            for (int x = -t->half; x <= t->half; x++)
                if (t->stamp[degree].mask[(y + t->half) * side + x + t->half] == 255 && y + 1 <= reach &&
                    x + 1 <= reach && y + 1 >= -reach && x + 1 >= -reach)
                    t->footprint[n++] = (struct cell){y + 1, x + 1};
    }
    t->footprint_at[DEGREES] = n;
    return t->footprint != NULL;
}

static double weight_of(double from, double to, double continuity)
{
    const double apart = fabs(to - from), turn = continuity * (apart < 2 * pi - apart ? apart : 2 * pi - apart);
    return turn < pi / 2 ? cos(turn) * cos(turn) : 0;
}

static bool make_tables(struct tables *t, const struct sqa_pathfinder_shape *shape, int margin)
{
    t->margin = margin;
    t->half = shape->length + (shape->thickness2 + 1) / 2 + margin;
    make_steps(t, shape->length);
    for (int y = -margin; y <= margin; y++)
        for (int x = -margin; x <= margin; x++)
            if (y * y + x * x <= margin * margin)
                t->disc[t->disc_cells++] = (struct cell){y, x};
    t->stamp = sqa_alloc_array((size_t)(DEGREES + t->steps), sizeof *t->stamp);
    if (!t->stamp)
        return false;
    for (int i = 0; i < DEGREES + t->steps; i++) {
        if (i < DEGREES)
            t->direction[i] = direction_of((i - 180) * pi / 180);
        const double angle = t->direction[i].angle;
        const double drawn = i < DEGREES ? angle : angle < 0 ? angle + pi : angle - pi;
        sqa_stamp_draw(t->half, shape->length, shape->thickness2, margin, drawn, &t->stamp[i]);
    }
    t->weight = sqa_alloc_array((size_t)((DEGREES + t->steps) * t->steps), sizeof *t->weight);
    for (int i = 0; i < DEGREES + t->steps && t->weight; i++)
        for (int k = 0; k < t->steps; k++)
            t->weight[i * t->steps + k] =
                weight_of(t->direction[i].angle, t->direction[DEGREES + k].angle, shape->continuity);
    return t->weight && make_footprints(t, shape->length);
}

/* Sets bits of the occupied cells and of a border of `band` cells. Returns the number of free cells, border aside. */
static int map_taken(const uint8_t *occupied, int n, int band, bitmap taken)
{
    int free_cells = 0;
    for (int y = 0; y < n; y++) {
        memset(taken[y], 0, sizeof taken[y]);
        for (int x = 0; x < n; x++) {
            const bool is_taken = occupied[y * n + x] >= TAKEN;
            const bool border = y < band || y >= n - band || x < band || x >= n - band;
            free_cells += !is_taken;
            taken[y][x / 64] |= (uint64_t)(is_taken || border) << x % 64;
        }
    }
    return free_cells;
}

static void make_empty(struct sqa_pathfinder *p)
{
    const int n = p->shape.size, border = p->shape.padding;
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++)
            p->empty[y * n + x] = y < border || y >= n - border || x < border || x >= n - border ? 255 : 0;
    map_taken(p->empty, n, 2 * p->shape.seed_distance, p->empty_taken);
}

struct sqa_pathfinder *sqa_pathfinder_create(const struct sqa_pathfinder_shape *shape)
{
    struct sqa_pathfinder *p = sqa_alloc(sizeof *p);
    const size_t cells = (size_t)shape->size * (size_t)shape->size;
    if (!p)
        return NULL;
    p->shape = *shape;
    p->occupied = sqa_alloc(cells);
    p->saved = sqa_alloc(cells);
    p->empty = sqa_alloc(cells);
    p->picture = sqa_alloc_array(cells, sizeof *p->picture);
    bool ok = p->occupied && p->saved && p->empty && p->picture;
    for (int m = 0; m < shape->margins && ok; m++)
        ok = make_tables(&p->table[m], shape, shape->margin[m]);
    sqa_lanczos_taps(2 * shape->size, shape->size, p->taps);
    if (!ok) {
        sqa_pathfinder_free(p);
        return NULL;
    }
    make_empty(p);
    return p;
}

void sqa_pathfinder_free(struct sqa_pathfinder *p)
{
    if (!p)
        return;
    for (int m = 0; m < 2; m++) {
        sqa_free(p->table[m].stamp);
        sqa_free(p->table[m].footprint);
        sqa_free(p->table[m].weight);
    }
    sqa_free(p->occupied);
    sqa_free(p->saved);
    sqa_free(p->empty);
    sqa_free(p->picture);
    sqa_free(p);
}

static bool inside(const struct sqa_pathfinder *p, struct cell c)
{
    return c.y >= 0 && c.y < p->shape.size && c.x >= 0 && c.x < p->shape.size;
}

/* The part of a stamp that lies in the picture: rows and columns, from first to last. */
struct window {
    int top, bottom, left, right;
};
static struct window window_of(const struct sqa_pathfinder *p, const struct tables *t, const struct bar *b)
{
    const int last = p->shape.size - 1;
    return (struct window){b->y > t->half ? b->y - t->half : 0, b->y + t->half < last ? b->y + t->half : last,
                           b->x > t->half ? b->x - t->half : 0, b->x + t->half < last ? b->x + t->half : last};
}

static bool collides(const struct sqa_pathfinder *p, const struct tables *t, const struct bar *b)
{
    const struct window w = window_of(p, t, b);
    const int side = 2 * t->half + 1;
    for (int y = w.top; y <= w.bottom; y++) {
        const uint8_t *occupied = p->occupied + y * p->shape.size;
        const uint8_t *mask = b->stamp->mask + (y - b->y + t->half) * side + t->half - b->x;
        for (int x = w.left; x <= w.right; x++)
            if (occupied[x] + mask[x] >= COLLIDES)
                return true;
    }
    return false;
}

static void occupy(struct sqa_pathfinder *p, const struct tables *t, const struct bar *b)
{
    const struct window w = window_of(p, t, b);
    const int side = 2 * t->half + 1;
    for (int y = w.top; y <= w.bottom; y++) {
        uint8_t *occupied = p->occupied + y * p->shape.size;
        const uint8_t *mask = b->stamp->mask + (y - b->y + t->half) * side + t->half - b->x;
        for (int x = w.left; x <= w.right; x++)
            occupied[x] = mask[x] > occupied[x] ? mask[x] : occupied[x];
    }
}

static void draw_curve(struct sqa_pathfinder *p, const struct tables *t, const struct curve *c, int contrast)
{
    const int side = 2 * t->half + 1;
    for (int i = 0; i < c->bars; i++) {
        const struct bar *b = &c->bar[i];
        const struct window w = window_of(p, t, b);
        for (int y = w.top; y <= w.bottom; y++) {
            uint16_t *picture = p->picture + y * p->shape.size;
            const uint8_t *bar = b->stamp->bar + (y - b->y + t->half) * side + t->half - b->x;
            for (int x = w.left; x <= w.right; x++) {
                const uint16_t value = (uint16_t)(bar[x] * contrast);
                picture[x] = value > picture[x] ? value : picture[x];
            }
        }
    }
}

/* Word w of a row moved by `by` columns: bit x of the answer is bit x + by of the row. */
static uint64_t moved(const uint64_t *row, int words, int w, int by)
{
    const int whole = by >= 0 ? by / 64 : -((63 - by) / 64), bits = by - 64 * whole;
    const int low = w + whole, high = low + 1;
    const uint64_t a = low >= 0 && low < words ? row[low] : 0, b = high >= 0 && high < words ? row[high] : 0;
    return bits ? a >> bits | b << (64 - bits) : a;
}

/* A free cell, all alike, for the tail of a first bar of this direction; false: there is none. */
static bool find_tail(struct sqa_pathfinder *p, const struct tables *t, bitmap taken, int direction,
                      struct cell *tail)
{
    const int n = p->shape.size, words = (n + 63) / 64;
    const uint64_t all = n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0;
    bitmap fits;
    uint64_t count = 0;
    for (int y = 0; y < n; y++)
        for (int w = 0; w < words; w++) {
            uint64_t hit = 0;
            for (int i = t->footprint_at[direction]; i < t->footprint_at[direction + 1] && (hit & all) != all; i++) {
                const int row = y + t->footprint[i].y;
                if (row >= 0 && row < n)
                    hit |= moved(taken[row], words, w, t->footprint[i].x);
            }
            fits[y][w] = ~hit & all;
            count += (uint64_t)__builtin_popcountll(fits[y][w]);
        }
    if (count == 0)
        return false;
    uint64_t chosen = sqa_random_next_below(&p->random, count);
    for (int y = 0; y < n; y++)
        for (int w = 0; w < words; w++) {
            const uint64_t here = (uint64_t)__builtin_popcountll(fits[y][w]);
            if (chosen >= here) {
                chosen -= here;
                continue;
            }
            uint64_t bits = fits[y][w];
            for (; chosen > 0; chosen--)
                bits &= bits - 1;
            *tail = (struct cell){y, 64 * w + __builtin_ctzll(bits)};
            return true;
        }
    return false;
}

/* The first bar of a curve; false when its head or pivot would lie outside. */
static bool begin_curve(const struct sqa_pathfinder *p, const struct tables *t, struct cell tail, int direction,
                        struct curve *c)
{
    const struct direction *d = &t->direction[direction];
    const struct direction back = direction_of(d->angle < 0 ? d->angle + pi : d->angle - pi);
    const struct cell head = beside(tail, d, p->shape.length);
    const struct cell pivot = beside(head, &back, p->shape.length + t->margin);
    if (!inside(p, head) || !inside(p, pivot))
        return false;
    *c = (struct curve){.bars = 1, .direction = direction, .pivot = pivot, .tail = tail, .head = head};
    c->bar[0] = (struct bar){&t->stamp[direction], tail.y, tail.x};
    return true;
}

/* A first bar where it fits. */
static bool seed_curve(struct sqa_pathfinder *p, const struct tables *t, bitmap taken, struct curve *c)
{
    for (int trial = 0; trial <= RETRIES; trial++) {
        const int direction = (int)sqa_random_next_below(&p->random, DEGREES);
        struct cell tail;
        if (!find_tail(p, t, taken, direction, &tail))
            return false;
        if (begin_curve(p, t, tail, direction, c))
            return true;
    }
    return false;
}

/* The start of the second target, at the seed distance from the first. */
static bool seed_second(struct sqa_pathfinder *p, const struct tables *t, struct cell first, struct curve *c)
{
    for (int trial = 0; trial <= RETRIES; trial++) {
        const int direction = (int)sqa_random_next_below(&p->random, DEGREES);
        const double angle = (double)sqa_random_next_below(&p->random, DEGREES) * pi / 180;
        const struct cell tail = {(int)rint(first.y + p->shape.seed_distance * sin(angle)),
                                  (int)rint(first.x + p->shape.seed_distance * cos(angle))};
        if (begin_curve(p, t, tail, direction, c))
            return true;
    }
    return false;
}

/* 1 - occupancy at a cell after growing by the disc of the margin. */
static double freedom(const struct sqa_pathfinder *p, const struct tables *t, struct cell at)
{
    const int n = p->shape.size;
    int most = 0;
    for (int i = 0; i < t->disc_cells; i++) {
        const struct cell c = {at.y + t->disc[i].y, at.x + t->disc[i].x};
        if (inside(p, c) && p->occupied[c.y * n + c.x] > most)
            most = p->occupied[c.y * n + c.x];
    }
    return 1 - most / 255.0;
}

static bool extend(struct sqa_pathfinder *p, const struct tables *t, struct curve *c)
{
    const struct cell pivot = beside(c->pivot, &t->direction[c->direction], p->shape.length + 2 * t->margin);
    const double *weight = t->weight + c->direction * t->steps;
    double sum[STEPS], total = 0;
    for (int k = 0; k < t->steps; k++) {
        const struct cell head = {pivot.y + t->step[k].y, pivot.x + t->step[k].x};
        if (weight[k] > 0 && inside(p, head))
            total += weight[k] * freedom(p, t, head);
        sum[k] = total;
    }
    if (total < 1e-4)
        return false;
    for (int trial = 0; trial <= RETRIES; trial++) {
        const double at = sqa_random_next_uniform(&p->random) * total;
        int k = 0;
        while (k < t->steps - 1 && sum[k] <= at)
            k++;
        const struct bar bar = {&t->stamp[DEGREES + k], pivot.y + t->step[k].y, pivot.x + t->step[k].x};
        if (collides(p, t, &bar))
            continue;
        occupy(p, t, &c->bar[c->bars - 1]); /* now that its successor stands */
        c->bar[c->bars++] = bar;
        c->pivot = pivot;
        c->direction = DEGREES + k;
        c->head = (struct cell){bar.y, bar.x};
        return true;
    }
    return false;
}

static bool grow_targets(struct sqa_pathfinder *p, const struct tables *t, struct curve target[2])
{
    memcpy(p->occupied, p->empty, (size_t)p->shape.size * (size_t)p->shape.size);
    if (!seed_curve(p, t, p->empty_taken, &target[0]) || !seed_second(p, t, target[0].tail, &target[1]))
        return false;
    while (target[1].bars < p->shape.contour)
        if (!extend(p, t, &target[0]) || !extend(p, t, &target[1]))
            return false;
    occupy(p, t, &target[1].bar[target[1].bars - 1]);
    return true;
}

static bool grow_distractor(struct sqa_pathfinder *p, const struct tables *t, struct curve *c)
{
    const size_t cells = (size_t)p->shape.size * (size_t)p->shape.size;
    const double least_free = 0.01 * (double)cells;
    memcpy(p->saved, p->occupied, cells);
    bool ok = map_taken(p->occupied, p->shape.size, 1, p->taken) >= least_free && seed_curve(p, t, p->taken, c);
    while (ok && c->bars < p->shape.distractor)
        ok = extend(p, t, c);
    if (ok)
        occupy(p, t, &c->bar[c->bars - 1]);
    else
        memcpy(p->occupied, p->saved, cells);
    return ok;
}

/* 0 .. the brightest value -> 0 .. 255, rounded. */
static int stretch(const struct sqa_pathfinder *p, uint8_t *pixels)
{
    const int cells = p->shape.size * p->shape.size;
    int most = 1;
    for (int i = 0; i < cells; i++)
        most = p->picture[i] > most ? p->picture[i] : most;
    for (int i = 0; i < cells; i++)
        pixels[i] = (uint8_t)((2 * 255 * p->picture[i] + most) / (2 * most));
    return most;
}

void sqa_pathfinder_draw(struct sqa_pathfinder *p, uint64_t key, uint8_t *pixels,
                         struct sqa_pathfinder_record *record)
{
    const struct sqa_pathfinder_shape *shape = &p->shape;
    struct sqa_pathfinder_record r = {0};
    struct curve target[2], distractor;
    p->random = (struct sqa_random){.key = key};
    r.label = (int)sqa_random_next_below(&p->random, 2);
    const struct tables *t = &p->table[sqa_random_next_below(&p->random, (uint64_t)shape->margins)];
    r.margin = t->margin;
    while (!grow_targets(p, t, target))
        r.discarded++;
    memset(p->picture, 0, (size_t)shape->size * (size_t)shape->size * sizeof *p->picture);
    for (int i = 0; i < 2; i++) {
        draw_curve(p, t, &target[i], shape->target_contrast);
        r.bars[i] = target[i].bars;
        r.tail[i][0] = target[i].tail.y;
        r.tail[i][1] = target[i].tail.x;
    }
    for (int i = 0; i < shape->distractors; i++) {
        int trial = 0;
        while (trial <= CURVE_RETRIES && !grow_distractor(p, t, &distractor))
            trial++;
        if (trial > CURVE_RETRIES)
            continue;
        draw_curve(p, t, &distractor, shape->distractor_contrast);
        r.distractors++;
        r.distractor_bars += distractor.bars;
    }
    const int start = (int)sqa_random_next_below(&p->random, 2), end = r.label ? start : 1 - start;
    const struct cell dot[2] = {target[start].tail, target[end].head};
    for (int i = 0; i < 2; i++) {
        r.dot[i][0] = dot[i].y;
        r.dot[i][1] = dot[i].x;
        sqa_disc_draw(p->taps, shape->size, dot[i].y, dot[i].x, shape->radius2, p->picture, DOT_CONTRAST);
    }
    r.brightest = stretch(p, pixels);
    if (record)
        *record = r;
}
