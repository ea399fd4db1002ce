/* Result files that are damaged, hostile, or cannot be written: refused with a reason, never a
 * crash, and nothing half-written stays. */
#include <errno.h>
#include <hdf5.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/make_study.h"

static char folder[] = "test_results.XXXXXX";
static char unit_file[64], study_file[64], other_file[64];

/* ---- bytes of files ---- */

static char *load(const char *file, long *bytes)
{
    FILE *in = fopen(file, "rb");
    fseek(in, 0, SEEK_END);
    *bytes = ftell(in);
    rewind(in);
    char *all = malloc((size_t)*bytes);
    CHECK(fread(all, 1, (size_t)*bytes, in) == (size_t)*bytes);
    fclose(in);
    return all;
}

static void store(const char *file, const char *all, long bytes)
{
    FILE *out = fopen(file, "wb");
    CHECK(fwrite(all, 1, (size_t)bytes, out) == (size_t)bytes);
    fclose(out);
}

static unsigned long long state = 1; /* a fixed seed: the same damage each time */

static unsigned long random_below(unsigned long n)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned long)(state >> 33) % n;
}

static void ignore(void *context, const char *line)
{
    (void)line;
    ++*(int *)context;
}

static sd_status write_unit(void)
{
    const sd_shape shape = {3, 5, 2, true};
    sd_unit       *unit  = NULL;
    sd_status      st    = SD_OK;

    SD_TRY(sd_unit_create(&shape, &unit));
    for (int id = 0; id < SD_V_COUNT; id++)
        study_fill((sd_variable_id)id, 1, &unit->shape, unit->value[id]);
    SD_TRY(sd_copy_string("base", &unit->info.run));
    SD_TRY(sd_copy_string("base/step_250", &unit->info.path));
    SD_TRY(sd_copy_string("xxh3-128:ab", &unit->info.fingerprint));
    SD_TRY(sd_copy_string("0123", &unit->info.key));
    SD_TRY(sd_copy_string("llama", &unit->info.family));
    SD_TRY(sd_unit_write(unit, unit_file));

done:
    sd_unit_destroy(&unit);
    return st;
}

/* ---- damage ---- */

static void unit_is_refused(const char *why)
{
    sd_unit        *unit = NULL;
    const sd_status st   = sd_unit_read(other_file, &unit);

    CHECK(st == SD_ERR_CHECK && unit == NULL);
    CHECK(strstr(sd_message(), other_file) != NULL);
    if (why != NULL && strstr(sd_message(), why) == NULL) {
        fprintf(stderr, "'%s' does not say '%s'\n", sd_message(), why);
        CHECK(0);
    }
    sd_unit_destroy(&unit);
    sd_clear();
}

static void a_cut_unit_is_refused(void)
{
    long  bytes = 0;
    char *all   = load(unit_file, &bytes);

    for (long cut = 0; cut < bytes; cut += 1 + bytes / 64) {
        store(other_file, all, cut);
        unit_is_refused(NULL);
    }
    store(other_file, all, bytes - 1);
    unit_is_refused(NULL);
    free(all);
}

/* Whatever is read from a damaged unit is what was written: a flip lies in unused space, or it is
 * noticed. */
static void a_flipped_bit_is_noticed_or_harmless(void)
{
    long     bytes = 0;
    char    *all   = load(unit_file, &bytes);
    sd_unit *good = NULL, *unit = NULL;
    int      noticed = 0;

    CHECK(sd_unit_read(unit_file, &good) == SD_OK);
    for (int trial = 0; trial < 400; trial++) {
        const unsigned long at = random_below((unsigned long)bytes);
        all[at]                = (char)(all[at] ^ (1 << random_below(8)));
        store(other_file, all, bytes);
        const sd_status st = sd_unit_read(other_file, &unit);
        CHECK(st == SD_OK || st == SD_ERR_CHECK);
        noticed += st != SD_OK;
        if (st == SD_OK) {
            CHECK(strcmp(unit->info.key, "0123") == 0 && unit->info.step == good->info.step);
            for (int id = 0; id < SD_V_COUNT; id++)
                CHECK(memcmp(unit->value[id], good->value[id],
                             (size_t)(sd_variable_elements((sd_variable_id)id, &good->shape) *
                                      sd_type_size(sd_variables[id].type))) == 0);
        }
        sd_unit_destroy(&unit);
        sd_clear();
        free(all);
        all = load(unit_file, &bytes);
    }
    CHECK(noticed > 130); /* about half of the file is in use */
    sd_unit_destroy(&good);
    free(all);
}

