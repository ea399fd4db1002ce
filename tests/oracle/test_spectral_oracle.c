/* Triplets and eigenpairs of random layers against float64 numpy, through the layers' own
 * operators; and on larger layers, where Lanczos is at work, against LAPACK. */
#include <mpi.h>
#include <stddef.h>

#include "solvers/angle.h"
#include "solvers/spectral/spectral.h"
#include "tests/support/check.h"
#include "tests/support/linear_maps.h"
#include "tests/support/made_block.h"

enum { MAX_D = 80 };

/* The forming of the maps differs between the two ways by this, relative to |M|: test_linear_maps.
 */
static const double FORMED = 1e-13;
static const double LIMIT  = 5e-10; /* what every stored result must meet */
static const double DEG    = 180.0 / 3.14159265358979323846;

typedef struct {
    double sigma[MAX_D], residual[MAX_D], u[MAX_D], v[MAX_D];
} result;

static sd_triplets wanted(result *r, int64_t count)
{
    memset(r, 0, sizeof *r);
    return (sd_triplets){count, r->sigma, r->residual, r->u, r->v};
}

/* sigma to 1e-10 of sigma_1; vectors to residual over gap, both sides together: a factor 2. */
static void triplets_are(const sd_triplets *got, int64_t d, const double *sigma, const double *u,
                         const double *v)
{
    const double gap   = (sigma[0] - sigma[1]) / sigma[0];
    const double bound = 2.0 * (got->residual[0] + FORMED) / gap * DEG;

    for (int64_t i = 0; i < got->count; i++) {
        CLOSE(got->sigma[i], sigma[i], 1e-10 * sigma[0]);
        CHECK(got->residual[i] <= LIMIT);
    }
    CLOSE(sd_acute_angle(d, got->u, u), 0.0, bound);
    CLOSE(sd_acute_angle(d, got->v, v), 0.0, bound);
    CHECK(sd_cosine(d, got->u, u) > 0.0 && sd_cosine(d, got->v, v) > 0.0);
}

static void singular_triplets_equal_numpy(const oracle_layer *layer, sd_layer_op *op,
                                          const char *name)
{
    const sd_bound_map bound = {op, oracle_map(layer, op, name)};
    const sd_operator  map   = sd_layer_operator(&bound);
    const double      *sigma = oracle_answer(layer, name, "sigma");
    const double      *u = oracle_answer(layer, name, "u"), *v = oracle_answer(layer, name, "v");
    static double      m[MAX_D * MAX_D];
    result             r;
    sd_triplets        t = wanted(&r, 3);

    CHECK(sd_svd_leading(&map, 1, NULL, &t) == SD_OK);
    triplets_are(&t, map.d, sigma, u, v);
    CHECK(sd_layer_op_columns(op, bound.map, map.d, NULL, m) == SD_OK);
    t = wanted(&r, map.d);
    CHECK(sd_svd_full(&map, m, NULL, &t) == SD_OK);
    triplets_are(&t, map.d, sigma, u, v);
}

/* Eigenvalues to condition times the perturbation. Angles to 1e-6 degrees, 1.7e-8 rad: that
 * perturbation times a condition below 100 over a distance to other eigenvalues above 1e-3 |M|. */
static void eigenpair_is(const sd_eigenpair *got, const oracle_layer *layer, const char *name)
{
    const double *value = oracle_answer(layer, name, "eigenvalue");
    const double  bound = oracle_answer(layer, name, "condition")[0] *
                         oracle_answer(layer, name, "norm")[0] * (got->residual + FORMED);

    CLOSE(got->re, value[0], bound);
    CLOSE(got->im, value[1], bound);
    CLOSE(got->angle_deg, oracle_answer(layer, name, "angle")[0], 1e-6);
    CHECK(got->residual <= LIMIT);
}

static int eigenpairs_equal_numpy(const oracle_layer *layer, sd_layer_op *op, const char *name)
{
    const int64_t d = layer->block.d;
    const double *e = oracle_find(layer, "direction").value;
    static double m[MAX_D * MAX_D];
    bool          accepted;
    sd_eigenpair  pair;

    CHECK(oracle_answer(layer, name, "margin")[0] > 1e-6); /* numpy's choice is not a toss-up */
    CHECK(sd_layer_op_columns(op, oracle_map(layer, op, name), d, NULL, m) == SD_OK);
    CHECK(sd_eigen_full(d, m, 1, e, &pair) == SD_OK);
    eigenpair_is(&pair, layer, name);
    CHECK(sd_eigen_iterative(d, m, e, NULL, &accepted, &pair) == SD_OK);
    if (accepted) eigenpair_is(&pair, layer, name);
    return accepted;
}

static void layers_equal_numpy(void)
{
    const char *const singular[] = {"layer", "attention", "ffn"};
    const char *const eigen[]    = {"paper", "sum", "scaled"};
    int               n, accepted = 0;
    oracle_layer     *layers = oracle_read(&n);

    CHECK(n >= 3);
    for (int k = 0; k < n; k++) {
        sd_layer_op *op = NULL;

        CHECK(layers[k].block.d <= MAX_D);
        CHECK(sd_layer_op_create(&layers[k].block, &layers[k].options, &op) == SD_OK);
        for (int i = 0; op != NULL && i < 3; i++) {
            singular_triplets_equal_numpy(&layers[k], op, singular[i]);
            accepted += eigenpairs_equal_numpy(&layers[k], op, eigen[i]);
        }
        sd_layer_op_destroy(&op);
    }
    CHECK(accepted >= 1); /* the iterative way was tried for real */
    oracle_free(layers, n);
}

static void maps_of_a_block_agree(sd_layer_op *op, int64_t d)
{
    const sd_layer_map maps[] = {sd_map_layer(op), sd_map_attention(), sd_map_ffn()};
    static double      m[MAX_D * MAX_D];

    for (int i = 0; i < 3; i++) {
        const sd_bound_map bound = {op, maps[i]};
        const sd_operator  map   = sd_layer_operator(&bound);
        result             a, b;
        sd_triplets        lanczos = wanted(&a, 5), lapack = wanted(&b, 5);

        CHECK(sd_svd_leading(&map, 4, NULL, &lanczos) == SD_OK);
        CHECK(sd_layer_op_columns(op, maps[i], d, NULL, m) == SD_OK);
        CHECK(sd_svd_full(&map, m, NULL, &lapack) == SD_OK);
        triplets_are(&lanczos, d, b.sigma, b.u, b.v);
        CHECK(lapack.residual[4] <= LIMIT);
    }
}

static void larger_layers_equal_lapack(void)
{
    const made_shape shapes[] = {
        {77, 131, 6, 2, 9, SD_WIRING_SEQUENTIAL, SD_ACT_SILU, SD_F32, true, false},
        {72, 101, 4, 4, 10, SD_WIRING_PARALLEL, SD_ACT_GELU, SD_BF16, false, true},
    };
    const sd_linear_options options = {false, true};

    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        made_block   made;
        sd_layer_op *op = NULL;

        make_block(&shapes[k], k + 1, &made);
        CHECK(sd_layer_op_create(&made.block, &options, &op) == SD_OK);
        if (op != NULL) maps_of_a_block_agree(op, shapes[k].d);
        sd_layer_op_destroy(&op);
        free_block(&made);
    }
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    CHECK(sd_spectral_start() == SD_OK);
    layers_equal_numpy();
    larger_layers_equal_lapack();
    sd_spectral_stop();
    MPI_Finalize();
    return REPORT();
}
