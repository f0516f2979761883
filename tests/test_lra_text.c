/* test_lra_text.c - Text and Retrieval of Long Range Arena: files, splits, refusals, pairs through models and floors
 */
#include "harness/train.h"
#include "models/probe.h"
#include "tasks/documents.h"
#include "tests/task_helpers.h"

static void make_dir(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(sqa_make_dirs(path, &err), SQA_OK);
}

static void write_bytes(const char *name, const void *bytes, size_t n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(sqa_file_write(path, bytes, n, &err), SQA_OK);
}

/* "text:<params>" with %s for the folder of the test. */
static const char *spec(const char *form)
{
    static char text[4096];
    char *to = text;
    for (const char *s = form; *s; s++)
        if (*s == '@')
            to += sprintf(to, "%s", folder);
        else
            *to++ = *s;
    *to = '\0';
    return text;
}

struct rows {
    struct sqa_dataset *ds;
    struct sqa_batch *b;
};

static struct rows fetch_all(const char *form, enum sqa_split split)
{
    struct rows r = {.ds = open_spec(spec(form))};
    const int64_t n = r.ds->count[split];
    uint32_t *index = calloc((size_t)n, sizeof *index);
    assert_non_null(index);
    for (uint32_t i = 0; i < n; i++)
        index[i] = i;
    r.b = sqa_batch_create(r.ds, n, r.ds->length);
    assert_non_null(r.b);
    r.b->length = sqa_dataset_batch_length(r.ds, split, index, n, 1);
    if (r.ds->task->fetch(r.ds, split, index, n, r.b, &err) != SQA_OK)
        fail_msg("%s", err.text);
    free(index);
    return r;
}

static void drop(struct rows *r)
{
    sqa_batch_free(r->b);
    sqa_dataset_close(r->ds);
}

static void expect_row(const struct rows *r, int64_t row, const char *text)
{
    const size_t n = strlen(text);
    assert_int_equal(r->b->lengths[row], n);
    for (int64_t t = 0; t < r->b->length; t++)
        assert_int_equal(r->b->tokens[row * r->b->length + t], t < (int64_t)n ? (unsigned char)text[t] + 1 : 0);
}

static void write_reviews(const char *split, int n)
{
    char name[256], text[256];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "imdb/%s/%s/%d_%d.txt", split, i % 2 ? "pos" : "neg", i / 2, i % 2 ? 9 : 2);
        snprintf(text, sizeof text, " \t\n%s film<br /><br />number %d of %s\r\n\v", i % 2 ? "good" : "bad", i,
                 split);
        write_bytes(name, text, strlen(text));
    }
}

static void test_folders(void **state)
{
    static const char *const dirs[] = {"train/neg", "train/pos", "test/neg", "test/pos"};
    char name[64];
    (void)state;
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "imdb/%s", dirs[i]);
        make_dir(name);
    }
    write_reviews("train", 120);
    write_reviews("test", 25); /* neg has one more than pos */
    write_bytes("imdb/test/neg/.hidden.txt", "", 0);
    write_bytes("imdb/test/neg/urls.html", "x", 1);
    struct rows r = fetch_all("text:dir=@/imdb,length=100", SQA_TEST);
    assert_int_equal(r.ds->vocab, 257);
    assert_int_equal(r.ds->classes, 2);
    assert_int_equal(r.b->n, 25);
    for (int i = 0; i < 25; i++) { /* ids in numeric order (2 before 10), neg and pos in turn, white space gone */
        char text[256];
        snprintf(text, sizeof text, "%s film<br /><br />number %d of test", i % 2 ? "good" : "bad", i);
        expect_row(&r, i, text);
        assert_int_equal(r.b->labels[i], i % 2);
    }
    assert_int_equal(r.ds->count[SQA_TRAIN] + r.ds->count[SQA_VALID], 120);
    assert_true(r.ds->count[SQA_VALID] > 2 && r.ds->count[SQA_VALID] < 30);
    drop(&r);
    r = fetch_all("text:dir=@/imdb,length=5", SQA_TEST);
    expect_row(&r, 0, "bad f");
    assert_int_equal(r.b->length, 5);
    drop(&r);

    write_bytes("imdb/train/pos/7_9.txt", " \n", 2);
    expect_refused(spec("text:dir=@/imdb"), SQA_INPUT, "train/pos/7_9.txt: an empty text", "skip_bad=1");
    struct sqa_dataset *ds = open_spec(spec("text:dir=@/imdb,skip_bad=1"));
    assert_int_equal(ds->count[SQA_TRAIN] + ds->count[SQA_VALID], 119);
    assert_non_null(strstr(ds->note, "1 bad left out, the first: "));
    sqa_dataset_close(ds);
    write_bytes("imdb/train/pos/7_9.txt", "fine", 4);
    write_bytes("imdb/train/pos/review.txt", "fine", 4);
    expect_refused(spec("text:dir=@/imdb"), SQA_INPUT, "review.txt: not named ID_RATING.txt", "rename");
    expect_refused(spec("text:dir=@/imdb/train"), SQA_INPUT, "imdb/train/train/neg: No such file", "check");
    expect_refused("text:dir=nowhere", SQA_INPUT, "nowhere: not found", "--data");
}

