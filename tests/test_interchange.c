/* test_interchange.c - formats of other trackers, from small run directories made here */
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
#include "reports/report.h"
#include "tests/support.h"

static char dir[64];

static const char cells[] =
    "schema,key,phase,model,task,scale,length,batch,dtype,threads,seed,status,message,flops,mem_own_bytes,"
    "latency_ns_median,cpu_ns_median,throughput_tokens_per_s,test_accuracy\n"
    "1,a,train,local,\"listops:min=4,max=8\",lite,8,4,f32,2,1,ok,,1000,500,200,,1.6e8,0.5\n"
    "1,a,infer,local,\"listops:min=4,max=8\",lite,8,4,f32,2,1,ok,,400,300,100,90,3.2e8,\n"
    "1,b,train,local,\"listops:min=4,max=8\",lite,8,4,f32,2,2,ok,,1000,520,,,,0.7\n"
    "1,c,train,s4d,\"listops:min=4,max=8\",lite,8,4,f32,2,1,diverged,NaN,1000,500,200,,,\n";
static const char samples[] = "schema,key,phase,round,index,ns,cpu_ns\n"
                              "1,a,train,0,0,210,150\n1,a,train,0,1,200,140\n1,a,train,1,0,190,145\n";
#define LOCAL "task=listops:min=4,max=8/model=local/scale=lite/length=8/batch=4/dtype=f32/threads=2"

static void make_run(const char *name, const char *day, const char *machine)
{
    char path[96], json[512];
    OK(sqa_make_dirs(name, &failure));
    snprintf(path, sizeof path, "%s/cells.csv", name);
    OK(sqa_file_write(path, cells, strlen(cells), &failure));
    snprintf(path, sizeof path, "%s/samples.csv", name);
    OK(sqa_file_write(path, samples, strlen(samples), &failure));
    snprintf(path, sizeof path, "%s/run.json", name);
    snprintf(json, sizeof json,
             "{\"started\": \"2026-01-%sT00:00:00Z\", \"commit\": \"c%s\", \"environment\": {\"fingerprint\": \"%s\","
             " \"cpu\": {\"model\": \"A CPU\", \"logical\": 2, \"caches\": [{\"level\": 1, \"kind\": \"data\","
             " \"bytes\": 32768, \"shared_by\": 1}]}, \"governor\": \"powersave\"}}",
             day, day, machine);
    OK(sqa_file_write(path, json, strlen(json), &failure));
}

static char *report(const char *format, size_t n, const char *const *dirs)
{
    struct sqa_text out = {0};
    OK(sqa_report(dirs, n, &(struct sqa_report_options){.format = format}, &out, &failure));
    return out.text;
}

static json_t *parsed(const char *format)
{
    char *text = report(format, 1, (const char *const[]){"one"});
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("%s, line %d: %s", error.text, error.line, text);
    sqa_free(text);
    return root;
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "";
}

static double number_of(const json_t *o, const char *name)
{
    const json_t *x = json_object_get(o, name);
    assert_true(json_is_number(x));
    return json_number_value(x);
}

static void test_google(void **state)
{
    (void)state;
    json_t *root = parsed("google-benchmark");
    const json_t *context = json_object_get(root, "context"), *list = json_object_get(root, "benchmarks");
    assert_string_equal(text_of(context, "date"), "2026-01-01T00:00:00Z");
    assert_string_equal(text_of(context, "host_name"), "m1");
    assert_true(json_is_true(json_object_get(context, "cpu_scaling_enabled")));
    assert_near(number_of(json_array_get(json_object_get(context, "caches"), 0), "size"), 32768, 0, "cache");
    assert_int_equal(json_array_size(list), 3 + 4 + 1); /* three samples and what they give; one median */
    const json_t *first = json_array_get(list, 0), *median = json_array_get(list, 4), *last = json_array_get(list, 7);
    assert_string_equal(text_of(first, "name"), LOCAL "/phase=train");
    assert_string_equal(text_of(first, "run_type"), "iteration");
    assert_near(number_of(first, "real_time"), 210, 0, "wall");
    assert_near(number_of(first, "cpu_time"), 150, 0, "CPU");
    assert_near(number_of(first, "repetitions"), 3, 0, "repetitions");
    assert_near(number_of(first, "threads"), 2, 0, "threads");
    assert_string_equal(text_of(median, "name"), LOCAL "/phase=train_median");
    assert_string_equal(text_of(median, "run_name"), LOCAL "/phase=train");
    assert_string_equal(text_of(median, "aggregate_name"), "median");
    assert_near(number_of(median, "real_time"), 200, 0, "median");
    assert_near(number_of(median, "cpu_time"), 145, 0, "median of CPU time");
    assert_string_equal(text_of(last, "name"), LOCAL "/phase=infer");
    assert_near(number_of(last, "cpu_time"), 90, 0, "CPU");
    json_decref(root);
}

