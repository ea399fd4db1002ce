/**
 * @file study_reader.h
 * @brief An open study.h5 as its reader and its check see it; private to the result files.
 */
#ifndef SD_IO_STUDY_READER_H
#define SD_IO_STUDY_READER_H

#include "io/h5.h"
#include "io/results.h"

/** One run: the public info, and what owns its parts. */
typedef struct {
    sd_run_info  info;
    hid_t        group;
    char        *name, *family, *parent; /* NUL-terminated; info points here */
    int64_t     *step;
    char        *path_bytes, *fingerprint_bytes; /* n_steps strings side by side */
    const char **path, **fingerprint;
} sd_run_reader;

struct sd_results {
    char          *file, *title;
    hid_t          id;
    int64_t        bytes; /* of the file */
    int64_t        n_runs;
    sd_run_reader *run;
};

#endif
