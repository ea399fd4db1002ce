/**
 * @file interrupt.h
 * @brief Requests to stop (SIGUSR1, SIGTERM), and the poll that long work calls.
 */
#ifndef SD_PIPELINE_INTERRUPT_H
#define SD_PIPELINE_INTERRUPT_H

#include <mpi.h>

#include "solvers/base/poll.h"

/**
 * @brief Catches SIGUSR1 and SIGTERM from now on. The first of them asks the run to stop; if it has
 * not ended 4 seconds later, the process ends at once with status 75: units are written atomically,
 * so nothing is lost but the unit in progress.
 */
void sd_interrupt_catch(void);

/**
 * @brief Poll of a run: enters MPI on `*context` (an MPI_Comm), so that one-sided operations of
 * other ranks are served, and returns SD_INTERRUPTED once a stop was asked for.
 */
sd_status sd_interrupt_poll(void *context);

#endif
