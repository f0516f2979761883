/* paper_csv.c - a filled table as CSV, a row a figure (see paper.h) */
#include <math.h>
#include <stdio.h>

#include "base/csv.h"
#include "reports/paper.h"

#define COLUMNS(X)       \
    X(schema)            \
    X(table)             \
    X(panel)             \
    X(row)               \
    X(kind)              \
    X(column)            \
    X(metric)            \
    X(unit)              \
    X(against)           \
    X(value)             \
    X(low)               \
    X(high)              \
    X(interval_by)       \
    X(seeds)             \
    X(n)                 \
    X(model)             \
    X(task)              \
    X(scale)             \
    X(how)               \
    X(best)              \
    X(over_size)         \
    X(params)            \
    X(baseline_params)   \
    X(infer_flops)       \
    X(train_flops)       \
    X(state_floats)      \
    X(mem_planned_bytes) \
    X(batch)             \
    X(padding)           \
    X(real_share)        \
    X(rank_low)          \
    X(rank_high)         \
    X(steps)             \
    X(train_latency_ns)  \
    X(trials)            \
    X(recipe)            \
    X(source)            \
    X(remark)            \
    X(verdict)           \
    X(tolerance)         \
    X(published_value)
enum {
#define X(name) C_##name,
    COLUMNS(X)
#undef X
        C_N
};

static const char *const kinds[] = {"published", "measured", "external", "control", "floor"};
static const char *const units[] = {"%", "x", "1/s", "B", "", ""};

struct row {
    const char *field[C_N];
    char buf[C_N][48];
};

static void real(struct row *r, int column, double v)
{
    if (!isnan(v))
        r->field[column] = sqa_format_real(r->buf[column], v);
}

static void whole(struct row *r, int column, size_t n)
{
    if (n) {
        snprintf(r->buf[column], sizeof r->buf[column], "%zu", n);
        r->field[column] = r->buf[column];
    }
}

static void measured(struct row *r, const struct sqa_paper_filled *t, const struct sqa_paper_cell *cell)
{
    const struct sqa_pool_entry *e = cell->entry;
    const struct sqa_pool_group *g = &t->pool->groups[e->group];
    r->field[C_interval_by] = cell->x.method;
    whole(r, C_seeds, cell->x.n_seeds);
    whole(r, C_n, cell->x.n_examples);
    r->field[C_task] = g->task;
    r->field[C_scale] = g->scale;
    r->field[C_best] = cell->best ? "1" : "0";
    r->field[C_over_size] = cell->base ? (cell->large ? "1" : "0") : NULL;
    real(r, C_params, e->value[SQA_VALUE_params].mean);
    real(r, C_baseline_params, cell->base ? cell->base->value[SQA_VALUE_params].mean : (double)NAN);
    real(r, C_infer_flops, e->value[SQA_VALUE_infer_flops].mean);
    real(r, C_train_flops, e->value[SQA_VALUE_train_flops].mean);
    real(r, C_state_floats, sqa_pool_number(t->pool, e->cells, SQA_PHASE_ANY, SQA_CELLS_state_floats));
    real(r, C_mem_planned_bytes, e->value[SQA_VALUE_train_mem_planned_bytes].mean);
    real(r, C_batch, sqa_pool_number(t->pool, e->cells, SQA_PHASE_ANY, SQA_CELLS_batch));
    r->field[C_padding] = sqa_paper_field(t->pool, e, "padding");
    r->field[C_real_share] = sqa_paper_field(t->pool, e, "real_share");
    const char *source = sqa_paper_field(t->pool, e, "recipe_source");
    r->field[C_source] = source;
    whole(r, C_rank_low, cell->rank_low);
    whole(r, C_rank_high, cell->rank_high);
    real(r, C_steps, e->value[SQA_VALUE_steps].mean);
    real(r, C_train_latency_ns, e->value[SQA_VALUE_train_latency_ns].mean);
    r->field[C_trials] = sqa_paper_field(t->pool, e, "trials");
    r->field[C_recipe] = sqa_paper_field(t->pool, e, "recipe");
}

static void write_cell(struct sqa_text *out, const struct sqa_paper_filled *t, const struct sqa_paper_panel *p,
                       const struct sqa_paper_line *l, size_t c)
{
    const struct sqa_paper_cell *cell = &l->cells[c];
    struct row r = {.field = {[C_schema] = "1",
                              [C_table] = t->paper->name,
                              [C_panel] = p->title,
                              [C_row] = l->label,
                              [C_kind] = kinds[l->kind],
                              [C_column] = p->columns[c],
                              [C_metric] = p->metric,
                              [C_unit] = units[p->unit],
                              [C_against] = p->against,
                              [C_value] = cell->text,
                              [C_model] = l->model      ? l->model
                                          : cell->entry ? cell->entry->model
                                                        : NULL,
                              [C_remark] = cell->impossible && cell->second_hand ? "MSE < MAE^2, second-hand"
                                           : cell->impossible                    ? "MSE < MAE^2"
                                           : cell->second_hand                   ? "second-hand"
                                                                                 : NULL,
                              [C_how] = cell->how,
                              [C_verdict] = sqa_paper_verdict_name(cell->verdict),
                              [C_published_value] = cell->target ? cell->target->text : NULL}};
    real(&r, C_value, cell->x.mean);
    real(&r, C_low, cell->x.low);
    real(&r, C_high, cell->x.high);
    real(&r, C_tolerance, cell->target ? cell->tolerance : (double)NAN);
    if (cell->entry)
        measured(&r, t, cell);
    const struct sqa_published_row *printed =
        l->id ? sqa_published_find(t->published, l->id, NULL, NULL, NULL) : NULL;
    char source[512];
    if (printed) {
        snprintf(source, sizeof source, "%s, arXiv %s, %s", printed->source, printed->arxiv, printed->table);
        r.field[C_source] = source;
    }
    sqa_csv_add_row(out, C_N, r.field);
}

void sqa_paper_csv(struct sqa_text *out, const struct sqa_paper_filled *t)
{
    static const char *const names[C_N] = {
#define X(name) #name,
        COLUMNS(X)
#undef X
    };
    sqa_csv_add_row(out, C_N, names);
    for (size_t k = 0; k < t->n_panels; k++)
        for (size_t i = 0; i < t->panels[k].n_lines; i++)
            for (size_t c = 0; c < t->panels[k].n_columns; c++)
                if (t->panels[k].lines[i].cells[c].text || !isnan(t->panels[k].lines[i].cells[c].x.mean))
                    write_cell(out, t, &t->panels[k], &t->panels[k].lines[i], c);
}
