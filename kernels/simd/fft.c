/*
 * fft.c - long convolution by FFT, W channels at once; f32. The method: plain/fft.c
 *
 * Here N = R 4^m with R = 2 to 6. The first step of a transform divides x^N - i into R factors, straight from the
 * real rows; the others divide by 4 and work in place, each block to its end before the next, so that most of them
 * stay in the near caches. A block x^M - exp(2 pi i p) divides by c = exp(2 pi i p / 4) into x^(M/4) - c i^j: one c,
 * c^2, c^3 for the whole block. A point is W real parts and W imaginary parts. The order of frequencies is that of
 * the blocks, the same in every spectrum.
 */
#include <math.h>

#include "kernels/plain/plain.h"
#include "kernels/simd/vec.h"

enum { POINT = 2 * W, LEAF = 64, MAX_FIRST = 6, TWIDDLES = 6 };

struct size {
    int64_t points, block; /* N = first * block, block = 4^levels */
    int first, levels;
};

static struct size size_of(int64_t n)
{
    struct size best = {0};
    for (int first = 2; first <= MAX_FIRST; first++) {
        struct size s = {.points = first, .block = 1, .first = first};
        for (; s.points < n; s.points *= 4, s.block *= 4)
            s.levels++;
        if (best.points == 0 || s.points < best.points)
            best = s;
    }
    return best;
}

size_t V(fft_lanes)(void)
{
    return W;
}

size_t V(fft_spectrum)(int64_t n)
{
    return (size_t)size_of(n).points * POINT;
}

/* The table: exp(2 pi i (1/4 + j) k / R) for j, k < R; the same divided by N; c, c^2, c^3 of the blocks of level 0 (R
 * blocks), level 1 (4 R), ... */
static int64_t level_at(const struct size *s, int level)
{
    const int64_t blocks = s->first * (((int64_t)1 << 2 * level) - 1) / 3; /* of the levels before it */
    return 4 * s->first * s->first + TWIDDLES * blocks;
}

size_t V(fft_table)(int64_t n)
{
    const struct size s = size_of(n);
    return (size_t)level_at(&s, s.levels);
}

/* p of block q of a level */
static double turn_of(const struct size *s, int level, int64_t q)
{
    double p = (0.25 + (double)(q >> 2 * level)) / s->first;
    while (level-- > 0)
        p = (p + (double)(q >> 2 * level & 3)) / 4;
    return p;
}

/* c = exp(i angle), c^2, c^3 */
static void put_twiddles(double angle, float *t)
{
    const double re = cos(angle), im = sin(angle), re2 = re * re - im * im, im2 = 2 * re * im;
    t[0] = (float)re;
    t[1] = (float)im;
    t[2] = (float)re2;
    t[3] = (float)im2;
    t[4] = (float)(re * re2 - im * im2);
    t[5] = (float)(re * im2 + im * re2);
}

void V(fft_prepare)(int64_t n, void *table)
{
    const double circle = 2 * 3.14159265358979323846;
    const struct size s = size_of(n);
    float *t = table;
    for (int j = 0; j < s.first; j++)
        for (int k = 0; k < s.first; k++) {
            const double angle = circle * (0.25 + j) / s.first * k;
            float *in = t + 2 * (j * s.first + k), *out = in + 2 * s.first * s.first;
            in[0] = (float)cos(angle);
            in[1] = (float)sin(angle);
            out[0] = (float)(cos(angle) / (double)s.points);
            out[1] = (float)(sin(angle) / (double)s.points);
        }
    t += level_at(&s, 0);
    for (int level = 0; level < s.levels; level++)
        for (int64_t q = 0; q < (int64_t)s.first << 2 * level; q++, t += TWIDDLES)
            put_twiddles(circle / 4 * turn_of(&s, level, q), t);
}

/* Points */

struct point {
    vf re, im;
};

static inline struct point load(const float *x)
{
    return (struct point){v_load(x), v_load(x + W)};
}

static inline void store(float *x, struct point a)
{
    v_store(x, a.re);
    v_store(x + W, a.im);
}

static inline struct point add(struct point a, struct point b)
{
    return (struct point){v_add(a.re, b.re), v_add(a.im, b.im)};
}

