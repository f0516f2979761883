/* export_data.c - see export_data.h */
#include "harness/export_data.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"
#include "base/npy.h"
#include "harness/version.h"
#include "tasks/forecast.h"
#include "tasks/task_util.h"

enum { ARRAYS = 8, CHUNK_NUMBERS = 1 << 18, META_LIMIT = 1 << 26 };

const char *const sqa_split_keys[SQA_SPLITS] = {"train", "valid", "test"};

/* An array of a batch: where its pointer stands there, and its shape behind the rows. */
struct array {
    const char *name, *type;
    size_t member;
    bool ints; /* int32_t *, else double * */
    int rank;
    int64_t dim[2];
};

/* The smallest type for ids from 0 (from -1: is_signed) to n - 1. */
static const char *int_type(int64_t n, bool is_signed)
{
    if (n <= (is_signed ? 128 : 256))
        return is_signed ? "i1" : "u1";
    return n <= 32768 ? "i2" : "i4";
}

static const char *type_name(const char *npy)
{
    static const char *const names[][2] = {
        {"u1", "uint8"}, {"i1", "int8"}, {"i2", "int16"}, {"i4", "int32"}, {"f4", "float32"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], npy) == 0)
            return names[i][1];
    return npy;
}

/* Reals of padding are NaN, as predict reads them. */
static void mark_padding(struct sqa_batch *b)
{
    for (int64_t i = 0; b->x && b->lengths && i < b->n; i++)
        for (int64_t k = b->lengths[i] * b->channels; k < b->length * b->channels; k++)
            b->x[i * b->length * b->channels + k] = (double)NAN;
}

/* What a batch of this data set holds. */
static int list_arrays(const struct sqa_dataset *ds, const struct sqa_batch *b, struct array out[ARRAYS])
{
    const bool tags = ds->task->kind == SQA_TAG, pairs = ds->task->kind == SQA_PAIR;
    int n = 0;
    if (b->tokens)
        out[n++] = (struct array){"tokens",
                                  int_type(ds->vocab, false),
                                  offsetof(struct sqa_batch, tokens),
                                  true,
                                  1 + pairs,
                                  {pairs ? 2 : ds->length, pairs ? ds->length : 1}};
    if (b->lengths)
        out[n++] = (struct array){
            "lengths",         int_type(ds->length + 1, false), offsetof(struct sqa_batch, lengths), true, pairs,
            {pairs ? 2 : 1, 1}};
    if (b->x)
        out[n++] = (struct array){"x", "f4", offsetof(struct sqa_batch, x), false, 2, {ds->length, ds->channels}};
    if (b->labels)
        out[n++] = (struct array){"labels", int_type(ds->classes, tags), offsetof(struct sqa_batch, labels), true,
                                  tags,     {tags ? ds->length : 1, 1}};
    if (b->y)
        out[n++] = (struct array){"y", "f4", offsetof(struct sqa_batch, y), false, 2, {ds->horizon, ds->outputs}};
    if (b->marks)
        out[n++] = (struct array){"marks", "f4", offsetof(struct sqa_batch, marks),
                                  false,   2,    {ds->length + ds->horizon, ds->marks}};
    return n;
}

static int64_t width_of(const struct array *a)
{
    return a->dim[0] * a->dim[1];
}

static enum sqa_status add_rows(const struct array *a, const struct sqa_batch *b, struct sqa_npy_out *o,
                                struct sqa_err *err)
{
    const size_t n = (size_t)(b->n * width_of(a));
    const unsigned char *at = (const unsigned char *)b + a->member;
    if (a->ints) {
        const int32_t *data;
        memcpy(&data, at, sizeof data);
        return sqa_npy_add_ints(o, data, n, err);
    }
    const double *data;
    memcpy(&data, at, sizeof data);
    return sqa_npy_add(o, data, n, err);
}

static void file_name(char buf[64], int split, const struct array *a)
{
    snprintf(buf, 64, "%s_%s.npy", sqa_split_keys[split], a->name);
}

