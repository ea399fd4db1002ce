#include "io/tensor_sample.h"

#include <string.h>

#include "solvers/base/random.h"

enum { WIDEST = 16 }; /* bytes of an element of any format */

/* Number of the blocks' first element: a multiple of the block's length. */
static int64_t place(const sd_tensor_info *info, int64_t block)
{
    const sd_random table  = {.seed = 4, .stream = 0};
    const int64_t   places = info->elements / SD_SAMPLE_ELEMENTS;
    uint64_t        row    = UINT64_C(14695981039346656037); /* FNV-1a of the name */

    for (const char *c = info->name; *c != '\0'; c++)
        row = (row ^ (unsigned char)*c) * UINT64_C(1099511628211);
    if (places < 2) return 0;
    return SD_SAMPLE_ELEMENTS *
           sd_random_below(&table, row, block, places < UINT32_MAX ? places : UINT32_MAX);
}

static bool all_same(int64_t n, int64_t size, const unsigned char *elements)
{
    return n < 2 || memcmp(elements, elements + size, (size_t)((n - 1) * size)) == 0;
}

/* The shape of a sample. */
typedef struct {
    int64_t size, blocks, n; /* bytes of an element, blocks, elements of each */
} plan;

static plan plan_of(const sd_tensor_info *info)
{
    plan p = {info->elements > 0 ? info->bytes / info->elements : 0,
              1 + info->bytes / SD_SAMPLE_SPACING, info->elements};

    if (p.n > SD_SAMPLE_ELEMENTS) p.n = SD_SAMPLE_ELEMENTS;
    if (p.size < 1 || p.size > WIDEST) p.blocks = 0;
    return p;
}

void sd_tensor_sample_prefetch(const sd_checkpoint *checkpoint, int64_t i)
{
    const sd_tensor_info *info = sd_checkpoint_tensor(checkpoint, i);
    const plan            p    = plan_of(info);

    for (int64_t b = 0; b < p.blocks; b++)
        sd_checkpoint_prefetch(checkpoint, i, place(info, b) * p.size, p.n * p.size);
}

sd_status sd_tensor_sample_read(const sd_checkpoint *checkpoint, int64_t i, sd_tensor_sample *out)
{
    sd_status             st     = SD_OK;
    const sd_tensor_info *info   = sd_checkpoint_tensor(checkpoint, i);
    const plan            p      = plan_of(info);
    const int64_t         bytes  = p.n * p.size;
    sd_digest            *digest = NULL;
    unsigned char         block[SD_SAMPLE_ELEMENTS * WIDEST], first[WIDEST] = {0};

    *out = (sd_tensor_sample){.constant = info->type >= 0 && info->elements > 1};
    SD_TRY(sd_digest_create(SD_DIGEST_XXH128, &digest));
    for (int64_t b = 0; b < p.blocks; b++) {
        SD_TRY(sd_checkpoint_read(checkpoint, i, place(info, b) * p.size, bytes, block));
        SD_TRY(sd_digest_add(digest, block, bytes));
        if (b == 0) memcpy(first, block, (size_t)p.size);
        out->constant = out->constant && all_same(p.n, p.size, block) &&
                        memcmp(first, block, (size_t)p.size) == 0;
        if (b > 0 || info->type < 0) continue;
        sd_to_float((sd_dtype)info->type, p.n, block, out->value);
        out->n_values = p.n;
    }
    SD_TRY(sd_digest_hex(digest, out->hex));

done:
    sd_digest_destroy(&digest);
    return st;
}
