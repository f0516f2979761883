/* rank_table.h - models by tasks: scores and ranks of a pool */
#ifndef SQA_REPORTS_RANK_TABLE_H
#define SQA_REPORTS_RANK_TABLE_H

#include "reports/plots.h"

struct sqa_rank_table {
    struct sqa_arena arena;
    const char **models;                   /* n_models, the best mean rank first */
    const struct sqa_pool_group **groups;  /* n_groups: tasks with two such models or more */
    const struct sqa_pool_entry **entries; /* [group * n_models + model]; NULL where it has no score */
    double *rank;                          /* the same places, among those with a score; NaN without */
    double *mean;                          /* a model's, over the tasks that it has a score on */
    size_t n_models, n_groups;
};

/* Every model and control that is wanted, no floors. NOMEM. */
enum sqa_status sqa_rank_table(const struct sqa_plots_from *from, struct sqa_rank_table *t,
                               struct sqa_err *err) SQA_MUST_CHECK;
/* Takes models away, the one with fewest tasks first, until all others share `least` tasks; groups become those. Fewer than
 * two models are left when that cannot be. */
void sqa_rank_table_complete(struct sqa_rank_table *t, size_t least);
void sqa_rank_table_clear(struct sqa_rank_table *t);

#endif
