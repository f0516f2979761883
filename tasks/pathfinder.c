/*
 * pathfinder.c - Pathfinder and Path-X: are two dots the ends of one dashed curve
 *
 * Generated pictures are drawn when they are fetched: picture i of a split is a pure function of the parameters, the
 * data seed, the split and i, so no split's size changes another. The generator is described in pathfinder_grow.c,
 * the reading of released sets in pathfinder_files.c.
 */
#include "tasks/pathfinder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "tasks/pathfinder_files.h"
#include "tasks/task_util.h"

struct self {
    const char *size, *level, *input, *dir, *form;
    int64_t train, valid, test, bars, distractors, mixed, data_seed, skip_bad;
};

static const struct sqa_param params[] = {
    {"size", "pixels a side; Path-X is 128, hard", SQA_PARAM_CHOICE, "32", 0, 0, offsetof(struct self, size),
     "32|64|128|256"},
    {"level", "bars of a target: easy 6, intermediate 9, hard 14", SQA_PARAM_CHOICE, "hard", 0, 0,
     offsetof(struct self, level), "easy|intermediate|hard"},
    {"input", "tokens: gray value + 1 as an id, 0 is padding; reals: gray value / 255, one channel", SQA_PARAM_CHOICE,
     "tokens", 0, 0, offsetof(struct self, input), "tokens|reals"},
    {"train", "pictures to train on (from files: at most)", SQA_PARAM_INT, "160000", 1, 1e9,
     offsetof(struct self, train), NULL},
    {"valid", "pictures to validate on (from files: at most)", SQA_PARAM_INT, "20000", 1, 1e9,
     offsetof(struct self, valid), NULL},
    {"test", "pictures to test on (from files: at most)", SQA_PARAM_INT, "20000", 1, 1e9, offsetof(struct self, test),
     NULL},
    {"bars", "bars of a target instead of the level's; 0: the level's", SQA_PARAM_INT, "0", 0, 14,
     offsetof(struct self, bars), NULL},
    {"distractors", "distractor curves wanted in a generated picture; -1: as published", SQA_PARAM_INT, "-1", -1,
     1000, offsetof(struct self, distractors), NULL},
    {"mixed", "1: pictures to train on grow from 3 bars and no distractor to the level's, in equal shares",
     SQA_PARAM_BOOL, "0", 0, 0, offsetof(struct self, mixed), NULL},
    {"data_seed", "seed of generated pictures, or of the shuffle of a released set", SQA_PARAM_INT, "0", 0, 0x1p53,
     offsetof(struct self, data_seed), NULL},
    {"dir", "folder of LRA's released sets to read instead of generating", SQA_PARAM_TEXT, "", 0, 0,
     offsetof(struct self, dir), NULL},
    {"form",
     "how a released set is cut 80:10:10: ours after a seeded shuffle, lra in the order of its lists; lra: black "
     "tokens are padding",
     SQA_PARAM_CHOICE, "ours", 0, 0, offsetof(struct self, form), "ours|lra"},
    {"skip_bad", "1: pictures of a released set that cannot be read are left out", SQA_PARAM_BOOL, "0", 0, 0,
     offsetof(struct self, skip_bad), NULL},
    {.name = NULL}};

enum { FEWEST_BARS = 3, STEPS = 16 };

struct state {
    int size, steps;
    struct sqa_pathfinder *generator;   /* of the level; NULL: from files */
    struct sqa_pathfinder *step[STEPS]; /* mixed: of easier pictures to train on, the shortest targets first */
    struct sqa_pathfinder_files files;
    uint64_t key;
    uint8_t *pixels; /* one picture */
};

static void close_pathfinder(struct sqa_dataset *ds)
{
    struct state *state = ds->state;
    sqa_pathfinder_free(state->generator);
    for (int i = 0; i < state->steps; i++)
        sqa_pathfinder_free(state->step[i]);
    sqa_pathfinder_files_clear(&state->files);
    sqa_free(state->pixels);
    sqa_free(state);
    ds->state = NULL;
}

