/* svg.c - see svg.h */
#include "reports/svg.h"

#include <math.h>

void sqa_svg_text(struct sqa_text *out, const char *s)
{
    for (; *s; s++) {
        const char *entity = *s == '&'                                ? "&amp;"
                             : *s == '<'                              ? "&lt;"
                             : *s == '>'                              ? "&gt;"
                             : *s == '"'                              ? "&quot;"
                             : (unsigned char)*s < 0x20 && *s != '\n' ? " "
                                                                      : NULL;
        if (entity)
            sqa_text_add(out, entity);
        else
            sqa_text_add_bytes(out, s, 1);
    }
}

void sqa_svg_label(struct sqa_text *out, double x, double y, const char *class, const char *anchor, const char *text)
{
    sqa_text_printf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", class, x, y, anchor);
    sqa_svg_text(out, text);
    sqa_text_add(out, "</text>\n");
}

void sqa_svg_line(struct sqa_text *out, double x0, double y0, double x1, double y1, const char *class)
{
    sqa_text_printf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x0, y0, x1,
                    y1);
}

double sqa_svg_step(double range, int most)
{
    static const double digits[] = {1, 2, 5, 10};
    const double power = pow(10, floor(log10(range / (most - 1))));
    double step = power;
    for (int i = 0; i < 4 && range / step > most; i++)
        step = power * digits[i];
    return step;
}
