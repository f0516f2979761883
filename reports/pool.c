/* pool.c - see pool.h */
#include "reports/pool.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static enum sqa_status no_memory(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "report: no memory for the rows; free some memory or report fewer runs");
}

const char *sqa_pool_text(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, int column)
{
    const int first = phase == SQA_PHASE_ANY ? 0 : phase, last = phase == SQA_PHASE_ANY ? SQA_PHASE_N - 1 : phase;
    for (int p = first; p <= last; p++) {
        if (!cell->row[p])
            continue;
        const int at = pool->runs[cell->run[p]].column[SQA_FILE_CELLS][column];
        if (at >= 0 && cell->row[p][at][0])
            return cell->row[p][at];
    }
    return "";
}

double sqa_pool_number(const struct sqa_pool *pool, const struct sqa_pool_cell *cell, int phase, int column)
{
    const int first = phase == SQA_PHASE_ANY ? 0 : phase, last = phase == SQA_PHASE_ANY ? SQA_PHASE_N - 1 : phase;
    double v;
    for (int p = first; p <= last; p++)
        if (cell->ok[p] && sqa_parse_real(sqa_pool_text(pool, cell, p, column), &v))
            return v;
    return (double)NAN;
}

json_t *sqa_pool_json(const struct sqa_pool_run *run, ...)
{
    va_list ap;
    json_t *j = run->json;
    const char *name;
    va_start(ap, run);
    while ((name = va_arg(ap, const char *)) != NULL)
        j = json_object_get(j, name);
    va_end(ap);
    return j;
}

size_t sqa_pool_id_length(const char *text)
{
    return strcspn(text, ":+( ");
}

const char *sqa_pool_processor(const struct sqa_pool_run *run)
{
    return json_string_value(sqa_pool_json(run, "environment", "cpu", "model", NULL));
}

const char *sqa_pool_title(const struct sqa_pool *pool, const char *kind, const char *text)
{
    for (size_t r = pool->n_runs; r-- > 0;) {
        const json_t *titles = sqa_pool_json(&pool->runs[r], "titles", kind, NULL);
        const char *title = json_string_value(json_object_getn(titles, text, sqa_pool_id_length(text)));
        if (title)
            return title;
    }
    return NULL;
}

bool sqa_pool_cell_ok(const struct sqa_pool_cell *cell)
{
    for (int p = 0; p < SQA_PHASE_N; p++)
        if (cell->row[p] && !cell->ok[p])
            return false;
    return true;
}

int sqa_pool_first_phase(const struct sqa_pool_cell *cell)
{
    int p = 0;
    while (p < SQA_PHASE_N - 1 && !cell->row[p])
        p++;
    return p;
}

/* jansson reports a failed allocation as a syntax error, so it is noticed here. */
static _Thread_local bool json_starved;

static void *json_alloc(size_t bytes)
{
    void *p = sqa_alloc(bytes);
    json_starved = json_starved || !p;
    return p;
}

static enum sqa_status read_run(const char *dir, bool some, struct sqa_pool_run *run, struct sqa_err *err)
{
    const enum sqa_status status =
        some ? sqa_run_files_read_some(dir, &run->files, err) : sqa_run_files_read(dir, &run->files, err);
    if (status != SQA_OK)
        return status;
    for (int file = 0; file < SQA_FILES; file++)
        for (size_t c = 0; c < sqa_schemas[file].n; c++)
            run->column[file][c] = sqa_sheet_column(&run->files.sheet[file], sqa_schemas[file].columns[c].name);
    if (!run->files.json)
        return SQA_OK;
    json_error_t error;
    json_starved = false;
    json_set_alloc_funcs(json_alloc, sqa_free);
    run->json = json_loadb(run->files.json, run->files.json_size, 0, &error);
    if (!run->json && json_starved)
        return no_memory(err);
    if (!run->json && some) {
        sqa_text_printf(&run->files.mind, "%s/run.json: line %d: %s; nothing of it is shown\n", dir, error.line,
                        error.text);
        return run->files.mind.failed ? no_memory(err) : SQA_OK;
    }
    if (!run->json)
        return sqa_fail(err, SQA_INPUT, "%s/run.json: line %d: %s; the file is damaged, run again", dir, error.line,
                        error.text);
    return SQA_OK;
}

