/* forecast_time.c - dates of the proleptic Gregorian calendar as seconds, and their features, see forecast.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/forecast.h"

enum { DAY = 86400 };

/* A number of `least` to `most` digits; moves *s behind it. */
static int digits(const char **s, int least, int most, int *out)
{
    int n = 0, value = 0;
    for (; n < most && **s >= '0' && **s <= '9'; n++, (*s)++)
        value = 10 * value + (**s - '0');
    *out = value;
    return n >= least;
}

/* Days since 1970-01-01; years run from March, so that the leap day ends one. Years of four digits only. */
static int64_t days_of(int year, int month, int day)
{
    const int y = year + 400 - (month <= 2), m = (month + 9) % 12;
    return (int64_t)y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 146097 - 719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int leap = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + leap;
}

struct clock {
    int hour, minute, second, offset; /* offset: seconds east of Greenwich */
};

static int put_seconds(int year, int month, int day, const struct clock *c, int64_t *seconds)
{
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || c->hour > 23 || c->minute > 59 ||
        c->second > 59)
        return 0;
    *seconds = days_of(year, month, day) * DAY + c->hour * 3600 + c->minute * 60 + c->second - c->offset;
    return 1;
}

int sqa_parse_time(const char *s, int64_t *seconds)
{
    int year, month, day;
    struct clock c = {0};
    if (!digits(&s, 4, 4, &year) || (*s != '-' && *s != '/'))
        return 0;
    const char separator = *s++;
    if (!digits(&s, 1, 2, &month) || *s++ != separator || !digits(&s, 1, 2, &day))
        return 0;
    if (*s == ' ' || *s == 'T') {
        s++;
        if (!digits(&s, 1, 2, &c.hour) || *s++ != ':' || !digits(&s, 2, 2, &c.minute))
            return 0;
        if (*s == ':' && (s++, !digits(&s, 2, 2, &c.second)))
            return 0;
    }
    return *s ? 0 : put_seconds(year, month, day, &c, seconds);
}

/* Dates as they are written elsewhere */

static int letter(char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* 1 .. 12 when three letters begin an English month (the rest of its letters are skipped); 0: they do not. */
static int month_name(const char **s)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (int m = 0; m < 12; m++) {
        const char *n = names + 3 * m;
        if (letter((*s)[0]) != n[0] || letter((*s)[1]) != n[1] || letter((*s)[2]) != n[2])
            continue;
        while (letter(**s) >= 'a' && letter(**s) <= 'z')
            (*s)++;
        return m + 1;
    }
    return 0;
}

struct date {
    int value[3], width[3], n; /* fields in the order they stand; width: digits, 0 for the name of a month */
    char separator;
};

static int read_fields(const char **s, struct date *d)
{
    *d = (struct date){.n = 0};
    while (d->n < 3) {
        const char *start = *s;
        int v = month_name(s);
        if (v == 0 && !digits(s, 1, 8, &v))
            return 0;
        d->width[d->n] = letter(*start) >= 'a' ? 0 : (int)(*s - start);
        d->value[d->n++] = v;
        const int more = **s && strchr("-/. ", **s) && (d->n == 1 || **s == d->separator) && d->n < 3 &&
                         ((*s)[1] >= '0' ? (*s)[1] <= '9' || letter((*s)[1]) >= 'a' : 0);
        if (!more || (**s == ' ' && (*s)[1] && (*s)[2] == ':'))
            break;
        d->separator = *(*s)++;
    }
    return 1;
}

/* "H:MM[:SS[.fff]]", then "AM" or "PM", then "Z" or "+HH[:]MM". */
static int read_clock(const char *s, struct clock *c)
{
    if (!digits(&s, 1, 2, &c->hour) || *s++ != ':' || !digits(&s, 2, 2, &c->minute))
        return 0;
    if (*s == ':' && (s++, !digits(&s, 2, 2, &c->second)))
        return 0;
    if (*s == '.' || *s == ',')
        for (s++; *s >= '0' && *s <= '9';)
            s++;
    if (*s == ' ')
        s++;
    const int half = letter(*s);
    if ((half == 'a' || half == 'p') && letter(s[1]) == 'm') {
        if (c->hour < 1 || c->hour > 12)
            return 0;
        c->hour = c->hour % 12 + (half == 'p' ? 12 : 0);
        s += 2;
    }
    if (*s == 'Z') {
        s++;
    } else if (*s == '+' || *s == '-') {
        const int sign = *s++ == '-' ? -1 : 1;
        int hours, minutes = 0;
        if (!digits(&s, 2, 2, &hours))
            return 0;
        if (*s == ':')
            s++;
        if (*s && !digits(&s, 2, 2, &minutes))
            return 0;
        c->offset = sign * (hours * 3600 + minutes * 60);
    }
    return *s == '\0';
}

