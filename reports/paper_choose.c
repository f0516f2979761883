/* paper_choose.c - which entry stands in which cell of a table, and what must be said of it */
#include <math.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "reports/paper_private.h"

const char *sqa_paper_field(const struct sqa_pool *pool, const struct sqa_pool_entry *e, const char *column)
{
    for (int p = 0; p < SQA_PHASE_N; p++) {
        const struct sqa_pool_cell *cell = e->cells;
        if (!cell || !cell->row[p])
            continue;
        const int at = sqa_sheet_column(&pool->runs[cell->run[p]].files.sheet[SQA_FILE_CELLS], column);
        if (at >= 0 && cell->row[p][at][0])
            return cell->row[p][at];
    }
    return "";
}

bool sqa_paper_is_external(const struct sqa_pool *pool, const struct sqa_pool_entry *e)
{
    return strcmp(sqa_paper_field(pool, e, "origin"), "external") == 0;
}

const char *sqa_paper_task(const struct sqa_paper_row *row, const struct sqa_paper_column *column)
{
    for (size_t i = 0; row && row->variant && i < column->n_variants; i++)
        if (strcmp(column->variants[i], row->variant) == 0)
            return column->variant_tasks[i];
    return column->task;
}

const char *sqa_paper_scale(const struct sqa_paper *paper, const struct sqa_paper_row *row)
{
    return row && row->scale ? row->scale : paper->scale;
}

bool sqa_paper_matches(void *pattern, const char *text)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    const int found = data ? pcre2_match(pattern, (PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, 0, data, NULL) : -1;
    pcre2_match_data_free(data);
    return found >= 0;
}

static bool accepts(const struct sqa_paper_column *c, const struct sqa_pool *pool, const struct sqa_pool_entry *e)
{
    const char *task = pool->groups[e->group].task;
    if (c->high > 0) {
        const double length = sqa_pool_number(pool, e->cells, SQA_PHASE_ANY, SQA_CELLS_length);
        if (!(length >= c->low && length <= c->high))
            return false;
    }
    return sqa_paper_matches(c->accept, task);
}

int sqa_paper_value(const struct sqa_paper *paper, const struct sqa_paper_column *column)
{
    const bool mse = paper->kind == SQA_PAPER_FORECAST || (column->metric && strcmp(column->metric, "mse") == 0);
    return paper->kind == SQA_PAPER_SPEED ? SQA_VALUE_train_latency_ns
           : mse                          ? SQA_VALUE_test_mse
                                          : SQA_VALUE_test_accuracy;
}

bool sqa_paper_fits(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e, size_t column)
{
    const char *mode = sqa_paper_field(f->pool, e, "padding");
    if (isnan(e->value[sqa_paper_value(f->paper, &f->paper->columns[column])].mean) ||
        (f->options->scale && strcmp(f->options->scale, f->pool->groups[e->group].scale) != 0) ||
        (f->options->padding && *mode && strcmp(mode, f->options->padding) != 0))
        return false;
    return accepts(&f->paper->columns[column], f->pool, e);
}

bool sqa_paper_usable(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e)
{
    for (size_t c = 0; c < f->paper->n_columns; c++)
        if (sqa_paper_fits(f, e, c))
            return true;
    return false;
}

/* The table's own scale counts most, then its own task, then seeds, then being later. */
static double rank(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e, size_t column)
{
    const struct sqa_pool_group *g = &f->pool->groups[e->group];
    const double seeds = (double)e->value[sqa_paper_value(f->paper, &f->paper->columns[column])].n_seeds;
    return (strcmp(g->scale, f->paper->scale) == 0 ? 2e6 : 0) +
           (strcmp(g->task, f->paper->columns[column].task) == 0 ? 1e6 : 0) + fmin(seeds, 9e5);
}

const struct sqa_pool_entry *sqa_paper_choose(const struct sqa_paper_fill *f, const char *model, bool external,
                                              size_t column, size_t *others)
{
    const struct sqa_pool_entry *best = NULL;
    *others = 0;
    for (size_t i = 0; i < f->pool->n_entries; i++) {
        const struct sqa_pool_entry *e = &f->pool->entries[i];
        if (strcmp(e->model, model) != 0 || sqa_paper_is_external(f->pool, e) != external ||
            !sqa_paper_fits(f, e, column))
            continue;
        *others += best != NULL;
        if (!best || rank(f, e, column) >= rank(f, best, column))
            best = e;
    }
    return best;
}

/* Settings given on the command line of the run, which its scale does not tell. */
static void add_overrides(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e, struct sqa_text *t)
{
    static const char *const options[] = {"--train", "--batch"};
    const struct sqa_pool_cell *cell = e->cells;
    const json_t *command = sqa_pool_json(&f->pool->runs[cell->run[sqa_pool_first_phase(cell)]], "command", NULL);
    for (size_t i = 0; i < json_array_size(command); i++)
        for (size_t k = 0; k < sizeof options / sizeof options[0]; k++) {
            const char *word = json_string_value(json_array_get(command, i)),
                       *next = json_string_value(json_array_get(command, i + 1));
            const size_t n = strlen(options[k]);
            if (!word || strncmp(word, options[k], n) != 0 || (word[n] != '=' && word[n] != '\0'))
                continue;
            sqa_text_printf(t, "%s%s %s", t->length ? ", " : "", options[k],
                            word[n] ? word + n + 1
                            : next  ? next
                                    : "");
        }
}

