/*
 * recipe_parse.c - the text of a recipe file
 *
 * inih reads the lines, but not the section headers: it would cut them at 49 characters and at the first ']', and
 * join rows of equal text. The reader below therefore parses each header itself, counts lines, and hands inih the
 * header "[row]". A row is matched when its header is read, so one pass resolves a file. Settings of rows that do not
 * match go to a second struct, only to be checked. Leading blanks are dropped, so inih never sees a continued line; "
 * ;" begins a comment, also inside a value.
 */
#include <stdio.h>
#include <string.h>

#include <ini.h>
#include <jansson.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "harness/recipe_private.h"

enum { MATCH_STEPS = 100000, MATCH_KIB = 1024 };

static enum sqa_status bad(struct sqa_recipe_parser *p, const char *fmt, ...) SQA_PRINTF(2, 3);
static enum sqa_status bad(struct sqa_recipe_parser *p, const char *fmt, ...)
{
    char text[800];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return p->status = sqa_fail(p->err, SQA_INPUT, "%.200s, line %d: %s", p->name, p->line, text);
}

static enum sqa_status nomem(struct sqa_recipe_parser *p)
{
    return p->status =
               sqa_fail(p->err, SQA_NOMEM, "%s: no memory for the recipe; free some memory and run again", p->name);
}

static enum sqa_status set_source(struct sqa_recipe_parser *p, const char *value)
{
    const uint64_t bit = (uint64_t)1 << 63;
    const char *copy = sqa_arena_strdup(p->arena, value);
    if (p->set & bit)
        return bad(p, "source is given twice; give it once");
    if (!copy)
        return nomem(p);
    p->set |= bit;
    if (p->match)
        p->resolved->source = copy;
    return SQA_OK;
}

bool sqa_recipe_word(const char *s, const char *others)
{
    const char *const start = s;
    while ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
           (*s && strchr(others, *s)))
        s++;
    return s > start && *s == '\0';
}

/* frame.NAME, mixer.NAME and slot.NAME: what the model text leaves open. */
static enum sqa_status set_frame(struct sqa_recipe_parser *p, const char *key, const char *value)
{
    size_t i = 0;
    const bool slot = strncmp(key, "slot.", 5) == 0;
    const char *name = strncmp(key, "frame.", 6) == 0 ? key + 6 : key;
    if (!sqa_recipe_word(strchr(key, '.') + 1, "_") || !sqa_recipe_word(value, slot ? "_-.:=," : "_-."))
        return bad(p, "%.60s = %.60s; give %s", key, value,
                   slot ? "a slot and an item" : "a frame parameter, or one of the mixer, and a number or name");
    while (i < p->frames && strcmp(p->frame[i].name, name) != 0)
        i++;
    struct sqa_recipe_frame *f = &p->frame[i];
    if (i == SQA_RECIPE_FRAMES)
        return bad(p, "more than %d different names of frame.*, mixer.* and slot.*; use fewer", SQA_RECIPE_FRAMES);
    if (i == p->frames) {
        *f = (struct sqa_recipe_frame){.name = sqa_arena_strdup(p->arena, name)};
        if (!f->name)
            return nomem(p);
        p->frames++;
    }
    if (f->row == p->row)
        return bad(p, "%.60s is given twice; give it once", key);
    f->row = p->row;
    if (p->match && !(f->value = sqa_arena_strdup(p->arena, value)))
        return nomem(p);
    return SQA_OK;
}

