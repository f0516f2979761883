/* test_forecast.c - tasks/forecast*, etth1, etth2, csv, mackey_glass: goldens of the protocol, layout, errors */
#include "base/csv.h"
#include "base/random.h"
#include "tasks/forecast.h"
#include "tests/task_helpers.h"

enum baseline { REPEAT, SEASONAL, WINDOW_MEAN, ZERO, BASELINES };

struct scores {
    double mse[BASELINES], mae[BASELINES];
};

static void add_window(const struct sqa_dataset *ds, const struct sqa_batch *b, int64_t i, struct scores *sum)
{
    const int64_t L = b->length, C = b->channels, O = b->outputs, m = ds->season;
    const double *x = b->x + i * L * C, *history = b->past + (b->past_start[i] + b->past_count[i]) * C;
    for (int64_t o = 0; o < O; o++) {
        const int64_t c = C - O + o;
        double mean = 0;
        for (int64_t t = 0; t < L; t++)
            mean += x[t * C + c];
        for (int64_t t = 0; t < b->horizon; t++) {
            const double seasonal = b->past_count[i] >= m ? history[(t % m - m) * C + c] : 0;
            const double guess[BASELINES] = {x[(L - 1) * C + c], seasonal, mean / (double)L, 0};
            for (int k = 0; k < BASELINES; k++) {
                const double e = b->y[(i * b->horizon + t) * O + o] - guess[k];
                sum->mse[k] += e * e;
                sum->mae[k] += fabs(e);
            }
        }
    }
}

static struct scores score(const struct sqa_dataset *ds)
{
    enum { ROWS = 32 };
    struct scores sum = {{0}, {0}};
    struct sqa_batch *b = sqa_batch_create(ds, ROWS, ds->length);
    assert_non_null(b);
    for (int64_t at = 0; at < ds->count[SQA_TEST]; at += ROWS) {
        uint32_t index[ROWS];
        int64_t n = 0;
        for (; n < ROWS && at + n < ds->count[SQA_TEST]; n++)
            index[n] = (uint32_t)(at + n);
        assert_int_equal(ds->task->fetch(ds, SQA_TEST, index, n, b, &err), SQA_OK);
        for (int64_t i = 0; i < n; i++)
            add_window(ds, b, i, &sum);
    }
    const double cells = (double)(ds->count[SQA_TEST] * ds->horizon * ds->outputs);
    for (int k = 0; k < BASELINES; k++) {
        sum.mse[k] /= cells;
        sum.mae[k] /= cells;
    }
    sqa_batch_free(b);
    return sum;
}

static const char *spec_of(const char *dataset, const char *lookback, const char *horizon, const char *rest)
{
    static char spec[8400];
    char path[4096];
    static const char *const tasks[][2] = {
        {"ETTh1", "etth1"}, {"ETTh2", "etth2"}, {"exchange_rate", "exchange"}, {"national_illness", "ili"}};
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        if (strcmp(dataset, tasks[i][0]) == 0) {
            snprintf(spec, sizeof spec, "%s:lookback=%s,horizon=%s%s", tasks[i][1], lookback, horizon, rest);
            return spec;
        }
    /* Weather: one time stands twice, some are missing. */
    snprintf(spec, sizeof spec, "csv:file=%s/%s.csv,lookback=%s,horizon=%s%s,times=any,gaps=any",
             shared("data", path), dataset, lookback, horizon, rest);
    return spec;
}

static void expect_digits(const char *spec, const char *what, double v, const char *golden)
{
    char text[64];
    const char *point = strchr(golden, '.');
    snprintf(text, sizeof text, "%.*f", point ? (int)strlen(point + 1) : 0, v);
    if (strcmp(text, golden) != 0)
        fail_msg("%s: %s is %s, the golden value %s", spec, what, text, golden);
}

