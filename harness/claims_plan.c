/* claims_plan.c - claim NAME --plan: commands and costs (see claims.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/claims.h"
#include "harness/plan.h"
#include "results/schema.h"

static size_t items(const char *list)
{
    size_t n = 1;
    for (const char *s = list; *s; s++)
        n += *s == ',' ? 1 : 0;
    return n;
}

/* The lengths of a command, one of 1K when it names none; returns their number: 0 when bench will refuse them. */
static size_t lengths_of(const char *list, int64_t out[SQA_SIZES_MAX])
{
    const struct sqa_texts texts = {.n = 1, .at = {list}};
    int n = 0;
    out[0] = 1024;
    if (!*list)
        return 1;
    return sqa_sizes_parse("--lengths", "length", "1K", SQA_LENGTH_MOST, &texts, out, &n, NULL) == SQA_OK ? (size_t)n
                                                                                                          : 0;
}

/* The value behind --NAME in a command; otherwise when it is not there. */
static const char *option(const struct sqa_claim_command *c, const char *name, const char *otherwise)
{
    for (int i = 2; i + 1 < c->argc; i++)
        if (strncmp(c->argv[i], "--", 2) == 0 && strcmp(c->argv[i] + 2, name) == 0)
            return c->argv[i + 1];
    return otherwise;
}

static size_t count(const struct sqa_claim_command *c, const char *flag)
{
    size_t n = 0;
    for (int i = 2; i < c->argc; i++)
        n += strcmp(c->argv[i], flag) == 0 ? 1 : 0;
    return n;
}

/* Mean seconds that training cells of a model on a task took in the pool; NaN when it has none. */
static double seconds_of(const struct sqa_pool *pool, const char *model, const char *task, const char *scale)
{
    double sum = 0, n = 0;
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *c = &pool->cells[i];
        const double s = sqa_pool_number(pool, c, SQA_PHASE_TRAIN, SQA_CELLS_total_seconds);
        if (strcmp(c->model, model) != 0 || strcmp(c->task, task) != 0 || strcmp(c->scale, scale) != 0 || isnan(s))
            continue;
        sum += s;
        n++;
    }
    return n > 0 ? sum / n : (double)NAN;
}

static void training_cost(const struct sqa_claim_command *c, const struct sqa_claim_cells *cells,
                          const struct sqa_pool *pool, struct sqa_text *out)
{
    char buf[32];
    double seeds = 1, known = 0;
    size_t unknown = 0, n = 0;
    sqa_parse_real(option(c, "seeds", "1"), &seeds);
    for (int i = 2; i + 1 < c->argc; i++)
        for (int k = 2; k + 1 < c->argc; k++) {
            if (strcmp(c->argv[i], "--model") != 0 || strcmp(c->argv[k], "--task") != 0)
                continue;
            const double s = seconds_of(pool, c->argv[i + 1], c->argv[k + 1], cells->scale);
            n++;
            unknown += isnan(s) ? 1 : 0;
            known += isnan(s) ? 0 : s * seeds;
        }
    sqa_text_printf(out, "    %zu models and tasks, %.0f seed%s each", n, seeds, seeds > 1 ? "s" : "");
    if (n > unknown) {
        sqa_text_add(out, ", about ");
        sqa_text_add(out, sqa_format_duration(buf, known));
        sqa_text_add(out, " of processor by the recorded rows");
    }
    if (unknown)
        sqa_text_printf(out, "; of %zu no recorded row says a rate", unknown);
    sqa_text_add(out, "\n");
}

/* Seconds that one step of a model took in the pool, at a length or on a task; NaN when it has no such row. */
static double step_of(const struct sqa_pool *pool, const char *model, const char *task, int64_t length, int phase,
                      const char *batch, const char *scale)
{
    for (size_t i = 0; i < pool->n_cells; i++) {
        const struct sqa_pool_cell *c = &pool->cells[i];
        if (strcmp(c->model, model) == 0 && strcmp(c->scale, scale) == 0 &&
            (task ? strcmp(c->task, task) == 0
                  : (double)length == sqa_pool_number(pool, c, phase, SQA_CELLS_length)) &&
            (!*batch || strcmp(sqa_pool_text(pool, c, phase, SQA_CELLS_batch), batch) == 0))
            return sqa_pool_number(pool, c, phase, SQA_CELLS_latency_ns_median) / 1e9;
    }
    return (double)NAN;
}

