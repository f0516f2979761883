/* text.c - see text.h */
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static bool reserve(struct sqa_text *t, size_t more)
{
    if (t->failed)
        return false;
    if (t->length + more + 1 <= t->capacity)
        return true;
    size_t capacity = t->capacity ? t->capacity : 64;
    while (capacity < t->length + more + 1)
        capacity *= 2;
    char *p = sqa_realloc(t->text, capacity);
    if (!p) {
        t->failed = true;
        return false;
    }
    t->text = p;
    t->capacity = capacity;
    return true;
}

void sqa_text_add_bytes(struct sqa_text *t, const void *s, size_t n)
{
    if (!reserve(t, n))
        return;
    memcpy(t->text + t->length, s, n);
    t->length += n;
    t->text[t->length] = '\0';
}

void sqa_text_add(struct sqa_text *t, const char *s)
{
    sqa_text_add_bytes(t, s, strlen(s));
}

void sqa_text_printf(struct sqa_text *t, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    if (n >= 0 && reserve(t, (size_t)n)) {
        vsnprintf(t->text + t->length, (size_t)n + 1, fmt, again);
        t->length += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

const char *sqa_text_get(const struct sqa_text *t)
{
    return t->text ? t->text : "";
}

void sqa_text_clear(struct sqa_text *t)
{
    sqa_free(t->text);
    *t = (struct sqa_text){0};
}

bool sqa_parse_int(const char *s, int64_t *out)
{
    char *end;
    if (!strchr("0123456789+-", *s) || *s == '\0') /* strtoll would skip white space */
        return false;
    errno = 0;
    const long long v = strtoll(s, &end, 10);
    if (errno || end == s)
        return false;
    int64_t scale = 1;
    if (*end == 'K' || *end == 'k')
        scale = 1024;
    else if (*end == 'M')
        scale = 1024 * 1024;
    end += scale != 1;
    if (*end || v > INT64_MAX / scale || v < INT64_MIN / scale)
        return false;
    *out = v * scale;
    return true;
}

/* strtod without the locale's decimal comma, infinities, NaNs and hexadecimal floats. */
static bool leading_real(const char *s, double *out, const char **rest)
{
    char *end;
    if (s[strspn(s, "0123456789+-.eE")] != '\0' && strspn(s, "0123456789+-.eE") == 0)
        return false;
    if (*s == ' ' || *s == '\t' || *s == '\0' || strpbrk(s, "xXnN"))
        return false;
    *out = strtod(s, &end);
    *rest = end;
    return end != s && isfinite(*out);
}

bool sqa_parse_real(const char *s, double *out)
{
    const char *rest;
    return leading_real(s, out, &rest) && *rest == '\0';
}

static bool with_unit(const char *s, double *out, const char *const *units, const double *scales, size_t n)
{
    const char *rest;
    if (!leading_real(s, out, &rest) || *out < 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rest, units[i]) == 0) {
            *out *= scales[i];
            return isfinite(*out);
        }
    }
    return false;
}

bool sqa_parse_seconds(const char *s, double *out)
{
    static const char *const units[] = {"", "s", "m", "h", "d"};
    static const double scales[] = {1, 1, 60, 3600, 86400};
    return with_unit(s, out, units, scales, 5);
}

bool sqa_parse_bytes(const char *s, double *out)
{
    static const char *const units[] = {"", "B", "K", "KiB", "M", "MiB", "G", "GiB", "kB", "MB", "GB"};
    static const double scales[] = {1, 1, 0x1p10, 0x1p10, 0x1p20, 0x1p20, 0x1p30, 0x1p30, 1e3, 1e6, 1e9};
    return with_unit(s, out, units, scales, 11);
}

char *sqa_format_real(char buf[32], double v)
{
    buf[0] = '\0';
    if (isnan(v))
        return buf;
    if (v == 0) /* the sign of zero carries nothing for a reader */
        return strcpy(buf, "0");
    if (v == floor(v) && fabs(v) < 1e15) { /* counts stay whole: 1000, not 1e+03 */
        snprintf(buf, 32, "%.0f", v);
        return buf;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
    return buf;
}

static char *format_scaled(char buf[32], double v, double base, const char *const *units, size_t n)
{
    size_t i = 0;
    while (i + 1 < n && fabs(v) >= base * 0.9995) {
        v /= base;
        i++;
    }
    const int digits = i == 0 && v == floor(v) ? 0 : fabs(v) < 9.995 ? 2 : fabs(v) < 99.95 ? 1 : 0;
    snprintf(buf, 32, "%.*f %s", digits, v, units[i]);
    const size_t length = strlen(buf);
    if (length && buf[length - 1] == ' ')
        buf[length - 1] = '\0';
    return buf;
}

char *sqa_format_bytes(char buf[32], double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    return format_scaled(buf, bytes, 1000, units, 5);
}

char *sqa_format_ns(char buf[32], double ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    return format_scaled(buf, ns, 1000, units, 4);
}

char *sqa_format_count(char buf[32], double n)
{
    static const char *const units[] = {"", "K", "M", "G", "T", "P"};
    return format_scaled(buf, n, 1000, units, 6);
}

char *sqa_format_duration(char buf[32], double seconds)
{
    if (isnan(seconds))
        snprintf(buf, 32, "unknown");
    else if (seconds < 90)
        snprintf(buf, 32, "%.2g s", seconds);
    else if (seconds < 5400)
        snprintf(buf, 32, "%.0f min", seconds / 60);
    else if (seconds < 129600)
        snprintf(buf, 32, "%.1f h", seconds / 3600);
    else
        snprintf(buf, 32, "%.1f days", seconds / 86400);
    return buf;
}

static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    const size_t nb = strlen(b);
    if (nb >= 64)
        return 64;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            const size_t up = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = up;
        }
    }
    return row[nb];
}

const char *sqa_nearest(const char *name, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) / 3 + 2;
    for (size_t i = 0; i < n; i++) {
        const size_t d = distance(name, names[i]);
        if (d < best_distance) {
            best_distance = d;
            best = names[i];
        }
    }
    return best;
}

int sqa_next_line(const char **at, int *line, char *buffer, size_t size)
{
    if (**at == '\0')
        return 0;
    const char *start = *at + strspn(*at, " \t");
    const size_t n = strcspn(start, "\n");
    *at = start + n + (start[n] == '\n');
    ++*line;
    if (n + 2 > size)
        return -1;
    memcpy(buffer, start, n);
    buffer[n] = '\0';
    return 1;
}

char *sqa_next_ini_line(const char **at, int *line, char *buffer, int size, char why[80])
{
    const int got = sqa_next_line(at, line, buffer, (size_t)size);
    why[0] = '\0';
    if (got < 0)
        snprintf(why, 80, "longer than %d characters; shorten it", size - 2);
    for (const unsigned char *c = (const unsigned char *)buffer; got > 0 && *c; c++)
        if ((*c < ' ' && *c != '\t' && *c != '\r') || *c == 127)
            snprintf(why, 80, "control character %d; remove it", *c);
    return got > 0 && !*why ? buffer : NULL;
}
