/* mask_rows.c - zeros at positions at or after a row's length */
#include "engine/ops/support.h"

struct job {
    const struct sqa_node *node;
    int64_t length, width; /* positions, numbers of a position */
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0];
    char have[96];

    if (x->rank < 2)
        return sqa_shape_fail(n, err, "x is %s; give (B, L, ...)", sqa_shape_text(x, have));
    sqa_set_output(n, 0, x->dtype, x->rank, x->dim);
    return sqa_check_lengths(n, 1, x->dim[0], err);
}

static void mask(void *ctx, int64_t first, int64_t count, int thread)
{
    const struct job *j = ctx;
    const size_t size = sqa_dtype_size(j->node->out[0]->dtype);
    const unsigned char *x = sqa_data(j->node->in[0]);
    unsigned char *y = sqa_data(j->node->out[0]);
    const size_t row = (size_t)(j->length * j->width) * size;

    (void)thread;
    for (int64_t b = first; b < first + count; b++) {
        const size_t valid = (size_t)(sqa_length_at(j->node->in[1], b, j->length) * j->width) * size;

        if (x != y)
            memcpy(y + (size_t)b * row, x + (size_t)b * row, valid);
        memset(y + (size_t)b * row + valid, 0, row - valid);
    }
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *x = n->in[0];
    const int64_t count = sqa_numel(x);
    struct job j = {n, x->dim[1], 0};

    if (count == 0)
        return;
    j.width = count / x->dim[0] / j.length;
    sqa_chunks(r, x->dim[0], sqa_max64(1, SQA_CHUNK / (j.length * j.width)), (double)count, mask, &j);
}

static void grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    dx[0] = sqa_mask_rows(g, dy[0], n->in[1]);
}

const struct sqa_op sqa_op_mask_rows = {
    .name = "mask_rows",
    .help = "y[b, t] = x[b, t] for t < lengths[b], else 0",
    .shape = shape,
    .run = run,
    .grad = grad,
    .in_place = 1,
};

struct sqa_tensor *sqa_mask_rows(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths)
{
    struct sqa_tensor *const in[] = {x, lengths};

    if (!sqa_ready(g, "mask_rows", 1, in))
        return NULL;
    return lengths == NULL ? x : sqa_apply(g, &sqa_op_mask_rows, NULL, 0, 2, in);
}
