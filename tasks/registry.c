/* registry.c - the list of tasks, the parsing of "id:name=value,...", batches and the search for data files */
#include "base/file.h"
#include "tasks/task_util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X(id) extern const struct sqa_task sqa_task_##id;
#include "tasks.inc"
#undef X

const struct sqa_task *const sqa_tasks[] = {
#define X(id) &sqa_task_##id,
#include "tasks.inc"
#undef X
    NULL,
};

const struct sqa_task *sqa_task_find(const char *id)
{
    for (const struct sqa_task *const *t = sqa_tasks; *t; t++)
        if (strcmp((*t)->id, id) == 0)
            return *t;
    return NULL;
}

const char *sqa_task_kind_name(enum sqa_task_kind kind)
{
    static const char *const names[] = {
        [SQA_CLASSIFY] = "classify", [SQA_FORECAST] = "forecast", [SQA_TAG] = "tag", [SQA_PAIR] = "pair"};
    return names[kind];
}

static enum sqa_status unknown_task(const char *id, struct sqa_err *err)
{
    const char *names[64] = {NULL};
    size_t n = 0;
    char shown[SQA_QUOTE];
    struct sqa_text list = {0};
    for (const struct sqa_task *const *t = sqa_tasks; *t && n < 64; t++) {
        names[n++] = (*t)->id;
        sqa_text_printf(&list, "%s%s", n > 1 ? ", " : "", (*t)->id);
    }
    const char *near = sqa_nearest(id, names, n);
    sqa_fail(err, SQA_USAGE, "task '%s': unknown; %s%s%sthere are %.500s", sqa_quote(shown, id),
             near ? "did you mean '" : "", near ? near : "", near ? "'? " : "", sqa_text_get(&list));
    sqa_text_clear(&list);
    return SQA_USAGE;
}

static enum sqa_status no_memory(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "task: no memory for its parameters; free some memory and run again");
}

static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_"; /* of ids and names */

/* Reads one "name=value" that starts at text[at] and sets it. *at becomes the place behind it. */
static enum sqa_status parse_item(const struct sqa_task *task, char *text, size_t *at, uint64_t *seen, void *self,
                                  struct sqa_arena *arena, struct sqa_err *err)
{
    char *name = text + *at;
    const size_t name_length = strcspn(name, "=,");
    char shown[SQA_QUOTE];
    if (name_length == 0)
        return sqa_fail(err, SQA_USAGE,
                        "task %s: a parameter's name is missing at character %zu; write %s:name=value", task->id,
                        *at + 1, task->id);
    const char after = name[name_length];
    name[name_length] = '\0';
    if (after != '=')
        return sqa_fail(err, SQA_USAGE, "task %s: no '=' after '%s' at character %zu; write %s=value", task->id,
                        sqa_quote(shown, name), *at + name_length + 1, shown);
    if (strspn(name, letters) < name_length)
        return sqa_fail(err, SQA_USAGE, "task %s: character %zu cannot stand in a parameter's name; write name=value",
                        task->id, *at + strspn(name, letters) + 1);
    char *value = name + name_length + 1;
    const size_t value_length = strcspn(value, ",");
    size_t bad = 0;
    while (bad < value_length && (unsigned char)value[bad] > ' ' && value[bad] != 0x7f && !strchr(":+()", value[bad]))
        bad++;
    if (bad < value_length)
        return sqa_fail(err, SQA_USAGE,
                        "task %s: '%c' in the value of %s at character %zu; a value cannot hold , : + ( ) or blanks "
                        "(a file with such a name: rename it or link to it)",
                        task->id, value[bad] == 0x7f || (unsigned char)value[bad] < ' ' ? ' ' : value[bad],
                        sqa_quote(shown, name), *at + name_length + 2 + bad);
    const int more = value[value_length] == ',';
    value[value_length] = '\0';
    const struct sqa_param *later = task->later ? sqa_params_find(task->later, name) : NULL;
    const struct sqa_param *table = later ? task->later : task->params, *p = sqa_params_find(table, name);
    if (p) {
        const uint64_t bit = (uint64_t)1 << ((p - table + (later ? 32 : 0)) & 63);
        if (*seen & bit)
            return sqa_fail(err, SQA_USAGE, "task %s: %s is given twice, again at character %zu; give it once",
                            task->id, name, *at + 1);
        *seen |= bit;
    }
    const enum sqa_status status = sqa_params_set(task->id, table, self, name, value, arena, err);
    if (status != SQA_OK)
        return status;
    *at += name_length + 1 + value_length + (size_t)more;
    if (more && text[*at] == '\0')
        return sqa_fail(err, SQA_USAGE, "task %s: nothing follows the ',' at character %zu; remove it", task->id,
                        *at);
    return SQA_OK;
}

