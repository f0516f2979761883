/* verb_data.c - data: look at, check and write out the data of tasks */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "harness/export_data.h"
#include "harness/sheet.h"
#include "harness/verbs.h"
#include "tasks/task.h"

struct options {
    const char *data, *output, *split;
    int64_t n;
};
static const struct sqa_option table[] = {
    {"data", 0, SQA_OPTION_TEXT, "DIR", "where data files lie", offsetof(struct options, data), 0, 0},
    {"output", 'o', SQA_OPTION_TEXT, "PATH", "directory that export and make write to; PNG file that show writes",
     offsetof(struct options, output), 0, 0},
    {"split", 0, SQA_OPTION_TEXT, "NAME", "train, valid or test (default train for show, all for export)",
     offsetof(struct options, split), 0, 0},
    {"n", 'n', SQA_OPTION_INT, "N", "examples to show (default 5)", offsetof(struct options, n), 1, 1000000},
    {.name = NULL},
};
static void set_defaults(void *options)
{
    ((struct options *)options)->n = 5;
}

static enum sqa_status split_of(const char *name, int *split, struct sqa_err *err)
{
    for (int i = 0; i < SQA_SPLITS; i++)
        if (strcmp(name, sqa_split_keys[i]) == 0) {
            *split = i;
            return SQA_OK;
        }
    return sqa_fail(err, SQA_USAGE, "data: --split %.50s; give train, valid or test", name);
}

static enum sqa_status show(const struct sqa_dataset *ds, const struct options *o, struct sqa_err *err)
{
    struct sqa_text t = {0};
    int split = SQA_TRAIN;
    enum sqa_status status = o->split ? split_of(o->split, &split, err) : SQA_OK;
    if (status == SQA_OK && o->output) {
        status = sqa_sheet_write(ds, (enum sqa_split)split, o->n, o->output, &t, err);
        if (status == SQA_OK)
            return sqa_print(&t, NULL, err);
        sqa_text_clear(&t);
        return status;
    }
    if (status == SQA_OK && !ds->task->show)
        status = sqa_fail(err, SQA_UNSUPPORTED, "data show: %s has nothing to show; use data export", ds->task->id);
    for (int64_t i = 0; i < o->n && i < ds->count[split] && status == SQA_OK; i++) {
        status = ds->task->show(ds, (enum sqa_split)split, (uint32_t)i, &t, err);
        if (t.length && t.text[t.length - 1] != '\n')
            sqa_text_add(&t, "\n");
    }
    if (status == SQA_OK)
        return sqa_print(&t, NULL, err);
    sqa_text_clear(&t);
    return status;
}

struct facts { /* what verify finds out about one split */
    int64_t shortest, longest, positions;
    int64_t labels[256], labelled;
    double sum, squares;
    int64_t numbers;
};

static enum sqa_status check_batch(const struct sqa_dataset *ds, const char *split, const struct sqa_batch *b,
                                   struct facts *f, struct sqa_err *err)
{
    const int64_t rows = sqa_rows_an_example(ds->task->kind);
    for (int64_t i = 0; i < b->n * rows; i++) {
        const int64_t length = b->lengths ? b->lengths[i] : b->length;
        f->shortest = length < f->shortest ? length : f->shortest;
        f->longest = length > f->longest ? length : f->longest;
        f->positions += length;
        for (int64_t k = 0; b->tokens && k < b->length; k++)
            if (b->tokens[i * b->length + k] < 0 || b->tokens[i * b->length + k] >= ds->vocab)
                return sqa_fail(err, SQA_INPUT,
                                "%s: %s example %u has token %d outside 0 to %lld; check the data files", ds->spec,
                                split, b->index[i / rows], b->tokens[i * b->length + k], (long long)ds->vocab - 1);
    }
    const int64_t places = sqa_labels_a_row(ds->task->kind, b->length);
    for (int64_t i = 0; i < b->n; i++) {
        for (int64_t k = i * places; b->labels && k < (i + 1) * places; k++) {
            const bool none = ds->task->kind == SQA_TAG && b->labels[k] == -1;
            if (!none && (b->labels[k] < 0 || b->labels[k] >= ds->classes))
                return sqa_fail(err, SQA_INPUT,
                                "%s: %s example %u has label %d outside 0 to %lld; check the data files", ds->spec,
                                split, b->index[i], b->labels[k], (long long)ds->classes - 1);
            f->labels[b->labels[k] & 255] += !none;
            f->labelled += !none;
        }
    }
    for (int64_t k = 0; b->x && k < b->n * b->length * b->channels; k++)
        if (!isfinite(b->x[k]))
            return sqa_fail(err, SQA_INPUT, "%s: %s example %u has an input that is not finite; check the data files",
                            ds->spec, split, b->index[k / (b->length * b->channels)]);
    for (int64_t k = 0; b->y && k < b->n * b->horizon * b->outputs; k++) {
        if (!isfinite(b->y[k]))
            return sqa_fail(err, SQA_INPUT, "%s: %s has a value that is not finite; check the data files", ds->spec,
                            split);
        f->sum += b->y[k];
        f->squares += b->y[k] * b->y[k];
        f->numbers++;
    }
    return SQA_OK;
}

