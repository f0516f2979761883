/*
 * attention.c - forward softmax attention in tiles; f32
 *
 * A panel of queries stands as strips: Q^T, O^T, running maximum and sum. For each tile of keys, copied once for the
 * panel, and each strip: P^T = 2^(K Q^T - top) from registers, then O^T += V^T P^T.
 *
 * A strip whose largest |q| times the largest |k| of every tile so far is BOUND at most has `top` 0 and never looks
 * for a maximum. In others `top` follows it loosely: it is raised only when a score is 2^LOOSE above it, so that
 * scores are turned into probabilities in the registers where they were summed, and O^T is hardly ever rescaled. A
 * masked probability is 0 but still multiplies V: not-a-number in a row of the same tile spreads to queries that may
 * not see it.
 */
#include "kernels/simd/attention.h"

#include "kernels/plain/plain.h"

enum { LOOSE = 8, BOUND = 64 };

struct forward {
    float *q, *o;      /* strips of the panel: d and `height` rows of LANES */
    float *top, *sum;  /* of each query of the panel */
    float *norm;       /* largest |q| of each strip; infinite once its top is not 0 */
    float *k, *v;      /* key tile: rows of kp and vp numbers */
    float *p;          /* a strip's P^T: tile rows of LANES */
    float *add, *mask; /* bias and masks, and dropout, in the same order */
    ptrdiff_t kp, vp;
    ptrdiff_t height;
};

static struct forward lay_out(ptrdiff_t d, ptrdiff_t dv, char **at)
{
    struct forward w = {.kp = round_up(d, W), .height = covered(dv)};
    const ptrdiff_t rows = TILE + SPARE;
    w.vp = round_up(w.height, W);
    w.q = take(at, PANEL * d);
    w.o = take(at, PANEL * w.height);
    w.top = take(at, PANEL);
    w.sum = take(at, PANEL);
    w.norm = take(at, PANEL / LANES);
    w.k = take(at, rows * w.kp);
    w.v = take(at, rows * w.vp);
    w.p = take(at, rows * LANES);
    w.add = take(at, rows * LANES);
    w.mask = take(at, rows * LANES);
    return w;
}

size_t V(attention_workspace)(int64_t d, int64_t dv)
{
    char *at = NULL;
    (void)lay_out(d, dv, &at);
    const size_t forward = (size_t)(uintptr_t)at, backward = V(attention_bwd_workspace)(d, dv);
    return (forward > backward ? forward : backward) + 64;
}

/* A strip at work on the keys of a tile. */
struct strip {
    const float *q, *k; /* k: first row of the keys in question */
    float *o, *top, *sum, *p;
    const float *add, *mask; /* NULL: nothing to add, nothing dropped */
    int bounded;             /* top is 0, and no score needs another */
    struct ahead *ahead;
    ptrdiff_t d, height, kp;
};

/* Scores of the `rows` keys at j, less `top`. */
V_INLINE void products(int rows, int added, const struct strip *s, ptrdiff_t j, const vf top[2], vf x[ROWS][2])
{
    V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < 2; v++) x[r][v] =
        added ? v_sub(v_load(s->add + (j + r) * LANES + v * W), top[v]) : v_neg(top[v]);
    multiply(rows, 2, s->d, s->k + j * s->kp, s->kp, 1, s->q, LANES, x);
}

V_INLINE void highest(int rows, int added, const struct strip *s, ptrdiff_t j, vf high[2])
{
    const vf zero[2] = {v_zero(), v_zero()};
    vf x[ROWS][2];
    products(rows, added, s, j, zero, x);
    V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < 2; v++) high[v] = v_max(x[r][v], high[v]);
}

static void shrink_rows(float *x, ptrdiff_t rows, const vf shrink[2])
{
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t v = 0; v < 2; v++)
            v_store(x + r * LANES + v * W, v_mul(shrink[v], v_load(x + r * LANES + v * W)));
}

/* A score of the `rows` keys at j lies LOOSE above its top: tops become the largest of them, or stay where that
 * changes little, and what was summed so far follows. */
