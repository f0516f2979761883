/* test_listops.c - tasks/listops*: values, tokens, files, the generator against the figures of LRA */
#include "tasks/listops.h"
#include "tests/task_helpers.h"

static struct sqa_listops_reading reading(int64_t max)
{
    return (struct sqa_listops_reading){.max = max, .limit = {1 << 20, 1 << 20, 1 << 20}, .split = SQA_TRAIN};
}

static enum sqa_status read_lists(const char *text, const struct sqa_listops_reading *how,
                                  struct sqa_listops_set *set)
{
    memset(&err, 0, sizeof err);
    return sqa_listops_read_bytes("mem", text, strlen(text), how, set, &err);
}

static void test_listops_values(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        int value;
    } rows[] = {
        {"7", 7},
        {"[MIN 3 7 ]", 3},
        {"[MAX 3 7 ]", 7},
        {"[MED 9 1 5 ]", 5},
        {"[MED 1 2 ]", 1},     /* 1.5 truncated */
        {"[MED 1 9 2 8 ]", 5}, /* (2 + 8) / 2 */
        {"[MED 0 9 9 0 ]", 4}, /* 4.5 */
        {"[SM 9 9 9 ]", 7},
        {"[SM 5 ]", 5},
        {"( ( ( [MAX 3 ) 7 ) ] )", 7},
        {"[MAX [MIN 4 8 ] [SM 9 3 ] [MED 0 6 6 ] ]", 6},
    };
    const struct sqa_listops_reading how = reading(100);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[200];
        struct sqa_listops_set set = {0};
        snprintf(line, sizeof line, "%d\t%s\n", rows[i].value, rows[i].list);
        if (read_lists(line, &how, &set) != SQA_OK)
            fail_msg("%s", err.text);
        snprintf(line, sizeof line, "Source\tTarget\r\n%s\t%d\r\n", rows[i].list, rows[i].value);
        assert_int_equal(read_lists(line, &how, &set), SQA_OK);
        assert_int_equal(set.count[SQA_TRAIN], 2);
        assert_int_equal(set.example[SQA_TRAIN][1].label, rows[i].value);
        sqa_listops_clear(&set);
    }
    int value;
    const uint8_t hostile[][4] = {{0}, {1}, {16}, {12}, {12, 16}, {2, 2}, {12, 2, 16, 2}, {17}, {255}, {12, 2}};
    const size_t sizes[] = {1, 1, 1, 1, 2, 2, 4, 1, 1, 2};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_false(sqa_listops_evaluate(hostile[i], sizes[i], &value));
    assert_false(sqa_listops_evaluate(hostile[0], 0, &value));
    static uint8_t deep[1 << 20];
    memset(deep, SQA_LISTOPS_MIN, sizeof deep);
    assert_false(sqa_listops_evaluate(deep, sizeof deep, &value));
}

/* The order of tokens is fixed for good: checkpoints and floors depend on it. */
static void test_listops_tokens(void **state)
{
    (void)state;
    static const uint8_t golden[] = {12, 13, 14, 15, 2, 3, 16, 4, 5, 6, 16, 7, 8, 9, 16, 10, 11, 16};
    const struct sqa_listops_reading how = reading(100);
    struct sqa_listops_set set = {0};
    assert_int_equal(read_lists("1\t( [MIN ( [MAX ( [MED ( [SM 0 1 ] ) 2 3 4 ] ) 5 6 7 ] ) 8 9 ] )", &how, &set),
                     SQA_INPUT); /* a wrong value: the right one is in the message */
    expect_sentence("line 1", "value 7");
    assert_int_equal(read_lists("7\t( [MIN ( [MAX ( [MED ( [SM 0 1 ] ) 2 3 4 ] ) 5 6 7 ] ) 8 9 ] )", &how, &set),
                     SQA_OK);
    assert_int_equal(set.used, sizeof golden);
    assert_memory_equal(set.tokens, golden, sizeof golden);
    assert_int_equal(SQA_LISTOPS_VOCAB, 17);
    sqa_listops_clear(&set);
}

