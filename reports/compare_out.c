/* compare_out.c - a comparison as findings, JSON and CSV, see compare.h */
#include <math.h>

#include "base/csv.h"
#include "reports/compare.h"

static double per_cent(double log_ratio)
{
    return 100 * (exp(log_ratio) - 1);
}

static void say_time(const struct sqa_comparison *c, const struct sqa_compare_cell *cell, struct sqa_text *out)
{
    const struct sqa_timing *t = &cell->timing[0][c->clock], *second = &cell->timing[1][c->clock];
    sqa_text_add(out, "time ");
    if (!isnan(t->effect))
        sqa_text_printf(out, "%.3fx", exp(t->effect));
    if (!isnan(t->wide.low))
        sqa_text_printf(out, " [%.3f, %.3f]", exp(t->wide.low), exp(t->wide.high));
    if (!isnan(t->effect))
        sqa_text_printf(out, " of the base over %zu block%s: ", t->n, t->n == 1 ? "" : "s");
    sqa_text_add(out, sqa_timing_names[cell->time]);
    if (cell->time == SQA_TIMING_SLOWER || cell->time == SQA_TIMING_FASTER)
        sqa_text_printf(out, ", beyond %.1f %%", per_cent(t->delta));
    if (cell->confirmed)
        sqa_text_printf(out, ", confirmed by a second look (%.3fx)", exp(second->effect));
    else if (cell->time == SQA_TIMING_SLOWER)
        sqa_text_add(out, ", not confirmed: no second look");
    if (*cell->why)
        sqa_text_printf(out, " (%s)", cell->why);
    if (t->more > 0 && cell->time == t->verdict)
        sqa_text_printf(out, "; about %ld more round%s would tell", t->more, t->more == 1 ? "" : "s");
}

static void say_count(const struct sqa_compare_cell *cell, int i, struct sqa_text *out)
{
    const double base = cell->count[i][0], new = cell->count[i][1];
    sqa_text_printf(out, "%s %.15g -> %.15g", sqa_compare_count_names[i], base, new);
    if (base > 0)
        sqa_text_printf(out, " (%+.3g %%)", 100 * (new / base - 1));
    sqa_text_printf(out, ": %s", sqa_compare_verdict_names[cell->count_verdict[i]]);
}

static void say_score(const struct sqa_comparison *c, const struct sqa_compare_cell *cell, struct sqa_text *out)
{
    const char *unit = cell->score_name[0] == 'a' ? "points" : "% (less is better)";
    sqa_text_printf(out, "%s %.4f -> %.4f", cell->score_name, cell->score[0], cell->score[1]);
    if (cell->score_verdict != SQA_COMPARE_SAME) {
        sqa_text_printf(out, ", %+.2f", cell->difference);
        if (!isnan(cell->score_interval.low))
            sqa_text_printf(out, " [%+.2f, %+.2f]", cell->score_interval.low, cell->score_interval.high);
        sqa_text_printf(out, " %s", unit);
    }
    sqa_text_printf(out, " over %zu seed%s, margin %g: %s", cell->n_paired, cell->n_paired == 1 ? "" : "s", c->margin,
                    sqa_compare_verdict_names[cell->score_verdict]);
}

void sqa_compare_findings(const struct sqa_comparison *c, const struct sqa_compare_cell *cell, sqa_finding_fn *each,
                          void *user)
{
    struct sqa_text t = {0};
    if (cell->broken) {
        sqa_text_printf(&t, "ok in the base, here %s", cell->message[1]);
        each(user, "status", "broken", true, sqa_text_get(&t));
    }
    sqa_text_clear(&t);
    if (cell->timed) {
        say_time(c, cell, &t);
        each(user, "time", sqa_timing_names[cell->time], cell->time == SQA_TIMING_SLOWER && cell->confirmed,
             sqa_text_get(&t));
    }
    sqa_text_clear(&t);
    for (int i = 0; i < SQA_COUNT_N; i++) {
        if (cell->count_verdict[i] != SQA_COMPARE_WORSE && cell->count_verdict[i] != SQA_COMPARE_BETTER)
            continue;
        say_count(cell, i, &t);
        each(user, "count", sqa_compare_verdict_names[cell->count_verdict[i]],
             cell->count_verdict[i] == SQA_COMPARE_WORSE, sqa_text_get(&t));
        sqa_text_clear(&t);
    }
    if (cell->score_verdict != SQA_COMPARE_ABSENT) {
        say_score(c, cell, &t);
        each(user, "score", sqa_compare_verdict_names[cell->score_verdict], cell->score_verdict == SQA_COMPARE_WORSE,
             sqa_text_get(&t));
    }
    sqa_text_clear(&t);
}

