#include "solvers/dist/grid.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>

#include "solvers/base/agree.h"
#include "solvers/base/memory.h"
#include "solvers/dist/blacs.h"

enum {
    BLOCK      = 32, /* rows and columns of a block; 16 to 64 make no difference in time */
    DESCRIPTOR = 9,
};

struct sd_grid {
    MPI_Comm comm;    /* borrowed                                */
    int      handle;  /* BLACS's name for it                     */
    int      context; /* the grid; -1 before it exists           */
    int      n_rows, n_cols, row, col;
};

/* Indices of one dimension that a process holds: blocks dealt out in turn, the first to process 0.
 */
typedef struct {
    int64_t d;
    int     n_processes, process;
} deal;

static int64_t held(deal which)
{
    const int64_t blocks = which.d / BLOCK, mine = blocks % which.n_processes;
    int64_t       count = blocks / which.n_processes * BLOCK;

    if (which.process < mine) count += BLOCK;
    if (which.process == mine) count += which.d % BLOCK;
    return count;
}

static int64_t global_index(deal which, int64_t local)
{
    return (local / BLOCK * which.n_processes + which.process) * BLOCK + local % BLOCK;
}

/* The largest divisor up to the root: the most square grid that leaves nobody out. */
static int rows_of(int size)
{
    int rows = 1;

    for (int k = 1; k <= size / k; k++)
        if (size % k == 0) rows = k;
    return rows;
}

sd_status sd_grid_create(MPI_Comm comm, sd_grid **out)
{
    sd_status st   = SD_OK;
    sd_grid  *grid = NULL;
    int       size = 1;

    *out = NULL;
    SD_TRY(sd_agree(comm, sd_alloc(1, sizeof *grid, &grid)));
    MPI_Comm_size(comm, &size);
    grid->comm    = comm;
    grid->handle  = Csys2blacs_handle(comm);
    grid->context = grid->handle; /* in: where; out: the grid */
    Cblacs_gridinit(&grid->context, "Row", rows_of(size), size / rows_of(size));
    Cblacs_gridinfo(grid->context, &grid->n_rows, &grid->n_cols, &grid->row, &grid->col);
    SD_REQUIRE(grid->n_rows * grid->n_cols == size && grid->row >= 0, SD_ERR_INTERNAL,
               "BLACS made a %d x %d grid of %d ranks", grid->n_rows, grid->n_cols, size);
    *out = grid;
    grid = NULL;

done:
    sd_grid_destroy(&grid);
    return st;
}

void sd_grid_destroy(sd_grid **grid)
{
    if (*grid == NULL) return;
    if ((*grid)->context >= 0) Cblacs_gridexit((*grid)->context);
    Cfree_blacs_system_handle((*grid)->handle);
    sd_free(*grid);
    *grid = NULL;
}

/* One matrix on the grid, with what pdgesvd needs. */
typedef struct {
    deal    rows, cols;
    int64_t rows_loc, cols_loc;
    double *a;    /* rows_loc x cols_loc, column-major, leading dimension max(1, rows_loc) */
    double *s;    /* d                                                                     */
    double *work; /* pdgesvd's                                                             */
} share;

static void release(share *mine)
{
    sd_free(mine->a);
    sd_free(mine->s);
    sd_free(mine->work);
}

static sd_status allocate(const sd_grid *grid, int64_t d, share *mine)
{
    sd_status st = SD_OK;

    mine->rows     = (deal){d, grid->n_rows, grid->row};
    mine->cols     = (deal){d, grid->n_cols, grid->col};
    mine->rows_loc = held(mine->rows);
    mine->cols_loc = held(mine->cols);
    SD_REQUIRE(mine->cols_loc == 0 || mine->rows_loc <= INT32_MAX / mine->cols_loc, SD_ERR_RESOURCE,
               "a share of %" PRId64 " x %" PRId64
               " is too large for ScaLAPACK's 32-bit indices: use more ranks per team",
               mine->rows_loc, mine->cols_loc);
    SD_TRY(sd_alloc(mine->rows_loc * mine->cols_loc + 1, sizeof *mine->a, &mine->a));
    SD_TRY(sd_alloc(d, sizeof *mine->s, &mine->s));
done:
    return st;
}

/* Keeps this rank's rows of n columns, the first of which has the local number `first`. */
static bool keep_own_rows(share *mine, int64_t first, int64_t n, const double *panel)
{
    bool finite = true;

    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < mine->rows_loc; i++) {
            const double value = panel[k * mine->rows.d + global_index(mine->rows, i)];
            mine->a[(first + k) * mine->rows_loc + i] = value;
            finite                                    = finite && isfinite(value);
        }
    return finite;
}

