/*
 * image.c - images read pixel by pixel: CIFAR-10 in grey (Long Range Arena), MNIST and kin, ten classes
 *
 * Images are read when the task is opened and kept as bytes, made grey already. Train and test files keep their
 * sides; validation, and test when there is no test file, are drawn from the train file by the data seed. Departs
 * from LRA, whose validation is the end of a hashed order that the files do not tell. form=lra takes black pixels for
 * padding, as that code does (models/holes.h).
 */
#include "tasks/images.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "tasks/task_util.h"

struct self {
    const char *train, *test, *train_labels, *test_labels, *input, *gray, *norm, *form;
    double mean, deviation;
    int64_t rgb, classes, valid, held_test, data_seed, skip_bad;
};

#define AT(field) offsetof(struct self, field)
static const struct sqa_param params[] = {
    {"train", "file of training images: CIFAR records (.bin) or IDX, .gz or not; empty: CIFAR-10's five",
     SQA_PARAM_TEXT, "", 0, 0, AT(train), NULL},
    {"test", "file of test images; empty with train given: cut from train", SQA_PARAM_TEXT, "", 0, 0, AT(test), NULL},
    {"train_labels", "IDX labels of train; empty: its name with images-idx3 read as labels-idx1", SQA_PARAM_TEXT, "",
     0, 0, AT(train_labels), NULL},
    {"test_labels", "IDX labels of test; empty: as above", SQA_PARAM_TEXT, "", 0, 0, AT(test_labels), NULL},
    {"input", "tokens: byte p is token p + 1; reals: one number a position", SQA_PARAM_CHOICE, "tokens", 0, 0,
     AT(input), "tokens|reals"},
    {"gray", "how colours become grey: tensorflow (the LRA code) or pillow (S4, Mega)", SQA_PARAM_CHOICE,
     "tensorflow", 0, 0, AT(gray), "tensorflow|pillow"},
    {"rgb", "1: three channels instead of grey (sCIFAR, another task), with input=reals", SQA_PARAM_BOOL, "0", 0, 0,
     AT(rgb), NULL},
    {"norm", "of reals: s4 122.6/255 and 61/255; mega 0.48 and 0.24; given: mean= and deviation=", SQA_PARAM_CHOICE,
     "s4", 0, 0, AT(norm), "s4|mega|given"},
    {"mean", "with norm=given: subtracted from bytes over 255", SQA_PARAM_REAL, "0", -100, 100, AT(mean), NULL},
    {"deviation", "with norm=given: what divides them then", SQA_PARAM_REAL, "1", 1e-6, 100, AT(deviation), NULL},
    {"form", "ours: validation drawn by data_seed; lra: the last of the file order, and black tokens are padding",
     SQA_PARAM_CHOICE, "ours", 0, 0, AT(form), "ours|lra"},
    {"valid", "validation images, held out of training; 0: a tenth", SQA_PARAM_INT, "0", 0, 1e8, AT(valid), NULL},
    {"held_test", "test images, when they are cut from train; 0: a tenth", SQA_PARAM_INT, "0", 0, 1e8, AT(held_test),
     NULL},
    {"classes", "labels are 0 to classes - 1", SQA_PARAM_INT, "10", 2, 256, AT(classes), NULL},
    {"data_seed", "seed of what is held out", SQA_PARAM_INT, "0", 0, 0x1p53, AT(data_seed), NULL},
    {"skip_bad", "1: images with a wrong label or cut off are left out and counted, not refused", SQA_PARAM_BOOL, "0",
     0, 0, AT(skip_bad), NULL},
    {.name = NULL}};

struct state {
    struct sqa_images images; /* train files, then the test file */
    uint32_t *place;          /* the images of the splits, one after the other, as places in images */
    const uint32_t *first[SQA_SPLITS];
    size_t trained; /* images of the train files */
    int64_t positions;
    double mean, deviation;
    bool records; /* CIFAR records were read */
};

static void close_image(struct sqa_dataset *ds)
{
    struct state *state = ds->state;
    sqa_images_clear(&state->images);
    sqa_free(state->place);
    sqa_free(state);
    ds->state = NULL;
}

