/*
 * combiner.c - full attention in which far positions are reached through regions
 *
 * Computes  o_i = sum over direct j of p(j | i) v_j + sum over regions R of p(R | i) v_R, one softmax over the scores
 *           of direct positions q_i . k_j and of regions q_i . k_R, all by 1 / sqrt(d). A region's value is softmax
 *           attention inside it, v_R = sum_j softmax(q_R . k_j) v_j; q_R and k_R are the largest q and k in it,
 *           number by number. The sequence is rows s of b = block positions, columns c; i is (s, c)
 *           fixed    direct: row s. Regions: every other row
 *           axial    direct: row s. Regions: (s', c) for every other row s', which stands for its whole row: value
 *                    r = softmax attention of (s', c) in its row, key = LayerNorm(x + r Wr) Wkr
 *           mixture  direct: row s and column c. Regions: of every other column what is above row s; of every row
 *                    above s what is left and what is right of column c. Not causal: of every column what is above
 *                    and what is below row s; of every row what is left and what is right of column c
 *           logn     direct: i. Regions: the 2^l positions before i / 2^l 2^l for every bit l that i has
 *           causal (logn always): j <= i, and regions before i: the rows s' < s of fixed and axial
 * Shapes    x (B, L, D) -> (B, L, D); rows are filled up to S b positions, S = ceil(L / b), for columns
 * Cost      projections; pairs of 4 d + 5 flops a head: fixed L (b + S), axial the same (causal: 2 b) and two
 *           projections, mixture about twice 2 b + 2 S, logn half the bits of L; region values: L, mixture b + S and
 *           more, logn L a level
 * Source    Ren et al. 2021, arXiv:2107.05768; google-research/google-research: combiner/combiner/jax/model/layer.py,
 *           combiner/combiner/tf/approx_attention.py (the forms that are not causal). b about the root of the length
 *           is what its long-range runs use
 * Departs   mixture, not causal: its source counts a position itself twice (its own note says so), in its row and in
 *           its column; here once. Running maxima are the JAX code's (TensorFlow's are sums). axial, not causal: the
 *           source also sees its own row as a region; of a row filled in part only the columns that are there stand
 *           for it. logn: no dropout of weights between regions (as in the source). block=0 takes the task's longest
 *           sequence, so that padding changes nothing
 */
#include <math.h>

#include "engine/ops/support.h"
#include "models/combiner.h"
#include "models/combiner_regions.h"

#define FAR (INT64_MAX / 4)
const char *const sqa_combiner_kinds[] = {"fixed", "axial", "mixture",
                                          "logn"}; /* in the order of enum sqa_combiner_kind */

struct self {
    const char *kind;
    int64_t block;
};

static const struct sqa_param params[] = {
    {"kind", "which positions are direct and which regions there are", SQA_PARAM_CHOICE, "fixed",
     .offset = offsetof(struct self, kind), .choices = "fixed|axial|mixture|logn"},
    {"block", "positions of a row; 0: about the root of the task's length", SQA_PARAM_INT, "0", 0, 1 << 20,
     .offset = offsetof(struct self, block)},
    {.name = NULL},
};

static enum sqa_combiner_kind kind_of(const struct self *s)
{
    int k = 0;

    while (strcmp(s->kind, sqa_combiner_kinds[k]) != 0)
        k++;
    return (enum sqa_combiner_kind)k;
}

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)task;
    if (kind_of(self) == SQA_COMBINER_LOGN && !frame->causal)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "combiner: kind=logn has only regions before a position; use causal=1, or another kind");
    return SQA_OK;
}

/* Rows and columns */
struct grid {
    int64_t b, rows, all; /* all: b rows */
    bool causal;
};

static struct grid grid_of(const struct self *s, const struct sqa_context *c)
{
    struct grid g = {.b = s->block, .causal = c->frame.causal != 0};

    for (; s->block == 0 && g.b * g.b < c->max_length; g.b++)
        ;
    g.b = sqa_min64(g.b, c->length);
    g.rows = (c->length + g.b - 1) / g.b;
    g.all = g.rows * g.b;
    return g;
}

/* Lists of key blocks: query block i of `queries` sees, of `keys`, itself; itself when it is even; all before it; all
 * but itself; the one before, after it. */

enum which { OWN, EVEN, EARLIER, OTHERS, BEFORE, AFTER };

struct lists {
    enum which which;
    int64_t queries;
};

