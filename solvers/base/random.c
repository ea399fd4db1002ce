#include "solvers/base/random.h"

#include <math.h>

#include <Random123/philox.h>

static void words(const sd_random *table, uint64_t row, int64_t block, uint64_t out[2])
{
    const philox4x32_key_t key     = {{(uint32_t)table->seed, (uint32_t)(table->seed >> 32)}};
    const philox4x32_ctr_t counter = {
        {(uint32_t)row, (uint32_t)(row >> 32), (uint32_t)block, table->stream}};
    const philox4x32_ctr_t drawn = philox4x32(counter, key);

    out[0] = (uint64_t)drawn.v[1] << 32 | drawn.v[0];
    out[1] = (uint64_t)drawn.v[3] << 32 | drawn.v[2];
}

/* A counter yields two numbers: columns 2 block and 2 block + 1. */
uint64_t sd_random_bits(const sd_random *table, uint64_t row, int64_t column)
{
    uint64_t pair[2];

    words(table, row, column / 2, pair);
    return pair[column % 2];
}

/* The upper half of bits * n, a 96-bit product: n has at most 32 bits. */
int64_t sd_random_below(const sd_random *table, uint64_t row, int64_t column, int64_t n)
{
    const uint64_t bits = sd_random_bits(table, row, column), factor = (uint64_t)n;
    const uint64_t low = (bits & 0xffffffffu) * factor, high = (bits >> 32) * factor;

    return (int64_t)((high + (low >> 32)) >> 32);
}

void sd_random_normal(const sd_random *table, uint64_t row, int64_t first, int64_t n, double *out)
{
    const double two_pi = 6.283185307179586476925;

    for (int64_t column = first - first % 2; column < first + n; column += 2) {
        uint64_t pair[2];

        words(table, row, column / 2, pair);
        /* (0, 1] for the logarithm, [0, 1) for the turn */
        const double radius = sqrt(-2 * log((double)((pair[0] >> 11) + 1) * 0x1p-53));
        const double turn   = two_pi * ((double)(pair[1] >> 11) * 0x1p-53);

        if (column >= first) out[column - first] = radius * cos(turn);
        if (column + 1 < first + n) out[column + 1 - first] = radius * sin(turn);
    }
}
