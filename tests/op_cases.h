/* op_cases.h - test_ops.c: builders of small graphs and the table of cases, in the order of engine/ops */
#ifndef SQA_TESTS_OP_CASES_H
#define SQA_TESTS_OP_CASES_H

#include "tests/ops.h"

/* One case: a builder, its inputs, and the ops that its graph must contain. f32 runs compare y and gradients. */
struct op_case {
    const char *name;
    tensor *(*build)(void *user, graph *g, tensor *const *in);
    struct sqa_gradcheck_input in[MAX_IN];
    int n;
    const char *ops;  /* space separated */
    double tolerance; /* f32 against f64, of the largest number; 0: 1e-5 */
};

/* i32 of more than one dim */
#define L3(VALUES, ...)                                                                              \
    {                                                                                                \
        .dtype = SQA_I32, .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), .dim = {__VA_ARGS__}, \
        .values = (VALUES)                                                                           \
    }

/* Builders: in the order of engine/ops */

/* Every unary function in turn, each of a dense and of a transposed view. */
static tensor *unary_all(graph *g, tensor *x, enum sqa_unary first, enum sqa_unary last)
{
    tensor *y = NULL;

    for (int f = (int)first; f <= (int)last; f++) {
        tensor *z = sqa_add(g, sqa_unary(g, (enum sqa_unary)f, x),
                            t01(g, sqa_square(g, sqa_unary(g, (enum sqa_unary)f, t01(g, x)))));

        y = y == NULL ? z : sqa_add(g, y, sqa_affine(g, 1 + 0.1 * f, z, 0));
    }
    return y;
}

BUILD(fill, sqa_add(g, sqa_fill(g, 2.5, SQA_DIMS(2, 3)), in[0]))
BUILD(reshape, sqa_square(g, sqa_reshape(g, t01(g, sqa_reshape(g, in[0], SQA_DIMS(3, -1))), SQA_DIMS(2, 2, 3))))
BUILD(permute, sqa_square(g, sqa_permute(g, in[0], (const int[]){2, 0, 1})))
BUILD(slice, sqa_square(g, sqa_slice(g, sqa_slice(g, in[0], 1, 1, 2), 0, 1, 3)))
BUILD(broadcast, sqa_square(g, sqa_broadcast(g, sqa_sum(g, in[0], 2, true), SQA_DIMS(2, 4, 3))))
BUILD(copy, sqa_square(g, sqa_dense(g, sqa_permute(g, in[0], (const int[]){2, 1, 0}))))
BUILD(concat0, sqa_square(g, sqa_concat(g, 0, 3, (tensor *[]){in[0], t01(g, in[1]), in[0]})))
BUILD(concat1, sqa_square(g, sqa_concat(g, 1, 2, (tensor *[]){in[0], in[1]})))
BUILD(pad, sqa_affine(g, 2, sqa_square(g, sqa_pad(g, sqa_pad(g, in[0], 1, 2, 1), 0, 0, 3)), 1))
BUILD(reverse, sqa_mul(g, sqa_reverse(g, in[0], 1), sqa_reverse(g, t01(g, in[1]), 0)))
BUILD(cumsum,
      sqa_square(g, sqa_add(g, sqa_cumsum(g, in[0], 0), sqa_cumsum(g, t01(g, sqa_cumsum(g, t01(g, in[0]), 0)), 1))))
BUILD(unary_any, unary_all(g, in[0], SQA_UNARY_ABS, SQA_UNARY_COS))
BUILD(unary_signed, sqa_add(g, unary_all(g, in[0], SQA_UNARY_NEG, SQA_UNARY_EXP), sqa_square(g, in[0])))
BUILD(unary_positive, unary_all(g, in[0], SQA_UNARY_LOG, SQA_UNARY_RECIP))
BUILD(add_row, sqa_square(g, sqa_add(g, in[0], in[1])))
BUILD(sub_both, sqa_square(g, sqa_sub(g, in[0], in[1])))
BUILD(mul_strided, sqa_mul(g, t01(g, in[0]), sqa_slice(g, in[1], 1, 1, 3)))
BUILD(mul_self, sqa_mul(g, sqa_mul(g, in[0], in[0]), t01(g, in[0])))
BUILD(div_any, sqa_div(g, in[0], in[1]))
BUILD(max_any, sqa_binary(g, SQA_BINARY_MAX, in[0], in[1]))
BUILD(affine, sqa_square(g, sqa_affine(g, -2, t01(g, in[0]), 0.5)))
BUILD(sum_all, sqa_square(g, sqa_sum(g, in[0], 7, false)))
BUILD(sum_ends, sqa_square(g, sqa_sum(g, in[0], 5, false)))
BUILD(sum_mid, sqa_square(g, sqa_sum(g, in[0], 2, true)))
BUILD(sum_none, sqa_square(g, sqa_sum(g, in[0], 0, false)))
BUILD(mean_last, sqa_square(g, sqa_mean(g, in[0], 4, false)))
BUILD(max_mid, sqa_square(g, sqa_max_over(g, in[0], 2, true)))
BUILD(max_ends, sqa_square(g, sqa_max_over(g, in[0], 5, false)))
BUILD(max_all, sqa_max_over(g, in[0], 7, false))
BUILD(matmul_nn, sqa_square(g, sqa_matmul(g, in[0], in[1], false, false)))
BUILD(matmul_tn, sqa_square(g, sqa_matmul(g, in[0], in[1], true, false)))
BUILD(matmul_nt, sqa_square(g, sqa_matmul(g, in[0], in[1], false, true)))
BUILD(matmul_tt, sqa_square(g, sqa_matmul(g, in[0], in[1], true, true)))
BUILD(matmul_heads, sqa_matmul(g, sqa_permute(g, in[0], (const int[]){0, 2, 1, 3}),
                               sqa_permute(g, in[1], (const int[]){0, 2, 3, 1}), false, false))
