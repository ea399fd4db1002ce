/**
 * @file archive.h
 * @brief The members of a zip archive that are stored as they are, read at a place and checked.
 *
 * Private to io/; libzip reads the archive's structure. Only what a file of weights needs: members
 * that are compressed or encrypted are refused, so that a byte of a member is a byte of the file
 * and no file can ask for more than its own length.
 */
#ifndef SD_IO_ARCHIVE_H
#define SD_IO_ARCHIVE_H

#include <stdint.h>

#include "solvers/base/status.h"

typedef struct sd_archive sd_archive;

/**
 * @brief Opens an archive and looks at its table of contents.
 *
 * @param[in]  shown  the file's name in messages; borrowed until sd_archive_close()
 * @param[out] out    yours, release with sd_archive_close(); NULL on failure
 *
 * Not collective. Cost: one read of the table, and of some bytes of each member; about 300 bytes of
 * memory per member.
 * Errors: SD_ERR_INPUT for what is no archive, or holds a name twice, a member that is compressed,
 * encrypted or outside of the file, or members that lie in one another; SD_ERR_RESOURCE.
 */
sd_status sd_archive_open(const char *path, const char *shown, sd_archive **out);

/** @brief Closes the file and releases it; NULL is fine; sets NULL. */
void sd_archive_close(sd_archive **archive);

/** @brief Bytes of the whole file. */
int64_t sd_archive_file_bytes(const sd_archive *archive);
/** @brief Number of a member by its name, or -1. */
int64_t sd_archive_find(const sd_archive *archive, const char *name);
/** @brief Name of the first member, or ""; owned by the archive. */
const char *sd_archive_first(const sd_archive *archive);
/** @brief Bytes of a member. */
int64_t sd_archive_bytes(const sd_archive *archive, int64_t member);

/**
 * @brief Reads bytes [offset, offset + count) of a member, which must lie inside of it.
 *
 * A member's checksum is compared when its first byte is asked for, so that no byte is ever given
 * out unchecked: on the way when all of it is read at once, otherwise by reading it through before.
 * A checksum of 0 means that the writer took none, as torch does after set_crc32_options(False),
 * and is not compared.
 *
 * Not collective. Several threads may read at once.
 * Cost: a member that is read in pieces is read twice the first time, and once from then on. Out of
 * the system's cache that is 3.3 GB/s instead of 11, and 6 when it is read at once (measured). The
 * second time is out of the cache also where the first is from a disk, which is slower than either.
 * Errors: SD_ERR_INPUT for a wrong checksum, a failing or a short read.
 */
sd_status sd_archive_read(sd_archive *archive, int64_t member, int64_t offset, int64_t count,
                          void *out);

#endif
