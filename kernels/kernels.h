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
 *   S = scale Q K^T + bias, P = masked softmax(S) row by row, O = P V
 * One call works on one (batch, head). Rows are strided, the d numbers of a row are dense.
 *
 * Which pairs are allowed: row r of q is query i = first + r. Pair (i, j) is allowed when every rule in use says so:
 *   0 <= j < keys
 *   causal   j <= i
 *   window   i - left <= j <= i + right (either may be negative: right = -1 is j < i; |left|, |right| up to
 *            INT64_MAX / 2 are safe)
 *   block    j / key_block is in the list of query block i / block: block_key[block_start[i / block]] up to
 *            block_key[block_start[i / block + 1] - 1], ascending, each key block once
 * Tiles without an allowed pair are not computed. A query row with no allowed key gives O = 0 and lse = +inf, and
 * zero gradients. lse = log sum exp of the row's allowed scores. A bias of -inf is as good as not allowed.
 *
 * Dropout on P after normalisation: pair (i, j) is kept when byte j % 16 of block i << 32 | j / 16 of stream
 * `dropout_key` is below keep * 256 rounded (kernels/philox.h); kept values are divided by that rounded keep, which
 * is the keep probability in effect. A keep that rounds to 1: no dropout.
 *
 * A call may do a part of the queries: q, o, lse and bias point to the row of query `first`; i counts from 0 of the
 * whole. Results of a query do not depend on how the queries are cut when `first` is a multiple of 64 (and of block).
 * Workspace: attention_workspace() bytes for each call running at the same time. */
struct sqa_attention {
    int64_t queries, keys; /* rows of q in this call, and Lk that are valid */
    int64_t d, dv;         /* width of q and k rows, and of v and o rows */
    double scale;
    int causal;
    double keep;
    uint64_t dropout_key;
    const void *q, *k, *v;                          /* rows of d, d, dv */
    int64_t q_stride, k_stride, v_stride, o_stride; /* elements between rows */
    void *o;
    void *lse;     /* (queries) */
    int64_t first; /* the query of row 0 */
    int window;    /* 0: left and right are not read */
    int64_t left, right;
    int64_t block, key_block; /* positions of a query block and of a key block; 0: no block list */
    const int32_t *block_start, *block_key;
    const void *bias; /* rows of keys, or NULL */
    int64_t bias_stride;
    /* A hint: rows the caller will read or write next, brought nearer while this is computed; rows 0: nothing.
     * stride and width in bytes. */
    struct {
        const char *p;
        int64_t rows, stride, width;
    } soon[8];
};
/* Gradients; o and lse are the forward's results. dq, dk, dv are written (not accumulated) for rows 0..queries-1 and
 * 0..keys-1. dbias (rows of keys, or NULL: not wanted) is written, or added to when dbias_add; 0 where not allowed.
 * Products: S, dP, dV, dQ, dK: five. */
struct sqa_attention_bwd {
    struct sqa_attention f;
    const void *dout; /* rows of dv */
    void *dq, *dk, *dv;
    int64_t do_stride, dq_stride, dk_stride, dv_stride;
    void *dbias;
    int64_t dbias_stride;
    int dbias_add;
    const void *dlse; /* (queries), the gradient of lse, or NULL: zeros */
};

/* C (m x n) = A B + bias, or C += A B + bias. A (m x k): element (i, l) at a[i a_row + l a_column], so a transposed A
 * is one with its strides exchanged; B packed. bias (n) or NULL. Rows of C are dense. k == 0: the sum is 0.
 * A B may be a sum of up to three products of equal shapes and strides. B may lie as it is: for a transposed A, k of
 * at most a hundred, as long as both stay in the first cache. */
struct sqa_gemm_panels {
    int64_t m, n, k;
    const void *a;
    int64_t a_row, a_column;
    const void *panels; /* of pack; or, b_row != 0, B itself: element (l, j) at [l b_row + j] */
    int64_t b_row;
    struct {
        const void *a, *panels;
    } more[2]; /* further products; a NULL: none, nor any after it */
    void *c;
    int64_t ldc;
    const void *bias;
    int accumulate;
    /* A hint: what the caller will read or write next, brought nearer while this is computed; NULL, 0: nothing. */
    struct {
        const void *p;
        size_t bytes;
    } soon[4];
};

