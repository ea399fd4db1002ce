/**
 * @file trajectory.h
 * @brief Finds the members of a series of weights that break its path: strangers, detours, wrong
 * places.
 *
 * Training moves weights along a path whose memory fades: correlations c and inner products fall
 * with distance in time. A member j is held against this, with c over all sampled numbers (N of
 * them) and s(j; p, q) = <w_j - w_p, w_j - w_q>, which is smallest where j lies between p and q:
 *
 * - unrelated: c(j, i) <= 4 / sqrt(N), chance, for all i of the run, while its neighbours are
 * related across it; at the ends: while the next interval, at least half as long, keeps c >= 1/2;
 * at the beginning: c so near to 1 that memory which fades ten times as fast would still be seen.
 * - elsewhere: neighbours p, q in the series, not around j, are related and nearer to it and have
 * an s smaller by more than a tenth of the lengths |w_j - w_i| |w_j - w_k| of its own place.
 * - detour: cos of the angle under which j sees its two neighbours is above 3/4.
 *
 * Of a random walk s is 0 at the right place and grows elsewhere; noise of any size on top of the
 * path adds to s(j; p, q) the same at every place. Random walks have a cos of 0, noise alone 1/2,
 * noise that only grows or only shrinks at most 1/sqrt(2). The last two need 3/4 of the blocks to
 * agree, each by itself. docs/hygiene.md derives this and says what it cannot see. Source: ours.
 */
#ifndef SD_SOLVERS_TRAJECTORY_H
#define SD_SOLVERS_TRAJECTORY_H

#include <stdint.h>

#include "solvers/base/status.h"

/** Numbers sampled from each member: the same blocks of the same tensors. */
typedef struct {
    int64_t        n, n_blocks, n_values; /* members, blocks of each, numbers of a block */
    const int64_t *step;                  /* n, ascending                                */
    float         *value;                 /* n x n_blocks x n_values                     */
} sd_trajectory;

typedef enum { SD_PLACE_FITS, SD_PLACE_UNRELATED, SD_PLACE_ELSEWHERE, SD_PLACE_DETOUR } sd_place;

typedef struct {
    sd_place place;
    int64_t  before, after; /* of SD_PLACE_ELSEWHERE: it lies between these members */
} sd_verdict;

/**
 * @brief Judges every member of a series. No two of them are the same.
 *
 * Says nothing of fewer than three members or eight blocks that vary everywhere; an order needs
 * four members.
 *
 * @param[in,out] t    its values are centred by block and scaled to a mean square of 1
 * @param[out]    out  t->n verdicts
 *
 * Not collective. Cost: n^2 / 2 products of n_blocks n_values numbers; n^2 doubles.
 * Errors: SD_ERR_RESOURCE.
 */
sd_status sd_trajectory_judge(const sd_trajectory *t, sd_verdict *out);

#endif
