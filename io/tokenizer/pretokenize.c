#include "io/tokenizer/pretokenize.h"

#include <string.h>

#include "solvers/base/memory.h"

sd_status sd_pretokenizer_add(sd_pretokenizer *pretokenizer, sd_pretokenize_step step)
{
    sd_status st = SD_OK;

    SD_TRY(sd_list_reserve(&pretokenizer->step, pretokenizer->count, pretokenizer->count + 1,
                           sizeof step, &pretokenizer->capacity));
    pretokenizer->step[pretokenizer->count++] = step;
    step.pattern                              = NULL;

done:
    sd_pattern_destroy(&step.pattern);
    return st;
}

void sd_pretokenizer_clear(sd_pretokenizer *pretokenizer)
{
    for (int64_t i = 0; i < pretokenizer->count; i++)
        sd_pattern_destroy(&pretokenizer->step[i].pattern);
    sd_free(pretokenizer->step);
    *pretokenizer = (sd_pretokenizer){0};
}

void sd_pieces_clear(sd_pieces *pieces)
{
    sd_bytes_clear(&pieces->text);
    sd_spans_clear(&pieces->piece);
}

static void swap(sd_pieces *a, sd_pieces *b)
{
    const sd_pieces held = *a;
    *a                   = *b;
    *b                   = held;
}

/* Puts a space in front of every piece that has none. */
static sd_status add_prefix_spaces(sd_pieces *pieces)
{
    sd_status st    = SD_OK;
    sd_pieces after = {0};

    for (int64_t i = 0; i < pieces->piece.count; i++) {
        const sd_span piece = pieces->piece.at[i];
        const int64_t start = after.text.count;
        if (pieces->text.at[piece.start] != ' ') SD_TRY(sd_bytes_append(&after.text, " ", 1));
        SD_TRY(
            sd_bytes_append(&after.text, pieces->text.at + piece.start, piece.stop - piece.start));
        SD_TRY(sd_spans_push(&after.piece, start, after.text.count, false));
    }
    swap(pieces, &after);

done:
    sd_pieces_clear(&after);
    return st;
}

/* Whether a span continues the piece before it, in the order in which the behaviour reads. */
static bool joins(sd_split_behaviour behaviour, bool is_match, bool previous_is_match)
{
    if (behaviour == SD_SPLIT_CONTIGUOUS) return is_match == previous_is_match;
    return behaviour == SD_SPLIT_MERGED_WITH_PREVIOUS && is_match && !previous_is_match;
}

static sd_status push_piece(sd_spans *pieces, sd_span span)
{
    return span.start == span.stop ? SD_OK : sd_spans_push(pieces, span.start, span.stop, false);
}

/* Joins the cover of one piece by matches into pieces. Empty spans take part and then vanish. */
static sd_status merge_forwards(const sd_spans *cover, sd_split_behaviour behaviour,
                                sd_spans *pieces)
{
    sd_status st       = SD_OK;
    sd_span   open     = {0};
    bool      has_open = false, previous = false;

    for (int64_t i = 0; i < cover->count; i++) {
        const sd_span span = cover->at[i];
        if (behaviour == SD_SPLIT_REMOVED && span.is_match) continue;
        if (has_open && joins(behaviour, span.is_match, previous)) {
            open.stop = span.stop;
        } else {
            if (has_open) SD_TRY(push_piece(pieces, open));
            open     = span;
            has_open = true;
        }
        previous = span.is_match;
    }
    if (has_open) SD_TRY(push_piece(pieces, open));

done:
    return st;
}

/* A match joins what follows it, unless that is a match that has joined already: read from the
 * back, and turned round in place. */
