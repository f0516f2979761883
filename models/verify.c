/*
 * verify.c - every promise about variants, checked (see probe.h)
 *
 * Mixers: gradients, padding, causality, equivariance, weights that sum to 1, independence of batch and threads, f32
 * against f64, step form against all at once, closed-form cost, memory that grows linearly. Other slots: gradients,
 * cost, and the frame with each of them. Then every identity, and the kernels against plain C.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "models/probe.h"

enum { DIM = 16, HEADS = 2, ROWS = 3, LONG = 40, SHORT = 33, ELEMENTS = ROWS * LONG * DIM };

struct verify {
    sqa_check_report_fn *report;
    void *user;
    bool failed;
    const struct sqa_variant *variant;
    bool causal; /* the causal form is checked */
    bool lra;    /* form=lra is */
    bool quick;  /* only what sqa_verify_quick promises */
    char item[96];
};

static void tell(struct verify *v, const char *subject, const char *check, enum sqa_status status, const char *text)
{
    char name[160];
    snprintf(name, sizeof name, "%s%s", check, v->causal ? " (causal)" : v->lra ? " (form=lra)" : "");
    const bool skipped = status == SQA_UNSUPPORTED;
    const struct sqa_check_result r = {subject, name, status == SQA_OK || skipped ? status : SQA_NO, text};
    v->failed |= status != SQA_OK && !skipped;
    v->report(v->user, &r);
}

/* A check that ended in a difference, or before it in an error. */
static void judge(struct verify *v, const char *check, enum sqa_status status, const struct sqa_err *err,
                  double difference, double bound)
{
    char text[160];
    snprintf(text, sizeof text, "%.3g, bound %.3g", difference, bound);
    if (status == SQA_OK)
        tell(v, v->variant->id, check, difference <= bound ? SQA_OK : SQA_NO, text);
    else
        tell(v, v->variant->id, check, status, err->text);
}

static struct sqa_probe probe_of(struct verify *v, int64_t batch, int64_t length)
{
    const char *own = v->variant->slot == SQA_SLOT_MIXER ? v->variant->small : NULL;
    snprintf(v->item, sizeof v->item, "%.80s%s%.80s%s%s", v->variant->id, own || v->lra ? ":" : "", own ? own : "",
             own && v->lra ? "," : "", v->lra ? "form=lra" : "");
    return (struct sqa_probe){.item = v->item,
                              .batch = batch,
                              .length = length,
                              .dim = DIM,
                              .heads = HEADS,
                              .causal = v->causal,
                              .seed = 5,
                              .real = SQA_F64};
}

static void gradients(struct verify *v)
{
    static const int64_t lengths[] = {1, 2, 5, SHORT};
    static const int32_t ragged[2] = {3, 5};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct sqa_err err = {0};
        char check[64];
        double worst = 0;
        if (v->quick && lengths[i] != 5)
            continue;
        struct sqa_probe p = probe_of(v, 2, lengths[i]);
        if (lengths[i] == 5 && v->variant->slot == SQA_SLOT_MIXER)
            p.lengths = ragged;
        const enum sqa_status status = sqa_probe_gradient(&p, &worst, &err);
        snprintf(check, sizeof check, "gradient at length %lld", (long long)lengths[i]);
        judge(v, check, status, &err, worst, 1e-6);
    }
}

/* Rows of SHORT alone, and the same rows with LONG - SHORT positions of junk behind them. */
static void padding(struct verify *v)
{
    static double x[ELEMENTS], padded[ELEMENTS], y[ELEMENTS], z[ELEMENTS];
    static const int32_t lengths[ROWS] = {SHORT, SHORT, SHORT};
    struct sqa_err err = {0};
    sqa_probe_normal(1, x, ROWS * SHORT * DIM);
    sqa_probe_normal(2, padded, ELEMENTS);
    for (int b = 0; b < ROWS; b++) {
        memcpy(padded + b * LONG * DIM, x + b * SHORT * DIM, SHORT * DIM * sizeof *x);
        for (int i = SHORT * DIM; i < LONG * DIM; i++)
            padded[b * LONG * DIM + i] *= 100;
    }
    struct sqa_probe p = probe_of(v, ROWS, SHORT);
    p.max_length = LONG;
    p.lengths = lengths;
    enum sqa_status status = sqa_probe_run(&p, x, y, &err);
    p.length = LONG;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, padded, z, &err);
    double worst = 0;
    for (int b = 0; b < ROWS && status == SQA_OK; b++)
        worst = fmax(worst, sqa_probe_difference(z + b * LONG * DIM, y + b * SHORT * DIM, SHORT * DIM));
    judge(v, "padding of any content changes nothing", status, &err, worst, 1e-12);
}

