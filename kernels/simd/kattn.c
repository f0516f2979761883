/* kattn.c - attention by features over all keys; f32. The causal form: kattn_causal.c */
#include "kernels/simd/kattn.h"

size_t V(kattn_workspace)(const struct sqa_kernel_attention *a)
{
    struct kattn p;
    return kattn_layout(a, NULL, &p);
}

/* The largest u of a tile, when larger than c: sums so far shrink. c in units of log 2. */
static void raise_c(const struct kattn *p, ptrdiff_t t, ptrdiff_t rows, float *more, float *c)
{
    ptrdiff_t row = -1;
    float top = more[SQA_KATTN_ROW] < 0 ? -HUGE_VALF : *c;
    for (ptrdiff_t i = 0; i < rows && p->m > 0; i++) {
        const float x = kattn_top(p->phi + i * p->ms, p->m);
        if (x > top) {
            top = x;
            row = i;
        }
    }
    if (row < 0)
        return;
    const vf shrink = v_set(more[SQA_KATTN_ROW] < 0 ? 0 : exp2f(*c - top));
    for (ptrdiff_t i = 0; i < p->m * p->vp; i += W)
        v_store(p->s + i, v_mul(v_load(p->s + i), shrink));
    for (ptrdiff_t f = 0; f < p->m; f += W)
        v_store(p->z + f, v_mul(v_load(p->z + f), shrink));
    *c = top;
    more[SQA_KATTN_ROW] = (float)(t + row);
    more[SQA_KATTN_FEATURE] = (float)kattn_find(p->phi + row * p->ms, p->m, top);
}

static void sum_values(const struct kattn *p, ptrdiff_t rows, float *values)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < p->dv; j += W) {
            const size_t left = (size_t)(p->dv - j);
            v_store_part(values + j, left, v_add(v_load_part(values + j, left), v_load(p->v + i * p->vp + j)));
        }
}

void V(kattn_keys)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state_, void *ws)
{
    const struct kattn p = kattn_open(a, ws);
    const int shared = a->map == SQA_MAP_EXP && !a->causal;
    const ptrdiff_t last = kattn_last_key(a, first, count);
    float *state = state_, *values = state + p.m * (p.dv + 1), *more = values + p.dv, c = 0;
    memset(values, 0, (size_t)(p.dv + SQA_KATTN_EXTRA) * sizeof *values);
    more[SQA_KATTN_ROW] = -1;
    kattn_load_state(&p, NULL);
    for (ptrdiff_t t = (ptrdiff_t)first; t < last; t += p.tile) {
        const ptrdiff_t rows = kattn_least(p.tile, last - t);
        kattn_load((const float *)a->v + t * a->v_stride, a->v_stride, rows, p.dv, 1, p.v, p.tile, p.vp);
        if (shared) {
            kattn_project(&p, (const float *)a->k + t * a->k_stride, a->k_stride, rows, p.phi);
            raise_c(&p, t, rows, more, &c);
            for (ptrdiff_t i = 0; i < rows; i++)
                p.sub[i] += c;
            kattn_map_rows(&p, SQA_MAP_EXP, rows, 0, p.phi, p.z, 1, NULL);
            sum_values(&p, rows, values);
        } else {
            kattn_keys_of(&p, t, rows, 0, p.phi, p.z);
        }
        block_columns(p.m, p.dv, rows, p.phi, p.ms, p.v, p.vp, p.s, p.vp, 1);
    }
    if (shared) {
        more[SQA_KATTN_COUNT] = (float)(last > first ? last - first : 0);
        more[SQA_KATTN_C] = (float)((double)c * KATTN_LN2);
    }
    kattn_store_state(&p, state);
}

