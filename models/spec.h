/*
 * spec.h - what the parser of models (spec.c) and their canonical forms (spec_form.c) share
 */
#ifndef SQA_MODELS_SPEC_H
#define SQA_MODELS_SPEC_H

#include "models/model.h"

/* The item a slot has when nothing is said; NULL for mixer, model and floor. */
extern const char *const sqa_spec_slot_default[SQA_SLOTS];

/* The preset is a model or a floor: it stands for itself, whatever its slots hold. */
bool sqa_spec_whole(const struct sqa_model *m);
/* A mixer, or a model with blocks of its own. */
bool sqa_spec_has_slots(const struct sqa_variant *v);
/* The text of a slot of a preset of v when nothing is said; NULL: it has no such slot, or, of a mixer, is that slot.
 */
const char *sqa_spec_default(const struct sqa_variant *v, int slot);
/* A preset of v takes the frame's parameters. */
bool sqa_spec_takes_frame(const struct sqa_variant *v);
/* Its parameter form is lra. */
bool sqa_spec_is_lra(const struct sqa_item *item);
/* The same variant with the same parameters. *failed is set when memory ran out. */
bool sqa_spec_same_item(const struct sqa_item *a, const struct sqa_item *b, bool *failed);
/* The short form, or, when all, the form with every parameter; lives in m->arena. NULL when memory ran out. */
const char *sqa_spec_form(struct sqa_model *m, bool all);

#endif
