/* test_lra_image.c - image: both readers, grey, splits, faults; real inputs with labels through models and training
 */
#include "tests/task_helpers.h"

#include <zlib.h>

#include "base/gzip.h"
#include "base/random.h"
#include "harness/train.h"
#include "models/probe.h"
#include "tasks/images.h"

enum { RECORD = SQA_IMAGES_RECORD };

/* A file in the folder; its path lives until the call after the next three. */
static const char *put(const char *name, const void *data, size_t size)
{
    static char path[4][4096];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, 4096, "%s/%s", folder, name);
    assert_int_equal(sqa_file_write(p, data, size, &err), SQA_OK);
    return p;
}

static const char *put_gz(const char *name, const void *data, size_t size, size_t cut, const char *more)
{
    static unsigned char packed[1 << 16];
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)data,
                  .avail_in = (unsigned)size,
                  .next_out = packed,
                  .avail_out = sizeof packed};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = sizeof packed - z.avail_out - cut;
    deflateEnd(&z);
    memcpy(packed + n, more, strlen(more));
    return put(name, packed, n + strlen(more));
}

/* n records; image i has label i % 10, red i, green 2 i, blue the pixel's place, modulo 256 */
static size_t records(uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *r = data + i * RECORD;
        r[0] = (uint8_t)(i % 10);
        memset(r + 1, (int)i, 1024);
        memset(r + 1025, (int)(2 * i), 1024);
        for (size_t k = 0; k < 1024; k++)
            r[2049 + k] = (uint8_t)k;
    }
    return n * RECORD;
}