static void test_listops_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *has, *also;
    } rows[] = {
        {"", "mem", "no lists"},
        {"Source\tTarget\r\n", "mem", "no lists"},
        {"3\t[MIN 3 7 ]\n4\t[MIN 3 7 ]\n", "line 2", "has the value 3, the line says 4"},
        {"Source\tTarget\n[MIN 3 7 ]\t7\n", "line 2", "has the value 3, the line says 7"},
        {"3\t[MIN 3 7\n", "line 1", "without its ']'"},
        {"3\t[MIN 3 7 ] ]\n", "line 1", "']' without"},
        {"3\t( [MIN 3 7 ]\n", "line 1", "'(' without"},
        {"3\t[MIN 3 7 ] )\n", "line 1", "')' without"},
        {"3\t[FIRST 3 7 ]\n", "line 1", "unknown token '[FIRST'"},
        {"3\t[MIN 3 77 ]\n", "line 1", "unknown token '77'"},
        {"3\t[MIN 3 7]\n", "line 1", "unknown token '7]'"},
        {"3\t3 3\n", "line 1", "not one whole list"},
        {"3\t[MIN ]\n", "line 1", "not one whole list"},
        {"3\t\n", "line 1", "empty expression"},
        {"3\t( )\n", "line 1", "empty expression"},
        {"[MIN 3 7 ]\t3\n", "line 1", "not a value"},
        {"33\t[MIN 3 7 ]\n", "line 1", "not a value"},
        {"3\n", "line 1", "1 fields"},
        {"3\t3\t3\n", "line 1", "3 fields"},
        {"\n\n3\t3\n3\tx\n", "line 4", "unknown token 'x'"},
        {"3\t[MIN 3 4 5 6 7 8 9 ]\n3\t[MIN 3 4 5 6 7 8 9 9 9 ]\n", "line 1: 9 tokens", "max=11"},
    };
    const struct sqa_listops_reading how = reading(8);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sqa_listops_set set = {0};
        assert_int_equal(read_lists(rows[i].text, &how, &set), SQA_INPUT);
        expect_sentence(rows[i].has, rows[i].also);
        sqa_listops_clear(&set);
    }
    struct sqa_text deep = {0};
    struct sqa_listops_set set = {0};
    sqa_text_add(&deep, "1\t");
    for (int i = 0; i < 100000; i++)
        sqa_text_add(&deep, "[MIN ");
    assert_int_equal(read_lists(sqa_text_get(&deep), &how, &set), SQA_INPUT);
    expect_sentence("line 1", "256 operators");
    sqa_text_clear(&deep);
    struct sqa_listops_reading cut = how;
    cut.cut = 1;
    assert_int_equal(read_lists("3\t[MIN 3 4 5 6 7 8 9 ]\n", &cut, &set), SQA_OK);
    assert_int_equal(set.example[SQA_TRAIN][0].length, 8);
    sqa_listops_clear(&set);
}

static void test_listops_spinn(void **state)
{
    (void)state;
    static const int classes[] = {1127, 1038, 967, 978, 991, 969, 895, 930, 964, 1141};
    char path[4096], spec[4200];
    int seen[10] = {0};
    uint32_t longest = 0;
    uint64_t tokens = 0;
    struct sqa_listops_set set = {0};
    const struct sqa_listops_reading how = reading(2000);
    need("data/listops_spinn_test_d20s.tsv", path);
    if (sqa_listops_read(path, &how, &set, &err) != SQA_OK) /* checks every value */
        fail_msg("%s", err.text);
    assert_int_equal(set.count[SQA_TRAIN], 10000);
    for (size_t i = 0; i < 10000; i++) {
        const struct sqa_listops_example *e = &set.example[SQA_TRAIN][i];
        seen[e->label]++;
        tokens += e->length;
        longest = e->length > longest ? e->length : longest;
    }
    for (int i = 0; i < 10; i++)
        assert_int_equal(seen[i], classes[i]);
    assert_int_equal(longest, 939);
    assert_int_equal((tokens + 500) / 1000, 428); /* mean 42.8 */
    sqa_listops_clear(&set);

    snprintf(spec, sizeof spec, "listops:file=%s,max=500", path);
    expect_refused(spec, SQA_INPUT, "line ", "max=939");
    snprintf(spec, sizeof spec, "listops:file=%s,train=100", path);
    struct sqa_dataset *ds = open_spec(spec);
    assert_int_equal(ds->count[SQA_TRAIN], 100);
    assert_in_range(ds->count[SQA_VALID], 900, 1100);
    assert_in_range(ds->count[SQA_TEST], 900, 1100);
    assert_non_null(strstr(ds->note, "80:10:10"));
    assert_non_null(strstr(ds->note, "leave out"));
    sqa_dataset_close(ds);
}

