#include "io/results.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/study_reader.h"
#include "io/variables.h"
#include "solvers/base/memory.h"

enum { MAX_USERS = 1 << 20 }; /* datasets over one scale */

typedef struct {
    sd_h5   h5;
    hid_t   file;
    int64_t bytes; /* of the file */
    int64_t findings;
    void (*report)(void *context, const char *line);
    void     *context;
    sd_status worst; /* a failure that is no finding, e.g. no memory; its message stays recorded */
} checker;

static void find(checker *check, const char *line)
{
    check->findings++;
    check->report(check->context, line);
}

/* Turns a failed step into a finding: its message, without the file's name in front. */
static void note(checker *check, const char *where, sd_status st)
{
    char        line[SD_MESSAGE_LEN + 256], prefix[SD_MESSAGE_LEN];
    const char *text = sd_message();

    if (st == SD_OK || check->worst != SD_OK) return;
    if (st != SD_ERR_CHECK && st != SD_ERR_INPUT) {
        check->worst = st;
        return;
    }
    snprintf(prefix, sizeof prefix, "'%s': ", check->h5.file);
    if (strncmp(text, prefix, strlen(prefix)) == 0) text += strlen(prefix);
    snprintf(line, sizeof line, "%s%s%s", where, where[0] != '\0' ? ": " : "", text);
    sd_clear();
    find(check, line);
}

/* ---- one dataset ---- */

static sd_status check_text(const sd_h5 *h5, hid_t object, const char *name, const char *want)
{
    sd_status st    = SD_OK;
    char     *found = NULL;

    SD_TRY(sd_h5_get_text(h5, object, name, &found));
    SD_REQUIRE(want == NULL || strcmp(found, want) == 0, h5->code,
               "'%s': attribute '%s' is '%s', want '%s'", h5->file, name, found, want);

done:
    sd_free(found);
    return st;
}

/* One entry of a scale's REFERENCE_LIST: a dataset that uses it, and for which dimension. */
typedef struct {
    hobj_ref_t dataset;
    int32_t    dimension;
} scale_user;

static sd_status user_type(const sd_h5 *h5, hid_t *out)
{
    sd_status st = SD_OK;

    SD_TRY(SD_H5(h5, *out = H5Tcreate(H5T_COMPOUND, sizeof(scale_user))));
    SD_TRY(SD_H5(h5, H5Tinsert(*out, "dataset", offsetof(scale_user, dataset), H5T_STD_REF_OBJ)));
    SD_TRY(SD_H5(h5, H5Tinsert(*out, "dimension", offsetof(scale_user, dimension), H5T_STD_I32LE)));

done:
    return st;
}

/* The users of a scale; `out` yours. The list lies in checksummed metadata, unlike the datasets'
 * own DIMENSION_LIST, which cannot be read safely from a damaged file (see sd_h5_check_heaps). */
static sd_status get_users(const sd_h5 *h5, hid_t scale, int64_t *n, scale_user **out)
{
    sd_status st    = SD_OK;
    hid_t     list  = H5I_INVALID_HID;
    hid_t     found = H5I_INVALID_HID;
    hid_t     type  = H5I_INVALID_HID;
    hid_t     space = H5I_INVALID_HID;

    SD_REQUIRE(H5Aexists(scale, "REFERENCE_LIST") > 0, h5->code, "'%s': it is nobody's scale",
               h5->file);
    SD_TRY(SD_H5(h5, list = H5Aopen(scale, "REFERENCE_LIST", H5P_DEFAULT)));
    SD_TRY(SD_H5(h5, found = H5Aget_type(list)));
    SD_TRY(SD_H5(h5, space = H5Aget_space(list)));
    SD_TRY(user_type(h5, &type));
    *n = (int64_t)H5Sget_simple_extent_npoints(space);
    SD_REQUIRE(H5Tequal(found, type) > 0 && *n >= 0 && *n <= MAX_USERS, h5->code,
               "'%s': a scale's list of users is damaged", h5->file);
    SD_TRY(sd_alloc(*n, sizeof **out, out));
    SD_TRY(SD_H5(h5, H5Aread(list, type, *out)));

done:
    sd_h5_close(&type);
    sd_h5_close(&space);
    sd_h5_close(&found);
    sd_h5_close(&list);
    return st;
}

