/* rnn_mixer.c - see rnn_mixer.h */
#include "models/rnn_mixer.h"

#include <math.h>
#include <string.h>

#include "models/probe_known.h"

static struct sqa_rnn_spec spec_of(enum sqa_rnn_kind kind, const struct sqa_rnn_self *s,
                                   const struct sqa_frame *frame)
{
    const bool both = s->bidirectional && !frame->causal;

    return (struct sqa_rnn_spec){.kind = kind,
                                 .hidden = s->hidden ? s->hidden : frame->dim / (both ? 2 : 1),
                                 .both = both,
                                 .forget_bias = &s->forget};
}

static int64_t width_of(const struct sqa_rnn_spec *r)
{
    return r->hidden * (r->both ? 2 : 1);
}

enum sqa_status sqa_rnn_check(const char *id, const struct sqa_rnn_self *s, const struct sqa_frame *frame,
                              struct sqa_err *err)
{
    if (spec_of(SQA_RNN_GRU, s, frame).hidden < 1)
        return sqa_fail(err, SQA_UNSUPPORTED, "%s: dim=%lld has no halves for two directions; give hidden=1", id,
                        (long long)frame->dim);
    return SQA_OK;
}

struct sqa_tensor *sqa_rnn_mix(enum sqa_rnn_kind kind, const struct sqa_rnn_self *s, struct sqa_context *c,
                               struct sqa_tensor *x)
{
    const struct sqa_rnn_spec r = spec_of(kind, s, &c->frame);
    struct sqa_tensor *y = c->position ? sqa_rnn_step(c, r, x) : sqa_rnn(c, r, x);

    return width_of(&r) != c->frame.dim ? sqa_dense_layer(c, "wo", y, c->frame.dim, c->frame.bias != 0) : y;
}

double sqa_rnn_mix_flops(enum sqa_rnn_kind kind, const struct sqa_rnn_self *s, const struct sqa_context *c)
{
    const struct sqa_rnn_spec r = spec_of(kind, s, &c->frame);
    const double D = (double)c->frame.dim, wide = (double)width_of(&r), bias = c->frame.bias ? 1 : 0;

    return sqa_rnn_flops(c, r) +
           (double)(c->batch * c->length) * (width_of(&r) != c->frame.dim ? D * (2 * wide + bias) : 0);
}

/* Identity */

enum { B = 2, L = 9, D = SQA_RNN_D, N = SQA_RNN_N };

static const int32_t ragged[B] = {L, 5};

struct held {
    struct sqa_rnn_network way[2];
    double wo[2 * N * D], bo[D];
};

static void hold_network(struct sqa_store *s, const char *scope, struct sqa_rnn_network *n)
{
    sqa_probe_get(
        s, scope,
        (const struct sqa_probe_entry[]){{"wx", n->wx}, {"bx", n->bx}, {"wh", n->wh}, {"bh", n->bh}, {NULL, NULL}});
}

/* And random numbers for the projection's bias, which begins as 0. */
static void hold(struct sqa_store *s, void *user)
{
    struct held *h = user;

    hold_network(s, "mixer.past", &h->way[0]);
    hold_network(s, "mixer.future", &h->way[1]);
    sqa_probe_get(s, "mixer", (const struct sqa_probe_entry[]){{"wo.w", h->wo}, {NULL, NULL}});
    sqa_probe_normal(6, h->bo, D);
    sqa_probe_set(s, "mixer.wo.b", h->bo);
}

double sqa_rnn_from_x(const struct sqa_rnn_network *w, const double *x, int gates, int g, int j)
{
    double sum = w->bx[g * N + j];

    for (int i = 0; i < D; i++)
        sum += x[i] * w->wx[(i * gates + g) * N + j];
    return sum;
}

double sqa_rnn_from_h(const struct sqa_rnn_network *w, const double *h, int gates, int g, int j)
{
    double sum = 0;

    for (int i = 0; i < N; i++)
        sum += h[i] * w->wh[(i * gates + g) * N + j];
    return sum;
}

/* One sequence: y (L, N) of one direction. */
static void by_equations(const struct sqa_rnn_network *w, sqa_rnn_unit_fn *unit, const double *x, int valid,
                         bool reverse, double *y)
{
    double h[N] = {0}, c[N] = {0};

    for (int i = 0; i < L; i++) {
        const int t = reverse ? L - 1 - i : i;
        double next[N];

        if (reverse && t >= valid)
            continue;
        for (int j = 0; j < N; j++)
            next[j] = unit(w, x + t * D, h, &c[j], j);
        memcpy(h, next, sizeof h);
        memcpy(y + t * N, h, sizeof h);
    }
}

enum sqa_status sqa_rnn_equals(const char *item, sqa_rnn_unit_fn *unit, struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D];
    enum sqa_status status = SQA_OK;
    struct held w;

    sqa_probe_normal(1, x, B * L * D);
    for (int causal = 0; causal < 2 && status == SQA_OK; causal++) {
        const struct sqa_probe p = {.item = item,
                                    .batch = B,
                                    .length = L,
                                    .dim = D,
                                    .heads = 1,
                                    .causal = causal != 0,
                                    .lengths = ragged,
                                    .seed = 2,
                                    .real = SQA_F64,
                                    .edit = hold,
                                    .user = &w};
        const int ways = causal ? 1 : 2;

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            double h[2][L * N] = {{0}}, expect[L * D];

            for (int k = 0; k < ways; k++)
                by_equations(&w.way[k], unit, x + b * L * D, ragged[b], k == 1, h[k]);
            for (int i = 0; i < L * D; i++) {
                expect[i] = w.bo[i % D];
                for (int j = 0; j < ways * N; j++)
                    expect[i] += h[j / N][i / D * N + j % N] * w.wo[j * D + i % D];
            }
            status = sqa_probe_expect(item, sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)),
                                      1e-13, err);
        }
    }
    return status;
}

double sqa_rnn_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

enum sqa_status sqa_rnn_keeps(const char *item, void (*edit)(struct sqa_store *store, void *user), int functions,
                              struct sqa_err *err)
{
    double x[L * D], y[L * D], expect[L * D];
    const struct sqa_probe p = {
        .item = item, .batch = 1, .length = L, .dim = D, .heads = 1, .causal = true, .real = SQA_F64, .edit = edit};
    enum sqa_status status;

    sqa_probe_normal(3, x, L * D);
    for (int t = 0; t < L; t++)
        x[t * D] = t ? -1 : 1;
    for (int i = 0; i < L * D; i++) {
        expect[i] = x[i % D ? i % D : 1];
        for (int f = 0; f < functions; f++)
            expect[i] = tanh(expect[i]);
    }
    status = sqa_probe_run(&p, x, y, err);
    return status == SQA_OK
               ? sqa_probe_expect("outputs against the first", sqa_probe_difference(y, expect, L * D), 1e-12, err)
               : status;
}
