/*
 * scratch.h - a folder of its own that a test program works in; include after cmocka.h
 *
 * cmocka_run_group_tests(tests, make_scratch, remove_scratch), or a test at a time: the program then works in an empty folder, and
 * recipes and results are those of the tree.
 */
#ifndef SQA_TESTS_SCRATCH_H
#define SQA_TESTS_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char top[1024], scratch[64]; /* where it was started; the folder */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st, (void)kind, (void)place;
    return remove(path);
}

static __attribute__((unused)) int make_scratch(void **state)
{
    char results[1100], recipes[1100];
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/seqarena-test.XXXXXX");
    if (!mkdtemp(scratch) || !getcwd(top, sizeof top) || chdir(scratch) != 0)
        return -1;
    snprintf(results, sizeof results, "%s/results", top);
    snprintf(recipes, sizeof recipes, "%s/recipes", top);
    return setenv("SEQARENA_RESULTS", results, 1) || setenv("SEQARENA_RECIPES", recipes, 1);
}

static __attribute__((unused)) int remove_scratch(void **state)
{
    (void)state;
    return chdir(top) || nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