static const char *started(const struct sqa_pool_run *run)
{
    const char *s = json_string_value(sqa_pool_json(run, "started", NULL));
    return s ? s : "";
}

static bool newer(const struct sqa_pool *pool, size_t a, size_t b)
{
    const int order = strcmp(started(&pool->runs[a]), started(&pool->runs[b]));
    return order ? order > 0 : a >= b;
}

/* Linear search with a memory of the last answer: files list the rows of a cell together. */
static struct sqa_pool_cell *find_cell(const struct sqa_pool *pool, const char *key, struct sqa_pool_cell *last)
{
    if (last && strcmp(last->key, key) == 0)
        return last;
    for (size_t i = 0; i < pool->n_cells; i++)
        if (strcmp(pool->cells[i].key, key) == 0)
            return &pool->cells[i];
    return NULL;
}

static const char *field(const struct sqa_pool_run *run, int file, size_t row, int column)
{
    const int at = run->column[file][column];
    return at < 0 ? "" : run->files.sheet[file].row[row][at];
}

/* A phase of another program counts as training. */
static int phase_of(const char *name)
{
    const int p = sqa_phase_of(name);
    return p == SQA_PHASE_N ? SQA_PHASE_TRAIN : p;
}

static void take_cells(struct sqa_pool *pool, size_t r)
{
    struct sqa_pool_run *run = &pool->runs[r];
    const struct sqa_sheet *sheet = &run->files.sheet[SQA_FILE_CELLS];
    struct sqa_pool_cell *cell = NULL;
    for (size_t i = 0; i < sheet->nrow; i++) {
        const char *key = field(run, SQA_FILE_CELLS, i, SQA_CELLS_key);
        const int phase = phase_of(field(run, SQA_FILE_CELLS, i, SQA_CELLS_phase));
        if (*field(run, SQA_FILE_CELLS, i, SQA_CELLS_trial))
            continue;
        cell = find_cell(pool, key, cell);
        if (!cell) {
            cell = &pool->cells[pool->n_cells++];
            cell->key = key;
        }
        if (cell->row[phase] && cell->run[phase] != r) {
            const bool keep = newer(pool, cell->run[phase], r);
            pool->runs[keep ? r : cell->run[phase]].replaced++;
            if (keep)
                continue;
        }
        run->twice[SQA_FILE_CELLS] += cell->row[phase] && cell->run[phase] == r;
        cell->row[phase] = sheet->row[i];
        cell->run[phase] = r;
        cell->ok[phase] = strcmp(field(run, SQA_FILE_CELLS, i, SQA_CELLS_status), "ok") == 0;
    }
}

static void count_waiting(struct sqa_pool *pool, struct sqa_pool_run *run)
{
    const json_t *cells = sqa_pool_json(run, "plan", "cells", NULL);
    for (size_t i = 0; i < json_array_size(cells); i++) {
        const json_t *cell = json_array_get(cells, i);
        const char *key = json_string_value(json_object_get(cell, "key")),
                   *trial = json_string_value(json_object_get(cell, "trial"));
        run->waiting += key && !(trial && *trial) && !find_cell(pool, key, NULL);
    }
}

static int by_index(const void *a, const void *b)
{
    const int64_t x = ((const struct sqa_example *)a)->index, y = ((const struct sqa_example *)b)->index;
    const double s = ((const struct sqa_example *)a)->score, t = ((const struct sqa_example *)b)->score;
    return x != y ? (x > y) - (x < y) : (s > t) - (s < t);
}

/* e->score of tags is their number of right labels until weigh_tags. */
static bool parse_example(const struct sqa_pool_run *run, size_t row, struct sqa_example *e, bool *label)
{
    int64_t labels, right;
    const char *target = field(run, SQA_FILE_EXAMPLES, row, SQA_EXAMPLES_target);
    *label = *target != '\0';
    if (!sqa_parse_int(field(run, SQA_FILE_EXAMPLES, row, SQA_EXAMPLES_index), &e->index))
        return false;
    e->labels = 0;
    if (sqa_parse_int(field(run, SQA_FILE_EXAMPLES, row, SQA_EXAMPLES_labels), &labels) && labels > 0) {
        e->labels = (double)labels;
        if (!sqa_parse_int(field(run, SQA_FILE_EXAMPLES, row, SQA_EXAMPLES_right), &right))
            return false;
        e->score = (double)right;
        return true;
    }
    if (*label)
        e->score = strcmp(target, field(run, SQA_FILE_EXAMPLES, row, SQA_EXAMPLES_output)) == 0;
    return *label || sqa_parse_real(field(run, SQA_FILE_EXAMPLES, row, SQA_EXAMPLES_loss), &e->score);
}

