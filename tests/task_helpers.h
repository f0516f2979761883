/*
 * task_helpers.h - what the tests of tasks/ share: opening, expected refusals, files in a folder that is removed
 *
 * Goldens and data lie in $SEQARENA_SHARED (else ../shared); what needs them is skipped where they are absent.
 */
#ifndef SQA_TESTS_TASK_HELPERS_H
#define SQA_TESTS_TASK_HELPERS_H

#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "tasks/task.h"

static struct sqa_err err;
static char folder[] = "/tmp/test_tasks_XXXXXX";

static inline const char *shared(const char *name, char buf[4096])
{
    const char *root = getenv("SEQARENA_SHARED");
    snprintf(buf, 4096, "%s/%s", root ? root : "../shared", name);
    return buf;
}

/* The path, or a skip with the reason. */
static inline const char *need(const char *name, char buf[4096])
{
    if (!sqa_file_exists(shared(name, buf))) {
        print_message("skipped: %s is not here\n", buf);
        skip();
    }
    return buf;
}

static inline const struct sqa_task_env *env(void)
{
    static char data[4096];
    static struct sqa_task_env e;
    e.data_dir = shared("data", data);
    return &e;
}

static inline struct sqa_dataset *open_spec(const char *spec)
{
    struct sqa_dataset *ds = NULL;
    if (sqa_dataset_open(spec, env(), &ds, &err) != SQA_OK)
        fail_msg("%s: %s", spec, err.text);
    return ds;
}

/* One line of the shape "WHERE: WHAT; WHAT TO DO" that holds both texts. */
static inline void expect_sentence(const char *has, const char *also)
{
    if (!strstr(err.text, has) || !strstr(err.text, also) || strchr(err.text, '\n') || !strchr(err.text, ':') ||
        !strchr(err.text, ';'))
        fail_msg("'%s' should hold '%s' and '%s', WHERE: WHAT; WHAT TO DO", err.text, has, also);
}

static inline void expect_refused(const char *spec, enum sqa_status status, const char *has, const char *also)
{
    struct sqa_dataset *ds = NULL;
    memset(&err, 0, sizeof err);
    const enum sqa_status got = sqa_dataset_open(spec, env(), &ds, &err);
    if (got != status)
        fail_msg("%s: %s, expected %s: %s", spec, sqa_status_name(got), sqa_status_name(status), err.text);
    expect_sentence(has, also);
}

static inline const char *write_file(const char *name, const char *text)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(sqa_file_write(path, text, strlen(text), &err), SQA_OK);
    return path;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
