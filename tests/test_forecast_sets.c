/* test_forecast_sets.c - formats of tables, dates and their features, published sets, panels, series with labels */
#include <zip.h>

#include "base/npz.h"
#include "tasks/forecast.h"
#include "tests/task_helpers.h"

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sqa_date_order order;
        int found;
        const char *is;
    } rows[] = {
        {"2020-01-31", SQA_DATES_AUTO, 1, "2020-01-31 00:00:00"},
        {"2020-01", SQA_DATES_AUTO, 1, "2020-01-01 00:00:00"},
        {"1749/3", SQA_DATES_AUTO, 1, "1749-03-01 00:00:00"},
        {"1949", SQA_DATES_AUTO, 1, "1949-01-01 00:00:00"},
        {"20200131", SQA_DATES_AUTO, 1, "2020-01-31 00:00:00"},
        {"2020.01.31 23:59:58.250", SQA_DATES_AUTO, 1, "2020-01-31 23:59:58"},
        {"2020-01-31T10:00:00Z", SQA_DATES_AUTO, 1, "2020-01-31 10:00:00"},
        {"2020-01-31T10:00:00+02:00", SQA_DATES_AUTO, 1, "2020-01-31 08:00:00"},
        {"2020-01-31 10:00:00-0130", SQA_DATES_AUTO, 1, "2020-01-31 11:30:00"},
        {"31.1.2020", SQA_DATES_AUTO, 1, "2020-01-31 00:00:00"},
        {"1.2.2020 7:30", SQA_DATES_AUTO, 1, "2020-02-01 07:30:00"},
        {"1.2.2020", SQA_DATES_MDY, 1, "2020-01-02 00:00:00"},
        {"31/1/2020", SQA_DATES_AUTO, 1, "2020-01-31 00:00:00"},
        {"1/31/2020", SQA_DATES_AUTO, 1, "2020-01-31 00:00:00"},
        {"1/2/2020", SQA_DATES_AUTO, -1, ""},
        {"1/2/2020", SQA_DATES_DMY, 1, "2020-02-01 00:00:00"},
        {"1/2/2020 12:05 AM", SQA_DATES_MDY, 1, "2020-01-02 00:05:00"},
        {"1/2/2020 12:05 PM", SQA_DATES_MDY, 1, "2020-01-02 12:05:00"},
        {"7/1/2016 0:15", SQA_DATES_MDY, 1, "2016-07-01 00:15:00"},
        {"01/2020", SQA_DATES_AUTO, 1, "2020-01-01 00:00:00"},
        {"31-Jan-2020", SQA_DATES_AUTO, 1, "2020-01-31 00:00:00"},
        {"January 2020", SQA_DATES_AUTO, 1, "2020-01-01 00:00:00"},
        {"2020-Feb-03", SQA_DATES_AUTO, 1, "2020-02-03 00:00:00"},
        {"86400", SQA_DATES_SECONDS, 1, "1970-01-02 00:00:00"},
        {"-1", SQA_DATES_SECONDS, 1, "1969-12-31 23:59:59"},
        {"31/2/2020", SQA_DATES_DMY, 0, ""},
        {"2020-01-31 25:00", SQA_DATES_AUTO, 0, ""},
        {"2020-01-31 13:00 PM", SQA_DATES_AUTO, 0, ""},
        {"31.1.20", SQA_DATES_AUTO, 0, ""},
        {"abc", SQA_DATES_AUTO, 0, ""},
        {"", SQA_DATES_AUTO, 0, ""},
        {"12", SQA_DATES_AUTO, 0, ""},
        {"2020-01-31x", SQA_DATES_AUTO, 0, ""},
        {"99999999999999999999", SQA_DATES_SECONDS, 0, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t t = 0;
        char buf[32] = "";
        const int found = sqa_parse_date(rows[i].text, rows[i].order, &t);
        if (found == 1)
            sqa_format_time(buf, t);
        if (found != rows[i].found || strcmp(buf, rows[i].is) != 0)
            fail_msg("'%s' -> %d, '%s'", rows[i].text, found, buf);
    }
}

static void expect_near(double v, double want)
{
    if (!(fabs(v - want) < 1e-6))
        fail_msg("%.9g where %.9g is wanted", v, want);
}