static enum sqa_status parse(const char *spec, struct sqa_arena *arena, const struct sqa_task **task, void **self,
                             struct sqa_err *err)
{
    char shown[SQA_QUOTE];
    const size_t length = strlen(spec);
    if (length > 4096)
        return sqa_fail(err, SQA_USAGE, "task '%s': %zu characters; write at most 4096", sqa_quote(shown, spec),
                        length);
    char *text = sqa_arena_strdup(arena, spec);
    if (!text)
        return no_memory(err);
    size_t at = strcspn(text, ":");
    const int more = text[at] == ':';
    text[at] = '\0';
    if (at == 0)
        return sqa_fail(err, SQA_USAGE, "task '%s': the id is missing at character 1; write id:name=value,name=value",
                        sqa_quote(shown, spec));
    if (strspn(text, letters) == at) {
        *task = sqa_task_find(text);
        if (!*task)
            return unknown_task(text, err);
    } else {
        return sqa_fail(err, SQA_USAGE,
                        "task '%s': character %zu cannot stand in an id; write id:name=value,name=value",
                        sqa_quote(shown, spec), strspn(text, letters) + 1);
    }
    *self = sqa_arena_alloc(arena, (*task)->self_size);
    if (!*self)
        return no_memory(err);
    enum sqa_status status = sqa_params_defaults((*task)->id, (*task)->params, *self, arena, err);
    if (status == SQA_OK && (*task)->later)
        status = sqa_params_defaults((*task)->id, (*task)->later, *self, arena, err);
    if (status == SQA_OK && more && text[++at] == '\0')
        status = sqa_fail(err, SQA_USAGE,
                          "task %s: nothing follows the ':' at character %zu; remove it or write "
                          "%s:name=value",
                          (*task)->id, at, (*task)->id);
    uint64_t seen = 0;
    while (status == SQA_OK && more && text[at])
        status = parse_item(*task, text, &at, &seen, *self, arena, err);
    return status;
}

static const char *spell(const struct sqa_task *task, const void *self, int all, struct sqa_arena *arena)
{
    struct sqa_text text = {0};
    int printed = 0;
    sqa_text_add(&text, task->id);
    sqa_params_print(task->params, self, all, &text, &printed);
    sqa_params_print(task->later, self, 0, &text, &printed);
    const char *copy = text.failed ? NULL : sqa_arena_strdup(arena, sqa_text_get(&text));
    sqa_text_clear(&text);
    return copy;
}

enum sqa_status sqa_task_canonical(const char *spec, struct sqa_arena *arena, const struct sqa_task **task,
                                   const char **short_form, const char **full_form, struct sqa_err *err)
{
    void *self = NULL;
    const enum sqa_status status = parse(spec, arena, task, &self, err);
    if (status != SQA_OK)
        return status;
    *short_form = spell(*task, self, 0, arena);
    *full_form = spell(*task, self, 1, arena);
    return *short_form && *full_form ? SQA_OK : no_memory(err);
}

enum sqa_status sqa_task_sizes(const char *spec, struct sqa_arena *arena, struct sqa_dataset *ds, struct sqa_err *err)
{
    void *self = NULL;
    const enum sqa_status status = parse(spec, arena, &ds->task, &self, err);
    if (status == SQA_OK && ds->task->sizes)
        ds->task->sizes(self, ds);
    return status;
}

enum sqa_status sqa_dataset_open(const char *spec, const struct sqa_task_env *env, struct sqa_dataset **out,
                                 struct sqa_err *err)
{
    struct sqa_dataset *ds = sqa_alloc(sizeof *ds);
    if (!ds)
        return no_memory(err);
    const struct sqa_task *task = NULL;
    enum sqa_status status = parse(spec, &ds->arena, &task, &ds->self, err);
    if (status == SQA_OK) {
        ds->task = task;
        ds->note = "";
        ds->spec = spell(task, ds->self, 0, &ds->arena);
        ds->full_spec = spell(task, ds->self, 1, &ds->arena);
        status = ds->spec && ds->full_spec ? task->open(ds->self, env, ds, err) : no_memory(err);
    }
    if (status != SQA_OK) {
        sqa_dataset_close(ds);
        return status;
    }
    *out = ds;
    return SQA_OK;
}

void sqa_dataset_close(struct sqa_dataset *ds)
{
    if (!ds)
        return;
    if (ds->state && ds->task->close)
        ds->task->close(ds);
    sqa_arena_clear(&ds->arena);
    sqa_free(ds);
}

