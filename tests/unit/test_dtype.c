/* Stored number formats: every half and bfloat16 there is, names, sizes, any alignment. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "solvers/base/dtype.h"
#include "tests/support/check.h"

/* The definition: 1 sign bit, 5 of exponent with bias 15, 10 of fraction. */
static double half_by_definition(unsigned bits)
{
    const int    exponent = (int)(bits >> 10 & 31);
    const double fraction = (double)(bits & 1023) / 1024, sign = bits >> 15 ? -1 : 1;

    if (exponent == 31) return fraction > 0 ? NAN : sign * INFINITY;
    return sign * (exponent == 0 ? ldexp(fraction, -14) : ldexp(1 + fraction, exponent - 15));
}

/* 1 sign bit, 8 of exponent with bias 127, 7 of fraction. */
static double brain_by_definition(unsigned bits)
{
    const int    exponent = (int)(bits >> 7 & 255);
    const double fraction = (double)(bits & 127) / 128, sign = bits >> 15 ? -1 : 1;

    if (exponent == 255) return fraction > 0 ? NAN : sign * INFINITY;
    return sign * (exponent == 0 ? ldexp(fraction, -126) : ldexp(1 + fraction, exponent - 127));
}

static void same(float got, double want)
{
    if (isnan(want))
        CHECK(isnan(got));
    else
        CHECK((double)got == want && !signbit(got) == !signbit(want));
}

static void every_16_bit_number_is_exact(void)
{
    enum { ALL = 65536 };
    static unsigned char bytes[2 * ALL + 1];
    static float         half[ALL], brain[ALL];

    for (unsigned k = 0; k < ALL; k++) { /* one byte off: nothing is aligned */
        bytes[1 + 2 * k] = (unsigned char)(k & 255);
        bytes[2 + 2 * k] = (unsigned char)(k >> 8);
    }
    sd_to_float(SD_F16, ALL, bytes + 1, half);
    sd_to_float(SD_BF16, ALL, bytes + 1, brain);
    for (unsigned k = 0; k < ALL; k++) {
        same(half[k], half_by_definition(k));
        same(brain[k], brain_by_definition(k));
    }
}

/* 1 sign bit, `exponent_bits` of exponent, the rest of fraction; which pattern is no number, the
 * caller knows. */
static double small_by_definition(unsigned bits, int exponent_bits, int bias)
{
    const int    fraction_bits = 7 - exponent_bits;
    const int    exponent      = (int)(bits & 127u) >> fraction_bits;
    const double fraction = ldexp((double)(bits & ((1u << fraction_bits) - 1)), -fraction_bits);
    const double sign     = bits >> 7 ? -1 : 1;

    return sign *
           (exponent == 0 ? ldexp(fraction, 1 - bias) : ldexp(1 + fraction, exponent - bias));
}

static void every_8_bit_number_is_exact(void)
{
    for (unsigned k = 0; k < 256; k++) {
        const unsigned magnitude = k & 127u;
        const double   sign      = k >> 7 ? -1 : 1;
        const double   wide      = magnitude > 0x7c ? NAN : sign * INFINITY;

        same(sd_f8_e4m3_value((uint8_t)k), magnitude == 127 ? NAN : small_by_definition(k, 4, 7));
        same(sd_f8_e5m2_value((uint8_t)k),
             magnitude >= 0x7c ? wide : small_by_definition(k, 5, 15));
    }
    CHECK(sd_f8_e4m3_value(0x7e) == 448 && sd_f8_e5m2_value(0x7b) == 57344);
}

static void floats_are_copied_and_doubles_rounded_to_even(void)
{
    const float   single[] = {1.5f, -0.0f, 3e-45f};
    const double  wide[]   = {1 + 0x1p-24, 1 + 3 * 0x1p-24, -1e300, 1e-60};
    unsigned char bytes[1 + sizeof wide];
    float         out[4];

    memcpy(bytes + 1, single, sizeof single);
    sd_to_float(SD_F32, 3, bytes + 1, out);
    CHECK(memcmp(out, single, sizeof single) == 0);
    memcpy(bytes + 1, wide, sizeof wide);
    sd_to_float(SD_F64, 4, bytes + 1, out);
    CHECK(out[0] == 1.0f && out[1] == 1 + 0x1p-22f); /* ties to even: down, up */
    CHECK(isinf(out[2]) && out[2] < 0 && out[3] == 0);
}

static void names_and_sizes_are_those_of_safetensors(void)
{
    const char *const name[] = {"F32", "BF16", "F16", "F64"};
    const int64_t     size[] = {4, 2, 2, 8};

    for (int k = 0; k < SD_DTYPE_COUNT; k++) {
        CHECK(strcmp(sd_dtype_name((sd_dtype)k), name[k]) == 0);
        CHECK(sd_dtype_size((sd_dtype)k) == size[k]);
    }
}

int main(void)
{
    every_16_bit_number_is_exact();
    every_8_bit_number_is_exact();
    floats_are_copied_and_doubles_rounded_to_even();
    names_and_sizes_are_those_of_safetensors();
    return REPORT();
}
