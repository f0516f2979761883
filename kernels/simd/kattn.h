/*
 * kattn.h - what the kernels of attention by features share: padded tiles, features and their gradients
 *
 * A tile is some rows of one head. Its matrices are copied to the workspace with rows rounded up and zeros behind, so
 * that products (block.h) need no remainders. In the map EXP exponents are in units of log 2 until the map is done.
 */
#ifndef SQA_KERNELS_SIMD_KATTN_H
#define SQA_KERNELS_SIMD_KATTN_H

#include <math.h>
#include <string.h>

#include "kernels/plain/plain.h"
#include "kernels/simd/block.h"

#define KATTN_LOG2E 1.4426950408889634
#define KATTN_LN2 0.6931471805599453

enum { KATTN_TILE = BLOCK_ROWS * (W == 8 ? 8 : 4) };

struct kattn {
    const struct sqa_kernel_attention *a;
    ptrdiff_t d, m, dv;
    ptrdiff_t dp, vp;         /* d and dv rounded up: strides of x, g, v, o */
    ptrdiff_t ms, mr;         /* m rounded up: stride of features, rows of s */
    ptrdiff_t tile, cols;     /* rows of a tile, and that rounded up as columns */
    float *wt, *wn;           /* scaled W, packed: (d, ms) in units of the map, (m, dp) */
    float *s, *z, *st;        /* sums (mr, vp), (ms), and s transposed (dv, ms), packed when not causal */
    float *packed;            /* s (m, vp) */
    float *znext;             /* (ms) */
    float *x, *g, *v, *o;     /* (tile, dp or vp); o the larger */
    float *phi, *phi2, *dphi; /* (tile, ms) */
    float *sub, *coef, *sum;  /* (tile): exponent's subtrahend; gden; sums of slopes */
    ptrdiff_t *at;            /* (tile): feature of a query's c */
    /* causal */
    float *turned;    /* (m or dv, cols) */
    float *att, *dat; /* (tile, cols) */
};

static inline float *kattn_take(float *base, size_t *at, ptrdiff_t n)
{
    float *p = base ? base + *at : NULL;
    *at += (size_t)block_up(n, 16);
    return p;
}

/* Places in the workspace; returns its bytes. ws NULL: only those. */
static inline size_t kattn_layout(const struct sqa_kernel_attention *a, void *ws, struct kattn *p)
{
    const ptrdiff_t m = (ptrdiff_t)a->m, d = (ptrdiff_t)a->d, dv = (ptrdiff_t)a->dv;
    size_t n = 0;
    *p = (struct kattn){.a = a, .d = d, .m = m, .dv = dv};
    p->dp = block_up(d, BLOCK_COLUMNS);
    p->vp = block_up(dv, BLOCK_COLUMNS);
    p->mr = block_covered(m);
    p->ms = block_up(p->mr, BLOCK_COLUMNS);
    if (p->ms % 64 == 0) /* rows would meet in few places of the cache */
        p->ms += BLOCK_COLUMNS;
    p->tile = a->causal && a->chunk > 0 ? block_up((ptrdiff_t)a->chunk, BLOCK_ROWS) : KATTN_TILE;
    p->cols = block_up(p->tile, BLOCK_COLUMNS);
    p->wt = a->w ? kattn_take(ws, &n, d * p->ms) : NULL;
    p->wn = a->w ? kattn_take(ws, &n, m * p->dp) : NULL;
    p->s = kattn_take(ws, &n, p->mr * p->vp);
    p->z = kattn_take(ws, &n, p->ms);
    p->znext = kattn_take(ws, &n, p->ms);
    p->st = kattn_take(ws, &n, dv * p->ms);
    p->packed = a->causal ? NULL : kattn_take(ws, &n, m * p->vp);
    p->x = kattn_take(ws, &n, p->tile * p->dp);
    p->g = kattn_take(ws, &n, p->tile * p->vp);
    p->v = kattn_take(ws, &n, p->tile * p->vp);
    p->o = kattn_take(ws, &n, p->tile * (p->vp > p->dp ? p->vp : p->dp));
    p->phi = kattn_take(ws, &n, p->tile * p->ms);
    p->phi2 = kattn_take(ws, &n, p->tile * p->ms);
    p->dphi = kattn_take(ws, &n, p->tile * p->ms);
    p->sub = kattn_take(ws, &n, p->tile);
    p->coef = kattn_take(ws, &n, p->tile);
    p->sum = kattn_take(ws, &n, p->tile);
    p->at = (void *)kattn_take(ws, &n, 2 * p->tile);
    if (a->causal) {
        p->turned = kattn_take(ws, &n, (m > dv ? m : dv) * p->cols);
        p->att = kattn_take(ws, &n, p->tile * p->cols);
        p->dat = kattn_take(ws, &n, p->tile * p->cols);
    }
    return n * sizeof(float);
}

