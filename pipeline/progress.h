/**
 * @file progress.h
 * @brief Tells a person how far a run is: a bar, or one plain line per checkpoint, on stderr.
 */
#ifndef SD_PIPELINE_PROGRESS_H
#define SD_PIPELINE_PROGRESS_H

#include <stdint.h>

#include "pipeline/command.h"

typedef struct {
    sd_progress mode; /* never SD_PROGRESS_AUTO          */
    int64_t     total;
    double      begin_s; /* MPI_Wtime() at the start        */
} sd_progress_view;

/** @brief Chooses a mode: a bar when stderr is a terminal, for SD_PROGRESS_AUTO. */
sd_progress_view sd_progress_start(sd_progress mode, int64_t total);

/**
 * @brief Shows that a checkpoint has ended, the `done`-th of all.
 * @param[in] what  "measured", "kept" or "failed"
 */
void sd_progress_show(const sd_progress_view *view, int64_t done, const char *run, int64_t step,
                      const char *what, double seconds);

/** @brief Prints one message line, above the bar if there is one: "singdef: " and the text. */
void sd_progress_message(const sd_progress_view *view, const char *text);

/** @brief Ends the bar's line. */
void sd_progress_end(const sd_progress_view *view);

#endif
