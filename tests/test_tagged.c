/* test_tagged.c - tasks/tagged.c, reverse and mqar: oracles, balance, determinism, refusals */
#include "tests/task_helpers.h"

struct rows { /* the first n examples of a split */
    struct sqa_dataset *ds;
    struct sqa_batch *b;
};

static struct rows fetch_first(const char *spec, enum sqa_split split, int64_t n)
{
    struct rows r = {.ds = open_spec(spec)};
    uint32_t *index = calloc((size_t)n, sizeof *index);
    assert_non_null(index);
    for (uint32_t i = 0; i < n; i++)
        index[i] = i;
    r.b = sqa_batch_create(r.ds, n, r.ds->length);
    assert_non_null(r.b);
    assert_int_equal(r.ds->task->fetch(r.ds, split, index, n, r.b, &err), SQA_OK);
    free(index);
    return r;
}

static void drop(struct rows *r)
{
    sqa_batch_free(r->b);
    sqa_dataset_close(r->ds);
}

/* Solvers write the label of each position, -1 where there is none to give; they see tokens and length only. */

static void solve_reverse(const int32_t *tokens, int64_t n, int64_t length, int32_t *labels)
{
    for (int64_t t = 0; t < length; t++)
        labels[t] = t < n ? tokens[n - 1 - t] - 1 : -1;
}

/* Of a task without noise, with a vocabulary of 40 and 5 pairs. */
static void solve_mqar(const int32_t *tokens, int64_t n, int64_t length, int32_t *labels)
{
    for (int64_t t = 0; t < length; t++) {
        labels[t] = -1;
        for (int64_t i = 0; t >= 10 && t < n && i < 5; i++)
            if (tokens[t] == tokens[2 * i])
                labels[t] = tokens[2 * i + 1] - 20;
    }
}

static void oracles_are_right(void **state)
{
    static const struct {
        const char *spec;
        void (*solve)(const int32_t *tokens, int64_t n, int64_t length, int32_t *labels);
    } rows[] = {
        {"reverse:length=20", solve_reverse},
        {"reverse:length=20,min=3,vocab=5", solve_reverse},
        {"reverse:length=1,vocab=3", solve_reverse},
        {"mqar:length=32,pairs=5,vocab=40,noise=0", solve_mqar},
        {"mqar:length=20,pairs=5,vocab=40,noise=0,power=1", solve_mqar}, /* every slot is a query */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rows r = fetch_first(rows[i].spec, SQA_TEST, 300);
        int32_t labels[64];
        for (int64_t k = 0; k < 300; k++) {
            const int32_t *tokens = r.b->tokens + k * r.b->length;
            rows[i].solve(tokens, r.b->lengths[k], r.b->length, labels);
            assert_memory_equal(labels, r.b->labels + k * r.b->length, (size_t)r.b->length * sizeof *labels);
            for (int64_t t = 0; t < r.b->length; t++) {
                assert_true(t < r.b->lengths[k] ? tokens[t] > 0 : tokens[t] == 0);
                assert_in_range(tokens[t], 0, r.ds->vocab - 1);
            }
        }
        drop(&r);
    }
}

/* Each label within 2 % (of all) of its share. */
static void labels_are_balanced(void **state)
{
    static const char *const specs[] = {"reverse:length=32,vocab=9", "reverse:length=32,min=1,vocab=9",
                                        "mqar:length=32,pairs=4,vocab=17", "mqar:noise=1,vocab=40"};
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct rows r = fetch_first(specs[i], SQA_TRAIN, 2000);
        double count[64] = {0}, all = 0;
        for (int64_t k = 0; k < 2000 * r.b->length; k++) {
            assert_in_range(r.b->labels[k] + 1, 0, r.ds->classes);
            if (r.b->labels[k] >= 0) {
                count[r.b->labels[k]]++;
                all++;
            }
        }
        for (int64_t c = 0; c < r.ds->classes; c++)
            if (fabs(count[c] / all - 1 / (double)r.ds->classes) > 0.02)
                fail_msg("%s: label %lld is %.4f of all", specs[i], (long long)c, count[c] / all);
        drop(&r);
    }
}