/* rows x width, scaled, to a buffer of all_rows x all_width; zeros behind. Widths of buffers are multiples of W. */
static inline void kattn_load(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, float scale,
                              float *to, ptrdiff_t all_rows, ptrdiff_t all_width)
{
    const vf factor = v_set(scale);
    for (ptrdiff_t r = 0; r < rows; r++) {
        ptrdiff_t c = 0;
        for (; c < width; c += W)
            v_store(to + r * all_width + c, v_mul(factor, v_load_part(from + r * stride + c, (size_t)(width - c))));
        for (; c < all_width; c += W)
            v_store(to + r * all_width + c, v_zero());
    }
    memset(to + rows * all_width, 0, (size_t)((all_rows - rows) * all_width) * sizeof *to);
}

static inline void kattn_store(const float *from, ptrdiff_t from_stride, ptrdiff_t rows, ptrdiff_t width, float *to,
                               ptrdiff_t stride)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < width; c += W)
            v_store_part(to + r * stride + c, (size_t)(width - c), v_load(from + r * from_stride + c));
}

/* to[c][r] = scale from[r][c]; columns rows .. all_rows - 1 of `to` become 0. */
static inline void kattn_turn(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, float scale,
                              float *to, ptrdiff_t all_rows)
{
    for (ptrdiff_t c = 0; c < width; c++) {
        float *row = to + c * all_rows;
        for (ptrdiff_t r = 0; r < rows; r++)
            row[r] = scale * from[r * stride + c];
        for (ptrdiff_t r = rows; r < all_rows; r++)
            row[r] = 0;
    }
}

static inline float kattn_unit(const struct kattn *p)
{
    return (float)(p->a->scale * (p->a->map == SQA_MAP_EXP ? KATTN_LOG2E : 1));
}

static inline struct kattn kattn_open(const struct sqa_kernel_attention *a, void *ws)
{
    struct kattn p;
    (void)kattn_layout(a, ws, &p);
    if (!a->w)
        return p;
    block_pack(p.d, p.m, a->w, 1, p.d, kattn_unit(&p), p.wt);
    if (a->dq || a->dk)
        block_pack(p.m, p.d, a->w, p.d, 1, (float)a->scale, p.wn);
    return p;
}

/* s and z from a state, or zeros. */
static inline void kattn_load_state(const struct kattn *p, const float *state)
{
    if (state) {
        kattn_load(state, p->dv, p->m, p->dv, 1, p->s, p->mr, p->vp);
        kattn_load(state + p->m * p->dv, p->m, 1, p->m, 1, p->z, 1, p->ms);
    } else {
        memset(p->s, 0, (size_t)(p->mr * p->vp) * sizeof *p->s);
        memset(p->z, 0, (size_t)p->ms * sizeof *p->z);
    }
}

static inline void kattn_store_state(const struct kattn *p, float *state)
{
    kattn_store(p->s, p->vp, p->m, p->dv, state, p->dv);
    memcpy(state + p->m * p->dv, p->z, (size_t)p->m * sizeof *state);
}

/* Features */

static inline float kattn_squares(const float *x, ptrdiff_t n)
{
    vf sum = v_zero();
    for (ptrdiff_t i = 0; i < n; i += W) {
        const vf xi = v_load_part(x + i, (size_t)(n - i));
        sum = v_fma(xi, xi, sum);
    }
    return v_sum(sum);
}

/* Can features be made of x as it lies? Else u is made of a whole tile first. */
static inline int kattn_direct(const struct kattn *p)
{
    return !p->a->w && p->a->map != SQA_MAP_EXP;
}

