/* paper_private.h - shared by paper_choose.c and paper_fill.c */
#ifndef SQA_REPORTS_PAPER_PRIVATE_H
#define SQA_REPORTS_PAPER_PRIVATE_H

#include "reports/paper.h"

struct sqa_paper_fill { /* a table while it is filled */
    const struct sqa_paper *paper;
    const struct sqa_published *published;
    const struct sqa_pool *pool;
    const struct sqa_paper_options *options;
    struct sqa_paper_filled *out;
    struct sqa_arena *arena;
    size_t left_out;
    bool failed; /* for lack of memory */
};

bool sqa_paper_is_external(const struct sqa_pool *pool, const struct sqa_pool_entry *e);
/* The value without which an entry is of no use to a table. */
int sqa_paper_value(const struct sqa_paper *paper);
/* Whether the entry may stand in some column. */
bool sqa_paper_usable(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e);
/* The entry of that model that stands in the column, NULL when there is none; *others counts those that could. */
const struct sqa_pool_entry *sqa_paper_choose(const struct sqa_paper_fill *f, const char *model, bool external,
                                              size_t column, size_t *others);
/* What a reader must know of a measured cell: in what it is not the published setting. "" when in nothing. */
const char *sqa_paper_how(struct sqa_paper_fill *f, const struct sqa_pool_entry *e, size_t column);
/* The entry of baseline b that ran as e did; NULL when there is none. */
const struct sqa_pool_entry *sqa_paper_baseline(const struct sqa_paper_fill *f, const struct sqa_pool_entry *e,
                                                size_t b);

#endif
