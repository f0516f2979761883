/*
 * flow.c - see flow.h; a head of a row of the batch is the unit of parallel work
 *
 * Every pass over q or k is a product of its rows with a vector or with a few numbers a row. The gradient of q_i is one
 * product of four such numbers, (d in_i, 1 / I_i, d I_i, 1), with four vectors; likewise that of k_j.
 */
#include "models/flow.h"

#include "engine/ops/support.h"

enum { Q, K, LENGTHS, INVERSE, SUMS, DIN, DOUT }; /* inputs; those after LENGTHS of the gradient */
enum { IN, OUT, KEPT_INVERSE, KEPT_SUMS };        /* outputs: (B, H, 2, L) of 1 / I, 1 / O; (B, H, 4, d) */
enum { SUM_K, SUM_Q, FLOW_K, FLOW_Q, VECTORS };   /* sums, with e: of k, q, k / O, q / I */
enum { ROWS = 4 };

struct attr {
    double eps;
};

struct unit {
    const struct sqa_node *n;
    const struct sqa_kernels *k;
    double eps;
    int64_t pair, length, valid, d;
};

static struct unit unit_of(const struct sqa_node *n, int64_t pair)
{
    const struct sqa_tensor *q = n->in[Q];

    return (struct unit){.n = n,
                         .k = sqa_kernels_of(q->dtype),
                         .eps = ((const struct attr *)n->attr)->eps,
                         .pair = pair,
                         .length = q->dim[1],
                         .valid = sqa_length_at(n->in[LENGTHS], pair / q->dim[2], q->dim[1]),
                         .d = q->dim[3]};
}

static void *at(const struct unit *u, void *base, int64_t i)
{
    return sqa_at(base, i, u->k->size);
}

/* Part i of `parts` rows of `width` that a tensor has for each pair */
static void *kept(const struct unit *u, const struct sqa_tensor *t, int64_t parts, int64_t width, int64_t i)
{
    return at(u, sqa_data(t), (u->pair * parts + i) * width);
}

static void *rows_of(const struct unit *u, const struct sqa_tensor *x)
{
    return sqa_head_row(x, u->pair, 0, u->k->size);
}

/* y_t = x_t . v + more */
static void dots(const struct unit *u, const struct sqa_tensor *x, const void *v, double more, void *y)
{
    u->k->gemm(0, 0, u->valid, 1, u->d, 1, rows_of(u, x), x->stride[1], v, 1, 0, y, 1);
    if (more != 0)
        u->k->affine(1, y, more, y, (size_t)u->valid);
}

/* v = sum_t w_t x_t + more */
static void weigh(const struct unit *u, const struct sqa_tensor *x, const void *w, double more, void *v)
{
    u->k->gemm(0, 0, 1, u->d, u->valid, 1, w, u->valid, rows_of(u, x), x->stride[1], 0, v, u->d);
    u->k->affine(1, v, more, v, (size_t)u->d);
}

static void sum_of(const struct unit *u, const struct sqa_tensor *x, void *v)
{
    u->k->sum_rows(rows_of(u, x), (size_t)u->valid, (size_t)u->d, (size_t)x->stride[1], v, 0);
    u->k->affine(1, v, u->eps, v, (size_t)u->d);
}

/* flow = (x + e) . v, of which sums have e already; inverse: NULL, or 1 / flow */
static void flow_of(const struct unit *u, const struct sqa_tensor *x, const void *v, void *flow)
{
    dots(u, x, v, u->eps * u->k->sum(v, (size_t)u->d), flow);
}

static void clear(const struct unit *u, void *row)
{
    memset(at(u, row, u->valid), 0, (size_t)(u->length - u->valid) * u->k->size);
}

struct job {
    const struct sqa_node *n;
    unsigned char *workspace;
};

