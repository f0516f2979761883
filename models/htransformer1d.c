/*
 * htransformer1d.c - attention to near positions as they are and to far ones in cells of 2, 4, 8, ...
 *
 * Computes  position i sees j at the smallest level l where blocks floor(i / (w 2^l)) and floor(j / (w 2^l)) are
 *           equal or neighbours, w = block. At level l the score is that of cells: q and k are means over the valid
 *           positions of the cells of 2^l that hold i and j. One softmax over all levels, in which a cell counts as
 *           often as it has valid positions:
 *           o_i = sum_j exp(s(cell(i), cell(j))) v_j / sum_j exp(s(cell(i), cell(j)))
 *           causal: j <= i, and queries stay fine at every level (a cell of queries would see the future)
 * Shapes    x (B, L, D) -> (B, L, D); cells of all levels in one tensor (B, P, H, d or d + 1), P < L + levels w / 2
 * Cost      projections; near: 3 w keys a position (causal 2 w); far: of P < L cells 3 w / 2 keys each, causal 3 w /
 *           4 keys a position and level; 4 d + 5 flops a pair and head, far 4 d + 7; the cells
 * Source    Zhu and Soricut 2021, arXiv:2107.11906, sections 4 and 5; block 16 is the paper's Nr. Structure checked
 *           against the port lucidrains/h-transformer-1d
 * Departs   the counts of cells are the extra number of their keys, log(count) sqrt(d), beside a 1 in the queries, so
 *           that far attention is one call over lists of half blocks. That port stops one level early, counts a cell
 *           once, and adds levels with different maxima: not here. Fine queries for the causal form are ours. Any
 *           length: cells at the end are filled as far as positions reach
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ops/support.h"
#include "models/htransformer1d.h"

enum { MOST_LEVELS = 40, RANGE = 256 };
#define NOTHING (-1e30) /* in place of log 0: no weight beside any other score, and no NaN without */

struct self {
    int64_t block;
};

static const struct sqa_param params[] = {
    {"block", "positions of a block; an even number", SQA_PARAM_INT, "16", 2, 1 << 20,
     .offset = offsetof(struct self, block)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    const struct self *s = self;

    (void)frame, (void)task;
    if (s->block % 2 != 0)
        return sqa_fail(err, SQA_USAGE,
                        "htransformer1d: block=%lld; half a block is handled at once, use an even one",
                        (long long)s->block);
    return SQA_OK;
}

/* Levels 1 .. levels of cells, one behind the other, each filled up to whole half blocks. */
struct pyramid {
    int64_t length, half;
    int64_t rows[MOST_LEVELS], first[MOST_LEVELS]; /* by level; level 0 are the positions */
    int64_t all;
    int levels;
};

static struct pyramid pyramid_of(int64_t length, int64_t block)
{
    struct pyramid p = {.length = length, .half = block / 2, .rows = {length}};
    int64_t blocks = (length + block - 1) / block, cells = length;

    for (; blocks > 2; blocks = (blocks + 1) / 2) {
        p.levels++;
        cells = (cells + 1) / 2;
        p.rows[p.levels] = (cells + p.half - 1) / p.half * p.half;
        p.first[p.levels] = p.all;
        p.all += p.rows[p.levels];
    }
    return p;
}

/* Cells: means of q, k or v over the valid positions of each. extra: a number behind each row */

enum extra { NONE, ONE, LOG_COUNT };

struct cells {
    int64_t block;
    enum extra extra;
    double scale; /* of the attention */
};

enum { X, LENGTHS, DY };

static struct pyramid pyramid_at(const struct sqa_node *n)
{
    const struct cells *a = n->attr;

    return pyramid_of(n->in[X]->dim[1], a->block);
}

static int64_t width_of(const struct cells *a, int64_t d)
{
    return d + (a->extra != NONE);
}

static enum sqa_status cells_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[X];
    const struct pyramid p = pyramid_at(n);
    char text[96];

    if (!sqa_is_real(x) || x->rank != 4)
        return sqa_shape_fail(n, err, "x is %s; give (B, L, H, d)", sqa_shape_text(x, text));
    sqa_set_output(n, 0, x->dtype, 4, (const int64_t[]){x->dim[0], p.all, x->dim[2], width_of(n->attr, x->dim[3])});
    return n->in[LENGTHS] != NULL ? sqa_check_lengths(n, LENGTHS, x->dim[0], err) : SQA_OK;
}

