/*
 * tile.h - C (+)= A B for the small matrices of attention
 *
 * Registers hold a block of 6 x 16 of C. rows: A is row-major, element (i, l) at a[i * as + l]. columns: A is read
 * transposed, element (i, l) at a[i + l * as]. B is row-major with k rows of stride bs. m is rounded up to 6 and n to
 * 16: all of A's, B's and C's rounded range must lie inside the buffers, and B and A hold numbers there.
 */
#ifndef SQA_KERNELS_AVX2_TILE_H
#define SQA_KERNELS_AVX2_TILE_H

#include <stddef.h>

void sqa_tile_rows(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t as, const float *b, ptrdiff_t bs,
                   float *c, ptrdiff_t cs, int accumulate);
void sqa_tile_columns(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t as, const float *b,
                      ptrdiff_t bs, float *c, ptrdiff_t cs, int accumulate);

/* to[c][r] = from[r][c] for r < rows, c < width; columns rows .. 8 * ceil(rows / 8) - 1 of `to` become 0. */
void sqa_tile_transpose(const float *from, ptrdiff_t from_stride, ptrdiff_t rows, ptrdiff_t width, float *to,
                        ptrdiff_t to_stride);

/* to[r][c] = scale from[r][c], zeros up to all_rows rows and 8 * ceil(width / 8) columns. */
void sqa_tile_copy(const float *from, ptrdiff_t from_stride, ptrdiff_t rows, ptrdiff_t width, float scale, float *to,
                   ptrdiff_t to_stride, ptrdiff_t all_rows);

#endif
