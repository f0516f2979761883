/*
 * kernel_attention.c - see kernel_attention.h
 *
 * The rows of a (batch, head) are cut into ranges, so that few long sequences can use many threads: ranges of keys
 * are summed on their own and joined in order. A causal range needs the sums before it, which are made first by a
 * pass over the keys; so causal ranges are made only where pairs are few.
 */
#include "models/kernel_attention.h"

#include <math.h>

#include "engine/ops/support.h"

enum { Q, K, V, LENGTHS, W, Y, DEN, STATE, DY, FORWARD_INPUTS = Y, BACKWARD_INPUTS = DY + 1 };
enum { RANGE = 1024, PIECES = 64, CAUSAL_PIECES = 8 }; /* rows of a range at least; ranges that are enough */

/* Sizes */

static bool shared_c(const struct sqa_kernel_attention_spec *a)
{
    return a->map == SQA_MAP_EXP && !a->causal;
}

static int64_t pairs_of(const struct sqa_node *n)
{
    return n->in[Q]->dim[0] * n->in[Q]->dim[2];
}

static int64_t features_of(const struct sqa_node *n)
{
    return n->in[W] != NULL ? n->in[W]->dim[0] : n->in[Q]->dim[3];
}

/* Ranges of a pair, and their rows: a multiple of the chunk. */
struct ranges {
    int64_t count, rows;
};

static struct ranges ranges_of(const struct sqa_node *n)
{
    const struct sqa_kernel_attention_spec *a = n->attr;
    const int64_t length = n->in[Q]->dim[1], pairs = sqa_max64(1, pairs_of(n));
    const int64_t want = ((a->causal ? CAUSAL_PIECES : PIECES) + pairs - 1) / pairs;
    const int64_t step = a->causal ? a->chunk : 1;
    const int64_t rows = sqa_max64(sqa_max64(RANGE, (length + want - 1) / want), 1);
    struct ranges r = {.rows = (rows + step - 1) / step * step};

    r.count = sqa_max64(1, (length + r.rows - 1) / r.rows);
    return r;
}

/* Without places of tensors; w only says that there is one. */
static struct sqa_kernel_attention sizes_of(const struct sqa_node *n)
{
    const struct sqa_kernel_attention_spec *a = n->attr;
    const struct sqa_tensor *q = n->in[Q];

    return (struct sqa_kernel_attention){.map = a->map,
                                         .causal = a->causal,
                                         .rows = q->dim[1],
                                         .d = q->dim[3],
                                         .m = features_of(n),
                                         .dv = n->in[V]->dim[3],
                                         .chunk = sqa_max64(1, sqa_min64(a->chunk, q->dim[1])),
                                         .scale = a->scale,
                                         .eps = a->eps,
                                         .den_eps = a->den_eps,
                                         .den_min = a->den_min,
                                         .w = n->in[W]};
}

static void *head_at(const struct sqa_tensor *t, int64_t b, int64_t h)
{
    return sqa_at(sqa_data(t), b * t->stride[0] + h * t->stride[2], sqa_dtype_size(t->dtype));
}

static struct sqa_kernel_attention pair_of(const struct sqa_node *n, int64_t pair)
{
    struct sqa_tensor *const *in = n->in;
    const struct sqa_tensor *y = n->nin > Y ? in[Y] : n->out[0], *den = n->nin > Y ? in[DEN] : n->out[1];
    const int64_t b = pair / in[Q]->dim[2], h = pair % in[Q]->dim[2];
    struct sqa_kernel_attention a = sizes_of(n);

    a.keys = sqa_length_at(in[LENGTHS], b, in[K]->dim[1]);
    a.w = in[W] != NULL ? sqa_data(in[W]) : NULL;
    a.q = head_at(in[Q], b, h);
    a.k = head_at(in[K], b, h);
    a.v = head_at(in[V], b, h);
    a.q_stride = in[Q]->stride[1];
    a.k_stride = in[K]->stride[1];
    a.v_stride = in[V]->stride[1];
    a.y = head_at(y, b, h);
    a.y_stride = y->stride[1];
    a.den = sqa_at(sqa_data(den), pair * a.rows, sqa_dtype_size(den->dtype));
    if (n->nin > Y) {
        a.dy = head_at(in[DY], b, h);
        a.dq = head_at(n->out[0], b, h);
        a.dk = head_at(n->out[1], b, h);
        a.dv_ = head_at(n->out[2], b, h);
        a.dy_stride = in[DY]->stride[1];
        a.dq_stride = n->out[0]->stride[1];
        a.dk_stride = n->out[1]->stride[1];
        a.dv_stride = n->out[2]->stride[1];
    }
    return a;
}

