/* docs/results.md says what schema.h says: every dataset has its row there, and no row is of no
 * dataset. With the argument "print": writes the rows, to be put into the page. */
#include <stdlib.h>
#include <string.h>

#include "io/schema.h"
#include "tests/support/check.h"

static const char *const type_names[]   = {"float64", "float32", "int32"};
static const char *const column_types[] = {"string", "int64", "float64"};

static void variable_row(sd_variable_id id, char *out, size_t bytes)
{
    const sd_variable *variable = &sd_variables[id];
    char               dims[80] = "step";

    for (int i = 0; i < sd_variable_rank(id); i++) {
        const size_t used = strlen(dims);
        snprintf(dims + used, sizeof dims - used, ", %s", sd_dims[variable->dim[i]].name);
    }
    snprintf(out, bytes, "| `%s` | %s | %s | %s | %s |", variable->path, type_names[variable->type],
             dims, variable->units, variable->long_name);
}

static void column_row(sd_column_id id, char *out, size_t bytes)
{
    const sd_column *column = &sd_columns[id];

    snprintf(out, bytes, "| `%s/%s` | %s | %s%s%s | %s | %s |",
             column->group[0] != '\0' ? column->group : "runs/NAME", column->name,
             column_types[column->type], column->scale, column->rank == 2 ? ", " : "",
             column->rank == 2 ? column->scale : "", column->units, column->long_name);
}

static void scale_row(sd_dim dim, char *out, size_t bytes)
{
    const sd_dim_info *info = &sd_dims[dim];
    char               values[64];

    if (info->labels != NULL)
        snprintf(values, sizeof values, "%s, %s", info->labels[0], info->labels[1]);
    else if (dim == SD_DIM_STEP)
        snprintf(values, sizeof values, "the steps");
    else
        snprintf(values, sizeof values, "%d, %d, ...", (int)info->first, (int)info->first + 1);
    snprintf(out, bytes, "| scale `%s` | %s | %s | %s |", info->name, values,
             info->in_group ? "each group that uses it" : "the run's group", info->long_name);
}

/* Calls `use` with every row that the page must have. */
static int each_row(void (*use)(const char *row, const char *page), const char *page)
{
    char row[400];
    int  n = 0;

    for (int dim = SD_DIM_STEP; dim < SD_DIM_COUNT; dim++, n++) {
        scale_row((sd_dim)dim, row, sizeof row);
        use(row, page);
    }
    for (int id = 0; id < SD_V_COUNT; id++, n++) {
        variable_row((sd_variable_id)id, row, sizeof row);
        use(row, page);
    }
    for (int id = 0; id < SD_C_COUNT; id++, n++) {
        column_row((sd_column_id)id, row, sizeof row);
        use(row, page);
    }
    return n;
}

static void print(const char *row, const char *page)
{
    (void)page;
    puts(row);
}

static void must_be_there(const char *row, const char *page)
{
    char line[404];
    snprintf(line, sizeof line, "\n%s\n", row);
    if (strstr(page, line) != NULL) return;
    fprintf(stderr, "docs/results.md has no row\n%s\n", row);
    check_failures++;
}

static int rows_of_datasets(const char *page)
{
    int n = 0;
    for (const char *at = page; (at = strstr(at, "\n| ")) != NULL; at++)
        n += strncmp(at, "\n| `", 4) == 0 || strncmp(at, "\n| scale `", 10) == 0;
    return n;
}

static void each_dataset_has_its_row(const char *page)
{
    CHECK(each_row(must_be_there, page) == rows_of_datasets(page));
}

static void a_path_leads_to_its_variable(void)
{
    for (int id = 0; id < SD_V_COUNT; id++)
        CHECK(sd_variable_find(sd_variables[id].path) == (sd_variable_id)id);
    CHECK(sd_variable_find("norm") == SD_V_COUNT);
}

static void what_was_not_asked_for_has_no_elements(void)
{
    const sd_shape shape = {30, 576, 8, false};

    for (int id = 0; id < SD_V_COUNT; id++) {
        const bool optional = id >= SD_V_SUBSPACE_SIGMA && id <= SD_V_SUBSPACE_RESPONSE;

        CHECK(sd_variable_is_asked((sd_variable_id)id, &shape) == !optional);
        CHECK((sd_variable_elements((sd_variable_id)id, &shape) == 0) == optional);
    }
}

static void lengths_follow_the_shape(void)
{
    const sd_shape shape = {30, 576, 8, true};

    CHECK(sd_variable_elements(SD_V_NORM_OTHER_MAX, &shape) == 31);
    CHECK(sd_variable_elements(SD_V_LAYER_SIGMA, &shape) == 30 * 8);
    CHECK(sd_variable_elements(SD_V_DIRECTION_PER_STATE, &shape) == 31 * 576);
    CHECK(sd_variable_elements(SD_V_DECAY_PAPER_EIGENVALUE, &shape) == 30 * 4 * 2);
    CHECK(sd_variable_elements(SD_V_DIRECTION_TOP_CHANNEL, &shape) == 1);
    CHECK(sd_variable_elements(SD_V_SUBSPACE_RESPONSE, &shape) == 30 * 576 * 2);
    CHECK(sd_shape_is_sane(&shape));
    CHECK(!sd_shape_is_sane(&(sd_shape){30, 576, 577, false}) &&
          !sd_shape_is_sane(&(sd_shape){0, 576, 8, false}));
    CHECK(!sd_shape_is_sane(&(sd_shape){30, INT64_MAX, 8, false}));
}

int main(int argc, char **argv)
{
    static char page[1 << 16];
    char        path[512];

    if (argc > 1 && strcmp(argv[1], "print") == 0) return each_row(print, NULL) > 0 ? 0 : 1;
    const char *source = getenv("SD_SOURCE");
    snprintf(path, sizeof path, "%s/docs/results.md", source != NULL ? source : ".");
    FILE *in = fopen(path, "rb");
    CHECK(in != NULL);
    if (in == NULL) return REPORT();
    CHECK(fread(page, 1, sizeof page - 1, in) > 0);
    fclose(in);
    each_dataset_has_its_row(page);
    a_path_leads_to_its_variable();
    lengths_follow_the_shape();
    what_was_not_asked_for_has_no_elements();
    return REPORT();
}