static void big_endian(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* IDX files of n images of rows x columns; pixel k of image i is 16 i + k, its label i % 3 */
static size_t idx_images(uint8_t *data, uint32_t n, uint32_t rows, uint32_t columns)
{
    const uint32_t head[] = {2051, n, rows, columns}, size = rows * columns;
    for (size_t i = 0; i < 4; i++)
        big_endian(data + 4 * i, head[i]);
    for (uint32_t i = 0; i < n * size; i++)
        data[16 + i] = (uint8_t)(16 * (i / size) + i % size);
    return 16 + (size_t)n * size;
}

static size_t idx_labels(uint8_t *data, uint32_t n)
{
    big_endian(data, 2049);
    big_endian(data + 4, n);
    for (uint32_t i = 0; i < n; i++)
        data[8 + i] = (uint8_t)(i % 3);
    return 8 + (size_t)n;
}

static uint8_t bytes[64 * RECORD + 64], other[4096];

static struct sqa_dataset *open_files(const char *train, const char *test, const char *more)
{
    char spec[9000];
    snprintf(spec, sizeof spec, "image:train=%s%s%s%s", train, test ? ",test=" : "", test ? test : "", more);
    return open_spec(spec);
}

static struct sqa_batch *get(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, int64_t length)
{
    struct sqa_batch *b = sqa_batch_create(ds, 1, length);
    assert_non_null(b);
    assert_int_equal(ds->task->fetch(ds, split, &index, 1, b, &err), SQA_OK);
    return b;
}

static void test_gray(void **state)
{
    (void)state;
    static const struct {
        uint8_t r, g, b, tensorflow, pillow;
    } rows[] = {{0, 0, 0, 0, 0},     {255, 255, 255, 255, 255}, {255, 0, 0, 76, 76}, {0, 255, 0, 149, 150},
                {0, 0, 255, 29, 29}, {128, 128, 128, 128, 128}, {1, 1, 1, 1, 1},     {59, 62, 63, 61, 61}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(sqa_gray_tensorflow(rows[i].r, rows[i].g, rows[i].b), rows[i].tensorflow);
        assert_int_equal(sqa_gray_pillow(rows[i].r, rows[i].g, rows[i].b), rows[i].pillow);
    }
    for (int c = 0; c < 1 << 24; c += 257) {
        const uint8_t r = (uint8_t)(c >> 16), g = (uint8_t)(c >> 8), b = (uint8_t)c;
        assert_true(abs(sqa_gray_tensorflow(r, g, b) - sqa_gray_pillow(r, g, b)) <= 1);
    }
}

static void test_records(void **state)
{
    (void)state;
    const char *train = put("train.bin", bytes, records(bytes, 40)), *test = put("test.bin", bytes, 2 * RECORD);
    struct sqa_dataset *ds = open_files(train, test, ",form=lra");
    assert_int_equal(ds->vocab, 257);
    assert_int_equal(ds->channels, 0);
    assert_int_equal(ds->length, 1024);
    assert_int_equal(ds->count[SQA_TRAIN], 36);
    assert_int_equal(ds->count[SQA_VALID], 4);
    assert_int_equal(ds->count[SQA_TEST], 2);
    assert_non_null(strstr(ds->note, "grey by tensorflow, pixels as tokens"));
    assert_non_null(strstr(ds->note, "last 4 training images"));
    struct sqa_batch *b = get(ds, SQA_VALID, 1, 1030); /* image 37 */
    assert_int_equal(b->labels[0], 7);
    assert_int_equal(b->lengths[0], 1024);
    assert_int_equal(b->tokens[255], sqa_gray_tensorflow(37, 74, 255) + 1);
    assert_int_equal(b->tokens[1023], sqa_gray_tensorflow(37, 74, 255) + 1);
    assert_int_equal(b->tokens[1024], 0);
    assert_int_equal(b->tokens[1029], 0);
    sqa_batch_free(b);
    struct sqa_text t = {0};
    assert_int_equal(ds->task->show(ds, SQA_TEST, 1, &t, &err), SQA_OK);
    assert_non_null(strstr(sqa_text_get(&t), "label 1 automobile, 32 x 32"));
    assert_int_equal(ds->task->show(ds, SQA_TEST, 2, &t, &err), SQA_INPUT);
    sqa_text_clear(&t);
    sqa_dataset_close(ds);

    ds = open_files(train, test, ",gray=pillow,form=lra");
    b = get(ds, SQA_VALID, 1, 1024);
    assert_int_equal(b->tokens[255], sqa_gray_pillow(37, 74, 255) + 1);
    sqa_batch_free(b);
    sqa_dataset_close(ds);

    ds = open_files(train, test, ",form=lra,input=reals,rgb=1,norm=given,mean=0.5,deviation=0.25");
    assert_int_equal(ds->vocab, 0);
    assert_int_equal(ds->channels, 3);
    assert_non_null(strstr(ds->note, "sCIFAR"));
    b = get(ds, SQA_VALID, 0, 1025); /* image 36 */
    const double want[] = {36, 72, 9};
    for (int c = 0; c < 3; c++) {
        assert_true(fabs(b->x[9 * 3 + c] - (want[c] / 255 - 0.5) / 0.25) < 1e-12);
        assert_true(b->x[1024 * 3 + c] == 0);
    }
    sqa_batch_free(b);
    sqa_dataset_close(ds);
}

/* A rectangular pair, plain and packed, gives the same examples; skipping is asked for. */
static void test_idx(void **state)
{
    (void)state;
    const size_t n = idx_images(bytes, 15, 3, 5), m = idx_labels(other, 15);
    put("a-labels-idx1-ubyte", other, m);
    struct sqa_dataset *ds = open_files(put("a-images-idx3-ubyte", bytes, n), NULL, ",classes=3");
    assert_int_equal(ds->length, 15);
    assert_int_equal(ds->count[SQA_TRAIN] + ds->count[SQA_VALID] + ds->count[SQA_TEST], 15);
    assert_int_equal(ds->count[SQA_TEST], 1);
    assert_int_equal(ds->count[SQA_VALID], 1);
    assert_non_null(strstr(ds->note, "no test file: 1 images of the train file by data_seed 0"));
    int seen[15] = {0};
    for (int s = 0; s < SQA_SPLITS; s++)
        for (uint32_t i = 0; i < ds->count[s]; i++) {
            struct sqa_batch *b = get(ds, (enum sqa_split)s, i, 15);
            const int image = (b->tokens[0] - 1) / 16;
            assert_int_equal(b->tokens[14], (uint8_t)(16 * image + 14) + 1);
            assert_int_equal(b->labels[0], image % 3);
            seen[image]++;
            sqa_batch_free(b);
        }
    for (int i = 0; i < 15; i++)
        assert_int_equal(seen[i], 1);
    put_gz("b-labels-idx1-ubyte.gz", other, m, 0, "");
    struct sqa_dataset *packed =
        open_files(put_gz("b-images-idx3-ubyte.gz", bytes, n, 0, ""), NULL, ",classes=3,input=reals");
    for (int s = 0; s < SQA_SPLITS; s++)
        assert_string_equal(ds->split_hash[s], packed->split_hash[s]);
    assert_int_equal(packed->channels, 1);
    sqa_dataset_close(packed);
    packed = open_files(put_gz("b-images-idx3-ubyte.gz", bytes, n, 0, ""), NULL, ",classes=3,data_seed=1");
    assert_string_not_equal(ds->split_hash[SQA_TRAIN], packed->split_hash[SQA_TRAIN]);
    sqa_dataset_close(packed);
    sqa_dataset_close(ds);
}

static void refused(const char *spec, enum sqa_status status, const char *has, const char *also)
{
    char text[9000];
    const char *at = strchr(spec, '@');
    assert_non_null(at);
    snprintf(text, sizeof text, "image:train=%s/%s", folder, spec + 1);
    expect_refused(text, status, has, also);
}

static void test_faults(void **state)
{
    (void)state;
    const size_t n = records(bytes, 20);
    put("short.bin", bytes, n - 5);
    bytes[3 * RECORD] = 10;
    put("label.bin", bytes, n);
    put("empty.bin", bytes, 0);
    bytes[3 * RECORD] = 3;
    put("good.bin", bytes, n);
    refused("@short.bin", SQA_INPUT, "short.bin: 61455 bytes, 19 images", "3068 more from byte 58387; ");
    refused("@label.bin", SQA_INPUT, "image 3 (byte 9219) has label 10 outside 0 to 9", "skip_bad=1");
    refused("@empty.bin", SQA_INPUT, "empty.bin: no images in it", ";");
    refused("@missing.bin", SQA_INPUT, "missing.bin: No such file", ";");
    refused("@good.bin,valid=20", SQA_INPUT, "leave no three splits", "lower valid=");
    refused("@good.bin,held_test=1000", SQA_INPUT, "leave no three splits (validation 0, test cut off 1000)",
            "lower");
    refused("@good.bin,rgb=1", SQA_USAGE, "rgb=1", "input=reals");
    refused("@good.bin,mean=0.5", SQA_USAGE, "norm=s4", "norm=given");
    refused("@good.bin,train_labels=x", SQA_USAGE, "no IDX file", "labels in x");
    refused("@good.bin,test_labels=x", SQA_USAGE, "test_labels= without", "test=FILE");
    expect_refused("image:test=x", SQA_USAGE, "not those to train on", "train=FILE");
    expect_refused("image:train=x.bin", SQA_INPUT, "x.bin: not found in", "check the name");
    const struct sqa_task_env nowhere = {.data_dir = "/nowhere"};
    struct sqa_dataset *none = NULL;
    assert_int_equal(sqa_dataset_open("image", &nowhere, &none, &err), SQA_INPUT);
    expect_sentence("cs.toronto.edu/~kriz/cifar.html", "MD5 c32a1d4ab5d03f1284b67883e8d87530");

    char spec[9000];
    snprintf(spec, sizeof spec, "image:train=%s/good.bin,test=%s/empty.bin", folder, folder);
    expect_refused(spec, SQA_INPUT, "empty.bin: no images in it", ";");
    struct sqa_dataset *ds;
    snprintf(spec, sizeof spec, "%s/short.bin", folder);
    ds = open_files(spec, NULL, ",skip_bad=1");
    assert_non_null(strstr(ds->note, "skip_bad: 1 bad images left out"));
    sqa_dataset_close(ds);
    snprintf(spec, sizeof spec, "%s/label.bin", folder);
    ds = open_files(spec, NULL, ",skip_bad=1");
    assert_int_equal(ds->count[SQA_TRAIN] + ds->count[SQA_VALID] + ds->count[SQA_TEST], 19);
    sqa_dataset_close(ds);
}

static void test_idx_faults(void **state)
{
    (void)state;
    const size_t n = idx_images(bytes, 15, 3, 5), m = idx_labels(other, 15);
    static const char *const names[] = {"magic", "cut", "behind", "zero", "huge", "few", "head"};
    char name[64];
    put("good-images-idx3", bytes, n);
    put("good-labels-idx1", other, m);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(name, sizeof name, "%s-labels-idx1", names[i]);
        put(name, other, m);
    }
    put("magic-labels-idx1", bytes, n);
    put("cut-images-idx3", bytes, n - 1);
    put("behind-images-idx3", bytes, n + 2);
    big_endian(bytes + 8, 0);
    put("zero-images-idx3", bytes, n);
    big_endian(bytes + 8, 70000);
    put("huge-images-idx3", bytes, n);
    big_endian(bytes + 8, 3);
    put("magic-images-idx3", bytes, n);
    put("few-images-idx3", bytes, n);
    put("few-labels-idx1", other, idx_labels(other, 14));
    put("head-images-idx3", bytes, 11);
    put("other-images", bytes, n);
    refused("@good-images-idx3,classes=2", SQA_INPUT, "good-labels-idx1: image 2 (byte 10) has label 2", "classes=");
    refused("@magic-images-idx3", SQA_INPUT, "magic-labels-idx1: begins with 2051", "of labels with 2049");
    refused("@cut-images-idx3", SQA_INPUT, "announces 15 items of 15 bytes", "end at byte 240 in item 14");
    refused("@behind-images-idx3", SQA_INPUT, "2 bytes follow the last of 15 items at byte 241", "skip_bad=1");
    refused("@zero-images-idx3", SQA_INPUT, "images of 0 x 5", "bytes 8 to 15");
    refused("@huge-images-idx3", SQA_INPUT, "images of 70000 x 5", "rows and columns");
    refused("@few-images-idx3", SQA_INPUT, "14 labels by its header for the 15 images", "one pair");
    refused("@head-images-idx3", SQA_INPUT, "11 bytes, the header", "has 16");
    refused("@other-images", SQA_USAGE, "no images-idx3 in its name", "train_labels=");
    refused("@good-images-idx3,rgb=1,input=reals", SQA_INPUT, "IDX images are grey", "rgb=1");
    idx_labels(other, 15);
    static const struct {
        const char *name;
        size_t cut;
        const char *more, *has, *also;
    } packed[] = {{"trunc", 9, "", "end too early", "fetch"},
                  {"tail", 0, "xyz", "3 bytes follow the gzip data", "fetch"},
                  {"crc", 8, "12345678", "damaged gzip data", "fetch"},
                  {"none", 1 << 30, "\x1f\x8b", "end too early", "fetch"}};
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++) {
        snprintf(name, sizeof name, "%s-labels-idx1.gz", packed[i].name);
        put_gz(name, other, m, 0, "");
        snprintf(name, sizeof name, "%s-images-idx3.gz", packed[i].name);
        if (packed[i].cut < 100)
            put_gz(name, bytes, n, packed[i].cut, packed[i].more);
        else
            put(name, packed[i].more, 2);
        char spec[80];
        snprintf(spec, sizeof spec, "@%s", name);
        refused(spec, SQA_INPUT, packed[i].has, packed[i].also);
    }
    snprintf(name, sizeof name, "%s/cut-images-idx3", folder);
    struct sqa_dataset *ds = open_files(name, NULL, ",skip_bad=1,classes=3");
    assert_int_equal(ds->count[SQA_TRAIN] + ds->count[SQA_VALID] + ds->count[SQA_TEST], 14);
    sqa_dataset_close(ds);
}