static enum sqa_status picture(const struct state *state, enum sqa_split split, uint32_t index, int *label,
                               struct sqa_pathfinder_record *record, struct sqa_err *err)
{
    if (!state->generator)
        return sqa_pathfinder_files_get(&state->files, split, index, state->size, state->pixels, label, err);
    const uint32_t step = split == SQA_TRAIN ? index % ((uint32_t)state->steps + 1) : 0;
    sqa_pathfinder_draw(step > 0 ? state->step[step - 1] : state->generator,
                        sqa_random_mix(state->key, (uint64_t)split << 32 | index), state->pixels, record);
    *label = record->label;
    return SQA_OK;
}

/* The first pictures stand for a generated split: drawing all of it would take minutes. */
static enum sqa_status hash_generated(struct sqa_dataset *ds, struct sqa_err *err)
{
    enum { SAMPLE = 64 };
    struct state *state = ds->state;
    const size_t cells = (size_t)ds->length;
    for (int s = 0; s < SQA_SPLITS; s++) {
        struct sqa_pathfinder_record record;
        int label;
        uint64_t hash = sqa_hash(&ds->count[s], sizeof ds->count[s], (uint64_t)s);
        for (uint32_t i = 0; i < SAMPLE && (int64_t)i < ds->count[s]; i++) {
            const enum sqa_status status = picture(state, (enum sqa_split)s, i, &label, &record, err);
            if (status != SQA_OK)
                return status;
            hash = sqa_hash(state->pixels, cells, hash + (uint64_t)label);
        }
        sqa_task_set_hash(ds, (enum sqa_split)s, hash);
    }
    return SQA_OK;
}

static int level_of(const char *name)
{
    return strcmp(name, "easy") == 0           ? SQA_PATHFINDER_EASY
           : strcmp(name, "intermediate") == 0 ? SQA_PATHFINDER_INTERMEDIATE
                                               : SQA_PATHFINDER_HARD;
}

/* Generators of 3 bars and more, up to one less than the level's; distractors grow with them. */
static enum sqa_status make_steps(struct state *state, const struct sqa_pathfinder_shape *level)
{
    const int n = level->contour - FEWEST_BARS;
    for (int i = 0; i < n; i++) {
        struct sqa_pathfinder_shape shape = *level;
        shape.contour = FEWEST_BARS + i;
        shape.distractors = level->distractors * i / n;
        state->step[i] = sqa_pathfinder_create(&shape);
        if (!state->step[i])
            return SQA_NOMEM;
        state->steps++;
    }
    return SQA_OK;
}

static enum sqa_status generate(const struct self *self, struct sqa_dataset *ds, struct sqa_err *err)
{
    struct state *state = ds->state;
    struct sqa_pathfinder_shape shape;
    if (!sqa_pathfinder_shape(state->size, level_of(self->level), (int)self->distractors, &shape))
        return sqa_fail(err, SQA_USAGE, "pathfinder: size=%s; give 32, 64, 128 or 256", self->size);
    if (self->bars > 0)
        shape.contour = (int)self->bars;
    state->key = sqa_random_key((uint64_t)self->data_seed, 0, "task/pathfinder");
    state->generator = sqa_pathfinder_create(&shape);
    if (!state->generator || (self->mixed && make_steps(state, &shape) != SQA_OK))
        return sqa_task_nomem(ds->task, err);
    ds->note = ds->blank ? "generated; each split's hash is over its size and its first 64 pictures; form=lra: black "
                           "pixels are taken for padding"
                         : "generated; each split's hash is over its size and its first 64 pictures";
    return hash_generated(ds, err);
}

