/*
 * figures.h - the figures of a report
 */
#ifndef SQA_REPORTS_FIGURES_H
#define SQA_REPORTS_FIGURES_H

#include "base/status.h"
#include "reports/parts.h"
#include "reports/pool.h"

/* Where in a report a figure stands. */
enum sqa_figure_place { SQA_FIGURES_QUALITY, SQA_FIGURES_COST, SQA_FIGURES_SCALING, SQA_FIGURES_CURVES };

/* Appends to parts each figure that belongs there and that the summarised pool has rows for; nothing else. */
enum sqa_status sqa_figures(struct sqa_parts *parts, const struct sqa_pool *pool, enum sqa_figure_place place,
                            struct sqa_err *err) SQA_MUST_CHECK;

#endif