static void causality(struct verify *v)
{
    static const int tokens[] = {0, 1, SHORT / 2, SHORT - 1};
    static double x[ELEMENTS], y[ELEMENTS], z[ELEMENTS];
    struct sqa_err err = {0};
    const struct sqa_probe p = probe_of(v, 1, SHORT);
    sqa_probe_normal(1, x, SHORT * DIM);
    enum sqa_status status = sqa_probe_run(&p, x, y, &err);
    double worst = 0;
    for (size_t k = 0; k < sizeof tokens / sizeof *tokens && status == SQA_OK; k++) {
        const int t = tokens[k];
        double kept[DIM];
        memcpy(kept, x + t * DIM, sizeof kept);
        for (int j = 0; j < DIM; j++)
            x[t * DIM + j] += 10;
        status = sqa_probe_run(&p, x, z, &err);
        memcpy(x + t * DIM, kept, sizeof kept);
        if (status == SQA_OK)
            worst = fmax(worst, sqa_probe_difference(z, y, (size_t)(t * DIM)));
    }
    /* A convolution by FFT carries rounding, and only that, backwards. */
    judge(v, "no position sees a later one", status, &err, worst, 1e-12);
}

static void equivariance(struct verify *v)
{
    static double x[ELEMENTS], moved[ELEMENTS], y[ELEMENTS], z[ELEMENTS], back[ELEMENTS];
    uint32_t order[SHORT];
    struct sqa_err err = {0};
    const struct sqa_probe p = probe_of(v, 1, SHORT);
    sqa_random_permutation(9, order, SHORT);
    sqa_probe_normal(1, x, SHORT * DIM);
    for (int t = 0; t < SHORT; t++)
        memcpy(moved + t * DIM, x + order[t] * DIM, DIM * sizeof *x);
    enum sqa_status status = sqa_probe_run(&p, x, y, &err);
    if (status == SQA_OK)
        status = sqa_probe_run(&p, moved, z, &err);
    for (int t = 0; t < SHORT; t++)
        memcpy(back + order[t] * DIM, z + t * DIM, DIM * sizeof *x);
    judge(v, "permuted positions give permuted outputs", status, &err, sqa_probe_difference(back, y, SHORT * DIM),
          1e-12);
}

static void open_values(struct sqa_store *s, void *user)
{
    bool *found = user;
    *found = sqa_probe_set_identity(s, "mixer.wv.w") && sqa_probe_set_identity(s, "mixer.wo.w");
}

/* Equal rows have equal values, and a mean of equal values is that value. */
static void sum_to_one(struct verify *v)
{
    static double x[ELEMENTS], y[ELEMENTS];
    struct sqa_err err = {0};
    bool found = false;
    struct sqa_probe p = probe_of(v, 1, SHORT);
    p.edit = open_values;
    p.user = &found;
    sqa_probe_normal(1, x, DIM);
    for (int t = 1; t < SHORT; t++)
        memcpy(x + t * DIM, x, DIM * sizeof *x);
    enum sqa_status status = sqa_probe_run(&p, x, y, &err);
    if (status == SQA_OK && !found)
        status = sqa_fail(&err, SQA_NO, "it has no mixer.wv.w and mixer.wo.w; name its projections so");
    judge(v, "weights of a row sum to 1", status, &err, sqa_probe_difference(y, x, SHORT * DIM), 1e-12);
}

static void batches(struct verify *v)
{
    static double x[ELEMENTS], y[ELEMENTS], z[ELEMENTS];
    struct sqa_err err = {0};
    struct sqa_probe p = probe_of(v, ROWS, LONG);
    sqa_probe_normal(1, x, ELEMENTS);
    enum sqa_status status = sqa_probe_run(&p, x, y, &err);
    p.batch = 1;
    for (int b = 0; b < ROWS && status == SQA_OK; b++)
        status = sqa_probe_run(&p, x + b * LONG * DIM, z + b * LONG * DIM, &err);
    judge(v, "rows of a batch are independent", status, &err, sqa_probe_difference(z, y, ELEMENTS), 1e-12);
}