/* Workspace: a part for each thread's kernel, two rows of states (one for each range of each pair), and a number a
 * range. */
struct job {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    struct ranges ranges;
    int64_t state; /* elements */
    size_t kernel_bytes, states_bytes;
    unsigned char *kernel, *states, *dstates;
    double *all; /* sum of de of a range of keys */
};

static struct job job_of(const struct sqa_node *n, void *workspace, int threads)
{
    const struct sqa_kernel_attention a = sizes_of(n);
    struct job j = {.n = n, .k = sqa_kernels_of(n->in[Q]->dtype), .ranges = ranges_of(n)};

    j.state = sqa_kattn_state(&a);
    j.kernel_bytes = sqa_align64(j.k->kattn_workspace(&a));
    j.states_bytes = sqa_align64((size_t)(pairs_of(n) * j.ranges.count * j.state) * j.k->size);
    j.kernel = workspace;
    j.states = sqa_at(workspace, (int64_t)((size_t)threads * j.kernel_bytes), 1);
    j.dstates = n->nin > Y ? sqa_at(j.states, (int64_t)j.states_bytes, 1) : NULL;
    j.all = sqa_at(n->nin > Y ? j.dstates : j.states, (int64_t)j.states_bytes, 1);
    return j;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    const struct job j = job_of(n, NULL, threads);

    return (size_t)threads * j.kernel_bytes + (n->nin > Y ? 2 : 1) * j.states_bytes +
           (size_t)(pairs_of(n) * j.ranges.count) * sizeof(double);
}

static void *state_at(const struct job *j, unsigned char *states, int64_t piece)
{
    return sqa_at(states, piece * j->state, j->k->size);
}

static void *kernel_workspace(const struct job *j, int thread)
{
    return j->kernel + (size_t)thread * j->kernel_bytes;
}

/* The state of all keys of a pair: the forward's output. */
static void *pair_state(const struct job *j, int64_t pair)
{
    const struct sqa_tensor *t = j->n->nin > Y ? j->n->in[STATE] : j->n->out[2];

    return sqa_at(sqa_data(t), pair * j->state, j->k->size);
}

/* A range of a pair; its states are number `place`. The heads of a range follow one another: their rows lie between
 * each other in memory. */
struct piece {
    struct sqa_kernel_attention a;
    int64_t first, count, pair, range, place;
};

static struct piece piece_of(const struct job *j, int64_t i)
{
    const int64_t heads = j->n->in[Q]->dim[2], ranges = j->ranges.count;
    struct piece p = {.pair = i / (heads * ranges) * heads + i % heads, .range = i / heads % ranges};

    p.a = pair_of(j->n, p.pair);
    p.place = p.pair * ranges + p.range;
    p.first = p.range * j->ranges.rows;
    p.count = sqa_min64(j->ranges.rows, p.a.rows - p.first);
    return p;
}

/* Not causal, forward */

static void sum_keys(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t i = first; i < first + count; i++) {
        const struct piece p = piece_of(j, i);

        j->k->kattn_keys(&p.a, p.first, p.count, state_at(j, j->states, p.place), kernel_workspace(j, thread));
    }
}

static double extra(const struct job *j, const void *state, int64_t place)
{
    const int64_t i = j->state - SQA_KATTN_EXTRA + place;

    return sqa_real_get(j->n->in[Q]->dtype, sqa_at_const(state, i, j->k->size));
}

static void set_extra(const struct job *j, void *state, int64_t place, double v)
{
    const int64_t i = j->state - SQA_KATTN_EXTRA + place;

    sqa_real_set(j->n->in[Q]->dtype, sqa_at(state, i, j->k->size), v);
}

