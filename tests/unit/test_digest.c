/* Hashes equal published values, however the bytes are cut. */
#include <string.h>

#include "io/digest.h"
#include "tests/support/check.h"
#include "tests/support/shortage.h"

static void hash(sd_digest_kind kind, const char *text, size_t first, char *out)
{
    sd_digest *digest = NULL;

    CHECK(sd_digest_create(kind, &digest) == SD_OK);
    CHECK(sd_digest_add(digest, text, (int64_t)first) == SD_OK);
    CHECK(sd_digest_hex(digest, out) == SD_OK); /* looking does not disturb */
    CHECK(sd_digest_add(digest, text + first, (int64_t)(strlen(text) - first)) == SD_OK);
    CHECK(sd_digest_hex(digest, out) == SD_OK);
    sd_digest_destroy(&digest);
    CHECK(digest == NULL);
}

/* SHA-256: FIPS 180-4's examples. */
static void sha256_equals_the_standard(void)
{
    const char *text = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char        out[SD_SHA256_HEX];

    for (size_t first = 0; first <= 56; first += 7) {
        hash(SD_DIGEST_SHA256, text, first, out);
        CHECK(strcmp(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1") == 0);
    }
    hash(SD_DIGEST_SHA256, "", 0, out);
    CHECK(strcmp(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") == 0);
}

/* XXH3-128: what `xxhsum -H2` prints. */
static void xxh3_equals_the_tool(void)
{
    char out[SD_XXH128_HEX];

    hash(SD_DIGEST_XXH128, "", 0, out);
    CHECK(strcmp(out, "99aa06d3014798d86001c324468d497f") == 0);
    for (size_t first = 0; first <= 3; first++) {
        hash(SD_DIGEST_XXH128, "abc", first, out);
        CHECK(strcmp(out, "06b05ab6733a618578af5f94892f3950") == 0);
    }
}

static sd_status digest_once(void)
{
    sd_status  st     = SD_OK;
    sd_digest *digest = NULL, *other = NULL;

    SD_TRY(sd_digest_create(SD_DIGEST_SHA256, &digest));
    SD_TRY(sd_digest_create(SD_DIGEST_XXH128, &other));

done:
    sd_digest_destroy(&digest);
    sd_digest_destroy(&other);
    return st;
}

int main(void)
{
    sha256_equals_the_standard();
    xxh3_equals_the_tool();
    walk_shortages(digest_once);
    return REPORT();
}
