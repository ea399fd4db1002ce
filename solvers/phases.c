#include "solvers/phases.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/base/memory.h"

const double sd_high_factor = 4;

static const double rise_factor = 2, fall_factor = 1.5;
enum { RUN_TENTHS = 10, SHARE_TWENTIETHS = 20, LAYERS_PAST = 2 };

/* What the search works on. A state's tokens lie side by side. */
typedef struct {
    const sd_norms *norms;
    int             n_states;
    double         *median;   /* n_states                                                     */
    bool           *in_run;   /* n_states x n_tokens                                          */
    int64_t        *count;    /* n_states: tokens of which the state lies in a run            */
    int64_t         n_high;   /* tokens with a run                                            */
    double         *scratch;  /* n_tokens                                                     */
    double         *relative; /* n_states: median relative norm of the phase's tokens         */
    double         *absolute; /* n_states: median norm of the phase's tokens                  */
} search;

/* ---- medians ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double sd_median(int64_t n, double *values)
{
    if (n == 0) return NAN;
    for (int64_t i = 0; i < n; i++) /* NaN has no place in an order */
        if (isnan(values[i])) return NAN;
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n % 2 == 1 ? values[n / 2] : 0.5 * values[n / 2 - 1] + 0.5 * values[n / 2];
}

static const double *state_norms(const search *s, int state)
{
    return s->norms->norm + state * s->norms->n_tokens;
}

static double median_of_state(const search *s, int state)
{
    memcpy(s->scratch, state_norms(s, state), (size_t)s->norms->n_tokens * sizeof *s->scratch);
    return sd_median(s->norms->n_tokens, s->scratch);
}

/* Median norm in `state` of the tokens with member[t], each norm divided by `unit`. */
static double median_of_members(const search *s, int state, const bool *member, double unit)
{
    const double *norm = state_norms(s, state);
    int64_t       n    = 0;

    for (int64_t t = 0; t < s->norms->n_tokens; t++)
        if (member[t]) s->scratch[n++] = norm[t] / unit;
    return sd_median(n, s->scratch);
}

/* ---- high tokens ---- */

static bool is_high(const search *s, int state, int64_t token)
{
    const double median = s->median[state];

    return median > 0 && isfinite(median) && state_norms(s, state)[token] > sd_high_factor * median;
}

/* Marks the token's runs; true when it has one. */
static bool mark_runs(const search *s, int64_t token)
{
    const int shortest = (s->n_states - 1 + RUN_TENTHS - 1) / RUN_TENTHS;
    bool      found    = false;

    for (int state = 0, end; state < s->n_states; state = end + 1) {
        for (end = state; end < s->n_states && is_high(s, end, token);) end++;
        if (end - state < shortest) continue;
        found = true;
        for (int k = state; k < end; k++) {
            s->in_run[k * s->norms->n_tokens + token] = true;
            s->count[k]++;
        }
    }
    return found;
}

static bool in_phase(const search *s, int state)
{
    return s->count[state] > 0 && s->count[state] * SHARE_TWENTIETHS >= s->n_high;
}

/* ---- one phase ---- */

static void find_members(const search *s, sd_phase *p)
{
    for (int64_t t = 0; t < s->norms->n_tokens; t++) {
        for (int state = p->first; state <= p->last && !p->member[t]; state++)
            p->member[t] = s->in_run[state * s->norms->n_tokens + t];
        if (p->member[t]) p->tokens[s->norms->initial[t] ? 0 : 1]++;
    }
}

static int find_peak(const search *s, const sd_phase *p)
{
    int peak = p->first;

    for (int state = p->first + 1; state <= p->last; state++)
        if (s->relative[state] > s->relative[peak]) peak = state;
    return peak;
}

/* From one value to another by the factor or more; nothing grows from 0 to 0, or to or from NaN. */
static bool grows(double factor, double from, double to)
{
    return to > from && to >= factor * from;
}

/* Layers that raise the phase and that take it away, and so its plateau. */
static void find_layers(const search *s, int peak, sd_phase *p)
{
    const int earliest = p->first > 1 ? p->first - 1 : 1;
    const int latest =
        p->last + LAYERS_PAST < s->n_states - 1 ? p->last + LAYERS_PAST : s->n_states - 1;

    p->plateau_first = p->first;
    p->plateau_last  = p->last;
    for (int layer = earliest; layer <= peak; layer++) {
        if (!grows(rise_factor, s->relative[layer - 1], s->relative[layer])) continue;
        p->explosion[layer - 1] = true;
        p->plateau_first        = layer;
    }
    for (int layer = latest; layer > peak; layer--) {
        if (!grows(fall_factor, s->absolute[layer], s->absolute[layer - 1])) continue;
        p->decay[layer - 1] = true;
        p->plateau_last     = layer - 1;
    }
}

