/*
 * environment.c - the machine and the build as one JSON object
 *
 * A value that cannot be read is {"value": null, "reason": ...}. No host name, no user name, no path: directories are
 * cut from variables and flags that hold one. `fingerprint` is a hash of what decides speed and stays the same from
 * boot to boot on one machine; compiler, libraries and load are not in it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* environ */
#endif
#include "harness/measure/measure.h"

#include <gnu/libc-version.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define PCRE2_CODE_UNIT_WIDTH 8
#include <cblas.h>
#include <dnnl.h>
#include <hwloc.h>
#include <openssl/crypto.h>
#include <papi.h>
#include <pcre2.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/memory.h"
#include "harness/measure/measure_private.h"
#include "kernels/kernels.h"

#ifndef SQA_COMPILER_FLAGS
#define SQA_COMPILER_FLAGS ""
#endif
#if defined(__clang__)
#define COMPILER "clang "
#elif defined(__GNUC__)
#define COMPILER "gcc "
#else
#define COMPILER ""
#endif

enum { CANDIDATES = 160 };

json_t *sqa_absent(const char *reason)
{
    return json_pack("{s:n, s:s}", "value", "reason", reason);
}

static json_t *text_value(const char *s)
{
    json_t *v = json_string(s);
    return v ? v : sqa_absent("not UTF-8");
}

static json_t *whole(double v, const char *reason)
{
    return isnan(v) ? sqa_absent(reason) : json_integer((json_int_t)v);
}

static json_t *number(double v, const char *reason)
{
    return isnan(v) ? sqa_absent(reason) : json_real(v);
}

static json_t *file_text(const char *path, const char *reason)
{
    char buf[256];
    return sqa_small_file(path, buf, sizeof buf) == 0 && buf[0] ? text_value(buf) : sqa_absent(reason);
}

/* The word in brackets of "always [madvise] never". */
static json_t *chosen(const char *path, const char *reason)
{
    char buf[256], word[64];
    if (sqa_small_file(path, buf, sizeof buf) == 0 && sscanf(buf, "%*[^[][%63[^]]", word) == 1)
        return text_value(word);
    if (sscanf(buf, "[%63[^]]", word) == 1)
        return text_value(word);
    return sqa_absent(reason);
}

/* "1" in on_path means on; "1" in off_path means off. */
static json_t *onoff(const char *on_path, const char *off_path, const char *reason)
{
    char buf[16];
    if (on_path && sqa_small_file(on_path, buf, sizeof buf) == 0 && (buf[0] == '0' || buf[0] == '1'))
        return json_string(buf[0] == '1' ? "on" : "off");
    if (off_path && sqa_small_file(off_path, buf, sizeof buf) == 0 && (buf[0] == '0' || buf[0] == '1'))
        return json_string(buf[0] == '1' ? "off" : "on");
    return sqa_absent(reason);
}

/* The value of "key : value" in the first part of /proc/cpuinfo. */
static json_t *cpuinfo(const char *key)
{
    char buf[8192];
    const size_t n = strlen(key);
    if (sqa_small_file("/proc/cpuinfo", buf, sizeof buf) != 0)
        return sqa_absent("/proc/cpuinfo cannot be read");
    for (char *line = strtok(buf, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, key, n) != 0 || strspn(line + n, " \t:") == 0)
            continue;
        return text_value(line + n + strspn(line + n, " \t:"));
    }
    return sqa_absent("/proc/cpuinfo does not say");
}

static double cpuinfo_number(const char *key)
{
    json_t *v = cpuinfo(key);
    const double number = json_is_string(v) ? strtod(json_string_value(v), NULL) : 0;
    json_decref(v);
    return number > 0 ? number : (double)NAN;
}

static double most_mhz(void)
{
    char buf[32];
    if (sqa_small_file("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", buf, sizeof buf) != 0)
        return (double)NAN;
    const double khz = strtod(buf, NULL);
    return khz > 0 ? khz / 1000 : (double)NAN;
}

static json_t *numa_nodes(void)
{
    json_t *nodes = sqa_numa_json();
    return nodes ? nodes : sqa_absent("hwloc loads no topology");
}

