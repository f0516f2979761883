/*
 * gemm.c - products with a packed right operand; f32
 *
 * Panels: 2 W columns of B side by side, row after row, the last filled up with zeros. A tile of C (rows x 2 W) stays
 * in registers over a run of terms; A is read where it lies, one number for a whole row of the tile. Terms are taken
 * TERMS at a time, so that a run of a panel stays in the first cache, rows BLOCK at a time, so that those of A do.
 * A B of few rows is read where it lies: what packing it and gathering A cost is then more than what they save.
 */
#include "kernels/simd/vec.h"
#include "kernels/plain/plain.h"

enum { N = 2 * W, TILE = W == 8 ? 6 : 14, TERMS = W == 8 ? 256 : 192, BLOCK = 84 };

size_t V(panels)(int64_t k, int64_t n)
{
    return (size_t)((n + N - 1) / N * N * k);
}

/* One panel of `wide` columns whose numbers lie side by side. */
static void pack_rows(int64_t k, size_t wide, const float *b, int64_t row, float *to)
{
    const size_t right = wide > (size_t)W ? wide - W : 0;
    for (int64_t l = 0; l < k; l++, b += row, to += N) {
        v_store(to, v_load_part(b, wide));
        v_store(to + W, right ? v_load_part(b + W, right) : v_zero());
    }
}

void V(pack)(int64_t k, int64_t n, const void *b_, int64_t row, int64_t column, void *panels)
{
    const float *b = b_;
    float *to = panels;
    for (int64_t j = 0; j < n; j += N, to += N * k) {
        const int64_t wide = n - j < N ? n - j : N;
        if (column == 1) {
            pack_rows(k, (size_t)wide, b + j, row, to);
            continue;
        }
        for (int64_t i = 0; i < N; i++)
            for (int64_t l = 0; l < k; l++)
                to[l * N + i] = i < wide ? b[(j + i) * column + l * row] : 0;
    }
}

/* A place of C: `left` columns from c on. start: what the sum starts from, C itself or bias or NULL, which is 0. */
struct place {
    float *c;
    int64_t ldc;
    size_t left;
    const float *bias;
    int accumulate;
};

/* A run of terms of each of `parts` products */
struct run {
    int parts;
    const float *a[3], *b[3];
    int64_t terms, row, column, b_row;
};

/* `rows` is a constant wherever this is inlined, so that c lies in registers. */
V_INLINE void tile(const int rows, const struct run *r, const struct place *p)
{
    const int64_t row = r->row, column = r->column, b_row = r->b_row;
    vf c[TILE][2];
    V_UNROLL
    for (int i = 0; i < rows; i++)
        c[i][0] = c[i][1] = v_zero();
    for (int part = 0; part < r->parts; part++) {
        const float *a = r->a[part], *b = r->b[part], *low = a + rows / 2 * row; /* two bases: short addresses */
        for (int64_t l = r->terms; l > 0; l--, b += b_row, a += column, low += column) {
            const vf b0 = v_load(b), b1 = v_load(b + W);
            V_UNROLL
            for (int i = 0; i < rows; i++) {
                const vf x = v_set(i < rows / 2 ? a[i * row] : low[(i - rows / 2) * row]);
                c[i][0] = v_fma(x, b0, c[i][0]);
                c[i][1] = v_fma(x, b1, c[i][1]);
            }
        }
    }
    const size_t right = p->left > (size_t)W ? p->left - W : 0;
    const vf zero = v_zero();
    vf s0 = zero, s1 = zero;
    if (p->bias) {
        s0 = v_load_part(p->bias, p->left);
        s1 = right ? v_load_part(p->bias + W, right) : zero;
    }
    V_UNROLL
    for (int i = 0; i < rows; i++) {
        float *to = p->c + i * p->ldc;
        vf x0 = v_add(c[i][0], s0), x1 = v_add(c[i][1], s1);
        if (p->left >= (size_t)N) {
            if (p->accumulate) {
                x0 = v_add(x0, v_load(to));
                x1 = v_add(x1, v_load(to + W));
            }
            v_store(to, x0);
            v_store(to + W, x1);
            continue;
        }
        if (p->accumulate) {
            x0 = v_add(x0, v_load_part(to, p->left));
            x1 = v_add(x1, right ? v_load_part(to + W, right) : zero);
        }
        v_store_part(to, p->left, x0);
        if (right)
            v_store_part(to + W, right, x1);
    }
}

#define TILE_ROWS(rows)                                                \
    static void tile##rows(const struct run *r, const struct place *p) \
    {                                                                  \
        tile(rows, r, p);                                              \
    }
TILE_ROWS(1)
TILE_ROWS(2)
TILE_ROWS(4)
#if SQA_WIDTH == 8
TILE_ROWS(6)
#else
TILE_ROWS(8)
TILE_ROWS(14)
#endif

