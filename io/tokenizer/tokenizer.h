/**
 * @file tokenizer.h
 * @brief Text to token ids, exactly as the packages `tokenizers` and `sentencepiece`.
 *
 * In a tokenizer.json, and in a GGUF file whose tokenizer.ggml.model is "gpt2", a text passes
 * through these steps of byte-level BPE, each of which the file describes:
 *
 *   added tokens   cut out of the text as they stand
 *   pre-tokeniser  ByteLevel, Split, Digits, Punctuation, and sequences of them: the rest is split
 *                  into words, and bytes become printable characters
 *   model BPE      words become ids by merging pairs, lowest rank first
 *
 * Post-processors and decoders do not matter for ids without special tokens and are passed over.
 * Everything else that would change ids (normalisers, truncation, padding, dropout, byte fallback,
 * prefixes and suffixes of subwords, other models and pre-tokenisers) is refused by name. Regular
 * expressions: see oniguruma.h for what is supported and how the engines differ. A GGUF file names
 * its pre-tokeniser (pretokenizer_names.h) and says nothing of normalisers: text is taken as it is.
 *
 * In a GGUF file of the model "llama" (SentencePiece's BPE) these are the steps:
 *
 *   control tokens       cut out of the text as they stand; between them are texts of their own
 *   spaces               become U+2581 (spaces.h); the text is changed in no other way
 *   user-defined tokens  cut out of that
 *   model BPE            pairs that make a token are merged, highest score first; what stays
 * without one becomes its bytes, or the unknown token
 *
 * Tokens of the type "unused" are never made. Two tokens of one text are refused.
 * Ids are the same as those of tokenizers 0.23 with Unicode 16 and of sentencepiece 0.2, held by
 * tests/oracle/test_tokenizer.py and test_gguf_ids.py. No MPI here; nothing is collective.
 */
#ifndef SD_IO_TOKENIZER_TOKENIZER_H
#define SD_IO_TOKENIZER_TOKENIZER_H

#include <stdint.h>

#include "solvers/base/status.h"

/** Ids are below this: a file may not make us believe in a vocabulary of billions. */
#define SD_TOKENIZER_IDS_MAX (INT64_C(1) << 24)

typedef struct sd_tokenizer sd_tokenizer;

/**
 * @brief Reads a tokeniser. What it asks for and this version does not do is refused by name.
 *
 * @param[in]  path  a tokenizer.json, a folder that holds one, or a GGUF file, which ends in .gguf
 * @param[out] out   yours, release with sd_tokenizer_destroy(); NULL on failure
 *
 * Cost: 0.4 s for 150 000 tokens and 156 000 merges on one core.
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
 * Cost: 0.1 to 0.2 s per MB of mixed text on one core; O(n log n) for a single word of n bytes.
 * Errors: SD_ERR_INPUT when the text is not UTF-8, or a pattern of the file exceeds the limits of
 * matching on it; SD_ERR_RESOURCE.
 */
sd_status sd_tokenizer_encode(const sd_tokenizer *tokenizer, const char *text, int64_t length,
                              int32_t **ids, int64_t *count);

#endif