/* Valid positions of a cell */
static int64_t count_of(int level, int64_t cell, int64_t length)
{
    const int64_t size = (int64_t)1 << level;

    return sqa_max64(0, sqa_min64(size, length - cell * size));
}

/* Row `cell` of a level of a head of y (B, P, H, any) */
static void *cell_at(const struct sqa_tensor *y, const struct pyramid *p, int64_t pair, int level, int64_t cell)
{
    return sqa_head_row(y, pair, p->first[level] + cell, sqa_dtype_size(y->dtype));
}

/* For each real type: y = wa a + wb b; y = w x + z; and a cell of a head from the two below it. */
#define FORMS(T, NAME)                                                                                            \
    static void mix_##NAME(T wa, const T *a, T wb, const T *b, T *restrict y, int64_t d)                          \
    {                                                                                                             \
        _Pragma("omp simd") for (int64_t e = 0; e < d; e++) y[e] = wa * a[e] + wb * b[e];                         \
    }                                                                                                             \
    static void cell_##NAME(const struct sqa_node *n, const struct pyramid *p, int64_t pair, int level,           \
                            int64_t cell)                                                                         \
    {                                                                                                             \
        const struct cells *a = n->attr;                                                                          \
        const int64_t d = n->in[X]->dim[3], b = pair / n->in[X]->dim[2];                                          \
        const int64_t length = sqa_length_at(n->in[LENGTHS], b, p->length);                                       \
        const int64_t left = count_of(level - 1, 2 * cell, length),                                               \
                      right = count_of(level - 1, 2 * cell + 1, length);                                          \
        const T *from = level == 1 ? sqa_head_row(n->in[X], pair, 2 * cell, sizeof(T))                            \
                                   : cell_at(n->out[0], p, pair, level - 1, 2 * cell);                            \
        const int64_t next = right == 0 ? 0 : level == 1 ? n->in[X]->stride[1] : n->out[0]->stride[1];            \
        T *y = cell_at(n->out[0], p, pair, level, cell);                                                          \
                                                                                                                  \
        if (left == 0)                                                                                            \
            memset(y, 0, (size_t)d * sizeof(T));                                                                  \
        else                                                                                                      \
            mix_##NAME((T)left / (T)(left + right), from, (T)right / (T)(left + right), from + next, y, d);       \
        if (a->extra == ONE)                                                                                      \
            y[d] = 1;                                                                                             \
        if (a->extra == LOG_COUNT)                                                                                \
            y[d] = (T)(left > 0 ? log((double)(left + right)) / a->scale : NOTHING);                              \
    }                                                                                                             \
    /* sums: d numbers a level, what position t gets from that level on; the highest is followed by zeros. */     \
    static void position_##NAME(const struct sqa_node *n, const struct pyramid *p, int64_t pair, int64_t t,       \
                                bool all, void *sums)                                                             \
    {                                                                                                             \
        const int64_t d = n->in[X]->dim[3], b = pair / n->in[X]->dim[2];                                          \
        const int64_t length = sqa_length_at(n->in[LENGTHS], b, p->length);                                       \
        T *dx = sqa_head_row(n->out[0], pair, t, sizeof(T)), *s = sums;                                           \
                                                                                                                  \
        for (int level = p->levels; level >= 1 && t < length; level--)                                            \
            if (all || (t & (((int64_t)1 << level) - 1)) == 0)                                                    \
                mix_##NAME(1 / (T)count_of(level, t >> level, length),                                            \
                           cell_at(n->in[DY], p, pair, level, t >> level), 1, s + (level + 1) * d, s + level * d, \
                           d);                                                                                    \
        if (t < length)                                                                                           \
            memcpy(dx, s + d, (size_t)d * sizeof(T));                                                             \
        else                                                                                                      \
            memset(dx, 0, (size_t)d * sizeof(T));                                                                 \
    }
FORMS(float, f32)
FORMS(double, f64)

/* All heads of a highest cell of a sequence and the cells below it */
static void some_cells(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ctx;
    const struct pyramid p = pyramid_at(n);
    const int64_t H = n->in[X]->dim[2], tops = p.rows[p.levels];

    (void)thread;
    for (int64_t i = first; i < first + count; i++)
        for (int level = 1; level <= p.levels; level++) {
            const int64_t cells = (int64_t)1 << (p.levels - level), from = i % tops * cells;
            const int64_t to = sqa_min64(from + cells, p.rows[level]);

            for (int64_t cell = from; cell < to; cell++)
                for (int64_t h = 0; h < H; h++)
                    (n->in[X]->dtype == SQA_F64 ? cell_f64 : cell_f32)(n, &p, i / tops * H + h, level, cell);
        }
}

