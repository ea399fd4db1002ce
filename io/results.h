/**
 * @file results.h
 * @brief Result files: one unit per checkpoint, merged into study.h5. All of HDF5 is behind this.
 *
 * Every file is written under a temporary name beside its own (".NAME.PID.tmp"), closed, fsynced,
 * renamed, and its folder fsynced: a kill at any instant leaves the old file or the new one.
 * The layout is docs/results.md; the variables are schema.h.
 */
#ifndef SD_IO_RESULTS_H
#define SD_IO_RESULTS_H

#include "io/schema.h"
#include "solvers/base/status.h"

/* ---- units ---- */

/** What a unit is about. Strings are owned by the unit. */
typedef struct {
    char   *run, *path;  /* as the study writes them                                        */
    char   *fingerprint; /* "xxh3-128:..."                                                  */
    char   *key;         /* hash of everything that determines the unit, hex                */
    char   *family;      /* "llama"                                                         */
    int64_t step, vocabulary;
    double  elapsed_s; /* kept in the unit's /provenance                                  */
} sd_unit_info;

/** All variables of one checkpoint. */
typedef struct {
    sd_unit_info info;
    sd_shape     shape;
    void        *value[SD_V_COUNT]; /* sd_variable_elements() each; NaN or -1 until filled        */
} sd_unit;

/** @brief Allocates all variables, filled with NaN or -1. Info's strings are NULL. */
sd_status sd_unit_create(const sd_shape *shape, sd_unit **out);
void      sd_unit_destroy(sd_unit **unit);

double  *sd_unit_f64(const sd_unit *unit, sd_variable_id id);
float   *sd_unit_f32(const sd_unit *unit, sd_variable_id id);
int32_t *sd_unit_i32(const sd_unit *unit, sd_variable_id id);

/**
 * @brief Writes a unit file, atomically.
 *
 * @param[in] unit  all strings of its info set; derived variables are not written
 * @param[in] file  its folder exists; replaced if it exists
 *
 * Not collective. Cost: the values once, two fsyncs.
 * Errors: SD_ERR_RESOURCE when it cannot be written (disk full, no such folder): the file is as it
 * was and no temporary stays.
 */
sd_status sd_unit_write(const sd_unit *unit, const char *file);

/**
 * @brief Reads a unit file back; derived variables stay missing.
 *
 * Sizes are held against the file's own before anything is allocated, and every checksum is
 * verified.
 *
 * @param[out] out  yours, release with sd_unit_destroy()
 *
 * Not collective. Errors: SD_ERR_INPUT when there is no such file or it may not be read;
 * SD_ERR_CHECK when it is damaged or not of this schema: the caller computes it again;
 * SD_ERR_RESOURCE without memory.
 */
sd_status sd_unit_read(const char *file, sd_unit **out);

/* ---- study.h5, written ---- */

typedef struct sd_study_file sd_study_file;

/** One run, as the merge writes it. */
typedef struct {
    const char        *name, *family, *parent; /* parent NULL when there is none        */
    sd_shape           shape;
    int64_t            vocabulary, n_steps;
    const int64_t     *step;                      /* n_steps, ascending                    */
    const char *const *path, *const *fingerprint; /* n_steps each                          */
} sd_run_info;

typedef struct {
    const char *run, *path, *message;
    int64_t     step;
} sd_failure;

/** Something about a checkpoint that a reader of its numbers should know; it was measured anyway.
 */
typedef struct {
    const char *run, *path, *kind, *message; /* kind: one word, see docs/hygiene.md */
    int64_t     step;
} sd_finding;

typedef struct {
    const char *created, *host, *libraries, *command;
    int64_t     ranks;
    /* timings: one row per unit, run/step/seconds */
    int64_t            n_timings;
    const char *const *timing_run;
    const int64_t     *timing_step;
    const double      *timing_s;
} sd_provenance;

/**
 * @brief Starts FILE under its temporary name.
 *
 * Then, in this order: version, each run (add, put, end), failures, findings, signatures,
 * provenance, commit. Every content but the provenance is the same for the same calls, byte for
 * byte; the provenance comes last, so that its lengths move nothing else.
 *
 * @param[in]  study  the YAML text
 * @param[out] out    yours, release with sd_study_file_destroy()
 *
 * Not collective: one process writes. Errors, of all functions below: SD_ERR_RESOURCE when the file
 * cannot be written, naming it and the cause; SD_ERR_INTERNAL when called out of order.
 */