BUILD(matmul_odd, sqa_matmul(g, sqa_permute(g, in[0], (const int[]){3, 1, 0, 2}),
                             sqa_broadcast(g, sqa_slice(g, in[1], 0, 0, 1), SQA_DIMS(2, 2)), false, false))
BUILD(sum_tn, sqa_square(g, sqa_matmul_sum(g, in[0], in[1], true, false)))
BUILD(sum_nt, sqa_square(g, sqa_matmul_sum(g, in[0], in[1], false, true)))
BUILD(sum_nn, sqa_square(g, sqa_matmul_sum(g, in[0], in[1], false, false)))
BUILD(sum_tt, sqa_square(g, sqa_matmul_sum(g, in[0], in[1], true, true)))
BUILD(linear, sqa_linear(g, in[0], in[1], in[2]))
BUILD(linear_heads, sqa_linear(g, in[0], in[1], in[2]))
BUILD(linear_relu, sqa_linear_act(g, in[0], in[1], in[2], SQA_UNARY_RELU))
BUILD(linear_gelu, sqa_linear_act(g, in[0], in[1], in[2], SQA_UNARY_GELU))
BUILD(linear_silu, sqa_linear_act(g, in[0], in[1], NULL, SQA_UNARY_SILU))
BUILD(linear_elu1, sqa_linear_act(g, in[0], in[1], NULL, SQA_UNARY_ELU1))
BUILD(linear_tanh, sqa_linear_act(g, in[0], in[1], in[2], SQA_UNARY_TANH)) /* an op of its own */
BUILD(linear_strided, sqa_square(g, sqa_linear(g, sqa_slice(g, in[0], 1, 1, 1), t01(g, in[1]),
                                               sqa_reshape(g, sqa_slice(g, in[2], 1, 1, 1), SQA_DIMS(-1)))))
BUILD(linear_rows, sqa_square(g, sqa_linear(g, t01(g, in[0]), sqa_slice(g, in[1], 0, 1, 4), NULL)))
/* y of the second is not used, that of the third twice */
static tensor *linear_three(void *user, graph *g, tensor *const *in)
{
    static const int act[3] = {SQA_UNARY_SILU, SQA_UNARY_N, SQA_UNARY_GELU};
    tensor *y[3];

    (void)user;
    sqa_linear_n(g, in[0], 3, (tensor *[]){in[1], in[2], in[3]}, (tensor *[]){in[4], NULL, in[5]}, act, y);
    return sqa_concat(g, 1, 4, (tensor *[]){y[0], y[1], y[2], sqa_square(g, y[2])});
}
static tensor *linear_unused(void *user, graph *g, tensor *const *in)
{
    tensor *y[2];

    (void)user;
    sqa_linear_n(g, in[0], 2, (tensor *[]){in[1], in[2]}, (tensor *[]){in[3], NULL}, NULL, y);
    return sqa_square(g, y[1]);
}
BUILD(softmax, sqa_softmax(g, sqa_affine(g, 2, in[0], 0)))
BUILD(masked_softmax, sqa_masked_softmax(g, sqa_affine(g, 2, in[0], 0), in[1], 0.7, false))
BUILD(masked_softmax_causal, sqa_masked_softmax(g, in[0], in[1], 0.7, true))
BUILD(masked_softmax_all, sqa_masked_softmax(g, in[0], NULL, 2, false))
BUILD(add_int, sqa_square(g, sqa_mask_rows(g, in[0], sqa_add_int(g, in[1], 1))))
BUILD(log_sum_exp, sqa_log_sum_exp(g, t01(g, in[0])))
BUILD(layernorm, sqa_layernorm(g, in[0], in[1], in[2], 1e-5, false))
BUILD(layernorm_bare, sqa_unary(g, SQA_UNARY_GELU, sqa_layernorm(g, in[0], NULL, NULL, 1e-5, false)))
BUILD(layernorm_bias, sqa_layernorm(g, in[0], NULL, in[1], 1e-5, false))
/* Both outputs are used; norm(a + b) as models write it is fused when the plan is made. */
static tensor *add_layernorm(void *user, graph *g, tensor *const *in)
{
    tensor *sum, *y = sqa_add_layernorm(g, in[0], in[1], in[2], in[3], 1e-5, false, &sum);

    (void)user;
    return sqa_add(g, sqa_unary(g, SQA_UNARY_GELU, sum), y);
}
BUILD(add_layernorm_sum,
      sqa_unary(g, SQA_UNARY_GELU, sqa_layernorm(g, sqa_add(g, in[0], in[1]), NULL, in[2], 1e-5, true)))
