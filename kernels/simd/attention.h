/*
 * attention.h - what the forward and the backward pass of softmax attention share; f32
 *
 * Lanes are queries. A strip is LANES queries, two vectors wide, held transposed: row c of Q^T has number c of every
 * query of the strip. A tile of scores is S^T, a row for each key, so that maximum, sum, exp and masks work on whole
 * vectors without moving lanes, and K and V are only read one number at a time, in the order in which they are
 * stored. Every product is C (rows x lanes) += A (rows x n) B (n x lanes) with ROWS x 2 vectors of C in registers.
 *
 * Scores are in units of log 2: Q^T holds q scale log2(e), and probabilities are 2^(s - top).
 */
#ifndef SQA_KERNELS_SIMD_ATTENTION_H
#define SQA_KERNELS_SIMD_ATTENTION_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/philox.h"
#include "kernels/simd/vec.h"

enum {
    LANES = 2 * W,
    ROWS = W == 8 ? 6 : 8, /* of C at once; some blocks have FEWER or 4: see step() */
    FEWER = W == 8 ? 5 : 4,
    TILE = 64,        /* keys of a tile: what works on them stays in 32 KiB */
    PANEL = 256,      /* queries held at once, at most */
    SPARE = 2 * ROWS, /* rows behind a tile that may be read and written */
};

V_INLINE ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b)
{
    return a > b ? a : b;
}

V_INLINE ptrdiff_t round_up(ptrdiff_t x, ptrdiff_t unit)
{
    return (x + unit - 1) / unit * unit;
}

/* Rows of the next block when `left` are to do, and what all blocks cover. AVX2: 6, 5 or 4 rows, so that every count
 * from 4 on but 7 is met exactly. */
V_INLINE ptrdiff_t step(ptrdiff_t left)
{
    if (W == 16)
        return left > 4 ? ROWS : 4;
    return left % 6 == 0 ? 6 : left <= 4 || left == 7 || left == 8 ? 4 : 5;
}

V_INLINE ptrdiff_t covered(ptrdiff_t n)
{
    return W == 16 ? round_up(n, 4) : n == 7 ? 8 : larger(4, n);
}

/* The next `count` floats of the workspace, on a cache line. */
V_INLINE float *take(char **at, ptrdiff_t count)
{
    float *p = (float *)(void *)*at;
    *at += round_up(count, 16) * (ptrdiff_t)sizeof(float);
    return p;
}

V_INLINE char *aligned(void *workspace)
{
    return (char *)workspace + (-(uintptr_t)workspace & 63);
}

/* Products */

/* acc[r][v] += sum over k < n of a[r ar + k ak] b[k bs + v W ..] */
V_INLINE void multiply(int rows, int vectors, ptrdiff_t n, const float *a, ptrdiff_t ar, ptrdiff_t ak, const float *b,
                       ptrdiff_t bs, vf acc[][2])
{
    for (; n > 0; n--, a += ak, b += bs) {
        vf x[2];
        V_UNROLL for (int v = 0; v < vectors; v++) x[v] = v_load(b + v * W);
        V_UNROLL for (int r = 0; r < rows; r++)
        {
            const vf s = v_set(a[r * ar]);
            V_UNROLL for (int v = 0; v < vectors; v++) acc[r][v] = v_fma(s, x[v], acc[r][v]);
        }
    }
}

V_INLINE void add_block(int rows, int vectors, ptrdiff_t n, const float *a, ptrdiff_t ar, ptrdiff_t ak,
                        const float *b, ptrdiff_t bs, float *c, ptrdiff_t cs)
{
    vf acc[16][2];
    V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < vectors; v++) acc[r][v] =
        v_load(c + r * cs + v * W);
    multiply(rows, vectors, n, a, ar, ak, b, bs, acc);
    V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < vectors; v++)
        v_store(c + r * cs + v * W, acc[r][v]);
}

/* C (m, LANES) += A^T B, A (n, m) with rows as apart, B (n, LANES) bs apart. covered(m) rows are done. */
static inline void add_lanes(ptrdiff_t m, ptrdiff_t n, const float *a, ptrdiff_t as, const float *b, ptrdiff_t bs,
                             float *c)
{
    ptrdiff_t r = 0;
    for (; FEWER > 4 && step(m - r) == FEWER; r += FEWER)
        add_block(FEWER, 2, n, a + r, 1, as, b, bs, c + r * LANES, LANES);
    for (; r < m && step(m - r) == ROWS; r += ROWS)
        add_block(ROWS, 2, n, a + r, 1, as, b, bs, c + r * LANES, LANES);
    for (; r < m; r += 4)
        add_block(4, 2, n, a + r, 1, as, b, bs, c + r * LANES, LANES);
}

