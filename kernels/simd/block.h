/*
 * block.h - C (+)= A B for small matrices in cache
 *
 * Registers hold a block of BLOCK_ROWS x BLOCK_COLUMNS of C. block_rows: A is row-major, element (i, l) at a[i as +
 * l]. block_columns: A is read transposed, element (i, l) at a[i + l as]. B is row-major with k rows of stride bs. m
 * is rounded up to BLOCK_ROWS and n to BLOCK_COLUMNS: the rounded ranges of A, B and C must lie inside the buffers,
 * with numbers in A and B. Sums run over l in order.
 */
#ifndef SQA_KERNELS_SIMD_BLOCK_H
#define SQA_KERNELS_SIMD_BLOCK_H

#include "kernels/simd/vec.h"

#if SQA_WIDTH == 8 /* 16 registers: 12 of C */
enum { BLOCK_ROWS = 6, BLOCK_COLUMNS = 2 * W };
#define BLOCK_EACH(X) X(0) X(1) X(2) X(3) X(4) X(5)
#else /* 32 registers: 28 of C */
enum { BLOCK_ROWS = 14, BLOCK_COLUMNS = 2 * W };
#define BLOCK_EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13)
#endif

/* am: from one row of A to the next; al: from one column to the next. One of the two is the constant 1. */
static inline __attribute__((always_inline)) void block_of(ptrdiff_t k, const float *a, ptrdiff_t am, ptrdiff_t al,
                                                           const float *b, ptrdiff_t bs, float *c, ptrdiff_t cs,
                                                           int accumulate)
{
#define NAMES(r) vf c##r##0, c##r##1;
#define LOAD(r) c##r##0 = v_load(c + r * cs), c##r##1 = v_load(c + r * cs + W);
#define ZERO(r) c##r##0 = v_zero(), c##r##1 = v_zero();
#define STEP(r)                      \
    x = v_set(a[r * am]);            \
    c##r##0 = v_fma(x, b0, c##r##0); \
    c##r##1 = v_fma(x, b1, c##r##1);
#define STORE(r) v_store(c + r * cs, c##r##0), v_store(c + r * cs + W, c##r##1);
    BLOCK_EACH(NAMES)
    if (accumulate) {
        BLOCK_EACH(LOAD)
    } else {
        BLOCK_EACH(ZERO)
    }
    for (; k > 0; k--, a += al, b += bs) {
        const vf b0 = v_load(b), b1 = v_load(b + W);
        vf x;
        BLOCK_EACH(STEP)
    }
    BLOCK_EACH(STORE)
#undef NAMES
#undef LOAD
#undef ZERO
#undef STEP
#undef STORE
}

/* Columns of B stay in cache while A passes. */
static inline void block_rows(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t as, const float *b,
                              ptrdiff_t bs, float *c, ptrdiff_t cs, int accumulate)
{
    for (ptrdiff_t j = 0; j < n; j += BLOCK_COLUMNS)
        for (ptrdiff_t i = 0; i < m; i += BLOCK_ROWS)
            block_of(k, a + i * as, as, 1, b + j, bs, c + i * cs + j, cs, accumulate);
}

/* Columns of A stay in cache while B passes. */
static inline void block_columns(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t as, const float *b,
                                 ptrdiff_t bs, float *c, ptrdiff_t cs, int accumulate)
{
    for (ptrdiff_t i = 0; i < m; i += BLOCK_ROWS)
        for (ptrdiff_t j = 0; j < n; j += BLOCK_COLUMNS)
            block_of(k, a + i, 1, as, b + j, bs, c + i * cs + j, cs, accumulate);
}

static inline ptrdiff_t block_up(ptrdiff_t n, ptrdiff_t unit)
{
    return (n + unit - 1) / unit * unit;
}

#endif
