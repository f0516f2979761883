/* session.c - see session.h */
#include "harness/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "harness/command.h"
#include "harness/measure/measure.h"

enum { ROUNDS_DEFAULT = 20, ROUNDS_LEAST = 6, ROUNDS_MOST = 10000, PADDING = 4096, ARGUMENTS_MOST = 280 };

struct session {
    struct sqa_comparison *c;
    const struct sqa_session_options *o;
    const char *argv[ARGUMENTS_MOST];
    char run[4000], log[4000];
    int64_t start;
    bool terminal;
    json_t *runs;
};

static double elapsed(const struct session *s)
{
    return (double)(sqa_clock_wall() - s->start) * 1e-9;
}

static bool has_argument(const struct sqa_session_options *o, const char *name)
{
    const size_t n = strlen(name);
    for (int i = 0; i < o->n_arguments; i++)
        if (strncmp(o->arguments[i], name, n) == 0 && (o->arguments[i][n] == '\0' || o->arguments[i][n] == '='))
            return true;
    return false;
}

/* argv[0] is filled in for each run. One round inside a process, unless asked otherwise: more processes say more than
 * longer ones. */
static enum sqa_status make_arguments(struct session *s, struct sqa_err *err)
{
    const struct sqa_session_options *o = s->o;
    int n = 1;
    if (o->n_arguments == 0)
        return sqa_fail(err, SQA_USAGE,
                        "compare: nothing to time; give what bench takes after --, such as "
                        "-- --model local --lengths 1K");
    if (has_argument(o, "-o") || has_argument(o, "--output"))
        return sqa_fail(err, SQA_USAGE,
                        "compare: -o among the arguments of bench; leave it out, runs are read and "
                        "removed");
    s->argv[n++] = "bench";
    for (int i = 0; i < o->n_arguments && n < ARGUMENTS_MOST - 8; i++)
        s->argv[n++] = o->arguments[i];
    if (!has_argument(o, "--rounds")) {
        s->argv[n++] = "--rounds";
        s->argv[n++] = "1";
    }
    s->argv[n++] = "--quiet";
    s->argv[n++] = "-o";
    s->argv[n++] = s->run;
    s->argv[n] = NULL;
    return SQA_OK;
}

/* One process of one arm; its rows are taken in. */
static enum sqa_status run_arm(struct session *s, int look, long round, int place, enum sqa_arm arm, size_t padding,
                               struct sqa_err *err)
{
    const int side = arm == SQA_ARM_NEW;
    struct sqa_run_files run;
    char line[300];
    int code;
    s->argv[0] = s->o->program[side];
    enum sqa_status status =
        sqa_command_run(&(struct sqa_command){.argv = s->argv, .log = s->log, .padding = padding}, &code, err);
    if (status != SQA_OK)
        return status;
    json_array_append_new(s->runs, json_pack("{s:i,s:I,s:i,s:s,s:I}", "look", look + 1, "round",
                                             (json_int_t)round + 1, "place", place + 1, "arm", sqa_arm_names[arm],
                                             "padding_bytes", (json_int_t)padding));
    if (code != 0 && code != sqa_status_exit(SQA_PARTIAL)) {
        sqa_command_last_line(s->log, line, sizeof line);
        return sqa_fail(err,
                        code == 2   ? SQA_USAGE
                        : code == 3 ? SQA_INPUT
                                    : SQA_MACHINE,
                        "compare: %s: bench ended with status %d: %.250s; run it by itself with these arguments",
                        s->o->name[side], code, line);
    }
    status = sqa_run_files_read(s->run, &run, err);
    if (status == SQA_OK && !s->c->arm[arm].name)
        status = sqa_compare_name(s->c, &run, arm, s->o->name[side], err);
    if (status == SQA_OK)
        status = sqa_compare_take(s->c, &run, look, arm, round, err);
    sqa_run_files_clear(&run);
    sqa_scratch_remove(s->run);
    return status;
}

static enum sqa_status run_round(struct session *s, int look, long round, struct sqa_err *err)
{
    const uint64_t key = sqa_random_mix(sqa_random_key(s->o->seed, (uint64_t)look, "compare"), (uint64_t)round);
    uint32_t order[SQA_ARMS];
    enum sqa_status status = SQA_OK;
    sqa_random_permutation(key, order, SQA_ARMS);
    for (int place = 0; place < 2 * SQA_ARMS && status == SQA_OK; place++) {
        const uint32_t arm = order[place < SQA_ARMS ? place : 2 * SQA_ARMS - 1 - place];
        const size_t padding = 1 + (size_t)sqa_random_below(sqa_random_mix(key, 1), (uint64_t)place, PADDING);
        status = run_arm(s, look, round, place, (enum sqa_arm)arm, padding, err);
    }
    return status;
}