/* The values of the reference, and the order of features of each frequency. */
static void test_marks(void **state)
{
    (void)state;
    int64_t t;
    double m[SQA_MARKS_MAX];
    int32_t c[SQA_CALENDAR];
    assert_true(sqa_parse_time("2016-07-01 00:00:00", &t));
    sqa_time_marks(SQA_FREQ_H, t, m);
    expect_near(m[0], -0.5);
    expect_near(m[1], 0.1666667);
    expect_near(m[2], -0.5);
    expect_near(m[3], -0.0013699);
    assert_true(sqa_parse_time("2021-01-03 23:59:59", &t)); /* a Sunday of ISO week 53 */
    static const struct {
        enum sqa_freq f;
        int64_t n;
        double value[6];
    } rows[] = {
        {SQA_FREQ_S, 6, {0.5, 0.5, 0.5, 0.5, 2 / 30.0 - 0.5, 2 / 365.0 - 0.5}},
        {SQA_FREQ_T, 5, {0.5, 0.5, 0.5, 2 / 30.0 - 0.5, 2 / 365.0 - 0.5}},
        {SQA_FREQ_H, 4, {0.5, 0.5, 2 / 30.0 - 0.5, 2 / 365.0 - 0.5}},
        {SQA_FREQ_D, 3, {0.5, 2 / 30.0 - 0.5, 2 / 365.0 - 0.5}},
        {SQA_FREQ_B, 3, {0.5, 2 / 30.0 - 0.5, 2 / 365.0 - 0.5}},
        {SQA_FREQ_W, 2, {2 / 30.0 - 0.5, 0.5}},
        {SQA_FREQ_M, 1, {-0.5}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(sqa_freq_marks(rows[i].f), rows[i].n);
        sqa_time_marks(rows[i].f, t, m);
        for (int64_t k = 0; k < rows[i].n; k++)
            expect_near(m[k], rows[i].value[k]);
    }
    sqa_time_calendar(t, c);
    const int32_t want[SQA_CALENDAR] = {1, 3, 6, 23, 3};
    assert_memory_equal(c, want, sizeof want);
    assert_true(sqa_parse_time("2024-01-31 12:00", &t));
    char buf[32];
    assert_string_equal(sqa_format_time(buf, sqa_time_add_months(t, 1, 31)), "2024-02-29 12:00:00");
    assert_string_equal(sqa_format_time(buf, sqa_time_add_months(t, 14, 31)), "2025-03-31 12:00:00");
}

/* One series written in many ways: x = 0, 1, ... 39 and the dates of a day each. */
static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *header, *row, *rest; /* row: %1$d the value, %2$d day, %3$d month, %4$d the value plus 1 */
        int64_t marks, season;
    } rows[] = {
        {"date,x\n", "2020-%3$02d-%2$02d,%1$d\n", "", 3, 7},
        {"date,x\n", "2020-%3$02d-%2$02d,%1$d\n", ",freq=h", 4, 7},
        {"date;x\n", "%2$d.%3$d.2020;%1$d,0\n", ",decimal=comma", 3, 7},
        {"x\tDate\n", "%1$d\t%2$02d/%3$02d/2020\n", ",dates=dmy", 3, 7},
        {"Day|x\n", "%3$02d/%2$02d/2020|%1$d.0\n", ",dates=mdy,date=Day", 3, 7},
        {"", "2020-%3$02d-%2$02d,%1$d\n", ",target=2", 3, 7},
        {"", "%1$d\n", ",season=3", 0, 3},
        {"", "\"2020-%3$02d-%2$02d\";\"%1$d,000\"\n", ",decimal=comma", 3, 7},
        {"y,x,m,d\n", "2020,%1$d,%3$d,%2$d\n", ",date=y/m/d", 3, 7},
        {"date x\n", "2020-%3$02d-%2$02d %1$d\n", ",delimiter=blank", 3, 7},
        {"s,date,x,t\n", "NE,2020-%3$02d-%2$02d,%1$d,%4$d\n", ",leave_out=s/t", 3, 7},
        {"x,y\n", "%1$d,%1$d\n", ",dates=none,leave_out=y", 0, 0},
    };
    char spec[4400];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sqa_text text = {0};
        sqa_text_add(&text, rows[i].header);
        for (int k = 0; k < 40; k++) {
            char line[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
            snprintf(line, sizeof line, rows[i].row, k, 1 + k % 31, 1 + k / 31, k + 1);
#pragma GCC diagnostic pop
            sqa_text_add(&text, line);
        }
        snprintf(spec, sizeof spec, "csv:file=%s,lookback=3,horizon=2%s", write_file("form.csv", sqa_text_get(&text)),
                 rows[i].rest);
        sqa_text_clear(&text);
        struct sqa_dataset *ds = open_spec(spec);
        const struct sqa_series *s = sqa_forecast_series(ds);
        assert_int_equal(s->rows, 40);
        assert_int_equal(s->channels, 1);
        assert_int_equal(ds->marks, rows[i].marks);
        assert_int_equal(ds->season, rows[i].season);
        for (int64_t k = 0; k < 40; k++)
            expect_near(s->values[k] * ds->deviation[0] + ds->mean[0], (double)k);
        sqa_dataset_close(ds);
    }
}

