/*
 * attention_avx2.c - forward softmax attention in tiles; AVX2 and FMA, f32
 *
 * For each panel of queries: for each key tile: pack K^T and V once, then for each query tile of the panel S = Q K^T,
 * the online softmax, O += P V. The running sum is kept in eight lanes a row and added up at the end. A masked
 * probability is 0 but still multiplies V: not-a-number in a future row of the same tile spreads to earlier rows.
 */
#include <math.h>
#include <string.h>

#include "kernels/avx2/attention_avx2.h"
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/philox_avx2.h"
#include "kernels/avx2/tile.h"
#include "kernels/plain/plain.h"

void sqa_attention_factors(const struct sqa_attention *a, ptrdiff_t i0, ptrdiff_t rows, ptrdiff_t j0, ptrdiff_t cols,
                           float *factor)
{
    const uint32_t limit = sqa_keep_threshold(a->keep);
    const __m256i threshold = _mm256_set1_epi32((int)limit), lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256 scale = set8((float)sqa_keep_scale(limit));
    for (ptrdiff_t r = 0; r < rows; r += 8)
        for (ptrdiff_t c = 0; c < cols; c += 8) {
            const __m256i row = _mm256_add_epi32(_mm256_set1_epi32((int)(i0 + r)), lane);
            __m256i draw[8];
            philox8(a->dropout_key, _mm256_set1_epi32((int)((j0 + c) / 8)), row, draw);
            for (ptrdiff_t i = 0; i < 8; i++)
                _mm256_storeu_ps(factor + (r + i) * STRIDE_K + c, philox_factor(draw[i], threshold, scale));
        }
}

struct forward {
    float *kt, *v;     /* key tile: (d, STRIDE_K) and (TILE_K, vs) */
    float *q, *o;      /* panel: (PANEL_Q, qs), (PANEL_Q, vs) */
    float *s, *factor; /* query tile: (TILE_Q, STRIDE_K) */
    float *top, *sum;  /* panel: maximum, and sum in 8 lanes */
    ptrdiff_t qs, vs;
};

size_t sqa_k_attention_workspace_f32_avx2(int64_t d, int64_t dv)
{
    const ptrdiff_t qs = packed_stride(d), vs = packed_stride(dv);
    const ptrdiff_t forward = (d + 2 * TILE_Q) * STRIDE_K + (TILE_K + PANEL_Q) * vs + PANEL_Q * (qs + 9);
    const ptrdiff_t backward = (d + dv + 3 * TILE_Q) * STRIDE_K + 2 * TILE_K * (qs + vs) + TILE_Q * (2 * qs + vs + 2);
    return (size_t)(forward > backward ? forward : backward) * sizeof(float) + 64;
}

static struct forward lay_out(const struct sqa_attention *a, void *workspace)
{
    char *at = aligned(workspace);
    struct forward w = {.qs = packed_stride(a->d), .vs = packed_stride(a->dv)};
    w.kt = take(&at, a->d * STRIDE_K);
    w.v = take(&at, TILE_K * w.vs);
    w.q = take(&at, PANEL_Q * w.qs);
    w.o = take(&at, PANEL_Q * w.vs);
    w.s = take(&at, TILE_Q * STRIDE_K);
    w.factor = take(&at, TILE_Q * STRIDE_K);
    w.top = take(&at, PANEL_Q);
    w.sum = take(&at, PANEL_Q * 8);
    return w;
}

/* One row of scores to probabilities; top, sum and the row of the output so far follow the new maximum. */
static void row_softmax(float *s, ptrdiff_t limit, ptrdiff_t n, float *top, float *sum, float *o, ptrdiff_t width)
{
    for (ptrdiff_t c = limit; c < n; c++)
        s[c] = -INFINITY;
    __m256 m = set8(-INFINITY), m2 = m;
    for (ptrdiff_t c = 0; c < n; c += 16) {
        m = _mm256_max_ps(_mm256_loadu_ps(s + c), m);
        m2 = _mm256_max_ps(_mm256_loadu_ps(s + c + 8), m2);
    }
    const float tile_top = max8(_mm256_max_ps(m, m2));
    __m256 total = _mm256_loadu_ps(sum), total2 = _mm256_setzero_ps();
    if (tile_top > *top) {
        const __m256 shrink = exp2_neg8(set8(*top - tile_top));
        total = _mm256_mul_ps(total, shrink);
        for (ptrdiff_t c = 0; c < width; c += 16) {
            _mm256_storeu_ps(o + c, _mm256_mul_ps(shrink, _mm256_loadu_ps(o + c)));
            _mm256_storeu_ps(o + c + 8, _mm256_mul_ps(shrink, _mm256_loadu_ps(o + c + 8)));
        }
        *top = tile_top;
    }
    const __m256 shift = set8(*top == -INFINITY ? 0 : *top);
    for (ptrdiff_t c = 0; c < n; c += 16) {
        const __m256 p = exp2_neg8(_mm256_sub_ps(_mm256_loadu_ps(s + c), shift));
        const __m256 p2 = exp2_neg8(_mm256_sub_ps(_mm256_loadu_ps(s + c + 8), shift));
        total = _mm256_add_ps(total, p);
        total2 = _mm256_add_ps(total2, p2);
        _mm256_storeu_ps(s + c, p);
        _mm256_storeu_ps(s + c + 8, p2);
    }
    _mm256_storeu_ps(sum, _mm256_add_ps(total, total2));
}

