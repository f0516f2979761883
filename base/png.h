/*
 * png.h - small PNG pictures (libpng)
 */
#ifndef SQA_BASE_PNG_H
#define SQA_BASE_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Decodes a gray picture (1 to 8 bits) of exactly width x height into gray, row by row, 0 black to 255 white. name is
 * for messages; anything else than such a picture, truncated ones too, is SQA_INPUT. */
enum sqa_status sqa_png_gray(const char *name, const void *bytes, size_t size, int width, int height, uint8_t *gray,
                             struct sqa_err *err) SQA_MUST_CHECK;
/* Writes width x height pixels of `channels` bytes, 1 (gray) or 3 (red, green, blue). Atomic. */
enum sqa_status sqa_png_write(const char *path, int width, int height, int channels, const uint8_t *pixels,
                              struct sqa_err *err) SQA_MUST_CHECK;

#endif