/* Reading */

static enum sqa_status add_file(struct state *state, const struct self *self, const struct sqa_task_env *env,
                                const struct sqa_task *task, const char *name, const char *labels,
                                struct sqa_err *err)
{
    const struct sqa_images_reading how = {.classes = self->classes,
                                           .gray = self->rgb                               ? SQA_IMAGES_COLOUR
                                                   : strcmp(self->gray, "tensorflow") == 0 ? SQA_IMAGES_TENSORFLOW
                                                                                           : SQA_IMAGES_PILLOW,
                                           .skip_bad = self->skip_bad != 0};
    bool idx = false;
    if (sqa_task_interrupted(env))
        return sqa_task_stop(task, err);
    const enum sqa_status status = sqa_images_add_file(env, name, labels, &how, &state->images, &idx, err);
    state->records = state->records || !idx;
    return status;
}

/* CIFAR-10 as it is published, in its folder or without it. */
static enum sqa_status read_cifar(struct state *state, const struct self *self, const struct sqa_task_env *env,
                                  const struct sqa_task *task, struct sqa_err *err)
{
    static const char folder[] = "cifar-10-batches-bin/";
    char path[4096], name[64];
    const bool bare = sqa_data_find(env, "cifar-10-batches-bin/data_batch_1.bin", "", NULL, path, NULL) != SQA_OK &&
                      sqa_data_find(env, "data_batch_1.bin", "", NULL, path, NULL) == SQA_OK;
    for (int i = 1; i <= 6; i++) {
        if (i <= 5)
            snprintf(name, sizeof name, "%sdata_batch_%d.bin", bare ? "" : folder, i);
        else
            snprintf(name, sizeof name, "%stest_batch.bin", bare ? "" : folder);
        if (i == 6)
            state->trained = state->images.n;
        const enum sqa_status status = add_file(state, self, env, task, name, "", err);
        if (status != SQA_OK)
            return status;
    }
    return SQA_OK;
}

static enum sqa_status read_images(struct state *state, const struct self *self, const struct sqa_task_env *env,
                                   const struct sqa_task *task, struct sqa_err *err)
{
    if (!*self->train && (*self->test || *self->train_labels || *self->test_labels))
        return sqa_fail(err, SQA_USAGE, "image: files are named, but not those to train on; give train=FILE");
    if (!*self->train)
        return read_cifar(state, self, env, task, err);
    if (!*self->test && *self->test_labels)
        return sqa_fail(err, SQA_USAGE, "image: test_labels= without test images; give test=FILE");
    enum sqa_status status = add_file(state, self, env, task, self->train, self->train_labels, err);
    state->trained = state->images.n;
    if (status == SQA_OK && *self->test)
        status = add_file(state, self, env, task, self->test, self->test_labels, err);
    return status;
}

/* Splits */

/* Writes the places first .. first + n - 1 where split_of is s, in file order. */
static size_t collect(const uint8_t *split_of, size_t n, uint8_t s, uint32_t *to)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (split_of[i] == s)
            to[count++] = (uint32_t)i;
    return count;
}

/* split_of and order have room for all images. Drawn images: order[0 .. test) test, the next validation. */
static void assign(const struct state *state, const struct self *self, size_t test, size_t valid, uint8_t *split_of,
                   uint32_t *order)
{
    const size_t n = state->trained;
    memset(split_of, SQA_TRAIN, n);
    memset(split_of + n, SQA_TEST, state->images.n - n);
    sqa_random_permutation(sqa_random_key((uint64_t)self->data_seed, 0, "task/image"), order, n);
    for (size_t i = 0; i < test; i++)
        split_of[order[i]] = SQA_TEST;
    if (strcmp(self->form, "ours") == 0) {
        for (size_t i = test; i < test + valid; i++)
            split_of[order[i]] = SQA_VALID;
    } else {
        for (size_t i = n; i > 0 && valid > 0; i--)
            if (split_of[i - 1] == SQA_TRAIN) {
                split_of[i - 1] = SQA_VALID;
                valid--;
            }
    }
}