static void precision(struct verify *v)
{
    static double x[ELEMENTS], y[ELEMENTS], z[ELEMENTS];
    struct sqa_err err = {0};
    struct sqa_probe p = probe_of(v, ROWS, LONG);
    sqa_probe_normal(1, x, ELEMENTS);
    enum sqa_status status = sqa_probe_run(&p, x, y, &err);
    p.real = SQA_F32;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, z, &err);
    judge(v, "f32 against f64", status, &err, sqa_probe_difference(z, y, ELEMENTS), 1e-4);
}

static void threads(struct verify *v)
{
    enum { LENGTH = 640, COUNT = 2 * LENGTH * DIM };
    static double x[COUNT], y[COUNT], z[COUNT];
    struct sqa_err err = {0};
    struct sqa_probe p = probe_of(v, 2, LENGTH);
    p.real = SQA_F32;
    sqa_probe_normal(1, x, COUNT);
    enum sqa_status status = sqa_probe_run(&p, x, y, &err);
    p.threads = 2;
    if (status == SQA_OK)
        status = sqa_probe_run(&p, x, z, &err);
    judge(v, "the same bits with 1 and 2 threads", status, &err, sqa_probe_difference(z, y, COUNT), 0);
}

static void compare_cost(struct verify *v, const char *check, enum sqa_status status, const struct sqa_err *err,
                         double counted, double closed)
{
    char text[160];
    snprintf(text, sizeof text, "closed form %.0f, graph %.0f", closed, counted);
    if (status != SQA_OK)
        tell(v, v->variant->id, check, status, err->text);
    else if (isnan(closed))
        tell(v, v->variant->id, check, SQA_UNSUPPORTED, "no closed form is stated");
    else
        tell(v, v->variant->id, check, fabs(closed - counted) <= 1e-9 * fmax(counted, 1) ? SQA_OK : SQA_NO, text);
}

static void cost(struct verify *v, int64_t qkv)
{
    static const int64_t lengths[] = {64, 200};
    for (size_t i = 0; i < 2; i++) {
        struct sqa_err err = {0};
        char check[64];
        double counted = 0, closed = 0, memory;
        struct sqa_probe p = probe_of(v, 2, lengths[i]);
        if (v->variant->slot == SQA_SLOT_HEAD && i == 1)
            p.width = 4 * DIM; /* as behind a pair */
        p.qkv = qkv;
        const enum sqa_status status = sqa_probe_cost(&p, false, &counted, &closed, &memory, &err);
        snprintf(check, sizeof check, "flops at length %lld%s", (long long)lengths[i], qkv ? ", qkv" : "");
        compare_cost(v, check, status, &err, counted, closed);
    }
}

/* Queries, keys and values half and twice as wide as the stream: gradients and cost. */
static void other_widths(struct verify *v)
{
    for (int i = 0; i < 2; i++) {
        struct sqa_err err = {0};
        double worst = 0;
        struct sqa_probe p = probe_of(v, 2, 5);
        p.qkv = i ? 2 * DIM : DIM / 2;
        const enum sqa_status status = sqa_probe_gradient(&p, &worst, &err);
        judge(v, i ? "gradient, qkv twice as wide" : "gradient, qkv half as wide", status, &err, worst, 1e-6);
        cost(v, p.qkv);
    }
}

/* Exponent of memory in L, by least squares of the logarithms. */
static void memory(struct verify *v)
{
    for (int train = 0; train < 2; train++) {
        struct sqa_err err = {0};
        enum sqa_status status = SQA_OK;
        double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
        for (int64_t length = 256; length <= 4096 && status == SQA_OK; length *= 2) {
            double flops, closed, bytes = 0;
            const struct sqa_probe p = probe_of(v, 1, length);
            status = sqa_probe_cost(&p, train != 0, &flops, &closed, &bytes, &err);
            const double x = log((double)length), y = log(bytes);
            n++;
            sx += x;
            sy += y;
            sxx += x * x;
            sxy += x * y;
        }
        judge(v, train ? "exponent of training memory in the length" : "exponent of memory in the length", status,
              &err, (n * sxy - sx * sy) / (n * sxx - sx * sx), 1.1);
    }
}

