#include "io/tokenizer/oniguruma.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/tokenizer/young_characters.h"

typedef struct {
    const char *where, *start, *at, *stop;
    sd_bytes   *out;
    bool        ignores_case;
    char        last_letter; /* the ASCII letter just written, lower case, or 0 */
} translation;

static sd_status put(translation *t, const char *text)
{
    return sd_bytes_append(t->out, text, (int64_t)strlen(text));
}

static bool next_is(const translation *t, const char *text)
{
    const size_t n = strlen(text);
    return (size_t)(t->stop - t->at) >= n && memcmp(t->at, text, n) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static sd_status refuse(const translation *t, const char *from, int64_t length, const char *why)
{
    char quoted[32];

    return sd_fail(SD_ERR_INPUT, __FILE__, __LINE__, "%s: '%s' at byte %td of a pattern: %s",
                   t->where, sd_quote(from, length, quoted, sizeof quoted), from - t->start + 1,
                   why);
}

/* The ranges of a property that PCRE2's tables may lack, as the inside of a bracket. */
static sd_status put_young(translation *t, const char *name)
{
    sd_status st = SD_OK;

    for (int i = 0; i < SD_YOUNG_COUNT; i++) {
        const sd_young *row = &sd_young_table[i];
        const bool is_group = name[1] == '\0' && row->name[0] == name[0] && strlen(row->name) == 2;
        if (!is_group && strcmp(row->name, name) != 0) continue;
        char range[48];
        snprintf(range, sizeof range, "\\x{%" PRIX32 "}-\\x{%" PRIX32 "}", row->first, row->last);
        SD_TRY(put(t, range));
    }

done:
    return st;
}

static bool is_category(const char *name)
{
    static const char categories[] = " L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po "
                                     "Ps S Sc Sk Sm So Z Zl Zp Zs ";
    char              padded[16];

    snprintf(padded, sizeof padded, " %.8s ", name);
    return strstr(categories, padded) != NULL;
}

static bool is_script(const char *name)
{
    static const char *const scripts[] = {"Arabic",   "Cyrillic", "Devanagari", "Greek",
                                          "Han",      "Hangul",   "Hebrew",     "Hiragana",
                                          "Katakana", "Latin",    "Thai"};
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        if (strcmp(name, scripts[i]) == 0) return true;
    return false;
}

/* A property, from `at` (for messages), inside brackets or not, negated or not. */
static sd_status put_property(translation *t, const char *from, const char *name, bool is_negated,
                              bool in_class)
{
    sd_status  st       = SD_OK;
    const bool is_space = strcmp(name, "White_Space") == 0; /* has gained no characters */
    char       text[48];

    if (!is_space && !is_category(name) && !is_script(name))
        return refuse(t, from, t->at - from, "this property is not supported");
    if (is_negated && in_class && is_space) return put(t, "\\P{White_Space}");
    if (is_negated && in_class) /* adding ranges would not take them away */
        return refuse(t, from, t->at - from, "not supported inside brackets");

    if (!in_class) SD_TRY(put(t, is_negated ? "[^" : "["));
    snprintf(text, sizeof text, is_script(name) ? "\\p{sc:%s}" : "\\p{%s}", name);
    SD_TRY(put(t, text));
    SD_TRY(put_young(t, name));
    if (!in_class) SD_TRY(put(t, "]"));

done:
    return st;
}

/* \p{Name}, \p{^Name}, \P{Name}; t->at stands behind the p. */
static sd_status property(translation *t, const char *from, bool is_negated, bool in_class)
{
    char name[24];
    int  n = 0;

    if (t->at == t->stop || *t->at != '{') return refuse(t, from, t->at - from, "a { must follow");
    t->at++;
    if (t->at < t->stop && *t->at == '^') {
        is_negated = !is_negated;
        t->at++;
    }
    while (t->at < t->stop && *t->at != '}' && n < (int)sizeof name - 1) name[n++] = *t->at++;
    name[n] = '\0';
    if (t->at == t->stop || *t->at != '}')
        return refuse(t, from, t->at - from, "this property is not supported");
    t->at++;
    return put_property(t, from, name, is_negated, in_class);
}

/* \xHH, \x{H...}, \uHHHH: a code point by number; t->at stands behind the x or u. */
static sd_status code_point(translation *t, const char *from, bool is_u)
{
    const bool braced = !is_u && t->at < t->stop && *t->at == '{';
    char       text[24];
    uint32_t   code = 0;
    int        n    = 0;
    const int  most = braced ? 8 : is_u ? 4 : 2;

    if (braced) t->at++;
    while (t->at < t->stop && n < most && is_hex(*t->at)) {
        const char c = *t->at++;
        code         = code * 16 + (uint32_t)(is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
        n++;
    }
    if (n == 0 || (is_u && n < 4) || (braced && (t->at == t->stop || *t->at++ != '}')))
        return refuse(t, from, t->at - from, "not a code point");
    if (!is_u && !braced && code > 0x7F)
        return refuse(t, from, t->at - from, "a raw byte is not supported; write \\x{...}");
    if (t->ignores_case && code > 0x7F)
        return refuse(t, from, t->at - from, "not supported where case is ignored");
    snprintf(text, sizeof text, "\\x{%" PRIX32 "}", code);
    return put(t, text);
}

/* A backslash and what follows it. */
static sd_status escape(translation *t, bool in_class)
{
    const char *from    = t->at++;
    char        text[3] = {'\\', 0, 0};

    if (t->at == t->stop) return refuse(t, from, 1, "the pattern ends in a backslash");
    const char c   = *t->at++;
    text[1]        = c;
    t->last_letter = 0;
    switch (c) {
    case 's': return put_property(t, from, "White_Space", false, in_class);
    case 'S': return put_property(t, from, "White_Space", true, in_class);
    case 'd': return put_property(t, from, "Nd", false, in_class);
    case 'D': return put_property(t, from, "Nd", true, in_class);
    case 'p': return property(t, from, false, in_class);
    case 'P': return property(t, from, true, in_class);
    case 'x': return code_point(t, from, false);
    case 'u': return code_point(t, from, true);
    case 'h': return put(t, in_class ? "0-9A-Fa-f" : "[0-9A-Fa-f]");
    case 'v': return put(t, "\\x{B}");
    case 'R':
        if (in_class) break;
        return put(t, "(?>\\x{D}\\x{A}|[\\x{A}-\\x{D}\\x{85}\\x{2028}\\x{2029}])");
    case 'n':
    case 'r':
    case 't':
    case 'f':
    case 'a':
    case 'e': return put(t, text);
    case 'A':
    case 'z':
    case 'Z':
        if (in_class) break;
        return put(t, text);
    default:
        if (is_letter(c) || is_digit(c)) break;
        if ((unsigned char)c < 0x80) return put(t, text);
        t->at--; /* a character beyond ASCII stands for itself */
        return SD_OK;
    }
    return refuse(t, from, 2, "this escape is not supported");
}

/* One character that stands for itself, all of its bytes. */
static sd_status literal(translation *t)
{
    static const char *const folds[] = {"ss", "ff", "fi", "fl", "st"};
    const char              *from    = t->at;
    const bool               letter  = is_letter(*from);
    const char               lower   = (char)(letter ? *from | 32 : 0);

    do t->at++;
    while (t->at < t->stop && ((unsigned char)*t->at & 0xC0) == 0x80);
    if (t->ignores_case && (unsigned char)*from >= 0x80)
        return refuse(t, from, t->at - from, "not supported where case is ignored");
    for (size_t i = 0; t->ignores_case && letter && i < sizeof folds / sizeof *folds; i++)
        if (folds[i][0] == t->last_letter && folds[i][1] == lower)
            return refuse(t, from - 1, 2, "stands for a ligature too where case is ignored");
    t->last_letter = lower;
    return sd_bytes_append(t->out, from, t->at - from);
}

/* A bracket from [ to its ]. Sets inside it are unions, so their own brackets can be dropped. */
static sd_status bracket(translation *t)
{
    sd_status   st    = SD_OK;
    const char *from  = t->at++;
    int         depth = 1;
    bool        first = true;

    SD_TRY(put(t, "["));
    if (t->at < t->stop && *t->at == '^') {
        SD_TRY(put(t, "^"));
        t->at++;
    }
    while (t->at < t->stop && depth > 0) {
        const char c         = *t->at;
        const bool is_edge   = first || (t->at + 1 < t->stop && t->at[1] == ']');
        const bool was_first = first;
        first                = false;
        t->last_letter       = 0;
        if (next_is(t, "[:") || next_is(t, "[^") || next_is(t, "&&")) {
            st = refuse(t, t->at, 2, "not supported inside brackets");
            goto done;
        }
        if (c == '[') {
            depth++;
            t->at++;
            first = true;
        } else if (c == ']' && !was_first) {
            depth--;
            t->at++;
        } else if (c == ']' || (c == '-' && is_edge)) {
            SD_TRY(put(t, c == ']' ? "\\]" : "\\-"));
            t->at++;
        } else {
            SD_TRY(c == '\\' ? escape(t, true) : literal(t));
        }
    }
    if (depth > 0) {
        st = refuse(t, from, t->at - from, "the bracket is not closed");
        goto done;
    }
    t->last_letter = 0;
    SD_TRY(put(t, "]"));

done:
    return st;
}

/* What follows an opening parenthesis that is not a plain group. */
static sd_status group(translation *t)
{
    static const char *const same[] = {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"};

    t->last_letter = 0;
    if (next_is(t, "(*")) return refuse(t, t->at, 2, "not supported");
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        if (!next_is(t, same[i])) continue;
        t->at += strlen(same[i]);
        return put(t, same[i]);
    }
    /* Where (?i) ends is said differently by the two, except at the front of the whole pattern. */
    if (next_is(t, "(?i:") || (next_is(t, "(?i)") && t->at == t->start)) {
        const sd_status st = sd_bytes_append(t->out, t->at, 4);
        t->ignores_case = true; /* to the end of the pattern: stricter than needed, never wrong */
        t->at += 4;
        return st;
    }
    if (next_is(t, "(?"))
        return refuse(t, t->at, t->stop - t->at < 4 ? t->stop - t->at : 4,
                      "this group is not supported");
    t->at++;
    return put(t, "(");
}

/* {n}, {n,}, {n,m}, {,m}, with ? behind it but for {n}?; else a brace that stands for itself. */
static sd_status interval(translation *t)
{
    sd_status   st   = SD_OK;
    const char *from = t->at, *p = t->at + 1;
    bool        comma = false;

    while (p < t->stop && is_digit(*p)) p++;
    const bool has_low = p > from + 1;
    if (p < t->stop && *p == ',') {
        comma = true;
        p++;
        while (p < t->stop && is_digit(*p)) p++;
    }
    const bool has_high = comma && p[-1] != ',';
    if (p == t->stop || *p != '}' || (!has_low && !has_high)) {
        t->at++;
        t->last_letter = 0;
        return put(t, "\\{");
    }
    t->last_letter = 0;
    t->at          = p + 1;
    if (t->at < t->stop && (*t->at == '+' || (!comma && *t->at == '?')))
        return refuse(t, from, t->at + 1 - from, "this repetition is not supported");
    SD_TRY(put(t, has_low ? "{" : "{0"));
    SD_TRY(sd_bytes_append(t->out, from + 1, p - from));

done:
    return st;
}

sd_status sd_oniguruma_translate(const char *where, const char *source, int64_t length,
                                 sd_bytes *out)
{
    sd_status   st = SD_OK;
    translation t  = {
         .where = where, .start = source, .at = source, .stop = source + length, .out = out};

    while (t.at < t.stop) {
        switch (*t.at) {
        case '\\': SD_TRY(escape(&t, false)); break;
        case '[': SD_TRY(bracket(&t)); break;
        case '(': SD_TRY(group(&t)); break;
        case '{': SD_TRY(interval(&t)); break;
        default: SD_TRY(literal(&t));
        }
    }

done:
    return st;
}
