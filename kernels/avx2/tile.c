/* tile.c - see tile.h */
#include "kernels/avx2/tile.h"

#include <string.h>

#include "kernels/avx2/avx2.h"

#define EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)

/* am: from one row of A to the next; ak: from one column to the next. One of the two is the constant 1. */
static inline __attribute__((always_inline)) void block(ptrdiff_t k, const float *a, ptrdiff_t am, ptrdiff_t ak,
                                                        const float *b, ptrdiff_t bs, float *c, ptrdiff_t cs,
                                                        int accumulate)
{
#define LOAD(r) c##r##0 = _mm256_loadu_ps(c + r * cs), c##r##1 = _mm256_loadu_ps(c + r * cs + 8);
#define ZERO(r) c##r##0 = _mm256_setzero_ps(), c##r##1 = _mm256_setzero_ps();
#define STEP(r)                          \
    x = _mm256_broadcast_ss(a + r * am); \
    c##r##0 = fma8(x, b0, c##r##0);      \
    c##r##1 = fma8(x, b1, c##r##1);
#define STORE(r) _mm256_storeu_ps(c + r * cs, c##r##0), _mm256_storeu_ps(c + r * cs + 8, c##r##1);
#define NAMES(r) __m256 c##r##0, c##r##1;
    EACH_ROW(NAMES)
    if (accumulate) {
        EACH_ROW(LOAD)
    } else {
        EACH_ROW(ZERO)
    }
    for (; k > 0; k--, a += ak, b += bs) {
        const __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
        __m256 x;
        EACH_ROW(STEP)
    }
    EACH_ROW(STORE)
}

void sqa_tile_rows(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t as, const float *b, ptrdiff_t bs,
                   float *c, ptrdiff_t cs, int accumulate)
{
    for (ptrdiff_t j = 0; j < n; j += 16)
        for (ptrdiff_t i = 0; i < m; i += 6)
            block(k, a + i * as, as, 1, b + j, bs, c + i * cs + j, cs, accumulate);
}

void sqa_tile_columns(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t as, const float *b,
                      ptrdiff_t bs, float *c, ptrdiff_t cs, int accumulate)
{
    for (ptrdiff_t j = 0; j < n; j += 16)
        for (ptrdiff_t i = 0; i < m; i += 6)
            block(k, a + i, 1, as, b + j, bs, c + i * cs + j, cs, accumulate);
}

static inline void transpose8(const __m256 x[8], float *to, ptrdiff_t stride, ptrdiff_t count)
{
    __m256 s[8], t[8];
    for (int i = 0; i < 8; i += 2) {
        s[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int h = 0; h < 2; h++) {
            t[i + 2 * h] = _mm256_shuffle_ps(s[i + h], s[i + 2 + h], 0x44);
            t[i + 2 * h + 1] = _mm256_shuffle_ps(s[i + h], s[i + 2 + h], 0xee);
        }
    for (int i = 0; i < 4; i++) {
        if (i < count)
            _mm256_storeu_ps(to + i * stride, _mm256_permute2f128_ps(t[i], t[i + 4], 0x20));
        if (i + 4 < count)
            _mm256_storeu_ps(to + (i + 4) * stride, _mm256_permute2f128_ps(t[i], t[i + 4], 0x31));
    }
}

void sqa_tile_transpose(const float *from, ptrdiff_t from_stride, ptrdiff_t rows, ptrdiff_t width, float *to,
                        ptrdiff_t to_stride)
{
    for (ptrdiff_t r = 0; r < rows; r += 8)
        for (ptrdiff_t c = 0; c < width; c += 8) {
            __m256 x[8];
            for (ptrdiff_t i = 0; i < 8; i++)
                x[i] =
                    r + i < rows ? load8(from + (r + i) * from_stride + c, (size_t)(width - c)) : _mm256_setzero_ps();
            transpose8(x, to + c * to_stride + r, to_stride, width - c);
        }
}

void sqa_tile_copy(const float *from, ptrdiff_t from_stride, ptrdiff_t rows, ptrdiff_t width, float scale, float *to,
                   ptrdiff_t to_stride, ptrdiff_t all_rows)
{
    const __m256 factor = set8(scale);
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < width; c += 8)
            _mm256_storeu_ps(to + r * to_stride + c,
                             _mm256_mul_ps(factor, load8(from + r * from_stride + c, (size_t)(width - c))));
    for (ptrdiff_t r = rows; r < all_rows; r++)
        memset(to + r * to_stride, 0, (size_t)(width + 7) / 8 * 8 * sizeof *to);
}