static bool sees(enum which which, int64_t i, int64_t j)
{
    switch (which) {
    case OWN:
        return i == j;
    case EVEN:
        return i == j && i % 2 == 0;
    case EARLIER:
        return j < i;
    case OTHERS:
        return j != i;
    case BEFORE:
        return j == i - 1;
    default:
        return j == i + 1;
    }
}

static int64_t listed(struct lists a)
{
    const int64_t n = a.queries;

    return a.which == OWN       ? n
           : a.which == EVEN    ? (n + 1) / 2
           : a.which == EARLIER ? n * (n - 1) / 2
           : a.which == OTHERS  ? n * (n - 1)
                                : n - 1;
}

static enum sqa_status lists_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct lists *a = n->attr;

    (void)err;
    sqa_set_output(n, 0, SQA_I32, 1, (const int64_t[]){a->queries + 1});
    sqa_set_output(n, 1, SQA_I32, 1, (const int64_t[]){listed(*a)});
    return SQA_OK;
}

static void lists_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct lists *a = n->attr;
    const bool near = a->which != EARLIER && a->which != OTHERS;
    int32_t *start = sqa_data(n->out[0]), *key = sqa_data(n->out[1]), at = 0;

    (void)r;
    for (int64_t i = 0; i < a->queries; i++) {
        const int64_t first = near ? sqa_max64(0, i - 1) : 0,
                      last = near ? sqa_min64(i + 1, a->queries - 1) : a->queries - 1;

        start[i] = at;
        for (int64_t j = first; j <= last; j++)
            if (sees(a->which, i, j))
                key[at++] = (int32_t)j;
    }
    start[a->queries] = at;
}

static const struct sqa_op op_lists = {
    .name = "combiner_lists",
    .help = "which key blocks each query block sees",
    .shape = lists_shape,
    .run = lists_run,
};

/* Attention over lists; spec.block and key_block are those of the lists. */
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

/* What makes up one softmax: outputs (B, N, H, d) and their log sum exps (B, H, N) */
struct parts {
    struct sqa_tensor *o[8], *lse[8];
    int n;
};

static void add_part(struct parts *p, struct sqa_tensor *o, struct sqa_tensor *lse)
{
    p->o[p->n] = o;
    p->lse[p->n++] = lse;
}

static struct sqa_tensor *join(struct sqa_context *c, struct parts *p)
{
    enum { TOGETHER = 4 };

    if (p->n == 1)
        return p->o[0];
    if (p->n > TOGETHER) {
        p->o[TOGETHER - 1] = sqa_attention_merge_lse(c->g, TOGETHER, p->o, p->lse);
        p->lse[TOGETHER - 1] = sqa_attention_lse(p->o[TOGETHER - 1]);
        return sqa_attention_merge(c->g, p->n - TOGETHER + 1, p->o + TOGETHER - 1, p->lse + TOGETHER - 1);
    }
    return sqa_attention_merge(c->g, p->n, p->o, p->lse);
}

/* flops of the same, of n parts */
static double join_flops(double rows, int n, double Q, double H)
{
    return n == 1 ? 0 : rows * (n + (n > 4)) * (2 * Q + 5 * H);
}

/* fixed */

/* Values of blocks of b positions: (B, rows, H, d); NULL lengths: all are valid */
static struct sqa_tensor *block_values(struct sqa_context *c, struct sqa_tensor *q, struct sqa_heads h, int64_t b,
                                       enum which which, struct sqa_attention_spec spec)
{
    const struct sqa_attention_spec inside = {
        .scale = spec.scale, .dropout = spec.dropout, .block = 1, .key_block = b};

    if (q == NULL)
        return NULL;
    return attend(c, (struct lists){which, q->dim[1]}, (struct sqa_heads){q, h.k, h.v}, c->lengths, inside);
}

static struct sqa_tensor *fixed(struct sqa_context *c, struct grid g, struct sqa_heads h,
                                struct sqa_attention_spec spec)
{
    const struct sqa_region_max blocks = {.block = g.b};
    struct sqa_attention_spec local = spec,
                              far = {.scale = spec.scale, .dropout = spec.dropout, .block = g.b, .key_block = 1};
    struct parts p = {.n = 0};
    struct sqa_tensor *o, *count = NULL;
    struct sqa_heads regions = {.q = h.q};