static void test_listops_released(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/lra_release/listops-1000", folder);
    assert_int_equal(sqa_make_dirs(path, &err), SQA_OK);
    const struct sqa_task_env here = {.data_dir = folder};
    struct sqa_dataset *ds = NULL;
    write_file("lra_release/listops-1000/basic_train.tsv",
               "Source\tTarget\r\n( ( ( [MAX 3 ) 7 ) ] )\t7\r\n( ( ( [MAX 4 ) 1 ) ] )\t4\r\n");
    write_file("lra_release/listops-1000/basic_val.tsv", "Source\tTarget\r\n( ( ( [MED 3 ) 6 ) ] )\t4\r\n");
    assert_int_equal(sqa_dataset_open("listops:file=released", &here, &ds, &err), SQA_INPUT);
    expect_sentence("basic_test.tsv", "published");
    write_file("lra_release/listops-1000/basic_test.tsv", "Source\tTarget\r\n( ( ( [SM 3 ) 9 ) ] )\t2\r\n");
    if (sqa_dataset_open("listops:file=released", &here, &ds, &err) != SQA_OK)
        fail_msg("%s", err.text);
    assert_int_equal(ds->count[SQA_TRAIN], 2);
    assert_int_equal(ds->count[SQA_VALID], 1);
    assert_int_equal(ds->count[SQA_TEST], 1);
    assert_non_null(strstr(ds->note, "lra_release/listops-1000"));
    sqa_dataset_close(ds);
}

/* Figures of lra.md, section 3, with room for chance (they come from 60000 draws, 4900 lists): 8.1 % of the draws
 * pass, mean 1044, median 968, operators nest 9 deep. */
static void test_listops_statistics(void **state)
{
    (void)state;
    static const double percent[] = {16.8, 8.9, 7.0, 7.7, 9.3, 8.8, 8.3, 7.2, 8.7, 17.3};
    enum { DRAWS = 250000 };
    const struct sqa_listops_shape shape = {500, 2000, 10, 10};
    static uint8_t tokens[2000];
    static uint32_t histogram[2000];
    uint64_t nodes = 0;
    double accepted = 0, sum = 0, raw = 0, label[10] = {0};
    for (uint64_t d = 0; d < DRAWS; d++) {
        const size_t n = sqa_listops_draw(1, d, &shape, tokens, &nodes);
        if (n == 0)
            continue;
        int value, depth = 0, deepest = 0, operators = 0;
        assert_true(n > 500 && n < 2000);
        assert_true(sqa_listops_evaluate(tokens, n, &value));
        for (size_t i = 0; i < n; i++) {
            depth +=
                (tokens[i] >= SQA_LISTOPS_MIN && tokens[i] < SQA_LISTOPS_CLOSE) - (tokens[i] == SQA_LISTOPS_CLOSE);
            operators += tokens[i] == SQA_LISTOPS_CLOSE;
            deepest = depth > deepest ? depth : deepest;
        }
        assert_int_equal(deepest, 9);
        accepted++;
        sum += (double)n;
        /* n + 1 pairs of round brackets for an operator of n arguments; every node but the root is an argument */
        raw += (double)n + 2.0 * (((double)n - operators - 1) + operators);
        histogram[n]++;
        label[value]++;
    }
    double below = 0;
    int median = 0;
    while (below < accepted / 2)
        below += histogram[median++];
    print_message("listops: %.2f %% accepted, mean %.0f, median %d, raw %.0f\n", 100 * accepted / DRAWS,
                  sum / accepted, median - 1, raw / accepted);
    assert_true(fabs(100 * accepted / DRAWS - 8.1) < 0.3);
    assert_true(fabs(sum / accepted - 1044) < 15);
    assert_true(fabs(median - 968.0) < 25);
    assert_true(fabs(raw / accepted - 3131) < 45);
    for (int i = 0; i < 10; i++)
        assert_true(fabs(100 * label[i] / accepted - percent[i]) < 1.2);
}

