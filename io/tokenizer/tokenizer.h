/**
 * @file tokenizer.h
 * @brief Text to token ids, exactly as the `tokenizers` package: tokenizer.json, byte-level BPE.
 *
 * A text passes through these steps, each of which the file describes:
 *
 *   added tokens   cut out of the text as they stand
 *   pre-tokeniser  ByteLevel, Split, Digits, Punctuation, and sequences of them: the rest is split
 *                  into words, and bytes become printable characters
 *   model BPE      words become ids by merging pairs, lowest rank first
 *
 * Post-processors and decoders do not matter for ids without special tokens and are passed over.
 * Everything else that would change ids (normalisers, truncation, padding, dropout, byte fallback,
 * prefixes and suffixes of subwords, other models and pre-tokenisers) is refused by name. Regular
 * expressions: see oniguruma.h for what is supported and how the engines differ.
 *
 * Ids are the same as those of tokenizers 0.23 with Unicode 16, held by
 * tests/oracle/test_tokenizer.py. No MPI here; nothing is collective.
 */
#ifndef SD_IO_TOKENIZER_TOKENIZER_H
#define SD_IO_TOKENIZER_TOKENIZER_H

#include <stdint.h>

#include "solvers/base/status.h"

/** Ids are below this: a file may not make us believe in a vocabulary of billions. */
#define SD_TOKENIZER_IDS_MAX (INT64_C(1) << 24)

typedef struct sd_tokenizer sd_tokenizer;

/**
 * @brief Reads a tokenizer.json. What it asks for and this version does not do is refused by name.
 *
 * @param[in]  path  the file, or a folder that holds tokenizer.json
 * @param[out] out   yours, release with sd_tokenizer_destroy(); NULL on failure
 *
 * Cost: for 150 000 tokens and 280 000 merges about half a second, most of it JSON.
 * Errors: SD_ERR_INPUT (missing, damaged, unsupported: what, where, how to mend); SD_ERR_RESOURCE.
 */
sd_status sd_tokenizer_read(const char *path, sd_tokenizer **out);

/** @brief Releases a tokeniser; NULL is fine, sets NULL. */
void sd_tokenizer_destroy(sd_tokenizer **tokenizer);

/** @brief Number of ids: largest id + 1, added tokens included; at most SD_TOKENIZER_IDS_MAX. */
int64_t sd_tokenizer_size(const sd_tokenizer *tokenizer);

/**
 * @brief Encodes text without adding special tokens; added tokens inside the text are recognised.
 *
 * @param[in]  tokenizer  holds work space: one thread at a time
 * @param[in]  text       UTF-8 of `length` bytes; may hold zeros
 * @param[out] ids        yours, release with sd_free(); NULL on failure
 * @param[out] count      number of ids; 0 for an empty text
 *
 * Cost: about a second for 10 MB; O(n log n) for a single word of n bytes.
 * Errors: SD_ERR_INPUT when the text is not UTF-8, or a pattern of the file exceeds the limits of
 * matching on it; SD_ERR_RESOURCE.
 */
sd_status sd_tokenizer_encode(const sd_tokenizer *tokenizer, const char *text, int64_t length,
                              int32_t **ids, int64_t *count);

#endif
