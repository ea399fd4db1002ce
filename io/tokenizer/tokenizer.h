/**
 * @file tokenizer.h
 * @brief Text to token ids, exactly as the `tokenizers` package: tokenizer.json, byte-level BPE.
 */
#ifndef SD_IO_TOKENIZER_TOKENIZER_H
#define SD_IO_TOKENIZER_TOKENIZER_H

#include <stdint.h>

#include "solvers/base/status.h"

typedef struct sd_tokenizer sd_tokenizer;

/**
 * @brief Reads a tokenizer.json. What it asks for and this version does not do is refused by name.
 * @param[in] path   the file, or a folder that holds tokenizer.json
 * Errors: SD_ERR_INPUT (missing, damaged, unsupported: what, where, how to mend).
 */
sd_status sd_tokenizer_read(const char *path, sd_tokenizer **out);
void      sd_tokenizer_destroy(sd_tokenizer **tokenizer);

/** @brief Number of ids: largest id + 1. */
int64_t sd_tokenizer_size(const sd_tokenizer *tokenizer);

/**
 * @brief Encodes text without adding special tokens; added tokens inside the text are recognised.
 * @param[in]  text   valid UTF-8 of `length` bytes (sd_text_read() has checked it); may hold zeros
 * @param[out] ids    yours, release with sd_free()
 */
sd_status sd_tokenizer_encode(const sd_tokenizer *tokenizer, const char *text, int64_t length,
                              int32_t **ids, int64_t *count);

#endif
