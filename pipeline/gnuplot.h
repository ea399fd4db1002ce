/**
 * @file gnuplot.h
 * @brief Runs gnuplot on a figure's script, without a shell.
 */
#ifndef SD_PIPELINE_GNUPLOT_H
#define SD_PIPELINE_GNUPLOT_H

#include "solvers/base/status.h"

/** What gnuplot is to draw. All strings are borrowed. */
typedef struct {
    const char *folder; /* where it runs                                                     */
    const char *script; /* a file name in the folder                                         */
    const char *format; /* value of the script's variable `format`: "pdf", "svg", "png"      */
    const char *output; /* value of its variable `output`: a file name in the folder         */
} sd_gnuplot;

/**
 * @brief Runs `gnuplot SCRIPT` in a folder and waits for its end.
 *
 * The child is spawned, not forked: it shares nothing with MPI's memory. It reads neither the
 * user's settings nor standard input, nothing of what it prints comes out, and the time of day and
 * the language are kept from it.
 *
 * Not collective. Errors: SD_ERR_RESOURCE when gnuplot is missing, cannot start, or fails; the
 * message then holds the first line that it printed.
 */
sd_status sd_gnuplot_run(const sd_gnuplot *job);

#endif
