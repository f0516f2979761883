/* random.c - see random.h */
#include "base/random.h"

#include <math.h>
#include <string.h>

#include <xxhash.h>

uint64_t sqa_random_key(uint64_t seed, uint64_t step, const char *path)
{
    return XXH64(path, strlen(path), sqa_random_mix(seed, step));
}

uint64_t sqa_random_mix(uint64_t key, uint64_t value)
{
    const uint64_t pair[2] = {key, value};
    return XXH64(pair, sizeof pair, 0);
}

void sqa_random_block(uint64_t key, uint64_t ctr, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)ctr, c1 = (uint32_t)(ctr >> 32), c2 = 0, c3 = 0;
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        const uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint64_t sqa_random_u64(uint64_t key, uint64_t i)
{
    uint32_t w[4];
    sqa_random_block(key, i >> 1, w);
    return i & 1 ? (uint64_t)w[3] << 32 | w[2] : (uint64_t)w[1] << 32 | w[0];
}

double sqa_random_uniform(uint64_t key, uint64_t i)
{
    return (double)(sqa_random_u64(key, i) >> 11) * 0x1p-53;
}

uint64_t sqa_random_below(uint64_t key, uint64_t i, uint64_t n)
{
    const uint64_t x = sqa_random_u64(key, i);
    const uint64_t lo = (x & 0xffffffffu) * (n & 0xffffffffu);
    const uint64_t mid = (x >> 32) * (n & 0xffffffffu) + (lo >> 32);
    const uint64_t mid2 = (x & 0xffffffffu) * (n >> 32) + (mid & 0xffffffffu);
    return (x >> 32) * (n >> 32) + (mid >> 32) + (mid2 >> 32);
}

double sqa_random_normal(uint64_t key, uint64_t i)
{
    const double u = 1.0 - sqa_random_uniform(key, 2 * i);
    const double v = sqa_random_uniform(key, 2 * i + 1);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void sqa_random_permutation(uint64_t key, uint32_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        const size_t j = (size_t)sqa_random_below(key, i, i);
        const uint32_t t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}
