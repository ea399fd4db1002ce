#include "io/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "solvers/base/memory.h"

struct sd_digest {
    sd_digest_kind kind;
    XXH3_state_t  *xxh;
    EVP_MD_CTX    *sha;
};

sd_status sd_digest_create(sd_digest_kind kind, sd_digest **out)
{
    sd_status  st     = SD_OK;
    sd_digest *digest = NULL;

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *digest, &digest));
    digest->kind = kind;
    if (kind == SD_DIGEST_XXH128) {
        digest->xxh = XXH3_createState();
        SD_REQUIRE(digest->xxh != NULL && XXH3_128bits_reset(digest->xxh) == XXH_OK,
                   SD_ERR_RESOURCE, "no memory for a hash");
    } else {
        digest->sha = EVP_MD_CTX_new();
        SD_REQUIRE(digest->sha != NULL && EVP_DigestInit_ex(digest->sha, EVP_sha256(), NULL) == 1,
                   SD_ERR_RESOURCE, "no memory for a hash");
    }
    *out   = digest;
    digest = NULL;

done:
    sd_digest_destroy(&digest);
    return st;
}

sd_status sd_digest_add(sd_digest *digest, const void *bytes, int64_t count)
{
    sd_status st = SD_OK;

    if (count == 0) return SD_OK; /* the libraries want a pointer even then */
    SD_REQUIRE(count > 0, SD_ERR_INTERNAL, "a negative count of bytes to hash");
    if (digest->kind == SD_DIGEST_XXH128)
        SD_REQUIRE(XXH3_128bits_update(digest->xxh, bytes, (size_t)count) == XXH_OK,
                   SD_ERR_INTERNAL, "XXH3-128 failed");
    else
        SD_REQUIRE(EVP_DigestUpdate(digest->sha, bytes, (size_t)count) == 1, SD_ERR_INTERNAL,
                   "SHA-256 failed");

done:
    return st;
}

static void to_hex(const unsigned char *bytes, size_t count, char *out)
{
    for (size_t i = 0; i < count; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void xxh_hex(const sd_digest *digest, char *out)
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(digest->xxh));
    to_hex(canonical.digest, sizeof canonical.digest, out);
}

static sd_status sha_hex(const sd_digest *digest, char *out)
{
    sd_status     st   = SD_OK;
    EVP_MD_CTX   *copy = EVP_MD_CTX_new(); /* finishing ends a context: the original goes on */
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int  count = 0;

    SD_REQUIRE(copy != NULL && EVP_MD_CTX_copy_ex(copy, digest->sha) == 1, SD_ERR_RESOURCE,
               "no memory for a hash");
    SD_REQUIRE(EVP_DigestFinal_ex(copy, bytes, &count) == 1 && 2 * count + 1 == SD_SHA256_HEX,
               SD_ERR_INTERNAL, "SHA-256 failed");
    to_hex(bytes, count, out);

done:
    EVP_MD_CTX_free(copy);
    return st;
}

sd_status sd_digest_hex(const sd_digest *digest, char *out)
{
    if (digest->kind == SD_DIGEST_SHA256) return sha_hex(digest, out);
    xxh_hex(digest, out);
    return SD_OK;
}

void sd_digest_destroy(sd_digest **digest)
{
    if (*digest == NULL) return;
    XXH3_freeState((*digest)->xxh);
    EVP_MD_CTX_free((*digest)->sha);
    sd_free(*digest);
    *digest = NULL;
}