static sd_status merge_with_next(const sd_spans *cover, sd_spans *pieces)
{
    sd_status     st       = SD_OK;
    const int64_t first    = pieces->count;
    sd_span       open     = {0};
    bool          has_open = false, previous = false;

    for (int64_t i = cover->count - 1; i >= 0; i--) {
        const sd_span span = cover->at[i];
        if (has_open && span.is_match && !previous) {
            open.start = span.start;
        } else {
            if (has_open) SD_TRY(push_piece(pieces, open));
            open     = span;
            has_open = true;
        }
        previous = span.is_match;
    }
    if (has_open) SD_TRY(push_piece(pieces, open));
    for (int64_t i = first, k = pieces->count - 1; i < k; i++, k--) {
        const sd_span held = pieces->at[i];
        pieces->at[i]      = pieces->at[k];
        pieces->at[k]      = held;
    }

done:
    return st;
}

static sd_status split(sd_pieces *pieces, const sd_pretokenize_step *step)
{
    sd_status st    = SD_OK;
    sd_spans  after = {0}, cover = {0};

    for (int64_t i = 0; i < pieces->piece.count; i++) {
        const sd_span piece = pieces->piece.at[i];
        cover.count         = 0;
        SD_TRY(sd_pattern_cover(step->pattern, pieces->text.at + piece.start,
                                piece.stop - piece.start, piece.start, &cover));
        for (int64_t k = 0; step->is_inverted && k < cover.count; k++)
            cover.at[k].is_match = !cover.at[k].is_match;
        if (step->behaviour == SD_SPLIT_MERGED_WITH_NEXT)
            SD_TRY(merge_with_next(&cover, &after));
        else
            SD_TRY(merge_forwards(&cover, step->behaviour, &after));
    }
    sd_spans_clear(&pieces->piece);
    pieces->piece = after;
    after         = (sd_spans){0};

done:
    sd_spans_clear(&cover);
    sd_spans_clear(&after);
    return st;
}

/* Bytes that are printable Latin-1 characters stand for themselves; the 68 others are numbered from
 * U+0100 on, in order. */
static void make_alphabet(uint16_t code[256])
{
    uint16_t next = 0x100;

    for (int byte = 0; byte < 256; byte++) {
        const bool is_printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
        code[byte]              = is_printable ? (uint16_t)byte : next++;
    }
}

static sd_status write_bytes(sd_pieces *pieces)
{
    sd_status st    = SD_OK;
    sd_pieces after = {0};
    uint16_t  code[256];
    int64_t   most = 0;

    make_alphabet(code);
    for (int64_t i = 0; i < pieces->piece.count; i++)
        most += 2 * (pieces->piece.at[i].stop - pieces->piece.at[i].start);
    SD_TRY(sd_list_reserve(&after.text.at, 0, most, 1, &after.text.capacity));

    for (int64_t i = 0; i < pieces->piece.count; i++) {
        sd_span *piece = &pieces->piece.at[i];
        char    *to    = after.text.at + after.text.count;
        for (int64_t k = piece->start; k < piece->stop; k++) {
            const uint16_t c = code[(unsigned char)pieces->text.at[k]];
            if (c >= 0x80) *to++ = (char)(0xC0 | c >> 6);
            *to++ = (char)(c >= 0x80 ? 0x80 | (c & 0x3F) : c);
        }
        piece->start     = after.text.count;
        after.text.count = to - after.text.at;
        piece->stop      = after.text.count;
    }
    sd_bytes_clear(&pieces->text);
    pieces->text = after.text;
    after        = (sd_pieces){0};

done:
    sd_pieces_clear(&after);
    return st;
}

sd_status sd_pretokenize(const sd_pretokenizer *pretokenizer, const char *text, int64_t length,
                         sd_pieces *out)
{
    sd_status st = SD_OK;

    SD_TRY(sd_bytes_append(&out->text, text, length));
    SD_TRY(sd_spans_push(&out->piece, 0, length, false));
    for (int64_t i = 0; i < pretokenizer->count; i++) {
        const sd_pretokenize_step *step = &pretokenizer->step[i];
        if (step->adds_prefix_space) SD_TRY(add_prefix_spaces(out));
        if (step->pattern != NULL) SD_TRY(split(out, step));
        if (step->writes_bytes) SD_TRY(write_bytes(out));
    }

done:
    return st;
}
