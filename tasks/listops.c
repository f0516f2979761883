/*
 * listops.c - ListOps: the value of a nested prefix expression, ten classes
 *
 * Generated: draws 0, 1, 2, ... of one stream are whole trees as LRA draws them; those inside the length window that
 * were not seen before are kept. The first become the test split, the next validation, the rest train, so a smaller
 * train= leaves the other splits as they are. A kept list is stored as the number of its draw and drawn again by
 * fetch. Departs from LRA: the seed is fixed (LRA sets none), and the splits are cut in order of drawing (LRA: of a
 * hash set).
 */
#include "tasks/listops.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "tasks/task_util.h"

struct self {
    int64_t min, max, depth, arguments, train, valid, test, data_seed, cut;
    const char *file;
};

static const struct sqa_param params[] = {
    {"min", "a generated list has more tokens than this", SQA_PARAM_INT, "500", 0, SQA_LISTOPS_LENGTH,
     offsetof(struct self, min), NULL},
    {"max", "a list has fewer tokens than this (from a file: at most this many); positions of the model",
     SQA_PARAM_INT, "2000", 1, SQA_LISTOPS_LENGTH, offsetof(struct self, max), NULL},
    {"depth", "a node this deep is a digit, the root has depth 1", SQA_PARAM_INT, "10", 2, SQA_LISTOPS_DEPTH,
     offsetof(struct self, depth), NULL},
    {"arguments", "most arguments of an operator", SQA_PARAM_INT, "10", 2, 1000, offsetof(struct self, arguments),
     NULL},
    {"train", "lists to train on (from a file: at most)", SQA_PARAM_INT, "96000", 1, 1e7,
     offsetof(struct self, train), NULL},
    {"valid", "lists to validate on (from a file: at most)", SQA_PARAM_INT, "2000", 1, 1e7,
     offsetof(struct self, valid), NULL},
    {"test", "lists to test on (from a file: at most)", SQA_PARAM_INT, "2000", 1, 1e7, offsetof(struct self, test),
     NULL},
    {"data_seed", "seed of the lists, or of the cut of one file into splits", SQA_PARAM_INT, "0", 0, 0x1p53,
     offsetof(struct self, data_seed), NULL},
    {"file", "TSV file to read instead of generating, or 'released' for LRA's basic_{train,val,test}.tsv",
     SQA_PARAM_TEXT, "", 0, 0, offsetof(struct self, file), NULL},
    {"cut", "1: lists of a file that are longer than max lose their end", SQA_PARAM_BOOL, "0", 0, 0,
     offsetof(struct self, cut), NULL},
    {.name = NULL}};

struct state {
    struct sqa_listops_set set;
    struct sqa_listops_shape shape;
    uint64_t key;
    uint8_t *scratch; /* one drawn list */
};

static void close_listops(struct sqa_dataset *ds)
{
    struct state *state = ds->state;
    sqa_listops_clear(&state->set);
    sqa_free(state->scratch);
    sqa_free(state);
    ds->state = NULL;
}

/* Open addressing over hashes of kept lists. Two lists of equal hash (never seen in practice) count as one. */
struct seen {
    uint64_t *slot;
    size_t mask;
};

static bool insert(struct seen *seen, uint64_t hash)
{
    hash += hash == 0;
    size_t i = (size_t)hash & seen->mask;
    while (seen->slot[i] && seen->slot[i] != hash)
        i = (i + 1) & seen->mask;
    const bool fresh = seen->slot[i] == 0;
    seen->slot[i] = hash;
    return fresh;
}

/* A round is 2^20 draws or 2^28 nodes, a second or two. One that brings fewer than this many new lists ends the
 * search: the window is too narrow for the shape, or holds too few distinct lists. */
enum { ROUND_DRAWS = 1 << 20, ROUND_NODES = 1 << 28, ROUND_LISTS = 256 };

static enum sqa_status fill(struct state *state, const struct self *self, struct seen *seen,
                            const struct sqa_task *task, const struct sqa_task_env *env, struct sqa_err *err)
{
    static const enum sqa_split order[SQA_SPLITS] = {SQA_TEST, SQA_VALID, SQA_TRAIN};
    const int64_t wanted[SQA_SPLITS] = {self->test, self->valid, self->train}; /* in this order */
    uint64_t nodes = 0, draw = 0, round_draw = 0, fresh = 0, all = 0;
    for (int s = 0; s < SQA_SPLITS;) {
        if (draw % 4096 == 0 && sqa_task_interrupted(env))
            return sqa_task_stop(task, err);
        if (draw - round_draw >= ROUND_DRAWS || nodes >= ROUND_NODES) {
            if (fresh < ROUND_LISTS)
                return sqa_fail(err, SQA_INPUT,
                                "listops: min=%lld,max=%lld: only %llu of %lld lists found, %llu of them in the last "
                                "%llu draws; widen the window, or lower train, valid and test",
                                (long long)self->min, (long long)self->max, (unsigned long long)all,
                                (long long)(self->train + self->valid + self->test), (unsigned long long)fresh,
                                (unsigned long long)(draw - round_draw));
            round_draw = draw;
            nodes = fresh = 0;
        }
        struct sqa_listops_example e = {.where = draw};
        const size_t n = sqa_listops_draw(state->key, draw++, &state->shape, state->scratch, &nodes);
        int value;
        if (n == 0 || !insert(seen, sqa_hash(state->scratch, n, 1)))
            continue;
        if (!sqa_listops_evaluate(state->scratch, n, &value))
            return sqa_fail(err, SQA_MACHINE, "listops: draw %llu is no list; report this", (unsigned long long)draw);
        e.length = (uint32_t)n;
        e.label = (uint8_t)value;
        const enum sqa_status status = sqa_listops_add(&state->set, order[s], e, state->scratch, err);
        if (status != SQA_OK)
            return status;
        fresh++;
        all++;
        while (s < SQA_SPLITS && (int64_t)state->set.count[order[s]] == wanted[s])
            s++;
    }
    return SQA_OK;
}

