/*
 * kernels.h - numeric kernels on plain arrays: no graph, no I/O, no threads, no allocation
 *
 * One table of function pointers per element type. The plain C form of every kernel is its specification; it is
 * compiled twice, for float and for double, from the same source (kernels/plain/). SIMD forms replace pointers of the
 * f32 table at start, chosen by CPU flags, weakest first. Callers above (engine ops) split work over threads.
 *
 * Arrays are dense, row-major, of the table's type, unless strides are given (in elements). Outputs do not overlap
 * inputs unless a kernel says "may alias". No kernel reads or writes outside the given ranges; pointers need only the
 * natural alignment of the element. Sizes may be 0. All kernels are deterministic: the order of every sum is fixed.
 */
#ifndef SQA_KERNELS_KERNELS_H
#define SQA_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* y = f(x); grad: dx = dy * f'(x). gelu is the exact one, x * Phi(x) (erf); elu1 is elu(x) + 1. */
#define SQA_UNARY_LIST(X) \
    X(NEG, neg)           \
    X(EXP, exp)           \
    X(LOG, log)           \
    X(SQRT, sqrt)         \
    X(RSQRT, rsqrt)       \
    X(SQUARE, square)     \
    X(RECIP, recip)       \
    X(ABS, abs)           \
    X(RELU, relu)         \
    X(GELU, gelu)         \
    X(TANH, tanh)         \
    X(SIGMOID, sigmoid)   \
    X(SILU, silu)         \
    X(SOFTPLUS, softplus) \
    X(ELU1, elu1)         \
    X(SIN, sin)           \
    X(COS, cos)
enum sqa_unary {
#define X(NAME, name) SQA_UNARY_##NAME,
    SQA_UNARY_LIST(X)
#undef X
        SQA_UNARY_N
};

#define SQA_BINARY_LIST(X) X(ADD, add) X(SUB, sub) X(MUL, mul) X(DIV, div) X(MAX, max)
enum sqa_binary {
#define X(NAME, name) SQA_BINARY_##NAME,
    SQA_BINARY_LIST(X)
#undef X
        SQA_BINARY_N
};

/* Tiled softmax attention with the online softmax: no L x L buffer (Dao et al., arXiv:2205.14135).
 *   S = scale Q K^T, P = masked softmax(S) row by row, O = P V
 * One call works on one (batch, head). Rows are strided, the d numbers of a row are dense.
 * Keys j >= keys are not allowed; causal: j > i not allowed. A query row with no
 * allowed key gives O = 0 and lse = +inf, and zero gradients. lse = log sum exp of the row's allowed scores.
 * Dropout on P after normalisation: element (i, j) is kept when its 16-bit draw of stream `dropout_key` is below
 * keep * 65536 rounded; kept values are divided by that rounded keep. keep >= 1: no dropout.
 * Workspace: attention_workspace() bytes for each call running at the same time. */
struct sqa_attention {
    int64_t queries, keys; /* Lq, and Lk that are valid */
    int64_t d, dv;         /* width of q and k rows, and of v and o rows */
    double scale;
    int causal;
    double keep;
    uint64_t dropout_key;
    const void *q, *k, *v;                          /* rows of d, d, dv */
    int64_t q_stride, k_stride, v_stride, o_stride; /* elements between rows */
    void *o;
    void *lse; /* (queries) */
};
/* Gradients; o and lse are the forward's results. dq, dk, dv are written (not accumulated) for rows 0..queries-1 and
 * 0..keys-1. Products: S, dP, dV, dQ, dK: five. */
struct sqa_attention_bwd {
    struct sqa_attention f;
    const void *dout; /* rows of dv */
    void *dq, *dk, *dv;
    int64_t do_stride, dq_stride, dk_stride, dv_stride;
};