/* c of the ranges' largest, the first among equals. */
static void choose_c(const struct job *j, const unsigned char *states, void *to)
{
    for (int64_t i = 0; i < j->ranges.count; i++) {
        const void *s = sqa_at_const(states, i * j->state, j->k->size);

        if (extra(j, s, SQA_KATTN_ROW) < 0 ||
            (extra(j, to, SQA_KATTN_ROW) >= 0 && extra(j, s, SQA_KATTN_C) <= extra(j, to, SQA_KATTN_C)))
            continue;
        for (int place = SQA_KATTN_C; place < SQA_KATTN_EXTRA; place++)
            set_extra(j, to, place, extra(j, s, place));
    }
}

static void join_ranges(const struct job *j, int64_t pair)
{
    const struct sqa_kernel_attention_spec *spec = j->n->attr;
    const int64_t m = features_of(j->n), dv = j->n->in[V]->dim[3], sums = m * (dv + 1);
    const unsigned char *states = state_at(j, j->states, pair * j->ranges.count);
    unsigned char *to = pair_state(j, pair), *values = sqa_at(to, sums, j->k->size);
    double keys = 0;

    memset(to, 0, (size_t)j->state * j->k->size);
    set_extra(j, to, SQA_KATTN_ROW, -1);
    if (shared_c(spec))
        choose_c(j, states, to);
    for (int64_t i = 0; i < j->ranges.count; i++) {
        const void *s = sqa_at_const(states, i * j->state, j->k->size);
        const double grown = shared_c(spec) ? exp(extra(j, s, SQA_KATTN_C) - extra(j, to, SQA_KATTN_C)) : 1;

        if (shared_c(spec) && extra(j, s, SQA_KATTN_ROW) < 0)
            continue;
        j->k->axpy(grown, s, to, (size_t)sums);
        j->k->axpy(1.0, sqa_at_const(s, sums, j->k->size), values, (size_t)dv);
        keys += extra(j, s, SQA_KATTN_COUNT);
    }
    if (!shared_c(spec))
        return;
    set_extra(j, to, SQA_KATTN_COUNT, keys);
    for (int64_t f = 0; f < m; f++)
        j->k->axpy(spec->eps, values, sqa_at(to, f * dv, j->k->size), (size_t)dv);
    j->k->affine(1.0, sqa_at(to, m * dv, j->k->size), spec->eps * keys, sqa_at(to, m * dv, j->k->size), (size_t)m);
}

static void join_keys(void *ctx, int64_t first, int64_t count, int thread)
{
    (void)thread;
    for (int64_t i = first; i < first + count; i++)
        join_ranges(ctx, i);
}

static void answer_queries(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t i = first; i < first + count; i++) {
        const struct piece p = piece_of(j, i);

        j->k->kattn_queries(&p.a, p.first, p.count, pair_state(j, p.pair), kernel_workspace(j, thread));
    }
}

/* Not causal, backward */

static void query_gradients(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t i = first; i < first + count; i++) {
        const struct piece p = piece_of(j, i);

        j->k->kattn_queries_bwd(&p.a, p.first, p.count, pair_state(j, p.pair), state_at(j, j->dstates, p.place),
                                kernel_workspace(j, thread));
    }
}

/* The first range's place gets the sum. */
static void join_gradients(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    (void)thread;
    for (int64_t i = first; i < first + count; i++)
        for (int64_t r = 1; r < j->ranges.count; r++)
            j->k->axpy(1.0, state_at(j, j->dstates, i * j->ranges.count + r),
                       state_at(j, j->dstates, i * j->ranges.count), (size_t)j->state);
}

/* Rows of keys that are not valid get zeros. */
static void clear_padding(const struct job *j, const struct piece *p)
{
    const int64_t valid = sqa_max64(p->first, p->a.keys);

    for (int64_t t = valid; t < p->first + p->count; t++) {
        memset(sqa_at(p->a.dk, t * p->a.dk_stride, j->k->size), 0, (size_t)p->a.d * j->k->size);
        memset(sqa_at(p->a.dv_, t * p->a.dv_stride, j->k->size), 0, (size_t)p->a.dv * j->k->size);
    }
}

static void key_gradients(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t i = first; i < first + count; i++) {
        const struct piece p = piece_of(j, i);

        j->all[p.place] =
            j->k->kattn_keys_bwd(&p.a, p.first, p.count, pair_state(j, p.pair),
                                 state_at(j, j->dstates, p.pair * j->ranges.count), kernel_workspace(j, thread));
        clear_padding(j, &p);
    }
}