static const struct {
    int rows;
    void (*run)(const struct run *r, const struct place *p);
} tiles[] = {
#if SQA_WIDTH == 8
    {6, tile6},
#else
    {14, tile14}, {8, tile8},
#endif
    {4, tile4},
    {2, tile2},
    {1, tile1},
};

/* Asks for the bytes of g->soon, a few lines a tile: in one go they would have to be waited for. */
struct fetch {
    int n;
    const char *at[4], *end[4];
    int64_t step[4]; /* bytes a tile */
};

static struct fetch fetch_of(const struct sqa_gemm_panels *g)
{
    const int64_t count = ((g->m + TILE - 1) / TILE) * ((g->n + N - 1) / N) * ((g->k + TERMS - 1) / TERMS);
    struct fetch f = {.n = 0};
    for (int i = 0; i < 4; i++) {
        const int64_t lines = (int64_t)(g->soon[i].bytes + 63) / 64;
        if (lines == 0 || count == 0)
            continue;
        f.at[f.n] = g->soon[i].p;
        f.end[f.n] = f.at[f.n] + g->soon[i].bytes;
        f.step[f.n++] = (lines + count - 1) / count * 64;
    }
    return f;
}

static void fetch_some(struct fetch *f)
{
    for (int i = 0; i < f->n; i++) {
        const char *stop = f->end[i] - f->at[i] > f->step[i] ? f->at[i] + f->step[i] : f->end[i];
        for (; f->at[i] < stop; f->at[i] += 64)
            _mm_prefetch(f->at[i], _MM_HINT_T0);
    }
}

/* Columns i .. i + rows - 1 of a transposed A side by side, row after row: what lies apart by a power of two would
 * meet in one place of the cache. to has room for a whole vector behind the last row. */
static void gather(int rows, int64_t terms, const float *a, int64_t column, float *to)
{
    for (int64_t l = 0; l < terms; l++, a += column, to += rows)
        v_store(to, v_load_part(a, (size_t)rows));
}

/* Where the numbers of B for columns j .. j + N - 1 and terms from l0 on are; those that lie where they are but do
 * not fill a panel go to `last`, whose terms begin at l0. */
static const float *b_at(const struct sqa_gemm_panels *g, const float *b, int64_t j, int64_t l0, int64_t terms,
                         float *last)
{
    if (!g->b_row)
        return b + j * g->k + l0 * N;
    b += l0 * g->b_row + j;
    if (g->n - j >= N)
        return b;
    pack_rows(terms, (size_t)(g->n - j), b, g->b_row, last);
    return last;
}

/* Rows first .. end - 1 of C over `terms` terms from l0 on */
static void rows_of(const struct sqa_gemm_panels *g, int64_t first, int64_t end, int64_t l0, int64_t terms,
                    struct fetch *fetch)
{
    float side[3][TERMS * TILE + W], last[3][TERMS * N];
    const float *as[3] = {g->a, g->more[0].a, g->more[1].a}, *bias = g->bias;
    const float *bs[3] = {g->panels, g->more[0].panels, g->more[1].panels};
    const int gathers = g->a_row == 1 && g->a_column > 1 && !g->b_row;
    struct run r = {.parts = !as[1] ? 1 : !as[2] ? 2 : 3, .terms = terms};
    int t = 0;
    for (int64_t i = first; i < end; i += tiles[t].rows) {
        while (tiles[t].rows > end - i || (t == 0 && end - i == 2 * tiles[1].rows)) /* 8 is 4 + 4, not 6 + 2 */
            t++;
        r.row = g->a_row;
        r.column = gathers ? tiles[t].rows : g->a_column;
        for (int part = 0; part < r.parts; part++) {
            r.a[part] = as[part] + i * g->a_row + l0 * g->a_column;
            if (!gathers)
                continue;
            gather(tiles[t].rows, terms, r.a[part], g->a_column, side[part]);
            r.a[part] = side[part];
        }
        for (int64_t j = 0; j < g->n; j += N) {
            const struct place p = {(float *)g->c + i * g->ldc + j, g->ldc, (size_t)(g->n - j),
                                    bias && l0 == 0 ? bias + j : NULL, g->accumulate || l0 > 0};
            r.b_row = g->b_row && g->n - j >= N ? g->b_row : N;
            for (int part = 0; part < r.parts; part++)
                r.b[part] = b_at(g, bs[part], j, l0, terms, last[part]);
            fetch_some(fetch);
            tiles[t].run(&r, &p);
        }
    }
}

void V(gemm_panels)(const struct sqa_gemm_panels *g)
{
    struct fetch fetch = fetch_of(g);
    for (int64_t i = 0; i < g->m; i += BLOCK)
        for (int64_t l = 0; l < g->k || l == 0; l += TERMS)
            rows_of(g, i, i + BLOCK < g->m ? i + BLOCK : g->m, l, l + TERMS < g->k ? TERMS : g->k - l, &fetch);
}
