/* test_recipe.c - harness/recipe*.c: rows, patterns, overrides, sentences, and the recipes that are shipped */
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

#include "base/file.h"
#include "harness/recipe.h"

static char folder[] = "/tmp/sqa_test_recipe_XXXXXX";
static char path[64];
static struct sqa_arena arena;

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || setenv("SEQARENA_RECIPES", folder, 1) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/t.ini", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    sqa_arena_clear(&arena);
    return rmdir(folder);
}

static void write_recipe(const char *text)
{
    struct sqa_err err = {0};
    if (sqa_file_write(path, text, strlen(text), &err) != SQA_OK)
        fail_msg("%s", err.text);
}

static struct sqa_recipe resolve(const char *scale, const char *model, const char *task, const char *overrides,
                                 const char **frame)
{
    struct sqa_recipe r;
    struct sqa_err err = {0};
    const char *ignored;
    if (sqa_recipe_resolve(scale, model, task, overrides, &arena, &r, frame ? frame : &ignored, &err) != SQA_OK)
        fail_msg("%s", err.text);
    return r;
}

static void test_generic(void **state)
{
    (void)state;
    write_recipe("[task=^never$]\nrate = 7\nsource = x\nframe.dim = 9\n");
    const char *frame;
    const struct sqa_recipe r = resolve("t", "transformer", "listops", NULL, &frame);
    struct sqa_text text = {0};
    assert_string_equal(r.file, "generic");
    assert_int_equal(r.matched, 0);
    assert_non_null(strstr(r.source, "t.ini"));
    assert_string_equal(frame, "");
    sqa_recipe_text(&r, &text);
    assert_string_equal(
        sqa_text_get(&text),
        "batch=32;steps=0;epochs=10;rate=0.001;ssm_rate=0.001;decay=0;decay_all=0;clip=1;beta1=0.9;beta2=0.999;"
        "eps=1e-08;momentum=0.9;optimizer=adamw;schedule=cosine;warmup=0;hold=0;every=1;step_decay=0.5;"
        "cycle_momentum=0;cycle=0;first_step=1;eval_every=0;eval_examples=0;patience=0;select=best_valid;bucket=16;"
        "pad=longest;micro=0;drop_last=0");
    sqa_text_clear(&text);
}

static void test_rows(void **state)
{
    (void)state;
    write_recipe("\xef\xbb\xbf; a comment\n"
                 "[*]   ; defaults\r\n"
                 "source = all\r\n"
                 "  rate = 1e-4 ; a comment\n"
                 "steps = 5000\n"
                 "frame.dim = 64\n"
                 "frame.layers = 2\n"
                 "[model=^dlinear$ task=^etth1(:|$)]\n"
                 "lr = 5e-3\n"
                 "source = script\n"
                 "[model=^dlinear$ task=^etth1(:|$)] ; the same header again is another row\n"
                 "epochs = 3\n"
                 "frame.dim = 32\n"
                 "[ task=[a-z]+[12] ]\n"
                 "batch = 8\n"
                 "[model=^(a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z|dlinear):a_very_long_header=1$]\n"
                 "batch = 9");
    const char *frame;
    struct sqa_recipe r = resolve("t", "transformer", "listops", "", &frame);
    assert_true(r.rate == 1e-4 && r.steps == 5000 && r.batch == 32 && r.matched == 1);
    assert_string_equal(r.source, "all");
    assert_string_equal(r.file, "t");
    assert_string_equal(frame, "dim=64,layers=2");
    r = resolve("t", "dlinear", "etth1:horizon=96", NULL, &frame);
    assert_true(r.rate == 5e-3 && r.steps == 0 && r.epochs == 3 && r.batch == 8 && r.matched == 4);
    assert_string_equal(r.source, "script");
    assert_string_equal(frame, "dim=32,layers=2");
    r = resolve("t", "dlinear:a_very_long_header=1", "etth1", NULL, NULL);
    assert_true(r.batch == 9 && r.steps == 5000);
}

