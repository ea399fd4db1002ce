/* Singular values on the team's grid equal LAPACK's on one rank; a failure of one rank's fill is
 * everybody's. Any number of ranks. */
#include <mpi.h>

#include "solvers/base/agree.h"
#include "solvers/dist/grid.h"
#include "solvers/spectral/spectral.h"
#include "tests/support/check.h"
#include "tests/support/dense.h"

static sd_status fill(const void *context, int64_t n, const int64_t *column, double *out)
{
    const dense *a = context;

    for (int64_t k = 0; k < n; k++) {
        const bool inside = column[k] >= 0 && column[k] < a->d;
        CHECK(inside);
        if (inside) memcpy(out + k * a->d, a->m + column[k] * a->d, sizeof *out * (size_t)a->d);
    }
    return SD_OK;
}

/* Both are backward stable: each within p(d) eps sigma_1 of the truth. The bidiagonalisation's
 * error is at most a few d eps in the Frobenius norm; 4 d for the two together. */
static void values_equal_lapack(sd_grid *grid, int64_t d, const double *m)
{
    const dense       a  = {d, m};
    const sd_operator op = dense_operator(&a);
    double *const copy = dense_new(d), *const work = dense_new(d), *const got = dense_new(d);
    double *const u        = dense_new(d);
    sd_triplets   t        = {d, work, work, u, u};
    double *const residual = dense_new(d), *const v = dense_new(d);

    t.residual = residual;
    t.v        = v;
    memcpy(copy, m, sizeof *m * (size_t)(d * d));
    CHECK(sd_svd_full(&op, copy, NULL, &t) == SD_OK);
    CHECK(sd_grid_singular_values(grid, d, fill, &a, got) == SD_OK);
    for (int64_t i = 0; i < d; i++)
        CLOSE(got[i], t.sigma[i], 4.0 * (double)d * 2.3e-16 * t.sigma[0]);
    free(copy);
    free(work);
    free(got);
    free(u);
    free(residual);
    free(v);
}

static void matrices_of_any_size_are_solved(sd_grid *grid)
{
    const int64_t sizes[] = {1, 2, 3, 5, 31, 32, 33, 64, 65, 97, 150};

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        double *const m = dense_random(sizes[k], k);
        values_equal_lapack(grid, sizes[k], m);
        free(m);
    }
}

static void special_matrices_are_solved(sd_grid *grid)
{
    const int64_t d = 100;
    double *const m = dense_new(d);

    values_equal_lapack(grid, d, m); /* zero */
    for (int64_t i = 0; i < d; i++) m[i * d + i] = 1.0;
    values_equal_lapack(grid, d, m);
    m[7 * d + 90] = 1e6; /* a defect */
    values_equal_lapack(grid, d, m);
    free(m);
}

/* What one rank's weights may do. */
typedef struct {
    dense  a;
    int    rank, bad;
    double value;
} faulty;

static sd_status fill_faulty(const void *context, int64_t n, const int64_t *column, double *out)
{
    const faulty *f  = context;
    sd_status     st = fill(&f->a, n, column, out);

    if (f->rank != f->bad) return st;
    for (int64_t i = 0; i < n * f->a.d; i++) out[i] = f->value;
    SD_REQUIRE(f->value != 0.0, SD_ERR_INPUT, "shard lost");
done:
    return st;
}

static void one_bad_rank_fails_all(sd_grid *grid, int rank, int size)
{
    const int64_t d = 40 * size; /* every rank of any grid holds something */
    double *const m = dense_random(d, 3), *const s = dense_new(d);

    for (int bad = 0; bad < size; bad++) {
        faulty f = {{d, m}, rank, bad, 0.0};
        CHECK(sd_grid_singular_values(grid, d, fill_faulty, &f, s) == SD_ERR_INPUT);
        CHECK(strstr(sd_message(), "shard lost") != NULL);
        sd_clear();
        f.value = NAN;
        CHECK(sd_grid_singular_values(grid, d, fill_faulty, &f, s) == SD_ERR_INPUT);
        CHECK(strstr(sd_message(), "not finite") != NULL);
        sd_clear();
    }
    CHECK(sd_grid_singular_values(grid, 0, fill, &(dense){0, m}, s) == SD_ERR_INTERNAL);
    sd_clear();
    values_equal_lapack(grid, d, m); /* and the grid still works */
    free(m);
    free(s);
}

/* Teams: grids on parts of the world, at the same time, made and released again and again. */
static void teams_have_grids_of_their_own(int rank)
{
    for (int round = 0; round < 4; round++) {
        MPI_Comm team;
        sd_grid *grid = NULL;

        MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &team);
        CHECK(sd_grid_create(team, &grid) == SD_OK);
        double *const m = dense_random(50 + rank % 2, (uint64_t)(rank % 2));
        values_equal_lapack(grid, 50 + rank % 2, m);
        free(m);
        sd_grid_destroy(&grid);
        CHECK(grid == NULL);
        MPI_Comm_free(&team);
    }
}

int main(int argc, char **argv)
{
    int      rank, size;
    sd_grid *grid = NULL;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);

    CHECK(sd_grid_create(MPI_COMM_WORLD, &grid) == SD_OK);
    matrices_of_any_size_are_solved(grid);
    special_matrices_are_solved(grid);
    one_bad_rank_fails_all(grid, rank, size);
    sd_grid_destroy(&grid);
    sd_grid_destroy(&grid);
    teams_have_grids_of_their_own(rank);

    MPI_Allreduce(MPI_IN_PLACE, &check_failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Finalize();
    return REPORT();
}
