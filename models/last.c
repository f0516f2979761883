/*
 * last.c - the last valid position
 *
 * Computes  y[b] = x[b, n_b - 1], n_b the true length of row b (n_b = 0 gives 0)
 * Shapes    x (B, L, D) -> y (B, D)
 * Cost      no flops
 * Source    usual with causal and recurrent mixers
 * Departs   nothing
 */
#include <string.h>

#include "models/model.h"

/* Both ops see x (or its gradient) as rows; the position of row b is lengths[b] - 1, within 0 .. L - 1. */
struct attr {
    int64_t length;
};

static int64_t position(const struct sqa_tensor *lengths, int64_t b, int64_t length)
{
    const int32_t *n = sqa_data(lengths);
    return n[b] > length ? length - 1 : (int64_t)n[b] - 1;
}

static enum sqa_status pick_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct sqa_tensor *x = n->in[0], *lengths = n->in[1];
    char text[96];
    if (x->rank != 3 || lengths->dtype != SQA_I32 || lengths->rank != 1 || lengths->dim[0] != x->dim[0])
        return sqa_shape_fail(n, err, "x is %s; it wants (B, L, D) and lengths (B)", sqa_shape_text(x, text));
    sqa_set_output(n, 0, x->dtype, SQA_DIMS(x->dim[0], x->dim[2]));
    return SQA_OK;
}

static void pick_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct sqa_tensor *x = n->in[0];
    const int64_t length = x->dim[1];
    const size_t row = (size_t)x->dim[2] * sqa_dtype_size(x->dtype);
    (void)r;
    for (int64_t b = 0; b < x->dim[0]; b++) {
        const int64_t t = position(n->in[1], b, length);
        unsigned char *to = (unsigned char *)sqa_data(n->out[0]) + (size_t)b * row;
        if (t < 0)
            memset(to, 0, row);
        else
            memcpy(to, (const unsigned char *)sqa_data(x) + (size_t)(b * length + t) * row, row);
    }
}

static enum sqa_status place_shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *dy = n->in[0];
    (void)err;
    sqa_set_output(n, 0, dy->dtype, SQA_DIMS(dy->dim[0], a->length, dy->dim[1]));
    return SQA_OK;
}

static void place_run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *dy = n->in[0];
    const size_t row = (size_t)dy->dim[1] * sqa_dtype_size(dy->dtype);
    (void)r;
    memset(sqa_data(n->out[0]), 0, (size_t)(dy->dim[0] * a->length) * row);
    for (int64_t b = 0; b < dy->dim[0]; b++) {
        const int64_t t = position(n->in[1], b, a->length);
        if (t >= 0)
            memcpy((unsigned char *)sqa_data(n->out[0]) + (size_t)(b * a->length + t) * row,
                   (const unsigned char *)sqa_data(dy) + (size_t)b * row, row);
    }
}

static void pick_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx);

static const struct sqa_op pick = {
    .name = "last_row", .help = "x[b, lengths[b] - 1]", .shape = pick_shape, .run = pick_run, .grad = pick_grad};

static void place_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    struct sqa_tensor *in[2] = {dy[0], n->in[1]};
    dx[0] = dy[0] ? sqa_apply(g, &pick, NULL, 0, 2, in) : NULL;
}

static const struct sqa_op place = {.name = "last_row_bwd",
                                    .help = "zero but for row lengths[b] - 1",
                                    .shape = place_shape,
                                    .run = place_run,
                                    .grad = place_grad};

static void pick_grad(struct sqa_graph *g, struct sqa_node *n, struct sqa_tensor *const *dy, struct sqa_tensor **dx)
{
    const struct attr a = {n->in[0]->dim[1]};
    struct sqa_tensor *in[2] = {dy[0], n->in[1]};
    dx[0] = dy[0] ? sqa_apply(g, &place, &a, sizeof a, 2, in) : NULL;
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    (void)self;
    struct sqa_tensor *in[2] = {x, c->lengths};
    if (c->lengths)
        return x ? sqa_apply(c->g, &pick, NULL, 0, 2, in) : NULL;
    return sqa_reshape(c->g, sqa_slice(c->g, x, 1, c->length - 1, 1), SQA_DIMS(c->batch, c->frame.dim));
}

const struct sqa_variant sqa_variant_last = {
    .id = "last",
    .slot = SQA_SLOT_POOL,
    .title = "Last valid position",
    .source = "usual with causal and recurrent mixers",
    .complexity = "O(D) time",
    .build = build,
    .step = build,
};
