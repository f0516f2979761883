/*
 * npz.h - arrays of NumPy's .npz files (a ZIP archive of .npy files, packed or not) through libzip
 */
#ifndef SQA_BASE_NPZ_H
#define SQA_BASE_NPZ_H

#include "base/npy.h"

/* Reads the array of that name (member NAME.npy). Errors name the file and, where it is not there, what is. */
enum sqa_status sqa_npz_read(const char *path, const char *name, struct sqa_npy *a,
                             struct sqa_err *err) SQA_MUST_CHECK;
/* The same from memory; file stands in messages. (Fuzz target.) */
enum sqa_status sqa_npz_parse(const char *file, const void *bytes, size_t size, const char *name, struct sqa_npy *a,
                              struct sqa_err *err) SQA_MUST_CHECK;

#endif
