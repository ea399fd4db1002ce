#include "io/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "solvers/base/memory.h"

enum {
    MAX_TEXT      = 1 << 26, /* bytes of one attribute: a study's YAML text and more */
    MAX_IN_HEADER = 65535    /* as many as the library allows                        */
};

/* ---- failures ---- */

typedef struct {
    char why[160];
    int  error; /* the system's errno, 0 if it did not refuse */
} h5_reason;

/* Keeps the deepest description and the system's errno, which the file driver writes as text. */
static herr_t note_reason(unsigned depth, const H5E_error2_t *entry, void *context)
{
    h5_reason  *reason = context;
    const char *mark   = entry->desc != NULL ? strstr(entry->desc, "errno = ") : NULL;

    (void)depth;
    if (mark != NULL && reason->error == 0) reason->error = atoi(mark + strlen("errno = "));
    if (entry->desc != NULL && reason->why[0] == '\0')
        snprintf(reason->why, sizeof reason->why, "%s", entry->desc);
    return 0;
}

sd_status sd_h5_status(const sd_h5 *h5, int64_t value)
{
    if (value >= 0) return SD_OK;

    h5_reason reason = {"", 0};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note_reason, &reason);
    H5Eclear2(H5E_DEFAULT);
    return sd_fail(h5->code, __FILE__, __LINE__, "cannot %s '%s': %s",
                   h5->code == SD_ERR_RESOURCE ? "write" : "read", h5->file,
                   reason.error != 0 ? strerror(reason.error) : reason.why);
}

void sd_h5_close(hid_t *id)
{
    if (*id >= 0) H5Idec_ref(*id);
    *id = H5I_INVALID_HID;
}

/* ---- files ---- */

/* HDF5 starts here. It must not clean up at exit: MPI may be gone by then, and a file that could
 * not be written would be tried once more. */