struct sqa_batch *sqa_batch_create(const struct sqa_dataset *ds, int64_t n, int64_t length)
{
    struct sqa_batch *b = sqa_alloc(sizeof *b);
    if (!b)
        return NULL;
    const size_t rows = (size_t)(n * sqa_rows_an_example(ds->task->kind)), positions = rows * (size_t)length;
    b->length = length;
    b->channels = ds->channels;
    b->horizon = ds->horizon;
    b->outputs = ds->outputs;
    b->index = sqa_alloc_array(rows, sizeof *b->index);
    int ok = b->index != NULL;
    if (ds->task->kind != SQA_FORECAST) {
        if (ds->vocab > 0)
            b->tokens = sqa_alloc_array(positions, sizeof *b->tokens);
        else
            b->x = sqa_alloc_array(positions, (size_t)ds->channels * sizeof *b->x);
        b->lengths = sqa_alloc_array(rows, sizeof *b->lengths);
        b->labels = sqa_alloc_array(rows * (size_t)sqa_labels_a_row(ds->task->kind, length), sizeof *b->labels);
        ok = ok && (b->tokens || b->x) && b->lengths && b->labels;
    } else {
        b->x = sqa_alloc_array(positions, (size_t)ds->channels * sizeof *b->x);
        b->y = sqa_alloc_array(rows * (size_t)ds->horizon, (size_t)ds->outputs * sizeof *b->y);
        b->past_start = sqa_alloc_array(rows, sizeof *b->past_start);
        b->past_count = sqa_alloc_array(rows, sizeof *b->past_count);
        b->units = sqa_alloc_array(rows * (size_t)ds->outputs, 3 * sizeof *b->units);
        b->mark_count = ds->marks;
        const size_t times = rows * (size_t)(length + ds->horizon);
        if (ds->marks > 0) {
            b->marks = sqa_alloc_array(times, (size_t)ds->marks * sizeof *b->marks);
            b->calendar = sqa_alloc_array(times, SQA_CALENDAR * sizeof *b->calendar);
        }
        ok = ok && b->x && b->y && b->past_start && b->past_count && b->units &&
             (ds->marks == 0 || (b->marks && b->calendar));
    }
    if (!ok) {
        sqa_batch_free(b);
        return NULL;
    }
    return b;
}

void sqa_batch_free(struct sqa_batch *b)
{
    if (!b)
        return;
    void *const arrays[] = {b->tokens,     b->lengths, b->labels, b->x,        b->y,    b->past_start,
                            b->past_count, b->index,   b->marks,  b->calendar, b->units};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        sqa_free(arrays[i]);
    sqa_free(b);
}

int64_t sqa_dataset_batch_length(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                                 int64_t bucket)
{
    int64_t longest = ds->task->length_of ? 0 : ds->length;
    for (int64_t i = 0; ds->task->length_of && i < n; i++) {
        const int64_t length = ds->task->length_of(ds, split, index[i]);
        longest = length > longest ? length : longest;
    }
    if (bucket > 1)
        longest = (longest + bucket - 1) / bucket * bucket;
    return longest < ds->length ? longest : ds->length;
}

enum { FOLDERS = 4 };

static void list_folders(const struct sqa_task_env *env, const char *folders[FOLDERS])
{
    folders[0] = env ? env->data_dir : NULL;
    folders[1] = getenv("SEQARENA_DATA");
    folders[2] = "data";
    folders[3] = "../shared/data";
}

void sqa_data_places(const struct sqa_task_env *env, struct sqa_text *out)
{
    const char *folders[FOLDERS], *separator = "";
    list_folders(env, folders);
    for (int i = 0; i < FOLDERS; i++) {
        if (!folders[i] || !*folders[i])
            continue;
        sqa_text_printf(out, "%s%s", separator, folders[i]);
        separator = ", ";
    }
}

enum sqa_status sqa_data_find(const struct sqa_task_env *env, const char *name, const char *published_at,
                              const char *sha256, char path[4096], struct sqa_err *err)
{
    const char *folders[FOLDERS];
    struct sqa_text places = {0};
    list_folders(env, folders);
    for (int i = 0; i < FOLDERS; i++)
        if (folders[i] && *folders[i] && snprintf(path, 4096, "%s/%s", folders[i], name) < 4096 &&
            sqa_file_exists(path))
            return SQA_OK;
    sqa_data_places(env, &places);
    const bool sum = sha256 && *sha256;
    if (published_at)
        sqa_fail(err, SQA_INPUT,
                 "%s: not found in %.400s; it is published at %s (%s%s), put it into ./data or name its folder with "
                 "--data",
                 name, sqa_text_get(&places), published_at,
                 !sum                  ? "no checksum is published"
                 : strchr(sha256, ' ') ? ""
                                       : "SHA-256 ",
                 sum ? sha256 : "");
    else
        sqa_fail(err, SQA_INPUT, "%s: not found in %.400s; check the name, or name its folder with --data", name,
                 sqa_text_get(&places));
    sqa_text_clear(&places);
    return SQA_INPUT;
}
