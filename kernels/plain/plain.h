/*
 * plain.h - names of every kernel form, and what the files of kernels/plain/ share
 *
 * Each file of kernels/plain/ is compiled twice, with -DSQA_REAL=float -DSQA_REAL_NAME=f32 and with double and f64.
 * K(name) is then sqa_k_<name>_f32 or _f64. SIMD forms have the same prototypes: sqa_k_<name>_f32_<isa>. Sums run in
 * double for both types. What each kernel computes stands in kernels/kernels.h.
 */
#ifndef SQA_KERNELS_PLAIN_PLAIN_H
#define SQA_KERNELS_PLAIN_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* clang-format off */
#define SQA_KERNELS_DECLARE(T) \
    void sqa_k_gemm_##T(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t lda, \
                        const void *b, int64_t ldb, double beta, void *c, int64_t ldc); \
    size_t sqa_k_panels_##T(int64_t k, int64_t n); \
    void sqa_k_pack_##T(int64_t k, int64_t n, const void *b, int64_t row, int64_t column, void *panels); \
    void sqa_k_gemm_panels_##T(const struct sqa_gemm_panels *g); \
    void sqa_k_unary_##T(enum sqa_unary f, const void *x, void *y, size_t n); \
    void sqa_k_unary_grad_##T(enum sqa_unary f, const void *x, const void *dy, void *dx, size_t n); \
    void sqa_k_binary_##T(enum sqa_binary f, const void *a, const void *b, void *y, size_t n); \
    void sqa_k_binary_scalar_##T(enum sqa_binary f, const void *a, double b, void *y, size_t n); \
    void sqa_k_binary_rows_##T(enum sqa_binary f, const void *a, const void *b, int each, void *y, size_t rows, \
                               size_t n); \
    void sqa_k_affine_##T(double a, const void *x, double b, void *y, size_t n); \
    void sqa_k_axpy_##T(double a, const void *x, void *y, size_t n); \
    double sqa_k_sum_##T(const void *x, size_t n); \
    double sqa_k_sum_squares_##T(const void *x, size_t n); \
    double sqa_k_max_##T(const void *x, size_t n); \
    void sqa_k_sum_rows_##T(const void *x, size_t rows, size_t n, size_t stride, void *y, int accumulate); \
    void sqa_k_softmax_##T(const void *x, void *y, size_t rows, size_t n); \
    void sqa_k_softmax_grad_##T(const void *y, const void *dy, void *dx, size_t rows, size_t n); \
    void sqa_k_log_sum_exp_##T(const void *x, void *y, size_t rows, size_t n); \
    void sqa_k_layernorm_##T(const void *x, const void *gain, const void *bias, void *y, void *mean, void *rstd, \
                             size_t rows, size_t n, double eps, int rms); \
    void sqa_k_layernorm_grad_##T(const void *x, const void *gain, const void *mean, const void *rstd, \
                                  const void *dy, const void *ds, void *dx, void *dgain, void *dbias, size_t rows, \
                                  size_t n, int rms, int accumulate); \
    void sqa_k_add_layernorm_##T(const void *a, const void *b, const void *gain, const void *bias, void *sum, void *y, \
                                 void *mean, void *rstd, size_t rows, size_t n, double eps, int rms); \
    void sqa_k_embedding_##T(const void *table, const int32_t *id, void *y, size_t rows, size_t n, size_t vocab); \
    void sqa_k_embedding_grad_##T(const int32_t *id, const void *dy, void *dtable, size_t rows, size_t n, \
                                  size_t vocab); \
    void sqa_k_cross_entropy_##T(const void *x, const int32_t *label, void *loss, size_t rows, size_t n); \
    void sqa_k_cross_entropy_grad_##T(const void *x, const int32_t *label, const void *dloss, void *dx, size_t rows, \
                                      size_t n); \
    void sqa_k_dropout_##T(uint64_t key, uint64_t first, double keep, const void *x, void *y, size_t n); \
    size_t sqa_k_attention_workspace_##T(int64_t d, int64_t dv); \
    void sqa_k_attention_##T(const struct sqa_attention *a, void *workspace); \
    void sqa_k_attention_bwd_##T(const struct sqa_attention_bwd *a, void *workspace); \
    size_t sqa_k_kattn_workspace_##T(const struct sqa_kernel_attention *a); \
    void sqa_k_kattn_keys_##T(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state, \
                              void *ws); \
    void sqa_k_kattn_queries_##T(const struct sqa_kernel_attention *a, int64_t first, int64_t count, \
                                 const void *state, void *ws); \
    void sqa_k_kattn_queries_bwd_##T(const struct sqa_kernel_attention *a, int64_t first, int64_t count, \
                                     const void *state, void *dstate, void *ws); \
    double sqa_k_kattn_keys_bwd_##T(const struct sqa_kernel_attention *a, int64_t first, int64_t count, \
                                    const void *state, const void *dstate, void *ws); \
    void sqa_k_kattn_causal_##T(const struct sqa_kernel_attention *a, int64_t first, int64_t count, void *state, \
                                void *ws); \
    void sqa_k_kattn_causal_bwd_q_##T(const struct sqa_kernel_attention *a, int64_t first, int64_t count, \
                                      void *state, void *ws); \
    void sqa_k_kattn_causal_bwd_k_##T(const struct sqa_kernel_attention *a, int64_t first, int64_t count, \
                                      void *dstate, void *ws); \
    size_t sqa_k_fft_lanes_##T(void); \
    size_t sqa_k_fft_table_##T(int64_t n); \
    size_t sqa_k_fft_spectrum_##T(int64_t n); \
    void sqa_k_fft_prepare_##T(int64_t n, void *table); \
    void sqa_k_fft_kernel_##T(const struct sqa_fft *f, const void *k, const void *k2, int64_t stride, \
                              void *spectrum); \
    void sqa_k_fft_convolve_##T(const struct sqa_fft *f, const void *u, int64_t u_stride, const void *kernel, \
                                void *y, int64_t y_stride, void *work); \
    void sqa_k_fft_gradient_##T(const struct sqa_fft *f, const void *u, int64_t u_stride, const void *dy, \
                                int64_t dy_stride, const void *kernel, void *sum, void *du, int64_t du_stride, \
                                void *work); \
    void sqa_k_fft_kernel_grad_##T(const struct sqa_fft *f, void *sum, void *dk, void *dk2, int64_t stride); \
    void sqa_k_dft_step_##T(const struct sqa_dft_step *s); \
    void sqa_k_glu_##T(const void *x, void *y, size_t rows, size_t n); \
    void sqa_k_glu_grad_##T(const void *x, const void *dy, void *dx, size_t rows, size_t n); \
    void sqa_k_state_step_##T(const struct sqa_state_step *s); \
    void sqa_k_attend_##T(struct sqa_attend *a); \
    void sqa_k_lstm_gates_##T(const struct sqa_gates *g); \
    void sqa_k_lstm_gates_grad_##T(const struct sqa_gates *g); \
    void sqa_k_gru_gates_##T(const struct sqa_gates *g); \
    void sqa_k_gru_gates_grad_##T(const struct sqa_gates *g); \
    void sqa_k_scan_##T(const struct sqa_scan *s); \
    void sqa_k_scan_grad_##T(const struct sqa_scan_grad *s); \
    size_t sqa_k_selective_workspace_##T(const struct sqa_selective *s, int grad); \
    void sqa_k_selective_##T(const struct sqa_selective *s, void *workspace); \
    void sqa_k_selective_grad_##T(const struct sqa_selective_grad *s, void *workspace); \
    void sqa_k_matrix_scan_##T(const struct sqa_matrix_scan *s); \
    void sqa_k_delta_scan_##T(const struct sqa_delta_scan *s); \
    void sqa_k_conv1d_##T(const struct sqa_conv1d *c); \
    void sqa_k_conv1d_taps_##T(const struct sqa_conv1d *c); \
    void sqa_k_powers_##T(const double *z, double *w, size_t m, size_t n, double re, double im, void *y, \
                          size_t stride); \
    void sqa_k_polynomials_##T(const double *z, size_t m, size_t n, const void *x, size_t stride, double *value, \
                               double *slope); \
    void sqa_k_cauchy_##T(const struct sqa_cauchy *c, void *out); \
    void sqa_k_cauchy_grad_##T(const struct sqa_cauchy *c, const void *dout, double *dv, double *da, double *db); \
    void sqa_k_adamw_##T(const struct sqa_adamw *s, void *w, const void *g, void *m, void *v, size_t n); \
    void sqa_k_sgd_##T(double rate, double momentum, double decay, double grad_scale, void *w, const void *g, \
                       void *m, size_t n); \
    void sqa_k_copy_strided_##T(const void *x, int rank, const int64_t *dim, const int64_t *stride, void *y); \
    void sqa_k_from_f64_##T(const double *x, void *y, size_t n); \
    void sqa_k_to_f64_##T(const void *x, double *y, size_t n);