static void test_forecast_goldens(void **state)
{
    (void)state;
    static const char *const baselines[BASELINES] = {"repeat", "seasonal", "windowmean", "zero"};
    static const char *const modes[] = {"", ",mode=S", ",drop_last_batch=32"};
    static const char *const columns[][2] = {
        {"mse_M", "mae_M"}, {"mse_S_lastcol", "mae_S_lastcol"}, {"mse_M_droplast32", "mae_M_droplast32"}};
    char path[4096], previous[8400] = "";
    struct sqa_sheet sheet;
    struct scores scores[3];
    int64_t season = 0, count[SQA_SPLITS] = {0};
    need("data/ETTh1.csv", path);
    need("reference/forecast_naive_goldens.csv", path);
    assert_int_equal(sqa_sheet_read(path, &sheet, &err), SQA_OK);
    static const char *const used[] = {"dataset",  "horizon",       "baseline",    "season",
                                       "lookback", "train_windows", "val_windows", "test_windows"};
    int at[8];
    for (int i = 0; i < 8; i++)
        assert_true((at[i] = sqa_sheet_column(&sheet, used[i])) >= 0);
    for (size_t r = 0; r < sheet.nrow; r++) {
        const char *const *row = sheet.row[r];
        const char *spec = spec_of(row[at[0]], row[at[4]], row[at[1]], "");
        if (strcmp(spec, previous) != 0) {
            snprintf(previous, sizeof previous, "%s", spec);
            for (int m = 0; m < 3; m++) {
                struct sqa_dataset *ds = open_spec(spec_of(row[at[0]], row[at[4]], row[at[1]], modes[m]));
                scores[m] = score(ds);
                season = ds->season;
                for (int s = 0; m == 0 && s < SQA_SPLITS; s++)
                    count[s] = ds->count[s];
                sqa_dataset_close(ds);
            }
        }
        int k = 0;
        while (strcmp(baselines[k], row[at[2]]) != 0)
            assert_true(++k < BASELINES);
        if (k == SEASONAL)
            assert_int_equal(season, atoi(row[at[3]]));
        for (int s = 0; s < SQA_SPLITS; s++)
            assert_int_equal(count[s], atoi(row[at[5 + s]]));
        for (int m = 0; m < 3; m++) {
            expect_digits(previous, columns[m][0], scores[m].mse[k], row[sqa_sheet_column(&sheet, columns[m][0])]);
            expect_digits(previous, columns[m][1], scores[m].mae[k], row[sqa_sheet_column(&sheet, columns[m][1])]);
        }
    }
    print_message("forecast: %zu rows of goldens agree to every digit\n", sheet.nrow);
    sqa_sheet_clear(&sheet);
}

/* LTSF-Linear Table 2, "Repeat", was computed without the last partial batch of 32. */
static void test_forecast_published(void **state)
{
    (void)state;
    static const char *const sets[][3] = {{"ETTh1", "ETTh1", "96"},
                                          {"ETTh2", "ETTh2", "96"},
                                          {"Exchange", "exchange_rate", "96"},
                                          {"ILI", "national_illness", "36"}};
    char path[4096];
    struct sqa_sheet sheet;
    char name[64];
    size_t agreed = 0, missing = 0;
    int absent[4] = {0};
    need("data/ETTh1.csv", path);
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "data/%s.csv", sets[i][1]);
        absent[i] = !sqa_file_exists(shared(name, path));
        missing += absent[i] != 0;
        if (absent[i])
            print_message("skipped: %s is not here\n", path);
    }
    need("published/forecast_ltsf.csv", path);
    assert_int_equal(sqa_sheet_read(path, &sheet, &err), SQA_OK);
    const int table = sqa_sheet_column(&sheet, "table"), model = sqa_sheet_column(&sheet, "model"),
              dataset = sqa_sheet_column(&sheet, "dataset"), horizon = sqa_sheet_column(&sheet, "horizon"),
              metric = sqa_sheet_column(&sheet, "metric"), value = sqa_sheet_column(&sheet, "value");
    for (size_t r = 0; r < sheet.nrow; r++) {
        const char *const *row = sheet.row[r];
        if (strcmp(row[table], "Table 2") != 0 || strcmp(row[model], "Repeat") != 0)
            continue;
        for (size_t i = 0; i < 4; i++) {
            if (absent[i] || strcmp(row[dataset], sets[i][0]) != 0)
                continue;
            const char *spec = spec_of(sets[i][1], sets[i][2], row[horizon], ",drop_last_batch=32");
            struct sqa_dataset *ds = open_spec(spec);
            const struct scores s = score(ds);
            sqa_dataset_close(ds);
            expect_digits(spec, row[metric], strcmp(row[metric], "MSE") == 0 ? s.mse[REPEAT] : s.mae[REPEAT],
                          row[value]);
            agreed++;
        }
    }
    assert_int_equal(agreed, 32 - 8 * missing);
    print_message("forecast: %zu of 32 published values of Repeat agree to every digit\n", agreed);
    sqa_sheet_clear(&sheet);
}

