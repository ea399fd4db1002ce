/* The least-squares fit: exact where the layer is linear, the same for any block, refusals. */
#include <stddef.h>
#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/base/random.h"
#include "solvers/sampled_fit.h"
#include "tests/support/check.h"
#include "tests/support/made_block.h"

enum { D = 7, F = 300, N = 600 }; /* F and N cross the panels' edges */

static const made_shape plain = {D, F, 1, 1, 3, SD_WIRING_SEQUENTIAL, SD_ACT_RELU, SD_F32, 0, 0};
static const made_shape gated = {D, F, 1, 1, 3, SD_WIRING_SEQUENTIAL, SD_ACT_SILU, SD_F32, 1, 1};

/* Positive rows and inputs never reach the kink: y = W x, whatever the inputs are. */
static void a_linear_layer_is_found_exactly(void)
{
    static double   x[N * D];
    const sd_random table = {1, 2};
    made_block      made;

    make_block(&plain, 4, &made);
    float *row = (float *)(uintptr_t)made.block.up.weight;
    for (int64_t i = 0; i < F * made.block.up.stride; i++) row[i] = fabsf(row[i]);
    for (int k = 0; k < N; k++) sd_random_normal(&table, (uint64_t)k, 0, D, x + k * D);
    for (int i = 0; i < N * D; i++) x[i] = fabs(x[i]);
    for (int scaled = 0; scaled < 2; scaled++) {
        const sd_linear_options options = {scaled, false};
        sd_sampled_fit         *fit     = NULL;
        double                 *a2      = NULL;

        for (int64_t k = 0; k < D; k++) /* a gamma that keeps the signs */
            ((float *)(uintptr_t)made.block.norm2.gamma)[k] = 0.5f + (float)k;
        CHECK(sd_sampled_fit_create(&made.block, &options, &fit) == SD_OK);
        CHECK(sd_sampled_fit_add(fit, N, x, NULL) == SD_OK);
        CHECK(sd_sampled_fit_solve(fit, &a2) == SD_OK);
        for (int64_t i = 0; a2 != NULL && i < F; i++)
            for (int64_t k = 0; k < D; k++) /* cond(S) is about 30: 1e4 roundings of room */
                CLOSE(a2[i * D + k],
                      (double)row[i * made.block.up.stride + k] *
                          (scaled ? (double)made.block.norm2.gamma[k] : 1),
                      1e-12);
        sd_free(a2);
        sd_sampled_fit_destroy(&fit);
    }
    free_block(&made);
}

/* Residuals of a least-squares fit are perpendicular to the inputs: sum (y - A2 x) x' = 0. */
static void residuals_are_perpendicular_to_the_inputs(void)
{
    static double           x[N * D], normal[F * D];
    const sd_linear_options options = {true, true};
    const sd_random         table   = {7, 9};
    const sd_fit_draws      draws   = {N, 7, 9};
    double                 *a2      = NULL;
    made_block              made;

    make_block(&gated, 4, &made);
    const sd_block *b = &made.block;
    for (int k = 0; k < N; k++) sd_random_normal(&table, (uint64_t)k, 0, D, x + k * D);
    CHECK(sd_sampled_fit_gaussian(b, &options, &draws, NULL, &a2) == SD_OK);
    for (int k = 0; a2 != NULL && k < N; k++)
        for (int64_t i = 0; i < F; i++) {
            double gate = b->gate.bias[i], up = b->up.bias[i], left = 0;

            for (int64_t j = 0; j < D; j++) {
                const double in = b->norm2.gamma[j] * x[k * D + j];

                gate += ((const float *)b->gate.weight)[i * b->gate.stride + j] * in;
                up += ((const float *)b->up.weight)[i * b->up.stride + j] * in;
            }
            left = sd_act_value(b->act, gate) * up;
            for (int64_t j = 0; j < D; j++) left -= a2[i * D + j] * x[k * D + j];
            for (int64_t j = 0; j < D; j++) normal[i * D + j] += left * x[k * D + j];
        }
    for (int i = 0; i < F * D; i++) CLOSE(normal[i], 0, 1e-10); /* 600 terms of order 100 */
    sd_free(a2);
    free_block(&made);
}

static void seed_and_stream_decide_the_fit(void)
{
    const sd_linear_options options = {false, false};
    const sd_fit_draws      draws[] = {{N, 1, 1}, {N, 1, 1}, {N, 2, 1}, {N, 1, 2}};
    double                 *a2[4]   = {NULL};
    made_block              made;

    make_block(&gated, 4, &made);
    for (int k = 0; k < 4; k++)
        CHECK(sd_sampled_fit_gaussian(&made.block, &options, &draws[k], NULL, &a2[k]) == SD_OK);
    CHECK(memcmp(a2[0], a2[1], F * D * sizeof(double)) == 0);
    CHECK(memcmp(a2[0], a2[2], F * D * sizeof(double)) != 0);
    CHECK(memcmp(a2[0], a2[3], F * D * sizeof(double)) != 0);
    for (int k = 0; k < 4; k++) sd_free(a2[k]);
    free_block(&made);
}