#define SQA_BF16_DECLARE(T) \
    void sqa_k_gemm_bf16_##T(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, \
                             int64_t lda, const void *b, int64_t ldb, double beta, void *c, int64_t ldc); \
    size_t sqa_k_panels_bf16_##T(int64_t k, int64_t n); \
    void sqa_k_pack_bf16_##T(int64_t k, int64_t n, const void *b, int64_t row, int64_t column, void *panels); \
    void sqa_k_gemm_panels_bf16_##T(const struct sqa_gemm_panels *g); \
    size_t sqa_k_attention_bf16_workspace_##T(int64_t d, int64_t dv); \
    void sqa_k_attention_bf16_##T(const struct sqa_attention *a, void *workspace); \
    void sqa_k_attention_bf16_bwd_##T(const struct sqa_attention_bwd *a, void *workspace);
/* kernels/simd/gemm_dnnl.c. works: has oneDNN such a product on this machine? */
#define SQA_DNNL_DECLARE(T) \
    void sqa_k_gemm_dnnl_##T(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, \
                             int64_t lda, const void *b, int64_t ldb, double beta, void *c, int64_t ldc); \
    void sqa_k_gemm_dnnl_widened_##T(int ta, int tb, int64_t m, int64_t n, int64_t k, double alpha, const void *a, \
                                     int64_t lda, const void *b, int64_t ldb, double beta, void *c, int64_t ldc); \
    int sqa_k_gemm_dnnl_works_##T(int widened);

