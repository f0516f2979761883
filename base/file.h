/*
 * file.h - whole files, safely
 *
 * Errors are sentences for the user: the path, what is wrong (missing, a directory, no permission, too large, disk
 * full), what to do.
 */
#ifndef SQA_BASE_FILE_H
#define SQA_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Reads a regular file of at most `limit` bytes; *data is 0-terminated, caller frees with sqa_free. */
enum sqa_status sqa_file_read(const char *path, size_t limit, char **data, size_t *size,
                              struct sqa_err *err) SQA_MUST_CHECK;
/* Writes path + ".tmp", fsyncs, renames, fsyncs the directory: the old or the new content, never a torn one. */
enum sqa_status sqa_file_write(const char *path, const void *data, size_t size, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_make_dirs(const char *path, struct sqa_err *err) SQA_MUST_CHECK; /* mkdir -p */
enum sqa_status sqa_sync_dir(const char *path, struct sqa_err *err) SQA_MUST_CHECK;
int sqa_file_exists(const char *path);
/* One sentence for a failed system call on path: "PATH: No space left on device; free some space and run again". */
enum sqa_status sqa_file_fail(struct sqa_err *err, const char *path, int error_number);
/* SHA-256 as 64 hex digits. */
enum sqa_status sqa_file_sha256(const char *path, char hex[65], struct sqa_err *err) SQA_MUST_CHECK;
/* xxHash64 of bytes: keys of cells, plans and builds. */
uint64_t sqa_hash(const void *data, size_t size, uint64_t seed);

#endif
