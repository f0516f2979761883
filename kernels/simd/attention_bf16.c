/*
 * attention_bf16.c - forward softmax attention in tiles of bfloat16; kernels/plain/attention_bf16.c is the definition
 *
 * For each panel of queries: for each key tile: K and V^T are rounded once, then for each query tile S^T = K Q^T, the
 * online softmax in floats, and O^T += V^T P^T. The unit of a probability is a power of two: the row's maximum so
 * far, rounded up in log 2 units; so rescaling is exact and does not change what rounding did. A masked probability
 * is 0 but still multiplies V: not-a-number in a future row of the same tile spreads to earlier rows.
 */
#include "kernels/simd/attention_bf16.h"

enum { PANEL = 256 }; /* queries that share one packing of a key tile */

struct forward {
    uint16_t *k, *vt;   /* key tile: (TILE_K, w), (wv, TILE_K) */
    uint32_t *pairs;    /* of V, or of Q's columns, before they are transposed */
    uint32_t *q;        /* panel: a query tile is (w / 2, TILE_Q) */
    float *o;           /* panel: a query tile is (wv, TILE_Q) */
    float *s;           /* (TILE_K, TILE_Q) */
    uint32_t *p, *keep; /* (TILE_K / 2, TILE_Q), (TILE_K, TILE_Q) */
    float *top, *sum;   /* panel */
    ptrdiff_t w, wv;    /* padded widths */
};

static ptrdiff_t lay_out(int64_t d, int64_t dv, void *workspace, struct forward *f)
{
    char *const start = on_line(workspace);
    ptrdiff_t at = 0;
    const ptrdiff_t w = pad32(d), wv = pad32(dv), widest = w > wv ? w : wv;
    f->w = w;
    f->wv = wv;
    f->k = take(start, &at, TILE_K * w * 2);
    f->vt = take(start, &at, TILE_K * wv * 2);
    f->pairs = take(start, &at, TILE_K / 2 * widest * 4);
    f->q = take(start, &at, PANEL * w / 2 * 4);
    f->o = take(start, &at, PANEL * wv * 4);
    f->s = take(start, &at, TILE_K * TILE_Q * 4);
    f->p = take(start, &at, TILE_K / 2 * TILE_Q * 4);
    f->keep = take(start, &at, TILE_K * TILE_Q * 4);
    f->top = take(start, &at, PANEL * 4);
    f->sum = take(start, &at, PANEL * 4);
    return at + 64;
}

size_t V(attention_bf16_bwd_workspace)(int64_t d, int64_t dv);

size_t V(attention_bf16_workspace)(int64_t d, int64_t dv)
{
    struct forward f;
    const size_t forward = (size_t)lay_out(d, dv, NULL, &f), backward = V(attention_bf16_bwd_workspace)(d, dv);
    const size_t bf16 = forward > backward ? forward : backward, f32 = F32(attention_workspace)(d, dv);
    return f32 > bf16 ? f32 : bf16;
}

/* The least integer not below x; beyond 2^22, x. */
static vf ceiling(vf x)
{
    const vf magic = v_set(0x1.8p23f), t = v_sub(v_add(x, magic), magic);
    const vf up = v_select(v_lt(t, x), v_add(t, v_set(1.0f)), t);
    return v_select(v_lt(v_abs(x), v_set(0x1p22f)), up, x);
}

