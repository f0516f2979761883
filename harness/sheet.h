/*
 * sheet.h - a contact sheet: pictures of a task as one PNG
 */
#ifndef SQA_HARNESS_SHEET_H
#define SQA_HARNESS_SHEET_H

#include "tasks/task.h"

/* Draws the first n examples of a split in rows, each in a border of its label's colour, enlarged to about 96 pixels,
 * and appends a legend to out: colours, labels from left to right. SQA_UNSUPPORTED when positions are no picture. */
enum sqa_status sqa_sheet_write(const struct sqa_dataset *ds, enum sqa_split split, int64_t n, const char *path,
                                struct sqa_text *out, struct sqa_err *err) SQA_MUST_CHECK;

#endif
