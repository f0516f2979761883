/*
 * gemm_bf16.c - matrix product of operands rounded to bfloat16, with the f32 product of blocks
 *
 * Blocks of op(A) and op(B) are rounded into dense copies on the stack; BLAS multiplies them. A product of two
 * bfloat16 is exact in float, so only the order of the sums differs from hardware. Sizes of blocks are constants: the
 * same bits whatever the threads.
 */
#include <cblas.h>

#include "kernels/plain/plain.h"
#include "kernels/simd/bf16.h"

enum { ROWS = 128, COLUMNS = 256, TERMS = 256 };

/* to (rows, columns), dense, from rows of stride ld */
static void round_block(const float *from, int64_t ld, int64_t rows, int64_t columns, float *to)
{
    for (int64_t r = 0; r < rows; r++) {
        int64_t c = 0;
        for (; c + W <= columns; c += W)
            v_store(to + r * columns + c, v_from_bits(v_bf16(v_load(from + r * ld + c))));
        if (c < columns)
            v_store_part(to + r * columns + c, (size_t)(columns - c),
                         v_from_bits(v_bf16(v_load_part(from + r * ld + c, (size_t)(columns - c)))));
    }
}

void V(gemm_bf16)(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a_, int64_t lda,
                  const void *b_, int64_t ldb, double beta, void *c_, int64_t ldc)
{
    float left[ROWS * TERMS], right[TERMS * COLUMNS];
    const float *a = a_, *b = b_;
    float *c = c_;
    if (m <= 0 || n <= 0 || k <= 0) {
        sqa_k_gemm_bf16_f32(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        return;
    }
    for (int64_t l = 0; l < k; l += TERMS)
        for (int64_t j = 0; j < n; j += COLUMNS) {
            const int64_t terms = smaller(TERMS, k - l), columns = smaller(COLUMNS, n - j);
            round_block(tb ? b + j * ldb + l : b + l * ldb + j, ldb, tb ? columns : terms, tb ? terms : columns,
                        right);
            for (int64_t i = 0; i < m; i += ROWS) {
                const int64_t rows = smaller(ROWS, m - i);
                round_block(ta ? a + l * lda + i : a + i * lda + l, lda, ta ? terms : rows, ta ? rows : terms, left);
                cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans,
                            (blasint)rows, (blasint)columns, (blasint)terms, (float)alpha, left,
                            (blasint)(ta ? rows : terms), right, (blasint)(tb ? terms : columns),
                            l == 0 ? (float)beta : 1.0f, c + i * ldc + j, (blasint)ldc);
            }
        }
}
