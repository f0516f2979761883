/* predictions.c - see predictions.h */
#include "harness/predictions.h"

#include <stdio.h>

#include "base/npy.h"
#include "harness/export_data.h"

enum { CHUNK_NUMBERS = 1 << 18, ROWS = 256 };

struct predictions {
    const struct sqa_dataset *ds;
    enum sqa_split split;
    struct sqa_npy_in in;
    bool logits;
    int64_t places, width; /* answers a row, numbers an answer */
    double *numbers;       /* of a chunk */
    int32_t *outputs;      /* of tags: a row's */
    double *losses;
    struct sqa_scoring scoring;
};

static void print_shape(struct sqa_text *t, int rank, const int64_t *dim)
{
    sqa_text_add(t, "(");
    for (int i = 0; i < rank; i++)
        sqa_text_printf(t, "%s%lld", i ? ", " : "", (long long)dim[i]);
    sqa_text_add(t, rank == 1 ? ",)" : ")");
}

static bool same_shape(const struct sqa_npy_in *in, int rank, const int64_t *dim)
{
    bool same = in->rank == rank;
    for (int i = 0; i < rank && same; i++)
        same = in->dim[i] == dim[i];
    return same;
}

/* What a kind of task takes: whole numbers of one shape, or floats of another (rank 0: no such form). */
static enum sqa_status check_shape(struct predictions *p, struct sqa_err *err)
{
    const struct sqa_dataset *ds = p->ds;
    const bool tags = ds->task->kind == SQA_TAG, forecast = ds->task->kind == SQA_FORECAST;
    const int64_t n = ds->count[p->split];
    const int64_t labels[2] = {n, ds->length};
    const int64_t reals[3] = {n,
                              tags       ? ds->length
                              : forecast ? ds->horizon
                                         : ds->classes,
                              forecast ? ds->outputs : ds->classes};
    const int label_rank = forecast ? 0 : tags ? 2 : 1, real_rank = tags || forecast ? 3 : 2;
    p->logits = !p->in.whole;
    p->places = tags ? ds->length : 1;
    p->width = forecast ? ds->horizon * ds->outputs : p->logits ? ds->classes : 1;
    if (p->in.whole ? label_rank && same_shape(&p->in, label_rank, labels) : same_shape(&p->in, real_rank, reals))
        return SQA_OK;
    struct sqa_text t = {0};
    sqa_text_printf(&t, "%s: %s ", p->in.path, p->in.type);
    print_shape(&t, p->in.rank, p->in.dim);
    sqa_text_printf(&t, "; %s of %s wants ", sqa_split_keys[p->split], ds->spec);
    if (label_rank) {
        sqa_text_add(&t, "integer labels ");
        print_shape(&t, label_rank, labels);
        sqa_text_add(&t, " or ");
    }
    sqa_text_printf(&t, "%s ", forecast ? "standardised forecasts as floats" : "logits as floats");
    print_shape(&t, real_rank, reals);
    const enum sqa_status status = sqa_fail(err, SQA_INPUT, "%s", sqa_text_get(&t));
    sqa_text_clear(&t);
    return status;
}

static enum sqa_status bad_number(const struct predictions *p, int64_t row, int64_t place, double v,
                                  struct sqa_err *err)
{
    return sqa_fail(err, SQA_INPUT, "%s: row %lld, place %lld is %s; give finite numbers", p->in.path, (long long)row,
                    (long long)place, isnan(v) ? "NaN" : "infinite");
}

/* Answer and loss of one place with a target from its numbers. */
static enum sqa_status judge(const struct predictions *p, int64_t row, int64_t place, const double *z, int32_t target,
                             int32_t *output, double *loss, struct sqa_err *err)
{
    const int64_t classes = p->ds->classes;
    int64_t best = 0;
    double sum = 0;
    if (!p->logits) {
        if (!(z[0] >= 0 && z[0] < (double)classes))
            return sqa_fail(err, SQA_INPUT, "%s: row %lld, place %lld is label %g; %s has labels 0 to %lld",
                            p->in.path, (long long)row, (long long)place, z[0], p->ds->spec, (long long)classes - 1);
        *output = (int32_t)z[0];
        *loss = SQA_NAN;
        return SQA_OK;
    }
    for (int64_t k = 0; k < classes; k++) {
        if (!isfinite(z[k]))
            return bad_number(p, row, place * classes + k, z[k], err);
        best = z[k] > z[best] ? k : best;
    }
    for (int64_t k = 0; k < classes; k++)
        sum += exp(z[k] - z[best]);
    *output = (int32_t)best;
    *loss = log(sum) + z[best] - z[target];
    return SQA_OK;
}

