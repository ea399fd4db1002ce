/**
 * @file lock.h
 * @brief Advisory lock on a result folder: one run at a time, and no survivors of a killed one.
 *
 * `DIR/.lock` has two bytes. Byte 0 is held for writing by the first process of a run. Byte 1 is
 * held for reading by every process of a run, and must be free of readers before a new run starts:
 * after a kill -9 of mpirun its ranks live on for about a second. fcntl locks vanish when any
 * descriptor of the file is closed, so it is opened once per process.
 */
#ifndef SD_IO_LOCK_H
#define SD_IO_LOCK_H

#include "solvers/base/status.h"

typedef struct sd_lock sd_lock;

/**
 * @brief Takes the folder for a new run (first process only), waiting up to `wait_s` seconds.
 * Creates nothing but the lock file. Errors: SD_ERR_RESOURCE when another run keeps it.
 */
sd_status sd_lock_take(const char *folder, double wait_s, sd_lock **out);
/** @brief Joins a run whose first process holds the lock (all other processes). */
sd_status sd_lock_join(const char *folder, sd_lock **out);
/** @brief Releases; NULL is fine. */
void sd_lock_release(sd_lock **lock);

#endif
