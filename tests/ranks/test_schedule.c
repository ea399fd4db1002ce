/* Teams and the shared counter: every task is handed out once, teams are balanced or as large as
 * was asked, a stop ends it, ended tasks are counted. Any number of ranks. */
#include "pipeline/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

static int rank, size;

static int team_size_of(const sd_schedule *schedule)
{
    int n;

    MPI_Comm_size(sd_schedule_team(schedule), &n);
    return n;
}

static int team_rank_of(const sd_schedule *schedule)
{
    int r;

    MPI_Comm_rank(sd_schedule_team(schedule), &r);
    return r;
}

/* Takes tasks until there are none; counts on the leaders who got which, over all teams. */
static void take_all(sd_schedule *schedule, int64_t n_tasks, int *times)
{
    for (int64_t i = 0; i < n_tasks; i++) times[i] = 0;
    for (int64_t t; (t = sd_schedule_next(schedule)) >= 0;) {
        int64_t least = t, most = t;

        CHECK(t < n_tasks);
        if (t >= n_tasks) break;
        MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_INT64_T, MPI_MIN, sd_schedule_team(schedule));
        MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, sd_schedule_team(schedule));
        CHECK(least == t && most == t); /* the whole team got the same */
        times[t] += team_rank_of(schedule) == 0;
    }
    CHECK(sd_schedule_next(schedule) == -1); /* and there never are any more */
    MPI_Allreduce(MPI_IN_PLACE, times, (int)n_tasks, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
}

static void every_task_is_handed_out_once(int64_t team_size, int64_t n_tasks)
{
    sd_schedule *schedule = NULL;
    int          times[64];

    CHECK(sd_schedule_create(MPI_COMM_WORLD, team_size, n_tasks, &schedule) == SD_OK);
    take_all(schedule, n_tasks, times);
    for (int64_t i = 0; i < n_tasks; i++) CHECK(times[i] == 1);
    sd_schedule_destroy(&schedule);
    CHECK(schedule == NULL);
    sd_schedule_destroy(&schedule);
}

/* Sizes of the teams, by falling size, and their number. */
static int teams(int64_t team_size, int64_t n_tasks, int *sizes)
{
    sd_schedule *schedule = NULL;
    int          n = 0, leads, all[64], sorted = 0;

    CHECK(sd_schedule_create(MPI_COMM_WORLD, team_size, n_tasks, &schedule) == SD_OK);
    leads = team_rank_of(schedule) == 0 ? team_size_of(schedule) : 0;
    MPI_Allgather(&leads, 1, MPI_INT, all, 1, MPI_INT, MPI_COMM_WORLD);
    for (int r = 0; r < size; r++) n += all[r] > 0;
    for (int want = size; want > 0; want--)
        for (int r = 0; r < size; r++)
            if (all[r] == want) sizes[sorted++] = want;
    sd_schedule_destroy(&schedule);
    return n;
}

static void without_a_size_teams_are_balanced(void)
{
    int sizes[64];

    for (int n_tasks = 1; n_tasks <= size + 2; n_tasks++) {
        const int want = n_tasks < size ? n_tasks : size, n = teams(0, n_tasks, sizes);
        int       sum = 0;

        CHECK(n == want);
        CHECK(sizes[0] - sizes[n - 1] <= 1);
        for (int i = 0; i < n; i++) sum += sizes[i];
        CHECK(sum == size); /* nobody is left out */
    }
}

static void a_written_size_is_kept_and_the_last_team_has_the_rest(void)
{
    int sizes[64];

    for (int64_t team_size = 1; team_size <= size + 1; team_size++) {
        const int n    = teams(team_size, 3, sizes);
        const int full = size / (int)team_size, rest = size % (int)team_size;

        CHECK(n == full + (rest > 0));
        for (int i = 0; i < full; i++) CHECK(sizes[i] == team_size);
        if (rest > 0) CHECK(sizes[n - 1] == rest);
    }
}

/* Consecutive ranks share a node, and so a team's memory and its fast messages. */
static void a_teams_ranks_are_neighbours_in_order(void)
{
    sd_schedule *schedule = NULL;
    int          first    = rank;

    CHECK(sd_schedule_create(MPI_COMM_WORLD, 2, 1, &schedule) == SD_OK);
    MPI_Bcast(&first, 1, MPI_INT, 0, sd_schedule_team(schedule));
    CHECK(rank == first + team_rank_of(schedule) && first % 2 == 0);
    sd_schedule_destroy(&schedule);
}

/* Every rank may ask for the stop, as after a signal, and more than once. */
static void after_a_stop_there_are_no_tasks(int who)
{
    sd_schedule *schedule = NULL;

    CHECK(sd_schedule_create(MPI_COMM_WORLD, 1, 1000, &schedule) == SD_OK);
    const int64_t before = sd_schedule_next(schedule);
    CHECK(before >= 0 && before < size);
    MPI_Barrier(MPI_COMM_WORLD);
    if (who < 0 || rank == who) sd_schedule_stop(schedule);
    if (who < 0) sd_schedule_stop(schedule);
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < 3; i++) CHECK(sd_schedule_next(schedule) == -1);
    sd_schedule_destroy(&schedule);
}

/* The numbers 1 ... n, each once, whatever the order. */
static void ended_tasks_are_counted(void)
{
    enum { EACH = 5 };
    sd_schedule *schedule = NULL;
    int          seen[64 * EACH + 1];

    memset(seen, 0, sizeof seen);
    CHECK(sd_schedule_create(MPI_COMM_WORLD, 1, 1000, &schedule) == SD_OK);
    for (int i = 0, last = 0; i < EACH; i++) {
        const int64_t n = sd_schedule_count_done(schedule);

        CHECK(n > last && n <= EACH * size);
        if (n < 1 || n > EACH * size) break;
        seen[n]++;
        last = (int)n;
    }
    MPI_Allreduce(MPI_IN_PLACE, seen, EACH * size + 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    for (int n = 1; n <= EACH * size; n++) CHECK(seen[n] == 1);
    CHECK(sd_schedule_next(schedule) >= 0); /* another cell: no task is used up */
    sd_schedule_destroy(&schedule);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);

    every_task_is_handed_out_once(0, 1);
    every_task_is_handed_out_once(0, 3);
    every_task_is_handed_out_once(0, 50);
    every_task_is_handed_out_once(1, 50);
    every_task_is_handed_out_once(2, 50);
    every_task_is_handed_out_once(3, 7);
    every_task_is_handed_out_once(100, 7);
    without_a_size_teams_are_balanced();
    a_written_size_is_kept_and_the_last_team_has_the_rest();
    a_teams_ranks_are_neighbours_in_order();
    for (int who = -1; who < size; who++) after_a_stop_there_are_no_tasks(who);
    ended_tasks_are_counted();

    MPI_Allreduce(MPI_IN_PLACE, &check_failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Finalize();
    return REPORT();
}
