/* forecast_sets.c - data sets as they are published, see forecast.h */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/npz.h"
#include "tasks/forecast.h"
#include "tasks/task_util.h"

const char *const sqa_forecast_floors[] = {"repeat_last", "seasonal_naive", NULL};

const struct sqa_param sqa_ett_params[] = {SQA_FORECAST_WINDOW_PARAMS(struct sqa_forecast_self, "96", "96"),
                                           SQA_FORECAST_CHANNEL_PARAMS(struct sqa_forecast_self, "OT"),
                                           {.name = NULL}};
const struct sqa_param sqa_ett_later[] = {SQA_FORECAST_FREQ_PARAM(struct sqa_forecast_self, "h"), {.name = NULL}};

const struct sqa_param sqa_forecast_params[] = {SQA_FORECAST_WINDOW_PARAMS(struct sqa_forecast_self, "96", "96"),
                                                SQA_FORECAST_CHANNEL_PARAMS(struct sqa_forecast_self, ""),
                                                SQA_FORECAST_FREQ_PARAM(struct sqa_forecast_self, "h"),
                                                {.name = NULL}};

enum sqa_status sqa_forecast_find(const struct sqa_task_env *env, const char *const *files, const char *published_at,
                                  const char *sha256, char path[4096], const char **found, struct sqa_err *err)
{
    for (const char *const *f = files; *f; f++) {
        if (found)
            *found = *f;
        if (sqa_data_find(env, *f, published_at, sha256, path, NULL) == SQA_OK)
            return SQA_OK;
    }
    return sqa_data_find(env, files[0], published_at, sha256, path, err);
}

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* What the file is, other than the one that is published. */
static enum sqa_status note_file(struct sqa_dataset *ds, const struct sqa_forecast_set *set, const char *path,
                                 const char *found, const struct sqa_series *s, const char *mode, struct sqa_err *err)
{
    char hex[65], note[4400];
    enum sqa_status status = SQA_OK;
    if (set->sha256 && found == set->files[0]) {
        status = sqa_file_sha256(path, hex, err);
        snprintf(note, sizeof note, "%s is not the published file (SHA-256 %s)", path, hex);
        if (status == SQA_OK && strcmp(hex, set->sha256) != 0)
            status = sqa_forecast_note(ds, note, err);
        return status;
    }
    const int all = strcmp(mode, "S") != 0;
    snprintf(note, sizeof note, "%s has %lld rows%s%.0lld%s, the published file %lld rows of %lld columns", path,
             (long long)s->rows, all ? " of " : "", all ? (long long)s->channels : 0, all ? " columns" : "",
             (long long)set->rows, (long long)set->channels);
    if (s->rows != set->rows || (all && s->channels != set->channels))
        status = sqa_forecast_note(ds, note, err);
    return status;
}

enum sqa_status sqa_forecast_open_set(struct sqa_dataset *ds, const struct sqa_task_env *env,
                                      const struct sqa_forecast_set *set, const struct sqa_forecast_options *options,
                                      struct sqa_err *err)
{
    static const struct sqa_series_format any_gaps = {.gaps = "any"};
    char path[4096];
    const char *found;
    struct sqa_series series;
    struct sqa_forecast_options o = *options;
    o.times = "any"; /* the published files are taken as they are */
    enum sqa_status status = sqa_forecast_find(env, set->files, set->published_at, set->sha256, path, &found, err);
    if (status == SQA_OK)
        status = ends_with(found, ".npz")
                     ? sqa_series_read_npz(path, &o, &ds->arena, &series, err)
                     : sqa_series_read(path, &o, &any_gaps, set->target_last, env, &ds->arena, &series, err);
    if (status != SQA_OK)
        return status;
    ds->season = set->season;
    status = note_file(ds, set, path, found, &series, o.mode, err);
    if (status != SQA_OK) {
        sqa_series_clear(&series);
        return status;
    }
    return sqa_forecast_open(ds, path, &o, &set->parts, &series, err);
}

void sqa_forecast_set_sizes(const void *self, const struct sqa_forecast_set *set, struct sqa_dataset *ds)
{
    const struct sqa_forecast_self *of = self;
    sqa_forecast_count(ds, &of->forecast, &set->parts, set->rows);
}

