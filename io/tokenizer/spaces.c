#include "io/tokenizer/spaces.h"

#include <string.h>

enum { SPACE_BYTES = sizeof SD_SPACE - 1 };

static bool is_space_at(const char *text, int64_t length, int64_t at)
{
    return length - at >= SPACE_BYTES && memcmp(text + at, SD_SPACE, SPACE_BYTES) == 0;
}

void sd_spaces_learn(sd_spaces *spaces, const char *token, int64_t length)
{
    for (int64_t at = 1; at < length; at++)
        if (is_space_at(token, length, at)) spaces->joins[(unsigned char)token[at - 1]] = true;
}

sd_status sd_spaces_escape(const sd_spaces *spaces, const char *text, int64_t length, sd_bytes *out)
{
    sd_status st          = SD_OK;
    bool      after_space = false;

    while (spaces->drops_extra && length > 0 && text[0] == ' ') text++, length--;
    if (length == 0) return SD_OK;
    if (spaces->adds_prefix) SD_TRY(sd_bytes_append(out, SD_SPACE, SPACE_BYTES));
    for (int64_t at = 0, stop; at < length; at = stop) {
        const bool is_space = text[at] == ' ';

        stop = at + 1;
        while (!is_space && stop < length && text[stop] != ' ') stop++;
        if (!is_space)
            SD_TRY(sd_bytes_append(out, text + at, stop - at));
        else if (!after_space)
            SD_TRY(sd_bytes_append(out, SD_SPACE, SPACE_BYTES));
        after_space = is_space && spaces->drops_extra;
    }
    while (spaces->drops_extra && out->count >= SPACE_BYTES &&
           is_space_at(out->at, out->count, out->count - SPACE_BYTES))
        out->count -= SPACE_BYTES;

done:
    return st;
}

sd_status sd_spaces_cut(const sd_spaces *spaces, const char *text, int64_t length, sd_pieces *out)
{
    sd_status st    = SD_OK;
    int64_t   start = 0;

    SD_TRY(sd_bytes_append(&out->text, text, length));
    for (int64_t at = 1; at < length; at++) {
        if (spaces->joins[(unsigned char)text[at - 1]] || !is_space_at(text, length, at)) continue;
        SD_TRY(sd_spans_push(&out->piece, start, at, false));
        start = at;
    }
    SD_TRY(sd_spans_push(&out->piece, start, length, false));

done:
    return st;
}
