/* test_tasks.c - tasks/: registry, specifications, batches, random, failing memory */
#include "tests/task_helpers.h"

/* ---- registry ---- */

static void test_registry(void **state)
{
    (void)state;
    size_t n = 0;
    for (const struct sqa_task *const *t = sqa_tasks; *t; t++, n++) {
        assert_ptr_equal(sqa_task_find((*t)->id), *t);
        assert_true(n == 0 || strcmp(sqa_tasks[n - 1]->id, (*t)->id) < 0);
        assert_true((*t)->title && (*t)->source && (*t)->help && (*t)->floors && (*t)->open && (*t)->fetch &&
                    (*t)->self_size);
        for (const struct sqa_param *p = (*t)->params; p->name; p++) {
            assert_true(p->help && p->fallback && p->offset < (*t)->self_size);
            assert_ptr_equal(sqa_params_find((*t)->params, p->name), p); /* no name twice */
        }
    }
    assert_true(n >= 6);
    assert_null(sqa_task_find("nothing"));
}

/* What a task says of its examples before it is opened; published sets: by the rows of their files. */
static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int64_t count[SQA_SPLITS];
    } rows[] = {{"etth1:lookback=336,drop_last_batch=32", {8640 - 336 - 95, 2785, 2784}},
                {"ettm2:horizon=720", {34560 - 96 - 719, 11520 - 719, 11520 - 719}},
                {"weather", {36887 - 96 - 95, 5270 - 95, 10539 - 95}},
                {"listops:train=7,valid=5,test=3", {7, 5, 3}},
                {"listops:file=x.tsv", {0, 0, 0}},
                {"pathfinder:train=7,valid=5,test=3", {7, 5, 3}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sqa_arena arena = {0};
        struct sqa_dataset ds = {0};
        if (sqa_task_sizes(rows[i].spec, &arena, &ds, &err) != SQA_OK)
            fail_msg("%s", err.text);
        for (int s = 0; s < SQA_SPLITS; s++)
            assert_int_equal(ds.count[s], rows[i].count[s]);
        sqa_arena_clear(&arena);
    }
}

static void test_spec_errors(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        enum sqa_status status;
        const char *has, *also;
    } rows[] = {
        {"", SQA_USAGE, "missing", "character 1"},
        {":min=3", SQA_USAGE, "missing", "character 1"},
        {"Listops", SQA_USAGE, "character 1", "id"},
        {"list ops", SQA_USAGE, "character 5", "id"},
        {"listop", SQA_USAGE, "did you mean 'listops'", "etth1"},
        {"qqqqqqqqqq", SQA_USAGE, "unknown", "mackey_glass"},
        {"listops:", SQA_USAGE, "character 8", "':'"},
        {"listops:min", SQA_USAGE, "no '='", "character 12"},
        {"listops:min=3,", SQA_USAGE, "character 14", "','"},
        {"listops:,min=3", SQA_USAGE, "name is missing", "character 9"},
        {"listops:=3", SQA_USAGE, "name is missing", "character 9"},
        {"listops:min=3,,max=9", SQA_USAGE, "name is missing", "character 15"},
        {"listops:min=3,min=4", SQA_USAGE, "twice", "character 15"},
        {"listops:min=3:max=4", SQA_USAGE, "':'", "character 14"},
        {"csv:file=a+b", SQA_USAGE, "'+'", "character 11"},
        {"csv:file=a b", SQA_USAGE, "blanks", "character 11"},
        {"csv:file=a\x01", SQA_USAGE, "blanks", "character 11"},
        {"listops:m\nx=3", SQA_USAGE, "name", "character 10"},
        {"listops:mim=3", SQA_USAGE, "did you mean 'min'", "depth"},
        {"listops:min=x", SQA_USAGE, "min=x", "whole number"},
        {"listops:depth=1", SQA_USAGE, "depth=1", "from 2"},
        {"listops:min=64,max=65", SQA_USAGE, "no length", "raise max"},
        {"etth1:mode=Q", SQA_USAGE, "M|S|MS", "mode=Q"},
        {"csv", SQA_USAGE, "no file", "csv:file=PATH"},
        {"csv:file=/nowhere/x.csv", SQA_INPUT, "/nowhere/x.csv", "No such file"},
        {"listops:file=/nowhere/x.tsv", SQA_INPUT, "/nowhere/x.tsv", "No such file"},
        {"listops:min=3,max=5,depth=2,arguments=2", SQA_INPUT, "only 400 of 100000", "widen"},
        {"listops:min=1000,max=1002,depth=2", SQA_INPUT, "only 0 of", "widen"},
        {"etth1:target=XX", SQA_INPUT, "no column named 'XX'", "HUFL"},
        {"etth1:horizon=3000", SQA_INPUT, "8640", "lower"},
        {"mackey_glass:length=100", SQA_INPUT, "too few", "at least"},
        {"mackey_glass:drop_last_batch=4K", SQA_INPUT, "drop_last_batch=4096", "1177"},
    };
    char path[4096];
    const int data = sqa_file_exists(shared("data/ETTh1.csv", path));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (data || strncmp(rows[i].spec, "etth1", 5) != 0 || rows[i].status == SQA_USAGE)
            expect_refused(rows[i].spec, rows[i].status, rows[i].has, rows[i].also);
    char text[5001];
    memset(text, 'a', 5000);
    text[5000] = '\0';
    expect_refused(text, SQA_USAGE, "5000 characters", "4096");
}

