/* test_history.c - series from run directories and CSV files, their changes, and how they are told */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "reports/history.h"
#include "tests/support.h"

static char dir[64];
static const char *const no_keys[] = {NULL};

static void write_file(const char *path, struct sqa_text *t)
{
    assert_false(t->failed);
    OK(sqa_file_write(path, sqa_text_get(t), t->length, &failure));
    sqa_text_clear(t);
}

/* Run i of a history: inference of `fast` gets 8 % slower at run 12, that of `same` never; the flops of `same` change at
 * 15, and its latency is missing in run 3. */
static void make_run(int i, const char *folder, const char *machine)
{
    struct sqa_text t = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/%02d", folder, (i * 7) % 20); /* names say nothing about the order */
    OK(sqa_make_dirs(path, &failure));
    sqa_text_add(&t,
                 "schema,key,phase,model,task,scale,length,batch,dtype,threads,seed,status,flops,latency_ns_median,"
                 "recipe\n");
    for (int seed = 1; seed <= 2; seed++) {
        const double noise = 1 + 0.01 * sqa_random_normal(9, (uint64_t)(4 * i + seed));
        sqa_text_printf(&t, "1,a%d,infer,fast,random:vocab=8,bench,64,4,f32,1,%d,ok,1000,%.0f,rate=1\n", seed, seed,
                        1e6 * (i < 12 ? 1 : 1.08) * noise);
        sqa_text_printf(&t, "1,b%d,infer,same,random:vocab=8,bench,64,4,f32,1,%d,%s,%d,%.0f,rate=1\n", seed, seed,
                        i == 3 ? "failed" : "ok", i < 15 ? 2000 : 2002, 2e6 * noise);
    }
    strcat(path, "/cells.csv");
    write_file(path, &t);
    sqa_text_printf(&t,
                    "{\"started\": \"2026-03-%02dT00:00:00Z\", \"commit\": \"c%02d\", \"environment\": "
                    "{\"fingerprint\": \"%s\"}}",
                    i + 1, i, machine);
    strcpy(strrchr(path, '/'), "/run.json");
    write_file(path, &t);
}

static const struct sqa_track *track(const struct sqa_track_set *set, const char *machine, const char *name,
                                     const char *value)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->tracks[i].machine, machine) == 0 && strcmp(set->tracks[i].name, name) == 0 &&
            strcmp(set->tracks[i].value, value) == 0)
            return &set->tracks[i];
    fail_msg("no series %s %s", name, value);
    return NULL;
}

#define FAST "task=random:vocab=8/model=fast/scale=bench/length=64/batch=4/dtype=f32/threads=1/phase=infer"
#define SAME "task=random:vocab=8/model=same/scale=bench/length=64/batch=4/dtype=f32/threads=1/phase=infer"

