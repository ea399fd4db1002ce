/* Phases on planted norms with a known answer, and at every edge. */
#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/phases.h"
#include "tests/support/check.h"

/* A planted array: n_tokens tokens of norm 1 in every state; some states of some tokens are set. */
enum { MOST_LAYERS = 40, MOST_TOKENS = 200 };
static double norm[(MOST_LAYERS + 1) * MOST_TOKENS];
static bool   initial[MOST_TOKENS];

static sd_norms flat(int64_t n_layers, int64_t n_tokens)
{
    for (int64_t k = 0; k < (n_layers + 1) * n_tokens; k++) norm[k] = 1;
    for (int64_t t = 0; t < n_tokens; t++) initial[t] = t % 10 == 0;
    return (sd_norms){n_layers, n_tokens, norm, initial};
}

/* states first .. last of tokens 0, step, 2 step, ... get the value */
static void plant(const sd_norms *n, int first, int last, int64_t step, double value)
{
    for (int64_t state = first; state <= last; state++)
        for (int64_t t = 0; t < n->n_tokens; t += step) norm[state * n->n_tokens + t] = value;
}

static sd_phases *find(const sd_norms *n)
{
    sd_phases *p = NULL;

    sd_clear();
    CHECK(sd_phases_find(n, &p) == SD_OK);
    return p;
}

static int count_of(const bool *flags, int64_t n)
{
    int count = 0;

    for (int64_t k = 0; k < n; k++) count += flags[k];
    return count;
}

static void median_matches_textbook(void)
{
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7}, bad[] = {1, NAN, 2};
    double huge[] = {1.7e308, 1.7e308};

    CLOSE(sd_median(3, odd), 2, 0);
    CLOSE(sd_median(4, even), 2.5, 0);
    CLOSE(sd_median(1, one), 7, 0);
    CLOSE(sd_median(2, huge), 1.7e308, 0);
    CHECK(isnan(sd_median(0, one)));
    CHECK(isnan(sd_median(3, bad)));
}

/*
 * 20 layers (runs of at least 2). Every tenth token: 1, 2.5, 6 at states 3, 4, 5; 10 at 6 .. 11;
 * 5 at 12; 1 from 13. High (> 4) at 5 .. 12. Layers 4 (x 2.5) and 5 (x 2.4) explode, 6 (x 1.67)
 * does not; 12 (/ 2) and 13 (/ 5) decay.
 */
static void planted_phase_is_found_with_its_layers(void)
{
    const sd_norms n = flat(20, 100);

    plant(&n, 4, 4, 10, 2.5);
    plant(&n, 5, 5, 10, 6);
    plant(&n, 6, 11, 10, 10);
    plant(&n, 12, 12, 10, 5);
    norm[7 * 100 + 33] = 50; /* a single state: not a run */
    sd_phases      *p  = find(&n);
    const sd_phase *ph = &p->phase[0];

    CHECK(p->n_phases == 1);
    CHECK(ph->first == 5 && ph->last == 12);
    CLOSE(ph->ratio, 10, 0);
    CHECK(ph->tokens[0] == 10 && ph->tokens[1] == 0);
    CHECK(count_of(ph->member, 100) == 10 && ph->member[30] && !ph->member[33]);
    CHECK(count_of(ph->explosion, 20) == 2 && ph->explosion[4 - 1] && ph->explosion[5 - 1]);
    CHECK(count_of(ph->decay, 20) == 2 && ph->decay[12 - 1] && ph->decay[13 - 1]);
    CHECK(ph->plateau_first == 5 && ph->plateau_last == 11);
    sd_phases_destroy(&p);
}

