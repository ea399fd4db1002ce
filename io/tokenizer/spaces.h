/**
 * @file spaces.h
 * @brief Spaces as SentencePiece has them: written as U+2581, and words cut in front of them.
 *
 * A SentencePiece model merges over the whole text. Where no token holds a space right behind the
 * byte that stands there, no merge can cross, so that the text may be cut in front of that space
 * without changing an id: long texts become words, of which most are met again.
 */
#ifndef SD_IO_TOKENIZER_SPACES_H
#define SD_IO_TOKENIZER_SPACES_H

#include "io/tokenizer/pretokenize.h"

#define SD_SPACE "\xE2\x96\x81" /* U+2581 */

typedef struct {
    bool escapes;     /* false: the text stays as it is, and nothing below matters          */
    bool adds_prefix; /* a space in front of the text                                       */
    bool drops_extra; /* spaces at both ends, and all but one of a run                      */
    bool joins[256];  /* a token holds a space right behind this byte                       */
} sd_spaces;

/** @brief Notes where a token holds spaces; to be called for every token that merges can make. */
void sd_spaces_learn(sd_spaces *spaces, const char *token, int64_t length);

/** @brief Appends a text with its spaces written as U+2581. Errors: SD_ERR_RESOURCE. */
sd_status sd_spaces_escape(const sd_spaces *spaces, const char *text, int64_t length,
                           sd_bytes *out);

/**
 * @brief Cuts an escaped text into words.
 *
 * @param[in]  text  length >= 1
 * @param[out] out   an empty sd_pieces; release with sd_pieces_clear(), also on failure
 *
 * Errors: SD_ERR_RESOURCE.
 */
sd_status sd_spaces_cut(const sd_spaces *spaces, const char *text, int64_t length, sd_pieces *out);

#endif
