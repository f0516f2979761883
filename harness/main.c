/* main.c - the only place that prints errors and exits */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "base/memory.h"
#include "harness/verbs.h"

int main(int argc, char **argv)
{
    struct sqa_err err = {.text = ""};
    json_set_alloc_funcs(sqa_alloc, sqa_free); /* only base/ calls malloc */
    sqa_argc = argc;
    sqa_argv = argv;
    signal(SIGXFSZ, SIG_IGN);      /* a file size limit is an error of write */
    for (int fd = 0; fd < 3; fd++) /* no file of ours in the place of a closed stream */
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
            return 4;
    enum sqa_status status = sqa_dispatch(argc, argv, &err);
    if (fflush(stdout) != 0 && status == SQA_OK)
        status = sqa_file_fail(&err, "standard output", errno);
    if (status != SQA_OK && err.text[0]) {
        err.text[strcspn(err.text, "\n")] = '\0';
        fprintf(stderr, "seqarena: %s\n", err.text);
    }
    return sqa_status_exit(status);
}
