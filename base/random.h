/*
 * random.h - counter-based random numbers
 *
 * Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). A stream is a 64-bit key; draw
 * i of a stream is a pure function of (key, i), so numbers do not depend on threads, order or a resume. Keys come
 * from sqa_random_key(seed, step, path): path names the place ("blocks.0.mixer.wq", "task/train").
 */
#ifndef SQA_BASE_RANDOM_H
#define SQA_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

uint64_t sqa_random_key(uint64_t seed, uint64_t step, const char *path);
uint64_t sqa_random_mix(uint64_t key, uint64_t value); /* a new key from a key and a number */

/* Four 32-bit words of block number ctr of the stream. */
void sqa_random_block(uint64_t key, uint64_t ctr, uint32_t out[4]);

/* Pure functions of (key, i). uniform is in [0, 1) with 53 bits; below is in [0, n) without bias worth naming
 * (64-bit multiply-shift); normal is standard normal by Box-Muller. */
uint64_t sqa_random_u64(uint64_t key, uint64_t i);
double sqa_random_uniform(uint64_t key, uint64_t i);
uint64_t sqa_random_below(uint64_t key, uint64_t i, uint64_t n);
double sqa_random_normal(uint64_t key, uint64_t i);

/* A sequential reader of one stream, for generators that draw a varying number of values. */
struct sqa_random {
    uint64_t key, next;
};
static inline uint64_t sqa_random_next(struct sqa_random *r)
{
    return sqa_random_u64(r->key, r->next++);
}
static inline double sqa_random_next_uniform(struct sqa_random *r)
{
    return sqa_random_uniform(r->key, r->next++);
}
static inline uint64_t sqa_random_next_below(struct sqa_random *r, uint64_t n)
{
    return sqa_random_below(r->key, r->next++, n);
}
static inline double sqa_random_next_normal(struct sqa_random *r)
{
    return sqa_random_normal(r->key, r->next++);
}

/* order[0..n) becomes a permutation of 0..n-1 (Fisher-Yates). */
void sqa_random_permutation(uint64_t key, uint32_t *order, size_t n);

#endif
