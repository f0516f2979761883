/* causal_linear.c - see causal_linear.h */
#include "models/causal_linear.h"

#include "engine/ops/support.h"

/* Sizes of a node, and of its chunks. */
struct shape {
    int64_t batch, length, heads, m, dv, chunk;
};

static struct shape shape_of(const struct sqa_node *n)
{
    const struct sqa_tensor *q = n->in[0], *v = n->in[2];
    const int64_t *chunk = n->attr;

    return (struct shape){q->dim[0], q->dim[1], q->dim[2],
                          q->dim[3], v->dim[3], sqa_max64(1, sqa_min64(*chunk, q->dim[1]))};
}

/* Sum over chunks of size^2, the rows after the first chunk, and the rows before the last. */
struct counts {
    double squares, after_first, before_last;
};

static struct counts counts_of(const struct shape *s)
{
    const int64_t full = s->length / s->chunk, rest = s->length % s->chunk;
    const int64_t last = rest != 0 ? rest : sqa_min64(s->chunk, s->length);

    return (struct counts){(double)(full * s->chunk * s->chunk + rest * rest),
                           (double)(s->length - sqa_min64(s->chunk, s->length)), (double)(s->length - last)};
}

/* Q K^T, its row sums and A V in chunks; Q S and Q z after the first; K^T V and the sum of K before the last. */
static double forward_flops(const struct shape *s)
{
    const struct counts c = counts_of(s);
    const double m = (double)s->m, dv = (double)s->dv;

    return (double)(s->batch * s->heads) *
           (c.squares * (2 * m + 1 + 2 * dv) + c.after_first * (2 * m * dv + 2 * m + dv + 1) +
            c.before_last * (2 * m * dv + m));
}

/* A, dA + g, dA K, A^T G, dA^T Q in chunks; G S^T + g z^T, K R, V R^T + r between them, and the two states. */
static double backward_flops(const struct sqa_node *n)
{
    const struct shape s = shape_of(n);
    const struct counts c = counts_of(&s);
    const double m = (double)s.m, dv = (double)s.dv;

    return (double)(s.batch * s.heads) * (c.squares * (6 * m + 4 * dv + 1) + c.after_first * (4 * m * dv + 4 * m) +
                                          c.before_last * (6 * m * dv + 2 * m + dv));
}

/* One (batch, head): first rows and the distances between rows. */
struct pair {
    const struct sqa_kernels *k;
    struct shape s;
    const unsigned char *q, *key, *v, *dnum, *dden;
    unsigned char *num, *den, *dq, *dk, *dv;
    int64_t m_row, v_row, d_row;          /* elements between rows of width m, dv and 1 */
    unsigned char *a, *da, *state, *sums; /* (chunk, chunk) twice, (m, dv), (m) */
};

/* a = x y^T over a chunk's rows of width w. */
static void products(const struct pair *p, const unsigned char *x, const unsigned char *y, int64_t w, int64_t row,
                     int64_t t, int64_t c, unsigned char *a)
{
    const size_t size = p->k->size;

    p->k->gemm(0, 1, c, c, w, 1.0, sqa_at_const(x, t * row, size), row, sqa_at_const(y, t * row, size), row, 0.0, a,
               c);
}

static void lower_triangle(const struct pair *p, int64_t c, unsigned char *a)
{
    for (int64_t i = 0; i + 1 < c; i++)
        memset(sqa_at(a, i * c + i + 1, p->k->size), 0, (size_t)(c - 1 - i) * p->k->size);
}

/* S += K^T V, z += sum K for the chunk at t. */
static void add_state(const struct pair *p, int64_t t, int64_t c)
{
    const size_t size = p->k->size;
    const void *key = sqa_at_const(p->key, t * p->m_row, size);

    p->k->gemm(1, 0, p->s.m, p->s.dv, c, 1.0, key, p->m_row, sqa_at_const(p->v, t * p->v_row, size), p->v_row, 1.0,
               p->state, p->s.dv);
    p->k->sum_rows(key, (size_t)c, (size_t)p->s.m, (size_t)p->m_row, p->sums, 1);
}

static void clear_state(const struct pair *p)
{
    memset(p->state, 0, (size_t)(p->s.m * p->s.dv) * p->k->size);
    memset(p->sums, 0, (size_t)p->s.m * p->k->size);
}

