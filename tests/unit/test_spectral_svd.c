/* Singular triplets against constructed matrices, LAPACK against SLEPc, and what must not matter:
 * what was solved before, where arrays lie in memory, when the user stops. */
#include <mpi.h>

#include "solvers/base/memory.h"
#include "solvers/spectral/spectral.h"
#include "tests/support/check.h"
#include "tests/support/dense.h"

enum { D_MAX = 200 };

static const double EPS   = 2.3e-16;
static const double LIMIT = 5e-10; /* what every stored triplet must meet */

typedef struct {
    int64_t d, count;
    double  sigma[D_MAX], residual[D_MAX], u[D_MAX], v[D_MAX];
} result;

static sd_triplets wanted(result *r, int64_t d, int64_t count)
{
    memset(r, 0, sizeof *r);
    r->d     = d;
    r->count = count;
    return (sd_triplets){count, r->sigma, r->residual, r->u, r->v};
}

static sd_status leading(int64_t d, const double *m, uint64_t key, int64_t count,
                         const sd_poll *poll, result *r)
{
    const dense       a  = {d, m};
    const sd_operator op = dense_operator(&a);
    sd_triplets       t  = wanted(r, d, count);

    return sd_svd_leading(&op, key, poll, &t);
}

static sd_status full(int64_t d, const double *m, int64_t count, const sd_poll *poll, result *r)
{
    const dense       a    = {d, m};
    const sd_operator op   = dense_operator(&a);
    sd_triplets       t    = wanted(r, d, count);
    double           *copy = dense_new(d);

    memcpy(copy, m, sizeof *m * (size_t)(d * d));
    const sd_status st = sd_svd_full(&op, copy, poll, &t);
    free(copy);
    return st;
}

/* Sine of the acute angle, accurate near 0. */
static double distance(int64_t d, const double *a, const double *b)
{
    const double c   = dense_dot(d, a, b);
    double       sum = 0.0;

    for (int64_t i = 0; i < d; i++) sum += (a[i] - c * b[i]) * (a[i] - c * b[i]);
    return sqrt(sum);
}

/* The stated residual is the true one, for the leading pair recomputed here: forming M v has
 * rounding errors of at most d eps |M|_F <= d^1.5 eps sigma_1. u's top entry is positive. */
static void pair_holds(const double *m, const result *r)
{
    const int64_t d = r->d;
    const dense   a = {d, m};
    double        y[D_MAX], right = 0.0, left = 0.0, top = 0.0;

    dense_apply(&a, false, r->v, y);
    for (int64_t i = 0; i < d; i++) right += pow(y[i] - r->sigma[0] * r->u[i], 2);
    dense_apply(&a, true, r->u, y);
    for (int64_t i = 0; i < d; i++) left += pow(y[i] - r->sigma[0] * r->v[i], 2);
    const double worst = sqrt(fmax(left, right)), scale = r->sigma[0] > 0.0 ? r->sigma[0] : 1.0;
    CLOSE(r->residual[0], worst / scale, EPS * pow((double)d, 1.5));
    CLOSE(dense_dot(d, r->u, r->u), 1.0, 1e-12); /* SLEPc and LAPACK: d eps and less */
    CLOSE(dense_dot(d, r->v, r->v), 1.0, 1e-12);
    for (int64_t i = 0; i < d; i++)
        if (fabs(r->u[i]) > fabs(top)) top = r->u[i];
    CHECK(top > 0.0);
}

static void all_hold(const double *m, const result *r)
{
    pair_holds(m, r);
    for (int64_t i = 0; i < r->count; i++) {
        CHECK(r->residual[i] <= LIMIT);
        CHECK(i == 0 || r->sigma[i] <= r->sigma[i - 1] * (1.0 + 4 * (double)r->d * EPS));
    }
}

/* sigma within the residual, plus the rounding of the construction: d products of d terms each of
 * size sigma_1 at most, so d eps sigma_1 and a factor 4 for the orthogonality of the factors. */
static void sigma_is(const result *r, const double *want)
{
    for (int64_t i = 0; i < r->count; i++)
        CLOSE(r->sigma[i], want[i], want[0] * (r->residual[i] + 4 * (double)r->d * EPS));
}

/* A singular vector's error is at most residual / gap, both relative to sigma_1, with sqrt(2) for
 * the two sides together, plus the matrix's own rounding over the gap. */
static void vectors_are(const result *r, const double *u, const double *v, double gap)
{
    const double bound = 2.0 * (r->residual[0] + 4 * (double)r->d * EPS) / gap;

    CLOSE(distance(r->d, r->u, u), 0.0, bound);
    CLOSE(distance(r->d, r->v, v), 0.0, bound);
    CHECK(dense_dot(r->d, r->u, u) * dense_dot(r->d, r->v, v) > 0.0); /* one common sign */
}