static enum sqa_status fetch_all(const struct sqa_dataset *ds, int split, struct sqa_batch *b, int64_t rows,
                                 const struct array *arrays, struct sqa_npy_out *out, int n,
                                 const volatile int *interrupted, struct sqa_err *err)
{
    uint32_t index[256];
    enum sqa_status status = SQA_OK;
    for (int64_t i = 0; i < ds->count[split] && status == SQA_OK; i += rows) {
        const int64_t k = ds->count[split] - i < rows ? ds->count[split] - i : rows;
        for (int64_t j = 0; j < k; j++)
            index[j] = (uint32_t)(i + j);
        b->length = ds->length;
        status = ds->task->fetch(ds, (enum sqa_split)split, index, k, b, err);
        if (status == SQA_OK)
            mark_padding(b);
        for (int a = 0; a < n && status == SQA_OK; a++)
            status = add_rows(&arrays[a], b, &out[a], err);
        if (status == SQA_OK && interrupted && *interrupted)
            status = sqa_fail(err, SQA_INTERRUPTED, "data export: interrupted; run it again, it begins anew");
    }
    return status;
}

static enum sqa_status write_arrays(const struct sqa_dataset *ds, int split, const char *dir, struct sqa_batch *b,
                                    int64_t rows, const struct array *arrays, int n, const volatile int *interrupted,
                                    struct sqa_err *err)
{
    char path[4096], name[64];
    struct sqa_npy_out out[ARRAYS];
    enum sqa_status status = SQA_OK;
    for (int a = 0; a < ARRAYS; a++)
        out[a].file.fd = -1;
    for (int a = 0; a < n && status == SQA_OK; a++) {
        const int64_t dim[3] = {ds->count[split], arrays[a].dim[0], arrays[a].dim[1]};
        file_name(name, split, &arrays[a]);
        snprintf(path, sizeof path, "%.4000s/%s", dir, name);
        status = sqa_npy_begin(&out[a], path, arrays[a].type, 1 + arrays[a].rank, dim, err);
    }
    if (status == SQA_OK)
        status = fetch_all(ds, split, b, rows, arrays, out, n, interrupted, err);
    for (int a = 0; a < n && status == SQA_OK; a++)
        status = sqa_npy_end(&out[a], err);
    for (int a = 0; a < n && status != SQA_OK; a++)
        sqa_npy_drop(&out[a]);
    return status;
}

/* {"examples", "hash", "files": {"tokens": {"file", "dtype", "shape", "sha256"}}} of a split that has been written.
 */
static enum sqa_status describe_split(const struct sqa_dataset *ds, int split, const char *dir,
                                      const struct array *arrays, int n, json_t *splits, struct sqa_err *err)
{
    json_t *files = json_object();
    enum sqa_status status = SQA_OK;
    for (int a = 0; a < n && status == SQA_OK; a++) {
        char path[4096], name[64], hex[65];
        file_name(name, split, &arrays[a]);
        snprintf(path, sizeof path, "%.4000s/%s", dir, name);
        status = sqa_file_sha256(path, hex, err);
        json_t *shape = json_array();
        json_array_append_new(shape, json_integer(ds->count[split]));
        for (int k = 0; k < arrays[a].rank; k++)
            json_array_append_new(shape, json_integer(arrays[a].dim[k]));
        json_object_set_new(files, arrays[a].name,
                            json_pack("{s:s, s:s, s:o, s:s}", "file", name, "dtype", type_name(arrays[a].type),
                                      "shape", shape, "sha256", status == SQA_OK ? hex : ""));
    }
    json_object_set_new(splits, sqa_split_keys[split],
                        json_pack("{s:I, s:s, s:o}", "examples", (json_int_t)ds->count[split], "hash",
                                  ds->split_hash[split], "files", files));
    return status;
}

static json_t *texts(const char *const *list, int64_t n)
{
    json_t *a = json_array();
    for (int64_t i = 0; i < n; i++)
        json_array_append_new(a, json_string(list[i] ? list[i] : ""));
    return a;
}