static void forward(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct sqa_node *n = ((const struct job *)ctx)->n;

    (void)thread;
    for (int64_t pair = first; pair < first + count; pair++) {
        const struct unit u = unit_of(n, pair);
        void *inverse[2], *v[VECTORS], *flow[2];

        for (int i = 0; i < 2; i++) {
            inverse[i] = kept(&u, n->out[KEPT_INVERSE], 2, u.length, i);
            flow[i] = kept(&u, n->out[i], 1, u.length, 0);
        }
        for (int i = 0; i < VECTORS; i++)
            v[i] = kept(&u, n->out[KEPT_SUMS], VECTORS, u.d, i);
        sum_of(&u, n->in[K], v[SUM_K]);
        sum_of(&u, n->in[Q], v[SUM_Q]);
        for (int i = 0; i < 2; i++) {
            flow_of(&u, n->in[i], v[i == Q ? SUM_K : SUM_Q], inverse[i]);
            u.k->unary(SQA_UNARY_RECIP, inverse[i], inverse[i], (size_t)u.valid);
        }
        weigh(&u, n->in[K], inverse[K], u.eps, v[FLOW_K]);
        weigh(&u, n->in[Q], inverse[Q], u.eps, v[FLOW_Q]);
        flow_of(&u, n->in[Q], v[FLOW_K], flow[IN]);
        flow_of(&u, n->in[K], v[FLOW_Q], flow[OUT]);
        for (int i = 0; i < 2; i++) {
            clear(&u, inverse[i]);
            clear(&u, flow[i]);
        }
    }
}

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *q = n->in[Q], *k = n->in[K];
    char one[96], two[96];

    if (!sqa_is_real(q) || q->rank != 4 || !sqa_same_shape(q, k) || k->dtype != q->dtype)
        return sqa_shape_fail(n, err, "q is %s, k %s; give both (B, L, H, d)", sqa_shape_text(q, one),
                              sqa_shape_text(k, two));
    for (int i = 0; i < 2; i++)
        sqa_set_output(n, i, q->dtype, 3, (const int64_t[]){q->dim[0], q->dim[2], q->dim[1]});
    sqa_set_output(n, KEPT_INVERSE, q->dtype, 4, (const int64_t[]){q->dim[0], q->dim[2], 2, q->dim[1]});
    sqa_set_output(n, KEPT_SUMS, q->dtype, 4, (const int64_t[]){q->dim[0], q->dim[2], VECTORS, q->dim[3]});
    return n->in[LENGTHS] == NULL ? SQA_OK : sqa_check_lengths(n, LENGTHS, q->dim[0], err);
}

/* Of a position of a head: four products of a row with a vector, two weighted sums, two sums; and 1 / I, 1 / O */
double sqa_flow_flops(int64_t batch, int64_t length, int64_t heads, int64_t d)
{
    return (double)(batch * length * heads) * (14 * (double)d + 6);
}

static double flops(const struct sqa_node *n)
{
    const struct sqa_tensor *q = n->in[Q];

    return sqa_flow_flops(q->dim[0], q->dim[1], q->dim[2], q->dim[3]);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = {n, NULL};

    if (sqa_numel(n->in[Q]) != 0)
        sqa_chunks(r, n->in[Q]->dim[0] * n->in[Q]->dim[2], 1, flops(n), forward, &j);
}

/* The gradient: outputs dq, dk. Workspace of a thread: of q and of k ROWS rows of L and ROWS vectors of d. */

static size_t bwd_part(const struct sqa_node *n)
{
    const struct sqa_tensor *q = n->in[Q];

    return sqa_align64((size_t)(2 * ROWS * (q->dim[1] + q->dim[3])) * sqa_dtype_size(q->dtype));
}

struct side {
    void *row[ROWS], *vector[ROWS];
};

/* Rows: d flow, inverse, d of what was inverted, 1; vectors: those the four are multiplied by */
enum { DFLOW, ONE_OVER, DBEFORE, ONES };

static struct side side_of(const struct unit *u, unsigned char *base, int i)
{
    void *rows = at(u, base, (int64_t)i * ROWS * (u->length + u->d)), *vectors = at(u, rows, ROWS * u->length);
    struct side s;

    for (int r = 0; r < ROWS; r++) {
        s.row[r] = at(u, rows, r * u->length);
        s.vector[r] = at(u, vectors, r * u->d);
    }
    return s;
}

/* Row DBEFORE = - (x . v) / flow^2 */
static void before(const struct unit *u, const struct sqa_tensor *x, const void *v, const struct side *s)
{
    const size_t n = (size_t)u->valid;

    dots(u, x, v, 0, s->row[DBEFORE]);
    for (int i = 0; i < 2; i++)
        u->k->binary(SQA_BINARY_MUL, s->row[DBEFORE], s->row[ONE_OVER], s->row[DBEFORE], n);
    u->k->unary(SQA_UNARY_NEG, s->row[DBEFORE], s->row[DBEFORE], n);
}

static void weigh_with_eps(const struct unit *u, const struct sqa_tensor *x, const void *w, void *v)
{
    weigh(u, x, w, u->eps * u->k->sum(w, (size_t)u->valid), v);
}