static size_t quality_run(const struct sqa_pool_cell *cell)
{
    return cell->run[sqa_pool_first_phase(cell)];
}

/* Counts first (fill == false), then fills the arrays that were made in between. */
static void take_examples(struct sqa_pool *pool, size_t r, bool fill)
{
    const struct sqa_pool_run *run = &pool->runs[r];
    struct sqa_pool_cell *cell = NULL;
    const char *key = NULL;
    for (size_t i = 0; i < run->files.sheet[SQA_FILE_EXAMPLES].nrow; i++) {
        const char *here = field(run, SQA_FILE_EXAMPLES, i, SQA_EXAMPLES_key);
        if (!key || strcmp(key, here) != 0)
            cell = find_cell(pool, here, NULL);
        key = here;
        struct sqa_example e;
        bool label;
        if (!cell || quality_run(cell) != r || !parse_example(run, i, &e, &label))
            continue;
        if (fill) {
            cell->examples[cell->n_examples] = e;
            cell->labels = label;
            cell->tags = e.labels > 0;
        }
        cell->n_examples++;
    }
}

static void take_samples(struct sqa_pool *pool, size_t r, bool fill)
{
    const struct sqa_pool_run *run = &pool->runs[r];
    struct sqa_pool_cell *cell = NULL;
    const char *key = NULL;
    for (size_t i = 0; i < run->files.sheet[SQA_FILE_SAMPLES].nrow; i++) {
        const char *here = field(run, SQA_FILE_SAMPLES, i, SQA_SAMPLES_key);
        if (!key || strcmp(key, here) != 0)
            cell = find_cell(pool, here, NULL);
        key = here;
        const int phase = phase_of(field(run, SQA_FILE_SAMPLES, i, SQA_SAMPLES_phase));
        double ns;
        if (!cell || !cell->ok[phase] || cell->run[phase] != r ||
            !sqa_parse_real(field(run, SQA_FILE_SAMPLES, i, SQA_SAMPLES_ns), &ns))
            continue;
        if (fill)
            cell->ns[phase][cell->n_ns[phase]] = ns;
        cell->n_ns[phase]++;
    }
}

static enum sqa_status make_arrays(struct sqa_pool *pool, struct sqa_err *err)
{
    for (size_t i = 0; i < pool->n_cells; i++) {
        struct sqa_pool_cell *cell = &pool->cells[i];
        cell->examples = sqa_arena_alloc(&pool->arena, cell->n_examples * sizeof *cell->examples);
        if (!cell->examples)
            return no_memory(err);
        cell->n_examples = 0;
        for (int p = 0; p < SQA_PHASE_N; p++) {
            cell->ns[p] = sqa_arena_alloc(&pool->arena, cell->n_ns[p] * sizeof *cell->ns[p]);
            if (!cell->ns[p])
                return no_memory(err);
            cell->n_ns[p] = 0;
        }
    }
    return SQA_OK;
}

static void sort_examples(struct sqa_pool *pool, struct sqa_pool_cell *cell)
{
    size_t n = 0;
    if (cell->n_examples > 1)
        qsort(cell->examples, cell->n_examples, sizeof *cell->examples, by_index);
    for (size_t i = 0; i < cell->n_examples; i++)
        if (n == 0 || cell->examples[i].index != cell->examples[n - 1].index)
            cell->examples[n++] = cell->examples[i];
    pool->runs[quality_run(cell)].twice[SQA_FILE_EXAMPLES] += cell->n_examples - n;
    cell->n_examples = n;
}

/* The accuracy over all labels is a ratio of sums; scores become its linear form, whose mean it is: p + (right - p
 * labels) / mean labels. Resampling means of these stands for resampling the ratio. */
static void weigh_tags(struct sqa_pool_cell *cell)
{
    double labels = 0, right = 0;
    for (size_t i = 0; cell->tags && i < cell->n_examples; i++) {
        labels += cell->examples[i].labels;
        right += cell->examples[i].score;
    }
    const double p = right / labels, mean = labels / (double)cell->n_examples;
    for (size_t i = 0; cell->tags && i < cell->n_examples; i++) {
        struct sqa_example *e = &cell->examples[i];
        e->score = p + (e->score - p * e->labels) / mean;
    }
}

