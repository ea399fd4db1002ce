/* Phases keep their number along a run: matching by states and direction, and moving everything
 * that goes by phases. */
#include "pipeline/align.h"

#include <string.h>

#include "solvers/base/memory.h"
#include "tests/support/check.h"
#include "tests/support/make_study.h"

enum { D = 3 };

/* Phases by hand: first, last, and the axis that the direction lies on (-1: NaN). */
typedef struct {
    int first, last, axis;
} made_phase;

typedef struct {
    sd_phase_marks marks;
    double         direction[SD_MAX_PHASES * D];
} made_marks;

static void make(made_marks *out, int n, const made_phase *phase)
{
    *out                 = (made_marks){.marks = {.n = n, .d = D}};
    out->marks.direction = out->direction;
    for (int k = 0; k < n; k++) {
        out->marks.first[k] = phase[k].first;
        out->marks.last[k]  = phase[k].last;
        for (int i = 0; i < D; i++)
            out->direction[k * D + i] = phase[k].axis < 0 ? (double)NAN : (i == phase[k].axis);
    }
}

/* The numbers that `b` gets in the numbering of `a` are those of `want`. */
static void aligned(int n_a, const made_phase *a, int n_b, const made_phase *b, const int *want)
{
    made_marks of_a, of_b;
    int        slot[SD_MAX_PHASES];

    make(&of_a, n_a, a);
    make(&of_b, n_b, b);
    sd_phase_align(&of_a.marks, &of_b.marks, slot);
    for (int k = 0; k < SD_MAX_PHASES; k++) {
        CHECK(slot[k] == want[k]);
        if (slot[k] != want[k]) fprintf(stderr, "phase %d: %d, want %d\n", k, slot[k], want[k]);
    }
}

#define PHASES(...)                                                                                \
    (const made_phase[])                                                                           \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define SLOTS(a, b, c, d)                                                                          \
    (const int[])                                                                                  \
    {                                                                                              \
        a, b, c, d                                                                                 \
    }

static void the_same_phases_keep_their_numbers(void)
{
    aligned(2, PHASES({3, 10, 0}, {12, 29, 1}), 2, PHASES({3, 10, 0}, {12, 29, 1}),
            SLOTS(0, 1, -1, -1));
}

static void swapped_phases_are_told_apart_by_their_states(void)
{
    aligned(2, PHASES({12, 29, 1}, {3, 10, 0}), 2, PHASES({3, 9, 0}, {13, 29, 1}),
            SLOTS(1, 0, -1, -1));
}

/* Both have the same states: the direction decides, whatever its sign. */
static void directions_decide_between_equal_states(void)
{
    made_marks a, b;
    int        slot[SD_MAX_PHASES];

    aligned(2, PHASES({3, 10, 0}, {3, 10, 1}), 2, PHASES({3, 10, 1}, {3, 10, 0}),
            SLOTS(1, 0, -1, -1));
    make(&a, 2, PHASES({3, 10, 0}, {3, 10, 1}));
    make(&b, 2, PHASES({3, 10, 1}, {3, 10, 0}));
    for (int i = 0; i < 2 * D; i++) b.direction[i] = -b.direction[i];
    sd_phase_align(&a.marks, &b.marks, slot);
    CHECK(slot[0] == 1 && slot[1] == 0);
}

/* One state of 14 in common and the same direction (1.07) beat 7 of 8 states alone (0.875); without
 * a direction in common the states decide. */
static void states_and_direction_add_up(void)
{
    aligned(2, PHASES({2, 9, 0}, {8, 15, 1}), 1, PHASES({2, 8, 1}), SLOTS(1, -1, -1, -1));
    aligned(2, PHASES({2, 9, 0}, {8, 15, 1}), 1, PHASES({2, 8, 2}), SLOTS(0, -1, -1, -1));
    aligned(2, PHASES({8, 15, 0}, {2, 9, 0}), 1, PHASES({2, 8, 0}), SLOTS(1, -1, -1, -1));
}

