/**
 * @file make_study.h
 * @brief A small study with made-up numbers, for tests of the result files.
 *
 * Every element differs from its neighbours: value(id, step, i) is a function of where it stands,
 * so that a reader that mixes places up is noticed.
 */
#ifndef SD_TESTS_SUPPORT_MAKE_STUDY_H
#define SD_TESTS_SUPPORT_MAKE_STUDY_H

#include "io/results.h"
#include "solvers/base/memory.h"

static inline double study_value(int id, int64_t step_index, int64_t i)
{
    return 100000.0 * (double)id + 1000.0 * (double)step_index + (double)i;
}

/* Fills a variable of one step as it is stored. */
static inline void study_fill(sd_variable_id id, int64_t step_index, const sd_shape *shape,
                              void *out)
{
    for (int64_t i = 0; i < sd_variable_elements(id, shape); i++) {
        const double value = study_value((int)id, step_index, i);
        switch (sd_variables[id].type) {
        case SD_TYPE_F64: ((double *)out)[i] = value; break;
        case SD_TYPE_F32: ((float *)out)[i] = (float)value; break;
        case SD_TYPE_I32: ((int32_t *)out)[i] = (int32_t)value; break;
        }
    }
}

static inline sd_status study_put_run(sd_study_file *file, const sd_run_info *run)
{
    sd_status st    = SD_OK;
    void     *value = NULL;

    SD_TRY(sd_study_file_add_run(file, run));
    for (int id = 0; id < SD_V_COUNT; id++)
        for (int64_t step = 0;
             step < run->n_steps && sd_variable_is_asked((sd_variable_id)id, &run->shape); step++) {
            SD_TRY(sd_alloc(sd_variable_elements((sd_variable_id)id, &run->shape), 8, &value));
            study_fill((sd_variable_id)id, step, &run->shape, value);
            SD_TRY(sd_study_file_put(file, step, (sd_variable_id)id, value));
            sd_free(value);
            value = NULL;
        }
    SD_TRY(sd_study_file_end_run(file));

done:
    sd_free(value);
    return st;
}

/* Three runs, not in the order of their names: "zeta" (three steps), "alpha" (another shape, one
 * step, a parent, without the subspace), "empty" (no complete step). One failure, two findings, two
 * signatures. `host` is provenance.
 */
static inline sd_status study_make(const char *path, const char *host)
{
    sd_status                st      = SD_OK;
    sd_study_file           *file    = NULL;
    static const int64_t     step3[] = {0, 250, 13000}, step1[] = {200};
    static const char *const path3[]  = {"a/step_0", "a/step_000250", "a/step_13000"};
    static const char *const print3[] = {"xxh3-128:00", "xxh3-128:01", "xxh3-128:02"};
    static const char *const path1[] = {"b/\xC3\xA9 x/step_200"}, *const print1[] = {"xxh3-128:f"};
    static const char *const names[] = {"zeta", "alpha"}, *const timed[] = {"zeta"};
    static const double distance[] = {0, 41.5, 41.5, 0}, chance[] = {-INFINITY, -3, -3, -INFINITY};
    static const double seconds[] = {1.25};
    const sd_run_info   runs[]    = {
             {"zeta", "llama", NULL, {3, 5, 2, true}, 49, 3, step3, path3, print3},
             {"alpha", "llama", "zeta", {2, 7, 7, false}, 50, 1, step1, path1, print1},
             {"empty", "llama", "zeta", {3, 5, 0, true}, 49, 0, NULL, NULL, NULL},
    };
    const sd_failure failure    = {"zeta", "a/step_500", "a/step_500: its header is cut off", 500};
    const sd_finding findings[] = {
        {"zeta", "a/step_13000", "identical", "the same as step 250", 13000},
        {"alpha", "b/\xC3\xA9 x/step_200", "missing", "before it step 100 is missing", 100}};
    const sd_provenance provenance = {
        "2020-01-01T00:00:00Z", host, "HDF5", "singdef run", 2, 1, timed, step3, seconds};

    SD_TRY(sd_study_file_create(path, "A t\xC3\xACtle", "title: A\nruns: []\n", &file));
    SD_TRY(sd_study_file_put_version(file, "0.1.0"));
    for (int i = 0; i < 3; i++) SD_TRY(study_put_run(file, &runs[i]));
    SD_TRY(sd_study_file_put_failures(file, 1, &failure));
    SD_TRY(sd_study_file_put_findings(file, 2, findings));
    SD_TRY(sd_study_file_put_signatures(file, 2, names, distance, chance));
    SD_TRY(sd_study_file_put_provenance(file, &provenance));
    SD_TRY(sd_study_file_commit(file));

done:
    sd_study_file_destroy(&file);
    return st;
}

#endif
