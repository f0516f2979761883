/*
 * matrix_scan.c - recurrences with a matrix for a state; f32
 *
 * matrix_scan: a tile of the matrix, ROWS rows of one vector of columns, stays in registers while time goes on; each
 * step costs a tile two or three multiplications a vector, which for heads of up to about 256 is no more than the
 * products of a chunked form would be. delta_scan: a step needs k^T M before it changes M, so M is swept once for
 * each t: the sweep that changes M by step t reads it for q_t and for k_(t+1) as well.
 */
#include "kernels/plain/plain.h"
#include "kernels/simd/vec.h"

enum { ROWS = 8, SIDE = 2 };

/* Rows i to i + R - 1 of the columns from j on, of which `left` count. add: y has sums of other rows. */
V_INLINE void tile(const int R, const enum sqa_decay kind, const int updates, const int readings,
                   const struct sqa_matrix_scan *s, int64_t i, int64_t j, size_t left, int add)
{
    const float *x = (const float *)s->x + i, *z = (const float *)s->z + j, *r = (const float *)s->r + i;
    const float *x2 = updates > 1 ? (const float *)s->x2 + i : NULL;
    const float *z2 = updates > 1 ? (const float *)s->z2 + j : NULL;
    const float *r2 = readings > 1 ? (const float *)s->r2 + i : NULL;
    const float *decay = (const float *)s->decay;
    float *state = (float *)s->state + i * s->columns + j, *y = (float *)s->y + j;
    float *y2 = readings > 1 ? (float *)s->y2 + j : NULL;
    vf m[ROWS];
    if (kind == SQA_DECAY_ROWS || kind == SQA_DECAY_COLUMNS)
        decay += kind == SQA_DECAY_ROWS ? i : j;
    V_UNROLL
    for (int k = 0; k < R; k++)
        m[k] = v_load_part(state + k * s->columns, left);
    for (int64_t t = 0; t < s->n; t++) {
        const vf zt = v_load_part(z, left), zt2 = updates > 1 ? v_load_part(z2, left) : v_zero();
        const vf fade = kind == SQA_DECAY_ONE       ? v_set(*decay)
                        : kind == SQA_DECAY_COLUMNS ? v_load_part(decay, left)
                                                    : v_zero();
        vf sum = add ? v_load_part(y, left) : v_zero(), odd = v_zero();
        vf sum2 = readings > 1 && add ? v_load_part(y2, left) : v_zero();
        V_UNROLL
        for (int k = 0; k < R; k++) {
            if (kind == SQA_DECAY_ROWS)
                m[k] = v_mul(v_set(decay[k]), m[k]);
            else if (kind != SQA_DECAY_NONE)
                m[k] = v_mul(fade, m[k]);
            m[k] = v_fma(v_set(x[k]), zt, m[k]);
            if (updates > 1)
                m[k] = v_fma(v_set(x2[k]), zt2, m[k]);
            if (k % 2)
                odd = v_fma(v_set(r[k]), m[k], odd);
            else
                sum = v_fma(v_set(r[k]), m[k], sum);
            if (readings > 1)
                sum2 = v_fma(v_set(r2[k]), m[k], sum2);
        }
        v_store_part(y, left, v_add(sum, odd));
        if (readings > 1) {
            v_store_part(y2, left, sum2);
            r2 += s->r2_stride;
            y2 += s->y2_stride;
        }
        if (updates > 1) {
            x2 += s->x2_stride;
            z2 += s->z2_stride;
        }
        if (kind != SQA_DECAY_NONE)
            decay += s->decay_stride;
        x += s->x_stride;
        z += s->z_stride;
        r += s->r_stride;
        y += s->y_stride;
    }
    V_UNROLL
    for (int k = 0; k < R; k++)
        v_store_part(state + k * s->columns, left, m[k]);
}

V_INLINE void tiles(const enum sqa_decay kind, const int updates, const int readings, const struct sqa_matrix_scan *s)
{
    for (int64_t j = 0; j < s->columns; j += W) {
        const size_t left = (size_t)(s->columns - j);
        int64_t i = 0;
        for (; i + ROWS <= s->rows; i += ROWS)
            if (left >= (size_t)W) /* a constant: whole vectors */
                tile(ROWS, kind, updates, readings, s, i, j, W, i > 0 || s->accumulate);
            else
                tile(ROWS, kind, updates, readings, s, i, j, left, i > 0 || s->accumulate);
        for (; i < s->rows; i++)
            tile(1, kind, updates, readings, s, i, j, left, i > 0 || s->accumulate);
    }
}