static void test_gunzip_limit(void **state)
{
    (void)state;
    static const char zeros[60000];
    char *data, *out = NULL;
    size_t size, n = 0;
    assert_int_equal(sqa_file_read(put_gz("z.gz", zeros, sizeof zeros, 0, ""), 1 << 20, &data, &size, &err), SQA_OK);
    assert_int_equal(sqa_gunzip("z.gz", data, size, 59999, &out, &n, &err), SQA_INPUT);
    expect_sentence("z.gz: unpacks to more than the 59999 bytes", ";");
    assert_int_equal(sqa_gunzip("z.gz", data, size, 60000, &out, &n, &err), SQA_OK);
    assert_int_equal(n, sizeof zeros);
    sqa_free(out);
    char *twice = sqa_alloc(2 * size); /* two members are one text */
    memcpy(twice, data, size);
    memcpy(twice + size, data, size);
    assert_int_equal(sqa_gunzip("z.gz", twice, 2 * size, 1 << 20, &out, &n, &err), SQA_OK);
    assert_int_equal(n, 2 * sizeof zeros);
    sqa_free(out);
    sqa_free(twice);
    sqa_free(data);
}

static void test_memory(void **state)
{
    (void)state;
    put_gz("m-labels-idx1.gz", other, idx_labels(other, 15), 0, "");
    put_gz("m-images-idx3.gz", bytes, idx_images(bytes, 15, 3, 5), 0, "");
    char spec[4096];
    snprintf(spec, sizeof spec, "image:train=%s/m-images-idx3.gz,input=reals", folder);
    enum sqa_status status = SQA_NOMEM;
    for (long n = 1; status != SQA_OK && n < 1000; n++) {
        struct sqa_dataset *ds = NULL;
        struct sqa_batch *b = NULL;
        memset(&err, 0, sizeof err);
        sqa_alloc_fail_at(n);
        status = sqa_dataset_open(spec, env(), &ds, &err);
        if (status == SQA_OK && !(b = sqa_batch_create(ds, 2, ds->length)))
            status = sqa_fail(&err, SQA_NOMEM, "batch: no memory; none");
        sqa_alloc_fail_at(0);
        if (status != SQA_OK) {
            /* base/param.c calls a choice it cannot copy a bad one */
            if (status != SQA_NOMEM && !(status == SQA_USAGE && strchr(err.text, '|')))
                fail_msg("allocation %ld: %s", n, err.text);
            expect_sentence(";", ":");
        }
        sqa_batch_free(b);
        sqa_dataset_close(ds);
    }
    assert_int_equal(status, SQA_OK);
    const volatile int stop = 1;
    const struct sqa_task_env interrupted = {.data_dir = NULL, .interrupted = &stop};
    struct sqa_dataset *ds = NULL;
    assert_int_equal(sqa_dataset_open(spec, &interrupted, &ds, &err), SQA_INTERRUPTED);
}

