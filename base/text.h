/*
 * text.h - growing strings and the parsing of small texts
 */
#ifndef SQA_BASE_TEXT_H
#define SQA_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A growing string; all zero is the empty string. After an allocation failure `failed` stays set and appends are
 * ignored, so that one check at the end is enough. text is never NULL after the first append that succeeded. */
struct sqa_text {
    char *text;
    size_t length, capacity;
    bool failed;
};
void sqa_text_add(struct sqa_text *t, const char *s);
void sqa_text_add_bytes(struct sqa_text *t, const void *s, size_t n);
void sqa_text_printf(struct sqa_text *t, const char *fmt, ...) SQA_PRINTF(2, 3);
const char *sqa_text_get(const struct sqa_text *t); /* "" when empty */
void sqa_text_clear(struct sqa_text *t);            /* frees */

/* Whole-string parsers: false when s is not exactly one such number. Integers take a suffix K (1024) or M (1024^2).
 * Reals must be finite. */
bool sqa_parse_int(const char *s, int64_t *out);
bool sqa_parse_real(const char *s, double *out);
bool sqa_parse_seconds(const char *s, double *out); /* "90", "90s", "5m", "1.5h" */
bool sqa_parse_bytes(const char *s, double *out);   /* "512M", "2G", "1.5GiB", plain bytes */

/* Shortest text that reads back as the same double (17 digits at most); "" for NaN. Returns buf. */
char *sqa_format_real(char buf[32], double v);
/* For people: 1234567 bytes -> "1.23 MB"; 0.00123 s given in ns -> "1.23 ms"; 1.2e9 -> "1.20 G". Returns buf. */
char *sqa_format_bytes(char buf[32], double bytes);
char *sqa_format_ns(char buf[32], double ns);
char *sqa_format_count(char buf[32], double n);
char *sqa_format_duration(char buf[32], double seconds); /* "12 s", "34 min", "5.6 h", "7.8 days"; NaN: "unknown" */

/* The name among `names` nearest to `name` by edit distance, or NULL when none is near: for "did you mean". */
const char *sqa_nearest(const char *name, const char *const *names, size_t n);

/* Copies the next line at *at without the blanks before it and its end, counts it in *line and moves *at behind it.
 * 1; 0 at the end of the text; -1 when it has more than size - 2 bytes (nothing is copied). */
int sqa_next_line(const char **at, int *line, char *buffer, size_t size);
/* For the readers of ini_parse_stream: sqa_next_line into a buffer that keeps room for the newline it wants. NULL at the
 * end, with why "", and at a line that is too long or has a control character: why says it. */
char *sqa_next_ini_line(const char **at, int *line, char *buffer, int size, char why[80]);

#endif
