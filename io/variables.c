#include "io/variables.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "solvers/base/memory.h"

/* ---- scales ---- */

void sd_scales_clear(sd_scales *scales)
{
    for (int i = 0; i < SD_DIM_COUNT; i++) scales->id[i] = H5I_INVALID_HID;
}

void sd_scales_close(sd_scales *scales)
{
    for (int i = 0; i < SD_DIM_COUNT; i++) sd_h5_close(&scales->id[i]);
}

static sd_status create_scale(const sd_h5 *h5, hid_t group, sd_dim dim, int64_t n,
                              const int64_t *values, hid_t *out)
{
    sd_status          st      = SD_OK;
    const sd_dim_info *info    = &sd_dims[dim];
    int64_t           *counted = NULL;

    if (values == NULL && info->labels == NULL) {
        SD_TRY(sd_alloc(n, sizeof *counted, &counted));
        for (int64_t i = 0; i < n; i++) counted[i] = info->first + i;
        values = counted;
    }
    const sd_h5_scale scale = {info->name, info->long_name, n, values, info->labels};
    SD_TRY(sd_h5_scale_put(h5, group, &scale, out));

done:
    sd_free(counted);
    return st;
}

sd_status sd_scales_create(const sd_h5 *h5, hid_t run, const sd_shape *shape, int64_t n_steps,
                           const int64_t *step, sd_scales *out)
{
    sd_status st = SD_OK;

    for (int i = SD_DIM_STEP; i < SD_DIM_COUNT; i++) {
        const sd_dim  dim = (sd_dim)i;
        const int64_t n   = dim == SD_DIM_STEP ? n_steps : sd_dim_length(dim, shape);
        if (sd_dims[dim].in_group) continue;
        SD_TRY(create_scale(h5, run, dim, n, dim == SD_DIM_STEP ? step : NULL, &out->id[dim]));
    }

done:
    return st;
}

void sd_scale_path(sd_variable_id id, sd_dim dim, char *out)
{
    const char *path   = sd_variables[id].path;
    const int   folder = sd_dims[dim].in_group ? (int)(strchr(path, '/') - path) + 1 : 0;
    snprintf(out, SD_SCALE_PATH, "%.*s%s", folder, path, sd_dims[dim].name);
}

/* ---- variables ---- */

void sd_variables_clear(sd_variables_out *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < SD_V_COUNT; i++) out->dataset[i] = H5I_INVALID_HID;
}

void sd_variables_release(sd_variables_out *out)
{
    for (int i = 0; i < SD_V_COUNT; i++) {
        sd_digest_destroy(&out->digest[i]);
        sd_h5_close(&out->dataset[i]);
    }
}

bool sd_variable_is_stored(sd_variable_id id, const sd_shape *shape, int64_t n_steps)
{
    return sd_variable_is_asked(id, shape) && (n_steps != SD_NO_STEPS || !sd_variables[id].derived);
}

sd_status sd_shape_get_asked(const sd_h5 *h5, hid_t group, sd_shape *shape)
{
    sd_status st     = SD_OK;
    htri_t    exists = 0;

    SD_TRY(SD_H5(h5, exists = H5Lexists(group, "subspace", H5P_DEFAULT)));
    shape->subspace = exists > 0;

done:
    return st;
}

sd_dim sd_variable_dim(sd_variable_id id, int64_t n_steps, int i)
{
    if (n_steps == SD_NO_STEPS) return sd_variables[id].dim[i];
    return i == 0 ? SD_DIM_STEP : sd_variables[id].dim[i - 1];
}

