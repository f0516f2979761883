/* compare.c - taking rows in, see compare.h */
#include "reports/compare.h"

#include <math.h>
#include <string.h>

const char *const sqa_arm_names[SQA_ARMS] = {"base", "new", "control"};
const char *const sqa_compare_clock_names[SQA_COMPARE_CLOCKS] = {"wall", "cpu"};
#define X(name, tolerance) #name,
const char *const sqa_compare_count_names[SQA_COUNT_N] = {SQA_COMPARE_COUNTS(X)};
#undef X
#define X(name) #name,
static const char *const id_names[SQA_ID_N] = {SQA_COMPARE_IDENTITY(X)};
#undef X

/* What a cell scored, the first that a row has. */
static const struct {
    const char *name, *column;
} scores[] = {{"accuracy", "test_accuracy"}, {"mse", "test_mse"}, {"loss", "test_loss"}};

static enum sqa_status no_memory(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "compare: no memory for the rows; free some memory and run again");
}

static const char *field(const struct sqa_sheet *sheet, size_t row, const char *name)
{
    const int at = sqa_sheet_column(sheet, name);
    return at < 0 ? "" : sheet->row[row][at];
}

static double number(const struct sqa_sheet *sheet, size_t row, const char *name)
{
    double v;
    return sqa_parse_real(field(sheet, row, name), &v) ? v : (double)NAN;
}

static const char *name_cell(struct sqa_comparison *c, const struct sqa_compare_cell *cell)
{
    struct sqa_text t = {0};
    sqa_text_printf(&t, "%s on %s, %s", cell->id[SQA_ID_model], cell->id[SQA_ID_task], cell->id[SQA_ID_phase]);
    for (int i = SQA_ID_scale + 1; i < SQA_ID_N; i++)
        if (*cell->id[i] && !(i == SQA_ID_dtype && strcmp(cell->id[i], "f32") == 0) &&
            !(i == SQA_ID_threads && strcmp(cell->id[i], "1") == 0))
            sqa_text_printf(&t, ", %s %s", id_names[i], cell->id[i]);
    const char *name = t.failed ? NULL : sqa_arena_strdup(&c->arena, sqa_text_get(&t));
    sqa_text_clear(&t);
    return name;
}

static struct sqa_compare_cell *add_cell(struct sqa_comparison *c, const char *const *id)
{
    if (c->n == c->capacity) {
        const size_t capacity = c->capacity ? 2 * c->capacity : 16;
        struct sqa_compare_cell *cells = sqa_realloc(c->cells, capacity * sizeof *cells);
        if (!cells)
            return NULL;
        c->cells = cells;
        c->capacity = capacity;
    }
    struct sqa_compare_cell *cell = &c->cells[c->n];
    *cell = (struct sqa_compare_cell){.name = ""};
    for (int i = 0; i < SQA_ID_N; i++)
        if (!(cell->id[i] = sqa_arena_strdup(&c->arena, id[i])))
            return NULL;
    for (int i = 0; i < SQA_COUNT_N; i++)
        cell->count[i][0] = cell->count[i][1] = (double)NAN;
    cell->name = name_cell(c, cell);
    c->n += cell->name != NULL;
    return cell->name ? cell : NULL;
}

static struct sqa_compare_cell *find_cell(struct sqa_comparison *c, const struct sqa_sheet *sheet, size_t row)
{
    const char *id[SQA_ID_N];
    for (int i = 0; i < SQA_ID_N; i++)
        id[i] = field(sheet, row, id_names[i]);
    for (size_t k = 0; k < c->n; k++) {
        int i = 0;
        while (i < SQA_ID_N && strcmp(c->cells[k].id[i], id[i]) == 0)
            i++;
        if (i == SQA_ID_N)
            return &c->cells[k];
    }
    return add_cell(c, id);
}

static bool put(struct sqa_blocks *b, size_t block, double ns)
{
    if (!(ns > 0))
        return true;
    if (block >= b->capacity) {
        const size_t capacity = block < 32 ? 64 : 2 * block;
        double *x = sqa_realloc(b->ns, capacity * sizeof *x);
        if (!x)
            return false;
        b->ns = x;
        b->capacity = capacity;
    }
    while (b->n <= block)
        b->ns[b->n++] = (double)NAN;
    b->ns[block] = isnan(b->ns[block]) ? ns : sqrt(b->ns[block] * ns);
    return true;
}

