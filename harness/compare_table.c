/* compare_table.c - see compare_table.h */
#include "harness/compare_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/verbs.h"

static const char *colour_of(enum sqa_timing_verdict v)
{
    switch (v) {
    case SQA_TIMING_SLOWER:
        return "\033[31m";
    case SQA_TIMING_FASTER:
        return "\033[32m";
    case SQA_TIMING_SAME:
        return "";
    default:
        return "\033[33m";
    }
}

static const char *per_cent(char buf[32], double log_ratio, const char *format)
{
    const double v = 100 * (exp(log_ratio) - 1);
    if (isnan(v))
        return "-";
    snprintf(buf, 32, format, v);
    return buf;
}

static void add_row(struct sqa_columns *t, const struct sqa_comparison *c, const struct sqa_compare_cell *cell,
                    bool colour)
{
    const struct sqa_timing *x = &cell->timing[0][c->clock];
    char base[32], new[32], change[32], low[32], high[32], interval[80], floor[32], rounds[32], verdict[240];
    snprintf(interval, sizeof interval, isnan(x->wide.low) ? "-" : "[%s, %s]", per_cent(low, x->wide.low, "%+.1f"),
             per_cent(high, x->wide.high, "%+.1f"));
    snprintf(rounds, sizeof rounds, "%zu", x->n);
    const char *paint = colour ? colour_of(cell->time) : "";
    snprintf(verdict, sizeof verdict, "%s%s%s%s", paint, sqa_timing_names[cell->time],
             cell->time != SQA_TIMING_SLOWER ? ""
             : cell->confirmed               ? ", confirmed"
                                             : ", not confirmed",
             *paint ? "\033[0m" : "");
    if (*cell->why)
        snprintf(verdict + strlen(verdict), sizeof verdict - strlen(verdict), ": %s", cell->why);
    if (x->more > 0 && cell->time == x->verdict)
        snprintf(verdict + strlen(verdict), sizeof verdict - strlen(verdict), "; %ld more round%s", x->more,
                 x->more == 1 ? "" : "s");
    sqa_columns_add(t, (const char *const[]){cell->id[SQA_ID_model], cell->id[SQA_ID_task], cell->id[SQA_ID_phase],
                                             cell->id[SQA_ID_length],
                                             isnan(cell->ns[0]) ? "-" : sqa_format_ns(base, cell->ns[0]),
                                             isnan(cell->ns[1]) ? "-" : sqa_format_ns(new, cell->ns[1]),
                                             per_cent(change, x->effect, "%+.1f %%"), interval,
                                             per_cent(floor, x->floor, "%.1f %%"), rounds, verdict});
}

struct lines {
    struct sqa_text *out;
    const char *cell;
    size_t counts;
};

static void add_finding(void *user, const char *kind, const char *verdict, bool regression, const char *text)
{
    struct lines *l = user;
    (void)verdict;
    (void)regression;
    if (strcmp(kind, "time") == 0)
        return;
    sqa_text_printf(l->out, "%s: %s\n", l->cell, text);
    l->counts += strcmp(kind, "count") == 0;
}

static bool has_same_count(const struct sqa_compare_cell *cell)
{
    for (int k = 0; k < SQA_COUNT_N; k++)
        if (cell->count_verdict[k] == SQA_COMPARE_SAME)
            return true;
    return false;
}

static void add_others(const struct sqa_comparison *c, struct sqa_text *out)
{
    struct lines l = {.out = out};
    bool same = false;
    for (size_t i = 0; i < c->n; i++) {
        const struct sqa_compare_cell *cell = &c->cells[i];
        if (cell->present[0] != cell->present[1])
            sqa_text_printf(out, "only in %s: %s\n", sqa_arm_names[cell->present[0] ? 0 : 1], cell->name);
        if (!cell->present[0] || !cell->present[1])
            continue;
        l.cell = cell->name;
        sqa_compare_findings(c, cell, add_finding, &l);
        same = same || has_same_count(cell);
        if (sqa_compare_other_model(cell))
            sqa_text_printf(out, "%s: built as %s in the base, as %s here\n", cell->name, cell->full[0],
                            cell->full[1]);
        if (sqa_compare_other_recipe(cell))
            sqa_text_printf(out, "%s: trained by other settings (column recipe): the score is of those too\n",
                            cell->name);
    }
    if (same)
        sqa_text_add(out, l.counts ? "all other flops, bytes and memory are the same\n"
                                   : "flops, bytes and memory are the same\n");
}

static void add_sentence(const struct sqa_comparison *c, struct sqa_text *out)
{
    int n = 0;
    sqa_text_printf(out, "\n%zu cell%s compared, %zu timed (%s clock)", c->matched, c->matched == 1 ? "" : "s",
                    c->timed, sqa_compare_clock_names[c->clock]);
    for (int v = 0; v <= SQA_TIMING_UNFIT; v++)
        if (c->verdicts[v])
            sqa_text_printf(out, "%s%zu %s", n++ ? ", " : ": ", c->verdicts[v], sqa_timing_names[v]);
    if (c->timed > 1 && !isnan(c->geomean_interval.low))
        sqa_text_printf(out, "; together %.3fx [%.3f, %.3f]", c->geomean, c->geomean_interval.low,
                        c->geomean_interval.high);
    sqa_text_add(out, "\n");
    for (size_t i = 0, said = 0; i < c->n && !said; i++) {
        const struct sqa_compare_cell *cell = &c->cells[i];
        if (cell->timed && !cell->timing[0][c->clock].controlled && isnan(c->floor)) {
            sqa_text_add(out, "no time is told: nothing says what this machine can tell; give --control RUN, a "
                              "further run of the base, or compare live\n");
            said = 1;
        }
    }
    if (c->verdicts[SQA_TIMING_SLOWER] > 0 && !c->second_look)
        sqa_text_add(out, "slower, but seen once only: give --confirm RUN, a further run of the new arm, or compare "
                          "live; unconfirmed, it fails nothing\n");
}

void sqa_compare_table(const struct sqa_comparison *c, bool colour, struct sqa_text *out)
{
    struct sqa_columns t = {.n = 11, .right = 0x3F8};
    sqa_text_printf(out, "base %s%s%s, new %s%s%s\n\n", c->arm[0].name, *c->arm[0].commit ? " at " : "",
                    c->arm[0].commit, c->arm[1].name, *c->arm[1].commit ? " at " : "", c->arm[1].commit);
    sqa_columns_add(&t, (const char *const[]){"model", "task", "phase", "length", "base", "new", "change", "95 %",
                                              "floor", "rounds", "verdict"});
    for (size_t i = 0; i < c->n; i++)
        if (c->cells[i].timed)
            add_row(&t, c, &c->cells[i], colour);
    struct sqa_text none = {0};
    sqa_columns_print(&t, c->timed ? out : &none);
    sqa_text_clear(&none);
    if (c->timed)
        sqa_text_add(out, "\n");
    add_others(c, out);
    add_sentence(c, out);
}
