/**
 * @file scratch.h
 * @brief A folder for one test's files, and files in it.
 *
 * The folder is made by scratch_open() and removed, with what is in it, by scratch_close(). Names
 * are relative to it. Failing system calls end the test: nothing could be learned any more.
 */
#ifndef SD_TESTS_SUPPORT_SCRATCH_H
#define SD_TESTS_SUPPORT_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[512];

static inline void scratch_need(int holds, const char *what)
{
    if (holds) return;
    perror(what);
    exit(1);
}

static inline void scratch_open(void)
{
    const char *base = getenv("TMPDIR");

    snprintf(scratch, sizeof scratch, "%s/sd a é XXXXXX", base != NULL ? base : "/tmp");
    scratch_need(mkdtemp(scratch) != NULL, "mkdtemp");
}

/** The path of a name; good until the fourth call after this one. */
static inline const char *scratch_path(const char *name)
{
    static char path[4][1024];
    static int  next;

    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", scratch, name);
    return path[next];
}

static inline void scratch_write(const char *name, const void *bytes, int64_t count)
{
    FILE *file = fopen(scratch_path(name), "wb");

    scratch_need(file != NULL, name);
    scratch_need(count == 0 || fwrite(bytes, (size_t)count, 1, file) == 1, name);
    scratch_need(fclose(file) == 0, name);
}

/** Writes a file and gives its path, as scratch_path(). */
static inline const char *scratch_file(const char *name, const void *bytes, size_t count)
{
    scratch_write(name, bytes, (int64_t)count);
    return scratch_path(name);
}

static inline void scratch_text(const char *name, const char *text)
{
    scratch_write(name, text, (int64_t)strlen(text));
}

static inline void scratch_folder(const char *name)
{
    scratch_need(mkdir(scratch_path(name), 0777) == 0, name);
}

static inline void scratch_remove(const char *name)
{
    remove(scratch_path(name));
}

static inline void scratch_remove_tree(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0) return;

    DIR *dir = fdopendir(openat(parent, name, O_RDONLY | O_DIRECTORY));
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            scratch_remove_tree(dirfd(dir), entry->d_name);
    if (dir != NULL) closedir(dir);
    unlinkat(parent, name, AT_REMOVEDIR);
}

static inline void scratch_close(void)
{
    scratch_remove_tree(AT_FDCWD, scratch);
}

#endif