static inline struct point sub(struct point a, struct point b)
{
    return (struct point){v_sub(a.re, b.re), v_sub(a.im, b.im)};
}

static inline struct point add_i(struct point a, struct point b) /* a + i b */
{
    return (struct point){v_sub(a.re, b.im), v_add(a.im, b.re)};
}

static inline struct point sub_i(struct point a, struct point b) /* a - i b */
{
    return (struct point){v_add(a.re, b.im), v_sub(a.im, b.re)};
}

static inline struct point mul(struct point a, struct point b)
{
    return (struct point){v_fms(a.re, b.re, v_mul(a.im, b.im)), v_fma(a.re, b.im, v_mul(a.im, b.re))};
}

static inline struct point mul_conj(struct point a, struct point b) /* a conj(b) */
{
    return (struct point){v_fma(a.re, b.re, v_mul(a.im, b.im)), v_fms(a.im, b.re, v_mul(a.re, b.im))};
}

static inline struct point twiddle(const float *t)
{
    return (struct point){v_set(t[0]), v_set(t[1])};
}

/* Steps of radix 4 */

/* A block of 4 m points -> four blocks of m: y_j = sum over i of (c i^j)^i x_i */
static inline void split(float *x, int64_t m, const float *t)
{
    const struct point c1 = twiddle(t), c2 = twiddle(t + 2), c3 = twiddle(t + 4);
    const int64_t step = m * POINT;
    for (const float *end = x + step; x < end; x += POINT) {
        const struct point x0 = load(x), x2 = mul(load(x + 2 * step), c2);
        const struct point x1 = mul(load(x + step), c1), x3 = mul(load(x + 3 * step), c3);
        const struct point s = add(x0, x2), d = sub(x0, x2), e = add(x1, x3), f = sub(x1, x3);
        store(x, add(s, e));
        store(x + step, add_i(d, f));
        store(x + 2 * step, sub(s, e));
        store(x + 3 * step, sub_i(d, f));
    }
}

/* Its inverse, times 4 */
static inline void join(float *x, int64_t m, const float *t)
{
    const struct point c1 = twiddle(t), c2 = twiddle(t + 2), c3 = twiddle(t + 4);
    const int64_t step = m * POINT;
    for (const float *end = x + step; x < end; x += POINT) {
        const struct point y0 = load(x), y1 = load(x + step), y2 = load(x + 2 * step), y3 = load(x + 3 * step);
        const struct point s = add(y0, y2), d = sub(y0, y2), e = add(y1, y3), f = sub(y1, y3);
        store(x, add(s, e));
        store(x + step, mul_conj(sub_i(d, f), c1));
        store(x + 2 * step, mul_conj(sub(s, e), c2));
        store(x + 3 * step, mul_conj(add_i(d, f), c3));
    }
}

/* What is done with a block: `a` and `b` are transformed, then `product` is called on the piece, then `back` is
 * transformed back. Each may be NULL. */
struct walk {
    const struct size *size;
    const float *table;
    float *a, *b, *back;
    const float *kernel;
    float *sum;
    void (*product)(const struct walk *w, int64_t at, int64_t count); /* in numbers */
};

/* a <- a k */
static void product_convolve(const struct walk *w, int64_t at, int64_t count)
{
    for (int64_t i = at; i < at + count; i += POINT)
        store(w->a + i, mul(load(w->a + i), load(w->kernel + i)));
}

/* sum <- sum + b conj(a), b <- b conj(k) */
static void product_gradient(const struct walk *w, int64_t at, int64_t count)
{
    for (int64_t i = at; i < at + count; i += POINT) {
        const struct point b = load(w->b + i);
        store(w->sum + i, add(load(w->sum + i), mul_conj(b, load(w->a + i))));
        store(w->b + i, mul_conj(b, load(w->kernel + i)));
    }
}

static void split_leaf(const struct walk *w, float *x, int64_t at, int64_t m, int level, int64_t q)
{
    for (int64_t blocks = 1; m > 1; m /= 4, blocks *= 4, level++) {
        const float *t = w->table + level_at(w->size, level) + TWIDDLES * q * blocks;
        for (int64_t i = 0; i < blocks; i++)
            split(x + at + i * m * POINT, m / 4, t + TWIDDLES * i);
    }
}

