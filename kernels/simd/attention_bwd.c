/*
 * attention_bwd.c - gradients of softmax attention in tiles, five products; f32
 *
 * A panel of queries stands as strips (Q^T, dO^T, dQ^T) and as rows (Q, dO). For each tile of keys and each group of
 * GROUP queries of the panel: strip by strip P^T = 2^(K Q^T - lse) and dS^T = P^T (V dO^T - delta), each from
 * registers, and dQ^T += K^T dS^T; then dV += P^T dO and dK += dS^T Q. dK and dV of a tile are added to the caller's
 * rows once for each panel, in the order of panels.
 */
#include "kernels/simd/attention.h"

#include "kernels/plain/plain.h"

enum { GROUP = 64, PITCH = GROUP + 16 };

struct backward {
    float *q, *dout, *dq;    /* strips of the panel: d, dv and `height` rows of LANES */
    float *q_rows, *do_rows; /* rows of qp and vp numbers */
    float *lse, *delta;      /* of each query: in log 2 units; sum of dO O */
    float *k, *v, *dk, *dv;  /* key tile: rows of qp, vp, qp, vp numbers */
    float *p, *ds;           /* P^T and dS^T of a group: tile rows of PITCH */
    float *add, *mask;       /* of a strip: tile rows of LANES */
    ptrdiff_t qp, vp, height;
    ptrdiff_t panel;
};

static struct backward lay_out(ptrdiff_t d, ptrdiff_t dv, char **at)
{
    const ptrdiff_t rows = TILE + SPARE;
    struct backward w = {.qp = round_up(covered(d), W), .vp = round_up(dv, W), .height = covered(d)};
    w.panel = d + dv <= 128 ? PANEL : PANEL / 2;
    w.q = take(at, w.panel * d);
    w.dout = take(at, w.panel * dv);
    w.dq = take(at, w.panel * w.height);
    w.q_rows = take(at, w.panel * w.qp);
    w.do_rows = take(at, w.panel * w.vp);
    w.lse = take(at, w.panel);
    w.delta = take(at, w.panel);
    w.k = take(at, rows * w.qp);
    w.v = take(at, rows * w.vp);
    w.dk = take(at, rows * w.qp);
    w.dv = take(at, rows * w.vp);
    w.p = take(at, rows * PITCH);
    w.ds = take(at, rows * PITCH);
    w.add = take(at, rows * LANES);
    w.mask = take(at, rows * LANES);
    return w;
}

size_t V(attention_bwd_workspace)(int64_t d, int64_t dv)
{
    char *at = NULL;
    (void)lay_out(d, dv, &at);
    return (size_t)(uintptr_t)at;
}

struct strip {
    const float *q, *dout, *lse, *delta;
    const float *k, *v;      /* first rows of the keys in question */
    float *p, *ds;           /* the strip's columns of the group, first row */
    const float *add, *mask; /* NULL: nothing to add, nothing dropped */
    ptrdiff_t d, dv, qp, vp;
    struct ahead *ahead;
};

/* P^T and dS^T of the `rows` keys at j. Sums grow from -lse and from -delta. */
V_INLINE void gradient_block(int rows, int added, int dropped, const struct strip *s, ptrdiff_t j)
{
    vf x[ROWS][2];
    const vf lse[2] = {v_load(s->lse), v_load(s->lse + W)}, delta[2] = {v_load(s->delta), v_load(s->delta + W)};
    V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < 2; v++) x[r][v] =
        added ? v_sub(v_load(s->add + (j + r) * LANES + v * W), lse[v]) : v_neg(lse[v]);
    multiply(rows, 2, s->d, s->k + j * s->qp, s->qp, 1, s->q, LANES, x);
    V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < 2; v++)
        v_store(s->p + (j + r) * PITCH + v * W, added ? exp2_masked(x[r][v]) : exp2_score(x[r][v]));
    V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < 2; v++) x[r][v] =
        dropped ? v_zero() : v_neg(delta[v]);
    multiply(rows, 2, s->dv, s->v + j * s->vp, s->vp, 1, s->dout, LANES, x);
    V_UNROLL for (int r = 0; r < rows; r++) V_UNROLL for (int v = 0; v < 2; v++)
    {
        float *at = s->p + (j + r) * PITCH + v * W;
        const vf p = v_load(at);
        vf dp = x[r][v];
        if (dropped) {
            const vf keep = v_load(s->mask + (j + r) * LANES + v * W);
            v_store(at, and_bits(p, keep));
            dp = v_sub(and_bits(dp, keep), delta[v]);
        }
        v_store(s->ds + (j + r) * PITCH + v * W, v_mul(p, dp));
    }
}

