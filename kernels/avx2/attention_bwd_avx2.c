/*
 * attention_bwd_avx2.c - gradients of softmax attention in tiles, five products; AVX2 and FMA, f32
 *
 * For each key tile, for each query tile: S = Q K^T and dP = dO V^T, P from lse, then dV += P^T dO, dK += dS^T Q and
 * dQ += dS K. dK and dV of the key tile stay in the workspace; dQ is added to the caller's rows in the order of
 * tiles.
 */
#include <math.h>
#include <string.h>

#include "kernels/avx2/attention_avx2.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/tile.h"
#include "kernels/plain/plain.h"

struct backward {
    float *kt, *vt;         /* key tile: (d, STRIDE_K), (dv, STRIDE_K) */
    float *k, *dk, *dv;     /* key tile: (TILE_K, qs), (TILE_K, qs), (TILE_K, vs) */
    float *q, *dq, *dout;   /* query tile: (TILE_Q, qs), (TILE_Q, qs), (TILE_Q, vs) */
    float *p, *ds, *factor; /* (TILE_Q, STRIDE_K) */
    float *lse, *delta;     /* (TILE_Q): log-sum-exp in log 2 units; sum of dO O */
    ptrdiff_t qs, vs;
};

static struct backward lay_out(const struct sqa_attention *a, void *workspace)
{
    char *at = aligned(workspace);
    struct backward w = {.qs = packed_stride(a->d), .vs = packed_stride(a->dv)};
    w.kt = take(&at, a->d * STRIDE_K);
    w.vt = take(&at, a->dv * STRIDE_K);
    w.k = take(&at, TILE_K * w.qs);
    w.dk = take(&at, TILE_K * w.qs);
    w.dv = take(&at, TILE_K * w.vs);
    w.q = take(&at, TILE_Q * w.qs);
    w.dq = take(&at, TILE_Q * w.qs);
    w.dout = take(&at, TILE_Q * w.vs);
    w.p = take(&at, TILE_Q * STRIDE_K);
    w.ds = take(&at, TILE_Q * STRIDE_K);
    w.factor = take(&at, TILE_Q * STRIDE_K);
    w.lse = take(&at, TILE_Q);
    w.delta = take(&at, TILE_Q);
    memset(w.kt, 0, (size_t)(a->d * STRIDE_K) * sizeof *w.kt);
    memset(w.vt, 0, (size_t)(a->dv * STRIDE_K) * sizeof *w.vt);
    memset(w.k, 0, (size_t)(TILE_K * w.qs) * sizeof *w.k);
    memset(w.q, 0, (size_t)(TILE_Q * w.qs) * sizeof *w.q);
    memset(w.dout, 0, (size_t)(TILE_Q * w.vs) * sizeof *w.dout);
    return w;
}

static float dot(const float *x, const float *y, ptrdiff_t n)
{
    __m256 sum = _mm256_setzero_ps();
    for (ptrdiff_t i = 0; i < n; i += 8)
        sum = fma8(load8(x + i, (size_t)(n - i)), load8(y + i, (size_t)(n - i)), sum);
    return sum8(sum);
}

/* p: scores -> probabilities (times their dropout factor); ds: dP -> P (factor dP - delta). Zero past limit. */
static void row_grad(float *p, float *ds, const float *factor, ptrdiff_t limit, ptrdiff_t n, float lse, float delta)
{
    for (ptrdiff_t c = limit; c < n; c++)
        p[c] = -INFINITY;
    const __m256 shift = set8(lse), mean = set8(delta);
    if (!factor) {
        for (ptrdiff_t c = 0; c < n; c += 8) {
            const __m256 prob = exp2_neg8(_mm256_sub_ps(_mm256_loadu_ps(p + c), shift));
            _mm256_storeu_ps(p + c, prob);
            _mm256_storeu_ps(ds + c, _mm256_mul_ps(prob, _mm256_sub_ps(_mm256_loadu_ps(ds + c), mean)));
        }
        return;
    }
    for (ptrdiff_t c = 0; c < n; c += 8) {
        const __m256 prob = exp2_neg8(_mm256_sub_ps(_mm256_loadu_ps(p + c), shift));
        const __m256 f = _mm256_loadu_ps(factor + c);
        _mm256_storeu_ps(p + c, _mm256_mul_ps(prob, f));
        _mm256_storeu_ps(ds + c, _mm256_mul_ps(prob, _mm256_fmsub_ps(f, _mm256_loadu_ps(ds + c), mean)));
    }
}

static void load_queries(const struct sqa_attention_bwd *b, const struct backward *w, ptrdiff_t i0, ptrdiff_t rows)
{
    const struct sqa_attention *a = &b->f;
    const float *q = (const float *)a->q + i0 * a->q_stride, *o = (const float *)a->o + i0 * a->o_stride;
    const float *dout = (const float *)b->dout + i0 * b->do_stride, *lse = (const float *)a->lse + i0;
    const double log2e = 1.44269504088896340736;
    sqa_tile_copy(q, a->q_stride, rows, a->d, (float)(a->scale * log2e), w->q, w->qs, round_up(rows, 6));
    sqa_tile_copy(dout, b->do_stride, rows, a->dv, 1, w->dout, w->vs, round_up(rows, 6));
    for (ptrdiff_t r = 0; r < rows; r++) {
        w->lse[r] = (float)((double)lse[r] * log2e);
        w->delta[r] = dot(dout + r * b->do_stride, o + r * a->o_stride, a->dv);
    }
}