/* C (m, width) += A B, A (m, n), B (n, width), width a multiple of W. Up to SPARE more rows are done. */
static inline void add_rows(ptrdiff_t m, ptrdiff_t width, ptrdiff_t n, const float *a, ptrdiff_t as, const float *b,
                            ptrdiff_t bs, float *c, ptrdiff_t cs)
{
    ptrdiff_t k = 0;
    for (; k + 2 * W <= width; k += 2 * W) {
        ptrdiff_t r = 0;
        for (; FEWER > 4 && step(m - r) == FEWER; r += FEWER)
            add_block(FEWER, 2, n, a + r * as, as, 1, b + k, bs, c + r * cs + k, cs);
        for (; r < m && step(m - r) == ROWS; r += ROWS)
            add_block(ROWS, 2, n, a + r * as, as, 1, b + k, bs, c + r * cs + k, cs);
        for (; r < m; r += 4)
            add_block(4, 2, n, a + r * as, as, 1, b + k, bs, c + r * cs + k, cs);
    }
    for (ptrdiff_t r = 0; k < width && r < m; r += 2 * ROWS)
        add_block(2 * ROWS, 1, n, a + r * as, as, 1, b + k, bs, c + r * cs + k, cs);
}

/* Copies */

/* to[r][c] = scale from[r][c]; zeros up to all_rows rows and `pitch` columns. */
static inline void copy_rows(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, float scale,
                             float *to, ptrdiff_t pitch, ptrdiff_t all_rows)
{
    const vf factor = v_set(scale);
    const ptrdiff_t whole = width / W * W;
    for (ptrdiff_t r = 0; r < rows; r++, from += stride, to += pitch) {
        for (ptrdiff_t c = 0; c < whole; c += W)
            v_store(to + c, v_mul(factor, v_load(from + c)));
        for (ptrdiff_t c = whole; c < pitch; c += W)
            v_store(to + c, c < width ? v_mul(factor, v_load_part(from + c, (size_t)(width - c))) : v_zero());
    }
    if (all_rows > rows)
        memset(to, 0, (size_t)((all_rows - rows) * pitch) * sizeof *to);
}

V_INLINE __m256i part8(ptrdiff_t left)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - (left < 8 ? left : 8)));
}

