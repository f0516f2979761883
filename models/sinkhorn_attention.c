/*
 * sinkhorn_attention.c - sqa_sinkhorn_attention of sinkhorn_attention.h
 *
 * A (batch, head) at a time: keys and values are gathered as one row a block, sorted by one product with P each, and
 * a block's sorted and own keys put side by side for the attention kernel. Sorted keys are not kept; the backward
 * pass sorts again.
 */
#include <math.h>

#include "base/random.h"
#include "engine/ops/support.h"
#include "models/sinkhorn_attention.h"

enum { Q, K, V, P, LENGTHS, O, LSE, DOUT, FORWARD_INPUTS = O, BACKWARD_INPUTS = DOUT + 1 };

struct attr {
    struct sqa_sinkhorn_spec spec;
    bool dropped;  /* dropout is active */
    uint64_t path; /* of the forward node, in its gradient */
};

/* Part of the workspace that belongs to a thread; index 0: keys, 1: values. */
struct place {
    unsigned char *own[2], *sorted[2], *down[2], *dsorted[2]; /* (nb, b d) */
    unsigned char *both[2], *dboth[2];                        /* (2 b, d) */
    unsigned char *bias, *kernel;
};

struct job {
    const struct sqa_node *n;
    const struct attr *a;
    const struct sqa_kernels *k;
    const struct sqa_tensor *o, *lse;
    uint64_t key;
    unsigned char *workspace;
    size_t per_thread;
    int64_t heads, blocks, block, d;
    bool backward;
};

static size_t lay_out(const struct sqa_node *n, unsigned char *base, struct place *p)
{
    const struct attr *a = n->attr;
    const struct sqa_kernels *k = sqa_node_kernels(n);
    const int64_t d = n->in[Q]->dim[3], b = a->spec.block;
    const size_t all = (size_t)(n->in[P]->dim[2] * b * d) * k->size, two = (size_t)(2 * b * d) * k->size;
    const size_t back = n->nin > FORWARD_INPUTS ? 1 : 0;
    size_t at = 0;

    for (int i = 0; i < 2; i++) {
        p->own[i] = sqa_take(base, &at, all);
        p->sorted[i] = sqa_take(base, &at, all);
        p->down[i] = sqa_take(base, &at, back * all);
        p->dsorted[i] = sqa_take(base, &at, back * all);
        p->both[i] = sqa_take(base, &at, two);
        p->dboth[i] = sqa_take(base, &at, back * two);
    }
    p->bias = sqa_take(base, &at, a->spec.causal ? (size_t)(2 * b * b) * k->size : 0);
    p->kernel = sqa_take(base, &at, k->attention_workspace(d, d));
    return at;
}

static size_t thread_workspace(const struct sqa_node *n)
{
    struct place p;

    return lay_out(n, NULL, &p);
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * thread_workspace(n);
}

static struct job job_of(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const bool backward = n->nin > FORWARD_INPUTS;
    const uint64_t step = sqa_random_mix(r->seed, r->step);

    return (struct job){.n = n,
                        .a = a,
                        .k = sqa_node_kernels(n),
                        .o = backward ? n->in[O] : n->out[0],
                        .lse = backward ? n->in[LSE] : n->out[1],
                        .key = sqa_random_mix(step, a->path != 0 ? a->path : n->path_hash),
                        .workspace = r->workspace,
                        .per_thread = thread_workspace(n),
                        .heads = n->in[Q]->dim[2],
                        .blocks = n->in[P]->dim[2],
                        .block = a->spec.block,
                        .d = n->in[Q]->dim[3],
                        .backward = backward};
}

static void *row_at(const struct job *j, const struct sqa_tensor *x, int64_t pair, int64_t t)
{
    return sqa_head_row(x, pair, t, j->k->size);
}

/* Row n of P, or of its gradient. */
static void *p_at(const struct job *j, const struct sqa_tensor *p, int64_t pair, int64_t n)
{
    return sqa_at(sqa_data(p), (pair * j->blocks + n) * j->blocks, j->k->size);
}

static int64_t valid_rows(const struct job *j, int64_t pair)
{
    return sqa_length_at(j->n->in[LENGTHS], pair / j->heads, j->a->spec.length);
}

