#include "io/tokenizer/added_tokens.h"

#include <inttypes.h>
#include <string.h>

#include "solvers/base/memory.h"

void sd_added_tokens_init(sd_added_tokens *added)
{
    *added = (sd_added_tokens){0};
    for (int t = 0; t < 2; t++)
        for (int byte = 0; byte < 256; byte++) added->trie[t].root[byte] = -1;
}

void sd_added_tokens_clear(sd_added_tokens *added)
{
    for (int t = 0; t < 2; t++) sd_free(added->trie[t].node);
    sd_free(added->token);
    sd_pattern_destroy(&added->word);
    sd_added_tokens_init(added);
}

static int32_t find_sibling(const sd_trie *trie, int32_t node, uint8_t byte)
{
    while (node >= 0 && trie->node[node].byte != byte) node = trie->node[node].sibling;
    return node;
}

static sd_status trie_add(sd_trie *trie, const char *text, int64_t length, int32_t token)
{
    sd_status st = SD_OK;
    int32_t   at = -1;

    SD_REQUIRE(trie->count + length < INT32_MAX, SD_ERR_INPUT, "the added tokens are too long");
    SD_TRY(sd_list_reserve(&trie->node, trie->count, trie->count + length, sizeof *trie->node,
                           &trie->capacity));
    for (int64_t i = 0; i < length; i++) {
        const uint8_t byte  = (uint8_t)text[i];
        int32_t      *first = i == 0 ? &trie->root[byte] : &trie->node[at].child;
        int32_t       next  = find_sibling(trie, *first, byte);
        if (next < 0) {
            next             = (int32_t)trie->count++;
            trie->node[next] = (sd_trie_node){-1, *first, -1, byte};
            *first           = next;
        }
        at = next;
    }
    trie->node[at].token = token;

done:
    return st;
}

/* \w of Rust's regex crate: Alphabetic (letters, letter numbers, circled and squared letters, and
 * marks), marks, decimal digits, connectors, and the two joiners. */
static const char WORD[] =
    "[\\p{L}\\p{Nl}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}"
    "\\x{1F170}-\\x{1F189}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}]";

sd_status sd_added_tokens_add(sd_added_tokens *added, const char *text, int64_t length,
                              sd_added_token token)
{
    sd_status st = SD_OK;

    if (token.single_word && added->word == NULL)
        SD_TRY(sd_pattern_create("added tokens", WORD, sizeof WORD - 1, false, &added->word));
    SD_TRY(sd_list_reserve(&added->token, added->count, added->count + 1, sizeof token,
                           &added->capacity));
    SD_TRY(trie_add(&added->trie[token.is_normalized], text, length, (int32_t)added->count));
    added->token[added->count++] = token;

done:
    return st;
}

/* The longest token at `at`: its number, or -1, and where it stops. */
static int32_t longest_at(const sd_trie *trie, const char *text, int64_t length, int64_t at,
                          int64_t *stop)
{
    int32_t found = -1;
    int32_t node  = trie->root[(uint8_t)text[at]];

    while (node >= 0) {
        at++;
        if (trie->node[node].token >= 0) {
            found = trie->node[node].token;
            *stop = at;
        }
        if (at == length) break;
        node = find_sibling(trie, trie->node[node].child, (uint8_t)text[at]);
    }
    return found;
}

static int64_t character_start(const char *text, int64_t stop)
{
    do stop--;
    while (stop > 0 && ((unsigned char)text[stop] & 0xC0) == 0x80);
    return stop;
}

static int64_t character_stop(const char *text, int64_t length, int64_t start)
{
    do start++;
    while (start < length && ((unsigned char)text[start] & 0xC0) == 0x80);
    return start;
}

/* Whether neither neighbour of text[start .. stop) is part of a word. */
static sd_status stands_alone(const sd_pattern *word, const char *text, int64_t length,
                              sd_span span, bool *alone)
{
    sd_status st     = SD_OK;
    bool      before = false, behind = false;

    if (span.start > 0) {
        const int64_t from = character_start(text, span.start);
        SD_TRY(sd_pattern_finds(word, text + from, span.start - from, &before));
    }
    if (span.stop < length) {
        const int64_t to = character_stop(text, length, span.stop);
        SD_TRY(sd_pattern_finds(word, text + span.stop, to - span.stop, &behind));
    }
    *alone = !before && !behind;

done:
    return st;
}

/* Unicode's White_Space, a closed list: one character, by its bytes. */
static bool is_white_space(const char *text, int64_t n)
{
    const unsigned char *c = (const unsigned char *)text;

    if (n == 1) return c[0] == ' ' || (c[0] >= 0x09 && c[0] <= 0x0D);
    if (n == 2) return c[0] == 0xC2 && (c[1] == 0x85 || c[1] == 0xA0);
    if (n != 3) return false;
    const unsigned code = (c[0] & 0x0Fu) << 12 | (c[1] & 0x3Fu) << 6 | (c[2] & 0x3Fu);
    return code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

static int64_t strip_left(const char *text, int64_t start)
{
    while (start > 0) {
        const int64_t from = character_start(text, start);
        if (!is_white_space(text + from, start - from)) break;
        start = from;
    }
    return start;
}

static int64_t strip_right(const char *text, int64_t length, int64_t stop)
{
    while (stop < length) {
        const int64_t to = character_stop(text, length, stop);
        if (!is_white_space(text + stop, to - stop)) break;
        stop = to;
    }
    return stop;
}

/* An empty section says nothing, whatever its id: the package drops it too. */
static sd_status push_section(sd_sections *out, int64_t start, int64_t stop, int32_t id)
{
    sd_status st = SD_OK;

    if (start == stop) return SD_OK;
    SD_REQUIRE(start < stop, SD_ERR_INPUT,
               "added token %" PRId32 " would end before it starts, at byte %" PRId64
               " of the text",
               id, stop + 1);
    SD_TRY(sd_list_reserve(&out->at, out->count, out->count + 1, sizeof *out->at, &out->capacity));
    out->at[out->count++] = (sd_section){start, stop, id};

done:
    return st;
}

/* The search goes on behind the token itself, not behind the white space that it swallows: that
 * space may belong to a second token, which is then written too. */
sd_status sd_added_tokens_cut(const sd_added_tokens *added, bool is_normalized, const char *text,
                              int64_t length, sd_sections *out)
{
    sd_status      st      = SD_OK;
    const sd_trie *trie    = &added->trie[is_normalized];
    int64_t        covered = 0, stop = 0;

    for (int64_t at = 0; at < length && trie->count > 0;) {
        const int32_t number = longest_at(trie, text, length, at, &stop);
        if (number < 0) {
            at++;
            continue;
        }
        const sd_added_token *token = &added->token[number];
        int64_t               start = at;
        bool                  alone = true;
        at                          = stop;
        if (token->single_word)
            SD_TRY(stands_alone(added->word, text, length, (sd_span){start, stop, true}, &alone));
        if (!alone) continue;
        if (token->strips_left) {
            start = strip_left(text, start);
            if (start < covered) start = covered;
        }
        if (token->strips_right) stop = strip_right(text, length, stop);
        if (covered < start) SD_TRY(push_section(out, covered, start, -1));
        SD_TRY(push_section(out, start, stop, token->id));
        covered = stop;
    }
    if (covered != length) SD_TRY(push_section(out, covered, length, -1));

done:
    return st;
}
