/* test_score.c - harness/export_data.c, predictions.c, external.c: what goes out comes back; known scores; refusals
 */
#include "tests/task_helpers.h"

#include "base/npy.h"
#include "harness/export_data.h"
#include "harness/external.h"
#include "harness/predictions.h"
#include "tests/support.h"

static char dir[128], file[256];

static const char *in_dir(const char *name)
{
    snprintf(file, sizeof file, "%s/%s", dir, name);
    return file;
}

static struct sqa_npy read_array(const char *name)
{
    struct sqa_npy a = {0};
    if (sqa_npy_read(in_dir(name), &a, &err) != SQA_OK)
        fail_msg("%s", err.text);
    return a;
}

static void export_spec(const struct sqa_dataset *ds)
{
    snprintf(dir, sizeof dir, "%s/%s", folder, ds->task->id);
    if (sqa_data_export(ds, dir, -1, NULL, &err) != SQA_OK)
        fail_msg("%s", err.text);
    struct sqa_text t = {0};
    if (sqa_data_export_check(dir, &t, &err) != SQA_OK)
        fail_msg("%s", err.text);
    sqa_text_clear(&t);
}

static struct sqa_scores score(const struct sqa_dataset *ds, const char *name)
{
    struct sqa_scores s;
    if (sqa_predictions_score(ds, SQA_TEST, in_dir(name), NULL, NULL, &s, &err) != SQA_OK)
        fail_msg("%s", err.text);
    return s;
}

/* Every split, against fetch. 700 examples: more than one chunk. */
static void test_export_tokens(void **state)
{
    (void)state;
    struct sqa_dataset *ds = open_spec("listops:min=4,max=30,train=700,valid=10,test=20");
    export_spec(ds);
    for (int s = 0; s < SQA_SPLITS; s++) {
        char name[64];
        struct sqa_batch *b = sqa_batch_create(ds, 1, ds->length);
        snprintf(name, sizeof name, "%s_tokens.npy", sqa_split_keys[s]);
        struct sqa_npy tokens = read_array(name);
        snprintf(name, sizeof name, "%s_lengths.npy", sqa_split_keys[s]);
        struct sqa_npy lengths = read_array(name);
        snprintf(name, sizeof name, "%s_labels.npy", sqa_split_keys[s]);
        struct sqa_npy labels = read_array(name);
        assert_true(tokens.rank == 2 && tokens.dim[0] == ds->count[s] && tokens.dim[1] == 30);
        assert_string_equal(tokens.type, "u1");
        for (uint32_t i = 0; i < ds->count[s]; i++) {
            assert_int_equal(ds->task->fetch(ds, (enum sqa_split)s, &i, 1, b, &err), SQA_OK);
            assert_true(labels.data[i] == b->labels[0] && lengths.data[i] == b->lengths[0]);
            for (int64_t k = 0; k < 30; k++)
                assert_true(tokens.data[i * 30 + k] == b->tokens[k]);
        }
        sqa_npy_clear(&tokens);
        sqa_npy_clear(&lengths);
        sqa_npy_clear(&labels);
        sqa_batch_free(b);
    }
    assert_true(score(ds, "test_labels.npy").accuracy == 1);
    assert_true(isnan(score(ds, "test_labels.npy").loss));
    sqa_dataset_close(ds);
}

static void test_logits(void **state)
{
    (void)state;
    struct sqa_dataset *ds = open_spec("listops:min=4,max=30,train=700,valid=10,test=20");
    double logits[20][10] = {{0}};
    export_spec(ds);
    struct sqa_npy labels = read_array("test_labels.npy");
    for (int i = 0; i < 20; i++)
        logits[i][(int)labels.data[i]] = i < 15 ? 2 : -2;
    assert_int_equal(sqa_npy_write(in_dir("z.npy"), "f8", 2, (const int64_t[]){20, 10}, &logits[0][0], &err), SQA_OK);
    const struct sqa_scores s = score(ds, "z.npy");
    const double right = log(exp(2) + 9) - 2, wrong = log(exp(-2) + 9) + 2;
    assert_true(s.n == 20);
    assert_near(s.accuracy, 0.75, 0, "accuracy");
    assert_near(s.loss, (15 * right + 5 * wrong) / 20, 1e-12, "loss");
    for (int i = 0; i < 20; i++)
        logits[i][3] = 1e5; /* no overflow */
    assert_int_equal(sqa_npy_write(in_dir("z.npy"), "f8", 2, (const int64_t[]){20, 10}, &logits[0][0], &err), SQA_OK);
    assert_true(isfinite(score(ds, "z.npy").loss));
    sqa_npy_clear(&labels);
    sqa_dataset_close(ds);
}

