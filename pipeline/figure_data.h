/**
 * @file figure_data.h
 * @brief What the figures share: numbers and names in their data files, heat maps, the ratio curve.
 */
#ifndef SD_PIPELINE_FIGURE_DATA_H
#define SD_PIPELINE_FIGURE_DATA_H

#include <stdio.h>

#include "io/results.h"

/** @brief Writes a tab and a number with 9 digits; "NaN" when it is not finite. */
void sd_figure_number(FILE *data, double value);

/**
 * @brief Writes a text in double quotes; what would end the field or start a comment becomes a
 * space, a double quote becomes a single one.
 */
void sd_figure_text(FILE *data, const char *text);

/** @brief Starts a block of the data file: blank lines, except before the first, and a comment. */
void sd_figure_block(FILE *data, const char *comment);

/**
 * @brief Writes a heat map's block: column, layer, value, the value in words, the step.
 *
 * The words are empty where the map has too many cells to print them, and so are the steps of
 * columns between those that the axis labels.
 *
 * @param[in] value   n_steps x n_layers with the given stride between layers; borrowed
 * @param[in] digits  after the decimal point, in the words
 */
void sd_figure_map(FILE *data, const sd_run_info *run, const double *value, int64_t stride,
                   int digits);

/**
 * @brief Reads how far the initial tokens stand out at each step of a run.
 *
 * Per step the largest, over the states, of the initial tokens' mean norm over the other tokens'
 * median norm; NaN where no state has both.
 *
 * @param[out] ratio  n_steps values; yours, release with sd_free()
 * @param[out] state  where it is largest, or -1; n_steps values, yours; NULL when not wanted
 */
sd_status sd_figure_peaks(const sd_results *results, int64_t run, double **ratio, int64_t **state);

/** @brief Whether a step of a run has a finding (docs/hygiene.md): 1 or 0. */
int sd_figure_in_question(const sd_results *results, int64_t run, int64_t step);

/**
 * @brief Ends a caption with the steps of a run that have findings; writes nothing without any.
 * @param[in] mark  how the figure shows them: "A grey cross marks"
 */
void sd_figure_caption_findings(const sd_results *results, int64_t run, const char *mark,
                                FILE *caption);

/** @brief Index of the run named `name`, or -1; NULL and "" give -1. */
int64_t sd_figure_find_run(const sd_results *results, const char *name);

/**
 * @brief Step that a run's own steps count from: its ancestors' last steps added up; 0 without a
 * parent. A parent that is not in the file, or a circle of parents, ends the sum.
 */
int64_t sd_figure_step_offset(const sd_results *results, int64_t run);

/** @brief Index of the last of n values (`stride` apart) that is a number, or -1. */
int64_t sd_figure_last_number(int64_t n, const double *value, int64_t stride);

#endif
