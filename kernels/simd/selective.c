/*
 * selective.c - selective state spaces, a vector of channels side by side; f32
 *
 * A chunk of rows at a time, so that its lines stay near while one vector of channels after the other is taken from
 * them: its rows of channels are copied to dense ones, then a few states of the channels run through the chunk in
 * registers. Decays are 2^(dt a 8 log2(e) / 8).
 * Backward: two states of a vector of channels at a time run forward from what was kept, which leaves their states
 * and decays of the chunk in the first cache, then backward. Gradients of b and c are sums over channels: vectors of
 * partial sums for each row and state, which are added up once a chunk.
 */
#include <string.h>

#include "kernels/plain/plain.h"
#include "kernels/simd/vec.h"

enum { FORWARD = 4, BACKWARD = 2 }; /* states in registers */

/* of eighths */
#define LOG2_E (8 * 1.44269504f)
#define LN_2 (0.693147181f / 8)

/* Rows of one vector each */
struct work {
    float *dt, *u, *x, *y;    /* of a chunk: x = dt u; y is dy backward */
    float *state, *a;         /* of the states, forward of all channels; a in base 2^(1/8) */
    float *dx, *ddt;          /* of a chunk */
    float *h, *decay;         /* BACKWARD states of a chunk, and of the row before it */
    float *db, *dc;           /* of a chunk, a row for each state */
    float *next, *da, *dskip; /* of all channels: gradient states, rows of da; one row */
};

static float *take(void *base, size_t *at, int64_t rows)
{
    float *p = base ? (float *)base + *at : NULL;
    *at += (size_t)(rows * W);
    return p;
}

static size_t layout(const struct sqa_selective *s, int grad, void *base, struct work *w)
{
    const int64_t all = (s->m + W - 1) / W, here = grad ? 1 : all;
    size_t at = 0;
    w->dt = take(base, &at, s->chunk);
    w->u = take(base, &at, s->chunk);
    w->x = take(base, &at, s->chunk);
    w->y = take(base, &at, s->chunk);
    w->state = take(base, &at, here * s->states);
    w->a = take(base, &at, here * s->states);
    if (!grad)
        return at * sizeof(float);
    w->dx = take(base, &at, s->chunk);
    w->ddt = take(base, &at, s->chunk);
    w->h = take(base, &at, BACKWARD * (s->chunk + 1));
    w->decay = take(base, &at, BACKWARD * s->chunk);
    w->db = take(base, &at, s->chunk * s->states);
    w->dc = take(base, &at, s->chunk * s->states);
    w->next = take(base, &at, all * s->states);
    w->da = take(base, &at, all * s->states);
    w->dskip = take(base, &at, all);
    return at * sizeof(float);
}

size_t V(selective_workspace)(const struct sqa_selective *s, int grad)
{
    struct work w;
    return layout(s, grad, NULL, &w);
}

static void load_rows(const void *from, int64_t stride, int64_t rows, size_t left, float *to)
{
    const float *p = from;
    for (int64_t t = 0; t < rows; t++, p += stride)
        v_store(to + t * W, v_load_part(p, left));
}

static void store_rows(const float *from, int64_t rows, size_t left, void *to, int64_t stride)
{
    float *p = to;
    for (int64_t t = 0; t < rows; t++, p += stride)
        v_store_part(p, left, v_load(from + t * W));
}

static const float *row_of(const void *x, int64_t t, int64_t stride)
{
    return (const float *)x + t * stride;
}

static float *place(void *x, int64_t t, int64_t stride)
{
    return (float *)x + t * stride;
}

/* dt, u and x of `rows` rows of channels e and on */
static void open_chunk(const struct sqa_selective *s, const struct work *w, int64_t first, int64_t rows, int64_t e,
                       size_t left)
{
    load_rows(row_of(s->dt, first, s->dt_stride) + e, s->dt_stride, rows, left, w->dt);
    load_rows(row_of(s->u, first, s->u_stride) + e, s->u_stride, rows, left, w->u);
    for (int64_t t = 0; t < rows; t++)
        v_store(w->x + t * W, v_mul(v_load(w->dt + t * W), v_load(w->u + t * W)));
}

static void open_states(const struct sqa_selective *s, int64_t e, size_t left, float *a)
{
    for (int64_t i = 0; i < s->states; i++)
        v_store(a + i * W, v_mul(v_set(LOG2_E), v_load_part(row_of(s->a, i, s->a_stride) + e, left)));
}

