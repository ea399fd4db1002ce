#include "io/archive.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <zip.h>

#include "io/file.h"
#include "io/text.h"
#include "solvers/base/memory.h"

enum {
    PIECE        = 1 << 18, /* bytes checked at once: they stay in a core's own cache          */
    END          = 22,      /* bytes of a zip archive's last record, the comment behind it aside */
    LOCATOR      = 20,      /* of the one before it, in archives of 64 bits                     */
    RECORD       = 56,      /* and of the one that this points to                               */
    TAIL         = LOCATOR + END + 65536, /* where libzip looks for the last record             */
    MOST_MEMBERS = 1 << 15,
    MOST_TABLE   = 1 << 21 /* bytes: some 25000 members, each with a name as torch gives it */
};

typedef struct {
    int64_t     begin, bytes; /* in the file */
    uint32_t    checksum;
    atomic_bool is_checked;
} entry;

struct sd_archive {
    sd_file     file;
    const char *shown;
    zip_t      *zip;
    entry      *members;
    int64_t     next, last; /* where libzip reads next, and where it read last */
    zip_error_t error;
};

/* ---- opening ---- */

/* What else such a file often is, for the hint. */
static const char *likely_cause(const char *first)
{
    static const struct {
        const char *bytes, *cause;
        size_t      count;
    } known[] = {
        {"version ", "this is a Git LFS pointer: fetch the file itself (git lfs pull)", 8},
        {"\x80\x02\x8a\x0al\xfc\x9c"
         "F",
         "this is the format that torch wrote before 1.6: load it and save it again with a newer "
         "one",
         8},
        {"GGUF", "this is a GGUF file: let its name end with .gguf", 4},
        {"\x89HDF", "this is an HDF5 file, as Keras writes it", 4},
    };

    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        if (memcmp(first, known[k].bytes, known[k].count) == 0) return known[k].cause;
    if (memcmp(first + 5, "\0\0\0{", 4) == 0)
        return "this may be a safetensors file: let its name end with .safetensors";
    return "the file is damaged or was not written by torch.save; copy it again";
}

static sd_status check_start(const sd_archive *a)
{
    sd_status st = SD_OK;
    char      first[9];

    SD_REQUIRE(a->file.bytes > 0, SD_ERR_INPUT, "%s: is empty; copy it again", a->shown);
    SD_REQUIRE(a->file.bytes >= END, SD_ERR_INPUT,
               "%s: is %" PRId64 " bytes long, too short for a file of torch.save; copy it again",
               a->shown, a->file.bytes);
    SD_TRY(sd_file_read_at(&a->file, a->shown, 0, sizeof first, first));
    SD_REQUIRE(memcmp(first, "PK\x03\x04", 4) == 0, SD_ERR_INPUT,
               "%s: is no zip archive, as torch.save writes it: %s", a->shown, likely_cause(first));

done:
    return st;
}

static uint64_t number_at(const char *bytes, int size)
{
    uint64_t number = 0;

    for (int i = size - 1; i >= 0; i--) number = number << 8 | (unsigned char)bytes[i];
    return number;
}

/*
 * The last record counts the members in 16 bits, not always all of them, and the bytes of their
 * table in 32; where a locator is before it, a record of its own does both in 64. libzip looks
 * names up in a way that a file can make slow, with the square of their number: the table's bytes
 * bound it.
 */
static sd_status check_table(const sd_archive *a, const char *end, const char *locator)
{
    sd_status st    = SD_OK;
    uint64_t  bytes = number_at(end + 12, 4), count = 0;
    char      record[RECORD];

    if (locator != NULL && memcmp(locator, "PK\x06\x07", 4) == 0) {
        const uint64_t at = number_at(locator + 8, 8);

        if (at > (uint64_t)(a->file.bytes - RECORD)) return SD_OK; /* libzip refuses it */
        SD_TRY(sd_file_read_at(&a->file, a->shown, (int64_t)at, RECORD, record));
        count = number_at(record + 32, 8);
        if (bytes == UINT32_MAX || bytes < number_at(record + 40, 8))
            bytes = number_at(record + 40, 8);
    }
    SD_REQUIRE(count <= MOST_MEMBERS, SD_ERR_INPUT,
               "%s: its zip archive has %" PRIu64 " members, want at most %d", a->shown, count,
               MOST_MEMBERS);
    SD_REQUIRE(bytes <= MOST_TABLE, SD_ERR_INPUT,
               "%s: the table of contents of its zip archive is %" PRIu64
               " bytes long, want at most %d; save the tensors in several files",
               a->shown, bytes, MOST_TABLE);

done:
    return st;
}

