/*
 * file.h - whole files, safely
 *
 * Errors are sentences for the user: the path, what is wrong (missing, a directory, no permission, too large, disk
 * full), what to do.
 */
#ifndef SQA_BASE_FILE_H
#define SQA_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Reads a regular file of at most `limit` bytes; *data is 0-terminated, caller frees with sqa_free. */
enum sqa_status sqa_file_read(const char *path, size_t limit, char **data, size_t *size,
                              struct sqa_err *err) SQA_MUST_CHECK;
/* Writes path + ".tmp", fsyncs, renames, fsyncs the directory: the old or the new content, never a torn one. A path that is
 * there and no regular file (/dev/null, a pipe) is written into and stays what it is. */
enum sqa_status sqa_file_write(const char *path, const void *data, size_t size, struct sqa_err *err) SQA_MUST_CHECK;
/* The same in pieces: path appears with sqa_out_commit; sqa_out_drop, also after a failure, leaves nothing behind. */
struct sqa_out {
    int fd;      /* -1: not open */
    bool device; /* no regular file: no temporary one */
    char path[4096];
};
enum sqa_status sqa_out_open(struct sqa_out *o, const char *path, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_out_add(struct sqa_out *o, const void *data, size_t size, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_out_commit(struct sqa_out *o, struct sqa_err *err) SQA_MUST_CHECK;
void sqa_out_drop(struct sqa_out *o);
/* A regular file read at any place: exactly size bytes from offset on. */
enum sqa_status sqa_file_open(const char *path, int *fd, uint64_t *size, struct sqa_err *err) SQA_MUST_CHECK;
enum sqa_status sqa_file_get(const char *path, int fd, uint64_t offset, void *data, size_t size,
                             struct sqa_err *err) SQA_MUST_CHECK;
void sqa_file_close(int fd);
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
