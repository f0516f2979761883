/* tracks.c - see tracks.h */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "reports/tracks_private.h"

enum { DEPTH = 8, PATH_SIZE = 4096 };

static const int identity[] = {SQA_CELLS_length, SQA_CELLS_horizon, SQA_CELLS_batch, SQA_CELLS_dtype,
                               SQA_CELLS_threads};
enum { IDENTITY = sizeof identity / sizeof identity[0] };

enum sqa_status sqa_track_no_memory(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "history: no memory for the series; free some memory or name fewer runs");
}

static const char *text_of(const struct sqa_pool *pool, const struct sqa_pool_entry *e, int phase, int column)
{
    return sqa_pool_text(pool, e->cells, phase, column);
}

/* Whether another entry of the pool has the same identity. */
static bool ambiguous(const struct sqa_pool *pool, const struct sqa_pool_entry *e)
{
    for (size_t i = 0; i < pool->n_entries; i++) {
        const struct sqa_pool_entry *other = &pool->entries[i];
        bool same = other != e && other->group == e->group && strcmp(other->model, e->model) == 0;
        for (int c = 0; c < IDENTITY && same; c++)
            same = strcmp(text_of(pool, e, SQA_PHASE_ANY, identity[c]),
                          text_of(pool, other, SQA_PHASE_ANY, identity[c])) == 0;
        if (same)
            return true;
    }
    return false;
}

static void add_part(struct sqa_text *out, const char *name, const char *text)
{
    if (!*text)
        return;
    sqa_text_printf(out, "%s%s=", out->length ? "/" : "", name);
    for (; *text; text++)
        sqa_text_add_bytes(out, *text == ' ' || *text == '/' ? "_" : text, 1);
}

void sqa_track_name(struct sqa_text *out, const struct sqa_pool *pool, const struct sqa_pool_entry *e, int phase)
{
    struct sqa_text name = {0};
    add_part(&name, "task", pool->groups[e->group].task);
    add_part(&name, "model", ambiguous(pool, e) ? e->label : e->model);
    add_part(&name, "scale", pool->groups[e->group].scale);
    for (int c = 0; c < IDENTITY; c++)
        add_part(&name, sqa_schemas[SQA_FILE_CELLS].columns[identity[c]].name, text_of(pool, e, phase, identity[c]));
    add_part(&name, "origin", e->external ? "external" : "");
    add_part(&name, "phase", phase == SQA_PHASE_ANY ? "" : sqa_phase_names[phase]);
    sqa_text_add(out, sqa_text_get(&name));
    out->failed = out->failed || name.failed;
    sqa_text_clear(&name);
}

static bool same_series(const struct sqa_track *a, const struct sqa_track *b)
{
    return strcmp(a->value, b->value) == 0 && strcmp(a->name, b->name) == 0 && strcmp(a->machine, b->machine) == 0;
}

/* Doubles an array of an arena. */
static void *grow(struct sqa_arena *arena, const void *old, size_t n, size_t *capacity, size_t size)
{
    const size_t wider = *capacity ? 2 * *capacity : 16;
    void *p = sqa_arena_alloc(arena, wider * size);
    if (p && n)
        memcpy(p, old, n * size);
    if (p)
        *capacity = wider;
    return p;
}

/* Runs list their cells in one order, so the series after the last one found is the likely one. */
static struct sqa_track *find(struct sqa_track_set *set, const struct sqa_track *like)
{
    for (size_t i = 0; i < set->n; i++) {
        struct sqa_track *s = &set->tracks[(set->last + 1 + i) % set->n];
        if (same_series(s, like)) {
            set->last = (size_t)(s - set->tracks);
            return s;
        }
    }
    return NULL;
}

static struct sqa_track *found_or_new(struct sqa_track_set *set, const struct sqa_track *like)
{
    struct sqa_track *s = find(set, like);
    if (s)
        return s;
    if (set->n == set->capacity) {
        s = grow(&set->arena, set->tracks, set->n, &set->capacity, sizeof *s);
        if (!s)
            return NULL;
        set->tracks = s;
    }
    s = &set->tracks[set->n];
    *s = (struct sqa_track){.machine = sqa_arena_strdup(&set->arena, like->machine),
                            .name = sqa_arena_strdup(&set->arena, like->name),
                            .value = sqa_arena_strdup(&set->arena, like->value),
                            .direction = like->direction,
                            .magnitude = like->magnitude,
                            .counted = like->counted};
    if (!s->machine || !s->name || !s->value)
        return NULL;
    set->last = set->n++;
    return s;
}

