/**
 * @file glimpse.h
 * @brief What the survey keeps of one checkpoint: hashes of a sample, some numbers, remarks.
 *
 * A glimpse is one run of bytes without pointers, so that it is sent to another rank as it is.
 */
#ifndef SD_PIPELINE_GLIMPSE_H
#define SD_PIPELINE_GLIMPSE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/digest.h"
#include "pipeline/hygiene.h"
#include "pipeline/study.h"
#include "solvers/base/poll.h"

/** Kinds of findings, in the order in which they are told of one checkpoint. */
typedef enum {
    SD_KIND_CONSTANT,
    SD_KIND_EXTRA,
    SD_KIND_IDENTICAL,
    SD_KIND_SHARED,
    SD_KIND_UNRELATED,
    SD_KIND_ORDER,
    SD_KIND_DETOUR,
    SD_KIND_MISSING,
} sd_finding_kind;

/** Tensors, of a file or of all: two hashes, of their names, types and shapes, and of the sample.
 */
typedef struct {
    char names[SD_XXH128_HEX], bytes[SD_XXH128_HEX];
    bool moves;               /* one of them is a weight that is not constant */
    char shown[SD_SHOWN_LEN]; /* the file's name */
} sd_glimpse_file;

typedef struct {
    int32_t kind; /* sd_finding_kind */
    char    message[SD_FINDING_LEN];
} sd_glimpse_remark;

typedef struct {
    int64_t         size; /* bytes of all of it */
    int64_t         task; /* number of the checkpoint in the study, runs end to end */
    int64_t         n_blocks, n_values, n_files, n_remarks;
    sd_glimpse_file all;
} sd_glimpse;

/** @brief n_blocks x n_values sampled numbers of its matrices. */
const float *sd_glimpse_values(const sd_glimpse *glimpse);
/** @brief Its n_files files. */
const sd_glimpse_file *sd_glimpse_files(const sd_glimpse *glimpse);
/** @brief Its n_remarks remarks. */
const sd_glimpse_remark *sd_glimpse_remarks(const sd_glimpse *glimpse);

/**
 * @brief Samples a checkpoint.
 *
 * @param[in]  path    from the current folder
 * @param[in]  base    of an adapter, or NULL: as sd_checkpoint_open_adapted() has it
 * @param[in]  budget  numbers to keep, about
 * @param[in]  poll    called after each tensor; borrowed until return
 * @param[out] out     yours, release with sd_free(); NULL for a checkpoint that cannot be opened or
 *                     read: it fails when its turn comes, with its message
 *
 * Not collective. Cost: a few KiB of each tensor, and all of those that look constant.
 * Errors: SD_ERR_RESOURCE; SD_INTERRUPTED from the poll.
 */
sd_status sd_glimpse_take(const char *path, const char *base, int64_t task, int64_t budget,
                          const sd_poll *poll, sd_glimpse **out);

/** @brief A copy without the sampled numbers; yours, release with sd_free(). Errors:
 * SD_ERR_RESOURCE. */
sd_status sd_glimpse_without_values(const sd_glimpse *glimpse, sd_glimpse **out);

/**
 * @brief Hashes all bytes of the tensors of the file-th file, or of all files for -1.
 *
 * @param[out] hex  "" for a checkpoint that cannot be read
 *
 * Not collective. Errors: SD_ERR_RESOURCE; SD_INTERRUPTED from the poll.
 */
sd_status sd_glimpse_confirm(const char *path, const char *base, int64_t file, const sd_poll *poll,
                             char hex[SD_XXH128_HEX]);

#endif