static json_t *hypervisor(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 31))
        return json_string("none");
    static const char *const known[][2] = {{"KVMKVMKVM", "KVM"},         {"Microsoft Hv", "Hyper-V"},
                                           {"VMwareVMware", "VMware"},   {"XenVMMXenVMM", "Xen"},
                                           {"TCGTCGTCGTCG", "QEMU TCG"}, {"bhyve bhyve ", "bhyve"}};
    char vendor[13];
    __cpuid(0x40000000, a, b, c, d);
    memcpy(vendor, &b, 4);
    memcpy(vendor + 4, &c, 4);
    memcpy(vendor + 8, &d, 4);
    vendor[12] = '\0';
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(vendor, known[i][0]) == 0)
            return json_string(known[i][1]);
    return json_string("unknown");
#else
    return file_text("/sys/hypervisor/type", "this processor does not say");
#endif
}

static json_t *os_name(void)
{
    char buf[4096];
    if (sqa_small_file("/etc/os-release", buf, sizeof buf) == 0)
        for (char *line = strtok(buf, "\n"); line; line = strtok(NULL, "\n")) {
            if (strncmp(line, "PRETTY_NAME=", 12) != 0)
                continue;
            char *value = line + 12 + (line[12] == '"');
            value[strcspn(value, "\"")] = '\0';
            return text_value(value);
        }
    return sqa_absent("no os-release file");
}

/* Processors' worth of time that a cgroup allows. */
static json_t *cpu_quota(void)
{
    char buf[64];
    double quota = 0, period = 0;
    if (sqa_small_file("/sys/fs/cgroup/cpu.max", buf, sizeof buf) == 0) {
        if (strncmp(buf, "max", 3) == 0)
            return json_string("none");
        if (sscanf(buf, "%lf %lf", &quota, &period) == 2 && period > 0)
            return json_real(quota / period);
    }
    if (sqa_small_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", buf, sizeof buf) == 0) {
        quota = strtod(buf, NULL);
        if (quota < 0)
            return json_string("none");
        if (sqa_small_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", buf, sizeof buf) == 0)
            period = strtod(buf, NULL);
        if (period > 0)
            return json_real(quota / period);
    }
    return sqa_absent("no cgroup file says");
}

static json_t *steal(void)
{
    const struct sqa_machine_time t = sqa_machine_time();
    const double all = t.busy + t.idle + t.steal;
    if (isnan(all) || all <= 0)
        return sqa_absent("/proc/stat cannot be read");
    return json_pack("{s:f, s:f}", "seconds_since_boot", t.steal, "share_since_boot", t.steal / all);
}

static json_t *load_average(void)
{
    char buf[128];
    double v[3];
    if (sqa_small_file("/proc/loadavg", buf, sizeof buf) != 0 || sscanf(buf, "%lf %lf %lf", &v[0], &v[1], &v[2]) != 3)
        return sqa_absent("/proc/loadavg cannot be read");
    return json_pack("[f, f, f]", v[0], v[1], v[2]);
}

static json_t *affinity(void)
{
    char buf[256];
    sqa_affinity_text(buf, sizeof buf);
    return buf[0] ? json_string(buf) : sqa_absent("hwloc cannot say");
}

/* Of "a/b/c" only "c" stays; a path ends at white space and any of ":,;=\"'". */
static void cut_directories(char *s)
{
    char *out = s, *part = s;
    for (; *s; s++) {
        if (*s == '/') {
            out = part;
            continue;
        }
        *out++ = *s;
        if (strchr(" \t:,;=\"'", *s))
            part = out;
    }
    *out = '\0';
}

static json_t *without_directories(const char *s)
{
    char *copy = sqa_strdup(s);
    if (!copy)
        return NULL;
    cut_directories(copy);
    json_t *v = text_value(copy);
    sqa_free(copy);
    return v;
}

/* Flags that name a place are dropped whole. */
static json_t *compiler_flags(void)
{
    char kept[sizeof SQA_COMPILER_FLAGS + 1] = "";
    size_t used = 0;
    for (const char *p = SQA_COMPILER_FLAGS; *p;) {
        const size_t n = strcspn(p, " ");
        if (n > 0 && !memchr(p, '/', n)) {
            if (used > 0)
                kept[used++] = ' ';
            memcpy(kept + used, p, n);
            used += n;
        }
        p += n + (p[n] == ' ');
    }
    kept[used] = '\0';
    return used ? json_string(kept) : sqa_absent("the build did not record them");
}

static json_t *variables(void)
{
    static const char *const prefixes[] = {"OMP_",
                                           "GOMP_",
                                           "KMP_",
                                           "OPENBLAS_",
                                           "MALLOC_",
                                           "GLIBC_TUNABLES=",
                                           "LD_PRELOAD=",
                                           "LD_BIND_NOW=",
                                           "SEQARENA_ISA=",
                                           "SEQARENA_FAKE_COUNTERS=",
                                           "SEQARENA_TEST_SLOW=",
                                           "SLURM_CPUS_PER_TASK=",
                                           "SLURM_NTASKS=",
                                           "SLURM_CPU_BIND="};
    json_t *o = json_object();
    for (char **e = environ; o && e && *e; e++)
        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
            const char *equals = strchr(*e, '=');
            char name[128];
            if (!equals || strncmp(*e, prefixes[i], strlen(prefixes[i])) != 0)
                continue;
            snprintf(name, sizeof name, "%.*s", (int)(equals - *e), *e);
            if (json_object_set_new(o, name, without_directories(equals + 1)) != 0) {
                json_decref(o);
                return NULL;
            }
        }
    return o;
}