/* Year, month and day by the order asked for; 0: no date, -1: the order must be asked for. */
static int settle(const struct date *d, enum sqa_date_order order, int *year, int *month, int *day)
{
    const int *v = d->value, *w = d->width;
    *day = 1;
    *month = 1;
    if (d->n == 1 && w[0] == 8) { /* 20200131 */
        *year = v[0] / 10000;
        *month = v[0] / 100 % 100;
        *day = v[0] % 100;
        return 1;
    }
    if (w[0] == 4) {
        *year = v[0];
        *month = d->n > 1 ? v[1] : 1;
        *day = d->n > 2 ? v[2] : 1;
        return 1;
    }
    if (w[d->n - 1] != 4 || d->n < 2)
        return 0;
    *year = v[d->n - 1];
    int months_first = d->n == 2 || w[0] == 0 || order == SQA_DATES_MDY;
    if (d->n == 3 && w[0] > 0 && w[1] > 0 && order != SQA_DATES_MDY && order != SQA_DATES_DMY &&
        d->separator != '.') {
        if (v[0] <= 12 && v[1] <= 12)
            return -1;
        months_first = v[1] > 12;
    }
    if (w[1] == 0)
        months_first = 0;
    *month = v[months_first ? 0 : 1];
    *day = d->n == 2 ? 1 : v[months_first ? 1 : 0];
    return 1;
}

int sqa_parse_date(const char *s, enum sqa_date_order order, int64_t *seconds)
{
    struct date d;
    struct clock c = {0};
    int year, month, day;
    if (order == SQA_DATES_SECONDS) {
        char *end;
        const long long v = strtoll(s, &end, 10);
        *seconds = v;
        return *s && *end == '\0' && v > -(1LL << 40) && v < 1LL << 40;
    }
    if (!read_fields(&s, &d))
        return 0;
    const int found = settle(&d, order, &year, &month, &day);
    if (found != 1)
        return found;
    if (*s == 'T' || *s == ' ') {
        while (*++s == ' ')
            continue;
        if (!read_clock(s, &c))
            return 0;
    } else if (*s) {
        return 0;
    }
    return put_seconds(year, month, day, &c, seconds);
}

enum sqa_date_order sqa_date_order_find(const char *choice)
{
    static const char *const names[] = {"auto", "ymd", "dmy", "mdy", "seconds", "none"};
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++)
        if (strcmp(names[i], choice) == 0)
            return (enum sqa_date_order)i;
    return SQA_DATES_AUTO;
}

/* From seconds to dates */

struct civil {
    int64_t days; /* since 1970-01-01 */
    int year, month, day, rest;
};

static struct civil civil_of(int64_t seconds)
{
    struct civil t = {.days = seconds / DAY - (seconds % DAY < 0)};
    t.rest = (int)(seconds - t.days * DAY);
    /* Eras of 400 years from 1 March of the year 0. */
    const int64_t z = t.days + 719468, era = (z < 0 ? z - 146096 : z) / 146097;
    const int in_era = (int)(z - era * 146097);
    const int years = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const int in_year = in_era - (365 * years + years / 4 - years / 100), m = (5 * in_year + 2) / 153;
    t.day = in_year - (153 * m + 2) / 5 + 1;
    t.month = m < 10 ? m + 3 : m - 9;
    t.year = (int)(era * 400) + years + (t.month <= 2);
    return t;
}

char *sqa_format_time(char buf[32], int64_t seconds)
{
    const struct civil t = civil_of(seconds);
    const unsigned rest = (unsigned)t.rest;
    snprintf(buf, 32, "%04u-%02u-%02u %02u:%02u:%02u", (unsigned)t.year % 10000, (unsigned)t.month % 100,
             (unsigned)t.day % 100, rest / 3600 % 24, rest / 60 % 60, rest % 60);
    return buf;
}

static int weekday_of(int64_t days) /* 0: Monday */
{
    return (int)(((days + 3) % 7 + 7) % 7);
}

