/* Counter-based random numbers: known answers, independence of the split, moments. */
#include <stddef.h>

#include "solvers/base/random.h"
#include "tests/support/check.h"

/* Philox4x32-10 of counter and key all zeros and all ones, as published with the generator. */
static void the_generator_gives_its_known_answer(void)
{
    const sd_random zero = {0, 0}, ones = {UINT64_MAX, UINT32_MAX};

    CHECK(sd_random_bits(&zero, 0, 0) == 0xe169c58d6627e8d5u);
    CHECK(sd_random_bits(&zero, 0, 1) == 0x9b00dbd8bc57ac4cu);
    CHECK(sd_random_bits(&ones, UINT64_MAX, INT64_C(0x1fffffffe)) == 0x41c83b0e408f276du);
    CHECK(sd_random_bits(&ones, UINT64_MAX, INT64_C(0x1ffffffff)) == 0x6d5451fda20bc7c6u);
}

static void an_entry_does_not_depend_on_the_split(void)
{
    enum { N = 41 };
    const sd_random table = {7, 3};
    double          whole[N], part[N];

    sd_random_normal(&table, 12, 0, N, whole);
    for (int first = 0; first < N; first++)
        for (int n = 0; first + n <= N; n++) {
            sd_random_normal(&table, 12, first, n, part);
            for (int j = 0; j < n; j++) CHECK(part[j] == whole[first + j]);
        }
}

static void seed_stream_row_and_column_all_matter(void)
{
    const sd_random a = {1, 0}, b = {2, 0}, c = {1, 1}, high = {UINT64_C(1) << 32 | 1, 0};

    CHECK(sd_random_bits(&a, 0, 0) != sd_random_bits(&b, 0, 0));
    CHECK(sd_random_bits(&a, 0, 0) != sd_random_bits(&c, 0, 0));
    CHECK(sd_random_bits(&a, 0, 0) != sd_random_bits(&high, 0, 0));
    CHECK(sd_random_bits(&a, 0, 0) != sd_random_bits(&a, 1, 0));
    CHECK(sd_random_bits(&a, 0, 0) != sd_random_bits(&a, UINT64_C(1) << 32, 0));
    CHECK(sd_random_bits(&a, 0, 0) != sd_random_bits(&a, 0, 1));
    CHECK(sd_random_bits(&a, 0, 0) != sd_random_bits(&a, 0, 2));
}

/* 100 000 numbers: each moment within 5 of its own standard deviations, for this fixed seed. */
static void normal_numbers_have_normal_moments(void)
{
    enum { ROWS = 1000, N = 100 };
    const sd_random table  = {42, 0};
    const double    n      = (double)ROWS * N;
    double          sum[5] = {0}, neighbours = 0, x[N];

    for (uint64_t row = 0; row < ROWS; row++) {
        sd_random_normal(&table, row, 0, N, x);
        for (int j = 0; j < N; j++)
            for (int power = 1; power <= 4; power++) sum[power] += pow(x[j], power);
        for (int j = 0; j + 1 < N; j++) neighbours += x[j] * x[j + 1];
    }
    CLOSE(sum[1] / n, 0, 5 * sqrt(1 / n));
    CLOSE(sum[2] / n, 1, 5 * sqrt(2 / n));
    CLOSE(sum[3] / n, 0, 5 * sqrt(15 / n));
    CLOSE(sum[4] / n, 3, 5 * sqrt(96 / n));
    CLOSE(neighbours / n, 0, 5 * sqrt(1 / n));
}

/* Chi-square of 7 bins has mean 6 and variance 12. */
static void whole_numbers_fill_their_range_evenly(void)
{
    const sd_random table  = {5, 9};
    int             bin[7] = {0};
    double          chi    = 0;

    for (uint64_t row = 0; row < 70000; row++) {
        const int64_t k = sd_random_below(&table, row, (int64_t)(row % 3), 7);

        CHECK(k >= 0 && k < 7);
        if (k >= 0 && k < 7) bin[k]++;
    }
    for (int k = 0; k < 7; k++) chi += (bin[k] - 1e4) * (bin[k] - 1e4) / 1e4;
    CHECK(chi < 6 + 5 * sqrt(12));
    CHECK(sd_random_below(&table, 0, 0, 1) == 0);
    const int64_t large = sd_random_below(&table, 1, 0, INT64_C(0xffffffff));
    CHECK(large >= 0 && large < INT64_C(0xffffffff));
}

int main(void)
{
    the_generator_gives_its_known_answer();
    an_entry_does_not_depend_on_the_split();
    seed_stream_row_and_column_all_matter();
    normal_numbers_have_normal_moments();
    whole_numbers_fill_their_range_evenly();
    return REPORT();
}
