/**
 * @file h5.h
 * @brief HDF5 as this program uses it; private to the result files of io/.
 *
 * HDF5's own printing is off. A failing call becomes one message that names the file and, where the
 * system refused, its reason. The serial driver only: a file belongs to one process. All objects
 * are of the 1.8 format, whose metadata carry checksums: random damage is an error, not a crash.
 * Nothing that is written depends on time: object times are not tracked.
 */
#ifndef SD_IO_H5_H
#define SD_IO_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/schema.h"
#include "solvers/base/status.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "arrays are written and hashed as they lie in memory: little-endian"
#endif

/** Whose call it is: what a failure means and which file it names. */
typedef struct {
    const char *file; /* borrowed, as people know it (not the temporary name)      */
    sd_status   code; /* SD_ERR_RESOURCE while writing, SD_ERR_CHECK while reading */
} sd_h5;

/* An HDF5 call inside SD_TRY: SD_TRY(SD_H5(h5, id = H5Dopen2(...))). */
#define SD_H5(h5, call) sd_h5_status((h5), (int64_t)(call))

/** @brief SD_OK for a value >= 0, otherwise h5->code with HDF5's reason as message. */
sd_status sd_h5_status(const sd_h5 *h5, int64_t value);

/** @brief Closes anything but a file, if valid, and forgets it. */
void sd_h5_close(hid_t *id);

/* ---- files ---- */

/** @brief Creates a file; `path` is where, h5->file what it is called in messages. */
sd_status sd_h5_file_create(const sd_h5 *h5, const char *path, hid_t *out);

/**
 * @brief Opens a file for reading. Errors: SD_ERR_INPUT when there is no such file or it may not be
 * read, SD_ERR_CHECK when it is not HDF5 or damaged.
 * @param[out] bytes  size of the file
 */
sd_status sd_h5_file_open(const sd_h5 *h5, hid_t *out, int64_t *bytes);

/**
 * @brief Checks the form of a file's global heaps by reading its bytes.
 *
 * They hold the datasets' lists of dimension scales and are the one part of the format without
 * checksums. The library (seen in 1.10.8) reads past its memory when one is damaged, so nothing
 * here reads from them, and a damage that would crash other readers is found by this. Cost: reads
 * the file once.
 */
sd_status sd_h5_check_heaps(const sd_h5 *h5, int64_t file_bytes);

/** @brief Closes a file with everything in it; the last chance for a full disk to say so. */
sd_status sd_h5_file_close(const sd_h5 *h5, hid_t *file);

/**
 * @brief Closes a file that failed or was only read; errors are of no interest any more.
 */
void sd_h5_file_abandon(hid_t *file);

/* ---- groups and attributes ---- */

/** @brief Opens a group of one name, making it when it is not there. */
sd_status sd_h5_group(const sd_h5 *h5, hid_t parent, const char *name, hid_t *out);

/** @brief Writes an attribute: fixed-length UTF-8, int64 or float64. */
sd_status sd_h5_put_text(const sd_h5 *h5, hid_t object, const char *name, const char *text);
sd_status sd_h5_put_int(const sd_h5 *h5, hid_t object, const char *name, int64_t value);
sd_status sd_h5_put_real(const sd_h5 *h5, hid_t object, const char *name, double value);

/** @brief Reads an attribute that must be a fixed-length string; yours, sd_free(). */
sd_status sd_h5_get_text(const sd_h5 *h5, hid_t object, const char *name, char **out);
sd_status sd_h5_get_int(const sd_h5 *h5, hid_t object, const char *name, int64_t *out);
sd_status sd_h5_get_real(const sd_h5 *h5, hid_t object, const char *name, double *out);

/* ---- datasets ---- */

enum { SD_H5_RANK = SD_VARIABLE_DIMS + 1 };

/** What a dataset is, apart from its values. */
typedef struct {
    const char *name, *units, *long_name;
    hid_t       type; /* in the file and in memory */
    int         rank;
    hsize_t     dims[SD_H5_RANK];
    hid_t       scale[SD_H5_RANK]; /* H5I_INVALID_HID: none (the scale itself) */
} sd_h5_spec;

/** @brief Creates a contiguous dataset with its scales, units and long_name. */
sd_status sd_h5_dataset_create(const sd_h5 *h5, hid_t parent, const sd_h5_spec *spec, hid_t *out);

/**
 * @brief Creates a dataset, writes it whole, and records its sha256.
 * @param[out] out  NULL, or the open dataset (a scale that others will name)
 */
sd_status sd_h5_dataset_put(const sd_h5 *h5, hid_t parent, const sd_h5_spec *spec,
                            const void *values, hid_t *out);

/** A dimension scale: exactly one of `values` and `labels` is not NULL. */
typedef struct {
    const char        *name, *long_name;
    int64_t            n;
    const int64_t     *values; /* n            */
    const char *const *labels; /* n, or NULL   */
} sd_h5_scale;

/** @brief Writes one dimension scale. `out`: the open dataset, which variables will name. */
sd_status sd_h5_scale_put(const sd_h5 *h5, hid_t parent, const sd_h5_scale *scale, hid_t *out);

/**
 * @brief Writes strings as one dataset, zero-padded to the longest.
 * @param[in] spec  all but the type; dims[0] strings
 */
sd_status sd_h5_strings_put(const sd_h5 *h5, hid_t parent, const sd_h5_spec *spec,
                            const char *const *text);

/** @brief A fixed-length, zero-terminated UTF-8 string type. */
sd_status sd_h5_text_type(const sd_h5 *h5, int64_t bytes, hid_t *out);

/** @brief The file's type of a schema type; owned by HDF5. */
hid_t sd_h5_type(sd_type type);

/**
 * @brief Opens a dataset of a path and holds it to what it must be.
 *
 * Every link on the way must be a hard one: a file cannot lead the reader into another. Storage
 * must be in the file and not larger than it (filtered chunks: 1100 times, more than deflate can
 * do), so that what is allocated for it is bounded by real bytes.
 *
 * @param[in] spec        name, rank and dims count; type too, unless it is H5I_INVALID_HID
 * @param[in] file_bytes  size of the file
 */
sd_status sd_h5_dataset_open(const sd_h5 *h5, hid_t parent, const sd_h5_spec *spec,
                             int64_t file_bytes, hid_t *out);

/** @brief Opens whatever dataset a path leads to over hard links. */
sd_status sd_h5_any_dataset_open(const sd_h5 *h5, hid_t parent, const char *path, hid_t *out);

/** @brief Length of a dataset that must have one dimension, and at most `most` entries. */
sd_status sd_h5_length(const sd_h5 *h5, hid_t group, const char *name, int64_t most, int64_t *out);

/** @brief Compares a dataset's sha256 attribute with its values; reads row by row. */
sd_status sd_h5_verify(const sd_h5 *h5, hid_t dataset, const char *shown);

/** @brief The same for values that were read already: their bytes as in the file. */
sd_status sd_h5_verify_values(const sd_h5 *h5, hid_t dataset, const char *shown, const void *values,
                              int64_t bytes);

#endif
