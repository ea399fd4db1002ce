/**
 * @file align.h
 * @brief Keeps a phase's number along a run: matches phases of one checkpoint to another's.
 */
#ifndef SD_PIPELINE_ALIGN_H
#define SD_PIPELINE_ALIGN_H

#include "io/results.h"
#include "solvers/phases.h"

/** What phases are told apart by. */
typedef struct {
    int     n; /* phases: those with a first state                    */
    int     first[SD_MAX_PHASES], last[SD_MAX_PHASES];
    int64_t d;
    double *direction; /* SD_MAX_PHASES x d                                   */
} sd_phase_marks;

/**
 * @brief Copies the marks of a unit's phases; release with sd_phase_marks_release(), also after a
 * failure. Not collective. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_phase_marks_read(const sd_unit *unit, sd_phase_marks *out);
/** @brief Releases them and leaves no phases. */
void sd_phase_marks_release(sd_phase_marks *marks);

/**
 * @brief Gives each phase of `marks` its number (from 0) in the numbering of `last`.
 *
 * Pairs are taken in falling order of (share of states in common) + |cos| of their directions; a
 * pair needs states in common. A phase without a partner takes a number that `last` does not use,
 * or -1 when there is none left.
 *
 * @param[out] slot  SD_MAX_PHASES; -1 also for entries that are no phase
 */
void sd_phase_align(const sd_phase_marks *last, const sd_phase_marks *marks, int *slot);

/**
 * @brief Moves every variable of a unit that goes by phases, and the numbers in layer_role.
 *
 * What stood for phase k then stands for phase slot[k]; places that nothing moves to are NaN or -1,
 * and a role of a phase without a number becomes 0.
 *
 * @param[in,out] unit  all of its variables are there
 * @param[in]     slot  SD_MAX_PHASES, as sd_phase_align() gives them: no two alike but -1
 *
 * Not collective. Errors: SD_ERR_RESOURCE; SD_ERR_CHECK for a role that is no phase's number: the
 * unit comes from a file.
 */
sd_status sd_phase_renumber(sd_unit *unit, const int *slot);

#endif