sd_h5_spec sd_variable_spec(sd_variable_id id, const sd_shape *shape, int64_t n_steps)
{
    const sd_variable *variable = &sd_variables[id];
    sd_h5_spec         spec     = {.name      = variable->path,
                                   .units     = variable->units,
                                   .long_name = variable->long_name,
                                   .type      = sd_h5_type(variable->type),
                                   .rank = sd_variable_rank(id) + (n_steps != SD_NO_STEPS ? 1 : 0)};

    for (int i = 0; i < spec.rank; i++) {
        const sd_dim dim = sd_variable_dim(id, n_steps, i);
        spec.dims[i]     = (hsize_t)(dim == SD_DIM_STEP ? n_steps : sd_dim_length(dim, shape));
        spec.scale[i]    = H5I_INVALID_HID;
    }
    return spec;
}

/* Opens or makes the groups of "decay/paper/angle" and gives the last one; `leaf` gets "angle". */
static sd_status open_folder(const sd_h5 *h5, hid_t group, const char *path, hid_t *out,
                             const char **leaf)
{
    sd_status st = SD_OK;
    hid_t     at = H5I_INVALID_HID, next = H5I_INVALID_HID;
    char      name[64];

    SD_TRY(SD_H5(h5, H5Iinc_ref(group)));
    at = group;
    for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
        SD_TRY(sd_h5_group(h5, at, name, &next));
        sd_h5_close(&at);
        at   = next;
        next = H5I_INVALID_HID;
    }
    *leaf = path;
    *out  = at;
    at    = H5I_INVALID_HID;

done:
    sd_h5_close(&at);
    return st;
}

/* The scale of one dimension of a variable: the run's, or its own group's, made by the first user.
 * Yours to close. */
static sd_status open_scale(const sd_h5 *h5, hid_t group, sd_variable_id id, sd_dim dim,
                            const sd_scales *scales, const sd_shape *shape, hid_t *out)
{
    sd_status   st     = SD_OK;
    hid_t       folder = H5I_INVALID_HID;
    htri_t      exists = 0;
    char        path[SD_SCALE_PATH];
    const char *leaf;

    if (!sd_dims[dim].in_group) {
        SD_TRY(SD_H5(h5, H5Iinc_ref(scales->id[dim])));
        *out = scales->id[dim];
        goto done;
    }
    sd_scale_path(id, dim, path);
    SD_TRY(open_folder(h5, group, path, &folder, &leaf));
    SD_TRY(SD_H5(h5, exists = H5Lexists(folder, leaf, H5P_DEFAULT)));
    if (exists)
        SD_TRY(SD_H5(h5, *out = H5Dopen2(folder, leaf, H5P_DEFAULT)));
    else
        SD_TRY(create_scale(h5, folder, dim, sd_dim_length(dim, shape), NULL, out));

done:
    sd_h5_close(&folder);
    return st;
}

sd_h5_spec sd_column_spec(sd_column_id id, int64_t n)
{
    const sd_column *column = &sd_columns[id];
    sd_h5_spec       spec   = {.name      = column->name,
                               .units     = column->units,
                               .long_name = column->long_name,
                               .rank      = column->rank};

    spec.type = column->type == SD_COLUMN_TEXT  ? H5I_INVALID_HID
                : column->type == SD_COLUMN_I64 ? H5T_STD_I64LE
                                                : H5T_IEEE_F64LE;
    for (int i = 0; i < column->rank; i++) {
        spec.dims[i]  = (hsize_t)n;
        spec.scale[i] = H5I_INVALID_HID;
    }
    return spec;
}

static sd_status create_variable(const sd_h5 *h5, hid_t group, sd_variable_id id,
                                 const sd_scales *scales, sd_variables_out *out)
{
    sd_status  st     = SD_OK;
    hid_t      folder = H5I_INVALID_HID;
    sd_h5_spec spec   = sd_variable_spec(id, &out->shape, out->n_steps);

    for (int i = 0; scales != NULL && i < spec.rank; i++)
        SD_TRY(open_scale(h5, group, id, sd_variable_dim(id, out->n_steps, i), scales, &out->shape,
                          &spec.scale[i]));
    SD_TRY(open_folder(h5, group, sd_variables[id].path, &folder, &spec.name));
    SD_TRY(sd_h5_dataset_create(h5, folder, &spec, &out->dataset[id]));
    SD_TRY(sd_digest_create(SD_DIGEST_SHA256, &out->digest[id]));

done:
    sd_h5_close(&folder);
    for (int i = 0; i < spec.rank; i++) sd_h5_close(&spec.scale[i]);
    return st;
}