static void a_damaged_study_does_not_crash_the_check(void)
{
    long  bytes = 0;
    char *good = load(study_file, &bytes), *all = malloc((size_t)bytes);
    int   noticed = 0;

    for (int trial = 0; trial < 60; trial++) {
        memcpy(all, good, (size_t)bytes);
        const int many = trial % 2 == 0 ? 1 : 200;
        for (int i = 0; i < many; i++)
            all[random_below((unsigned long)bytes)] = (char)random_below(256);
        store(other_file, all, trial % 5 == 4 ? (long)random_below((unsigned long)bytes) : bytes);
        int             lines = 0;
        const sd_status st    = sd_results_check(other_file, ignore, &lines);
        CHECK(st == SD_OK || st == SD_ERR_CHECK);
        CHECK((st == SD_OK) == (lines == 0) || lines == 0);
        noticed += st != SD_OK;
        sd_clear();
        sd_results *results = NULL;
        if (sd_results_open(other_file, &results) == SD_OK)
            for (int64_t r = 0; r < sd_results_runs(results); r++)
                for (int id = 0; id < SD_V_COUNT; id += 5) {
                    double *values = NULL;
                    sd_results_read(results, r, (sd_variable_id)id, &values);
                    sd_free(values);
                    sd_clear();
                }
        sd_results_close(&results);
        sd_clear();
    }
    CHECK(noticed > 30); /* at least those with 200 bad bytes */
    free(all);
    free(good);
}

/* ---- files that say something else than they hold ---- */

static hid_t open_copy(const char *file)
{
    long  bytes = 0;
    char *all   = load(file, &bytes);
    store(other_file, all, bytes);
    free(all);
    return H5Fopen(other_file, H5F_ACC_RDWR, H5P_DEFAULT);
}

static void set_int(hid_t object, const char *name, int64_t value)
{
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    CHECK(H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0);
    H5Aclose(attribute);
}

static void claims_are_checked_before_memory_is_taken(void)
{
    static const struct {
        const char *name, *why;
        int64_t     value;
    } claims[] = {
        {"hidden_size", "layers of", INT64_MAX},
        {"hidden_size", "too short", 1 << 20},
        {"layers", "layers of", -1},
        {"layers", "dimension 0", 2},
        {"triplets", "singular values", 6},
        {"triplets", "dimension 1", 3},
        {"schema", "is of schema 2; this version", 2},
    };
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        const hid_t file = open_copy(unit_file);
        set_int(file, claims[i].name, claims[i].value);
        H5Fclose(file);
        unit_is_refused(claims[i].why);
    }
}

