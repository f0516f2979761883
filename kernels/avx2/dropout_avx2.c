/* dropout_avx2.c - dropout, 64 draws at once; a first element inside a block starts in plain C */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/philox_avx2.h"
#include "kernels/plain/plain.h"

void sqa_k_dropout_f32_avx2(uint64_t key, uint64_t first, double keep, const void *x_, void *y_, size_t n)
{
    const size_t head = (size_t)(-first % 8) < n ? (size_t)(-first % 8) : n;
    sqa_k_dropout_f32(key, first, keep, x_, y_, head);
    const float *x = (const float *)x_ + head;
    float *y = (float *)y_ + head;
    n -= head;
    const uint32_t limit = sqa_keep_threshold(keep);
    const __m256i threshold = _mm256_set1_epi32((int)limit);
    const __m256 scale = set8((float)sqa_keep_scale(limit));
    for (size_t i = 0; i < n; i += 64) {
        const uint64_t block = (first + head + i) / 8;
        uint32_t c0[8], c1[8];
        for (unsigned b = 0; b < 8; b++) {
            c0[b] = (uint32_t)(block + b);
            c1[b] = (uint32_t)((block + b) >> 32);
        }
        __m256i draw[8];
        philox8(key, _mm256_loadu_si256((const __m256i *)(const void *)c0),
                _mm256_loadu_si256((const __m256i *)(const void *)c1), draw);
        for (size_t b = 0; b < 8 && i + 8 * b < n; b++) {
            const size_t at = i + 8 * b;
            const __m256 factor = philox_factor(draw[b], threshold, scale);
            const __m256 kept = greater8(factor, _mm256_setzero_ps());
            store8(y + at, n - at, _mm256_and_ps(kept, _mm256_mul_ps(load8(x + at, n - at), scale)));
        }
    }
}
