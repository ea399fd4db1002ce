/* Eigenpairs nearest to a direction, against matrices whose eigenpairs are known. */
#include <mpi.h>

#include "solvers/base/memory.h"
#include "solvers/spectral/pair.h"
#include "solvers/spectral/spectral.h"
#include "tests/support/check.h"
#include "tests/support/dense.h"

static const double EPS   = 2.3e-16;
static const double LIMIT = 5e-10; /* what every stored pair must meet */
static const double DEG   = 180.0 / 3.14159265358979323846;

enum { D = 120 };

/* The answer that a matrix was made for; condition: of the eigenvector matrix. */
typedef struct {
    double re, im, angle_deg, condition, norm;
} answer;

/* Bauer and Fike: an eigenvalue of M + E is within condition |E| of one of M. E is the residual
 * plus the rounding of forming M by three products: 3 d eps |M|. The vector's error is the same
 * over the distance to the other eigenvalues, which is at least norm / 20 in these tests. */
static void pair_is(const sd_eigenpair *got, answer want, sd_eigen_method method)
{
    const double error = want.condition * (got->residual + 3 * D * EPS) * want.norm;

    CHECK(got->method == method);
    CHECK(got->residual <= LIMIT);
    CLOSE(got->re, want.re, error);
    CLOSE(got->im, want.im, error);
    CLOSE(got->angle_deg, want.angle_deg, 20.0 * want.condition * error / want.norm * DEG);
}

static void both_ways_find(const double *m, const double *e, answer want)
{
    bool         accepted = false;
    sd_eigenpair pair;

    CHECK(sd_eigen_iterative(D, m, e, NULL, &accepted, &pair) == SD_OK);
    CHECK(accepted);
    pair_is(&pair, want, SD_EIGEN_ITERATIVE);
    CHECK(sd_eigen_full(D, m, 1, e, &pair) == SD_OK);
    pair_is(&pair, want, SD_EIGEN_FULL);
}

/* cos(angle) a + sin(angle) b for orthonormal a and b */
static void between(const double *a, const double *b, double angle_deg, double *e)
{
    for (int64_t i = 0; i < D; i++)
        e[i] = cos(angle_deg / DEG) * a[i] + sin(angle_deg / DEG) * b[i];
}

/* Eigenvalues of the bulk: -1 .. 1; the defect stands apart. */
static double *diagonal_with(double first)
{
    double *b = dense_new(D);

    for (int64_t i = 1; i < D; i++) b[i * D + i] = cos(3.0 * (double)i);
    b[0] = first;
    return b;
}

static void a_symmetric_map_gives_its_eigenvector(void)
{
    double *const q = dense_orthogonal(D, 1), *const b = diagonal_with(-3.0);
    double *const m = dense_similar(D, q, b);
    double        e[D];

    for (double angle = 0.0; angle <= 24.0; angle += 8.0) {
        between(q, q + D, angle, e);
        both_ways_find(m, e, (answer){-3.0, 0.0, angle, 1.0, 3.0});
    }
    free(q);
    free(b);
    free(m);
}

/* (1, -i / c) is the vector of [[a, -b c], [b / c, a]]: eigenvalues a -+ i b, overlap with the
 * first axis 1 / sqrt(1 + 1 / c^2), condition c. */
static double *rotation_with(double a, double b, double c)
{
    double *m = diagonal_with(a);

    m[1]     = b / c;
    m[D]     = -b * c;
    m[D + 1] = a;
    return m;
}

static void a_conjugate_pair_gives_the_upper_one(void)
{
    const double  c = 4.0;
    double *const q = dense_orthogonal(D, 2), *const b = rotation_with(2.0, 0.5, c);
    double *const m = dense_similar(D, q, b);

    both_ways_find(m, q, (answer){2.0, 0.5, atan(1.0 / c) * DEG, c, 4.0});
    free(b);
    free(m);
    double *const turned = rotation_with(2.0, -0.5, c);
    double *const n      = dense_similar(D, q, turned);
    both_ways_find(n, q, (answer){2.0, 0.5, atan(1.0 / c) * DEG, c, 4.0});
    free(turned);
    free(n);
    free(q);
}

/* A plane rotation: every real direction in the plane is 45 degrees from both complex vectors, and
 * the real part alone would claim anything from 0 to 90. */
