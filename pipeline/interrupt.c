#include "pipeline/interrupt.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { DRAIN_S = 4 }; /* schedulers are promised an end within 5 seconds */

static volatile sig_atomic_t stop_requested;

static void on_stop(int number)
{
    (void)number;
    if (!stop_requested) alarm(DRAIN_S);
    stop_requested = 1;
}

/* The work in progress did not reach a poll in time (a long LAPACK call): leave it. */
static void on_deadline(int number)
{
    (void)number;
    _exit(sd_exit_code(SD_INTERRUPTED));
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags   = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void sd_interrupt_catch(void)
{
    handle(SIGALRM, on_deadline);
    handle(SIGUSR1, on_stop);
    handle(SIGTERM, on_stop);
}

sd_status sd_interrupt_poll(void *context)
{
    const MPI_Comm *comm = context;
    sd_status       st   = SD_OK;
    int             waiting;

    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, *comm, &waiting, MPI_STATUS_IGNORE);
    SD_REQUIRE(!stop_requested, SD_INTERRUPTED, "stopped on request; the same command resumes");

done:
    return st;
}
