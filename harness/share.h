/* share.h - where the program's data files lie: recipes, tables, published numbers, recorded runs */
#ifndef SQA_HARNESS_SHARE_H
#define SQA_HARNESS_SHARE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"

enum { SQA_SHARE_PLACES = 4 };

/* Place i where folder ("recipes", "results") may lie; false when there is none of that number: what the environment
 * variable says, beside an installed program (so that a tree can be moved), beside the sources of one in build/, the
 * working directory. */
bool sqa_share_place(const char *folder, const char *variable, int i, char path[4096]);
/* Path of FOLDER/file (file with its own subfolders) in the first place that has it; false when none has. */
bool sqa_share_find(const char *folder, const char *variable, const char *file, char path[4096]);
/* Names without .ini of the files in FOLDER/sub of every place, sorted, each once; returns their number. */
size_t sqa_share_names(const char *folder, const char *variable, const char *sub, struct sqa_arena *arena,
                       const char **names, size_t most);

#endif