/* S states from i on through a chunk: y += c h */
V_INLINE void run_states(const int S, const struct sqa_selective *s, const struct work *w, int64_t first,
                         int64_t rows, int64_t i)
{
    const float *b = row_of(s->b, first, s->b_stride) + i, *c = row_of(s->c, first, s->c_stride) + i;
    vf h[FORWARD], a[FORWARD];
    V_UNROLL
    for (int k = 0; k < S; k++) {
        h[k] = v_load(w->state + (i + k) * W);
        a[k] = v_load(w->a + (i + k) * W);
    }
    for (int64_t t = 0; t < rows; t++, b += s->b_stride, c += s->c_stride) {
        const vf dt = v_load(w->dt + t * W), x = v_load(w->x + t * W);
        vf y = v_load(w->y + t * W);
        V_UNROLL
        for (int k = 0; k < S; k++) {
            h[k] = v_fma(v_exp2_eighths(v_mul(dt, a[k])), h[k], v_mul(x, v_set(b[k])));
            y = v_fma(v_set(c[k]), h[k], y);
        }
        v_store(w->y + t * W, y);
    }
    V_UNROLL
    for (int k = 0; k < S; k++)
        v_store(w->state + (i + k) * W, h[k]);
}

/* Channels e and on of a chunk; w has their states */
static void chunk_of(const struct sqa_selective *s, const struct work *w, int64_t first, int64_t rows, int64_t e)
{
    const size_t left = (size_t)(s->m - e);
    const vf skip = v_load_part((const float *)s->skip + e, left);
    int64_t i = 0;
    open_chunk(s, w, first, rows, e, left);
    if (s->keep)
        store_rows(w->state, s->states, left, place(s->keep, first / s->chunk * s->states, s->keep_stride) + e,
                   s->keep_stride);
    for (int64_t t = 0; t < rows; t++)
        v_store(w->y + t * W, v_mul(skip, v_load(w->u + t * W)));
    for (; i + FORWARD <= s->states; i += FORWARD)
        run_states(FORWARD, s, w, first, rows, i);
    for (; i < s->states; i++)
        run_states(1, s, w, first, rows, i);
    store_rows(w->y, rows, left, place(s->y, first, s->y_stride) + e, s->y_stride);
}

void V(selective)(const struct sqa_selective *s, void *workspace)
{
    struct work all;
    (void)layout(s, 0, workspace, &all);
    memset(all.state, 0, (size_t)((s->m + W - 1) / W * s->states * W) * sizeof(float));
    for (int64_t e = 0; e < s->m; e += W)
        open_states(s, e, (size_t)(s->m - e), all.a + e * s->states);
    for (int64_t first = 0; first < s->n; first += s->chunk) {
        const int64_t rows = smaller(s->chunk, s->n - first);
        for (int64_t e = 0; e < s->m; e += W) {
            struct work w = all;
            w.state += e * s->states;
            w.a += e * s->states;
            chunk_of(s, &w, first, rows, e);
        }
    }
}

/* S states from i on: their states and decays in a chunk */
V_INLINE void again(const int S, const struct sqa_selective *s, const struct work *w, int64_t first, int64_t rows,
                    int64_t i)
{
    const float *b = row_of(s->b, first, s->b_stride) + i;
    vf h[BACKWARD], a[BACKWARD];
    V_UNROLL
    for (int k = 0; k < S; k++) {
        h[k] = v_load(w->state + (i + k) * W);
        a[k] = v_load(w->a + (i + k) * W);
        v_store(w->h + k * W, h[k]);
    }
    for (int64_t t = 0; t < rows; t++, b += s->b_stride) {
        const vf dt = v_load(w->dt + t * W), x = v_load(w->x + t * W);
        V_UNROLL
        for (int k = 0; k < S; k++) {
            const vf decay = v_exp2_eighths(v_mul(dt, a[k]));
            h[k] = v_fma(decay, h[k], v_mul(x, v_set(b[k])));
            v_store(w->decay + (t * S + k) * W, decay);
            v_store(w->h + ((t + 1) * S + k) * W, h[k]);
        }
    }
}

