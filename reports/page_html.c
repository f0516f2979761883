/* page_html.c - see page.h */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "reports/page.h"
#include "reports/page_private.h"
#include "reports/svg.h"

/* Lines of page.css and page.js, made by the Makefile. */
static const char *const style[] = {
#include "page_css.inc"
    NULL};
static const char *const script[] = {
#include "page_js.inc"
    NULL};

enum { CONTENTS_DEPTH = 3 };

struct page {
    struct sqa_text body, contents, heading; /* heading: of level 1, as HTML */
    struct sqa_text above;                   /* plain text of the last heading: the caption of tables below it */
    int level, in_contents;                  /* of the last heading; of the last entry of the contents, 0: none */
    int headings, tables, tables_above;      /* tables_above: below the last heading */
};

/* "cost-a-step-2": what a link to the heading ends in; the number keeps it apart from others. */
static void write_anchor(struct sqa_text *out, const char *plain, int number)
{
    bool dash = false;
    for (; *plain; plain++) {
        const unsigned char c = (unsigned char)*plain;
        if (isalnum(c) && c < 0x80) {
            const char lower = (char)tolower(c);
            sqa_text_add_bytes(out, &lower, 1);
            dash = true;
        } else if (dash) {
            sqa_text_add(out, "-");
            dash = false;
        }
    }
    sqa_text_printf(out, "%s%d", dash ? "-" : "", number);
}

static void open_contents(struct page *p, int level)
{
    if (p->in_contents == 0)
        sqa_text_add(&p->contents, "<ul>\n");
    for (int i = p->in_contents; p->in_contents && i < level; i++)
        sqa_text_add(&p->contents, "\n<ul>\n");
    for (int i = p->in_contents; i > level; i--)
        sqa_text_add(&p->contents, "</li>\n</ul>\n");
    if (p->in_contents >= level)
        sqa_text_add(&p->contents, "</li>\n");
    p->in_contents = level;
}

static void close_contents(struct page *p)
{
    for (int i = p->in_contents; i >= 2; i--)
        sqa_text_add(&p->contents, "</li>\n</ul>\n");
}

/* Levels go down one at a time, as readers of screens expect. */
static void write_heading(struct page *p, cmark_node *node)
{
    int level = cmark_node_get_heading_level(node);
    struct sqa_text anchor = {0};
    sqa_text_clear(&p->above);
    sqa_page_plain(&p->above, node);
    p->tables_above = 0;
    if (level == 1 && p->heading.length == 0 && p->headings == 0) {
        sqa_page_inside(&p->heading, node);
        p->level = 1;
        return;
    }
    level = level < 2 ? 2 : level > p->level + 1 ? p->level + 1 : level;
    p->level = level;
    write_anchor(&anchor, sqa_text_get(&p->above), ++p->headings);
    sqa_text_printf(&p->body, "<h%d id=\"%s\">", level, sqa_text_get(&anchor));
    sqa_page_inside(&p->body, node);
    sqa_text_printf(&p->body, "</h%d>\n", level);
    if (level <= CONTENTS_DEPTH) {
        open_contents(p, level);
        sqa_text_printf(&p->contents, "<li><a href=\"#%s\">", sqa_text_get(&anchor));
        sqa_svg_text(&p->contents, sqa_text_get(&p->above));
        sqa_text_add(&p->contents, "</a>");
    }
    sqa_text_clear(&anchor);
}

static void write_table(struct page *p, cmark_node *node)
{
    struct sqa_text caption = {0};
    sqa_text_printf(&caption, "%s, table", p->above.length ? p->above.text : "Report");
    if (p->tables_above++)
        sqa_text_printf(&caption, " %d", p->tables_above);
    sqa_page_table(&p->body, node, sqa_text_get(&caption), ++p->tables);
    sqa_text_clear(&caption);
}

static void write_block(struct page *p, cmark_node *node)
{
    const cmark_node_type type = cmark_node_get_type(node);
    if (type == CMARK_NODE_HEADING) {
        write_heading(p, node);
    } else if (sqa_page_is_table(node)) {
        write_table(p, node);
    } else if (type == CMARK_NODE_CODE_BLOCK) {
        sqa_text_add(&p->body, "<pre tabindex=\"0\"><code>");
        sqa_svg_text(&p->body, cmark_node_get_literal(node));
        sqa_text_add(&p->body, "</code></pre>\n");
    } else {
        char *html = cmark_render_html(node, CMARK_OPT_DEFAULT, NULL);
        sqa_text_add(&p->body, html);
        free(html);
    }
}

static enum sqa_status no_tree(struct sqa_err *err)
{
    return sqa_fail(err, SQA_MACHINE, "report: cmark-gfm reads no tables; check its installation");
}