/* c moves with the largest u of all keys. */
static void move_c(const struct job *j, int64_t pair)
{
    const struct sqa_kernel_attention a = pair_of(j->n, pair);
    const void *state = pair_state(j, pair);
    const int64_t row = (int64_t)extra(j, state, SQA_KATTN_ROW), f = (int64_t)extra(j, state, SQA_KATTN_FEATURE);
    double all = 0;
    void *dk;

    if (row < 0)
        return;
    for (int64_t i = 0; i < j->ranges.count; i++)
        all += j->all[pair * j->ranges.count + i];
    dk = sqa_at(a.dk, row * a.dk_stride, j->k->size);
    if (a.w != NULL) {
        j->k->axpy(-a.scale * all, sqa_at_const(a.w, f * a.d, j->k->size), dk, (size_t)a.d);
    } else {
        dk = sqa_at(dk, f, j->k->size);
        sqa_real_set(j->n->in[Q]->dtype, dk, sqa_real_get(j->n->in[Q]->dtype, dk) - a.scale * all);
    }
}

static void run_sums(const struct sqa_run *r, struct job *j, double work)
{
    const struct sqa_kernel_attention_spec *spec = j->n->attr;
    const int64_t pairs = pairs_of(j->n), pieces = pairs * j->ranges.count;

    if (j->n->nin == FORWARD_INPUTS) {
        sqa_chunks(r, pieces, 1, work, sum_keys, j);
        sqa_chunks(r, pairs, 1, work, join_keys, j);
        sqa_chunks(r, pieces, 1, work, answer_queries, j);
        return;
    }
    sqa_chunks(r, pieces, 1, work, query_gradients, j);
    sqa_chunks(r, pairs, 1, work, join_gradients, j);
    sqa_chunks(r, pieces, 1, work, key_gradients, j);
    for (int64_t i = 0; i < pairs && shared_c(spec); i++)
        move_c(j, i);
}

/* Causal. Before the chunks: range i's state becomes the sum over keys of ranges before i, its gradient state the sum
 * over queries of ranges after i. */

static void sum_ranges(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t i = first; i < first + count; i++) {
        struct piece p = piece_of(j, i);

        if (p.range + 1 < j->ranges.count)
            j->k->kattn_keys(&p.a, p.first, p.count, state_at(j, j->states, p.place + 1),
                             kernel_workspace(j, thread));
        p.a.dq = NULL;
        if (j->dstates != NULL && p.range > 0)
            j->k->kattn_queries_bwd(&p.a, p.first, p.count, NULL, state_at(j, j->dstates, p.place - 1),
                                    kernel_workspace(j, thread));
    }
}

static void add_up(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const int64_t ranges = j->ranges.count;
    const size_t elements = (size_t)j->state;

    (void)thread;
    for (int64_t i = first; i < first + count; i++) {
        memset(state_at(j, j->states, i * ranges), 0, elements * j->k->size);
        for (int64_t r = 2; r < ranges; r++)
            j->k->axpy(1.0, state_at(j, j->states, i * ranges + r - 1), state_at(j, j->states, i * ranges + r),
                       elements);
        if (j->dstates == NULL)
            continue;
        memset(state_at(j, j->dstates, (i + 1) * ranges - 1), 0, elements * j->k->size);
        for (int64_t r = ranges - 3; r >= 0; r--)
            j->k->axpy(1.0, state_at(j, j->dstates, i * ranges + r + 1), state_at(j, j->dstates, i * ranges + r),
                       elements);
    }
}

static void causal_ranges(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t i = first; i < first + count; i++) {
        const struct piece p = piece_of(j, i);
        void *state = state_at(j, j->states, p.place), *ws = kernel_workspace(j, thread);

        if (j->dstates == NULL) {
            j->k->kattn_causal(&p.a, p.first, p.count, state, ws);
            continue;
        }
        j->k->kattn_causal_bwd_q(&p.a, p.first, p.count, state, ws);
        j->k->kattn_causal_bwd_k(&p.a, p.first, p.count, state_at(j, j->dstates, p.place), ws);
        clear_padding(j, &p);
    }
}

