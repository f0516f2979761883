/* dft_step.c - plain/dft_step.c, whose loops the compiler turns into vectors of each width */
#define SQA_REAL float
#define SQA_DFT_STEP_NAME(isa) f32_##isa
#define SQA_DFT_STEP_NAME2(isa) SQA_DFT_STEP_NAME(isa)
#define SQA_REAL_NAME SQA_DFT_STEP_NAME2(SQA_ISA)
#include "kernels/plain/dft_step.c" /* the same source under another name */