/* search.share, search.seed, and search.SETTING with the values to be tried. */
static enum sqa_status set_search(struct sqa_recipe_parser *p, const char *name, const char *value)
{
    const bool share = strcmp(name, "share") == 0, seed = strcmp(name, "seed") == 0;
    const uint64_t bit = (uint64_t)1 << (share ? 60 : seed ? 61 : 62);
    struct sqa_recipe *r = p->match ? p->resolved : &p->checked;
    const struct sqa_param *setting = sqa_params_find(sqa_recipe_params, strcmp(name, "lr") == 0 ? "rate" : name);
    char one[64], owner[256];
    if (p->set & bit)
        return bad(p, "%s is given twice; give it once", share || seed ? name : "a setting to be searched");
    p->set |= bit;
    if (share)
        return sqa_parse_real(value, &r->search_share) && r->search_share > 0 && r->search_share <= 1
                   ? SQA_OK
                   : bad(p, "search.share = %.60s; give a number above 0, at most 1", value);
    if (seed)
        return sqa_parse_int(value, &r->search_seed) && r->search_seed >= 0
                   ? SQA_OK
                   : bad(p, "search.seed = %.60s; give a whole number", value);
    if (!setting)
        return bad(p, "search.%.60s: no setting of that name; search.share, search.seed, or a training setting",
                   name);
    snprintf(owner, sizeof owner, "%.200s, line %d", p->name, p->line);
    const struct sqa_recipe list = {.search_values = value};
    for (size_t i = 0; sqa_recipe_value(&list, i, one) || i < 2; i++) {
        if (i == SQA_RECIPE_VALUES || !sqa_recipe_value(&list, i, one))
            return bad(p, "search.%.60s has %s values; give 2 to %d", name, i < 2 ? "too few" : "too many",
                       SQA_RECIPE_VALUES);
        p->status = sqa_params_set(owner, sqa_recipe_params, &p->scratch, setting->name, one, p->arena, p->err);
        if (p->status != SQA_OK)
            return p->status;
    }
    r->search = setting->name;
    r->search_values = sqa_arena_strdup(p->arena, value);
    return r->search_values ? SQA_OK : nomem(p);
}

static int handle(void *user, const char *section, const char *name, const char *value)
{
    struct sqa_recipe_parser *p = user;
    char owner[256];
    (void)section;
    if (p->status != SQA_OK)
        return 0;
    if (p->row == 0)
        bad(p, "a setting before the first row; put it under [*]");
    else if (!value || !*value)
        bad(p, "%.60s has no value; give one or remove the line", name);
    else if (strcmp(name, "source") == 0)
        set_source(p, value);
    else if (strncmp(name, "frame.", 6) == 0 || strncmp(name, "mixer.", 6) == 0 || strncmp(name, "slot.", 5) == 0)
        set_frame(p, name, value);
    else if (strncmp(name, "search.", 7) == 0)
        set_search(p, name + 7, value);
    else {
        snprintf(owner, sizeof owner, "%.200s, line %d", p->name, p->line);
        p->status =
            sqa_recipe_set(owner, p->match ? p->resolved : &p->checked, &p->set, name, value, p->arena, p->err);
    }
    if (p->status == SQA_USAGE) {
        p->status = SQA_INPUT;
        if (p->err)
            p->err->code = SQA_INPUT;
    }
    return p->status == SQA_OK;
}

/* Whether pattern is found in subject (NULL: it is only compiled). */
static bool search(struct sqa_recipe_parser *p, const char *pattern, const char *subject)
{
    int number, found = PCRE2_ERROR_NOMEMORY;
    size_t offset;
    char text[160];
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C, &number, &offset, NULL);
    if (!code) {
        pcre2_get_error_message(number, (PCRE2_UCHAR *)text, sizeof text);
        bad(p, "pattern '%.150s', character %zu: %s; correct it (PCRE2)", pattern, offset + 1, text);
        return false;
    }
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    if (data && context) {
        pcre2_set_match_limit(context, MATCH_STEPS);
        pcre2_set_heap_limit(context, MATCH_KIB);
        found = subject ? pcre2_match(code, (PCRE2_SPTR)subject, PCRE2_ZERO_TERMINATED, 0, 0, data, context)
                        : PCRE2_ERROR_NOMATCH;
    }
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
        pcre2_get_error_message(found, (PCRE2_UCHAR *)text, sizeof text);
        bad(p, "pattern '%.150s' on '%.150s': %s; make it simpler", pattern, subject ? subject : "", text);
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return found >= 0;
}

