/*
 * block.h - C (+)= A B for small matrices in cache
 *
 * Registers hold a block of BLOCK_ROWS x BLOCK_COLUMNS of C, or fewer rows for the last ones. block_rows: A is
 * row-major, element (i, l) at a[i as + l]. block_columns: A is read transposed, element (i, l) at a[i + l as]. B is
 * row-major with k rows of stride bs, or packed by block_pack: BLOCK_COLUMNS columns side by side, row after row, so
 * that its rows do not meet in one place of the cache. m is rounded up to block_covered(m) and n to BLOCK_COLUMNS:
 * the rounded ranges of A, B and C must lie inside the buffers. Sums run over l in order.
 */
#ifndef SQA_KERNELS_SIMD_BLOCK_H
#define SQA_KERNELS_SIMD_BLOCK_H

#include "kernels/simd/vec.h"

/* 16 registers: 12 of C; or 32: 28 of C. BLOCK_LESS, BLOCK_LEAST: rows of the last blocks */
enum {
    BLOCK_ROWS = W == 8 ? 6 : 14,
    BLOCK_LESS = W == 8 ? 4 : 8,
    BLOCK_LEAST = 4,
    BLOCK_COLUMNS = 2 * W,
};

/* Rows that will be read or written soon: `pace` rows of each are brought nearer with every block, from `row` to
 * `end`. In one go they would have to be waited for. They may lie behind the array. */
struct block_lines {
    const float *at;
    ptrdiff_t stride, width;
};
struct block_soon {
    struct block_lines of[4];
    ptrdiff_t row, end, pace;
};

static inline void block_ask(struct block_lines x, ptrdiff_t r)
{
    for (ptrdiff_t c = 0; c < x.width; c += 16)
        __builtin_prefetch((const void *)((uintptr_t)x.at + (uintptr_t)(r * x.stride + c) * sizeof *x.at));
}

static inline void block_fetch(struct block_soon *s)
{
    for (ptrdiff_t k = 0; s && k < s->pace && s->row < s->end; k++, s->row++)
        for (int i = 0; i < 4; i++)
            block_ask(s->of[i], s->row);
}

/* A (rows x k): am from one row to the next, al from one column to the next. The sum of row i is multiplied by
 * scale[i] when there is scale. */
struct block {
    ptrdiff_t k;
    const float *a;
    ptrdiff_t am, al;
    const float *b;
    ptrdiff_t bs;
    float *c;
    ptrdiff_t cs;
    int accumulate;
    const float *scale;
};

/* `rows` is a constant wherever this is inlined, so that c lies in registers. */
V_INLINE void block_of(const int rows, const struct block *p)
{
    const ptrdiff_t am = p->am, al = p->al, bs = p->bs, cs = p->cs; /* stores of vectors may change *p */
    float *to = p->c;
    const float *scale = p->scale;
    const float *a = p->a, *low = a + rows / 2 * am, *b = p->b; /* two bases: short addresses */
    vf c[BLOCK_ROWS][2];
    V_UNROLL
    for (int r = 0; r < rows; r++)
        c[r][0] = c[r][1] = v_zero();
    if (p->accumulate) {
        V_UNROLL
        for (int r = 0; r < rows; r++) {
            c[r][0] = v_load(to + r * cs);
            c[r][1] = v_load(to + r * cs + W);
        }
    }
    for (ptrdiff_t l = p->k; l > 0; l--, a += al, low += al, b += bs) {
        const vf b0 = v_load(b), b1 = v_load(b + W);
        V_UNROLL
        for (int r = 0; r < rows; r++) {
            const vf x = v_set(r < rows / 2 ? a[r * am] : low[(r - rows / 2) * am]);
            c[r][0] = v_fma(x, b0, c[r][0]);
            c[r][1] = v_fma(x, b1, c[r][1]);
        }
    }
    if (scale) {
        V_UNROLL
        for (int r = 0; r < rows; r++) {
            c[r][0] = v_mul(v_set(scale[r]), c[r][0]);
            c[r][1] = v_mul(v_set(scale[r]), c[r][1]);
        }
    }
    V_UNROLL
    for (int r = 0; r < rows; r++, to += cs) {
        v_store(to, c[r][0]);
        v_store(to + W, c[r][1]);
    }
}