bool sqa_paper_is_altered(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e)
{
    const char *dtype = sqa_paper_field(f->pool, e, "dtype");
    struct sqa_text t = {0};
    add_overrides(f, e, &t);
    const bool altered = t.length > 0 || t.failed || (*dtype && strcmp(dtype, "f32") != 0);
    sqa_text_clear(&t);
    return altered;
}

const char *sqa_paper_how(struct sqa_paper_fill *f, const struct sqa_pool_entry *e, size_t column)
{
    const struct sqa_pool_group *g = &f->pool->groups[e->group];
    const bool speed = f->paper->kind == SQA_PAPER_SPEED;
    struct sqa_text t = {0};
    static const struct {
        const char *column, *before, *usual;
    } settings[] = {{"batch", "batch ", NULL}, {"threads", "threads ", NULL}, {"dtype", "", "f32"}};
    if (strcmp(g->task, f->paper->columns[column].task) != 0)
        sqa_text_printf(&t, "task %s", g->task);
    if (strcmp(g->scale, f->paper->published_scale) != 0 && *g->scale)
        sqa_text_printf(&t, "%sscale %s", t.length ? ", " : "", g->scale);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const char *s = sqa_paper_field(f->pool, e, settings[i].column), *usual = settings[i].usual;
        if (*s && (usual ? strcmp(s, usual) != 0 : speed))
            sqa_text_printf(&t, "%s%s%s", t.length ? ", " : "", settings[i].before, s);
    }
    if (!speed && e->class != SQA_CLASS_FLOOR && !sqa_paper_is_external(f->pool, e))
        add_overrides(f, e, &t);
    const char *copy = sqa_arena_strdup(f->arena, sqa_text_get(&t));
    f->failed = f->failed || t.failed || !copy;
    sqa_text_clear(&t);
    return copy ? copy : "";
}

/* "last batch of 32 dropped" when the task does so, "every window" when only the wanted one does. */
static void add_dropped(struct sqa_text *t, const char *task, const char *wanted)
{
    static const char name[] = "drop_last_batch=";
    const char *drop = strstr(task, name);
    if (drop)
        drop += strlen(name);
    if (drop)
        sqa_text_printf(t, ", last batch of %.*s dropped", (int)strcspn(drop, ","), drop);
    else if (wanted && strstr(wanted, name))
        sqa_text_add(t, ", every window");
}

const char *sqa_paper_forecast_how(struct sqa_paper_fill *f, const struct sqa_pool_entry *e, const char *wanted)
{
    const struct sqa_pool_group *g = &f->pool->groups[e->group];
    const char *dtype = sqa_paper_field(f->pool, e, "dtype");
    struct sqa_text t = {0}, overrides = {0};
    sqa_text_printf(&t, "look-back %s", sqa_paper_field(f->pool, e, "length"));
    add_dropped(&t, g->task, wanted);
    if (e->class != SQA_CLASS_FLOOR) /* which is not trained */
        sqa_text_printf(&t, ", scale %s", *g->scale ? g->scale : "none");
    if (*dtype && strcmp(dtype, "f32") != 0)
        sqa_text_printf(&t, ", %s", dtype);
    if (e->class != SQA_CLASS_FLOOR && !e->external)
        add_overrides(f, e, &overrides);
    if (overrides.length)
        sqa_text_printf(&t, ", %s", sqa_text_get(&overrides));
    const char *copy = sqa_arena_strdup(f->arena, sqa_text_get(&t));
    f->failed = f->failed || t.failed || overrides.failed || !copy;
    sqa_text_clear(&t);
    sqa_text_clear(&overrides);
    return copy ? copy : "";
}

static bool same(const struct sqa_paper_fill *f, const struct sqa_pool_entry *a, const struct sqa_pool_entry *b,
                 const char *column)
{
    return strcmp(sqa_paper_field(f->pool, a, column), sqa_paper_field(f->pool, b, column)) == 0;
}

const struct sqa_pool_entry *sqa_paper_baseline(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e,
                                                size_t b)
{
    const struct sqa_pool_group *g = &f->pool->groups[e->group];
    for (size_t i = 0; b < f->paper->n_baselines && i < g->n; i++) {
        const struct sqa_pool_entry *o = g->entries[i];
        if (strcmp(o->model, f->paper->baseline[b]) == 0 && !sqa_paper_is_external(f->pool, o) &&
            same(f, o, e, "length") && same(f, o, e, "batch") && same(f, o, e, "threads") && same(f, o, e, "dtype"))
            return o;
    }
    return NULL;
}