/* y (+)= op(A) x for rows of blocks, A: P or its gradient. */
static void sort(const struct job *j, int64_t pair, int64_t valid, bool transposed, const void *x, bool add, void *y)
{
    const int64_t width = j->block * j->d;

    j->k->gemm(transposed, 0, valid, width, valid, 1, p_at(j, j->n->in[P], pair, 0), j->blocks, x, width, add, y,
               width);
}

/* Keys and values of the valid positions, zeros behind them, and both sorted. */
static void gather(const struct job *j, int64_t pair, int64_t rows, const struct place *p)
{
    const int64_t valid = sqa_sinkhorn_blocks(rows, j->block);
    const size_t bytes = (size_t)j->d * j->k->size;

    for (int i = 0; i < 2; i++) {
        for (int64_t t = 0; t < rows; t++)
            memcpy(p->own[i] + (size_t)t * bytes, row_at(j, j->n->in[K + i], pair, t), bytes);
        memset(p->own[i] + (size_t)rows * bytes, 0, (size_t)(valid * j->block - rows) * bytes);
        sort(j, pair, valid, false, p->own[i], false, p->sorted[i]);
    }
}

/* Sorted slots that are keys of block n: all, those that the last valid block has, or none. */
static int64_t slots_of(const struct job *j, int64_t pair, int64_t n, int64_t rows)
{
    const int64_t valid = sqa_sinkhorn_blocks(rows, j->block);
    const void *p = p_at(j, j->n->in[P], pair, n);
    double last = 0, others = 0;

    if (j->a->spec.causal && n == 0)
        return 0;
    for (int64_t m = 0; m + 1 < valid; m++)
        others += sqa_real_get(j->o->dtype, sqa_at_const(p, m, j->k->size));
    last = sqa_real_get(j->o->dtype, sqa_at_const(p, valid - 1, j->k->size));
    return others > last ? j->block : rows - (valid - 1) * j->block;
}

static void fill_bias(const struct job *j, int64_t rows, int64_t slots, void *bias)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < slots + rows; c++)
            sqa_real_set(j->o->dtype, sqa_at(bias, i * (slots + rows) + c, j->k->size),
                         c - slots <= i ? 0 : -(double)INFINITY);
}

/* The rows of block n, its slots first and then its own, of both keys and values. */
static void side_by_side(const struct job *j, int64_t n, int64_t rows, int64_t slots, const struct place *p)
{
    const size_t row = (size_t)j->d * j->k->size, at = (size_t)(n * j->block) * row;

    for (int i = 0; i < 2; i++) {
        memcpy(p->both[i], p->sorted[i] + at, (size_t)slots * row);
        memcpy(p->both[i] + (size_t)slots * row, p->own[i] + at, (size_t)rows * row);
    }
}

static void backward_block(const struct job *j, int64_t pair, const struct sqa_attention *f, int64_t n, int64_t slots,
                           const struct place *p)
{
    const struct sqa_tensor *dout = j->n->in[DOUT], *dq = j->n->out[0];
    const size_t row = (size_t)j->d * j->k->size, at = (size_t)(n * j->block) * row;
    const struct sqa_attention_bwd b = {.f = *f,
                                        .dout = row_at(j, dout, pair, n * j->block),
                                        .dq = row_at(j, dq, pair, n * j->block),
                                        .dk = p->dboth[0],
                                        .dv = p->dboth[1],
                                        .do_stride = dout->stride[1],
                                        .dq_stride = dq->stride[1],
                                        .dk_stride = j->d,
                                        .dv_stride = j->d};

    j->k->attention_bwd(&b, p->kernel);
    for (int i = 0; i < 2; i++) {
        memset(p->dsorted[i] + at, 0, (size_t)j->block * row);
        memcpy(p->dsorted[i] + at, p->dboth[i], (size_t)slots * row);
        memset(p->down[i] + at, 0, (size_t)j->block * row);
        memcpy(p->down[i] + at, p->dboth[i] + (size_t)slots * row, (size_t)f->queries * row);
    }
}

