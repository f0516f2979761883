/*
 * seq2seq.h - encoder and decoder of forecasts made in one pass, which transformer_ed and informer share
 *
 * Embedding: a circular convolution of kernel 3 over time without bias, Kaiming-normal, plus sines of the position,
 * plus a linear map of the rows' time features where the task has times (all else goes without), then dropout.
 * Encoder: blocks of the model's own slots, a layer norm; with `distil` between two blocks a circular convolution of
 * kernel 3 (D -> D), BatchNorm, ELU and max-pooling of kernel 3, stride 2, padding 1: L -> ceil(L / 2).
 * Decoder: the last `label` rows of x, then H rows of zeros, embedded; layers of self-attention, attention to the
 * encoder's rows and the channel item, a norm after each sum; a layer norm; D -> outputs of the last H rows.
 * Source: Zhou et al. 2021, arXiv:2012.07436; zhouhaoyi/Informer2020 and thuml/Time-Series-Library, models/.
 */
#ifndef SQA_MODELS_SEQ2SEQ_H
#define SQA_MODELS_SEQ2SEQ_H

#include "models/forecast.h"
#include "models/model.h"

struct sqa_seq2seq { /* the first member of a model's self */
    int64_t label, decoder_layers;
    int64_t embed_bias; /* biases of convolution and time map, as Informer2020 has them */
    int64_t distil;
    int64_t padding; /* of distilling's convolution: 1; or 2, which makes two rows more first, as its copies do */
    const char *instance; /* of SQA_INSTANCE_CHOICES */
};
/* Rows of a parameter table, the members named; a model's own rows stand between the two. */
/* clang-format off */
#define SQA_SEQ2SEQ_PARAMS(self, label, decoder_layers)                                                            \
    {"label", "known rows that the decoder begins with", SQA_PARAM_INT, "48", 0, 1 << 24, offsetof(self, label),   \
     NULL},                                                                                                        \
    {"decoder_layers", "layers of the decoder", SQA_PARAM_INT, "1", 1, 64, offsetof(self, decoder_layers), NULL}
#define SQA_SEQ2SEQ_LATER(self, embed_bias, instance)                                                              \
    {"embed_bias", "1: biases in the embeddings of values and times", SQA_PARAM_BOOL, "0", 0, 0,                   \
     offsetof(self, embed_bias), NULL},                                                                            \
    SQA_INSTANCE_PARAM(self, instance, "none")
/* clang-format on */

/* The decoder's self-attention: heads (B, label + H, heads, d) of c -> the same shape; and its forward flops. */
typedef struct sqa_tensor *sqa_attend_fn(const void *self, struct sqa_context *c, struct sqa_heads h);
typedef double sqa_attend_flops_fn(const void *self, const struct sqa_context *c);

/* The hooks of both; self begins with a struct sqa_seq2seq. c->model has slots. */
int64_t sqa_seq2seq_tokens(const void *self, const struct sqa_signature *task);
/* x (B, L, C) -> (B, H, outputs). */
struct sqa_tensor *sqa_seq2seq_build(const void *self, sqa_attend_fn *attend, struct sqa_context *c,
                                     struct sqa_tensor *x);
double sqa_seq2seq_flops(const void *self, sqa_attend_flops_fn *attend_flops, const struct sqa_context *c);
/* Refuses tasks that are no forecast, and label beyond the look-back. */
enum sqa_status sqa_seq2seq_check(const char *id, const void *self, const struct sqa_frame *frame,
                                  const struct sqa_signature *task, struct sqa_err *err);

#endif
