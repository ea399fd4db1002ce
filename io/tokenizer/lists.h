/**
 * @file lists.h
 * @brief Two arrays that grow: bytes, and spans of a text.
 *
 * A list starts as `{0}` and is released with its _clear(). Growth doubles the capacity, so that n
 * pushes cost O(n). Local; the only error is SD_ERR_RESOURCE.
 */
#ifndef SD_IO_TOKENIZER_LISTS_H
#define SD_IO_TOKENIZER_LISTS_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

/** Bytes of text; not zero-terminated. */
typedef struct {
    char   *at;
    int64_t count, capacity;
} sd_bytes;

/** The bytes start .. stop - 1 of a text. */
typedef struct {
    int64_t start, stop;
    bool    is_match; /* of a cover by a pattern: this span matched it */
} sd_span;

typedef struct {
    sd_span *at;
    int64_t  count, capacity;
} sd_spans;

/** @brief Makes room for `count` elements of `size` bytes behind `memory`, which moves and keeps
 * the first `used`. */
sd_status sd_list_reserve(void *memory, int64_t used, int64_t count, int64_t size,
                          int64_t *capacity);

sd_status sd_bytes_append(sd_bytes *list, const char *bytes, int64_t count);
void      sd_bytes_clear(sd_bytes *list);

sd_status sd_spans_push(sd_spans *list, int64_t start, int64_t stop, bool is_match);
void      sd_spans_clear(sd_spans *list);

/**
 * @brief Writes a piece of hostile text so that it fits into one line of a message.
 *
 * Control characters become '?', and what is longer than `size` - 1 bytes ends in "..." at a
 * character's border.
 *
 * @param[out] out  `size` >= 8 bytes
 * @return out
 */
const char *sd_quote(const char *text, int64_t length, char *out, int64_t size);

#endif