    local.local = g.b;
    o = sqa_attention(c->g, h.q, h.k, h.v, c->lengths, local);
    if (g.rows == 1)
        return o;
    add_part(&p, o, sqa_slice(c->g, sqa_attention_lse(o), 2, 0, c->length));
    regions.k = sqa_region_max(c->g, h.k, c->lengths, blocks);
    regions.v = block_values(c, sqa_region_max(c->g, h.q, c->lengths, blocks), h, g.b, OWN, spec);
    if (c->lengths != NULL)
        count =
            sqa_count_before(c->g, c->lengths, c->batch, c->length, (struct sqa_periodic){.period = g.b, .width = 1});
    o = attend(c, (struct lists){g.causal ? EARLIER : OTHERS, g.rows}, regions, count, far);
    add_part(&p, o, sqa_attention_lse(o));
    return join(c, &p);
}

/* axial and mixture: columns are heads of (B, rows, b H, d) */

static struct sqa_tensor *filled(struct sqa_context *c, struct grid g, struct sqa_tensor *x)
{
    return g.all > c->length ? sqa_pad(c->g, x, 1, 0, g.all - c->length) : x;
}

static struct sqa_tensor *columns_of(struct sqa_context *c, struct grid g, struct sqa_tensor *x)
{
    return x == NULL ? NULL : sqa_reshape(c->g, x, SQA_DIMS(c->batch, g.rows, g.b * c->frame.heads, x->dim[3]));
}

static struct sqa_tensor *without(struct sqa_context *c, struct grid g, struct sqa_tensor *x, bool first)
{
    const int64_t H = c->frame.heads;

    return sqa_slice(c->g, x, 2, first ? H : 0, (g.b - 1) * H);
}

/* o and lse of columns (all, or, shift 1, all but the first, or, -1, all but the last) as those of positions */
static void add_columns(struct sqa_context *c, struct grid g, struct parts *p, struct sqa_tensor *o, int shift)
{
    static const int positions[4] = {0, 2, 3, 1};
    const int64_t H = c->frame.heads, columns = g.b - (shift != 0);
    struct sqa_tensor *lse = sqa_attention_lse(o);

    lse = sqa_permute(c->g, sqa_reshape(c->g, lse, SQA_DIMS(c->batch, columns, H, g.rows)), positions);
    if (shift != 0) {
        struct sqa_tensor *none = sqa_fill(c->g, (double)INFINITY, SQA_DIMS(c->batch, H, g.rows, 1));
        struct sqa_tensor *const both[] = {shift > 0 ? none : lse, shift > 0 ? lse : none};

        lse = sqa_concat(c->g, 3, 2, both);
        o = sqa_pad(c->g, o, 2, shift > 0 ? H : 0, shift > 0 ? 0 : H);
    }
    if (o == NULL)
        return;
    add_part(p, sqa_reshape(c->g, o, SQA_DIMS(c->batch, g.all, H, o->dim[3])),
             sqa_reshape(c->g, lse, SQA_DIMS(c->batch, H, g.all)));
}

/* How many rows have a valid position in each column from `first` on */
static struct sqa_tensor *column_lengths(struct sqa_context *c, struct grid g, int64_t first)
{
    const struct sqa_periodic set = {
        .start = first, .period = g.b, .width = 1, .columns = g.b - first, .repeat = c->frame.heads};

    return sqa_count_before(c->g, c->lengths, c->batch, c->length, set);
}

/* Each position and the ones above it in its column (and the ones below). */
static void add_column_tokens(struct sqa_context *c, struct grid g, struct parts *p, struct sqa_heads h,
                              struct sqa_attention_spec spec)
{
    struct sqa_tensor *lengths = column_lengths(c, g, 0);

    spec.causal = false;
    spec.window = true;
    spec.left = FAR;
    spec.right = -1;
    h = (struct sqa_heads){columns_of(c, g, h.q), columns_of(c, g, h.k), columns_of(c, g, h.v)};
    add_columns(c, g, p, sqa_attention(c->g, h.q, h.k, h.v, lengths, spec), 0);
    if (g.causal)
        return;
    spec.left = -1;
    spec.right = FAR;
    add_columns(c, g, p, sqa_attention(c->g, h.q, h.k, h.v, lengths, spec), 0);
}

