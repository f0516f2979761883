/*
 * delta_rule.c - see delta_rule.h
 *
 * Gradients. R_t = dL/dS_t. With du_t = R_t^T k_t and w_t = -beta_t du_t,
 *     R_(t-1) = R_t + k_t w_t^T + q_(t-1) dy_(t-1)^T,   dv_t = -w_t,   dbeta_t = du_t . e_t
 * which is the delta rule from the end with the values 0 and q dy^T added before each step. Then
 *     dq_t = S_t dy_t,   dk_t = R_t u_t + S_(t-1) w_t = (R_t + k_t w_t^T) u_t + S_t w_t - 2 (u_t . w_t) k_t
 * are readings of sums of outer products: S of k u^T, R + k w^T of q dy^T and k w^T.
 */
#include "models/delta_rule.h"

#include "engine/ops/support.h"

enum { Q, K, V, BETA, LENGTHS, E, DY, FORWARD_INPUTS = E, BACKWARD_INPUTS = DY + 1 };

struct attr {
    int64_t chunk;
    int reverse;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *k = n->in[K], *v = n->in[V], *beta = n->in[BETA];
    char a[96], b[96], c[96];

    if (q->rank != 4 || v->rank != 4 || !sqa_same_shape(q, k) || q->dim[0] != v->dim[0] || q->dim[1] != v->dim[1] ||
        q->dim[2] != v->dim[2] || !sqa_is_real(q) || k->dtype != q->dtype || v->dtype != q->dtype ||
        beta->dtype != q->dtype)
        return sqa_shape_fail(n, err, "q %s, k %s, v %s; give q and k (B, L, H, d) and v (B, L, H, dv)",
                              sqa_shape_text(q, a), sqa_shape_text(k, b), sqa_shape_text(v, c));
    if (beta->rank != 3 || beta->dim[0] != q->dim[0] || beta->dim[1] != q->dim[1] || beta->dim[2] != q->dim[2])
        return sqa_shape_fail(n, err, "beta %s, q %s; give beta (B, L, H)", sqa_shape_text(beta, a),
                              sqa_shape_text(q, b));
    if (n->nin <= E) {
        sqa_set_output(n, 0, q->dtype, 4, v->dim);
        sqa_set_output(n, 1, q->dtype, SQA_DIMS(q->dim[0], q->dim[2], q->dim[1], v->dim[3]));
    } else {
        for (int i = Q; i <= BETA; i++)
            sqa_set_output(n, i, q->dtype, n->in[i]->rank, n->in[i]->dim);
    }
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, q->dim[0], err);
}

/* Workspace of a thread: a state; backward beta of all times, u and w of all times, and a row of dv. */
struct job {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    int64_t length, d, dv, chunk;
    int reverse;
    size_t state_bytes, thread_bytes;
    unsigned char *workspace;
};

struct places {
    unsigned char *state, *beta, *u, *w, *row;
};

static struct places places_of(const struct job *j, unsigned char *base, size_t *bytes)
{
    const size_t values = (size_t)(j->length * j->dv) * j->k->size;
    struct places p = {.state = sqa_take(base, bytes, j->state_bytes)};

    if (j->n->nin <= E)
        return p;
    p.beta = sqa_take(base, bytes, (size_t)j->length * j->k->size);
    p.u = sqa_take(base, bytes, values);
    p.w = sqa_take(base, bytes, values);
    p.row = sqa_take(base, bytes, (size_t)j->dv * j->k->size);
    return p;
}

static struct job job_of(const struct sqa_node *n, void *workspace)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *q = n->in[Q];
    struct job j = {.n = n,
                    .k = sqa_kernels_of(q->dtype),
                    .length = q->dim[1],
                    .d = q->dim[3],
                    .dv = n->in[V]->dim[3],
                    .chunk = a->chunk,
                    .reverse = a->reverse,
                    .workspace = workspace};

    j.state_bytes = (size_t)(j.d * j.dv) * j.k->size;
    (void)places_of(&j, NULL, &j.thread_bytes);
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
    struct places to;
};