static enum sqa_status score_row(struct predictions *p, const struct sqa_batch *b, int64_t i, int64_t row,
                                 struct sqa_err *err)
{
    const double *z = p->numbers + i * p->places * p->width;
    enum sqa_status status = SQA_OK;
    if (p->ds->task->kind == SQA_FORECAST) {
        for (int64_t k = 0; k < p->width; k++)
            if (!isfinite(z[k]))
                return bad_number(p, row, k, z[k], err);
        sqa_score_forecast(&p->scoring, b, i, z);
        return SQA_OK;
    }
    const int32_t *target = b->labels + i * p->places;
    for (int64_t k = 0; k < p->places && status == SQA_OK; k++)
        if (target[k] >= 0)
            status = judge(p, row, k, z + k * p->width, target[k], &p->outputs[k], &p->losses[k], err);
    if (status == SQA_OK && p->ds->task->kind == SQA_TAG)
        sqa_score_tags(&p->scoring, b, i, p->losses, p->outputs);
    else if (status == SQA_OK)
        sqa_score_label(&p->scoring, b, i, p->losses[0], p->outputs[0]);
    return status;
}

static enum sqa_status score_rows(struct predictions *p, struct sqa_batch *b, int64_t rows, struct sqa_err *err)
{
    const int64_t count = p->ds->count[p->split], numbers = p->places * p->width;
    uint32_t index[ROWS];
    enum sqa_status status = SQA_OK;
    for (int64_t first = 0; first < count && status == SQA_OK; first += rows) {
        const int64_t n = count - first < rows ? count - first : rows;
        for (int64_t i = 0; i < n; i++)
            index[i] = (uint32_t)(first + i);
        b->length = p->ds->length;
        status = p->ds->task->fetch(p->ds, p->split, index, n, b, err);
        if (status == SQA_OK)
            status = sqa_npy_get(&p->in, (size_t)(first * numbers), (size_t)(n * numbers), p->numbers, err);
        for (int64_t i = 0; i < n && status == SQA_OK; i++)
            status = score_row(p, b, i, first + i, err);
    }
    return status;
}

enum sqa_status sqa_predictions_score(const struct sqa_dataset *ds, enum sqa_split split, const char *path,
                                      sqa_example_fn *each, void *user, struct sqa_scores *out, struct sqa_err *err)
{
    struct predictions p = {.ds = ds, .split = split, .scoring = {.each = each, .user = user}};
    enum sqa_status status = sqa_npy_open(path, &p.in, err);
    if (status != SQA_OK)
        return status;
    status = check_shape(&p, err);
    if (status == SQA_OK) {
        const int64_t channels = ds->channels > 0 ? ds->channels : 1, numbers = p.places * p.width;
        const int64_t width = ds->length * channels > numbers ? ds->length * channels : numbers;
        const int64_t fit = CHUNK_NUMBERS / width, rows = fit < 1 ? 1 : fit < ROWS ? fit : ROWS;
        struct sqa_batch *b = sqa_batch_create(ds, rows, ds->length);
        p.numbers = sqa_alloc_array((size_t)(rows * numbers), sizeof *p.numbers);
        p.outputs = sqa_alloc_array((size_t)p.places, sizeof *p.outputs);
        p.losses = sqa_alloc_array((size_t)p.places, sizeof *p.losses);
        status = b && p.numbers && p.outputs && p.losses
                     ? score_rows(&p, b, rows, err)
                     : sqa_fail(err, SQA_NOMEM, "score: no memory for %lld rows; free some memory and run again",
                                (long long)rows);
        sqa_batch_free(b);
    }
    if (status == SQA_OK)
        sqa_scoring_finish(&p.scoring, ds->task->kind, out);
    sqa_free(p.numbers);
    sqa_free(p.outputs);
    sqa_free(p.losses);
    sqa_npy_close(&p.in);
    return status;
}
