/* tables.c - the tables of kernels, what this CPU can run, and the choice made at start */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cblas.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xmmintrin.h>
#define HAVE_AVX2 1
#else
#define HAVE_AVX2 0
#endif

#include "kernels/kernels.h"
#include "kernels/plain/plain.h"

/* BLAS refuses leading dimensions of 0 and widths of 0 even when nothing is to be computed. */
static int gemm_is_empty(int64_t m, int64_t n, int64_t k)
{
    return m <= 0 || n <= 0 || k <= 0;
}

static CBLAS_TRANSPOSE transpose(int t)
{
    return t ? CblasTrans : CblasNoTrans;
}

/* A row or a column of C is a product of a matrix with a vector, which OpenBLAS's product of matrices packs for nothing. */
#define GEMM(T, REAL, P)                                                                                            \
    static void gemm_##T(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t lda, \
                         const void *b, int64_t ldb, double beta, void *c, int64_t ldc)                             \
    {                                                                                                               \
        const REAL x = (REAL)alpha, y = (REAL)beta;                                                                 \
        if (gemm_is_empty(m, n, k))                                                                                 \
            sqa_k_gemm_##T(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);                                   \
        else if (n == 1)                                                                                            \
            cblas_##P##gemv(CblasRowMajor, transpose(ta), (blasint)(ta ? k : m), (blasint)(ta ? m : k), x, a,       \
                            (blasint)lda, b, (blasint)(tb ? 1 : ldb), y, c, (blasint)ldc);                          \
        else if (m == 1)                                                                                            \
            cblas_##P##gemv(CblasRowMajor, transpose(!tb), (blasint)(tb ? n : k), (blasint)(tb ? k : n), x, b,      \
                            (blasint)ldb, a, (blasint)(ta ? lda : 1), y, c, 1);                                     \
        else                                                                                                        \
            cblas_##P##gemm(CblasRowMajor, transpose(ta), transpose(tb), (blasint)m, (blasint)n, (blasint)k, x, a,  \
                            (blasint)lda, b, (blasint)ldb, y, c, (blasint)ldc);                                     \
    }
GEMM(f32, float, s)
GEMM(f64, double, d)

/* Packed B is B with dense rows: OpenBLAS adds to what C starts from. */
#define GEMM_PANELS(T, REAL)                                                                                      \
    static void gemm_panels_##T(const struct sqa_gemm_panels *g)                                                  \
    {                                                                                                             \
        const int trans = g->a_column != 1 && g->k > 1;                                                           \
        const REAL *bias = g->bias;                                                                               \
        if ((trans && g->a_row != 1 && g->m > 1) || gemm_is_empty(g->m, g->n, g->k)) {                            \
            sqa_k_gemm_panels_##T(g);                                                                             \
            return;                                                                                               \
        }                                                                                                         \
        for (int64_t i = 0; i < g->m; i++) {                                                                      \
            REAL *c = (REAL *)g->c + i * g->ldc;                                                                  \
            for (int64_t j = 0; j < g->n; j++)                                                                    \
                c[j] = (g->accumulate ? c[j] : 0) + (bias ? bias[j] : 0);                                         \
        }                                                                                                         \
        const int64_t stride = trans ? g->a_column : g->a_row, least = trans ? g->m : g->k;                       \
        for (int p = 0; p < 3 && (p == 0 || g->more[p - 1].a); p++)                                               \
            gemm_##T(trans, 0, g->m, g->n, g->k, 1, p ? g->more[p - 1].a : g->a, stride > least ? stride : least, \
                     p ? g->more[p - 1].panels : g->panels, g->b_row ? g->b_row : g->n, 1, g->c, g->ldc);         \
    }
GEMM_PANELS(f32, float)
GEMM_PANELS(f64, double)

#define ROW(name, T) .name = sqa_k_##name##_##T,
#define PLAIN_TABLE(T, REAL, GEMM, PANELS)                                         \
    {                                                                              \
        .isa = "plain", .size = sizeof(REAL), .gemm = GEMM, .gemm_panels = PANELS, \
        SQA_SIMD_LIST(ROW, T) SQA_PLAIN_LIST(ROW, T)                               \
    }

static const struct sqa_kernels plain_f32 = PLAIN_TABLE(f32, float, sqa_k_gemm_f32, sqa_k_gemm_panels_f32);
static const struct sqa_kernels plain_f64 = PLAIN_TABLE(f64, double, sqa_k_gemm_f64, sqa_k_gemm_panels_f64);
struct sqa_kernels sqa_kernels_f32 = PLAIN_TABLE(f32, float, gemm_f32, gemm_panels_f32);
struct sqa_kernels sqa_kernels_f64 = PLAIN_TABLE(f64, double, gemm_f64, gemm_panels_f64);

