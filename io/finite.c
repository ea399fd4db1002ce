#include "io/finite.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A number is infinite or NaN exactly when all bits of its exponent are set. */
static int64_t find16(int64_t n, const unsigned char *bytes, uint16_t exponent)
{
    uint16_t bits;

    for (int64_t i = 0; i < n; i++) {
        memcpy(&bits, bytes + 2 * i, sizeof bits);
        if ((bits & exponent) == exponent) return i;
    }
    return -1;
}

static int64_t find32(int64_t n, const unsigned char *bytes)
{
    const uint32_t exponent = UINT32_C(0x7f800000);
    uint32_t       bits;

    for (int64_t i = 0; i < n; i++) {
        memcpy(&bits, bytes + 4 * i, sizeof bits);
        if ((bits & exponent) == exponent) return i;
    }
    return -1;
}

static int64_t find64(int64_t n, const unsigned char *bytes)
{
    const uint64_t exponent = UINT64_C(0x7ff0000000000000);
    uint64_t       bits;

    for (int64_t i = 0; i < n; i++) {
        memcpy(&bits, bytes + 8 * i, sizeof bits);
        if ((bits & exponent) == exponent) return i;
    }
    return -1;
}

int64_t sd_finite_find(sd_dtype type, int64_t n, const void *elements)
{
    switch (type) {
    case SD_F32: return find32(n, elements);
    case SD_BF16: return find16(n, elements, 0x7f80u);
    case SD_F16: return find16(n, elements, 0x7c00u);
    case SD_F64: return find64(n, elements);
    case SD_DTYPE_COUNT: break;
    }
    return -1;
}

void sd_element_place(const sd_tensor_info *info, int64_t element, char out[SD_PLACE_LEN])
{
    int64_t index[SD_MAX_DIMS] = {0};
    size_t  used               = 1;

    for (int k = info->n_dims - 1; k >= 0; k--) {
        index[k] = element % info->shape[k];
        element /= info->shape[k];
    }
    strcpy(out, "[");
    for (int k = 0; k < info->n_dims; k++)
        used += (size_t)snprintf(out + used, SD_PLACE_LEN - used, "%s%" PRId64, k > 0 ? ", " : "",
                                 index[k]);
    strcpy(out + used, "]");
}

sd_status sd_finite_check(const sd_checkpoint *checkpoint, int64_t i, int64_t first, sd_dtype type,
                          int64_t n, const void *elements)
{
    sd_status             st    = SD_OK;
    const int64_t         found = sd_finite_find(type, n, elements);
    const sd_tensor_info *info  = sd_checkpoint_tensor(checkpoint, i);
    const char           *kind  = "an infinity";
    char                  place[SD_PLACE_LEN];
    float                 value;

    if (found < 0) return SD_OK;
    sd_to_float(type, 1, (const char *)elements + found * sd_dtype_size(type), &value);
    sd_element_place(info, first + found, place);
    if (isnan(value))
        kind = "NaN";
    else if (type == SD_F32 && info->type == SD_F64)
        kind = "a number beyond single precision";
    SD_REQUIRE(false, SD_ERR_INPUT, "%s: tensor '%s' holds %s at %s",
               sd_checkpoint_file_of(checkpoint, i), info->name, kind, place);

done:
    return st;
}