static int compare_hashes(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void test_listops_generated(void **state)
{
    (void)state;
    struct sqa_dataset *ds = open_spec("listops:min=4,max=24,train=9000,valid=500,test=500");
    struct sqa_dataset *same = open_spec("listops:min=4,max=24,train=9000,valid=500,test=500");
    struct sqa_dataset *fewer = open_spec("listops:min=4,max=24,train=100,valid=500,test=500");
    struct sqa_dataset *other = open_spec("listops:min=4,max=24,train=9000,valid=500,test=500,data_seed=1");
    static uint64_t hash[10000];
    size_t n = 0;
    for (int s = 0; s < SQA_SPLITS; s++) {
        const enum sqa_split split = (enum sqa_split)s;
        assert_string_equal(ds->split_hash[s], same->split_hash[s]);
        assert_int_equal(strcmp(ds->split_hash[s], fewer->split_hash[s]) == 0, split != SQA_TRAIN);
        assert_string_not_equal(ds->split_hash[s], other->split_hash[s]);
        assert_int_equal(ds->count[s], split == SQA_TRAIN ? 9000 : 500);
        for (uint32_t i = 0; i < ds->count[s]; i++) {
            int32_t row[24] = {0}, row2[24] = {0}, length, length2, label, label2;
            uint32_t index, index2;
            struct sqa_batch b = {.length = 24, .tokens = row, .lengths = &length, .labels = &label, .index = &index};
            struct sqa_batch b2 = b;
            b2.tokens = row2;
            b2.lengths = &length2;
            b2.labels = &label2;
            b2.index = &index2;
            assert_int_equal(ds->task->fetch(ds, split, &i, 1, &b, &err), SQA_OK);
            assert_int_equal(ds->task->fetch(same, split, &i, 1, &b2, &err), SQA_OK);
            assert_memory_equal(row, row2, sizeof row);
            assert_true(length == length2 && label == label2 && length > 4 && length < 24);
            assert_int_equal(ds->task->length_of(ds, split, i), length);
            uint8_t tokens[24];
            int value = -1;
            for (int t = 0; t < 24; t++) {
                tokens[t] = (uint8_t)row[t];
                assert_int_equal(row[t] == 0, t >= length);
            }
            assert_true(sqa_listops_evaluate(tokens, (size_t)length, &value) && value == label);
            hash[n++] = sqa_hash(tokens, (size_t)length, 7);
        }
    }
    qsort(hash, n, sizeof hash[0], compare_hashes);
    for (size_t i = 1; i < n; i++)
        assert_true(hash[i] != hash[i - 1]);
    struct sqa_text text = {0};
    assert_int_equal(ds->task->show(ds, SQA_TEST, 0, &text, &err), SQA_OK);
    assert_non_null(strstr(sqa_text_get(&text), "label "));
    assert_non_null(strstr(sqa_text_get(&text), "]\n"));
    assert_int_equal(ds->task->show(ds, SQA_TEST, 500, &text, &err), SQA_INPUT);
    sqa_text_clear(&text);
    sqa_dataset_close(ds);
    sqa_dataset_close(same);
    sqa_dataset_close(fewer);
    sqa_dataset_close(other);
}

static void test_listops_default(void **state)
{
    (void)state;
    struct sqa_dataset *ds = open_spec("listops");
    assert_int_equal(ds->count[SQA_TRAIN], 96000);
    assert_int_equal(ds->count[SQA_VALID], 2000);
    assert_int_equal(ds->count[SQA_TEST], 2000);
    assert_int_equal(ds->length, 2000);
    assert_int_equal(ds->vocab, 17);
    assert_int_equal(ds->classes, 10);
    /* The same lists on every machine and for good. */
    assert_string_equal(ds->split_hash[SQA_TEST], "4dd2631c9893ae21");
    assert_string_equal(ds->split_hash[SQA_TRAIN], "fc7a1644524ab9ca");
    sqa_dataset_close(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listops_values),    cmocka_unit_test(test_listops_tokens),
        cmocka_unit_test(test_listops_errors),    cmocka_unit_test(test_listops_spinn),
        cmocka_unit_test(test_listops_released),  cmocka_unit_test(test_listops_statistics),
        cmocka_unit_test(test_listops_generated), cmocka_unit_test(test_listops_default),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
