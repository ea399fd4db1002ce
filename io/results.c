#include "io/results.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/study_reader.h"
#include "io/variables.h"
#include "solvers/base/memory.h"

enum { MAX_RUNS = 1 << 16, MAX_STRING = 1 << 16 };

/* ---- one run ---- */

static sd_status get_steps(const sd_h5 *h5, int64_t file_bytes, sd_run_reader *run)
{
    sd_status        st      = SD_OK;
    hid_t            dataset = H5I_INVALID_HID;
    const int64_t    n       = run->info.n_steps;
    const sd_h5_spec spec    = {
           .name = "step", .type = H5T_STD_I64LE, .rank = 1, .dims = {(hsize_t)n}};

    SD_TRY(sd_h5_dataset_open(h5, run->group, &spec, file_bytes, &dataset));
    SD_TRY(sd_alloc(n, sizeof *run->step, &run->step));
    if (n > 0)
        SD_TRY(SD_H5(h5,
                     H5Dread(dataset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, run->step)));
    for (int64_t i = 1; i < n; i++)
        SD_REQUIRE(run->step[i - 1] < run->step[i], h5->code, "'%s': runs/%s/step does not ascend",
                   h5->file, run->name);

done:
    sd_h5_close(&dataset);
    return st;
}

/* n fixed-length strings as n zero-terminated ones; both arrays yours. */
static sd_status get_strings(const sd_h5 *h5, int64_t file_bytes, hid_t group, const char *name,
                             int64_t n, char **bytes, const char ***out)
{
    sd_status        st      = SD_OK;
    hid_t            dataset = H5I_INVALID_HID;
    hid_t            type    = H5I_INVALID_HID;
    hid_t            memory  = H5I_INVALID_HID;
    const sd_h5_spec spec    = {
           .name = name, .type = H5I_INVALID_HID, .rank = 1, .dims = {(hsize_t)n}};

    SD_TRY(sd_h5_dataset_open(h5, group, &spec, file_bytes, &dataset));
    SD_TRY(SD_H5(h5, type = H5Dget_type(dataset)));
    const size_t width = H5Tget_size(type);
    SD_REQUIRE(H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
                   width <= MAX_STRING,
               h5->code, "'%s': %s are no fixed-length strings", h5->file, name);
    SD_TRY(sd_alloc(n, (int64_t)width + 1, bytes));
    SD_TRY(sd_alloc(n, sizeof **out, out));
    SD_TRY(sd_h5_text_type(h5, (int64_t)width + 1, &memory)); /* one zero more than in the file */
    SD_TRY(SD_H5(h5, H5Tset_cset(memory, H5Tget_cset(type))));
    if (n > 0) SD_TRY(SD_H5(h5, H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, *bytes)));
    for (int64_t i = 0; i < n; i++) (*out)[i] = *bytes + i * ((int64_t)width + 1);

done:
    sd_h5_close(&memory);
    sd_h5_close(&type);
    sd_h5_close(&dataset);
    return st;
}

static sd_status get_run_attributes(const sd_h5 *h5, sd_run_reader *run)
{
    sd_status    st   = SD_OK;
    sd_run_info *info = &run->info;
    htri_t       has  = 0;

    SD_TRY(sd_h5_get_text(h5, run->group, "family", &run->family));
    SD_TRY(SD_H5(h5, has = H5Aexists(run->group, "parent")));
    if (has) SD_TRY(sd_h5_get_text(h5, run->group, "parent", &run->parent));
    SD_TRY(sd_h5_get_int(h5, run->group, "hidden_size", &info->shape.d));
    SD_TRY(sd_h5_get_int(h5, run->group, "layers", &info->shape.n_layers));
    SD_TRY(sd_h5_get_int(h5, run->group, "vocabulary", &info->vocabulary));
    SD_TRY(sd_h5_length(h5, run->group, "rank", SD_MAX_HIDDEN, &info->shape.n_triplets));
    SD_TRY(sd_h5_length(h5, run->group, "step", SD_MAX_STEPS, &info->n_steps));
    SD_TRY(sd_shape_get_asked(h5, run->group, &info->shape));
    SD_REQUIRE(sd_shape_is_sane(&info->shape), h5->code,
               "'%s': runs/%s: %" PRId64 " layers of %" PRId64 ", %" PRId64 " singular values",
               h5->file, run->name, info->shape.n_layers, info->shape.d, info->shape.n_triplets);

done:
    return st;
}

static sd_status read_run(const sd_h5 *h5, int64_t file_bytes, sd_run_reader *run)
{
    sd_status    st   = SD_OK;
    sd_run_info *info = &run->info;

    SD_TRY(get_run_attributes(h5, run));
    SD_TRY(get_steps(h5, file_bytes, run));
    SD_TRY(get_strings(h5, file_bytes, run->group, "path", info->n_steps, &run->path_bytes,
                       &run->path));
    SD_TRY(get_strings(h5, file_bytes, run->group, "fingerprint", info->n_steps,
                       &run->fingerprint_bytes, &run->fingerprint));
    info->name        = run->name;
    info->family      = run->family;
    info->parent      = run->parent;
    info->step        = run->step;
    info->path        = run->path;
    info->fingerprint = run->fingerprint;

done:
    return st;
}