/* Texts of both splits: none stands in both; the same seed gives the same, another seed others. */
static void test_splits(void **state)
{
    static const char form[] = "text:train=@/many.tsv,test=@/many.tsv,length=40,valid=0.3,data_seed=";
    struct sqa_text many = {0};
    char one[200], two[200];
    (void)state;
    for (int i = 0; i < 400; i++)
        sqa_text_printf(&many, "%d\treview number %d\n", i % 2, i % 350); /* the last 50 are repeats */
    write_bytes("many.tsv", many.text, many.length);
    sqa_text_clear(&many);
    snprintf(one, sizeof one, "%s1", form);
    snprintf(two, sizeof two, "%s2", form);
    struct rows train = fetch_all(one, SQA_TRAIN), valid = fetch_all(one, SQA_VALID),
                other = fetch_all(two, SQA_VALID);
    assert_int_equal(train.b->n + valid.b->n, 400);
    assert_true(valid.b->n > 80 && valid.b->n < 160);
    for (int64_t i = 0; i < train.b->n; i++)
        for (int64_t k = 0; k < valid.b->n; k++)
            assert_false(train.b->lengths[i] == valid.b->lengths[k] &&
                         memcmp(train.b->tokens + i * train.b->length, valid.b->tokens + k * valid.b->length,
                                (size_t)valid.b->lengths[k] * sizeof(int32_t)) == 0);
    assert_string_equal(train.ds->split_hash[SQA_VALID], valid.ds->split_hash[SQA_VALID]);
    assert_string_not_equal(valid.ds->split_hash[SQA_VALID], other.ds->split_hash[SQA_VALID]);
    assert_string_equal(valid.ds->split_hash[SQA_TEST], other.ds->split_hash[SQA_TEST]);
    assert_non_null(strstr(valid.ds->note, "validation is 0.3 of the training reviews"));
    drop(&train);
    drop(&valid);
    drop(&other);

    valid = fetch_all("text:train=@/many.tsv,test=@/many.tsv,form=lra", SQA_VALID);
    assert_int_equal(valid.ds->count[SQA_TRAIN], 400);
    assert_int_equal(valid.b->n, 400);
    assert_string_equal(valid.ds->split_hash[SQA_VALID], valid.ds->split_hash[SQA_TEST]);
    assert_non_null(strstr(valid.ds->note, "chosen on test data"));
    drop(&valid);
}

