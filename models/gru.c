/*
 * gru.c - gated recurrent unit
 *
 * Computes  r, k = s(W x_t + b + U h_(t-1)); a = tanh(W_a x_t + b_a + r (U_a h_(t-1) + d));
 *           h_t = k h_(t-1) + (1 - k) a, s the sigmoid. Not causal: a second network backwards in time, from the last
 *           valid position; h of both side by side. y = Wo h where that is not dim wide, else h
 * Shapes    x (B, L, D) -> (B, L, D); h of a direction H = D, or D / 2 in both, or `hidden`
 * Cost      a direction: B L 3 H (2 D + 1) and B (L - 1) 6 H^2 flops of products, 9 B L H of gates; no step of time
 *           can run beside another
 * Step      h, H numbers
 * Source    Cho et al. 2014, arXiv:1406.1078; the reset after the product, as cuDNN and PyTorch have it; initial
 *           values uniform within 1 / sqrt(H)
 * Departs   one bias for r and k (there are two that add up)
 */
#include <math.h>

#include "models/probe.h"
#include "models/rnn_mixer.h"

static const struct sqa_param params[] = {
    SQA_RNN_PARAMS,
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)task;
    return sqa_rnn_check("gru", self, frame, err);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    return sqa_rnn_mix(SQA_RNN_GRU, self, c, x);
}

static double flops(const void *self, const struct sqa_context *c)
{
    return sqa_rnn_mix_flops(SQA_RNN_GRU, self, c);
}

/* Identities */

enum { D = SQA_RNN_D, G = 3 };

static double unit(const struct sqa_rnn_network *w, const double *x, const double *h, double *c, int j)
{
    const double r = sqa_rnn_sigmoid(sqa_rnn_from_x(w, x, G, 0, j) + sqa_rnn_from_h(w, h, G, 0, j));
    const double k = sqa_rnn_sigmoid(sqa_rnn_from_x(w, x, G, 1, j) + sqa_rnn_from_h(w, h, G, 1, j));
    const double a = tanh(sqa_rnn_from_x(w, x, G, 2, j) + r * (sqa_rnn_from_h(w, h, G, 2, j) + w->bh[j]));

    (void)c;
    return k * h[j] + (1 - k) * a;
}

static enum sqa_status equals_equations(struct sqa_err *err)
{
    return sqa_rnn_equals("gru:hidden=3", unit, err);
}

/* k follows channel 0: 0 at the first position, then 1. */
static void write_once(struct sqa_store *s, void *user)
{
    double wx[D * G * D] = {0};

    (void)user;
    for (int j = 0; j < D; j++) {
        wx[D + j] = -100;                        /* k, of channel 0 */
        wx[(j ? j : 1) * G * D + 2 * D + j] = 1; /* a, of a channel that carries the value */
    }
    sqa_probe_set(s, "mixer.past.wx", wx);
    sqa_probe_set_constant(s, "mixer.past.bx", 0);
    sqa_probe_set_constant(s, "mixer.past.bh", 0);
    sqa_probe_set_constant(s, "mixer.past.wh", 0);
}

static enum sqa_status state_is_kept(struct sqa_err *err)
{
    return sqa_rnn_keeps("gru", write_once, 1, err);
}

static const struct sqa_identity identities[] = {
    {"equals its equations unit by unit, one and both directions, padded", equals_equations},
    {"k = 1: the state is kept", state_is_kept},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_gru = {
    .id = "gru",
    .slot = SQA_SLOT_MIXER,
    .title = "GRU",
    .source = "Cho et al. 2014, arXiv:1406.1078",
    .complexity = "O(L D^2) time, position after position; O(L D) memory",
    .help =
        "A recurrent network whose state is kept or replaced by gates. Time goes step by step, so it is slow however "
        "short its arithmetic; both directions unless causal.",
    .traits = SQA_TRAIT_CAUSAL | SQA_TRAIT_PADDING | SQA_TRAIT_LINEAR_MEMORY | SQA_TRAIT_QKV,
    .params = params,
    .self_size = sizeof(struct sqa_rnn_self),
    .check = check,
    .build = build,
    .step = build,
    .flops = flops,
    .identities = identities,
};
