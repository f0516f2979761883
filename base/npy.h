/*
 * npy.h - NumPy .npy arrays (format versions 1 to 3, C order, little-endian)
 *
 * Reading takes <f4, <f8, <i4, <i8, |u1, |i1, |b1 and gives doubles. A hostile or truncated file costs one sentence.
 */
#ifndef SQA_BASE_NPY_H
#define SQA_BASE_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { SQA_NPY_MAX_RANK = 8 };
struct sqa_npy {
    int rank;
    int64_t dim[SQA_NPY_MAX_RANK];
    char type[4]; /* as in the file: "<f4" without the byte order: "f4" */
    double *data; /* freed by sqa_npy_clear */
    size_t count;
};
enum sqa_status sqa_npy_read(const char *path, struct sqa_npy *a, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_npy_parse(const char *name, const void *bytes, size_t size, struct sqa_npy *a,
                              struct sqa_err *err) SQA_MUST_CHECK; /* fuzz target */
void sqa_npy_clear(struct sqa_npy *a);
/* type: "f4", "f8" or "i4". Atomic. */
enum sqa_status sqa_npy_write(const char *path, const char *type, int rank, const int64_t *dim, const double *data,
                              struct sqa_err *err) SQA_MUST_CHECK;

/* An array of texts, '<U..' or 'S..'; it points into the caller's bytes. */
struct sqa_npy_texts {
    int rank;
    int64_t dim[SQA_NPY_MAX_RANK];
    size_t count, width; /* texts; characters of each, 0-filled */
    size_t unit;         /* bytes of a character: 1 or 4 */
    const unsigned char *data;
};
enum sqa_status sqa_npy_parse_texts(const char *name, const void *bytes, size_t size, struct sqa_npy_texts *t,
                                    struct sqa_err *err) SQA_MUST_CHECK; /* fuzz target (metadata of Pathfinder) */
/* Copies text i, 0-terminated; what is not ASCII becomes '?'. Returns its length, cut at room - 1. */
size_t sqa_npy_text(const struct sqa_npy_texts *t, size_t i, char *buf, size_t room);

#endif