static void *row(const struct pair *p, const struct sqa_tensor *x, int64_t time)
{
    return sqa_head_row(x, p->at, p->j->reverse ? p->valid - 1 - time : time, p->j->k->size);
}

static int64_t stride(const struct pair *p, const struct sqa_tensor *x)
{
    return p->j->reverse ? -x->stride[1] : x->stride[1];
}

/* beta (B, L, H) of a time, or its gradient */
static void *beta_at(const struct pair *p, const struct sqa_tensor *x, int64_t time)
{
    const int64_t heads = x->dim[2], t = p->j->reverse ? p->valid - 1 - time : time;

    return sqa_at(sqa_data(x), p->at / heads * x->stride[0] + t * x->stride[1] + p->at % heads * x->stride[2],
                  p->j->k->size);
}

/* Row `time` of e (B, H, L, dv): in the order of times. */
static void *kept(const struct pair *p, const struct sqa_tensor *e, int64_t time)
{
    return sqa_at(sqa_data(e), (p->at * p->j->length + time) * p->j->dv, p->j->k->size);
}

static void *at(const struct pair *p, unsigned char *base, int64_t time)
{
    return sqa_at(base, time * p->j->dv, p->j->k->size);
}

static void clear_state(const struct pair *p)
{
    memset(p->to.state, 0, p->j->state_bytes);
}

static void clear_padding(const struct pair *p, const struct sqa_tensor *x)
{
    const struct job *j = p->j;

    for (int64_t t = p->valid; t < j->length; t++)
        memset(sqa_head_row(x, p->at, t, j->k->size), 0, (size_t)x->dim[3] * j->k->size);
}

static void forward(const struct pair *p)
{
    const struct job *j = p->j;
    struct sqa_tensor *const *in = j->n->in, *const *out = j->n->out;

    clear_state(p);
    for (int64_t t = 0; t < p->valid; t += j->chunk)
        j->k->delta_scan(&(struct sqa_delta_scan){.n = sqa_min64(j->chunk, p->valid - t),
                                                  .rows = j->d,
                                                  .columns = j->dv,
                                                  .k = row(p, in[K], t),
                                                  .v = row(p, in[V], t),
                                                  .beta = beta_at(p, in[BETA], t),
                                                  .q = row(p, in[Q], t),
                                                  .k_stride = stride(p, in[K]),
                                                  .v_stride = stride(p, in[V]),
                                                  .beta_stride = stride(p, in[BETA]),
                                                  .q_stride = stride(p, in[Q]),
                                                  .e = kept(p, out[1], t),
                                                  .y = row(p, out[0], t),
                                                  .state = p->to.state,
                                                  .e_stride = j->dv,
                                                  .y_stride = stride(p, out[0])});
    clear_padding(p, out[0]);
}

/* -du of all times, at w */
static void values_gradient(const struct pair *p)
{
    const struct job *j = p->j;
    struct sqa_tensor *const *in = j->n->in;

    clear_state(p);
    for (int64_t left = p->valid; left > 0; left -= sqa_min64(j->chunk, left))
        j->k->delta_scan(&(struct sqa_delta_scan){.n = sqa_min64(j->chunk, left),
                                                  .rows = j->d,
                                                  .columns = j->dv,
                                                  .x = row(p, in[Q], left - 1),
                                                  .z = row(p, in[DY], left - 1),
                                                  .k = row(p, in[K], left - 1),
                                                  .beta = beta_at(p, in[BETA], left - 1),
                                                  .x_stride = -stride(p, in[Q]),
                                                  .z_stride = -stride(p, in[DY]),
                                                  .k_stride = -stride(p, in[K]),
                                                  .beta_stride = -stride(p, in[BETA]),
                                                  .e = at(p, p->to.w, left - 1),
                                                  .state = p->to.state,
                                                  .e_stride = -j->dv});
}

