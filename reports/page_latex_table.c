/*
 * page_latex_table.c - a table as longtables that fit a line
 *
 * A column is as wide as its longest cell in characters; texts longer than TEXT_MAX break within it. When all columns do not
 * fit a line in the smaller size, those that do not go on in further tables, each with the first column.
 */
#include <string.h>

#include "reports/page_private.h"

enum { COLUMNS_MAX = 64, TEXT_MAX = 26, SMALL_MAX = 74, LINE_MAX_CHARACTERS = 90 };

struct column {
    double width; /* in characters, with the space around it */
    bool breaks, right;
};

static size_t characters(cmark_node *cell)
{
    struct sqa_text t = {0};
    size_t n = 0;
    sqa_page_plain(&t, cell);
    for (const char *s = sqa_text_get(&t); *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    sqa_text_clear(&t);
    return n;
}

static int measure(cmark_node *table, struct column *column)
{
    const uint8_t *align = cmark_gfm_extensions_get_table_alignments(table);
    const int n = cmark_gfm_extensions_get_table_columns(table);
    const int columns = n < COLUMNS_MAX ? n : COLUMNS_MAX;
    for (int c = 0; c < columns; c++)
        column[c].right = align[c] == 'r';
    for (cmark_node *row = cmark_node_first_child(table); row; row = cmark_node_next(row)) {
        int c = 0;
        for (cmark_node *cell = cmark_node_first_child(row); cell && c < columns; cell = cmark_node_next(cell), c++) {
            const double width = (double)characters(cell);
            column[c].width = width > column[c].width ? width : column[c].width;
        }
    }
    for (int c = 0; c < columns; c++) {
        column[c].breaks = !column[c].right && column[c].width > TEXT_MAX;
        column[c].width = (column[c].breaks ? TEXT_MAX : column[c].width) + 1.5;
    }
    return columns;
}

/* \\ is another command behind \raggedright, so rows end with \tabularnewline. */
static void write_row(struct sqa_text *out, cmark_node *row, const struct column *column, const bool *shown)
{
    const char *separator = "";
    int c = 0;
    for (cmark_node *cell = cmark_node_first_child(row); cell && c < COLUMNS_MAX; cell = cmark_node_next(cell), c++) {
        if (!shown[c])
            continue;
        sqa_text_add(out, separator);
        sqa_text_add(out, column[c].breaks ? "\\raggedright " : "");
        sqa_page_latex_inside(out, cell);
        separator = " & ";
    }
    sqa_text_add(out, " \\tabularnewline\n");
}

static void write_some(struct sqa_text *out, cmark_node *table, const struct column *column, int columns,
                       const bool *shown, bool small)
{
    sqa_text_printf(
        out, "{%s\\setlength{\\tabcolsep}{3pt}\\setlength{\\LTleft}{0pt}\\setlength{\\LTright}{0pt plus 1fill}\n",
        small ? "\\small" : "\\scriptsize");
    sqa_text_add(out, "\\begin{longtable}{@{}");
    for (int c = 0; c < columns; c++)
        if (shown[c] && column[c].breaks)
            sqa_text_printf(out, "p{%.1fem}", 0.53 * TEXT_MAX);
        else if (shown[c])
            sqa_text_add(out, column[c].right ? "r" : "l");
    sqa_text_add(out, "@{}}\n\\toprule\n");
    for (cmark_node *row = cmark_node_first_child(table); row; row = cmark_node_next(row)) {
        const bool header = cmark_gfm_extensions_get_table_row_is_header(row);
        write_row(out, row, column, shown);
        sqa_text_add(out, header ? "\\midrule\\endhead\n\\bottomrule\\endfoot\n" : "");
    }
    sqa_text_add(out, "\\end{longtable}}\n\n");
}

void sqa_page_latex_table(struct sqa_text *out, cmark_node *table)
{
    struct column column[COLUMNS_MAX] = {0};
    const int columns = measure(table, column);
    double total = 0;
    for (int c = 0; c < columns; c++)
        total += column[c].width;
    const bool small = total <= SMALL_MAX;
    int next = 1;
    do {
        bool shown[COLUMNS_MAX] = {true};
        double width = column[0].width;
        const int first = next;
        while (next < columns && (next == first || width + column[next].width <= LINE_MAX_CHARACTERS)) {
            width += column[next].width;
            shown[next++] = true;
        }
        write_some(out, table, column, columns, shown, small);
    } while (next < columns);
}
