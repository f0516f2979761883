/*
 * rnn_mixer.h - the mixers gru and lstm but for what tells them apart
 *
 * A network forwards in time; not causal: one backwards too, their outputs side by side; a projection "wo" where that
 * is not as wide as the stream.
 */
#ifndef SQA_MODELS_RNN_MIXER_H
#define SQA_MODELS_RNN_MIXER_H

#include "models/rnn.h"

struct sqa_rnn_self {
    int64_t hidden, bidirectional;
    double forget;
};
#define SQA_RNN_PARAMS                                                                             \
    {"hidden",                                                                                     \
     "units of a direction; 0: dim, or half of it in both directions",                             \
     SQA_PARAM_INT,                                                                                \
     "0",                                                                                          \
     0,                                                                                            \
     1 << 16,                                                                                      \
     .offset = offsetof(struct sqa_rnn_self, hidden)},                                             \
    {                                                                                              \
        "bidirectional", "a second network backwards in time, unless causal", SQA_PARAM_BOOL, "1", \
            .offset = offsetof(struct sqa_rnn_self, bidirectional)                                 \
    }

enum sqa_status sqa_rnn_check(const char *id, const struct sqa_rnn_self *s, const struct sqa_frame *frame,
                              struct sqa_err *err);
/* Builds, or steps where c->position is given. */
struct sqa_tensor *sqa_rnn_mix(enum sqa_rnn_kind kind, const struct sqa_rnn_self *s, struct sqa_context *c,
                               struct sqa_tensor *x);
double sqa_rnn_mix_flops(enum sqa_rnn_kind kind, const struct sqa_rnn_self *s, const struct sqa_context *c);

/* Identity: item with D = 4 and hidden = 3 against its equations in double, one and both directions, padded rows.
 * unit gives h of unit j after x and h; c is its own. */
enum { SQA_RNN_D = 4, SQA_RNN_N = 3 };
struct sqa_rnn_network { /* of one direction; of gru 3 gates are used */
    double wx[SQA_RNN_D * 4 * SQA_RNN_N], bx[4 * SQA_RNN_N], wh[SQA_RNN_N * 4 * SQA_RNN_N], bh[SQA_RNN_N];
};
typedef double sqa_rnn_unit_fn(const struct sqa_rnn_network *w, const double *x, const double *h, double *c, int j);
enum sqa_status sqa_rnn_equals(const char *item, sqa_rnn_unit_fn *unit, struct sqa_err *err);
/* W x + b of gate g and unit j of a network of `gates` gates, and U h. */
double sqa_rnn_from_x(const struct sqa_rnn_network *w, const double *x, int gates, int g, int j);
double sqa_rnn_from_h(const struct sqa_rnn_network *w, const double *h, int gates, int g, int j);
double sqa_rnn_sigmoid(double x);
/* Identity: causal, D wide, of an item whose gates edit has made write at the first position alone, where channel 0 of
 * x is 1 (it is -1 after); each output is then tanh, `functions` times, of what channel max(1, j) of x was there. */
enum sqa_status sqa_rnn_keeps(const char *item, void (*edit)(struct sqa_store *store, void *user), int functions,
                              struct sqa_err *err);

#endif
