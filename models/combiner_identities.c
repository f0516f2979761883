/*
 * combiner_identities.c - what holds of combiner: every kind against its regions written out
 */
#include <math.h>
#include <stdio.h>

#include "models/combiner.h"
#include "models/probe_known.h"

enum { BATCH = 2, LENGTH = 14, W_ALL = 8, HEADS = 2, W = W_ALL / HEADS };

static const int32_t ragged[BATCH] = {LENGTH, 9};

struct weights {
    double wq[W_ALL * W_ALL], wk[W_ALL * W_ALL], wv[W_ALL * W_ALL], wo[W_ALL * W_ALL], wr[W_ALL * W_ALL],
        wkr[W_ALL * W_ALL];
};

static void set_weights(struct sqa_store *s, void *user)
{
    const struct weights *w = user;

    sqa_probe_set(s, "mixer.wq.w", w->wq);
    sqa_probe_set(s, "mixer.wk.w", w->wk);
    sqa_probe_set(s, "mixer.wv.w", w->wv);
    sqa_probe_set(s, "mixer.wo.w", w->wo);
    sqa_probe_set(s, "mixer.wr.w", w->wr);
    sqa_probe_set(s, "mixer.wkr.w", w->wkr);
}

/* The softmax of one query and head, as it is added up. All rows have W_ALL numbers and stand at the head's first. */
struct total {
    const double *q, *k, *v; /* of the head, all positions */
    double sum, o[W];
};

static double score(const double *a, const double *b)
{
    double sum = 0;

    for (int e = 0; e < W; e++)
        sum += a[e] * b[e];
    return exp(sum / sqrt(W));
}

static void count_in(struct total *t, int i, const double *key, const double *value)
{
    const double w = score(t->q + i * W_ALL, key);

    t->sum += w;
    for (int e = 0; e < W; e++)
        t->o[e] += w * value[e];
}