/* dbeta and dv; u and w */
static void step_gradients(const struct pair *p)
{
    const struct job *j = p->j;
    const struct sqa_kernels *k = j->k;
    struct sqa_tensor *const *in = j->n->in, *const *out = j->n->out;
    const enum sqa_dtype type = in[Q]->dtype;
    const size_t dv = (size_t)j->dv;

    for (int64_t t = 0; t < p->valid; t++) {
        const double beta = sqa_real_get(type, beta_at(p, in[BETA], t));
        void *const w = at(p, p->to.w, t);

        k->binary(SQA_BINARY_MUL, w, kept(p, in[E], t), p->to.row, dv);
        sqa_real_set(type, beta_at(p, out[BETA], t), -k->sum(p->to.row, dv));
        k->affine(beta, w, 0, w, dv);
        k->affine(-1, w, 0, row(p, out[V], t), dv);
        k->affine(beta, kept(p, in[E], t), 0, at(p, p->to.u, t), dv);
    }
}

/* dq = S dy and dk = S w, forward in time; then dk += (R + k w^T) u, back */
static void key_scans(const struct pair *p)
{
    const struct job *j = p->j;
    struct sqa_tensor *const *in = j->n->in, *const *out = j->n->out;

    clear_state(p);
    for (int64_t t = 0; t < p->valid; t += j->chunk)
        j->k->matrix_scan(&(struct sqa_matrix_scan){.n = sqa_min64(j->chunk, p->valid - t),
                                                    .rows = j->dv,
                                                    .columns = j->d,
                                                    .x = at(p, p->to.u, t),
                                                    .z = row(p, in[K], t),
                                                    .r = row(p, in[DY], t),
                                                    .r2 = at(p, p->to.w, t),
                                                    .y = row(p, out[Q], t),
                                                    .y2 = row(p, out[K], t),
                                                    .state = p->to.state,
                                                    .x_stride = j->dv,
                                                    .z_stride = stride(p, in[K]),
                                                    .r_stride = stride(p, in[DY]),
                                                    .r2_stride = j->dv,
                                                    .y_stride = stride(p, out[Q]),
                                                    .y2_stride = stride(p, out[K])});
    clear_state(p);
    for (int64_t left = p->valid; left > 0; left -= sqa_min64(j->chunk, left))
        j->k->matrix_scan(&(struct sqa_matrix_scan){.n = sqa_min64(j->chunk, left),
                                                    .rows = j->dv,
                                                    .columns = j->d,
                                                    .accumulate = 1,
                                                    .x = row(p, in[DY], left - 1),
                                                    .z = row(p, in[Q], left - 1),
                                                    .x2 = at(p, p->to.w, left - 1),
                                                    .z2 = row(p, in[K], left - 1),
                                                    .r = at(p, p->to.u, left - 1),
                                                    .y = row(p, out[K], left - 1),
                                                    .state = p->to.state,
                                                    .x_stride = -stride(p, in[DY]),
                                                    .z_stride = -stride(p, in[Q]),
                                                    .x2_stride = -j->dv,
                                                    .z2_stride = -stride(p, in[K]),
                                                    .r_stride = -j->dv,
                                                    .y_stride = -stride(p, out[K])});
}

static void backward(const struct pair *p)
{
    const struct job *j = p->j;
    const struct sqa_kernels *k = j->k;
    struct sqa_tensor *const *in = j->n->in, *const *out = j->n->out;

    values_gradient(p);
    step_gradients(p);
    key_scans(p);
    for (int64_t t = 0; t < p->valid; t++) {
        k->binary(SQA_BINARY_MUL, at(p, p->to.u, t), at(p, p->to.w, t), p->to.row, (size_t)j->dv);
        k->axpy(-2 * k->sum(p->to.row, (size_t)j->dv), row(p, in[K], t), row(p, out[K], t), (size_t)j->d);
    }
    for (int i = Q; i <= V; i++)
        clear_padding(p, out[i]);
    for (int64_t t = p->valid; t < j->length; t++)
        sqa_real_set(in[Q]->dtype,
                     sqa_at(sqa_data(out[BETA]),
                            (p->at / in[Q]->dim[2] * j->length + t) * in[Q]->dim[2] + p->at % in[Q]->dim[2], k->size),
                     0);
}

