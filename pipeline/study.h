/**
 * @file study.h
 * @brief The study file: what to measure, on which checkpoints. docs/config.md is its manual.
 */
#ifndef SD_PIPELINE_STUDY_H
#define SD_PIPELINE_STUDY_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

typedef enum { SD_ESTIMATOR_STEIN, SD_ESTIMATOR_SAMPLED } sd_estimator;
typedef enum { SD_SOLVER_AUTO, SD_SOLVER_LAPACK, SD_SOLVER_SCALAPACK, SD_SOLVER_SLEPC } sd_solver;
typedef enum { SD_EIGEN_AUTO, SD_EIGEN_ONLY_ITERATIVE, SD_EIGEN_ONLY_FULL } sd_eigen_choice;
typedef enum { SD_MAP_LAYER = 1, SD_MAP_ATTENTION = 2, SD_MAP_FFN = 4 } sd_map_bit;

/** One checkpoint of a run. */
typedef struct {
    int64_t step;
    char   *path; /* as the study writes it, or as its glob gives it */
    char   *file; /* the same, from the current folder               */
} sd_study_checkpoint;

typedef struct {
    char                *name;
    char                *parent;      /* name of another run, or NULL           */
    int64_t              parent_step; /* of the parent's checkpoints; -1: last  */
    char                *tokenizer;   /* file or folder, or NULL                */
    char                *base;        /* of the run's adapters, or NULL         */
    int64_t              line;        /* in the study file                      */
    int64_t              n_patterns, n_checkpoints;
    sd_study_checkpoint *pattern;    /* as written: globs and paths, step -1 unless given */
    sd_study_checkpoint *checkpoint; /* ascending steps; filled by sd_study_fill()        */
} sd_study_run;

/** A study. Everything in it is owned by it. */
typedef struct {
    char *yaml;   /* the file's text                                   */
    char *shown;  /* its name in messages                              */
    char *folder; /* paths of the file are relative to it              */
    char *title;
    char *text; /* file of text or ids, from the current folder      */
    bool  text_is_ids;
    char *tokenizer; /* or NULL                                      */

    struct {
        int64_t sequences, length;
        bool    bos, written; /* written: the key stands in the file   */
    } measure;
    struct {
        sd_estimator estimator;
        bool         scaled_input, biases, centring;
        int64_t      samples, seed;
    } linear;
    struct {
        unsigned  matrices; /* of sd_map_bit                             */
        bool      all_values;
        int64_t   count;
        sd_solver solver;
    } spectrum;
    bool            subspace; /* the response to singular vectors    */
    sd_eigen_choice eigenpairs;
    int64_t         team_size;  /* 0: auto                                 */
    const char     *figures[4]; /* "pdf", "svg", "png"; NULL-terminated    */

    int64_t       n_runs;
    sd_study_run *run;
} sd_study;

/**
 * @brief Parses the text of a study file. Globs are not expanded.
 *
 * @param[in]  text  YAML of `length` bytes; borrowed
 * @param[in]  path  where it came from: the folder of relative paths, and the name in messages
 * @param[out] out   yours, release with sd_study_destroy(); NULL on failure
 *
 * Not collective. Errors: SD_ERR_USAGE with file, line, key and the nearest known one;
 * SD_ERR_RESOURCE.
 */
sd_status sd_study_parse(const char *text, int64_t length, const char *path, sd_study **out);

/** @brief Releases it; NULL is fine; sets NULL. */
void sd_study_destroy(sd_study **study);

/**
 * @brief Lists the checkpoints of every run, one entry after the other, as a sequence of
 * zero-terminated strings: run number, step, path. Reads folders; one rank calls it for all.
 *
 * A model in the hub's cache (io/hub.h) stands for the revisions whose names hold a step.
 *
 * @param[out] list  yours, release with sd_free()
 * Errors: SD_ERR_USAGE for an empty glob, a missing or repeated step, a parent that has no such
 * step.
 */
sd_status sd_study_list(const sd_study *study, char **list, int64_t *bytes);

/**
 * @brief Fills the checkpoints of all runs from what sd_study_list() gave; once per study.
 * @param[in] list  of `bytes`, of this study, perhaps from another rank; borrowed
 * Not collective. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_study_fill(sd_study *study, const char *list, int64_t bytes);

/** @brief A path of the study, from the current folder. Yours, release with sd_free(). */
sd_status sd_study_resolve(const sd_study *study, const char *path, char **out);

/** @brief Index of a run by name, or -1. */
int64_t sd_study_find(const sd_study *study, const char *name);

/** @brief Everything in the study that decides a unit's numbers, as text for its key. Yours. */
sd_status sd_study_settings(const sd_study *study, char **out);

/**
 * @brief Step in a file name: step_1000, step1000, stage1-step40000-tokens84B, checkpoint-500,
 * ckpt_100, iter_0005000, epoch=3-step=1000, step-50K-105b (50000), epoch_3 (3, where nothing else
 * speaks); -1 for none. The last component's, else that of the folder it is in.
 */
int64_t sd_step_of_name(const char *path);

#endif