/* Attention of one block, or its gradient. */
static void attend(const struct job *j, int64_t pair, int64_t n, int64_t valid, const struct place *p)
{
    const struct sqa_sinkhorn_spec *s = &j->a->spec;
    const int64_t from = n * j->block, rows = sqa_min64(j->block, valid - from), slots = slots_of(j, pair, n, valid);
    const struct sqa_attention f = {
        .queries = rows,
        .keys = slots + rows,
        .d = j->d,
        .dv = j->d,
        .scale = s->scale,
        .keep = j->a->dropped ? 1 - s->dropout : 1,
        .dropout_key = sqa_random_mix(j->key, (uint64_t)(pair * j->blocks + n)),
        .q = row_at(j, j->n->in[Q], pair, from),
        .k = p->both[0],
        .v = p->both[1],
        .o = row_at(j, j->o, pair, from),
        .lse = sqa_at(sqa_data(j->lse), pair * s->length + from, j->k->size),
        .q_stride = j->n->in[Q]->stride[1],
        .k_stride = j->d,
        .v_stride = j->d,
        .o_stride = j->o->stride[1],
        .bias = s->causal ? p->bias : NULL,
        .bias_stride = slots + rows,
    };

    side_by_side(j, n, rows, slots, p);
    if (s->causal)
        fill_bias(j, rows, slots, p->bias);
    if (j->backward)
        backward_block(j, pair, &f, n, slots, p);
    else
        j->k->attention(&f, p->kernel);
}

static void clear(const struct job *j, const struct sqa_tensor *x, int64_t pair, int64_t from)
{
    for (int64_t t = from; t < x->dim[1]; t++)
        memset(row_at(j, x, pair, t), 0, (size_t)j->d * j->k->size);
}

static void forward_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    struct place p;

    (void)lay_out(j->n, j->workspace + (size_t)thread * j->per_thread, &p);
    for (int64_t pair = first; pair < first + count; pair++) {
        const int64_t rows = valid_rows(j, pair);

        gather(j, pair, rows, &p);
        for (int64_t n = 0; n * j->block < rows; n++)
            attend(j, pair, n, rows, &p);
        clear(j, j->o, pair, rows);
        for (int64_t t = rows; t < j->a->spec.length; t++)
            sqa_real_set(j->o->dtype, sqa_at(sqa_data(j->lse), pair * j->a->spec.length + t, j->k->size), 0);
    }
}

/* From the gradients of the sorted keys and values: those of P, and of what was sorted. */
static void unsort(const struct job *j, int64_t pair, int64_t rows, const struct place *p)
{
    const int64_t valid = sqa_sinkhorn_blocks(rows, j->block), width = j->block * j->d;
    const size_t bytes = (size_t)j->d * j->k->size;
    const struct sqa_tensor *dp = j->n->out[3];

    memset(p_at(j, dp, pair, 0), 0, (size_t)(j->blocks * j->blocks) * j->k->size);
    for (int i = 0; i < 2; i++) {
        const struct sqa_tensor *dx = j->n->out[1 + i];

        j->k->gemm(0, 1, valid, valid, width, 1, p->dsorted[i], width, p->own[i], width, i, p_at(j, dp, pair, 0),
                   j->blocks);
        sort(j, pair, valid, true, p->dsorted[i], true, p->down[i]);
        for (int64_t t = 0; t < rows; t++)
            memcpy(row_at(j, dx, pair, t), p->down[i] + (size_t)t * bytes, bytes);
        clear(j, dx, pair, rows);
    }
}

static void backward_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    struct place p;

    (void)lay_out(j->n, j->workspace + (size_t)thread * j->per_thread, &p);
    for (int64_t pair = first; pair < first + count; pair++) {
        const int64_t rows = valid_rows(j, pair);

        gather(j, pair, rows, &p);
        for (int64_t n = 0; n * j->block < rows; n++)
            attend(j, pair, n, rows, &p);
        clear(j, j->n->out[0], pair, rows);
        unsort(j, pair, rows, &p);
    }
}

/* Cost */

static double pair_count(const struct sqa_sinkhorn_spec *s)
{
    double sum = 0;

    for (int64_t i = 0; i < s->length; i += s->block) {
        const int64_t rows = sqa_min64(s->block, s->length - i);

        sum += (double)rows * (double)(rows + (s->causal && i == 0 ? 0 : s->block));
    }
    return sum;
}

/* One product with P, of keys and of values. */
static double sort_flops(const struct sqa_sinkhorn_spec *s, int64_t d)
{
    const double blocks = (double)sqa_sinkhorn_blocks(s->length, s->block);

    return 4 * blocks * blocks * (double)(s->block * d);
}