/* Dimension i of a dataset must have the scale that lies at `path` below `group`. */
static sd_status check_attached(const sd_h5 *h5, hid_t group, hid_t dataset, int i,
                                const char *path)
{
    sd_status   st    = SD_OK;
    hid_t       scale = H5I_INVALID_HID;
    scale_user *user  = NULL;
    int64_t     n     = 0;
    bool        found = false;
    hobj_ref_t  self;

    SD_TRY(SD_H5(h5, H5Rcreate(&self, dataset, ".", H5R_OBJECT, H5I_INVALID_HID)));
    SD_TRY(sd_h5_any_dataset_open(h5, group, path, &scale));
    SD_TRY(get_users(h5, scale, &n, &user));
    for (int64_t u = 0; u < n; u++)
        found =
            found || (user[u].dimension == i && memcmp(&user[u].dataset, &self, sizeof self) == 0);
    SD_REQUIRE(found, h5->code, "'%s': the scale of dimension %d is not %s", h5->file, i, path);

done:
    sd_free(user);
    sd_h5_close(&scale);
    return st;
}

/* Dimension i must have the scale that lies at path[i] below `group`. */
static sd_status check_scales(const sd_h5 *h5, hid_t group, hid_t dataset, int rank,
                              const char *const *path)
{
    sd_status st     = SD_OK;
    hid_t     list   = H5I_INVALID_HID;
    hid_t     space  = H5I_INVALID_HID;
    hsize_t   length = 0;

    SD_REQUIRE(H5Aexists(dataset, "DIMENSION_LIST") > 0, h5->code, "'%s': no dimension scales",
               h5->file);
    SD_TRY(SD_H5(h5, list = H5Aopen(dataset, "DIMENSION_LIST", H5P_DEFAULT)));
    SD_TRY(SD_H5(h5, space = H5Aget_space(list)));
    SD_REQUIRE(H5Sget_simple_extent_ndims(space) == 1 &&
                   H5Sget_simple_extent_dims(space, &length, NULL) == 1 && length == (hsize_t)rank,
               h5->code, "'%s': its list of dimension scales is damaged", h5->file);
    for (int i = 0; i < rank; i++) {
        SD_REQUIRE(path[i] != NULL, SD_ERR_INTERNAL, "dimension %d has no scale", i);
        SD_TRY(check_attached(h5, group, dataset, i, path[i]));
    }

done:
    sd_h5_close(&space);
    sd_h5_close(&list);
    return st;
}

static sd_status check_attributes(const sd_h5 *h5, hid_t dataset, const sd_h5_spec *spec)
{
    sd_status st       = SD_OK;
    hid_t     creation = H5I_INVALID_HID;
    hbool_t   timed    = 0;

    SD_TRY(check_text(h5, dataset, "units", spec->units));
    SD_TRY(check_text(h5, dataset, "long_name", spec->long_name));
    SD_TRY(SD_H5(h5, creation = H5Dget_create_plist(dataset)));
    SD_TRY(SD_H5(h5, H5Pget_obj_track_times(creation, &timed)));
    SD_REQUIRE(!timed, h5->code, "'%s': it keeps the times of its changes", h5->file);

done:
    sd_h5_close(&creation);
    return st;
}

/* Holds one dataset to its description; `where` is the group's path, for the findings. `scale` is
 * NULL for a scale itself. */
static void check_dataset(checker *check, hid_t group, const char *where, const sd_h5_spec *spec,
                          const char *const *scale)
{
    const sd_h5 *h5      = &check->h5;
    hid_t        dataset = H5I_INVALID_HID;
    char         shown[SD_MESSAGE_LEN];

    snprintf(shown, sizeof shown, "%s/%s", where, spec->name);
    const sd_status st = sd_h5_dataset_open(h5, group, spec, check->bytes, &dataset);
    note(check, where, st);
    if (st != SD_OK) return;
    note(check, shown, check_attributes(h5, dataset, spec));
    if (scale != NULL) note(check, shown, check_scales(h5, group, dataset, spec->rank, scale));
    note(check, where, sd_h5_verify(h5, dataset, spec->name));
    sd_h5_close(&dataset);
}

/* ---- scales ---- */