static void add_facts(const struct sqa_dataset *ds, int s, const struct facts *f, struct sqa_columns *c)
{
    char count[32], lengths[64], detail[160] = "";
    snprintf(count, sizeof count, "%lld", (long long)ds->count[s]);
    snprintf(lengths, sizeof lengths, "%lld to %lld, mean %.1f", (long long)f->shortest, (long long)f->longest,
             (double)f->positions / (double)(ds->count[s] * sqa_rows_an_example(ds->task->kind)));
    int n = 0;
    for (int64_t k = 0; ds->classes && k < ds->classes && k < 256 && n < 140; k++)
        n += snprintf(detail + n, sizeof detail - (size_t)n, "%s%.1f", k ? " " : "",
                      100 * (double)f->labels[k] / (double)f->labelled);
    if (f->numbers)
        snprintf(detail, sizeof detail, "targets: mean %.4f, mean square %.4f", f->sum / (double)f->numbers,
                 f->squares / (double)f->numbers);
    sqa_columns_add(c, (const char *const[]){sqa_split_keys[s], count, lengths, ds->split_hash[s], detail});
}

static enum sqa_status verify(const struct sqa_dataset *ds, struct sqa_err *err)
{
    struct sqa_batch *b = sqa_batch_create(ds, 256, ds->length);
    struct sqa_columns c = {.n = 5, .right = 2};
    struct sqa_text t = {0};
    uint32_t index[256];
    enum sqa_status status = b ? SQA_OK : sqa_fail(err, SQA_NOMEM, "data: no memory; free some memory and run again");
    sqa_columns_add(&c, (const char *const[]){"split", "examples", "positions", "hash",
                                              ds->classes ? "labels 0, 1, ... in %" : "values"});
    for (int s = 0; s < SQA_SPLITS && status == SQA_OK; s++) {
        struct facts f = {.shortest = INT64_MAX};
        for (int64_t i = 0; i < ds->count[s] && status == SQA_OK; i += 256) {
            const int64_t n = ds->count[s] - i < 256 ? ds->count[s] - i : 256;
            for (int64_t k = 0; k < n; k++)
                index[k] = (uint32_t)(i + k);
            b->length = sqa_dataset_batch_length(ds, (enum sqa_split)s, index, n, 1);
            status = ds->task->fetch(ds, (enum sqa_split)s, index, n, b, err);
            if (status == SQA_OK)
                status = check_batch(ds, sqa_split_keys[s], b, &f, err);
        }
        if (status == SQA_OK && ds->count[s] > 0)
            add_facts(ds, s, &f, &c);
    }
    sqa_batch_free(b);
    sqa_text_printf(&t, "%s\n", ds->full_spec);
    sqa_columns_print(&c, &t);
    if (ds->note && *ds->note)
        sqa_text_printf(&t, "note: %s\n", ds->note);
    if (status == SQA_OK)
        return sqa_print(&t, NULL, err);
    sqa_text_clear(&t);
    return status;
}

static volatile int interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static enum sqa_status export_all(const struct sqa_dataset *ds, const struct options *o, struct sqa_err *err)
{
    int only = -1;
    enum sqa_status status = o->split ? split_of(o->split, &only, err) : SQA_OK;
    if (status == SQA_OK)
        status = sqa_data_export(ds, o->output, only, &interrupted, err);
    if (status == SQA_OK)
        printf("%s: %s of %s as .npy, described in meta.json%s\n", o->output,
               o->split ? o->split : "train, valid, test", ds->spec,
               only < 0 || only == SQA_TEST ? "; labels of test are among them" : "");
    return status;
}

