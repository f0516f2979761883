/* drive.c - see drive.h */
#include "harness/drive_private.h"

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
#include "harness/measure/count.h"
#include "harness/search.h"
#include "results/table.h"

volatile sig_atomic_t sqa_drive_stop;

static void on_signal(int number)
{
    (void)number;
    sqa_drive_stop = sqa_drive_stop ? 2 : 1; /* asked twice: at once */
}

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

static void clear_line(struct sqa_drive_state *d)
{
    if (d->drawn)
        fprintf(stderr, "\r\033[K");
    d->drawn = false;
}

void sqa_drive_draw(struct sqa_drive_state *d, const char *what, double fraction)
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

static double training_fraction(const struct sqa_drive_state *d)
{
    double sum = 0;
    for (int i = 0; i < d->p->n; i++)
        sum += d->state[i] != PENDING ? 1 : d->fraction[i];
    return sum / (double)d->p->n;
}

static void draw_training(struct sqa_drive_state *d)
{
    char what[128] = "";
    for (int i = 0; i < SQA_DRIVE_LIVE; i++) {
        const struct sqa_child_process *c = &d->children[i];
        if (c->pid && c->steps > 0) {
            snprintf(what, sizeof what, "%.40s step %lld/%lld loss %.3f", d->p->cells[c->cell].model, c->step,
                     c->steps, c->loss);
            break;
        }
    }
    sqa_drive_draw(d, what, training_fraction(d));
}

/* Children */

static void become_child(const struct sqa_drive_state *d, int cell, const char *phase, const char *slot,
                         const char *part)
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

enum sqa_status sqa_drive_spawn(struct sqa_drive_state *d, struct sqa_child_process *c, int cell, const char *phase,
                                struct sqa_err *err)
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
    *c = (struct sqa_child_process){
        .pid = pid, .cell = cell, .phase = phase, .to = down[1], .from = up[0], .start = sqa_clock_wall()};
    return SQA_OK;
}

/* A training that waits for somebody's timing does not use its budget. */
static void turn_clock(struct sqa_child_process *c, bool pause)
{
    if (pause && !c->paused)
        c->start -= sqa_clock_wall(); /* minus what was used */
    else if (!pause && c->paused)
        c->start += sqa_clock_wall();
    c->paused = pause;
}

static void take_line(struct sqa_child_process *c, char *line)
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
bool sqa_drive_listen_to(struct sqa_child_process *c)
{
    for (;;) {
        const ssize_t n = read(c->from, c->line + c->length, SQA_DRIVE_LINE - 1 - c->length);
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
        if (c->length == SQA_DRIVE_LINE - 1)
            c->length = 0;
    }
}

/* Waits for a child that closed its pipe and says how it ended. */
void sqa_drive_reap(struct sqa_child_process *c)
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

void sqa_drive_kill_all(struct sqa_drive_state *d, int number)
{
    for (int i = 0; i < SQA_DRIVE_LIVE; i++)
        if (d->children[i].pid)
            kill(d->children[i].pid, number);
}

static enum sqa_status join_files(struct sqa_drive_state *d, struct sqa_err *err)
{
    return sqa_table_join(d->dir, d->keys, (size_t)d->p->n, err);
}

