/*
 * pathfinder_files.h - a released Pathfinder set: its folder, its splits, its pictures
 */
#ifndef SQA_TASKS_PATHFINDER_FILES_H
#define SQA_TASKS_PATHFINDER_FILES_H

#include "tasks/pathfinder.h"
#include "tasks/task.h"

/* What is asked for. */
struct sqa_pathfinder_request {
    const char *dir; /* as typed; also looked for below the data folder */
    int size, level;
    int64_t limit[SQA_SPLITS]; /* at most so many pictures */
    uint64_t seed;             /* of the shuffle before the cut 80:10:10 */
    bool shuffle, skip_bad;
};

struct sqa_pathfinder_files {
    char set[4096]; /* the folder that holds metadata and imgs */
    struct sqa_pathfinder_list list;
    uint32_t *order[SQA_SPLITS]; /* (count): places in the list */
    int64_t count[SQA_SPLITS];
    uint8_t *pixels[SQA_SPLITS]; /* (count, size, size), or NULL: read again by every fetch */
    uint64_t hash[SQA_SPLITS];   /* over labels and pixels */
    int64_t bad;                 /* pictures left out */
    char first_bad[256];         /* one of them */
};

/* Finds the set and reads every picture that is used once: so a broken one is found here. Pictures stay in memory
 * when they take less than 1 GiB. Cleared by the caller, also after a failure. */
enum sqa_status sqa_pathfinder_files_open(const struct sqa_pathfinder_request *r, const struct sqa_task_env *env,
                                          struct sqa_pathfinder_files *f, struct sqa_err *err) SQA_MUST_CHECK;
/* Picture `index` of a split, size x size gray values, and its label. */
enum sqa_status sqa_pathfinder_files_get(const struct sqa_pathfinder_files *f, enum sqa_split split, uint32_t index,
                                         int size, uint8_t *pixels, int *label, struct sqa_err *err) SQA_MUST_CHECK;
void sqa_pathfinder_files_clear(struct sqa_pathfinder_files *f);

#endif
