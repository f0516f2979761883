/*
 * attention_bf16.c - softmax attention of one head with operands of products rounded to bfloat16, the definition
 *
 * What each product reads is rounded; softmax, sums and everything else are not. A probability is rounded in units of
 * a power of two (the row's maximum in log 2 units, rounded up), so that what is rounded does not depend on how keys
 * are cut into tiles. Backward: probabilities are normalised before they are rounded. Dropout takes away rounded
 * probabilities; the factor 1 / keep multiplies the result of a product. With a window, a block list or a bias: the
 * f32 kernel, nothing rounded.
 */
#include <math.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/philox.h"
#include "kernels/plain/plain.h"

static const double inf = (double)INFINITY, log2e = 1.44269504088896340736, ln2 = 0.69314718055994530942;

size_t K(attention_bf16_workspace)(int64_t d, int64_t dv)
{
    const size_t f32 = K(attention_workspace)(d, dv), bf16 = (size_t)(d + dv) * sizeof(double);
    return f32 > bf16 ? f32 : bf16;
}

static int64_t allowed_keys(const struct sqa_attention *a, int64_t i)
{
    return a->causal && a->first + i + 1 < a->keys ? a->first + i + 1 : a->keys;
}

static double rounded(double x)
{
    return (double)sqa_bf16_round((float)x);
}

static double dot_rounded(const real *x, const real *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += rounded((double)x[i]) * rounded((double)y[i]);
    return sum;
}

static double dot(const real *x, const real *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

/* Does dropout keep the pair of row i and key j? */
static int kept(const struct sqa_attention *a, uint32_t threshold, int64_t i, int64_t j)
{
    uint32_t block[4];
    if (threshold == 256)
        return 1;
    sqa_philox(a->dropout_key, (uint64_t)(a->first + i) << 32 | (uint64_t)j / 16, block);
    return sqa_philox_byte(block, (unsigned)(j % 16)) < threshold;
}

void K(attention_bf16)(const struct sqa_attention *a, void *workspace)
{
    const real *q = a->q, *k = a->k, *v = a->v;
    real *o = a->o, *lse = a->lse;
    double *acc = workspace;
    const uint32_t threshold = sqa_pair_threshold(a->keep);
    const double keep_scale = sqa_pair_scale(threshold);
    if (!sqa_attention_bf16_knows(a)) {
        K(attention)(a, workspace);
        return;
    }
    for (int64_t i = 0; i < a->queries; i++) {
        const int64_t keys = allowed_keys(a, i);
        const real *qi = q + i * a->q_stride;
        double top = -inf, sum = 0;
        memset(acc, 0, (size_t)a->dv * sizeof *acc);
        for (int64_t j = 0; j < keys; j++) {
            const double s = a->scale * log2e * dot_rounded(qi, k + j * a->k_stride, a->d);
            top = s > top ? s : top;
        }
        const double unit = top == -inf ? 0 : ceil(top);
        for (int64_t j = 0; j < keys; j++) {
            const double s = a->scale * log2e * dot_rounded(qi, k + j * a->k_stride, a->d);
            const double p = exp2(s - unit);
            sum += p;
            if (!kept(a, threshold, i, j))
                continue;
            for (int64_t c = 0; c < a->dv; c++)
                acc[c] += rounded(p) * rounded((double)v[j * a->v_stride + c]);
        }
        const double inv = sum == 0 ? 0 : keep_scale / sum;
        for (int64_t c = 0; c < a->dv; c++)
            o[i * a->o_stride + c] = (real)(acc[c] * inv);
        lse[i] = (real)(sum == 0 ? inf : unit * ln2 + log(sum));
    }
}

static void clear_rows(real *x, int64_t rows, int64_t width, int64_t stride)
{
    for (int64_t i = 0; i < rows; i++)
        memset(x + i * stride, 0, (size_t)width * sizeof *x);
}

void K(attention_bf16_bwd)(const struct sqa_attention_bwd *b, void *workspace)
{
    const struct sqa_attention *a = &b->f;
    const real *q = a->q, *k = a->k, *v = a->v, *o = a->o, *lse = a->lse, *dout = b->dout, *dlse = b->dlse;
    real *dq = b->dq, *dk = b->dk, *dv = b->dv;
    double *acc = workspace;
    const uint32_t threshold = sqa_pair_threshold(a->keep);
    const double keep_scale = sqa_pair_scale(threshold);
    if (!sqa_attention_bf16_knows(a)) {
        K(attention_bwd)(b, workspace);
        return;
    }
    clear_rows(dk, a->keys, a->d, b->dk_stride);
    clear_rows(dv, a->keys, a->dv, b->dv_stride);
    for (int64_t i = 0; i < a->queries; i++) {
        const real *qi = q + i * a->q_stride, *doi = dout + i * b->do_stride;
        const double delta = dot(doi, o + i * a->o_stride, a->dv) - (dlse ? (double)dlse[i] : 0);
        const int64_t keys = allowed_keys(a, i);
        memset(acc, 0, (size_t)a->d * sizeof *acc);
        for (int64_t j = 0; j < keys; j++) {
            const real *kj = k + j * a->k_stride, *vj = v + j * a->v_stride;
            real *dkj = dk + j * b->dk_stride, *dvj = dv + j * b->dv_stride;
            const double factor = kept(a, threshold, i, j) ? keep_scale : 0;
            const double p = exp(a->scale * dot_rounded(qi, kj, a->d) - (double)lse[i]);
            const double ds = rounded(p * (factor * dot_rounded(doi, vj, a->dv) - delta));
            for (int64_t c = 0; c < a->dv; c++)
                dvj[c] += (real)(factor * rounded(p) * rounded((double)doi[c]));
            for (int64_t c = 0; c < a->d; c++) {
                dkj[c] += (real)(a->scale * ds * rounded((double)qi[c]));
                acc[c] += ds * rounded((double)kj[c]);
            }
        }
        for (int64_t c = 0; c < a->d; c++)
            dq[i * b->dq_stride + c] = (real)(a->scale * acc[c]);
    }
}