struct positions {
    const struct sqa_node *n;
    unsigned char *workspace;
    size_t bytes; /* of a thread */
};

static size_t sums_bytes(const struct sqa_node *n)
{
    return sqa_align64((size_t)((pyramid_at(n).levels + 2) * n->in[X]->dim[3]) * sqa_dtype_size(n->in[X]->dtype));
}

static size_t cells_bwd_workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * sums_bytes(n);
}

/* Ranges of RANGE positions of all heads of a sequence */
static void some_positions(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct positions *j = ctx;
    const struct sqa_node *n = j->n;
    const struct pyramid p = pyramid_at(n);
    const int64_t H = n->in[X]->dim[2], ranges = (p.length + RANGE - 1) / RANGE;
    void *sums = j->workspace + (size_t)thread * j->bytes;

    memset(sums, 0, j->bytes);
    for (int64_t i = first; i < first + count; i++)
        for (int64_t h = 0; h < H; h++) {
            const int64_t from = i % ranges * RANGE, to = sqa_min64(from + RANGE, p.length);

            for (int64_t t = from; t < to; t++)
                (n->in[X]->dtype == SQA_F64 ? position_f64 : position_f32)(n, &p, i / ranges * H + h, t, t == from,
                                                                           sums);
        }
}

static double cells_flops(const struct sqa_node *n)
{
    const int64_t *dim = n->in[X]->dim;

    return 3 * (double)(dim[0] * dim[2] * dim[3]) * (double)pyramid_at(n).all;
}

static void cells_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct pyramid p = pyramid_at(n);

    sqa_chunks(r, n->in[X]->dim[0] * p.rows[p.levels], 1, cells_flops(n), some_cells, (void *)(uintptr_t)n);
}

static enum sqa_status cells_bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, 0, n->in[X]->dtype, 4, n->in[X]->dim);
    return SQA_OK;
}

static double cells_bwd_flops(const struct sqa_node *n)
{
    return 2 * (double)(n->out[0]->dim[0] * n->out[0]->dim[2] * n->out[0]->dim[3]) * (double)pyramid_at(n).all;
}

static void cells_bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct positions j = {n, r->workspace, sums_bytes(n)};

    sqa_chunks(r, n->in[X]->dim[0] * ((n->in[X]->dim[1] + RANGE - 1) / RANGE), 1, cells_bwd_flops(n), some_positions,
               &j);
}

/* x is read for its shape alone. */
static const struct sqa_op op_cells_bwd = {
    .name = "htransformer1d_cells_bwd",
    .help = "dx_t = sum over levels of dy of t's cell / its valid positions",
    .shape = cells_bwd_shape,
    .run = cells_bwd_run,
    .flops = cells_bwd_flops,
    .workspace = cells_bwd_workspace,
    .strided = 1 << X | 1 << DY,
};

static void cells_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *const in[] = {n->in[X], n->in[LENGTHS], sqa_dense_rows(g, dy[0])};

    dx[X] = sqa_apply(g, &op_cells_bwd, n->attr, sizeof(struct cells), 3, in);
}

static const struct sqa_op op_cells = {
    .name = "htransformer1d_cells",
    .help = "means over the valid positions of cells of 2, 4, 8, ...",
    .shape = cells_shape,
    .run = cells_run,
    .grad = cells_grad,
    .flops = cells_flops,
    .strided = 1 << X,
};

static struct sqa_tensor *cells(struct sqa_context *c, struct sqa_tensor *x, struct cells a)
{
    struct sqa_tensor *const in[] = {sqa_dense_rows(c->g, x), c->lengths};

    return sqa_ready(c->g, "htransformer1d_cells", 1, in) ? sqa_apply(c->g, &op_cells, &a, sizeof a, 2, in) : NULL;
}

/* Lists of key blocks (see sqa_attention_masks) */

enum kind { NEAR, FAR };

struct lists {
    struct pyramid p;
    enum kind kind;
    bool causal;
};

static int64_t query_blocks(const struct lists *a)
{
    const int64_t block = 2 * a->p.half;

    return a->kind == FAR && !a->causal ? a->p.all / a->p.half : (a->p.length + block - 1) / block;
}