/*
 * An archive ends with one record of its own kind, and a reader that finds several has to try all
 * of them, each with a table of contents as long as the file. Weights that look like such a record
 * by chance are fewer than one in 2^32 bytes.
 */
static sd_status check_end(const sd_archive *a)
{
    sd_status     st     = SD_OK;
    const int64_t length = a->file.bytes < TAIL ? a->file.bytes : TAIL;
    char         *tail   = NULL;
    int           found  = 0;

    SD_TRY(sd_alloc(length, 1, &tail));
    SD_TRY(sd_file_read_at(&a->file, a->shown, a->file.bytes - length, length, tail));
    for (int64_t k = 0; k <= length - END; k++) {
        if (memcmp(tail + k, "PK\x05\x06", 4) != 0) continue;
        found++;
        SD_TRY(check_table(a, tail + k,
                           k >= LOCATOR && a->file.bytes >= RECORD ? tail + k - LOCATOR : NULL));
    }
    SD_REQUIRE(found > 0, SD_ERR_INPUT,
               "%s: is truncated: the table of contents at the end of a zip archive is missing; "
               "copy it again",
               a->shown);
    SD_REQUIRE(found <= 2, SD_ERR_INPUT,
               "%s: has %d ends of a zip archive, want 1: it is damaged; copy it again", a->shown,
               found);

done:
    sd_free(tail);
    return st;
}

static zip_int64_t serve_read(sd_archive *a, void *out, zip_uint64_t room)
{
    const int64_t left  = a->file.bytes - a->next;
    const int64_t count = room < (zip_uint64_t)left ? (int64_t)room : left;

    if (sd_file_read_at(&a->file, a->shown, a->next, count, out) != SD_OK) {
        zip_error_set(&a->error, ZIP_ER_READ, 0);
        return -1;
    }
    a->last = a->next;
    a->next += count;
    return count;
}

static zip_int64_t serve_seek(sd_archive *a, void *data, zip_uint64_t room)
{
    const zip_int64_t to = zip_source_seek_compute_offset(
        (zip_uint64_t)a->next, (zip_uint64_t)a->file.bytes, data, room, &a->error);

    if (to < 0) return -1;
    a->next = to;
    return 0;
}

static zip_int64_t serve_stat(const sd_archive *a, zip_stat_t *out)
{
    zip_stat_init(out);
    out->valid = ZIP_STAT_SIZE;
    out->size  = (zip_uint64_t)a->file.bytes;
    return sizeof *out;
}

/* The file as libzip sees it: through our own descriptor, and so that we see where it reads. */
static zip_int64_t serve(void *archive, void *data, zip_uint64_t room, zip_source_cmd_t command)
{
    sd_archive *a = archive;

    switch (command) {
    case ZIP_SOURCE_OPEN: a->next = 0; return 0;
    case ZIP_SOURCE_READ: return serve_read(a, data, room);
    case ZIP_SOURCE_SEEK: return serve_seek(a, data, room);
    case ZIP_SOURCE_TELL: return a->next;
    case ZIP_SOURCE_STAT: return room < sizeof(zip_stat_t) ? -1 : serve_stat(a, data);
    case ZIP_SOURCE_ERROR: return zip_error_to_data(&a->error, data, room);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE: return 0;
    case ZIP_SOURCE_SUPPORTS: return ZIP_SOURCE_SUPPORTS_SEEKABLE;
    default: zip_error_set(&a->error, ZIP_ER_OPNOTSUPP, 0); return -1;
    }
}