void sd_run_close(sd_run_reader *run)
{
    sd_h5_close(&run->group);
    sd_free(run->name);
    sd_free(run->family);
    sd_free(run->parent);
    sd_free(run->step);
    sd_free(run->path_bytes);
    sd_free(run->fingerprint_bytes);
    sd_free(run->path);
    sd_free(run->fingerprint);
}

/* ---- the file ---- */

/* The i-th link of /runs, in the order in which they were made; a file that was repacked without
 * that order has them by name. */
static sd_status open_run_group(const sd_h5 *h5, hid_t runs, hsize_t i, sd_run_reader *run)
{
    sd_status  st = SD_OK;
    H5L_info_t link;
    unsigned   order    = 0;
    hid_t      creation = H5I_INVALID_HID;

    SD_TRY(SD_H5(h5, creation = H5Gget_create_plist(runs)));
    SD_TRY(SD_H5(h5, H5Pget_link_creation_order(creation, &order)));
    const H5_index_t index =
        (order & H5P_CRT_ORDER_TRACKED) != 0 ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
    const ssize_t length =
        H5Lget_name_by_idx(runs, ".", index, H5_ITER_INC, i, NULL, 0, H5P_DEFAULT);
    SD_TRY(SD_H5(h5, length));
    SD_REQUIRE(length < MAX_STRING, h5->code, "'%s': a run's name of %zd bytes", h5->file, length);
    SD_TRY(sd_alloc((int64_t)length + 1, 1, &run->name));
    SD_TRY(SD_H5(h5, H5Lget_name_by_idx(runs, ".", index, H5_ITER_INC, i, run->name,
                                        (size_t)length + 1, H5P_DEFAULT)));
    SD_TRY(SD_H5(h5, H5Lget_info(runs, run->name, &link, H5P_DEFAULT)));
    SD_REQUIRE(link.type == H5L_TYPE_HARD, h5->code, "'%s': runs/%s is a link to elsewhere",
               h5->file, run->name);
    SD_TRY(SD_H5(h5, run->group = H5Gopen2(runs, run->name, H5P_DEFAULT)));

done:
    sd_h5_close(&creation);
    return st;
}

sd_status sd_run_open(const sd_h5 *h5, hid_t runs, int64_t i, int64_t file_bytes,
                      sd_run_reader *run)
{
    sd_status st = SD_OK;

    SD_TRY(open_run_group(h5, runs, (hsize_t)i, run));
    SD_TRY(read_run(h5, file_bytes, run));

done:
    return st;
}

sd_status sd_runs_open(const sd_h5 *h5, hid_t file, hid_t *runs, int64_t *n)
{
    sd_status  st = SD_OK;
    H5G_info_t info;

    SD_REQUIRE(H5Lexists(file, "runs", H5P_DEFAULT) > 0, h5->code, "'%s': runs is missing",
               h5->file);
    SD_TRY(SD_H5(h5, *runs = H5Gopen2(file, "runs", H5P_DEFAULT)));
    SD_TRY(SD_H5(h5, H5Gget_info(*runs, &info)));
    SD_REQUIRE(info.nlinks <= MAX_RUNS, h5->code, "'%s': too many runs", h5->file);
    *n = (int64_t)info.nlinks;

done:
    return st;
}

static sd_status read_runs(const sd_h5 *h5, sd_results *results)
{
    sd_status st   = SD_OK;
    hid_t     runs = H5I_INVALID_HID;
    int64_t   n    = 0;

    SD_TRY(sd_runs_open(h5, results->id, &runs, &n));
    SD_TRY(sd_alloc(n, sizeof *results->run, &results->run));
    for (int64_t i = 0; i < n; i++) {
        results->run[i].group = H5I_INVALID_HID;
        results->n_runs++;
        SD_TRY(sd_run_open(h5, runs, i, results->bytes, &results->run[i]));
    }

done:
    sd_h5_close(&runs);
    return st;
}

/* ---- findings ---- */

/* One column of text; both arrays yours. */
static sd_status get_finding_texts(const sd_h5 *h5, sd_results *results, hid_t group,
                                   sd_column_id id, char **bytes, const char ***text)
{
    return get_strings(h5, results->bytes, group, sd_columns[id].name, results->findings.n, bytes,
                       text);
}

static sd_status get_finding_steps(const sd_h5 *h5, sd_results *results, hid_t group)
{
    sd_status        st      = SD_OK;
    hid_t            dataset = H5I_INVALID_HID;
    int64_t         *step    = NULL;
    const int64_t    n       = results->findings.n;
    const sd_h5_spec spec    = {.name = sd_columns[SD_C_FINDING_STEP].name,
                                .type = H5T_STD_I64LE,
                                .rank = 1,
                                .dims = {(hsize_t)n}};

    SD_TRY(sd_h5_dataset_open(h5, group, &spec, results->bytes, &dataset));
    SD_TRY(sd_alloc(n, sizeof *step, &step));
    if (n > 0)
        SD_TRY(SD_H5(h5, H5Dread(dataset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, step)));
    for (int64_t i = 0; i < n; i++) results->findings.row[i].step = step[i];

done:
    sd_free(step);
    sd_h5_close(&dataset);
    return st;
}

