/* gate.c - see gate.h */
#include "reports/gate.h"

#include <string.h>

#include "reports/svg.h"

enum { SUMMARY_ROWS = 500 }; /* GitHub takes a summary of 1 MiB */

static const char *text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "";
}

static bool is_true(const json_t *o, const char *name)
{
    return json_is_true(json_object_get(o, name));
}

static bool is(const json_t *o, const char *name, const char *value)
{
    return strcmp(text_of(o, name), value) == 0;
}

enum sqa_status sqa_gate_check(const char *name, const json_t *doc, struct sqa_err *err)
{
    const json_t *cells = json_object_get(doc, "cells");
    if (!is(doc, "schema", "seqarena.compare/1") || !json_is_array(cells))
        return sqa_fail(err, SQA_INPUT,
                        "%s: no comparison (schema seqarena.compare/1); give what compare --json wrote", name);
    for (size_t i = 0; i < json_array_size(cells); i++) {
        const json_t *cell = json_array_get(cells, i), *findings = json_object_get(cell, "findings");
        bool whole =
            *text_of(cell, "name") && json_is_boolean(json_object_get(cell, "regression")) && json_is_array(findings);
        for (size_t k = 0; k < json_array_size(findings); k++)
            whole = whole && *text_of(json_array_get(findings, k), "text");
        if (!whole)
            return sqa_fail(err, SQA_INPUT,
                            "%s: cell %zu lacks name, regression or findings; give what compare "
                            "--json wrote",
                            name, i + 1);
    }
    return SQA_OK;
}

/* What there is to say of a cell without findings. */
static void nothing_found(const json_t *cell, struct sqa_text *out)
{
    const json_t *counts = json_object_get(cell, "counts"), *steps = json_object_get(counts, "instructions");
    const double base = json_number_value(json_object_get(steps, "base")),
                 new = json_number_value(json_object_get(steps, "new"));
    if (base > 0)
        sqa_text_printf(out, "instructions %+.2f %%, other counts the same", 100 * (new / base - 1));
    else if (json_object_size(counts))
        sqa_text_add(out, "counts the same");
}

/* Findings of a cell, those only that are regressions when so asked, joined by "; ". Returns how many. */
static size_t join(const json_t *cell, bool regressions, struct sqa_text *out)
{
    const json_t *findings = json_object_get(cell, "findings");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *f = json_array_get(findings, i);
        if (!regressions || is_true(f, "regression"))
            sqa_text_printf(out, "%s%s", n++ ? "; " : "", text_of(f, "text"));
    }
    if (n == 0 && !regressions)
        nothing_found(cell, out);
    return n;
}

size_t sqa_gate_regressions(const json_t *doc)
{
    const json_t *cells = json_object_get(doc, "cells");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(cells); i++)
        n += is_true(json_array_get(cells, i), "regression");
    return n;
}

void sqa_gate_first(const json_t *doc, struct sqa_text *out)
{
    const json_t *cells = json_object_get(doc, "cells");
    for (size_t i = 0; i < json_array_size(cells); i++) {
        const json_t *cell = json_array_get(cells, i);
        if (!is_true(cell, "regression"))
            continue;
        sqa_text_printf(out, "%s: ", text_of(cell, "name"));
        join(cell, true, out);
        return;
    }
}

static bool has_kind(const json_t *cell, const char *kind)
{
    const json_t *findings = json_object_get(cell, "findings");
    for (size_t i = 0; i < json_array_size(findings); i++)
        if (is(json_array_get(findings, i), "kind", kind))
            return true;
    return false;
}

static const char *time_verdict(const json_t *cell)
{
    return text_of(json_object_get(cell, "time"), "verdict");
}

static bool settled(const json_t *cell)
{
    return strcmp(time_verdict(cell), "cannot tell") != 0 && strcmp(time_verdict(cell), "unfit") != 0;
}

static bool unconfirmed(const json_t *cell)
{
    return strcmp(time_verdict(cell), "slower") == 0 && !is_true(json_object_get(cell, "time"), "confirmed");
}

/* JUnit */

static void attribute(struct sqa_text *out, const char *name, const char *value)
{
    sqa_text_printf(out, " %s=\"", name);
    sqa_svg_text(out, value);
    sqa_text_add(out, "\"");
}

static void property(struct sqa_text *out, const char *name, const json_t *value)
{
    if (!json_is_number(value))
        return;
    sqa_text_printf(out, "        <property name=\"%s\" value=\"%.10g\"/>\n", name, json_number_value(value));
}

