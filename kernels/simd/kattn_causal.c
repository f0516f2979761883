/* kattn_causal.c - attention by features, causal, in chunks; f32
 *
 * Inside a chunk weights phi(q) phi(k)^T are made and their upper triangle cleared; between chunks sums are kept in s
 * and z. */
#include "kernels/simd/kattn.h"

/* att = x y^T of a chunk, lower triangle. x (rows, n) with stride; y turned (n, cols) lies in p->turned. plus[i] is
 * added to row i. */
static void triangle(const struct kattn *p, ptrdiff_t rows, ptrdiff_t n, const float *x, ptrdiff_t stride,
                     const float *plus, float *att)
{
    block_rows(rows, rows, n, x, stride, p->turned, p->cols, att, p->cols, 0);
    for (ptrdiff_t i = 0; i < p->tile; i++) {
        float *row = att + i * p->cols;
        const ptrdiff_t kept = i < rows ? i + 1 : 0;
        for (ptrdiff_t j = 0; j < kept && plus; j++)
            row[j] += plus[i];
        memset(row + kept, 0, (size_t)(p->cols - kept) * sizeof *row);
    }
}

/* phi of a chunk's keys, 0 where not valid, and their values. z: NULL or += phi */
static void keys_of(const struct kattn *p, ptrdiff_t t, ptrdiff_t rows, float *phi, float *z)
{
    const struct sqa_kernel_attention *a = p->a;
    const ptrdiff_t left = (ptrdiff_t)a->keys - t, valid = left < 0 ? 0 : smaller(rows, left);
    kattn_load((const float *)a->v + t * a->v_stride, a->v_stride, valid, p->dv, 1, p->v, p->tile, p->vp);
    kattn_keys_of(p, t, valid, 0, phi, z, (struct kattn_make){0});
    memset(phi + valid * p->ms, 0, (size_t)((p->tile - valid) * p->ms) * sizeof *phi);
}

void V(kattn_causal)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state, void *ws)
{
    const struct kattn p = kattn_open(a, ws);
    const ptrdiff_t last = (ptrdiff_t)(first + count), chunk = (ptrdiff_t)a->chunk;
    kattn_load_state(&p, state);
    for (ptrdiff_t t = (ptrdiff_t)first; t < last; t += chunk) {
        const ptrdiff_t rows = smaller(chunk, last - t);
        float *den = (float *)a->den + t;
        kattn_queries_of(&p, t, rows, p.phi, den, (struct kattn_make){0});
        keys_of(&p, t, rows, p.phi2, p.z);
        kattn_turn(p.phi2, p.ms, rows, p.m, 1, p.turned, p.cols);
        triangle(&p, rows, p.m, p.phi, p.ms, NULL, p.att);
        block_rows(rows, p.dv, p.m, p.phi, p.ms, p.s, p.vp, p.o, p.vp, 0);
        block_rows(rows, p.dv, rows, p.att, p.cols, p.v, p.vp, p.o, p.vp, 1);
        block_columns(p.m, p.dv, rows, p.phi2, p.ms, p.v, p.vp, p.s, p.vp, 1, NULL);
        for (ptrdiff_t i = 0; i < rows; i++) {
            vf sum = v_zero();
            for (ptrdiff_t j = 0; j <= i; j += W)
                sum = v_add(sum, v_load(p.att + i * p.cols + j));
            den[i] = kattn_limit(&p, den[i] + v_sum(sum));
            const vf inverse = v_set(1 / den[i]);
            float *y = (float *)a->y + (t + i) * a->y_stride;
            for (ptrdiff_t j = 0; j < p.dv; j += W)
                v_store_part(y + j, (size_t)(p.dv - j), v_mul(inverse, v_load(p.o + i * p.vp + j)));
        }
    }
    kattn_store_state(&p, state);
}

/* dat = lower triangle of g v^T + gden */
static void weight_gradient(const struct kattn *p, ptrdiff_t rows)
{
    kattn_turn(p->v, p->vp, rows, p->dv, 1, p->turned, p->cols);
    triangle(p, rows, p->dv, p->g, p->vp, p->coef, p->dat);
}