/* Position by position against all at once. */
static void steps(struct verify *v)
{
    static const int64_t lengths[] = {1, 2, 7, SHORT, LONG};
    static double x[ELEMENTS], y[ELEMENTS], z[ELEMENTS];
    enum { N = sizeof lengths / sizeof *lengths };
    sqa_probe_normal(1, x, ELEMENTS);
    for (int i = 0; i <= N; i++) {
        struct sqa_err err = {0};
        char check[64];
        struct sqa_probe p = probe_of(v, ROWS, lengths[i < N ? i : N - 1]);
        enum sqa_status status = sqa_probe_run(&p, x, y, &err);
        if (i == N)
            p.real = SQA_F32;
        if (status == SQA_OK)
            status = sqa_probe_steps(&p, x, z, NULL, &err);
        snprintf(check, sizeof check, "steps at length %lld%s", (long long)p.length, i < N ? "" : ", f32");
        judge(v, check, status, &err, sqa_probe_difference(z, y, (size_t)(ROWS * p.length * DIM)),
              i < N ? 1e-10 : 1e-4);
    }
}

static void check_mixer(struct verify *v)
{
    const unsigned traits = v->variant->traits;
    for (int form = 0; form < (traits & SQA_TRAIT_CAUSAL ? 2 : 1); form++) {
        v->causal = form == 1;
        gradients(v);
        if (v->quick) {
            precision(v);
            continue;
        }
        if (traits & SQA_TRAIT_PADDING)
            padding(v);
        if (v->causal) {
            causality(v);
            if (v->variant->step)
                steps(v);
        } else if (traits & SQA_TRAIT_EQUIVARIANT) {
            equivariance(v);
        }
        if (traits & SQA_TRAIT_SUM_TO_ONE)
            sum_to_one(v);
        batches(v);
        precision(v);
        threads(v);
        cost(v, 0);
        if (traits & SQA_TRAIT_QKV)
            other_widths(v);
        if (traits & SQA_TRAIT_LINEAR_MEMORY)
            memory(v);
    }
    v->causal = false;
    if (v->quick)
        return;
    const struct sqa_param *form = sqa_params_find(v->variant->params, "form");
    if (!form || !form->choices || !strstr(form->choices, "lra"))
        return;
    v->lra = true;
    gradients(v);
    if (!(traits & SQA_TRAIT_LRA_BATCH))
        batches(v);
    precision(v);
    threads(v);
    cost(v, 0);
    v->lra = false;
}

static const char *const small_frame = "dim=8,heads=2,ffn=6,layers=2";

/* Whole models on a small task of each kind. */
static const struct sqa_signature tokens = {.kind = SQA_CLASSIFY, .vocab = 7, .classes = 3, .length = 9};
static const struct sqa_signature series = {
    .kind = SQA_FORECAST, .length = 12, .channels = 3, .outputs = 2, .horizon = 5, .season = 4, .marks = 4};
static const struct sqa_signature signals = {.kind = SQA_CLASSIFY, .classes = 3, .length = 9, .channels = 2};
static const struct sqa_signature tags = {.kind = SQA_TAG, .vocab = 7, .classes = 3, .length = 9};
static const struct sqa_signature pairs = {.kind = SQA_PAIR, .vocab = 7, .classes = 3, .length = 9};
static const struct sqa_signature picture = {.kind = SQA_CLASSIFY, .vocab = 257, .classes = 3, .length = 64};
static const int32_t true_lengths[4] = {9, 4, 5, 9};

static void check_whole(struct verify *v, const char *model, const struct sqa_signature *task)
{
    struct sqa_err err = {0};
    static const char *const losses[] = {"a classification", "a forecast", "tags", "a pair"};
    char check[160];
    double worst = 0;
    const struct sqa_probe_whole p = {.model = model,
                                      .task = *task,
                                      .batch = 2,
                                      .seed = 11,
                                      .real = SQA_F64,
                                      .lengths = task->kind != SQA_FORECAST ? true_lengths : NULL};
    const enum sqa_status status = sqa_probe_whole_gradient(&p, &worst, &err);
    snprintf(check, sizeof check, "gradient of %s's loss%s, %.100s", losses[task->kind],
             task == &signals ? " on reals" : "", model);
    judge(v, check, status, &err, worst, 1e-6);
}