/* Attention without softmax: weights phi(q) . phi(k), one (batch, head).
 *
 *     y_t = sum_s (phi(q_t) . phi(k_s)) v_s / den_t,   den_t = sum_s phi(q_t) . phi(k_s) + den_eps
 *
 * (with den_min > 0 den_t is at least that, and has no gradient where it would be less)
 * over keys s < keys, s <= t when causal. phi(x) has m numbers, of u = scale W x, or u = scale x without W (m = d):
 *     ELU1  elu(u) + 1        RELU  relu(u) + eps        EXP  exp(u - |scale x|^2 / 2 - c) + eps        NONE  u
 * In EXP c is the largest u of a query; for keys the largest of all keys, or 0 when causal. Gradients go through c
 * (the first number among equals). Rows are strided, their numbers are dense.
 *
 * Features are made tile by tile and never kept. Kernels take a range of rows, so that ranges can run in parallel;
 * what passes between them is a state of sqa_kattn_state(a) elements:
 *     S (m, dv) = sum phi(k) v^T,  z (m) = sum phi(k),  then dv + 4 elements: see SQA_KATTN_*
 * A state of several ranges is the sum of theirs, except with EXP and not causal, where kattn_keys leaves eps out and
 * sums are relative to the range's own c: the caller scales by exp(c - largest c), adds, then adds eps sum v to every
 * row of S and eps count to z. Gradient states hold dS, dz. */
enum sqa_feature_map { SQA_MAP_ELU1, SQA_MAP_RELU, SQA_MAP_EXP, SQA_MAP_NONE };
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
    double den_min;
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

struct sqa_fft {
    int64_t n;     /* rows, 1 to 2^20 */
    int64_t lanes; /* channels, 1 to fft_lanes() */
    const void *table;
};

/* A step of a Fourier transform of n = factor places done points in Stockham's order, factor 2 or 4, on rows of m numbers,
 * those of a point's `done` frequencies so far side by side; real and imaginary parts lie apart. Row p factor + k of y,
 * dense, for p < places and k < factor, is
 *     exp(-2 pi i k p / (factor places)) sum_j exp(-2 pi i k j / factor) x_(j places + p)
 * turns: n cosines of 2 pi i / n, then n sines; step: done. y_im NULL: real parts alone. */
struct sqa_dft_step {
    int factor;
    int64_t places, m, x_stride, n, step;
    const void *x_re, *x_im, *turns;
    void *y_re, *y_im;
};

/* m channels side by side: y_t = a_t y_(t-1) + x_t for t = 0 .. n-1, y_(-1) = 0. Complex numbers have their imaginary
 * part `imag` elements after the real one; imag = 0: real. Strides: elements between rows, 0 for an a of all times.
 * y may alias x. */
struct sqa_scan {
    int64_t n, m, imag;
    const void *a, *x;
    void *y;
    int64_t a_stride, x_stride, y_stride;
};
/* g_t = dy_t + conj(a_(t+1)) g_(t+1); dx = g; da_t = g_t conj(y_(t-1)), da may be NULL. add: dx and da are added to.
 * da_stride = 0: the sum of da_t over t is added to one row. dx may alias dy. Strides of both may be negative. */
struct sqa_scan_grad {
    int64_t n, m, imag;
    int add;
    const void *a, *y, *dy;
    void *dx, *da;
    int64_t a_stride, y_stride, dy_stride, dx_stride, da_stride;
};

/* m channels side by side: y_t = bias + sum_{j<k} w_j x_(t+j-left) for t = first .. first + count - 1, where x is 0
 * outside of rows 0 .. valid - 1. w: k rows of m; w_stride may be negative (the taps backwards). bias (m) or NULL.
 * dw_j = sum over those t of y_t x_(t+j-left), y then the gradient of the output; dw has w's stride. */
