/* drive.c - see drive.h */
#include "harness/drive.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/cell.h"
#include "harness/machine_lock.h"
#include "harness/measure/count.h"
#include "harness/measure/measure.h"
#include "harness/measure/others.h"
#include "harness/measure/rounds.h"
#include "harness/proof.h"
#include "harness/rundir.h"
#include "harness/search.h"
#include "results/table.h"

enum { LIVE_MAX = 24, LINE = 1400, OTHERS_LINE = 400, PROOF_SECONDS = 60 };

/* Other runs beside a timing: more than this share of a processor, and more than a few ticks, spoil it. */
#define OTHERS_SHARE 0.02
#define OTHERS_SECONDS 0.05

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = stop ? 2 : 1; /* asked twice: at once */
}

enum state { PENDING, TRAINED, FINISHED };

struct child {
    pid_t pid; /* 0: free */
    int cell;
    const char *phase; /* NULL: training */
    int to, from;      /* pipes */
    char line[LINE];
    size_t length;
    int64_t start;
    bool ready, saved, timed_out, idle, paused;
    enum sqa_status code;
    char error[1024];
    char proof[SQA_PROOF_TEXT];
    long long step, steps;
    double loss, metric;
};

struct drive {
    struct sqa_run_plan *p;
    const struct sqa_drive_options *o;
    struct sqa_rundir directory;
    const char *dir; /* its path */
    enum state *state;
    const char **keys;
    int ok, bad;
    enum sqa_status first_code;
    char first_error[1024];
    int64_t start, last_draw;
    double *fraction; /* of each cell's training that is done */
    double fraction_start;
    bool terminal, drawn;
    struct child children[LIVE_MAX];
    char (*proof)[SQA_PROOF_TEXT];   /* verdicts of the checks of cells that are timed */
    struct sqa_machine_lock machine; /* while it measures */
};

/* Status names of rows */
static const char *row_status(enum sqa_status code)
{
    switch (code) {
    case SQA_OK:
        return "ok";
    case SQA_NO:
        return "diverged";
    case SQA_NOMEM:
        return "nomem";
    case SQA_UNSUPPORTED:
    case SQA_SHAPE:
        return "unsupported";
    default:
        return "failed";
    }
}

/* Progress */

static void format_left(char buf[32], double seconds)
{
    if (!isfinite(seconds))
        snprintf(buf, 32, "-");
    else if (seconds < 90)
        snprintf(buf, 32, "%.0f s", seconds);
    else if (seconds < 5400)
        snprintf(buf, 32, "%.0f min", seconds / 60);
    else
        snprintf(buf, 32, "%.1f h", seconds / 3600);
}

static void clear_line(struct drive *d)
{
    if (d->drawn)
        fprintf(stderr, "\r\033[K");
    d->drawn = false;
}

static void draw(struct drive *d, const char *what, double fraction)
{
    if (!d->terminal || sqa_clock_wall() - d->last_draw < 200000000)
        return;
    d->last_draw = sqa_clock_wall();
    char left[32], bar[21] = "....................";
    const double elapsed = (double)(d->last_draw - d->start) * 1e-9, gone = fraction - d->fraction_start;
    format_left(left, gone > 0.002 ? elapsed * (1 - fraction) / gone : (double)NAN);
    for (int i = 0; i < 20 && i < (int)(fraction * 20 + 0.5); i++)
        bar[i] = '#';
    fprintf(stderr, "\r\033[K[%s] %3.0f %%  %d of %d cells  left %s  %.60s", bar, fraction * 100, d->ok + d->bad,
            d->p->n, left, what);
    fflush(stderr);
    d->drawn = true;
}

static double training_fraction(const struct drive *d)
{
    double sum = 0;
    for (int i = 0; i < d->p->n; i++)
        sum += d->state[i] != PENDING ? 1 : d->fraction[i];
    return sum / (double)d->p->n;
}

static void draw_training(struct drive *d)
{
    char what[128] = "";
    for (int i = 0; i < LIVE_MAX; i++) {
        const struct child *c = &d->children[i];
        if (c->pid && c->steps > 0) {
            snprintf(what, sizeof what, "%.40s step %lld/%lld loss %.3f", d->p->cells[c->cell].model, c->step,
                     c->steps, c->loss);
            break;
        }
    }
    draw(d, what, training_fraction(d));
}

