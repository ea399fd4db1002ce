/**
 * @file phases.h
 * @brief Finds high-norm tokens and the phases in which they are high, from norms alone.
 *
 * The rule (docs/notation.md), with relative norm = norm / median of the state over all tokens:
 *
 * - A token is **high** where its relative norm exceeds 4 in at least 10 % of N states in a row,
 *   rounded up. Such a stretch is a *run* of the token.
 * - A **phase** is a maximal stretch first .. last of states each of which lies in runs of at least
 *   5 % of the high tokens. Its tokens are those one of whose runs meets it.
 * - Its **peak** is the state of the stretch where the median of its tokens' relative norms is
 *   largest (the earliest of equals); that median is its ratio.
 * - **Explosion layers**, from `first` - 1 to the peak: the median relative norm of the phase's
 *   tokens at least doubles from the layer's input to its output. (One layer earlier than `first`,
 *   because a layer may begin the rise without reaching 4.)
 * - **Decay layers**, behind the peak and up to `last` + 2: the median norm of the phase's tokens
 *   falls by 1.5 times or more.
 * - **Plateau**: from the output of the last explosion layer (`first` if there is none) to the
 * input of the first decay layer (`last` if there is none). It holds the peak.
 *
 * A state whose median is not a positive finite number has no high tokens.
 *
 * Source: ours. The factor 4 was chosen after seeing two models; on SmolLM2-135M the same phases
 * come from 3, 4 and 6 (tests/oracle/test_phases_smollm2.c).
 */
#ifndef SD_SOLVERS_PHASES_H
#define SD_SOLVERS_PHASES_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

enum { SD_MAX_PHASES = 4 };

/** Norms of every token in every state. All arrays are borrowed until the call returns. */
typedef struct {
    int64_t       n_layers; /* N >= 1; states are 0 .. N                                      */
    int64_t       n_tokens; /* >= 0                                                           */
    const double *norm;     /* (N + 1) x n_tokens, row-major; NaN counts as not high          */
    const bool   *initial;  /* n_tokens: true at position 0 of a sequence                     */
} sd_norms;

/** One phase; states count from 0. */
typedef struct {
    int     first, last;                 /* states of the stretch                             */
    int     plateau_first, plateau_last; /* states of the plateau                             */
    double  ratio;                       /* the peak of the median relative norm              */
    int64_t tokens[2];                   /* how many: initial, other                          */
    bool   *member;                      /* n_tokens: whether the token is one of the phase's */
    bool   *explosion, *decay;           /* N each: index l - 1 for layer l                   */
} sd_phase;

/** Phases by falling ratio: the dominant one first. Those beyond SD_MAX_PHASES are dropped. */
typedef struct {
    int      n_phases;
    sd_phase phase[SD_MAX_PHASES];
} sd_phases;

/** The factor above which a token's norm stands out of its state. */
extern const double sd_high_factor;

/**
 * @brief Median: the mean of the two middle values when n is even; NaN for n = 0 or a NaN inside.
 *
 * @param[in,out] values  n values; reordered
 *
 * Not collective. Cost: n log n.
 */
double sd_median(int64_t n, double *values);

/**
 * @brief Finds the phases of one checkpoint.
 *
 * @param[in]  norms  as described there
 * @param[out] out    yours, release with sd_phases_destroy(); n_phases is 0 when no token is high;
 *                    phases of equal ratio stand by their first state; NULL on failure
 *
 * Not collective. Depends on the order of tokens only through `member`.
 * Cost: (N + 1) n_tokens log n_tokens per phase at most; holds (N + 1) n_tokens + 8 n_tokens bytes.
 * Errors: SD_ERR_RESOURCE; SD_ERR_INTERNAL for sizes out of range.
 */
sd_status sd_phases_find(const sd_norms *norms, sd_phases **out);

/** @brief Releases them; NULL is fine; sets NULL. */
void sd_phases_destroy(sd_phases **phases);

#endif