/* Marks and calendar of a window are those of its rows; units turn standardised values back. */
static void test_window_times(void **state)
{
    (void)state;
    struct sqa_text text = {0};
    char spec[4300];
    sqa_text_add(&text, "date,x,OT\n");
    for (int k = 0; k < 60; k++)
        sqa_text_printf(&text, "2020-03-%02d %02d:00,%d,%d\n", 1 + k / 24, k % 24, k * k, 3 * (k % 24) + k);
    snprintf(spec, sizeof spec, "csv:file=%s,lookback=5,horizon=4,mode=MS",
             write_file("times.csv", sqa_text_get(&text)));
    sqa_text_clear(&text);
    struct sqa_dataset *ds = open_spec(spec);
    assert_int_equal(ds->marks, 4);
    struct sqa_batch *b = sqa_batch_create(ds, 2, 5);
    const uint32_t index[2] = {1, 2};
    assert_int_equal(ds->task->fetch(ds, SQA_VALID, index, 2, b, &err), SQA_OK);
    const struct sqa_series *s = sqa_forecast_series(ds);
    for (int64_t i = 0; i < 2; i++)
        for (int64_t t = 0; t < 9; t++) {
            const int64_t row = 42 - 5 + index[i] + t;
            double m[SQA_MARKS_MAX];
            sqa_time_marks(SQA_FREQ_H, s->times[row], m);
            assert_memory_equal(b->marks + (i * 9 + t) * 4, m, 4 * sizeof *m);
            assert_int_equal(b->calendar[(i * 9 + t) * SQA_CALENDAR + 3], row % 24);
        }
    expect_near(b->y[0] * b->units[1] + b->units[0], 3 * (43 % 24) + 43);
    double naive = 0; /* rows 0 .. 41 train, the season is 24: every value rises by 24 in a day */
    for (int64_t t = 24; t < 42; t++)
        naive += 24.0 / 18;
    expect_near(b->units[2], naive);
    sqa_batch_free(b);
    sqa_dataset_close(ds);
}

static void test_gaps(void **state)
{
    (void)state;
    struct sqa_text text = {0};
    char spec[4300], buf[32];
    sqa_text_add(&text, "date,x,y\n");
    for (int k = 0; k < 60; k++)
        if (k < 10 || k > 12)
            sqa_text_printf(&text, "20%02d-%02d-01,%d,%s\n", 10 + k / 12, 1 + k % 12, k, k % 7 == 3 ? "NA" : "1");
    const char *path = write_file("gaps.csv", sqa_text_get(&text));
    sqa_text_clear(&text);
    snprintf(spec, sizeof spec, "csv:file=%s,lookback=4,horizon=3,gaps=any,missing=fill", path);
    struct sqa_dataset *ds = open_spec(spec);
    assert_int_equal(sqa_forecast_series(ds)->rows, 57);
    assert_int_equal(ds->season, 12);
    assert_non_null(strstr(ds->note, "1 gap in its times, the first before line 12; 8 missing"));
    sqa_dataset_close(ds);
    snprintf(spec, sizeof spec, "csv:file=%s,lookback=4,horizon=3,gaps=fill,missing=fill", path);
    ds = open_spec(spec);
    const struct sqa_series *s = sqa_forecast_series(ds);
    assert_int_equal(s->rows, 60);
    for (int64_t k = 0; k < 60; k++) {
        char want[32];
        snprintf(want, sizeof want, "20%02d-%02d-01 00:00:00", 10 + (int)k / 12, 1 + (int)k % 12);
        assert_string_equal(sqa_format_time(buf, s->times[k]), want);
        expect_near(s->values[2 * k] * ds->deviation[0] + ds->mean[0], k >= 10 && k <= 12 ? 9 : (double)k);
    }
    sqa_dataset_close(ds);
}

