/* otava.c - the CSV of Apache Otava (interchange.h) */
#include <string.h>

#include "base/csv.h"
#include "reports/interchange.h"

/* Names without commas: Otava's --metrics takes a list with commas. */
static const char *column_name(const struct sqa_track *t, struct sqa_arena *arena)
{
    char *name = sqa_arena_printf(arena, "%s/%s", t->name, t->value);
    for (char *s = name; s && *s; s++)
        *s = *s == ',' ? ';' : *s;
    return name;
}

/* A track has its points in the order of runs, so one that has as many as there are runs has them all. */
static size_t choose(const struct sqa_track_set *set, const struct sqa_track **chosen)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n && n < SQA_CSV_COLUMNS_MAX - 2; i++)
        if (set->tracks[i].n == set->n_runs)
            chosen[n++] = &set->tracks[i];
    return n;
}

enum sqa_status sqa_otava_csv(struct sqa_text *out, const struct sqa_track_set *set, struct sqa_err *err)
{
    struct sqa_arena arena = {0};
    const struct sqa_track **chosen = sqa_arena_alloc(&arena, (set->n + 1) * sizeof *chosen);
    const char **fields = sqa_arena_alloc(&arena, (set->n + 2) * sizeof *fields);
    char(*number)[32] = sqa_arena_alloc(&arena, (set->n + 1) * sizeof *number);
    size_t n = 0;
    enum sqa_status status = SQA_OK;
    for (size_t r = 1; r < set->n_runs && status == SQA_OK; r++)
        if (strcmp(set->runs[r].machine, set->runs[0].machine) != 0)
            status = sqa_fail(err, SQA_INPUT, "%s: another machine than %s; name runs of one machine",
                              set->runs[r].place, set->runs[0].place);
    out->failed = out->failed || !chosen || !fields || !number;
    if (status == SQA_OK && !out->failed)
        n = choose(set, chosen);
    if (status == SQA_OK && !out->failed && n == 0)
        status = sqa_fail(err, SQA_INPUT, "%s: no value that all runs have; name runs of the same cells",
                          set->n_runs ? set->runs[0].place : "report");
    if (status == SQA_OK && !out->failed) {
        fields[0] = "time";
        fields[1] = "commit";
        for (size_t k = 0; k < n; k++) {
            fields[2 + k] = column_name(chosen[k], &arena);
            out->failed = out->failed || !fields[2 + k];
        }
        sqa_csv_add_row(out, n + 2, fields);
        for (size_t r = 0; r < set->n_runs; r++) {
            fields[0] = set->runs[r].time;
            fields[1] = set->runs[r].commit;
            for (size_t k = 0; k < n; k++)
                fields[2 + k] = sqa_format_real(number[k], chosen[k]->points[r].value);
            sqa_csv_add_row(out, n + 2, fields);
        }
    }
    sqa_arena_clear(&arena);
    return status;
}
