/* Angles near 0 and 90, extreme lengths, no direction at all, and how rare an angle is. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/angle.h"
#include "solvers/base/memory.h"
#include "solvers/base/random.h"
#include "tests/support/check.h"

static const double DEGREE = 3.14159265358979323846 / 180;

static void angles_of_the_plane_are_exact(void)
{
    for (double deg = 0; deg <= 180; deg += 7.5) {
        const double a[] = {2, 0}, b[] = {3 * cos(deg * DEGREE), 3 * sin(deg * DEGREE)};

        CLOSE(sd_acute_angle(2, a, b), deg <= 90 ? deg : 180 - deg, 1e-13);
        CLOSE(sd_acute_angle(2, b, a), deg <= 90 ? deg : 180 - deg, 1e-13);
        CLOSE(sd_cosine(2, a, b), cos(deg * DEGREE), 1e-15);
        CLOSE(sd_axis_angle(2, b, 0), deg <= 90 ? deg : 180 - deg, 1e-13);
    }
}

/* An arc cosine would give 0 or 1e-6 here. The vectors carry rounding errors of 1e-16 radians. */
static void tiny_angles_keep_their_digits(void)
{
    for (double deg = 1e-3; deg > 1e-12; deg /= 10) {
        const double a[] = {1, 0, 0}, b[] = {cos(deg * DEGREE), 0, sin(deg * DEGREE)};
        const double c[] = {-b[0], 0, -b[2]};

        CLOSE(sd_acute_angle(3, a, b), deg, 1e-13 * deg + 1e-16 / DEGREE);
        CLOSE(sd_acute_angle(3, a, c), deg, 1e-13 * deg + 1e-16 / DEGREE);
        CLOSE(sd_axis_angle(3, b, 0), deg, 1e-13 * deg);
    }
    const double same[] = {0.3, -0.1, 7}, opposite[] = {-0.3, 0.1, -7};
    CLOSE(sd_acute_angle(3, same, same), 0, 0);
    CLOSE(sd_acute_angle(3, same, opposite), 0, 0);
}

static void lengths_do_not_matter_however_extreme(void)
{
    const double a[] = {3e200, 4e200}, b[] = {3e-200, 4e-200}, c[] = {-4e-300, 3e-300};

    CLOSE(sd_acute_angle(2, a, b), 0, 1e-13);
    CLOSE(sd_acute_angle(2, a, c), 90, 1e-13);
    CLOSE(sd_cosine(2, a, b), 1, 1e-15);
    CLOSE(sd_participation(2, a), 1 / (0.36 * 0.36 + 0.64 * 0.64), 1e-14);
    double x[] = {3e-200, -4e-200};
    CHECK(sd_normalise(2, x));
    CLOSE(x[0], 0.6, 1e-16);
    CLOSE(x[1], -0.8, 2e-16);
}

static void no_direction_gives_no_angle(void)
{
    const double good[] = {1, 2}, bad[][2] = {{0, 0}, {NAN, 1}, {1, NAN}, {INFINITY, 0}};

    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        double x[2], chance = 0;

        CHECK(isnan(sd_acute_angle(2, good, bad[k])) && isnan(sd_acute_angle(2, bad[k], good)));
        CHECK(isnan(sd_cosine(2, good, bad[k])) && isnan(sd_axis_angle(2, bad[k], 0)));
        CHECK(isnan(sd_participation(2, bad[k])));
        CHECK(sd_permuted_chance(2, good, bad[k], 3, 1, &chance) == SD_OK && isnan(chance));
        memcpy(x, bad[k], sizeof x);
        CHECK(!sd_normalise(2, x));
        CHECK(memcmp(x, bad[k], sizeof x) == 0);
    }
}

static void the_largest_entry_decides_the_sign(void)
{
    double x[] = {1, -3, 3, 2};

    CHECK(sd_top_channel(4, x) == 1); /* the first of equals */
    CLOSE(sd_orient(4, x), -1, 0);
    CLOSE(x[0], -1, 0);
    CLOSE(x[1], 3, 0);
    CLOSE(sd_orient(4, x), 1, 0);
    CLOSE(x[1], 3, 0);
}

static void participation_counts_channels(void)
{
    const double axis[] = {0, -5, 0, 0}, even[] = {1, -1, 1, 1}, pair[] = {2, 0, 2, 0};

    CLOSE(sd_participation(4, axis), 1, 1e-15);
    CLOSE(sd_participation(4, even), 4, 1e-14);
    CLOSE(sd_participation(4, pair), 2, 1e-14);
}