static void constructed_triplets_are_found(const double *s, int64_t count)
{
    const int64_t d = 150;
    double *const u = dense_orthogonal(d, 1), *const v = dense_orthogonal(d, 2);
    double *const m   = dense_from_triplets(d, u, s, v);
    const double  gap = (s[0] - s[1]) / s[0];
    result        r;

    CHECK(leading(d, m, 1, count, NULL, &r) == SD_OK);
    all_hold(m, &r);
    sigma_is(&r, s);
    if (gap > 0.0) vectors_are(&r, u, v, gap);
    CHECK(full(d, m, d, NULL, &r) == SD_OK);
    all_hold(m, &r);
    sigma_is(&r, s);
    if (gap > 0.0) vectors_are(&r, u, v, gap);
    free(u);
    free(v);
    free(m);
}

static void spectra_of_many_kinds_are_found(void)
{
    double s[150];

    for (int i = 0; i < 150; i++) s[i] = pow(0.9, i);
    constructed_triplets_are_found(s, 1);
    constructed_triplets_are_found(s, 8);
    for (int i = 0; i < 150; i++) s[i] = i == 0 ? 30.0 : 1.0 - i / 200.0; /* a defect over a bulk */
    constructed_triplets_are_found(s, 8);
    for (int i = 0; i < 150; i++) s[i] = i < 6 ? 1.0 - 1e-9 * i : 0.5; /* a cluster */
    constructed_triplets_are_found(s, 8);
    for (int i = 0; i < 150; i++) s[i] = i < 50 ? 2.0 : 1.0; /* equal values */
    constructed_triplets_are_found(s, 8);
    for (int i = 0; i < 150; i++) s[i] = i == 0 ? 5.0 : i < 3 ? 3.0 : 0.0; /* low rank */
    constructed_triplets_are_found(s, 6);
    for (int i = 0; i < 150; i++) s[i] = 1e-150 * pow(0.8, i); /* squares underflow */
    constructed_triplets_are_found(s, 4);
}

/* Maps on which Lanczos breaks down exactly. */
static void degenerate_maps_are_solved(void)
{
    const int64_t d = 100;
    double *const m = dense_new(d);
    result        r;

    CHECK(leading(d, m, 1, 4, NULL, &r) == SD_OK);
    for (int i = 0; i < 4; i++) CHECK(r.sigma[i] == 0.0 && r.residual[i] == 0.0);
    pair_holds(m, &r);

    m[3 * d + 5] = -2.0;
    CHECK(leading(d, m, 1, 4, NULL, &r) == SD_OK);
    all_hold(m, &r);
    sigma_is(&r, (double[]){2, 0, 0, 0});
    CLOSE(r.u[5], 1.0, 4 * EPS);
    CLOSE(r.v[3], -1.0, 4 * EPS);

    for (int64_t i = 0; i < d; i++) m[i * d + i] = 1.0;
    m[3 * d + 5] = 0.0;
    CHECK(leading(d, m, 1, 4, NULL, &r) == SD_OK);
    all_hold(m, &r);
    sigma_is(&r, (double[]){1, 1, 1, 1});
    free(m);
}

static void give_zero(const void *context, bool transposed, const double *x, double *y)
{
    const dense *a = context;

    (void)transposed;
    (void)x;
    memset(y, 0, sizeof *y * (size_t)a->d);
}

/* Too large to be formed as a way out. */
static void a_large_map_of_zeros_is_solved(void)
{
    const dense       a        = {5000, NULL};
    const sd_operator op       = {a.d, give_zero, &a};
    double            sigma[3] = {1, 1, 1}, residual[3] = {1, 1, 1};
    double *const u = calloc(5000, sizeof *u), *const v = calloc(5000, sizeof *v);
    sd_triplets t = {3, sigma, residual, u, v};

    CHECK(u != NULL && v != NULL && sd_svd_leading(&op, 1, NULL, &t) == SD_OK);
    for (int i = 0; i < 3; i++) CHECK(sigma[i] == 0.0 && residual[i] == 0.0);
    free(u);
    free(v);
}

/* The operator differs from the matrix by 1e-3 q v', which only M v sees (q is perpendicular to u),
 * or by 1e-3 u q', which only M' u sees. The residual shows either. */