/* A fall at last + 2 still counts, one at last + 3 does not; nor a rise at first - 2. */
static void layers_just_outside_count_and_no_further(void)
{
    const sd_norms n = flat(20, 100);

    plant(&n, 2, 2, 10, 0.1); /* x 0.1, then x 10 at layer 3 = first - 3: too early */
    plant(&n, 6, 8, 10, 8);   /* first 6, last 8 */
    plant(&n, 9, 9, 10, 4);   /* exactly 4 is not high; / 2 at layer 9 */
    plant(&n, 10, 10, 10, 2); /* / 2 at layer 10 */
    sd_phases *p = find(&n);  /* 1 at state 11: / 2 at layer 11 = last + 3 */

    CHECK(p->n_phases == 1 && p->phase[0].first == 6 && p->phase[0].last == 8);
    CHECK(count_of(p->phase[0].explosion, 20) == 1 && p->phase[0].explosion[6 - 1]);
    CHECK(count_of(p->phase[0].decay, 20) == 2 && p->phase[0].decay[8] && p->phase[0].decay[9]);
    CHECK(p->phase[0].plateau_first == 6 && p->phase[0].plateau_last == 8);
    sd_phases_destroy(&p);
}

/* 5 % of 80 high tokens are 4: a state with 4 belongs to a phase, one with 3 ends it. */
static void share_of_the_high_tokens_bounds_a_phase(void)
{
    const sd_norms n = flat(10, 200); /* runs of one state */

    for (int64_t t = 0; t < 80; t++) norm[2 * 200 + t] = 9;
    for (int64_t t = 0; t < 4; t++) norm[3 * 200 + t] = 9;
    for (int64_t t = 75; t < 80; t++) norm[4 * 200 + t] = 20;
    sd_phases *p = find(&n);

    CHECK(p->n_phases == 1 && p->phase[0].first == 2 && p->phase[0].last == 4);
    sd_phases_destroy(&p);
    norm[3 * 200 + 3] = 1;
    p                 = find(&n);
    CHECK(p->n_phases == 2 && p->phase[1].first == 2 && p->phase[1].last == 2);
    CHECK(p->phase[0].first == 4 && p->phase[0].last == 4);
    CLOSE(p->phase[0].ratio, 20, 0);
    CHECK(p->phase[0].tokens[0] == 0 && p->phase[0].tokens[1] == 5);
    sd_phases_destroy(&p);
}

/* Runs of 10 % rounded up: two states of 11 layers, one of 10. */
static void shortest_run_is_a_tenth_of_the_layers_rounded_up(void)
{
    sd_norms n = flat(11, 50);

    plant(&n, 5, 5, 10, 9);
    sd_phases *p = find(&n);
    CHECK(p->n_phases == 0);
    sd_phases_destroy(&p);
    plant(&n, 5, 6, 10, 9);
    p = find(&n);
    CHECK(p->n_phases == 1 && p->phase[0].first == 5 && p->phase[0].last == 6);
    sd_phases_destroy(&p);
    n = flat(10, 50);
    plant(&n, 5, 5, 10, 9);
    p = find(&n);
    CHECK(p->n_phases == 1 && p->phase[0].plateau_first == 5 && p->phase[0].plateau_last == 5);
    sd_phases_destroy(&p);
}

static void phase_may_touch_both_ends(void)
{
    const sd_norms n = flat(10, 50);

    plant(&n, 0, 10, 10, 6);
    sd_phases *p = find(&n);

    CHECK(p->n_phases == 1);
    CHECK(p->phase[0].first == 0 && p->phase[0].last == 10);
    CHECK(p->phase[0].plateau_first == 0 && p->phase[0].plateau_last == 10);
    CHECK(count_of(p->phase[0].explosion, 10) == 0 && count_of(p->phase[0].decay, 10) == 0);
    sd_phases_destroy(&p);
}

static void one_layer_is_enough(void)
{
    const sd_norms n = flat(1, 20);

    plant(&n, 1, 1, 10, 6);
    sd_phases *p = find(&n);

    CHECK(p->n_phases == 1 && p->phase[0].first == 1 && p->phase[0].last == 1);
    CHECK(p->phase[0].explosion[0] && !p->phase[0].decay[0]);
    sd_phases_destroy(&p);
}

static void no_high_tokens_make_no_phases(void)
{
    sd_norms   n = flat(10, 50);
    sd_phases *p = find(&n);

    CHECK(p->n_phases == 0);
    sd_phases_destroy(&p);
    n.n_tokens = 0;
    p          = find(&n);
    CHECK(p->n_phases == 0);
    sd_phases_destroy(&p);
    sd_phases_destroy(&p); /* twice is fine */
}