static void multiply(float *s, const float *factor, ptrdiff_t rows, ptrdiff_t n)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < n; c += 8) {
            float *at = s + r * STRIDE_K + c;
            _mm256_storeu_ps(at, _mm256_mul_ps(_mm256_loadu_ps(at), _mm256_loadu_ps(factor + r * STRIDE_K + c)));
        }
}

/* Queries i0 .. of the panel, at row r0 of it, with the packed key tile at j0. */
static void query_tile(const struct sqa_attention *a, const struct forward *w, ptrdiff_t i0, ptrdiff_t r0,
                       ptrdiff_t rows, ptrdiff_t j0)
{
    const ptrdiff_t cols = visible(a, i0, rows, j0), n = round_up(cols, 16);
    if (cols <= 0)
        return;
    sqa_tile_rows(rows, n, a->d, w->q + r0 * w->qs, w->qs, w->kt, STRIDE_K, w->s, STRIDE_K, 0);
    for (ptrdiff_t r = 0; r < rows; r++)
        row_softmax(w->s + r * STRIDE_K, row_limit(a, i0 + r, j0, cols), n, w->top + r0 + r, w->sum + 8 * (r0 + r),
                    w->o + (r0 + r) * w->vs, a->dv);
    if (a->keep < 1) {
        sqa_attention_factors(a, i0, rows, j0, cols, w->factor);
        multiply(w->s, w->factor, rows, round_up(cols, 8));
    }
    sqa_tile_rows(rows, a->dv, cols, w->s, STRIDE_K, w->v, w->vs, w->o + r0 * w->vs, w->vs, 1);
}

static void finish_panel(const struct sqa_attention *a, const struct forward *w, ptrdiff_t i0, ptrdiff_t rows)
{
    float *o = a->o, *lse = a->lse;
    for (ptrdiff_t r = 0; r < rows; r++) {
        const float sum = sum8(_mm256_loadu_ps(w->sum + 8 * r));
        const __m256 inv = set8(sum == 0 ? 0 : 1 / sum);
        float *to = o + (i0 + r) * a->o_stride;
        for (ptrdiff_t c = 0; c < a->dv; c += 8)
            store8(to + c, (size_t)(a->dv - c), _mm256_mul_ps(inv, _mm256_loadu_ps(w->o + r * w->vs + c)));
        const double ln2 = 0.69314718055994530942;
        lse[i0 + r] = sum == 0 ? INFINITY : (float)((double)w->top[r] * ln2 + log((double)sum));
    }
}

void sqa_k_attention_f32_avx2(const struct sqa_attention *a, void *workspace)
{
    const struct forward w = lay_out(a, workspace);
    const float *q = a->q, *k = a->k, *v = a->v;
    const float scale = (float)(a->scale * 1.44269504088896340736);
    /* Padding is read by the tile products and must hold numbers. */
    memset(w.kt, 0, (size_t)(a->d * STRIDE_K) * sizeof *w.kt);
    memset(w.q, 0, (size_t)(PANEL_Q * w.qs) * sizeof *w.q);
    memset(w.v, 0, (size_t)(TILE_K * w.vs) * sizeof *w.v);
    for (ptrdiff_t i0 = 0; i0 < a->queries; i0 += PANEL_Q) {
        const ptrdiff_t rows = smaller(a->queries - i0, PANEL_Q);
        sqa_tile_copy(q + i0 * a->q_stride, a->q_stride, rows, a->d, scale, w.q, w.qs, round_up(rows, 6));
        memset(w.o, 0, (size_t)(PANEL_Q * w.vs) * sizeof *w.o);
        memset(w.sum, 0, (size_t)PANEL_Q * 8 * sizeof *w.sum);
        for (ptrdiff_t r = 0; r < PANEL_Q; r++)
            w.top[r] = -INFINITY;
        for (ptrdiff_t j0 = 0; j0 < a->keys; j0 += TILE_K) {
            const ptrdiff_t cols = visible(a, i0, rows, j0);
            if (cols <= 0)
                break;
            sqa_tile_transpose(k + j0 * a->k_stride, a->k_stride, cols, a->d, w.kt, STRIDE_K);
            sqa_tile_copy(v + j0 * a->v_stride, a->v_stride, cols, a->dv, 1, w.v, w.vs, cols);
            for (ptrdiff_t r = 0; r < rows; r += TILE_Q)
                query_tile(a, &w, i0 + r, r, smaller(rows - r, TILE_Q), j0);
        }
        finish_panel(a, &w, i0, rows);
    }
}
