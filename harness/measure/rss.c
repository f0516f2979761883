/* rss.c - memory and context switches of the calling process, from /proc and getrusage */
#include "harness/measure/measure.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness/measure/measure_private.h"

double sqa_rss_now(void)
{
    char buf[256];
    long long total, resident;
    if (sqa_small_file("/proc/self/statm", buf, sizeof buf) != 0 || sscanf(buf, "%lld %lld", &total, &resident) != 2)
        return (double)NAN;
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

double sqa_rss_peak(void)
{
    return sqa_proc_number("/proc/self/status", "VmHWM:") * 1024;
}

int sqa_rss_peak_reset(void)
{
    const int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const int done = write(fd, "5", 1) == 1;
    close(fd);
    return done;
}

/* Bytes in a file of one number; NaN for none, or for "max" and the huge number by which cgroups say "no limit". */
static double bytes_in(const char *path)
{
    char buf[64], *end;
    if (sqa_small_file(path, buf, sizeof buf) != 0)
        return (double)NAN;
    const double v = strtod(buf, &end);
    return end == buf || *end != '\0' || !(v < 0x1p60) ? (double)NAN : v;
}

double sqa_memory_available(void)
{
    static const char *const cgroup[][2] = {
        {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"},
    };
    double least = sqa_proc_number("/proc/meminfo", "MemAvailable:") * 1024;
    for (size_t i = 0; i < sizeof cgroup / sizeof cgroup[0]; i++) {
        const double left = bytes_in(cgroup[i][0]) - bytes_in(cgroup[i][1]);
        if (!isnan(left))
            least = fmin(least, fmax(left, 0)); /* fmin ignores NaN */
    }
    return least;
}

struct sqa_switches sqa_switches_now(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0)
        return (struct sqa_switches){0, 0};
    return (struct sqa_switches){u.ru_nvcsw, u.ru_nivcsw};
}
