#include "io/results.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/atomic_file.h"
#include "io/variables.h"
#include "solvers/base/memory.h"

struct sd_study_file {
    char            *file, *temporary;
    hid_t            id, runs, group; /* file, /runs, the run that is being written */
    bool             run_is_open, provenance_is_there, committed;
    sd_scales        scales;
    sd_variables_out run;
};

static sd_h5 writing(const sd_study_file *study)
{
    return (sd_h5){study->file, SD_ERR_RESOURCE};
}

static void release_run(sd_study_file *study)
{
    sd_variables_release(&study->run);
    sd_scales_close(&study->scales);
    sd_h5_close(&study->group);
}

/* ---- the file ---- */

sd_status sd_study_file_create(const char *file, const char *title, const char *study,
                               sd_study_file **out)
{
    sd_status      st   = SD_OK;
    const sd_h5    h5   = {file, SD_ERR_RESOURCE};
    sd_study_file *made = NULL;

    SD_TRY(sd_alloc(1, sizeof *made, &made));
    made->id = made->runs = made->group = H5I_INVALID_HID;
    sd_variables_clear(&made->run);
    sd_scales_clear(&made->scales);
    SD_TRY(sd_copy_string(file, &made->file));
    SD_TRY(sd_atomic_name(file, &made->temporary));
    SD_TRY(sd_h5_file_create(&h5, made->temporary, &made->id));
    SD_TRY(sd_h5_put_text(&h5, made->id, "title", title));
    SD_TRY(sd_h5_put_int(&h5, made->id, "schema", SD_SCHEMA));
    SD_TRY(sd_h5_put_text(&h5, made->id, "study", study));
    SD_TRY(sd_h5_group(&h5, made->id, "runs", &made->runs));
    *out = made;
    made = NULL;

done:
    sd_study_file_destroy(&made);
    return st;
}

sd_status sd_study_file_put_version(sd_study_file *file, const char *version)
{
    const sd_h5 h5 = writing(file);
    return sd_h5_put_text(&h5, file->id, "singdef_version", version);
}

sd_status sd_study_file_commit(sd_study_file *file)
{
    sd_status   st = SD_OK;
    const sd_h5 h5 = writing(file);

    SD_REQUIRE(!file->run_is_open && !file->committed, SD_ERR_INTERNAL,
               "'%s': committed with an open run, or twice", file->file);
    sd_h5_close(&file->runs);
    SD_TRY(sd_h5_file_close(&h5, &file->id));
    SD_TRY(sd_atomic_commit(file->temporary, file->file));
    file->committed = true;

done:
    return st;
}

void sd_study_file_destroy(sd_study_file **file)
{
    if (file == NULL || *file == NULL) return;
    release_run(*file);
    sd_h5_close(&(*file)->runs);
    sd_h5_file_abandon(&(*file)->id);
    if (!(*file)->committed) sd_atomic_discard((*file)->temporary);
    sd_free((*file)->temporary);
    sd_free((*file)->file);
    sd_free(*file);
    *file = NULL;
}

/* Writes a dataset beside the variables: n (n x n) numbers, or n strings. */
static sd_status put_column(const sd_h5 *h5, hid_t group, sd_column_id id, int64_t n, hid_t scale,
                            const void *values)
{
    sd_h5_spec spec = sd_column_spec(id, n);

    for (int i = 0; i < spec.rank; i++) spec.scale[i] = scale;
    if (sd_columns[id].type == SD_COLUMN_TEXT)
        return sd_h5_strings_put(h5, group, &spec, (const char *const *)values);
    return sd_h5_dataset_put(h5, group, &spec, values, NULL);
}

/* ---- runs ---- */

static sd_status put_run_info(const sd_h5 *h5, hid_t group, const sd_run_info *run)
{
    sd_status st = SD_OK;

    SD_TRY(sd_h5_put_text(h5, group, "family", run->family));
    SD_TRY(sd_h5_put_int(h5, group, "hidden_size", run->shape.d));
    SD_TRY(sd_h5_put_int(h5, group, "layers", run->shape.n_layers));
    SD_TRY(sd_h5_put_int(h5, group, "vocabulary", run->vocabulary));
    if (run->parent != NULL) SD_TRY(sd_h5_put_text(h5, group, "parent", run->parent));

done:
    return st;
}

/* A name becomes a group's: it must be one component of a path. */
static sd_status check_run(const sd_study_file *file, const sd_run_info *run)
{
    sd_status st = SD_OK;

    SD_REQUIRE(!file->run_is_open && !file->provenance_is_there, SD_ERR_INTERNAL,
               "'%s': run '%s' begins before another has ended, or after the provenance",
               file->file, run->name);
    SD_REQUIRE(run->name[0] != '\0' && strchr(run->name, '/') == NULL &&
                   strcmp(run->name, ".") != 0 && strcmp(run->name, "..") != 0,
               SD_ERR_USAGE, "'%s' cannot name a run: want a name without '/'", run->name);
    for (int64_t i = 1; i < run->n_steps; i++)
        SD_REQUIRE(run->step[i - 1] < run->step[i], SD_ERR_INTERNAL,
                   "run '%s': its steps do not ascend", run->name);

done:
    return st;
}