static sd_status check_counted(const sd_h5 *h5, hid_t group, const char *path, int64_t first,
                               int64_t n)
{
    sd_status st      = SD_OK;
    hid_t     dataset = H5I_INVALID_HID;
    int64_t  *values  = NULL;

    SD_TRY(sd_h5_any_dataset_open(h5, group, path, &dataset));
    SD_TRY(sd_alloc(n, sizeof *values, &values));
    if (n > 0)
        SD_TRY(
            SD_H5(h5, H5Dread(dataset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values)));
    for (int64_t i = 0; i < n; i++)
        SD_REQUIRE(values[i] == first + i, h5->code,
                   "'%s': %s[%" PRId64 "] is %" PRId64 ", want %" PRId64, h5->file, path, i,
                   values[i], first + i);

done:
    sd_free(values);
    sd_h5_close(&dataset);
    return st;
}

static sd_status check_is_scale(const sd_h5 *h5, hid_t group, const char *path, const char *name)
{
    sd_status st      = SD_OK;
    hid_t     dataset = H5I_INVALID_HID;
    hid_t class       = H5I_INVALID_HID;
    char text[32]     = "";

    SD_TRY(sd_h5_any_dataset_open(h5, group, path, &dataset));
    for (int i = 0; i < 2; i++) { /* the library writes them as ASCII */
        const char *attribute = i == 0 ? "CLASS" : "NAME",
                   *want      = i == 0 ? "DIMENSION_SCALE" : name;
        hid_t type            = H5I_INVALID_HID;
        SD_REQUIRE(H5Aexists(dataset, attribute) > 0, h5->code, "'%s': %s is no dimension scale",
                   h5->file, path);
        SD_TRY(SD_H5(h5, class = H5Aopen(dataset, attribute, H5P_DEFAULT)));
        SD_TRY(SD_H5(h5, type = H5Aget_type(class)));
        const bool fits = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
                          H5Tget_size(type) < sizeof text &&
                          H5Aget_storage_size(class) == H5Tget_size(type);
        memset(text, 0, sizeof text);
        const herr_t read = fits ? H5Aread(class, type, text) : -1;
        sd_h5_close(&type);
        sd_h5_close(&class);
        SD_REQUIRE(read >= 0 && strcmp(text, want) == 0, h5->code,
                   "'%s': %s is no dimension scale called '%s'", h5->file, path, name);
    }

done:
    sd_h5_close(&class);
    sd_h5_close(&dataset);
    return st;
}

/* A scale as the table describes it; n entries. */
static void check_scale(checker *check, hid_t group, const char *where, const char *path,
                        const sd_dim_info *info, int64_t n)
{
    sd_status  st     = SD_OK;
    const bool counts = info->labels == NULL && info != &sd_dims[SD_DIM_STEP];
    sd_h5_spec spec   = {.name      = path,
                         .units     = "1",
                         .long_name = info->long_name,
                         .type      = info->labels == NULL ? H5T_STD_I64LE : H5I_INVALID_HID,
                         .rank      = 1,
                         .dims      = {(hsize_t)n}};

    const int64_t before = check->findings;
    check_dataset(check, group, where, &spec, NULL);
    if (check->findings > before || check->worst != SD_OK) return;
    SD_TRY(check_is_scale(&check->h5, group, path, info->name));
    if (counts) SD_TRY(check_counted(&check->h5, group, path, info->first, n));

done:
    note(check, where, st);
}

/* ---- runs ---- */

static void check_run_scales(checker *check, const sd_run_reader *run, const char *where)
{
    char path[SD_SCALE_PATH], before[SD_SCALE_PATH] = "";

    for (int dim = SD_DIM_STEP; dim < SD_DIM_COUNT; dim++) {
        const int64_t n =
            dim == SD_DIM_STEP ? run->info.n_steps : sd_dim_length((sd_dim)dim, &run->info.shape);
        if (!sd_dims[dim].in_group)
            check_scale(check, run->group, where, sd_dims[dim].name, &sd_dims[dim], n);
    }
    for (int id = 0; id < SD_V_COUNT; id++)
        for (int i = 0; i < sd_variable_rank((sd_variable_id)id); i++) {
            const sd_dim dim = sd_variables[id].dim[i];
            if (!sd_dims[dim].in_group ||
                !sd_variable_is_asked((sd_variable_id)id, &run->info.shape))
                continue;
            sd_scale_path((sd_variable_id)id, dim, path);
            if (strcmp(path, before) == 0) continue;
            memcpy(before, path, sizeof before);
            check_scale(check, run->group, where, path, &sd_dims[dim],
                        sd_dim_length(dim, &run->info.shape));
        }
}