/* LayerNorm(x + r Wr) Wkr as heads */
static struct sqa_tensor *row_keys(struct sqa_context *c, struct sqa_tensor *x, struct sqa_tensor *r)
{
    const int64_t D = c->frame.dim, Q = sqa_qkv_width(&c->frame), H = c->frame.heads;
    const bool bias = c->frame.bias != 0;
    const struct sqa_init one = {.kind = SQA_INIT_CONSTANT, .a = 1}, zero = {.kind = SQA_INIT_ZERO};
    struct sqa_tensor *gain = sqa_param_tensor(c, "norm.gain", SQA_GROUP_NO_DECAY, one, SQA_DIMS(D));
    struct sqa_tensor *shift = sqa_param_tensor(c, "norm.bias", SQA_GROUP_NO_DECAY, zero, SQA_DIMS(D)), *y;

    y = sqa_dense_layer(c, "wr", sqa_reshape(c->g, r, SQA_DIMS(c->batch, c->length, Q)), D, bias);
    y = sqa_add(c->g, x, sqa_dropout(c->g, y, c->frame.dropout));
    y = sqa_dense_layer(c, "wkr", sqa_layernorm(c->g, y, gain, shift, 1e-5, false), Q, bias);
    return sqa_reshape(c->g, y, SQA_DIMS(c->batch, c->length, H, Q / H));
}

static struct sqa_tensor *axial(struct sqa_context *c, struct grid g, struct sqa_tensor *x, struct sqa_heads h,
                                struct sqa_attention_spec spec)
{
    struct sqa_attention_spec row = {.scale = spec.scale, .dropout = spec.dropout, .local = g.b};
    struct parts p = {.n = 0};
    struct sqa_tensor *r, *o;
    struct sqa_heads regions;

    if (g.rows == 1) {
        row.causal = g.causal;
        return sqa_attention(c->g, h.q, h.k, h.v, c->lengths, row);
    }
    r = sqa_attention(c->g, h.q, h.k, h.v, c->lengths, row);
    row.causal = true;
    o = g.causal ? sqa_attention(c->g, h.q, h.k, h.v, c->lengths, row) : r;
    add_part(&p, filled(c, g, o), sqa_attention_lse(o));
    regions = (struct sqa_heads){filled(c, g, h.q), filled(c, g, row_keys(c, x, r)), filled(c, g, r)};
    add_column_tokens(c, g, &p, regions, spec);
    return sqa_slice(c->g, join(c, &p), 1, 0, c->length);
}

enum along { ROW, COLUMN };

/* The largest q and k so far along a row or a column, and the values of those regions: attention of such a q to the
 * positions that it is of. */
static struct sqa_heads running(struct sqa_context *c, struct grid g, struct sqa_heads h, struct sqa_tensor *lengths,
                                enum along along, bool backwards, struct sqa_attention_spec spec)
{
    const struct sqa_region_max so_far = {
        .step = along == ROW ? 1 : g.b, .backwards = backwards, .row = along == ROW ? g.b : 0};
    struct sqa_heads y = {.q = sqa_region_max(c->g, h.q, lengths, so_far),
                          .k = sqa_region_max(c->g, h.k, lengths, so_far)};

    spec.causal = false;
    spec.window = true;
    spec.left = backwards ? 0 : FAR;
    spec.right = backwards ? FAR : 0;
    if (along == ROW) {
        spec.block = spec.key_block = g.b;
        y.v = attend(c, (struct lists){OWN, g.rows}, (struct sqa_heads){y.q, h.k, h.v}, lengths, spec);
        return y;
    }
    y.v = sqa_attention(c->g, columns_of(c, g, y.q), columns_of(c, g, h.k), columns_of(c, g, h.v),
                        column_lengths(c, g, 0), spec);
    if (y.v != NULL)
        y.v = sqa_reshape(c->g, y.v, SQA_DIMS(c->batch, g.all, c->frame.heads, y.v->dim[3]));
    return y;
}

/* To the columns above row s (below it): regions of the row before s (after it). skip: not the own column. */
static void add_other_columns(struct sqa_context *c, struct grid g, struct parts *p, struct sqa_tensor *q,
                              struct sqa_heads regions, struct sqa_tensor *lengths, bool below,
                              struct sqa_attention_spec spec)
{
    const struct lists list = {below ? AFTER : BEFORE, g.rows};
    struct sqa_tensor *o;

