/* claims_plan.c - claim NAME --plan: commands and costs (see claims.h) */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/claims.h"

#define TURN_SECONDS 0.1 /* of bench, a round of one phase of one cell (harness/verb_run.c) */

static void duration(struct sqa_text *out, double s)
{
    if (s < 90)
        sqa_text_printf(out, "%.2g s", s);
    else if (s < 5400)
        sqa_text_printf(out, "%.0f min", s / 60);
    else if (s < 129600)
        sqa_text_printf(out, "%.1f h", s / 3600);
    else
        sqa_text_printf(out, "%.1f days", s / 86400);
}

/* Of "1,2,4" three, of "1K..16K", which doubles, five. */
static size_t items(const char *list)
{
    size_t n = 1;
    char low[32], high[32];
    int64_t from, to;
    if (sscanf(list, "%31[0-9KM]..%31s", low, high) == 2 && sqa_parse_int(low, &from) && sqa_parse_int(high, &to))
        for (; from > 0 && 2 * from <= to; from *= 2)
            n++;
    for (const char *s = list; *s; s++)
        n += *s == ',' ? 1 : 0;
    return n;
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
        duration(out, known);
        sqa_text_add(out, " of processor by the recorded rows");
    }
    if (unknown)
        sqa_text_printf(out, "; of %zu no recorded row says a rate", unknown);
    sqa_text_add(out, "\n");
}

static void timing_cost(const struct sqa_claim_command *c, struct sqa_text *out)
{
    double rounds = 10;
    const size_t tasks = count(c, "--task"), phases = items(option(c, "phase", "infer,train")),
                 cells = count(c, "--model") * (tasks ? tasks : 1) * items(option(c, "lengths", ""));
    sqa_parse_real(option(c, "rounds", "10"), &rounds);
    sqa_text_printf(out, "    %zu cells, %zu phase%s, %.0f rounds: at least ", cells, phases, phases > 1 ? "s" : "",
                    rounds);
    duration(out, (double)(cells * phases) * rounds * TURN_SECONDS);
    sqa_text_add(out, ", more where a step takes longer than 0.1 s\n");
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
            timing_cost(&commands[i], out);
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
