#include "pipeline/phenomenon.h"

#include <math.h>
#include <string.h>

#include "solvers/base/agree.h"
#include "solvers/base/memory.h"
#include "solvers/direction.h"

enum { SPREAD_TOKENS = 256 }; /* pairs grow with the square: the first of them speak for all */

/* ---- norms ---- */

static sd_status fill_norms(const sd_states *s, sd_unit *unit)
{
    sd_status st     = SD_OK;
    double   *others = NULL;

    SD_TRY(sd_alloc(s->n_tokens, sizeof *others, &others));
    for (int64_t l = 0; l <= s->n_layers; l++) {
        const double *norm = s->norm + l * s->n_tokens;
        double        sum = 0, largest = NAN;
        int64_t       n = 0;

        for (int64_t t = 0; t < s->n_tokens; t++) {
            if (s->initial[t])
                sum += norm[t];
            else
                others[n++] = norm[t];
        }
        for (int64_t i = 0; i < n; i++) largest = fmax(largest, others[i]);
        sd_unit_f64(unit, SD_V_NORM_INITIAL_MEAN)[l] = sum / (double)(s->n_tokens - n);
        sd_unit_f64(unit, SD_V_NORM_OTHER_MAX)[l]    = largest;
        sd_unit_f64(unit, SD_V_NORM_OTHER_MEDIAN)[l] = sd_median(n, others);
    }

done:
    sd_free(others);
    return st;
}

/* ---- directions ---- */

static void fill_nan(int64_t n, double *x)
{
    for (int64_t i = 0; i < n; i++) x[i] = NAN;
}

/* Unit mean of the initial tokens' unit states, state by state. */
static sd_status fill_per_state(const sd_states *s, sd_unit *unit)
{
    sd_status st   = SD_OK;
    double   *mean = NULL;

    SD_TRY(sd_alloc(s->d, sizeof *mean, &mean));
    for (int64_t l = 0; l <= s->n_layers; l++) {
        float *out = sd_unit_f32(unit, SD_V_DIRECTION_PER_STATE) + l * s->d;

        memset(mean, 0, (size_t)s->d * sizeof *mean);
        for (int64_t t = 0; t < s->n_tokens; t++)
            if (s->initial[t]) sd_direction_add(s->d, sd_states_kept(s, l, t), mean);
        sd_direction_finish(s->d, mean);
        for (int64_t i = 0; i < s->d; i++) out[i] = (float)mean[i];
    }

done:
    sd_free(mean);
    return st;
}

/* Unit mean over the plateau of one token's unit states; states that were not kept do not count. */
static void token_direction(const sd_states *s, const sd_phase *phase, int64_t token, double *out)
{
    for (int l = phase->plateau_first; l <= phase->plateau_last; l++) {
        const float *state = sd_states_kept(s, l, token);

        if (state != NULL) sd_direction_add(s->d, state, out);
    }
    sd_direction_finish(s->d, out);
}

/* Direction over the phase's initial, or other, tokens, and their spread. NaN when there are none.
 */
static sd_status direction_over(const sd_states *s, const sd_phase *phase, bool initial,
                                double *direction, double *spread)
{
    sd_status st      = SD_OK;
    double   *vectors = NULL;
    int64_t   n       = 0;

    SD_TRY(sd_alloc(phase->tokens[initial ? 0 : 1] * s->d, sizeof *vectors, &vectors));
    for (int64_t t = 0; t < s->n_tokens; t++)
        if (phase->member[t] && s->initial[t] == initial)
            token_direction(s, phase, t, vectors + n++ * s->d);
    sd_direction_mean(n, s->d, vectors, direction);
    SD_TRY(sd_direction_spread(n < SPREAD_TOKENS ? n : SPREAD_TOKENS, s->d, vectors, spread));

done:
    sd_free(vectors);
    return st;
}

static sd_status find_directions(const sd_states *s, sd_phenomenon *p)
{
    sd_status st = SD_OK;
    double    unused;

    for (int k = 0; k < p->phases->n_phases; k++) {
        const sd_phase *phase = &p->phases->phase[k];
        double         *e = p->direction + k * s->d, *other = p->other + k * s->d;

        if (phase->tokens[0] > 0) {
            SD_TRY(direction_over(s, phase, true, e, &p->spread[k]));
            SD_TRY(direction_over(s, phase, false, other, &unused));
        } else {
            SD_TRY(direction_over(s, phase, false, other, &p->spread[k]));
            memcpy(e, other, (size_t)s->d * sizeof *e);
        }
    }

done:
    return st;
}

