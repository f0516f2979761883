/*
 * lstm.c - long short-term memory
 *
 * Computes  i, f, a, o = W x_t + b + U h_(t-1); c_t = s(f) c_(t-1) + s(i) tanh(a); h_t = s(o) tanh(c_t), s the
 *           sigmoid. Not causal: a second network backwards in time, from the last valid position; h of both side by
 *           side. y = Wo h where that is not dim wide, else h
 * Shapes    x (B, L, D) -> (B, L, D); h of a direction H = D, or D / 2 in both, or `hidden`
 * Cost      a direction: B L 4 H (2 D + 1) and B (L - 1) 8 H^2 flops of products, 9 B L H of gates; no step of time
 *           can run beside another
 * Step      c and h, 2 H numbers
 * Source    Hochreiter and Schmidhuber 1997; gates as in cuDNN and PyTorch; initial values uniform within 1 /
 *           sqrt(H), forget bias 1 more (Jozefowicz et al. 2015)
 * Departs   one bias a gate (there are two that add up)
 */
#include <math.h>

#include "models/probe.h"
#include "models/rnn_mixer.h"

static const struct sqa_param params[] = {
    SQA_RNN_PARAMS,
    {"forget", "added to the initial bias of the forget gate", SQA_PARAM_REAL, "1", -100, 100,
     .offset = offsetof(struct sqa_rnn_self, forget)},
    {.name = NULL},
};

static enum sqa_status check(const void *self, const struct sqa_frame *frame, const struct sqa_signature *task,
                             struct sqa_err *err)
{
    (void)task;
    return sqa_rnn_check("lstm", self, frame, err);
}

static struct sqa_tensor *build(const void *self, struct sqa_context *c, struct sqa_tensor *x)
{
    return sqa_rnn_mix(SQA_RNN_LSTM, self, c, x);
}

static double flops(const void *self, const struct sqa_context *c)
{
    return sqa_rnn_mix_flops(SQA_RNN_LSTM, self, c);
}

/* Identities */

enum { L = 9, D = SQA_RNN_D, G = 4 };

static double unit(const struct sqa_rnn_network *w, const double *x, const double *h, double *c, int j)
{
    double z[G];

    for (int g = 0; g < G; g++)
        z[g] = sqa_rnn_from_x(w, x, G, g, j) + sqa_rnn_from_h(w, h, G, g, j);
    *c = sqa_rnn_sigmoid(z[1]) * *c + sqa_rnn_sigmoid(z[0]) * tanh(z[2]);
    return sqa_rnn_sigmoid(z[3]) * tanh(*c);
}

static enum sqa_status equals_equations(struct sqa_err *err)
{
    return sqa_rnn_equals("lstm:hidden=3", unit, err);
}

/* Gates of i follow channel 0, f is 1: what the first position wrote stays. */
static void write_once(struct sqa_store *s, void *user)
{
    double wx[D * G * D] = {0}, bx[G * D] = {0};

    (void)user;
    for (int j = 0; j < D; j++) {
        wx[j] = 100;                             /* i, of channel 0 */
        wx[(j ? j : 1) * G * D + 2 * D + j] = 1; /* a, of a channel that carries the value */
        bx[D + j] = 100;
        bx[3 * D + j] = 100;
    }
    sqa_probe_set(s, "mixer.past.wx", wx);
    sqa_probe_set(s, "mixer.past.bx", bx);
    sqa_probe_set_constant(s, "mixer.past.wh", 0);
}

static enum sqa_status cell_is_kept(struct sqa_err *err)
{
    return sqa_rnn_keeps("lstm", write_once, 2, err);
}

/* W = U = 0: c is a geometric sum, c_t = i a (1 - f^(t+1)) / (1 - f). */
static void no_weights(struct sqa_store *s, void *user)
{
    sqa_probe_set_constant(s, "mixer.past.wx", 0);
    sqa_probe_set_constant(s, "mixer.past.wh", 0);
    sqa_probe_set(s, "mixer.past.bx", user);
}

static enum sqa_status geometric(struct sqa_err *err)
{
    double x[L * D], y[L * D], expect[L * D], bx[G * D];
    const struct sqa_probe p = {.item = "lstm",
                                .batch = 1,
                                .length = L,
                                .dim = D,
                                .heads = 1,
                                .causal = true,
                                .real = SQA_F64,
                                .edit = no_weights,
                                .user = bx};
    enum sqa_status status;

    sqa_probe_normal(4, x, L * D);
    sqa_probe_normal(5, bx, G * D);
    for (int i = 0; i < L * D; i++) {
        const double *b = bx + i % D, f = sqa_rnn_sigmoid(b[D]);

        expect[i] = sqa_rnn_sigmoid(b[3 * D]) *
                    tanh(sqa_rnn_sigmoid(b[0]) * tanh(b[2 * D]) * (1 - pow(f, i / D + 1)) / (1 - f));
    }
    status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK ? sqa_probe_expect("W = U = 0 against the closed form",
                                               sqa_probe_difference(y, expect, L * D), 1e-13, err)
                            : status;
}

static void mean_bias(struct sqa_store *s, void *user)
{
    double bx[G * 64], *mean = user;
    const struct sqa_entry *e = sqa_store_find(s, "mixer.past.bx");

    if (!e)
        return;
    sqa_entry_get(s, e, bx);
    for (int i = 0; i < G * 64; i++)
        mean[i / 64] += bx[i] / 64;
}

static enum sqa_status forget_begins(struct sqa_err *err)
{
    double x[64], y[64], mean[G] = {0};
    const double expect[G] = {0, 1, 0, 0};
    const struct sqa_probe p = {.item = "lstm",
                                .batch = 1,
                                .length = 1,
                                .dim = 64,
                                .heads = 1,
                                .causal = true,
                                .real = SQA_F64,
                                .edit = mean_bias,
                                .user = mean};
    enum sqa_status status;

    sqa_probe_normal(7, x, 64);
    status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK ? sqa_probe_expect("mean initial biases of i, f, a, o",
                                               sqa_probe_difference(mean, expect, G), 0.05, err)
                            : status;
}

static const struct sqa_identity identities[] = {
    {"equals its equations unit by unit, one and both directions, padded", equals_equations},
    {"f = 1 and i = 0: the cell is kept", cell_is_kept},
    {"W = U = 0: a geometric sum", geometric},
    {"the forget bias begins about 1", forget_begins},
    {.name = NULL},
};

const struct sqa_variant sqa_variant_lstm = {
    .id = "lstm",
    .slot = SQA_SLOT_MIXER,
    .title = "LSTM",
    .source = "Hochreiter and Schmidhuber 1997",
    .complexity = "O(L D^2) time, position after position; O(L D) memory",
    .help = "A recurrent network whose cell is written and forgotten by gates. Time goes step by step, so it is slow "
            "however "
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
