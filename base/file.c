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

static const char *temporary(const struct sqa_out *o, char name[4096 + 8])
{
    snprintf(name, 4096 + 8, "%s.tmp", o->path);
    return name;
}

enum sqa_status sqa_out_open(struct sqa_out *o, const char *path, struct sqa_err *err)
{
    char name[4096 + 8];
    struct stat st;
    o->fd = -1;
    if (strlen(path) + 5 >= sizeof o->path)
        return sqa_fail(err, SQA_INPUT, "%.200s...: path too long; choose a shorter one", path);
    snprintf(o->path, sizeof o->path, "%s", path);
    o->device = stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
    if (o->device) {
        o->fd = open(path, O_WRONLY | O_CLOEXEC);
        return o->fd < 0 ? sqa_file_fail(err, path, errno) : SQA_OK;
    }
    o->fd = open(temporary(o, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return o->fd < 0 ? sqa_file_fail(err, name, errno) : SQA_OK;
}

enum sqa_status sqa_out_add(struct sqa_out *o, const void *data, size_t size, struct sqa_err *err)
{
    const char *p = data;
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(o->fd, p + done, size - done);
        if (n < 0 && errno != EINTR)
            return sqa_file_fail(err, o->path, errno);
        done += n > 0 ? (size_t)n : 0;
    }
    return SQA_OK;
}

enum sqa_status sqa_out_commit(struct sqa_out *o, struct sqa_err *err)
{
    char name[4096 + 8];
    int number = !o->device && fsync(o->fd) != 0 ? errno : 0;
    if (close(o->fd) != 0 && !number)
        number = errno;
    o->fd = -1;
    if (o->device)
        return number ? sqa_file_fail(err, o->path, number) : SQA_OK;
    if (!number && rename(temporary(o, name), o->path) != 0)
        number = errno;
    if (number) {
        unlink(temporary(o, name));
        return sqa_file_fail(err, o->path, number);
    }
    return sync_parent(o->path, err);
}

void sqa_out_drop(struct sqa_out *o)
{
    char name[4096 + 8];
    if (o->fd < 0)
        return;
    close(o->fd);
    o->fd = -1;
    if (!o->device)
        unlink(temporary(o, name));
}

enum sqa_status sqa_file_write(const char *path, const void *data, size_t size, struct sqa_err *err)
{
    struct sqa_out o;
    enum sqa_status status = sqa_out_open(&o, path, err);
    if (status == SQA_OK)
        status = sqa_out_add(&o, data, size, err);
    if (status == SQA_OK)
        return sqa_out_commit(&o, err);
    sqa_out_drop(&o);
    return status;
}

enum sqa_status sqa_file_open(const char *path, int *fd, uint64_t *size, struct sqa_err *err)
{
    struct stat st;
    const enum sqa_status status = open_regular(path, fd, &st, err);
    if (status != SQA_OK)
        *fd = -1;
    else
        *size = (uint64_t)st.st_size;
    return status;
}

enum sqa_status sqa_file_get(const char *path, int fd, uint64_t offset, void *data, size_t size, struct sqa_err *err)
{
    char *p = data;
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(fd, p + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno != EINTR)
            return sqa_file_fail(err, path, errno);
        if (n == 0)
            return sqa_fail(err, SQA_INPUT, "%s: ends early; it changed while being read, run again", path);
        done += n > 0 ? (size_t)n : 0;
    }
    return SQA_OK;
}

void sqa_file_close(int fd)
{
    if (fd >= 0)
        close(fd);
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