static bool take_seed(struct sqa_comparison *c, struct sqa_compare_cell *cell, int side, int64_t seed, double score)
{
    size_t i = 0;
    while (i < cell->n_seeds && cell->seeds[i].seed != seed)
        i++;
    if (i == cell->n_seeds) {
        /* Few: an arena copy of the grown list each time. */
        struct sqa_seed_score *more = sqa_arena_alloc(&c->arena, (i + 1) * sizeof *more);
        if (!more)
            return false;
        if (i)
            memcpy(more, cell->seeds, i * sizeof *more);
        more[i] = (struct sqa_seed_score){seed, {(double)NAN, (double)NAN}};
        cell->seeds = more;
        cell->n_seeds++;
    }
    cell->seeds[i].x[side] = score;
    return true;
}

/* What does not depend on the look: status, counts, scores of base and new. */
static bool take_facts(struct sqa_comparison *c, struct sqa_compare_cell *cell, int side,
                       const struct sqa_sheet *sheet, size_t row)
{
    const bool ok = strcmp(field(sheet, row, "status"), "ok") == 0;
    int64_t seed;
    if (!cell->present[side]) {
        cell->full[side] = sqa_arena_strdup(&c->arena, field(sheet, row, "model_full"));
        cell->recipe[side] = sqa_arena_strdup(&c->arena, field(sheet, row, "recipe"));
        if (!cell->full[side] || !cell->recipe[side])
            return false;
    }
    if (!ok) {
        const char *message = field(sheet, row, "message");
        cell->message[side] =
            sqa_arena_printf(&c->arena, "%s%s%s", field(sheet, row, "status"), *message ? ": " : "", message);
        if (!cell->message[side])
            return false;
    }
    cell->ok[side] = cell->ok[side] || ok; /* one process that fails among many that do not breaks nothing */
    cell->present[side] = true;
    if (!ok)
        return true;
    for (int i = 0; i < SQA_COUNT_N; i++)
        if (isnan(cell->count[i][side]))
            cell->count[i][side] = number(sheet, row, sqa_compare_count_names[i]);
    if (!sqa_parse_int(field(sheet, row, "seed"), &seed))
        seed = 0;
    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        const double x = number(sheet, row, scores[i].column);
        if (isnan(x) || (cell->score_name && strcmp(cell->score_name, scores[i].name) != 0))
            continue;
        cell->score_name = scores[i].name;
        return take_seed(c, cell, side, seed, x);
    }
    return true;
}

/* Samples of one cell, phase and, where rounds are blocks, round stand together in samples.csv: they are a block. */
static enum sqa_status take_samples(struct sqa_comparison *c, const struct sqa_sheet *samples, int look,
                                    enum sqa_arm arm, long block, struct sqa_err *err)
{
    double *x = sqa_alloc_array(samples->nrow + 1, sizeof *x);
    bool room = x != NULL;
    for (size_t i = 0; i < samples->nrow && room;) {
        const char *key = field(samples, i, "key"), *phase = field(samples, i, "phase"),
                   *round = field(samples, i, "round");
        struct sqa_compare_cell *cell = NULL;
        for (size_t k = 0; k < c->n && !cell; k++)
            if (c->cells[k].key[look][arm] && strcmp(c->cells[k].key[look][arm], key) == 0 &&
                strcmp(c->cells[k].id[SQA_ID_phase], phase) == 0)
                cell = &c->cells[k];
        size_t end = i;
        int64_t at = block;
        while (end < samples->nrow && strcmp(field(samples, end, "key"), key) == 0 &&
               strcmp(field(samples, end, "phase"), phase) == 0 &&
               (block >= 0 || strcmp(field(samples, end, "round"), round) == 0))
            end++;
        const bool known = cell && (block >= 0 || (sqa_parse_int(round, &at) && at >= 0 && at < 100000));
        for (int clock = 0; clock < SQA_COMPARE_CLOCKS && known && room; clock++) {
            size_t n = 0;
            for (size_t k = i; k < end; k++) {
                const double ns = number(samples, k, clock == SQA_COMPARE_WALL ? "ns" : "cpu_ns");
                if (ns > 0)
                    x[n++] = ns;
            }
            sqa_sort_reals(x, n);
            room = put(&cell->blocks[look][clock][arm], (size_t)at, sqa_quantile(x, n, c->minimum ? 0 : 0.5));
        }
        i = end;
    }
    sqa_free(x);
    return room ? SQA_OK : no_memory(err);
}

