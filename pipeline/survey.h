/**
 * @file survey.h
 * @brief Looks at all checkpoints of a study before the computing: is each what its name says?
 *
 * Finds identical checkpoints and shards under different steps, checkpoints that break the path of
 * their run, missing steps, constant tensors and tensors that the family does not know.
 * docs/hygiene.md has the rules. Suspicion changes nothing in what is measured.
 */
#ifndef SD_PIPELINE_SURVEY_H
#define SD_PIPELINE_SURVEY_H

#include <mpi.h>

#include "io/results.h"
#include "pipeline/study.h"
#include "solvers/base/poll.h"

/** Findings ordered by run, step and kind; names and paths are the study's, messages owned. */
typedef struct {
    int64_t     n;
    sd_finding *item;
} sd_findings;

/** @brief Releases them; an empty list is fine. */
void sd_findings_release(sd_findings *findings);

/**
 * @brief Surveys a study; the same findings on any number of ranks.
 *
 * @param[in]  study     (same) with its checkpoints; borrowed for the findings' life
 * @param[in]  poll      called between tensors; borrowed until return
 * @param[out] findings  complete on rank 0, empty elsewhere; release with sd_findings_release()
 *
 * Collective on `world`. Cost: a few KiB of each tensor; whole readings of what the sample makes
 * look identical or constant. Rank 0 holds the samples of one run, 256 MiB at most.
 * Errors: SD_ERR_RESOURCE; SD_INTERRUPTED. A checkpoint that cannot be read is no error here.
 */
sd_status sd_survey(MPI_Comm world, const sd_study *study, const sd_poll *poll,
                    sd_findings *findings);

#endif
