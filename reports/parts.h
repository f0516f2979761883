/*
 * parts.h - a document as a list of parts: pieces of Markdown, and figures and files between them
 *
 * What prints a document writes Markdown; page.h makes one HTML page or LaTeX of all parts, and a plain Markdown report leaves the
 * figures out. So a table or a sentence is written once for every format.
 */
#ifndef SQA_REPORTS_PARTS_H
#define SQA_REPORTS_PARTS_H

#include "base/text.h"

struct sqa_part {
    bool figure;      /* text is a whole <svg> element */
    const char *file; /* text is a CSV file that is offered under this name, a literal; neither: Markdown */
    struct sqa_text text;
    struct sqa_text caption; /* of a figure: a sentence in Markdown, what is drawn and from how many rows */
};
struct sqa_parts {
    struct sqa_part *at;
    size_t n, capacity;
    bool failed;             /* for lack of memory */
    struct sqa_text nowhere; /* takes what is written after a failure */
};

/* The text to append Markdown to: the last part if it is Markdown, else a new one. Valid until the next call of a
 * function here. */
struct sqa_text *sqa_parts_markdown(struct sqa_parts *parts);
/* A new figure, to be filled; NULL after a failure. */
struct sqa_part *sqa_parts_figure(struct sqa_parts *parts);
/* A new file, to be filled; NULL after a failure. */
struct sqa_part *sqa_parts_file(struct sqa_parts *parts, const char *name);
/* Whether anything failed, here or in a text. */
bool sqa_parts_failed(const struct sqa_parts *parts);
void sqa_parts_clear(struct sqa_parts *parts);

#endif
