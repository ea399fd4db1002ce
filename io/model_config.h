/**
 * @file model_config.h
 * @brief A model's config (config.json): typed look-ups that refuse what does not fit.
 *
 * Keys are dotted paths: "rope_scaling.factor"; a number is an element of an array:
 * "bos_token_id.0". A key that is absent or null does not exist. Integers are written as integers
 * (4096, not 4096.0); reals may be either. NaN and Infinity are no JSON and are refused.
 */
#ifndef SD_IO_MODEL_CONFIG_H
#define SD_IO_MODEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

typedef struct sd_config sd_config;

/**
 * @brief Reads a config.json of at most 16 MiB.
 *
 * @param[in]  path   borrowed until return
 * @param[in]  shown  the file's name in messages; copied
 * @param[out] out    yours, release with sd_config_destroy(); NULL on failure
 *
 * Not collective. Errors: SD_ERR_INPUT when it cannot be read or is not one JSON object without
 * duplicate keys, with line and column; SD_ERR_RESOURCE without memory.
 */
sd_status sd_config_read(const char *path, const char *shown, sd_config **out);
/** @brief The same from JSON text of `length` bytes, for tests and for formats that hold a config.
 */
sd_status sd_config_parse(const char *text, int64_t length, const char *shown, sd_config **out);
/** @brief Releases it; NULL is fine; sets NULL. */
void sd_config_destroy(sd_config **config);

/** @brief The file's name in messages; owned by the config. */
const char *sd_config_shown(const sd_config *config);

/** @brief True when the key is there and not null. */
bool sd_config_has(const sd_config *config, const char *key);

/**
 * @brief Typed look-ups. Present: checked and stored. Absent or null: *value stays as it is.
 * Errors: SD_ERR_INPUT naming file, key, what it is and what it should be.
 */
sd_status sd_config_int(const sd_config *config, const char *key, int64_t least, int64_t most,
                        int64_t *value);
sd_status sd_config_real(const sd_config *config, const char *key, double least, double most,
                         double *value);
sd_status sd_config_bool(const sd_config *config, const char *key, bool *value);
/** @brief As above; the string is owned by the config. */
sd_status sd_config_string(const sd_config *config, const char *key, const char **value);
/** @brief The i-th string of an array of strings; *value is NULL past its end or when absent. */
sd_status sd_config_string_at(const sd_config *config, const char *key, int64_t i,
                              const char **value);
/** @brief Fails when the key exists and is no object. Errors: SD_ERR_INPUT. */
sd_status sd_config_object(const sd_config *config, const char *key);
/** @brief Fails unless the key exists. Errors: SD_ERR_INPUT. */
sd_status sd_config_need(const sd_config *config, const char *key);

/** @brief Number of top-level keys, and the i-th in the file's order (owned by the config). */
int64_t     sd_config_count(const sd_config *config);
const char *sd_config_key(const sd_config *config, int64_t i);

#endif
