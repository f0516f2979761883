/* version.c - see version.h; commit.inc is made by the Makefile */
#include "harness/version.h"

#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"

const char *const sqa_commit =
#include "commit.inc"
    ;

const char *sqa_build_id(void)
{
    static char id[17];
    char *data;
    size_t size;
    if (!*id && sqa_file_read("/proc/self/exe", (size_t)1 << 30, &data, &size, NULL) == SQA_OK) {
        snprintf(id, sizeof id, "%016llx", (unsigned long long)sqa_hash(data, size, 0));
        sqa_free(data);
    }
    return id;
}