static const struct sqa_task_env *folder_env(void)
{
    static struct sqa_task_env e;
    e.data_dir = folder;
    return &e;
}

static struct sqa_dataset *open_here(const char *spec)
{
    struct sqa_dataset *ds = NULL;
    if (sqa_dataset_open(spec, folder_env(), &ds, &err) != SQA_OK)
        fail_msg("%s: %s", spec, err.text);
    return ds;
}

static void write_npz(const char *name, int64_t rows, int64_t width, int64_t features, int method)
{
    char path[4096], npy[4096];
    const int64_t dim[3] = {rows, width, features};
    double *data = sqa_alloc_array((size_t)(rows * width * features), sizeof *data);
    assert_non_null(data);
    for (int64_t i = 0; i < rows * width * features; i++)
        data[i] = (double)(i % 1000);
    snprintf(npy, sizeof npy, "%s/data.npy", folder);
    assert_int_equal(sqa_npy_write(npy, "f4", features > 1 ? 3 : 2, dim, data, &err), SQA_OK);
    sqa_free(data);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int code;
    zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(z);
    const zip_int64_t at = zip_file_add(z, "data.npy", zip_source_file(z, npy, 0, -1), 0);
    assert_true(at >= 0);
    assert_int_equal(zip_set_file_compression(z, (zip_uint64_t)at, method, 0), 0);
    assert_int_equal(zip_close(z), 0);
    unlink(npy);
}

static void test_pems(void **state)
{
    (void)state;
    static const int methods[] = {ZIP_CM_STORE, ZIP_CM_DEFLATE};
    for (int k = 0; k < 2; k++) {
        write_npz("PEMS03.npz", 26208, 2, 3, methods[k]);
        struct sqa_dataset *ds = open_here("pems:set=03,horizon=96");
        assert_int_equal(ds->count[SQA_TRAIN], 15533);
        assert_int_equal(ds->count[SQA_VALID], 5051);
        assert_int_equal(ds->count[SQA_TEST], 5051);
        assert_int_equal(ds->channels, 2);
        assert_int_equal(ds->marks, 0);
        assert_int_equal(ds->season, 288);
        assert_non_null(strstr(ds->note, "26208 rows of 2 columns, the published file 26208 rows of 358"));
        struct sqa_batch *b = sqa_batch_create(ds, 1, 96);
        const uint32_t index = 7;
        assert_int_equal(ds->task->fetch(ds, SQA_TEST, &index, 1, b, &err), SQA_OK);
        for (int64_t t = 0; t < 192; t++) { /* no part borrows: the first test window begins at floor(0.8 n) */
            const int64_t row = 20966 + 7 + t;
            const double v = t < 96 ? b->x[t * 2 + 1] : b->y[(t - 96) * 2 + 1];
            expect_near((v * b->units[4] + b->units[3]) / 1000, (double)((row * 6 + 3) % 1000) / 1000);
        }
        sqa_batch_free(b);
        sqa_dataset_close(ds);
    }
    write_npz("PEMS08.npz", 400, 5, 1, ZIP_CM_DEFLATE);
    struct sqa_dataset *ds = open_here("pems:set=08,lookback=12,mode=S,target=3");
    assert_int_equal(ds->channels, 1);
    assert_string_equal(ds->channel_names[0], "3");
    sqa_dataset_close(ds);
}

