/* system.c - small files of /proc and /sys, the machine's time, quiet start of chatty libraries */
#include "harness/measure/measure.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/measure/measure_private.h"

int sqa_small_file(const char *path, char *buf, size_t size)
{
    size_t n = 0;
    ssize_t got = -1;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    buf[0] = '\0';
    if (fd < 0)
        return -1;
    while (n + 1 < size && ((got = read(fd, buf + n, size - 1 - n)) > 0 || (got < 0 && errno == EINTR)))
        n += got > 0 ? (size_t)got : 0;
    close(fd);
    while (n > 0 && isspace((unsigned char)buf[n - 1]))
        n--;
    buf[n] = '\0';
    return n == 0 && got < 0 ? -1 : 0;
}

double sqa_proc_number(const char *path, const char *key)
{
    char buf[8192];
    const size_t n = strlen(key);
    if (sqa_small_file(path, buf, sizeof buf) != 0)
        return (double)NAN;
    for (const char *line = buf; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) != 0)
            continue;
        char *end;
        const double v = strtod(line + n, &end);
        return end == line + n ? (double)NAN : v;
    }
    return (double)NAN;
}

int sqa_stderr_off(void)
{
    fflush(stderr);
    const int saved = dup(STDERR_FILENO);
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (saved >= 0 && null >= 0)
        dup2(null, STDERR_FILENO);
    if (null >= 0)
        close(null);
    return saved;
}

void sqa_stderr_on(int saved)
{
    if (saved < 0)
        return;
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
}

double sqa_machine_steal(void)
{
    return sqa_machine_time().steal;
}

struct sqa_machine_time sqa_machine_time(void)
{
    char buf[512];
    double t[8] = {0}; /* user nice system idle iowait irq softirq steal */
    const struct sqa_machine_time unknown = {(double)NAN, (double)NAN, (double)NAN};
    const double hz = (double)sysconf(_SC_CLK_TCK);
    if (sqa_small_file("/proc/stat", buf, sizeof buf) != 0 || strncmp(buf, "cpu ", 4) != 0)
        return unknown;
    const char *p = buf + 4;
    for (int i = 0; i < 8; i++) {
        char *end;
        t[i] = strtod(p, &end) / hz;
        if (end == p)
            return unknown;
        p = end;
    }
    return (struct sqa_machine_time){t[0] + t[1] + t[2] + t[5] + t[6], t[3] + t[4], t[7]};
}

int sqa_others_running(void)
{
    enum { SAMPLES = 9 };
    int seen[SAMPLES], n = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const struct timespec moment = {0, 2000000};
        char buf[128];
        int running;
        if (sqa_small_file("/proc/loadavg", buf, sizeof buf) != 0 || sscanf(buf, "%*f %*f %*f %d/", &running) != 1)
            return 0;
        int at = n++;
        for (; at > 0 && seen[at - 1] > running; at--)
            seen[at] = seen[at - 1];
        seen[at] = running;
        nanosleep(&moment, NULL);
    }
    return seen[SAMPLES / 2] > 1 ? seen[SAMPLES / 2] - 1 : 0;
}

void sqa_wait_for_helpers(void)
{
    enum { TRIES = 50 };
    for (int i = 0; i < TRIES; i++) {
        const struct timespec moment = {0, 1000000};
        const int64_t used = sqa_clock_process();
        nanosleep(&moment, NULL);
        if (sqa_clock_process() - used < moment.tv_nsec / 5)
            return;
    }
}
