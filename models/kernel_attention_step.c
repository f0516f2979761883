/* kernel_attention_step.c - one position of attention without softmax; see kernel_attention.h */
#include "models/kernel_attention.h"
#include "models/step.h"

/* phi of x (B, 1, H, d); keys have c = 0. */
static struct sqa_tensor *features(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *w, bool query,
                                   const struct sqa_kernel_attention_spec *spec)
{
    if (spec->scale != 1)
        x = sqa_affine(g, spec->scale, x, 0);
    struct sqa_tensor *u = w ? sqa_linear(g, x, sqa_dense(g, sqa_transpose(g, w, 0, 1)), NULL) : x;

    if (spec->map == SQA_MAP_NONE)
        return u;
    if (spec->map == SQA_MAP_ELU1)
        return sqa_unary(g, SQA_UNARY_ELU1, u);
    if (spec->map == SQA_MAP_RELU)
        return sqa_affine(g, 1, sqa_unary(g, SQA_UNARY_RELU, u), spec->eps);
    struct sqa_tensor *down = sqa_affine(g, 0.5, sqa_sum(g, sqa_square(g, x), 8u, true), 0);

    if (query)
        down = sqa_add(g, down, sqa_max_over(g, u, 8u, true));
    return sqa_affine(g, 1, sqa_unary(g, SQA_UNARY_EXP, sqa_sub(g, u, down)), spec->eps);
}

struct sqa_tensor *sqa_kernel_attention_step(struct sqa_context *c, struct sqa_heads h, struct sqa_tensor *w,
                                             struct sqa_kernel_attention_spec spec)
{
    struct sqa_tensor *q = features(c->g, h.q, w, true, &spec), *k = features(c->g, h.k, w, false, &spec);

    if (!q || !k)
        return NULL;
    struct sqa_tensor *one = sqa_fill(c->g, 1, SQA_DIMS(c->batch, 1, q->dim[2], 1));
    struct sqa_tensor *o = sqa_matrix_step(c, "s", q, k, h.v, NULL), *z = sqa_matrix_step(c, "z", q, k, one, NULL);

    z = sqa_affine(c->g, 1, z, spec.den_eps);
    if (spec.den_min > 0)
        z = sqa_binary(c->g, SQA_BINARY_MAX, z, sqa_fill(c->g, spec.den_min, 0, NULL));
    return sqa_div(c->g, o, z);
}