static enum sqa_status cut(struct state *state, const struct self *self, struct sqa_dataset *ds, struct sqa_err *err)
{
    const size_t n = state->trained, all = state->images.n, tenth = n / 10;
    const size_t test = all > n ? 0 : self->held_test ? (size_t)self->held_test : tenth;
    const size_t valid = self->valid ? (size_t)self->valid : test < n ? (n - test) / 10 : 0;
    if (all > n && self->held_test)
        return sqa_fail(err, SQA_USAGE,
                        "image: held_test=%lld, but the test images have a file of their own; leave it "
                        "out",
                        (long long)self->held_test);
    if (valid < 1 || test + (all - n) < 1 || test + valid >= n)
        return sqa_fail(
            err, SQA_INPUT,
            "image: %zu images to train on and %zu to test leave no three splits (validation %zu, test cut "
            "off %zu); give more images, or lower valid= and held_test=",
            n, all - n, valid, test);
    state->place = sqa_alloc_array(all, sizeof *state->place);
    uint32_t *order = sqa_alloc_array(n, sizeof *order);
    uint8_t *split_of = sqa_alloc(all);
    const bool ok = state->place && order && split_of;
    size_t done = 0;
    if (ok)
        assign(state, self, test, valid, split_of, order);
    for (int s = 0; s < SQA_SPLITS && ok; s++) {
        state->first[s] = state->place + done;
        ds->count[s] = (int64_t)collect(split_of, all, (uint8_t)s, state->place + done);
        done += (size_t)ds->count[s];
    }
    sqa_free(order);
    sqa_free(split_of);
    return ok ? SQA_OK : sqa_task_nomem(ds->task, err);
}

static const uint8_t *pixels_of(const struct state *state, uint32_t place)
{
    return state->images.pixels + place * (size_t)(state->positions * state->images.channels);
}

static void set_hashes(struct sqa_dataset *ds, const struct state *state)
{
    for (int s = 0; s < SQA_SPLITS; s++) {
        uint64_t hash = 0;
        for (int64_t i = 0; i < ds->count[s]; i++) {
            const uint32_t place = state->first[s][i];
            hash = sqa_hash(pixels_of(state, place), (size_t)(state->positions * state->images.channels), hash) +
                   state->images.labels[place];
        }
        sqa_task_set_hash(ds, (enum sqa_split)s, hash);
    }
}

static enum sqa_status write_note(struct sqa_dataset *ds, const struct state *state, const struct self *self,
                                  struct sqa_err *err)
{
    struct sqa_text t = {0};
    const bool reals = strcmp(self->input, "reals") == 0, lra = strcmp(self->form, "lra") == 0;
    sqa_text_printf(&t, "%lld x %lld images, ", (long long)state->images.rows, (long long)state->images.columns);
    if (self->rgb)
        sqa_text_add(&t, "in colour, three reals a pixel: sCIFAR, not the LRA's task");
    else
        sqa_text_printf(&t, "%s%s", state->records ? "grey by " : "grey as published",
                        !state->records ? "" : self->gray);
    if (!self->rgb)
        sqa_text_add(&t, reals ? ", one real a pixel: another task than tokens" : ", pixels as tokens");
    if (reals)
        sqa_text_printf(&t, " (less %.4g, over %.4g)", state->mean, state->deviation);
    if (state->trained == state->images.n)
        sqa_text_printf(&t, "; no test file: %lld images of the train file by data_seed %lld",
                        (long long)ds->count[SQA_TEST], (long long)self->data_seed);
    if (lra)
        sqa_text_printf(
            &t,
            "; form=lra: validation is the last %lld training images of the file order (the original's are "
            "the last of a hashed order, which the files do not tell)",
            (long long)ds->count[SQA_VALID]);
    if (ds->blank)
        sqa_text_add(&t, "; black pixels are taken for padding, as in the original's code");
    if (!lra)
        sqa_text_printf(&t, "; validation: %lld of %zu training images by data_seed %lld",
                        (long long)ds->count[SQA_VALID], state->trained, (long long)self->data_seed);
    if (self->skip_bad)
        sqa_text_printf(&t, "; skip_bad: %zu bad images left out", state->images.skipped);
    ds->note = t.failed ? NULL : sqa_arena_strdup(&ds->arena, sqa_text_get(&t));
    sqa_text_clear(&t);
    if (ds->note)
        return SQA_OK;
    ds->note = "";
    return sqa_task_nomem(ds->task, err);
}

