/* plot_scaling.c - time and memory against the length (see plots.h, scaling.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/plots.h"
#include "reports/scaling.h"
#include "results/schema.h"

enum { SERIES = 48 };

static bool has(const struct sqa_scaling *s, enum sqa_scaling_measure m)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->at[i].y[m] > 0;
    return n >= 3;
}

/* "performer L^1.02, less from 1530" */
static enum sqa_status name_of(const struct sqa_scaling *s, const struct sqa_scaling *reference, int phase,
                               enum sqa_scaling_measure m, char *buf, size_t size, bool *crossed, struct sqa_err *err)
{
    const struct sqa_estimate e = sqa_scaling_exponent(s->at, s->n, m);
    struct sqa_interval interval;
    double at = (double)NAN, shortest, longest;
    enum sqa_status status = SQA_OK;
    if (reference)
        status = sqa_scaling_crossover(s, reference, m, phase, &at, &interval, &shortest, &longest, err);
    char name[SQA_PLOT_SHORT];
    int n = snprintf(buf, size, "%s", sqa_plot_short(name, s->first->model, 26));
    if (!isnan(e.mean))
        n += snprintf(buf + n, size - (size_t)n, " L^%.2f", e.mean);
    *crossed = *crossed || (at > 0 && isfinite(at));
    if (at > 0 && isfinite(at))
        snprintf(buf + n, size - (size_t)n, ", < from %.0f", at);
    return status;
}

static void add_series(struct sqa_plot *p, const struct sqa_scaling *s, size_t i, enum sqa_scaling_measure m,
                       int phase)
{
    char buf[32];
    sqa_plot_say(p, "$d%zu << EOD\n", i);
    for (size_t k = 0; k < s->n; k++) {
        if (!(s->at[k].y[m] > 0))
            continue;
        sqa_plot_say(p, "%.10g %.10g\n", s->at[k].length, s->at[k].y[m]);
    }
    sqa_plot_say(p, "EOD\n");
    for (size_t k = 0; k < s->n; k++) {
        const double y = s->at[k].y[m];
        if (!(y > 0))
            continue;
        if (m == SQA_SCALING_TIME)
            sqa_plot_tip(p, s->at[k].length, y, 6, "%s: length %.0f, %s, %zu samples", s->first->model,
                         s->at[k].length, sqa_format_ns(buf, y), s->at[k].cell->n_ns[phase]);
        else
            sqa_plot_tip(p, s->at[k].length, y, 6, "%s: length %.0f, %s", s->first->model, s->at[k].length,
                         sqa_format_bytes(buf, y));
    }
}

/* A task without its length: "random:vocab=257". */
static void task_of(char buf[128], const char *task)
{
    size_t n = 0;
    while (*task && n < 120) {
        const bool begins = n == 0 || task[-1] == ':' || task[-1] == ',';
        if (begins && strncmp(task, "length=", 7) == 0) {
            task += strcspn(task, ",");
            task += *task == ',';
        } else {
            buf[n++] = *task++;
        }
    }
    while (n > 0 && (buf[n - 1] == ':' || buf[n - 1] == ','))
        n--;
    buf[n] = '\0';
}