/* Attention without softmax: weights phi(q) . phi(k), one (batch, head).
 *
 *     y_t = sum_s (phi(q_t) . phi(k_s)) v_s / den_t,   den_t = sum_s phi(q_t) . phi(k_s) + den_eps
 *
 * over keys s < keys, s <= t when causal. phi(x) has m numbers, of u = scale W x, or u = scale x without W (m = d):
 *     ELU1  elu(u) + 1        RELU  relu(u) + eps        EXP  exp(u - |scale x|^2 / 2 - c) + eps
 * In EXP c is the largest u of a query; for keys the largest of all keys, or 0 when causal. Gradients go through c
 * (the first number among equals). Rows are strided, their numbers are dense.
 *
 * Features are made tile by tile and never kept. Kernels take a range of rows, so that ranges can run in parallel;
 * what passes between them is a state of sqa_kattn_state(a) elements:
 *     S (m, dv) = sum phi(k) v^T,  z (m) = sum phi(k),  then dv + 4 elements: see SQA_KATTN_*
 * A state of several ranges is the sum of theirs, except with EXP and not causal, where kattn_keys leaves eps out and
 * sums are relative to the range's own c: the caller scales by exp(c - largest c), adds, then adds eps sum v to every
 * row of S and eps count to z. Gradient states hold dS, dz. */
enum sqa_feature_map { SQA_MAP_ELU1, SQA_MAP_RELU, SQA_MAP_EXP };
struct sqa_kernel_attention {
    enum sqa_feature_map map;
    int causal;
    int64_t rows, keys; /* positions, and keys that are valid */
    int64_t d, m, dv;
    int64_t chunk; /* of the causal kernels: positions between two states */
    double scale, eps, den_eps;
    const void *w;         /* (m, d) dense, or NULL */
    const void *q, *k, *v; /* rows of d, d, dv */
    int64_t q_stride, k_stride, v_stride;
    void *y, *den; /* rows of dv; (rows) */
    int64_t y_stride;
    /* of the gradients only; y and den are the forward's results */
    const void *dy;
    void *dq, *dk, *dv_; /* rows of d, d, dv: written, dk and dv_ for valid keys */
    int64_t dy_stride, dq_stride, dk_stride, dv_stride;
};
/* Places in a state, after m (dv + 1) elements: sum of v (dv); number of keys; c; row and feature where it is (row
 * -1: none). The last five are used by EXP, not causal, only. */
enum { SQA_KATTN_COUNT, SQA_KATTN_C, SQA_KATTN_ROW, SQA_KATTN_FEATURE, SQA_KATTN_EXTRA };
static inline int64_t sqa_kattn_state(const struct sqa_kernel_attention *a)
{
    return a->m * (a->dv + 1) + a->dv + SQA_KATTN_EXTRA;
}

struct sqa_adamw {
    double rate, beta1, beta2, eps, decay; /* decay is decoupled: w -= rate * decay * w */
    double correction1, correction2;       /* 1 - beta^t */
    double grad_scale;                     /* gradient clipping factor, 1: none */
};

struct sqa_kernels {
    const char *isa; /* "plain", "avx2", ... */
    size_t size;     /* bytes of an element */

    /* C (m x n) = alpha op(A) op(B) + beta C; op transposes when ta / tb. lda, ldb, ldc: elements between rows of the
     * stored matrices. beta == 0: C is not read. k == 0 scales C. f32 and f64 call OpenBLAS, single-threaded;
     * the plain tables of verify have a triple loop. */
    void (*gemm)(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t lda,
                 const void *b, int64_t ldb, double beta, void *c, int64_t ldc);

    void (*unary)(enum sqa_unary f, const void *x, void *y, size_t n);                       /* may alias */
    void (*unary_grad)(enum sqa_unary f, const void *x, const void *dy, void *dx, size_t n); /* may alias */
    void (*binary)(enum sqa_binary f, const void *a, const void *b, void *y, size_t n);      /* may alias */
    /* y = f(a[i], b): right operand is one number; and y[i] = a * x[i] + b */
    void (*binary_scalar)(enum sqa_binary f, const void *a, double b, void *y, size_t n); /* may alias */
    void (*affine)(double a, const void *x, double b, void *y, size_t n);                 /* may alias */
    void (*axpy)(double a, const void *x, void *y, size_t n);                             /* y += a x */
    double (*sum)(const void *x, size_t n); /* accumulated in double, fixed order */
    double (*sum_squares)(const void *x, size_t n);
    double (*max)(const void *x, size_t n); /* -inf when n == 0 */
    /* y[j] = sum over rows of x[i][j] (accumulate != 0: y[j] +=) */
    void (*sum_rows)(const void *x, size_t rows, size_t n, size_t stride, void *y, int accumulate);