static void join_leaf(const struct walk *w, float *x, int64_t at, int64_t m, int level, int64_t q)
{
    int64_t blocks = 1, part = m;
    for (; part > 4; part /= 4, blocks *= 4)
        level++;
    for (; part <= m; part *= 4, blocks /= 4, level--) {
        const float *t = w->table + level_at(w->size, level) + TWIDDLES * q * blocks;
        for (int64_t i = 0; i < blocks; i++)
            join(x + at + i * part * POINT, part / 4, t + TWIDDLES * i);
    }
}

/* Block q of a level: m points from number `at` on. */
static void walk_block(const struct walk *w, int64_t at, int64_t m, int level, int64_t q)
{
    if (m <= LEAF) {
        if (w->a && m > 1)
            split_leaf(w, w->a, at, m, level, q);
        if (w->b && m > 1)
            split_leaf(w, w->b, at, m, level, q);
        if (w->product)
            w->product(w, at, m * POINT);
        if (w->back && m > 1)
            join_leaf(w, w->back, at, m, level, q);
        return;
    }
    const float *t = w->table + level_at(w->size, level) + TWIDDLES * q;
    if (w->a)
        split(w->a + at, m / 4, t);
    if (w->b)
        split(w->b + at, m / 4, t);
    for (int64_t i = 0; i < 4; i++)
        walk_block(w, at + i * (m / 4) * POINT, m / 4, level + 1, 4 * q + i);
    if (w->back)
        join(w->back + at, m / 4, t);
}

static void walk(const struct walk *w)
{
    for (int64_t q = 0; q < w->size->first; q++)
        walk_block(w, q * w->size->block * POINT, w->size->block, 0, q);
}

/* First and last step: real rows. Point i is the row x + i stride for low <= i < high, else zero. */
struct rows {
    float *x;
    int64_t stride, low, high;
    size_t lanes;
};

static struct rows past(const void *x, int64_t stride, const struct sqa_fft *f)
{
    return (struct rows){(float *)(uintptr_t)x, stride, 0, f->n, (size_t)f->lanes};
}

/* Lag -(i + 1) is point N - 1 - i. */
static struct rows future(const void *x, int64_t stride, const struct sqa_fft *f, int64_t points)
{
    return (struct rows){(float *)(uintptr_t)x + (points - 1) * stride, -stride, points - f->n, points,
                         (size_t)f->lanes};
}

V_INLINE vf row_of(const struct rows *r, int64_t i)
{
    return i >= r->low && i < r->high ? v_load_part(r->x + i * r->stride, r->lanes) : v_zero();
}

/* y_j = sum over k of exp(2 pi i (1/4 + j) k / R) x_k; turned: -i times that is added to y. */
V_INLINE void enter_by(const int R, const struct rows *r, int64_t m, const float *t, int turned, float *y)
{
    struct point c[MAX_FIRST * MAX_FIRST];
    for (int i = 0; i < R * R; i++)
        c[i] = twiddle(t + 2 * i);
    for (int64_t i = 0; i < m; i++, y += POINT) {
        vf x[MAX_FIRST];
        V_UNROLL for (int k = 0; k < R; k++) x[k] = row_of(r, i + k * m);
        V_UNROLL for (int j = 0; j < R; j++)
        {
            struct point s = {v_fma(x[1], c[j * R + 1].re, x[0]), v_mul(x[1], c[j * R + 1].im)};
            V_UNROLL for (int k = 2; k < R; k++)
            {
                s.re = v_fma(x[k], c[j * R + k].re, s.re);
                s.im = v_fma(x[k], c[j * R + k].im, s.im);
            }
            float *to = y + j * m * POINT;
            store(to, turned ? sub_i(load(to), s) : s);
        }
    }
}