static void test_tables(void **state)
{
    static const struct {
        const char *name, *text;
    } rows[] = {
        {"plain.tsv", "0\tbad film\n1\tgood \"film\"\n0\tna\xc3\xafve\n"},
        {"crlf.tsv", "label\ttext\r\nneg\t bad film \r\npos\tgood \"film\"\r\n0\tna\xc3\xafve"},
        {"quoted.csv", "review,sentiment\n\"bad film\",negative\n\"good \"\"film\"\"\",positive\nna\xc3\xafve,0\n"},
        {"label.csv", "\xef\xbb\xbflabel,text\r\n0,bad film\r\n1,\"good \"\"film\"\"\"\r\n0,\"na\xc3\xafve\"\r\n"},
    };
    (void)state;
    write_bytes("train.tsv", "0\ta\n1\tb\n0\tc\n1\td\n0\te\n1\tf\n0\tg\n1\th\n0\ti\n1\tj\n", 40);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char form[200];
        write_bytes(rows[i].name, rows[i].text, strlen(rows[i].text));
        snprintf(form, sizeof form, "text:train=@/train.tsv,valid=0.4,length=20,test=@/%s", rows[i].name);
        struct rows r = fetch_all(form, SQA_TEST);
        assert_int_equal(r.b->n, 3);
        expect_row(&r, 0, "bad film");
        expect_row(&r, 1, "good \"film\"");
        expect_row(&r, 2, "na\xc3\xafve"); /* each byte of a character is a token */
        assert_int_equal(r.b->labels[0], 0);
        assert_int_equal(r.b->labels[1], 1);
        drop(&r);
    }
    struct sqa_dataset *ds = open_spec(spec("text:train=@/train.tsv,valid=0.4,test=@/quoted.csv"));
    struct sqa_text shown = {0};
    assert_int_equal(ds->task->show(ds, SQA_TEST, 2, &shown, &err), SQA_OK);
    assert_string_equal(sqa_text_get(&shown), "label 0, 6 bytes\nna\xc3\xafve\n");
    sqa_text_clear(&shown);
    assert_int_equal(ds->task->show(ds, SQA_TEST, 3, &shown, &err), SQA_INPUT);
    sqa_dataset_close(ds);
}

static void test_bad_rows(void **state)
{
    static const struct {
        const char *name, *text, *has, *also;
    } rows[] = {
        {"b1.tsv", "0\tx\n2\ty\n", "b1.tsv: line 2", "the label '2' is none of"},
        {"b2.tsv", "0\tx\n1\ta\tb\n", "b2.tsv: line 2", "3 columns instead of 2"},
        {"b3.tsv", "0\tx\n\n1\n", "b3.tsv: line 3", "1 column instead of 2"},
        {"b4.tsv", "0\t \n", "b4.tsv: line 1", "an empty text"},
        {"b5.tsv", "text\tlabel\nx\t0\n0\ty\n", "b5.tsv: line 3", "the label 'y'"},
        {"b6.csv", "0,x\n1,\"y\n", "b6.csv: line 2", "quote"},
        {"b7.tsv", "sentiment\tlabel\n0\tx\n", "b7.tsv: line 1", "the label 'sentiment'"},
        {"b8.tsv", "", "no reviews for the test split", "b8.tsv"},
    };
    (void)state;
    write_bytes("train.tsv", "0\ta\n1\tb\n0\tc\n1\td\n0\te\n1\tf\n0\tg\n1\th\n0\ti\n1\tj\n", 40);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char form[200];
        write_bytes(rows[i].name, rows[i].text, strlen(rows[i].text));
        snprintf(form, sizeof form, "text:train=@/train.tsv,valid=0.4,test=@/%s", rows[i].name);
        expect_refused(spec(form), SQA_INPUT, rows[i].has, rows[i].also);
    }
    struct sqa_dataset *ds = open_spec(spec("text:train=@/train.tsv,valid=0.4,test=@/b2.tsv,skip_bad=1"));
    assert_int_equal(ds->count[SQA_TEST], 1);
    assert_non_null(strstr(ds->note, "1 bad left out, the first: "));
    assert_non_null(strstr(ds->note, "b2.tsv: line 2: 3 columns instead of 2"));
    sqa_dataset_close(ds);
    expect_refused(spec("text:train=@/train.tsv"), SQA_USAGE, "train= without test=", "both files");
    expect_refused("text:train=gone.tsv,test=gone.tsv", SQA_INPUT, "gone.tsv: not found", "--data");
    expect_refused("text:length=65537", SQA_USAGE, "length=65537", "65536");
}

static void test_slices(void **state)
{
    static const char form[] = "text:train=imdb_train_2000.tsv,test=imdb_test_1000.tsv,length=65536";
    char path[4096];
    (void)state;
    need("data/imdb_train_2000.tsv", path);
    need("data/imdb_test_1000.tsv", path);
    struct rows r = fetch_all(form, SQA_TEST);
    int64_t bytes = 0, positive = 0, longest = 0, shortest = 1 << 20;
    for (int64_t i = 0; i < r.b->n; i++) {
        bytes += r.b->lengths[i];
        positive += r.b->labels[i];
        longest = r.b->lengths[i] > longest ? r.b->lengths[i] : longest;
        shortest = r.b->lengths[i] < shortest ? r.b->lengths[i] : shortest;
    }
    assert_int_equal(r.b->n, 1000);
    assert_int_equal(positive, 500);
    assert_int_equal(longest, 6006);
    assert_int_equal(shortest, 49);
    assert_int_equal((bytes + 500) / 1000, 1347);
    assert_int_equal(r.ds->count[SQA_TRAIN] + r.ds->count[SQA_VALID], 2000);
    assert_null(strstr(r.ds->note, "not the known file"));
    drop(&r);
}

