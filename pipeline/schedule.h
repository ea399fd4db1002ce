/**
 * @file schedule.h
 * @brief Shares tasks out over teams of ranks: each team takes the next one from a shared counter.
 *
 * The counter lives on rank 0 of the world and is advanced by one-sided fetch-and-add, so slow
 * tasks do not hold up fast teams. Over TCP such an operation is served only when rank 0 enters
 * MPI: it calls sd_interrupt_poll() while it computes (tests/contracts/test_counter_tcp.sh).
 */
#ifndef SD_PIPELINE_SCHEDULE_H
#define SD_PIPELINE_SCHEDULE_H

#include <mpi.h>
#include <stdint.h>

#include "solvers/base/status.h"

typedef struct sd_schedule sd_schedule;

/**
 * @brief Splits `world` into teams of neighbouring ranks and starts the counter.
 *
 * @param[in]  world      borrowed for the schedule's life
 * @param[in]  team_size  (same) ranks per team, the last one may be smaller; 0 chooses: one rank
 *                        each or, when there are more ranks than tasks, as many teams as tasks with
 *                        sizes that differ by one at most
 * @param[in]  n_tasks    (same) tasks are 0 ... n_tasks - 1
 * @param[out] out        yours, release with sd_schedule_destroy(); NULL on failure
 *
 * Collective on `world`. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_schedule_create(MPI_Comm world, int64_t team_size, int64_t n_tasks, sd_schedule **out);
/** @brief Releases it, and the teams; NULL is fine; sets NULL. Collective on the world. */
void sd_schedule_destroy(sd_schedule **schedule);

/** @brief This rank's team; rank 0 of it leads. */
MPI_Comm sd_schedule_team(const sd_schedule *schedule);

/** @brief The team's next task, or -1 when there is none left. Collective on the team. */
int64_t sd_schedule_next(sd_schedule *schedule);

/** @brief Hands out no further task to anybody. Called by any rank, or by all. */
void sd_schedule_stop(sd_schedule *schedule);

/** @brief Counts a task as ended and returns how many are, with this one. Called by a team's
 * leader. */
int64_t sd_schedule_count_done(sd_schedule *schedule);

#endif
