/*
 * attention_bf16_bwd.c - gradients of softmax attention in tiles of bfloat16, five products
 *
 * For each key tile, for each query tile: S^T = K Q^T and dP^T = V dO^T, P from lse, then dV += P^T dO, dK += dS^T Q
 * and dQ^T += K^T dS^T. dK and dV of the key tile stay in the workspace; dQ is added to the caller's rows in the
 * order of tiles.
 */
#include "kernels/simd/attention_bf16.h"

struct backward {
    uint16_t *k, *v, *kt;    /* key tile: (TILE_K, w), (TILE_K, wv), (w, TILE_K) */
    float *dk, *dv;          /* key tile: (TILE_K, w), (TILE_K, wv) */
    uint32_t *pairs;         /* before they are transposed */
    uint32_t *qt, *dot;      /* query tile, pairs of columns: (w / 2, TILE_Q), (wv / 2, TILE_Q) */
    uint32_t *q, *dout;      /* query tile, pairs of rows: (TILE_Q / 2, w), (TILE_Q / 2, wv) */
    float *s, *dp;           /* (TILE_K, TILE_Q) */
    uint16_t *p, *ds;        /* (TILE_K, TILE_Q) */
    uint32_t *dst, *keep;    /* pairs of keys: (TILE_K / 2, TILE_Q); (TILE_K, TILE_Q) */
    float *dq, *lse, *delta; /* (w, TILE_Q); of the queries: log-sum-exp in log 2 units, sum of dO O */
    ptrdiff_t w, wv;
};

static ptrdiff_t lay_out(int64_t d, int64_t dv, void *workspace, struct backward *b)
{
    char *const start = on_line(workspace);
    ptrdiff_t at = 0;
    const ptrdiff_t w = pad32(d), wv = pad32(dv), widest = w > wv ? w : wv;
    b->w = w;
    b->wv = wv;
    b->k = take(start, &at, TILE_K * w * 2);
    b->v = take(start, &at, TILE_K * wv * 2);
    b->kt = take(start, &at, TILE_K * w * 2);
    b->dk = take(start, &at, TILE_K * w * 4);
    b->dv = take(start, &at, TILE_K * wv * 4);
    b->pairs = take(start, &at, TILE_K / 2 * widest * 4);
    b->qt = take(start, &at, TILE_Q * w * 2);
    b->dot = take(start, &at, TILE_Q * wv * 2);
    b->q = take(start, &at, TILE_Q * w * 2);
    b->dout = take(start, &at, TILE_Q * wv * 2);
    b->s = take(start, &at, TILE_K * TILE_Q * 4);
    b->dp = take(start, &at, TILE_K * TILE_Q * 4);
    b->p = take(start, &at, TILE_K * TILE_Q * 2);
    b->ds = take(start, &at, TILE_K * TILE_Q * 2);
    b->dst = take(start, &at, TILE_K / 2 * TILE_Q * 4);
    b->keep = take(start, &at, TILE_K * TILE_Q * 4);
    b->dq = take(start, &at, TILE_Q * w * 4);
    b->lse = take(start, &at, TILE_Q * 4);
    b->delta = take(start, &at, TILE_Q * 4);
    return at + 64;
}

size_t V(attention_bf16_bwd_workspace)(int64_t d, int64_t dv);

size_t V(attention_bf16_bwd_workspace)(int64_t d, int64_t dv)
{
    struct backward b;
    return (size_t)lay_out(d, dv, NULL, &b);
}

static float dot(const float *x, const float *y, ptrdiff_t n)
{
    vf sum = v_zero();
    for (ptrdiff_t i = 0; i < n; i += W)
        sum = v_fma(v_load_part(x + i, (size_t)(n - i)), v_load_part(y + i, (size_t)(n - i)), sum);
    return v_sum(sum);
}

static void load_queries(const struct sqa_attention_bwd *g, const struct backward *b, ptrdiff_t i0, ptrdiff_t rows)
{
    const struct sqa_attention *a = &g->f;
    const float *q = (const float *)a->q + i0 * a->q_stride, *o = (const float *)a->o + i0 * a->o_stride;
    const float *dout = (const float *)g->dout + i0 * g->do_stride, *lse = (const float *)a->lse + i0;
    const float *dlse = g->dlse;
    pack_rows(q, a->q_stride, rows, a->d, (uint16_t *)(void *)b->pairs, TILE_Q);
    transpose32(b->pairs, TILE_Q, b->w / 2, b->qt);
    pack_rows(dout, g->do_stride, rows, a->dv, (uint16_t *)(void *)b->pairs, TILE_Q);
    transpose32(b->pairs, TILE_Q, b->wv / 2, b->dot);
    pack_pairs(q, a->q_stride, rows, a->d, b->q, TILE_Q);
    pack_pairs(dout, g->do_stride, rows, a->dv, b->dout, TILE_Q);
    for (ptrdiff_t r = 0; r < TILE_Q; r++) {
        b->lse[r] = r < rows ? (float)((double)lse[r] * 1.44269504088896340736) : INFINITY;
        b->delta[r] =
            r < rows ? dot(dout + r * g->do_stride, o + r * a->o_stride, a->dv) - (dlse ? dlse[i0 + r] : 0) : 0;
    }
}