static __attribute__((noinline)) void raise_top(const struct strip *s, ptrdiff_t j, ptrdiff_t rows)
{
    const vf old[2] = {v_load(s->top), v_load(s->top + W)};
    vf high[2] = {old[0], old[1]}, shrink[2];
    for (ptrdiff_t end = j + rows; rows > 0; rows -= 4) /* the last four may repeat some */
        if (s->add)
            highest(4, 1, s, rows >= 4 ? end - rows : end - 4, high);
        else
            highest(4, 0, s, rows >= 4 ? end - rows : end - 4, high);
    for (ptrdiff_t v = 0; v < 2; v++) {
        const vf top = v_select(v_gt(v_sub(high[v], old[v]), v_set(LOOSE / 2)), high[v], old[v]);
        shrink[v] = exp2_masked(v_sub(old[v], top));
        v_store(s->top + v * W, top);
    }
    shrink_rows(s->sum, 1, shrink);
    shrink_rows(s->p, j, shrink);
    shrink_rows(s->o, s->height, shrink);
}

/* Scores less tops, each LOOSE at most. They grow from -top, so they are exponents when the products are done. */
V_INLINE void loose_products(int rows, int added, const struct strip *s, ptrdiff_t j, vf x[ROWS][2])
{
    for (int again = 0;; again++) {
        const vf top[2] = {v_load(s->top), v_load(s->top + W)};
        products(rows, added, s, j, top, x);
        vf high = v_max(x[0][0], x[0][1]);
        V_UNROLL for (int r = 1; r < rows; r++) high = v_max(x[r][0], v_max(x[r][1], high));
        if (!any_lane(v_gt(high, v_set(LOOSE))))
            break;
        if (again) { /* numbers so large that rounding alone goes beyond it */
            V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < 2; v++) x[r][v] =
                v_min(v_set(LOOSE), x[r][v]);
            break;
        }
        raise_top(s, j, rows);
    }
}

/* P^T of the `rows` keys at j */
V_INLINE void score_block(int rows, int bounded, int added, int dropped, const struct strip *s, ptrdiff_t j)
{
    vf x[ROWS][2];
    if (bounded) {
        V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < 2; v++) x[r][v] =
            added ? v_load(s->add + (j + r) * LANES + v * W) : v_zero();
        multiply(rows, 2, s->d, s->k + j * s->kp, s->kp, 1, s->q, LANES, x);
    } else
        loose_products(rows, added, s, j, x);
    vf sum[2] = {v_load(s->sum), v_load(s->sum + W)};
    V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < 2; v++)
    {
        vf p = added ? exp2_masked(x[r][v]) : bounded ? exp2_bounded(x[r][v]) : exp2_score(x[r][v]);
        sum[v] = v_add(sum[v], p);
        if (dropped)
            p = and_bits(p, v_load(s->mask + (j + r) * LANES + v * W));
        v_store(s->p + (j + r) * LANES + v * W, p);
    }
    v_store(s->sum, sum[0]);
    v_store(s->sum + W, sum[1]);
}

/* Functions of their own: the compiler would keep constants in registers across blocks, and sums on the stack. */
#define SCORES(name, bounded, added, dropped)                                              \
    static __attribute__((noinline)) void name##_fewer(const struct strip *s, ptrdiff_t j) \
    {                                                                                      \
        score_block(FEWER, bounded, added, dropped, s, j);                                 \
    }                                                                                      \
    static __attribute__((noinline)) void name##_four(const struct strip *s, ptrdiff_t j)  \
    {                                                                                      \
        score_block(4, bounded, added, dropped, s, j);                                     \
    }                                                                                      \
    static __attribute__((noinline)) void name(const struct strip *s, ptrdiff_t n)         \
    {                                                                                      \
        for (ptrdiff_t j = 0, rows; j < n; j += rows) {                                    \
            rows = step(n - j);                                                            \
            look_ahead(s->ahead);                                                          \
            if (rows == ROWS)                                                              \
                score_block(ROWS, bounded, added, dropped, s, j);                          \
            else if (rows == FEWER)                                                        \
                name##_fewer(s, j);                                                        \
            else                                                                           \
                name##_four(s, j);                                                         \
        }                                                                                  \
    }