    /* Rows of n. softmax of a row; gradient dx = y (dy - sum(dy y)). may alias */
    void (*softmax)(const void *x, void *y, size_t rows, size_t n);
    void (*softmax_grad)(const void *y, const void *dy, void *dx, size_t rows, size_t n);
    void (*log_sum_exp)(const void *x, void *y, size_t rows, size_t n); /* y (rows) */

    /* y = (x - mean) * rstd * gain + bias over rows of n; rstd = 1 / sqrt(population variance + eps). gain and bias
     * may be NULL. mean and rstd (rows) are outputs kept for the gradient. rms: no mean is subtracted (mean = 0). */
    void (*layernorm)(const void *x, const void *gain, const void *bias, void *y, void *mean, void *rstd, size_t rows,
                      size_t n, double eps, int rms);
    /* dgain and dbias (n) are written as the sum over these rows (accumulate != 0: added); either may be NULL. */
    void (*layernorm_grad)(const void *x, const void *gain, const void *mean, const void *rstd, const void *dy,
                           void *dx, void *dgain, void *dbias, size_t rows, size_t n, int rms, int accumulate);

    /* y[i] = table[id[i]]; ids outside 0..vocab-1 give a zero row. grad: dtable[id[i]] += dy[i]. */
    void (*embedding)(const void *table, const int32_t *id, void *y, size_t rows, size_t n, size_t vocab);
    void (*embedding_grad)(const int32_t *id, const void *dy, void *dtable, size_t rows, size_t n, size_t vocab);

    /* loss[i] = log sum exp(x[i]) - x[i][label[i]]; a label outside 0..n-1 gives loss 0 and gradient 0.
     * grad: dx[i] = dloss[i] * (softmax(x[i]) - onehot), dloss may be NULL (ones). */
    void (*cross_entropy)(const void *x, const int32_t *label, void *loss, size_t rows, size_t n);
    void (*cross_entropy_grad)(const void *x, const int32_t *label, const void *dloss, void *dx, size_t rows,
                               size_t n);

    /* y = x * mask / keep with the draws of stream key for elements first .. first + n - 1; element i is kept when
     * its 16-bit draw is below keep * 65536 rounded. may alias */
    void (*dropout)(uint64_t key, uint64_t first, double keep, const void *x, void *y, size_t n);

    size_t (*attention_workspace)(int64_t d, int64_t dv); /* bytes; forward and backward */
    void (*attention)(const struct sqa_attention *a, void *workspace);
    void (*attention_bwd)(const struct sqa_attention_bwd *a, void *workspace);