static void test_canonical(void **state)
{
    (void)state;
    struct sqa_arena arena = {0};
    const struct sqa_task *task;
    const char *brief, *full;
    assert_int_equal(sqa_task_canonical("listops:max=64,min=16,depth=10", &arena, &task, &brief, &full, &err),
                     SQA_OK);
    assert_string_equal(brief, "listops:min=16,max=64");
    assert_string_equal(full, "listops:min=16,max=64,depth=10,arguments=10,train=96000,valid=2000,test=2000,"
                              "data_seed=0,file=,cut=0");
    const char *again, *brief2;
    assert_int_equal(sqa_task_canonical(full, &arena, &task, &brief2, &again, &err), SQA_OK);
    assert_string_equal(brief2, brief);
    assert_string_equal(again, full);
    assert_int_equal(sqa_task_canonical("etth1:horizon=192,lookback=96", &arena, &task, &brief, &full, &err), SQA_OK);
    assert_string_equal(brief, "etth1:horizon=192");
    assert_int_equal(sqa_task_canonical("random:length=1K", &arena, &task, &brief, &full, &err), SQA_OK);
    assert_string_equal(brief, "random");
    sqa_arena_clear(&arena);
}

static void test_missing_data(void **state)
{
    (void)state;
    const struct sqa_task_env nowhere = {.data_dir = folder};
    char path[4096];
    assert_int_equal(sqa_data_find(&nowhere, "no_such_file.csv", "example.org/data", "abc123", path, &err),
                     SQA_INPUT);
    expect_sentence("no_such_file.csv", "abc123");
    expect_sentence(folder, "example.org/data");
    write_file("here.csv", "x\n");
    assert_int_equal(sqa_data_find(&nowhere, "here.csv", "", "", path, &err), SQA_OK);
    assert_non_null(strstr(path, "/here.csv"));
}

/* ---- batches, random ---- */

static void test_batches(void **state)
{
    (void)state;
    struct sqa_dataset *ds = open_spec("listops:min=4,max=24,train=50,valid=50,test=50");
    const uint32_t index[] = {3, 1, 4, 1, 5};
    int64_t longest = 0;
    for (int i = 0; i < 5; i++)
        longest = ds->task->length_of(ds, SQA_VALID, index[i]) > longest
                      ? ds->task->length_of(ds, SQA_VALID, index[i])
                      : longest;
    assert_int_equal(sqa_dataset_batch_length(ds, SQA_VALID, index, 5, 1), longest);
    assert_int_equal(sqa_dataset_batch_length(ds, SQA_VALID, index, 5, 0), longest);
    assert_int_equal(sqa_dataset_batch_length(ds, SQA_VALID, index, 5, 1000), 24);
    assert_int_equal(sqa_dataset_batch_length(ds, SQA_VALID, index, 5, 8), (longest + 7) / 8 * 8);
    struct sqa_batch *b = sqa_batch_create(ds, 5, longest);
    assert_non_null(b);
    assert_int_equal(ds->task->fetch(ds, SQA_VALID, index, 5, b, &err), SQA_OK);
    assert_int_equal(b->n, 5);
    assert_int_equal(b->index[2], 4);
    assert_int_equal(b->labels[1], b->labels[3]);
    b->length = longest - 1;
    assert_int_equal(ds->task->fetch(ds, SQA_VALID, index, 5, b, &err), SQA_SHAPE);
    expect_sentence("positions", "longer");
    b->length = longest;
    const uint32_t beyond = 50;
    assert_int_equal(ds->task->fetch(ds, SQA_VALID, &beyond, 1, b, &err), SQA_INPUT);
    expect_sentence("example 50", "50");
    sqa_batch_free(b);
    sqa_batch_free(NULL);
    sqa_dataset_close(ds);
    sqa_dataset_close(NULL);
}