static enum sqa_status choose_norm(struct state *state, const struct self *self, struct sqa_err *err)
{
    const bool given = strcmp(self->norm, "given") == 0, s4 = strcmp(self->norm, "s4") == 0;
    if (self->rgb && strcmp(self->input, "reals") != 0)
        return sqa_fail(err, SQA_USAGE, "image: rgb=1 gives three reals a pixel; add input=reals");
    if (!given && (self->mean != 0 || self->deviation != 1))
        return sqa_fail(err, SQA_USAGE, "image: mean= and deviation= with norm=%s; add norm=given", self->norm);
    state->mean = given ? self->mean : s4 ? 122.6 / 255 : 0.48;
    state->deviation = given ? self->deviation : s4 ? 61.0 / 255 : 0.24;
    return SQA_OK;
}

/* Of CIFAR's pictures unless files are named, which say theirs */
static void sizes(const void *parsed, struct sqa_dataset *ds)
{
    const struct self *self = parsed;
    const bool reals = strcmp(self->input, "reals") == 0;
    ds->vocab = reals ? 0 : 257;
    ds->blank = !reals && strcmp(self->form, "lra") == 0; /* token 1 is black */
    ds->channels = reals ? self->rgb ? 3 : 1 : 0;
    ds->classes = self->classes;
    ds->length = *self->train ? ds->length : 1024;
}

static enum sqa_status open_image(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                  struct sqa_err *err)
{
    const struct self *self = parsed;
    struct state *state = sqa_alloc(sizeof *state);
    if (!state)
        return sqa_task_nomem(ds->task, err);
    ds->state = state;
    enum sqa_status status = choose_norm(state, self, err);
    if (status == SQA_OK)
        status = read_images(state, self, env, ds->task, err);
    if (status == SQA_OK)
        status = cut(state, self, ds, err);
    if (status != SQA_OK)
        return status;
    const bool reals = strcmp(self->input, "reals") == 0;
    state->positions = state->images.rows * state->images.columns;
    sizes(self, ds);
    ds->channels = reals ? state->images.channels : 0;
    ds->length = state->positions;
    if (!reals) {
        ds->picture_rows = state->images.rows;
        ds->picture_columns = state->images.columns;
    }
    set_hashes(ds, state);
    return write_note(ds, state, self, err);
}

/* Examples */

static enum sqa_status fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                             struct sqa_batch *b, struct sqa_err *err)
{
    const struct state *state = ds->state;
    const int64_t width = state->positions * state->images.channels;
    const enum sqa_status status = sqa_task_begin_fetch(ds, split, index, n, b, err);
    if (status != SQA_OK)
        return status;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t place = state->first[split][index[i]];
        const uint8_t *pixel = pixels_of(state, place);
        const int64_t row = b->length * (ds->vocab ? 1 : ds->channels);
        b->labels[i] = state->images.labels[place];
        b->lengths[i] = (int32_t)ds->length;
        for (int64_t k = 0; k < row; k++) {
            if (ds->vocab)
                b->tokens[i * row + k] = k < width ? pixel[k] + 1 : 0;
            else
                b->x[i * row + k] = k < width ? (pixel[k] / 255.0 - state->mean) / state->deviation : 0;
        }
    }
    return SQA_OK;
}

enum { SHOWN = 40 }; /* most columns of a drawing */

/* Mean brightness of a block of pixels, 0 to 255. */
static int brightness(const struct sqa_images *m, const uint8_t *pixel, int64_t row, int64_t column, int64_t step)
{
    int64_t sum = 0, n = 0;
    for (int64_t r = row; r < row + step && r < m->rows; r++)
        for (int64_t c = column; c < column + step && c < m->columns; c++, n++) {
            const uint8_t *p = pixel + (r * m->columns + c) * m->channels;
            sum += m->channels == 3 ? sqa_gray_tensorflow(p[0], p[1], p[2]) : p[0];
        }
    return (int)(sum / n);
}

