/* page_tree.c - Markdown as a tree without HTML and pictures, and what cells of tables say */
#include <stdlib.h>
#include <string.h>

#include "reports/page.h"
#include "reports/page_private.h"

/* Puts text of the literal, or of what is below, in the place of node. */
static void replace_by_text(cmark_node *node)
{
    struct sqa_text t = {0};
    const char *literal = cmark_node_get_literal(node);
    if (literal)
        sqa_text_add(&t, literal);
    else
        sqa_page_plain(&t, node);
    cmark_node *text = cmark_node_new(CMARK_NODE_TEXT), *whole = text;
    cmark_node_set_literal(text, sqa_text_get(&t));
    if (cmark_node_get_type(node) == CMARK_NODE_HTML_BLOCK) {
        whole = cmark_node_new(CMARK_NODE_PARAGRAPH);
        cmark_node_append_child(whole, text);
    }
    cmark_node_replace(node, whole);
    cmark_node_free(node);
    sqa_text_clear(&t);
}

static cmark_node *find_foreign(cmark_node *root)
{
    cmark_iter *iter = cmark_iter_new(root);
    cmark_node *found = NULL;
    cmark_event_type event;
    while (!found && (event = cmark_iter_next(iter)) != CMARK_EVENT_DONE) {
        cmark_node *node = cmark_iter_get_node(iter);
        const cmark_node_type type = cmark_node_get_type(node);
        if (event == CMARK_EVENT_ENTER &&
            (type == CMARK_NODE_HTML_BLOCK || type == CMARK_NODE_HTML_INLINE || type == CMARK_NODE_IMAGE))
            found = node;
    }
    cmark_iter_free(iter);
    return found;
}

cmark_node *sqa_page_parse(const struct sqa_text *markdown)
{
    cmark_gfm_core_extensions_ensure_registered();
    cmark_parser *parser = cmark_parser_new(CMARK_OPT_VALIDATE_UTF8);
    cmark_syntax_extension *table = cmark_find_syntax_extension("table");
    cmark_node *root = NULL;
    if (table && cmark_parser_attach_syntax_extension(parser, table)) {
        cmark_parser_feed(parser, sqa_text_get(markdown), markdown->length);
        root = cmark_parser_finish(parser);
    }
    cmark_parser_free(parser);
    cmark_node *foreign;
    while (root && (foreign = find_foreign(root)) != NULL)
        replace_by_text(foreign);
    return root;
}

bool sqa_page_is_table(cmark_node *node)
{
    return strcmp(cmark_node_get_type_string(node), "table") == 0;
}

void sqa_page_plain(struct sqa_text *out, cmark_node *node)
{
    cmark_iter *iter = cmark_iter_new(node);
    cmark_event_type event;
    while ((event = cmark_iter_next(iter)) != CMARK_EVENT_DONE) {
        cmark_node *at = cmark_iter_get_node(iter);
        const cmark_node_type type = cmark_node_get_type(at);
        if (event == CMARK_EVENT_ENTER && (type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE))
            sqa_text_add(out, cmark_node_get_literal(at));
        else if (event == CMARK_EVENT_ENTER && (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK))
            sqa_text_add(out, " ");
    }
    cmark_iter_free(iter);
}

/* Skips one unit at *s and gives its size; 1 when there is none. */
static double unit(const char **s)
{
    static const struct {
        const char *name;
        double size;
    } units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"µs", 1e-6}, {"ms", 1e-3}, {"min", 60}, {"kB", 1e3}, {"MB", 1e6},
                 {"GB", 1e9},  {"TB", 1e12}, {"s", 1},     {"h", 3600},  {"B", 1},    {"K", 1e3},  {"M", 1e6},
                 {"G", 1e9},   {"T", 1e12},  {"P", 1e15},  {"%", 1},     {"x", 1},    {"×", 1}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const size_t n = strlen(units[i].name);
        if (strncmp(*s, units[i].name, n) == 0 && ((*s)[n] == '\0' || (*s)[n] == ' ')) {
            *s += n;
            return units[i].size;
        }
    }
    return 1;
}

bool sqa_page_number(const char *text, double *value)
{
    char *end;
    const char *s = text + strspn(text, " <>~");
    if (!strchr("+-.0123456789", *s) || !strpbrk(s, "0123456789"))
        return false;
    *value = strtod(s, &end);
    if (end == s || strspn(s, "+-.0123456789eE") < (size_t)(end - s)) /* no hexadecimal, no words */
        return false;
    s = end + strspn(end, " ");
    while (strncmp(s, "†", strlen("†")) == 0 || strncmp(s, "‡", strlen("‡")) == 0) /* marks of a paper's table */
        s += strlen("†") + (s[strlen("†")] == ' ');
    *value *= unit(&s);
    s += strspn(s, " ");
    if (*s == '[') {
        s += strcspn(s, "]");
        s += *s == ']';
        s += strspn(s, " ");
        *value *= unit(&s);
        s += strspn(s, " ");
    }
    return *s == '\0' || *s == '(';
}

enum sqa_status sqa_page_of_markdown(const char *format, const char *title, struct sqa_text *markdown,
                                     struct sqa_text *svg, const char *caption, struct sqa_text *out,
                                     struct sqa_err *err)
{
    struct sqa_parts parts = {0};
    *sqa_parts_markdown(&parts) = *markdown;
    *markdown = (struct sqa_text){0};
    struct sqa_part *figure = svg->length ? sqa_parts_figure(&parts) : NULL;
    if (figure) {
        sqa_text_add(&figure->caption, caption);
        figure->text = *svg;
        *svg = (struct sqa_text){0};
    }
    const enum sqa_status status =
        strcmp(format, "html") == 0 ? sqa_page_html(title, &parts, out, err) : sqa_page_latex(&parts, out, err);
    sqa_parts_clear(&parts);
    return status;
}