/* The slices of CIFAR-10 and MNIST */

static void test_cifar(void **state)
{
    (void)state;
    char path[4096];
    need("data/cifar10_train_2000.bin", path);
    static const int first[] = {6, 9, 9, 4, 1, 1, 2, 7, 8, 3}, tests[] = {3, 8, 8, 0, 6, 6, 1, 6, 3, 1};
    struct sqa_dataset *ds = open_spec("image:train=cifar10_train_2000.bin,test=cifar10_test_1000.bin,form=lra");
    assert_int_equal(ds->count[SQA_TRAIN], 1800);
    assert_int_equal(ds->count[SQA_VALID], 200);
    assert_int_equal(ds->count[SQA_TEST], 1000);
    for (uint32_t i = 0; i < 10; i++) {
        struct sqa_batch *b = get(ds, SQA_TRAIN, i, 1024), *c = get(ds, SQA_TEST, i, 1024);
        assert_int_equal(b->labels[0], first[i]);
        assert_int_equal(c->labels[0], tests[i]);
        if (i == 0) /* its first pixel is 59, 62, 63 */
            assert_int_equal(b->tokens[0], 61 + 1);
        sqa_batch_free(b);
        sqa_batch_free(c);
    }
    struct sqa_dataset *ours = open_spec("image:train=cifar10_train_2000.bin,test=cifar10_test_1000.bin");
    assert_string_equal(ds->split_hash[SQA_TEST], ours->split_hash[SQA_TEST]);
    assert_string_not_equal(ds->split_hash[SQA_VALID], ours->split_hash[SQA_VALID]);
    assert_string_equal(ours->split_hash[SQA_TEST], "868a1a8c05f5b8ad");
    assert_string_equal(ours->split_hash[SQA_VALID], "17677d178df0bfe3");
    sqa_dataset_close(ours);
    sqa_dataset_close(ds);

    char *data;
    size_t size;
    struct sqa_images set = {0};
    const struct sqa_images_reading how = {.classes = 10, .gray = SQA_IMAGES_COLOUR};
    assert_int_equal(sqa_file_read(path, 1 << 24, &data, &size, &err), SQA_OK);
    assert_int_equal(sqa_images_add(path, data, size, NULL, NULL, 0, &how, &set, &err), SQA_OK);
    int64_t raw = 0, kept = 0; /* the pixels are all there, whatever their order */
    for (size_t i = 0; i < size; i++)
        raw += i % RECORD ? (uint8_t)data[i] : 0;
    for (size_t i = 0; i < set.n * 3072; i++)
        kept += set.pixels[i];
    assert_int_equal(raw, kept);
    assert_int_equal(set.pixels[0], 59);
    assert_int_equal(set.pixels[1], 62);
    assert_int_equal(set.pixels[2], 63);
    sqa_images_clear(&set);
    sqa_free(data);
}

