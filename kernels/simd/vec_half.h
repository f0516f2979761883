/* vec_half.h - what vec_avx2.h and vec_pair.h share: masks and sums of one vector of eight floats */
#ifndef SQA_KERNELS_SIMD_VEC_HALF_H
#define SQA_KERNELS_SIMD_VEC_HALF_H

/* The lanes below `left` are all ones. */
static inline __m256i half_mask(size_t left)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - (left < 8 ? left : 8)));
}

static inline float half_sum(__m256 x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float half_top(__m256 x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* Lane r is op over the lanes of s[r]. */
#define HALF_PAIR(op, x, y) op(_mm256_shuffle_ps(x, y, 0x88), _mm256_shuffle_ps(x, y, 0xdd))
#define HALF_ACROSS(name, op)                                                                        \
    static inline __m256 name(const __m256 s[8])                                                     \
    {                                                                                                \
        const __m256 a = HALF_PAIR(op, s[0], s[1]), b = HALF_PAIR(op, s[2], s[3]);                   \
        const __m256 c = HALF_PAIR(op, s[4], s[5]), d = HALF_PAIR(op, s[6], s[7]);                   \
        const __m256 low = HALF_PAIR(op, a, b), high = HALF_PAIR(op, c, d);                          \
        return op(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)); \
    }
HALF_ACROSS(half_sums, _mm256_add_ps)
HALF_ACROSS(half_tops, _mm256_max_ps)
#undef HALF_PAIR
#undef HALF_ACROSS

/* Lanes i and i + 4 added in double */
static inline __m256d half_pairs(__m256 x)
{
    return _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
}

static inline double half_sum_d(__m256d x)
{
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

#endif
