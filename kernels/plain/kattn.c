/*
 * kattn.c - attention by features, one row at a time
 *
 * The definition. The workspace holds the features of a row and their gradients, the row's output and its gradient,
 * in double; states are of the table's type.
 */
#include <math.h>
#include <string.h>

#include "kernels/plain/plain.h"

size_t K(kattn_workspace)(const struct sqa_kernel_attention *a)
{
    return (size_t)(2 * a->m + a->dv) * sizeof(double);
}

/* A call's arrays. */
struct work {
    double *phi, *dphi; /* (m) */
    double *g;          /* (dv): the row of y, or dy / den */
    double gden;        /* -(dy . y) / den */
};

static struct work work_of(const struct sqa_kernel_attention *a, void *ws)
{
    double *p = ws;
    return (struct work){.phi = p, .dphi = p + a->m, .g = p + 2 * a->m};
}

static double dot(const real *x, const real *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

static int has_shared_c(const struct sqa_kernel_attention *a)
{
    return a->map == SQA_MAP_EXP && !a->causal;
}

static int64_t last_key(const struct sqa_kernel_attention *a, int64_t first, int64_t count)
{
    return first + count < a->keys ? first + count : a->keys;
}

/* u of a row; returns the place of the largest. */
static int64_t project(const struct sqa_kernel_attention *a, const real *x, double *u)
{
    const real *w = a->w;
    int64_t at = 0;
    for (int64_t f = 0; f < a->m; f++) {
        u[f] = a->scale * (w ? dot(w + f * a->d, x, a->d) : (double)x[f]);
        if (u[f] > u[at])
            at = f;
    }
    return at;
}

/* phi in the place of u. */
static void map(const struct sqa_kernel_attention *a, const real *x, double c, double eps, double *u)
{
    const double half = a->map == SQA_MAP_EXP ? a->scale * a->scale * dot(x, x, a->d) / 2 : 0;
    for (int64_t f = 0; f < a->m; f++) {
        switch (a->map) {
        case SQA_MAP_ELU1:
            u[f] = u[f] > 0 ? u[f] + 1 : exp(u[f]);
            break;
        case SQA_MAP_RELU:
            u[f] = (u[f] <= 0 ? 0 : u[f]) + eps;
            break;
        case SQA_MAP_NONE:
            break;
        default:
            u[f] = exp(u[f] - half - c) + eps;
            break;
        }
    }
}

/* Returns the feature that c came from, -1: none. */
static int64_t query_features(const struct sqa_kernel_attention *a, const real *x, double *phi)
{
    const int64_t at = project(a, x, phi);
    const double c = a->map == SQA_MAP_EXP && a->m > 0 ? phi[at] : 0;
    map(a, x, c, a->eps, phi);
    return a->map == SQA_MAP_EXP ? at : -1;
}

static void key_features(const struct sqa_kernel_attention *a, const real *x, double c, double *phi)
{
    (void)project(a, x, phi);
    map(a, x, c, a->eps, phi);
}

/* From dphi of a row to dx; `at`: where the row's c came from. Returns the sum of dphi times the slope in EXP. */
static double features_grad(const struct sqa_kernel_attention *a, const real *x, const double *phi, double *dphi,
                            int64_t at, real *dx)
{
    const real *w = a->w;
    double sum = 0;
    for (int64_t f = 0; f < a->m; f++) {
        if (a->map == SQA_MAP_ELU1)
            dphi[f] *= phi[f] < 1 ? phi[f] : 1;
        else if (a->map == SQA_MAP_RELU)
            dphi[f] *= phi[f] > a->eps;
        else if (a->map == SQA_MAP_EXP)
            dphi[f] *= phi[f] - a->eps;
        sum += dphi[f];
    }
    if (at >= 0)
        dphi[at] -= sum;
    for (int64_t i = 0; i < a->d; i++) {
        double dxi = w ? 0 : dphi[i];
        for (int64_t f = 0; w && f < a->m; f++)
            dxi += dphi[f] * (double)w[f * a->d + i];
        dxi *= a->scale;
        dx[i] = (real)(a->map == SQA_MAP_EXP ? dxi - a->scale * a->scale * (double)x[i] * sum : dxi);
    }
    return sum;
}

/* S += phi v^T, z += phi */
static void add(const struct sqa_kernel_attention *a, const double *phi, const real *v, real *state)
{
    real *z = state + a->m * a->dv;
    for (int64_t f = 0; f < a->m; f++) {
        for (int64_t j = 0; j < a->dv; j++)
            state[f * a->dv + j] += (real)(phi[f] * (double)v[j]);
        z[f] += (real)phi[f];
    }
}

static void add_gradient(const struct sqa_kernel_attention *a, const struct work *w, real *dstate)
{
    real *dz = dstate + a->m * a->dv;
    for (int64_t f = 0; f < a->m; f++) {
        for (int64_t j = 0; j < a->dv; j++)
            dstate[f * a->dv + j] += (real)(w->phi[f] * w->g[j]);
        dz[f] += (real)(w->gden * w->phi[f]);
    }
}

static void clear(const struct sqa_kernel_attention *a, real *state)
{
    memset(state, 0, (size_t)sqa_kattn_state(a) * sizeof *state);
}

static real *extra(const struct sqa_kernel_attention *a, real *state)
{
    return state + a->m * (a->dv + 1) + a->dv;
}

static const real *row(const void *x, int64_t stride, int64_t t)
{
    return (const real *)x + t * stride;
}

static real *row_of(void *x, int64_t stride, int64_t t)
{
    return (real *)x + t * stride;
}

/* A larger c: sums so far shrink. */
static void raise_c(const struct sqa_kernel_attention *a, real *state, int64_t t, int64_t feature, double c)
{
    real *more = extra(a, state);
    const double shrink = exp((double)more[SQA_KATTN_C] - c);
    for (int64_t i = 0; i < a->m * (a->dv + 1); i++)
        state[i] = (real)((double)state[i] * shrink);
    more[SQA_KATTN_C] = (real)c;
    more[SQA_KATTN_ROW] = (real)t;
    more[SQA_KATTN_FEATURE] = (real)feature;
}

void K(kattn_keys)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state_, void *ws)
{
    const struct work w = work_of(a, ws);
    real *state = state_, *more = extra(a, state);
    clear(a, state);
    more[SQA_KATTN_ROW] = -1;
    for (int64_t t = first; t < last_key(a, first, count); t++) {
        const real *x = row(a->k, a->k_stride, t), *v = row(a->v, a->v_stride, t);
        const int64_t at = project(a, x, w.phi);
        if (has_shared_c(a) && a->m > 0) {
            if (more[SQA_KATTN_COUNT] == 0 || w.phi[at] > (double)more[SQA_KATTN_C])
                raise_c(a, state, t, at, w.phi[at]);
            map(a, x, (double)more[SQA_KATTN_C], 0, w.phi);
            more[SQA_KATTN_COUNT] += 1;
            for (int64_t j = 0; j < a->dv; j++)
                state[a->m * (a->dv + 1) + j] += v[j];
        } else {
            map(a, x, 0, a->eps, w.phi);
        }
        add(a, w.phi, v, state);
    }
}

