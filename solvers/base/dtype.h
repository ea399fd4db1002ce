/**
 * @file dtype.h
 * @brief Number formats in which weights are stored, and their conversion to float.
 */
#ifndef SD_SOLVERS_BASE_DTYPE_H
#define SD_SOLVERS_BASE_DTYPE_H

#include <stdint.h>
#include <string.h>

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

/** @brief The float whose bits are these. */
static inline float sd_float_of_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/** @brief Value of a bfloat16: the upper half of a float. Exact. */
static inline float sd_bf16_value(uint16_t bits)
{
    return sd_float_of_bits((uint32_t)bits << 16);
}

/**
 * @brief Value of an IEEE half. Exact; a NaN stays a NaN.
 *
 * Branch-free, so that loops of it vectorise. The half is moved into a float's fields and its
 * exponent corrected by a multiplication with 2^112, which also turns subnormals into normal
 * numbers; infinities and NaNs have their exponent filled up afterwards.
 */
static inline float sd_f16_value(uint16_t bits)
{
    const uint32_t sign      = (uint32_t)(bits & 0x8000u) << 16;
    const uint32_t magnitude = (uint32_t)(bits & 0x7fffu) << 13;
    const float    scaled    = sd_float_of_bits(magnitude) * 0x1p112f;
    uint32_t       out;

    memcpy(&out, &scaled, sizeof out);
    out |= (bits & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0;
    return sd_float_of_bits(out | sign);
}

/**
 * @brief Value of an 8-bit float E4M3, in which weights may be stored: 4 bits of exponent with bias
 * 7, 3 of fraction, no infinities, one NaN per sign. Exact.
 *
 * Source: "OCP 8-bit Floating Point Specification"; the variant without infinities, FN.
 */
static inline float sd_f8_e4m3_value(uint8_t bits)
{
    const uint32_t sign      = (uint32_t)(bits & 0x80u) << 24;
    const uint32_t magnitude = (uint32_t)(bits & 0x7fu) << 20;
    const float    scaled    = sd_float_of_bits(magnitude) * 0x1p120f; /* as in sd_f16_value() */
    uint32_t       out;

    memcpy(&out, &scaled, sizeof out);
    out |= (bits & 0x7fu) == 0x7fu ? 0x7fc00000u : 0;
    return sd_float_of_bits(out | sign);
}

/** @brief Value of an 8-bit float E5M2: the upper half of an IEEE half. Exact; a NaN stays one. */
static inline float sd_f8_e5m2_value(uint8_t bits)
{
    return sd_f16_value((uint16_t)(bits << 8));
}

#endif