static void test_overrides(void **state)
{
    (void)state;
    write_recipe("[*]\nsteps = 5000\nrate = 1\n");
    struct sqa_recipe r = resolve("t", "m", "t", "lr=1e-3,batch=64,select=last", NULL);
    assert_true(r.rate == 1e-3 && r.batch == 64 && r.steps == 5000);
    assert_string_equal(r.select, "last");
    r = resolve("t", "m", "t", "epochs=2", NULL);
    assert_true(r.steps == 0 && r.epochs == 2);
    r = resolve("t", "m", "t", "epochs=2,steps=1K", NULL);
    assert_true(r.steps == 1024 && r.epochs == 2);
    static const char *const rows[][2] = {
        {"rat=1", "did you mean 'rate'"},
        {"rate", "not NAME=VALUE"},
        {"rate=1,", "not NAME=VALUE"},
        {"rate=fast", "give a number"},
        {"rate=1,lr=2", "twice"},
        {"batch=0", "whole number"},
        {"optimizer=lion", "adamw|adam|sgd"},
        {"rate=nan", "give a number"},
        {"beta1=1", "give a number"},
        {"=1", "no parameter"},
        {"source=me", "no parameter 'source'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sqa_err err = {0};
        const char *frame;
        assert_int_equal(sqa_recipe_resolve("t", "m", "t", rows[i][0], &arena, &r, &frame, &err), SQA_USAGE);
        if (strncmp(err.text, "--train: ", 9) != 0 || !strstr(err.text, rows[i][1]))
            fail_msg("%s: %s", rows[i][0], err.text);
    }
}

static void test_search(void **state)
{
    (void)state;
    char value[64];
    write_recipe("[*]\nrate = 1\nsearch.lr =  3e-4 1e-3\t3e-3 ; a comment\n[task=^t$]\nsearch.share = 0.5\n"
                 "search.seed = 7\n[task=^u$]\nsearch.batch = 8 16\n");
    struct sqa_recipe r = resolve("t", "m", "s", NULL, NULL);
    assert_string_equal(r.search, "rate");
    assert_true(r.search_share == 0.25 && r.search_seed == 1000 && r.rate == 1);
    assert_string_equal(sqa_recipe_value(&r, 0, value), "3e-4");
    assert_string_equal(sqa_recipe_value(&r, 2, value), "3e-3");
    assert_null(sqa_recipe_value(&r, 3, value));
    r = resolve("t", "m", "t", "steps=5", NULL);
    assert_true(r.search_share == 0.5 && r.search_seed == 7 && r.steps == 5);
    assert_non_null(r.search);
    assert_string_equal(resolve("t", "m", "u", NULL, NULL).search, "batch");
    assert_null(resolve("t", "m", "t", "rate=2", NULL).search); /* given: nothing to be searched */
    assert_null(resolve("t", "m", "t", "lr=2", NULL).search);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where, *what;
    } rows[] = {
        {"rate = 1\n", "line 1: ", "put it under [*]"},
        {"[*]\n\nrate\n", "line 3: ", "neither"},
        {"[*]\nrate =\n", "line 2: ", "no value"},
        {"[*]\nrate = fast\n", "line 2: ", "give a number"},
        {"[task=^x$]\nrat = 1\n", "line 2: ", "did you mean 'rate'"},
        {"[*]\nrate = 1\nlr = 2\n", "line 3: ", "twice"},
        {"[*]\nsource = a\nsource = b\n", "line 3: ", "twice"},
        {"[*]\nframe.dim = 1\nframe.dim = 2\n", "line 3: ", "twice"},
        {"[*]\nframe. = 1\n", "line 2: ", "frame parameter"},
        {"[*]\nframe.dim = 1,layers=2\n", "line 2: ", "frame parameter"},
        {"[*]\nrate = 1\n continued\n", "line 3: ", "neither"},
        {"[]\n", "line 1: ", "empty row header"},
        {"[ \t]\n", "line 1: ", "empty row header"},
        {"[dlinear]\n", "line 1: ", "'dlinear'"},
        {"[model=]\n", "line 1: ", "empty pattern"},
        {"[model=a model=b]\n", "line 1: ", "two patterns"},
        {"[model=a\n", "line 1: ", "without ]"},
        {"[model=a] b\n", "line 1: ", "without ]"},
        {"[*]\n[task=(a]\n", "line 2: ", "pattern '(a', character 3: missing closing parenthesis"},
        {"[task=a{2,1}]\n", "line 1: ", "pattern"},
        {"[*]\nsearch.frob = 1 2\n", "line 2: ", "no setting of that name"},
        {"[*]\nsearch.rate = 1\n", "line 2: ", "too few values"},
        {"[*]\nsearch.rate = 1 fast\n", "line 2: ", "give a number"},
        {"[*]\nsearch.rate = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", "line 2: ", "too many values"},
        {"[*]\nsearch.rate = 1 2\nsearch.batch = 1 2\n", "line 3: ", "a setting to be searched is given twice"},
        {"[*]\nsearch.share = 0\n", "line 2: ", "above 0, at most 1"},
        {"[*]\nsearch.seed = -1\n", "line 2: ", "give a whole number"},
        {"[*]\nsource = \xff\n", "mem: ", "UTF-8"},
        {"[*]\nsource = a\x1b[31m\n", "line 2: ", "control character 27"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sqa_err err = {0};
        assert_int_equal(sqa_recipe_check("mem", rows[i].text, &err), SQA_INPUT);
        assert_int_equal(err.code, SQA_INPUT);
        if (strncmp(err.text, "mem", 3) != 0 || !strstr(err.text, rows[i].where) || !strstr(err.text, rows[i].what))
            fail_msg("row %zu: %s", i, err.text);
    }
    char line[400] = "[*]\nsource = ";
    struct sqa_err err = {0};
    memset(line + strlen(line), 'x', 300);
    assert_int_equal(sqa_recipe_check("mem", line, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "line 2: longer than"));
    write_recipe("[model=^(a+)+$]\nrate = 1\n");
    struct sqa_recipe r;
    const char *frame;
    assert_int_equal(
        sqa_recipe_resolve("t", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "t", NULL, &arena, &r, &frame, &err),
        SQA_INPUT);
    assert_non_null(strstr(err.text, "match limit"));
}

static void test_missing(void **state)
{
    (void)state;
    static const char *const names[] = {"nothing", "", "../t", "a/b", "t.ini"};
    char found[4096];
    write_recipe("[*]\n");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct sqa_err err = {0};
        assert_int_equal(sqa_recipe_path(names[i], found, &err), SQA_USAGE);
        assert_non_null(strstr(err.text, "choose one of"));
    }
    struct sqa_err err = {0};
    assert_int_equal(sqa_recipe_path("t", found, &err), SQA_OK);
    assert_string_equal(found, path);
    struct sqa_text list = {0};
    sqa_recipe_list(&list);
    assert_non_null(strstr(sqa_text_get(&list), "t\n"));
    sqa_text_clear(&list);
}