static void test_npz_errors(void **state)
{
    (void)state;
    struct sqa_npy a;
    char path[4096], *data;
    size_t size;
    write_npz("small.npz", 40, 5, 1, ZIP_CM_DEFLATE);
    snprintf(path, sizeof path, "%s/small.npz", folder);
    assert_int_equal(sqa_npz_read(path, "weights", &a, &err), SQA_INPUT);
    expect_sentence("no array 'weights'", "data.npy");
    assert_int_equal(sqa_file_read(path, 1 << 20, &data, &size, &err), SQA_OK);
    int refused = 0;
    for (size_t cut = 0; cut < size; cut++)
        refused += sqa_npz_parse("cut", data, cut, "data", &a, &err) == SQA_INPUT;
    assert_int_equal(refused, size);
    data[60] ^= 1; /* within the packed numbers */
    assert_int_equal(sqa_npz_parse("bad", data, size, "data", &a, &err), SQA_INPUT);
    expect_sentence("bad", "fetch it again");
    sqa_free(data);
}

/* Solar: no header, no dates, and the row that lies between validation and test. */
static void test_solar(void **state)
{
    (void)state;
    struct sqa_text text = {0};
    for (int k = 0; k < 209; k++)
        sqa_text_printf(&text, "%d,%d.5,%d\n", k, k % 17, 7);
    write_file("solar_AL.txt", sqa_text_get(&text));
    sqa_text_clear(&text);
    struct sqa_dataset *ds = open_here("solar:lookback=6,horizon=4");
    assert_int_equal(ds->channels, 3);
    assert_int_equal(ds->marks, 0);
    assert_string_equal(ds->channel_names[0], "1");
    assert_int_equal(ds->count[SQA_TRAIN], 146 - 6 - 4 + 1);
    assert_int_equal(ds->count[SQA_VALID], 20 - 4 + 1);
    assert_int_equal(ds->count[SQA_TEST], 41 - 4 + 1);
    struct sqa_batch *b = sqa_batch_create(ds, 1, 6);
    const uint32_t index = 0;
    assert_int_equal(ds->task->fetch(ds, SQA_TEST, &index, 1, b, &err), SQA_OK);
    expect_near(b->y[0] * b->units[1] + b->units[0], 209 - 41);
    sqa_batch_free(b);
    sqa_dataset_close(ds);
}

/* Every 15 minutes, with dates: the borders of the hourly sets times 4. */
static void test_ettm(void **state)
{
    (void)state;
    struct sqa_text text = {0};
    sqa_text_add(&text, "date,HUFL,OT\n");
    int64_t t;
    assert_true(sqa_parse_time("2016-07-01", &t));
    for (int k = 0; k < 57600; k++) {
        char buf[32];
        sqa_text_printf(&text, "%s,%d,%d\n", sqa_format_time(buf, t + 900 * k), k % 97, k);
    }
    write_file("ETTm1.csv", sqa_text_get(&text));
    sqa_text_clear(&text);
    struct sqa_dataset *ds = open_here("ettm1");
    assert_int_equal(ds->count[SQA_TRAIN], 34560 - 96 - 96 + 1);
    assert_int_equal(ds->count[SQA_VALID], 11520 - 96 + 1);
    assert_int_equal(ds->count[SQA_TEST], 11520 - 96 + 1);
    assert_int_equal(ds->marks, 4); /* freq=h, as published */
    assert_int_equal(ds->season, 96);
    assert_non_null(strstr(ds->full_spec, "target=OT"));
    assert_null(strstr(ds->full_spec, "freq"));
    sqa_dataset_close(ds);
    ds = open_here("ettm1:freq=t,mode=S");
    assert_int_equal(ds->marks, 5);
    assert_non_null(strstr(ds->spec, "freq=t"));
    sqa_dataset_close(ds);
}

static void test_missing_files(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"ettm2", "ETTm2.csv: not found", "ETDataset"},
        {"weather", "weather.csv: not found", "Autoformer"},
        {"electricity", "electricity.csv: not found", "no checksum is published"},
        {"traffic", "traffic.csv: not found", "traffic.txt.gz"},
        {"pems:set=07", "PEMS07.npz: not found", "STSGCN"},
        {"m4:set=Daily", "Daily-train.csv: not found", "M4-methods"},
        {"ts:name=Epilepsy", "Epilepsy_TRAIN.ts: not found", "timeseriesclassification.com"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sqa_dataset *ds = NULL;
        memset(&err, 0, sizeof err);
        assert_int_equal(sqa_dataset_open(rows[i][0], env(), &ds, &err), SQA_INPUT);
        expect_sentence(rows[i][1], rows[i][2]);
    }
}