/* W queries from column c of the tile on, query numbers i: scores become probabilities, rounded in pairs of keys. */
static void softmax_lanes(const struct sqa_attention *a, const struct forward *f, ptrdiff_t c, vi i, ptrdiff_t j0,
                          ptrdiff_t keys, float *top_, float *sum_, float *o)
{
    const vf scale = v_set((float)(a->scale * 1.44269504088896340736)), none = v_set(-INFINITY);
    const vf before = v_load(top_);
    vf m = none, total = v_zero();
    for (ptrdiff_t r = 0; r < keys; r++) {
        float *at = f->s + r * TILE_Q + c;
        const vf s = where_allowed(a, i, j0 + r, v_mul(v_load(at), scale), none);
        m = v_max(s, m);
        v_store(at, s);
    }
    const vf top = v_max(ceiling(m), before), unit = v_select(v_gt(top, none), top, v_zero());
    const vf shrink = v_exp2_neg(v_sub(before, unit));
    if (v_top(v_sub(v_set(1.0f), shrink)) > 0)
        for (ptrdiff_t r = 0; r < f->wv; r++)
            v_store(o + r * TILE_Q, v_mul(shrink, v_load(o + r * TILE_Q)));
    for (ptrdiff_t r = 0; r < TILE_K; r += 2) {
        vi half[2] = {vi_set(0), vi_set(0)};
        for (ptrdiff_t h = 0; h < 2 && r + h < keys; h++) {
            const vf p = v_exp2_neg(v_sub(v_load(f->s + (r + h) * TILE_Q + c), unit));
            total = v_add(total, p);
            half[h] = v_bf16(p);
            if (a->keep < 1)
                half[h] = vi_and(half[h], vi_load(f->keep + (r + h) * TILE_Q + c));
        }
        vi_store(f->p + r / 2 * TILE_Q + c, v_pairs(half[0], half[1]));
    }
    v_store(top_, top);
    v_store(sum_, v_fma(shrink, v_load(sum_), total));
}

/* Queries i0 .. of the panel, its tile at row r0, with the key tile at j0. */
static void query_tile(const struct sqa_attention *a, const struct forward *f, ptrdiff_t i0, ptrdiff_t r0,
                       ptrdiff_t rows, ptrdiff_t j0)
{
    const ptrdiff_t keys = visible(a, i0, rows, j0);
    float *o = f->o + r0 * f->wv;
    if (keys <= 0)
        return;
    sqa_tiles_product(TILE_K, TILE_Q, f->w, f->k, f->w, f->q + r0 * f->w / 2, TILE_Q, f->s, TILE_Q, 0);
    if (a->keep < 1)
        V(attention_bf16_keep)(a, i0, j0, keys, f->keep);
    for (ptrdiff_t c = 0; c < TILE_Q; c += W)
        softmax_lanes(a, f, c, lanes(a->first + i0 + c), j0, keys, f->top + r0 + c, f->sum + r0 + c, o + c);
    sqa_tiles_product(f->wv, TILE_Q, TILE_K, f->vt, TILE_K, f->p, TILE_Q, o, TILE_Q, 1);
}

static void begin_panel(const struct sqa_attention *a, const struct forward *f, ptrdiff_t i0, ptrdiff_t rows)
{
    for (ptrdiff_t r = 0; r < rows; r += TILE_Q) {
        const float *q = (const float *)a->q + (i0 + r) * a->q_stride;
        pack_rows(q, a->q_stride, smaller(rows - r, TILE_Q), a->d, (uint16_t *)(void *)f->pairs, TILE_Q);
        transpose32(f->pairs, TILE_Q, f->w / 2, f->q + r * f->w / 2);
    }
    memset(f->o, 0, (size_t)(PANEL * f->wv) * sizeof *f->o);
    for (ptrdiff_t r = 0; r < PANEL; r++) {
        f->top[r] = -INFINITY;
        f->sum[r] = 0;
    }
}

static void finish_panel(const struct sqa_attention *a, const struct forward *f, ptrdiff_t i0, ptrdiff_t rows)
{
    const float keep_scale = (float)sqa_pair_scale(sqa_pair_threshold(a->keep));
    const double ln2 = 0.69314718055994530942;
    for (ptrdiff_t r = 0; r < rows; r++) {
        const float sum = f->sum[r], inv = sum == 0 ? 0 : keep_scale / sum;
        float *to = (float *)a->o + (i0 + r) * a->o_stride;
        const float *from = f->o + r / TILE_Q * TILE_Q * f->wv + r % TILE_Q;
        for (ptrdiff_t c = 0; c < a->dv; c++)
            to[c] = inv * from[c * TILE_Q];
        ((float *)a->lse)[i0 + r] = sum == 0 ? INFINITY : (float)((double)f->top[r] * ln2 + log((double)sum));
    }
}