static void run_causal(const struct sqa_run *r, struct job *j, double work)
{
    const int64_t pairs = pairs_of(j->n), pieces = pairs * j->ranges.count;

    if (j->ranges.count > 1)
        sqa_chunks(r, pieces, 1, work, sum_ranges, j);
    sqa_chunks(r, pairs, 1, work, add_up, j);
    sqa_chunks(r, pieces, 1, work, causal_ranges, j);
}

/* Cost. The maps count 1 a number for each of: elu + 1; relu, eps; none of NONE; scale, |x|^2 (2), and largest,
 * subtract, exp, eps.
 */

static double features_flops(const struct sqa_kernel_attention_shape *s, const struct sqa_kernel_attention_spec *a,
                             bool stabilised)
{
    const double d = (double)s->d, m = (double)s->m, projection = s->projected ? 2 * d * m : 0;

    if (a->map == SQA_MAP_EXP)
        return projection + 2 * d + 2 + (stabilised ? 4 : 3) * m;
    return projection + (a->map == SQA_MAP_ELU1 ? 1 : a->map == SQA_MAP_NONE ? 0 : 2) * m;
}

/* Sum over chunks of size^2, the rows after the first chunk, and the rows before the last. */
struct counts {
    double squares, after_first, before_last;
};

static struct counts counts_of(int64_t length, int64_t asked)
{
    const int64_t chunk = sqa_max64(1, sqa_min64(asked, length)), full = length / chunk, rest = length % chunk;
    const int64_t last = rest != 0 ? rest : sqa_min64(chunk, length);

    return (struct counts){(double)(full * chunk * chunk + rest * rest), (double)(length - sqa_min64(chunk, length)),
                           (double)(length - last)};
}

static double rows_of(const struct sqa_kernel_attention_shape *s)
{
    return (double)(s->batch * s->length * s->heads);
}

double sqa_kernel_attention_flops(struct sqa_kernel_attention_shape s, struct sqa_kernel_attention_spec a)
{
    const double rows = rows_of(&s), m = (double)s.m, dv = (double)s.dv;
    const double features = rows * (features_flops(&s, &a, true) + features_flops(&s, &a, !a.causal));
    const struct counts c = counts_of(s.length, a.chunk);

    if (!a.causal)
        return features + rows * (4 * m * dv + 3 * m + dv + 1);
    /* Q K^T, its row sums and A V in chunks; Q S and Q z after the first; K^T V and the sum of K before the last */
    return features + rows * (dv + 1) +
           (double)(s.batch * s.heads) *
               (c.squares * (2 * m + 1 + 2 * dv) + c.after_first * (2 * m * dv + 2 * m + dv + 1) +
                c.before_last * (2 * m * dv + m));
}

static struct sqa_kernel_attention_shape shape_of(const struct sqa_node *n)
{
    const struct sqa_tensor *q = n->in[Q];

    return (struct sqa_kernel_attention_shape){q->dim[0],      q->dim[1],        q->dim[2],       q->dim[3],
                                               features_of(n), n->in[V]->dim[3], n->in[W] != NULL};
}

static double flops(const struct sqa_node *n)
{
    return sqa_kernel_attention_flops(shape_of(n), *(const struct sqa_kernel_attention_spec *)n->attr);
}

/* Features again; dy / den and its product with y; slopes and their sums; the way back through W and |x|^2. Not
 * causal: dphi(q), dS, dphi(k), dv. Causal: A, dA + g, dA K, A^T G, dA^T Q in chunks; G S^T + g z^T, K R, V R^T + r
 * between them, and the two states. */
static double bwd_flops(const struct sqa_node *n)
{
    const struct sqa_kernel_attention_spec *a = n->attr;
    const struct sqa_kernel_attention_shape s = shape_of(n);
    const double rows = rows_of(&s), d = (double)s.d, m = (double)s.m, dv = (double)s.dv;
    const double features = features_flops(&s, a, true) + features_flops(&s, a, !a->causal);
    const double slopes = 2 * (2 * m + (s.projected ? 2 * d * m : 0) + (a->map == SQA_MAP_EXP ? 2 * d : 0));
    const double common = rows * (features + 3 * dv + 1 + slopes);
    const struct counts c = counts_of(s.length, a->chunk);

    if (!a->causal)
        return common + rows * (8 * m * dv + 5 * m);
    return common +
           (double)(s.batch * s.heads) * (c.squares * (6 * m + 4 * dv + 1) + c.after_first * (4 * m * dv + 4 * m) +
                                          c.before_last * (6 * m * dv + 2 * m + dv));
}

