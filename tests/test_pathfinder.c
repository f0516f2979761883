/* test_pathfinder.c - generated pictures against the published description, released sets as files, floors, sheets */
#include "tests/task_helpers.h"

#include "base/png.h"
#include "base/random.h"
#include "harness/sheet.h"
#include "models/variant.h"
#include "tasks/pathfinder.h"

static const char *const level_names[] = {"easy", "intermediate", "hard"};
static const int sizes[] = {32, 64, 128, 256};

static int share_of_zeros(const uint8_t *pixels, int n)
{
    int zeros = 0;
    for (int i = 0; i < n; i++)
        zeros += pixels[i] == 0;
    return 100 * zeros / n;
}

/* The published counts and places, from the generator's own record. */
static void test_record(void **state)
{
    static const int contours[] = {6, 9, 14}, wanted[4][3] = {{10, 6, 5}, {11, 7, 5}, {17, 11, 8}, {15, 10, 7}};
    static uint8_t pixels[256 * 256];
    (void)state;
    for (int s = 0; s < 4; s++)
        for (int level = 0; level < 3; level++) {
            const int pictures = s == 0 ? 400 : s == 1 && level == 2 ? 4 : 20;
            struct sqa_pathfinder_shape shape;
            assert_true(sqa_pathfinder_shape(sizes[s], level, -1, &shape));
            assert_int_equal(shape.contour, contours[level]);
            assert_int_equal(shape.distractor, contours[level] / 3);
            assert_int_equal(shape.distractors, wanted[s][level]);
            struct sqa_pathfinder *p = sqa_pathfinder_create(&shape);
            assert_non_null(p);
            int curves = 0;
            for (int i = 0; i < pictures; i++) {
                struct sqa_pathfinder_record r;
                sqa_pathfinder_draw(p, sqa_random_mix(5, (uint64_t)i), pixels, &r);
                assert_int_equal(r.bars[0], shape.contour);
                assert_int_equal(r.bars[1], shape.contour);
                assert_true(r.distractors <= shape.distractors);
                assert_int_equal(r.distractor_bars, r.distractors * shape.distractor);
                assert_true(r.margin == shape.margin[0] || r.margin == shape.margin[shape.margins - 1]);
                curves += r.distractors;
                const double apart = hypot(r.tail[0][0] - r.tail[1][0], r.tail[0][1] - r.tail[1][1]);
                assert_true(fabs(apart - shape.seed_distance) < 0.75);
                for (int d = 0; d < 2; d++)
                    for (int k = 0; k < 2; k++)
                        assert_in_range(r.dot[d][k], 0, sizes[s] - 1);
                const int start = r.dot[0][0] == r.tail[0][0] && r.dot[0][1] == r.tail[0][1] ? 0 : 1;
                assert_int_equal(r.dot[0][0], r.tail[start][0]);
                assert_int_equal(r.dot[0][1], r.tail[start][1]);
            }
            assert_true(curves > pictures * shape.distractors * 8 / 10);
            sqa_pathfinder_free(p);
        }
    struct sqa_pathfinder_shape shape;
    assert_false(sqa_pathfinder_shape(48, 0, -1, &shape));
    assert_true(sqa_pathfinder_shape(128, SQA_PATHFINDER_HARD, 3, &shape));
    assert_int_equal(shape.distractors, 3);
}

