/* What we rely on of MPI: a shared counter in a window of rank 0, taken from by fetch-and-add,
 * hands out every number once, and is served promptly while its owner computes, as long as the
 * owner looks at MPI every few milliseconds. Without shared memory (test_counter_tcp.sh) nothing
 * else serves it. Any number of ranks. */
#include <mpi.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/check.h"

enum { TICKETS = 24 };

static const double STEP_S   = 2e-3; /* the owner computes this long between two looks at MPI */
static const double PROMPT_S = 1.0;  /* a call waits some steps; a slow machine may stretch them,
                                        but not to what the owner computes in all             */
static const double COMPUTE_S = 3.0; /* longer than PROMPT_S by far                           */

typedef struct {
    MPI_Win  window;
    int64_t *value; /* rank 0's memory holds the counter */
} counter;

static counter make(int rank)
{
    counter c;

    MPI_Win_allocate(rank == 0 ? (MPI_Aint)sizeof *c.value : 0, sizeof *c.value, MPI_INFO_NULL,
                     MPI_COMM_WORLD, &c.value, &c.window);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, c.window);
    if (rank == 0) {
        *c.value = 0;
        MPI_Win_sync(c.window);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    return c;
}

static void release(counter *c)
{
    MPI_Win_unlock_all(c->window);
    MPI_Win_free(&c->window);
}

static int64_t take(counter *c)
{
    const int64_t one  = 1;
    int64_t       mine = -1;

    MPI_Fetch_and_op(&one, &mine, MPI_INT64_T, 0, 0, MPI_SUM, c->window);
    MPI_Win_flush(0, c->window);
    return mine;
}

static void compute(double seconds)
{
    volatile double sink = 1.0;
    const double    end  = MPI_Wtime() + seconds; /* a clock, no progress */

    while (MPI_Wtime() < end) sink = sink * 1.0000001;
}

/* Until everybody has said that they are done: a non-blocking barrier is progress by itself, so the
 * owner enters it only at the end and looks at MPI by a probe in between. */
static void own_and_compute(void)
{
    int          flag;
    const double end = MPI_Wtime() + COMPUTE_S;

    while (MPI_Wtime() < end) {
        compute(STEP_S);
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &flag, MPI_STATUS_IGNORE);
    }
}

static void the_owner_serves_while_it_computes(int rank, int size)
{
    counter c             = make(rank);
    int     seen[TICKETS] = {0};
    double  longest       = 0.0;

    if (rank == 0) own_and_compute();
    while (rank != 0) {
        const double  start = MPI_Wtime();
        const int64_t mine  = take(&c);
        longest             = fmax(longest, MPI_Wtime() - start);
        if (mine >= TICKETS) break;
        seen[mine]++;
    }
    CHECK(longest < PROMPT_S);
    MPI_Allreduce(MPI_IN_PLACE, seen, TICKETS, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    for (int i = 0; i < TICKETS && size > 1; i++) CHECK(seen[i] == 1);
    release(&c);
}

/* The owner takes part as well, as the team that it leads does. */
static void every_number_is_handed_out_once(int rank)
{
    counter c             = make(rank);
    int     seen[TICKETS] = {0};

    for (int64_t mine = take(&c); mine < TICKETS; mine = take(&c)) {
        seen[mine]++;
        compute(STEP_S);
    }
    MPI_Allreduce(MPI_IN_PLACE, seen, TICKETS, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    for (int i = 0; i < TICKETS; i++) CHECK(seen[i] == 1);
    release(&c);
}

int main(int argc, char **argv)
{
    int rank, size;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    every_number_is_handed_out_once(rank);
    the_owner_serves_while_it_computes(rank, size);
    MPI_Allreduce(MPI_IN_PLACE, &check_failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Finalize();
    return REPORT();
}