static void replace(hid_t file, const char *path, hid_t type, int rank, const hsize_t *dims)
{
    CHECK(H5Ldelete(file, path, H5P_DEFAULT) >= 0);
    const hid_t space = H5Screate_simple(rank, dims, NULL);
    const hid_t dataset =
        H5Dcreate2(file, path, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(dataset >= 0);
    H5Dclose(dataset);
    H5Sclose(space);
}

static void wrong_datasets_are_named(void)
{
    hid_t file = open_copy(unit_file);
    replace(file, "norm/other_max", H5T_IEEE_F32LE, 1, (const hsize_t[]){4});
    H5Fclose(file);
    unit_is_refused("norm/other_max is of another type");

    file = open_copy(unit_file);
    replace(file, "norm/other_max", H5T_IEEE_F64LE, 1, (const hsize_t[]){5});
    H5Fclose(file);
    unit_is_refused("norm/other_max: dimension 0 is 5, want 4");

    file = open_copy(unit_file);
    replace(file, "norm/other_max", H5T_IEEE_F64LE, 2, (const hsize_t[]){4, 1});
    H5Fclose(file);
    unit_is_refused("norm/other_max has 2 dimensions, want 1");

    file = open_copy(unit_file);
    H5Ldelete(file, "linear/u", H5P_DEFAULT);
    H5Fclose(file);
    unit_is_refused("linear/u is missing");

    file = open_copy(unit_file);
    H5Ldelete(file, "linear/u", H5P_DEFAULT);
    H5Lcreate_external("elsewhere.h5", "u", file, "linear/u", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    unit_is_refused("linear/u is a link to elsewhere");

    file                   = open_copy(unit_file);
    const hid_t dataset    = H5Dopen2(file, "ffn/v", H5P_DEFAULT);
    double      values[15] = {1};
    H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(dataset);
    H5Fclose(file);
    unit_is_refused("ffn/v: its sha256 does not hold");
}

/* ---- the check's findings ---- */

static char found[4096];

static void collect(void *context, const char *line)
{
    (void)context;
    CHECK(strchr(line, '\n') == NULL);
    snprintf(found + strlen(found), sizeof found - strlen(found), "%s\n", line);
}

static void study_has_finding(const char *want)
{
    found[0] = '\0';
    CHECK(sd_results_check(other_file, collect, NULL) == SD_ERR_CHECK);
    if (strcmp(found, want) != 0) {
        fprintf(stderr, "found:\n%swant:\n%s", found, want);
        CHECK(0);
    }
    sd_clear();
}

static void rewrite_value(hid_t file, const char *path)
{
    const hid_t  dataset = H5Dopen2(file, path, H5P_DEFAULT), type = H5Dget_type(dataset);
    const size_t bytes  = (size_t)H5Dget_storage_size(dataset);
    char        *values = calloc(bytes, 1);
    CHECK(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    free(values);
    H5Tclose(type);
    H5Dclose(dataset);
}

static void each_defect_of_a_study_is_one_line(void)
{
    hid_t file = open_copy(study_file);
    rewrite_value(file, "runs/zeta/linear/u");
    H5Fclose(file);
    study_has_finding("runs/zeta: linear/u: its sha256 does not hold\n");

    file = open_copy(study_file);
    H5Gclose(H5Gcreate2(file, "runs/zeta/linear/extra", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(file, "provenance/extra", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(file, "runs/zeta/quantization", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Gclose(H5Gcreate2(file, "notes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(file);
    study_has_finding("notes is unknown\nruns/zeta/linear/extra is unknown\n");

    file = open_copy(study_file);
    H5Adelete_by_name(file, "runs/alpha/norm/other_max", "units", H5P_DEFAULT);
    H5Adelete(file, "singdef_version");
    H5Fclose(file);
    study_has_finding("no attribute 'singdef_version'\n"
                      "runs/alpha/norm/other_max: no attribute 'units'\n");

    file = open_copy(study_file);
    H5Adelete_by_name(file, "runs/zeta/decay/scale", "DIMENSION_LIST", H5P_DEFAULT);
    H5Ldelete(file, "runs/empty/ffn/v", H5P_DEFAULT);
    H5Fclose(file);
    study_has_finding("runs/zeta/decay/scale: no dimension scales\n"
                      "runs/empty: ffn/v is missing\n");

    file = open_copy(study_file);
    rewrite_value(file, "runs/zeta/step");
    H5Fclose(file);
    study_has_finding("runs/zeta: runs/zeta/step does not ascend\n");

    file = open_copy(study_file);
    H5Ldelete(file, "failures", H5P_DEFAULT);
    H5Lcreate_soft("/signatures", file, "runs/alpha/tokens", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    study_has_finding("failures is missing\nruns/alpha/tokens is a link to elsewhere\n");
}

static void what_is_no_result_file_is_said_to_be_none(void)
{
    sd_unit    *unit    = NULL;
    sd_results *results = NULL;

    CHECK(sd_unit_read("no/such.h5", &unit) == SD_ERR_INPUT);
    CHECK(strcmp(sd_message(), "cannot read 'no/such.h5': No such file or directory") == 0);
    sd_clear();
    CHECK(sd_results_open(folder, &results) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), "it is no file") != NULL);
    sd_clear();
    store(other_file, "hello\n", 6);
    CHECK(sd_results_open(other_file, &results) == SD_ERR_CHECK);
    CHECK(strstr(sd_message(), other_file) != NULL);
    sd_clear();
    CHECK(sd_results_open(unit_file, &results) == SD_ERR_CHECK); /* a unit is no study */
    CHECK(results == NULL);
    sd_clear();
}

/* ---- resources ---- */

static sd_status read_unit(void)
{
    sd_unit        *unit = NULL;
    const sd_status st   = sd_unit_read(unit_file, &unit);
    CHECK((st == SD_OK) == (unit != NULL));
    sd_unit_destroy(&unit);
    return st;
}

static sd_status open_study(void)
{
    sd_results     *results = NULL;
    const sd_status st      = sd_results_open(study_file, &results);
    CHECK((st == SD_OK) == (results != NULL));
    sd_results_close(&results);
    return st;
}

static sd_status make_study(void)
{
    return study_make(study_file, "here");
}

static sd_status check_study(void)
{
    int             lines = 0;
    const sd_status st    = sd_results_check(study_file, ignore, &lines);
    CHECK(lines == 0); /* no memory is no finding */
    return st;
}

/* Each k at first, then with growing strides: later ones repeat the same few places. */
static void every_failing_allocation_is_survived(void)
{
    sd_status (*const work[])(void) = {write_unit, read_unit, open_study, make_study, check_study};

    for (size_t i = 0; i < sizeof work / sizeof work[0]; i++) {
        sd_status st = SD_ERR_RESOURCE;
        int64_t   k  = 1;
        for (; st != SD_OK && k < 1000000; k += 1 + k / 8) {
            sd_alloc_fail_at(k);
            st = work[i]();
            sd_alloc_fail_at(0);
            CHECK(st == SD_OK || (st == SD_ERR_RESOURCE && strstr(sd_message(), "memory") != NULL));
            CHECK(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL) ==
                  0); /* all that was opened is closed */
            sd_clear();
        }
        CHECK(st == SD_OK && k > 30);
    }
}

/* A limit on the size of files stands for a full disk: writes fail in the middle. */
static void a_full_disk_is_named_and_leaves_the_old_file(void)
{
    struct rlimit before, tight;
    long          bytes = 0, after = 0;
    char         *old = load(unit_file, &bytes);

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    for (long limit = 0; limit < bytes; limit += 1 + bytes / 16) {
        tight          = before;
        tight.rlim_cur = (rlim_t)limit;
        setrlimit(RLIMIT_FSIZE, &tight);
        const sd_status st_unit = write_unit();
        CHECK(strstr(sd_message(), unit_file) != NULL);
        CHECK(strstr(sd_message(), strerror(EFBIG)) != NULL);
        sd_clear();
        const sd_status st_study = study_make(study_file, "elsewhere");
        CHECK(strstr(sd_message(), strerror(EFBIG)) != NULL);
        sd_clear();
        setrlimit(RLIMIT_FSIZE, &before);
        CHECK(st_unit == SD_ERR_RESOURCE && st_study == SD_ERR_RESOURCE);
    }
    char *now = load(unit_file, &after);
    CHECK(after == bytes && memcmp(old, now, (size_t)bytes) == 0);
    free(now);
    free(old);
    int lines = 0;
    CHECK(sd_results_check(study_file, ignore, &lines) == SD_OK && lines == 0);
    CHECK(write_unit() == SD_OK); /* and it works again */
}

static void stale_temporaries_go_and_nothing_else(void)
{
    static const struct {
        const char *name;
        int         stays;
    } files[] = {{".study.h5.123.tmp", 0}, {"study.h5.123.tmp", 1}, {".study.h5.tmp", 1},
                 {".study.h5.12x.tmp", 1}, {".123.tmp", 1},         {"units/base/.5.h5.9.tmp", 0},
                 {"units/base/5.h5", 1},   {"units/.x.1.tmp", 0},   {"other/.study.h5.1.tmp", 1}};
    char path[128], link[128], there[128];

    static const char *const folders[] = {"units", "units/base", "other"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, folders[i]);
        mkdir(path, 0777);
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        store(path, "x", 1);
    }
    snprintf(link, sizeof link, "%s/units/away", folder); /* must not be followed */
    CHECK(symlink("../other", link) == 0);
    CHECK(sd_results_clean(folder) == SD_OK);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(there, sizeof there, "%s/%s", folder, files[i].name);
        CHECK((access(there, F_OK) == 0) == files[i].stays);
        unlink(there);
    }
    unlink(link);
    for (int i = 2; i >= 0; i--) {
        static const int order[] = {0, 1, 2};
        snprintf(path, sizeof path, "%s/%s", folder, folders[order[i]]);
        rmdir(path);
    }
    CHECK(sd_results_clean("no/such/folder") == SD_OK);
}

int main(void)
{
    if (mkdtemp(folder) == NULL) return 1;
    snprintf(unit_file, sizeof unit_file, "%s/250.h5", folder);
    snprintf(study_file, sizeof study_file, "%s/study.h5", folder);
    snprintf(other_file, sizeof other_file, "%s/other.h5", folder);
    CHECK(write_unit() == SD_OK);
    CHECK(study_make(study_file, "here") == SD_OK);
    a_cut_unit_is_refused();
    a_flipped_bit_is_noticed_or_harmless();
    a_damaged_study_does_not_crash_the_check();
    claims_are_checked_before_memory_is_taken();
    wrong_datasets_are_named();
    each_defect_of_a_study_is_one_line();
    what_is_no_result_file_is_said_to_be_none();
    every_failing_allocation_is_survived();
    a_full_disk_is_named_and_leaves_the_old_file();
    stale_temporaries_go_and_nothing_else();
    unlink(unit_file);
    unlink(study_file);
    unlink(other_file);
    CHECK(rmdir(folder) == 0);
    return REPORT();
}
