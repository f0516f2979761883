/*
 * attention.c - softmax attention of one head with the online softmax, one query at a time
 *
 * The definition. Forward: running maximum, running sum and running output of a query; the output is rescaled
 * whenever the maximum grows. Backward: P again from lse, then the products of the definition, one (query, key) pair
 * at a time. Sums are in double; the workspace holds one row of v and one row of q.
 */
#include <math.h>
#include <string.h>

#include "kernels/philox.h"
#include "kernels/plain/plain.h"

static const double inf = (double)INFINITY;

size_t K(attention_workspace)(int64_t d, int64_t dv)
{
    return (size_t)(d + dv) * sizeof(double);
}

/* Walks the allowed keys j of query i, and what dropout multiplies each probability with. */
struct walk {
    const struct sqa_attention *a;
    int64_t i, j, end;         /* end: first key behind the rules other than block */
    const int32_t *at, *stop;  /* key blocks still to come; at == stop: none */
    uint32_t threshold;        /* 256: no dropout */
    uint32_t draws[4], filled; /* draws of keys 16 (filled - 1) .. */
};

static struct walk walk_of(const struct sqa_attention *a, int64_t row)
{
    const int64_t i = a->first + row;
    struct walk w = {.a = a, .i = i, .j = -1, .end = a->keys, .threshold = sqa_pair_threshold(a->keep)};
    if (a->causal && i + 1 < w.end)
        w.end = i + 1;
    if (a->window && i + a->right + 1 < w.end)
        w.end = i + a->right + 1;
    if (a->window && i - a->left > 0)
        w.j = i - a->left - 1;
    if (a->block) {
        w.at = a->block_key + a->block_start[i / a->block];
        w.stop = a->block_key + a->block_start[i / a->block + 1];
    }
    return w;
}

static int next(struct walk *w)
{
    const int64_t block = w->a->block ? w->a->key_block : 0;
    w->j++;
    for (; block && w->at < w->stop && (*w->at + 1) * block <= w->j; w->at++)
        ;
    if (block && w->at == w->stop)
        return 0;
    if (block && *w->at * block > w->j)
        w->j = *w->at * block;
    return w->j < w->end;
}

static double factor_of(struct walk *w)
{
    if (w->threshold == 256)
        return 1;
    if (w->filled != (uint32_t)(w->j / 16 + 1)) {
        w->filled = (uint32_t)(w->j / 16 + 1);
        sqa_philox(w->a->dropout_key, (uint64_t)w->i << 32 | (uint64_t)w->j / 16, w->draws);
    }
    return sqa_philox_byte(w->draws, (unsigned)(w->j % 16)) < w->threshold ? sqa_pair_scale(w->threshold) : 0;
}

static double dot(const real *x, const real *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

static double score(const struct sqa_attention *a, int64_t row, int64_t j)
{
    const real *q = a->q, *k = a->k, *bias = a->bias;
    const double s = a->scale * dot(q + row * a->q_stride, k + j * a->k_stride, a->d);
    return bias ? s + (double)bias[row * a->bias_stride + j] : s;
}

void K(attention)(const struct sqa_attention *a, void *workspace)
{
    const real *v = a->v;
    real *o = a->o, *lse = a->lse;
    double *acc = workspace;
    for (int64_t i = 0; i < a->queries; i++) {
        double top = -inf, sum = 0;
        memset(acc, 0, (size_t)a->dv * sizeof *acc);
        for (struct walk w = walk_of(a, i); next(&w);) {
            const double s = score(a, i, w.j), factor = factor_of(&w);
            if (s > top) {
                const double shrink = exp(top - s);
                sum *= shrink;
                for (int64_t c = 0; c < a->dv; c++)
                    acc[c] *= shrink;
                top = s;
            }
            const double p = s == -inf ? 0 : exp(s - top);
            sum += p;
            for (int64_t c = 0; c < a->dv; c++)
                acc[c] += p * factor * (double)v[w.j * a->v_stride + c];
        }
        const double inv = sum == 0 ? 0 : 1 / sum;
        for (int64_t c = 0; c < a->dv; c++)
            o[i * a->o_stride + c] = (real)(acc[c] * inv);
        lse[i] = (real)(sum == 0 ? inf : top + log(sum));
    }
}

static void clear_rows(real *x, int64_t rows, int64_t width, int64_t stride)
{
    for (int64_t i = 0; i < rows; i++)
        memset(x + i * stride, 0, (size_t)width * sizeof *x);
}

void K(attention_bwd)(const struct sqa_attention_bwd *b, void *workspace)
{
    const struct sqa_attention *a = &b->f;
    const real *q = a->q, *k = a->k, *v = a->v, *o = a->o, *lse = a->lse, *dout = b->dout, *dlse = b->dlse;
    real *dq = b->dq, *dk = b->dk, *dv = b->dv, *dbias = b->dbias;
    double *acc = workspace;
    clear_rows(dk, a->keys, a->d, b->dk_stride);
    clear_rows(dv, a->keys, a->dv, b->dv_stride);
    if (dbias && !b->dbias_add)
        clear_rows(dbias, a->queries, a->keys, b->dbias_stride);
    for (int64_t i = 0; i < a->queries; i++) {
        const real *qi = q + i * a->q_stride, *doi = dout + i * b->do_stride;
        const double delta = dot(doi, o + i * a->o_stride, a->dv) - (dlse ? (double)dlse[i] : 0);
        memset(acc, 0, (size_t)a->d * sizeof *acc);
        for (struct walk w = walk_of(a, i); next(&w);) {
            const real *kj = k + w.j * a->k_stride, *vj = v + w.j * a->v_stride;
            real *dkj = dk + w.j * b->dk_stride, *dvj = dv + w.j * b->dv_stride;
            const double factor = factor_of(&w), p = exp(score(a, i, w.j) - (double)lse[i]);
            const double dsum = p * (factor * dot(doi, vj, a->dv) - delta), ds = a->scale * dsum;
            if (dbias)
                dbias[i * b->dbias_stride + w.j] += (real)dsum;
            for (int64_t c = 0; c < a->dv; c++)
                dvj[c] += (real)(p * factor * (double)doi[c]);
            for (int64_t c = 0; c < a->d; c++) {
                dkj[c] += (real)(ds * (double)qi[c]);
                acc[c] += ds * (double)kj[c];
            }
        }
        for (int64_t c = 0; c < a->d; c++)
            dq[i * b->dq_stride + c] = (real)acc[c];
    }
}
