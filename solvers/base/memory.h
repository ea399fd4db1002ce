/**
 * @file memory.h
 * @brief Allocates zeroed, aligned arrays; a size that does not fit fails instead of wrapping.
 */
#ifndef SD_SOLVERS_BASE_MEMORY_H
#define SD_SOLVERS_BASE_MEMORY_H

#include <stdint.h>

#include "solvers/base/status.h"

/**
 * @brief Allocates `count` zeroed elements of `size` bytes, aligned to 64 bytes.
 *
 * A count of 0 gives a pointer that may be freed and not read.
 *
 * @param[in]  count  >= 0
 * @param[in]  size   bytes of one element, >= 1
 * @param[out] out    address of a pointer (`&x` with `double *x`); yours, release with sd_free();
 *                    set to NULL on failure
 *
 * Not collective. Errors: SD_ERR_RESOURCE when count * size overflows or there is no memory.
 */
sd_status sd_alloc(int64_t count, int64_t size, void *out);

/** @brief Releases what sd_alloc() gave; NULL is fine. */
void sd_free(void *memory);

/** @brief Copies a string; yours, release with sd_free(). Errors: as sd_alloc(). */
sd_status sd_copy_string(const char *text, char **out);

/**
 * @brief For tests: makes the k-th allocation from now on fail, once; 0 switches this off.
 *
 * Every path that releases memory after a failure can so be walked, one after the other.
 */
void sd_alloc_fail_at(int64_t k);

#endif
