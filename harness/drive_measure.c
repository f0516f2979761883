/* drive_measure.c - measuring: all children of a group live, the parent gives turns, in an order drawn for each round */
#include "harness/drive_private.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/measure/others.h"
#include "harness/measure/rounds.h"
#include "results/schema.h"

enum { OTHERS_LINE = 400, PROOF_SECONDS = 60 };

/* Other runs beside a timing: more than this share of a processor, and more than a few ticks, spoil it. */
#define OTHERS_SHARE 0.02
#define OTHERS_SECONDS 0.05

static bool say(struct sqa_child_process *c, const char *text)
{
    c->idle = false;
    c->start = sqa_clock_wall(); /* the budget is for work, not for waiting */
    return write(c->to, text, strlen(text)) == (ssize_t)strlen(text);
}

static void wait_idle(struct sqa_drive_state *d, struct sqa_child_process *c)
{
    while (c->pid && !c->idle && !c->saved) {
        struct pollfd fd = {.fd = c->from, .events = POLLIN};
        poll(&fd, 1, 200);
        sqa_drive_check_time(d, c);
        if (sqa_drive_stop)
            kill(c->pid, SIGKILL); /* a measurement has nothing to save */
        if (!sqa_drive_listen_to(c)) {
            sqa_drive_reap(c);
            return;
        }
    }
}

/* Why a timing of that long beside those others is unfit, or "". */
static void find_unfit(const struct sqa_drive_state *d, const struct sqa_others *o, char reason[OTHERS_LINE])
{
    const double share = o->seconds > 0 ? o->busy / o->seconds : 0;
    reason[0] = '\0';
    if (sqa_plan_counts(d->p))
        return;
    if (share > OTHERS_SHARE && o->busy > OTHERS_SECONDS)
        snprintf(reason, OTHERS_LINE, "other runs of seqarena used %.0f %% of a processor meanwhile", 100 * share);
    const size_t n = strlen(reason);
    if (*d->machine.missing)
        snprintf(reason + n, OTHERS_LINE - n, "%sno lock for the machine: %.300s", n ? "; " : "", d->machine.missing);
}

static enum sqa_status close_group(struct sqa_drive_state *d, int n, const char *unfit, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < n; i++) {
        struct sqa_child_process *c = &d->children[i];
        char text[OTHERS_LINE + SQA_PROOF_TEXT + 32];
        snprintf(text, sizeof text, "proof %s\n%s%s%send\n", d->proof[c->cell], *unfit ? "unfit " : "", unfit,
                 *unfit ? "\n" : "");
        if (c->pid && !sqa_drive_stop)
            say(c, text);
        c->idle = false;
        while (c->pid) {
            struct pollfd fd = {.fd = c->from, .events = POLLIN};
            poll(&fd, 1, 200);
            sqa_drive_check_time(d, c);
            if (sqa_drive_stop)
                kill(c->pid, SIGKILL);
            if (!sqa_drive_listen_to(c))
                sqa_drive_reap(c);
        }
    }
    for (int i = 0; i < n && status == SQA_OK; i++) {
        struct sqa_child_process *c = &d->children[i];
        if (!c->saved || c->code != SQA_OK)
            status = sqa_drive_conclude(d, c, err);
    }
    for (int i = 0; i < n && status == SQA_OK && !sqa_drive_stop; i++)
        if (d->state[d->children[i].cell] != FINISHED)
            status = sqa_drive_finish(d, d->children[i].cell, SQA_OK, "ok", "", err);
    return status;
}

static enum sqa_status measure_group(struct sqa_drive_state *d, const int *cells, int ncells, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    int n = 0;
    for (int i = 0; i < ncells && status == SQA_OK && !sqa_drive_stop; i++)
        for (int phase = 0; phase < SQA_PHASE_N && status == SQA_OK; phase++) {
            const struct sqa_cell *c = &d->p->cells[cells[i]];
            const int wanted[SQA_PHASE_N] = {c->train, c->infer, c->step};
            if (!wanted[phase])
                continue;
            status = sqa_drive_spawn(d, &d->children[n], cells[i], sqa_phase_names[phase], err);
            if (status == SQA_OK)
                wait_idle(d, &d->children[n++]); /* one after the other: warm-ups do not disturb each other */
        }
    struct sqa_others others;
    char unfit[OTHERS_LINE];
    sqa_others_begin(&others);
    for (int64_t round = 0; round < d->p->rounds && status == SQA_OK && !sqa_drive_stop; round++) {
        int order[SQA_DRIVE_LIVE];
        sqa_round_order((uint64_t)d->p->order_seed, round, n, order);
        for (int i = 0; i < n && !sqa_drive_stop; i++) {
            struct sqa_child_process *c = &d->children[order[i]];
            char text[32], what[80];
            if (!c->pid)
                continue;
            snprintf(text, sizeof text, "turn %lld %d\n", (long long)round, i);
            if (say(c, text))
                wait_idle(d, c);
            snprintf(what, sizeof what, "measuring, round %lld of %lld", (long long)round + 1,
                     (long long)d->p->rounds);
            sqa_drive_draw(d, what, (double)(d->ok + d->bad) / d->p->n);
        }
        sqa_others_look(&others);
    }
    if (status != SQA_OK) {
        sqa_drive_kill_all(d, SIGKILL);
        return status;
    }
    find_unfit(d, &others, unfit);
    return close_group(d, n, unfit, err);
}