/* Background 0, the brightest 255, dots as bright as their contrast says, labels even. */
static void test_pixels(void **state)
{
    static uint8_t pixels[256 * 256];
    (void)state;
    for (int s = 0; s < 4; s++) {
        const int n = sizes[s] * sizes[s], pictures = s == 0 ? 2000 : 40;
        struct sqa_pathfinder_shape shape;
        assert_true(sqa_pathfinder_shape(sizes[s], SQA_PATHFINDER_EASY, -1, &shape));
        struct sqa_pathfinder *p = sqa_pathfinder_create(&shape);
        assert_non_null(p);
        int positive = 0;
        double brightest = 0;
        for (int i = 0; i < pictures; i++) {
            struct sqa_pathfinder_record r;
            sqa_pathfinder_draw(p, sqa_random_mix(6, (uint64_t)i), pixels, &r);
            int most = 0;
            for (int t = 0; t < n; t++)
                most = pixels[t] > most ? pixels[t] : most;
            assert_int_equal(most, 255);
            assert_true(share_of_zeros(pixels, n) >= (s == 0 ? 50 : 70));
            const int dot = (int)lround(255.0 * 25500 / r.brightest);
            for (int d = 0; d < 2; d++)
                assert_true(pixels[r.dot[d][0] * sizes[s] + r.dot[d][1]] >= dot * 95 / 100);
            if (s > 0)
                assert_int_equal(r.brightest, 25500);
            positive += r.label;
            brightest += r.brightest / 25500.0 / pictures;
        }
        if (s == 0) { /* distractors of contrast 2 outshine dots: thin bars, halved by shrinking */
            assert_true(brightest > 1.1 && brightest < 1.2);
            assert_in_range(positive, 900, 1100); /* 4.5 deviations */
        }
        sqa_pathfinder_free(p);
    }
}

/* Bars alone: targets 1.5 / 2 as bright as distractors at size 32. Without distractors a bar is the target's. */
static void test_contrast(void **state)
{
    static uint8_t pixels[32 * 32];
    (void)state;
    struct sqa_pathfinder_shape shape;
    assert_true(sqa_pathfinder_shape(32, SQA_PATHFINDER_EASY, 0, &shape));
    assert_int_equal(shape.target_contrast, 150);
    assert_int_equal(shape.distractor_contrast, 200);
    shape.target_contrast = 250; /* so that bars outshine dots */
    struct sqa_pathfinder *p = sqa_pathfinder_create(&shape);
    assert_non_null(p);
    for (int i = 0; i < 50; i++) {
        struct sqa_pathfinder_record r;
        sqa_pathfinder_draw(p, (uint64_t)i, pixels, &r);
        assert_int_equal(r.brightest % 250, 0);
        assert_in_range(r.brightest / 250, 115, 170); /* of 255: a line of one half pixel, shrunk */
    }
    sqa_pathfinder_free(p);
}

static void fetch_one(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, struct sqa_batch *b)
{
    if (ds->task->fetch(ds, split, &index, 1, b, &err) != SQA_OK)
        fail_msg("%s", err.text);
}

static void test_same_bits(void **state)
{
    (void)state;
    struct sqa_dataset *a = open_spec("pathfinder:level=easy"),
                       *b = open_spec("pathfinder:level=easy,train=10,valid=3");
    struct sqa_dataset *other = open_spec("pathfinder:level=easy,data_seed=1");
    struct sqa_batch *x = sqa_batch_create(a, 1, a->length), *y = sqa_batch_create(b, 1, b->length);
    const size_t bytes = (size_t)a->length * sizeof *x->tokens;
    assert_int_equal(a->count[SQA_TRAIN], 160000);
    assert_int_equal(a->count[SQA_VALID], 20000);
    assert_int_equal(a->count[SQA_TEST], 20000);
    assert_int_equal(a->length, 1024);
    assert_int_equal(a->vocab, 257);
    assert_int_equal(a->picture_rows, 32);
    fetch_one(b, SQA_VALID, 2, y);
    for (uint32_t i = 0; i < 10; i++) {
        fetch_one(a, SQA_TRAIN, i, x);
        fetch_one(b, SQA_TRAIN, i, y);
        assert_memory_equal(x->tokens, y->tokens, bytes);
        assert_int_equal(x->labels[0], y->labels[0]);
        assert_int_equal(x->lengths[0], 1024);
        fetch_one(a, SQA_TEST, i, y);
        assert_memory_not_equal(x->tokens, y->tokens, bytes);
        fetch_one(other, SQA_TRAIN, i, y);
        assert_memory_not_equal(x->tokens, y->tokens, bytes);
    }
    assert_string_equal(a->split_hash[SQA_TEST], b->split_hash[SQA_TEST]);
    assert_string_not_equal(a->split_hash[SQA_TRAIN], b->split_hash[SQA_TRAIN]);
    assert_string_not_equal(a->split_hash[SQA_TEST], other->split_hash[SQA_TEST]);
    assert_string_equal(a->split_hash[SQA_TEST], "1011753bd24c6b8b"); /* the same pictures for good */
    struct sqa_text text = {0};
    assert_int_equal(a->task->show(a, SQA_TEST, 0, &text, &err), SQA_OK);
    assert_non_null(strstr(sqa_text_get(&text), "label "));
    assert_int_equal(a->task->show(b, SQA_VALID, 3, &text, &err), SQA_INPUT);
    sqa_text_clear(&text);
    sqa_batch_free(x);
    sqa_batch_free(y);
    sqa_dataset_close(a);
    sqa_dataset_close(b);
    sqa_dataset_close(other);
}

