/* test_machine_lock.c - who may time, who waits, and that nobody waits for the dead; other runs seen in /proc */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/machine_lock.h"
#include "harness/measure/measure.h"
#include "harness/measure/others.h"

static char home[64];

static int make_home(void **state)
{
    (void)state;
    snprintf(home, sizeof home, "/tmp/seqarena-lock.XXXXXX");
    return mkdtemp(home) && setenv("XDG_RUNTIME_DIR", home, 1) == 0 ? 0 : -1;
}

static int remove_home(void **state)
{
    static const char *const names[] = {"/seqarena/timing", "/seqarena/work", "/seqarena", ""};
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s%s", home, names[i]);
        remove(path);
    }
    return 0;
}

/* A child that does `what` and then says a letter on the pipe; it ends when it is killed, or by itself. */
static pid_t start(void (*what)(int out), int *in)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        what(fds[1]);
        _exit(0);
    }
    close(fds[1]);
    *in = fds[0];
    return pid;
}

static void say(int out, char letter)
{
    if (write(out, &letter, 1) != 1)
        _exit(3);
}

static char hear(int in)
{
    char letter = 0;
    return read(in, &letter, 1) == 1 ? letter : 0;
}

static void stop(pid_t pid, int in)
{
    int status;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(in);
}

static void time_for_ever(int out)
{
    struct sqa_machine_lock l;
    unsetenv("SEQARENA_LOCK");
    say(out, sqa_machine_lock(&l, "bench", true, true, NULL) == SQA_OK && !*l.missing ? 't' : 'f');
    pause();
}

static void tell(void *user, bool waits)
{
    say(*(const int *)user, waits ? 'w' : 'r');
}

/* A step every millisecond; a letter at the first. */
static void work_for_ever(int out)
{
    sqa_machine_work_begin(tell, &out);
    for (int i = 0;; i++) {
        sqa_machine_work_pause(NULL);
        if (i == 0)
            say(out, 's');
        usleep(1000);
    }
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    struct sqa_machine_lock l;
    struct sqa_err err;
    char told[64];
    int in;
    const pid_t pid = start(time_for_ever, &in);
    assert_int_equal(hear(in), 't');
    assert_int_equal(sqa_machine_lock(&l, "bench", false, true, &err), SQA_INPUT);
    snprintf(told, sizeof told, "timed by process %ld bench since 20", (long)pid);
    assert_non_null(strstr(err.text, told));
    stop(pid, in); /* killed: the lock goes with it */
    assert_int_equal(sqa_machine_lock(&l, "bench", false, true, &err), SQA_OK);
    assert_string_equal(l.missing, "");
    sqa_machine_unlock(&l);
}

static void inherit(int out)
{
    struct sqa_machine_lock l;
    say(out, sqa_machine_lock(&l, "bench", false, true, NULL) == SQA_OK && l.timing < 0 && !*l.missing ? 'y' : 'n');
    sqa_machine_unlock(&l);
    say(out, getenv("SEQARENA_LOCK") ? 'y' : 'n');
}

static void test_children_share_it(void **state)
{
    (void)state;
    struct sqa_machine_lock l;
    int in, status;
    assert_int_equal(sqa_machine_lock(&l, "compare", true, true, NULL), SQA_OK);
    const pid_t pid = start(inherit, &in);
    assert_int_equal(hear(in), 'y');
    assert_int_equal(hear(in), 'y');
    waitpid(pid, &status, 0);
    close(in);
    assert_null(strstr(l.missing, " "));
    sqa_machine_unlock(&l);
    assert_null(getenv("SEQARENA_LOCK"));
}

static void test_work_waits(void **state)
{
    (void)state;
    struct sqa_machine_lock l;
    int in[2], other;
    const pid_t worker[2] = {start(work_for_ever, &in[0]), start(work_for_ever, &in[1])};
    for (int i = 0; i < 2; i++)
        assert_int_equal(hear(in[i]), 's');
    assert_int_equal(sqa_machine_lock(&l, "bench", true, true, NULL), SQA_OK); /* returns: both rest */
    for (int i = 0; i < 2; i++)
        assert_int_equal(hear(in[i]), 'w');
    sqa_machine_unlock(&l);
    for (int i = 0; i < 2; i++)
        assert_int_equal(hear(in[i]), 'r');
    const pid_t bench = start(time_for_ever, &other);
    assert_int_equal(hear(other), 't');
    for (int i = 0; i < 2; i++)
        assert_int_equal(hear(in[i]), 'w');
    stop(bench, other); /* a killed timing leaves nobody waiting */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hear(in[i]), 'r');
        stop(worker[i], in[i]);
    }
}

static volatile sig_atomic_t interrupted;
static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void work_until_told(int out)
{
    const struct sigaction a = {.sa_handler = on_signal};
    sigaction(SIGTERM, &a, NULL);
    sqa_machine_work_begin(tell, &out);
    sqa_machine_work_pause(&interrupted);
    say(out, 'e');
}

static void test_interrupted_while_it_waits(void **state)
{
    (void)state;
    struct sqa_machine_lock l;
    int in, status;
    assert_int_equal(sqa_machine_lock(&l, "bench", true, true, NULL), SQA_OK);
    const pid_t pid = start(work_until_told, &in);
    assert_int_equal(hear(in), 'w');
    kill(pid, SIGTERM);
    assert_int_equal(hear(in), 'r');
    assert_int_equal(hear(in), 'e');
    waitpid(pid, &status, 0);
    close(in);
    sqa_machine_unlock(&l);
}

static void test_directory_of_somebody_else(void **state)
{
    (void)state;
    struct sqa_machine_lock l;
    char dir[128], path[512];
    struct sqa_err err;
    snprintf(dir, sizeof dir, "%s/seqarena", home);
    assert_int_equal(sqa_runtime_dir(path, &err), SQA_OK);
    assert_string_equal(path, dir);
    assert_int_equal(chmod(dir, 0777), 0); /* anybody could put files there */
    assert_int_equal(sqa_runtime_dir(path, &err), SQA_INPUT);
    assert_int_equal(sqa_machine_lock(&l, "bench", true, true, &err), SQA_OK);
    assert_non_null(strstr(l.missing, "closed to others"));
    sqa_machine_unlock(&l);
    assert_int_equal(chmod(dir, 0700), 0);
}

/* Another seqarena at work: a shell that calls itself so, the child of a child. */
static void test_others_are_seen(void **state)
{
    (void)state;
    struct sqa_others o;
    int in, status;
    sqa_others_begin(&o);
    sqa_others_look(&o);
    const double before = o.busy;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        const pid_t busy = fork();
        if (busy == 0) {
            execl("/bin/sh", "some/where/seqarena", "-c", "while :; do :; done", (char *)NULL);
            _exit(3);
        }
        if (write(fds[1], &busy, sizeof busy) != sizeof busy)
            _exit(3);
        _exit(0);
    }
    in = fds[0];
    pid_t busy = 0;
    assert_int_equal(read(in, &busy, sizeof busy), sizeof busy);
    waitpid(pid, &status, 0);
    for (int i = 0; i < 500 && o.busy - before < 0.1; i++) {
        usleep(20000);
        sqa_others_look(&o);
    }
    kill(busy, SIGKILL);
    close(fds[0]);
    close(fds[1]);
    assert_true(o.busy - before >= 0.1);
    assert_true(o.seconds > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_children_share_it),
        cmocka_unit_test(test_work_waits),
        cmocka_unit_test(test_interrupted_while_it_waits),
        cmocka_unit_test(test_directory_of_somebody_else),
        cmocka_unit_test(test_others_are_seen),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