/* u of a tile, and in EXP the halves of |x|^2. */
static inline void kattn_project(const struct kattn *p, const float *x, ptrdiff_t stride, ptrdiff_t rows, float *u,
                                 struct block_soon *soon)
{
    if (p->a->w) {
        kattn_load(x, stride, rows, p->d, 1, p->x, p->tile, p->dp);
        block_panels(rows, p->m, p->d, p->x, p->dp, p->wt, u, p->ms, NULL, soon);
    } else {
        kattn_load(x, stride, rows, p->d, kattn_unit(p), u, p->tile, p->ms);
    }
    if (p->a->map != SQA_MAP_EXP)
        return;
    const float half = (float)(p->a->scale * p->a->scale * KATTN_LOG2E / 2);
    for (ptrdiff_t t = 0; t < rows; t++)
        p->sub[t] = half * kattn_squares(x + t * stride, p->d);
}

/* The largest of n >= 1 numbers; lanes from n up to the next multiple of W are read, and left out. */
static inline float kattn_top(const float *u, ptrdiff_t n)
{
    const vf low = v_set(-HUGE_VALF);
    vf a = low, b = low, c = low, d = low;
    ptrdiff_t f = 0;
    for (; f + 4 * W <= n; f += 4 * W) {
        a = v_max(a, v_load(u + f));
        b = v_max(b, v_load(u + f + W));
        c = v_max(c, v_load(u + f + 2 * W));
        d = v_max(d, v_load(u + f + 3 * W));
    }
    for (; f < n; f += W)
        a = v_max(a, v_keep(v_load(u + f), (size_t)(n - f), low));
    return v_top(v_max(v_max(a, b), v_max(c, d)));
}

/* The first place of a number among n, which is there. */
static inline ptrdiff_t kattn_find(const float *u, ptrdiff_t n, float x)
{
    const vf key = v_set(x), one = v_set(1.0f);
    ptrdiff_t f = 0;
    for (; f + 4 * W <= n; f += 4 * W) {
        const vf a = v_max(v_select(v_eq(v_load(u + f), key), one, v_zero()),
                           v_select(v_eq(v_load(u + f + W), key), one, v_zero()));
        const vf b = v_max(v_select(v_eq(v_load(u + f + 2 * W), key), one, v_zero()),
                           v_select(v_eq(v_load(u + f + 3 * W), key), one, v_zero()));
        if (v_top(v_max(a, b)) > 0)
            break;
    }
    while (f < n - 1 && u[f] != x)
        f++;
    return f;
}

V_INLINE vf kattn_map(enum sqa_feature_map map, vf u, vf sub, vf eps)
{
    if (map == SQA_MAP_ELU1) {
        const vf low = v_exp2_neg(v_mul(v_min(v_zero(), u), v_set((float)KATTN_LOG2E)));
        return v_select(v_gt(u, v_zero()), v_add(u, v_set(1.0f)), low);
    }
    if (map == SQA_MAP_RELU)
        return v_add(v_max(v_zero(), u), eps);
    if (map == SQA_MAP_NONE)
        return u;
    return v_add(v_exp2_neg(v_min(v_set(127.0f), v_sub(u, sub))), eps);
}

/* A denominator, not less than den_min where there is one */
static inline float kattn_limit(const struct kattn *p, float den)
{
    const float least = (float)p->a->den_min;
    return least > 0 && !(den > least) ? least : den;
}

/* What makes the features of a tile: u lies at x in rows of stride, times unit. add: z += phi. Else z is NULL, or
 * den[t] = den_eps + phi . z and inverse[t] = 1 / den[t]. phi is 0 in the lanes behind m. */
struct kattn_make {
    const float *x;
    ptrdiff_t stride;
    float unit, eps;
    float *phi, *z;
    int add;
    float *den, *inverse;
    struct block_soon *soon; /* or NULL */
};

/* `count` rows from x on, a constant wherever this is inlined, W of their features, those from `left` on left out */
V_INLINE void kattn_map_at(enum sqa_feature_map map, const float *x, ptrdiff_t stride, vf unit, vf eps, float *phi,
                           ptrdiff_t ms, float *z, int add, size_t left, const vf sub[4], vf sum[4], const int count)
{
    const vf w = z ? v_load(z) : v_zero();
    vf all = w;
    V_UNROLL
    for (int r = 0; r < count; r++) {
        const vf u = v_mul(unit, v_load_part(x + r * stride, left));
        const vf y = v_keep(kattn_map(map, u, sub[r], eps), left, v_zero());
        v_store(phi + r * ms, y);
        if (add)
            all = v_add(all, y);
        else
            sum[r] = v_fma(y, w, sum[r]);
    }
    if (add)
        v_store(z, all);
}