enum sqa_status sqa_track_add(struct sqa_track_set *set, const struct sqa_track *like, size_t run, double value,
                              struct sqa_err *err)
{
    struct sqa_track *s = found_or_new(set, like);
    if (!s)
        return sqa_track_no_memory(err);
    if (s->n == s->capacity) {
        struct sqa_track_point *points = grow(&set->arena, s->points, s->n, &s->capacity, sizeof *points);
        if (!points)
            return sqa_track_no_memory(err);
        s->points = points;
    }
    s->points[s->n++] = (struct sqa_track_point){run, value};
    return SQA_OK;
}

enum sqa_status sqa_track_add_run(struct sqa_track_set *set, const struct sqa_track_run *run, struct sqa_err *err)
{
    if (set->n_runs == set->run_capacity) {
        struct sqa_track_run *runs = grow(&set->arena, set->runs, set->n_runs, &set->run_capacity, sizeof *set->runs);
        if (!runs)
            return sqa_track_no_memory(err);
        set->runs = runs;
    }
    struct sqa_track_run *r = &set->runs[set->n_runs];
    *r = (struct sqa_track_run){sqa_arena_strdup(&set->arena, run->time), sqa_arena_strdup(&set->arena, run->commit),
                                sqa_arena_strdup(&set->arena, run->machine),
                                sqa_arena_strdup(&set->arena, run->place)};
    if (!r->time || !r->commit || !r->machine || !r->place)
        return sqa_track_no_memory(err);
    set->n_runs++;
    return SQA_OK;
}

static const char *json_text(const struct sqa_pool_run *run, const char *a, const char *b)
{
    const char *s = json_string_value(b ? sqa_pool_json(run, a, b, NULL) : sqa_pool_json(run, a, NULL));
    return s ? s : "";
}

static enum sqa_status add_point(struct sqa_track_set *set, const struct sqa_pool *pool,
                                 const struct sqa_pool_entry *e, int phase, struct sqa_track like, double x,
                                 struct sqa_err *err)
{
    struct sqa_text name = {0};
    sqa_track_name(&name, pool, e, phase);
    like.machine = set->runs[set->n_runs - 1].machine;
    like.name = sqa_text_get(&name);
    const enum sqa_status status =
        name.failed ? sqa_track_no_memory(err) : sqa_track_add(set, &like, set->n_runs - 1, x, err);
    sqa_text_clear(&name);
    return status;
}

/* Instructions of a step: what valgrind counts wavers by some millionths, so they are no counted value. */
static enum sqa_status add_instructions(struct sqa_track_set *set, const struct sqa_pool *pool,
                                        const struct sqa_pool_entry *e, sqa_track_filter *wanted, void *user,
                                        struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int phase = 0; phase < SQA_PHASE_N && status == SQA_OK; phase++) {
        char value[64];
        double sum = 0, n = 0, x;
        snprintf(value, sizeof value, "%s_instructions", sqa_phase_names[phase]);
        for (const struct sqa_pool_cell *cell = e->cells; cell; cell = cell->next)
            if (cell->ok[phase] && sqa_parse_real(sqa_pool_named(pool, cell, phase, "instructions"), &x)) {
                sum += x;
                n++;
            }
        if (n > 0 && (!wanted || wanted(user, value)))
            status = add_point(set, pool, e, phase,
                               (struct sqa_track){.value = value, .direction = -1, .magnitude = 0.005}, sum / n, err);
    }
    return status;
}

static enum sqa_status add_entry(struct sqa_track_set *set, const struct sqa_pool *pool,
                                 const struct sqa_pool_entry *e, sqa_track_filter *wanted, void *user,
                                 struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int v = 0; v < SQA_VALUE_N && status == SQA_OK; v++) {
        const double x = sqa_value_mean(pool, e, v);
        const struct sqa_track like = {
            .value = sqa_value_name(v), .direction = sqa_value_direction(v), .counted = sqa_value_counted(v)};
        if (!isnan(x) && (wanted ? wanted(user, like.value) : sqa_value_usual(v)))
            status = add_point(set, pool, e, sqa_value_phase(v), like, x, err);
    }
    return status == SQA_OK ? add_instructions(set, pool, e, wanted, user, err) : status;
}

static enum sqa_status add_run(const char *dir, sqa_track_filter *wanted, void *user, struct sqa_track_set *set,
                               struct sqa_err *err)
{
    struct sqa_pool pool;
    enum sqa_status status = sqa_pool_read(&dir, 1, &pool, err);
    if (status != SQA_OK)
        return status;
    const struct sqa_track_run run = {json_text(pool.runs, "started", NULL), json_text(pool.runs, "commit", NULL),
                                      json_text(pool.runs, "environment", "fingerprint"), dir};
    status = sqa_track_add_run(set, &run, err);
    for (size_t i = 0; i < pool.n_entries && status == SQA_OK; i++)
        status = add_entry(set, &pool, &pool.entries[i], wanted, user, err);
    sqa_pool_clear(&pool);
    return status;
}

