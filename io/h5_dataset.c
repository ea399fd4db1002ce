#include "io/h5.h"

#include <hdf5_hl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/digest.h"
#include "solvers/base/memory.h"

enum {
    FILTERED_RATIO = 1100,    /* deflate reaches 1032 : 1 */
    HASH_BLOCK     = 1 << 22, /* bytes read at a time     */
    MAX_ELEMENT    = 1 << 16  /* bytes: a long string     */
};

/* Number of elements; 2^44 and more are 2^44, so that nothing overflows whatever a file claims. */
static int64_t product(int n, const hsize_t *dims)
{
    const hsize_t many     = (hsize_t)1 << 44; /* no file is that large */
    hsize_t       elements = 1;

    for (int i = 0; i < n; i++) {
        if (dims[i] == 0) return 0;
        elements = dims[i] < many / elements ? elements * dims[i] : many;
    }
    return (int64_t)elements;
}

/* ---- writing ---- */

sd_status sd_h5_dataset_create(const sd_h5 *h5, hid_t parent, const sd_h5_spec *spec, hid_t *out)
{
    sd_status st       = SD_OK;
    hid_t     space    = H5I_INVALID_HID;
    hid_t     creation = H5I_INVALID_HID;
    hid_t     dataset  = H5I_INVALID_HID;

    SD_TRY(SD_H5(h5, space = H5Screate_simple(spec->rank, spec->dims, NULL)));
    SD_TRY(SD_H5(h5, creation = H5Pcreate(H5P_DATASET_CREATE)));
    SD_TRY(SD_H5(h5, H5Pset_obj_track_times(creation, false)));
    SD_TRY(SD_H5(h5, H5Pset_layout(creation, H5D_CONTIGUOUS)));
    SD_TRY(SD_H5(h5, H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER))); /* all is written anyway */
    SD_TRY(SD_H5(h5, dataset = H5Dcreate2(parent, spec->name, spec->type, space, H5P_DEFAULT,
                                          creation, H5P_DEFAULT)));
    for (int i = 0; i < spec->rank; i++)
        if (spec->scale[i] >= 0)
            SD_TRY(SD_H5(h5, H5DSattach_scale(dataset, spec->scale[i], (unsigned)i)));
    SD_TRY(sd_h5_put_text(h5, dataset, "units", spec->units));
    SD_TRY(sd_h5_put_text(h5, dataset, "long_name", spec->long_name));
    *out    = dataset;
    dataset = H5I_INVALID_HID;

done:
    sd_h5_close(&dataset);
    sd_h5_close(&creation);
    sd_h5_close(&space);
    return st;
}

sd_status sd_h5_dataset_put(const sd_h5 *h5, hid_t parent, const sd_h5_spec *spec,
                            const void *values, hid_t *out)
{
    sd_status     st      = SD_OK;
    hid_t         dataset = H5I_INVALID_HID;
    sd_digest    *digest  = NULL;
    char          hex[SD_SHA256_HEX];
    const int64_t count = product(spec->rank, spec->dims);

    SD_TRY(sd_h5_dataset_create(h5, parent, spec, &dataset));
    SD_TRY(sd_digest_create(SD_DIGEST_SHA256, &digest));
    if (count > 0) {
        SD_TRY(SD_H5(h5, H5Dwrite(dataset, spec->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values)));
        SD_TRY(sd_digest_add(digest, values, count * (int64_t)H5Tget_size(spec->type)));
    }
    SD_TRY(sd_digest_hex(digest, hex));
    SD_TRY(sd_h5_put_text(h5, dataset, "sha256", hex));
    if (out != NULL) {
        *out    = dataset;
        dataset = H5I_INVALID_HID;
    }

done:
    sd_digest_destroy(&digest);
    sd_h5_close(&dataset);
    return st;
}

/* n strings side by side, each zero-padded to the longest and at least one zero. A size of 1 would
 * be taken for single characters by netCDF, hence at least 2. */
