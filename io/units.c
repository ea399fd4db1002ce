#include "io/results.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "io/atomic_file.h"
#include "io/variables.h"
#include "solvers/base/memory.h"

/* ---- in memory ---- */

static void fill_missing(sd_type type, int64_t n, void *values)
{
    for (int64_t i = 0; i < n; i++) {
        if (type == SD_TYPE_F64) ((double *)values)[i] = (double)NAN;
        if (type == SD_TYPE_F32) ((float *)values)[i] = NAN;
        if (type == SD_TYPE_I32) ((int32_t *)values)[i] = -1;
    }
}

sd_status sd_unit_create(const sd_shape *shape, sd_unit **out)
{
    sd_status st   = SD_OK;
    sd_unit  *unit = NULL;

    SD_REQUIRE(sd_shape_is_sane(shape), SD_ERR_INTERNAL,
               "%" PRId64 " layers of %" PRId64 ", %" PRId64 " singular values", shape->n_layers,
               shape->d, shape->n_triplets);
    SD_TRY(sd_alloc(1, sizeof *unit, &unit));
    unit->shape = *shape;
    for (int id = 0; id < SD_V_COUNT; id++) {
        const int64_t n    = sd_variable_elements((sd_variable_id)id, shape);
        const sd_type type = sd_variables[id].type;
        SD_TRY(sd_alloc(n, sd_type_size(type), &unit->value[id]));
        fill_missing(type, n, unit->value[id]);
    }
    *out = unit;
    unit = NULL;

done:
    sd_unit_destroy(&unit);
    return st;
}

void sd_unit_destroy(sd_unit **unit)
{
    if (unit == NULL || *unit == NULL) return;
    for (int id = 0; id < SD_V_COUNT; id++) sd_free((*unit)->value[id]);
    sd_free((*unit)->info.run);
    sd_free((*unit)->info.path);
    sd_free((*unit)->info.fingerprint);
    sd_free((*unit)->info.key);
    sd_free((*unit)->info.family);
    sd_free(*unit);
    *unit = NULL;
}

double *sd_unit_f64(const sd_unit *unit, sd_variable_id id)
{
    return sd_variables[id].type == SD_TYPE_F64 ? unit->value[id] : NULL;
}

float *sd_unit_f32(const sd_unit *unit, sd_variable_id id)
{
    return sd_variables[id].type == SD_TYPE_F32 ? unit->value[id] : NULL;
}

int32_t *sd_unit_i32(const sd_unit *unit, sd_variable_id id)
{
    return sd_variables[id].type == SD_TYPE_I32 ? unit->value[id] : NULL;
}

/* ---- written ---- */

static sd_status put_info(const sd_h5 *h5, hid_t file, const sd_unit *unit)
{
    sd_status           st         = SD_OK;
    const sd_unit_info *info       = &unit->info;
    hid_t               provenance = H5I_INVALID_HID;

    SD_REQUIRE(info->run != NULL && info->path != NULL && info->fingerprint != NULL &&
                   info->key != NULL && info->family != NULL,
               SD_ERR_INTERNAL, "'%s': a unit without a name", h5->file);
    SD_TRY(sd_h5_put_int(h5, file, "schema", SD_SCHEMA));
    SD_TRY(sd_h5_put_text(h5, file, "run", info->run));
    SD_TRY(sd_h5_put_text(h5, file, "path", info->path));
    SD_TRY(sd_h5_put_text(h5, file, "fingerprint", info->fingerprint));
    SD_TRY(sd_h5_put_text(h5, file, "key", info->key));
    SD_TRY(sd_h5_put_text(h5, file, "family", info->family));
    SD_TRY(sd_h5_put_int(h5, file, "step", info->step));
    SD_TRY(sd_h5_put_int(h5, file, "vocabulary", info->vocabulary));
    SD_TRY(sd_h5_put_int(h5, file, "layers", unit->shape.n_layers));
    SD_TRY(sd_h5_put_int(h5, file, "hidden_size", unit->shape.d));
    SD_TRY(sd_h5_put_int(h5, file, "triplets", unit->shape.n_triplets));
    SD_TRY(sd_h5_group(h5, file, "provenance", &provenance));
    SD_TRY(sd_h5_put_real(h5, provenance, "elapsed_s", info->elapsed_s));

done:
    sd_h5_close(&provenance);
    return st;
}

static sd_status put_variables(const sd_h5 *h5, hid_t file, const sd_unit *unit)
{
    sd_status        st = SD_OK;
    sd_variables_out out;

    sd_variables_clear(&out);
    SD_TRY(sd_variables_create(h5, file, &unit->shape, SD_NO_STEPS, NULL, &out));
    for (int id = 0; id < SD_V_COUNT; id++)
        if (sd_variable_is_stored((sd_variable_id)id, &unit->shape, SD_NO_STEPS))
            SD_TRY(sd_variables_put(h5, &out, 0, (sd_variable_id)id, unit->value[id]));
    SD_TRY(sd_variables_finish(h5, &out));

done:
    sd_variables_release(&out);
    return st;
}