/* ---- phases and roles ---- */

static void fill_phases(const sd_phases *phases, int64_t n_layers, sd_unit *unit)
{
    for (int64_t l = 0; l < n_layers; l++) {
        sd_unit_i32(unit, SD_V_ROLE_EXPLOSION)[l] = 0;
        sd_unit_i32(unit, SD_V_ROLE_DECAY)[l]     = 0;
    }
    for (int k = phases->n_phases - 1; k >= 0; k--) { /* downwards: the dominant phase wins a tie */
        const sd_phase *phase = &phases->phase[k];

        sd_unit_i32(unit, SD_V_PHASE_FIRST)[k]         = phase->first;
        sd_unit_i32(unit, SD_V_PHASE_LAST)[k]          = phase->last;
        sd_unit_i32(unit, SD_V_PHASE_PLATEAU_FIRST)[k] = phase->plateau_first;
        sd_unit_i32(unit, SD_V_PHASE_PLATEAU_LAST)[k]  = phase->plateau_last;
        sd_unit_f64(unit, SD_V_PHASE_RATIO)[k]         = phase->ratio;
        for (int i = 0; i < 2; i++)
            sd_unit_i32(unit, SD_V_PHASE_TOKENS)[2 * k + i] = (int32_t)phase->tokens[i];
        for (int64_t l = 0; l < n_layers; l++) {
            if (phase->explosion[l]) sd_unit_i32(unit, SD_V_ROLE_EXPLOSION)[l] = k + 1;
            if (phase->decay[l]) sd_unit_i32(unit, SD_V_ROLE_DECAY)[l] = k + 1;
        }
    }
}

sd_status sd_phenomenon_tokens(const sd_states *states, const sd_phase *phase, int64_t **token,
                               int64_t *n)
{
    sd_status  st      = SD_OK;
    const bool initial = phase->tokens[0] > 0;

    *n = 0;
    SD_TRY(sd_alloc(phase->tokens[0] + phase->tokens[1], sizeof **token, token));
    for (int64_t t = 0; t < states->n_tokens; t++)
        if (phase->member[t] && states->initial[t] == initial) (*token)[(*n)++] = t;

done:
    return st;
}

/* ---- the plain truth about each layer ---- */

static double along(int64_t d, const float *state, const double *e)
{
    double sum = 0;

    for (int64_t i = 0; i < d; i++) sum += state[i] * e[i];
    return sum;
}

/*
 * Mean relative change along e over the tokens whose state is kept before and after; on the leader.
 * NaN where the states before the layer have next to nothing along e: a quotient of noise.
 */
static double true_change(const sd_states *s, const double *e, const int64_t *token, int64_t n,
                          int64_t layer)
{
    const double least_share = 0.1; /* of the norm, along e */
    double       sum = 0, share = 0;
    int64_t      count = 0;

    for (int64_t i = 0; i < n; i++) {
        const float *before = sd_states_kept(s, layer, token[i]);
        const float *after  = sd_states_kept(s, layer + 1, token[i]);

        if (before == NULL || after == NULL) continue;
        const double was = along(s->d, before, e);
        sum += along(s->d, after, e) / was - 1;
        share += fabs(was) / s->norm[layer * s->n_tokens + token[i]];
        count++;
    }
    const bool meant = count > 0 && share / (double)count >= least_share && isfinite(sum);

    return meant ? sum / (double)count : NAN;
}

static void measure_layer(const sd_states *s, const int64_t *token, int64_t n, int64_t layer,
                          double *ratio, double *scale)
{
    const double *before = s->norm + layer * s->n_tokens, *after = before + s->n_tokens;
    const double *divisor = s->divisor + 2 * layer * s->n_tokens;
    double        sum[3]  = {0, 0, 0};

    for (int64_t i = 0; i < n; i++) {
        const int64_t t = token[i];

        sum[0] += after[t] / before[t];
        for (int b = 0; b < 2; b++) sum[1 + b] += divisor[b * s->n_tokens + t];
    }
    *ratio = isfinite(sum[0]) ? sum[0] / (double)n : NAN;
    for (int b = 0; b < 2; b++) scale[b] = sum[1 + b] / (double)n;
}

