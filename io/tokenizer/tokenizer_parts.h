/**
 * @file tokenizer_parts.h
 * @brief What a tokeniser consists of. For the files of this folder and their tests.
 */
#ifndef SD_IO_TOKENIZER_TOKENIZER_PARTS_H
#define SD_IO_TOKENIZER_TOKENIZER_PARTS_H

#include "io/tokenizer/added_tokens.h"
#include "io/tokenizer/bpe.h"
#include "io/tokenizer/pretokenize.h"
#include "io/tokenizer/spaces.h"
#include "io/tokenizer/tokenizer.h"

struct sd_tokenizer {
    char           *path; /* of the file, for messages */
    sd_added_tokens added;
    sd_spaces       spaces; /* of a SentencePiece model, else all zero */
    sd_pretokenizer pretokenizer;
    sd_bpe          bpe;
    int32_t         largest_id; /* of vocabulary and added tokens, -1 when there is none */
};

/** @brief Fills an empty tokeniser from the text of a tokenizer.json. Errors: as
 * sd_tokenizer_read(). */
sd_status sd_tokenizer_parse(const char *json, int64_t length, sd_tokenizer *tokenizer);

/** @brief Fills an empty tokeniser from the metadata of the GGUF file tokenizer->path. Errors: as
 * sd_tokenizer_read(). */
sd_status sd_tokenizer_take_gguf(sd_tokenizer *tokenizer);

/** The two sides of a merge rule. */
typedef struct {
    const char *text[2];
    int64_t     length[2];
} sd_merge_sides;

/** @brief Takes "a b" apart at its only space; false when it has none or more. */
bool sd_merge_split(const char *text, int64_t length, sd_merge_sides *out);

/**
 * @brief Adds a rule by the texts of its sides to a tokeniser whose vocabulary is complete.
 *
 * @param[in]     number  of the rule in the file, from 1 on, for messages
 * @param[in,out] joined  work space
 *
 * Errors: SD_ERR_INPUT when a side, or what both make, is no token; SD_ERR_RESOURCE.
 */
sd_status sd_tokenizer_add_merge(sd_tokenizer *tokenizer, const sd_merge_sides *sides,
                                 int64_t number, int32_t rank, sd_bytes *joined);

#endif