/* Fills this rank's share, one block of columns after the other. Local. */
static sd_status fill_share(share *mine, sd_fill_columns fill, const void *context)
{
    sd_status st    = SD_OK;
    double   *panel = NULL;
    int64_t   column[BLOCK];

    SD_TRY(sd_alloc(mine->rows.d * BLOCK, sizeof *panel, &panel));
    for (int64_t first = 0; first < mine->cols_loc; first += BLOCK) {
        const int64_t left = mine->cols_loc - first, n = left < BLOCK ? left : BLOCK;

        for (int64_t k = 0; k < n; k++) column[k] = global_index(mine->cols, first + k);
        SD_TRY(fill(context, n, column, panel));
        SD_REQUIRE(keep_own_rows(mine, first, n, panel), SD_ERR_INPUT,
                   "the linear map has values that are not finite: damaged or enormous weights");
    }

done:
    sd_free(panel);
    return st;
}

static int call_pdgesvd(share *mine, const int *descriptor, double *work, int lwork)
{
    const int d = (int)mine->rows.d, one = 1;
    int       info = 0;
    double    none = 0.0;

    pdgesvd_("N", "N", &d, &d, mine->a, &one, &one, descriptor, mine->s, &none, &one, &one,
             descriptor, &none, &one, &one, descriptor, work, &lwork, &info, 1, 1);
    return info;
}

/* Its answer has been too small by a few blocks for other jobs: a margin of what a bidiagonal
 * reduction holds besides the matrix costs nothing. */
static sd_status allocate_work(share *mine, const int *descriptor, int *lwork)
{
    sd_status    st        = SD_OK;
    double       wanted[2] = {0.0, 0.0};
    const double margin    = 8.0 * (double)mine->rows.d + 4.0 * BLOCK * BLOCK +
                          2.0 * BLOCK * (double)(mine->rows_loc + mine->cols_loc);

    SD_TRY(SD_INFO("pdgesvd's workspace query", call_pdgesvd(mine, descriptor, wanted, -1)));
    SD_REQUIRE(wanted[0] >= 0.0 && wanted[0] + margin <= INT32_MAX, SD_ERR_RESOURCE,
               "ScaLAPACK wants %g doubles of workspace, more than its 32-bit sizes hold",
               wanted[0]);
    *lwork = (int)(wanted[0] + margin);
    SD_TRY(sd_alloc(*lwork, sizeof *mine->work, &mine->work));
done:
    return st;
}

static sd_status describe(const sd_grid *grid, const share *mine, int *descriptor)
{
    sd_status st = SD_OK;
    const int d = (int)mine->rows.d, block = BLOCK, zero = 0;
    const int leading = mine->rows_loc > 1 ? (int)mine->rows_loc : 1;
    int       info    = 0;

    descinit_(descriptor, &d, &d, &block, &block, &zero, &zero, &grid->context, &leading, &info);
    SD_TRY(SD_INFO("descinit", info));
done:
    return st;
}

/* The same values on every rank; NaN where ScaLAPACK did not converge. */
static void hand_out(const sd_grid *grid, const share *mine, int info, double *sigma)
{
    for (int64_t i = 0; i < mine->rows.d; i++) sigma[i] = info == 0 ? mine->s[i] : NAN;
    MPI_Bcast(sigma, (int)mine->rows.d, MPI_DOUBLE, 0, grid->comm);
}

sd_status sd_grid_singular_values(sd_grid *grid, int64_t d, sd_fill_columns fill,
                                  const void *context, double *sigma)
{
    sd_status st   = SD_OK;
    share     mine = {.a = NULL};
    int       descriptor[DESCRIPTOR], lwork = 0;

    SD_REQUIRE(d >= 1 && d <= INT32_MAX / BLOCK, SD_ERR_INTERNAL, "a map of size %" PRId64, d);
    SD_TRY(sd_agree(grid->comm, allocate(grid, d, &mine)));
    SD_TRY(sd_agree(grid->comm, fill_share(&mine, fill, context)));
    SD_TRY(sd_agree(grid->comm, describe(grid, &mine, descriptor)));
    SD_TRY(sd_agree(grid->comm, allocate_work(&mine, descriptor, &lwork)));

    const int       info = call_pdgesvd(&mine, descriptor, mine.work, lwork);
    const sd_status own  = SD_INFO("pdgesvd", info);
    SD_TRY(sd_agree(grid->comm, own));
    hand_out(grid, &mine, info, sigma);

done:
    release(&mine);
    return st;
}
