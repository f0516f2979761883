/*
 * attention.c - softmax attention, tiled, and its fused gradient
 *
 * Every (batch, head) pair is one call of the kernel and the unit of parallel work. Dropout's stream of a pair is
 * keyed by (seed, step, path of the forward node, pair).
 */
#include "base/random.h"
#include "engine/ops/support.h"

struct attr {
    struct sqa_attention_spec spec;
    bool dropped;  /* dropout is active */
    uint64_t path; /* of the forward node, in its gradient */
};

enum { Q, K, V, LENGTHS, O, LSE, DOUT }; /* inputs; the forward has four */

static enum sqa_status check(const struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *k = n->in[K], *v = n->in[V];
    char one[96], two[96], three[96];

    if (!sqa_is_real(q) || q->rank != 4 || k->rank != 4 || v->rank != 4 || k->dim[0] != q->dim[0] ||
        v->dim[0] != q->dim[0] || k->dim[2] != q->dim[2] || v->dim[2] != q->dim[2] || k->dim[3] != q->dim[3] ||
        v->dim[1] != k->dim[1] || k->dtype != q->dtype || v->dtype != q->dtype)
        return sqa_shape_fail(n, err, "q %s, k %s, v %s; give (B, Lq, H, d), (B, Lk, H, d), (B, Lk, H, dv)",
                              sqa_shape_text(q, one), sqa_shape_text(k, two), sqa_shape_text(v, three));
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, q->dim[0], err);
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *v = n->in[V];
    const enum sqa_status status = check(n, err);

    if (status != SQA_OK)
        return status;
    sqa_set_output(n, 0, q->dtype, 4, (const int64_t[]){q->dim[0], q->dim[1], q->dim[2], v->dim[3]});
    sqa_set_output(n, 1, q->dtype, 3, (const int64_t[]){q->dim[0], q->dim[2], q->dim[1]});
    return SQA_OK;
}

static void *pair_at(const struct sqa_tensor *t, int64_t b, int64_t h)
{
    return sqa_at(sqa_data(t), b * t->stride[0] + h * t->stride[2], sqa_dtype_size(t->dtype));
}

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    const struct sqa_tensor *o, *lse;
    uint64_t key;
    unsigned char *workspace;
    size_t workspace_size; /* of a thread */
};

static struct sqa_attention pair_of(const struct job *j, int64_t pair)
{
    const struct attr *a = j->node->attr;
    struct sqa_tensor *const *in = j->node->in;
    const int64_t heads = in[Q]->dim[2], b = pair / heads, h = pair % heads;

    return (struct sqa_attention){
        .queries = in[Q]->dim[1],
        .keys = sqa_length_at(in[LENGTHS], b, in[K]->dim[1]),
        .d = in[Q]->dim[3],
        .dv = in[V]->dim[3],
        .scale = a->spec.scale,
        .causal = a->spec.causal,
        .keep = a->dropped ? 1 - a->spec.dropout : 1,
        .dropout_key = sqa_random_mix(j->key, (uint64_t)pair),
        .q = pair_at(in[Q], b, h),
        .k = pair_at(in[K], b, h),
        .v = pair_at(in[V], b, h),
        .q_stride = in[Q]->stride[1],
        .k_stride = in[K]->stride[1],
        .v_stride = in[V]->stride[1],
        .o_stride = j->o->stride[1],
        .o = pair_at(j->o, b, h),
        .lse = sqa_at(sqa_data(j->lse), pair * in[Q]->dim[1], j->k->size),
    };
}

static void pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t i = first; i < first + count; i++) {
        const struct sqa_attention f = pair_of(j, i);

        j->k->attention(&f, j->workspace + (size_t)thread * j->workspace_size);
    }
}

static size_t thread_workspace(const struct sqa_node *n)
{
    return sqa_align64(sqa_node_kernels(n)->attention_workspace(n->in[Q]->dim[3], n->in[V]->dim[3]));
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * thread_workspace(n);
}

static double pair_count(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const double lq = (double)n->in[Q]->dim[1], lk = (double)n->in[K]->dim[1];
    const double heads = (double)n->in[Q]->dim[0] * (double)n->in[Q]->dim[2];

    if (!a->spec.causal)
        return heads * lq * lk;
    return heads * (lq <= lk ? lq * (lq + 1) / 2 : lk * (lk + 1) / 2 + (lq - lk) * lk);
}

static double flops(const struct sqa_node *n)
{
    return pair_count(n) * (2 * (double)n->in[Q]->dim[3] + 2 * (double)n->in[V]->dim[3] + 5);
}

/* S, dQ, dK over d; dP, dV over dv; eight for P again, dP - delta and the scale */
static double bwd_flops(const struct sqa_node *n)
{
    return pair_count(n) * (2 * (3 * (double)n->in[Q]->dim[3] + 2 * (double)n->in[V]->dim[3]) + 8);
}