static json_t *openblas(void)
{
    const char *config = openblas_get_config();
    char version[32] = "";
    if (sscanf(config, "OpenBLAS %31s", version) != 1)
        snprintf(version, sizeof version, "unknown");
    return json_pack("{s:s, s:s, s:o}", "version", version, "core", openblas_get_corename(), "config",
                     without_directories(config));
}

static json_t *libraries(void)
{
    const unsigned h = hwloc_get_api_version(), x = XXH_versionNumber();
    char hwloc[64], papi[32], onednn[32], pcre2[64] = "unknown", xxhash[32];
    /* hwloc tells only its interface at run time, PAPI nothing before it is started: the rest is the headers'. */
    snprintf(hwloc, sizeof hwloc, HWLOC_VERSION ", interface %u.%u.%u", h >> 16, (h >> 8) & 0xff, h & 0xff);
    snprintf(papi, sizeof papi, "%d.%d.%d", PAPI_VERSION_MAJOR(PAPI_VERSION), PAPI_VERSION_MINOR(PAPI_VERSION),
             PAPI_VERSION_REVISION(PAPI_VERSION));
    const dnnl_version_t *d = dnnl_version();
    snprintf(onednn, sizeof onednn, "%d.%d.%d", d->major, d->minor, d->patch);
    snprintf(xxhash, sizeof xxhash, "%u.%u.%u", x / 10000, x / 100 % 100, x % 100);
    const int length = pcre2_config(PCRE2_CONFIG_VERSION, NULL);
    if (length > 0 && (size_t)length <= sizeof pcre2)
        pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "openblas", openblas(), "onednn", onednn,
                     "hwloc", hwloc, "papi", papi, "pcre2", pcre2, "jansson", jansson_version_str(), "xxhash", xxhash,
                     "openssl", OpenSSL_version(OPENSSL_VERSION), "libc", gnu_get_libc_version());
}

/* How many events of each group can be had. */
static json_t *groups(const struct sqa_counter_info *all, int n)
{
    json_t *o = json_object();
    for (int g = 0; sqa_counter_groups[g]; g++) {
        int usable = 0;
        for (int i = 0; i < n; i++)
            usable += all[i].available && sqa_counter_in_group(&all[i], sqa_counter_groups[g]);
        json_object_set_new(o, sqa_counter_groups[g], json_integer(usable));
    }
    return o;
}