static sd_status open_zip(sd_archive *a)
{
    sd_status     st     = SD_OK;
    zip_source_t *source = NULL;
    zip_error_t   error;

    zip_error_init(&error);
    source = zip_source_function_create(serve, a, &error);
    SD_REQUIRE(source != NULL, SD_ERR_RESOURCE, "%s: no memory is left to read it", a->shown);
    a->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
    SD_REQUIRE(a->zip != NULL,
               zip_error_code_zip(&error) == ZIP_ER_MEMORY ? SD_ERR_RESOURCE : SD_ERR_INPUT,
               "%s: its zip archive is truncated or damaged; copy it again", a->shown);
    source = NULL; /* the archive's own now */

done:
    zip_source_free(source);
    zip_error_fini(&error);
    return st;
}

/*
 * Where a member's bytes begin: libzip does not tell, so it is made to read the first one. As
 * stored, which is the same here: it then asks for no more than that.
 */
static sd_status locate(sd_archive *a, int64_t i, const char *name)
{
    sd_status   st = SD_OK;
    entry      *e  = &a->members[i];
    char        first;
    zip_file_t *member;

    if (e->bytes == 0) return SD_OK;
    a->last = -1;
    member  = zip_fopen_index(a->zip, (zip_uint64_t)i, ZIP_FL_COMPRESSED);
    SD_REQUIRE(member != NULL && zip_fread(member, &first, 1) == 1 && a->last >= 0 &&
                   e->bytes <= a->file.bytes - a->last,
               SD_ERR_INPUT,
               "%s: '%s' is not where the zip archive says that it is: the file is truncated or "
               "damaged; copy it again",
               a->shown, name);
    e->begin = a->last;

done:
    if (member != NULL) zip_fclose(member);
    return st;
}

/* As the file has it: so libzip finds it again. Never NULL. */
static const char *raw_name(const sd_archive *a, int64_t i)
{
    const char *name = zip_get_name(a->zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW);

    return name != NULL ? name : "";
}

/* Looks at one entry of the table; `total` is what the members before it take. */
static sd_status check_member(sd_archive *a, int64_t i, int64_t *total)
{
    const zip_uint64_t want =
        ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC | ZIP_STAT_COMP_METHOD;
    sd_status   st   = SD_OK;
    const char *name = raw_name(a, i);
    zip_stat_t  s;

    zip_stat_init(&s);
    SD_REQUIRE(zip_stat_index(a->zip, (zip_uint64_t)i, 0, &s) == 0 && (s.valid & want) == want,
               SD_ERR_INPUT, "%s: member %" PRId64 " of its zip archive is damaged; copy it again",
               a->shown, i + 1);
    SD_REQUIRE(sd_utf8_valid(name, (int64_t)strlen(name)) == (int64_t)strlen(name), SD_ERR_INPUT,
               "%s: member %" PRId64 " of its zip archive has a name that is not UTF-8", a->shown,
               i + 1);
    SD_REQUIRE((s.valid & ZIP_STAT_ENCRYPTION_METHOD) == 0 || s.encryption_method == ZIP_EM_NONE,
               SD_ERR_INPUT, "%s: '%s' is encrypted, which torch.save never does", a->shown, name);
    SD_REQUIRE(
        s.comp_method == ZIP_CM_STORE && s.size == s.comp_size, SD_ERR_INPUT,
        "%s: '%s' is compressed, as in a TorchScript archive and never in a file of torch.save; "
        "save the tensors alone (model.state_dict())",
        a->shown, name);
    SD_REQUIRE(zip_name_locate(a->zip, name, 0) == i, SD_ERR_INPUT,
               "%s: '%s' is there twice: the zip archive is damaged", a->shown, name);
    SD_REQUIRE(s.size <= (zip_uint64_t)(a->file.bytes - *total), SD_ERR_INPUT,
               "%s: '%s' takes %" PRIu64 " bytes, for which the file is too short: it is truncated "
               "or damaged; copy it again",
               a->shown, name, (uint64_t)s.size);
    *total += (int64_t)s.size;
    a->members[i].bytes    = (int64_t)s.size;
    a->members[i].checksum = s.crc;
    atomic_init(&a->members[i].is_checked, s.crc == 0);
    SD_TRY(locate(a, i, name));

done:
    return st;
}

