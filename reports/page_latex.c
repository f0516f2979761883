/* page_latex.c - see page.h */
#include <string.h>

#include "reports/page.h"
#include "reports/page_private.h"

static const char top[] =
    "% Made by seqarena, to be \\input. Needs \\usepackage{booktabs,longtable}.\n"
    "% Tables are made for lines of 12 cm; what is wider goes on in a second table.\n"
    "\\providecommand{\\sqaquote}{{\\fontencoding{OT1}\\selectfont\\char13}}% straight, in code\n"
    "\\begingroup\\sloppy\n";

static void write_inline(struct sqa_text *out, cmark_node *node)
{
    const cmark_node_type type = cmark_node_get_type(node);
    const char *literal = cmark_node_get_literal(node);
    if (type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE) {
        sqa_text_add(out, type == CMARK_NODE_CODE ? "\\texttt{" : "");
        sqa_page_latex_text(out, literal, type == CMARK_NODE_CODE);
        sqa_text_add(out, type == CMARK_NODE_CODE ? "}" : "");
    } else if (type == CMARK_NODE_SOFTBREAK) {
        sqa_text_add(out, "\n");
    } else if (type == CMARK_NODE_LINEBREAK) {
        sqa_text_add(out, "\\newline\n");
    } else {
        sqa_text_add(out, type == CMARK_NODE_STRONG ? "\\textbf{" : type == CMARK_NODE_EMPH ? "\\emph{" : "{");
        sqa_page_latex_inside(out, node);
        sqa_text_add(out, "}");
    }
}

void sqa_page_latex_inside(struct sqa_text *out, cmark_node *node)
{
    for (cmark_node *child = cmark_node_first_child(node); child; child = cmark_node_next(child))
        write_inline(out, child);
}

static void write_heading(struct sqa_text *out, cmark_node *node)
{
    static const char *const commands[] = {"section*", "subsection*", "subsubsection*", "paragraph"};
    const int level = cmark_node_get_heading_level(node);
    sqa_text_printf(out, "\n\\%s{", commands[level > 4 ? 3 : level - 1]);
    sqa_page_latex_inside(out, node);
    sqa_text_add(out, level > 3 ? "}\\mbox{}\n\n" : "}\n\n");
}

static void write_code(struct sqa_text *out, const char *literal)
{
    sqa_text_add(out, "\\begin{quote}\\ttfamily\\small\\raggedright\n");
    for (const char *line = literal; *line;) {
        const size_t n = strcspn(line, "\n");
        struct sqa_text t = {0};
        sqa_text_add_bytes(&t, line, n);
        sqa_page_latex_text(out, sqa_text_get(&t), true);
        out->failed = out->failed || t.failed;
        sqa_text_clear(&t);
        line += n + (line[n] == '\n');
        sqa_text_add(out, *line ? "\\par\n" : "\n");
    }
    sqa_text_add(out, "\\end{quote}\n\n");
}

static void write_blocks(struct sqa_text *out, cmark_node *node);

static void write_block(struct sqa_text *out, cmark_node *node)
{
    const cmark_node_type type = cmark_node_get_type(node);
    const char *environment = type == CMARK_NODE_BLOCK_QUOTE                         ? "quote"
                              : type != CMARK_NODE_LIST                              ? NULL
                              : cmark_node_get_list_type(node) == CMARK_ORDERED_LIST ? "enumerate"
                                                                                     : "itemize";
    if (type == CMARK_NODE_HEADING) {
        write_heading(out, node);
    } else if (sqa_page_is_table(node)) {
        sqa_page_latex_table(out, node);
    } else if (type == CMARK_NODE_CODE_BLOCK) {
        write_code(out, cmark_node_get_literal(node));
    } else if (type == CMARK_NODE_PARAGRAPH) {
        sqa_page_latex_inside(out, node);
        sqa_text_add(out, cmark_node_get_type(cmark_node_parent(node)) == CMARK_NODE_ITEM ? "\n" : "\n\n");
    } else if (type == CMARK_NODE_THEMATIC_BREAK) {
        sqa_text_add(out, "\\medskip\n\n");
    } else {
        if (environment)
            sqa_text_printf(out, "\\begin{%s}\n", environment);
        sqa_text_add(out, type == CMARK_NODE_ITEM ? "\\item " : "");
        write_blocks(out, node);
        if (environment)
            sqa_text_printf(out, "\\end{%s}\n", environment);
    }
}

static void write_blocks(struct sqa_text *out, cmark_node *node)
{
    for (cmark_node *child = cmark_node_first_child(node); child; child = cmark_node_next(child))
        write_block(out, child);
}

enum sqa_status sqa_page_latex(const struct sqa_parts *parts, struct sqa_text *out, struct sqa_err *err)
{
    sqa_text_add(out, top);
    for (size_t i = 0; i < parts->n; i++) {
        const struct sqa_part *part = &parts->at[i];
        if (part->figure || part->file)
            continue;
        cmark_node *root = sqa_page_parse(&part->text);
        if (!root)
            return sqa_fail(err, SQA_MACHINE, "report: cmark-gfm reads no tables; check its installation");
        write_blocks(out, root);
        cmark_node_free(root);
    }
    sqa_text_add(out, "\\endgroup\n");
    if (out->failed || sqa_parts_failed(parts))
        return sqa_fail(err, SQA_NOMEM, "report: no memory for the text; free some memory or report fewer runs");
    return SQA_OK;
}
