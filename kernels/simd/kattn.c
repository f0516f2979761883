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

static struct block_lines rows_at(const void *x, ptrdiff_t t, ptrdiff_t stride, ptrdiff_t width)
{
    return (struct block_lines){x ? (const float *)x + t * stride : NULL, stride, x ? width : 0};
}

/* Values t, t + 1, ... where they lie, or copied when their rows need zeros behind. */
static struct block_lines values_of(const struct kattn *p, ptrdiff_t t, ptrdiff_t rows)
{
    const struct block_lines v = rows_at(p->a->v, t, p->a->v_stride, p->dv);
    if (p->dv == p->vp && rows == p->tile)
        return v;
    kattn_load(v.at, v.stride, rows, p->dv, 1, p->v, p->tile, p->vp);
    return (struct block_lines){p->v, p->vp, p->dv};
}

static void sum_values(struct block_lines v, ptrdiff_t rows, float *values)
{
    for (ptrdiff_t j = 0; j < v.width; j += W) {
        const size_t left = (size_t)(v.width - j);
        vf sum = v_load_part(values + j, left);
        for (ptrdiff_t i = 0; i < rows; i++)
            sum = v_add(sum, v_load_part(v.at + i * v.stride + j, left));
        v_store_part(values + j, left, sum);
    }
}

/* to = A times packed B, rows of dv numbers, multiplied by scale unless NULL; by way of o where a tile is not whole
 */
static void write_rows(const struct kattn *p, ptrdiff_t rows, const float *a, ptrdiff_t as, const float *panels,
                       const float *scale, float *to, ptrdiff_t stride, struct block_soon *soon)
{
    if (p->dv == p->vp && rows == p->tile) {
        block_panels(rows, p->dv, p->m, a, as, panels, to, stride, scale, soon);
        return;
    }
    block_panels(rows, p->dv, p->m, a, as, panels, p->o, p->vp, scale, soon);
    kattn_store(p->o, p->vp, rows, p->dv, to, stride);
}

/* What the next tile works on */
static struct block_soon next_tile(const struct kattn *p, struct block_lines a, struct block_lines b,
                                   struct block_lines c, struct block_lines d, ptrdiff_t pace)
{
    return (struct block_soon){{a, b, c, d}, p->tile, 2 * p->tile, pace};
}

