/* md_runs.c - the end of a Markdown report: failed cells, notes, names, runs and their machines */
#include <stdio.h>
#include <string.h>

#include "reports/grid.h"
#include "reports/markdown.h"

enum { DEPTH_MAX = 8, NAME_MAX_BYTES = 256 };

static void failed_row(struct sqa_grid *grid, const struct sqa_pool *pool, const struct sqa_pool_cell *cell,
                       int phase, const char *phases)
{
    static const int columns[] = {SQA_CELLS_length, SQA_CELLS_seed};
    sqa_grid_code(grid, cell->model, "");
    sqa_grid_code(grid, cell->task, "");
    sqa_grid_cell(grid, cell->scale);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        sqa_grid_cell(grid, sqa_pool_text(pool, cell, phase, columns[i]));
    sqa_grid_cell(grid, phases);
    sqa_grid_cell(grid, sqa_pool_text(pool, cell, phase, SQA_CELLS_status));
    sqa_grid_cell(grid, sqa_pool_text(pool, cell, phase, SQA_CELLS_message));
}

/* All rows of the cell, two or more, failed in the same way. */
static bool same_failure(const struct sqa_pool *pool, const struct sqa_pool_cell *cell)
{
    static const int columns[] = {SQA_CELLS_status, SQA_CELLS_message};
    const int first = sqa_pool_first_phase(cell);
    int rows = 0;
    for (int p = 0; p < SQA_PHASE_N; p++) {
        if (!cell->row[p])
            continue;
        rows++;
        if (cell->ok[p])
            return false;
        for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
            if (strcmp(sqa_pool_text(pool, cell, first, columns[i]), sqa_pool_text(pool, cell, p, columns[i])) != 0)
                return false;
    }
    return rows > 1;
}

static void write_failed(struct sqa_text *out, const struct sqa_pool *pool)
{
    static const char *const names[] = {"model", "task", "scale", "length", "seed", "phase", "status", "message"};
    struct sqa_grid grid;
    sqa_text_add(out, "## Failed cells\n\n");
    sqa_grid_begin(&grid, "lllrrlll");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        sqa_grid_cell(&grid, names[i]);
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *cell = &pool->cells[i];
        const bool both = same_failure(pool, cell);
        for (int p = 0; p < SQA_PHASE_N; p++)
            if (cell->row[p] && !cell->ok[p] && !(both && p > sqa_pool_first_phase(cell)))
                failed_row(&grid, pool, cell, p, both ? "both" : sqa_phase_names[p]);
    }
    if (sqa_grid_rows(&grid) > 1) {
        sqa_grid_end(&grid, out);
        return;
    }
    struct sqa_text unused = {0};
    sqa_grid_end(&grid, &unused);
    out->failed = out->failed || unused.failed;
    sqa_text_clear(&unused);
    sqa_text_add(out, "None.\n\n");
}

static const char *note_of(const struct sqa_pool *pool, const struct sqa_pool_cell *cell)
{
    return sqa_pool_text(pool, cell, SQA_PHASE_ANY, SQA_CELLS_note);
}

/* Each note once, with the models and tasks it stands at. */
static void write_notes(struct sqa_text *out, const struct sqa_pool *pool)
{
    bool begun = false;
    for (size_t i = 0; i < pool->n_cells; i++) {
        const char *note = note_of(pool, &pool->cells[i]);
        bool seen = *note == '\0';
        for (size_t j = 0; j < i && !seen; j++)
            seen = strcmp(note, note_of(pool, &pool->cells[j])) == 0;
        if (seen)
            continue;
        sqa_text_add(out, begun ? "- " : "## Notes of rows\n\n- ");
        begun = true;
        sqa_markdown_text(out, note);
        sqa_text_add(out, "\n  ");
        const char *separator = "(";
        for (size_t j = i; j < pool->n_cells; j++) {
            const struct sqa_pool_cell *cell = &pool->cells[j];
            bool listed = strcmp(note, note_of(pool, cell)) != 0;
            for (size_t k = i; k < j && !listed; k++)
                listed = strcmp(note, note_of(pool, &pool->cells[k])) == 0 &&
                         strcmp(cell->model, pool->cells[k].model) == 0 &&
                         strcmp(cell->task, pool->cells[k].task) == 0;
            if (listed)
                continue;
            sqa_text_add(out, separator);
            sqa_markdown_code(out, cell->model, false);
            sqa_text_add(out, " on ");
            sqa_markdown_code(out, cell->task, false);
            separator = ", ";
        }
        sqa_text_add(out, ")\n");
    }
    sqa_text_add(out, begun ? "\n" : "");
}

