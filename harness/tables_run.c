/* tables_run.c - table NAME --run: the commands of --plan, one after the other (see tables.h) */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/command.h"
#include "harness/tables.h"

/* The status that a program's exit status stands for. */
static enum sqa_status status_of(int code)
{
    switch (code) {
    case 0:
        return SQA_OK;
    case 2:
        return SQA_USAGE;
    case 3:
        return SQA_INPUT;
    case 5:
        return SQA_PARTIAL;
    case 130:
    case 128 + 15:
        return SQA_INTERRUPTED;
    default:
        return SQA_MACHINE;
    }
}

static void announce(const struct sqa_table_commands *c, size_t i)
{
    fprintf(stderr, "table %s, command %zu of %zu:", c->table, i + 1, c->n);
    for (const char *const *a = c->at[i].argv; *a; a++)
        fprintf(stderr, " %s", *a);
    fprintf(stderr, "\n");
}

static enum sqa_status run_one(const struct sqa_table_commands *c, size_t i, const char *program, struct sqa_err *err)
{
    const struct sqa_table_command *x = &c->at[i];
    const char *argv[1024];
    size_t n = 0;
    int code = 0;
    for (; x->argv[n] && n + 1 < sizeof argv / sizeof argv[0]; n++)
        argv[n] = x->argv[n];
    argv[n] = NULL;
    argv[0] = program;
    announce(c, i);
    enum sqa_status status = sqa_command_run(&(struct sqa_command){.argv = argv}, &code, err);
    status = status == SQA_OK ? status_of(code) : status;
    if (status == SQA_INTERRUPTED)
        return sqa_fail(err, status, "table %s: interrupted in %s; the same command goes on where it was", c->table,
                        x->folder);
    if (status != SQA_OK)
        return sqa_fail(err, status, "table %s: %s ended with status %d, as it says above; mend that and run again",
                        c->table, x->folder, code);
    return SQA_OK;
}

enum sqa_status sqa_table_run(const struct sqa_table_commands *c, struct sqa_err *err)
{
    enum sqa_status first = SQA_OK;
    char program[4096];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    sqa_command_catch_signals();
    for (size_t i = 0; i < c->n; i++) {
        struct sqa_err here = {0};
        if (!c->at[i].argv) {
            fprintf(stderr, "table %s, command %zu of %zu: %s: nothing of it is in this build\n", c->table, i + 1,
                    c->n, c->at[i].label);
            continue;
        }
        const enum sqa_status status = run_one(c, i, program, &here);
        if (status != SQA_OK && (first == SQA_OK || status == SQA_INTERRUPTED)) {
            first = status;
            *err = here;
        }
        if (status == SQA_INTERRUPTED)
            break;
    }
    return first;
}

enum sqa_status sqa_table_own_runs(const char *table, const char *dir, struct sqa_arena *arena, struct sqa_texts *out,
                                   struct sqa_err *err)
{
    char path[4096];
    const size_t n = strlen(table), most = sizeof out->at / sizeof out->at[0];
    DIR *d = opendir(dir);
    enum sqa_status status = SQA_OK;
    for (const struct dirent *e = d ? readdir(d) : NULL; e && status == SQA_OK; e = readdir(d)) {
        if (strncmp(e->d_name, table, n) != 0 || e->d_name[n] != '-' ||
            snprintf(path, sizeof path, "%s/%s/cells.csv", dir, e->d_name) >= (int)sizeof path ||
            access(path, R_OK) != 0)
            continue;
        path[strlen(path) - strlen("/cells.csv")] = '\0';
        if ((size_t)out->n == most)
            status = sqa_fail(err, SQA_USAGE, "table %s: more than %zu run directories; name fewer", table, most);
        else if (!(out->at[out->n++] = sqa_arena_strdup(arena, path)))
            status = sqa_fail(err, SQA_NOMEM, "table %s: no memory; free some memory and run again", table);
    }
    if (d)
        closedir(d);
    return status;
}
