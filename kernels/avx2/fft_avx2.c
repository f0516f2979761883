/* fft_avx2.c - plain/fft.c compiled for AVX2 around the passes of fft_complex_avx2.c */
#define SQA_REAL float
#define SQA_REAL_NAME f32_avx2
#include "kernels/plain/fft.c" /* the same source under another name */