static void phase_release(sd_phase *p)
{
    sd_free(p->member);
    sd_free(p->explosion);
    sd_free(p->decay);
}

static sd_status phase_fill(search *s, int first, int last, sd_phase *p)
{
    const int n_layers = s->n_states - 1;
    sd_status st       = SD_OK;

    *p = (sd_phase){.first = first, .last = last};
    SD_TRY(sd_alloc(s->norms->n_tokens, sizeof *p->member, &p->member));
    SD_TRY(sd_alloc(n_layers, sizeof *p->explosion, &p->explosion));
    SD_TRY(sd_alloc(n_layers, sizeof *p->decay, &p->decay));
    find_members(s, p);
    for (int state = 0; state < s->n_states; state++) {
        s->relative[state] = median_of_members(s, state, p->member, s->median[state]);
        s->absolute[state] = median_of_members(s, state, p->member, 1);
    }
    const int peak = find_peak(s, p);

    p->ratio = s->relative[peak];
    find_layers(s, peak, p);

done:
    if (st != SD_OK) phase_release(p);
    return st;
}

/* Keeps `phases` ordered by falling ratio; the smallest falls out when there are too many. */
static void insert(sd_phases *phases, sd_phase p)
{
    int at = phases->n_phases;

    while (at > 0 && phases->phase[at - 1].ratio < p.ratio) at--;
    if (at == SD_MAX_PHASES) {
        phase_release(&p);
        return;
    }
    if (phases->n_phases == SD_MAX_PHASES)
        phase_release(&phases->phase[SD_MAX_PHASES - 1]);
    else
        phases->n_phases++;
    for (int k = phases->n_phases - 1; k > at; k--) phases->phase[k] = phases->phase[k - 1];
    phases->phase[at] = p;
}

/* ---- public ---- */

static sd_status search_prepare(search *s)
{
    const int64_t n_tokens = s->norms->n_tokens;
    sd_status     st       = SD_OK;

    SD_TRY(sd_alloc(s->n_states, sizeof *s->median, &s->median));
    SD_TRY(sd_alloc(s->n_states * n_tokens, sizeof *s->in_run, &s->in_run));
    SD_TRY(sd_alloc(s->n_states, sizeof *s->count, &s->count));
    SD_TRY(sd_alloc(n_tokens, sizeof *s->scratch, &s->scratch));
    SD_TRY(sd_alloc(s->n_states, sizeof *s->relative, &s->relative));
    SD_TRY(sd_alloc(s->n_states, sizeof *s->absolute, &s->absolute));
    for (int state = 0; state < s->n_states; state++) s->median[state] = median_of_state(s, state);
    for (int64_t t = 0; t < n_tokens; t++) s->n_high += mark_runs(s, t);

done:
    return st;
}

static void search_release(search *s)
{
    sd_free(s->median);
    sd_free(s->in_run);
    sd_free(s->count);
    sd_free(s->scratch);
    sd_free(s->relative);
    sd_free(s->absolute);
}

sd_status sd_phases_find(const sd_norms *norms, sd_phases **out)
{
    search     s      = {.norms = norms};
    sd_phases *phases = NULL;
    sd_phase   phase;
    sd_status  st = SD_OK;

    *out = NULL;
    SD_REQUIRE(norms->n_layers >= 1 && norms->n_layers < INT_MAX / 2 && norms->n_tokens >= 0 &&
                   norms->n_tokens < INT64_MAX / 16 / (norms->n_layers + 1),
               SD_ERR_INTERNAL, "norms of %" PRId64 " tokens in %" PRId64 " layers",
               norms->n_tokens, norms->n_layers);
    s.n_states = (int)norms->n_layers + 1;
    SD_TRY(sd_alloc(1, sizeof *phases, &phases));
    SD_TRY(search_prepare(&s));
    for (int state = 0, end; state < s.n_states; state = end + 1) {
        for (end = state; end < s.n_states && in_phase(&s, end);) end++;
        if (end == state) continue;
        SD_TRY(phase_fill(&s, state, end - 1, &phase));
        insert(phases, phase);
    }
    *out   = phases;
    phases = NULL;

done:
    search_release(&s);
    sd_phases_destroy(&phases);
    return st;
}

void sd_phases_destroy(sd_phases **phases)
{
    if (*phases == NULL) return;
    for (int k = 0; k < (*phases)->n_phases; k++) phase_release(&(*phases)->phase[k]);
    sd_free(*phases);
    *phases = NULL;
}
