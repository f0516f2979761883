/*
 * linear_bwd.c - the gradients of dense layers that share x, in one pass over the rows
 *
 * dpre_i = dy_i act_i'(pre_i); dx = sum_i dpre_i W_i^T; dW_i = x^T dpre_i; db_i = the sum of the rows of dpre_i.
 * Groups of rows have sums of their own, added in order; their sizes depend on the shapes only. Layers whose sums
 * would be large take separate ops instead. A block of rows is small enough for the products to read x and dpre where
 * they lie.
 */
#include "engine/ops/linear.h"

enum { MAX_GROUPS = 16, GROUP_ROWS = 512, BLOCK = 96, MAX_SUMS = 1 << 17 };

struct attr {
    struct sqa_linear_attr f;
    bool x, w[SQA_LINEAR_MAX], b[SQA_LINEAR_MAX]; /* wanted */
};

/* Inputs: x, W_i, dy_i, pre_i; NULL where there is none. */
static struct sqa_tensor *input(const struct sqa_node *n, int which, int i)
{
    const struct attr *a = n->attr;

    return n->in[1 + which * a->f.n + i];
}
enum { WEIGHT, DY, PRE };

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *x = n->in[0];
    int o = 0;

    (void)err;
    if (a->x)
        sqa_set_output(n, o++, x->dtype, x->rank, x->dim);
    for (int i = 0; i < a->f.n; i++)
        if (a->w[i])
            sqa_set_output(n, o++, x->dtype, 2, input(n, WEIGHT, i)->dim);
    for (int i = 0; i < a->f.n; i++)
        if (a->b[i])
            sqa_set_output(n, o++, x->dtype, 1, &input(n, WEIGHT, i)->dim[1]);
    return SQA_OK;
}

struct layer {
    struct sqa_rows dy, pre;
    int act;
    int64_t out;
    int64_t dw, db; /* where its sums stand in those of a group; -1: not wanted */
    const void *panels;
};

struct job {
    const struct sqa_kernels *k;
    int n;
    bool want_x, one_dx; /* every layer gives dx, with the same shapes and no activation */
    struct sqa_rows x, dx;
    struct layer layer[SQA_LINEAR_MAX];
    int64_t group, groups, block; /* rows of a group, rows of a block */
    int64_t sums;                 /* numbers of a group */
    unsigned char *space;         /* sums of all groups, W_i^T packed, then dpre for each thread */
    size_t panels_at, threads_at, thread_bytes;
};

/* All but the data. */
static struct job job_of(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    struct job j = {.k = sqa_node_kernels(n), .n = a->f.n, .want_x = a->x};
    int64_t widest = 0;
    size_t panels = 0;

    (void)sqa_rows_of(n->in[0], &j.x);
    for (int i = 0; i < j.n; i++) {
        struct layer *l = &j.layer[i];

        l->out = input(n, WEIGHT, i)->dim[1];
        l->act = a->f.act[i];
        l->dw = a->w[i] ? j.sums : -1;
        j.sums += a->w[i] ? j.x.n * l->out : 0;
        l->db = a->b[i] ? j.sums : -1;
        j.sums += a->b[i] ? l->out : 0;
        if (l->act != SQA_UNARY_N)
            widest = sqa_max64(widest, l->out);
        panels += a->x ? sqa_align64(j.k->panels(l->out, j.x.n) * j.k->size) : 0;
    }
    j.group = sqa_max64(GROUP_ROWS, (j.x.rows + MAX_GROUPS - 1) / MAX_GROUPS);
    j.groups = sqa_max64(1, (j.x.rows + j.group - 1) / j.group);
    j.block = sqa_min64(j.group, BLOCK);
    j.panels_at = sqa_align64((size_t)(j.groups * j.sums) * j.k->size);
    j.threads_at = j.panels_at + panels;
    j.thread_bytes = sqa_align64((size_t)(j.block * widest) * j.k->size);
    return j;
}

static size_t workspace(const struct sqa_node *n, int threads)
{
    const struct job j = job_of(n);

    return j.threads_at + (size_t)threads * j.thread_bytes;
}

