/*
 * attention.c - softmax attention, tiled, and its fused gradient
 *
 * A pair is one (batch, local block, head): one stream of dropout, keyed by (seed, step, path of the forward node,
 * pair), and the unit of parallel work; long pairs of the forward pass are cut into parts of PART queries.
 */
#include "base/random.h"
#include "engine/ops/support.h"

enum { PART = 512, HINTED = 256 };

struct attr {
    struct sqa_attention_spec spec;
    bool dropped;   /* dropout is active */
    bool bias_grad; /* in the gradient: dbias is wanted */
    uint64_t path;  /* of the forward node, in its gradient */
};

enum { Q, K, V, LENGTHS, BIAS, START, KEY, O, LSE, DOUT, DLSE }; /* inputs; the forward has seven */
enum { DQ, DK, DV, DBIAS };                                      /* outputs of the gradient */

static int64_t key_block(const struct attr *a)
{
    return a->spec.key_block > 0 ? a->spec.key_block : a->spec.block;
}

/* A list for all, one a head, or one for each row of the batch and head */
static bool is_start(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *q = n->in[Q], *start = n->in[START];
    const int64_t block = a->spec.block, rows = (q->dim[1] + block - 1) / block + 1,
                  want[] = {q->dim[0], q->dim[2], rows};

    if (start->dtype != SQA_I32 || start->rank < 1 || start->rank > 3)
        return false;
    for (int i = 0; i < start->rank; i++)
        if (start->dim[i] != want[3 - start->rank + i])
            return false;
    return true;
}

static enum sqa_status check_masks(const struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *q = n->in[Q], *bias = n->in[BIAS], *start = n->in[START], *key = n->in[KEY];
    const int64_t Lk = n->in[K]->dim[1], H = q->dim[2], block = a->spec.block;
    char one[96], two[96];

    if (bias != NULL &&
        (bias->dtype != q->dtype || bias->rank != 4 || (bias->dim[0] != 1 && bias->dim[0] != q->dim[0]) ||
         (bias->dim[1] != 1 && bias->dim[1] != H) || bias->dim[2] != q->dim[1] || bias->dim[3] != Lk))
        return sqa_shape_fail(n, err, "q %s, bias %s; give (B or 1, H or 1, Lq, Lk)", sqa_shape_text(q, one),
                              sqa_shape_text(bias, two));
    if ((start != NULL) != (block > 0) || (start != NULL) != (key != NULL))
        return sqa_shape_fail(n, err, "a block list without block, start or key; give all three");
    if (start != NULL && (key->dtype != SQA_I32 || key->rank != 1 || !is_start(n)))
        return sqa_shape_fail(
            n, err, "start %s, key %s; give i32 (ceil(Lq / block) + 1), (H, the same) or (B, H, the same), and (any)",
            sqa_shape_text(start, one), sqa_shape_text(key, two));
    if (a->spec.local > 0 && (Lk != q->dim[1] || bias != NULL || start != NULL || a->spec.window))
        return sqa_shape_fail(n, err, "local blocks need Lq = Lk and go without window, block list and bias");
    if (a->spec.local < 0 || block < 0 || a->spec.key_block < 0)
        return sqa_shape_fail(n, err, "block, key_block and local must not be negative");
    return SQA_OK;
}

static enum sqa_status check(const struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *k = n->in[K], *v = n->in[V], *lengths = n->in[LENGTHS];
    enum sqa_status status = SQA_OK;
    char one[96], two[96], three[96];

    if (!sqa_is_real(q) || q->rank != 4 || k->rank != 4 || v->rank != 4 || k->dim[0] != q->dim[0] ||
        v->dim[0] != q->dim[0] || k->dim[2] != q->dim[2] || v->dim[2] != q->dim[2] || k->dim[3] != q->dim[3] ||
        v->dim[1] != k->dim[1] || k->dtype != q->dtype || v->dtype != q->dtype)
        return sqa_shape_fail(n, err, "q %s, k %s, v %s; give (B, Lq, H, d), (B, Lk, H, d), (B, Lk, H, dv)",
                              sqa_shape_text(q, one), sqa_shape_text(k, two), sqa_shape_text(v, three));
    if (lengths != NULL && lengths->rank == 2 &&
        (lengths->dtype != SQA_I32 || lengths->dim[0] != q->dim[0] || lengths->dim[1] != q->dim[2]))
        status = sqa_shape_fail(n, err, "q %s, lengths %s; give i32 (B) or (B, H)", sqa_shape_text(q, one),
                                sqa_shape_text(lengths, two));
    else if (lengths != NULL && lengths->rank != 2)
        status = sqa_check_lengths(n, LENGTHS, q->dim[0], err);
    return status == SQA_OK ? check_masks(n, err) : status;
}

