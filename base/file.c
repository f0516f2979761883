/* file.c - see file.h */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <xxhash.h>

#include "base/memory.h"

enum sqa_status sqa_file_fail(struct sqa_err *err, const char *path, int error_number)
{
    static const struct {
        int number;
        enum sqa_status code;
        const char *advice;
    } known[] = {
        {ENOENT, SQA_INPUT, "check the path"},
        {ENOTDIR, SQA_INPUT, "check the path"},
        {EISDIR, SQA_INPUT, "name a file"},
        {EACCES, SQA_INPUT, "check its permissions"},
        {EPERM, SQA_INPUT, "check its permissions"},
        {EROFS, SQA_INPUT, "choose a place that can be written"},
        {ENAMETOOLONG, SQA_INPUT, "choose a shorter one"},
        {ENOTEMPTY, SQA_INPUT, "remove it and run again"},
        {ENOSPC, SQA_MACHINE, "free some space and run again, finished work is kept"},
        {EDQUOT, SQA_MACHINE, "free some quota and run again, finished work is kept"},
        {EFBIG, SQA_MACHINE, "raise the file size limit and run again, finished work is kept"},
        {ENOMEM, SQA_NOMEM, "free some memory and run again"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].number == error_number)
            return sqa_fail(err, known[i].code, "%s: %s; %s", path, strerror(error_number), known[i].advice);
    return sqa_fail(err, SQA_MACHINE, "%s: %s; check the disk and run again", path, strerror(error_number));
}

/* Opens a regular file for reading; a pipe or a directory is refused with a sentence. */
static enum sqa_status open_regular(const char *path, int *fd, struct stat *st, struct sqa_err *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return sqa_file_fail(err, path, errno);
    if (fstat(*fd, st) != 0 || !S_ISREG(st->st_mode)) {
        const int directory = S_ISDIR(st->st_mode);
        close(*fd);
        return directory ? sqa_file_fail(err, path, EISDIR)
                         : sqa_fail(err, SQA_INPUT, "%s: not a regular file; copy it to one first", path);
    }
    return SQA_OK;
}

enum sqa_status sqa_file_read(const char *path, size_t limit, char **data, size_t *size, struct sqa_err *err)
{
    int fd;
    struct stat st;
    enum sqa_status status = open_regular(path, &fd, &st, err);
    if (status != SQA_OK)
        return status;
    if ((uintmax_t)st.st_size > limit) {
        close(fd);
        return sqa_fail(err, SQA_INPUT, "%s: %lld bytes, more than the %zu that are read; cut it into smaller files",
                        path, (long long)st.st_size, limit);
    }
    const size_t n = (size_t)st.st_size;
    char *p = sqa_alloc(n + 1);
    size_t done = 0;
    if (!p)
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory for its %zu bytes; free some memory and run again", path, n);
    while (status == SQA_OK && done < n) {
        const ssize_t got = read(fd, p + done, n - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = sqa_file_fail(err, path, errno);
        else if (got == 0)
            status = sqa_fail(err, SQA_INPUT, "%s: ends at byte %zu of %zu; it changed while being read, run again",
                              path, done, n);
        else
            done += (size_t)got;
    }
    close(fd);
    if (status != SQA_OK) {
        sqa_free(p);
        return status;
    }
    *data = p;
    *size = n;
    return SQA_OK;
}

enum sqa_status sqa_sync_dir(const char *path, struct sqa_err *err)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sqa_file_fail(err, path, errno);
    const int failed = fsync(fd) != 0 && errno != EINVAL;
    const int number = errno;
    close(fd);
    return failed ? sqa_file_fail(err, path, number) : SQA_OK;
}

static enum sqa_status sync_parent(const char *path, struct sqa_err *err)
{
    char parent[4096];
    const char *slash = strrchr(path, '/');
    if (!slash)
        return sqa_sync_dir(".", err);
    snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return sqa_sync_dir(parent, err);
}

enum sqa_status sqa_file_write(const char *path, const void *data, size_t size, struct sqa_err *err)
{
    char temporary[4096];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp", path) >= sizeof temporary)
        return sqa_fail(err, SQA_INPUT, "%.200s...: path too long; choose a shorter one", path);
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return sqa_file_fail(err, path, errno);
    const char *p = data;
    size_t done = 0;
    int number = 0;
    while (!number && done < size) {
        const ssize_t n = write(fd, p + done, size - done);
        if (n < 0 && errno != EINTR)
            number = errno;
        else if (n > 0)
            done += (size_t)n;
    }
    if (!number && fsync(fd) != 0)
        number = errno;
    if (close(fd) != 0 && !number)
        number = errno;
    if (!number && rename(temporary, path) != 0)
        number = errno;
    if (number) {
        unlink(temporary);
        return sqa_file_fail(err, path, number);
    }
    return sync_parent(path, err);
}

enum sqa_status sqa_make_dirs(const char *path, struct sqa_err *err)
{
    char part[4096];
    const size_t n = strlen(path);
    if (n >= sizeof part)
        return sqa_fail(err, SQA_INPUT, "%.200s...: path too long; choose a shorter one", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return sqa_file_fail(err, part, errno);
    }
    struct stat st;
    if (stat(path, &st) != 0)
        return sqa_file_fail(err, path, errno);
    return S_ISDIR(st.st_mode) ? SQA_OK : sqa_file_fail(err, path, ENOTDIR);
}

int sqa_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

enum sqa_status sqa_file_sha256(const char *path, char hex[65], struct sqa_err *err)
{
    int fd;
    struct stat st;
    enum sqa_status status = open_regular(path, &fd, &st, err);
    if (status != SQA_OK)
        return status;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char block[65536], digest[EVP_MAX_MD_SIZE];
    ssize_t got = 0;
    int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    while (ok && (got = read(fd, block, sizeof block)) > 0)
        ok = EVP_DigestUpdate(ctx, block, (size_t)got);
    const int number = got < 0 ? errno : 0;
    ok = ok && !number && EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    close(fd);
    if (number)
        return sqa_file_fail(err, path, number);
    if (!ok)
        return sqa_fail(err, SQA_MACHINE, "%s: libcrypto cannot compute SHA-256; check its installation", path);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return SQA_OK;
}

uint64_t sqa_hash(const void *data, size_t size, uint64_t seed)
{
    return XXH64(data, size, seed);
}