double sqa_sinkhorn_attention_flops(double matrices, int64_t d, const struct sqa_sinkhorn_spec *s)
{
    return matrices * (sort_flops(s, d) + pair_count(s) * (4 * (double)d + 5 + s->causal));
}

static double matrices_of(const struct sqa_node *n)
{
    return (double)(n->in[Q]->dim[0] * n->in[Q]->dim[2]);
}

static double flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;

    return sqa_sinkhorn_attention_flops(matrices_of(n), n->in[Q]->dim[3], &a->spec);
}

static double bwd_flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const int64_t d = n->in[Q]->dim[3];

    return matrices_of(n) *
           (3 * sort_flops(&a->spec, d) + pair_count(&a->spec) * (10 * (double)d + 8 + a->spec.causal));
}

/* The ops */

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *q = n->in[Q], *p = n->in[P];
    const int64_t blocks = sqa_sinkhorn_blocks(a->spec.length, a->spec.block);
    char one[96], two[96], three[96], four[96];

    if (!sqa_is_real(q) || q->rank != 4 || !sqa_same_shape(q, n->in[K]) || !sqa_same_shape(q, n->in[V]) ||
        p->rank != 4 || p->dim[0] != q->dim[0] || p->dim[1] != q->dim[2] || p->dim[2] != blocks ||
        p->dim[3] != blocks || q->dim[1] != a->spec.length || a->spec.block < 1)
        return sqa_shape_fail(n, err, "q %s, k %s, v %s, P %s; give (B, L, H, d) three times and (B, H, nb, nb)",
                              sqa_shape_text(q, one), sqa_shape_text(n->in[K], two), sqa_shape_text(n->in[V], three),
                              sqa_shape_text(p, four));
    sqa_set_output(n, 0, q->dtype, 4, q->dim);
    sqa_set_output(n, 1, q->dtype, 3, (const int64_t[]){q->dim[0], q->dim[2], q->dim[1]});
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, q->dim[0], err);
}

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    for (int i = Q; i <= P; i++)
        sqa_set_output(n, i, n->in[i]->dtype, 4, n->in[i]->dim);
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r);

    sqa_chunks(r, n->in[Q]->dim[0] * j.heads, 1, j.backward ? bwd_flops(n) : flops(n),
               j.backward ? backward_pairs : forward_pairs, &j);
}

static const struct sqa_op op_backward = {
    .name = "sinkhorn_attention_bwd",
    .help = "gradients of q, k, v and P of sinkhorn_attention",
    .shape = bwd_shape,
    .run = run,
    .flops = bwd_flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << DOUT,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[BACKWARD_INPUTS] = {[DOUT] = sqa_dense_rows(g, dy[0])};
    struct attr a = *(const struct attr *)n->attr;
    struct sqa_tensor *t;

    if (dy[0] == NULL || dy[1] != NULL) {
        (void)sqa_graph_fail(g, SQA_UNSUPPORTED, "sinkhorn_attention at %s: lse has no derivative; use o only",
                             n->path);
        return;
    }
    memcpy(in, n->in, FORWARD_INPUTS * sizeof *in);
    in[O] = n->out[0];
    in[LSE] = n->out[1];
    a.path = n->path_hash;
    t = sqa_apply(g, &op_backward, &a, sizeof a, BACKWARD_INPUTS, in);
    for (int i = Q; t != NULL && i <= P; i++)
        dx[i] = t->node->out[i];
}

static const struct sqa_op op_forward = {
    .name = "sinkhorn_attention",
    .help = "softmax attention to the own block and to one block of sorted keys",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V,
    .tolerance = 1e-4,
};

struct sqa_tensor *sqa_sinkhorn_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                          struct sqa_tensor *v, struct sqa_tensor *p, struct sqa_tensor *lengths,
                                          struct sqa_sinkhorn_spec spec)
{
    const struct attr a = {.spec = spec, .dropped = g->training && spec.dropout > 0};
    struct sqa_tensor *in[] = {q, k, v, p, lengths};

    if (!sqa_ready(g, "sinkhorn_attention", 4, in))
        return NULL;
    for (int i = Q; i <= V; i++)
        in[i] = sqa_dense_rows(g, in[i]);
    return sqa_apply(g, &op_forward, &a, sizeof a, FORWARD_INPUTS, in);
}
