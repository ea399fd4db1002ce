/**
 * @file poll.h
 * @brief Lets long work be interrupted and lets MPI make progress, without knowing about either.
 *
 * Long loops of the solvers call sd_poll_now() every few milliseconds. The program behind it enters
 * MPI (a one-sided operation over TCP is served only then) and looks for a request to stop.
 */
#ifndef SD_SOLVERS_BASE_POLL_H
#define SD_SOLVERS_BASE_POLL_H

#include <stddef.h>

#include "solvers/base/status.h"

/** What to call, and with what; borrowed for the length of a call. */
typedef struct {
    sd_status (*call)(void *context); /* SD_OK, or SD_INTERRUPTED to stop */
    void *context;
} sd_poll;

/** @brief Calls the poll; SD_OK when `poll` is NULL. Not collective. */
static inline sd_status sd_poll_now(const sd_poll *poll)
{
    return poll != NULL ? poll->call(poll->context) : SD_OK;
}

#endif