/* Whether `item` (n bytes) is one of the items of "a=1;b=2;". */
static bool has_item(const char *settings, const char *item, size_t n)
{
    for (const char *s = settings; *s;) {
        const size_t length = strcspn(s, ";");
        if (length == n && memcmp(s, item, n) == 0)
            return true;
        s += length + (s[length] == ';');
    }
    return false;
}

/* A model from outside is its name: what a user states of one training does not part it from the next. */
static void name_external(const struct sqa_pool *pool, struct sqa_pool_cell *cell)
{
    cell->external = strcmp(sqa_pool_text(pool, cell, SQA_PHASE_ANY, SQA_CELLS_origin), "external") == 0;
    if (cell->external)
        cell->settings = "origin=external;";
}

static enum sqa_status name_cell(struct sqa_pool *pool, struct sqa_pool_cell *cell, struct sqa_err *err)
{
    static const int columns[] = {SQA_CELLS_length, SQA_CELLS_horizon, SQA_CELLS_batch,
                                  SQA_CELLS_dtype,  SQA_CELLS_threads, SQA_CELLS_cache};
    struct sqa_text t = {0};
    cell->model = sqa_pool_text(pool, cell, SQA_PHASE_ANY, SQA_CELLS_model);
    cell->task = sqa_pool_text(pool, cell, SQA_PHASE_ANY, SQA_CELLS_task);
    cell->scale = sqa_pool_text(pool, cell, SQA_PHASE_ANY, SQA_CELLS_scale);
    if (!sqa_parse_int(sqa_pool_text(pool, cell, SQA_PHASE_ANY, SQA_CELLS_seed), &cell->seed))
        cell->seed = -1;
    name_external(pool, cell);
    if (cell->external)
        return SQA_OK;
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        const char *s = sqa_pool_text(pool, cell, SQA_PHASE_ANY, columns[i]);
        if (*s)
            sqa_text_printf(&t, "%s=%s;", sqa_schemas[SQA_FILE_CELLS].columns[columns[i]].name, s);
    }
    /* Short forms leave out what equals a default, and a recipe may have other ones: the full form tells them apart.
     */
    for (const char *s = sqa_pool_text(pool, cell, SQA_PHASE_ANY, SQA_CELLS_model_full); *s;) {
        const size_t n = strcspn(s, ":,+");
        if (memchr(s, '=', n) && !has_item(sqa_text_get(&t), s, n))
            sqa_text_printf(&t, "%.*s;", (int)n, s);
        s += n + (s[n] != '\0');
    }
    for (const char *s = sqa_pool_text(pool, cell, SQA_PHASE_ANY, SQA_CELLS_recipe); *s;) {
        const size_t n = strcspn(s, ";");
        if (n && strncmp(s, "seed=", 5) != 0 && !has_item(sqa_text_get(&t), s, n))
            sqa_text_printf(&t, "%.*s;", (int)n, s);
        s += n + (s[n] == ';');
    }
    cell->settings = t.failed ? NULL : sqa_arena_strdup(&pool->arena, sqa_text_get(&t));
    sqa_text_clear(&t);
    return cell->settings ? SQA_OK : no_memory(err);
}

static bool listed(const json_t *list, const char *model)
{
    const size_t n = sqa_pool_id_length(model);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *id = json_string_value(json_array_get(list, i));
        if (id && strlen(id) == n && memcmp(id, model, n) == 0)
            return true;
    }
    return false;
}

static enum sqa_entry_class class_of(const struct sqa_pool *pool, const struct sqa_pool_cell *cell)
{
    static const char *const controls[] = {"no_mixer", "mean_mixer"};
    const size_t n = sqa_pool_id_length(cell->model);
    if (cell->external)
        return SQA_CLASS_MODEL;
    if (strcmp(sqa_pool_text(pool, cell, SQA_PHASE_ANY, SQA_CELLS_floor), "1") == 0)
        return SQA_CLASS_FLOOR;
    for (size_t r = 0; r < pool->n_runs; r++)
        if (listed(sqa_pool_json(&pool->runs[r], "titles", "floors", NULL), cell->model))
            return SQA_CLASS_FLOOR;
    for (size_t r = 0; r < pool->n_runs; r++)
        if (listed(sqa_pool_json(&pool->runs[r], "titles", "controls", NULL), cell->model))
            return SQA_CLASS_CONTROL;
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++)
        if (strlen(controls[i]) == n && memcmp(controls[i], cell->model, n) == 0)
            return SQA_CLASS_CONTROL;
    return SQA_CLASS_MODEL;
}

