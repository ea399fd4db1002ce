/**
 * @file fuzz.h
 * @brief What the fuzz targets share: bytes as a file, and what must hold of any outcome.
 *
 * A target is fuzz_<name>.c with LLVMFuzzerTestOneInput(); the build finds it. It is linked twice:
 * with libFuzzer (SD_FUZZ), and with replay.c, which needs no clang. A finding is a crash: the
 * sanitizers' own, or a FUZZ_REQUIRE that does not hold.
 */
#ifndef SD_TESTS_FUZZ_FUZZ_H
#define SD_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/format.h"
#include "io/text.h"
#include "solvers/base/status.h"

/** What libFuzzer and replay.c call, once per input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n%s\n", __FILE__, __LINE__, #condition,           \
                    sd_message());                                                                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/** True of UTF-8 without a control character, those of U+0080 to U+009F included. */
static inline bool fuzz_is_text(const char *message)
{
    const int64_t length = (int64_t)strlen(message);

    for (int64_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)message[i], next = (unsigned char)message[i + 1];

        if (c < ' ' || c == 0x7f || (c == 0xc2 && next < 0xa0)) return false;
    }
    return sd_utf8_valid(message, length) == length;
}

/**
 * A refusal blames the input with one line of text; shortage and bugs are no excuse: no input of a
 * fuzzer is large. `blame` is the status that the function gives for what comes from outside.
 * Forgets the message.
 */
static inline void fuzz_outcome(sd_status st, sd_status blame)
{
    FUZZ_REQUIRE(st == SD_OK || st == blame);
    FUZZ_REQUIRE((st == SD_OK) == (sd_message()[0] == '\0'));
    FUZZ_REQUIRE(fuzz_is_text(sd_message()));
    sd_clear();
}

/** The bytes as a file, in memory; its path is good until the next call. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static int  fd = -1;
    static char path[64];

    if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_REQUIRE(fd >= 0 && ftruncate(fd, 0) == 0);
    FUZZ_REQUIRE(pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

enum {
    FUZZ_PIECE = 4099,   /* bytes per read: it divides no block */
    FUZZ_MOST  = 1 << 17 /* bytes of a tensor that are read, from either end */
};

/* Pieces up to `most` bytes of a tensor, from its beginning and before its end. */
static inline void fuzz_tensor(const sd_format *format, const sd_tensor_file *file, int64_t i)
{
    const sd_tensor_info *info = &file->tensor[i];
    const int64_t         most = info->bytes < FUZZ_MOST ? info->bytes : FUZZ_MOST;
    char                  piece[FUZZ_PIECE];

    for (int64_t at = 0; at < most; at += FUZZ_PIECE) {
        const int64_t count = most - at < FUZZ_PIECE ? most - at : FUZZ_PIECE;

        if (format->prefetch != NULL) format->prefetch(file, i, at, count);
        fuzz_outcome(format->read(file, i, at, count, piece), SD_ERR_INPUT);
        fuzz_outcome(format->read(file, i, info->bytes - at - count, count, piece), SD_ERR_INPUT);
    }
}

/**
 * Opens the bytes as a file of the format with that name (io/formats/), and reads its config and
 * the ends of all its tensors.
 */
static inline void fuzz_format(const char *name, const uint8_t *data, size_t size)
{
    int            k      = 0;
    sd_tensor_file file   = {0};
    sd_config     *config = NULL;

    while (sd_formats[k] != NULL && strcmp(sd_formats[k]->name, name) != 0) k++;
    FUZZ_REQUIRE(sd_formats[k] != NULL);

    const sd_format *format = sd_formats[k];
    const sd_status  st     = format->open(fuzz_file(data, size), "f", &file);

    fuzz_outcome(st, SD_ERR_INPUT);
    for (int64_t i = 0; st == SD_OK && i < file.count; i++) {
        FUZZ_REQUIRE(i == 0 || strcmp(file.tensor[i - 1].name, file.tensor[i].name) < 0);
        fuzz_tensor(format, &file, i);
    }
    if (st == SD_OK && format->config != NULL) {
        fuzz_outcome(format->config(&file, &config), SD_ERR_INPUT);
        sd_config_destroy(&config);
    }
    format->close(&file);
}

#endif
