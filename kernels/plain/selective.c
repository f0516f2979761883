/* selective.c - selective state spaces, one channel at a time */
#include <math.h>

#include "kernels/plain/plain.h"

/* Forward: a state. Backward: the states of a chunk and the one before it, the gradient state, and da. */
size_t K(selective_workspace)(const struct sqa_selective *s, int grad)
{
    return (size_t)(s->states * (grad ? s->chunk + 3 : 1)) * sizeof(double);
}

static double get(const void *x, int64_t i)
{
    return (double)((const real *)x)[i];
}

/* h of row t from h of the row before; both may be one place. */
static void step(const struct sqa_selective *s, int64_t t, int64_t channel, const double *before, double *h)
{
    const double dt = get(s->dt, t * s->dt_stride + channel), u = get(s->u, t * s->u_stride + channel);
    for (int64_t i = 0; i < s->states; i++)
        h[i] = exp(dt * get(s->a, i * s->a_stride + channel)) * before[i] + dt * u * get(s->b, t * s->b_stride + i);
}

static real *kept(const struct sqa_selective *s, int64_t chunk, int64_t i)
{
    return (real *)s->keep + (chunk * s->states + i) * s->keep_stride;
}

void K(selective)(const struct sqa_selective *s, void *workspace)
{
    double *h = workspace;
    for (int64_t e = 0; e < s->m; e++) {
        for (int64_t i = 0; i < s->states; i++)
            h[i] = 0;
        for (int64_t t = 0; t < s->n; t++) {
            double y = get(s->skip, e) * get(s->u, t * s->u_stride + e);
            for (int64_t i = 0; i < s->states && s->keep && t % s->chunk == 0; i++)
                kept(s, t / s->chunk, i)[e] = (real)h[i];
            step(s, t, e, h, h);
            for (int64_t i = 0; i < s->states; i++)
                y += get(s->c, t * s->c_stride + i) * h[i];
            ((real *)s->y)[t * s->y_stride + e] = (real)y;
        }
    }
}

/* One row, its state h and the one before; next: gradient of h that comes from the row after, replaced. */
static void row_grad(const struct sqa_selective_grad *s, int64_t t, int64_t e, const double *before, const double *h,
                     double *next, double *da)
{
    const struct sqa_selective *f = &s->f;
    const double dt = get(f->dt, t * f->dt_stride + e), u = get(f->u, t * f->u_stride + e);
    const double dy = get(s->dy, t * s->dy_stride + e);
    double dx = 0, ddt = 0;
    for (int64_t i = 0; i < f->states; i++) {
        const double a = get(f->a, i * f->a_stride + e), b = get(f->b, t * f->b_stride + i);
        const double g = next[i] + dy * get(f->c, t * f->c_stride + i);
        real *db = (real *)s->db + t * s->db_stride + i, *dc = (real *)s->dc + t * s->dc_stride + i;
        *db = (real)((e ? (double)*db : 0) + g * dt * u);
        *dc = (real)((e ? (double)*dc : 0) + dy * h[i]);
        dx += g * b;
        next[i] = g * exp(dt * a);
        da[i] += next[i] * before[i] * dt;
        ddt += next[i] * before[i] * a;
    }
    ((real *)s->ddt)[t * s->ddt_stride + e] = (real)(ddt + u * dx);
    ((real *)s->du)[t * s->du_stride + e] = (real)(dt * dx + get(f->skip, e) * dy);
}

void K(selective_grad)(const struct sqa_selective_grad *s, void *workspace)
{
    const struct sqa_selective *f = &s->f;
    double *next = workspace, *da = next + f->states, *h = da + f->states;
    for (int64_t e = 0; e < f->m; e++) {
        double dskip = 0;
        for (int64_t i = 0; i < f->states; i++)
            next[i] = da[i] = 0;
        for (int64_t c = (f->n - 1) / f->chunk; c >= 0 && f->n > 0; c--) {
            const int64_t first = c * f->chunk, end = first + f->chunk < f->n ? first + f->chunk : f->n;
            for (int64_t i = 0; i < f->states; i++)
                h[i] = (double)kept(f, c, i)[e];
            for (int64_t t = first; t < end; t++)
                step(f, t, e, h + (t - first) * f->states, h + (t - first + 1) * f->states);
            for (int64_t t = end - 1; t >= first; t--) {
                row_grad(s, t, e, h + (t - first) * f->states, h + (t - first + 1) * f->states, next, da);
                dskip += get(s->dy, t * s->dy_stride + e) * get(f->u, t * f->u_stride + e);
            }
        }
        for (int64_t i = 0; i < f->states; i++)
            ((real *)s->da)[i * s->da_stride + e] = (real)da[i];
        ((real *)s->dskip)[e] = (real)dskip;
    }
}