static void test_runs(void **state)
{
    (void)state;
    struct sqa_track_set set = {0};
    for (int i = 0; i < 20; i++)
        make_run(i, "runs/deep", "m1");
    OK(sqa_track_runs((const char *const[]){"runs"}, 1, NULL, NULL, &set, &failure));
    assert_int_equal(set.n_runs, 20);
    assert_int_equal(set.n, 4);
    for (size_t r = 1; r < set.n_runs; r++)
        assert_true(strcmp(set.runs[r - 1].time, set.runs[r].time) < 0);
    const struct sqa_track *fast = track(&set, "m1", FAST, "infer_latency_ns");
    assert_int_equal(fast->n, 20);
    assert_int_equal(fast->direction, -1);
    assert_false(fast->counted);
    assert_int_equal(track(&set, "m1", SAME, "infer_latency_ns")->n, 19);
    OK(sqa_history_find(&set, &sqa_edivisive_defaults, &failure));
    assert_int_equal(fast->n_changes, 1);
    assert_int_equal(fast->changes[0].at, 12);
    assert_int_equal(track(&set, "m1", SAME, "infer_latency_ns")->n_changes, 0);
    const struct sqa_track *flops = track(&set, "m1", SAME, "infer_flops");
    assert_true(flops->counted);
    assert_int_equal(flops->n_changes, 1);
    assert_int_equal(flops->changes[0].at, 14); /* run 15 is its 15th */
    assert_int_equal(flops->changes[0].n_before, 14);
    assert_int_equal(flops->changes[0].n_after, 5);
    assert_true(isnan(flops->changes[0].p));

    struct sqa_history_row *rows;
    struct sqa_text text = {0};
    size_t n;
    OK(sqa_history_rows(&set, &rows, &n, &failure));
    assert_int_equal(n, 2);
    assert_ptr_equal(rows[0].track, flops); /* the newest first */
    assert_string_equal(rows[0].last->commit, "c14");
    assert_string_equal(rows[0].first->commit, "c15");
    assert_string_equal(sqa_history_verdict(&rows[1]), "worse");
    sqa_history_markdown(&text, &set, rows, n, &sqa_edivisive_defaults);
    assert_non_null(strstr(text.text, "4 series from 20 runs on 1 machine."));
    assert_non_null(strstr(text.text, "| infer_latency_ns | +"));
    assert_non_null(strstr(text.text, " | 12, 8 | c11..c12 | 2026-03-13T00:00:00Z | m1 |\n"));
    assert_non_null(strstr(text.text, " | +0.1 % | worse | 2000 | 2002 | counted | 14, 5 | c14..c15 |"));
    sqa_text_clear(&text);
    sqa_history_csv(&text, rows, n);
    assert_non_null(strstr(text.text, "\nm1," SAME ",infer_flops,worse,c14,c15,2026-03-16T00:00:00Z,14,2000,2002,"));
    sqa_text_clear(&text);
    sqa_history_svg(&text, &set, rows, n);
    assert_non_null(strstr(text.text, "<svg "));
    assert_non_null(strstr(text.text, "class=\"worse\""));
    sqa_text_clear(&text);
    sqa_history_json(&text, &set, &sqa_edivisive_defaults);
    json_t *root = json_loads(text.text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "runs")), 20);
    assert_int_equal(json_array_size(json_object_get(root, "series")), 4);
    json_decref(root);
    sqa_text_clear(&text);
    sqa_free(rows);
    sqa_track_clear(&set);
}

/* A new machine is a new series, not a change. */
static void test_machines(void **state)
{
    (void)state;
    struct sqa_track_set set = {0};
    for (int i = 0; i < 20; i++)
        make_run(i, "two", i < 6 ? "m1" : "m2");
    OK(sqa_track_runs((const char *const[]){"two"}, 1, NULL, NULL, &set, &failure));
    assert_int_equal(set.n, 8);
    assert_int_equal(track(&set, "m1", FAST, "infer_latency_ns")->n, 6);
    assert_int_equal(track(&set, "m2", FAST, "infer_latency_ns")->n, 14);
    sqa_track_clear(&set);
}

/* Two entries that the identity does not part carry what parts them. */
static void test_names(void **state)
{
    (void)state;
    struct sqa_track_set set = {0};
    struct sqa_text t = {0};
    sqa_text_add(&t, "schema,key,phase,model,task,scale,length,status,latency_ns_median,recipe\n"
                     "1,a,train,m,csv:file=./x y.csv,s,64,ok,1000,rate=1\n"
                     "1,b,train,m,csv:file=./x y.csv,s,64,ok,2000,rate=2\n");
    OK(sqa_make_dirs("names", &failure));
    write_file("names/cells.csv", &t);
    OK(sqa_track_runs((const char *const[]){"names"}, 1, NULL, NULL, &set, &failure));
    track(&set, "", "task=csv:file=._x_y.csv/model=m_[rate=1]/scale=s/length=64/phase=train", "train_latency_ns");
    track(&set, "", "task=csv:file=._x_y.csv/model=m_[rate=2]/scale=s/length=64/phase=train", "train_latency_ns");
    sqa_track_clear(&set);
}

