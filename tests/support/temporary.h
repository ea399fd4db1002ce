/**
 * @file temporary.h
 * @brief Files of a test: written in a folder of their own, removed with it.
 */
#ifndef SD_TESTS_SUPPORT_TEMPORARY_H
#define SD_TESTS_SUPPORT_TEMPORARY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char temporary_folder[512];
static char temporary_path[1024];

/* The path of NAME in the folder, which is made on the first call; valid until the next call. */
static inline const char *temporary(const char *name)
{
    if (temporary_folder[0] == '\0') {
        const char *base = getenv("TMPDIR");

        snprintf(temporary_folder, sizeof temporary_folder, "%s/singdef-test-XXXXXX",
                 base != NULL ? base : "/tmp");
        if (mkdtemp(temporary_folder) == NULL) exit(1);
    }
    snprintf(temporary_path, sizeof temporary_path, "%s/%s", temporary_folder, name);
    return temporary_path;
}

/* Writes a file and returns its path. */
static inline const char *temporary_write(const char *name, const void *bytes, size_t length)
{
    const char *path = temporary(name);
    FILE       *file = fopen(path, "wb");

    if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) exit(1);
    return path;
}

/* Removes the named files and the folder. */
static inline void temporary_remove(const char *const *names, int count)
{
    for (int i = 0; i < count; i++) unlink(temporary(names[i]));
    rmdir(temporary_folder);
}

#endif
