/* claims.h - claims as the verb uses them: found by name, turned into commands of run and bench, run */
#ifndef SQA_HARNESS_CLAIMS_H
#define SQA_HARNESS_CLAIMS_H

#include "harness/options.h"
#include "reports/claim.h"

enum { SQA_CLAIM_NAMES = 64, SQA_CLAIM_WORDS = 160 };

/* Names of all claim files, sorted. */
size_t sqa_claim_names(struct sqa_arena *arena, const char *names[SQA_CLAIM_NAMES]);
/* Reads results/claims/NAME.ini ($SEQARENA_RESULTS, beside the program, ./results). USAGE with the nearest name. */
enum sqa_status sqa_claim_load(const char *name, struct sqa_claim *out, struct sqa_err *err) SQA_MUST_CHECK;

/* What of every cells is set otherwise; NULL: as the file says. lengths takes only those named, where cells have some. */
struct sqa_claim_limits {
    const char *lengths, *rounds, *seeds, *data;
    bool quiet; /* no progress */
};
/* A command of run or bench, with argv[0] in front. */
struct sqa_claim_command {
    const char *dir; /* of its run: DIR/LABEL */
    char *argv[SQA_CLAIM_WORDS];
    int argc; /* 0: none of its models is in this build, or none of its tasks can be opened */
};
/* The command of cells, with those models and tasks that this build and machine have. NOMEM. */
enum sqa_status sqa_claim_command(const struct sqa_claim_cells *cells, const struct sqa_claim_limits *limits,
                                  const char *dir, struct sqa_arena *arena, struct sqa_claim_command *out,
                                  struct sqa_err *err) SQA_MUST_CHECK;
/* As one would type it in a shell; NULL: no memory. */
const char *sqa_claim_command_text(const struct sqa_claim_command *c, struct sqa_arena *arena);
/* A phrase why the rows of a test cannot be made here, living in arena; NULL when nothing speaks against it. */
const char *sqa_claim_why_not(const struct sqa_claim_test *t, const char *data, struct sqa_arena *arena);
/* The commands of a claim and what they cost, as far as that can be told: the least time of timings, and of trainings
 * the time that the same cells took in rows of the pool. why as of sqa_claim_judge. */
enum sqa_status sqa_claim_plan(const struct sqa_claim *claim, const struct sqa_claim_command *commands,
                               const char *const *why, const struct sqa_pool *pool, struct sqa_text *out,
                               struct sqa_err *err) SQA_MUST_CHECK;

#endif
