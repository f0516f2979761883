/* gemm_bf16.c - matrix product of operands rounded to bfloat16, the definition; sums in double */
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
