/* page_table.c - a table of a page: captioned, in a box that scrolls, its figures marked with what they sort by */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/page_private.h"
#include "reports/svg.h"

void sqa_page_inside(struct sqa_text *out, cmark_node *node)
{
    for (cmark_node *child = cmark_node_first_child(node); child; child = cmark_node_next(child)) {
        char *html = cmark_render_html(child, CMARK_OPT_DEFAULT, NULL);
        size_t n = strlen(html);
        while (n > 0 && html[n - 1] == '\n')
            n--;
        sqa_text_add_bytes(out, html, n);
        free(html);
    }
}

/* The name of a row is a heading of it; a figure carries its value. */
static void write_cell(struct sqa_text *out, cmark_node *cell, bool header, bool name, char align)
{
    struct sqa_text plain = {0};
    double value;
    char number[32];
    const bool heading = header || name;
    sqa_page_plain(&plain, cell);
    sqa_text_add(out, heading ? "<th" : "<td");
    if (heading)
        sqa_text_add(out, header ? " scope=\"col\"" : " scope=\"row\"");
    if (align == 'r')
        sqa_text_add(out, " class=\"n\"");
    if (!header && sqa_page_number(sqa_text_get(&plain), &value))
        sqa_text_printf(out, " data-v=\"%s\"", sqa_format_real(number, value));
    sqa_text_add(out, ">");
    sqa_page_inside(out, cell);
    sqa_text_add(out, heading ? "</th>" : "</td>");
    out->failed = out->failed || plain.failed;
    sqa_text_clear(&plain);
}

void sqa_page_table(struct sqa_text *out, cmark_node *table, const char *caption, int id)
{
    const uint8_t *align = cmark_gfm_extensions_get_table_alignments(table);
    bool body = false;
    sqa_text_printf(out, "<div class=\"table\" role=\"region\" aria-labelledby=\"t%d\" tabindex=\"0\">\n<table>", id);
    sqa_text_printf(out, "<caption id=\"t%d\">", id);
    sqa_svg_text(out, caption);
    sqa_text_add(out, "</caption>\n");
    for (cmark_node *row = cmark_node_first_child(table); row; row = cmark_node_next(row)) {
        const bool header = cmark_gfm_extensions_get_table_row_is_header(row);
        int c = 0;
        if (!header && !body)
            sqa_text_add(out, "<tbody>\n");
        body = body || !header;
        sqa_text_add(out, header ? "<thead><tr>" : "<tr>");
        for (cmark_node *cell = cmark_node_first_child(row); cell; cell = cmark_node_next(cell), c++)
            write_cell(out, cell, header, c == 0 && align[0] != 'r', (char)align[c]);
        sqa_text_add(out, header ? "</tr></thead>\n" : "</tr>\n");
    }
    sqa_text_add(out, body ? "</tbody></table>\n</div>\n" : "</table>\n</div>\n");
}