static enum sqa_status generate(struct state *state, const struct self *self, const struct sqa_task *task,
                                const struct sqa_task_env *env, struct sqa_err *err)
{
    const size_t wanted = (size_t)(self->train + self->valid + self->test);
    size_t slots = 1024;
    while (slots < 2 * wanted)
        slots *= 2;
    if (self->max - self->min < 2)
        return sqa_fail(err, SQA_USAGE, "listops: min=%lld,max=%lld: no length lies between them; raise max",
                        (long long)self->min, (long long)self->max);
    struct seen seen = {.slot = sqa_alloc_array(slots, sizeof(uint64_t)), .mask = slots - 1};
    if (!seen.slot)
        return sqa_task_nomem(task, err);
    state->key = sqa_random_key((uint64_t)self->data_seed, 0, "task/listops");
    const enum sqa_status status = fill(state, self, &seen, task, env, err);
    sqa_free(seen.slot);
    return status;
}

static enum sqa_status add_note(struct sqa_dataset *ds, const char *note, size_t left_out, struct sqa_err *err)
{
    if (note && left_out)
        note = sqa_arena_printf(&ds->arena, "%s; train=, valid= and test= leave out %zu lists", note, left_out);
    if (!note)
        return sqa_task_nomem(ds->task, err);
    ds->note = note;
    return SQA_OK;
}

static enum sqa_status read_released(struct state *state, struct sqa_listops_reading *how, struct sqa_dataset *ds,
                                     struct sqa_err *err)
{
    static const char *const folders[] = {"lra_release/lra_release/listops-1000/", "lra_release/listops-1000/",
                                          "listops-1000/", ""};
    static const char *const names[SQA_SPLITS] = {"basic_train.tsv", "basic_val.tsv", "basic_test.tsv"};
    static const char published[] = "the lra_release archive of github.com/google-research/long-range-arena";
    char path[4096], name[128];
    size_t f = 0;
    enum sqa_status status = SQA_INPUT;
    for (; f < sizeof folders / sizeof folders[0]; f++) {
        snprintf(name, sizeof name, "%s%s", folders[f], names[SQA_TRAIN]);
        if (sqa_data_find(how->env, name, published, NULL, path, NULL) == SQA_OK)
            break;
    }
    if (f == sizeof folders / sizeof folders[0])
        f = 2;
    for (int s = 0; s < SQA_SPLITS; s++) {
        snprintf(name, sizeof name, "%s%s", folders[f], names[s]);
        how->split = s;
        status = sqa_data_find(how->env, name, published, NULL, path, err);
        if (status == SQA_OK)
            status = sqa_listops_read(path, how, &state->set, err);
        if (status != SQA_OK)
            return status;
    }
    return add_note(ds, sqa_arena_printf(&ds->arena, "the released lists, last read from %s", path),
                    state->set.left_out, err);
}

static enum sqa_status read_file(struct state *state, const struct self *self, const struct sqa_task_env *env,
                                 struct sqa_dataset *ds, struct sqa_err *err)
{
    struct sqa_listops_reading how = {.max = self->max,
                                      .cut = self->cut,
                                      .limit = {self->train, self->valid, self->test},
                                      .split = -1,
                                      .seed = (uint64_t)self->data_seed,
                                      .env = env};
    if (strcmp(self->file, "released") == 0)
        return read_released(state, &how, ds, err);
    const enum sqa_status status = sqa_listops_read(self->file, &how, &state->set, err);
    if (status != SQA_OK)
        return status;
    for (int s = 0; s < SQA_SPLITS; s++)
        if (state->set.count[s] == 0)
            return sqa_fail(err, SQA_INPUT,
                            "%s: too few lists, none falls into the %s split; give a file of at least "
                            "some hundred lists",
                            self->file, sqa_split_name((enum sqa_split)s));
    return add_note(ds,
                    sqa_arena_printf(&ds->arena,
                                     "one file cut 80:10:10 into train, validation and test by the hash of each list "
                                     "(data_seed %lld)",
                                     (long long)self->data_seed),
                    state->set.left_out, err);
}