/* Children */

static void become_child(const struct drive *d, int cell, const char *phase, const char *slot, const char *part)
{
    const char *const argv[] = {"seqarena",
                                "cell",
                                d->dir,
                                d->p->cells[cell].key,
                                phase ? phase : "fit",
                                d->p->data_dir ? d->p->data_dir : "",
                                slot,
                                NULL};
    char *const *args = (char *const *)(uintptr_t)argv;
    char program[4096], file[4096];
    if (!phase || !sqa_plan_counts(d->p) || strcmp(phase, "check") == 0) {
        execv("/proc/self/exe", args);
        return;
    }
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0)
        return;
    program[n] = '\0';
    snprintf(file, sizeof file, "%s/" SQA_COUNT_FILE, part, phase);
    sqa_count_exec(program, args, file);
}

static enum sqa_status spawn(struct drive *d, struct child *c, int cell, const char *phase, struct sqa_err *err)
{
    int down[2], up[2];
    char log[4096], part[4000], slot[16];
    snprintf(slot, sizeof slot, "%d", phase ? 0 : (int)(c - d->children));
    snprintf(part, sizeof part, "%s/parts/%s.part", d->dir, d->p->cells[cell].key);
    enum sqa_status status = sqa_make_dirs(part, err);
    if (status != SQA_OK)
        return status;
    snprintf(log, sizeof log, "%s/log.txt", part);
    if (pipe2(down, O_CLOEXEC) != 0)
        return sqa_fail(err, SQA_MACHINE, "run: pipe: %s; raise the limit of open files", strerror(errno));
    if (pipe2(up, O_CLOEXEC) != 0) {
        close(down[0]);
        close(down[1]);
        return sqa_fail(err, SQA_MACHINE, "run: pipe: %s; raise the limit of open files", strerror(errno));
    }
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(4);
        const int file = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        dup2(down[0], 0);
        dup2(up[1], 1);
        if (file >= 0)
            dup2(file, 2);
        become_child(d, cell, phase, slot, part);
        _exit(4);
    }
    close(down[0]);
    close(up[1]);
    if (pid < 0) {
        close(down[1]);
        close(up[0]);
        return sqa_fail(err, SQA_MACHINE, "run: fork: %s; free some memory or processes", strerror(errno));
    }
    fcntl(up[0], F_SETFL, O_NONBLOCK);
    *c = (struct child){
        .pid = pid, .cell = cell, .phase = phase, .to = down[1], .from = up[0], .start = sqa_clock_wall()};
    return SQA_OK;
}

/* A training that waits for somebody's timing does not use its budget. */
static void turn_clock(struct child *c, bool pause)
{
    if (pause && !c->paused)
        c->start -= sqa_clock_wall(); /* minus what was used */
    else if (!pause && c->paused)
        c->start += sqa_clock_wall();
    c->paused = pause;
}

static void take_line(struct child *c, char *line)
{
    char name[32];
    int n = 0;
    if (sscanf(line, "progress %lld %lld %lf %lf", &c->step, &c->steps, &c->loss, &c->metric) >= 2)
        return;
    if (strcmp(line, "ready") == 0)
        c->ready = c->idle = true;
    else if (strncmp(line, "done", 4) == 0)
        c->idle = true;
    else if (strcmp(line, "saved") == 0)
        c->saved = true;
    else if (strncmp(line, "proof ", 6) == 0)
        snprintf(c->proof, sizeof c->proof, "%s", line + 6);
    else if (strcmp(line, "paused") == 0 || strcmp(line, "resumed") == 0)
        turn_clock(c, line[0] == 'p');
    else if (sscanf(line, "error %31s %n", name, &n) == 1 && n > 0) {
        for (int code = SQA_OK; code <= SQA_INTERRUPTED; code++)
            if (strcmp(sqa_status_name((enum sqa_status)code), name) == 0)
                c->code = (enum sqa_status)code;
        snprintf(c->error, sizeof c->error, "%s", line + n);
    }
}