static void check_run_variables(checker *check, const sd_run_reader *run, const char *where)
{
    char        path[SD_H5_RANK][SD_SCALE_PATH];
    const char *scale[SD_H5_RANK];

    for (int id = 0; id < SD_V_COUNT && check->worst == SD_OK; id++) {
        if (!sd_variable_is_asked((sd_variable_id)id, &run->info.shape)) continue;
        const sd_h5_spec spec =
            sd_variable_spec((sd_variable_id)id, &run->info.shape, run->info.n_steps);
        for (int i = 0; i < spec.rank; i++) {
            const sd_dim dim = sd_variable_dim((sd_variable_id)id, run->info.n_steps, i);
            sd_scale_path((sd_variable_id)id, dim, path[i]);
            scale[i] = path[i];
        }
        check_dataset(check, run->group, where, &spec, scale);
    }
}

/* A dataset beside the variables, over a scale that lies beside it. */
static void check_column(checker *check, hid_t group, const char *where, sd_column_id id, int64_t n)
{
    const sd_h5_spec  spec     = sd_column_spec(id, n);
    const char *const scales[] = {sd_columns[id].scale, sd_columns[id].scale};
    check_dataset(check, group, where, &spec, scales);
}

static void check_run(checker *check, hid_t runs, int64_t i)
{
    sd_run_reader run = {.group = H5I_INVALID_HID};
    char          where[SD_MESSAGE_LEN];

    const sd_status st = sd_run_open(&check->h5, runs, i, check->bytes, &run);
    snprintf(where, sizeof where, "runs/%s", run.name != NULL ? run.name : "?");
    note(check, where, st);
    if (st == SD_OK) {
        check_run_scales(check, &run, where);
        check_column(check, run.group, where, SD_C_RUN_PATH, run.info.n_steps);
        check_column(check, run.group, where, SD_C_RUN_FINGERPRINT, run.info.n_steps);
        check_run_variables(check, &run, where);
    }
    sd_run_close(&run);
}

static void check_runs(checker *check)
{
    sd_status st   = SD_OK;
    hid_t     runs = H5I_INVALID_HID;
    int64_t   n    = 0;

    SD_TRY(sd_runs_open(&check->h5, check->file, &runs, &n));
    for (int64_t i = 0; i < n && check->worst == SD_OK; i++) check_run(check, runs, i);

done:
    note(check, "", st);
    sd_h5_close(&runs);
}

/* ---- tables, attributes ---- */

/* The columns first ... last of a group beside /runs; the first is their scale. */
static void check_table(checker *check, sd_column_id first, sd_column_id last)
{
    sd_status         st    = SD_OK;
    hid_t             group = H5I_INVALID_HID;
    int64_t           n     = 0;
    const char       *where = sd_columns[first].group;
    const sd_dim_info scale = {sd_columns[first].name, sd_columns[first].long_name, false, 0, NULL};

    SD_REQUIRE(H5Lexists(check->file, where, H5P_DEFAULT) > 0, SD_ERR_CHECK, "%s is missing",
               where);
    SD_TRY(SD_H5(&check->h5, group = H5Gopen2(check->file, where, H5P_DEFAULT)));
    SD_TRY(sd_h5_length(&check->h5, group, scale.name, SD_MAX_STEPS, &n));
    check_scale(check, group, where, scale.name, &scale, n);
    for (int id = (int)first + 1; id <= (int)last; id++)
        check_column(check, group, where, (sd_column_id)id, n);

done:
    note(check, "", st);
    sd_h5_close(&group);
}

static sd_status check_root(const sd_h5 *h5, hid_t file)
{
    sd_status st     = SD_OK;
    int64_t   schema = 0;

    SD_TRY(sd_h5_get_int(h5, file, "schema", &schema));
    SD_REQUIRE(schema == SD_SCHEMA, SD_ERR_CHECK,
               "it is of schema %" PRId64 "; this version checks %d", schema, SD_SCHEMA);
    SD_TRY(check_text(h5, file, "title", NULL));
    SD_TRY(check_text(h5, file, "singdef_version", NULL));
    SD_TRY(check_text(h5, file, "study", NULL));

done:
    return st;
}

