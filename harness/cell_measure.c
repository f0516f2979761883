/* cell_measure.c - the child takes samples of steps when its parent says so; see cell.h */
#include "harness/cell_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "harness/measure/rounds.h"

enum { SAMPLES_MAX = 100000 };

/* A step: one token, or all micro-batches; a pass of the plan. */
static enum sqa_status run_step(struct sqa_meter *m, struct sqa_err *err)
{
    return m->by_steps ? sqa_stepper_run(&m->stepper, m->position, NULL, err)
                       : sqa_trainer_time_step(m->t, m->plan, m->mode, NULL, err);
}

enum sqa_status sqa_meter_run_pass(struct sqa_meter *m, double *ns_by_op, struct sqa_err *err)
{
    return m->by_steps ? sqa_stepper_run(&m->stepper, m->position, ns_by_op, err)
                       : sqa_trainer_time_pass(m->t, m->plan, m->mode, ns_by_op, err);
}

static enum sqa_status take_sample(struct sqa_meter *m, struct sqa_sample *s, struct sqa_err *err)
{
    long long before[32] = {0};
    const int nc = sqa_counters_n(m->counters), pass = nc ? m->n % sqa_counters_passes(m->counters) : -1;
    s->pass = nc && sqa_counters_select(m->counters, pass) == 0 ? pass : -1;
    if (m->cold && !sqa_cache_flush())
        return sqa_fail(err, SQA_NOMEM, "--cache cold: no memory for what empties the caches; free some memory");
    const struct sqa_switches w = sqa_switches_now();
    const double steal = sqa_machine_steal();
    if (s->pass >= 0 && sqa_counters_read(m->counters, before) != 0)
        s->pass = -1;
    const int64_t cpu = sqa_clock_process(), wall = sqa_clock_wall();
    enum sqa_status status = SQA_OK;
    for (int64_t i = 0; i < m->steps && status == SQA_OK; i++)
        status = run_step(m, err);
    s->ns = (double)(sqa_clock_wall() - wall) / (double)m->steps;
    s->cpu_ns = (double)(sqa_clock_process() - cpu) / (double)m->steps;
    if (s->pass >= 0 && sqa_counters_read(m->counters, s->counters) != 0)
        s->pass = -1;
    for (int i = 0; i < nc; i++)
        s->counters[i] -= before[i];
    const struct sqa_switches after = sqa_switches_now();
    s->switches.voluntary = after.voluntary - w.voluntary;
    s->switches.involuntary = after.involuntary - w.involuntary;
    s->steal = sqa_machine_steal() - steal;
    return status;
}

double sqa_meter_passes(const struct sqa_meter *m)
{
    return m->mode == SQA_MODE_TRAIN ? (double)m->t->recipe.batch / (double)sqa_trainer_rows(m->t) : 1;
}

/* Until it is stationary, or as long as the samples will take, ten turns at most; one pass of the plan where a step
 * takes a second. */
static enum sqa_status warm_up(struct sqa_meter *m, const struct sqa_run_plan *p, struct sqa_err *err)
{
    struct sqa_sample s = {0};
    struct sqa_warmup w = {.n = 0};
    const int64_t start = sqa_clock_wall();
    const double most = p->turn_ms * 1e6 * fmin(10, (double)p->rounds);
    m->steps = 1;
    m->settled = -1;
    enum sqa_status status = sqa_meter_run_pass(m, NULL, err);
    if (status == SQA_OK && sqa_meter_passes(m) * (double)(sqa_clock_wall() - start) < SQA_LONG_STEP_NS) {
        status = take_sample(m, &s, err);
        if (status == SQA_OK && s.ns < 1e6 && !m->cold && !p->single_steps)
            m->steps = (int64_t)ceil(1e6 / fmax(s.ns, 100));
        m->settled = 0;
    }
    while (status == SQA_OK && m->settled == 0) {
        status = take_sample(m, &s, err);
        m->settled = sqa_warmup_add(&w, s.ns);
        if ((double)(sqa_clock_wall() - start) > most)
            break;
    }
    m->warmup_ns = (double)(sqa_clock_wall() - start);
    return status;
}

/* Room for one sample more, made between samples. */
static enum sqa_status make_room(struct sqa_meter *m, struct sqa_err *err)
{
    if (m->n < m->room)
        return SQA_OK;
    const int room = m->room ? 2 * m->room : 64;
    struct sqa_sample *more = sqa_realloc(m->samples, (size_t)room * sizeof *more);
    if (!more)
        return sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again");
    m->samples = more;
    m->room = room;
    return SQA_OK;
}

/* At least a sample of each pass of the counters. */
static enum sqa_status take_turn(struct sqa_meter *m, int round, int slot, double turn_ms, struct sqa_err *err)
{
    const int64_t start = sqa_clock_wall();
    enum sqa_status status = make_room(m, err);
    for (int i = 0; m->n < SAMPLES_MAX && status == SQA_OK; i++) {
        struct sqa_sample *s = &m->samples[m->n];
        *s = (struct sqa_sample){.round = round, .index = i, .slot = slot};
        status = take_sample(m, s, err);
        m->n++;
        if (status == SQA_OK)
            status = make_room(m, err);
        if ((double)(sqa_clock_wall() - start) >= turn_ms * 1e6 && i + 1 >= sqa_counters_passes(m->counters))
            break;
    }
    return status;
}

