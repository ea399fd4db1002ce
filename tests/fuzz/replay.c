/*
 * replay [FILE | FOLDER]...: a fuzz target on files instead of a fuzzer's inputs, each once: seeds
 * and past findings. Folders that are not there hold nothing. Names each file before it runs, so
 * that a crash has one.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static void replay_file(const char *path)
{
    FILE       *file = fopen(path, "rb");
    struct stat info;
    uint8_t    *bytes;

    printf("%s\n", path);
    fflush(stdout);
    FUZZ_REQUIRE(file != NULL && fstat(fileno(file), &info) == 0);
    /* exactly as long as the input, so that a byte too far is seen */
    bytes = malloc((size_t)info.st_size);
    FUZZ_REQUIRE(fread(bytes, 1, (size_t)info.st_size, file) == (size_t)info.st_size);
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, (size_t)info.st_size);
    free(bytes);
}

static void replay_folder(const char *path)
{
    DIR *folder = opendir(path);

    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char inner[4096];

        if (entry->d_name[0] == '.') continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        replay_file(inner);
    }
    if (folder != NULL) closedir(folder);
}

int main(int argc, char **argv)
{
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int k = 1; k < argc; k++) {
        struct stat info;

        if (stat(argv[k], &info) != 0) continue;
        if (S_ISDIR(info.st_mode))
            replay_folder(argv[k]);
        else
            replay_file(argv[k]);
    }
    return 0;
}
