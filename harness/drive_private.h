/*
 * drive_private.h - what the files of the driver share and nobody else uses
 */
#ifndef SQA_HARNESS_DRIVE_PRIVATE_H
#define SQA_HARNESS_DRIVE_PRIVATE_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "harness/drive.h"
#include "harness/machine_lock.h"
#include "harness/measure/measure.h"
#include "harness/proof.h"
#include "harness/rundir.h"

enum { SQA_DRIVE_LIVE = 24, SQA_DRIVE_LINE = 1400 };

extern volatile sig_atomic_t sqa_drive_stop; /* 1: a signal asked to end, 2: at once */

enum sqa_drive_cell_state { PENDING, TRAINED, FINISHED };

struct sqa_child_process {
    pid_t pid; /* 0: free */
    int cell;
    const char *phase; /* NULL: training */
    int to, from;      /* pipes */
    char line[SQA_DRIVE_LINE];
    size_t length;
    int64_t start;
    bool ready, saved, timed_out, idle, paused;
    enum sqa_status code;
    char error[1024];
    char proof[SQA_PROOF_TEXT];
    long long step, steps;
    double loss, metric;
};

struct sqa_drive_state {
    struct sqa_run_plan *p;
    const struct sqa_drive_options *o;
    struct sqa_rundir directory;
    const char *dir; /* its path */
    enum sqa_drive_cell_state *state;
    const char **keys;
    int ok, bad;
    enum sqa_status first_code;
    char first_error[1024];
    int64_t start, last_draw;
    double *fraction; /* of each cell's training that is done */
    double fraction_start;
    bool terminal, drawn;
    struct sqa_child_process children[SQA_DRIVE_LIVE];
    char (*proof)[SQA_PROOF_TEXT];   /* verdicts of the checks of cells that are timed */
    struct sqa_machine_lock machine; /* while it measures */
};

/* drive.c */

/* Starts a child for a cell; phase NULL: training. */
enum sqa_status sqa_drive_spawn(struct sqa_drive_state *d, struct sqa_child_process *c, int cell, const char *phase,
                                struct sqa_err *err);
/* Reads what it wrote; false when its pipe is closed. */
bool sqa_drive_listen_to(struct sqa_child_process *c);
/* Waits for one that closed its pipe and says how it ended. */
void sqa_drive_reap(struct sqa_child_process *c);
void sqa_drive_kill_all(struct sqa_drive_state *d, int number);
/* A row of the cell, and its files joined to the run. */
enum sqa_status sqa_drive_finish(struct sqa_drive_state *d, int cell, enum sqa_status code, const char *status,
                                 const char *message, struct sqa_err *err);
/* A child has ended: what becomes of its cell. */
enum sqa_status sqa_drive_conclude(struct sqa_drive_state *d, struct sqa_child_process *c, struct sqa_err *err);
void sqa_drive_wait_for_children(struct sqa_drive_state *d, int milliseconds);
/* Kills one that has used its budget. */
void sqa_drive_check_time(struct sqa_drive_state *d, struct sqa_child_process *c);
bool sqa_drive_is_measured(const struct sqa_drive_state *d, int cell);
void sqa_drive_draw(struct sqa_drive_state *d, const char *what, double fraction);

/* drive_measure.c: proves, then times all cells that want it, the children of a group in turn. */
enum sqa_status sqa_drive_measure_cells(struct sqa_drive_state *d, struct sqa_err *err);

#endif
