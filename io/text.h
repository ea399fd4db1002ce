/**
 * @file text.h
 * @brief Text and id files, and their cut into sequences.
 */
#ifndef SD_IO_TEXT_H
#define SD_IO_TEXT_H

#include <stdint.h>

#include "solvers/base/status.h"

/** Sequences of token ids, end to end. */
typedef struct {
    int64_t  n_sequences, n_tokens;
    int64_t *first; /* n_sequences + 1 offsets  */
    int32_t *id;    /* n_tokens                 */
} sd_ids;

void sd_ids_destroy(sd_ids **ids);

/** @brief Reads a whole file into memory; zero-terminated beyond `length`. Yours, sd_free(). Errors: SD_ERR_INPUT. */
sd_status sd_file_read(const char *path, char **text, int64_t *length);

/** @brief Reads a UTF-8 text file. Errors: SD_ERR_INPUT naming the byte that is not UTF-8. */
sd_status sd_text_read(const char *path, char **text, int64_t *length);

/** @brief Reads an id file: one sequence per line, decimal ids separated by white space; empty lines are passed over. Errors: SD_ERR_INPUT naming line and column. */
sd_status sd_ids_read(const char *path, sd_ids **out);

/**
 * @brief The first `sequences` non-overlapping windows of `length` ids of a token stream.
 * @param[in] bos  id to put in front of each, inside `length`; -1 for none
 * Errors: SD_ERR_INPUT when the stream is too short, with the number of windows that it would give.
 */
sd_status sd_ids_cut(const int32_t *id, int64_t n, int64_t sequences, int64_t length, int32_t bos,
                     sd_ids **out);

/** @brief The first `sequences` of given sequences, each cut to `length` (never padded), `bos` in front when >= 0. */
sd_status sd_ids_trim(const sd_ids *in, int64_t sequences, int64_t length, int32_t bos,
                      sd_ids **out);

#endif