/* Local blocks of a sequence: 1 when it is whole. size: positions of a block, at most. */
static int64_t blocks_of(const struct sqa_node *n, int64_t *size)
{
    const struct attr *a = n->attr;
    const int64_t length = n->in[Q]->dim[1];

    *size = a->spec.local > 0 ? sqa_min64(a->spec.local, length) : length;
    return a->spec.local > 0 && length > 0 ? (length + *size - 1) / *size : 1;
}

/* How many of the first `count` positions lie in a local block; they stand at its front. */
static int64_t block_rows(const struct sqa_node *n, int64_t count, int64_t block)
{
    const struct attr *a = n->attr;
    int64_t size;
    const int64_t blocks = blocks_of(n, &size);

    if (a->spec.local <= 0)
        return count;
    return a->spec.spread ? sqa_max64(0, count - block + blocks - 1) / blocks
                          : sqa_max64(0, sqa_min64(size, count - block * size));
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *v = n->in[V];
    const enum sqa_status status = check(n, err);
    int64_t size, blocks;

    if (status != SQA_OK)
        return status;
    blocks = blocks_of(n, &size);
    sqa_set_output(n, 0, q->dtype, 4, (const int64_t[]){q->dim[0], q->dim[1], q->dim[2], v->dim[3]});
    sqa_set_output(n, 1, q->dtype, 3, (const int64_t[]){q->dim[0], q->dim[2], blocks * size});
    return SQA_OK;
}

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    const struct sqa_tensor *o, *lse;
    uint64_t key;
    unsigned char *workspace;
    size_t workspace_size;              /* of a thread */
    int64_t heads, blocks, size, parts; /* parts: of the queries of a pair */
};

static int64_t pair_number(const struct job *j, int64_t b, int64_t block, int64_t h)
{
    return (b * j->blocks + block) * j->heads + h;
}

/* First row of a pair in a tensor (B, L, H, width), and the elements between its rows. */
static void *pair_at(const struct job *j, const struct sqa_tensor *t, int64_t pair)
{
    const struct attr *a = j->node->attr;
    const int64_t h = pair % j->heads, block = pair / j->heads % j->blocks, b = pair / j->heads / j->blocks;
    const int64_t row = a->spec.spread ? block : block * j->size;

    return sqa_at(sqa_data(t), b * t->stride[0] + row * t->stride[1] + h * t->stride[2], sqa_dtype_size(t->dtype));
}

static int64_t row_stride(const struct job *j, const struct sqa_tensor *t)
{
    const struct attr *a = j->node->attr;

    return t->stride[1] * (a->spec.local > 0 && a->spec.spread ? j->blocks : 1);
}

static struct sqa_attention pair_of(const struct job *j, int64_t pair)
{
    const struct attr *a = j->node->attr;
    struct sqa_tensor *const *in = j->node->in;
    const struct sqa_tensor *bias = in[BIAS], *start = in[START], *lengths = in[LENGTHS];
    const int64_t h = pair % j->heads, block = pair / j->heads % j->blocks, b = pair / j->heads / j->blocks;
    const int64_t list = start == NULL || start->rank == 1 ? 0 : start->rank == 2 ? h : b * j->heads + h;
    const int64_t row = lengths != NULL && lengths->rank == 2 ? b * j->heads + h : b;
    struct sqa_attention f = {
        .queries = block_rows(j->node, in[Q]->dim[1], block),
        .keys = block_rows(j->node, sqa_length_at(lengths, row, in[K]->dim[1]), block),
        .d = in[Q]->dim[3],
        .dv = in[V]->dim[3],
        .scale = a->spec.scale,
        .causal = a->spec.causal,
        .keep = a->dropped ? 1 - a->spec.dropout : 1,
        .dropout_key = sqa_random_mix(j->key, (uint64_t)pair),
        .q = pair_at(j, in[Q], pair),
        .k = pair_at(j, in[K], pair),
        .v = pair_at(j, in[V], pair),
        .q_stride = row_stride(j, in[Q]),
        .k_stride = row_stride(j, in[K]),
        .v_stride = row_stride(j, in[V]),
        .o_stride = row_stride(j, j->o),
        .o = pair_at(j, j->o, pair),
        .lse = sqa_at(sqa_data(j->lse), ((b * j->heads + h) * j->blocks + block) * j->size, j->k->size),
        .window = a->spec.window,
        .left = sqa_min64(a->spec.left, INT64_MAX / 4),
        .right = sqa_min64(a->spec.right, INT64_MAX / 4),
        .block = a->spec.block,
        .key_block = key_block(a),
    };

