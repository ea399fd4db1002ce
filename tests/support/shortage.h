/**
 * @file shortage.h
 * @brief Lets the k-th allocation fail, the JSON parser's included, for every k until success.
 */
#ifndef SD_TESTS_SUPPORT_SHORTAGE_H
#define SD_TESTS_SUPPORT_SHORTAGE_H

#include <jansson.h>

#include "solvers/base/memory.h"
#include "tests/support/check.h"

static int shortage_in_parser;

static inline void *shortage_alloc(size_t bytes)
{
    void *memory;

    if (sd_alloc((int64_t)bytes, 1, &memory) != SD_OK) shortage_in_parser = 1;
    return memory;
}

/**
 * Calls `work` until it succeeds, with the 1st, 2nd, ... allocation failing. It releases everything
 * itself: the leak checker watches. Every failure is SD_ERR_RESOURCE; only where the parser's own
 * allocation fails it may be SD_ERR_INPUT, since the parser calls some of these an invalid token.
 */
static inline void walk_shortages(sd_status (*work)(void))
{
    sd_status st = SD_ERR_RESOURCE;
    int64_t   k  = 0;

    json_set_alloc_funcs(shortage_alloc, sd_free);
    while (st == SD_ERR_RESOURCE || (shortage_in_parser && st == SD_ERR_INPUT)) {
        sd_clear();
        shortage_in_parser = 0;
        sd_alloc_fail_at(++k);
        st = work();
    }
    if (st != SD_OK) fprintf(stderr, "allocation %lld: %s\n", (long long)k, sd_message());
    sd_alloc_fail_at(0);
    sd_clear();
    json_set_alloc_funcs(malloc, free);
    CHECK(st == SD_OK && k > 2); /* something was allocated, and could fail */
}

#endif
