/* rundir.c - see rundir.h */
#include "harness/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/file.h"
#include "harness/measure/measure.h"
#include "harness/version.h"
#include "models/variant.h"
#include "results/schema.h"
#include "tasks/task.h"

static json_t *titles(void)
{
    json_t *models = json_object(), *tasks = json_object(), *controls = json_array(), *floors = json_array();
    json_t *complexity = json_object();
    for (int i = 0; sqa_variants[i]; i++) {
        const struct sqa_variant *v = sqa_variants[i];
        json_object_set_new(models, v->id, json_string(v->title));
        if (v->complexity)
            json_object_set_new(complexity, v->id, json_string(v->complexity));
        if (v->traits & SQA_TRAIT_CONTROL)
            json_array_append_new(controls, json_string(v->id));
        if (v->slot == SQA_SLOT_FLOOR)
            json_array_append_new(floors, json_string(v->id));
    }
    for (int i = 0; sqa_tasks[i]; i++)
        json_object_set_new(tasks, sqa_tasks[i]->id, json_string(sqa_tasks[i]->title));
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "models", models, "tasks", tasks, "controls", controls, "floors",
                     floors, "complexity", complexity);
}

static enum sqa_status write_run_json(const struct sqa_rundir *d, struct sqa_err *err)
{
    char path[4096], started[32];
    const time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_t *command = json_array();
    for (int i = 0; i < d->options->argc; i++)
        json_array_append_new(command, json_string(i == 0 ? "seqarena" : d->options->argv[i]));
    json_t *doc =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "schema", "seqarena.run/1", "version", SQA_VERSION,
                  "commit", sqa_commit, "build", sqa_build_id(), "started", started, "command", command, "plan",
                  sqa_plan_json(d->plan), "titles", titles(), "environment", sqa_environment(1));
    if (*d->plan->counters &&
        json_object_set_new(doc, "counters", sqa_counters_json(&sqa_counter_machine, d->plan->counters)) != 0) {
        json_decref(doc);
        doc = NULL;
    }
    char *text = doc ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    enum sqa_status status;
    snprintf(path, sizeof path, "%s/run.json", d->path);
    status = text ? sqa_file_write(path, text, strlen(text), err)
                  : sqa_fail(err, SQA_NOMEM, "%s: no memory; free some memory and run again", path);
    sqa_free(text);
    json_decref(doc);
    return status;
}

static enum sqa_status check_same(const struct sqa_rundir *d, struct sqa_err *err)
{
    struct sqa_run_plan old = {0};
    json_t *doc = NULL;
    enum sqa_status status = sqa_plan_read(d->path, &old, &doc, err);
    if (status != SQA_OK)
        return status;
    const char *build = json_string_value(json_object_get(doc, "build"));
    if (strcmp(old.hash, d->plan->hash) != 0)
        status =
            sqa_fail(err, SQA_INPUT, "%s: holds another plan (%d cells, %s); give the same command or another -o",
                     d->path, old.n, old.hash);
    else if ((!build || strcmp(build, sqa_build_id()) != 0) && !d->options->mixed)
        status = sqa_fail(err, SQA_INPUT,
                          "%s: begun by another build of seqarena; add --mixed to go on with this one, or "
                          "choose another -o",
                          d->path);
    json_decref(doc);
    sqa_run_plan_clear(&old);
    return status;
}

static enum sqa_status lock_directory(struct sqa_rundir *d, struct sqa_err *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/parts", d->path);
    enum sqa_status status = sqa_make_dirs(path, err);
    if (status != SQA_OK)
        return status;
    snprintf(path, sizeof path, "%s/lock", d->path);
    d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (d->lock < 0)
        return sqa_file_fail(err, path, errno);
    if (flock(d->lock, LOCK_EX | LOCK_NB) == 0)
        return SQA_OK;
    const int number = errno;
    close(d->lock);
    d->lock = -1;
    return number == EWOULDBLOCK
               ? sqa_fail(err, SQA_INPUT, "%s: in use by another seqarena; wait for it or choose another -o", d->path)
               : sqa_file_fail(err, path, number);
}

static void choose_directory(struct sqa_rundir *d)
{
    if (d->options->dir) {
        snprintf(d->path, sizeof d->path, "%s", d->options->dir);
        return;
    }
    char when[32];
    const time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y%m%d-%H%M%S", &tm);
    snprintf(d->path, sizeof d->path, "results/runs/%s-%.6s", when, d->plan->hash);
}

void sqa_rundir_remove_part(const char *dir, const char *key)
{
    char path[4096];
    for (int i = 0; i < SQA_FILES; i++) {
        snprintf(path, sizeof path, "%s/parts/%s/%s", dir, key, sqa_schemas[i].file);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/parts/%s/log.txt", dir, key);
    unlink(path);
    snprintf(path, sizeof path, "%s/parts/%s", dir, key);
    rmdir(path);
}

static void link_latest(const struct sqa_rundir *d)
{
    const char *name = strrchr(d->path, '/');
    if (d->options->dir || !name)
        return;
    unlink("results/runs/latest");
    if (symlink(name + 1, "results/runs/latest") != 0)
        return; /* a convenience only */
}

enum sqa_status sqa_rundir_open(struct sqa_rundir *d, const struct sqa_run_plan *p, const struct sqa_drive_options *o,
                                struct sqa_err *err)
{
    char path[4096];
    *d = (struct sqa_rundir){.lock = -1, .plan = p, .options = o};
    if (o->dir && strlen(o->dir) >= sizeof d->path)
        return sqa_fail(err, SQA_USAGE, "-o %.100s...: path too long; choose a shorter one", o->dir);
    choose_directory(d);
    enum sqa_status status = lock_directory(d, err);
    if (status != SQA_OK)
        return status;
    snprintf(path, sizeof path, "%s/run.json", d->path);
    status = sqa_file_exists(path) ? check_same(d, err) : write_run_json(d, err);
    if (status == SQA_OK)
        link_latest(d);
    return status;
}

void sqa_rundir_close(struct sqa_rundir *d)
{
    if (d->lock >= 0)
        close(d->lock);
    d->lock = -1;
}
