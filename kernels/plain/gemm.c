/* gemm.c - matrix product, the definition: one dot product in double per element of C */
#include "kernels/plain/plain.h"

void K(gemm)(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a_, int64_t lda,
             const void *b_, int64_t ldb, double beta, void *c_, int64_t ldc)
{
    const real *a = a_, *b = b_;
    real *c = c_;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < k; l++)
                sum += (double)a[ta ? l * lda + i : i * lda + l] * (double)b[tb ? j * ldb + l : l * ldb + j];
            real *out = c + i * ldc + j;
            const double old = beta == 0 ? 0 : beta * (double)*out;
            *out = (real)(alpha * sum + old);
        }
}
