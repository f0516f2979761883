/* support.h - what several test programs say the same way; include after cmocka.h */
#ifndef SQA_TESTS_SUPPORT_H
#define SQA_TESTS_SUPPORT_H

#include <math.h>
#include <string.h>

#include "base/status.h"

#define COUNT(x) (sizeof(x) / sizeof *(x))
#define OK(call)                          \
    do {                                  \
        if ((call) != SQA_OK)             \
            fail_msg("%s", failure.text); \
    } while (0)

static __attribute__((unused)) struct sqa_err failure;

static inline void assert_near(double a, double b, double bound, const char *what)
{
    if (!(fabs(a - b) <= bound))
        fail_msg("%s: %.17g, want %.17g within %g", what, a, b, bound);
}

static inline void has(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" is not in\n%s", part, text ? text : "nothing");
}

#endif