V_INLINE void kattn_map_some(const struct kattn *p, enum sqa_feature_map map, const struct kattn_make *k, ptrdiff_t t,
                             int add, const int count)
{
    const vf eps = v_set(k->eps), unit = v_set(k->unit);
    const ptrdiff_t m = p->m, stride = k->stride, ms = p->ms;
    const float *x = k->x + t * stride;
    float *phi = k->phi + t * ms, *z = k->z;
    vf sub[4], sum[4];
    ptrdiff_t f = 0;
    V_UNROLL
    for (int r = 0; r < count; r++) {
        sub[r] = map == SQA_MAP_EXP ? v_set(p->sub[t + r]) : v_zero();
        sum[r] = v_zero();
    }
    for (; f + W <= m; f += W)
        kattn_map_at(map, x + f, stride, unit, eps, phi + f, ms, z ? z + f : NULL, add, W, sub, sum, count);
    if (f < m)
        kattn_map_at(map, x + f, stride, unit, eps, phi + f, ms, z ? z + f : NULL, add, (size_t)(m - f), sub, sum,
                     count);
    for (int r = 0; r < count && z && !add; r++) {
        k->den[t + r] = (float)p->a->den_eps + v_sum(sum[r]);
        if (!p->a->causal)
            k->den[t + r] = kattn_limit(p, k->den[t + r]);
        k->inverse[t + r] = 1 / k->den[t + r];
    }
}

V_INLINE void kattn_map_rows(const struct kattn *p, enum sqa_feature_map map, ptrdiff_t rows,
                             const struct kattn_make *k)
{
    ptrdiff_t t = 0;
    for (; t + 4 <= rows && k->add; t += 4)
        kattn_map_some(p, map, k, t, 1, 4);
    for (; t + 4 <= rows; t += 4)
        kattn_map_some(p, map, k, t, 0, 4);
    for (; t < rows; t++)
        kattn_map_some(p, map, k, t, k->add, 1);
}

static inline void kattn_map_tile(const struct kattn *p, ptrdiff_t rows, const struct kattn_make *k)
{
    if (p->a->map == SQA_MAP_ELU1)
        kattn_map_rows(p, SQA_MAP_ELU1, rows, k);
    else if (p->a->map == SQA_MAP_RELU)
        kattn_map_rows(p, SQA_MAP_RELU, rows, k);
    else if (p->a->map == SQA_MAP_NONE)
        kattn_map_rows(p, SQA_MAP_NONE, rows, k);
    else
        kattn_map_rows(p, SQA_MAP_EXP, rows, k);
}

/* Sets where u lies: where x does, or in the place of phi. */
static inline void kattn_inputs_of(const struct kattn *p, const float *x, ptrdiff_t stride, ptrdiff_t rows,
                                   struct kattn_make *k)
{
    if (kattn_direct(p)) {
        k->x = x;
        k->stride = stride;
        k->unit = kattn_unit(p);
    } else {
        kattn_project(p, x, stride, rows, k->phi, k->soon);
        k->x = k->phi;
        k->stride = p->ms;
        k->unit = 1;
    }
}

/* phi of queries t, t + 1, ...; den (tile): NULL, or den_eps + phi . z, and its inverse in sum. The rest of `k` is
 * set, or 0. */
static inline void kattn_queries_of(const struct kattn *p, ptrdiff_t t, ptrdiff_t rows, float *phi, float *den,
                                    struct kattn_make k)
{
    const struct sqa_kernel_attention *a = p->a;
    k.phi = phi;
    k.eps = (float)a->eps;
    k.z = den ? p->z : NULL;
    k.den = den;
    k.inverse = p->sum;
    kattn_inputs_of(p, (const float *)a->q + t * a->q_stride, a->q_stride, rows, &k);
    for (ptrdiff_t i = 0; i < rows && a->map == SQA_MAP_EXP && p->m > 0; i++) {
        const float top = kattn_top(phi + i * p->ms, p->m);
        p->sub[i] += top;
        if (a->dq)
            p->at[i] = kattn_find(phi + i * p->ms, p->m, top);
    }
    kattn_map_tile(p, rows, &k);
}