/* After a step that makes what is made once. */
static enum sqa_status count_step(struct sqa_meter *m, const struct sqa_child *c, const char *phase,
                                  struct sqa_err *err)
{
    char file[4096];
    snprintf(file, sizeof file, "%s/parts/%s.part/" SQA_COUNT_FILE, c->dir, c->cell->key, phase);
    enum sqa_status status = run_step(m, err);
    if (status != SQA_OK)
        return status;
    sqa_count_begin();
    status = run_step(m, err);
    const enum sqa_status read = sqa_count_end(file, &m->counted, err);
    return status == SQA_OK ? read : status;
}

/* One sample of the first token. */
static enum sqa_status take_first(struct sqa_meter *m, struct sqa_err *err)
{
    struct sqa_sample s = {0};
    const int64_t last = m->position;
    m->position = 0;
    const enum sqa_status status = take_sample(m, &s, err);
    m->position = last;
    m->first[m->n_first++] = s.ns;
    return status;
}

static enum sqa_status obey(struct sqa_meter *m, const struct sqa_child *c, const char *phase, struct sqa_err *err)
{
    char line[512];
    int round, slot;
    enum sqa_status status = SQA_OK;
    fprintf(c->out, "ready\n");
    fflush(c->out);
    while (status == SQA_OK && fgets(line, sizeof line, c->in)) {
        if (sscanf(line, "turn %d %d", &round, &slot) == 2) {
            status = m->counts ? count_step(m, c, phase, err) : take_turn(m, round, slot, c->plan->turn_ms, err);
            if (status == SQA_OK && m->first && m->n_first < c->plan->rounds)
                status = take_first(m, err);
            if (c->cell->threads > 1)
                sqa_wait_for_helpers(); /* the next turn is another child's */
            if (status == SQA_OK)
                fprintf(c->out, "done %d\n", m->n);
        } else if (strncmp(line, "proof ", 6) == 0) {
            snprintf(m->proof, sizeof m->proof, "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
        } else if (strncmp(line, "unfit ", 6) == 0) {
            snprintf(m->unfit, sizeof m->unfit, "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
        } else if (strncmp(line, "end", 3) == 0) {
            status = sqa_meter_save(m, c, phase, err);
            if (status == SQA_OK)
                fprintf(c->out, "saved\n");
            fflush(c->out);
            return status;
        }
        fflush(c->out);
    }
    return status == SQA_OK
               ? sqa_fail(err, SQA_INTERRUPTED, "measurement: the run ended; run the same command to go on")
               : status;
}

/* Token 1, or the number 0, in every row. */
static enum sqa_status prepare_steps(struct sqa_meter *m, struct sqa_err *err)
{
    struct sqa_trainer *t = m->t;
    const struct sqa_tensor *in;
    const enum sqa_status status = sqa_stepper_open(&m->stepper, t->model, &t->task, &t->store, t->recipe.batch,
                                                    t->threads, t->plans.compute, err);
    if (status != SQA_OK)
        return status;
    m->plan = m->stepper.plan;
    m->position = t->length - 1;
    sqa_stepper_fill(&m->stepper, t->seed);
    int32_t *tokens = sqa_plan_input(m->plan, "tokens", &in);
    for (int64_t i = 0; tokens && i < sqa_numel(in); i++)
        tokens[i] = t->task.vocab > 1;
    void *x = sqa_plan_input(m->plan, "x", &in);
    if (x)
        memset(x, 0, (size_t)sqa_numel(in) * sqa_dtype_size(in->dtype));
    return SQA_OK;
}

enum sqa_status sqa_cell_measure(const struct sqa_child *c, const char *phase, struct sqa_err *err)
{
    struct sqa_arena arena = {0};
    struct sqa_meter m = {.mode = strcmp(phase, "train") == 0 ? SQA_MODE_TRAIN : SQA_MODE_INFER,
                          .by_steps = strcmp(phase, "step") == 0,
                          .counts = sqa_plan_counts(c->plan),
                          .cold = c->plan->cache && strcmp(c->plan->cache, "cold") == 0};
    enum sqa_status status = sqa_cell_set_up(c, false, &m.bound, err);
    if (status == SQA_OK)
        status = sqa_cell_open_trainer(c, m.mode == SQA_MODE_TRAIN, &arena, &m.t, err);
    if (status == SQA_OK)
        status = m.by_steps ? prepare_steps(&m, err) : sqa_trainer_prepare(m.t, m.mode, &m.plan, err);
    if (status == SQA_OK && m.by_steps && !m.counts) {
        m.first = sqa_alloc_array((size_t)c->plan->rounds + 1, sizeof *m.first);
        if (!m.first)
            status = sqa_fail(err, SQA_NOMEM, "measurement: no memory; free some memory and run again");
    }
    if (status == SQA_OK && *c->plan->counters)
        m.counters = sqa_counters_open(&sqa_counter_machine, c->plan->counters, m.reason);
    if (status == SQA_OK && !m.counts)
        status = warm_up(&m, c->plan, err);
    if (status == SQA_OK)
        status = obey(&m, c, phase, err);
    if (m.counters)
        sqa_counters_close(m.counters);
    sqa_free(m.samples);
    sqa_text_clear(&m.bound);
    sqa_free(m.first);
    sqa_stepper_close(&m.stepper);
    sqa_trainer_close(m.t);
    sqa_arena_clear(&arena);
    return status;
}