/* Of four pictures to train on one is the level's, one has three bars and no distractor; other splits do not change. */
static void test_mixed(void **state)
{
    (void)state;
    struct sqa_dataset *plain = open_spec("pathfinder:level=easy"),
                       *mixed = open_spec("pathfinder:level=easy,mixed=1"),
                       *three = open_spec("pathfinder:level=easy,bars=3,distractors=0");
    struct sqa_batch *x = sqa_batch_create(plain, 1, plain->length), *y = sqa_batch_create(mixed, 1, mixed->length);
    const size_t bytes = (size_t)plain->length * sizeof *x->tokens;
    for (uint32_t i = 0; i < 8; i++) {
        fetch_one(mixed, SQA_TRAIN, i, y);
        fetch_one(plain, SQA_TRAIN, i, x);
        assert_int_equal(memcmp(x->tokens, y->tokens, bytes) == 0, i % 4 == 0);
        fetch_one(three, SQA_TRAIN, i, x);
        assert_int_equal(memcmp(x->tokens, y->tokens, bytes) == 0, i % 4 == 1);
        fetch_one(mixed, SQA_TEST, i, y);
        fetch_one(plain, SQA_TEST, i, x);
        assert_memory_equal(x->tokens, y->tokens, bytes);
    }
    sqa_batch_free(x);
    sqa_batch_free(y);
    sqa_dataset_close(plain);
    sqa_dataset_close(mixed);
    sqa_dataset_close(three);
}

static void test_reals(void **state)
{
    (void)state;
    struct sqa_dataset *a = open_spec("pathfinder:level=easy"), *b = open_spec("pathfinder:level=easy,input=reals");
    struct sqa_batch *x = sqa_batch_create(a, 2, a->length), *y = sqa_batch_create(b, 2, b->length);
    const uint32_t index[2] = {3, 1};
    assert_int_equal(b->vocab, 0);
    assert_int_equal(b->channels, 1);
    double *own = y->x ? NULL : sqa_alloc_array(2048, sizeof *own);
    y->x = own ? own : y->x;
    assert_int_equal(a->task->fetch(a, SQA_TRAIN, index, 2, x, &err), SQA_OK);
    assert_int_equal(b->task->fetch(b, SQA_TRAIN, index, 2, y, &err), SQA_OK);
    for (int t = 0; t < 2048; t++)
        assert_true(fabs(y->x[t] * 255 + 1 - x->tokens[t]) < 1e-9);
    assert_string_equal(a->split_hash[SQA_TRAIN], b->split_hash[SQA_TRAIN]);
    sqa_batch_free(x);
    sqa_batch_free(y);
    sqa_dataset_close(a);
    sqa_dataset_close(b);
}

/* Files of a small set: pictures 0 .. n - 1 of folder imgs/<batch>, each of one gray value. */
enum { VALUE = 7 };
static void write_bytes(const char *name, const void *data, size_t size)
{
    char path[4096], parent[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    assert_int_equal(sqa_make_dirs(parent, &err), SQA_OK);
    assert_int_equal(sqa_file_write(path, data, size, &err), SQA_OK);
}

static void write_pictures(const char *set, int batch, int n)
{
    static uint8_t pixels[32 * 32];
    char path[4096];
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/imgs/%d/sample_%d.png", set, batch, i);
        write_bytes(path, "", 0);
        memset(pixels, VALUE * batch + i, sizeof pixels);
        snprintf(path, sizeof path, "%s/%s/imgs/%d/sample_%d.png", folder, set, batch, i);
        assert_int_equal(sqa_png_write(path, 32, 32, 1, pixels, &err), SQA_OK);
    }
}

