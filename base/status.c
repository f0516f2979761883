/* status.c - see status.h */
#include "base/status.h"

#include <stdio.h>

enum sqa_status sqa_fail(struct sqa_err *err, enum sqa_status code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
    }
    return code;
}

const char *sqa_status_name(enum sqa_status code)
{
    static const char *const names[] = {
#define X(name, code, text) #name,
        SQA_STATUS_LIST(X)
#undef X
    };
    return names[code];
}

int sqa_status_exit(enum sqa_status code)
{
    static const int codes[] = {
#define X(name, code, text) code,
        SQA_STATUS_LIST(X)
#undef X
    };
    return codes[code];
}