static void test_random(void **state)
{
    (void)state;
    struct sqa_dataset *ds = open_spec("random:length=64,vocab=5,classes=3,count=200");
    struct sqa_batch *a = sqa_batch_create(ds, 200, 64), *b = sqa_batch_create(ds, 1, 64);
    uint32_t index[200], last = 199;
    int token[5] = {0}, label[3] = {0};
    for (uint32_t i = 0; i < 200; i++)
        index[i] = i;
    assert_int_equal(ds->task->fetch(ds, SQA_TRAIN, index, 200, a, &err), SQA_OK);
    assert_int_equal(ds->task->fetch(ds, SQA_TRAIN, &last, 1, b, &err), SQA_OK);
    assert_memory_equal(a->tokens + 199 * 64, b->tokens, 64 * sizeof *b->tokens);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(a->lengths[i], 64);
        assert_in_range(a->labels[i], 0, 2);
        label[a->labels[i]]++;
        for (int t = 0; t < 64; t++) {
            assert_in_range(a->tokens[i * 64 + t], 1, 4);
            token[a->tokens[i * 64 + t]]++;
        }
    }
    for (int i = 0; i < 3; i++)
        assert_in_range(label[i], 45, 90);
    for (int i = 1; i < 5; i++)
        assert_in_range(token[i], 3000, 3400);
    sqa_batch_free(a);
    sqa_batch_free(b);
    sqa_dataset_close(ds);
}

/* ---- failing memory, interruption ---- */

static void test_failures(void **state)
{
    (void)state;
    char csv[4200], lists[4200];
    struct sqa_text text = {0};
    sqa_text_add(&text, "date,x,y\n");
    for (int i = 0; i < 60; i++)
        sqa_text_printf(&text, "%d-01-01,%d,%d\n", 1900 + i, i, i * i);
    snprintf(csv, sizeof csv, "csv:file=%s,lookback=4,horizon=2,mode=MS,target=x,drop_last_batch=2",
             write_file("fail.csv", sqa_text_get(&text)));
    sqa_text_clear(&text);
    for (int i = 0; i < 200; i++)
        sqa_text_printf(&text, "%d\t[MAX %d 0 %d ]\n", i / 10 % 10 > i % 10 ? i / 10 % 10 : i % 10, i % 10,
                        i / 10 % 10);
    snprintf(lists, sizeof lists, "listops:file=%s,max=30", write_file("fail.tsv", sqa_text_get(&text)));
    sqa_text_clear(&text);
    const char *const specs[] = {csv, lists, "listops:min=4,max=24,train=300,valid=20,test=20",
                                 "mackey_glass:length=2000,lookback=8", "random:length=8"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        enum sqa_status status = SQA_NOMEM;
        long n = 1;
        for (; status != SQA_OK && n < 1000; n++) {
            struct sqa_dataset *ds = NULL;
            struct sqa_batch *b = NULL;
            memset(&err, 0, sizeof err);
            sqa_alloc_fail_at(n);
            status = sqa_dataset_open(specs[i], env(), &ds, &err);
            if (status == SQA_OK && !(b = sqa_batch_create(ds, 2, ds->length)))
                status = sqa_fail(&err, SQA_NOMEM, "batch: no memory; none");
            sqa_alloc_fail_at(0);
            if (status != SQA_OK) {
                /* base/param.c calls a choice it cannot copy a bad one */
                assert_true(status == SQA_NOMEM || (status == SQA_USAGE && strstr(err.text, "M|S|MS")));
                expect_sentence(";", ":");
            }
            sqa_batch_free(b);
            sqa_dataset_close(ds);
        }
        assert_int_equal(status, SQA_OK);
        assert_true(n > 3);
    }
    const volatile int stop = 1;
    const struct sqa_task_env interrupted = {.data_dir = NULL, .interrupted = &stop};
    for (size_t i = 0; i < 4; i++) {
        struct sqa_dataset *ds = NULL;
        assert_int_equal(sqa_dataset_open(specs[i], &interrupted, &ds, &err), SQA_INTERRUPTED);
        expect_sentence("interrupted", "again");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry),     cmocka_unit_test(test_spec_errors), cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_missing_data), cmocka_unit_test(test_batches),     cmocka_unit_test(test_random),
        cmocka_unit_test(test_failures),     cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
