#include "pipeline/align.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "solvers/angle.h"
#include "solvers/base/memory.h"

sd_status sd_phase_marks_read(const sd_unit *unit, sd_phase_marks *out)
{
    sd_status      st    = SD_OK;
    const int32_t *first = sd_unit_i32(unit, SD_V_PHASE_FIRST);
    const int32_t *last  = sd_unit_i32(unit, SD_V_PHASE_LAST);
    const int64_t  n     = SD_MAX_PHASES * unit->shape.d;

    *out = (sd_phase_marks){.d = unit->shape.d};
    SD_TRY(sd_alloc(n, sizeof *out->direction, &out->direction));
    memcpy(out->direction, sd_unit_f64(unit, SD_V_PHASE_DIRECTION), (size_t)n * sizeof(double));
    while (out->n < SD_MAX_PHASES && first[out->n] >= 0) {
        out->first[out->n] = first[out->n];
        out->last[out->n]  = last[out->n];
        out->n++;
    }

done:
    return st;
}

void sd_phase_marks_release(sd_phase_marks *marks)
{
    sd_free(marks->direction);
    *marks = (sd_phase_marks){0};
}

/* States in common over states of both; 0 when there are none. */
static double common_share(const sd_phase_marks *a, int i, const sd_phase_marks *b, int j)
{
    const int begin = a->first[i] > b->first[j] ? a->first[i] : b->first[j];
    const int end   = a->last[i] < b->last[j] ? a->last[i] : b->last[j];
    const int low   = a->first[i] < b->first[j] ? a->first[i] : b->first[j];
    const int high  = a->last[i] > b->last[j] ? a->last[i] : b->last[j];

    return end >= begin ? (double)(end - begin + 1) / (high - low + 1) : 0;
}

static double likeness(const sd_phase_marks *a, int i, const sd_phase_marks *b, int j)
{
    const double share = common_share(a, i, b, j);
    const double cosine =
        a->d == b->d ? sd_cosine(a->d, a->direction + i * a->d, b->direction + j * b->d) : NAN;

    return share > 0 ? share + (isfinite(cosine) ? fabs(cosine) : 0) : 0;
}

void sd_phase_align(const sd_phase_marks *last, const sd_phase_marks *marks, int *slot)
{
    bool taken[SD_MAX_PHASES] = {false};
    int  free_slot            = last->n;

    for (int j = 0; j < SD_MAX_PHASES; j++) slot[j] = -1;
    for (;;) { /* the best pair that is left, until none has a state in common */
        double best = 0;
        int    bi = -1, bj = -1;

        for (int i = 0; i < last->n; i++)
            for (int j = 0; j < marks->n; j++) {
                const double value = taken[i] || slot[j] >= 0 ? 0 : likeness(last, i, marks, j);

                if (value > best) {
                    best = value;
                    bi   = i;
                    bj   = j;
                }
            }
        if (bi < 0) break;
        taken[bi] = true;
        slot[bj]  = bi;
    }
    for (int j = 0; j < marks->n; j++)
        if (slot[j] < 0 && free_slot < SD_MAX_PHASES) slot[j] = free_slot++;
}

/* ---- renumbering ---- */

static void fill_missing(sd_type type, int64_t n, void *values)
{
    for (int64_t i = 0; i < n; i++) switch (type) {
        case SD_TYPE_F64: ((double *)values)[i] = NAN; break;
        case SD_TYPE_F32: ((float *)values)[i] = NAN; break;
        case SD_TYPE_I32: ((int32_t *)values)[i] = -1; break;
        }
}

/* values: outer x SD_MAX_PHASES x inner elements. */
static sd_status move_phases(const sd_variable *v, int64_t outer, int64_t inner, const int *slot,
                             char *values)
{
    sd_status     st    = SD_OK;
    const int64_t bytes = inner * sd_type_size(v->type), row = SD_MAX_PHASES * bytes;
    char         *old = NULL;

    SD_TRY(sd_alloc(outer * row, 1, &old));
    memcpy(old, values, (size_t)(outer * row));
    fill_missing(v->type, outer * SD_MAX_PHASES * inner, values);
    for (int64_t o = 0; o < outer; o++)
        for (int k = 0; k < SD_MAX_PHASES; k++)
            if (slot[k] >= 0)
                memcpy(values + o * row + slot[k] * bytes, old + o * row + k * bytes,
                       (size_t)bytes);

done:
    sd_free(old);
    return st;
}

static sd_status renumber_roles(const sd_unit *unit, sd_variable_id id, const int *slot)
{
    sd_status st   = SD_OK;
    int32_t  *role = sd_unit_i32(unit, id);

    for (int64_t l = 0; l < unit->shape.n_layers; l++) {
        SD_REQUIRE(role[l] <= SD_MAX_PHASES, SD_ERR_CHECK,
                   "%s of layer %" PRId64 " is %d, and there are %d phases", sd_variables[id].path,
                   l + 1, role[l], SD_MAX_PHASES);
        if (role[l] > 0) role[l] = slot[role[l] - 1] + 1; /* a phase without a number: 0 */
    }

done:
    return st;
}

sd_status sd_phase_renumber(sd_unit *unit, const int *slot)
{
    sd_status st = SD_OK;

    for (int id = 0; id < SD_V_COUNT; id++) {
        const sd_variable *v     = &sd_variables[id];
        int64_t            outer = 1, inner = 1;
        int                at = 0;

        while (at < SD_VARIABLE_DIMS && v->dim[at] != SD_DIM_PHASE)
            outer *= sd_dim_length(v->dim[at++], &unit->shape);
        if (at == SD_VARIABLE_DIMS || unit->value[id] == NULL) continue;
        for (int i = at + 1; i < SD_VARIABLE_DIMS; i++)
            inner *= sd_dim_length(v->dim[i], &unit->shape);
        SD_TRY(move_phases(v, outer, inner, slot, unit->value[id]));
    }
    SD_TRY(renumber_roles(unit, SD_V_ROLE_EXPLOSION, slot));
    SD_TRY(renumber_roles(unit, SD_V_ROLE_DECAY, slot));

done:
    return st;
}