SCORES(loose_all, 0, 0, 0)
SCORES(loose_dropped, 0, 0, 1)
SCORES(loose_added, 0, 1, 0)
SCORES(loose_both, 0, 1, 1)
SCORES(bounded_all, 1, 0, 0)
SCORES(bounded_dropped, 1, 0, 1)
SCORES(bounded_added, 1, 1, 0)
SCORES(bounded_both, 1, 1, 1)

static void scores(const struct strip *s, ptrdiff_t n)
{
    static void (*const form[2][2][2])(const struct strip *s, ptrdiff_t n) = {
        {{loose_all, loose_dropped}, {loose_added, loose_both}},
        {{bounded_all, bounded_dropped}, {bounded_added, bounded_both}}};
    form[s->bounded][s->add != NULL][s->mask != NULL](s, n);
}

/* The largest norm of the rows of a tile */
static float largest_norm(const float *x, ptrdiff_t pitch, ptrdiff_t rows)
{
    float most = 0;
    for (ptrdiff_t r = 0; r < rows; r++, x += pitch) {
        vf sum = v_zero();
        for (ptrdiff_t c = 0; c < pitch; c += W)
            sum = v_fma(v_load(x + c), v_load(x + c), sum);
        const float all = v_sum(sum);
        most = all > most ? all : most;
    }
    return sqrtf(most);
}

/* The largest norm of the queries of a strip */
static float strip_norm(const float *q, ptrdiff_t d)
{
    vf sum[2] = {v_zero(), v_zero()};
    for (ptrdiff_t c = 0; c < d; c++)
        for (ptrdiff_t v = 0; v < 2; v++) {
            const vf x = v_load(q + c * LANES + v * W);
            sum[v] = v_fma(x, x, sum[v]);
        }
    return sqrtf(v_top(v_max(sum[0], sum[1])));
}

/* Is BOUND kept by the tile with this largest |k|? When not, tops are looked for from here on. */
static int stays_bounded(const struct forward *w, ptrdiff_t r, float key_norm)
{
    float *norm = w->norm + r / LANES;
    if (*norm * key_norm <= BOUND)
        return 1;
    if (*norm < INFINITY)
        for (ptrdiff_t v = r; v < r + LANES; v += W) {
            const vm none = v_eq(v_load(w->sum + v), v_zero());
            v_store(w->top + v, v_select(none, v_set(-FLT_MAX), v_zero()));
        }
    *norm = INFINITY;
    return 0;
}

/* The strip at row r of the panel, at query i, with the tile that is copied. */
static void work(const struct sqa_attention *a, const struct forward *w, ptrdiff_t r, ptrdiff_t rows, ptrdiff_t i,
                 struct range tile, float key_norm, struct ahead *ahead)
{
    struct spot at = {.i = i, .lanes = smaller(rows - r, LANES)};
    at.keys = keys_of_rows(a, i, at.lanes, tile);
    const ptrdiff_t n = at.keys.to - at.keys.from, skip = at.keys.from - tile.from;
    if (n <= 0)
        return;
    struct strip s = {.q = w->q + r * a->d,
                      .o = w->o + r * w->height,
                      .k = w->k + skip * w->kp,
                      .top = w->top + r,
                      .sum = w->sum + r,
                      .p = w->p,
                      .bounded = stays_bounded(w, r, key_norm),
                      .ahead = ahead,
                      .d = a->d,
                      .height = w->height,
                      .kp = w->kp};
    const int drop = sqa_pair_threshold(a->keep) < 256;
    if (drop) {
        V(attention_keep)(a, &at, w->mask);
        s.mask = w->mask;
    }
    if (a->bias || is_partial(a, &at)) {
        fill_added(a, &at, w->add);
        s.add = w->add;
    }
    scores(&s, n);
    add_lanes(a->dv, n, w->v + skip * w->vp, w->vp, w->p, LANES, s.o);
}

