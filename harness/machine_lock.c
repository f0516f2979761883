/* machine_lock.c - see machine_lock.h */
#include "harness/machine_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/measure/measure.h"

#define HOLDER "SEQARENA_LOCK" /* process id of the ancestor that holds the lock */

static bool is_ours(const char *path, bool closed)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (!closed || (st.st_mode & 022) == 0);
}

enum sqa_status sqa_runtime_dir(char path[512], struct sqa_err *err)
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    char user[64];
    snprintf(user, sizeof user, "/run/user/%u", (unsigned)geteuid());
    if (xdg && xdg[0] == '/' && strlen(xdg) < 480)
        snprintf(path, 512, "%s/seqarena", xdg);
    else if (is_ours(user, true))
        snprintf(path, 512, "%s/seqarena", user);
    else
        snprintf(path, 512, "/tmp/seqarena-%u", (unsigned)geteuid());
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return sqa_fail(err, SQA_INPUT, "%s: %s; set XDG_RUNTIME_DIR to a directory of yours", path, strerror(errno));
    if (!is_ours(path, true))
        return sqa_fail(err, SQA_INPUT,
                        "%s: not a directory that is yours and closed to others; remove it or set XDG_RUNTIME_DIR to "
                        "a directory of yours",
                        path);
    return SQA_OK;
}

static int open_file(const char *name, struct sqa_err *err)
{
    char dir[512], path[600];
    if (sqa_runtime_dir(dir, err) != SQA_OK)
        return -1;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        sqa_fail(err, SQA_INPUT, "%s: %s; remove it", path, strerror(errno));
    return fd;
}

static void close_file(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The line of the holder, without its end; "" when there is none. */
static void read_holder(int fd, char line[128])
{
    const ssize_t n = pread(fd, line, 127, 0);
    line[n > 0 ? n : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
}

static void write_holder(int fd, const char *verb)
{
    char line[128], when[32];
    const time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    const int n = snprintf(line, sizeof line, "%ld %.40s since %s\n", (long)getpid(), verb, when);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, line, (size_t)n, 0) != n)
        return; /* for people only, and for those who inherit: they will wait */
}

/* Does the ancestor named in the environment hold it? */
static bool is_inherited(int fd)
{
    const char *holder = getenv(HOLDER);
    char line[128];
    read_holder(fd, line);
    return holder && atol(holder) > 0 && atol(holder) == atol(line);
}

static enum sqa_status take(int fd, int how)
{
    return flock(fd, how) == 0 ? SQA_OK : errno == EINTR ? SQA_INTERRUPTED : SQA_MACHINE;
}

/* Taken, or *inherited. MACHINE: cannot be locked at all. */
static enum sqa_status take_timing(int fd, const char *verb, bool wait, bool quiet, bool *inherited,
                                   struct sqa_err *err)
{
    char line[128];
    *inherited = false;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return SQA_OK;
    if (errno != EWOULDBLOCK)
        return sqa_fail(err, SQA_MACHINE, "%s: no lock for the machine: %s; set XDG_RUNTIME_DIR to a local directory",
                        verb, strerror(errno));
    *inherited = is_inherited(fd);
    if (*inherited)
        return SQA_OK;
    read_holder(fd, line);
    if (!wait)
        return sqa_fail(err, SQA_INPUT,
                        "%s: the machine is being timed by process %s; wait for it, or leave --no-wait out", verb,
                        line);
    if (!quiet)
        fprintf(stderr, "seqarena: %s waits for process %s, which times\n", verb, line);
    const enum sqa_status status = take(fd, LOCK_EX);
    if (status == SQA_OK)
        return SQA_OK;
    return sqa_fail(err, SQA_INTERRUPTED, "%s: interrupted while it waited for the machine; run it again", verb);
}

enum sqa_status sqa_machine_lock(struct sqa_machine_lock *l, const char *verb, bool wait, bool quiet,
                                 struct sqa_err *err)
{
    static char missing[1024];
    struct sqa_err why = {0};
    bool inherited = false;
    *l = (struct sqa_machine_lock){.timing = open_file("timing", &why), .missing = missing};
    missing[0] = '\0';
    enum sqa_status status =
        l->timing < 0 ? SQA_MACHINE : take_timing(l->timing, verb, wait, quiet, &inherited, &why);
    if (status == SQA_OK && inherited) {
        close_file(&l->timing);
        return SQA_OK;
    }
    if (status == SQA_MACHINE) {
        snprintf(missing, sizeof missing, "%s", why.text);
        close_file(&l->timing);
        return SQA_OK;
    }
    if (status == SQA_OK) {
        char pid[32];
        snprintf(pid, sizeof pid, "%ld", (long)getpid());
        write_holder(l->timing, verb);
        setenv(HOLDER, pid, 1);
        int work = open_file("work", NULL);
        if (work >= 0 && take(work, LOCK_EX) == SQA_INTERRUPTED) /* until the steps in hand are done */
            status =
                sqa_fail(&why, SQA_INTERRUPTED, "%s: interrupted while trainings came to rest; run it again", verb);
        close_file(&work);
    }
    if (status != SQA_OK) {
        sqa_machine_unlock(l);
        return sqa_fail(err, status, "%s", why.text);
    }
    return SQA_OK;
}

void sqa_machine_unlock(struct sqa_machine_lock *l)
{
    if (l->timing >= 0) {
        unsetenv(HOLDER);
        if (ftruncate(l->timing, 0) != 0)
            fprintf(stderr, "seqarena: the line of the machine's lock stays: %s\n", strerror(errno));
    }
    close_file(&l->timing);
}

/* The training side */

static struct {
    int timing, work;
    void (*tell)(void *user, bool waits);
    void *user;
    int64_t paused;
} worker = {-1, -1, NULL, NULL, 0};

void sqa_machine_work_begin(void (*tell)(void *user, bool waits), void *user)
{
    sqa_machine_work_end();
    worker.timing = open_file("timing", NULL);
    worker.work = open_file("work", NULL);
    worker.tell = tell;
    worker.user = user;
    worker.paused = 0;
    if (worker.timing < 0 || worker.work < 0)
        sqa_machine_work_end(); /* no directory for locks: it trains without, and timings will see it at work */
}

/* `timing` is held for the moment in which `work` is taken, so that who times finds one or the other. */
static bool take_work(void)
{
    if (flock(worker.timing, LOCK_SH | LOCK_NB) != 0)
        return false;
    flock(worker.work, LOCK_SH);
    flock(worker.timing, LOCK_UN);
    return true;
}

void sqa_machine_work_pause(const volatile sig_atomic_t *interrupted)
{
    const struct timespec nap = {0, 100000000}; /* a signal is seen so late at most, whenever it comes */
    if (worker.work < 0 || take_work())
        return;
    const int64_t start = sqa_clock_wall();
    if (worker.tell)
        worker.tell(worker.user, true);
    flock(worker.work, LOCK_UN);
    while (!(interrupted && *interrupted) && !take_work())
        nanosleep(&nap, NULL);
    if (worker.tell)
        worker.tell(worker.user, false);
    worker.paused += sqa_clock_wall() - start;
}

double sqa_machine_work_paused(void)
{
    return (double)worker.paused * 1e-9;
}

void sqa_machine_work_end(void)
{
    close_file(&worker.timing);
    close_file(&worker.work);
}
