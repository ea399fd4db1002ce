/* A unit is written, read back, and refused when it is not what it was. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/make_study.h"

static sd_unit *make_unit(bool subspace)
{
    const sd_shape shape = {3, 5, 2, subspace};
    sd_unit       *unit  = NULL;

    CHECK(sd_unit_create(&shape, &unit) == SD_OK);
    CHECK(sd_copy_string("base", &unit->info.run) == SD_OK);
    CHECK(sd_copy_string("base/step_250", &unit->info.path) == SD_OK);
    CHECK(sd_copy_string("xxh3-128:ab", &unit->info.fingerprint) == SD_OK);
    CHECK(sd_copy_string("0123", &unit->info.key) == SD_OK);
    CHECK(sd_copy_string("llama", &unit->info.family) == SD_OK);
    unit->info.step       = 250;
    unit->info.vocabulary = 49;
    unit->info.elapsed_s  = 1.5;
    return unit;
}

static void a_new_unit_is_missing_everything(void)
{
    sd_unit *unit = make_unit(true);

    for (int64_t i = 0; i < 3 * 4 * 2; i++)
        CHECK(isnan(sd_unit_f64(unit, SD_V_DECAY_SUM_EIGENVALUE)[i]));
    CHECK(isnan(sd_unit_f32(unit, SD_V_DIRECTION_PER_STATE)[4 * 5 - 1]));
    CHECK(sd_unit_i32(unit, SD_V_PHASE_TOKENS)[7] == -1);
    CHECK(sd_unit_f64(unit, SD_V_PHASE_TOKENS) == NULL); /* the wrong type is no pointer */
    sd_unit_destroy(&unit);
    CHECK(unit == NULL);
}

static void what_was_written_is_read(const char *file, bool subspace)
{
    sd_unit *unit = make_unit(subspace), *back = NULL;

    for (int id = 0; id < SD_V_COUNT; id++)
        study_fill((sd_variable_id)id, 1, &unit->shape, unit->value[id]);
    CHECK(sd_unit_write(unit, file) == SD_OK);
    CHECK(sd_unit_read(file, &back) == SD_OK);
    fputs(sd_message(), stderr);
    if (back == NULL) return;
    for (int id = 0; id < SD_V_COUNT; id++) {
        const int64_t bytes = sd_variable_elements((sd_variable_id)id, &unit->shape) *
                              sd_type_size(sd_variables[id].type);
        const int same = memcmp(unit->value[id], back->value[id], (size_t)bytes) == 0;
        CHECK(same == !sd_variables[id].derived); /* derived ones are the merge's, not the unit's */
    }
    CHECK(strcmp(back->info.run, "base") == 0 && strcmp(back->info.path, "base/step_250") == 0);
    CHECK(strcmp(back->info.fingerprint, "xxh3-128:ab") == 0 &&
          strcmp(back->info.key, "0123") == 0);
    CHECK(strcmp(back->info.family, "llama") == 0 && back->info.step == 250);
    CHECK(back->info.vocabulary == 49 && back->info.elapsed_s == 1.5);
    CHECK(back->shape.n_layers == 3 && back->shape.d == 5 && back->shape.n_triplets == 2);
    CHECK(back->shape.subspace == subspace);
    CHECK(sd_variable_elements(SD_V_SUBSPACE_RESPONSE, &back->shape) == (subspace ? 3 * 5 * 2 : 0));
    sd_unit_destroy(&back);
    sd_unit_destroy(&unit);
}

static void missing_numbers_stay_missing(const char *file)
{
    sd_unit *unit = make_unit(true), *back = NULL;

    CHECK(sd_unit_write(unit, file) == SD_OK);
    CHECK(sd_unit_read(file, &back) == SD_OK);
    if (back == NULL) return;
    CHECK(isnan(sd_unit_f64(back, SD_V_PHASE_RATIO)[0]));
    CHECK(sd_unit_i32(back, SD_V_PHASE_FIRST)[3] == -1);
    sd_unit_destroy(&back);
    sd_unit_destroy(&unit);
}

int main(void)
{
    char folder[] = "test_units.XXXXXX", file[64];

    if (mkdtemp(folder) == NULL) return 1;
    snprintf(file, sizeof file, "%s/250.h5", folder);
    a_new_unit_is_missing_everything();
    what_was_written_is_read(file, false); /* a group that nobody asked for is not there */
    what_was_written_is_read(file, true);
    missing_numbers_stay_missing(file);
    unlink(file);
    CHECK(rmdir(folder) == 0); /* no temporary stays */
    return REPORT();
}
