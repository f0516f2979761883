/*
 * htransformer1d_identities.c - what holds of htransformer1d: its definition position by position, and special cases
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/htransformer1d.h"
#include "models/probe_known.h"

enum { B = 2, LENGTH = 45, D = 8, HEADS = 2, W = D / HEADS };

static const int32_t ragged[B] = {LENGTH, 31};

struct weights {
    double wq[D * D], wk[D * D], wv[D * D], wo[D * D];
};

static void set_weights(struct sqa_store *s, void *user)
{
    const struct weights *w = user;

    sqa_probe_set(s, "mixer.wq.w", w->wq);
    sqa_probe_set(s, "mixer.wk.w", w->wk);
    sqa_probe_set(s, "mixer.wv.w", w->wv);
    sqa_probe_set(s, "mixer.wo.w", w->wo);
}

static struct sqa_probe probe_of(const char *item, bool causal, bool padded, struct weights *w)
{
    return (struct sqa_probe){.item = item,
                              .batch = B,
                              .length = LENGTH,
                              .dim = D,
                              .heads = HEADS,
                              .causal = causal,
                              .lengths = padded ? ragged : NULL,
                              .real = SQA_F64,
                              .edit = set_weights,
                              .user = w};
}

/* Two mixers with the same weights */
static enum sqa_status same_as(const char *item, const char *other, struct weights *w, const double *x, int mode,
                               struct sqa_err *err)
{
    double y[B * LENGTH * D], expect[B * LENGTH * D];
    const struct sqa_probe p = probe_of(item, mode & 1, mode & 2, w), q = probe_of(other, mode & 1, mode & 2, w);
    enum sqa_status status = sqa_probe_run(&p, x, y, err);

    if (status == SQA_OK)
        status = sqa_probe_run(&q, x, expect, err);
    for (int b = 0; b < B && status == SQA_OK; b++)
        status = sqa_probe_expect(item,
                                  sqa_probe_difference(y + b * LENGTH * D, expect + b * LENGTH * D,
                                                       (size_t)((mode & 2 ? ragged[b] : LENGTH) * D)),
                                  1e-12, err);
    return status;
}

static enum sqa_status two_blocks(struct sqa_err *err)
{
    double x[B * LENGTH * D];
    struct weights w;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(1, x, B * LENGTH * D);
    sqa_probe_normal(2, (double *)&w, sizeof w / sizeof(double));
    for (int mode = 0; mode < 4 && status == SQA_OK; mode++)
        status = same_as("htransformer1d:block=24", "transformer", &w, x, mode, err);
    return status;
}

static enum sqa_status zero_scores(struct sqa_err *err)
{
    static const char *const items[] = {"htransformer1d:block=2", "htransformer1d:block=4",
                                        "htransformer1d:block=10"};
    double x[B * LENGTH * D];
    struct weights w;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(3, x, B * LENGTH * D);
    sqa_probe_normal(4, (double *)&w, sizeof w / sizeof(double));
    memset(w.wq, 0, sizeof w.wq);
    memset(w.wk, 0, sizeof w.wk);
    for (int i = 0; i < 12 && status == SQA_OK; i++)
        status = same_as(items[i / 4], "mean_mixer", &w, x, i % 4, err);
    return status;
}

/* Queries and keys come from the first half of the channels, which change every 16 positions; block 2 has cells of up
 * to 16, block 4 of 8. */
static enum sqa_status constant_cells(struct sqa_err *err)
{
    static const char *const items[] = {"htransformer1d:block=2", "htransformer1d:block=4"};
    double x[B * LENGTH * D];
    struct weights w;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(5, x, B * LENGTH * D);
    sqa_probe_normal(6, (double *)&w, sizeof w / sizeof(double));
    memset(w.wq + D / 2 * D, 0, D / 2 * D * sizeof *w.wq);
    memset(w.wk + D / 2 * D, 0, D / 2 * D * sizeof *w.wk);
    for (int i = 0; i < B * LENGTH; i++)
        memcpy(x + i * D, x + (i / LENGTH * LENGTH + i % LENGTH / 16 * 16) * D, D / 2 * sizeof *x);
    for (int i = 0; i < 8 && status == SQA_OK; i++)
        status = same_as(items[i / 4], "transformer", &w, x, i % 4, err);
    return status;
}

/* Mean over the valid positions of the cell of t: W numbers */
static void mean_of_cell(const double *x, int t, int size, int valid, double *y)
{
    const int from = t / size * size, to = from + size < valid ? from + size : valid;

    memset(y, 0, W * sizeof *y);
    for (int j = from; j < to; j++)
        for (int e = 0; e < W; e++)
            y[e] += x[j * D + e] / (to - from);
}

/* One sequence, pair by pair */
static void dense(const struct weights *w, const double *x, int block, int valid, bool causal, double *y)
{
    double q[LENGTH * D], k[LENGTH * D], v[LENGTH * D], o[LENGTH * D] = {0};

    sqa_probe_times(x, w->wq, LENGTH, D, D, q);
    sqa_probe_times(x, w->wk, LENGTH, D, D, k);
    sqa_probe_times(x, w->wv, LENGTH, D, D, v);
    for (int h = 0; h < HEADS; h++)
        for (int i = 0; i < valid; i++) {
            double sum = 0;

            for (int j = 0; j < (causal ? i + 1 : valid); j++) {
                double of_q[W], of_k[W], score = 0;
                int size = 1;

                while (abs(i / (block * size) - j / (block * size)) > 1)
                    size *= 2;
                mean_of_cell(q + h * W, i, causal ? 1 : size, valid, of_q);
                mean_of_cell(k + h * W, j, size, valid, of_k);
                for (int e = 0; e < W; e++)
                    score += of_q[e] * of_k[e];
                score = exp(score / sqrt(W));
                sum += score;
                for (int e = h * W; e < (h + 1) * W; e++)
                    o[i * D + e] += score * v[j * D + e];
            }
            for (int e = h * W; e < (h + 1) * W; e++)
                o[i * D + e] /= sum;
        }
    sqa_probe_times(o, w->wo, LENGTH, D, D, y);
}

static enum sqa_status equals_dense(struct sqa_err *err)
{
    static const int blocks[] = {2, 4, 6, 16};
    static const char *const items[] = {"htransformer1d:block=2", "htransformer1d:block=4", "htransformer1d:block=6",
                                        "htransformer1d"};
    double x[B * LENGTH * D], y[B * LENGTH * D], expect[LENGTH * D];
    struct weights w;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(7, x, B * LENGTH * D);
    sqa_probe_normal(8, (double *)&w, sizeof w / sizeof(double));
    for (int i = 0; i < 16 && status == SQA_OK; i++) {
        const bool causal = i & 1, padded = i & 2;
        const struct sqa_probe p = probe_of(items[i / 4], causal, padded, &w);

        status = sqa_probe_run(&p, x, y, err);
        for (int b = 0; b < B && status == SQA_OK; b++) {
            const int valid = padded ? ragged[b] : LENGTH;

            dense(&w, x + b * LENGTH * D, blocks[i / 4], valid, causal, expect);
            status = sqa_probe_expect(p.item, sqa_probe_difference(y + b * LENGTH * D, expect, (size_t)(valid * D)),
                                      1e-12, err);
        }
    }
    return status;
}

const struct sqa_identity sqa_htransformer1d_identities[] = {
    {"equals its definition pair by pair, causal and padded", equals_dense},
    {"length <= 2 blocks: softmax attention", two_blocks},
    {"queries and keys 0: the mean of the valid values", zero_scores},
    {"queries and keys constant in cells: softmax attention", constant_cells},
    {.name = NULL},
};