static void line_of(char buf[128], int batch, int i)
{
    snprintf(buf, 128, "imgs/%d sample_%d.png %d %d 1.0 6 2 2 0.5 1 1", batch, i, i, (batch + i) % 2);
}

static void write_text(const char *set, int batch, int n)
{
    char path[256], text[4096] = "", line[128];
    for (int i = 0; i < n; i++) {
        line_of(line, batch, i);
        strcat(strcat(text, line), "\n");
    }
    snprintf(path, sizeof path, "%s/metadata/%d.npy", set, batch);
    write_bytes(path, text, strlen(text));
}

/* The same lines as np.save writes them: unit 4 is '<U24', unit 1 '|S24'. */
static void write_npy(const char *set, int batch, int n, int unit)
{
    static unsigned char bytes[1 << 16];
    char path[256], line[128];
    size_t used = 10;
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, "\x93NUMPY\x01", 7);
    used +=
        (size_t)snprintf((char *)bytes + 10, 200, "{'descr': '%s24', 'fortran_order': False, 'shape': (%d, 11), }\n",
                         unit == 4 ? "<U" : "|S", n);
    bytes[8] = (unsigned char)(used - 10);
    for (int i = 0; i < n; i++) {
        line_of(line, batch, i);
        char *save = NULL;
        for (char *field = strtok_r(line, " ", &save); field; field = strtok_r(NULL, " ", &save)) {
            for (size_t k = 0; field[k]; k++)
                bytes[used + k * (size_t)unit] = (unsigned char)field[k];
            used += 24 * (size_t)unit;
        }
    }
    snprintf(path, sizeof path, "%s/metadata/%d.npy", set, batch);
    write_bytes(path, bytes, used);
}

static struct sqa_dataset *open_set(const char *dir, const char *more)
{
    char spec[4096];
    snprintf(spec, sizeof spec, "pathfinder:level=easy,dir=%s/%s%s", folder, dir, more);
    return open_spec(spec);
}

static void test_released(void **state)
{
    static const char inner[] = "a/lra_release/lra_release/pathfinder32/curv_baseline", flat[] = "b/curv_baseline";
    (void)state;
    for (int k = 0; k < 2; k++) { /* 40 pictures, batches 2 and 10: sorted by number, not by name */
        const char *set = k ? flat : inner;
        write_pictures(set, 2, 20);
        write_pictures(set, 10, 20);
        k ? write_npy(set, 2, 20, 4) : write_text(set, 2, 20);
        write_npy(set, 10, 20, 1);
    }
    write_text("a/lra_release/pathfinder32/curv_baseline", 0, 1); /* a second copy further out is not taken */
    struct sqa_dataset *a = open_set("a", ""), *b = open_set("b", ""), *straight = open_set("b/curv_baseline", "");
    struct sqa_dataset *half = open_set("a/lra_release", ",train=5"), *lra = open_set("a", ",form=lra");
    assert_int_equal(a->count[SQA_TRAIN], 32);
    assert_int_equal(a->count[SQA_VALID], 4);
    assert_int_equal(a->count[SQA_TEST], 4);
    assert_int_equal(half->count[SQA_TRAIN], 5);
    assert_non_null(strstr(a->note, "lra_release/lra_release/pathfinder32/curv_baseline"));
    assert_non_null(strstr(a->note, "6 bars"));
    assert_non_null(strstr(lra->note, "in the order"));
    for (int s = 0; s < SQA_SPLITS; s++) {
        assert_string_equal(a->split_hash[s], b->split_hash[s]);
        assert_string_equal(a->split_hash[s], straight->split_hash[s]);
        assert_string_not_equal(a->split_hash[s], lra->split_hash[s]);
    }
    assert_string_equal(a->split_hash[SQA_TEST], half->split_hash[SQA_TEST]);
    struct sqa_batch *x = sqa_batch_create(lra, 1, lra->length);
    for (uint32_t i = 0; i < 32; i++) {
        const int batch = i < 20 ? 2 : 10, sample = (int)i % 20;
        fetch_one(lra, SQA_TRAIN, i, x);
        assert_int_equal(x->tokens[0], VALUE * batch + sample + 1);
        assert_int_equal(x->tokens[1023], VALUE * batch + sample + 1);
        assert_int_equal(x->labels[0], (batch + sample) % 2);
    }
    sqa_batch_free(x);
    struct sqa_dataset *const all[] = {a, b, straight, half, lra};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sqa_dataset_close(all[i]);
}

