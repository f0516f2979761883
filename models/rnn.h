/*
 * rnn.h - recurrent networks with gates: what gru.c and lstm.c share
 *
 *     lstm   i, f, a, o = W x_t + b + U h_(t-1);  c_t = s(f) c_(t-1) + s(i) tanh(a);  h_t = s(o) tanh(c_t)
 *     gru    r, k = s(W x_t + b + U h_(t-1));  a = tanh(W_a x_t + b_a + r (U_a h_(t-1) + d));
 *            h_t = k h_(t-1) + (1 - k) a
 *
 * s is the sigmoid. W x + b of all positions is one product; U h is one product a position for blocks of rows.
 * Backwards in time the network begins at the last valid position. Gates stand side by side: i f a o, or r k a.
 *
 * Source: Hochreiter and Schmidhuber 1997; Cho et al. 2014, arXiv:1406.1078, with the reset after the product, as
 * cuDNN and PyTorch have it
 */
#ifndef SQA_MODELS_RNN_H
#define SQA_MODELS_RNN_H

#include "models/variant.h"

enum sqa_rnn_kind { SQA_RNN_GRU, SQA_RNN_LSTM };

struct sqa_rnn_spec {
    enum sqa_rnn_kind kind;
    int64_t hidden;            /* units of a direction */
    bool both;                 /* and a second network that goes backwards in time */
    const double *forget_bias; /* lstm: added to the initial bias of f; it lives as long as the model */
};

/* x (B, L, D) -> (B, L, H), or (B, L, 2 H) with both. Parameters "past.wx" (D, G H), "past.bx" (G H), "past.wh" (H, G
 * H), gru "past.bh" (H); with both also "future.wx", ...; all uniform within 1 / sqrt(H). */
struct sqa_tensor *sqa_rnn(struct sqa_context *c, struct sqa_rnn_spec s, struct sqa_tensor *x);
/* One position forwards in time (models/step.h): x (B, 1, D) -> (B, 1, H). State "h", and "c" of lstm. */
struct sqa_tensor *sqa_rnn_step(struct sqa_context *c, struct sqa_rnn_spec s, struct sqa_tensor *x);
/* Forward flops of sqa_rnn for input width D. */
double sqa_rnn_flops(const struct sqa_context *c, struct sqa_rnn_spec s);

#endif