static void properties(const json_t *cell, struct sqa_text *out)
{
    static const char *const times[] = {
        "ratio", "low", "high", "base_ns", "new_ns", "floor_percent", "threshold_percent", "blocks"};
    const json_t *time = json_object_get(cell, "time"), *score = json_object_get(cell, "score");
    const char *name;
    json_t *counts = json_object_get(cell, "counts"), *count;
    sqa_text_add(out, "      <properties>\n");
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        property(out, times[i], json_object_get(time, times[i]));
    property(out, "score_base", json_object_get(score, "base"));
    property(out, "score_new", json_object_get(score, "new"));
    json_object_foreach(counts, name, count)
    {
        if (strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name))
            property(out, name, json_object_get(count, "new"));
    }
    sqa_text_add(out, "      </properties>\n");
}

static void test_case(const json_t *cell, struct sqa_text *out)
{
    struct sqa_text why = {0};
    const bool bad = is_true(cell, "regression");
    sqa_text_add(out, "    <testcase");
    attribute(out, "classname", text_of(cell, "task"));
    attribute(out, "name", text_of(cell, "name"));
    sqa_text_add(out, ">\n");
    properties(cell, out);
    join(cell, bad, &why);
    if (bad || !settled(cell) || unconfirmed(cell)) {
        sqa_text_printf(out, "      <%s", !bad ? "skipped" : has_kind(cell, "status") ? "error" : "failure");
        attribute(out, "message", sqa_text_get(&why));
        if (bad)
            attribute(out, "type", "regression");
        sqa_text_add(out, "/>\n");
    } else {
        sqa_text_add(out, "      <system-out>");
        sqa_svg_text(out, sqa_text_get(&why));
        sqa_text_add(out, "</system-out>\n");
    }
    sqa_text_add(out, "    </testcase>\n");
    out->failed = out->failed || why.failed;
    sqa_text_clear(&why);
}

/* The cells of a task; other: those that only one arm has. */
static void suite(const json_t *cells, const char *task, bool other, struct sqa_text *out)
{
    struct sqa_text cases = {0};
    size_t tests = 0, failures = 0, errors = 0, skipped = 0;
    for (size_t i = 0; i < json_array_size(cells); i++) {
        const json_t *cell = json_array_get(cells, i);
        if (!other && !is(cell, "task", task))
            continue;
        tests++;
        if (other) {
            sqa_text_add(&cases, "    <testcase classname=\"unmatched\"");
            attribute(&cases, "name", text_of(cell, "name"));
            sqa_text_add(&cases, ">\n      <skipped message=\"only in ");
            sqa_svg_text(&cases, text_of(cell, "only"));
            sqa_text_add(&cases, "\"/>\n    </testcase>\n");
            skipped++;
            continue;
        }
        const bool bad = is_true(cell, "regression"), broken = bad && has_kind(cell, "status");
        errors += broken;
        failures += bad && !broken;
        skipped += !bad && (!settled(cell) || unconfirmed(cell));
        test_case(cell, &cases);
    }
    if (tests) {
        sqa_text_add(out, "  <testsuite");
        attribute(out, "name", other ? "unmatched" : task);
        sqa_text_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\">\n", tests, failures,
                        errors, skipped);
        sqa_text_add(out, sqa_text_get(&cases));
        sqa_text_add(out, "  </testsuite>\n");
    }
    out->failed = out->failed || cases.failed;
    sqa_text_clear(&cases);
}

void sqa_gate_junit(const json_t *doc, struct sqa_text *out)
{
    const json_t *cells = json_object_get(doc, "cells");
    sqa_text_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"seqarena\">\n");
    for (size_t i = 0; i < json_array_size(cells); i++) {
        const char *task = text_of(json_array_get(cells, i), "task");
        size_t first = 0;
        while (!is(json_array_get(cells, first), "task", task))
            first++;
        if (first == i)
            suite(cells, task, false, out);
    }
    suite(json_object_get(doc, "unmatched"), "", true, out);
    sqa_text_add(out, "</testsuites>\n");
}

/* GitHub */

/* Data of a workflow command: %, CR and LF escaped; in a property also : and , */
static void escape(struct sqa_text *out, const char *s, bool in_property)
{
    for (; *s; s++) {
        if (*s == '%' || *s == '\r' || *s == '\n' || (in_property && (*s == ':' || *s == ',')))
            sqa_text_printf(out, "%%%02X", (unsigned)(unsigned char)*s);
        else
            sqa_text_add_bytes(out, s, 1);
    }
}

