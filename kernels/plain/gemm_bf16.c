/* gemm_bf16.c - matrix products of operands rounded to bfloat16, the definition; sums in double */
#include "kernels/bf16.h"
#include "kernels/plain/plain.h"

void K(gemm_bf16)(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a_, int64_t lda,
                  const void *b_, int64_t ldb, double beta, void *c_, int64_t ldc)
{
    const real *a = a_, *b = b_;
    real *c = c_;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < k; l++) {
                const float x = sqa_bf16_round((float)a[ta ? l * lda + i : i * lda + l]);
                const float y = sqa_bf16_round((float)b[tb ? j * ldb + l : l * ldb + j]);
                sum += (double)x * (double)y;
            }
            real *out = c + i * ldc + j;
            const double old = beta == 0 ? 0 : beta * (double)*out;
            *out = (real)(alpha * sum + old);
        }
}

size_t K(panels_bf16)(int64_t k, int64_t n)
{
    return K(panels)(k, n);
}

void K(pack_bf16)(int64_t k, int64_t n, const void *b, int64_t row, int64_t column, void *panels)
{
    real *to = panels;
    K(pack)(k, n, b, row, column, panels);
    for (int64_t i = 0; i < k * n; i++)
        to[i] = (real)sqa_bf16_round((float)to[i]);
}

void K(gemm_panels_bf16)(const struct sqa_gemm_panels *g)
{
    const real *as[3] = {g->a, g->more[0].a, g->more[1].a}, *bias = g->bias;
    const real *bs[3] = {g->panels, g->more[0].panels, g->more[1].panels};
    const int64_t b_row = g->b_row ? g->b_row : g->n;
    real *c = g->c;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            real *out = c + i * g->ldc + j;
            double sum = (g->accumulate ? (double)*out : 0) + (bias ? (double)bias[j] : 0);
            for (int p = 0; p < 3 && (p == 0 || as[p]); p++)
                for (int64_t l = 0; l < g->k; l++)
                    sum += (double)sqa_bf16_round((float)as[p][i * g->a_row + l * g->a_column]) *
                           (double)sqa_bf16_round((float)bs[p][l * b_row + j]);
            *out = (real)sum;
        }
}