static void test_bad_files(void **state)
{
    static const char set[] = "bad/curv_baseline";
    char spec[4096], path[4096], *bytes;
    size_t size;
    (void)state;
    write_pictures(set, 0, 20);
    write_text(set, 0, 20);
    snprintf(spec, sizeof spec, "pathfinder:level=easy,dir=%s/bad", folder);
    write_bytes("bad/curv_baseline/imgs/0/sample_17.png", "", 0);
    expect_refused(spec, SQA_INPUT, "imgs/0/sample_17.png: empty", "skip_bad=1");
    struct sqa_dataset *ds = open_set("bad", ",skip_bad=1");
    assert_int_equal(ds->count[SQA_TRAIN] + ds->count[SQA_VALID] + ds->count[SQA_TEST], 19);
    assert_non_null(strstr(ds->note, "sample_17.png"));
    sqa_dataset_close(ds);
    snprintf(path, sizeof path, "%s/bad/curv_baseline/imgs/0/sample_3.png", folder);
    assert_int_equal(sqa_file_read(path, 1 << 20, &bytes, &size, &err), SQA_OK);
    write_bytes("bad/curv_baseline/imgs/0/sample_17.png", bytes, size); /* whole again */
    for (size_t keep = 1; keep + 12 < size; keep += 5) {                /* the last chunk, IEND, has 12 bytes */
        write_bytes("bad/curv_baseline/imgs/0/sample_3.png", bytes, keep);
        expect_refused(spec, SQA_INPUT, "imgs/0/sample_3.png", "skip_bad=1");
    }
    bytes[size - 20] ^= 1; /* a wrong checksum or a wrong stream */
    write_bytes("bad/curv_baseline/imgs/0/sample_3.png", bytes, size);
    expect_refused(spec, SQA_INPUT, "imgs/0/sample_3.png", "skip_bad=1");
    sqa_free(bytes);
    write_bytes("bad/curv_baseline/metadata/0.npy", "imgs/0 sample_0.png 0 0\nimgs/0 sample_1.png 1 2\n", 48);
    expect_refused(spec, SQA_INPUT, "line 2", "no label");
    write_bytes("bad/curv_baseline/metadata/0.npy", "imgs/0 ../../x.png 0 0\n", 23);
    expect_refused(spec, SQA_INPUT, "line 1", "no file name");
    write_bytes("bad/curv_baseline/metadata/0.npy", "imgs/0\n", 7);
    expect_refused(spec, SQA_INPUT, "line 1", "too few fields");
    snprintf(spec, sizeof spec, "pathfinder:dir=%s/bad", folder);
    expect_refused(spec, SQA_INPUT, "curv_contour_length_14", "lra_release");
}

/* Share of held-out pictures that a floor gets right. */
static double floor_accuracy(const char *id, const struct sqa_dataset *ds)
{
    const struct sqa_variant *v = sqa_variant_find(id);
    const struct sqa_signature task = {.kind = ds->task->kind,
                                       .vocab = ds->vocab,
                                       .classes = ds->classes,
                                       .length = ds->length,
                                       .channels = ds->channels};
    struct sqa_arena arena = {0};
    struct sqa_batch *b = sqa_batch_create(ds, 50, ds->length);
    void *self = sqa_alloc(v->self_size);
    uint32_t index[50];
    int32_t labels[50];
    int64_t hits = 0;
    assert_non_null(v);
    assert_int_equal(v->begin(self, &task, &arena, &err), SQA_OK);
    for (int s = 0; s < SQA_SPLITS; s++)
        for (int64_t i = 0; i < ds->count[s] && s != SQA_VALID; i += 50) {
            for (int k = 0; k < 50; k++)
                index[k] = (uint32_t)(i + k);
            assert_int_equal(ds->task->fetch(ds, (enum sqa_split)s, index, 50, b, &err), SQA_OK);
            assert_int_equal(s == SQA_TRAIN ? v->see(self, b, &err) : v->predict(self, b, labels, NULL, &err),
                             SQA_OK);
            for (int k = 0; k < 50 && s == SQA_TEST; k++)
                hits += labels[k] == b->labels[k];
        }
    sqa_batch_free(b);
    sqa_arena_clear(&arena);
    sqa_free(self);
    return (double)hits / (double)ds->count[SQA_TEST];
}

