/* Rotary frequencies against their formula, and what a rotation must keep. */
#include <stdint.h>

#include "solvers/forward/rope.h"
#include "tests/support/check.h"

/*
 * The exponent below 1 is rounded to float, by at most 2^-25, which the power multiplies by ln
 * theta (at most 11.6 here); three roundings by 2^-24 follow.
 */
static const double tol = 0x1p-25 * 11.6 + 3 * 0x1p-24;

static void frequencies_are_powers_of_theta(void)
{
    const sd_rope_options plain = {.kind = SD_ROPE_DEFAULT, .theta = 1e4};
    sd_rope_options       slow  = {.kind = SD_ROPE_LINEAR, .theta = 1e4, .factor = 2.5};
    float                 a[5], b[5];

    sd_rope_inv_freq(&plain, 10, a);
    sd_rope_inv_freq(&slow, 10, b);
    CLOSE(a[0], 1, 0);
    for (int i = 0; i < 5; i++) {
        CLOSE(a[i] * pow(1e4, 2.0 * i / 10), 1, tol);
        CLOSE(b[i] * 2.5 / a[i], 1, tol);
    }
}

/* Wavelengths 2 pi 10^i against limits 64 and 16: kept at 6.3, divided by 8 from 628 on; at 62.8
 * the ramp is (64 / 62.8 - 1) / (4 - 1). */
static void llama3_keeps_short_waves_and_stretches_long_ones(void)
{
    const sd_rope_options o    = {SD_ROPE_LLAMA3, 1e5, 8, 1, 4, 64};
    const double          wave = 2 * acos(-1.0) * 10, ramp = (64 / wave - 1) / 3;
    float                 f[5];

    sd_rope_inv_freq(&o, 10, f);
    CLOSE(f[0], 1, 0);
    /* the ramp is a small difference of numbers near 1: it keeps fewer digits, times 7/8 of it */
    CLOSE(f[1] / (0.1 * ((1 - ramp) / 8 + ramp)), 1, 8 * tol);
    for (int i = 2; i < 5; i++) CLOSE(f[i] * pow(10, i) * 8, 1, tol);
}

static void table_holds_cosines_of_position_times_frequency(void)
{
    const float f[] = {1, 0.01f};
    float       c[600], s[600];

    sd_rope_table(300, 2, f, c, s);
    CLOSE(c[0], 1, 0);
    CLOSE(s[1], 0, 0);
    CLOSE(c[2 * 299], cos(299), 1e-7);
    /* the product is rounded to float (2.99: half a unit is 1.2e-7), as the reference does it */
    CLOSE(s[2 * 299 + 1], sin((double)(299.0f * 0.01f)), 1e-7);
}

/* Two heads of two pairs each: entries i and i + 2 turn together, by 90 degrees here. */
static void rotation_turns_pairs_half_a_head_apart(void)
{
    const float c[] = {1, 1, 0, 1}, s[] = {0, 0, 1, 0}; /* position 1 turns pair 0 */
    float       x[16];

    for (int i = 0; i < 16; i++) x[i] = (float)i;
    sd_rope_apply(2, 2, 2, c, s, x);
    for (int i = 0; i < 8; i++) CLOSE(x[i], i, 0);
    CLOSE(x[8], -10, 0);
    CLOSE(x[10], 8, 0);
    CLOSE(x[12], -14, 0);
    CLOSE(x[14], 12, 0);
    CLOSE(x[9], 9, 0);
    CLOSE(x[15], 15, 0);
}

int main(void)
{
    frequencies_are_powers_of_theta();
    llama3_keeps_short_waves_and_stretches_long_ones();
    table_holds_cosines_of_position_times_frequency();
    rotation_turns_pairs_half_a_head_apart();
    return REPORT();
}