static void answer(const struct sqa_kernel_attention *a, const struct work *w, const real *state, int64_t t)
{
    const real *z = state + a->m * a->dv;
    real *y = row_of(a->y, a->y_stride, t);
    double den = a->den_eps;
    memset(w->g, 0, (size_t)a->dv * sizeof *w->g);
    for (int64_t f = 0; f < a->m; f++) {
        den += w->phi[f] * (double)z[f];
        for (int64_t j = 0; j < a->dv; j++)
            w->g[j] += w->phi[f] * (double)state[f * a->dv + j];
    }
    if (a->den_min > 0 && !(den > a->den_min))
        den = a->den_min;
    for (int64_t j = 0; j < a->dv; j++)
        y[j] = (real)(w->g[j] / den);
    *row_of(a->den, 1, t) = (real)den;
}

void K(kattn_queries)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, const void *state, void *ws)
{
    const struct work w = work_of(a, ws);
    for (int64_t t = first; t < first + count; t++) {
        (void)query_features(a, row(a->q, a->q_stride, t), w.phi);
        answer(a, &w, state, t);
    }
}

/* g and gden of a query */
static void output_gradient(const struct sqa_kernel_attention *a, struct work *w, int64_t t)
{
    const real *dy = row(a->dy, a->dy_stride, t);
    const double den = (double)*row(a->den, 1, t);
    for (int64_t j = 0; j < a->dv; j++)
        w->g[j] = (double)dy[j] / den;
    w->gden = -dot(dy, row(a->y, a->y_stride, t), a->dv) / den;
    if (a->den_min > 0 && den <= (double)(real)a->den_min)
        w->gden = 0;
}