/* The gradient of rows x from du, which the slopes leave in dphi, or where it belongs when features are direct. */
static struct kattn_slopes slopes_to(const struct kattn *p, const float *coef, const float *z, float *dz, float *dx,
                                     ptrdiff_t stride)
{
    return (struct kattn_slopes){p->phi, coef, z, dz, kattn_direct(p) ? dx : NULL, stride};
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
        const ptrdiff_t rows = smaller(p.tile, last - t);
        const struct block_lines v = values_of(&p, t, rows), none = {0};
        struct block_soon soon =
            next_tile(&p, rows_at(a->k, t, a->k_stride, p.d), rows_at(a->v, t, a->v_stride, p.dv), none, none, 4);
        if (shared) {
            kattn_project(&p, (const float *)a->k + t * a->k_stride, a->k_stride, rows, p.phi, &soon);
            raise_c(&p, t, rows, more, &c);
            for (ptrdiff_t i = 0; i < rows; i++)
                p.sub[i] += c;
            kattn_map_rows(
                &p, SQA_MAP_EXP, rows,
                &(struct kattn_make){
                    .x = p.phi, .stride = p.ms, .unit = 1, .phi = p.phi, .z = p.z, .add = 1, .soon = &soon});
            sum_values(v, rows, values);
        } else {
            kattn_keys_of(&p, t, rows, 0, p.phi, p.z, (struct kattn_make){.soon = &soon});
        }
        block_columns(p.m, p.dv, rows, p.phi, p.ms, v.at, v.stride, p.s, p.vp, 1, &soon);
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
    const float *s = state;
    block_pack(p.m, p.dv, s, p.dv, 1, 1, p.packed);
    kattn_load(s + p.m * p.dv, p.m, 1, p.m, 1, p.z, 1, p.ms);
    for (ptrdiff_t t = (ptrdiff_t)first; t < last; t += p.tile) {
        const ptrdiff_t rows = smaller(p.tile, last - t);
        float *y = (float *)a->y + t * a->y_stride;
        const struct block_lines none = {0};
        struct block_soon soon =
            next_tile(&p, rows_at(a->q, t, a->q_stride, p.d), rows_at(a->y, t, a->y_stride, p.dv), none, none, 4);
        kattn_queries_of(&p, t, rows, p.phi, (float *)a->den + t, (struct kattn_make){.soon = &soon});
        write_rows(&p, rows, p.phi, p.ms, p.packed, p.sum, y, a->y_stride, &soon);
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
        block_pack(p.dv, p.m, state, 1, p.dv, 1, p.st);
        kattn_load((const float *)state + p.m * p.dv, p.m, 1, p.m, 1, z, 1, p.ms);
    }
    for (ptrdiff_t t = (ptrdiff_t)first; t < last; t += p.tile) {
        const ptrdiff_t rows = smaller(p.tile, last - t);
        float *dq = a->dq ? (float *)a->dq + t * a->dq_stride : NULL;
        const struct kattn_slopes slopes = slopes_to(&p, p.coef, z, dz, dq, a->dq_stride);
        struct block_soon soon =
            next_tile(&p, rows_at(a->q, t, a->q_stride, p.d), rows_at(a->dy, t, a->dy_stride, p.dv),
                      rows_at(a->y, t, a->y_stride, p.dv), rows_at(a->dq, t, a->dq_stride, p.d), a->dq ? 2 : 4);
        kattn_queries_of(&p, t, rows, p.phi, NULL, (struct kattn_make){.soon = &soon});
        kattn_output_gradient(&p, t, rows);
        block_columns(p.m, p.dv, rows, p.phi, p.ms, p.g, p.vp, p.s, p.vp, 1, &soon);
        if (a->dq)
            block_panels(rows, p.m, p.dv, p.g, p.vp, p.st, p.dphi, p.ms, NULL, &soon);
        kattn_slope_of(&p, rows, &slopes);
        if (a->dq && !slopes.dx)
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
    const float *ds = dstate;
    kattn_load(ds + p.m * p.dv, p.m, 1, p.m, 1, p.z, 1, p.ms);
    block_pack(p.m, p.dv, ds, p.dv, 1, 1, p.packed);
    block_pack(p.dv, p.m, ds, 1, p.dv, 1, p.st);
    for (ptrdiff_t t = (ptrdiff_t)first; t < last; t += p.tile) {
        const ptrdiff_t rows = smaller(p.tile, last - t);
        float *dk = (float *)a->dk + t * a->dk_stride, *dv = (float *)a->dv_ + t * a->dv_stride;
        const struct block_lines v = values_of(&p, t, rows);
        const struct kattn_slopes slopes = slopes_to(&p, NULL, p.z, NULL, dk, a->dk_stride);
        struct block_soon soon =
            next_tile(&p, rows_at(a->k, t, a->k_stride, p.d), rows_at(a->v, t, a->v_stride, p.dv),
                      rows_at(a->dk, t, a->dk_stride, p.d), rows_at(a->dv_, t, a->dv_stride, p.dv), 2);
        kattn_keys_of(&p, t, rows, (float)c, p.phi, NULL, (struct kattn_make){.soon = &soon});
        block_panels(rows, p.m, p.dv, v.at, v.stride, p.st, p.dphi, p.ms, NULL, &soon);
        write_rows(&p, rows, p.phi, p.ms, p.packed, NULL, dv, a->dv_stride, &soon);
        kattn_slope_of(&p, rows, &slopes);
        for (ptrdiff_t i = 0; i < rows; i++)
            all += (double)p.sum[i];
        if (!slopes.dx)
            kattn_key_inputs(&p, t, rows);
    }
    return all;
}