/* Reads what a child wrote; false when its pipe is closed. */
static bool listen_to(struct child *c)
{
    for (;;) {
        const ssize_t n = read(c->from, c->line + c->length, LINE - 1 - c->length);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0)
            return false;
        c->length += (size_t)n;
        c->line[c->length] = '\0';
        char *line = c->line, *end;
        while ((end = strchr(line, '\n'))) {
            *end = '\0';
            take_line(c, line);
            line = end + 1;
        }
        c->length = strlen(line);
        memmove(c->line, line, c->length + 1);
        if (c->length == LINE - 1)
            c->length = 0;
    }
}

/* Waits for a child that closed its pipe and says how it ended. */
static void reap(struct child *c)
{
    int status = 0;
    close(c->to);
    close(c->from);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (c->timed_out) {
        c->code = SQA_MACHINE;
    } else if (WIFSIGNALED(status)) {
        const int number = WTERMSIG(status);
        c->code = number == SIGKILL ? SQA_NOMEM : SQA_MACHINE;
        snprintf(c->error, sizeof c->error, "the child was killed by signal %d (%s)%s", number, strsignal(number),
                 number == SIGKILL ? ", perhaps by the kernel for lack of memory" : "");
    } else if (!c->saved && c->code == SQA_OK) {
        c->code = SQA_MACHINE;
        snprintf(c->error, sizeof c->error, "the child ended with status %d and no result; see log.txt of the cell",
                 WEXITSTATUS(status));
    }
    c->pid = 0;
}

static void kill_all(struct drive *d, int number)
{
    for (int i = 0; i < LIVE_MAX; i++)
        if (d->children[i].pid)
            kill(d->children[i].pid, number);
}

static enum sqa_status join_files(struct drive *d, struct sqa_err *err)
{
    return sqa_table_join(d->dir, d->keys, (size_t)d->p->n, err);
}

static enum sqa_status finish(struct drive *d, int cell, enum sqa_status code, const char *status,
                              const char *message, struct sqa_err *err)
{
    const struct sqa_cell *c = &d->p->cells[cell];
    const enum sqa_status written = sqa_cell_finish(d->dir, d->p, c, status, message, err);
    if (written != SQA_OK)
        return written;
    d->state[cell] = FINISHED;
    if (code == SQA_OK) {
        d->ok++;
    } else {
        d->bad++;
        clear_line(d);
        if (d->terminal)
            fprintf(stderr, "seqarena: %s on %s, seed %lld: %s: %s\n", c->model, c->task, (long long)c->seed, status,
                    message);
        if (d->first_code == SQA_OK) {
            d->first_code = code;
            snprintf(d->first_error, sizeof d->first_error, "%s", message);
        }
    }
    return join_files(d, err);
}

/* A child has ended: what becomes of its cell. */
static enum sqa_status conclude(struct drive *d, struct child *c, struct sqa_err *err)
{
    if (c->timed_out) {
        char text[128];
        snprintf(text, sizeof text, "stopped after the budget of %g s", d->p->budget);
        return finish(d, c->cell, SQA_MACHINE, "timeout", text, err);
    }
    if (c->code == SQA_INTERRUPTED || (stop && !c->saved))
        return SQA_OK; /* stays pending */
    if (c->code != SQA_OK)
        return d->state[c->cell] == FINISHED ? SQA_OK
                                             : finish(d, c->cell, c->code, row_status(c->code), c->error, err);
    return SQA_OK;
}

static void wait_for_children(struct drive *d, int milliseconds)
{
    struct pollfd fds[LIVE_MAX];
    nfds_t n = 0;
    for (int i = 0; i < LIVE_MAX; i++)
        if (d->children[i].pid)
            fds[n++] = (struct pollfd){.fd = d->children[i].from, .events = POLLIN};
    poll(fds, n, milliseconds);
}

static void check_time(struct drive *d, struct child *c)
{
    const double seconds = (double)(sqa_clock_wall() - c->start) * 1e-9;
    if (d->p->budget > 0 && !c->timed_out && !c->paused && seconds > d->p->budget) {
        c->timed_out = true;
        kill(c->pid, SIGKILL);
    }
}