static void fit_fails(const made_block *made, int64_t n, const double *x, const char *reason)
{
    const sd_linear_options options = {false, false};
    sd_sampled_fit         *fit     = NULL;
    double                 *a2      = NULL;

    sd_clear();
    CHECK(sd_sampled_fit_create(&made->block, &options, &fit) == SD_OK);
    CHECK(sd_sampled_fit_add(fit, n, x, NULL) == SD_OK);
    CHECK(sd_sampled_fit_solve(fit, &a2) == SD_ERR_INPUT && a2 == NULL);
    CHECK(strstr(sd_message(), reason) != NULL);
    sd_sampled_fit_destroy(&fit);
    sd_sampled_fit_destroy(&fit); /* NULL is fine */
    sd_clear();
}

static void inputs_that_span_too_little_are_refused(void)
{
    static double           x[N * D];
    const sd_linear_options options = {false, false};
    const sd_fit_draws      few     = {D - 1, 1, 1};
    double                 *a2      = NULL;
    made_block              made;
    uint64_t                state = 1;

    make_block(&plain, 4, &made);
    for (int i = 0; i < N * D; i++) x[i] = made_number(&state);
    fit_fails(&made, D - 1, x, "6 inputs span too little of 7");
    for (int k = 0; k < N; k++) x[k * D + 2] = 2 * x[k * D + 5] + 1e-9 * x[k * D];
    fit_fails(&made, N, x, "reciprocal condition");
    for (int k = 0; k < N; k++) x[k * D + 2] = 0;
    fit_fails(&made, N, x, "600 inputs span too little");
    x[2] = INFINITY;
    fit_fails(&made, N, x, "not finite");
    x[2] = NAN;
    fit_fails(&made, N, x, "not finite");
    CHECK(sd_sampled_fit_gaussian(&made.block, &options, &few, NULL, &a2) == SD_ERR_USAGE);
    sd_clear();
    for (int i = 0; i < N * D; i++) x[i] = made_number(&state);
    ((float *)(uintptr_t)made.block.up.weight)[4 * made.block.up.stride] = INFINITY;
    fit_fails(&made, N, x, "row 4 of the fit");
    made.block.up.rows--;
    CHECK(sd_sampled_fit_gaussian(&made.block, &options, &(sd_fit_draws){N, 1, 1}, NULL, &a2) ==
          SD_ERR_INTERNAL);
    sd_clear();
    free_block(&made);
}

static sd_status stop_at_second(void *context)
{
    int *calls = context;

    return ++*calls == 2 ? SD_INTERRUPTED : SD_OK;
}

static void a_poll_stops_it(void)
{
    const sd_linear_options options = {false, false};
    const sd_fit_draws      draws   = {N, 1, 1};
    int                     calls   = 0;
    const sd_poll           poll    = {stop_at_second, &calls};
    double                 *a2      = NULL;
    made_block              made;

    make_block(&plain, 4, &made);
    CHECK(sd_sampled_fit_gaussian(&made.block, &options, &draws, &poll, &a2) == SD_INTERRUPTED);
    CHECK(calls == 2 && a2 == NULL);
    free_block(&made);
}

static void running_out_of_memory_leaves_nothing_behind(void)
{
    const sd_linear_options options = {false, false};
    const sd_fit_draws      draws   = {N, 1, 1};
    sd_status               st      = SD_ERR_RESOURCE;
    double                 *a2      = NULL;
    made_block              made;
    int                     k = 0;

    make_block(&gated, 4, &made);
    while (st != SD_OK) {
        sd_clear();
        sd_alloc_fail_at(++k);
        st = sd_sampled_fit_gaussian(&made.block, &options, &draws, NULL, &a2);
        CHECK(st == SD_OK || (st == SD_ERR_RESOURCE && a2 == NULL));
    }
    CHECK(k == 11); /* the object, its 6 arrays, the inputs, 2 of the solution; then success */
    sd_alloc_fail_at(0);
    sd_clear();
    sd_free(a2);
    free_block(&made);
}

int main(void)
{
    a_linear_layer_is_found_exactly();
    residuals_are_perpendicular_to_the_inputs();
    seed_and_stream_decide_the_fit();
    inputs_that_span_too_little_are_refused();
    a_poll_stops_it();
    running_out_of_memory_leaves_nothing_behind();
    return REPORT();
}
