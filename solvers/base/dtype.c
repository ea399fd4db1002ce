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
            dst[i] = sd_bf16_value(half);
        }
        break;
    case SD_F16:
        for (int64_t i = 0; i < n; i++) {
            memcpy(&half, bytes + 2 * i, sizeof half);
            dst[i] = sd_f16_value(half);
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
