/**
 * @file digest.h
 * @brief Hashes: XXH3-128 for speed (fingerprints), SHA-256 for results.
 *
 * XXH3-128 is written as its canonical big-endian form, as `xxhsum -H2` prints it; SHA-256 as
 * `sha256sum` does. Neither depends on how the bytes were cut into calls.
 */
#ifndef SD_IO_DIGEST_H
#define SD_IO_DIGEST_H

#include <stdint.h>

#include "solvers/base/status.h"

enum { SD_XXH128_HEX = 33, SD_SHA256_HEX = 65 }; /* characters with the terminating zero */

typedef enum { SD_DIGEST_XXH128, SD_DIGEST_SHA256 } sd_digest_kind;

/** A running hash. */
typedef struct sd_digest sd_digest;

/**
 * @brief Starts a hash of nothing.
 * @param[out] out  yours, release with sd_digest_destroy(); NULL on failure
 * Not collective. Errors: SD_ERR_RESOURCE without memory.
 */
sd_status sd_digest_create(sd_digest_kind kind, sd_digest **out);

/** @brief Adds `count` bytes, which are borrowed until return. Errors: SD_ERR_INTERNAL. */
sd_status sd_digest_add(sd_digest *digest, const void *bytes, int64_t count);

/**
 * @brief Lower-case hex of what was added, zero-terminated; the digest may go on afterwards.
 * @param[out] out  SD_XXH128_HEX or SD_SHA256_HEX characters
 * Errors: SD_ERR_RESOURCE without memory.
 */
sd_status sd_digest_hex(const sd_digest *digest, char *out);

/** @brief Releases it; NULL is fine; sets NULL. */
void sd_digest_destroy(sd_digest **digest);

#endif