static void annotate(const json_t *cell, const char *level, bool regressions, struct sqa_text *out)
{
    struct sqa_text t = {0};
    join(cell, regressions, &t);
    sqa_text_printf(out, "::%s title=", level);
    escape(out, text_of(cell, "name"), true);
    sqa_text_add(out, "::");
    escape(out, sqa_text_get(&t), false);
    sqa_text_add(out, "\n");
    out->failed = out->failed || t.failed;
    sqa_text_clear(&t);
}

void sqa_gate_annotations(const json_t *doc, struct sqa_text *out)
{
    const json_t *cells = json_object_get(doc, "cells");
    size_t all = 0, said = 0;
    for (size_t i = 0; i < json_array_size(cells); i++) {
        const json_t *cell = json_array_get(cells, i);
        all += is_true(cell, "regression") || unconfirmed(cell);
    }
    const size_t most = all > SQA_GATE_ANNOTATIONS ? SQA_GATE_ANNOTATIONS - 1 : all;
    for (int warnings = 0; warnings < 2; warnings++)
        for (size_t i = 0; i < json_array_size(cells) && said < most; i++) {
            const json_t *cell = json_array_get(cells, i);
            const bool bad = is_true(cell, "regression");
            if (warnings ? bad || !unconfirmed(cell) : !bad)
                continue;
            annotate(cell, warnings ? "warning" : "error", bad, out);
            said++;
        }
    if (all > most)
        sqa_text_printf(out, "::%s title=seqarena::%zu more; the summary has them all\n",
                        sqa_gate_regressions(doc) > most ? "error" : "warning", all - most);
}

/* Markdown */

static void cell_text(struct sqa_text *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            sqa_text_add(out, "\\|");
        else if (*s == '<')
            sqa_text_add(out, "&lt;");
        else
            sqa_text_add_bytes(out, *s == '\n' || *s == '\r' ? " " : s, 1);
    }
}

static const char *mark(const json_t *cell)
{
    if (is_true(cell, "regression"))
        return "**worse**";
    return !settled(cell) ? time_verdict(cell) : unconfirmed(cell) ? "slower, not confirmed" : "";
}

void sqa_gate_summary(const json_t *doc, struct sqa_text *out)
{
    const json_t *cells = json_object_get(doc, "cells"), *unmatched = json_object_get(doc, "unmatched");
    const size_t n = json_array_size(cells), bad = sqa_gate_regressions(doc);
    size_t rows = 0, open = 0;
    for (size_t i = 0; i < n; i++)
        open += !settled(json_array_get(cells, i));
    sqa_text_printf(out, "## seqarena: %s\n\n%zu of %zu cells became worse", bad ? "regression" : "no regression",
                    bad, n);
    if (open)
        sqa_text_printf(out, ", %zu could not be told", open);
    sqa_text_add(out, ". Base: ");
    cell_text(out, text_of(json_object_get(doc, "base"), "name"));
    sqa_text_add(out, ", new: ");
    cell_text(out, text_of(json_object_get(doc, "new"), "name"));
    sqa_text_add(out, ".\n\n| cell | | what was found |\n| --- | --- | --- |\n");
    for (int pass = 0; pass < 2; pass++) /* what became worse first */
        for (size_t i = 0; i < n && rows < SUMMARY_ROWS; i++) {
            const json_t *cell = json_array_get(cells, i);
            struct sqa_text found = {0};
            if (is_true(cell, "regression") != (pass == 0))
                continue;
            join(cell, false, &found);
            sqa_text_add(out, "| ");
            cell_text(out, text_of(cell, "name"));
            sqa_text_printf(out, " | %s | ", mark(cell));
            cell_text(out, sqa_text_get(&found));
            sqa_text_add(out, " |\n");
            out->failed = out->failed || found.failed;
            sqa_text_clear(&found);
            rows++;
        }
    if (rows < n)
        sqa_text_printf(out, "\n%zu more cells are in the JSON.\n", n - rows);
    for (size_t i = 0; i < json_array_size(unmatched) && i < SUMMARY_ROWS; i++) {
        sqa_text_printf(out, "%s- only in %s: ", i ? "" : "\n", text_of(json_array_get(unmatched, i), "only"));
        cell_text(out, text_of(json_array_get(unmatched, i), "name"));
        sqa_text_add(out, "\n");
    }
}
