#include "pipeline/schedule.h"

#include "solvers/base/agree.h"
#include "solvers/base/memory.h"

/* Cells of the window on rank 0. */
enum { CELL_NEXT, CELL_DONE, CELL_COUNT };

/* Beyond any number of tasks. Every rank adds it when a run is stopped: millions of ranks may. */
static const int64_t STOP = (int64_t)1 << 40;

struct sd_schedule {
    MPI_Comm team;
    MPI_Win  window;
    int64_t *cell; /* the window's memory; meaningful on rank 0 of the world */
    int64_t  n_tasks;
};

/* Balanced: with more ranks than tasks every rank is in a team, and sizes differ by one at most. */
static int team_of(int rank, int size, int64_t team_size, int64_t n_tasks)
{
    if (team_size > 0) return (int)(rank / team_size);

    const int64_t n_teams = n_tasks < 1 ? 1 : n_tasks < size ? n_tasks : size;
    return (int)(rank * n_teams / size);
}

sd_status sd_schedule_create(MPI_Comm world, int64_t team_size, int64_t n_tasks, sd_schedule **out)
{
    sd_status    st = SD_OK;
    sd_schedule *schedule;
    int          rank, size;

    MPI_Comm_rank(world, &rank);
    MPI_Comm_size(world, &size);
    *out = NULL;
    SD_TRY(sd_agree(world, sd_alloc(1, sizeof *schedule, &schedule)));
    schedule->n_tasks = n_tasks;
    MPI_Comm_split(world, team_of(rank, size, team_size, n_tasks), rank, &schedule->team);
    MPI_Win_allocate(rank == 0 ? CELL_COUNT * (MPI_Aint)sizeof(int64_t) : 0, sizeof(int64_t),
                     MPI_INFO_NULL, world, &schedule->cell, &schedule->window);
    if (rank == 0) {
        MPI_Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, schedule->window);
        for (int i = 0; i < CELL_COUNT; i++) schedule->cell[i] = 0;
        MPI_Win_unlock(0, schedule->window);
    }
    MPI_Barrier(world);
    MPI_Win_lock_all(0, schedule->window);
    *out = schedule;

done:
    return st;
}

void sd_schedule_destroy(sd_schedule **schedule)
{
    if (*schedule == NULL) return;
    MPI_Win_unlock_all((*schedule)->window);
    MPI_Win_free(&(*schedule)->window);
    MPI_Comm_free(&(*schedule)->team);
    sd_free(*schedule);
    *schedule = NULL;
}

MPI_Comm sd_schedule_team(const sd_schedule *schedule)
{
    return schedule->team;
}

static int64_t fetch_and_add(sd_schedule *schedule, int cell, int64_t amount)
{
    int64_t before = 0;

    MPI_Fetch_and_op(&amount, &before, MPI_INT64_T, 0, cell, MPI_SUM, schedule->window);
    MPI_Win_flush(0, schedule->window);
    return before;
}

int64_t sd_schedule_next(sd_schedule *schedule)
{
    int64_t task = 0;
    int     rank;

    MPI_Comm_rank(schedule->team, &rank);
    if (rank == 0) task = fetch_and_add(schedule, CELL_NEXT, 1);
    MPI_Bcast(&task, 1, MPI_INT64_T, 0, schedule->team);
    return task < schedule->n_tasks ? task : -1;
}

void sd_schedule_stop(sd_schedule *schedule)
{
    fetch_and_add(schedule, CELL_NEXT, STOP);
}

int64_t sd_schedule_count_done(sd_schedule *schedule)
{
    return fetch_and_add(schedule, CELL_DONE, 1) + 1;
}
