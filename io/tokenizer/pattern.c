#define PCRE2_CODE_UNIT_WIDTH 8
#include "io/tokenizer/pattern.h"

#include <inttypes.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "io/tokenizer/oniguruma.h"
#include "solvers/base/memory.h"

/* Ordinary patterns need a few steps per character, and back up over one run of white space: these
 * bounds leave a run of a million characters alone and stop an exponential pattern in a second. */
enum {
    STEPS_MAX     = 50000000,
    HEAP_MAX_KIB  = 1 << 20,
    JIT_STACK_MIN = 32 * 1024,
    JIT_STACK_MAX = 64 * 1024 * 1024,
    PATTERN_MAX   = 1 << 20,
    NAME_LEN      = 256
};

struct sd_pattern {
    char                 name[NAME_LEN]; /* where and what, for messages */
    pcre2_code          *code;
    pcre2_match_data    *match;
    pcre2_match_context *limits;
    pcre2_jit_stack     *jit_stack; /* NULL: no just-in-time compiler on this machine */
};

static void name_pattern(sd_pattern *p, const char *where, const char *source, int64_t length)
{
    char quoted[64];

    snprintf(p->name, sizeof p->name, "%.150s: pattern '%s'", where,
             sd_quote(source, length, quoted, sizeof quoted));
}

static sd_status compile(sd_pattern *p, const char *source, int64_t length, uint32_t options)
{
    sd_status              st      = SD_OK;
    int                    error   = 0;
    PCRE2_SIZE             at      = 0;
    PCRE2_UCHAR            why[96] = {0};
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);

    SD_REQUIRE(context != NULL, SD_ERR_RESOURCE, "%s: no memory to compile it", p->name);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, 100);
    p->code = pcre2_compile((PCRE2_SPTR)source, (PCRE2_SIZE)length,
                            PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | options, &error, &at, context);
    if (p->code == NULL) pcre2_get_error_message(error, why, sizeof why);
    SD_REQUIRE(p->code != NULL, SD_ERR_INPUT, "%s does not compile: %s", p->name, (char *)why);

done:
    pcre2_compile_context_free(context);
    return st;
}

/* Matching without the just-in-time compiler is slower and gives the same, so its absence is fine.
 */
static sd_status prepare(sd_pattern *p)
{
    sd_status st = SD_OK;

    p->match  = pcre2_match_data_create(1, NULL);
    p->limits = pcre2_match_context_create(NULL);
    SD_REQUIRE(p->match != NULL && p->limits != NULL, SD_ERR_RESOURCE, "%s: no memory to match it",
               p->name);
    pcre2_set_match_limit(p->limits, STEPS_MAX);
    pcre2_set_depth_limit(p->limits, STEPS_MAX);
    pcre2_set_heap_limit(p->limits, HEAP_MAX_KIB);
    if (pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE) == 0)
        p->jit_stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    if (p->jit_stack != NULL) pcre2_jit_stack_assign(p->limits, NULL, p->jit_stack);

done:
    return st;
}

sd_status sd_pattern_create(const char *where, const char *source, int64_t length, bool is_literal,
                            sd_pattern **out)
{
    sd_status   st    = SD_OK;
    sd_pattern *p     = NULL;
    sd_bytes    pcre2 = {0};

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *p, &p));
    name_pattern(p, where, source, length);
    SD_REQUIRE(length <= PATTERN_MAX, SD_ERR_INPUT, "%s is longer than %d bytes", p->name,
               PATTERN_MAX);
    SD_REQUIRE(length > 0, SD_ERR_INPUT, "%s is empty", p->name);
    if (is_literal) {
        SD_TRY(compile(p, source, length, PCRE2_LITERAL));
    } else {
        SD_TRY(sd_oniguruma_translate(where, source, length, &pcre2));
        SD_TRY(compile(p, pcre2.at, pcre2.count, PCRE2_UCP | PCRE2_MULTILINE));
    }
    SD_TRY(prepare(p));
    *out = p;
    p    = NULL;

done:
    sd_bytes_clear(&pcre2);
    sd_pattern_destroy(&p);
    return st;
}

void sd_pattern_destroy(sd_pattern **pattern)
{
    if (*pattern == NULL) return;
    pcre2_match_data_free((*pattern)->match);
    pcre2_match_context_free((*pattern)->limits);
    pcre2_jit_stack_free((*pattern)->jit_stack);
    pcre2_code_free((*pattern)->code);
    sd_free(*pattern);
    *pattern = NULL;
}

/* The next match at or behind `from`; *found says whether there is one. */
static sd_status next_match(const sd_pattern *p, const char *text, int64_t length, int64_t from,
                            bool *found)
{
    sd_status        st      = SD_OK;
    PCRE2_UCHAR      why[96] = {0};
    const PCRE2_SPTR subject = (PCRE2_SPTR)text;

    /* The caller vouches for UTF-8: checking it for every match would be quadratic. */
    int rc = pcre2_match(p->code, subject, (PCRE2_SIZE)length, (PCRE2_SIZE)from, PCRE2_NO_UTF_CHECK,
                         p->match, p->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(p->code, subject, (PCRE2_SIZE)length, (PCRE2_SIZE)from,
                         PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, p->match, p->limits);
    *found = rc >= 0; /* 0: there are groups, and room for the whole match only */
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
        pcre2_get_error_message(rc, why, sizeof why);
        SD_REQUIRE(rc != PCRE2_ERROR_NOMEMORY, SD_ERR_RESOURCE, "%s: %s", p->name, (char *)why);
        SD_REQUIRE(false, SD_ERR_INPUT, "%s fails on this text: %s", p->name, (char *)why);
    }

done:
    return st;
}

sd_status sd_pattern_finds(const sd_pattern *pattern, const char *text, int64_t length, bool *found)
{
    return next_match(pattern, text, length, 0, found);
}

static int64_t character_length(const char *text, int64_t at, int64_t length)
{
    int64_t n = 1;

    while (at + n < length && ((unsigned char)text[at + n] & 0xC0) == 0x80) n++;
    return n;
}

sd_status sd_pattern_cover(const sd_pattern *pattern, const char *text, int64_t length,
                           int64_t offset, sd_spans *out)
{
    sd_status         st       = SD_OK;
    const PCRE2_SIZE *bounds   = pcre2_get_ovector_pointer(pattern->match);
    int64_t           from     = 0;  /* where to look for the next match       */
    int64_t           previous = -1; /* where the last match ended             */
    int64_t           covered  = 0;  /* end of the spans written so far        */
    bool              found    = true;

    while (from <= length) {
        SD_TRY(next_match(pattern, text, length, from, &found));
        if (!found) break;
        const int64_t start = (int64_t)bounds[0], stop = (int64_t)bounds[1];
        SD_REQUIRE(from <= start && start <= stop && stop <= length, SD_ERR_INPUT,
                   "%s gives a match that ends before it starts", pattern->name);
        if (start == stop && stop == previous) {
            from += character_length(text, from, length);
            continue;
        }
        if (covered != start) SD_TRY(sd_spans_push(out, offset + covered, offset + start, false));
        SD_TRY(sd_spans_push(out, offset + start, offset + stop, true));
        covered = previous = from = stop;
    }
    if (covered != length) SD_TRY(sd_spans_push(out, offset + covered, offset + length, false));

done:
    return st;
}