/* phi of keys t, t + 1, ... with a given c, in units of log 2; z: NULL or += phi */
static inline void kattn_keys_of(const struct kattn *p, ptrdiff_t t, ptrdiff_t rows, float c, float *phi, float *z,
                                 struct kattn_make k)
{
    const struct sqa_kernel_attention *a = p->a;
    k.phi = phi;
    k.eps = (float)a->eps;
    k.z = z;
    k.add = z != NULL;
    kattn_inputs_of(p, (const float *)a->k + t * a->k_stride, a->k_stride, rows, &k);
    for (ptrdiff_t i = 0; i < rows && a->map == SQA_MAP_EXP; i++)
        p->sub[i] += c;
    kattn_map_tile(p, rows, &k);
}

/* Gradients of features */

/* g = dy / den and coef = gden = -(dy . y) / den of rows t, t + 1, ... */
static inline void kattn_output_gradient(const struct kattn *p, ptrdiff_t t, ptrdiff_t rows)
{
    const struct sqa_kernel_attention *a = p->a;
    memset(p->g + rows * p->vp, 0, (size_t)((p->tile - rows) * p->vp) * sizeof *p->g);
    for (ptrdiff_t i = 0; i < rows; i++) {
        const float *dy = (const float *)a->dy + (t + i) * a->dy_stride;
        const float *y = (const float *)a->y + (t + i) * a->y_stride;
        const float inverse = 1 / ((const float *)a->den)[t + i];
        vf sum = v_zero();
        for (ptrdiff_t j = 0; j < p->vp; j += W) {
            const size_t left = j < p->dv ? (size_t)(p->dv - j) : 0;
            const vf dyj = left ? v_load_part(dy + j, left) : v_zero();
            if (left)
                sum = v_fma(dyj, v_load_part(y + j, left), sum);
            v_store(p->g + i * p->vp + j, v_mul(dyj, v_set(inverse)));
        }
        p->coef[i] = -v_sum(sum) * inverse;
        if (a->den_min > 0 && ((const float *)a->den)[t + i] <= (float)a->den_min)
            p->coef[i] = 0;
    }
}

/* dphi + coef z^T becomes du = slope (dphi + coef z^T), in units of scale; sum: of du of a row; dz += coef phi. dx:
 * NULL, or where scale du goes instead, of `count` rows from t on. */
struct kattn_slopes {
    const float *phi, *coef, *z;
    float *dz, *dx;
    ptrdiff_t dx_stride;
};

V_INLINE void kattn_slope_at(enum sqa_feature_map map, const float *phi, ptrdiff_t ms, const float *dphi,
                             const float *z, float *dz, float *to, ptrdiff_t stride, vf scale, vf eps, size_t left,
                             const vf c[4], vf sum[4], const int count)
{
    const vf w = v_load(z);
    vf all = dz ? v_load(dz) : v_zero();
    V_UNROLL
    for (int r = 0; r < count; r++) {
        const vf y = v_load(phi + r * ms);
        vf du = v_fma(c[r], w, v_load(dphi + r * ms));
        all = v_fma(c[r], y, all);
        if (map == SQA_MAP_ELU1)
            du = v_mul(du, v_min(v_set(1.0f), y));
        else if (map == SQA_MAP_RELU)
            du = v_select(v_gt(y, eps), du, v_zero());
        else if (map == SQA_MAP_EXP)
            du = v_mul(du, v_sub(y, eps));
        if (map == SQA_MAP_EXP)
            sum[r] = v_add(sum[r], du);
        v_store_part(to + r * stride, left, v_mul(scale, du));
    }
    if (dz)
        v_store(dz, all);
}

V_INLINE void kattn_slope_some(const struct kattn *p, enum sqa_feature_map map, const struct kattn_slopes *k,
                               ptrdiff_t t, const int count)
{
    const vf eps = v_set((float)p->a->eps), scale = v_set(k->dx ? (float)p->a->scale : 1);
    const ptrdiff_t m = p->m, ms = p->ms, stride = k->dx ? k->dx_stride : ms;
    const float *phi = k->phi + t * ms, *dphi = p->dphi + t * ms, *z = k->z;
    float *dz = k->dz, *to = k->dx ? k->dx + t * stride : p->dphi + t * ms;
    vf c[4], sum[4];
    ptrdiff_t f = 0;
    V_UNROLL
    for (int r = 0; r < count; r++) {
        c[r] = v_set(k->coef ? k->coef[t + r] : 1);
        sum[r] = v_zero();
    }
    for (; f + W <= m; f += W)
        kattn_slope_at(map, phi + f, ms, dphi + f, z + f, dz ? dz + f : NULL, to + f, stride, scale, eps, W, c, sum,
                       count);
    if (f < m)
        kattn_slope_at(map, phi + f, ms, dphi + f, z + f, dz ? dz + f : NULL, to + f, stride, scale, eps,
                       k->dx ? (size_t)(m - f) : (size_t)W, c, sum, count);
    V_UNROLL
    for (int r = 0; r < count; r++)
        p->sum[t + r] = map == SQA_MAP_EXP ? v_sum(sum[r]) : 0;
}

