/*
 * matmul_sum.c - sum over all leading dims of products of matrices: the gradient of a shared operand
 *
 * One long product when leading dims join the inner one. Small outputs are cut into groups of terms, whose partial
 * sums are added in order; large ones into row blocks. Sizes of groups and blocks depend on the shapes only.
 */
#include "engine/ops/product.h"

enum { MAX_GROUPS = 16, GROUP_TERMS = 1024, SMALL_OUTPUT = 65536 };

static enum sqa_status sum_shape(struct sqa_node *n, struct sqa_err *err)
{
    struct sqa_product p = {0};
    const enum sqa_status status = sqa_product_sizes(n, &p, err);

    if (status != SQA_OK)
        return status;
    sqa_set_output(n, 0, n->in[0]->dtype, 2, (const int64_t[]){p.m, p.n});
    return SQA_OK;
}

struct job {
    struct sqa_product p;
    unsigned char *c;
    int64_t block, blocks; /* rows of a block, blocks of a matrix */
    int64_t group, groups; /* terms (of the joined product) or matrices of a group */
    bool joined;
};

/* Plan of a sum: one long product when leading dims join the inner one; groups of terms for small outputs (their
 * partial sums fit the workspace), row blocks for large ones. */
static struct job sum_job(const struct sqa_node *n)
{
    struct job j = {.p = sqa_product_of(n)};
    struct sqa_product *p = &j.p;
    int64_t terms, least;

    p->a.data = p->b.data = NULL;
    if (p->batch > 1 && sqa_product_joins(p, &p->a, p->kk, p->a.column_stride) &&
        sqa_product_joins(p, &p->b, p->kk, p->b.row_stride)) {
        struct sqa_product q = *p;
        int trans;
        int64_t ld;

        q.a.column_stride = sqa_joined_stride(p, &p->a, p->kk, p->a.column_stride);
        q.b.row_stride = sqa_joined_stride(p, &p->b, p->kk, p->b.row_stride);
        q.kk = p->kk * p->batch;
        q.a.columns = q.b.rows = q.kk;
        q.batch = 1;
        q.rank = 0;
        if (sqa_gemm_form(q.a.rows, q.a.columns, q.a.row_stride, q.a.column_stride, &trans, &ld) &&
            sqa_gemm_form(q.b.rows, q.b.columns, q.b.row_stride, q.b.column_stride, &trans, &ld))
            *p = q;
    }
    j.joined = p->batch == 1;
    terms = j.joined ? p->kk : p->batch;
    least = j.joined ? GROUP_TERMS : (GROUP_TERMS + p->kk) / sqa_max64(1, p->kk);
    j.group = sqa_max64(1, terms);
    j.block = sqa_max64(1, p->m);
    if (p->m * p->n <= SMALL_OUTPUT)
        j.group = sqa_max64(least, (terms + MAX_GROUPS - 1) / MAX_GROUPS);
    else
        j.block = sqa_max64(32, (p->m / 8 + 31) / 32 * 32);
    j.groups = sqa_max64(1, (terms + j.group - 1) / j.group);
    j.blocks = (p->m + j.block - 1) / j.block;
    return j;
}

static void sum_units(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct sqa_product *p = &j->p;

    (void)thread;
    for (int64_t unit = first; unit < first + count; unit++) {
        const int64_t row = unit % j->blocks * j->block, rows = sqa_min64(j->block, p->m - row);
        const int64_t start = unit / j->blocks * j->group;
        void *c = sqa_at(j->c, (unit / j->blocks * p->m + row) * p->n, p->k->size);

        if (j->joined) {
            sqa_product_multiply(p, 0, row, rows, start, sqa_min64(j->group, p->kk - start), 0, c);
            continue;
        }
        for (int64_t i = start; i < sqa_min64(start + j->group, p->batch); i++)
            sqa_product_multiply(p, i, row, rows, 0, p->kk, i == start ? 0 : 1, c);
    }
}

static void sum_run(const struct sqa_node *n, const struct sqa_run *r)
{
    struct job j = sum_job(n);
    const struct sqa_product *p = &j.p;
    const int64_t count = p->m * p->n;
    void *c = sqa_data(n->out[0]);

    if (count == 0)
        return;
    if (p->kk == 0 || p->batch == 0) {
        memset(c, 0, (size_t)count * p->k->size);
        return;
    }
    j.p.a.data = sqa_data(n->in[0]);
    j.p.b.data = sqa_data(n->in[1]);
    j.c = j.groups == 1 ? c : r->workspace;
    sqa_chunks(r, j.groups * j.blocks, 1, 2 * (double)count * (double)p->kk * (double)p->batch, sum_units, &j);
    if (j.groups > 1)
        p->k->sum_rows(j.c, (size_t)j.groups, (size_t)count, (size_t)count, c, 0);
}

static size_t sum_workspace(const struct sqa_node *n, int threads)
{
    const struct job j = sum_job(n);

    (void)threads;
    return j.groups == 1 ? 0 : (size_t)(j.groups * j.p.m * j.p.n) * j.p.k->size;
}

/* t, a gradient for every leading index, summed where `to` has one matrix for many and repeated where t has. */
static struct sqa_tensor *fit(struct sqa_graph *g, struct sqa_tensor *t, const struct sqa_tensor *to)
{
    int64_t dim[SQA_MAX_RANK];
    int rank;

    if (t == NULL)
        return NULL;
    rank = t->rank < to->rank ? t->rank : to->rank;
    for (int i = 1; i <= rank; i++)
        dim[rank - i] = to->dim[to->rank - i] == 1 ? 1 : t->dim[t->rank - i];
    t = sqa_sum_to(g, t, rank, dim);
    return t != NULL && !sqa_same_shape(t, to) ? sqa_broadcast(g, t, to->rank, to->dim) : t;
}

static void sum_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dys, struct sqa_tensor **dx)
{
    const struct sqa_product_attr *f = n->attr;
    struct sqa_tensor *a = n->in[0], *b = n->in[1], *dy = dys[0];

    if (a->needs_grad)
        dx[0] = fit(g, f->ta ? sqa_matmul(g, b, dy, f->tb, true) : sqa_matmul(g, dy, b, false, !f->tb), a);
    if (b->needs_grad)
        dx[1] = fit(g, f->tb ? sqa_matmul(g, dy, a, true, f->ta) : sqa_matmul(g, a, dy, !f->ta, false), b);
}

const struct sqa_op sqa_op_matmul_sum = {
    .name = "matmul_sum",
    .help = "sum over leading dims of op(a) op(b)",
    .shape = sum_shape,
    .run = sum_run,
    .grad = sum_grad,
    .flops = sqa_product_flops,
    .workspace = sum_workspace,
    .strided = 3,
};

struct sqa_tensor *sqa_matmul_sum(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b, bool ta, bool tb)
{
    return sqa_product_build(g, &sqa_op_matmul_sum, a, b, ta, tb);
}