sd_status sd_study_file_create(const char *file, const char *title, const char *study,
                               sd_study_file **out);

/** @brief Records the program's version, a root attribute; once. */
sd_status sd_study_file_put_version(sd_study_file *file, const char *version);

/**
 * @brief Adds a run's group, scales and (empty) variables; the runs keep the order of these calls.
 *
 * n_steps may be 0: a run of which no checkpoint was complete. Errors also: SD_ERR_USAGE for a name
 * that is taken or no single component of a path.
 */
sd_status sd_study_file_add_run(sd_study_file *file, const sd_run_info *run);

/**
 * @brief Writes one variable of one step of the run added last.
 *
 * Steps come in order 0, 1, ... for each variable, because the checksum runs along; variables may
 * alternate. Derived variables too are the caller's.
 *
 * @param[in] value  sd_variable_elements() values of the variable's type; borrowed
 */
sd_status sd_study_file_put(sd_study_file *file, int64_t step_index, sd_variable_id id,
                            const void *value);

/** @brief Finishes the run: checksums, after every variable of every step was put. */
sd_status sd_study_file_end_run(sd_study_file *file);

/** @brief Writes /failures; n may be 0. Call it once, always. */
sd_status sd_study_file_put_failures(sd_study_file *file, int64_t n, const sd_failure *failure);

/** @brief Writes /findings; n may be 0. Call it once, always. */
sd_status sd_study_file_put_findings(sd_study_file *file, int64_t n, const sd_finding *finding);

/**
 * @brief Writes /signatures: names of m runs, m x m distances in degrees and log10 chances.
 *
 * m may be 0. Call it once, always.
 */
sd_status sd_study_file_put_signatures(sd_study_file *file, int64_t m, const char *const *name,
                                       const double *distance, const double *log10_chance);

/** @brief Writes /provenance, last of all. */
sd_status sd_study_file_put_provenance(sd_study_file *file, const sd_provenance *provenance);

/**
 * @brief Closes, syncs and renames. After it, or after a failure, only sd_study_file_destroy() is
 * left.
 */
sd_status sd_study_file_commit(sd_study_file *file);

/** @brief Releases; removes the temporary file of a study that was not committed. */
void sd_study_file_destroy(sd_study_file **file);

/**
 * @brief Removes temporaries that a killed run left in FOLDER, FOLDER/units and FOLDER/units/RUN.
 *
 * The caller holds the folder's lock. Follows no symbolic link; a folder that is not there is
 * clean. Errors: SD_ERR_RESOURCE when the folder cannot be opened.
 */
sd_status sd_results_clean(const char *folder);

/* ---- study.h5, read ---- */

typedef struct sd_results sd_results;

sd_status sd_results_open(const char *file, sd_results **out);
void      sd_results_close(sd_results **results);
/** @brief Names of the runs, ordered as in the study; owned by `results`. */
int64_t     sd_results_runs(const sd_results *results);
const char *sd_results_run(const sd_results *results, int64_t i);
/** @brief Shape, steps, parent of a run; owned by `results`. */
const sd_run_info *sd_results_run_info(const sd_results *results, int64_t i);
const char        *sd_results_title(const sd_results *results);
/** @brief The findings of all runs, in the order of the file; none in a file that is older than
 * they are. Owned by `results`. */
const sd_finding *sd_results_findings(const sd_results *results, int64_t *n);
/**
 * @brief Reads a variable of a run, all steps: [S, ...] as doubles (integers too; -1 stays -1).
 * Yours, release with sd_free().
 */
sd_status sd_results_read(const sd_results *results, int64_t run, sd_variable_id id, double **out);

/**
 * @brief Checks a study file: every object of the schema with its type, dimensions, scales and
 * attributes, nothing unknown, every checksum.
 * @param[in] report  called with one line per finding
 * Errors: SD_ERR_CHECK when there was a finding.
 */
sd_status sd_results_check(const char *file, void (*report)(void *context, const char *line),
                           void       *context);

#endif
