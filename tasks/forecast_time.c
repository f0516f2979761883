/* forecast_time.c - dates of the proleptic Gregorian calendar as seconds, see forecast.h */
#include <stdio.h>

#include "tasks/forecast.h"

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

int sqa_parse_time(const char *s, int64_t *seconds)
{
    int year, month, day, hour = 0, minute = 0, second = 0;
    if (!digits(&s, 4, 4, &year) || (*s != '-' && *s != '/'))
        return 0;
    const char separator = *s++;
    if (!digits(&s, 1, 2, &month) || *s++ != separator || !digits(&s, 1, 2, &day))
        return 0;
    if (*s == ' ' || *s == 'T') {
        s++;
        if (!digits(&s, 1, 2, &hour) || *s++ != ':' || !digits(&s, 2, 2, &minute))
            return 0;
        if (*s == ':' && (s++, !digits(&s, 2, 2, &second)))
            return 0;
    }
    if (*s || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 ||
        second > 59)
        return 0;
    *seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return 1;
}

char *sqa_format_time(char buf[32], int64_t seconds)
{
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    const unsigned rest = (unsigned)(seconds - days * 86400);
    int year = 1970 + (int)(days < 0 ? days / 365 - 1 : days / 366), month = 1;
    while (days_of(year + 1, 1, 1) <= days)
        year++;
    days -= days_of(year, 1, 1);
    while (days >= days_in_month(year, month))
        days -= days_in_month(year, month++);
    snprintf(buf, 32, "%04u-%02u-%02u %02u:%02u:%02u", (unsigned)year % 10000, (unsigned)month % 100,
             (unsigned)(days + 1) % 100, rest / 3600 % 24, rest / 60 % 60, rest % 60);
    return buf;
}

int64_t sqa_forecast_season(int64_t step)
{
    static const struct {
        int64_t low, high, season;
    } known[] = {
        {60, 60, 1440},
        {300, 300, 288},
        {600, 600, 144},
        {900, 900, 96},
        {1800, 1800, 48},
        {3600, 3600, 24},
        {86400, 86400, 7},
        {604800, 604800, 52},
        {28 * 86400, 31 * 86400, 12},
        {89 * 86400, 92 * 86400, 4},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (step >= known[i].low && step <= known[i].high)
            return known[i].season;
    return 0;
}