static enum sqa_status write_figure(struct page *p, const struct sqa_part *part, struct sqa_err *err)
{
    const char *svg = strstr(sqa_text_get(&part->text), "<svg");
    if (!svg)
        return SQA_OK;
    cmark_node *caption = sqa_page_parse(&part->caption);
    if (!caption)
        return no_tree(err);
    struct sqa_text plain = {0};
    sqa_page_plain(&plain, caption);
    sqa_text_add(&p->body, "<figure>\n<div class=\"figure\" role=\"group\" tabindex=\"0\" aria-label=\"");
    sqa_svg_text(&p->body, sqa_text_get(&plain));
    sqa_text_add(&p->body, "\">\n");
    sqa_text_add(&p->body, svg);
    sqa_text_add(&p->body, "</div>\n<figcaption>");
    sqa_page_inside(&p->body, caption);
    sqa_text_add(&p->body, "</figcaption>\n</figure>\n");
    sqa_text_clear(&plain);
    cmark_node_free(caption);
    return SQA_OK;
}

static void write_file(struct page *p, const struct sqa_part *part)
{
    char size[32];
    sqa_text_add(&p->body, "<p><a download=\"");
    sqa_svg_text(&p->body, part->file);
    sqa_text_add(&p->body, "\" href=\"data:text/csv;charset=utf-8,");
    for (const char *s = sqa_text_get(&part->text); *s; s++)
        if (isalnum((unsigned char)*s) || strchr("-_.~,:=/;", *s))
            sqa_text_add_bytes(&p->body, s, 1);
        else
            sqa_text_printf(&p->body, "%%%02X", (unsigned char)*s);
    sqa_text_add(&p->body, "\">");
    sqa_svg_text(&p->body, part->file);
    sqa_text_printf(&p->body, "</a> (%s, in this page)</p>\n", sqa_format_bytes(size, (double)part->text.length));
}

static enum sqa_status write_part(struct page *p, const struct sqa_part *part, struct sqa_err *err)
{
    if (part->figure)
        return write_figure(p, part, err);
    if (part->file) {
        write_file(p, part);
        return SQA_OK;
    }
    cmark_node *root = sqa_page_parse(&part->text);
    if (!root)
        return no_tree(err);
    for (cmark_node *node = cmark_node_first_child(root); node; node = cmark_node_next(node))
        write_block(p, node);
    cmark_node_free(root);
    return SQA_OK;
}

static void add_lines(struct sqa_text *out, const char *const *line)
{
    for (; *line; line++)
        sqa_text_add(out, *line);
}

/* Only the script of this page may run: its hash is what the policy allows. */
static void write_head(struct sqa_text *out, const char *title, const struct sqa_text *code)
{
    unsigned char digest[SHA256_DIGEST_LENGTH], hash[4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1];
    SHA256((const unsigned char *)sqa_text_get(code), code->length, digest);
    EVP_EncodeBlock(hash, digest, sizeof digest);
    sqa_text_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    sqa_text_printf(out,
                    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
                    "style-src 'unsafe-inline'; script-src 'sha256-%s'; base-uri 'none'; form-action 'none'\">\n",
                    (const char *)hash);
    sqa_text_add(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    sqa_svg_text(out, title);
    sqa_text_add(out, "</title>\n<style>\n");
    add_lines(out, style);
    sqa_text_add(out, "</style>\n</head>\n<body>\n");
}

static void write_page(struct sqa_text *out, const char *title, struct page *p)
{
    struct sqa_text code = {0};
    add_lines(&code, script);
    out->failed = out->failed || code.failed;
    write_head(out, title, &code);
    sqa_text_add(out, "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header><h1>");
    if (p->heading.length)
        sqa_text_add(out, p->heading.text);
    else
        sqa_svg_text(out, title);
    sqa_text_add(out, "</h1></header>\n");
    if (p->in_contents) {
        close_contents(p);
        sqa_text_add(out, "<nav aria-label=\"Contents\">\n");
        sqa_text_add(out, sqa_text_get(&p->contents));
        sqa_text_add(out, "</nav>\n");
    }
    sqa_text_add(out, "<main id=\"main\" tabindex=\"-1\">\n");
    sqa_text_add(out, sqa_text_get(&p->body));
    sqa_text_add(out, "</main>\n<script>");
    sqa_text_add(out, sqa_text_get(&code));
    sqa_text_add(out, "</script>\n</body>\n</html>\n");
    sqa_text_clear(&code);
}

enum sqa_status sqa_page_html(const char *title, const struct sqa_parts *parts, struct sqa_text *out,
                              struct sqa_err *err)
{
    struct page p = {.level = 1};
    enum sqa_status status = SQA_OK;
    for (size_t i = 0; i < parts->n && status == SQA_OK; i++)
        status = write_part(&p, &parts->at[i], err);
    if (status == SQA_OK)
        write_page(out, title, &p);
    if (status == SQA_OK && (out->failed || p.body.failed || p.contents.failed || p.heading.failed ||
                             p.above.failed || sqa_parts_failed(parts)))
        status = sqa_fail(err, SQA_NOMEM, "report: no memory for the page; free some memory or report fewer runs");
    sqa_text_clear(&p.body);
    sqa_text_clear(&p.contents);
    sqa_text_clear(&p.heading);
    sqa_text_clear(&p.above);
    return status;
}
