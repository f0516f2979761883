/*
 * forecast.h - what forecasting models share: checks, times of the rows, input of a decoder, instance normalisation
 *
 * x (B, L, C) is the look-back, H = c->task->horizon; the outputs are the last c->task->outputs channels. Rows of
 * marks and calendar are those of x, then those to forecast. A task without dates has c->task->marks 0: then
 * sqa_marks and sqa_calendar fail the graph (UNSUPPORTED); check() should have refused before. Source: Informer
 * (arXiv 2012.07436) and Time-Series-Library for times and decoder; RevIN (Kim et al. 2022).
 */
#ifndef SQA_MODELS_FORECAST_H
#define SQA_MODELS_FORECAST_H

#include "models/variant.h"

/* Refuses tasks that are no forecasts and, unless frame is NULL, instance= of a frame whose model has its own norm=. */
enum sqa_status sqa_forecast_check(const char *id, const struct sqa_frame *frame, const struct sqa_signature *task,
                                   struct sqa_err *err);
/* Whether the graph is of the whole look-back, which weights over time are for; else it fails (UNSUPPORTED). */
bool sqa_whole_lookback(struct sqa_context *c);

/* Features of each row's time in [-0.5, 0.5]: (B, L + H, c->task->marks). Made once a graph, on the first call. */
struct sqa_tensor *sqa_marks(struct sqa_context *c);
/* i32 (B, L + H, SQA_CALENDAR): month 1 .. 12, day 1 .. 31, weekday 0 .. 6 from Monday, hour, quarter of the hour. */
struct sqa_tensor *sqa_calendar(struct sqa_context *c);
/* Rows of tables that calendar is looked up in. */
extern const int64_t sqa_calendar_rows[SQA_CALENDAR];

/* The last `label` rows of x, then H rows of zeros: (B, label + H, C). Nothing of what is to be forecast is in it. */
struct sqa_tensor *sqa_decoder_input(struct sqa_context *c, struct sqa_tensor *x, int64_t label);
/* The marks of those rows: (B, label + H, marks). */
struct sqa_tensor *sqa_decoder_marks(struct sqa_context *c, int64_t label);

enum sqa_instance_kind {
    SQA_INSTANCE_NONE,
    SQA_INSTANCE_NORM,   /* minus the mean, by sqrt(population variance + 1e-5), over the L rows of each channel */
    SQA_INSTANCE_AFFINE, /* the same, then times instance.weight (C) plus instance.bias (C): RevIN */
    SQA_INSTANCE_LAST,   /* minus the last row instead of the mean: RevIN's subtract_last */
};
#define SQA_INSTANCE_CHOICES "none|norm|affine|last"
/* The row of a parameter table for `member` of `self`. */
/* clang-format off */
#define SQA_INSTANCE_PARAM(self, member, usual)                                                                    \
    {"norm", "instance normalisation: none, norm, affine (RevIN), last", SQA_PARAM_CHOICE, usual, 0, 0,            \
     offsetof(self, member), SQA_INSTANCE_CHOICES}
/* clang-format on */
enum sqa_instance_kind sqa_instance_find(const char *choice); /* one of SQA_INSTANCE_CHOICES; else _NONE */

struct sqa_instance {
    enum sqa_instance_kind kind;
    struct sqa_tensor *centre, *deviation, *weight, *bias; /* (B, 1, C), (B, 1, C), (C), (C) */
};
/* x normalised; *n remembers how. */
struct sqa_tensor *sqa_instance_norm(struct sqa_context *c, struct sqa_tensor *x, enum sqa_instance_kind kind,
                                     struct sqa_instance *n);
/* y (B, rows, k), the last k channels, back in the units of x. */
struct sqa_tensor *sqa_instance_undo(struct sqa_context *c, struct sqa_tensor *y, const struct sqa_instance *n);
/* Forward flops of both, as the graph counts them, with the task's outputs as k. */
double sqa_instance_flops(const struct sqa_context *c, enum sqa_instance_kind kind);

#endif
