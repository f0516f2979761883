/* history.c - see history.h */
#include "reports/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "reports/json.h"

static enum sqa_status no_memory(struct sqa_err *err)
{
    return sqa_fail(err, SQA_NOMEM, "history: no memory for the changes; free some memory or name fewer runs");
}

bool sqa_history_too_short(const struct sqa_track *series, const struct sqa_edivisive *options)
{
    return series->n < (series->counted ? 2 : 2 * options->least);
}

/* Every place where a counted value differs from the one before. */
static enum sqa_status differences(struct sqa_track *s, const double *x, struct sqa_err *err)
{
    size_t last = 0;
    s->changes = sqa_alloc_array(s->n, sizeof *s->changes);
    if (!s->changes)
        return no_memory(err);
    for (size_t i = 1; i < s->n; i++) {
        if (sqa_change_magnitude(x[i - 1], x[i]) < 1e-9)
            continue;
        if (s->n_changes)
            s->changes[s->n_changes - 1].n_after = i - last;
        s->changes[s->n_changes++] = (struct sqa_change){i, x[i - 1], x[i], i - last, s->n - i, (double)NAN};
        last = i;
    }
    return SQA_OK;
}

enum sqa_status sqa_history_find(struct sqa_track_set *set, const struct sqa_edivisive *options, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (size_t i = 0; i < set->n && status == SQA_OK; i++) {
        struct sqa_track *s = &set->tracks[i];
        double *x = sqa_alloc_array(s->n + 1, sizeof *x);
        if (!x)
            return no_memory(err);
        struct sqa_edivisive o = *options;
        o.magnitude = s->magnitude > 0 ? s->magnitude : o.magnitude;
        for (size_t k = 0; k < s->n; k++)
            x[k] = s->points[k].value;
        status = s->counted ? differences(s, x, err) : sqa_edivisive(x, s->n, &o, &s->changes, &s->n_changes, err);
        sqa_free(x);
    }
    return status;
}

static int by_news(const void *a, const void *b)
{
    const struct sqa_history_row *x = a, *y = b;
    if (x->first != y->first)
        return x->first > y->first ? -1 : 1;
    const double p = sqa_change_magnitude(x->change->before, x->change->after),
                 q = sqa_change_magnitude(y->change->before, y->change->after);
    return p != q ? (p < q) - (p > q) : (x->track > y->track) - (x->track < y->track);
}

enum sqa_status sqa_history_rows(const struct sqa_track_set *set, struct sqa_history_row **rows, size_t *n,
                                 struct sqa_err *err)
{
    size_t room = 1;
    for (size_t i = 0; i < set->n; i++)
        room += set->tracks[i].n_changes;
    *n = 0;
    *rows = sqa_alloc_array(room, sizeof **rows);
    if (!*rows)
        return no_memory(err);
    for (size_t i = 0; i < set->n; i++)
        for (size_t k = 0; k < set->tracks[i].n_changes; k++) {
            const struct sqa_track *s = &set->tracks[i];
            const struct sqa_change *c = &s->changes[k];
            (*rows)[(*n)++] = (struct sqa_history_row){s, c, &set->runs[s->points[c->at - 1].run],
                                                       &set->runs[s->points[c->at].run]};
        }
    qsort(*rows, *n, sizeof **rows, by_news);
    return SQA_OK;
}

const char *sqa_history_verdict(const struct sqa_history_row *row)
{
    const bool up = row->change->after > row->change->before;
    if (row->track->direction == 0)
        return up ? "up" : "down";
    return up == (row->track->direction > 0) ? "better" : "worse";
}

/* NaN across 0. */
static double relative(const struct sqa_change *c)
{
    return c->before * c->after > 0 ? c->after / c->before - 1 : (double)NAN;
}

char *sqa_history_size(char buf[32], const struct sqa_change *c)
{
    if (c->before * c->after > 0)
        snprintf(buf, 32, "%+.3g %%", 100 * relative(c));
    else
        snprintf(buf, 32, "from %.3g", c->before);
    return buf;
}

static const char *or_dash(const char *s)
{
    return *s ? s : "-";
}

