#include "io/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <xxhash.h>

#include "solvers/base/memory.h"

struct sd_digest {
    sd_digest_kind kind;
    EVP_MD_CTX    *sha;
    XXH3_state_t  *xxh;
};

sd_status sd_digest_create(sd_digest_kind kind, sd_digest **out)
{
    sd_status  st     = SD_OK;
    sd_digest *digest = NULL;

    SD_TRY(sd_alloc(1, sizeof *digest, &digest));
    digest->kind = kind;
    if (kind == SD_DIGEST_SHA256) {
        digest->sha = EVP_MD_CTX_new();
        SD_REQUIRE(digest->sha != NULL && EVP_DigestInit_ex(digest->sha, EVP_sha256(), NULL) == 1,
                   SD_ERR_RESOURCE, "no SHA-256");
    } else {
        digest->xxh = XXH3_createState();
        SD_REQUIRE(digest->xxh != NULL, SD_ERR_RESOURCE, "no memory for a hash");
        XXH3_128bits_reset(digest->xxh);
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
    if (digest->kind == SD_DIGEST_SHA256)
        SD_REQUIRE(EVP_DigestUpdate(digest->sha, bytes, (size_t)count) == 1, SD_ERR_INTERNAL,
                   "SHA-256 failed");
    else
        XXH3_128bits_update(digest->xxh, bytes, (size_t)count);
done:
    return st;
}

sd_status sd_digest_hex(const sd_digest *digest, char *out)
{
    sd_status     st = SD_OK;
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int  count = 0;
    EVP_MD_CTX   *copy  = NULL;

    if (digest->kind == SD_DIGEST_SHA256) {
        copy = EVP_MD_CTX_new();
        SD_REQUIRE(copy != NULL && EVP_MD_CTX_copy_ex(copy, digest->sha) == 1 &&
                       EVP_DigestFinal_ex(copy, raw, &count) == 1,
                   SD_ERR_RESOURCE, "SHA-256 failed");
        for (unsigned int i = 0; i < count; i++) snprintf(out + 2 * i, 3, "%02x", raw[i]);
    } else {
        const XXH128_hash_t hash = XXH3_128bits_digest(digest->xxh);
        snprintf(out, SD_XXH128_HEX, "%016llx%016llx", (unsigned long long)hash.high64,
                 (unsigned long long)hash.low64);
    }
done:
    EVP_MD_CTX_free(copy);
    return st;
}

void sd_digest_destroy(sd_digest **digest)
{
    if (digest == NULL || *digest == NULL) return;
    EVP_MD_CTX_free((*digest)->sha);
    XXH3_freeState((*digest)->xxh);
    sd_free(*digest);
    *digest = NULL;
}