static void test_github(void **state)
{
    (void)state;
    json_t *smaller = parsed("github-smaller"), *bigger = parsed("github-bigger");
    size_t i, found = 0;
    json_t *e;
    json_array_foreach(smaller, i, e)
    {
        assert_null(strstr(text_of(e, "name"), "accuracy"));
        assert_null(strstr(text_of(e, "name"), "s4d"));
        if (strcmp(text_of(e, "name"), LOCAL "/phase=train train_latency_ns") != 0)
            continue;
        found++;
        assert_string_equal(text_of(e, "unit"), "ns");
        assert_near(number_of(e, "value"), 200, 0, "latency");
    }
    json_array_foreach(bigger, i, e)
    {
        if (strcmp(text_of(e, "name"), LOCAL " test_accuracy") != 0)
            continue;
        found++;
        assert_near(number_of(e, "value"), 0.6, 1e-12, "accuracy");
        assert_int_equal(strncmp(text_of(e, "range"), "± ", 3), 0);
    }
    assert_int_equal(found, 2);
    json_decref(smaller);
    json_decref(bigger);
}

static void test_benchstat(void **state)
{
    (void)state;
    char *text = report("benchstat", 1, (const char *const[]){"one"});
    has(text, "Unit accuracy better=higher\n");
    has(text, "\npkg: seqarena\ncommit: c01\ncpu: A CPU\nmachine: m1\n");
    has(text, "\nBenchmarkSeqarena/" LOCAL " 1 0.5 accuracy\n");
    has(text, "\nBenchmarkSeqarena/" LOCAL " 1 0.7 accuracy\n");
    has(text, "\nBenchmarkSeqarena/" LOCAL "/phase=train 1 190 ns/op 145 cpu-ns/op\n");
    has(text, "\nBenchmarkSeqarena/" LOCAL "/phase=infer 1 300 own-bytes 400 flops/op\n");
    assert_null(strstr(text, "s4d"));
    sqa_free(text);
}

static void test_otava(void **state)
{
    (void)state;
    struct sqa_text out = {0};
    char *text = report("otava", 2, (const char *const[]){"two", "one"});
    has(text, "time,commit,task=listops:min=4;max=8/model=local/");
    const char *first = strstr(text, "\n2026-01-01T00:00:00Z,c01,"),
               *second = strstr(text, "\n2026-01-02T00:00:00Z,c02,");
    assert_true(first && second && first < second);
    assert_null(strstr(text, ",,"));
    sqa_free(text);
    assert_int_equal(sqa_report((const char *const[]){"one", "other"}, 2,
                                &(struct sqa_report_options){.format = "otava"}, &out, &failure),
                     SQA_INPUT);
    has(failure.text, "another machine");
    sqa_text_clear(&out);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/seqarena-interchange.XXXXXX");
    if (!mkdtemp(dir) || chdir(dir) != 0)
        return -1;
    make_run("one", "01", "m1");
    make_run("two", "02", "m1");
    make_run("other", "03", "m2");
    return 0;
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
        cmocka_unit_test(test_google),
        cmocka_unit_test(test_github),
        cmocka_unit_test(test_benchstat),
        cmocka_unit_test(test_otava),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
