/* Gaussian means of every activation against 40-digit arithmetic: tests/data/stein_means.json. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/stein.h"
#include "tests/support/check.h"

static const char *const name_of[SD_ACT_COUNT] = {
    [SD_ACT_SILU] = "silu", [SD_ACT_GELU] = "gelu",          [SD_ACT_GELU_TANH] = "gelu_tanh",
    [SD_ACT_RELU] = "relu", [SD_ACT_RELU_SQUARED] = "relu2",
};

static int seen[SD_ACT_COUNT];

static double number(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text != NULL ? strtod(text, NULL) : NAN;
}

static int act_named(const char *name)
{
    for (int act = 0; act < SD_ACT_COUNT; act++)
        if (strcmp(name_of[act], name) == 0) return act;
    return -1;
}

/* The promise of the project: 1e-13 relative to max(1, sigma, |m|). */
static void row_matches(const json_t *row)
{
    const int    act = act_named(json_string_value(json_object_get(row, "activation")));
    const double m = number(row, "mean"), s = number(row, "sigma");
    const double tol = 1e-13 * fmax(1, fmax(s, fabs(m)));
    sd_act_mean  got;

    CHECK(act >= 0);
    if (act < 0) return;
    seen[act]++;
    CHECK(sd_act_mean_at((sd_act)act, m, s, &got) == SD_OK);
    CLOSE(got.value, number(row, "value"), tol);
    CLOSE(got.slope, number(row, "slope"), tol);
    CLOSE(got.lever, number(row, "lever"), tol);
}

int main(void)
{
    char          path[4096];
    const char   *folder = getenv("SD_TEST_DATA");
    json_error_t  error;
    const json_t *row;
    size_t        k;

    snprintf(path, sizeof path, "%s/stein_means.json", folder != NULL ? folder : "tests/data");
    json_t *table = json_load_file(path, 0, &error);
    CHECK(table != NULL);
    json_array_foreach(json_object_get(table, "rows"), k, row) row_matches(row);
    for (int act = 0; act < SD_ACT_COUNT; act++) CHECK(seen[act] == 30); /* 10 widths, 3 means */
    json_decref(table);
    return REPORT();
}
