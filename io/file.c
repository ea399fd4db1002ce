#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "solvers/base/memory.h"

enum { MOST_AT_ONCE = 1 << 30 }; /* bytes per call: Linux gives at most 2 GiB - 4 KiB anyway */

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

sd_status sd_file_open(const char *path, const char *shown, sd_file *out)
{
    sd_status   st = SD_OK;
    struct stat info;

    /* Without O_NONBLOCK a pipe of that name would keep us waiting for its writer. */
    *out = (sd_file){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    SD_REQUIRE(out->fd >= 0, is_shortage(errno) ? SD_ERR_RESOURCE : SD_ERR_INPUT,
               "%s: cannot be opened: %s", shown, strerror(errno));
    SD_REQUIRE(fstat(out->fd, &info) == 0, SD_ERR_INPUT, "%s: cannot be examined: %s", shown,
               strerror(errno));
    SD_REQUIRE(S_ISREG(info.st_mode), SD_ERR_INPUT, "%s: is not a regular file", shown);
    out->bytes = (int64_t)info.st_size;

done:
    if (st != SD_OK) sd_file_close(out);
    return st;
}

void sd_file_close(sd_file *file)
{
    if (file->fd >= 0) close(file->fd);
    file->fd = -1;
}

sd_status sd_file_read_at(const sd_file *file, const char *shown, int64_t offset, int64_t count,
                          void *out)
{
    sd_status st   = SD_OK;
    char     *next = out;

    while (count > 0) {
        const size_t  want = (size_t)(count < MOST_AT_ONCE ? count : MOST_AT_ONCE);
        const ssize_t got  = pread(file->fd, next, want, (off_t)offset);

        if (got < 0 && errno == EINTR) continue;
        SD_REQUIRE(got >= 0, SD_ERR_INPUT, "%s: cannot be read at byte %" PRId64 ": %s", shown,
                   offset, strerror(errno));
        SD_REQUIRE(got > 0, SD_ERR_INPUT,
                   "%s: ends at byte %" PRId64 ", was %" PRId64
                   " bytes long when it was opened; leave it in place until the run is over",
                   shown, offset, file->bytes);
        next += got;
        offset += got;
        count -= got;
    }

done:
    return st;
}

void sd_file_prefetch(const sd_file *file, int64_t offset, int64_t count)
{
    if (count == 0) return; /* to the system it means all that follows */
    posix_fadvise(file->fd, (off_t)offset, (off_t)count, POSIX_FADV_WILLNEED); /* a hint, no more */
}

bool sd_file_exists(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

sd_status sd_path_join(const char *folder, const char *name, char **out)
{
    sd_status    st     = SD_OK;
    const size_t length = strlen(folder) + strlen(name) + 2;

    SD_TRY(sd_alloc((int64_t)length, 1, out));
    snprintf(*out, length, "%s%s%s", folder, folder[0] == '\0' ? "" : "/", name);

done:
    return st;
}