static void add_dq(const struct sqa_attention_bwd *b, const struct backward *w, ptrdiff_t i0, ptrdiff_t rows,
                   int first)
{
    const __m256 scale = set8((float)b->f.scale);
    for (ptrdiff_t r = 0; r < rows; r++) {
        float *to = (float *)b->dq + (i0 + r) * b->dq_stride;
        for (ptrdiff_t c = 0; c < b->f.d; c += 8) {
            const size_t left = (size_t)(b->f.d - c);
            const __m256 old = first ? _mm256_setzero_ps() : load8(to + c, left);
            store8(to + c, left, fma8(scale, _mm256_loadu_ps(w->dq + r * w->qs + c), old));
        }
    }
}

static void tile_pair(const struct sqa_attention_bwd *b, const struct backward *w, ptrdiff_t i0, ptrdiff_t j0)
{
    const struct sqa_attention *a = &b->f;
    const ptrdiff_t rows = smaller(a->queries - i0, TILE_Q), cols = visible(a, i0, rows, j0), n = round_up(cols, 16);
    if (cols <= 0)
        return;
    load_queries(b, w, i0, rows);
    sqa_tile_rows(rows, n, a->d, w->q, w->qs, w->kt, STRIDE_K, w->p, STRIDE_K, 0);
    sqa_tile_rows(rows, n, a->dv, w->dout, w->vs, w->vt, STRIDE_K, w->ds, STRIDE_K, 0);
    const int drop = a->keep < 1;
    if (drop)
        sqa_attention_factors(a, i0, rows, j0, n, w->factor);
    for (ptrdiff_t r = 0; r < rows; r++)
        row_grad(w->p + r * STRIDE_K, w->ds + r * STRIDE_K, drop ? w->factor + r * STRIDE_K : NULL,
                 row_limit(a, i0 + r, j0, cols), n, w->lse[r], w->delta[r]);
    sqa_tile_columns(cols, a->dv, rows, w->p, STRIDE_K, w->dout, w->vs, w->dv, w->vs, 1);
    sqa_tile_columns(cols, a->d, rows, w->ds, STRIDE_K, w->q, w->qs, w->dk, w->qs, 1);
    sqa_tile_rows(rows, a->d, cols, w->ds, STRIDE_K, w->k, w->qs, w->dq, w->qs, 0);
    add_dq(b, w, i0, rows, j0 == 0);
}

static void store_rows(const float *from, ptrdiff_t from_stride, ptrdiff_t rows, ptrdiff_t width, float scale,
                       float *to, ptrdiff_t to_stride)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < width; c += 8)
            store8(to + r * to_stride + c, (size_t)(width - c),
                   _mm256_mul_ps(set8(scale), _mm256_loadu_ps(from + r * from_stride + c)));
}

void sqa_k_attention_bwd_f32_avx2(const struct sqa_attention_bwd *b, void *workspace)
{
    const struct sqa_attention *a = &b->f;
    const struct backward w = lay_out(a, workspace);
    const float *k = a->k, *v = a->v;
    float *dk = b->dk, *dv = b->dv;
    for (ptrdiff_t i = 0; a->keys <= 0 && i < a->queries; i++)
        memset((float *)b->dq + i * b->dq_stride, 0, (size_t)a->d * sizeof(float));
    for (ptrdiff_t j0 = 0; j0 < a->keys; j0 += TILE_K) {
        const ptrdiff_t cols = smaller(a->keys - j0, TILE_K);
        sqa_tile_transpose(k + j0 * a->k_stride, a->k_stride, cols, a->d, w.kt, STRIDE_K);
        sqa_tile_transpose(v + j0 * a->v_stride, a->v_stride, cols, a->dv, w.vt, STRIDE_K);
        sqa_tile_copy(k + j0 * a->k_stride, a->k_stride, cols, a->d, 1, w.k, w.qs, cols);
        memset(w.dk, 0, (size_t)(TILE_K * w.qs) * sizeof *w.dk);
        memset(w.dv, 0, (size_t)(TILE_K * w.vs) * sizeof *w.dv);
        for (ptrdiff_t i0 = 0; i0 < a->queries; i0 += TILE_Q)
            tile_pair(b, &w, i0, j0);
        store_rows(w.dk, w.qs, cols, a->d, 0.693147181f, dk + j0 * b->dk_stride, b->dk_stride); /* q held log2 e */
        store_rows(w.dv, w.vs, cols, a->dv, 1, dv + j0 * b->dv_stride, b->dv_stride);
    }
}