/* Both on channel 1 almost wholly; without it they are perpendicular. */
static void deflation_takes_the_shared_channel_away(void)
{
    const double a[] = {0.1, 9, 0}, b[] = {0, 9, 0.1}, axis[] = {0, 1, 0};

    CHECK(sd_acute_angle(3, a, b) < 1);
    CLOSE(sd_deflated_angle(3, a, b, 1), 90, 1e-12);
    CLOSE(sd_deflated_angle(3, a, a, 1), 0, 0);
    CHECK(isnan(sd_deflated_angle(3, a, axis, 1)));
    CLOSE(sd_axis_angle(3, a, 1), atan(0.1 / 9) / DEGREE, 1e-13);
}

static void spread_is_the_mean_over_pairs(void)
{
    const double three[] = {1, 0, 0, 2, -1, -1}; /* 90, 45, 45 */

    CLOSE(sd_spread(3, 2, three), 60, 1e-13);
    CHECK(isnan(sd_spread(1, 2, three)) && isnan(sd_spread(0, 2, three)));
}

/* 60-digit values of the regularised incomplete beta function, through its hypergeometric series.
 */
static const struct {
    int64_t d;
    double  angle, log10_chance;
} chances[] = {
    {2, 1e-6, -7.9542425094393248746},     {2, 0.1, -2.9542425094393248746},
    {2, 6, -1.1760912590556812421},        {2, 30, -0.4771212547196624373},
    {2, 60, -0.17609125905568124208},      {2, 85, -0.024823583725032141264},
    {2, 89.5, -0.0024194741234129002334},  {2, 90, 0.0},
    {3, 1e-6, -15.817275260482325637},     {3, 0.1, -5.8172753707270488455},
    {3, 6, -2.2613696769839270934},        {3, 30, -0.87297754319734059104},
    {3, 60, -0.30102999566398119521},      {3, 85, -0.039603312263666874931},
    {3, 89.5, -0.0038065193384348075331},  {3, 90, 0.0},
    {37, 1e-6, -280.1716415020377286},     {37, 0.1, -100.17164881300393218},
    {37, 6, -36.184522888206115743},       {37, 30, -11.657571168626548927},
    {37, 60, -2.8565503675771203413},      {37, 85, -0.21979182025855509201},
    {37, 89.5, -0.018394125938382118679},  {37, 90, 0.0},
    {576, 1e-6, -4462.3985963197265272},   {576, 0.1, -1587.3987224419920026},
    {576, 6, -565.4158301089360332},       {576, 30, -174.50811135535271748},
    {576, 60, -37.099168982963125198},     {576, 85, -1.4395023950678218567},
    {576, 89.5, -0.07866885609061815515},  {576, 90, 0.0},
    {4096, 1e-6, -31771.416393120827978},  {4096, 0.1, -11296.41729536403406},
    {4096, 6, -4018.136282659024092},      {4096, 30, -1234.5596116081354244},
    {4096, 60, -257.4155640445170369},     {4096, 85, -7.6377919104561377533},
    {4096, 89.5, -0.23915041017511876674}, {4096, 90, 0.0},
    {8192, 1e-6, -63548.837223720245004},  {8192, 0.1, -22593.839029088130953},
    {8192, 6, -8035.5020294931911584},     {8192, 30, -2467.728984439615522},
    {8192, 60, -513.44046631905261079},    {8192, 85, -14.564151182514277137},
    {8192, 89.5, -0.36687800066005637805}, {8192, 90, 0.0},
};

/* Differences of log Gamma up to 3e4, and d/2 logarithms of the sine: some 1e-11. */
static void chances_match_reference(void)
{
    for (size_t k = 0; k < sizeof chances / sizeof *chances; k++)
        CLOSE(sd_log10_chance(chances[k].d, chances[k].angle), chances[k].log10_chance,
              chances[k].d < 100 ? 1e-13 * (1 + fabs(chances[k].log10_chance)) : 2e-11);
}

static void chances_at_the_edges(void)
{
    CLOSE(sd_log10_chance(1, 30), 0, 0);
    CLOSE(sd_log10_chance(5, 90), 0, 0);
    CHECK(isinf(sd_log10_chance(5, 0)) && sd_log10_chance(5, 0) < 0);
    CHECK(isnan(sd_log10_chance(0, 30)) && isnan(sd_log10_chance(5, -1)));
    CHECK(isnan(sd_log10_chance(5, 91)) && isnan(sd_log10_chance(5, NAN)));
    double last = -INFINITY; /* it grows with the angle, across the change of series too */
    for (double deg = 0.25; deg < 90; deg += 0.25) {
        const double now = sd_log10_chance(40, deg);
        CHECK(now > last && now < 0);
        last = now;
    }
}