BUILD(rmsnorm, sqa_layernorm(g, in[0], in[1], NULL, 1e-5, true))
BUILD(embedding, sqa_square(g, sqa_embedding(g, in[0], in[1])))
BUILD(mask_rows, sqa_square(g, sqa_mask_rows(g, in[0], in[1])))
BUILD(mean_rows, sqa_square(g, sqa_mean_rows(g, in[0], in[1])))
BUILD(mean_rows_full, sqa_square(g, sqa_mean_rows(g, in[0], NULL)))
BUILD(dropout, sqa_square(g, sqa_dropout(g, sqa_dropout(g, in[0], 0.3), 0.5)))
BUILD(cross_entropy, sqa_cross_entropy(g, in[0], in[1]))
BUILD(per_label, sqa_square(g, sqa_mul(g, in[0], sqa_per_label(g, in[1]))))
BUILD(squared_error, sqa_squared_error(g, in[0], in[1]))
BUILD(absolute_error, sqa_absolute_error(g, in[0], in[1]))
BUILD(attention, sqa_attention(g, in[0], in[1], in[2], in[3],
                               (struct sqa_attention_spec){.scale = 0.5, .causal = false, .dropout = 0}))
BUILD(attention_causal, sqa_attention(g, in[0], in[1], in[2], in[3],
                                      (struct sqa_attention_spec){.scale = 0.7, .causal = true, .dropout = 0}))
BUILD(attention_drop, sqa_attention(g, in[0], in[1], in[2], NULL,
                                    (struct sqa_attention_spec){.scale = 0.7, .causal = false, .dropout = 0.4}))
/* q, k, v of one fused projection (B, L, 3, H, d); and heads before positions */
BUILD(attention_fused, sqa_attention(g, sqa_reshape(g, sqa_slice(g, in[0], 2, 0, 1), SQA_DIMS(2, 5, 2, 4)),
                                     sqa_permute(g, in[1], (const int[]){0, 2, 1, 3}),
                                     sqa_permute(g, in[2], (const int[]){0, 3, 1, 2}), NULL,
                                     (struct sqa_attention_spec){.scale = 0.5, .causal = true, .dropout = 0}))
BUILD(attention_window,
      sqa_attention(g, in[0], in[1], in[2], in[3],
                    (struct sqa_attention_spec){.scale = 0.5, .dropout = 0.3, .window = true, .left = 2, .right = 1}))
BUILD(attention_bias, sqa_attention_masked(g, in[0], in[1], in[2], (struct sqa_attention_masks){.bias = in[3]},
                                           (struct sqa_attention_spec){.scale = 0.5, .dropout = 0.2}))
BUILD(attention_blocks,
      sqa_attention_masked(g, in[0], in[1], in[2], (struct sqa_attention_masks){.start = in[3], .key = in[4]},
                           (struct sqa_attention_spec){.scale = 0.5, .block = 2}))
BUILD(attention_local, sqa_attention(g, in[0], in[1], in[2], in[3],
                                     (struct sqa_attention_spec){.scale = 0.5, .causal = true, .local = 3}))
BUILD(attention_spread, sqa_attention(g, in[0], in[1], in[2], in[3],
                                      (struct sqa_attention_spec){.scale = 0.5, .local = 3, .spread = true}))
/* All pairs of a query from three sets: keys before it, keys behind it, and itself with another key and value */
static tensor *attention_merge(void *user, graph *g, tensor *const *in)
{
    tensor *o[3], *lse[3];

    (void)user;
    o[0] = sqa_attention(
        g, in[0], in[1], in[2], in[3],
        (struct sqa_attention_spec){.scale = 0.5, .dropout = 0.3, .window = true, .left = 9, .right = -1});
    o[1] = sqa_attention(g, in[0], in[1], in[2], in[3],
                         (struct sqa_attention_spec){.scale = 0.5, .window = true, .left = -1, .right = 2});
    o[2] = sqa_attention(g, sqa_slice(g, in[0], 1, 0, 6), in[2], in[1], in[3],
                         (struct sqa_attention_spec){.scale = 0.4, .local = 4});
    for (int k = 0; k < 3; k++)
        lse[k] = sqa_attention_lse(o[k]);
    lse[2] = sqa_slice(g, lse[2], 2, 0, 6);
    return sqa_attention_merge(g, 3, o, lse);
}
/* The same, two of the sets merged first */
static tensor *attention_merge_twice(void *user, graph *g, tensor *const *in)
{
    tensor *o[3], *lse[3], *both;

    (void)user;
    o[0] = sqa_attention(g, in[0], in[1], in[2], in[3],
                         (struct sqa_attention_spec){.scale = 0.5, .window = true, .left = 9, .right = -1});
    o[1] = sqa_attention(g, in[0], in[1], in[2], in[3],
                         (struct sqa_attention_spec){.scale = 0.5, .window = true, .left = -1, .right = 2});
    o[2] = sqa_attention(g, in[0], in[2], in[1], in[3], (struct sqa_attention_spec){.scale = 0.4});
    for (int k = 0; k < 3; k++)
        lse[k] = sqa_attention_lse(o[k]);
    both = sqa_attention_merge_lse(g, 2, o, lse);
    return sqa_attention_merge(g, 2, (tensor *[]){both, o[2]}, (tensor *[]){sqa_attention_lse(both), lse[2]});
}
BUILD(attention_lse,
      sqa_unary(g, SQA_UNARY_TANH,
                sqa_attention_lse(sqa_attention(g, in[0], in[1], in[2], NULL,
                                                (struct sqa_attention_spec){.scale = 0.5, .causal = true}))))
