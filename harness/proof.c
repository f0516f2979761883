/* proof.c - see proof.h */
#include "harness/proof.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "harness/machine_lock.h"
#include "harness/version.h"
#include "kernels/kernels.h"
#include "models/probe.h"

enum { PARTS = SQA_SLOTS + SQA_MAX_LAYERS + 1, KEPT_LIMIT = 1 << 20 };

struct verdict { /* of one variant */
    int passed;
    char failed[SQA_PROOF_TEXT]; /* the first check that failed, or "" */
};

static void note_check(void *user, const struct sqa_check_result *r)
{
    struct verdict *v = user;
    v->passed += r->status == SQA_OK;
    if (r->status != SQA_OK && r->status != SQA_UNSUPPORTED && !v->failed[0])
        snprintf(v->failed, sizeof v->failed, "%.60s: %.150s", r->check, r->text ? r->text : "");
    v->failed[strcspn(v->failed, "\n")] = '\0';
}

/* Lines "VARIANT PASSED FAILED". NULL where there is no directory to keep them in. */
static const char *kept_path(char path[640])
{
    char dir[512];
    if (sqa_runtime_dir(dir, NULL) != SQA_OK)
        return NULL;
    snprintf(path, 640, "%s/proof-%s-%s", dir, sqa_build_id(), sqa_kernels_f32.isa);
    return path;
}

static bool find_kept(const char *kept, const char *id, struct verdict *v)
{
    const size_t n = strlen(id);
    for (const char *line = kept; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, id, n) != 0 || line[n] != ' ')
            continue;
        char *end;
        v->passed = (int)strtol(line + n, &end, 10);
        end += *end == ' ';
        snprintf(v->failed, sizeof v->failed, "%.*s", (int)strcspn(end, "\n"), end);
        return true;
    }
    return false;
}

static void keep(const char *id, const struct verdict *v)
{
    char path[640], line[512];
    const int fd = kept_path(path) ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    const int n = snprintf(line, sizeof line, "%.100s %d %s\n", id, v->passed, v->failed);
    if (fd < 0)
        return; /* checked again next time */
    if (write(fd, line, (size_t)n) != n)
        unlink(path);
    close(fd);
}

static int parts_of(const struct sqa_model *m, const struct sqa_variant *parts[PARTS])
{
    const struct sqa_item *items[PARTS] = {&m->preset};
    int n = 0, all = 1;
    for (int i = 0; i < SQA_SLOTS; i++)
        items[all++] = &m->slot[i];
    for (int i = 0; i < m->mixers; i++)
        items[all++] = &m->mixer[i];
    for (int i = 0; i < all; i++) {
        bool seen = !items[i]->variant;
        for (int k = 0; k < n && !seen; k++)
            seen = parts[k] == items[i]->variant;
        if (!seen)
            parts[n++] = items[i]->variant;
    }
    return n;
}

enum sqa_status sqa_proof(const char *model, int run, char text[SQA_PROOF_TEXT], struct sqa_err *err)
{
    const struct sqa_variant *parts[PARTS];
    struct sqa_model *m = NULL;
    char path[640], *kept = NULL;
    size_t size;
    int passed = 0, checked = 0;
    enum sqa_status status = sqa_model_parse(model, &m, err);
    if (status != SQA_OK)
        return status;
    const int n = parts_of(m, parts);
    sqa_kernels_init();
    if (kept_path(path) && sqa_file_exists(path) && sqa_file_read(path, KEPT_LIMIT, &kept, &size, NULL) != SQA_OK)
        kept = NULL;
    text[0] = '\0';
    for (int i = 0; i < n && status == SQA_OK; i++) {
        struct verdict v = {0};
        if (!find_kept(kept, parts[i]->id, &v)) {
            if (!run) {
                status = sqa_fail(err, SQA_UNSUPPORTED, "%s: not checked yet; let it be checked", parts[i]->id);
                break;
            }
            const long failures = sqa_alloc_failures();
            (void)sqa_verify_quick(parts[i], note_check, &v);
            if (sqa_alloc_failures() > failures) { /* no verdict on the variant */
                status = sqa_fail(err, SQA_NOMEM, "%s: no memory to check it; free some memory", parts[i]->id);
                break;
            }
            keep(parts[i]->id, &v);
        }
        passed += v.passed;
        checked += v.passed > 0;
        if (v.failed[0]) {
            snprintf(text, SQA_PROOF_TEXT, "failed: %.40s: %.190s", parts[i]->id, v.failed);
            status = sqa_fail(err, SQA_NO, "%s; see seqarena verify --models '^%s$'", text, parts[i]->id);
        }
    }
    if (status == SQA_OK)
        snprintf(text, SQA_PROOF_TEXT, passed ? "ok: %d checks of %d parts" : "none: no part has checks", passed,
                 checked);
    sqa_free(kept);
    sqa_model_free(m);
    return status;
}