/* Functions of their own: the compiler would keep constants in registers across blocks, and sums on the stack. */
#define GRADIENTS(name, added, dropped)                                                    \
    static __attribute__((noinline)) void name##_fewer(const struct strip *s, ptrdiff_t j) \
    {                                                                                      \
        gradient_block(FEWER, added, dropped, s, j);                                       \
    }                                                                                      \
    static __attribute__((noinline)) void name##_four(const struct strip *s, ptrdiff_t j)  \
    {                                                                                      \
        gradient_block(4, added, dropped, s, j);                                           \
    }                                                                                      \
    static __attribute__((noinline)) void name(const struct strip *s, ptrdiff_t n)         \
    {                                                                                      \
        for (ptrdiff_t j = 0, rows; j < n; j += rows) {                                    \
            rows = step(n - j);                                                            \
            look_ahead(s->ahead);                                                          \
            if (rows == ROWS)                                                              \
                gradient_block(ROWS, added, dropped, s, j);                                \
            else if (rows == FEWER)                                                        \
                name##_fewer(s, j);                                                        \
            else                                                                           \
                name##_four(s, j);                                                         \
        }                                                                                  \
    }
GRADIENTS(gradients_all, 0, 0)
GRADIENTS(gradients_dropped, 0, 1)
GRADIENTS(gradients_added, 1, 0)
GRADIENTS(gradients_both, 1, 1)

static void gradients(const struct strip *s, ptrdiff_t n)
{
    if (s->add)
        (s->mask ? gradients_both : gradients_added)(s, n);
    else
        (s->mask ? gradients_dropped : gradients_all)(s, n);
}

static void clear_columns(float *x, ptrdiff_t from, ptrdiff_t to)
{
    for (ptrdiff_t r = from; r < to; r++)
        memset(x + r * PITCH, 0, LANES * sizeof *x);
}

static void add_bias_gradient(const struct sqa_attention_bwd *b, const struct spot *at, const float *ds)
{
    for (ptrdiff_t l = 0; l < at->lanes; l++) {
        float *to = (float *)b->dbias + (at->i - b->f.first + l) * b->dbias_stride + at->keys.from;
        for (ptrdiff_t j = 0; j < at->keys.to - at->keys.from; j++)
            to[j] += ds[j * PITCH + l];
    }
}

/* The strip at row r of the panel; `keys`, of the tile, are those of its group. P^T and dS^T are filled for all, and
 * for rows behind them that add_rows() may read. */
static void work(const struct sqa_attention_bwd *b, const struct backward *w, ptrdiff_t r, ptrdiff_t column,
                 struct spot *at, struct range tile, struct range keys, struct ahead *ahead)
{
    const struct sqa_attention *a = &b->f;
    const ptrdiff_t count = keys.to - keys.from;
    const int exact = covered(count) == count && w->qp % LANES == 0 && w->vp % LANES == 0;
    const ptrdiff_t group_first = keys.from - tile.from, group_end = keys.to - tile.from + (exact ? 0 : SPARE);
    at->keys = keys_of_rows(a, at->i, at->lanes, keys);
    const ptrdiff_t n = at->keys.to - at->keys.from, first = n > 0 ? at->keys.from - tile.from : group_end;
    float *p = w->p + column, *ds = w->ds + column;
    clear_columns(p, group_first, first);
    clear_columns(ds, group_first, first);
    if (n <= 0)
        return;
    struct strip s = {.q = w->q + r * a->d,
                      .dout = w->dout + r * a->dv,
                      .lse = w->lse + r,
                      .delta = w->delta + r,
                      .k = w->k + first * w->qp,
                      .v = w->v + first * w->vp,
                      .p = p + first * PITCH,
                      .ds = ds + first * PITCH,
                      .d = a->d,
                      .dv = a->dv,
                      .qp = w->qp,
                      .vp = w->vp,
                      .ahead = ahead};
    if (sqa_pair_threshold(a->keep) < 256) {
        V(attention_keep)(a, at, w->mask);
        s.mask = w->mask;
    }
    if (a->bias || is_partial(a, at)) {
        fill_added(a, at, w->add);
        s.add = w->add;
    }
    gradients(&s, n);
    clear_columns(p, first + n, group_end);
    clear_columns(ds, first + n, group_end);
    add_lanes(a->d, n, s.k, w->qp, s.ds, PITCH, w->dq + r * w->height);
    if (b->dbias)
        add_bias_gradient(b, at, s.ds);
}