void V(matrix_scan)(const struct sqa_matrix_scan *s)
{
    if (s->x2)
        tiles(SQA_DECAY_NONE, 2, 1, s);
    else if (s->r2)
        tiles(SQA_DECAY_NONE, 1, 2, s);
    else if (s->kind == SQA_DECAY_NONE)
        tiles(SQA_DECAY_NONE, 1, 1, s);
    else if (s->kind == SQA_DECAY_ONE)
        tiles(SQA_DECAY_ONE, 1, 1, s);
    else if (s->kind == SQA_DECAY_ROWS)
        tiles(SQA_DECAY_ROWS, 1, 1, s);
    else
        tiles(SQA_DECAY_COLUMNS, 1, 1, s);
}

/* What one sweep of the rows of M does for N vectors of columns: M += k w^T + x z^T; y += q^T M; next += h^T M. */
struct sweep {
    const float *k, *x, *q, *h;
    vf w[SIDE], z[SIDE], y[SIDE], next[SIDE];
};

V_INLINE void sweep_rows(const int N, const int first, const int last, struct sweep *p, float *m, int64_t rows,
                         int64_t stride, size_t left)
{
    vf y[2][SIDE], next[2][SIDE], w[SIDE], z[SIDE];
    V_UNROLL
    for (int n = 0; n < N; n++) {
        y[0][n] = y[1][n] = next[0][n] = next[1][n] = v_zero();
        w[n] = p->w[n];
        z[n] = first ? p->z[n] : v_zero();
    }
    for (int64_t i = 0; i < rows; i += 2) {
        V_UNROLL
        for (int odd = 0; odd < 2; odd++) {
            if (i + odd >= rows)
                break;
            const vf k = v_set(p->k[i + odd]), h = v_set(p->h[i + odd]);
            float *row = m + (i + odd) * stride;
            V_UNROLL
            for (int n = 0; n < N; n++) {
                vf v = v_fma(k, w[n], v_load_part(row + n * W, left));
                if (first)
                    v = v_fma(v_set(p->x[i + odd]), z[n], v);
                v_store_part(row + n * W, left, v);
                if (last)
                    y[odd][n] = v_fma(v_set(p->q[i + odd]), v, y[odd][n]);
                next[odd][n] = v_fma(h, v, next[odd][n]);
            }
        }
    }
    V_UNROLL
    for (int n = 0; n < N; n++) {
        p->y[n] = v_add(y[0][n], y[1][n]);
        p->next[n] = v_add(next[0][n], next[1][n]);
    }
}

/* N vectors of columns from j on. first: there is an update x z^T before each step; last: there is a q. Step t's
 * sweep brings the first update of step t + 1, and the sweep before step 0 that of step 0. */
V_INLINE void delta_columns(const int N, const int first, const int last, const struct sqa_delta_scan *s, int64_t j,
                            size_t left)
{
    const float *k = s->k, *beta = s->beta, *v = s->v;
    struct sweep p = {.k = k, .h = k, .x = s->x, .q = k};
    for (int n = 0; n < N; n++) {
        p.w[n] = v_zero();
        p.z[n] = first ? v_load_part((const float *)s->z + j + n * W, left) : v_zero();
    }
    if (s->n > 0)
        sweep_rows(N, first, 0, &p, (float *)s->state + j, s->rows, s->columns, left);
    for (int64_t t = 0; t < s->n; t++) {
        const int64_t after = t + 1 < s->n ? t + 1 : t;
        for (int n = 0; n < N; n++) {
            const vf e = v_sub(v ? v_load_part(v + t * s->v_stride + j + n * W, left) : v_zero(), p.next[n]);
            v_store_part((float *)s->e + t * s->e_stride + j + n * W, left, e);
            p.w[n] = v_mul(v_set(beta[t * s->beta_stride]), e);
            if (first)
                p.z[n] =
                    after > t ? v_load_part((const float *)s->z + after * s->z_stride + j + n * W, left) : v_zero();
        }
        p.k = k + t * s->k_stride;
        p.h = k + after * s->k_stride;
        p.x = first ? (const float *)s->x + after * s->x_stride : NULL;
        p.q = last ? (const float *)s->q + t * s->q_stride : NULL;
        sweep_rows(N, first, last, &p, (float *)s->state + j, s->rows, s->columns, left);
        for (int n = 0; n < N && last; n++)
            v_store_part((float *)s->y + t * s->y_stride + j + n * W, left, p.y[n]);
    }
}

V_INLINE void delta_all(const int first, const int last, const struct sqa_delta_scan *s)
{
    int64_t j = 0;
    for (; j + SIDE * W <= s->columns; j += SIDE * W)
        delta_columns(SIDE, first, last, s, j, W);
    for (; j < s->columns; j += W)
        delta_columns(1, first, last, s, j, (size_t)(s->columns - j));
}

void V(delta_scan)(const struct sqa_delta_scan *s)
{
    if (s->x)
        delta_all(1, 0, s);
    else if (s->q)
        delta_all(0, 1, s);
    else
        delta_all(0, 0, s);
}