    if (bias != NULL) {
        f.bias = sqa_at(sqa_data(bias),
                        (bias->dim[0] > 1 ? b : 0) * bias->stride[0] + (bias->dim[1] > 1 ? h : 0) * bias->stride[1],
                        j->k->size);
        f.bias_stride = bias->stride[2];
    }
    if (start != NULL) {
        f.block_start = (const int32_t *)sqa_data(start) + list * start->dim[start->rank - 1];
        f.block_key = sqa_data(in[KEY]);
    }
    return f;
}

/* Short pairs are over so soon that the rows of the next pair come too late unless they are asked for. */
static void hint(const struct job *j, struct sqa_attention *f, int64_t next, int64_t end)
{
    struct sqa_tensor *const *in = j->node->in, *const *out = j->node->out;
    const bool backward = j->node->nin > O;
    const struct sqa_tensor *t[] = {in[Q],
                                    in[K],
                                    in[V],
                                    j->o,
                                    backward ? in[DOUT] : NULL,
                                    backward ? out[DQ] : NULL,
                                    backward ? out[DK] : NULL,
                                    backward ? out[DV] : NULL};

    if (next >= end || j->size > HINTED)
        return;
    for (size_t i = 0; i < sizeof t / sizeof *t && t[i] != NULL; i++) {
        f->soon[i].p = pair_at(j, t[i], next);
        f->soon[i].rows = block_rows(j->node, t[i]->dim[1], next / j->heads % j->blocks);
        f->soon[i].stride = row_stride(j, t[i]) * (int64_t)j->k->size;
        f->soon[i].width = t[i]->dim[3] * (int64_t)j->k->size;
    }
}

/* Queries of a part: whole query blocks of a block list. */
static int64_t part_size(const struct sqa_node *n)
{
    const struct attr *a = n->attr;

    return a->spec.block > 0 ? (PART + a->spec.block - 1) / a->spec.block * a->spec.block : PART;
}

static void parts(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const int64_t size = part_size(j->node);

    for (int64_t i = first; i < first + count; i++) {
        struct sqa_attention f = pair_of(j, i / j->parts);

        f.first = i % j->parts * size;
        f.queries = sqa_min64(f.queries - f.first, size);
        f.q = sqa_at_const(f.q, f.first * f.q_stride, j->k->size);
        f.o = sqa_at(f.o, f.first * f.o_stride, j->k->size);
        f.lse = sqa_at(f.lse, f.first, j->k->size);
        if (f.bias != NULL)
            f.bias = sqa_at_const(f.bias, f.first * f.bias_stride, j->k->size);
        if (j->parts == 1)
            hint(j, &f, i + 1, first + count);
        if (f.queries > 0)
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

/* Allowed pairs of lq queries and lk keys, lengths and block lists aside */
static double allowed(const struct sqa_attention_spec *s, int64_t lq, int64_t lk)
{
    double sum = 0;

    if (!s->causal && !s->window)
        return (double)lq * (double)lk;
    for (int64_t i = 0; i < lq; i++) {
        int64_t from = 0, to = s->causal ? sqa_min64(lk, i + 1) : lk;

        if (s->window) {
            from = sqa_max64(0, i - s->left);
            to = s->right < lk - i ? sqa_min64(to, i + s->right + 1) : to;
        }
        sum += (double)sqa_max64(0, to - from);
    }
    return sum;
}

static double pair_count(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const double batch = (double)n->in[Q]->dim[0], heads = (double)n->in[Q]->dim[2];
    int64_t size;
    const int64_t blocks = blocks_of(n, &size);
    double sum = 0;

    if (n->in[START] != NULL)
        return (n->in[START]->rank > 2 ? 1 : batch) * (n->in[START]->rank > 1 ? 1 : heads) *
               (double)sqa_numel(n->in[KEY]) * (double)a->spec.block * (double)key_block(a);
    if (a->spec.local <= 0)
        return batch * heads * allowed(&a->spec, n->in[Q]->dim[1], n->in[K]->dim[1]);
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t rows = block_rows(n, n->in[Q]->dim[1], b);

        sum += a->spec.causal ? (double)rows * (double)(rows + 1) / 2 : (double)rows * (double)rows;
    }
    return batch * heads * sum;
}

static double flops(const struct sqa_node *n)
{
    const double each = n->in[BIAS] != NULL ? 6 : 5;

    return pair_count(n) * (2 * (double)n->in[Q]->dim[3] + 2 * (double)n->in[V]->dim[3] + each);
}

/* S, dQ, dK over d; dP, dV over dv; eight for P again, dP - delta and the scale; bias and its gradient one each */
static double bwd_flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const double each = 8 + (n->in[BIAS] != NULL ? 1 : 0) + (a->bias_grad ? 1 : 0);

    return pair_count(n) * (2 * (3 * (double)n->in[Q]->dim[3] + 2 * (double)n->in[V]->dim[3]) + each);
}