/* dx (+)= dpre W^T of a block of rows that ends at `next` */
static void block_dx(const struct job *j, const struct layer *l, const void *dpre, int64_t first, int64_t next,
                     bool more)
{
    const size_t size = j->k->size;
    struct sqa_gemm_panels g = {.m = next - first,
                                .n = j->x.n,
                                .k = l->out,
                                .a = dpre,
                                .a_row = l->out,
                                .a_column = 1,
                                .panels = l->panels,
                                .c = sqa_at(j->dx.data, first * j->dx.ld, size),
                                .ldc = j->dx.ld,
                                .accumulate = more};

    sqa_soon(&g, 0, &l->dy, next, j->block, j->x.rows, size);
    if (l->act != SQA_UNARY_N)
        sqa_soon(&g, 1, &l->pre, next, j->block, j->x.rows, size);
    if (!more)
        sqa_soon(&g, 2, &j->dx, next, j->block, j->x.rows, size);
    j->k->gemm_panels(&g);
}

/* dx of all layers in one sum */
static void block_one_dx(const struct job *j, int64_t first, int64_t next)
{
    const size_t size = j->k->size;
    const struct layer *l = j->layer;
    struct sqa_gemm_panels g = {.m = next - first,
                                .n = j->x.n,
                                .k = l->out,
                                .a = sqa_at(l->dy.data, first * l->out, size),
                                .a_row = l->out,
                                .a_column = 1,
                                .panels = l->panels,
                                .c = sqa_at(j->dx.data, first * j->dx.ld, size),
                                .ldc = j->dx.ld};

    for (int i = 1; i < j->n; i++) {
        g.more[i - 1].a = sqa_at(l[i].dy.data, first * l->out, size);
        g.more[i - 1].panels = l[i].panels;
    }
    for (int i = 0; i < j->n; i++)
        sqa_soon(&g, i, &l[i].dy, next, j->block, j->x.rows, size);
    sqa_soon(&g, 3, &j->dx, next, j->block, j->x.rows, size);
    j->k->gemm_panels(&g);
}

static void block_dw(const struct job *j, const struct layer *l, const void *dpre, int64_t first, int64_t next,
                     bool more, void *dw)
{
    const size_t size = j->k->size;
    struct sqa_gemm_panels g = {.m = j->x.n,
                                .n = l->out,
                                .k = next - first,
                                .a = sqa_at(j->x.data, first * j->x.ld, size),
                                .a_row = 1,
                                .a_column = j->x.ld,
                                .panels = dpre,
                                .b_row = l->out,
                                .c = dw,
                                .ldc = l->out,
                                .accumulate = more};

    if (l == &j->layer[0])
        sqa_soon(&g, 0, &j->x, next, j->block, j->x.rows, size);
    if (!j->want_x)
        sqa_soon(&g, 1, &l->dy, next, j->block, j->x.rows, size);
    j->k->gemm_panels(&g);
}

static void groups_of_rows(void *ctx, int64_t first_group, int64_t count, int thread)
{
    const struct job *j = ctx;
    const size_t size = j->k->size;
    void *dpre_space = j->space + j->threads_at + (size_t)thread * j->thread_bytes;

    (void)count; /* 1 */
    const int64_t start = first_group * j->group, end = sqa_min64(start + j->group, j->x.rows);
    unsigned char *sums = sqa_at(j->space, first_group * j->sums, size);

    memset(sums, 0, (size_t)j->sums * size);
    for (int64_t first = start; first < end; first += j->block) {
        const int64_t next = sqa_min64(first + j->block, end);
        bool more = false;

        if (j->one_dx)
            block_one_dx(j, first, next);
        for (int i = 0; i < j->n; i++) {
            const struct layer *l = &j->layer[i];
            const void *dpre;

            if (l->dy.data == NULL)
                continue;
            dpre = sqa_at(l->dy.data, first * l->out, size);
            if (l->act != SQA_UNARY_N) {
                j->k->unary_grad((enum sqa_unary)l->act, sqa_at(l->pre.data, first * l->out, size), dpre, dpre_space,
                                 (size_t)((next - first) * l->out));
                dpre = dpre_space;
            }
            if (j->want_x && !j->one_dx)
                block_dx(j, l, dpre, first, next, more);
            more = true;
            if (l->dw >= 0)
                block_dw(j, l, dpre, first, next, first > start, sqa_at(sums, l->dw, size));
            if (l->db >= 0)
                j->k->sum_rows(dpre, (size_t)(next - first), (size_t)l->out, (size_t)l->out,
                               sqa_at(sums, l->db, size), 1);
        }
    }
}