    spec.causal = false;
    spec.block = spec.key_block = g.b;
    regions.q = q;
    spec.window = g.causal;
    spec.left = FAR;
    spec.right = -g.b - 1;
    o = attend(c, list, regions, lengths, spec);
    add_part(p, o, sqa_attention_lse(o));
    if (!g.causal)
        return;
    spec.left = g.b - 1;
    spec.right = FAR;
    o = attend(c, list, regions, lengths, spec);
    add_part(p, o, sqa_attention_lse(o));
}

/* To what is left (right) of column c in every row (causal: above). */
static void add_rows(struct sqa_context *c, struct grid g, struct parts *p, struct sqa_tensor *q,
                     struct sqa_heads regions, bool right, struct sqa_attention_spec spec)
{
    struct sqa_tensor *lengths;

    /* what is left of c begins with the row, what is right of it with column c + 1 */
    if (right)
        lengths = column_lengths(c, g, 1);
    else
        lengths =
            sqa_count_before(c->g, c->lengths, c->batch, c->length, (struct sqa_periodic){.period = g.b, .width = 1});
    spec.causal = false;
    spec.window = g.causal;
    spec.left = FAR;
    spec.right = -1;
    add_columns(c, g, p,
                sqa_attention(c->g, without(c, g, columns_of(c, g, q), !right),
                              without(c, g, columns_of(c, g, regions.k), right),
                              without(c, g, columns_of(c, g, regions.v), right), lengths, spec),
                right ? -1 : 1);
}

static struct sqa_tensor *mixture(struct sqa_context *c, struct grid g, struct sqa_heads h,
                                  struct sqa_attention_spec spec)
{
    struct sqa_attention_spec row = spec;
    struct parts p = {.n = 0};
    struct sqa_tensor *lengths, *o;

    row.local = g.b;
    if (g.rows == 1)
        return sqa_attention(c->g, h.q, h.k, h.v, c->lengths, row);
    lengths = c->lengths;
    if (lengths == NULL && g.all > c->length)
        lengths = sqa_count_before(c->g, NULL, c->batch, c->length, (struct sqa_periodic){.start = 0});
    h = (struct sqa_heads){filled(c, g, h.q), filled(c, g, h.k), filled(c, g, h.v)};
    o = sqa_attention(c->g, h.q, h.k, h.v, lengths, row);
    add_part(&p, o, sqa_attention_lse(o));
    add_column_tokens(c, g, &p, h, spec);
    add_other_columns(c, g, &p, h.q, running(c, g, h, lengths, COLUMN, false, spec), lengths, false, spec);
    if (!g.causal)
        add_other_columns(c, g, &p, h.q, running(c, g, h, lengths, COLUMN, true, spec), lengths, true, spec);
    if (g.b > 1) {
        add_rows(c, g, &p, h.q, running(c, g, h, lengths, ROW, false, spec), false, spec);
        add_rows(c, g, &p, h.q, running(c, g, h, lengths, ROW, true, spec), true, spec);
    }
    return sqa_slice(c->g, join(c, &p), 1, 0, c->length);
}

/* logn: levels from the highest, each joined before those above it */
static struct sqa_tensor *logn(struct sqa_context *c, struct sqa_heads h, struct sqa_attention_spec spec)
{
    struct sqa_tensor *k[64], *v[64], *keys = NULL, *values = NULL, *q = h.q, *largest = h.k;
    int levels = 0;

    for (; sqa_path_regions(c->length, levels + 1) > 0; levels++) {
        const int64_t rows = sqa_path_regions(c->length, levels + 1);
        const struct sqa_region_max pairs = {.block = 2};

        q = sqa_slice(c->g, sqa_region_max(c->g, q, NULL, pairs), 1, 0, rows);
        largest = sqa_slice(c->g, sqa_region_max(c->g, largest, NULL, pairs), 1, 0, rows);
        k[levels] = largest;
        v[levels] = block_values(c, q, h, (int64_t)2 << levels, EVEN, spec);
    }
    for (int l = levels - 1; l >= 0; l--) {
        keys = keys == NULL ? k[l] : sqa_concat(c->g, 1, 2, (struct sqa_tensor *[]){k[l], keys});
        values = values == NULL ? v[l] : sqa_concat(c->g, 1, 2, (struct sqa_tensor *[]){v[l], values});
    }
    return sqa_path_attention(c->g, h.q, h.k, h.v, keys, values, spec.scale);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    const struct grid g = grid_of(self, c);
    const struct sqa_heads h = sqa_project_heads(c, x);
    const struct sqa_attention_spec spec = {.scale = 1 / sqrt((double)sqa_head_dim(&c->frame)),
                                            .causal = g.causal,
                                            .dropout = c->frame.attention_dropout};
    struct sqa_tensor *o;