/* to[c][r] = scale from[r][c], r < rows, c < width, both 8 at most */
V_INLINE void transpose8(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, __m256 scale,
                         float *to, ptrdiff_t to_stride)
{
    __m256 x[8], s[8], t[8];
    V_UNROLL for (int i = 0; i < 8; i++)
    {
        const float *at = from + i * stride;
        x[i] = i >= rows    ? _mm256_setzero_ps()
               : width == 8 ? _mm256_loadu_ps(at)
                            : _mm256_maskload_ps(at, part8(width));
        x[i] = _mm256_mul_ps(x[i], scale);
    }
    V_UNROLL for (int i = 0; i < 8; i += 2)
    {
        s[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    V_UNROLL for (int i = 0; i < 8; i += 4) V_UNROLL for (int h = 0; h < 2; h++)
    {
        t[i + 2 * h] = _mm256_shuffle_ps(s[i + h], s[i + 2 + h], 0x44);
        t[i + 2 * h + 1] = _mm256_shuffle_ps(s[i + h], s[i + 2 + h], 0xee);
    }
    V_UNROLL for (int i = 0; i < 4; i++)
    {
        x[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
        x[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
    V_UNROLL for (int i = 0; i < 8; i++)
    {
        if (i < width && rows == 8)
            _mm256_storeu_ps(to + i * to_stride, x[i]);
        else if (i < width)
            _mm256_maskstore_ps(to + i * to_stride, part8(rows), x[i]);
    }
}

/* to[c][r] = scale from[r][c], r < rows, c < width */
static inline void transpose(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, float scale,
                             float *to, ptrdiff_t to_stride)
{
    const __m256 factor = _mm256_set1_ps(scale);
    for (ptrdiff_t r = 0; r < rows; r += 8)
        for (ptrdiff_t c = 0; c < width; c += 8) {
            const ptrdiff_t m = smaller(rows - r, 8), n = smaller(width - c, 8);
            if (m == 8 && n == 8)
                transpose8(from + r * stride + c, stride, 8, 8, factor, to + c * to_stride + r, to_stride);
            else
                transpose8(from + r * stride + c, stride, m, n, factor, to + c * to_stride + r, to_stride);
        }
}

/* Transposed strips of the rows of a panel: strip s at to + s * LANES * height. Lanes without a query become 0. */
static inline void load_strips(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, float scale,
                               float *to, ptrdiff_t height)
{
    for (ptrdiff_t r = 0; r < rows; r += LANES, to += LANES * height) {
        if (rows - r < LANES)
            memset(to, 0, (size_t)(LANES * height) * sizeof *to);
        transpose(from + r * stride, stride, smaller(rows - r, LANES), width, scale, to, LANES);
    }
}

/* Which pairs are allowed */

struct range {
    ptrdiff_t from, to;
};

/* Keys that query i may see by every rule but the block list; from and to never fall when i grows. */
V_INLINE struct range keys_of(const struct sqa_attention *a, ptrdiff_t i)
{
    struct range k = {0, a->keys};
    if (a->causal)
        k.to = smaller(k.to, i + 1);
    if (a->window) {
        k.from = larger(k.from, i - a->left);
        k.to = smaller(k.to, i + a->right + 1);
    }
    return k;
}

/* Keys of [from, to) that some query of i .. i + rows - 1 may see. */
V_INLINE struct range keys_of_rows(const struct sqa_attention *a, ptrdiff_t i, ptrdiff_t rows, struct range tile)
{
    return (struct range){larger(keys_of(a, i).from, tile.from), smaller(keys_of(a, i + rows - 1).to, tile.to)};
}

/* Rows of the panel that starts at query i: a panel stays in one query block. */
V_INLINE ptrdiff_t panel_rows(const struct sqa_attention *a, ptrdiff_t i, ptrdiff_t panel)
{
    const ptrdiff_t end = a->first + a->queries;
    return smaller(end - i, a->block ? smaller(panel, a->block - i % a->block) : panel);
}

/* Walks the key tiles of a panel in order. */
struct tiles {
    const struct sqa_attention *a;
    const int32_t *at, *stop; /* key blocks to come */
    struct range span, run;   /* all keys of the panel; what is left of the run of keys at hand */
};

static inline struct tiles tiles_of(const struct sqa_attention *a, ptrdiff_t i, ptrdiff_t rows)
{
    struct tiles t = {.a = a};
    t.span = t.run = keys_of_rows(a, i, rows, (struct range){0, a->keys});
    if (a->block) {
        t.run.to = t.run.from;
        t.at = a->block_key + a->block_start[i / a->block];
        t.stop = a->block_key + a->block_start[i / a->block + 1];
    }
    return t;
}

static inline int next_tile(struct tiles *t, ptrdiff_t size, struct range *tile)
{
    while (t->run.from >= t->run.to && t->at < t->stop) { /* neighbours in the list are one run */
        const ptrdiff_t block = t->a->key_block, from = *t->at++ * block;
        ptrdiff_t to = from + block;
        for (; t->at < t->stop && *t->at * block == to; t->at++)
            to += block;
        t->run = (struct range){larger(from, t->span.from), smaller(to, t->span.to)};
    }
    if (t->run.from >= t->run.to)
        return 0;
    *tile = (struct range){t->run.from, smaller(t->run.to, t->run.from + size)};
    t->run.from = tile->to;
    return 1;
}

/* One strip and the keys of a tile that it works on. */
struct spot {
    ptrdiff_t i, lanes; /* first query and the number of queries */
    struct range keys;
};

/* Must some pair of the spot be masked, or is there a row of zeros behind the keys? */
static inline int is_partial(const struct sqa_attention *a, const struct spot *s)
{
    const ptrdiff_t n = s->keys.to - s->keys.from;
    return covered(n) != n || keys_of(a, s->i + s->lanes - 1).from > s->keys.from || keys_of(a, s->i).to < s->keys.to;
}

/* add[j][lane]: the bias of each pair in log 2 units, -inf where it is not allowed; covered() rows. */
static inline void fill_added(const struct sqa_attention *a, const struct spot *s, float *add)
{
    const ptrdiff_t n = s->keys.to - s->keys.from, rows = covered(n);
    const float *bias = a->bias;
    int32_t from[LANES], to[LANES];
    memset(add, 0, (size_t)(rows * LANES) * sizeof *add);
    if (bias)
        transpose(bias + (s->i - a->first) * a->bias_stride + s->keys.from, a->bias_stride, s->lanes, n, 1.44269504f,
                  add, LANES);
    for (ptrdiff_t l = 0; l < LANES; l++) {
        const struct range k = keys_of(a, s->i + smaller(l, s->lanes - 1));
        from[l] = (int32_t)larger(-1, k.from - s->keys.from - 1);
        to[l] = (int32_t)smaller(n, larger(-1, k.to - s->keys.from));
    }
    const vf never = v_set(-INFINITY);
    for (ptrdiff_t j = 0; j < rows; j++)
        for (ptrdiff_t v = 0; v < LANES; v += W) {
            const vi at = vi_set((int32_t)j);
            const vf x = v_select(vi_gt(at, vi_load(from + v)), v_load(add + j * LANES + v), never);
            v_store(add + j * LANES + v, v_select(vi_gt(vi_load(to + v), at), x, never));
        }
}

/* 2^x for -126 <= x <= 127, 2e-7 relative */
V_INLINE vf exp2_bounded(vf x)
{
    const vf magic = v_set(0x1.8p23f); /* adding it rounds to an integer, left in the low bits */
    const vf t = v_add(x, magic), r = v_sub(x, v_sub(t, magic));
    vf p = v_set(0.00132647273f);
    p = v_fma(p, r, v_set(0.00967151299f));
    p = v_fma(p, r, v_set(0.0555073358f));
    p = v_fma(p, r, v_set(0.240222424f));
    p = v_fma(p, r, v_set(0.693147004f));
    p = v_fma(p, r, v_set(1.0f));
    return v_from_bits(vi_add(v_bits(p), vi_shl(v_bits(t), 23)));
}

/* The same for x <= 127; results below 2^-126 become 2^-126 about, which is below what any sum notices. */
V_INLINE vf exp2_score(vf x)
{
    return exp2_bounded(v_max(v_set(-126.0f), x));
}

/* The same where a score of -inf gives 0 */
V_INLINE vf exp2_masked(vf x)
{
    return v_select(v_lt(x, v_set(-126.0f)), v_zero(), exp2_score(x));
}

V_INLINE int any_lane(vm m)
{
#if SQA_WIDTH == 8
    return _mm256_movemask_ps(m) != 0;
#elif defined(__AVX512F__)
    return m != 0;
#else
    return (_mm256_movemask_ps(m.a) | _mm256_movemask_ps(m.b)) != 0;
#endif
}

V_INLINE vf and_bits(vf x, vf mask)
{
    return v_from_bits(vi_and(v_bits(x), v_bits(mask)));
}

/* Brings the rows of a->soon nearer, some with each call: few at a time, more than the processor can wait for would
 * hold it up. */
struct ahead {
    const struct sqa_attention *a;
    ptrdiff_t part, row;
    ptrdiff_t share; /* rows of a call */
};

/* Called for every ROWS keys of every strip, all is done when two thirds of the products are. */
static inline struct ahead ahead_of(const struct sqa_attention *a)
{
    const ptrdiff_t calls = (a->queries + LANES - 1) / LANES * (a->keys / ROWS) * 2 / 3;
    ptrdiff_t rows = 0;
    for (int i = 0; i < 8; i++)
        rows += a->soon[i].rows;
    return (struct ahead){.a = a, .share = (rows + calls - 1) / larger(1, calls)};
}

static inline void look_ahead(struct ahead *h)
{
    for (ptrdiff_t left = h->share; left > 0 && h->part < 8;) {
        if (h->row == h->a->soon[h->part].rows) {
            h->part++;
            h->row = 0;
            continue;
        }
        const char *row = h->a->soon[h->part].p + h->row * h->a->soon[h->part].stride;
        for (ptrdiff_t c = 0; c < h->a->soon[h->part].width; c += 64)
            _mm_prefetch(row + c, _MM_HINT_T1);
        h->row++;
        left--;
    }
}

/* Brings rows of `width` floats to the first cache; come_nearer(): to the second. */
static inline void come_near(const float *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < width; c += 16)
            _mm_prefetch(x + r * stride + c, _MM_HINT_T0);
}

static inline void come_nearer(const float *x, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < width; c += 16)
            _mm_prefetch(x + r * stride + c, _MM_HINT_T1);
}

/* The share that the strip at row r of a panel has in bringing the keys of the next tile. */
static inline void next_keys_nearer(const struct sqa_attention *a, struct range next, ptrdiff_t r, ptrdiff_t rows)
{
    const ptrdiff_t share = (TILE * LANES + rows - 1) / rows, at = next.from + r / LANES * share;
    const ptrdiff_t count = smaller(next.to - at, share);
    come_nearer((const float *)a->k + at * a->k_stride, a->k_stride, count, a->d);
    come_nearer((const float *)a->v + at * a->v_stride, a->v_stride, count, a->dv);
}

/* mask[j][lane], j from 0 to keys.to - keys.from - 1: all ones where dropout keeps the pair */
void V(attention_keep)(const struct sqa_attention *a, const struct spot *s, float *mask);

size_t V(attention_bwd_workspace)(int64_t d, int64_t dv);

#endif
