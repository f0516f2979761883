/* share.h - where the program's data files lie: recipes, tables, published numbers, recorded runs */
#ifndef SQA_HARNESS_SHARE_H
#define SQA_HARNESS_SHARE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "base/status.h"

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

/* A kind of files FOLDER/SUB/NAME.ini that a user names: {"results", "SEQARENA_RESULTS", "tables", "table"}. */
struct sqa_share_kind {
    const char *folder, *variable, *sub, *one;
};
bool sqa_share_has(const struct sqa_share_kind *kind, const char *name, char path[4096]);
/* The text of such a file, freed by sqa_free, and its path. USAGE that says what there is when there is none of that
 * name; INPUT for a file that is no text. */
enum sqa_status sqa_share_read(const struct sqa_share_kind *kind, const char *name, char path[4096], char **text,
                               struct sqa_err *err) SQA_MUST_CHECK;

#endif