static void check_model(struct verify *v)
{
    struct sqa_err err = {0};
    const bool frame = v->variant->traits & SQA_TRAIT_FRAME;
    const char *own = v->variant->small;
    char model[256];
    snprintf(model, sizeof model, "%s%s%s%s%s", v->variant->id, frame || own ? ":" : "", frame ? small_frame : "",
             frame && own ? "," : "", own ? own : "");
    check_whole(v, model, &series);
    check_whole(v, model, &tokens);
    double counted = 0, closed = 0;
    struct sqa_probe_whole p = {.model = model, .task = series, .batch = 2, .real = SQA_F64};
    enum sqa_status status = sqa_probe_whole_cost(&p, &counted, &closed, &err);
    if (status == SQA_UNSUPPORTED) {
        p.task = tokens;
        status = sqa_probe_whole_cost(&p, &counted, &closed, &err);
    }
    compare_cost(v, "flops", status, &err, counted, closed);
}

/* The whole model position by position: tags, and a class of what came so far. */
static void check_whole_steps(struct verify *v)
{
    enum { BATCH = 2, LENGTH = 9, CLASSES = 3, N = BATCH * LENGTH * CLASSES };
    static const int32_t ids[BATCH * LENGTH] = {1, 5, 2, 2, 6, 3, 4, 1, 1, 3, 6, 6, 2, 1, 4, 5, 5, 2};
    static const char *const pools[] = {"", "+pool=last", "+pool=mean"};
    for (int i = 0; i < 3; i++) {
        struct sqa_err err = {0};
        char model[256], check[64];
        double whole[N] = {0}, by_steps[N] = {0};
        snprintf(model, sizeof model, "%s:dim=8,heads=2,ffn=6,layers=2,causal=1%s", v->variant->id, pools[i]);
        struct sqa_probe_whole p = {
            .model = model,
            .task = {.kind = i ? SQA_CLASSIFY : SQA_TAG, .vocab = 7, .classes = 3, .length = 9},
            .batch = BATCH,
            .seed = 11,
            .real = SQA_F64,
            .tokens = ids};
        enum sqa_status status = sqa_probe_whole(&p, whole, NULL, &err);
        if (status == SQA_OK)
            status = sqa_probe_whole_steps(&p, by_steps, &err);
        for (int k = 0; k < BATCH * CLASSES && i; k++) /* of all positions: the last ones */
            by_steps[k] = by_steps[(k / CLASSES * LENGTH + LENGTH - 1) * CLASSES + k % CLASSES];
        snprintf(check, sizeof check, "steps of a whole model, %s", i ? pools[i] + 1 : "tags");
        judge(v, check, status, &err, sqa_probe_difference(by_steps, whole, i ? BATCH * CLASSES : N), 1e-10);
    }
}

static void check_frame(struct verify *v)
{
    char model[256];
    if (v->variant->slot == SQA_SLOT_MIXER)
        snprintf(model, sizeof model, "%s:%s%s%s", v->variant->id, small_frame, v->variant->small ? "," : "",
                 v->variant->small ? v->variant->small : "");
    else
        snprintf(model, sizeof model, "transformer:%s+%s=%s", small_frame, sqa_slot_name(v->variant->slot),
                 v->variant->id);
    check_whole(v, model, &pairs);
    if (v->variant->slot == SQA_SLOT_PAIR)
        return;
    check_whole(v, model, &tokens);
    check_whole(v, model, &signals);
    check_whole(v, model, &series);
    if (v->variant->slot != SQA_SLOT_POOL) /* tags are not pooled */
        check_whole(v, model, &tags);
}

