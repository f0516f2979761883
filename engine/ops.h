/*
 * ops.h - builders of the common ops, one file each in engine/ops
 *
 * B batch, L length, D width, H heads, d head width. Real tensors have the graph's real type. "view" costs nothing.
 * Every builder returns NULL after a failure and accepts NULL inputs (graph.h).
 */
#ifndef SQA_ENGINE_OPS_H
#define SQA_ENGINE_OPS_H

#include "engine/graph.h"
#include "kernels/kernels.h"

#define SQA_DIMS(...)                                                            \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) \
    {                                                                            \
        __VA_ARGS__                                                              \
    }

/* Leaves. Inputs are filled by the caller before each run (plan.h); a rank-0 input is a run-time scalar. */
struct sqa_tensor *sqa_input(struct sqa_graph *g, const char *name, enum sqa_dtype dtype, int rank,
                             const int64_t *dim);
struct sqa_tensor *sqa_value(struct sqa_graph *g, struct sqa_entry *e); /* a store entry; trainable: needs_grad */
struct sqa_tensor *sqa_fill(struct sqa_graph *g, double v, int rank, const int64_t *dim); /* constant, computed */
/* At the end of the run the entry's value becomes t (same shape). Effects run in build order, after all reads. */
void sqa_assign(struct sqa_graph *g, struct sqa_entry *e, struct sqa_tensor *t);

/* Views */
struct sqa_tensor *sqa_reshape(struct sqa_graph *g, struct sqa_tensor *x, int rank, const int64_t *dim); /* one -1 ok;
                                       copies first when x is not dense */
struct sqa_tensor *sqa_permute(struct sqa_graph *g, struct sqa_tensor *x, const int *order); /* rank entries */
struct sqa_tensor *sqa_transpose(struct sqa_graph *g, struct sqa_tensor *x, int a, int b);
struct sqa_tensor *sqa_slice(struct sqa_graph *g, struct sqa_tensor *x, int axis, int64_t start, int64_t count);
struct sqa_tensor *sqa_broadcast(struct sqa_graph *g, struct sqa_tensor *x, int rank, const int64_t *dim); /* numpy's
                                       rule: dims aligned at the right, 1 becomes any */
/* Copies */
struct sqa_tensor *sqa_dense(struct sqa_graph *g, struct sqa_tensor *x); /* x itself when dense, else a copy */
struct sqa_tensor *sqa_concat(struct sqa_graph *g, int axis, int n, struct sqa_tensor *const *x); /* n <= 12 */
struct sqa_tensor *sqa_pad(struct sqa_graph *g, struct sqa_tensor *x, int axis, int64_t before,
                           int64_t after); /* zeros */
struct sqa_tensor *sqa_reverse(struct sqa_graph *g, struct sqa_tensor *x, int axis);
struct sqa_tensor *sqa_cumsum(struct sqa_graph *g, struct sqa_tensor *x, int axis);

/* Element-wise; binary ops broadcast by numpy's rule and take any strides. */
struct sqa_tensor *sqa_unary(struct sqa_graph *g, enum sqa_unary f, struct sqa_tensor *x);
struct sqa_tensor *sqa_binary(struct sqa_graph *g, enum sqa_binary f, struct sqa_tensor *a, struct sqa_tensor *b);
struct sqa_tensor *sqa_add(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b);
struct sqa_tensor *sqa_sub(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b);
struct sqa_tensor *sqa_mul(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b);
struct sqa_tensor *sqa_div(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b);
struct sqa_tensor *sqa_affine(struct sqa_graph *g, double a, struct sqa_tensor *x, double b); /* a x + b */
struct sqa_tensor *sqa_square(struct sqa_graph *g, struct sqa_tensor *x); /* has second derivatives: mul and affine */

struct sqa_tensor *sqa_add_int(struct sqa_graph *g, struct sqa_tensor *x, int32_t more); /* x + more, i32 */

/* Reductions over the axes of the bit mask; kept dims have size 1 when keep, else they go. */
struct sqa_tensor *sqa_sum(struct sqa_graph *g, struct sqa_tensor *x, unsigned axes, bool keep);
struct sqa_tensor *sqa_mean(struct sqa_graph *g, struct sqa_tensor *x, unsigned axes, bool keep);
struct sqa_tensor *sqa_max_over(struct sqa_graph *g, struct sqa_tensor *x, unsigned axes, bool keep); /* gradient goes
                                       to the first largest element */
