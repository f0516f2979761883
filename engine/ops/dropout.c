/* dropout.c - zeros at random places, the others divided by the kept share; the gradient draws the same places */
#include "base/random.h"
#include "engine/ops/support.h"

struct attr {
    double keep;
    uint64_t path; /* of the forward node, in its gradient; 0: this node's own */
};

struct job {
    const struct sqa_node *node;
    const struct sqa_kernels *k;
    uint64_t key;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (!sqa_is_real(x))
        return sqa_shape_fail(n, err, "x is %s %s; give real numbers", sqa_dtype_name(x->dtype),
                              sqa_shape_text(x, have));
    sqa_set_output(n, 0, x->dtype, x->rank, x->dim);
    return SQA_OK;
}

static void drop(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const struct attr *a = j->node->attr;

    (void)thread;
    j->k->dropout(j->key, (uint64_t)first, a->keep, sqa_at_const(sqa_data(j->node->in[0]), first, j->k->size),
                  sqa_at(sqa_data(j->node->out[0]), first, j->k->size), (size_t)count);
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const int64_t count = sqa_numel(n->in[0]);
    struct job j = {n, sqa_kernels_of(n->in[0]->dtype), sqa_random_mix(r->seed, r->step)};

    j.key = sqa_random_mix(j.key, a->path != 0 ? a->path : n->path_hash);
    sqa_chunks(r, count, SQA_CHUNK, (double)count, drop, &j);
}

static double flops(const struct sqa_node *n)
{
    return 2 * (double)sqa_numel(n->out[0]);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct attr a = *(const struct attr *)n->attr;

    if (a.path == 0)
        a.path = n->path_hash;
    dx[0] = sqa_apply(g, n->op, &a, sizeof a, 1, dy);
}

const struct sqa_op sqa_op_dropout = {
    .name = "dropout",
    .help = "y = x mask / keep, mask drawn by (seed, step, path)",
    .shape = shape,
    .run = run,
    .grad = grad,
    .flops = flops,
    .in_place = 1,
};

struct sqa_tensor *sqa_dropout(struct sqa_graph *g, struct sqa_tensor *x, double p)
{
    const struct attr a = {1 - p, 0};

    if (!sqa_ready(g, "dropout", 1, &x))
        return NULL;
    if (!(p >= 0 && p < 1))
        return sqa_graph_fail(g, SQA_SHAPE, "dropout: p is %g; give a number from 0 to below 1", p);
    return p == 0 || !g->training ? x : sqa_apply(g, &sqa_op_dropout, &a, sizeof a, 1, &x);
}