static void draw(const struct session *s, int look, long rounds)
{
    if (s->terminal)
        fprintf(stderr, "\r\033[K%s look: %ld rounds, %.0f s, %zu of %zu cells settled", look ? "second" : "first",
                rounds, elapsed(s), s->c->timed - s->c->unsettled, s->c->timed);
}

/* Whether every cell that was slower at the first look is told by the second. */
static bool second_is_settled(const struct sqa_comparison *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const enum sqa_timing_verdict second = c->cells[i].timing[1][c->clock].verdict;
        if (c->cells[i].timed && c->cells[i].timing[0][c->clock].verdict == SQA_TIMING_SLOWER &&
            (second == SQA_TIMING_CANNOT_TELL || second == SQA_TIMING_UNFIT))
            return false;
    }
    return true;
}

/* After `rounds` rounds of a look with a budget. Half of it is kept for a second look where one is due. */
static bool enough(const struct session *s, int look, long rounds, double begun)
{
    const struct sqa_comparison *c = s->c;
    const double each = (elapsed(s) - begun) / (double)rounds;
    const bool suspect = look == 0 && c->verdicts[SQA_TIMING_SLOWER] > 0;
    if (look ? second_is_settled(c) : c->unsettled == 0)
        return true;
    return elapsed(s) + each > (suspect ? s->o->budget / 2 : s->o->budget);
}

static enum sqa_status run_look(struct session *s, int look, long *rounds, struct sqa_err *err)
{
    const struct sqa_session_options *o = s->o;
    const bool budget = o->budget > 0;
    const long planned = o->rounds > 0 ? (long)o->rounds : budget ? ROUNDS_LEAST : ROUNDS_DEFAULT;
    const double begun = elapsed(s);
    enum sqa_status status = SQA_OK;
    for (*rounds = 0; *rounds < ROUNDS_MOST && status == SQA_OK;) {
        status = run_round(s, look, *rounds, err);
        *rounds += 1;
        if (status == SQA_OK)
            status = sqa_compare_judge(s->c, err);
        draw(s, look, *rounds);
        if (status == SQA_OK && s->c->timed == 0)
            break; /* counts are told by one round */
        if (*rounds >= planned && (!budget || enough(s, look, *rounds, begun)))
            break;
    }
    return status;
}

static enum sqa_status record(struct session *s, const long rounds[SQA_LOOKS], struct sqa_err *err)
{
    json_t *arguments = json_array();
    for (int i = 0; i < s->o->n_arguments; i++)
        json_array_append_new(arguments, json_string(s->o->arguments[i]));
    s->c->session = json_pack("{s:I,s:o,s:[I,I],s:f,s:f,s:O}", "seed", (json_int_t)s->o->seed, "bench", arguments,
                              "rounds", (json_int_t)rounds[0], (json_int_t)rounds[1], "seconds", elapsed(s),
                              "budget_seconds", s->o->budget, "runs", s->runs);
    return s->c->session ? SQA_OK : sqa_fail(err, SQA_NOMEM, "compare: no memory; free some memory and run again");
}

enum sqa_status sqa_session_run(struct sqa_comparison *c, const struct sqa_session_options *o, struct sqa_err *err)
{
    struct session s = {.c = c, .o = o, .start = sqa_clock_wall(), .runs = json_array()};
    long rounds[SQA_LOOKS] = {0};
    snprintf(s.run, sizeof s.run, "%s/run", o->folder);
    snprintf(s.log, sizeof s.log, "%s/run.log", o->folder);
    s.terminal = !o->quiet && isatty(2) && !(getenv("TERM") && strcmp(getenv("TERM"), "dumb") == 0);
    enum sqa_status status = make_arguments(&s, err);
    if (status == SQA_OK)
        status = run_look(&s, 0, &rounds[0], err);
    if (status == SQA_OK && c->verdicts[SQA_TIMING_SLOWER] > 0)
        status = run_look(&s, 1, &rounds[1], err);
    if (s.terminal)
        fprintf(stderr, "\r\033[K");
    if (status == SQA_OK)
        status = record(&s, rounds, err);
    json_decref(s.runs);
    return status;
}