static char *format(char buf[32], const struct sqa_track *s, double x)
{
    if (strstr(s->value, "_ns"))
        return sqa_format_ns(buf, x);
    if (strstr(s->value, "_bytes"))
        return sqa_format_bytes(buf, x);
    snprintf(buf, 32, "%.5g", x);
    return buf;
}

/* Text of a table's cell. */
static void add_cell(struct sqa_text *out, const char *s)
{
    for (; *s; s++)
        sqa_text_add_bytes(out, *s == '|' ? "\\|" : s, *s == '|' ? 2 : 1);
}

static void markdown_row(struct sqa_text *out, const struct sqa_history_row *r)
{
    char size[32], before[32], after[32], p[32] = "counted";
    const struct sqa_change *c = r->change;
    if (!isnan(c->p))
        snprintf(p, sizeof p, c->p < 1e-9 ? "< 1e-9" : "%.2g", c->p);
    sqa_text_add(out, "| ");
    add_cell(out, or_dash(r->track->name));
    sqa_text_add(out, " | ");
    add_cell(out, r->track->value);
    sqa_text_printf(out, " | %s | %s | %s | %s | %s | %zu, %zu | ", sqa_history_size(size, c), sqa_history_verdict(r),
                    format(before, r->track, c->before), format(after, r->track, c->after), p, c->n_before,
                    c->n_after);
    add_cell(out, or_dash(r->last->commit));
    sqa_text_add(out, "..");
    add_cell(out, or_dash(r->first->commit));
    if (*r->first->commit && strcmp(r->last->commit, r->first->commit) == 0)
        sqa_text_add(out, " (one commit: not the code)");
    sqa_text_printf(out, " | %s | %.8s |\n", or_dash(r->first->time), or_dash(r->track->machine));
}

static size_t count_machines(const struct sqa_track_set *set)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n_runs; i++) {
        size_t k = 0;
        while (k < i && strcmp(set->runs[k].machine, set->runs[i].machine) != 0)
            k++;
        n += k == i;
    }
    return n;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void markdown_head(struct sqa_text *out, const struct sqa_track_set *set, const struct sqa_edivisive *o)
{
    const size_t machines = count_machines(set);
    size_t too_short = 0;
    for (size_t i = 0; i < set->n; i++)
        too_short += sqa_history_too_short(&set->tracks[i], o);
    sqa_text_printf(out, "# Change points\n\n%zu series from %zu run%s on %zu machine%s. ", set->n, set->n_runs,
                    plural(set->n_runs), machines, plural(machines));
    if (o->permutations)
        sqa_text_printf(out, "E-divisive means with %zu shuffles (seed %llu)", o->permutations,
                        (unsigned long long)o->seed);
    else
        sqa_text_printf(out, "E-divisive means in windows of %zu points with Student's t-test", o->window);
    sqa_text_printf(out, ": p at most %g, a change of at least %g %%, at least %zu points on either side. ", o->p,
                    100 * o->magnitude, o->least);
    if (too_short)
        sqa_text_printf(out, "%zu of the series %s too few points.", too_short, too_short == 1 ? "has" : "have");
    sqa_text_add(out, "\n\n");
}

void sqa_history_markdown(struct sqa_text *out, const struct sqa_track_set *set, const struct sqa_history_row *rows,
                          size_t n, const struct sqa_edivisive *options)
{
    markdown_head(out, set, options);
    if (n == 0) {
        sqa_text_add(out, "No change was found.\n");
        return;
    }
    sqa_text_add(out, "| series | value | change | | before | after | p | points | commits | first run | machine |\n"
                      "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | --- | --- | --- |\n");
    for (size_t i = 0; i < n; i++)
        markdown_row(out, &rows[i]);
    sqa_text_add(out, "\nA change came after the first commit of its range, and the second has it. Points: runs "
                      "before and after, up to the next change.\n");
}

