/*
 * memory.h - the only door to malloc
 *
 * sqa_alloc and friends return zeroed memory or NULL. Tests make the n-th allocation fail through sqa_alloc_fail_at.
 * struct sqa_arena holds many small objects of one lifetime: they are freed together, never singly.
 */
#ifndef SQA_BASE_MEMORY_H
#define SQA_BASE_MEMORY_H

#include <stddef.h>

void *sqa_alloc(size_t bytes);                /* zeroed; alignment of max_align_t */
void *sqa_alloc_array(size_t n, size_t size); /* zeroed; NULL also when n * size overflows */
void *sqa_realloc(void *p, size_t bytes);     /* new bytes are not zeroed */
void *sqa_alloc_aligned(size_t bytes);        /* zeroed; 64-byte aligned; free with sqa_free */
void sqa_free(void *p);
char *sqa_strdup(const char *s);

/* For tests: the n-th allocation from now (1 is the next) and all later ones fail; 0 turns it off.
 * Also set once from the environment variable SEQARENA_ALLOC_FAIL_AT. */
void sqa_alloc_fail_at(long n);
/* Allocations that would take more than this many bytes together fail; 0: no limit. (Libraries' own are not counted.)
 */
void sqa_alloc_limit(size_t bytes);
long sqa_alloc_count(void);    /* allocations since the start, failed ones included */
long sqa_alloc_failures(void); /* failed ones: tells whether a library (jansson) refused for lack of memory */

struct sqa_arena_block;
struct sqa_arena { /* all zero is a valid empty arena */
    struct sqa_arena_block *blocks;
};
void *sqa_arena_alloc(struct sqa_arena *a, size_t bytes); /* zeroed, 16-byte aligned, or NULL */
char *sqa_arena_strdup(struct sqa_arena *a, const char *s);
char *sqa_arena_printf(struct sqa_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sqa_arena_clear(struct sqa_arena *a);

#endif