static enum sqa_status read_files(const struct self *self, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                  struct sqa_err *err)
{
    struct state *state = ds->state;
    struct sqa_pathfinder_files *f = &state->files;
    const struct sqa_pathfinder_request request = {.dir = self->dir,
                                                   .size = state->size,
                                                   .level = level_of(self->level),
                                                   .limit = {self->train, self->valid, self->test},
                                                   .seed = (uint64_t)self->data_seed,
                                                   .shuffle = strcmp(self->form, "ours") == 0,
                                                   .skip_bad = self->skip_bad != 0};
    if (self->distractors >= 0 || self->bars > 0 || self->mixed)
        return sqa_fail(err, SQA_USAGE,
                        "pathfinder: distractors, bars and mixed change no released picture; leave them or dir out");
    const enum sqa_status status = sqa_pathfinder_files_open(&request, env, f, err);
    if (status != SQA_OK)
        return status;
    for (int s = 0; s < SQA_SPLITS; s++) {
        ds->count[s] = f->count[s];
        sqa_task_set_hash(ds, (enum sqa_split)s, f->hash[s]);
    }
    char bad[400] = "", bars[100] = "";
    if (f->bad)
        snprintf(bad, sizeof bad, ", %lld that cannot be read are left out (the first: %s)", (long long)f->bad,
                 f->first_bad);
    if (f->list.contour)
        snprintf(bars, sizeof bars, "; targets of %lld bars, distractors of %lld", (long long)f->list.contour,
                 (long long)f->list.distractor);
    ds->note =
        sqa_arena_printf(&ds->arena, "read from %s: %zu pictures are listed%s%s; %s", f->set, f->list.n, bars, bad,
                         request.shuffle ? "cut 80:10:10 after our own seeded shuffle; the shuffles of "
                                           "published scores are not recorded"
                                         : "cut 80:10:10 in the order of the lists as LRA cuts, whose own "
                                           "shuffle before it is not recorded");
    return ds->note ? SQA_OK : sqa_task_nomem(ds->task, err);
}

static void sizes(const void *self_, struct sqa_dataset *ds)
{
    const struct self *self = self_;
    const bool reals = strcmp(self->input, "reals") == 0;
    const int64_t side = atoi(self->size);
    ds->length = side * side;
    ds->vocab = reals ? 0 : 257;
    ds->blank = !reals && strcmp(self->form, "lra") == 0; /* token 1 is black */
    ds->channels = reals;
    ds->classes = 2;
    if (self->dir[0])
        return;
    ds->count[SQA_TRAIN] = self->train;
    ds->count[SQA_VALID] = self->valid;
    ds->count[SQA_TEST] = self->test;
}

static enum sqa_status open_pathfinder(const void *self_, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                       struct sqa_err *err)
{
    const struct self *self = self_;
    struct state *state = ds->state = sqa_alloc(sizeof *state);
    if (!state)
        return sqa_task_nomem(ds->task, err);
    sizes(self, ds);
    state->size = atoi(self->size);
    ds->picture_rows = ds->picture_columns = state->size;
    state->pixels = sqa_alloc((size_t)ds->length);
    if (!state->pixels)
        return sqa_task_nomem(ds->task, err);
    return self->dir[0] ? read_files(self, env, ds, err) : generate(self, ds, err);
}

static enum sqa_status fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                             struct sqa_batch *b, struct sqa_err *err)
{
    const struct state *state = ds->state;
    enum sqa_status status = sqa_task_begin_fetch(ds, split, index, n, b, err);
    if (status == SQA_OK && ds->vocab == 0 && !b->x)
        return sqa_fail(err, SQA_UNSUPPORTED,
                        "pathfinder: input=reals: the batch has no room for reals; take "
                        "input=tokens");
    for (int64_t i = 0; i < n && status == SQA_OK; i++) {
        struct sqa_pathfinder_record record;
        int label = 0;
        status = picture(state, split, index[i], &label, &record, err);
        if (status != SQA_OK)
            break;
        b->labels[i] = label;
        if (b->lengths)
            b->lengths[i] = (int32_t)ds->length;
        for (int64_t t = 0; t < b->length; t++) {
            const bool real = t < ds->length;
            if (ds->vocab > 0)
                b->tokens[i * b->length + t] = real ? state->pixels[t] + 1 : 0;
            else
                b->x[i * b->length + t] = real ? state->pixels[t] / 255.0 : 0;
        }
    }
    return status;
}