void V(attention_bf16)(const struct sqa_attention *a, void *workspace)
{
    struct forward f;
    const float *k = a->k, *v = a->v;
    if (!sqa_attention_bf16_knows(a)) {
        F32(attention)(a, workspace);
        return;
    }
    (void)lay_out(a->d, a->dv, workspace, &f);
    sqa_tiles_begin();
    for (ptrdiff_t i0 = 0; i0 < a->queries; i0 += PANEL) {
        const ptrdiff_t rows = smaller(a->queries - i0, PANEL);
        begin_panel(a, &f, i0, rows);
        for (ptrdiff_t j0 = 0; j0 < a->keys; j0 += TILE_K) {
            const ptrdiff_t keys = visible(a, i0, rows, j0);
            if (keys <= 0)
                break;
            pack_rows(k + j0 * a->k_stride, a->k_stride, keys, a->d, f.k, TILE_K);
            pack_pairs(v + j0 * a->v_stride, a->v_stride, keys, a->dv, f.pairs, TILE_K);
            transpose32(f.pairs, TILE_K / 2, f.wv, (uint32_t *)(void *)f.vt);
            for (ptrdiff_t r = 0; r < rows; r += TILE_Q)
                query_tile(a, &f, i0 + r, r, smaller(rows - r, TILE_Q), j0);
        }
        finish_panel(a, &f, i0, rows);
    }
    sqa_tiles_end();
}

/* High and low words of the products of 32-bit lanes with m. */
static __m256i multiply(__m256i x, __m256i m, __m256i *high)
{
    const __m256i even = _mm256_mul_epu32(x, m), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), m);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}

/* One block of Philox for each of eight queries: counter low word `low`, high words i. */
static void draw(uint64_t key, uint32_t low, __m256i i, __m256i c[4])
{
    const __m256i m0 = _mm256_set1_epi64x((long long)SQA_PHILOX_M0),
                  m1 = _mm256_set1_epi64x((long long)SQA_PHILOX_M1);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    c[0] = _mm256_set1_epi32((int)low);
    c[1] = i;
    c[2] = c[3] = _mm256_setzero_si256();
    for (int round = 0; round < 10; round++) {
        __m256i high0, high1;
        const __m256i low0 = multiply(c[0], m0, &high0), low1 = multiply(c[2], m1, &high1);
        c[0] = _mm256_xor_si256(_mm256_xor_si256(high1, c[1]), _mm256_set1_epi32((int)k0));
        c[2] = _mm256_xor_si256(_mm256_xor_si256(high0, c[3]), _mm256_set1_epi32((int)k1));
        c[1] = low1;
        c[3] = low0;
        k0 += SQA_PHILOX_W0;
        k1 += SQA_PHILOX_W1;
    }
}

void V(attention_bf16_keep)(const struct sqa_attention *a, ptrdiff_t i0, ptrdiff_t j0, ptrdiff_t keys, uint32_t *keep)
{
    const __m256i threshold = _mm256_set1_epi32((int)sqa_pair_threshold(a->keep));
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), low = _mm256_set1_epi32(0xff);
    for (ptrdiff_t r = 0; r < keys; r += 16)
        for (ptrdiff_t c = 0; c < TILE_Q; c += 8) {
            const __m256i i = _mm256_add_epi32(_mm256_set1_epi32((int)(a->first + i0 + c)), lane);
            __m256i word[4];
            draw(a->dropout_key, (uint32_t)((j0 + r) / 16), i, word);
            for (ptrdiff_t byte = 0; byte < 16; byte++) {
                const __m256i shift = _mm256_set1_epi32((int)(8 * (byte % 4)));
                const __m256i x = _mm256_and_si256(_mm256_srlv_epi32(word[byte / 4], shift), low);
                _mm256_storeu_si256((__m256i *)(void *)(keep + (r + byte) * TILE_Q + c),
                                    _mm256_cmpgt_epi32(threshold, x));
            }
        }
}