void sqa_history_csv(struct sqa_text *out, const struct sqa_history_row *rows, size_t n)
{
    static const char *const columns[] = {"machine",  "series", "value",    "verdict", "commit_before",
                                          "commit",   "time",   "at",       "before",  "after",
                                          "relative", "p",      "n_before", "n_after"};
    enum { COLUMNS = sizeof columns / sizeof columns[0] };
    sqa_csv_add_row(out, COLUMNS, columns);
    for (size_t i = 0; i < n; i++) {
        const struct sqa_history_row *r = &rows[i];
        const struct sqa_change *c = r->change;
        char number[7][32] = {""};
        snprintf(number[0], sizeof number[0], "%zu", c->at);
        sqa_format_real(number[1], c->before);
        sqa_format_real(number[2], c->after);
        sqa_format_real(number[3], relative(c));
        sqa_format_real(number[4], c->p);
        snprintf(number[5], sizeof number[5], "%zu", c->n_before);
        snprintf(number[6], sizeof number[6], "%zu", c->n_after);
        const char *fields[COLUMNS] = {r->track->machine, r->track->name,   r->track->value, sqa_history_verdict(r),
                                       r->last->commit,   r->first->commit, r->first->time,  number[0],
                                       number[1],         number[2],        number[3],       number[4],
                                       number[5],         number[6]};
        sqa_csv_add_row(out, COLUMNS, fields);
    }
}

static json_t *json_changes(const struct sqa_track *s, struct sqa_json_list *failures)
{
    struct sqa_json_list list = {json_array(), false};
    for (size_t k = 0; k < s->n_changes; k++) {
        const struct sqa_change *c = &s->changes[k];
        sqa_json_append(&list,
                        json_pack("{s:I, s:f, s:f, s:o, s:o, s:I, s:I}", "at", (json_int_t)c->at, "before", c->before,
                                  "after", c->after, "relative", sqa_json_real(relative(c)), "p", sqa_json_real(c->p),
                                  "n_before", (json_int_t)c->n_before, "n_after", (json_int_t)c->n_after));
    }
    failures->failed = failures->failed || list.failed;
    return list.array;
}

static json_t *json_series(const struct sqa_track *s, struct sqa_json_list *failures)
{
    struct sqa_json_list run = {json_array(), false}, value = {json_array(), false};
    for (size_t k = 0; k < s->n; k++) {
        sqa_json_append(&run, json_integer((json_int_t)s->points[k].run));
        sqa_json_append(&value, sqa_json_real(s->points[k].value));
    }

    failures->failed = failures->failed || run.failed || value.failed;
    return json_pack("{s:o, s:o, s:o, s:i, s:b, s:o, s:o, s:o}", "machine", sqa_json_text(s->machine), "series",
                     sqa_json_text(s->name), "value", sqa_json_text(s->value), "direction", s->direction, "counted",
                     s->counted, "runs", run.array, "values", value.array, "changes", json_changes(s, failures));
}

void sqa_history_json(struct sqa_text *out, const struct sqa_track_set *set, const struct sqa_edivisive *o)
{
    struct sqa_json_list runs = {json_array(), false}, series = {json_array(), false};
    for (size_t r = 0; r < set->n_runs; r++)
        sqa_json_append(&runs,
                        json_pack("{s:o, s:o, s:o, s:o}", "time", sqa_json_text(set->runs[r].time), "commit",
                                  sqa_json_text(set->runs[r].commit), "machine", sqa_json_text(set->runs[r].machine),
                                  "place", sqa_json_text(set->runs[r].place)));
    for (size_t i = 0; i < set->n; i++)
        sqa_json_append(&series, json_series(&set->tracks[i], &series));
    out->failed = out->failed || runs.failed || series.failed;
    sqa_json_dump(out, json_pack("{s:s, s:{s:s, s:f, s:f, s:I, s:I, s:f, s:I, s:I}, s:o, s:o}", "schema",
                                 "seqarena.history/1", "settings", "test", o->permutations ? "permutation" : "t", "p",
                                 o->p, "magnitude", o->magnitude, "window", (json_int_t)o->window, "least",
                                 (json_int_t)o->least, "spike", o->spike, "permutations", (json_int_t)o->permutations,
                                 "seed", (json_int_t)o->seed, "runs", runs.array, "series", series.array));
}