static size_t group_of(struct sqa_pool *pool, const struct sqa_pool_cell *cell)
{
    for (size_t g = 0; g < pool->n_groups; g++)
        if (strcmp(pool->groups[g].task, cell->task) == 0 && strcmp(pool->groups[g].scale, cell->scale) == 0)
            return g;
    pool->groups[pool->n_groups] = (struct sqa_pool_group){.task = cell->task, .scale = cell->scale, .metric = -1};
    return pool->n_groups++;
}

/* Whether every item of part is one of whole. */
static bool subset(const char *part, const char *whole)
{
    for (const char *s = part; *s;) {
        const size_t n = strcspn(s, ";");
        if (!has_item(whole, s, n))
            return false;
        s += n + (s[n] == ';');
    }
    return true;
}

/* Rows of cells that broke may lack settings, so such a cell also joins an entry that has all those it names. */
static void add_to_entry(struct sqa_pool *pool, struct sqa_pool_cell *cell)
{
    const size_t g = group_of(pool, cell), at = (size_t)(cell - pool->cells);
    const bool ok = sqa_pool_cell_ok(cell);
    size_t i = 0;
    for (; i < pool->n_entries; i++) {
        const struct sqa_pool_entry *e = &pool->entries[i];
        if (e->group == g && e->external == cell->external && strcmp(e->model, cell->model) == 0 &&
            (strcmp(e->settings, cell->settings) == 0 || (!ok && subset(cell->settings, e->settings))))
            break;
    }
    struct sqa_pool_entry *e = &pool->entries[i];
    if (i == pool->n_entries) {
        *e = (struct sqa_pool_entry){.model = cell->model,
                                     .settings = cell->settings,
                                     .class = class_of(pool, cell),
                                     .external = cell->external,
                                     .group = g,
                                     .first = at};
        pool->n_entries++;
        pool->groups[g].n++;
    }
    struct sqa_pool_cell **end = &e->cells;
    while (*end && (*end)->seed <= cell->seed)
        end = &(*end)->next;
    cell->next = *end;
    *end = cell;
    e->first = at < e->first ? at : e->first;
    e->n++;
}

static int by_first(const void *a, const void *b)
{
    const size_t x = ((const struct sqa_pool_entry *)a)->first, y = ((const struct sqa_pool_entry *)b)->first;
    return (x > y) - (x < y);
}

static void make_entries(struct sqa_pool *pool)
{
    for (size_t i = 0; i < pool->n_cells; i++) /* groups in the order of the rows */
        group_of(pool, &pool->cells[i]);
    for (int ok = 1; ok >= 0; ok--)
        for (size_t i = 0; i < pool->n_cells; i++)
            if (sqa_pool_cell_ok(&pool->cells[i]) == ok)
                add_to_entry(pool, &pool->cells[i]);
    if (pool->n_entries > 1)
        qsort(pool->entries, pool->n_entries, sizeof *pool->entries, by_first);
}

static enum sqa_status fill_group(struct sqa_pool *pool, size_t g, struct sqa_err *err)
{
    struct sqa_pool_group *group = &pool->groups[g];
    size_t n = 0;
    group->entries = sqa_arena_alloc(&pool->arena, group->n * sizeof(struct sqa_pool_entry *));
    if (!group->entries)
        return no_memory(err);
    for (int class = SQA_CLASS_FLOOR; class <= SQA_CLASS_MODEL; class ++)
        for (size_t i = 0; i < pool->n_entries; i++)
            if (pool->entries[i].group == g && (int)pool->entries[i].class == class)
                group->entries[n++] = &pool->entries[i];
    return SQA_OK;
}

