/*
 * pathfinder_files.c - see pathfinder_files.h
 *
 * The released archive nests its folders twice, and holds a second pathfinder128 one level further out that others
 * found unlearnable (google-research/long-range-arena issue 38): the innermost set is taken. Order: metadata files by
 * number, lines as they stand; then, unless the original's cut is asked for, one seeded shuffle; then 80:10:10.
 */
#include "tasks/pathfinder_files.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/png.h"
#include "base/random.h"
#include "tasks/task_util.h"

static const size_t memory_limit = (size_t)1 << 30, file_limit = (size_t)1 << 24;

static enum sqa_status find_set(const struct sqa_pathfinder_request *r, const struct sqa_task_env *env,
                                char set[4096], struct sqa_err *err)
{
    static const char *const levels[] = {"curv_baseline", "curv_contour_length_9", "curv_contour_length_14"};
    static const char *const outer[] = {"lra_release/lra_release/", "lra_release/", ""};
    const char *roots[] = {"", env && env->data_dir ? env->data_dir : ""};
    char path[4200];
    for (int i = 0; i < 2; i++) {
        if (i == 1 && (!roots[1][0] || r->dir[0] == '/'))
            continue;
        const char *slash = i == 1 ? "/" : "";
        for (size_t k = 0; k < 5; k++) {
            if (k < 3)
                snprintf(set, 4096, "%s%s%s/%spathfinder%d/%s", roots[i], slash, r->dir, outer[k], r->size,
                         levels[r->level]);
            else
                snprintf(set, 4096, "%s%s%s%s%s", roots[i], slash, r->dir, k == 3 ? "/" : "",
                         k == 3 ? levels[r->level] : "");
            snprintf(path, sizeof path, "%s/metadata", set);
            if (sqa_file_exists(path))
                return SQA_OK;
        }
    }
    return sqa_fail(err, SQA_INPUT,
                    "pathfinder: dir=%.300s: no folder pathfinder%d/%s with metadata and imgs in it or in its "
                    "lra_release; it is part of lra_release.gz of github.com/google-research/long-range-arena (no "
                    "checksum is published), or leave dir out to generate pictures",
                    r->dir, r->size, levels[r->level]);
}

static enum sqa_status read_picture(const struct sqa_pathfinder_files *f, uint32_t place, int size, uint8_t *pixels,
                                    struct sqa_err *err)
{
    char path[8192], *bytes;
    size_t n;
    snprintf(path, sizeof path, "%s/%s", f->set, f->list.names.text + f->list.at[place]);
    enum sqa_status status = sqa_file_read(path, file_limit, &bytes, &n, err);
    if (status != SQA_OK)
        return status;
    status = sqa_png_gray(path, bytes, n, size, size, pixels, err);
    sqa_free(bytes);
    return status;
}

/* Keeps the pictures of order[from .. to) in a split, up to its limit. */
static enum sqa_status fill(const struct sqa_pathfinder_request *r, const struct sqa_task_env *env,
                            struct sqa_pathfinder_files *f, enum sqa_split split, const uint32_t *order, size_t n,
                            uint8_t *scratch, struct sqa_err *err)
{
    const size_t cells = (size_t)r->size * (size_t)r->size;
    uint64_t hash = 0;
    for (size_t i = 0; i < n && f->count[split] < r->limit[split]; i++) {
        if (i % 256 == 0 && sqa_task_interrupted(env))
            return sqa_fail(err, SQA_INTERRUPTED, "%s: interrupted while it was read; run again", f->set);
        uint8_t *pixels = f->pixels[split] ? f->pixels[split] + (size_t)f->count[split] * cells : scratch;
        struct sqa_err why = {0};
        const enum sqa_status status = read_picture(f, order[i], r->size, pixels, &why);
        if (status == SQA_INPUT && r->skip_bad) {
            if (f->bad++ == 0)
                snprintf(f->first_bad, sizeof f->first_bad, "%.250s", f->list.names.text + f->list.at[order[i]]);
            continue;
        }
        if (status == SQA_INPUT)
            return sqa_fail(err, status, "%.900s, or leave such pictures out with skip_bad=1", why.text);
        if (status != SQA_OK)
            return sqa_fail(err, status, "%s", why.text);
        const uint8_t label = f->list.label[order[i]];
        hash = sqa_hash(pixels, cells, sqa_hash(&label, 1, hash));
        f->order[split][f->count[split]++] = order[i];
    }
    f->hash[split] = hash;
    return SQA_OK;
}

