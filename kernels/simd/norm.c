/*
 * norm.c - layer and RMS normalisation of rows, with the sum before them and with gradients; f32
 *
 * Some multiple of W rows at once, in passes over the group, which lies in cache: so the sums of W rows become one
 * vector (v_sums), and square roots and quotients are taken of W rows at once. Within a pass four rows share what
 * belongs to the columns. In the last group rows are repeated to fill it: the same numbers are written again.
 */
#include <math.h>
#include <string.h>

#include "kernels/simd/vec.h"
#include "kernels/plain/plain.h"

enum { FOUR = 4, MOST = 64, NEAR = 4096 };

/* Rows of one group: a multiple of W, so that the numbers of short rows fill NEAR floats */
struct group {
    size_t row[MOST]; /* offsets of the rows in elements */
    size_t count;     /* rows that are there */
    size_t size;      /* with the repeated ones */
};

static size_t group_rows(size_t n)
{
    size_t k = NEAR / (W * (n ? n : 1));
    k = k < 1 ? 1 : k;
    return W * (k < (size_t)(MOST / W) ? k : (size_t)(MOST / W));
}

static void set_group(struct group *g, size_t first, size_t rows, size_t n)
{
    const size_t most = group_rows(n);
    g->count = rows - first < most ? rows - first : most;
    g->size = (g->count + W - 1) / W * W;
    for (size_t r = 0; r < g->size; r++)
        g->row[r] = (first + (r < g->count ? r : g->count - 1)) * n;
}

/* Brings four rows nearer, which may lie behind the array. Long rows the machine sees coming. */
static inline void ask(const float *x, size_t n)
{
    if (n > NEAR / W)
        return;
    for (size_t i = 0; i < FOUR * n; i += 16)
        __builtin_prefetch((const void *)((uintptr_t)x + i * sizeof *x));
}

/* Sums of four rows' elements i ..; with y, x + y is written to s first. */
static inline void add_sums(const float *const x[FOUR], const float *const y[FOUR], float *const s[FOUR], size_t i,
                            size_t left, vf sum[FOUR])
{
    V_UNROLL
    for (int r = 0; r < FOUR; r++) {
        vf v = v_load_part(x[r] + i, left);
        if (y) {
            v = v_add(v, v_load_part(y[r] + i, left));
            v_store_part(s[r] + i, left, v);
        }
        sum[r] = v_add(sum[r], v);
    }
}

static inline void add_squares(const float *const x[FOUR], const vf mean[FOUR], size_t i, size_t left, vf sum[FOUR],
                               vf squares[FOUR])
{
    V_UNROLL
    for (int r = 0; r < FOUR; r++) {
        const vf z = v_keep(v_sub(v_load_part(x[r] + i, left), mean[r]), left, v_zero());
        sum[r] = v_add(sum[r], z);
        squares[r] = v_fma(z, z, squares[r]);
    }
}

static inline void normalise(const float *const x[FOUR], const float *gain, const float *bias, float *const y[FOUR],
                             const vf mean[FOUR], const vf scale[FOUR], size_t i, size_t left)
{
    const vf g = gain ? v_load_part(gain + i, left) : v_set(1.0f), b = bias ? v_load_part(bias + i, left) : v_zero();
    V_UNROLL
    for (int r = 0; r < FOUR; r++) {
        const vf z = v_mul(v_sub(v_load_part(x[r] + i, left), mean[r]), scale[r]);
        v_store_part(y[r] + i, left, v_fma(z, g, b));
    }
}

/* The loop over a row: whole vectors, then the rest. */
#define COLUMNS(call_whole, call_rest) \
    size_t i = 0;                      \
    for (; i + W <= n; i += W)         \
        call_whole;                    \
    if (i < n)                         \
        call_rest;

