/* decayed_attention.c - see decayed_attention.h */
#include "models/decayed_attention.h"

#include "engine/ops/support.h"

enum { Q, K, V, DECAY, LOG, LENGTHS, DY, FORWARD_INPUTS = DY, BACKWARD_INPUTS = DY + 1 };

struct attr {
    int64_t chunk;
    int reverse, gated; /* gated: a decay for each channel; LOG is there for its gradient only, and not read */
};

static bool gated(const struct sqa_node *n)
{
    const struct attr *p = n->attr;

    return p->gated;
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *k = n->in[K], *v = n->in[V], *decay = n->in[DECAY];
    char a[96], b[96], c[96];

    if (q->rank != 4 || v->rank != 4 || !sqa_same_shape(q, k) || q->dim[0] != v->dim[0] || q->dim[1] != v->dim[1] ||
        q->dim[2] != v->dim[2] || !sqa_is_real(q) || k->dtype != q->dtype || v->dtype != q->dtype ||
        decay->dtype != q->dtype)
        return sqa_shape_fail(n, err, "q %s, k %s, v %s; give q and k (B, L, H, d) and v (B, L, H, dv)",
                              sqa_shape_text(q, a), sqa_shape_text(k, b), sqa_shape_text(v, c));
    if (gated(n) ? !sqa_same_shape(decay, q) : sqa_numel(decay) != q->dim[2])
        return sqa_shape_fail(n, err, "decay %s, q %s; give one for each head, or logarithms of q's shape",
                              sqa_shape_text(decay, a), sqa_shape_text(q, b));
    if (n->nin <= DY) {
        sqa_set_output(n, 0, q->dtype, 4, v->dim);
    } else {
        for (int i = Q; i <= V; i++)
            sqa_set_output(n, i, q->dtype, 4, n->in[i]->dim);
        if (gated(n))
            sqa_set_output(n, 3, q->dtype, 4, q->dim);
    }
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, q->dim[0], err);
}

/* Workspace of a thread: a state; backward two rows of numbers for each position and channel of q, for d(log a). */
struct job {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    int64_t length, d, dv, chunk;
    int reverse;
    size_t state_bytes, sum_bytes, thread_bytes;
    unsigned char *workspace;
};

static struct job job_of(const struct sqa_node *n, void *workspace)
{
    const struct attr *p = n->attr;
    const struct sqa_tensor *q = n->in[Q];
    struct job j = {.n = n,
                    .k = sqa_kernels_of(q->dtype),
                    .length = q->dim[1],
                    .d = q->dim[3],
                    .dv = n->in[V]->dim[3],
                    .chunk = p->chunk,
                    .reverse = p->reverse,
                    .workspace = workspace};

    j.state_bytes = sqa_align64((size_t)(j.d * j.dv) * j.k->size);
    j.sum_bytes = n->nin > DY && gated(n) ? sqa_align64((size_t)(j.length * j.d) * j.k->size) : 0;
    j.thread_bytes = j.state_bytes + 2 * j.sum_bytes;
    return j;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * job_of(n, NULL).thread_bytes;
}

/* One head of one sequence of `valid` positions; its times 0, 1, ... go from the last position when reverse. */
struct pair {
    const struct job *j;
    int64_t at, valid;
    unsigned char *state;
};

static void *row(const struct pair *p, const struct sqa_tensor *x, int64_t time)
{
    return sqa_head_row(x, p->at, p->j->reverse ? p->valid - 1 - time : time, p->j->k->size);
}

static int64_t stride(const struct pair *p, const struct sqa_tensor *x)
{
    return p->j->reverse ? -x->stride[1] : x->stride[1];
}

/* y_t = M^T r_t of M = a M + x_t z_t^T; the rows of M belong to x and r, its columns to z and y. */
struct scan {
    const struct sqa_tensor *x, *z, *r, *y;
    enum sqa_decay kind; /* of decays for each channel: ROWS or COLUMNS */
};