/* Reads what the strip at row r of the panel needs. */
static void start_strip(const struct sqa_attention_bwd *b, const struct backward *w, ptrdiff_t row, ptrdiff_t rows,
                        ptrdiff_t r)
{
    const struct sqa_attention *a = &b->f;
    const float *q = (const float *)a->q + (row + r) * a->q_stride,
                *o = (const float *)a->o + (row + r) * a->o_stride;
    const float *dout = (const float *)b->dout + (row + r) * b->do_stride, *lse = (const float *)a->lse + row + r;
    const float *dlse = b->dlse;
    const double log2e = 1.44269504088896340736;
    const float keep = (float)sqa_pair_scale(sqa_pair_threshold(a->keep));
    const ptrdiff_t lanes = smaller(rows - r, LANES);
    load_strips(q, a->q_stride, lanes, a->d, (float)(a->scale * log2e), w->q + r * a->d, a->d);
    load_strips(dout, b->do_stride, lanes, a->dv, keep, w->dout + r * a->dv, a->dv);
    copy_rows(q, a->q_stride, lanes, a->d, 1, w->q_rows + r * w->qp, w->qp, LANES);
    copy_rows(dout, b->do_stride, lanes, a->dv, keep, w->do_rows + r * w->vp, w->vp, LANES);
    memset(w->dq + r * w->height, 0, (size_t)(LANES * w->height) * sizeof *w->dq);
    for (ptrdiff_t l = 0; l < LANES; l++)
        w->lse[r + l] = w->delta[r + l] = 0;
    for (ptrdiff_t l = 0; l < lanes; l++) {
        vf sum = v_zero();
        for (ptrdiff_t c = 0; c < a->dv; c += W)
            sum = v_fma(v_load_part(dout + l * b->do_stride + c, (size_t)(a->dv - c)),
                        v_load_part(o + l * a->o_stride + c, (size_t)(a->dv - c)), sum);
        w->delta[r + l] = v_sum(sum) - (dlse ? dlse[row + r + l] : 0);
        w->lse[r + l] = (float)((double)lse[l] * log2e);
    }
}

/* to += scale from; `fresh`: to = scale from */
static void add_tile(const float *from, ptrdiff_t pitch, ptrdiff_t rows, ptrdiff_t width, float scale, int fresh,
                     float *to, ptrdiff_t stride)
{
    enum { AHEAD = 8 };
    const vf factor = v_set(scale);
    come_near(to, stride, smaller(rows, AHEAD), width);
    for (ptrdiff_t r = 0; r < rows; r++, from += pitch, to += stride) {
        if (r + AHEAD < rows)
            come_near(to + AHEAD * stride, stride, 1, width);
        for (ptrdiff_t c = 0; c < width; c += W) {
            const size_t left = (size_t)(width - c);
            const vf x = fresh ? v_zero() : v_load_part(to + c, left);
            v_store_part(to + c, left, v_fma(factor, v_load(from + c), x));
        }
    }
}

static void clear_rows(float *x, ptrdiff_t rows, ptrdiff_t width, ptrdiff_t stride)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        memset(x + r * stride, 0, (size_t)width * sizeof *x);
}

/* A panel of queries with a tile of keys */
struct stage {
    ptrdiff_t row, rows; /* of the panel: the first and their number */
    struct range tile, next;
    int first, last; /* tile of the panel */
    int fresh;       /* nothing is in dk and dv so far */
};

/* The strip at row r is read where its first tile needs it and written after its last: see do_panel() of attention.c.
 * keys: of its group; c: its column in that. */
static void do_strip(const struct sqa_attention_bwd *b, const struct backward *w, const struct stage *s, ptrdiff_t r,
                     ptrdiff_t c, struct range keys, struct ahead *ahead)
{
    const struct sqa_attention *a = &b->f;
    const ptrdiff_t lanes = smaller(s->rows - r, LANES), row = s->row + r;
    struct spot spot = {.i = a->first + row, .lanes = lanes};
    float *dq = (float *)b->dq + row * b->dq_stride;
    if (s->first) {
        const ptrdiff_t after = smaller(s->rows - r - LANES, LANES);
        start_strip(b, w, s->row, s->rows, r);
        come_near((const float *)a->q + (row + LANES) * a->q_stride, a->q_stride, after, a->d);
        come_near((const float *)a->o + (row + LANES) * a->o_stride, a->o_stride, after, a->dv);
        come_near((const float *)b->dout + (row + LANES) * b->do_stride, b->do_stride, after, a->dv);
    }
    if (s->last)
        come_near(dq, b->dq_stride, lanes, a->d);
    else
        next_keys_nearer(a, s->next, r, s->rows);
    if (keys.from < keys.to)
        work(b, w, r, c, &spot, s->tile, keys, ahead);
    if (s->last)
        transpose(w->dq + r * w->height, LANES, a->d, lanes, (float)a->scale, dq, b->dq_stride);
}