static json_t *counters(void)
{
    struct sqa_counter_info *all = sqa_alloc_array(CANDIDATES, sizeof *all);
    json_t *available = json_array(), *missing = json_array();
    int ok = all != NULL;
    const int n = ok ? sqa_counters_try(&sqa_counter_machine, all, CANDIDATES) : 0;
    for (int i = 0; i < n && ok; i++)
        ok = all[i].available ? json_array_append_new(available, json_string(all[i].name)) == 0
                              : json_array_append_new(missing, json_pack("{s:s, s:s}", "name", all[i].name, "reason",
                                                                         all[i].reason)) == 0;
    json_t *o = json_pack("{s:o, s:o, s:o, s:o}", "available", available, "missing", missing, "groups",
                          groups(all, n), "components", sqa_papi_components());
    sqa_free(all);
    if (ok || !o)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *cpu(void)
{
    json_t *o = sqa_topology_json();
    if (!o)
        o = json_pack("{s:i, s:o, s:o, s:o, s:o}", "logical", sqa_processors(), "physical",
                      sqa_absent("hwloc loads no topology"), "sockets", sqa_absent("hwloc loads no topology"), "numa",
                      sqa_absent("hwloc loads no topology"), "caches", sqa_absent("hwloc loads no topology"));
    if (!o)
        return NULL;
    int bad = json_object_set_new(o, "model", cpuinfo("model name"));
    bad |= json_object_set_new(o, "vendor", cpuinfo("vendor_id"));
    bad |= json_object_set_new(o, "family", cpuinfo("cpu family"));
    bad |= json_object_set_new(o, "model_number", cpuinfo("model"));
    bad |= json_object_set_new(o, "stepping", cpuinfo("stepping"));
    bad |= json_object_set_new(o, "isa", json_string(sqa_kernels_cpu_flags()));
    if (!bad)
        return o;
    json_decref(o);
    return NULL;
}

static int add_to_text(const char *buffer, size_t size, void *text)
{
    sqa_text_add_bytes(text, buffer, size);
    return 0;
}

static json_t *fingerprint(const json_t *env)
{
    static const char *const stable[] = {"cpu", "numa", "machine", "hypervisor", "governor", "turbo", "smt"};
    struct sqa_text text = {0};
    char hex[17];
    for (size_t i = 0; i < sizeof stable / sizeof stable[0]; i++)
        json_dump_callback(json_object_get(env, stable[i]), add_to_text, &text,
                           JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
    /* In units of 256 MiB: the kernel keeps a slightly different part for itself at every boot. */
    sqa_text_printf(&text, "%.0f", json_number_value(json_object_get(env, "memory_bytes")) / 0x1p28);
    const int failed = text.failed;
    if (!failed)
        snprintf(hex, sizeof hex, "%016llx", (unsigned long long)sqa_hash(text.text, text.length, 0));
    sqa_text_clear(&text);
    return failed ? NULL : json_string(hex);
}

json_t *sqa_environment(int with_counters)
{
    static const char no_cpufreq[] = "no cpufreq interface";
    struct utsname u;
    json_t *env = json_object(), *c = cpu();
    const int named = uname(&u) == 0;
    if (!env || !c) {
        json_decref(env);
        json_decref(c);
        return NULL;
    }
    json_t *numa = json_incref(json_object_get(c, "numa"));
    json_object_del(c, "numa");
    struct {
        const char *key;
        json_t *value;
    } members[] = {
        {"cpu", c},
        {"memory_bytes", whole(sqa_proc_number("/proc/meminfo", "MemTotal:") * 1024, "/proc/meminfo does not say")},
        {"memory_available_bytes", whole(sqa_memory_available(), "/proc/meminfo does not say")},
        {"numa", numa},
        {"numa_nodes", numa_nodes()},
        {"os", os_name()},
        {"kernel", named ? json_string(u.release) : sqa_absent("uname fails")},
        {"machine", named ? json_string(u.machine) : sqa_absent("uname fails")},
        {"hypervisor", hypervisor()},
        {"microcode", cpuinfo("microcode")},
        {"governor", file_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", no_cpufreq)},
        {"turbo",
         onoff("/sys/devices/system/cpu/cpufreq/boost", "/sys/devices/system/cpu/intel_pstate/no_turbo", no_cpufreq)},
        {"mhz_now", number(cpuinfo_number("cpu MHz"), "/proc/cpuinfo does not say")},
        {"mhz_max", number(most_mhz(), no_cpufreq)},
        {"smt", onoff("/sys/devices/system/cpu/smt/active", NULL, "the kernel does not say")},
        {"clock_source",
         file_text("/sys/devices/system/clocksource/clocksource0/current_clocksource", "the kernel does not say")},
        {"clock_resolution_ns", number(sqa_clock_resolution_ns(), "the clock stood still")},
        {"transparent_hugepages", chosen("/sys/kernel/mm/transparent_hugepage/enabled", "the kernel does not say")},
        {"perf_event_paranoid", file_text("/proc/sys/kernel/perf_event_paranoid", "the kernel has no perf_event")},
        {"randomize_va_space", file_text("/proc/sys/kernel/randomize_va_space", "the kernel does not say")},
        {"affinity", affinity()},
        {"cpu_quota", cpu_quota()},
        {"load_average", load_average()},
        {"steal", steal()},
        {"compiler", json_string(COMPILER __VERSION__)},
        {"flags", compiler_flags()},
        {"libraries", libraries()},
        {"environment", variables()},
        {"counters", with_counters ? counters() : sqa_absent("not tried")},
    };
    int bad = 0;
    for (size_t i = 0; i < sizeof members / sizeof members[0];
         i++) /* a NULL value is refused, the rest still taken */
        bad |= json_object_set_new(env, members[i].key, members[i].value);
    bad |= json_object_set_new(env, "fingerprint", fingerprint(env));
    if (!bad)
        return env;
    json_decref(env);
    return NULL;
}
