#include "solvers/base/memory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 }; /* a cache line, and the widest vector registers */

static int64_t allocations_until_failure; /* 0: never */

static bool failure_is_due(void)
{
    return allocations_until_failure > 0 && --allocations_until_failure == 0;
}

sd_status sd_alloc(int64_t count, int64_t size, void *out)
{
    sd_status st     = SD_OK;
    void     *memory = NULL;

    memcpy(out, &memory, sizeof memory); /* `out` addresses a pointer of any type */
    SD_REQUIRE(count >= 0 && size >= 1, SD_ERR_INTERNAL,
               "%" PRId64 " elements of %" PRId64 " bytes", count, size);
    SD_REQUIRE(count <= (INT64_MAX - ALIGNMENT) / size && !failure_is_due(), SD_ERR_RESOURCE,
               "no memory for %" PRId64 " x %" PRId64 " bytes", count, size);

    const size_t bytes = ((size_t)(count * size) / ALIGNMENT + 1) * ALIGNMENT;
    memory             = aligned_alloc(ALIGNMENT, bytes);
    SD_REQUIRE(memory != NULL, SD_ERR_RESOURCE, "no memory for %" PRId64 " x %" PRId64 " bytes",
               count, size);
    memset(memory, 0, bytes);
    memcpy(out, &memory, sizeof memory);

done:
    return st;
}

void sd_free(void *memory)
{
    free(memory);
}

sd_status sd_copy_string(const char *text, char **out)
{
    sd_status    st    = SD_OK;
    const size_t bytes = strlen(text) + 1;

    SD_TRY(sd_alloc((int64_t)bytes, 1, out));
    memcpy(*out, text, bytes);

done:
    return st;
}

void sd_alloc_fail_at(int64_t k)
{
    allocations_until_failure = k;
}