/* W queries from column c on: p and ds, rounded, as rows of keys; ds also as pairs of keys. */
static void gradient_lanes(const struct sqa_attention *a, const struct backward *b, ptrdiff_t c, vi i, ptrdiff_t j0,
                           ptrdiff_t keys, float keep_scale)
{
    const vf scale = v_set((float)(a->scale * 1.44269504088896340736)), lse = v_load(b->lse + c);
    const vf delta = v_load(b->delta + c), factor = v_set(keep_scale);
    for (ptrdiff_t r = 0; r < TILE_K; r += 2) {
        vi half[2] = {vi_set(0), vi_set(0)};
        for (ptrdiff_t h = 0; h < 2; h++) {
            const ptrdiff_t at = (r + h) * TILE_Q + c;
            vi kept = vi_set(0);
            if (r + h < keys) {
                const vf s = v_fms(v_load(b->s + at), scale, lse);
                const vf p = v_exp2_neg(where_allowed(a, i, j0 + r + h, s, v_set(-INFINITY)));
                vf dp = v_load(b->dp + at);
                kept = v_bf16(p);
                if (a->keep < 1) {
                    const vi mask = vi_load(b->keep + at);
                    dp = v_from_bits(vi_and(v_bits(v_mul(dp, factor)), mask));
                    kept = vi_and(kept, mask);
                }
                half[h] = v_bf16(v_mul(p, v_sub(dp, delta)));
            }
            v_store_upper(b->p + at, kept);
            v_store_upper(b->ds + at, half[h]);
        }
        vi_store(b->dst + r / 2 * TILE_Q + c, v_pairs(half[0], half[1]));
    }
}

static void add_dq(const struct sqa_attention_bwd *g, const struct backward *b, ptrdiff_t i0, ptrdiff_t rows,
                   int first)
{
    const float scale = (float)g->f.scale;
    for (ptrdiff_t r = 0; r < rows; r++) {
        float *to = (float *)g->dq + (i0 + r) * g->dq_stride;
        for (ptrdiff_t c = 0; c < g->f.d; c++)
            to[c] = (first ? 0 : to[c]) + scale * b->dq[c * TILE_Q + r];
    }
}

static void tile_pair(const struct sqa_attention_bwd *g, const struct backward *b, ptrdiff_t i0, ptrdiff_t j0,
                      float keep_scale)
{
    const struct sqa_attention *a = &g->f;
    const ptrdiff_t rows = smaller(a->queries - i0, TILE_Q), keys = visible(a, i0, rows, j0);
    if (keys <= 0)
        return;
    load_queries(g, b, i0, rows);
    sqa_tiles_product(TILE_K, TILE_Q, b->w, b->k, b->w, b->qt, TILE_Q, b->s, TILE_Q, 0);
    sqa_tiles_product(TILE_K, TILE_Q, b->wv, b->v, b->wv, b->dot, TILE_Q, b->dp, TILE_Q, 0);
    if (a->keep < 1)
        V(attention_bf16_keep)(a, i0, j0, keys, b->keep);
    for (ptrdiff_t c = 0; c < TILE_Q; c += W)
        gradient_lanes(a, b, c, lanes(a->first + i0 + c), j0, keys, keep_scale);
    sqa_tiles_product(TILE_K, b->wv, TILE_Q, b->p, TILE_Q, b->dout, b->wv, b->dv, b->wv, 1);
    sqa_tiles_product(TILE_K, b->w, TILE_Q, b->ds, TILE_Q, b->q, b->w, b->dk, b->w, 1);
    sqa_tiles_product(b->w, TILE_Q, TILE_K, b->kt, TILE_K, b->dst, TILE_Q, b->dq, TILE_Q, 0);
    add_dq(g, b, i0, rows, j0 == 0);
}

static void store_rows(const float *from, ptrdiff_t from_stride, ptrdiff_t rows, ptrdiff_t width, float scale,
                       float *to, ptrdiff_t to_stride)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < width; c++)
            to[r * to_stride + c] = scale * from[r * from_stride + c];
}

void V(attention_bf16_bwd)(const struct sqa_attention_bwd *g, void *workspace)
{
    const struct sqa_attention *a = &g->f;
    const float keep_scale = (float)sqa_pair_scale(sqa_pair_threshold(a->keep)), *k = a->k, *v = a->v;
    struct backward b;
    if (!sqa_attention_bf16_knows(a)) {
        F32(attention_bwd)(g, workspace);
        return;
    }
    (void)lay_out(a->d, a->dv, workspace, &b);
    for (ptrdiff_t i = 0; a->keys <= 0 && i < a->queries; i++)
        memset((float *)g->dq + i * g->dq_stride, 0, (size_t)a->d * sizeof(float));
    sqa_tiles_begin();
    for (ptrdiff_t j0 = 0; j0 < a->keys; j0 += TILE_K) {
        const ptrdiff_t keys = smaller(a->keys - j0, TILE_K);
        pack_rows(k + j0 * a->k_stride, a->k_stride, keys, a->d, b.k, TILE_K);
        pack_rows(v + j0 * a->v_stride, a->v_stride, keys, a->dv, b.v, TILE_K);
        pack_pairs(k + j0 * a->k_stride, a->k_stride, keys, a->d, b.pairs, TILE_K);
        transpose32(b.pairs, TILE_K / 2, b.w, (uint32_t *)(void *)b.kt);
        memset(b.dk, 0, (size_t)(TILE_K * b.w) * sizeof *b.dk);
        memset(b.dv, 0, (size_t)(TILE_K * b.wv) * sizeof *b.dv);
        for (ptrdiff_t i0 = 0; i0 < a->queries; i0 += TILE_Q)
            tile_pair(g, &b, i0, j0, keep_scale);
        store_rows(b.dk, b.w, keys, a->d, (float)a->scale, (float *)g->dk + j0 * g->dk_stride, g->dk_stride);
        store_rows(b.dv, b.wv, keys, a->dv, keep_scale, (float *)g->dv + j0 * g->dv_stride, g->dv_stride);
    }
    sqa_tiles_end();
}