void V(kattn_causal_bwd_q)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state, void *ws)
{
    const struct kattn p = kattn_open(a, ws);
    const ptrdiff_t last = (ptrdiff_t)(first + count), chunk = (ptrdiff_t)a->chunk;
    kattn_load_state(&p, state);
    for (ptrdiff_t t = (ptrdiff_t)first; t < last; t += chunk) {
        const ptrdiff_t rows = smaller(chunk, last - t);
        memcpy(p.znext, p.z, (size_t)p.ms * sizeof *p.z);
        keys_of(&p, t, rows, p.phi2, p.znext);
        kattn_queries_of(&p, t, rows, p.phi, NULL, (struct kattn_make){0});
        kattn_output_gradient(&p, t, rows);
        weight_gradient(&p, rows);
        kattn_turn(p.s, p.vp, p.m, p.dv, 1, p.st, p.ms);
        block_rows(rows, p.m, p.dv, p.g, p.vp, p.st, p.ms, p.dphi, p.ms, 0);
        block_rows(rows, p.m, rows, p.dat, p.cols, p.phi2, p.ms, p.dphi, p.ms, 1);
        kattn_slope(&p, rows, p.phi, p.coef, p.z, NULL);
        kattn_query_inputs(&p, t, rows);
        block_columns(p.m, p.dv, rows, p.phi2, p.ms, p.v, p.vp, p.s, p.vp, 1, NULL);
        memcpy(p.z, p.znext, (size_t)p.ms * sizeof *p.z);
    }
    kattn_store_state(&p, state);
}

/* z += coef phi over a chunk's queries */
static void add_weighted(const struct kattn *p, ptrdiff_t rows)
{
    for (ptrdiff_t t = 0; t < rows; t++) {
        const vf c = v_set(p->coef[t]);
        for (ptrdiff_t f = 0; f < p->m; f += W)
            v_store(p->z + f, v_fma(c, v_load(p->phi + t * p->ms + f), v_load(p->z + f)));
    }
}

void V(kattn_causal_bwd_k)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *dstate, void *ws)
{
    const struct kattn p = kattn_open(a, ws);
    const ptrdiff_t begin = (ptrdiff_t)first, chunk = (ptrdiff_t)a->chunk;
    kattn_load_state(&p, dstate);
    for (ptrdiff_t t = begin + ((ptrdiff_t)count - 1) / chunk * chunk; t >= begin; t -= chunk) {
        const ptrdiff_t rows = smaller(chunk, begin + (ptrdiff_t)count - t);
        const ptrdiff_t left = (ptrdiff_t)a->keys - t, valid = left < 0 ? 0 : smaller(rows, left);
        keys_of(&p, t, rows, p.phi2, NULL);
        kattn_queries_of(&p, t, rows, p.phi, NULL, (struct kattn_make){0});
        kattn_output_gradient(&p, t, rows);
        kattn_turn(p.phi2, p.ms, rows, p.m, 1, p.turned, p.cols);
        triangle(&p, rows, p.m, p.phi, p.ms, NULL, p.att);
        weight_gradient(&p, rows);
        block_columns(rows, p.dv, rows, p.att, p.cols, p.g, p.vp, p.o, p.vp, 0, NULL);
        block_rows(rows, p.dv, p.m, p.phi2, p.ms, p.s, p.vp, p.o, p.vp, 1);
        kattn_store(p.o, p.vp, valid, p.dv, (float *)a->dv_ + t * a->dv_stride, a->dv_stride);
        kattn_turn(p.s, p.vp, p.m, p.dv, 1, p.st, p.ms);
        block_columns(rows, p.m, rows, p.dat, p.cols, p.phi, p.ms, p.dphi, p.ms, 0, NULL);
        block_rows(rows, p.m, p.dv, p.v, p.vp, p.st, p.ms, p.dphi, p.ms, 1);
        kattn_slope(&p, valid, p.phi2, NULL, p.z, NULL);
        kattn_key_inputs(&p, t, valid);
        block_columns(p.m, p.dv, rows, p.phi, p.ms, p.g, p.vp, p.s, p.vp, 1, NULL);
        add_weighted(&p, rows);
    }
    kattn_store_state(&p, dstate);
}
