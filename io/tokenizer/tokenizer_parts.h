/**
 * @file tokenizer_parts.h
 * @brief What a tokeniser consists of. For the files of this folder and their tests.
 */
#ifndef SD_IO_TOKENIZER_TOKENIZER_PARTS_H
#define SD_IO_TOKENIZER_TOKENIZER_PARTS_H

#include "io/tokenizer/added_tokens.h"
#include "io/tokenizer/bpe.h"
#include "io/tokenizer/pretokenize.h"
#include "io/tokenizer/tokenizer.h"

struct sd_tokenizer {
    char           *path; /* of tokenizer.json, for messages */
    sd_added_tokens added;
    sd_pretokenizer pretokenizer;
    sd_bpe          bpe;
    int32_t         largest_id; /* of vocabulary and added tokens, -1 when there is none */
};

/** @brief Fills an empty tokeniser from the text of a tokenizer.json. Errors: as
 * sd_tokenizer_read(). */
sd_status sd_tokenizer_parse(const char *json, int64_t length, sd_tokenizer *tokenizer);

#endif