struct sqa_conv1d {
    int64_t first, count, valid, m, k, left;
    const void *x, *w, *bias;
    void *y, *dw;
    int64_t x_stride, w_stride, y_stride;
};

/* Sums over pairs of poles -a_j +- i b_j, a_j > 0, at nodes i y_k:
 *   out_s(k) = sum_j v_js / (i y_k + a_j - i b_j) + conj(v_js) / (i y_k + a_j + i b_j),  s < sums
 * y and b come in two parts whose sum counts, the low one small: so that y - b is exact to the last digits of float.
 */
enum { SQA_CAUCHY_LANES = 16, SQA_CAUCHY_SUMS = 6 };
struct sqa_cauchy {
    size_t nodes, poles, sums; /* nodes a multiple of SQA_CAUCHY_LANES, sums up to SQA_CAUCHY_SUMS */
    const void *y, *y_low;     /* (nodes) */
    const void *a, *b, *b_low; /* (poles) */
    const void *v;             /* (poles, sums, 2) */
};

/* Selective state space: m channels side by side with `states` states each, for t = 0 .. n-1
 *     h_t[i] = exp(dt_t a[i]) h_(t-1)[i] + dt_t u_t b_t[i],   y_t = sum_i c_t[i] h_t[i] + skip u_t,   h_(-1) = 0
 * with a <= 0 and dt >= 0. u, dt and y have rows of channels; b and c rows of `states` numbers, the same for every
 * channel; a has a row of channels for each state; skip (m). Strides are elements between rows, of any sign.
 * keep, or NULL: gets the states before t = 0, chunk, 2 chunk, ..., for each a row of channels for each state;
 * keep_stride: between those rows. Workspace: selective_workspace() bytes. */
struct sqa_selective {
    int64_t n, m, states, chunk;
    const void *u, *dt, *a, *b, *c, *skip;
    int64_t u_stride, dt_stride, a_stride, b_stride, c_stride;
    void *y, *keep;
    int64_t y_stride, keep_stride;
};
/* Gradients from what the forward kept (f.y is not read): du, ddt, da (rows of a), dskip; db and dc are the sums over
 * these m channels. All are written. */
struct sqa_selective_grad {
    struct sqa_selective f;
    const void *dy;
    void *du, *ddt, *da, *db, *dc, *dskip;
    int64_t dy_stride, du_stride, ddt_stride, da_stride, db_stride, dc_stride;
};

/* A matrix M (rows x columns) that changes with t = 0 .. n-1:
 *     M = decay_t M + x_t z_t^T + x2_t z2_t^T,   y_t = r_t^T M,   y2_t = r2_t^T M
 * x and r have `rows` numbers at each t, z and y `columns`. Two updates (x2, z2) or two readings (r2, y2) go without
 * decay only, and not together; NULL: one. decay_t is one number, or one for each row or column of M. Strides are
 * elements between times, of any sign. M, dense, is read and written; y and y2 are added to when accumulate. */
enum sqa_decay { SQA_DECAY_NONE, SQA_DECAY_ONE, SQA_DECAY_ROWS, SQA_DECAY_COLUMNS };
struct sqa_matrix_scan {
    int64_t n, rows, columns;
    enum sqa_decay kind;
    int accumulate;
    const void *decay, *x, *z, *r, *x2, *z2, *r2;
    int64_t decay_stride, x_stride, z_stride, r_stride, x2_stride, z2_stride, r2_stride;
    void *y, *y2, *state;
    int64_t y_stride, y2_stride;
};

/* The delta rule on a matrix M (rows x columns), for t = 0 .. n-1:
 *     M = M + x_t z_t^T,   e_t = v_t - k_t^T M,   M = M + beta_t k_t e_t^T,   y_t = q_t^T M
 * x, k and q have `rows` numbers at each t, z, v, e and y `columns`, beta one. x NULL: no first update; v NULL:
 * zeros; q NULL: no y; not both x and q. Strides are elements between times, of any sign. M, dense, is read and
 * written. */