static void forward_chunk(const struct pair *p, int64_t t, int64_t c)
{
    const struct shape *s = &p->s;
    const size_t size = p->k->size;
    const void *q = sqa_at_const(p->q, t * p->m_row, size);
    unsigned char *num = sqa_at(p->num, t * p->v_row, size), *den = sqa_at(p->den, t * p->d_row, size);
    const enum sqa_dtype real = size == sizeof(double) ? SQA_F64 : SQA_F32;

    products(p, p->q, p->key, s->m, p->m_row, t, c, p->a);
    lower_triangle(p, c, p->a);
    p->k->gemm(0, 0, c, s->dv, c, 1.0, p->a, c, sqa_at_const(p->v, t * p->v_row, size), p->v_row, 0.0, num, p->v_row);
    for (int64_t i = 0; i < c; i++)
        sqa_real_set(real, sqa_at(den, i * p->d_row, size),
                     p->k->sum(sqa_at_const(p->a, i * c, size), (size_t)(i + 1)));
    if (t > 0) {
        p->k->gemm(0, 0, c, s->dv, s->m, 1.0, q, p->m_row, p->state, s->dv, 1.0, num, p->v_row);
        p->k->gemm(0, 0, c, 1, s->m, 1.0, q, p->m_row, p->sums, 1, 1.0, den, p->d_row);
    }
    if (t + c < s->length)
        add_state(p, t, c);
}

/* da = tril(G V^T + g) */
static void weight_gradient(const struct pair *p, int64_t t, int64_t c)
{
    const size_t size = p->k->size;
    const enum sqa_dtype real = size == sizeof(double) ? SQA_F64 : SQA_F32;

    products(p, p->dnum, p->v, p->s.dv, p->v_row, t, c, p->da);
    for (int64_t i = 0; i < c; i++) {
        void *row = sqa_at(p->da, i * c, size);

        p->k->affine(1.0, row, sqa_real_get(real, sqa_at_const(p->dden, (t + i) * p->d_row, size)), row,
                     (size_t)(i + 1));
    }
    lower_triangle(p, c, p->da);
}

static void backward_q(const struct pair *p, int64_t t, int64_t c)
{
    const struct shape *s = &p->s;
    const size_t size = p->k->size;
    void *dq = sqa_at(p->dq, t * p->m_row, size);

    weight_gradient(p, t, c);
    p->k->gemm(0, 0, c, s->m, c, 1.0, p->da, c, sqa_at_const(p->key, t * p->m_row, size), p->m_row, 0.0, dq,
               p->m_row);
    if (t > 0) {
        p->k->gemm(0, 1, c, s->m, s->dv, 1.0, sqa_at_const(p->dnum, t * p->v_row, size), p->v_row, p->state, s->dv,
                   1.0, dq, p->m_row);
        p->k->gemm(0, 0, c, s->m, 1, 1.0, sqa_at_const(p->dden, t * p->d_row, size), p->d_row, p->sums, s->m, 1.0, dq,
                   p->m_row);
    }
    if (t + c < s->length)
        add_state(p, t, c);
}

/* Here the state is R = sum of q dnum^T and r = sum of dden q over later chunks. */
static void backward_kv(const struct pair *p, int64_t t, int64_t c)
{
    const struct shape *s = &p->s;
    const size_t size = p->k->size;
    const void *q = sqa_at_const(p->q, t * p->m_row, size), *g = sqa_at_const(p->dnum, t * p->v_row, size);
    void *dk = sqa_at(p->dk, t * p->m_row, size), *dv = sqa_at(p->dv, t * p->v_row, size);

    products(p, p->q, p->key, s->m, p->m_row, t, c, p->a);
    lower_triangle(p, c, p->a);
    weight_gradient(p, t, c);
    p->k->gemm(1, 0, c, s->dv, c, 1.0, p->a, c, g, p->v_row, 0.0, dv, p->v_row);
    p->k->gemm(1, 0, c, s->m, c, 1.0, p->da, c, q, p->m_row, 0.0, dk, p->m_row);
    if (t + c < s->length) {
        p->k->gemm(0, 0, c, s->dv, s->m, 1.0, sqa_at_const(p->key, t * p->m_row, size), p->m_row, p->state, s->dv,
                   1.0, dv, p->v_row);
        p->k->gemm(0, 1, c, s->m, s->dv, 1.0, sqa_at_const(p->v, t * p->v_row, size), p->v_row, p->state, s->dv, 1.0,
                   dk, p->m_row);
        for (int64_t i = 0; i < c; i++)
            p->k->axpy(1.0, p->sums, sqa_at(dk, i * p->m_row, size), (size_t)s->m);
    }
    if (t > 0) {
        p->k->gemm(1, 0, s->m, s->dv, c, 1.0, q, p->m_row, g, p->v_row, 1.0, p->state, s->dv);
        p->k->gemm(1, 0, s->m, 1, c, 1.0, q, p->m_row, sqa_at_const(p->dden, t * p->d_row, size), p->d_row, 1.0,
                   p->sums, 1);
    }
}