static void residuals_show_both_sides_of_the_operator(void)
{
    const int64_t d = 80;
    double *const u = dense_orthogonal(d, 1), *const v = dense_orthogonal(d, 2);
    double s[80];

    for (int i = 0; i < d; i++) s[i] = 2.0 * pow(0.8, i);
    for (int side = 0; side < 2; side++) {
        double *const m = dense_from_triplets(d, u, s, v), *const off = dense_new(d);
        const double *const left = side == 0 ? u + d : u, *const right = side == 0 ? v : v + d;
        const dense       a  = {d, off};
        const sd_operator op = dense_operator(&a);
        result            r;
        sd_triplets       t = wanted(&r, d, 1);

        for (int64_t k = 0; k < d; k++)
            for (int64_t i = 0; i < d; i++)
                off[k * d + i] = m[k * d + i] + 1e-3 * left[i] * right[k];
        CHECK(sd_svd_full(&op, m, NULL, &t) == SD_OK);
        CLOSE(r.residual[0], 1e-3 / 2.0, 1e-12);
        free(m);
        free(off);
    }
    free(u);
    free(v);
}

static void lapack_and_slepc_agree(void)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        const int64_t d = 200;
        double *const m = dense_random(d, seed);
        result        a, b;

        CHECK(leading(d, m, seed, 8, NULL, &a) == SD_OK);
        CHECK(full(d, m, 8, NULL, &b) == SD_OK);
        all_hold(m, &a);
        all_hold(m, &b);
        for (int i = 0; i < 8; i++) CLOSE(a.sigma[i], b.sigma[i], 1e-10 * b.sigma[0]);
        vectors_are(&a, b.u, b.v, (b.sigma[0] - b.sigma[1]) / b.sigma[0]);
        CHECK(dense_dot(d, a.u, b.u) > 0.0); /* the orientation is the same too */
        free(m);
    }
}

/* Every v is unit, belongs to its value, and has the sign for which M v = sigma u with u's top
 * entry positive. LAPACK's v are orthogonal to d eps. */
static void all_right_vectors_come_with_their_signs(void)
{
    enum { D = 61 };
    double           *m = dense_random(D, 11), *copy = dense_random(D, 11), *right = dense_new(D);
    const dense       a  = {D, m};
    const sd_operator op = dense_operator(&a);
    result            r;
    sd_triplets       t = wanted(&r, D, D);
    double            y[D];

    CHECK(sd_svd_right(&op, copy, NULL, &t, right) == SD_OK);
    for (int64_t i = 0; i < D; i++) {
        const double *v   = right + i * D;
        double        top = 0.0;

        dense_apply(&a, false, v, y);
        for (int64_t k = 0; k < D; k++)
            if (fabs(y[k]) > fabs(top)) top = y[k];
        CHECK(top > 0.0 && r.residual[i] <= LIMIT);
        CLOSE(sqrt(dense_dot(D, y, y)), r.sigma[i], EPS * pow(D, 1.5) * r.sigma[0]);
        for (int64_t j = 0; j <= i; j++)
            CLOSE(dense_dot(D, v, right + j * D), i == j ? 1.0 : 0.0, 10 * D * EPS);
    }
    for (int64_t k = 0; k < D; k++) CLOSE(right[k], r.v[k], 0.0);
    free(m);
    free(copy);
    free(right);
}

static void tiny_maps_are_solved(void)
{
    for (int64_t d = 1; d <= 3; d++)
        for (int64_t count = 1; count <= d; count++) {
            double *const m = dense_random(d, (uint64_t)(10 * d + count));
            result        a, b;

            CHECK(leading(d, m, 1, count, NULL, &a) == SD_OK);
            CHECK(full(d, m, count, NULL, &b) == SD_OK);
            all_hold(m, &a);
            for (int64_t i = 0; i < count; i++) CHECK(a.sigma[i] == b.sigma[i]);
            free(m);
        }
    result       r;
    const double minus = -3.0;
    CHECK(leading(1, &minus, 1, 1, NULL, &r) == SD_OK);
    CHECK(r.sigma[0] == 3.0 && r.u[0] == 1.0 && r.v[0] == -1.0);
}

/* Every size around the one where Krylov space and whole space meet, and many values wanted. */
static void sizes_and_counts_in_between_are_solved(void)
{
    for (int64_t d = 30; d <= 70; d += 5)
        for (int64_t count = 1; count <= d; count += 9) {
            double *const m = dense_random(d, (uint64_t)(100 * d + count));
            result        a, b;

            CHECK(leading(d, m, 1, count, NULL, &a) == SD_OK);
            CHECK(full(d, m, count, NULL, &b) == SD_OK);
            all_hold(m, &a);
            all_hold(m, &b);
            for (int64_t i = 0; i < count; i++) CLOSE(a.sigma[i], b.sigma[i], 1e-10 * b.sigma[0]);
            free(m);
        }
}