struct sqa_delta_scan {
    int64_t n, rows, columns;
    const void *x, *z, *k, *v, *beta, *q;
    int64_t x_stride, z_stride, k_stride, v_stride, beta_stride, q_stride;
    void *e, *y, *state;
    int64_t e_stride, y_stride;
};

/* One step of a recurrence whose state is a matrix: s_ij = a_i s_ij + k_i v_j, then o_j = sum_i q_i s_ij. s (m, n) is
 * dense. a (m) with a_each 1; a_each 0: one number for all; a NULL: 1. */
struct sqa_state_step {
    int64_t m, n;
    const void *a, *q, *k, *v;
    int a_each;
    void *s, *o;
};
/* One query over up to SQA_ATTEND_KEYS keys: x_j = scale q . k_j, top = max x_j, sum = sum exp(x_j - top),
 * o = sum exp(x_j - top) v_j. keys >= 1. Rows are strided, their numbers are dense. */
enum { SQA_ATTEND_KEYS = 256 };
struct sqa_attend {
    int64_t keys, d, dv;
    double scale;
    const void *q, *k, *v;
    int64_t k_stride, v_stride;
    void *o;
    double top, sum;
};

/* Gates of one position of a recurrent network of n units; before: the state (LSTM c, GRU h) before it, NULL: 0.
 *   lstm   z (4 n) are i, f, a, o before their functions: sigmoid, sigmoid, tanh, sigmoid, which are applied to it.
 *          state = c = f before + i a; h = o tanh(c)
 *   gru    z (3 n) are r, k, and the input's part of a; state = u (n) is the part of a that r scales: sigmoid,
 *          sigmoid, a = tanh(z + r u), applied to z. h = k before + (1 - k) a
 * _grad: z holds the gates and becomes the gradient of what they were before their functions; dh: gradient of h.
 *   lstm   carry (n) is the gradient of c from later positions and becomes that of `before`
 *   gru    u becomes its gradient; carry is written: the gradient of `before` but for what comes through z and u */
struct sqa_gates {
    int64_t n;
    void *z, *state, *h, *carry;
    const void *before, *dh;
};

struct sqa_kernels {
    const char *isa; /* "plain", "avx2", ... */
    size_t size;     /* bytes of an element */

    /* C (m x n) = alpha op(A) op(B) + beta C; op transposes when ta / tb. lda, ldb, ldc: elements between rows of the
     * stored matrices. beta == 0: C is not read. k == 0 scales C. f32 and f64 call OpenBLAS, single-threaded;
     * the plain tables of verify have a triple loop. */
    void (*gemm)(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t lda,
                 const void *b, int64_t ldb, double beta, void *c, int64_t ldc);

    /* The same with B packed once, in the layout of this table, for many calls: panels = elements of a packed B
     * (k x n); pack copies B, element (l, j) at b[l row + j column]. Made for k and n of some hundred; for a sum over
     * a long k, pack and add some hundred terms at a time. f32 and f64 without SIMD forms call OpenBLAS. */
    size_t (*panels)(int64_t k, int64_t n);
    void (*pack)(int64_t k, int64_t n, const void *b, int64_t row, int64_t column, void *panels);
    void (*gemm_panels)(const struct sqa_gemm_panels *g);