static void test_forecast_scalers(void **state)
{
    (void)state;
    char path[4096];
    struct sqa_sheet sheet;
    need("data/ETTh1.csv", path);
    need("reference/forecast_scaler_goldens.csv", path);
    assert_int_equal(sqa_sheet_read(path, &sheet, &err), SQA_OK);
    for (size_t r = 0; r < sheet.nrow; r++) {
        const char *const *row = sheet.row[r];
        const char *spec = spec_of(row[0], strcmp(row[0], "national_illness") == 0 ? "36" : "96", "24", "");
        struct sqa_dataset *ds = open_spec(spec);
        const int c = atoi(row[1]);
        assert_true(c < ds->channels);
        expect_digits(spec, "mean", ds->mean[c], row[2]);
        expect_digits(spec, "deviation", ds->deviation[c], row[3]);
        sqa_dataset_close(ds);
    }
    sqa_sheet_clear(&sheet);
}

static void test_forecast_windows(void **state)
{
    (void)state;
    static const struct {
        const char *dataset, *lookback, *horizon;
        int64_t count[SQA_SPLITS];
    } rows[] = {
        {"ETTh1", "96", "96", {8449, 2785, 2785}},        {"ETTh1", "96", "720", {7825, 2161, 2161}},
        {"ETTh2", "336", "96", {8209, 2785, 2785}},       {"exchange_rate", "96", "96", {5120, 665, 1422}},
        {"exchange_rate", "96", "720", {4496, 41, 798}},  {"national_illness", "36", "24", {617, 74, 170}},
        {"national_illness", "36", "60", {581, 38, 134}}, {"weather_rh_univariate", "96", "96", {36696, 5175, 10444}},
    };
    char path[4096];
    need("data/ETTh1.csv", path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sqa_dataset *ds = open_spec(spec_of(rows[i].dataset, rows[i].lookback, rows[i].horizon, ""));
        for (int s = 0; s < SQA_SPLITS; s++)
            assert_int_equal(ds->count[s], rows[i].count[s]);
        const int weather = strncmp(rows[i].dataset, "weather", 7) == 0;
        assert_true(weather ? strstr(ds->note, "in its times") != NULL : *ds->note == '\0');
        sqa_dataset_close(ds);
    }
}