static void test_floors(void **state)
{
    (void)state;
    struct sqa_dataset *ds = open_spec("pathfinder:level=easy,train=8000,valid=1,test=3000");
    const double distance = floor_accuracy("dot_distance", ds), brightness = floor_accuracy("brightness", ds);
    print_message("easy: dot_distance %.1f %%, brightness %.1f %%\n", 100 * distance, 100 * brightness);
    assert_true(distance > 0.54 && distance < 0.65);
    assert_true(brightness > 0.46 && brightness < 0.54);
    sqa_dataset_close(ds);
}

static void test_sheet(void **state)
{
    static uint8_t pixels[1024];
    struct sqa_text text = {0};
    char path[4096], *bytes;
    size_t size;
    (void)state;
    snprintf(path, sizeof path, "%s/sheet.png", folder);
    struct sqa_dataset *ds = open_spec("pathfinder:level=easy,test=5"), *lists = open_spec("mqar");
    assert_int_equal(sqa_sheet_write(ds, SQA_TEST, 64, path, &text, &err), SQA_OK);
    assert_non_null(strstr(sqa_text_get(&text), "0 blue, 1 orange"));
    assert_non_null(strstr(sqa_text_get(&text), "5 of 5 pictures"));
    assert_int_equal(sqa_file_read(path, 1 << 20, &bytes, &size, &err), SQA_OK);
    assert_memory_equal(bytes, "\x89PNG", 4);
    assert_int_equal((unsigned char)bytes[18] << 8 | (unsigned char)bytes[19], 3 * 105 + 3); /* width: 3 across */
    assert_int_equal((unsigned char)bytes[22] << 8 | (unsigned char)bytes[23], 2 * 105 + 3);
    assert_int_equal(sqa_png_gray(path, bytes, size, 32, 32, pixels, &err), SQA_INPUT);
    expect_sentence("sheet.png", "colour");
    sqa_free(bytes);
    assert_int_equal(sqa_sheet_write(lists, SQA_TEST, 4, path, &text, &err), SQA_UNSUPPORTED);
    expect_sentence("no picture", "leave -o out");
    sqa_text_clear(&text);
    sqa_dataset_close(ds);
    sqa_dataset_close(lists);
}

static void test_refused(void **state)
{
    (void)state;
    for (int l = 0; l < 3; l++) {
        char spec[64];
        snprintf(spec, sizeof spec, "pathfinder:level=%s,valid=1,test=1,train=1", level_names[l]);
        sqa_dataset_close(open_spec(spec));
    }
    expect_refused("pathfinder:size=48", SQA_USAGE, "size", "32");
    expect_refused("pathfinder:level=baseline", SQA_USAGE, "level", "easy");
    expect_refused("pathfinder:dir=/nowhere", SQA_INPUT, "pathfinder32/curv_contour_length_14", "lra_release");
    expect_refused("pathfinder:dir=x,distractors=3", SQA_USAGE, "distractors", "dir");
    expect_refused("pathfinder:dir=x,mixed=1", SQA_USAGE, "mixed", "dir");
    expect_refused("pathfinder:dir=x,bars=4", SQA_USAGE, "bars", "dir");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record),    cmocka_unit_test(test_pixels),    cmocka_unit_test(test_contrast),
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_mixed),     cmocka_unit_test(test_reals),
        cmocka_unit_test(test_released),  cmocka_unit_test(test_bad_files), cmocka_unit_test(test_floors),
        cmocka_unit_test(test_sheet),     cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
