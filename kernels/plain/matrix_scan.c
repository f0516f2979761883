/* matrix_scan.c - recurrences with a matrix for a state: decayed sums of outer products, and the delta rule */
#include "kernels/plain/plain.h"

static double get(const void *x, int64_t i)
{
    return (double)((const real *)x)[i];
}

static double decay_at(const struct sqa_matrix_scan *s, int64_t t, int64_t row, int64_t column)
{
    switch (s->kind) {
    case SQA_DECAY_ONE:
        return get(s->decay, t * s->decay_stride);
    case SQA_DECAY_ROWS:
        return get(s->decay, t * s->decay_stride + row);
    case SQA_DECAY_COLUMNS:
        return get(s->decay, t * s->decay_stride + column);
    case SQA_DECAY_NONE:
        break;
    }
    return 1;
}

void K(matrix_scan)(const struct sqa_matrix_scan *s)
{
    for (int64_t t = 0; t < s->n; t++)
        for (int64_t j = 0; j < s->columns; j++) {
            const double z = get(s->z, t * s->z_stride + j), z2 = s->x2 ? get(s->z2, t * s->z2_stride + j) : 0;
            real *to = (real *)s->y + t * s->y_stride + j;
            real *to2 = s->r2 ? (real *)s->y2 + t * s->y2_stride + j : NULL;
            double y = s->accumulate ? (double)*to : 0, y2 = to2 && s->accumulate ? (double)*to2 : 0;
            for (int64_t i = 0; i < s->rows; i++) {
                real *m = (real *)s->state + i * s->columns + j;
                double v = decay_at(s, t, i, j) * (double)*m + get(s->x, t * s->x_stride + i) * z;
                v += s->x2 ? get(s->x2, t * s->x2_stride + i) * z2 : 0;
                *m = (real)v;
                y += get(s->r, t * s->r_stride + i) * v;
                y2 += to2 ? get(s->r2, t * s->r2_stride + i) * v : 0;
            }
            *to = (real)y;
            if (to2)
                *to2 = (real)y2;
        }
}

void K(delta_scan)(const struct sqa_delta_scan *s)
{
    for (int64_t t = 0; t < s->n; t++)
        for (int64_t j = 0; j < s->columns; j++) {
            const double beta = get(s->beta, t * s->beta_stride);
            double e = s->v ? get(s->v, t * s->v_stride + j) : 0, y = 0;
            real *m = (real *)s->state + j;
            for (int64_t i = 0; i < s->rows; i++) {
                if (s->x)
                    m[i * s->columns] = (real)((double)m[i * s->columns] +
                                               get(s->x, t * s->x_stride + i) * get(s->z, t * s->z_stride + j));
                e -= get(s->k, t * s->k_stride + i) * (double)m[i * s->columns];
            }
            for (int64_t i = 0; i < s->rows; i++) {
                m[i * s->columns] = (real)((double)m[i * s->columns] + beta * e * get(s->k, t * s->k_stride + i));
                y += s->q ? get(s->q, t * s->q_stride + i) * (double)m[i * s->columns] : 0;
            }
            ((real *)s->e)[t * s->e_stride + j] = (real)e;
            if (s->q)
                ((real *)s->y)[t * s->y_stride + j] = (real)y;
        }
}