#if HAVE_AVX2
#define SET(name, isa) t->name = sqa_k_##name##_f32_##isa;
static void set_avx2(struct sqa_kernels *t)
{
    t->isa = "avx2";
    SQA_SIMD_LIST(SET, avx2)
    SET(gemm_panels, avx2)
}

static void set_nofma(struct sqa_kernels *t)
{
    t->isa = "nofma";
    SQA_SIMD_LIST(SET, nofma)
    SET(gemm_panels, nofma)
}

static void set_avx512(struct sqa_kernels *t)
{
    set_avx2(t);
    t->isa = "avx512";
    SQA_SIMD_LIST(SET, avx512)
    SET(gemm_panels, avx512)
}

static int can_nofma(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

static int can_avx2(void)
{
    return can_nofma() && __builtin_cpu_supports("fma");
}

static int can_avx512(void)
{
    return can_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/* AVX512-BF16: a bit of leaf 7, 1. AMX: bits of leaf 7; the system must keep the tiles (XCR0) and let this process
 * use them, which must be asked for before there are threads. */
enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

static int can_avx512bf16(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return can_avx512() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a >> 5 & 1;
}

static int can_amx(void)
{
    static int allowed = -1;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (allowed < 0) {
        const int has = can_avx512bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && d >> 22 & d >> 24 & 1;
        allowed = has && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
    }
    return allowed;
}

static void set_avx512bf16(struct sqa_kernels *t)
{
    set_avx512(t);
    t->isa = "avx512bf16";
    SQA_BF16_LIST(SET, avx512bf16)
    t->gemm_bf16 = sqa_k_gemm_dnnl_f32_avx512;
}

static void set_amx(struct sqa_kernels *t)
{
    set_avx512bf16(t);
    t->isa = "amx";
    SQA_BF16_LIST(SET, amx)
}

static int has_bf16(const struct sqa_kernels *t)
{
    return t->gemm_bf16 == sqa_k_gemm_dnnl_f32_avx512;
}

static const struct simd {
    const char *isa;
    int (*can)(void);
    void (*set)(struct sqa_kernels *t);
} simd[] = {{"avx2", can_avx2, set_avx2},
            {"avx512", can_avx512, set_avx512},
            {"avx512bf16", can_avx512bf16, set_avx512bf16},
            {"amx", can_amx, set_amx}};                             /* weakest first */
static const struct simd by_name = {"nofma", can_nofma, set_nofma}; /* never the best: for counts under valgrind */
enum { SIMDS = sizeof simd / sizeof simd[0] };
#else
enum { SIMDS = 0 };
static int has_bf16(const struct sqa_kernels *t)
{
    return 0 * (t != NULL);
}
#endif

static char cpu_flags[256];

static void add_flag(int seen, const char *name)
{
    const size_t at = strlen(cpu_flags), n = strlen(name);
    if (!seen || at + n + 2 > sizeof cpu_flags)
        return;
    if (at)
        cpu_flags[at] = ' ';
    memcpy(cpu_flags + at + (at != 0), name, n + 1);
}

static void find_cpu_flags(void)
{
    cpu_flags[0] = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
#define FLAG(name) add_flag(__builtin_cpu_supports(name), name) /* wants a literal */
    FLAG("sse4.2");
    FLAG("avx");
    FLAG("avx2");
    FLAG("fma");
    FLAG("avx512f");
    FLAG("avx512bw");
    FLAG("avx512vl");
    FLAG("avx512vnni");
    FLAG("avx512bf16");
    add_flag(can_amx(), "amx-bf16");
#endif
    add_flag(cpu_flags[0] == 0, "none");
}

/* OpenBLAS exports these without declaring them. */
extern void *blas_memory_alloc(int position);
extern void blas_memory_free(void *buffer);

int sqa_kernels_reserve(int threads)
{
    enum { BUFFER = 160 << 20, MAX_RESERVED = 64 };
    static int reserved;
    threads = threads < MAX_RESERVED ? threads : MAX_RESERVED;
    if (threads <= reserved)
        return 1;
    const size_t bytes = (size_t)(threads - reserved) * BUFFER;
    void *probe = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (probe == MAP_FAILED)
        return 0;
    munmap(probe, bytes);
    void *taken[MAX_RESERVED];
    for (int i = 0; i < threads; i++)
        taken[i] = blas_memory_alloc(0);
    for (int i = 0; i < threads; i++)
        blas_memory_free(taken[i]);
    reserved = threads;
    return 1;
}

const char *sqa_compute_name(enum sqa_compute c)
{
    static const char *const names[SQA_COMPUTES] = {"f32", "bf16", "bf16-emulated"};
    return names[c];
}

static struct sqa_kernels bf16_tables[SQA_COMPUTES]; /* BF16 and BF16_EMULATED */

const struct sqa_kernels *sqa_kernels_compute(enum sqa_compute c)
{
    return c == SQA_COMPUTE_F32 ? &sqa_kernels_f32 : &bf16_tables[c];
}

struct sqa_kernels sqa_kernels_bf16_of(const struct sqa_kernels *from)
{
    struct sqa_kernels t = *from;
    t.gemm = from->gemm_bf16;
    t.panels = from->panels_bf16;
    t.pack = from->pack_bf16;
    t.gemm_panels = from->gemm_panels_bf16;
    t.attention_workspace = from->attention_bf16_workspace;
    t.attention = from->attention_bf16;
    t.attention_bwd = from->attention_bf16_bwd;
    return t;
}

void sqa_kernels_init(void)
{
    const struct sqa_kernels *tables[8], *emulated = &plain_f32;
    const char *limit = getenv("SEQARENA_ISA");
    openblas_set_num_threads(1);
    find_cpu_flags();
    sqa_kernels_f32 = plain_f32;
    sqa_kernels_f32.gemm = gemm_f32;
    sqa_kernels_f32.gemm_panels = gemm_panels_f32;
    const int none = limit && (strcmp(limit, "plain") == 0 || strcmp(limit, "nofma") == 0);
    const size_t n = none ? 0 : sqa_kernels_simd(tables);
    bf16_tables[SQA_COMPUTE_BF16] = (struct sqa_kernels){.isa = NULL};
    for (size_t i = 0; i < n; i++) {
        sqa_kernels_f32 = *tables[i];
        if (has_bf16(tables[i]) && sqa_k_gemm_dnnl_works_f32_avx512(0))
            bf16_tables[SQA_COMPUTE_BF16] = sqa_kernels_bf16_of(tables[i]);
        else
            emulated = tables[i];
        if (limit && strcmp(limit, tables[i]->isa) == 0)
            break;
    }
#if HAVE_AVX2
    static struct sqa_kernels named;
    if (limit && strcmp(limit, by_name.isa) == 0 && by_name.can()) {
        named = plain_f32;
        named.gemm = gemm_f32;
        by_name.set(&named);
        sqa_kernels_f32 = named;
        emulated = &named;
    }
#endif
    bf16_tables[SQA_COMPUTE_BF16_EMULATED] = sqa_kernels_bf16_of(emulated);
    bf16_tables[SQA_COMPUTE_BF16_EMULATED].isa = "emulated bf16";
}

const char *sqa_bf16_missing(void)
{
    const struct sqa_kernels *tables[8];
    const size_t n = sqa_kernels_simd(tables);
    if (bf16_tables[SQA_COMPUTE_BF16].isa)
        return NULL;
    if (n == 0 || !has_bf16(tables[n - 1]))
        return "this processor has neither";
    return getenv("SEQARENA_ISA") ? "SEQARENA_ISA leaves them out" : "oneDNN has no bf16 product here";
}

int sqa_kernels_isa_known(const char *name, const char **names)
{
    static char list[64];
    int known = !name || strcmp(name, "plain") == 0;
    snprintf(list, sizeof list, "plain");
#if HAVE_AVX2
    snprintf(list, sizeof list, "plain, %s", by_name.isa);
    known = known || strcmp(name, by_name.isa) == 0;
    for (size_t i = 0; i < SIMDS; i++) {
        const size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, ", %s", simd[i].isa);
        known = known || strcmp(name, simd[i].isa) == 0;
    }
#endif
    *names = list;
    return known;
}

const struct sqa_kernels *sqa_kernels_plain(int f64)
{
    return f64 ? &plain_f64 : &plain_f32;
}

size_t sqa_kernels_simd(const struct sqa_kernels *tables[8])
{
    size_t n = 0;
#if HAVE_AVX2
    static struct sqa_kernels made[SIMDS];
    for (size_t i = 0; i < SIMDS; i++) {
        if (!made[i].isa && simd[i].can()) {
            made[i] = plain_f32;
            made[i].gemm = gemm_f32;
            simd[i].set(&made[i]);
        }
        if (made[i].isa)
            tables[n++] = &made[i];
    }
#else
    (void)tables;
#endif
    return n;
}

void sqa_kernels_flush_denormals(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040); /* flush to zero, denormals are zero */
#endif
}

const char *sqa_kernels_cpu_flags(void)
{
    if (!cpu_flags[0])
        find_cpu_flags();
    return cpu_flags;
}
