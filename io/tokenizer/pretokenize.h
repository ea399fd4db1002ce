/**
 * @file pretokenize.h
 * @brief The steps between a text and the words that byte-pair encoding works on.
 *
 * A step splits each piece of the text, and may rewrite it: ByteLevel puts a space in front and
 * writes every byte as a printable character. The steps and their names are the `tokenizers`
 * package's.
 */
#ifndef SD_IO_TOKENIZER_PRETOKENIZE_H
#define SD_IO_TOKENIZER_PRETOKENIZE_H

#include "io/tokenizer/lists.h"
#include "io/tokenizer/pattern.h"

/** What becomes of a match when a text is split at a pattern. */
typedef enum {
    SD_SPLIT_ISOLATED,             /* a piece of its own                              */
    SD_SPLIT_REMOVED,              /* dropped                                         */
    SD_SPLIT_MERGED_WITH_PREVIOUS, /* the end of the piece before it                  */
    SD_SPLIT_MERGED_WITH_NEXT,     /* the start of the piece behind it                */
    SD_SPLIT_CONTIGUOUS            /* one piece with the matches that touch it        */
} sd_split_behaviour;

/** A step. First an optional space in front, then an optional split, then optionally bytes. */
typedef struct {
    bool               adds_prefix_space; /* unless the piece starts with one             */
    sd_pattern        *pattern;           /* NULL: no split; owned                        */
    bool               is_inverted;       /* what does not match counts as matching       */
    sd_split_behaviour behaviour;
    bool               writes_bytes; /* each byte becomes its printable character    */
} sd_pretokenize_step;

typedef struct {
    sd_pretokenize_step *step;
    int64_t              count, capacity;
} sd_pretokenizer;

/** A text and its pieces; empty ones are left out. */
typedef struct {
    sd_bytes text;
    sd_spans piece;
} sd_pieces;

/** @brief Appends a step, whose pattern is given: also when this fails. */
sd_status sd_pretokenizer_add(sd_pretokenizer *pretokenizer, sd_pretokenize_step step);
void      sd_pretokenizer_clear(sd_pretokenizer *pretokenizer);

/**
 * @brief Runs all steps over a text.
 *
 * @param[in]  text  valid UTF-8, length >= 1
 * @param[out] out   an empty sd_pieces; release with sd_pieces_clear(), also on failure
 *
 * Errors: as sd_pattern_cover().
 */
sd_status sd_pretokenize(const sd_pretokenizer *pretokenizer, const char *text, int64_t length,
                         sd_pieces *out);
void      sd_pieces_clear(sd_pieces *pieces);

#endif