static size_t thread_workspace(const struct sqa_node *n)
{
    const struct shape s = shape_of(n);

    return sqa_align64((size_t)(2 * s.chunk * s.chunk + s.m * s.dv + s.m) * sqa_dtype_size(n->in[0]->dtype));
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * thread_workspace(n);
}

struct job {
    const struct sqa_node *n;
    const struct sqa_run *r;
};

static struct pair pair_of(const struct job *j, int64_t index, int thread)
{
    const struct shape s = shape_of(j->n);
    const struct sqa_kernels *k = sqa_node_kernels(j->n);
    struct pair p = {.k = k, .s = s, .m_row = s.heads * s.m, .v_row = s.heads * s.dv, .d_row = s.heads};
    const int64_t row = index / s.heads * s.length * s.heads + index % s.heads; /* in rows of one head */

    p.q = sqa_at_const(sqa_data(j->n->in[0]), row * s.m, k->size);
    p.key = sqa_at_const(sqa_data(j->n->in[1]), row * s.m, k->size);
    p.v = sqa_at_const(sqa_data(j->n->in[2]), row * s.dv, k->size);
    p.a = sqa_at(j->r->workspace, thread * (int64_t)thread_workspace(j->n), 1);
    p.da = sqa_at(p.a, s.chunk * s.chunk, k->size);
    p.state = sqa_at(p.da, s.chunk * s.chunk, k->size);
    p.sums = sqa_at(p.state, s.m * s.dv, k->size);
    if (j->n->nin == 3) {
        p.num = sqa_at(sqa_data(j->n->out[0]), row * s.dv, k->size);
        p.den = sqa_at(sqa_data(j->n->out[1]), row, k->size);
    } else {
        p.dnum = sqa_at_const(sqa_data(j->n->in[3]), row * s.dv, k->size);
        p.dden = sqa_at_const(sqa_data(j->n->in[4]), row, k->size);
        p.dq = sqa_at(sqa_data(j->n->out[0]), row * s.m, k->size);
        p.dk = sqa_at(sqa_data(j->n->out[1]), row * s.m, k->size);
        p.dv = sqa_at(sqa_data(j->n->out[2]), row * s.dv, k->size);
    }
    return p;
}

static void run_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    for (int64_t i = first; i < first + count; i++) {
        const struct pair p = pair_of(ctx, i, thread);
        const int64_t chunk = p.s.chunk, length = p.s.length;

        clear_state(&p);
        for (int64_t t = 0; t < length; t += chunk) {
            if (p.num != NULL)
                forward_chunk(&p, t, sqa_min64(chunk, length - t));
            else
                backward_q(&p, t, sqa_min64(chunk, length - t));
        }
        if (p.num != NULL)
            continue;
        clear_state(&p);
        for (int64_t t = (length - 1) / chunk * chunk; t >= 0; t -= chunk)
            backward_kv(&p, t, sqa_min64(chunk, length - t));
    }
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct shape s = shape_of(n);
    struct job j = {n, r};

    if (s.length > 0)
        sqa_chunks(r, s.batch * s.heads, 1, forward_flops(&s), run_pairs, &j);
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[0], *k = n->in[1], *v = n->in[2];
    char a[96], b[96], c[96];

    if (q->rank != 4 || v->rank != 4 || !sqa_same_shape(q, k) || q->dim[0] != v->dim[0] || q->dim[1] != v->dim[1] ||
        q->dim[2] != v->dim[2] || !sqa_is_real(q) || k->dtype != q->dtype || v->dtype != q->dtype)
        return sqa_shape_fail(n, err, "q %s, k %s, v %s; give q and k (B, L, H, m) and v (B, L, H, dv)",
                              sqa_shape_text(q, a), sqa_shape_text(k, b), sqa_shape_text(v, c));
    if (n->nin == 3) {
        sqa_set_output(n, 0, q->dtype, 4, v->dim);
        sqa_set_output(n, 1, q->dtype, SQA_DIMS(q->dim[0], q->dim[1], q->dim[2], 1));
        return SQA_OK;
    }
    if (!sqa_same_shape(n->in[3], v) || sqa_numel(n->in[4]) != q->dim[0] * q->dim[1] * q->dim[2])
        return sqa_shape_fail(n, err, "gradients %s and %s do not fit v %s", sqa_shape_text(n->in[3], a),
                              sqa_shape_text(n->in[4], b), sqa_shape_text(v, c));
    sqa_set_output(n, 0, q->dtype, 4, q->dim);
    sqa_set_output(n, 1, q->dtype, 4, q->dim);
    sqa_set_output(n, 2, q->dtype, 4, v->dim);
    return SQA_OK;
}