/* Training: up to p->jobs children at a time. */

static enum sqa_status after_training(struct drive *d, struct child *c, bool measure, struct sqa_err *err)
{
    d->state[c->cell] = TRAINED;
    return measure ? SQA_OK : finish(d, c->cell, SQA_OK, "ok", "", err);
}

/* Only the first seed of a model on a task is measured: time does not depend on the seed. */
static bool is_measured(const struct drive *d, int cell)
{
    const struct sqa_cell *c = &d->p->cells[cell];
    if (d->p->rounds == 0 || c->floor || sqa_cell_is_trial(c))
        return false;
    for (int i = 0; i < cell; i++) {
        const struct sqa_cell *o = &d->p->cells[i];
        if (strcmp(o->model_full, c->model_full) == 0 && strcmp(o->task_full, c->task_full) == 0 &&
            strcmp(o->recipe, c->recipe) == 0 && o->length == c->length)
            return false;
    }
    return true;
}

/* Trials of searches, or all other cells. */
static enum sqa_status train_cells(struct drive *d, bool trials, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    int next = 0, live = 0;
    bool told = false;
    while (status == SQA_OK) {
        for (int i = 0; i < d->p->jobs && i < LIVE_MAX && !stop && status == SQA_OK; i++) {
            if (d->children[i].pid)
                continue;
            while (next < d->p->n && (d->state[next] != PENDING || !d->p->cells[next].train_accuracy ||
                                      sqa_cell_is_trial(&d->p->cells[next]) != trials))
                next++;
            if (next == d->p->n)
                break;
            status = spawn(d, &d->children[i], next++, NULL, err);
            live += status == SQA_OK;
        }
        if (live == 0)
            break;
        if (stop && !told) {
            kill_all(d, SIGTERM);
            told = true;
        }
        if (stop > 1)
            kill_all(d, SIGKILL);
        wait_for_children(d, 200);
        for (int i = 0; i < LIVE_MAX && status == SQA_OK; i++) {
            struct child *c = &d->children[i];
            if (!c->pid)
                continue;
            check_time(d, c);
            const bool open = listen_to(c);
            d->fraction[c->cell] = c->steps > 0 ? (double)c->step / (double)c->steps : 0;
            if (open)
                continue;
            reap(c);
            live--;
            status = conclude(d, c, err);
            if (status == SQA_OK && c->saved && c->code == SQA_OK)
                status = after_training(d, c, is_measured(d, c->cell), err);
        }
        draw_training(d);
    }
    if (status != SQA_OK)
        kill_all(d, SIGKILL);
    return status;
}

/* Puts what the trials chose into the recipes; a cell whose trials did not end well ends as they did. */
static enum sqa_status settle_cells(struct drive *d, struct sqa_err *err)
{
    char row[32];
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < d->p->n && status == SQA_OK; i++) {
        struct sqa_err why = {0};
        const enum sqa_status settled = sqa_search_settle(d->dir, d->p, &d->p->cells[i], row, &why);
        if (settled == SQA_NOMEM)
            status = sqa_fail(err, SQA_NOMEM, "%s", why.text);
        else if (settled != SQA_OK && d->state[i] != FINISHED)
            status = finish(d, i, settled, row, why.text, err);
    }
    return status;
}

/* Measuring: all children of a group live, the parent gives turns, in an order drawn for each round. */

static bool say(struct child *c, const char *text)
{
    c->idle = false;
    c->start = sqa_clock_wall(); /* the budget is for work, not for waiting */
    return write(c->to, text, strlen(text)) == (ssize_t)strlen(text);
}

static void wait_idle(struct drive *d, struct child *c)
{
    while (c->pid && !c->idle && !c->saved) {
        struct pollfd fd = {.fd = c->from, .events = POLLIN};
        poll(&fd, 1, 200);
        check_time(d, c);
        if (stop)
            kill(c->pid, SIGKILL); /* a measurement has nothing to save */
        if (!listen_to(c)) {
            reap(c);
            return;
        }
    }
}

