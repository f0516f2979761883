/*
 * counters.c - sets of counters: groups of events, cut into passes that the hardware can count
 *
 * Events that a trial refused are left out with the reason. Of the rest each goes, in order, into the first pass in
 * which it opens and counts beside those already there, else into a pass of its own. Nothing is multiplexed.
 */
#include "harness/measure/measure.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "harness/measure/measure_private.h"

const char *const sqa_counter_groups[] = {"software", "flops",  "cache",    "branch", "tlb",
                                          "stalls",   "energy", "hardware", NULL};

enum { CANDIDATES = 160, NAME = sizeof((struct sqa_counter_info *)0)->name };

struct sqa_counters {
    const struct sqa_counter_source *source;
    int n, passes, selected; /* selected: the pass that counts, -1 none */
    char names[SQA_COUNTERS_MAX][NAME];
    int pass[SQA_COUNTERS_MAX]; /* ascending once the set is open */
    int first[SQA_COUNTERS_MAX + 1];
    void *handle[SQA_COUNTERS_MAX]; /* a pass each */
};

/* ---- which events ---- */

/* A set in the making and what was left out of it: a short text, and all of it when missing is not NULL. */
struct wish {
    struct sqa_counters *c;
    char *reason; /* [160] */
    json_t *missing;
};

static void left_out(const struct wish *w, const char *name, const char *why)
{
    const size_t used = strlen(w->reason);
    snprintf(w->reason + used, 160 - used, "%s%s: %s", used ? "; " : "", name, why);
    if (w->missing)
        json_array_append_new(w->missing, json_pack("{s:s, s:s}", "name", name, "reason", why));
}

static int has(const struct sqa_counters *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->names[i], name) == 0)
            return 1;
    return 0;
}

/* Puts an event that passes the trial on the list. */
static void want(const struct wish *w, const char *name)
{
    char why[160];
    if (has(w->c, name))
        return;
    if (w->c->n == SQA_COUNTERS_MAX)
        left_out(w, name, "too many events");
    else if (!sqa_counter_passes(w->c->source, name, why))
        left_out(w, name, why);
    else
        snprintf(w->c->names[w->c->n++], NAME, "%s", name);
}

int sqa_counter_in_group(const struct sqa_counter_info *info, const char *group)
{
    const size_t n = strlen(group);
    if (strcmp(group, "hardware") == 0)
        return !sqa_counter_in_group(info, "software") && !sqa_counter_in_group(info, "energy");
    for (const char *p = info->groups; *p; p += strspn(p, " ")) {
        const size_t word = strcspn(p, " ");
        if (word == n && strncmp(p, group, n) == 0)
            return 1;
        p += word;
    }
    return 0;
}

static int is_group(const char *name)
{
    for (int i = 0; sqa_counter_groups[i]; i++)
        if (strcmp(sqa_counter_groups[i], name) == 0)
            return 1;
    return 0;
}

/* The next name of a list "a, b,c" into buf; where the rest begins, or NULL at the end. Too long a name is cut, so it
 * is none. */
static const char *next_name(const char *p, char buf[NAME])
{
    for (buf[0] = '\0'; *p && !buf[0]; p += *p == ',') {
        p += strspn(p, " ");
        const size_t n = strcspn(p, ",");
        snprintf(buf, NAME, "%.*s", (int)(n < NAME ? n : NAME - 1), p);
        for (size_t end = strlen(buf); end > 0 && buf[end - 1] == ' ';)
            buf[--end] = '\0';
        p += n;
    }
    return buf[0] ? p : NULL;
}

/* A group stands for the source's candidates in it, less those that stand in for one that is there; any other name for
 * itself. */
