/* others.c - see others.h */
#include "harness/measure/others.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/measure/measure.h"
#include "harness/measure/measure_private.h"

/* Its name is the last part of its first argument: children are started as /proc/self/exe. */
static int is_seqarena(long pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
    if (sqa_small_file(path, text, sizeof text) != 0)
        return 0;
    const char *slash = strrchr(text, '/');
    return strcmp(slash ? slash + 1 : text, "seqarena") == 0;
}

/* Parent, processor time in ticks (user and system) and start, of /proc/PID/stat: fields 4, 14, 15 and 22, counted
 * from behind the name, which may hold anything. */
static int read_stat(long pid, long *parent, long long *ticks, long long *start)
{
    char path[64], text[1024];
    long long user, system;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    if (sqa_small_file(path, text, sizeof text) != 0)
        return 0;
    const char *rest = strrchr(text, ')');
    if (!rest ||
        sscanf(rest + 1, " %*c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %*d %*d %*d %*d %*d %*d %lld",
               parent, &user, &system, start) != 4)
        return 0;
    *ticks = user + system;
    return 1;
}

static void look(struct sqa_others *o, int first)
{
    struct sqa_others now = {.wall = sqa_clock_wall(), .busy = o->busy, .seconds = o->seconds};
    const double tick = 1 / (double)sysconf(_SC_CLK_TCK);
    const struct dirent *e;
    DIR *d = opendir("/proc");
    if (!first)
        now.seconds += (double)(now.wall - o->wall) * 1e-9;
    while (d && (e = readdir(d)) && now.n < SQA_OTHERS_MAX) {
        const long pid = atol(e->d_name);
        long parent;
        long long ticks, start, before = 0;
        if (pid <= 0 || pid == getpid() || !is_seqarena(pid) || !read_stat(pid, &parent, &ticks, &start) ||
            parent == getpid())
            continue;
        for (int i = 0; i < o->n; i++)
            if (o->seen[i].pid == pid && o->seen[i].start == start)
                before = o->seen[i].ticks;
        if (!first)
            now.busy += (double)(ticks - before) * tick; /* all of one that came since */
        now.seen[now.n].pid = pid;
        now.seen[now.n].start = start;
        now.seen[now.n++].ticks = ticks;
    }
    if (d)
        closedir(d);
    *o = now;
}

void sqa_others_begin(struct sqa_others *o)
{
    *o = (struct sqa_others){.n = 0};
    look(o, 1);
}

void sqa_others_look(struct sqa_others *o)
{
    look(o, 0);
}