/* Series of one phase with the settings of series `first`, into one picture. */
static enum sqa_status picture(struct sqa_plots *plots, const struct sqa_plots_from *from, struct sqa_scaling **s,
                               size_t n, int phase, enum sqa_scaling_measure m, struct sqa_err *err)
{
    static const char *const what[SQA_PHASE_N] = {"a training step", "inference", "a token by the recurrent form"};
    struct sqa_plot_end ends[SERIES];
    char names[SERIES][96], setting[160];
    double lengths[SQA_SCALING_POINTS];
    const struct sqa_scaling *reference = NULL, *longest = s[0];
    enum sqa_status status = SQA_OK;
    bool crossed = false;
    for (size_t i = 0; i < n; i++) {
        reference = !reference && sqa_scaling_is_reference(s[i]->first) ? s[i] : reference;
        longest = s[i]->n > longest->n ? s[i] : longest;
    }
    char task[128];
    task_of(task, sqa_pool_text(from->pool, s[0]->first, phase, SQA_CELLS_task));
    struct sqa_plot *p = sqa_plots_add(plots, "%s of %s against the length: %s",
                                       m == SQA_SCALING_TIME ? "Time" : "Memory", what[phase], task);
    sqa_axis_begin(&p->x, true);
    sqa_axis_begin(&p->y, true);
    for (size_t i = 0; i < n && status == SQA_OK; i++) {
        for (size_t k = 0; k < s[i]->n; k++) {
            sqa_axis_take(&p->x, s[i]->at[k].length);
            sqa_axis_take(&p->y, s[i]->at[k].y[m]);
        }
        status =
            name_of(s[i], s[i] == reference ? NULL : reference, phase, m, names[i], sizeof names[i], &crossed, err);
        ends[i] = (struct sqa_plot_end){s[i]->at[s[i]->n - 1].y[m], names[i],
                                        sqa_plots_style(from->pool, s[i]->first->model)};
    }
    for (size_t k = 0; k < longest->n; k++)
        lengths[k] = longest->at[k].length;
    sqa_axis_end(&p->x, 0.02);
    sqa_axis_end(&p->y, 0.05);
    sqa_text_printf(
        &p->caption, "%zu models at %zu lengths%s. L^e: exponent fitted to all lengths by least squares%s%s%s. %s", n,
        longest->n, sqa_pool_setting(setting, from->pool, s[0]->first, phase, false),
        crossed ? "; \"< from\": length from which on a model takes less than " : "",
        crossed ? reference->first->model : "", crossed ? ", up to the longest" : "",
        m == SQA_SCALING_TIME ? "Points are medians of samples." : "Memory is the planned arena of the phase.");
    for (size_t i = 0; i < n; i++)
        add_series(p, s[i], i, m, phase);
    sqa_plot_ends(p, ends, n);
    sqa_plot_axis_at(p, 'x', "length, positions (log)", lengths, longest->n);
    sqa_plot_axis(p, 'y', m == SQA_SCALING_TIME ? "time of a step (log)" : "planned memory (log)",
                  m == SQA_SCALING_TIME ? sqa_format_ns : sqa_format_bytes);
    for (size_t i = 0; i < n; i++) {
        const struct sqa_plot_style look = sqa_plot_style(sqa_plots_style(from->pool, s[i]->first->model));
        sqa_plot_say(p, "%s$d%zu with linespoints lw 1.6 ps 0.9 pt %d dt %d lc rgb '%s'", i ? ", \\\n " : "plot ", i,
                     look.point, look.dash, look.colour);
    }
    sqa_plot_say(p, "\n");
    return status;
}

static bool one_picture(const struct sqa_pool *pool, const struct sqa_pool_cell *a, const struct sqa_pool_cell *b,
                        int phase)
{
    static const int same[] = {SQA_CELLS_batch, SQA_CELLS_dtype, SQA_CELLS_threads, SQA_CELLS_scale};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (strcmp(sqa_pool_text(pool, a, phase, same[i]), sqa_pool_text(pool, b, phase, same[i])) != 0)
            return false;
    const size_t n = sqa_pool_id_length(a->task);
    return n == sqa_pool_id_length(b->task) && strncmp(a->task, b->task, n) == 0;
}

static enum sqa_status draw(struct sqa_plots *plots, const struct sqa_plots_from *from, enum sqa_scaling_measure m,
                            struct sqa_err *err)
{
    const struct sqa_pool *pool = from->pool;
    struct sqa_arena arena = {0};
    bool *done = sqa_arena_alloc(&arena, pool->n_cells + 1);
    struct sqa_scaling **s = sqa_arena_alloc(&arena, (pool->n_cells + 1) * sizeof(void *)),
                       *together[SERIES] = {NULL};
    enum sqa_status status = SQA_OK;
    for (int phase = 0; phase < SQA_PHASE_N && status == SQA_OK && done && s; phase++) {
        size_t n = 0;
        memset(done, 0, pool->n_cells);
        for (size_t i = 0; i < pool->n_cells; i++) {
            const struct sqa_pool_cell *c = &pool->cells[i];
            if (done[i] || c->external || !c->ok[phase] || !sqa_plots_wants(from, c->model))
                continue;
            struct sqa_scaling *next = sqa_arena_alloc(&arena, sizeof *next);
            plots->failed = plots->failed || !next;
            if (!next)
                break;
            sqa_scaling_gather(pool, i, phase, done, next);
            if (next->n >= 3 && has(next, m))
                s[n++] = next;
        }
        for (size_t i = 0; i < n && status == SQA_OK; i++) {
            size_t k = 0;
            for (size_t j = i; j < n; j++)
                if (s[j] && s[i] && k < SERIES && one_picture(pool, s[i]->first, s[j]->first, phase)) {
                    together[k++] = s[j];
                    s[j] = j == i ? s[j] : NULL;
                }
            if (k > 0)
                status = picture(plots, from, together, k, phase, m, err);
            s[i] = NULL;
        }
    }
    plots->failed = plots->failed || !done || !s;
    sqa_arena_clear(&arena);
    return status;
}

enum sqa_status sqa_plots_scaling_time(struct sqa_plots *plots, const struct sqa_plots_from *from,
                                       struct sqa_err *err)
{
    return draw(plots, from, SQA_SCALING_TIME, err);
}

enum sqa_status sqa_plots_scaling_memory(struct sqa_plots *plots, const struct sqa_plots_from *from,
                                         struct sqa_err *err)
{
    return draw(plots, from, SQA_SCALING_PLANNED, err);
}