static void test_tags(void **state)
{
    (void)state;
    struct sqa_dataset *ds = open_spec("mqar:length=64,pairs=4,train=10,valid=10,test=12");
    struct sqa_scores s;
    export_spec(ds);
    struct sqa_npy labels = read_array("test_labels.npy");
    double out_of_range = 0;
    for (size_t i = 0; i < labels.count; i++)
        if (labels.data[i] < 0)
            labels.data[i] = 1e6 + (out_of_range += 1); /* where there is no label anything may stand */
    assert_true(out_of_range > 0);
    assert_int_equal(sqa_npy_write(in_dir("z.npy"), "i4", 2, labels.dim, labels.data, &err), SQA_OK);
    assert_true(score(ds, "z.npy").accuracy == 1);
    for (size_t i = 0; i < labels.count; i++)
        labels.data[i] = -1;
    assert_int_equal(sqa_npy_write(in_dir("z.npy"), "i4", 2, labels.dim, labels.data, &err), SQA_OK);
    assert_int_equal(sqa_predictions_score(ds, SQA_TEST, in_dir("z.npy"), NULL, NULL, &s, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "is label -1"));
    sqa_npy_clear(&labels);
    sqa_dataset_close(ds);
}

static void test_series(void **state)
{
    (void)state;
    struct sqa_dataset *ds = open_spec("mackey_glass:lookback=24,horizon=6");
    export_spec(ds);
    assert_true(score(ds, "test_y.npy").mse < 1e-12);
    struct sqa_npy y = read_array("test_y.npy");
    for (size_t i = 0; i < y.count; i++)
        y.data[i] += i % 2 ? 0.5 : -1;
    assert_int_equal(sqa_npy_write(in_dir("z.npy"), "f8", 3, y.dim, y.data, &err), SQA_OK);
    assert_near(score(ds, "z.npy").mse, (0.25 + 1) / 2, 1e-6, "MSE");
    assert_near(score(ds, "z.npy").mae, 0.75, 1e-6, "MAE");
    sqa_npy_clear(&y);
    sqa_dataset_close(ds);
}

static void test_external(void **state)
{
    (void)state;
    static const char whole[] = "{\"name\": \"a\", \"seed\": 7, \"params\": 1e6, \"batch\": 8, \"recipe\": \"r\"}";
    static const struct {
        const char *text, *what;
    } rows[] = {
        {"", "no JSON"},
        {"[]", "not a JSON object"},
        {"{}", "no name"},
        {"{\"name\": 1}", "not a text"},
        {"{\"name\": \"a\", \"name\": \"b\"}", "no JSON"},
        {"{\"name\": \"a\\nb\"}", "control character"},
        {"{\"name\": \"a\", \"flps\": 1}", "did you mean 'flops'"},
        {"{\"name\": \"a\", \"flops\": -1}", "not a number from 0 on"},
        {"{\"name\": \"a\", \"flops\": true}", "not a number"},
        {"{\"name\": \"a\", \"seed\": 1.5}", "not a whole number"},
    };
    struct sqa_arena arena = {0};
    struct sqa_external x;
    assert_int_equal(sqa_external_parse("m", whole, sizeof whole - 1, &arena, &x, &err), SQA_OK);
    assert_string_equal(x.name, "a");
    assert_string_equal(x.recipe, "r");
    assert_true(x.seed == 7 && x.batch == 8 && isnan(x.flops) && !x.source);
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(sqa_external_parse("m", rows[i].text, strlen(rows[i].text), &arena, &x, &err), SQA_INPUT);
        if (strncmp(err.text, "m: ", 3) != 0 || !strstr(err.text, rows[i].what))
            fail_msg("row %zu: %s", i, err.text);
    }
    sqa_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_export_tokens), cmocka_unit_test(test_logits),   cmocka_unit_test(test_tags),
        cmocka_unit_test(test_series),        cmocka_unit_test(test_external),
    };
    return cmocka_run_group_tests_name("score", tests, make_folder, remove_folder);
}