static void check_floor(struct verify *v)
{
    struct sqa_err err = {0};
    struct sqa_model *m;
    enum sqa_status status = sqa_model_parse(v->variant->id, &m, &err);
    if (status != SQA_OK) {
        tell(v, v->variant->id, "takes tasks of one kind", status, err.text);
        return;
    }
    const bool labels = sqa_model_check(m, &tokens, &err) == SQA_OK || sqa_model_check(m, &picture, &err) == SQA_OK;
    const bool forecasts = sqa_model_check(m, &series, &err) == SQA_OK;
    status = labels != forecasts && v->variant->begin && v->variant->predict ? SQA_OK : SQA_NO;
    tell(v, v->variant->id, "takes tasks of one kind", status, status == SQA_OK ? err.text : "it takes none or both");
    sqa_model_free(m);
}

static void check_identities(struct verify *v)
{
    for (const struct sqa_identity *i = v->variant->identities; i && i->name; i++) {
        struct sqa_err err = {0};
        const enum sqa_status status = i->run(&err);
        tell(v, v->variant->id, i->name, status, status == SQA_OK ? "holds" : err.text);
    }
}

static void check_variant(struct verify *v)
{
    switch (v->variant->slot) {
    case SQA_SLOT_MIXER:
        check_mixer(v);
        check_frame(v);
        if (v->variant->step)
            check_whole_steps(v);
        break;
    case SQA_SLOT_CHANNEL:
        if (!v->variant->build) {
            check_frame(v);
            break;
        }
        /* fall through */
    case SQA_SLOT_NORM:
    case SQA_SLOT_POSITION:
    case SQA_SLOT_POOL:
    case SQA_SLOT_PAIR:
    case SQA_SLOT_HEAD:
        gradients(v);
        cost(v, 0);
        check_frame(v);
        break;
    case SQA_SLOT_RESIDUAL:
        check_frame(v);
        break;
    case SQA_SLOT_MODEL:
        check_model(v);
        break;
    case SQA_SLOT_FLOOR:
        check_floor(v);
        break;
    case SQA_SLOTS:
        break;
    }
    check_identities(v);
}

enum sqa_status sqa_verify_quick(const struct sqa_variant *variant, sqa_check_report_fn *report, void *user)
{
    struct verify v = {.report = report, .user = user, .variant = variant, .quick = true};
    char model[256];
    switch (variant->slot) {
    case SQA_SLOT_MIXER:
        check_mixer(&v);
        break;
    case SQA_SLOT_MODEL:
        check_model(&v);
        break;
    case SQA_SLOT_FLOOR:
    case SQA_SLOTS:
        return SQA_UNSUPPORTED;
    default:
        snprintf(model, sizeof model, "transformer:%s+%s=%s", small_frame, sqa_slot_name(variant->slot), variant->id);
        check_whole(&v, model, variant->slot == SQA_SLOT_PAIR ? &pairs : &tokens);
    }
    return v.failed ? SQA_NO : SQA_OK;
}

static void check_kernels(struct verify *v)
{
    static const size_t sizes[] = {1, 7, 64, 257, 1000};
    const struct sqa_kernels *tables[8];
    const size_t count = sqa_kernels_simd(tables);
    for (size_t t = 0; t < count; t++) {
        for (const struct sqa_kernel_check *k = sqa_kernel_checks; k->kernel; k++) {
            char subject[64], text[160];
            double worst = 0;
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                const double error = k->run(tables[t], 17 + i, sizes[i]);
                worst = error <= worst ? worst : error; /* a NaN wins */
                if (isnan(worst))
                    break;
            }
            snprintf(subject, sizeof subject, "kernels %.40s", tables[t]->isa);
            snprintf(text, sizeof text, "%.3g, bound %.3g", worst, k->bound);
            tell(v, subject, k->kernel, worst <= k->bound ? SQA_OK : SQA_NO, text);
        }
    }
    if (count == 0)
        tell(v, "kernels", "SIMD against plain C", SQA_UNSUPPORTED, "this machine runs the plain C kernels only");
}

enum sqa_status sqa_verify(bool (*matches)(void *user, const char *id), sqa_check_report_fn *report, void *user,
                           struct sqa_err *err)
{
    struct verify v = {.report = report, .user = user};
    for (const struct sqa_variant *const *each = sqa_variants; *each; each++) {
        v.variant = *each;
        if (!matches || matches(user, (*each)->id))
            check_variant(&v);
    }
    if (!matches || matches(user, "kernels"))
        check_kernels(&v);
    return v.failed ? sqa_fail(err, SQA_NO, "verify: some checks failed; see the lines marked NO") : SQA_OK;
}