/* "model=PATTERN task=PATTERN", either or both. */
static enum sqa_status match_header(struct sqa_recipe_parser *p, char *content)
{
    static const char blanks[] = " \t";
    bool seen[2] = {false, false};
    char *rest = NULL;
    p->match = p->model != NULL;
    for (char *word = strtok_r(content, blanks, &rest); word; word = strtok_r(NULL, blanks, &rest)) {
        const bool task = strncmp(word, "task=", 5) == 0;
        if (!task && strncmp(word, "model=", 6) != 0)
            return bad(p, "'%.100s' in a row's header; write [*], or model=PATTERN or task=PATTERN (\\s for a blank)",
                       word);
        const char *pattern = word + (task ? 5 : 6);
        if (seen[task] || !*pattern)
            return bad(p, "%s; give one pattern, or leave it out for all",
                       seen[task] ? "two patterns of one kind" : "an empty pattern");
        seen[task] = true;
        const bool found = search(p, pattern, task ? p->task : p->model);
        p->match = p->match && found;
        if (p->status != SQA_OK)
            return p->status;
    }
    return seen[0] || seen[1] ? SQA_OK : bad(p, "an empty row header; write [*] for all models and tasks");
}

/* line: "[...]", perhaps with a comment. The header ends at the first ] that nothing or a comment follows. */
static enum sqa_status start_row(struct sqa_recipe_parser *p, char *line)
{
    char *end = line;
    do {
        end = strchr(end + 1, ']');
        if (!end)
            return bad(p, "a row's header without ]; close it");
    } while (end[1 + strspn(end + 1, " \t\r")] != '\0' && end[1 + strspn(end + 1, " \t\r")] != ';');
    *end = '\0';
    p->row = p->line;
    p->set = 0;
    if (strcmp(line + 1, "*") == 0)
        p->match = p->model != NULL;
    else if (match_header(p, line + 1) != SQA_OK)
        return p->status;
    if (p->match)
        p->resolved->matched++;
    return SQA_OK;
}

/* The next line without leading blanks, as fgets would give it. */
static char *next_line(char *buffer, int size, void *user)
{
    struct sqa_recipe_parser *p = user;
    char why[80] = "";
    char *line = p->status == SQA_OK ? sqa_next_ini_line(&p->at, &p->line, buffer, size, why) : NULL;
    if (*why)
        bad(p, "%s", why);
    if (line && *line == '[' && start_row(p, line) == SQA_OK)
        snprintf(line, (size_t)size, "[row]");
    return line && p->status == SQA_OK ? strcat(line, "\n") : NULL;
}

static enum sqa_status check_characters(struct sqa_recipe_parser *p)
{
    const long failures = sqa_alloc_failures();
    json_t *utf8 = json_string(p->at);
    if (!utf8 && sqa_alloc_failures() > failures)
        return sqa_fail(p->err, SQA_NOMEM, "%s: no memory to read it; free some memory and run again", p->name);
    if (!utf8)
        return sqa_fail(p->err, SQA_INPUT, "%s: not UTF-8 text; save it as UTF-8", p->name);
    json_decref(utf8);
    int line = 1;
    for (const char *s = p->at; *s; line += *s++ == '\n') {
        if (((unsigned char)*s < ' ' && !strchr("\t\r\n", *s)) || *s == 127) {
            p->line = line;
            return bad(p, "control character %d; remove it", *s);
        }
    }
    return SQA_OK;
}

enum sqa_status sqa_recipe_parse(struct sqa_recipe_parser *p, const char *text)
{
    p->at = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
    enum sqa_status status = check_characters(p);
    if (status == SQA_OK)
        status = sqa_params_defaults("recipe", sqa_recipe_params, &p->checked, p->arena, p->err);
    if (status != SQA_OK)
        return status;
    const int line = ini_parse_stream(next_line, p, handle, p);
    if (p->status != SQA_OK)
        return p->status;
    if (line < 0)
        return nomem(p);
    if (line > 0) {
        p->line = line;
        return bad(p, "neither [row] nor NAME = VALUE; correct it or put ; before it");
    }
    return SQA_OK;
}
