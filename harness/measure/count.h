/*
 * count.h - deterministic cost: instructions of a piece of work, counted by callgrind (valgrind)
 *
 * The parent starts a child under valgrind with sqa_count_exec; the child puts what is to be counted between
 * sqa_count_begin and sqa_count_end. Outside of them nothing is instrumented. Counts are those of one binary and one
 * set of libraries: the same from run to run, and not a measure of speed (no stalls, no ports, no AVX-512).
 */
#ifndef SQA_HARNESS_MEASURE_COUNT_H
#define SQA_HARNESS_MEASURE_COUNT_H

#include "base/status.h"

/* "valgrind-3.19.0": what is found in PATH. MACHINE where there is none, or where this program was built without
 * valgrind's header. */
enum sqa_status sqa_count_version(char version[64], struct sqa_err *err) SQA_MUST_CHECK;

/* In a child, instead of exec: becomes `program` with those arguments under callgrind, one thread, kernels without
 * FMA and AVX-512, OpenBLAS's without them too. Dumps are written to `file`, with a number behind it. Returns only on
 * failure. */
void sqa_count_exec(const char *program, char *const *argv, const char *file);

struct sqa_counted {
    double instructions, data_reads, data_writes; /* executed; NaN what is not in the dump */
};
void sqa_count_begin(void);
/* Reads the first dump of `file` and removes it; to be called once a process. MACHINE when there is none. */
enum sqa_status sqa_count_end(const char *file, struct sqa_counted *out, struct sqa_err *err) SQA_MUST_CHECK;

#endif
