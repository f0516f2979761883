/* replay.c - main of a fuzz target without a fuzzer: gives it the bytes of each file named on the command line */
#include <stdint.h>
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct sqa_err err = {.text = ""};
        char *data;
        size_t size;
        if (sqa_file_read(argv[i], (size_t)1 << 26, &data, &size, &err) != SQA_OK) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)data, size);
        sqa_free(data);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