/* Why a timing of that long beside those others is unfit, or "". */
static void find_unfit(const struct drive *d, const struct sqa_others *o, char reason[OTHERS_LINE])
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

static enum sqa_status close_group(struct drive *d, int n, const char *unfit, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < n; i++) {
        struct child *c = &d->children[i];
        char text[OTHERS_LINE + SQA_PROOF_TEXT + 32];
        snprintf(text, sizeof text, "proof %s\n%s%s%send\n", d->proof[c->cell], *unfit ? "unfit " : "", unfit,
                 *unfit ? "\n" : "");
        if (c->pid && !stop)
            say(c, text);
        c->idle = false;
        while (c->pid) {
            struct pollfd fd = {.fd = c->from, .events = POLLIN};
            poll(&fd, 1, 200);
            check_time(d, c);
            if (stop)
                kill(c->pid, SIGKILL);
            if (!listen_to(c))
                reap(c);
        }
    }
    for (int i = 0; i < n && status == SQA_OK; i++) {
        struct child *c = &d->children[i];
        if (!c->saved || c->code != SQA_OK)
            status = conclude(d, c, err);
    }
    for (int i = 0; i < n && status == SQA_OK && !stop; i++)
        if (d->state[d->children[i].cell] != FINISHED)
            status = finish(d, d->children[i].cell, SQA_OK, "ok", "", err);
    return status;
}

static enum sqa_status measure_group(struct drive *d, const int *cells, int ncells, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    int n = 0;
    for (int i = 0; i < ncells && status == SQA_OK && !stop; i++)
        for (int phase = 0; phase < SQA_PHASE_N && status == SQA_OK; phase++) {
            const struct sqa_cell *c = &d->p->cells[cells[i]];
            const int wanted[SQA_PHASE_N] = {c->train, c->infer, c->step};
            if (!wanted[phase])
                continue;
            status = spawn(d, &d->children[n], cells[i], sqa_phase_names[phase], err);
            if (status == SQA_OK)
                wait_idle(d, &d->children[n++]); /* one after the other: warm-ups do not disturb each other */
        }
    struct sqa_others others;
    char unfit[OTHERS_LINE];
    sqa_others_begin(&others);
    for (int64_t round = 0; round < d->p->rounds && status == SQA_OK && !stop; round++) {
        int order[LIVE_MAX];
        sqa_round_order((uint64_t)d->p->order_seed, round, n, order);
        for (int i = 0; i < n && !stop; i++) {
            struct child *c = &d->children[order[i]];
            char text[32], what[80];
            if (!c->pid)
                continue;
            snprintf(text, sizeof text, "turn %lld %d\n", (long long)round, i);
            if (say(c, text))
                wait_idle(d, c);
            snprintf(what, sizeof what, "measuring, round %lld of %lld", (long long)round + 1,
                     (long long)d->p->rounds);
            draw(d, what, (double)(d->ok + d->bad) / d->p->n);
        }
        sqa_others_look(&others);
    }
    if (status != SQA_OK) {
        kill_all(d, SIGKILL);
        return status;
    }
    find_unfit(d, &others, unfit);
    return close_group(d, n, unfit, err);
}

/* Lets a child check what is not known yet, so that a crash or an endless loop is only the child's. */
static enum sqa_status prove(struct drive *d, int cell, struct sqa_err *err)
{
    struct child *c = &d->children[0];
    char *text = d->proof[cell];
    enum sqa_status status = spawn(d, c, cell, "check", err);
    if (status != SQA_OK)
        return status;
    for (bool open = true; open;) {
        wait_for_children(d, 200);
        if (stop || sqa_clock_wall() - c->start > PROOF_SECONDS * 1000000000LL) {
            c->timed_out = !stop;
            kill(c->pid, SIGKILL);
        }
        open = listen_to(c);
    }
    const bool late = c->timed_out;
    reap(c);
    if (stop)
        return SQA_OK;
    if (late)
        snprintf(text, SQA_PROOF_TEXT, "none: the checks did not end in %d s", PROOF_SECONDS);
    else if (c->code == SQA_OK)
        snprintf(text, SQA_PROOF_TEXT, "%s", c->proof);
    else if (c->code == SQA_NO || c->code == SQA_MACHINE)
        return finish(d, cell, SQA_NO, "mistrusted", c->error, err);
    else
        snprintf(text, SQA_PROOF_TEXT, "none: %.200s", c->error);
    return SQA_OK;
}