static void a_direction_alone_is_no_match(void)
{
    aligned(1, PHASES({12, 29, 0}), 1, PHASES({3, 11, 0}), SLOTS(1, -1, -1, -1));
    aligned(1, PHASES({12, 29, 0}), 1, PHASES({3, 12, -1}), SLOTS(0, -1, -1, -1));
}

/* Early in a run the dominant phase of the end is not there, or others are that vanish. */
static void what_is_not_in_both_takes_a_free_number(void)
{
    aligned(2, PHASES({12, 29, 1}, {3, 10, 0}), 1, PHASES({3, 10, 0}), SLOTS(1, -1, -1, -1));
    aligned(1, PHASES({12, 29, 1}), 3, PHASES({3, 4, 0}, {12, 29, 1}, {6, 7, 0}),
            SLOTS(1, 0, 2, -1));
    aligned(0, NULL, 2, PHASES({3, 4, 0}, {12, 29, 1}), SLOTS(0, 1, -1, -1));
    aligned(2, PHASES({3, 4, 0}, {12, 29, 1}), 0, NULL, SLOTS(-1, -1, -1, -1));
}

static void more_phases_than_places_go_without(void)
{
    aligned(4, PHASES({1, 2, 0}, {3, 4, 0}, {5, 6, 0}, {7, 8, 0}), 4,
            PHASES({9, 9, 0}, {5, 6, 0}, {10, 10, 0}, {1, 2, 0}), SLOTS(-1, 2, -1, 0));
    aligned(3, PHASES({1, 2, 0}, {3, 4, 0}, {5, 6, 0}), 3,
            PHASES({9, 9, 0}, {10, 10, 0}, {5, 6, 0}), SLOTS(3, -1, 2, -1));
}

/* Two of one phase of the end: the likelier gets its number. */
static void a_number_is_given_once(void)
{
    aligned(1, PHASES({2, 9, 0}), 2, PHASES({2, 3, 0}, {4, 9, 0}), SLOTS(1, 0, -1, -1));
}

static void other_sizes_have_no_angle(void)
{
    made_marks a, b;
    int        slot[SD_MAX_PHASES];

    make(&a, 2, PHASES({3, 10, 0}, {3, 10, 1}));
    make(&b, 1, PHASES({3, 10, 1}));
    b.marks.d = 2; /* nothing beyond may be read, nothing compared */
    sd_phase_align(&a.marks, &b.marks, slot);
    CHECK(slot[0] == 0);
}

/* ---- renumbering ---- */

static const sd_shape SHAPE = {3, 5, 2, true};

static sd_unit *full_unit(void)
{
    sd_unit *unit = NULL;

    CHECK(sd_unit_create(&SHAPE, &unit) == SD_OK);
    for (int id = 0; id < SD_V_COUNT; id++)
        study_fill((sd_variable_id)id, 0, &SHAPE, unit->value[id]);
    for (int l = 0; l < 3; l++) {
        sd_unit_i32(unit, SD_V_ROLE_EXPLOSION)[l] = (const int32_t[]){0, 1, 4}[l];
        sd_unit_i32(unit, SD_V_ROLE_DECAY)[l]     = (const int32_t[]){3, 2, -1}[l];
    }
    return unit;
}

static double element(const sd_unit *unit, int id, int64_t i)
{
    switch (sd_variables[id].type) {
    case SD_TYPE_F64: return ((const double *)unit->value[id])[i];
    case SD_TYPE_F32: return (double)((const float *)unit->value[id])[i];
    case SD_TYPE_I32: return ((const int32_t *)unit->value[id])[i];
    }
    return 0;
}

/* Where element i of a variable comes from when phase k moves to slot[k]; -1: from nowhere. */
static int64_t source(int id, int64_t i, const int *slot)
{
    int64_t inner = 1;

    for (int at = SD_VARIABLE_DIMS - 1; at >= 0; at--) {
        const sd_dim dim = sd_variables[id].dim[at];

        if (dim == SD_DIM_PHASE) {
            const int64_t now = i / inner % SD_MAX_PHASES;

            for (int k = 0; k < SD_MAX_PHASES; k++)
                if (slot[k] == now) return i + (k - now) * inner;
            return -1;
        }
        inner *= sd_dim_length(dim, &SHAPE);
    }
    return i;
}