/* The ops */

static enum sqa_status check(const struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *k = n->in[K], *v = n->in[V], *w = n->in[W];
    char a[96], b[96], c[96];

    if (q->rank != 4 || v->rank != 4 || !sqa_same_shape(q, k) || q->dim[0] != v->dim[0] || q->dim[1] != v->dim[1] ||
        q->dim[2] != v->dim[2] || !sqa_is_real(q) || k->dtype != q->dtype || v->dtype != q->dtype)
        return sqa_shape_fail(n, err, "q %s, k %s, v %s; give q and k (B, L, H, d) and v (B, L, H, dv)",
                              sqa_shape_text(q, a), sqa_shape_text(k, b), sqa_shape_text(v, c));
    if (w != NULL && (w->rank != 2 || w->dim[1] != q->dim[3] || w->dtype != q->dtype))
        return sqa_shape_fail(n, err, "w %s, q %s; give w (m, d)", sqa_shape_text(w, a), sqa_shape_text(q, b));
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, q->dim[0], err);
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *v = n->in[V];
    const enum sqa_status status = check(n, err);
    struct sqa_kernel_attention a;

    if (status != SQA_OK)
        return status;
    a = sizes_of(n);
    sqa_set_output(n, 0, q->dtype, 4, v->dim);
    sqa_set_output(n, 1, q->dtype, 3, (const int64_t[]){q->dim[0], q->dim[2], q->dim[1]});
    sqa_set_output(n, 2, q->dtype, 3, (const int64_t[]){q->dim[0], q->dim[2], a.causal ? 0 : sqa_kattn_state(&a)});
    return SQA_OK;
}

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    for (int i = 0; i < 3; i++)
        sqa_set_output(n, i, n->in[i]->dtype, 4, n->in[i]->dim);
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_kernel_attention_spec *a = n->attr;
    struct job j = job_of(n, r->workspace, r->threads);
    const double work = n->nin == FORWARD_INPUTS ? flops(n) : bwd_flops(n);

    if (n->in[Q]->dim[1] == 0)
        return;
    if (a->causal)
        run_causal(r, &j, work);
    else
        run_sums(r, &j, work);
}

static const struct sqa_op op_backward = {
    .name = "kernel_attention_bwd",
    .help = "gradients of q, k and v of kernel_attention, features recomputed",
    .shape = bwd_shape,
    .run = run,
    .flops = bwd_flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << DY,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[BACKWARD_INPUTS] = {[DY] = sqa_dense_rows(g, dy[0])};
    struct sqa_tensor *t;

    if (dy[0] == NULL || dy[1] != NULL || dy[2] != NULL || (n->in[W] != NULL && n->in[W]->needs_grad)) {
        (void)sqa_graph_fail(g, SQA_UNSUPPORTED,
                             "kernel_attention at %s: only y has a derivative, by q, k and v; "
                             "make w a state",
                             n->path);
        return;
    }
    memcpy(in, n->in, FORWARD_INPUTS * sizeof *in);
    for (int i = 0; i < 3; i++)
        in[Y + i] = n->out[i];
    t = sqa_apply(g, &op_backward, n->attr, sizeof(struct sqa_kernel_attention_spec), BACKWARD_INPUTS, in);
    for (int i = 0; t != NULL && i < 3; i++)
        dx[i] = t->node->out[i];
}

static const struct sqa_op op_forward = {
    .name = "kernel_attention",
    .help = "y_t = sum_s (phi(q_t).phi(k_s)) v_s / (sum_s phi(q_t).phi(k_s) + eps)",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V,
    .tolerance = 1e-4,
};

struct sqa_tensor *sqa_kernel_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                        struct sqa_tensor *v, struct sqa_tensor *lengths, struct sqa_tensor *w,
                                        struct sqa_kernel_attention_spec spec)
{
    struct sqa_tensor *in[] = {q, k, v, lengths, w};

    if (!sqa_ready(g, "kernel_attention", 3, in))
        return NULL;
    for (int i = 0; i < 3; i++)
        in[i] = sqa_dense_rows(g, in[i]);
    return sqa_apply(g, &op_forward, &spec, sizeof spec, FORWARD_INPUTS, in);
}
