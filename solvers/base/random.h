/**
 * @file random.h
 * @brief Counter-based random numbers: a number is a function of where it stands, not of what was
 * drawn before, so that any split over ranks or blocks gives the same.
 *
 * Source: Philox4x32-10 of J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011),
 * from the library Random123. The counter is (row low, row high, column block, stream), the key is
 * the seed.
 */
#ifndef SD_SOLVERS_BASE_RANDOM_H
#define SD_SOLVERS_BASE_RANDOM_H

#include <stdint.h>

/** Names a table of random numbers with 2^64 rows and 2^33 columns. */
typedef struct {
    uint64_t seed;
    uint32_t stream; /* independent tables of one seed, e.g. the layer's number */
} sd_random;

/** @brief 64 random bits of entry (row, column), 0 <= column < 2^33. */
uint64_t sd_random_bits(const sd_random *table, uint64_t row, int64_t column);

/**
 * @brief A whole number of entry (row, column), uniform in [0, n).
 * @param[in] n  1 .. 2^32 - 1. The distribution is off by less than n / 2^64.
 */
int64_t sd_random_below(const sd_random *table, uint64_t row, int64_t column, int64_t n);

/**
 * @brief out[j] = standard normal number of entry (row, first + j), j in [0, n).
 *
 * Box-Muller on 53-bit uniform numbers; the largest magnitude is 8.6. Entries of a row come in
 * pairs, but an entry does not depend on where a call begins or ends.
 *
 * @param[in]  first  >= 0; first + n <= 2^33
 * @param[out] out    n doubles
 */
void sd_random_normal(const sd_random *table, uint64_t row, int64_t first, int64_t n, double *out);

#endif