enum sqa_status sqa_drive_finish(struct sqa_drive_state *d, int cell, enum sqa_status code, const char *status,
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
enum sqa_status sqa_drive_conclude(struct sqa_drive_state *d, struct sqa_child_process *c, struct sqa_err *err)
{
    if (c->timed_out) {
        char text[128];
        snprintf(text, sizeof text, "stopped after the budget of %g s", d->p->budget);
        return sqa_drive_finish(d, c->cell, SQA_MACHINE, "timeout", text, err);
    }
    if (c->code == SQA_INTERRUPTED || (sqa_drive_stop && !c->saved))
        return SQA_OK; /* stays pending */
    if (c->code != SQA_OK)
        return d->state[c->cell] == FINISHED
                   ? SQA_OK
                   : sqa_drive_finish(d, c->cell, c->code, row_status(c->code), c->error, err);
    return SQA_OK;
}

void sqa_drive_wait_for_children(struct sqa_drive_state *d, int milliseconds)
{
    struct pollfd fds[SQA_DRIVE_LIVE];
    nfds_t n = 0;
    for (int i = 0; i < SQA_DRIVE_LIVE; i++)
        if (d->children[i].pid)
            fds[n++] = (struct pollfd){.fd = d->children[i].from, .events = POLLIN};
    poll(fds, n, milliseconds);
}

void sqa_drive_check_time(struct sqa_drive_state *d, struct sqa_child_process *c)
{
    const double seconds = (double)(sqa_clock_wall() - c->start) * 1e-9;
    if (d->p->budget > 0 && !c->timed_out && !c->paused && seconds > d->p->budget) {
        c->timed_out = true;
        kill(c->pid, SIGKILL);
    }
}

/* Training: up to p->jobs children at a time. */

static enum sqa_status after_training(struct sqa_drive_state *d, struct sqa_child_process *c, bool measure,
                                      struct sqa_err *err)
{
    d->state[c->cell] = TRAINED;
    return measure ? SQA_OK : sqa_drive_finish(d, c->cell, SQA_OK, "ok", "", err);
}

/* Only the first seed of a model on a task is measured: time does not depend on the seed. */
bool sqa_drive_is_measured(const struct sqa_drive_state *d, int cell)
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
static enum sqa_status train_cells(struct sqa_drive_state *d, bool trials, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    int next = 0, live = 0;
    bool told = false;
    while (status == SQA_OK) {
        for (int i = 0; i < d->p->jobs && i < SQA_DRIVE_LIVE && !sqa_drive_stop && status == SQA_OK; i++) {
            if (d->children[i].pid)
                continue;
            while (next < d->p->n && (d->state[next] != PENDING || !d->p->cells[next].train_accuracy ||
                                      sqa_cell_is_trial(&d->p->cells[next]) != trials))
                next++;
            if (next == d->p->n)
                break;
            status = sqa_drive_spawn(d, &d->children[i], next++, NULL, err);
            live += status == SQA_OK;
        }
        if (live == 0)
            break;
        if (sqa_drive_stop && !told) {
            sqa_drive_kill_all(d, SIGTERM);
            told = true;
        }
        if (sqa_drive_stop > 1)
            sqa_drive_kill_all(d, SIGKILL);
        sqa_drive_wait_for_children(d, 200);
        for (int i = 0; i < SQA_DRIVE_LIVE && status == SQA_OK; i++) {
            struct sqa_child_process *c = &d->children[i];
            if (!c->pid)
                continue;
            sqa_drive_check_time(d, c);
            const bool open = sqa_drive_listen_to(c);
            d->fraction[c->cell] = c->steps > 0 ? (double)c->step / (double)c->steps : 0;
            if (open)
                continue;
            sqa_drive_reap(c);
            live--;
            status = sqa_drive_conclude(d, c, err);
            if (status == SQA_OK && c->saved && c->code == SQA_OK)
                status = after_training(d, c, sqa_drive_is_measured(d, c->cell), err);
        }
        draw_training(d);
    }
    if (status != SQA_OK)
        sqa_drive_kill_all(d, SIGKILL);
    return status;
}

/* Puts what the trials chose into the recipes; a cell whose trials did not end well ends as they did. */
static enum sqa_status settle_cells(struct sqa_drive_state *d, struct sqa_err *err)
{
    char row[32];
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < d->p->n && status == SQA_OK; i++) {
        struct sqa_err why = {0};
        const enum sqa_status settled = sqa_search_settle(d->dir, d->p, &d->p->cells[i], row, &why);
        if (settled == SQA_NOMEM)
            status = sqa_fail(err, SQA_NOMEM, "%s", why.text);
        else if (settled != SQA_OK && d->state[i] != FINISHED)
            status = sqa_drive_finish(d, i, settled, row, why.text, err);
    }
    return status;
}

/* What a finished part says of its cell; retry takes back those that did not end well. */
static void look_at_finished(struct sqa_drive_state *d, int cell)
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

static void find_states(struct sqa_drive_state *d)
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
static enum sqa_status finish_unmeasured(struct sqa_drive_state *d, bool trials, struct sqa_err *err)
{
    enum sqa_status status = SQA_OK;
    for (int i = 0; i < d->p->n && status == SQA_OK; i++)
        if (d->state[i] == TRAINED && sqa_cell_is_trial(&d->p->cells[i]) == trials && !sqa_drive_is_measured(d, i))
            status = sqa_drive_finish(d, i, SQA_OK, "ok", "", err);
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
    struct sqa_drive_state *d = sqa_alloc(sizeof *d);
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
    if (status == SQA_OK && !sqa_drive_stop)
        status = finish_unmeasured(d, true, err);
    if (status == SQA_OK && !sqa_drive_stop)
        status = settle_cells(d, err);
    if (status == SQA_OK && !sqa_drive_stop)
        status = train_cells(d, false, err);
    if (status == SQA_OK && !sqa_drive_stop)
        status = finish_unmeasured(d, false, err);
    if (status == SQA_OK && !sqa_drive_stop)
        status = sqa_drive_measure_cells(d, err);
    if (status == SQA_OK)
        status = join_files(d, err);
    clear_line(d);
    if (status == SQA_OK && sqa_drive_stop)
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