/* Retrieval */

static void test_pairs(void **state)
{
    struct sqa_text t = {0};
    (void)state;
    make_dir("lra_release/tsv_data");
    static const char *const names[] = {"train", "eval", "test"};
    for (int s = 0; s < 3; s++) {
        char name[64];
        snprintf(name, sizeof name, "lra_release/tsv_data/new_aan_pairs.%s.tsv", names[s]);
        t.length = 0;
        sqa_text_printf(&t, "1.0\tP1\tP2\tsay \"this, unclosed\tsecond %s%s", names[s], s == 1 ? "\r\n" : "\n");
        sqa_text_printf(&t, "0\tP3\tP4\tshort\t");
        for (int i = 0; i < 2000; i++)
            sqa_text_printf(&t, "word%d ", i);
        sqa_text_add(&t, s == 2 ? "" : "\n");
        write_bytes(name, t.text, t.length);
    }
    sqa_text_clear(&t);
    for (int s = 0; s < 3; s++) {
        struct sqa_dataset *ds = NULL;
        const struct sqa_task_env here = {.data_dir = folder};
        uint32_t index[] = {0, 1};
        char second[64];
        if (sqa_dataset_open("retrieval:length=30", &here, &ds, &err) != SQA_OK)
            fail_msg("%s", err.text);
        struct rows r = {.ds = ds, .b = sqa_batch_create(ds, 2, 30)};
        assert_non_null(strstr(ds->note, "lra_release/tsv_data/new_aan_pairs.test.tsv"));
        assert_int_equal(ds->task->kind, SQA_PAIR);
        assert_int_equal(ds->count[s], 2);
        assert_int_equal(ds->task->fetch(ds, (enum sqa_split)s, index, 2, r.b, &err), SQA_OK);
        snprintf(second, sizeof second, "second %s", names[s]);
        expect_row(&r, 0, "say \"this, unclosed");
        expect_row(&r, 1, second);
        expect_row(&r, 2, "short");
        expect_row(&r, 3, "word0 word1 word2 word3 word4 "); /* 30 bytes */
        assert_int_equal(r.b->labels[0], 1);
        assert_int_equal(r.b->labels[1], 0);
        assert_int_equal(ds->task->length_of(ds, (enum sqa_split)s, 0), 19);
        assert_int_equal(ds->task->length_of(ds, (enum sqa_split)s, 1), 30);
        drop(&r);
    }
    struct sqa_dataset *ds = NULL;
    const struct sqa_task_env nowhere = {.data_dir = "/nowhere"};
    assert_int_equal(sqa_dataset_open("retrieval", &nowhere, &ds, &err), SQA_INPUT);
    expect_sentence("new_aan_pairs.train.tsv: not found", "long-range-arena");
}

static void test_pair_lines(void **state)
{
    static const struct {
        const char *text, *has, *also;
    } rows[] = {
        {"1\ta\tb\tc\td\n1\ta\tb\tc\n", "line 2", "4 columns between tabs instead of 5"},
        {"1\ta\tb\tc\td\te\n", "line 1", "6 columns"},
        {"\n\n7\n", "line 3", "1 column between"},
        {"0.5\ta\tb\tc\td\n", "line 1", "the label '0.5' is neither"},
        {"yes\ta\tb\tc\td\n", "line 1", "the label 'yes'"},
        {"1\ta\tb\t\td\n", "line 1", "text 1 is empty"},
        {"1\ta\tb\tc\t\r\n", "line 1", "text 2 is empty"},
    };
    struct sqa_documents_reading how = {.length = 8, .split = SQA_TRAIN};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t chunk = 1; chunk < 40; chunk += 6) {
            struct sqa_documents set = {0};
            memset(&err, 0, sizeof err);
            assert_int_equal(
                sqa_documents_read_bytes("mem", rows[i].text, strlen(rows[i].text), chunk, &how, &set, &err),
                SQA_INPUT);
            expect_sentence(rows[i].has, rows[i].also);
            sqa_documents_clear(&set);
        }
    how.skip_bad = true;
    struct sqa_documents set = {0};
    static const char some[] = "1\ta\tb\tc\n1.0\ta\tb\tcc\tddd\n-0.0\ta\tb\tcc\td\r\n2\n";
    assert_int_equal(sqa_documents_read_bytes("mem", some, sizeof some - 1, 5, &how, &set, &err), SQA_OK);
    assert_int_equal(set.count[SQA_TRAIN], 2);
    assert_int_equal(set.bad, 2);
    assert_string_equal(set.first_bad, "mem: line 1: 4 columns between tabs instead of 5");
    assert_int_equal(set.pair[SQA_TRAIN][0].where[1], 19);
    assert_int_equal(set.pair[SQA_TRAIN][1].length[1], 1);
    assert_int_equal(set.pair[SQA_TRAIN][1].label, 0);
    sqa_documents_clear(&set);
}