/* Products. op(a) (..., m, k) times op(b) (..., k, n); leading dims broadcast by numpy's rule; a rank-2 b under any
 * rank of dense a is one GEMM. Takes any strides whose last two dims have one unit stride. */
struct sqa_tensor *sqa_matmul(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b, bool ta, bool tb);
/* sum over all leading dims of op(a) op(b): (m, n). The gradient of a shared operand. */
struct sqa_tensor *sqa_matmul_sum(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b, bool ta, bool tb);
/* x w + bias for x (..., in), w (in, out), bias (out) or NULL. */
struct sqa_tensor *sqa_linear(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *w,
                              struct sqa_tensor *bias);
/* act(x w + bias) in one pass; act of enum sqa_unary, SQA_UNARY_N: none. */
struct sqa_tensor *sqa_linear_act(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *w,
                                  struct sqa_tensor *bias, int act);
/* y[i] = act[i](x w[i] + bias[i]) for n layers, up to 3 in one op that reads x once. bias[i] NULL: none; act NULL: no
 * activations. After a failure every y[i] is NULL. */
void sqa_linear_n(struct sqa_graph *g, struct sqa_tensor *x, int n, struct sqa_tensor *const *w,
                  struct sqa_tensor *const *bias, const int *act, struct sqa_tensor **y);

/* Rows: the last axis */
struct sqa_tensor *sqa_softmax(struct sqa_graph *g, struct sqa_tensor *x);
/* softmax of scale x over keys j < lengths[b] and, when causal, j <= i; 0 elsewhere: x (B, H, queries, keys), lengths
 * i32 (B) or NULL */
struct sqa_tensor *sqa_masked_softmax(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths,
                                      double scale, bool causal);
struct sqa_tensor *sqa_log_sum_exp(struct sqa_graph *g, struct sqa_tensor *x); /* (..., 1) */
struct sqa_tensor *sqa_layernorm(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *gain,
                                 struct sqa_tensor *bias, double eps, bool rms); /* gain, bias may be NULL */
/* sum = a + b, of one shape, and its norm, which is returned; a fused form of sqa_layernorm(g, sqa_add(g, a, b), ..)
 */
struct sqa_tensor *sqa_add_layernorm(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *b,
                                     struct sqa_tensor *gain, struct sqa_tensor *bias, double eps, bool rms,
                                     struct sqa_tensor **sum);
/* table (V, D), id i32 (...) -> (..., D) */
struct sqa_tensor *sqa_embedding(struct sqa_graph *g, struct sqa_tensor *table, struct sqa_tensor *id);
/* x with row positions t >= lengths[b] set to 0: x (B, L, ...), lengths i32 (B). lengths NULL: x itself. */
struct sqa_tensor *sqa_mask_rows(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths);
/* mean over valid positions: x (B, L, D) -> (B, D); a row of length 0 gives 0. lengths NULL: all positions. */
struct sqa_tensor *sqa_mean_rows(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *lengths);

/* x / keep with kept elements; identity when !g->training or p == 0. Key: (seed, step, path). */
struct sqa_tensor *sqa_dropout(struct sqa_graph *g, struct sqa_tensor *x, double p);

/* Softmax attention, tiled, no L x L buffer. q (B, Lq, H, d), k (B, Lk, H, d), v (B, Lk, H, dv) in any strides with
 * dense rows; lengths i32 (B), (B, H) or NULL: keys at or after lengths[b] (or [b][h]) are not allowed ->
 * o (B, Lq, H, dv) dense. A query without an allowed key gives 0. */
struct sqa_attention_spec {
    double scale;
    bool causal;
    double dropout;      /* active when g->training; 1 - dropout is rounded to a multiple of 1/256 */
    bool window;         /* only -left <= j - i <= right */
    int64_t left, right; /* of window; either may be negative: right = -1 is j < i */
    int64_t block;       /* of a block list: positions of a query block */
    int64_t key_block;   /* and of a key block; 0: the same */
    /* 0, or: the sequence falls into ceil(L / local) blocks that do not see each other; Lq = Lk. Block b is positions
     * b local, b local + 1, ...; or, `spread`, b, b + blocks, b + 2 blocks, ... causal holds inside a block. Not
     * together with window, block list or bias. */
    int64_t local;
    bool spread;
};
struct sqa_tensor *sqa_attention(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                 struct sqa_tensor *v, struct sqa_tensor *lengths, struct sqa_attention_spec spec);
/* With more to say which pairs count; every member may be NULL.
 *   bias         (B or 1, H or 1, Lq, Lk), added to the scores; has a gradient. With one that several heads or rows
 *                share, the gradients of those are computed one after the other
 *   start, key   block list (spec.block > 0): query block n sees key blocks key[start[n]] .. key[start[n + 1] - 1],
 *                ascending, each once; start i32 (ceil(Lq / block) + 1), or (H, the same) for a list a head, or (B,
 * H, the same); key i32 (any). Values are trusted. flops count every number in key as a full block. */
