/* What made states show: phases, directions, and the plain truth about each layer, the same on any
 * number of ranks. */
#include "pipeline/phenomenon.h"

#include <string.h>

#include "solvers/base/memory.h"
#include "tests/support/check.h"

/* Three sequences of 600 tokens: three chunks, so that up to three ranks have some. */
enum { D = 6, LAYERS = 8, SEQUENCES = 3, LENGTH = 600, TOKENS = SEQUENCES * LENGTH };

static const double EPS = 0.5, MID = 7, RADIAN = 57.29577951308232;

static int rank;

static void set(float *x, double norm, int axis)
{
    for (int i = 0; i < D; i++) x[i] = 0;
    x[axis] = (float)norm;
}

/*
 * Initial tokens: norm 1 along axis 3 in state 0 and along axis 5 in state 8; in between along
 * -axis 0, turned towards axis 1 by -10, 0 and 10 degrees, of norm 100 in states 3 to 6.
 * Token 7 of each sequence: norm 50 along axis 2 in states 3 to 6. Token 11: norm 30 along axis 4
 * in state 8. All others, and these otherwise: norm 1 along axis 5.
 */
static void planted_state(int64_t token, int64_t state, bool quiet, float *x)
{
    const int64_t place = token % LENGTH, sequence = token / LENGTH;
    const double  angle = 10.0 * (double)(sequence - 1) / RADIAN;
    const bool    first = state >= 3 && state <= 6;

    set(x, 1, 5);
    if (quiet) return;
    if (place == 0 && state == 0) set(x, 1, 3);
    if (place == 0 && state > 0 && state < 8) {
        const double norm = first ? 100 : 1;

        set(x, -norm * cos(angle), 0);
        x[1] = (float)(-norm * sin(angle));
    }
    if (place == 7 && first) set(x, 50, 2);
    if (place == 11 && state == 8) set(x, 30, 4);
}

static int64_t first_of[SEQUENCES + 1] = {0, LENGTH, 2 * LENGTH, TOKENS};
static sd_ids  ids                     = {SEQUENCES, TOKENS, first_of, NULL};

static sd_status make_states(bool quiet, sd_states **out)
{
    sd_status      st    = SD_OK;
    const sd_block shape = {
        .d = D, .f = 4, .n_heads = 1, .n_kv = 1, .d_head = 6, .gate = {.rows = 4, .cols = D}};
    sd_states *s = NULL;

    SD_TRY(sd_states_create(MPI_COMM_WORLD, NULL, &ids, &shape, LAYERS, &s));
    for (int64_t l = 0; l <= LAYERS; l++) {
        for (int64_t t = 0; t < s->n_local; t++)
            planted_state(s->first_token + t, l, quiet, s->x + t * D);
        SD_TRY(sd_states_record(s, l));
    }
    for (int64_t i = 0; i < (int64_t)LAYERS * TOKENS; i++) {
        double *divisor = s->divisor + i / TOKENS * 2 * TOKENS + i % TOKENS;

        divisor[0]      = sqrt(s->norm[i] * s->norm[i] / D + EPS);
        divisor[TOKENS] = sqrt(MID * MID / D + EPS);
    }
    *out = s;
    s    = NULL;

done:
    sd_states_destroy(&s);
    return st;
}

/* Directions come from states in single precision: each entry is off by 6e-8 of the norm at most.
 */
static const double ROUNDED = 1e-7;

static void is_axis(const double *e, int axis, double sign)
{
    for (int i = 0; i < D; i++) CLOSE(e[i], i == axis ? sign : 0, ROUNDED);
}

static void all_nan(const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) CHECK(isnan(x[i]));
}

static void phases_and_directions_are_the_planted_ones(const sd_phenomenon *p)
{
    CHECK(p->phases->n_phases == 2 && p->d == D);
    CHECK(p->phases->phase[0].first == 3 && p->phases->phase[0].last == 6);
    CHECK(p->phases->phase[1].first == 8 && p->phases->phase[1].last == 8);
    is_axis(p->direction, 0, -1); /* the sign of the states */
    is_axis(p->direction + D, 4, 1);
    all_nan(p->direction + 2 * D, 2 * D);
    if (rank != 0) return;
    is_axis(p->other, 2, 1);
    is_axis(p->other + D, 4, 1); /* no initial token: the others speak for the phase */
    all_nan(p->other + 2 * D, 2 * D);
    CLOSE(p->spread[0], (10 + 10 + 20) / 3.0, ROUNDED * RADIAN * 2);
    CLOSE(p->spread[1], 0, ROUNDED * RADIAN * 2);
    all_nan(p->spread + 2, 2);
}