    switch (kind_of(self)) {
    case SQA_COMBINER_FIXED:
        o = fixed(c, g, h, spec);
        break;
    case SQA_COMBINER_AXIAL:
        o = axial(c, g, x, h, spec);
        break;
    case SQA_COMBINER_MIXTURE:
        o = mixture(c, g, h, spec);
        break;
    default:
        o = logn(c, h, spec);
        break;
    }
    return sqa_merge_heads(c, o);
}

/* Pairs of rows of b positions inside themselves; the last row has what is left. */
static double row_pairs(struct grid g, int64_t length, bool causal)
{
    double sum = 0;

    for (int64_t s = 0; s < g.rows; s++) {
        const double n = (double)sqa_min64(g.b, length - s * g.b);

        sum += causal ? n * (n + 1) / 2 : n * n;
    }
    return sum;
}

static double flops(const void *self, const struct sqa_context *c)
{
    const struct grid g = grid_of(self, c);
    const int64_t L = c->length;
    const double B = (double)c->batch, D = (double)c->frame.dim, H = (double)c->frame.heads;
    const double Q = (double)sqa_qkv_width(&c->frame), pair = 4 * Q + 5 * H, bias = c->frame.bias ? 1 : 0;
    const double b = (double)g.b, S = (double)g.rows, N = (double)g.all, above = b * S * (S - 1) / 2;
    const double to_self = b * S * (S + 1) / 2;
    double pairs = row_pairs(g, L, g.causal), rest = 0;

    switch (kind_of(self)) {
    case SQA_COMBINER_FIXED:
        if (g.rows > 1) {
            pairs += S * b + (double)listed((struct lists){g.causal ? EARLIER : OTHERS, g.rows}) * b;
            rest = 2 * (double)L * Q + join_flops((double)L, 2, Q, H);
        }
        break;
    case SQA_COMBINER_AXIAL:
        if (g.rows > 1) {
            pairs += g.causal ? row_pairs(g, L, false) + above : 2 * above;
            rest = (double)L * (4 * D * Q + bias * (D + Q) + 8 * D) + join_flops(N, g.causal ? 2 : 3, Q, H);
        }
        break;
    case SQA_COMBINER_MIXTURE:
        if (g.rows == 1)
            break;
        pairs = row_pairs(g, g.all, g.causal);
        pairs +=
            (g.causal ? 1 : 2) * (above + to_self + (S - 1) * b * b); /* columns, their regions and their values */
        pairs += g.causal ? (S - 1) * b * b : 0;
        rest = (g.causal ? 1 : 2) * 2 * N * Q + join_flops(N, (g.causal ? 4 : 5) + (g.b > 1 ? 2 : 0), Q, H);
        if (g.b > 1) { /* parts of rows: their values, and they */
            pairs += 2 * S * b * b + 2 * (b - 1) * (g.causal ? S * (S - 1) / 2 : S * S);
            rest += 2 * 2 * N * Q;
        }
        break;
    case SQA_COMBINER_LOGN:
        pairs = sqa_path_pairs(L);
        for (int l = 1; sqa_path_regions(L, l) > 0; l++) {
            const int64_t rows = sqa_path_regions(L, l), below = l == 1 ? L : sqa_path_regions(L, l - 1);

            pairs += (double)(listed((struct lists){EVEN, rows}) << l);
            rest += 2 * (double)below * Q;
        }
        break;
    }
    return sqa_heads_flops(c) + B * (pairs * pair + rest);
}

const struct sqa_variant sqa_variant_combiner = {
    .id = "combiner",
    .slot = SQA_SLOT_MIXER,
    .title = "Combiner",
    .source = "Ren et al. 2021, arXiv:2107.05768",
    .complexity = "O(L sqrt(L) D) time, logn O(L log L D); O(L D) memory",
    .help =
        "Every position gets a weight from every other one, but far ones only as members of a region, whose weight "
        "is one number and whose inner weights are the same for all. Four ways to cut regions: kind.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_SUM_TO_ONE | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct self),
    .check = check,
    .build = build,
    .flops = flops,
    .identities = sqa_combiner_identities,
};