sd_status sd_study_file_add_run(sd_study_file *file, const sd_run_info *run)
{
    sd_status   st = SD_OK;
    const sd_h5 h5 = writing(file);

    SD_TRY(check_run(file, run));
    SD_REQUIRE(H5Lexists(file->runs, run->name, H5P_DEFAULT) == 0, SD_ERR_USAGE,
               "two runs are called '%s'", run->name);
    SD_TRY(sd_h5_group(&h5, file->runs, run->name, &file->group));
    SD_TRY(put_run_info(&h5, file->group, run));
    SD_TRY(sd_scales_create(&h5, file->group, &run->shape, run->n_steps, run->step, &file->scales));
    SD_TRY(sd_variables_create(&h5, file->group, &run->shape, run->n_steps, &file->scales,
                               &file->run));
    const hid_t step = file->scales.id[SD_DIM_STEP];
    SD_TRY(put_column(&h5, file->group, SD_C_RUN_PATH, run->n_steps, step, run->path));
    SD_TRY(
        put_column(&h5, file->group, SD_C_RUN_FINGERPRINT, run->n_steps, step, run->fingerprint));
    file->run_is_open = true;

done:
    if (st != SD_OK) release_run(file);
    return st;
}

sd_status sd_study_file_put(sd_study_file *file, int64_t step_index, sd_variable_id id,
                            const void *value)
{
    sd_status   st = SD_OK;
    const sd_h5 h5 = writing(file);

    SD_REQUIRE(file->run_is_open && step_index < file->run.n_steps, SD_ERR_INTERNAL,
               "'%s': %s comes outside its run", file->file, sd_variables[id].path);
    SD_TRY(sd_variables_put(&h5, &file->run, step_index, id, value));

done:
    return st;
}

sd_status sd_study_file_end_run(sd_study_file *file)
{
    sd_status   st = SD_OK;
    const sd_h5 h5 = writing(file);

    SD_REQUIRE(file->run_is_open, SD_ERR_INTERNAL, "'%s': no run to end", file->file);
    SD_TRY(sd_variables_finish(&h5, &file->run));
    file->run_is_open = false;

done:
    release_run(file);
    return st;
}

/* ---- tables beside the runs ---- */

/* A scale that only counts: 0, 1, ... */
static sd_status put_counter(const sd_h5 *h5, hid_t group, sd_column_id id, int64_t n, hid_t *out)
{
    sd_status        st     = SD_OK;
    const sd_column *column = &sd_columns[id];
    int64_t         *count  = NULL;

    SD_TRY(sd_alloc(n, sizeof *count, &count));
    for (int64_t i = 0; i < n; i++) count[i] = i;
    const sd_h5_scale scale = {column->name, column->long_name, n, count, NULL};
    SD_TRY(sd_h5_scale_put(h5, group, &scale, out));

done:
    sd_free(count);
    return st;
}

/* A column of a table of rows, and where a row holds it: a `const char *` or an int64_t. */
typedef struct {
    sd_column_id id;
    size_t       at;
} field;

static sd_status put_field(const sd_h5 *h5, hid_t group, const field *f, int64_t n,
                           const void *rows, size_t row_bytes, hid_t scale)
{
    sd_status    st = SD_OK;
    const size_t bytes =
        sd_columns[f->id].type == SD_COLUMN_TEXT ? sizeof(const char *) : sizeof(int64_t);
    const char *at     = (const char *)rows + f->at;
    char       *column = NULL;

    SD_TRY(sd_alloc(n, (int64_t)bytes, &column));
    for (size_t i = 0; i < (size_t)n; i++) memcpy(column + i * bytes, at + i * row_bytes, bytes);
    SD_TRY(put_column(h5, group, f->id, n, scale, column));

done:
    sd_free(column);
    return st;
}

/* A table of its own group: a counter, and the columns up to the one called SD_C_COUNT. */
static sd_status put_table(const sd_study_file *file, sd_column_id counter, const field *fields,
                           int64_t n, const void *rows, size_t row_bytes)
{
    sd_status   st    = SD_OK;
    const sd_h5 h5    = writing(file);
    hid_t       group = H5I_INVALID_HID;
    hid_t       scale = H5I_INVALID_HID;

    SD_TRY(sd_h5_group(&h5, file->id, sd_columns[counter].group, &group));
    SD_TRY(put_counter(&h5, group, counter, n, &scale));
    for (const field *f = fields; f->id != SD_C_COUNT; f++)
        SD_TRY(put_field(&h5, group, f, n, rows, row_bytes, scale));

done:
    sd_h5_close(&scale);
    sd_h5_close(&group);
    return st;
}