static struct job job_of(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const uint64_t step = sqa_random_mix(r->seed, r->step);

    return (struct job){
        .node = n,
        .k = sqa_node_kernels(n),
        .o = n->nin > O ? n->in[O] : n->out[0],
        .lse = n->nin > O ? n->in[LSE] : n->out[1],
        .key = sqa_random_mix(step, a->path != 0 ? a->path : n->path_hash),
        .workspace = r->workspace,
        .workspace_size = thread_workspace(n),
    };
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r);

    sqa_chunks(r, n->in[Q]->dim[0] * n->in[Q]->dim[2], 1, flops(n), pairs, &j);
}

/* attention_bwd: inputs q, k, v, lengths, o, lse, dout; outputs dq, dk, dv, dense */

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    for (int i = 0; i < 3; i++)
        sqa_set_output(n, i, n->in[i]->dtype, 4, n->in[i]->dim);
    return SQA_OK;
}

/* Keys that are not valid get zeros. */
static void clear_rows(const struct sqa_tensor *t, int64_t b, int64_t h, int64_t first)
{
    const size_t size = sqa_dtype_size(t->dtype);

    for (int64_t i = first; i < t->dim[1]; i++)
        memset(sqa_at(pair_at(t, b, h), i * t->stride[1], size), 0, (size_t)t->dim[3] * size);
}

static void bwd_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    struct sqa_tensor *const *out = j->node->out;
    const struct sqa_tensor *dout = j->node->in[DOUT];
    const int64_t heads = out[0]->dim[2];

    for (int64_t i = first; i < first + count; i++) {
        const int64_t b = i / heads, h = i % heads;
        const struct sqa_attention_bwd f = {
            .f = pair_of(j, i),
            .dout = pair_at(dout, b, h),
            .dq = pair_at(out[0], b, h),
            .dk = pair_at(out[1], b, h),
            .dv = pair_at(out[2], b, h),
            .do_stride = dout->stride[1],
            .dq_stride = out[0]->stride[1],
            .dk_stride = out[1]->stride[1],
            .dv_stride = out[2]->stride[1],
        };

        j->k->attention_bwd(&f, j->workspace + (size_t)thread * j->workspace_size);
        clear_rows(out[1], b, h, f.f.keys);
        clear_rows(out[2], b, h, f.f.keys);
    }
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r);

    sqa_chunks(r, n->in[Q]->dim[0] * n->in[Q]->dim[2], 1, bwd_flops(n), bwd_pairs, &j);
}

const struct sqa_op sqa_op_attention_bwd = {
    .name = "attention_bwd",
    .help = "gradients of q, k and v of attention",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << DOUT,
    .tolerance = 1e-4,
};

/* The d numbers of a row lie side by side, or the tensor is copied. */
static struct sqa_tensor *dense_rows(struct sqa_graph *g, struct sqa_tensor *t)
{
    return t != NULL && t->rank == 4 && t->stride[3] != 1 && t->dim[3] > 1 ? sqa_dense(g, t) : t;
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct attr a = *(const struct attr *)n->attr;
    struct sqa_tensor *in[] = {n->in[Q], n->in[K], n->in[V], n->in[LENGTHS], n->out[0], n->out[1], NULL};
    struct sqa_tensor *d;

    if (dy[1] != NULL) {
        (void)sqa_graph_fail(g, SQA_UNSUPPORTED, "attention at %s: lse has no derivative; use o only", n->path);
        return;
    }
    in[DOUT] = dense_rows(g, dy[0]);
    a.path = n->path_hash;
    d = sqa_apply(g, &sqa_op_attention_bwd, &a, sizeof a, 7, in);
    for (int i = 0; i < 3 && d != NULL; i++)
        dx[i] = d->node->out[i];
}

const struct sqa_op sqa_op_attention = {
    .name = "attention",
    .help = "o = softmax(scale q k^T, masked) v of each head",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V,
};

struct sqa_tensor *sqa_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                 struct sqa_tensor *v, struct sqa_tensor *lengths, struct sqa_attention_spec spec)
{
    const struct attr a = {.spec = spec, .dropped = g->training && spec.dropout > 0};
    struct sqa_tensor *in[] = {q, k, v, lengths};

    if (!sqa_ready(g, "attention", 3, in))
        return NULL;
    if (!(spec.dropout >= 0 && spec.dropout < 1))
        return sqa_graph_fail(g, SQA_SHAPE, "attention: dropout is %g; give a number from 0 to below 1",
                              spec.dropout);
    for (int i = 0; i < 3; i++)
        in[i] = dense_rows(g, in[i]);
    return sqa_apply(g, &sqa_op_attention, &a, sizeof a, 4, in);
}