struct sqa_attention_masks {
    struct sqa_tensor *lengths, *bias, *start, *key;
};
struct sqa_tensor *sqa_attention_masked(struct sqa_graph *g, struct sqa_tensor *q, struct sqa_tensor *k,
                                        struct sqa_tensor *v, struct sqa_attention_masks masks,
                                        struct sqa_attention_spec spec);
/* One softmax over several sets of keys that share none: part[k] is o (B, L, H, d) of the attention of the same
 * queries to set k, lse[k] (B, H, L) its log sum exp (sqa_attention_lse; +inf: no key), n <= 4; views are fine ->
 * (B, L, H, d). */
struct sqa_tensor *sqa_attention_merge(struct sqa_graph *g, int n, struct sqa_tensor *const *part,
                                       struct sqa_tensor *const *lse);
/* Of the output of sqa_attention: log sum exp of the scores of each query, (B, H, Lq); with `local` the queries of
 * each block, which is filled up (then slice it). */
struct sqa_tensor *sqa_attention_lse(struct sqa_tensor *o);

/* i32: how many of the positions start + m period + t, m >= 0, 0 <= t < width, are below lengths[b] (full when
 * lengths is NULL): the lengths of a part gathered from a sequence. (B); or (B, columns repeat): column c of each run
 * of `repeat` begins at start + c. period 0: every position from start on. */
struct sqa_periodic {
    int64_t start, period, width;
    int64_t columns, repeat; /* columns 0: (B) */
};
struct sqa_tensor *sqa_count_before(struct sqa_graph *g, struct sqa_tensor *lengths, int64_t batch, int64_t full,
                                    struct sqa_periodic set);

/* y = a sigmoid(b): x (..., 2 D) with rows (a, b) -> (..., D) */
struct sqa_tensor *sqa_glu(struct sqa_graph *g, struct sqa_tensor *x);

/* Long convolution by FFT: u (B, L, D), k (D, L): y[b,t,c] = sum_{s<=t} k[c,t-s] u[b,s,c]; k2 (D, L) or NULL adds
 * sum_{s>t} k2[c,s-t-1] u[b,s,c]. */
struct sqa_tensor *sqa_fftconv(struct sqa_graph *g, struct sqa_tensor *u, struct sqa_tensor *k,
                               struct sqa_tensor *k2);

/* Depthwise convolution over positions: y[b,t,c] = bias[c] + sum_{j<k} w[j,c] x[b, t + j - left, c], x 0 outside of
 * 0 <= position < lengths[b]: x (B, L, D), w (k, D), bias (D) or NULL, lengths i32 (B) or NULL -> (B, L, D), at
 * padding too. left = k - 1: causal, w[k - 1] is the tap of the position itself; left = k / 2: centred; 0 <= left <
 * k. */
struct sqa_tensor *sqa_conv1d(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *w,
                              struct sqa_tensor *bias, struct sqa_tensor *lengths, int64_t left);

/* y_t = a_t y_(t-1) + x_t over axis 1, y_(-1) = 0: x (B, L, D), a broadcasts to it -> (B, L, D). pairs: complex
 * numbers, a row of D is D / 2 real parts, then as many imaginary ones. */
struct sqa_tensor *sqa_scan(struct sqa_graph *g, struct sqa_tensor *a, struct sqa_tensor *x, bool pairs);

/* Losses. cross_entropy: logits (N, C), labels i32 (N) -> losses (N), 0 where the label is none of the classes.
 * per_label: 1 / number of labels >= 0 (1 when there are none), rank 0; times the sum of such losses it is their
 * mean. squared_error, absolute_error: element-wise. */
struct sqa_tensor *sqa_cross_entropy(struct sqa_graph *g, struct sqa_tensor *logits, struct sqa_tensor *labels);
struct sqa_tensor *sqa_per_label(struct sqa_graph *g, struct sqa_tensor *labels);
struct sqa_tensor *sqa_squared_error(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *y);
struct sqa_tensor *sqa_absolute_error(struct sqa_graph *g, struct sqa_tensor *x, struct sqa_tensor *y);

#endif