static void test_mnist(void **state)
{
    (void)state;
    char path[4096];
    need("data/mnist-t10k-images-idx3-ubyte.gz", path);
    static const int first[] = {7, 2, 1, 0, 4, 1, 4, 9, 5, 9};
    struct sqa_images set = {0};
    const struct sqa_images_reading how = {.classes = 10};
    bool idx = false;
    assert_int_equal(sqa_images_add_file(env(), "mnist-t10k-images-idx3-ubyte.gz", "", &how, &set, &idx, &err),
                     SQA_OK);
    assert_true(idx);
    assert_int_equal(set.n, 10000);
    assert_int_equal(set.rows, 28);
    assert_int_equal(set.columns, 28);
    double sum = 0;
    for (size_t i = 0; i < set.n * 784; i++)
        sum += set.pixels[i];
    assert_true(fabs(sum / (255 * 784.0 * 10000) - 0.1325) < 1e-4); /* the test split's mean brightness */
    for (int i = 0; i < 10; i++)
        assert_int_equal(set.labels[i], first[i]);
    sqa_images_clear(&set);
}

/* Reals with labels, through models and training */

static void test_padding_of_reals(void **state)
{
    (void)state;
    static const char *const models[] = {"transformer",
                                         "transformer+pool=last",
                                         "local:window=4",
                                         "linformer:rank=4",
                                         "performer",
                                         "linear_transformer",
                                         "s4d",
                                         "mean_mixer",
                                         "transformer:causal=1+position=sinusoid"};
    static const struct sqa_signature task = {.kind = SQA_CLASSIFY, .classes = 3, .length = 9, .channels = 2};
    static const int32_t six[1] = {6};
    double x[18], y[3], z[3];
    sqa_probe_normal(4, x, 18);
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        struct sqa_probe_whole p = {
            .model = models[i], .task = task, .batch = 1, .real = SQA_F64, .x = x, .lengths = six};
        double worst = 1;
        assert_int_equal(sqa_probe_whole(&p, y, NULL, &err), SQA_OK);
        p.length = 6;
        assert_int_equal(sqa_probe_whole(&p, z, NULL, &err), SQA_OK);
        if (!(sqa_probe_difference(y, z, 3) < 1e-12) || !(fabs(y[0]) > 0))
            fail_msg("%s: logits with and without padding differ by %g", models[i], sqa_probe_difference(y, z, 3));
        p.length = 0;
        assert_int_equal(sqa_probe_whole_gradient(&p, &worst, &err), SQA_OK);
        assert_true(worst < 1e-6);
    }
}