enum sqa_status sqa_pathfinder_files_open(const struct sqa_pathfinder_request *r, const struct sqa_task_env *env,
                                          struct sqa_pathfinder_files *f, struct sqa_err *err)
{
    const size_t cells = (size_t)r->size * (size_t)r->size;
    enum sqa_status status = find_set(r, env, f->set, err);
    if (status == SQA_OK)
        status = sqa_pathfinder_read_list(f->set, &f->list, err);
    if (status != SQA_OK)
        return status;
    const size_t n = f->list.n, cut[SQA_SPLITS + 1] = {0, n * 8 / 10, n * 8 / 10 + n / 10, n};
    size_t kept[SQA_SPLITS], all = 0;
    for (int s = 0; s < SQA_SPLITS; s++) {
        kept[s] = cut[s + 1] - cut[s];
        kept[s] = kept[s] > (size_t)r->limit[s] ? (size_t)r->limit[s] : kept[s];
        all += kept[s];
    }
    uint32_t *order = sqa_alloc_array(n + 1, sizeof *order);
    uint8_t *scratch = sqa_alloc(cells);
    bool ok = order && scratch;
    for (int s = 0; s < SQA_SPLITS && ok; s++) {
        f->order[s] = sqa_alloc_array(kept[s] + 1, sizeof *f->order[s]);
        if (all <= memory_limit / cells)
            f->pixels[s] = sqa_alloc_array(kept[s] + 1, cells);
        ok = f->order[s] && (f->pixels[s] || all > memory_limit / cells);
    }
    if (!ok)
        status = sqa_fail(err, SQA_NOMEM, "%s: no memory for %zu pictures; lower train, valid and test", f->set, all);
    for (size_t i = 0; i < n && ok; i++)
        order[i] = (uint32_t)i;
    if (ok && r->shuffle)
        sqa_random_permutation(sqa_random_key(r->seed, 0, "task/pathfinder/split"), order, n);
    for (int s = 0; s < SQA_SPLITS && status == SQA_OK; s++)
        status = fill(r, env, f, (enum sqa_split)s, order + cut[s], cut[s + 1] - cut[s], scratch, err);
    if (status == SQA_OK && f->count[SQA_TRAIN] == 0)
        status =
            sqa_fail(err, SQA_INPUT, "%s: %zu pictures, too few for three splits; take the whole set", f->set, n);
    sqa_free(order);
    sqa_free(scratch);
    return status;
}

enum sqa_status sqa_pathfinder_files_get(const struct sqa_pathfinder_files *f, enum sqa_split split, uint32_t index,
                                         int size, uint8_t *pixels, int *label, struct sqa_err *err)
{
    const size_t cells = (size_t)size * (size_t)size;
    const uint32_t place = f->order[split][index];
    *label = f->list.label[place];
    if (!f->pixels[split])
        return read_picture(f, place, size, pixels, err);
    memcpy(pixels, f->pixels[split] + index * cells, cells);
    return SQA_OK;
}

void sqa_pathfinder_files_clear(struct sqa_pathfinder_files *f)
{
    for (int s = 0; s < SQA_SPLITS; s++) {
        sqa_free(f->order[s]);
        sqa_free(f->pixels[s]);
    }
    sqa_pathfinder_list_clear(&f->list);
    *f = (struct sqa_pathfinder_files){0};
}
