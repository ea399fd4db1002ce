/**
 * @file phases.h
 * @brief Finds high-norm tokens and the phases in which they are high, from norms alone.
 *
 * The rule (docs/notation.md): a token is high if its norm exceeds 4 times the median of its state
 * over at least 10 % of N states in a row, rounded up. A phase is a maximal run of states in which
 * at least 5 % of the high tokens are high; its tokens are the high tokens one of whose runs meets
 * it. Explosion layers: the median over the phase's tokens of the norm relative to the state's
 * median at least doubles, on the way up to its peak. Decay layers: the median absolute norm falls
 * by 1.5 times or more, after the peak, up to two layers past the run. Plateau: from the output of
 * the last explosion layer to the input of the first decay layer.
 */
#ifndef SD_SOLVERS_PHASES_H
#define SD_SOLVERS_PHASES_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

enum { SD_MAX_PHASES = 4 };

/** Norms of every token in every state. */
typedef struct {
    int64_t       n_layers; /* N; states are 0 .. N                                        */
    int64_t       n_tokens;
    const double *norm;    /* (N + 1) x n_tokens, row-major                                */
    const bool   *initial; /* n_tokens: true at position 0 of a sequence                   */
} sd_norms;

typedef struct {
    int     first, last;                 /* states of the run                                   */
    int     plateau_first, plateau_last; /* states; empty never: at least the peak              */
    double  ratio;                       /* the peak of the median relative norm                */
    int64_t tokens[2];                   /* initial, other                                      */
    bool   *member;                      /* n_tokens: whether the token is one of the phase's   */
    bool   *explosion, *decay;           /* N each: index l - 1 for layer l                     */
} sd_phase;

/** Phases by falling ratio: the dominant one first. Those beyond SD_MAX_PHASES are dropped. */
typedef struct {
    int      n_phases;
    sd_phase phase[SD_MAX_PHASES];
} sd_phases;

/** @brief Median of n values (the mean of the two middle ones when n is even); NaN for n = 0. Reorders `values`. */
double sd_median(int64_t n, double *values);

/** @brief Finds the phases; release with sd_phases_destroy(). Not collective. Errors: SD_ERR_RESOURCE. */
sd_status sd_phases_find(const sd_norms *norms, sd_phases **out);
void      sd_phases_destroy(sd_phases **phases);

/** The factor above which a token's norm stands out of its state. */
extern const double sd_high_factor;

#endif