/* One file: cut by the ids, whatever their order; reading does not depend on the size of pieces. */
static void write_pairs(const char *name, int n)
{
    struct sqa_text t = {0};
    for (int i = 0; i < n; i++) {
        const char *const same = i % 2 ? "aaabbbaa" : "cdcdcdcd";
        sqa_text_printf(&t, "%d.0\tP%d\tQ%d\taabab %d\t%s %d\n", i % 2, i, i, i, same, i);
        sqa_text_printf(&t, "%d.0\tQ%d\tP%d\taabab %d\t%s %d\n", i % 2, i, i, i, same, i);
    }
    write_bytes(name, t.text, t.length);
    sqa_text_clear(&t);
}

static void test_one_file(void **state)
{
    (void)state;
    write_pairs("pairs.tsv", 300);
    struct rows r = fetch_all("retrieval:file=@/pairs.tsv,length=16", SQA_TRAIN);
    assert_int_equal(r.ds->count[SQA_TRAIN] + r.ds->count[SQA_VALID] + r.ds->count[SQA_TEST], 600);
    assert_true(r.ds->count[SQA_VALID] > 20 && r.ds->count[SQA_TEST] > 20 && r.ds->count[SQA_TRAIN] > 400);
    for (int s = 0; s < 3; s++)
        assert_int_equal(r.ds->count[s] % 2, 0);
    struct sqa_dataset *again = open_spec(spec("retrieval:file=@/pairs.tsv,length=16")),
                       *other = open_spec(spec("retrieval:file=@/pairs.tsv,length=16,data_seed=1"));
    for (int s = 0; s < 3; s++) {
        assert_string_equal(r.ds->split_hash[s], again->split_hash[s]);
        assert_string_not_equal(r.ds->split_hash[s], other->split_hash[s]);
    }
    sqa_dataset_close(again);
    sqa_dataset_close(other);
    drop(&r);
    r = fetch_all("retrieval:generated=5,length=50", SQA_TEST);
    assert_non_null(strstr(r.ds->note, "for timing only"));
    assert_int_equal(r.b->lengths[9], 50);
    assert_true(memcmp(r.b->tokens, r.b->tokens + 50, 50 * sizeof(int32_t)) != 0);
    drop(&r);
    expect_refused("retrieval:generated=5,file=x", SQA_USAGE, "generated= and file=", "one of them");
    expect_refused("retrieval:file=x", SQA_INPUT, "x: not found", "--data");
}

/* Models */

enum { L = 9, V = 7, C = 3, D = 8, F = 6, ROWS = 2 };
static const struct sqa_signature pairs = {.kind = SQA_PAIR, .vocab = V, .classes = C, .length = L};
#define SIZES "dim=8,ffn=6,heads=2,layers=2"

static void logits(const char *model, int64_t length, const int32_t *ids, const int32_t *lengths,
                   void (*edit)(struct sqa_store *, void *), double y[ROWS * C])
{
    const struct sqa_probe_whole p = {.model = model,
                                      .task = pairs,
                                      .batch = ROWS,
                                      .length = length,
                                      .real = SQA_F64,
                                      .tokens = ids,
                                      .lengths = lengths,
                                      .seed = 3,
                                      .edit = edit};
    memset(&err, 0, sizeof err);
    if (sqa_probe_whole(&p, y, NULL, &err) != SQA_OK)
        fail_msg("%s: %s", model, err.text);
}

