#include "io/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "solvers/base/memory.h"

/* The HDF5 file format's global heap: "GCOL", version 1, three zeros, size (8 bytes); then objects
 * of index (2), count (2), zeros (4), size (8) and data padded to 8; index 0 is the free rest. */
enum { HEAP_HEAD = 16, OBJECT_HEAD = 16, MAX_HEAP = 1 << 20, BLOCK = 1 << 22 };

static const unsigned char signature[8] = {'G', 'C', 'O', 'L', 1, 0, 0, 0};

static uint64_t number(const unsigned char *bytes, int n)
{
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

/* Whether the objects of a heap of `size` bytes lie inside it. */
static bool heap_is_sound(const unsigned char *heap, uint64_t size)
{
    uint64_t at = HEAP_HEAD;

    while (size - at >= OBJECT_HEAD) {
        const uint64_t index = number(heap + at, 2), bytes = number(heap + at + 8, 8);
        if (index == 0) return bytes >= OBJECT_HEAD && bytes <= size - at;
        if (bytes > size - at - OBJECT_HEAD) return false;
        at += OBJECT_HEAD + (bytes + 7) / 8 * 8;
        if (at > size) return false;
    }
    return true;
}

/* Reads up to `want` bytes; fewer only at the end of the file. */
static sd_status read_at(const sd_h5 *h5, int fd, int64_t from, int64_t want, unsigned char *out,
                         int64_t *got)
{
    sd_status st = SD_OK;

    for (*got = 0; *got < want;) {
        const ssize_t n = pread(fd, out + *got, (size_t)(want - *got), (off_t)(from + *got));
        SD_REQUIRE(n >= 0 || errno == EINTR, SD_ERR_INPUT, "cannot read '%s': %s", h5->file,
                   strerror(errno));
        if (n == 0) break;
        if (n > 0) *got += n;
    }

done:
    return st;
}

sd_status sd_h5_check_heaps(const sd_h5 *h5, int64_t file_bytes)
{
    sd_status      st    = SD_OK;
    unsigned char *block = NULL;
    int64_t        got   = 0;
    const int      fd    = open(h5->file, O_RDONLY | O_CLOEXEC);

    SD_REQUIRE(fd >= 0, SD_ERR_INPUT, "cannot read '%s': %s", h5->file, strerror(errno));
    SD_TRY(
        sd_alloc(BLOCK + MAX_HEAP, 1, &block)); /* a heap that begins in the block fits behind it */
    for (int64_t from = 0; from < file_bytes; from += BLOCK) {
        SD_TRY(read_at(h5, fd, from, BLOCK + MAX_HEAP, block, &got));
        for (int64_t at = 0; at < BLOCK && at + HEAP_HEAD <= got; at += 8) {
            if (memcmp(block + at, signature, sizeof signature) != 0) continue;
            const uint64_t size = number(block + at + 8, 8);
            SD_REQUIRE(size >= HEAP_HEAD && size <= MAX_HEAP && (int64_t)size <= got - at &&
                           heap_is_sound(block + at, size),
                       h5->code, "'%s': a list of dimension scales is damaged", h5->file);
        }
    }

done:
    sd_free(block);
    if (fd >= 0) close(fd);
    return st;
}