/* Norms are sums of squares of floats: relative error below 1e-7. */
static void ratios_and_scales_are_of_the_tokens_behind_the_direction(const sd_phenomenon *p)
{
    for (int64_t l = 0; l < LAYERS; l++) {
        const double *ratio = p->norm_ratio + l * SD_MAX_PHASES;
        const double *scale = p->scale + 2 * l * SD_MAX_PHASES;
        const double  was = l >= 3 && l <= 6 ? 100 : 1, is = l + 1 >= 3 && l + 1 <= 6 ? 100 : 1;

        CLOSE(ratio[0], is / was, 1e-7 * is / was * 2);
        CLOSE(ratio[1], l == 7 ? 30 : 1, 1e-5);
        CLOSE(scale[0], sqrt(was * was / D + EPS), 1e-7 * was);
        CLOSE(scale[1], sqrt(MID * MID / D + EPS), 1e-14);
        CLOSE(scale[2], sqrt(1.0 / D + EPS), 1e-14);
        all_nan(ratio + 2, 2);
        all_nan(scale + 4, 4);
    }
}

static void the_change_along_the_direction_is_the_true_one(const sd_phenomenon *p)
{
    /* layer 1 starts across the direction, layer 8 ends across it */
    static const double want[LAYERS] = {0, 0, 99, 0, 0, 0, -0.99, -1};

    for (int64_t l = 0; l < LAYERS && rank == 0; l++) {
        const double *change = p->true_change + l * SD_MAX_PHASES;

        if (l == 0)
            CHECK(isnan(change[0])); /* a quotient of nothing */
        else
            CLOSE(change[0], want[l], 1e-7 * (100 + fabs(want[l])));
        all_nan(change + 1, 3); /* token 11 was not kept before it stood out */
    }
}

static void tokens_are_those_behind_the_direction(const sd_states *s, const sd_phenomenon *p)
{
    int64_t *token = NULL, n = 0;

    for (int k = 0; k < 2; k++) {
        CHECK(sd_phenomenon_tokens(s, &p->phases->phase[k], &token, &n) == SD_OK && n == SEQUENCES);
        for (int64_t q = 0; token != NULL && q < n; q++)
            CHECK(token[q] == q * LENGTH + (k == 0 ? 0 : 11));
        sd_free(token);
        token = NULL;
    }
}

/* ---- the unit ---- */

static void integers_are(const sd_unit *unit, sd_variable_id id, const int32_t *want)
{
    for (int64_t i = 0; i < sd_variable_elements(id, &unit->shape); i++)
        CHECK(sd_unit_i32(unit, id)[i] == want[i]);
}

#define INTEGERS(id, ...) integers_are(unit, id, (const int32_t[]){__VA_ARGS__})

static void the_unit_holds_it_all(const sd_states *s, const sd_phenomenon *p)
{
    const sd_shape shape = {LAYERS, D, 1, false};
    sd_unit       *unit  = NULL;

    CHECK(sd_unit_create(&shape, &unit) == SD_OK && sd_phenomenon_record(p, s, unit) == SD_OK);
    INTEGERS(SD_V_PHASE_FIRST, 3, 8, -1, -1);
    INTEGERS(SD_V_PHASE_LAST, 6, 8, -1, -1);
    INTEGERS(SD_V_PHASE_PLATEAU_FIRST, 3, 8, -1, -1);
    INTEGERS(SD_V_PHASE_PLATEAU_LAST, 6, 8, -1, -1);
    INTEGERS(SD_V_PHASE_TOKENS, 3, 3, 0, 3, -1, -1, -1, -1);
    INTEGERS(SD_V_ROLE_EXPLOSION, 0, 0, 1, 0, 0, 0, 0, 2);
    INTEGERS(SD_V_ROLE_DECAY, 0, 0, 0, 0, 0, 0, 1, 0);
    CLOSE(sd_unit_f64(unit, SD_V_PHASE_RATIO)[0], 75, 1e-5);
    CLOSE(sd_unit_f64(unit, SD_V_PHASE_RATIO)[1], 30, 1e-5);
    CHECK(isnan(sd_unit_f64(unit, SD_V_PHASE_RATIO)[2]));
    for (int64_t l = 0; l <= LAYERS; l++) {
        const bool   high = l >= 3 && l <= 6;
        const float *mean = sd_unit_f32(unit, SD_V_DIRECTION_PER_STATE) + l * D;
        const int    axis = l == 0 ? 3 : l == 8 ? 5 : 0;

        CLOSE(sd_unit_f64(unit, SD_V_NORM_INITIAL_MEAN)[l], high ? 100 : 1, 1e-5);
        CLOSE(sd_unit_f64(unit, SD_V_NORM_OTHER_MEDIAN)[l], 1, 0);
        CLOSE(sd_unit_f64(unit, SD_V_NORM_OTHER_MAX)[l], high ? 50 : l == 8 ? 30 : 1, 0);
        for (int i = 0; i < D; i++) CLOSE(mean[i], i != axis ? 0 : axis == 0 ? -1 : 1, ROUNDED);
    }
    CHECK(memcmp(sd_unit_f64(unit, SD_V_PHASE_DIRECTION), p->direction,
                 SD_MAX_PHASES * D * sizeof(double)) == 0);
    CHECK(memcmp(sd_unit_f64(unit, SD_V_PHASE_DIRECTION_OTHER), p->other,
                 SD_MAX_PHASES * D * sizeof(double)) == 0);
    CHECK(memcmp(sd_unit_f64(unit, SD_V_DECAY_SCALE), p->scale,
                 2 * LAYERS * SD_MAX_PHASES * sizeof(double)) == 0);
    CHECK(sd_unit_f64(unit, SD_V_DECAY_NORM_RATIO)[7 * SD_MAX_PHASES + 1] ==
          p->norm_ratio[7 * SD_MAX_PHASES + 1]);
    CHECK(sd_unit_f64(unit, SD_V_DECAY_TRUE_CHANGE)[2 * SD_MAX_PHASES] ==
          p->true_change[2 * SD_MAX_PHASES]);
    CHECK(sd_unit_f64(unit, SD_V_PHASE_SPREAD)[0] == p->spread[0]);
    sd_unit_destroy(&unit);
}