static const int32_t six[] = {1, 2, 3, 6, 5, 4, 2, 2, 5, 0, 0, 0, 6, 6, 1, 2, 0, 0, 3, 1, 0, 0, 0, 0};
static const int32_t valid[] = {6, 3, 4, 2};

static void test_padding_of_pairs(void **state)
{
    static const char *const models[] = {"transformer:" SIZES, "transformer:" SIZES "+pair=two_part+pool=last",
                                         "local:window=2," SIZES, "linear_transformer:" SIZES "+head=linear_head",
                                         "s4d:" SIZES};
    int32_t nine[4 * L];
    double y[ROWS * C], z[ROWS * C];
    (void)state;
    for (int64_t i = 0; i < 4 * L; i++) /* junk behind the valid positions */
        nine[i] = i % L < valid[i / L] ? six[i / L * 6 + i % L] : (int32_t)(i % V);
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        logits(models[i], 6, six, valid, NULL, y);
        logits(models[i], 9, nine, valid, NULL, z);
        assert_true(sqa_probe_difference(y, z, ROWS * C) < 1e-12);
        assert_true(sqa_probe_difference(y, y + C, C) > 1e-9); /* the pairs do differ */
    }
}

/* The head's first matrix for exchanged towers: [b, a, a b, b - a] instead of [a, b, a b, a - b]. */
static void exchange(struct sqa_store *s, void *user)
{
    struct sqa_entry *e = sqa_store_find(s, "head.in.w");
    double w[4 * D * F], moved[4 * D * F];
    (void)user;
    assert_non_null(e);
    assert_true(e->count == 4 * D * F || e->count == 2 * D * F);
    sqa_entry_get(s, e, w);
    for (int64_t i = 0; i < e->count; i++) {
        const int64_t block = i / (D * F), at = i % (D * F);
        moved[i] = block < 2 ? w[(1 - block) * D * F + at] : block == 2 ? w[i] : -w[i];
    }
    sqa_entry_set(s, e, moved);
}

static void test_exchanged_documents(void **state)
{
    static const char *const models[] = {"transformer:" SIZES, "transformer:" SIZES "+pair=two_part"};
    int32_t ids[24], lengths[4];
    double y[ROWS * C], z[ROWS * C];
    (void)state;
    for (int r = 0; r < 4; r++) {
        lengths[r] = valid[r ^ 1];
        memcpy(ids + r * 6, six + (r ^ 1) * 6, 6 * sizeof *ids);
    }
    for (size_t i = 0; i < 2; i++) {
        logits(models[i], 6, six, valid, NULL, y);
        logits(models[i], 6, ids, lengths, NULL, z);
        assert_true(sqa_probe_difference(y, z, ROWS * C) > 1e-9);
        logits(models[i], 6, ids, lengths, exchange, z);
        assert_true(sqa_probe_difference(y, z, ROWS * C) < 1e-12);
    }
}

static void test_pair_models(void **state)
{
    static const struct sqa_signature lite = {.kind = SQA_PAIR, .vocab = 512, .classes = 2, .length = 4096};
    static const struct sqa_signature single = {.kind = SQA_CLASSIFY, .vocab = V, .classes = C, .length = L};
    struct sqa_probe_whole p = {.model = "transformer", .task = lite, .batch = 1, .real = SQA_F32};
    int64_t count = 0;
    struct sqa_model *m;
    (void)state;
    assert_int_equal(sqa_probe_whole(&p, NULL, &count, &err), SQA_OK);
    assert_int_equal(count, 395138); /* of the lite protocol, where the head sees four parts */
    assert_int_equal(sqa_model_parse("transformer+pair=two_part", &m, &err), SQA_OK);
    assert_string_equal(m->short_form, "transformer+pair=two_part");
    assert_int_equal(sqa_model_check(m, &single, &err), SQA_UNSUPPORTED);
    expect_sentence("pair=two_part on a task without pairs", "leave +pair= out");
    sqa_model_free(m);
    assert_int_equal(sqa_model_parse("transformer+pair=four_part", &m, &err), SQA_OK);
    assert_string_equal(m->short_form, "transformer");
    assert_null(strstr(m->full_form, "pair")); /* as in rows from before there were pairs */
    sqa_model_free(m);
    assert_int_equal(sqa_model_parse("dlinear", &m, &err), SQA_OK);
    assert_int_equal(sqa_model_check(m, &pairs, &err), SQA_UNSUPPORTED);
    sqa_model_free(m);
}

