#include "io/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "solvers/base/memory.h"

/* Length of the folder's part of a path, with the slash. */
static size_t folder_length(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash != NULL ? (size_t)(slash - file) + 1 : 0;
}

sd_status sd_atomic_name(const char *file, char **out)
{
    sd_status    st     = SD_OK;
    const size_t folder = folder_length(file);
    const size_t bytes  = strlen(file) + 32; /* two dots, a pid of up to 20 digits, ".tmp" */

    SD_TRY(sd_alloc((int64_t)bytes, 1, out));
    snprintf(*out, bytes, "%.*s.%s.%ld.tmp", (int)folder, file, file + folder, (long)getpid());

done:
    return st;
}

bool sd_atomic_is_temporary(const char *name)
{
    static const char ending[] = ".tmp";
    const size_t      length   = strlen(name);

    if (name[0] != '.' || length < sizeof ending) return false;
    const char *tail = name + length - (sizeof ending - 1);
    if (strcmp(tail, ending) != 0) return false;

    const char *digit = tail;
    while (digit > name && digit[-1] >= '0' && digit[-1] <= '9') digit--;
    return digit < tail && digit - name >= 3 &&
           digit[-1] == '.'; /* ".N.1.tmp": a name in between */
}

/* fsync of a file or folder. Some file systems cannot sync a folder and say EINVAL: nothing to do
 * there. */
static sd_status sync_path(const char *path, int flags, const char *shown)
{
    sd_status st = SD_OK;
    const int fd = open(path, flags | O_CLOEXEC);

    SD_REQUIRE(fd >= 0, SD_ERR_RESOURCE, "cannot write '%s': %s", shown, strerror(errno));
    SD_REQUIRE(fsync(fd) == 0 || ((flags & O_DIRECTORY) != 0 && errno == EINVAL), SD_ERR_RESOURCE,
               "cannot write '%s' to disk: %s", shown, strerror(errno));

done:
    if (fd >= 0) close(fd);
    return st;
}

sd_status sd_atomic_commit(const char *temporary, const char *file)
{
    sd_status    st     = SD_OK;
    char        *folder = NULL;
    const size_t length = folder_length(file);

    SD_TRY(sd_alloc((int64_t)length + 2, 1, &folder));
    memcpy(folder, length > 0 ? file : "./", length > 0 ? length : 2);
    SD_TRY(sync_path(temporary, O_RDONLY, file));
    SD_REQUIRE(rename(temporary, file) == 0, SD_ERR_RESOURCE, "cannot write '%s': %s", file,
               strerror(errno));
    SD_TRY(sync_path(folder, O_RDONLY | O_DIRECTORY, file));

done:
    sd_free(folder);
    return st;
}

void sd_atomic_discard(const char *temporary)
{
    if (temporary != NULL) unlink(temporary);
}
