/* tables.c - see tables.h */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/recipe_private.h"
#include "harness/share.h"
#include "harness/tables.h"

enum { DEPTH_MAX = 3 };
static const char folder[] = "results", variable[] = "SEQARENA_RESULTS";
static const struct sqa_share_kind kind = {folder, variable, "tables", "table"};

size_t sqa_table_names(struct sqa_arena *arena, const char *names[SQA_TABLE_NAMES])
{
    return sqa_share_names(folder, variable, "tables", arena, names, SQA_TABLE_NAMES);
}

bool sqa_table_exists(const char *name)
{
    char path[4096];
    return sqa_share_has(&kind, name, path);
}

enum sqa_status sqa_table_load(const char *name, struct sqa_paper *out, struct sqa_err *err)
{
    char path[4096], *text;
    *out = (struct sqa_paper){0};
    enum sqa_status status = sqa_share_read(&kind, name, path, &text, err);
    if (status != SQA_OK)
        return status;
    status = sqa_paper_parse(path, text, out, err);
    sqa_free(text);
    if (status != SQA_OK)
        return status;
    out->name = sqa_arena_strdup(&out->arena, name);
    if (out->name)
        return SQA_OK;
    sqa_paper_clear(out);
    return sqa_fail(err, SQA_NOMEM, "table %.100s: no memory; free some memory and run again", name);
}

enum sqa_status sqa_table_published(struct sqa_published *out, struct sqa_err *err)
{
    char path[4096];
    *out = (struct sqa_published){0};
    static const char *const files[] = {"published/lra.csv", "published/forecast.csv"};
    enum sqa_status status = SQA_OK;
    size_t read = 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && status == SQA_OK; i++)
        if (sqa_share_find(folder, variable, files[i], path)) {
            status = sqa_published_read(path, out, err);
            read++;
        }
    if (!read)
        return sqa_fail(err, SQA_INPUT,
                        "table: no published numbers; set SEQARENA_RESULTS to the folder that has published/lra.csv");
    return status;
}

static void walk(const char *path, int depth, struct sqa_arena *arena, struct sqa_texts *out)
{
    char below[4096];
    snprintf(below, sizeof below, "%s/cells.csv", path);
    if (access(below, F_OK) == 0) { /* a run: what lies below is its own */
        if (out->n < 256)
            out->at[out->n++] = sqa_arena_strdup(arena, path);
        return;
    }
    DIR *dir = opendir(path);
    for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (e->d_name[0] == '.' || snprintf(below, sizeof below, "%s/%s", path, e->d_name) >= (int)sizeof below)
            continue;
        if (depth < DEPTH_MAX)
            walk(below, depth + 1, arena, out);
    }
    if (dir)
        closedir(dir);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum sqa_status sqa_table_recorded(struct sqa_arena *arena, struct sqa_texts *out, struct sqa_err *err)
{
    char path[4096], whole[PATH_MAX];
    out->n = 0;
    if (sqa_share_find(folder, variable, "recorded", path) && realpath(path, whole))
        walk(whole, 0, arena, out);
    for (int i = 0; i < out->n; i++)
        if (!out->at[i])
            return sqa_fail(err, SQA_NOMEM, "table: no memory; free some memory and run again");
    if (out->n == 0)
        return sqa_fail(err, SQA_INPUT, "table: no recorded runs are installed; name run directories");
    qsort(out->at, (size_t)out->n, sizeof out->at[0], by_text);
    return SQA_OK;
}