static sd_status find_truth(const sd_states *s, sd_phenomenon *p)
{
    sd_status st    = SD_OK;
    int64_t  *token = NULL, n;

    for (int k = 0; k < p->phases->n_phases; k++) {
        SD_TRY(sd_phenomenon_tokens(s, &p->phases->phase[k], &token, &n));
        for (int64_t l = 0; l < s->n_layers; l++) {
            const int64_t at = l * SD_MAX_PHASES + k;

            measure_layer(s, token, n, l, &p->norm_ratio[at], p->scale + 2 * at);
            if (s->rank == 0)
                p->true_change[at] = true_change(s, p->direction + k * s->d, token, n, l);
        }
        sd_free(token);
        token = NULL;
    }

done:
    sd_free(token);
    return st;
}

/* ---- the whole ---- */

static sd_status allocate(const sd_states *s, sd_phenomenon *p)
{
    const int64_t vectors = SD_MAX_PHASES * s->d, layers = SD_MAX_PHASES * s->n_layers;
    sd_status     st = SD_OK;

    p->d = s->d;
    SD_TRY(sd_alloc(vectors, sizeof *p->direction, &p->direction));
    SD_TRY(sd_alloc(vectors, sizeof *p->other, &p->other));
    SD_TRY(sd_alloc(2 * layers, sizeof *p->scale, &p->scale));
    SD_TRY(sd_alloc(layers, sizeof *p->norm_ratio, &p->norm_ratio));
    SD_TRY(sd_alloc(layers, sizeof *p->true_change, &p->true_change));
    fill_nan(vectors, p->direction);
    fill_nan(vectors, p->other);
    fill_nan(2 * layers, p->scale);
    fill_nan(layers, p->norm_ratio);
    fill_nan(layers, p->true_change);
    fill_nan(SD_MAX_PHASES, p->spread);

done:
    return st;
}

sd_status sd_phenomenon_find(const sd_states *states, sd_phenomenon **out)
{
    const sd_norms norms = {states->n_layers, states->n_tokens, states->norm, states->initial};
    sd_status      st    = SD_OK;
    sd_phenomenon *p     = NULL;

    *out = NULL;
    st   = sd_alloc(1, sizeof *p, &p);
    if (st == SD_OK) st = allocate(states, p);
    if (st == SD_OK) st = sd_phases_find(&norms, &p->phases);
    if (st == SD_OK && states->rank == 0) st = find_directions(states, p);
    SD_TRY(sd_agree(states->team, st));
    MPI_Bcast(p->direction, (int)(SD_MAX_PHASES * states->d), MPI_DOUBLE, 0, states->team);
    SD_TRY(sd_agree(states->team, find_truth(states, p)));
    *out = p;
    p    = NULL;

done:
    sd_phenomenon_destroy(&p);
    return st;
}

static void copy(const double *from, const sd_unit *unit, sd_variable_id id)
{
    memcpy(sd_unit_f64(unit, id), from,
           (size_t)sd_variable_elements(id, &unit->shape) * sizeof *from);
}

sd_status sd_phenomenon_record(const sd_phenomenon *phenomenon, const sd_states *states,
                               sd_unit *unit)
{
    const sd_phenomenon *p  = phenomenon;
    sd_status            st = SD_OK;

    SD_TRY(fill_norms(states, unit));
    SD_TRY(fill_per_state(states, unit));
    fill_phases(p->phases, states->n_layers, unit);
    copy(p->direction, unit, SD_V_PHASE_DIRECTION);
    copy(p->other, unit, SD_V_PHASE_DIRECTION_OTHER);
    copy(p->spread, unit, SD_V_PHASE_SPREAD);
    copy(p->true_change, unit, SD_V_DECAY_TRUE_CHANGE);
    copy(p->norm_ratio, unit, SD_V_DECAY_NORM_RATIO);
    copy(p->scale, unit, SD_V_DECAY_SCALE);

done:
    return st;
}

void sd_phenomenon_destroy(sd_phenomenon **phenomenon)
{
    sd_phenomenon *p = *phenomenon;

    if (p == NULL) return;
    sd_phases_destroy(&p->phases);
    sd_free(p->direction);
    sd_free(p->other);
    sd_free(p->scale);
    sd_free(p->norm_ratio);
    sd_free(p->true_change);
    sd_free(p);
    *phenomenon = NULL;
}