    void (*unary)(enum sqa_unary f, const void *x, void *y, size_t n);                       /* may alias */
    void (*unary_grad)(enum sqa_unary f, const void *x, const void *dy, void *dx, size_t n); /* may alias */
    void (*binary)(enum sqa_binary f, const void *a, const void *b, void *y, size_t n);      /* may alias */
    /* Rows of n, the right operand broadcast: y[r][j] = f(a[r][j], b[j]), or b[r] when `each`. y may alias a. */
    void (*binary_rows)(enum sqa_binary f, const void *a, const void *b, int each, void *y, size_t rows, size_t n);
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
    /* dgain and dbias (n) are written as the sum over these rows (accumulate != 0: added); either may be NULL. ds is
     * a gradient that x has from elsewhere, added to dx, or NULL. */
    void (*layernorm_grad)(const void *x, const void *gain, const void *mean, const void *rstd, const void *dy,
                           const void *ds, void *dx, void *dgain, void *dbias, size_t rows, size_t n, int rms,
                           int accumulate);
    /* layernorm of sum = a + b, which is an output too. */
    void (*add_layernorm)(const void *a, const void *b, const void *gain, const void *bias, void *sum, void *y,
                          void *mean, void *rstd, size_t rows, size_t n, double eps, int rms);
    /* Rows (a, b) of 2 n: y = a sigmoid(b), rows of n. grad: dx may alias x. */
    void (*glu)(const void *x, void *y, size_t rows, size_t n);
    void (*glu_grad)(const void *x, const void *dy, void *dx, size_t rows, size_t n);

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

    /* Products and attention in bf16 compute: what a product reads is rounded to bfloat16 (kernels/bf16.h), sums and
     * storage are floats. pack_bf16 rounds B; gemm_panels_bf16 rounds A, and a B that is not packed.
     * kernels/plain/attention_bf16.c says what attention rounds where. */
    void (*gemm_bf16)(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t lda,
                      const void *b, int64_t ldb, double beta, void *c, int64_t ldc);
    size_t (*panels_bf16)(int64_t k, int64_t n);
    void (*pack_bf16)(int64_t k, int64_t n, const void *b, int64_t row, int64_t column, void *panels);
    void (*gemm_panels_bf16)(const struct sqa_gemm_panels *g);
    size_t (*attention_bf16_workspace)(int64_t d, int64_t dv);
    void (*attention_bf16)(const struct sqa_attention *a, void *workspace);
    void (*attention_bf16_bwd)(const struct sqa_attention_bwd *a, void *workspace);

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

    /* Long convolution by FFT of up to fft_lanes() channels side by side (struct sqa_fft):
     *   y[t] = sum_{s<=t} k[t-s] u[s] + sum_{s>t} k2[s-t-1] u[s], t < n
     * A table of fft_table(n) elements is filled by prepare and read by the others; a spectrum has fft_spectrum(n)
     * elements. Rows t of a stride in elements; the numbers of a row are dense. k2, dk2: NULL when one-sided.
     *   kernel       spectrum of k and k2
     *   convolve     y; work: one spectrum
     *   gradient     du, and the spectrum of dk and dk2 is added to sum; work: two spectra
     *   kernel_grad  dk and dk2 of sum, which is overwritten */
    size_t (*fft_lanes)(void);
    size_t (*fft_table)(int64_t n);
    size_t (*fft_spectrum)(int64_t n);
    void (*fft_prepare)(int64_t n, void *table);
    void (*fft_kernel)(const struct sqa_fft *f, const void *k, const void *k2, int64_t stride, void *spectrum);
    void (*fft_convolve)(const struct sqa_fft *f, const void *u, int64_t u_stride, const void *kernel, void *y,
                         int64_t y_stride, void *work);
    void (*fft_gradient)(const struct sqa_fft *f, const void *u, int64_t u_stride, const void *dy, int64_t dy_stride,
                         const void *kernel, void *sum, void *du, int64_t du_stride, void *work);
    void (*fft_kernel_grad)(const struct sqa_fft *f, void *sum, void *dk, void *dk2, int64_t stride);
    void (*dft_step)(const struct sqa_dft_step *s);

    void (*scan)(const struct sqa_scan *s);
    void (*scan_grad)(const struct sqa_scan_grad *s);
    void (*conv1d)(const struct sqa_conv1d *c);      /* y */
    void (*conv1d_taps)(const struct sqa_conv1d *c); /* dw */
    void (*lstm_gates)(const struct sqa_gates *g);
    void (*lstm_gates_grad)(const struct sqa_gates *g);
    void (*gru_gates)(const struct sqa_gates *g);
    void (*gru_gates_grad)(const struct sqa_gates *g);
    void (*state_step)(const struct sqa_state_step *s);
    void (*attend)(struct sqa_attend *a);

