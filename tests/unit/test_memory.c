/* Allocation: aligned and zeroed, sizes that do not fit fail, failures come when they are ordered.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "solvers/base/memory.h"
#include "tests/support/check.h"

/* The address checker would otherwise end the program where malloc() returns NULL. It asks here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void memory_is_aligned_and_zeroed(void)
{
    for (int64_t n = 0; n < 300; n += 7) {
        double *x = NULL;

        CHECK(sd_alloc(n, sizeof *x, &x) == SD_OK);
        CHECK(x != NULL && (uintptr_t)x % 64 == 0);
        for (int64_t i = 0; i < n; i++) {
            CLOSE(x[i], 0, 0);
            x[i] = 1; /* the checker of addresses watches */
        }
        sd_free(x);
    }
    sd_free(NULL);
}

static void refused(int64_t count, int64_t size, sd_status want)
{
    char  some[4] = "abc";
    char *x       = some;

    sd_clear();
    CHECK(sd_alloc(count, size, &x) == want);
    CHECK(x == NULL);
    CHECK(sd_message()[0] != '\0');
}

static void a_size_that_does_not_fit_is_refused(void)
{
    refused(INT64_MAX, 1, SD_ERR_RESOURCE);
    refused(INT64_MAX - 63, 1, SD_ERR_RESOURCE);
    refused(INT64_MAX / 2, 4, SD_ERR_RESOURCE);                   /* the product wraps */
    refused(INT64_C(1) << 32, INT64_C(1) << 32, SD_ERR_RESOURCE); /* it wraps to 0 */
    refused(INT64_C(1) << 58, 8, SD_ERR_RESOURCE);                /* fits a number, not a machine */
    refused(-1, 8, SD_ERR_INTERNAL);
    refused(1, 0, SD_ERR_INTERNAL);
    refused(1, -8, SD_ERR_INTERNAL);
}

static void the_ordered_allocation_fails_once(void)
{
    for (int k = 1; k <= 4; k++) {
        int failed_at = 0;

        sd_alloc_fail_at(k);
        for (int i = 1; i <= 8; i++) {
            char *x = NULL;

            sd_clear();
            if (sd_alloc(8, 1, &x) != SD_OK) {
                CHECK(failed_at == 0 && x == NULL);
                failed_at = i;
            }
            sd_free(x);
        }
        CHECK(failed_at == k);
    }
    sd_alloc_fail_at(1);
    sd_alloc_fail_at(0); /* called off */
    char *x = NULL;
    CHECK(sd_alloc(1, 1, &x) == SD_OK);
    sd_free(x);
}

static void a_string_is_copied_whole(void)
{
    const char *const texts[] = {"", "a", "direction \xc3\xa9"};

    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        char *copy = NULL;

        CHECK(sd_copy_string(texts[k], &copy) == SD_OK);
        CHECK(copy != texts[k] && strcmp(copy, texts[k]) == 0);
        sd_free(copy);
    }
    char *copy = NULL;
    sd_clear();
    sd_alloc_fail_at(1);
    CHECK(sd_copy_string("a", &copy) == SD_ERR_RESOURCE && copy == NULL);
}

int main(void)
{
    memory_is_aligned_and_zeroed();
    a_size_that_does_not_fit_is_refused();
    the_ordered_allocation_fails_once();
    a_string_is_copied_whole();
    return REPORT();
}