static inline void pass_sums(const float *const x[FOUR], const float *const y[FOUR], float *const s[FOUR], size_t n,
                             vf sum[FOUR])
{
    vf a[FOUR] = {v_zero(), v_zero(), v_zero(), v_zero()};
    COLUMNS(add_sums(x, y, s, i, W, a), add_sums(x, y, s, i, n - i, a))
    memcpy(sum, a, sizeof a);
}

static inline void pass_squares(const float *const x[FOUR], const float *mean, size_t n, vf sum[FOUR],
                                vf squares[FOUR])
{
    vf a[FOUR] = {v_zero(), v_zero(), v_zero(), v_zero()}, b[FOUR] = {v_zero(), v_zero(), v_zero(), v_zero()};
    const vf m[FOUR] = {v_set(mean[0]), v_set(mean[1]), v_set(mean[2]), v_set(mean[3])};
    COLUMNS(add_squares(x, m, i, W, a, b), add_squares(x, m, i, n - i, a, b))
    memcpy(sum, a, sizeof a);
    memcpy(squares, b, sizeof b);
}

static inline void pass_write(const float *const x[FOUR], const float *gain, const float *bias, float *const y[FOUR],
                              const float *mean, const float *scale, size_t n)
{
    const vf m[FOUR] = {v_set(mean[0]), v_set(mean[1]), v_set(mean[2]), v_set(mean[3])};
    const vf s[FOUR] = {v_set(scale[0]), v_set(scale[1]), v_set(scale[2]), v_set(scale[3])};
    COLUMNS(normalise(x, gain, bias, y, m, s, i, W), normalise(x, gain, bias, y, m, s, i, n - i))
}

#define ROWS_AT(p, q)                                                                    \
    {                                                                                    \
        (p) + g.row[q], (p) + g.row[(q) + 1], (p) + g.row[(q) + 2], (p) + g.row[(q) + 3] \
    }

/* Normalises x, or x + add when there is `add`: the sum goes to `total`, which is then what is normalised. */
static inline void rows_forward(const float *x, const float *add, float *total, const float *gain, const float *bias,
                                float *y, float *mean, float *rstd, size_t rows, size_t n, double eps, int rms)
{
    const vf inverse = v_set(n ? 1 / (float)n : 0);
    const float *what = add ? total : x;
    struct group g;
    vf sum[MOST], squares[MOST];
    float mu[MOST], scale[MOST];
    for (size_t first = 0; first < rows; first += g.count) {
        set_group(&g, first, rows, n);
        const size_t next = (first + g.count) * n;
        for (size_t q = 0; q < g.size && (add || !rms); q += FOUR) {
            const float *const from[FOUR] = ROWS_AT(x, q);
            ask(y + g.row[q], n);
            if (add) {
                const float *const other[FOUR] = ROWS_AT(add, q);
                float *const to[FOUR] = ROWS_AT(total, q);
                pass_sums(from, other, to, n, sum + q);
            } else {
                pass_sums(from, NULL, NULL, n, sum + q);
            }
        }
        for (size_t q = 0; q < g.size; q += W)
            v_store(mu + q, rms ? v_zero() : v_mul(v_sums(sum + q), inverse));
        for (size_t q = 0; q < g.size; q += FOUR) {
            const float *const from[FOUR] = ROWS_AT(what, q);
            ask(x + next + q * n, n);
            pass_squares(from, mu + q, n, sum + q, squares + q);
        }
        for (size_t q = 0; q < g.size; q += W) { /* the mean of x - mu corrects the rounding of mu */
            const vf rest = rms ? v_zero() : v_mul(v_sums(sum + q), inverse), middle = v_add(v_load(mu + q), rest);
            const vf variance = v_fnma(rest, rest, v_mul(v_sums(squares + q), inverse));
            const vf factor = v_div(v_set(1.0f), v_sqrt(v_add(variance, v_set((float)eps))));
            v_store(mu + q, middle);
            v_store(scale + q, factor);
            v_store_part(mean + first + q, g.count - q, middle);
            v_store_part(rstd + first + q, g.count - q, factor);
        }
        for (size_t q = 0; q < g.count; q += FOUR) {
            const float *const from[FOUR] = ROWS_AT(what, q);
            float *const to[FOUR] = ROWS_AT(y, q);
            if (add) {
                ask(add + next + q * n, n);
                ask(total + next + q * n, n);
            }
            pass_write(from, gain, bias, to, mu + q, scale + q, n);
        }
    }
}

