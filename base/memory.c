/* memory.c - see memory.h */
#include "base/memory.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 1 << 21 }; /* where the system gives them: blocks of this size and more lie in such pages */

static atomic_long count;
static atomic_long fail_at;
static atomic_long failures;
static atomic_int env_read;
static atomic_size_t used, most; /* bytes; most 0: no limit */

static int refuse(size_t bytes)
{
    if (!atomic_exchange(&env_read, 1)) {
        const char *s = getenv("SEQARENA_ALLOC_FAIL_AT");
        if (s && atomic_load(&fail_at) == 0)
            atomic_store(&fail_at, atol(s));
    }
    const long n = atomic_fetch_add(&count, 1) + 1;
    const long at = atomic_load(&fail_at);
    const size_t limit = atomic_load(&most), now = atomic_load(&used);
    const int no = (at > 0 && n >= at) || (limit > 0 && (bytes > limit || now > limit - bytes));
    atomic_fetch_add(&failures, no);
    return no;
}

static void *took(void *p)
{
    if (p)
        atomic_fetch_add(&used, malloc_usable_size(p));
    else
        atomic_fetch_add(&failures, 1);
    return p;
}

long sqa_alloc_failures(void)
{
    return atomic_load(&failures);
}

void sqa_alloc_limit(size_t bytes)
{
    atomic_store(&most, bytes);
}

void sqa_alloc_fail_at(long n)
{
    atomic_store(&env_read, 1);
    atomic_store(&fail_at, n > 0 ? atomic_load(&count) + n : 0);
}

long sqa_alloc_count(void)
{
    return atomic_load(&count);
}

void *sqa_alloc(size_t bytes)
{
    return refuse(bytes) ? NULL : took(calloc(1, bytes ? bytes : 1));
}

void *sqa_alloc_array(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        bytes = SIZE_MAX;
    return refuse(bytes) || bytes == SIZE_MAX ? NULL : took(calloc(1, bytes ? bytes : 1));
}

void *sqa_realloc(void *p, size_t bytes)
{
    const size_t before = p ? malloc_usable_size(p) : 0;
    if (refuse(bytes > before ? bytes - before : 0))
        return NULL;
    void *q = realloc(p, bytes ? bytes : 1);
    if (q)
        atomic_fetch_sub(&used, before);
    return took(q);
}

void *sqa_alloc_aligned(size_t bytes)
{
    const size_t rounded = (bytes + 63) & ~(size_t)63;
    if (refuse(bytes) || rounded < bytes)
        return NULL;
    const int huge = bytes >= HUGE_PAGE;
    void *p = NULL;
    p = took(posix_memalign(&p, huge ? HUGE_PAGE : 64, rounded ? rounded : 64) == 0 ? p : NULL);
    if (p && huge) /* a wish: rows far apart then do not wait for page tables */
        (void)madvise(p, rounded & ~(size_t)(HUGE_PAGE - 1), MADV_HUGEPAGE);
    if (p)
        memset(p, 0, rounded);
    return p;
}

void sqa_free(void *p)
{
    if (p)
        atomic_fetch_sub(&used, malloc_usable_size(p));
    free(p);
}

char *sqa_strdup(const char *s)
{
    const size_t n = strlen(s) + 1;
    char *p = sqa_alloc(n);
    if (p)
        memcpy(p, s, n);
    return p;
}

struct sqa_arena_block {
    struct sqa_arena_block *next;
    size_t used, size;
    _Alignas(16) unsigned char data[];
};

void *sqa_arena_alloc(struct sqa_arena *a, size_t bytes)
{
    const size_t need = (bytes + 15) & ~(size_t)15;
    struct sqa_arena_block *b = a->blocks;
    if (need < bytes || need > SIZE_MAX - sizeof *b)
        return NULL;
    if (!b || b->size - b->used < need) {
        const size_t size = need > 65536 ? need : 65536;
        b = sqa_alloc(sizeof *b + size);
        if (!b)
            return NULL;
        b->size = size;
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = b->data + b->used;
    b->used += need;
    return p;
}

char *sqa_arena_strdup(struct sqa_arena *a, const char *s)
{
    const size_t n = strlen(s) + 1;
    char *p = sqa_arena_alloc(a, n);
    if (p)
        memcpy(p, s, n);
    return p;
}

char *sqa_arena_printf(struct sqa_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = n < 0 ? NULL : sqa_arena_alloc(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return p;
}

void sqa_arena_clear(struct sqa_arena *a)
{
    while (a->blocks) {
        struct sqa_arena_block *next = a->blocks->next;
        sqa_free(a->blocks);
        a->blocks = next;
    }
}
