/* conv1d.c - short convolution along the rows of channels side by side */
#include "kernels/plain/plain.h"

static const real *row(const void *x, int64_t stride, int64_t t)
{
    return (const real *)x + t * stride;
}

/* Taps of row t that meet a row of x: from *first up to, not including, the result */
static int64_t taps(const struct sqa_conv1d *c, int64_t t, int64_t *first)
{
    const int64_t start = t - c->left, last = c->valid - start;
    *first = start < 0 ? -start : 0;
    return last < c->k ? last : c->k;
}

void K(conv1d)(const struct sqa_conv1d *c)
{
    for (int64_t t = c->first; t < c->first + c->count; t++) {
        int64_t from;
        const int64_t to = taps(c, t, &from);
        real *y = (real *)c->y + t * c->y_stride;
        for (int64_t i = 0; i < c->m; i++) {
            double sum = c->bias ? (double)((const real *)c->bias)[i] : 0;
            for (int64_t j = from; j < to; j++)
                sum += (double)row(c->w, c->w_stride, j)[i] * (double)row(c->x, c->x_stride, t + j - c->left)[i];
            y[i] = (real)sum;
        }
    }
}

void K(conv1d_taps)(const struct sqa_conv1d *c)
{
    for (int64_t j = 0; j < c->k; j++) {
        real *dw = (real *)c->dw + j * c->w_stride;
        for (int64_t i = 0; i < c->m; i++) {
            double sum = 0;
            for (int64_t t = c->first; t < c->first + c->count; t++) {
                const int64_t s = t + j - c->left;
                if (s >= 0 && s < c->valid)
                    sum += (double)row(c->y, c->y_stride, t)[i] * (double)row(c->x, c->x_stride, s)[i];
            }
            dw[i] = (real)sum;
        }
    }
}
