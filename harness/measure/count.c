/* count.c - see count.h */
#include "harness/measure/count.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
enum { HAS_REQUESTS = 1 };
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS
enum { HAS_REQUESTS = 0 };
#endif

enum { DUMP_LIMIT = 1 << 28, ARGUMENTS = 32, EVENTS = 16 };

enum sqa_status sqa_count_version(char version[64], struct sqa_err *err)
{
    FILE *f = popen("valgrind --version 2>/dev/null", "r");
    version[0] = '\0';
    if (f) {
        if (!fgets(version, 64, f))
            version[0] = '\0';
        pclose(f);
    }
    version[strcspn(version, "\n")] = '\0';
    if (!version[0])
        return sqa_fail(err, SQA_MACHINE,
                        "bench: --count needs valgrind, and there is none; install the package valgrind%s",
                        HAS_REQUESTS ? "" : " and build again");
    if (!HAS_REQUESTS)
        return sqa_fail(err, SQA_MACHINE,
                        "bench: --count needs valgrind/callgrind.h, which was not there when this was built; build "
                        "again (make clean all)");
    return SQA_OK;
}

void sqa_count_exec(const char *program, char *const *argv, const char *file)
{
    /* The sizes of the caches do not matter: only reads and writes are taken, not misses. */
    static const char *const options[] = {"valgrind",         "-q",
                                          "--tool=callgrind", "--instr-atstart=no",
                                          "--cache-sim=yes",  "--I1=32768,8,64",
                                          "--D1=32768,8,64",  "--LL=1048576,16,64"};
    enum { OPTIONS = sizeof options / sizeof options[0] };
    char out[4200];
    const char *all[ARGUMENTS] = {NULL};
    int n = 0;
    snprintf(out, sizeof out, "--callgrind-out-file=%s", file);
    for (; n < OPTIONS; n++)
        all[n] = options[n];
    all[n++] = out;
    all[n++] = program;
    for (int i = 1; argv[i] && n < ARGUMENTS - 1; i++)
        all[n++] = argv[i];
    const char *isa = getenv("SEQARENA_ISA");
    if (!isa || strcmp(isa, "plain") != 0)
        setenv("SEQARENA_ISA", "nofma", 1);
    setenv("OPENBLAS_CORETYPE", "Nehalem", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    setenv("OMP_NUM_THREADS", "1", 1);
    execvp(all[0], (char *const *)(uintptr_t)all);
}

void sqa_count_begin(void)
{
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

/* The numbers of a line such as "summary: 12 3 4" that begins with `name`. */
static int numbers_of(const char *text, const char *name, double *out)
{
    const char *at = strstr(text, name);
    int n = 0;
    for (at = at ? at + strlen(name) : ""; *at && *at != '\n' && n < EVENTS; n++) {
        char *end;
        out[n] = strtod(at, &end);
        if (end == at)
            break;
        at = end;
    }
    return n;
}

/* "events: Ir Dr Dw ..." names the numbers of "summary:". */
static void parse(const char *text, struct sqa_counted *out)
{
    const struct {
        const char *name;
        double *to;
    } wanted[] = {{"Ir", &out->instructions}, {"Dr", &out->data_reads}, {"Dw", &out->data_writes}};
    double value[EVENTS];
    const int n = numbers_of(text, "\nsummary:", value);
    const char *at = strstr(text, "\nevents:");
    at = at ? at + strlen("\nevents:") : "";
    for (int i = 0; i < n; i++) {
        at += strspn(at, " ");
        const size_t k = strcspn(at, " \n");
        for (size_t w = 0; w < sizeof wanted / sizeof wanted[0]; w++)
            if (k == strlen(wanted[w].name) && strncmp(at, wanted[w].name, k) == 0)
                *wanted[w].to = value[i];
        at += k;
    }
}

enum sqa_status sqa_count_end(const char *file, struct sqa_counted *out, struct sqa_err *err)
{
    char path[4200], *text;
    size_t size;
    CALLGRIND_DUMP_STATS;
    CALLGRIND_STOP_INSTRUMENTATION;
    *out = (struct sqa_counted){(double)NAN, (double)NAN, (double)NAN};
    snprintf(path, sizeof path, "%s.1", file);
    if (sqa_file_exists(path)) {
        const enum sqa_status status = sqa_file_read(path, DUMP_LIMIT, &text, &size, err);
        if (status != SQA_OK)
            return status;
        parse(text, out);
        sqa_free(text);
        unlink(path);
    }
    if (!(out->instructions > 0))
        return sqa_fail(err, SQA_MACHINE, "%s: valgrind left no counts; see log.txt of the cell", path);
    return SQA_OK;
}
