#include "solvers/base/dtype.h"

#include <string.h>

static const struct {
    const char *name;
    int64_t     size;
} formats[SD_DTYPE_COUNT] = {
    [SD_F32]  = {"F32", 4},
    [SD_BF16] = {"BF16", 2},
    [SD_F16]  = {"F16", 2},
    [SD_F64]  = {"F64", 8},
};

int64_t sd_dtype_size(sd_dtype type)
{
    return formats[type].size;
}

const char *sd_dtype_name(sd_dtype type)
{
    return formats[type].name;
}

static float float_of_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static float bf16_to_float(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

/*
 * Branch-free, so that it vectorises. A half is moved into a float's fields and its exponent
 * corrected by a multiplication with 2^112, which also turns subnormals into normal numbers;
 * infinities and NaNs have their exponent filled up afterwards.
 */
static float f16_to_float(uint16_t bits)
{
    const uint32_t sign      = (uint32_t)(bits & 0x8000u) << 16;
    const uint32_t magnitude = (uint32_t)(bits & 0x7fffu) << 13;
    const float    scaled    = float_of_bits(magnitude) * 0x1p112f;
    uint32_t       out;

    memcpy(&out, &scaled, sizeof out);
    out |= (bits & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0;
    return float_of_bits(out | sign);
}

void sd_to_float(sd_dtype type, int64_t n, const void *src, float *dst)
{
    const unsigned char *bytes = src;
    uint16_t             half;
    double               wide;

    switch (type) {
    case SD_F32: memcpy(dst, src, (size_t)n * sizeof *dst); break;
    case SD_BF16:
        for (int64_t i = 0; i < n; i++) {
            memcpy(&half, bytes + 2 * i, sizeof half);
            dst[i] = bf16_to_float(half);
        }
        break;
    case SD_F16:
        for (int64_t i = 0; i < n; i++) {
            memcpy(&half, bytes + 2 * i, sizeof half);
            dst[i] = f16_to_float(half);
        }
        break;
    case SD_F64:
        for (int64_t i = 0; i < n; i++) {
            memcpy(&wide, bytes + 8 * i, sizeof wide);
            dst[i] = (float)wide;
        }
        break;
    case SD_DTYPE_COUNT: break;
    }
}