    /* Attention by features; see struct sqa_kernel_attention. first and count are a range of rows; keys at or after
     * a->keys are left out. */
    size_t (*kattn_workspace)(const struct sqa_kernel_attention *a); /* bytes; every kattn kernel */
    /* Not causal. keys: the state of the range (also causal: sums of phi(k)). queries: y and den from the state of
     * all keys. queries_bwd: dq, and the range's gradient state (also causal, with dq NULL: only that, and state is
     * not read). keys_bwd: dk and dv from the gradient state of all
     * queries, as if c were constant; returns the sum of de over features and keys: c's share of dk is minus that
     * times dc. */
    void (*kattn_keys)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state, void *ws);
    void (*kattn_queries)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, const void *state,
                          void *ws);
    void (*kattn_queries_bwd)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, const void *state,
                              void *dstate, void *ws);
    double (*kattn_keys_bwd)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, const void *state,
                             const void *dstate, void *ws);
    /* Causal, in chunks. state: sums over the keys before the range, and after the call those of the range as well;
     * in causal_bwd_k it is the gradient state of the queries after the range. */
    void (*kattn_causal)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state, void *ws);
    void (*kattn_causal_bwd_q)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state,
                               void *ws);
    void (*kattn_causal_bwd_k)(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *dstate,
                               void *ws);

    /* Causal long convolution by FFT, one channel: y[t] = sum_{s<=t} k[t-s] u[s], t < n; with `k2` also the two-sided
     * part sum_{s>t} k2[s-t-1] u[s]. Rows are dense. spectrum: sqa_fft_spectrum(n) elements.
     * transform: spectrum = FFT of the zero-padded row (kernel rows: k and k2 merged at length 2L).
     * apply: y = first n of the inverse of spectrum(u) * spectrum(k) (conjugate k when `adjoint`).
     * Workspace: fft_workspace(n) bytes. 1 <= n <= 2^20 (padded to a power of two >= 2 n). */
    size_t (*fft_spectrum)(int64_t n);
    size_t (*fft_workspace)(int64_t n);
    void (*fft_forward)(const void *u, const void *k2, int64_t n, void *spectrum, void *workspace);
    void (*fft_apply)(const void *u_spectrum, const void *k_spectrum, int adjoint, int64_t n, void *y,
                      void *workspace);
    /* acc += conj(u) * dy, element-wise on spectra; then fft_kernel_grad turns acc into dk (n) and dk2 (n, or NULL).
     */
    void (*fft_accumulate)(const void *u_spectrum, const void *dy_spectrum, void *acc, int64_t n);
    void (*fft_kernel_grad)(const void *acc, int64_t n, void *dk, void *dk2, void *workspace);

    void (*adamw)(const struct sqa_adamw *s, void *w, const void *g, void *m, void *v, size_t n);
    /* Momentum SGD: m = momentum m + g scale + decay w; w -= rate m. m may be NULL when momentum is 0. */
    void (*sgd)(double rate, double momentum, double decay, double grad_scale, void *w, const void *g, void *m,
                size_t n);

    /* Strided copy of a view with up to 6 dims into dense y, and its type conversions. */
    void (*copy_strided)(const void *x, int rank, const int64_t *dim, const int64_t *stride, void *y);
    void (*from_f64)(const double *x, void *y, size_t n);
    void (*to_f64)(const void *x, double *y, size_t n);
};

/* Best tables of this machine. SEQARENA_ISA=plain|avx2|avx512 in the environment limits the choice. Call once before
 * threads. */
void sqa_kernels_init(void);
/* Makes OpenBLAS take its work buffer (128 MiB of address space a thread) for that many threads now: where it cannot
 * be had, OpenBLAS would try again for ever. 1 when they are there, 0 when the address space does not suffice. */
int sqa_kernels_reserve(int threads);
extern struct sqa_kernels sqa_kernels_f32, sqa_kernels_f64;
/* For verify and tests: the plain table of a type (plain gemm too), and every SIMD table this machine can run. */
const struct sqa_kernels *sqa_kernels_plain(int f64);
size_t sqa_kernels_simd(const struct sqa_kernels *tables[8]);
/* Denormals to zero in the calling thread (MXCSR on x86-64). Each worker thread calls it. */
void sqa_kernels_flush_denormals(void);
/* "avx2 fma ..." : instruction sets seen, space separated. */
const char *sqa_kernels_cpu_flags(void);

/* What verify prints: one row per kernel that has SIMD forms: its name and the bound on
 * |simd - plain f64| / (|plain f64| scale) that holds for it. run fills inputs from key, runs both, returns the
 * error. */
struct sqa_kernel_check {
    const char *kernel;
    double bound;
    double (*run)(const struct sqa_kernels *simd, uint64_t key, size_t n);
};
extern const struct sqa_kernel_check sqa_kernel_checks[]; /* ends with NULL kernel */

#endif
