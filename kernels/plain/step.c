/* step.c - one position of a recurrence, and one query over many keys */
#include <math.h>

#include "kernels/plain/plain.h"

void K(state_step)(const struct sqa_state_step *s)
{
    const real *a = s->a, *q = s->q, *k = s->k, *v = s->v;
    real *o = s->o;
    for (int64_t j = 0; j < s->n; j++) {
        double sum = 0;
        for (int64_t i = 0; i < s->m; i++) {
            real *at = (real *)s->s + i * s->n + j;
            const double kept = a ? (double)a[s->a_each ? i : 0] * (double)*at : (double)*at;
            const double next = kept + (double)k[i] * (double)v[j];
            *at = (real)next;
            sum += (double)q[i] * next;
        }
        o[j] = (real)sum;
    }
}

void K(attend)(struct sqa_attend *a)
{
    double x[SQA_ATTEND_KEYS];
    const real *q = a->q;
    real *o = a->o;
    a->top = -HUGE_VAL;
    for (int64_t j = 0; j < a->keys; j++) {
        const real *k = (const real *)a->k + j * a->k_stride;
        double sum = 0;
        for (int64_t e = 0; e < a->d; e++)
            sum += (double)q[e] * (double)k[e];
        x[j] = a->scale * sum;
        a->top = x[j] > a->top ? x[j] : a->top;
    }
    a->sum = 0;
    for (int64_t j = 0; j < a->keys; j++)
        a->sum += x[j] = exp(x[j] - a->top);
    for (int64_t e = 0; e < a->dv; e++) {
        double sum = 0;
        for (int64_t j = 0; j < a->keys; j++)
            sum += x[j] * (double)((const real *)a->v + j * a->v_stride)[e];
        o[e] = (real)sum;
    }
}