/* Columns of later builds: instructions, and why a timing is not to be used. */
static void test_later_columns(void **state)
{
    (void)state;
    struct sqa_track_set set = {0};
    struct sqa_text t = {0};
    char path[64];
    for (int i = 0; i < 12; i++) {
        sqa_text_printf(&t,
                        "schema,key,phase,model,task,scale,status,latency_ns_median,instructions,unfit\n"
                        "1,a,infer,m,random,bench,ok,%d,%d,%s\n",
                        1000 + i % 2, i < 6 ? 1000000 : 1006000, i == 5 ? "other runs took 40 %" : "");
        snprintf(path, sizeof path, "later/%02d", i);
        OK(sqa_make_dirs(path, &failure));
        strcat(path, "/cells.csv");
        write_file(path, &t);
    }
    OK(sqa_track_runs((const char *const[]){"later"}, 1, NULL, NULL, &set, &failure));
    OK(sqa_history_find(&set, &sqa_edivisive_defaults, &failure));
    assert_int_equal(track(&set, "", "task=random/model=m/scale=bench/phase=infer", "infer_latency_ns")->n, 11);
    const struct sqa_track *counts =
        track(&set, "", "task=random/model=m/scale=bench/phase=infer", "infer_instructions");
    assert_int_equal(counts->n_changes, 1); /* 0.6 %, and 0.5 % count */
    assert_int_equal(counts->changes[0].at, 6);
    sqa_track_clear(&set);
}

static void test_csv(void **state)
{
    (void)state;
    struct sqa_track_set set = {0};
    struct sqa_text t = {0};
    sqa_text_add(&t, "Time,commit,machine,os,size,ms,hits\n");
    for (int i = 0; i < 30; i++)
        sqa_text_printf(&t, "%d,c%d,m,%s,%d,%s,%d\n", i, i, i % 2 ? "linux" : "bsd", i % 3, i == 4 ? "" : "1.5",
                        i < 20 ? 7 : 9);
    write_file("a.csv", &t);
    OK(sqa_track_csv("a.csv", no_keys, NULL, NULL, &set, &failure));
    assert_int_equal(set.n_runs, 30);
    assert_int_equal(set.n, 6); /* size, ms and hits of two systems */
    assert_int_equal(track(&set, "m", "os=bsd", "ms")->n, 14);
    OK(sqa_history_find(&set, &sqa_edivisive_defaults, &failure));
    const struct sqa_track *hits = track(&set, "m", "os=linux", "hits");
    assert_int_equal(hits->n_changes, 1);
    assert_int_equal(hits->changes[0].at, 10);
    sqa_track_clear(&set);
    OK(sqa_track_csv("a.csv", (const char *const[]){"size", NULL}, NULL, NULL, &set, &failure));
    assert_int_equal(set.n, 6); /* ms and hits of three sizes */
    assert_int_equal(track(&set, "m", "size=2", "hits")->n, 10);
    sqa_track_clear(&set);
    assert_int_equal(sqa_track_csv("a.csv", (const char *const[]){"nope", NULL}, NULL, NULL, &set, &failure),
                     SQA_USAGE);
    sqa_track_clear(&set);
    sqa_text_add(&t, "commit,word\na,b\n");
    write_file("b.csv", &t);
    assert_int_equal(sqa_track_csv("b.csv", no_keys, NULL, NULL, &set, &failure), SQA_INPUT);
    sqa_track_clear(&set);
}

static void test_size(void **state)
{
    (void)state;
    char buf[32];
    assert_string_equal(sqa_history_size(buf, &(struct sqa_change){.before = 100, .after = 108}), "+8 %");
    assert_string_equal(sqa_history_size(buf, &(struct sqa_change){.before = 8, .after = 4}), "-50 %");
    assert_string_equal(sqa_history_size(buf, &(struct sqa_change){.before = 0, .after = 4}), "from 0");
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/seqarena-history.XXXXXX");
    return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return chdir("/") == 0 ? system(command) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),          cmocka_unit_test(test_machines), cmocka_unit_test(test_names),
        cmocka_unit_test(test_later_columns), cmocka_unit_test(test_csv),      cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
