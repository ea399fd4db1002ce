/**
 * @file oniguruma.h
 * @brief Says a regular expression of the `tokenizers` package in PCRE2's words.
 *
 * The package matches with Oniguruma (Ruby syntax, Unicode 16). The two engines agree on most of
 * what tokenisers use, and differ silently in the rest:
 *
 *   \s             Oniguruma: White_Space; PCRE2 also takes U+180E. Written as \p{White_Space}.
 *   \p{L}, \d, ... characters that are younger than PCRE2's tables are added as ranges, so that the
 *                  result does not depend on the version of PCRE2 (io/tokenizer/young_characters.h)
 *   \p{Han}        PCRE2 takes script extensions for it; written as \p{sc:Han}
 *   \h \v \u \R    mean other things, or nothing, in PCRE2; written out
 *   [a[bc]]        a set inside a set; the brackets are dropped. && and [^..] inside are refused
 *   ^ $            always match at lines in Ruby's syntax (the caller compiles with MULTILINE)
 *   (?i)           Oniguruma also lets one character match several ("st" matches U+FB06): pairs of
 *                  ASCII letters for which that happens, and letters beyond ASCII, are refused
 *
 * Everything else is passed on if it is known to mean the same, and refused by name if not: \w and
 * \b (their Oniguruma definition is not one property), \X, \G, \K, back references, recursion,
 * POSIX brackets, (?x), (?m).
 */
#ifndef SD_IO_TOKENIZER_ONIGURUMA_H
#define SD_IO_TOKENIZER_ONIGURUMA_H

#include "io/tokenizer/lists.h"

/**
 * @brief Translates a pattern.
 *
 * @param[in]  where   what messages start with; borrowed
 * @param[in]  source  valid UTF-8 of `length` bytes
 * @param[out] out     empty list; the pattern, to be compiled with PCRE2_UTF and PCRE2_MULTILINE
 *
 * Errors: SD_ERR_INPUT naming the construct that is not supported.
 */
sd_status sd_oniguruma_translate(const char *where, const char *source, int64_t length,
                                 sd_bytes *out);

#endif
