/**
 * @file digest.h
 * @brief Hashes: XXH3-128 for speed (fingerprints), SHA-256 for results.
 */
#ifndef SD_IO_DIGEST_H
#define SD_IO_DIGEST_H

#include <stdint.h>

#include "solvers/base/status.h"

enum { SD_XXH128_HEX = 33, SD_SHA256_HEX = 65 }; /* characters with the terminating zero */

typedef enum { SD_DIGEST_XXH128, SD_DIGEST_SHA256 } sd_digest_kind;

/** A running hash. */
typedef struct sd_digest sd_digest;

sd_status sd_digest_create(sd_digest_kind kind, sd_digest **out);
sd_status sd_digest_add(sd_digest *digest, const void *bytes, int64_t count);
/** @brief Lower-case hex of what was added, zero-terminated; the digest may go on afterwards. */
sd_status sd_digest_hex(const sd_digest *digest, char *out);
void      sd_digest_destroy(sd_digest **digest);

#endif
