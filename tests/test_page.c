/* test_page.c - documents of parts as HTML and LaTeX */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/memory.h"
#include "reports/page.h"
#include "reports/page_private.h"
#include "tests/support.h"

static const char document[] =
    "# A & B\n\nText with <b onclick=\"x()\">raw</b> HTML, ![a picture](http://example.org/x.png), "
    "[bad](javascript:alert(1)) and `code_1 <i>`.\n\n"
    "<script>alert(1)</script>\n\n"
    "## First\n\n#### Deep\n\n"
    "| model | figure |\n|:------|------:|\n| `a_b` | **1.50** [1.2, 1.8] ms |\n| c | - |\n\n"
    "## First\n\n- 50 % ± 2 × 3\n- [x] *y* {z} ~ ^ \\\\ # $ ⁂\n\n    --fast 'a b' | c\n";

static struct sqa_text made(bool html)
{
    struct sqa_parts parts = {0};
    struct sqa_text out = {0};
    struct sqa_err err = {0};
    sqa_text_add(sqa_parts_markdown(&parts), document);
    struct sqa_part *figure = sqa_parts_figure(&parts);
    sqa_text_add(&figure->text, "<?xml version=\"1.0\"?>\n<svg width=\"10\"><path/></svg>");
    sqa_text_add(&figure->caption, "Time by `length`, \"drawn\".");
    sqa_text_add(&sqa_parts_file(&parts, "values.csv")->text, "a,b\n1,\"x y\"\n");
    sqa_text_add(sqa_parts_markdown(&parts), "The end.\n");
    assert_int_equal(parts.n, 4);
    if ((html ? sqa_page_html("Title <1>", &parts, &out, &err) : sqa_page_latex(&parts, &out, &err)) != SQA_OK)
        fail_msg("%s", err.text);
    sqa_parts_clear(&parts);
    return out;
}

static void lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("'%s' is in: %.300s", part, strstr(text, part));
}

static void test_html(void **state)
{
    (void)state;
    struct sqa_text page = made(true), again = made(true);
    const char *t = page.text;
    assert_string_equal(t, again.text);
    has(t, "<title>Title &lt;1&gt;</title>");
    has(t, "<header><h1>A &amp; B</h1></header>");
    has(t, "&lt;b onclick=&quot;x()&quot;&gt;raw");
    has(t, "&lt;script&gt;alert(1)");
    lacks(t, "<b ");
    lacks(t, "<script>alert");
    lacks(t, "<img");
    lacks(t, "example.org");
    lacks(t, "javascript:alert");
    has(t, "a picture");
    has(t, "<h2 id=\"first-1\">First</h2>\n<h3 id=\"deep-2\">Deep</h3>");
    has(t, "<li><a href=\"#first-1\">First</a>\n<ul>\n<li><a href=\"#deep-2\">Deep</a></li>\n</ul>\n</li>\n"
           "<li><a href=\"#first-3\">First</a></li>\n</ul>\n</nav>");
    has(t, "<th scope=\"col\" class=\"n\">figure</th>");
    has(t,
        "<th scope=\"row\"><code>a_b</code></th><td class=\"n\" data-v=\"0.0015\"><strong>1.50</strong> [1.2, 1.8] "
        "ms</td>");
    has(t, "<td class=\"n\">-</td>");
    has(t, "<caption id=\"t1\">Deep, table</caption>");
    has(t, "aria-label=\"Time by length, &quot;drawn&quot;.\">\n<svg width");
    lacks(t, "<?xml");
    has(t, "<figcaption><p>Time by <code>length</code>");
    has(t, "<a download=\"values.csv\" href=\"data:text/csv;charset=utf-8,a,b%0A1,%22x%20y%22%0A\">");
    sqa_text_clear(&page);
    sqa_text_clear(&again);
}

static void test_latex(void **state)
{
    (void)state;
    struct sqa_text latex = made(false);
    const char *t = latex.text;
    has(t, "booktabs,longtable");
    has(t, "\\section*{A \\& B}");
    has(t, "\\texttt{code\\_\\allowbreak{}1 \\textless{}i\\textgreater{}}");
    has(t, "\\begin{longtable}{@{}lr@{}}\n\\toprule\nmodel & figure \\tabularnewline\n\\midrule\\endhead\n");
    has(t, "\\textbf{1.50} {[}1.2, 1.8{]} ms \\tabularnewline");
    has(t, "50 \\% $\\pm$ 2 $\\times$ 3");
    has(t, "{[}x{]} \\emph{y} \\{z\\} \\textasciitilde{} \\textasciicircum{} \\textbackslash{} \\# \\$ ?");
    lacks(t, "svg");
    lacks(t, "values.csv");
    has(t, "The end.");
    sqa_text_clear(&latex);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"41.20 [39.05, 43.38]", 41.2},
                {"1.23 ms", 1.23e-3},
                {"980 us", 980e-6},
                {"1.23 [1.20, 1.27] ms", 1.23e-3},
                {"4.00 K", 4000},
                {"+1.9", 1.9},
                {"-3", -3},
                {"25.3 GB (25276514304)", 25.3e9},
                {"58.30 ‡ [55, 61] (2 x 1000, f)", 58.3},
                {"1.5 s", 1.5},
                {"11.3 [999 ms, 12 s]", 11.3},
                {"12 %", 12}};
    static const char *const bad[] = {
        "", "-", "1d-conv", "0x10", "nan", "inf", "- (no cpufreq)", "2026-11-22", "3 of 4", "10.42 2022-12-11"};
    double v;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!sqa_page_number(good[i].text, &v) ||
            v < good[i].value - 1e-9 * (good[i].value > 0 ? good[i].value : -good[i].value) ||
            v > good[i].value + 1e-9 * (good[i].value > 0 ? good[i].value : -good[i].value))
            fail_msg("%s: %g", good[i].text, v);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (sqa_page_number(bad[i], &v))
            fail_msg("%s: %g", bad[i], v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_html), cmocka_unit_test(test_latex),
                                       cmocka_unit_test(test_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