/* Nothing is timed that a check of this build has found wrong. */
static enum sqa_status prove_cells(struct drive *d, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < d->p->n && status == SQA_OK && !stop; i++) {
        struct sqa_err why = {0};
        if (d->state[i] == FINISHED || !is_measured(d, i))
            continue;
        const enum sqa_status known = sqa_proof(d->p->cells[i].model_text, 0, d->proof[i], &why);
        if (known == SQA_NO)
            status = finish(d, i, SQA_NO, "mistrusted", why.text, err);
        else if (known != SQA_OK)
            status = prove(d, i, err);
    }
    return status;
}

static bool is_anything_timed(const struct drive *d)
{
    bool any = false;
    for (int i = 0; i < d->p->n; i++)
        any = any || (d->state[i] != FINISHED && is_measured(d, i));
    return any && !sqa_plan_counts(d->p);
}

static enum sqa_status measure_cells(struct drive *d, struct sqa_err *err)
{
    const int most = sqa_plan_counts(d->p) ? 1 : LIVE_MAX / SQA_PHASE_N; /* valgrind takes memory */
    int group[LIVE_MAX / SQA_PHASE_N], n = 0;
    enum sqa_status status = SQA_OK;
    d->machine = (struct sqa_machine_lock){.timing = -1, .missing = ""};
    status = prove_cells(d, err);
    if (status == SQA_OK && !stop && is_anything_timed(d))
        status = sqa_machine_lock(&d->machine, d->p->verb, !d->o->no_wait, d->o->quiet, err);
    if (status == SQA_INTERRUPTED && stop)
        return SQA_OK; /* sqa_drive says so */
    for (int i = 0; i <= d->p->n && status == SQA_OK && !stop; i++) {
        const bool take = i < d->p->n && d->state[i] != FINISHED && is_measured(d, i);
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

/* What a finished part says of its cell; retry takes back those that did not end well. */
static void look_at_finished(struct drive *d, int cell)
{
    char path[4096];
    struct sqa_sheet sheet;
    snprintf(path, sizeof path, "%s/parts/%s/cells.csv", d->dir, d->p->cells[cell].key);
    if (!sqa_file_exists(path) || sqa_sheet_read(path, &sheet, NULL) != SQA_OK)
        return;
    const int column = sqa_sheet_column(&sheet, "status"), message = sqa_sheet_column(&sheet, "message");
    const bool ok = column >= 0 && sheet.nrow > 0 && strcmp(sheet.row[0][column], "ok") == 0;
    if (!ok && d->o->retry) {
        sqa_rundir_remove_part(d->dir, d->p->cells[cell].key);
    } else {
        d->state[cell] = FINISHED;
        *(ok ? &d->ok : &d->bad) += 1;
        if (!ok && d->first_code == SQA_OK) {
            d->first_code = SQA_MACHINE;
            snprintf(d->first_error, sizeof d->first_error, "%s",
                     message >= 0 && sheet.nrow ? sheet.row[0][message] : "");
        }
    }
    sqa_sheet_clear(&sheet);
}

static void find_states(struct drive *d)
{
    char path[4096];
    for (int i = 0; i < d->p->n; i++) {
        d->keys[i] = d->p->cells[i].key;
        look_at_finished(d, i);
        snprintf(path, sizeof path, "%s/parts/%s.part/trained.json", d->dir, d->p->cells[i].key);
        if (d->state[i] == PENDING && (sqa_file_exists(path) || !d->p->cells[i].train_accuracy))
            d->state[i] = TRAINED;
    }
}

/* Trained before an interruption, nothing left to be done. */
static enum sqa_status finish_unmeasured(struct drive *d, bool trials, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < d->p->n && status == SQA_OK; i++)
        if (d->state[i] == TRAINED && sqa_cell_is_trial(&d->p->cells[i]) == trials && !is_measured(d, i))
            status = finish(d, i, SQA_OK, "ok", "", err);
    return status;
}

/* OpenMP threads that wait spin for milliseconds before they sleep. Where others want the processors, that is the time
 * of those for whom they wait; then they sleep at once, unless the user chose. A quiet machine is left as it is. The
 * runtime reads the variable when a program starts: this is for the children. */
static void choose_waiting(const struct sqa_run_plan *p)
{
    int64_t threads = 1;
    for (int i = 0; i < p->n; i++)
        threads = p->cells[i].threads > threads ? p->cells[i].threads : threads;
    if (threads == 1 || getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT"))
        return;
    if (sqa_others_running() + threads * (p->jobs > 1 ? p->jobs : 1) > sysconf(_SC_NPROCESSORS_ONLN))
        setenv("OMP_WAIT_POLICY", "passive", 1);
}

enum sqa_status sqa_drive(struct sqa_run_plan *p, const struct sqa_drive_options *o, struct sqa_err *err)
{
    struct drive *d = sqa_alloc(sizeof *d);
    struct sigaction a = {.sa_handler = on_signal};
    enum sqa_status status;
    if (!d)
        return sqa_fail(err, SQA_NOMEM, "run: no memory; free some memory and run again");
    d->p = p;
    d->o = o;
    d->directory.lock = -1;
    d->dir = d->directory.path;
    d->terminal = !o->quiet && isatty(2) && !(getenv("TERM") && strcmp(getenv("TERM"), "dumb") == 0);
    d->state = sqa_alloc_array((size_t)p->n, sizeof *d->state);
    d->keys = sqa_alloc_array((size_t)p->n, sizeof *d->keys);
    d->fraction = sqa_alloc_array((size_t)p->n, sizeof *d->fraction);
    d->proof = sqa_alloc_array((size_t)p->n, sizeof *d->proof);
    if (!d->state || !d->keys || !d->fraction || !d->proof) {
        status = sqa_fail(err, SQA_NOMEM, "run: no memory; free some memory and run again");
        goto out;
    }
    setenv("OPENBLAS_NUM_THREADS", "1", 1); /* children: no idle threads with buffers of their own */
    choose_waiting(p);                      /* before run.json, which has the variable then */
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    status = sqa_rundir_open(&d->directory, p, o, err);
    if (status != SQA_OK)
        goto out;
    find_states(d);
    d->start = sqa_clock_wall();
    d->fraction_start = training_fraction(d);
    status = train_cells(d, true, err);
    if (status == SQA_OK && !stop)
        status = finish_unmeasured(d, true, err);
    if (status == SQA_OK && !stop)
        status = settle_cells(d, err);
    if (status == SQA_OK && !stop)
        status = train_cells(d, false, err);
    if (status == SQA_OK && !stop)
        status = finish_unmeasured(d, false, err);
    if (status == SQA_OK && !stop)
        status = measure_cells(d, err);
    if (status == SQA_OK)
        status = join_files(d, err);
    clear_line(d);
    if (status == SQA_OK && stop)
        status = sqa_fail(err, SQA_INTERRUPTED,
                          "%s: interrupted after %d of %d cells; the same command with -o %s goes on", d->dir,
                          d->ok + d->bad, p->n, d->dir);
    else if (status == SQA_OK && d->ok == 0 && d->bad > 0 && d->first_code != SQA_OK)
        status = sqa_fail(err, d->first_code == SQA_NO ? SQA_PARTIAL : d->first_code, "%s", d->first_error);
    else if (status == SQA_OK && d->bad > 0)
        status = sqa_fail(err, SQA_PARTIAL,
                          "%s: %d of %d cells did not finish; see the column message of cells.csv "
                          "(the first: %.600s)",
                          d->dir, d->bad, p->n, d->first_error);
    if (status == SQA_OK || status == SQA_PARTIAL)
        if (!o->quiet)
            printf("%s\n", d->dir);
out:
    sqa_rundir_close(&d->directory);
    sqa_free(d->state);
    sqa_free(d->keys);
    sqa_free(d->fraction);
    sqa_free(d->proof);
    sqa_free(d);
    return status;
}