/* Lets a child check what is not known yet, so that a crash or an endless loop is only the child's. */
static enum sqa_status prove(struct sqa_drive_state *d, int cell, struct sqa_err *err)
{
    struct sqa_child_process *c = &d->children[0];
    char *text = d->proof[cell];
    enum sqa_status status = sqa_drive_spawn(d, c, cell, "check", err);
    if (status != SQA_OK)
        return status;
    for (bool open = true; open;) {
        sqa_drive_wait_for_children(d, 200);
        if (sqa_drive_stop || sqa_clock_wall() - c->start > PROOF_SECONDS * 1000000000LL) {
            c->timed_out = !sqa_drive_stop;
            kill(c->pid, SIGKILL);
        }
        open = sqa_drive_listen_to(c);
    }
    const bool late = c->timed_out;
    sqa_drive_reap(c);
    if (sqa_drive_stop)
        return SQA_OK;
    if (late)
        snprintf(text, SQA_PROOF_TEXT, "none: the checks did not end in %d s", PROOF_SECONDS);
    else if (c->code == SQA_OK)
        snprintf(text, SQA_PROOF_TEXT, "%s", c->proof);
    else if (c->code == SQA_NO || c->code == SQA_MACHINE)
        return sqa_drive_finish(d, cell, SQA_NO, "mistrusted", c->error, err);
    else
        snprintf(text, SQA_PROOF_TEXT, "none: %.200s", c->error);
    return SQA_OK;
}

/* Nothing is timed that a check of this build has found wrong. */
static enum sqa_status prove_cells(struct sqa_drive_state *d, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < d->p->n && status == SQA_OK && !sqa_drive_stop; i++) {
        struct sqa_err why = {0};
        if (d->state[i] == FINISHED || !sqa_drive_is_measured(d, i))
            continue;
        const enum sqa_status known = sqa_proof(d->p->cells[i].model_text, 0, d->proof[i], &why);
        if (known == SQA_NO)
            status = sqa_drive_finish(d, i, SQA_NO, "mistrusted", why.text, err);
        else if (known != SQA_OK)
            status = prove(d, i, err);
    }
    return status;
}

static bool is_anything_timed(const struct sqa_drive_state *d)
{
    bool any = false;
    for (int i = 0; i < d->p->n; i++)
        any = any || (d->state[i] != FINISHED && sqa_drive_is_measured(d, i));
    return any && !sqa_plan_counts(d->p);
}

enum sqa_status sqa_drive_measure_cells(struct sqa_drive_state *d, struct sqa_err *err)
{
    const int most = sqa_plan_counts(d->p) ? 1 : SQA_DRIVE_LIVE / SQA_PHASE_N; /* valgrind takes memory */
    int group[SQA_DRIVE_LIVE / SQA_PHASE_N], n = 0;
    enum sqa_status status = SQA_OK;
    d->machine = (struct sqa_machine_lock){.timing = -1, .missing = ""};
    status = prove_cells(d, err);
    if (status == SQA_OK && !sqa_drive_stop && is_anything_timed(d))
        status = sqa_machine_lock(&d->machine, d->p->verb, !d->o->no_wait, d->o->quiet, err);
    if (status == SQA_INTERRUPTED && sqa_drive_stop)
        return SQA_OK; /* sqa_drive says so */
    for (int i = 0; i <= d->p->n && status == SQA_OK && !sqa_drive_stop; i++) {
        const bool take = i < d->p->n && d->state[i] != FINISHED && sqa_drive_is_measured(d, i);
        if (take)
            group[n++] = i;
        if (n > 0 && (i == d->p->n || n == most)) {
            status = measure_group(d, group, n, err);
            n = 0;
        }
    }
    sqa_machine_unlock(&d->machine);
    return status;
}
