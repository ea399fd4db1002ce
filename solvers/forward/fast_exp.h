/**
 * @file fast_exp.h
 * @brief The exponential in single precision, written so that loops over it become vector code.
 *
 * exp(x) = 2^n exp(r) with n = round(x / ln 2) and |r| <= ln 2 / 2. There are no branches and no
 * conversions to integers: rounding is done by adding and subtracting 1.5 * 2^23, whose sum holds n
 * in its lowest bits. That also keeps NaN harmless: it stays NaN and nothing is undefined.
 *
 * Accuracy: within 2 units in the last place of the true value over the whole range, subnormal
 * results included; exp(-inf) = 0, exp(inf) = inf, NaN gives NaN; held by
 * tests/unit/test_activation.c.
 */
#ifndef SD_SOLVERS_FORWARD_FAST_EXP_H
#define SD_SOLVERS_FORWARD_FAST_EXP_H

#include <stdint.h>
#include <string.h>

/* Marks a loop of which the compiler makes one copy per instruction set; the loader picks one. All
 * copies do the same operations in the same order (-ffp-contract=off), so all give the same bits.
 */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define SD_CLONED __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define SD_CLONED
#endif

/** Elements of a loop step with a fixed count, which compilers turn into vector code at -O2. */
enum { SD_LANES = 16 };

/** 2^n of the integer n held in the lowest bits of `rounded`; |n| <= 127. */
static inline float sd_exp2_of_bits(uint32_t n)
{
    const uint32_t bits = (n + 127u) << 23;
    float          power;

    memcpy(&power, &bits, sizeof power);
    return power;
}

/** @brief exp(x); see the top of this file. */
static inline float sd_fast_exp(float x)
{
    const float    round = 12582912.0f; /* 1.5 * 2^23 */
    const uint32_t bias  = 0x4b400000u; /* its bits   */
    uint32_t       n;

    /* exp(-104) rounds to 0 and exp(89) overflows; beyond, n would not fit */
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;

    const float shifted = x * 1.44269504f + round;
    const float whole   = shifted - round;
    /* ln 2 in two parts: the first has 9 bits, so that its product with n is exact */
    const float r = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
    /* (exp(r) - 1 - r) / r^2 to 3.1e-9 of exp(r): least maximum, by reweighted least squares */
    const float q =
        0.49999994f +
        r * (0.166665196f + r * (0.0416683927f + r * (0.00836878084f + r * 0.00138144649f)));
    const float y = 1.0f + (r + r * r * q);

    /* 2^n as a product of two powers, since n goes down to -150 and up to 128 */
    memcpy(&n, &shifted, sizeof n);
    n -= bias;
    const uint32_t half = ((n + 256u) >> 1) - 128u; /* floor(n / 2) */
    return y * sd_exp2_of_bits(half) * sd_exp2_of_bits(n - half);
}

#endif