/* 20 000 Gaussian directions: the share within 70 degrees, within 5 standard errors. */
static void random_directions_are_as_close_as_the_formula_says(void)
{
    enum { D = 7, N = 20000 };
    const sd_random table   = {3, 0};
    const double    axis[D] = {1}, want = pow(10, sd_log10_chance(D, 70));
    double          x[D], hits          = 0;

    for (uint64_t k = 0; k < N; k++) {
        sd_random_normal(&table, k, 0, D, x);
        hits += sd_acute_angle(D, axis, x) <= 70;
    }
    CLOSE(hits / N, want, 5 * sqrt(want * (1 - want) / N));
}

/* Two axes meet with probability 1/d; equal entries always make an angle of their signs alone. */
static void permuted_chances_know_how_few_channels_there_are(void)
{
    enum { D = 20, DRAWS = 20000 };
    double axis[D] = {0}, other[D] = {0}, smooth[D], chance, again;

    axis[3] = 1, other[3] = -2;
    CHECK(sd_permuted_chance(D, axis, other, DRAWS, 1, &chance) == SD_OK);
    CLOSE(chance, 1.0 / D, 5 * sqrt(1.0 / D / DRAWS));
    CHECK(sd_permuted_chance(D, axis, other, DRAWS, 1, &again) == SD_OK);
    CLOSE(again, chance, 0); /* the seed decides */
    CHECK(sd_permuted_chance(D, axis, other, DRAWS, 2, &again) == SD_OK);
    CHECK(again != chance);

    /* an order is any of all, those that keep a channel included */
    CHECK(sd_permuted_chance(3, axis + 3, axis + 3, DRAWS, 1, &chance) == SD_OK);
    CLOSE(chance, 1.0 / 3, 5 * sqrt(2.0 / 9 / DRAWS));

    for (int i = 0; i < D; i++) smooth[i] = 1; /* |sum of 20 signs| = 20: 2 in 2^20 */
    CHECK(sd_permuted_chance(D, smooth, smooth, DRAWS, 1, &chance) == SD_OK);
    CHECK(chance <= 3.0 / (1 + DRAWS));
    for (int i = 0; i < D / 2; i++) smooth[i] = -1;
    double flat[D];
    for (int i = 0; i < D; i++) flat[i] = 1; /* perpendicular: nothing is further */
    CHECK(sd_permuted_chance(D, smooth, flat, 50, 1, &chance) == SD_OK);
    CLOSE(chance, 1, 0);
    /* |sum of 20 signs| >= 8 has chance 0.11532 (binomial: 2 Pr(B <= 6), B of 20 halves) */
    for (int i = 0; i < D; i++) smooth[i] = i < 6 ? -1 : 1;
    CHECK(sd_permuted_chance(D, smooth, flat, DRAWS, 1, &chance) == SD_OK);
    CLOSE(chance, 2 * 60460.0 / 1048576, 5 * sqrt(0.115 * 0.885 / DRAWS));

    sd_clear();
    CHECK(sd_permuted_chance(D, axis, other, 0, 1, &chance) == SD_ERR_INTERNAL);
    sd_clear();
}

static void running_out_of_memory_leaves_nothing_behind(void)
{
    const double a[] = {1, 2};
    sd_status    st  = SD_ERR_RESOURCE;
    double       chance;
    int          k = 0;

    while (st != SD_OK) {
        sd_clear();
        sd_alloc_fail_at(++k);
        st = sd_permuted_chance(2, a, a, 2, 1, &chance);
        CHECK(st == SD_OK || st == SD_ERR_RESOURCE);
    }
    CHECK(k == 4);
    sd_alloc_fail_at(0);
    sd_clear();
}

int main(void)
{
    angles_of_the_plane_are_exact();
    tiny_angles_keep_their_digits();
    lengths_do_not_matter_however_extreme();
    no_direction_gives_no_angle();
    the_largest_entry_decides_the_sign();
    participation_counts_channels();
    deflation_takes_the_shared_channel_away();
    spread_is_the_mean_over_pairs();
    chances_match_reference();
    chances_at_the_edges();
    random_directions_are_as_close_as_the_formula_says();
    permuted_chances_know_how_few_channels_there_are();
    running_out_of_memory_leaves_nothing_behind();
    return REPORT();
}
