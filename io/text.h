/**
 * @file text.h
 * @brief Text and id files, and their cut into sequences. Nothing here is collective.
 */
#ifndef SD_IO_TEXT_H
#define SD_IO_TEXT_H

#include <stdint.h>

#include "solvers/base/status.h"

/** Sequences of token ids, end to end. */
typedef struct {
    int64_t n_sequences, n_tokens;
    int64_t
        *first;  /* n_sequences + 1 offsets: sequence s is id[first[s]] .. id[first[s + 1] - 1] */
    int32_t *id; /* n_tokens, each >= 0                                                         */
} sd_ids;

/** The largest file that the functions below read, 4 GiB: far above a text that a study needs, far
 * below what a damaged file system may claim. */
#define SD_FILE_MAX (INT64_C(1) << 32)

/** @brief Releases sequences; NULL is fine, sets NULL. */
void sd_ids_destroy(sd_ids **ids);

/**
 * @brief Reads a whole file into memory.
 *
 * @param[out] text    the bytes, and a zero behind them; yours, release with sd_free(); NULL on
 *                     failure
 * @param[out] length  number of bytes, the zero not counted
 *
 * Errors: SD_ERR_INPUT when it is missing, unreadable, no regular file, or above SD_FILE_MAX;
 * SD_ERR_RESOURCE when memory is short.
 */
sd_status sd_file_read(const char *path, char **text, int64_t *length);

/**
 * @brief Counts the leading bytes that are well-formed UTF-8; all of them if the result is
 * `length`.
 *
 * Strict: overlong forms, surrogates and code points above U+10FFFF are not well-formed. Zeros are.
 */
int64_t sd_utf8_valid(const char *text, int64_t length);

/**
 * @brief Reads a UTF-8 text file. An empty one is fine; a byte order mark is kept as a character.
 *
 * Errors: as sd_file_read(); SD_ERR_INPUT with the offset (from 0), value and line of the first
 * byte that is not UTF-8.
 */
sd_status sd_text_read(const char *path, char **text, int64_t *length);

/**
 * @brief Reads an id file: one sequence per line, decimal ids between white space.
 *
 * Empty lines are passed over. Lines may end as on any system.
 *
 * @param[out] out  yours, release with sd_ids_destroy()
 *
 * Errors: as sd_file_read(); SD_ERR_INPUT with line and column of what is not an id or is above
 * 2^31 - 1, or when there is no id at all.
 */
sd_status sd_ids_read(const char *path, sd_ids **out);

/**
 * @brief Cuts the first `sequences` windows of `length` ids out of a token stream, without overlap.
 *
 * @param[in]  id         n ids
 * @param[in]  sequences  >= 1
 * @param[in]  length     >= 1
 * @param[in]  bos        id to put in front of each, inside `length`; -1 for none
 * @param[out] out        yours, release with sd_ids_destroy()
 *
 * Errors: SD_ERR_INPUT when the stream is too short, with the number of windows that it would give;
 * SD_ERR_USAGE when sequences or length is below 1; SD_ERR_RESOURCE.
 */
sd_status sd_ids_cut(const int32_t *id, int64_t n, int64_t sequences, int64_t length, int32_t bos,
                     sd_ids **out);

/**
 * @brief Takes the first `sequences` of given sequences, or all if they are fewer, each cut to
 * `length` and never padded.
 *
 * @param[in]  bos  id to put in front of each, inside `length`; -1 for none
 * @param[out] out  yours, release with sd_ids_destroy()
 *
 * Errors: SD_ERR_USAGE when sequences or length is below 1; SD_ERR_RESOURCE.
 */
sd_status sd_ids_trim(const sd_ids *in, int64_t sequences, int64_t length, int32_t bos,
                      sd_ids **out);

#endif