/* Row k of the real part of the inverse; turned: of i times it. t: the table's part that is divided by N. */
V_INLINE void leave_by(const int R, const float *y, int64_t m, const float *t, int turned, const struct rows *r)
{
    struct point c[MAX_FIRST * MAX_FIRST];
    for (int i = 0; i < R * R; i++) {
        const struct point w = twiddle(t + 2 * i);
        c[i] = turned ? (struct point){w.im, v_neg(w.re)} : w;
    }
    for (int64_t i = 0; i < m; i++, y += POINT) {
        struct point z[MAX_FIRST];
        V_UNROLL for (int j = 0; j < R; j++) z[j] = load(y + j * m * POINT);
        V_UNROLL for (int k = 0; k < R; k++)
        {
            const int64_t row = i + k * m;
            if (row < r->low || row >= r->high)
                continue;
            vf s = v_mul(z[0].re, c[k].re);
            s = v_fma(z[0].im, c[k].im, s);
            V_UNROLL for (int j = 1; j < R; j++)
            {
                s = v_fma(z[j].re, c[j * R + k].re, s);
                s = v_fma(z[j].im, c[j * R + k].im, s);
            }
            v_store_part(r->x + row * r->stride, r->lanes, s);
        }
    }
}

static void enter(const struct size *s, const float *t, struct rows r, int turned, float *y)
{
    switch (s->first) {
    case 2:
        enter_by(2, &r, s->block, t, turned, y);
        break;
    case 3:
        enter_by(3, &r, s->block, t, turned, y);
        break;
    case 4:
        enter_by(4, &r, s->block, t, turned, y);
        break;
    case 5:
        enter_by(5, &r, s->block, t, turned, y);
        break;
    default:
        enter_by(6, &r, s->block, t, turned, y);
        break;
    }
}

static void leave(const struct size *s, const float *y, const float *t, int turned, struct rows r)
{
    t += 2 * s->first * s->first;
    switch (s->first) {
    case 2:
        leave_by(2, y, s->block, t, turned, &r);
        break;
    case 3:
        leave_by(3, y, s->block, t, turned, &r);
        break;
    case 4:
        leave_by(4, y, s->block, t, turned, &r);
        break;
    case 5:
        leave_by(5, y, s->block, t, turned, &r);
        break;
    default:
        leave_by(6, y, s->block, t, turned, &r);
        break;
    }
}

/* The four kernels */

void V(fft_kernel)(const struct sqa_fft *f, const void *k, const void *k2, int64_t stride, void *spectrum)
{
    const struct size s = size_of(f->n);
    const struct walk w = {.size = &s, .table = f->table, .a = spectrum};
    enter(&s, f->table, past(k, stride, f), 0, spectrum);
    if (k2)
        enter(&s, f->table, future(k2, stride, f, s.points), 1, spectrum);
    walk(&w);
}

void V(fft_convolve)(const struct sqa_fft *f, const void *u, int64_t u_stride, const void *kernel, void *y,
                     int64_t y_stride, void *work)
{
    const struct size s = size_of(f->n);
    const struct walk w = {
        .size = &s, .table = f->table, .a = work, .back = work, .kernel = kernel, .product = product_convolve};
    enter(&s, f->table, past(u, u_stride, f), 0, work);
    walk(&w);
    leave(&s, work, f->table, 0, past(y, y_stride, f));
}

void V(fft_gradient)(const struct sqa_fft *f, const void *u, int64_t u_stride, const void *dy, int64_t dy_stride,
                     const void *kernel, void *sum, void *du, int64_t du_stride, void *work)
{
    const struct size s = size_of(f->n);
    float *a = work, *b = a + s.points * POINT;
    const struct walk w = {.size = &s,
                           .table = f->table,
                           .a = a,
                           .b = b,
                           .back = b,
                           .kernel = kernel,
                           .sum = sum,
                           .product = product_gradient};
    enter(&s, f->table, past(u, u_stride, f), 0, a);
    enter(&s, f->table, past(dy, dy_stride, f), 0, b);
    walk(&w);
    leave(&s, b, f->table, 0, past(du, du_stride, f));
}

void V(fft_kernel_grad)(const struct sqa_fft *f, void *sum, void *dk, void *dk2, int64_t stride)
{
    const struct size s = size_of(f->n);
    const struct walk w = {.size = &s, .table = f->table, .back = sum};
    walk(&w);
    leave(&s, sum, f->table, 0, past(dk, stride, f));
    if (dk2)
        leave(&s, sum, f->table, 1, future(dk2, stride, f, s.points));
}