static void write_names(struct sqa_text *out, const struct sqa_pool *pool)
{
    bool begun = false;
    for (size_t i = 0; i < pool->n_entries; i++) {
        const char *model = pool->entries[i].model;
        const char *title = pool->entries[i].external ? NULL : sqa_pool_title(pool, "models", model);
        const size_t n = sqa_pool_id_length(model);
        bool seen = !title || strncmp(title, model, n) == 0; /* a title that says no more than the id is left out */
        for (size_t j = 0; j < i && !seen; j++)
            seen = !pool->entries[j].external && sqa_pool_id_length(pool->entries[j].model) == n &&
                   strncmp(pool->entries[j].model, model, n) == 0;
        if (seen)
            continue;
        sqa_text_printf(out, "%s- `%.*s`: ", begun ? "" : "## Models\n\n", (int)n, model);
        begun = true;
        sqa_markdown_text(out, title);
        sqa_text_add(out, "\n");
    }
    sqa_text_add(out, begun ? "\n" : "");
}

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* A scalar as text; false for anything else. */
static bool scalar(struct sqa_text *out, const char *name, const json_t *value)
{
    char buf[32];
    if (json_is_string(value))
        sqa_text_add(out, json_string_value(value));
    else if (json_is_boolean(value))
        sqa_text_add(out, json_is_true(value) ? "yes" : "no");
    else if (json_is_integer(value) && ends_with(name, "_bytes"))
        sqa_text_printf(out, "%s (%" JSON_INTEGER_FORMAT ")",
                        sqa_format_bytes(buf, (double)json_integer_value(value)), json_integer_value(value));
    else if (json_is_integer(value))
        sqa_text_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        sqa_text_add(out, sqa_format_real(buf, json_real_value(value)));
    else
        return json_is_null(value);
    return true;
}

static bool scalars(struct sqa_text *out, const char *name, const json_t *array)
{
    if (!json_is_array(array))
        return false;
    for (size_t i = 0; i < json_array_size(array); i++) {
        sqa_text_add(out, i ? ", " : "");
        if (!scalar(out, name, json_array_get(array, i)))
            return false;
    }
    return true;
}

/* {"value": null, "reason": why}: what could not be read, in one cell. */
static bool absent(struct sqa_text *out, const json_t *value)
{
    const char *reason = json_string_value(json_object_get(value, "reason"));
    if (!json_is_null(json_object_get(value, "value")) || !reason)
        return false;
    sqa_text_printf(out, "- (%s)", reason);
    return true;
}

/* An object of scalars inside a list: "level 1, kind data, ..." in one cell. */
static bool flat_object(struct sqa_text *out, json_t *value)
{
    const char *key;
    json_t *member;
    bool first = true;
    if (!json_is_object(value))
        return false;
    json_object_foreach(value, key, member)
    {
        sqa_text_printf(out, "%s%s ", first ? "" : ", ", key);
        first = false;
        if (!scalar(out, key, member))
            return false;
    }
    return true;
}

static bool one_cell(struct sqa_text *out, const char *name, json_t *value, bool listed)
{
    const size_t start = out->length;
    if (scalar(out, name, value))
        return true;
    out->length = start;
    if (scalars(out, name, value))
        return true;
    out->length = start;
    if (absent(out, value))
        return true;
    out->length = start;
    return listed && flat_object(out, value);
}

/* Rows "nested names | value" of every scalar below value. */
static void flatten(struct sqa_grid *grid, const char *name, json_t *value, int depth, bool listed)
{
    struct sqa_text text = {0};
    if (depth > DEPTH_MAX)
        return;
    if (one_cell(&text, name, value, listed)) {
        sqa_grid_cell(grid, name);
        sqa_grid_cell(grid, sqa_text_get(&text));
        grid->failed = grid->failed || text.failed;
    } else {
        char nested[NAME_MAX_BYTES];
        const char *key;
        json_t *member;
        for (size_t i = 0; i < json_array_size(value); i++) {
            snprintf(nested, sizeof nested, "%s %zu", name, i);
            flatten(grid, nested, json_array_get(value, i), depth + 1, true);
        }
        json_object_foreach(value, key, member)
        {
            if (depth == 0 && strcmp(key, "counters") == 0)
                continue;
            snprintf(nested, sizeof nested, "%s%s%s", name, *name ? " " : "", key);
            flatten(grid, nested, member, depth + 1, false);
        }
    }
    sqa_text_clear(&text);
}

static void write_environment(struct sqa_text *out, const struct sqa_pool_run *run)
{
    json_t *environment = sqa_pool_json(run, "environment", NULL);
    struct sqa_grid grid;
    if (!json_is_object(environment) || json_object_size(environment) == 0)
        return;
    sqa_grid_begin(&grid, "ll");
    sqa_grid_cell(&grid, "machine");
    sqa_grid_cell(&grid, "value");
    flatten(&grid, "", environment, 0, false);
    sqa_grid_end(&grid, out);
}

static const char *reason_of(const json_t *missing, size_t i)
{
    const char *reason = json_string_value(json_object_get(json_array_get(missing, i), "reason"));
    return reason ? reason : "no reason recorded";
}