static bool is_run(const char *dir)
{
    static const char *const files[] = {"run.json", "cells.csv"};
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (snprintf(path, sizeof path, "%s/%s", dir, files[i]) < PATH_SIZE && sqa_file_exists(path))
            return true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct names {
    char **at;
    size_t n, capacity;
};

/* The directories in dir, sorted; links are not followed, so that results/runs/latest is no second run. */
static enum sqa_status list(const char *dir, struct sqa_arena *arena, struct names *names, struct sqa_err *err)
{
    DIR *d = opendir(dir);
    struct stat st;
    bool full = false;
    if (!d)
        return sqa_fail(err, SQA_INPUT, "%s: cannot be read; check the path and its permissions", dir);
    for (const struct dirent *e = readdir(d); e && !full; e = readdir(d)) {
        char *path = e->d_name[0] == '.' ? NULL : sqa_arena_printf(arena, "%s/%s", dir, e->d_name);
        if (e->d_name[0] == '.' || (path && (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))))
            continue;
        if (path && names->n == names->capacity) {
            char **at = grow(arena, names->at, names->n, &names->capacity, sizeof *at);
            names->at = at ? at : names->at;
            path = at ? path : NULL;
        }
        full = !path;
        if (path)
            names->at[names->n++] = path;
    }
    closedir(d);
    if (full)
        return sqa_track_no_memory(err);
    if (names->n)
        qsort(names->at, names->n, sizeof *names->at, by_text);
    return SQA_OK;
}

static enum sqa_status walk(const char *dir, int depth, sqa_track_filter *wanted, void *user,
                            struct sqa_track_set *set, struct sqa_err *err)
{
    struct sqa_arena arena = {0};
    struct names names = {0};
    if (is_run(dir))
        return add_run(dir, wanted, user, set, err);
    enum sqa_status status = depth ? list(dir, &arena, &names, err) : SQA_OK;
    for (size_t i = 0; i < names.n && status == SQA_OK; i++)
        status = walk(names.at[i], depth - 1, wanted, user, set, err);
    sqa_arena_clear(&arena);
    return status;
}

static int by_run(const void *a, const void *b)
{
    const size_t x = ((const struct sqa_track_point *)a)->run, y = ((const struct sqa_track_point *)b)->run;
    return (x > y) - (x < y);
}

struct ranked {
    struct sqa_track_run run;
    size_t was;
};

static int by_time(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const int order = strcmp(x->run.time, y->run.time);
    return order ? order : (x->was > y->was) - (x->was < y->was);
}

/* Runs in the order in which they were started, points in the order of runs. */
static enum sqa_status sort(struct sqa_track_set *set, struct sqa_err *err)
{
    struct ranked *ranked = sqa_arena_alloc(&set->arena, set->n_runs * sizeof *ranked);
    size_t *now = sqa_arena_alloc(&set->arena, set->n_runs * sizeof *now);
    if (!ranked || !now)
        return sqa_track_no_memory(err);
    for (size_t r = 0; r < set->n_runs; r++)
        ranked[r] = (struct ranked){set->runs[r], r};
    qsort(ranked, set->n_runs, sizeof *ranked, by_time);
    for (size_t r = 0; r < set->n_runs; r++) {
        set->runs[r] = ranked[r].run;
        now[ranked[r].was] = r;
    }
    for (size_t i = 0; i < set->n; i++) {
        struct sqa_track *s = &set->tracks[i];
        for (size_t k = 0; k < s->n; k++)
            s->points[k].run = now[s->points[k].run];
        qsort(s->points, s->n, sizeof *s->points, by_run);
    }
    return SQA_OK;
}

enum sqa_status sqa_track_runs(const char *const *paths, size_t n, sqa_track_filter *wanted, void *user,
                               struct sqa_track_set *set, struct sqa_err *err)
{
    const size_t before = set->n_runs;
    enum sqa_status status = SQA_OK;
    for (size_t i = 0; i < n && status == SQA_OK; i++)
        status = walk(paths[i], DEPTH, wanted, user, set, err);
    if (status == SQA_OK && set->n_runs == before)
        status =
            sqa_fail(err, SQA_INPUT, "%s: no run directory in it; name the folder that holds the runs", paths[0]);
    return status == SQA_OK ? sort(set, err) : status;
}

void sqa_track_clear(struct sqa_track_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        sqa_free(set->tracks[i].changes);
    sqa_arena_clear(&set->arena);
    *set = (struct sqa_track_set){0};
}
