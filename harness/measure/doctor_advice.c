/* doctor_advice.c - sentences of doctor: what a user can do about what was found, only what applies */
#include "harness/measure/measure.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "harness/measure/measure_private.h"

static int text_is(const json_t *o, const char *path, const char *s)
{
    const char *v = json_string_value(sqa_doctor_at(o, path));
    return v && strcmp(v, s) == 0;
}

/* Whether a counter is missing for a reason that holds these words. */
static int missing_because(const json_t *env, const char *words)
{
    const json_t *missing = sqa_doctor_at(env, "counters.missing");
    for (size_t i = 0; i < json_array_size(missing); i++)
        if (strstr(json_string_value(json_object_get(json_array_get(missing, i), "reason")), words))
            return 1;
    return 0;
}

static double gain_of_two(const json_t *m)
{
    return sqa_doctor_real(json_array_get(sqa_doctor_at(m, "thread_gain"), 0), "gain");
}

struct said {
    char text[200];
};
static struct said say(const char *fmt, ...) SQA_PRINTF(1, 2);
static struct said say(const char *fmt, ...)
{
    struct said s;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s.text, sizeof s.text, fmt, ap);
    va_end(ap);
    return s;
}

json_t *sqa_doctor_advice(const json_t *env, const json_t *m)
{
    const char *governor = json_string_value(sqa_doctor_at(env, "governor"));
    const char *core = json_string_value(sqa_doctor_at(env, "libraries.openblas.core"));
    const json_t *variables = sqa_doctor_at(env, "environment");
    const double minute = sqa_doctor_real(m, "noise.one_minute.change"), minutes = pow(minute / 0.02, 2);
    const double load = sqa_doctor_real(m, "other_load_processors"), nodes = sqa_doctor_real(env, "numa");
    const double logical = sqa_doctor_real(env, "cpu.logical"), mhz = sqa_doctor_real(env, "mhz_now"),
                 most = sqa_doctor_real(env, "mhz_max");
    const int forbidden = missing_because(env, "forbidden") || missing_because(env, "perf_event is switched off");
    const struct {
        int when; /* comparisons with a number that is not known are false */
        struct said sentence;
    } rules[] = {
        {minute > 0.02 && minutes <= 600,
         say("a change of 2 %% takes about %.0f minutes to tell here: take longer, or "
             "quieten the machine",
             ceil(minutes))},
        {minutes > 600, say("too noisy to see 2 %% at all: stop other programs, or measure elsewhere")},
        {load > 0.1, say("other programs keep %.1f processors busy: stop them while measuring", load)},
        {load > 0.1 && logical > 1 && !json_object_get(variables, "OMP_WAIT_POLICY"),
         say("verify, explain and predict with several threads: set OMP_WAIT_POLICY=passive, waiting threads spin "
             "otherwise")},
        {sqa_doctor_real(m, "steal_share") > 0.01,
         say("the host takes processor time away (steal): compare CPU time, measure at a quieter hour")},
        {sqa_doctor_real(m, "noise.median_abs_log_ratio") > 2 * sqa_doctor_real(m, "noise.median_abs_log_ratio_cpu"),
         say("wall clock is much noisier than CPU time: compare CPU time where one thread does the work")},
        {gain_of_two(m) < 1.7,
         say("a second thread adds little: time with one thread, do not run two cells at once")},
        {sqa_processors() < logical,
         say("this process may use %d of %.0f processors: look at taskset and the container's set", sqa_processors(),
             logical)},
        {json_is_number(sqa_doctor_at(env, "cpu_quota")),
         say("a cgroup limits processor time: raise the quota, else threads stand still at the end of each period")},
        {governor && strcmp(governor, "performance") != 0,
         say("the governor is %.40s: choose performance (cpupower frequency-set -g performance)", governor)},
        {text_is(env, "turbo", "on"), say("turbo is on: switch it off for steady clocks, or warm up for longer")},
        {mhz < 0.8 * most,
         say("the clock runs at %.0f of %.0f MHz: look for heat, a power limit or the governor", mhz, most)},
        {text_is(env, "smt", "on"), say("two threads share a core (SMT): --bind spread gives each thread a core of "
                                        "its own while there are some")},
        {nodes > 1,
         say("memory lies in %.0f nodes: --bind compact keeps few threads and their memory on one", nodes)},
        {sqa_doctor_real(env, "memory_available_bytes") < 0x1p31,
         say("less than 2 GiB of memory is free: give --memory, so that a cell fails and not the machine")},
        {sqa_doctor_real(env, "clock_resolution_ns") > 1000, say("the clock is coarse: time at least 1 ms a sample")},
        {forbidden,
         say("counters are forbidden: sysctl kernel.perf_event_paranoid=1, or allow perf_event_open in the "
             "container")},
        {!forbidden && sqa_doctor_real(env, "counters.groups.hardware") == 0,
         say("no hardware counter works here: count instructions with bench --count, or use a machine that has "
             "some")},
        {missing_because(env, "energy_uj cannot"),
         say("energy cannot be read: chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj, as root, at each boot")},
        {core && (strcmp(core, "Generic") == 0 || strcmp(core, "Prescott") == 0),
         say("OpenBLAS does not know this processor: set OPENBLAS_CORETYPE to a near relative")},
        {json_object_get(variables, "SEQARENA_ISA") != NULL,
         say("SEQARENA_ISA is set: kernels for newer instruction sets are left out")},
    };
    json_t *a = json_array();
    int bad = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].when)
            bad |= json_array_append_new(a, json_string(rules[i].sentence.text));
    if (json_array_size(a) == 0)
        bad |= json_array_append_new(a, json_string("nothing to change"));
    if (!bad)
        return a;
    json_decref(a);
    return NULL;
}