/* Five phases of one state each, every other state: the four largest stay, largest first. */
static void small_phases_beyond_the_limit_are_dropped(void)
{
    const sd_norms n        = flat(10, 50);
    const double   height[] = {9, 30, 5, 20, 40}, want[SD_MAX_PHASES] = {40, 30, 20, 9};

    for (int k = 0; k < 5; k++) plant(&n, 2 * k, 2 * k, 10, height[k]);
    sd_phases *p = find(&n);

    CHECK(p->n_phases == SD_MAX_PHASES);
    for (int k = 0; k < p->n_phases; k++) CLOSE(p->phase[k].ratio, want[k], 0);
    sd_phases_destroy(&p);
}

/* A state of zeros, one of infinities and one with a NaN have no median that means anything. */
static void broken_states_have_no_high_tokens(void)
{
    const sd_norms n = flat(10, 50);

    plant(&n, 2, 8, 10, 9);
    for (int t = 0; t < 50; t++) norm[3 * 50 + t] = t == 0 ? 5 : 0;
    for (int t = 0; t < 50; t++) norm[5 * 50 + t] = INFINITY;
    norm[7 * 50 + 1] = NAN;
    norm[8 * 50 + 0] = INFINITY; /* one infinite token is high */
    sd_phases *p     = find(&n);

    CHECK(p->n_phases == 4); /* 2, 4, 6 and 8 */
    for (int k = 0; k < p->n_phases; k++) {
        CHECK(p->phase[k].first % 2 == 0 && p->phase[k].first == p->phase[k].last);
        CLOSE(p->phase[k].ratio, 9, 0);
        CHECK(p->phase[k].first == 2 + 2 * k); /* equal ratios: by state */
    }
    sd_phases_destroy(&p);
    for (int64_t k = 0; k < 11 * 50; k++) norm[k] = NAN;
    p = find(&n);
    CHECK(p->n_phases == 0);
    sd_phases_destroy(&p);
    for (int64_t k = 0; k < 11 * 50; k++) norm[k] = 0;
    p = find(&n);
    CHECK(p->n_phases == 0);
    sd_phases_destroy(&p);
}

/* The members' norm is 0 around the phase: 0 to 0 is neither a doubling nor a fall. */
static void zeros_around_a_phase_are_no_layers(void)
{
    const sd_norms n = flat(10, 50);

    plant(&n, 0, 10, 10, 0);
    plant(&n, 4, 5, 10, 9);
    sd_phases *p = find(&n);

    CHECK(p->n_phases == 1);
    CHECK(count_of(p->phase[0].explosion, 10) == 1 && p->phase[0].explosion[4 - 1]);
    CHECK(count_of(p->phase[0].decay, 10) == 1 && p->phase[0].decay[6 - 1]);
    sd_phases_destroy(&p);
}

static void every_failed_allocation_is_survived(void)
{
    const sd_norms n  = flat(10, 50);
    sd_phases     *p  = NULL;
    sd_status      st = SD_ERR_RESOURCE;

    plant(&n, 2, 3, 10, 9);
    plant(&n, 6, 8, 10, 12);
    for (int k = 1; k < 100 && st != SD_OK; k++) {
        sd_clear();
        sd_alloc_fail_at(k);
        st = sd_phases_find(&n, &p);
        CHECK(st == SD_OK || (st == SD_ERR_RESOURCE && p == NULL));
    }
    sd_alloc_fail_at(0);
    CHECK(st == SD_OK && p->n_phases == 2);
    sd_phases_destroy(&p);
    sd_clear();
    CHECK(sd_phases_find(&(sd_norms){0, 5, norm, initial}, &p) == SD_ERR_INTERNAL);
}

int main(void)
{
    median_matches_textbook();
    planted_phase_is_found_with_its_layers();
    layers_just_outside_count_and_no_further();
    share_of_the_high_tokens_bounds_a_phase();
    shortest_run_is_a_tenth_of_the_layers_rounded_up();
    phase_may_touch_both_ends();
    one_layer_is_enough();
    no_high_tokens_make_no_phases();
    small_phases_beyond_the_limit_are_dropped();
    broken_states_have_no_high_tokens();
    zeros_around_a_phase_are_no_layers();
    every_failed_allocation_is_survived();
    return REPORT();
}
