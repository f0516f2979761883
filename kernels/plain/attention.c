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

static int64_t allowed_keys(const struct sqa_attention *a, int64_t i)
{
    return a->causal && i + 1 < a->keys ? i + 1 : a->keys;
}

static double dot(const real *x, const real *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

/* What dropout multiplies the probability of pair (i, j) with. block keeps the draws of 8 keys. */
static double pair_factor(const struct sqa_attention *a, uint32_t threshold, int64_t i, int64_t j, uint32_t block[4])
{
    if (threshold == 65536)
        return 1;
    if (j % 8 == 0)
        sqa_philox(a->dropout_key, (uint64_t)i << 32 | (uint64_t)j / 8, block);
    return sqa_philox_piece(block, (unsigned)(j % 8)) < threshold ? sqa_keep_scale(threshold) : 0;
}

void K(attention)(const struct sqa_attention *a, void *workspace)
{
    const real *q = a->q, *k = a->k, *v = a->v;
    real *o = a->o, *lse = a->lse;
    double *acc = workspace;
    const uint32_t threshold = sqa_keep_threshold(a->keep);
    uint32_t block[4] = {0};
    for (int64_t i = 0; i < a->queries; i++) {
        const int64_t keys = allowed_keys(a, i);
        double top = -inf, sum = 0;
        memset(acc, 0, (size_t)a->dv * sizeof *acc);
        for (int64_t j = 0; j < keys; j++) {
            const double s = a->scale * dot(q + i * a->q_stride, k + j * a->k_stride, a->d);
            const double factor = pair_factor(a, threshold, i, j, block);
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
                acc[c] += p * factor * (double)v[j * a->v_stride + c];
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
    const real *q = a->q, *k = a->k, *v = a->v, *o = a->o, *lse = a->lse, *dout = b->dout;
    real *dq = b->dq, *dk = b->dk, *dv = b->dv;
    double *acc = workspace;
    const uint32_t threshold = sqa_keep_threshold(a->keep);
    uint32_t block[4] = {0};
    clear_rows(dk, a->keys, a->d, b->dk_stride);
    clear_rows(dv, a->keys, a->dv, b->dv_stride);
    for (int64_t i = 0; i < a->queries; i++) {
        const real *qi = q + i * a->q_stride, *doi = dout + i * b->do_stride;
        const double delta = dot(doi, o + i * a->o_stride, a->dv);
        const int64_t keys = allowed_keys(a, i);
        memset(acc, 0, (size_t)a->d * sizeof *acc);
        for (int64_t j = 0; j < keys; j++) {
            const real *kj = k + j * a->k_stride, *vj = v + j * a->v_stride;
            real *dkj = dk + j * b->dk_stride, *dvj = dv + j * b->dv_stride;
            const double factor = pair_factor(a, threshold, i, j, block);
            const double p = exp(a->scale * dot(qi, kj, a->d) - (double)lse[i]);
            const double ds = a->scale * p * (factor * dot(doi, vj, a->dv) - delta);
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