static void results_are_the_same_bits_whatever_came_before(void)
{
    const int64_t d = 180;
    double *const m = dense_random(d, 77), *const other = dense_random(90, 78);
    result first, again, between;

    CHECK(leading(d, m, 5, 8, NULL, &first) == SD_OK);
    for (size_t odd = 1; odd < 60; odd += 8) {
        void *const push = malloc(odd); /* moves what is allocated next */
        CHECK(leading(90, other, 3, 2, NULL, &between) == SD_OK);
        CHECK(leading(d, m, 5, 8, NULL, &again) == SD_OK);
        CHECK(memcmp(&first, &again, sizeof first) == 0);
        free(push);
    }
    for (int64_t k = 0; k < d; k++) /* identity plus a defect: breakdowns draw random vectors */
        for (int64_t i = 0; i < d; i++) m[k * d + i] = (i == k) + 30.0 * (i == 3) * (k == 5);
    CHECK(leading(d, m, 5, 8, NULL, &first) == SD_OK);
    CHECK(leading(90, other, 3, 2, NULL, &between) == SD_OK);
    CHECK(leading(d, m, 5, 8, NULL, &again) == SD_OK);
    CHECK(memcmp(&first, &again, sizeof first) == 0);
    CHECK(leading(d, m, 6, 8, NULL, &again) == SD_OK); /* the key decides the start */
    CHECK(memcmp(&first, &again, sizeof first) != 0);
    free(m);
    free(other);
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
    const int64_t d    = 120;
    double *const m    = dense_random(d, 9);
    stopper       s    = {0, 0};
    const sd_poll poll = {count_calls, &s};
    result        whole, r;

    CHECK(leading(d, m, 2, 3, &poll, &whole) == SD_OK);
    const int total = s.calls;
    CHECK(total > 32);
    for (int k = 1; k <= total; k++) {
        s = (stopper){0, k};
        CHECK(leading(d, m, 2, 3, &poll, &r) == SD_INTERRUPTED);
        CHECK(s.calls == k && sd_message()[0] == '\0');
    }
    CHECK(leading(d, m, 2, 3, NULL, &r) == SD_OK);
    CHECK(memcmp(&whole, &r, sizeof r) == 0);

    s = (stopper){0, 0};
    CHECK(full(d, m, d, &poll, &r) == SD_OK);
    const int total_full = s.calls;
    for (int k = 1; k <= total_full; k++) {
        s = (stopper){0, k};
        CHECK(full(d, m, d, &poll, &r) == SD_INTERRUPTED);
    }
    free(m);
}

static void bad_maps_are_refused_with_a_reason(void)
{
    const int64_t d = 60;
    double *const m = dense_random(d, 4);
    result        r;

    m[7] = NAN;
    CHECK(leading(d, m, 1, 2, NULL, &r) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "not finite") != NULL);
    sd_clear();
    m[7] = INFINITY;
    CHECK(full(d, m, 2, NULL, &r) == SD_ERR_INPUT);
    sd_clear();
    CHECK(leading(10, m, 1, 1, NULL, &r) == SD_ERR_INPUT); /* the formed path */
    sd_clear();
    CHECK(leading(d, m, 1, 0, NULL, &r) == SD_ERR_INTERNAL);
    sd_clear();
    CHECK(leading(d, m, 1, d + 1, NULL, &r) == SD_ERR_INTERNAL);
    sd_clear();
    free(m);
}

static void any_failing_allocation_is_reported(void)
{
    const int64_t d = 60;
    double *const m = dense_random(d, 4);
    result        r;
    int           failures = 0;

    for (int64_t k = 1;; k++) {
        sd_alloc_fail_at(k);
        const sd_status st = k % 2 == 0 ? full(d, m, d, NULL, &r) : leading(d, m, 1, 2, NULL, &r);
        sd_alloc_fail_at(0);
        if (st == SD_OK && k % 2 == 0) break;
        if (st == SD_OK) continue;
        CHECK(st == SD_ERR_RESOURCE);
        sd_clear();
        failures++;
    }
    CHECK(failures >= 4);
    free(m);
}

int main(int argc, char **argv)
{
    result r;

    MPI_Init(&argc, &argv);
    CHECK(leading(1, (double[]){1.0}, 1, 1, NULL, &r) == SD_ERR_INTERNAL); /* before the start */
    sd_clear();
    CHECK(sd_spectral_start() == SD_OK);
    CHECK(sd_spectral_start() == SD_OK); /* once is enough, twice is fine */

    spectra_of_many_kinds_are_found();
    degenerate_maps_are_solved();
    a_large_map_of_zeros_is_solved();
    residuals_show_both_sides_of_the_operator();
    lapack_and_slepc_agree();
    all_right_vectors_come_with_their_signs();
    tiny_maps_are_solved();
    sizes_and_counts_in_between_are_solved();
    results_are_the_same_bits_whatever_came_before();
    a_solve_stops_at_any_poll_and_works_again();
    bad_maps_are_refused_with_a_reason();
    any_failing_allocation_is_reported();

    sd_spectral_stop();
    sd_spectral_stop();
    MPI_Finalize();
    return REPORT();
}