/* A small file, all values readable from the standardised ones: order of columns, borders, modes, history. */
static void test_forecast_layout(void **state)
{
    (void)state;
    struct sqa_text text = {0};
    char spec[4200];
    sqa_text_add(&text, "\xef\xbb\xbfOT,Date,a (b),flat\r\n");
    for (int i = 0; i < 50; i++)
        sqa_text_printf(&text, " %d ,2020/1/%d %d:00,%d,0.1\r\n", i, 1 + i / 24, i % 24, 1000 + i);
    const char *path = write_file("small.csv", sqa_text_get(&text));
    sqa_text_clear(&text);
    static const struct {
        const char *rest;
        int64_t channels, outputs;
        const char *names[3]; /* of x */
        double base[3];       /* value of row 0 */
    } rows[] = {
        {"", 3, 3, {"a (b)", "flat", "OT"}, {1000, 0.1, 0}},
        {",mode=MS", 3, 1, {"a (b)", "flat", "OT"}, {1000, 0.1, 0}},
        {",mode=S", 1, 1, {"OT"}, {0}},
        {",mode=S,target=a__b_", 1, 1, {"a (b)"}, {1000}},
        {",target=a__b_", 3, 3, {"OT", "flat", "a (b)"}, {0, 0.1, 1000}},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        snprintf(spec, sizeof spec, "csv:file=%s,lookback=4,horizon=3%s", path, rows[r].rest);
        struct sqa_dataset *ds = open_spec(spec);
        assert_int_equal(ds->channels, rows[r].channels);
        assert_int_equal(ds->outputs, rows[r].outputs);
        assert_int_equal(ds->season, 24);
        assert_int_equal(ds->count[SQA_TRAIN], 35 - 4 - 3 + 1);
        assert_int_equal(ds->count[SQA_VALID], 5 - 3 + 1);
        assert_int_equal(ds->count[SQA_TEST], 10 - 3 + 1);
        const struct sqa_series *series = sqa_forecast_series(ds);
        const int64_t C = ds->channels, O = ds->outputs;
        for (int64_t c = 0; c < C; c++)
            assert_string_equal(series->names[c], rows[r].names[c]);
        assert_string_equal(ds->channel_names[O - 1], rows[r].names[C - 1]);
        static const int64_t first[SQA_SPLITS] = {0, 35 - 4, 40 - 4};
        struct sqa_batch *b = sqa_batch_create(ds, 2, 4);
        for (int s = 0; s < SQA_SPLITS; s++) {
            const uint32_t index[2] = {2, 0};
            assert_int_equal(ds->task->fetch(ds, (enum sqa_split)s, index, 2, b, &err), SQA_OK);
            for (int64_t i = 0; i < 2; i++) {
                const int64_t start = first[s] + index[i];
                assert_int_equal(b->past_start[i], 0);
                assert_int_equal(b->past_count[i], start + 4);
                for (int64_t t = 0; t < 7; t++) {
                    for (int64_t c = t < 4 ? 0 : C - O; c < C; c++) {
                        const double v = t < 4 ? b->x[(i * 4 + t) * C + c] : b->y[(i * 3 + t - 4) * O + c - (C - O)];
                        const int flat = strcmp(series->names[c], "flat") == 0;
                        const double want = rows[r].base[c] + (flat ? 0.0 : (double)(start + t));
                        assert_true(fabs(v * ds->deviation[c] + ds->mean[c] - want) < 1e-9);
                        assert_true(!flat || (v * v < 1e-300 && fabs(ds->deviation[c] - 1) < 1e-300));
                    }
                }
            }
        }
        assert_ptr_equal(b->past, series->values);
        sqa_batch_free(b);
        struct sqa_text shown = {0};
        assert_int_equal(ds->task->show(ds, SQA_TEST, 0, &shown, &err), SQA_OK);
        assert_non_null(strstr(sqa_text_get(&shown), "2020-01-02 12:00:00"));
        sqa_text_clear(&shown);
        sqa_dataset_close(ds);
    }
}

static void test_forecast_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } rows[] = {
        {"1970-01-01", 0},
        {"1970-01-01 00:00:59", 59},
        {"1970/1/2 1:05", 90300},
        {"2016-07-01 00:00:00", 1467331200},
        {"2000-02-29 12:00", 951825600},
        {"2000-03-01T00:00:00", 951868800},
        {"2020/12/31 23:59", 1609459140},
        {"1900-02-29", -1},
        {"2020-13-01", -1},
        {"2020-00-01", -1},
        {"2020-01-32", -1},
        {"2020-1-", -1},
        {"2020-01/01", -1},
        {"20-01-01", -1},
        {"20200101", -1},
        {"", -1},
        {"2020-01-01 24:00", -1},
        {"2020-01-01 1", -1},
        {"2020-01-01 01:5", -1},
        {"2020-01-01 01:05:", -1},
        {"2020-01-01 01:05:60", -1},
        {"2020-01-01x", -1},
        {"2020-01-01 01:05:00.5", -1},
        {"12345-01-01", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t t = -7;
        const int ok = sqa_parse_time(rows[i].text, &t);
        if (ok != (rows[i].seconds >= 0) || (ok && t != rows[i].seconds))
            fail_msg("'%s' -> %d, %lld", rows[i].text, ok, (long long)t);
    }
    int64_t back, days = 0;
    for (int64_t t = -62167219200; t < 253402300800; t += 86400 * 13 + 3723, days++) { /* years 0 .. 9999 */
        char buf[32];
        if (!sqa_parse_time(sqa_format_time(buf, t), &back) || back != t)
            fail_msg("%lld -> %s", (long long)t, buf);
    }
    assert_true(days > 200000);
    assert_int_equal(sqa_forecast_season(3600), 24);
    assert_int_equal(sqa_forecast_season(28 * 86400), 12);
    assert_int_equal(sqa_forecast_season(12345), 0);
}

