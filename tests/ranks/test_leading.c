/* Triplets and eigenpairs are the same bits on every rank, although each rank has solved something
 * else before. Any number of ranks. */
#include <mpi.h>

#include "solvers/spectral/spectral.h"
#include "tests/support/check.h"
#include "tests/support/dense.h"

enum { D = 150, COUNT = 6 };

typedef struct {
    double sigma[COUNT], residual[COUNT], u[D], v[D], eigen[4];
} result;

static result solve(const double *m, uint64_t key)
{
    const dense       a  = {D, m};
    const sd_operator op = dense_operator(&a);
    result            r;
    sd_triplets       t = {COUNT, r.sigma, r.residual, r.u, r.v};
    sd_eigenpair      pair;
    bool              accepted;

    memset(&r, 0, sizeof r);
    CHECK(sd_svd_leading(&op, key, NULL, &t) == SD_OK);
    CHECK(sd_eigen_iterative(D, m, r.u, NULL, &accepted, &pair) == SD_OK);
    memcpy(r.eigen, &pair.re, sizeof r.eigen);
    return r;
}

/* Bitwise and of the bytes and of their complements: all ones together only when all are equal. */
static void every_rank_has_the_same_bytes(const result *mine)
{
    static unsigned char bytes[2 * sizeof(result)];
    const unsigned char *own = (const unsigned char *)mine;

    for (size_t i = 0; i < sizeof *mine; i++) {
        bytes[2 * i]     = own[i];
        bytes[2 * i + 1] = (unsigned char)~own[i];
    }
    MPI_Allreduce(MPI_IN_PLACE, bytes, (int)sizeof bytes, MPI_BYTE, MPI_BAND, MPI_COMM_WORLD);
    int different = 0;
    for (size_t i = 0; i < sizeof *mine; i++)
        different += (bytes[2 * i] | bytes[2 * i + 1]) != 0xff;
    CHECK(different == 0);
}

int main(int argc, char **argv)
{
    int rank;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    CHECK(sd_spectral_start() == SD_OK);

    double *const m = dense_random(D, 1), *const other = dense_random(D, 2);
    for (int i = 0; i < rank; i++) solve(other, (uint64_t)i);
    const result first = solve(m, 7);
    every_rank_has_the_same_bytes(&first);
    const result again = solve(m, 7);
    CHECK(memcmp(&first, &again, sizeof first) == 0);
    free(m);
    free(other);

    sd_spectral_stop();
    MPI_Allreduce(MPI_IN_PLACE, &check_failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Finalize();
    return REPORT();
}