static json_t *reals(const double *list, int64_t n)
{
    json_t *a = json_array();
    for (int64_t i = 0; i < n; i++)
        json_array_append_new(a, json_real(list[i]));
    return a;
}

static void describe_series(const struct sqa_dataset *ds, json_t *o)
{
    json_object_set_new(o, "horizon", json_integer(ds->horizon));
    json_object_set_new(o, "outputs", json_integer(ds->outputs));
    json_object_set_new(o, "season", json_integer(ds->season));
    if (ds->channel_names)
        json_object_set_new(o, "output_names", texts(ds->channel_names, ds->outputs));
    json_t *scaler = json_object();
    if (ds->task->fetch == sqa_forecast_fetch)
        json_object_set_new(scaler, "channel_names", texts(sqa_forecast_series(ds)->names, ds->channels));
    if (ds->mean && ds->deviation) {
        json_object_set_new(scaler, "mean", reals(ds->mean, ds->channels));
        json_object_set_new(scaler, "deviation", reals(ds->deviation, ds->channels));
        json_object_set_new(
            scaler, "rule",
            json_string("x and y are (value - mean) / deviation, over the training rows; y is the last "
                        "`outputs` channels; predictions are scored standardised"));
    }
    json_object_set_new(o, "scaler", scaler);
}

/* The shapes that `seqarena score` takes. */
static json_t *wanted(const struct sqa_dataset *ds)
{
    switch (ds->task->kind) {
    case SQA_FORECAST:
        return json_sprintf("standardised forecasts (n, %lld, %lld)", (long long)ds->horizon, (long long)ds->outputs);
    case SQA_TAG:
        return json_sprintf(
            "integer labels (n, %lld), or logits as floats (n, %lld, %lld); places whose label is -1 do "
            "not count",
            (long long)ds->length, (long long)ds->length, (long long)ds->classes);
    default:
        return json_sprintf("integer labels (n), or logits as floats (n, %lld)", (long long)ds->classes);
    }
}

static json_t *describe(const struct sqa_dataset *ds, json_t *splits)
{
    int floors = 0;
    while (ds->task->floors && ds->task->floors[floors])
        floors++;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "schema", "seqarena.data/1", "seqarena",
                          SQA_VERSION, "commit", sqa_commit, "task", ds->spec, "task_full", ds->full_spec, "title",
                          ds->task->title, "source", ds->task->source, "kind", sqa_task_kind_name(ds->task->kind),
                          "length", (json_int_t)ds->length);
    if (ds->vocab > 0) {
        json_object_set_new(o, "vocab", json_integer(ds->vocab));
        json_object_set_new(o, "padding_id", json_integer(0));
        if (ds->token_names)
            json_object_set_new(o, "token_names", texts(ds->token_names, ds->vocab));
    }
    if (ds->channels > 0)
        json_object_set_new(o, "channels", json_integer(ds->channels));
    if (ds->classes > 0)
        json_object_set_new(o, "classes", json_integer(ds->classes));
    if (ds->task->kind == SQA_FORECAST)
        describe_series(ds, o);
    json_object_set_new(o, "floors", texts(ds->task->floors, floors));
    json_object_set_new(o, "splits", splits);
    json_object_set_new(o, "predictions", wanted(ds));
    json_object_set_new(o, "note", json_string(ds->note ? ds->note : ""));
    json_object_set_new(
        o, "labels_note",
        json_string("test labels are in the export; choose everything by the validation split and use "
                    "test once (score has its own copy and never reads these files)"));
    return o;
}

static enum sqa_status write_meta(const char *path, json_t *o, struct sqa_err *err)
{
    char *text = o ? json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    const enum sqa_status status =
        text ? sqa_file_write(path, text, strlen(text), err)
             : sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path);
    sqa_free(text);
    return status;
}

