/* test_fidelity.c - harness/fidelity.c: exact forms have no error, more features less, others are listed */
#include "tests/task_helpers.h"

#include "harness/fidelity.h"
#include "harness/settings.h"
#include "tests/support.h"

static char weights[256];

static int write_weights(void **state)
{
    static const struct sqa_cell_settings s = {.model = "transformer:dim=16,ffn=16,layers=2+pool=cls",
                                               .task = "listops:min=20,max=60,train=8,valid=4,test=6",
                                               .scale = "smoke",
                                               .seed = 1,
                                               .threads = 1};
    struct sqa_arena arena = {0};
    struct sqa_trainer *t = NULL;
    if (make_folder(state) != 0)
        return 1;
    snprintf(weights, sizeof weights, "%s/w.safetensors", folder);
    enum sqa_status status = sqa_open_settings(&s, &arena, &t, &err);
    if (status == SQA_OK)
        status = sqa_trainer_write_weights(t, weights, &err);
    sqa_trainer_close(t);
    sqa_arena_clear(&arena);
    return status != SQA_OK;
}

static enum sqa_status measure(const char *const *models, int n, int64_t length, struct sqa_text *csv,
                               struct sqa_text *markdown)
{
    const struct sqa_fidelity_options o = {.weights = weights,
                                           .models = models,
                                           .n_models = n,
                                           .lengths = &length,
                                           .n_lengths = 1,
                                           .examples = 4,
                                           .draws = 2,
                                           .threads = 1};
    return sqa_fidelity(&o, csv, markdown, &err);
}

/* The error of a mixer's row of a layer. */
static double error_of(const struct sqa_text *csv, const char *model, const char *layer)
{
    char start[128];
    snprintf(start, sizeof start, ",%s,40,%s,ok,,", model, layer);
    const char *at = strstr(sqa_text_get(csv), start);
    if (!at)
        fail_msg("no row '%s' in\n%s", start, sqa_text_get(csv));
    return strtod(at + strlen(start), NULL);
}

static void test_errors(void **state)
{
    (void)state;
    static const char *const models[] = {"transformer",
                                         "local:window=64",
                                         "performer:features=4",
                                         "local:window=8",
                                         "performer:features=4096",
                                         "mean_mixer",
                                         "linear_transformer",
                                         "skyformer",
                                         "gru"};
    struct sqa_text csv = {0}, markdown = {0};
    if (measure(models, 9, 40, &csv, &markdown) != SQA_OK)
        fail_msg("%s", err.text);
    for (int layer = 0; layer < 3; layer++) {
        const char *name = ((const char *const[]){"0", "1", "mean"})[layer];
        assert_true(error_of(&csv, "transformer", name) < 1e-12);
        assert_true(error_of(&csv, "local:window=64", name) < 1e-5);
        assert_true(error_of(&csv, "local:window=8", name) > 0.01);
        assert_true(error_of(&csv, "performer:features=4096", name) <
                    error_of(&csv, "performer:features=4", name) / 2);
        assert_true(error_of(&csv, "mean_mixer", name) > 0);
    }
    assert_non_null(strstr(sqa_text_get(&csv), ",skyformer,40,,unsupported,\"it approximates its own"));
    assert_non_null(strstr(sqa_text_get(&csv), ",gru,40,,unsupported,"));
    assert_non_null(strstr(sqa_text_get(&markdown), "| `local:window=64` "));
    assert_non_null(strstr(sqa_text_get(&markdown), "not measured"));
    sqa_text_clear(&csv);
    sqa_text_clear(&markdown);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const models[] = {"local"}, *const unknown[] = {"locla"};
    struct sqa_text csv = {0}, markdown = {0};
    assert_int_equal(measure(models, 1, 4000, &csv, &markdown), SQA_USAGE);
    assert_non_null(strstr(err.text, "at most 60 positions"));
    assert_int_equal(measure(unknown, 1, 40, &csv, &markdown), SQA_USAGE);
    sqa_text_clear(&csv);
    sqa_text_clear(&markdown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, write_weights, remove_folder);
}