sd_status sd_unit_write(const sd_unit *unit, const char *file)
{
    sd_status   st        = SD_OK;
    const sd_h5 h5        = {file, SD_ERR_RESOURCE};
    char       *temporary = NULL;
    hid_t       id        = H5I_INVALID_HID;

    SD_TRY(sd_atomic_name(file, &temporary));
    SD_TRY(sd_h5_file_create(&h5, temporary, &id));
    SD_TRY(put_variables(&h5, id, unit));
    SD_TRY(put_info(&h5, id, unit));
    SD_TRY(sd_h5_file_close(&h5, &id));
    SD_TRY(sd_atomic_commit(temporary, file));

done:
    sd_h5_file_abandon(&id);
    if (st != SD_OK) sd_atomic_discard(temporary);
    sd_free(temporary);
    return st;
}

/* ---- read ---- */

static sd_status get_info(const sd_h5 *h5, hid_t file, sd_unit_info *info, sd_shape *shape)
{
    sd_status st         = SD_OK;
    int64_t   schema     = 0;
    hid_t     provenance = H5I_INVALID_HID;

    SD_TRY(sd_h5_get_int(h5, file, "schema", &schema));
    SD_REQUIRE(schema == SD_SCHEMA, SD_ERR_CHECK,
               "'%s' is of schema %" PRId64 "; this version reads %d", h5->file, schema, SD_SCHEMA);
    SD_TRY(sd_h5_get_text(h5, file, "run", &info->run));
    SD_TRY(sd_h5_get_text(h5, file, "path", &info->path));
    SD_TRY(sd_h5_get_text(h5, file, "fingerprint", &info->fingerprint));
    SD_TRY(sd_h5_get_text(h5, file, "key", &info->key));
    SD_TRY(sd_h5_get_text(h5, file, "family", &info->family));
    SD_TRY(sd_h5_get_int(h5, file, "step", &info->step));
    SD_TRY(sd_h5_get_int(h5, file, "vocabulary", &info->vocabulary));
    SD_TRY(sd_h5_get_int(h5, file, "layers", &shape->n_layers));
    SD_TRY(sd_h5_get_int(h5, file, "hidden_size", &shape->d));
    SD_TRY(sd_h5_get_int(h5, file, "triplets", &shape->n_triplets));
    SD_TRY(sd_shape_get_asked(h5, file, shape));
    SD_REQUIRE(sd_shape_is_sane(shape), SD_ERR_CHECK,
               "'%s': %" PRId64 " layers of %" PRId64 ", %" PRId64 " singular values", h5->file,
               shape->n_layers, shape->d, shape->n_triplets);
    SD_TRY(SD_H5(h5, provenance = H5Gopen2(file, "provenance", H5P_DEFAULT)));
    SD_TRY(sd_h5_get_real(h5, provenance, "elapsed_s", &info->elapsed_s));

done:
    sd_h5_close(&provenance);
    return st;
}

/* The file must be as large as the values it claims, before anything is allocated for them. */
static sd_status check_size(const sd_h5 *h5, const sd_shape *shape, int64_t file_bytes)
{
    sd_status st   = SD_OK;
    int64_t   left = file_bytes;

    for (int id = 0; id < SD_V_COUNT; id++) {
        if (!sd_variable_is_stored((sd_variable_id)id, shape, SD_NO_STEPS)) continue;
        const int64_t bytes =
            sd_variable_elements((sd_variable_id)id, shape) * sd_type_size(sd_variables[id].type);
        SD_REQUIRE(bytes <= left, SD_ERR_CHECK, "'%s' is too short for its values", h5->file);
        left -= bytes;
    }

done:
    return st;
}

static sd_status get_variable(const sd_h5 *h5, hid_t file, const sd_unit *unit, sd_variable_id id,
                              int64_t file_bytes)
{
    sd_status        st      = SD_OK;
    hid_t            dataset = H5I_INVALID_HID;
    const sd_h5_spec spec    = sd_variable_spec(id, &unit->shape, SD_NO_STEPS);

    SD_TRY(sd_h5_dataset_open(h5, file, &spec, file_bytes, &dataset));
    if (sd_variable_elements(id, &unit->shape) > 0)
        SD_TRY(
            SD_H5(h5, H5Dread(dataset, spec.type, H5S_ALL, H5S_ALL, H5P_DEFAULT, unit->value[id])));
    SD_TRY(sd_h5_verify_values(h5, dataset, spec.name, unit->value[id],
                               sd_variable_elements(id, &unit->shape) *
                                   sd_type_size(sd_variables[id].type)));

done:
    sd_h5_close(&dataset);
    return st;
}

sd_status sd_unit_read(const char *file, sd_unit **out)
{
    sd_status   st    = SD_OK;
    const sd_h5 h5    = {file, SD_ERR_CHECK};
    sd_unit    *unit  = NULL;
    sd_unit    *about = NULL;
    hid_t       id    = H5I_INVALID_HID;
    int64_t     bytes = 0;

    SD_TRY(sd_alloc(1, sizeof *about, &about));
    SD_TRY(sd_h5_file_open(&h5, &id, &bytes));
    SD_TRY(get_info(&h5, id, &about->info, &about->shape));
    SD_TRY(check_size(&h5, &about->shape, bytes));
    SD_TRY(sd_unit_create(&about->shape, &unit));
    for (int i = 0; i < SD_V_COUNT; i++)
        if (sd_variable_is_stored((sd_variable_id)i, &unit->shape, SD_NO_STEPS))
            SD_TRY(get_variable(&h5, id, unit, (sd_variable_id)i, bytes));
    unit->info  = about->info;
    about->info = (sd_unit_info){0};
    *out        = unit;
    unit        = NULL;

done:
    sd_h5_file_abandon(&id);
    sd_unit_destroy(&about);
    sd_unit_destroy(&unit);
    return st;
}
