/**
 * @file json.h
 * @brief JSON from untrusted files: strict, no duplicate keys, of a limited size.
 *
 * Private to io/. Nesting is limited to 2048 levels by the parser. The values are jansson's;
 * release them with json_decref().
 */
#ifndef SD_IO_JSON_H
#define SD_IO_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "solvers/base/status.h"

enum { SD_JSON_SHOWN = 48 }; /* characters of a value in a message, with the terminating zero */

/**
 * @brief Parses an object.
 *
 * Refuses, before anything is allocated, a text whose values would take more memory than 8 times
 * the file and 16 MiB: a few brackets ask for a hundred times their own bytes.
 *
 * @param[in]  file_bytes  length of the file that the text is from, at least `length`
 * @param[in]  shown  the file's name in messages
 * @param[out] out    yours, release with json_decref(); NULL on failure
 *
 * Errors: SD_ERR_INPUT with line and column for anything but one valid UTF-8 JSON object without
 * duplicate keys; SD_ERR_RESOURCE without memory.
 */
sd_status sd_json_parse(const char *text, int64_t length, int64_t file_bytes, const char *shown,
                        json_t **out);

/** @brief Reads and parses a file of at most `most` bytes. Errors: as sd_json_parse(). */
sd_status sd_json_read(const char *path, const char *shown, int64_t most, json_t **out);

/** @brief The beginning of a value as JSON text, on one line, for a message. */
void sd_json_show(const json_t *value, char out[SD_JSON_SHOWN]);

#endif