/* JSON has no NaN: what is absent is null. */
static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *ratio_json(const struct sqa_timing *t)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:i}", "ratio", real(exp(t->effect)), "low", real(exp(t->wide.low)),
                     "high", real(exp(t->wide.high)), "floor_percent", real(per_cent(t->floor)), "threshold_percent",
                     real(per_cent(t->delta)), "blocks", (int)t->n);
}

static json_t *blocks_json(const struct sqa_blocks *b)
{
    json_t *o = json_object();
    for (int arm = 0; arm < SQA_ARMS; arm++) {
        json_t *values = json_array();
        for (size_t i = 0; i < b[arm].n; i++)
            json_array_append_new(values, real(b[arm].ns[i]));
        json_object_set_new(o, sqa_arm_names[arm], values);
    }
    return o;
}

static json_t *time_json(const struct sqa_comparison *c, const struct sqa_compare_cell *cell)
{
    const struct sqa_timing *t = &cell->timing[0][c->clock];
    const int other = c->clock == SQA_COMPARE_WALL ? SQA_COMPARE_CPU : SQA_COMPARE_WALL;
    json_t *o = ratio_json(t);
    json_object_set_new(o, "base_ns", real(cell->ns[0]));
    json_object_set_new(o, "new_ns", real(cell->ns[1]));
    json_object_set_new(o, "control_ratio", real(exp(t->control)));
    json_object_set_new(o, "p_slower", real(t->p_slower));
    json_object_set_new(o, "p_faster", real(t->p_faster));
    json_object_set_new(o, "mann_whitney_p", real(cell->ranks.p));
    json_object_set_new(o, "a12", real(cell->ranks.a12));
    json_object_set_new(o, "verdict", json_string(sqa_timing_names[cell->time]));
    json_object_set_new(o, "confirmed", json_boolean(cell->confirmed));
    json_object_set_new(o, "why", json_string(cell->why));
    json_object_set_new(o, "further_rounds", t->more < 0 ? json_null() : json_integer(t->more));
    json_object_set_new(o, sqa_compare_clock_names[other], ratio_json(&cell->timing[0][other]));
    json_object_set_new(o, "blocks_ns", blocks_json(cell->blocks[0][c->clock]));
    if (c->second_look && cell->timing[0][c->clock].verdict == SQA_TIMING_SLOWER) {
        json_t *second = ratio_json(&cell->timing[1][c->clock]);
        json_object_set_new(second, "verdict", json_string(sqa_timing_names[cell->timing[1][c->clock].verdict]));
        json_object_set_new(second, "blocks_ns", blocks_json(cell->blocks[1][c->clock]));
        json_object_set_new(o, "second_look", second);
    }
    return o;
}

static void add_finding(void *user, const char *kind, const char *verdict, bool regression, const char *text)
{
    json_array_append_new(user, json_pack("{s:s,s:s,s:b,s:s}", "kind", kind, "verdict", verdict, "regression",
                                          (int)regression, "text", text));
}

