/* holes.c - see holes.h */
#include "models/holes.h"

#include "engine/ops/support.h"

/* valid_tokens */

struct attr {
    int64_t blank;
    enum sqa_dtype dtype;
};

static enum sqa_status shape(struct sqa_node *n, struct sqa_err *err)
{
    const struct attr *a = n->attr;
    const struct sqa_tensor *tokens = n->in[0];
    char have[96];

    if (tokens->dtype != SQA_I32)
        return sqa_shape_fail(n, err, "tokens are %s %s; give i32", sqa_dtype_name(tokens->dtype),
                              sqa_shape_text(tokens, have));
    sqa_set_output(n, 0, a->dtype, tokens->rank, tokens->dim);
    return SQA_OK;
}

static void run(const struct sqa_node *n, const struct sqa_run *r)
{
    const struct attr *a = n->attr;
    const int64_t count = sqa_numel(n->in[0]);
    const int32_t *tokens = sqa_data(n->in[0]);
    float *f = sqa_data(n->out[0]);
    double *d = sqa_data(n->out[0]);

    (void)r;
    for (int64_t i = 0; i < count && a->dtype == SQA_F32; i++)
        f[i] = tokens[i] > a->blank;
    for (int64_t i = 0; i < count && a->dtype == SQA_F64; i++)
        d[i] = tokens[i] > a->blank;
}

static const struct sqa_op op_valid_tokens = {
    .name = "valid_tokens",
    .help = "1 where a token counts, 0 where it is taken for padding", /* no flops: a comparison */
    .shape = shape,
    .run = run,
};

struct sqa_tensor *sqa_valid_tokens(struct sqa_graph *g, struct sqa_tensor *tokens, int64_t blank)
{
    const struct attr a = {.blank = blank, .dtype = g->real};

    return sqa_ready(g, "valid_tokens", 1, &tokens) ? sqa_apply(g, &op_valid_tokens, &a, sizeof a, 1, &tokens) : NULL;
}

/* Attention */

/* (B, L) as (B, L, 1, 1) */
static struct sqa_tensor *rows(struct sqa_graph *g, struct sqa_tensor *valid)
{
    return sqa_reshape(g, valid, SQA_DIMS(valid->dim[0], valid->dim[1], 1, 1));
}

static struct sqa_tensor *widened(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *more)
{
    if (x == NULL || more == NULL)
        return NULL;
    more = sqa_broadcast(g, more, SQA_DIMS(x->dim[0], x->dim[1], x->dim[2], 1));
    return sqa_concat(g, 3, 2, (struct sqa_tensor *[]){x, more});
}

struct sqa_heads sqa_mark_holes(struct sqa_graph *g, struct sqa_heads h, struct sqa_tensor *valid)
{
    if (valid == NULL)
        return h;
    struct sqa_tensor *is = rows(g, valid);

    h.q = widened(g, sqa_mul(g, h.q, is), is);
    h.k = widened(g, h.k, sqa_affine(g, SQA_FAR, is, -SQA_FAR));
    return h;
}

struct sqa_tensor *sqa_mean_in_holes(struct sqa_graph *g, struct sqa_tensor *o, struct sqa_tensor *v,
                                     struct sqa_tensor *valid)
{
    if (valid == NULL || v == NULL)
        return valid == NULL ? o : NULL;
    struct sqa_tensor *is = rows(g, valid), *mean = sqa_mean(g, v, 2u, true);

    return sqa_add(g, sqa_mul(g, o, is), sqa_mul(g, mean, sqa_affine(g, -1, is, 1)));
}

struct sqa_tensor *sqa_zero_in_holes(struct sqa_graph *g, struct sqa_tensor *o, struct sqa_tensor *valid)
{
    return valid == NULL ? o : sqa_mul(g, o, rows(g, valid));
}
