#include "io/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "solvers/base/memory.h"

enum { RUN_BYTE = 0, MEMBER_BYTE = 1, POLL_MS = 50 };

struct sd_lock {
    int fd;
};

static struct flock byte_lock(short kind, int byte)
{
    return (struct flock){.l_type = kind, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

/* Asks for one byte without waiting: SD_OK with *got, or the file system's refusal. */
static sd_status ask(const sd_lock *lock, const char *folder, short kind, int byte, bool *got)
{
    sd_status    st   = SD_OK;
    struct flock want = byte_lock(kind, byte);

    *got = fcntl(lock->fd, F_SETLK, &want) == 0;
    SD_REQUIRE(*got || errno == EAGAIN || errno == EACCES, SD_ERR_RESOURCE, "cannot lock '%s': %s",
               folder, strerror(errno));

done:
    return st;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* " (process 1234)", or nothing when the holder is not known (another machine's). */
static void describe_holder(const sd_lock *lock, int byte, char *out, size_t bytes)
{
    struct flock held = byte_lock(F_WRLCK, byte);

    out[0] = '\0';
    if (fcntl(lock->fd, F_GETLK, &held) == 0 && held.l_type != F_UNLCK && held.l_pid > 0)
        snprintf(out, bytes, " (process %ld)", (long)held.l_pid);
}

static sd_status open_lock(const char *folder, int flags, sd_lock **out)
{
    sd_status    st    = SD_OK;
    sd_lock     *lock  = NULL;
    char        *path  = NULL;
    const size_t bytes = strlen(folder) + sizeof "/.lock";

    SD_TRY(sd_alloc(1, sizeof *lock, &lock));
    lock->fd = -1;
    SD_TRY(sd_alloc((int64_t)bytes, 1, &path));
    snprintf(path, bytes, "%s/.lock", folder);
    lock->fd = open(path, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0666);
    SD_REQUIRE(lock->fd >= 0, SD_ERR_RESOURCE, "cannot lock '%s': %s", folder, strerror(errno));
    *out = lock;
    lock = NULL;

done:
    sd_free(path);
    sd_lock_release(&lock);
    return st;
}

sd_status sd_lock_take(const char *folder, double wait_s, sd_lock **out)
{
    sd_status             st    = SD_OK;
    sd_lock              *lock  = NULL;
    bool                  first = false, alone = false;
    char                  holder[40];
    const struct timespec pause = {0, POLL_MS * 1000000L};

    SD_TRY(open_lock(folder, O_CREAT, &lock));
    const double until = now_s() + wait_s;
    for (;;) {
        if (!first) SD_TRY(ask(lock, folder, F_WRLCK, RUN_BYTE, &first));
        if (first) SD_TRY(ask(lock, folder, F_WRLCK, MEMBER_BYTE, &alone));
        if (alone || now_s() >= until) break;
        nanosleep(&pause, NULL);
    }
    describe_holder(lock, first ? MEMBER_BYTE : RUN_BYTE, holder, sizeof holder);
    SD_REQUIRE(alone, SD_ERR_RESOURCE, "'%s' is in use by another run%s", folder, holder);
    SD_TRY(
        ask(lock, folder, F_RDLCK, MEMBER_BYTE, &alone)); /* the write lock becomes a read lock */
    *out = lock;
    lock = NULL;

done:
    sd_lock_release(&lock);
    return st;
}

sd_status sd_lock_join(const char *folder, sd_lock **out)
{
    sd_status st   = SD_OK;
    sd_lock  *lock = NULL;
    bool      got  = false;

    SD_TRY(open_lock(folder, 0, &lock));
    SD_TRY(ask(lock, folder, F_RDLCK, MEMBER_BYTE, &got));
    SD_REQUIRE(got, SD_ERR_RESOURCE, "'%s' is in use by another run", folder);
    *out = lock;
    lock = NULL;

done:
    sd_lock_release(&lock);
    return st;
}

void sd_lock_release(sd_lock **lock)
{
    if (lock == NULL || *lock == NULL) return;
    if ((*lock)->fd >= 0) close((*lock)->fd);
    sd_free(*lock);
    *lock = NULL;
}
