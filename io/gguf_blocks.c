#include "io/gguf_blocks.h"

#include <stddef.h>

#include "solvers/base/dtype.h"

static unsigned low16(const unsigned char *bytes)
{
    return (unsigned)bytes[0] | (unsigned)bytes[1] << 8;
}

static float half_at(const unsigned char *bytes)
{
    return sd_f16_value((uint16_t)low16(bytes));
}

/* Bytes above 127 are negative. */
static int signed_byte(unsigned char byte)
{
    return byte < 128 ? byte : byte - 256;
}

/* ---- blocks of 32 ---- */

/* Number j of 32: the low halves of 16 bytes come first. */
static int nibble(const unsigned char *bytes, int j)
{
    return j < 16 ? bytes[j] & 15 : bytes[j - 16] >> 4;
}

/* The same with a fifth bit, number j's in bit j of 4 bytes. */
static int five_bits(const unsigned char *high, const unsigned char *low, int j)
{
    return nibble(low, j) | (high[j / 8] >> j % 8 & 1) << 4;
}

static void decode_q4_0(const unsigned char *block, float *out)
{
    const float d = half_at(block);

    for (int j = 0; j < 32; j++) out[j] = d * (float)(nibble(block + 2, j) - 8);
}

static void decode_q4_1(const unsigned char *block, float *out)
{
    const float d = half_at(block), m = half_at(block + 2);

    for (int j = 0; j < 32; j++) out[j] = d * (float)nibble(block + 4, j) + m;
}

static void decode_q5_0(const unsigned char *block, float *out)
{
    const float d = half_at(block);

    for (int j = 0; j < 32; j++) out[j] = d * (float)(five_bits(block + 2, block + 6, j) - 16);
}

static void decode_q5_1(const unsigned char *block, float *out)
{
    const float d = half_at(block), m = half_at(block + 2);

    for (int j = 0; j < 32; j++) out[j] = d * (float)five_bits(block + 4, block + 8, j) + m;
}

static void decode_q8_0(const unsigned char *block, float *out)
{
    const float d = half_at(block);

    for (int j = 0; j < 32; j++) out[j] = d * (float)signed_byte(block[2 + j]);
}

/* The sixteen levels of the IQ4 types: denser around zero. */
static const signed char levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                       1,    13,   25,  38,  53,  69,  89,  113};

static void decode_iq4_nl(const unsigned char *block, float *out)
{
    const float d = half_at(block);

    for (int j = 0; j < 32; j++) out[j] = d * (float)levels[nibble(block + 2, j)];
}

/* ---- blocks of 256 ---- */

/* Two bits of number e: each half of the block has 32 bytes, which hold four runs of 32. */
static int two_bits(const unsigned char *bytes, int e)
{
    return bytes[e / 128 * 32 + e % 32] >> 2 * (e % 128 / 32) & 3;
}

/* Four bits of number e: each quarter of the block has 32 bytes, which hold two runs of 32. */
static int four_bits(const unsigned char *bytes, int e)
{
    return bytes[e / 64 * 32 + e % 32] >> 4 * (e % 64 / 32) & 15;
}

/* One bit of number e: 32 bytes, which hold eight runs of 32. */
static int one_bit(const unsigned char *bytes, int e)
{
    return bytes[e % 32] >> e / 32 & 1;
}

static void decode_q2_k(const unsigned char *block, float *out)
{
    const unsigned char *scales = block, *quants = block + 16;
    const float          d = half_at(block + 80), m = half_at(block + 82);

    for (int e = 0; e < 256; e++) {
        const float scale = d * (float)(scales[e / 16] & 15);
        const float least = m * (float)(scales[e / 16] >> 4);

        out[e] = scale * (float)two_bits(quants, e) - least;
    }
}

/* Scale k of 16, of six bits: four in the first 8 bytes, two in the last 4. */
static int q3_scale(const unsigned char *scales, int k)
{
    const int low  = k < 8 ? scales[k] & 15 : scales[k - 8] >> 4;
    const int high = scales[8 + k % 4] >> 2 * (k / 4) & 3;

    return (low | high << 4) - 32;
}

static void decode_q3_k(const unsigned char *block, float *out)
{
    const unsigned char *high = block, *quants = block + 32, *scales = block + 96;
    const float          d = half_at(block + 108);

    for (int e = 0; e < 256; e++) {
        const int q = two_bits(quants, e) - (one_bit(high, e) ? 0 : 4);

        out[e] = d * (float)q3_scale(scales, e / 16) * (float)q;
    }
}

/* Scale k of 8, of six bits: from 4 on the upper two are spared from the first four's bytes. */
static int q4_scale(const unsigned char *scales, int k)
{
    return k < 4 ? scales[k] & 63 : (scales[k + 4] & 15) | (scales[k - 4] >> 2 & 48);
}

static int q4_least(const unsigned char *scales, int k)
{
    return k < 4 ? scales[k + 4] & 63 : scales[k + 4] >> 4 | (scales[k] >> 2 & 48);
}