void V(kattn_queries)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, const void *state, void *ws)
{
    const struct kattn p = kattn_open(a, ws);
    const ptrdiff_t last = (ptrdiff_t)(first + count);
    kattn_load_state(&p, state);
    for (ptrdiff_t t = (ptrdiff_t)first; t < last; t += p.tile) {
        const ptrdiff_t rows = kattn_least(p.tile, last - t);
        float *den = (float *)a->den + t;
        kattn_queries_of(&p, t, rows, p.phi, den);
        block_rows(rows, p.dv, p.m, p.phi, p.ms, p.s, p.vp, p.o, p.vp, 0);
        for (ptrdiff_t i = 0; i < rows; i++) {
            const vf inverse = v_set(1 / den[i]);
            float *y = (float *)a->y + (t + i) * a->y_stride;
            for (ptrdiff_t j = 0; j < p.dv; j += W)
                v_store_part(y + j, (size_t)(p.dv - j), v_mul(inverse, v_load(p.o + i * p.vp + j)));
        }
    }
}

void V(kattn_queries_bwd)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, const void *state,
                          void *dstate_, void *ws)
{
    const struct kattn p = kattn_open(a, ws);
    const ptrdiff_t last = (ptrdiff_t)(first + count);
    float *dstate = dstate_, *dz = p.znext, *z = p.z;
    /* s holds dS: S itself is read transposed only */
    kattn_load_state(&p, NULL);
    memset(dz, 0, (size_t)p.ms * sizeof *dz);
    if (a->dq) {
        kattn_turn(state, p.dv, p.m, p.dv, 1, p.st, p.ms);
        kattn_load((const float *)state + p.m * p.dv, p.m, 1, p.m, 1, z, 1, p.ms);
    }
    for (ptrdiff_t t = (ptrdiff_t)first; t < last; t += p.tile) {
        const ptrdiff_t rows = kattn_least(p.tile, last - t);
        kattn_queries_of(&p, t, rows, p.phi, NULL);
        kattn_output_gradient(&p, t, rows);
        block_columns(p.m, p.dv, rows, p.phi, p.ms, p.g, p.vp, p.s, p.vp, 1);
        if (a->dq)
            block_rows(rows, p.m, p.dv, p.g, p.vp, p.st, p.ms, p.dphi, p.ms, 0);
        kattn_slope(&p, rows, p.phi, p.coef, z, dz);
        if (a->dq)
            kattn_query_inputs(&p, t, rows);
    }
    memcpy(z, dz, (size_t)p.ms * sizeof *z);
    memset(dstate + p.m * (p.dv + 1), 0, (size_t)(p.dv + SQA_KATTN_EXTRA) * sizeof *dstate);
    kattn_store_state(&p, dstate);
}

double V(kattn_keys_bwd)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, const void *state_,
                         const void *dstate, void *ws)
{
    const struct kattn p = kattn_open(a, ws);
    const float *state = state_;
    const ptrdiff_t last = kattn_last_key(a, first, count);
    const int shared = a->map == SQA_MAP_EXP && !a->causal;
    const double c = shared ? (double)state[p.m * (p.dv + 1) + p.dv + SQA_KATTN_C] * KATTN_LOG2E : 0;
    double all = 0;
    kattn_load_state(&p, dstate);
    kattn_turn(dstate, p.dv, p.m, p.dv, 1, p.st, p.ms);
    for (ptrdiff_t t = (ptrdiff_t)first; t < last; t += p.tile) {
        const ptrdiff_t rows = kattn_least(p.tile, last - t);
        kattn_load((const float *)a->v + t * a->v_stride, a->v_stride, rows, p.dv, 1, p.v, p.tile, p.vp);
        kattn_keys_of(&p, t, rows, (float)c, p.phi, NULL);
        block_rows(rows, p.m, p.dv, p.v, p.vp, p.st, p.ms, p.dphi, p.ms, 0);
        block_rows(rows, p.dv, p.m, p.phi, p.ms, p.s, p.vp, p.o, p.vp, 0);
        kattn_store(p.o, p.vp, rows, p.dv, (float *)a->dv_ + t * a->dv_stride, a->dv_stride);
        kattn_slope(&p, rows, p.phi, NULL, p.z, NULL);
        for (ptrdiff_t i = 0; i < rows; i++)
            all += (double)p.sum[i];
        kattn_key_inputs(&p, t, rows);
    }
    return all;
}