static sd_status pack_strings(int64_t n, const char *const *text, int64_t *width, char **out)
{
    sd_status st = SD_OK;

    *width = 2;
    for (int64_t i = 0; i < n; i++) {
        const int64_t needed = (int64_t)strlen(text[i]) + 1;
        if (needed > *width) *width = needed;
    }
    SD_TRY(sd_alloc(n, *width, out));
    for (int64_t i = 0; i < n; i++) memcpy(*out + i * *width, text[i], strlen(text[i]));

done:
    return st;
}

static sd_status put_strings(const sd_h5 *h5, hid_t parent, sd_h5_spec *spec,
                             const char *const *text, hid_t *out)
{
    sd_status st     = SD_OK;
    char     *packed = NULL;
    hid_t     type   = H5I_INVALID_HID;
    int64_t   width  = 0;

    SD_TRY(pack_strings((int64_t)spec->dims[0], text, &width, &packed));
    SD_TRY(sd_h5_text_type(h5, width, &type));
    spec->type = type;
    SD_TRY(sd_h5_dataset_put(h5, parent, spec, packed, out));

done:
    sd_h5_close(&type);
    sd_free(packed);
    return st;
}

sd_status sd_h5_scale_put(const sd_h5 *h5, hid_t parent, const sd_h5_scale *scale, hid_t *out)
{
    sd_status  st      = SD_OK;
    hid_t      dataset = H5I_INVALID_HID;
    sd_h5_spec spec    = {.name      = scale->name,
                          .units     = "1",
                          .long_name = scale->long_name,
                          .type      = H5T_STD_I64LE,
                          .rank      = 1,
                          .dims      = {(hsize_t)scale->n},
                          .scale     = {H5I_INVALID_HID}};

    if (scale->labels != NULL)
        SD_TRY(put_strings(h5, parent, &spec, scale->labels, &dataset));
    else
        SD_TRY(sd_h5_dataset_put(h5, parent, &spec, scale->values, &dataset));
    SD_TRY(SD_H5(h5, H5DSset_scale(dataset, scale->name)));
    *out    = dataset;
    dataset = H5I_INVALID_HID;

done:
    sd_h5_close(&dataset);
    return st;
}

sd_status sd_h5_strings_put(const sd_h5 *h5, hid_t parent, const sd_h5_spec *spec,
                            const char *const *text)
{
    sd_h5_spec copy = *spec;
    return put_strings(h5, parent, &copy, text, NULL);
}

/* ---- reading ---- */

/* Every component of a path must be a hard link. */
static sd_status walk_hard_links(const sd_h5 *h5, hid_t parent, const char *path)
{
    sd_status  st = SD_OK;
    char       prefix[256];
    H5L_info_t link;

    SD_REQUIRE(strlen(path) < sizeof prefix, h5->code, "'%s': %.60s...: path too long", h5->file,
               path);
    for (size_t i = 0; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        snprintf(prefix, sizeof prefix, "%.*s", (int)i, path);
        const htri_t exists = H5Lexists(parent, prefix, H5P_DEFAULT);
        SD_REQUIRE(exists > 0, h5->code, "'%s': %s is missing", h5->file, path);
        SD_TRY(SD_H5(h5, H5Lget_info(parent, prefix, &link, H5P_DEFAULT)));
        SD_REQUIRE(link.type == H5L_TYPE_HARD, h5->code, "'%s': %s is a link to elsewhere",
                   h5->file, prefix);
    }

done:
    return st;
}

sd_status sd_h5_any_dataset_open(const sd_h5 *h5, hid_t parent, const char *path, hid_t *out)
{
    sd_status st = SD_OK;

    SD_TRY(walk_hard_links(h5, parent, path));
    SD_TRY(SD_H5(h5, *out = H5Oopen(parent, path, H5P_DEFAULT)));
    SD_REQUIRE(H5Iget_type(*out) == H5I_DATASET, h5->code, "'%s': %s is no dataset", h5->file,
               path);

done:
    if (st != SD_OK) sd_h5_close(out);
    return st;
}

