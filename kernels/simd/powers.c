/* powers.c - plain/powers.c, whose loops the compiler turns into vectors of each width */
#define SQA_REAL float
#define SQA_POWERS_NAME(isa) f32_##isa
#define SQA_POWERS_NAME2(isa) SQA_POWERS_NAME(isa)
#define SQA_REAL_NAME SQA_POWERS_NAME2(SQA_ISA)
#include "kernels/plain/powers.c" /* the same source under another name */