static json_t *cell_json(const struct sqa_comparison *c, const struct sqa_compare_cell *cell)
{
    static const char *const names[] = {
#define X(name) #name,
        SQA_COMPARE_IDENTITY(X)
#undef X
    };
    json_t *o = json_object(), *counts = json_object(), *findings = json_array();
    json_object_set_new(o, "name", json_string(cell->name));
    for (int i = 0; i < SQA_ID_N; i++)
        if (*cell->id[i])
            json_object_set_new(o, names[i], json_string(cell->id[i]));
    json_object_set_new(o, "regression", json_boolean(cell->regression));
    json_object_set_new(o, "other_model", json_boolean(sqa_compare_other_model(cell)));
    json_object_set_new(o, "other_recipe", json_boolean(sqa_compare_other_recipe(cell)));
    if (cell->timed)
        json_object_set_new(o, "time", time_json(c, cell));
    for (int i = 0; i < SQA_COUNT_N; i++)
        if (cell->count_verdict[i] != SQA_COMPARE_ABSENT)
            json_object_set_new(counts, sqa_compare_count_names[i],
                                json_pack("{s:o,s:o,s:s}", "base", real(cell->count[i][0]), "new",
                                          real(cell->count[i][1]), "verdict",
                                          sqa_compare_verdict_names[cell->count_verdict[i]]));
    json_object_set_new(o, "counts", counts);
    if (cell->score_verdict != SQA_COMPARE_ABSENT)
        json_object_set_new(o, "score",
                            json_pack("{s:s,s:i,s:o,s:o,s:o,s:o,s:o,s:s}", "name", cell->score_name, "seeds",
                                      (int)cell->n_paired, "base", real(cell->score[0]), "new", real(cell->score[1]),
                                      "difference", real(cell->difference), "low", real(cell->score_interval.low),
                                      "high", real(cell->score_interval.high), "verdict",
                                      sqa_compare_verdict_names[cell->score_verdict]));
    sqa_compare_findings(c, cell, add_finding, findings);
    json_object_set_new(o, "findings", findings);
    return o;
}

static json_t *arm_json(const struct sqa_compare_arm *a)
{
    return a->name ? json_pack("{s:s,s:s,s:s}", "name", a->name, "commit", a->commit, "fingerprint", a->fingerprint)
                   : json_null();
}

json_t *sqa_compare_json(const struct sqa_comparison *c)
{
    const long failures = sqa_alloc_failures();
    json_t *cells = json_array(), *unmatched = json_array();
    for (size_t i = 0; i < c->n; i++) {
        const struct sqa_compare_cell *cell = &c->cells[i];
        if (cell->present[0] && cell->present[1])
            json_array_append_new(cells, cell_json(c, cell));
        else if (cell->present[0] || cell->present[1])
            json_array_append_new(unmatched, json_pack("{s:s,s:s}", "only", sqa_arm_names[cell->present[0] ? 0 : 1],
                                                       "name", cell->name));
    }
    json_t *o =
        json_pack("{s:s,s:o,s:o,s:o,s:s,s:f,s:o,s:b,s:i,s:i}", "schema", "seqarena.compare/1", "base",
                  arm_json(&c->arm[SQA_ARM_BASE]), "new", arm_json(&c->arm[SQA_ARM_NEW]), "control",
                  arm_json(&c->arm[SQA_ARM_CONTROL]), "clock", sqa_compare_clock_names[c->clock], "margin_points",
                  c->margin, "stated_floor_percent", real(per_cent(c->floor)), "regression",
                  (int)(c->regressions > 0), "regressions", (int)c->regressions, "unsettled", (int)c->unsettled);
    if (o) {
        json_object_set_new(o, "geomean",
                            json_pack("{s:o,s:o,s:o}", "ratio", real(c->geomean), "low",
                                      real(c->geomean_interval.low), "high", real(c->geomean_interval.high)));
        json_object_set_new(o, "value", json_string(c->minimum ? "min" : "median"));
        json_object_set_new(o, "session", c->session ? json_incref(c->session) : json_null());
        json_object_set_new(o, "cells", cells);
        json_object_set_new(o, "unmatched", unmatched);
    }
    if (sqa_alloc_failures() == failures)
        return o;
    json_decref(o); /* something is missing in it */
    return NULL;
}

/* One line a timed cell, count or score: X(column). */
#define CSV_COLUMNS(X)      \
    SQA_COMPARE_IDENTITY(X) \
    X(metric)               \
    X(base)                 \
    X(new)                  \
    X(change)               \
    X(low)                  \
    X(high)                 \
    X(n)                    \
    X(floor_percent)        \
    X(threshold_percent)    \
    X(p)                    \
    X(mann_whitney_p)       \
    X(a12)                  \
    X(verdict)              \
    X(confirmed)            \
    X(further_rounds)       \
    X(why)