static void timing_cost(const struct sqa_claim_command *c, const struct sqa_claim_cells *cells,
                        const struct sqa_pool *pool, struct sqa_text *out)
{
    char buf[32];
    int64_t lengths[SQA_SIZES_MAX];
    const size_t n = lengths_of(option(c, "lengths", ""), lengths);
    const char *phases = option(c, "phase", "infer,train"), *batch = option(c, "batch", "");
    const bool tasks = count(c, "--task") > 0;
    const double turn =
        SQA_BENCH_TURN_MS / 1e3; /* a round of one phase of a cell takes that, or a step if that is longer */
    double rounds = SQA_BENCH_ROUNDS, seconds = 0;
    size_t cell_count = 0, unknown = 0;
    sqa_parse_real(option(c, "rounds", ""), &rounds);
    for (int m = 2; m + 1 < c->argc; m++)
        for (int t = 2; t + 1 < c->argc && strcmp(c->argv[m], "--model") == 0; t++) {
            const bool here = tasks ? strcmp(c->argv[t], "--task") == 0 : t == m;
            for (size_t i = 0; i < n && here; i++, cell_count++)
                for (int p = 0; p < SQA_PHASE_N; p++) {
                    if (!strstr(phases, sqa_phase_names[p]))
                        continue;
                    const double s = step_of(pool, c->argv[m + 1], tasks ? c->argv[t + 1] : NULL, lengths[i], p,
                                             batch, cells->scale);
                    unknown += isnan(s) ? 1 : 0;
                    seconds += rounds * (s > turn ? s : turn);
                }
        }
    sqa_text_printf(out, "    %zu cells, %zu phase%s, %.0f rounds: %s ", cell_count, items(phases),
                    items(phases) > 1 ? "s" : "", rounds, unknown ? "at least" : "about");
    sqa_text_add(out, sqa_format_duration(buf, seconds));
    sqa_text_add(out, unknown ? ", more where a step takes longer than 0.1 s and no recorded row says so\n"
                              : " by the recorded rows\n");
}

enum sqa_status sqa_claim_plan(const struct sqa_claim *claim, const struct sqa_claim_command *commands,
                               const char *const *why, const struct sqa_pool *pool, struct sqa_text *out,
                               struct sqa_err *err)
{
    struct sqa_arena arena = {0};
    bool failed = false;
    sqa_text_printf(out, "%s: %zu tests, %zu experiment%s\nbudget: %s\n", claim->name, claim->n_tests, claim->n_cells,
                    claim->n_cells == 1 ? "" : "s", claim->budget);
    for (size_t i = 0; i < claim->n_cells; i++) {
        const struct sqa_claim_cells *cells = &claim->cells[i];
        const char *text = sqa_claim_command_text(&commands[i], &arena);
        failed = failed || !text;
        sqa_text_printf(out, "\n%s:\n  %s\n", cells->label,
                        commands[i].argc == 0 ? "nothing of it can run here"
                        : text                ? text
                                              : "");
        if (commands[i].argc && cells->bench)
            timing_cost(&commands[i], cells, pool, out);
        else if (commands[i].argc)
            training_cost(&commands[i], cells, pool, out);
    }
    sqa_text_add(out, "\n");
    for (size_t i = 0; i < claim->n_tests; i++)
        if (why[i])
            sqa_text_printf(out, "not testable here: %s (%s)\n", claim->tests[i].label, why[i]);
    sqa_text_printf(out, "Then: seqarena claim %s\n", claim->name);
    sqa_arena_clear(&arena);
    return failed ? sqa_fail(err, SQA_NOMEM, "claim: no memory for the plan; free some memory and run again")
                  : SQA_OK;
}
