/**
 * @file pattern.h
 * @brief Regular expressions of pre-tokenisers: compile one, and cover a text by its matches.
 *
 * The only user of PCRE2. A pattern is hostile: matching is bounded, and a pattern that exceeds the
 * bounds on some text fails with SD_ERR_INPUT instead of running on.
 */
#ifndef SD_IO_TOKENIZER_PATTERN_H
#define SD_IO_TOKENIZER_PATTERN_H

#include "io/tokenizer/lists.h"

typedef struct sd_pattern sd_pattern;

/**
 * @brief Compiles a pattern in Oniguruma's syntax, or a literal string.
 *
 * @param[in]  where       what messages start with, such as the file's path; borrowed until return
 * @param[in]  source      valid UTF-8 of `length` bytes
 * @param[in]  is_literal  the source stands for itself; it must not be empty then
 * @param[out] out         yours, release with sd_pattern_destroy()
 *
 * Errors: SD_ERR_INPUT when it does not compile or is not supported; SD_ERR_RESOURCE.
 */
sd_status sd_pattern_create(const char *where, const char *source, int64_t length, bool is_literal,
                            sd_pattern **out);
void      sd_pattern_destroy(sd_pattern **pattern);

/**
 * @brief Appends spans that cover the text in order: each match, and each stretch between two.
 *
 * As the package's iterator: matches do not overlap, an empty match right behind another match is
 * passed over, other empty matches give empty spans. Nothing outside the text is looked at.
 *
 * @param[in]     text    valid UTF-8 of `length` >= 1 bytes
 * @param[in]     offset  added to every span: where the text lies in a larger one
 * @param[in,out] out     a list of spans
 *
 * Uses work space inside the pattern: one thread at a time. Cost: linear for ordinary patterns.
 * Errors: SD_ERR_INPUT when a limit of matching is exceeded; SD_ERR_RESOURCE.
 */
sd_status sd_pattern_cover(const sd_pattern *pattern, const char *text, int64_t length,
                           int64_t offset, sd_spans *out);

/** @brief Whether the pattern matches anywhere in a text of length >= 1. Errors: as
 * sd_pattern_cover(). */
sd_status sd_pattern_finds(const sd_pattern *pattern, const char *text, int64_t length,
                           bool *found);

#endif