sd_status sd_variables_create(const sd_h5 *h5, hid_t group, const sd_shape *shape, int64_t n_steps,
                              const sd_scales *scales, sd_variables_out *out)
{
    sd_status st = SD_OK;

    SD_REQUIRE(sd_shape_is_sane(shape) && n_steps <= SD_MAX_STEPS, SD_ERR_INTERNAL,
               "'%s': %" PRId64 " layers of %" PRId64 ", %" PRId64 " steps", h5->file,
               shape->n_layers, shape->d, n_steps);
    sd_variables_clear(out);
    out->shape   = *shape;
    out->n_steps = n_steps;
    for (int id = 0; id < SD_V_COUNT; id++)
        if (sd_variable_is_stored((sd_variable_id)id, shape, n_steps))
            SD_TRY(create_variable(h5, group, (sd_variable_id)id, scales, out));

done:
    return st;
}

sd_status sd_variables_put(const sd_h5 *h5, sd_variables_out *out, int64_t step_index,
                           sd_variable_id id, const void *value)
{
    sd_status     st                = SD_OK;
    hid_t         space             = H5I_INVALID_HID;
    hid_t         memory            = H5I_INVALID_HID;
    const int64_t count             = sd_variable_elements(id, &out->shape);
    sd_h5_spec    spec              = sd_variable_spec(id, &out->shape, out->n_steps);
    hsize_t       start[SD_H5_RANK] = {0};

    SD_REQUIRE(step_index == out->written[id] && out->dataset[id] >= 0, SD_ERR_INTERNAL,
               "'%s': %s: step %" PRId64 " after %" PRId64, h5->file, sd_variables[id].path,
               step_index, out->written[id]);
    out->written[id]++;
    if (count == 0) goto done;
    SD_TRY(sd_digest_add(out->digest[id], value, count * sd_type_size(sd_variables[id].type)));
    if (spec.rank == 0) { /* a single number of a unit */
        SD_TRY(
            SD_H5(h5, H5Dwrite(out->dataset[id], spec.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, value)));
        goto done;
    }
    if (out->n_steps != SD_NO_STEPS) {
        start[0]     = (hsize_t)step_index;
        spec.dims[0] = 1;
    }
    SD_TRY(SD_H5(h5, space = H5Dget_space(out->dataset[id])));
    SD_TRY(SD_H5(h5, H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, spec.dims, NULL)));
    SD_TRY(SD_H5(h5, memory = H5Screate_simple(1, (const hsize_t[]){(hsize_t)count}, NULL)));
    SD_TRY(SD_H5(h5, H5Dwrite(out->dataset[id], spec.type, memory, space, H5P_DEFAULT, value)));

done:
    sd_h5_close(&memory);
    sd_h5_close(&space);
    return st;
}

sd_status sd_variables_finish(const sd_h5 *h5, sd_variables_out *out)
{
    sd_status     st    = SD_OK;
    const int64_t steps = out->n_steps == SD_NO_STEPS ? 1 : out->n_steps;
    char          hex[SD_SHA256_HEX];

    for (int id = 0; id < SD_V_COUNT; id++) {
        if (!sd_variable_is_stored((sd_variable_id)id, &out->shape, out->n_steps)) continue;
        SD_REQUIRE(out->written[id] == steps, SD_ERR_INTERNAL,
                   "'%s': %s: %" PRId64 " of %" PRId64 " steps were written", h5->file,
                   sd_variables[id].path, out->written[id], steps);
        SD_TRY(sd_digest_hex(out->digest[id], hex));
        SD_TRY(sd_h5_put_text(h5, out->dataset[id], "sha256", hex));
    }

done:
    return st;
}