/* A line a reason: how many events, why not, which. */
static void write_missing(struct sqa_text *out, const json_t *missing)
{
    for (size_t i = 0; i < json_array_size(missing); i++) {
        size_t count = 0;
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++)
            seen = strcmp(reason_of(missing, i), reason_of(missing, j)) == 0;
        if (seen)
            continue;
        for (size_t j = i; j < json_array_size(missing); j++)
            count += strcmp(reason_of(missing, i), reason_of(missing, j)) == 0;
        sqa_text_printf(out, "- not usable (%zu): ", count);
        sqa_markdown_text(out, reason_of(missing, i));
        const char *separator = ": ";
        for (size_t j = i; j < json_array_size(missing); j++) {
            const json_t *item = json_array_get(missing, j);
            const char *name = json_string_value(json_is_string(item) ? item : json_object_get(item, "name"));
            if (strcmp(reason_of(missing, i), reason_of(missing, j)) != 0)
                continue;
            sqa_text_add(out, separator);
            sqa_markdown_code(out, name ? name : "", false);
            separator = ", ";
        }
        sqa_text_add(out, "\n");
    }
    sqa_text_add(out, "\n");
}

static void write_counters(struct sqa_text *out, const struct sqa_pool_run *run)
{
    const json_t *available = sqa_pool_json(run, "environment", "counters", "available", NULL);
    const json_t *missing = sqa_pool_json(run, "environment", "counters", "missing", NULL);
    struct sqa_text list = {0};
    if (!json_array_size(available) && !json_array_size(missing))
        return;
    sqa_text_add(out, "Counters that a trial on this machine proved usable, and those it did not:\n\n");
    if (json_array_size(available) && scalars(&list, "", available)) {
        sqa_text_add(out, "- usable: ");
        sqa_markdown_text(out, sqa_text_get(&list));
        sqa_text_add(out, "\n");
    }
    out->failed = out->failed || list.failed;
    sqa_text_clear(&list);
    write_missing(out, missing);
}

/* One argument as a shell takes it. */
static void shell_word(struct sqa_text *out, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,+-@%";
    if (*s && strspn(s, plain) == strlen(s)) {
        sqa_text_add(out, s);
        return;
    }
    sqa_text_add(out, "'");
    for (; *s; s++) {
        if (*s == '\'')
            sqa_text_add(out, "'\\''");
        else
            sqa_text_add_bytes(out, s, 1);
    }
    sqa_text_add(out, "'");
}

static void write_command(struct sqa_text *out, const json_t *command)
{
    if (json_array_size(command) == 0)
        return;
    sqa_text_add(out, "The command:\n\n    ");
    for (size_t i = 0; i < json_array_size(command); i++) {
        const char *word = json_string_value(json_array_get(command, i));
        sqa_text_add(out, i ? " " : "");
        shell_word(out, word ? word : "");
    }
    sqa_text_add(out, "\n\n");
}

static void fact(struct sqa_text *out, const char *name, const json_t *value)
{
    struct sqa_text t = {0};
    if (value && scalar(&t, "", value) && t.length) {
        sqa_text_printf(out, "- %s: ", name);
        sqa_markdown_text(out, t.text);
        sqa_text_add(out, "\n");
    }
    out->failed = out->failed || t.failed;
    sqa_text_clear(&t);
}

/* The earlier run on the same machine, by fingerprint, or NULL. */
static const struct sqa_pool_run *same_machine(const struct sqa_pool *pool, size_t r)
{
    const char *mine = json_string_value(sqa_pool_json(&pool->runs[r], "environment", "fingerprint", NULL));
    for (size_t i = 0; mine && i < r; i++) {
        const char *other = json_string_value(sqa_pool_json(&pool->runs[i], "environment", "fingerprint", NULL));
        if (other && strcmp(mine, other) == 0)
            return &pool->runs[i];
    }
    return NULL;
}

static void write_run(struct sqa_text *out, const struct sqa_pool *pool, size_t r)
{
    const struct sqa_pool_run *run = &pool->runs[r], *same = same_machine(pool, r);
    sqa_text_add(out, "## Run ");
    sqa_markdown_code(out, run->files.dir, false);
    sqa_text_add(out, "\n\n");
    if (!run->json)
        sqa_text_add(out, "No run.json: what made these rows, and where, is not known.\n\n");
    fact(out, "started", sqa_pool_json(run, "started", NULL));
    fact(out, "seqarena", sqa_pool_json(run, "version", NULL));
    fact(out, "commit", sqa_pool_json(run, "commit", NULL));
    fact(out, "build", sqa_pool_json(run, "build", NULL));
    fact(out, "plan", sqa_pool_json(run, "plan", "hash", NULL));
    if (run->replaced)
        sqa_text_printf(out, "- rows replaced by a newer run: %zu\n", run->replaced);
    if (run->waiting)
        sqa_text_printf(out, "- planned cells without a row: %zu\n", run->waiting);
    if (run->json)
        sqa_text_add(out, "\n");
    write_command(out, sqa_pool_json(run, "command", NULL));
    if (same) {
        sqa_text_add(out, "The machine and its counters are those of ");
        sqa_markdown_code(out, same->files.dir, false);
        sqa_text_add(out, ".\n\n");
        return;
    }
    write_environment(out, run);
    write_counters(out, run);
}

void sqa_markdown_runs(struct sqa_text *out, const struct sqa_pool *pool)
{
    write_failed(out, pool);
    write_notes(out, pool);
    write_names(out, pool);
    for (size_t r = 0; r < pool->n_runs; r++)
        write_run(out, pool, r);
}
