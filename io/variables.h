/**
 * @file variables.h
 * @brief The group that holds one checkpoint's or one run's variables; private to the result files.
 *
 * A run of study.h5 and a unit file look the same, but for the dimension `step` in front, the
 * derived variables and the dimension scales, which a unit has not. Scales lie in the run's group,
 * where netCDF and xarray look for the dimensions of the groups below. Only `phase` lies in each
 * group that uses it (phase/phase, linear/phase, decay/phase): the run has a group of that name,
 * and xarray refuses a variable and a group of one name in one place. So do the dimensions of a
 * group that may be absent.
 */
#ifndef SD_IO_VARIABLES_H
#define SD_IO_VARIABLES_H

#include "io/digest.h"
#include "io/h5.h"

enum { SD_NO_STEPS = -1 }; /* a unit: no dimension `step`, no derived variables */

/** Open scales, by dimension; H5I_INVALID_HID where there is none. */
typedef struct {
    hid_t id[SD_DIM_COUNT];
} sd_scales;

void sd_scales_clear(sd_scales *scales);
void sd_scales_close(sd_scales *scales);

/** @brief Creates the scales that lie in a run's group. */
sd_status sd_scales_create(const sd_h5 *h5, hid_t run, const sd_shape *shape, int64_t n_steps,
                           const int64_t *step, sd_scales *out);

/**
 * @brief Where a scale lies, seen from the run: "step", or "linear/phase" for a variable of
 * linear/.
 * @param[out] out  at least SD_SCALE_PATH bytes
 */
void sd_scale_path(sd_variable_id id, sd_dim dim, char *out);

enum { SD_SCALE_PATH = 64 };

/** Open variables, with the running hash of each. */
typedef struct {
    sd_shape   shape;
    int64_t    n_steps; /* or SD_NO_STEPS */
    hid_t      dataset[SD_V_COUNT];
    sd_digest *digest[SD_V_COUNT];
    int64_t    written[SD_V_COUNT]; /* steps so far */
} sd_variables_out;

/** @brief Makes nothing valid, so that sd_variables_release() may be called. */
void sd_variables_clear(sd_variables_out *out);

/**
 * @brief Creates all variables in a group; values come by sd_variables_put().
 * @param[in] scales  the run's, to attach; NULL: none (a unit)
 */
sd_status sd_variables_create(const sd_h5 *h5, hid_t group, const sd_shape *shape, int64_t n_steps,
                              const sd_scales *scales, sd_variables_out *out);

/** @brief Writes one step of a variable; step_index counts up from 0 for each variable. */
sd_status sd_variables_put(const sd_h5 *h5, sd_variables_out *out, int64_t step_index,
                           sd_variable_id id, const void *value);

/** @brief Records the checksums, after every variable of every step was written. */
sd_status sd_variables_finish(const sd_h5 *h5, sd_variables_out *out);

void sd_variables_release(sd_variables_out *out);

/**
 * @brief Describes a variable as it must be in a file: name, type, dimensions.
 * @param[in] n_steps  length of the first dimension, or SD_NO_STEPS
 */
sd_h5_spec sd_variable_spec(sd_variable_id id, const sd_shape *shape, int64_t n_steps);

/** @brief Describes a dataset beside the variables, of length n (n x n); strings have no type yet.
 */
sd_h5_spec sd_column_spec(sd_column_id id, int64_t n);

/** @brief The dimension at place `i` of a variable, with step (when there is one) at place 0. */
sd_dim sd_variable_dim(sd_variable_id id, int64_t n_steps, int i);

/** @brief Whether a file of this shape with n_steps (or SD_NO_STEPS) holds the variable. */
bool sd_variable_is_stored(sd_variable_id id, const sd_shape *shape, int64_t n_steps);

/**
 * @brief Completes the shape by the stages that were asked for: those whose group is there.
 * @param[in] group  a unit file, or a run of study.h5
 */
sd_status sd_shape_get_asked(const sd_h5 *h5, hid_t group, sd_shape *shape);

#endif
