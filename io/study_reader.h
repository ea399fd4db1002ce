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

/** The table /findings: its rows, and the columns' strings, n of each side by side. */
typedef struct {
    int64_t     n;
    sd_finding *row;
    char       *run, *path, *kind, *message;
} sd_findings_reader;

struct sd_results {
    char              *file, *title;
    hid_t              id;
    int64_t            bytes; /* of the file */
    int64_t            n_runs;
    sd_run_reader     *run;
    sd_findings_reader findings;
};

/** @brief Number of links of /runs, which becomes open. */
sd_status sd_runs_open(const sd_h5 *h5, hid_t file, hid_t *runs, int64_t *n);

/**
 * @brief Opens the i-th run and reads what describes it; `run` must be zero but for group, which
 * must be H5I_INVALID_HID. After a failure, too, it is closed with sd_run_close(); its name may be
 * known.
 */
sd_status sd_run_open(const sd_h5 *h5, hid_t runs, int64_t i, int64_t file_bytes,
                      sd_run_reader *run);
void      sd_run_close(sd_run_reader *run);

#endif