static void test_optim(void **state)
{
    (void)state;
    write_recipe(
        "[*]\noptimizer = sgd\nrate = 5e-3\nschedule = step\nhold = 1\nwarmup = 3\nclip = 0\nssm_rate = 0\n");
    const struct sqa_recipe r = resolve("t", "m", "t", NULL, NULL);
    struct sqa_optim o;
    struct sqa_schedule c;
    sqa_recipe_optim(&r, &o);
    sqa_recipe_schedule(&r, 100, 1000, &c);
    assert_true(o.kind == SQA_OPTIM_SGD && o.rate == 5e-3 && o.momentum == 0.9 && o.clip == 0 && o.eps == 1e-8);
    assert_true(c.kind == SQA_SCHEDULE_STEP && c.hold == 1 && c.every == 1 && c.decay == 0.5 && c.warmup == 3);
    assert_true(c.steps_per_epoch == 100 && c.total == 1000 && !c.cycle_momentum);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    write_recipe("[*]\nsource = s\nrate = 1\nframe.dim = 8\n[model=^m$]\nframe.dim = 9\noptimizer = adam\n");
    bool done = false;
    for (long n = 1; !done; n++) {
        struct sqa_arena own = {0};
        struct sqa_recipe r;
        struct sqa_err err = {0};
        const char *frame;
        sqa_alloc_fail_at(n);
        done = sqa_recipe_resolve("t", "m", "t", "batch=2", &own, &r, &frame, &err) == SQA_OK;
        sqa_alloc_fail_at(0);
        assert_true(done || err.text[0]);
        sqa_arena_clear(&own);
    }
}

/* ---- the files of recipes/ ---- */