static void a_distant_pair_is_left_to_the_full_solve(void)
{
    double *const q = dense_orthogonal(D, 3), *const b = rotation_with(2.0, 0.5, 1.0);
    double *const m        = dense_similar(D, q, b);
    bool          accepted = true;
    double        e[D];
    sd_eigenpair  pair;

    between(q, q + D, 20.0, e);
    CHECK(sd_eigen_iterative(D, m, e, NULL, &accepted, &pair) == SD_OK);
    CHECK(!accepted);
    CHECK(sd_eigen_full(D, m, 1, e, &pair) == SD_OK);
    pair_is(&pair, (answer){2.0, 0.5, 45.0, 1.0, 2.1}, SD_EIGEN_FULL);
    free(q);
    free(b);
    free(m);
}

/* X = I + N with N^2 = 0, so that X^-1 = I - N: B = X diag(lambda) X^-1 has the columns of X as
 * eigenvectors. N sends axis k + D/2 to s axes 0 .. 3 spread, hence |N| <= s sqrt(D). */
static void a_map_far_from_normal_gives_its_eigenvector(void)
{
    const double  s = 0.3;
    double *const q = dense_orthogonal(D, 4), *const lambda = diagonal_with(0.3);
    double *const b     = dense_new(D);
    const double  large = -4.0;
    double        x[D] = {0}, e[D] = {0};

    lambda[(D - 1) * D + D - 1] = large;
    memcpy(b, lambda, sizeof *b * D * D);
    for (int64_t k = D / 2; k < D; k++)
        for (int64_t i = 0; i < 4; i++) /* N diag(lambda) - diag(lambda) N */
            b[k * D + i] = s * (lambda[k * D + k] - lambda[i * D + i]);
    double *const m = dense_similar(D, q, b);

    for (int64_t i = 0; i < 4; i++) x[i] = s;
    x[D - 1] = 1.0;
    dense_normalise(D, x);
    for (int64_t k = 0; k < D; k++)
        for (int64_t i = 0; i < D; i++) e[i] += q[k * D + i] * x[k];
    dense_normalise(D, e);
    const double norm_n = 2 * s * sqrt(D / 2.0), norm = 4.0 * pow(1 + norm_n, 2);
    both_ways_find(m, e, (answer){large, 0.0, 0.0, pow(1 + norm_n, 2), norm});
    free(q);
    free(lambda);
    free(b);
    free(m);
}

/* The Rayleigh quotient is an eigenvalue to the last bit: the factors at it are singular. */
static void an_exact_eigenvector_does_not_break_the_solve(void)
{
    double *const m    = dense_new(D);
    double        e[D] = {0};

    for (int64_t i = 0; i < D; i++) m[i * D + i] = (double)(i + 1) / D;
    e[3] = -1.0;
    both_ways_find(m, e, (answer){4.0 / D, 0.0, 0.0, 1.0, 20.0 / D}); /* neighbours 1 / D away */
    free(m);
}

static void zero_and_identity_have_every_direction(void)
{
    double *const m    = dense_new(D);
    double        e[D] = {0};
    bool          accepted;
    sd_eigenpair  pair;

    for (double value = 0.0; value <= 1.0; value++) {
        for (int64_t i = 0; i < D; i++) m[i * D + i] = value;
        e[5] = 1.0;
        CHECK(sd_eigen_iterative(D, m, e, NULL, &accepted, &pair) == SD_OK);
        CHECK(accepted);
        CLOSE(pair.re, value, 4 * EPS);
        CLOSE(pair.angle_deg, 0.0, 1e-12);
        CHECK(sd_eigen_full(D, m, 1, e, &pair) == SD_OK);
        CHECK(pair.re == value && pair.im == 0.0 && pair.residual == 0.0);
        CLOSE(pair.angle_deg, 0.0, 1e-12);
    }
    free(m);
}

/* A bulk as random as a layer's, and a direction that it takes away. */
static void both_ways_agree_on_a_decay(void)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        double *const m = dense_random(D, seed), *const q = dense_orthogonal(D, seed + 10);
        bool         accepted;
        sd_eigenpair a, b;

        for (int64_t i = 0; i < D * D; i++) m[i] *= 0.05; /* radius 0.05 sqrt(D / 3) = 0.32 */
        for (int64_t k = 0; k < D; k++)
            for (int64_t i = 0; i < D; i++) m[k * D + i] -= 3.0 * q[i] * (q[k] + 0.2 * q[D + k]);
        CHECK(sd_eigen_iterative(D, m, q, NULL, &accepted, &a) == SD_OK);
        CHECK(accepted);
        CHECK(sd_eigen_full(D, m, 1, q, &b) == SD_OK);
        /* condition of this simple eigenvalue: about 1 / cos of a few degrees, 2 with margin */
        CLOSE(a.re, b.re, 2.0 * (a.residual + b.residual + D * EPS) * 4.0);
        CHECK(a.im == 0.0 && b.im == 0.0 && a.re < -2.5);
        CLOSE(a.angle_deg, b.angle_deg, 1e-8); /* residuals over a gap of 2.5: 1e-10 rad */
        CHECK(a.residual <= LIMIT && b.residual <= LIMIT);
        free(m);
        free(q);
    }
}

