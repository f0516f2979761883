/*
 * images.h - labelled images of one size from CIFAR's binary records and from IDX files (MNIST and kin)
 *
 * CIFAR-10 (Krizhevsky 2009): records of 3073 bytes, a label and 32 x 32 red, green and blue bytes, plane by plane.
 * IDX (LeCun): big-endian header, magic 2051 (images: count, rows, columns) or 2049 (labels: count), then bytes.
 */
#ifndef SQA_TASKS_IMAGES_H
#define SQA_TASKS_IMAGES_H

#include <stddef.h>
#include <stdint.h>

#include "tasks/task.h"

enum {
    SQA_IMAGES_RECORD = 3073,   /* bytes of a CIFAR record */
    SQA_IMAGES_SIDE = 4096,     /* most rows or columns */
    SQA_IMAGES_LIMIT = 1 << 30, /* most bytes of a file, unpacked */
};

enum sqa_images_gray {
    SQA_IMAGES_TENSORFLOW, /* see sqa_gray_tensorflow */
    SQA_IMAGES_PILLOW,     /* see sqa_gray_pillow */
    SQA_IMAGES_COLOUR,     /* red, green and blue are kept */
};

struct sqa_images {
    int64_t rows, columns, channels;
    size_t n, capacity;
    uint8_t *pixels; /* (n, rows, columns, channels) */
    uint8_t *labels; /* (n) */
    size_t skipped;  /* images left out because skip_bad was set */
};

struct sqa_images_reading {
    int64_t classes; /* labels are 0 .. classes - 1 */
    enum sqa_images_gray gray;
    int skip_bad; /* a label out of range, an image that is not whole, bytes behind the last: left out and counted */
};

/* Appends the images of one file of records (labels_name NULL), or of a pair of IDX files, to set; all are of one
 * size. SQA_INPUT: FILE, place, what is wrong. set is freed by sqa_images_clear, also after a failure. */
enum sqa_status sqa_images_add(const char *name, const void *data, size_t size, const char *labels_name,
                               const void *labels, size_t labels_size, const struct sqa_images_reading *how,
                               struct sqa_images *set, struct sqa_err *err) SQA_MUST_CHECK;
/* Whether the bytes begin as an IDX file of images does. A file of records whose first four bytes happen to be those
 * is told apart by its size. */
int sqa_images_is_idx(const void *data, size_t size);
/* The same for a file, packed with gzip or not, or for a pair of IDX files. A name that begins with / or . is a path,
 * others are looked for by sqa_data_find. labels "": the name with images-idx3 read as labels-idx1. *idx: it is a
 * pair. */
enum sqa_status sqa_images_add_file(const struct sqa_task_env *env, const char *name, const char *labels,
                                    const struct sqa_images_reading *how, struct sqa_images *set, bool *idx,
                                    struct sqa_err *err) SQA_MUST_CHECK;
void sqa_images_clear(struct sqa_images *set);

/* TensorFlow's rgb_to_grayscale of bytes (the LRA code): in float, (0.2989 r + 0.5870 g + 0.1140 b) / 255 * 255.5,
 * truncated. Summed from left to right; another order of the sum changes 31 to 61 of the 2^24 colours by one. */
uint8_t sqa_gray_tensorflow(uint8_t r, uint8_t g, uint8_t b);
/* Pillow's convert("L") (S4, Mega): (19595 r + 38470 g + 7471 b + 32768) >> 16. */
uint8_t sqa_gray_pillow(uint8_t r, uint8_t g, uint8_t b);

#endif