/* The model; when it stands more than once in the group, also the settings that not all of those share. */
static enum sqa_status label_entry(struct sqa_pool *pool, struct sqa_pool_entry *e, struct sqa_err *err)
{
    const struct sqa_pool_group *group = &pool->groups[e->group];
    struct sqa_text t = {0};
    sqa_text_add(&t, e->model);
    int items = 0;
    for (const char *s = e->external ? "" : e->settings; *s;) {
        const size_t n = strcspn(s, ";");
        bool shared = true;
        for (size_t i = 0; i < group->n; i++)
            if (strcmp(group->entries[i]->model, e->model) == 0 && !group->entries[i]->external)
                shared = shared && has_item(group->entries[i]->settings, s, n);
        if (!shared)
            sqa_text_printf(&t, "%s%.*s", items++ ? ", " : " [", (int)n, s);
        s += n + (s[n] == ';');
    }
    if (items)
        sqa_text_add(&t, "]");
    e->label = t.failed ? NULL : sqa_arena_strdup(&pool->arena, sqa_text_get(&t));
    sqa_text_clear(&t);
    return e->label ? SQA_OK : no_memory(err);
}

static enum sqa_status read_all(const char *const *dirs, size_t n, bool some, struct sqa_pool *pool,
                                struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    size_t rows = 0;
    pool->runs = sqa_arena_alloc(&pool->arena, n * sizeof *pool->runs);
    if (!pool->runs)
        return no_memory(err);
    for (size_t r = 0; r < n && status == SQA_OK; r++) {
        pool->n_runs++;
        status = read_run(dirs[r], some, &pool->runs[r], err);
        rows += pool->runs[r].files.sheet[SQA_FILE_CELLS].nrow;
    }
    if (status != SQA_OK)
        return status;
    pool->cells = sqa_arena_alloc(&pool->arena, rows * sizeof *pool->cells);
    pool->entries = sqa_arena_alloc(&pool->arena, rows * sizeof *pool->entries);
    pool->groups = sqa_arena_alloc(&pool->arena, rows * sizeof *pool->groups);
    if (!pool->cells || !pool->entries || !pool->groups)
        return no_memory(err);
    for (size_t r = 0; r < n; r++)
        take_cells(pool, r);
    for (int fill = 0; fill < 2 && status == SQA_OK; fill++) {
        if (fill)
            status = make_arrays(pool, err);
        for (size_t r = 0; r < n && status == SQA_OK; r++) {
            take_examples(pool, r, fill);
            take_samples(pool, r, fill);
        }
    }
    for (size_t i = 0; i < pool->n_cells && status == SQA_OK; i++) {
        sort_examples(pool, &pool->cells[i]);
        weigh_tags(&pool->cells[i]);
        status = name_cell(pool, &pool->cells[i], err);
    }
    if (status == SQA_OK)
        make_entries(pool);
    for (size_t r = 0; r < n && status == SQA_OK; r++)
        count_waiting(pool, &pool->runs[r]);
    for (size_t g = 0; g < pool->n_groups && status == SQA_OK; g++)
        status = fill_group(pool, g, err);
    for (size_t i = 0; i < pool->n_entries && status == SQA_OK; i++)
        status = label_entry(pool, &pool->entries[i], err);
    return status;
}

static enum sqa_status read_pool(const char *const *dirs, size_t n, bool some, struct sqa_pool *pool,
                                 struct sqa_err *err)
{
    *pool = (struct sqa_pool){0};
    const enum sqa_status status = read_all(dirs, n, some, pool, err);
    if (status != SQA_OK)
        sqa_pool_clear(pool);
    return status;
}

enum sqa_status sqa_pool_read(const char *const *dirs, size_t n, struct sqa_pool *pool, struct sqa_err *err)
{
    return read_pool(dirs, n, false, pool, err);
}

enum sqa_status sqa_pool_read_some(const char *const *dirs, size_t n, struct sqa_pool *pool, struct sqa_err *err)
{
    return read_pool(dirs, n, true, pool, err);
}

void sqa_pool_clear(struct sqa_pool *pool)
{
    for (size_t r = 0; r < pool->n_runs; r++) {
        json_decref(pool->runs[r].json);
        sqa_run_files_clear(&pool->runs[r].files);
    }
    for (int i = 0; i < SQA_POOL_DRAWS && pool->draws; i++)
        sqa_draws_clear(&pool->draws[i]);
    sqa_arena_clear(&pool->arena);
    *pool = (struct sqa_pool){0};
}