/* And back: next and da of these states; dx, ddt (in base 2^(1/8)) and the partial sums of db and dc of the chunk */
V_INLINE void back(const int S, const struct sqa_selective *s, const struct work *w, int64_t first, int64_t rows,
                   int64_t i, float *next_, float *da_)
{
    const float *b = row_of(s->b, first + rows - 1, s->b_stride) + i;
    const float *c = row_of(s->c, first + rows - 1, s->c_stride) + i;
    vf next[BACKWARD], a[BACKWARD], da[BACKWARD], h[BACKWARD];
    V_UNROLL
    for (int k = 0; k < S; k++) {
        next[k] = v_load(next_ + (i + k) * W);
        da[k] = v_load(da_ + (i + k) * W);
        a[k] = v_load(w->a + (i + k) * W);
        h[k] = v_load(w->h + (rows * S + k) * W);
    }
    for (int64_t t = rows - 1; t >= 0; t--, b -= s->b_stride, c -= s->c_stride) {
        const vf dt = v_load(w->dt + t * W), x = v_load(w->x + t * W), dy = v_load(w->y + t * W);
        float *db = w->db + (t * s->states + i) * W, *dc = w->dc + (t * s->states + i) * W;
        vf dx = v_load(w->dx + t * W), ddt = v_load(w->ddt + t * W);
        V_UNROLL
        for (int k = 0; k < S; k++) {
            const vf g = v_fma(v_set(c[k]), dy, next[k]);
            v_store(dc + k * W, v_fma(dy, h[k], v_load(dc + k * W)));
            v_store(db + k * W, v_fma(g, x, v_load(db + k * W)));
            dx = v_fma(v_set(b[k]), g, dx);
            next[k] = v_mul(v_load(w->decay + (t * S + k) * W), g);
            h[k] = v_load(w->h + (t * S + k) * W);
            const vf q = v_mul(next[k], h[k]);
            ddt = v_fma(q, a[k], ddt);
            da[k] = v_fma(q, dt, da[k]);
        }
        v_store(w->dx + t * W, dx);
        v_store(w->ddt + t * W, ddt);
    }
    V_UNROLL
    for (int k = 0; k < S; k++) {
        v_store(next_ + (i + k) * W, next[k]);
        v_store(da_ + (i + k) * W, da[k]);
    }
}

/* Channels e and on of a chunk */
static void chunk_grad(const struct sqa_selective_grad *s, const struct work *w, int64_t first, int64_t rows,
                       int64_t e, size_t left)
{
    const struct sqa_selective *f = &s->f;
    const vf skip = v_load_part((const float *)f->skip + e, left), ln2 = v_set(LN_2);
    float *next = w->next + e * f->states, *da = w->da + e * f->states;
    vf dskip = v_load(w->dskip + e);
    int64_t i = 0;
    open_chunk(f, w, first, rows, e, left);
    open_states(f, e, left, w->a);
    load_rows(row_of(s->dy, first, s->dy_stride) + e, s->dy_stride, rows, left, w->y);
    load_rows(row_of(f->keep, first / f->chunk * f->states, f->keep_stride) + e, f->keep_stride, f->states, left,
              w->state);
    memset(w->dx, 0, (size_t)(rows * W) * sizeof(float));
    memset(w->ddt, 0, (size_t)(rows * W) * sizeof(float));
    for (; i + BACKWARD <= f->states; i += BACKWARD) {
        again(BACKWARD, f, w, first, rows, i);
        back(BACKWARD, f, w, first, rows, i, next, da);
    }
    for (; i < f->states; i++) {
        again(1, f, w, first, rows, i);
        back(1, f, w, first, rows, i, next, da);
    }
    for (int64_t t = 0; t < rows; t++) {
        const vf dx = v_load(w->dx + t * W), dy = v_load(w->y + t * W), u = v_load(w->u + t * W);
        const vf ddt = v_fma(v_load(w->ddt + t * W), ln2, v_mul(u, dx));
        v_store_part(place(s->ddt, first + t, s->ddt_stride) + e, left, ddt);
        v_store_part(place(s->du, first + t, s->du_stride) + e, left,
                     v_fma(v_load(w->dt + t * W), dx, v_mul(skip, dy)));
        dskip = v_fma(dy, u, dskip);
    }
    v_store(w->dskip + e, dskip);
}

void V(selective_grad)(const struct sqa_selective_grad *s, void *workspace)
{
    const struct sqa_selective *f = &s->f;
    const int64_t padded = (f->m + W - 1) / W * W;
    struct work w;
    (void)layout(f, 1, workspace, &w);
    memset(w.next, 0, (size_t)(padded * (2 * f->states + 1)) * sizeof(float)); /* next, da and dskip */
    for (int64_t first = f->n > 0 ? (f->n - 1) / f->chunk * f->chunk : -1; first >= 0; first -= f->chunk) {
        const int64_t rows = f->n - first < f->chunk ? f->n - first : f->chunk;
        memset(w.db, 0, (size_t)(2 * f->chunk * f->states * W) * sizeof(float)); /* db and dc */
        for (int64_t e = 0; e < f->m; e += W)
            chunk_grad(s, &w, first, rows, e, (size_t)(f->m - e));
        for (int64_t t = 0; t < rows; t++)
            for (int64_t i = 0; i < f->states; i++) {
                place(s->db, first + t, s->db_stride)[i] = v_sum(v_load(w.db + (t * f->states + i) * W));
                place(s->dc, first + t, s->dc_stride)[i] = v_sum(v_load(w.dc + (t * f->states + i) * W));
            }
    }
    for (int64_t e = 0; e < f->m; e += W) {
        const size_t left = (size_t)(f->m - e);
        store_rows(w.da + e * f->states, f->states, left, (float *)s->da + e, s->da_stride);
        v_store_part((float *)s->dskip + e, left, v_load(w.dskip + e));
    }
}
