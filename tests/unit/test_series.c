/* solvers/series.h: holes of regular series, and series that are none. */
#include "solvers/series.h"

#include <stdbool.h>

#include "tests/support/check.h"

enum { MOST = 64 };

static sd_hole hole[MOST];

static int64_t holes(int64_t n, const int64_t *step)
{
    int64_t count = -1;

    CHECK(sd_series_holes(n, step, &count, hole) == SD_OK);
    return count;
}

/* The steps of a published run: 0, 1, 2, 4, ..., 512, 1000, 2000, ..., 143000. */
static int64_t published(int64_t *step)
{
    int64_t n = 0;

    step[n++] = 0;
    for (int64_t s = 1; s <= 512; s *= 2) step[n++] = s;
    for (int64_t s = 1000; s <= 30000; s += 1000) step[n++] = s;
    return n;
}

/* Takes one step out of n and looks whether that one, and no other, is missed. */
static bool misses(int64_t n, const int64_t *step, int64_t out)
{
    int64_t rest[MOST], m = 0;

    for (int64_t i = 0; i < n; i++)
        if (i != out) rest[m++] = step[i];
    return holes(m, rest) == 1 && hole[0].first == step[out] && hole[0].count == 1 &&
           hole[0].after == out - 1;
}

int main(void)
{
    static const int64_t demo[]      = {0,    250,  500,  1000, 1500,  2000,  2500, 3000,
                                        4000, 5000, 6000, 8000, 10000, 11500, 13000};
    static const int64_t fine_tune[] = {200, 600},
                         doubling[]  = {1000, 2000, 3000, 4000, 6000, 10000};
    static const int64_t two[]       = {0, 1000, 2000, 5000, 6000, 7000, 9000, 10000, 11000};
    static const int64_t powers[]    = {1, 3, 9, 27, 243, 729};
    static const int64_t ends[]      = {0, 2000, 2500, 3000, 3500, 9000},
                         one[]       = {0, 1000, 1500, 2000, 2500};
    int64_t       step[MOST];
    const int64_t n = published(step);

    CHECK(holes(n, step) == 0);
    CHECK(holes(15, demo) == 0);
    CHECK(holes(2, fine_tune) == 0 && holes(6, doubling) == 0);
    CHECK(holes(1, step) == 0 && holes(0, step) == 0);
    CHECK(misses(n, step, 3) && misses(n, step, 5) && misses(n, step, 9)); /* 4, 16 and 256 */
    for (int64_t out = 12; out < n - 1; out++) CHECK(misses(n, step, out));
    CHECK(misses(n, step, 2));      /* 2: between 1 and 4 */
    CHECK(!misses(n, step, 10));    /* 512: 256 and 1000 are no multiples */
    CHECK(holes(n - 1, step) == 0); /* nobody knows where a series should end */
    CHECK(holes(9, two) == 2 && hole[0].first == 3000 && hole[0].count == 2 && hole[0].after == 2);
    CHECK(hole[1].first == 8000 && hole[1].count == 1);
    CHECK(holes(6, ends) == 0); /* the first and the last may be far away on purpose */
    CHECK(holes(5, one) == 1 && hole[0].first == 500 && hole[0].after == 0);
    CHECK(holes(6, powers) == 1 && hole[0].first == 81 && hole[0].count == 1);
    return REPORT();
}