/* o = O / sum, lse of the strip at row r of the panel. Rows without a key have sum 0. */
static void finish_strip(const struct sqa_attention *a, const struct forward *w, ptrdiff_t row, ptrdiff_t rows,
                         ptrdiff_t r)
{
    const vf keep = v_set((float)sqa_pair_scale(sqa_pair_threshold(a->keep))), zero = v_zero();
    float *lse = a->lse, *o = (float *)a->o + (row + r) * a->o_stride, *strip = w->o + r * w->height;
    for (ptrdiff_t l = 0; l < LANES && r + l < rows; l += W) {
        const vf sum = v_load(w->sum + r + l);
        const vm none = v_eq(sum, zero);
        const vf factor = v_select(none, zero, v_div(keep, sum));
        for (ptrdiff_t c = 0; c < a->dv; c++)
            v_store(strip + c * LANES + l, v_mul(factor, v_load(strip + c * LANES + l)));
        const vf log_sum = v_fma(v_load(w->top + r + l), v_set(0.693147181f), v_log(sum));
        v_store_part(lse + row + r + l, (size_t)(rows - r - l), v_select(none, v_set(INFINITY), log_sum));
    }
    transpose(strip, LANES, a->dv, smaller(rows - r, LANES), 1, o, a->o_stride);
}

/* A bias may add anything, so tops are looked for. */
static void start_strip(const struct sqa_attention *a, const struct forward *w, ptrdiff_t row, ptrdiff_t rows,
                        ptrdiff_t r)
{
    const float *q = (const float *)a->q + (row + r) * a->q_stride;
    const ptrdiff_t lanes = smaller(rows - r, LANES);
    load_strips(q, a->q_stride, lanes, a->d, (float)(a->scale * 1.44269504088896340736), w->q + r * a->d, a->d);
    memset(w->o + r * w->height, 0, (size_t)(LANES * w->height) * sizeof *w->o);
    w->norm[r / LANES] = a->bias ? INFINITY : strip_norm(w->q + r * a->d, a->d);
    for (ptrdiff_t l = r; l < r + LANES; l++) {
        w->top[l] = a->bias ? -FLT_MAX : 0;
        w->sum[l] = 0;
    }
}

static float load_tile(const struct sqa_attention *a, const struct forward *w, struct range tile)
{
    const ptrdiff_t n = tile.to - tile.from;
    copy_rows((const float *)a->k + tile.from * a->k_stride, a->k_stride, n, a->d, 1, w->k, w->kp, n + SPARE);
    copy_rows((const float *)a->v + tile.from * a->v_stride, a->v_stride, n, a->dv, 1, w->v, w->vp, n);
    return largest_norm(w->k, w->kp, n);
}

/* A strip is read where its first tile needs it and written after its last, so that it is in the first cache. Rows
 * that come next are asked for before: a store to a line that is far away holds up all that follow. */
static void do_panel(const struct sqa_attention *a, const struct forward *w, ptrdiff_t row, ptrdiff_t rows,
                     struct ahead *ahead)
{
    const ptrdiff_t i = a->first + row;
    struct tiles t = tiles_of(a, i, rows);
    struct range tile = {0, 0}, next = {0, 0};
    int more = next_tile(&t, TILE, &tile); /* no tile at all: an empty one */
    for (int first = 1, again = 1; again; first = 0, tile = next) {
        again = more = more && next_tile(&t, TILE, &next);
        const float key_norm = load_tile(a, w, tile);
        for (ptrdiff_t r = 0; r < rows; r += LANES) {
            const ptrdiff_t after = smaller(rows - r - LANES, LANES);
            if (first) {
                start_strip(a, w, row, rows, r);
                come_near((const float *)a->q + (row + r + LANES) * a->q_stride, a->q_stride, after, a->d);
            }
            if (!more)
                come_near((float *)a->o + (row + r) * a->o_stride, a->o_stride, smaller(rows - r, LANES), a->dv);
            if (more)
                next_keys_nearer(a, next, r, rows);
            work(a, w, r, rows, i + r, tile, key_norm, ahead);
            if (!more)
                finish_strip(a, w, row, rows, r);
        }
    }
}

void V(attention)(const struct sqa_attention *a, void *workspace)
{
    char *start = aligned(workspace);
    const struct forward w = lay_out(a->d, a->dv, &start);
    struct ahead ahead = ahead_of(a);
    for (ptrdiff_t row = 0, rows; row < a->queries; row += rows) {
        rows = panel_rows(a, a->first + row, PANEL);
        do_panel(a, &w, row, rows, &ahead);
    }
}