sd_status sd_archive_open(const char *path, const char *shown, sd_archive **out)
{
    sd_status   st    = SD_OK;
    sd_archive *a     = NULL;
    int64_t     total = 0, count;

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *a, &a));
    a->file.fd = -1;
    a->shown   = shown;
    zip_error_init(&a->error);
    SD_TRY(sd_file_open(path, shown, &a->file));
    SD_TRY(check_start(a));
    SD_TRY(check_end(a));
    SD_TRY(open_zip(a));
    count = zip_get_num_entries(a->zip, 0);
    SD_TRY(sd_alloc(count, sizeof *a->members, &a->members));
    for (int64_t i = 0; i < count; i++) SD_TRY(check_member(a, i, &total));
    *out = a;
    a    = NULL;

done:
    sd_archive_close(&a);
    return st;
}

void sd_archive_close(sd_archive **archive)
{
    sd_archive *a = *archive;

    if (a == NULL) return;
    if (a->zip != NULL) zip_discard(a->zip);
    zip_error_fini(&a->error);
    sd_file_close(&a->file);
    sd_free(a->members);
    sd_free(a);
    *archive = NULL;
}

/* ---- what is in it ---- */

int64_t sd_archive_file_bytes(const sd_archive *archive)
{
    return archive->file.bytes;
}

int64_t sd_archive_find(const sd_archive *archive, const char *name)
{
    return zip_name_locate(archive->zip, name, 0);
}

const char *sd_archive_first(const sd_archive *archive)
{
    return raw_name(archive, 0);
}

int64_t sd_archive_bytes(const sd_archive *archive, int64_t member)
{
    return archive->members[member].bytes;
}

/* ---- reading ---- */

static sd_status compare(sd_archive *a, int64_t i, uint32_t checksum)
{
    sd_status st = SD_OK;
    entry    *e  = &a->members[i];

    SD_REQUIRE(checksum == e->checksum, SD_ERR_INPUT,
               "%s: '%s' has the checksum %08" PRIx32 ", want %08" PRIx32
               ": the file is damaged; copy it again",
               a->shown, raw_name(a, i), checksum, e->checksum);
    atomic_store(&e->is_checked, true);

done:
    return st;
}

static sd_status check_by_reading(sd_archive *a, int64_t i)
{
    sd_status    st       = SD_OK;
    const entry *e        = &a->members[i];
    char        *piece    = NULL;
    uint32_t     checksum = 0;

    SD_TRY(sd_alloc(PIECE, 1, &piece));
    for (int64_t at = 0, count; at < e->bytes; at += count) {
        count = e->bytes - at < PIECE ? e->bytes - at : PIECE;
        SD_TRY(sd_file_read_at(&a->file, a->shown, e->begin + at, count, piece));
        checksum = libdeflate_crc32(checksum, piece, (size_t)count);
    }
    SD_TRY(compare(a, i, checksum));

done:
    sd_free(piece);
    return st;
}

sd_status sd_archive_read(sd_archive *archive, int64_t member, int64_t offset, int64_t count,
                          void *out)
{
    sd_status  st         = SD_OK;
    entry     *e          = &archive->members[member];
    const bool is_checked = atomic_load(&e->is_checked), all = offset == 0 && count == e->bytes;

    if (!is_checked && !all) SD_TRY(check_by_reading(archive, member));
    SD_TRY(sd_file_read_at(&archive->file, archive->shown, e->begin + offset, count, out));
    if (!is_checked && all)
        SD_TRY(compare(archive, member, libdeflate_crc32(0, out, (size_t)count)));

done:
    return st;
}