static void test_csv_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *rest, *has, *also;
    } rows[] = {
        {"", "", "empty", "header"},
        {"\n\n", "", "empty", "header"},
        {"date,x\n", "", "no rows", "add"},
        {"time,x,y\n", "", "no column named date", "time, x, y"},
        {"a,b\n1,2\n", "", "no column named date", "dates=none"},
        {"2020-01-01,1\n2020-01-02,2\n", "", "2 rows are too few", "at least"},
        {"2020-01-01,1\n2020-01-02,2\n", ",target=z", "no column named 'z'", "1, 2"},
        {"2020-01-01,1\n2020-01-02,2\n", ",header=yes", "no column named date", "2020-01-01"},
        {"day,x\n2020-01-01,1\n", ",header=no", "header=no", "header=yes"},
        {"day,x\n2020-01-01,1\n", ",date=week", "no column named 'week'", "day, x"},
        {"y,m,d,x\n2020,2,30,1\n", ",date=y/m/d", "line 2: '2020-02-30", "not a date"},
        {"y,m,d,x\n2020,2,a,1\n", ",date=y/m/d", "line 2: 'a'", "not a date"},
        {"date,x\n01/02/2020,1\n", "", "line 2: in '01/02/2020'", "dates=dmy or dates=mdy"},
        {"date,x\n13/02/2020,1\n", ",dates=mdy", "line 2: '13/02/2020' is not a date", "dmy"},
        {"date,x\n2020-01-01,1\n2020-01-02,1\n2020-01-05,1\n2020-01-06,2\n2020-01-08,2\n", "",
         "line 4: 2 rows are missing between 2020-01-02 00:00:00 and 2020-01-05 00:00:00, the first of several",
         "gaps=fill"},
        {"date,x\n2020-01-31,1\n2020-02-29,1\n2020-03-31,1\n2020-05-31,1\n2020-06-30,1\n", "",
         "line 5: 1 row is missing", "gaps=any"},
        {"date,x\n2020-01-02,1\n2020-01-03,1\n2020-01-06,1\n2020-01-07,1\n2020-01-09,1\n2020-01-10,2\n", "",
         "line 6: 1 row is missing between 2020-01-07", "gaps=any"},
        {"date;x\n2020-01-01;1,5\n", "", "line 2: column 'x': '1,5' is not a finite", "decimal=comma"},
        {"date,x,y\n2020-01-01,,1\n2020-01-02,?,1\n", ",missing=fill", "column 'x' has no number", "remove"},
        {"date,x,s\n2020-01-01,1,NE\n", "", "line 2: column 's': 'NE' is not a finite", "leave_out=NAME"},
        {"date,s\n2020-01-01,NE\n", ",leave_out=s", "no column but the date", "add"},
        {"date\n2020-01-01\n", "", "no column but the date", "add"},
        {"date,DATE,x\n", "", "two columns named date", "rename"},
        {"date,x,y\n2020-01-01,1,2\n", ",target=z", "no column named 'z'", "date, x, y"},
        {"date,x,x\n2020-01-01,1,2\n", ",target=x", "more than one column named 'x'", "rename"},
        {"date,x,y\n2020-01-01,1,2\n2020-01-02,1\n", "", "line 3", "2 fields where the header has 3"},
        {"date,x\n2020-01-01,1,2\n", "", "line 2", "3 fields where the header has 2"},
        {"date,x\n2020-01-01,abc\n", "", "line 2: column 'x'", "'abc' is not a finite number"},
        {"date,x\n2020-01-01,1e999\n", "", "line 2: column 'x'", "not a finite"},
        {"date,x\n2020-01-01,0x10\n", "", "line 2: column 'x'", "not a finite"},
        {"date,x\n2020-01-01,1;2\n", "", "line 2: column 'x'", "not a finite"},
        {"date,x\n2020-01-01,\"1\n2\"\n", "", "line 2: column 'x'", "'1?2'"},
        {"date,x\n2020-01-01,NaN\n", "", "line 2: column 'x' is NaN", "finite"},
        {"date,x\n2020-01-01,-inf\n", "", "line 2: column 'x' is -inf", "finite"},
        {"date,x\n2020-01-01,NA\n", "", "line 2: column 'x' is NA", "finite"},
        {"date,x\n2020-01-01,1\n2020-01-02,\n", "", "line 3: column 'x' is empty", "fill"},
        {"date,x\n32.02.2020,1\n", "", "line 2: '32.02.2020' is not a date", "YYYY-MM-DD"},
        {"date,x\n,1\n", "", "line 2: '' is not a date", "YYYY-MM-DD"},
        {"date,x\n2020-01-02,1\n2020-01-01,1\n", "", "line 3", "2020-01-02 on line 2"},
        {"date,x\n\n2020-01-01,1\n\n2020-01-01 00:00,1\n", "", "line 5", "line 3"},
        {"date,x\n2020-01-02,1\n2020-01-01,1\n", ",times=any", "2 rows are too few", "at least"},
        {"date,x\n2020-01-01,1\n2020-01-02,2\n", "", "2 rows are too few for lookback 96 and horizon 96", "at least"},
        {"date,x\n\"2020-01-01,1\n", "", "line 2", "quote"},
    };
    char spec[4300];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(spec, sizeof spec, "csv:file=%s%s", write_file("bad.csv", rows[i].text), rows[i].rest);
        expect_refused(spec, SQA_INPUT, rows[i].has, rows[i].also);
        assert_non_null(strstr(err.text, "bad.csv"));
    }
    snprintf(spec, sizeof spec, "csv:file=%s", folder);
    expect_refused(spec, SQA_INPUT, folder, "directory");
    snprintf(spec, sizeof spec, "listops:file=%s", folder);
    expect_refused(spec, SQA_INPUT, folder, "directory");
    const char *locked = write_file("locked.csv", "date,x\n");
    assert_int_equal(chmod(locked, 0), 0);
    snprintf(spec, sizeof spec, "csv:file=%s", locked);
    if (access(locked, R_OK) != 0) /* the superuser may read everything */
        expect_refused(spec, SQA_INPUT, "locked.csv", "ermission");
    unlink(locked);
}