/* Rows of the next block when `left` are to do. */
static inline ptrdiff_t block_step(ptrdiff_t left)
{
    if (W == 8)
        return left > 8 || left == 5 || left == 6 ? BLOCK_ROWS : BLOCK_LESS;
    return left > 12 ? BLOCK_ROWS : left > 4 ? BLOCK_LESS : BLOCK_LEAST;
}

/* What all blocks of n rows cover: at most n + 3, and at most n rounded up to BLOCK_ROWS. */
static inline ptrdiff_t block_covered(ptrdiff_t n)
{
    ptrdiff_t i = 0;
    while (i < n)
        i += block_step(n - i);
    return i;
}

static __attribute__((noinline)) void block_most(const struct block *p)
{
    block_of(BLOCK_ROWS, p);
}
static __attribute__((noinline)) void block_less(const struct block *p)
{
    block_of(BLOCK_LESS, p);
}
static __attribute__((noinline)) void block_least(const struct block *p)
{
    block_of(BLOCK_LEAST, p);
}

static inline void block_run(ptrdiff_t rows, const struct block *p)
{
    if (rows == BLOCK_ROWS)
        block_most(p);
    else if (rows == BLOCK_LESS)
        block_less(p);
    else
        block_least(p);
}

/* Columns of B stay in cache while A passes. bj: from BLOCK_COLUMNS columns of B to the next */
static inline void block_all(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t as, const float *b,
                             ptrdiff_t bs, ptrdiff_t bj, float *c, ptrdiff_t cs, int accumulate, const float *scale,
                             struct block_soon *soon)
{
    for (ptrdiff_t j = 0; j < n; j += BLOCK_COLUMNS, b += bj)
        for (ptrdiff_t i = 0; i < m; i += block_step(m - i)) {
            const struct block p = {k,  a + i * as,     as, 1,          b,
                                    bs, c + i * cs + j, cs, accumulate, scale ? scale + i : NULL};
            block_fetch(soon);
            block_run(block_step(m - i), &p);
        }
}

static inline void block_rows(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t as, const float *b,
                              ptrdiff_t bs, float *c, ptrdiff_t cs, int accumulate)
{
    block_all(m, n, k, a, as, b, bs, BLOCK_COLUMNS, c, cs, accumulate, NULL, NULL);
}

/* C = A B with B packed; rows of C multiplied by scale, or NULL */
static inline void block_panels(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t as,
                                const float *panels, float *c, ptrdiff_t cs, const float *scale,
                                struct block_soon *soon)
{
    block_all(m, n, k, a, as, panels, BLOCK_COLUMNS, k * BLOCK_COLUMNS, c, cs, 0, scale, soon);
}

/* Columns of A stay in cache while B passes. */
static inline void block_columns(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t as, const float *b,
                                 ptrdiff_t bs, float *c, ptrdiff_t cs, int accumulate, struct block_soon *soon)
{
    for (ptrdiff_t i = 0; i < m; i += block_step(m - i))
        for (ptrdiff_t j = 0; j < n; j += BLOCK_COLUMNS) {
            const struct block p = {k, a + i, 1, as, b + j, bs, c + i * cs + j, cs, accumulate, NULL};
            block_fetch(soon);
            block_run(block_step(m - i), &p);
        }
}

/* B (k x n), element (l, j) at b[l row + j column], packed, times scale: n rounded up to BLOCK_COLUMNS, zeros behind
 */
static inline void block_pack(ptrdiff_t k, ptrdiff_t n, const float *b, ptrdiff_t row, ptrdiff_t column, float scale,
                              float *to)
{
    for (ptrdiff_t j = 0; j < n; j += BLOCK_COLUMNS)
        for (ptrdiff_t l = 0; l < k; l++, to += BLOCK_COLUMNS)
            for (ptrdiff_t i = 0; i < BLOCK_COLUMNS; i++)
                to[i] = j + i < n ? scale * b[l * row + (j + i) * column] : 0;
}

static inline ptrdiff_t block_up(ptrdiff_t n, ptrdiff_t unit)
{
    return (n + unit - 1) / unit * unit;
}

#endif