/* Times first to first + count - 1, or, back, from first down; the decay is that of time `decay`, or none (-1). */
static void scan_part(const struct pair *p, const struct scan *s, int64_t first, int64_t count, int64_t decay,
                      bool back)
{
    const struct job *j = p->j;
    const struct sqa_tensor *a = j->n->in[DECAY];
    const int64_t sign = back ? -1 : 1;
    struct sqa_matrix_scan m = {
        .n = count,
        .rows = s->x->dim[3],
        .columns = s->z->dim[3],
        .x = row(p, s->x, first),
        .z = row(p, s->z, first),
        .r = row(p, s->r, first),
        .y = row(p, s->y, first),
        .x_stride = sign * stride(p, s->x),
        .z_stride = sign * stride(p, s->z),
        .r_stride = sign * stride(p, s->r),
        .y_stride = sign * stride(p, s->y),
        .state = p->state,
    };

    if (decay >= 0 && gated(j->n)) {
        m.kind = s->kind;
        m.decay = row(p, a, decay);
        m.decay_stride = sign * stride(p, a);
    } else if (decay >= 0) {
        m.kind = SQA_DECAY_ONE;
        m.decay = sqa_at(sqa_data(a), p->at % j->n->in[Q]->dim[2], j->k->size);
    }
    j->k->matrix_scan(&m);
}

static void clear_state(const struct pair *p)
{
    memset(p->state, 0, p->j->state_bytes);
}

static void scan_forth(const struct pair *p, const struct scan *s)
{
    clear_state(p);
    for (int64_t t = 0; t < p->valid; t += p->j->chunk)
        scan_part(p, s, t, sqa_min64(p->j->chunk, p->valid - t), t, false);
}

/* At time t the state fades by the decay of t + 1; the last time, with a state of 0, has none. */
static void scan_back(const struct pair *p, const struct scan *s)
{
    clear_state(p);
    if (p->valid > 0)
        scan_part(p, s, p->valid - 1, 1, -1, true);
    for (int64_t left = p->valid - 1; left > 0; left -= sqa_min64(p->j->chunk, left))
        scan_part(p, s, left - 1, sqa_min64(p->j->chunk, left), left, true);
}

static void clear_padding(const struct pair *p, const struct sqa_tensor *x)
{
    const struct job *j = p->j;

    for (int64_t t = p->valid; t < j->length; t++)
        memset(sqa_head_row(x, p->at, t, j->k->size), 0, (size_t)x->dim[3] * j->k->size);
}

/* d(log a)_t = sum over s >= t of q dq - k dk */
static void decay_gradient(const struct pair *p)
{
    const struct job *j = p->j;
    const struct sqa_kernels *k = j->k;
    struct sqa_tensor *const *in = j->n->in, *const *out = j->n->out;
    unsigned char *const plus = p->state + j->state_bytes, *const minus = plus + j->sum_bytes;
    const size_t d = (size_t)j->d;

    if (p->valid == 0)
        return;
    for (int64_t t = 0; t < p->valid; t++) {
        k->binary(SQA_BINARY_MUL, row(p, in[Q], t), row(p, out[Q], t), sqa_at(plus, t * j->d, k->size), d);
        k->binary(SQA_BINARY_MUL, row(p, in[K], t), row(p, out[K], t), sqa_at(minus, t * j->d, k->size), d);
    }
    k->binary(SQA_BINARY_SUB, plus, minus, plus, (size_t)p->valid * d);
    k->affine(0, plus, 1, minus, d);
    k->scan(&(struct sqa_scan){.n = p->valid,
                               .m = j->d,
                               .a = minus,
                               .x = sqa_at(plus, (p->valid - 1) * j->d, k->size),
                               .y = row(p, out[3], p->valid - 1),
                               .x_stride = -j->d,
                               .y_stride = -stride(p, out[3])});
}