/* Published scores of the competition (github.com/Mcompetitions/M4-methods, Evaluation and Ranks.xlsx, rows Naive and
 * sNaive, columns Hourly): naive 43.003 and 11.608, seasonal naive 13.912 and 1.193, sMAPE and MASE. */
static void test_m4(void **state)
{
    (void)state;
    char path[4096];
    double smape[2] = {0}, mase[2] = {0};
    need("data/M4-Hourly-train.csv", path);
    struct sqa_dataset *ds = open_spec("m4");
    assert_int_equal(ds->count[SQA_TEST], 414);
    assert_int_equal(ds->horizon, 48);
    assert_int_equal(ds->length, 96);
    assert_string_equal(ds->note, "");
    struct sqa_batch *b = sqa_batch_create(ds, 1, 96);
    for (uint32_t i = 0; i < 414; i++) {
        assert_int_equal(ds->task->fetch(ds, SQA_TEST, &i, 1, b, &err), SQA_OK);
        const double *u = b->units, *history = b->past + b->past_start[0] + b->past_count[0];
        for (int64_t t = 0; t < 48; t++) {
            const double y = b->y[t] * u[1] + u[0];
            const double guess[2] = {b->x[95] * u[1] + u[0], history[t % 24 - 24] * u[1] + u[0]};
            for (int k = 0; k < 2; k++) {
                smape[k] += 200 * fabs(y - guess[k]) / (fabs(y) + fabs(guess[k])) / (414 * 48);
                mase[k] += fabs(y - guess[k]) / u[2] / (414 * 48);
            }
        }
    }
    assert_true(fabs(smape[0] - 43.003) < 5e-4 && fabs(mase[0] - 11.608) < 5e-4);
    assert_true(fabs(smape[1] - 13.912) < 5e-4 && fabs(mase[1] - 1.193) < 5e-4);
    sqa_batch_free(b);
    sqa_dataset_close(ds);
    ds = open_spec("m4:windows=3,lookback=30");
    assert_int_equal(ds->count[SQA_TRAIN], 3 * 414);
    struct sqa_dataset *all = open_spec("m4:lookback=30");
    struct sqa_batch *b3 = sqa_batch_create(ds, 1, 30), *ball = sqa_batch_create(all, 1, 30);
    const uint32_t last3 = 3 * 414 - 1, last = (uint32_t)all->count[SQA_TRAIN] - 1, third = 2, valid = 0;
    assert_int_equal(ds->task->fetch(ds, SQA_TRAIN, &last3, 1, b3, &err), SQA_OK);
    assert_int_equal(ds->task->fetch(all, SQA_TRAIN, &last, 1, ball, &err), SQA_OK);
    assert_memory_equal(b3->y, ball->y, 48 * sizeof(double));
    assert_int_equal(ds->task->fetch(ds, SQA_TRAIN, &third, 1, b3, &err), SQA_OK);
    assert_int_equal(ds->task->fetch(all, SQA_VALID, &valid, 1, ball, &err), SQA_OK);
    assert_int_equal(b3->past_count[0] + 48, ball->past_count[0]); /* training ends where validation begins */
    sqa_batch_free(b3);
    sqa_batch_free(ball);
    sqa_dataset_close(ds);
    sqa_dataset_close(all);
}

static void test_cases(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t train, valid, test, channels, length, classes;
    } rows[] = {{"JapaneseVowels", 216, 54, 370, 12, 29, 9},
                {"BasicMotions", 32, 8, 40, 6, 100, 4},
                {"ArrowHead", 30, 6, 175, 1, 251, 3},
                {"ItalyPowerDemand", 53, 14, 1029, 1, 24, 2}};
    char path[4096], spec[256];
    need("data/JapaneseVowels_TRAIN.ts", path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(spec, sizeof spec, "ts:name=%s", rows[i].name);
        struct sqa_dataset *ds = open_spec(spec);
        assert_int_equal(ds->count[SQA_TRAIN], rows[i].train);
        assert_int_equal(ds->count[SQA_VALID], rows[i].valid);
        assert_int_equal(ds->count[SQA_TEST], rows[i].test);
        assert_int_equal(ds->channels, rows[i].channels);
        assert_int_equal(ds->length, rows[i].length);
        assert_int_equal(ds->classes, rows[i].classes);
        struct sqa_batch *b = sqa_batch_create(ds, 1, ds->length);
        double sum = 0, squares = 0, n = 0;
        for (uint32_t k = 0; k < (uint32_t)ds->count[SQA_TRAIN]; k++) {
            assert_int_equal(ds->task->fetch(ds, SQA_TRAIN, &k, 1, b, &err), SQA_OK);
            assert_int_equal(b->lengths[0], ds->task->length_of(ds, SQA_TRAIN, k));
            for (int64_t t = 0; t < b->lengths[0]; t++, n++) {
                sum += b->x[t * ds->channels];
                squares += b->x[t * ds->channels] * b->x[t * ds->channels];
            }
        }
        expect_near(sum / n, 0);
        expect_near(squares / n, 1);
        sqa_batch_free(b);
        sqa_dataset_close(ds);
    }
}

