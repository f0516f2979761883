/* recipe_find.c - where recipe files lie */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/recipe_private.h"

enum { NAME_LIMIT = 64, PLACES = 4 };

/* Folder i that may hold recipes; false when there is none of that number. An installed program finds its own beside
 * itself, so that a tree can be moved; one in build/ finds those of its sources. */
static bool place(int i, char path[4096])
{
    static const char *const beside[] = {"/../share/seqarena/recipes", "/../recipes"};
    const char *env = getenv("SEQARENA_RECIPES");
    int n = 0;
    if (i == 0 && env && *env) {
        n = snprintf(path, 4096, "%s", env);
    } else if (i == 1 || i == 2) {
        const ssize_t length = readlink("/proc/self/exe", path, 4000);
        path[length > 0 ? length : 0] = '\0';
        char *slash = strrchr(path, '/');
        if (slash)
            n = (int)(slash - path) + snprintf(slash, 64, "%s", beside[i - 1]);
    } else if (i == 3) {
        n = snprintf(path, 4096, "recipes");
    }
    return n > 0 && n < 4096;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names without .ini of every recipe file, sorted, each once; returns their number. */
static size_t names_of_all(struct sqa_arena *arena, const char *names[NAME_LIMIT])
{
    char path[4096];
    size_t n = 0, kept = 0;
    for (int i = 0; i < PLACES; i++) {
        DIR *dir = place(i, path) ? opendir(path) : NULL;
        for (const struct dirent *e = dir ? readdir(dir) : NULL; e && n < NAME_LIMIT; e = readdir(dir)) {
            const size_t length = strlen(e->d_name);
            char *name =
                length > 4 && strcmp(e->d_name + length - 4, ".ini") == 0 ? sqa_arena_strdup(arena, e->d_name) : NULL;
            if (!name)
                continue;
            name[length - 4] = '\0';
            if (sqa_recipe_word(name, "_-"))
                names[n++] = name;
        }
        if (dir)
            closedir(dir);
    }
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    return kept;
}

void sqa_recipe_list(struct sqa_text *out)
{
    struct sqa_arena arena = {0};
    const char *names[NAME_LIMIT];
    const size_t n = names_of_all(&arena, names);
    for (size_t i = 0; i < n; i++)
        sqa_text_printf(out, "%s\n", names[i]);
    sqa_arena_clear(&arena);
}

static enum sqa_status no_such(const char *scale, struct sqa_err *err)
{
    struct sqa_arena arena = {0};
    struct sqa_text list = {0};
    const char *names[NAME_LIMIT];
    const size_t n = names_of_all(&arena, names);
    for (size_t i = 0; i < n; i++)
        sqa_text_printf(&list, "%s%s", i ? ", " : "", names[i]);
    const char *near = sqa_nearest(scale, names, n);
    if (n == 0)
        sqa_fail(err, SQA_USAGE,
                 "--scale %.100s: no recipes are installed; set SEQARENA_RECIPES to the folder that has "
                 "them",
                 scale);
    else
        sqa_fail(err, SQA_USAGE, "--scale %.100s: no recipe of that name; %s%s%schoose one of %.600s", scale,
                 near ? "did you mean " : "", near ? near : "", near ? "? Else " : "", sqa_text_get(&list));
    sqa_text_clear(&list);
    sqa_arena_clear(&arena);
    return SQA_USAGE;
}

enum sqa_status sqa_recipe_path(const char *scale, char path[4096], struct sqa_err *err)
{
    for (int i = 0; i < PLACES && sqa_recipe_word(scale, "_-"); i++) {
        if (!place(i, path))
            continue;
        const size_t n = strlen(path);
        if (n + strlen(scale) + 6 > 4096)
            continue;
        snprintf(path + n, 4096 - n, "/%s.ini", scale);
        if (sqa_file_exists(path))
            return SQA_OK;
    }
    return no_such(scale, err);
}