/* The region of positions from, from + step, ... before to; none: nothing */
static void region(struct total *t, int i, int from, int to, int step)
{
    double q[W], k[W], value[W] = {0}, sum = 0;

    for (int e = 0; e < W; e++) {
        q[e] = k[e] = -HUGE_VAL;
        for (int j = from; j < to; j += step) {
            q[e] = fmax(q[e], t->q[j * W_ALL + e]);
            k[e] = fmax(k[e], t->k[j * W_ALL + e]);
        }
    }
    for (int j = from; j < to; j += step)
        sum += score(q, t->k + j * W_ALL);
    for (int j = from; j < to; j += step)
        for (int e = 0; e < W; e++)
            value[e] += score(q, t->k + j * W_ALL) / sum * t->v[j * W_ALL + e];
    if (from < to)
        count_in(t, i, k, value);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

struct reference {
    enum sqa_combiner_kind kind;
    int b, valid;
    bool causal;
    const double *x, *row_keys, *row_values; /* axial: of all heads */
};

static void mixture_of(struct total *t, const struct reference *r, int i)
{
    const int b = r->b, row = i / b, column = i % b, n = r->valid;

    for (int j = column; j < (r->causal ? i : n); j += b)
        if (j != i)
            count_in(t, i, t->k + j * W_ALL, t->v + j * W_ALL);
    for (int other = 0; other < b && row > 0; other++)
        if (!r->causal || other != column)
            region(t, i, other, row * b, b);
    for (int other = 0; other < b && !r->causal; other++)
        region(t, i, (row + 1) * b + other, n, b);
    for (int other = 0; other * b < n; other++)
        if (!r->causal || other < row) {
            region(t, i, other * b, smaller(other * b + column, n), 1);
            region(t, i, other * b + column + 1, smaller(other * b + b, n), 1);
        }
}

static void regions_of(struct total *t, const struct reference *r, int h, int i)
{
    const int b = r->b, row = i / b, n = r->valid;

    if (r->kind == SQA_COMBINER_MIXTURE && b < LENGTH)
        mixture_of(t, r, i);
    for (int other = 0; other * b < n; other++) {
        const int j = other * b + i % b;

        if (other == row || (r->causal && other > row))
            continue;
        if (r->kind == SQA_COMBINER_FIXED)
            region(t, i, other * b, smaller(other * b + b, n), 1);
        if (r->kind == SQA_COMBINER_AXIAL && j < n)
            count_in(t, i, r->row_keys + j * W_ALL + h * W, r->row_values + j * W_ALL + h * W);
    }
    for (int l = 0, end = i; r->kind == SQA_COMBINER_LOGN && end > 0; l++)
        if (end >> l & 1) {
            region(t, i, end - (1 << l), end, 1);
            end -= 1 << l;
        }
}

/* LayerNorm(x + r Wr) Wkr of rows r */
static void reference_row_keys(const struct weights *w, const double *x, const double *r, double *y)
{
    double sum[LENGTH * W_ALL];

    sqa_probe_times(r, w->wr, LENGTH, W_ALL, W_ALL, sum);
    for (int t = 0; t < LENGTH; t++) {
        double mean = 0, square = 0, *at = sum + t * W_ALL;

        for (int i = 0; i < W_ALL; i++)
            mean += (at[i] += x[t * W_ALL + i]) / W_ALL;
        for (int i = 0; i < W_ALL; i++)
            square += (at[i] - mean) * (at[i] - mean) / W_ALL;
        for (int i = 0; i < W_ALL; i++)
            at[i] = (at[i] - mean) / sqrt(square + 1e-5);
    }
    sqa_probe_times(sum, w->wkr, LENGTH, W_ALL, W_ALL, y);
}

static void finish(struct total *t, double *o)
{
    for (int e = 0; e < W; e++)
        o[e] = t->o[e] / t->sum;
}

static void dense(const struct weights *w, struct reference r, double *y)
{
    double q[LENGTH * W_ALL], k[LENGTH * W_ALL], v[LENGTH * W_ALL], o[LENGTH * W_ALL] = {0};
    double keys[LENGTH * W_ALL], values[LENGTH * W_ALL] = {0};

    sqa_probe_times(r.x, w->wq, LENGTH, W_ALL, W_ALL, q);
    sqa_probe_times(r.x, w->wk, LENGTH, W_ALL, W_ALL, k);
    sqa_probe_times(r.x, w->wv, LENGTH, W_ALL, W_ALL, v);
    for (int pass = 0; pass < 2; pass++) /* first the rows of axial, alone */
        for (int h = 0; h < HEADS; h++)
            for (int i = 0; i < r.valid; i++) {
                struct total t = {.q = q + h * W, .k = k + h * W, .v = v + h * W};
                const int first = r.kind == SQA_COMBINER_LOGN ? i : i / r.b * r.b,
                          end = smaller(first + r.b, r.valid);

                for (int j = first; j < (pass > 0 && r.causal ? i + 1 : end); j++)
                    count_in(&t, i, t.k + j * W_ALL, t.v + j * W_ALL);
                if (pass > 0)
                    regions_of(&t, &r, h, i);
                finish(&t, (pass > 0 ? o : values) + i * W_ALL + h * W);
                if (pass == 0 && h == HEADS - 1 && i == r.valid - 1) {
                    reference_row_keys(w, r.x, values, keys);
                    r.row_keys = keys;
                    r.row_values = values;
                }
            }
    sqa_probe_times(o, w->wo, LENGTH, W_ALL, W_ALL, y);
}

static enum sqa_status equals(enum sqa_combiner_kind kind, int b, int mode, struct sqa_err *err)
{
    double x[BATCH * LENGTH * W_ALL], y[BATCH * LENGTH * W_ALL], expect[LENGTH * W_ALL];
    char item[64];
    struct weights w;
    const struct sqa_probe p = {.item = item,
                                .batch = BATCH,
                                .length = LENGTH,
                                .dim = W_ALL,
                                .heads = HEADS,
                                .causal = mode & 1,
                                .lengths = mode & 2 ? ragged : NULL,
                                .real = SQA_F64,
                                .edit = set_weights,
                                .user = &w};
    enum sqa_status status;

    (void)snprintf(item, sizeof item, "combiner:kind=%s,block=%d", sqa_combiner_kinds[kind], b);
    sqa_probe_normal(1, x, BATCH * LENGTH * W_ALL);
    sqa_probe_normal(2, (double *)&w, sizeof w / sizeof(double));
    status = sqa_probe_run(&p, x, y, err);
    for (int i = 0; i < BATCH && status == SQA_OK; i++) {
        const struct reference r = {.kind = kind,
                                    .b = b,
                                    .valid = mode & 2 ? ragged[i] : LENGTH,
                                    .causal = mode & 1,
                                    .x = x + i * LENGTH * W_ALL};

        dense(&w, r, expect);
        status = sqa_probe_expect(
            item, sqa_probe_difference(y + i * LENGTH * W_ALL, expect, (size_t)(r.valid * W_ALL)), 1e-12, err);
    }
    return status;
}

static enum sqa_status equals_kind(enum sqa_combiner_kind kind, struct sqa_err *err)
{
    static const int blocks[] = {1, 2, 4, 5, 9, 13};
    enum sqa_status status = SQA_OK;

    for (int i = 0; i < 24 && status == SQA_OK; i++)
        if (kind != SQA_COMBINER_LOGN || i % 2 != 0)
            status = equals(kind, blocks[i / 4], i % 4, err);
    return status;
}

static enum sqa_status equals_fixed(struct sqa_err *err)
{
    return equals_kind(SQA_COMBINER_FIXED, err);
}

static enum sqa_status equals_axial(struct sqa_err *err)
{
    return equals_kind(SQA_COMBINER_AXIAL, err);
}

static enum sqa_status equals_mixture(struct sqa_err *err)
{
    return equals_kind(SQA_COMBINER_MIXTURE, err);
}

static enum sqa_status equals_logn(struct sqa_err *err)
{
    return equals_kind(SQA_COMBINER_LOGN, err);
}

static enum sqa_status one_row(struct sqa_err *err)
{
    static const char *const items[] = {"combiner:block=14", "combiner:kind=axial,block=64",
                                        "combiner:kind=mixture,block=20"};
    double x[LENGTH * W_ALL], y[LENGTH * W_ALL], expect[LENGTH * W_ALL];
    struct weights w;
    enum sqa_status status = SQA_OK;

    sqa_probe_normal(3, x, LENGTH * W_ALL);
    sqa_probe_normal(4, (double *)&w, sizeof w / sizeof(double));
    for (int i = 0; i < 6 && status == SQA_OK; i++) {
        struct sqa_probe p = {.item = items[i / 2],
                              .batch = 1,
                              .length = LENGTH,
                              .dim = W_ALL,
                              .heads = HEADS,
                              .causal = i % 2,
                              .real = SQA_F64,
                              .edit = set_weights,
                              .user = &w};

        status = sqa_probe_run(&p, x, y, err);
        p.item = "transformer";
        if (status == SQA_OK)
            status = sqa_probe_run(&p, x, expect, err);
        if (status == SQA_OK)
            status = sqa_probe_expect(items[i / 2], sqa_probe_difference(y, expect, LENGTH * W_ALL), 1e-12, err);
    }
    return status;
}

const struct sqa_identity sqa_combiner_identities[] = {
    {"fixed equals its regions written out, causal and padded", equals_fixed},
    {"axial equals its regions written out, causal and padded", equals_axial},
    {"mixture equals its regions written out, causal and padded", equals_mixture},
    {"logn equals its regions written out", equals_logn},
    {"one row: softmax attention", one_row},
    {.name = NULL},
};