sd_status sd_h5_length(const sd_h5 *h5, hid_t group, const char *name, int64_t most, int64_t *out)
{
    sd_status st      = SD_OK;
    hid_t     dataset = H5I_INVALID_HID;
    hid_t     space   = H5I_INVALID_HID;
    hsize_t   length  = 0;

    SD_TRY(sd_h5_any_dataset_open(h5, group, name, &dataset));
    SD_TRY(SD_H5(h5, space = H5Dget_space(dataset)));
    SD_REQUIRE(H5Sget_simple_extent_ndims(space) == 1, h5->code, "'%s': %s is not one-dimensional",
               h5->file, name);
    SD_TRY(SD_H5(h5, H5Sget_simple_extent_dims(space, &length, NULL)));
    SD_REQUIRE(length <= (hsize_t)most, h5->code, "'%s': %s has %" PRIu64 " entries", h5->file,
               name, (uint64_t)length);
    *out = (int64_t)length;

done:
    sd_h5_close(&space);
    sd_h5_close(&dataset);
    return st;
}

static sd_status check_extent(const sd_h5 *h5, hid_t dataset, const sd_h5_spec *spec)
{
    sd_status st               = SD_OK;
    hid_t     space            = H5I_INVALID_HID;
    hsize_t   dims[SD_H5_RANK] = {0};

    SD_TRY(SD_H5(h5, space = H5Dget_space(dataset)));
    SD_REQUIRE(H5Sget_simple_extent_ndims(space) == spec->rank, h5->code,
               "'%s': %s has %d dimensions, want %d", h5->file, spec->name,
               H5Sget_simple_extent_ndims(space), spec->rank);
    SD_TRY(SD_H5(h5, H5Sget_simple_extent_dims(space, dims, NULL)));
    for (int i = 0; i < spec->rank; i++)
        SD_REQUIRE(dims[i] == spec->dims[i], h5->code,
                   "'%s': %s: dimension %d is %" PRIu64 ", want %" PRIu64, h5->file, spec->name, i,
                   (uint64_t)dims[i], (uint64_t)spec->dims[i]);

done:
    sd_h5_close(&space);
    return st;
}

/* Values must lie in this file, and be no more than it can hold. */
static sd_status check_storage(const sd_h5 *h5, hid_t dataset, const sd_h5_spec *spec,
                               int64_t file_bytes)
{
    sd_status     st       = SD_OK;
    hid_t         creation = H5I_INVALID_HID;
    hid_t         type     = H5I_INVALID_HID;
    const int64_t count    = product(spec->rank, spec->dims);

    SD_TRY(SD_H5(h5, creation = H5Dget_create_plist(dataset)));
    SD_TRY(SD_H5(h5, type = H5Dget_type(dataset)));
    const H5D_layout_t layout = H5Pget_layout(creation);
    SD_REQUIRE(H5Tget_size(type) <= MAX_ELEMENT, h5->code, "'%s': %s has elements of %zu bytes",
               h5->file, spec->name, H5Tget_size(type));
    const int64_t bytes = count * (int64_t)H5Tget_size(type);
    SD_REQUIRE((layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED || layout == H5D_COMPACT) &&
                   H5Pget_external_count(creation) == 0,
               h5->code, "'%s': %s is not stored in this file", h5->file, spec->name);
    SD_REQUIRE(bytes <= file_bytes * (layout == H5D_CHUNKED ? FILTERED_RATIO : 1), h5->code,
               "'%s': %s would be larger than the file", h5->file, spec->name);
    SD_REQUIRE(count == 0 || H5Dget_storage_size(dataset) > 0, h5->code, "'%s': %s has no values",
               h5->file, spec->name);

done:
    sd_h5_close(&type);
    sd_h5_close(&creation);
    return st;
}

sd_status sd_h5_dataset_open(const sd_h5 *h5, hid_t parent, const sd_h5_spec *spec,
                             int64_t file_bytes, hid_t *out)
{
    sd_status st      = SD_OK;
    hid_t     dataset = H5I_INVALID_HID;
    hid_t     type    = H5I_INVALID_HID;

    SD_TRY(sd_h5_any_dataset_open(h5, parent, spec->name, &dataset));
    SD_TRY(SD_H5(h5, type = H5Dget_type(dataset)));
    SD_REQUIRE(spec->type < 0 || H5Tequal(type, spec->type) > 0, h5->code,
               "'%s': %s is of another type", h5->file, spec->name);
    SD_TRY(check_extent(h5, dataset, spec));
    SD_TRY(check_storage(h5, dataset, spec, file_bytes));
    *out    = dataset;
    dataset = H5I_INVALID_HID;

done:
    sd_h5_close(&type);
    sd_h5_close(&dataset);
    return st;
}