static struct job job_of(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const uint64_t step = sqa_random_mix(r->seed, r->step);
    struct job j = {
        .node = n,
        .k = sqa_node_kernels(n),
        .o = n->nin > O ? n->in[O] : n->out[0],
        .lse = n->nin > O ? n->in[LSE] : n->out[1],
        .key = sqa_random_mix(step, a->path != 0 ? a->path : n->path_hash),
        .workspace = r->workspace,
        .workspace_size = thread_workspace(n),
        .heads = n->in[Q]->dim[2],
    };

    j.blocks = blocks_of(n, &j.size);
    j.parts = (j.size + part_size(n) - 1) / part_size(n);
    return j;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r);

    sqa_chunks(r, n->in[Q]->dim[0] * j.blocks * j.heads * j.parts, 1, flops(n), parts, &j);
}

/* attention_bwd: the inputs of the forward, o, lse, dout, dlse or none; outputs dq, dk, dv and, when wanted, dbias,
 * dense */

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;

    (void)err;
    for (int i = DQ; i <= DV; i++)
        sqa_set_output(n, i, n->in[i]->dtype, 4, n->in[i]->dim);
    if (a->bias_grad)
        sqa_set_output(n, DBIAS, n->in[BIAS]->dtype, 4, n->in[BIAS]->dim);
    return SQA_OK;
}

/* Keys that are not valid get zeros. */
static void clear_rows(void *x, int64_t width, int64_t stride, int64_t first, int64_t end, size_t size)
{
    for (int64_t i = first; i < end; i++)
        memset(sqa_at(x, i * stride, size), 0, (size_t)width * size);
}

/* end: of the pairs that follow on this thread */
static void bwd_pair(const struct job *j, int64_t pair, int64_t end, void *dbias, int thread)
{
    struct sqa_tensor *const *out = j->node->out, *const *in = j->node->in;
    const struct sqa_tensor *dout = in[DOUT];
    const int64_t rows = block_rows(j->node, in[K]->dim[1], pair / j->heads % j->blocks);
    struct sqa_attention_bwd f = {
        .f = pair_of(j, pair),
        .dout = pair_at(j, dout, pair),
        .dq = pair_at(j, out[DQ], pair),
        .dk = pair_at(j, out[DK], pair),
        .dv = pair_at(j, out[DV], pair),
        .do_stride = row_stride(j, dout),
        .dq_stride = row_stride(j, out[DQ]),
        .dk_stride = row_stride(j, out[DK]),
        .dv_stride = row_stride(j, out[DV]),
        .dbias = dbias,
        .dbias_stride = in[K]->dim[1],
        .dbias_add = 1,
    };

    if (in[DLSE] != NULL)
        f.dlse = sqa_at(sqa_data(in[DLSE]), (const unsigned char *)f.f.lse - (unsigned char *)sqa_data(j->lse), 1);

    hint(j, &f.f, pair + 1, end);
    j->k->attention_bwd(&f, j->workspace + (size_t)thread * j->workspace_size);
    clear_rows(f.dk, f.f.d, f.dk_stride, f.f.keys, rows, j->k->size);
    clear_rows(f.dv, f.f.dv, f.dv_stride, f.f.keys, rows, j->k->size);
}

