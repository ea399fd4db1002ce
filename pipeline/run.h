/**
 * @file run.h
 * @brief `singdef run`: a whole study, from the study file to study.h5 and its figures.
 */
#ifndef SD_PIPELINE_RUN_H
#define SD_PIPELINE_RUN_H

#include <mpi.h>

#include "pipeline/command.h"

/**
 * @brief Runs a study. Collective on `world`.
 *
 * Messages are printed as they arise, each once. Returns the gravest of what happened:
 * SD_ERR_INPUT when a checkpoint failed and all else is done; SD_INTERRUPTED when it was stopped.
 */
sd_status sd_run(MPI_Comm world, const sd_arguments *arguments, const char *command_line);

#endif
