/*
 * conv1d.c - short convolution along the rows of channels side by side; f32
 *
 * ROWS rows of a vector of channels stay in registers while the taps go by, or, of the gradient of the taps, TAPS taps
 * while the rows go by: one load an FMA. Rows whose taps reach over an end are done one at a time.
 */
#include "kernels/plain/plain.h"
#include "kernels/simd/vec.h"

enum { ROWS = 8, TAPS = 8, BLOCK = 128 }; /* BLOCK rows of the gradient of the taps fit the first cache */

V_INLINE const float *at(const void *x, int64_t stride, int64_t t, int64_t i)
{
    return (const float *)x + t * stride + i;
}

/* Taps of row t that meet a row of x: from *first up to, not including, the result */
static int64_t taps(const struct sqa_conv1d *c, int64_t t, int64_t *first)
{
    const int64_t start = t - c->left, last = c->valid - start;
    *first = start < 0 ? -start : 0;
    return last < c->k ? last : c->k;
}

/* `count` rows from t on, all with taps from .. to - 1 */
V_INLINE void some_rows(const struct sqa_conv1d *c, int64_t i, size_t left, int64_t t, int64_t from, int64_t to,
                        const int count)
{
    vf sum[ROWS];
    V_UNROLL
    for (int r = 0; r < count; r++)
        sum[r] = c->bias ? v_load_part((const float *)c->bias + i, left) : v_zero();
    for (int64_t j = from; j < to; j++) {
        const vf w = v_load_part(at(c->w, c->w_stride, j, i), left);
        const float *x = at(c->x, c->x_stride, t + j - c->left, i);
        V_UNROLL
        for (int r = 0; r < count; r++)
            sum[r] = v_fma(w, v_load_part(x + r * c->x_stride, left), sum[r]);
    }
    V_UNROLL
    for (int r = 0; r < count; r++)
        v_store_part((float *)c->y + (t + r) * c->y_stride + i, left, sum[r]);
}

V_INLINE void columns(const struct sqa_conv1d *c, int64_t i, size_t left)
{
    const int64_t end = c->first + c->count;
    int64_t t = c->first;
    while (t < end) {
        int64_t from;
        const int64_t to = taps(c, t, &from);
        if (from == 0 && to == c->k && t + ROWS <= end && t + ROWS - 1 - c->left + c->k <= c->valid) {
            some_rows(c, i, left, t, 0, c->k, ROWS);
            t += ROWS;
        } else {
            some_rows(c, i, left, t, from, to, 1);
            t++;
        }
    }
}

void V(conv1d)(const struct sqa_conv1d *c)
{
    int64_t i = 0;
    for (; i + W <= c->m; i += W)
        columns(c, i, W);
    if (i < c->m)
        columns(c, i, (size_t)(c->m - i));
}

/* `count` taps from j on += products of rows t .. end - 1 */
V_INLINE void some_taps(const struct sqa_conv1d *c, int64_t i, size_t left, int64_t j, int64_t t, int64_t end,
                        const int count)
{
    vf sum[TAPS];
    V_UNROLL
    for (int r = 0; r < count; r++)
        sum[r] = v_load_part(at(c->dw, c->w_stride, j + r, i), left);
    for (; t < end; t++) {
        const vf dy = v_load_part(at(c->y, c->y_stride, t, i), left);
        const float *x = at(c->x, c->x_stride, t + j - c->left, i);
        V_UNROLL
        for (int r = 0; r < count; r++)
            sum[r] = v_fma(dy, v_load_part(x + r * c->x_stride, left), sum[r]);
    }
    V_UNROLL
    for (int r = 0; r < count; r++)
        v_store_part((float *)c->dw + (j + r) * c->w_stride + i, left, sum[r]);
}

/* Rows of first .. end - 1 that tap j takes to a row of x */
static int64_t rows_of(const struct sqa_conv1d *c, int64_t j, int64_t first, int64_t end, int64_t *from)
{
    const int64_t low = c->left - j, high = c->valid + c->left - j;
    *from = first > low ? first : low;
    return end < high ? end : high;
}

V_INLINE void tap_columns(const struct sqa_conv1d *c, int64_t i, size_t left, int64_t first, int64_t end)
{
    int64_t j = 0, from, to;
    for (; j + TAPS <= c->k; j += TAPS) { /* the rows that all of them share, then what each has beyond */
        int64_t low;
        const int64_t high = rows_of(c, j + TAPS - 1, first, end, &from);
        (void)rows_of(c, j, first, end, &low);
        if (low < high)
            some_taps(c, i, left, j, low, high, TAPS);
        for (int64_t r = j; r < j + TAPS; r++) {
            to = rows_of(c, r, first, end, &from);
            if (low >= high) {
                some_taps(c, i, left, r, from, to, 1);
                continue;
            }
            some_taps(c, i, left, r, from, low < to ? low : to, 1);
            some_taps(c, i, left, r, high > from ? high : from, to, 1);
        }
    }
    for (; j < c->k; j++) {
        to = rows_of(c, j, first, end, &from);
        some_taps(c, i, left, j, from, to, 1);
    }
}

void V(conv1d_taps)(const struct sqa_conv1d *c)
{
    const int64_t end = c->first + c->count;
    for (int64_t j = 0; j < c->k; j++)
        for (int64_t i = 0; i < c->m; i++)
            ((float *)c->dw)[j * c->w_stride + i] = 0;
    for (int64_t t = c->first; t < end; t += BLOCK) {
        const int64_t stop = t + BLOCK < end ? t + BLOCK : end;
        int64_t i = 0;
        for (; i + W <= c->m; i += W)
            tap_columns(c, i, W, t, stop);
        if (i < c->m)
            tap_columns(c, i, (size_t)(c->m - i), t, stop);
    }
}
