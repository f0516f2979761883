/*
 * synthesizer_identities.c - what holds of synthesizer: its definitions L x L at a time, and special cases
 */
#include <math.h>
#include <string.h>

#include "models/probe.h"
#include "models/synthesizer.h"

enum { B = 2, L = 7, D = 8, H = 2, W = D / H, A = 3, RANK = 3 };

static const int32_t ragged[B] = {L, 4};

/* Weights by chance; values and outputs are the inputs, read back unchanged. */
struct weights {
    double w1[D * D], w2[L * H * W], b2[L * H], random[H * L * L], wa[W * A], wb[W * A], r1[L * H * RANK],
        r2[L * H * RANK];
};

static void draw(struct weights *w)
{
    sqa_probe_normal(20, w->w1, D * D);
    sqa_probe_normal(21, w->w2, L * H * W);
    sqa_probe_normal(22, w->b2, L * H);
    sqa_probe_normal(23, w->random, H * L * L);
    sqa_probe_normal(24, w->wa, W * A);
    sqa_probe_normal(25, w->wb, W * A);
    sqa_probe_normal(26, w->r1, L * H * RANK);
    sqa_probe_normal(27, w->r2, L * H * RANK);
}

static void set_weights(struct sqa_store *s, void *user)
{
    const struct weights *w = user;

    sqa_probe_set_identity(s, "mixer.wv.w");
    sqa_probe_set_identity(s, "mixer.wo.w");
    sqa_probe_set(s, "mixer.w1.w", w->w1);
    sqa_probe_set(s, "mixer.w2", w->w2);
    sqa_probe_set(s, "mixer.b2", w->b2);
    sqa_probe_set(s, "mixer.random", w->random);
    sqa_probe_set(s, "mixer.wa.w", w->wa);
    sqa_probe_set(s, "mixer.wb.w", w->wb);
    sqa_probe_set(s, "mixer.random1", w->r1);
    sqa_probe_set(s, "mixer.random2", w->r2);
}

static struct sqa_probe probe_of(const char *item, struct weights *w)
{
    return (struct sqa_probe){.item = item,
                              .batch = B,
                              .length = L,
                              .dim = D,
                              .heads = H,
                              .seed = 3,
                              .real = SQA_F64,
                              .edit = w != NULL ? set_weights : NULL,
                              .user = w};
}

/* relu(W1 x) of a row (L, H), dot b of width n with stride 1. */
static double hidden_dot(const struct weights *w, const double *x, int row, const double *b, int stride)
{
    double sum = 0;

    for (int e = 0; e < W; e++) {
        double u = 0;

        for (int i = 0; i < D; i++)
            u += x[row / H * D + i] * w->w1[i * D + row % H * W + e];
        sum += fmax(u, 0) * b[e * stride];
    }
    return sum;
}

/* Score of query i and key j; row: which of the (L, H) hidden rows the query has; lra: W2 of L rows. */
static double score(const struct weights *w, const double *x, unsigned part, bool lra, int h, int i, int j)
{
    const int row = lra ? h * L + i : i * H + h, key = lra ? j : j * H + h;
    double sum = 0;

    if (part == SQA_SYNTH_DENSE)
        return hidden_dot(w, x, row, w->w2 + key * W, 1) + w->b2[key];
    if (part == SQA_SYNTH_RANDOM)
        return w->random[(h * L + i) * L + j];
    if (part == SQA_SYNTH_FACTORIZED_DENSE)
        return hidden_dot(w, x, row, w->wa + j % A, A) * hidden_dot(w, x, row, w->wb + j / A, A);
    for (int e = 0; e < RANK; e++)
        sum += w->r1[(i * H + h) * RANK + e] * w->r2[(j * H + h) * RANK + e];
    return sum;
}

static void by_definition(const struct weights *w, const double *x, unsigned parts, bool lra, int keys, double *y)
{
    const double alpha = lra ? 1 : 1 / (double)__builtin_popcount(parts);

    memset(y, 0, L * D * sizeof *y);
    for (int h = 0; h < H; h++)
        for (int i = 0; i < L; i++) {
            double p[L], sum = 0;

            for (int j = 0; j < keys; j++) {
                double s = 0;

                for (unsigned part = 1; part < SQA_SYNTH_DOT; part *= 2)
                    s += parts & part ? alpha * score(w, x, part, lra, h, i, j) : 0;
                p[j] = exp(s);
                sum += p[j];
            }
            for (int j = 0; j < keys; j++)
                for (int e = h * W; e < (h + 1) * W; e++)
                    y[i * D + e] += p[j] / sum * x[j * D + e];
        }
}

static enum sqa_status definitions(struct sqa_err *err)
{
    static const struct {
        const char *item;
        unsigned parts;
        bool lra;
    } rows[] = {{"synthesizer:kind=dense", SQA_SYNTH_DENSE, false},
                {"synthesizer:kind=random", SQA_SYNTH_RANDOM, false},
                {"synthesizer:kind=factorized_dense,factor=3", SQA_SYNTH_FACTORIZED_DENSE, false},
                {"synthesizer:kind=factorized_random,rank=3", SQA_SYNTH_FACTORIZED_RANDOM, false},
                {"synthesizer:kind=mixture", SQA_SYNTH_DENSE | SQA_SYNTH_RANDOM, false},
                {"synthesizer:kind=dense,dot=0,form=lra", SQA_SYNTH_DENSE, true},
                {"synthesizer:kind=mixture,dot=0,form=lra", SQA_SYNTH_DENSE | SQA_SYNTH_RANDOM, true}};
    double x[B * L * D], y[B * L * D], expect[L * D];
    enum sqa_status status = SQA_OK;
    struct weights w;

