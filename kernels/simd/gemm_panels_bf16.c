/*
 * gemm_panels_bf16.c - products with a packed right operand in tiles of bfloat16 (kernels/simd/tiles.h)
 *
 * Panels: rows of pairs of terms, both sizes padded to 32 with zeros. A is rounded 32 rows at a time, TERMS terms at
 * a time; a tile of sums is added to C in floats.
 */
#include "kernels/simd/tiles.h"
#include "kernels/plain/plain.h"

enum { SIDE = 32, TERMS = 256 };

size_t V(panels_bf16)(int64_t k, int64_t n)
{
    return (size_t)(pad32(k) / 2 * pad32(n));
}

/* to (SIDE, padded terms), bfloat16: row i, term l is x[i row + l column]; at most SIDE rows and TERMS terms */
static void round_rows(const float *x, int64_t row, int64_t column, int64_t rows, int64_t terms, uint32_t *to)
{
    float dense[SIDE * TERMS];
    uint32_t pairs[SIDE * TERMS / 2] __attribute__((aligned(64)));
    if (row == 1 && column != 1) {
        pack_pairs(x, column, terms, rows, pairs, pad32(terms));
        transpose32(pairs, pad32(terms) / 2, SIDE, to);
        return;
    }
    if (column != 1) {
        for (int64_t i = 0; i < rows; i++)
            for (int64_t l = 0; l < terms; l++)
                dense[i * TERMS + l] = x[i * row + l * column];
        x = dense;
        row = TERMS;
    }
    pack_rows(x, row, rows, terms, (uint16_t *)(void *)to, SIDE);
}

void V(pack_bf16)(int64_t k, int64_t n, const void *b_, int64_t row, int64_t column, void *panels)
{
    uint32_t rows[SIDE * TERMS / 2] __attribute__((aligned(64))),
        pairs[SIDE * TERMS / 2] __attribute__((aligned(64)));
    const float *b = b_;
    const int64_t w = pad32(n);
    uint32_t *to = panels;
    if (column == 1) {
        pack_pairs(b, row, k, n, to, pad32(k));
        return;
    }
    for (int64_t l = 0; l < k; l += TERMS)
        for (int64_t j = 0; j < n; j += SIDE) {
            const int64_t terms = smaller(TERMS, k - l), half = pad32(terms) / 2;
            round_rows(b + l * row + j * column, column, row, smaller(SIDE, n - j), terms, rows);
            transpose32(rows, SIDE, half, pairs);
            for (int64_t p = 0; p < half; p++)
                memcpy(to + (l / 2 + p) * w + j, pairs + p * SIDE, SIDE * sizeof *pairs);
        }
}

/* C (rows, SIDE or what is left) = sums + bias, or += */
static void put(const float *sums, int64_t rows, int64_t left, float *c, int64_t ldc, const float *bias,
                int accumulate)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < smaller(left, SIDE); j += W) {
            const size_t part = (size_t)(left - j);
            vf x = v_load(sums + i * SIDE + j);
            if (bias)
                x = v_add(x, v_load_part(bias + j, part));
            if (accumulate)
                x = v_add(x, v_load_part(c + i * ldc + j, part));
            v_store_part(c + i * ldc + j, part, x);
        }
}

/* One of the products of g. B that lies as it is gets packed for each tile. */
static void product(const struct sqa_gemm_panels *g, const float *left, const void *right, const float *bias,
                    int accumulate)
{
    uint32_t a[SIDE * TERMS / 2] __attribute__((aligned(64))), own[SIDE * TERMS / 2] __attribute__((aligned(64)));
    float sums[SIDE * SIDE] __attribute__((aligned(64)));
    const int64_t w = pad32(g->n);
    for (int64_t i = 0; i < g->m; i += SIDE)
        for (int64_t l = 0; l < g->k || l == 0; l += TERMS) {
            const int64_t rows = smaller(SIDE, g->m - i), terms = smaller(TERMS, g->k - l), padded = pad32(terms);
            round_rows(left + i * g->a_row + l * g->a_column, g->a_row, g->a_column, rows, terms, a);
            for (int64_t j = 0; j < g->n; j += SIDE) {
                const uint32_t *b = (const uint32_t *)right + l / 2 * w + j;
                if (g->b_row) {
                    pack_pairs((const float *)right + l * g->b_row + j, g->b_row, terms, smaller(SIDE, g->n - j), own,
                               padded);
                    b = own;
                }
                sqa_tiles_product(SIDE, SIDE, padded, (const uint16_t *)(const void *)a, padded, b,
                                  g->b_row ? SIDE : w, sums, SIDE, 0);
                put(sums, rows, g->n - j, (float *)g->c + i * g->ldc + j, g->ldc, bias && l == 0 ? bias + j : NULL,
                    accumulate || l > 0);
            }
        }
}

void V(gemm_panels_bf16)(const struct sqa_gemm_panels *g)
{
    sqa_tiles_begin();
    product(g, g->a, g->panels, g->bias, g->accumulate);
    for (int i = 0; i < 2 && g->more[i].a; i++)
        product(g, g->more[i].a, g->more[i].panels, NULL, 1);
    sqa_tiles_end();
}