static void query_gradient(const struct sqa_kernel_attention *a, const struct work *w, const real *state, int64_t at,
                           int64_t t)
{
    const real *z = state + a->m * a->dv;
    for (int64_t f = 0; f < a->m; f++) {
        w->dphi[f] = w->gden * (double)z[f];
        for (int64_t j = 0; j < a->dv; j++)
            w->dphi[f] += w->g[j] * (double)state[f * a->dv + j];
    }
    (void)features_grad(a, row(a->q, a->q_stride, t), w->phi, w->dphi, at, row_of(a->dq, a->dq_stride, t));
}

void K(kattn_queries_bwd)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, const void *state,
                          void *dstate, void *ws)
{
    struct work w = work_of(a, ws);
    clear(a, dstate);
    for (int64_t t = first; t < first + count; t++) {
        const int64_t at = query_features(a, row(a->q, a->q_stride, t), w.phi);
        output_gradient(a, &w, t);
        add_gradient(a, &w, dstate);
        if (a->dq)
            query_gradient(a, &w, state, at, t);
    }
}

/* dk and dv of a key with features phi */
static double key_gradient(const struct sqa_kernel_attention *a, const struct work *w, const real *dstate, int64_t t)
{
    const real *v = row(a->v, a->v_stride, t), *dz = dstate + a->m * a->dv;
    real *dv = row_of(a->dv_, a->dv_stride, t);
    memset(w->g, 0, (size_t)a->dv * sizeof *w->g);
    for (int64_t f = 0; f < a->m; f++) {
        w->dphi[f] = (double)dz[f] + dot(dstate + f * a->dv, v, a->dv);
        for (int64_t j = 0; j < a->dv; j++)
            w->g[j] += w->phi[f] * (double)dstate[f * a->dv + j];
    }
    for (int64_t j = 0; j < a->dv; j++)
        dv[j] = (real)w->g[j];
    return features_grad(a, row(a->k, a->k_stride, t), w->phi, w->dphi, -1, row_of(a->dk, a->dk_stride, t));
}

double K(kattn_keys_bwd)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, const void *state,
                         const void *dstate, void *ws)
{
    const struct work w = work_of(a, ws);
    const real *more = (const real *)state + a->m * (a->dv + 1) + a->dv;
    double all = 0;
    for (int64_t t = first; t < last_key(a, first, count); t++) {
        key_features(a, row(a->k, a->k_stride, t), has_shared_c(a) ? (double)more[SQA_KATTN_C] : 0, w.phi);
        all += key_gradient(a, &w, dstate, t);
    }
    return all;
}

void K(kattn_causal)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state, void *ws)
{
    const struct work w = work_of(a, ws);
    for (int64_t t = first; t < first + count; t++) {
        if (t < a->keys) {
            key_features(a, row(a->k, a->k_stride, t), 0, w.phi);
            add(a, w.phi, row(a->v, a->v_stride, t), state);
        }
        (void)query_features(a, row(a->q, a->q_stride, t), w.phi);
        answer(a, &w, state, t);
    }
}

void K(kattn_causal_bwd_q)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state, void *ws)
{
    struct work w = work_of(a, ws);
    for (int64_t t = first; t < first + count; t++) {
        if (t < a->keys) {
            key_features(a, row(a->k, a->k_stride, t), 0, w.phi);
            add(a, w.phi, row(a->v, a->v_stride, t), state);
        }
        const int64_t at = query_features(a, row(a->q, a->q_stride, t), w.phi);
        output_gradient(a, &w, t);
        query_gradient(a, &w, state, at, t);
    }
}

void K(kattn_causal_bwd_k)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *dstate, void *ws)
{
    struct work w = work_of(a, ws);
    for (int64_t t = first + count - 1; t >= first; t--) {
        (void)query_features(a, row(a->q, a->q_stride, t), w.phi);
        output_gradient(a, &w, t);
        add_gradient(a, &w, dstate);
        if (t < a->keys) {
            key_features(a, row(a->k, a->k_stride, t), 0, w.phi);
            (void)key_gradient(a, &w, dstate, t);
        }
    }
}
