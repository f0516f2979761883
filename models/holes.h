/*
 * holes.h - padding that stands anywhere: what the LRA code does with black pixels, and with its blocks
 *
 * There a mask is "token > 0", and a pixel of value 0 is such a token. A pair counts when query and key do; scores of
 * other pairs become -10^10. So a key at a hole gets no weight, and a query at a hole, all of whose scores are equal
 * in f32, the mean of the values of all keys. google-research/long-range-arena: the encoders in
 * lra_benchmarks/models, flax.deprecated.nn.attention.make_padding_mask
 */
#ifndef SQA_MODELS_HOLES_H
#define SQA_MODELS_HOLES_H

#include "models/variant.h"

#define SQA_FAR 1e30 /* beside it every score is nothing; its exponential is 0, or 2^-126 as f32 kernels have it */

/* real (B, L): 1 where tokens, i32 (B, L), are above blank, else 0. */
struct sqa_tensor *sqa_valid_tokens(struct sqa_graph *g, struct sqa_tensor *tokens, int64_t blank);
/* h with one number more in every row of q and k, which takes keys at holes away from other queries (their scores are
 * -10^30 less), and with q = 0 at holes, which then attend to all keys alike. valid (B, L) as q's; NULL: h itself. */
struct sqa_heads sqa_mark_holes(struct sqa_graph *g, struct sqa_heads h, struct sqa_tensor *valid);
/* o (B, L, H, d) with the mean over L of v in the rows of holes: for attention that sees a part of the keys. valid
 * NULL: o itself. */
struct sqa_tensor *sqa_mean_in_holes(struct sqa_graph *g, struct sqa_tensor *o, struct sqa_tensor *v,
                                     struct sqa_tensor *valid);
/* o with 0 in the rows of holes. valid NULL: o itself. */
struct sqa_tensor *sqa_zero_in_holes(struct sqa_graph *g, struct sqa_tensor *o, struct sqa_tensor *valid);

/* Flops for `rows` positions with q, or v, of `width` numbers, all heads together; attention has 2 more a pair. */
static inline double sqa_mark_holes_flops(double rows, double width)
{
    return rows * (width + 2);
}
static inline double sqa_mean_in_holes_flops(double batch, double length, double width)
{
    return batch * (width * (4 * length + 2) + 2 * length);
}

#endif
