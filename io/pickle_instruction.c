#include "io/pickle_instruction.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

enum { LINES = -1 };

/* The instructions, by what stands behind them. */
static const struct {
    const char *codes;
    int         size;    /* bytes of the number behind them; LINES: two lines of text instead */
    bool        counted; /* the number counts bytes that follow it                            */
} groups[] = {
    {"(.01NQR]abdelostu)}"
     "\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94",
     0, false},
    {"Khq\x80", 1, false},
    {"M", 2, false},
    {"Jjr", 4, false},
    {"G\x95", 8, false},
    {"ci", LINES, false},
    {"C\x8a\x8c", 1, true},
    {"BX\x8b", 4, true},
    {"\x8d\x8e\x96", 8, true},
};
enum { N_GROUPS = sizeof groups / sizeof groups[0] };

sd_status sd_pickle_damaged(const sd_pickle_cursor *c, int64_t at, const char *what)
{
    return sd_fail(SD_ERR_INPUT, __FILE__, __LINE__,
                   "%s: is damaged: at byte %" PRId64 " %s; copy the file again", c->shown, at,
                   what);
}

/* Two lines, a module's name and a name in it. */
static sd_status take_lines(sd_pickle_cursor *c, sd_pickle_instruction *out)
{
    out->text = c->at;
    for (int k = 0; k < 2; k++) {
        const unsigned char *end = memchr(c->bytes + c->at, '\n', (size_t)(c->length - c->at));

        if (end == NULL) return sd_pickle_damaged(c, out->at, "a name has no end");
        c->at = end - c->bytes + 1;
    }
    out->length = c->at - out->text;
    return SD_OK;
}

sd_status sd_pickle_take(sd_pickle_cursor *c, sd_pickle_instruction *out)
{
    sd_status st = SD_OK;
    int       k  = 0;

    *out = (sd_pickle_instruction){.at = c->at};
    SD_REQUIRE(c->at < c->length, SD_ERR_INPUT,
               "%s: is truncated: it ends at byte %" PRId64 " without its last instruction; copy "
               "the file again",
               c->shown, c->at);
    out->code = c->bytes[c->at++];
    while (k < N_GROUPS && (out->code == 0 || strchr(groups[k].codes, out->code) == NULL)) k++;
    SD_REQUIRE(k < N_GROUPS, SD_ERR_INPUT,
               "%s: at byte %" PRId64 " is the instruction 0x%02x, which torch.save does not write",
               c->shown, out->at, out->code);
    if (groups[k].size == LINES) return take_lines(c, out);
    if (groups[k].size > c->length - c->at) return sd_pickle_damaged(c, out->at, "it is cut off");
    for (int i = groups[k].size - 1; i >= 0; i--)
        out->number = out->number << 8 | c->bytes[c->at + i];
    c->at += groups[k].size;
    if (!groups[k].counted) return SD_OK;
    if (out->number > (uint64_t)(c->length - c->at))
        return sd_pickle_damaged(c, out->at, "more bytes are announced than there are");
    out->text   = c->at;
    out->length = (int64_t)out->number;
    c->at += out->length;

done:
    return st;
}

static bool is_put(unsigned char code)
{
    return code == 'q' || code == 'r' || code == SD_PICKLE_OP_MEMOIZE;
}

sd_status sd_pickle_count(const sd_pickle_cursor *from, int64_t *puts, int64_t *others)
{
    sd_status             st = SD_OK;
    sd_pickle_cursor      c  = *from;
    sd_pickle_instruction i;

    *puts = *others = 0;
    do {
        SD_TRY(sd_pickle_take(&c, &i));
        *(is_put(i.code) ? puts : others) += 1;
    } while (i.code != '.');
    SD_REQUIRE(c.at == c.length, SD_ERR_INPUT,
               "%s: is damaged: %" PRId64 " bytes follow its last instruction; copy the file again",
               c.shown, c.length - c.at);

done:
    return st;
}
