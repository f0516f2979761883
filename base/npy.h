/*
 * npy.h - NumPy .npy arrays (format versions 1 to 3, C order, little-endian)
 *
 * Reading takes <f2, <f4, <f8, <i2, <i4, <i8, <u2, |u1, |i1, |b1 and gives doubles. A hostile or truncated file costs
 * one sentence. Large arrays are read and written in pieces: sqa_npy_open, _get, _close; sqa_npy_begin, _add, _end.
 */
#ifndef SQA_BASE_NPY_H
#define SQA_BASE_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
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
/* type: "f4", "f8", "i4", "i2", "u2", "i1" or "u1". Atomic. */
enum sqa_status sqa_npy_write(const char *path, const char *type, int rank, const int64_t *dim, const double *data,
                              struct sqa_err *err) SQA_MUST_CHECK;

/* An array that stays in its file. */
struct sqa_npy_in {
    const char *path; /* the caller's */
    int fd;
    int rank;
    int64_t dim[SQA_NPY_MAX_RANK];
    char type[4];
    bool whole; /* integers or booleans */
    size_t count, start;
};
enum sqa_status sqa_npy_open(const char *path, struct sqa_npy_in *in, struct sqa_err *err) SQA_MUST_CHECK;
/* n elements from `first` on, which the array has. */
enum sqa_status sqa_npy_get(const struct sqa_npy_in *in, size_t first, size_t n, double *out,
                            struct sqa_err *err) SQA_MUST_CHECK;
void sqa_npy_close(struct sqa_npy_in *in);

/* An array written in pieces: PATH appears, whole, with sqa_npy_end, which refuses another number of elements than
 * the shape has. sqa_npy_drop gives it up; it may follow any failure. Types as of sqa_npy_write. */
struct sqa_npy_out {
    struct sqa_out file;
    char type[4];
    size_t count, done;
};
enum sqa_status sqa_npy_begin(struct sqa_npy_out *o, const char *path, const char *type, int rank, const int64_t *dim,
                              struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_npy_add(struct sqa_npy_out *o, const double *data, size_t n, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_npy_add_ints(struct sqa_npy_out *o, const int32_t *data, size_t n,
                                 struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_npy_end(struct sqa_npy_out *o, struct sqa_err *err) SQA_MUST_CHECK;
void sqa_npy_drop(struct sqa_npy_out *o);

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