    size_t (*selective_workspace)(const struct sqa_selective *s, int grad); /* bytes */
    void (*selective)(const struct sqa_selective *s, void *workspace);
    void (*selective_grad)(const struct sqa_selective_grad *s, void *workspace);
    void (*matrix_scan)(const struct sqa_matrix_scan *s);
    void (*delta_scan)(const struct sqa_delta_scan *s);

    /* m complex numbers side by side, in double: m real parts, then m imaginary ones.
     * powers: row j of y, for j < n, becomes m numbers re * Re(w z^j), then m numbers im * Im(w z^j); w becomes w
     * z^n. polynomials: value = sum_{j<n} z^j x_j, slope = sum j z^j x_j; rows x_j of m real parts, m imaginary ones.
     * stride: elements between rows */
    void (*powers)(const double *z, double *w, size_t m, size_t n, double re, double im, void *y, size_t stride);
    void (*polynomials)(const double *z, size_t m, size_t n, const void *x, size_t stride, double *value,
                        double *slope);

    /* out, dout: (sums, 2, nodes), real parts, then imaginary ones; dv (poles, sums, 2), da and db (poles) are the
     * derivatives of sum dout out, written. */
    void (*cauchy)(const struct sqa_cauchy *c, void *out);
    void (*cauchy_grad)(const struct sqa_cauchy *c, const void *dout, double *dv, double *da, double *db);

    void (*adamw)(const struct sqa_adamw *s, void *w, const void *g, void *m, void *v, size_t n);
    /* Momentum SGD: m = momentum m + g scale + decay w; w -= rate m. m may be NULL when momentum is 0. */
    void (*sgd)(double rate, double momentum, double decay, double grad_scale, void *w, const void *g, void *m,
                size_t n);

    /* Strided copy of a view with up to 6 dims into dense y, and its type conversions. */
    void (*copy_strided)(const void *x, int rank, const int64_t *dim, const int64_t *stride, void *y);
    void (*from_f64)(const double *x, void *y, size_t n);
    void (*to_f64)(const void *x, double *y, size_t n);
};

/* Best tables of this machine. SEQARENA_ISA=plain|nofma|avx2|avx512 in the environment limits the choice; nofma,
 * AVX2 alone, is taken only so. Call once before threads. */
void sqa_kernels_init(void);
/* Is it one of those names (or NULL)? *names becomes what may be given: "plain, avx2, ...". A known one
 * that this machine lacks is known: the next weaker is taken. */
int sqa_kernels_isa_known(const char *name, const char **names);
/* Makes OpenBLAS take its work buffer (128 MiB of address space a thread) for that many threads now: where it cannot
 * be had, OpenBLAS would try again for ever. 1 when they are there, 0 when the address space does not suffice. */
int sqa_kernels_reserve(int threads);
extern struct sqa_kernels sqa_kernels_f32, sqa_kernels_f64;

/* Compute types of matrix products and attention; everything else, and all storage, is f32 (or f64). */
enum sqa_compute {
    SQA_COMPUTE_F32,
    SQA_COMPUTE_BF16,          /* on AMX or AVX512-BF16 */
    SQA_COMPUTE_BF16_EMULATED, /* the same numerics on any machine, slower than f32 */
    SQA_COMPUTES,
};
const char *sqa_compute_name(enum sqa_compute c); /* "f32", "bf16", "bf16-emulated" */
/* The f32 table for a compute type: sqa_kernels_f32, or a copy of it whose gemm, panels, pack, gemm_panels and
 * attention are the bf16 ones. BF16 may be asked for only where sqa_bf16_missing() is NULL. */
const struct sqa_kernels *sqa_kernels_compute(enum sqa_compute c);
struct sqa_kernels sqa_kernels_bf16_of(const struct sqa_kernels *from); /* that copy of any table */
/* Why this machine cannot compute in SQA_COMPUTE_BF16, for messages; NULL when it can. After sqa_kernels_init(). */
const char *sqa_bf16_missing(void);

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