static double op_flops(const struct sqa_node *n)
{
    const struct shape s = shape_of(n);

    return forward_flops(&s);
}

static const struct sqa_op op_backward = {
    .name = "causal_linear_bwd",
    .help = "gradients of causal_linear, states recomputed",
    .shape = shape,
    .run = run,
    .flops = backward_flops,
    .workspace = workspace,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[5] = {n->in[0], n->in[1], n->in[2], dy[0], dy[1]};
    struct sqa_tensor *t;

    for (int i = 0; i < 2; i++)
        if (in[3 + i] == NULL)
            in[3 + i] = sqa_fill(g, 0.0, 4, n->out[i]->dim);
    t = sqa_apply(g, &op_backward, n->attr, sizeof(int64_t), 5, in);
    for (int i = 0; t != NULL && i < 3; i++)
        dx[i] = t->node->out[i];
}

static const struct sqa_op op_forward = {
    .name = "causal_linear",
    .help = "num_t = sum_{s<=t} (q_t.k_s) v_s, den_t = sum_{s<=t} q_t.k_s",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = op_flops,
    .workspace = workspace,
    .tolerance = 1e-4,
};

struct sqa_tensor *sqa_causal_linear(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                     struct sqa_tensor *v, int64_t chunk, struct sqa_tensor **den)
{
    struct sqa_tensor *in[3] = {q, k, v}, *num;

    *den = NULL;
    if (!sqa_ready(g, "causal_linear", 3, in))
        return NULL;
    num = sqa_apply(g, &op_forward, &chunk, sizeof chunk, 3, in);
    if (num != NULL)
        *den = num->node->out[1];
    return num;
}

struct sqa_tensor *sqa_linear_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                        struct sqa_tensor *v, struct sqa_linear_attention spec)
{
    struct sqa_tensor *in[3] = {q, k, v}, *num, *den, *state, *sums;

    if (!sqa_ready(g, "linear_attention", 3, in))
        return NULL;
    if (spec.causal) {
        num = sqa_causal_linear(g, q, k, v, spec.chunk, &den);
        return sqa_div(g, num, sqa_affine(g, 1.0, den, spec.eps));
    }
    sums = sqa_reshape(g, sqa_sum(g, k, 1u << 1, false), SQA_DIMS(k->dim[0], k->dim[2], k->dim[3], 1));
    for (int i = 0; i < 3; i++)
        in[i] = sqa_transpose(g, in[i], 1, 2); /* (B, H, L, .) */
    state = sqa_matmul(g, in[1], in[2], true, false);
    num = sqa_matmul(g, in[0], state, false, false);
    den = sqa_matmul(g, in[0], sums, false, false);
    return sqa_transpose(g, sqa_div(g, num, sqa_affine(g, 1.0, den, spec.eps)), 1, 2);
}

double sqa_linear_attention_flops(struct sqa_linear_shape f, struct sqa_linear_attention spec)
{
    const struct shape s = {f.batch, f.length, f.heads, f.m, f.dv, sqa_max64(1, sqa_min64(spec.chunk, f.length))};
    const double rows = (double)(f.batch * f.length * f.heads), m = (double)f.m, dv = (double)f.dv;
    const double normalise = rows * (2 + dv);

    return normalise + (spec.causal ? forward_flops(&s) : rows * (4 * m * dv + 2 * m + m));
}
