/* scan.c - diagonal linear recurrences */
#include "kernels/plain/plain.h"

void K(scan)(const struct sqa_scan *s)
{
    for (int64_t i = 0; i < s->m; i++) {
        const real *a = (const real *)s->a + i, *x = (const real *)s->x + i;
        real *y = (real *)s->y + i;
        double re = 0, im = 0;
        for (int64_t t = 0; t < s->n; t++, a += s->a_stride, x += s->x_stride, y += s->y_stride) {
            const double ar = (double)a[0], ai = s->imag ? (double)a[s->imag] : 0;
            const double next = ar * re - ai * im + (double)x[0];
            if (s->imag) {
                im = ar * im + ai * re + (double)x[s->imag];
                y[s->imag] = (real)im;
            }
            re = next;
            y[0] = (real)re;
        }
    }
}

void K(scan_grad)(const struct sqa_scan_grad *s)
{
    for (int64_t i = 0; i < s->m; i++) {
        double re = 0, im = 0; /* conj(a_(t+1)) g_(t+1) */
        double sum = 0, sum_im = 0;
        for (int64_t t = s->n - 1; t >= 0; t--) {
            const real *a = (const real *)s->a + i + t * s->a_stride,
                       *dy = (const real *)s->dy + i + t * s->dy_stride;
            const real *y = (const real *)s->y + i + (t ? t - 1 : 0) * s->y_stride;
            real *dx = (real *)s->dx + i + t * s->dx_stride;
            const double gr = re + (double)dy[0], gi = s->imag ? im + (double)dy[s->imag] : 0;
            const double ar = (double)a[0], ai = s->imag ? (double)a[s->imag] : 0;
            dx[0] = (real)(gr + (s->add ? (double)dx[0] : 0));
            if (s->imag)
                dx[s->imag] = (real)(gi + (s->add ? (double)dx[s->imag] : 0));
            const double yr = t ? (double)y[0] : 0, yi = t && s->imag ? (double)y[s->imag] : 0;
            const double dr = gr * yr + gi * yi, di = gi * yr - gr * yi;
            if (s->da && s->da_stride) {
                real *da = (real *)s->da + i + t * s->da_stride;
                da[0] = (real)(dr + (s->add ? (double)da[0] : 0));
                if (s->imag)
                    da[s->imag] = (real)(di + (s->add ? (double)da[s->imag] : 0));
            }
            sum += dr;
            sum_im += di;
            re = ar * gr + ai * gi;
            im = ar * gi - ai * gr;
        }
        if (s->da && !s->da_stride) {
            real *da = (real *)s->da + i;
            da[0] = (real)((double)da[0] + sum);
            if (s->imag)
                da[s->imag] = (real)((double)da[s->imag] + sum_im);
        }
    }
}