/* 200 images of 4 x 6: label 1 when the upper half is the brighter one */
static void write_halves(void)
{
    idx_images(bytes, 200, 4, 6);
    idx_labels(other, 200);
    for (uint32_t i = 0; i < 200; i++) {
        other[8 + i] = (uint8_t)sqa_random_below(3, i, 2);
        for (uint32_t k = 0; k < 24; k++)
            bytes[16 + i * 24 + k] = (uint8_t)((k < 12) == other[8 + i] ? 150 + sqa_random_below(i, k, 5)
                                                                        : 100 + sqa_random_below(i, k, 5));
    }
    put("h-images-idx3", bytes, 16 + 200 * 24);
    put("h-labels-idx1", other, 208);
}

static double trained(const char *model, const char *more)
{
    char task[4096];
    struct sqa_arena arena = {0};
    struct sqa_recipe recipe;
    struct sqa_trainer *t = NULL;
    struct sqa_scores scores;
    static const char *const settings[][2] = {{"batch", "32"}, {"steps", "150"}, {"rate", "0.003"}};
    snprintf(task, sizeof task, "image:train=%s/h-images-idx3,classes=2,held_test=40%s", folder, more);
    assert_int_equal(sqa_params_defaults("recipe", sqa_recipe_params, &recipe, &arena, &err), SQA_OK);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (sqa_params_set("recipe", sqa_recipe_params, &recipe, settings[i][0], settings[i][1], &arena, &err) !=
            SQA_OK)
            fail_msg("%s", err.text);
    const struct sqa_trainer_options o = {
        .model = model, .task = task, .recipe = &recipe, .seed = 3, .threads = 1, .trainable = 1};
    if (sqa_trainer_open(&o, &t, &err) != SQA_OK ||
        (!sqa_model_is_floor(t->model) && sqa_trainer_run(t, NULL, 0, &err) != SQA_OK) ||
        sqa_trainer_evaluate(t, SQA_TEST, 0, NULL, NULL, &scores, &err) != SQA_OK)
        fail_msg("%s on %s: %s", model, task, err.text);
    assert_int_equal(scores.n, 40);
    sqa_trainer_close(t);
    sqa_arena_clear(&arena);
    return scores.accuracy;
}