static void test_shipped(void **state)
{
    (void)state;
    static const char *const names[] = {"smoke", "lite", "etth-published"};
    assert_int_equal(setenv("SEQARENA_RECIPES", "recipes", 1), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char found[4096], *text;
        size_t size;
        struct sqa_err err = {0};
        assert_int_equal(sqa_recipe_path(names[i], found, &err), SQA_OK);
        assert_int_equal(sqa_file_read(found, 1 << 20, &text, &size, &err), SQA_OK);
        if (sqa_recipe_check(found, text, &err) != SQA_OK)
            fail_msg("%s", err.text);
        sqa_free(text);
    }

    const char *frame;
    struct sqa_recipe r = resolve("lite", "transformer", "listops", NULL, &frame);
    assert_true(r.steps == 5000 && r.rate == 1e-4 && r.eps == 1e-6 && r.eval_examples == 1984 && r.warmup == 1000);
    assert_string_equal(frame, "layers=2,dim=64,heads=2,ffn=128,dropout=0.1,attention_dropout=0.1");
    r = resolve("lite", "transformer", "listops:min=100,max=512", NULL, NULL);
    assert_true(r.steps == 5000);
    r = resolve("lite", "transformer", "listops:min=100,max=640", NULL, NULL);
    assert_true(r.steps == 5000);
    r = resolve("lite", "transformer", "listops:min=16,max=64,train=20000", NULL, NULL);
    assert_true(r.steps == 4000 && r.rate == 1e-3 && r.eval_examples == 0 && r.warmup == 400 && r.batch == 32);
    assert_string_equal(r.schedule, "one_cycle");
    assert_string_equal(r.source, "seqarena's own: rate 1e-3 and 4,000 steps for lists of 16 to 64 tokens");
    r = resolve("lite", "dlinear", "never", NULL, NULL);
    assert_string_equal(r.file, "generic");
    struct sqa_text generic = {0}, linear = {0};
    sqa_recipe_text(&r, &generic);
    r = resolve("lite", "dlinear", "etth1", NULL, NULL);
    assert_string_equal(r.file, "lite");
    sqa_recipe_text(&r, &linear); /* what forecast ran before lite had forecasts */
    assert_string_equal(sqa_text_get(&linear), sqa_text_get(&generic));
    sqa_text_clear(&generic);
    sqa_text_clear(&linear);
    r = resolve("lite", "lstm", "csv:file=x.csv", NULL, &frame);
    assert_true(r.steps == 3000 && r.batch == 32 && r.patience == 4);
    assert_string_equal(frame,
                        "layers=2,dim=64,dropout=0.1,instance=norm,bidirectional=0+pool=last+channel=no_channel+"
                        "position=no_position");

    r = resolve("etth-published", "dlinear", "etth1:lookback=336,horizon=96", NULL, NULL);
    assert_true(r.rate == 5e-3 && r.epochs == 10 && r.steps == 0 && r.patience == 3 && r.hold == 1 &&
                r.drop_last == 1);
    assert_true(r.clip == 0 && r.decay == 0);
    r = resolve("etth-published", "nlinear", "etth2:lookback=336,horizon=96", NULL, NULL);
    assert_true(r.rate == 5e-2);
    r = resolve("etth-published", "nlinear", "etth2:lookback=336,horizon=96,mode=S", NULL, NULL);
    assert_true(r.rate == 5e-3);
    r = resolve("etth-published", "nlinear", "etth2:lookback=336,horizon=96,mode=MS", NULL, NULL);
    assert_true(r.rate == 5e-2);
    r = resolve("etth-published", "transformer_ed", "etth2", NULL, NULL);
    assert_true(r.rate == 1e-4);
    struct sqa_schedule c;
    sqa_recipe_schedule(&r, 263, 2630, &c);
    const int64_t third = 2 * 263 + 1;
    assert_true(sqa_schedule_factor(&c, 263 * 2) == 1 && sqa_schedule_factor(&c, third) == 0.5);

    r = resolve("smoke", "transformer", "listops:min=16,max=64", NULL, &frame);
    assert_true(r.steps == 120 && r.batch == 32 && r.rate == 3e-3);
    assert_string_equal(frame, "layers=2,dim=32,heads=2,ffn=64,dropout=0,attention_dropout=0");
    r = resolve("smoke", "transformer", "listops", NULL, NULL);
    assert_true(r.steps == 20 && r.batch == 4);
    r = resolve("smoke", "dlinear", "etth1:lookback=336,horizon=96", NULL, NULL);
    assert_true(r.steps == 200 && r.rate == 5e-3);
    r = resolve("smoke", "transformer", "random:length=512", NULL, NULL);
    assert_true(r.steps == 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generic),   cmocka_unit_test(test_rows),
        cmocka_unit_test(test_overrides), cmocka_unit_test(test_search),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_missing),
        cmocka_unit_test(test_optim),     cmocka_unit_test(test_allocation_failures),
        cmocka_unit_test(test_shipped),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