static const uint8_t *tokens_of(const struct state *state, const struct sqa_listops_example *e)
{
    uint64_t nodes = 0;
    if (state->set.tokens)
        return state->set.tokens + e->where;
    sqa_listops_draw(state->key, e->where, &state->shape, state->scratch, &nodes);
    return state->scratch;
}

static enum sqa_status open_listops(const void *parsed, const struct sqa_task_env *env, struct sqa_dataset *ds,
                                    struct sqa_err *err)
{
    const struct self *self = parsed;
    struct state *state = sqa_alloc(sizeof *state);
    if (!state)
        return sqa_task_nomem(ds->task, err);
    ds->state = state;
    state->shape = (struct sqa_listops_shape){self->min, self->max, self->depth, self->arguments};
    state->scratch = sqa_alloc((size_t)self->max);
    if (!state->scratch)
        return sqa_task_nomem(ds->task, err);
    const enum sqa_status status =
        *self->file ? read_file(state, self, env, ds, err) : generate(state, self, ds->task, env, err);
    if (status != SQA_OK)
        return status;
    ds->vocab = SQA_LISTOPS_VOCAB;
    ds->classes = 10;
    ds->length = self->max;
    ds->token_names = sqa_listops_names;
    for (int s = 0; s < SQA_SPLITS; s++) {
        ds->count[s] = (int64_t)state->set.count[s];
        sqa_task_set_hash(ds, (enum sqa_split)s, state->set.hash[s]);
    }
    return SQA_OK;
}

static void sizes(const void *self_, struct sqa_dataset *ds)
{
    const struct self *self = self_;
    if (*self->file)
        return;
    ds->count[SQA_TRAIN] = self->train;
    ds->count[SQA_VALID] = self->valid;
    ds->count[SQA_TEST] = self->test;
}

static int64_t length_of(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index)
{
    const struct state *state = ds->state;
    return state->set.example[split][index].length;
}

static enum sqa_status fetch(const struct sqa_dataset *ds, enum sqa_split split, const uint32_t *index, int64_t n,
                             struct sqa_batch *b, struct sqa_err *err)
{
    const struct state *state = ds->state;
    const enum sqa_status status = sqa_task_begin_fetch(ds, split, index, n, b, err);
    if (status != SQA_OK)
        return status;
    for (int64_t i = 0; i < n; i++) {
        const struct sqa_listops_example *e = &state->set.example[split][index[i]];
        const uint8_t *tokens = tokens_of(state, e);
        int32_t *row = b->tokens + i * b->length;
        b->labels[i] = e->label;
        b->lengths[i] = (int32_t)e->length;
        for (int64_t t = 0; t < b->length; t++)
            row[t] = t < (int64_t)e->length ? tokens[t] : SQA_LISTOPS_PAD;
    }
    return SQA_OK;
}

static enum sqa_status show(const struct sqa_dataset *ds, enum sqa_split split, uint32_t index, struct sqa_text *out,
                            struct sqa_err *err)
{
    const struct state *state = ds->state;
    if ((int64_t)index >= ds->count[split])
        return sqa_fail(err, SQA_INPUT, "listops: example %u of %s; there are %lld, counted from 0", (unsigned)index,
                        sqa_split_name(split), (long long)ds->count[split]);
    const struct sqa_listops_example *e = &state->set.example[split][index];
    const uint8_t *tokens = tokens_of(state, e);
    sqa_text_printf(out, "label %d, %u tokens\n", e->label, (unsigned)e->length);
    for (uint32_t t = 0; t < e->length; t++)
        sqa_text_printf(out, "%s%s", t ? " " : "", sqa_listops_names[tokens[t]]);
    sqa_text_add(out, "\n");
    return out->failed ? sqa_task_nomem(ds->task, err) : SQA_OK;
}

static const char *const floors[] = {"majority", "first_token", NULL};

const struct sqa_task sqa_task_listops = {
    .id = "listops",
    .title = "ListOps (Long Range Arena)",
    .source = "Nangia and Bowman 2018, arXiv 1804.06028; Tay et al. 2020, arXiv 2011.04006; lists published in the "
              "lra_release archive of github.com/google-research/long-range-arena",
    .help = "Nested lists of MIN, MAX, MED (median, truncated) and SM (sum modulo 10) over digits; the label is the "
            "value. Generated exactly as LRA does: every node above depth is an operator with probability 0.25, "
            "otherwise a digit; 2 .. arguments arguments; whole trees are drawn until enough distinct ones have more "
            "than min and fewer than max tokens (a digit counts one, an operator two). 15 tokens, padding 0 and "
            "unknown 1 make a vocabulary of 17; round brackets are not tokens. With file=PATH lists are read: LRA's "
            "TSV (header Source, Target) or the original value TAB expression. One file is cut 80:10:10 by the hash "
            "of each list. file=released reads LRA's three files under --data. The path is taken as typed and cannot "
            "hold , : + ( ) or blanks.",
    .kind = SQA_CLASSIFY,
    .params = params,
    .self_size = sizeof(struct self),
    .floors = floors,
    .sizes = sizes,
    .open = open_listops,
    .close = close_listops,
    .length_of = length_of,
    .fetch = fetch,
    .show = show,
};