static void run_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    struct sqa_tensor *const *in = j->n->in, *const *out = j->n->out;

    for (int64_t i = first; i < first + count; i++) {
        const struct pair p = {j, i, sqa_length_at(in[LENGTHS], i / in[Q]->dim[2], j->length),
                               j->workspace + (size_t)thread * j->thread_bytes};

        if (j->n->nin <= DY) {
            scan_forth(&p, &(struct scan){in[K], in[V], in[Q], out[0], SQA_DECAY_ROWS});
            clear_padding(&p, out[0]);
            continue;
        }
        scan_forth(&p, &(struct scan){in[V], in[K], in[DY], out[Q], SQA_DECAY_COLUMNS});
        scan_back(&p, &(struct scan){in[DY], in[Q], in[V], out[K], SQA_DECAY_COLUMNS});
        scan_back(&p, &(struct scan){in[Q], in[DY], in[K], out[V], SQA_DECAY_ROWS});
        if (gated(j->n))
            decay_gradient(&p);
        for (int k = 0; k < j->n->nout; k++)
            clear_padding(&p, out[k]);
    }
}

/* Of a number of S: fade 1, add 2, read 2 */
static double flops(const struct sqa_node *n)
{
    const struct sqa_tensor *q = n->in[Q];

    return 5 * (double)sqa_numel(q) * (double)n->in[V]->dim[3];
}

static double bwd_flops(const struct sqa_node *n)
{
    return 3 * flops(n) + (gated(n) ? 4 : 0) * (double)sqa_numel(n->in[Q]);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace);

    sqa_chunks(r, n->in[Q]->dim[0] * n->in[Q]->dim[2], 1, n->nin <= DY ? flops(n) : bwd_flops(n), run_pairs, &j);
}

static const struct sqa_op op_backward = {
    .name = "decayed_attention_bwd",
    .help = "gradients of decayed_attention",
    .shape = shape,
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

    memcpy(in, n->in, FORWARD_INPUTS * sizeof in[0]);
    in[LOG] = NULL;
    t = sqa_apply(g, &op_backward, n->attr, sizeof(struct attr), BACKWARD_INPUTS, in);
    for (int i = Q; t != NULL && i <= V; i++)
        dx[i] = t->node->out[i];
    if (t != NULL && gated(n))
        dx[LOG] = t->node->out[3];
}

static const struct sqa_op op_forward = {
    .name = "decayed_attention",
    .help = "S_t = diag(a_t) S_(t-1) + k_t v_t^T, y_t = S_t^T q_t, for each head",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << LOG,
    .tolerance = 1e-4,
};

struct sqa_tensor *sqa_decayed_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                         struct sqa_tensor *v, struct sqa_tensor *head, struct sqa_tensor *log,
                                         struct sqa_tensor *lengths, struct sqa_decay_spec spec)
{
    const struct attr forth = {spec.chunk, 0, log != NULL}, back = {spec.chunk, 1, log != NULL};
    struct sqa_tensor *in[FORWARD_INPUTS] = {q, k, v, head, log, lengths}, *y, *self;

    if (log != NULL)
        in[DECAY] = sqa_unary(g, SQA_UNARY_EXP, log);
    if (!sqa_ready(g, "decayed_attention", LOG, in))
        return NULL;
    for (int i = Q; i <= DECAY; i++)
        in[i] = sqa_dense_rows(g, in[i]);
    y = sqa_apply(g, &op_forward, &forth, sizeof forth, FORWARD_INPUTS, in);
    if (spec.causal)
        return y;
    y = sqa_add(g, y, sqa_apply(g, &op_forward, &back, sizeof back, FORWARD_INPUTS, in));
    self = sqa_mul(g, sqa_sum(g, sqa_mul(g, q, k), 1U << 3, true), v);
    return sqa_sub(g, y, self);
}

double sqa_decayed_attention_flops(struct sqa_decayed_shape s, bool causal)
{
    const double rows = (double)(s.batch * s.length * s.heads), d = (double)s.d, dv = (double)s.dv;
    const double scan = 5 * d * dv, exponentials = s.gated ? d : 0;

    return rows * (exponentials + (causal ? scan : 2 * scan + dv + 2 * d + 2 * dv));
}