/* The rows needed that the message names are enough, one fewer is not. */
static void test_csv_rows_needed(void **state)
{
    (void)state;
    char spec[4300];
    long need_rows = 2;
    for (int round = 0; round < 3; round++) {
        struct sqa_text text = {0};
        const long n = round == 0 ? 2 : round == 1 ? need_rows - 1 : need_rows;
        sqa_text_add(&text, "date,x\n");
        for (long i = 0; i < n; i++)
            sqa_text_printf(&text, "%04ld-01-01,%ld\n", 1000 + i, i * i % 7);
        snprintf(spec, sizeof spec, "csv:file=%s,lookback=5,horizon=4", write_file("few.csv", sqa_text_get(&text)));
        sqa_text_clear(&text);
        struct sqa_dataset *ds = NULL;
        const enum sqa_status status = sqa_dataset_open(spec, env(), &ds, &err);
        assert_int_equal(status, round == 2 ? SQA_OK : SQA_INPUT);
        if (round == 0) {
            const char *p = strstr(err.text, "at least ");
            assert_non_null(p);
            need_rows = strtol(p + 9, NULL, 10);
            assert_in_range(need_rows, 20, 60);
        }
        sqa_dataset_close(ds);
    }
}

/* Files of 2 GB that cost no disk: one line of zero bytes, and one long line of text before a hole. */
static void test_huge_lines(void **state)
{
    (void)state;
    char path[4096], spec[4300];
    snprintf(path, sizeof path, "%s/huge.csv", folder);
    for (int text = 0; text < 2; text++) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs("date,x\n2020-01-01,", f);
        for (int i = 0; i < 3000000 * text; i++)
            fputc('1', f);
        assert_int_equal(fflush(f), 0);
        assert_int_equal(ftruncate(fileno(f), (off_t)2 << 30), 0);
        fclose(f);
        snprintf(spec, sizeof spec, "csv:file=%s", path);
        expect_refused(spec, SQA_INPUT, "huge.csv", "line 2");
        snprintf(spec, sizeof spec, "listops:file=%s", path);
        expect_refused(spec, SQA_INPUT, "huge.csv", "line ");
    }
    unlink(path);
}

