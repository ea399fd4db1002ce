/**
 * @file series.h
 * @brief Finds the holes of a regular series of steps.
 *
 * A gap is a hole when it is a whole multiple, two or more, of the interval around it: of both
 * neighbours, when three gaps of the series have that length; or twice the three that follow it, or
 * that lead to it, when the gap on its other side is shorter than itself (intervals that change do
 * not change back; more than one step left out at an end may well be meant). Intervals are
 * differences, or ratios of a geometric part (1, 2, 4, 8, ...).
 */
#ifndef SD_SOLVERS_SERIES_H
#define SD_SOLVERS_SERIES_H

#include <stdint.h>

#include "solvers/base/status.h"

/** A hole between step[after] and step[after + 1]. */
typedef struct {
    int64_t after;
    int64_t first, count; /* the first missing step, and how many are */
} sd_hole;

/**
 * @brief Lists the holes of n steps.
 *
 * @param[in]  step   ascending, none negative
 * @param[out] count  of holes
 * @param[out] hole   room for n
 *
 * Not collective. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_series_holes(int64_t n, const int64_t *step, int64_t *count, sd_hole *hole);

#endif
