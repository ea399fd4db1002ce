/* PCRE2 wants to know the width of its characters before its header. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "io/io_versions.h"

#include <hdf5.h>
#include <jansson.h>
#include <libdeflate.h>
#include <openssl/crypto.h>
#include <pcre2.h>
#include <stdio.h>
#include <xxhash.h>
#include <yaml.h>
#include <zip.h>

void sd_io_versions(char *text, size_t bytes)
{
    unsigned       major = 0, minor = 0, release = 0;
    char           pcre[64] = "";
    const unsigned xxh      = XXH_versionNumber();

    H5get_libversion(&major, &minor, &release);
    pcre2_config(PCRE2_CONFIG_VERSION, pcre); /* "10.42 2022-12-11": shorter than 64 by far */
    snprintf(text, bytes,
             "HDF5 %u.%u.%u\nJansson %s\nlibyaml %s\nPCRE2 %s\nOpenSSL %s\nxxHash %u.%u.%u\n"
             "libzip %s\nlibdeflate %s\n",
             major, minor, release, JANSSON_VERSION, yaml_get_version_string(), pcre,
             OpenSSL_version(OPENSSL_VERSION_STRING), xxh / 10000, xxh / 100 % 100, xxh % 100,
             zip_libzip_version(), LIBDEFLATE_VERSION_STRING);
}