sd_status sd_study_file_put_failures(sd_study_file *file, int64_t n, const sd_failure *failure)
{
    static const field fields[] = {{SD_C_FAILURE_RUN, offsetof(sd_failure, run)},
                                   {SD_C_FAILURE_STEP, offsetof(sd_failure, step)},
                                   {SD_C_FAILURE_PATH, offsetof(sd_failure, path)},
                                   {SD_C_FAILURE_MESSAGE, offsetof(sd_failure, message)},
                                   {SD_C_COUNT, 0}};

    return put_table(file, SD_C_FAILURE, fields, n, failure, sizeof *failure);
}

sd_status sd_study_file_put_findings(sd_study_file *file, int64_t n, const sd_finding *finding)
{
    static const field fields[] = {{SD_C_FINDING_RUN, offsetof(sd_finding, run)},
                                   {SD_C_FINDING_STEP, offsetof(sd_finding, step)},
                                   {SD_C_FINDING_PATH, offsetof(sd_finding, path)},
                                   {SD_C_FINDING_KIND, offsetof(sd_finding, kind)},
                                   {SD_C_FINDING_MESSAGE, offsetof(sd_finding, message)},
                                   {SD_C_COUNT, 0}};

    return put_table(file, SD_C_FINDING, fields, n, finding, sizeof *finding);
}

sd_status sd_study_file_put_signatures(sd_study_file *file, int64_t m, const char *const *name,
                                       const double *distance, const double *log10_chance)
{
    sd_status   st    = SD_OK;
    const sd_h5 h5    = writing(file);
    hid_t       group = H5I_INVALID_HID;
    hid_t       scale = H5I_INVALID_HID;

    SD_TRY(sd_h5_group(&h5, file->id, "signatures", &group));
    SD_TRY(put_counter(&h5, group, SD_C_MODEL, m, &scale));
    SD_TRY(put_column(&h5, group, SD_C_SIGNATURE_NAME, m, scale, name));
    SD_TRY(put_column(&h5, group, SD_C_SIGNATURE_DISTANCE, m, scale, distance));
    SD_TRY(put_column(&h5, group, SD_C_SIGNATURE_CHANCE, m, scale, log10_chance));

done:
    sd_h5_close(&scale);
    sd_h5_close(&group);
    return st;
}

static sd_status put_timings(const sd_h5 *h5, hid_t group, const sd_provenance *provenance)
{
    sd_status     st    = SD_OK;
    hid_t         scale = H5I_INVALID_HID;
    const int64_t n     = provenance->n_timings;

    SD_TRY(put_counter(h5, group, SD_C_UNIT, n, &scale));
    SD_TRY(put_column(h5, group, SD_C_UNIT_RUN, n, scale, provenance->timing_run));
    SD_TRY(put_column(h5, group, SD_C_UNIT_STEP, n, scale, provenance->timing_step));
    SD_TRY(put_column(h5, group, SD_C_UNIT_TIMINGS, n, scale, provenance->timing_s));

done:
    sd_h5_close(&scale);
    return st;
}

sd_status sd_study_file_put_provenance(sd_study_file *file, const sd_provenance *provenance)
{
    sd_status   st    = SD_OK;
    const sd_h5 h5    = writing(file);
    hid_t       group = H5I_INVALID_HID;

    SD_TRY(sd_h5_group(&h5, file->id, "provenance", &group));
    SD_TRY(sd_h5_put_text(&h5, group, "created", provenance->created));
    SD_TRY(sd_h5_put_text(&h5, group, "host", provenance->host));
    SD_TRY(sd_h5_put_int(&h5, group, "ranks", provenance->ranks));
    SD_TRY(sd_h5_put_text(&h5, group, "libraries", provenance->libraries));
    SD_TRY(sd_h5_put_text(&h5, group, "command", provenance->command));
    SD_TRY(put_timings(&h5, group, provenance));
    file->provenance_is_there = true;

done:
    sd_h5_close(&group);
    return st;
}

/* ---- what a killed run left ---- */

/* Removes the temporaries of an open folder and closes it; lists its sub-folders' names to `below`
 * by calling itself once per entry when `depth` > 0. */
static void clean_folder(int fd, int depth)
{
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat info;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISREG(info.st_mode) && sd_atomic_is_temporary(name)) unlinkat(fd, name, 0);
        if (!S_ISDIR(info.st_mode) || depth == 0) continue;
        const int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0) clean_folder(below, depth - 1);
    }
    closedir(folder);
}

sd_status sd_results_clean(const char *folder)
{
    sd_status st    = SD_OK;
    int       units = -1;
    const int top   = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (top < 0 && errno == ENOENT) return SD_OK;
    SD_REQUIRE(top >= 0, SD_ERR_RESOURCE, "cannot open '%s': %s", folder, strerror(errno));
    units = openat(top, "units", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (units >= 0) clean_folder(units, 1);
    clean_folder(top, 0);

done:
    return st;
}