/* Kernels of kernels/simd, in one form for each instruction set */
/* gemm_panels has a form for each too, but its plain form is OpenBLAS's (tables.c). */
#define SQA_SIMD_LIST(X, isa) \
    X(panels, isa) X(pack, isa) X(adamw, isa) X(sgd, isa) \
    X(unary, isa) X(unary_grad, isa) X(binary, isa) X(binary_scalar, isa) X(binary_rows, isa) \
    X(affine, isa) X(axpy, isa) X(dropout, isa) \
    X(sum, isa) X(sum_squares, isa) X(max, isa) X(sum_rows, isa) \
    X(softmax, isa) X(softmax_grad, isa) X(log_sum_exp, isa) X(cross_entropy, isa) X(cross_entropy_grad, isa) \
    X(layernorm, isa) X(layernorm_grad, isa) X(add_layernorm, isa) \
    X(attention_workspace, isa) X(attention, isa) X(attention_bwd, isa) \
    X(fft_lanes, isa) X(fft_table, isa) X(fft_spectrum, isa) X(fft_prepare, isa) \
    X(fft_kernel, isa) X(fft_convolve, isa) X(fft_gradient, isa) X(fft_kernel_grad, isa) X(dft_step, isa) \
    X(conv1d, isa) X(conv1d_taps, isa) \
    X(glu, isa) X(glu_grad, isa) X(scan, isa) X(scan_grad, isa) X(state_step, isa) X(attend, isa) \
    X(lstm_gates, isa) X(lstm_gates_grad, isa) X(gru_gates, isa) X(gru_gates_grad, isa) X(powers, isa) X(polynomials, isa) \
    X(cauchy, isa) X(cauchy_grad, isa) \
    X(selective_workspace, isa) X(selective, isa) X(selective_grad, isa) X(matrix_scan, isa) X(delta_scan, isa) \
    X(kattn_workspace, isa) X(kattn_keys, isa) X(kattn_queries, isa) X(kattn_queries_bwd, isa) \
    X(kattn_keys_bwd, isa) X(kattn_causal, isa) X(kattn_causal_bwd_q, isa) X(kattn_causal_bwd_k, isa) \
    X(gemm_bf16, isa) SQA_BF16_LIST(X, isa)
/* those of it with forms for the bfloat16 units of processors too */
#define SQA_BF16_LIST(X, isa) \
    X(panels_bf16, isa) X(pack_bf16, isa) X(gemm_panels_bf16, isa) \
    X(attention_bf16_workspace, isa) X(attention_bf16, isa) X(attention_bf16_bwd, isa)
/* Kernels that have a plain form only */
#define SQA_PLAIN_LIST(X, T) \
    X(embedding, T) X(embedding_grad, T) X(copy_strided, T) X(from_f64, T) X(to_f64, T)
/* clang-format on */

SQA_DNNL_DECLARE(f32_avx2)
SQA_DNNL_DECLARE(f32_nofma)
SQA_DNNL_DECLARE(f32_avx512)
SQA_DNNL_DECLARE(f32_pair)
SQA_BF16_DECLARE(f32)
SQA_BF16_DECLARE(f64)
SQA_BF16_DECLARE(f32_avx2)
SQA_BF16_DECLARE(f32_nofma)
SQA_BF16_DECLARE(f32_avx512)
SQA_BF16_DECLARE(f32_avx512bf16)
SQA_BF16_DECLARE(f32_amx)
SQA_BF16_DECLARE(f32_pair)
SQA_KERNELS_DECLARE(f32)
SQA_KERNELS_DECLARE(f64)
SQA_KERNELS_DECLARE(f32_avx2)
SQA_KERNELS_DECLARE(f32_nofma)
SQA_KERNELS_DECLARE(f32_avx512)
SQA_KERNELS_DECLARE(f32_pair) /* tests only: kernels/simd/vec.h */

#ifdef SQA_REAL
typedef SQA_REAL real;
#define SQA_PASTE(name, type) sqa_k_##name##_##type
#define SQA_PASTE2(name, type) SQA_PASTE(name, type)
#define K(name) SQA_PASTE2(name, SQA_REAL_NAME)
#endif

#endif