static struct sqa_forecast_parts ett_parts(int64_t rows_an_hour)
{
    const int64_t month = 30 * 24 * rows_an_hour;
    return (struct sqa_forecast_parts){.rows = {12 * month, 4 * month, 4 * month}};
}

static void ett_sizes(const void *self, int64_t rows_an_hour, struct sqa_dataset *ds)
{
    const struct sqa_forecast_self *of = self;
    const struct sqa_forecast_parts parts = ett_parts(rows_an_hour);
    sqa_forecast_count(ds, &of->forecast, &parts, 17420 * rows_an_hour);
}

void sqa_forecast_etth_sizes(const void *self, struct sqa_dataset *ds)
{
    ett_sizes(self, 1, ds);
}

void sqa_forecast_ettm_sizes(const void *self, struct sqa_dataset *ds)
{
    ett_sizes(self, 4, ds);
}

enum sqa_status sqa_forecast_open_ett(struct sqa_dataset *ds, const struct sqa_task_env *env,
                                      const char *const *files, const char *sha256, int64_t rows_an_hour,
                                      const struct sqa_forecast_options *options, struct sqa_err *err)
{
    const struct sqa_forecast_set set = {.files = files,
                                         .published_at = "github.com/zhouhaoyi/ETDataset (ETT-small)",
                                         .sha256 = sha256,
                                         .rows = 17420 * rows_an_hour,
                                         .channels = 7,
                                         .season = 24 * rows_an_hour,
                                         .parts = ett_parts(rows_an_hour)};
    return sqa_forecast_open_set(ds, env, &set, options, err);
}

/* Names that are the numbers of the channels from 0, as the published arrays have them. */
static const char **number_names(struct sqa_arena *arena, int64_t first, int64_t n)
{
    const char **names = sqa_arena_alloc(arena, (size_t)n * sizeof *names);
    for (int64_t i = 0; names && i < n; i++) {
        names[i] = sqa_arena_printf(arena, "%lld", (long long)(first + i));
        if (!names[i])
            return NULL;
    }
    return names;
}

static enum sqa_status take_array(const char *path, const struct sqa_npy *a, const struct sqa_forecast_options *o,
                                  struct sqa_arena *arena, struct sqa_series *s, struct sqa_err *err)
{
    if (a->rank < 2 || a->rank > 3 || a->count == 0)
        return sqa_fail(err, SQA_INPUT,
                        "%s: array data has %d dimensions and %zu numbers; it wants (rows, channels, features)", path,
                        a->rank, a->count);
    const int64_t rows = a->dim[0], width = a->dim[1], features = a->rank == 3 ? a->dim[2] : 1;
    int64_t first = 0;
    s->channels = width;
    if (strcmp(o->mode, "S") == 0) {
        first = width - 1;
        if (*o->target && (!sqa_parse_int(o->target, &first) || first < 0 || first >= width))
            return sqa_fail(err, SQA_INPUT, "%s: no channel '%.40s'; give target=0 to %lld", path, o->target,
                            (long long)width - 1);
        s->channels = 1;
    }
    s->names = number_names(arena, first, s->channels);
    s->values = sqa_alloc_array((size_t)rows, (size_t)s->channels * sizeof *s->values);
    if (!s->names || !s->values)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory for its rows; free some memory or cut the file", path);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < s->channels; c++) {
            const double v = a->data[(i * width + first + c) * features];
            if (isinf(v))
                return sqa_fail(err, SQA_INPUT, "%s: row %lld, channel %lld is infinite; give finite numbers", path,
                                (long long)i, (long long)(first + c));
            s->values[i * s->channels + c] = v;
        }
    s->rows = rows;
    return SQA_OK;
}

enum sqa_status sqa_series_read_npz(const char *path, const struct sqa_forecast_options *options,
                                    struct sqa_arena *arena, struct sqa_series *series, struct sqa_err *err)
{
    static const struct sqa_series_format fill = {.gaps = "any"};
    struct sqa_npy a;
    *series = (struct sqa_series){0};
    enum sqa_status status = sqa_npz_read(path, "data", &a, err);
    if (status != SQA_OK)
        return status;
    status = take_array(path, &a, options, arena, series, err);
    sqa_npy_clear(&a);
    if (status == SQA_OK)
        status = sqa_series_mend(path, &fill, NULL, series, err);
    if (status != SQA_OK)
        sqa_series_clear(series);
    return status;
}
