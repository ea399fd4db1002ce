/* The maps of random layers against float64 numpy: products, singular pairs, sizes. */
#include <stddef.h>

#include "tests/support/check.h"
#include "tests/support/linear_maps.h"

enum { MAX_D = 64 };

/* Entries of order 10, sums of 40 terms twice, Gaussian means good to 1e-14 on both sides. */
static const double relative = 1e-13;

static double length(int64_t d, const double *x)
{
    double sum = 0;

    for (int64_t i = 0; i < d; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

/* L v = sigma u and L' u = sigma v, to relative * sigma_1. */
static void leading_pair_holds(const oracle_layer *layer, sd_layer_op *op, const char *name)
{
    const sd_bound_map bound = {op, oracle_map(layer, op, name)};
    const sd_operator  m     = sd_layer_operator(&bound);
    const double      *sigma = oracle_answer(layer, name, "sigma");
    const double      *u = oracle_answer(layer, name, "u"), *v = oracle_answer(layer, name, "v");
    double             y[MAX_D];

    m.apply(m.context, false, v, y);
    for (int64_t i = 0; i < m.d; i++) CLOSE(y[i], sigma[0] * u[i], relative * sigma[0]);
    m.apply(m.context, true, u, y);
    for (int64_t i = 0; i < m.d; i++) CLOSE(y[i], sigma[0] * v[i], relative * sigma[0]);
}

/* The squares of all singular values add up to those of the entries. */
static void all_singular_values_fit(const oracle_layer *layer, sd_layer_op *op, const char *name)
{
    const int64_t d     = layer->block.d;
    const double *sigma = oracle_answer(layer, name, "sigma");
    double        m[MAX_D * MAX_D];

    CHECK(sd_layer_op_columns(op, oracle_map(layer, op, name), d, NULL, m) == SD_OK);
    const double frobenius = length(d * d, m);
    CLOSE(length(d, sigma), frobenius, relative * frobenius);
}

static void product_with_ones_holds(const oracle_layer *layer, sd_layer_op *op, const char *name)
{
    const sd_bound_map bound = {op, oracle_map(layer, op, name)};
    const sd_operator  m     = sd_layer_operator(&bound);
    const double      *want  = oracle_answer(layer, name, "column");
    const double       size  = oracle_answer(layer, name, "norm")[0] * sqrt((double)m.d);
    double             ones[MAX_D], y[MAX_D];

    for (int64_t i = 0; i < m.d; i++) ones[i] = 1;
    m.apply(m.context, false, ones, y);
    for (int64_t i = 0; i < m.d; i++) CLOSE(y[i], want[i], relative * size);
    CHECK(sd_layer_op_apply_block(op, bound.map, 1, ones, y) == SD_OK);
    for (int64_t i = 0; i < m.d; i++) CLOSE(y[i], want[i], relative * size);
}

int main(void)
{
    const char *const singular[] = {"layer", "attention", "ffn"};
    const char *const eigen[]    = {"paper", "sum", "scaled"};
    int               n;
    oracle_layer     *layers = oracle_read(&n);

    CHECK(n == 5);
    for (int k = 0; k < n; k++) {
        sd_layer_op *op = NULL;

        CHECK(layers[k].block.d <= MAX_D);
        CHECK(sd_layer_op_create(&layers[k].block, &layers[k].options, &op) == SD_OK);
        for (int i = 0; op != NULL && i < 3; i++) {
            leading_pair_holds(&layers[k], op, singular[i]);
            all_singular_values_fit(&layers[k], op, singular[i]);
            product_with_ones_holds(&layers[k], op, eigen[i]);
        }
        sd_layer_op_destroy(&op);
    }
    oracle_free(layers, n);
    return REPORT();
}
