/* test_place.c - where --bind puts threads, on made-up machines, and one bound team for real */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getcpu */
#endif
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <omp.h>

#include "harness/measure/measure.h"
#include "harness/measure/place.h"

/* hwloc numbers processors of a made-up machine along the tree: siblings of a core are 0 and 1, 2 and 3 and so on. */
static const char two_nodes[] = "numa:2 core:4 pu:2", one_node[] = "core:4 pu:1", no_cores[] = "pu:3";

static hwloc_topology_t made_up(const char *what)
{
    hwloc_topology_t t;
    assert_int_equal(hwloc_topology_init(&t), 0);
    assert_int_equal(hwloc_topology_set_synthetic(t, what), 0);
    assert_int_equal(hwloc_topology_load(t), 0);
    return t;
}

/* "0 2 4", or the error. given: a list of processors, NULL: all. nodes gets those of the places. */
static void place(const char *machine, const char *given, const char *how, int n, char text[300], char nodes[64])
{
    hwloc_topology_t t = made_up(machine);
    hwloc_bitmap_t set = hwloc_bitmap_dup(hwloc_topology_get_topology_cpuset(t)), node = hwloc_bitmap_alloc();
    unsigned processor[32];
    struct sqa_err err;
    if (given)
        assert_int_equal(hwloc_bitmap_list_sscanf(set, given), 0);
    nodes[0] = text[0] = '\0';
    const enum sqa_status status = sqa_place_threads(t, set, "run", how, n, processor, &err);
    if (status != SQA_OK) {
        assert_int_equal(status, SQA_USAGE);
        snprintf(text, 300, "%.299s", err.text);
    }
    for (int i = 0; i < n && status == SQA_OK; i++)
        snprintf(text + strlen(text), 300 - strlen(text), "%s%u", i ? " " : "", processor[i]);
    if (status == SQA_OK) {
        sqa_place_nodes(t, processor, n, node);
        hwloc_bitmap_list_snprintf(nodes, 64, node);
    }
    hwloc_bitmap_free(node);
    hwloc_bitmap_free(set);
    hwloc_topology_destroy(t);
}

static void test_places(void **state)
{
    (void)state;
    static const struct {
        const char *machine, *given, *how;
        int n;
        const char *text, *nodes; /* the places, or words of the refusal */
    } cases[] = {
        {two_nodes, NULL, "compact", 1, "0", "0"},
        {two_nodes, NULL, "compact", 4, "0 1 2 3", "0"},
        {two_nodes, NULL, "compact", 10, "0 1 2 3 4 5 6 7 8 9", "0-1"},
        {two_nodes, "3-9", "compact", 3, "3 4 5", "0"},
        {two_nodes, NULL, "spread", 1, "0", "0"},
        {two_nodes, NULL, "spread", 2, "0 8", "0-1"},
        {two_nodes, NULL, "spread", 3, "0 4 10", "0-1"},
        {two_nodes, NULL, "spread", 4, "0 4 8 12", "0-1"},
        {two_nodes, NULL, "spread", 8, "0 2 4 6 8 10 12 14", "0-1"},
        {two_nodes, NULL, "spread", 10, "0 2 4 6 8 10 12 14 1 9", "0-1"},
        {two_nodes, NULL, "spread", 16, "0 2 4 6 8 10 12 14 1 3 5 7 9 11 13 15", "0-1"},
        {two_nodes, "8-15", "spread", 2, "8 12", "1"},
        {two_nodes, "1,3,5", "spread", 3, "1 3 5", "0"},
        {two_nodes, NULL, "9,2-4", 4, "9 2 3 4", "0-1"},
        {two_nodes, NULL, "9,2-4", 2, "9 2", "0-1"},
        {two_nodes, NULL, "0-15", 2, "0 1", "0"},
        {one_node, NULL, "compact", 4, "0 1 2 3", "0"},
        {one_node, NULL, "spread", 2, "0 2", "0"},
        {no_cores, NULL, "spread", 3, "0 1 2", "0"},
        {no_cores, NULL, "compact", 2, "0 1", "0"},
        {two_nodes, NULL, "compact", 17, "run: --bind compact: 16 processors for 17 threads; lower --threads", ""},
        {two_nodes, "3", "spread", 2, "1 processor for 2 threads", ""},
        {two_nodes, NULL, "1,2", 3, "2 processors for 3 threads; lower --threads or --jobs, or name more", ""},
        {two_nodes, NULL, "16", 1, "may not use processor 16; choose among 0-15", ""},
        {two_nodes, "0-3", "2-5", 1, "may not use processor 4; choose among 0-3", ""},
        {two_nodes, NULL, "0-99999999999999999999999", 1, "may not use processor 16", ""},
        {two_nodes, NULL, "1,0-2", 1, "processor 1 is named twice", ""},
        {two_nodes, NULL, "", 1, "give compact, spread, none or processors", ""},
        {two_nodes, NULL, "3-1", 1, "give compact, spread", ""},
        {two_nodes, NULL, "1-", 1, "give compact, spread", ""},
        {two_nodes, NULL, "1,", 1, "give compact, spread", ""},
        {two_nodes, NULL, ",1", 1, "give compact, spread", ""},
        {two_nodes, NULL, "-1", 1, "give compact, spread", ""},
        {two_nodes, NULL, "1 2", 1, "give compact, spread", ""},
        {two_nodes, NULL, "close", 1, "give compact, spread", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[300], nodes[64];
        place(cases[i].machine, cases[i].given, cases[i].how, cases[i].n, text, nodes);
        if (*cases[i].nodes) {
            assert_string_equal(text, cases[i].text);
            assert_string_equal(nodes, cases[i].nodes);
        } else if (!strstr(text, cases[i].text)) {
            fail_msg("--bind %s for %d: '%s', not '%s'", cases[i].how, cases[i].n, text, cases[i].text);
        }
    }
}

/* Threads of a later team of the same size are where the first team was put. */
static void test_team(void **state)
{
    (void)state;
    hwloc_topology_t t;
    hwloc_const_bitmap_t given;
    struct sqa_text done = {0};
    struct sqa_err err;
    int at[2] = {-1, -1};
    if (!sqa_topology(&t, &given) || sqa_processors() < 2) {
        print_message("fewer than two processors\n");
        skip();
    }
    const int low = hwloc_bitmap_first(given), high = hwloc_bitmap_next(given, low);
    char how[64], expected[64];
    snprintf(how, sizeof how, "%d,%d", high, low);
    snprintf(expected, sizeof expected, "%d %d", high, low);
    assert_int_equal(sqa_bind_team(how, 2, 0, 2, &done, &err), SQA_OK);
    assert_int_equal(strncmp(sqa_text_get(&done), expected, strlen(expected)), 0);
    sqa_text_clear(&done);
    for (int round = 0; round < 3; round++) {
#pragma omp parallel num_threads(2)
        at[omp_get_thread_num()] = sched_getcpu();
        assert_int_equal(at[0], high);
        assert_int_equal(at[1], low);
    }
    assert_int_equal(sqa_bind_check("run", "compact", sqa_processors() + 1, &err), SQA_USAGE);
    assert_int_equal(sqa_bind_check("run", "spread", sqa_processors(), &err), SQA_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_places), cmocka_unit_test(test_team)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