static sd_status read_findings(const sd_h5 *h5, sd_results *results)
{
    sd_status           st    = SD_OK;
    sd_findings_reader *f     = &results->findings;
    hid_t               group = H5I_INVALID_HID;
    const char        **run = NULL, **path = NULL, **kind = NULL, **message = NULL;

    if (H5Lexists(results->id, sd_columns[SD_C_FINDING].group, H5P_DEFAULT) <= 0) return SD_OK;
    SD_TRY(SD_H5(h5, group = H5Gopen2(results->id, sd_columns[SD_C_FINDING].group, H5P_DEFAULT)));
    SD_TRY(sd_h5_length(h5, group, sd_columns[SD_C_FINDING].name, SD_MAX_STEPS, &f->n));
    SD_TRY(get_finding_texts(h5, results, group, SD_C_FINDING_RUN, &f->run, &run));
    SD_TRY(get_finding_texts(h5, results, group, SD_C_FINDING_PATH, &f->path, &path));
    SD_TRY(get_finding_texts(h5, results, group, SD_C_FINDING_KIND, &f->kind, &kind));
    SD_TRY(get_finding_texts(h5, results, group, SD_C_FINDING_MESSAGE, &f->message, &message));
    SD_TRY(sd_alloc(f->n, sizeof *f->row, &f->row));
    for (int64_t i = 0; i < f->n; i++)
        f->row[i] = (sd_finding){run[i], path[i], kind[i], message[i], 0};
    SD_TRY(get_finding_steps(h5, results, group));

done:
    sd_free(run);
    sd_free(path);
    sd_free(kind);
    sd_free(message);
    sd_h5_close(&group);
    return st;
}

static void release_findings(sd_findings_reader *f)
{
    sd_free(f->row);
    sd_free(f->run);
    sd_free(f->path);
    sd_free(f->kind);
    sd_free(f->message);
}

sd_status sd_results_open(const char *file, sd_results **out)
{
    sd_status   st      = SD_OK;
    const sd_h5 h5      = {file, SD_ERR_CHECK};
    sd_results *results = NULL;
    int64_t     schema  = 0;

    SD_TRY(sd_alloc(1, sizeof *results, &results));
    results->id = H5I_INVALID_HID;
    SD_TRY(sd_copy_string(file, &results->file));
    SD_TRY(sd_h5_file_open(&h5, &results->id, &results->bytes));
    SD_TRY(sd_h5_get_int(&h5, results->id, "schema", &schema));
    SD_REQUIRE(schema == SD_SCHEMA, SD_ERR_CHECK,
               "'%s' is of schema %" PRId64 "; this version reads %d", file, schema, SD_SCHEMA);
    SD_TRY(sd_h5_get_text(&h5, results->id, "title", &results->title));
    SD_TRY(read_runs(&h5, results));
    SD_TRY(read_findings(&h5, results));
    *out    = results;
    results = NULL;

done:
    sd_results_close(&results);
    return st;
}

void sd_results_close(sd_results **results)
{
    if (results == NULL || *results == NULL) return;
    for (int64_t i = 0; i < (*results)->n_runs; i++) sd_run_close(&(*results)->run[i]);
    sd_h5_file_abandon(&(*results)->id);
    release_findings(&(*results)->findings);
    sd_free((*results)->run);
    sd_free((*results)->title);
    sd_free((*results)->file);
    sd_free(*results);
    *results = NULL;
}

int64_t sd_results_runs(const sd_results *results)
{
    return results->n_runs;
}

const char *sd_results_run(const sd_results *results, int64_t i)
{
    return results->run[i].name;
}

const sd_run_info *sd_results_run_info(const sd_results *results, int64_t i)
{
    return &results->run[i].info;
}

const char *sd_results_title(const sd_results *results)
{
    return results->title;
}

const sd_finding *sd_results_findings(const sd_results *results, int64_t *n)
{
    *n = results->findings.n;
    return results->findings.row;
}

sd_status sd_results_read(const sd_results *results, int64_t run, sd_variable_id id, double **out)
{
    sd_status          st      = SD_OK;
    const sd_h5        h5      = {results->file, SD_ERR_CHECK};
    const sd_run_info *info    = &results->run[run].info;
    const sd_h5_spec   spec    = sd_variable_spec(id, &info->shape, info->n_steps);
    const int64_t      count   = info->n_steps * sd_variable_elements(id, &info->shape);
    hid_t              dataset = H5I_INVALID_HID;
    double            *values  = NULL;

    SD_TRY(sd_h5_dataset_open(&h5, results->run[run].group, &spec, results->bytes, &dataset));
    SD_TRY(sd_alloc(count, sizeof *values, &values));
    if (count > 0)
        SD_TRY(
            SD_H5(&h5, H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values)));
    *out   = values;
    values = NULL;

done:
    sd_free(values);
    sd_h5_close(&dataset);
    return st;
}