static void test_training(void **state)
{
    (void)state;
    struct sqa_trainer *t = NULL;
    write_halves();
    assert_true(trained("transformer:dim=16,ffn=16,layers=1,dropout=0", ",input=reals") > 0.9);
    assert_true(trained("s4d:dim=16,ffn=16,layers=1,dropout=0", ",input=reals") > 0.9);
    assert_true(trained("majority", ",input=reals") < 0.7);
    assert_true(trained("transformer:dim=16,ffn=16,layers=1,dropout=0", "") > 0.7);
    char task[4096];
    const struct sqa_recipe recipe = {.batch = 4};
    snprintf(task, sizeof task, "image:train=%s/h-images-idx3,classes=2,input=reals", folder);
    const struct sqa_trainer_options o = {.model = "first_token", .task = task, .recipe = &recipe, .threads = 1};
    assert_int_equal(sqa_trainer_open(&o, &t, &err), SQA_UNSUPPORTED);
    expect_sentence("first_token", ";");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gray),       cmocka_unit_test(test_records),
        cmocka_unit_test(test_idx),        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_idx_faults), cmocka_unit_test(test_gunzip_limit),
        cmocka_unit_test(test_memory),     cmocka_unit_test(test_cifar),
        cmocka_unit_test(test_mnist),      cmocka_unit_test(test_padding_of_reals),
        cmocka_unit_test(test_training),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