/* Adds the values to the hash in their order, a block of rows of the first dimension at a time. */
static sd_status hash_rows(const sd_h5 *h5, hid_t dataset, hid_t type, sd_digest *digest)
{
    sd_status st                 = SD_OK;
    hid_t     space              = H5I_INVALID_HID;
    hid_t     memory             = H5I_INVALID_HID;
    char     *block              = NULL;
    hsize_t   dims[H5S_MAX_RANK] = {1}, start[H5S_MAX_RANK] = {0};

    SD_TRY(SD_H5(h5, space = H5Dget_space(dataset)));
    const int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    SD_REQUIRE(rank > 0, h5->code, "'%s': a dataset without dimensions", h5->file);
    const hsize_t rows      = dims[0];
    const int64_t row_count = product(rank - 1, dims + 1);
    const int64_t row_bytes = row_count * (int64_t)H5Tget_size(type);
    if (rows == 0 || row_count == 0) goto done;
    const hsize_t most = row_bytes < HASH_BLOCK ? (hsize_t)(HASH_BLOCK / row_bytes) : 1;
    SD_TRY(sd_alloc((int64_t)(most < rows ? most : rows), row_bytes, &block));
    for (; start[0] < rows; start[0] += dims[0]) {
        dims[0]             = rows - start[0] < most ? rows - start[0] : most;
        const hsize_t count = dims[0] * (hsize_t)row_count;
        SD_TRY(SD_H5(h5, H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, dims, NULL)));
        SD_TRY(SD_H5(h5, memory = H5Screate_simple(1, &count, NULL)));
        SD_TRY(SD_H5(h5, H5Dread(dataset, type, memory, space, H5P_DEFAULT, block)));
        SD_TRY(sd_digest_add(digest, block, (int64_t)dims[0] * row_bytes));
        sd_h5_close(&memory);
    }

done:
    sd_free(block);
    sd_h5_close(&memory);
    sd_h5_close(&space);
    return st;
}

sd_status sd_h5_verify(const sd_h5 *h5, hid_t dataset, const char *shown)
{
    sd_status  st     = SD_OK;
    char      *want   = NULL;
    sd_digest *digest = NULL;
    hid_t      type   = H5I_INVALID_HID;
    char       hex[SD_SHA256_HEX];

    SD_TRY(sd_h5_get_text(h5, dataset, "sha256", &want));
    SD_TRY(SD_H5(h5, type = H5Dget_type(dataset)));
    SD_REQUIRE(H5Tdetect_class(type, H5T_VLEN) <= 0 && H5Tis_variable_str(type) <= 0, h5->code,
               "'%s': %s has values of variable length", h5->file, shown);
    SD_TRY(sd_digest_create(SD_DIGEST_SHA256, &digest));
    SD_TRY(hash_rows(h5, dataset, type, digest));
    SD_TRY(sd_digest_hex(digest, hex));
    SD_REQUIRE(strcmp(hex, want) == 0, h5->code, "'%s': %s: its sha256 does not hold", h5->file,
               shown);

done:
    sd_digest_destroy(&digest);
    sd_h5_close(&type);
    sd_free(want);
    return st;
}

sd_status sd_h5_verify_values(const sd_h5 *h5, hid_t dataset, const char *shown, const void *values,
                              int64_t bytes)
{
    sd_status  st     = SD_OK;
    char      *want   = NULL;
    sd_digest *digest = NULL;
    char       hex[SD_SHA256_HEX];

    SD_TRY(sd_h5_get_text(h5, dataset, "sha256", &want));
    SD_TRY(sd_digest_create(SD_DIGEST_SHA256, &digest));
    SD_TRY(sd_digest_add(digest, values, bytes));
    SD_TRY(sd_digest_hex(digest, hex));
    SD_REQUIRE(strcmp(hex, want) == 0, h5->code, "'%s': %s: its sha256 does not hold", h5->file,
               shown);

done:
    sd_digest_destroy(&digest);
    sd_free(want);
    return st;
}