static void do_tile(const struct sqa_attention_bwd *b, const struct backward *w, const struct stage *s,
                    struct ahead *ahead)
{
    const struct sqa_attention *a = &b->f;
    const ptrdiff_t from = s->tile.from, n = s->tile.to - from;
    copy_rows((const float *)a->k + from * a->k_stride, a->k_stride, n, a->d, 1, w->k, w->qp, n + SPARE);
    copy_rows((const float *)a->v + from * a->v_stride, a->v_stride, n, a->dv, 1, w->v, w->vp, n + SPARE);
    memset(w->dk, 0, (size_t)((n + SPARE) * w->qp) * sizeof *w->dk);
    memset(w->dv, 0, (size_t)((n + SPARE) * w->vp) * sizeof *w->dv);
    for (ptrdiff_t g = 0; g < s->rows; g += GROUP) {
        const ptrdiff_t in_group = smaller(s->rows - g, GROUP), lanes = round_up(in_group, LANES);
        const struct range keys = keys_of_rows(a, a->first + s->row + g, in_group, s->tile);
        const ptrdiff_t count = keys.to - keys.from, at = keys.from - from;
        for (ptrdiff_t c = 0; c < in_group; c += LANES)
            do_strip(b, w, s, g + c, c, keys, ahead);
        if (count <= 0)
            continue;
        add_rows(count, w->vp, lanes, w->p + at * PITCH, PITCH, w->do_rows + g * w->vp, w->vp, w->dv + at * w->vp,
                 w->vp);
        add_rows(count, w->qp, lanes, w->ds + at * PITCH, PITCH, w->q_rows + g * w->qp, w->qp, w->dk + at * w->qp,
                 w->qp);
    }
    add_tile(w->dk, w->qp, n, a->d, (float)a->scale, s->fresh, (float *)b->dk + from * b->dk_stride, b->dk_stride);
    add_tile(w->dv, w->vp, n, a->dv, 1, s->fresh, (float *)b->dv + from * b->dv_stride, b->dv_stride);
}

/* fresh: the panel has every key, in tiles that overwrite */
static void do_panel(const struct sqa_attention_bwd *b, const struct backward *w, ptrdiff_t row, ptrdiff_t rows,
                     int fresh, struct ahead *ahead)
{
    struct tiles t = tiles_of(&b->f, b->f.first + row, rows);
    struct stage s = {.row = row, .rows = rows, .first = 1, .fresh = fresh};
    int more = next_tile(&t, TILE, &s.tile); /* no tile at all: an empty one */
    for (; !s.last; s.first = 0, s.tile = s.next) {
        more = more && next_tile(&t, TILE, &s.next);
        s.last = !more;
        do_tile(b, w, &s, ahead);
    }
}

void V(attention_bwd)(const struct sqa_attention_bwd *b, void *workspace)
{
    const struct sqa_attention *a = &b->f;
    char *start = aligned(workspace);
    const struct backward w = lay_out(a->d, a->dv, &start);
    struct ahead ahead = ahead_of(a);
    const struct range all = {0, a->keys}, begin = keys_of_rows(a, a->first, panel_rows(a, a->first, w.panel), all);
    const int fresh = a->queries > 0 && !a->block && begin.from == 0 && begin.to == a->keys;
    if (!fresh) {
        clear_rows(b->dk, a->keys, a->d, b->dk_stride);
        clear_rows(b->dv, a->keys, a->dv, b->dv_stride);
    }
    if (b->dbias && !b->dbias_add)
        clear_rows(b->dbias, a->queries, a->keys, b->dbias_stride);
    for (ptrdiff_t row = 0, rows; row < a->queries; row += rows) {
        rows = panel_rows(a, a->first + row, w.panel);
        do_panel(b, &w, row, rows, fresh && row == 0, &ahead);
    }
}