BUILD(attention_key_blocks,
      sqa_attention_masked(g, in[0], in[1], in[2],
                           (struct sqa_attention_masks){.lengths = in[5], .start = in[3], .key = in[4]},
                           (struct sqa_attention_spec){.scale = 0.5, .block = 3, .key_block = 2}))
/* Head r has the valid ones of keys r, r + 2, ... at its front; and as many keys as there are from 2 on */
BUILD(count_before, sqa_add(g,
                            sqa_attention(g, in[0], in[1], in[2],
                                          sqa_count_before(g, in[3], 2, 6, (struct sqa_periodic){0, 2, 1, 2, 1}),
                                          (struct sqa_attention_spec){.scale = 0.5}),
                            sqa_attention(g, in[0], in[1], in[2],
                                          sqa_count_before(g, NULL, 2, 6, (struct sqa_periodic){.start = 2}),
                                          (struct sqa_attention_spec){.scale = 0.5})))
BUILD(scan, sqa_scan(g, in[0], in[1], false))
BUILD(scan_complex, sqa_scan(g, in[0], in[1], true))
BUILD(scan_backward, sqa_scan_directed(g, in[0], in[1], false, SQA_SCAN_BACKWARD))
BUILD(scan_both, sqa_scan_directed(g, in[0], in[1], true, SQA_SCAN_BOTH))
BUILD(scan_strided, sqa_scan(g, in[0], t01(g, in[1]), true))
BUILD(conv1d, sqa_conv1d(g, in[0], in[1], in[2], NULL, 1))
BUILD(conv1d_causal, sqa_square(g, sqa_conv1d(g, in[0], in[1], NULL, in[2], in[1]->dim[0] - 1)))
BUILD(conv1d_ahead, sqa_square(g, sqa_conv1d(g, t01(g, in[0]), in[1], in[2], in[3], 0)))
BUILD(glu, sqa_glu(g, in[0]))
BUILD(fftconv, sqa_fftconv(g, in[0], in[1], NULL))
BUILD(fftconv_two, sqa_fftconv(g, t01(g, in[0]), in[1], in[2]))

/* Second derivatives: the gradient of sum(f(x)^2 / 2 ...) as y */

BUILD(second_square, gradient_of(g, sqa_square(g, in[0]), in[0]))
BUILD(second_tanh, gradient_of(g, sqa_unary(g, SQA_UNARY_TANH, in[0]), in[0]))
BUILD(second_mul, gradient_of(g, sqa_mul(g, in[0], in[1]), in[1]))
BUILD(second_div, gradient_of(g, sqa_div(g, in[0], in[1]), in[1]))
BUILD(second_matmul, gradient_of(g, sqa_matmul(g, in[0], in[1], false, false), in[1]))
BUILD(second_matmul_batch, gradient_of(g, sqa_matmul(g, in[0], in[1], true, true), in[0]))
BUILD(second_linear, gradient_of(g, linear_gelu(NULL, g, in), in[0]))
BUILD(second_linear_w, gradient_of(g, linear_silu(NULL, g, in), in[1]))
BUILD(second_linear_b, gradient_of(g, linear_gelu(NULL, g, in), in[2]))
BUILD(second_linear_three, gradient_of(g, linear_three(NULL, g, in), in[3]))
BUILD(second_softmax, gradient_of(g, sqa_softmax(g, in[0]), in[0]))
BUILD(second_embedding, gradient_of(g, sqa_embedding(g, in[0], in[1]), in[0]))
BUILD(second_mean_rows, gradient_of(g, sqa_mean_rows(g, in[0], in[1]), in[0]))
BUILD(second_unary, gradient_of(g, unary_all(g, in[0], SQA_UNARY_RELU, SQA_UNARY_COS), in[0]))
BUILD(second_positive, gradient_of(g, unary_all(g, in[0], SQA_UNARY_LOG, SQA_UNARY_RECIP), in[0]))
BUILD(second_shape, gradient_of(g,
                                sqa_mul(g, sqa_cumsum(g, sqa_pad(g, sqa_reverse(g, in[0], 1), 1, 1, 0), 0),
                                        sqa_dense(g, sqa_concat(g, 1, 2, (tensor *[]){in[0], in[1]}))),
                                in[0]))

static const int32_t lengths3[] = {5, 0, 3}, lengths2[] = {2, 9}, length1[] = {1050}, labels[] = {3, 0, -1, 2, 7};
static const int32_t lengths_long[] = {1400, 0, 1500};
static const int32_t starts[] = {0, 2, 2, 5}, keys[] = {0, 2, 0, 1, 2}; /* block list: three query blocks */
/* a list for each row and head of two query blocks */
static const int32_t starts_each[] = {0, 2, 3, 3, 3, 5, 5, 6, 7, 7, 9, 10};
static const int32_t keys_each[] = {0, 2, 1, 1, 2, 0, 2, 0, 1, 2}, lengths_each[] = {6, 5, 3, 4};

