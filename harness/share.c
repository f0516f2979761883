/* share.c - see share.h */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/recipe_private.h"
#include "harness/share.h"

enum { NAMES_MAX = 256, FILE_MAX = 1 << 20 };

bool sqa_share_place(const char *folder, const char *variable, int i, char path[4096])
{
    static const char *const beside[] = {"/../share/seqarena/", "/../"};
    const char *env = getenv(variable);
    int n = 0;
    if (i == 0 && env && *env) {
        n = snprintf(path, 4096, "%s", env);
    } else if (i == 1 || i == 2) {
        const ssize_t length = readlink("/proc/self/exe", path, 4000);
        path[length > 0 ? length : 0] = '\0';
        char *slash = strrchr(path, '/');
        if (slash)
            n = (int)(slash - path) + snprintf(slash, 64, "%s%s", beside[i - 1], folder);
    } else if (i == 3) {
        n = snprintf(path, 4096, "%s", folder);
    }
    return n > 0 && n < 4096;
}

bool sqa_share_find(const char *folder, const char *variable, const char *file, char path[4096])
{
    for (int i = 0; i < SQA_SHARE_PLACES; i++) {
        if (!sqa_share_place(folder, variable, i, path))
            continue;
        const size_t n = strlen(path);
        if (n + strlen(file) + 2 > 4096)
            continue;
        snprintf(path + n, 4096 - n, "/%s", file);
        if (sqa_file_exists(path))
            return true;
    }
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t sqa_share_names(const char *folder, const char *variable, const char *sub, struct sqa_arena *arena,
                       const char **names, size_t most)
{
    char path[4096];
    size_t n = 0, kept = 0;
    for (int i = 0; i < SQA_SHARE_PLACES; i++) {
        const bool there = sqa_share_place(folder, variable, i, path) && strlen(path) + strlen(sub) + 2 < 4096;
        const size_t end = there ? strlen(path) : 0;
        if (there)
            snprintf(path + end, 4096 - end, "/%s", sub);
        DIR *dir = there ? opendir(path) : NULL;
        for (const struct dirent *e = dir ? readdir(dir) : NULL; e && n < most; e = readdir(dir)) {
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

static enum sqa_status no_such(const struct sqa_share_kind *kind, const char *name, struct sqa_err *err)
{
    struct sqa_arena arena = {0};
    struct sqa_text list = {0};
    const char *names[NAMES_MAX];
    const size_t n = sqa_share_names(kind->folder, kind->variable, kind->sub, &arena, names, NAMES_MAX);
    for (size_t i = 0; i < n; i++)
        sqa_text_printf(&list, "%s%s", i ? ", " : "", names[i]);
    const char *near = sqa_nearest(name, names, n);
    if (n == 0)
        sqa_fail(err, SQA_USAGE, "%s %.100s: no %s are installed; set %s to the folder that has %s/", kind->one, name,
                 kind->sub, kind->variable, kind->sub);
    else
        sqa_fail(err, SQA_USAGE, "%s %.100s: no %s of that name; %s%s%schoose one of %.600s", kind->one, name,
                 kind->one, near ? "did you mean " : "", near ? near : "", near ? "? Else " : "",
                 sqa_text_get(&list));
    sqa_text_clear(&list);
    sqa_arena_clear(&arena);
    return SQA_USAGE;
}

bool sqa_share_has(const struct sqa_share_kind *kind, const char *name, char path[4096])
{
    char file[256];
    snprintf(file, sizeof file, "%s/%.200s.ini", kind->sub, name);
    return sqa_recipe_word(name, "_-") && sqa_share_find(kind->folder, kind->variable, file, path);
}

enum sqa_status sqa_share_read(const struct sqa_share_kind *kind, const char *name, char path[4096], char **text,
                               struct sqa_err *err)
{
    size_t size;
    if (!sqa_share_has(kind, name, path))
        return no_such(kind, name, err);
    const enum sqa_status status = sqa_file_read(path, FILE_MAX, text, &size, err);
    if (status != SQA_OK || strlen(*text) == size)
        return status;
    sqa_free(*text);
    return sqa_fail(err, SQA_INPUT, "%s: a zero byte; save it as text", path);
}
