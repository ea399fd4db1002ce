/**
 * @file phenomenon.h
 * @brief What the first reading of a checkpoint shows: phases, their directions, and the plain
 * truth about each layer on real tokens.
 */
#ifndef SD_PIPELINE_PHENOMENON_H
#define SD_PIPELINE_PHENOMENON_H

#include <stdint.h>

#include "io/results.h"
#include "pipeline/states.h"
#include "solvers/phases.h"

/** Known on every rank of the team, but for what only the leader has. */
typedef struct {
    sd_phases *phases;
    int64_t    d;
    double    *direction; /* SD_MAX_PHASES x d, unit; NaN where there is none        */
    double    *scale;     /* N x SD_MAX_PHASES x 2: states.h' divisors, mean over the tokens
                             behind each direction                                         */
    double *norm_ratio;   /* N x SD_MAX_PHASES: norm after over norm before, likewise       */
    double *other;        /* leader: SD_MAX_PHASES x d, direction of the other tokens       */
    double *true_change;  /* leader: N x SD_MAX_PHASES, along the direction   */
    double  spread[SD_MAX_PHASES]; /* leader: degrees                                  */
} sd_phenomenon;

/**
 * @brief Finds phases and directions, and measures each layer on the tokens behind them.
 * @param[out] out  yours, release with sd_phenomenon_destroy()
 * Collective on the states' team. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_phenomenon_find(const sd_states *states, sd_phenomenon **out);
void      sd_phenomenon_destroy(sd_phenomenon **phenomenon);

/**
 * @brief Fills the unit's norm, phase, direction and layer_role variables and decay's measured
 * ones. On the leader only. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_phenomenon_record(const sd_phenomenon *phenomenon, const sd_states *states,
                               sd_unit *unit);

/**
 * @brief Tokens behind a phase's direction: its initial ones, or the others where it has none.
 * @param[out] token  yours, release with sd_free(); ascending
 * Not collective. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_phenomenon_tokens(const sd_states *states, const sd_phase *phase, int64_t **token,
                               int64_t *n);

#endif
