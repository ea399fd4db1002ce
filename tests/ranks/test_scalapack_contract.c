/* What we rely on of ScaLAPACK and BLACS, without our own code: values only, on a 1 x ranks grid
 * that leaves some ranks without columns, are right to rounding, and the answer to the workspace
 * query is enough. */
#include <mpi.h>
#include <stdlib.h>

#include "solvers/dist/blacs.h"
#include "tests/support/check.h"

enum { D = 40, BLOCK = 32 };

static double *new_array(int n)
{
    double *const a = calloc((size_t)n, sizeof *a);

    if (a == NULL) MPI_Abort(MPI_COMM_WORLD, 1);
    return a;
}

/* The second difference matrix: singular values 2 - 2 cos(k pi / (D + 1)). */
static double entry(int i, int j)
{
    return i == j ? 2.0 : abs(i - j) == 1 ? -1.0 : 0.0;
}

static double expected(int k)
{
    return 2.0 - 2.0 * cos((D - k) * 3.14159265358979323846 / (D + 1));
}

static void values_of_the_second_difference_are_right(int rank, int size)
{
    const int d = D, block = BLOCK, one = 1, zero = 0;
    int       handle = Csys2blacs_handle(MPI_COMM_WORLD), context = handle, info = 0;
    int       n_rows, n_cols, row, col, descriptor[9], lwork = -1;
    double    query[2] = {0.0, 0.0}, none = 0.0, s[D];

    Cblacs_gridinit(&context, "Row", 1, size);
    Cblacs_gridinfo(context, &n_rows, &n_cols, &row, &col);
    CHECK(n_rows == 1 && n_cols == size && row == 0 && col == rank);
    descinit_(descriptor, &d, &d, &block, &block, &zero, &zero, &context, &d, &info);
    CHECK(info == 0);

    double *const a = new_array(D * D);
    int           k = 0;
    for (int j = 0; j < D; j++)
        if (j / BLOCK % size == col) {
            for (int i = 0; i < D; i++) a[k * D + i] = entry(i, j);
            k++;
        }
    pdgesvd_("N", "N", &d, &d, a, &one, &one, descriptor, s, &none, &one, &one, descriptor, &none,
             &one, &one, descriptor, query, &lwork, &info, 1, 1);
    CHECK(info == 0);
    lwork              = (int)query[0];
    double *const work = new_array(lwork + 1);
    const double  mark = 12345.0;
    work[lwork]        = mark;
    pdgesvd_("N", "N", &d, &d, a, &one, &one, descriptor, s, &none, &one, &one, descriptor, &none,
             &one, &one, descriptor, work, &lwork, &info, 1, 1);
    CHECK(info == 0);
    CHECK(work[lwork] == mark); /* it stays inside what it asked for */
    for (int i = 0; i < D; i++) CLOSE(s[i], expected(i), 4.0 * D * 2.3e-16 * 4.0);

    free(a);
    free(work);
    Cblacs_gridexit(context);
    Cfree_blacs_system_handle(handle);
}

int main(int argc, char **argv)
{
    int rank, size;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int round = 0; round < 3; round++) values_of_the_second_difference_are_right(rank, size);
    MPI_Allreduce(MPI_IN_PLACE, &check_failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Finalize();
    return REPORT();
}