static double flops(const struct sqa_node *n)
{
    const struct attr *a = n->attr;
    const double x = (double)sqa_numel(n->in[0]), in = (double)n->in[0]->dim[n->in[0]->rank - 1];
    double sum = a->x ? -x : 0;

    for (int i = 0; i < a->f.n; i++) {
        const double out = (double)input(n, WEIGHT, i)->dim[1], rows = in > 0 ? x / in : 0;

        if (input(n, DY, i) != NULL)
            sum += (a->x ? x * (2 * out + 1) : 0) + (a->w[i] ? 2 * x * out : 0) +
                   rows * out * (a->b[i] + (a->f.act[i] != SQA_UNARY_N));
    }
    return sum;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    struct job j = job_of(n);
    size_t panels;
    int o = 0;

    j.one_dx = a->x && j.n > 1;
    j.x.data = sqa_data(n->in[0]);
    j.space = r->workspace;
    panels = j.panels_at;
    if (a->x)
        j.dx = sqa_rows_at(n->out[o++]);
    for (int i = 0; i < j.n; i++) {
        const struct sqa_tensor *w = input(n, WEIGHT, i);
        struct layer *l = &j.layer[i];

        if (input(n, DY, i) != NULL)
            l->dy = sqa_rows_at(input(n, DY, i));
        if (l->act != SQA_UNARY_N)
            l->pre = sqa_rows_at(input(n, PRE, i));
        j.one_dx = j.one_dx && l->dy.data != NULL && l->act == SQA_UNARY_N && l->out == j.layer[0].out;
        if (!a->x)
            continue;
        l->panels = j.space + panels;
        j.k->pack(l->out, j.x.n, sqa_data(w), w->stride[1], w->stride[0], j.space + panels);
        panels += sqa_align64(j.k->panels(l->out, j.x.n) * j.k->size);
    }
    if (j.x.rows == 0)
        memset(j.space, 0, (size_t)j.sums * j.k->size);
    sqa_chunks(r, j.x.rows == 0 ? 0 : j.groups, 1, flops(n), groups_of_rows, &j);
    for (int bias = 0; bias < 2; bias++)
        for (int i = 0; i < j.n; i++) {
            const int64_t at = bias ? j.layer[i].db : j.layer[i].dw;

            if (at >= 0)
                j.k->sum_rows(sqa_at(j.space, at, j.k->size), (size_t)j.groups,
                              (size_t)(bias ? j.layer[i].out : j.x.n * j.layer[i].out), (size_t)j.sums,
                              sqa_data(n->out[o++]), 0);
        }
}

static struct sqa_tensor *plus(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b)
{
    return a == NULL ? b : b == NULL ? a : sqa_add(g, a, b);
}

/* Sum over all dims but the last */
static struct sqa_tensor *column_sums(struct sqa_graph *g, struct sqa_tensor *x)
{
    return x == NULL ? NULL : sqa_sum(g, x, (1u << (x->rank - 1)) - 1, false);
}

/* Second derivatives, from ordinary ops. u, v_i, c_i: what came for dx, dW_i, db_i; t_i, for dpre_i: u W_i + x v_i +
 * c_i
 */
static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dys, struct sqa_tensor **dx)
{
    const struct attr *a = n->attr;
    struct sqa_tensor *x = n->in[0], *u, *v[SQA_LINEAR_MAX], *c[SQA_LINEAR_MAX];
    const int layers = a->f.n;
    int o = 0;

    u = a->x ? dys[o++] : NULL;
    for (int i = 0; i < layers; i++)
        v[i] = a->w[i] ? dys[o++] : NULL;
    for (int i = 0; i < layers; i++)
        c[i] = a->b[i] ? dys[o++] : NULL;
    for (int i = 0; i < layers; i++) {
        struct sqa_tensor *w = input(n, WEIGHT, i), *dy = input(n, DY, i), *pre = input(n, PRE, i), *t, *dpre;
        const enum sqa_unary f = (enum sqa_unary)a->f.act[i];

        if (dy == NULL || (u == NULL && v[i] == NULL && c[i] == NULL))
            continue;
        dpre = f != SQA_UNARY_N ? sqa_unary_grad(g, f, pre, dy) : dy;
        t = plus(g, u != NULL ? sqa_matmul(g, u, w, false, false) : NULL,
                 v[i] != NULL ? sqa_matmul(g, x, v[i], false, false) : NULL);
        if (c[i] != NULL)
            t = plus(g, t, sqa_broadcast(g, c[i], dy->rank, dy->dim));
        if (u != NULL)
            dx[1 + i] = sqa_matmul_sum(g, u, dpre, true, false);
        if (v[i] != NULL)
            dx[0] = plus(g, dx[0], sqa_matmul(g, dpre, v[i], false, true));
        dx[1 + layers + i] = f != SQA_UNARY_N ? sqa_unary_grad(g, f, pre, t) : t;
        if (f != SQA_UNARY_N)
            dx[1 + 2 * layers + i] = sqa_unary_second(g, f, pre, sqa_mul(g, t, dy));
    }
}

