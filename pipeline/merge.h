/**
 * @file merge.h
 * @brief Puts the units of a study together: phases that keep their identity, angles along the run.
 */
#ifndef SD_PIPELINE_MERGE_H
#define SD_PIPELINE_MERGE_H

#include "io/results.h"
#include "pipeline/study.h"
#include "pipeline/survey.h"

/** What became of one checkpoint. */
typedef struct {
    bool  complete; /* its unit is there and current         */
    char *message;  /* why it failed, or NULL                */
} sd_outcome;

/**
 * @brief Writes DIR/study.h5 from the units of all complete checkpoints. One process calls it.
 *
 * Within a run, phases are matched to those of its last complete checkpoint by plateau and
 * direction, so that phase k is the same thing at every step; before it has emerged its entries are
 * NaN. The angle to a parent is to the checkpoint that the study says, NaN when that one failed. A
 * unit whose sizes differ from the last one's is left out and recorded as a failure. A run without
 * a complete checkpoint has no group: its sizes are not known, its failures are recorded.
 *
 * @param[in]     folder      DIR; its units are where sd_unit_path() says
 * @param[in,out] outcome     one per checkpoint, runs end to end; what is left out stops being
 *                            complete and gets a message (sd_free()), which is printed as well
 * @param[in]     findings    of the survey, for /findings
 * @param[in]     provenance  as it will stand in the file, without timings
 *
 * Not collective. Errors: SD_ERR_RESOURCE; SD_ERR_CHECK for a unit that is damaged. study.h5 is
 * then as it was.
 */
sd_status sd_merge(const sd_study *study, const char *folder, sd_outcome *outcome,
                   const sd_findings *findings, const sd_provenance *provenance);

/** @brief DIR/units/RUN/STEP.h5; yours, release with sd_free(). */
sd_status sd_unit_path(const char *folder, const char *run, int64_t step, char **out);

#endif
