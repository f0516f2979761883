/* fuzz_series.c - any bytes through the reader of tables with times: it refuses, or gives finite numbers in order */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "tasks/forecast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *choose(uint8_t bits, int n, const char *const *names)
{
    return names[bits % n];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const modes[] = {"M", "S", "MS"}, *const times[] = {"rising", "any"};
    static const char *const decimals[] = {"point", "comma"}, *const headers[] = {"auto", "yes", "no"};
    static const char *const dates[] = {"auto", "ymd", "dmy", "mdy", "seconds", "none"};
    static const char *const gaps[] = {"refuse", "any", "fill"}, *const missing[] = {"refuse", "fill"};
    static const char *const columns[] = {"", "d", "y/m"}, *const out[] = {"", "s/t"};
    struct sqa_arena arena = {0};
    struct sqa_series s;
    struct sqa_err err = {0};
    if (size < 4)
        return 0;
    const struct sqa_forecast_options o = {.lookback = 2,
                                           .horizon = 1,
                                           .mode = choose(data[0], 3, modes),
                                           .times = choose(data[0] >> 4, 2, times),
                                           .target = data[0] & 128 ? "x" : ""};
    const struct sqa_series_format f = {.decimal = choose(data[1], 2, decimals),
                                        .header = choose(data[1] >> 1, 3, headers),
                                        .dates = choose(data[2], 6, dates),
                                        .gaps = choose(data[3], 3, gaps),
                                        .missing = choose(data[3] >> 2, 2, missing),
                                        .date = choose(data[3] >> 4, 3, columns),
                                        .leave_out = choose(data[3] >> 6, 2, out)};
    const enum sqa_status status =
        sqa_series_read_bytes("fuzz", data + 4, size - 4, &o, &f, data[1] >> 7, &arena, &s, &err);
    if (status != SQA_OK && (err.text[0] == '\0' || s.values || s.times))
        abort();
    for (int64_t i = 0; status == SQA_OK && i < s.rows; i++) {
        for (int64_t c = 0; c < s.channels; c++)
            if (!isfinite(s.values[i * s.channels + c]))
                abort();
        if (i > 0 && s.times && o.times == times[0] && s.times[i] <= s.times[i - 1])
            abort();
        double marks[SQA_MARKS_MAX];
        for (int k = SQA_FREQ_S; s.times && k <= SQA_FREQ_M; k++) {
            sqa_time_marks((enum sqa_freq)k, s.times[i], marks);
            for (int64_t m = 0; m < sqa_freq_marks((enum sqa_freq)k); m++)
                if (!(fabs(marks[m]) <= 0.5))
                    abort();
        }
    }
    if (status == SQA_OK)
        sqa_series_clear(&s);
    sqa_arena_clear(&arena);
    return 0;
}