static void decode_q4_k(const unsigned char *block, float *out)
{
    const unsigned char *scales = block + 4, *quants = block + 16;
    const float          d = half_at(block), m = half_at(block + 2);

    for (int e = 0; e < 256; e++) {
        const float scale = d * (float)q4_scale(scales, e / 32);
        const float least = m * (float)q4_least(scales, e / 32);

        out[e] = scale * (float)four_bits(quants, e) - least;
    }
}

static void decode_q5_k(const unsigned char *block, float *out)
{
    const unsigned char *scales = block + 4, *high = block + 16, *quants = block + 48;
    const float          d = half_at(block), m = half_at(block + 2);

    for (int e = 0; e < 256; e++) {
        const float scale = d * (float)q4_scale(scales, e / 32);
        const float least = m * (float)q4_least(scales, e / 32);

        out[e] = scale * (float)(four_bits(quants, e) | one_bit(high, e) << 4) - least;
    }
}

static void decode_q6_k(const unsigned char *block, float *out)
{
    const unsigned char *low = block, *high = block + 128, *scales = block + 192;
    const float          d = half_at(block + 208);

    for (int e = 0; e < 256; e++) {
        /* Each half of the block has 64 bytes of low bits, which hold two runs of 64. */
        const int four = low[e / 128 * 64 + e % 64] >> 4 * (e % 128 / 64) & 15;
        const int q    = (four | two_bits(high, e) << 4) - 32;

        out[e] = d * (float)signed_byte(scales[e / 16]) * (float)q;
    }
}

static void decode_iq4_xs(const unsigned char *block, float *out)
{
    const unsigned       high = low16(block + 2);
    const unsigned char *low = block + 4, *quants = block + 8;
    const float          d = half_at(block);

    for (int e = 0; e < 256; e++) {
        const int k     = e / 32;
        const int four  = low[k / 2] >> 4 * (k % 2) & 15;
        const int scale = (four | (int)(high >> 2 * k & 3) << 4) - 32;

        out[e] = d * (float)scale * (float)levels[nibble(quants + 16 * k, e % 32)];
    }
}

/* ---- the table ---- */

static const sd_gguf_type types[] = {
    [0]  = {"F32", SD_F32, 1, 4, NULL},
    [1]  = {"F16", SD_F16, 1, 2, NULL},
    [2]  = {"Q4_0", SD_F32, 32, 18, decode_q4_0},
    [3]  = {"Q4_1", SD_F32, 32, 20, decode_q4_1},
    [6]  = {"Q5_0", SD_F32, 32, 22, decode_q5_0},
    [7]  = {"Q5_1", SD_F32, 32, 24, decode_q5_1},
    [8]  = {"Q8_0", SD_F32, 32, 34, decode_q8_0},
    [9]  = {"Q8_1", -1, 32, 0, NULL},
    [10] = {"Q2_K", SD_F32, 256, 84, decode_q2_k},
    [11] = {"Q3_K", SD_F32, 256, 110, decode_q3_k},
    [12] = {"Q4_K", SD_F32, 256, 144, decode_q4_k},
    [13] = {"Q5_K", SD_F32, 256, 176, decode_q5_k},
    [14] = {"Q6_K", SD_F32, 256, SD_GGUF_BLOCK_BYTES, decode_q6_k},
    [15] = {"Q8_K", -1, 256, 0, NULL},
    [16] = {"IQ2_XXS", -1, 256, 0, NULL},
    [17] = {"IQ2_XS", -1, 256, 0, NULL},
    [18] = {"IQ3_XXS", -1, 256, 0, NULL},
    [19] = {"IQ1_S", -1, 256, 0, NULL},
    [20] = {"IQ4_NL", SD_F32, 32, 18, decode_iq4_nl},
    [21] = {"IQ3_S", -1, 256, 0, NULL},
    [22] = {"IQ2_S", -1, 256, 0, NULL},
    [23] = {"IQ4_XS", SD_F32, 256, 136, decode_iq4_xs},
    [24] = {"I8", -1, 1, 1, NULL},
    [25] = {"I16", -1, 1, 2, NULL},
    [26] = {"I32", -1, 1, 4, NULL},
    [27] = {"I64", -1, 1, 8, NULL},
    [28] = {"F64", SD_F64, 1, 8, NULL},
    [29] = {"IQ1_M", -1, 256, 0, NULL},
    [30] = {"BF16", SD_BF16, 1, 2, NULL},
    [34] = {"TQ1_0", -1, 256, 0, NULL},
    [35] = {"TQ2_0", -1, 256, 0, NULL},
    [39] = {"MXFP4", -1, 32, 0, NULL},
    [40] = {"NVFP4", -1, 64, 0, NULL},
    [41] = {"Q1_0", -1, 128, 0, NULL},
};

const sd_gguf_type *sd_gguf_type_of(uint32_t number)
{
    if (number >= sizeof types / sizeof types[0] || types[number].name == NULL) return NULL;
    return &types[number];
}