/* Training on a few pairs, and the floors: the letters of the second text tell the label. */
static void score(const char *model, const char *task, struct sqa_scores *s)
{
    struct sqa_recipe recipe = {0};
    struct sqa_arena arena = {0};
    struct sqa_trainer *t;
    assert_int_equal(sqa_params_defaults("recipe", sqa_recipe_params, &recipe, &arena, &err), SQA_OK);
    recipe.steps = 80;
    recipe.batch = 16;
    recipe.rate = 5e-3;
    const struct sqa_trainer_options o = {
        .model = model, .task = task, .recipe = &recipe, .seed = 1, .threads = 1, .trainable = 1, .real = SQA_F32};
    if (sqa_trainer_open(&o, &t, &err) != SQA_OK)
        fail_msg("%s: %s", model, err.text);
    if (!sqa_model_is_floor(t->model) && sqa_trainer_run(t, NULL, 0, &err) != SQA_OK)
        fail_msg("%s: %s", model, err.text);
    assert_int_equal(sqa_trainer_evaluate(t, SQA_TEST, 0, NULL, NULL, s, &err), SQA_OK);
    sqa_trainer_close(t);
    sqa_arena_clear(&arena);
}

static void test_pairs_train(void **state)
{
    static const char *const models[] = {"transformer:dim=16,layers=1", "no_mixer:dim=16,layers=1+pair=two_part",
                                         "bag_of_tokens"};
    struct sqa_scores s;
    (void)state;
    write_pairs("pairs.tsv", 300);
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        score(models[i], spec("retrieval:file=@/pairs.tsv,length=16"), &s);
        assert_true(s.accuracy > 0.95);
    }
    score("majority", spec("retrieval:file=@/pairs.tsv,length=16"), &s);
    assert_true(s.accuracy < 0.75);
}

/* Counts by hand: class 0 has tokens 1 1 2, class 1 has 2 3; four ids and padding. */
static void test_bag_of_tokens(void **state)
{
    static const struct sqa_signature task = {.kind = SQA_CLASSIFY, .vocab = 5, .classes = 2, .length = 3};
    const struct sqa_variant *v = sqa_variant_find("bag_of_tokens");
    int32_t train[] = {1, 1, 2, 2, 3, 4}, test[] = {1, 2, 0, 3, 3, 0, 2, 4, 0, 0, 0, 0, 2, 2, 4}, guess[5];
    int32_t lengths[] = {3, 2, 1, 2, 0}, test_lengths[] = {2, 2, 2, 0, 3}, labels[] = {0, 1};
    struct sqa_batch seen = {.n = 2, .length = 3, .tokens = train, .lengths = lengths, .labels = labels};
    struct sqa_batch asked = {.n = 5, .length = 3, .tokens = test, .lengths = test_lengths};
    struct sqa_arena arena = {0};
    char self[256] = {0}; /* more than its state */
    (void)state;
    assert_non_null(v);
    assert_true(v->self_size <= sizeof self);
    assert_int_equal(v->begin(self, &task, &arena, &err), SQA_OK);
    assert_int_equal(v->see(self, &seen, &err), SQA_OK);
    assert_int_equal(v->predict(self, &asked, guess, NULL, &err), SQA_OK);
    /* p(1 2 3 4 | 0) = 3 2 1 1 / 7, p(. | 1) = 1 2 2 1 / 6; the priors are equal */
    assert_int_equal(guess[0], 0); /* 6 / 49 against 2 / 36 */
    assert_int_equal(guess[1], 1); /* 1 / 49 against 4 / 36 */
    assert_int_equal(guess[2], 1); /* 2 / 49 against 2 / 36 */
    assert_int_equal(guess[3], 0); /* nothing to go by: the first */
    assert_int_equal(guess[4], 1); /* 4 / 343 against 4 / 216 */
    labels[1] = 2;
    assert_int_equal(v->see(self, &seen, &err), SQA_INPUT);
    sqa_arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),          cmocka_unit_test(test_splits),
        cmocka_unit_test(test_tables),           cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_slices),           cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_pair_lines),       cmocka_unit_test(test_one_file),
        cmocka_unit_test(test_padding_of_pairs), cmocka_unit_test(test_exchanged_documents),
        cmocka_unit_test(test_pair_models),      cmocka_unit_test(test_pairs_train),
        cmocka_unit_test(test_bag_of_tokens),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