static void test_case_errors(void **state)
{
    (void)state;
#define HEAD "# c\n@problemName a\n@classLabel true A B\n@data\n"
    static const char *const rows[][3] = {
        {"", "no cases", "@data"},
        {"@data\n1,2:A\n", "line 1: @data without @classLabel", "classification"},
        {"@classLabel false\n@data\n", "line 1: cases without labels", "@classLabel"},
        {"@timeStamps true\n" HEAD, "line 1: series with time stamps", "false"},
        {"1,2:A\n", "line 1: data before the line @data", "add"},
        {HEAD "1,2\n", "line 5: no ':'", "label"},
        {HEAD "1,2:A\n1,2:3,4:B\n", "line 6: 2 dimensions where the cases before have 1", "correct"},
        {HEAD "1,2:3:A\n", "line 5: dimension 2 has 1 numbers, the first 2", "as long"},
        {HEAD "1,x:A\n", "line 5: dimension 1, place 2: 'x' is not a finite number", "correct"},
        {HEAD "1,?:A\n", "line 5: dimension 1, place 2: '?' is missing", "missing=fill"},
        {HEAD "1,2:C\n", "line 5: the label 'C' is none of the 2", "correct"},
        {HEAD "1,2:\n", "line 5: the label '' is none of the 2", "correct"},
        {HEAD "1:A\n2:B\n", "leave none to validate", "valid="},
    };
    char spec[8400], test[4096];
    snprintf(test, sizeof test, "%s", write_file("good.ts", HEAD "1,2:A\n3,4,5:B\n"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(spec, sizeof spec, "ts:file=%s,test=%s", write_file("bad.ts", rows[i][0]), test);
        expect_refused(spec, SQA_INPUT, rows[i][1], rows[i][2]);
    }
    snprintf(test, sizeof test, "%s", write_file("good.ts", HEAD "1,2:A\n?,4,?:B\n"));
    snprintf(spec, sizeof spec, "ts:file=%s,test=%s,missing=fill,standardise=0,valid=0.5",
             write_file("bad.ts", HEAD "1,2:A\n1,1:A\n?,4,?:B\n5:B\n"), test);
    struct sqa_dataset *ds = open_spec(spec);
    struct sqa_batch *b = sqa_batch_create(ds, 2, 3);
    const uint32_t index[2] = {0, 1};
    assert_int_equal(ds->task->fetch(ds, SQA_TEST, index, 2, b, &err), SQA_OK);
    const double want[6] = {1, 2, 0, 4, 4, 4};
    for (int k = 0; k < 6; k++)
        expect_near(b->x[k], want[k]);
    assert_int_equal(b->lengths[0], 2);
    assert_int_equal(b->labels[1], 1);
    sqa_batch_free(b);
    sqa_dataset_close(ds);
    expect_refused("ts", SQA_USAGE, "no name", "ts:name=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),         cmocka_unit_test(test_marks), cmocka_unit_test(test_formats),
        cmocka_unit_test(test_window_times),  cmocka_unit_test(test_gaps),  cmocka_unit_test(test_pems),
        cmocka_unit_test(test_npz_errors),    cmocka_unit_test(test_solar), cmocka_unit_test(test_ettm),
        cmocka_unit_test(test_missing_files), cmocka_unit_test(test_m4),    cmocka_unit_test(test_cases),
        cmocka_unit_test(test_case_errors),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
