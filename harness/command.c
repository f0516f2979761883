/* command.c - see command.h */
#include "harness/command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

enum { LOG_MAX = 64 << 20, PADDING_MAX = 1 << 16 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

void sqa_command_catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal}; /* no SA_RESTART: waiting ends */
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

static void become(const struct sqa_command *c, pid_t parent)
{
    static char padding[PADDING_MAX + 1];
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || (c->dir && chdir(c->dir) != 0))
        _exit(127);
    const int log = open(c->log, O_WRONLY | O_CREAT | O_TRUNC, 0666), null = open("/dev/null", O_RDONLY);
    if (log < 0 || null < 0)
        _exit(127);
    dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    unsetenv("MAKEFLAGS"); /* a make above us gives no jobs to one below */
    unsetenv("MAKELEVEL");
    if (c->padding) {
        memset(padding, 'x', c->padding < PADDING_MAX ? c->padding : PADDING_MAX);
        setenv("SEQARENA_PADDING", padding, 1);
    }
    execvp(c->argv[0], (char *const *)(uintptr_t)c->argv);
    _exit(127);
}

enum sqa_status sqa_command_run(const struct sqa_command *c, int *code, struct sqa_err *err)
{
    const pid_t parent = getpid(), pid = stop ? -1 : fork();
    int status;
    if (pid == 0)
        become(c, parent);
    if (pid < 0 && !stop)
        return sqa_fail(err, SQA_MACHINE, "%s: fork: %s; free some memory or processes", c->argv[0], strerror(errno));
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno == EINTR && stop)
            kill(pid, SIGTERM);
    if (stop)
        return sqa_fail(err, SQA_INTERRUPTED, "interrupted while %s ran; nothing is kept, run again", c->argv[0]);
    *code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (*code == 127)
        return sqa_fail(err, SQA_MACHINE, "%s: cannot be started; check that it is there and may be executed",
                        c->argv[0]);
    return SQA_OK;
}

char *sqa_command_last_line(const char *log, char *buffer, size_t size)
{
    char *text = NULL;
    size_t n = 0;
    buffer[0] = '\0';
    if (sqa_file_read(log, LOG_MAX, &text, &n, NULL) != SQA_OK)
        return buffer;
    while (n > 0 && (unsigned char)text[n - 1] <= ' ')
        text[--n] = '\0';
    const char *line = strrchr(text, '\n');
    snprintf(buffer, size, "%s", line ? line + 1 : text);
    sqa_free(text);
    return buffer;
}

enum sqa_status sqa_scratch_make(char path[512], struct sqa_err *err)
{
    const char *tmp = getenv("TMPDIR");
    if (!tmp || !*tmp || strlen(tmp) > 400)
        tmp = "/tmp";
    snprintf(path, 512, "%s/seqarena-compare.XXXXXX", tmp);
    return mkdtemp(path) ? SQA_OK : sqa_file_fail(err, tmp, errno);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    remove(path);
    return 0;
}

void sqa_scratch_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static enum sqa_status run_git(const char *const *argv, const char *log, int *code, struct sqa_err *err)
{
    return sqa_command_run(&(struct sqa_command){.argv = argv, .log = log}, code, err);
}

enum sqa_status sqa_build_revision(const char *rev, const char *make, const char *folder, char program[4096],
                                   struct sqa_err *err)
{
    char log[4096], sha[64], tree[4096], commit[600], line[300];
    int code;
    snprintf(log, sizeof log, "%s/git.log", folder);
    snprintf(commit, sizeof commit, "%s^{commit}", rev);
    const char *const parse[] = {"git", "rev-parse", "--verify", "--quiet", "--end-of-options", commit, NULL};
    enum sqa_status status = run_git(parse, log, &code, err);
    if (status != SQA_OK)
        return status;
    if (code != 0 || strlen(sqa_command_last_line(log, sha, sizeof sha)) < 40)
        return sqa_fail(err, SQA_USAGE, "--build %.100s: no such revision in the repository here; see git log", rev);
    snprintf(tree, sizeof tree, "%s/%s", folder, sha);
    snprintf(program, 4096, "%s/%s/build/seqarena", folder, sha);
    if (sqa_file_exists(program))
        return SQA_OK;
    const char *const add[] = {"git", "worktree", "add", "--detach", "--force", tree, sha, NULL};
    status = run_git(add, log, &code, err);
    if (status == SQA_OK && code != 0)
        status = sqa_fail(err, SQA_MACHINE, "--build %.100s: git worktree: %.200s; see git worktree list", rev,
                          sqa_command_last_line(log, line, sizeof line));
    if (status != SQA_OK)
        return status;
    const char *const sh[] = {"sh", "-c", make, NULL};
    snprintf(log, sizeof log, "%s/make.log", folder);
    status = sqa_command_run(&(struct sqa_command){.argv = sh, .dir = tree, .log = log}, &code, err);
    if (status == SQA_OK && (code != 0 || access(program, X_OK) != 0))
        status =
            sqa_fail(err, SQA_MACHINE, "--build %.100s: '%.100s' %s: %.200s; mend it, or give another --make", rev,
                     make, code ? "failed" : "made no build/seqarena", sqa_command_last_line(log, line, sizeof line));
    return status;
}

void sqa_build_remove(const char *folder)
{
    char tree[4096];
    int code;
    DIR *d = opendir(folder);
    const struct dirent *e;
    stop = 0; /* cleaning up is not interrupted */
    while (d && (e = readdir(d)) != NULL) {
        if (strlen(e->d_name) < 40)
            continue; /* no revision's */
        snprintf(tree, sizeof tree, "%s/%s", folder, e->d_name);
        const char *const remove_tree[] = {"git", "worktree", "remove", "--force", tree, NULL};
        if (run_git(remove_tree, "/dev/null", &code, NULL) != SQA_OK)
            break; /* git forgets it by itself in time */
    }
    if (d)
        closedir(d);
    sqa_scratch_remove(folder);
}