static bool take_row_times(struct sqa_comparison *c, struct sqa_compare_cell *cell, const struct sqa_sheet *sheet,
                           size_t row, int look, enum sqa_arm arm, long block, bool samples)
{
    const double ns[SQA_COMPARE_CLOCKS] = {number(sheet, row, c->minimum ? "latency_ns_min" : "latency_ns_median"),
                                           c->minimum ? (double)NAN : number(sheet, row, "cpu_ns_median")};
    if (isnan(ns[0]) || strcmp(field(sheet, row, "status"), "ok") != 0)
        return true;
    if (*field(sheet, row, "unfit")) { /* the run itself says that it was disturbed */
        cell->disturbed = sqa_arena_strdup(&c->arena, field(sheet, row, "unfit"));
        return cell->disturbed != NULL;
    }
    if (samples) { /* only the first seed is timed; should another be, its samples are not mixed with these */
        if (!cell->key[look][arm])
            cell->key[look][arm] = sqa_arena_strdup(&c->arena, field(sheet, row, "key"));
        return cell->key[look][arm] != NULL;
    }
    const size_t at = block >= 0 ? (size_t)block : cell->blocks[look][SQA_COMPARE_WALL][arm].n;
    return put(&cell->blocks[look][SQA_COMPARE_WALL][arm], at, ns[0]) &&
           put(&cell->blocks[look][SQA_COMPARE_CPU][arm], at, ns[1]);
}

enum sqa_status sqa_compare_take(struct sqa_comparison *c, const struct sqa_run_files *run, int look,
                                 enum sqa_arm arm, long block, struct sqa_err *err)
{
    const struct sqa_sheet *sheet = &run->sheet[SQA_FILE_CELLS];
    const bool samples = run->sheet[SQA_FILE_SAMPLES].nrow > 0;
    c->second_look = c->second_look || look > 0;
    for (size_t row = 0; row < sheet->nrow; row++) {
        struct sqa_compare_cell *cell = find_cell(c, sheet, row);
        if (!cell || !take_row_times(c, cell, sheet, row, look, arm, block, samples))
            return no_memory(err);
        if (arm != SQA_ARM_CONTROL && look == 0 && !take_facts(c, cell, (int)arm, sheet, row))
            return no_memory(err);
    }
    return samples ? take_samples(c, &run->sheet[SQA_FILE_SAMPLES], look, arm, block, err) : SQA_OK;
}

enum sqa_status sqa_compare_name(struct sqa_comparison *c, const struct sqa_run_files *run, enum sqa_arm arm,
                                 const char *name, struct sqa_err *err)
{
    struct sqa_compare_arm *a = &c->arm[arm];
    const long failures = sqa_alloc_failures();
    json_error_t error;
    json_t *json = run->json ? json_loadb(run->json, run->json_size, 0, &error) : NULL;
    if (sqa_alloc_failures() > failures) {
        json_decref(json);
        return no_memory(err);
    }
    if (run->json && !json)
        return sqa_fail(err, SQA_INPUT, "%s/run.json: line %d: %s; the file is damaged, run again", name, error.line,
                        error.text);
    const char *commit = json_string_value(json_object_get(json, "commit"));
    const char *fingerprint = json_string_value(json_object_get(json_object_get(json, "environment"), "fingerprint"));
    *a = (struct sqa_compare_arm){.name = sqa_arena_strdup(&c->arena, name),
                                  .commit = sqa_arena_strdup(&c->arena, commit ? commit : ""),
                                  .fingerprint = sqa_arena_strdup(&c->arena, fingerprint ? fingerprint : "")};
    json_decref(json);
    return a->name && a->commit && a->fingerprint ? SQA_OK : no_memory(err);
}

void sqa_compare_clear(struct sqa_comparison *c)
{
    for (size_t i = 0; i < c->n; i++)
        for (int look = 0; look < SQA_LOOKS; look++)
            for (int clock = 0; clock < SQA_COMPARE_CLOCKS; clock++)
                for (int arm = 0; arm < SQA_ARMS; arm++)
                    sqa_free(c->cells[i].blocks[look][clock][arm].ns);
    sqa_free(c->cells);
    json_decref(c->session);
    sqa_arena_clear(&c->arena);
    *c = (struct sqa_comparison){0};
}