static void lengths_are_drawn_evenly(void **state)
{
    struct rows r = fetch_first("reverse:length=12,min=5,vocab=4", SQA_TRAIN, 4000);
    int count[13] = {0};
    (void)state;
    for (int64_t k = 0; k < 4000; k++) {
        assert_in_range(r.b->lengths[k], 5, 12);
        assert_int_equal(r.b->lengths[k], r.ds->task->length_of(r.ds, SQA_TRAIN, (uint32_t)k));
        count[r.b->lengths[k]]++;
    }
    for (int n = 5; n <= 12; n++)
        assert_in_range(count[n], 400, 600);
    drop(&r);
}

/* Queries stand in slots of two behind the pairs, and with a small power mostly in the first of them. */
static void queries_follow_the_power_law(void **state)
{
    struct rows r = fetch_first("mqar:length=64,pairs=4,vocab=64,power=0.01", SQA_TRAIN, 4000);
    double first = 0, last = 0, weights = 0;
    (void)state;
    for (int64_t k = 0; k < 4000; k++) {
        int queries = 0;
        for (int64_t t = 0; t < 64; t++) {
            if (r.b->labels[k * 64 + t] < 0)
                continue;
            assert_true(t >= 8 && t % 2 == 0);
            queries++;
        }
        assert_int_equal(queries, 4);
        first += r.b->labels[k * 64 + 8] >= 0;
        last += r.b->labels[k * 64 + 62] >= 0;
    }
    for (int i = 1; i <= 28; i++)
        weights += pow(i, -0.99);
    /* four draws without replacement: at least as often as one draw, at most four times as often */
    assert_true(first / 4000 > 1 / weights && first / 4000 < 4 / weights);
    assert_true(last / 4000 > pow(28, -0.99) / weights && last / 4000 < 0.1);
    assert_true(first > 6 * last);
    drop(&r);
}

static bool same_rows(const struct rows *a, const struct rows *b, int64_t n)
{
    const size_t bytes = (size_t)(n * a->b->length) * sizeof(int32_t);
    return memcmp(a->b->tokens, b->b->tokens, bytes) == 0 && memcmp(a->b->labels, b->b->labels, bytes) == 0;
}

static void examples_depend_on_seed_split_and_index_only(void **state)
{
    static const char *const pairs[][3] = {
        {"reverse:length=16", "reverse:length=16,train=500,test=7,valid=9", "reverse:length=16,data_seed=1"},
        {"mqar:length=32,pairs=4", "mqar:length=32,pairs=4,train=500", "mqar:length=32,pairs=4,data_seed=1"}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rows a = fetch_first(pairs[i][0], SQA_TRAIN, 100), b = fetch_first(pairs[i][1], SQA_TRAIN, 100),
                    c = fetch_first(pairs[i][2], SQA_TRAIN, 100), d = fetch_first(pairs[i][0], SQA_TEST, 100);
        assert_true(same_rows(&a, &b, 100));
        assert_false(same_rows(&a, &c, 1));
        assert_false(same_rows(&a, &d, 1));
        assert_string_not_equal(a.ds->split_hash[SQA_TRAIN], c.ds->split_hash[SQA_TRAIN]);
        assert_string_not_equal(a.ds->split_hash[SQA_TRAIN], a.ds->split_hash[SQA_TEST]);
        struct sqa_batch *one = sqa_batch_create(a.ds, 1, a.ds->length + 5); /* alone, in a longer batch */
        const uint32_t index = 99;
        const int64_t n = a.ds->length;
        assert_int_equal(a.ds->task->fetch(a.ds, SQA_TRAIN, &index, 1, one, &err), SQA_OK);
        assert_memory_equal(one->tokens, a.b->tokens + 99 * n, (size_t)n * sizeof(int32_t));
        assert_memory_equal(one->labels, a.b->labels + 99 * n, (size_t)n * sizeof(int32_t));
        for (int64_t t = n; t < n + 5; t++) {
            assert_int_equal(one->tokens[t], 0);
            assert_int_equal(one->labels[t], -1);
        }
        sqa_batch_free(one);
        drop(&a);
        drop(&b);
        drop(&c);
        drop(&d);
    }
}