static void backward_unit(const struct unit *u, unsigned char *ws)
{
    const struct sqa_node *n = u->n;
    const size_t size = u->k->size, vector = (size_t)u->d * size;
    struct side s[2];

    for (int i = 0; i < 2; i++) {
        s[i] = side_of(u, ws, i);
        memcpy(s[i].row[DFLOW], kept(u, n->in[DIN + i], 1, u->length, 0), (size_t)u->valid * size);
        memcpy(s[i].row[ONE_OVER], kept(u, n->in[INVERSE], 2, u->length, i), (size_t)u->valid * size);
        u->k->affine(0, s[i].row[DFLOW], 1, s[i].row[ONES], (size_t)u->valid);
        memcpy(s[i].vector[DFLOW], kept(u, n->in[SUMS], VECTORS, u->d, i == Q ? FLOW_K : FLOW_Q), vector);
        memcpy(s[i].vector[DBEFORE], kept(u, n->in[SUMS], VECTORS, u->d, i == Q ? SUM_K : SUM_Q), vector);
    }
    for (int i = 0; i < 2; i++) /* of q: d (sum k / O), which k's side needs; and the other way */
        weigh_with_eps(u, n->in[i], s[i].row[DFLOW], s[1 - i].vector[ONE_OVER]);
    for (int i = 0; i < 2; i++) {
        before(u, n->in[i], s[i].vector[ONE_OVER], &s[i]);
        weigh_with_eps(u, n->in[i], s[i].row[DBEFORE], s[1 - i].vector[ONES]);
    }
    for (int i = 0; i < 2; i++) {
        const struct sqa_tensor *dx = n->out[i];

        u->k->gemm(1, 0, u->valid, u->d, ROWS, 1, s[i].row[0], u->length, s[i].vector[0], u->d, 0, rows_of(u, dx),
                   dx->stride[1]);
        for (int64_t t = u->valid; t < u->length; t++)
            memset(sqa_head_row(dx, u->pair, t, size), 0, vector);
    }
}

static void backward(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;

    for (int64_t pair = first; pair < first + count; pair++) {
        const struct unit u = unit_of(j->n, pair);

        backward_unit(&u, j->workspace + (size_t)thread * bwd_part(j->n));
    }
}

static enum sqa_status bwd_shape(struct sqa_node *n, struct sqa_err *err)
{
    (void)err;
    for (int i = 0; i < 2; i++)
        sqa_set_output(n, i, n->in[i]->dtype, 4, n->in[i]->dim);
    return SQA_OK;
}

static size_t bwd_workspace(const struct sqa_node *n, int threads)
{
    return (size_t)threads * bwd_part(n);
}

/* Of a position of a head: four weighted sums, two products with a vector, two of four numbers with four vectors */
static double bwd_flops(const struct sqa_node *n)
{
    const struct sqa_tensor *q = n->in[Q];

    return (double)(q->dim[0] * q->dim[1] * q->dim[2]) * (28 * (double)q->dim[3] + 10);
}

static void bwd_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = {n, r->workspace};

    if (sqa_numel(n->in[Q]) != 0)
        sqa_chunks(r, n->in[Q]->dim[0] * n->in[Q]->dim[2], 1, bwd_flops(n), backward, &j);
}

static const struct sqa_op op_backward = {
    .name = "flow_bwd",
    .help = "gradients of q and k of flow",
    .shape = bwd_shape,
    .run = bwd_run,
    .flops = bwd_flops,
    .workspace = bwd_workspace,
    .strided = 1 << Q | 1 << K,
    .tolerance = 1e-4,
};

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[] = {n->in[Q],  n->in[K], n->in[LENGTHS], n->out[KEPT_INVERSE], n->out[KEPT_SUMS],
                               dy[IN], dy[OUT]};
    struct sqa_tensor *d;

    for (int i = 0; i < 2; i++)
        if (dy[i] == NULL)
            in[DIN + i] = sqa_fill(g, 0, 3, n->out[i]->dim);
    d = sqa_apply(g, &op_backward, n->attr, sizeof(struct attr), DOUT + 1, in);
    if (d == NULL)
        return;
    dx[Q] = d;
    dx[K] = d->node->out[1];
}

static const struct sqa_op op_flow = {
    .name = "flow",
    .help = "flow into queries and out of keys, after each has been divided by the flow before",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .strided = 1 << Q | 1 << K,
    .tolerance = 1e-4,
};

void sqa_flow(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k, struct sqa_tensor *lengths, double eps,
              struct sqa_tensor **in, struct sqa_tensor **out)
{
    const struct attr a = {eps};
    struct sqa_tensor *const inputs[] = {sqa_dense_rows(g, q), sqa_dense_rows(g, k), lengths};

    *in = *out = NULL;
    if (sqa_ready(g, "flow", 2, inputs))
        *in = sqa_apply(g, &op_flow, &a, sizeof a, 3, inputs);
    if (*in != NULL)
        *out = (*in)->node->out[OUT];
}
