/* page_latex_text.c - text as LaTeX takes it */
#include <string.h>

#include "reports/page_private.h"

static const struct {
    const char *from, *to;
} signs[] = {
    {"\\", "\\textbackslash{}"},
    {"{", "\\{"},
    {"}", "\\}"},
    {"$", "\\$"},
    {"&", "\\&"},
    {"#", "\\#"},
    {"%", "\\%"},
    {"_", "\\_"},
    {"^", "\\textasciicircum{}"},
    {"~", "\\textasciitilde{}"},
    {"<", "\\textless{}"},
    {">", "\\textgreater{}"},
    {"|", "\\textbar{}"},
    /* Behind a line of a table or \item these would be an argument. */
    {"[", "{[}"},
    {"]", "{]}"},
    {"*", "{*}"},
    /* Beyond ASCII. */
    {"±", "$\\pm$"},
    {"×", "$\\times$"},
    {"÷", "$\\div$"},
    {"≥", "$\\geq$"},
    {"≤", "$\\leq$"},
    {"≠", "$\\neq$"},
    {"≈", "$\\approx$"},
    {"−", "$-$"},
    {"·", "$\\cdot$"},
    {"∞", "$\\infty$"},
    {"√", "$\\surd$"},
    {"°", "$^\\circ$"},
    {"²", "$^2$"},
    {"³", "$^3$"},
    {"µ", "$\\mu$"},
    {"μ", "$\\mu$"},
    {"α", "$\\alpha$"},
    {"β", "$\\beta$"},
    {"γ", "$\\gamma$"},
    {"δ", "$\\delta$"},
    {"λ", "$\\lambda$"},
    {"σ", "$\\sigma$"},
    {"→", "$\\rightarrow$"},
    {"←", "$\\leftarrow$"},
    {"–", "--"},
    {"—", "---"},
    {"…", "\\dots{}"},
    {"‘", "`"},
    {"’", "'"},
    {"“", "``"},
    {"”", "''"},
    {"†", "\\dag{}"},
    {"‡", "\\ddag{}"},
    {"§", "\\S{}"},
    {"\xc2\xa0", "~"},
    {"Δ", "$\\Delta$"},
};

/* Bytes of the character at s. */
static size_t width(const char *s)
{
    const unsigned char c = (unsigned char)*s;
    const size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return strnlen(s, n);
}

/* Western letters with accents, which every LaTeX has: U+00C0 to U+00FF without eth, thorn and the signs among them. */
static bool accented(const char *s, size_t n)
{
    return n == 2 && s[0] == '\xc3' && !strchr("\x90\x9e\xb0\xbe\x97\xb7", s[1]);
}

static const char *sign(const char *s, size_t n)
{
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (strlen(signs[i].from) == n && memcmp(signs[i].from, s, n) == 0)
            return signs[i].to;
    return NULL;
}

void sqa_page_latex_text(struct sqa_text *out, const char *s, bool code)
{
    char before = ' ';
    while (*s) {
        const size_t n = width(s);
        const char *to = sign(s, n);
        if (!code && *s == '-' && strchr(" [(", before) && s[1] >= '0' && s[1] <= '9')
            sqa_text_add(out, "$-$"); /* a number's */
        else if (code && *s == '\'')
            sqa_text_add(out, "\\sqaquote{}");
        else if (code && *s == '-')
            sqa_text_add(out, "-{}"); /* else two would join */
        else if (to)
            sqa_text_add(out, to);
        else if ((unsigned char)*s < 0x20)
            sqa_text_add(out, " ");
        else if (n == 1 || accented(s, n))
            sqa_text_add_bytes(out, s, n);
        else
            sqa_text_add(out, "?");
        if (code && strchr(":=,/_+-.|;)", *s))
            sqa_text_add(out, "\\allowbreak{}");
        before = *s;
        s += n;
    }
}
