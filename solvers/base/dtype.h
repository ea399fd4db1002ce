/**
 * @file dtype.h
 * @brief Number formats in which weights are stored, and their conversion to float.
 */
#ifndef SD_SOLVERS_BASE_DTYPE_H
#define SD_SOLVERS_BASE_DTYPE_H

#include <stdint.h>

/** Storage formats; all little-endian, as in safetensors files. */
typedef enum {
    SD_F32,
    SD_BF16,
    SD_F16,
    SD_F64, /* in files only: weights are converted to SD_F32 when read */
    SD_DTYPE_COUNT
} sd_dtype;

/** @brief Bytes of one element: 4, 2, 2, 8. */
int64_t sd_dtype_size(sd_dtype type);

/** @brief Name as safetensors writes it: "F32", "BF16", "F16", "F64". */
const char *sd_dtype_name(sd_dtype type);

/**
 * @brief Converts `n` elements to float; exact for all but SD_F64, which rounds to nearest even.
 *
 * @param[in]  src  n elements of `type`, any alignment
 * @param[out] dst  n floats; must not overlap src
 */
void sd_to_float(sd_dtype type, int64_t n, const void *src, float *dst);

#endif