enum sqa_status sqa_data_export(const struct sqa_dataset *ds, const char *dir, int only,
                                const volatile int *interrupted, struct sqa_err *err)
{
    char meta[4096];
    struct array arrays[ARRAYS];
    const int64_t width = ds->length * (ds->channels > 0 ? ds->channels : 1) * sqa_rows_an_example(ds->task->kind) +
                          ds->horizon * ds->outputs;
    const int64_t fit = width < CHUNK_NUMBERS ? CHUNK_NUMBERS / width : 1, rows = fit < 256 ? fit : 256;
    if (strlen(dir) > 4000)
        return sqa_fail(err, SQA_USAGE, "-o %.100s...: path too long; choose a shorter one", dir);
    enum sqa_status status = sqa_make_dirs(dir, err);
    if (status != SQA_OK)
        return status;
    snprintf(meta, sizeof meta, "%s/meta.json", dir);
    if (unlink(meta) != 0 && errno != ENOENT)
        return sqa_file_fail(err, meta, errno);
    const long failures = sqa_alloc_failures();
    struct sqa_batch *b = sqa_batch_create(ds, rows, ds->length);
    json_t *splits = json_object();
    if (!b)
        status = sqa_fail(err, SQA_NOMEM, "data export: no memory for %lld rows; free some memory and run again",
                          (long long)rows);
    const int n = b ? list_arrays(ds, b, arrays) : 0;
    for (int s = 0; s < SQA_SPLITS && status == SQA_OK; s++) {
        if (only >= 0 && only != s)
            continue;
        status = write_arrays(ds, s, dir, b, rows, arrays, n, interrupted, err);
        if (status == SQA_OK)
            status = describe_split(ds, s, dir, arrays, n, splits, err);
    }
    json_t *o = describe(ds, splits);
    if (status == SQA_OK && sqa_alloc_failures() > failures)
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", meta);
    if (status == SQA_OK)
        status = write_meta(meta, o, err);
    json_decref(o);
    sqa_batch_free(b);
    return status;
}

static enum sqa_status check_file(const char *dir, const json_t *file, struct sqa_text *out, bool *bad,
                                  struct sqa_err *err)
{
    const char *name = json_string_value(json_object_get(file, "file"));
    const char *sha256 = json_string_value(json_object_get(file, "sha256"));
    char path[4096], hex[65];
    if (!name || !sha256 || strchr(name, '/'))
        return sqa_fail(err, SQA_INPUT, "%s/meta.json: a file without name or sha256; export again", dir);
    snprintf(path, sizeof path, "%.3500s/%.500s", dir, name);
    const enum sqa_status status = sqa_file_sha256(path, hex, err);
    if (status != SQA_OK)
        return status;
    const bool same = strcmp(hex, sha256) == 0;
    sqa_text_printf(out, "%-4s  %s\n", same ? "ok" : "FAIL", name);
    *bad = *bad || !same;
    return SQA_OK;
}

enum sqa_status sqa_data_export_check(const char *dir, struct sqa_text *out, struct sqa_err *err)
{
    char path[4096], *text;
    size_t size;
    json_error_t e;
    const char *split, *file;
    json_t *one, *each;
    bool bad = false;
    snprintf(path, sizeof path, "%.4000s/meta.json", dir);
    enum sqa_status status = sqa_file_read(path, META_LIMIT, &text, &size, err);
    if (status != SQA_OK)
        return status;
    const long failures = sqa_alloc_failures();
    json_t *o = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
    sqa_free(text);
    json_t *splits = json_object_get(o, "splits");
    if (!o && sqa_alloc_failures() > failures)
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path);
    else if (!json_is_object(splits))
        status = sqa_fail(err, SQA_INPUT, "%s: no meta.json of an export; export again", path);
    json_object_foreach(splits, split, one)
    {
        json_object_foreach(json_object_get(one, "files"), file, each)
        {
            if (status == SQA_OK)
                status = check_file(dir, each, out, &bad, err);
        }
    }
    json_decref(o);
    if (status == SQA_OK && bad)
        status = sqa_fail(err, SQA_NO, "%s: files are not what was exported; export again", dir);
    return status;
}