static enum sqa_status show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, struct sqa_text *out,
                            struct sqa_err *err)
{
    static const char gray[] = " .:-=+*#%@";
    const struct state *state = ds->state;
    struct sqa_pathfinder_record r = {0};
    int label = 0;
    if ((int64_t)index >= ds->count[split])
        return sqa_fail(err, SQA_INPUT, "pathfinder: example %u of %s; there are %lld, counted from 0",
                        (unsigned)index, sqa_split_name(split), (long long)ds->count[split]);
    const enum sqa_status status = picture(state, split, index, &label, &r, err);
    if (status != SQA_OK)
        return status;
    sqa_text_printf(out, "label %d (%s)", label, label ? "dots on one curve" : "dots on two curves");
    if (state->generator)
        sqa_text_printf(out, ", dots at row %d column %d and row %d column %d, %d distractors of %d bars",
                        r.dot[0][0], r.dot[0][1], r.dot[1][0], r.dot[1][1], r.distractors,
                        r.distractors ? r.distractor_bars / r.distractors : 0);
    sqa_text_add(out, "\n");
    for (int64_t t = 0; t < ds->length; t++) {
        const char c = gray[state->pixels[t] * 10 / 256];
        sqa_text_add_bytes(out, (const char[]){c, c}, 2);
        if ((t + 1) % state->size == 0)
            sqa_text_add(out, "\n");
    }
    return out->failed ? sqa_task_nomem(ds->task, err) : SQA_OK;
}

static const char *const floors[] = {"majority", "dot_distance", "brightness", NULL};

const struct sqa_task sqa_task_pathfinder = {
    .id = "pathfinder",
    .title = "Pathfinder (Long Range Arena)",
    .source = "Linsley et al. 2018, arXiv 1805.08315; Tay et al. 2020, arXiv 2011.04006; generator published at "
              "github.com/drewlinsley/pathfinder, sets in the lra_release archive of "
              "github.com/google-research/long-range-arena",
    .help = "Two long dashed curves, shorter distractors and two dots; the label is 1 when both dots sit on the ends "
            "of one curve. LRA's Pathfinder is size=32,level=hard, its Path-X size=128,level=hard. Generated by the "
            "published procedure with its contrasts, gaps and retries; stretched to 0 .. 255 as the released pictures"
            " are. Pixels row by row, 257 ids (gray value + 1, so black is no padding) or reals. form=lra takes black"
            " ids for padding wherever they stand, as LRA's code does: only transformer and models with form=lra are "
            "built for it. mixed=1 changes the pictures to train on alone: equal shares of them have 3 bars and no "
            "distractor, 4 bars and a few, and so on to the level's; where a level is noise for a model at first, the"
            " easy ones are not. distractors=-1: 20, 22, 35 or 30 bars (size 32 to 256) are shared out among curves "
            "of a third of a target's bars; LRA states this for hard, for the other levels it is our reading. With "
            "dir=DIR a released set is read: DIR is the unpacked archive, its lra_release, or a folder pathfinder32 "
            "or curv_baseline; of two nested copies the inner one is taken, the note says which. Pictures that cannot"
            " be read stop it unless skip_bad=1; known: pathfinder32/curv_baseline/imgs/0/sample_172.png is empty. "
            "The path is taken as typed and cannot hold , : + ( ) or blanks. Size 64, hard, is slow to draw (1900 "
            "pairs of curves are given up for one that fits).",
    .kind = SQA_CLASSIFY,
    .params = params,
    .self_size = sizeof(struct self),
    .floors = floors,
    .sizes = sizes,
    .open = open_pathfinder,
    .close = close_pathfinder,
    .fetch = fetch,
    .show = show,
};
