/**
 * @file phenomenon.h
 * @brief What the first reading of a checkpoint shows: phases, their directions, and the plain truth
 * about each layer on real tokens.
 */
#ifndef SD_PIPELINE_PHENOMENON_H
#define SD_PIPELINE_PHENOMENON_H

#include <stdint.h>

#include "io/results.h"
#include "pipeline/states.h"
#include "solvers/phases.h"

/** Known on every rank of the team. */
typedef struct {
    sd_phases *phases;
    int64_t    d;
    double    *direction; /* SD_MAX_PHASES x d, unit; NaN where there is none      */
    /* What the two norms divide by, mean over the tokens behind each direction: N x K x 2. */
    double *scale;
} sd_phenomenon;

/**
 * @brief Finds phases and directions, and fills the unit's norm, phase, direction and layer_role
 * variables and decay's measured ones: on the leader, and what goes by layers on every rank.
 * Collective on the states' team.
 * @param[in] eps  of the block's two norms
 */
sd_status sd_phenomenon_find(const sd_states *states, double eps, sd_unit *unit,
                             sd_phenomenon **out);
void      sd_phenomenon_destroy(sd_phenomenon **phenomenon);

/**
 * @brief Tokens behind a phase's direction: its initial ones, or the others where it has none.
 * @param[out] token  yours, release with sd_free(); ascending
 */
sd_status sd_phenomenon_tokens(const sd_states *states, const sd_phase *phase, int64_t **token,
                               int64_t *n);

#endif