/* No test example among the training examples. */
static void splits_are_disjoint(void **state)
{
    static const char *const specs[] = {"reverse", "mqar"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rows a = fetch_first(specs[i], SQA_TRAIN, 3000), b = fetch_first(specs[i], SQA_TEST, 200);
        const size_t row = (size_t)a.b->length * sizeof(int32_t);
        for (int64_t k = 0; k < 200; k++)
            for (int64_t j = 0; j < 3000; j++)
                assert_int_not_equal(memcmp(b.b->tokens + k * a.b->length, a.b->tokens + j * a.b->length, row), 0);
        drop(&a);
        drop(&b);
    }
}

static void examples_are_shown(void **state)
{
    struct sqa_dataset *ds = open_spec("reverse:length=3,vocab=3");
    struct sqa_text text = {0};
    (void)state;
    assert_int_equal(ds->task->show(ds, SQA_TRAIN, 0, &text, &err), SQA_OK);
    assert_non_null(strstr(sqa_text_get(&text), "3 tokens\ntokens "));
    assert_non_null(strstr(sqa_text_get(&text), "\nlabels "));
    assert_int_equal(ds->task->show(ds, SQA_TEST, 2000, &text, &err), SQA_INPUT);
    expect_sentence("example 2000 of test", "2000");
    sqa_text_clear(&text);
    sqa_dataset_close(ds);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    expect_refused("reverse:length=4,min=5", SQA_USAGE, "min=5", "length=4");
    expect_refused("reverse:vocab=2", SQA_USAGE, "vocab=2", "from 3");
    expect_refused("mqar:length=33,pairs=4,vocab=64", SQA_USAGE, "length=33", "even");
    expect_refused("mqar:length=64,pairs=17,vocab=64", SQA_USAGE, "17 pairs", "4 pairs");
    expect_refused("mqar:length=64,pairs=8,vocab=16", SQA_USAGE, "7 keys for 8 pairs", "raise vocab");
}

static void failing_allocations_are_survived(void **state)
{
    static const char *const specs[] = {"reverse:length=8", "mqar:length=16,pairs=4"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        enum sqa_status status = SQA_NOMEM;
        long n = 1;
        for (; status != SQA_OK && n < 200; n++) {
            struct sqa_dataset *ds = NULL;
            struct sqa_batch *b = NULL;
            struct sqa_text text = {0};
            memset(&err, 0, sizeof err);
            sqa_alloc_fail_at(n);
            status = sqa_dataset_open(specs[i], env(), &ds, &err);
            if (status == SQA_OK && !(b = sqa_batch_create(ds, 2, ds->length)))
                status = sqa_fail(&err, SQA_NOMEM, "batch: no memory; none");
            if (status == SQA_OK)
                status = ds->task->show(ds, SQA_TRAIN, 0, &text, &err);
            sqa_alloc_fail_at(0);
            if (status != SQA_OK) {
                assert_int_equal(status, SQA_NOMEM);
                expect_sentence("memory", ";");
            }
            sqa_text_clear(&text);
            sqa_batch_free(b);
            sqa_dataset_close(ds);
        }
        assert_int_equal(status, SQA_OK);
        assert_true(n > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oracles_are_right),
        cmocka_unit_test(labels_are_balanced),
        cmocka_unit_test(lengths_are_drawn_evenly),
        cmocka_unit_test(queries_follow_the_power_law),
        cmocka_unit_test(examples_depend_on_seed_split_and_index_only),
        cmocka_unit_test(splits_are_disjoint),
        cmocka_unit_test(examples_are_shown),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests_name("tagged", tests, make_folder, remove_folder);
}