static void start_quietly(void)
{
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static sd_status access_list(const sd_h5 *h5, hid_t *out)
{
    sd_status st = SD_OK;

    SD_TRY(SD_H5(h5, *out = H5Pcreate(H5P_FILE_ACCESS)));
    SD_TRY(SD_H5(h5, H5Pset_fapl_sec2(*out)));
    SD_TRY(SD_H5(h5, H5Pset_libver_bounds(*out, H5F_LIBVER_V18, H5F_LIBVER_V18)));
    SD_TRY(SD_H5(h5, H5Pset_fclose_degree(*out, H5F_CLOSE_STRONG)));
#if H5_VERSION_GE(1, 12, 1) || (H5_VERS_MAJOR == 1 && H5_VERS_MINOR == 10 && H5_VERS_RELEASE >= 7)
    /* Not every cluster's file system has locks; temporary names and sd_lock keep writers apart. */
    SD_TRY(SD_H5(h5, H5Pset_file_locking(*out, false, true)));
#endif

done:
    return st;
}

/* No times; members keep the order in which they came. Links and attributes stay in their object's
 * header, whose checksum is verified before any of them is looked at: with the library's other
 * place for many of them, damage is met halfway, and there 1.10.8 frees what it never set. */
static sd_status creation_list(const sd_h5 *h5, hid_t class, hid_t *out)
{
    sd_status st = SD_OK;

    SD_TRY(SD_H5(h5, *out = H5Pcreate(class)));
    SD_TRY(SD_H5(h5, H5Pset_obj_track_times(*out, false)));
    SD_TRY(SD_H5(h5, H5Pset_attr_phase_change(*out, MAX_IN_HEADER, 0)));
    SD_TRY(SD_H5(h5, H5Pset_link_phase_change(*out, MAX_IN_HEADER, 0)));
    SD_TRY(SD_H5(h5, H5Pset_link_creation_order(*out, H5P_CRT_ORDER_TRACKED)));

done:
    return st;
}

sd_status sd_h5_file_create(const sd_h5 *h5, const char *path, hid_t *out)
{
    sd_status st       = SD_OK;
    hid_t     access   = H5I_INVALID_HID;
    hid_t     creation = H5I_INVALID_HID;

    start_quietly();
    SD_TRY(access_list(h5, &access));
    SD_TRY(creation_list(h5, H5P_FILE_CREATE, &creation));
    SD_TRY(SD_H5(h5, *out = H5Fcreate(path, H5F_ACC_TRUNC, creation, access)));

done:
    sd_h5_close(&creation);
    sd_h5_close(&access);
    return st;
}

sd_status sd_h5_file_open(const sd_h5 *h5, hid_t *out, int64_t *bytes)
{
    sd_status   st     = SD_OK;
    hid_t       access = H5I_INVALID_HID;
    struct stat info;
    const int fd = open(h5->file, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO does not hang us */

    start_quietly();
    SD_REQUIRE(fd >= 0 && fstat(fd, &info) == 0, SD_ERR_INPUT, "cannot read '%s': %s", h5->file,
               strerror(errno));
    SD_REQUIRE(S_ISREG(info.st_mode), SD_ERR_INPUT, "cannot read '%s': it is no file", h5->file);
    *bytes = (int64_t)info.st_size;
    SD_REQUIRE(H5Fis_hdf5(h5->file) > 0, h5->code, "cannot read '%s': it is no HDF5 file",
               h5->file);
    SD_TRY(access_list(h5, &access));
    SD_TRY(SD_H5(h5, *out = H5Fopen(h5->file, H5F_ACC_RDONLY, access)));

done:
    if (fd >= 0) close(fd);
    sd_h5_close(&access);
    return st;
}

sd_status sd_h5_file_close(const sd_h5 *h5, hid_t *file)
{
    const hid_t id = *file;

    *file = H5I_INVALID_HID;
    return id >= 0 ? SD_H5(h5, H5Fclose(id)) : SD_OK;
}

void sd_h5_file_abandon(hid_t *file)
{
    if (*file >= 0 && H5Fclose(*file) < 0) H5Eclear2(H5E_DEFAULT);
    *file = H5I_INVALID_HID;
}

/* ---- groups and attributes ---- */

sd_status sd_h5_group(const sd_h5 *h5, hid_t parent, const char *name, hid_t *out)
{
    sd_status st       = SD_OK;
    hid_t     creation = H5I_INVALID_HID;
    htri_t    exists   = 0;

    SD_TRY(SD_H5(h5, exists = H5Lexists(parent, name, H5P_DEFAULT)));
    if (exists) {
        SD_TRY(SD_H5(h5, *out = H5Gopen2(parent, name, H5P_DEFAULT)));
    } else {
        SD_TRY(creation_list(h5, H5P_GROUP_CREATE, &creation));
        SD_TRY(SD_H5(h5, *out = H5Gcreate2(parent, name, H5P_DEFAULT, creation, H5P_DEFAULT)));
    }

done:
    sd_h5_close(&creation);
    return st;
}

sd_status sd_h5_text_type(const sd_h5 *h5, int64_t bytes, hid_t *out)
{
    sd_status st = SD_OK;

    SD_TRY(SD_H5(h5, *out = H5Tcopy(H5T_C_S1)));
    SD_TRY(SD_H5(h5, H5Tset_size(*out, (size_t)bytes)));
    SD_TRY(SD_H5(h5, H5Tset_cset(*out, H5T_CSET_UTF8)));
    SD_TRY(SD_H5(h5, H5Tset_strpad(*out, H5T_STR_NULLTERM)));

done:
    return st;
}

hid_t sd_h5_type(sd_type type)
{
    switch (type) {
    case SD_TYPE_F64: return H5T_IEEE_F64LE;
    case SD_TYPE_F32: return H5T_IEEE_F32LE;
    case SD_TYPE_I32: return H5T_STD_I32LE;
    }
    return H5I_INVALID_HID;
}

static sd_status put_attribute(const sd_h5 *h5, hid_t object, const char *name, hid_t type,
                               const void *value)
{
    sd_status st        = SD_OK;
    hid_t     space     = H5I_INVALID_HID;
    hid_t     attribute = H5I_INVALID_HID;

    SD_TRY(SD_H5(h5, space = H5Screate(H5S_SCALAR)));
    SD_TRY(SD_H5(h5, attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT)));
    SD_TRY(SD_H5(h5, H5Awrite(attribute, type, value)));

done:
    sd_h5_close(&attribute);
    sd_h5_close(&space);
    return st;
}

sd_status sd_h5_put_text(const sd_h5 *h5, hid_t object, const char *name, const char *text)
{
    sd_status st   = SD_OK;
    hid_t     type = H5I_INVALID_HID;

    SD_TRY(sd_h5_text_type(h5, (int64_t)strlen(text) + 1, &type));
    SD_TRY(put_attribute(h5, object, name, type, text));

done:
    sd_h5_close(&type);
    return st;
}

sd_status sd_h5_put_int(const sd_h5 *h5, hid_t object, const char *name, int64_t value)
{
    return put_attribute(h5, object, name, H5T_STD_I64LE, &value);
}

sd_status sd_h5_put_real(const sd_h5 *h5, hid_t object, const char *name, double value)
{
    return put_attribute(h5, object, name, H5T_IEEE_F64LE, &value);
}

/* Opens a scalar attribute with its type. */
static sd_status open_attribute(const sd_h5 *h5, hid_t object, const char *name, hid_t *out,
                                hid_t *type)
{
    sd_status st     = SD_OK;
    hid_t     space  = H5I_INVALID_HID;
    htri_t    exists = 0;

    SD_TRY(SD_H5(h5, exists = H5Aexists(object, name)));
    SD_REQUIRE(exists, h5->code, "'%s': no attribute '%s'", h5->file, name);
    SD_TRY(SD_H5(h5, *out = H5Aopen(object, name, H5P_DEFAULT)));
    SD_TRY(SD_H5(h5, *type = H5Aget_type(*out)));
    SD_TRY(SD_H5(h5, space = H5Aget_space(*out)));
    SD_REQUIRE(H5Sget_simple_extent_type(space) == H5S_SCALAR, h5->code,
               "'%s': attribute '%s' is no single value", h5->file, name);

done:
    sd_h5_close(&space);
    return st;
}

sd_status sd_h5_get_text(const sd_h5 *h5, hid_t object, const char *name, char **out)
{
    sd_status st        = SD_OK;
    hid_t     attribute = H5I_INVALID_HID;
    hid_t     type      = H5I_INVALID_HID;
    char     *text      = NULL;

    SD_TRY(open_attribute(h5, object, name, &attribute, &type));
    const size_t bytes = H5Tget_size(type);
    SD_REQUIRE(H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && bytes >= 1 &&
                   bytes <= MAX_TEXT && H5Tget_cset(type) == H5T_CSET_UTF8,
               h5->code, "'%s': attribute '%s' is no fixed-length UTF-8 string", h5->file, name);
    SD_TRY(sd_alloc((int64_t)bytes + 1, 1, &text));
    SD_TRY(SD_H5(h5, H5Aread(attribute, type, text)));
    *out = text;
    text = NULL;

done:
    sd_free(text);
    sd_h5_close(&type);
    sd_h5_close(&attribute);
    return st;
}

static sd_status get_number(const sd_h5 *h5, hid_t object, const char *name, hid_t type, void *out)
{
    sd_status st        = SD_OK;
    hid_t     attribute = H5I_INVALID_HID;
    hid_t     found     = H5I_INVALID_HID;

    SD_TRY(open_attribute(h5, object, name, &attribute, &found));
    SD_REQUIRE(H5Tequal(found, type) > 0, h5->code, "'%s': attribute '%s' is not of type %s",
               h5->file, name, H5Tget_class(type) == H5T_INTEGER ? "int64" : "float64");
    SD_TRY(SD_H5(h5, H5Aread(attribute, type, out)));

done:
    sd_h5_close(&found);
    sd_h5_close(&attribute);
    return st;
}

sd_status sd_h5_get_int(const sd_h5 *h5, hid_t object, const char *name, int64_t *out)
{
    return get_number(h5, object, name, H5T_STD_I64LE, out);
}

sd_status sd_h5_get_real(const sd_h5 *h5, hid_t object, const char *name, double *out)
{
    return get_number(h5, object, name, H5T_IEEE_F64LE, out);
}