int sqa_time_is_weekend(int64_t seconds)
{
    return weekday_of(civil_of(seconds).days) >= 5;
}

static int day_of_year(const struct civil *t) /* 1 .. 366 */
{
    return (int)(t->days - days_of(t->year, 1, 1)) + 1;
}

/* The ISO week of a day is that of its Thursday; week 1 is the one with the year's first Thursday. */
static int iso_week(const struct civil *t)
{
    const struct civil thursday = civil_of((t->days + 3 - weekday_of(t->days)) * DAY);
    return (day_of_year(&thursday) - 1) / 7 + 1;
}

int64_t sqa_time_add_months(int64_t seconds, int64_t months, int day)
{
    const struct civil t = civil_of(seconds);
    const int64_t m = (int64_t)t.year * 12 + t.month - 1 + months;
    const int year = (int)(m / 12), month = (int)(m % 12) + 1, last = days_in_month(year, month);
    return days_of(year, month, day < last ? day : last) * DAY + t.rest;
}

int sqa_time_day(int64_t seconds, int *last_of_month)
{
    const struct civil t = civil_of(seconds);
    *last_of_month = t.day == days_in_month(t.year, t.month);
    return t.day;
}

void sqa_time_calendar(int64_t seconds, int32_t out[SQA_CALENDAR])
{
    const struct civil t = civil_of(seconds);
    const int32_t row[SQA_CALENDAR] = {t.month, t.day, weekday_of(t.days), t.rest / 3600, t.rest / 900 % 4};
    memcpy(out, row, sizeof row);
}

static double share(int v, int most)
{
    return (double)v / (double)most - 0.5;
}

void sqa_time_marks(enum sqa_freq f, int64_t seconds, double out[SQA_MARKS_MAX])
{
    const struct civil t = civil_of(seconds);
    int n = 0;
    if (f == SQA_FREQ_S)
        out[n++] = share(t.rest % 60, 59);
    if (f <= SQA_FREQ_T)
        out[n++] = share(t.rest / 60 % 60, 59);
    if (f <= SQA_FREQ_H)
        out[n++] = share(t.rest / 3600, 23);
    if (f <= SQA_FREQ_B) {
        out[n++] = share(weekday_of(t.days), 6);
        out[n++] = share(t.day - 1, 30);
        out[n++] = share(day_of_year(&t) - 1, 365);
    }
    if (f == SQA_FREQ_W) {
        out[n++] = share(t.day - 1, 30);
        out[n++] = share(iso_week(&t) - 1, 52);
    }
    if (f == SQA_FREQ_M)
        out[n++] = share(t.month - 1, 11);
}

int64_t sqa_freq_marks(enum sqa_freq f)
{
    static const int64_t n[] = {
        [SQA_FREQ_S] = 6, [SQA_FREQ_T] = 5, [SQA_FREQ_H] = 4, [SQA_FREQ_D] = 3,
        [SQA_FREQ_B] = 3, [SQA_FREQ_W] = 2, [SQA_FREQ_M] = 1,
    };
    return n[f];
}

enum sqa_freq sqa_freq_find(const char *choice, const struct sqa_series *s)
{
    static const char names[] = "sthdbwm";
    const char *known = choice && choice[0] && !choice[1] ? strchr(names, choice[0]) : NULL;
    if (known)
        return (enum sqa_freq)(known - names);
    if (s->business)
        return SQA_FREQ_B;
    return s->step <= 0         ? SQA_FREQ_H
           : s->step < 60       ? SQA_FREQ_S
           : s->step < 3600     ? SQA_FREQ_T
           : s->step < DAY      ? SQA_FREQ_H
           : s->step < 7 * DAY  ? SQA_FREQ_D
           : s->step < 28 * DAY ? SQA_FREQ_W
                                : SQA_FREQ_M;
}

int64_t sqa_forecast_season(int64_t step)
{
    static const struct {
        int64_t low, high, season;
    } known[] = {
        {60, 60, 1440},   {300, 300, 288}, {600, 600, 144},      {900, 900, 96},           {1800, 1800, 48},
        {3600, 3600, 24}, {DAY, DAY, 7},   {604800, 604800, 52}, {28 * DAY, 31 * DAY, 12}, {89 * DAY, 92 * DAY, 4},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (step >= known[i].low && step <= known[i].high)
            return known[i].season;
    return 0;
}