void V(layernorm)(const void *x, const void *gain, const void *bias, void *y, void *mean, void *rstd, size_t rows,
                  size_t n, double eps, int rms)
{
    rows_forward(x, NULL, NULL, gain, bias, y, mean, rstd, rows, n, eps, rms);
}

void V(add_layernorm)(const void *a, const void *b, const void *gain, const void *bias, void *sum, void *y,
                      void *mean, void *rstd, size_t rows, size_t n, double eps, int rms)
{
    rows_forward(a, b, sum, gain, bias, y, mean, rstd, rows, n, eps, rms);
}

/* Four rows of the gradient. With z = x - mean and g = gain dy: sums of g and g z; dgain += dy z rstd, dbias += dy
 * for the rows that are there. */
struct four {
    const float *x[FOUR], *dy[FOUR];
    vf mean[FOUR], rstd[FOUR], there[FOUR]; /* there: 1 or 0 */
};

static inline void grad_sums(const struct four *f, const float *gain, float *dgain, float *dbias, size_t i,
                             size_t left, vf sum[FOUR], vf dot[FOUR])
{
    const vf w = gain ? v_load_part(gain + i, left) : v_set(1.0f);
    vf a = dgain ? v_load_part(dgain + i, left) : v_zero(), b = dbias ? v_load_part(dbias + i, left) : v_zero();
    V_UNROLL
    for (int r = 0; r < FOUR; r++) {
        const vf dy = v_load_part(f->dy[r] + i, left), z = v_sub(v_load_part(f->x[r] + i, left), f->mean[r]);
        const vf g = v_mul(dy, w); /* lanes past the end have dy = 0 */
        sum[r] = v_add(sum[r], g);
        dot[r] = v_fma(g, z, dot[r]);
        const vf here = v_mul(dy, f->there[r]);
        a = v_fma(v_mul(here, f->rstd[r]), z, a);
        b = v_add(b, here);
    }
    if (dgain)
        v_store_part(dgain + i, left, a);
    if (dbias)
        v_store_part(dbias + i, left, b);
}

/* dx = rstd g - rstd mean(g) - z rstd^3 mean(g z): u and v are the factors of 1 and of z; ds is added when there. */
static inline void grad_write(const struct four *f, const float *gain, const float *const ds[FOUR],
                              float *const dx[FOUR], const vf u[FOUR], const vf v[FOUR], size_t i, size_t left)
{
    const vf w = gain ? v_load_part(gain + i, left) : v_set(1.0f);
    V_UNROLL
    for (int r = 0; r < FOUR; r++) {
        const vf z = v_sub(v_load_part(f->x[r] + i, left), f->mean[r]);
        const vf g = v_mul(v_load_part(f->dy[r] + i, left), w);
        vf d = v_fms(g, f->rstd[r], v_fma(z, v[r], u[r]));
        if (ds)
            d = v_add(d, v_load_part(ds[r] + i, left));
        v_store_part(dx[r] + i, left, d);
    }
}

static inline void pass_grad_sums(const struct four *f, const float *gain, float *dgain, float *dbias, size_t n,
                                  vf sum[FOUR], vf dot[FOUR])
{
    vf a[FOUR] = {v_zero(), v_zero(), v_zero(), v_zero()}, b[FOUR] = {v_zero(), v_zero(), v_zero(), v_zero()};
    COLUMNS(grad_sums(f, gain, dgain, dbias, i, W, a, b), grad_sums(f, gain, dgain, dbias, i, n - i, a, b))
    memcpy(sum, a, sizeof a);
    memcpy(dot, b, sizeof b);
}