static void directions_share_a_decomposition(void)
{
    double *const m = dense_random(D, 21), *const e = dense_orthogonal(D, 22);
    sd_eigenpair together[5], alone;

    CHECK(sd_eigen_full(D, m, 5, e, together) == SD_OK);
    for (int64_t k = 0; k < 5; k++) {
        CHECK(sd_eigen_full(D, m, 1, e + k * D, &alone) == SD_OK);
        CHECK(memcmp(&alone.re, &together[k].re, 4 * sizeof(double)) == 0);
        CHECK(alone.im >= 0.0 && alone.residual <= LIMIT && alone.angle_deg <= 90.0);
    }
    free(m);
    free(e);
}

static void tiny_maps_have_their_pairs(void)
{
    const double rotation[4] = {1.0, 2.0, -2.0, 1.0}; /* 1 -+ 2 i */
    const double e2[2] = {0.6, 0.8}, one = 1.0, minus = -7.0;
    const double diagonal[4] = {5.0, 0.0, 0.0, 6.0}, half[2] = {sqrt(0.5), sqrt(0.5)};
    bool         accepted;
    sd_eigenpair pair;

    CHECK(sd_eigen_iterative(1, &minus, &one, NULL, &accepted, &pair) == SD_OK);
    CHECK(accepted && pair.angle_deg == 0.0);
    CLOSE(pair.re, -7.0, 7 * EPS);
    CHECK(sd_eigen_full(1, &minus, 1, &one, &pair) == SD_OK);
    CHECK(pair.re == -7.0 && pair.im == 0.0 && pair.angle_deg == 0.0);

    CHECK(sd_eigen_full(2, rotation, 1, e2, &pair) == SD_OK);
    CLOSE(pair.re, 1.0, 8 * EPS);
    CLOSE(pair.im, 2.0, 8 * EPS);
    CLOSE(pair.angle_deg, 45.0, 1e-13);
    CHECK(sd_eigen_iterative(2, rotation, e2, NULL, &accepted, &pair) == SD_OK);
    CHECK(!accepted);
    CLOSE(pair.im, 2.0, 16 * EPS);

    CHECK(sd_eigen_full(2, diagonal, 1, half, &pair) == SD_OK); /* a tie: the first */
    CHECK(pair.re == 5.0);
    CLOSE(pair.angle_deg, 45.0, 1e-13);
    for (int64_t d = 2; d <= 6; d++) {
        double *const m = dense_random(d, (uint64_t)d), *const e = dense_orthogonal(d, 3);
        CHECK(sd_eigen_iterative(d, m, e, NULL, &accepted, &pair) == SD_OK);
        CHECK(!accepted || pair.residual <= LIMIT);
        CHECK(sd_eigen_full(d, m, 1, e, &pair) == SD_OK);
        CHECK(pair.residual <= LIMIT);
        free(m);
        free(e);
    }
}

static void the_norm_is_bounded_from_both_sides(void)
{
    double *const u = dense_orthogonal(D, 31), *const v = dense_orthogonal(D, 32);
    double       s[D], largest                          = 0.0;
    sd_dense_map map;

    for (int i = 0; i < D; i++) s[i] = 5.0 * pow(0.95, i);
    double *const m = dense_from_triplets(D, u, s, v);
    CHECK(sd_dense_map_create(D, m, &map) == SD_OK);
    for (int64_t k = 0; k < D; k++) largest = fmax(largest, dense_dot(D, m + k * D, m + k * D));
    CHECK(map.norm >= sqrt(largest) * (1 - D * EPS) && map.norm <= 5.0 * (1 + 4 * D * EPS));
    CHECK(map.norm >= 3.0); /* three power steps: far nearer than the largest column's 1.3 */
    free(u);
    free(v);
    free(m);
}