    draw(&w);
    sqa_probe_normal(1, x, B * L * D);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && status == SQA_OK; i++) {
        struct sqa_probe p = probe_of(rows[i].item, &w);

        p.lengths = ragged;
        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            by_definition(&w, x + b * L * D, rows[i].parts, rows[i].lra, rows[i].lra ? L : ragged[b], expect);
            status = sqa_probe_expect(
                rows[i].item, sqa_probe_difference(y + b * L * D, expect, (size_t)(ragged[b] * D)), 1e-12, err);
        }
    }
    return status;
}

static enum sqa_status scores_of_zero(struct sqa_err *err)
{
    static const char *const items[] = {"synthesizer:kind=random", "synthesizer:kind=dense",
                                        "synthesizer:kind=factorized_dense,factor=3",
                                        "synthesizer:kind=factorized_random,rank=3"};
    static struct weights zero;
    double x[B * L * D], y[B * L * D], mean[L * D];
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    for (size_t i = 0; i < sizeof items / sizeof *items && status == SQA_OK; i++) {
        struct sqa_probe p = probe_of(items[i], &zero);

        p.lengths = ragged;
        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            memset(mean, 0, sizeof mean);
            for (int k = 0; k < L * ragged[b] * D; k++)
                mean[k / (ragged[b] * D) * D + k % D] += x[b * L * D + k % (ragged[b] * D)] / ragged[b];
            status = sqa_probe_expect(items[i], sqa_probe_difference(y + b * L * D, mean, (size_t)(ragged[b] * D)),
                                      1e-13, err);
        }
    }
    return status;
}

/* The weights are the same for every input: y(x + z) = y(x) + y(z). */
static enum sqa_status random_is_linear(struct sqa_err *err)
{
    static const char *const items[] = {"synthesizer:kind=random", "synthesizer:kind=factorized_random,rank=3"};
    double x[B * L * D], z[B * L * D], both[B * L * D], y[3][B * L * D];
    enum sqa_status status = SQA_OK;
    struct weights w;

    draw(&w);
    sqa_probe_normal(1, x, B * L * D);
    sqa_probe_normal(2, z, B * L * D);
    for (int i = 0; i < B * L * D; i++)
        both[i] = x[i] + z[i];
    for (int i = 0; i < 2 && status == SQA_OK; i++) {
        const struct sqa_probe p = probe_of(items[i], &w);
        const double *in[] = {x, z, both};

        for (int k = 0; k < 3 && status == SQA_OK; k++)
            status = sqa_probe_run(&p, in[k], y[k], err);
        for (int k = 0; k < B * L * D; k++)
            y[0][k] += y[1][k];
        if (status == SQA_OK)
            status = sqa_probe_expect(items[i], sqa_probe_difference(y[0], y[2], B * L * D), 1e-13, err);
    }
    return status;
}

/* R becomes R1 R2^T. */
static enum sqa_status factors_are_random(struct sqa_err *err)
{
    double x[B * L * D], y[B * L * D], expect[B * L * D];
    enum sqa_status status;
    struct weights w;
    struct sqa_probe p = probe_of("synthesizer:kind=factorized_random,rank=3", &w);

    draw(&w);
    for (int i = 0; i < H * L * L; i++)
        w.random[i] = score(&w, NULL, SQA_SYNTH_FACTORIZED_RANDOM, false, i / (L * L), i / L % L, i % L);
    sqa_probe_normal(1, x, B * L * D);
    p.causal = true;
    status = sqa_probe_run(&p, x, y, err);
    p.item = "synthesizer:kind=random";
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, expect, err);
    return status == SQA_OK
               ? sqa_probe_expect("factors against R", sqa_probe_difference(y, expect, B * L * D), 1e-13, err)
               : status;
}

static void only_products(struct sqa_store *s, void *user)
{
    (void)user;
    sqa_probe_set(s, "mixer.mix", (const double[]){-1e4, 0});
}

static enum sqa_status products_alone(struct sqa_err *err)
{
    static const char *const items[] = {"synthesizer:kind=random,dot=1", "synthesizer:kind=dense,dot=1",
                                        "synthesizer:kind=factorized_dense,dot=1", "synthesizer:dot=1"};
    double x[B * L * D], y[B * L * D], expect[B * L * D];
    struct sqa_probe p = probe_of("transformer", NULL);
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * L * D);
    p.lengths = ragged;
    p.edit = only_products;
    for (int i = 0; i < 8 && status == SQA_OK; i++) {
        p.causal = i % 2 != 0;
        p.item = "transformer";
        status = sqa_probe_run(&p, x, expect, err);
        p.item = items[i / 2];
        if (status == SQA_OK)
            status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++)
            status = sqa_probe_expect(
                p.item, sqa_probe_difference(y + b * L * D, expect + b * L * D, (size_t)(ragged[b] * D)), 1e-13, err);
    }
    return status;
}

const struct sqa_identity sqa_synthesizer_identities[] = {
    {"every kind: its definition, L x L at a time", definitions},
    {"scores of zero: the mean of the values", scores_of_zero},
    {"random: weights do not depend on the input", random_is_linear},
    {"factorized_random: random with R = R1 R2", factors_are_random},
    {"a mixture with all weight on products: softmax attention", products_alone},
    {.name = NULL},
};