static int want_names(const struct wish *w, const char *names)
{
    struct sqa_counter_info *all = sqa_alloc_array(CANDIDATES, sizeof *all);
    char name[NAME];
    if (!all) {
        snprintf(w->reason, 160, "no memory");
        return -1;
    }
    const int n = w->c->source->list(all, CANDIDATES);
    for (const char *p = names; (p = next_name(p, name)) != NULL;) {
        const int group = is_group(name);
        for (int i = 0; i < n && group; i++)
            if (sqa_counter_in_group(&all[i], name) && !(all[i].instead[0] && has(w->c, all[i].instead)))
                want(w, all[i].name);
        if (!group)
            want(w, name);
    }
    sqa_free(all);
    return 0;
}

enum sqa_status sqa_counters_check(const char *where, const char *names, struct sqa_err *err)
{
    char name[NAME];
    struct sqa_text groups = {0};
    enum sqa_status status = SQA_OK;
    size_t n = 0;
    for (; sqa_counter_groups[n]; n++)
        sqa_text_printf(&groups, "%s%s", n ? ", " : "", sqa_counter_groups[n]);
    for (const char *p = names; (p = next_name(p, name)) != NULL && status == SQA_OK;) {
        const char *capital = name + strcspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ:");
        if (is_group(name) || *capital)
            continue;
        const char *near = sqa_nearest(name, sqa_counter_groups, n);
        status =
            sqa_fail(err, SQA_USAGE, "%s: --counters %.60s: no group%s%s%s; give %s, or names of events", where, name,
                     near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", sqa_text_get(&groups));
    }
    sqa_text_clear(&groups);
    return status;
}

/* ---- passes ---- */

/* Opens and starts n names as one group and sees that none of them stands still: an event that counts alone may starve
 * in a group. NULL with reason when it cannot. */
static void *open_started(const struct sqa_counter_source *source, const char *const *names, int n, char reason[160])
{
    long long values[SQA_COUNTERS_MAX] = {0};
    snprintf(reason, 160, "the group is refused");
    void *h = source->open(names, n, reason);
    if (!h)
        return NULL;
    int good = source->start(h) == 0;
    if (good) {
        sqa_counter_work(1);
        good = source->read(h, values) == 0;
    }
    for (int i = 0; i < n && good && n > 1; i++)
        good = values[i] > 0 || sqa_counter_may_be_zero(names[i]);
    if (good)
        return h;
    source->close(h);
    snprintf(reason, 160, "does not count beside the other events");
    return NULL;
}

/* Names of pass p, and `more` behind them when it is not NULL; returns how many. */
static int names_of_pass(const struct sqa_counters *c, int p, int known, const char *more, const char **names)
{
    int n = 0;
    for (int i = 0; i < known; i++)
        if (c->pass[i] == p)
            names[n++] = c->names[i];
    if (more)
        names[n++] = more;
    return n;
}

/* Finds the pass of event i, whose forerunners have theirs. */
static void place(struct sqa_counters *c, int i)
{
    const char *names[SQA_COUNTERS_MAX];
    char why[160];
    for (int p = 0; p < c->passes; p++) {
        void *h = open_started(c->source, names, names_of_pass(c, p, i, c->names[i], names), why);
        if (!h)
            continue;
        c->source->close(h);
        c->pass[i] = p;
        return;
    }
    c->pass[i] = c->passes++;
}

/* Puts the events in the order of their passes, so that a pass is read into one piece. */
static void sort_by_pass(struct sqa_counters *c)
{
    char names[SQA_COUNTERS_MAX][NAME];
    int n = 0;
    memcpy(names, c->names, sizeof names);
    for (int p = 0; p < c->passes; p++) {
        c->first[p] = n;
        for (int i = 0; i < c->n; i++)
            if (c->pass[i] == p)
                memcpy(c->names[n++], names[i], NAME);
    }
    c->first[c->passes] = n;
    for (int p = 0; p < c->passes; p++)
        for (int i = c->first[p]; i < c->first[p + 1]; i++)
            c->pass[i] = p;
}

/* One pass when all fit together, else as many as it takes. */
static int open_passes(struct sqa_counters *c, char reason[160])
{
    const char *names[SQA_COUNTERS_MAX];
    char why[160];
    c->passes = 1;
    void *whole = open_started(c->source, names, names_of_pass(c, 0, c->n, NULL, names), why);
    if (whole)
        c->source->close(whole);
    else
        for (int i = 1; i < c->n; i++)
            place(c, i);
    sort_by_pass(c);
    for (int p = 0; p < c->passes; p++) {
        const int n = names_of_pass(c, p, c->n, NULL, names);
        why[0] = '\0';
        c->handle[p] = c->source->open(names, n, why);
        if (!c->handle[p]) {
            snprintf(reason, 160, "%s", why[0] ? why : "a pass that could be opened cannot be opened again");
            return -1;
        }
    }
    return sqa_counters_select(c, 0) == 0 ? 0 : (snprintf(reason, 160, "opens but cannot be started"), -1);
}

static struct sqa_counters *open_set(const struct sqa_counter_source *source, const char *names, char reason[160],
                                     json_t *missing)
{
    struct sqa_counters *c = sqa_alloc(sizeof *c);
    const struct wish w = {c, reason, missing};
    reason[0] = '\0';
    if (!c) {
        snprintf(reason, 160, "no memory");
        return NULL;
    }
    c->source = source;
    c->selected = -1;
    const int named = want_names(&w, names) == 0 && c->n > 0;
    if (named && open_passes(c, reason) == 0)
        return c;
    if (!reason[0])
        snprintf(reason, 160, "no event is named");
    sqa_counters_close(c);
    return NULL;
}

/* ---- for callers ---- */

struct sqa_counters *sqa_counters_open(const struct sqa_counter_source *source, const char *names, char reason[160])
{
    return open_set(source, names, reason, NULL);
}

json_t *sqa_counters_json(const struct sqa_counter_source *source, const char *names)
{
    char reason[160];
    json_t *missing = json_array(), *passes = json_array();
    struct sqa_counters *c = open_set(source, names, reason, missing);
    for (int p = 0; p < sqa_counters_passes(c); p++) {
        json_t *events = json_array();
        for (int i = c->first[p]; i < c->first[p + 1]; i++)
            json_array_append_new(events, json_string(c->names[i]));
        json_array_append_new(passes, events);
    }
    json_t *o = json_pack("{s:s, s:o, s:o}", "asked", names, "passes", passes, "missing", missing);
    if (o && !c)
        json_object_set_new(o, "reason", json_string(reason));
    sqa_counters_close(c);
    return o;
}

int sqa_counters_n(const struct sqa_counters *c)
{
    return c ? c->n : 0;
}

const char *sqa_counters_name(const struct sqa_counters *c, int i)
{
    return c && i >= 0 && i < c->n ? c->names[i] : NULL;
}

int sqa_counters_passes(const struct sqa_counters *c)
{
    return c ? c->passes : 0;
}

int sqa_counters_pass(const struct sqa_counters *c, int i)
{
    return c && i >= 0 && i < c->n ? c->pass[i] : -1;
}

int sqa_counters_select(struct sqa_counters *c, int pass)
{
    if (!c || pass < 0 || pass >= c->passes)
        return -1;
    if (pass == c->selected)
        return 0;
    if (c->selected >= 0)
        c->source->stop(c->handle[c->selected]);
    c->selected = c->source->start(c->handle[pass]) == 0 ? pass : -1;
    return c->selected < 0 ? -1 : 0;
}

int sqa_counters_read(struct sqa_counters *c, long long *values)
{
    return c && c->selected >= 0 ? c->source->read(c->handle[c->selected], values + c->first[c->selected]) : -1;
}

void sqa_counters_close(struct sqa_counters *c)
{
    if (!c)
        return;
    for (int p = 0; p < c->passes; p++)
        if (c->handle[p])
            c->source->close(c->handle[p]);
    sqa_free(c);
}