static sd_status check_provenance(const sd_h5 *h5, hid_t file)
{
    sd_status   st      = SD_OK;
    hid_t       group   = H5I_INVALID_HID;
    int64_t     ranks   = 0;
    const char *texts[] = {"created", "host", "libraries", "command"};

    SD_REQUIRE(H5Lexists(file, "provenance", H5P_DEFAULT) > 0, SD_ERR_CHECK,
               "provenance is missing");
    SD_TRY(SD_H5(h5, group = H5Gopen2(file, "provenance", H5P_DEFAULT)));
    for (int i = 0; i < 4; i++) SD_TRY(check_text(h5, group, texts[i], NULL));
    SD_TRY(sd_h5_get_int(h5, group, "ranks", &ranks));

done:
    sd_h5_close(&group);
    return st;
}

/* ---- nothing unknown ---- */

/* Whether `path` is `whole`, or one of the groups on the way to it. */
static bool leads_to(const char *path, const char *whole)
{
    const size_t length = strlen(path);
    return strncmp(path, whole, length) == 0 && (whole[length] == '\0' || whole[length] == '/');
}

static bool is_known_in_run(const char *path)
{
    static const char *const later[] = {"tokens", "quantization", "nonlinear"};
    char                     scale[SD_SCALE_PATH];

    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        if (leads_to(later[i], path)) return true;
    for (int dim = SD_DIM_STEP; dim < SD_DIM_COUNT; dim++)
        if (!sd_dims[dim].in_group && strcmp(path, sd_dims[dim].name) == 0) return true;
    for (int id = 0; id < SD_V_COUNT; id++) {
        if (leads_to(path, sd_variables[id].path)) return true;
        for (int i = 0; i < sd_variable_rank((sd_variable_id)id); i++) {
            sd_scale_path((sd_variable_id)id, sd_variables[id].dim[i], scale);
            if (strcmp(path, scale) == 0) return true;
        }
    }
    return strcmp(path, sd_columns[SD_C_RUN_PATH].name) == 0 ||
           strcmp(path, sd_columns[SD_C_RUN_FINGERPRINT].name) == 0;
}

static bool is_known(const char *path)
{
    char whole[64];

    if (leads_to("provenance", path)) return true;
    if (strncmp(path, "runs/", 5) == 0) {
        const char *slash = strchr(path + 5, '/');
        return slash == NULL || is_known_in_run(slash + 1);
    }
    for (int id = 0; id < SD_C_COUNT; id++) {
        snprintf(whole, sizeof whole, "%s/%s", sd_columns[id].group, sd_columns[id].name);
        if (leads_to(path, whole)) return true;
    }
    return strcmp(path, "runs") == 0;
}

static herr_t visit(hid_t group, const char *path, const H5L_info_t *info, void *context)
{
    checker *check = context;
    char     line[SD_MESSAGE_LEN];

    (void)group;
    if (!is_known(path)) {
        snprintf(line, sizeof line, "%.400s is unknown", path);
        find(check, line);
    } else if (info->type != H5L_TYPE_HARD && !leads_to("provenance", path)) {
        snprintf(line, sizeof line, "%.400s is a link to elsewhere", path);
        find(check, line);
    }
    return 0;
}

sd_status sd_results_check(const char *file, void (*report)(void *context, const char *line),
                           void       *context)
{
    sd_status st    = SD_OK;
    checker   check = {{file, SD_ERR_CHECK}, H5I_INVALID_HID, 0, 0, report, context, SD_OK};

    SD_TRY(sd_h5_file_open(&check.h5, &check.file, &check.bytes));
    note(&check, "", sd_h5_check_heaps(&check.h5, check.bytes));
    note(&check, "", check_root(&check.h5, check.file));
    check_runs(&check);
    check_table(&check, SD_C_FAILURE, SD_C_FAILURE_MESSAGE);
    /* Files of this schema that are older than the findings have none. */
    if (H5Lexists(check.file, sd_columns[SD_C_FINDING].group, H5P_DEFAULT) != 0)
        check_table(&check, SD_C_FINDING, SD_C_FINDING_MESSAGE);
    check_table(&check, SD_C_MODEL, SD_C_SIGNATURE_CHANCE);
    check_table(&check, SD_C_UNIT, SD_C_UNIT_TIMINGS);
    note(&check, "provenance", check_provenance(&check.h5, check.file));
    note(&check, "",
         SD_H5(&check.h5, H5Lvisit(check.file, H5_INDEX_NAME, H5_ITER_INC, visit, &check)));
    SD_TRY(check.worst);
    SD_REQUIRE(check.findings == 0, SD_ERR_CHECK, "'%s': %" PRId64 " finding%s", file,
               check.findings, check.findings == 1 ? "" : "s");

done:
    sd_h5_file_abandon(&check.file);
    return st;
}
