/* cell_rows.c - what a measurement writes: rows of cells, samples and ops; see cell.h */
#include "harness/cell_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "engine/slow.h"
#include "harness/measure/rounds.h"
#include "results/table.h"

enum { PROFILE_PASSES = 5 };

/* Adds a sentence to the note of a row. */
static void add_note(json_t *o, const char *sentence)
{
    const char *name = sqa_schemas[SQA_FILE_CELLS].columns[SQA_CELLS_note].name;
    const char *before = json_string_value(json_object_get(o, name));
    struct sqa_text t = {0};
    sqa_text_printf(&t, "%s%s%s", before ? before : "", before ? "; " : "", sentence);
    sqa_cell_set_text(o, SQA_CELLS_note, sqa_text_get(&t));
    sqa_text_clear(&t);
}

static void put_counts(json_t *o, const struct sqa_meter *m, const struct sqa_child *c)
{
    char note[240];
    snprintf(note, sizeof note,
             "instructions are those of one step on one thread under %.40s (callgrind), kernels %s, OpenBLAS for "
             "Nehalem: they tell whether the work changed, not how fast it is",
             c->plan->count, sqa_kernels_f32.isa);
    sqa_cell_set_number(o, SQA_CELLS_instructions, m->counted.instructions);
    sqa_cell_set_number(o, SQA_CELLS_data_reads, m->counted.data_reads);
    sqa_cell_set_number(o, SQA_CELLS_data_writes, m->counted.data_writes);
    add_note(o, note);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The q-quantile of n sorted numbers, linear between neighbours. */
static double quantile(const double *x, int n, double q)
{
    const double at = q * (n - 1);
    const int i = (int)at;
    return i + 1 < n ? x[i] + (at - i) * (x[i + 1] - x[i]) : x[n - 1];
}

static enum sqa_status put_times(json_t *o, const struct sqa_meter *m, struct sqa_err *err)
{
    double *x = sqa_alloc_array((size_t)m->n + 1, sizeof *x), sum = 0, steal = 0;
    if (!x)
        return sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again");
    if (m->n > 0) {
        for (int i = 0; i < m->n; i++) {
            sum += x[i] = m->samples[i].ns;
            steal += m->samples[i].steal;
        }
        qsort(x, (size_t)m->n, sizeof *x, by_value);
        const double median = quantile(x, m->n, 0.5);
        sqa_cell_set_number(o, SQA_CELLS_latency_ns_median, median);
        sqa_cell_set_number(o, SQA_CELLS_latency_ns_min, x[0]);
        sqa_cell_set_number(o, SQA_CELLS_latency_ns_p90, quantile(x, m->n, 0.9));
        sqa_cell_set_number(o, SQA_CELLS_latency_ns_p99, quantile(x, m->n, 0.99));
        sqa_cell_set_number(o, SQA_CELLS_latency_ns_mean, sum / m->n);
        sqa_cell_set_number(o, SQA_CELLS_latency_samples, m->n);
        sqa_cell_set_number(o, SQA_CELLS_sample_steps, (double)m->steps);
        sqa_cell_set_number(o, SQA_CELLS_throughput_tokens_per_s,
                            (double)(m->t->recipe.batch * sqa_rows_an_example(m->t->task.kind)) *
                                (m->by_steps ? 1 : (double)m->t->length) / (median * 1e-9));
        for (int i = 0; i < m->n; i++)
            x[i] = m->samples[i].cpu_ns;
        qsort(x, (size_t)m->n, sizeof *x, by_value);
        sqa_cell_set_number(o, SQA_CELLS_cpu_ns_median, quantile(x, m->n, 0.5));
        sqa_cell_set_number(o, SQA_CELLS_steal_ns, rint(steal * 1e9));
        sqa_cell_set_number(o, SQA_CELLS_warmup_ns, m->warmup_ns);
        sqa_cell_set_number(o, SQA_CELLS_warmup_settled, m->settled < 0 ? SQA_NAN : m->settled);
    }
    sqa_free(x);
    if (m->n_first > 0) {
        qsort(m->first, (size_t)m->n_first, sizeof *m->first, by_value);
        sqa_cell_set_number(o, SQA_CELLS_first_ns_median, quantile(m->first, m->n_first, 0.5));
    }
    return SQA_OK;
}

/* Of each event the median over the samples of its pass, a step. */
static enum sqa_status put_counters(json_t *o, const struct sqa_meter *m, struct sqa_err *err)
{
    double *x = sqa_alloc_array((size_t)m->n + 1, sizeof *x);
    struct sqa_text t = {0};
    if (!x)
        return sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again");
    for (int k = 0; k < sqa_counters_n(m->counters); k++) {
        char value[32];
        int n = 0;
        for (int i = 0; i < m->n; i++)
            if (m->samples[i].pass == sqa_counters_pass(m->counters, k))
                x[n++] = (double)m->samples[i].counters[k] / (double)m->steps;
        if (n == 0)
            continue;
        qsort(x, (size_t)n, sizeof *x, by_value);
        sqa_text_printf(&t, "%s%s=%s", t.length ? ";" : "", sqa_counters_name(m->counters, k),
                        sqa_format_real(value, quantile(x, n, 0.5)));
    }
    sqa_cell_set_text(o, SQA_CELLS_counters, sqa_text_get(&t));
    if (t.length)
        sqa_cell_set_number(o, SQA_CELLS_counter_passes, sqa_counters_passes(m->counters));
    const int failed = t.failed;
    sqa_text_clear(&t);
    sqa_free(x);
    return failed ? sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again") : SQA_OK;
}

static void put_cost(json_t *o, const struct sqa_meter *m)
{
    const struct sqa_trainer *t = m->t;
    const bool train = m->mode == SQA_MODE_TRAIN;
    const double size = (double)sqa_dtype_size(t->store.real), times = sqa_meter_passes(m);
    sqa_cell_set_number(o, SQA_CELLS_flops,
                        times *
                            (sqa_plan_flops(m->plan, SQA_PASS_FORWARD) + sqa_plan_flops(m->plan, SQA_PASS_BACKWARD)));
    sqa_cell_set_number(o, SQA_CELLS_bytes,
                        times *
                            (sqa_plan_bytes(m->plan, SQA_PASS_FORWARD) + sqa_plan_bytes(m->plan, SQA_PASS_BACKWARD)));
    if (train) {
        sqa_cell_set_number(o, SQA_CELLS_flops_recompute, times * sqa_plan_flops(m->plan, SQA_PASS_RECOMPUTE));
        sqa_cell_set_number(o, SQA_CELLS_flops_optimizer, sqa_optim_flops(&t->optim, &t->store));
    }
    sqa_cell_set_number(o, SQA_CELLS_mem_planned_bytes,
                        (double)m->plan->arena_bytes + (double)m->stepper.states.state_block * size);
    sqa_cell_set_number(o, SQA_CELLS_mem_params_bytes,
                        (double)(t->store.parameter_block * (train ? 4 : 1) + t->store.state_block +
                                 (train && t->micro_sum ? t->store.parameter_block + t->store.state_block : 0)) *
                            size);
    if (m->counts || m->cold)
        return; /* valgrind's memory, and the buffer that empties caches, are not the model's */
    sqa_cell_set_number(o, SQA_CELLS_mem_peak_rss_bytes, sqa_rss_peak());
    sqa_cell_set_number(o, SQA_CELLS_mem_own_bytes, sqa_rss_peak() - t->rss_start);
}

static enum sqa_status sample_rows(const struct sqa_meter *m, const struct sqa_child *c, const char *phase, json_t *o,
                                   struct sqa_text *out, struct sqa_err *err)
{
    double *ns_of = sqa_alloc_array((size_t)m->n + 1, 2 * sizeof *ns_of);
    int *outlier = sqa_alloc_array((size_t)m->n + 1, sizeof *outlier);
    if (!ns_of || !outlier) {
        sqa_free(ns_of);
        sqa_free(outlier);
        return sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again");
    }
    for (int i = 0; i < m->n; i++)
        ns_of[i] = m->samples[i].ns;
    const int outliers = sqa_mark_outliers(ns_of, (size_t)m->n, outlier, ns_of + m->n);
    if (m->n > 0)
        sqa_cell_set_number(o, SQA_CELLS_latency_outliers, outliers);
    const int nc = sqa_counters_n(m->counters);
    for (int i = 0; i < m->n; i++) {
        const struct sqa_sample *s = &m->samples[i];
        char round[16], index[16], ns[32], cpu[32], vol[32], invol[32], slot[16], steal[32] = "";
        struct sqa_text counters = {0};
        snprintf(round, sizeof round, "%d", s->round);
        snprintf(index, sizeof index, "%d", s->index);
        snprintf(ns, sizeof ns, "%.0f", s->ns);
        snprintf(cpu, sizeof cpu, "%.0f", s->cpu_ns);
        snprintf(vol, sizeof vol, "%lld", (long long)s->switches.voluntary);
        snprintf(invol, sizeof invol, "%lld", (long long)s->switches.involuntary);
        snprintf(slot, sizeof slot, "%d", s->slot);
        if (isfinite(s->steal))
            snprintf(steal, sizeof steal, "%.0f", s->steal * 1e9);
        for (int k = 0; k < nc; k++)
            if (sqa_counters_pass(m->counters, k) == s->pass)
                sqa_text_printf(&counters, "%s%s=%lld", counters.length ? ";" : "", sqa_counters_name(m->counters, k),
                                s->counters[k]);
        const char *row[SQA_SAMPLES_N] = {[SQA_SAMPLES_key] = c->cell->key,
                                          [SQA_SAMPLES_phase] = phase,
                                          [SQA_SAMPLES_round] = round,
                                          [SQA_SAMPLES_index] = index,
                                          [SQA_SAMPLES_ns] = ns,
                                          [SQA_SAMPLES_cpu_ns] = cpu,
                                          [SQA_SAMPLES_voluntary_switches] = vol,
                                          [SQA_SAMPLES_involuntary_switches] = invol,
                                          [SQA_SAMPLES_counters] = sqa_text_get(&counters),
                                          [SQA_SAMPLES_slot] = slot,
                                          [SQA_SAMPLES_steal_ns] = steal,
                                          [SQA_SAMPLES_outlier] = outlier[i] ? "1" : "0"};
        sqa_table_row(out, SQA_FILE_SAMPLES, row);
        sqa_text_clear(&counters);
    }
    sqa_free(ns_of);
    sqa_free(outlier);
    return SQA_OK;
}

static enum sqa_status profile_rows(struct sqa_meter *m, const struct sqa_child *c, const char *phase,
                                    struct sqa_text *out, struct sqa_err *err)
{
    const int count = m->plan->count;
    double *ns = sqa_alloc_array((size_t)count * PROFILE_PASSES, sizeof *ns);
    enum sqa_status status = SQA_OK;
    if (!ns)
        return sqa_fail(err, SQA_NOMEM, "profile: no memory; free some memory and run again");
    const int64_t start = sqa_clock_wall();
    int taken = 0;
    while (taken < PROFILE_PASSES && status == SQA_OK && (double)(sqa_clock_wall() - start) < SQA_LONG_STEP_NS)
        status = sqa_meter_run_pass(m, ns + (size_t)taken++ * (size_t)count, err);
    for (int i = 0; i < count && status == SQA_OK; i++) {
        double x[PROFILE_PASSES];
        char flops[32], bytes[32], time[32], calls[32];
        for (int k = 0; k < taken; k++)
            x[k] = ns[(size_t)k * (size_t)count + (size_t)i];
        qsort(x, (size_t)taken, sizeof *x, by_value);
        const struct sqa_node *n = m->plan->nodes[i];
        const double times =
            floor(sqa_meter_passes(m)); /* a partial micro-batch is another plan, which is not timed */
        snprintf(time, sizeof time, "%.0f", times * x[taken / 2]);
        snprintf(calls, sizeof calls, "%.0f", times);
        const char *row[SQA_OPS_N] = {[SQA_OPS_key] = c->cell->key,
                                      [SQA_OPS_phase] = phase,
                                      [SQA_OPS_op] = n->op->name,
                                      [SQA_OPS_path] = n->path,
                                      [SQA_OPS_calls] = calls,
                                      [SQA_OPS_flops] = sqa_format_real(flops, times * sqa_node_flops(n)),
                                      [SQA_OPS_bytes] = sqa_format_real(bytes, times * sqa_node_bytes(n)),
                                      [SQA_OPS_ns] = time};
        sqa_table_row(out, SQA_FILE_OPS, row);
    }
    sqa_free(ns);
    return status;
}

/* What is different where positions go one at a time. */
static void put_steps(json_t *o, const struct sqa_meter *m)
{
    char note[200];
    snprintf(note, sizeof note,
             "a token at position %lld of the causal form, with a state of random numbers: no tokens "
             "were fed before it",
             (long long)m->t->length - 1);
    sqa_cell_set_number(o, SQA_CELLS_state_floats,
                        (double)m->stepper.states.state_count / (double)m->t->recipe.batch);
    sqa_cell_set_text(o, SQA_CELLS_note, note);
}

enum sqa_status sqa_meter_save(struct sqa_meter *m, const struct sqa_child *c, const char *phase, struct sqa_err *err)
{
    char name[96];
    struct sqa_text samples = {0}, ops = {0};
    json_t *o = json_object();
    sqa_cell_put_model(o, m->t);
    sqa_cell_set_text(o, SQA_CELLS_bind, sqa_text_get(&m->bound));
    if (m->by_steps)
        put_steps(o, m);
    put_cost(o, m); /* memory first: profiling is not part of it */
    if (!c->cell->train_accuracy && !m->by_steps)
        sqa_cell_put_padding(o, "full", 1); /* rows as long as the task's */
    if (m->counts)
        put_counts(o, m, c);
    if (m->cold) {
        char note[160];
        snprintf(note, sizeof note, "cold caches: a buffer of %zu MiB was walked before each sample of one step",
                 sqa_cache_flush_bytes() >> 20);
        sqa_cell_set_text(o, SQA_CELLS_cache, "cold");
        add_note(o, note);
    }
    sqa_cell_set_text(o, SQA_CELLS_checks, m->proof);
    sqa_cell_set_text(o, SQA_CELLS_unfit, m->unfit);
    if (*m->unfit)
        add_note(o, "the timing is unfit: see column unfit");
    if (*sqa_slow.op) {
        snprintf(name, sizeof name, "made slower on purpose (SEQARENA_TEST_SLOW, %s)", sqa_slow.op);
        add_note(o, name);
    }
    enum sqa_status status = sample_rows(m, c, phase, o, &samples, err);
    if (status == SQA_OK)
        status = put_times(o, m, err);
    if (status == SQA_OK)
        status = put_counters(o, m, err);
    if (status == SQA_OK && c->plan->profile)
        status = profile_rows(m, c, phase, &ops, err);
    snprintf(name, sizeof name, "samples-%s.csv", phase);
    if (status == SQA_OK)
        status = sqa_cell_write_rows(c, name, SQA_FILE_SAMPLES, &samples, err);
    snprintf(name, sizeof name, "ops-%s.csv", phase);
    if (status == SQA_OK && c->plan->profile)
        status = sqa_cell_write_rows(c, name, SQA_FILE_OPS, &ops, err);
    snprintf(name, sizeof name, "measure-%s.json", phase);
    if (status == SQA_OK)
        status = sqa_cell_write_json(c, name, o, err);
    json_decref(o);
    sqa_text_clear(&samples);
    sqa_text_clear(&ops);
    return status;
}
