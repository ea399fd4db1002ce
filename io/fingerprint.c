#include "io/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/finite.h"
#include "solvers/base/memory.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static sd_status check_piece(const sd_checkpoint *checkpoint, int64_t i, int64_t offset,
                             int64_t count, const void *piece)
{
    const sd_tensor_info *info = sd_checkpoint_tensor(checkpoint, i);

    if (info->type < 0) return SD_OK;
    const sd_dtype type = (sd_dtype)info->type;
    const int64_t  size = sd_dtype_size(type);
    return sd_finite_check(checkpoint, i, offset / size, type, count / size, piece);
}

sd_status sd_tensor_digest(const sd_checkpoint *checkpoint, int64_t i, bool check_finite,
                           const sd_poll *poll, char hex[SD_XXH128_HEX])
{
    sd_status     st     = SD_OK;
    const int64_t bytes  = sd_checkpoint_tensor(checkpoint, i)->bytes;
    sd_digest    *digest = NULL;
    char         *piece  = NULL;

    SD_TRY(sd_digest_create(SD_DIGEST_XXH128, &digest));
    SD_TRY(sd_alloc(least(bytes, SD_PIECE_BYTES), 1, &piece));
    for (int64_t offset = 0; offset < bytes; offset += SD_PIECE_BYTES) {
        const int64_t count = least(bytes - offset, SD_PIECE_BYTES);

        SD_TRY(sd_checkpoint_read(checkpoint, i, offset, count, piece));
        SD_TRY(sd_digest_add(digest, piece, count));
        if (check_finite) SD_TRY(check_piece(checkpoint, i, offset, count, piece));
        SD_TRY(sd_poll_now(poll));
    }
    SD_TRY(sd_digest_hex(digest, hex));

done:
    sd_free(piece);
    sd_digest_destroy(&digest);
    return st;
}

/* Adds a tensor's line; the terminating zeros of name and format are the separators. */
static sd_status add_line(sd_digest *digest, const sd_tensor_info *info, const char *hex)
{
    sd_status st = SD_OK;
    char      extent[24];

    SD_TRY(sd_digest_add(digest, info->name, (int64_t)strlen(info->name) + 1));
    SD_TRY(sd_digest_add(digest, info->format, (int64_t)strlen(info->format) + 1));
    for (int k = 0; k < info->n_dims; k++) {
        snprintf(extent, sizeof extent, "%s%" PRId64, k > 0 ? "," : "", info->shape[k]);
        SD_TRY(sd_digest_add(digest, extent, (int64_t)strlen(extent)));
    }
    SD_TRY(sd_digest_add(digest, "", 1));
    SD_TRY(sd_digest_add(digest, hex, (int64_t)strlen(hex)));
    SD_TRY(sd_digest_add(digest, "\n", 1));

done:
    return st;
}

sd_status sd_fingerprint(const sd_checkpoint *checkpoint, const char (*hex)[SD_XXH128_HEX],
                         char                 out[SD_FINGERPRINT_LEN])
{
    sd_status  st     = SD_OK;
    sd_digest *digest = NULL;
    char       all[SD_XXH128_HEX];

    SD_TRY(sd_digest_create(SD_DIGEST_XXH128, &digest));
    for (int64_t i = 0; i < sd_checkpoint_count(checkpoint); i++) {
        SD_REQUIRE(strlen(hex[i]) == SD_XXH128_HEX - 1, SD_ERR_INTERNAL, "tensor '%s' has no hash",
                   sd_checkpoint_tensor(checkpoint, i)->name);
        SD_TRY(add_line(digest, sd_checkpoint_tensor(checkpoint, i), hex[i]));
    }
    SD_TRY(sd_digest_hex(digest, all));
    snprintf(out, SD_FINGERPRINT_LEN, "xxh3-128:%s", all);

done:
    sd_digest_destroy(&digest);
    return st;
}
