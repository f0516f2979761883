/* tables_run.c - table NAME --run: the commands of --plan, one after the other (see tables.h) */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/tables.h"
#include "harness/verbs.h"

static void announce(const struct sqa_table_commands *c, size_t i)
{
    fprintf(stderr, "table %s, command %zu of %zu:", c->table, i + 1, c->n);
    for (const char *const *a = c->at[i].argv; *a; a++)
        fprintf(stderr, " %s", *a);
    fprintf(stderr, "\n");
}

static enum sqa_status run_one(const struct sqa_table_commands *c, size_t i, struct sqa_err *err)
{
    const struct sqa_table_command *x = &c->at[i];
    struct sqa_err why = {0};
    int argc = 0;
    while (x->argv[argc])
        argc++;
    char **argv = sqa_alloc_array((size_t)argc, sizeof *argv); /* for the parser of options, which changes no text */
    if (!argv)
        return sqa_fail(err, SQA_NOMEM, "table %s: no memory; free some memory and run again", c->table);
    for (int k = 0; k < argc; k++)
        argv[k] = (char *)(uintptr_t)x->argv[k];
    announce(c, i);
    const enum sqa_status status = sqa_again(argc, argv, &why);
    sqa_free(argv);
    if (status == SQA_INTERRUPTED)
        return sqa_fail(err, status, "table %s: interrupted in %s; the same command goes on where it was", c->table,
                        x->folder);
    return status == SQA_OK ? SQA_OK : sqa_fail(err, status, "table %s: %s: %s", c->table, x->folder, why.text);
}

enum sqa_status sqa_table_run(const struct sqa_table_commands *c, struct sqa_err *err)
{
    enum sqa_status first = SQA_OK;
    for (size_t i = 0; i < c->n && first != SQA_INTERRUPTED; i++) {
        struct sqa_err here = {0};
        if (!c->at[i].argv) {
            fprintf(stderr, "table %s, command %zu of %zu: %s: nothing of it is in this build\n", c->table, i + 1,
                    c->n, c->at[i].label);
            continue;
        }
        const enum sqa_status status = run_one(c, i, &here);
        if (status != SQA_OK && (first == SQA_OK || status == SQA_INTERRUPTED)) {
            first = status;
            *err = here;
        } else if (status != SQA_OK) {
            fprintf(stderr, "%s\n", here.text);
        }
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