static void renumbered(const int *slot)
{
    sd_unit *unit = full_unit();
    int      n    = 0;

    CHECK(sd_phase_renumber(unit, slot) == SD_OK);
    for (int id = 0; id < SD_V_COUNT; id++) {
        const bool missing_int = sd_variables[id].type == SD_TYPE_I32;

        if (id == SD_V_ROLE_EXPLOSION || id == SD_V_ROLE_DECAY) continue;
        for (int64_t i = 0; i < sd_variable_elements((sd_variable_id)id, &SHAPE); i++) {
            const int64_t from = source(id, i, slot);
            const double  is   = element(unit, id, i);

            n += from != i;
            if (from >= 0)
                CHECK(is == study_value(id, 0, from));
            else
                CHECK(missing_int ? is == -1 : isnan(is));
        }
    }
    CHECK(n > 0 || (slot[0] == 0 && slot[1] == 1 && slot[2] == 2 && slot[3] == 3));
    for (int l = 0; l < 3; l++) {
        const int32_t up   = (const int32_t[]){0, slot[0] + 1, slot[3] + 1}[l];
        const int32_t down = (const int32_t[]){slot[2] + 1, slot[1] + 1, -1}[l];

        CHECK(sd_unit_i32(unit, SD_V_ROLE_EXPLOSION)[l] == up);
        CHECK(sd_unit_i32(unit, SD_V_ROLE_DECAY)[l] == down);
    }
    sd_unit_destroy(&unit);
}

static void everything_that_goes_by_phases_moves(void)
{
    renumbered(SLOTS(0, 1, 2, 3));
    renumbered(SLOTS(1, 0, 2, 3));
    renumbered(SLOTS(3, 2, 1, 0));
    renumbered(SLOTS(2, -1, 0, -1));
    renumbered(SLOTS(-1, -1, -1, -1));
}

/* A unit is a file: a role that is no phase would index an array of four. */
static void a_role_that_is_no_phase_is_refused(void)
{
    sd_unit *unit = full_unit();

    sd_unit_i32(unit, SD_V_ROLE_DECAY)[1] = 5;
    CHECK(sd_phase_renumber(unit, SLOTS(0, 1, 2, 3)) == SD_ERR_CHECK);
    CHECK(strcmp(sd_message(), "layer_role/decay of layer 2 is 5, and there are 4 phases") == 0);
    sd_clear();
    sd_unit_destroy(&unit);
}

static void marks_are_what_the_unit_says(void)
{
    sd_unit       *unit = full_unit();
    sd_phase_marks marks;
    int32_t       *first = sd_unit_i32(unit, SD_V_PHASE_FIRST);

    CHECK(sd_phase_marks_read(unit, &marks) == SD_OK);
    CHECK(marks.n == SD_MAX_PHASES && marks.d == 5);
    first[2] = -1;
    sd_phase_marks_release(&marks);
    CHECK(marks.n == 0 && marks.direction == NULL);
    CHECK(sd_phase_marks_read(unit, &marks) == SD_OK);
    CHECK(marks.n == 2 && marks.first[1] == (int)study_value(SD_V_PHASE_FIRST, 0, 1));
    CHECK(marks.last[1] == (int)study_value(SD_V_PHASE_LAST, 0, 1));
    CHECK(marks.direction[7] == study_value(SD_V_PHASE_DIRECTION, 0, 7));
    sd_phase_marks_release(&marks);
    sd_unit_destroy(&unit);
}

int main(void)
{
    the_same_phases_keep_their_numbers();
    swapped_phases_are_told_apart_by_their_states();
    directions_decide_between_equal_states();
    states_and_direction_add_up();
    a_direction_alone_is_no_match();
    what_is_not_in_both_takes_a_free_number();
    more_phases_than_places_go_without();
    a_number_is_given_once();
    other_sizes_have_no_angle();
    everything_that_goes_by_phases_moves();
    a_role_that_is_no_phase_is_refused();
    marks_are_what_the_unit_says();
    return REPORT();
}