static void the_rayleigh_quotient_is_a_quadratic_form(void)
{
    const double m[4] = {1.0, 3.0, 2.0, 4.0}, e[2] = {0.6, 0.8};

    CLOSE(sd_rayleigh(2, m, e), 0.36 + 0.48 * 5.0 + 0.64 * 4.0, 8 * EPS);
}

typedef struct {
    int calls, stop_at;
} stopper;

static sd_status count_calls(void *context)
{
    stopper *s = context;

    return ++s->calls == s->stop_at ? SD_INTERRUPTED : SD_OK;
}

static void a_solve_stops_at_any_poll_and_works_again(void)
{
    double *const m = dense_random(D, 41), *const e = dense_orthogonal(D, 42);
    stopper       s    = {0, 0};
    const sd_poll poll = {count_calls, &s};
    bool          accepted;
    sd_eigenpair  whole, other, pair;

    for (int64_t i = 0; i < D; i++) m[i * D + i] += 40.0 * (e[i] * e[i]);
    CHECK(sd_eigen_iterative(D, m, e, &poll, &accepted, &whole) == SD_OK);
    const int total = s.calls;
    CHECK(total > 4);
    for (int k = 1; k <= total; k++) {
        s = (stopper){0, k};
        CHECK(sd_eigen_iterative(D, m, e, &poll, &accepted, &pair) == SD_INTERRUPTED);
        CHECK(!accepted && sd_message()[0] == '\0');
    }
    CHECK(sd_eigen_iterative(D, m, e + D, NULL, &accepted, &other) == SD_OK);
    CHECK(sd_eigen_iterative(D, m, e, NULL, &accepted, &pair) == SD_OK);
    CHECK(memcmp(&whole.re, &pair.re, 4 * sizeof(double)) == 0);
    free(m);
    free(e);
}

static void bad_input_is_refused_with_a_reason(void)
{
    double *const m = dense_random(D, 51), *const e = dense_orthogonal(D, 52);
    bool         accepted;
    sd_eigenpair pair;

    m[9] = NAN;
    CHECK(sd_eigen_full(D, m, 1, e, &pair) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "not finite") != NULL && pair.method == SD_EIGEN_NONE);
    sd_clear();
    CHECK(sd_eigen_iterative(D, m, e, NULL, &accepted, &pair) == SD_ERR_INPUT);
    CHECK(!accepted && isnan(pair.re));
    sd_clear();
    m[9] = 0.0;
    e[0] += 1.0;
    CHECK(sd_eigen_full(D, m, 1, e, &pair) == SD_ERR_INTERNAL);
    sd_clear();
    e[0] = NAN;
    CHECK(sd_eigen_iterative(D, m, e, NULL, &accepted, &pair) == SD_ERR_INTERNAL);
    sd_clear();
    free(m);
    free(e);
}

static void any_failing_allocation_is_reported(void)
{
    double *const m = dense_random(D, 61), *const e = dense_orthogonal(D, 62);
    bool         accepted;
    sd_eigenpair pair;
    int          failures = 0;

    for (int way = 0; way < 2; way++)
        for (int64_t k = 1;; k++) {
            sd_alloc_fail_at(k);
            const sd_status st = way == 0 ? sd_eigen_full(D, m, 1, e, &pair)
                                          : sd_eigen_iterative(D, m, e, NULL, &accepted, &pair);
            sd_alloc_fail_at(0);
            if (st == SD_OK) break;
            CHECK(st == SD_ERR_RESOURCE);
            sd_clear();
            failures++;
        }
    CHECK(failures >= 8);
    free(m);
    free(e);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    CHECK(sd_spectral_start() == SD_OK);

    a_symmetric_map_gives_its_eigenvector();
    a_conjugate_pair_gives_the_upper_one();
    a_distant_pair_is_left_to_the_full_solve();
    a_map_far_from_normal_gives_its_eigenvector();
    an_exact_eigenvector_does_not_break_the_solve();
    zero_and_identity_have_every_direction();
    both_ways_agree_on_a_decay();
    directions_share_a_decomposition();
    tiny_maps_have_their_pairs();
    the_norm_is_bounded_from_both_sides();
    the_rayleigh_quotient_is_a_quadratic_form();
    a_solve_stops_at_any_poll_and_works_again();
    bad_input_is_refused_with_a_reason();
    any_failing_allocation_is_reported();

    sd_spectral_stop();
    MPI_Finalize();
    return REPORT();
}
