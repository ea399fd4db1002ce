/**
 * @file measure.h
 * @brief Measures one checkpoint on a team of ranks: two readings, every stage, one unit.
 */
#ifndef SD_PIPELINE_MEASURE_H
#define SD_PIPELINE_MEASURE_H

#include <mpi.h>
#include <stdbool.h>

#include "io/results.h"
#include "pipeline/study.h"
#include "solvers/base/poll.h"

/** What to measure, and with whom. Everything is borrowed. */
typedef struct {
    const sd_study            *study;
    const sd_study_run        *run;
    const sd_study_checkpoint *checkpoint;
    MPI_Comm                   team;
    const sd_poll             *poll;
    const char                *unit_file; /* where the unit is, or will be */
} sd_measure_job;

typedef enum { SD_MEASURED, SD_KEPT } sd_measure_outcome;

/** Text, once encoded, is kept from one checkpoint to the next as long as the tokeniser is the
 * same. */
typedef struct sd_token_cache sd_token_cache;

/** @brief Makes an empty one; yours, release with sd_token_cache_destroy(). Errors:
 * SD_ERR_RESOURCE. */
sd_status sd_token_cache_create(sd_token_cache **out);

/** @brief Releases it; NULL is fine; sets NULL. */
void sd_token_cache_destroy(sd_token_cache **cache);

/**
 * @brief Measures a checkpoint and writes its unit, unless a unit that was made from the same
 * checkpoint by the same settings is there.
 *
 * Collective on job->team; the same status on every rank. The weights are read twice at most:
 * layers are read by their owners (layer l by rank l mod size) and sent to the others, so a rank
 * holds two layers at a time. Errors: SD_ERR_INPUT for a checkpoint, tokeniser or text at fault;
 * SD_INTERRUPTED; SD_ERR_RESOURCE.
 */
sd_status sd_measure(const sd_measure_job *job, sd_token_cache *cache, sd_measure_outcome *outcome);

#endif
