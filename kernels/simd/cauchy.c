/* cauchy.c - plain/cauchy.c, whose loops the compiler turns into vectors of each width */
#define SQA_REAL float
#define SQA_CAUCHY_NAME(isa) f32_##isa
#define SQA_CAUCHY_NAME2(isa) SQA_CAUCHY_NAME(isa)
#define SQA_REAL_NAME SQA_CAUCHY_NAME2(SQA_ISA)
#include "kernels/plain/cauchy.c" /* the same source under another name */
