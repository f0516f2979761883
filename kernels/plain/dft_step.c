/* dft_step.c - a step of a Fourier transform in Stockham's order; kernels/simd/dft_step.c compiles it again */
#include "kernels/plain/plain.h"

/* exp(-2 pi i k p / (factor places)), as (c - i s) */
static void turn_at(const struct sqa_dft_step *f, int64_t at, real *c, real *s)
{
    const real *turns = f->turns;
    *c = turns[at * f->step];
    *s = turns[f->n + at * f->step];
}

/* whole is a constant wherever these are called; y_im is not written when it is 0. Not inlined, they take twice as long. */

static inline __attribute__((always_inline)) void by_two(const struct sqa_dft_step *f, int64_t p, const int whole)
{
    const int64_t m = f->m, far = f->places * f->x_stride;
    const real *restrict a = (const real *)f->x_re + p * f->x_stride, *restrict b = a + far;
    const real *restrict ai = (const real *)f->x_im + p * f->x_stride, *restrict bi = ai + far;
    real *restrict y = (real *)f->y_re + 2 * p * m, *restrict z = y + m;
    real *restrict yi = (real *)(whole ? f->y_im : f->y_re) + 2 * p * m, *restrict zi = yi + m;
    real c, s;
    turn_at(f, p, &c, &s);
#pragma omp simd
    for (int64_t j = 0; j < m; j++) {
        const real d = a[j] - b[j], di = ai[j] - bi[j];
        y[j] = a[j] + b[j];
        z[j] = d * c + di * s;
        if (whole) {
            yi[j] = ai[j] + bi[j];
            zi[j] = di * c - d * s;
        }
    }
}

static inline __attribute__((always_inline)) void by_four(const struct sqa_dft_step *f, int64_t p, const int whole)
{
    const int64_t m = f->m, far = f->places * f->x_stride;
    const real *restrict x0 = (const real *)f->x_re + p * f->x_stride, *restrict x1 = x0 + far;
    const real *restrict x2 = x1 + far, *restrict x3 = x2 + far;
    const real *restrict i0 = (const real *)f->x_im + p * f->x_stride, *restrict i1 = i0 + far;
    const real *restrict i2 = i1 + far, *restrict i3 = i2 + far;
    real *restrict y0 = (real *)f->y_re + 4 * p * m, *restrict y1 = y0 + m;
    real *restrict y2 = y1 + m, *restrict y3 = y2 + m;
    real *restrict z0 = (real *)(whole ? f->y_im : f->y_re) + 4 * p * m, *restrict z1 = z0 + m;
    real *restrict z2 = z1 + m, *restrict z3 = z2 + m;
    real c1, s1, c2, s2, c3, s3;
    turn_at(f, p, &c1, &s1);
    turn_at(f, 2 * p, &c2, &s2);
    turn_at(f, 3 * p, &c3, &s3);
#pragma omp simd
    for (int64_t j = 0; j < m; j++) {
        const real a = x0[j] + x2[j], b = x0[j] - x2[j], e = x1[j] + x3[j], d = x1[j] - x3[j];
        const real ai = i0[j] + i2[j], bi = i0[j] - i2[j], ei = i1[j] + i3[j], di = i1[j] - i3[j];
        const real r1 = b + di, q1 = bi - d, r2 = a - e, q2 = ai - ei, r3 = b - di, q3 = bi + d;
        y0[j] = a + e;
        y1[j] = r1 * c1 + q1 * s1;
        y2[j] = r2 * c2 + q2 * s2;
        y3[j] = r3 * c3 + q3 * s3;
        if (whole) {
            z0[j] = ai + ei;
            z1[j] = q1 * c1 - r1 * s1;
            z2[j] = q2 * c2 - r2 * s2;
            z3[j] = q3 * c3 - r3 * s3;
        }
    }
}

void K(dft_step)(const struct sqa_dft_step *f)
{
    for (int64_t p = 0; p < f->places; p++) {
        if (f->factor == 4 && f->y_im)
            by_four(f, p, 1);
        else if (f->factor == 4)
            by_four(f, p, 0);
        else if (f->y_im)
            by_two(f, p, 1);
        else
            by_two(f, p, 0);
    }
}