const struct sqa_op sqa_op_linear_bwd = {
    .name = "linear_bwd",
    .help = "gradients of x, weights and biases of linear",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .workspace = workspace,
    .strided = 0xf, /* x and weights, as linear has them */
};

/* One op for each product: for layers whose weights are large. */
static void separate(struct sqa_graph *g, const struct sqa_node *n, struct sqa_tensor *const *dpre,
                     struct sqa_tensor **dx)
{
    const struct sqa_linear_attr *f = n->attr;
    struct sqa_tensor *x = n->in[0];

    for (int i = 0; i < f->n; i++) {
        struct sqa_tensor *w = n->in[1 + i], *b = n->in[1 + f->n + i];

        if (dpre[i] == NULL)
            continue;
        if (x->needs_grad)
            dx[0] = plus(g, dx[0], sqa_matmul(g, dpre[i], w, false, true));
        if (w->needs_grad)
            dx[1 + i] = sqa_matmul_sum(g, x, dpre[i], true, false);
        if (b != NULL && b->needs_grad)
            dx[1 + f->n + i] = column_sums(g, dpre[i]);
    }
}

void sqa_linear_gradients(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy,
                          struct sqa_tensor **dx)
{
    const struct sqa_linear_attr *f = n->attr;
    struct attr a = {.f = *f, .x = n->in[0]->needs_grad};
    struct sqa_tensor *in[SQA_LINEAR_WIDE] = {n->in[0]}, *pre[SQA_LINEAR_MAX] = {0}, *dpre[SQA_LINEAR_MAX] = {0}, *d;
    int64_t sums = 0;
    bool through_pre = false;
    int o = 0;

    for (int i = 0; i < f->n; i++) {
        struct sqa_tensor *w = n->in[1 + i], *b = n->in[1 + f->n + i];
        const int at = sqa_linear_pre(f, i);

        sums += w->dim[0] * w->dim[1];
        a.w[i] = dy[i] != NULL && w->needs_grad;
        a.b[i] = dy[i] != NULL && b != NULL && b->needs_grad;
        through_pre = through_pre || (at >= 0 && dy[at] != NULL);
        if (f->act[i] != SQA_UNARY_N && dy[i] != NULL)
            pre[i] = at >= 0 ? n->out[at] : sqa_linear(g, n->in[0], w, b);
        in[1 + i] = w;
        in[1 + f->n + i] = dy[i] != NULL ? sqa_dense(g, dy[i]) : NULL;
        in[1 + 2 * f->n + i] = pre[i];
    }
    if (sums > MAX_SUMS || through_pre) {
        for (int i = 0; i < f->n; i++) {
            const int at = sqa_linear_pre(f, i);

            dpre[i] = pre[i] != NULL ? sqa_unary_grad(g, (enum sqa_unary)f->act[i], pre[i], dy[i]) : dy[i];
            if (at >= 0)
                dpre[i] = plus(g, dpre[i], dy[at]);
        }
        separate(g, n, dpre, dx);
        return;
    }
    d = sqa_apply(g, &sqa_op_linear_bwd, &a, sizeof a, 1 + 3 * f->n, in);
    if (d == NULL)
        return;
    if (a.x)
        dx[0] = d->node->out[o++];
    for (int i = 0; i < f->n; i++)
        if (a.w[i])
            dx[1 + i] = d->node->out[o++];
    for (int i = 0; i < f->n; i++)
        if (a.b[i])
            dx[1 + f->n + i] = d->node->out[o++];
}