static void planted_states_are_found(void)
{
    sd_states     *s = NULL;
    sd_phenomenon *p = NULL;

    CHECK(make_states(false, &s) == SD_OK && sd_phenomenon_find(s, &p) == SD_OK);
    if (p == NULL) return;
    phases_and_directions_are_the_planted_ones(p);
    ratios_and_scales_are_of_the_tokens_behind_the_direction(p);
    the_change_along_the_direction_is_the_true_one(p);
    tokens_are_those_behind_the_direction(s, p);
    if (rank == 0) the_unit_holds_it_all(s, p);
    sd_phenomenon_destroy(&p);
    CHECK(p == NULL);
    sd_states_destroy(&s);
}

static void where_nothing_stands_out_there_is_nothing(void)
{
    const sd_shape shape = {LAYERS, D, 1, false};
    sd_states     *s     = NULL;
    sd_phenomenon *p     = NULL;
    sd_unit       *unit  = NULL;

    CHECK(make_states(true, &s) == SD_OK && sd_phenomenon_find(s, &p) == SD_OK);
    if (p == NULL) return;
    CHECK(p->phases->n_phases == 0);
    all_nan(p->direction, SD_MAX_PHASES * D);
    all_nan(p->norm_ratio, LAYERS * SD_MAX_PHASES);
    CHECK(sd_unit_create(&shape, &unit) == SD_OK);
    if (rank == 0) {
        CHECK(sd_phenomenon_record(p, s, unit) == SD_OK);
        INTEGERS(SD_V_PHASE_FIRST, -1, -1, -1, -1);
        INTEGERS(SD_V_ROLE_EXPLOSION, 0, 0, 0, 0, 0, 0, 0, 0); /* looked for, and not there */
        INTEGERS(SD_V_ROLE_DECAY, 0, 0, 0, 0, 0, 0, 0, 0);
        CLOSE(sd_unit_f32(unit, SD_V_DIRECTION_PER_STATE)[5], 1, 0); /* always there */
    }
    sd_unit_destroy(&unit);
    sd_phenomenon_destroy(&p);
    sd_states_destroy(&s);
}

/* The k-th allocation fails on one rank: all return, with one status. */
static void a_shortage_of_one_rank_is_everybodys(int size)
{
    sd_states *s  = NULL;
    sd_status  st = SD_ERR_RESOURCE;
    int64_t    k  = 0;

    CHECK(make_states(false, &s) == SD_OK);
    while (st == SD_ERR_RESOURCE) {
        sd_phenomenon *p = NULL;
        int            least, most;

        sd_clear();
        k++;
        if (rank == size - 1) sd_alloc_fail_at(k);
        st    = sd_phenomenon_find(s, &p);
        least = most = (int)st;
        MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
        MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
        CHECK(least == most && (st == SD_OK) == (p != NULL));
        sd_phenomenon_destroy(&p);
    }
    sd_alloc_fail_at(0);
    sd_clear();
    CHECK(st == SD_OK && k > 8);
    sd_states_destroy(&s);
}

int main(int argc, char **argv)
{
    int size;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    planted_states_are_found();
    where_nothing_stands_out_there_is_nothing();
    a_shortage_of_one_rank_is_everybodys(size);
    MPI_Allreduce(MPI_IN_PLACE, &check_failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Finalize();
    return REPORT();
}