/* An own integration with a fifth of the step. The series is chaotic, but at tau 17 errors grow about 400 times in
 * the 1000 units before row 0. */
static double glass_at(double start, int delay_units, int rows)
{
    enum { FINE = 50 };
    const int delay = delay_units * FINE, total = (1000 + rows) * FINE;
    double *x = sqa_alloc_array((size_t)(delay + total + 1), sizeof *x);
    assert_non_null(x);
    for (int i = 0; i <= delay; i++)
        x[i] = start;
    for (int i = delay; i < delay + total; i++) {
        const double h = 1.0 / FINE, d0 = x[i - delay], d1 = x[i - delay + 1];
        const double dm = i - delay >= 1 ? (9 * (d0 + d1) - x[i - delay - 1] - x[i - delay + 2]) / 16 : (d0 + d1) / 2;
        const double f0 = 0.2 * d0 / (1 + pow(d0, 10)), fm = 0.2 * dm / (1 + pow(dm, 10)),
                     f1 = 0.2 * d1 / (1 + pow(d1, 10));
        const double k1 = f0 - 0.1 * x[i], k2 = fm - 0.1 * (x[i] + h / 2 * k1), k3 = fm - 0.1 * (x[i] + h / 2 * k2),
                     k4 = f1 - 0.1 * (x[i] + h * k3);
        x[i + 1] = x[i] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
    }
    const double v = x[delay + total];
    sqa_free(x);
    return v;
}

static void test_mackey_glass(void **state)
{
    (void)state;
    struct sqa_dataset *ds = open_spec("mackey_glass");
    struct sqa_dataset *other = open_spec("mackey_glass:data_seed=1");
    assert_int_equal(ds->count[SQA_TRAIN], 4200 - 96 - 24 + 1);
    assert_int_equal(ds->count[SQA_VALID], 600 - 24 + 1);
    assert_int_equal(ds->count[SQA_TEST], 1200 - 24 + 1);
    assert_string_not_equal(ds->split_hash[0], other->split_hash[0]);
    const struct sqa_series *s = sqa_forecast_series(ds);
    double lag50 = 0, lag25 = 0;
    for (int64_t i = 0; i < s->rows; i++) {
        const double v = s->values[i] * ds->deviation[0] + ds->mean[0];
        assert_true(v > 0.2 && v < 1.5);
        lag50 += i >= 50 ? s->values[i] * s->values[i - 50] : 0;
        lag25 += i >= 25 ? s->values[i] * s->values[i - 25] : 0;
    }
    assert_true(lag50 > 0.5 * (double)s->rows && lag25 < 0);
    const double start = 1.1 + 0.2 * sqa_random_uniform(sqa_random_key(0, 0, "task/mackey_glass"), 0);
    for (int row = 0; row <= 100; row += 50) /* the row that ends unit 1000 + row + 1 of time */
        assert_true(fabs(glass_at(start, 17, row + 1) - (s->values[row] * ds->deviation[0] + ds->mean[0])) < 5e-3);
    const double z = score(ds).mse[REPEAT];
    assert_true(z > 0.1 && z < 4);
    sqa_dataset_close(ds);
    sqa_dataset_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forecast_goldens), cmocka_unit_test(test_forecast_published),
        cmocka_unit_test(test_forecast_scalers), cmocka_unit_test(test_forecast_windows),
        cmocka_unit_test(test_forecast_layout),  cmocka_unit_test(test_forecast_times),
        cmocka_unit_test(test_csv_errors),       cmocka_unit_test(test_csv_rows_needed),
        cmocka_unit_test(test_huge_lines),       cmocka_unit_test(test_mackey_glass),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
