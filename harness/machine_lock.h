/*
 * machine_lock.h - one timing at a time on a machine, and no training of ours beside it
 *
 * Two files in a directory of this user (sqa_runtime_dir), locked by flock, which the kernel lets go when a process
 * ends in whatever way: a killed timing leaves nobody waiting.
 *   timing   held exclusively by who times, as long as it times; its one line says who that is
 *   work     held by every training child, shared, while it works
 * Who times takes `timing`, then waits until nobody holds `work`. A training looks at `timing` between two steps; when
 * that is taken it lets go of `work` and waits. Programs that a holder starts share its lock ($SEQARENA_LOCK).
 */
#ifndef SQA_HARNESS_MACHINE_LOCK_H
#define SQA_HARNESS_MACHINE_LOCK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* $XDG_RUNTIME_DIR/seqarena, else /run/user/UID/seqarena, else /tmp/seqarena-UID: made when missing, of this user and
 * closed to others. INPUT when it is somebody else's or cannot be made. */
enum sqa_status sqa_runtime_dir(char path[512], struct sqa_err *err) SQA_MUST_CHECK;

struct sqa_machine_lock {
    int timing;          /* -1: not held here */
    const char *missing; /* why there is no lock, "" when there is: the timing is then unfit */
};
/* Takes the machine for timing. verb: "bench", for the line. wait: until it is free, after a line on stderr that says
 * who has it unless quiet; else INPUT when somebody has it. INTERRUPTED when a signal came while it waited. A lock that cannot be made is no
 * error: `missing` says why. Every lock is given back, with whatever status it was taken. */
enum sqa_status sqa_machine_lock(struct sqa_machine_lock *l, const char *verb, bool wait, bool quiet,
                                 struct sqa_err *err) SQA_MUST_CHECK;
void sqa_machine_unlock(struct sqa_machine_lock *l);

/* The training side, once a process. tell (may be NULL): called before and after every wait. */
void sqa_machine_work_begin(void (*tell)(void *user, bool waits), void *user);
/* Between two steps: returns when nobody times, or at a signal that set *interrupted (may be NULL). Costs three
 * system calls; nothing before sqa_machine_work_begin. */
void sqa_machine_work_pause(const volatile sig_atomic_t *interrupted);
double sqa_machine_work_paused(void); /* seconds spent waiting so far */
void sqa_machine_work_end(void);

#endif