/* "ETTh1.csv: DIR" of every file a task reads, or where it was looked for. */
static void list_files(const struct sqa_task *task, const struct sqa_task_env *env, struct sqa_text *out)
{
    char path[4096];
    if (!task->files || !task->files[0])
        sqa_text_add(out, "none needed");
    for (const char *const *f = task->files; f && *f; f++) {
        sqa_text_printf(out, "%s%s", f > task->files ? "; " : "", *f);
        if (!strchr(*f, '='))
            sqa_text_printf(out, ": %s", sqa_data_find(env, *f, "", NULL, path, NULL) == SQA_OK ? path : "not here");
    }
}

static enum sqa_status list(const struct sqa_task_env *env, struct sqa_err *err)
{
    struct sqa_columns c = {.n = 4};
    struct sqa_text t = {0}, files = {0};
    sqa_columns_add(&c, (const char *const[]){"task", "kind", "files", "where the data come from"});
    for (int i = 0; sqa_tasks[i]; i++) {
        files.length = 0;
        list_files(sqa_tasks[i], env, &files);
        sqa_columns_add(&c, (const char *const[]){sqa_tasks[i]->id, sqa_task_kind_name(sqa_tasks[i]->kind),
                                                  sqa_text_get(&files), sqa_tasks[i]->source});
    }
    sqa_columns_print(&c, &t);
    sqa_text_add(&t, "files are looked for in ");
    sqa_data_places(env, &t);
    sqa_text_add(&t, "\n");
    t.failed = t.failed || files.failed;
    sqa_text_clear(&files);
    return sqa_print(&t, NULL, err);
}

static enum sqa_status verify_export(const char *dir, struct sqa_err *err)
{
    struct sqa_text t = {0};
    enum sqa_status status = sqa_data_export_check(dir, &t, err);
    const enum sqa_status printed = sqa_print(&t, NULL, status == SQA_OK ? err : NULL);
    return status == SQA_OK ? printed : status;
}

static enum sqa_status run(void *options, const struct sqa_texts *operands, struct sqa_err *err)
{
    const struct options *o = options;
    const char *what = operands->at[0];
    const struct sqa_task_env env = {.data_dir = o->data, .interrupted = &interrupted};
    struct sqa_dataset *ds;
    if (strcmp(what, "list") == 0)
        return list(&env, err);
    const bool exports = strcmp(what, "export") == 0 || strcmp(what, "make") == 0;
    const bool verifies = strcmp(what, "verify") == 0;
    if (!exports && !verifies && strcmp(what, "show") != 0)
        return sqa_fail(err, SQA_USAGE, "data: '%.100s'; give list, make, show, export or verify", what);
    if (operands->n < 2)
        return sqa_fail(err, SQA_USAGE, "data %s: no task; give one of seqarena list tasks", what);
    struct stat st;
    if (verifies && stat(operands->at[1], &st) == 0 && S_ISDIR(st.st_mode))
        return verify_export(operands->at[1], err);
    if (exports && !o->output)
        return sqa_fail(err, SQA_USAGE, "data: -o is missing; give the directory to write to");
    if (exports) {
        struct sigaction a = {.sa_handler = on_signal};
        sigaction(SIGINT, &a, NULL);
        sigaction(SIGTERM, &a, NULL);
    }
    enum sqa_status status = sqa_dataset_open(operands->at[1], &env, &ds, err);
    if (status != SQA_OK)
        return status;
    status = exports ? export_all(ds, o, err) : verifies ? verify(ds, err) : show(ds, o, err);
    sqa_dataset_close(ds);
    return status;
}

const struct sqa_verb sqa_verb_data = {
    .name = "data",
    .usage = "{list|make|show|export|verify} [TASK|DIR] [-o PATH]",
    .help = "look at, check and write out the data of a task",
    .options = table,
    .options_size = sizeof(struct options),
    .operands_min = 1,
    .operands_max = 2,
    .defaults = set_defaults,
    .run = run,
    .more =
        "list says where the files of each task are, or were looked for. verify reads every example and prints\n"
        "counts, hashes and balances; given a directory of export it compares checksums. export (or make) writes\n"
        "each split as .npy files and meta.json, for models of other programs: see docs/external-models.md and\n"
        "seqarena score. show with -o writes a contact sheet of pictures as PNG.\n\n"
        "examples:\n  seqarena data show listops:min=16,max=64 -n 3\n"
        "  seqarena data show pathfinder:level=easy -n 64 -o sheet.png\n"
        "  seqarena data verify etth1:lookback=336 --data DIR\n"
        "  seqarena data export listops:min=16,max=64 -o lists\n",
};