/* Half blocks of a level that half block i sees there and not below: to key (NULL: they are counted). */
static int64_t far_of(const struct lists *a, int level, int64_t i, int32_t *key)
{
    const int64_t even[] = {i - 2, i + 2, i + 3}, odd[] = {i - 3, i - 2, i + 2}, *see = i % 2 == 0 ? even : odd;
    const int64_t blocks = a->p.rows[level] / a->p.half, base = a->p.first[level] / a->p.half;
    int64_t n = 0;

    for (int k = 0; k < 3; k++) {
        if (see[k] < 0 || see[k] >= blocks || (a->causal && see[k] > i))
            continue;
        if (key != NULL)
            key[n] = (int32_t)(base + see[k]);
        n++;
    }
    return n;
}

/* Key blocks of query block i, ascending */
static int64_t list_of(const struct lists *a, int64_t i, int32_t *key)
{
    int64_t n = 0;

    if (a->kind == NEAR) {
        const int64_t last = a->causal ? i : sqa_min64(i + 1, query_blocks(a) - 1);

        for (int64_t j = sqa_max64(0, i - 1); j <= last; j++, n++)
            if (key != NULL)
                key[n] = (int32_t)j;
        return n;
    }
    for (int level = 1; level <= a->p.levels; level++) {
        const int64_t base = a->p.first[level] / a->p.half, blocks = a->p.rows[level] / a->p.half;

        if (a->causal)
            n += far_of(a, level, i >> (level - 1), key != NULL ? key + n : NULL);
        else if (i >= base && i < base + blocks)
            n += far_of(a, level, i - base, key);
    }
    return n;
}

static int64_t listed(const struct lists *a)
{
    int64_t n = 0;

    for (int64_t i = 0; i < query_blocks(a); i++)
        n += list_of(a, i, NULL);
    return n;
}

static enum sqa_status lists_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    sqa_set_output(n, 0, SQA_I32, 1, (const int64_t[]){query_blocks(n->attr) + 1});
    sqa_set_output(n, 1, SQA_I32, 1, (const int64_t[]){listed(n->attr)});
    return SQA_OK;
}

static void lists_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct lists *a = n->attr;
    int32_t *start = sqa_data(n->out[0]), *key = sqa_data(n->out[1]);

    (void)r;
    start[0] = 0;
    for (int64_t i = 0; i < query_blocks(a); i++)
        start[i + 1] = start[i] + (int32_t)list_of(a, i, key + start[i]);
}

static const struct sqa_op op_lists = {
    .name = "htransformer1d_lists",
    .help = "which key blocks each query block sees",
    .shape = lists_shape,
    .run = lists_run,
};

/* The mixer */

static struct lists lists_for(const struct sqa_context *c, const struct pyramid *p, enum kind kind)
{
    return (struct lists){.p = *p, .kind = kind, .causal = c->frame.causal != 0};
}

static struct sqa_tensor *attend(struct sqa_context *c, struct lists a, struct sqa_heads h,
                                 struct sqa_tensor *lengths, struct sqa_attention_spec spec)
{
    struct sqa_tensor *start = c->g->status == SQA_OK ? sqa_apply(c->g, &op_lists, &a, sizeof a, 0, NULL) : NULL;

    if (start == NULL)
        return NULL;
    return sqa_attention_masked(
        c->g, h.q, h.k, h.v,
        (struct sqa_attention_masks){.lengths = lengths, .start = start, .key = start->node->out[1]}, spec);
}

/* The same with axis `axis` (1 of o, 2 of lse) twice as long, each row twice, cut to rows. */
static struct sqa_tensor *twice(struct sqa_context *c, struct sqa_tensor *x, int axis, int64_t rows)
{
    int64_t dim[SQA_MAX_RANK], joined[SQA_MAX_RANK];

    if (x == NULL)
        return NULL;
    x = sqa_slice(c->g, x, axis, 0, (rows + 1) / 2);
    if (x == NULL)
        return NULL;
    for (int i = 0, to = 0; i < x->rank; i++) {
        dim[to++] = x->dim[i];
        if (i == axis)
            dim[to++] = 1;
        joined[i] = x->dim[i] * (i == axis ? 2 : 1);
    }
    const int rank = x->rank;
    x = sqa_reshape(c->g, x, rank + 1, dim);
    dim[axis + 1] = 2;
    x = sqa_reshape(c->g, sqa_broadcast(c->g, x, rank + 1, dim), rank, joined);
    return sqa_slice(c->g, x, axis, 0, rows);
}

/* Far attention of cells, level by level from the highest: what a cell found and what the cell above it found. */
static struct sqa_tensor *with_cells(struct sqa_context *c, const struct pyramid *p, struct sqa_tensor *near,
                                     struct sqa_tensor *far)
{
    struct sqa_tensor *lse = sqa_attention_lse(far), *above = NULL, *above_lse = NULL;

