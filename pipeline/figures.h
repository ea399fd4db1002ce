/**
 * @file figures.h
 * @brief Draws the figures of a study: every figure of pipeline/figures/, through gnuplot.
 *
 * Of each figure NAME the folder then holds
 *
 *     NAME.pdf  NAME.svg  NAME.png   those of them that were asked for
 *     NAME.gp   NAME.tsv             the script and its data: `gnuplot NAME.gp` draws NAME.png
 * again, `gnuplot -e "format='pdf'" NAME.gp` another format NAME.txt                       the
 * caption, with this study's numbers
 *
 * The same study gives the same bytes, whatever the time and the folder (gnuplot's version
 * matters).
 */
#ifndef SD_PIPELINE_FIGURES_H
#define SD_PIPELINE_FIGURES_H

#include "io/results.h"

/**
 * @brief Draws every figure of a study into `folder`, which is made when it is not there.
 *
 * Each file is written under a temporary name (".NAME.EXT.PID.tmp") and renamed, so that a kill
 * leaves old files or new ones. A figure that has nothing to show leaves its caption only, which
 * says why; its older files, and those of formats not asked for, are removed, because they would
 * show another study's data. Temporaries that a killed run left in the folder are removed.
 *
 * @param[in] results  borrowed
 * @param[in] folder   borrowed; the caller holds the lock of the folder that it lies in
 * @param[in] formats  any of "pdf", "svg", "png"; NULL-terminated; none: scripts, data, captions
 * only
 *
 * Not collective; starts gnuplot as a child process, without a shell. Cost: about 0.2 s per file.
 * Errors: SD_ERR_USAGE for another format; SD_ERR_CHECK for a study without runs; SD_ERR_RESOURCE
 * when a file cannot be written, when gnuplot is missing, or when it fails (the first line that it
 * printed is in the message); those of sd_results_read().
 */
sd_status sd_figures_draw(const sd_results *results, const char *folder,
                          const char *const *formats);

#endif
