/*
 * gzip.h - gzip data (RFC 1952) through zlib
 */
#ifndef SQA_BASE_GZIP_H
#define SQA_BASE_GZIP_H

#include <stddef.h>

#include "base/status.h"

/* Whether the bytes begin as gzip data do. */
int sqa_is_gzip(const void *data, size_t size);
/* Unpacks all members of data into *out, which the caller frees with sqa_free. Damaged, cut or followed by other
 * bytes: SQA_INPUT with name and the byte; more than `limit` bytes unpacked: SQA_INPUT. */
enum sqa_status sqa_gunzip(const char *name, const void *data, size_t size, size_t limit, char **out,
                           size_t *out_size, struct sqa_err *err) SQA_MUST_CHECK;

#endif