static void run_pairs(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t i = first; i < first + count; i++) {
        size_t bytes = 0;
        const struct pair p = {j, i, sqa_length_at(j->n->in[LENGTHS], i / j->n->in[Q]->dim[2], j->length),
                               places_of(j, j->workspace + (size_t)thread * j->thread_bytes, &bytes)};

        if (j->n->nin <= E)
            forward(&p);
        else
            backward(&p);
    }
}

double sqa_delta_rule_flops(int64_t batch, int64_t length, int64_t heads, int64_t d, int64_t dv)
{
    return (double)(batch * length * heads) * (6 * (double)d + 2) * (double)dv;
}

static double flops(const struct sqa_node *n)
{
    const int64_t *q = n->in[Q]->dim;

    return sqa_delta_rule_flops(q[0], q[1], q[2], q[3], n->in[V]->dim[3]);
}

/* The rule from the end, 6 d dv; two scans with 6 d dv each; dbeta 2 dv, w, dv and u 1 each, u . w 2; 2 d */
static double bwd_flops(const struct sqa_node *n)
{
    const int64_t *q = n->in[Q]->dim;
    const double d = (double)q[3], dv = (double)n->in[V]->dim[3];

    return (double)(q[0] * q[1] * q[2]) * (18 * d * dv + 9 * dv + 2 * d);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = job_of(n, r->workspace);

    sqa_chunks(r, n->in[Q]->dim[0] * n->in[Q]->dim[2], 1, n->nin <= E ? flops(n) : bwd_flops(n), run_pairs, &j);
}

static const struct sqa_op op_backward = {
    .name = "delta_rule_bwd",
    .help = "gradients of q, k, v and beta of delta_rule",
    .shape = shape,
    .run = run,
    .flops = bwd_flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << BETA | 1 << DY,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[BACKWARD_INPUTS] = {[E] = n->out[1], [DY] = sqa_dense_rows(g, dy[0])};
    struct sqa_tensor *t;

    if (dy[0] == NULL || dy[1] != NULL) {
        (void)sqa_graph_fail(g, SQA_UNSUPPORTED, "delta_rule at %s: only y has a derivative; use y", n->path);
        return;
    }
    memcpy(in, n->in, FORWARD_INPUTS * sizeof in[0]);
    t = sqa_apply(g, &op_backward, n->attr, sizeof(struct attr), BACKWARD_INPUTS, in);
    for (int i = Q; t != NULL && i <= BETA; i++)
        dx[i] = t->node->out[i];
}

static const struct sqa_op op_forward = {
    .name = "delta_rule",
    .help = "e_t = v_t - S^T k_t, S += beta_t k_t e_t^T, y_t = S^T q_t, for each head",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 1 << Q | 1 << K | 1 << V | 1 << BETA,
    .tolerance = 1e-4,
};

struct sqa_tensor *sqa_delta_rule(struct sqa_graph *g, struct sqa_delta_inputs in, int64_t chunk, bool reverse)
{
    const struct attr a = {chunk, reverse};
    struct sqa_tensor *all[FORWARD_INPUTS] = {in.q, in.k, in.v, in.beta, in.lengths};

    if (!sqa_ready(g, "delta_rule", LENGTHS, all))
        return NULL;
    for (int i = Q; i <= V; i++)
        all[i] = sqa_dense_rows(g, all[i]);
    return sqa_apply(g, &op_forward, &a, sizeof a, FORWARD_INPUTS, all);
}
