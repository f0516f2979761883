/* slow.c - see slow.h */
#include "engine/slow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/graph.h"

struct sqa_slow sqa_slow;

enum sqa_status sqa_slow_read(struct sqa_err *err)
{
    const char *text = getenv("SEQARENA_TEST_SLOW");
    char loops[10];
    int end = 0;
    if (!text)
        return SQA_OK;
    const bool two = sscanf(text, "%39[a-z0-9_]:%9[0-9]%n", sqa_slow.op, loops, &end) == 2 && text[end] == '\0';
    sqa_slow.loops = two ? strtoul(loops, NULL, 10) : 0;
    if (two)
        for (size_t i = 0; sqa_ops[i]; i++)
            if (strcmp(sqa_ops[i]->name, sqa_slow.op) == 0)
                return SQA_OK;
    sqa_slow.op[0] = '\0';
    return sqa_fail(err, SQA_USAGE, "SEQARENA_TEST_SLOW: '%.60s' is not OP:LOOPS of an op there is; unset it", text);
}