static inline void pass_grad_write(const struct four *f, const float *gain, const float *const ds[FOUR],
                                   float *const dx[FOUR], const float *u, const float *v, size_t n)
{
    const vf uu[FOUR] = {v_set(u[0]), v_set(u[1]), v_set(u[2]), v_set(u[3])};
    const vf vv[FOUR] = {v_set(v[0]), v_set(v[1]), v_set(v[2]), v_set(v[3])};
    COLUMNS(grad_write(f, gain, ds, dx, uu, vv, i, W), grad_write(f, gain, ds, dx, uu, vv, i, n - i))
}

/* What the gradient needs of the rows of a group, the repeated ones too */
struct rows {
    float mean[MOST], rstd[MOST], there[MOST];
};

#define FOUR_AT(q)                                                                                    \
    {                                                                                                 \
        ROWS_AT(x, q), ROWS_AT(dy, q),                                                                \
            {v_set(w.mean[q]), v_set(w.mean[q + 1]), v_set(w.mean[q + 2]), v_set(w.mean[q + 3])},     \
            {v_set(w.rstd[q]), v_set(w.rstd[q + 1]), v_set(w.rstd[q + 2]), v_set(w.rstd[q + 3])},     \
            {v_set(w.there[q]), v_set(w.there[q + 1]), v_set(w.there[q + 2]), v_set(w.there[q + 3])}, \
    }

void V(layernorm_grad)(const void *x_, const void *gain_, const void *mean_, const void *rstd_, const void *dy_,
                       const void *ds_, void *dx_, void *dgain_, void *dbias_, size_t rows, size_t n, int rms,
                       int accumulate)
{
    const float *x = x_, *gain = gain_, *mean = mean_, *rstd = rstd_, *dy = dy_, *ds = ds_;
    float *dx = dx_, *dgain = dgain_, *dbias = dbias_;
    const vf inverse = v_set(n ? 1 / (float)n : 0);
    struct group g;
    struct rows w;
    vf sum[MOST], dot[MOST];
    float u[MOST], v[MOST];
    if (dgain && !accumulate)
        memset(dgain, 0, n * sizeof *dgain);
    if (dbias && !accumulate)
        memset(dbias, 0, n * sizeof *dbias);
    for (size_t first = 0; first < rows; first += g.count) {
        set_group(&g, first, rows, n);
        const size_t next = (first + g.count) * n;
        for (size_t r = 0; r < g.size; r++) {
            const size_t row = first + (r < g.count ? r : g.count - 1);
            w.mean[r] = rms ? 0 : mean[row];
            w.rstd[r] = rstd[row];
            w.there[r] = r < g.count;
        }
        for (size_t q = 0; q < g.size; q += FOUR) {
            const struct four f = FOUR_AT(q);
            ask(dx + g.row[q], n);
            if (ds)
                ask(ds + g.row[q], n);
            pass_grad_sums(&f, gain, dgain, dbias, n, sum + q, dot + q);
        }
        for (size_t q = 0; q < g.size; q += W) {
            const vf s = v_load(w.rstd + q);
            v_store(u + q, rms ? v_zero() : v_mul(v_mul(v_sums(sum + q), inverse), s));
            v_store(v + q, v_mul(v_mul(v_mul(v_sums(dot + q), inverse), v_mul(s, s)), s));
        }
        for (size_t q = 0; q < g.count; q += FOUR) {
            const struct four f = FOUR_AT(q);
            float *const to[FOUR] = ROWS_AT(dx, q);
            ask(x + next + q * n, n);
            ask(dy + next + q * n, n);
            if (ds) {
                const float *const other[FOUR] = ROWS_AT(ds, q);
                pass_grad_write(&f, gain, other, to, u + q, v + q, n);
            } else {
                pass_grad_write(&f, gain, NULL, to, u + q, v + q, n);
            }
        }
    }
}
