/* probe_dense.c - a mixer against dense attention over the pairs of its definition (see probe.h) */
#include <math.h>
#include <stdio.h>

#include "models/probe_known.h"

enum { MOST = 64, WIDTH = 16, SETS = 2 };

/* Weights of the first set of projections (wq, wk, wv), of the second (wqg, wkg, wvg), and wo */
struct weights {
    double in[SETS][3][WIDTH * WIDTH], out[WIDTH * WIDTH];
};

static const char *const names[SETS][3] = {{"mixer.wq.w", "mixer.wk.w", "mixer.wv.w"},
                                           {"mixer.wqg.w", "mixer.wkg.w", "mixer.wvg.w"}};

static void set_weights(struct sqa_store *s, void *user)
{
    const struct weights *w = user;

    for (int set = 0; set < SETS; set++)
        for (int i = 0; i < 3; i++)
            sqa_probe_set(s, names[set][i], w->in[set][i]);
    sqa_probe_set(s, "mixer.wo.w", w->out);
}

/* Row i of head h of sequence b; keys behind the sequence are zeros. */
static void attend(const struct sqa_probe *p, const struct sqa_probe_pairs *pairs, double in[SETS][3][MOST * WIDTH],
                   int b, int h, int64_t i, double *o)
{
    const int64_t d = p->dim / p->heads, first = h * d;
    double weight[MOST], sum = 0;
    int set[MOST]; /* of SQA_PROBE_EVEN the first */

    for (int64_t j = 0; j < p->length + pairs->zeros; j++) {
        double score = 0;

        set[j] = pairs->set(pairs->user, b, h, (int)i, (int)j);
        const bool even = set[j] == SQA_PROBE_EVEN;

        set[j] = even ? 1 : set[j];
        for (int64_t e = first; e < first + d && set[j] > 0 && !even; e++)
            score += in[set[j] - 1][0][i * p->dim + e] * in[set[j] - 1][1][j * p->dim + e];
        weight[j] = set[j] > 0 ? exp(score / sqrt((double)d)) : 0;
        sum += weight[j];
    }
    for (int64_t j = 0; j < p->length + pairs->zeros; j++)
        for (int64_t e = first; e < first + d && set[j] > 0; e++)
            o[i * p->dim + e] += weight[j] / sum * in[set[j] - 1][2][j * p->dim + e];
}

static void dense(const struct sqa_probe *p, const struct sqa_probe_pairs *pairs, const struct weights *w,
                  const double *x, int b, double *y)
{
    static double in[SETS][3][MOST * WIDTH], o[MOST * WIDTH];

    for (int64_t i = 0; i < MOST * WIDTH; i++)
        o[i] = 0;
    for (int set = 0; set < SETS; set++)
        for (int i = 0; i < 3; i++)
            sqa_probe_times(x, w->in[set][i], (int)(p->length + pairs->zeros), (int)p->dim, (int)p->dim, in[set][i]);
    for (int h = 0; h < p->heads; h++)
        for (int64_t i = 0; i < p->length; i++)
            attend(p, pairs, in, b, h, i, o);
    sqa_probe_times(o, w->out, (int)p->length, (int)p->dim, (int)p->dim, y);
}

enum sqa_status sqa_probe_dense(const struct sqa_probe *probe, const struct sqa_probe_pairs *pairs,
                                struct sqa_err *err)
{
    static struct weights w;
    static double all[4 * MOST * WIDTH], y[4 * MOST * WIDTH], x[MOST * WIDTH], expect[MOST * WIDTH];
    const int64_t n = probe->length * probe->dim;
    struct sqa_probe p = *probe;
    enum sqa_status status;

    if (p.batch > 4 || p.length + pairs->zeros > MOST || p.dim > WIDTH)
        return sqa_fail(err, SQA_USAGE, "dense reference: it holds 4 x %d x %d; ask for less", MOST, WIDTH);
    sqa_probe_normal(1, all, (size_t)(p.batch * n));
    sqa_probe_normal(2, (double *)&w, sizeof w / sizeof(double));
    p.edit = set_weights;
    p.user = &w;
    status = sqa_probe_run(&p, all, y, err);
    for (int b = 0; b < p.batch && status == SQA_OK; b++) {
        const int64_t valid = p.lengths != NULL && !pairs->padded ? p.lengths[b] : p.length;
        char what[160];

        for (int64_t i = 0; i < MOST * WIDTH; i++)
            x[i] = i < n ? all[b * n + i] : 0;
        dense(&p, pairs, &w, x, b, expect);
        (void)snprintf(what, sizeof what, "%.90s, row %d%s, against its definition", p.item, b,
                       p.causal ? ", causal" : "");
        status = sqa_probe_expect(what, sqa_probe_difference(y + b * n, expect, (size_t)(valid * p.dim)), 1e-12, err);
    }
    return status;
}
