/**
 * @file pretokenizer_names.h
 * @brief The pre-tokenisers that a GGUF file names in `tokenizer.ggml.pre`.
 *
 * A name stands for the steps of the tokenizer.json that the file was made from; they are published
 * with each model. "default" is no model's: it is what llama.cpp does by that name.
 */
#ifndef SD_IO_TOKENIZER_PRETOKENIZER_NAMES_H
#define SD_IO_TOKENIZER_PRETOKENIZER_NAMES_H

#include "io/tokenizer/pretokenize.h"

/** GPT-2's words: contractions, letters, digits, the rest, each with a space in front of it, and
 * white space, of which the last one is left to the word behind. */
extern const char sd_gpt2_words[];

/**
 * @brief Fills an empty pre-tokeniser with the steps of a name.
 *
 * @param[in]  where           what messages start with; borrowed until return
 * @param[out] ignores_merges  whether a word that is a token becomes that token without merging
 *
 * Errors: SD_ERR_INPUT for a name that is not known; SD_ERR_RESOURCE.
 */
sd_status sd_pretokenizer_by_name(const char *where, const char *name, sd_pretokenizer *out,
                                  bool *ignores_merges);

/** @brief The i-th known name, or NULL behind the last one. */
const char *sd_pretokenizer_name(int i);

#endif