enum csv_column {
#define X(name) CSV_##name,
    CSV_COLUMNS(X)
#undef X
        CSV_N
};
_Static_assert((int)CSV_metric == (int)SQA_ID_N, "the columns of identity come first");

struct csv_row {
    const char *at[CSV_N];
    char text[CSV_N][32];
};

static void set(struct csv_row *r, int column, double v)
{
    r->at[column] = sqa_format_real(r->text[column], v);
}

static struct csv_row begin_row(const struct sqa_compare_cell *cell, const char *metric, const char *verdict)
{
    struct csv_row r = {.at = {""}};
    for (int i = 0; i < CSV_N; i++)
        r.at[i] = i < SQA_ID_N ? cell->id[i] : "";
    r.at[CSV_metric] = metric;
    r.at[CSV_verdict] = verdict;
    return r;
}

static void end_row(struct sqa_text *out, const struct csv_row *r)
{
    sqa_csv_add_row(out, CSV_N, r->at);
}

static void time_row(const struct sqa_comparison *c, const struct sqa_compare_cell *cell, struct sqa_text *out)
{
    const struct sqa_timing *t = &cell->timing[0][c->clock];
    struct csv_row r =
        begin_row(cell, c->clock == SQA_COMPARE_WALL ? "wall_ns" : "cpu_ns", sqa_timing_names[cell->time]);
    set(&r, CSV_base, cell->ns[0]);
    set(&r, CSV_new, cell->ns[1]);
    set(&r, CSV_change, exp(t->effect));
    set(&r, CSV_low, exp(t->wide.low));
    set(&r, CSV_high, exp(t->wide.high));
    set(&r, CSV_n, (double)t->n);
    set(&r, CSV_floor_percent, per_cent(t->floor));
    set(&r, CSV_threshold_percent, per_cent(t->delta));
    set(&r, CSV_p, t->p_slower);
    set(&r, CSV_mann_whitney_p, cell->ranks.p);
    set(&r, CSV_a12, cell->ranks.a12);
    r.at[CSV_confirmed] = cell->time != SQA_TIMING_SLOWER ? "" : cell->confirmed ? "1" : "0";
    set(&r, CSV_further_rounds, t->more < 0 ? (double)NAN : (double)t->more);
    r.at[CSV_why] = cell->why;
    end_row(out, &r);
}

void sqa_compare_csv(const struct sqa_comparison *c, struct sqa_text *out)
{
    static const char *const names[] = {
#define X(name) #name,
        CSV_COLUMNS(X)
#undef X
    };
    sqa_csv_add_row(out, CSV_N, names);
    for (size_t i = 0; i < c->n; i++) {
        const struct sqa_compare_cell *cell = &c->cells[i];
        if (!cell->present[0] || !cell->present[1])
            continue;
        if (cell->broken) {
            struct csv_row r = begin_row(cell, "status", "broken");
            r.at[CSV_why] = cell->message[1];
            end_row(out, &r);
        }
        if (cell->timed)
            time_row(c, cell, out);
        for (int k = 0; k < SQA_COUNT_N; k++) {
            if (cell->count_verdict[k] == SQA_COMPARE_ABSENT)
                continue;
            struct csv_row r =
                begin_row(cell, sqa_compare_count_names[k], sqa_compare_verdict_names[cell->count_verdict[k]]);
            set(&r, CSV_base, cell->count[k][0]);
            set(&r, CSV_new, cell->count[k][1]);
            set(&r, CSV_change, cell->count[k][0] > 0 ? cell->count[k][1] / cell->count[k][0] : (double)NAN);
            end_row(out, &r);
        }
        if (cell->score_verdict != SQA_COMPARE_ABSENT) {
            struct csv_row r = begin_row(cell, cell->score_name, sqa_compare_verdict_names[cell->score_verdict]);
            set(&r, CSV_base, cell->score[0]);
            set(&r, CSV_new, cell->score[1]);
            set(&r, CSV_change, cell->difference);
            set(&r, CSV_low, cell->score_interval.low);
            set(&r, CSV_high, cell->score_interval.high);
            set(&r, CSV_n, (double)cell->n_paired);
            end_row(out, &r);
        }
    }
}