static void bwd_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    for (int64_t i = first; i < first + count; i++)
        bwd_pair(ctx, i, first + count, NULL, thread);
}

/* Every matrix of dbias with the pairs that share it, in their order. */
static void bwd_bias(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_tensor *dbias = j->node->out[DBIAS];
    const int64_t batch = j->node->in[Q]->dim[0], rows = dbias->dim[0], columns = dbias->dim[1];
    const int64_t matrix = dbias->dim[2] * dbias->dim[3];

    for (int64_t i = first; i < first + count; i++) {
        void *to = sqa_at(sqa_data(dbias), i * matrix, j->k->size);

        memset(to, 0, (size_t)matrix * j->k->size);
        for (int64_t b = rows > 1 ? i / columns : 0; b < (rows > 1 ? i / columns + 1 : batch); b++)
            for (int64_t h = columns > 1 ? i % columns : 0; h < (columns > 1 ? i % columns + 1 : j->heads); h++)
                bwd_pair(j, pair_number(j, b, 0, h), 0, to, thread);
    }
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    struct job j = job_of(n, r);

    if (a->bias_grad)
        sqa_chunks(r, n->out[DBIAS]->dim[0] * n->out[DBIAS]->dim[1], 1, bwd_flops(n), bwd_bias, &j);
    else
        sqa_chunks(r, n->in[Q]->dim[0] * j.blocks * j.heads, 1, bwd_flops(n), bwd_pairs, &j);
}

const struct sqa_op sqa_op_attention_bwd = {
    .name = "attention_bwd",
    .help = "gradients of q, k, v and bias of attention",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << BIAS | 1 << DOUT,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct attr a = *(const struct attr *)n->attr;
    struct sqa_tensor *in[DLSE + 1], *d;

    memcpy(in, n->in, O * sizeof *in);
    in[O] = n->out[0];
    in[LSE] = n->out[1];
    in[DOUT] = dy[0] != NULL ? sqa_dense_rows(g, dy[0]) : sqa_fill(g, 0, in[O]->rank, in[O]->dim);
    in[DLSE] = dy[1];
    a.path = n->path_hash;
    a.bias_grad = n->in[BIAS] != NULL && n->in[BIAS]->needs_grad;
    d = sqa_apply(g, &sqa_op_attention_bwd, &a, sizeof a, DLSE + 1, in);
    for (int i = DQ; i <= DV && d != NULL; i++)
        dx[i] = d->node->out[i];
    if (d != NULL && a.bias_grad)
        dx[BIAS] = d->node->out[DBIAS];
}

const struct sqa_op sqa_op_attention = {
    .name = "attention",
    .help = "o = softmax(scale q k^T + bias, masked) v of each head",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << BIAS,
};

struct sqa_tensor *sqa_attention_masked(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                        struct sqa_tensor *v, struct sqa_attention_masks m,
                                        struct sqa_attention_spec spec)
{
    const struct attr a = {.spec = spec, .dropped = g->training && spec.dropout > 0};
    struct sqa_tensor *in[] = {q, k, v, m.lengths, m.bias, m.start, m.key};

    if (!sqa_ready(g, "attention", 3, in))
        return NULL;
    if (!(spec.dropout >= 0 && spec.dropout < 1))
        return sqa_graph_fail(g, SQA_SHAPE, "attention: dropout is %g; give a number from 0 to below 1",
                              spec.dropout);
    for (int i = Q; i <= V; i++)
        in[i] = sqa_dense_rows(g, in[i]);
    in[BIAS] = sqa_dense_rows(g, in[BIAS]);
    return sqa_apply(g, &sqa_op_attention, &a, sizeof a, O, in);
}

struct sqa_tensor *sqa_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                 struct sqa_tensor *v, struct sqa_tensor *lengths, struct sqa_attention_spec spec)
{
    return sqa_attention_masked(g, q, k, v, (struct sqa_attention_masks){.lengths = lengths}, spec);
}