/* Two characters a pixel, which are about square together. */
static void draw(const struct sqa_images *m, const uint8_t *pixel, struct sqa_text *out)
{
    static const char ramp[] = " .:-=+*#%@";
    const int64_t step = (m->columns + SHOWN - 1) / SHOWN;
    for (int64_t r = 0; r < m->rows; r += step) {
        for (int64_t c = 0; c < m->columns; c += step) {
            const char ch = ramp[brightness(m, pixel, r, c, step) * 10 / 256];
            sqa_text_add_bytes(out, (const char[]){ch, ch}, 2);
        }
        sqa_text_add(out, "\n");
    }
}

static enum sqa_status show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, struct sqa_text *out,
                            struct sqa_err *err)
{
    static const char *const cifar[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                        "dog",      "frog",       "horse", "ship", "truck"};
    const struct state *state = ds->state;
    if ((int64_t)index >= ds->count[split])
        return sqa_fail(err, SQA_INPUT, "image: example %u of %s; there are %lld, counted from 0", (unsigned)index,
                        sqa_split_name(split), (long long)ds->count[split]);
    const uint32_t place = state->first[split][index];
    const int label = state->images.labels[place];
    const bool named = state->records && label < 10;
    sqa_text_printf(out, "label %d%s%s, %lld x %lld pixels, image %u of its files\n", label, named ? " " : "",
                    named ? cifar[label] : "", (long long)state->images.rows, (long long)state->images.columns,
                    (unsigned)(place < state->trained ? place : place - state->trained));
    draw(&state->images, pixels_of(state, place), out);
    return out->failed ? sqa_task_nomem(ds->task, err) : SQA_OK;
}

static const char *const floors[] = {"majority", NULL};

static const char *const files[] = {"cifar-10-batches-bin/data_batch_1.bin", "data_batch_1.bin", "train=FILE", NULL};

const struct sqa_task sqa_task_image = {
    .id = "image",
    .title = "Image, pixel by pixel (Long Range Arena)",
    .source = "Krizhevsky 2009; Tay et al. 2020, arXiv 2011.04006; published at https://www.cs.toronto.edu/~kriz/"
              "cifar.html (cifar-10-binary.tar.gz, MD5 c32a1d4ab5d03f1284b67883e8d87530)",
    .help =
        "The pixels of a grey picture, row by row, as a sequence of 1024 positions; the label is what it shows, ten "
        "classes. Read from CIFAR-10's binary batches under --data (cifar-10-batches-bin/data_batch_1 to 5.bin and "
        "test_batch.bin), or, with train=FILE,test=FILE, from any file of such records or any IDX pair of images "
        "and labels (MNIST and kin, rectangular ones too), packed with gzip or not. A name that begins with / or . "
        "is a path, others are looked for under --data; names cannot hold , : + ( ) or blanks. "
        "input=tokens, the LRA's, gives byte p the token p + 1 (257 rows; 0 is padding, so black pixels are seen). "
        "input=reals, S4's and Mega's, gives (p/255 - mean) / deviation: a different task, since it carries the "
        "order of intensities. rgb=1 is sCIFAR, not the LRA's task; one mean and deviation for all channels. "
        "Validation is held out of training by data_seed: 5000 of CIFAR's 50000. form=lra takes the last tenth of "
        "the file order, since the original's hashed order cannot be rebuilt from the files; and with input=tokens "
        "it "
        "takes black pixels for padding wherever they stand, which only models that have this in their form=lra, and "
        "transformer, are built for.",
    .kind = SQA_CLASSIFY,
    .params = params,
    .self_size = sizeof(struct self),
    .floors = floors,
    .files = files,
    .sizes = sizes,
    .open = open_image,
    .close = close_image,
    .fetch = fetch,
    .show = show,
};
