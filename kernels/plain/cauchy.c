/* cauchy.c - Cauchy sums at points of the imaginary axis; kernels/simd/cauchy.c compiles it again */
#include "kernels/plain/plain.h"

enum { LANES = SQA_CAUCHY_LANES, MOST = 2 * SQA_CAUCHY_SUMS };

/* 1 / (a + i (y - b)) = g - i h of some nodes, and g2 - i h2 with -b; y - b is taken of the high parts, which is
 * exact where they are near each other, and then of the low ones. */
struct pair {
    real g[LANES], h[LANES], g2[LANES], h2[LANES];
};

static inline void reciprocals(const struct sqa_cauchy *c, size_t j, size_t k, struct pair *p)
{
    const real *y = (const real *)c->y + k, *low = (const real *)c->y_low + k;
    const real a = ((const real *)c->a)[j], b = ((const real *)c->b)[j], b_low = ((const real *)c->b_low)[j];
    const real square = a * a;
#pragma omp simd
    for (int l = 0; l < LANES; l++) {
        const real minus = (y[l] - b) + (low[l] - b_low), plus = (y[l] + b) + (low[l] + b_low);
        const real m = square + minus * minus, m2 = square + plus * plus, q = 1 / (m * m2);
        p->g[l] = a * (q * m2);
        p->h[l] = minus * (q * m2);
        p->g2[l] = a * (q * m);
        p->h2[l] = plus * (q * m);
    }
}

void K(cauchy)(const struct sqa_cauchy *c, void *out_)
{
    real *out = out_;
    for (size_t k = 0; k < c->nodes; k += LANES) {
        real sum[MOST][LANES] = {{0}};
        for (size_t j = 0; j < c->poles; j++) {
            const real *v = (const real *)c->v + j * 2 * c->sums;
            real s[LANES], t[LANES], u[LANES], w[LANES];
            struct pair p;
            reciprocals(c, j, k, &p);
#pragma omp simd
            for (int l = 0; l < LANES; l++) {
                s[l] = p.g[l] + p.g2[l];
                t[l] = p.h[l] - p.h2[l];
                u[l] = p.g[l] - p.g2[l];
                w[l] = p.h[l] + p.h2[l];
            }
            for (size_t i = 0; i < 2 * c->sums; i += 2) {
                const real re = v[i], im = v[i + 1];
#pragma omp simd
                for (int l = 0; l < LANES; l++) {
                    sum[i][l] += re * s[l] + im * t[l];
                    sum[i + 1][l] += im * u[l] - re * w[l];
                }
            }
        }
        for (size_t i = 0; i < 2 * c->sums; i++)
            for (int l = 0; l < LANES; l++)
                out[i * c->nodes + k + (size_t)l] = sum[i][l];
    }
}

static double total(const real *x)
{
    double sum = 0;
    for (int l = 0; l < LANES; l++)
        sum += (double)x[l];
    return sum;
}

void K(cauchy_grad)(const struct sqa_cauchy *c, const void *dout, double *dv, double *da, double *db)
{
    for (size_t j = 0; j < c->poles; j++) {
        const real *v = (const real *)c->v + j * 2 * c->sums;
        real sum[MOST][LANES] = {{0}}, sum_a[LANES] = {0}, sum_b[LANES] = {0};
        for (size_t k = 0; k < c->nodes; k += LANES) {
            const real *g = (const real *)dout + k;
            real ax[LANES] = {0}, ay[LANES] = {0}, bx[LANES] = {0}, by[LANES] = {0};
            struct pair p;
            reciprocals(c, j, k, &p);
            for (size_t i = 0; i < 2 * c->sums; i += 2) {
                const real re = v[i], im = v[i + 1], *gr = g + i * c->nodes, *gi = gr + c->nodes;
#pragma omp simd
                for (int l = 0; l < LANES; l++) {
                    const real x = gr[l], y = gi[l];
                    sum[i][l] += x * (p.g[l] + p.g2[l]) - y * (p.h[l] + p.h2[l]);
                    sum[i + 1][l] += x * (p.h[l] - p.h2[l]) + y * (p.g[l] - p.g2[l]);
                    /* conj(G) v and conj(G) conj(v) */
                    ax[l] += x * re + y * im;
                    ay[l] += x * im - y * re;
                    bx[l] += x * re - y * im;
                    by[l] -= x * im + y * re;
                }
            }
#pragma omp simd
            for (int l = 0; l < LANES; l++) {
                const real re = p.g[l] * p.g[l] - p.h[l] * p.h[l], im = -2 * p.g[l] * p.h[l];
                const real re2 = p.g2[l] * p.g2[l] - p.h2[l] * p.h2[l], im2 = -2 * p.g2[l] * p.h2[l];
                sum_a[l] -= (ax[l] * re - ay[l] * im) + (bx[l] * re2 - by[l] * im2);
                sum_b[l] += (bx[l] * im2 + by[l] * re2) - (ax[l] * im + ay[l] * re);
            }
        }
        for (size_t i = 0; i < 2 * c->sums; i++)
            dv[j * 2 * c->sums + i] = total(sum[i]);
        da[j] = total(sum_a);
        db[j] = total(sum_b);
    }
}