V_INLINE void kattn_slope_rows(const struct kattn *p, enum sqa_feature_map map, ptrdiff_t rows,
                               const struct kattn_slopes *k)
{
    ptrdiff_t t = 0;
    for (; t + 4 <= rows; t += 4)
        kattn_slope_some(p, map, k, t, 4);
    for (; t < rows; t++)
        kattn_slope_some(p, map, k, t, 1);
}

static inline void kattn_slope_of(const struct kattn *p, ptrdiff_t rows, const struct kattn_slopes *k)
{
    if (p->a->map == SQA_MAP_ELU1)
        kattn_slope_rows(p, SQA_MAP_ELU1, rows, k);
    else if (p->a->map == SQA_MAP_RELU)
        kattn_slope_rows(p, SQA_MAP_RELU, rows, k);
    else if (p->a->map == SQA_MAP_NONE)
        kattn_slope_rows(p, SQA_MAP_NONE, rows, k);
    else
        kattn_slope_rows(p, SQA_MAP_EXP, rows, k);
}

static inline void kattn_slope(const struct kattn *p, ptrdiff_t rows, const float *phi, const float *coef,
                               const float *z, float *dz)
{
    const struct kattn_slopes k = {phi, coef, z, dz, NULL, 0};
    kattn_slope_of(p, rows, &k);
}

/* dx of a tile from du in dphi. */
static inline void kattn_inputs(const struct kattn *p, ptrdiff_t rows, const float *x, ptrdiff_t x_stride, float *dx,
                                ptrdiff_t dx_stride)
{
    const float *from = p->dphi;
    ptrdiff_t stride = p->ms;
    float factor = (float)p->a->scale;
    if (p->a->w) {
        block_panels(rows, p->d, p->m, p->dphi, p->ms, p->wn, p->o, p->dp, NULL, NULL);
        from = p->o;
        stride = p->dp;
        factor = 1;
    }
    const float square = p->a->map == SQA_MAP_EXP ? (float)(p->a->scale * p->a->scale) : 0;
    for (ptrdiff_t t = 0; t < rows; t++) {
        const vf c = v_set(square * p->sum[t]), s = v_set(factor);
        for (ptrdiff_t i = 0; i < p->d; i += W) {
            const size_t left = (size_t)(p->d - i);
            const vf du = v_mul(s, v_load(from + t * stride + i));
            v_store_part(dx + t * dx_stride + i, left,
                         square != 0 ? v_fnma(c, v_load_part(x + t * x_stride + i, left), du) : du);
        }
    }
}

/* dq of queries t, ... from dphi; a query's c moves with the feature that it came from. */
static inline void kattn_query_inputs(const struct kattn *p, ptrdiff_t t, ptrdiff_t rows)
{
    const struct sqa_kernel_attention *a = p->a;
    for (ptrdiff_t i = 0; i < rows && a->map == SQA_MAP_EXP && p->m > 0; i++)
        p->dphi[i * p->ms + p->at[i]] -= p->sum[i];
    kattn_inputs(p, rows, (const float *)a->q + t * a->q_stride, a->q_stride, (float *)a->dq + t * a->dq_stride,
                 a->dq_stride);
}

static inline void kattn_key_inputs(const struct kattn *p, ptrdiff_t t, ptrdiff_t rows)
{
    const struct sqa_kernel_attention *a = p->a;
    kattn_inputs(p, rows, (const float *)a->k + t * a->k_stride, a->k_stride, (float *)a->dk + t * a->dk_stride,
                 a->dk_stride);
}

static inline ptrdiff_t kattn_last_key(const struct sqa_kernel_attention *a, int64_t first, int64_t count)
{
    return (ptrdiff_t)(first + count < a->keys ? first + count : a->keys);
}

#endif