static const struct op_case cases[] = {
    {"fill", fill, {R(2, 3)}, 1, "fill", 0},
    {"reshape", reshape, {R(3, 4)}, 1, "reshape permute copy", 0},
    {"permute", permute, {R(2, 3, 4)}, 1, "permute", 0},
    {"slice", slice, {R(5, 4)}, 1, "slice pad", 0},
    {"broadcast", broadcast, {R(2, 5, 3)}, 1, "broadcast sum", 0},
    {"broadcast 1", broadcast, {R(2, 5, 1)}, 1, "broadcast sum", 0},
    {"copy", copy, {R(2, 3, 4)}, 1, "copy", 0},
    {"concat 0", concat0, {R(2, 3), R(3, 4)}, 2, "concat", 0},
    {"concat 1", concat1, {R(2, 3, 2), R(2, 1, 2)}, 2, "concat", 0},
    {"pad", pad, {R(2, 3)}, 1, "pad slice", 0},
    {"reverse", reverse, {R(2, 5), R(5, 2)}, 2, "reverse", 0},
    {"cumsum", cumsum, {R(4, 3)}, 1, "cumsum", 0},
    {"unary any", unary_any, {R(4, 5)}, 1, "abs relu gelu tanh sigmoid silu softplus elu1 sin cos unary_grad", 0},
    {"unary signed", unary_signed, {U(-2, 2, 3, 5)}, 1, "neg exp", 0},
    {"unary positive", unary_positive, {U(0.5, 2, 3, 5)}, 1, "log sqrt rsqrt square recip", 0},
    {"add row", add_row, {R(4, 3), R(3)}, 2, "add sum", 0},
    {"add column", add_row, {R(4, 3), R(4, 1)}, 2, "add", 0},
    {"add scalar", add_row, {R(4, 3), R0}, 2, "add", 0},
    {"add scalar left", add_row, {R0, R(4, 3)}, 2, "add", 0},
    {"sub outer", sub_both, {R(5, 1), R(1, 2)}, 2, "sub neg", 0},
    {"sub row left", sub_both, {R(2), R(3, 4, 2)}, 2, "sub", 0},
    {"sub column left", sub_both, {R(3, 1), R(2, 3, 4)}, 2, "sub", 0},
    {"mul strided", mul_strided, {R(3, 4), R(4, 5)}, 2, "mul", 0},
    {"mul middle", second_mul, {R(2, 1, 3), R(2, 4, 3)}, 2, "mul", 0},
    {"mul self", mul_self, {R(3, 3)}, 1, "mul", 0},
    {"div", div_any, {R(4, 3), U(0.5, 2, 4, 1)}, 2, "div", 0},
    {"div left", div_any, {R(4, 1), U(0.5, 2, 3)}, 2, "div", 0},
    {"max", max_any, {R(4, 3), R(3)}, 2, "max", 0},
    {"affine", affine, {R(2, 3)}, 1, "affine", 0},
    {"sum all", sum_all, {R(2, 3, 4)}, 1, "sum", 0},
    {"sum ends", sum_ends, {R(2, 3, 4)}, 1, "sum", 0},
    {"sum mid", sum_mid, {R(2, 3, 4)}, 1, "sum", 0},
    {"sum none", sum_none, {R(2, 3)}, 1, "square", 0},
    {"sum long", sum_mid, {R(2, 300, 1)}, 1, "sum", 0},
    {"mean", mean_last, {R(2, 3, 4)}, 1, "sum affine", 0},
    {"max mid", max_mid, {R(2, 5, 4)}, 1, "max_over max_over_grad", 0},
    {"max ends", max_ends, {R(2, 5, 4)}, 1, "max_over", 0},
    {"max all", max_all, {R(2, 5, 4)}, 1, "max_over", 0},
    {"matmul", matmul_nn, {R(3, 4), R(4, 5)}, 2, "matmul matmul_sum", 0},
    {"matmul 1", matmul_nn, {R(1, 1), R(1, 1)}, 2, "matmul", 0},
    {"matmul row", matmul_nn, {R(2, 1, 5), R(5, 1)}, 2, "matmul", 0},
    {"matmul tn", matmul_tn, {R(4, 3), R(4, 5)}, 2, "matmul", 0},
    {"matmul nt", matmul_nt, {R(3, 4), R(5, 4)}, 2, "matmul", 0},
    {"matmul tt", matmul_tt, {R(4, 3), R(5, 4)}, 2, "matmul", 0},
    {"matmul flat", matmul_nn, {R(2, 3, 4), R(4, 5)}, 2, "matmul matmul_sum", 0},
    {"matmul flat nt", matmul_nt, {R(2, 3, 2, 4), R(5, 4)}, 2, "matmul matmul_sum", 0},
    {"matmul flat tn", matmul_tn, {R(2, 4, 3), R(4, 5)}, 2, "matmul matmul_sum", 0},
    {"matmul left", matmul_nn, {R(3, 4), R(2, 4, 5)}, 2, "matmul matmul_sum", 0},
    {"matmul left tt", matmul_tt, {R(4, 3), R(2, 5, 4)}, 2, "matmul matmul_sum", 0},
    {"matmul batch", matmul_nn, {R(2, 3, 4), R(2, 4, 5)}, 2, "matmul", 0},
    {"matmul part", matmul_nn, {R(2, 1, 3, 4), R(2, 3, 4, 5)}, 2, "matmul sum", 0},
    {"matmul cross", matmul_tt, {R(2, 1, 4, 3), R(3, 5, 4)}, 2, "matmul sum", 0},
    {"matmul one", matmul_nn, {R(2, 3, 4), R(1, 4, 2)}, 2, "matmul matmul_sum", 0},
    {"matmul heads", matmul_heads, {R(2, 3, 2, 4), R(2, 5, 2, 4)}, 2, "matmul", 0},
    {"matmul odd", matmul_odd, {R(2, 2, 2, 3), R(2, 2)}, 2, "matmul copy", 0},
    {"matmul_sum flat", sum_tn, {R(2, 4, 3), R(2, 4, 5)}, 2, "matmul_sum", 0},
    {"matmul_sum nt", sum_nt, {R(2, 3, 4), R(2, 5, 4)}, 2, "matmul_sum", 0},
    {"matmul_sum row", sum_tn, {R(5, 1, 3), R(5, 1, 2)}, 2, "matmul_sum", 0},
    {"matmul_sum shared", sum_nn, {R(2, 3, 4), R(4, 5)}, 2, "matmul_sum", 0},
    {"matmul_sum cross", sum_tt, {R(2, 1, 4, 3), R(3, 5, 4)}, 2, "matmul_sum", 0},
    {"linear", linear, {R(2, 3, 4), R(4, 5), R(5)}, 3, "linear linear_bwd", 0},
    {"linear 1", linear, {R(1, 1), R(1, 1), R(1)}, 3, "linear linear_bwd", 0},
    {"linear large", linear, {R(3, 350), R(350, 800), R(800)}, 3, "linear matmul matmul_sum sum", 1e-4},
    {"linear heads", linear_heads, {R(3, 1, 2, 4), R(3, 4, 5), R(5)}, 3, "matmul add", 0},
    {"linear relu", linear_relu, {R(7, 4), R(4, 17), R(17)}, 3, "linear linear_bwd", 0},
    {"linear gelu", linear_gelu, {R(2, 3, 9), R(9, 5), R(5)}, 3, "linear linear_bwd", 0},
    {"linear gelu large", linear_gelu, {R(2, 400), R(400, 400), R(400)}, 3, "linear unary_grad", 1e-4},
    {"linear silu", linear_silu, {R(3, 4), R(4, 5)}, 2, "linear linear_bwd", 0},
    {"linear elu1", linear_elu1, {R(3, 4), R(4, 5)}, 2, "linear linear_bwd", 0},
    {"linear tanh", linear_tanh, {R(3, 4), R(4, 5), R(5)}, 3, "matmul add tanh", 0},
    {"linear strided", linear_strided, {R(4, 3, 6), R(5, 6), R(5, 2)}, 3, "linear linear_bwd", 0},
    {"linear rows", linear_rows, {R(4, 3), R(5, 2)}, 2, "linear linear_bwd copy", 0},
    {"linear three", linear_three, {R(6, 5), R(5, 3), R(5, 18), R(5, 7), R(3), R(7)}, 6, "linear linear_bwd", 0},
    {"linear unused", linear_unused, {R(6, 5), R(5, 3), R(5, 2), R(3)}, 4, "linear linear_bwd", 0},
    {"softmax", softmax, {R(3, 5)}, 1, "softmax softmax_grad", 0},
    {"softmax 1", softmax, {R(3, 1)}, 1, "softmax", 0},
    {"masked_softmax", masked_softmax, {R(3, 2, 4, 6), L(lengths3)}, 2, "masked_softmax masked_softmax_grad", 0},
    {"masked_softmax causal", masked_softmax_causal, {R(3, 2, 5, 5), L(lengths3)}, 2, "masked_softmax_grad", 0},
    {"masked_softmax all", masked_softmax_all, {R(2, 1, 3, 7)}, 1, "masked_softmax_grad", 0},
    {"add_int", add_int, {R(3, 5, 2), L(lengths3)}, 2, "add_int mask_rows", 0},
    {"log_sum_exp", log_sum_exp, {R(3, 5)}, 1, "log_sum_exp exp", 0},
    {"layernorm", layernorm, {R(2, 3, 5), R(5), R(5)}, 3, "layernorm layernorm_grad", 1e-4},
    {"layernorm bare", layernorm_bare, {R(4, 5)}, 1, "layernorm layernorm_grad", 1e-4},
    {"layernorm bias", layernorm_bias, {R(4, 5), R(5)}, 2, "layernorm layernorm_grad", 1e-4},
    {"layernorm rows", layernorm, {R(600, 3), R(3), R(3)}, 3, "layernorm layernorm_grad", 1e-3},
    {"add_layernorm", add_layernorm, {R(2, 3, 5), R(2, 3, 5), R(5), R(5)}, 4, "add_layernorm layernorm_grad", 1e-4},
    {"add_layernorm rows",
     add_layernorm,
     {R(600, 3), R(600, 3), R(3), R(3)},
     4,
     "add_layernorm layernorm_grad",
     1e-3},
    {"add_layernorm sum", add_layernorm_sum, {R(4, 5), R(4, 5), R(5)}, 3, "add_layernorm layernorm_grad", 1e-4},
    {"rmsnorm", rmsnorm, {R(3, 5), R(5)}, 2, "layernorm layernorm_grad", 1e-4},
    {"embedding", embedding, {R(4, 3), N(-1, 6, 2, 5)}, 2, "embedding embedding_grad", 0},
    {"mask_rows", mask_rows, {R(3, 5, 2), L(lengths3)}, 2, "mask_rows", 0},
    {"mean_rows", mean_rows, {R(3, 5, 2), L(lengths3)}, 2, "mean_rows spread_rows", 0},
    {"mean_rows full", mean_rows_full, {R(3, 5, 2)}, 1, "sum affine", 0},
    {"dropout", dropout, {R(7, 11)}, 1, "dropout", 0},
    {"per_label", per_label, {R(2, 3), L(labels)}, 2, "per_label", 0},
    {"cross_entropy", cross_entropy, {R(5, 4), L(labels)}, 2, "cross_entropy cross_entropy_grad", 0},
    {"squared_error", squared_error, {R(5, 4), R(5, 4)}, 2, "square", 0},
    {"absolute_error", absolute_error, {R(5, 4), R(5, 4)}, 2, "abs", 0},
    {"attention",
     attention,
     {R(3, 4, 2, 3), R(3, 5, 2, 3), R(3, 5, 2, 2), L(lengths3)},
     4,
     "attention attention_bwd",
     1e-4},
    {"attention causal",
     attention_causal,
     {R(2, 5, 1, 4), R(2, 5, 1, 4), R(2, 5, 1, 4), L(lengths2)},
     4,
     "attention attention_bwd",
     1e-4},
    {"attention dropout",
     attention_drop,
     {R(2, 5, 2, 3), R(2, 5, 2, 3), R(2, 5, 2, 3)},
     3,
     "attention attention_bwd",
     1e-4},
    {"attention 1", attention_drop, {R(1, 1, 1, 1), R(1, 2, 1, 1), R(1, 2, 1, 1)}, 3, "attention", 1e-4},
    {"attention fused",
     attention_fused,
     {R(2, 5, 3, 2, 4), R(2, 2, 5, 4), R(2, 2, 4, 5)},
     3,
     "attention attention_bwd copy",
     1e-4},
    {"attention window",
     attention_window,
     {R(2, 6, 2, 3), R(2, 6, 2, 3), R(2, 6, 2, 3), L(lengths2)},
     4,
     "attention attention_bwd",
     1e-4},
    {"attention bias",
     attention_bias,
     {R(2, 4, 2, 3), R(2, 5, 2, 3), R(2, 5, 2, 3), R(2, 2, 4, 5)},
     4,
     "attention attention_bwd",
     1e-4},
    {"attention bias shared",
     attention_bias,
     {R(2, 4, 2, 3), R(2, 5, 2, 3), R(2, 5, 2, 3), R(1, 2, 4, 5)},
     4,
     "attention attention_bwd",
     1e-4},
    {"attention bias one",
     attention_bias,
     {R(3, 4, 2, 3), R(3, 5, 2, 3), R(3, 5, 2, 3), R(1, 1, 4, 5)},
     4,
     "attention attention_bwd",
     1e-4},
    {"attention blocks",
     attention_blocks,
     {R(2, 5, 2, 3), R(2, 6, 2, 3), R(2, 6, 2, 3), L(starts), L(keys)},
     5,
     "attention attention_bwd",
     1e-4},
    {"attention local",
     attention_local,
     {R(3, 8, 2, 3), R(3, 8, 2, 3), R(3, 8, 2, 3), L(lengths3)},
     4,
     "attention attention_bwd",
     1e-4},
    {"attention spread",
     attention_spread,
     {R(3, 8, 2, 3), R(3, 8, 2, 3), R(3, 8, 2, 3), L(lengths3)},
     4,
     "attention attention_bwd",
     1e-4},
    {"attention merge",
     attention_merge,
     {R(2, 6, 2, 3), R(2, 6, 2, 3), R(2, 6, 2, 3), L(lengths2)},
     4,
     "attention attention_bwd attention_merge attention_merge_bwd",
     1e-4},
    {"attention merge wide",
     attention_merge,
     {R(2, 6, 2, 35), R(2, 6, 2, 35), R(2, 6, 2, 35), L(lengths2)},
     4,
     "attention_merge attention_merge_bwd",
     1e-4},
    {"attention merge twice",
     attention_merge_twice,
     {R(2, 6, 2, 3), R(2, 6, 2, 3), R(2, 6, 2, 3), L(lengths2)},
     4,
     "attention_merge attention_merge_bwd",
     1e-4},
    {"attention lse", attention_lse, {R(2, 5, 2, 3), R(2, 5, 2, 3), R(2, 5, 2, 3)}, 3, "attention_bwd", 1e-4},
    {"attention key blocks",
     attention_key_blocks,
     {R(2, 5, 2, 3), R(2, 6, 2, 3), R(2, 6, 2, 3), L3(starts_each, 2, 2, 3), L(keys_each), L3(lengths_each, 2, 2)},
     6,
     "attention attention_bwd",
     1e-4},
    {"count_before",
     count_before,
     {R(2, 6, 2, 3), R(2, 6, 2, 3), R(2, 6, 2, 3), L(lengths2)},
     4,
     "count_before attention",
     1e-4},
    {"scan", scan, {R(2, 5, 3), R(2, 5, 3)}, 2, "scan scan_bwd", 0},
    {"scan constant", scan, {R(3), R(2, 5, 3)}, 2, "scan", 0},
    {"scan wide", scan, {R(1, 3, 37), R(2, 3, 37)}, 2, "scan", 0},
    {"scan complex", scan_complex, {R(2, 4, 6), R(2, 4, 6)}, 2, "scan scan_bwd", 0},
    {"scan backward", scan_backward, {R(2, 5, 3), R(2, 5, 3)}, 2, "scan scan_bwd", 0},
    {"scan backward constant", scan_backward, {R(35), R(2, 5, 35)}, 2, "scan scan_bwd", 0},
    {"scan both", scan_both, {R(2, 4, 6), R(2, 4, 6)}, 2, "scan scan_bwd", 0},
    {"scan both constant", scan_both, {R(6), R(3, 4, 6)}, 2, "scan scan_bwd", 0},
    {"scan complex constant", scan_strided, {R(6), R(5, 2, 6)}, 2, "scan", 0},
    {"conv1d", conv1d, {R(2, 6, 3), R(3, 3), R(3)}, 3, "conv1d conv1d_bwd", 0},
    {"conv1d causal", conv1d_causal, {R(3, 6, 5), R(4, 5), L(lengths3)}, 3, "conv1d conv1d_bwd", 0},
    {"conv1d one tap", conv1d_causal, {R(3, 4, 2), R(1, 2), L(lengths3)}, 3, "conv1d", 0},
    {"conv1d long", conv1d_ahead, {R(5, 2, 9), R(11, 9), R(9), L(lengths2)}, 4, "conv1d conv1d_bwd", 0},
    {"glu", glu, {R(2, 5, 6)}, 1, "glu glu_bwd", 0},
    {"glu wide", glu, {R(3, 40)}, 1, "glu", 0},
    {"fftconv", fftconv, {R(2, 7, 3), R(3, 7)}, 2, "fftconv fftconv_bwd", 1e-4},
    {"fftconv 1", fftconv, {R(2, 1, 2), R(2, 1)}, 2, "fftconv", 1e-4},
    {"fftconv 10 wide", fftconv, {R(2, 5, 10), R(10, 5)}, 2, "fftconv", 1e-4},
    {"fftconv two", fftconv_two, {R(8, 2, 3), R(3, 8), R(3, 8)}, 3, "fftconv fftconv_bwd", 1e-4},
    {"second square", second_square, {R(2, 3)}, 1, "square mul", 0},
    {"second tanh", second_tanh, {R(2, 3)}, 1, "tanh", 0},
    {"second mul", second_mul, {R(2, 3), R(3)}, 2, "mul sum", 0},
    {"second div", second_div, {R(2, 3), U(0.5, 2, 3)}, 2, "div", 1e-4},
    {"second matmul", second_matmul, {R(2, 3, 4), R(4, 2)}, 2, "matmul matmul_sum", 0},
    {"second matmul batch", second_matmul_batch, {R(2, 1, 4, 3), R(3, 2, 4)}, 2, "matmul sum", 0},
    {"second linear", second_linear, {R(2, 3), R(3, 4), R(4)}, 3, "linear_bwd matmul", 1e-4},
    {"second linear w", second_linear_w, {R(2, 3), R(3, 4)}, 2, "linear_bwd matmul", 1e-4},
    {"second linear b", second_linear_b, {R(2, 3), R(3, 4), R(4)}, 3, "linear_bwd matmul", 1e-4},
    {"second linear three",
     second_linear_three,
     {R(6, 5), R(5, 3), R(5, 18), R(5, 7), R(3), R(7)},
     6,
     "linear_bwd matmul",
     1e-4},
    {"second softmax", second_softmax, {R(3, 4)}, 1, "softmax softmax_grad", 1e-4},
    {"embedding parts", embedding, {R(2, 3), N(-1, 3, 20, 20)}, 2, "embedding embedding_grad", 0},
    {"second embedding", second_embedding, {R(4, 3), N(0, 4, 5)}, 2, "embedding embedding_grad", 0},
    {"second mean_rows", second_mean_rows, {R(3, 5, 2), L(lengths3)}, 2, "spread_rows mean_rows", 0},
    {"second unary", second_unary, {R(3, 4)}, 1, "unary_grad sigmoid", 1e-4},
    {"second positive", second_positive, {U(0.5, 2, 3, 2)}, 1, "mul", 1e-3},
    {"second shape", second_shape, {R(2, 3), R(2, 1)}, 2, "cumsum reverse pad slice concat", 0},
};
enum { CASES = sizeof cases / sizeof *cases };

#endif