    for (int level = p->levels; level >= 0; level--) {
        const int64_t rows = p->rows[level];
        struct sqa_tensor *part[2], *sums[2];

        part[0] = level == 0 ? near : sqa_slice(c->g, far, 1, p->first[level], rows);
        sums[0] = level == 0 ? sqa_attention_lse(near) : sqa_slice(c->g, lse, 2, p->first[level], rows);
        if (level == p->levels) {
            above = part[0];
            above_lse = sums[0];
            continue;
        }
        part[1] = twice(c, above, 1, rows);
        sums[1] = twice(c, above_lse, 2, rows);
        if (level == 0)
            return sqa_attention_merge(c->g, 2, part, sums);
        above = sqa_attention_merge_lse(c->g, 2, part, sums);
        above_lse = sqa_attention_lse(above);
    }
    return near;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct self *s = self;
    const struct pyramid p = pyramid_of(c->length, s->block);
    const int64_t H = c->frame.heads, d = sqa_head_dim(&c->frame);
    struct sqa_attention_spec spec = {
        .scale = 1 / sqrt((double)d), .causal = c->frame.causal != 0, .dropout = c->frame.attention_dropout};
    const struct sqa_heads h = sqa_project_heads(c, x);
    struct sqa_tensor *near, *far;
    struct sqa_heads coarse;

    if (p.levels == 0)
        return sqa_merge_heads(c, sqa_attention(c->g, h.q, h.k, h.v, c->lengths, spec));
    spec.block = s->block;
    near = attend(c, lists_for(c, &p, NEAR), h, c->lengths, spec);
    coarse.k = cells(c, h.k, (struct cells){s->block, LOG_COUNT, spec.scale});
    coarse.v = cells(c, h.v, (struct cells){s->block, NONE, 1});
    spec.key_block = p.half;
    if (spec.causal) {
        struct sqa_tensor *one =
            sqa_broadcast(c->g, sqa_fill(c->g, 1, SQA_DIMS(1)), SQA_DIMS(c->batch, c->length, H, 1));

        coarse.q = sqa_concat(c->g, 3, 2, (struct sqa_tensor *[]){h.q, one});
        spec.causal = false;
        far = attend(c, lists_for(c, &p, FAR), coarse, NULL, spec);
        return sqa_merge_heads(
            c, sqa_attention_merge(c->g, 2, (struct sqa_tensor *[]){near, far},
                                   (struct sqa_tensor *[]){sqa_attention_lse(near), sqa_attention_lse(far)}));
    }
    coarse.q = cells(c, h.q, (struct cells){s->block, ONE, 1});
    spec.block = p.half;
    far = attend(c, lists_for(c, &p, FAR), coarse, NULL, spec);
    return sqa_merge_heads(c, with_cells(c, &p, near, far));
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct self *s = self;
    const struct pyramid p = pyramid_of(c->length, s->block);
    const struct lists near = lists_for(c, &p, NEAR), far = lists_for(c, &p, FAR);
    const bool causal = c->frame.causal != 0;
    const double L = (double)c->length, Q = (double)sqa_qkv_width(&c->frame), H = (double)c->frame.heads;
    const double pair = 4 * Q + 5 * H, w = (double)s->block, merge = 2 * (2 * Q + 5 * H);
    double sum = (causal ? L * (L + 1) / 2 : L * L) * pair;

    if (p.levels > 0) {
        sum = (double)listed(&near) * w * w * pair;
        sum += (double)listed(&far) * (causal ? w : w / 2) * (w / 2) * (pair + 2 * H);
        sum += (causal ? 2 : 3) * 3 * Q * (double)p.all + L * merge;
    }
    for (int level = 1; level < p.levels && !causal; level++)
        sum += (double)p.rows[level] * merge;
    return sqa_heads_flops(c) + (double)c->batch * sum;
}

const struct sqa_variant sqa_variant_htransformer1d = {
    .id = "htransformer1d",
    .slot = SQA_SLOT_MIXER,
    .title = "H-Transformer-1D",
    .source = "Zhu and Soricut 2021, arXiv:2107.11906",
    .complexity = "O(L w D) time, causal O(L w D log L), O(L D) memory",
    .help = "Each position attends to its block and the two beside it, and to everything farther away in cells that "
            "grow with the distance. A cell's queries and keys are means, its values count one by one.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_SUM_TO_ONE | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = sqa_htransformer1d_identities,
};
