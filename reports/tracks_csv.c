/* tracks_csv.c - series from any CSV (see tracks.h) */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/csv.h"
#include "reports/tracks_private.h"

static const char *const time_names[] = {"time", "date", "datetime", "timestamp", "started", NULL};
static const char *const commit_names[] = {"commit", "revision", "rev", "sha", "version", "build", NULL};
static const char *const machine_names[] = {"machine", "fingerprint", NULL};

enum role { IGNORED, KEY, NUMBER, TIME, COMMIT, MACHINE };

struct table {
    const char *path;
    struct sqa_sheet sheet;
    enum role *role;           /* of each column */
    int time, commit, machine; /* columns, -1 when absent */
};

static int find(const struct sqa_sheet *sheet, const char *const *names)
{
    for (; *names; names++)
        for (size_t c = 0; c < sheet->ncol; c++)
            if (strcasecmp(sheet->names[c], *names) == 0)
                return (int)c;
    return -1;
}

static bool all_numbers(const struct sqa_sheet *sheet, size_t column)
{
    size_t n = 0;
    double x;
    for (size_t r = 0; r < sheet->nrow; r++) {
        if (sheet->row[r][column][0] && !sqa_parse_real(sheet->row[r][column], &x))
            return false;
        n += sheet->row[r][column][0] != '\0';
    }
    return n > 0;
}

static enum sqa_status set_roles(struct table *t, const char *const *keys, struct sqa_err *err)
{
    t->time = find(&t->sheet, time_names);
    t->commit = find(&t->sheet, commit_names);
    t->machine = find(&t->sheet, machine_names);
    for (size_t c = 0; c < t->sheet.ncol; c++)
        t->role[c] = (int)c == t->time           ? TIME
                     : (int)c == t->commit       ? COMMIT
                     : (int)c == t->machine      ? MACHINE
                     : all_numbers(&t->sheet, c) ? NUMBER
                     : keys[0]                   ? IGNORED
                                                 : KEY;
    for (; *keys; keys++) {
        const int c = sqa_sheet_column(&t->sheet, *keys);
        if (c < 0)
            return sqa_fail(err, SQA_USAGE,
                            "history: --key %.100s: %.200s has no such column; give names of its first line", *keys,
                            t->path);
        t->role[c] = KEY;
    }
    for (size_t c = 0; c < t->sheet.ncol; c++)
        if (t->role[c] == NUMBER)
            return SQA_OK;
    return sqa_fail(err, SQA_INPUT, "%s: no column of numbers; give columns time, commit and one a value", t->path);
}

static const char *field(const struct table *t, size_t row, int column)
{
    return column < 0 ? "" : t->sheet.row[row][column];
}

static enum sqa_status add_row(const struct table *t, size_t row, sqa_track_filter *wanted, void *user,
                               struct sqa_track_set *set, struct sqa_err *err)
{
    struct sqa_text name = {0}, place = {0};
    sqa_text_printf(&place, "%s, row %zu", t->path, row + 1);
    const struct sqa_track_run run = {field(t, row, t->time), field(t, row, t->commit), field(t, row, t->machine),
                                      sqa_text_get(&place)};
    for (size_t c = 0; c < t->sheet.ncol; c++)
        if (t->role[c] == KEY && t->sheet.row[row][c][0])
            sqa_text_printf(&name, "%s%s=%s", name.length ? "/" : "", t->sheet.names[c], t->sheet.row[row][c]);
    enum sqa_status status =
        name.failed || place.failed ? sqa_track_no_memory(err) : sqa_track_add_run(set, &run, err);
    for (size_t c = 0; c < t->sheet.ncol && status == SQA_OK; c++) {
        const struct sqa_track like = {
            .machine = run.machine, .name = sqa_text_get(&name), .value = t->sheet.names[c]};
        double x;
        if (t->role[c] == NUMBER && sqa_parse_real(t->sheet.row[row][c], &x) && (!wanted || wanted(user, like.value)))
            status = sqa_track_add(set, &like, set->n_runs - 1, x, err);
    }
    sqa_text_clear(&name);
    sqa_text_clear(&place);
    return status;
}

enum sqa_status sqa_track_csv(const char *path, const char *const *keys, sqa_track_filter *wanted, void *user,
                              struct sqa_track_set *set, struct sqa_err *err)
{
    struct table t = {.path = path};
    enum sqa_status status = sqa_sheet_read(path, &t.sheet, err);
    if (status != SQA_OK)
        return status;
    t.role = sqa_alloc_array(t.sheet.ncol + 1, sizeof *t.role);
    status = t.role ? set_roles(&t, keys, err) : sqa_track_no_memory(err);
    for (size_t r = 0; r < t.sheet.nrow && status == SQA_OK; r++)
        status = add_row(&t, r, wanted, user, set, err);
    sqa_free(t.role);
    sqa_sheet_clear(&t.sheet);
    return status;
}
